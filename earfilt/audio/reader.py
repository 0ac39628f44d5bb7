"""Audio files and pipes as blocks of samples: earfilt's own reader for the RIFF family, libsndfile
for everything else.
"""

import os
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace

import numpy as np

from earfilt.audio import blocks, frame_tags, sniff
from earfilt.audio.blocks import Count
from earfilt.audio.containers import aiff, caf, mpeg, pcm, riff, w64
from earfilt.audio.containers.truncation import promised_frames
from earfilt.audio.decoder import FAILURES, Decoder, DecodingError, Link
from earfilt.audio.formats import (
    MAX_CHANNELS,
    MAX_FS,
    PCM_INSTEAD,
    RAW,
    READ,
    SUBTYPES,
    WAY_OUT,
    RawFormat,
    Subtype,
)
from earfilt.audio.info import AudioInfo, Metadata
from earfilt.audio.metadata import sphere
from earfilt.audio.metadata.tags import (
    TAG_IN_FRONT,
    TAGS_OF_JOINED,
    not_carried,
    read_metadata,
    riff_tags,
)
from earfilt.audio.recordings import (
    UNKNOWN_LENGTH,
    Recordings,
    can_join_flac,
    find_recordings,
    flac_broken_at,
    rate_words,
    rest_behind_flac,
)
from earfilt.audio.source import Source, open_source
from earfilt.audio.speakers import with_speakers
from earfilt.errors import AudioError, Detail, Note
from earfilt.storage.streams import WaitingFile, write_all
from earfilt.wording import option, remedy

_BLOCK_BYTES = 8 << 20
_JUSTIFIED = 1 << 16  # bytes that tell how samples lie in their words
_RAW_LOOK = 16  # bytes that show the header of a file


