"""The published curve of an ear, and how far a realised filter is from it.

A curve is two things: the *points* that were published (table rows), and the *aim*, the
interpolated curve through them that a design tries to meet on the whole axis from 0 Hz to fs/2. A
filter is as good as its largest deviation at the points and between neighbouring points; outside
them nothing was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from earfilt.arrays import Floats


@dataclass(frozen=True, eq=False)
class PublishedCurve:
    """What was published, at one sampling rate.

    Parameters
    ----------
    points_hz, points_db
        (N,) float64, N >= 1, frequencies ascending within 0 .. fs/2: the points a tolerance is held
        to, offset by gain normalisation included.
    aim
        Function of frequencies in Hz (any shape, within 0 .. fs/2) that returns the linear
        magnitude the design aims at; it passes through the points.
    fs
        Sampling rate in Hz.
    corners_hz
        Further frequencies, ascending, where the slope of the aim jumps; a design looks at them
        exactly.
    ruled
        Whether a rule that was asked for, or is the source's own, says what the aim is beyond the
        outermost points. Without one a design is free there, within reason.
    covers_hz
        Highest frequency that was published, also where it cannot be met at this rate.
    """

    points_hz: Floats
    points_db: Floats
    aim: Callable[[Floats], Floats]
    fs: float
    corners_hz: Floats = field(default_factory=lambda: np.zeros(0))
    ruled: bool = False
    covers_hz: float = 0.0


def product(curves: Sequence[PublishedCurve]) -> PublishedCurve:
    """The curve of a chain: magnitudes multiplied.

    Its points are the points of all members, within the range where every member has been
    published.

    Parameters
    ----------
    curves
        One or more curves of the same fs.

    Raises
    ------
    ValueError
        If the rates differ, or no frequency lies within the ranges of all members.
    """
    rates = {curve.fs for curve in curves}
    if len(rates) != 1:
        raise ValueError(f"curves of one chain must share one sampling rate, got {sorted(rates)}")
    low = max(curve.points_hz[0] for curve in curves)
    high = min(curve.points_hz[-1] for curve in curves)
    every = _merged([curve.points_hz for curve in curves])
    points_hz = every[(every >= low) & (every <= high)]
    if not points_hz.size:
        raise ValueError(
            f"the published ranges of the chain's members do not overlap ({low:g} Hz > {high:g} Hz)"
        )

    def aim(freqs: Floats) -> Floats:
        # One after the other: a chain may have many members, and frequencies are often millions.
        return reduce(np.multiply, (curve.aim(freqs) for curve in curves))

    corners_hz = _merged([curve.corners_hz for curve in curves])
    ruled = all(curve.ruled for curve in curves)
    covers_hz = min(curve.covers_hz for curve in curves)
    return PublishedCurve(
        points_hz, to_db(aim(points_hz)), aim, curves[0].fs, corners_hz, ruled, covers_hz
    )


def _merged(values: list[Floats]) -> Floats:
    """All that occurs, once, ascending; as ``np.unique``, which would load ``numpy.ma``."""
    every = np.sort(np.concatenate(values))
    return every[np.diff(every, prepend=-np.inf) > 0]


def to_db(magnitude: Floats) -> Floats:
    """20*log10, with -inf for zero."""
    with np.errstate(divide="ignore"):
        return 20 * np.log10(magnitude)
