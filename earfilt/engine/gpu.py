"""Windows filtered on a GPU: samples go there as they are in the file and come back as they are to
be written, so that the bus carries integers; all between is done there. torch is loaded here, only
where a device is asked for.

Arithmetic is float64 unless float32 is asked for: reading and writing take longer than it does.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earfilt.engine.samples import (
    SampleFormat,
    Samples,
    Tally,
    check_range,
    highest_code,
    tpdf,
)
from earfilt.engine.segments import choose_n_fft, extend_ends, hop_of, per_call
from earfilt.engine.tensors import filter_segments
from earfilt.engine.windows import Filtered, Window, Windows, check_size, scaled_taps
from earfilt.errors import UsageError
from earfilt.wording import option

__all__ = ["DeviceFilter", "DeviceStep"]

CALL_BYTES = 1 << 25  # of spectra in one call: enough to fill a device, and little to wait for


class DeviceStep:
    """Overlap-save of windows of frames on a device.

    Parameters
    ----------
    taps : (numtaps,) or (rows, numtaps) float64
        As in `earfilt.engine.cpu.OverlapSave`.
    dtype : float32 or float64
    device : str
        cuda, cuda:N or mps.

    Attributes
    ----------
    n_fft, hop, overlap : int
        As in `OverlapSave`.
    widest : torch.dtype
        The most precise one of the device: float32 on mps.
    """

    def __init__(self, taps: npt.NDArray[np.float64], *, dtype: npt.DTypeLike, device: str) -> None:
        self.n_fft = choose_n_fft(taps.shape[-1])
        self.hop = hop_of(taps.shape[-1], self.n_fft)
        self.overlap = self.n_fft - self.hop
        self.device, self.dtype = torch.device(device), _torch_dtype(np.dtype(dtype).name)
        self.widest = torch.float32 if self.device.type == "mps" else torch.float64
        response = torch.fft.rfft(torch.tensor(taps), n=self.n_fft, norm="forward")
        self._response = response.to(self.dtype.to_complex()).to(self.device)

    def cut(self, window: Tensor) -> Tensor:
        """The segments of a window (channels, overlap + segments * hop), as a view (channels,
        segments, n_fft).
        """
        return window.unfold(-1, self.n_fft, self.hop)

    def __call__(self, window: Tensor) -> Tensor:
        """Filter a window: (outputs, segments, hop)."""
        return filter_segments(self.cut(window), self._response, self.n_fft, self.hop)


class DeviceFilter(Windows):
    """Filters windows of one signal on a device. Each thread has a stream and memory of its own
    there, so that the copies of one window run beside the FFT of another.

    Parameters
    ----------
    fir, source, target, channels, settings
        As of `earfilt.engine.windows.Windows`.

    Raises
    ------
    UsageError
        As `Windows`; a source that moves, or a bound on the latency; float64 on mps.
    """

    def _set_up(self, source: SampleFormat) -> None:
        settings = self.settings
        if self._fir.moves:
            raise UsageError(
                f"a moving source ({option('path')}) is filtered on the CPU only: use "
                f"{option('device', 'cpu')}"
            )
        if settings.latency is not None:
            raise UsageError("the latency can be bounded on the CPU only")
        self.least_precision = "float32" if settings.precision == "float32" else "float64"
        if self.least_precision == "float64" and settings.device.startswith("mps"):
            raise UsageError(
                f"mps computes in float32 only: add {option('precision', 'float32')}, or use "
                f"{option('device', 'cpu')}"
            )
        self._step = DeviceStep(
            scaled_taps(self._fir, self._scale), dtype=self.least_precision, device=settings.device
        )
        check_size(self._step.n_fft, self.channels)
        self.hop, self.overlap = self._step.hop, self._step.overlap
        itemsize = np.dtype(self.least_precision).itemsize
        self._segments = per_call(self._step.n_fft, self.outputs, itemsize, CALL_BYTES)
        self._source, self._own = _torch_dtype(source.dtype), local()
        # of integers that the arithmetic holds exactly; one thread reads, and the device has time
        self.sees_extremes = source.is_integer and (
            source.bits <= 24 or self.least_precision == "float64"
        )

    def at_once(self, segment: int) -> int:
        """As `Windows.at_once`."""
        return self._segments

    def __call__(self, window: Window) -> Filtered:
        """As `Windows.__call__`."""
        with self._thread() as own:
            x = self._copied_there(window, own)
            new = x[:, 0 if window.segment == 0 else self.overlap :]
            fresh = [new.to(self._step.widest).square().sum(-1)]
            if self.sees_extremes:
                fresh += [part.to(self._step.widest) for part in _extremes(new)]
            extend_ends(x.T, window.at, window.total, self._mirrored)
            y = self._filtered(x, window, own)
            samples = own.back("samples", self._codes(y.T))
            told = own.back("told", torch.cat([*fresh, *self._levels(y)]))
        seen, levels = Tally(self.channels), Tally(self.outputs)
        (seen.energy, *extremes), of_output = _split(told, len(fresh), self.channels)
        if extremes:
            seen.low, seen.high = extremes
        levels.low, levels.high, levels.energy, clipped = of_output.reshape(4, -1)
        check_range(levels, self.target, np.dtype(self.least_precision))
        levels.clipped = clipped.astype(np.int64)
        return Filtered(samples, seen, levels, frozenset([self.least_precision]))

    def _levels(self, y: Tensor) -> list[Tensor]:
        """Of codes (outputs, frames): smallest, largest, energy, and how many will be clipped."""
        wide = self._step.widest
        low, high = _extremes(y)
        clipped = torch.zeros_like(low)
        if self.target.is_integer:
            lowest, highest = self._range
            clipped = ((y < lowest) | (y > highest)).sum(-1)
        return [part.to(wide) for part in (low, high, y.to(wide).square().sum(-1), clipped)]

    @property
    def _range(self) -> tuple[float, float]:
        """The lowest and the highest code of the target."""
        highest = highest_code(self.target, np.dtype(self.least_precision))
        return -self.target.codes, highest

    def _filtered(self, x: Tensor, window: Window, own: "_Own") -> Tensor:
        """Codes of the target (outputs, frames that are due), before clipping."""
        y = self._step(x)
        if self.target.is_integer:
            if (seed := self.settings.dither_seed) is not None:
                held = own.room("dither", (window.segments, self.hop, self.outputs), torch.float32)
                for number, noise in enumerate(held.numpy(), window.segment):
                    noise[...] = tpdf(seed, number, noise.shape)
                y += own.there(held).permute(2, 0, 1)
            y = y.round()
        # digital silence stays silence, whatever the neighbours' rounding or the dither
        silent = self._step.cut(x).eq(0).all(-1)
        if not self._apart:
            silent = silent.all(0, keepdim=True)
        return y.masked_fill(silent[..., None], 0.0).flatten(-2)[:, : self._due(window)]

    def _codes(self, y: Tensor) -> Tensor:
        """Samples of the target, clipped, from codes (frames, outputs)."""
        target = self.target
        samples = (y.clamp(*self._range) if target.is_integer else y).to(
            _torch_dtype(target.dtype), memory_format=torch.contiguous_format
        )
        return samples << target.width - target.bits if target.is_integer else samples

    def _copied_there(self, window: Window, own: "_Own") -> Tensor:
        """The frames of a window (channels, frames) in the step's dtype, zeros outside of the
        signal.
        """
        start = max(0, -window.at)
        frames = self.overlap + window.segments * self.hop
        held = own.room("frames", (frames, self.channels), self._source)[: frames - start]
        count = _laid_out(held.numpy(), window.pieces)
        x = torch.zeros(self.channels, frames, dtype=self._step.dtype, device=self._step.device)
        x[:, start : start + count] = own.there(held[:count]).T
        return x

    @contextmanager
    def _thread(self) -> Iterator["_Own"]:
        """What this thread has there; all is done and has come back when the block ends."""
        own: _Own | None = getattr(self._own, "kept", None)
        if own is None:
            own = self._own.kept = _Own(self._step.device)
        if own.stream is None:
            yield own
            return
        with torch.cuda.stream(own.stream):
            yield own
            own.stream.synchronize()


class _Own:
    """What a thread has for a device: a CUDA stream, and memory here that is copied at full speed."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._held = device, dict[str, Tensor]()
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def room(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Memory here, the same one at every call of a name."""
        kept = self._held.get(name)
        if kept is None or kept.dtype is not dtype or kept.numel() < math.prod(shape):
            pinned = self._device.type == "cuda"
            kept = torch.empty(math.prod(shape), dtype=dtype, pin_memory=pinned)
            self._held[name] = kept
        return kept[: math.prod(shape)].view(shape)

    def there(self, held: Tensor) -> Tensor:
        """What stands in memory here, on the device."""
        return held.to(self._device, non_blocking=True)

    def back(self, name: str, made: Tensor) -> npt.NDArray[Any]:
        """What was made on the device, here: once the stream is done."""
        held = self.room(name, tuple(made.shape), made.dtype)
        array: npt.NDArray[Any] = held.copy_(made, non_blocking=True).numpy()
        return array


def _extremes(x: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest, at most 0, and the largest, at least 0, of rows (rows, frames)."""
    return x.amin(-1).clamp(max=0.0), x.amax(-1).clamp(min=0.0)


def _split(
    told: npt.NDArray[Any], parts: int, channels: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The first parts of so many channels (parts, channels), and what comes behind them; copies."""
    told = told.astype(np.float64)
    return told[: parts * channels].reshape(parts, channels), told[parts * channels :]


def _laid_out(room: Samples, pieces: list[Samples]) -> int:
    """Lay consecutive pieces side by side, as far as there is room; gives how many frames."""
    count = 0
    for piece in pieces:
        part = room[count : count + len(piece)]
        np.copyto(part, piece[: len(part)])
        count += len(part)
    return count


def _torch_dtype(name: str) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, name)
    return dtype
