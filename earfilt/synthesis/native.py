"""The FIR of a model that has a phase of its own: its impulse response, cut where nothing is left.
"""

from collections.abc import Callable

import numpy as np

from earfilt.arrays import Complexes, Floats
from earfilt.errors import UsageError

# Where an impulse response is cut, re its peak: −140 dB.
CUT = 1e-7
_SHORTEST = 4096
_LONGEST = 1 << 21


def native_taps(response: Callable[[Floats], Complexes], fs: float) -> Floats:
    """The impulse response of a causal filter, up to the last sample within 140 dB of its peak.

    It is the inverse FFT of the response, on a grid that doubles until its second half is 140 dB
    down: what folds back in time is then another 140 dB below.

    Parameters
    ----------
    response : callable
        Frequencies (M,) in Hz, 0 to fs/2, to the complex response there.
    fs : float
        Sampling rate in Hz.

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
        impulse: Floats = np.fft.irfft(response(np.linspace(0.0, fs / 2.0, n // 2 + 1)), n)
        (heard,) = np.nonzero(np.abs(impulse) > CUT * np.abs(impulse).max())
        if heard[-1] < n // 2:
            return impulse[: heard[-1] + 1]
        n *= 2
    raise UsageError(f"the impulse response does not die away within {_LONGEST // 2} samples")
