"""Chebyshev approximation by cosine polynomials: Remez exchange at one degree, for a band that the
response has to stay in.

The idea: every response an FIR of a given order can have is P(w) = a[0] + a[1] cos w + ... + a[n]
cos nw, n = order, be it the squared magnitude of a minimum-phase filter or the magnitude of a
forward-backward one. A band lower ≤ P ≤ upper is |P - centre| / width <= 1. By de la Vallee
Poussin's theorem, n + 2 points where the error alternates in sign bound from below what degree n
can reach.

References
----------
Remez, E. Ya. (1934). Sur le calcul effectif des polynomes d'approximation de Tchebichef. C. R.
Acad. Sci. 199, 337-340. Parks, T. W. & McClellan, J. H. (1972). Chebyshev approximation for
nonrecursive digital filters with linear phase.
    IEEE Trans. Circuit Theory 19, 189-194.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats, power_of_two
from earfilt.synthesis.remez.polynomials import (
    Interpolant,
    at,
    barycentric_weights,
    between,
    coefficients,
    evaluate,
    sample,
)
from earfilt.synthesis.remez.work import Work

__all__ = [
    "Levelled",
    "Problem",
    "chebyshev_points",
    "exchange",
    "scaled_reference",
    "search_intervals",
]

_PER_DEGREE = 16  # samples of P per degree, where extrema are looked for
_CONVERGED = 1e-5  # relative distance between the largest and the levelled error
# nearer than this (in mean spacings) to a reference point, a new one would only repeat it
_CLOSE = 1e-4
_PATIENCE = 3  # stalled exchanges in a row
_HIGH = 3.0  # errors beyond so many times the level are all the same
# a level that rises by less, with an error that does not fall, will not move any more
_STALLED = 1e-9
_USABLE = 1.5  # a reference this near to level makes a good start for another degree


@dataclass(frozen=True, eq=False)
class Problem:
    """Approximate `centre` within `width`.

    Parameters
    ----------
    bounds
        Function of angles w (radians, 0..π, any shape (K,)) -> (centre (K,), width (K,)), width >
        0.
    marks
        Angles where centre has corners: they are tried as extrema exactly, not to the nearest grid
        point.
    """

    bounds: Callable[[Floats], tuple[Floats, Floats]]
    marks: Floats
    _grids: dict[int, tuple[Floats, Floats]] = field(default_factory=dict, repr=False)

    def grid(self, intervals: int) -> tuple[Floats, Floats]:
        """Bounds at the angles k·π/intervals, k = 0..intervals; computed once."""
        if intervals not in self._grids:
            angles = np.arange(intervals + 1, dtype=np.float64) * (np.pi / intervals)
            self._grids[intervals] = self.bounds(angles)
        return self._grids[intervals]


class Levelled(NamedTuple):
    """What an exchange found out about one degree.

    `lower` ≤ smallest possible error ≤ `upper`, the error of the polynomial `cosines` (degree +
    1,). `reference` (degree + 2,) are the angles of its alternation.
    """

    degree: int
    lower: float
    upper: float
    reference: Floats
    cosines: Floats

    @property
    def feasible(self) -> bool:
        return self.upper <= 1.0

    @property
    def converged(self) -> bool:
        return self.upper < self.lower * (1 + _CONVERGED)

    @property
    def lost(self) -> bool:
        return not np.isfinite(self.upper)

    @property
    def error(self) -> float:
        """An estimate of the smallest possible error: `lower` converges the faster, once the
        reference is near to level.
        """
        near = self.lost or self.upper < _USABLE * self.lower
        return max(self.lower, 1e-9) if near else float(np.sqrt(max(self.lower, 1e-9) * self.upper))

    def stretched(self) -> Levelled:
        """What this says about the same band at twice the sampling rate: twice the degree, the new
        half of the axis even.
        """
        angles = self.reference / 2
        even = np.linspace(angles[-1], np.pi, self.degree + 1)
        return self._replace(degree=2 * self.degree, reference=np.concatenate([angles, even[1:]]))


def exchange(
    problem: Problem,
    degree: int,
    reference: Floats,
    *,
    iterations: int = 30,
    work: Work | None = None,
) -> Levelled:
    """Remez exchange at one degree, until the question whether an error of 1 can be reached is
    decided.

    Parameters
    ----------
    problem
        The band.
    degree
        Degree n ≥ 1 of the cosine polynomial.
    reference
        (n + 2,) ascending distinct angles in 0..π to start from.
    iterations
        Largest number of exchanges.
    work
        What they may cost; by default anything.

    Returns
    -------
    Levelled
        Feasible; or with lower > 1, and its reference near to level; or converged to 1e-5; or lost
        to rounding, or to the end of the work (upper = inf).
    """
    work = Work() if work is None else work
    highest = 0.0
    smallest, stalled = np.inf, 0
    for _ in range(iterations):
        if work.spent:
            break
        # the matrices of the weights, of the coefficients and of the values at the marks
        work.spend(len(reference) * (2 * len(reference) + len(problem.marks)))
        level, interpolant = _levelled(problem, reference)
        lower = abs(level)
        if not lower >= highest / 2:  # in exact arithmetic the level only rises
            break
        cosines = coefficients(interpolant, degree)
        if not np.all(np.isfinite(cosines)):
            break
        angles, errors, upper = _extrema(problem, interpolant, cosines)
        found = Levelled(degree, lower, max(upper, lower), reference, cosines)
        if found.feasible or found.converged or (lower > 1.0 and upper < lower * _USABLE):
            return found
        stalled = stalled + 1 if lower < highest * (1 + _STALLED) and upper >= smallest else 0
        if stalled > _PATIENCE:
            break
        highest, smallest = max(highest, lower), min(smallest, upper)
        own = level * -_signs(len(reference))
        reference = _alternation(reference, own, angles, errors)
    return Levelled(degree, highest, np.inf, reference, np.zeros(degree + 1))


def search_intervals(degree: int) -> int:
    """Grid of the search: a power of two, at least 16 samples per degree."""
    return power_of_two(_PER_DEGREE * (degree + 1))


def chebyshev_points(degree: int) -> Floats:
    """The alternation of cos (n+1)w, the start when nothing is known: (degree + 2,)."""
    return np.linspace(0.0, np.pi, degree + 2)


def scaled_reference(reference: Floats, degree: int) -> Floats:
    """A reference for `degree` placed as one that was levelled for another degree.

    Extrema lie evenly, k = (n + 1)·w/π, but for a displacement s(w) of a few places that corners
    and edges cause and that hardly depends on n. Keeping s, and not the density, keeps it that
    small: the weights of the interpolation grow exponentially with it.
    """
    even = np.linspace(0.0, np.pi, len(reference))
    displacement = (even - reference) * (len(reference) - 1) / np.pi
    if degree + 2 > 1.3 * len(reference):
        displacement = _smooth(displacement)
    angles = np.concatenate([[0.0], reference, [np.pi]])
    displacement = np.concatenate(
        [[min(displacement[0], 0.0)], displacement, [max(displacement[-1], 0.0)]]
    )
    rank = np.maximum.accumulate(angles * ((degree + 1) / np.pi) + displacement)
    return np.interp(np.arange(degree + 2), rank, angles)


def _smooth(values: Floats, reach: int = 8) -> Floats:
    """Weighted mean of each value with `reach` neighbours on either side, the ends repeated."""
    kernel = np.hanning(2 * reach + 3)[1:-1]
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), "valid")


def _signs(count: int) -> Floats:
    """1, -1, 1, ... (count,)."""
    return np.where(np.arange(count) % 2, -1.0, 1.0)


def _levelled(problem: Problem, reference: Floats) -> tuple[float, Interpolant]:
    """The error that alternates with equal height over the reference, and the polynomial that has
    it.

    Degree n through n + 2 points leaves one condition: the divided difference of P = centre -
    (-1)^k level width over all of them is zero, sum_k b[k] P[k] = 0, with barycentric weights b,
    which alternate in sign themselves.
    """
    centre, width = problem.bounds(reference)
    signs = _signs(len(reference))
    weights = barycentric_weights(reference)
    level = float(np.sum(signs * weights * centre) / np.sum(weights * width))
    return level, Interpolant(reference, centre - level * signs * width, signs * weights)


def _extrema(
    problem: Problem, interpolant: Interpolant, cosines: Floats
) -> tuple[Floats, Floats, float]:
    """Where the error has its local extrema: (angles, errors, largest |error|); errors lost in
    rounding are left out.
    """
    intervals = search_intervals(len(cosines) - 1)
    values = sample(cosines, intervals)
    centre, width = problem.grid(intervals)
    errors = (values - centre) / width
    peaks, offset = _peaks(abs(errors))
    ends = np.array([0, intervals])
    # The samples themselves too: beside a corner or an edge the parabola leads away from the peak.
    samples = np.concatenate([ends, peaks])
    angles = np.concatenate([samples, peaks + offset]) * (np.pi / intervals)
    angles = np.concatenate([angles, problem.marks])
    found = np.concatenate(
        [values[samples], between(values, peaks, offset), evaluate(interpolant, problem.marks)]
    )
    centre, width = problem.bounds(angles)
    exact = (found - centre) / width
    # A reference far from level makes P large somewhere, and the rounding of that then covers the
    # small errors elsewhere. How much it is shows at the reference, where P is known. Points it
    # covers stay as they are in this step.
    noise = np.median(abs(at(values, interpolant.nodes) - interpolant.values))
    clear = abs(exact) * width > 10 * noise
    at_marks = (at(values, problem.marks) - centre[-len(problem.marks) :]) / width[
        -len(problem.marks) :
    ]
    return angles[clear], exact[clear], float(max(abs(exact).max(), abs(at_marks).max()))


def _peaks(height: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Local maxima of samples: (indices, offset of the vertex of the parabola through three
    samples, within half a step).
    """
    peaks = np.nonzero((height[1:-1] >= height[:-2]) & (height[1:-1] > height[2:]))[0] + 1
    before, here, after = height[peaks - 1], height[peaks], height[peaks + 1]
    bend = before - 2 * here + after
    return peaks, np.clip(0.5 * (before - after) / np.where(bend < 0, bend, -np.inf), -0.5, 0.5)


