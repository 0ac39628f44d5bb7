"""Numbers as spreadsheets and measuring programs write them: decimal points or commas, thousands
separated or not. What a field alone leaves open, the other fields of its file decide.
"""

import math
import re
from collections.abc import Iterable
from typing import Literal

from earfilt.errors import DataError
from earfilt.wording import option

Decimal = Literal["point", "comma"]

_MARKS: dict[Decimal, tuple[str, str]] = {"point": (".", ","), "comma": (",", ".")}
_SPACES = " \u00a0\u202f\u2009'\u2019"  # between thousands, beside the other mark
_UNIT = re.compile(r"\s*(?:hz|db|°|deg|dbspl|db spl)$", re.IGNORECASE)
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-"})
# What nearly all numbers look like, and what is read without all the rules.
_PLAIN = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_LONGEST = 400
_DIFFER = 1e-12


def _pattern(decimal: str, other: str) -> re.Pattern[str]:
    mark, between = re.escape(decimal), f"[{re.escape(other)}{_SPACES}]"
    # a comma without a digit behind it is a separator and no decimal mark
    fraction = rf"(?:{mark}[0-9]*)?" if decimal == "." else rf"(?:{mark}[0-9]+)?"
    whole = rf"(?:[0-9]{{1,3}}(?:{between}[0-9]{{3}})+(?:{mark}[0-9]+)?"
    return re.compile(rf"[-+]?{whole}|[0-9]+{fraction}|{mark}[0-9]+)(?:[eE][-+]?[0-9]{{1,4}})?")


_PATTERNS: dict[Decimal, re.Pattern[str]] = {name: _pattern(*two) for name, two in _MARKS.items()}


def number(field: str, decimal: Decimal = "point") -> float | None:
    """The finite number of a field; None where it is not one.

    >>> number("1,234.5"), number("1.234,5", "comma"), number("−3 dB"), number("1_0")
    (1234.5, 1234.5, -3.0, None)
    """
    if len(field) > _LONGEST:
        return None
    if (decimal == "point" or "." not in field) and _PLAIN.fullmatch(field):
        return _finite(float(field))
    text = _UNIT.sub("", field.strip()).translate(_MINUS)
    if not _PATTERNS[decimal].fullmatch(text):
        return None
    mark, other = _MARKS[decimal]
    for separator in other + _SPACES:
        text = text.replace(separator, "")
    return _finite(float(text.replace(mark, ".")))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def is_number(field: str) -> bool:
    """Whether a field is a number in either notation."""
    return number(field) is not None or number(field, "comma") is not None


def notation(fields: Iterable[str], subject: str, settled_by: str = "decimal") -> Decimal:
    """How the numbers of a file are written, from all its fields.

    Fields that are not numbers in either notation are passed over.

    Parameters
    ----------
    fields : iterable of str
    subject : str
        Name of the file, for messages.
    settled_by : str
        The option that says which; empty where there is none.

    Raises
    ------
    DataError
        They can be read in two ways that differ.

    Examples
    --------
    >>> notation(["1.234", "0,5"], "a.csv"), notation(["1,234", "0.5"], "a.csv")
    ('comma', 'point')
    """
    possible: dict[Decimal, bool] = {"point": True, "comma": True}
    example = ""
    for field in fields:
        as_point, as_comma = number(field), number(field, "comma")
        if as_point is None and as_comma is None:
            continue
        possible["point"] &= as_point is not None
        possible["comma"] &= as_comma is not None
        if as_point is not None and as_comma is not None and abs(as_point - as_comma) > _DIFFER:
            example = field if "," not in example else example
    if example and all(possible.values()):
        if "," not in example:  # and so in no field that leaves it open
            return "point"
        remedy = (
            f"{option(settled_by, 'point')} or {option(settled_by, 'comma')} says which"
            if settled_by
            else "write it with a decimal point, and thousands without a separator"
        )
        raise DataError(
            subject,
            f"'{example.strip()}' may be {number(example):.12g} or "
            f"{number(example, 'comma'):.12g}; {remedy}",
        )
    return "comma" if possible["comma"] and not possible["point"] else "point"
