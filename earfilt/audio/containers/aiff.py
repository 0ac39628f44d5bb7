"""Chunks of AIFF files beside the samples (markers, instruments, texts, ID3), carried byte for
byte.

Reference: Apple, Audio Interchange File Format: AIFF, version 1.3 (1989), and AIFF-C (1991).
"""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from earfilt.audio.containers.chunks import AIFF, Chunk, Window, carried, legible, walk
from earfilt.errors import AudioError
from earfilt.storage.streams import write_all

if TYPE_CHECKING:
    from earfilt.audio.source import Source

HEAD = 12
"""Bytes before the first chunk."""

LAYOUT = b"CHAN"
STRUCTURE = (b"COMM", b"SSND", b"FVER", b"PEAK", b"FLLR")
"""Chunks that describe the samples or fill space: written anew, never carried."""

IMA4 = b"ima4"
"""The codec whose description counts packets of 64 frames, by Apple's technical note 1081."""

TEXTS = {b"NAME": "TITLE", b"AUTH": "ARTIST", b"(c) ": "COPYRIGHT", b"ANNO": "COMMENT"}
"""Chunks that reach other containers, under the names that Vorbis comments have for them."""


class Common(NamedTuple):
    """What the chunk COMM says.

    Attributes
    ----------
    channels, frames, bits : int
    rate : float or None
        Hz, stated as a number of 80 bits; None where that is none.
    codec : bytes
        Four letters of AIFF-C; empty in AIFF.
    at : int
        Where the content begins.
    """

    channels: int
    frames: int
    bits: int
    rate: float | None
    codec: bytes
    at: int

    @property
    def plain(self) -> bool:
        """Whether the samples are not compressed."""
        return self.codec in (b"", b"NONE", b"sowt", b"twos")


def read_common(source: Source) -> Common | None:
    """The description of an AIFF file's samples; None where there is none."""
    window = Window.of(source, HEAD)
    for header in walk(window, AIFF):
        if header.name == b"COMM":
            content = window.read(22)
            if len(content) < 18:
                return None
            channels, frames, bits, exponent, mantissa = struct.unpack_from(">HIHHQ", content)
            rate = math.ldexp(mantissa, exponent - 16_383 - 63) if exponent < 17_000 else None
            codec = content[18:] if header.size >= 22 else b""
            return Common(channels, frames, bits, rate, codec, header.at)
    return None


def frames_of_codec(common: Common, held: int) -> int:
    """Frames that a description states, where blocks hold so many."""
    packets = common.codec == IMA4 and common.frames <= held - 64
    return 64 * common.frames if packets else common.frames


def read_chunks(source: Source, beyond: list[str], start: int = 0) -> tuple[Chunk, ...]:
    """The chunks to carry of an AIFF or AIFF-C file that begins at ``start``: see
    `chunks.carried`.
    """
    return carried(source, AIFF, start + HEAD, STRUCTURE, beyond)


def text_tags(chunks: Iterable[Chunk]) -> tuple[tuple[str, str], ...]:
    """The texts among the chunks."""
    texts = ((TEXTS[chunk.id], chunk.data.split(b"\0")[0]) for chunk in chunks if chunk.id in TEXTS)
    return tuple((key, legible(text)) for key, text in texts if text)


def text_chunks(tags: Iterable[tuple[str, str]]) -> tuple[Chunk, ...]:
    """Chunks of the tags that have one."""
    names = {key: name for name, key in TEXTS.items()}
    return tuple(
        Chunk(names[key], value.encode("utf-8", "replace")) for key, value in tags if key in names
    )


def set_frames(file: io.RawIOBase, frames: int, frame_bytes: int) -> None:
    """State the length of a complete AIFF file: libsndfile 1.2.2 takes the byte behind an odd
    number of samples for one.
    """
    file.seek(0)
    head = file.read(4096) or b""
    common, sound = head.find(b"COMM"), head.find(b"SSND")
    if common < 0 or sound < 0:
        raise AudioError("AIFF cannot be written: its chunks are not where libsndfile puts them")
    for at, value in ((common + 10, frames), (sound + 4, 8 + frames * frame_bytes)):
        file.seek(at)
        write_all(file.write, struct.pack(">I", value))
    file.seek(0, os.SEEK_END)


def append_chunks(file: io.RawIOBase, chunks: Iterable[Chunk]) -> None:
    """Add chunks to a complete AIFF file.

    Parameters
    ----------
    file : raw binary file
        For reading and writing; left at its end.
    """
    end = file.seek(0, os.SEEK_END)
    tail = bytes(AIFF.padding(end)) + b"".join(chunk.to_bytes(AIFF) for chunk in chunks)
    write_all(file.write, tail)
    file.seek(4)
    write_all(file.write, struct.pack(">I", end + len(tail) - 8))
    file.seek(0, os.SEEK_END)
