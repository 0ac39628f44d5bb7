"""The spectrum of taps: responses on the grid of an FFT, power, peak, of numpy or of torch; and the
response at any frequencies, of numpy.
"""

import math

import numpy as np

from earfilt.arrays import Array, Complexes, Floats, namespace, padded, power_of_two

_BLOCK = 1 << 18  # complex numbers worked on at once: a few megabytes
_LONGEST_SUM = 1 << 31  # products: seconds
_PIECE = 1 << 15  # taps
_PER_TAP = 32  # samples of a piece's response
_AROUND = np.arange(-3, 4)  # samples that a value is interpolated from


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


def dtft(
    taps: Floats, cycles: Floats, first: int = 0, *, longest_sum: int | None = None
) -> Complexes:
    """Σ_k taps[k]·exp(−2πj·cycles·(first + k)) for (M,) frequencies in cycles per sample: (M,).

    The sum itself or, where that has more than `longest_sum` products (2³¹), within 1e-9 of Σ|taps| by FFTs of pieces.
    """
    if len(taps) * len(cycles) > (longest_sum or _LONGEST_SUM):
        return _by_pieces(taps, cycles, first)
    # With k = row·width + column the phase is a product of one factor for each: 2·√numtaps
    # exponentials a frequency, not numtaps.
    width = math.isqrt(len(taps) - 1) + 1
    table = np.pad(taps, (0, -len(taps) % width)).reshape(-1, width)
    at_rows = -2j * np.pi * (first + width * np.arange(len(table)))
    at_columns = -2j * np.pi * np.arange(width)
    out = np.empty(len(cycles), dtype=np.complex128)
    step = max(1, _BLOCK // width)
    for start in range(0, len(cycles), step):
        part = cycles[start : start + step, None]
        # einsum and not a BLAS product: the last digits must not depend on the number of threads.
        along = np.einsum("kw,rw->kr", np.exp(part * at_columns), table)
        out[start : start + step] = (along * np.exp(part * at_rows)).sum(1)
    return out


def _by_pieces(taps: Floats, cycles: Floats, first: int) -> Complexes:
    """The same by an FFT of each piece, whose middle is its time zero, so that its response is as
    smooth as can be, and by Lagrange interpolation over seven samples of that.
    """
    count = _PER_TAP * _PIECE
    place = cycles * count
    nearest = np.rint(place)
    index = (nearest.astype(np.int64) + _AROUND[:, None]) % count
    weights = _lagrange(place - nearest)
    out = np.zeros(len(cycles), dtype=np.complex128)
    for start in range(0, len(taps), _PIECE):
        piece, half = taps[start : start + _PIECE], _PIECE // 2
        padded = np.zeros(count)
        padded[: len(piece[half:])] = piece[half:]
        padded[count - half : count - half + len(piece[:half])] = piece[:half]
        response = (weights * np.fft.fft(padded)[index]).sum(0)
        out += response * np.exp(-2j * np.pi * cycles * (first + start + half))
    return out


def _lagrange(offset: Floats) -> Floats:
    """Weights of the samples around places (M,), in samples from the nearest: (7, M)."""
    others = [_AROUND[k != _AROUND] for k in _AROUND]
    return np.stack(
        [
            np.prod([(offset - j) / (k - j) for j in rest], axis=0)
            for k, rest in zip(_AROUND, others, strict=True)
        ]
    )
