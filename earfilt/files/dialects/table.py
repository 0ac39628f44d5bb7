"""Tables: a row for each frequency, as measuring programs, spreadsheets and databases export them.

Separators, comments, headers and the notation of numbers differ; the content decides. Names
of columns say which is which; where there are none, a first column that runs through frequencies
makes a curve, and what could be a FIR as well is refused.

References
----------
Room EQ Wizard (REW), help, "Exporting measurement data as text": comments begin with ``*``; columns
frequency, SPL, phase. The ``.frd`` files of loudspeaker programs are the same without the header.
AutoEq, README, "Results": ``frequency,raw,error,smoothed,…,equalization,…,target``. miniDSP UMIK-1
manual: a calibration file begins with its "Sens Factor" and goes on with frequency and level.
"""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from earfilt.errors import DataError
from earfilt.files.dialects import headers
from earfilt.files.dialects.found import MAX_LINE, MAX_ROWS, FoundCurve, Remedies, Row, excerpt
from earfilt.files.dialects.numbers import Decimal, is_number, notation, number

FORMS = (
    "a FIR in .txt has one coefficient a line (or a .csv with the header line "
    "'sample,coefficient'), "
    "a curve is a .csv with the header line 'frequency_hz,gain_db'"
)
_SEPARATORS = ("\t", ";", ",", " ")
_COMMENTS = ("#", "*", "%", "//", "!", ";", '"')
_SEP_LINE = re.compile(r'"?sep=(\t|;|,)"?', re.IGNORECASE)
_MOST_COLUMNS = 64
_MOST_BARE_COLUMNS = 4  # frequency, level, phase, coherence
_SAMPLE = 200  # rows that decide on the separator
_LONGEST_NAME = 40
_MOST_WORDS = 1000
_MOST_LABELS = 4
# No curve in Hz ends below this; a table of kHz, seconds or sample numbers does.
LOWEST_END_HZ = 100.0
# A third column this near to the second, in the median, may be another channel instead of a phase.
_NEAR = 10.0
_PREFERRED = ("gain_db", "magnitude_db")
# Rows and steps, the largest re the smallest, of a column that goes in equal steps.
_EVEN_ROWS, _EVEN = 8, 1.05
_LARGEST_SAMPLE = 2.0
_NO_VALUE = re.compile(
    r"phase|phs|deg|°|\brad|coher|delay|\bgd\b|thd|harm|dist|noise|note|comment|remark|index|^n[ro]\.?$|"
    r"^#$|\bsd\b|_sd|sd_|std|tol|weight|time|date|channel|name",
    re.IGNORECASE,
)
_FREQUENCY = re.compile(
    r"f|fc|f_\w{1,3}|freq.*|fréq.*|frek.*|frec.*|\w*hz\b.*|.*[(\[ _]k?hz[)\]]?|.*frequency.*|"
    r".*frequenz.*|частота.*|częstotliwość.*|kmitočet.*|taajuus.*|周波数.*|频率.*|頻率.*|주파수.*",
    re.IGNORECASE,
)
IDENTIFIED = "earfilt fit"
"""What a curve from two recordings was understood as."""

_IDENTIFIED = {"frequency_hz", "gain_db", "coherence", "lower_db", "upper_db"}
AUTOEQ = "AutoEq CSV"
"""What a table of its results was understood as: the measurement among what was made of it."""

_AUTOEQ = ("error", "smoothed", "equalization", "target", "equalized_raw")


class Table(NamedTuple):
    """Words before and between the rows, names of the columns (() where there are none), the
    column of the frequency, the rows with their line numbers, and the first line that is none, with
    what is wrong with it.
    """

    words: list[str]
    names: tuple[str, ...]
    frequency: int
    separator: str
    rows: list[tuple[int, list[str]]]
    spoilt: tuple[int, str] | None

    @property
    def named(self) -> bool:
        """Whether a name says which column is the frequency."""
        return bool(self.names) and _is_frequency(self.names[self.frequency])


