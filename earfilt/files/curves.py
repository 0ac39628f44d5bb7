"""A user's own curve: ``frequency_hz,gain_db`` as CSV, or a table of numbers as measuring programs
export it.

Measured curves come from spreadsheets, so the reader takes their byte-order mark, line ends, quotes
and separators (comma, semicolon or tab; the header line decides). Frequencies are in Hz and ascend.
Columns without names are frequency and gain in dB where the numbers leave no other reading
(:mod:`earfilt.files.bare_table`).
"""

import csv
import math
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earfilt.errors import UsageError, printable
from earfilt.files.bare_table import find_table
from earfilt.storage.reading import read_text, shown

EXPECTED = "expected the header line 'frequency_hz,gain_db' and then one row a frequency"
_FREQUENCY = "frequency_hz"
_GAINS = ("gain_db", "magnitude_db")  # the second is what `earfilt response` writes
_MAX_COLUMNS = 64
_MAX_ROWS = 1 << 17
_MAX_LINE = 1 << 16
_LARGEST_DB = 200.0
# A curve in kHz ends at 20 or so; no curve of an ear in Hz ends below this.
_LOWEST_END_HZ = 100.0


class CsvRow(NamedTuple):
    """One data line: its number in the file (from 1) and its fields."""

    line: int
    fields: list[str]


class CsvTable(NamedTuple):
    """A CSV in parts: comment lines without their ``#``, column names in lower case, rows."""

    comments: list[str]
    header: list[str]
    rows: Iterator[CsvRow]


