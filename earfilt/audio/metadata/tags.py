"""Tags that cross from one container to another, and the line in a broadcast wave's coding history.

Within a container metadata travel byte for byte; this is for WAV to FLAC and the like, where keys
have other names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from earfilt.audio.containers import aiff, caf, flac, ogg
from earfilt.audio.containers.aiff import TEXTS
from earfilt.audio.containers.chunks import RIFF, Chunk, pieces
from earfilt.audio.formats import RIFF_FAMILY, Target
from earfilt.audio.info import Metadata
from earfilt.audio.metadata import id3
from earfilt.audio.speakers import MASK_TAG
from earfilt.errors import printable

if TYPE_CHECKING:
    from earfilt.audio.source import Source

_INFO = {
    "INAM": "TITLE", "IART": "ARTIST", "IPRD": "ALBUM", "ICRD": "DATE", "IGNR": "GENRE", "ICMT": "COMMENT", "ICOP": "COPYRIGHT",
    "ITRK": "TRACKNUMBER", "ISFT": "SOFTWARE", "IENG": "ENGINEER", "ITCH": "TECHNICIAN", "ISRC": "SOURCE", "ISBJ": "SUBJECT",
    "IKEY": "KEYWORDS", "IMED": "MEDIUM", "ICMS": "COMMISSIONED", "IARL": "ARCHIVAL " "LOCATION", "ILNG": "LANGUAGE",
}  # fmt: skip
_TO_INFO = {key: name for name, key in _INFO.items()}
_SOUNDFILE = {
    "title": "TITLE", "artist": "ARTIST", "album": "ALBUM", "date": "DATE", "genre": "GENRE", "comment": "COMMENT",
    "copyright": "COPYRIGHT", "tracknumber": "TRACKNUMBER", "license": "LICENSE",
}  # fmt: skip
_TO_SOUNDFILE = {key: name for name, key in _SOUNDFILE.items()}

_MP3 = ("TITLE", "ARTIST", "COMMENT", "ALBUM", "TRACKNUMBER", "GENRE")
_ROOM = {"FLAC": (1 << 24) - (1 << 12), "OPUS": 50_000, "CAF": 30_000, "AIFF": 8_000}
"""Bytes of tags: a block of FLAC has a length of 24 bits; of the others libsndfile 1.2.2 cannot
open files with more.
"""
_MOST = 64 << 20

Tags = tuple[tuple[str, str], ...]


def riff_tags(chunks: Iterable[Chunk]) -> Tags:
    """Tags of the LIST/INFO chunks, under the names that Vorbis comments have for them (unknown
    keys keep their own).
    """
    pairs: list[tuple[str, str]] = []
    for chunk in chunks:
        if chunk.id == b"LIST" and chunk.data[:4] == b"INFO":
            pairs += _info_entries(chunk.data[4:])
    return tuple(pairs)


def _info_entries(data: bytes) -> list[tuple[str, str]]:
    pairs = []
    for piece in pieces(data):
        name, raw = piece.id.decode("latin-1"), piece.data.split(b"\0")[0]
        if name.isalnum() and raw:
            pairs.append((_INFO.get(name.upper(), name.upper()), _text(raw)))
    return pairs


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def info_chunk(tags: Tags) -> Chunk | None:
    """A LIST/INFO chunk of the tags that have a name there; None if none has."""
    body = b""
    for key, value in tags:
        name = _info_name(key)
        if name:
            body += RIFF.pack(name.encode("ascii"), value.encode("utf-8", "replace") + b"\0")
    return Chunk(b"LIST", b"INFO" + body) if body else None


def _info_name(key: str) -> str | None:
    """Name of a tag in a LIST/INFO chunk, None if it has none."""
    plain = len(key) == 4 and key.startswith("I") and key.isalnum() and key.isascii()
    return _TO_INFO.get(key) or (key if plain else None)


def read_metadata(source: Source, container: str) -> Metadata | None:
    """What is stored beside the samples of a FLAC, AIFF, CAF or Ogg file, or MP3 with an ID3v2 tag;
    None for others.

    Parameters
    ----------
    source : Source
        A file; its position is left anywhere.
    """
    beyond: list[str] = []
    if container == "FLAC":
        blocks = flac.read_blocks(source, beyond)
        comments = (
            pair
            for kind, data in blocks
            if kind == flac.VORBIS_COMMENT
            for pair in flac.parse_comments(data)
        )
        return Metadata(blocks=tuple(blocks), tags=tuple(comments), beyond=tuple(beyond))
    if container == "AIFF":
        iff = aiff.read_chunks(source, beyond)
        return Metadata(iff=iff, tags=aiff.text_tags(iff), beyond=tuple(beyond))
    if container == "CAF":
        chunks = caf.read_chunks(source, beyond)
        return Metadata(caf=chunks, tags=caf.text_tags(chunks), beyond=tuple(beyond))
    if container == "OGG":
        found = flac.parse_comments(ogg.read_comments(source))
        return Metadata(tags=tuple(pair for pair in found if pair[0] != "ENCODER"))
    if container == "MP3" and (read := id3.read_tags(id3.read_tag(source))) is not None:
        return Metadata(tags=read[0], beyond=read[1])
    return None


def foreign_tags(strings: Mapping[str, str]) -> Tags:
    """Tags that libsndfile found."""
    return tuple((_SOUNDFILE[name], value) for name, value in strings.items() if name in _SOUNDFILE)


def soundfile_strings(tags: Tags) -> dict[str, str]:
    """Tags by the attribute through which libsndfile writes them."""
    return {_TO_SOUNDFILE[key]: value for key, value in tags if key in _TO_SOUNDFILE}


def with_history(chunks: Iterable[Chunk], target: Target, text: str) -> tuple[Chunk, ...]:
    """The chunks, with one line more in the coding history of a bext chunk (EBU R 98).

    Parameters
    ----------
    text : str
        What was done, as the line's T= entry.
    """
    mode = {1: "mono", 2: "stereo"}.get(target.channels, "multitrack")
    depth = f"W={target.sample.bits}," if target.sample.bits else ""
    line = f"A=PCM,F={target.fs},{depth}M={mode},T={text}\r\n".encode("ascii", "replace")
    return tuple(
        _extended(chunk, line) if chunk.id == b"bext" and len(chunk.data) >= 602 else chunk
        for chunk in chunks
    )


def _extended(bext: Chunk, line: bytes) -> Chunk:
    fixed, history = bext.data[:602], bext.data[602:].rstrip(b"\0")
    if history and not history.endswith(b"\n"):
        history += b"\r\n"
    # An even length: some readers forget the padding of an odd chunk.
    return Chunk(bext.id, fixed + history + line + b"\0" * (len(history + line) % 2))


def crossing(metadata: Metadata, target: Target) -> tuple[Tags, tuple[str, ...]]:
    """Tags that the target gets from another container, and the names of those that it has no place
    for.

    Within a container both are empty: there the chunks and blocks are carried.
    """
    if _carried_whole(metadata, target):
        return (), ()
    kept: list[tuple[str, str]] = []
    left: list[str] = []
    room = _ROOM.get(target.subtype, _ROOM.get(target.container, _MOST))
    for key, value in metadata.tags:
        size = len(key) + len(value.encode("utf-8", "replace")) + 16
        if not value or key == MASK_TAG:
            continue
        if _has_place(key, target) and size <= room:
            kept.append((key, value))
            room -= size
        else:
            left.append(key)
    return tuple(kept), tuple(left)


def _carried_whole(metadata: Metadata, target: Target) -> bool:
    if target.container in RIFF_FAMILY:
        return bool(metadata.before or metadata.after)
    own = {"FLAC": metadata.blocks, "AIFF": metadata.iff, "CAF": metadata.caf}
    return bool(own.get(target.container))


def _has_place(key: str, target: Target) -> bool:
    if target.container in RIFF_FAMILY:
        return _info_name(key) is not None
    if target.container in ("FLAC", "CAF"):
        return True
    named: dict[str, Iterable[str]] = {"AIFF": TEXTS.values(), "OGG": _TO_SOUNDFILE, "MP3": _MP3}
    return key in named.get(target.container, ())


def left_behind(metadata: Metadata, target: Target) -> list[str]:
    """What of the metadata has no place in the target's container, as a warning."""
    names: list[str] = []
    if target.container not in RIFF_FAMILY:
        names += [
            _label(chunk)
            for chunk in (*metadata.before, *metadata.after)
            if chunk.data[:4] != b"INFO"
        ]
    if target.container != "AIFF":
        names += [_label(chunk) for chunk in metadata.iff if chunk.id not in (*TEXTS, aiff.LAYOUT)]
    if target.container != "CAF":
        names += [
            _label(chunk) for chunk in metadata.caf if chunk.id not in (caf.TEXTS, caf.LAYOUT)
        ]
    if target.container != "FLAC":
        names += [flac.NAMES[kind] for kind, _ in metadata.blocks if kind != flac.VORBIS_COMMENT]
    names += crossing(metadata, target)[1]
    beyond = ", ".join(printable(name) for name in dict.fromkeys(metadata.beyond))
    big = [f"not carried from the source: {beyond}"] if beyond else []
    unique = ", ".join(printable(name) for name in dict.fromkeys(names))
    return [
        *big,
        *([f"{target.container} has no place for {unique}: left behind"] if unique else []),
    ]


def late_warning(chunks: Iterable[Chunk], target: Target) -> list[str]:
    """What to say of chunks that a pipe delivered behind its samples, too late for the target."""
    names = ", ".join(printable(name) for name in dict.fromkeys(map(_label, chunks)))
    return (
        [f"{target.container} got no {names}, which came after the samples of a pipe"]
        if names
        else []
    )


def _label(chunk: Chunk) -> str:
    return chunk.id.decode("latin-1").strip()
