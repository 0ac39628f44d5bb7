"""A signal of unknown length, block by block: blocks of any sizes give the samples of the whole.

Windows are filtered exactly as the file engine does it (`earfilt.engine.windows`); how the blocks
were cut has no part in the result.
"""

import warnings
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from earfilt.ears.options import refuse_masked, whole
from earfilt.engine.samples import SampleFormat, Samples, Tally, clip_warning
from earfilt.engine.segments import keep_memory
from earfilt.engine.windows import Cutting, Precision, Settings, WindowFilter
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir

if TYPE_CHECKING:
    from torch import Tensor

    from earfilt.engine import tensors

__all__ = ["Stream"]

Block = TypeVar("Block", npt.NDArray[Any], "Tensor")
"""A numpy array or a torch tensor; what comes out is of the kind and on the device of what went in.
"""


class Stream:
    """Filter blocks of frames as they come: arrays of numpy or tensors of torch.

    Both are filtered alike on the CPU, and may be mixed. A signal of floating-point tensors on
    another device is filtered there, in the precision of the stream's dtype.

    Parameters
    ----------
    fir : Fir
    channels : int
        At least 1; with several rows of taps 1 or 2, which become 2.
    dtype : float32, float64, int16 or int32
        Of the blocks and of the output. Integers have full scale at 2¹⁵ or 2³¹; they are rounded to
        nearest, and clipped with a warning.
    precision : 'auto', 'float32' or 'float64'
        Precision of the computation; auto is float64 for float64 and int32, and for others where
        float32 would change the output.
    latency : int, optional
        Largest number of frames in a block of output. None: as many as are filtered fastest.

    Attributes
    ----------
    hop : int
        Frames of one segment: output comes in multiples of it until the end.
    lookahead : int
        Frames of the future that an output frame needs.
    channels, outputs : int
        Of the blocks, and of the output.
    clipped : (outputs,) array of int64
        Number of samples of the signal so far that were clipped.

    Raises
    ------
    UsageError
        ``channels`` is below 1, or more than the filter takes; another dtype or precision;
        ``latency`` is below 64.

    Examples
    --------
    >>> import earfilt
    >>> stream = earfilt.stream("middle-ear", fs=48000, channels=2)
    >>> first = stream.push(np.zeros((10_000, 2), np.float32))
    >>> len(first) % stream.hop, len(first) + len(stream.flush())
    (0, 10000)
    """

    def __init__(
        self,
        fir: Fir,
        *,
        channels: int,
        dtype: npt.DTypeLike = np.float32,
        precision: Precision = "auto",
        latency: int | None = None,
    ) -> None:
        rule = "a whole number, 1 or more"
        channels = whole("channels", channels, rule)
        if channels < 1:
            raise UsageError(f"channels is {channels}; it must be {rule}")
        keep_memory()
        form = SampleFormat.of_arrays(dtype)
        settings = Settings(precision=precision, latency=latency)
        self._filter = WindowFilter(fir, form, form, channels, settings)
        self.hop, self.lookahead, self.channels = self._filter.hop, fir.lookahead, channels
        self.outputs = self._filter.outputs
        self._dtype, self._fir = np.dtype(form.dtype), fir
        self._begin()

    def _begin(self) -> None:
        self._is_array = True  # what the last block was
        self._elsewhere: tensors.Stream | None = None  # of a signal on another device
        self._cutting, self.clipped = Cutting(self._filter), np.zeros(self.outputs, np.int64)

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a stream is in the midst of a signal and cannot be copied or stored; make another one "
            "for each signal"
        )

    def push(self, block: Block) -> Block:
        """Take frames, and return all output that is ready.

        Parameters
        ----------
        block : (frames, channels) array or tensor
            Zero or more frames, the next ones of the signal. Floating-point blocks of a
            floating-point stream may be of another precision; integers are of the stream's dtype.

        Returns
        -------
        (frames', outputs) array or tensor
            Zero or more frames, the next ones of the output. Streams are not differentiable;
            `earfilt.apply` and modules are.

        Raises
        ------
        UsageError
            The block has another shape or another kind of samples; it holds NaN or infinity (on
            the CPU); it is on another device than the signal so far.
        """
        refuse_masked("the block", block)
        if isinstance(block, np.ndarray):
            self._is_array = True
            return self._push(block)
        import torch

        from earfilt.engine import tensors

        if not isinstance(block, torch.Tensor):
            raise UsageError(
                f"the block is a {type(block).__name__}; streams take numpy arrays and torch "
                "tensors"
            )
        tensors.check_dense("the block", block)
        self._is_array = False
        if block.device.type != "cpu":
            return self._push_elsewhere(block)
        plain = block.detach().resolve_conj().resolve_neg()
        if plain.is_floating_point() and plain.dtype not in tensors.FLOATS:
            raise UsageError(f"the block's dtype is {plain.dtype}; this stream takes {self._dtype}")
        if plain.dtype == torch.bfloat16:  # which numpy does not know
            plain = plain.float()
        return torch.from_numpy(self._push(plain.numpy()))

    def _check_shape(self, block: Any) -> None:
        if block.ndim != 2 or block.shape[1] != self.channels:
            turned = block.ndim == 2 and block.shape[0] == self.channels
            raise UsageError(
                f"the block's shape is {tuple(block.shape)}; it must be (frames, {self.channels})"
                + (": block.T is" if turned else "")
            )

    def _push(self, block: Samples) -> Samples:
        self._check_shape(block)
        if self._elsewhere is not None:
            raise UsageError("the block is on the CPU, and the signal so far is on another device")
        # full scale is the dtype's own, so that another one's samples would be of another level
        floats = block.dtype.kind == self._dtype.kind == "f"
        if not floats and block.dtype.newbyteorder("=") != self._dtype:
            raise UsageError(f"the block's dtype is {block.dtype}; this stream takes {self._dtype}")
        # a copy: the caller may use the block's memory again
        frames = np.array(block, self._dtype, order="C")
        seen = Tally(self.channels)
        seen.see(frames)
        if not np.isfinite(seen.peak).all():
            frame, channel = np.argwhere(~np.isfinite(frames))[0]
            raise UsageError(
                f"the signal is not finite: channel {channel}, sample {self._cutting.end + frame} "
                "(from 0)"
            )
        self._cutting.put(frames)
        return self._filtered(self._cutting.ready, None)

    def _push_elsewhere(self, block: "Tensor") -> "Tensor":
        import torch

        from earfilt.engine import tensors

        self._check_shape(block)
        if not block.is_floating_point() or self._dtype.kind != "f":
            raise UsageError(
                f"the block is {block.dtype} on {block.device}, and the stream of {self._dtype}; "
                "elsewhere than on the CPU samples are floating-point"
            )
        if self._elsewhere is None:
            if self._cutting.end:
                raise UsageError(
                    f"the block is on {block.device}, and the signal so far is on the CPU"
                )
            self._elsewhere = tensors.Stream(
                torch.from_numpy(self._fir.taps.copy()),
                channels=self.channels,
                lookahead=self.lookahead,
                odd_ends=self._fir.odd_ends,
                dtype=torch.float32 if self._dtype == np.float32 else torch.float64,
                device=block.device,
            )
        return self._elsewhere.push(block)

    def flush(self) -> Any:
        """End the signal and return the rest of the output, (frames', outputs): an array, or a
        tensor where the last block was one.

        Afterwards the stream is as new: another signal may begin.

        Warns
        -----
        UserWarning
            Integer samples were clipped.
        """
        if self._elsewhere is not None:
            rest: Any = self._elsewhere.flush()
        else:
            total = self._cutting.end
            rest = self._filtered(self._cutting.left(total), total)
            if not self._is_array:
                import torch

                rest = torch.from_numpy(rest)
        clipped = self.clipped
        self._begin()  # first: a warning may be raised as an error
        if clipped.any():
            warnings.warn(clip_warning(clipped), stacklevel=2)
        return rest

    def _filtered(self, segments: int, total: int | None) -> Samples:
        """The output of the next segments."""
        parts = [np.empty((0, self.outputs), self._dtype)]
        while segments:
            window = self._cutting.take(segments, total)
            segments -= window.segments
            filtered = self._filter(window)
            self.clipped = self.clipped + filtered.levels.clipped
            parts.append(filtered.samples)
        return np.concatenate(parts)
