"""The catalogue of ears in words: the list, one entry, the ways between points, comparisons.

Loads neither numpy nor the parser of the command line: a list is printed sooner than either loads.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from earfilt.chains.describe import short_citation
from earfilt.ears import catalogue, kinds
from earfilt.ears.ear import Ear
from earfilt.ears.entry import GROUPS, Entry
from earfilt.ears.options import DESIGN, Option
from earfilt.ears.table import Table
from earfilt.errors import UnknownNameError, printable
from earfilt.storage.writing import put

_SHORTEST_WORD = 3


def print_all(form: str = "table") -> None:
    """All that there is; then a warning on stderr for each entry that cannot be used.

    Parameters
    ----------
    form : 'table', 'json' or 'bibtex'
        A table is laid out for a terminal, and is tab-separated columns off one.
    """
    entries = catalogue.entries()
    if form == "table":
        _print_overview(entries)
    else:
        put(_bibtex(entries) if form == "bibtex" else _json([_facts(one) for one in entries]))
    for problem in catalogue.problems():
        print(f"earfilt: warning: {problem}", file=sys.stderr)


def print_one(name: str, form: str = "table") -> None:
    """One entry: what is known of it, and its points; the list of those that a word is about.

    Parameters
    ----------
    name : str
        ``NAME[:VARIANT]``; else a word of names, titles and sources.
    form : 'table', 'json' or 'bibtex'
        A table is CSV after ``#`` lines.

    Raises
    ------
    UnknownNameError, DataError
        As `earfilt.ears.catalogue.find`.
    """
    try:
        entry = catalogue.find(name)
    except UnknownNameError:
        if form == "table" and len(name) >= _SHORTEST_WORD and (found := catalogue.matching(name)):
            _print_overview(found)
            return
        raise
    if form == "table":
        _print_entry(entry)
    else:
        put(_bibtex((entry,)) if form == "bibtex" else _json(_facts(entry)))


def print_ways(start: str, end: str) -> None:
    """What leads from one reference point to another: a chain and its sources a line.

    On a terminal those with the fewest members, and how many more there are.

    Parameters
    ----------
    start, end : str
        Reference points, as ``earfilt.chains.ways.point`` takes them.
    """
    from earfilt.chains import ways

    found = ways.ways(ways.point(start), ways.point(end))
    if not sys.stdout.isatty():
        for way in found:
            put(f"{ways.name_of(way)}\t{ways.sources_of(way)}\n")
        return
    short = [way for way in found if len(way) == min(map(len, found))]
    width = max((len(ways.name_of(way)) for way in short), default=0)
    for way in short:
        put(f"{ways.name_of(way):<{width}}  {ways.sources_of(way)}\n")
    if more := len(found) - len(short):
        put(f"{more} longer ways, some through an inverse; add '| less' to see all\n")


def print_comparison(first: str, second: str, *, relative_to: float | None = None) -> None:
    """Largest and rms difference of two filters by band, the whole range last.

    Parameters
    ----------
    first, second : str
        Filters, as ``--filter`` takes them.
    relative_to : float, optional
        Hz at which both count as 0 dB.
    """
    from earfilt.chains.compare import compare
    from earfilt.chains.members import resolve

    put("low_hz\thigh_hz\tlargest_db\tat_hz\trms_db\n")
    for band in compare(resolve(first), resolve(second), relative_to=relative_to):
        put(
            f"{band.low:.0f}\t{band.high:.0f}\t{band.largest_db:+.2f}\t{band.at_hz:.0f}\t"
            f"{band.rms_db:.2f}\n"
        )


def _json(facts: Any) -> str:
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _bibtex(entries: tuple[Entry, ...]) -> str:
    """Each source once."""
    texts = [source.bibtex.strip() for entry in entries for source in entry.sources]
    return "\n\n".join(dict.fromkeys(filter(None, texts))) + "\n"


def _facts(entry: Entry) -> dict[str, Any]:
    low, high = _range(entry)
    ear = None if entry.is_pattern else catalogue.of_entry(entry)
    entry = entry if ear is None else ear.entry
    return {
        "name": entry.full_name,
        "default": entry.default,
        "variants": _variants(entry),
        "summary": entry.summary,
        "title": entry.title,
        "kind": entry.kind,
        "group": entry.group,
        "quantity": entry.quantity,
        "unit": entry.unit,
        "scale": entry.scale,
        "start": entry.start or None,
        "end": entry.end or None,
        "side": entry.side,
        "species": entry.species,
        "lowest_hz": low,
        "highest_hz": high,
        "caveats": entry.caveats,
        "parameters": dict(entry.parameters),
        "options": [option.name for option in _options(entry, ear)],
        "sources": [asdict(source) for source in entry.sources],
        "points": None if ear is None else _points(ear),
        "tables": [
            {"id": table.id, "sha256": table.sha256, "points": table.columns}
            for table in _tables(entry)
        ],
    }


def _options(entry: Entry, ear: Ear | None) -> tuple[Option, ...]:
    """The options of a design, and of the ear."""
    return (*DESIGN, *(kinds.kind(entry.kind).declared if ear is None else ear.options))


def _tables(entry: Entry) -> tuple[Table, ...]:
    return tuple(entry.table(which) for which in range(len(entry.tables)))


def _variants(entry: Entry) -> list[str]:
    """Variants of the same name, the default one first."""
    return [
        other.variant for other in catalogue.entries() if other.name == entry.name and other.variant
    ]


# All of them


def _print_overview(entries: tuple[Entry, ...]) -> None:
    if sys.stdout.isatty():
        _print_grid(entries)
        return
    header = ("name", "default", "what", "lowest_hz", "highest_hz", "source", "group", "from", "to")
    rows = [
        (
            entry.full_name,
            "yes" if entry.default else "no",
            entry.summary,
            *(f"{end:g}" for end in _range(entry)),
            short_sources(entry),
            entry.group,
            entry.start or "-",
            entry.end or "-",
        )
        for entry in entries
    ]
    put("".join("\t".join(row) + "\n" for row in (header, *rows)))


def _print_grid(entries: tuple[Entry, ...]) -> None:
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    console = Console(highlight=False, markup=False)
    width = max(len(entry.full_name) for entry in entries)
    for group in GROUPS:
        members = [entry for entry in entries if entry.group == group]
        if not members:
            continue
        grid = Grid(box=None, pad_edge=False, title=group, title_justify="left")
        grid.add_column("name", no_wrap=True, min_width=width)
        grid.add_column("what it is, source")
        grid.add_column("range", no_wrap=True, justify="right")
        for entry in members:
            low, high = _range(entry)
            about = Text.assemble(
                printable(entry.summary), "\n", (printable(short_sources(entry)), "dim")
            )
            grid.add_row(printable(entry.full_name), about, f"{low:.0f}-{high:.0f} Hz")
        console.print(grid)
        console.print()
    console.print(
        "A NAME without variant means its first variant; 'earfilt filters NAME' describes it."
    )


def _range(entry: Entry) -> tuple[float, float]:
    return entry.range_hz or catalogue.of_entry(entry).range_hz


def short_sources(entry: Entry) -> str:
    """Author and year of the sources of an entry."""
    return "; ".join(short_citation(source.citation) for source in entry.sources)


# One of them


def _print_entry(entry: Entry) -> None:
    low, high = _range(entry)
    ear = None if entry.is_pattern else catalogue.of_entry(entry)
    entry = entry if ear is None else ear.entry
    facts = {
        "name": entry.full_name,
        "what": entry.summary,
        "title": entry.title,
        "from": entry.start,
        "to": entry.end,
        "quantity": entry.quantity,
        "unit": entry.unit,
        "scale": entry.scale,
        "species": "" if entry.species == "human" else entry.species,
        "range": f"{low:g}-{high:g} Hz",
        "variants": ", ".join(_variants(entry)) or "none",
        "options": ", ".join(option.flag for option in _options(entry, ear)),
    }
    _print_facts(facts)
    for caveat in entry.caveats:
        _print_facts({"caveat": caveat})
    for source in entry.sources:
        put("#\n")
        _print_facts({"source": source.citation})
        shown = ("where", "doi", "checked", "provenance", "licence")
        _print_facts({key: getattr(source, key) for key in shown})
    columns = [table.columns for table in _tables(entry)]
    if not columns and ear is not None:
        _print_facts({"points": "values of the formula or model at these frequencies"})
        columns = [_points(ear)]
    for of_one in columns:
        put(",".join(of_one) + "\n")
        rows = zip(*of_one.values(), strict=True)
        put("".join(",".join(map(_digits, row)) + "\n" for row in rows))


def _points(ear: Ear) -> Mapping[str, tuple[float, ...]]:
    return {"frequency_hz": ear.points.freqs, "gain_db": ear.points.gain_db}


def _print_facts(facts: dict[str, str]) -> None:
    """Comment lines, wrapped where a person reads them."""
    for label, text in facts.items():
        if not text:
            continue
        line = f"# {label}: {text}"
        if sys.stdout.isatty():
            line = textwrap.fill(
                line, max(40, shutil.get_terminal_size().columns), subsequent_indent="#   "
            )
        put(line + "\n")


def _digits(value: float) -> str:
    """All digits of a table's number, whole ones without a point."""
    return repr(value).removesuffix(".0")
