"""Frames of MPEG audio: where the first one is, and where a recording that was joined to another
begins.

libsndfile wants a frame (or an ID3 tag) at the first byte, and ends where the Xing header of the
first recording ends.

References
----------
ISO 11172-3 (1993), section 2.4.1.3, and ISO 13818-3 for the lower rates; the Xing header as LAME
writes it.
"""

import os
import struct
from dataclasses import dataclass
from functools import cache

from earfilt.audio.frame_tags import between_tags, id3_end

_SEARCHED = 1 << 16
_PIECE = 1 << 20
# of films, whose sound lies in pieces
_CONTAINERS = (b"RIFF", b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3")
_CHAIN = 8
_MOST_TAGS = 64
_SPARE = 64  # frames that a guess may be short of
_DECODER_DELAY = 529
_RESYNC = (
    1024  # bytes that libmpg123 passes over to find a frame; beyond, it gives up with an error
)
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
    film = magic[:4] in _CONTAINERS or magic[4:] == b"ftyp"
    at = None if film else _start(file)
    while at is not None:
        behind = _joined(file, at)
        streams.append((at, behind))
        at = behind
    if streams and streams[0][0] == id3_end(file, 0):
        # libsndfile passes over the tag itself.
        streams[0] = 0, streams[0][1]
    return streams


def _start(file: int) -> int | None:
    """The first frame of a file. At its first byte two in a row are enough: what follows may be
    damaged.
    """
    begin = id3_end(file, 0)
    return begin if _goes_on(file, begin, frames=2) else first_frame(file, 0)


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


def _goes_on(file: int, at: int, frames: int = _CHAIN) -> bool:
    """Whether frames of one kind follow each other up to the end, or at least this many."""
    kind = b""
    for index in range(frames):
        head = os.pread(file, 4, at)
        if index and (len(head) < 4 or head[:3] == b"TAG" or head == b"APET" or head[:3] == b"ID3"):
            return index > 1
        same = _kind(head)
        if not same or same != (kind or same):
            return False
        kind = same
        at += frame_length(head)
    return True


def frame_length(head: bytes) -> int:
    """Bytes of the frame with this header of four; 0 if it is not one, or of free format."""
    return _length(head[:3])


@cache
def _length(head: bytes) -> int:
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
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


def has_tag_before(file: int, start: int) -> bool:
    """Whether a tag ends where a recording begins, or a frame before, which may hold no sound."""
    base = max(0, start - _PIECE)
    data = os.pread(file, start - base, base)
    at = len(data)
    for _ in range(_MOST_TAGS):
        if (at := data.rfind(b"ID3", 0, at)) < 0:
            break
        end = id3_end(file, base + at)
        if start in (end, end + frame_length(os.pread(file, 4, end))):
            return True
    return data[-128:-125] == b"TAG"


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


@dataclass(frozen=True)
class Tally:
    """What a recording holds.

    Parameters
    ----------
    start : int
        First byte of the frames that hold sound.
    frames : int
        Their number.
    stated : int or None
        Frames by the Xing header; None where it, or there, is none, and decoders guess from the
        first bit rate.
    trimmed : tuple of (int, int), optional
        Samples that the encoder put before and behind the sound, by its own tag.
    torn : bool
        Whether the last frame is incomplete.
    damaged : int
        Bytes among the frames that belong to none, and to no tag.
    behind : tuple of int
        The bytes behind the last frame that are neither tags nor padding: the first, and the one
        behind the last.
    """

    start: int
    frames: int
    stated: int | None
    torn: bool
    trimmed: tuple[int, int] | None = None
    damaged: int = 0
    behind: tuple[int, int] = (0, 0)

    @property
    def surplus(self) -> int:
        """Frames of which a decoder delivers nothing, since the Xing header states fewer."""
        # Not every encoder counts as the others do.
        return 0 if self.stated is None else max(0, self.frames - 1 - self.stated)


def tally(file: int, start: int, end: int | None) -> Tally:
    """Count the frames of a recording that begins at a byte (or behind the ID3 tags there); what is
    none between them is passed over, as decoders do.
    """
    found = _start(file) if start == 0 else first_frame(file, start)
    if found is None:
        return Tally(start, 0, None, torn=False)
    head = os.pread(file, 4096, found)
    stated = _stated_frames(head)
    begin = found if stated is None and not _xing(head) else found + frame_length(head[:4])
    last = os.fstat(file).st_size if end is None else end
    frames, torn, damaged, at = 0, False, 0, begin
    piece, base = b"", at
    while at < last:
        if at - base + 4 > len(piece):
            piece, base = os.pread(file, _PIECE, at), at
        length = frame_length(piece[at - base : at - base + 4])
        if not length:
            further = _next_frame(file, at, last, _kind(head))
            if further is None:
                break
            lost = between_tags(file, at, further)
            damaged, at = damaged + lost[1] - lost[0], further
            continue
        torn = at + length > last
        frames, at = frames + 1, at + length
    behind = between_tags(file, min(at, last), last)
    return Tally(begin, frames, stated, torn, _trimmed(head), damaged, behind)


def _next_frame(file: int, at: int, last: int, kind: bytes) -> int | None:
    """Where frames of a kind go on behind a byte; far off, only what another one or the end follows
    is taken for a frame.
    """
    near = at + _RESYNC
    while at < last:
        piece = os.pread(file, min(_PIECE, last - at), at)
        found = piece.find(kind[:2])
        while found >= 0:
            begin = at + found
            head = os.pread(file, 4, begin)
            end = begin + frame_length(head)
            if _kind(head) == kind and (
                begin < near or end == last or _kind(os.pread(file, 4, end)) == kind
            ):
                return begin
            found = piece.find(kind[:2], found + 1)
        at += max(1, len(piece) - 1)
    return None


def _kind(head: bytes) -> bytes:
    """What the frames of a recording have in common; empty where no frame begins."""
    return bytes([head[0], head[1], head[2] & 0x0C]) if frame_length(head) else b""


def header_for(file: int, counted: Tally) -> bytes:
    """Frames to be read before those that were counted, so that a decoder delivers all of them;
    empty where none are of use.

    The first has a Xing header with their number, without which the length is guessed from the
    first bit rate. Decoders that see one leave out 529 samples, and what a LAME tag states beside
    them: a silent frame takes their place, and what the recording's own tag states is left out too.
    """
    head = bytearray(os.pread(file, 4, counted.start))
    if not frame_length(bytes(head)) or head[1] >> 1 & 3 != 1:
        return b""
    head[1] |= 1  # no checksum
    head[2] = head[2] & 0x0C | 0x90  # a bit rate at which the header has room
    silence = bytes(head).ljust(frame_length(bytes(head)), b"\0")
    at, spf = _side_end(silence), 1152 if head[1] & 8 else 576
    before, behind = counted.trimmed or (-_DECODER_DELAY, 0)
    lame = b"LAME3.100".ljust(21, b"\0") + (spf + before << 12 | behind).to_bytes(3, "big")
    xing = b"Xing" + struct.pack(">II", 1, counted.frames + 1 - counted.torn) + lame
    return silence[:at] + xing + silence[at + len(xing) :] + silence


def seen_bytes(file: int, counted: Tally) -> int:
    """Bytes that a recording without a Xing header must seem to have, so that a decoder which
    guesses its length from the first bit rate finds no fewer frames than there are.
    """
    return (counted.frames + _SPARE) * frame_length(os.pread(file, 4, counted.start))


def missing_bytes(file: int) -> int:
    """Bytes by which the file ends before its Xing header says so."""
    at = _start(file)
    stated = 0 if at is None else _stated_bytes(os.pread(file, 4096, at))
    return max(0, (at or 0) + stated - os.fstat(file).st_size) if stated else 0


def samples_per_frame(fs: int) -> int:
    """Of layer III, the only one with a Xing header."""
    return 1152 if fs >= min(_RATES) else 576


def samples_of(head: bytes) -> int:
    """Samples of a channel in the frame with this header of four bytes."""
    if not frame_length(head):
        return 0
    layer, first = 4 - (head[1] >> 1 & 3), head[1] >> 3 & 3 == 3
    return 384 if layer == 1 else 1152 if first or layer == 2 else 576


def _xing(frame: bytes) -> int:
    """Offset of the Xing header in a first frame, behind header and side information of layer III;
    0 where there is none.
    """
    if not frame_length(frame[:4]) or frame[1] >> 1 & 3 != 1:
        return 0
    at = _side_end(frame)
    return at if frame[at : at + 4] in (b"Xing", b"Info") else 0


def _side_end(frame: bytes) -> int:
    """Bytes of header and side information of layer III."""
    first, mono = frame[1] >> 3 & 3 == 3, frame[3] >> 6 == 3
    return 4 + ((17 if mono else 32) if first else (9 if mono else 17))


def _stated_frames(frame: bytes) -> int | None:
    """Frames by the Xing or VBRI header in a first frame; None where there is none."""
    at = _xing(frame)
    if at and frame[at + 7] & 1:
        return int(struct.unpack_from(">I", frame, at + 8)[0])
    return int(struct.unpack_from(">I", frame, 50)[0]) if frame[36:40] == b"VBRI" else None


def _trimmed(frame: bytes) -> tuple[int, int] | None:
    """Samples before and behind the sound by the tag that LAME and others put behind a Xing header;
    None where there is none.
    """
    at = _xing(frame)
    if not at:
        return None
    flags = struct.unpack_from(">I", frame, at + 4)[0]
    at += 8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
    tag = frame[at : at + 24]
    if len(tag) < 24 or not tag[0]:
        return None
    both = int.from_bytes(tag[21:], "big")
    return both >> 12, both & 0xFFF


def _stated_bytes(frame: bytes) -> int:
    at = _xing(frame)
    if not at or at + 16 > len(frame):
        return 0
    flags = struct.unpack_from(">I", frame, at + 4)[0]
    return int(struct.unpack_from(">I", frame, at + 8 + 4 * (flags & 1))[0]) if flags & 2 else 0
