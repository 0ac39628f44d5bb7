"""A filter that stays within a tolerance of its published curve, found in milliseconds.

Any polynomial within the band (``earfilt.synthesis.within.band``) makes such a filter; the smallest degree
is not asked for (that is ``earfilt.synthesis.within.tolerance``). Degrees are tried on a coarse scale,
four to an octave, until one leaves room (``earfilt.synthesis.within.projections``). Where to begin is
known from the same curve at a quarter of the rate, where all costs are a quarter and so is the
degree; and so on, down to where three points are left. A curve so deep that rounding at its peak
would swamp its depths is followed by a power of P: P follows a root of it, less deep by as much.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.curve import PublishedCurve
from earfilt.ears.options import LARGEST_ORDER
from earfilt.ears.target import POINTS_UP_TO
from earfilt.synthesis.deviation import FLOOR_DB, felt_corners
from earfilt.synthesis.remez.polynomials import at, sample
from earfilt.synthesis.remez.work import Work
from earfilt.synthesis.within.band import Bounds, band_around, deepest_held
from earfilt.synthesis.within.projections import SAMPLES_PER_DEGREE, Found, polynomial_inside
from earfilt.synthesis.within.taps import (
    Design,
    check_wanted,
    closest,
    measured,
    spectral_factor,
    symmetric,
)

__all__ = ["design_within"]

_HELD = 0.94  # of the tolerance, in the search: a ripple may rise between its samples
_SURE = 0.994  # of the tolerance, on the finer samples of the check
_PER_DEGREE = 16  # samples of P per degree there
_FEWEST_SAMPLES = 2048  # of low degrees, where the aim turns as quickly as P does
_FAR = 2.0  # an error this large, re the half-width, asks for two steps at once
_TIGHTER = 0.9  # by this factor the band is narrowed where P left it between the samples
_PATIENCE = 4  # every so many repairs the degree grows
_REPAIRS = 24
_GAP = 16  # a gap between points of fewer than four times as many samples is looked into
_MOST_GAPS = 1024  # of a curve with more points, the points say enough
_FELT = 0.005  # a corner of the aim this high, re the tolerance, can be felt
_RATIO = 4  # of one rate to the next lower one
_FIRST = 16  # degree of the first attempt
_EASY_ROUNDS = 8  # a degree that is met so soon may be larger than it need be
_CHEAP = 1024  # and up to this one it is worth while to ask
_FEWEST_POINTS = 3  # of a curve at a lower rate, for it to tell something
_LOWEST_POINT = 0.04  # and a rate of which its first point is more is low enough
_LEAST = 64  # the largest degree must be at least this at a lower rate
_FACTOR_ERROR_DB = 1e-5
_FACTOR_PER_TAP = 16
_DEEPEST_DB = 110.0
_MOST_TIMES = 16
_MOST_WORK = 1e8  # samples of P in all rounds of all tries; a degree of 131 072 takes 1e7 at most
_NARROWEST = 3.0  # an interval of this ratio, between tolerances not met and met, is narrow enough
_WIDEST_DB = 20.0
_MOST_MADE = 2
_LEFT_TO_FACTOR = 0.01  # of the tolerance


def design_within(
    curve: PublishedCurve, tolerance_db: float, *, phase: Literal["minimum", "zero"] | str
) -> Design:
    """A filter that stays within `tolerance_db` of a curve, at its points and between them.

    Parameters
    ----------
    curve
        What to follow; for a chain of one phase type, the product of its members' curves
        (``earfilt.ears.curve.product``).
    tolerance_db
        Largest deviation of the effective response in dB, > 0.
    phase
        'minimum' (one causal pass) or 'zero' (forwards and backwards).

    Returns
    -------
    Design
        About a quarter longer than the shortest one. With `met` false where no order up to 131 072
        was found to do: of all that was tried, wider tolerances included, the one that deviates
        least; of a curve that spans more than 100 dB, the one that left its band least.
        `order_below` is None.

    Raises
    ------
    ValueError
        For a tolerance that is not positive or another phase.

    Examples
    --------
    >>> from earfilt.chains.members import resolve
    >>> curve = resolve("headphone").curve_at(48000.0)
    >>> design = design_within(curve, 0.1, phase="minimum")
    >>> design.met, design.order
    (True, 512)
    """
    check_wanted(tolerance_db, phase)
    with np.errstate(all="ignore"):
        return _design(curve, tolerance_db, phase)


def _design(curve: PublishedCurve, tolerance_db: float, phase: str) -> Design:
    power = 2 if phase == "minimum" else 1
    times = _times(curve, power)
    task = _Task(curve, tolerance_db, power / times, LARGEST_ORDER // times)

    def made(cosines: Floats, error_db: float) -> Design:
        order = times * (len(cosines) - 1)
        if phase == "zero":
            taps, per_tap = symmetric(cosines, times=times), _PER_DEGREE
        else:
            taps = spectral_factor(cosines, times=times, error_db=error_db, per_tap=_FACTOR_PER_TAP)
            per_tap = 2 * _PER_DEGREE
        return measured(taps, curve, tolerance_db, order=order, phase=phase, per_tap=per_tap)

    design = made(_polynomial(task), _FACTOR_ERROR_DB)
    # At a notch all deviate by very much; less there would be paid for everywhere else.
    if design.met or not np.ptp(curve.points_db) <= FLOOR_DB:
        return design
    _try_wider(task, design.largest_db)
    # The best polynomial makes the best taps, but for what rounding takes from its factor.
    tried = sorted(
        ((_largest_db(cosines, task), len(cosines), at) for at, cosines in enumerate(task.tried))
    )
    for db, _, at_try in tried[:_MOST_MADE]:
        if db >= design.largest_db:
            break
        error_db = min(_FACTOR_ERROR_DB, _LEFT_TO_FACTOR * tolerance_db)
        design = closest([design, made(task.tried[at_try], error_db)])
    return design


def _try_wider(task: _Task, db: float) -> None:
    """Where a tolerance is not met, that of the best design lies above it, and at most at `db`, the
    deviation of one: find it by bisection. A search for what is far out of reach ends nowhere near
    the best.
    """
    low, high = task.tolerance_db, min(db, _WIDEST_DB)
    while high > _NARROWEST * low and not task.work.spent:
        wider = replace(task, tolerance_db=float(np.sqrt(low * high)))
        found = _search(wider, wider.bounds, wider.marks, task.largest)
        db = _largest_db(found.cosines, task)
        if db > wider.tolerance_db:
            low = wider.tolerance_db
        high = min(high, db)


def _times(curve: PublishedCurve, power: int) -> int:
    """The power to which P is raised: P itself may not be much deeper than 110 dB below its peak, or
    errors at the peak would swamp what is deep.
    """
    points = curve.aim(curve.points_hz)
    depth_db = 20 * power * np.log10(np.max(points) / np.min(points))
    return int(np.clip(np.ceil(depth_db / _DEEPEST_DB), 1, _MOST_TIMES)) if depth_db > 0 else 1


@dataclass(frozen=True, eq=False)
class _Task:
    """Find P near aim^power, of at most the `largest` degree; `work` is what that may cost still,
    and `tried` what was found on the way.
    """

    curve: PublishedCurve
    tolerance_db: float
    power: float
    largest: int
    work: Work = field(default_factory=lambda: Work(_MOST_WORK))
    tried: list[Floats] = field(default_factory=list)

    @property
    def bounds(self) -> Bounds:
        return band_around(self.curve, self.tolerance_db * _HELD, self.power)

    @property
    def marks(self) -> Floats:
        return self.curve.points_hz * (2 * np.pi / self.curve.fs)

    def at_lower_rate(self) -> _Task | None:
        """The same for what a lower rate leaves of the curve; None if that is too little."""
        curve, fs = self.curve, self.curve.fs / _RATIO
        kept = curve.points_hz <= POINTS_UP_TO * fs
        first = curve.points_hz[curve.points_hz > 0][:1]
        if kept.sum() < _FEWEST_POINTS or first[0] > _LOWEST_POINT * fs or self.largest < _LEAST:
            return None
        points_hz, points_db = curve.points_hz[kept], curve.points_db[kept]
        low = replace(curve, fs=fs, points_hz=points_hz, points_db=points_db)
        return replace(self, curve=low, largest=self.largest // _RATIO, tried=[])


def _polynomial(task: _Task) -> Floats:
    """The coefficients of P. Where it leaves the band between the samples of the search, those next
    to it are held tighter; if that does not help, the search looks there too, and the degree grows.
    """
    bounds, marks = task.bounds, task.marks
    found = _search(task, bounds, marks, _first_degree(task))
    for repair in range(1, _REPAIRS + 1):
        missed = _missed_angles(found.cosines, task) if found.inside else np.zeros(0)
        degree = len(found.cosines) - 1
        done = not missed.size or task.work.spent
        if done or (repair % _PATIENCE == 0 and degree >= task.largest):
            break
        if repair % _PATIENCE:
            bounds = _tightened(bounds, missed, np.pi / (SAMPLES_PER_DEGREE * degree))
            found = _search(task, bounds, marks, degree, found.cosines)
        else:
            bounds, marks = task.bounds, np.sort(np.concatenate([marks, missed]))
            found = _search(task, bounds, marks, min(_longer(degree), task.largest))
    return found.cosines


def _tightened(bounds: Bounds, angles: Floats, radius: float) -> Bounds:
    """A band made narrower around some angles, ascending."""

    def tighter(at: Floats) -> tuple[Floats, Floats]:
        centre, width = bounds(at)
        near = np.searchsorted(angles, at - radius) < np.searchsorted(angles, at + radius)
        return centre, np.where(near, _TIGHTER * width, width)

    return tighter


def _first_degree(task: _Task) -> int:
    """The degree to begin with, in proportion to the one that a lower rate needs."""
    low = task.at_lower_rate()
    if low is None:
        return _FIRST
    found = _search(low, low.bounds, low.marks, _first_degree(low))
    return _RATIO * (len(found.cosines) - 1)


def _search(
    task: _Task, bounds: Bounds, marks: Floats, degree: int, start: Floats | None = None
) -> Found:
    """The polynomial of about the smallest degree within a band; if there is none up to the
    largest, the one that came nearest.
    """
    largest = task.largest

    def tried(degree: int, start: Floats | None = None) -> Found:
        found = polynomial_inside(bounds, degree, marks, start, work=task.work)
        task.tried.append(found.cosines)
        return found

    degree = min(degree, largest)
    octave = 2 * degree
    found = best = tried(degree, start)
    while not found.inside and degree < largest and not task.work.spent:
        if degree >= octave and found.hopeless:
            degree *= 2
        else:
            degree = _longer(_longer(degree) if found.error > _FAR else degree)
        degree = min(degree, largest)
        found = tried(degree)
        best = min(best, found, key=lambda one: one.error)
    while start is None and best.inside and best.rounds <= _EASY_ROUNDS and 2 < degree <= _CHEAP:
        degree = _shorter(degree)
        found = tried(degree)
        if not found.inside:
            break
        best = found
    return best


def _longer(degree: int) -> int:
    """The next of 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, …: four to an octave."""
    return degree + max(2, _octave(degree) // 4)


def _shorter(degree: int) -> int:
    """The one before."""
    return degree - max(2, _octave(degree - 1) // 4)


def _octave(degree: int) -> int:
    """The largest power of two that is ≤ degree."""
    return 1 << (degree.bit_length() - 1)


def _between(points_hz: Floats, step: float) -> Floats:
    """Frequencies between neighbouring points that lie closer than a few samples: at low
    frequencies an aim can turn within one.
    """
    gaps = np.diff(points_hz)
    near = np.flatnonzero(gaps < 4 * _GAP * step)
    if len(near) > _MOST_GAPS:
        return np.zeros(0)
    parts = np.arange(1, 2 * _GAP) / (2 * _GAP)
    return (points_hz[near, None] + parts * gaps[near, None]).ravel()


def _largest_db(cosines: Floats, task: _Task) -> float:
    """The largest deviation of P from the aim, dB, above the floor of what is said of it."""
    _, reached, aim = _compared(cosines, task)
    floor = np.max(aim) * 10 ** (-FLOOR_DB / 20)
    level = np.maximum(np.maximum(reached, 0.0) ** (1 / task.power), floor)
    found = float(np.max(abs(20 * np.log10(level / np.maximum(aim, floor)))))
    return found if np.isfinite(found) else np.inf


def _missed_angles(cosines: Floats, task: _Task) -> Floats:
    """Angles where the deviation peaks outside the tolerance."""
    freqs, reached, aim = _compared(cosines, task)
    off = abs(20 * np.log10(reached ** (1 / task.power) / aim))
    off[aim < deepest_held(task.curve, task.tolerance_db * _HELD, task.power)] = 0.0
    around = np.pad(off, 1, constant_values=0.0)
    peaks = (off > _SURE * task.tolerance_db) & (off >= around[:-2]) & (off >= around[2:])
    return freqs[peaks] * (2 * np.pi / task.curve.fs)


def _compared(cosines: Floats, task: _Task) -> tuple[Floats, Floats, Floats]:
    """P beside the aim at the points, at corners of the aim and densely between them: (freqs in Hz,
    P, aim).
    """
    curve = task.curve
    values = sample(cosines, max(_FEWEST_SAMPLES, _PER_DEGREE * (len(cosines) - 1)))
    step = curve.fs / (2 * (len(values) - 1))
    first, last = curve.points_hz[[0, -1]]
    index = np.arange(int(np.ceil(first / step)), int(np.floor(last / step)) + 1)
    corners = felt_corners(curve, _FELT * task.tolerance_db)
    exact = np.concatenate([curve.points_hz, corners, _between(curve.points_hz, step)])
    freqs = np.concatenate([index * step, exact])
    reached = np.concatenate([values[index], at(values, exact * (2 * np.pi / curve.fs))])
    order = np.argsort(freqs, kind="stable")
    freqs, reached = freqs[order], reached[order]
    aim = curve.aim(freqs)
    task.work.spend(len(values))
    return freqs, reached, aim
