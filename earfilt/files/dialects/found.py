"""What a dialect finds in a text: the rows of a curve, or the bands of an equaliser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from earfilt.errors import printable
from earfilt.wording import option

if TYPE_CHECKING:
    from earfilt.ears.biquads import Band

MAX_ROWS = 1 << 17
MAX_LINE = 1 << 16

OF_BOTH = (
    "; for two ears, 'earfilt design' writes one channel at a time, each with the --fs of the "
    "recording, and -f L=left.json,R=right.json applies both"
)
"""How a file whose channels differ becomes a pair."""


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
    """The options by which a caller settles what a file leaves open: of the column, or the channel,
    and of the decimal sign. Empty where it has none, and messages then say how to write the file.
    """

    column_option: str = "column"
    decimal_option: str = "decimal"

    @property
    def column(self) -> str:
        """As whoever called writes it."""
        return self.column_option and option(self.column_option)

    @property
    def decimal(self) -> str:
        """As whoever called writes it."""
        return self.decimal_option and option(self.decimal_option)


_NAMES_A_FIR = (
    r"^[ \t]*Convolution[ \t]*:[ \t]*(.+?\.wav)[ \t]*$",  # Equalizer APO
    r"filename[\"']?[ \t]*:[ \t]*[\"']?([^\"'\n]+\.(?:wav|irs))",  # CamillaDSP, PipeWire
    r"\"kernel-name\"[ \t]*:[ \t]*\"([^\"\n]+)\"",  # EasyEffects, without its .irs
)
_MOST_SEARCHED = 1 << 18


def fir_named_in(text: str) -> str:
    """What to do about a program's preset that names a FIR in a file of its own; empty of others.

    >>> fir_named_in("Convolution: ear.wav")
    "it names the FIR 'ear.wav', which -f takes itself"
    >>> fir_named_in("Filter 1: ON PK Fc 105 Hz Gain 4.5 dB Q 0.7")
    ''
    """
    for pattern in _NAMES_A_FIR:
        if found := re.search(pattern, text[:_MOST_SEARCHED], re.MULTILINE | re.IGNORECASE):
            name = re.split(r"[\\/]", found[1])[-1]
            name = name if "." in name else f"{name}.irs"
            return f"it names the FIR '{excerpt(name)}', which -f takes itself"
    return ""


def excerpt(text: str) -> str:
    """A piece of a file as messages show it: short and printable."""
    return printable(text if len(text) <= 60 else text[:57] + "…")
