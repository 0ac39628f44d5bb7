"""A curve as a few biquads: minimum phase, stable, with the least largest deviation that was found.

Sections are added one at a time where the deviation is largest, several candidates side by side,
and all of them are fitted anew each time (`earfilt.synthesis.biquads.minimax`). Only magnitudes are fitted;
the phase follows, since poles and zeros lie inside the unit circle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Complexes, Floats
from earfilt.ears.biquads import Band
from earfilt.errors import UsageError, counted, printable
from earfilt.synthesis.biquads import quadratics
from earfilt.synthesis.biquads.minimax import Family, Goal, descend
from earfilt.synthesis.provenance import Provenance
from earfilt.wording import either, option

__all__ = [
    "MOST_SECTIONS",
    "Aim",
    "Sections",
    "check_band",
    "default_band",
    "design_sections",
]

Found = TypeVar("Found")

Aim = Callable[[Floats], Floats]
"""From frequencies in Hz to dB."""

MOST_SECTIONS = 32
HIGHEST_HZ, LOWEST_HZ, SHARE_OF_FS = 16_000.0, 20.0, 0.45

_BEAM, _LOBES, _WIDTHS = 4, 6, (1.0, 2.5)
_SEARCH, _GROWTH, _FINAL = (2,), (2, 4, 8), (8, 16, 32, 64, 128, 256)
_STEPS, _SWAPS = 8, 2
_TOP_OCTAVES = 3.5  # where the curves of ears have most of their detail
_COARSE, _FINE = (12, 40), (16, 48)  # frequencies an octave, below them and within them
_MOST_POINTS = 400  # of the aim's own corners that are looked at exactly
_EXCHANGES, _MISSED = 5, 1.01  # rounds, and the deviation re the largest that starts another
_DENSE = 8192  # frequencies at which a finished design is measured
# Weights outside the band, re those within: free to run on, as long as nothing towers.
_ABOVE, _BELOW = 0.03, 0.008
_HIGHEST_SHARE = 0.4995


@dataclass(frozen=True, eq=False)
class Sections:
    """Biquads in series at one sampling rate, and what they reach.

    Attributes
    ----------
    sos : (N, 6) float64
        Rows b0 b1 b2 a0 a1 a2 with a0 = 1, as ``scipy.signal.sosfilt`` takes them (which refuses
        read-only arrays); the overall gain is inside the first row's b.
    fs : float
        Sampling rate in Hz.
    band_hz : (float, float), optional
        Where the curve was fitted, Hz.
    deviation_db, deviation_hz : float, optional
        Largest deviation from the curve within the band, and where.
    bands : tuple of earfilt.ears.biquads.Band
        The same as peaking and shelving bands with their Q, in the order of the rows; empty for
        free sections.
    preamp_db : float
        Gain beside the bands, dB.
    provenance : Provenance
        Of the curve.

    Examples
    --------
    >>> import earfilt
    >>> sections = earfilt.design_sections("headphone", fs=48000, sections=4)
    >>> len(sections), sections.sos.shape
    (4, (4, 6))
    >>> sections.deviation_db < 0.5
    True
    """

    sos: Floats
    fs: float
    band_hz: tuple[float, float] | None = None
    deviation_db: float | None = None
    deviation_hz: float | None = None
    bands: tuple[Band, ...] = ()
    preamp_db: float = 0.0
    provenance: Provenance = field(default_factory=Provenance)

    def __len__(self) -> int:
        return len(self.sos)

    def __repr__(self) -> str:
        what = counted(len(self), "band" if self.bands else "section")
        of = printable(self.provenance.filter or "coefficients")
        off = "" if self.deviation_db is None else f", deviation_db {self.deviation_db:.3g}"
        return f"<{type(self).__name__} of {of}: {what} at {self.fs:.12g} Hz{off}>"

    def response(self, freqs: Floats) -> Complexes:
        """H(f) at frequencies in Hz: complex128 of their shape."""
        return sos_response(self.sos, np.asarray(freqs, np.float64) / self.fs)

    @cached_property
    def largest_gain(self) -> tuple[float, float]:
        """dB, and where: Hz."""
        freqs = np.append(0.0, np.geomspace(1.0, self.fs / 2.0, _DENSE))
        gain = np.abs(self.response(freqs))
        top = int(gain.argmax())
        return float(20.0 * np.log10(max(gain[top], 1e-300))), float(freqs[top])

    def lowered(self, db: float) -> Sections:
        """The same at a lower level; bands have a lower preamp."""
        sos = self.sos.copy()
        sos[0, :3] *= 10.0 ** (-db / 20.0)
        told = replace(self.provenance, lowered_db=db)
        return replace(self, sos=sos, preamp_db=round(self.preamp_db - db, 6), provenance=told)

    @cached_property
    def largest_radius(self) -> float:
        """Of all poles."""
        return float(max(np.abs(np.roots(row[3:])).max(initial=0.0) for row in self.sos))

    def rounding_db(self, sos: Floats) -> float:
        """Largest change of the magnitude within the band, dB, where other coefficients, such as
        rounded ones, take the place of these; infinite where a pole leaves the unit circle.
        """
        if max(np.abs(np.roots(row[3:])).max(initial=0.0) for row in sos) >= 1.0:
            return math.inf
        freqs = np.geomspace(*(self.band_hz or (LOWEST_HZ, SHARE_OF_FS * self.fs)), _DENSE)
        ratio = np.abs(sos_response(sos, freqs / self.fs) / self.response(freqs))
        return float(np.abs(20.0 * np.log10(np.maximum(ratio, 1e-300))).max())

    @cached_property
    def float32_db(self) -> float:
        """What rounding the coefficients to 32-bit floats changes, dB: see `rounding_db`."""
        return self.rounding_db(self.sos.astype(np.float32).astype(np.float64))

    @cached_property
    def q30_db(self) -> float:
        """The same for 32-bit integers with 30 bits behind the point (or fewer, where a coefficient
        is 2 or more).
        """
        scale = 2.0 ** (31 - self.post_shift)
        return self.rounding_db(np.rint(self.sos * scale) / scale)

    @property
    def post_shift(self) -> int:
        """The bits before the point that 32-bit coefficients need: 1 as a rule, for ``|c| < 2``."""
        coefficients = self.sos[:, [0, 1, 2, 4, 5]]
        largest = float(np.abs(coefficients).max())
        shift = max(1, math.frexp(largest)[1])
        return shift if round(largest * 2.0 ** (31 - shift)) < 1 << 31 else shift + 1


def sos_response(sos: Floats, cycles: Floats) -> Complexes:
    """H of rows b0 b1 b2 a0 a1 a2 at frequencies in cycles per sample."""
    z = np.exp(-2j * np.pi * cycles)
    response = np.ones_like(z)
    for b0, b1, b2, a0, a1, a2 in sos:
        response *= (b0 + z * (b1 + z * b2)) / (a0 + z * (a1 + z * a2))
    return response


def default_band(fs: float, range_hz: tuple[float, float] | None) -> tuple[float, float]:
    """Where a curve is fitted: 20 Hz to the lowest of 16 kHz, 0.45·fs and the source's end.

    >>> default_band(48000.0, (125.0, 9000.0))
    (125.0, 9000.0)
    """
    first, last = range_hz or (0.0, math.inf)
    return max(LOWEST_HZ, first), min(HIGHEST_HZ, SHARE_OF_FS * fs, last)


def check_band(band: tuple[float, float], fs: float) -> None:
    """Refuse a band that is empty or does not lie within 0 … 0.49·fs.

    Raises
    ------
    UsageError
    """
    low, high = band
    if not 0.0 < low < high <= 0.49 * fs:
        raise UsageError(
            f"{_band(low, high)}; two frequencies above 0 Hz are needed, the lower one first, up "
            f"to 0.49 of fs ({0.49 * fs:g} Hz)"
        )
    if high / low < 2.0:
        raise UsageError(f"{_band(low, high)}; it must be at least an octave wide")


def _band(low: float, high: float) -> str:
    return either(f"--band {low:g}:{high:g}", f"band=({low:g}, {high:g})")


def design_sections(
    aim: Aim,
    fs: float,
    *,
    sections: int | None = None,
    tolerance_db: float | None = None,
    band: tuple[float, float] | None = None,
    corners_hz: Floats | None = None,
) -> Sections:
    """Fit biquads to a curve.

    Parameters
    ----------
    aim : callable
        From frequencies in Hz to dB, finite.
    fs : float
        Sampling rate in Hz.
    sections : int, optional
        How many, 1 to 32.
    tolerance_db : float, optional
        In place of that: the fewest that stay within it.
    band : (float, float), optional
        Hz; default as `default_band`. Beyond it the sections run on smoothly.
    corners_hz : array of float, optional
        Frequencies where the curve has corners; they are looked at exactly.

    Returns
    -------
    Sections
        Poles and zeros within a radius of 0.9999. With ``tolerance_db`` that no 32 sections meet,
        the best ones found.

    Raises
    ------
    UsageError
        Both or neither of ``sections`` and ``tolerance_db``, or impossible values.

    Examples
    --------
    >>> tilt = lambda freqs: 3.0 * np.log2(freqs / 1000.0)
    >>> found = design_sections(tilt, 48000.0, sections=4)
    >>> len(found), found.deviation_db < 0.1
    (4, True)
    """
    check_amount(sections, tolerance_db)
    band = default_band(fs, None) if band is None else band
    check_band(band, fs)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        task = Task(aim, fs, band, np.zeros(0) if corners_hz is None else corners_hz)
        return fewest(
            _grown(task),
            lambda found: task.best(_QUADRATICS, _exchanged(task, found)),
            sections,
            tolerance_db,
        )


def check_amount(sections: int | None, tolerance_db: float | None) -> None:
    """Refuse both or neither of a number of sections and a tolerance, and impossible values."""
    if (sections is None) == (tolerance_db is None):
        raise UsageError(
            f"give one of {option('sections')} (how many) and {option('tolerance')} (how close)"
        )
    if sections is not None and not 1 <= sections <= MOST_SECTIONS:
        raise UsageError(f"{option('sections', sections)}; 1 to {MOST_SECTIONS} are possible")
    if tolerance_db is not None and not 0.0 < tolerance_db <= 20.0:
        raise UsageError(
            f"{option('tolerance', float(tolerance_db))}; it must be above 0 and at most 20 dB"
        )


def fewest(
    grown: Iterator[Found],
    finished: Callable[[Found], Sections],
    sections: int | None,
    tolerance_db: float | None,
) -> Sections:
    """As many sections as are asked for, or the fewest within a tolerance.

    Parameters
    ----------
    grown : iterator
        What was found with one section, with two, and so on.
    finished : callable
        From that to a design.
    sections, tolerance_db
        As `design_sections`.
    """
    best: Sections | None = None
    for count, found in enumerate(grown, start=1):
        if tolerance_db is None and count < (sections or 0):
            continue
        design = finished(found)
        if best is None or _deviation(design) < _deviation(best):
            best = design
        if tolerance_db is None or _deviation(best) <= tolerance_db or count == MOST_SECTIONS:
            break
    assert best is not None
    return best


def _deviation(found: Sections) -> float:
    return math.inf if found.deviation_db is None else found.deviation_db


class _Quadratics:
    """Free sections, as a family that can be fitted."""

    level_db = staticmethod(quadratics.level_db)
    slopes = staticmethod(quadratics.slopes)
    allowed = staticmethod(quadratics.within_circle)

    def taking(self, which: NDArray[np.int64]) -> Family:
        return self


_QUADRATICS: Family = _Quadratics()


@dataclass(frozen=True, eq=False)
class Task:
    """A curve to fit at one sampling rate, within a band."""

    aim: Aim
    fs: float
    band: tuple[float, float]
    corners_hz: Floats

    @cached_property
    def coarse(self) -> Goal:
        """For the search."""
        return self._goal(self._frequencies(*_COARSE))

    @cached_property
    def fine(self) -> Goal:
        """For the end: denser, and with the corners of the aim."""
        return self._goal(self._with_corners(self._frequencies(*_FINE), _MOST_POINTS))

    @cached_property
    def dense_hz(self) -> Floats:
        """Where a finished design is measured: densely within the band, and at all corners."""
        low, high = self.band
        even = np.geomspace(low, high, _DENSE).clip(low, high)
        return np.sort(np.concatenate([even, self._inner()]))

    @cached_property
    def dense(self) -> Goal:
        """The aim there."""
        even = np.ones(len(self.dense_hz))
        db = np.asarray(self.aim(self.dense_hz), np.float64)
        return Goal(quadratics.warped(self.dense_hz, self.fs), db, even, even)

    def best(self, family: Family, candidates: Floats) -> Sections:
        """Candidates fitted to the end, and the best of them measured on its coefficients."""
        numbers, norms = self.fitted(family, candidates)
        return self.measured(Sections(quadratics.sections(numbers[int(np.argmin(norms))]), self.fs))

    def fitted(self, family: Family, candidates: Floats) -> tuple[Floats, Floats]:
        """Candidates fitted to the end, and the largest deviation of each within the band.

        Where a deviation peaks between the frequencies of the fit, those are added to it.
        """
        goal = self.fine
        powers: tuple[int, ...] = _FINAL
        dense = self.dense
        for _ in range(_EXCHANGES):
            candidates, _ = descend(family, candidates, goal, powers, 12)
            off = np.abs(family.level_db(candidates, dense.u) - dense.db)
            held = np.abs(family.level_db(candidates, goal.u) - goal.db)
            largest = held[:, goal.above == 1.0].max(1)
            missed = off > _MISSED * largest[:, None]
            if not missed.any():
                break
            peaks = missed & (off >= np.roll(off, 1, 1)) & (off >= np.roll(off, -1, 1))
            goal, powers = goal.joined(dense, peaks.any(0)), _FINAL[-4:]
        return candidates, off.max(1)

    def measured(self, found: Sections) -> Sections:
        """The same with its deviation."""
        reached = 20.0 * np.log10(np.abs(found.response(self.dense_hz)))
        off = np.abs(reached - self.dense.db)
        worst = int(np.argmax(off))
        return replace(
            found,
            band_hz=self.band,
            deviation_db=float(off[worst]),
            deviation_hz=float(self.dense_hz[worst]),
        )

    def _inner(self) -> Floats:
        corners = self.corners_hz
        return corners[(corners > self.band[0]) & (corners < self.band[1])]

    def _with_corners(self, freqs: Floats, most: int) -> Floats:
        """Frequencies, and corners of the aim among them, evenly thinned out to about this many."""
        inner = self._inner()
        return np.sort(np.concatenate([freqs, inner[:: 1 + len(inner) // most]]))

    def _frequencies(self, below: int, within: int) -> Floats:
        low, high = np.log2(self.band)
        turn = max(low, high - _TOP_OCTAVES)
        return np.asarray(
            2.0
            ** np.concatenate(
                [
                    np.linspace(low, turn, math.ceil((turn - low) * below) + 1)[:-1],
                    np.linspace(turn, high, math.ceil((high - turn) * within) + 1),
                ]
            )
        ).clip(*self.band)

    def _goal(self, freqs: Floats) -> Goal:
        low, high = self.band
        top = _HIGHEST_SHARE * self.fs
        under = np.geomspace(low / 8.0, low, 7)[:-1]
        over = np.geomspace(high, top, 14)[1:] if high < 0.99 * top else np.zeros(0)
        every = np.concatenate([under, freqs, over])
        inside = np.concatenate([0 * under, freqs > 0, 0 * over]) > 0
        return Goal(
            quadratics.warped(every, self.fs),
            np.asarray(self.aim(every.clip(low, high)), np.float64),
            np.where(inside, 1.0, _ABOVE),
            np.where(inside, 1.0, _BELOW),
        )


def _grown(task: Task) -> Iterator[Floats]:
    """Candidates of one section, of two, and so on: (B, 4·N + 1) each."""
    inside = task.coarse.above == 1.0
    best = np.full((1, 1), task.coarse.db[inside].mean())
    while True:
        best = _with_one_more(task, best)
        yield best


def _with_one_more(task: Task, candidates: Floats) -> Floats:
    starts = [start for numbers in candidates for start in _starts(numbers, task.coarse)]
    return selected(_QUADRATICS, np.array(starts), task.coarse, _BEAM)[1]


def _exchanged(task: Task, candidates: Floats) -> Floats:
    """The best candidates after sections were added and others taken away, some times over."""
    for _ in range(_SWAPS):
        more = _with_one_more(task, candidates)
        left = [chain for numbers in more for chain in quadratics.without_one(numbers)]
        fewer = selected(_QUADRATICS, np.array(left), task.coarse, _BEAM)[1]
        both, norms = descend(
            _QUADRATICS, np.concatenate([candidates, fewer]), task.coarse, _GROWTH[-1:], 2
        )
        candidates = both[distinct(norms, _BEAM)]
    return candidates


def selected(
    family: Family, starts: Floats, goal: Goal, beam: int
) -> tuple[NDArray[np.int64], Floats]:
    """The few best of many starts, fitted, equal ones once: their indices, and their numbers."""
    numbers, norms = descend(family, starts, goal, _SEARCH, _STEPS)
    first = np.argsort(norms, kind="stable")[: 3 * beam]
    numbers, norms = descend(family.taking(first), numbers[first], goal, _GROWTH, _STEPS)
    kept = distinct(norms, beam)
    return first[kept], numbers[kept]


def distinct(norms: Floats, beam: int) -> list[int]:
    """Indices of the smallest values, those that differ by less than 0.1 % once."""
    kept: list[int] = []
    for index in np.argsort(norms, kind="stable").tolist():
        if all(abs(norms[index] - norms[other]) > 1e-3 * norms[other] for other in kept):
            kept.append(index)
    return kept[:beam]


def _starts(numbers: Floats, goal: Goal) -> Iterator[Floats]:
    """One chain with a section more: a bell on each of the largest lobes of its deviation, or a
    shelf at a quarter, half or three quarters of the band.
    """
    off = quadratics.level_db(numbers[None], goal.u)[0] - goal.db
    inside = goal.above == 1.0
    octaves, off = np.log(goal.u[inside]), off[inside]
    for lobe in lobes(octaves, off)[:_LOBES]:
        for width in _WIDTHS:
            yield _with_section(numbers, *_bell(lobe, width))
    for middle in (len(off) // 4, len(off) // 2, 3 * len(off) // 4):
        rise = off[middle:].mean() - off[:middle].mean()
        yield _with_section(numbers, *_shelf(octaves[middle], rise))


@dataclass(frozen=True)
class Lobe:
    """A stretch where the deviation has one sign: where it peaks (ln u), by how much, in dB, a
    filter must change there, and how wide it is at half the height (ln Ω).
    """

    place: float
    gain_db: float
    width: float


def lobes(place: Floats, off: Floats) -> list[Lobe]:
    """The lobes of a deviation in dB over ln u, the largest first."""
    found = []
    for part in np.split(np.arange(len(off)), np.flatnonzero(np.diff(np.sign(off))) + 1):
        peak = part[np.argmax(np.abs(off[part]))]
        high = part[np.abs(off[part]) >= np.abs(off[peak]) / 2.0]
        width = float(place[high[-1]] - place[high[0]]) / 2.0
        found.append(Lobe(float(place[peak]), -float(off[peak]), min(max(width, 0.01), 3.0)))
    return sorted(found, key=lambda lobe: -abs(lobe.gain_db))


Pair = tuple[float, float]


def _bell(lobe: Lobe, width: float) -> tuple[Pair, Pair]:
    """Zeros and poles of a bell."""
    half = math.log(10.0) * lobe.gain_db / 40.0
    damping = lobe.place / 2.0 + math.log(min(lobe.width * width, 3.0))
    return (lobe.place, damping + half), (lobe.place, damping - half)


def _shelf(place: float, low_db: float) -> tuple[Pair, Pair]:
    """Zeros and poles of a low shelf."""
    half = math.log(10.0) * low_db / 40.0
    damping = place / 2.0 + math.log(2.0) / 2.0
    return (place + half, damping + half / 2.0), (place - half, damping - half / 2.0)


def _with_section(numbers: Floats, zeros: Pair, poles: Pair) -> Floats:
    count = len(numbers) // 4
    split = 2 * count
    return np.concatenate([numbers[:split], zeros, numbers[split:-1], poles, numbers[-1:]])
