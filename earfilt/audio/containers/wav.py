"""WAV, WAVEX and RF64 as earfilt writes them: no wall clock, no PEAK chunk, the source's channel
mask and chunks.

A WAV whose length is known beforehand gets its final header at once. One whose length is not known
keeps 28 bytes free for the 64-bit sizes of RF64 (EBU Tech 3306), if it can be sought in, and the
sizes of a stream otherwise.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import replace

from earfilt.audio.containers import pcm
from earfilt.audio.containers.chunks import STREAMING, W64, W64_FORM, W64_TAILS, Chunk
from earfilt.audio.formats import GUID_TAIL, SIZE_WORD, Extensible, Target
from earfilt.errors import AudioError
from earfilt.storage.streams import write_all

_DS64 = 28
_TELLING_BYTES = 256  # SoX tells what a pipe brings by so many, and needs them in its first read


def format_chunk(target: Target) -> bytes:
    """The fmt chunk, and the fact chunk's header where the standard wants one (its content follows
    the number of frames).
    """
    tag = 3 if target.subtype in ("FLOAT", "DOUBLE") else 1
    width = target.sample.width
    align = width * target.channels
    rate = min(target.fs * align, SIZE_WORD)
    extensible = target.extensible or (Extensible(0, b"") if target.container == "WAVEX" else None)
    head = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else tag, target.channels, target.fs, rate, align, 8 * width
    )
    if extensible:
        tail = extensible.guid[2:] or GUID_TAIL
        head += struct.pack("<HHIH14s", 22, 8 * width, extensible.mask, tag, tail)
    elif tag == 3:
        head += struct.pack("<H", 0)
    return b"fmt " + struct.pack("<I", len(head)) + head


def header(
    target: Target, data_bytes: int | None, before: Sequence[Chunk], after_bytes: int, *, room: bool
) -> bytes:
    """Everything before the first sample.

    Parameters
    ----------
    data_bytes : int or None
        Bytes of samples; None for a stream of unknown length.
    before : sequence of Chunk
        Chunks carried before the samples.
    after_bytes : int
        Bytes of the chunks that will follow them.
    room : bool
        Keep room for the 64-bit sizes, so that the header has the same length as RF64.
    """
    align = target.sample.width * target.channels
    frames = 0 if data_bytes is None else data_bytes // align
    body = format_chunk(target)
    if target.subtype in ("FLOAT", "DOUBLE"):
        body += b"fact" + struct.pack(
            "<II", 4, min(frames, SIZE_WORD) if data_bytes is not None else STREAMING
        )
    body += b"".join(chunk.to_bytes() for chunk in before)
    wide = target.container == "RF64"
    extra = 8 + _DS64 if wide or room else 0
    total = 4 + extra + len(body) + 8 + (data_bytes or 0) + (data_bytes or 0) % 2 + after_bytes
    if data_bytes is None:
        total = STREAMING
    if wide:
        sizes = struct.pack("<QQQI", total, data_bytes or 0, frames, 0)
        return (
            (target.form or "RF64").encode("ascii")
            + struct.pack("<I", STREAMING)
            + b"WAVEds64"
            + struct.pack("<I", _DS64)
            + sizes
            + body
            + _data(STREAMING)
        )
    junk = b"JUNK" + struct.pack("<I", _DS64) + bytes(_DS64) if room else b""
    return (
        b"RIFF"
        + struct.pack("<I", total)
        + b"WAVE"
        + junk
        + body
        + _data(STREAMING if data_bytes is None else data_bytes)
    )


def w64_header(target: Target, data_bytes: int, before: Sequence[Chunk] = ()) -> bytes:
    """Everything before the first sample of a W64 file, which ends with its last one: libsndfile
    takes padding for samples.

    Parameters
    ----------
    data_bytes : int
        Bytes of samples.
    before : sequence of Chunk
        Chunks carried before the samples, with names of 16 bytes.
    """
    # libsndfile knows no format of 18 bytes here, which WAV has for floating point.
    fmt = format_chunk(target)[8:] if target.extensible else format_chunk(target)[8:24]
    body = W64.pack(b"fmt " + W64_TAILS[0], fmt)
    if target.subtype in ("FLOAT", "DOUBLE"):
        frames = data_bytes // (target.sample.width * target.channels)
        body += W64.pack(b"fact" + W64_TAILS[0], struct.pack("<Q", frames))
    body += b"".join(chunk.to_bytes(W64) for chunk in before)
    body += struct.pack("<4s12sQ", b"data", W64_TAILS[0], W64.counts + data_bytes)
    total = len(W64_FORM) + 8 + 16 + len(body) + data_bytes
    return W64_FORM + struct.pack("<Q", total) + b"wave" + W64_TAILS[0] + body


def _data(size: int) -> bytes:
    return b"data" + struct.pack("<I", size)


def set_mask(file: io.RawIOBase, mask: int) -> None:
    """Put the channel mask into the fmt chunk of a complete file with WAVEFORMATEXTENSIBLE; left at
    its end.
    """
    file.seek(0)
    at = (file.read(256) or b"").find(b"fmt ")
    if at >= 0:
        file.seek(at + 28)
        write_all(file.write, struct.pack("<I", mask))
    file.seek(0, io.SEEK_END)


def append_chunks(file: io.RawIOBase, chunks: Sequence[Chunk]) -> None:
    """Add chunks to a complete WAV, WAVEX or RF64 file, if there is room in its size word; left at
    its end.
    """
    end = file.seek(0, io.SEEK_END)
    tail = b"\0" * (end % 2) + b"".join(chunk.to_bytes() for chunk in chunks)
    file.seek(0)
    wide = file.read(4) == b"RF64"
    total = end + len(tail) - 8
    file.seek(0, io.SEEK_END)
    write_all(file.write, tail)
    file.seek(20 if wide else 4)
    write_all(
        file.write, struct.pack("<Q", total) if wide else struct.pack("<I", min(total, SIZE_WORD))
    )
    file.seek(0, io.SEEK_END)


def fits(target: Target, frames: int, before: Sequence[Chunk], after: Sequence[Chunk]) -> bool:
    """Whether a plain WAV can state these sizes (otherwise it has to become RF64)."""
    data = frames * target.sample.width * target.channels
    carried = sum(len(chunk) for chunk in (*before, *after))
    return 128 + carried + data <= SIZE_WORD


class WavWriter:
    """Writes a file or a stream of the RIFF family, or a W64 file (whose chunks all come before
    its samples).

    Parameters
    ----------
    file : raw binary file
        Sought in at the end if ``seekable``.
    frames : int or None
        Frames to come, if known. Where seeking is impossible, it has to come true.
    before, after : sequence of Chunk
        Chunks carried before and after the samples.
    """

    def __init__(
        self,
        file: io.RawIOBase,
        target: Target,
        *,
        frames: int | None,
        seekable: bool,
        before: Sequence[Chunk] = (),
        after: Sequence[Chunk] = (),
    ) -> None:
        if target.container == "RF64":
            # libsndfile 1.2.2 forgets the padding of odd chunks of RF64 and then finds no samples
            # behind them.
            odd = [chunk for chunk in before if len(chunk.data) % 2]
            before, after = [chunk for chunk in before if chunk not in odd], [*odd, *after]
        self.target, self.after = target, list(after)
        self._file, self._seekable, self._before = file, seekable, tuple(before)
        self._align = target.sample.width * target.channels
        self._room = frames is None and seekable and target.container in ("WAV", "WAVEX")
        self._even = 1 if target.container == "W64" else 2
        self._promised = None if frames is None else frames * self._align
        self._written = 0
        self._header = self._make(target, self._promised)
        # The header goes out with the first samples: alone, it is too little for some readers.
        self._held: bytearray | None = None if seekable else bytearray(self._header)
        if seekable:
            write_all(self._file.write, self._header)

    def _make(self, target: Target, data_bytes: int | None) -> bytes:
        if target.container == "W64":
            return w64_header(target, data_bytes or 0, self._before)
        return header(target, data_bytes, self._before, sum(map(len, self.after)), room=self._room)

    def _put(self, data: bytes | bytearray | memoryview) -> None:
        """Write; the beginning of a stream in one piece that tells what it is."""
        if self._held is not None:
            self._held += data
            if len(self._held) < _TELLING_BYTES:
                return
            data, self._held = self._held, None
        write_all(self._file.write, data)

    def encode(self, block: pcm.Array) -> pcm.Array:
        """Bytes of a block (frames, channels) of the subtype's dtype."""
        return pcm.encode(block, self.target.subtype)

    def write(self, data: pcm.Array) -> None:
        """Append what `encode` made."""
        self._put(data.data)
        self._written += len(data)

    def finish(self, after: Sequence[Chunk] = ()) -> list[str]:
        """Write what follows the samples and state the true sizes; returns what the user should
        know.

        ``after`` are chunks to append beyond those announced, where the header can still be
        corrected.

        Raises
        ------
        AudioError
            Other than the promised number of frames went into a stream.
        """
        self.after += after if self._seekable else ()
        # A stream of unknown length ends at its last sample: whatever followed would be taken for
        # samples.
        if self._promised is not None or self._seekable:
            tail = bytes(-self._written % self._even) + b"".join(
                chunk.to_bytes() for chunk in self.after
            )
            self._put(tail)
        if self._held is not None:
            write_all(self._file.write, self._held)
        if not self._seekable:
            if self._promised not in (None, self._written):
                raise AudioError(
                    f"{self._written // self._align} frames came instead of the "
                    f"{self._promised // self._align} promised"
                )
            return []
        if self._written == self._promised and not after:
            return []  # as the header says
        target, notes = self._fitting()
        final = self._make(target, self._written)
        if final != self._header:
            self._file.seek(0)
            write_all(self._file.write, final)
        return notes

    def _fitting(self) -> tuple[Target, list[str]]:
        if not self._room or fits(
            self.target, self._written // self._align, self._before, self.after
        ):
            return self.target, []
        return as_rf64(self.target), [RF64_NOTE]


RF64_NOTE = "passes 4 GiB, which WAV cannot state: written as RF64"


def as_rf64(target: Target) -> Target:
    """The same samples in RF64."""
    return replace(target, container="RF64")
