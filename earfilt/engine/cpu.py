"""Overlap-save of interleaved frames in numpy: the step of the file engine on the CPU.

scipy's FFT takes all segments of a window in one call, straight from the interleaved frames: a
segment is a view, and the transform runs along the middle axis, so that nothing is transposed.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from earfilt.engine import fft
from earfilt.engine.roundoff import rms
from earfilt.engine.samples import Samples
from earfilt.engine.segments import choose_n_fft, hop_of

__all__ = ["Output", "OverlapSave"]


class Output(NamedTuple):
    """Levels of what the inverse transforms gave, the wrapped part included that is dropped, in
    units of the output.

    ``rms`` is (segments,), all channels together; ``dropped`` the peak of what is dropped.
    """

    rms: npt.NDArray[np.float64]
    dropped: float


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

    def __call__(self, window: Samples, out: Samples, *, whole: bool = False) -> Output:
        """Filter frames.

        Parameters
        ----------
        window : (overlap + segments * hop, channels), C-contiguous
        out : (segments * hop, channels), C-contiguous
            The result; may be a part of `window`.
        whole : bool
            Rounded to whole numbers, half to even.

        Returns
        -------
        Output
        """
        seen = window.view(self._seen)
        segments = (len(window) - self.overlap) // self.hop
        row, column = seen.strides
        cut = as_strided(
            seen,
            (segments, self.n_fft, seen.shape[1]),
            (self.hop * row, row, column),
            writeable=False,
        )
        spectra = fft.forward(cut)
        spectra *= self._response
        filtered = fft.backward(spectra, self.n_fft)
        frames = filtered[:, self.overlap :].view(self._real)
        into = out.reshape(frames.shape)
        if whole:
            np.rint(frames, out=into)
        else:
            np.copyto(into, frames)
        rows = filtered.view(self._real).reshape(segments, -1)
        return Output(
            rms(rows, self.n_fft),
            float(np.abs(filtered[:, : self.overlap].view(self._real)).max(initial=0.0)),
        )
