"""The engine for one file: read, filter and write at the same time.

The calling thread reads, workers filter groups of segments independently of each other (each with the input frames that
overlap its neighbours'), and one thread writes the results in order.  Groups lie on absolute frames and the FFT always has
the same shape, so that the samples depend on the source, the filter and the precision, never on how reads were cut, on the
number of workers or on load.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, Semaphore
from typing import Literal

import numpy as np
import torch

from earfilt.errors import AudioError, UsageError
from earfilt.fftconv import WORKING_SET, OverlapSave, choose_n_fft, extend_ends, reach
from earfilt.fir import Fir
from earfilt.pcm import Levels, SampleFormat, Samples, Tally, count_clipped, measure, to_samples, tpdf

__all__ = ["Levels", "NonFiniteError", "SampleFormat", "Settings", "run"]

Read = Callable[[int], Samples]
Write = Callable[[Samples], None]


class NonFiniteError(AudioError):
    """NaN or infinity among the samples; `channel` and `frame` (both from 0) say where the first one is."""

    def __init__(self, channel: int, frame: int, value: float) -> None:
        super().__init__(f"sample of channel {channel}, frame {frame} is {value}; use --repair to read such samples as 0")
        self.channel, self.frame = channel, frame


@dataclass(frozen=True)
class Settings:
    """How to filter.

    Parameters
    ----------
    precision : 'float32' or 'float64'
    device : str
    gain : float
        Linear, folded into the taps.
    dither_seed : int, optional
        Adds triangular dither before rounding to an integer target; the same seed gives the same bytes.
    keep_tail : bool
        Output longer by the order of the FIR; causal filters only.
    repair : bool
        Read NaN and infinity as 0 instead of raising.
    threads : int >= 1
        Workers that filter.
    """

    precision: Literal["float32", "float64"] = "float32"
    device: str = "cpu"
    gain: float = 1.0
    dither_seed: int | None = None
    keep_tail: bool = False
    repair: bool = False
    threads: int = 2


@dataclass(frozen=True)
class _Window:
    """Input of one group: consecutive arrays of frames, from the absolute frame `at` (negative: before the signal) on."""

    index: int
    at: int
    pieces: list[Samples]
    total: int | None  # frames of the signal, once its end was read


@dataclass(frozen=True)
class _Group:
    """What a worker made of a window."""

    samples: Samples
    tally_in: Tally
    tally_out: Tally
    clipped: np.ndarray | int


class _Job:
    """Everything the workers share, fixed for one file."""

    def __init__(self, fir: Fir, source: SampleFormat, target: SampleFormat, channels: int, settings: Settings) -> None:
        if settings.keep_tail and fir.lookahead:
            raise UsageError(f"the filter looks ahead by {fir.lookahead} samples; only a causal one has a tail to keep")
        self.source, self.target, self.channels, self.settings = source, target, channels, settings
        self.lookahead, self.mirrored = fir.lookahead, fir.lookahead if fir.odd_ends else 0
        self.tail = fir.numtaps - 1 if settings.keep_tail else 0
        self.dtype = getattr(torch, settings.precision)
        scale = settings.gain * target.codes / source.full_scale
        taps = reach(torch.tensor(fir.taps * scale), fir.lookahead, fir.odd_ends)
        n_fft = choose_n_fft(len(taps), self.dtype)
        segments = max(1, 2 * WORKING_SET // (n_fft * channels))
        self.step = OverlapSave(
            taps,
            channels=channels,
            segments=segments,
            n_fft=n_fft,
            dtype=self.dtype,
            device=settings.device,
            packed=self._packs(),
        )

    def _packs(self) -> bool:
        """Whether a neighbour's rounding noise stays far below the target's least significant bit."""
        fine = self.settings.precision == "float64" or self.target.bits <= 16
        return self.channels % 2 == 0 and self.target.is_integer and fine

    def windows(self, read: Read) -> Iterator[_Window]:
        """Cut what is read into overlapping windows, until every output frame has its group."""
        step, at, index = self.step, self.lookahead - self.step.overlap, 0
        held: deque[Samples] = deque()  # consecutive frames from max(at, 0) on
        end, total = 0, None
        while total is None or index * step.frames < total + self.tail:
            while total is None and end < at + step.window:
                block = read(at + step.window - end)
                if len(block):
                    held.append(block)
                    end += len(block)
                else:
                    total = end
            if total is not None and index * step.frames >= total + self.tail:
                return
            yield _Window(index, at, list(held), total)
            at, index = at + step.frames, index + 1
            _drop(held, end - max(at, 0))

    def filter(self, window: _Window) -> _Group:
        """Filter one window: samples of the target, and their levels.  Runs on any thread."""
        x = np.zeros((self.step.window, self.channels), self.settings.precision)
        position = max(0, -window.at)
        for piece in window.pieces:
            piece = piece[: len(x) - position]
            x[position : position + len(piece)] = piece
            position += len(piece)
        tally_in = measure(x[0 if window.index == 0 else self.step.overlap :])
        silent = [c for c in range(self.channels) if tally_in.peak[c] == 0 and not x[:, c].any()]
        signal = torch.from_numpy(x)
        extend_ends(signal, window.at, window.total, self.mirrored)
        y = torch.empty(self.step.frames, self.channels, dtype=self.dtype)
        self.step(signal, y)
        return self._finished(y[: self._due(window)], window.index, silent, tally_in)

    def _due(self, window: _Window) -> int:
        """Output frames that belong to a window."""
        if window.total is None:
            return self.step.frames
        return min(self.step.frames, window.total + self.tail - window.index * self.step.frames)

    def _finished(self, y: torch.Tensor, index: int, silent: list[int], tally_in: Tally) -> _Group:
        """Round, measure and convert the filtered codes `y` (frames, channels)."""
        if self.target.is_integer:
            if self.settings.dither_seed is not None:
                y += torch.from_numpy(tpdf(self.settings.dither_seed, index, (self.step.frames, self.channels)))[: len(y)]
            y.round_()
        y[:, silent] = 0  # digital silence stays silence, whatever the neighbours' rounding or the dither
        tally = measure(y.numpy())
        loud = self.target.is_integer and (tally.high.max() > self.target.codes - 1 or tally.low.min() < -self.target.codes)
        clipped = count_clipped(y, self.target) if loud else 0
        return _Group(to_samples(y, self.target), tally_in, tally, clipped)


def _drop(held: deque[Samples], keep: int) -> None:
    """Forget the oldest frames until `keep` are left."""
    excess = sum(map(len, held)) - keep
    while held and excess >= len(held[0]):
        excess -= len(held.popleft())
    if held and excess > 0:
        held[0] = held[0][excess:]


class _Finite:
    """A reader that finds NaN and infinity: it raises, or reads them as 0 and counts them."""

    def __init__(self, read: Read, repair: bool) -> None:
        self.read, self.repair, self.frame, self.repaired = read, repair, 0, 0

    def __call__(self, frames: int) -> Samples:
        block = self.read(frames)
        with np.errstate(over="ignore", invalid="ignore"):
            suspect = block.dtype.kind == "f" and not np.isfinite(block.sum())
        if suspect:
            block = self._checked(block)
        self.frame += len(block)
        return block

    def _checked(self, block: Samples) -> Samples:
        bad = ~np.isfinite(block)
        if bad.any() and not self.repair:
            frame, channel = np.argwhere(bad)[0]
            raise NonFiniteError(int(channel), self.frame + int(frame), float(block[frame, channel]))
        self.repaired += np.count_nonzero(bad)
        return np.where(bad, block.dtype.type(0), block)


class _Sink:
    """Takes the groups in order on the writing thread: writes them and adds up their levels."""

    def __init__(self, write: Write, channels: int) -> None:
        self.write = write
        self.tally_in, self.tally_out = Tally.silence(channels), Tally.silence(channels)
        self.clipped = np.zeros(channels, np.int64)
        self.frames = 0

    def take(self, group: _Group) -> None:
        self.tally_in.add(group.tally_in)
        self.tally_out.add(group.tally_out)
        self.clipped += group.clipped
        self.frames += len(group.samples)
        self.write(group.samples)

    def levels(self, job: _Job, repaired: int) -> Levels:
        frames_in, frames_out = self.frames - job.tail, self.frames
        return Levels(
            frames_in=frames_in,
            frames_out=frames_out,
            peak_in=self.tally_in.peak / job.source.full_scale,
            rms_in=np.sqrt(self.tally_in.energy / max(1, frames_in)) / job.source.full_scale,
            peak_out=self.tally_out.peak / job.target.codes,
            rms_out=np.sqrt(self.tally_out.energy / max(1, frames_out)) / job.target.codes,
            clipped=self.clipped,
            repaired=repaired,
        )


class _Guard:
    """Workers compute on one thread each; torch's setting is global, so it is changed while any file is in work."""

    _lock, _users, _before = Lock(), 0, 1

    @classmethod
    @contextmanager
    def one_thread(cls) -> Iterator[None]:
        with cls._lock:
            cls._users += 1
            if cls._users == 1:
                cls._before = torch.get_num_threads()
                torch.set_num_threads(1)
        try:
            yield
        finally:
            with cls._lock:
                cls._users -= 1
                if cls._users == 0:
                    torch.set_num_threads(cls._before)


