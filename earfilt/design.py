"""FIR design: frequency sampling, minimum phase, forward-backward taps, responses.

Everything here is float64, of numpy or of torch, and then differentiable in the amplitudes.
"""

import math

from earfilt.arrays import Array, constant, is_mapped, namespace
from earfilt.errors import UsageError
from earfilt.interp import linear

# Power below which the logarithm of a spectrum is cut off, re its peak: −140 dB keeps gradients finite at spectral zeros, and moves
# a magnitude at −60 dB by 4e-8 dB.
_POWER_FLOOR = 1e-14
# Largest error of a minimum-phase magnitude, in dB, and where it counts (re the peak).
_MINIMUM_PHASE_ERROR_DB = 2e-7
_MINIMUM_PHASE_RANGE_DB = 60.0
_LARGEST_CEPSTRUM = 1 << 22


def power_of_two(n: int) -> int:
    """The smallest power of two that is ≥ n.

    >>> power_of_two(513)
    1024
    """
    return 1 << max(0, n - 1).bit_length()


def firwin2(order: int, freqs: Array, gains: Array, fs: float) -> Array:
    """Linear-phase FIR by frequency sampling with a Hamming window, as ``scipy.signal.firwin2(order + 1, …)``.

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
    if order % 2 and not is_mapped(gains) and bool(gains[-1] != 0.0):
        raise UsageError(f"order {order} is odd, which forces zero gain at fs/2, but this filter has a gain there; use an even order")
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


def minimum_phase(taps: Array) -> Array:
    """Minimum-phase FIR of the same length and magnitude, by the Hilbert transform of the log magnitude.

    The transform is folding of the real cepstrum, on a grid of at least 8·numtaps points that doubles until time aliasing has moved
    no magnitude within 60 dB of the peak by more than 2e-7 dB.

    Parameters
    ----------
    taps : (numtaps,) float64
        A FIR of linear phase.

    Returns
    -------
    (numtaps,) float64
        All zeros inside or on the unit circle.

    References
    ----------
    Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd ed., section 13.5.
    """
    if len(taps) % 2 == 0:
        # A symmetric FIR of odd order is zero at fs/2. A zero on the unit circle spoils the cepstrum, and stays where it is in the
        # minimum-phase FIR: divide 1 + 1/z out (an alternating running sum), and put it back.
        xp = namespace(taps)
        sign = 1.0 - 2.0 * (xp.arange(len(taps), device=taps.device) % 2)
        quotient = minimum_phase((sign * xp.cumsum(sign * taps, 0))[:-1])
        return _padded(quotient, 0, 1) + _padded(quotient, 1, 0)
    n_fft = power_of_two(8 * len(taps))
    wanted = constant(taps)
    if is_mapped(wanted):  # no value can be looked at, so that the grid is finer than any table needs
        return _fold_cepstrum(taps, 8 * n_fft)
    while True:
        candidate = _fold_cepstrum(wanted, n_fft)
        if n_fft >= _LARGEST_CEPSTRUM or _magnitude_error_db(candidate, wanted, n_fft) < _MINIMUM_PHASE_ERROR_DB:
            break
        n_fft *= 2
    return candidate if wanted is taps else _fold_cepstrum(taps, n_fft)


def _padded(taps: Array, before: int, after: int) -> Array:
    """Taps with zeros added."""
    xp = namespace(taps)
    zeros = xp.zeros(before + after, dtype=xp.float64, device=taps.device)
    return xp.concat([zeros[:before], taps, zeros[before:]])


def _fold_cepstrum(taps: Array, n_fft: int) -> Array:
    """Minimum-phase taps from the real cepstrum on n_fft points."""
    xp = namespace(taps)
    power = _power(taps, n_fft)
    cepstrum = xp.fft.irfft(0.5 * xp.log(power + _POWER_FLOOR * constant(power).max()), n_fft)
    fold = xp.zeros_like(cepstrum)
    fold[0] = fold[n_fft // 2] = 1.0
    fold[1 : n_fft // 2] = 2.0
    return xp.fft.irfft(xp.exp(xp.fft.rfft(cepstrum * fold)), n_fft)[: len(taps)]


def _power(taps: Array, n_fft: int) -> Array:
    """|H|² on n_fft//2 + 1 points."""
    spectrum = namespace(taps).fft.rfft(taps, n_fft)
    return spectrum.real**2 + spectrum.imag**2


def _magnitude_error_db(candidate: Array, wanted: Array, n_fft: int) -> float:
    """Largest difference in dB where ``wanted`` is within 60 dB of its peak."""
    xp = namespace(wanted)
    reference, power = _power(wanted, n_fft), _power(candidate, n_fft)
    counts = reference > reference.max() * 10.0 ** (-_MINIMUM_PHASE_RANGE_DB / 10.0)
    if not bool(counts.any()):  # NaN, which no grid mends
        return 0.0
    return float(xp.abs(10.0 * xp.log10(power[counts] / reference[counts])).max())


def forward_backward(taps: Array) -> Array:
    """Taps of one convolution that equals applying ``taps`` forwards and backwards: their autocorrelation.

    Parameters
    ----------
    taps : (order + 1,) float64

    Returns
    -------
    (2·order + 1,) float64
        Symmetric about tap ``order``, which is time zero; its response is |H|².
    """
    xp = namespace(taps)
    numtaps = len(taps)
    n_fft = power_of_two(2 * numtaps - 1)
    correlation = xp.fft.irfft(_power(taps, n_fft), n_fft)
    return xp.concat([xp.flip(correlation[1:numtaps], (0,)), correlation[:numtaps]])


def response(taps: Array, n_fft: int, *, lookahead: int = 0) -> Array:
    """Response on the n_fft//2 + 1 frequencies k·fs/n_fft, exact for any n_fft ≥ 1.

    Taps beyond n_fft are folded onto the others (their phases repeat), not cut off.

    Parameters
    ----------
    taps : (numtaps,) float64
    n_fft : int
    lookahead : int
        Index of the tap at time zero.

    Returns
    -------
    (n_fft//2 + 1,) complex128
    """
    if n_fft < 1:
        raise UsageError(f"nfft is {n_fft}; it must be 1 or more")
    xp = namespace(taps)
    folded = _padded(taps, 0, -len(taps) % n_fft).reshape(-1, n_fft).sum(0)
    return xp.fft.rfft(xp.roll(folded, -lookahead))


def peak(taps: Array) -> Array:
    """Largest |H| on a grid of 8192 points, or 8 for each tap where that is more: a scalar."""
    return _power(taps, power_of_two(max(8192, 8 * len(taps)))).max() ** 0.5
