"""How far two filters are apart, by octave bands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from earfilt.errors import UsageError, printable

if TYPE_CHECKING:
    from earfilt.arrays import Floats
    from earfilt.chains.members import Filter
    from earfilt.ears.curve import PublishedCurve

OCTAVES = (31.5, 63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0)
_PER_OCTAVE = 96
_REFERENCE_FS = 48_000.0


class Difference(NamedTuple):
    """The difference of two filters in one band.

    Attributes
    ----------
    low, high : float
        Hz.
    largest_db, at_hz : float
        The largest difference, first minus second, and where.
    rms_db : float
        Over log frequency.
    """

    low: float
    high: float
    largest_db: float
    at_hz: float
    rms_db: float


def compare(
    first: Filter, second: Filter, *, fs: float = _REFERENCE_FS, relative_to: float | None = None
) -> list[Difference]:
    """Differences in octave bands, where both are published; the last row is the whole of it.

    Parameters
    ----------
    first, second : Filter
    fs : float
        Hz.
    relative_to : float, optional
        Frequency in Hz at which both count as 0 dB.

    Raises
    ------
    UsageError
        One has no published curve, or their ranges do not overlap.
    """
    curves = [_published(filter, fs) for filter in (first, second)]
    low = max(max(curve.points_hz[0] for curve in curves), OCTAVES[0] / math.sqrt(2))
    high = min(curve.points_hz[-1] for curve in curves)
    if low >= high:
        raise UsageError(
            f"the published ranges of {printable(first.name)} and {printable(second.name)} do not "
            "overlap"
        )
    grid = np.geomspace(low, high, 2 + int(_PER_OCTAVE * math.log2(high / low)))
    levels = [20 * np.log10(curve.aim(grid)) for curve in curves]
    if relative_to is not None:
        at = np.array([relative_to])
        levels = [
            level - 20 * np.log10(curve.aim(at)[0])
            for level, curve in zip(levels, curves, strict=True)
        ]
    difference = levels[0] - levels[1]
    edges = [(centre / math.sqrt(2), centre * math.sqrt(2)) for centre in OCTAVES]
    bands = [_band(grid, difference, *edge) for edge in [*edges, (low, high)]]
    return [band for band in bands if band is not None]


def _published(filter: Filter, fs: float) -> PublishedCurve:
    if filter.sides:
        raise UsageError(f"{printable(filter.name)} has a curve for each ear; compare one of them")
    curve = filter.curve_at(fs)
    if curve is None:
        raise UsageError(f"{printable(filter.name)} holds a FIR, which has no published curve")
    return curve


def _band(grid: Floats, difference: Floats, low: float, high: float) -> Difference | None:
    inside = (grid >= low) & (grid <= high)
    if not inside.any():
        return None
    hz, db = grid[inside], difference[inside]
    worst = int(np.abs(db).argmax())
    rms = math.sqrt(float(np.mean(db**2)))
    return Difference(float(hz[0]), float(hz[-1]), float(db[worst]), float(hz[worst]), rms)
