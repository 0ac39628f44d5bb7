"""From recordings to a curve: the order of the steps, and what is found."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError, counted, printable
from earfilt.measure import checks
from earfilt.measure.alignment import Clock, follow, settled
from earfilt.measure.excess import Excess, excess
from earfilt.measure.local import Transfer, log_grid, transfer
from earfilt.measure.shifting import PASSBAND
from earfilt.measure.spectra import Spectra
from earfilt.storage.writing import write_bytes

Estimator = Literal["h1", "h2"]
Mean = Literal["db", "power"]

LOWEST_HZ, HIGHEST_HZ = 20.0, 20_000.0
HIGHEST_SHARE = 0.45
"""Of fs, where a curve ends."""

LEAST_COHERENCE = 0.5
"""Below it, a point is left out."""

_INTERVAL = 1.959964  # standard deviations on both sides: 95 %
_GAIN_BAND_HZ = (100.0, 10_000.0)
_EDGE = 0.499  # of fs; the delay wants to know the magnitude as far as there is any


@dataclass(frozen=True, eq=False)
class Seating:
    """One pair of recordings.

    Attributes
    ----------
    curve : Transfer
        At the frequencies of the asked band.
    delay : float
        Delay in samples, on top of the phase of the filter itself.
    inverted : bool
    minimum_phase : bool
        What that phase is: the minimum phase of the curve, or none.
    phase_fit : float
        1 if delay, polarity and that phase explain the whole phase, 0 if they explain nothing.
    drift_ppm, drift_sd_ppm : float or None
        By how much the recorder's clock runs faster than the player's; None for a sweep.
    harmonics : tuple of (int, float)
        For a sweep: their order, and level in dB re the fundamental.
    """

    curve: Transfer
    delay: float
    inverted: bool
    minimum_phase: bool
    phase_fit: float
    drift_ppm: float | None = None
    drift_sd_ppm: float | None = None
    harmonics: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Identified:
    """A curve measured from recordings.

    Attributes
    ----------
    frequency_hz, gain_db, coherence, lower_db, upper_db : (N,) float64
        Where the coherence is at least 0.5: the gain from one recording to the other, and its
        interval of 95 % confidence.
    sd_db : (N,) float64 or None
        Standard deviation between several seatings.
    fs : float
        Hz.
    asked_hz : (float, float)
    estimator : 'h1', 'h2' or 'sweep'
    mean : 'db' or 'power'
        How seatings were averaged.
    seatings : tuple of Seating

    Examples
    --------
    >>> import earfilt
    >>> dry = np.random.default_rng(0).standard_normal(160_000)
    >>> found = earfilt.identify(dry, 0.5 * dry, fs=16000)
    >>> bool(np.abs(found.gain_db + 6.02).max() < 0.01)
    True
    """

    frequency_hz: Floats
    gain_db: Floats
    coherence: Floats
    lower_db: Floats
    upper_db: Floats
    sd_db: Floats | None
    fs: float
    asked_hz: tuple[float, float]
    estimator: str
    mean: str
    seatings: tuple[Seating, ...]

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {counted(len(self.frequency_hz), 'frequency', 'frequencies')} "
            f"at {self.fs:.12g} Hz, {self.estimator}, {counted(len(self.seatings), 'seating')}>"
        )

    @property
    def band_hz(self) -> tuple[float, float]:
        """The usable band: between the first and the last point."""
        return float(self.frequency_hz[0]), float(self.frequency_hz[-1])

    @property
    def mean_gain_db(self) -> float:
        """Mean of the gain in dB over the logarithm of the frequency, 100 Hz to 10 kHz."""
        low, high = _GAIN_BAND_HZ
        kept = (self.frequency_hz >= low) & (self.frequency_hz <= high)
        return float(self.gain_db[kept].mean() if kept.any() else self.gain_db.mean())

    def to_csv(self, comments: Sequence[str] = ()) -> str:
        """Its table, as ``-f`` reads it, behind lines of comments."""
        columns = self.columns()
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        lines = [*(f"# {printable(one)}" for one in comments), ",".join(columns)]
        lines += [",".join(_written(value) for value in row) for row in rows]
        return "\n".join(lines) + "\n"

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write it as a ``.csv`` that every ``filter=`` and ``-f`` read.

        Parameters
        ----------
        path : path
        force : bool
            Replace an existing file.

        Raises
        ------
        UsageError
            The extension is another; the file exists.
        AudioError
            The file cannot be written.
        """
        if os.path.splitext(path)[1].lower() != ".csv":
            raise UsageError(f"a curve is saved as .csv, not as {printable(os.fspath(path))}")
        write_bytes(path, self.to_csv().encode(), force=force)

    def columns(self) -> dict[str, Floats]:
        """The columns of its table, by name."""
        named = {
            "frequency_hz": self.frequency_hz,
            "gain_db": self.gain_db,
            "coherence": self.coherence,
            "lower_db": self.lower_db,
            "upper_db": self.upper_db,
        }
        return named if self.sd_db is None else {**named, "sd_db": self.sd_db}


def _written(value: float) -> str:
    return f"{value:.7g}"


def checked_band(band: tuple[float, float] | None, fs: float) -> tuple[float, float]:
    """The band of a curve in Hz, the default where none is asked.

    Raises
    ------
    UsageError
        It is empty, or beyond 0.45·fs.
    """
    highest = HIGHEST_SHARE * fs
    if band is None:
        return LOWEST_HZ, min(HIGHEST_HZ, highest)
    low, high = band
    if not 1.0 <= low < high <= highest:
        raise UsageError(
            f"a band from {low:g} to {high:g} Hz; at {fs:g} Hz it lies between 1 and {highest:g} Hz"
        )
    return low, high


