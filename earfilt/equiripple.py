"""Chebyshev approximation by cosine polynomials: the smallest FIR that stays inside a tolerance band.

The idea: every response an FIR of a given order can have is P(w) = a[0] + a[1] cos w + ... + a[n] cos nw, n = order,
be it the squared magnitude of a minimum-phase filter or the magnitude of a forward-backward one. A band lower ≤ P ≤ upper
is |P - centre| / width <= 1. By de la Vallee Poussin's theorem, n + 2 points where the error alternates in sign bound from
below what degree n can reach, so one exchange step often proves a degree too small, and the first polynomial found inside
the band proves it large enough; only the two degrees on either side of the smallest one are carried to convergence.

References
----------
Remez, E. Ya. (1934). Sur le calcul effectif des polynomes d'approximation de Tchebichef. C. R. Acad. Sci. 199, 337-340.
Parks, T. W. & McClellan, J. H. (1972). Chebyshev approximation for nonrecursive digital filters with linear phase.
    IEEE Trans. Circuit Theory 19, 189-194.
Berrut, J.-P. & Trefethen, L. N. (2004). Barycentric Lagrange interpolation. SIAM Review 46, 501-517.
Filip, S.-I. (2016). A robust and scalable implementation of the Parks-McClellan algorithm for designing FIR filters.
    ACM Trans. Math. Softw. 43, 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PER_DEGREE = 16  # samples of P per degree, where extrema are looked for
_BLOCK = 1 << 17  # matrix entries worked on at once: 1 MB stays in cache
_CONVERGED = 1e-5  # relative distance between the largest and the levelled error
_CLOSE = 1e-4  # nearer than this (in mean spacings) to a reference point, a new one would only repeat it
_FIRST = 32  # degree of the first attempt
_PATIENCE = 3  # stalled exchanges in a row
_HIGH = 3.0  # errors beyond so many times the level are all the same
_STALLED = 1e-9  # a level that rises by less, with an error that does not fall, will not move any more
_NEAR = 0.05  # an error this near to 1 is close
_NEAR_LEVEL = 0.9  # a feasible degree whose level is higher is near the smallest one
_UNPROVED = 0.05  # how exactly the degree is sought where no smaller one can be shown to fail
_LARGEST_EXCHANGE = 16_384  # its cost grows with the square of the degree, to some 10 s here
_CHEAP = 8192  # up to this degree a second attempt costs some seconds at most
_COSTLY = 1024  # from this degree on the search takes smaller steps
_USABLE = 1.5  # a reference this near to level makes a good start for another degree


@dataclass(frozen=True, eq=False)
class Problem:
    """Approximate `centre` within `width`.

    Parameters
    ----------
    bounds
        Function of angles w (radians, 0..π, any shape (K,)) -> (centre (K,), width (K,)), width > 0.
    marks
        Angles where centre has corners: they are tried as extrema exactly, not to the nearest grid point.
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

    `lower` ≤ smallest possible error ≤ `upper`, the error of the polynomial `cosines` (degree + 1,).
    `reference` (degree + 2,) are the angles of its alternation.
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
        """An estimate of the smallest possible error: `lower` converges the faster, once the reference is near to level."""
        near = self.lost or self.upper < _USABLE * self.lower
        return max(self.lower, 1e-9) if near else float(np.sqrt(max(self.lower, 1e-9) * self.upper))

    def stretched(self) -> Levelled:
        """What this says about the same band at twice the sampling rate: twice the degree, the new half of the axis even."""
        angles = self.reference / 2
        even = np.linspace(angles[-1], np.pi, self.degree + 1)
        return self._replace(degree=2 * self.degree, reference=np.concatenate([angles, even[1:]]))


class _Interpolant(NamedTuple):
    """P through `values` at the angles `nodes`, with barycentric `weights` (alternating in sign)."""

    nodes: Floats
    values: Floats
    weights: Floats


