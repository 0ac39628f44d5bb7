"""Frames of ID3v2 tags, left out one by one.

Reference: ID3v2 informal standards 2.2.0, 2.3.0 and 2.4.0 (id3.org).
"""

from collections.abc import Callable

_HEADER = 10
_UNSYNCHRONISED, _EXTENDED = 0x80, 0x40
_ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}


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
    if (
        len(data) < _HEADER
        or data[:3] != b"ID3"
        or data[3] not in (2, 3, 4)
        or (data[3] == 2 and data[5] & _EXTENDED)
    ):
        return data, []
    version, flags = data[3], data[5]
    body = data[_HEADER : _HEADER + _syncsafe(data[6:10])]
    if flags & _UNSYNCHRONISED and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    kept, left = b"", []
    for name, start, end in _frames(
        body, version, _extended_size(body, version) if flags & _EXTENDED else 0
    ):
        description = _description(name, body[start + (6 if version == 2 else 10) : end])
        if false(name, description):
            left.append(description or name)
        else:
            kept += body[start:end]
    if not left:
        return data, []
    # The extended header may hold a checksum of what is gone; it goes too.
    flags &= _UNSYNCHRONISED if version == 4 else 0
    return data[:5] + bytes([flags]) + _to_syncsafe(len(kept)) + kept, left


def _frames(body: bytes, version: int, at: int) -> list[tuple[str, int, int]]:
    """Identifier, first byte and end of each frame; ends where the padding begins or no more make
    sense.
    """
    head, letters = (6, 3) if version == 2 else (10, 4)
    found = []
    while at + head <= len(body) and body[at : at + letters].isalnum():
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
    if name not in ("TXXX", "TXX", "COMM", "COM") or not content:
        return ""
    encoding = _ENCODINGS.get(content[0], "latin-1")
    text = content[4:] if name.startswith("COM") else content[1:]
    return text.decode(encoding, "replace").split("\0")[0].lstrip("\ufeff")


def _syncsafe(data: bytes) -> int:
    size = 0
    for byte in data:
        size = size << 7 | byte & 0x7F
    return size


def _to_syncsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
