"""Curves and equalisers of the user's, as they come: what a file is, its content says.

Each dialect has a reader of its own (:mod:`earfilt.files.dialects`); what they find is put in order
and checked here, the same for all. Nothing is guessed: what can be understood in two ways is an
error that names the option which settles it.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from earfilt import wording
from earfilt.ears.levels import Values, gains
from earfilt.errors import DataError, UsageError
from earfilt.files.dialects import camilladsp, equalizer_apo
from earfilt.files.dialects.found import (
    FoundCurve,
    FoundEqualiser,
    Remedies,
    Row,
    fir_named_in,
)
from earfilt.files.dialects.numbers import Decimal
from earfilt.files.dialects.table import FORMS, IDENTIFIED, LOWEST_END_HZ, find_table, read_table
from earfilt.storage.reading import read_foreign_text, shown
from earfilt.synthesis.provenance import FileUse

__all__ = [
    "CurveFile",
    "FoundEqualiser",
    "Remedies",
    "checked_curve",
    "is_curve",
    "read_curve",
    "read_points",
    "understand",
]

LARGEST_DB = 200.0
ALL_REMEDIES = Remedies()
NO_REMEDIES = Remedies("", "")
"""For a file to which no option of its own belongs."""


@dataclass(frozen=True)
class CurveFile:
    """What a curve's file was understood as.

    Attributes
    ----------
    dialect : str
        In words: ``REW text``.
    values : Values
        Frequencies in Hz, ascending, and levels or gains in dB.
    columns : tuple of str
        Names of the two columns; () where they have none.
    notes : tuple of str
        What was left aside or put in order.
    """

    dialect: str
    values: Values
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def use(self, name: str) -> FileUse:
        """The same for records and summaries, by the name of the file."""
        freqs, db = self.values.freqs, self.values.db
        return FileUse(
            name=name,
            sha256="",
            kind="curve",
            dialect=self.dialect,
            columns=self.columns,
            notes=self.notes,
            points=len(freqs),
            hz=(freqs[0], freqs[-1]),
            gain_db=(min(db), max(db)),
        )


def understand(
    path: str | os.PathLike[str],
    *,
    column: str | None = None,
    decimal: Decimal | None = None,
    remedies: Remedies = ALL_REMEDIES,
    quantity: str = "gain",
    result: str = "raw",
) -> CurveFile | FoundEqualiser:
    """Read a curve or an equaliser of any dialect.

    Parameters
    ----------
    path : path
        Tables of frequency and level or gain (REW, .frd, AutoEq, calibration files, CSV of any
        kind), GraphicEQ, filters of Equalizer APO, CamillaDSP's YAML.
    column : str, optional
        Name or number (from 1) of the column with the values, or name of the channel, where the
        file has several.
    decimal : {'point', 'comma'}, optional
        How numbers are written, where they leave it open.
    remedies : Remedies
        The options of the caller that settle column and numbers, for messages.
    quantity : str
        What the values are: gains, or levels, in dB lie within ±200; any other has its own range.
    result : 'raw' or 'target'
        Which column of AutoEq's results is meant where none is named.

    Returns
    -------
    CurveFile or FoundEqualiser

    Raises
    ------
    UsageError
        The file cannot be read; ``decimal`` was given, of a format that leaves nothing open.
    DataError
        It is neither text nor a curve, or what it says is wrong or ambiguous; names the line
        where there is one.
    """
    text, subject = read_foreign_text(path), shown(path)
    if camilladsp.is_config(text):
        if decimal is not None:
            raise UsageError(
                f"{wording.option('decimal')} would have no effect: {subject} is YAML, whose numbers "
                "have points"
            )
        return camilladsp.read_config(text, subject, column=column, remedies=remedies)
    if equalizer_apo.is_config(text):
        found = equalizer_apo.read_config(
            text, subject, column=column, decimal=decimal, remedies=remedies
        )
        return found if isinstance(found, FoundEqualiser) else checked_curve(found, subject)
    table = find_table(text, subject)
    if table is None:
        raise DataError(subject, fir_named_in(text) or f"is neither a curve nor a FIR: {FORMS}")
    curve = read_table(
        table,
        subject,
        column=column,
        decimal=decimal,
        remedies=remedies,
        quantity=quantity,
        result=result,
    )
    return checked_curve(curve, subject, quantity)


def is_curve(text: str, subject: str) -> bool:
    """Whether a text is a curve or an equaliser.

    Raises
    ------
    DataError
        A table that may be a curve or a FIR.
    """
    return (
        equalizer_apo.is_config(text)
        or camilladsp.is_config(text)
        or find_table(text, subject) is not None
    )


def read_points(
    path: str | os.PathLike[str],
    *,
    column: str | None = None,
    decimal: Decimal | None = None,
    remedies: Remedies = ALL_REMEDIES,
    quantity: str = "gain",
    result: str = "raw",
) -> CurveFile:
    """Read a curve, as `understand`, and refuse an equaliser.

    Raises
    ------
    UsageError, DataError
        As `understand`; or the file holds bands of an equaliser.
    """
    found = understand(
        path,
        column=column,
        decimal=decimal,
        remedies=remedies,
        quantity=quantity,
        result=result,
    )
    if isinstance(found, FoundEqualiser):
        raise DataError(shown(path), "holds bands of an equaliser and no points of a curve")
    return found


def read_curve(path: str | os.PathLike[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a curve of gains.

    Parameters
    ----------
    path : path
        As for `understand`.

    Returns
    -------
    freqs : (N,) float64
        Hz, ≥ 0, ascending, N ≥ 2.
    gain_db : (N,) float64
        dB, within ±200.

    Raises
    ------
    UsageError, DataError
        As `read_points`; or it holds levels.
    """
    values = read_points(path).values
    gain_db, _ = gains(values, shown(path))
    return np.array(values.freqs), np.array(gain_db)


