"""Opus in Ogg: the rate in its header, the frames of its packets, and where a file ends.

libsndfile gives the encoder too little at the end to put out the last of the sound, and fills the
last packet up with what its buffer held.

References
----------
RFC 6716 (Opus), section 3.1; RFC 7845 (Opus in Ogg), sections 4 and 5.1.
"""

from __future__ import annotations

import io
import struct

from earfilt.audio.containers.ogg.pages import HEAD, MAGIC, Page, size_of, with_checksum
from earfilt.storage.streams import write_all

RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Hz that the decoder gives, by the band of the sound."""

_PRESKIP, _RATE = 10, 12  # places in its header
_HEADERS = 2  # packets before those of sound
_SILK = (480, 960, 1920, 2880)  # frames of one of its own, at 48 kHz
# Bands of the configurations: SILK, each in four lengths, hybrid in two, CELT in four.
_BANDS = (
    (0,) * 4 + (1,) * 4 + (2,) * 4 + (3,) * 2 + (4,) * 2 + (0,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4
)


def stated_rate(first: Page) -> int | None:
    """What the header on the first page of a stream states in Hz, 0 where that is nothing; None
    of another codec.
    """
    head = first.data[first.body :]
    if not head.startswith(b"OpusHead") or len(head) < _RATE + 4:
        return None
    return int.from_bytes(head[_RATE : _RATE + 4], "little")


def with_rate(page: Page, fs: int) -> bytes:
    """The first page of an Opus stream with another sampling rate in its header."""
    at = page.body + _RATE
    data = page.data[:at] + struct.pack("<I", fs) + page.data[at + 4 :]
    return with_checksum(data)


def decoded_rate(stated: int) -> int:
    """Sampling rate in Hz at which libsndfile decodes Opus: the next that the codec has from the
    stated one on, and its own where none is stated.
    """
    return min((fs for fs in RATES if fs >= stated > 0), default=RATES[-1])


def band_of(toc: int) -> int:
    """Sampling rate in Hz that holds all that an Opus packet does, by its first byte."""
    return RATES[_BANDS[toc >> 3]]


def frames_of(packet: bytes) -> int:
    """Frames of an Opus packet at 48 kHz, by its first bytes.

    >>> frames_of(bytes([31 << 3]))  # a frame of 20 ms
    960
    """
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        each = _SILK[configuration & 3]
    elif configuration < 16:
        each = _SILK[configuration & 1]
    else:
        each = 120 << (configuration & 3)
    return each * (packet[1] & 63 if code == 3 else (1, 2, 2)[code])


def set_end(file: io.RawIOBase, frames: int) -> None:
    """Let an Opus file with one stream end behind so many frames (at 48 kHz), in place: its last
    page states them, and packets that hold none of them are cut off.

    Parameters
    ----------
    file : raw binary file
        For reading and writing; as long, or longer.
    """
    at, wanted, packets, done, start = 0, frames, 0, 0, b""
    while page := _page_at(file, at):
        if not at:
            # Frames that the decoder gives before the first one.
            wanted += struct.unpack_from("<H", page.data, page.body + _PRESKIP)[0]
        place = page.body
        for segment, length in enumerate(page.lengths, 1):
            start = start or page.data[place : place + 2]
            place += length
            if length < 255:
                packets += 1
                done += frames_of(start) if packets > _HEADERS else 0
                start = b""
            if done >= wanted:
                data = page.ended(segment, wanted)
                file.seek(at)
                write_all(file.write, data)
                file.truncate()
                return
        at = page.end


def _page_at(file: io.RawIOBase, at: int) -> Page | None:
    file.seek(at)
    head = file.read(HEAD + 255) or b""
    if len(head) < HEAD or head[:4] != MAGIC:
        return None
    file.seek(at)
    return Page(at, file.read(size_of(head)) or b"")
