"""Audio files and streams from blocks of samples: `earfilt.audio.containers.wav` for the RIFF
family, libsndfile for everything else.
"""

import errno
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Protocol

import numpy as np
import soundfile

from earfilt import __version__
from earfilt.audio.containers import aiff, caf, flac, pcm
from earfilt.audio.containers.chunks import Chunk
from earfilt.audio.containers.ogg import opus
from earfilt.audio.containers.ogg.pages import set_serials
from earfilt.audio.containers.pcm import Array
from earfilt.audio.containers.wav import WavWriter, append_chunks, fits, set_mask
from earfilt.audio.formats import RAW, RIFF_FAMILY, Target, check_limits
from earfilt.audio.info import Metadata
from earfilt.audio.metadata import annotation
from earfilt.audio.metadata.tags import crossing, info_chunk, late_warning, soundfile_strings
from earfilt.audio.speakers import MASK_TAG
from earfilt.errors import AudioError, UsageError
from earfilt.storage.streams import write_all
from earfilt.wording import option

_MAX_OGG_FRAMES = 16_384  # long writes overflow libvorbis's stack
_OPUS_PACKETS = 50  # in a second
_LARGEST_IN_MP3 = 2.0**16  # LAME ends the whole process over what is far beyond full scale
_SET_ADD_PEAK_CHUNK = 0x1050
_UPDATE_HEADER_NOW = 0x1060


class Writer(Protocol):
    """Takes blocks in order, and `finish` once all are there."""

    def encode(self, block: Array) -> Array:
        """What `write` takes of a block (frames, channels) of the target's dtype, C-contiguous;
        may be called by several threads, in any order.
        """

    def write(self, data: Array) -> None:
        """Append the next block."""

    def finish(self, after: Sequence[Chunk] = ()) -> list[str]:
        """Make the file whole; returns what the user should know.

        ``after`` are the chunks found behind the source's samples, where they could not be known
        before (a pipe).
        """


class _Shifted:
    """A file whose beginning is kept free: what libsndfile takes for byte 0 lies at byte ``shift``.

    libsndfile writes through it, so that the reason of a failure (no space, a size limit) is not
    lost.
    """

    def __init__(self, file: io.RawIOBase, shift: int) -> None:
        self._file, self._shift = file, shift
        self.error: OSError | None = None
        file.seek(shift)

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                write_all(self._file.write, data)
            except OSError as error:
                self.error = error
        return 0 if self.error else len(data)

    def read(self, count: int) -> bytes:
        return self._file.read(count) or b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return (
            self._file.seek(offset + (self._shift if whence == io.SEEK_SET else 0), whence)
            - self._shift
        )

    def tell(self) -> int:
        return self._file.tell() - self._shift


