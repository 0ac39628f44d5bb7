"""The FIR of a model that has a phase of its own: its impulse response, cut where nothing is left."""

from collections.abc import Callable

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError

# Where an impulse response is cut, re its peak: −140 dB.
CUT = 1e-7
_SHORTEST = 4096
_LONGEST = 1 << 21


def native_taps(impulse: Callable[[int], Floats]) -> Floats:
    """The impulse response of a causal filter, up to the last sample within 140 dB of its peak.

    Parameters
    ----------
    impulse : callable
        From n to the first n samples of the impulse response.

    Returns
    -------
    (numtaps,) float64
        Causal taps; the first is time zero.

    Raises
    ------
    UsageError
        It does not die away within 2^20 samples.
    """
    n = _SHORTEST
    while n <= _LONGEST:
        samples = impulse(n)
        (heard,) = np.nonzero(np.abs(samples) > CUT * np.abs(samples).max())
        if heard[-1] < n // 2:
            return samples[: heard[-1] + 1]
        n *= 2
    raise UsageError(f"the impulse response does not die away within {_LONGEST // 2} samples")
