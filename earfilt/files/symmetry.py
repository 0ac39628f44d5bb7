"""Where time zero lies in taps that do not say it: in the middle, where their phase is linear."""

import math

import numpy as np

from earfilt.arrays import Floats

__all__ = ["assumed_lookahead"]

# How far mirrored taps may differ, re the largest, and still count as equal: what arithmetic in 32
# bits leaves, whatever format it is then kept in; or 4 steps of a coarser format (two roundings and
# dither), as long as that is little.
_ARITHMETIC = 2.0**-20
_STEPS = 4.0
_COARSEST = 0.02
# decimal digits of numbers that were printed and read back; how many taps are looked at
_FEW_DIGITS, _LOOKED_AT = 6, 4096


def assumed_lookahead(taps: Floats, step: float) -> int:
    """The look-ahead of taps (numtaps,) or (rows, numtaps): that of the rows where they agree, silent
    ones aside; else they are causal.

    Parameters
    ----------
    step : float
        Distance of neighbouring values that the format holds, at the largest tap.

    Examples
    --------
    >>> assumed_lookahead(np.array([1.0, 2.0, 1.0]), 0.0), assumed_lookahead(np.array([2.0, 1.0]), 0.0)
    (1, 0)
    """
    found = {_centre(row, step) for row in np.atleast_2d(taps) if row.any()}
    return found.pop() if len(found) == 1 else 0


def _centre(taps: Floats, step: float) -> int:
    """Centred where the phase is linear, causal otherwise.

    The phase is linear where the taps are symmetric or antisymmetric (Hilbert transformers,
    differentiators), zeros at the end aside. An even number of taps may also be mirrored at tap
    n/2, as an inverse FFT rotated by half its length leaves them.
    """
    largest = np.abs(taps).max() or 1.0
    unit = taps / largest
    # of a row that is all but nothing beside another one
    with np.errstate(over="ignore"):
        step = max(step / largest, _decimal_step(taps))
    within = max(_ARITHMETIC, min(_STEPS * step, _COARSEST))
    if _is_mirrored(unit, within):
        return (len(unit) - 1) // 2
    held = np.trim_zeros(unit, "b")
    if _is_mirrored(held, within):
        return (len(held) - 1) // 2
    rotated = len(unit) % 2 == 0 and len(unit) > 2 and abs(unit[0]) <= _COARSEST
    return len(unit) // 2 if rotated and _is_mirrored(unit[1:], within) else 0


def _decimal_step(taps: Floats) -> float:
    """The last place that taps were printed with, re the largest; 0 where they have all the digits
    that a float can have.
    """
    largest = np.abs(taps).max()
    shown = [f"{tap:.7g}" for tap in taps[np.abs(taps) > 1e-3 * largest][:_LOOKED_AT]]
    if not shown or any(len(_digits(text)) > _FEW_DIGITS for text in shown):
        return 0.0
    places = max(len(_digits(text)) for text in shown)
    return float(10.0 ** (math.floor(math.log10(largest)) + 1 - places) / largest)


def _digits(number: str) -> str:
    """Significant digits of a printed number."""
    return number.partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")


def _is_mirrored(unit: Floats, within: float) -> bool:
    mirror = unit[::-1]
    return bool(min(np.abs(unit - mirror).max(), np.abs(unit + mirror).max()) <= within)
