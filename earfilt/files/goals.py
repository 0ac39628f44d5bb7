"""A curve that an ear is to meet, with the weight of each of its points."""

import os
from typing import Literal, NamedTuple

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.levels import Values, db_at, gains, with_between
from earfilt.errors import DataError
from earfilt.files.curves import read_points
from earfilt.files.dialects.numbers import Decimal
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

    def filled(self) -> "WeightedCurve":
        """The curve with points between those that lie farther apart than 1/24 octave, so that it
        is met between them as well; weights and coherences there are those of the neighbours.
        """
        own = Values(tuple(self.freqs.tolist()), tuple(self.gain_db.tolist()))
        freqs = np.array([*with_between(own.freqs), own.freqs[-1]])
        if len(freqs) == len(self.freqs):
            return self

        def between(values: Floats) -> Floats:
            return np.interp(freqs, self.freqs, values)

        return self._replace(
            freqs=freqs,
            gain_db=db_at(own, freqs),
            weight=between(self.weight),
            coherence=None if self.coherence is None else between(self.coherence),
        )


def read_weighted_curve(
    path: str | os.PathLike[str],
    *,
    weights: Weights | None = None,
    column: str | None = None,
    decimal: Decimal | None = None,
    align: str | None = None,
    absolute: bool = False,
) -> WeightedCurve:
    """Read a curve of gains, and the column that weighs its points.

    Parameters
    ----------
    path : path
    weights : 'weight', 'sd_db' or 'none', optional
        The column of the weights; default the first of the two that the file has.
    column, decimal
        As for `earfilt.files.curves.understand`, where the file leaves open what it holds.
    align, absolute
        As for `earfilt.ears.levels.gains`, where it holds levels.

    Raises
    ------
    UsageError, DataError
        As `earfilt.files.curves.read_curve`; it has no such column; a weight is negative.
    """
    subject = shown(path)
    values = read_points(path, column=column, decimal=decimal).values
    gain_db, _ = gains(values, subject, align=align, absolute=absolute)
    freqs = np.array(values.freqs)
    names = _names(path)
    weighs: str = weights or next((name for name in WEIGHTS if name in names), "none")

    def beside(name: str) -> Floats:
        if name not in names:
            raise DataError(subject, f"has no column '{name}'")
        found = read_points(path, column=name, decimal=decimal, quantity=name).values.db
        return np.array(found)

    coherence = beside("coherence") if "coherence" in names else None
    if weighs == "none":
        return WeightedCurve(freqs, np.array(gain_db), np.ones(len(freqs)), weighs, coherence)
    found = beside(weighs)
    if (found < 0.0).any() or not found.any():
        raise DataError(subject, f"its column '{weighs}' is negative somewhere, or zero everywhere")
    weight = found if weighs == "weight" else 1.0 / np.maximum(found, _LEAST_SD_DB) ** 2
    return WeightedCurve(freqs, np.array(gain_db), weight, weighs, coherence)


def _names(path: str | os.PathLike[str]) -> list[str]:
    """Names of the columns of a file."""
    table = find_table(read_foreign_text(path), shown(path))
    return [] if table is None else [name.lower() for name in table.names]
