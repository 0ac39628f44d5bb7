"""The spectrum of taps: responses on the grid of an FFT, power, peak; of numpy or of torch."""

from earfilt.arrays import Array, namespace, padded, power_of_two
from earfilt.errors import UsageError


def frequency_response(taps: Array, n_fft: int, *, lookahead: int = 0) -> Array:
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
    folded = padded(taps, 0, -len(taps) % n_fft).reshape(-1, n_fft).sum(0)
    return xp.fft.rfft(xp.roll(folded, -lookahead))


def peak(taps: Array) -> Array:
    """Largest |H| on a grid of 8192 points, or 8 for each tap where that is more: a scalar."""
    return power_spectrum(taps, power_of_two(max(8192, 8 * len(taps)))).max() ** 0.5


def power_spectrum(taps: Array, n_fft: int) -> Array:
    """|H|² on n_fft//2 + 1 points."""
    spectrum = namespace(taps).fft.rfft(taps, n_fft)
    return spectrum.real**2 + spectrum.imag**2
