"""From a cosine polynomial to the taps of a filter, and what they reach, measured on the taps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from earfilt.arrays import Floats, power_of_two
from earfilt.ears.curve import PublishedCurve
from earfilt.synthesis.deviation import (
    FLOOR_DB,
    SAMPLES_PER_TAP,
    Deviation,
    deviation_between,
    largest,
    off_points,
)
from earfilt.synthesis.phase import minimum_phase_spectrum
from earfilt.synthesis.remez.polynomials import sample

__all__ = ["Design", "check_wanted", "closest", "measured", "spectral_factor", "symmetric"]


_FACTOR_ERROR_DB = 1e-7
_FACTOR_GRID = 256  # points per tap, from which an error that stays is not one of aliasing
_LEAST_GRID = 1 << 15
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
    largest_db
        By which designs are compared: the larger one of both deviations; of a curve with a notch
        above the floor of what is said, since at a zero all deviate without bounds.
    """

    order: int
    phase: str
    taps: Floats
    deviation: Deviation
    between: Deviation
    missed_points_hz: tuple[float, ...]
    met: bool
    order_below: int | None
    largest_db: float

    @cached_property
    def pass_taps(self) -> Floats:
        """(order + 1,): the FIR of one pass, minimum-phase."""
        if self.phase == "minimum":
            return self.taps
        cosines = self.taps[self.order :].copy()
        cosines[1:] *= 2
        return spectral_factor(cosines)


def closest(designs: Sequence[Design]) -> Design:
    """The design that deviates least; of equals the shortest."""
    return min(designs, key=lambda design: (design.largest_db, design.order))


def check_wanted(tolerance_db: float, phase: str) -> None:
    """Refuse a tolerance that is not positive, and another phase.

    Raises
    ------
    ValueError
    """
    if not tolerance_db > 0:
        raise ValueError(f"tolerance is {tolerance_db:g} dB; it must be above 0")
    if phase not in ("minimum", "zero"):
        raise ValueError(f"phase is '{phase}'; it must be 'minimum' or 'zero'")


def measured(
    taps: Floats,
    curve: PublishedCurve,
    tolerance_db: float,
    *,
    order: int,
    phase: str,
    order_below: int | None = None,
    per_tap: int = SAMPLES_PER_TAP,
) -> Design:
    """A design from its effective taps: what they reach is measured on them, with `per_tap` samples
    of the response for each.
    """
    off = off_points(taps, curve)
    at_points, between = largest(curve.points_hz, off), deviation_between(taps, curve, per_tap)
    largest_db = max(at_points.db, between.db)
    if largest_db > tolerance_db and np.ptp(curve.points_db) > FLOOR_DB:
        largest_db = deviation_between(taps, curve, per_tap, floored=True).db
    return Design(
        order=order,
        phase=phase,
        taps=taps,
        deviation=at_points,
        between=between,
        missed_points_hz=tuple(curve.points_hz[off > tolerance_db].tolist()),
        met=max(at_points.db, between.db) <= tolerance_db,
        order_below=order_below,
        largest_db=math.inf if math.isnan(largest_db) else largest_db,
    )


def symmetric(cosines: Floats, *, times: int = 1) -> Floats:
    """Taps whose response is a cosine polynomial, or its power `times`: (2·times·degree + 1,)."""
    if times > 1:
        order = times * (len(cosines) - 1)
        intervals = power_of_two(order + 1)
        cosines = np.fft.irfft(sample(cosines, intervals) ** times)[: order + 1]
        cosines[1:] *= 2
    half = cosines[1:] / 2
    return np.concatenate([half[::-1], cosines[:1], half])


def spectral_factor(
    cosines: Floats,
    *,
    times: int = 1,
    error_db: float = _FACTOR_ERROR_DB,
    per_tap: int = _FACTOR_GRID,
) -> Floats:
    """Minimum-phase FIR h with |H(w)|^2 = P(w) > 0, of the order that is P's degree.

    The complex cepstrum of a minimum-phase sequence is causal, so that of h is the causal half of
    the cepstrum of log P: fold, exponentiate, and the sequence ends by itself after degree + 1
    taps. Time aliasing of the cepstrum falls exponentially with the length of the FFT, which
    doubles until the response has P's magnitude.

    Parameters
    ----------
    cosines
        (degree + 1,) coefficients of P = a[0] + a[1] cos w + ...
    times
        |H(w)|^2 = P(w)^times instead, of so many times the order.
    error_db
        Largest error of the magnitude that is left,
    per_tap
        unless rounding keeps it larger with so many points of the FFT for each tap.

    Returns
    -------
    (times·degree + 1,) float64

    References
    ----------
    Oppenheim, A. V. & Schafer, R. W. (1975). Digital Signal Processing, section 10.5.
    Prentice-Hall.
    Boite, R. & Leich, H. (1981). A new procedure for the design of high order minimum phase FIR
    digital or CCD filters. Signal Processing 3, 101-108.
    """
    intervals = power_of_two(8 * times * (len(cosines) - 1))
    taps, error = _cepstral_factor(cosines, times, intervals)
    while error > error_db and intervals < _LARGEST_FACTOR_FFT:
        intervals *= 2
        finer, finer_error = _cepstral_factor(cosines, times, intervals)
        # Is what stays rounding, and no longer aliasing? That falls slowly at first where a zero is
        # near the unit circle, as that of a high-pass, however few its taps are.
        if finer_error > error / 2 and intervals > max(per_tap * len(taps), _LEAST_GRID):
            break
        taps, error = finer, finer_error
    return taps


def _cepstral_factor(cosines: Floats, times: int, intervals: int) -> tuple[Floats, float]:
    """Factor of P^times by an FFT of 2·intervals, and the largest error of its magnitude in dB."""
    wanted = sample(cosines, intervals)
    # A polynomial that did not meet its band may touch zero; rounding leaves nothing to know below
    # 1e-15 of the peak.
    wanted = np.maximum(wanted, 1e-15 * wanted.max())
    spectrum = minimum_phase_spectrum(0.5 * times * np.log(wanted), 2 * intervals)
    taps = np.fft.irfft(spectrum)[: times * (len(cosines) - 1) + 1]
    reached = abs(np.fft.rfft(taps, 2 * intervals)) ** (2 / times)
    error = abs(np.log10(np.maximum(reached, 1e-300) / wanted)).max()
    return taps, float(10 * times * error)
