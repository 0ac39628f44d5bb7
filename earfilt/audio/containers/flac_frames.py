"""How many samples a FLAC file holds, by its header and by its last frames.

Reference: RFC 9639 (FLAC), sections 8.2 and 9.1.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from earfilt.audio.frame_tags import id3_end
from earfilt.storage.searching import find

if TYPE_CHECKING:
    from earfilt.audio.source import Source

_TAIL = 1 << 18
_PIECE = 1 << 20
_START = b"fLaC\0\0\0\x22"
"""With which a file begins: its name, and the header of a STREAMINFO block of 34 bytes."""
LONGEST = 1 << 22
"""Bytes that no frame reaches: 65 535 samples of 8 channels and 32 bits."""
_SYNC = re.compile(b"\xff[\xf8\xf9]")
_HEADER = 16  # bytes, the longest one of a frame
_BLOCKS = {
    1: 192,
    **{i: 576 << (i - 2) for i in range(2, 6)},
    **{i: 256 << (i - 8) for i in range(8, 16)},
}


def stated_frames(source: Source) -> int:
    """Frames by the STREAMINFO block; 0 where it does not say."""
    info = _streaminfo(source)
    return int.from_bytes(info[13:18], "big") & (1 << 36) - 1


def _streaminfo(source: Source, start: int = 0) -> bytes:
    """Of the file that begins at a byte, or behind the ID3 tags there."""
    file = source.raw.fileno()
    return os.pread(file, 34, id3_end(file, start) + 8).ljust(34, b"\0")


def open_head(source: Source, start: int) -> bytes:
    """Head of a FLAC file of unknown length with the format of the one that begins at a byte:
    frames of that one may follow.
    """
    info = bytearray(_streaminfo(source, start))
    info[13] &= 0xF0
    info[14:] = bytes(20)
    return b"fLaC\x80\0\0\x22" + bytes(info)


def last_frame(source: Source, start: int, near: int, frames: int) -> int | None:
    """First byte of the last frame of the file that begins at a byte; None where it is not found.

    Parameters
    ----------
    source : Source
    start : int
    near : int
        A byte behind the frame, and not far from it.
    frames : int
        Samples of a channel up to its end.
    """
    file = source.raw.fileno()
    block = struct.unpack(">H", _streaminfo(source, start)[2:4])[0]
    first = _metadata_end(file, id3_end(file, start))
    for reach in (_TAIL, LONGEST):
        begin = max(first, near - reach)
        data = os.pread(file, near - begin, begin)
        for sync in _SYNC.finditer(data):
            span = _span(data[sync.start() : sync.start() + 16], block)
            if span is not None and span[1] == frames:
                return begin + sync.start()
    return None


def joined_starts(source: Source, start: int = 0) -> list[int]:
    """Where further FLAC files begin in a file, from a byte on; metadata are passed over, since a
    picture may hold anything.
    """
    file = source.raw.fileno()
    starts: list[int] = []
    at = max(start, _metadata_end(file, id3_end(file, 0)))
    while (found := find(file, (_START,), at)) >= 0:
        starts.append(found)
        at = _metadata_end(file, found)
    return starts


def _metadata_end(file: int, at: int) -> int:
    at += 4
    while len(header := os.pread(file, 4, at)) == 4:
        at += 4 + int.from_bytes(header[1:], "big")
        if header[0] & 0x80:
            break
    return at


def without_length(source: Source) -> dict[int, bytes]:
    """The bytes to replace so that the header leaves the length open, by offset."""
    at = id3_end(source.raw.fileno(), 0) + 8
    info = _streaminfo(source)
    return {at + 13: bytes([info[13] & 0xF0]) + bytes(4), at + 18: bytes(16)}


def frames_at_end(source: Source) -> int:
    """Frames up to the end of the last frame of the file, by that frame's own number; 0 where it
    cannot be told.

    A number counts only where that of the frame before leads to it, since a header's eight bits of
    checksum also fit by chance.
    """
    tail = os.pread(source.raw.fileno(), _TAIL, max(0, (source.size or 0) - _TAIL))
    block = struct.unpack(">H", _streaminfo(source)[2:4])[0]
    later: dict[int, int] = {}  # ends of the blocks behind, by their first frames
    for sync in reversed(list(_SYNC.finditer(tail))):
        span = _span(tail[sync.start() : sync.start() + _HEADER], block)
        if span is None:
            continue
        if span[1] in later:
            return later[span[1]]
        later[span[0]] = max(span[1], later.get(span[0], 0))
    return 0


def spans(source: Source, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """What may be the frames of the file that begins at a byte, up to another byte: where the
    header of each lies, its first frame, and the one behind its last. Bytes within a frame hardly
    ever pass for a header.
    """
    file = source.raw.fileno()
    block = struct.unpack(">H", _streaminfo(source, start)[2:4])[0]
    at = _metadata_end(file, id3_end(file, start))
    usual: tuple[int, int] | None = None
    while len(piece := os.pread(file, min(_PIECE, end - at), at)) > _HEADER:
        ends = len(piece) if at + len(piece) == end else len(piece) - _HEADER
        for sync in _SYNC.finditer(piece, 0, ends):
            head = piece[sync.start() : sync.start() + _HEADER]
            if (span := _span(head, block)) is None:
                continue
            # what does not change within a file: the numbering, the bits of a sample
            kind = head[1], head[3] & 14
            usual = usual or kind
            if kind == usual:
                yield at + sync.start(), *span
        at += ends


def _span(head: bytes, block: int) -> tuple[int, int] | None:
    """First frame, and the one behind the last, of the block whose header begins here; None if none
    does.
    """
    if len(head) < 6 or head[3] & 1 or head[2] & 15 == 15 or head[3] >> 4 > 10:
        return None
    number = _number(head[4:])
    if number is None:
        return None
    value, at = number[0], 4 + number[1]
    code, rate = head[2] >> 4, head[2] & 15
    wide = {6: 1, 7: 2}.get(code, 0)
    extra = wide + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if len(head) <= at + extra or _crc8(head[: at + extra]) != head[at + extra]:
        return None
    size = int.from_bytes(head[at : at + wide], "big") + 1 if wide else _BLOCKS.get(code, 0)
    start = value if head[1] & 1 else value * block
    return (start, start + size) if size else None


def _number(data: bytes) -> tuple[int, int] | None:
    """Value and length of a number coded as UTF-8 would be."""
    ones = 8 - (data[0] ^ 0xFF).bit_length()
    if ones == 0:
        return data[0], 1
    if ones in (1, 8) or len(data) < ones:
        return None
    value = data[0] & 0x7F >> ones
    for byte in data[1:ones]:
        if byte >> 6 != 2:
            return None
        value = value << 6 | byte & 0x3F
    return value, ones


def _crc8_of(byte: int) -> int:
    """Of one byte: polynomial x⁸ + x² + x + 1."""
    for _ in range(8):
        byte = (byte << 1 ^ 0x107) if byte & 0x80 else byte << 1
    return byte


_CRC8 = bytes(map(_crc8_of, range(256)))


def _crc8(data: bytes) -> int:
    """Checksum of a frame's header."""
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc
