"""What a dialect finds in a text: the rows of a curve, or the bands of an equaliser."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from earfilt.errors import printable

if TYPE_CHECKING:
    from earfilt.ears.biquads import Band

MAX_ROWS = 1 << 17
MAX_LINE = 1 << 16


class Row(NamedTuple):
    """A point of a curve: line in the file (from 1), Hz, and the value."""

    line: int
    hz: float
    value: float


class FoundCurve(NamedTuple):
    """The rows of a curve as the file has them, in its own order.

    ``columns`` are the names of frequency and value, () where they have none; ``in_db`` is true
    where the file itself says that the values are dB, ``may_be_linear`` where their name is as
    often that of factors.
    """

    dialect: str
    rows: list[Row]
    columns: tuple[str, ...] = ()
    in_db: bool = False
    notes: tuple[str, ...] = ()
    may_be_linear: bool = False


class FoundEqualiser(NamedTuple):
    """The bands of an equaliser, its gain in dB beside them, and the rate in Hz of bands that are
    given as coefficients.
    """

    dialect: str
    bands: tuple[Band, ...]
    gain_db: float = 0.0
    fs: float | None = None
    notes: tuple[str, ...] = ()


class Remedies(NamedTuple):
    """The flags by which a caller settles what a file leaves open: of the column, or the channel,
    and of the decimal sign. Empty where it has none, and messages then say how to write the file.
    """

    column: str = "--column"
    decimal: str = "--decimal"


def excerpt(text: str) -> str:
    """A piece of a file as messages show it: short and printable."""
    return printable(text if len(text) <= 60 else text[:57] + "…")