def exchange(problem: Problem, degree: int, reference: Floats, *, iterations: int = 30) -> Levelled:
    """Remez exchange at one degree, until the question whether an error of 1 can be reached is decided.

    Parameters
    ----------
    problem
        The band.
    degree
        Degree n ≥ 1 of the cosine polynomial.
    reference
        (n + 2,) ascending distinct angles in 0..π to start from.
    iterations
        At most so many exchanges.

    Returns
    -------
    Levelled
        Feasible; or with lower > 1, and its reference near to level; or converged to 1e-5; or lost to rounding (upper = inf).
    """
    highest = 0.0
    smallest, stalled = np.inf, 0
    for _ in range(iterations):
        level, interpolant = _levelled(problem, reference)
        lower = abs(level)
        if not lower >= highest / 2:  # in exact arithmetic the level only rises
            break
        cosines = _cosines(interpolant, degree)
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


def _solve(problem: Problem, degree: int, start: Levelled | None) -> Levelled:
    """`exchange` from what is known of another degree or, where that is cheap, from scratch; what sampling gives if they fail."""
    lower = 0.0
    if degree <= _LARGEST_EXCHANGE:
        starts = [] if start is None else [scaled_reference(start.reference, degree)]
        scratch = [chebyshev_points(degree)] if degree <= _CHEAP or not starts else []
        for reference in [*starts, *scratch]:
            found = exchange(problem, degree, reference)
            if not found.lost:
                return found
            lower = max(lower, found.lower)
    return _sampled(problem, degree, lower)


def _sampled(problem: Problem, degree: int, lower: float) -> Levelled:
    """The cosine series of the band's centre, kept up to half the degree and then faded out.

    Far from the best at corners, but polynomials of half the degree come out as they are, so the error is at most a few times
    the smallest one of half the degree (de la Vallée Poussin), and no rounding builds up.
    """
    intervals = _intervals(degree)
    centre, width = problem.grid(intervals)
    series = np.fft.irfft(centre)[: degree + 1]
    series[1:] *= 2
    faded = np.clip(2 * np.arange(degree + 1) / (degree + 1) - 1, 0.0, 1.0)
    cosines = series * np.cos(faded * (np.pi / 2)) ** 2
    upper = float(np.max(abs(sample(cosines, intervals) - centre) / width))
    return Levelled(degree, min(lower, upper), upper, chebyshev_points(degree), cosines)


def _intervals(degree: int) -> int:
    """Grid of the search: a power of two, at least 16 samples per degree."""
    return 1 << int(np.ceil(np.log2(_PER_DEGREE * (degree + 1))))


def chebyshev_points(degree: int) -> Floats:
    """The alternation of cos (n+1)w, the start when nothing is known: (degree + 2,)."""
    return np.linspace(0.0, np.pi, degree + 2)


def scaled_reference(reference: Floats, degree: int) -> Floats:
    """A reference for `degree` placed as one that was levelled for another degree.

    Extrema lie evenly, k = (n + 1)·w/π, but for a displacement s(w) of a few places that corners and edges cause and that
    hardly depends on n. Keeping s, and not the density, keeps it that small: the weights of the interpolation grow
    exponentially with it.
    """
    even = np.linspace(0.0, np.pi, len(reference))
    displacement = (even - reference) * (len(reference) - 1) / np.pi
    if degree + 2 > 1.3 * len(reference):
        displacement = _smooth(displacement)
    angles = np.concatenate([[0.0], reference, [np.pi]])
    displacement = np.concatenate([[min(displacement[0], 0.0)], displacement, [max(displacement[-1], 0.0)]])
    rank = np.maximum.accumulate(angles * ((degree + 1) / np.pi) + displacement)
    return np.interp(np.arange(degree + 2), rank, angles)


def _smooth(values: Floats, reach: int = 8) -> Floats:
    """Weighted mean of each value with `reach` neighbours on either side, the ends repeated."""
    kernel = np.hanning(2 * reach + 3)[1:-1]
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), "valid")


def _signs(count: int) -> Floats:
    """1, -1, 1, ... (count,)."""
    return np.where(np.arange(count) % 2, -1.0, 1.0)


