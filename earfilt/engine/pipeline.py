"""The engine for one file: read, filter and write at the same time.

Each thread takes turns: it reads the next window of the input, filters it while another thread
reads, and writes its result when all before it are written.  So there are no more threads than
cores, no queues, and at most one window per thread in memory.  A window is a group of FFT segments
with the frames that overlap its neighbours'; groups lie on absolute frames and their shape follows
from the length of the signal, so that samples depend on source, filter and precision alone: not on
how reads were cut, on the number of threads, or on load.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Condition, Lock, Thread, local
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from earfilt.engine import roundoff
from earfilt.engine.cpu import Output, OverlapSave
from earfilt.engine.roundoff import largest_error, segment_rms
from earfilt.engine.samples import (
    BeyondRangeError,
    Levels,
    SampleFormat,
    Samples,
    Tally,
    quantise,
    tpdf,
)
from earfilt.engine.segments import CALL_BYTES, extend_ends, keep_memory, order_reached, per_call
from earfilt.errors import AudioError, UsageError
from earfilt.synthesis.fir import Fir

__all__ = ["BeyondRangeError", "Levels", "NonFiniteError", "SampleFormat", "Settings", "run"]

READ = 1 << 16  # frames read at a time: their extremes are taken while they are in the cache
PATIENCE = 3.0  # seconds for a thread to end after an interruption
DEVICE_CALL_BYTES = 1 << 26  # of spectra in one call on a GPU: enough to fill it

Read = Callable[[int], Samples]
Write = Callable[[Samples], None]


class NonFiniteError(AudioError):
    """NaN or infinity among the samples; `channel` and `frame` (both from 0) say where the first
    one is.
    """

    def __init__(self, channel: int, frame: int, value: float) -> None:
        super().__init__(
            f"sample of channel {channel}, frame {frame} is {value}; use --repair to read "
            "such samples as 0"
        )
        self.channel, self.frame = channel, frame


@dataclass(frozen=True)
class Settings:
    """How to filter.

    Parameters
    ----------
    precision : 'auto', 'float32' or 'float64'
        auto: float64 where source or target is wide; of others float32 where its error stays within
        what `earfilt.engine.roundoff` allows, else float64: each group by its own samples.
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
    """

    precision: Literal["auto", "float32", "float64"] = "auto"
    device: str = "cpu"
    gain: float = 1.0
    dither_seed: int | None = None
    keep_tail: bool = False
    repair: bool = False
    threads: int = 2


@dataclass(frozen=True)
class _Window:
    """Input of one group: consecutive arrays of frames, from the absolute frame `at` (negative:
    before the signal) on.
    """

    index: int
    at: int
    pieces: list[Samples]
    total: int | None  # frames of the signal, once its end was read


@dataclass(frozen=True)
class _Group:
    """What a worker made of a window: samples of the target, energy of the new input, levels of the
    output, and the precision.
    """

    index: int
    samples: Samples
    fresh: Tally
    levels: Tally
    precision: str


class _Step(Protocol):
    """Overlap-save on some device; holds no state of a signal."""

    n_fft: int
    hop: int
    overlap: int
    packed: bool

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window."""

    def __call__(self, window: Samples, out: Samples, *, whole: bool = False) -> Output:
        """Filter `window` (overlap + segments * hop, channels) into `out` (segments * hop,
        channels).
        """


@lru_cache(maxsize=8)
def _step(fir: Fir, scale: float, precision: str, packed: bool, device: str) -> _Step:
    """The step for a FIR, kept from file to file."""
    taps = np.zeros(max(fir.numtaps, order_reached(fir.lookahead, fir.odd_ends) + 1))
    np.multiply(fir.taps, scale, out=taps[: fir.numtaps])
    if device == "cpu":
        return OverlapSave(taps, dtype=precision, packed=packed)
    from earfilt.engine.gpu import DeviceStep

    return DeviceStep(taps, dtype=precision, device=device)