def find_table(text: str, subject: str) -> Table | None:
    """The table of frequencies and values that a text is; None where it is not one.

    Parameters
    ----------
    text : str
    subject : str
        Name of the file, for messages.

    Raises
    ------
    DataError
        It is a table, and may be a FIR or a curve.
    """
    table = _locate(text.splitlines())
    if table is None or table.named:
        return table
    if len(table.rows) < 2 or not 2 <= len(table.rows[0][1]) <= _MOST_BARE_COLUMNS:
        return None
    # in either notation of the numbers; which of them it is, is asked where it matters
    readings: tuple[Decimal, ...] = ("point", "comma")
    firsts = [first for decimal in readings if _is_ordered(first := _numbers(table, 0, decimal))]
    if not firsts:
        return None
    if table.names and _are_names(table) and headers.is_other_frequency(table.names[0]):
        return table  # which is refused by that name
    if all(_is_doubtful(table, first) for first in firsts):
        known = firsts[0]
        name = f" '{excerpt(table.names[0])}'" if table.names and _are_names(table) else ""
        raise DataError(
            subject,
            f"may be a FIR or a curve: {len(known)} rows of numbers, in the first column{name} "
            f"from {known[0]:g} to {known[-1]:g}; {FORMS}",
        )
    return table


def read_table(
    table: Table,
    subject: str,
    *,
    column: str | None,
    decimal: Decimal | None,
    remedies: Remedies,
    quantity: str = "gain",
    result: str = "raw",
) -> FoundCurve:
    """The rows of one column of a table.

    Parameters
    ----------
    table : Table
    subject : str
        Name of the file, for messages.
    column : str, optional
        Name or number (from 1) of the column with the values.
    decimal : {'point', 'comma'}, optional
        Where the numbers leave it open.
    remedies : Remedies
        The options that settle column and numbers, for messages.
    quantity : str
        What the values are, for messages.
    result : 'raw' or 'target'
        Which column of AutoEq's results is meant where none is named.

    Raises
    ------
    DataError
        What a line or the columns mean cannot be known; says where, and what settles it.
    """
    if not table.rows and table.spoilt is None:
        raise DataError(subject, "has 0 rows of data; a curve takes at least 2")
    if table.spoilt is not None:
        raise DataError(subject, "line {}: {}".format(*table.spoilt))
    _check_frequency(table, subject)
    _check_commas(table, subject)
    if column is None and _dialect(table) == AUTOEQ and _names_once(table, result):
        column = result
    chosen = _column(table, subject, column, remedies.column)
    _check_value(table, chosen, subject, None if column is not None else remedies.column)
    fields = (row[i] for _, row in table.rows for i in (table.frequency, chosen))
    written = decimal or notation(fields, subject, remedies.decimal_option)
    rows = list(_rows(table, chosen, written, subject, quantity, remedies.decimal))
    _check_groups(table, chosen, rows, subject)
    names = (table.names[table.frequency], table.names[chosen]) if table.names else ()
    said = names[1].lower() if names else " ".join(table.words).lower()
    in_db = "db" in said or "spl" in said
    linear = headers.may_be_linear(names[1]) if names else False
    return FoundCurve(_dialect(table), rows, names, in_db, _notes(table), linear)


# Where the table is


class _Words(NamedTuple):
    """What stands before the rows: all of it; lines that may name columns; lines that are no
    comments. Line numbers count from 1.
    """

    all: list[str]
    heads: list[tuple[int, str]]
    loose: list[tuple[int, str]]

    def add(self, n: int, text: str) -> None:
        """One more line."""
        self.all.append(text[:MAX_LINE])
        if plain := text.lstrip('#*%/!;" ').rstrip('" '):
            self.heads.append((n, plain))
        if not text.startswith(_COMMENTS[:-1]):  # a quote may begin a row
            self.loose.append((n, text))


def _locate(lines: list[str]) -> Table | None:
    words = _Words([], [], [])
    fixed = None
    named = False
    for at, line in enumerate(lines):
        text = line.strip()
        if not text:
            continue
        if len(text) > MAX_LINE or len(words.all) == _MOST_WORDS:
            return None
        if not words.all and (found := _SEP_LINE.fullmatch(text)):
            fixed = found[1]
        elif _starts_rows(text, fixed):
            return _table(lines, at, words, fixed)
        elif _is_head(text) and _heads_rows(text, lines[at + 1 :], fixed):
            words.heads.append((at + 1, text))
            return _table(lines, at + 1, words, fixed)
        else:
            named = named or _is_head(text)
            words.add(at + 1, text)
    return Table(words.all, ("Hz", "dB"), 0, ",", [], None) if named else None


