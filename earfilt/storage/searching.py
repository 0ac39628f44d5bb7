"""Looking for bytes in a file, of whatever size, so that it costs as much as lies before them: a
hostile file has something to be found every few bytes.
"""

import os
from collections.abc import Iterator

_FIRST, _MOST = 1 << 9, 1 << 20  # bytes of a piece


def find(file: int, what: tuple[bytes, ...], at: int, end: int | None = None) -> int:
    """Where one of some words of as many bytes begins first in a file, from a byte on; −1 where
    none does.

    Parameters
    ----------
    file : int
        Descriptor.
    end : int, optional
        The byte behind those to look at; default the end of the file.
    """
    for place, piece in pieces(file, at, end, shared=len(what[0]) - 1):
        places = [found for word in what if (found := piece.find(word)) >= 0]
        if places:
            return place + min(places)
    return -1


def pieces(
    file: int, at: int, end: int | None = None, *, shared: int = 0
) -> Iterator[tuple[int, bytes]]:
    """The bytes of a file from one on, a few first and then ever more of them, each piece with its
    place; it begins with the last ``shared`` bytes of the one before.
    """
    end = os.fstat(file).st_size if end is None else end
    size = _FIRST
    while at < end and (piece := os.pread(file, min(size, end - at), at)):
        yield at, piece
        if len(piece) <= shared or at + len(piece) == end:
            break
        at += len(piece) - shared
        size = min(2 * size, _MOST)
