"""Comments of Ogg files, and their pages, which get a fixed serial number: libsndfile draws one at
random, and two runs would differ.

A page's checksum is linear, so that changing four bytes changes it by the checksum of the
difference, which depends on the page's length only through a power of x modulo the polynomial: no
page has to be read whole.

Reference: RFC 3533, section 6.
"""

from __future__ import annotations

import io
import os
import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from earfilt.storage.output import write_all

if TYPE_CHECKING:
    from earfilt.audio.source import Source

SERIAL = 0x65617266
_POLYNOMIAL = 0x04C11DB7
_HEAD = 27
_MAX_COMMENTS = 16 << 20
_COMMENTS = (b"\x03vorbis", b"OpusTags")


def _times(a: int, b: int) -> int:
    """Product of two polynomials over GF(2) modulo the checksum's, bit 31 for x**31."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = (a << 1) ^ (_POLYNOMIAL if a & 0x80000000 else 0)
        a &= 0xFFFFFFFF
        b >>= 1
    return product


@lru_cache(maxsize=4096)
def _power(count: int) -> int:
    """x**(8·count) modulo the polynomial."""
    result, base = 1, 1 << 8
    while count:
        if count & 1:
            result = _times(result, base)
        base = _times(base, base)
        count >>= 1
    return result


def _changed(checksum: int, difference: bytes, following: int) -> int:
    """Checksum of a page that differs in four bytes with ``following`` bytes behind them."""
    # Checksum of m bytes M is M·x**32 mod P, no inversion: four bytes followed by n zeros give
    # M·x**(8·(n + 4)).
    return checksum ^ _times(int.from_bytes(difference, "big"), _power(following + 4))


def read_comments(source: Source, beyond: list[str], start: int = 0) -> bytes:
    """The Vorbis comment block of a Vorbis or Opus stream: its second packet without what stands
    before; empty where there is none.

    Parameters
    ----------
    source : Source
        A file; its position is left alone.
    beyond : list of str
        Gets a name where they are too big.
    start : int
        Where the first page begins.
    """
    packet, at, packets, file = bytearray(), start, 0, source.raw.fileno()
    while len(packet) <= _MAX_COMMENTS:
        head = os.pread(file, _HEAD + 255, at)
        if len(head) < _HEAD or head[:4] != b"OggS":
            break
        lengths = head[_HEAD : _HEAD + head[26]]
        at += _HEAD + head[26]
        for length in lengths:
            if packets == 1:
                packet += os.pread(file, length, at)
            at += length
            packets += length < 255
            if packets == 2:
                mark = next((len(mark) for mark in _COMMENTS if packet.startswith(mark)), 0)
                return bytes(packet[mark:]) if mark else b""
    beyond += ["comments (too big)"] if len(packet) > _MAX_COMMENTS else []
    return b""


def set_serials(file: io.RawIOBase, serial: int = SERIAL) -> None:
    """Give every page of an Ogg file with one stream the same serial number, in place.

    Parameters
    ----------
    file : raw binary file
        For reading and writing; left at its end.
    """
    wanted, at = struct.pack("<I", serial), 0
    while True:
        file.seek(at)
        head = file.read(_HEAD + 255) or b""
        if len(head) < _HEAD or head[:4] != b"OggS":
            return
        segments = head[26]
        length = _HEAD + segments + sum(head[_HEAD : _HEAD + segments])
        difference = bytes(a ^ b for a, b in zip(head[14:18], wanted, strict=True))
        checksum = _changed(struct.unpack_from("<I", head, 22)[0], difference, length - 18)
        file.seek(at + 14)
        write_all(file.write, wanted + head[18:22] + struct.pack("<I", checksum))
        at += length
