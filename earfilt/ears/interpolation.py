"""Interpolation between published points, differentiable in their values.

The idea: where a point falls (its interval) depends on frequencies alone and carries no gradient;
the value is then arithmetic on the neighbouring gains, so gradients reach them. All arguments are
of one library, numpy or torch.
"""

from typing import Any

from earfilt.arrays import Array, namespace


def _interval(x: Array, nodes: Array) -> Any:
    """Index i with nodes[i] ≤ x < nodes[i+1], kept within the table: (len(x),) int64."""
    xp = namespace(x)
    return xp.clip(xp.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)


def linear(x: Array, nodes: Array, values: Array) -> Array:
    """Linear interpolation, held flat beyond both ends (as ``numpy.interp``).

    Parameters
    ----------
    x : (M,) float64
        Where to evaluate.
    nodes : (N,) float64, ascending, N ≥ 2
        Where the values are given.
    values : (N,) float64
        Values at the nodes; gradients reach them.

    Returns
    -------
    (M,) float64
    """
    xp = namespace(x)
    i = _interval(x, nodes)
    weight = xp.clip((x - nodes[i]) / xp.diff(nodes)[i], 0.0, 1.0)
    return values[i] + weight * xp.diff(values)[i]


def pchip(x: Array, nodes: Array, values: Array) -> Array:
    """Piecewise cubic Hermite interpolation that keeps the shape of the data (PCHIP), held flat
    beyond both ends.

    Parameters
    ----------
    x : (M,) float64
        Where to evaluate.
    nodes : (N,) float64, ascending, N ≥ 2
        Where the values are given.
    values : (N,) float64
        Values at the nodes; gradients reach them.

    Returns
    -------
    (M,) float64

    References
    ----------
    Fritsch, F. N. & Butland, J. (1984). A method for constructing local monotone piecewise cubic
    interpolants. SIAM J. Sci. Stat. Comput. 5, 300-304.
    """
    xp = namespace(x)
    h = xp.diff(nodes)
    return _hermite(x, nodes, values, _pchip_derivatives(h, xp.diff(values) / h))


def spline(x: Array, nodes: Array, values: Array) -> Array:
    """Cubic spline with not-a-knot ends, held flat beyond both ends; as
    ``scipy.interpolate.CubicSpline``.

    Parameters
    ----------
    x : (M,) float64
        Where to evaluate.
    nodes : (N,) float64, ascending, N ≥ 4
        Where the values are given.
    values : (N,) float64
        Values at the nodes; gradients reach them.

    Returns
    -------
    (M,) float64

    References
    ----------
    de Boor, C. (2001). A practical guide to splines, revised ed., chapter IV.
    """
    return _hermite(x, nodes, values, _spline_derivatives(nodes, values))


def _hermite(x: Array, nodes: Array, values: Array, d: Array) -> Array:
    """Cubics through nodes with values and derivatives (N,) each; held flat beyond both ends."""
    xp = namespace(x)
    x = xp.clip(x, nodes[0], nodes[-1])
    h = xp.diff(nodes)
    slopes = xp.diff(values) / h
    quadratic = (3.0 * slopes - 2.0 * d[:-1] - d[1:]) / h
    cubic = (d[:-1] + d[1:] - 2.0 * slopes) / h**2
    i = _interval(x, nodes)
    t = x - nodes[i]
    return values[i] + t * (d[i] + t * (quadratic[i] + t * cubic[i]))


def _spline_derivatives(nodes: Array, values: Array) -> Array:
    """Derivatives at the nodes for which the second one is continuous, and the third one too at the
    second and the last but one: (N,).
    """
    xp = namespace(values)
    h = xp.diff(nodes)
    s = xp.diff(values) / h
    n, first, last = len(h) + 1, h[0] + h[1], h[-1] + h[-2]
    matrix = xp.zeros((n, n), dtype=xp.float64, device=values.device)
    k = xp.arange(1, n - 1)
    matrix[k, k - 1], matrix[k, k], matrix[k, k + 1] = h[1:], 2.0 * (h[:-1] + h[1:]), h[:-1]
    matrix[0, 0], matrix[0, 1] = h[1], first
    matrix[-1, -1], matrix[-1, -2] = h[-2], last
    inner = 3.0 * (h[1:] * s[:-1] + h[:-1] * s[1:])
    start = ((h[0] + 2.0 * first) * h[1] * s[0] + h[0] ** 2 * s[1]) / first
    end = (h[-1] ** 2 * s[-2] + (2.0 * last + h[-1]) * h[-2] * s[-1]) / last
    return xp.linalg.solve(matrix, xp.concat([start.reshape(1), inner, end.reshape(1)]))


def _pchip_derivatives(h: Array, slopes: Array) -> Array:
    """Derivatives at the nodes from interval widths and slopes, (N−1,) each -> (N,)."""
    xp = namespace(h)
    if len(h) == 1:
        return xp.concat([slopes, slopes])
    before, after = slopes[:-1], slopes[1:]
    w1 = 2.0 * h[1:] + h[:-1]
    w2 = h[1:] + 2.0 * h[:-1]
    monotone = before * after > 0.0
    # A weighted harmonic mean of the two slopes where they agree in sign, zero at extrema. The
    # unused branch of a `where` must stay finite too, or its gradient is NaN: hence the ones.
    safe_before, safe_after = xp.where(monotone, before, 1.0), xp.where(monotone, after, 1.0)
    inner = xp.where(monotone, (w1 + w2) / (w1 / safe_before + w2 / safe_after), 0.0)
    first = _pchip_end(h[:1], h[1:2], slopes[:1], slopes[1:2])
    last = _pchip_end(h[-1:], h[-2:-1], slopes[-1:], slopes[-2:-1])
    return xp.concat([first, inner, last])


def _pchip_end(h0: Array, h1: Array, s0: Array, s1: Array) -> Array:
    """One-sided three-point derivative at an end, limited so that the shape is kept; (1,) each."""
    xp = namespace(h0)
    d = ((2.0 * h0 + h1) * s0 - h0 * s1) / (h0 + h1)
    d = xp.where(d * s0 <= 0.0, 0.0, d)
    overshoots = (s0 * s1 <= 0.0) & (xp.abs(d) > 3.0 * xp.abs(s0))
    return xp.where(overshoots, 3.0 * s0, d)
