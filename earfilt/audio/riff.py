"""The chunks of WAV, RF64 and BW64 files, walked without believing them.

Sizes are only ever limits: what is there decides. A chunk of 4 GiB in a file of 1 kB costs 1 kB.

References
----------
Microsoft, Multimedia Programming Interface and Data Specifications 1.0 (1991), RIFF and WAVE; EBU Tech 3285 (bext);
EBU Tech 3306 and ITU-R BS.2088 (RF64, BW64, ds64).
"""

import struct
from dataclasses import dataclass, field

from earfilt.audio.formats import GUID_TAIL, MAX_CHANNELS, MAX_FS, Extensible
from earfilt.audio.source import Source
from earfilt.errors import AudioError, printable

MAGICS = (b"RIFF", b"RF64", b"BW64")

STRUCTURE = (b"fmt ", b"ds64", b"data", b"fact", b"PEAK", b"levl", b"JUNK", b"junk", b"PAD ", b"FLLR", b"slnt")
"""Chunks that describe the samples or fill space: written anew, never carried. All others are carried byte for byte."""

MAX_METADATA = 64 << 20
"""Bytes of carried chunks; what lies beyond is left behind, with a warning."""

MAX_CHUNKS = 4096

STREAMING = 0xFFFFFFFF
"""The size word of a data chunk whose end is not known."""

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_AMBISONIC_TAIL = bytes.fromhex("00002107d3118644c8c1ca000000")


@dataclass(frozen=True)
class Chunk:
    """A chunk that is carried: its name of four bytes and its content."""

    id: bytes
    data: bytes

    def __len__(self) -> int:
        """Bytes that it takes in a file, header and padding included."""
        return 8 + len(self.data) + len(self.data) % 2

    def to_bytes(self) -> bytes:
        """As it lies in a file."""
        return self.id + struct.pack("<I", len(self.data)) + self.data + b"\0" * (len(self.data) % 2)


@dataclass(frozen=True)
class WaveFormat:
    """What the fmt chunk says. ``subtype`` is None for codecs that are left to libsndfile."""

    subtype: str | None
    fs: int
    channels: int
    align: int
    extensible: Extensible | None


@dataclass
class Head:
    """Everything up to the first sample.

    Attributes
    ----------
    data_size : int or None
        Bytes of samples that the header promises; None where it does not know them (a stream).
    """

    container: str
    fmt: WaveFormat
    data_offset: int
    data_size: int | None
    before: list[Chunk] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse_format(data: bytes, name: str) -> WaveFormat:
    """Read a fmt chunk.

    Raises
    ------
    AudioError
        Too short, or with channels, rate or alignment that no file can have.
    """
    if len(data) < 16:
        raise AudioError(f"{name} is damaged: its fmt chunk has {len(data)} bytes, 16 are the least")
    tag, channels, fs, _, align, bits = struct.unpack_from("<HHIIHH", data)
    extensible = None
    if tag == _EXTENSIBLE and len(data) >= 40:
        mask, guid = struct.unpack_from("<I16s", data, 20)
        extensible = Extensible(mask, guid)
        if guid[2:] in (GUID_TAIL, _AMBISONIC_TAIL):
            tag = struct.unpack_from("<H", guid)[0]
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{name} is damaged: it claims {channels} channels (1 to {MAX_CHANNELS} can be)")
    if not 1 <= fs <= MAX_FS:
        raise AudioError(f"{name} is damaged: it claims a sampling rate of {fs} Hz (1 to {MAX_FS} can be)")
    subtype = _subtype(tag, bits)
    width = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}.get(subtype or "", 0)
    if subtype and align != width * channels:
        raise AudioError(f"{name} is damaged: {channels} channels of {bits} bits cannot take {align} bytes a frame")
    return WaveFormat(subtype, fs, channels, align, extensible)


