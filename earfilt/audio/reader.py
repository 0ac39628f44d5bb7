"""Audio files and pipes as blocks of samples: earfilt's own reader for the RIFF family, libsndfile for everything else."""

import os
from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import soundfile

from earfilt.audio import pcmbytes, riff, w64
from earfilt.audio.formats import MAX_CHANNELS, MAX_FS, SUBTYPES, Subtype
from earfilt.audio.info import AudioInfo, Metadata
from earfilt.audio.promise import caf_patch, promised_frames
from earfilt.audio.source import Source, open_source
from earfilt.audio.speakers import with_speakers
from earfilt.audio.tags import foreign_tags, read_metadata, riff_tags
from earfilt.errors import AudioError

_BLOCK_BYTES = 8 << 20
_UNKNOWN_FRAMES = 2**62


class Reader(ABC):
    """A source that delivers blocks of its samples in order.

    Attributes
    ----------
    info : AudioInfo
        What is known; its metadata are complete once the last sample was read.
    frames_read : int
    """

    def __init__(self, source: Source, info: AudioInfo, *, repair: bool = False) -> None:
        self.source, self.info, self.repair = source, info, repair
        self.frames_read = 0
        self._ended = False

    def read(self, frames: int) -> pcmbytes.Array:
        """The next block.

        Returns
        -------
        (n, channels) array
            Of ``info.dtype``, 0 < n <= frames; n = 0 at the end.

        Raises
        ------
        AudioError
            The source is damaged, or shorter than its header promises (unless repairing).
        """
        limit = max(1, _BLOCK_BYTES // (self.info.channels * np.dtype(self.info.dtype).itemsize))
        try:
            block = self._next(min(frames, limit))
        except OSError as error:
            if isinstance(error, AudioError):
                raise
            raise AudioError(f"cannot read {self.info.name}: {error.strerror or error}") from error
        self.frames_read += len(block)
        if frames and not len(block):
            if not self._ended:
                self._ended = True
                self._at_end()
            if self.source.changed() and not self.repair:
                raise AudioError(f"{self.info.name} changed while it was read; filter it again when nothing writes to it any more")
        return block

    def _at_end(self) -> None:
        if not self.frames_read and not self.info.missing:
            raise AudioError(f"{self.info.name} holds no samples")
        promised = None if self.info.frames is None else self.info.frames + self.info.missing
        if promised is not None and self.frames_read < promised:
            self.info = replace(self.info, frames=self.frames_read, missing=promised - self.frames_read)
            if not self.repair:
                raise AudioError(short_message(self.info))
        elif self.info.frames is None:
            self.info = replace(self.info, frames=self.frames_read)

    @property
    def rewindable(self) -> bool:
        """Whether `rewind` works: not on a pipe that is read as it flows."""
        return self.source.seekable

    @abstractmethod
    def _next(self, frames: int) -> pcmbytes.Array: ...

    @abstractmethod
    def rewind(self) -> None:
        """Go back to the first sample."""

    def close(self) -> None:
        """Give the file back."""
        self.source.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def short_message(info: AudioInfo) -> str:
    """What to tell of a source that was cut short."""
    there = info.frames or 0
    promise = "its last page is missing" if info.container == "OGG" else f"its header promises {there + info.missing} frames"
    return f"{info.name} is cut short: {promise}, {there} are there; use --repair to filter what is there"


class WavReader(Reader):
    """PCM and floating point of WAV, WAVEX, RF64 and W64, from a file or as it flows through a pipe."""

    def __init__(self, source: Source, head: riff.Head, *, repair: bool) -> None:
        self._head = head
        super().__init__(source, self._probe(source, head), repair=repair)
        source.forget()

    def _probe(self, source: Source, head: riff.Head) -> AudioInfo:
        fmt, subtype = head.fmt, SUBTYPES[head.fmt.subtype or ""]
        promised, there = head.data_size, None if source.size is None else source.size - head.data_offset
        size = promised if there is None else there if promised is None else min(promised, there)
        self._left = size
        missing = max(0, (promised or 0) - (size or 0))
        frames = None if size is None else size // fmt.align
        missing_frames = (promised or 0) // fmt.align - frames if missing and frames is not None else 0
        whole = source.seekable and promised is not None and not missing
        metadata = riff_metadata(source, head) if whole else Metadata(tuple(head.before), tags=riff_tags(head.before))
        return AudioInfo(
            source.name, head.container, subtype.name, fmt.fs, fmt.channels, frames, missing_frames,
            subtype.dtype, subtype.bits, fmt.extensible, metadata, tuple(head.warnings),
        )  # fmt: skip

    def _next(self, frames: int) -> pcmbytes.Array:
        fmt, subtype = self._head.fmt, self.info.subtype
        if self._left is not None:
            frames = min(frames, self._left // fmt.align)
        room, view = pcmbytes.empty(subtype, frames, fmt.channels)
        count = self.source.readinto(view)
        if self._left is not None:
            self._left -= count
        return pcmbytes.decode(room, subtype, count // fmt.align, fmt.channels)

    def _at_end(self) -> None:
        super()._at_end()
        behind = not self.source.seekable and self._head.data_size is not None and self._head.container != "W64"
        if behind and not self.info.missing:
            self.source.skip(self._left or 0)
            warnings = list(self.info.warnings)
            after = tuple(riff.read_rest(self.source, self._head.data_size or 0, warnings))
            self._left = 0
            self.info = replace(self.info, metadata=replace(self.info.metadata, after=after), warnings=tuple(warnings))

    def rewind(self) -> None:
        self.source.seek(self._head.data_offset)
        self.frames_read = 0
        size = self._head.data_size
        there = (self.source.size or 0) - self._head.data_offset
        self._left = there if size is None else min(size, there)


class _Overlay:
    """A file that is read with some of its bytes replaced."""

    def __init__(self, source: Source, at: int, data: bytes) -> None:
        self._source, self._at, self._data = source, at, data
        source.seek(0)

    def read(self, count: int) -> bytes:
        start = self._source.position
        out = bytearray(self._source.read(count))
        for i, byte in enumerate(self._data, self._at - start):
            if 0 <= i < len(out):
                out[i] = byte
        return bytes(out)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._source.position, os.SEEK_END: self._source.size or 0}[whence]
        self._source.seek(max(0, base + offset))
        return self._source.position

    def tell(self) -> int:
        return self._source.position


def _open_soundfile(source: Source, magic: bytes) -> soundfile.SoundFile:
    source.seek(0)
    patch = caf_patch(source, magic)
    try:
        return soundfile.SoundFile(_Overlay(source, *patch) if patch else source.raw.fileno(), "r", closefd=False)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise NotAudioError(f"{source.name} is not audio that can be read ({_reason(error)})") from error


class SoundfileReader(Reader):
    """Everything that libsndfile decodes."""

    def __init__(self, source: Source, magic: bytes, head: riff.Head | None, *, repair: bool) -> None:
        self._file = _open_soundfile(source, magic)
        super().__init__(source, self._probe(source, magic, head), repair=repair)

    def _probe(self, source: Source, magic: bytes, head: riff.Head | None) -> AudioInfo:
        file = self._file
        if not (1 <= file.channels <= MAX_CHANNELS and 1 <= file.samplerate <= MAX_FS):
            raise AudioError(f"{source.name} is damaged: it claims {file.channels} channels at {file.samplerate} Hz")
        subtype = SUBTYPES.get(file.subtype) or Subtype(file.subtype, "int16", 16, 0, lossless=False)
        frames = file.frames if 0 <= file.frames < _UNKNOWN_FRAMES else None
        position = source.raw.tell()
        promised = promised_frames(source, magic, frames)
        metadata = self._metadata(source, head)
        source.raw.seek(position)
        info = AudioInfo(
            source.name, file.format, file.subtype, file.samplerate, file.channels,
            None if file.format == "MP3" else frames,
            max(0, promised - frames) if promised is not None and frames is not None else 0,
            subtype.dtype, subtype.bits, head.fmt.extensible if head else None, metadata,
        )  # fmt: skip
        return with_speakers(info, source)

    def _metadata(self, source: Source, head: riff.Head | None) -> Metadata:
        if head is not None:
            return riff_metadata(source, head)
        metadata = read_metadata(source, self._file.format)
        return Metadata(tags=foreign_tags(self._file.copy_metadata())) if metadata is None else metadata

    def _next(self, frames: int) -> pcmbytes.Array:
        block = np.empty((frames, self.info.channels), self.info.dtype)
        try:
            count = self._file.buffer_read_into(block, self.info.dtype) if frames else 0
        except (soundfile.SoundFileError, RuntimeError, AssertionError) as error:
            return self._salvage(block, error)
        return block[:count]

    def _salvage(self, block: pcmbytes.Array, error: Exception) -> pcmbytes.Array:
        if not self.repair:
            raise AudioError(
                f"{self.info.name} is damaged or cut short after frame {self.frames_read} ({_reason(error)}); "
                "use --repair to filter what is there"
            ) from error
        # The decoder counts what it has delivered, also in the call that failed.
        return block[: max(0, self._file.tell() - self.frames_read)]

    def rewind(self) -> None:
        self._file.seek(0)
        self.frames_read = 0

    def close(self) -> None:
        self._file.close()
        super().close()


def riff_metadata(source: Source, head: riff.Head) -> Metadata:
    """The chunks of a file on both sides of its samples; the source is left at the first sample."""
    if head.container == "W64":
        return Metadata()
    after: tuple[riff.Chunk, ...] = ()
    if head.data_size and head.data_offset + head.data_size < (source.size or 0):
        source.seek(head.data_offset + head.data_size)
        after = tuple(riff.read_rest(source, head.data_size, head.warnings))
    if source.position != head.data_offset:
        source.seek(head.data_offset)
    return Metadata(tuple(head.before), after, tags=riff_tags((*head.before, *after)))


class NotAudioError(AudioError):
    """Content that is no audio, or none that can be read."""


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", "") or str(error)
    return text.rstrip(". ") or type(error).__name__


def open_reader(path: str, *, repair: bool = False, spool: bool = False, spool_dir: str | None = None) -> Reader:
    """Open a file, or the standard input for ``-``.

    Parameters
    ----------
    repair : bool
        A source that is cut short ends where it ends, instead of raising.
    spool : bool
        Make a pipe rewindable by storing it on disk (what has to seek is stored anyway).
    spool_dir : str, optional
        Where; default the system's directory for temporary files.

    Raises
    ------
    AudioError
        Missing, not permitted, not audio, damaged, or without a single frame.
    """
    source = open_source(path)
    try:
        reader = _choose(source, repair=repair, spool=spool, spool_dir=spool_dir)
    except OSError as error:
        source.close()
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"cannot read {source.name}: {error.strerror or error}") from error
    except BaseException:
        source.close()
        raise
    if reader.info.frames == 0 and not reader.info.missing:
        reader.close()
        raise AudioError(f"{source.name} holds no samples")
    return reader


def _choose(source: Source, *, repair: bool, spool: bool, spool_dir: str | None) -> Reader:
    magic = source.read(12)
    if not magic:
        raise AudioError(f"{source.name} is empty (0 bytes)")
    if spool and not source.seekable:
        source.spool(spool_dir)
        source.seek(len(magic))
    head = _head(source, magic)
    if head is not None and head.fmt.subtype is not None:
        return WavReader(source, head, repair=repair)
    if not source.seekable:
        source.spool(spool_dir)
    return SoundfileReader(source, magic, head, repair=repair)


def _head(source: Source, magic: bytes) -> riff.Head | None:
    if magic[:4] in riff.MAGICS and magic[8:] == b"WAVE":
        return riff.read_head(source, magic)
    return w64.read_head(source) if magic == w64.MAGIC else None


def probe(path: str) -> AudioInfo:
    """What a file is and holds, without reading its samples.

    Raises
    ------
    AudioError
        As `open_reader`.
    """
    with open_reader(path, repair=True) as reader:
        return reader.info
