"""FIR files: the effective FIR for other programs, and back again to the same bits.

A file that earfilt wrote says its rate, latency and extension rule
(:mod:`earfilt.files.fir_formats`). One made elsewhere means what its usual reader takes it for: SoX
advances a ``.txt`` by half its taps; of the others, symmetric taps are centred and the rest are
causal.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from earfilt.storage.reading import shown
from earfilt.storage.writing import write_bytes
from earfilt.synthesis.fir import ROW_NAMES, Fir
from earfilt.synthesis.provenance import Provenance
from earfilt.wording import option

__all__ = ["SUFFIXES", "fir_bytes", "holds_fir", "read_curve", "read_fir", "write_fir"]

SUFFIXES = tuple(READERS)
"""Extensions of FIR files, lower case."""

_MAX_FS = 1e9
# How far mirrored taps may differ, re the largest, and still count as equal: what arithmetic in 32
# bits leaves, whatever format it is then kept in; or 4 steps of a coarser format (two roundings and
# dither), as long as that is little.
_ARITHMETIC = 2.0**-20
_STEPS = 4.0
_COARSEST = 0.02
# decimal digits of numbers that were printed and read back; how many taps are looked at
_FEW_DIGITS, _LOOKED_AT = 6, 4096


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
    lookahead = (
        stated
        if stated is not None
        else latency
        if latency is not None
        else _assumed_lookahead(content)
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
    return Fir(
        taps, _checked_fs(header.get("fs"), path), lookahead, odd_ends, Provenance.from_json(meta)
    )


def _checked_fs(fs: object, path: PathLike) -> float | None:
    if fs is None:
        return None
    if isinstance(fs, bool) or not isinstance(fs, int | float) or not 0 < fs <= _MAX_FS:
        raise DataError(
            shown(path),
            f"sampling rate {_excerpt(fs)}; it must be above 0 and at most {_MAX_FS:g} Hz",
        )
    return float(fs)


def _assumed_lookahead(content: Content) -> int:
    """The one of the rows where they agree, silent ones aside; else they are causal."""
    found = {_centre(row, content.step) for row in np.atleast_2d(content.taps) if row.any()}
    return found.pop() if len(found) == 1 else 0


def _centre(taps: NDArray[np.float64], step: float) -> int:
    """Centred where the phase is linear, causal otherwise.

    The phase is linear where the taps are symmetric or antisymmetric (Hilbert transformers,
    differentiators), zeros at the end aside. An even number of taps may also be mirrored at tap
    n/2, as an inverse FFT rotated by half its length leaves them.
    """
    largest = np.abs(taps).max() or 1.0
    unit = taps / largest
    # of a row that is all but nothing beside another one
    with np.errstate(over="ignore"):
        step = max(step / largest, _decimal_step(taps))
    within = max(_ARITHMETIC, min(_STEPS * step, _COARSEST))
    if _is_mirrored(unit, within):
        return (len(unit) - 1) // 2
    held = np.trim_zeros(unit, "b")
    if _is_mirrored(held, within):
        return (len(held) - 1) // 2
    rotated = len(unit) % 2 == 0 and len(unit) > 2 and abs(unit[0]) <= _COARSEST
    return len(unit) // 2 if rotated and _is_mirrored(unit[1:], within) else 0


def _decimal_step(taps: NDArray[np.float64]) -> float:
    """The last place that taps were printed with, re the largest; 0 where they have all the digits
    that a float can have.
    """
    largest = np.abs(taps).max()
    shown = [f"{tap:.7g}" for tap in taps[np.abs(taps) > 1e-3 * largest][:_LOOKED_AT]]
    if not shown or any(len(_digits(text)) > _FEW_DIGITS for text in shown):
        return 0.0
    places = max(len(_digits(text)) for text in shown)
    return float(10.0 ** (math.floor(math.log10(largest)) + 1 - places) / largest)


def _digits(number: str) -> str:
    """Significant digits of a printed number."""
    return number.partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")


def _is_mirrored(unit: NDArray[np.float64], within: float) -> bool:
    mirror = unit[::-1]
    return bool(min(np.abs(unit - mirror).max(), np.abs(unit + mirror).max()) <= within)


def _excerpt(value: object) -> str:
    return printable(repr(value)[:40])
