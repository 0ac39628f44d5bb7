"""Convolution by FFT overlap-save: whole signals, streams, and the fixed-shape step that both and the file engine share.

The signal is cut into segments of `n_fft` samples that overlap by the order of the FIR; the circular convolution of a
segment equals the linear one except in its first `order` samples, which are dropped (Oppenheim & Schafer, Discrete-Time
Signal Processing, section 8.7.3).  Zero phase is the same with a look-ahead: `filtfilt` with the taps h equals one
convolution with h * reverse(h), advanced by the order, over a signal extended oddly at both ends.

Segments lie on absolute frames, and the FFT always sees the same shape: what comes out does not depend on how the signal
was cut into blocks.
"""

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["OverlapSave", "Stream", "choose_n_fft", "convolve", "extend_ends"]

GRAIN = 64  # hops are multiples of this: every segment starts on a cache line, as MKL's results may depend on alignment
WORKING_SET = 1 << 18  # samples in one call of the FFT: large enough to hide its planning, small enough for the caches


def choose_n_fft(numtaps: int, dtype: torch.dtype = torch.float32) -> int:
    """FFT size for a FIR: the cheapest per output sample, as measured.

    Parameters
    ----------
    numtaps : int >= 1
    dtype : torch.float32 or torch.float64

    Returns
    -------
    int
        A power of two, at least twice `numtaps`.
    """
    floor = 4096 if dtype == torch.float32 else 2048
    return max(floor, 1 << math.ceil(math.log2(4 * max(numtaps, 1))))


def hop_of(numtaps: int, n_fft: int) -> int:
    """Output samples of one segment: what is left beside the overlap, in whole grains.

    Raises
    ------
    ValueError
        If `n_fft` leaves less than one grain.
    """
    hop = (n_fft - numtaps + 1) // GRAIN * GRAIN
    if hop <= 0:
        raise ValueError(f"n_fft is {n_fft}; {numtaps} taps need at least {numtaps - 1 + GRAIN}")
    return hop


def _check_lookahead(lookahead: int) -> None:
    if lookahead < 0:
        raise ValueError(f"lookahead is {lookahead}; it must be 0 (causal) or more samples")


def reach(taps: Tensor, lookahead: int, odd_ends: bool) -> Tensor:
    """`taps` (numtaps,) with zeros appended until a window holds all that its ends are mirrored from."""
    _check_lookahead(lookahead)
    order = 2 * lookahead if odd_ends else lookahead
    return torch.nn.functional.pad(taps, (0, max(0, order + 1 - taps.shape[-1])))


def _extended(x: Tensor, before: int, after: int, lookahead: int) -> Tensor:
    """`x` (..., T) with `before` and `after` samples added: oddly up to `lookahead` of them, zeros beyond."""
    mirrored = min(lookahead, x.shape[-1] - 1)
    if mirrored > 0:
        head = 2 * x[..., :1] - x[..., 1 : mirrored + 1].flip(-1)
        tail = 2 * x[..., -1:] - x[..., -mirrored - 1 : -1].flip(-1)
        x = torch.cat([head, x, tail], dim=-1)
    return torch.nn.functional.pad(x, (before - mirrored, after - mirrored))


