"""Overlap-save of interleaved frames in numpy: the step of the file engine on the CPU.

scipy's FFT takes all segments of a window in one call, straight from the interleaved frames: a
segment is a view, and the transform runs along the middle axis, so that nothing is transposed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earfilt.engine import fft
from earfilt.engine.roundoff import peaks, rms
from earfilt.engine.samples import Samples
from earfilt.engine.segments import as_segments, choose_n_fft, hop_of

__all__ = ["Output", "OverlapSave", "PartitionedConvolution", "levels_of", "multiply"]

Spectra = npt.NDArray[Any]

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
    taps : (numtaps,) or (rows, numtaps) float64
        One row for any number of channels; two for a pair, of one channel or two; four for a
        matrix, of two channels (`earfilt.synthesis.fir.Fir`).
    dtype : float32 or float64
        Of the frames and of the arithmetic.
    packed : bool
        True (one row of taps, even channel counts): two channels are filtered as one complex signal,
        without being separated.  A quarter faster; a channel then carries rounding noise of its
        neighbour, about -140 dB of its level in float32.  Ears that differ would have to be
        separated, which takes longer than it saves.

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
        self.n_fft = choose_n_fft(taps.shape[-1])
        self.hop = hop_of(taps.shape[-1], self.n_fft)
        self.overlap = self.n_fft - self.hop
        self.packed = packed
        self._real = np.dtype(dtype)
        complex_dtype = np.result_type(self._real, np.complex64)
        self._seen = complex_dtype if packed else self._real
        rows = np.atleast_2d(taps)
        # Divided by n_fft here, since the inverse transform is without a scale.
        padded = np.zeros((1, self.n_fft, len(rows)))
        np.divide(rows.T, self.n_fft, out=padded[0, : taps.shape[-1]])
        # a gain beyond the dtype shows in the samples, and is told of there
        with np.errstate(over="ignore", invalid="ignore"):
            half = fft.forward(padded)
            if packed:
                half = np.concatenate([half, half[:, -2:0:-1].conj()], axis=1)
            self._responses = [one.astype(complex_dtype) for one in _by_channel(half)]

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window."""
        return np.empty((frames, channels), self._real)

    def __call__(
        self,
        window: Samples,
        out: Samples,
        *,
        segment: int = 0,
        whole: bool = False,
        levels: bool = True,
    ) -> Output | None:
        """Filter frames.

        Parameters
        ----------
        window : (overlap + segments * hop, channels), C-contiguous
        out : (segments * hop, outputs), C-contiguous
            The result; may be a part of `window` where it has as many channels.
        segment : int
            Number of the first one in the signal; these taps are the same in all.
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
        products = self._products(spectra)
        filtered = fft.backward(products, self.n_fft).view(self._real)
        _copy(filtered[:, self.overlap :], out, whole)
        return levels_of(filtered, self.overlap) if levels else None

    def _products(self, spectra: Spectra) -> Spectra:
        """Spectra of the output; those of the input may be overwritten."""
        own, *across = self._responses
        shape = (*spectra.shape[:2], max(own.shape[2], spectra.shape[2]))
        crossed = [
            multiply(spectra[..., ::-1], response, out=np.empty(shape, spectra.dtype))
            for response in across
        ]
        # over what it reads, einsum takes up to twice as long; what is large has to bear that
        over = spectra.shape == shape and shape[1] > _BINS_AT_ONCE
        into = spectra if over else np.empty(shape, spectra.dtype)
        multiply(spectra, own, out=into)
        for part in crossed:
            into += part
        return into


def _by_channel(rows: Spectra) -> list[Spectra]:
    """Responses (1, bins, rows) as what each channel gets of itself and, in a matrix, of the other
    one.
    """
    return [rows] if rows.shape[2] < 4 else [rows[..., [0, 3]], rows[..., [2, 1]]]


def multiply(spectra: Spectra, responses: Spectra, out: Spectra) -> Spectra:
    """Products of spectra (segments, bins, channels) and responses, one of which may have a size of
    1 where `out` has more, with the same bits on every x86 processor; gives `out`.

    Numpy's own product of complex numbers rounds once or twice, as the processor has fused
    operations or not; the products of `einsum` are compiled once, for all of them.
    """
    for start in range(0, out.shape[1], _BINS_AT_ONCE):
        bins = np.s_[:, start : start + _BINS_AT_ONCE]
        np.einsum("sfc,sfc->sfc", spectra[bins], responses[bins], out=out[bins])
    return out


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
    taps : (numtaps,) or (rows, numtaps) float64
        As in `OverlapSave`.
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
        rows = np.atleast_2d(taps)
        self._parts = -(-rows.shape[1] // block)
        self.overlap = self._parts * block
        self._real = np.dtype(dtype)
        filled = np.pad(rows / self.n_fft, ((0, 0), (0, self._parts * block - rows.shape[1])))
        padded = np.zeros((self._parts, self.n_fft, len(rows)))
        padded[:, :block] = filled.reshape(len(rows), self._parts, block).transpose(1, 2, 0)
        with np.errstate(over="ignore"):
            responses = fft.forward(padded).astype(np.result_type(self._real, np.complex64))
        # the oldest spectrum comes first
        self._responses = [np.ascontiguousarray(one[::-1]) for one in _by_channel(responses)]

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window."""
        return np.empty((frames, channels), self._real)

    def __call__(
        self,
        window: Samples,
        out: Samples,
        *,
        segment: int = 0,
        whole: bool = False,
        levels: bool = True,
    ) -> Output | None:
        """As `OverlapSave.__call__`."""
        blocks = len(window) // self.hop - 1
        spectra = fft.forward(as_segments(window, blocks, self.n_fft, self.hop))
        shape = spectra.shape[1], out.shape[1]
        sums = np.zeros((blocks + 1 - self._parts, *shape), spectra.dtype)
        products = np.empty((self._parts, *shape), spectra.dtype)
        for turned, response in zip((spectra, spectra[..., ::-1]), self._responses, strict=False):
            # each block alone: the order of additions must not depend on others
            for i, total in enumerate(sums):
                multiply(turned[i : i + self._parts], response, out=products)
                total += np.add.reduce(products, axis=0)
        filtered = fft.backward(sums, self.n_fft)
        _copy(filtered[:, self.hop :], out, whole)
        return levels_of(filtered, self.hop) if levels else None