class _Job:
    """Everything the workers share, fixed for one file."""

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
        self.source, self.target, self.channels, self.settings = source, target, channels, settings
        exact = settings.precision == "auto" and (source.is_wide or target.is_wide)
        self.precision = "float64" if exact else settings.precision
        self.lookahead, self.mirrored = fir.lookahead, fir.lookahead if fir.odd_ends else 0
        self.tail = fir.numtaps - 1 if settings.keep_tail else 0
        self.own = local()
        self.fir, self.scale = fir, settings.gain * target.codes / source.full_scale
        with np.errstate(over="ignore"):  # an infinite one lets nothing pass for exact
            self.white_gain = self.scale * float(np.linalg.norm(fir.taps))
        first = self.own_precision = "float64" if self.precision == "float64" else "float32"
        self.step = self._make_step(first)
        self.exact: _Step | None = None  # made where it is needed
        call_bytes = CALL_BYTES if settings.device == "cpu" else DEVICE_CALL_BYTES
        self.segments = per_call(self.step.n_fft, channels, np.dtype(first).itemsize, call_bytes)
        self.frames = self.segments * self.step.hop

    def _make_step(self, precision: str) -> _Step:
        device = self.settings.device
        if precision == "float64" and device.startswith("mps"):  # which has no such numbers
            device = "cpu"
        return _step(self.fir, self.scale, precision, self._packs(precision), device)

    def _packs(self, precision: str) -> bool:
        """Whether a neighbour's rounding noise stays far below the target's least significant bit."""
        fine = precision == "float64" or self.target.bits <= 16
        return (
            self.settings.device == "cpu"
            and self.channels % 2 == 0
            and self.target.is_integer
            and fine
        )

    def windows(self, read: Read) -> Iterator[_Window]:
        """Cut what is read into overlapping windows, until every output frame has its group."""
        at, index = self.lookahead - self.step.overlap, 0
        held: deque[Samples] = deque()  # consecutive frames from max(at, 0) on
        end, total = 0, None
        while True:
            missing = at + self.step.overlap + self.frames - end
            while total is None and missing > 0:
                block = read(min(missing, READ))
                held.append(block)
                end, missing = end + len(block), missing - len(block)
                total = None if len(block) else end
            if total is not None and index * self.frames >= total + self.tail:
                return
            yield _Window(index, at, list(held), total)
            at, index = at + self.frames, index + 1
            _drop(held, end - max(at, 0))

    @np.errstate(over="ignore", invalid="ignore")
    def filter(self, window: _Window) -> _Group:
        """Filter one window: samples of the target, and their levels.  Runs on any thread."""
        group = self._filter(window, self.step, checked=self.precision == "auto")
        if group is None:
            if self.exact is None:  # twice where two threads come at once, which does no harm
                self.exact = self._make_step("float64")
            group = self._filter(window, self.exact, checked=False)
        assert group is not None
        return group

    def _filter(self, window: _Window, step: _Step, *, checked: bool) -> _Group | None:
        """The same by one step; None where it is checked, and its error might show."""
        due = self._due(window)
        # of the last group as few as its frames allow, decided by the length alone
        segments = -(-due // step.hop)
        x = self._buffer(step, step.overlap + segments * step.hop)
        _fill(x, max(0, -window.at), window.pieces)
        fresh = Tally(self.channels)
        fresh.weigh(x[0 if window.index == 0 else step.overlap :])
        silent = [c for c in range(self.channels) if fresh.energy[c] == 0 and not x[:, c].any()]
        noise = self._noise(window.index)
        extend_ends(x, window.at, window.total, self.mirrored)
        x_rms = segment_rms(x, step.n_fft, step.hop) if checked else None
        if x_rms is not None and not self._error(step, x_rms, 0.0, 0.0) <= self._allowed(math.inf):
            return None
        # written over the input, whose memory is still in the cache
        codes = x[: segments * step.hop]
        out = step(x, codes, whole=self.target.is_integer and noise is None)
        if x_rms is not None and not np.isfinite(out.rms).all():
            return None
        codes = codes[:due]
        if noise is not None:
            codes += noise[:due]
            np.rint(codes, out=codes)
        # digital silence stays silence, whatever the neighbours' rounding or the dither
        for channel in silent:
            codes[:, channel] = 0
        samples, levels = quantise(codes, self.target)
        if x_rms is not None:
            peak = float(levels.peak.max())
            if not self._error(step, x_rms, out.rms, max(peak, out.dropped)) <= self._allowed(peak):
                return None
        return _Group(window.index, samples, fresh, levels, codes.dtype.name)

    def _error(
        self,
        step: _Step,
        x_rms: npt.NDArray[np.float64],
        y_rms: npt.NDArray[np.float64] | float,
        y_peak: float,
    ) -> float:
        """Largest error that float32 arithmetic may make, in units of the target's codes."""
        return largest_error(
            x_rms, y_rms, y_peak, gain=self.white_gain, n_fft=step.n_fft, packed=step.packed
        )

    def _allowed(self, peak: float) -> float:
        """How large it may be, where the output reaches a peak."""
        return roundoff.CODE if self.target.is_integer else roundoff.RELATIVE * peak

    def _noise(self, index: int) -> Samples | None:
        """Dither for a group, if it is asked for and the target is rounded."""
        seed = self.settings.dither_seed
        if seed is None or not self.target.is_integer:
            return None
        return tpdf(seed, index, (self.frames, self.channels))

    def _buffer(self, step: _Step, frames: int) -> Samples:
        """This thread's array (frames, channels) for a step, reused from window to window."""
        buffers: dict[int, Samples] = self.own.__dict__.setdefault("buffers", {})
        kept = buffers.get(id(step))
        if kept is None or len(kept) < frames:
            kept = buffers[id(step)] = step.empty(frames, self.channels)
        return kept[:frames]

    def _due(self, window: _Window) -> int:
        """Output frames that belong to a window."""
        if window.total is None:
            return self.frames
        return min(self.frames, window.total + self.tail - window.index * self.frames)


def _fill(x: Samples, position: int, pieces: list[Samples]) -> None:
    """Lay consecutive pieces into the window `x` from a position on; zeros before and behind them."""
    x[:position] = 0
    for piece in pieces:
        part = x[position : position + len(piece)]
        np.copyto(part, piece[: len(part)], casting="unsafe")
        position += len(part)
    x[position:] = 0


def _drop(held: deque[Samples], keep: int) -> None:
    """Forget the oldest frames until `keep` are left."""
    excess = sum(map(len, held)) - keep
    while held and excess >= len(held[0]):
        excess -= len(held.popleft())
    if held and excess > 0:
        held[0] = held[0][excess:]


class _Source:
    """The reader, watched: extremes of what it gives, and NaN or infinity, which are refused or
    read as 0.
    """

    def __init__(self, read: Read, channels: int, repair: bool) -> None:
        self.read, self.repair = read, repair
        self.tally, self.frames, self.repaired = Tally(channels), 0, 0

    def __call__(self, frames: int) -> Samples:
        block = np.ascontiguousarray(self.read(frames))
        if not len(block):
            return block
        seen = Tally(self.tally.channels)
        seen.see(block)
        if not np.isfinite(seen.peak).all():
            block = self._repaired(block)
            seen = Tally(self.tally.channels)
            seen.see(block)
        self.tally.add(seen)
        self.frames += len(block)
        return block

    def _repaired(self, block: Samples) -> Samples:
        bad = ~np.isfinite(block)
        if not self.repair:
            frame, channel = np.argwhere(bad)[0]
            raise NonFiniteError(
                int(channel), self.frames + int(frame), float(block[frame, channel])
            )
        self.repaired += int(np.count_nonzero(bad))
        return np.where(bad, block.dtype.type(0), block)


class _Sink:
    """Writes the groups in their order, and adds up their levels; `take` may be called from any
    thread.
    """

    def __init__(self, write: Write, channels: int) -> None:
        self.write = write
        self.fresh, self.levels, self.frames = Tally(channels), Tally(channels), 0
        self.precisions: set[str] = set()
        self.failure: BaseException | None = None
        self._next, self._turn = 0, Condition()

    def take(self, group: _Group) -> None:
        """Wait for the group's turn and write it, unless something failed before it."""
        with self._turn:
            self._turn.wait_for(lambda: self.failure or self._next == group.index)
            if self.failure:
                return
        self.put(group)  # beside the lock: `fail` must not wait for a pipe that nobody reads
        with self._turn:
            self._next += 1
            self._turn.notify_all()

    def put(self, group: _Group) -> None:
        """Write the next group."""
        self.write(group.samples)
        self.fresh.add(group.fresh)
        self.levels.add(group.levels)
        self.frames += len(group.samples)
        self.precisions.add(group.precision)

    def fail(self, failure: BaseException) -> None:
        """Let nothing more be written; the first failure is kept."""
        self.failure = self.failure or failure
        with self._turn:
            self._turn.notify_all()


class _Crew:
    """Threads that each read the next window, filter it, and write it when its turn comes."""

    def __init__(self, job: _Job, source: _Source, sink: _Sink) -> None:
        self.job, self.sink = job, sink
        self.windows, self.reading = job.windows(source), Lock()

    def run(self, count: int) -> None:
        """Work on so many threads, and wait for them.

        The calling thread does nothing else: it is the one that a system's signal interrupts, at
        any instruction, and a lock that it held then would never be given back.
        """
        # As daemons they do not keep a process that was told to end, should one of them wait for a
        # pipe that gives nothing. Thread.join takes a thread for ended when a signal interrupts the
        # waiting; a lock does not.
        ended = [Lock() for _ in range(count)]
        threads = [
            Thread(target=self._work, args=(lock,), name="earfilt", daemon=True) for lock in ended
        ]
        try:
            for lock, thread in zip(ended, threads, strict=True):
                lock.acquire()
                thread.start()
            for lock, thread in zip(ended, threads, strict=True):
                lock.acquire()
                thread.join()
        except BaseException as interruption:
            self.sink.fail(interruption)
            for lock, thread in zip(ended, threads, strict=True):
                if thread.is_alive() and lock.acquire(timeout=PATIENCE):
                    thread.join()
            raise
        if self.sink.failure:
            raise self.sink.failure

    def _work(self, ended: Lock) -> None:
        try:
            self.work()
        finally:
            ended.release()

    def work(self) -> None:
        """Until the signal ends or anything fails on any thread."""
        try:
            while (window := self._next()) is not None:
                self.sink.take(self.job.filter(window))
        except BaseException as failure:
            self.sink.fail(failure)

    def _next(self) -> _Window | None:
        with self.reading:
            return None if self.sink.failure else next(self.windows, None)


def run(
    read: Read,
    write: Write,
    fir: Fir,
    *,
    source: SampleFormat,
    target: SampleFormat,
    channels: int,
    settings: Settings,
) -> Levels:
    """Filter everything that `read` gives, and write it.

    Parameters
    ----------
    read : callable
        ``read(n)`` -> array (<= n, channels) of `source.dtype`; an empty one ends the signal.
    write : callable
        Gets arrays (frames, channels) of `target.dtype`, C-contiguous, in order.  Either is called
        by one thread at a time, but not always the same one, and both may run at the same time.
    fir : Fir
    source, target : SampleFormat
        Integers are rounded half to even and clipped to the target's codes.
    channels : int >= 1
    settings : Settings

    Returns
    -------
    Levels

    Raises
    ------
    UsageError
        If the tail of a filter with look-ahead is to be kept.
    NonFiniteError
        If a sample is NaN or infinite, unless `settings.repair`.
    BeyondRangeError
        If a filtered sample is beyond what the target or the precision can hold.
    Exception
        Whatever `read` or `write` raises; all threads have ended by then.
    """
    keep_memory()
    reader, sink = _Source(read, channels, settings.repair), _Sink(write, channels)
    job = _Job(fir, source, target, channels, settings)
    if settings.threads == 1:
        for window in job.windows(reader):
            sink.put(job.filter(window))
    else:
        _Crew(job, reader, sink).run(settings.threads)
    return _levels(job, reader, sink)


def _levels(job: _Job, reader: _Source, sink: _Sink) -> Levels:
    full_in, full_out = job.source.full_scale, job.target.codes
    return Levels(
        frames_in=reader.frames,
        frames_out=sink.frames,
        peak_in=reader.tally.peak / full_in,
        rms_in=_rms(sink.fresh, reader.frames, reader.tally) / full_in,
        peak_out=sink.levels.peak / full_out,
        rms_out=_rms(sink.levels, sink.frames, sink.levels) / full_out,
        clipped=sink.levels.clipped,
        repaired=reader.repaired,
        precision="+".join(sorted(sink.precisions)) or job.own_precision,
    )


def _rms(weighed: Tally, frames: int, seen: Tally) -> npt.NDArray[np.float64]:
    """At most the peak, also where squares are beyond float64."""
    return np.minimum(np.sqrt(weighed.energy / max(1, frames)), seen.peak)
