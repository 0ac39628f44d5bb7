"""Chunks of CAF files beside the samples (layout, texts, markers, instruments), carried byte for
byte.

Reference: Apple, Core Audio Format Specification 1.0.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from earfilt.audio.containers.chunks import CAF, Chunk, Window, carried, legible, walk

if TYPE_CHECKING:
    from earfilt.audio.source import Source

LAYOUT = b"chan"
STRUCTURE = (b"desc", b"data", b"pakt", b"kuki", b"free", b"peak", b"ovvw")
"""Chunks that describe the samples or fill space: written anew, never carried."""

TEXTS = b"info"
"""Chunk whose texts reach other containers as tags."""

START = 8
"""Bytes before the first chunk."""

HEAD = START + CAF.width + 32
"""Bytes of the file header and the description, after which other chunks may come."""

PACKET = 4096
"""Frames of a packet of ALAC."""

_KEYS = {
    "track number": "TRACKNUMBER",
    "comments": "COMMENT",
    "year": "DATE",
    "recorded date": "DATE",
}
_MAX_TEXTS = 1 << 20


def stated_rate(source: Source) -> float | None:
    """The sampling rate in Hz, which may be any number; None where there is none."""
    word = os.pread(source.raw.fileno(), 8, START + CAF.width)
    return float(struct.unpack(">d", word)[0]) if len(word) == 8 else None


def packet_table(source: Source) -> tuple[int, int] | None:
    """Frames before the first one of the recording, and of the recording, by the table of packets;
    None where there is none.
    """
    window = Window.of(source, START)
    for header in walk(window, CAF):
        if header.name == b"pakt":
            words = window.read(24)
            if len(words) < 24:
                return None
            _, valid, priming, _ = struct.unpack(">qqii", words)
            return (priming, valid) if priming >= 0 and valid > 0 else None
    return None


def read_chunks(source: Source, beyond: list[str], start: int = 0) -> tuple[Chunk, ...]:
    """The chunks to carry: see `chunks.carried`; the file begins at ``start``."""
    return carried(source, CAF, start + START, STRUCTURE, beyond)


def text_tags(chunks: Iterable[Chunk]) -> tuple[tuple[str, str], ...]:
    """The texts among the chunks, under the names that Vorbis comments have for them."""
    pairs: list[tuple[str, str]] = []
    for chunk in chunks:
        if chunk.id == TEXTS:
            words = [legible(word) for word in chunk.data[4:_MAX_TEXTS].split(b"\0")]
            pairs += [
                (_KEYS.get(key.lower(), key.upper()), value)
                for key, value in zip(words[::2], words[1::2], strict=False)
            ]
    return tuple((key, value) for key, value in pairs if key and value)


def text_chunks(tags: Iterable[tuple[str, str]]) -> tuple[Chunk, ...]:
    """A chunk that holds the tags."""
    entries = [f"{key.lower()}\0{value}\0".encode("utf-8", "replace") for key, value in tags]
    return (Chunk(TEXTS, struct.pack(">I", len(entries)) + b"".join(entries)),) if entries else ()


def chunk_bytes(chunks: Iterable[Chunk]) -> bytes:
    """Chunks as they lie in a file, one behind the other."""
    return b"".join(chunk.to_bytes(CAF) for chunk in chunks)
