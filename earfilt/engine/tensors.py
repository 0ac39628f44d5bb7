"""Convolution of torch tensors by FFT overlap-save: whole signals, differentiable, and streams
(`earfilt.engine.segments` has the idea).

Segments lie on absolute frames, and the FFT of a stream always has the same shape: what comes out
does not depend on how the signal was cut into blocks.
"""

import torch
from torch import Tensor

from earfilt.arrays import power_of_two
from earfilt.engine.segments import (
    GRAIN,
    check_ears,
    choose_n_fft,
    extend_ends,
    hop_of,
    keep_memory,
    order_reached,
    per_call,
)

__all__ = ["Stream", "convolve", "filter_segments", "multiplied", "reach"]

CALL_BYTES = 1 << 22  # of spectra in one call: torch's cost more than numpy's


def reach(taps: Tensor, lookahead: int, odd_ends: bool) -> Tensor:
    """`taps` (..., numtaps) with zeros appended until a window holds all that its ends are mirrored
    from.
    """
    return torch.nn.functional.pad(
        taps, (0, max(0, order_reached(lookahead, odd_ends) + 1 - taps.shape[-1]))
    )


def _extended(x: Tensor, before: int, after: int, lookahead: int) -> Tensor:
    """`x` (..., T) with `before` and `after` samples added: oddly up to `lookahead` of them, zeros
    beyond.
    """
    mirrored = min(lookahead, x.shape[-1] - 1)
    if mirrored > 0:
        head = 2 * x[..., :1] - x[..., 1 : mirrored + 1].flip(-1)
        tail = 2 * x[..., -1:] - x[..., -mirrored - 1 : -1].flip(-1)
        x = torch.cat([head, x, tail], dim=-1)
    return torch.nn.functional.pad(x, (before - mirrored, after - mirrored))


def _extended_by_length(
    x: Tensor, before: int, after: int, lookahead: int, lengths: Tensor
) -> Tensor:
    """The same for rows (B, rows, T) that end after `lengths` (B,) samples: each goes on at its own
    end. What lies behind is never used.
    """
    frames = x.shape[-1]
    at = torch.arange(-before, frames + after, device=x.device)
    last = lengths[:, None] - 1
    # A point p behind the end takes 2*x[last] - x[2*last - p], one before the start 2*x[0] - x[-p].
    beyond = at > last
    source = torch.where(beyond, 2 * last - at, at.abs())
    distance = torch.where(beyond, at - last, (-at).clamp(min=0))
    held = (distance <= lookahead) & (source >= 0) & (source <= last)
    pivot = torch.where(beyond, last, 0)

    def taken(index: Tensor) -> Tensor:
        index = index.clamp(0, frames - 1)[:, None].expand(-1, x.shape[1], -1)
        return x.gather(-1, index)

    # A sample that is left out may be NaN, which times zero is NaN.
    inside, own = (distance == 0)[:, None], taken(source)
    mirrored = torch.where(inside, own, 2 * taken(pivot) - own)
    return torch.where(held[:, None], mirrored, torch.zeros_like(own))