def _table(lines: list[str], start: int, words: _Words, fixed: str | None) -> Table | None:
    """The table whose rows begin at a line."""
    sample = list(itertools.islice(_data_lines(lines, start), _SAMPLE))
    if not sample:
        return None
    separator = fixed or max(_SEPARATORS, key=lambda mark: _fit(sample, mark))
    first = _split(sample[0], separator)
    head, names = _names(words.heads, len(first), separator)
    frequency = next((i for i, name in enumerate(names) if _is_frequency(name)), 0)
    count = len(names) or len(first)
    if not 2 <= count <= _MOST_COLUMNS:
        return None
    table = _read_rows(lines, start, Table(words.all, names, frequency, separator, [], None), count)
    for n, text in words.loose:
        if _is_broken_row(text, n > head > 0, _split(text, separator), count):
            return table._replace(spoilt=(n, f"'{excerpt(text)}' is not a row of numbers"))
    return table


def _is_broken_row(text: str, below_names: bool, fields: list[str], count: int) -> bool:
    """Whether a line before the rows is one of them, spoilt: below the names of the columns with a
    digit in it, or as long as a row and with a digit to begin with.
    """
    if below_names:
        return any(map(str.isdigit, text))
    return len(fields) == count and fields[0][:1].isdigit()


def _read_rows(lines: list[str], start: int, table: Table, count: int) -> Table:
    """A table with its rows, up to the first line that is not one."""
    words, frequency, separator = table.words, table.frequency, table.separator
    # a quote begins a field from here on, and a semicolon may
    marks = tuple(mark for mark in _COMMENTS if mark not in ('"', separator))
    for n, line in enumerate(itertools.islice(lines, start, None), start=start + 1):
        text = line.strip()
        if not text:
            continue
        fields = _split(text, separator)
        if len(fields) == count + 1 and not fields[-1]:
            fields.pop()
        at = fields[frequency] if frequency < len(fields) else ""
        if text.startswith(marks) and not is_number(at):
            words.append(text[:MAX_LINE])
            continue
        if trouble := _trouble(table, text, fields, at, count):
            return table._replace(spoilt=(n, trouble))
        table.rows.append((n, fields))
    return table


