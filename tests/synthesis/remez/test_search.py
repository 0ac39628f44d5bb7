"""The smallest degree, against linear programming."""

import numpy as np
import pytest

import earfilt.synthesis.remez.search as search
from earfilt.synthesis.remez.polynomials import sample
from earfilt.synthesis.remez.search import smallest_even_degree
from tests.synthesis.remez.test_exchange import PROBLEM, bounds, minimax


def test_smallest_even_degree_is_where_linear_programming_puts_it() -> None:
    best, below = smallest_even_degree(PROBLEM, largest=1024)
    assert below is not None
    assert best.degree - below.degree == 2
    assert below.lower > 1.0
    assert minimax(best.degree) <= 1.0
    assert minimax(below.degree) > 1.0


def test_the_band_holds_on_a_grid_much_finer_than_the_search() -> None:
    best, _ = smallest_even_degree(PROBLEM, largest=1024)
    intervals = 1 << 18
    centre, width = bounds(np.arange(intervals + 1) * (np.pi / intervals))
    assert np.max(abs(sample(best.cosines, intervals) - centre) / width) < 1 + 1e-4


def test_a_good_start_changes_the_time_but_not_the_result() -> None:
    best, _ = smallest_even_degree(PROBLEM, largest=1024)
    again, below = smallest_even_degree(
        PROBLEM, start=best._replace(degree=best.degree + 10), largest=1024
    )
    assert again.degree == best.degree
    assert below is not None
    assert below.degree == best.degree - 2


def test_the_largest_degree_is_kept() -> None:
    best, _ = smallest_even_degree(PROBLEM, largest=40)
    assert best.degree == 40
    assert not best.feasible


def test_rounding_does_not_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no exchange can be trusted, sampling finds a (larger) degree."""
    exact, _ = smallest_even_degree(PROBLEM, largest=1 << 14)
    monkeypatch.setattr(search, "_LARGEST_EXCHANGE", 0)
    best, _ = smallest_even_degree(PROBLEM, largest=1 << 14)
    assert best.feasible
    assert exact.degree < best.degree < 40 * exact.degree
