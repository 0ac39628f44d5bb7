"""Curves at asked frequencies: what a FIR does to the audio there, exactly, as rows for people and
programs.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.levels import Values, evenly
from earfilt.ears.options import checked_fs
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir
from earfilt.version import FORMAT
from earfilt.wording import option

COLUMNS = ("frequency_hz", "magnitude_db", "phase_rad", "group_delay_s")
SCALES = ("log", "linear")
MAX_POINTS = 1 << 20
_USUAL_HZ = (20.0, 20_000.0)  # the ends where none are asked for


@dataclass(frozen=True, eq=False)
class Response:
    """The effective response of one filter at (M,) frequencies, all float64; of several rows of taps
    everything but the frequencies is (rows, M).

    Attributes
    ----------
    freqs : Hz, as asked for.
    magnitude_db : dB; −inf where the response is zero.
    phase_rad : principal value in (−π, π], time zero at the tap that has no delay.
    group_delay_s : seconds, from the coefficients; NaN where the response is zero.
    """

    freqs: Floats
    magnitude_db: Floats
    phase_rad: Floats
    group_delay_s: Floats

    def lowered(self, by_db: float) -> "Response":
        """The same with a gain taken off, dB."""
        return replace(self, magnitude_db=self.magnitude_db - by_db)

    def columns(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The arrays in the order of ``COLUMNS``."""
        return self.freqs, self.magnitude_db, self.phase_rad, self.group_delay_s


def respond(fir: Fir, freqs: Floats) -> Response:
    """Evaluate a FIR at frequencies.

    The group delay is τ(ω) = Re(Σ n·h[n]·e^{−jωn} / H(ω)) / fs, the derivative of the phase without
    differencing it.

    Parameters
    ----------
    fir : Fir
        ``fs`` must be known.
    freqs : (M,) float64
        Hz, within 0 … fs/2.

    Raises
    ------
    UsageError
        The rate of the FIR is unknown, or a frequency lies outside 0 … fs/2.

    References
    ----------
    Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd ed., section 5.1.
    """
    if fir.fs is None:
        raise UsageError(f"the sampling rate of this FIR is not known; {option('fs')} states it")
    check_freqs(freqs, fir.fs)
    spectrum = fir.response(freqs)
    moment = replace(fir, taps=fir.taps * (np.arange(fir.numtaps) - fir.lookahead)).response(freqs)
    with np.errstate(divide="ignore", invalid="ignore"):
        delay = np.where(spectrum == 0.0, np.nan, (moment / spectrum).real / fir.fs)
        return Response(
            np.array(freqs, np.float64),  # not the caller's own, who may go on to write to it
            20.0 * np.log10(np.abs(spectrum)),
            np.angle(spectrum),
            delay,
        )


def level_at(fir: Fir, freq: float) -> float:
    """The level of a FIR at one frequency in Hz, dB.

    Raises
    ------
    UsageError
        As `respond`; or the FIR passes nothing there.
    """
    level = float(respond(fir, np.array([freq])).magnitude_db[0])
    if not math.isfinite(level):
        raise UsageError(f"nothing passes at {freq:g} Hz, so no level can be relative to it")
    return level


def check_freqs(freqs: Floats, fs: float) -> None:
    """Raise UsageError where a frequency lies outside 0 … fs/2, or there is none."""
    if not len(freqs):
        raise UsageError("no frequency is asked for")
    wrong = ~((freqs >= 0.0) & (freqs <= fs / 2.0))
    if wrong.any():
        raise UsageError(
            f"{freqs[wrong][0]:.12g} Hz is asked for; at {fs:.12g} Hz sampling rate a response is "
            f"defined from 0 to {fs / 2:.12g} Hz"
        )


def frequency_grid(
    fs: float,
    *,
    points: int = 512,
    scale: str = "log",
    fmin: float | None = None,
    fmax: float | None = None,
) -> Floats:
    """Frequencies of a curve, both ends included.

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    points : int
        How many, 1 to 2²⁰.
    scale : 'log' or 'linear'
        Equal ratios or equal steps.
    fmin, fmax : float, optional
        Ends in Hz: 20 (log) or 0 (linear), and the smaller of 20 000 and fs/2. On a log scale that
        ends at 20 Hz or below it begins three decades below its end; one that begins at 20 000 Hz
        or above ends at fs/2.

    Returns
    -------
    (points,) float64

    Raises
    ------
    UsageError
        fs is none; ends out of order or outside 0 … fs/2, or a log scale from 0 Hz.

    Examples
    --------
    >>> [float(f) for f in frequency_grid(48000, points=3, fmin=10, fmax=1000).round(6)]
    [10.0, 100.0, 1000.0]
    """
    if not 1 <= points <= MAX_POINTS:
        raise UsageError(f"--points {points}; 1 to {MAX_POINTS} are possible")
    if scale not in SCALES:
        raise UsageError(f"--scale {scale}; it is one of {', '.join(SCALES)}")
    checked_fs(fs)
    high = fmax
    if high is None:
        high = fs / 2.0 if fmin is not None and fmin >= _USUAL_HZ[1] else min(_USUAL_HZ[1], fs / 2)
    low = fmin
    if low is None:
        usual = _USUAL_HZ[0] if high > _USUAL_HZ[0] else 1e-3 * high
        low = usual if scale == "log" else 0.0
    check_freqs(np.array([low, high]), fs)
    if low > high:
        raise UsageError(f"--fmin {low:.12g} is above --fmax {high:.12g}")
    if scale == "linear":
        return np.linspace(low, high, points)
    if low == 0.0:
        raise UsageError(
            "--fmin 0 has no place on a log scale; choose a higher one or --scale linear"
        )
    freqs = np.geomspace(low, high, points)
    freqs[0], freqs[-1] = low, high if points > 1 else low
    return freqs


