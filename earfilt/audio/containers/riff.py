"""The chunks of WAV, RF64 and BW64 files, walked without believing them.

References
----------
Microsoft, Multimedia Programming Interface and Data Specifications 1.0 (1991), RIFF and WAVE; EBU
Tech 3285 (bext); EBU Tech 3306 and ITU-R BS.2088 (RF64, BW64, ds64).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from earfilt.audio.blocks import Blocks, of_wave
from earfilt.audio.containers.chunks import (
    AIFF,
    MAX_CHUNKS,
    MAX_METADATA,
    RIFF,
    STREAMING,
    Bytes,
    Chunk,
    Header,
    Layout,
    is_legible,
    walk,
)
from earfilt.audio.formats import GUID_TAIL, MAX_CHANNELS, MAX_FS, SUBTYPES, WAY_OUT, Extensible
from earfilt.audio.frame_tags import between_tags
from earfilt.errors import AudioError, Note
from earfilt.wording import remedy

if TYPE_CHECKING:
    from earfilt.audio.source import Source

MAGICS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_WIDE = (b"RF64", b"BW64")

STRUCTURE = (
    b"fmt ",
    b"ds64",
    b"data",
    b"fact",
    b"PEAK",
    b"levl",
    b"JUNK",
    b"junk",
    b"PAD ",
    b"FLLR",
    b"slnt",
)
"""Chunks that describe the samples or fill space: written anew, never carried. All others are
carried byte for byte.
"""

RECORDINGS = (*MAGICS, b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd", b"dns.")
"""Names with which another recording begins, where files were joined end to end: never carried as a
chunk.
"""

_KNOWN = frozenset(
    (
        *STRUCTURE,
        *RECORDINGS,
        b"LIST",
        b"bext",
        b"iXML",
        b"axml",
        b"chna",
        b"cue ",
        b"smpl",
        b"inst",
        b"id3 ",
        b"ID3 ",
        b"cart",
        b"acid",
        b"strc",
        b"DISP",
        b"_PMX",
        b"afsp",
        b"umid",
        b"minf",
        b"elm1",
        b"regn",
    )
)
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")

_PADDING = 1 << 20
"""So many zero bytes at the end of a file, and no more, are taken for padding and not for silence.
"""

OPEN_ENDS = (
    0x7FFFF000,  # SoX, MPlayer, mpv, eSpeak
    0x7FFFFF00,  # arecord of older ALSA
    0x7FFFFFFF,  # LAME, opusdec, oggdec
    0x80000000,  # arecord
    STREAMING,  # ffmpeg
)
"""Sizes that programs write which cannot know the length: into a pipe, or before they end."""

MAX_DESCRIPTION = 4096
"""Bytes that are read of a chunk that describes the samples."""

Order = Literal["<", ">"]
"""Of the bytes in a word: low or high first, as `struct` calls them."""

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_AMBISONIC_TAIL = bytes.fromhex("00002107d3118644c8c1ca000000")


@dataclass(frozen=True)
class WaveFormat:
    """What the fmt chunk says, and the bytes of a frame that follow from it.

    ``subtype`` is None for codecs that are left to libsndfile, whose ``tag`` and ``blocks`` say how
    their samples lie; ``stated_align`` is what the chunk says that a frame takes, ``stated_bits``
    that a sample has.
    """

    subtype: str | None
    fs: int
    channels: int
    align: int
    extensible: Extensible | None
    stated_align: int = 0
    stated_bits: int = 0
    tag: int = 0
    blocks: Blocks | None = None

    @property
    def unsettled(self) -> bool:
        """Whether 24 bits are said to take four bytes (see `justify`)."""
        return self.subtype == "PCM_24" and self.stated_align == 4 * self.channels


@dataclass
class Rest:
    """What follows the samples.

    Attributes
    ----------
    chunks : list of Chunk
        To carry.
    offset, size : int
        First byte, and number, of the bytes that are neither carried nor understood.
    kind : '', 'bytes', 'recording', 'data', 'chunks', 'frames' or 'strange'
        What they are: nothing; no chunk at all, as samples look that lie beyond the stated end;
        another recording; another data chunk; something behind chunks that made sense; frames of a
        codec; something behind the last of these.
    """

    chunks: list[Chunk] = field(default_factory=list)
    offset: int = 0
    size: int = 0
    kind: Literal["", "bytes", "recording", "data", "chunks", "frames", "strange"] = ""


@dataclass
class Head:
    """Everything up to the first sample.

    Attributes
    ----------
    data_size : int or None
        Bytes of samples that the header promises; None where it does not know them (a stream).
    beyond : list of str
        Names of what is not carried.
    form : str
        ``BW64`` or ``RIFX`` where the file begins so.
    stated_frames : int or None
        Frames by the fact chunk, or by ds64 where that has them.
    format_at : int or None
        First byte of what the fmt chunk says, in W64.
    """

    container: str
    fmt: WaveFormat
    data_offset: int
    data_size: int | None
    before: list[Chunk] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    order: Order = "<"
    beyond: list[str] = field(default_factory=list)
    form: str = ""
    stated_frames: int | None = None
    format_at: int | None = None


def parse_format(data: bytes, name: str, order: Order = "<") -> WaveFormat:
    """Read a fmt chunk; what RIFX holds, whose words begin with their high byte, is left to
    libsndfile.

    Raises
    ------
    AudioError
        Too short, or with channels or a rate that no file can have.
    """
    if len(data) < 16:
        raise AudioError.about(
            name,
            "{subject} is damaged: its fmt chunk has {size} bytes and needs 16 at least",
            size=len(data),
        )
    tag, channels, fs, _, align, bits = struct.unpack_from(order + "HHIIHH", data)
    extensible, stated = None, 0
    if tag == _EXTENSIBLE and len(data) >= 40:
        stated, mask, guid = struct.unpack_from(order + "HI16s", data, 18)
        extensible = Extensible(mask, guid)
        if guid[2:] in (GUID_TAIL, _AMBISONIC_TAIL):
            tag = struct.unpack_from("<H", guid)[0]
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError.about(
            name,
            "{subject} is damaged: it claims {channels} channels "
            "(1 to {max_channels} are possible)",
            channels=channels,
            max_channels=MAX_CHANNELS,
        )
    if not 1 <= fs <= MAX_FS:
        raise AudioError.about(
            name,
            "{subject} is damaged: it claims a sampling rate of {fs} Hz "
            "(1 to {max_fs} are possible)",
            fs=fs,
            max_fs=MAX_FS,
        )
    if not bits or (tag == _FLOAT and bits not in (32, 64)):
        bits = 8 * (align // channels)
    subtype = _subtype(tag, bits) if order == "<" else None
    stated_bits = (min(stated, bits) or bits) if tag == _PCM else 0
    if subtype is None:
        blocks = of_wave(tag, channels, align)
        return WaveFormat(None, fs, channels, align, extensible, 0, stated_bits, tag, blocks)
    # The size of a frame follows from channels and bits; the word that repeats it is often wrong,
    # and no program reads it.
    width = SUBTYPES[subtype].width
    return WaveFormat(subtype, fs, channels, width * channels, extensible, align, stated_bits)


def _subtype(tag: int, bits: int) -> str | None:
    if tag == _PCM and 1 <= bits <= 32:
        return ("PCM_U8", "PCM_16", "PCM_24", "PCM_32")[(bits - 1) // 8]
    return {(_FLOAT, 32): "FLOAT", (_FLOAT, 64): "DOUBLE"}.get((tag, bits))


def justify(fmt: WaveFormat, samples: bytes, name: str) -> tuple[WaveFormat, int]:
    """How 24 bits lie whose frames are said to take four bytes a sample: programs do not agree, so
    that the samples decide.

    Parameters
    ----------
    samples : bytes
        The first of them.

    Returns
    -------
    WaveFormat, int
        And the number of bits by which samples are shifted up.

    Raises
    ------
    AudioError
        They are floating point (Cool Edit's "16.8 float").
    """
    words = np.frombuffer(samples[: len(samples) // 4 * 4], "<i4")
    wide = replace(fmt, subtype="PCM_32", align=4 * fmt.channels)
    if not (words & 0xFF).any():
        return wide, 0
    if (words >> 23 == words >> 31).all():
        return wide, 8
    with np.errstate(invalid="ignore"):
        sizes = np.abs(words.view("<f4"))
    if np.mean((sizes == 0) | ((sizes > 2.0**-30) & (sizes < 2.0**17))) > 0.99:
        raise AudioError.about(
            name,
            "{subject} holds 24 bits in floating point as Cool Edit wrote them, which is not "
            "read here; {way_out}",
            way_out=WAY_OUT,
        )
    return fmt, 0


def read_head(source: Source, magic: bytes) -> Head:
    """Walk to the first sample.

    Parameters
    ----------
    source : Source
        Behind its first 12 bytes.
    magic : bytes
        Those 12 bytes.

    Raises
    ------
    AudioError
        No fmt or no data chunk.
    """
    order: Order = ">" if magic[:4] == b"RIFX" else "<"
    fmt: WaveFormat | None = None
    data: tuple[int, int] | None = None
    data64: int | None = None
    frames: int | None = None
    frames64: int | None = None
    before: list[Chunk] = []
    warnings: list[str] = []
    for header in walk(source, LAYOUTS[order]):
        if header.name == b"data" and data is None:
            data = header.at, header.size
            if fmt is None and not source.seekable:
                raise AudioError.about(
                    source.name, "{subject} is damaged: its samples come before its fmt chunk"
                )
        elif header.name == b"fmt ":
            content = source.read(min(header.size, MAX_DESCRIPTION))
            fmt = parse_format(content, source.name, order)
        elif header.name == b"ds64":
            content = source.read(min(header.size, MAX_DESCRIPTION))
            data64 = struct.unpack_from("<Q", content, 8)[0] if len(content) >= 16 else None
            frames64 = struct.unpack_from("<Q", content, 16)[0] if len(content) >= 24 else None
        elif header.name == b"fact" and data is None:
            content = source.read(min(header.size, MAX_DESCRIPTION))
            frames = struct.unpack_from(order + "I", content)[0] if len(content) >= 4 else None
        elif data is None:  # what lies behind the samples is read with the rest
            _carry(source, header, before, warnings, order)
        if fmt is not None and data is not None:
            if source.position != data[0]:
                source.seek(data[0])
            promised = _promised(source, magic, data[1], data64, fmt, order)
            form = magic[:4].decode("ascii") if magic[:4] in (b"BW64", b"RIFX") else ""
            return Head(
                _container(magic, fmt), fmt, data[0], promised, before, warnings, order, form=form,
                stated_frames=frames64 if frames == STREAMING else frames,
            )  # fmt: skip
    raise no_samples(source, fmt)


def no_samples(source: Source, fmt: WaveFormat | None) -> AudioError:
    """Of a file that ends before its samples."""
    return AudioError.about(
        source.name,
        "{subject} is damaged: no {missing} chunk in it",
        missing="data" if fmt else "fmt",
    )


def read_rest(source: Source, taken: int, warnings: list[str], order: Order = "<") -> Rest:
    """The chunks after the samples, up to where no more make sense.

    Parameters
    ----------
    source : Source
        Behind the last sample.
    taken : int
        Bytes of the data chunk.
    warnings : list of str
        Gets a line for each chunk that is cut short or too big to carry, and for what is no chunk.
    """
    rest, said, begin = Rest(), len(warnings), source.position
    named, count = False, 0
    for header in walk(source, LAYOUTS[order], behind=taken):
        count += 1
        rest.offset = header.begin
        name, raw = header.name, header.raw
        if name in (*RECORDINGS, b"data") or not (
            header.is_legible and (name in _KNOWN or _fits(source, header.size))
        ):
            if rest.chunks and not named and source.seekable and name not in RECORDINGS:
                # Names that nobody knows, and then none at all: samples that looked like chunks.
                rest = Rest(offset=begin)
                source.seek(begin)
                raw = source.read(len(raw))
                del warnings[said:]
            count_unread(source, raw, rest, warnings)
            return rest
        _carry(source, header, rest.chunks, warnings, order)
        named = named or name in _KNOWN
    if count == MAX_CHUNKS:
        warnings.append(
            f"more than {MAX_CHUNKS} chunks follow the samples: the rest is left behind"
        )
    return rest


def count_unread(source: Source, header: bytes, rest: Rest, warnings: list[str]) -> None:
    """Say what the bytes are that begin with ``header`` and go on to the end of the file."""
    begin = source.position - len(header)
    start = header + source.read(_PADDING)
    size = len(start) + (
        source.size - source.position if source.size is not None else source.skip(2**62)
    )
    if start.startswith(_TAGS):
        first, last = begin + size, begin + size
        if source.size is not None:
            first, last = between_tags(source.raw.fileno(), begin, begin + size)
            header = os.pread(source.raw.fileno(), 4, first)
        if first < last:
            rest.offset, rest.size = first, last - first
            rest.kind = "recording" if header[:4] in RECORDINGS else "chunks"
        words = "a tag of {size} bytes after the chunks is left behind"
        warnings.append(Note.of(words, size=size - rest.size))
    elif size <= _PADDING and not any(start):
        words = "{size} zero bytes beyond the stated end of the samples are left behind"
        warnings.append(Note.of(words, size=size))
    else:
        rest.size = size
        rest.kind = (
            "recording"
            if header[:4] in RECORDINGS
            else "data"
            if header[:4] == b"data"
            else "chunks"
            if rest.chunks
            else "bytes"
        )


def unread_words(rest: Rest, *, joinable: bool = True) -> list[str]:
    """What to tell of bytes after the samples that are not read.

    Parameters
    ----------
    joinable : bool
        Whether recordings of this format that were joined can be read as one.
    """
    if not rest.size or rest.kind == "frames":
        return []
    split = Note.of("'tail -c +{first} INPUT' gives them", first=rest.offset + 1)
    reasons = {
        "bytes": "the header states fewer samples than the file holds"
        + remedy("; --ignore-length takes them"),
        "recording": "another recording was joined to the first"
        + remedy("; --ignore-length takes both")
        if joinable
        else Note.of("another recording was joined to the first; {split}", split=split),
        "data": "a further data chunk follows the first" + remedy("; --ignore-length takes both"),
        "chunks": Note.of("they are not chunks; {split}", split=split),
        "strange": Note.of("they are no part of the recording; {split}", split=split),
    }
    return [
        Note.of(
            "{size} bytes after the samples, from byte {offset} on, are not read: {why}",
            size=rest.size,
            offset=rest.offset,
            why=reasons[rest.kind],
        )
    ]


def partial_frame(left: bytes, align: int, *, unit: str = "frame") -> tuple[int, list[str]]:
    """What to tell of bytes at the end of the samples that make no whole frame (or another
    ``unit``) of ``align`` bytes, and how many of them would be lost: none where they are but
    padding.
    """
    if not left:
        return 0, []
    words = (
        "the last {count} bytes of its samples make no whole {unit} of {align}: they are not read"
    )
    if len(left) == 1:
        words = "the last byte of its samples makes no whole {unit} of {align}: it is not read"
    said = Note.of(words, count=len(left), unit=unit, align=align)
    return len(left) if any(left) else 0, [said]


def is_known(name: bytes) -> bool:
    """Whether a chunk of this name is so common that it is one whatever its size."""
    return name in _KNOWN


def is_chunk_name(name: bytes) -> bool:
    """Whether a chunk after the samples can be called so."""
    return is_legible(name) and name not in RECORDINGS


def _fits(data: Bytes, size: int) -> bool:
    """Whether a chunk can have this size; any will do in a pipe, whose end is not known."""
    return data.size is None or size <= data.size - data.position


class _Riff(Layout):
    """Of the RIFF family, whose programs do not agree on padding."""

    def read_header(self, data: Bytes, size: int) -> bytes:
        """Name and size of the next chunk.

        A byte of padding follows an odd chunk. Some programs put something other than 0 there,
        and some leave it out: of the two readings that is right whose name is legible and whose
        size can be.
        """
        first = data.read(self.width)
        if not size % 2 or len(first) < self.width:
            return first
        return first[1:] + data.read(1) if self._is_padding(data, first) else first

    def _is_padding(self, data: Bytes, first: bytes) -> bool:
        """Whether the first of these 8 bytes is padding."""
        bare, behind = first[:4], first[1:5]
        if not is_legible(bare) or not is_legible(behind):
            return not is_legible(bare)
        if (bare in _KNOWN) != (behind in _KNOWN):
            return behind in _KNOWN
        # The size behind a byte of padding, but for its last byte.
        little = self.words.startswith("<")
        padded = int.from_bytes(first[5:8], "little" if little else "big") << (0 if little else 8)
        return not _fits(data, self.parse(first, 0).size) or 0 < padded <= 0xFFFF


LAYOUTS: dict[Order, Layout] = {"<": _Riff(RIFF.words), ">": _Riff(AIFF.words)}


def _carry(
    source: Source, header: Header, kept: list[Chunk], warnings: list[str], order: Order
) -> None:
    """Keep a chunk, unless it describes the samples or is too big."""
    if header.name in STRUCTURE:
        return
    size = header.size
    budget = MAX_METADATA - sum(len(chunk) for chunk in kept)
    there = size if source.size is None else min(size, max(0, source.size - source.position))
    if there > budget or not header.is_legible or order == ">":
        # libsndfile takes a name of control characters for the end of the chunks, and would find no
        # samples behind it.
        fault = (
            "has no legible name"
            if not header.is_legible
            else "is too big to carry"
            if there > budget
            else "is of RIFX"
        )
        words = "chunk '{name}' of {size} bytes {fault} and is left behind"
        warnings.append(Note.of(words, name=header.label, size=there, fault=fault))
        return
    content = source.read(size)
    if len(content) < size:
        words = "chunk '{name}' promises {size} bytes and has {there}"
        warnings.append(Note.of(words, name=header.label, size=size, there=len(content)))
    kept.append(Chunk(header.name, content))


def _container(magic: bytes, fmt: WaveFormat) -> str:
    if magic[:4] in _WIDE:
        return "RF64"
    return "WAVEX" if fmt.extensible else "WAV"


def _promised(
    source: Source, magic: bytes, size: int, data64: int | None, fmt: WaveFormat, order: Order
) -> int | None:
    """Bytes of samples that the header promises, None where its words are those of a stream.

    Streams say 0 (with a RIFF size that ends at the header) or one of `OPEN_ENDS`. Every other
    word is a length, and so is one of these where the file is as long and the RIFF size agrees.
    """
    total = struct.unpack_from(order + "I", magic, 4)[0]
    there = None if source.size is None else source.size - source.position
    if magic[:4] in _WIDE and (size == STREAMING or (size == 0 and data64)):
        return data64 if data64 and data64 < 2**62 else None
    if size == 0:
        honest = source.position - 8 < total < 0x7FFFF000 or there == 0
        return 0 if honest and not _samples_follow(source) else None
    if _is_open(size, fmt.align, source.position):
        filled = there is not None and there >= size and total >= size and total != STREAMING
        return size if filled else None
    return size


def _is_open(size: int, align: int, head: int) -> bool:
    """Whether a size of samples behind a head of so many bytes stands for an unknown length:
    programs round theirs down to whole frames, or fit file or RIFF size into it.
    """
    whole = {end - end % max(1, align) for end in OPEN_ENDS}
    fitted = {end - before for end in (0x7FFFFFFF, STREAMING) for before in (head, head - 8)}
    return size in {*OPEN_ENDS, *whole, *fitted}


def _samples_follow(source: Source) -> bool:
    """Whether something other than a chunk follows a data chunk of size 0: the size was never
    filled in.
    """
    if source.size is None:
        return False
    start, header = source.position, source.read(8)
    source.seek(start)
    return len(header) == 8 and any(header) and not is_legible(header[:4])
