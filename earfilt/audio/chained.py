"""Recordings that stand one behind the other in a file: links of chained Ogg, joined MP3 files, and what stands before an MP3.

References
----------
RFC 3533 (Ogg), sections 4 and 6; ISO 11172-3 (MPEG audio), section 2.4.1.3; the Xing and LAME header as LAME 3.100 writes it.
"""

import os

from earfilt.audio.decoder import Link
from earfilt.audio.promise import caf_patch
from earfilt.audio.source import Source

_PIECE = 1 << 20


def links(source: Source, magic: bytes) -> list[Link]:
    """The recordings of a file that libsndfile is to read; the whole file where nothing is known of its format.

    Parameters
    ----------
    source : Source
        A file.
    magic : bytes
        Its first 12 bytes.
    """
    if magic[:4] == b"OggS":
        return _between(_ogg_starts(source))
    patch = caf_patch(source, magic)
    return [Link(patches=dict([patch]))] if patch else [Link()]


def _between(starts: list[int]) -> list[Link]:
    return [Link(start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _ogg_starts(source: Source) -> list[int]:
    """Where links begin: at the first of the pages that begin streams behind pages that carry one on."""
    file, starts, at, within = source.raw.fileno(), [0], 0, False
    while len(head := os.pread(file, 27 + 255, at)) >= 27:
        if head[:4] != b"OggS":
            at = _next_page(file, at)
            continue
        begins = bool(head[5] & 2)
        if begins and within:
            starts.append(at)
        within = not begins
        at += 27 + head[26] + sum(head[27 : 27 + head[26]])
    return starts


def _next_page(file: int, at: int) -> int:
    """The next page behind bytes that are none; the end of the file where there is no more."""
    while piece := os.pread(file, _PIECE, at):
        if (found := piece.find(b"OggS")) >= 0:
            return at + found
        at += max(1, len(piece) - 3)
    return at
