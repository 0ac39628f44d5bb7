"""Sections as files: ``.sos.json`` and ``.sos.csv``, and back again to the same bits.

``.sos.json`` is an object with ``fs`` and ``sos``, rows b0 b1 b2 a0 a1 a2 as scipy has them, so
that ``scipy.signal.sosfilt(sos, x)`` is the filter. ``.sos.csv`` has the same rows under a line
with their names, and the rate in a comment.
"""

import json
import math
import os
import re
from typing import Any

import numpy as np

from earfilt.ears.options import LARGEST_FS
from earfilt.errors import DataError, UsageError
from earfilt.files.rates import stated_fs
from earfilt.storage.reading import read_bytes, read_text, shown
from earfilt.synthesis.biquads.impulse import impulse_response, largest_radius
from earfilt.synthesis.biquads.sections import Sections
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.provenance import Provenance

__all__ = ["COLUMNS", "MOST_ROWS", "fir_of", "holds_sections", "read_sections", "to_csv", "to_json"]

COLUMNS = ["b0", "b1", "b2", "a0", "a1", "a2"]
MOST_ROWS = 1000
"""Most sections that a file may hold."""

_MARK = "earfilt sections "
_LARGEST = 4 << 20
_MOST_PARTS = 100_000
_LONGEST_HEADER = 200
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")

PathLike = str | os.PathLike[str]


def to_json(sections: Sections) -> str:
    """The text of a ``.sos.json``."""
    head = json.dumps(_header(sections), allow_nan=False, indent=1, ensure_ascii=False)
    rows = ",\n".join(f"  {json.dumps(row)}" for row in sections.sos.tolist())
    return f'{head[:-2]},\n "sos": [\n{rows}\n ]\n}}\n'


def to_csv(sections: Sections) -> str:
    """The text of a ``.sos.csv``."""
    header = json.dumps(_header(sections), allow_nan=False)
    rows = [",".join(map(repr, row)) for row in sections.sos.tolist()]
    return "\n".join([f"# {_MARK}{header}", ",".join(COLUMNS), *rows, ""])


def _header(sections: Sections) -> dict[str, Any]:
    found: dict[str, Any] = {"fs": sections.fs}
    if sections.band_hz is not None:
        found["band_hz"] = list(sections.band_hz)
    if sections.deviation_db is not None:
        found |= {"deviation_db": sections.deviation_db, "deviation_hz": sections.deviation_hz}
    if sections.bands:
        bands = [
            {"kind": band.kind, "hz": band.hz, "gain_db": band.gain_db, "q": band.q}
            for band in sections.bands
        ]
        found |= {"preamp_db": sections.preamp_db, "bands": bands}
    return found | {"meta": sections.provenance.to_json()}


