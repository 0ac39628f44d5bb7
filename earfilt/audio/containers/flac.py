"""Metadata blocks of FLAC files, carried byte for byte without looking inside.

Reference: RFC 9639 (FLAC), section 8.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from earfilt.audio.containers.chunks import legible

if TYPE_CHECKING:
    from earfilt.audio.source import Source

VORBIS_COMMENT = 4
_STREAMINFO, _PADDING, _APPLICATION, _SEEKTABLE, _CUESHEET, _PICTURE = 0, 1, 2, 3, 5, 6
CARRIED = (VORBIS_COMMENT, _CUESHEET, _PICTURE)
"""Block types that stay true when the samples change (seek tables and foreign headers do not)."""

_HARMLESS = (_STREAMINFO, _PADDING, _SEEKTABLE)
"""Block types that describe the file itself: written anew, or of no use."""

NAMES = {VORBIS_COMMENT: "comments", _CUESHEET: "cue sheet", _PICTURE: "picture"}

_LAST = 0x80
_MAX_BLOCKS = 4096
_MAX_BYTES = 64 << 20

Block = tuple[int, bytes]


def read_blocks(
    source: Source, beyond: list[str] | None = None, start: int | None = None
) -> list[Block]:
    """The blocks to carry of a FLAC file.

    Parameters
    ----------
    source : Source
        A file; its position is left anywhere.
    beyond : list of str, optional
        Gets the name of each block that is too big to carry, or that another program made for the
        file as it was.
    start : int, optional
        Where the recording begins; None for behind the ID3 tag that may come first.
    """
    beyond = [] if beyond is None else beyond
    source.seek(_id3_size(source) if start is None else start)
    if source.read(4) != b"fLaC":
        return []
    blocks: list[Block] = []
    total = 0
    for _ in range(_MAX_BLOCKS):
        header = source.read(4)
        if len(header) < 4:
            break
        kind, size = header[0] & ~_LAST, int.from_bytes(header[1:], "big")
        total += size if kind in CARRIED else 0
        if kind in CARRIED and total <= _MAX_BYTES:
            content = source.read(size)
            if len(content) == size:
                blocks.append((kind, content))
            else:
                beyond.append(f"{NAMES[kind]} (cut short)")
        else:
            if kind in CARRIED:
                beyond.append(f"{NAMES[kind]} (too big)")
            elif kind not in _HARMLESS:
                name = source.read(min(4, size))
                beyond.append(_block_name(kind, name))
                size -= len(name)
            source.skip(size)
        if header[0] & _LAST:
            break
    else:
        beyond.append(f"what follows {_MAX_BLOCKS} blocks")
    return blocks


def _block_name(kind: int, begins: bytes) -> str:
    if kind != _APPLICATION:
        return f"metadata block of type {kind}"
    name = begins.decode("latin-1")
    # flac --keep-foreign-metadata: the chunks of the file that was encoded
    foreign = " (foreign metadata)" if name in ("riff", "aiff", "w64 ") else ""
    return f"application block '{name.strip()}'{foreign}"


def _id3_size(source: Source) -> int:
    source.seek(0)
    head = source.read(10)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10


def block_bytes(kind: int, content: bytes, *, last: bool = False) -> bytes:
    """A metadata block as it lies in a file."""
    return bytes([kind | (_LAST if last else 0)]) + len(content).to_bytes(3, "big") + content


def size_of(blocks: Iterable[Block]) -> int:
    """Bytes that the blocks take in a file."""
    return sum(4 + len(content) for _, content in blocks)


def splice(head: bytes, blocks: Iterable[Block]) -> bytes:
    """Head of a FLAC file with more blocks in it, longer by exactly `size_of` them.

    Parameters
    ----------
    head : bytes
        fLaC, STREAMINFO and the encoder's own comment block, as libsndfile writes them.
    blocks : iterable of (int, bytes)
        Their comments, if any, replace the encoder's, whose room becomes padding.
    """
    blocks = list(blocks)
    info_end = 4 + 4 + int.from_bytes(head[5:8], "big")
    own = head[info_end + 4 :]
    replaced = any(kind == VORBIS_COMMENT for kind, _ in blocks)
    room = (_PADDING, bytes(len(own))) if replaced else (VORBIS_COMMENT, own)
    out = head[:4] + bytes([_STREAMINFO]) + head[5:info_end]
    out += b"".join(block_bytes(kind, content) for kind, content in blocks)
    return out + block_bytes(*room, last=True)


def head_size(start: bytes) -> int:
    """Bytes before the first audio frame, from the first bytes of a file that libsndfile wrote; 0
    where they do not suffice.
    """
    at = 4
    while at + 4 <= len(start):
        size = int.from_bytes(start[at + 1 : at + 4], "big")
        if start[at] & _LAST:
            return at + 4 + size
        at += 4 + size
    return 0


def parse_comments(content: bytes) -> list[tuple[str, str]]:
    """Keys (upper case) and values of a Vorbis comment block; ends quietly where its lengths lie."""

    def take(at: int) -> tuple[bytes, int] | None:
        if at + 4 > len(content):
            return None
        size = struct.unpack_from("<I", content, at)[0]
        return (
            (content[at + 4 : at + 4 + size], at + 4 + size)
            if size <= len(content) - at - 4
            else None
        )

    vendor = take(0)
    pairs: list[tuple[str, str]] = []
    if vendor is None:
        return pairs
    entry = take(vendor[1] + 4)
    while entry is not None:
        key, equals, value = legible(entry[0]).partition("=")
        if equals:
            pairs.append((key.upper(), value))
        entry = take(entry[1])
    return pairs


def comment_block(tags: Iterable[tuple[str, str]], vendor: str) -> Block:
    """A Vorbis comment block of ``KEY=value`` pairs."""
    entries = [f"{key}={value}".encode("utf-8", "replace") for key, value in tags]
    content = (
        _counted(vendor.encode())
        + struct.pack("<I", len(entries))
        + b"".join(map(_counted, entries))
    )
    return VORBIS_COMMENT, content


def without_comments(content: bytes, false: Callable[[str, str], bool]) -> tuple[bytes, list[str]]:
    """A Vorbis comment block without the comments whose key and value are ``false``, and their
    keys; the rest byte for byte.
    """
    at = 4 + int.from_bytes(content[:4], "little")
    count = int.from_bytes(content[at : at + 4], "little")
    start, kept, left = at + 4, [], []
    for _ in range(count):
        size = int.from_bytes(content[start : start + 4], "little")
        entry = content[start : start + 4 + size]
        if len(entry) < 4 + size:
            break
        key, _, value = legible(entry[4:]).partition("=")
        if false(key, value):
            left.append(key.upper())
        else:
            kept.append(entry)
        start += 4 + size
    if not left:
        return content, []
    return content[:at] + struct.pack("<I", len(kept)) + b"".join(kept), left


def with_comments(
    blocks: Iterable[Block], tags: Iterable[tuple[str, str]], vendor: str
) -> list[Block]:
    """The blocks, with these comments behind those that they hold already (in a block of its own
    program if they hold none).
    """
    added = [_counted(f"{key}={value}".encode("utf-8", "replace")) for key, value in tags]
    out = list(blocks)
    for i, (kind, content) in enumerate(out):
        at = 4 + int.from_bytes(content[:4], "little")
        if kind == VORBIS_COMMENT and at + 4 <= len(content):
            count = struct.unpack_from("<I", content, at)[0] + len(added)
            out[i] = (
                kind,
                content[:at] + struct.pack("<I", count) + b"".join(added) + content[at + 4 :],
            )
            return out
    return [comment_block(tags, vendor), *out]


def _counted(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data
