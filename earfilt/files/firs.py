"""FIR files: the effective FIR for other programs, and back again to the same bits.

A file that earfilt wrote says its rate, latency and extension rule
(:mod:`earfilt.files.fir_formats`). One made elsewhere means what its usual reader takes it for: SoX
advances a ``.txt`` by half its taps; of the others, symmetric taps are centred and the rest are
causal.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.options import LARGEST_FS
from earfilt.errors import DataError, UsageError, printable
from earfilt.files.curves import read_curve
from earfilt.files.fir_formats import (
    KNOWN,
    MAX_TAPS,
    READERS,
    WRITERS,
    Content,
    PathLike,
    form_of,
    holds_curve,
    write_wav,
)
from earfilt.files.plain_taps import LARGEST_WHOLE
from earfilt.files.rates import stated_fs
from earfilt.files.symmetry import assumed_lookahead
from earfilt.storage.reading import shown
from earfilt.storage.writing import write_bytes
from earfilt.synthesis.fir import ROW_NAMES, Fir
from earfilt.synthesis.provenance import Provenance
from earfilt.wording import option

__all__ = ["SUFFIXES", "fir_bytes", "holds_fir", "read_curve", "read_fir", "write_fir"]

SUFFIXES = tuple(READERS)
"""Extensions of FIR files, lower case."""


def read_fir(path: PathLike, *, latency: int | None = None) -> Fir:
    """Read a FIR from ``.json .mat .wav .csv .txt .npy``.

    Parameters
    ----------
    path : path
        What it is its content says, and the extension where the content does not.
    latency : int, optional
        Look-ahead in samples, 0 ≤ latency < numtaps, for a file that does not say its own.

    Returns
    -------
    Fir
        ``fs`` is None where the file does not say it.

    Raises
    ------
    UsageError
        It cannot be read, or ``latency`` contradicts it.
    DataError
        Not such a file, damaged, too large (64 MiB, 2²² taps), or not finite.
    """
    return build_fir(read_content(path), path, latency=latency)


def read_content(path: PathLike) -> Content:
    """What a FIR file contains, unchecked.

    Raises
    ------
    UsageError
        It cannot be read.
    DataError
        Not such a file, damaged, or too large.
    """
    return READERS[form_of(path)](path)


def build_fir(content: Content, path: PathLike, *, latency: int | None = None) -> Fir:
    """The Fir of taps and a header that anyone may have written.

    Raises
    ------
    UsageError, DataError
        As :func:`read_fir`.
    """
    kind = content.header.get("earfilt", "fir")
    if kind != "fir":
        raise DataError.about(
            shown(path),
            "{subject} is not a FIR: it says of itself that it is {kind}",
            kind=_excerpt(kind),
        )
    rows = np.atleast_2d(content.taps)
    if len(rows) not in ROW_NAMES:
        raise DataError.about(
            shown(path),
            "{subject} has {count} rows of taps; a FIR has 1, 2 (left, right) or 4 (left to left, left "
            "to right, right to left, right to right)",
            count=len(rows),
        )
    if not 0 < rows.shape[1] <= MAX_TAPS:
        raise DataError.about(
            shown(path),
            "{subject} holds {count} taps; 1 to {max_taps} are possible",
            count=rows.shape[1],
            max_taps=MAX_TAPS,
        )
    wrong = np.argwhere(~np.isfinite(rows))
    if len(wrong):
        row, tap = wrong[0].tolist()
        where = f"tap {tap}" + (f" of row {row}" if len(rows) > 1 else "")
        raise DataError(shown(path), f"{where} is not a finite number")
    _check_count(content.header, rows.shape[1], path)
    return _build(content, path, latency)


def write_fir(fir: Fir, path: PathLike, *, force: bool = False) -> None:
    """Write a FIR in the format of the extension; :func:`read_fir` reads it back to the same bits.

    ``.npy`` holds the bare taps: rate and extension rule are lost, and the look-ahead where it is
    not the one the reader assumes.

    Raises
    ------
    UsageError
        As :func:`fir_bytes`, or the file exists and ``force`` is False.
    AudioError
        It cannot be written.
    """
    write_bytes(path, fir_bytes(fir, path), force=force)


def fir_bytes(
    fir: Fir, path: PathLike, *, channels: int | None = None, subtype: str | None = None
) -> bytes:
    """What :func:`write_fir` writes.

    Parameters
    ----------
    channels, subtype : int and str, optional
        Of a ``.wav``: see `write_wav`.

    Raises
    ------
    UsageError
        Unknown extension, a format that cannot state the sampling rate, or channels and a subtype
        for another format than ``.wav``.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(f"no FIR can be written as {shown(path)}; {KNOWN}")
    if suffix == ".wav":
        return write_wav(fir, channels=channels, subtype="DOUBLE" if subtype is None else subtype)
    if channels is not None or subtype is not None:
        raise UsageError(f"{shown(path)}: --channels and --subtype are of .wav files")
    return WRITERS[suffix](fir)


