"""What is known of an audio file before its samples are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earfilt.audio.containers.chunks import Chunk
    from earfilt.audio.formats import Extensible


@dataclass(frozen=True)
class Metadata:
    """What travels beside the samples.

    Parameters
    ----------
    before, after : tuple of Chunk
        Chunks of a RIFF file, before and behind its samples.
    blocks : tuple of (int, bytes)
        Metadata blocks of a FLAC file (type, content): Vorbis comments, pictures, cue sheets.
    iff : tuple of Chunk
        Chunks of an AIFF file.
    caf : tuple of Chunk
        Chunks of a CAF file.
    w64 : tuple of Chunk
        Chunks of a W64 file, with names of 16 bytes; those that WAV has too are in ``before`` and
        ``after`` as well.
    annotation : bytes
        What stands between header and samples of an AU file.
    tags : tuple of (str, str)
        Key and value of what can go into another container, keys as Vorbis comments name them
        (upper case).
    beyond : tuple of str
        Names of what is carried nowhere: too big, unreadable, or of a kind that no output has.
    """

    before: tuple[Chunk, ...] = ()
    after: tuple[Chunk, ...] = ()
    blocks: tuple[tuple[int, bytes], ...] = ()
    iff: tuple[Chunk, ...] = ()
    caf: tuple[Chunk, ...] = ()
    w64: tuple[Chunk, ...] = ()
    annotation: bytes = b""
    tags: tuple[tuple[str, str], ...] = ()
    beyond: tuple[str, ...] = ()


@dataclass(frozen=True)
class AudioInfo:
    """A source, as its content says.

    Parameters
    ----------
    name : str
        Path, printable.
    container, subtype : str
        As `earfilt.audio.formats` (or libsndfile) names them.
    fs : int
        Hz.
    channels : int
    frames : int or None
        Frames that are there; None where only reading to the end tells.
    missing : int
        Frames that the header promises and the file does not have: it was cut short. (Ogg promises
        none: pages that are missing or damaged.)
    dtype : 'int16', 'int32', 'float32' or 'float64'
        What `Reader.read` returns; integers left-justified.
    bits : int
        Significant bits, 0 for floating point.
    extensible : Extensible, optional
        Channel mask and codec identifier.
    speakers : tuple of int
        Loudspeaker of each channel where something else than a mask says it (see
        `earfilt.audio.speakers`); empty if nothing does.
    apple : bytes
        Content of the channel layout chunk of CAF and AIFF.
    form : str
        ``BW64`` or ``RIFX`` where a file of the RIFF family begins so.
    stated_bits : int
        Bits of a sample that the header says are used, which may be fewer than the subtype has; 0
        where it does not say.
    metadata : Metadata
    warnings : tuple of str
        What the user should know of the file.
    unread : int
        Bytes that are not read and would be lost with the file: beyond the stated end of the
        samples, of no whole frame, or of another recording. The last warning tells of them.
    """

    name: str
    container: str
    subtype: str
    fs: int
    channels: int
    frames: int | None
    missing: int
    dtype: str
    bits: int
    extensible: Extensible | None = None
    metadata: Metadata = field(default_factory=Metadata, repr=False)
    warnings: tuple[str, ...] = ()
    unread: int = 0
    speakers: tuple[int, ...] = ()
    apple: bytes = field(default=b"", repr=False)
    form: str = ""
    stated_bits: int = 0

    @property
    def seconds(self) -> float | None:
        """Duration."""
        return None if self.frames is None else self.frames / self.fs
