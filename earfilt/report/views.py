"""What is made of a report's rows when they are all there: a table for spreadsheets, and a page to
look at.

The rows stay on disk. What is kept of each is where it stands and, for a page, a few numbers.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from earfilt.errors import EarfiltError, printable

if TYPE_CHECKING:
    from earfilt.chains.members import Filter

Told = dict[str, Any]  # a row as JSON has it

_NAMES = ("source", "name", "status")
_MOST_RATES = 4  # of curves in a page's figure
_SILENCE = -1_000_000  # stands for −inf dB in a page
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets compute


def rows_that_count(file: BinaryIO) -> Iterator[Told]:
    """The row of each name that says how it stands: the last one, but `skipped` says that an
    earlier `ok` still holds.

    Parameters
    ----------
    file : binary file of JSON lines
        Read twice.
    """
    last: dict[str, tuple[int, bool]] = {}
    for number, row in _numbered(file):
        done = last.get(row["name"], (0, False))[1]
        if not (done and row["status"] == "skipped"):
            last[row["name"]] = number, row["status"] == "ok"
    counting = {number for number, _ in last.values()}
    last.clear()
    for number, row in _numbered(file):
        if number in counting:
            yield row


def _numbered(file: BinaryIO) -> Iterator[tuple[int, Told]]:
    """Rows by the number of their line, with the fields that earlier versions did not write; lines
    of somebody else are passed over.
    """
    blank = _blank()
    file.seek(0)
    for number, line in enumerate(file):
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and all(isinstance(row.get(key), str) for key in _NAMES):
                yield number, blank | row


def _blank() -> Told:
    from earfilt.render.record import Row

    return Row("", "", "", "ok").to_dict()


def csv_lines(rows: Iterable[Told]) -> Iterator[bytes]:
    """Rows as lines of CSV: a column for each field of a row, lists with semicolons, and of the
    parameters the deviation.

    No text is a formula in a spreadsheet: what would be one begins with an apostrophe.
    """
    fields = list(_blank())
    fields[fields.index("parameters")] = "deviation_db"
    yield _csv_line(fields)
    for row in rows:
        told = row | {"deviation_db": row["parameters"].get("deviation_db")}
        yield _csv_line([_cell(told.get(name)) for name in fields])


def _csv_line(cells: Sequence[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        each = ["-inf" if one is None else one for one in value]
        if len(each) != 1:
            text = "; ".join(map(str, each))
            return _text(text) if value and isinstance(value[0], str) else text
        value = each[0]
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) and value != "-inf" else value


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


class _Words:
    """A column of few different texts: each once, and its number in every row."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.values: list[int] = []

    def add(self, text: str) -> None:
        self.values.append(self._numbers.setdefault(text, len(self._numbers)))

    def to_json(self) -> Told:
        return {"words": list(self._numbers), "values": self.values}


class _Numbers:
    """A column of numbers, to a number of decimals."""

    def __init__(self, decimals: int) -> None:
        self._decimals = decimals
        self.values: list[int | None] = []

    def add(self, value: float | None) -> None:
        self.values.append(None if value is None else round(value * 10**self._decimals))

    def add_level(self, by_channel: Sequence[float | None]) -> None:
        """The level of the loudest channel."""
        loud = [level for level in by_channel if level is not None]
        if by_channel and not loud:
            self.values.append(_SILENCE)
        else:
            self.add(max(loud, default=None))

    def to_json(self) -> Told:
        return {"decimals": self._decimals, "values": self.values}


_LEVELS = ("peak_in_dbfs", "rms_in_dbfs", "peak_out_dbfs", "rms_out_dbfs")