def convolve(
    x: Tensor,
    taps: Tensor,
    *,
    lookahead: int = 0,
    odd_ends: bool = False,
    lengths: Tensor | None = None,
) -> Tensor:
    """Filter whole signals: y[n] = sum_k taps[k] * x[n + lookahead - k], differentiable in `x` and
    `taps`.

    Parameters
    ----------
    x : Tensor (..., T), real floating
        Through several rows: mono (T,) or (..., 1, T), or stereo (..., 2, T).
    taps : Tensor (numtaps,) or (rows, numtaps), same device as `x`
        Two rows are a pair of ears, four a matrix (`earfilt.synthesis.fir.Fir`).
    lookahead : int >= 0
        Samples by which the output is advanced; 0 is causal.
    odd_ends : bool
        True: `x` goes on at both ends as 2*x[0] - x[k], for `lookahead` samples or as far as it
        goes. Else zeros.
    lengths : Tensor (B,), integers 1 to T, optional
        Of `x` (B, ..., T): where each signal ends.  What lies behind is not looked at, and zero in
        the output.

    Returns
    -------
    Tensor (..., T), dtype of `x`; through several rows (..., 2, T).  Half precision is computed in
    float32.

    Raises
    ------
    ValueError
        If `lookahead` is negative.
    UsageError
        Through several rows: `x` is neither mono nor stereo.
    """
    # inductor has no complex numbers, and working out sizes symbolically takes it minutes
    if torch.compiler.is_compiling():
        filtered: Tensor = torch.compiler.disable(convolve)(
            x, taps, lookahead=lookahead, odd_ends=odd_ends, lengths=lengths
        )
        return filtered
    dtype = torch.promote_types(x.dtype, torch.float32) if x.dtype.itemsize < 4 else x.dtype
    taps = reach(taps.to(dtype), lookahead, odd_ends)
    frames, numtaps, shape = x.shape[-1], taps.shape[-1], x.shape
    if taps.ndim > 1:
        check_ears(x.shape)
        shape = torch.Size((*x.shape[:-2], 2, frames))
    if x.numel() == 0:
        return x.new_zeros(shape)
    keep_memory()
    n_fft = _n_fft_for(frames, numtaps)
    hop = hop_of(numtaps, n_fft)
    segments = -(-frames // hop)
    rows = x.to(dtype).reshape(-1, frames)
    before, after = n_fft - hop - lookahead, lookahead + segments * hop - frames
    mirrored = lookahead if odd_ends else 0
    if lengths is None:
        extended = _extended(rows, before, after, mirrored)
    else:
        lengths = lengths.to(x.device)
        items = rows.reshape(x.shape[0], -1, frames)
        extended = _extended_by_length(items, before, after, mirrored, lengths).flatten(0, 1)
    cut = extended.unfold(-1, n_fft, hop)
    if taps.ndim > 1:
        cut = cut.unflatten(0, (-1, x.shape[-2] if x.ndim > 1 else 1))
    response = torch.fft.rfft(taps, n=n_fft)
    step = per_call(n_fft, rows.shape[0], dtype.itemsize, CALL_BYTES)
    parts = [
        filter_segments(cut[..., at : at + step, :], response, n_fft, hop)
        for at in range(0, segments, step)
    ]
    y = torch.cat(parts, dim=-1)[..., :frames].reshape(shape).to(x.dtype)
    if lengths is None:
        return y
    own = torch.arange(frames, device=x.device) < lengths[:, None]
    return y * own.reshape(len(lengths), *[1] * (y.ndim - 2), frames)


def _n_fft_for(frames: int, numtaps: int) -> int:
    """The usual size, or a smaller one that holds a short signal in a single segment."""
    single = power_of_two(numtaps - 1 + -(-frames // GRAIN) * GRAIN)
    return min(choose_n_fft(numtaps), single)


def multiplied(spectra: Tensor, response: Tensor) -> Tensor:
    """Spectra (..., channels, segments, bins) through a response (bins,), or (rows, bins) of a pair
    or a matrix.
    """
    if response.ndim == 1:
        return spectra * response
    rows = response[:, None]
    if len(rows) == 2:
        return spectra * rows
    stereo = spectra.expand(*spectra.shape[:-3], 2, *spectra.shape[-2:])
    return stereo * rows[[0, 3]] + stereo.flip(-3) * rows[[2, 1]]


def filter_segments(cut: Tensor, response: Tensor, n_fft: int, hop: int) -> Tensor:
    """Overlapping segments (..., channels, segments, n_fft), by a response as of `multiplied` ->
    their part of the output (..., channels, segments * hop).
    """
    y: Tensor = torch.fft.irfft(multiplied(torch.fft.rfft(cut), response), n=n_fft)
    return y[..., n_fft - hop :].flatten(-2)


class Stream:
    """Filter a signal of unknown length block by block; blocks of any sizes give the same samples,
    bit for bit.

    Parameters
    ----------
    taps : Tensor (numtaps,) or (rows, numtaps)
    channels : int >= 1
        Of the blocks; 1 or 2 where there are several rows of taps, which make two of them.
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
    >>> torch.cat([stream.push(torch.ones(3, 1)), stream.push(torch.ones(2, 1)), stream.flush()]).T.round().int()
    tensor([[0, 1, 1, 1, 1]], dtype=torch.int32)
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
        self._n_fft = n_fft or choose_n_fft(padded.shape[-1])
        self._hop = hop_of(padded.shape[-1], self._n_fft)
        self._outputs = channels if taps.ndim == 1 else 2
        self._response = (
            torch.fft.rfft(padded.double(), n=self._n_fft).to(dtype.to_complex()).to(device)
        )
        self._mirrored = lookahead if odd_ends else 0
        self._start = lookahead - (self._n_fft - self._hop)
        self._before = torch.zeros(-self._start, channels, dtype=dtype, device=device)
        # frames still needed, from the absolute frame `at` on
        self._pending, self._at = self._before, self._start

    def push(self, block: Tensor) -> Tensor:
        """Take frames (frames, channels), none or more; give all output that is ready, (frames',
        channels).
        """
        self._pending = torch.cat([self._pending, block.detach().to(self._pending)])
        ready = (len(self._pending) - self._n_fft) // self._hop + 1
        return self._filtered(max(0, ready), None)

    def flush(self) -> Tensor:
        """End the signal: the rest of the output, (frames', channels).  After it, a new signal may
        begin.
        """
        rest = len(self._pending) + self._start
        out = self._filtered(-(-rest // self._hop), self._at + len(self._pending))[:rest]
        self._pending, self._at = self._before, self._start
        return out

    def _filtered(self, count: int, total: int | None) -> Tensor:
        """Filter the next `count` segments, one by one as the FFT's shape is fixed: (count * hop,
        channels).
        """
        out = self._pending.new_empty(count, self._hop, self._outputs)
        for part in out:  # (hop, outputs)
            window = out.new_zeros(self._n_fft, self._pending.shape[1])
            head = self._pending[: self._n_fft]
            window[: len(head)] = head
            extend_ends(window, self._at, total, self._mirrored)
            part.copy_(filter_segments(window.T[:, None], self._response, self._n_fft, self._hop).T)
            self._pending = self._pending[self._hop :]
            self._at += self._hop
        return out.flatten(0, 1)
