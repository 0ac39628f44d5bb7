"""Pages of Ogg files, read without believing them, and written with a fixed serial number: libsndfile
draws one at random, and two runs would differ.

A page's checksum is linear, so that changing four bytes changes it by the checksum of the
difference, which depends on the page's length only through a power of x modulo the polynomial: no
page has to be read whole to get another serial number.

Reference: RFC 3533, section 6.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from earfilt.storage.streams import write_all

MAGIC = b"OggS"
HEAD = 27
"""Bytes of a page before the lengths of its segments."""

SERIAL = 0x65617266
_PIECE = 1 << 20
_POLYNOMIAL = 0x04C11DB7
_ONES = 0xFFFFFFFF
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes) -> int:
    """The checksum that a page should have."""
    blank = page[:22] + bytes(4) + page[26:]
    # zlib's polynomial is the same, but it takes the bits of each byte, and of the result, in the
    # other order, and inverts its register before the first and after the last.
    value = zlib.crc32(blank.translate(_REVERSED), _ONES) ^ _ONES
    return int.from_bytes(value.to_bytes(4, "little").translate(_REVERSED), "big")


def with_checksum(page: bytes) -> bytes:
    """A page with the checksum that it should have."""
    return page[:22] + struct.pack("<I", checksum(page)) + page[26:]


def size_of(head: bytes) -> int:
    """Bytes of a page by its first ones, up to the lengths of all its segments."""
    return HEAD + head[26] + sum(head[HEAD : HEAD + head[26]])


@dataclass(frozen=True)
class Page:
    """A page: the place of its first byte, and all its bytes."""

    at: int
    data: bytes

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.at + len(self.data)

    @property
    def begins(self) -> bool:
        """Whether it is the first of a stream."""
        return bool(self.data[5] & 2)

    @property
    def ends(self) -> bool:
        """Whether it is the last of a stream."""
        return bool(self.data[5] & 4)

    @property
    def granule(self) -> int:
        """Frames up to the end of the last packet that ends in it; −1 where none does."""
        return int(struct.unpack_from("<q", self.data, 6)[0])

    @property
    def serial(self) -> bytes:
        """Which stream it belongs to."""
        return self.data[14:18]

    @property
    def number(self) -> int:
        """Its place among the pages of its stream."""
        return int(struct.unpack_from("<I", self.data, 18)[0])

    @cached_property
    def lengths(self) -> bytes:
        """Of its segments; fewer than 255 bytes end a packet."""
        return self.data[HEAD : HEAD + self.data[26]]

    @property
    def body(self) -> int:
        """The byte of ``data`` behind the lengths."""
        return HEAD + self.data[26]

    def ended(self, segments: int, granule: int) -> bytes:
        """It as the last of its stream, with so many segments and so many frames up to its end."""
        lengths = self.lengths[:segments]
        flags, granules = bytes([self.data[5] | 4]), struct.pack("<q", granule)
        head = self.data[:5] + flags + granules + self.data[14:26] + bytes([segments]) + lengths
        return with_checksum(head + self.data[self.body : self.body + sum(lengths)])

    def first_bytes(self) -> list[int]:
        """The first byte of each packet that begins in it."""
        places = accumulate(self.lengths, initial=self.body)
        before = 255 if self.data[5] & 1 else 0
        return [
            self.data[at]
            for at, length, last in zip(
                places, self.lengths, bytes([before]) + self.lengths, strict=False
            )
            if length and last < 255
        ]


def read_page(file: int, at: int) -> Page | None:
    """The page that begins at a byte of a file (its descriptor); None where there is none that is
    whole.
    """
    head = os.pread(file, HEAD + 255, at)
    if len(head) < HEAD or head[:4] != MAGIC:
        return None
    size = size_of(head)
    data = head[:size] + os.pread(file, max(0, size - len(head)), at + len(head))
    whole = len(data) == size and checksum(data) == int.from_bytes(data[22:26], "little")
    return Page(at, data) if whole else None


def next_pages(file: int, at: int = 0) -> Iterator[Page]:
    """Every whole page from a byte on; what lies between two belongs to none."""
    while True:
        page = read_page(file, at)
        if page is None:
            at = _next_magic(file, at + 1)
            if at < 0:
                return
            continue
        yield page
        at = page.end


def _next_magic(file: int, at: int) -> int:
    """Where a page begins from a byte on; −1 where none does."""
    while piece := os.pread(file, _PIECE, at):
        if (found := piece.find(MAGIC)) >= 0:
            return at + found
        if len(piece) < len(MAGIC):
            break
        at += len(piece) - len(MAGIC) + 1
    return -1


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
        head = file.read(HEAD + 255) or b""
        if len(head) < HEAD or head[:4] != MAGIC:
            return
        length = size_of(head)
        difference = bytes(a ^ b for a, b in zip(head[14:18], wanted, strict=True))
        checksum = _changed(struct.unpack_from("<I", head, 22)[0], difference, length - 18)
        file.seek(at + 14)
        write_all(file.write, wanted + head[18:22] + struct.pack("<I", checksum))
        at += length
