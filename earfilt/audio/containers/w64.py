"""Sony Wave64: the same chunks as WAV under names of 16 bytes, with sizes of 64 bits.

earfilt reads it itself: libsndfile takes the floating-point files that ffmpeg writes for 32-bit
integers.

Reference: Sonic Foundry / Sony, The Sony Wave64 file format (2006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earfilt.audio.containers.chunks import W64, W64_FORM, W64_TAILS, walk
from earfilt.audio.containers.riff import (
    MAX_DESCRIPTION,
    Head,
    Rest,
    count_unread,
    no_samples,
    parse_format,
)
from earfilt.errors import AudioError, Note

if TYPE_CHECKING:
    from earfilt.audio.source import Source

MAGIC = W64_FORM[:12]
"""First 12 bytes of a file."""


def read_head(source: Source) -> Head:
    """Walk to the first sample.

    Parameters
    ----------
    source : Source
        Behind its first 12 bytes.

    Raises
    ------
    AudioError
        No fmt or no data chunk.
    """
    source.skip(4 + 8 + 16)  # rest of the first name, size of the file, name of the form
    fmt = None
    for header in walk(source, W64):
        if header.name[:4] == b"data":
            if fmt is None:
                raise AudioError.about(
                    source.name, "{subject} is damaged: its samples come before its fmt chunk"
                )
            # Streams leave the size at 0, at the header's own 24, or at the largest that there is.
            promised = header.size if 0 < header.size < 2**62 else None
            return Head("W64", fmt, header.at, promised)
        if header.name[:4] == b"fmt ":
            content = source.read(max(0, min(header.size, MAX_DESCRIPTION)))
            fmt = parse_format(content, source.name)
    raise no_samples(source, fmt)


def read_rest(source: Source, taken: int, warnings: list[str]) -> Rest:
    """What follows the samples; nothing of it is carried.

    Parameters
    ----------
    source : Source
        Behind the last sample.
    taken : int
        Bytes of the data chunk.
    warnings : list of str
        Gets a line for what is left behind.
    """
    rest = Rest()
    for header in walk(source, W64, behind=taken, cut=True):
        rest.offset = header.begin
        if header.name[4:] not in W64_TAILS or header.size < 0 or header.name[:4] == b"data":
            if len(header.raw) == W64.width or any(header.raw):
                count_unread(source, header.raw, rest, warnings)
            break
        words = "chunk '{name}' of {size} bytes is left behind"
        warnings.append(Note.of(words, name=header.label, size=header.size))
    return rest