class Reader(ABC):
    """A source that delivers blocks of its samples in order.

    Attributes
    ----------
    info : AudioInfo
        What is known; its metadata are complete once the last sample was read.
    frames_read : int
    """

    _promised: int | None = None
    """Frames that a header promises which is not to be believed before the end."""

    def __init__(self, source: Source, info: AudioInfo, *, repair: bool = False) -> None:
        self.source, self.info, self.repair = source, info, repair
        self.frames_read = 0
        self._ended = False

    def read(self, frames: int) -> pcm.Array:
        """The next block.

        Returns
        -------
        (n, channels) array
            Of ``info.dtype``, 0 < n <= frames; n = 0 at the end.

        Raises
        ------
        AudioError
            The source is damaged, or shorter than its header promises (unless repairing).
        """
        limit = max(1, _BLOCK_BYTES // (self.info.channels * np.dtype(self.info.dtype).itemsize))
        try:
            block = self._next(min(frames, limit))
        except OSError as error:
            if isinstance(error, AudioError):
                raise
            raise AudioError.about(
                self.info.name, "cannot read {subject}: {why}", why=error.strerror or error
            ) from error
        self.frames_read += len(block)
        if frames and not len(block):
            if not self._ended:
                self._ended = True
                self._at_end()
            if self.source.changed() and not self.repair:
                raise changed_while_read(self.info)
        return block

    def _at_end(self) -> None:
        if not self.frames_read and not self.info.missing:
            raise AudioError.about(self.info.name, "{subject} holds no samples")
        promised = (
            self._promised if self.info.frames is None else self.info.frames + self.info.missing
        )
        if promised is not None and self.frames_read < promised:
            self.info = replace(
                self.info, frames=self.frames_read, missing=promised - self.frames_read
            )
            if not self.repair:
                raise cut_short(self.info)
        elif self.info.frames is None:
            self.info = replace(self.info, frames=self.frames_read)

    def _fill(self, view: memoryview, align: int) -> int:
        """Bytes of a file as many as there are; those of a pipe as they come, in whole frames."""
        if self.source.seekable:
            return self.source.readinto(view)
        return self.source.readinto_there(view, align)

    @property
    def rewindable(self) -> bool:
        """Whether `rewind` works: not on a pipe that is read as it flows."""
        return self.source.seekable

    @abstractmethod
    def _next(self, frames: int) -> pcm.Array: ...

    @abstractmethod
    def rewind(self) -> None:
        """Go back to the first sample."""

    def close(self) -> None:
        """Give the file back."""
        self.source.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def changed_while_read(info: AudioInfo) -> AudioError:
    """What to tell of a source of which the samples that were read may be of two states."""
    return AudioError.about(
        info.name,
        "{subject} changed while it was read; filter it again when nothing writes to it any more",
    )


def cut_short(info: AudioInfo) -> AudioError:
    """What to tell of a source that was cut short."""
    there = info.frames or 0
    if info.container == "OGG":
        promise = "pages of it are missing or damaged, {there} frames are there"
    elif info.frames is None:
        promise = "its header promises more than is there"
    else:
        promise = "its header promises {promised} frames, {there} are there"
    return AudioError.about(
        info.name,
        f"{{subject}} is cut short: {promise}{_what_is_there()}",
        there=there,
        promised=there + info.missing,
    )


def _what_is_there() -> str:
    return remedy(f"; use {option('repair', True)} to filter what is there")


class WavReader(Reader):
    """PCM and floating point of WAV, WAVEX, RF64 and W64, from a file or as it flows through a
    pipe.
    """

    def __init__(
        self, source: Source, head: riff.Head, *, repair: bool, ignore_length: bool = False
    ) -> None:
        self._head, self._shift = head, 0
        self._over = b""  # that came at the end of a pipe and make no whole frame
        if head.fmt.unsettled:
            head.fmt, self._shift = riff.justify(
                head.fmt, os.pread(source.raw.fileno(), _JUSTIFIED, head.data_offset), source.name
            )
        elif head.fmt.stated_align not in (head.fmt.align, 0, head.fmt.align // head.fmt.channels):
            head.warnings.append(
                Note.of(
                    "its header states {stated} bytes a frame: read as {taken}, as its bits take",
                    stated=head.fmt.stated_align,
                    taken=head.fmt.align,
                )
            )
        # Where samples lie: first byte and number of bytes; None for all that come.
        self._parts: list[tuple[int, int | None]] = []
        super().__init__(source, self._probe(source, head, ignore_length), repair=repair)
        source.forget()
        self._start_part(0)

    def _probe(self, source: Source, head: riff.Head, ignore_length: bool) -> AudioInfo:
        fmt, subtype = head.fmt, SUBTYPES[head.fmt.subtype or ""]
        promised, there = (
            head.data_size,
            None if source.size is None else source.size - head.data_offset,
        )
        size = promised if there is None else there if promised is None else min(promised, there)
        missing = max(0, (promised or 0) - (size or 0))
        frames = None if size is None else size // fmt.align
        missing_frames = (
            (promised or 0) // fmt.align - frames if missing and frames is not None else 0
        )
        whole = source.seekable and promised is not None and not missing
        rest = rest_of(source, head) if whole else riff.Rest()
        self._parts = [(head.data_offset, size)]
        if ignore_length and rest.size:
            self._parts, rest, missing_frames = _all_parts(source, head, rest)
            frames = sum((size or 0) // fmt.align for _, size in self._parts)
        if promised is None and not source.flowed and not ignore_length:
            head.warnings.append(UNKNOWN_LENGTH)
        metadata = riff_metadata(head, rest)
        joinable = not ignore_length and _joinable(source, head, rest)
        left = b"" if missing_frames or not source.seekable else self._left_of_parts(source)
        partial, said = riff.partial_frame(left, fmt.align)
        warnings = (*head.warnings, *said, *riff.unread_words(rest, joinable=joinable))
        return AudioInfo(
            source.name, head.container, subtype.name, fmt.fs, fmt.channels, frames, missing_frames,
            subtype.dtype, subtype.bits, fmt.extensible, metadata, warnings, rest.size + partial,
            form=head.form, stated_bits=fmt.stated_bits,
        )  # fmt: skip

    def _left_of_parts(self, source: Source) -> bytes:
        """The bytes at the end of each part of a file that make no whole frame."""
        align = self._head.fmt.align
        return b"".join(
            _left_of(source, offset, size, align) for offset, size in self._parts if size
        )

    def _start_part(self, index: int) -> None:
        self._part = index
        offset, self._left = self._parts[index]
        if self.source.seekable:
            self.source.seek(offset)

    def _next(self, frames: int) -> pcm.Array:
        fmt, subtype = self._head.fmt, self.info.subtype
        while (
            self._left is not None and self._left < fmt.align and self._part + 1 < len(self._parts)
        ):
            self._start_part(self._part + 1)
        if self._left is not None:
            frames = min(frames, self._left // fmt.align)
        room, view = pcm.empty(subtype, frames, fmt.channels)
        count = self._fill(view, fmt.align)
        if self._left is not None:
            self._left -= count
        self._over = bytes(view[count - count % fmt.align : count]) if count else self._over
        block = pcm.decode(room, subtype, count // fmt.align, fmt.channels)
        return block << self._shift if self._shift else block

    def _at_end(self) -> None:
        super()._at_end()
        if self.source.seekable or self.info.missing:
            return
        warnings, rest = list(self.info.warnings), riff.Rest()
        if self._head.data_size is not None:
            self._over += self.source.read(self._left or 0)
            self._left = 0
            known = len(self._head.warnings)
            rest = _read_rest(self.source, self._head)
            warnings += self._head.warnings[known:]
        partial, said = riff.partial_frame(self._over, self._head.fmt.align)
        # What a pipe brings is gone by, and with it whether it can be joined.
        warnings += [*said, *riff.unread_words(rest, joinable=False)]
        late = riff_metadata(replace(self._head, before=[], beyond=[]), rest)
        warnings += not_carried(chunk.label for chunk in w64.beyond_riff(late.w64))
        metadata = replace(self.info.metadata, after=late.after)
        self.info = replace(
            self.info, metadata=metadata, warnings=tuple(warnings), unread=rest.size + partial
        )

    def rewind(self) -> None:
        self.frames_read = 0
        self._start_part(0)


def _left_of(source: Source, offset: int, size: int, align: int) -> bytes:
    """The bytes at the end of samples in a file that make no whole frame."""
    size = min(size, (source.size or 0) - offset)
    return os.pread(source.raw.fileno(), size % align, offset + size - size % align)


class RawReader(Reader):
    """Samples that no header tells of, from a file or as they flow through a pipe."""

    def __init__(self, source: Source, form: RawFormat, *, repair: bool) -> None:
        self._form, self._over = form, 0
        subtype, size = form.subtype, source.size
        if source.seekable:
            self._refuse_header(source, os.pread(source.raw.fileno(), _RAW_LOOK, 0))
        frames = None if size is None else size // form.align
        info = AudioInfo(
            source.name, RAW.name, subtype.name, form.fs, form.channels, frames, 0, subtype.dtype,
            subtype.bits,
        )  # fmt: skip
        super().__init__(source, info, repair=repair)
        source.forget()
        if size is not None:
            self._note_rest(size % form.align)

    def _refuse_header(self, source: Source, start: bytes | memoryview) -> None:
        """Nothing is guessed from a header, but filtering one as samples would be noise."""
        start = bytes(start[:_RAW_LOOK])
        if sniff.begins_with_header(start):
            raise AudioError(
                f"{source.name} begins with the header of a file of sound or film, which "
                f"{option('raw')} would filter as samples: leave {option('raw')} out"
            )

    def _next(self, frames: int) -> pcm.Array:
        form = self._form
        room, view = pcm.empty(form.subtype.name, frames, form.channels)
        count = self._fill(view, form.align)
        if not self.frames_read and not self.source.seekable:
            self._refuse_header(self.source, view[:count])
        if count:  # what comes at the end may end within a frame, and nothing comes behind it
            self._over = count % form.align
        return pcm.decode(room, form.subtype.name, count // form.align, form.channels)

    def _at_end(self) -> None:
        super()._at_end()
        if not self.source.seekable:
            self._note_rest(self._over)

    def _note_rest(self, count: int) -> None:
        """Say, or refuse, that there are bytes which make no frame."""
        if not count:
            return
        text = Note.of(
            "{name} ends with {count} of the {align} bytes of a frame of {encoding} in {channels} "
            "channels",
            name=Detail(self.info.name),
            count=count,
            align=self._form.align,
            encoding=self._form.encoding,
            channels=self._form.channels,
        )
        if not self.repair:
            raise AudioError(
                f"{text}: it is cut short or of another format; use {option('repair', True)} to "
                "drop them"
            )
        self.info = replace(
            self.info, warnings=(*self.info.warnings, Note.of("{text}: dropped", text=text))
        )

    def rewind(self) -> None:
        self.frames_read = 0
        self.source.seek(0)


def rest_of(source: Source, head: riff.Head) -> riff.Rest:
    """What lies after the samples of a file; the source is left at the first sample."""
    rest = riff.Rest()
    if head.data_size is not None and head.data_offset + head.data_size < (source.size or 0):
        source.seek(head.data_offset + head.data_size)
        rest = _read_rest(source, head)
    if source.position != head.data_offset:
        source.seek(head.data_offset)
    return rest


def _read_rest(source: Source, head: riff.Head) -> riff.Rest:
    if head.container == "W64":
        return w64.read_rest(source, head.data_size or 0, head.warnings)
    return riff.read_rest(source, head.data_size or 0, head.warnings, head.order)


def _all_parts(
    source: Source, head: riff.Head, rest: riff.Rest
) -> tuple[list[tuple[int, int | None]], riff.Rest, int]:
    """All parts of a file that hold samples, its stated end ignored.

    Returns
    -------
    list of (int, int)
        Offset and bytes of each.
    Rest
        The chunks behind the first part, and what is unread still.
    int
        Frames that the last part promises and does not have.

    Raises
    ------
    AudioError
        A recording that was joined to the first has another format.
    """
    parts: list[tuple[int, int | None]] = [(head.data_offset, head.data_size or 0)]
    chunks, missing, end = rest.chunks, 0, source.size or 0
    while rest.size and rest.kind != "chunks":
        if rest.kind == "bytes":
            offset = parts[-1][0]
            parts[-1], rest = (offset, end - offset), riff.Rest()
            break
        further = _further_head(source, head, rest)
        if (further.fmt.subtype, further.fmt.fs, further.fmt.channels) != (
            head.fmt.subtype,
            head.fmt.fs,
            head.fmt.channels,
        ):
            raise AudioError.about(
                source.name,
                "{subject}: what follows its samples has another format; 'tail -c +{byte} "
                "INPUT' gives it alone",
                byte=rest.offset + 1,
            )
        joined, there = rest.kind == "recording", end - further.data_offset
        stated = there if further.data_size is None else further.data_size
        parts.append((further.data_offset, min(there, stated)))
        missing = max(0, stated - there)
        rest = riff.Rest() if stated >= there else rest_of(source, further)
        if rest.chunks or (joined and further.before):
            head.beyond.append(TAGS_OF_JOINED)
    rest.chunks = chunks
    return parts, rest, missing // head.fmt.align


def _joinable(source: Source, head: riff.Head, rest: riff.Rest) -> bool:
    """Whether all that follows the samples of a file can be read with them."""
    if rest.kind != "recording":
        return False
    try:
        _, left, missing = _all_parts(
            source, replace(head, beyond=[], warnings=[]), replace(rest, chunks=[])
        )
    except AudioError:
        return False
    return not left.size and not missing


def _further_head(source: Source, head: riff.Head, rest: riff.Rest) -> riff.Head:
    """Head of the recording, or of the data chunk, that follows the samples."""
    source.seek(rest.offset)
    if rest.kind == "recording":
        further = read_head(source, source.read(12))
        if further is None:
            raise AudioError.about(
                source.name,
                "{subject}: a recording in another container "
                "follows its samples; 'tail -c +{byte} INPUT' gives it alone",
                byte=rest.offset + 1,
            )
        return further
    header = source.read(24 if head.container == "W64" else 8)
    size = (
        int.from_bytes(header[16:], "little") - 24
        if head.container == "W64"
        else int.from_bytes(header[4:], "little")
    )
    return replace(head, data_offset=source.position, data_size=size)


def _open_decoder(source: Source, recordings: Recordings) -> Decoder:
    try:
        decoder = Decoder(source, recordings.links)
    except FAILURES as error:
        if recordings.lost_pages:
            raise AudioError.about(
                source.name,
                "{subject} is cut short: pages of it are missing or damaged, and the others cannot "
                "be decoded without them ({reason})",
                reason=_reason(error),
            ) from error
        why = _not_read(source, _reason(error))
        raise NotAudioError.about(source.name, "{subject} {why}", why=why) from error
    if decoder.format not in READ:
        decoder.close()
        name = sniff.BEYOND.get(decoder.format, decoder.format)
        raise NotAudioError.about(source.name, "{subject} {why}", why=_is_not_read(name))
    return decoder


class SoundfileReader(Reader):
    """What libsndfile decodes, in containers that are checked (`earfilt.audio.formats.READ`)."""

    def __init__(
        self,
        source: Source,
        magic: bytes,
        head: riff.Head | None,
        *,
        repair: bool,
        ignore_length: bool = False,
    ) -> None:
        recordings = find_recordings(source, magic, head, ignore_length=ignore_length)
        self._file, self._damaged = _open_decoder(source, recordings), False
        self._limit: int | None = None
        self._priming = 0
        super().__init__(source, self._probe(source, magic, head, recordings), repair=repair)
        self._pass_priming()

    def _probe(
        self, source: Source, magic: bytes, head: riff.Head | None, recordings: Recordings
    ) -> AudioInfo:
        file = self._file
        if not (1 <= file.channels <= MAX_CHANNELS and 1 <= file.samplerate <= MAX_FS):
            raise AudioError.about(
                source.name,
                "{subject} is damaged: it claims {channels} channels at {samplerate} Hz",
                channels=file.channels,
                samplerate=file.samplerate,
            )
        subtype = SUBTYPES.get(file.subtype) or Subtype(
            file.subtype, "int16", 16, 0, lossless=False
        )
        frames, position = file.frames, source.raw.tell()
        mpeg_audio = file.subtype.startswith("MPEG")
        # What a lossy stream's header says of its length is checked at its end.
        owed = frames if recordings.owed is None and file.format == "MP3" else recordings.owed
        if mpeg_audio and owed is not None:
            # Encoders and decoders disagree on the delay by parts of a frame.
            self._promised = max(1, owed - mpeg.samples_per_frame(file.samplerate) + 1)
        frames = None if mpeg_audio else frames
        align = subtype.width * file.channels
        promised = promised_frames(source, magic, head, file.frames, align) or 0
        missing = recordings.lost_pages or max(0, promised - (file.frames or 0))
        said: list[str] = []
        if count := recordings.count or _by_packets(recordings, file, missing, said):
            self._limit, self._priming = count.frames, count.priming
            frames, missing = (frames, missing) if mpeg_audio else (count.frames, count.missing)
        metadata = (
            read_metadata(source, file.format, file.tags, [link.start for link in recordings.links])
            if head is None
            else riff_metadata(head, rest_of(source, head))
        )
        partial, torn = (0, []) if missing else _torn(source, recordings, subtype, file.channels)
        rate = rate_words(source, magic, file.samplerate)
        warnings = [*(head.warnings if head else ()), *rate, *said, *torn, *recordings.warnings]
        common = aiff.read_common(source) if file.format == "AIFF" else None
        stated = common.bits if common and common.plain else 0
        if head is not None:
            stated = head.fmt.stated_bits
        source.raw.seek(position)
        info = AudioInfo(
            source.name, file.format, file.subtype, file.samplerate, file.channels, frames, missing,
            subtype.dtype, subtype.bits, head.fmt.extensible if head else None, metadata,
            tuple(dict.fromkeys(warnings)), recordings.rest.size + partial,
            form=head.form if head else "", stated_bits=stated,
        )  # fmt: skip
        return with_speakers(info, source)

    def _next(self, frames: int) -> pcm.Array:
        if self._limit is not None:
            frames = min(frames, self._limit - self.frames_read)
        block = np.empty((frames, self.info.channels), self.info.dtype)
        try:
            return block[: self._file.read(block)]
        except DecodingError as error:
            done = self.frames_read + error.frames
            whole = done == self.info.frames or self._ends_here()
            if self.repair or whole:
                self._damaged = self._damaged or not whole
                if not whole and not self.info.missing:
                    words = Note.of(
                        "the source is damaged after frame {done} ({error}): what follows is left "
                        "out",
                        done=done,
                        error=error,
                    )
                    self.info = replace(self.info, warnings=(*self.info.warnings, words))
                return block[: error.frames]
            raise AudioError.about(
                self.info.name,
                "{subject} is damaged or cut short after frame {done} ({error})" + _what_is_there(),
                done=done,
                error=error,
            ) from error

    def _at_end(self) -> None:
        super()._at_end()
        if self.info.missing or self.info.unread or self._damaged:
            return
        warnings, unread = list(self.info.warnings), 0
        if self.info.container == "MP3":
            tallies = [
                mpeg.tally(self.source.raw.fileno(), link.start, link.end)
                for link in self._file.links
            ]
            unread = sum(
                tally.surplus
                for tally, link in zip(tallies, self._file.links, strict=True)
                if not link.prefix
            )
            if unread:
                words = (
                    "its header states {unread} MPEG frames fewer than there are: they are not "
                    "read" + remedy("; --ignore-length takes them")
                )
                warnings.append(Note.of(words, unread=unread))
            elif tallies[-1].torn and not warnings:
                warnings.append("its last MPEG frame is incomplete: its end is missing")
        elif self.info.container == "FLAC":
            for link, rest in zip(self._file.links, self._flac_rests(), strict=True):
                warnings += self._disorder(link, rest)
                joinable = rest.kind == "recording" and can_join_flac(self.source)
                warnings += riff.unread_words(rest, joinable=joinable)
                unread += rest.size
        self.info = replace(self.info, warnings=tuple(warnings), unread=unread)

    def _flac_rests(self) -> list[riff.Rest]:
        """What lies behind each recording that was read, and belongs to none."""
        places = zip(self._file.links, self._file.reached, strict=True)
        return [rest_behind_flac(self.source, link, *reached) for link, reached in places]

    def _disorder(self, link: Link, rest: riff.Rest) -> list[str]:
        """What to tell of a FLAC recording whose frames do not follow one another; refused, unless
        repairing.
        """
        end = rest.offset if rest.size else link.end or self.source.size or 0
        after = flac_broken_at(self.source, link, end)
        if after is None:
            return []
        words = (
            "do not follow one another after frame {after}: some are missing there, or lie where "
            "they do not belong"
        )
        if self.repair:
            return [Note.of(f"its FLAC frames {words}; what follows is out of time", after=after)]
        raise AudioError.about(
            self.info.name,
            f"{{subject}} is damaged: its FLAC frames {words}{_what_is_there()}",
            after=after,
        )

    def _ends_here(self) -> bool:
        """Whether the frames of a FLAC file of unknown length end where its decoder found no
        further one: with tags and padding.
        """
        unknown = self.info.container == "FLAC" and self.info.frames is None
        if not unknown or len(self._file.reached) < len(self._file.links):
            return False
        return not self._flac_rests()[-1].size

    def rewind(self) -> None:
        self._damaged = False
        self._file.rewind()
        self._pass_priming()
        self.frames_read = 0

    def _pass_priming(self) -> None:
        """Leave out what a codec gives before the first frame of the recording."""
        if self._priming:
            with suppress(DecodingError):  # as the first block will say
                self._file.read(np.empty((self._priming, self.info.channels), self.info.dtype))

    def close(self) -> None:
        self._file.close()
        super().close()


def _torn(
    source: Source, recordings: Recordings, subtype: Subtype, channels: int
) -> tuple[int, list[str]]:
    """Bytes at the end of the samples that make no whole frame or block and would be lost, and what
    to tell of them.
    """
    if recordings.samples is None:
        return 0, []
    if recordings.blocks is None:
        align = subtype.width * channels
        return riff.partial_frame(
            _left_of(source, *recordings.samples, align) if align else b"", align
        )
    (start, size), align = recordings.samples, recordings.blocks.size
    end = min(size, (source.size or 0) - start)
    left = _left_of(source, start, size, align)
    left = blocks.without_padding(left, end, recordings.aligned)
    return riff.partial_frame(
        left, align, unit="block" if recordings.blocks.frames > 1 else "frame"
    )


def _by_packets(
    recordings: Recordings, file: Decoder, missing: int, warnings: list[str]
) -> Count | None:
    """Frames by a table of packets, where it agrees with what these hold."""
    if recordings.packets is None or file.subtype not in PCM_INSTEAD or missing or not file.frames:
        return None
    priming, valid = recordings.packets
    whole = blocks.agreed(file.frames, priming + valid, caf.PACKET, warnings)
    return (
        Count(valid, priming=priming) if whole == priming + valid and priming < caf.PACKET else None
    )


def riff_metadata(head: riff.Head, rest: riff.Rest) -> Metadata:
    """The chunks of a file on both sides of its samples."""
    before, after = head.before, rest.chunks
    every = (*before, *after) if head.container == "W64" else ()
    if every:
        before, after = w64.as_riff(before), w64.as_riff(after)
    tags = riff_tags((*before, *after))
    beyond = tuple(head.beyond)
    return Metadata(tuple(before), tuple(after), w64=every, tags=tags, beyond=beyond)


class NotAudioError(AudioError):
    """Content that is not audio, or none that can be read."""


def _not_read(source: Source, reason: str) -> str:
    """Why a file is not read, with the way out where it is sound."""
    source.seek(0)
    start = source.read(sniff.HEAD)
    if name := sniff.foreign_format(source.raw.fileno(), os.path.splitext(source.name)[1]):
        return _is_not_read(name)
    remedy = ""
    if sniff.begins_as_read(start):
        remedy = f"; {WAY_OUT}"
    elif sniff.begins_with_header(start):
        remedy = f"; if it holds sound, {WAY_OUT}"
    elif not _is_text(start):  # perhaps nothing but samples
        remedy = "; samples without a header need --raw s16le --rate HZ --channels N"
    return f"is not audio that can be read ({reason}){remedy}"


def _is_text(start: bytes) -> bool:
    """Whether the first bytes of a file are of a text."""
    words = start.decode("utf-8", "ignore")
    return len(words) >= len(start) - 3 and all(c.isprintable() or c.isspace() for c in words)


def _is_not_read(name: str) -> str:
    return f"is {name}, which is not read; {sniff.way_out(name)}"


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", "") or str(error)
    return text.rstrip(". ") or type(error).__name__


def open_reader(
    path: str,
    *,
    raw: RawFormat | None = None,
    repair: bool = False,
    ignore_length: bool = False,
    spool: bool = False,
    spool_dir: str | None = None,
    regular: bool = False,
) -> Reader:
    """Open a file, or the standard input for ``-``.

    Parameters
    ----------
    raw : RawFormat, optional
        The source has no header.
    repair : bool
        A source that is cut short ends where it ends, instead of raising.
    ignore_length : bool
        Samples beyond the stated end of a file are read too, and so is a recording of the same
        format that was joined to it.
    spool : bool
        Make a pipe rewindable by storing it on disk (what has to seek is stored anyway).
    spool_dir : str, optional
        Where; default the system's directory for temporary files.
    regular : bool
        Only a file will do, as `open_source`.

    Raises
    ------
    AudioError
        Missing, not permitted, not audio, damaged, or without a single frame.
    """
    return _reader_of(
        open_source(path, regular=regular),
        raw=raw,
        repair=repair,
        ignore_length=ignore_length,
        spool=spool or ignore_length,
        spool_dir=spool_dir,
    )


def open_content(content: bytes, name: str) -> Reader:
    """As `open_reader`, of the content of a file that was read already; its printable name."""
    with tempfile.TemporaryFile(buffering=0) as file:  # libsndfile goes by a descriptor
        write_all(file.write, content)
        raw = WaitingFile(os.dup(file.fileno()), "rb")
    raw.seek(0)
    return _reader_of(Source(raw, name))


def _reader_of(
    source: Source,
    *,
    raw: RawFormat | None = None,
    repair: bool = False,
    ignore_length: bool = False,
    spool: bool = False,
    spool_dir: str | None = None,
) -> Reader:
    try:
        reader = _choose(
            source,
            raw=raw,
            repair=repair,
            ignore_length=ignore_length,
            spool=spool,
            spool_dir=spool_dir,
        )
    except OSError as error:
        source.close()
        if isinstance(error, AudioError):
            raise
        raise AudioError.about(
            source.name, "cannot read {subject}: {why}", why=error.strerror or error
        ) from error
    except BaseException:
        source.close()
        raise
    if reader.info.frames == 0 and not reader.info.missing:
        reader.close()
        unread = f": {reader.info.warnings[-1]}" if reader.info.unread else ""
        raise AudioError.about(source.name, "{subject} holds no samples{unread}", unread=unread)
    return reader


def _choose(
    source: Source,
    *,
    raw: RawFormat | None,
    repair: bool,
    ignore_length: bool,
    spool: bool,
    spool_dir: str | None,
) -> Reader:
    if raw is not None:
        if spool and not source.seekable:
            source.spool(spool_dir)
        return RawReader(source, raw, repair=repair)
    magic = source.read(12)
    if not magic:
        raise AudioError.about(source.name, "{subject} is empty (0 bytes)")
    if (spool or magic[:3] == b"ID3") and not source.seekable:
        source.spool(spool_dir)
        source.seek(len(magic))
    tagged = magic[:3] == b"ID3"
    if tagged:
        magic = _behind_tag(source, magic)
    head = read_head(source, magic)
    if head is not None and head.data_size == 0 and not source.seekable:
        # What follows tells whether the size was never filled in.
        source.spool(spool_dir)
        head = read_head(source, source.read(len(magic)))
    if head is not None and tagged:
        head.beyond.append(TAG_IN_FRONT)
    if head is not None and head.fmt.subtype is not None:
        if head.fmt.unsettled and not source.seekable:
            source.spool(spool_dir)
        return WavReader(source, head, repair=repair, ignore_length=ignore_length)
    if not source.seekable:
        source.spool(spool_dir)
    return SoundfileReader(source, magic, head, repair=repair, ignore_length=ignore_length)


def _behind_tag(source: Source, magic: bytes) -> bytes:
    """The first bytes behind an ID3 tag that was put before a WAV or FLAC file; those of the tag
    where MPEG audio follows.

    Raises
    ------
    AudioError
        A file of another container follows, whose promises would not be looked at.
    """
    start = frame_tags.id3_end(source.raw.fileno(), 0)
    source.seek(start)
    inner = source.read(12)
    if inner[:4] in (*riff.MAGICS, b"fLaC"):
        return inner
    if inner[:4] in riff.RECORDINGS or inner.startswith(sphere.MAGIC):
        raise AudioError.about(
            source.name,
            "{subject} has an ID3 tag before its first byte, where its container has no place for "
            "one; 'tail -c +{first} INPUT' gives it alone",
            first=start + 1,
        )
    return magic


def read_head(source: Source, magic: bytes) -> riff.Head | None:
    """Everything up to the first sample of a file of the RIFF family, whose first 12 bytes were
    read; None of another.
    """
    if magic[:4] in riff.MAGICS and magic[8:] == b"WAVE":
        return riff.read_head(source, magic)
    return w64.read_head(source) if magic == w64.MAGIC else None


def probe(
    path: str,
    *,
    raw: RawFormat | None = None,
    ignore_length: bool = False,
    regular: bool = False,
) -> AudioInfo:
    """What a file is and holds, without reading its samples.

    Raises
    ------
    AudioError
        As `open_reader`.
    """
    with open_reader(
        path, raw=raw, repair=True, ignore_length=ignore_length, regular=regular
    ) as reader:
        return reader.info
