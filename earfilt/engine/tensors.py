"""Convolution of torch tensors by FFT overlap-save: whole signals, differentiable, and streams
(`earfilt.engine.segments` has the idea).

Segments lie on absolute frames, and the FFT of a stream always has the same shape: what comes out
does not depend on how the signal was cut into blocks.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from earfilt.arrays import (
    is_constant,
    is_plain,
    is_watched,
    learns,
    power_of_two,
    unwatched,
)
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
from earfilt.errors import UsageError

__all__ = [
    "FLOATS",
    "Spectra",
    "Stream",
    "check_dense",
    "convolve",
    "filter_segments",
    "is_traced",
    "multiplied",
]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Dtypes that torch calculates with: those of 8 bits and less are for storage."""

CALL_BYTES = 1 << 22  # of spectra in one call: torch's cost more than numpy's
# The same on a device: calls that take longer there than to be launched, of which one holds three
# times as much for a moment, as an FFT library copies what it reads.
DEVICE_CALL_BYTES = 1 << 25
PLANS = 16  # shapes of signals that are kept in mind
DIRECT = 2048  # taps up to which a recorded program has no FFT


class Spectra:
    """Taps, and their spectra at the FFT sizes that are met, which are kept: for taps that stay.

    Parameters
    ----------
    taps : Tensor (numtaps,) or (rows, numtaps)
    """

    def __init__(self, taps: Tensor) -> None:
        self.taps, self.numtaps, self._stays = taps, taps.shape[-1], is_constant(taps)
        self._kept: dict[tuple[int, torch.dtype, torch.device], Tensor] = {}
        self._plans: dict[Any, _Plan] = {}

    def planned(self, x: Tensor, lookahead: int, odd_ends: bool) -> Tensor | None:
        """What `convolve` makes of `x`, where it has made a plan for such signals."""
        plan = self._plans.get((x.shape, x.dtype, x.device, lookahead, odd_ends))
        return plan(x) if plan is not None and is_constant(x) else None

    def plan(self, x: Tensor, segments: "_Segments") -> None:
        """Make a plan for signals such as `x`, where it holds for all of them."""
        if not self._stays or self.taps.ndim > 1 or x.dtype != segments.dtype or not is_plain():
            return
        if is_watched() or type(x) not in (Tensor, torch.nn.Parameter):
            return  # what is kept would be of the same kind
        if len(self._plans) == PLANS:
            self._plans = {}
        key = (x.shape, x.dtype, x.device, segments.lookahead, segments.odd_ends)
        with torch.inference_mode(False):
            self._plans[key] = _Plan.of(
                x, segments, self.at(segments.n_fft, segments.dtype, x.device)
            )

    def at(self, n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Response (..., n_fft // 2 + 1) for signals of a dtype on a device, divided by n_fft, which
        the inverse transform then need not do.
        """
        if not self._stays:
            return self.made(n_fft, dtype, device)
        key = (n_fft, dtype, device)
        kept = self._kept.get(key)
        if kept is None:
            # for calls of any mode
            with torch.inference_mode(False), torch.no_grad(), self._kept_apart():
                made = self.made(n_fft, dtype, device)
            if is_traced() or not is_constant(made):
                return made
            kept = self._kept[key] = made
        return kept

    def _kept_apart(self) -> AbstractContextManager[None]:
        return nullcontext() if is_traced() else unwatched()

    def made(self, n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The same, made anew."""
        taps = self.taps.to(working_dtype(self.taps.dtype))
        return torch.fft.rfft(taps, n=n_fft, norm="forward").to(device, dtype.to_complex())


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of the arithmetic for signals of a dtype: that, or float32 for half precision."""
    return dtype if dtype.itemsize >= 4 else torch.float32


def check_dense(name: str, x: Tensor) -> None:
    """Refuse a tensor that is sparse, nested or of another layout with a UsageError; until then its
    shape may not be looked at.
    """
    if x.is_nested or x.layout is not torch.strided:
        layout = "nested" if x.is_nested else x.layout
        raise UsageError(f"the layout of {name} is {layout}; only dense tensors are taken")


def is_traced() -> bool:
    """Whether operations are recorded for another program (`torch.export`, ONNX,
    `torch.jit.trace`), which will meet other numbers of frames.
    """
    return torch.compiler.is_exporting() or torch.jit.is_tracing()


def _extended(x: Tensor, before: int, after: int, mirrored: int) -> Tensor:
    """`x` (..., T) with `before` and `after` samples added: `mirrored` < T oddly, zeros beyond."""
    return _joined(_pieces(x, before, after, mirrored), before, after)


def _joined(pieces: list[Tensor], before: int, after: int) -> Tensor:
    # one copy, where padding what was joined would be two
    if len(pieces) > 1:
        return torch.cat(pieces, dim=-1)
    return torch.nn.functional.pad(pieces[0], (before, after))


def _pieces(x: Tensor, before: int, after: int, mirrored: int) -> list[Tensor]:
    """What `x` (..., T) is extended with, in order, and `x` in the midst of it; `x` alone where
    that is zeros.
    """
    if mirrored <= 0:
        return [x]
    head, tail = _mirrored_ends(x, mirrored)
    zeros = x.new_zeros(*x.shape[:-1], max(before, after) - mirrored)
    first, last = (zeros[..., : width - mirrored] for width in (before, after))
    return [first, head, x, tail, last]


def _mirrored_ends(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`count` < T samples that go before `x` (..., T), and those that go behind it, mirrored oddly.

    What a mirrored sample r becomes at a pivot p is r + 2 (p - r) = 2 p - r.
    """
    apart = x.shape[-1] - 2 - count
    if not is_traced() and apart > 0:  # both at once: a device is told of less
        both = x[..., 1:-1].unfold(-1, count, apart).flip(-1)
        head, tail = torch.lerp(both, x[..., :: x.shape[-1] - 1, None], 2.0).unbind(-2)
        return head, tail
    return (
        torch.lerp(x[..., 1 : count + 1].flip(-1), x[..., :1], 2.0),
        torch.lerp(x[..., -count - 1 : -1].flip(-1), x[..., -1:], 2.0),
    )


def _extended_by_length(x: Tensor, before: int, after: int, lookahead: int, ends: Tensor) -> Tensor:
    """The same for rows (rows, channels, T) that end after `ends` (rows,) samples: each goes on at
    its own end. What lies behind is never used.
    """
    frames = x.shape[-1]
    at = torch.arange(-before, frames + after, device=x.device)
    last = ends[:, None, None] - 1
    # A point p behind the end takes 2*x[last] - x[2*last - p], one before the start 2*x[0] - x[-p].
    beyond = at > last
    source = torch.where(beyond, 2 * last - at, at.abs())
    distance = torch.where(beyond, at - last, (-at).clamp(min=0))
    held = (distance <= lookahead) & (source >= 0) & (source <= last)

    def taken(index: Tensor) -> Tensor:
        return x.gather(-1, index.expand(-1, x.shape[1], -1))

    own = taken(source.clamp(0, frames - 1))
    pivot = torch.where(beyond, taken(last), x[..., :1])
    # A sample that is left out may be NaN, which times zero is NaN.
    mirrored = torch.where(distance == 0, own, 2 * pivot - own)
    return torch.where(held, mirrored, torch.zeros_like(own))


def convolve(
    x: Tensor,
    taps: Tensor | Spectra,
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
    taps : Tensor (numtaps,) or (rows, numtaps), same device as `x`; or Spectra
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
    traced = is_traced()
    if torch.compiler.is_compiling() and not traced:
        filtered: Tensor = torch.compiler.disable(convolve)(
            x, taps, lookahead=lookahead, odd_ends=odd_ends, lengths=lengths
        )
        return filtered
    spectra = taps if isinstance(taps, Spectra) else Spectra(taps)
    if lengths is None and not traced:
        planned = spectra.planned(x, lookahead, odd_ends)
        if planned is not None:
            return planned
    reached = order_reached(lookahead, odd_ends) + 1
    if traced:
        if lengths is not None:
            raise UsageError("lengths cannot be exported; leave them out")
        return _recorded(x, spectra, lookahead, odd_ends)
    numtaps, frames = max(spectra.numtaps, reached), x.shape[-1]
    shape, channels = x.shape, 1
    if spectra.taps.ndim > 1:
        check_ears(x.shape)
        shape = torch.Size((*x.shape[:-2], 2, frames))
        channels = x.shape[-2] if x.ndim > 1 else 1
    if x.numel() == 0:
        # no signals, but what comes before them learns of it
        some = x if spectra.taps.ndim == 1 else x[..., :1, :]
        return some.expand(shape) + 0 * spectra.taps.sum().to(x)
    keep_memory()
    segments = _segments_for(frames, numtaps, lookahead, odd_ends, working_dtype(x.dtype))
    rows, ends = x.reshape(-1, channels, frames), None
    if lengths is not None:
        lengths = lengths.to(x.device)
        ends = lengths.reshape(-1, 1).expand(-1, x[0].numel() // (channels * frames)).flatten()
    elif _by_hand(x, spectra.taps) and segments.fit(rows):
        learned: Tensor = _Learned.apply(spectra.taps, rows, segments)
        return learned.reshape(shape)
    elif segments.fit(rows):
        spectra.plan(x, segments)
    response = spectra.at(segments.n_fft, segments.dtype, x.device)
    y = segments.in_parts(rows, response, ends).reshape(shape)
    if lengths is None:
        return y
    own = torch.arange(frames, device=x.device) < lengths[:, None]
    return y * own.reshape(len(lengths), *[1] * (y.ndim - 2), frames)


def _recorded(x: Tensor, spectra: Spectra, lookahead: int, odd_ends: bool) -> Tensor:
    """`convolve` as a program that is recorded, through any rows of taps."""
    taps, numtaps = spectra.taps, spectra.numtaps
    if taps.ndim == 1:
        return _for_any_length(x, taps, numtaps, lookahead, odd_ends)
    check_ears(x.shape)
    left, right = (x, x) if x.ndim == 1 else (x[..., 0, :], x[..., -1, :])

    def through(signal: Tensor, row: int) -> Tensor:
        return _for_any_length(signal, taps[row], numtaps, lookahead, odd_ends)

    if len(taps) == 2:
        return torch.stack([through(left, 0), through(right, 1)], -2)
    crossed = (through(right, 2), through(left, 1))
    return torch.stack([through(left, 0) + crossed[0], through(right, 3) + crossed[1]], -2)


def _for_any_length(
    x: Tensor, taps: Tensor, numtaps: int, lookahead: int, odd_ends: bool
) -> Tensor:
    """`convolve` as a program that is recorded once and runs on signals of any length: nothing
    follows from the number of frames but by sums. Short filters without FFT, which not every
    runtime has; long ones by one FFT of the whole signal, whose length may have large factors: in
    float64, as float32 would lose digits.
    """
    frames = x.shape[-1]
    direct = numtaps <= DIRECT
    dtype = working_dtype(x.dtype) if direct else torch.float64
    taps = taps.to(x.device, dtype)
    mirrored = lookahead if odd_ends else 0  # of signals that are longer
    rows = x.reshape(-1, frames).to(dtype)
    if direct:
        extended = _extended(rows, numtaps - 1 - lookahead, lookahead, mirrored)
        y = torch.nn.functional.conv1d(extended[:, None], taps.flip(-1)[None, None])[:, 0]
    else:
        before = max(numtaps - 1 - lookahead, mirrored)
        extended = _extended(rows, before, lookahead, mirrored)
        padded = torch.cat([taps, torch.zeros_like(extended[0, numtaps:])])
        # Complex, since a runtime of ONNX fails at real ones of odd length; the first numtaps - 1
        # samples wrap around and are dropped.
        y = torch.fft.ifft(torch.fft.fft(extended) * torch.fft.fft(padded)).real
        y = y[:, before + lookahead :]
    return y.reshape(x.shape).to(x.dtype)


class _Segments(NamedTuple):
    """Overlap-save of whole signals (rows, channels, T), each extended at its ends.

    A response is as of `multiplied`, divided by n_fft.

    Parameters
    ----------
    n_fft, hop, lookahead : int
    odd_ends : bool
    dtype : torch.dtype
        Of the arithmetic.
    """

    n_fft: int
    hop: int
    lookahead: int
    odd_ends: bool
    dtype: torch.dtype

    def whole(self, rows: Tensor, response: Tensor, ends: Tensor | None = None) -> Tensor:
        """All rows, filtered in one call: one FFT, one product, one inverse FFT."""
        cut = self._cut(self._extended_rows(rows, ends)(None))
        filtered = filter_segments(cut, response, self.n_fft, self.hop)
        return filtered.flatten(-2)[..., : rows.shape[-1]].to(rows.dtype)

    def spectra_of(self, rows: Tensor) -> Tensor:
        """Spectra of all segments of rows: (rows, channels, segments, bins)."""
        spectra: Tensor = torch.fft.rfft(self._cut(self._extended_rows(rows, None)(None)))
        return spectra

    def filtered(self, spectra: Tensor, response: Tensor, like: Tensor) -> Tensor:
        """What `whole` makes of rows with such spectra, in the shape and dtype of `like`."""
        y = _inverse(spectra * response, self.n_fft, self.hop)
        return y.flatten(-2)[..., : like.shape[-1]].to(like.dtype)

    def response_of(self, taps: Tensor, device: torch.device) -> Tensor:
        """The response of taps."""
        return Spectra(taps).made(self.n_fft, self.dtype, device)

    def taps_gradient(self, gradient: Tensor, spectra: Tensor, numtaps: int) -> Tensor:
        """Gradient (numtaps,) of the one row of taps, from that of the output (rows, 1, T) and the
        spectra of the input: their correlation.
        """
        segments, frames = spectra.shape[-2], gradient.shape[-1]
        pad = torch.nn.functional.pad
        cut = pad(gradient.to(self.dtype), (0, segments * self.hop - frames))
        # not by `unflatten`, for which batched gradients have no rule
        cut = cut.reshape(*cut.shape[:-1], segments, self.hop)
        cut = pad(cut, (self.n_fft - self.hop, 0))
        correlation = (torch.fft.rfft(cut) * spectra.conj()).sum((0, 1, 2))
        return torch.fft.irfft(correlation, self.n_fft)[:numtaps]

    def _at_once(self, rows: Tensor) -> tuple[int, int]:
        """How many rows, and how many segments of a row, memory allows in one call."""
        call_bytes = CALL_BYTES if rows.device.type == "cpu" else DEVICE_CALL_BYTES
        step = per_call(self.n_fft, rows.shape[1], self.dtype.itemsize, call_bytes)
        return max(1, step // -(-rows.shape[2] // self.hop)), step

    def fit(self, rows: Tensor) -> bool:
        """Whether memory allows them in one call."""
        at_once, step = self._at_once(rows)
        return len(rows) <= at_once and -(-rows.shape[2] // self.hop) <= step

    def in_parts(self, rows: Tensor, response: Tensor, ends: Tensor | None) -> Tensor:
        """The same in as few calls as memory allows: of several rows, or of parts of one row."""
        if self.fit(rows):
            return self.whole(rows, response, ends)
        count, channels, frames = rows.shape
        segments = -(-frames // self.hop)
        at_once, step = self._at_once(rows)
        portions = [slice(at, at + at_once) for at in range(0, count, at_once)]
        extended = self._extended_rows(rows, ends)
        parts = (
            self._row_parts(partial(extended, some), response, segments, step) for some in portions
        )
        if not (is_constant(rows) and is_constant(response)):
            whole = [torch.cat(list(part), -2).flatten(-2)[..., :frames] for part in parts]
            return torch.cat(whole).to(rows.dtype)
        # written where it belongs: nothing is held twice
        out = rows.new_empty(count, channels if response.ndim == 1 else 2, frames)
        for some, part in zip(portions, parts, strict=True):
            start = 0
            for y in part:
                _write(y, out[some, :, start:])
                start += y.shape[-2] * self.hop
                del y  # before the next one is made
        return out

    def _row_parts(
        self, extended: Callable[[], Tensor], response: Tensor, segments: int, step: int
    ) -> Iterator[Tensor]:
        """Segments of the output of some rows, (rows, outputs, segments, hop), so many at once."""
        if segments <= step:  # whose input is given back once it was read
            yield filter_segments(self._cut(extended()), response, self.n_fft, self.hop)
            return
        cut = self._cut(extended())
        for at in range(0, cut.shape[-2], step):
            some = cut[..., at : at + step, :]
            yield filter_segments(some, response, self.n_fft, self.hop)

    def ends(self, frames: int) -> tuple[tuple[int, int], int]:
        """How many samples are added before and after so many frames, and how many of them are
        mirrored.
        """
        # Behind the end stands as much as the last segment may need, whatever the number of frames:
        # sizes that follow from it by whole segments cannot be traced.
        widths = self.n_fft - self.hop - self.lookahead, self.hop - 1 + self.lookahead
        return widths, min(self.lookahead, frames - 1) if self.odd_ends else 0

    def _extended_rows(self, rows: Tensor, ends: Tensor | None) -> Callable[[slice | None], Tensor]:
        """What gives some of the rows (rows, channels, T), or all, extended at their ends."""
        (before, after), mirrored = self.ends(rows.shape[-1])
        wide = rows.to(self.dtype)
        # of all rows at once
        pieces = [wide] if ends is not None else _pieces(wide, before, after, mirrored)

        def extended(some: slice | None) -> Tensor:
            own = pieces if some is None else [piece[some] for piece in pieces]
            if ends is not None:
                its = ends if some is None else ends[some]
                reached = self.lookahead if self.odd_ends else 0
                return _extended_by_length(own[0], before, after, reached, its)
            return _joined(own, before, after)

        return extended

    def _cut(self, extended: Tensor) -> Tensor:
        """All segments of extended rows, as a view: (rows, channels, segments, n_fft)."""
        return extended.unfold(-1, self.n_fft, self.hop)


class _Plan(NamedTuple):
    """How constant signals (..., T) of one shape go through one row of taps that stay, in one call:
    a device filters short ones sooner than Python could work this out again.
    """

    segments: _Segments
    response: Tensor
    frames: int
    widths: tuple[int, int]
    mirrored: int
    zeros: tuple[Tensor, Tensor] | None  # beyond what is mirrored

    @classmethod
    def of(cls, x: Tensor, segments: _Segments, response: Tensor) -> Self:
        """For signals of the shape, dtype and device of `x`."""
        widths, mirrored = segments.ends(x.shape[-1])
        zeros = None
        if mirrored:
            first, last = (x.new_zeros(*x.shape[:-1], width - mirrored) for width in widths)
            zeros = first, last
        return cls(segments, response, x.shape[-1], widths, mirrored, zeros)

    def __call__(self, x: Tensor) -> Tensor:
        if self.zeros is None:
            extended = torch.constant_pad_nd(x, self.widths)
        else:
            head, tail = _mirrored_ends(x, self.mirrored)
            extended = torch.cat((self.zeros[0], head, x, tail, self.zeros[1]), -1)
        n_fft, hop = self.segments.n_fft, self.segments.hop
        # As `filter_segments`, which first asks what is known here: that is a tenth of a short call.
        spectra = torch.fft.rfft(extended.unfold(-1, n_fft, hop))
        y = _inverse(spectra.mul_(self.response), n_fft, hop)
        return y.flatten(-2)[..., : self.frames]


@lru_cache(maxsize=256)
def _segments_for(
    frames: int, numtaps: int, lookahead: int, odd_ends: bool, dtype: torch.dtype
) -> _Segments:
    """For signals of so many frames: the usual size of FFT, or a smaller one that holds a short
    signal in a single segment.
    """
    single = power_of_two(numtaps - 1 + -(-frames // GRAIN) * GRAIN)
    n_fft = min(choose_n_fft(numtaps), single)
    return _Segments(n_fft, hop_of(numtaps, n_fft), lookahead, odd_ends, dtype)


def multiplied(spectra: Tensor, response: Tensor) -> Tensor:
    """Spectra (..., channels, segments, bins) through a response (bins,), or (rows, bins) of a pair
    or a matrix.
    """
    if response.ndim == 1:
        if is_constant(spectra) and is_constant(response):
            return spectra.mul_(response)
        return spectra * response
    rows = response[:, None]
    if len(rows) == 2:
        return spectra * rows
    stereo = spectra.expand(*spectra.shape[:-3], 2, *spectra.shape[-2:])
    direct, crossed = (torch.stack([rows[a], rows[b]]) for a, b in ((0, 3), (2, 1)))
    return stereo * direct + stereo.flip(-3) * crossed


def filter_segments(cut: Tensor, response: Tensor, n_fft: int, hop: int) -> Tensor:
    """Overlapping segments (..., channels, segments, n_fft), by a response as of `multiplied`,
    divided by n_fft -> their part of the output (..., outputs, segments, hop), as a view.
    """
    spectra = multiplied(torch.fft.rfft(cut), response)
    del cut  # memory that is given back now where the caller does not hold it
    return _inverse(spectra, n_fft, hop)


def _inverse(spectra: Tensor, n_fft: int, hop: int) -> Tensor:
    y: Tensor = torch.fft.irfft(spectra, n=n_fft, norm="forward")
    return y[..., n_fft - hop :]


def _by_hand(x: Tensor, taps: Tensor) -> bool:
    """Whether one row of taps alone is differentiated."""
    return taps.ndim == 1 and learns(taps) and is_constant(x)


class _Learned(torch.autograd.Function):
    """Rows (rows, 1, T) through taps that learn, with the gradient worked out by hand: what a device
    is told of it is a third less than of the gradient that follows the operations backwards.
    """

    @staticmethod
    def forward(ctx: Any, taps: Tensor, rows: Tensor, segments: _Segments) -> Tensor:
        spectra = segments.spectra_of(rows)
        ctx.save_for_backward(taps, spectra)
        ctx.segments = segments
        return segments.filtered(spectra, segments.response_of(taps, rows.device), rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        taps, spectra = ctx.saved_tensors
        segments: _Segments = ctx.segments
        if torch.is_grad_enabled():  # it is to be differentiated once more
            y = segments.filtered(spectra, segments.response_of(taps, spectra.device), gradient)
            (plain,) = torch.autograd.grad(y, taps, gradient, create_graph=True)
            return plain, None, None
        return segments.taps_gradient(gradient, spectra, len(taps)).to(taps), None, None


def _write(segments: Tensor, out: Tensor) -> None:
    """Lay segments (..., segments, hop) side by side into `out` (..., frames), as far as it goes."""
    *_, count, hop = segments.shape
    whole = min(count, out.shape[-1] // hop)
    out[..., : whole * hop].unflatten(-1, (whole, hop)).copy_(segments[..., :whole, :])
    if whole < count:
        rest = out[..., whole * hop :]
        rest.copy_(segments[..., whole, : rest.shape[-1]])


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
        numtaps = max(taps.shape[-1], order_reached(lookahead, odd_ends) + 1)
        self._outputs = channels if taps.ndim == 1 else 2
        self._n_fft = n_fft or choose_n_fft(numtaps)
        self._hop = hop_of(numtaps, self._n_fft)
        self._response = Spectra(taps.detach().double()).at(
            self._n_fft, dtype, torch.device(device)
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
            y = filter_segments(window.T[:, None], self._response, self._n_fft, self._hop)
            part.copy_(y[:, 0].T)
            self._pending = self._pending[self._hop :]
            self._at += self._hop
        return out.flatten(0, 1)
