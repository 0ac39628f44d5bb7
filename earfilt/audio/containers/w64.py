"""Sony Wave64: the same chunks as WAV under names of 16 bytes, with sizes of 64 bits.

earfilt reads it itself: libsndfile takes the floating-point files that ffmpeg writes for 32-bit
integers.

Reference: Sonic Foundry / Sony, The Sony Wave64 file format (2006).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from earfilt.audio.containers.chunks import (
    MAX_METADATA,
    W64,
    W64_FORM,
    W64_TAILS,
    Chunk,
    Header,
    walk,
)
from earfilt.audio.containers.riff import (
    MAX_DESCRIPTION,
    STRUCTURE,
    Head,
    Rest,
    count_unread,
    is_chunk_name,
    no_samples,
    parse_format,
)
from earfilt.errors import AudioError, Note

if TYPE_CHECKING:
    from earfilt.audio.source import Source

MAGIC = W64_FORM[:12]
"""First 12 bytes of a file."""

_UNKNOWN = 2**62
"""No file has so many bytes or frames."""


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
    fmt, format_at = None, None
    frames: int | None = None
    before: list[Chunk] = []
    warnings: list[str] = []
    for header in walk(source, W64):
        if header.name[:4] == b"data":
            if fmt is None:
                raise AudioError.about(
                    source.name, "{subject} is damaged: its samples come before its fmt chunk"
                )
            # Streams leave the size at 0, at the header's own 24, or at the largest that there is.
            promised = header.size if 0 < header.size < _UNKNOWN else None
            if (
                promised
                and frames
                and fmt.subtype
                and 0 < promised - frames * fmt.align < W64.aligned
            ):
                promised = frames * fmt.align  # ffmpeg counts padding as samples
            return Head(
                "W64",
                fmt,
                header.at,
                promised,
                before,
                warnings,
                stated_frames=frames,
                format_at=format_at,
            )
        if header.name[:4] == b"fmt ":
            content = source.read(max(0, min(header.size, MAX_DESCRIPTION)))
            fmt, format_at = parse_format(content, source.name), header.at
        elif header.name[:4] == b"fact":
            content = source.read(max(0, min(header.size, MAX_DESCRIPTION)))
            frames = int.from_bytes(content[:8], "little")
            frames = frames if frames < _UNKNOWN else None
        else:
            _carry(source, header, before, warnings)
    raise no_samples(source, fmt)


def read_rest(source: Source, taken: int, warnings: list[str]) -> Rest:
    """The chunks after the samples, up to where no more make sense.

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
        _carry(source, header, rest.chunks, warnings)
    return rest


def as_riff(chunks: Iterable[Chunk]) -> list[Chunk]:
    """The chunks that mean the same in WAV, under their names there."""
    return [Chunk(chunk.name, chunk.data) for chunk in chunks if _is_of_riff(chunk.id)]


def beyond_riff(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Those that only Wave64 has."""
    return [chunk for chunk in chunks if not _is_of_riff(chunk.id)]


def _is_of_riff(name: bytes) -> bool:
    # The other ending is that of lists, whose chunks have names and sizes as Wave64 writes them.
    return name[4:] == W64_TAILS[0] and is_chunk_name(name[:4])


def _carry(source: Source, header: Header, kept: list[Chunk], warnings: list[str]) -> None:
    """Keep a chunk, unless it describes the samples, fills space or is too big."""
    if header.size < 0 or (header.name[4:] in W64_TAILS and header.name[:4] in STRUCTURE):
        return
    there = header.size
    if source.size is not None:
        there = min(there, max(0, source.size - source.position))
    if there > MAX_METADATA - sum(len(chunk) for chunk in kept):
        words = "chunk '{name}' of {size} bytes is too big to carry and is left behind"
        warnings.append(Note.of(words, name=header.label, size=there))
        return
    content = source.read(there)
    if len(content) < header.size:
        words = "chunk '{name}' promises {size} bytes and has {there}"
        warnings.append(Note.of(words, name=header.label, size=header.size, there=len(content)))
    kept.append(Chunk(header.name, content))
