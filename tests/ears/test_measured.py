"""A user's curve at a rate: what is refused."""

import pytest

from earfilt.ears.kinds.own import Own
from earfilt.ears.levels import Values
from earfilt.errors import UsageError


@pytest.mark.parametrize("points", [2, 3, 4097])
def test_a_spline_takes_four_points_and_not_too_many(points: int) -> None:
    """Three have no not-a-knot spline; the equations of 100 000 would take 80 GB."""
    ear = Own.of("my.csv", Values(tuple(100.0 + k for k in range(points)), (0.0,) * points))
    with pytest.raises(UsageError, match=f"{points} points, and a spline takes 4 to 4096"):
        ear.at(48000, interpolation="spline")
    assert len(ear.at(48000).freqs) == points