def convolve(x: Tensor, taps: Tensor, *, lookahead: int = 0, odd_ends: bool = False) -> Tensor:
    """Filter whole signals: y[n] = sum_k taps[k] * x[n + lookahead - k], differentiable in `x` and `taps`.

    Parameters
    ----------
    x : Tensor (..., T), real floating
    taps : Tensor (numtaps,), same device as `x`
    lookahead : int >= 0
        Samples by which the output is advanced; 0 is causal.
    odd_ends : bool
        True: `x` goes on at both ends as 2*x[0] - x[k], for `lookahead` samples or as far as it goes. Else zeros.

    Returns
    -------
    Tensor (..., T), dtype of `x`.  Half precision is computed in float32.

    Raises
    ------
    ValueError
        If `lookahead` is negative.
    """
    dtype = torch.promote_types(x.dtype, torch.float32) if x.dtype.itemsize < 4 else x.dtype
    taps = reach(taps.to(dtype), lookahead, odd_ends)
    frames = x.shape[-1]
    if x.numel() == 0:
        return x.clone()
    n_fft = _n_fft_for(frames, len(taps), dtype)
    hop = hop_of(len(taps), n_fft)
    segments = -(-frames // hop)
    rows = x.to(dtype).reshape(-1, frames)
    before, after = n_fft - hop - lookahead, lookahead + segments * hop - frames
    cut = _extended(rows, before, after, lookahead if odd_ends else 0).unfold(-1, n_fft, hop)
    response = torch.fft.rfft(taps, n=n_fft)
    step = max(1, WORKING_SET // (n_fft * rows.shape[0]))
    parts = [_segments_filtered(cut[:, at : at + step], response, n_fft, hop) for at in range(0, segments, step)]
    return torch.cat(parts, dim=-1)[:, :frames].reshape(x.shape).to(x.dtype)


def _n_fft_for(frames: int, numtaps: int, dtype: torch.dtype) -> int:
    """The usual size, or a smaller one that holds a short signal in a single segment."""
    single = 1 << math.ceil(math.log2(numtaps - 1 + -(-frames // GRAIN) * GRAIN))
    return min(choose_n_fft(numtaps, dtype), single)


def _segments_filtered(cut: Tensor, response: Tensor, n_fft: int, hop: int) -> Tensor:
    """Overlapping segments (rows, segments, n_fft) -> what they add to the output (rows, segments * hop)."""
    y = torch.fft.irfft(torch.fft.rfft(cut) * response, n=n_fft)
    return y[..., n_fft - hop :].flatten(-2)


class OverlapSave:
    """Filter windows of interleaved frames: the step of a stream and of the file engine.

    Parameters
    ----------
    taps : Tensor (numtaps,), float64
    n_fft : int, optional
        Default: `choose_n_fft`.
    dtype : torch.float32 or torch.float64
    device : str or torch.device
    packed : bool
        True (even channel counts): two channels are filtered as one complex signal, without being separated.  Faster;
        a channel then carries rounding noise of its neighbour, about -140 dB of its level in float32.

    Attributes
    ----------
    hop, overlap : int
        Output frames of a segment; further input frames that a window needs, `n_fft - hop`.
    """

    def __init__(
        self,
        taps: Tensor,
        *,
        n_fft: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        packed: bool = False,
    ) -> None:
        self.packed = packed
        self.n_fft = n_fft or choose_n_fft(len(taps), dtype)
        self.hop = hop_of(len(taps), self.n_fft)
        self.overlap = self.n_fft - self.hop
        transform = torch.fft.fft if packed else torch.fft.rfft
        scaled = taps.to(torch.float64) / self.n_fft  # the inverse transform is then left without a scale
        self._response = transform(scaled, n=self.n_fft).to(device=device, dtype=dtype.to_complex())

    def __call__(self, window: Tensor, out: Tensor, *, whole: bool = False) -> None:
        """Filter the frames `window` (overlap + segments * hop, channels) into `out` (segments * hop, channels).

        Both are contiguous.  `whole`: the output is rounded to whole numbers, half to even.
        """
        frames, channels = window.shape
        if self.packed:
            pairs = torch.view_as_complex(window.view(frames, channels // 2, 2))
            y = torch.fft.ifft(self._product(torch.fft.fft(pairs.unfold(0, self.n_fft, self.hop))), norm="forward")
            y = torch.view_as_real(y[..., self.overlap :]).permute(0, 2, 1, 3)  # (segments, hop, pairs, 2)
        else:
            planes = window.new_empty(channels, frames)
            _copy(window.T, planes)
            spectra = self._product(torch.fft.rfft(planes.unfold(1, self.n_fft, self.hop)))
            y = torch.fft.irfft(spectra, n=self.n_fft, norm="forward")[..., self.overlap :]
            y = y.permute(1, 2, 0)  # (segments, hop, channels)
        if whole:
            torch.round(y, out=out.view(y.shape))
        else:
            _copy(y, out.view(y.shape))

    def _product(self, spectra: Tensor) -> Tensor:
        return spectra.mul_(self._response)


def _copy(source: Tensor, out: Tensor) -> None:
    """Copy between memory orders; on the CPU by numpy, whose transposing copies are several times faster than torch's."""
    if out.device.type == "cpu":
        np.copyto(out.numpy(), source.numpy())
    else:
        out.copy_(source)


def extend_ends(window: Tensor, at: int, total: int | None, lookahead: int) -> None:
    """Mirror a signal oddly into the part of a window that lies before its start or behind its end, in place.

    Parameters
    ----------
    window : Tensor (frames, channels)
        Input frames from the absolute frame `at` on; zeros outside the signal.
    at : int
    total : int or None
        Frames of the signal; None while its end lies behind the window.
    lookahead : int >= 0
        Frames to mirror at each end, as far as the signal goes.
    """
    mirrored = lookahead if total is None else min(lookahead, total - 1)
    first = -at
    if mirrored > 0 and first > 0:
        room = min(mirrored, first)
        window[first - room : first] = 2 * window[first] - window[first + 1 : first + room + 1].flip(0)
    if mirrored > 0 and total is not None and total - at < len(window):
        last = total - at - 1
        room = min(mirrored, len(window) - last - 1)
        window[last + 1 : last + 1 + room] = 2 * window[last] - window[last - room : last].flip(0)


class Stream:
    """Filter a signal of unknown length block by block; blocks of any sizes give the same samples, bit for bit.

    Parameters
    ----------
    taps : Tensor (numtaps,)
    channels : int >= 1
    lookahead, odd_ends
        As in `convolve`.
    n_fft : int, optional
        FFT size; a smaller one gives its output sooner.  Default: the fastest.
    dtype : torch.float32 or torch.float64
        Of the blocks and of the arithmetic.
    device : str or torch.device

    Raises
    ------
    ValueError
        If `lookahead` is negative, or `n_fft` too small for the taps.

    Examples
    --------
    >>> stream = Stream(torch.tensor([0.0, 1.0]), channels=1)
    >>> torch.cat([stream.push(torch.ones(3, 1)), stream.push(torch.ones(2, 1)), stream.flush()]).T
    tensor([[0., 1., 1., 1., 1.]])
    """

    def __init__(
        self,
        taps: Tensor,
        *,
        channels: int,
        lookahead: int = 0,
        odd_ends: bool = False,
        n_fft: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        padded = reach(taps.detach(), lookahead, odd_ends)
        self._step = OverlapSave(padded, n_fft=n_fft, dtype=dtype, device=device)
        self._lookahead, self._mirrored = lookahead, lookahead if odd_ends else 0
        self._start = lookahead - self._step.overlap
        self._before = torch.zeros(-self._start, channels, dtype=dtype, device=device)
        self._pending, self._at = self._before, self._start  # frames still needed, from the absolute frame `at` on

    def push(self, block: Tensor) -> Tensor:
        """Take frames (frames, channels), none or more; give all output that is ready, (frames', channels)."""
        self._pending = torch.cat([self._pending, block.detach().to(self._pending)])
        ready = (len(self._pending) - self._step.overlap) // self._step.hop
        return self._segments(max(0, ready), None)

    def flush(self) -> Tensor:
        """End the signal: the rest of the output, (frames', channels).  After it, a new signal may begin."""
        rest = len(self._pending) + self._start
        out = self._segments(-(-rest // self._step.hop), self._at + len(self._pending))[:rest]
        self._pending, self._at = self._before, self._start
        return out

    def _segments(self, count: int, total: int | None) -> Tensor:
        """Filter the next `count` segments, one by one as the FFT's shape is fixed: (count * hop, channels)."""
        hop, n_fft = self._step.hop, self._step.n_fft
        out = self._pending.new_empty(count, hop, self._pending.shape[1])
        for part in out:
            window = out.new_zeros(n_fft, out.shape[2])
            head = self._pending[:n_fft]
            window[: len(head)] = head
            extend_ends(window, self._at, total, self._mirrored)
            self._step(window, part)
            self._pending = self._pending[hop:]
            self._at += hop
        return out.flatten(0, 1)
