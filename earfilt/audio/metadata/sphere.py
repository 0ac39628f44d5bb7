"""NIST SPHERE files, which speech corpora hold: the fields of their header, who speaks and what among
them, and where the samples lie.

Reference: NIST, SPHERE header structure (1990).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from earfilt.audio.containers.chunks import legible
from earfilt.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earfilt.audio.source import Source

MAGIC = b"NIST_1A\n"
_MOST = 1 << 20
_FIELD = re.compile(rb"(\S+)[ \t]+-(?:[ir][ \t]+([^\n]*)|s(\d{1,7})[ \t])")
_OF_THE_SAMPLES = ("SAMPLE_", "CHANNEL")
"""How the names of fields begin that describe the samples: written anew or no longer true."""


class Samples(NamedTuple):
    """Where the samples of a file lie.

    Attributes
    ----------
    start : int
        First byte.
    frames : int or None
        As stated.
    align : int
        Bytes of a frame.
    """

    start: int
    frames: int | None
    align: int


def read_fields(source: Source) -> tuple[tuple[str, str], ...]:
    """Names (upper case) and values of the fields that do not describe the samples, and comments.

    Parameters
    ----------
    source : Source
        A file; its position is left alone.
    """
    return tuple(
        (key, value)
        for key, value in _fields(_header(source))
        if value and not key.startswith(_OF_THE_SAMPLES)
    )


def find_samples(source: Source) -> Samples:
    """Where the samples lie, by the header. Of samples whose width it does not state, their number
    says nothing.

    Raises
    ------
    AudioError
        The channels lie one behind the other.
    """
    fields = dict(_fields(_header(source)))
    channels = _number(fields.get("CHANNEL_COUNT")) or 1
    if channels > 1 and fields.get("CHANNELS_INTERLEAVED", "TRUE").upper() == "FALSE":
        raise AudioError.about(
            source.name,
            "{subject} holds its channels one behind the other (channels_interleaved FALSE), which "
            "is not read; convert it first, with w_decode of NIST's SPHERE package",
        )
    width = _number(fields.get("SAMPLE_N_BYTES")) or 0
    frames = _number(fields.get("SAMPLE_COUNT")) if width else None
    return Samples(_header_size(source), frames, channels * width)


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,15}", text) else None


def _header_size(source: Source) -> int:
    size = os.pread(source.raw.fileno(), 16, 0)[len(MAGIC) :].strip()
    return int(size) if size.isdigit() else 0


def _header(source: Source) -> bytes:
    return os.pread(source.raw.fileno(), min(_MOST, _header_size(source)), 0)


def _fields(header: bytes) -> Iterator[tuple[str, str]]:
    """Names (upper case) and values of all fields, and comments."""
    at = 16
    while 0 < at < len(header) and not header.startswith(b"end_head", at):
        line = header.find(b"\n", at)
        if header[at : at + 1] == b";":
            yield "COMMENT", _text(header[at + 1 : line])
        elif field := _FIELD.match(header, at):
            # A text may hold the ends of lines; its length is stated.
            long = field[3] is not None
            begin = field.end()
            value = header[begin : begin + int(field[3])] if long else field[2]
            line = header.find(b"\n", field.end() + (len(value) if long else 0))
            yield _text(field[1]).upper(), _text(value)
        at = line + 1


def _text(data: bytes) -> str:
    return legible(data).strip()
