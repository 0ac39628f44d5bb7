"""Statements about the samples that a filter makes false: loudness, peaks, fingerprints and
checksums are left out.

References
----------
ReplayGain 2.0; RFC 7845, section 5.2.1 (R128_*_GAIN); EBU Tech 3285, version 2 (loudness in bext);
iXML 2.0 (BEXT section); ITU-R BS.2076 (loudnessMetadata); Sound Check of iTunes (iTunNORM).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from earfilt.audio.containers import caf, flac
from earfilt.audio.metadata import id3
from earfilt.errors import printable

if TYPE_CHECKING:
    from earfilt.audio.containers.chunks import Chunk
    from earfilt.audio.info import Metadata

_KEYS = re.compile(
    r"""(REPLAYGAIN|R128|MP3GAIN|BWFMAX|CTDB).+   # CTDB: how many have ripped the same samples
    |ACCURATERIP.*(?<!ID)                         # but not of which disc
    |.*(LOUDNESS(RANGE|VALUE|LUFS)?|TRUEPEAK(LEVEL)?(DB|DBTP)?|LUFS|LKFS)
    |LOUDNESS.*
    |ITUN(NORM|SMPB)|PEAK(LEVEL|VALUE)|AVERAGELEVEL|(ALBUM)?DYNAMICRANGE
    |ACOUSTIDFINGERPRINT
    |.*(CRC|CRC32|MD5|MD5SUM|SHA1|SHA256|CHECKSUM)
    """,
    re.VERBOSE,
)
"""Keys, without what parts their words."""

_SOUND_CHECK = re.compile(r"(\s*[0-9A-Fa-f]{8}){10,12}\s*")
_FRAMES = ("RVA2", "RVAD", "RVA", "XRVA", "XRV", "RGAD")
"""ID3 frames of relative volume and of replay gain."""

_CHUNKS = (b"MD5 ", b"rgad", b"dbmd")
"""Chunks that are false as a whole: a checksum of the samples, replay gain, loudness as Dolby
states it.
"""

_XML = re.compile(
    r"<((?:[\w.-]+:)?(?:BWF_)?(?:LOUDNESS_VALUE|LOUDNESS_RANGE|MAX_TRUE_PEAK_LEVEL"
    r"|MAX_MOMENTARY_LOUDNESS|MAX_SHORT_TERM_LOUDNESS))\b[^<>]*>[^<]*</\1\s*>"
    r"|<((?:[\w.-]+:)?loudnessMetadata)\b(?:[^<>]*/>|[^<>]*>.*?</\2\s*>)",
    re.DOTALL | re.IGNORECASE,
)
"""Elements, under any prefix of a namespace."""

_WIDE = dict.fromkeys((b"\xff\xfe", b"<\0"), "utf-16-le") | dict.fromkeys(
    (b"\xfe\xff", b"\0<"), "utf-16-be"
)
"""Codings of XML by the first two bytes."""

_BEXT_VERSION, _BEXT_LOUDNESS = 346, slice(412, 422)
_UNUSED = struct.pack("<5h", *[0x7FFF] * 5)


def is_false(key: str, value: str = "") -> bool:
    """Whether a tag speaks of loudness, peak, fingerprint or checksum of the samples (its key in
    any case).
    """
    plain = re.sub(r"[\s_-]", "", key.upper().rpartition(":")[2])
    return _KEYS.fullmatch(plain) is not None or _SOUND_CHECK.fullmatch(value) is not None


def without_false(metadata: Metadata) -> tuple[Metadata, list[str]]:
    """The metadata without what is false behind a filter, and a warning that names it."""
    names: list[str] = []
    kept = replace(
        metadata,
        before=_chunks(metadata.before, names),
        after=_chunks(metadata.after, names),
        iff=_chunks(metadata.iff, names),
        caf=_chunks(metadata.caf, names),
        w64=_chunks(metadata.w64, names),
        blocks=tuple((kind, _block(kind, content, names)) for kind, content in metadata.blocks),
        tags=_pairs(metadata.tags, names),
        beyond=tuple(
            name for name in metadata.beyond if name not in _FRAMES and not is_false(name)
        ),
    )
    return kept, _warning(names)


def true_chunks(chunks: Iterable[Chunk]) -> tuple[tuple[Chunk, ...], list[str]]:
    """The same for chunks of a RIFF file."""
    names: list[str] = []
    kept = _chunks(chunks, names)
    return kept, _warning(names)


def _warning(names: list[str]) -> list[str]:
    unique = ", ".join(printable(name) for name in dict.fromkeys(names))
    return [f"left out, since it is not true of the filtered sound: {unique}"] if unique else []


def _pairs(tags: Iterable[tuple[str, str]], names: list[str]) -> tuple[tuple[str, str], ...]:
    kept = []
    for key, value in tags:
        if is_false(key, value):
            names.append(key)
        else:
            kept.append((key, value))
    return tuple(kept)


def _block(kind: int, content: bytes, names: list[str]) -> bytes:
    if kind != flac.VORBIS_COMMENT:
        return content
    kept, left = flac.without_comments(content, is_false)
    names += left
    return kept


def _chunks(chunks: Iterable[Chunk], names: list[str]) -> tuple[Chunk, ...]:
    kept = []
    for chunk in chunks:
        if chunk.name in _CHUNKS:
            names.append(chunk.label)
            continue
        data = _content(chunk, names)
        if data or not chunk.data:
            kept.append(replace(chunk, data=data))
    return tuple(kept)


def _content(chunk: Chunk, names: list[str]) -> bytes:
    """What stays of a chunk."""
    if chunk.name == b"bext":
        return _bext(chunk.data, names)
    if chunk.name in (b"id3 ", b"ID3 "):
        data, left = id3.without(chunk.data, lambda name, text: name in _FRAMES or is_false(text))
        names += left
        return data
    if chunk.name in (b"iXML", b"axml"):
        data, count = _without_loudness(chunk.data)
        names += [f"loudness in {chunk.label}"] * bool(count)
        return data
    if chunk.id == caf.TEXTS and any(is_false(key, value) for key, value in caf.text_tags([chunk])):
        texts = caf.text_chunks(_pairs(caf.text_tags([chunk]), names))
        return texts[0].data if texts else struct.pack(">I", 0)
    return chunk.data


def _without_loudness(data: bytes) -> tuple[bytes, int]:
    """XML without its elements of loudness, the rest byte for byte, and their number."""
    coding = _WIDE.get(data[:2], "latin-1")  # which gives each byte back, whatever it is part of
    whole = len(data) if coding == "latin-1" else len(data) & ~1
    text, count = _XML.subn("", data[:whole].decode(coding, "surrogatepass"))
    return text.encode(coding, "surrogatepass") + data[whole:], count


def _bext(data: bytes, names: list[str]) -> bytes:
    """The loudness fields of version 2 say that they are not used."""
    if (
        len(data) < _BEXT_LOUDNESS.stop
        or struct.unpack_from("<H", data, _BEXT_VERSION)[0] < 2
        or data[_BEXT_LOUDNESS] == _UNUSED
    ):
        return data
    names.append("loudness in bext")
    return data[: _BEXT_LOUDNESS.start] + _UNUSED + data[_BEXT_LOUDNESS.stop :]
