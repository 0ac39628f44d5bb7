"""The step of the file engine on a GPU.  torch is loaded here, only where a device is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local

import numpy as np
import numpy.typing as npt
import torch

from earfilt.engine.cpu import Output
from earfilt.engine.samples import Samples
from earfilt.engine.segments import choose_n_fft, hop_of
from earfilt.engine.tensors import multiplied

__all__ = ["DeviceStep"]


class DeviceStep:
    """Filter windows of interleaved frames on a device: what `earfilt.engine.cpu.OverlapSave` is on
    the CPU.

    Each thread has a CUDA stream and a pinned buffer of its own, so that the copies of one window
    run beside the FFT of another.

    Parameters
    ----------
    taps : (numtaps,) or (rows, numtaps) float64
        As in `OverlapSave`.
    dtype : float32 or float64
    device : str
        cuda, cuda:N or mps.

    Attributes
    ----------
    n_fft, hop, overlap, packed
        As in `OverlapSave`; nothing is packed.
    """

    packed = False

    def __init__(self, taps: npt.NDArray[np.float64], *, dtype: npt.DTypeLike, device: str) -> None:
        self.n_fft = choose_n_fft(taps.shape[-1])
        self.hop = hop_of(taps.shape[-1], self.n_fft)
        self.overlap = self.n_fft - self.hop
        self._device, self._own = torch.device(device), local()
        self._dtype: torch.dtype = getattr(torch, np.dtype(dtype).name)
        self._response = (
            torch.fft.rfft(torch.tensor(taps), n=self.n_fft)
            .to(self._dtype.to_complex())
            .to(self._device)
        )

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window, from which the device can copy at full speed."""
        room: Samples = torch.empty(
            frames, channels, dtype=self._dtype, pin_memory=self._device.type == "cuda"
        ).numpy()
        return room

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
        with self._stream():
            there = torch.from_numpy(window).to(self._device, non_blocking=True)
            cut = there.T.unfold(-1, self.n_fft, self.hop)
            spectra = multiplied(torch.fft.rfft(cut), self._response)
            filtered = torch.fft.irfft(spectra, n=self.n_fft)
            frames = filtered[..., self.overlap :].flatten(-2).T
            torch.from_numpy(out).copy_(
                frames.round() if whole else frames.contiguous(), non_blocking=True
            )
            return self._levels(filtered) if levels else None

    def _levels(self, filtered: torch.Tensor) -> Output:
        """Of segments (channels, segments, n_fft)."""
        rms = filtered.square().sum((0, 2), dtype=torch.float64).div(self.n_fft).sqrt()
        dropped, kept = filtered[..., : self.overlap], filtered[..., self.overlap :]
        peaks = [
            part.abs().amax((0, 2)).double() if part.numel() else torch.zeros_like(rms)
            for part in (dropped, kept)
        ]
        levels = torch.stack([rms, *peaks]).cpu().numpy()
        return Output(levels[0], levels[1], lambda part: levels[2])

    @contextmanager
    def _stream(self) -> Iterator[None]:
        """This thread's CUDA stream, which is done when the block ends."""
        if self._device.type != "cuda":
            yield
            return
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)
        with torch.cuda.stream(self._own.stream):
            yield
            self._own.stream.synchronize()
