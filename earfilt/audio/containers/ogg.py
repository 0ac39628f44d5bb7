"""Ogg pages get a fixed serial number: libsndfile draws one at random, and two runs would differ.

A page's checksum is linear, so that changing four bytes changes it by the checksum of the
difference, which depends on the page's length only through a power of x modulo the polynomial: no
page has to be read whole.

Reference: RFC 3533, section 6.
"""

import io
import struct
from functools import lru_cache

from earfilt.storage.output import write_all

SERIAL = 0x65617266
_POLYNOMIAL = 0x04C11DB7
_HEAD = 27


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
