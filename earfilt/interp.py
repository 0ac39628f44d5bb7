"""Interpolation between published points, differentiable in their values.

The idea: where a point falls (its interval) depends on frequencies alone and carries no gradient; the value is then arithmetic on the
neighbouring gains, so gradients reach them.
"""

import torch
from torch import Tensor


def _interval(x: Tensor, xp: Tensor) -> Tensor:
    """Index i with xp[i] ≤ x < xp[i+1], kept within the table: (len(x),) int64."""
    return (torch.searchsorted(xp, x, right=True) - 1).clamp_(0, len(xp) - 2)


def linear(x: Tensor, xp: Tensor, yp: Tensor) -> Tensor:
    """Linear interpolation, held flat beyond both ends (as ``numpy.interp``).

    Parameters
    ----------
    x : (M,) float64
        Where to evaluate.
    xp : (N,) float64, ascending, N ≥ 2
        The nodes.
    yp : (N,) float64
        Values at the nodes; gradients reach them.

    Returns
    -------
    (M,) float64
    """
    i = _interval(x, xp)
    weight = ((x - xp[i]) / (xp[i + 1] - xp[i])).clamp(0.0, 1.0)
    return yp[i] + weight * (yp[i + 1] - yp[i])


def pchip(x: Tensor, xp: Tensor, yp: Tensor) -> Tensor:
    """Piecewise cubic Hermite interpolation that keeps the shape of the data (PCHIP), held flat beyond both ends.

    Parameters
    ----------
    x : (M,) float64
        Where to evaluate.
    xp : (N,) float64, ascending, N ≥ 2
        The nodes.
    yp : (N,) float64
        Values at the nodes; gradients reach them.

    Returns
    -------
    (M,) float64

    References
    ----------
    Fritsch, F. N. & Butland, J. (1984). A method for constructing local monotone piecewise cubic interpolants.
    SIAM J. Sci. Stat. Comput. 5, 300-304.
    """
    x = x.clamp(xp[0], xp[-1])
    h = xp.diff()
    slopes = yp.diff() / h
    d = _pchip_derivatives(h, slopes)
    i = _interval(x, xp)
    t = x - xp[i]
    quadratic = (3.0 * slopes[i] - 2.0 * d[i] - d[i + 1]) / h[i]
    cubic = (d[i] + d[i + 1] - 2.0 * slopes[i]) / h[i] ** 2
    return yp[i] + t * (d[i] + t * (quadratic + t * cubic))


def _pchip_derivatives(h: Tensor, slopes: Tensor) -> Tensor:
    """Derivatives at the nodes from interval widths and slopes, (N−1,) each -> (N,)."""
    if len(h) == 1:
        return torch.cat([slopes, slopes])
    before, after = slopes[:-1], slopes[1:]
    w1 = 2.0 * h[1:] + h[:-1]
    w2 = h[1:] + 2.0 * h[:-1]
    monotone = before * after > 0.0
    # A weighted harmonic mean of the two slopes where they agree in sign, zero at extrema. The unused branch of a `where` must
    # stay finite too, or its gradient is NaN: hence the ones.
    one = torch.ones_like(before)
    safe_before, safe_after = torch.where(monotone, before, one), torch.where(monotone, after, one)
    mean = (w1 + w2) / (w1 / safe_before + w2 / safe_after)
    inner = torch.where(monotone, mean, torch.zeros_like(mean))
    first = _pchip_end(h[0], h[1], slopes[0], slopes[1])
    last = _pchip_end(h[-1], h[-2], slopes[-1], slopes[-2])
    return torch.cat([first[None], inner, last[None]])


def _pchip_end(h0: Tensor, h1: Tensor, s0: Tensor, s1: Tensor) -> Tensor:
    """One-sided three-point derivative at an end, limited so that the shape is kept; scalars."""
    d = ((2.0 * h0 + h1) * s0 - h0 * s1) / (h0 + h1)
    d = torch.where(d * s0 <= 0.0, torch.zeros_like(d), d)
    overshoots = (s0 * s1 <= 0.0) & (d.abs() > 3.0 * s0.abs())
    return torch.where(overshoots, 3.0 * s0, d)
