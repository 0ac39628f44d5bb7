"""Tags and padding that taggers put before and behind a recording, told from what is something
else.

References
----------
ID3v1 and its extension; ID3v2.4.0, section 3; APEv2; Lyrics3 1.0 and 2.0.
"""

import os
import struct

from earfilt.storage.searching import find, pieces

_ID3V1, _ID3V1_EXTENSION = 128, 227
_APE = b"APETAGEX"
_APE_WORDS = 32  # bytes of its header, and of its footer
_APE_HAS_HEADER, _APE_IS_HEADER = 1 << 31, 1 << 29
_LYRICS = b"LYRICSBEGIN"
_LYRICS_ENDS = (b"LYRICS200", b"LYRICSEND")
_MOST_LYRICS = 1 << 20  # bytes, with their end


def id3_end(file: int, start: int) -> int:
    """Where the ID3v2 tags end that begin at a byte (there, if none does)."""
    while (head := os.pread(file, 10, start))[:3] == b"ID3" and len(head) == 10:
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        start += 10 + size + (10 if head[5] & 0x10 else 0)
    return start


def between_tags(file: int, begin: int, end: int) -> tuple[int, int]:
    """The part of some bytes of a file that is left when tags and zeros are taken away at both
    ends.

    Parameters
    ----------
    file : int
        Descriptor.
    begin, end : int
        First byte, and the one behind the last.

    Returns
    -------
    int, int
        The same of the part; equal where nothing is left.
    """
    while begin < end:
        further = _zeros_end(file, begin, end)
        behind = further if further > begin else _tag_end(file, begin)
        if not begin < behind <= end:
            break
        begin = behind
    while begin < end and begin <= (before := _tag_begin(file, end)) < end:
        end = before
    return begin, end


def _zeros_end(file: int, begin: int, end: int) -> int:
    for _, piece in pieces(file, begin, end):
        something = piece.lstrip(b"\0")
        begin += len(piece) - len(something)
        if something:
            break
    return begin


def _tag_end(file: int, at: int) -> int:
    """Where the tag ends that begins at a byte; there, if none does."""
    head = os.pread(file, _APE_WORDS, at)
    if head[:3] == b"TAG":
        return at + (_ID3V1_EXTENSION if head[3:4] == b"+" else _ID3V1)
    if head[:8] == _APE and len(head) == _APE_WORDS:
        size, _, flags = struct.unpack_from("<III", head, 12)
        return at + _APE_WORDS + (size if flags & _APE_IS_HEADER else 0)
    if head.startswith(_LYRICS):
        found = find(file, _LYRICS_ENDS, at, at + _MOST_LYRICS)
        return at if found < 0 else found + len(_LYRICS_ENDS[0])
    return id3_end(file, at)


def _tag_begin(file: int, end: int) -> int:
    """Where the tag begins that ends before a byte; there, if none does. Tags that say at their
    beginning what they are need no looking for.
    """
    if os.pread(file, 3, max(0, end - _ID3V1)) == b"TAG":
        return end - _ID3V1
    foot = os.pread(file, _APE_WORDS, max(0, end - _APE_WORDS))
    if foot[:8] == _APE:
        size, _, flags = struct.unpack_from("<III", foot, 12)
        return end - int(size) - (_APE_WORDS if flags & _APE_HAS_HEADER else 0)
    return end
