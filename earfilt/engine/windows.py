"""Windows of a signal, filtered: frames in, samples of the target out.

A window is some FFT segments with the frames that overlap its neighbours'. How many there are in
one is a question of speed and of patience, never of the result: precision, dither and digital
silence are decided segment by segment, from what that segment holds and from its number. So a file,
a pipe and a stream of blocks give the same bytes, however they were cut.
"""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from functools import cached_property, partial
from threading import local
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt

from earfilt.caches import kept
from earfilt.ears.options import choice
from earfilt.engine.cpu import OverlapSave, Packing, PartitionedConvolution
from earfilt.engine.roundoff import Judged, Rounding
from earfilt.engine.samples import SampleFormat, Samples, Tally, quantise, tpdf
from earfilt.engine.segments import (
    CALL_BYTES,
    LANES,
    LONG,
    as_segments,
    block_within,
    extend_ends,
    order_reached,
    per_call,
    usual_hop,
)
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir

if TYPE_CHECKING:
    from earfilt.directions.moving import MovingFir

__all__ = [
    "Cutting",
    "Filtered",
    "Settings",
    "Window",
    "WindowFilter",
    "Windows",
    "check_size",
    "scaled_taps",
]

# Segments at a signal's beginning (of 4096 samples or more; as long in shorter ones) that are
# filtered in float64 at once where precision is auto: in a short recording, finding out whether
# float32 is enough takes longer than float64 does.
_SHORT = 16
_LARGEST_SEGMENT = 1 << 26  # samples: half a GiB of float64, and twice that while it is filtered

Precision = Literal["auto", "float32", "float64"]
# The name of a dtype is put together anew whenever it is asked for.
_ALONE = {np.dtype(name): frozenset([name]) for name in ("float32", "float64")}
_BOTH = frozenset(["float32", "float64"])


@dataclass(frozen=True)
class Settings:
    """How to filter.

    Parameters
    ----------
    precision : 'auto', 'float32' or 'float64'
        auto: float64 for samples of more than 16 bits; of others float32 where its error stays
        within what `earfilt.engine.roundoff` allows, else float64: each segment by its own samples,
        after the first few, which are not worth the question.
    device : str
    gain : float
        Linear, folded into the taps.
    dither_seed : int, optional
        Adds triangular dither before rounding to an integer target; the same seed gives the same
        bytes.
    keep_tail : bool
        Output longer by the order of the FIR; causal filters only.
    repair : bool
        Read NaN and infinity as 0 instead of raising.
    threads : int >= 1
        Threads that read, filter and write by turns; the calling one waits for them.
    latency : int, optional
        Frames that a segment may have at most, beside the filter's look-ahead. None: as many as are
        filtered fastest.
    live : bool
        A read that gives less than was asked for means that there is no more for now: what is there
        is filtered at once.
    """

    precision: Precision = "auto"
    device: str = "cpu"
    gain: float = 1.0
    dither_seed: int | None = None
    keep_tail: bool = False
    repair: bool = False
    threads: int = 2
    latency: int | None = None
    live: bool = False

    def __post_init__(self) -> None:
        choice("precision", self.precision, get_args(Precision))


@dataclass(frozen=True)
class Window:
    """Input of consecutive segments: arrays of frames, from the absolute frame `at` (negative:
    before the signal) on.

    Parameters
    ----------
    segment : int
        Number of the first one.
    segments : int
        How many.
    total : int or None
        Frames of the signal, once its end was read.
    """

    segment: int
    segments: int
    at: int
    pieces: list[Samples]
    total: int | None


@dataclass(frozen=True)
class Filtered:
    """What became of a window: samples of the target, energy of the new input (and its extremes,
    where `Windows.sees_extremes`), levels of the output, and the precisions of its segments.

    On a device the memory of the samples is used again for the thread's next window.
    """

    samples: Samples
    fresh: Tally
    levels: Tally
    precisions: frozenset[str]


