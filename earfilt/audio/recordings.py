"""Where the recordings of a file lie that libsndfile decodes, and what it would leave out without a
word.

libsndfile reads as many samples as a header states, and of recordings that follow one another
(chained Ogg, joined MP3 files) only the first. Here their places are found without believing the
headers; the words that lie are replaced on the way to libsndfile.

References
----------
RFC 3533 (Ogg), sections 4 and 6; ISO 11172-3 (MPEG audio), section 2.4.1.3; the Xing header as LAME
3.100 writes it; Apple, Core Audio Format 1.0; Apple, AIFF 1.3; RFC 9639 (FLAC), section 9.1.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from earfilt.audio import blocks
from earfilt.audio.blocks import Blocks, Count
from earfilt.audio.containers import aiff, au, caf, flac_frames, mpeg, riff, w64
from earfilt.audio.containers.chunks import (
    AIFF,
    CAF,
    RIFF,
    W64,
    Chunk,
    Header,
    Layout,
    Window,
    walk,
)
from earfilt.audio.containers.ogg import opus
from earfilt.audio.containers.ogg.streams import find_streams
from earfilt.audio.containers.riff import Rest
from earfilt.audio.containers.truncation import UNKNOWN_AIFF
from earfilt.audio.decoder import FAILURES, Decoder, DecodingError, Link
from earfilt.audio.frame_tags import between_tags
from earfilt.audio.metadata import sphere
from earfilt.errors import AudioError, Note
from earfilt.wording import remedy

if TYPE_CHECKING:
    from earfilt.audio.containers.aiff import Common
    from earfilt.audio.containers.ogg.streams import Stream
    from earfilt.audio.containers.riff import Head
    from earfilt.audio.source import Source

_MAX_WORD = 2**32 - 256
_SIGNED = 0x7FFF0000
_MAX_ALIGN = 8 * 1024
_MPEG_IN_WAV = (0x50, 0x55)
# headers of FLAC frames that do not follow: how many are decoded, each with what lies up to how many
# others; a few bytes within a frame may look like a header
_TRIED, _NEXT = 64, 4
_TORN = "its last MPEG frame is incomplete: its end is missing"
_DS64_SIZE = 28  # where RF64 states the bytes of samples

UNKNOWN_LENGTH = "its header does not state its length: all up to its end is taken for samples"
"""What to say of a file that looks as if it had been written into a pipe, or never finished."""


@dataclass
class Recordings:
    """What a file holds.

    Attributes
    ----------
    links : list of Link
        The recordings, one behind the other.
    lost_pages : int
        Pages of an Ogg file that are damaged or missing.
    rest : Rest
        Bytes that are not read and would be lost with the file.
    samples : tuple of (int, int), optional
        First byte, and number, of those of samples that are not compressed, or lie in blocks.
    aligned : int
        Bytes of padding behind the samples are fewer than so many.
    blocks : Blocks, optional
        Of their codec.
    count : Count, optional
        Frames, where blocks tell.
    owed : int, optional
        Frames that a decoder has to deliver, where its own guess is worth nothing.
    packets : tuple of (int, int), optional
        Frames before the first one of the recording, and of the recording, by a table of packets.
    warnings : list of str
    """

    links: list[Link] = field(default_factory=lambda: [Link()])
    lost_pages: int = 0
    rest: Rest = field(default_factory=Rest)
    samples: tuple[int, int] | None = None
    aligned: int = 1
    blocks: Blocks | None = None
    count: Count | None = None
    owed: int | None = None
    packets: tuple[int, int] | None = None
    warnings: list[str] = field(default_factory=list)

    def leave(self, rest: Rest) -> None:
        """Say that bytes of another format are not read."""
        self.rest = rest
        self.warnings += riff.unread_words(rest, joinable=False)


def find_recordings(
    source: Source, magic: bytes, head: riff.Head | None, *, ignore_length: bool
) -> Recordings:
    """Look through a file.

    Parameters
    ----------
    source : Source
        A file; its position is left anywhere.
    magic : bytes
        Its first 12 bytes.
    head : Head or None
        Of a file of the RIFF family.
    ignore_length : bool
        Samples beyond the stated end belong to the recording.
    """
    if head is not None:
        return _Sized(source, ignore_length).riff(head)
    if magic[:4] == b"OggS":
        return _ogg(source)
    if magic[:4] == b"fLaC":
        return _flac(source, ignore_length)
    if magic[:4] == b"FORM" and magic[8:] in (b"AIFF", b"AIFC"):
        return _Sized(source, ignore_length).aiff()
    if magic[:4] == b"caff":
        return _Sized(source, ignore_length).caf()
    if magic[:4] in au.ORDERS:
        return _Sized(source, ignore_length).au()
    if magic.startswith(sphere.MAGIC):
        return _Sized(source, ignore_length).sphere()
    return _mpeg(source, ignore_length)


def _mpeg(source: Source, ignore_length: bool) -> Recordings:
    """MPEG audio; what is none has no frames."""
    file = source.raw.fileno()
    found = Recordings(links=[])
    damaged = owed = 0
    counted = None
    for start, end in mpeg.find_streams(file):
        counted = mpeg.tally(file, start, end)
        link = _mpeg_link(file, start, end, counted, ignore_length)
        found.links.append(link)
        each = mpeg.samples_of(os.pread(file, 4, counted.start))
        owed += (counted.frames - counted.torn) * each if link.seen and not counted.damaged else 0
        found.warnings += _damage(counted)
        damaged += counted.damaged
        if end is None:
            found.leave(rest_behind(source, *counted.behind))
    found.rest.size += damaged
    if found.links and all(link.seen for link in found.links):
        found.owed = owed
    found.links = found.links or [Link()]
    if missing := mpeg.missing_bytes(file):
        found.warnings.append(
            Note.of(
                "its header states {missing} bytes more than the file holds: its end is missing",
                missing=missing,
            )
        )
    elif counted is not None and counted.torn:
        found.warnings.append(_TORN)
    return found


def _damage(counted: mpeg.Tally) -> list[str]:
    """What to tell of bytes among frames."""
    words = "{damaged} bytes among its MPEG frames are not frames: what was there is lost"
    return [Note.of(words, damaged=counted.damaged)] if counted.damaged else []


def fewer_words(unread: int) -> Note:
    """What to tell of MPEG frames that a header does not count."""
    words = (
        "its header states {unread} MPEG frames fewer than there are: they are not read"
        + remedy("; --ignore-length takes them")
    )
    return Note.of(words, unread=unread)


def _mpeg_link(
    file: int, start: int, end: int | None, counted: mpeg.Tally, ignore_length: bool
) -> Link:
    if counted.behind[0] < counted.behind[1]:
        end = counted.behind[0]
    if counted.stated is None or (ignore_length and counted.surplus):
        # libsndfile ends where a header says or, without one, where it guesses: with variable bit
        # rates, anywhere.
        prefix = mpeg.header_for(file, counted)
        if not prefix:  # layers I and II
            return Link(start, counted.end, seen=mpeg.seen_bytes(file, counted))
        return Link(counted.start, end, prefix=prefix)
    return Link(start, end)


def _ogg(source: Source) -> Recordings:
    """The first stream of each link."""
    size = source.size or 0
    streams, strange = find_streams(source.raw.fileno())
    if not streams:
        return Recordings()
    last = streams[-1]
    found = Recordings(
        lost_pages=sum(stream.lost + (not stream.finished) for stream in streams)
        + (not streams[0].first.begins)
    )
    if strange:
        words = "{strange} bytes between its pages belong to none and are not read"
        found.warnings.append(Note.of(words, strange=strange))
    beside = sum(sum(stream.beside.values()) for stream in streams)
    if beside:
        words = "its streams beside the first ({count} of them, {beside} bytes) are not read"
        if any(stream.sounds for stream in streams):
            words += "; 'ffmpeg -i INPUT -map 0:a:1 OUTPUT.wav' gives the second that is sound"
        count = max(len(stream.beside) for stream in streams)
        found.warnings.append(Note.of(words, count=count, beside=beside))
    if last.finished:
        found.leave(rest_behind(source, last.end))
    # libsndfile looks for the last page near the end of what it gets, and takes zeros for damage.
    ends = [*(stream.end for stream in streams[:-1]), last.end if last.end < size else None]
    starts = [0, *(stream.first.at for stream in streams[1:])]
    rate = _opus_rate(streams, found.warnings)
    found.links = [
        Link(start, end, {start: opus.with_rate(stream.first, rate)} if rate else None)
        for start, end, stream in zip(starts, ends, streams, strict=True)
    ]
    found.rest.size += strange + beside
    return found


def _opus_rate(streams: list[Stream], warnings: list[str]) -> int | None:
    """What libsndfile is to see in the headers of Opus in place of what they state, which is for
    information only (RFC 7845, section 5.1): it decodes at that rate, and takes none for 8 kHz.
    """
    rates = [opus.stated_rate(stream.first) for stream in streams]
    stated = rates[0]
    if stated is None or None in rates:
        return None
    fs = max(opus.decoded_rate(rate or 0) for rate in rates)
    band = max(stream.band for stream in streams)
    # The codec has no band for 12 kHz where it transforms: it takes the next one.
    if band > max(fs, 16_000 if fs == 12_000 else 0):
        words = (
            "its header states {stated} Hz, and its packets hold sound of {band} Hz: read, and "
            "written, as {full} Hz"
        )
        fs = opus.RATES[-1]
        warnings.append(Note.of(words, stated=stated, band=band, full=fs))
    elif stated not in (0, fs):
        warnings.append(_read_as(stated, fs))
    return (
        None if all(0 < (rate or 0) <= fs == opus.decoded_rate(rate or 0) for rate in rates) else fs
    )


def rate_words(source: Source, magic: bytes, fs: int) -> list[str]:
    """What to tell of a rate that is no whole number of Hz and is taken for ``fs``."""
    stated = None
    if magic[:4] == b"FORM":
        common = aiff.read_common(source)
        stated = common.rate if common else None
    elif magic[:4] == b"caff":
        stated = caf.stated_rate(source)
    if stated is None or stated == fs:
        return []
    return [_read_as(stated, fs)]


def _read_as(stated: float, fs: int) -> Note:
    words = "its sampling rate of {stated:.10g} Hz is read, and written, as {fs} Hz"
    return Note.of(words, stated=stated, fs=fs)


def rest_behind(source: Source, begin: int, end: int | None = None) -> Rest:
    """What lies behind the last frame of a recording, but for tags and padding.

    Parameters
    ----------
    source : Source
        A file.
    begin, end : int
        First byte, and the one behind the last; None for the end of the file.
    """
    file = source.raw.fileno()
    first, last = between_tags(file, begin, source.size or 0 if end is None else end)
    if first == last:
        return Rest()
    joined = os.pread(file, 4, first) in riff.RECORDINGS
    return Rest(offset=first, size=last - first, kind="recording" if joined else "strange")


def _between(starts: list[int]) -> list[Link]:
    return [Link(start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _flac(source: Source, ignore_length: bool) -> Recordings:
    if ignore_length and (further := flac_frames.joined_starts(source)):
        return Recordings(_between([0, *further]))
    stated = flac_frames.stated_frames(source)
    there = flac_frames.frames_at_end(source)
    if not stated or there <= stated:
        return Recordings()
    if ignore_length:
        return Recordings([Link(patches=flac_frames.without_length(source))])
    note = Note.of(
        "its header states {stated} frames, {there} are there: the others are not read"
        + remedy("; --ignore-length takes them"),
        stated=stated,
        there=there,
    )
    return Recordings(rest=Rest(offset=0, size=source.size or 0, kind="frames"), warnings=[note])


def can_join_flac(source: Source) -> bool:
    """Whether FLAC recordings that follow one another can be read as one."""
    starts = flac_frames.joined_starts(source)
    try:
        Decoder(source, _between([0, *starts])).close()
    except (AudioError, *FAILURES):
        return False
    return bool(starts)


def rest_behind_flac(source: Source, link: Link, position: int, frames: int) -> Rest:
    """What lies behind the last frame of a FLAC recording that was decoded, but for tags and
    padding.

    Parameters
    ----------
    source : Source
    link : Link
        The recording.
    position : int
        Where the decoder had come to, a little behind that frame.
    frames : int
        Samples of a channel that it delivered.
    """
    end = source.size or 0 if link.end is None else link.end
    begin = flac_frames.last_frame(source, link.start, position, frames)
    if begin is not None:
        position = _frame_end(source, flac_frames.open_head(source, link.start), begin, end)
    return rest_behind(source, position, end)


def flac_broken_at(source: Source, link: Link, end: int) -> int | None:
    """Behind which of its samples (of a channel) the frames of a FLAC recording do not follow one
    another, by their own numbers: some are missing there, or lie where they do not belong, of which
    decoders say nothing. None where all do.

    Parameters
    ----------
    source : Source
    link : Link
        The recording.
    end : int
        The byte behind its last frame.
    """
    due: int | None = None
    strange: list[tuple[int, int]] = []  # headers that do not follow, and what was due there
    places: list[int] = []
    for at, first, last in flac_frames.spans(source, link.start, end):
        if due is None or first == due:
            due = last
        elif len(strange) < _TRIED:
            strange.append((at, due))
        if strange and len(places) < 2 * _TRIED:
            places.append(at)
    head = flac_frames.open_head(source, link.start)
    for at, due in strange:
        ends = [place for place in places if place > at][:_NEXT] or [end]
        if any(_decodes(source, Link(at, last, prefix=head)) for last in ends):
            return due
    return None


def _frame_end(source: Source, head: bytes, begin: int, end: int) -> int:
    """Where the frame ends that begins at a byte: so many bytes are needed to decode it, and no
    fewer.
    """

    def suffice(at: int) -> bool:
        return _decodes(source, Link(begin, at, prefix=head))

    if not suffice(end - 1):
        return end
    least, most = begin, min(end - 1, begin + flac_frames.LONGEST)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if suffice(middle) else (middle, most)
    return most


def _decodes(source: Source, link: Link) -> bool:
    """Whether a link gives samples."""
    try:
        decoder = Decoder(source, [link])
    except FAILURES:
        return False
    try:
        return decoder.read(np.empty((1, decoder.channels), np.int32)) > 0
    except DecodingError as error:
        return error.frames > 0
    finally:
        decoder.close()


class _Sized:
    """Files whose header states how many bytes of samples there are."""

    def __init__(self, source: Source, ignore_length: bool) -> None:
        self._source, self._ignore = source, ignore_length
        self._size = source.size or 0
        self._found = Recordings()
        self._patches: dict[int, bytes] = {}
        self._stated: int | None = None

    def _open(self, start: int) -> None:
        """Note that samples begin at a byte and no header says how many."""
        if self._size > start and not self._source.flowed and not self._ignore:
            self._found.warnings.append(UNKNOWN_LENGTH)

    def riff(self, head: riff.Head) -> Recordings:
        """WAV with a codec that libsndfile decodes."""
        start, size, wide = head.data_offset, head.data_size, head.container == "W64"
        self._found.samples = start, self._size if size is None else size
        self._found.aligned = 8 if wide else 2
        self._found.blocks, self._stated = head.fmt.blocks, head.stated_frames
        words = {start - 8: "<Q"} if wide else {start - 4: head.order + "I"}
        if head.container == "RF64":
            words = {_DS64_SIZE: "<Q"} if self._window(12).read(4) == b"ds64" else {}
        if size is None:
            self._open(start)
            self._state_size(words, start)
        elif wide:
            self._source.seek(start + size)
            self._found.rest = w64.read_rest(self._source, size, [])
        else:
            self._look(start, size, AIFF if head.order == ">" else RIFF)
        if head.fmt.extensible and head.format_at is not None:
            # libsndfile takes any extended format of W64 for PCM
            self._patches[head.format_at] = struct.pack("<H", head.fmt.tag)
        found = self._patched(words, start)
        if head.fmt.tag in _MPEG_IN_WAV:
            self._count_mpeg(head)
        return found

    def _count_mpeg(self, head: Head) -> None:
        """Frames of MPEG audio in WAV, and what of it is not read."""
        found, file = self._found, self._source.raw.fileno()
        start, size = found.samples or (0, 0)
        counted = mpeg.tally(file, start, min(self._size, start + size))
        found.warnings += _damage(counted)
        found.rest.size += counted.damaged
        if counted.torn:
            found.warnings.append(_TORN)
        if counted.stated is None:
            seen = start + mpeg.seen_bytes(file, counted)
            (link,) = found.links
            found.links = [replace(link, end=counted.end, seen=seen)]
            each = mpeg.samples_of(os.pread(file, 4, counted.start))
            held = (counted.frames - counted.torn) * each
            if not (counted.damaged or counted.torn):
                stated = None if self._ignore else head.stated_frames
                held = blocks.agreed(held, stated, each, found.warnings)
                found.count = Count(held)
            # A decoder may leave out frames that follow upon damage.
            found.owed = None if counted.damaged else held
        elif counted.surplus and self._ignore:
            self._patches[counted.place] = struct.pack(">I", counted.frames)
            self._linked()
        elif counted.surplus:
            found.warnings.append(fewer_words(counted.surplus))
            found.rest.size += counted.surplus

    def aiff(self) -> Recordings:
        """AIFF and AIFF-C."""
        common = aiff.read_common(self._source)
        if common is not None:
            self._found.blocks = blocks.of_aiff(common.codec, common.channels)
            self._found.aligned, self._stated = 2, common.frames
        for header in walk(self._window(aiff.HEAD), AIFF):
            if header.name == b"SSND":
                # libsndfile itself reads on to the end where the size is 0.
                self._found.samples = header.at + 8, header.size - 8
                short_of = UNKNOWN_AIFF - (header.size - 8)  # whole frames of it
                open_end = 0 <= short_of < _MAX_ALIGN and header.at + header.size > self._size
                if header.size >= 8 and not open_end:
                    self._look(header.at, header.size, AIFF)
                else:
                    self._found.samples = header.at + 8, self._size
                    self._open(header.at + 8)
                return self._patched_aiff(header.at, common)
        return self._found

    def _patched_aiff(self, start: int, common: Common | None) -> Recordings:
        if self._found.blocks and common and self._found.samples:
            self._stated = aiff.frames_of_codec(
                common,
                self._found.samples[1] // self._found.blocks.size * self._found.blocks.frames,
            )
        found = self._patched({start - 4: ">I"}, start)
        if found.count and common and common.codec != aiff.IMA4:
            # libsndfile reads as many frames as the description says.
            self._patches[common.at + 2] = struct.pack(">I", found.count.frames)
            return self._linked()
        return found

    def caf(self) -> Recordings:
        """Core Audio."""
        self._found.packets = caf.packet_table(self._source)
        for header in walk(self._window(caf.START), CAF):
            if header.name == b"data":
                start, size = header.at, header.size
                # libsndfile refuses a size that was never filled in, -1, and one beyond the end of
                # the file.
                if size <= 4 or start + size > self._size:
                    self._patches[start - 8] = struct.pack(">q", self._size - start)
                    size = self._size
                    if header.size <= 4:
                        self._open(start + 4)
                else:
                    self._look(start, size, CAF)
                self._found.samples = start + 4, size - 4
                return self._patched({start - 8: ">q"}, start)
        return self._found

    def au(self) -> Recordings:
        """Sun and NeXT."""
        head = au.read_head(self._source)
        if head is None:  # cut off in it, which libsndfile refuses
            return self._found
        start, size, word = head.start, head.size, head.order + "I"
        # libsndfile takes the word for a signed one.
        if (size == 0 or (size >= _SIGNED and start + size >= self._size)) and self._size > start:
            self._patches[au.SIZE] = struct.pack(word, au.UNKNOWN)
        self._found.blocks = blocks.of_au(head.encoding)
        self._found.samples = start, size or au.UNKNOWN
        if size in (0, au.UNKNOWN):
            self._open(start)
        elif self._size > start + size:
            self._unread(start + size)
        return self._patched({au.SIZE: word}, start)

    def sphere(self) -> Recordings:
        """NIST SPHERE, of which libsndfile reads all up to the end."""
        start, frames, align = sphere.find_samples(self._source)
        if frames is None:
            self._open(start)
            self._found.samples = start, self._size
            return self._found
        size = frames * align
        self._found.samples = start, size
        if self._size > start + size:
            self._unread(start + size)
        if self._ignore and self._found.rest.kind == "bytes":
            self._found.rest, self._found.samples = Rest(), (start, self._size)
        else:
            there = min(frames, max(0, self._size - start) // align)
            self._found.count = Count(there, frames - there)
        self._found.warnings += riff.unread_words(self._found.rest, joinable=False)
        return self._found

    def _window(self, at: int) -> Window:
        return Window.of(self._source, at)

    def _look(self, start: int, size: int, layout: Layout) -> None:
        """Follow the chunks after the samples."""
        end = start + size
        begin = end + layout.padding(size)
        first = next(walk(self._window(begin), layout), None)
        # Not every program writes the byte of padding.
        unpadded = begin > end and riff.is_chunk_name(self._window(end).read(4))
        if first is not None and not self._is_chunk(first) and unpadded:
            begin = end
        chunks = False
        for header in walk(self._window(begin), layout):
            if not self._is_chunk(header):
                self._unread(header.begin if chunks else end, chunks=chunks)
                return
            chunks = True

    def _is_chunk(self, header: Header) -> bool:
        fits = 0 <= header.size <= self._size - header.at
        return riff.is_chunk_name(header.name) and (fits or riff.is_known(header.name))

    def _unread(self, at: int, *, chunks: bool = False) -> None:
        self._source.seek(at)
        rest = self._found.rest
        rest.offset, rest.chunks = at, [Chunk(b"", b"")] if chunks else []
        riff.count_unread(self._source, self._source.read(8), rest, self._found.warnings)
        rest.chunks = []

    def _patched(self, words: dict[int, str], start: int) -> Recordings:
        """With the samples beyond the stated end, where they are asked for; ``words`` are the
        places of sizes.
        """
        found = self._found
        if found.packets and found.rest.kind == "bytes":  # which no packet holds
            found.rest.kind = "strange"
        if self._ignore and found.rest.kind == "bytes":
            self._state_size(words, start)
            found.rest = Rest()
            if found.samples:
                found.samples = found.samples[0], self._size
                self._stated = None
        self._count_blocks()
        found.warnings += riff.unread_words(found.rest, joinable=False)
        return self._linked()

    def _state_size(self, words: dict[int, str], start: int) -> None:
        """Let libsndfile see all up to the end of the file as samples."""
        there = self._size - start
        long = any(word.endswith(("q", "Q")) for word in words.values())
        if there >= _MAX_WORD and not long:
            self._found.warnings.append(
                "its samples pass 4 GiB, which its header cannot state: what lies beyond "
                "is left behind"
            )
        for at, word in words.items():
            counted = W64.counts if word == "<Q" and at != _DS64_SIZE else 0
            self._patches[at] = struct.pack(
                word, min(there + counted, 2**62 if long else _MAX_WORD)
            )

    def _linked(self) -> Recordings:
        rest = self._found.rest
        end = rest.offset if rest.kind == "recording" else None
        self._found.links = [Link(end=end, patches=dict(self._patches) or None)]
        return self._found

    def _count_blocks(self) -> None:
        found = self._found
        if found.blocks is None or found.samples is None:
            return
        start, size = found.samples
        there = max(0, self._size - start)
        open_end = size in (self._size, au.UNKNOWN)
        found.count = blocks.count_frames(
            found.blocks,
            there if open_end else size,
            there,
            self._stated,
            found.warnings,
            aligned=found.aligned,
        )
