"""The engine for one file: read, filter and write at the same time.

Each thread takes turns: it reads the next window of the input, filters it while another thread
reads, and writes its result when all before it are written.  So there are no more threads than
cores, no queues, and at most one window per thread in memory.  What bounds the gain of many cores
is what one thread does at a time: reading and decoding on the one hand, writing on the other, each
about a tenth of all work for 16-bit WAV.  Samples depend on source, filter and
precision alone (`earfilt.engine.windows`): not on how reads were cut, on the number of threads, or
on load.
"""

from collections.abc import Callable, Iterator
from threading import Lock, Thread, current_thread
from time import monotonic, sleep
from typing import Any

import numpy as np
import numpy.typing as npt

from earfilt.caches import kept
from earfilt.engine.samples import BeyondRangeError, Levels, SampleFormat, Samples, Tally
from earfilt.engine.segments import keep_memory
from earfilt.engine.windows import (
    Cutting,
    Filtered,
    Settings,
    Window,
    WindowFilter,
    Windows,
)
from earfilt.errors import AudioError
from earfilt.synthesis.fir import Fir
from earfilt.wording import option

__all__ = ["BeyondRangeError", "Levels", "NonFiniteError", "SampleFormat", "Settings", "run"]

READ = 1 << 17  # frames read at a time: their extremes are taken while they are in the cache
PATIENCE = 3.0  # seconds for threads to end after an interruption
IDLE = 0.3  # the same where all that goes on is to wait for a pipe that gives nothing

Read = Callable[[int], Samples]
Encode = Callable[[Samples], Any]
Write = Callable[[Any], None]


class NonFiniteError(AudioError):
    """NaN or infinity among the samples; `channel` and `frame` (both from 0) say where the first
    one is.
    """

    def __init__(self, channel: int, frame: int, value: float) -> None:
        super().__init__(
            f"sample of channel {channel}, frame {frame} is {value}; use "
            f"{option('repair', True)} to read such samples as 0"
        )
        self.channel, self.frame = channel, frame


def _windows(filter: Windows, read: Read) -> Iterator[Window]:
    """Cut what is read into windows, until every output frame has its own."""
    cutting, total = Cutting(filter), None
    while True:
        while total is None and (missing := cutting.missing) > 0:
            asked = min(missing, READ)
            block = read(asked)
            cutting.put(block)
            total = None if len(block) else cutting.end
            if filter.settings.live and len(block) < asked and cutting.ready:
                break
        if total is None:
            yield cutting.take(cutting.ready, None)
        elif left := cutting.left(total + filter.tail):
            yield cutting.take(left, total)
        else:
            return


class _Source:
    """The reader, watched: extremes of what it gives, and NaN or infinity, which are refused or
    read as 0. `watched` is False where there are neither and who filters takes the extremes.
    """

    def __init__(self, read: Read, channels: int, repair: bool, *, watched: bool) -> None:
        self.read, self.repair, self.watched = read, repair, watched
        self.tally, self.frames, self.repaired = Tally(channels), 0, 0

    def __call__(self, frames: int) -> Samples:
        block = np.ascontiguousarray(self.read(frames))
        if not len(block):
            return block
        self.frames += len(block)
        if not self.watched:
            return block
        seen = Tally(self.tally.channels)
        seen.see(block)
        if block.dtype.kind == "f" and not np.isfinite(seen.peak).all():
            block = self._repaired(block)
            seen = Tally(self.tally.channels)
            seen.see(block)
        self.tally.add(seen)
        return block

    def _repaired(self, block: Samples) -> Samples:
        bad = ~np.isfinite(block)
        if not self.repair:
            frame, channel = np.argwhere(bad)[0]
            raise NonFiniteError(
                int(channel), self.frames - len(block) + int(frame), float(block[frame, channel])
            )
        self.repaired += int(np.count_nonzero(bad))
        return np.where(bad, block.dtype.type(0), block)


class _Sink:
    """Writes windows in their order, and adds up their levels; `take` may be called from any
    thread.
    """

    def __init__(self, write: Write, encode: Encode, filter: Windows) -> None:
        self.write, self.encode, self.frames = write, encode, 0
        self.fresh, self.levels = Tally(filter.channels), Tally(filter.outputs)
        self.precisions: set[str] = set()
        self.failure: BaseException | None = None
        self._next, self._lock = 0, Lock()
        # One gate for each window that waits: a thread is woken when its turn comes, and no other.
        self._gates: dict[int, Lock] = {}

    def take(self, turn: int, filtered: Filtered) -> None:
        """Wait for a window's turn and write it, unless something failed before it."""
        data = self.encode(filtered.samples)
        if (gate := self._gate(turn)) is not None:
            gate.acquire()
        if self.failure:
            return
        self._put(filtered, data)  # beside the lock: `fail` must not wait for a pipe nobody reads
        with self._lock:
            self._next += 1
            following = self._gates.pop(self._next, None)
        if following is not None:
            following.release()

    def _gate(self, turn: int) -> "Lock | None":
        """What holds a window up until its turn; None where it has come."""
        with self._lock:
            if self.failure or self._next == turn:
                return None
            gate = self._gates[turn] = Lock()
            gate.acquire()
            return gate

    def put(self, filtered: Filtered) -> None:
        """Write the next window."""
        self._put(filtered, self.encode(filtered.samples))

    def _put(self, filtered: Filtered, data: Any) -> None:
        self.write(data)
        self.fresh.add(filtered.fresh)
        self.levels.add(filtered.levels)
        self.frames += len(filtered.samples)
        self.precisions |= filtered.precisions

    def fail(self, failure: BaseException) -> None:
        """Let nothing more be written; the first failure is kept."""
        with self._lock:
            self.failure = self.failure or failure
            waiting, self._gates = list(self._gates.values()), {}
        for gate in waiting:
            gate.release()


