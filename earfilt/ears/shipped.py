"""The folder of published tables that comes with the package."""

import importlib
from pathlib import Path

from earfilt.ears.table import Table, read_table


def directory() -> Path:
    """The folder, in a wheel, an sdist or an editable install."""
    return Path(importlib.import_module("earfilt.data.tables").__path__[0])


def table(table_id: str) -> Table:
    """A table that comes with the package.

    Raises
    ------
    DataError
        No such table.
    """
    return read_table(directory() / f"{table_id}.csv")
