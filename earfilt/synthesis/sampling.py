"""FIR design by frequency sampling.

Everything here is float64, of numpy or of torch, and then differentiable in the amplitudes.
"""

import math

from earfilt.arrays import Array, can_be_looked_at, namespace, power_of_two
from earfilt.ears.interpolation import linear
from earfilt.errors import UsageError


def firwin2(order: int, freqs: Array, gains: Array, fs: float) -> Array:
    """Linear-phase FIR by frequency sampling with a Hamming window, as
    ``scipy.signal.firwin2(order + 1, …)``.

    Parameters
    ----------
    order : int
        Number of taps − 1, ≥ 2.
    freqs : (N,) float64
        Node frequencies in Hz, ascending from 0 to fs/2.
    gains : (N,) float64
        Linear amplitudes at the nodes, interpolated linearly between them.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    (order + 1,) float64
        Symmetric taps.

    Raises
    ------
    UsageError
        An odd order with a gain other than zero at fs/2: such a filter is zero there by symmetry.
    """
    if order % 2 and can_be_looked_at(gains) and bool(gains[-1] != 0.0):
        raise UsageError(
            f"order {order} is odd, which forces zero gain at fs/2, but this filter has a "
            "gain there; use an even order"
        )
    xp = namespace(gains)
    numtaps = order + 1
    points = 1 + power_of_two(numtaps)
    grid = xp.linspace(0.0, fs / 2.0, points, dtype=xp.float64, device=gains.device)
    amplitude = linear(grid, freqs, gains)
    # Linear phase: a delay of order/2 samples.
    phase = grid * (-math.pi * order / fs)
    taps = xp.fft.irfft(xp.exp(1j * phase) * amplitude, 2 * (points - 1))[:numtaps]
    turn = xp.linspace(0.0, 2.0 * math.pi, numtaps, dtype=xp.float64, device=gains.device)
    return taps * (0.54 - 0.46 * xp.cos(turn))