def _levelled(problem: Problem, reference: Floats) -> tuple[float, _Interpolant]:
    """The error that alternates with equal height over the reference, and the polynomial that has it.

    Degree n through n + 2 points leaves one condition: the divided difference of P = centre - (-1)^k level width over all
    of them is zero, sum_k b[k] P[k] = 0, with barycentric weights b, which alternate in sign themselves.
    """
    centre, width = problem.bounds(reference)
    signs = _signs(len(reference))
    weights = _barycentric_weights(reference)
    level = float(np.sum(signs * weights * centre) / np.sum(weights * width))
    return level, _Interpolant(reference, centre - level * signs * width, signs * weights)


class _Places(NamedTuple):
    """Ascending angles w as 4·sin²(w/2) and 4·cos²(w/2): exact where the one or the other is small."""

    low: Floats
    high: Floats

    @classmethod
    def of(cls, angles: Floats) -> _Places:
        return cls(4 * np.sin(angles / 2) ** 2, 4 * np.cos(angles / 2) ** 2)


def _differences(places: _Places, block: slice, nodes: _Places) -> Floats:
    """2·(cos(nodes) - cos(angles)) as a matrix, a row for each angle in the block.

    As differences of sin² in the lower half of the axis and of cos² in the upper one: cos(w) itself is flat at 0 and π, and its
    rounding would swallow the spacing of the nodes there. The factor is the inverse capacity of the interval -1..1:
    products over well-placed nodes then neither grow nor fade.
    """
    low, high = places.low[block, None], places.high[block, None]
    half = int(np.searchsorted(low[:, 0], 2.0))
    out = np.empty((len(low), len(nodes.low)))
    np.subtract(low[:half], nodes.low, out=out[:half])
    np.subtract(nodes.high, high[half:], out=out[half:])
    return out


