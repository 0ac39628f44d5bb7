"""The order a filter needs to stay within a tolerance of its published curve.

The idea: both kinds of filter are one approximation problem. A minimum-phase FIR of order n has
|H|^2 = P(w), a positive cosine polynomial of degree n, and every positive P is the square of such a filter; a forward-backward one has P itself as its effective
response. So P is fitted to the squared aim or to the aim, as the smallest degree that stays within
the tolerance allows (``earfilt.synthesis.remez.exchange``, ``earfilt.synthesis.remez.search``), and
then split into taps.

Where nothing was published, the response is led, not held:

* above the last point it stays within 1 dB of the aim (or the tolerance, where that is more); the
  aim is not followed further down than 20 dB below the last point, nor down a step: the slope is
  limited to 35 dB per octave or so;
* below the first point it lies between that point's level, tolerance included, and a hundredth of
  it (of its square, for minimum phase), but for the uppermost quarter of that range, where it may
  be up to 3 dB higher (6 dB for zero phase);

so that it has no zeros there and the factor into taps is well conditioned. Opening the band above
to 12 dB would save 1 % of the taps of the headphone and none of the other ears'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.curve import PublishedCurve
from earfilt.errors import UsageError
from earfilt.synthesis.deviation import (
    Deviation,
    deviation,
    deviation_between,
    deviations,
    missed_points,
)
from earfilt.synthesis.remez.exchange import Levelled, Problem
from earfilt.synthesis.remez.polynomials import sample
from earfilt.synthesis.remez.search import smallest_even_degree

__all__ = ["LARGEST_ORDER", "Design", "order_for"]

LARGEST_ORDER = 131_072

# part of the tolerance kept back for extrema that fall between the samples of the search
_MARGIN = 1e-4
_ABOVE_DB = 1.0  # depth of the band above the last point
_ABOVE_DEPTH = 0.1  # how far down the aim is followed there, re the last point (linear magnitude)
_ABOVE_FALL = 4.0  # and how fast: exp(-4 (f / f_last - 1))
_FELT = 0.005  # a corner of the aim this high, re the tolerance, can be felt
# angles between neighbouring points that are tried as extrema besides the grid of the search
_MARKS_PER_GAP = 4
_MOST_MARKS = 8192  # corners that the search looks at beside its own grid
_REPAIRS = 8
_HIGHEST_POINT = 0.45  # of the rate: a curve may lie up to there
_ROUGH = 0.01  # how exactly the order at half the rate is wanted
_BELOW = 0.98  # half-width of the band below the first point, re its centre
_RISE_OVER = 0.02  # part of the first frequency over which the aim's slope is taken
_BELOW_SLOPE = 2  # its centre falls as this power of f / f_first, or as the aim does above it
_DEEPEST = 1e-13  # smallest half-width of the band, re the peak of P
_PEAK_SAMPLES = 4096
_EDGE = 1e-9  # relative: a frequency this near to an outermost point is that point
_FACTOR_ERROR_DB = 1e-7
_FACTOR_GRID = 256  # points per tap, from which an error that stays is not one of aliasing
_LARGEST_FACTOR_FFT = 1 << 23


@dataclass(frozen=True, eq=False)
class Design:
    """A filter found for a tolerance.

    Parameters
    ----------
    order
        Order of one pass, even.
    phase
        'minimum' or 'zero'.
    taps
        The effective FIR: (order + 1,) for minimum phase, (2·order + 1,), symmetric, for zero phase
        (both passes).
    pass_taps
        (order + 1,): the FIR of one pass, minimum-phase.
    deviation
        Largest deviation from the published points.
    between
        Largest deviation from the aimed curve from the first point to the last, points included.
    missed_points_hz
        Points missed by more than the tolerance.
    met
        Whether both deviations are within the tolerance.
    order_below
        The largest even order shown to be too small; None if none was.
    """

    order: int
    phase: str
    taps: Floats
    pass_taps: Floats
    deviation: Deviation
    between: Deviation
    missed_points_hz: tuple[float, ...]
    met: bool
    order_below: int | None


def order_for(
    curve: PublishedCurve, tolerance_db: float, *, phase: Literal["minimum", "zero"] | str
) -> Design:
    """The filter of the smallest even order that stays within `tolerance_db` of a curve, at its
    points and between them.

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
        With `met` false where no order up to 131 072 would do: the best one found. Where
        `order_below` is order - 2, no smaller even order exists. Time grows with the square of the
        order: about 1.5 s at 5600. Beyond 16 384, and where rounding ends the search earlier
        (tolerances below some 0.03 dB on curves that span 100 dB in power), a simpler design is
        used that needs more taps.

    Raises
    ------
    ValueError
        For a tolerance that is not positive or another phase.
    UsageError
        The curve is steeper between two points than any order up to 131 072 can be.
    """
    if not tolerance_db > 0:
        raise ValueError(f"tolerance is {tolerance_db:g} dB; it must be above 0")
    if phase not in ("minimum", "zero"):
        raise ValueError(f"phase is '{phase}'; it must be 'minimum' or 'zero'")
    power = 2 if phase == "minimum" else 1
    held = tolerance_db * (1 - _MARGIN)
    problem = _problem(curve, held, power)
    _refuse_cliffs(problem, curve, tolerance_db)
    best, below = smallest_even_degree(
        problem, start=_at_half_rate(curve, held, power), largest=LARGEST_ORDER
    )
    design = _design(best, below, curve, tolerance_db, phase)
    for _ in range(_REPAIRS):
        if design.met or not best.feasible:
            break
        # A curve may have corners between the points that no sample of the search met. The taps
        # show where: try those too.
        problem = Problem(
            problem.bounds,
            np.union1d(problem.marks, _missed_angles(design.taps, curve, tolerance_db)),
        )
        best, below = smallest_even_degree(problem, start=best, below=below, largest=LARGEST_ORDER)
        design = _design(best, below, curve, tolerance_db, phase)
    return design


def _refuse_cliffs(problem: Problem, curve: PublishedCurve, tolerance_db: float) -> None:
    """Refuse what no order can do, before it is searched for: |P'(w)| ≤ degree · max |P|
    (Bernstein).
    """
    centre, width = problem.bounds(curve.points_hz * (2 * np.pi / curve.fs))
    highest = max(np.max(centre + width), np.max(np.add(*problem.grid(_PEAK_SAMPLES))))
    apart = np.maximum(
        (centre - width)[1:] - (centre + width)[:-1], (centre - width)[:-1] - (centre + width)[1:]
    )
    needed = apart / (np.diff(curve.points_hz) * (2 * np.pi / curve.fs) * highest)
    if (needed > LARGEST_ORDER).any():
        at = int(np.argmax(needed))
        low, high = (float(f) for f in curve.points_hz[at : at + 2])
        db = abs(float(np.diff(curve.points_db)[at]))
        raise UsageError(
            f"no order up to {LARGEST_ORDER} stays within {tolerance_db:g} dB: the curve has "
            f"a step of {db:.3g} dB between {low:.12g} and "
            f"{high:.12g} Hz; leave one of them out, or use --order"
        )


def _at_half_rate(curve: PublishedCurve, tolerance_db: float, power: int) -> Levelled | None:
    """About the order needed, from the same curve at half the rate, where all costs are a quarter;
    None if that cannot hold it.
    """
    half = replace(curve, fs=curve.fs / 2)
    if curve.points_hz[-1] > _HIGHEST_POINT * half.fs:
        return None
    start = _at_half_rate(half, tolerance_db, power)
    best, _ = smallest_even_degree(
        _problem(half, tolerance_db, power),
        start=start,
        largest=LARGEST_ORDER // 2,
        resolution=_ROUGH,
    )
    return best.stretched() if best.feasible else None


def _missed_angles(taps: Floats, curve: PublishedCurve, tolerance_db: float) -> Floats:
    """Angles of the peaks of the deviation that exceed the tolerance."""
    freqs, off = deviations(taps, curve)
    around = np.pad(off, 1, constant_values=0.0)
    peaks = (off > tolerance_db) & (off >= around[:-2]) & (off >= around[2:])
    worst = np.sort(np.argsort(-off[peaks], kind="stable")[:_MOST_MARKS])
    return freqs[peaks][worst] * (2 * np.pi / curve.fs)


def _design(
    best: Levelled, below: Levelled | None, curve: PublishedCurve, tolerance_db: float, phase: str
) -> Design:
    """Taps of a polynomial, and what they achieve, measured on the taps."""
    factor = spectral_factor(best.cosines)
    taps = factor if phase == "minimum" else _symmetric(best.cosines)
    at_points, between = deviation(taps, curve), deviation_between(taps, curve)
    return Design(
        order=best.degree,
        phase=phase,
        taps=taps,
        pass_taps=factor,
        deviation=at_points,
        between=between,
        missed_points_hz=missed_points(taps, curve, tolerance_db),
        met=max(at_points.db, between.db) <= tolerance_db,
        order_below=below.degree if below is not None and below.lower > 1 else None,
    )


def _problem(curve: PublishedCurve, tolerance_db: float, power: int) -> Problem:
    """The band around aim^power as an approximation problem in w = 2·pi·f/fs."""
    first, last = curve.points_hz[[0, -1]]
    ratio = 10 ** (power * tolerance_db / 20)
    # Middle and half-width of the interval from 1/ratio to ratio.
    middle, half = (ratio + 1 / ratio) / 2, (ratio - 1 / ratio) / 2
    # Rounding leaves P uncertain by some 1e-15 of its peak. What lies so deep that the tolerance is
    # no wider than that is let go.
    held = np.linspace(first, last, _PEAK_SAMPLES)
    deepest = (
        _DEEPEST
        / half
        * max(np.max(curve.aim(held) ** power), np.max(curve.aim(curve.points_hz) ** power))
    )
    at_first, at_last = np.maximum(curve.aim(np.array([first, last])) ** power, deepest)
    rise = np.log(curve.aim(np.array([first * (1 + _RISE_OVER)])) / curve.aim(np.array([first])))[
        0
    ] / np.log1p(_RISE_OVER)
    slope = max(_BELOW_SLOPE, power * rise)
    loose = max(1 - 10 ** (-power * _ABOVE_DB / 20), half / middle)

    def bounds(angles: Floats) -> tuple[Floats, Floats]:
        freqs = angles * (curve.fs / (2 * np.pi))
        below, above = freqs < first * (1 - _EDGE), freqs > last * (1 + _EDGE)
        aim = curve.aim(np.minimum(freqs, curve.fs / 2)) ** power
        lost = aim < deepest
        aim = np.maximum(aim, deepest)
        lowest = np.maximum(_ABOVE_DEPTH, np.exp(-_ABOVE_FALL * np.maximum(freqs / last - 1, 0.0)))
        centre = np.where(above, np.maximum(aim, at_last * lowest**power), aim) * middle
        # The centre is continuous where the band widens: at any level of error the wide band then
        # contains the narrow one.
        fall = np.maximum((freqs / first) ** slope * middle, ratio / (1 + _BELOW))
        centre = np.where(below, at_first * fall, centre)
        width = centre * np.where(above, loose, np.where(below | lost, _BELOW, half / middle))
        return centre, width

    return Problem(bounds, _marks(curve, tolerance_db) * (2 * np.pi / curve.fs))


def _marks(curve: PublishedCurve, tolerance_db: float) -> Floats:
    """Frequencies that the search must look at: the points, some between them, and corners of the
    aim that can be felt.
    """
    count = len(curve.points_hz)
    between = np.interp(
        np.arange(_MARKS_PER_GAP * (count - 1)) / _MARKS_PER_GAP, np.arange(count), curve.points_hz
    )
    corners = curve.corners_hz
    if len(corners) > 2:
        # How far a corner stands out from the chord between the middles of its neighbouring sides.
        sides = (corners[1:] + corners[:-1]) / 2
        values = curve.aim(corners[1:-1])
        ends = curve.aim(sides)
        chord = ends[:-1] + (ends[1:] - ends[:-1]) * (corners[1:-1] - sides[:-1]) / np.diff(sides)
        felt = abs(chord - values) > _FELT * (10 ** (tolerance_db / 20) - 1) * values
        corners = corners[1:-1][
            felt & (corners[1:-1] > curve.points_hz[0]) & (corners[1:-1] < curve.points_hz[-1])
        ]
    marks = np.unique(np.concatenate([curve.points_hz, between, corners]))
    # A curve of more points is looked at on the search's own grid, and where taps turn out to miss
    # it.
    return (
        marks
        if len(marks) <= _MOST_MARKS
        else marks[np.linspace(0, len(marks) - 1, _MOST_MARKS).round().astype(np.int64)]
    )


def _symmetric(cosines: Floats) -> Floats:
    """Taps whose response is a cosine polynomial: (2·degree + 1,)."""
    half = cosines[1:] / 2
    return np.concatenate([half[::-1], cosines[:1], half])


def spectral_factor(cosines: Floats) -> Floats:
    """Minimum-phase FIR h with |H(w)|^2 = P(w) > 0, of the order that is P's degree.

    The complex cepstrum of a minimum-phase sequence is causal, so that of h is the causal half of
    the cepstrum of log P: fold, exponentiate, and the sequence ends by itself after degree + 1
    taps. Time aliasing of the cepstrum falls exponentially with the length of the FFT, which
    doubles until the response has P's magnitude to 1e-7 dB.

    Parameters
    ----------
    cosines
        (degree + 1,) coefficients of P = a[0] + a[1] cos w + ...

    Returns
    -------
    (degree + 1,) float64

    References
    ----------
    Oppenheim, A. V. & Schafer, R. W. (1975). Digital Signal Processing, section 10.5.
    Prentice-Hall. Boite, R. & Leich, H. (1981). A new procedure for the design of high order
    minimum phase FIR digital or CCD filters.
        Signal Processing 3, 101-108.
    """
    intervals = 1 << int(np.ceil(np.log2(8 * len(cosines))))
    taps, error = _cepstral_factor(cosines, intervals)
    while error > _FACTOR_ERROR_DB and intervals < _LARGEST_FACTOR_FFT:
        intervals *= 2
        finer, finer_error = _cepstral_factor(cosines, intervals)
        # rounding, no longer aliasing
        if finer_error > error / 2 and intervals > _FACTOR_GRID * len(cosines):
            break
        taps, error = finer, finer_error
    return taps


def _cepstral_factor(cosines: Floats, intervals: int) -> tuple[Floats, float]:
    """Spectral factor with an FFT of 2·intervals, and the largest error of its magnitude in dB."""
    power = sample(cosines, intervals)
    # A polynomial that did not meet its band may touch zero; rounding leaves nothing to know below
    # 1e-15 of the peak.
    power = np.maximum(power, 1e-15 * power.max())
    cepstrum = np.fft.irfft(0.5 * np.log(power))
    cepstrum[1:intervals] *= 2
    cepstrum[intervals + 1 :] = 0.0
    taps = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[: len(cosines)]
    reached = abs(np.fft.rfft(taps, 2 * intervals)) ** 2
    return taps, float(abs(10 * np.log10(np.maximum(reached, 1e-300) / power)).max())
