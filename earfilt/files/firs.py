"""FIR files: the effective FIR for other programs, and back again to the same bits.

A file that earfilt wrote says its rate, latency and extension rule
(:mod:`earfilt.files.fir_formats`). One made elsewhere means what its usual reader takes it for: SoX
advances a ``.txt`` by half its taps; of the others, symmetric taps are centred and the rest are
causal.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earfilt.errors import UsageError, printable
from earfilt.files.curves import csv_table, read_curve
from earfilt.files.fir_formats import CSV_HEADER, MAX_TAPS, READERS, WRITERS, Content, PathLike
from earfilt.storage.reading import read_text, shown
from earfilt.storage.writing import write_bytes
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.provenance import Provenance

__all__ = ["SUFFIXES", "fir_bytes", "holds_fir", "read_curve", "read_fir", "write_fir"]

SUFFIXES = tuple(READERS)
"""Extensions of FIR files, lower case."""

_KNOWN = "FIR files end in " + ", ".join(SUFFIXES)
_MAX_FS = 1e9
_SYMMETRY = 1e-12  # largest asymmetry, re the largest tap, of what counts as symmetric


def read_fir(path: PathLike, *, latency: int | None = None) -> Fir:
    """Read a FIR from ``.json .mat .wav .csv .txt .npy``.

    Parameters
    ----------
    path : path
        The extension says what it is.
    latency : int, optional
        Look-ahead in samples, 0 ≤ latency < numtaps, for a file that does not say its own.

    Returns
    -------
    Fir
        ``fs`` is None where the file does not say it.

    Raises
    ------
    UsageError
        Not such a file, damaged, too large (64 MiB, 2²² taps), not finite, or ``latency``
        contradicts it.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise UsageError(f"{shown(path)} is no FIR file; {_KNOWN}")
    content = READERS[suffix](path)
    if not 0 < len(content.taps) <= MAX_TAPS:
        raise UsageError(
            f"{shown(path)} holds {len(content.taps)} taps; 1 to {MAX_TAPS} are possible"
        )
    if not np.isfinite(content.taps).all():
        raise UsageError(
            f"{shown(path)}: tap {int(np.argmin(np.isfinite(content.taps)))} is not a finite number"
        )
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


def fir_bytes(fir: Fir, path: PathLike) -> bytes:
    """What :func:`write_fir` writes.

    Raises
    ------
    UsageError
        Unknown extension, or a format that cannot state the sampling rate.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(f"no FIR can be written as {shown(path)}; {_KNOWN}")
    return WRITERS[suffix](fir)


def holds_fir(path: PathLike) -> bool:
    """Whether a file holds a FIR (True) or a curve (False): a ``.csv`` by its header line, all
    others by extension.

    Raises
    ------
    UsageError
        Unknown extension, or a ``.csv`` that cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise UsageError(f"{shown(path)} is neither a FIR nor a curve; {_KNOWN}; a curve is a .csv")
    return suffix != ".csv" or csv_table(read_text(path), path).header == CSV_HEADER


def _build(content: Content, path: PathLike, latency: int | None) -> Fir:
    """The Fir of taps and an untrusted header."""
    taps, header = content
    stated = header.get("latency")
    if stated is not None and latency is not None and stated != latency:
        raise UsageError(
            f"{shown(path)} says its own latency, {_excerpt(stated)} samples; leave --latency "
            f"{latency} out"
        )
    lookahead = next(
        (value for value in (stated, latency) if value is not None), _assumed_lookahead(taps)
    )
    if (
        not isinstance(lookahead, int)
        or isinstance(lookahead, bool)
        or not 0 <= lookahead < len(taps)
    ):
        raise UsageError(
            f"{shown(path)}: latency {_excerpt(lookahead)}; it must be 0 to {len(taps) - 1} "
            f"samples for {len(taps)} taps"
        )
    odd_ends, meta = header.get("odd_ends", False), header.get("meta", {})
    if not isinstance(odd_ends, bool) or not isinstance(meta, dict):
        raise UsageError(
            f"{shown(path)} is damaged: odd_ends must be true or false, and meta an object"
        )
    return Fir(
        taps, _checked_fs(header.get("fs"), path), lookahead, odd_ends, Provenance.from_json(meta)
    )


def _checked_fs(fs: object, path: PathLike) -> float | None:
    if fs is None:
        return None
    if isinstance(fs, bool) or not isinstance(fs, int | float) or not 0 < fs <= _MAX_FS:
        raise UsageError(
            f"{shown(path)}: sampling rate {_excerpt(fs)}; it must be above 0 and at most "
            f"{_MAX_FS:g} Hz"
        )
    return float(fs)


def _assumed_lookahead(taps: NDArray[np.float64]) -> int:
    """Symmetric taps are centred, all others causal."""
    unit = taps / (np.abs(taps).max() or 1.0)
    return (len(taps) - 1) // 2 if np.abs(unit - unit[::-1]).max() <= _SYMMETRY else 0


def _excerpt(value: object) -> str:
    return printable(repr(value)[:40])
