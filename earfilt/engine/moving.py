"""The step of the file engine for a source that moves: each segment fades from one pair of ears to
the next.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from earfilt.arrays import power_of_two
from earfilt.directions.moving import HOP, Ears, MovingFir
from earfilt.engine import fft
from earfilt.engine.cpu import Factors, factors, multiply
from earfilt.engine.roundoff import Judged, Rounding
from earfilt.engine.samples import Samples
from earfilt.engine.segments import as_segments

_KEPT = 64


class MovingStep:
    """Filter windows of one or two channels by ears that change; holds no state of a signal.

    Parameters
    ----------
    fir : MovingFir
    scale : float
    dtype : float32 or float64

    Attributes
    ----------
    n_fft, hop, overlap, parts
        As in `earfilt.engine.cpu.OverlapSave`.
    """

    parts = 1

    def __init__(self, fir: MovingFir, scale: float, dtype: npt.DTypeLike) -> None:
        assert fir.motion is not None
        self.hop, self.n_fft = HOP, power_of_two(HOP + fir.numtaps)
        self.overlap = self.n_fft - self.hop
        self._real, self._scale = np.dtype(dtype), scale
        self._ears, self._fs = Ears(fir.motion), fir.motion.hrirs.fs
        self._order = slice(None, None, -1 if fir.right_first else 1)
        self._response = lru_cache(maxsize=_KEPT)(self._made)

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
        rounding: Rounding | None = None,
    ) -> Judged | None:
        """As `OverlapSave.__call__`; segments are counted from the beginning of the signal."""
        count = (len(window) - self.overlap) // self.hop
        spectra = fft.forward(as_segments(window, count, self.n_fft, self.hop))
        part = (np.arange(self.hop, dtype=self._real) / self.hop)[:, None]
        for index in range(count):
            first, second = (
                self._heard(spectra[index : index + 1], at)
                for at in (segment + index, segment + index + 1)
            )
            made = first + part * (second - first)
            out[index * self.hop : (index + 1) * self.hop] = np.rint(made) if whole else made
        return None

    def _heard(self, spectrum: npt.NDArray[np.complexfloating], at: int) -> Samples:
        """A segment (1, bins, channels) by the ears at the start of one: (hop, 2)."""
        response = self._response(at)
        products = multiply(spectrum, response, out=np.empty_like(response.imaginary))
        heard: Samples = fft.backward(products, self.n_fft)[0, self.overlap :]
        return heard

    def _made(self, segment: int) -> Factors:
        """The response (1, bins, 2) at the start of a segment."""
        taps = self._ears.taps(segment * self.hop / self._fs)[self._order]
        padded = np.zeros((1, self.n_fft, 2))
        padded[0, : taps.shape[1]] = taps.T * (self._scale / self.n_fft)
        complex_dtype = np.result_type(self._real, np.complex64)
        return factors(fft.forward(padded), complex_dtype)