def read_curve(path: str | os.PathLike[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a curve.

    Parameters
    ----------
    path : path
        CSV with the columns ``frequency_hz`` and ``gain_db`` (or ``magnitude_db``); others are
        passed over, as are blank lines and ``#`` comments. Or a text of two to four columns of
        numbers, the first two frequency and gain.

    Returns
    -------
    freqs : (N,) float64
        Hz, ≥ 0, ascending, N ≥ 2.
    gain_db : (N,) float64
        dB, within ±200.

    Raises
    ------
    UsageError
        The file is not such a curve; names the line and what is wrong with it.
    """
    return checked_curve(_frequencies_and_gains(read_text(path), path), path)


def checked_curve(
    rows: Iterable[tuple[str, str, str]], path: str | os.PathLike[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The curve of rows (where it stands, frequency, gain), as `read_curve` gives and refuses it."""
    freqs: list[float] = []
    gains: list[float] = []
    for where, frequency, gain in rows:
        if len(freqs) == _MAX_ROWS:
            raise UsageError(f"{where}: more than {_MAX_ROWS} rows; thin the curve out")
        freqs.append(_frequency(frequency, freqs, where))
        gains.append(_gain_db(gain, where))
    _check_extent(freqs, path)
    return np.array(freqs), np.array(gains)


def is_curve(path: str | os.PathLike[str]) -> bool:
    """Whether a text is a curve: by the names of its columns, or where it has none by its numbers.

    Raises
    ------
    UsageError
        As `read_text`, or a table that may be a curve or a FIR.
    """
    text = read_text(path)
    return _FREQUENCY in column_names(text) or find_table(text, shown(path)) is not None


def column_names(text: str) -> list[str]:
    """The fields of the first line that is no ``#`` comment, in lower case, whatever they are; none
    of a long line.
    """
    line = next(
        (line for line in text.splitlines() if line.strip() and not line.startswith("#")), ""
    )
    return (
        []
        if len(line) > _MAX_LINE
        else [field.strip(' "').lower() for field in line.split(_separator(line))]
    )


def _frequencies_and_gains(
    text: str, path: str | os.PathLike[str]
) -> Iterator[tuple[str, str, str]]:
    """Of each row where it stands, its frequency, and its gain."""
    bare = None if _FREQUENCY in column_names(text) else find_table(text, shown(path))
    if bare is not None:
        for line, row in bare.rows:
            yield f"{shown(path)}, line {line}", repr(row[0]), repr(row[1])
        return
    table = csv_table(text, path)
    f, g = _columns(table.header, path)
    for line, fields in table.rows:
        where = f"{shown(path)}, line {line}"
        if len(fields) != len(table.header):
            raise UsageError(
                f"{where}: {len(fields)} fields where the header has {len(table.header)}"
            )
        yield where, fields[f], fields[g]


def csv_table(text: str, path: str | os.PathLike[str]) -> CsvTable:
    """Split CSV text into comments, header and rows; rows are parsed as they are asked for.

    Raises
    ------
    UsageError
        No header line, too many columns, or a line that is too long.
    """
    comments: list[str] = []
    lines = enumerate(text.splitlines(), start=1)
    for number, line in lines:
        if line.startswith("#"):
            comments.append(line[1:].strip())
        elif line.strip():
            header, separator = _header(line, f"{shown(path)}, line {number}")
            return CsvTable(comments, header, _rows(lines, separator, path))
    raise UsageError(f"{shown(path)} has no line of data; {EXPECTED}")


def number(field: str, where: str, what: str) -> float:
    """A finite number, or UsageError that says where, what and how it was spelt."""
    try:
        value = float(field) if "_" not in field else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = (
            "; write decimals with a point, and thousands without a comma" if "," in field else ""
        )
        raise UsageError(f"{where}: {what} '{_excerpt(field)}' is not a finite number{hint}")
    return value


def _header(line: str, where: str) -> tuple[list[str], str]:
    """Column names in lower case, and the separator."""
    if len(line) > _MAX_LINE:
        raise UsageError(f"{where}: longer than {_MAX_LINE} characters; {EXPECTED}")
    separator = _separator(line)
    fields = [field.strip().lower() for field in _split(line, separator, where)]
    if len(fields) > _MAX_COLUMNS:
        raise UsageError(f"{where}: {len(fields)} columns; {EXPECTED}")
    return fields, separator


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _rows(
    lines: Iterable[tuple[int, str]], separator: str, path: str | os.PathLike[str]
) -> Iterator[CsvRow]:
    for number, line in lines:
        if line.strip() and not line.startswith("#"):
            yield CsvRow(number, _split(line, separator, f"{shown(path)}, line {number}"))


def _split(line: str, separator: str, where: str) -> list[str]:
    if len(line) > _MAX_LINE:
        raise UsageError(f"{where}: longer than {_MAX_LINE} characters")
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise UsageError(f"{where}: {error}") from error


def _columns(header: list[str], path: str | os.PathLike[str]) -> tuple[int, int]:
    """Where the frequency and the gain stand."""
    gains = [name for name in _GAINS if name in header]
    if _FREQUENCY in header and gains and len(set(header)) == len(header):
        return header.index(_FREQUENCY), header.index(gains[0])
    got = f"{shown(path)} begins '{_excerpt(','.join(header))}'; {EXPECTED}"
    if any("khz" in name for name in header):
        got += " (frequencies in Hz, not kHz)"
    raise UsageError(got)


def _frequency(field: str, before: list[float], where: str) -> float:
    value = number(field, where, "frequency")
    if value < 0.0:
        raise UsageError(f"{where}: frequency {value:g} Hz is negative")
    if before and value == before[-1]:
        raise UsageError(f"{where}: frequency {value:g} Hz stands there twice; keep one row of it")
    if before and value < before[-1]:
        raise UsageError(
            f"{where}: {value:g} Hz comes after {before[-1]:g} Hz; sort the rows by frequency"
        )
    return value


def _gain_db(field: str, where: str) -> float:
    value = number(field, where, "gain")
    if abs(value) > _LARGEST_DB:
        raise UsageError(
            f"{where}: gain {value:g} is beyond ±{_LARGEST_DB:g} dB; gains are levels in dB "
            "re the input"
        )
    return value


def _check_extent(freqs: list[float], path: str | os.PathLike[str]) -> None:
    if len(freqs) < 2:
        raise UsageError(
            f"{shown(path)} has {len(freqs)} row{'' if len(freqs) == 1 else 's'} of data; a "
            "curve takes at least 2"
        )
    if freqs[-1] < _LOWEST_END_HZ:
        raise UsageError(
            f"{shown(path)} ends at {freqs[-1]:g} Hz; are its frequencies in kHz? They must "
            "be in Hz"
        )


def _excerpt(text: str) -> str:
    return printable(text if len(text) <= 60 else text[:57] + "…")