def identify(
    dry: Sequence[Floats],
    wet: Sequence[Floats],
    fs: float,
    *,
    estimator: Estimator = "h1",
    band: tuple[float, float] | None = None,
    mean: Mean = "db",
) -> Identified:
    """The curve of one or several seatings.

    Parameters
    ----------
    dry, wet : sequences of (T,) float64
        What was played, and what came of it; one pair a seating.
    fs : float
        Hz.
    estimator : 'h1' or 'h2'
    band : (float, float), optional
        Hz.
    mean : 'db' or 'power'

    Raises
    ------
    UsageError
        As `checked_band` and `identify_pair`; the message says which seating, where there are some.
    """
    asked = checked_band(band, fs)

    def one(a: Floats, b: Floats) -> Seating:
        return identify_pair(a, b, fs, band=asked, estimator=estimator)

    return combined(seatings_of(one, dry, wet), fs, band=asked, estimator=estimator, mean=mean)


def seatings_of(
    one: Callable[[Floats, Floats], Seating], dry: Sequence[Floats], wet: Sequence[Floats]
) -> list[Seating]:
    """What each pair of recordings says; a refusal says which it is."""
    found = []
    for number, (a, b) in enumerate(zip(dry, wet, strict=True), start=1):
        try:
            found.append(one(a, b))
        except UsageError as error:
            if len(dry) == 1:
                raise
            raise UsageError(f"seating {number}: {error}") from error
    return found


def identify_pair(
    dry: Floats, wet: Floats, fs: float, *, band: tuple[float, float], estimator: Estimator
) -> Seating:
    """The transfer function from one recording to another.

    Raises
    ------
    UsageError
        Silence, clipping, nothing in common, a drift above 500 ppm, lost samples, halves that
        differ by more than 1 dB, a coherence below 0.5 in more than a third of the band.
    """
    checks.check_signal(dry, "the input")
    checks.check_signal(wet, "the target")
    checks.check_clipping(wet, "the target")
    clock, found = settled(dry, wet, fs, follow(dry, wet))
    h2 = estimator == "h2"
    low = max(band[0], _lowest(found))
    curve = transfer(found, log_grid(low, band[1]), h2=h2)
    checks.check_coherence(curve, band, LEAST_COHERENCE)
    checks.check_halves(found, curve)
    beside = _excess(found, clock, fs, h2=h2)
    return Seating(
        curve,
        clock.delay + beside.delay,
        beside.inverted,
        beside.minimum_phase,
        beside.fit,
        clock.drift * 1e6,
        clock.drift_sd * 1e6,
    )


def _lowest(found: Spectra) -> float:
    """The lowest frequency that is resolved."""
    return 4.0 * float(found.freqs[1])


def _excess(found: Spectra, clock: Clock, fs: float, *, h2: bool) -> Excess:
    """Delay and polarity, beside a minimum phase that takes the magnitude near fs/2 as it is, or as
    held: filters of recorders have no minimum phase there. What explains more of the phase counts.
    """
    highest = PASSBAND if clock.drift else _EDGE
    curve = transfer(found, log_grid(_lowest(found), highest * fs), h2=h2)
    return max(
        (excess(found, curve.up_to(share * fs), fs) for share in (highest, HIGHEST_SHARE)),
        key=lambda one: one.fit,
    )


def combined(
    seatings: Sequence[Seating],
    fs: float,
    *,
    band: tuple[float, float],
    estimator: str,
    mean: Mean = "db",
) -> Identified:
    """The mean of several seatings, at the points where each is coherent.

    Raises
    ------
    UsageError
        They have no such points in common.
    """
    grids = [seating.curve.freqs for seating in seatings]
    freqs = max(grids, key=lambda grid: grid[0])
    curves = [_at(seating.curve, freqs) for seating in seatings]
    kept = np.all([one[1] >= LEAST_COHERENCE for one in curves], axis=0)
    if kept.sum() < 2:
        raise UsageError("the seatings have no band in common in which all of them are coherent")
    gains = np.stack([one[0][kept] for one in curves])
    coherence = np.mean([one[1][kept] for one in curves], axis=0)
    spread = np.sqrt(np.sum([one[2][kept] ** 2 for one in curves], axis=0)) / len(curves)
    if mean == "power":
        gain_db = 10.0 * np.log10(np.mean(10.0 ** (gains / 10.0), axis=0))
    else:
        gain_db = gains.mean(0)
    return Identified(
        freqs[kept],
        gain_db,
        coherence,
        gain_db - _INTERVAL * spread,
        gain_db + _INTERVAL * spread,
        gains.std(0, ddof=1) if len(seatings) > 1 else None,
        fs,
        band,
        estimator,
        mean,
        tuple(seatings),
    )


def _at(curve: Transfer, freqs: Floats) -> tuple[Floats, Floats, Floats]:
    """Gain in dB, coherence and standard deviation at other frequencies."""
    if np.array_equal(curve.freqs, freqs):
        return curve.gain_db, curve.coherence, curve.sd_db
    at, own = np.log(freqs), np.log(curve.freqs)
    gain_db, coherence, sd_db = (
        np.interp(at, own, part) for part in (curve.gain_db, curve.coherence, curve.sd_db)
    )
    return gain_db, coherence, sd_db
