"""Tags that cross from one container to another, and the line in a broadcast wave's coding history.

Within a container metadata travel byte for byte; this is for WAV to FLAC and the like, where keys
have other names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from earfilt.audio.containers import aiff, caf, flac, mpeg, w64
from earfilt.audio.containers.aiff import TEXTS
from earfilt.audio.containers.chunks import RIFF, Chunk, legible, pieces
from earfilt.audio.containers.ogg.streams import read_comments
from earfilt.audio.formats import RIFF_FAMILY, Target
from earfilt.audio.info import Metadata
from earfilt.audio.metadata import annotation, at_the_end, id3, sphere
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

_ONCE = ("OGG", "MP3", "AIFF")
"""Containers as they are written here that hold each tag once (AIFF: but for its comments)."""

_ID3_FOOTER = 10

TAGS_OF_JOINED = "tags of the recordings that were joined to the first"

TAG_IN_FRONT = "ID3 tag in front of the file"
"""Name of what stands where other containers than MP3 have no place for it."""

Tags = tuple[tuple[str, str], ...]


def riff_tags(chunks: Iterable[Chunk]) -> Tags:
    """Tags of the LIST/INFO chunks, under the names that Vorbis comments have for them (unknown
    keys keep their own).
    """
    pairs: list[tuple[str, str]] = []
    for chunk in chunks:
        if chunk.name == b"LIST" and chunk.data[:4] == b"INFO":
            pairs += _info_entries(chunk.data[4:])
    return tuple(pairs)


def _info_entries(data: bytes) -> list[tuple[str, str]]:
    pairs = []
    for piece in pieces(data):
        name, raw = piece.id.decode("latin-1"), piece.data.split(b"\0")[0]
        if name.isalnum() and raw:
            pairs.append((_INFO.get(name.upper(), name.upper()), legible(raw)))
    return pairs


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


def read_metadata(
    source: Source, container: str, strings: Mapping[str, str], starts: Sequence[int] = (0,)
) -> Metadata:
    """What is stored beside the samples of a file that libsndfile decodes.

    Parameters
    ----------
    source : Source
        A file; its position is left anywhere.
    container : str
        As libsndfile calls it.
    strings : mapping of str to str
        Tags that libsndfile found in an MP3 file, for where its own cannot be read.
    starts : sequence of int
        First byte of each recording of the file.
    """
    beyond: list[str] = []
    file = source.raw.fileno()
    start = 0 if container == "MP3" else mpeg.id3_end(file, 0)
    if start:
        beyond.append(TAG_IN_FRONT)
    read = {
        "FLAC": _of_flac, "AIFF": _of_aiff, "CAF": _of_caf, "OGG": _of_ogg, "AU": _of_au, "NIST": _of_sphere,
    }  # fmt: skip
    if container == "MP3":
        metadata = _of_mp3(source, beyond, strings, joined=len(starts) > 1)
    else:
        metadata = read[container](source, beyond, start)
    if container in ("FLAC", "OGG"):
        first, names = at_the_end.find_tags(file)
        beyond += [*names, *(["ID3v1 tag"] if first else [])]
    if _say_more(source, container, metadata, starts[1:]):
        beyond.append(TAGS_OF_JOINED)
    return replace(metadata, beyond=(*metadata.beyond, *beyond))


def _of_flac(source: Source, beyond: list[str], start: int) -> Metadata:
    blocks = flac.read_blocks(source, beyond, start)
    return Metadata(blocks=tuple(blocks), tags=_comments(blocks))


def _comments(blocks: Iterable[flac.Block]) -> Tags:
    texts = (content for kind, content in blocks if kind == flac.VORBIS_COMMENT)
    return tuple(pair for content in texts for pair in flac.parse_comments(content))


def _of_aiff(source: Source, beyond: list[str], start: int) -> Metadata:
    chunks = aiff.read_chunks(source, beyond, start)
    return Metadata(iff=chunks, tags=aiff.text_tags(chunks))


def _of_caf(source: Source, beyond: list[str], start: int) -> Metadata:
    chunks = caf.read_chunks(source, beyond, start)
    return Metadata(caf=chunks, tags=caf.text_tags(chunks))


def _of_ogg(source: Source, beyond: list[str], start: int) -> Metadata:
    found = flac.parse_comments(read_comments(source, beyond, start))
    return Metadata(tags=tuple(pair for pair in found if pair[0] != "ENCODER"))


def _of_au(source: Source, beyond: list[str], _: int) -> Metadata:
    content = annotation.read_annotation(source, beyond)
    text = annotation.text_of(content)
    return Metadata(annotation=content, tags=(("COMMENT", text),) if text else ())


def _of_sphere(source: Source, _: list[str], __: int) -> Metadata:
    return Metadata(tags=sphere.read_fields(source))


def _of_mp3(
    source: Source, beyond: list[str], strings: Mapping[str, str], *, joined: bool
) -> Metadata:
    first, names = at_the_end.find_tags(source.raw.fileno())
    beyond += names
    data = id3.read_tag(source, beyond)
    read = id3.read_tags(data)
    if read is None:
        beyond += ["ID3 tag (unreadable)"] if data else []
        return Metadata(tags=foreign_tags(strings))
    if mpeg.id3_end(source.raw.fileno(), 0) > len(data) + _ID3_FOOTER:
        beyond.append("second ID3 tag")
    pairs, others = read
    if first and joined:
        beyond.append(TAGS_OF_JOINED)
    elif first:
        more, genre = id3.read_v1(first)
        known = {key for key, _ in pairs}
        pairs += tuple((key, value) for key, value in more if key not in known)
        beyond += [f"{key} of the ID3v1 tag" for key in genre if key not in known]
    return Metadata(tags=pairs, beyond=others)


def _say_more(source: Source, container: str, first: Metadata, starts: Iterable[int]) -> bool:
    """Whether recordings that were joined to the first have tags that it has not."""
    if container == "MP3":
        return any(mpeg.has_tag_before(source.raw.fileno(), start) for start in starts)
    read = _of_flac if container == "FLAC" else _of_ogg
    return any(not _said(read(source, [], start)) <= _said(first) for start in starts)


def _said(metadata: Metadata) -> set[tuple[object, object]]:
    """Tags, and blocks of other kinds."""
    blocks = (block for block in metadata.blocks if block[0] != flac.VORBIS_COMMENT)
    return {*metadata.tags, *blocks}


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
        _extended(chunk, line) if chunk.name == b"bext" and len(chunk.data) >= 602 else chunk
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
        if _is_repeated(key, target, kept):
            left.append(f"a further {key}")
        elif _has_place(key, target) and size <= room:
            kept.append((key, value))
            room -= size
        else:
            left.append(key)
    return tuple(kept), tuple(left)


def _is_repeated(key: str, target: Target, kept: Tags | list[tuple[str, str]]) -> bool:
    """Whether a tag has its place in the target already, which has no second one."""
    if target.container not in _ONCE or (target.container == "AIFF" and key == "COMMENT"):
        return False
    return any(key == other for other, _ in kept)


def _carried_whole(metadata: Metadata, target: Target) -> bool:
    if target.container in RIFF_FAMILY:
        return bool(metadata.before or metadata.after)
    own: dict[str, object] = {
        "FLAC": metadata.blocks,
        "AIFF": metadata.iff,
        "CAF": metadata.caf,
        "AU": metadata.annotation,
        "W64": metadata.w64 and target.sample.lossless,
    }
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
    whole = _carried_whole(metadata, target)
    if target.container not in RIFF_FAMILY and not (metadata.w64 and whole):
        names += [
            chunk.label
            for chunk in (*metadata.before, *metadata.after)
            if chunk.data[:4] != b"INFO"
        ]
    if target.container != "AIFF":
        names += [chunk.label for chunk in metadata.iff if chunk.id not in (*TEXTS, aiff.LAYOUT)]
    if target.container != "CAF":
        names += [chunk.label for chunk in metadata.caf if chunk.id not in (caf.TEXTS, caf.LAYOUT)]
    if metadata.w64 and not (target.container == "W64" and whole):
        names += [chunk.label for chunk in w64.beyond_riff(metadata.w64)]
    if metadata.annotation and not (
        target.container == "AU" or annotation.text_of(metadata.annotation)
    ):
        names.append("annotation")
    if target.container != "FLAC":
        names += [flac.NAMES[kind] for kind, _ in metadata.blocks if kind != flac.VORBIS_COMMENT]
    names += crossing(metadata, target)[1]
    # which program wrote the source is no loss
    unique = ", ".join(printable(name) for name in dict.fromkeys(names) if name != "ENCODER")
    return [
        *not_carried(metadata.beyond),
        *([f"{target.container} has no place for {unique}: left behind"] if unique else []),
    ]


def not_carried(names: Iterable[str]) -> list[str]:
    """What no output gets, as a warning."""
    unique = ", ".join(printable(name) for name in dict.fromkeys(names))
    return [f"not carried from the source: {unique}"] if unique else []


def late_warning(chunks: Iterable[Chunk], target: Target) -> list[str]:
    """What to say of chunks that a pipe delivered behind its samples, too late for the target."""
    names = ", ".join(printable(name) for name in dict.fromkeys(chunk.label for chunk in chunks))
    return (
        [f"{target.container} got no {names}, which came after the samples of a pipe"]
        if names
        else []
    )