def _trouble(table: Table, text: str, fields: list[str], at: str, count: int) -> str:
    """What is wrong with a row; empty where nothing is."""
    if len(text) > MAX_LINE:
        return f"longer than {MAX_LINE} characters"
    if len(fields) != count:
        counted = "the header has" if table.names else "the first row has"
        return f"{len(fields)} fields where {counted} {count}: '{excerpt(text)}'"
    if not is_number(at):
        return f"frequency '{excerpt(at)}' is not a finite number"
    if len(table.rows) * max(1, count // 8) >= MAX_ROWS:
        return f"more than {len(table.rows)} rows of {count} columns; thin the curve out"
    return ""


def _data_lines(lines: Sequence[str], start: int) -> Iterator[str]:
    for line in itertools.islice(lines, start, None):
        text = line.strip()
        if text and not text.startswith(_COMMENTS[:-1]) and len(text) <= MAX_LINE:
            yield text


def _split(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.replace('"', "").split()
    if '"' in line:
        try:
            return [field.strip() for field in next(csv.reader([line], delimiter=separator))]
        except csv.Error:
            return [line]
    return [field.strip() for field in line.split(separator)]


def _fit(sample: list[str], separator: str) -> tuple[int, int]:
    """How well a separator fits some lines: rows with two numbers, and fewer fields that are
    none.
    """
    rows = words = 0
    for line in sample:
        fields = _split(line, separator)[:_MOST_COLUMNS]
        numbers = sum(map(is_number, fields))
        rows += numbers >= 2
        words += len(fields) - numbers
    return rows, -words


def _starts_rows(text: str, fixed: str | None) -> bool:
    """Whether a line begins with two numbers."""
    for separator in (fixed,) if fixed else _SEPARATORS:
        fields = _split(text, separator)
        if len(fields) >= 2 and is_number(fields[0]) and is_number(fields[1]):
            return True
    return False


def _is_head(text: str) -> bool:
    """Whether a line that is not a comment names columns."""
    marks = _COMMENTS[:-1]  # names may stand in quotes
    return not text.startswith(marks) and any(
        _is_frequency(name)
        for separator in _SEPARATORS
        for name in _split(_joined_units(text), separator)
        if len(name) < len(text)
    )


def _heads_rows(text: str, rest: Sequence[str], fixed: str | None) -> bool:
    """Whether the next line has a number where the names have the frequency."""
    following = next(_data_lines(rest, 0), None)
    if following is None:
        return False
    for separator in (fixed,) if fixed else _SEPARATORS:
        names, fields = _split(_joined_units(text), separator), _split(following, separator)
        where = [i for i, name in enumerate(names) if _is_frequency(name)]
        if where and len(fields) >= 2 and where[0] < len(fields) and is_number(fields[where[0]]):
            return True
    return False


def _names(heads: list[tuple[int, str]], count: int, separator: str) -> tuple[int, tuple[str, ...]]:
    """The names of the columns, and their line: of the last line before the rows that has as many,
    one of them a frequency; or of the very last line.
    """
    found: list[tuple[int, tuple[str, ...]]] = []
    for n, line in reversed(heads[-_SAMPLE:]):
        for mark in (separator, *_SEPARATORS):
            names = tuple(_split(_joined_units(line), mark))
            names = names[:-1] if len(names) == count + 1 and not names[-1] else names
            if len(names) == count and all(0 < len(name) <= _LONGEST_NAME for name in names):
                if any(map(_is_frequency, names)):
                    return n, names
                last = n == heads[-1][0] and mark == separator
                if last and not any(map(is_number, names)):
                    found.append((n, names))
    if found:
        return found[0]
    # a header that does not fit its rows is said of the rows
    names = tuple(_split(heads[-1][1], separator)) if heads else ()
    fits = len(names) >= 2 and any(map(_is_frequency, names))
    return (heads[-1][0], names) if fits else (0, ())


def _joined_units(line: str) -> str:
    """Names with their units as one word each: ``SPL (dB)`` is ``SPL(dB)``."""
    return re.sub(r"[ \t]+([(\[][^)\]]{1,12}[)\]])", r"\1", line)


def _is_frequency(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and _FREQUENCY.fullmatch(name.strip(' "')) is not None


# What it is


def _numbers(table: Table, index: int, decimal: Decimal) -> list[float]:
    """The numbers of a column in one notation; none where a field is not one."""
    found = [number(fields[index], decimal) for _, fields in table.rows]
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def _is_doubtful(table: Table, first: list[float]) -> bool:
    """Whether an ordered first column without the name of a frequency may be something else: by its
    range, by a name that says another thing beside values that are not called levels, or since it
    goes in equal steps, as times and positions do.
    """
    if min(first) < 0.0 or max(first) < LOWEST_END_HZ or _counts_up(first):
        return True
    tells = bool(table.names) and _are_names(table) and not headers.is_silent(table.names[0])
    if tells and not any(map(headers.is_level, table.names[1:])):
        return True
    return _is_even(first) and (tells or _may_be_samples(table))


def _is_even(first: list[float]) -> bool:
    """Equal steps, but for their rounding, in more rows than are so by chance."""
    steps = [abs(b - a) for a, b in itertools.pairwise(first)]
    return len(first) >= _EVEN_ROWS and max(steps) <= _EVEN * min(steps)


def _may_be_samples(table: Table) -> bool:
    """Whether values lie within the range of samples and factors, and nothing says that they are
    dB.
    """
    said = " ".join((*table.words, *table.names)).lower()
    if "db" in said or "spl" in said or "hz" in said:
        return False
    values = _numbers(table, 1, "point") or _numbers(table, 1, "comma")
    return all(abs(value) <= _LARGEST_SAMPLE for value in values)


def _is_ordered(first: list[float]) -> bool:
    """Whether a first column runs through frequencies, times or sample numbers; coefficients do
    not, but by chance in two rows.
    """
    if len(first) < 2:
        return False
    steps = [b - a for a, b in itertools.pairwise(first)]
    rising, falling = min(steps) >= 0.0 < max(steps), max(steps) <= 0.0 > min(steps)
    # of frequencies also where a row stands in the wrong place
    if min(first) >= 0.0 and max(first) >= LOWEST_END_HZ:
        return rising or falling or len(first) > 2
    return len(first) > 2 and (rising or falling)


def _counts_up(first: list[float]) -> bool:
    """Sample numbers, or a curve at every 1 Hz."""
    return (
        len(first) > 2
        and first[0] <= 1.0
        and all(b - a == 1.0 for a, b in itertools.pairwise(first))
    )


def _check_frequency(table: Table, subject: str) -> None:
    """Refuse frequencies that are in something else than Hz by their name."""
    if not table.names:
        return
    name = table.names[table.frequency]
    if "khz" in name.lower():
        raise DataError(subject, "has frequencies in kHz; they must be in Hz")
    if headers.is_other_frequency(name) and _are_names(table):
        raise DataError(
            subject,
            f"has '{excerpt(name)}' where a curve has frequencies in Hz; convert it and call the "
            "column frequency_hz",
        )


def _are_names(table: Table) -> bool:
    """Whether what stands above the columns names them, and is no comment with as many words."""
    plain = [line for line in table.words if not line.startswith(_COMMENTS[:-1])]
    return (
        table.named
        or any(map(headers.is_gain, table.names))
        or any(all(name in _joined_units(line) for name in table.names) for line in plain)
    )


def _check_value(table: Table, chosen: int, subject: str, option: str | None) -> None:
    """Refuse values that are no gains or levels in dB by their name; ``option`` names a column, and
    was not given.
    """
    if not table.names or not _are_names(table):
        return
    name = table.names[chosen]
    shown = excerpt(name)
    if headers.is_loss(name):
        raise DataError(
            subject,
            f"has losses in '{shown}', where a curve has gains in dB; change their sign and call the "
            "column gain_db",
        )
    if headers.is_other_unit(name):
        raise DataError(
            subject,
            f"has '{shown}' where a curve has gains or levels in dB; convert it and call the column "
            "gain_db",
        )
    if option is not None and headers.is_doubtful(name):
        raise DataError(
            subject,
            f"has '{shown}', which may be no gains in dB; "
            + (
                f"{option} {chosen + 1} says that they are"
                if option
                else "call the column gain_db if they are"
            ),
        )


def _check_groups(table: Table, chosen: int, rows: Sequence[Row], subject: str) -> None:
    """Refuse several curves below each other, which another column tells apart."""
    starts = [k for k in range(1, len(rows)) if rows[k].hz <= rows[k - 1].hz]
    if not starts or len(starts) == len(rows) - 1:
        return
    for index, name in enumerate(table.names):
        labels = [fields[index] for _, fields in table.rows]
        changes = [k for k in range(1, len(labels)) if labels[k] != labels[k - 1]]
        if index not in (table.frequency, chosen) and changes == starts:
            told = list(dict.fromkeys(map(excerpt, labels)))
            more = ", …" if len(told) > _MOST_LABELS else ""
            raise DataError(
                subject,
                f"holds {len(starts) + 1} curves, which its column '{excerpt(name)}' tells apart "
                f"({', '.join(told[:_MOST_LABELS])}{more}); keep the rows of one of them",
            )


def _check_commas(table: Table, subject: str) -> None:
    """Refuse rows whose commas may separate columns or decimals."""
    bare = not table.names and table.separator == "," and len(table.rows[0][1]) > 2
    if bare and not any("." in field for _, fields in table.rows for field in fields):
        line = table.rows[0][0]
        raise DataError(
            subject,
            f"line {line}: the commas may separate columns or mark decimals; separate the columns "
            "with semicolons, or write the header line 'frequency_hz,gain_db'",
        )


def _column(table: Table, subject: str, asked: str | None, option: str) -> int:
    """The column with the values."""
    others = [i for i in range(len(table.rows[0][1])) if i != table.frequency]
    if asked is not None:
        return _asked_column(table, subject, asked, others)
    if not table.names:
        _check_third(table, subject, option)
        return others[0]
    low = [name.lower() for name in table.names]
    preferred = [name for name in _PREFERRED if low.count(name) == 1]
    if preferred:
        return low.index(preferred[0])
    values = [
        i for i in others if not _NO_VALUE.search(table.names[i]) and _holds_numbers(table, i)
    ]
    if len(values) == 1:
        return values[0]
    if not values:
        remedy = f"{option} says which it is" if option else "call it gain_db"
        raise DataError(subject, f"has no column of levels or gains; {remedy}")
    names, first = ", ".join(excerpt(table.names[i]) for i in values), values[0]
    remedy = (
        f"{option} says which, by name or by number, {first + 1} for {excerpt(table.names[first])}"
        if option
        else "call the one that counts gain_db, or keep no other"
    )
    raise DataError(subject, f"has {len(values)} columns of values: {names}; {remedy}")


def _names_once(table: Table, name: str) -> bool:
    return [one.lower() for one in table.names].count(name) == 1


def _asked_column(table: Table, subject: str, asked: str, others: list[int]) -> int:
    def plain(name: str) -> str:
        return re.sub(r"\s*[(\[].*", "", name.strip().lower())

    exact = [i for i in others if table.names and table.names[i].lower() == asked.lower().strip()]
    loose = [i for i in others if table.names and plain(table.names[i]) == plain(asked)]
    counted = [i for i in others if str(i + 1) == asked.strip()]
    found = next((some for some in (exact, loose, counted) if some), [])
    if len(found) == 1:
        return found[0]
    names = ", ".join(excerpt(table.names[i]) for i in others) if table.names else "no names"
    raise DataError(
        subject,
        f"'{excerpt(asked)}' is {len(found) or 'none'} of its columns beside the frequency "
        f"({names}); they are counted from 1, the frequency included",
    )


def _holds_numbers(table: Table, index: int) -> bool:
    sample = table.rows[:: max(1, len(table.rows) // _SAMPLE)]
    return 2 * sum(is_number(fields[index]) for _, fields in sample) >= len(sample)


def _check_third(table: Table, subject: str, option: str) -> None:
    """Ask where a third column without a name may be another channel instead of a phase."""
    if len(table.rows[0][1]) < 3:
        return
    decimal = notation((f for _, fields in table.rows for f in fields[:3]), subject)
    pairs = [(number(row[1], decimal), number(row[2], decimal)) for _, row in table.rows]
    far = sorted(abs(a - b) for a, b in pairs if a is not None and b is not None)
    if far and far[len(far) // 2] < _NEAR:
        remedy = (
            f"{option} 2 or {option} 3 says which holds the values"
            if option
            else "keep the column that holds the values, and no other"
        )
        raise DataError(
            subject,
            f"has a third column without a name, which may be a phase or another channel; {remedy}",
        )


def _rows(
    table: Table, chosen: int, decimal: Decimal, subject: str, quantity: str, option: str
) -> Iterator[Row]:
    for line, fields in table.rows:
        hz, value = number(fields[table.frequency], decimal), number(fields[chosen], decimal)
        if hz is None or value is None:
            what, field = (
                ("frequency", fields[table.frequency]) if hz is None else (quantity, fields[chosen])
            )
            hint = (
                f"; {option} says how its numbers are written"
                if option
                else "; write it with a point"
            )
            hint = hint if "," in field else ""
            raise DataError(
                subject, f"line {line}: {what} '{excerpt(field)}' is not a finite number{hint}"
            )
        yield Row(line, hz, value)


def _dialect(table: Table) -> str:
    names = [name.lower() for name in table.names]
    said = " ".join(table.words).lower()
    if _IDENTIFIED.issubset(names):
        return IDENTIFIED
    if "raw" in names and any(name in names for name in _AUTOEQ):
        return AUTOEQ
    if re.search(r"\brew\b|room eq", said):
        return "REW text"
    if _is_calibration(said):
        return "microphone calibration"
    return "table"


def _is_calibration(said: str) -> bool:
    return re.search(r"sens factor|sensitivity|serno|calibration|\*\s*1000\s*hz", said) is not None


def _notes(table: Table) -> tuple[str, ...]:
    said = " ".join(table.words).lower()
    stated = re.search(r"sens factor|sensitivity|\*\s*1000\s*hz", said)
    return ("the sensitivity it states is left aside",) if stated else ()
