"""What is drawn, in a figure or in a terminal: curves, measurements, and the ends of their axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from earfilt.arrays import Floats
from earfilt.chains.describe import legend, points_words
from earfilt.ears.levels import Values, db_at
from earfilt.errors import UsageError, printable
from earfilt.synthesis.response import Response
from earfilt.wording import option

if TYPE_CHECKING:
    from earfilt.chains.members import Filter
    from earfilt.directions.interaural import Interaural
    from earfilt.synthesis.fir import Fir
    from earfilt.synthesis.provenance import Provenance

_RANGE_DB = 80.0  # below its peak a curve without published points is not drawn
_TICKS = [float(digit * 10**power) for power in range(7) for digit in (1, 2, 5)]


class Band(NamedTuple):
    """The range of a standard deviation or a tolerance: (N,) Hz, (N,) dB, (N,) dB."""

    freqs: Floats
    low_db: Floats
    high_db: Floats


@dataclass(frozen=True, eq=False)
class Line:
    """One curve to draw.

    Attributes
    ----------
    label : str
        For the legend.
    response : Response
    points : (freqs, gain_db), optional
        The published points, Hz and dB.
    range_hz : (float, float), optional
        What was published, as far as the rate lets it be met; beyond it the line is faint.
    bands : tuple of Band
        How far the source says that ears scatter, or are allowed to.
    name : str
        For a legend with little room; default the label.
    between : Interaural, optional
        Of the left ear of a pair: what lies between it and the right one, which is the next line.
    marks : str
        What the points are.
    fs : float, optional
        Sampling rate that it was realised at, Hz.
    """

    label: str
    response: Response
    points: tuple[Floats, Floats] | None = None
    range_hz: tuple[float, float] | None = None
    bands: tuple[Band, ...] = ()
    name: str = ""
    between: Interaural | None = None
    marks: str = "published"
    fs: float | None = None


@dataclass(frozen=True, eq=False)
class Measurement:
    """A curve of the user's own, drawn as it is: Hz, dB."""

    label: str
    freqs: Floats
    gain_db: Floats

    def at(self, freqs: Floats) -> Floats:
        """dB at (M,) frequencies in Hz, as a filter of the same curve has them."""
        return db_at(Values(tuple(self.freqs.tolist()), tuple(self.gain_db.tolist())), freqs)


def line_of(
    filter: Filter, fir: Fir, response: Response, *, label: str = "", below_db: float = 0.0
) -> Line:
    """A realised filter with what was published.

    Parameters
    ----------
    filter : Filter
    fir : Fir
        The filter at one rate.
    response : Response
        Of the FIR, less ``below_db``.
    label : str
        Default: the design and its sources.
    below_db : float
        What is taken off every level, dB.
    """
    curve = filter.curve_at(fir.fs or 0.0)
    points = None if curve is None else (curve.points_hz, curve.points_db - below_db)
    return Line(
        label or legend(fir),
        response,
        points,
        _met(fir.provenance),
        () if points is None else _bands(filter, points),
        label or fir.provenance.filter or filter.applied,
        marks=points_words(fir.provenance),
        fs=fir.fs,
    )


def _met(told: Provenance) -> tuple[float, float] | None:
    """The published range, as far as a filter of this rate can meet it."""
    if told.range_hz is None or told.held_to_hz is None:
        return told.range_hz
    return told.range_hz[0], told.held_to_hz


def marks_of(lines: Sequence[Line]) -> str:
    """What the points of some lines are."""
    return " or ".join(dict.fromkeys(line.marks for line in lines if line.points is not None))


def with_between(lines: Sequence[Line], fir: Fir) -> list[Line]:
    """The lines of the rows of a FIR; of a pair, with what lies between its ears."""
    if fir.rows != 2:
        return list(lines)
    from earfilt.directions.interaural import Interaural

    left, right = lines
    return [replace(left, between=Interaural.of(fir, left.response.freqs)), right]


