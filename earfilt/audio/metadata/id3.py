"""Frames of ID3v2 tags: texts for other containers, and frames left out one by one; and what an
ID3v1 tag says beyond them.

Reference: ID3v2 informal standards 2.2.0, 2.3.0 and 2.4.0, and ID3v1.1 (id3.org).
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earfilt.audio.containers.chunks import MAX_METADATA

if TYPE_CHECKING:
    from earfilt.audio.source import Source

_HEADER = 10
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}


_KEYS = {
    "TIT2": "TITLE", "TT2": "TITLE", "TPE1": "ARTIST", "TP1": "ARTIST", "TALB": "ALBUM", "TAL": "ALBUM", "TDRC": "DATE", "TYER": "DATE",
    "TYE": "DATE", "TCON": "GENRE", "TCO": "GENRE", "TCOP": "COPYRIGHT", "TCR": "COPYRIGHT", "TRCK": "TRACKNUMBER", "TRK": "TRACKNUMBER",
    "TCOM": "COMPOSER", "TCM": "COMPOSER", "TPE2": "ALBUMARTIST", "TP2": "ALBUMARTIST", "TPOS": "DISCNUMBER", "TPA": "DISCNUMBER",
    "TBPM": "BPM", "TBP": "BPM", "TSRC": "ISRC", "TRC": "ISRC",
}  # fmt: skip
_ABOUT_THE_FILE = ("TSSE", "TSS", "TENC", "TEN", "TLEN", "TLE", "TFLT", "TFT")
_MAX_FRAMES = 1 << 14
_MAX_UNPACKED = 1 << 20
_PICTURES = ("APIC", "PIC")
_NAMES = {2: re.compile(rb"[A-Za-z0-9]{3}"), 3: re.compile(rb"[A-Za-z0-9]{3}[A-Za-z0-9 \0]")}
"""Of frames, by version: iTunes filled names of version 2.2 up with a blank or a zero."""

_V1 = {
    "TITLE": (3, 33),
    "ARTIST": (33, 63),
    "ALBUM": (63, 93),
    "DATE": (93, 97),
    "COMMENT": (97, 127),
}
_NO_GENRE = (12, 255)  # "Other", which encoders write unasked, and none
V1_SIZE = 128
"""Bytes of an ID3v1 tag."""


@dataclass(frozen=True)
class _Frame:
    """Where a frame lies; ``content`` is None where it is encrypted or damaged."""

    name: str
    start: int
    end: int
    content: bytes | None

    @property
    def description(self) -> str:
        """What it calls itself, if it is of texts, of a comment or of a program's own data."""
        return "" if self.content is None else _description(self.name, self.content)


def read_tags(data: bytes) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]] | None:
    """Texts under the names that Vorbis comments have for them, and the names of other frames; None
    where there is no tag.
    """
    version, body, start = _opened(data)
    if not version:
        return None
    pairs, others = [], []
    frames = _frames(data, version, body, start)
    for frame in frames:
        name, content = frame.name, frame.content
        if name in _ABOUT_THE_FILE:
            continue
        if content is None:
            others.append(f"{name} (encrypted or damaged)")
        elif name in ("TXXX", "TXX", "COMM", "COM"):
            key, _, values = _words(name, content).partition("\0")
            pairs += [(key.upper() or "COMMENT", value) for value in _values(values)]
        elif name[0] == "T":
            pairs += [(_KEYS.get(name, name), value) for value in _values(_words(name, content))]
        else:
            others.append("picture" if name in _PICTURES else frame.description or name)
    if body[frames[-1].end if frames else start :].strip(b"\0") or _behind(data):
        others.append("part of the ID3 tag (unreadable)")
    return tuple(pairs), tuple(others)


