"""A cosine polynomial of a given degree within a band, by alternating projections.

The idea: polynomials of degree n are a subspace of all responses, and responses within the band a
convex set; a design is any point of both. Either projection is cheap: onto the polynomials by an
FFT that is cut off after n + 1 coefficients, onto the band by clipping. Reflecting at one and then
at the other (Douglas & Rachford) reaches a common point in some ten steps where there is room for
it, which is the case from a tenth or so above the smallest degree. Errors of rounding do not grow:
no step moves two points further apart.

References
----------
Douglas, J. & Rachford, H. H. (1956). On the numerical solution of heat conduction problems in two
and three space variables. Trans. Am. Math. Soc. 82, 421-439.
Eckstein, J. & Bertsekas, D. P. (1992). On the Douglas-Rachford splitting method and the proximal
point algorithm for maximal monotone operators. Mathematical Programming 55, 293-318 (relaxation).
Çetin, A. E., Gerek, Ö. N. & Yardimci, Y. (1997). Equiripple FIR filter design by the FFT algorithm.
IEEE Signal Processing Magazine 14(2), 60-64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats
from earfilt.synthesis.remez.polynomials import neighbours, sample
from earfilt.synthesis.remez.work import Work
from earfilt.synthesis.within.band import Bounds

__all__ = ["SAMPLES_PER_DEGREE", "Found", "polynomial_inside"]

SAMPLES_PER_DEGREE = 4  # of P: fewer miss its ripples, more make each step smaller
_ROUNDS = 24
_EARLY_ROUNDS = 10  # after so many
_HOPELESS = 4.0  # an error this large, re the half-width of the band, will not come down
_AIMED = 0.9  # of the half-width: what is aimed at lies inside the band, and is reached sooner
_MANTISSA = float(1 << 30)  # a relative accuracy of 1e-9 is plenty for a band
_RELAXATION = 1.7  # 0..2; 1 is the plain method


class Found(NamedTuple):
    """P's coefficients (degree + 1,), its largest error re the half-width, the rounds it took."""

    cosines: Floats
    error: float
    rounds: int

    @property
    def inside(self) -> bool:
        return self.error <= 1.0

    @property
    def hopeless(self) -> bool:
        return not self.error <= _HOPELESS


def polynomial_inside(
    bounds: Bounds,
    degree: int,
    marks: Floats,
    start: Floats | None = None,
    *,
    work: Work | None = None,
) -> Found:
    """P(w) = a[0] + a[1] cos w + ... + a[degree] cos(degree·w) that lies within a band.

    Parameters
    ----------
    bounds
        The band.
    degree
        Positive.
    marks
        (M,) angles, ascending, M ≥ 1, that are looked at exactly, beside the 4·degree + 1 evenly
        spaced ones.

    start
        (degree + 1,) coefficients of a polynomial that is thought to be near; the centre of the
        band by default.
    work
        What the rounds may cost; by default anything.

    Returns
    -------
    Found
        With an error above 1 if none was found; that there is none is not shown by it.
    """
    work = Work() if work is None else work
    intervals = SAMPLES_PER_DEGREE * degree
    band = _Sampled.of(bounds, intervals, marks)
    point = band.even.centre if start is None else sample(start, intervals)
    point, series = _project(point, degree)
    error, rounds = np.inf, 0
    for rounds in range(1, _ROUNDS + 1):
        change = band.change(point)
        reached, series = _project(point + 2 * change, degree)
        error = band.error(reached)
        work.spend(intervals + band.index.size)
        hopeless = rounds == _EARLY_ROUNDS and not error <= _HOPELESS
        if error <= 1.0 or hopeless or work.spent:
            break
        point += _RELAXATION * (reached - point - change)
    series[1:] *= 2
    return Found(series.copy(), error, rounds)  # without the samples that it is a part of


def _project(values: Floats, degree: int) -> tuple[Floats, Floats]:
    """The polynomial nearest to samples at k·pi/intervals, again as samples; and its Fourier series
    (degree + 1,), halves of the cosines' coefficients but for the first.
    """
    series = np.fft.irfft(values)
    series[degree + 1 : len(series) - degree] = 0.0
    return np.fft.rfft(series).real, series[: degree + 1]


@dataclass(frozen=True, eq=False)
class _Sampled:
    """A band at evenly spaced angles and at marks, ascending.

    P at a mark is interpolated between its neighbours, `index` (7, M) with `weights` (7, M), and
    corrected at the nearest of them, one of `nearest` (U,), U ≤ M; the marks that share it begin at
    `begins` (U,). That is not quite a projection, but the correction reaches the mark.
    """

    even: _Interval
    at_marks: _Interval
    index: NDArray[np.int64]
    weights: Floats
    nearest: NDArray[np.int64]
    begins: NDArray[np.int64]

    @classmethod
    def of(cls, bounds: Bounds, intervals: int, marks: Floats) -> _Sampled:
        even = np.arange(intervals + 1, dtype=np.float64) * (np.pi / intervals)
        place = marks * (intervals / np.pi)
        nearest = np.rint(place).astype(np.int64)
        index, weights = neighbours(nearest, place - nearest, intervals)
        begins = np.flatnonzero(np.diff(nearest, prepend=-1))
        at_even, at_marks = (
            _Interval.of(*(_rounded(part) for part in bounds(angles))) for angles in (even, marks)
        )
        return cls(at_even, at_marks, index, weights, nearest[begins], begins)

    def error(self, values: Floats) -> float:
        """Largest distance from the centre, re the half-width; infinite where that is NaN."""
        error = max(self.even.error(values), self.at_marks.error(self._at_marks(values)))
        return error if np.isfinite(error) else np.inf

    def change(self, values: Floats) -> Floats:
        """What has to be added to evenly spaced samples for the band to be met there and at the
        marks; of several wishes for one sample the largest counts.
        """
        change = self.even.change(values)
        wished = self.at_marks.change(self._at_marks(values))
        raised = np.maximum.reduceat(wished, self.begins)
        lowered = np.minimum.reduceat(wished, self.begins)
        wished = np.where(raised > -lowered, raised, lowered)
        own = change[self.nearest]
        change[self.nearest] = np.where(abs(wished) > abs(own), wished, own)
        return change

    def _at_marks(self, values: Floats) -> Floats:
        return (self.weights * values[self.index]).sum(0)


class _Interval(NamedTuple):
    """centre ± width, arrays of one shape, and the interval inside it that is aimed at."""

    centre: Floats
    width: Floats
    lowest: Floats
    highest: Floats

    @classmethod
    def of(cls, centre: Floats, width: Floats) -> _Interval:
        # Where the band is wide it must not be narrowed by more than where it is not: what fits the
        # narrow part would no longer fit the wide one.
        aimed = width - (1 - _AIMED) * np.min(width / centre) * centre
        return cls(centre, width, centre - aimed, centre + aimed)

    def error(self, values: Floats) -> float:
        """Largest distance from the centre, re the half-width."""
        return float(np.max(abs(values - self.centre) / self.width))

    def change(self, values: Floats) -> Floats:
        """What has to be added for the values to lie well inside."""
        return np.clip(values, self.lowest, self.highest) - values


def _rounded(values: Floats) -> Floats:
    """Values without their last digits, a matter of the machine's logarithms and powers: what is
    made of them by sums, products and FFTs is then the same everywhere.
    """
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(mantissa * _MANTISSA), exponent) / _MANTISSA
