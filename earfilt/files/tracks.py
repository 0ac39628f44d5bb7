"""Paths of sources and lists of directions: small CSV files of angles in degrees."""

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import DataError
from earfilt.files.csv_table import csv_table, number
from earfilt.storage.reading import SmallFile, read_text, shown

__all__ = ["read_directions", "read_track"]

_MOST = 1 << 18
_LATEST_S = 1e9  # longer than any recording, and differences of times stay finite


def read_track(file: SmallFile) -> tuple[Floats, Floats]:
    """Times (K,) in seconds and directions (K, 2), azimuth and elevation, of a path.

    Raises
    ------
    DataError
        Other columns, a value that is no finite number, or times that do not rise or lie out of reach.
    """
    rows = _rows(file, ("time", "azimuth", "elevation"))
    if (np.abs(rows[:, 0]) > _LATEST_S).any():
        raise DataError(shown(file), f"a time lies beyond {_LATEST_S:g} s")
    steps = np.diff(rows[:, 0])
    if (steps <= 0.0).any():
        raise DataError(
            shown(file), f"time {rows[int(np.argmax(steps <= 0.0)) + 1, 0]:g} s does not rise"
        )
    return rows[:, 0], rows[:, 1:]


def read_directions(file: SmallFile) -> Floats:
    """Azimuths and elevations (K, 2).

    Raises
    ------
    DataError
        Other columns, or a value that is no finite number.
    """
    return _rows(file, ("azimuth", "elevation"))


def _rows(file: SmallFile, names: tuple[str, ...]) -> Floats:
    """The columns of a table whose header has these names; units may follow them, as in time_s."""
    table = csv_table(read_text(file), file)
    header = [name.strip().lower().partition("_")[0] for name in table.header]
    if header != list(names):
        raise DataError(shown(file), f"its first line must be {','.join(names)}")
    rows = []
    for line, fields in table.rows:
        where = f"{shown(file)}, line {line}"
        if len(fields) != len(names):
            raise DataError(where, f"{len(fields)} fields where the header has {len(names)}")
        rows.append([number(text, where, name) for text, name in zip(fields, names, strict=True)])
    if not 0 < len(rows) <= _MOST:
        raise DataError(shown(file), f"holds {len(rows)} rows; 1 to {_MOST} are read")
    found = np.array(rows)
    if not np.isfinite(found).all() or (np.abs(found[:, -1]) > 90.0).any():
        raise DataError(
            shown(file), "an elevation lies beyond ±90 degrees, or a number is not finite"
        )
    return found
