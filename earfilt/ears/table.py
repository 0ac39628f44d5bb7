"""A published table: a CSV with a header line, then numbers; ``#`` comments.

Nothing here knows what the columns mean. The reader of a table says which columns it understands;
any other is refused, so that no column is ever left out of an ear in silence.
"""

import importlib
import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from earfilt.errors import DataError, EarfiltError
from earfilt.storage.reading import read_text

FREQUENCY = "frequency_hz"


@dataclass(frozen=True)
class Table:
    """The numbers of one CSV.

    Attributes
    ----------
    id : str
        File name without its ending.
    columns : mapping of str to tuple of float
        By header name, all of one length; ``frequency_hz`` is among them, in Hz, ascending.
    sha256 : str
        Hash of the file's text.
    """

    id: str
    columns: Mapping[str, tuple[float, ...]]
    sha256: str

    @property
    def frequencies(self) -> tuple[float, ...]:
        """Column ``frequency_hz``, Hz."""
        return self.columns[FREQUENCY]

    def require(self, needed: Collection[str], understood: Collection[str]) -> None:
        """Refuse a table that lacks a column, or has one that is not understood.

        Raises
        ------
        DataError
        """
        missing = [name for name in needed if name not in self.columns]
        unknown = [name for name in self.columns if name not in {*needed, *understood}]
        if missing:
            raise DataError(f"{self.id}.csv", f"has no column {', '.join(missing)}")
        if unknown:
            known = ", ".join(dict.fromkeys([*needed, *understood]))
            raise DataError(
                f"{self.id}.csv",
                f"has a column {', '.join(unknown)}, which is not understood; "
                f"understood are {known}",
            )


@cache
def read_table(path: Path) -> Table:
    """Read a table.

    Raises
    ------
    DataError
        It is missing, or not such a table; the reason names line and column.
    """
    import hashlib

    try:
        text = read_text(path)
    except EarfiltError as error:
        raise DataError(path.name, str(error)) from error
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if len(lines) < 2:
        raise DataError(path.name, "has no header line and rows of numbers")
    names = [name.strip() for name in lines[0][1].split(",")]
    if len(set(names)) < len(names) or FREQUENCY not in names:
        raise DataError(path.name, f"needs a header of different names, one of them {FREQUENCY}")
    rows = [_row(path.name, number, line.split(","), names) for number, line in lines[1:]]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    frequencies = columns[FREQUENCY]
    if any(b <= a for a, b in itertools.pairwise(frequencies)):
        raise DataError(path.name, f"{FREQUENCY} does not ascend")
    return Table(path.stem, columns, hashlib.sha256(text.encode()).hexdigest())


def directory() -> Path:
    """The folder of tables that comes with the package: wheel, sdist or editable install."""
    return Path(importlib.import_module("earfilt.data.tables").__path__[0])


def shipped(table_id: str) -> Table:
    """A table that comes with the package.

    Raises
    ------
    DataError
        No such table.
    """
    return read_table(directory() / f"{table_id}.csv")


def _row(name: str, number: int, fields: list[str], header: list[str]) -> tuple[float, ...]:
    if len(fields) != len(header):
        raise DataError(
            name, f"line {number} has {len(fields)} fields where the header has {len(header)}"
        )
    try:
        values = tuple(map(float, fields))
    except ValueError as error:
        raise DataError(name, f"line {number}: {error}") from error
    if not all(map(math.isfinite, values)):
        raise DataError(name, f"line {number} has a number that is not finite")
    return values
