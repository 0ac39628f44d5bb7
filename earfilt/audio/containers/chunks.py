"""The chunks that RIFF, AIFF, CAF and Wave64 files are made of: one walk over all of them.

A chunk is a name, a size and a content. The formats differ in the words of that header and in the
bytes that fill the gap before the next one; a `Layout` says both. Sizes are only ever limits: what
is there decides. A chunk of 4 GiB in a file of 1 kB costs 1 kB.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from earfilt.errors import printable

if TYPE_CHECKING:
    from earfilt.audio.source import Source

MAX_METADATA = 64 << 20
"""Bytes of carried chunks; what lies beyond is left behind, with a warning."""

MAX_CHUNKS = 4096


def legible(text: bytes) -> str:
    """A text that was stored beside samples. Few formats say in which encoding, and programs do not
    keep to it: UTF-8 where it is that, else what Windows wrote, or Latin-1; no byte is lost.
    """
    for encoding in ("utf-8", "cp1252"):
        try:
            return text.decode(encoding)
        except UnicodeDecodeError:
            continue
    return text.decode("latin-1")


class Bytes(Protocol):
    """What can be walked: a `Source`, which a pipe may be, or a `Window`."""

    position: int
    size: int | None

    def read(self, count: int, /) -> bytes:
        """Up to ``count`` bytes."""

    def skip(self, count: int, /) -> int:
        """Go forwards."""


class Window:
    """Bytes of a file, or in memory, from a place on; the file's own position stays as it is.

    Parameters
    ----------
    pread : callable
        From a number of bytes and a place to the bytes there.
    position : int
        Where to begin.
    size : int, optional
        Of the whole; None where the end is not known.
    """

    def __init__(self, pread: Callable[[int, int], bytes], position: int, size: int | None) -> None:
        self._pread, self.position, self.size = pread, position, size

    @classmethod
    def of(cls, source: Source, position: int) -> Window:
        """A window on a file that is open."""
        descriptor = source.raw.fileno()
        return cls(lambda count, at: os.pread(descriptor, count, at), position, source.size)

    def read(self, count: int, /) -> bytes:
        """Up to ``count`` bytes."""
        data = self._pread(count, self.position)
        self.position += len(data)
        return data

    def skip(self, count: int, /) -> int:
        """Go forwards, beyond the end as well, where nothing is read."""
        self.position += count
        return count


@dataclass(frozen=True)
class Layout:
    """How a format writes its chunks.

    Attributes
    ----------
    words : str
        Name and size, as `struct` calls them.
    aligned : int
        Contents are filled up to a multiple of this number of bytes.
    counts : int
        Bytes of the header that a size counts as well.
    """

    words: str
    aligned: int = 2
    counts: int = 0

    @property
    def width(self) -> int:
        """Bytes of a header."""
        return struct.calcsize(self.words)

    def padding(self, size: int) -> int:
        """Bytes that fill up a content of ``size`` bytes."""
        return -size % self.aligned

    def read_header(self, data: Bytes, size: int) -> bytes:
        """The header after a content of ``size`` bytes, at whose end ``data`` is."""
        data.skip(self.padding(size))
        return data.read(self.width)

    def parse(self, raw: bytes, at: int) -> Header:
        """A header, whose content begins at ``at``."""
        name, size = struct.unpack(self.words, raw)
        return Header(raw, name, size - self.counts, at)

    def pack(self, name: bytes, content: bytes) -> bytes:
        """A chunk as it lies in a file."""
        size = len(content)
        return (
            struct.pack(self.words, name, size + self.counts) + content + bytes(self.padding(size))
        )


RIFF = Layout("<4sI")
AIFF = Layout(">4sI")
CAF = Layout(">4sq", aligned=1)
W64 = Layout("<16sQ", aligned=8, counts=24)
W64_FORM = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
"""Name of the first chunk of a Wave64 file, which holds all others."""

W64_TAILS = (bytes.fromhex("f3acd3118cd100c04f8edb8a"), bytes.fromhex("2f91cf11a5d628db04c10000"))
"""What the names of all chunks of Wave64 end in, but for the first of a file (and of a list)."""

STREAMING = 0xFFFFFFFF
"""The size word of a data chunk of the RIFF family whose end is not known."""


class Header(NamedTuple):
    """The header of a chunk as it was read, and what it says.

    Attributes
    ----------
    raw : bytes
    name : bytes
    size : int
        Of the content; negative where it has none that could be passed over.
    at : int
        Where the content begins.
    """

    raw: bytes
    name: bytes
    size: int
    at: int

    @property
    def begin(self) -> int:
        """Where the chunk begins."""
        return self.at - len(self.raw)

    @property
    def is_legible(self) -> bool:
        """Whether its name is of letters and signs, as all are."""
        return is_legible(self.name)

    @property
    def label(self) -> str:
        """Its name for messages."""
        return printable(self.name[:4].decode("latin-1").strip())


@dataclass(frozen=True)
class Chunk:
    """A chunk that is carried: its name of four bytes (of 16 in Wave64) and its content."""

    id: bytes
    data: bytes

    @property
    def name(self) -> bytes:
        """The four letters that tell what it is, in every format."""
        return self.id[:4]

    @property
    def label(self) -> str:
        """Its name for messages."""
        if is_legible(self.name):
            return self.name.decode("latin-1").strip()
        return f"chunk {self.id.hex()}"

    def __len__(self) -> int:
        """Bytes that it takes in a file of the RIFF family, header and padding included."""
        return RIFF.width + len(self.data) + RIFF.padding(len(self.data))

    def to_bytes(self, layout: Layout = RIFF) -> bytes:
        """As it lies in a file."""
        return layout.pack(self.id, self.data)


def walk(data: Bytes, layout: Layout, *, behind: int = 0, cut: bool = False) -> Iterator[Header]:
    """The chunks, one after the other; what is not read of a content is passed over.

    Parameters
    ----------
    data : Source or Window
        At the end of a content, or where the first header begins; at the content of a chunk while
        that is yielded.
    layout : Layout
    behind : int
        Bytes of the content that the walk begins behind.
    cut : bool
        Yield a header that the end cuts short as well, with a size of −1.

    Yields
    ------
    Header
        `MAX_CHUNKS` at most, and none behind one of negative size.
    """
    size = behind
    for _ in range(MAX_CHUNKS):
        raw = layout.read_header(data, size)
        if len(raw) < layout.width:
            if cut:
                yield Header(raw, raw[:4], -1, data.position)
            return
        header = layout.parse(raw, data.position)
        yield header
        size = header.size
        if size < 0:
            return
        data.skip(header.at + size - data.position)


def pieces(data: bytes, layout: Layout = RIFF) -> Iterator[Chunk]:
    """The chunks within bytes in memory, as far as they go."""
    window = Window(lambda count, at: data[at : at + count], 0, len(data))
    for header in walk(window, layout):
        yield Chunk(header.name, window.read(max(0, header.size)))


def carried(
    source: Source, layout: Layout, start: int, structure: tuple[bytes, ...], beyond: list[str]
) -> tuple[Chunk, ...]:
    """The chunks to carry of a file whose samples libsndfile decodes.

    Parameters
    ----------
    source : Source
        A file; its position is left alone.
    layout : Layout
    start : int
        Where the first chunk begins.
    structure : tuple of bytes
        Names of those that are written anew, never carried.
    beyond : list of str
        Gets the name of each that is too big to carry, cut short or, before the samples, has no
        legible name.
    """
    kept: list[Chunk] = []
    budget, count, sound = MAX_METADATA, 0, False
    window = Window.of(source, start)
    for header in walk(window, layout):
        count += 1
        sound = sound or header.name in (b"SSND", b"data")
        if header.name in structure or header.size < 0:
            continue
        if not header.is_legible:
            # What is none behind the samples is told of with the bytes there.
            beyond += [] if sound else [f"{header.label} (no legible name)"]
            continue
        if header.size > (source.size or 0) - header.at:
            beyond.append(f"{header.label} (cut short)")
        elif header.size > budget:
            beyond.append(f"{header.label} (too big)")
        else:
            kept.append(Chunk(header.name, window.read(header.size)))
            budget -= header.size
    if count == MAX_CHUNKS:
        beyond.append(f"what follows {MAX_CHUNKS} chunks")
    return tuple(kept)


def is_legible(name: bytes) -> bool:
    """Whether a name is of letters and signs, as those of all chunks are."""
    return all(0x20 <= byte < 0x7F for byte in name)
