"""A polynomial within a band: held by evaluating it directly; where there is none, linear
programming agrees.
"""

import numpy as np
import pytest
from scipy.optimize import linprog

from earfilt.arrays import Floats
from earfilt.synthesis.within.projections import polynomial_inside


def lowpass(angles: Floats) -> tuple[Floats, Floats]:
    """1 up to 0.8, 0.1 from 1.2 on, free between; as broad as a twentieth."""
    centre = np.interp(angles, [0.8, 1.2], [1.0, 0.1])
    width = np.where((angles > 0.8) & (angles < 1.2), 0.9 * centre, 0.05 * centre)
    return centre, width


def largest_error(cosines: Floats) -> float:
    angles = np.linspace(0.0, np.pi, 2001)
    centre, width = lowpass(angles)
    values = np.cos(np.outer(angles, np.arange(len(cosines)))) @ cosines
    return float(np.max(abs(values - centre) / width))


MARKS = np.array([0.8, 1.2])


def test_it_lies_inside_on_a_finer_grid_as_well() -> None:
    found = polynomial_inside(lowpass, 40, MARKS)
    assert found.inside
    assert found.cosines.shape == (41,)
    assert largest_error(found.cosines) < 1.1


def test_where_there_is_none_it_says_so() -> None:
    angles = np.linspace(0.0, np.pi, 401)
    centre, width = lowpass(angles)
    basis = np.cos(np.outer(angles, np.arange(7))) / width[:, None]
    rows = np.vstack([basis, -basis])
    limits = np.concatenate([(centre + width) / width, (width - centre) / width])
    assert linprog(np.zeros(7), rows, limits, bounds=(None, None), method="highs").status == 2
    found = polynomial_inside(lowpass, 6, MARKS)
    assert not found.inside
    assert found.error > 1.0


def test_a_good_start_saves_rounds() -> None:
    found = polynomial_inside(lowpass, 30, MARKS)
    assert found.inside
    assert found.rounds > 1
    again = polynomial_inside(lowpass, 30, MARKS, found.cosines)
    assert again.inside
    assert again.rounds <= 2


def test_a_mark_between_the_samples_is_held() -> None:
    """A corner that stands out between two samples, which do not see it."""
    corner = 0.5 * (np.pi / 160) + 10 * np.pi / 160

    def cornered(angles: Floats) -> tuple[Floats, Floats]:
        peak = np.interp(abs(angles - corner), [0.0, 0.009], [0.02, 0.0])
        return 1.0 + peak, np.full(np.shape(angles), 0.015)

    for marks, held in ((np.array([1.0]), False), (np.array([corner]), True)):
        cosines = polynomial_inside(cornered, 40, marks).cosines
        value = np.cos(corner * np.arange(41)) @ cosines
        assert (abs(value - 1.02) <= 0.015) == held


def test_a_band_that_is_no_number_gives_an_infinite_error() -> None:
    def unknown(angles: Floats) -> tuple[Floats, Floats]:
        return np.full(np.shape(angles), np.nan), np.ones(np.shape(angles))

    with np.errstate(all="ignore"):
        found = polynomial_inside(unknown, 8, MARKS)
    assert found.error == pytest.approx(np.inf)
    assert found.hopeless