class _Crew:
    """Threads that each read the next window, filter it, and write it when its turn comes."""

    def __init__(self, filter: Windows, source: _Source, sink: _Sink) -> None:
        self.filter, self.sink = filter, sink
        self.windows, self.reading = enumerate(_windows(filter, source)), Lock()
        self._queued: set[Thread] = set()  # for their turn to read
        self._reader: Thread | None = None

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
            self._await(threads)
            raise
        if self.sink.failure:
            raise self.sink.failure

    def _await(self, threads: list[Thread]) -> None:
        """Wait for threads to see that something failed, but for those in front of a pipe."""
        begun = monotonic()
        while busy := [one for one in threads if one.is_alive() and one not in self._queued]:
            idle = self.filter.settings.live and busy == [self._reader]
            if monotonic() - begun > (IDLE if idle else PATIENCE):
                return
            sleep(0.005)

    def _work(self, ended: Lock) -> None:
        try:
            self.work()
        finally:
            ended.release()

    def work(self) -> None:
        """Until the signal ends or anything fails on any thread."""
        try:
            while (found := self._next()) is not None:
                turn, window = found
                self.sink.take(turn, self.filter(window))
        except BaseException as failure:
            self.sink.fail(failure)

    def _next(self) -> tuple[int, Window] | None:
        thread = current_thread()
        self._queued.add(thread)
        with self.reading:
            self._reader = thread
            self._queued.discard(thread)
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
    encode: Encode = lambda samples: samples,
) -> Levels:
    """Filter everything that `read` gives, and write it.

    Parameters
    ----------
    read : callable
        ``read(n)`` -> array (<= n, channels) of `source.dtype`; an empty one ends the signal.
    write : callable
        Gets arrays (frames, outputs) of `target.dtype`, C-contiguous, in order; or what `encode`
        made of each; on a device their memory is used again once it returns.  There are as many
        channels as came, or two through several rows of taps.
        Either is called by one thread at a time, but not always the same one, and both may run at
        the same time.
    fir : Fir
    source, target : SampleFormat
        Integers are rounded half to even and clipped to the target's codes.
    channels : int >= 1
    settings : Settings
    encode : callable, optional
        Called on any thread, in no order, and by several at a time.

    Returns
    -------
    Levels

    Raises
    ------
    UsageError
        As `earfilt.engine.windows.WindowFilter` or `earfilt.engine.gpu.DeviceFilter`.
    NonFiniteError
        If a sample is NaN or infinite, unless `settings.repair`.
    BeyondRangeError
        If a filtered sample is beyond what the target or the precision can hold.
    Exception
        Whatever `read` or `write` raises; all threads have ended by then.
    """
    keep_memory()
    filter = _filter_for(settings.device)(fir, source, target, channels, settings)
    reader = _Source(read, channels, settings.repair, watched=not filter.sees_extremes)
    sink = _Sink(write, encode, filter)
    if settings.threads == 1:
        for window in _windows(filter, reader):
            sink.put(filter(window))
    else:
        _Crew(filter, reader, sink).run(settings.threads)
    return _levels(filter, source, reader, sink)


def _filter_for(device: str) -> Callable[..., Windows]:
    """Makes what filters windows there."""
    if device == "cpu":
        return _window_filter
    from earfilt.engine.gpu import DeviceFilter  # and torch

    return DeviceFilter


# With the memory of their threads.
_window_filter = kept(4)(WindowFilter)


def _levels(filter: Windows, source: SampleFormat, reader: _Source, sink: _Sink) -> Levels:
    full_in, full_out = source.full_scale, filter.target.codes
    seen = sink.fresh if filter.sees_extremes else reader.tally
    return Levels(
        frames_in=reader.frames,
        frames_out=sink.frames,
        peak_in=seen.peak / full_in,
        rms_in=_rms(sink.fresh, reader.frames, seen) / full_in,
        peak_out=sink.levels.peak / full_out,
        rms_out=_rms(sink.levels, sink.frames, sink.levels) / full_out,
        clipped=sink.levels.clipped,
        repaired=reader.repaired,
        precision="+".join(sorted(sink.precisions)) or filter.least_precision,
        block=filter.hop,
    )


def _rms(weighed: Tally, frames: int, seen: Tally) -> npt.NDArray[np.float64]:
    """At most the peak, also where squares are beyond float64."""
    return np.minimum(np.sqrt(weighed.energy / max(1, frames)), seen.peak)