class Cutting:
    """Frames as they come, cut into windows.

    Attributes
    ----------
    end : int
        Frames that came so far.
    """

    def __init__(self, filter: "Windows") -> None:
        self._hop, self._overlap, self._at_once = filter.hop, filter.overlap, filter.at_once
        self._at, self._segment = filter.lookahead - filter.overlap, 0
        self._held: deque[Samples] = deque()  # consecutive frames from max(at, 0) on
        self.end = 0

    def put(self, block: Samples) -> None:
        """Take the next frames (frames, channels)."""
        self._held.append(block)
        self.end += len(block)

    @property
    def ready(self) -> int:
        """Segments of which all frames are there."""
        return max(0, (self.end - self._at - self._overlap) // self._hop)

    @property
    def missing(self) -> int:
        """Frames until a whole window is ready; at most 0 where it is."""
        segments = self._at_once(self._segment)
        return self._at + self._overlap + segments * self._hop - self.end

    def left(self, frames: int) -> int:
        """Segments that are still to come of an output of so many frames."""
        return max(0, -(-frames // self._hop) - self._segment)

    def take(self, segments: int, total: int | None) -> Window:
        """The window of the next segments, so many at most, and forget what no later one needs."""
        segments = min(segments, self._at_once(self._segment))
        window = Window(self._segment, segments, self._at, list(self._held), total)
        self._at, self._segment = self._at + segments * self._hop, self._segment + segments
        _drop(self._held, self.end - max(self._at, 0))
        return window


def _drop(held: deque[Samples], keep: int) -> None:
    """Forget the oldest frames until `keep` are left."""
    excess = sum(map(len, held)) - keep
    while held and excess >= len(held[0]):
        excess -= len(held.popleft())
    if held and excess > 0:
        held[0] = held[0][excess:]


class _Step(Protocol):
    """Convolution of windows; holds no state of a signal."""

    n_fft: int
    hop: int
    overlap: int
    parts: int

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window."""

    def __call__(
        self,
        window: Samples,
        out: Samples,
        *,
        segment: int = 0,
        whole: bool = False,
        rounding: Rounding | None = None,
    ) -> Judged | None:
        """Filter `window` (overlap + segments * hop, channels) into `out` (segments * hop,
        outputs); its first segment has the number `segment`, by which a filter may change.
        """


@kept(8)
def _step(
    fir: Fir,
    scale: float,
    precision: str,
    packing: Packing | None,
    block: int | None,
) -> _Step:
    """The step for a FIR, kept from file to file."""
    if fir.moves:
        from earfilt.engine.moving import MovingStep  # and all that is known of directions

        return MovingStep(cast("MovingFir", fir), scale, precision)
    taps = scaled_taps(fir, scale)
    if block is not None:
        return PartitionedConvolution(taps, dtype=precision, block=block)
    return OverlapSave(taps, dtype=precision, packing=packing)


def scaled_taps(fir: Fir, scale: float) -> npt.NDArray[np.float64]:
    """Taps (numtaps,) or (rows, numtaps) times a factor, with the zeros of `_reach` behind them."""
    taps = np.zeros((*fir.taps.shape[:-1], _reach(fir)))
    np.multiply(fir.taps, scale, out=taps[..., : fir.numtaps])
    return taps


def _reach(fir: Fir) -> int:
    """Taps with the zeros that a window needs, so that it holds all that its ends are mirrored
    from.
    """
    return max(fir.numtaps, order_reached(fir.lookahead, fir.odd_ends) + 1)


def check_size(frames: int, channels: int) -> None:
    """Refuse what takes more memory than any recording is worth: a small file may state any rate, and
    thus length of the filter, and many channels.

    Parameters
    ----------
    frames : int
        Of a segment of input.
    channels : int

    Raises
    ------
    UsageError
        More than 2²⁶ samples in a segment.
    """
    if frames * channels > _LARGEST_SEGMENT:
        raise UsageError(
            f"{channels} channels through a filter of this length take too much memory: "
            f"{frames * channels * 8 / 2**30:.0f} GiB for one segment; at this sampling rate at "
            f"most {_LARGEST_SEGMENT // frames} channels are filtered at once"
        )


class Windows(ABC):
    """What filters of windows have in common, on the CPU or on a device
    (`earfilt.engine.gpu.DeviceFilter`); threads may share one.

    Parameters
    ----------
    fir : Fir
    source, target : SampleFormat
        Integers are rounded half to even and clipped to the target's codes.
    channels : int >= 1
    settings : Settings

    Attributes
    ----------
    outputs : int
        Channels of the output.
    hop, overlap : int
        Output frames of a segment; further input frames that a window needs.
    lookahead, tail : int
        Of the filter; frames that the output is longer than the input.
    least_precision : 'float32' or 'float64'
    sees_extremes : bool
        Whether `Filtered.fresh` tells the extremes of the input too.

    Raises
    ------
    UsageError
        ``tail='keep'`` of a filter with look-ahead; more channels than the filter takes.
    """

    hop: int
    overlap: int
    least_precision: Literal["float32", "float64"]
    sees_extremes = False

    def __init__(
        self,
        fir: Fir,
        source: SampleFormat,
        target: SampleFormat,
        channels: int,
        settings: Settings,
    ) -> None:
        if settings.keep_tail and fir.lookahead:
            raise UsageError(
                f"the filter looks ahead by {fir.lookahead} samples; only a causal one has a "
                "tail to keep"
            )
        self.target, self.channels, self.settings = target, channels, settings
        self.outputs, fir = fir.outputs(channels), fir.routed(channels)
        self.lookahead, self._mirrored = fir.lookahead, fir.lookahead if fir.odd_ends else 0
        self.tail = fir.numtaps - 1 if settings.keep_tail else 0
        self._fir, self._scale = fir, settings.gain * target.codes / source.full_scale
        # What an output hears is its own channel, or all of them.
        self._apart = fir.rows == 1 or (fir.rows == 2 and channels == 2)
        self._set_up(source)

    @abstractmethod
    def _set_up(self, source: SampleFormat) -> None:
        """Make the rest of the attributes, for what is known by now."""

    @abstractmethod
    def at_once(self, segment: int) -> int:
        """How many segments from a number on are filtered fastest in one window, and at most."""

    @abstractmethod
    def __call__(self, window: Window) -> Filtered:
        """Filter one window.  Runs on any thread."""

    def _due(self, window: Window) -> int:
        """Output frames that belong to a window."""
        frames = window.segments * self.hop
        if window.total is None:
            return frames
        return min(frames, window.total + self.tail - window.segment * self.hop)


class WindowFilter(Windows):
    """Filters windows of one signal on the CPU.

    Parameters
    ----------
    fir, source, target, channels, settings
        As of `Windows`.

    Attributes
    ----------
    precision : 'auto', 'float32' or 'float64'
        What 'auto' comes to for these formats.

    Raises
    ------
    UsageError
        As `Windows`; a latency below the shortest block; too many channels (`check_size`).
    """

    def _set_up(self, source: SampleFormat) -> None:
        fir, target, settings = self._fir, self.target, self.settings
        self._block = None if fir.moves else block_within(settings.latency, _reach(fir))
        self.precision = _precision(settings.precision, source, target, self._block)
        if fir.moves and self.precision == "auto":  # the error of ears that change is not bounded
            self.precision = "float64"
        self._own = local()
        self.least_precision = "float64" if self.precision == "float64" else "float32"
        self._first = self._make_step(self.least_precision)
        self._short = 0
        if self.precision == "auto":
            self._short = _SHORT * max(1, 4096 // self._first.n_fft) // self._first.parts
        check_size(self._first.parts * self._first.n_fft, self.channels)
        self.hop, self.overlap = self._first.hop, self._first.overlap
        self._hop = self.hop // self._first.parts  # dither and silence go by the parts of a segment
        itemsize = np.dtype(self.least_precision).itemsize
        size = self._first.parts * self._first.n_fft
        least = LANES // self._first.parts if _reach(fir) <= LONG else 1
        self._segments = max(least, per_call(size, self.outputs, itemsize, CALL_BYTES))

    def at_once(self, segment: int) -> int:
        """How many segments from a number on are filtered fastest in one window, and at most."""
        left = self._short - segment
        return min(self._segments, left) if left > 0 else self._segments

    @cached_property
    def _exact(self) -> _Step:
        """Made where it is needed; twice where two threads come at once, which does no harm."""
        return self._make_step("float64")

    @cached_property
    def _rounding(self) -> Rounding:
        """What decides on the precision of a segment."""
        with np.errstate(over="ignore"):  # an infinite gain lets nothing pass for exact
            gains = self._scale * np.linalg.norm(np.atleast_2d(self._fir.taps), axis=1)
        return Rounding(gains, self.target.is_integer)

    def _make_step(self, precision: str) -> _Step:
        return _step(self._fir, self._scale, precision, self._packing(precision), self._block)

    def _packing(self, precision: str) -> Packing | None:
        """What is filtered as one complex signal: channels that share their taps, where a
        neighbour's rounding noise stays far below the target's least significant bit; of ears that
        differ the halves of a segment, where it may last so long.
        """
        if self._fir.rows > 1:
            most = self.settings.latency
            return "halves" if most is None or 2 * usual_hop(_reach(self._fir)) <= most else None
        fine = precision == "float64" or self.target.bits <= 16
        packs = self.channels % 2 == 0 and self.target.is_integer and fine
        return "channels" if packs else None

    @np.errstate(over="ignore", invalid="ignore")
    def __call__(self, window: Window) -> Filtered:
        """Filter one window.  Runs on any thread."""
        short = window.segment < self._short
        step = self._exact if short else self._first
        checked = self.precision == "auto" and not short
        x = self._laid_out(window, step)
        fresh = Tally(self.channels)
        fresh.weigh(x[0 if window.segment == 0 else step.overlap :])
        extend_ends(x, window.at, window.total, self._mirrored)
        silent = self._silent(x, window.segments)
        finish = partial(self._finish, window, fresh, silent)
        codes = self._room(step, x, window)
        judged = self._run(step, x, codes, window.segment, self._rounding if checked else None)
        if judged is None:
            return finish(codes)
        if judged.fine.all():
            return finish(codes, seen=judged.seen)
        return finish(self._exactly(window, codes, judged.fine), fine=judged.fine)

    def _finish(
        self,
        window: Window,
        fresh: Tally,
        silent: list[tuple[int, int]],
        codes: Samples,
        *,
        fine: npt.NDArray[np.bool_] | None = None,
        seen: Tally | None = None,
    ) -> Filtered:
        """Samples of the target from codes (segments * hop, channels), whose segments were computed
        in float32 where they are `fine`; None: all alike. `seen` are the extremes of all codes.
        """
        # digital silence stays silence, whatever the neighbours' rounding or the dither
        for part, channel in silent:
            codes[part * self._hop : (part + 1) * self._hop, channel] = 0
        due = self._due(window)
        whole = due == len(codes) and not silent
        samples, levels = quantise(codes[:due], self.target, seen if whole else None)
        both = fine is not None and fine.any()
        return Filtered(samples, fresh, levels, _BOTH if both else _ALONE[codes.dtype])

    def _exactly(self, window: Window, codes: Samples, fine: npt.NDArray[np.bool_]) -> Samples:
        """The codes of a window with all segments in float64 that are not fine in float32.

        What lies between two of them is filtered again where that is quicker than another call.
        """
        step, hop = self._exact, self.hop
        x = self._extended(window, step)
        made = self._room(step, x, window)
        for first, last in _joined(_runs(~fine), LANES):
            part = x[first * hop : last * hop + step.overlap]
            # perhaps over its own input: what the next run needs lies behind it
            self._run(step, part, made[first * hop : last * hop], window.segment + first)
        for first, last in _runs(fine):
            made[first * hop : last * hop] = codes[first * hop : last * hop]
        return made

    def _run(
        self,
        step: _Step,
        x: Samples,
        codes: Samples,
        segment: int,
        rounding: Rounding | None = None,
    ) -> Judged | None:
        """Filter `x` into `codes`, dithered and rounded where that is asked for; the first segment
        has the number `segment`. Gives whether this was enough, if that is asked.
        """
        seed = self.settings.dither_seed if self.target.is_integer else None
        whole = self.target.is_integer and seed is None
        judged = step(x, codes, segment=segment, whole=whole, rounding=rounding)
        if seed is not None:
            judged = judged and judged._replace(seen=None)
            first = segment * step.parts
            for index, part in enumerate(codes.reshape(-1, self._hop, self.outputs), first):
                part += tpdf(seed, index, part.shape)
            np.rint(codes, out=codes)
        return judged

    def _silent(self, x: Samples, segments: int) -> list[tuple[int, int]]:
        """Parts of segments of a window and channels of the output that get digital silence alone."""
        count = segments * self._first.parts
        cut = as_segments(x, count, self._hop + self.overlap, self._hop)
        # a few frames show most that are not
        sounding = cut[:, :: max(1, cut.shape[1] // 4)].any(axis=1)
        if sounding.all():
            return []
        silent = [(i, c) for i, c in np.argwhere(~sounding).tolist() if not cut[i, :, c].any()]
        if self._apart:
            return silent
        return [
            (i, c)
            for i in range(count)
            for c in range(self.outputs)
            if all((i, channel) in silent for channel in range(self.channels))
        ]

    def _room(self, step: _Step, x: Samples, window: Window) -> Samples:
        """Where the output of a window goes: over its input `x`, whose memory is still in the cache,
        or beside it where it has more channels.
        """
        frames = window.segments * self.hop
        return x[:frames] if len(x[0]) == self.outputs else self._buffer(step, frames, self.outputs)

    def _laid_out(self, window: Window, step: _Step) -> Samples:
        """The frames of a window in this thread's memory, zeros outside of the signal."""
        x = self._buffer(step, step.overlap + window.segments * step.hop, self.channels)
        _fill(x, max(0, -window.at), window.pieces)
        return x

    def _extended(self, window: Window, step: _Step) -> Samples:
        """The same with the signal's ends mirrored where the filter wants them."""
        x = self._laid_out(window, step)
        extend_ends(x, window.at, window.total, self._mirrored)
        return x

    def _buffer(self, step: _Step, frames: int, channels: int) -> Samples:
        """This thread's array (frames, channels) for a step, reused from window to window."""
        buffers: dict[tuple[int, int], Samples] = self._own.__dict__.setdefault("buffers", {})
        kept = buffers.get((id(step), channels))
        if kept is None or len(kept) < frames:
            kept = buffers[id(step), channels] = step.empty(frames, channels)
        return kept[:frames]


def _precision(
    asked: Precision, source: SampleFormat, target: SampleFormat, block: int | None
) -> Precision:
    """Wide samples are beyond float32 whatever they hold, and so may be the sums of a partitioned
    convolution; of others each segment decides.
    """
    wide = source.is_wide or target.is_wide
    return "float64" if asked == "auto" and (wide or block is not None) else asked


def _fill(x: Samples, position: int, pieces: list[Samples]) -> None:
    """Lay consecutive pieces into the window `x` from a position on; zeros before and behind them."""
    x[:position] = 0
    for piece in pieces:
        part = x[position : position + len(piece)]
        np.copyto(part, piece[: len(part)], casting="unsafe")
        position += len(part)
    x[position:] = 0


def _joined(runs: list[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Runs of which neighbours with so much between them at most are one.

    >>> _joined([(0, 2), (3, 4), (9, 10)], 4)
    [(0, 4), (9, 10)]
    """
    joined = runs[:1]
    for first, last in runs[1:]:
        if first - joined[-1][1] <= gap:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    return joined


def _runs(marks: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last (exclusive) index of each run of marks.

    >>> _runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
