"""Header of AU files, of Sun's order of bytes and of NeXT's.

Reference: Sun Microsystems, audio(7); NeXT, SoundStruct.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earfilt.audio.source import Source

ORDERS = {b".snd": ">", b"dns.": "<"}
"""Order of bytes by the first four bytes of a file."""

UNKNOWN = 0xFFFFFFFF
"""The size that files state whose length is not known; some say 0."""

SIZE = 8
"""Where the size of the samples stands."""

_WORDS = 4


@dataclass(frozen=True)
class Head:
    """What the header says.

    Attributes
    ----------
    order : '>' or '<'
    start, size : int
        First byte, and number, of those of samples.
    encoding : int
    """

    order: str
    start: int
    size: int
    encoding: int


def read_head(source: Source) -> Head | None:
    """The header of a file, whose position is left alone; None of what is no AU, or cut off in it."""
    data = os.pread(source.raw.fileno(), 4 * _WORDS, 0)
    order = ORDERS.get(data[:4])
    if order is None or len(data) < 4 * _WORDS:
        return None
    return Head(order, *struct.unpack_from(f"{order}3I", data, 4))
