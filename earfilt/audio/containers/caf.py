"""Chunks of CAF files beside the samples (layout, texts, markers, instruments), carried byte for
byte.

Reference: Apple, Core Audio Format Specification 1.0.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from earfilt.audio.containers.riff import MAX_CHUNKS, MAX_METADATA, Chunk
from earfilt.errors import printable

if TYPE_CHECKING:
    from earfilt.audio.source import Source

LAYOUT = b"chan"
STRUCTURE = (b"desc", b"data", b"pakt", b"kuki", b"free", b"peak", b"ovvw")
"""Chunks that describe the samples or fill space: written anew, never carried."""

TEXTS = b"info"
"""Chunk whose texts reach other containers as tags."""

HEAD = 8 + 12 + 32
"""Bytes of the file header and the description, behind which other chunks may stand."""

_KEYS = {
    "track number": "TRACKNUMBER",
    "comments": "COMMENT",
    "year": "DATE",
    "recorded date": "DATE",
}
_MAX_TEXTS = 1 << 20
_HEADER = 12


def read_chunks(source: Source, beyond: list[str] | None = None) -> tuple[Chunk, ...]:
    """The chunks to carry; ends quietly where no more make sense.

    Parameters
    ----------
    source : Source
        A file; its position is left alone.
    beyond : list of str, optional
        Gets the name of each chunk that is too big to carry.
    """
    kept: list[Chunk] = []
    at, budget, file = 8, MAX_METADATA, source.raw.fileno()
    for _ in range(MAX_CHUNKS):
        header = os.pread(file, _HEADER, at)
        if len(header) < _HEADER:
            break
        name, size = header[:4], struct.unpack_from(">q", header, 4)[0]
        if size < 0:
            break
        there = min(size, max(0, (source.size or 0) - at - _HEADER))
        legible = all(0x20 <= byte < 0x7F for byte in name)
        if name not in STRUCTURE and there == size <= budget and legible:
            kept.append(Chunk(name, os.pread(file, size, at + _HEADER)))
            budget -= size
        elif name not in STRUCTURE and there == size > budget and beyond is not None:
            beyond.append(f"{printable(name.decode('latin-1').strip())} (too big)")
        at += _HEADER + size
    return tuple(kept)


def text_tags(chunks: Iterable[Chunk]) -> tuple[tuple[str, str], ...]:
    """The texts among the chunks, under the names that Vorbis comments have for them."""
    pairs: list[tuple[str, str]] = []
    for chunk in chunks:
        if chunk.id == TEXTS:
            words = [
                word.decode("utf-8", "replace") for word in chunk.data[4:_MAX_TEXTS].split(b"\0")
            ]
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
    return b"".join(chunk.id + struct.pack(">q", len(chunk.data)) + chunk.data for chunk in chunks)
