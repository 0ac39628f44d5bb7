"""Chunks of AIFF files beside the samples (markers, instruments, texts, ID3), carried byte for
byte.

Reference: Apple, Audio Interchange File Format: AIFF, version 1.3 (1989), and AIFF-C (1991).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from earfilt.audio.containers.riff import MAX_CHUNKS, MAX_METADATA, Chunk
from earfilt.errors import AudioError, printable
from earfilt.storage.output import write_all

if TYPE_CHECKING:
    from earfilt.audio.source import Source

LAYOUT = b"CHAN"
STRUCTURE = (b"COMM", b"SSND", b"FVER", b"PEAK", b"FLLR")
"""Chunks that describe the samples or fill space: written anew, never carried."""

TEXTS = {b"NAME": "TITLE", b"AUTH": "ARTIST", b"(c) ": "COPYRIGHT", b"ANNO": "COMMENT"}
"""Chunks that reach other containers, under the names that Vorbis comments have for them."""


def read_chunks(source: Source, beyond: list[str] | None = None) -> tuple[Chunk, ...]:
    """The chunks to carry of an AIFF or AIFF-C file; ends quietly where no more make sense.

    Parameters
    ----------
    source : Source
        A file; its position is left alone.
    beyond : list of str, optional
        Gets the name of each chunk that is too big to carry.
    """
    kept: list[Chunk] = []
    at, budget, file = 12, MAX_METADATA, source.raw.fileno()
    for _ in range(MAX_CHUNKS):
        header = os.pread(file, 8, at)
        if len(header) < 8:
            break
        name, size = header[:4], struct.unpack_from(">I", header, 4)[0]
        there = min(size, max(0, (source.size or 0) - at - 8))
        if name not in STRUCTURE and there <= budget and all(0x20 <= byte < 0x7F for byte in name):
            kept.append(Chunk(name, os.pread(file, there, at + 8)))
            budget -= there
        elif name not in STRUCTURE and there > budget and beyond is not None:
            beyond.append(f"{printable(name.decode('latin-1').strip())} (too big)")
        at += 8 + size + size % 2
    return tuple(kept)


def text_tags(chunks: Iterable[Chunk]) -> tuple[tuple[str, str], ...]:
    """The texts among the chunks."""
    texts = ((TEXTS[chunk.id], chunk.data.split(b"\0")[0]) for chunk in chunks if chunk.id in TEXTS)
    return tuple((key, text.decode("utf-8", "replace")) for key, text in texts if text)


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
    tail = b"\0" * (end % 2)
    for chunk in chunks:
        tail += (
            chunk.id
            + struct.pack(">I", len(chunk.data))
            + chunk.data
            + b"\0" * (len(chunk.data) % 2)
        )
    write_all(file.write, tail)
    file.seek(4)
    write_all(file.write, struct.pack(">I", end + len(tail) - 8))
    file.seek(0, os.SEEK_END)