def holds_sections(path: PathLike) -> bool:
    """Whether a file holds sections, by its content.

    Raises
    ------
    UsageError
        It cannot be read.
    DataError
        It is empty, or too large for any small file.
    """
    data = read_bytes(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    if data.startswith(b"{"):
        return "sos" in (_parse(data) or {})
    if len(data) > _LARGEST or not data.isascii():
        return False
    first = next((line for line in data.splitlines() if line.strip() and line[:1] != b"#"), b"")
    return _fields(first[:_LONGEST_HEADER].decode()) == COLUMNS


def read_sections(path: PathLike) -> Sections:
    """Read sections from ``.sos.json`` or ``.sos.csv``; their rate is NaN where the file does not
    say it.

    Raises
    ------
    DataError
        Not such a file, damaged, too large, not finite, or not stable.
    """
    data = read_bytes(path)
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        header, rows = _from_json(data, path)
    else:
        header, rows = _from_csv(path)
    sos = _checked(rows, path)
    meta = header.get("meta")
    return Sections(
        sos,
        _checked_fs(stated_fs(header, shown(path)), path),
        provenance=Provenance.from_json(meta if isinstance(meta, dict) else {}),
    )


def fir_of(sections: Sections, path: PathLike) -> Fir:
    """Sections of a file as the FIR that the audio gets.

    Raises
    ------
    DataError
        Their impulse response is too long.
    """
    try:
        taps = impulse_response(sections.sos)
    except UsageError as error:
        raise DataError(shown(path), str(error)) from error
    fs = None if math.isnan(sections.fs) else sections.fs
    return Fir(taps, fs, provenance=sections.provenance)


def _parse(data: bytes) -> dict[str, Any] | None:
    """A JSON object from untrusted bytes; None where they are not one."""
    if data.count(b"[") + data.count(b"{") + data.count(b",") > _MOST_PARTS or len(data) > _LARGEST:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _from_json(data: bytes, path: PathLike) -> tuple[dict[str, Any], list[list[float]]]:
    found = _parse(data.removeprefix(b"\xef\xbb\xbf"))
    if found is None:
        raise DataError(shown(path), "is not a valid JSON object of sections")
    rows = found.pop("sos", None)
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise DataError(shown(path), "'sos' must be a list of rows b0 b1 b2 a0 a1 a2 of numbers")
    return found, rows


def _is_row(row: object) -> bool:
    return (
        isinstance(row, list)
        and len(row) == len(COLUMNS)
        and all(type(value) in (int, float) for value in row)
    )


def _from_csv(path: PathLike) -> tuple[dict[str, Any], list[list[float]]]:
    comments, rows = [], []
    lines = [line.strip() for line in read_text(path).splitlines()]
    for n, line in enumerate(lines, start=1):
        if line.startswith("#"):
            comments.append(line[1:].strip())
        elif line and _fields(line) != COLUMNS:
            rows.append(_row(line, f"{shown(path)}, line {n}"))
    marked = [text.removeprefix(_MARK) for text in comments if text.startswith(_MARK)]
    return (_parse(marked[0].encode()) or {}) if marked else {}, rows


def _fields(line: str) -> list[str]:
    return [field.strip(' "').lower() for field in line.split(",")]


def _row(line: str, where: str) -> list[float]:
    fields = _fields(line)
    if len(fields) != len(COLUMNS) or not all(map(_NUMBER.fullmatch, fields)):
        raise DataError(where, f"a section is {len(COLUMNS)} numbers, {','.join(COLUMNS)}")
    return [float(field) for field in fields]


def _checked(rows: list[list[float]], path: PathLike) -> Any:
    """Rows with a0 = 1, stable."""
    if not 0 < len(rows) <= MOST_ROWS:
        raise DataError(shown(path), f"holds {len(rows)} sections; 1 to {MOST_ROWS} are possible")
    try:
        sos = np.array(rows, dtype=np.float64)
    except OverflowError as error:
        raise DataError(shown(path), "a coefficient is not a finite number") from error
    if not np.isfinite(sos).all():
        raise DataError(shown(path), "a coefficient is not a finite number")
    if (sos[:, 3] == 0.0).any():
        raise DataError(shown(path), "a0 is 0; rows are b0 b1 b2 a0 a1 a2")
    with np.errstate(over="ignore"):
        sos = sos / sos[:, 3:4]
    if not np.isfinite(sos).all():
        raise DataError(shown(path), "a coefficient is too large for its a0")
    radius = largest_radius(sos)
    if not radius < 1.0:
        raise DataError(
            shown(path),
            f"is not stable: a pole has the radius {radius:.9g}, and must lie below 1 (the signs "
            "of a1 and a2 are those of scipy: y = b0·x + … − a1·y₁ − a2·y₂)",
        )
    return sos


def _checked_fs(fs: object, path: PathLike) -> float:
    if fs is None:
        return float("nan")
    if isinstance(fs, bool) or not isinstance(fs, int | float) or not 0 < fs <= LARGEST_FS:
        raise DataError(
            shown(path), f"its sampling rate must be above 0 and at most {LARGEST_FS:g} Hz"
        )
    return float(fs)
