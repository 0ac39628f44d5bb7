"""The FIR of a model that has a phase of its own: its impulse response, cut where nothing is left."""

from collections.abc import Callable

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError

LEFT = 1e-8
"""Sum of the absolute values of all that is cut away, re that of all taps: no response to any signal
changes by more of what the largest response to a signal is. A tail may be long and small, as that of
a narrow band at low frequencies, and still sum up to decibels.
"""

_SHORTEST = 4096
_LONGEST = 1 << 23


def native_taps(impulse: Callable[[int], Floats]) -> Floats:
    """The impulse response of a causal filter, up to where what follows sums up to 1e-8 of it.

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
        It does not die away within 2^22 samples.
    """
    n = _SHORTEST
    while n <= _LONGEST:
        samples = impulse(n)
        taps = uncut(samples, LEFT * np.abs(samples).sum())
        if len(taps) < n // 2:
            return taps
        n *= 2
    raise UsageError(
        f"the impulse response does not die away within {_LONGEST // 2} samples; --phase minimum "
        "designs a filter of the same magnitude"
    )


def uncut(taps: Floats, left: float) -> Floats:
    """Taps (N,) up to where what follows sums up to ``left``, in absolute values; one at least."""
    following = np.cumsum(np.abs(taps[::-1]))[::-1]
    return taps[: max(1, int(np.count_nonzero(following > left)))]