def _blocks(count: int, width: int) -> list[slice]:
    """Rows of a count × width matrix in pieces that stay in cache."""
    rows = max(1, _BLOCK // width)
    return [slice(start, min(start + rows, count)) for start in range(0, count, rows)]


def _barycentric_weights(nodes: Floats) -> Floats:
    """1 / prod_j |x[k] - x[j]| up to a common factor, x = cos(nodes): (len(nodes),), largest below 2.

    Products of thousands of factors are kept as mantissa and exponent.
    """
    count, places = len(nodes), _Places.of(nodes)
    mantissa, exponent = np.empty(count), np.empty(count, np.int64)
    for block in _blocks(count, count):
        factors = _differences(places, block, places)
        factors[np.arange(len(factors)), np.arange(block.start, block.stop)] = 1.0
        mantissa[block], exponent[block] = _products(factors)
    return np.ldexp(1 / mantissa, exponent.min() - exponent)


def _products(factors: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """|Product| of each row as (mantissa in 0.5..1, exponent of 2). 32 factors at a time cannot leave the range of float64."""
    width = factors.shape[1] // 32
    product = np.ones((len(factors), width + 1))
    for start in range(0, 32 * width, width or 1):
        product[:, :width] *= factors[:, start : start + width]
    product[:, width] = factors[:, 32 * width :].prod(axis=1)
    mantissas, exponents = np.frexp(abs(product))
    mantissa, extra = np.frexp(mantissas.prod(axis=1))
    return mantissa, exponents.sum(axis=1, dtype=np.int64) + extra


def _evaluate(interpolant: _Interpolant, angles: Floats) -> Floats:
    """P at ascending `angles` (K,) by the second barycentric formula: (K,)."""
    nodes, values, weights = interpolant
    out, places, node_places = np.empty(len(angles)), _Places.of(angles), _Places.of(nodes)
    weighted = weights * values
    with np.errstate(divide="ignore", invalid="ignore"):
        for block in _blocks(len(angles), len(nodes)):
            terms = _differences(places, block, node_places)
            np.reciprocal(terms, out=terms)
            # einsum and not BLAS: the sums must not depend on the number of threads.
            out[block] = np.einsum("ij,j->i", terms, weighted) / np.einsum("ij,j->i", terms, weights)
    after = np.clip(np.searchsorted(nodes, angles), 0, len(nodes) - 1)
    return np.where(nodes[after] == angles, values[after], out)


def _cosines(interpolant: _Interpolant, degree: int) -> Floats:
    """Coefficients of P: a discrete cosine transform of its values at Chebyshev points, (degree + 1,)."""
    count = _fast_length(degree + 2)
    angles = (np.arange(count, dtype=np.float64) + 0.5) * (np.pi / count)
    values = _evaluate(interpolant, angles)
    if not np.all(np.isfinite(values)):
        return np.full(degree + 1, np.nan)
    spectrum = np.fft.rfft(np.concatenate([values, values[::-1]]))[: degree + 1]
    cosines = (spectrum * np.exp(-0.5j * np.pi / count * np.arange(degree + 1))).real / count
    cosines[0] /= 2
    return cosines


def _fast_length(count: int) -> int:
    """The smallest 2^a 3^b 5^c ≥ count: the FFT is fast there."""
    powers = [2**a * 3**b * 5**c for a in range(19) for b in range(12) for c in range(8)]
    return min(p for p in powers if p >= count)


def sample(cosines: Floats, intervals: int) -> Floats:
    """P at the angles k·π/intervals, k = 0..intervals (>= degree): (intervals + 1,)."""
    half = np.zeros(intervals + 1)
    half[: len(cosines)] = cosines
    half[1:intervals] /= 2
    return np.fft.irfft(half, 2 * intervals)[: intervals + 1] * (2 * intervals)


def _extrema(problem: Problem, interpolant: _Interpolant, cosines: Floats) -> tuple[Floats, Floats, float]:
    """Where the error has its local extrema: (angles, errors, largest |error|); errors lost in rounding are left out."""
    intervals = _intervals(len(cosines) - 1)
    values = sample(cosines, intervals)
    centre, width = problem.grid(intervals)
    errors = (values - centre) / width
    peaks, offset = _peaks(abs(errors))
    ends = np.array([0, intervals])
    # The samples themselves too: beside a corner or an edge the parabola leads away from the peak.
    samples = np.concatenate([ends, peaks])
    angles = np.concatenate([samples, peaks + offset]) * (np.pi / intervals)
    angles = np.concatenate([angles, problem.marks])
    found = np.concatenate([values[samples], _between(values, peaks, offset), _evaluate(interpolant, problem.marks)])
    centre, width = problem.bounds(angles)
    exact = (found - centre) / width
    # A reference far from level makes P large somewhere, and the rounding of that then covers the small errors elsewhere.
    # How much it is shows at the reference, where P is known. Points it covers stay as they are in this step.
    noise = np.median(abs(_at(values, interpolant.nodes) - interpolant.values))
    clear = abs(exact) * width > 10 * noise
    at_marks = (_at(values, problem.marks) - centre[-len(problem.marks) :]) / width[-len(problem.marks) :]
    return angles[clear], exact[clear], float(max(abs(exact).max(), abs(at_marks).max()))


def _at(values: Floats, angles: Floats) -> Floats:
    """P at any angles from its samples on the grid of the search: (len(angles),)."""
    place = angles * ((len(values) - 1) / np.pi)
    nearest = np.rint(place).astype(np.int64)
    return _between(values, nearest, place - nearest)


def _peaks(height: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Local maxima of samples: (indices, offset of the vertex of the parabola through three samples, within half a step)."""
    peaks = np.nonzero((height[1:-1] >= height[:-2]) & (height[1:-1] > height[2:]))[0] + 1
    before, here, after = height[peaks - 1], height[peaks], height[peaks + 1]
    bend = before - 2 * here + after
    return peaks, np.clip(0.5 * (before - after) / np.where(bend < 0, bend, -np.inf), -0.5, 0.5)


def _between(values: Floats, index: NDArray[np.int64], offset: Floats) -> Floats:
    """`values` between samples by Lagrange interpolation over seven neighbours; P is even about both ends."""
    padded = np.concatenate([values[3:0:-1], values, values[-2:-5:-1]])
    total = np.zeros(len(index))
    for k in range(-3, 4):
        others = [j for j in range(-3, 4) if j != k]
        weight = np.prod([(offset - j) / (k - j) for j in others], axis=0)
        total += weight * padded[index + k + 3]
    return total


def _alternation(reference: Floats, own: Floats, angles: Floats, errors: Floats) -> Floats:
    """The next reference: as many points as before, alternating in sign, each error at least as large as the level was.

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
    """`count` of the alternating points: neighbouring pairs go, or one at an end, where that leaves the smallest gap.

    All of them are good enough for the level to rise. Choosing by gap, not by height, keeps the density even: heights
    differ by many orders while the reference is far from level, and following them leaves holes in which P explodes.
    """
    while (excess := len(angles) - count) > 0:
        if excess % 2:
            low, high = (heights[0], angles[1]), (heights[-1], np.pi - angles[-2])  # the lower one, of equal ones the closer
            kept = slice(1, None) if low < high else slice(None, -1)
            angles, heights = angles[kept], heights[kept]
            continue
        gaps = np.concatenate([[2 * angles[2]], angles[3:] - angles[:-3], [2 * (np.pi - angles[-3])]])
        stays = _without_pairs(np.argsort(gaps, kind="stable"), len(angles), max(1, excess // 4))
        angles, heights = angles[stays], heights[stays]
    return angles


def _without_pairs(order: NDArray[np.int64], count: int, pairs: int) -> NDArray[np.bool_]:
    """Mask over `count` points without the first `pairs` pairs (i, i + 1) in `order` that do not touch one another."""
    gone = np.zeros(count + 2, np.bool_)
    for i in order:
        if pairs and not gone[i : i + 4].any():
            gone[i + 1 : i + 3] = True
            pairs -= 1
    return ~gone[1:-1]


def smallest_even_degree(
    problem: Problem,
    *,
    start: Levelled | None = None,
    below: Levelled | None = None,
    largest: int,
    resolution: float = 0.0,
) -> tuple[Levelled, Levelled | None]:
    """The smallest even degree that stays within the band.

    Parameters
    ----------
    problem
        The band.
    start
        A solution of a similar problem, of a degree that is thought to be near; None: nothing is known.
    below
        What is known of a degree that is too small.
    largest
        No degree beyond this is tried.
    resolution
        The search ends when the smallest degree is known to this share of itself; 0: exactly.

    Returns
    -------
    best
        Feasible; or, where no degree tried was, the one nearest to it.
    below
        The largest degree that was found not feasible, two below `best` if resolution is 0; None if none was tried.
    """
    above: Levelled | None = None
    nearest: Levelled | None = None
    degree = start.degree if start else _FIRST
    while True:
        found = _solve(problem, degree, start)
        below, above = (below, found) if found.feasible else (found, above)
        nearest = found if nearest is None or found.upper < nearest.upper else nearest
        if above is None and degree >= largest:
            return nearest, below
        if above is not None:
            proved = below is None or below.lower > 1.0 or above.lower > _NEAR_LEVEL
            share = resolution if proved else max(resolution, _UNPROVED)
            if above.degree - (below.degree if below else 0) <= max(2, share * above.degree):
                return above, below
        degree = _next_degree(below, above, largest)
        known = [level for level in (below, above) if level is not None and not level.lost]
        start = min(known, key=lambda level: abs(level.degree - degree), default=None)


def _next_degree(below: Levelled | None, above: Levelled | None, largest: int) -> int:
    """The even degree at which the error should be 1, were it a power of the degree."""
    if above is None:
        assert below is not None
        return min(largest, _step(below))
    if below is None:
        return _step(above)
    low, high = np.log(below.error), np.log(above.error)
    share = min(max(low / (low - high), 0.1), 0.9) if high < 0 < low and below.lower > 1.0 else 0.5
    guess = below.degree * (above.degree / below.degree) ** share
    return int(min(max(2 * round(guess / 2), below.degree + 2), above.degree - 2))


def _step(level: Levelled) -> int:
    """The next degree to try when only one side of the bracket is known.

    At corners the error falls as 1/degree, elsewhere faster; close to the end a short step is the cheaper one.
    """
    if not level.feasible and level.lower <= 1.0:  # rounding decided, not the degree
        return 2 * (level.degree * 3 // 4)
    change = level.error - 1
    if abs(change) < _NEAR:
        change /= 5
    factor = min(max(1 + change, 0.75), 2.0 if level.degree < _COSTLY else 1.25)
    guess = 2 * round(level.degree * factor / 2)
    return max(2, min(guess, level.degree - 2) if level.feasible else max(guess, level.degree + 2))
