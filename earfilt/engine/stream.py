"""A signal of unknown length, block by block: blocks of any sizes give the samples of the whole.

Segments lie on absolute frames and each is filtered by itself, exactly as the file engine does it;
how the blocks were cut has no part in the result.
"""

from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from earfilt.arrays import is_array
from earfilt.engine.cpu import OverlapSave
from earfilt.engine.samples import Samples
from earfilt.engine.segments import extend_ends, keep_memory, order_reached
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir

if TYPE_CHECKING:
    from torch import Tensor

    from earfilt.engine import tensors

__all__ = ["Stream"]


class Stream:
    """Filter blocks of frames as they come: arrays of numpy or tensors of torch.

    Arrays and tensors on the CPU take the same way, and may be mixed; a signal that comes in
    tensors of another device is filtered there.

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
        self._fir = fir
        self.channels = channels
        self._mirrored = fir.lookahead if fir.odd_ends else 0
        self._dtype = np.dtype(dtype)
        self._begin()

    def _begin(self) -> None:
        self._at = self.lookahead - self._step.overlap  # absolute frame of the first one pending
        self._pending = np.zeros((-self._at, self.channels), self._dtype)
        self._frames = 0  # taken of this signal
        self._is_array = True  # what the last block was
        self._elsewhere: tensors.Stream | None = None  # the signal is on another device

    @overload
    def push(self, block: Samples) -> Samples: ...
    @overload
    def push(self, block: "Tensor") -> "Tensor": ...
    def push(self, block: Any) -> Any:
        """Take frames, and give all output that is ready.

        Parameters
        ----------
        block : (frames, channels) array or tensor
            None or more; the next ones of the signal.

        Returns
        -------
        (frames', channels) array or tensor
            None or more; the next ones of the output, of the kind and on the device of the block.
            Nothing is differentiated through a stream; `earfilt.apply` and modules are.

        Raises
        ------
        UsageError
            The block has another shape, or is on another device than the signal so far.
        """
        if not hasattr(block, "shape") or block.ndim != 2 or block.shape[1] != self.channels:
            shape = tuple(getattr(block, "shape", ())) or type(block).__name__
            raise UsageError(f"the block's shape is {shape}; it must be (frames, {self.channels})")
        self._is_array = is_array(block)
        if not self._is_array and block.device.type != "cpu":
            return self._push_elsewhere(block)
        if self._elsewhere is not None:
            raise UsageError("the block is on the CPU, and the signal so far is on another device")
        return self._as_it_came(self._push(self._samples(block)))

    def _push(self, block: Samples) -> Samples:
        self._frames += len(block)
        self._pending = np.concatenate([self._pending, block.astype(self._dtype, copy=False)])
        segments = max(0, (len(self._pending) - self._step.overlap) // self.hop)
        return self._filtered(segments, None)

    def flush(self) -> Any:
        """End the signal and give the rest of the output, (frames', channels): an array, or a
        tensor where the last block was one.

        Afterwards the stream is as new: another signal may begin.
        """
        if self._elsewhere is not None:
            out: Any = self._elsewhere.flush()
        else:
            total = self._at + len(self._pending)
            rest = total - (self._at + self._step.overlap - self.lookahead)
            out = self._as_it_came(self._filtered(-(-rest // self.hop), total)[:rest])
        self._begin()
        return out

    def _samples(self, block: Any) -> Samples:
        """A block on the CPU as an array of numpy."""
        if self._is_array:
            samples: Samples = block
            return samples
        wide = block.detach() if block.dtype.itemsize > 2 else block.detach().float()
        found: Samples = wide.numpy()
        return found

    def _as_it_came(self, out: Samples) -> Any:
        if self._is_array:
            return out
        import torch

        return torch.from_numpy(out)

    def _push_elsewhere(self, block: "Tensor") -> "Tensor":
        import torch

        from earfilt.engine import tensors

        if self._frames:
            raise UsageError(f"the block is on {block.device}, and the signal so far is on the CPU")
        if self._elsewhere is None:
            self._elsewhere = tensors.Stream(
                torch.from_numpy(self._fir.taps.copy()),
                channels=self.channels,
                lookahead=self.lookahead,
                odd_ends=self._fir.odd_ends,
                dtype=torch.float32 if self._dtype == np.float32 else torch.float64,
                device=block.device,
            )
        return self._elsewhere.push(block)

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