def holds_fir(path: PathLike) -> bool:
    """Whether a file holds a FIR (True) or a curve or equaliser (False), by its content.

    Raises
    ------
    UsageError
        A file that cannot be read.
    DataError
        It may be either, or is neither.
    """
    return not holds_curve(path)


def _build(content: Content, path: PathLike, latency: int | None) -> Fir:
    """The Fir of taps and an untrusted header."""
    taps, header = np.atleast_2d(content.taps), content.header
    taps, numtaps = (taps[0] if len(taps) == 1 else taps), taps.shape[1]
    stated = header.get("latency")
    if stated is not None and latency is not None and stated != latency:
        raise UsageError(
            f"{shown(path)} says its own latency, {_excerpt(stated)} samples; leave "
            f"{option('latency', latency)} out"
        )
    if stated is None and latency is None and content.unclear:
        raise DataError(
            shown(path), f"{content.unclear}; --latency N says which tap is time zero now"
        )
    lookahead = (
        stated
        if stated is not None
        else latency
        if latency is not None
        else assumed_lookahead(content.taps, content.step)
    )
    if (
        not isinstance(lookahead, int)
        or isinstance(lookahead, bool)
        or not 0 <= lookahead < numtaps
    ):
        most = numtaps - 1
        words = f"latency {_excerpt(lookahead)}; it must be 0 to {most} samples for {most + 1} taps"
        if stated is None and latency is not None:
            raise UsageError(f"{shown(path)}: {words}")
        raise DataError(shown(path), words)
    odd_ends, meta = header.get("odd_ends", False), header.get("meta", {})
    if not isinstance(odd_ends, bool) or not isinstance(meta, dict):
        raise DataError.about(
            shown(path), "{subject} is damaged: odd_ends must be true or false, and meta an object"
        )
    fs = _checked_fs(stated_fs(header, shown(path)), path)
    told = replace(Provenance.from_json(meta), cautions=_cautions(content, path))
    return Fir(taps, fs, lookahead, odd_ends, told)


def _check_count(header: Mapping[str, Any], numtaps: int, path: PathLike) -> None:
    """Refuse taps that were changed since their number was written, beside their latency."""
    stated = header.get("numtaps")
    if isinstance(stated, int) and stated != numtaps:
        raise DataError.about(
            shown(path),
            "{subject} says that it has {stated} taps, and has {numtaps}: what else it says may be "
            "untrue too; correct 'latency' and 'numtaps' in it, or take both out",
            stated=stated,
            numtaps=numtaps,
        )


def _cautions(content: Content, path: PathLike) -> tuple[str, ...]:
    """What to know of a file that was not written as it is."""
    if "meta" in content.header or not _are_codes(content.taps):
        return content.cautions
    return (
        *content.cautions,
        f"{shown(path)}: its taps are whole numbers up to {np.abs(content.taps).max():.9g}; if they "
        "are codes of a fixed-point format, divide them by its full scale",
    )


def _are_codes(taps: Floats) -> bool:
    return bool(np.abs(taps).max() >= LARGEST_WHOLE and (taps == np.rint(taps)).all())


def _checked_fs(fs: object, path: PathLike) -> float | None:
    if fs is None:
        return None
    if isinstance(fs, bool) or not isinstance(fs, int | float) or not 0 < fs <= LARGEST_FS:
        raise DataError(
            shown(path),
            f"sampling rate {_excerpt(fs)}; it must be above 0 and at most {LARGEST_FS:g} Hz",
        )
    return float(fs)


def _excerpt(value: object) -> str:
    return printable(repr(value)[:40])
