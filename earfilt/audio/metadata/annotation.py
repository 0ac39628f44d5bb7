"""The annotation of Sun and NeXT files: what stands between header and samples, a text as a rule.

Reference: Sun Microsystems, audio(7), NeXT/Sun file format.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from earfilt.audio.containers import au
from earfilt.audio.containers.chunks import MAX_METADATA, legible

if TYPE_CHECKING:
    from earfilt.audio.source import Source

HEAD = 24
"""Bytes before the annotation."""


def read_annotation(source: Source, beyond: list[str]) -> bytes:
    """What stands before the samples; empty where that is nothing but zeros.

    Parameters
    ----------
    source : Source
        A file; its position is left alone.
    beyond : list of str
        Gets the name of what is too big to carry.
    """
    head = au.read_head(source)
    size = 0 if head is None else head.start - HEAD
    if size <= 0:
        return b""
    if size > MAX_METADATA:
        beyond.append("annotation (too big)")
        return b""
    data = os.pread(source.raw.fileno(), size, HEAD)
    return data if any(data) else b""


def text_of(annotation: bytes) -> str:
    """The annotation as a text; empty where it is none."""
    text = legible(annotation.rstrip(b"\0")).strip()
    return text if all(c.isprintable() or c in "\t\r\n" for c in text) else ""


def head_at(head: bytes, start: int) -> bytes:
    """A header as libsndfile writes it, for samples that begin at ``start``."""
    return head[:4] + struct.pack(">I", start) + head[8:]
