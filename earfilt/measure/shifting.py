"""A recording as another clock would have sampled it: shifted by fractions of a sample, and
stretched by millionths.

Within a block the stretch moves samples by far less than one sample, so that a block is shifted as
a whole by the phase of its spectrum, and the rest is a short Taylor series, whose derivatives are
exact in the spectrum as well.
"""

import math

import numpy as np

from earfilt.arrays import Floats

_BLOCK = 2048
_MARGIN = 512
_BATCH = 64
_TAYLOR = 1e-8  # largest term that is left out, re the samples
# Above this share of fs nothing is kept whole: a derivative that ended at fs/2 would ring long.
PASSBAND = 0.48


def moved(x: Floats, start: int, frames: int) -> Floats:
    """``frames`` samples from index ``start`` on, which may lie outside: zeros stand there."""
    out = np.zeros(frames)
    low, high = max(0, start), min(len(x), start + frames)
    if low < high:
        out[low - start : high - start] = x[low:high]
    return out


def resampled(x: Floats, frames: int, *, step: float = 1.0, start: float = 0.0) -> Floats:
    """Values of a band-limited signal at ``start + step·n`` for n = 0, 1, …, frames − 1.

    Parameters
    ----------
    x : (T,) float64
        Samples at 0, 1, …, T − 1; zero outside.
    frames : int
    step : float
        Within 0.1 % of 1.
    start : float
        In samples of ``x``.

    Returns
    -------
    (frames,) float64
        Exact to −110 dB below 0.48·fs; above, it falls to nothing at fs/2.
    """
    if step == 1.0 and start == round(start):
        return moved(x, int(start), frames)
    length = _BLOCK + 2 * _MARGIN
    turn = 2.0 * np.pi * np.arange(length // 2 + 1) / length
    kept = _taper(turn / (2.0 * np.pi))
    slope = step - 1.0
    steps = np.arange(_BLOCK) - _BLOCK / 2.0
    terms = _terms(abs(slope) * _BLOCK / 2.0)
    count = -(-frames // _BLOCK)
    out = np.empty((count, _BLOCK))
    for first in range(0, count, _BATCH):
        numbers = np.arange(first, min(first + _BATCH, count))
        centres = start + step * (numbers * _BLOCK + _BLOCK / 2.0)
        begins = np.floor(centres).astype(int) - _BLOCK // 2
        pieces = np.stack([moved(x, begin - _MARGIN, length) for begin in begins])
        rest = centres - (begins + _BLOCK / 2.0)
        spectra = np.fft.rfft(pieces) * kept * np.exp(1j * turn * rest[:, None])
        block, power = np.zeros((len(numbers), _BLOCK)), np.ones(_BLOCK)
        for term in range(terms):
            derivative = np.fft.irfft(spectra, length)[:, _MARGIN:-_MARGIN]
            block += derivative * power
            spectra *= 1j * turn
            power *= slope * steps / (term + 1)
        out[numbers] = block
    return out.reshape(-1)[:frames]


def _terms(largest: float) -> int:
    """Terms of the Taylor series of a signal up to fs/2 that is moved by that many samples."""
    term, count = 1.0, 1
    while largest and (term := term * math.pi * largest / count) > _TAYLOR:
        count += 1
    return count


def _taper(cycles: Floats) -> Floats:
    """1 up to the passband's end, and a raised cosine from there to fs/2."""
    share = np.clip((cycles - PASSBAND) / (0.5 - PASSBAND), 0.0, 1.0)
    return 0.5 + 0.5 * np.cos(np.pi * share)
