"""One file: source -> reader -> engine -> writer -> destination, and the record of it.

Everything that can be refused is refused before the first byte is written. The engine is loaded by
`filter_file` only, after the source was looked at, and torch only for another device than the CPU.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earfilt import __version__
from earfilt.audio.containers.pcm import Array
from earfilt.audio.info import AudioInfo, Metadata
from earfilt.audio.metadata import stale, tags
from earfilt.audio.output_format import check_kept, plan_target
from earfilt.audio.reader import Reader, changed_while_read, cut_short, open_reader, probe
from earfilt.audio.speakers import is_right_first, two_eared
from earfilt.audio.writer import open_writer
from earfilt.caches import kept
from earfilt.chains import describe
from earfilt.cores import cores
from earfilt.errors import AudioError, Detail, Note, UsageError, printable
from earfilt.render import in_place
from earfilt.render.job import FileJob, Options
from earfilt.render.recipe import recipe_of
from earfilt.render.record import Row, decibels
from earfilt.storage.manifest import content_hash
from earfilt.storage.output import (
    Output,
    Taken,
    check_destination,
    is_stream,
    open_output,
    refuse_flow,
)
from earfilt.units import db_to_gain, gain_to_db
from earfilt.wording import either, option

if TYPE_CHECKING:
    from earfilt.audio.containers.chunks import Chunk
    from earfilt.audio.formats import Target
    from earfilt.chains.members import Filter
    from earfilt.engine.pipeline import Levels, SampleFormat
    from earfilt.synthesis.fir import Fir

__all__ = ["FileJob", "Options", "Row", "check", "filter_file"]

Progress = Callable[[int], None]
_MOST_THREADS = 16  # more would wait for the one that reads, and for the one that writes
_LONG = 1 << 17  # frames that are worth another thread
_DEVICE_THREADS = 4  # one reads, one writes, the others wait for the device


def check(job: FileJob) -> AudioInfo | None:
    """Everything that can be refused before work, without loading the engine or reading samples.

    Returns
    -------
    AudioInfo or None
        None for the standard input and other pipes, which cannot be looked at twice.

    Raises
    ------
    UsageError
        The output exists, is the input, or its container cannot hold what is asked; the device
        does not exist.
    AudioError
        The source is missing, no audio, damaged or cut short; the destination cannot be written. In
        place: no record can be kept.
    AlreadyFiltered
        In place: it was filtered before.
    """
    resolve_device(job.options.device, lambda: False)
    streams = _check_destination(job)
    if _replaces(job, streams):
        _check_in_place(job)
    return None if _flows(job, job.source) else foresee(job)


def _check_destination(job: FileJob) -> bool:
    """As `check_destination`; what an earlier try may have made is looked at when it is made again."""
    return check_destination(
        job.source,
        job.destination,
        exists="skip" if job.may_be_done else job.options.exists,
        in_place=job.options.in_place,
        regular=job.regular,
    )


def _flows(job: FileJob, path: str) -> bool:
    """Whether source or destination is a stream."""
    return not job.regular and is_stream(path)


def foresee(job: FileJob) -> AudioInfo:
    """What can be known of a file's filtering from its header; its destination may be missing
    still.

    Raises
    ------
    UsageError, AudioError
        As `check`, of the source and of what its output will be.
    """
    if job.regular:
        refuse_flow(job.destination, follow=job.options.in_place)
    info = probe(
        job.source,
        raw=job.options.raw_format,
        ignore_length=job.options.ignore_length,
        regular=job.regular,
    )
    _plan(job, info, _suffixes(job, _flows(job, job.source), _flows(job, job.destination)))
    return info


def _replaces(job: FileJob, streams: bool) -> bool:
    """Whether the source is replaced."""
    return (
        job.options.in_place
        and not streams
        and os.path.realpath(job.source) == os.path.realpath(job.destination)
    )


def _check_in_place(job: FileJob) -> None:
    known = in_place.Known()
    try:
        known.read(job.source)
        state = known.state(job.source)
    except FileNotFoundError:
        return  # as reading it will say
    except OSError as error:
        raise AudioError.about(
            printable(job.source), "cannot read {subject}: {why}", why=error.strerror or error
        ) from error
    in_place.check_record(job.source)
    if state.kind != "new" and job.options.exists == "refuse":
        raise in_place.AlreadyFiltered(job.source, state)


def filter_file(
    job: FileJob,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    device: str | None = None,
) -> Row:
    """Filter one file. May be called from several threads at once.

    Parameters
    ----------
    threads : int, optional
        That read, filter and write by turns; default as many as there are cores, 16 at most. The
        bytes do not depend on it.
    progress : callable, optional
        Gets the number of source frames read so far, after each block.
    device : str, optional
        In place of the job's.

    Returns
    -------
    Row
        Of status ok or skipped.

    Raises
    ------
    UsageError
        As `check`, or the filter does not go with this sampling rate.
    AudioError
        As `check`, or reading or writing failed; NaN in the source; clipping, where that is an
        error. No output is left.
    BrokenPipeError
        The reader of the standard output went away.
    """
    started, options = time.perf_counter(), job.options
    if (
        options.exists == "skip"
        and not (options.in_place or job.may_be_done)
        and os.path.lexists(job.destination)
        and not _flows(job, job.destination)
    ):
        return _skipped(job)
    streams = _check_destination(job)
    twice = options.clip == "rescale"
    record = None
    if _replaces(job, streams):
        again = options.exists == "force"
        record = in_place.Record(
            job.destination, recipe_of(job.filter, options), job.run, again=again
        )
    flows = _flows(job, job.source)
    if flows:
        # The engine loads while the producer starts, so that the first samples need not wait.
        from earfilt.engine import pipeline  # noqa: F401
    with open_reader(
        job.source,
        raw=options.raw_format,
        repair=options.repair,
        ignore_length=options.ignore_length,
        spool=twice,
        spool_dir=None if streams else os.path.dirname(job.destination) or os.curdir,
        regular=job.regular,
    ) as reader:
        try:
            suffixes = _suffixes(job, flows, streams)
            row = _Run(job, reader, suffixes, threads, progress, record, device).row()
        except in_place.AlreadyFiltered as found:
            row = _left(job, found)
        except Taken:
            if options.exists != "skip":
                raise
            row = _skipped(job)
    row.seconds = round(time.perf_counter() - started, 6)
    return row


def _skipped(job: FileJob) -> Row:
    return Row(job.source, job.destination, job.name, "skipped", filter=job.filter.applied)


def _left(job: FileJob, found: in_place.AlreadyFiltered) -> Row:
    """The row of a file that turned out to be filtered when its turn came."""
    entry, own = (
        found.state.entry,
        found.state.entry is not None and found.state.entry.run == job.run,
    )
    if found.state.kind != "filtered" or (job.options.exists == "refuse" and not own):
        raise found
    if entry is not None and entry.recipe != recipe_of(job.filter, job.options).name:
        raise UsageError(
            f"{printable(job.source)} was filtered in place with other settings; its original "
            "is gone"
        )
    row = _skipped(job)
    row.warnings.append(
        "was filtered already when its turn came: by another run, or before a worker died"
    )
    return row


def _plan(
    job: FileJob, info: AudioInfo, suffixes: tuple[str, str], tail: int = 0
) -> tuple[Target, list[str]]:
    if info.missing and not job.options.repair:
        raise cut_short(info)
    _refuse_loss(job, info)
    if job.options.in_place:
        check_kept(info, os.path.splitext(job.source)[1], job.options.format)
    described = heard(job, info)
    try:
        return plan_target(
            described,
            *suffixes,
            fmt=job.options.format,
            subtype=job.options.subtype,
            to_raw=job.options.to_raw,
            unclipped=job.options.clip == "float",
            tail=tail,
        )
    except UsageError as error:
        if error.subject:
            raise
        raise UsageError.about(info.name, "{subject}: {why}", why=str(error)) from error


def heard(job: FileJob, info: AudioInfo) -> AudioInfo:
    """A source as its output is described: itself, but two channels of mono by a pair of ears.

    Raises
    ------
    UsageError
        It has more channels than the filter takes; in place, their number would change.
    """
    from earfilt.synthesis.fir import outputs_of

    try:
        if outputs_of(job.filter.rows, info.channels) == info.channels:
            return info
    except UsageError as error:
        raise UsageError.about(info.name, "{subject}: {why}", why=str(error)) from error
    if job.options.in_place:
        raise UsageError(
            f"{info.name} is mono, and two ears make two channels of it: in place a recording keeps "
            "its channels, so give an output"
        )
    return two_eared(info)


def _refuse_loss(job: FileJob, info: AudioInfo) -> None:
    """A file that is replaced must not lose what was not read of it."""
    if info.unread and job.options.in_place:
        raise AudioError.about(
            info.name,
            "{subject} is not replaced, since something would be lost: {value}",
            value=info.warnings[-1],
        )


def _leave(block: object) -> None:
    """A pass that finds levels writes nothing."""


def _suffixes(job: FileJob, flows_in: bool, flows_out: bool) -> tuple[str, str]:
    """Of source and destination; none of what flows."""
    return (
        "" if flows_in else os.path.splitext(job.source)[1],
        "" if flows_out else os.path.splitext(job.destination)[1],
    )


class _Run:
    """The steps for one open source."""

    def __init__(
        self,
        job: FileJob,
        reader: Reader,
        suffixes: tuple[str, str],
        threads: int | None,
        progress: Progress | None,
        record: in_place.Record | None,
        device: str | None,
    ) -> None:
        self.job, self.options, self.reader, self.progress = job, job.options, reader, progress
        self.info, self.record = reader.info, record
        self.hashes: tuple[str, str] | tuple[None, None] = (None, None)
        self.published: os.stat_result | None = None
        if record is not None:
            record.look(reader.source.raw.fileno())
        from earfilt.engine import segments

        planned = _plan(job, self.info, suffixes)
        self.fir = job.filter.at(self.info.fs)
        self.routed = self.fir.swapped() if is_right_first(self.info) else self.fir
        self.tail = self.fir.numtaps - 1 if self.options.tail == "keep" else 0
        if self.tail and self.fir.lookahead:
            raise UsageError(
                f"{option('tail', 'keep')} needs a causal filter, this one looks ahead: add "
                f"{option('phase', 'minimum')}"
            )
        self.target, self.warnings = (
            _plan(job, self.info, suffixes, self.tail) if self.tail else planned
        )
        self.latency = segments.latency_frames(self.options.latency_ms, self.info.fs)
        segments.block_within(self.latency, self.fir.numtaps)  # refuses one that is too short
        self.threads = threads or self._usual_threads()
        self.device = resolve_device(device or self.options.device, self._pays)
        if not threads and self.device != "cpu":
            self.threads = _DEVICE_THREADS
        self.gain_db, self.rescaled_db = self.options.gain_db, 0.0

    def _pays(self) -> bool:
        """Whether a device would be quicker; never where it is not known how long a recording is."""
        from earfilt.engine import devices

        if self.info.frames is None or self.latency is not None:
            return False
        wide = any(one.is_wide for one in self._formats())
        itemsize = 8 if wide or self.options.precision == "float64" else 4
        samples, threads = self.info.frames * self.info.channels, self.threads
        return devices.pays(samples, self.fir.numtaps, itemsize=itemsize, threads=threads)

    def _formats(self) -> tuple[SampleFormat, SampleFormat]:
        """Of the source and of the target."""
        sample = self.target.sample
        return _format(self.info.dtype, self.info.bits), _format(sample.dtype, sample.bits)

    def row(self) -> Row:
        """Do it, and say what was done."""
        if self.options.clip == "rescale" and self.target.sample.bits:
            self._find_gain()
        levels = self._write()
        return self._record(levels)

    def _usual_threads(self) -> int:
        """Threads that have something to do on the CPU, while the calling one waits for them."""
        frames = _LONG if self.info.frames is None else self.info.frames
        if frames * self.info.channels < _LONG:  # done before another thread has begun
            return 1
        return min(_MOST_THREADS, max(2, cores()), 2 + frames // _LONG)

    def _find_gain(self) -> None:
        levels = self._filter(_leave, _leave, dither=False)
        self.reader.rewind()
        if levels.clipped.any():
            self.rescaled_db = gain_to_db(
                _full_scale(self.target, self.options.dither) / float(levels.peak_out.max())
            )
            self.gain_db += self.rescaled_db

    def _write(self) -> Levels:
        job, options = self.job, self.options
        metadata, left = self._metadata()
        self.warnings += left
        # what would clip goes nowhere, which shows at the end
        unclipped = options.clip == "error" and bool(self.target.sample.bits)
        stored = unclipped or not self.target.native
        with (
            self.record.held() if self.record else nullcontext(),
            open_output(
                job.destination,
                exists=options.exists,
                in_place=options.in_place,
                spool=stored,
                may_be_done=job.may_be_done,
                regular=job.regular,
            ) as output,
        ):
            levels = self._write_samples(output, metadata)
            self._seal(output)
        self.published = output.published
        return levels

    def _write_samples(self, output: Output, metadata: Metadata) -> Levels:
        options, info = self.options, self.info
        frames = self._frames(output.seekable)
        with open_writer(
            output.file, self.target, metadata, frames=frames, seekable=output.seekable
        ) as writer:
            levels = self._filter(writer.write, writer.encode, dither=options.dither)
            if options.clip == "error" and levels.clipped.any():
                raise _would_clip(info.name, levels, self._fitting(levels))
            _refuse_loss(self.job, self.reader.info)
            self.warnings += writer.finish(self._late_chunks())
        return levels

    def _late_chunks(self) -> Sequence[Chunk]:
        """A pipe tells the chunks behind its samples at its end."""
        late = self.reader.info.metadata.after
        if not late or not self.options.metadata or self.reader.rewindable:
            return ()
        kept, false = stale.true_chunks(late)
        self.warnings += false
        return tags.with_history(kept, self.target, self._history())

    def _seal(self, output: Output) -> None:
        """Take down what was made of what, before it appears."""
        source = self.reader.source
        if not (self.record or self.job.hashes) or not (output.seekable and source.seekable):
            return
        made = content_hash(output.file.fileno())
        if self.record:
            self.record.announce(output.file.fileno(), made)
        heard = self.record.content if self.record else content_hash(source.raw.fileno())
        if source.changed() and not self.options.repair:
            raise changed_while_read(self.info)
        self.hashes = heard, made

    def _frames(self, seekable: bool) -> int | None:
        """Frames to come. What is repaired may end early, which a pipe's header cannot be told any
        more.
        """
        if self.info.frames is None or (self.options.repair and not seekable):
            return None
        return self.info.frames + self.tail

    def _filter(
        self, write: Callable[[Any], None], encode: Callable[[Any], Any], *, dither: bool
    ) -> Levels:
        from earfilt.engine import pipeline

        settings = pipeline.Settings(
            precision=self.options.precision,
            device=self.device,
            gain=db_to_gain(self.gain_db),
            dither_seed=_seed(self.job.name) if dither and self.target.sample.bits else None,
            keep_tail=self.options.tail == "keep",
            repair=self.options.repair,
            threads=self.threads,
            latency=self.latency,
            live=not self.reader.rewindable,
        )
        source, target = self._formats()
        try:
            return pipeline.run(
                self._read,
                write,
                self.routed,
                source=source,
                target=target,
                channels=self.info.channels,
                settings=settings,
                encode=encode,
            )
        except pipeline.NonFiniteError as error:
            error.args = (f"{self.info.name}: {error.args[0]}",)
            raise
        except pipeline.BeyondRangeError as error:
            raise AudioError.about(
                self.info.name,
                "{subject}: the output goes beyond what {subtype} can hold; use a lower "
                + option("gain_db"),
                subtype=self.target.subtype,
            ) from error

    def _read(self, frames: int) -> Array:
        block = self.reader.read(frames)
        if self.progress is not None:
            self.progress(self.reader.frames_read)
        return block

    def _metadata(self) -> tuple[Metadata, list[str]]:
        if not self.options.metadata or self.info.metadata == Metadata():
            return Metadata(), []
        metadata, false = stale.without_false(heard(self.job, self.info).metadata)
        text = self._history()
        carried = replace(
            metadata,
            before=tags.with_history(metadata.before, self.target, text),
            after=tags.with_history(metadata.after, self.target, text),
            w64=tags.with_history(metadata.w64, self.target, text),
        )
        return carried, [*false, *tags.left_behind(metadata, self.target)]

    def _history(self) -> str:
        name = printable(self.job.filter.applied).replace(",", ";")
        return f"earfilt {__version__}; {name}"

    def _fitting(self, levels: Levels) -> float:
        """The ``--gain`` at which nothing clips, rounded down to 0.01 dB."""
        fit = gain_to_db(
            _full_scale(self.target, self.options.dither) / float(levels.peak_out.max())
        )
        return math.floor(100.0 * (self.gain_db + fit)) / 100.0

    def _record(self, levels: Levels) -> Row:
        job, info, target, fir = self.job, self.reader.info, self.target, self.fir
        clipped = bool(levels.clipped.any())
        row = Row(
            job.source,
            job.destination,
            job.name,
            "ok",
            format=target.container,
            subtype=target.subtype,
        )
        row.source_sha256, row.output_sha256 = self.hashes
        if (there := self.published) is not None:
            row.stamp = there.st_size, there.st_mtime_ns
        row.source_format, row.source_subtype = info.container, info.subtype
        row.fs, row.channels, row.frames = info.fs, target.channels, levels.frames_out
        row.source_channels = info.channels
        _describe(row, job.filter, fir)
        row.peak_in_dbfs, row.rms_in_dbfs = decibels(levels.peak_in), decibels(levels.rms_in)
        row.peak_out_dbfs, row.rms_out_dbfs = decibels(levels.peak_out), decibels(levels.rms_out)
        if self.options.full_scale_spl is not None:
            # A full-scale sine has an RMS of 1/√2: where its level is the reference, RMS 1.0 lies
            # 3.01 dB above.
            offset = self.options.full_scale_spl + (
                gain_to_db(math.sqrt(2.0)) if self.options.full_scale == "peak" else 0.0
            )
            row.spl_in_db, row.spl_out_db = (
                decibels(levels.rms_in, offset),
                decibels(levels.rms_out, offset),
            )
        row.clipped = [int(count) for count in levels.clipped]
        row.fitting_gain_db = self._fitting(levels) if clipped else None
        row.gain_db, row.rescaled_db = round(self.gain_db, 6), round(self.rescaled_db, 6)
        row.dithered = self.options.dither and bool(target.sample.bits)
        row.repaired, row.missing_frames = levels.repaired, info.missing
        row.device, row.precision, row.block = self.device, levels.precision, levels.block
        row.warnings = [
            *info.warnings,
            *self.warnings,
            *_rescaled(row),
            *_repairs(row, info),
            *describe.warnings(fir),
            *noise_floor_advice(levels, target),
        ]
        return row


def _rescaled(row: Row) -> list[str]:
    """That a file has a gain of its own, in words."""
    if not row.rescaled_db:
        return []
    words = (
        "scaled by {gain:.2f} dB to fit full scale: its level does not compare with that of other "
        "files"
    )
    return [Note.of(words, gain=row.rescaled_db)]


def _repairs(row: Row, info: AudioInfo) -> list[str]:
    """What ``--repair`` had to do, in words."""
    notes: list[str] = []
    if row.repaired:
        notes.append(Note.of("{count} NaN or infinite samples read as 0", count=row.repaired))
    if info.missing:
        words = (
            "pages of the source are missing or damaged: {frames} frames were there, and what "
            "follows a gap comes too early"
            if info.container == "OGG"
            else "the source is cut short: {frames} frames were there, at least {missing} are missing"
        )
        notes.append(Note.of(words, frames=info.frames, missing=info.missing))
    return notes


def _describe(row: Row, filter: Filter, fir: Fir) -> None:
    row.filter, row.provenance, row.coefficients_sha256 = filter.applied, fir.provenance, fir.sha256
    row.latency = fir.lookahead
    row.gain_1khz_db = _gain_1khz_db(fir)


@kept(64)
def _gain_1khz_db(fir: Fir) -> float | list[float | None] | None:
    if fir.fs is None or fir.fs < 2000.0:
        return None
    gains = decibels(abs(fir.response([1000.0])).ravel())
    return gains if fir.rows > 1 else gains[0]


@lru_cache(maxsize=64)
def _format(dtype: str, bits: int) -> SampleFormat:
    from earfilt.engine.pipeline import SampleFormat

    return SampleFormat(dtype, bits)  # type: ignore[arg-type]


def _full_scale(target: Target, dither: bool) -> float:
    """Largest amplitude that an integer subtype holds on both sides of zero; dither takes a code
    more.
    """
    return 1.0 - (2 if dither else 1) * 2.0 ** (1 - target.sample.bits)


def _would_clip(name: str, levels: Levels, fitting: float) -> AudioError:
    counts = ", ".join(f"{int(n)} in channel {i}" for i, n in enumerate(levels.clipped) if n)
    return AudioError.about(
        name,
        "{subject}: {count} samples would be clipped ({counts}), the peak is {peak:+.2f} dBFS; "
        + either("--gain {fitting:.2f} fits", "gain_db={fitting:.2f} fits"),
        count=int(levels.clipped.sum()),
        counts=Detail(counts),
        peak=gain_to_db(float(levels.peak_out.max())),
        fitting=fitting,
    )


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big") >> 1


def noise_floor_advice(levels: Levels, target: Target) -> list[str]:
    """A warning where the filter took the signal down into the rounding noise of an integer output.

    Rounding makes noise of 1/√12 of a code (RMS). A channel is in trouble when the output lies less
    than 40 dB above it and the filter took it down by 20 dB or more.
    """
    bits = target.sample.bits
    if not bits:
        return []
    noise = 2.0 ** (1 - bits) / math.sqrt(12.0)
    # two ears hear the one channel of mono
    levels_in = levels.rms_in if len(levels.rms_in) > 1 else [*levels.rms_in] * len(levels.rms_out)
    for level_in, level_out in zip(levels_in, levels.rms_out, strict=True):
        if level_in > 0.0 and level_out < 100.0 * noise and level_out <= 0.1 * level_in:
            distance = gain_to_db(level_out / noise) if level_out else -math.inf
            above = Note.of("only {distance:.0f} dB above", distance=distance)
            return [
                Note.of(
                    "the output lies {where} the rounding noise of {subtype}: add "
                    + option("subtype", "FLOAT"),
                    where=above if distance > 0.0 else "below",
                    subtype=target.subtype,
                )
            ]
    return []


def resolve_device(name: str, pays: Callable[[], bool]) -> str:
    """The torch device that ``--device`` means; `pays` says whether ``auto`` is to look for one,
    which loads torch.

    Raises
    ------
    UsageError
        It does not exist here.
    """
    if name == "cpu" or (name == "auto" and not pays()):
        return "cpu"
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    there: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
    }
    if not there[kind]() or (kind == "cuda" and index and int(index) >= torch.cuda.device_count()):
        raise UsageError(
            f"device '{printable(name)}' does not exist on this machine; use "
            f"{option('device', 'cpu')}"
        )
    return name
