"""Samples by libsndfile, read forwards without a seek, from one recording or from several that
follow one another in a file.

soundfile's own reading seeks after every block, which libFLAC refuses where a file does not state
its length, and libsndfile stops at the end of the first recording (link) of a chained Ogg file and
of joined MP3 files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import soundfile

from earfilt.errors import AudioError

if TYPE_CHECKING:
    from earfilt.audio.containers.pcm import Array
    from earfilt.audio.source import Source

FAILURES = (soundfile.SoundFileError, RuntimeError, AssertionError, TypeError)
_CTYPES = {"int16": "short", "int32": "int", "float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Link:
    """One recording of a file: the bytes from ``start`` to ``end``, some of them replaced.

    Parameters
    ----------
    start, end : int
        Offsets in the file; None for its end.
    patches : mapping of int to bytes
        What to read at an offset, counted from the file's beginning, in place of what is there.
    prefix : bytes
        What to read before the first byte.
    seen : int
        Bytes that it must seem to have, for a decoder that guesses its length from them; 0 for
        those that it has.
    """

    start: int = 0
    end: int | None = None
    patches: Mapping[int, bytes] | None = None
    prefix: bytes = b""
    seen: int = 0

    @property
    def whole(self) -> bool:
        """Whether it is the file as it lies on the disk."""
        changed = self.patches or self.prefix or self.seen
        return self.start == 0 and self.end is None and not changed


class _Window:
    """A link as a file of its own."""

    def __init__(self, source: Source, link: Link) -> None:
        self._file, self._link, self._at = source.raw.fileno(), link, 0
        end = source.size or 0 if link.end is None else link.end
        self._held = len(link.prefix) + end - link.start
        self._size = max(self._held, link.seen)

    def read(self, count: int) -> bytes:
        if self._at > self._held:  # where a tag would lie at the end that it seems to have
            return bytes(max(0, min(count, self._size - self._at)))
        count = max(0, min(count, self._held - self._at))
        out = bytearray(self._link.prefix[self._at : self._at + count])
        lead = len(out)
        start = self._link.start + max(0, self._at - len(self._link.prefix))
        out += os.pread(self._file, count - lead, start)
        for offset, data in (self._link.patches or {}).items():
            for i, byte in enumerate(data, offset - start + lead):
                if lead <= i < len(out):
                    out[i] = byte
        self._at += len(out)
        return bytes(out)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at


class Decoder:
    """The samples of the links of a file.

    Parameters
    ----------
    source : Source
        A file.
    links : sequence of Link
        At least one.

    Attributes
    ----------
    links : sequence of Link
    frames : int or None
        Of all links together; None where one does not state its length.

    Raises
    ------
    soundfile.SoundFileError
        libsndfile does not know the content.
    AudioError
        The links differ in rate or channels.
    """

    def __init__(self, source: Source, links: Sequence[Link]) -> None:
        self.links: Sequence[Link] = links
        self._source, self._index = source, 0
        self._window: _Window | None = None
        self._delivered = 0
        self._finished: list[tuple[int, int]] = []
        self._file = self._open(0)
        self.samplerate, self.channels = self._file.samplerate, self._file.channels
        self.format, self.subtype = self._file.format, self._file.subtype
        self.tags: dict[str, str] = self._file.copy_metadata()
        self.frames = self._count()

    def _open(self, index: int) -> soundfile.SoundFile:
        link = self.links[index]
        self._window = None if link.whole else _Window(self._source, link)
        if self._window is None:
            self._source.seek(0)
            file = soundfile.SoundFile(self._source.raw.fileno(), "r", closefd=False)
        else:
            file = soundfile.SoundFile(self._window, "r")
        if file.subtype == "OPUS":
            # Of a stream that was cut out of another one libsndfile 1.2.2 gives what lies before
            # the first frame, too, unless it has been told to go there.
            file.seek(0)
        return file

    @property
    def reached(self) -> list[tuple[int, int]]:
        """How far each link was read, up to the present one: the byte of the file, a little
        further than decoded, and frames.
        """
        link, window = self.links[self._index], self._window
        at = (
            self._source.raw.tell()
            if window is None
            else link.start + max(0, window.tell() - len(link.prefix))
        )
        return [*self._finished, (at, self._delivered)]

    def _count(self) -> int | None:
        lengths, window = [_stated(self._file.frames)], self._window
        for index in range(1, len(self.links)):
            with self._open(index) as file:
                if (file.samplerate, file.channels) != (self.samplerate, self.channels):
                    raise AudioError.about(
                        self._source.name,
                        "{subject} is {count} recordings one after the other, which differ: "
                        "{channels} channels at {samplerate} Hz, then {channels2} at "
                        "{samplerate2} Hz; split it at byte {start}",
                        count=len(self.links),
                        channels=self.channels,
                        samplerate=self.samplerate,
                        channels2=file.channels,
                        samplerate2=file.samplerate,
                        start=self.links[index].start,
                    )
                lengths.append(_stated(file.frames))
        self._window = window
        return None if None in lengths else sum(length or 0 for length in lengths)

    def read(self, block: Array) -> int:
        """Fill ``block`` (frames, channels) as far as there are frames.

        Raises
        ------
        DecodingError
            The content is damaged; it says how many frames came before.
        """
        done = 0
        while done < len(block):
            count = self._read(block[done:])
            done += count
            self._delivered += count
            if count:
                continue
            if self._index + 1 == len(self.links):
                break
            self._finished = self.reached
            self._file.close()
            self._index += 1
            self._delivered = 0
            self._file = self._open(self._index)
        return done

    def _read(self, block: Array) -> int:
        snd, ffi = soundfile._snd, soundfile._ffi
        ctype = _CTYPES[block.dtype.name]
        read: Any = getattr(snd, f"sf_readf_{ctype}")
        if self.format == "FLAC":  # looks for a further frame behind its last one, and complains
            left = (_stated(self._file.frames) or 2**62) - self._delivered
            block = block[: max(0, left)]
        count = int(
            read(self._file._file, ffi.cast(f"{ctype}*", ffi.from_buffer(block)), len(block))
        )
        if code := snd.sf_error(self._file._file):
            self._delivered += max(0, count)
            raise DecodingError(
                soundfile.LibsndfileError(code).error_string.rstrip(". "), max(0, count)
            )
        return count

    def rewind(self) -> None:
        """Go back to the first frame."""
        self._file.close()
        self._index = self._delivered = 0
        self._finished = []
        self._file = self._open(0)

    def close(self) -> None:
        """Let go of the decoder; the source stays open."""
        self._file.close()


class DecodingError(Exception):
    """Damage was met; ``frames`` frames of the block were delivered before it."""

    def __init__(self, reason: str, frames: int) -> None:
        super().__init__(reason)
        self.frames = frames


def _stated(frames: int) -> int | None:
    """libsndfile says 2**63 − 1 where a file does not state its length."""
    return frames if 0 <= frames < 2**62 else None
