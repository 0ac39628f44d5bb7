"""Sony Wave64: the same chunks as WAV under names of 16 bytes, with sizes of 64 bits.

earfilt reads it itself: libsndfile takes the floating-point files that ffmpeg writes for 32-bit
integers.

Reference: Sonic Foundry / Sony, The Sony Wave64 file format (2006).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from earfilt.audio.containers.riff import MAX_CHUNKS, Head, Rest, count_unread, parse_format
from earfilt.errors import AudioError, printable

if TYPE_CHECKING:
    from earfilt.audio.source import Source

MAGIC = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"
"""First 12 bytes of a file."""

_HEADER = 24
_TAILS = (bytes.fromhex("f3acd3118cd100c04f8edb8a"), bytes.fromhex("2f91cf11a5d628db04c10000"))
"""What the names of all chunks end in, but for the first of a file (and of a list)."""


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
    for _ in range(MAX_CHUNKS):
        header = source.read(_HEADER)
        if len(header) < _HEADER:
            break
        size = struct.unpack_from("<Q", header, 16)[0]
        content = max(0, size - _HEADER)
        if header[:4] == b"data":
            if fmt is None:
                raise AudioError.about(
                    source.name, "{subject} is damaged: its samples come before its fmt chunk"
                )
            # Streams leave the size at 0, at the header's own 24, or at the largest that there is.
            promised = content if 0 < content < 2**62 else None
            return Head("W64", fmt, source.position, promised)
        taken = source.read(min(content, 4096)) if header[:4] == b"fmt " else b""
        if header[:4] == b"fmt ":
            fmt = parse_format(taken, source.name)
        source.skip(-(-content // 8) * 8 - len(taken))
    raise AudioError.about(
        source.name,
        "{subject} is damaged: no {missing} chunk in it",
        missing="data" if fmt else "fmt",
    )


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
    source.skip(-taken % 8)
    for _ in range(MAX_CHUNKS):
        rest.offset = source.position
        header = source.read(_HEADER)
        if len(header) < _HEADER and not any(header):
            break
        size = struct.unpack_from("<Q", header, 16)[0] if len(header) == _HEADER else 0
        if header[4:16] not in _TAILS or not size >= _HEADER or header[:4] == b"data":
            count_unread(source, header, rest, warnings)
            break
        warnings.append(
            f"chunk '{printable(header[:4].decode('latin-1').strip())}' of {size - _HEADER} "
            "bytes is left behind"
        )
        source.skip(-(-size // 8) * 8 - _HEADER)
    return rest