class SoundfileWriter:
    """Any container that libsndfile writes, made the same at every run.

    libsndfile calls back into Python to write, and an exception that a signal raises there is lost.
    Signals reach the main thread only, so that a thread of its own does the writing.

    Parameters
    ----------
    file : raw binary file
        Empty, for reading and writing, and seekable.
    metadata : Metadata
        Chunks and blocks of the target's own container as they are; else what its tags become
        there.
    """

    def __init__(self, file: io.RawIOBase, target: Target, metadata: Metadata) -> None:
        self.target, self._file = target, file
        self._blocks = _flac_blocks(metadata, target) if target.container == "FLAC" else []
        self._chunks = _apple_chunks(metadata, target)
        self._inserted = caf.chunk_bytes(self._chunks) if target.container == "CAF" else b""
        if target.container == "AU":
            self._inserted = metadata.annotation
        self._shifted = _Shifted(file, flac.size_of(self._blocks) + len(self._inserted))
        riff = _riff_chunks(metadata, target) if target.container in RIFF_FAMILY else ()
        self._riff = tuple(chunk for chunks in riff for chunk in chunks)
        self._frames = 0
        with self._failures():
            self._sound = soundfile.SoundFile(
                self._shifted,
                "w",
                target.fs,
                target.channels,
                target.subtype,
                format=target.container,
            )
            # The chunk holds the second of writing. There is no public call to leave it out.
            soundfile._snd.sf_command(
                self._sound._file, _SET_ADD_PEAK_CHUNK, soundfile._ffi.NULL, 0
            )
            if target.container in ("AIFF", "CAF"):
                # The header is shorter without it: what is left of the first one would be taken for
                # samples.
                soundfile._snd.sf_command(
                    self._sound._file, _UPDATE_HEADER_NOW, soundfile._ffi.NULL, 0
                )
                file.truncate()
                self._sound.seek(0)
            if target.container in ("OGG", "MP3"):
                for name, value in soundfile_strings(crossing(metadata, target)[0]).items():
                    setattr(self._sound, name, value)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (soundfile.SoundFileError, RuntimeError, AssertionError, TypeError) as error:
            if self._shifted.error is not None:
                raise self._shifted.error from error
            raise AudioError(f"{self.target.container} cannot be written: {error}") from error
        if self._shifted.error is not None:
            raise self._shifted.error

    def encode(self, block: Array) -> Array:
        return block  # an encoder remembers what came before

    def write(self, block: Array) -> None:
        if self.target.container == "MP3" and np.abs(block).max(initial=0.0) > _LARGEST_IN_MP3:
            raise AudioError(
                f"samples reach {20 * np.log10(np.abs(block).max()):.0f} dB beyond full scale, "
                f"which MP3 cannot hold: lower them with {option('gain_db')}, or name the output "
                ".wav"
            )
        step = _MAX_OGG_FRAMES if self.target.container == "OGG" else len(block) or 1
        with self._failures():
            for start in range(0, len(block), step):
                self._sound.write(block[start : start + step])
        self._frames += len(block)
        self._check_size()

    def _check_size(self) -> None:
        """Refuse what the header cannot state, where a pipe did not say beforehand how much would
        come.
        """
        check_limits(self.target, self._frames)
        if self.target.container in ("WAV", "WAVEX") and not fits(
            self.target, self._frames, self._riff, ()
        ):
            raise UsageError(
                f"the output passes the 4 GiB that WAV can state: name {self.target.subtype} "
                f"with {option('format', 'rf64')}"
            )

    def finish(self, after: Sequence[Chunk] = ()) -> list[str]:
        is_opus = self.target.subtype == "OPUS"
        with self._failures():
            if is_opus:
                # libsndfile fills the last packet up with what its buffer held, so that this one
                # must have no part in the sound.
                self._sound.write(np.zeros((self.target.fs // _OPUS_PACKETS, self.target.channels)))
            self._sound.close()
        if self._blocks:
            self._splice()
        if self._inserted:
            self._insert()
        if self.target.container == "AIFF":
            aiff.set_frames(
                self._file, self._frames, self.target.channels * self.target.sample.width
            )
            aiff.append_chunks(self._file, self._chunks)
        if self.target.container in ("WAVEX", "RF64"):
            # libsndfile makes a mask up from the number of channels.
            set_mask(self._file, self.target.extensible.mask if self.target.extensible else 0)
        if self.target.container in RIFF_FAMILY:
            append_chunks(self._file, (*self._riff, *after))
            after = ()
        if is_opus:
            opus.set_end(self._file, self._frames * opus.RATES[-1] // self.target.fs)
        if self.target.container == "OGG":
            set_serials(self._file)
        return late_warning(after, self.target)

    def _splice(self) -> None:
        shift = flac.size_of(self._blocks)
        self._file.seek(shift)
        start = self._file.read(1 << 16) or b""
        size = flac.head_size(start)
        if not size:
            raise AudioError("FLAC cannot be written: its head is not where libsndfile puts it")
        self._file.seek(0)
        write_all(self._file.write, flac.splice(start[:size], self._blocks))

    def _insert(self) -> None:
        """Move the beginning of a CAF or AU file to where it belongs, and what is carried behind
        it.
        """
        size = annotation.HEAD if self.target.container == "AU" else caf.HEAD
        self._file.seek(len(self._inserted))
        head = self._file.read(size) or b""
        if self.target.container == "AU":
            head = annotation.head_at(head, size + len(self._inserted))
        self._file.seek(0)
        write_all(self._file.write, head + self._inserted)

    def close(self) -> None:
        """Let go of the encoder, whatever state it is in."""
        with suppress(soundfile.SoundFileError, RuntimeError, AssertionError):
            self._sound.close()


def _flac_blocks(metadata: Metadata, target: Target) -> list[flac.Block]:
    """The source's blocks, or its tags as comments; and the channel mask, where the source states
    one.
    """
    mask = [(MASK_TAG, f"0x{target.extensible.mask:04X}")] if target.extensible is not None else []
    if not metadata.blocks:
        tags = [*mask, *crossing(metadata, target)[0]]
        return [flac.comment_block(tags, f"earfilt {__version__}")] if tags else []
    if not mask or any(key == MASK_TAG for key, _ in metadata.tags):
        return list(metadata.blocks)
    return flac.with_comments(metadata.blocks, mask, f"earfilt {__version__}")


def _apple_chunks(metadata: Metadata, target: Target) -> tuple[Chunk, ...]:
    """Chunks of an AIFF or CAF file: the channel layout and what is carried."""
    if target.container not in ("AIFF", "CAF"):
        return ()
    kind, carried = (aiff, metadata.iff) if target.container == "AIFF" else (caf, metadata.caf)
    stated = (Chunk(kind.LAYOUT, target.apple),) if target.apple else ()
    texts = kind.text_chunks(crossing(metadata, target)[0])
    return (*stated, *texts, *(chunk for chunk in carried if chunk.id != kind.LAYOUT))


def _riff_chunks(metadata: Metadata, target: Target) -> tuple[tuple[Chunk, ...], tuple[Chunk, ...]]:
    """Chunks of a file of the RIFF family, before and behind its samples."""
    info = info_chunk(crossing(metadata, target)[0])
    return ((info,), ()) if info else (metadata.before, metadata.after)


class _Reordered:
    """A writer of which channel i gets channel ``order[i]``."""

    def __init__(self, writer: Writer, order: Sequence[int]) -> None:
        self._writer, self._order = writer, list(order)

    def encode(self, block: Array) -> Array:
        return self._writer.encode(np.ascontiguousarray(block[:, self._order]))

    def write(self, data: Array) -> None:
        self._writer.write(data)

    def finish(self, after: Sequence[Chunk] = ()) -> list[str]:
        return self._writer.finish(after)


class RawWriter:
    """Samples alone, little-endian and interleaved."""

    def __init__(self, file: io.RawIOBase, target: Target) -> None:
        self.target, self._file = target, file

    def encode(self, block: Array) -> Array:
        return pcm.encode(block, self.target.subtype)

    def write(self, data: Array) -> None:
        write_all(self._file.write, data.data)

    def finish(self, after: Sequence[Chunk] = ()) -> list[str]:
        return late_warning(after, self.target)


class _W64Writer(WavWriter):
    """W64 has no place for chunks behind its samples here."""

    def finish(self, after: Sequence[Chunk] = ()) -> list[str]:
        return [*super().finish(), *late_warning(after, self.target)]


class _Aside:
    """A writer on a thread of its own.

    libsndfile calls back into Python, where an exception that a signal raises would be lost;
    signals reach the main thread only.
    """

    def __init__(self, thread: ThreadPoolExecutor, writer: Writer) -> None:
        self._thread, self._writer = thread, writer

    def encode(self, block: Array) -> Array:
        return self._writer.encode(block)

    def write(self, data: Array) -> None:
        self._thread.submit(self._writer.write, data).result()

    def finish(self, after: Sequence[Chunk] = ()) -> list[str]:
        return self._thread.submit(self._writer.finish, after).result()


@contextmanager
def open_writer(
    file: io.RawIOBase, target: Target, metadata: Metadata, *, frames: int | None, seekable: bool
) -> Iterator[Writer]:
    """A writer onto an open file.

    Parameters
    ----------
    file : raw binary file
        Empty; for reading and writing unless the target is native.
    frames : int or None
        Frames to come, if known.
    seekable : bool
        False for a pipe, which can take native targets only.

    Raises
    ------
    AudioError
        libsndfile refuses.
    OSError
        What the file raises: no space, no permission.
    """
    writer = _own_writer(file, target, metadata, frames=frames, seekable=seekable)
    if writer is not None:
        yield _ordered(writer, target)
        return
    with ThreadPoolExecutor(1, "earfilt-write") as thread:
        encoder = thread.submit(SoundfileWriter, file, target, metadata)
        try:
            yield _ordered(_Aside(thread, encoder.result()), target)
        finally:
            thread.submit(lambda: encoder.result().close()).result()


def _ordered(writer: Writer, target: Target) -> Writer:
    """What takes the source's channels, for a writer of channels as they stand in the output."""
    return _Reordered(writer, target.order) if target.order else writer


def _own_writer(
    file: io.RawIOBase, target: Target, metadata: Metadata, *, frames: int | None, seekable: bool
) -> Writer | None:
    """A writer without libsndfile; None where that is needed."""
    if target.container == RAW.name:
        return RawWriter(file, target)
    if target.native:
        before, after = _riff_chunks(metadata, target)
        return WavWriter(file, target, frames=frames, seekable=seekable, before=before, after=after)
    if not seekable:
        raise OSError(errno.ESPIPE, f"{target.container} cannot be written to a pipe")
    if target.container == "W64" and target.sample.lossless:
        before = metadata.w64
        return _W64Writer(file, target, frames=frames, seekable=seekable, before=before)
    return None
