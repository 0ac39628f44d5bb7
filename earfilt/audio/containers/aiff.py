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
from typing import TYPE_CHECKING

from earfilt.audio.containers.chunks import AIFF, Chunk, Window, carried, legible, walk
from earfilt.errors import AudioError
from earfilt.storage.output import write_all

if TYPE_CHECKING:
    from earfilt.audio.source import Source

HEAD = 12
"""Bytes before the first chunk."""

LAYOUT = b"CHAN"
STRUCTURE = (b"COMM", b"SSND", b"FVER", b"PEAK", b"FLLR")
"""Chunks that describe the samples or fill space: written anew, never carried."""

TEXTS = {b"NAME": "TITLE", b"AUTH": "ARTIST", b"(c) ": "COPYRIGHT", b"ANNO": "COMMENT"}
"""Chunks that reach other containers, under the names that Vorbis comments have for them."""


def stated_rate(source: Source) -> float | None:
    """The sampling rate in Hz, which an AIFF file states as a number of 80 bits; None where there
    is none.
    """
    window = Window.of(source, HEAD)
    for header in walk(window, AIFF):
        if header.name == b"COMM":
            content = window.read(18)
            if len(content) < 18:
                return None
            exponent, mantissa = struct.unpack_from(">HQ", content, 8)
            return math.ldexp(mantissa, exponent - 16_383 - 63) if exponent < 17_000 else None
    return None


def read_chunks(source: Source, beyond: list[str], start: int = 0) -> tuple[Chunk, ...]:
    """The chunks to carry of an AIFF or AIFF-C file that begins at ``start``: see
    `chunks.carried`.
    """
    return carried(source, AIFF, start + HEAD, STRUCTURE, beyond)


def stated_bits(source: Source) -> int:
    """Bits of a sample, by the description of an AIFF file; 0 where there is none, or a codec."""
    window = Window.of(source, HEAD)
    for header in walk(window, AIFF):
        if header.name == b"COMM":
            common = window.read(22)
            plain = common[18:22] in (b"", b"NONE", b"sowt", b"twos") or header.size < 22
            return int.from_bytes(common[6:8], "big") if plain else 0
    return 0


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