def to_csv(curves: Sequence[tuple[str, Response]], ears: Sequence[str] = ()) -> str:
    """Rows as CSV, full precision; with several curves a leading ``filter`` column names each (a file
    whose name begins as a formula does, by its path ``./…``), or they stand side by side where they
    are the rows of one filter.

    Parameters
    ----------
    curves : sequence of (str, Response)
        Name and values of each, of one row.
    ears : sequence of str, optional
        What the rows of the one filter are called.
    """
    if ears:
        return _side_by_side([values for _, values in curves], ears)
    several = len(curves) > 1
    curves = [(_cell(name), curve) for name, curve in curves]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*(["filter"] if several else []), *COLUMNS])
    for name, curve in curves:
        writer.writerows([*([name] if several else []), *row] for row in _rows(curve))
    return buffer.getvalue()


def _cell(name: str) -> str:
    """A name that no spreadsheet takes for a formula, and that still names the filter: a file that
    begins as one does is written as a path.

    >>> _cell("=x.csv"), _cell("headphone")
    ('./=x.csv', 'headphone')
    """
    return f"./{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name


def _side_by_side(ears: Sequence[Response], names: Sequence[str]) -> str:
    """Columns of each ear beside a common one of frequencies."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    words = [name.replace(" ", "_") for name in names]
    writer.writerow([COLUMNS[0], *(f"{word}_{column}" for word in words for column in COLUMNS[1:])])
    columns = [ears[0].freqs, *(column for ear in ears for column in ear.columns()[1:])]
    writer.writerows(zip(*(column.tolist() for column in columns), strict=True))
    return buffer.getvalue()


def to_json(curves: Iterable[tuple[dict[str, Any], Response]]) -> str:
    """A JSON array with one object a curve: its facts, then its columns as arrays; what is not
    finite is null.
    """
    found = [
        {"earfilt": "curve", "format": FORMAT}
        | facts
        | {name: _finite(column) for name, column in zip(COLUMNS, curve.columns(), strict=True)}
        for facts, curve in curves
    ]
    return json.dumps(found, allow_nan=False, indent=1) + "\n"


def _rows(curve: Response) -> Iterator[tuple[float, ...]]:
    return zip(*(column.tolist() for column in curve.columns()), strict=True)


def _finite(column: Floats) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in column.tolist()]


@dataclass(frozen=True)
class Difference:
    """A measurement minus a realised curve, dB: its mean, the scatter around the mean (rms), the
    largest value and where (Hz).
    """

    points: int
    mean_db: float
    rms_db: float
    largest_db: float
    largest_hz: float


def compare(fir: Fir, freqs: Floats, gain_db: Floats) -> Difference:
    """Lay a measurement beside a FIR at the measured frequencies up to fs/2.

    Raises
    ------
    UsageError
        No measured frequency lies within 0 … fs/2.
    """
    inside = freqs <= (fir.fs or 0.0) / 2.0
    freqs, gain_db = freqs[inside], gain_db[inside]
    off = gain_db - respond(fir, freqs).magnitude_db
    worst = int(np.abs(off).argmax())
    return Difference(
        len(off), float(off.mean()), float(off.std()), float(off[worst]), float(freqs[worst])
    )


def level_above(fir: Fir, values: Values) -> float:
    """How far a measured level lies above a FIR, dB: the mean over the logarithm of the frequency
    between 100 Hz and 10 kHz.
    """
    hz, db = evenly(values)
    freqs, level = np.array(hz), np.array(db)
    inside = freqs <= (fir.fs or 0.0) / 2.0
    if not inside.any():
        return 0.0
    return float(np.mean(level[inside] - respond(fir, freqs[inside]).magnitude_db))


def measured(freqs: Floats, gain_db: Floats) -> Response:
    """A measurement as a response whose phase and delay are unknown (NaN)."""
    unknown = np.full(len(freqs), np.nan)
    return Response(freqs, gain_db, unknown, unknown)
