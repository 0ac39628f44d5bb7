"""Chebyshev approximation, against linear programming and numpy's polynomials."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from earfilt.synthesis.remez.exchange import (
    Levelled,
    Problem,
    chebyshev_points,
    exchange,
    scaled_reference,
)

Floats = NDArray[np.float64]
CORNERS = np.array([0.6, 1.4, 2.2])


def bounds(angles: Floats) -> tuple[Floats, Floats]:
    """A band about a line with corners, its width over two decades."""
    centre = np.interp(angles, [0.0, *CORNERS, np.pi], [1.0, 1.0, 0.05, 0.6, 0.3])
    return centre, np.interp(angles, [0.0, 1.4, np.pi], [0.2, 0.002, 0.05])


PROBLEM = Problem(bounds, CORNERS)


def minimax(degree: int) -> float:
    """Smallest error by linear programming on a dense grid: minimise t subject to |P - centre| <= t
    width.
    """
    angles = np.union1d(np.linspace(0.0, np.pi, 40 * degree), CORNERS)
    centre, width = bounds(angles)
    basis = np.cos(np.outer(angles, np.arange(degree + 1)))
    above, below = np.column_stack([basis, -width]), np.column_stack([-basis, -width])
    cost = np.r_[np.zeros(degree + 1), 1.0]
    found = linprog(
        cost, np.vstack([above, below]), np.r_[centre, -centre], bounds=(None, None), method="highs"
    )
    assert found.status == 0
    return float(found.fun)


def converged(degree: int) -> Levelled:
    """The exchange carried to the end: the band is scaled so that an error of 1 is not in reach and
    the early exit not taken.
    """
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
    # the programme's grid is coarser: its optimum may lie a little low
    assert found.lower <= best * (1 + 2e-3)
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
