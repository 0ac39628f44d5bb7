"""The published tables and the ears made of them: data with provenance, no formula.

A table is two files in ``data/tables/``: ``ID.csv`` (a header line, then numbers; ``#`` comments)
and ``ID.toml`` (title, unit, source, and an ``[[ear]]`` entry for each filter made of it). Adding
one takes no line of code: an ear of kind ``"curve"`` reads the columns ``frequency_hz,gain_db``.
"""

import csv
import hashlib
import importlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from earfilt.errors import UnknownNameError, printable


@dataclass(frozen=True)
class Table:
    """One published table.

    Attributes
    ----------
    id : str
        File name without its ending.
    columns : mapping of str to tuple of float
        By header name; ``frequency_hz`` comes first, in Hz, ascending.
    facts : mapping
        The TOML: ``title``, ``quantity`` (the column that matters most), ``unit``, ``source``
        (``citation``, ``where``, ``bibtex``, …).
    sha256 : str
        Hash of the CSV file's bytes.
    """

    id: str
    columns: Mapping[str, tuple[float, ...]]
    facts: Mapping[str, Any]
    sha256: str

    @property
    def frequencies(self) -> tuple[float, ...]:
        """Column ``frequency_hz``, Hz."""
        return self.columns["frequency_hz"]


@dataclass(frozen=True)
class Ear:
    """A filter by name: which table, which kind of formula, which parameters.

    Attributes
    ----------
    name, variant : str
        ``NAME[:VARIANT]``; an ear without variants has an empty one.
    kind : str
        The formula: ``"headphone"``, ``"middle-ear"``, ``"outer-middle-ear"`` or ``"curve"``.
    tables : tuple of str
        Ids of the tables it reads, the main one first.
    default : bool
        The variant meant by the bare name.
    parameters : mapping
        Arguments of the class that the variant fixes.
    """

    name: str
    variant: str
    kind: str
    tables: tuple[str, ...]
    summary: str
    default: bool
    parameters: Mapping[str, Any]

    @property
    def full_name(self) -> str:
        """``NAME:VARIANT``, or ``NAME`` where there are no variants."""
        return f"{self.name}:{self.variant}" if self.variant else self.name


def directory() -> Path:
    """The folder of tables, in a wheel, an sdist or an editable install."""
    return Path(importlib.import_module("earfilt.data.tables").__path__[0])


@cache
def table(table_id: str) -> Table:
    """Read one table.

    Raises
    ------
    KeyError
        No such table.
    """
    csv_file = directory() / f"{table_id}.csv"
    if not csv_file.is_file():
        raise KeyError(table_id)
    raw = csv_file.read_bytes()
    lines = [
        line
        for line in raw.decode("utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    header, *rows = csv.reader(lines)
    columns = dict(zip(header, zip(*(map(float, row) for row in rows), strict=True), strict=True))
    facts = tomllib.loads((directory() / f"{table_id}.toml").read_text("utf-8"))
    return Table(table_id, columns, facts, hashlib.sha256(raw).hexdigest())


@cache
def table_ids() -> tuple[str, ...]:
    """Ids of all tables, sorted."""
    return tuple(
        sorted(
            f.name.removesuffix(".toml") for f in directory().iterdir() if f.name.endswith(".toml")
        )
    )


@cache
def ears() -> tuple[Ear, ...]:
    """All ears: by name, the default variant first."""
    found = [
        Ear(
            name=entry["name"],
            variant=entry.get("variant", ""),
            kind=entry["kind"],
            tables=(table_id, *([entry["with_table"]] if "with_table" in entry else [])),
            summary=entry.get("summary", table(table_id).facts["title"]),
            default=entry.get("default", "variant" not in entry),
            parameters=entry.get("parameters", {}),
        )
        for table_id in table_ids()
        for entry in table(table_id).facts.get("ear", [])
    ]
    return tuple(sorted(found, key=lambda ear: (ear.name, not ear.default, ear.variant)))


def find(name: str) -> Ear:
    """The ear of a name ``NAME[:VARIANT]``.

    Raises
    ------
    UnknownNameError
        No such ear; the message suggests the nearest names.

    Examples
    --------
    >>> find("middle-ear").full_name
    'middle-ear:lopezpoveda2001'
    """
    for ear in ears():
        if name == ear.full_name or (ear.default and name == ear.name):
            return ear
    raise UnknownNameError(f"no filter is called '{printable(name)}'; {_suggestion(name)}")


def _suggestion(name: str) -> str:
    """What to say after an unknown name: the nearest names, or where the list is."""
    import difflib

    stem = name.partition(":")[0]
    siblings = [ear.full_name for ear in ears() if ear.variant and ear.name == stem]
    known = sorted({name for ear in ears() for name in (ear.name, ear.full_name)})
    near = siblings or difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    if near:
        return (
            "did you mean " + ", ".join(near[:-1]) + (" or " if near[:-1] else "") + near[-1] + "?"
        )
    return "'earfilt filters' lists them"