def read_v1(data: bytes) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Texts of an ID3v1 tag, and the name of what has no text there."""
    texts = {key: data[slice(*place)] for key, place in _V1.items()}
    pairs = {key: raw.split(b"\0")[0].decode("latin-1").strip() for key, raw in texts.items()}
    if not data[125] and data[126]:
        pairs["TRACKNUMBER"] = str(data[126])
    genre = () if data[127] in _NO_GENRE else ("GENRE",)
    return tuple((key, value) for key, value in pairs.items() if value), genre


def _values(text: str) -> list[str]:
    """The values of a frame of texts, which version 2.4 puts one behind the other."""
    return [value for part in text.split("\0") if (value := part.lstrip("\ufeff"))]


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
    body = data[_HEADER : _HEADER + syncsafe(data[6:10])]
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
    frames = _frames(data, version, body, first)
    kept, left = [], []
    for frame in frames:
        if false(frame.name, frame.description):
            left.append(frame.description or frame.name)
        else:
            kept.append(body[frame.start : frame.end])
    if not left:
        return data, []
    # What cannot be read stays as it is; padding goes.
    rest = body[frames[-1].end :]
    content = b"".join(kept) + (rest if any(rest) else b"")
    if not content and not _behind(data):
        return b"", left
    # The extended header may hold a checksum of what is gone; it goes too.
    flags = data[5] & _UNSYNCHRONISED if version == 4 else 0
    return data[:5] + bytes([flags]) + _to_syncsafe(len(content)) + content + _behind(data), left


def _behind(data: bytes) -> bytes:
    """What a tag holds beyond the size that it states, but for a footer and zeros."""
    end = _HEADER + syncsafe(data[6:10]) + (_HEADER if data[5] & _FOOTER else 0)
    return data[end:] if any(data[end:]) else b""


def _frames(data: bytes, version: int, body: bytes, at: int) -> list[_Frame]:
    """The frames of a tag; ends where the padding begins or no more make sense."""
    head, letters = (6, 3) if version == 2 else (10, 4)
    names = _NAMES[min(version, 3)]
    unsynchronised = version == 4 and bool(data[5] & _UNSYNCHRONISED)
    found: list[_Frame] = []
    while len(found) < _MAX_FRAMES and at + head <= len(body) and names.match(body, at):
        size, begin = body[at + letters : at + letters + letters], at + head
        end = begin + int.from_bytes(size, "big")
        if version == 4:
            end = _end(body, begin + syncsafe(size), end)
        if end > len(body):
            break
        name = body[at : at + letters].decode("latin-1").rstrip("\0 ")
        content = _content(body[at:end], version, unsynchronised)
        found.append(_Frame(name, at, end, content))
        at = end
    return found


def _end(body: bytes, right: int, plain: int) -> int:
    """Where a frame of version 2.4 ends: iTunes wrote the plain sizes of version 2.3."""
    for end in (right, plain):
        if end == len(body) or _NAMES[3].match(body, end):
            return end
    return plain if right > len(body) or body[right:].strip(b"\0") else right


def _content(frame: bytes, version: int, unsynchronised: bool) -> bytes | None:
    """What a frame holds behind its header and what its flags add to that; None where it is
    encrypted or damaged.
    """
    if version == 2:
        return frame[6:]
    flags, content = frame[9], frame[10:]
    if version == 3:
        packed, secret, grouped, counted = flags & 0x80, flags & 0x40, flags & 0x20, flags & 0x80
    else:
        packed, secret, grouped, counted = flags & 8, flags & 4, flags & 0x40, flags & 9
        unsynchronised = unsynchronised or bool(flags & 2)
    if secret:
        return None
    content = content[(1 if grouped else 0) + (4 if counted else 0) :]
    if unsynchronised:
        content = content.replace(b"\xff\0", b"\xff")
    try:
        return zlib.decompressobj().decompress(content, _MAX_UNPACKED) if packed else content
    except zlib.error:
        return None


def _extended_size(body: bytes, version: int) -> int:
    return syncsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")


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


def read_tag(source: Source, beyond: list[str]) -> bytes:
    """The tag at the beginning of a file, empty where there is none or it is too big, which goes to
    ``beyond``; the source's position is left alone.
    """
    head = os.pread(source.raw.fileno(), _HEADER, 0)
    if head[:3] != b"ID3" or len(head) < _HEADER:
        return b""
    size = _HEADER + syncsafe(head[6:])
    if size > MAX_METADATA:
        beyond.append("ID3 tag (too big)")
        return b""
    return os.pread(source.raw.fileno(), size, 0)


def syncsafe(data: bytes) -> int:
    """The number in bytes of seven bits each."""
    size = 0
    for byte in data:
        size = size << 7 | byte & 0x7F
    return size


def _to_syncsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
