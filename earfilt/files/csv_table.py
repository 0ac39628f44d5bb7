"""CSV in parts, as spreadsheets save it: ``#`` comments, header, rows; comma, semicolon or tab (the
header line decides), quotes.
"""

import csv
import math
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from earfilt.errors import DataError, printable
from earfilt.storage.reading import shown

MAX_LINE = 1 << 16
_MAX_COLUMNS = 64
_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")  # those of splitlines, one by one
EXPECTED = "expected the header line 'sample,coefficient'"


class CsvRow(NamedTuple):
    """One data line: its number in the file (from 1) and its fields."""

    line: int
    fields: list[str]


class CsvTable(NamedTuple):
    """A CSV in parts: comment lines without their ``#``, column names in lower case, rows."""

    comments: list[str]
    header: list[str]
    rows: Iterator[CsvRow]


def column_names(text: str) -> list[str]:
    """The fields of the first line that is no ``#`` comment, in lower case, whatever they are; none
    of a long line.
    """
    line = next(
        (
            line
            for line in map(re.Match.group, _LINE.finditer(text))
            if line.strip() and not line.startswith("#")
        ),
        "",
    )
    return (
        []
        if len(line) > MAX_LINE
        else [field.strip(' "').lower() for field in line.split(_separator(line))]
    )


def csv_table(text: str, path: str | os.PathLike[str]) -> CsvTable:
    """Split CSV text into comments, header and rows; rows are parsed as they are asked for.

    Raises
    ------
    DataError
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
    raise DataError.about(
        shown(path), "{subject} has no line of data; {expected}", expected=EXPECTED
    )


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
        raise DataError(where, f"{what} '{excerpt(field)}' is not a finite number{hint}")
    return value


def _header(line: str, where: str) -> tuple[list[str], str]:
    """Column names in lower case, and the separator."""
    if len(line) > MAX_LINE:
        raise DataError(where, f"longer than {MAX_LINE} characters; {EXPECTED}")
    separator = _separator(line)
    fields = [field.strip().lower() for field in split(line, separator, where)]
    if len(fields) > _MAX_COLUMNS:
        raise DataError(where, f"{len(fields)} columns; {EXPECTED}")
    return fields, separator


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _rows(
    lines: Iterable[tuple[int, str]], separator: str, path: str | os.PathLike[str]
) -> Iterator[CsvRow]:
    name = shown(path)
    for number, line in lines:
        if line.strip() and not line.startswith("#"):
            yield CsvRow(number, split(line, separator, f"{name}, line {number}"))


def split(line: str, separator: str, where: str) -> list[str]:
    if len(line) > MAX_LINE:
        raise DataError(where, f"longer than {MAX_LINE} characters")
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise DataError(where, f"{error}") from error


def excerpt(text: str) -> str:
    return printable(text if len(text) <= 60 else text[:57] + "…")
