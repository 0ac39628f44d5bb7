"""How many frames the header of a file promises, where libsndfile silently takes what is there.

FLAC needs nothing here (its decoder raises), and the RIFF family and W64 have earfilt's own reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earfilt.audio.containers import aiff, au, caf
from earfilt.audio.containers.chunks import CAF, Window, walk

if TYPE_CHECKING:
    from earfilt.audio.containers.riff import Head
    from earfilt.audio.source import Source

UNKNOWN_AIFF = 0x7F000000
"""Bytes of samples that SoX states in an AIFF file that it writes into a pipe."""


def promised_frames(
    source: Source, magic: bytes, head: Head | None, frames: int | None, align: int = 0
) -> int | None:
    """Frames that the header promises.

    Parameters
    ----------
    source : Source
        A file.
    magic : bytes
        Its first 12 bytes.
    head : Head or None
        Of a file of the RIFF family.
    frames : int or None
        Frames that libsndfile found.
    align : int
        Bytes of a frame; 0 where that differs.

    Returns
    -------
    int or None
        None where the format makes no promise that can be checked.
    """
    if head is not None:
        data = None if head.data_size is None else (head.data_offset, head.data_size)
        return _scaled(frames, source, data, align)
    if magic[:4] == b"FORM" and magic[8:] in (b"AIFF", b"AIFC"):
        return _aiff(source)
    if magic[:4] == b"caff":
        return _scaled(frames, source, _caf_data(source), align)
    if (stated := au.read_head(source)) is not None:
        data = None if stated.size in (0, au.UNKNOWN) else (stated.start, stated.size)
        return _scaled(frames, source, data, align)
    return None


def _scaled(
    frames: int | None, source: Source, data: tuple[int, int] | None, align: int
) -> int | None:
    """Frames of a data chunk (offset, size) whose part that is there holds ``frames``."""
    if frames is None or data is None:
        return None
    offset, size = data
    there = (source.size or 0) - offset
    if size <= there or there <= 0 or not frames:
        return None
    if align:
        return size // align
    return max(frames + 1, frames * size // there)


def _aiff(source: Source) -> int | None:
    common = aiff.read_common(source)
    if common is None:
        return None
    align = max(1, common.channels * -(-common.bits // 8))
    return common.frames if common.frames != UNKNOWN_AIFF // align else None


def _caf_data(source: Source) -> tuple[int, int] | None:
    for header in walk(Window.of(source, caf.START), CAF):
        if header.name == b"data":
            # The chunk begins with an edit count of 4 bytes; −1 says that it goes on to the end.
            return None if header.size < 4 else (header.at + 4, header.size - 4)
    return None
