"""The impulse response of sections, cut where nothing is left to hear or to measure.

A filter that is known as biquads goes through the engine as a FIR: streaming, block sizes, cores,
GPUs, chains and look-ahead are then the same as for every other filter. What is cut away sums up
to less than 1e-8 of full scale, whatever the signal, far below the 1e-6 that is promised.
"""

import math

import numpy as np

from earfilt.arrays import Floats, power_of_two
from earfilt.errors import UsageError
from earfilt.synthesis.biquads.sections import sos_response
from earfilt.synthesis.native import uncut

LONGEST = 1 << 22
"""Most taps."""

_LEFT = 1e-8  # sum of all that is cut away, re full scale
_SHORTEST = 1 << 12
_ALIASED = 1e-12  # what the FFT may fold back, re the largest


def impulse_response(sos: Floats) -> Floats:
    """Taps of a causal FIR within 1e-8 of the sections, for all signals within ±1.

    Parameters
    ----------
    sos : (N, 6) float64
        Rows b0 b1 b2 a0 a1 a2, poles inside the unit circle.

    Returns
    -------
    (numtaps,) float64

    Raises
    ------
    UsageError
        It does not die away within 2²² samples, is not finite, or the poles are not inside the
        circle.
    """
    radius = largest_radius(sos)
    if not radius < 1.0:
        raise UsageError(
            f"these sections are not stable: a pole has the radius {radius:.9g}; it must be below 1"
        )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        taps = _periodic(sos, _fft_length(radius, len(sos)))
    if not np.isfinite(taps).all():
        raise UsageError("the response of these sections leaves the range of 64-bit floats")
    return uncut(taps, _LEFT)


def largest_radius(sos: Floats) -> float:
    """Of all poles."""
    return max(float(np.abs(np.roots(row[3:])).max(initial=0.0)) for row in sos)


def _fft_length(radius: float, count: int) -> int:
    """Samples until a response with poles of a radius has fallen below `_ALIASED`, poles on one
    place included, which fall later.
    """
    decay = -math.log(radius) if radius > 0.0 else 1.0
    needed = (-math.log(_ALIASED) + 2.0 * count) / decay
    if needed > LONGEST:
        raise UsageError(
            f"a pole of these sections has the radius {radius:.9g}; their response does not die "
            f"away within {LONGEST} samples"
        )
    return power_of_two(max(_SHORTEST, math.ceil(needed)))


def _periodic(sos: Floats, n_fft: int) -> Floats:
    """The impulse response, folded at n_fft."""
    return np.fft.irfft(sos_response(sos, np.arange(n_fft // 2 + 1) / n_fft), n_fft)