class _Writer:
    """The writing thread: groups are handed to the sink in the order of submission; the first failure stops all."""

    def __init__(self, sink: _Sink, waiting: int) -> None:
        self.sink, self.room, self.failure = sink, Semaphore(waiting), None
        self.thread = ThreadPoolExecutor(1, "earfilt-write")

    def submit(self, group: "Future[_Group]") -> None:
        self.thread.submit(self._take, group)

    def _take(self, group: "Future[_Group]") -> None:
        try:
            if self.failure is None:
                self.sink.take(group.result())
        except BaseException as failure:
            self.failure = failure
        finally:
            self.room.release()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        self.failure = self.failure or failure
        self.thread.shutdown()


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
        ``read(n)`` -> array (<= n, channels) of `source.dtype`; an empty one ends the signal.  Called on this thread.
    write : callable
        Gets arrays (frames, channels) of `target.dtype`, C-contiguous, in order, on a thread of its own.
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
    Exception
        Whatever `read` or `write` raises; all threads have ended by then.
    """
    sink = _Sink(write, channels)
    finite = _Finite(read, settings.repair)
    with _Guard.one_thread(), ThreadPoolExecutor(settings.threads, "earfilt-filter") as workers:
        job = _Job(fir, source, target, channels, settings)
        with _Writer(sink, settings.threads + 2) as writer:
            for window in job.windows(finite):
                writer.room.acquire()
                if writer.failure:
                    break
                writer.submit(workers.submit(job.filter, window))
        if writer.failure:
            raise writer.failure
    return sink.levels(job, finite.repaired)
