"""Chebyshev approximation, against linear programming and numpy's polynomials."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from earfilt import equiripple
from earfilt.equiripple import Levelled, Problem, chebyshev_points, exchange, sample, scaled_reference, smallest_even_degree

Floats = NDArray[np.float64]
CORNERS = np.array([0.6, 1.4, 2.2])


def bounds(angles: Floats) -> tuple[Floats, Floats]:
    """A band about a line with corners, its width over two decades."""
    centre = np.interp(angles, [0.0, *CORNERS, np.pi], [1.0, 1.0, 0.05, 0.6, 0.3])
    return centre, np.interp(angles, [0.0, 1.4, np.pi], [0.2, 0.002, 0.05])


PROBLEM = Problem(bounds, CORNERS)


def minimax(degree: int) -> float:
    """Smallest error by linear programming on a dense grid: minimise t subject to |P - centre| <= t width."""
    angles = np.union1d(np.linspace(0.0, np.pi, 40 * degree), CORNERS)
    centre, width = bounds(angles)
    basis = np.cos(np.outer(angles, np.arange(degree + 1)))
    above, below = np.column_stack([basis, -width]), np.column_stack([-basis, -width])
    cost = np.r_[np.zeros(degree + 1), 1.0]
    found = linprog(cost, np.vstack([above, below]), np.r_[centre, -centre], bounds=(None, None), method="highs")
    assert found.status == 0
    return float(found.fun)


def converged(degree: int) -> Levelled:
    """The exchange carried to the end: the band is scaled so that an error of 1 is not in reach and the early exit not taken."""
    small = minimax(degree) * 0.999
    tight = Problem(lambda angles: (bounds(angles)[0], bounds(angles)[1] * small), CORNERS)
    found = exchange(tight, degree, chebyshev_points(degree))
    for _ in range(20):
        if found.converged:
            break
        found = exchange(Problem(tight.bounds, CORNERS), degree, found.reference, iterations=5)
    return found._replace(lower=found.lower * small, upper=found.upper * small)


@pytest.mark.parametrize("degree", [8, 24, 41])
def test_level_bounds_the_minimax_error_of_linear_programming(degree: int) -> None:
    found, best = converged(degree), minimax(degree)
    assert found.lower <= best * (1 + 2e-3)  # the programme's grid is coarser: its optimum may lie a little low
    assert found.upper >= best * (1 - 1e-9)
    assert found.lower == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize("degree", [8, 24, 41])
def test_errors_alternate_over_the_reference(degree: int) -> None:
    found = converged(degree)
    angles = found.reference
    assert len(angles) == degree + 2
    assert np.all(np.diff(angles) > 0)
    response = np.cos(np.outer(angles, np.arange(degree + 1))) @ found.cosines
    centre, width = bounds(angles)
    errors = (response - centre) / width
    assert np.all(np.sign(errors[1:]) == -np.sign(errors[:-1]))
    np.testing.assert_allclose(abs(errors), found.lower, rtol=1e-6)


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
    again, below = smallest_even_degree(PROBLEM, start=best._replace(degree=best.degree + 10), largest=1024)
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
    monkeypatch.setattr(equiripple, "_LARGEST_EXCHANGE", 0)
    best, _ = smallest_even_degree(PROBLEM, largest=1 << 14)
    assert best.feasible
    assert exact.degree < best.degree < 40 * exact.degree


def test_sample_is_the_cosine_series() -> None:
    cosines = np.random.default_rng(3).standard_normal(12)
    angles = np.linspace(0.0, np.pi, 33)
    np.testing.assert_allclose(sample(cosines, 32), np.polynomial.chebyshev.chebval(np.cos(angles), cosines), atol=1e-12)


@pytest.mark.parametrize("degree", [10, 40, 63, 64, 66, 200, 1000])
def test_references_for_other_degrees_ascend_and_stay_inside(degree: int) -> None:
    reference = converged(41).reference
    scaled = scaled_reference(reference, degree)
    assert len(scaled) == degree + 2
    assert scaled[0] >= 0.0
    assert scaled[-1] <= np.pi
    if degree >= 40:
        assert np.all(np.diff(scaled) > 0)


def test_scaling_to_the_same_degree_changes_nothing() -> None:
    reference = converged(24).reference
    np.testing.assert_allclose(scaled_reference(reference, 24), reference, atol=1e-12)


def test_barycentric_weights_against_plain_products() -> None:
    nodes = chebyshev_points(20) ** 1.02 * np.pi**-0.02
    x = np.cos(nodes)
    plain = np.array([1 / np.prod(abs(x[k] - np.delete(x, k))) for k in range(len(x))])
    weights = equiripple._barycentric_weights(nodes)
    np.testing.assert_allclose(weights / weights.max(), plain / plain.max(), rtol=1e-11)
