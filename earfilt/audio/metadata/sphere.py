"""Fields in the header of NIST SPHERE files, which speech corpora hold: who speaks, and what.

Reference: NIST, SPHERE header structure (1990).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from earfilt.audio.containers.chunks import legible

if TYPE_CHECKING:
    from earfilt.audio.source import Source

MAGIC = b"NIST_1A\n"
_MOST = 1 << 20
_FIELD = re.compile(rb"(\S+)[ \t]+-(?:[ir][ \t]+([^\n]*)|s(\d{1,7})[ \t])")
_OF_THE_SAMPLES = ("SAMPLE_", "CHANNEL")
"""How the names of fields begin that describe the samples: written anew or no longer true."""


def read_fields(source: Source) -> tuple[tuple[str, str], ...]:
    """Names (upper case) and values of the fields that do not describe the samples, and comments.

    Parameters
    ----------
    source : Source
        A file; its position is left alone.
    """
    size = os.pread(source.raw.fileno(), 16, 0)[len(MAGIC) :].strip()
    header = os.pread(source.raw.fileno(), min(_MOST, int(size) if size.isdigit() else 0), 0)
    pairs: list[tuple[str, str]] = []
    at = 16
    while 0 < at < len(header) and not header.startswith(b"end_head", at):
        line = header.find(b"\n", at)
        if header[at : at + 1] == b";":
            pairs.append(("COMMENT", _text(header[at + 1 : line])))
        elif field := _FIELD.match(header, at):
            # A text may hold the ends of lines; its length is stated.
            long = field[3] is not None
            begin = field.end()
            value = header[begin : begin + int(field[3])] if long else field[2]
            line = header.find(b"\n", field.end() + (len(value) if long else 0))
            pairs.append((_text(field[1]).upper(), _text(value)))
        at = line + 1
    return tuple(
        (key, value) for key, value in pairs if value and not key.startswith(_OF_THE_SAMPLES)
    )


def _text(data: bytes) -> str:
    return legible(data).strip()
