"""Interpolation between published points, differentiable in their values.

The idea: where a point falls (its interval) depends on frequencies alone and carries no gradient;
the value is then arithmetic on the neighbouring gains, so gradients reach them. All arguments are
of one library, numpy or torch.
"""

from typing import Any

from earfilt.arrays import Array, namespace, solved
from earfilt.errors import UsageError

# not-a-knot ends take four points; the equations take memory by the square of their number
SPLINE_POINTS = (4, 4096)


def curve_db(
    at: Array, freqs: Array, decibels: Array, *, interpolation: str = "log", from_zero: bool
) -> Array:
    """A curve through its points, held flat beyond both ends: the one reading of a curve, whatever
    it is read for.

    A point at 0 Hz has no place on a logarithmic axis. Below the next point the curve goes to its
    value by a cubic in the frequency that is level at 0 Hz, since the magnitude of every real
    filter is even there, and that leaves the next point with the slope of the curve above.

    Parameters
    ----------
    at : (M,) float64
        Hz, ≥ 0.
    freqs : (N,) float64
        Hz, ≥ 0, ascending, N ≥ 2; for a spline 4 to 4096 of them positive.
    decibels : (N,) float64
        dB; gradients reach them.
    interpolation : {'log', 'linear', 'spline'}
        PCHIP over the logarithm of the frequency or over the frequency, or a cubic spline over the
        logarithm.
    from_zero : bool
        Whether the first point lies at 0 Hz; nothing looks at the values of a tensor.

    Returns
    -------
    (M,) float64
        dB.
    """
    xp = namespace(freqs)
    inside = xp.clip(at, freqs[0], freqs[-1])
    if interpolation == "linear":
        return pchip(inside, freqs, decibels)
    slopes_of = _spline_slopes if interpolation == "spline" else _pchip_slopes
    if not from_zero:
        nodes = xp.log(freqs)
        return _hermite(xp.log(inside), nodes, decibels, slopes_of(nodes, decibels))
    part = xp.clip(inside / freqs[1], None, 1.0)
    if len(freqs) == 2:
        return _to_zero(part, decibels, 0.0 * decibels[1])
    nodes, values = xp.log(freqs[1:]), decibels[1:]
    slopes = slopes_of(nodes, values)
    above = _hermite(xp.log(xp.clip(inside, freqs[1], None)), nodes, values, slopes)
    return xp.where(part < 1.0, _to_zero(part, decibels, slopes[0]), above)


def check_spline(count: int) -> None:
    """Refuse a spline through too few or too many points with a UsageError."""
    if not SPLINE_POINTS[0] <= count <= SPLINE_POINTS[1]:
        raise UsageError(
            f"the curve has {count} points, and a spline takes {SPLINE_POINTS[0]} to "
            f"{SPLINE_POINTS[1]}; use another interpolation"
        )


def _to_zero(part: Array, decibels: Array, slope: Array) -> Array:
    """A curve between 0 Hz and its next point, at parts (M,) of that frequency: level at 0 Hz, and
    at the next point with a slope in dB over the logarithm of the frequency, which is there that
    over the part. It is limited so that the curve has no extremum between the two.
    """
    xp = namespace(part)
    rise = decibels[1] - decibels[0]
    slope = xp.clip(slope, xp.minimum(3.0 * rise, 0.0 * rise), xp.maximum(3.0 * rise, 0.0 * rise))
    return decibels[0] + part**2 * (rise * (3.0 - 2.0 * part) + slope * (part - 1.0))


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
    return _hermite(x, nodes, values, _pchip_slopes(nodes, values))


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
    return _hermite(x, nodes, values, _spline_slopes(nodes, values))


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


def _spline_slopes(nodes: Array, values: Array) -> Array:
    """Derivatives at the nodes for which the second one is continuous, and the third one too at the
    second and the last but one: (N,).
    """
    xp = namespace(values)
    h = xp.diff(nodes)
    s = xp.diff(values) / h
    n, first, last = len(h) + 1, h[0] + h[1], h[-1] + h[-2]
    matrix = xp.zeros((n, n), dtype=xp.float64, device=values.device)
    k = xp.arange(1, n - 1, device=values.device)
    matrix[k, k - 1], matrix[k, k], matrix[k, k + 1] = h[1:], 2.0 * (h[:-1] + h[1:]), h[:-1]
    matrix[0, 0], matrix[0, 1] = h[1], first
    matrix[-1, -1], matrix[-1, -2] = h[-2], last
    inner = 3.0 * (h[1:] * s[:-1] + h[:-1] * s[1:])
    start = ((h[0] + 2.0 * first) * h[1] * s[0] + h[0] ** 2 * s[1]) / first
    end = (h[-1] ** 2 * s[-2] + (2.0 * last + h[-1]) * h[-2] * s[-1]) / last
    return solved(matrix, xp.concat([start.reshape(1), inner, end.reshape(1)]))


def _pchip_slopes(nodes: Array, values: Array) -> Array:
    """Derivatives at the nodes, (N,)."""
    xp = namespace(nodes)
    h = xp.diff(nodes)
    slopes = xp.diff(values) / h
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