def checked_curve(found: FoundCurve, subject: str, quantity: str = "gain") -> CurveFile:
    """A curve in ascending order, each frequency once; its values are of some ``quantity``.

    Raises
    ------
    DataError
        Rows out of order or range, or too few of them.
    """
    rows, notes = found.rows, list(found.notes)
    for row in rows:
        if row.hz < 0.0:
            raise DataError(subject, f"line {row.line}: frequency {row.hz:g} Hz is negative")
        if quantity == "gain" and abs(row.value) > LARGEST_DB:
            raise DataError(
                subject,
                f"line {row.line}: gain {row.value:g} is beyond ±{LARGEST_DB:g} dB; gains are "
                "levels in dB re the input",
            )
    if _falls(rows):
        rows = rows[::-1]
        notes.append("its frequencies descend and were reversed")
    kept = _each_once(rows, subject)
    if len(kept) < len(rows):
        notes.append(f"{len(rows) - len(kept)} repeated rows left out")
    _check_extent(kept, subject)
    values = Values(
        tuple(row.hz for row in kept),
        tuple(row.value for row in kept),
        found.in_db,
        are_gains=found.dialect == IDENTIFIED,
        may_be_linear=found.may_be_linear,
    )
    return CurveFile(found.dialect, values, found.columns, tuple(notes))


def _falls(rows: Sequence[Row]) -> bool:
    steps = [b.hz - a.hz for a, b in pairwise(rows)]
    return bool(steps) and max(steps) <= 0.0 > min(steps)


def _each_once(rows: Sequence[Row], subject: str) -> list[Row]:
    """The rows but for those that say again what the one before says."""
    kept: list[Row] = []
    for row in rows:
        last = kept[-1] if kept else None
        if last is None or row.hz > last.hz:
            kept.append(row)
        elif row.hz < last.hz:
            raise DataError(
                subject,
                f"line {row.line}: {row.hz:.12g} Hz comes after {last.hz:.12g} Hz; sort the rows by "
                "frequency",
            )
        elif not math.isclose(row.value, last.value, rel_tol=0.0, abs_tol=1e-9):
            raise DataError(
                subject,
                f"line {row.line}: frequency {row.hz:.12g} Hz appears twice, with "
                f"{last.value:.12g} and {row.value:.12g}; keep one row of it",
            )
    return kept


def _check_extent(rows: Sequence[Row], subject: str) -> None:
    if len(rows) < 2:
        raise DataError(
            subject,
            f"has {len(rows)} row{'' if len(rows) == 1 else 's'} of data; a curve takes at least 2",
        )
    if rows[-1].hz < LOWEST_END_HZ:
        raise DataError(
            subject,
            f"ends at {rows[-1].hz:g} Hz; are its frequencies in kHz? They must be in Hz",
        )
