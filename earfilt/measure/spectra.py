"""Cross-spectra of two recordings, averaged over overlapping segments (Welch).

References
----------
Welch, P. D. (1967). IEEE Trans. Audio Electroacoust. 15(2), 70-73.
Bendat, J. S. & Piersol, A. G. (2010). Random data, 4th ed., chapters 6, 9 and 11.
"""

from dataclasses import dataclass

import numpy as np

from earfilt.arrays import Complexes, Floats

GROUPS = 16
"""Stretches of the recording whose spectra are kept apart: drift is seen between them."""

_SECONDS = 1.0  # of a segment: resolves 2 Hz
_FEWEST = 16  # segments, of a short recording
_SHORTEST = 256
_BATCH = 16
# Of half-overlapping Hann segments: neighbours share 1/6 of their amplitude.
_INDEPENDENT = 1.0 / (1.0 + 2.0 / 36.0)


@dataclass(frozen=True, eq=False)
class Spectra:
    """Sums of periodograms, a row for each stretch of the recording.

    Attributes
    ----------
    freqs : (F,) Hz
    times : (G,) float64
        Middle of each stretch, in samples.
    counts : (G,) int
        Segments in each.
    xx, yy : (G, F) float64
    xy : (G, F) complex128
        conj(X)·Y.
    """

    freqs: Floats
    times: Floats
    counts: Floats
    xx: Floats
    yy: Floats
    xy: Complexes

    @property
    def averages(self) -> float:
        """Independent segments of all stretches."""
        return float(self.counts.sum()) * _INDEPENDENT

    def part(self, chosen: slice) -> "Spectra":
        """Some of the stretches."""
        return Spectra(
            self.freqs,
            self.times[chosen],
            self.counts[chosen],
            self.xx[chosen],
            self.yy[chosen],
            self.xy[chosen],
        )


def segment_length(frames: int, fs: float) -> int:
    """A power of two: about a second, and less of recordings that have few seconds."""
    most = min(_SECONDS * fs * 1.1, 2.0 * frames / (_FEWEST + 1))
    return max(_SHORTEST, 1 << int(np.log2(max(most, 2.0))))


def spectra(x: Floats, y: Floats, fs: float, length: int) -> Spectra:
    """Spectra of two aligned signals of equal length, in Hann segments that overlap by half.

    Parameters
    ----------
    x, y : (T,) float64
    fs : float
        Hz.
    length : int
        Of a segment; even, at most T.
    """
    hop = length // 2
    starts = np.arange(0, len(x) - length + 1, hop)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
    shares = np.array_split(starts, min(GROUPS, len(starts)))
    bins = length // 2 + 1
    xx, yy = np.zeros((2, len(shares), bins))
    xy = np.zeros((len(shares), bins), complex)
    views = [np.lib.stride_tricks.sliding_window_view(one, length) for one in (x, y)]
    for row, share in enumerate(shares):
        for first in range(0, len(share), _BATCH):
            chosen = share[first : first + _BATCH]
            a, b = (np.fft.rfft(view[chosen] * window) for view in views)
            xx[row] += (a.real**2 + a.imag**2).sum(0)
            yy[row] += (b.real**2 + b.imag**2).sum(0)
            xy[row] += (a.conj() * b).sum(0)
    times = np.array([share.mean() + length / 2.0 for share in shares])
    counts = np.array([float(len(share)) for share in shares])
    freqs = fs / length * np.arange(bins, dtype=np.float64)
    return Spectra(freqs, times, counts, xx, yy, xy)
