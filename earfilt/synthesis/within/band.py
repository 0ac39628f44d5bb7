"""The band that a response has to lie in: narrow around the published curve, wide where nothing was
published.

A design is one approximation problem for both kinds of filter. A minimum-phase FIR of order n has
|H|^2 = P(w), a positive cosine polynomial of degree n, and every positive P is the square of such a
filter; a forward-backward one has P itself as its effective response. So P has to stay in a band
around aim^power, power 2 or 1.

Where nothing was published, the response is led, not held:

* above the last point it stays within 1 dB of the aim (or the tolerance, where that is more); the
  aim is not followed further down than 20 dB below the last point, nor down a step: the slope is
  limited to 35 dB per octave or so;
* below the first point it lies between that point's level, tolerance included, and a hundredth of
  it (of its square, for minimum phase), but for the uppermost quarter of that range, where it may
  be up to 3 dB higher (6 dB for zero phase);

so that it has no zeros there and the factor into taps is well conditioned. Opening the band above
to 12 dB would save 1 % of the taps of the headphone and none of the other ears'. Where a rule says
what holds beyond the points (held, falling), below the first one it is followed as above the last:
within 1 dB, down to 20 dB below the first point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.curve import PublishedCurve

__all__ = ["Bounds", "band_around", "deepest_held"]

Bounds: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
"""Function of angles w (radians, 0..π, any shape (K,)) -> (centre (K,), half-width (K,)), both > 0:
P(w) has to lie within centre ± half-width.
"""

_ABOVE_DB = 1.0  # depth of the band above the last point
_ABOVE_DEPTH = 0.1  # how far down the aim is followed there, re the last point (linear magnitude)
_ABOVE_FALL = 4.0  # and how fast: exp(-4 (f / f_last - 1))
_BELOW = 0.98  # half-width of the band below the first point, re its centre
_RISE_OVER = 0.02  # part of the first frequency over which the aim's slope is taken
_BELOW_SLOPE = 2  # its centre falls as this power of f / f_first, or as the aim does above it
_DEEPEST = 1e-13  # smallest half-width of the band, re the peak of P
_PEAK_SAMPLES = 4096
_EDGE = 1e-9  # relative: a frequency this near to an outermost point is that point


def band_around(curve: PublishedCurve, tolerance_db: float, power: float) -> Bounds:
    """The band around aim^power.

    Parameters
    ----------
    curve
        What to follow.
    tolerance_db
        Largest deviation of the response, aim or aim's equal, from the first point to the last.
    power
        2 for the squared magnitude of a minimum-phase filter, 1 for the response itself; less for
        a root of either.
    """
    first, last = curve.points_hz[[0, -1]]
    middle, half = _interval(tolerance_db, power)
    ratio = middle + half
    deepest = deepest_held(curve, tolerance_db, power) ** power
    at_first, at_last = np.maximum(curve.aim(np.array([first, last])) ** power, deepest)
    slope = max(_BELOW_SLOPE, power * _slope_at(curve, first))
    loose = max(1 - 10 ** (-power * _ABOVE_DB / 20), half / middle)

    def bounds(angles: Floats) -> tuple[Floats, Floats]:
        freqs = angles * (curve.fs / (2 * np.pi))
        below, above = freqs < first * (1 - _EDGE), freqs > last * (1 + _EDGE)
        aim = curve.aim(np.minimum(freqs, curve.fs / 2)) ** power
        lost = aim < deepest
        aim = np.maximum(aim, deepest)
        beyond = np.maximum(freqs / last - 1, 0.0)
        lowest = np.maximum(_ABOVE_DEPTH, np.exp(-_ABOVE_FALL * beyond))
        centre = np.where(above, np.maximum(aim, at_last * lowest**power), aim) * middle
        # The centre is continuous where the band widens: at any level of error the wide band then
        # contains the narrow one.
        inwards = np.divide(freqs, first, out=np.ones_like(freqs), where=below)
        fall = np.maximum(inwards**slope * middle, ratio / (1 + _BELOW))
        if curve.ruled:
            followed = aim >= at_first * _ABOVE_DEPTH**power
            fall = np.maximum(aim / at_first, _ABOVE_DEPTH**power) * middle
            under = np.where(followed, loose, _BELOW)
        else:
            under = np.full_like(aim, _BELOW)
        centre = np.where(below, at_first * fall, centre)
        within = np.where(lost, _BELOW, half / middle)
        width = centre * np.where(above, loose, np.where(below, under, within))
        return centre, width

    return bounds


def deepest_held(curve: PublishedCurve, tolerance_db: float, power: float) -> float:
    """Magnitude below which the band lets go: rounding leaves P uncertain by some 1e-15 of its
    peak, and what lies so deep that the tolerance is no wider than that cannot be held.
    """
    held = np.linspace(curve.points_hz[0], curve.points_hz[-1], _PEAK_SAMPLES)
    peak = max(np.max(curve.aim(held)), np.max(curve.aim(curve.points_hz)))
    _, half = _interval(tolerance_db, power)
    return float(peak * (_DEEPEST / half) ** (1 / power))


def _interval(tolerance_db: float, power: float) -> tuple[float, float]:
    """Middle and half-width of the interval from 1/ratio to ratio."""
    ratio = 10 ** (power * tolerance_db / 20)
    return (ratio + 1 / ratio) / 2, (ratio - 1 / ratio) / 2


def _slope_at(curve: PublishedCurve, freq: float) -> float:
    """Slope of the aim just above a frequency, both axes logarithmic."""
    near, far = curve.aim(np.array([freq, freq * (1 + _RISE_OVER)]))
    return float(np.log(far / near) / np.log1p(_RISE_OVER)) if min(near, far) > 0 else 0.0
