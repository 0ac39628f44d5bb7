"""Tables of numbers without column names: what measuring programs export as text, frequency and
level side by side.

Nothing in such a file says what it is, and SoX would take each of its numbers for a coefficient.
What the rows look like decides: a first column that runs through frequencies makes a curve, and
what could be either is refused.

References
----------
Room EQ Wizard (REW), help, "Exporting measurement data as text": comments begin with ``*``; columns
frequency, SPL, phase. The .frd files of loudspeaker programs are the same.
"""

import itertools
import math
import re
from typing import NamedTuple

from earfilt.errors import UsageError

FORMS = (
    "a FIR in .txt has one coefficient a line (or a .csv with the header line "
    "'sample,coefficient'), "
    "a curve is a .csv with the header line 'frequency_hz,gain_db'"
)
_COMMENTS = ("#", "*", ";", "%", '"', "//")
_MAX_COLUMNS = 4  # frequency, level, phase, coherence
_MAX_ROWS = 1 << 17
_MAX_LINE = 1 << 12
# No curve in Hz ends below this; a table of kHz, seconds or sample numbers does.
_LOWEST_END_HZ = 100.0
_HIGHEST_GAIN_DB = 30.0  # sound pressure levels lie above, whole
_HIGHEST_FACTOR = 2.0  # what lies between 0 and this may be factors instead of dB


class BareTable(NamedTuple):
    """Words before and between the rows, and the rows: line number from 1, and 2 to 4 numbers each."""

    words: list[str]
    rows: list[tuple[int, tuple[float, ...]]]


def find_table(text: str, where: str) -> BareTable | None:
    """The table of frequencies and gains that a text is; None where it is none.

    Parameters
    ----------
    where : str
        Name of the file, for messages.

    Raises
    ------
    UsageError
        It is a table, and what its columns mean cannot be known: a FIR or a curve, gains or sound
        pressure levels, dB or factors.
    """
    table = _parse(text)
    if table is None or not _is_ordered([row[0] for _, row in table.rows]):
        return None
    first = [row[0] for _, row in table.rows]
    if min(first) < 0.0 or max(first) < _LOWEST_END_HZ or _counts_up(first):
        ends = f"from {first[0]:g} to {first[-1]:g}"
        raise UsageError(
            f"{where} may be a FIR or a curve: {len(first)} rows of numbers, in the first "
            f"column {ends}; {FORMS}"
        )
    _check_meaning(table, where)
    return table


def _parse(text: str) -> BareTable | None:
    words: list[str] = []
    rows: list[tuple[int, tuple[float, ...]]] = []
    for line_number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        numbers = None if line.startswith(_COMMENTS) else _numbers(line)
        if numbers is None:
            if rows and not line.startswith(_COMMENTS) and line:
                return None
            words.append(line[:_MAX_LINE])
        elif (
            not 2 <= len(numbers) <= _MAX_COLUMNS
            or (rows and len(numbers) != len(rows[0][1]))
            or len(rows) == _MAX_ROWS
        ):
            return None
        else:
            rows.append((line_number, numbers))
    return BareTable(words, rows) if len(rows) >= 2 else None


def _numbers(line: str) -> tuple[float, ...] | None:
    """The numbers of a line; None where anything else stands there, a decimal comma included."""
    if not line or len(line) > _MAX_LINE or "_" in line:
        return None
    separator = r"[\t;]" if "\t" in line or ";" in line else "," if "," in line else r"\s+"
    try:
        found = tuple(map(float, re.split(separator, line)))
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def _is_ordered(first: list[float]) -> bool:
    """Whether a first column runs through frequencies, times or sample numbers; coefficients do
    not, but by chance in two rows.
    """
    steps = [b - a for a, b in itertools.pairwise(first)]
    rising, falling = min(steps) >= 0.0 < max(steps), max(steps) <= 0.0 > min(steps)
    # of frequencies also where a row stands in the wrong place
    if min(first) >= 0.0 and max(first) >= _LOWEST_END_HZ:
        return rising or falling or len(first) > 2
    return len(first) > 2 and (rising or falling)


def _counts_up(first: list[float]) -> bool:
    """Sample numbers, or a curve at every 1 Hz."""
    return (
        len(first) > 2
        and first[0] <= 1.0
        and all(b - a == 1.0 for a, b in itertools.pairwise(first))
    )


def _check_meaning(table: BareTable, where: str) -> None:
    """Refuse a table whose second column need not be gains in dB."""
    words = " ".join(table.words).lower()
    second = [row[1] for _, row in table.rows]
    if "khz" in words:
        raise UsageError(f"{where} has frequencies in kHz; they must be in Hz")
    if "spl" in words or min(second) > _HIGHEST_GAIN_DB:
        raise UsageError(
            f"{where} holds sound pressure levels ({min(second):g} to {max(second):g} dB), "
            "not gains; subtract a reference, "
            "and write a .csv with the header line 'frequency_hz,gain_db'"
        )
    if min(second) >= 0.0 and max(second) <= _HIGHEST_FACTOR and any(second):
        raise UsageError(
            f"{where} may hold factors or dB ({min(second):g} to {max(second):g}); write a "
            ".csv with the header line 'frequency_hz,gain_db'"
        )
