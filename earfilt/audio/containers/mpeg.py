"""Frames of MPEG audio: where the first one is, and where a recording that was joined to another
begins.

libsndfile wants a frame (or an ID3 tag) at the first byte, and ends where the Xing header of the
first recording ends.

References
----------
ISO 11172-3 (1993), section 2.4.1.3, and ISO 13818-3 for the lower rates; ID3v2.4.0, section 3.1;
the Xing header as LAME writes it.
"""

import os
import struct

_SEARCHED = 1 << 16
# of films, whose sound lies in pieces
_CONTAINERS = (b"RIFF", b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3")
_CHAIN = 8
_KBPS = {  # (MPEG-1, layer): bit rates of the indices 1 to 14
    (True, 1): range(32, 449, 32),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)


def find_streams(file: int) -> list[tuple[int, int | None]]:
    """First byte and end of each MPEG audio recording of a file; empty where there is none.

    Parameters
    ----------
    file : int
        Descriptor.
    """
    streams: list[tuple[int, int | None]] = []
    magic = os.pread(file, 8, 0)
    at = None if magic[:4] in _CONTAINERS or magic[4:] == b"ftyp" else first_frame(file, 0)
    while at is not None:
        behind = _joined(file, at)
        streams.append((at, behind))
        at = behind
    if streams and streams[0][0] == id3_end(file, 0):
        # libsndfile passes over the tag itself.
        streams[0] = 0, streams[0][1]
    return streams


def first_frame(file: int, start: int) -> int | None:
    """The first frame from a byte on that others follow, behind tags and whatever else stands
    there; None where there is none.
    """
    start = id3_end(file, start)
    data = os.pread(file, _SEARCHED, start)
    at = data.find(b"\xff")
    while at >= 0:
        if frame_length(data[at : at + 4]) and _goes_on(file, start + at):
            return start + at
        at = data.find(b"\xff", at + 1)
    return None


def begins_with_frames(file: int) -> bool:
    """Whether frames of MPEG audio begin at the first byte, or behind the ID3 tags there."""
    start = id3_end(file, 0)
    return bool(frame_length(os.pread(file, 4, start))) and _goes_on(file, start)


def _goes_on(file: int, at: int) -> bool:
    """Whether frames of one kind follow each other up to the end, or at least eight."""
    kind: bytes | None = None
    for index in range(_CHAIN):
        head = os.pread(file, 4, at)
        if index and (len(head) < 4 or head[:3] == b"TAG" or head == b"APET" or head[:3] == b"ID3"):
            return index > 1
        length = frame_length(head)
        same = bytes([head[1], head[2] & 0x0C]) if length else None
        if same is None or same != (kind or same):
            return False
        kind = same
        at += length
    return True


def frame_length(head: bytes) -> int:
    """Bytes of the frame with this header of four; 0 if it is none, or of free format."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or index in (0, 15) or rate == 3:
        return 0
    first = version == 3
    fs = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits = 1000 * _KBPS[first, layer][index - 1]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // fs + padding) * 4
    return (144 if first or layer == 2 else 72) * bits // fs + padding


def id3_end(file: int, start: int) -> int:
    """Where the ID3v2 tags end that begin at a byte (there, if none does)."""
    while (head := os.pread(file, 10, start))[:3] == b"ID3" and len(head) == 10:
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        start += 10 + size + (10 if head[5] & 0x10 else 0)
    return start


def _joined(file: int, at: int) -> int | None:
    """Where the recording begins that was joined to the one whose first frame is given; None if
    none was.
    """
    size = _stated_bytes(os.pread(file, 4096, at))
    if not size or at + size >= os.fstat(file).st_size:
        return None
    end = at + size
    tag = os.pread(file, 3, end)
    start = end + 128 if tag == b"TAG" else end
    begins = id3_end(file, start)
    head = os.pread(file, 4096, begins)
    if not frame_length(head[:4]) or not _goes_on(file, begins):
        return None
    # Without a tag or a header of its own it is the recording itself, whose header states too
    # little.
    return begins if begins > end or _xing(head) else None


def missing_bytes(file: int) -> int:
    """Bytes by which the file ends before its Xing header says so."""
    at = first_frame(file, 0)
    stated = 0 if at is None else _stated_bytes(os.pread(file, 4096, at))
    return max(0, (at or 0) + stated - os.fstat(file).st_size) if stated else 0


def samples_per_frame(fs: int) -> int:
    """Of layer III, the only one with a Xing header."""
    return 1152 if fs >= min(_RATES) else 576


def _xing(frame: bytes) -> int:
    """Offset of the Xing header in a first frame; 0 where there is none."""
    length = frame_length(frame[:4])
    if not length or frame[1] >> 1 & 3 != 1:
        return 0
    first, mono = frame[1] >> 3 & 3 == 3, frame[3] >> 6 == 3
    at = 4 + ((17 if mono else 32) if first else (9 if mono else 17))
    return at if frame[at : at + 4] in (b"Xing", b"Info") else 0


def _stated_bytes(frame: bytes) -> int:
    at = _xing(frame)
    if not at or at + 16 > len(frame):
        return 0
    flags = struct.unpack_from(">I", frame, at + 4)[0]
    return int(struct.unpack_from(">I", frame, at + 8 + 4 * (flags & 1))[0]) if flags & 2 else 0
