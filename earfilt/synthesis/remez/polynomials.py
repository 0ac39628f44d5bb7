"""Cosine polynomials P(w) = a[0] + a[1] cos w + ... + a[n] cos nw: through given values, at any
angle, as coefficients, as samples.

References
----------
Berrut, J.-P. & Trefethen, L. N. (2004). Barycentric Lagrange interpolation. SIAM Review 46,
501-517. Filip, S.-I. (2016). A robust and scalable implementation of the Parks-McClellan algorithm
for designing FIR filters.
    ACM Trans. Math. Softw. 43, 7.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats

_BLOCK = 1 << 17  # matrix entries worked on at once: 1 MB stays in cache


class Interpolant(NamedTuple):
    """P through `values` at the angles `nodes`, with barycentric `weights` (alternating in sign)."""

    nodes: Floats
    values: Floats
    weights: Floats


class _Places(NamedTuple):
    """Ascending angles w as 4·sin²(w/2) and 4·cos²(w/2): exact where the one or the other is small."""

    low: Floats
    high: Floats

    @classmethod
    def of(cls, angles: Floats) -> _Places:
        return cls(4 * np.sin(angles / 2) ** 2, 4 * np.cos(angles / 2) ** 2)


def _differences(places: _Places, block: slice, nodes: _Places) -> Floats:
    """2·(cos(nodes) - cos(angles)) as a matrix, a row for each angle in the block.

    As differences of sin² in the lower half of the axis and of cos² in the upper one: cos(w) itself
    is flat at 0 and π, and its rounding would swallow the spacing of the nodes there. The factor is
    the inverse capacity of the interval -1..1: products over well-placed nodes then neither grow
    nor fade.
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


def barycentric_weights(nodes: Floats) -> Floats:
    """1 / prod_j |x[k] - x[j]| up to a common factor, x = cos(nodes): (len(nodes),), largest below
    2.

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
    """|Product| of each row as (mantissa in 0.5..1, exponent of 2). 32 factors at a time cannot
    leave the range of float64.
    """
    width = factors.shape[1] // 32
    product = np.ones((len(factors), width + 1))
    for start in range(0, 32 * width, width or 1):
        product[:, :width] *= factors[:, start : start + width]
    product[:, width] = factors[:, 32 * width :].prod(axis=1)
    mantissas, exponents = np.frexp(abs(product))
    mantissa, extra = np.frexp(mantissas.prod(axis=1))
    return mantissa, exponents.sum(axis=1, dtype=np.int64) + extra


def evaluate(interpolant: Interpolant, angles: Floats) -> Floats:
    """P at ascending `angles` (K,) by the second barycentric formula: (K,)."""
    nodes, values, weights = interpolant
    out, places, node_places = np.empty(len(angles)), _Places.of(angles), _Places.of(nodes)
    weighted = weights * values
    with np.errstate(divide="ignore", invalid="ignore"):
        for block in _blocks(len(angles), len(nodes)):
            terms = _differences(places, block, node_places)
            np.reciprocal(terms, out=terms)
            # einsum and not BLAS: the sums must not depend on the number of threads.
            out[block] = np.einsum("ij,j->i", terms, weighted) / np.einsum(
                "ij,j->i", terms, weights
            )
    after = np.clip(np.searchsorted(nodes, angles), 0, len(nodes) - 1)
    return np.where(nodes[after] == angles, values[after], out)


def coefficients(interpolant: Interpolant, degree: int) -> Floats:
    """Coefficients of P: a discrete cosine transform of its values at Chebyshev points, (degree +
    1,).
    """
    count = _fast_length(degree + 2)
    angles = (np.arange(count, dtype=np.float64) + 0.5) * (np.pi / count)
    values = evaluate(interpolant, angles)
    if not np.all(np.isfinite(values)):
        return np.full(degree + 1, np.nan)
    spectrum = np.fft.rfft(np.concatenate([values, values[::-1]]))[: degree + 1]
    cosines = (spectrum * np.exp(-0.5j * np.pi / count * np.arange(degree + 1))).real / count
    cosines[0] /= 2
    return cosines


def _fast_length(count: int) -> int:
    """The smallest 2^a 3^b 5^c ≥ count: the FFT is fast there."""
    return _fast_lengths()[bisect_left(_fast_lengths(), count)]


@cache
def _fast_lengths() -> list[int]:
    return sorted(2**a * 3**b * 5**c for a in range(19) for b in range(12) for c in range(8))


def sample(cosines: Floats, intervals: int) -> Floats:
    """P at the angles k·π/intervals, k = 0..intervals (>= degree): (intervals + 1,)."""
    half = np.zeros(intervals + 1)
    half[: len(cosines)] = cosines
    half[1:intervals] /= 2
    return np.fft.irfft(half, 2 * intervals)[: intervals + 1] * (2 * intervals)


def at(values: Floats, angles: Floats) -> Floats:
    """P at any angles from its samples on the grid of the search: (len(angles),)."""
    place = angles * ((len(values) - 1) / np.pi)
    nearest = np.rint(place).astype(np.int64)
    return between(values, nearest, place - nearest)


def between(values: Floats, index: NDArray[np.int64], offset: Floats) -> Floats:
    """`values` between samples by Lagrange interpolation over seven neighbours; P is even about
    both ends.
    """
    index, weights = neighbours(index, offset, len(values) - 1)
    return (weights * values[index]).sum(0)


def neighbours(
    index: NDArray[np.int64], offset: Floats, intervals: int
) -> tuple[NDArray[np.int64], Floats]:
    """The seven samples, of 0..intervals, around places `index` + `offset` (M,), and their weights
    in Lagrange interpolation: (7, M) both. P is even about both ends.
    """
    steps = np.arange(-3, 4)
    weights = np.empty((7, len(index)))
    for row, k in enumerate(steps):
        weights[row] = np.prod([(offset - j) / (k - j) for j in steps if j != k], axis=0)
    around = abs(index + steps[:, None])
    return intervals - abs(intervals - around), weights