def _subtype(tag: int, bits: int) -> str | None:
    if tag == _PCM and 1 <= bits <= 32:
        return ("PCM_U8", "PCM_16", "PCM_24", "PCM_32")[(bits - 1) // 8]
    return {(_FLOAT, 32): "FLOAT", (_FLOAT, 64): "DOUBLE"}.get((tag, bits))


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
    fmt: WaveFormat | None = None
    data64: int | None = None
    before: list[Chunk] = []
    warnings: list[str] = []
    odd = 0
    for _ in range(MAX_CHUNKS):
        header = _header(source, odd)
        if len(header) < 8:
            break
        name, size = header[:4], struct.unpack_from("<I", header, 4)[0]
        odd = size % 2
        if name == b"data":
            if fmt is None:
                raise AudioError(f"{source.name} is damaged: its samples come before its fmt chunk")
            promised = _promised(source, magic, size, data64)
            return Head(_container(magic, fmt), fmt, source.position, promised, before, warnings)
        if name == b"fmt ":
            fmt = parse_format(_content(source, size), source.name)
        elif name == b"ds64":
            content = _content(source, size)
            data64 = struct.unpack_from("<Q", content, 8)[0] if len(content) >= 16 else None
        else:
            _carry(source, name, size, before, warnings)
    raise AudioError(f"{source.name} is damaged: no {'data' if fmt else 'fmt'} chunk in it")


def read_rest(source: Source, taken: int, warnings: list[str]) -> list[Chunk]:
    """The chunks behind the samples; ends quietly where no more make sense.

    Parameters
    ----------
    source : Source
        Behind the last sample.
    taken : int
        Bytes of the data chunk.
    warnings : list of str
        Gets a line for each chunk that is cut short or too big to carry.
    """
    after: list[Chunk] = []
    odd = taken % 2
    for _ in range(MAX_CHUNKS):
        header = _header(source, odd)
        if len(header) < 8 or not all(0x20 <= byte < 0x7F for byte in header[:4]):
            break
        size = struct.unpack_from("<I", header, 4)[0]
        _carry(source, header[:4], size, after, warnings)
        odd = size % 2
    return after


def _header(source: Source, odd: int) -> bytes:
    """Name and size of the next chunk. Behind an odd one a zero byte is padding; some programs leave it out."""
    pad = source.read(1) if odd else b""
    return source.read(8) if pad in (b"", b"\0") else pad + source.read(7)


def _content(source: Source, size: int, limit: int = 4096) -> bytes:
    """Content of a chunk, no more than ``limit`` bytes of it; the rest is skipped."""
    content = source.read(min(size, limit))
    source.skip(size - len(content))
    return content


def _carry(source: Source, name: bytes, size: int, kept: list[Chunk], warnings: list[str]) -> None:
    """Keep a chunk, unless it describes the samples or is too big."""
    label = name.decode("latin-1").strip()
    budget = MAX_METADATA - sum(len(chunk) for chunk in kept)
    there = size if source.size is None else min(size, max(0, source.size - source.position))
    legible = all(0x20 <= byte < 0x7F for byte in name)
    if name in STRUCTURE or there > budget or not legible:
        if name not in STRUCTURE:
            # libsndfile takes a name of control characters for the end of the chunks, and would find no samples behind it.
            fault = "is too big to carry" if legible else "has no legible name"
            warnings.append(f"chunk '{printable(label)}' of {there} bytes {fault} and is left behind")
        source.skip(size)
        return
    content = source.read(size)
    if len(content) < size:
        warnings.append(f"chunk '{printable(label)}' promises {size} bytes and has {len(content)}")
    kept.append(Chunk(name, content))


def _container(magic: bytes, fmt: WaveFormat) -> str:
    if magic[:4] != b"RIFF":
        return "RF64"
    return "WAVEX" if fmt.extensible else "WAV"


def _promised(source: Source, magic: bytes, size: int, data64: int | None) -> int | None:
    """Bytes of samples that the header promises, None where its words are those of a stream.

    Streams say 0 (with a RIFF size that ends at the header), 0x7FFFF000 and a little more, or 0xFFFFFFFF. A word in between is the
    length of a big file, unless the RIFF size contradicts it.
    """
    total = struct.unpack_from("<I", magic, 4)[0]
    there = None if source.size is None else source.size - source.position
    if magic[:4] != b"RIFF" and size == STREAMING:
        return data64 if data64 and data64 < 2**63 else None
    if size == 0:
        honest = source.position - 8 < total < 0x7FFFF000 or there == 0
        return 0 if honest else None
    usual = 0x7FFFF000 <= size <= 0x80000FFF or size >= 0xFFFFF000
    if usual or (size > 0x7FFFF000 and total < size):
        return size if there is not None and there >= size else None
    return size