class _Columns:
    """What a page shows of each row, by column: short to send, quick to sort."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.words = {
            name: _Words() for name in ("status", "reason", "said", "warnings", "kinds", "fs")
        }
        self.numbers = {name: _Numbers(2) for name in _LEVELS}
        self.numbers |= {
            "audio_s": _Numbers(2),
            "channels": _Numbers(0),
            "gain_db": _Numbers(2),
            "clipped": _Numbers(0),
            "seconds": _Numbers(3),
        }
        self.made_with: Counter[tuple[str, int, float | None, float | None]] = Counter()

    def add(self, row: Told) -> None:
        done = row["status"] == "ok"
        self.names.append(printable(row["name"]))
        failure = printable(row["error"] or "unknown") if row["status"] == "failed" else ""
        self.words["status"].add(printable(row["status"]))
        self.words["reason"].add(printable(row["reason"] or failure) if failure else "")
        self.words["said"].add(failure)
        kinds = row["warning_kinds"] or row["warnings"]  # which 0.1 alone wrote
        for name, notes in (("warnings", row["warnings"]), ("kinds", kinds)):
            self.words[name].add("\n".join(dict.fromkeys(map(printable, notes))))
        self.words["fs"].add(f"{row['fs']:g}" if row["fs"] else "")
        for name in _LEVELS:
            self.numbers[name].add_level(row[name])
        audio = row["frames"] / row["fs"] if row["fs"] and row["frames"] is not None else None
        own = {"audio_s": audio, "clipped": sum(row["clipped"]) if done else None}
        for name in ("channels", "gain_db", "seconds"):
            own[name] = row[name] if done else None
        for name, value in own.items():
            self.numbers[name].add(value)
        if done:
            told = row["parameters"]
            deviation = told.get("deviation_db"), told.get("deviation_hz")
            self.made_with[(row["filter"] or "", row["fs"], *deviation)] += 1

    def to_json(self) -> Told:
        return {
            "name": {"texts": self.names},
            **{name: column.to_json() for name, column in (self.words | self.numbers).items()},
        }


def report_page(rows: Iterable[Told], filter: Filter | None = None) -> str:
    """The page of a batch: totals, failures, histograms, the filter, and all rows to sort and
    search.

    Parameters
    ----------
    rows : iterable of dict
        One a file.
    filter : Filter, optional
        Drawn at the sampling rates that occur.

    Returns
    -------
    str
        HTML.
    """
    from earfilt.report.page import fill

    columns = _Columns()
    for row in rows:
        columns.add(row)
    made_with = columns.made_with.most_common()
    data = {
        "title": "Report of earfilt" if filter is None else f"Through {printable(filter.applied)}",
        "silence": _SILENCE,
        "columns": columns.to_json(),
        "filters": [
            {"filter": printable(name), "fs": fs, "files": files, "deviation_db": db, "at_hz": hz}
            for (name, fs, db, hz), files in made_with
        ],
        **({} if filter is None else _figure(filter, [key[:2] for key, _ in made_with])),
    }
    return fill("report", data["title"], data)


def _figure(filter: Filter, made: Sequence[tuple[str, int]]) -> Told:
    """The filter's curves at the most frequent sampling rates."""
    import numpy as np

    from earfilt.report.lines import line_of
    from earfilt.report.page import PageCurve, told
    from earfilt.synthesis.response import Response, respond

    rates = list(dict.fromkeys(fs for name, fs in made if name == filter.applied))[:_MOST_RATES]
    freqs = np.geomspace(20.0, 20_000.0, 300)
    curves = []
    for fs in rates:
        with suppress(EarfiltError):  # rows of an earlier run may be of another filter so named
            for one, fir in filter.by_ear(float(fs)):
                found = respond(fir, freqs[freqs <= fs / 2])
                values = (found.magnitude_db, found.phase_rad, found.group_delay_s)
                beyond = (0, len(freqs) - len(found.freqs))
                padded = [np.pad(part, beyond, constant_values=np.nan) for part in values]
                label = printable(f"{fir.provenance.filter or filter.applied}, {fs:g} Hz")
                line = line_of(one, fir, Response(freqs, *padded), label=label)
                curves.append(told(PageCurve(line)))
    return {"freqs": [round(float(freq), 4) for freq in freqs], "curves": curves}
