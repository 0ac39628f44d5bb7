"""A signal of unknown length, block by block: blocks of any sizes give the samples of the whole.

Segments lie on absolute frames and each is filtered by itself, exactly as the file engine does it;
how the blocks were cut has no part in the result.
"""

import numpy as np
import numpy.typing as npt

from earfilt.engine.cpu import OverlapSave
from earfilt.engine.samples import Samples
from earfilt.engine.segments import extend_ends, keep_memory, order_reached
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir

__all__ = ["Stream"]


class Stream:
    """Filter blocks of frames as they come, on the CPU.

    Parameters
    ----------
    fir : Fir
    channels : int
        At least 1.
    dtype : float32 or float64
        Of the arithmetic and of the output.

    Attributes
    ----------
    hop : int
        Frames of one segment: output comes in multiples of it until the end.
    lookahead : int
        Frames of the future that an output frame needs.

    Raises
    ------
    UsageError
        ``channels`` is below 1.
    """

    def __init__(self, fir: Fir, *, channels: int, dtype: npt.DTypeLike = np.float32) -> None:
        if channels < 1:
            raise UsageError(f"channels is {channels}; it must be 1 or more")
        keep_memory()
        taps = np.zeros(max(fir.numtaps, order_reached(fir.lookahead, fir.odd_ends) + 1))
        taps[: fir.numtaps] = fir.taps
        self._step = OverlapSave(taps, dtype=dtype)
        self.hop, self.lookahead = self._step.hop, fir.lookahead
        self.channels = channels
        self._mirrored = fir.lookahead if fir.odd_ends else 0
        self._dtype = np.dtype(dtype)
        self._begin()

    def _begin(self) -> None:
        self._at = self.lookahead - self._step.overlap  # absolute frame of the first one pending
        self._pending = np.zeros((-self._at, self.channels), self._dtype)

    def push(self, block: Samples) -> Samples:
        """Take frames, and give all output that is ready.

        Parameters
        ----------
        block : (frames, channels)
            None or more; the next ones of the signal.

        Returns
        -------
        (frames', channels)
            None or more; the next ones of the output.

        Raises
        ------
        UsageError
            The block has another shape.
        """
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise UsageError(
                f"the block's shape is {block.shape}; it must be (frames, {self.channels})"
            )
        self._pending = np.concatenate([self._pending, block.astype(self._dtype, copy=False)])
        segments = max(0, (len(self._pending) - self._step.overlap) // self.hop)
        return self._filtered(segments, None)

    def flush(self) -> Samples:
        """End the signal and give the rest of the output, (frames', channels).

        Afterwards the stream is as new: another signal may begin.
        """
        total = self._at + len(self._pending)
        rest = total - (self._at + self._step.overlap - self.lookahead)
        out = self._filtered(-(-rest // self.hop), total)[:rest]
        self._begin()
        return out

    def _filtered(self, segments: int, total: int | None) -> Samples:
        """The output of the next segments, which then are no longer pending."""
        if segments <= 0:
            return np.empty((0, self.channels), self._dtype)
        frames = segments * self.hop
        window = np.zeros((self._step.overlap + frames, self.channels), self._dtype)
        held = self._pending[: len(window)]
        window[: len(held)] = held
        extend_ends(window, self._at, total, self._mirrored)
        out = np.empty((frames, self.channels), self._dtype)
        self._step(window, out)
        self._pending, self._at = self._pending[frames:], self._at + frames
        return out
