"""Overlap-save of interleaved frames in numpy: the step of the file engine on the CPU.

scipy's FFT takes all segments of a window in one call, straight from the interleaved frames: a
segment is a view, and the transform runs along the middle axis, so that nothing is transposed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earfilt.engine import fft
from earfilt.engine.roundoff import peaks, rms
from earfilt.engine.samples import Samples
from earfilt.engine.segments import as_segments, choose_n_fft, hop_of

__all__ = ["Output", "OverlapSave", "PartitionedConvolution", "levels_of"]

_BINS_AT_ONCE = 1 << 17  # einsum needs as much memory again where it overwrites what it reads


class Output(NamedTuple):
    """Levels of what the inverse transforms gave, segment by segment: (segments,), all channels
    together, in units of the output, before rounding.

    ``rms`` is of all of it, the wrapped part included that is dropped; ``dropped`` the peak of that
    part; ``peak(n)`` works out that of the first 1/n of what is kept.
    """

    rms: npt.NDArray[np.float64]
    dropped: npt.NDArray[np.float64]
    peak: Callable[[int], npt.NDArray[np.float64]]


def levels_of(filtered: Samples, overlap: int) -> Output:
    """The levels of segments (segments, n_fft, channels), real and C-contiguous, of which the first
    `overlap` frames are dropped.
    """
    segments, n_fft, channels = filtered.shape
    rows, kept_at = filtered.reshape(segments, -1), overlap * channels
    kept = rows[:, kept_at:]
    return Output(
        rms(rows, n_fft),
        peaks(rows[:, :kept_at]),
        lambda part: peaks(kept[:, : -(-kept.shape[1] // part)]),
    )


class OverlapSave:
    """Filter windows of interleaved frames; holds no state, so that threads may share it.

    Parameters
    ----------
    taps : (numtaps,) float64
    dtype : float32 or float64
        Of the frames and of the arithmetic.
    packed : bool
        True (even channel counts): two channels are filtered as one complex signal, without being
        separated.  A quarter faster; a channel then carries rounding noise of its neighbour, about
        -140 dB of its level in float32.

    Attributes
    ----------
    n_fft : int
    hop, overlap : int
        Output frames of a segment; further input frames that a window needs, `n_fft - hop`.
    packed : bool
    """

    def __init__(
        self, taps: npt.NDArray[np.float64], *, dtype: npt.DTypeLike, packed: bool = False
    ) -> None:
        self.n_fft = choose_n_fft(len(taps))
        self.hop = hop_of(len(taps), self.n_fft)
        self.overlap = self.n_fft - self.hop
        self.packed = packed
        self._real = np.dtype(dtype)
        complex_dtype = np.result_type(self._real, np.complex64)
        self._seen = complex_dtype if packed else self._real
        # Divided by n_fft here, since the inverse transform is without a scale.
        padded = np.zeros((1, self.n_fft, 1))
        np.divide(taps, self.n_fft, out=padded[0, : len(taps), 0])
        # a gain beyond the dtype shows in the samples, and is told of there
        with np.errstate(over="ignore"):
            half = fft.forward(padded).astype(complex_dtype)
        self._response = np.concatenate([half, half[:, -2:0:-1].conj()], axis=1) if packed else half

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window."""
        return np.empty((frames, channels), self._real)

    def __call__(
        self, window: Samples, out: Samples, *, whole: bool = False, levels: bool = True
    ) -> Output | None:
        """Filter frames.

        Parameters
        ----------
        window : (overlap + segments * hop, channels), C-contiguous
        out : (segments * hop, channels), C-contiguous
            The result; may be a part of `window`.
        whole : bool
            Rounded to whole numbers, half to even.
        levels : bool
            Whether they are wanted.

        Returns
        -------
        Output or None
        """
        seen = window.view(self._seen)
        segments = (len(window) - self.overlap) // self.hop
        spectra = fft.forward(as_segments(seen, segments, self.n_fft, self.hop))
        _multiply(spectra, self._response, out=spectra)
        filtered = fft.backward(spectra, self.n_fft).view(self._real)
        _copy(filtered[:, self.overlap :], out, whole)
        return levels_of(filtered, self.overlap) if levels else None


def _multiply(
    spectra: npt.NDArray[np.complexfloating],
    responses: npt.NDArray[np.complexfloating],
    out: npt.NDArray[np.complexfloating],
) -> None:
    """Products of spectra (segments, bins, channels) and responses (1 or segments, bins, 1), with the
    same bits on every x86 processor.

    Numpy's own product of complex numbers rounds once or twice, as the processor has fused
    operations or not; the products of `einsum` are compiled once, for all of them.
    """
    for start in range(0, spectra.shape[1], _BINS_AT_ONCE):
        bins = np.s_[:, start : start + _BINS_AT_ONCE]
        np.einsum("sfc,sfc->sfc", spectra[bins], responses[bins], out=out[bins])


def _copy(frames: Samples, out: Samples, whole: bool) -> None:
    into = out.reshape(frames.shape)
    if whole:
        np.rint(frames, out=into)
    else:
        np.copyto(into, frames)


class PartitionedConvolution:
    """Filter windows in blocks that are shorter than the filter: what `OverlapSave` is, for output
    that must come soon.

    The taps are cut into parts of one block. A part filters the spectrum of the two blocks that
    ended so many blocks ago as it stands behind the first part; the products are added up before
    one inverse transform. The spectra of a window are made anew in every call, so that nothing is
    held between calls.

    Parameters
    ----------
    taps : (numtaps,) float64
    dtype : float32 or float64
    block : int
        Frames; a power of two.

    Attributes
    ----------
    n_fft, hop, overlap, packed
        As in `OverlapSave`; nothing is packed.

    References
    ----------
    Stockham, T. G. (1966). High-speed convolution and correlation. AFIPS 28, 229-233. Wefers, F.
    (2015). Partitioned convolution algorithms for real-time auralization. Logos, section 5.2
    (uniformly partitioned overlap-save).
    """

    packed = False

    def __init__(self, taps: npt.NDArray[np.float64], *, dtype: npt.DTypeLike, block: int) -> None:
        self.hop, self.n_fft = block, 2 * block
        self._parts = -(-len(taps) // block)
        self.overlap = self._parts * block
        self._real = np.dtype(dtype)
        padded = np.zeros((self._parts, self.n_fft, 1))
        padded[:, :block, 0].flat[: len(taps)] = taps / self.n_fft
        with np.errstate(over="ignore"):
            responses = fft.forward(padded).astype(np.result_type(self._real, np.complex64))
        self._responses = np.ascontiguousarray(responses[::-1])  # the oldest spectrum comes first

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window."""
        return np.empty((frames, channels), self._real)

    def __call__(
        self, window: Samples, out: Samples, *, whole: bool = False, levels: bool = True
    ) -> Output | None:
        """As `OverlapSave.__call__`."""
        blocks = len(window) // self.hop - 1
        spectra = fft.forward(as_segments(window, blocks, self.n_fft, self.hop))
        sums = np.empty((blocks + 1 - self._parts, *spectra.shape[1:]), spectra.dtype)
        products = np.empty((self._parts, *spectra.shape[1:]), spectra.dtype)
        for i, total in enumerate(sums):  # alone: the order of additions must not depend on others
            _multiply(spectra[i : i + self._parts], self._responses, out=products)
            np.add.reduce(products, axis=0, out=total)
        filtered = fft.backward(sums, self.n_fft)
        _copy(filtered[:, self.hop :], out, whole)
        return levels_of(filtered, self.hop) if levels else None