def _alternation(reference: Floats, own: Floats, angles: Floats, errors: Floats) -> Floats:
    """The next reference: as many points as before, alternating in sign, each error at least as
    large as the level was.

    The old points are candidates too, so there are always enough; the level can then only rise.
    """
    after = np.clip(np.searchsorted(reference, angles), 1, len(reference) - 1)
    distance = np.minimum(abs(angles - reference[after - 1]), abs(reference[after] - angles))
    new = (distance > _CLOSE * np.pi / len(reference)) & (abs(errors) >= abs(own[0]))
    angles, errors = np.concatenate([reference, angles[new]]), np.concatenate([own, errors[new]])
    order = np.argsort(angles, kind="stable")
    angles, heights = _strongest(angles[order], errors[order])
    return _thinned(angles, np.minimum(heights, _HIGH * abs(own[0])), len(reference))


def _strongest(angles: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Of each run of equal sign the point of the largest error: (angles, |errors|)."""
    starts = np.concatenate([[0], np.nonzero(np.diff(np.signbit(errors)))[0] + 1])
    run = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(errors))))
    order = np.lexsort((-abs(errors), run))
    best = order[np.concatenate([[0], np.nonzero(np.diff(run[order]))[0] + 1])]
    return angles[best], abs(errors[best])


def _thinned(angles: Floats, heights: Floats, count: int) -> Floats:
    """`count` of the alternating points: neighbouring pairs go, or one at an end, where that leaves
    the smallest gap.

    All of them are good enough for the level to rise. Choosing by gap, not by height, keeps the
    density even: heights differ by many orders while the reference is far from level, and following
    them leaves holes in which P explodes.
    """
    while (excess := len(angles) - count) > 0:
        if excess % 2:
            # the lower one, of equal ones the closer
            low, high = (heights[0], angles[1]), (heights[-1], np.pi - angles[-2])
            kept = slice(1, None) if low < high else slice(None, -1)
            angles, heights = angles[kept], heights[kept]
            continue
        gaps = np.concatenate(
            [[2 * angles[2]], angles[3:] - angles[:-3], [2 * (np.pi - angles[-3])]]
        )
        stays = _without_pairs(np.argsort(gaps, kind="stable"), len(angles), max(1, excess // 4))
        angles, heights = angles[stays], heights[stays]
    return angles


def _without_pairs(order: NDArray[np.int64], count: int, pairs: int) -> NDArray[np.bool_]:
    """Mask over `count` points without the first `pairs` pairs (i, i + 1) in `order` that do not
    touch one another.
    """
    gone = np.zeros(count + 2, np.bool_)
    for i in order:
        if pairs and not gone[i : i + 4].any():
            gone[i + 1 : i + 3] = True
            pairs -= 1
    return ~gone[1:-1]
