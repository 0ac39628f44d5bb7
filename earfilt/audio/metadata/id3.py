"""Frames of ID3v2 tags: texts for other containers, and frames left out one by one.

Reference: ID3v2 informal standards 2.2.0, 2.3.0 and 2.4.0 (id3.org).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from earfilt.audio.containers.chunks import MAX_METADATA

if TYPE_CHECKING:
    from earfilt.audio.source import Source

_HEADER = 10
_UNSYNCHRONISED, _EXTENDED = 0x80, 0x40
_ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}


_KEYS = {
    "TIT2": "TITLE", "TT2": "TITLE", "TPE1": "ARTIST", "TP1": "ARTIST", "TALB": "ALBUM", "TAL": "ALBUM", "TDRC": "DATE", "TYER": "DATE",
    "TYE": "DATE", "TCON": "GENRE", "TCO": "GENRE", "TCOP": "COPYRIGHT", "TCR": "COPYRIGHT", "TRCK": "TRACKNUMBER", "TRK": "TRACKNUMBER",
    "TCOM": "COMPOSER", "TCM": "COMPOSER", "TPE2": "ALBUMARTIST", "TP2": "ALBUMARTIST", "TPOS": "DISCNUMBER", "TPA": "DISCNUMBER",
    "TBPM": "BPM", "TBP": "BPM", "TSRC": "ISRC", "TRC": "ISRC",
}  # fmt: skip
_ABOUT_THE_FILE = ("TSSE", "TSS", "TENC", "TEN", "TLEN", "TLE", "TFLT", "TFT")
_MAX_FRAMES = 1 << 14
_PICTURES = ("APIC", "PIC")


def read_tags(data: bytes) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]] | None:
    """Texts under the names that Vorbis comments have for them, and the names of other frames; None
    where there is no tag.
    """
    version, body, start = _opened(data)
    if not version:
        return None
    pairs, others = [], []
    for name, at, end in _frames(body, version, start):
        content = body[at + (6 if version == 2 else 10) : end]
        if name in ("TXXX", "TXX", "COMM", "COM"):
            key, _, value = _words(name, content).partition("\0")
            pairs.append((key.upper() or "COMMENT", value.lstrip("\ufeff").rstrip("\0")))
        elif name[0] == "T" and name not in _ABOUT_THE_FILE:
            pairs.append((_KEYS.get(name, name), _words(name, content).split("\0")[0]))
        elif name not in _ABOUT_THE_FILE:
            others.append("picture" if name in _PICTURES else _description(name, content) or name)
    return tuple(pairs), tuple(others)


def _opened(data: bytes) -> tuple[int, bytes, int]:
    """Version (0 where there is no tag that can be read), frames without what makes them safe for
    old decoders, and the first one.
    """
    if (
        len(data) < _HEADER
        or data[:3] != b"ID3"
        or data[3] not in (2, 3, 4)
        or (data[3] == 2 and data[5] & _EXTENDED)
    ):
        return 0, b"", 0
    version, flags = data[3], data[5]
    body = data[_HEADER : _HEADER + _syncsafe(data[6:10])]
    if flags & _UNSYNCHRONISED and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    return version, body, _extended_size(body, version) if flags & _EXTENDED else 0


def without(data: bytes, false: Callable[[str, str], bool]) -> tuple[bytes, list[str]]:
    """A tag without some of its frames.

    Parameters
    ----------
    data : bytes
        The whole tag.
    false : callable
        Gets a frame's identifier and its description or owner (empty where it has none); true for
        those to leave out.

    Returns
    -------
    bytes, list of str
        The tag, unchanged where nothing is left out or it cannot be read, and the names of what was
        left out.
    """
    version, body, first = _opened(data)
    if not version:
        return data, []
    frames = _frames(body, version, first)
    kept, left = [], []
    for name, start, end in frames:
        description = _description(name, body[start + (6 if version == 2 else 10) : end])
        if false(name, description):
            left.append(description or name)
        else:
            kept.append(body[start:end])
    if not left or len(frames) == _MAX_FRAMES:
        return data, []
    # The extended header may hold a checksum of what is gone; it goes too.
    flags = data[5] & _UNSYNCHRONISED if version == 4 else 0
    return data[:5] + bytes([flags]) + _to_syncsafe(sum(map(len, kept))) + b"".join(kept), left


def _frames(body: bytes, version: int, at: int) -> list[tuple[str, int, int]]:
    """Identifier, first byte and end of each frame; ends where the padding begins or no more make
    sense.
    """
    head, letters = (6, 3) if version == 2 else (10, 4)
    found: list[tuple[str, int, int]] = []
    while len(found) < _MAX_FRAMES and at + head <= len(body) and body[at : at + letters].isalnum():
        size = body[at + letters : at + letters + letters]
        end = at + head + (_syncsafe(size) if version == 4 else int.from_bytes(size, "big"))
        if end > len(body):
            break
        found.append((body[at : at + letters].decode("latin-1"), at, end))
        at = end
    return found


def _extended_size(body: bytes, version: int) -> int:
    return _syncsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")


def _description(name: str, content: bytes) -> str:
    """What a frame of texts, of a comment or of a program's own data calls itself."""
    if name == "PRIV":
        return content.split(b"\0")[0].decode("latin-1")
    return _words(name, content).split("\0")[0] if name in ("TXXX", "TXX", "COMM", "COM") else ""


def _words(name: str, content: bytes) -> str:
    """Text of a frame, its description and value still apart by a null."""
    text = content[4:] if name.startswith("COM") else content[1:]
    encoding = _ENCODINGS.get(content[0], "latin-1") if content else "latin-1"
    return text.decode(encoding, "replace").lstrip("\ufeff")


def read_tag(source: Source) -> bytes:
    """The tag at the beginning of a file, empty where there is none or it is too big; the source's
    position is left alone.
    """
    head = os.pread(source.raw.fileno(), _HEADER, 0)
    size = _HEADER + _syncsafe(head[6:])
    return (
        os.pread(source.raw.fileno(), size, 0)
        if head[:3] == b"ID3" and size <= MAX_METADATA
        else b""
    )


def _syncsafe(data: bytes) -> int:
    size = 0
    for byte in data:
        size = size << 7 | byte & 0x7F
    return size


def _to_syncsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
