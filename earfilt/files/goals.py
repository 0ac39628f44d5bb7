"""A curve that an ear is to meet, with the weight of each of its points."""

import os
from typing import Literal, NamedTuple

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.levels import gains
from earfilt.errors import DataError
from earfilt.files.curves import read_points
from earfilt.files.dialects.table import find_table
from earfilt.storage.reading import read_foreign_text, shown

WEIGHTS = ("weight", "sd_db")
"""Columns that weigh points: as they stand, and as 1/sd_db²."""

Weights = Literal["weight", "sd_db", "none"]

_LEAST_SD_DB = 0.01
"""A standard deviation below this counts as this, for no point may count for everything."""


class WeightedCurve(NamedTuple):
    """(N,) Hz, (N,) dB, (N,) weights, the column that these come from (none: all are 1), and
    (N,) coherences, where the file has them.
    """

    freqs: Floats
    gain_db: Floats
    weight: Floats
    column: str
    coherence: "Floats | None"

    def up_to(self, highest_hz: float) -> "WeightedCurve":
        """The points up to a frequency."""
        kept = self.freqs <= highest_hz
        return self._replace(
            freqs=self.freqs[kept],
            gain_db=self.gain_db[kept],
            weight=self.weight[kept],
            coherence=None if self.coherence is None else self.coherence[kept],
        )


def read_weighted_curve(
    path: str | os.PathLike[str], *, weights: Weights | None = None
) -> WeightedCurve:
    """Read a curve of gains, and the column that weighs its points.

    Parameters
    ----------
    path : path
    weights : 'weight', 'sd_db' or 'none', optional
        The column; default the first of the two that the file has.

    Raises
    ------
    UsageError, DataError
        As `earfilt.files.curves.read_curve`; it has no such column; a weight is negative.
    """
    subject = shown(path)
    values = read_points(path).values
    gain_db, _ = gains(values, subject)
    freqs = np.array(values.freqs)
    names = _names(path)
    column: str = weights or next((name for name in WEIGHTS if name in names), "none")
    coherence = None
    if "coherence" in names:
        coherence = np.array(read_points(path, column="coherence").values.db)
    if column == "none":
        return WeightedCurve(freqs, np.array(gain_db), np.ones(len(freqs)), column, coherence)
    found = np.array(read_points(path, column=column, option="--weights").values.db)
    if (found < 0.0).any() or not found.any():
        raise DataError(subject, f"its column '{column}' is negative somewhere, or zero everywhere")
    weight = found if column == "weight" else 1.0 / np.maximum(found, _LEAST_SD_DB) ** 2
    return WeightedCurve(freqs, np.array(gain_db), weight, column, coherence)


def _names(path: str | os.PathLike[str]) -> list[str]:
    """Names of the columns of a file."""
    table = find_table(read_foreign_text(path), shown(path))
    return [] if table is None else [name.lower() for name in table.names]