def _bands(filter: Filter, points: tuple[Floats, Floats]) -> tuple[Band, ...]:
    """What the source of a single ear states beside its points; it does not go through a chain or
    an inverse.
    """
    ears = [member.ear for member in filter.members]
    if len(ears) != 1 or ears[0] is None:
        return ()
    stated = ears[0].points
    _, here, there = np.intersect1d(points[0], stated.freqs, return_indices=True)
    freqs, level = points[0][here], points[1][here]
    column = {name: np.array(values)[there] for name, values in stated.bands.items()}
    bands = []
    if "sd_db" in column:
        bands.append(Band(freqs, level - column["sd_db"], level + column["sd_db"]))
    if "tol_lower_db" in column and "tol_upper_db" in column:
        bands.append(Band(freqs, level + column["tol_lower_db"], level + column["tol_upper_db"]))
    return tuple(bands)


def relative(measurement: Measurement, freq: float) -> Measurement:
    """A measurement that is 0 dB at a frequency, at a point or between two.

    Raises
    ------
    UsageError
        It does not reach there.
    """
    freqs, gain_db = measurement.freqs, measurement.gain_db
    if not freqs[0] <= freq <= freqs[-1]:
        raise UsageError(
            f"{option('relative_to', float(freq))} lies outside {printable(measurement.label)}, "
            f"which goes from {freqs[0]:.12g} to {freqs[-1]:.12g} Hz"
        )
    return replace(measurement, gain_db=gain_db - measurement.at(np.array([freq])))


def level_range(
    lines: Sequence[Line],
    measurements: Sequence[Measurement],
    *,
    ymin: float | None = None,
    ymax: float | None = None,
) -> tuple[float, float]:
    """Ends of the level axis in dB: those asked for, or all that was published or measured, and
    curves down to 80 dB below their peak.

    Raises
    ------
    UsageError
        The ends are no levels, or no range.
    """
    for name, end in (("ymin", ymin), ("ymax", ymax)):
        if end is not None and not math.isfinite(end):
            raise UsageError(f"{option(name, float(end))} is not a level")
    found = _all_levels(lines, measurements)
    low, high = found[0] if ymin is None else ymin, found[1] if ymax is None else ymax
    if low >= high:
        raise UsageError(
            f"levels from {low:g} to {high:g} dB are not a range; {option('ymin')} and "
            f"{option('ymax')} say both ends"
        )
    return low, high


def _all_levels(lines: Sequence[Line], measurements: Sequence[Measurement]) -> tuple[float, float]:
    sure = [line.points[1] for line in lines if line.points is not None] + [
        m.gain_db for m in measurements
    ]
    sure += [levels for line in lines for band in line.bands for levels in band[1:]]
    levels = np.concatenate([line.response.magnitude_db for line in lines])
    levels = levels[np.isfinite(levels)]
    peak = max([float(part.max()) for part in (levels, *sure) if part.size], default=0.0)
    low = min(
        [float(part.min()) for part in sure]
        + [float(levels[levels >= peak - _RANGE_DB].min(initial=peak))]
    )
    margin = max(1.0, 0.05 * (peak - low))
    return low - margin, peak + margin


def frequency_range(lines: Sequence[Line]) -> tuple[float, float]:
    freqs = np.concatenate([line.response.freqs for line in lines])
    return float(freqs.min()), float(freqs.max())


def ticks_between(low: float, high: float, *, most: int) -> list[float]:
    """Frequencies of the series 1, 2, 5 within a range, thinned to decades where there are more
    than ``most``.
    """
    inside = [tick for tick in _TICKS if low <= tick <= high]
    return (
        inside
        if len(inside) <= most
        else [tick for tick in inside if math.log10(tick).is_integer()]
    )


def short_hz(freq: float) -> str:
    """Short frequency label.

    >>> short_hz(500.0), short_hz(20000.0)
    ('500', '20k')
    """
    return f"{freq / 1000:g}k" if freq >= 1000 else f"{freq:g}"
