"""``earfilt filters``: the catalogue."""

import json
import shutil
import sys
import textwrap
from typing import Annotated, Any

import typer

from earfilt.chains.members import option_names
from earfilt.ears import catalogue
from earfilt.ears.catalogue import Ear
from earfilt.errors import UsageError


def filters(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Show one filter: its facts, source and points.",
            show_default=False,
        ),
    ] = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="The sources as BibTeX.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> int:
    """The catalogue of filters; with a NAME its unit, range, variants, source and published points.

    Off a terminal: tab-separated columns, and the points as CSV after '#' lines.
    """
    if bibtex and as_json:
        raise UsageError("--bibtex and --json exclude each other")
    ears = catalogue.ears() if name is None else (catalogue.find(name),)
    if bibtex:
        _print(_bibtex(ears))
    elif as_json:
        found = [_facts(ear) for ear in ears]
        _print(json.dumps(found if name is None else found[0], indent=1, ensure_ascii=False) + "\n")
    elif name is None:
        _print_overview(ears)
    else:
        _print_ear(ears[0])
    return 0


def _print(text: str) -> None:
    sys.stdout.write(text)


def _bibtex(ears: tuple[Ear, ...]) -> str:
    """Each source once."""
    entries = [
        catalogue.table(table).facts["source"].get("bibtex", "").strip()
        for ear in ears
        for table in ear.tables
    ]
    return "\n\n".join(dict.fromkeys(filter(None, entries))) + "\n"


def _facts(ear: Ear) -> dict[str, Any]:
    tables = [catalogue.table(table) for table in ear.tables]
    low, high = _range(ear)
    return {
        "name": ear.full_name,
        "default": ear.default,
        "variants": _variants(ear),
        "summary": ear.summary,
        "kind": ear.kind,
        "parameters": dict(ear.parameters),
        "lowest_hz": low,
        "highest_hz": high,
        "tables": [
            {
                "id": table.id,
                **{k: v for k, v in table.facts.items() if k != "ear"},
                "sha256": table.sha256,
                "points": table.columns,
            }
            for table in tables
        ],
    }


def _variants(ear: Ear) -> list[str]:
    """Variants of the same name, the default one first."""
    return [other.variant for other in catalogue.ears() if other.name == ear.name and other.variant]


def _range(ear: Ear) -> tuple[float, float]:
    """Lowest and highest frequency (Hz) that all tables of an ear have."""
    columns = [catalogue.table(table).frequencies for table in ear.tables]
    return max(map(min, columns)), min(map(max, columns))


# All of them


def _print_overview(ears: tuple[Ear, ...]) -> None:
    if sys.stdout.isatty():
        _print_grid(ears)
        return
    header = ("name", "default", "what", "lowest_hz", "highest_hz", "source")
    rows = [
        (
            ear.full_name,
            "yes" if ear.default else "no",
            ear.summary,
            *(f"{end:g}" for end in _range(ear)),
            _short_sources(ear),
        )
        for ear in ears
    ]
    _print("".join("\t".join(row) + "\n" for row in (header, *rows)))


def _print_grid(ears: tuple[Ear, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False)
    grid.add_column("name", no_wrap=True)
    grid.add_column("what it is, source")
    grid.add_column("range", no_wrap=True, justify="right")
    for ear in ears:
        low, high = _range(ear)
        about = Text.assemble(ear.summary, "\n", (_short_sources(ear), "dim"))
        grid.add_row(ear.full_name, about, f"{low:.0f}-{high:.0f} Hz")
    console = Console(highlight=False, markup=False)
    console.print(grid)
    console.print(
        "\nA bare NAME means the first of its variants; 'earfilt filters NAME' says more."
    )


def _short_sources(ear: Ear) -> str:
    from earfilt.chains.describe import short_citation

    return "; ".join(
        short_citation(catalogue.table(table).facts["source"]["citation"]) for table in ear.tables
    )


# One of them


def _print_ear(ear: Ear) -> None:
    low, high = _range(ear)
    facts = {
        "name": ear.full_name,
        "what": ear.summary,
        "range": f"{low:g}-{high:g} Hz",
        "variants": ", ".join(_variants(ear)) or "none",
        "options": ", ".join("--" + option.replace("_", "-") for option in option_names(ear.kind)),
    }
    _print_facts(facts)
    for table in map(catalogue.table, ear.tables):
        source = table.facts["source"]
        about = {
            "table": table.facts["title"],
            "unit": table.facts["unit"],
            "source": source["citation"],
        }
        _print("#\n")
        _print_facts(
            about | {key: source[key] for key in ("where", "doi", "provenance") if key in source}
        )
        _print(",".join(table.columns) + "\n")
        _print(
            "".join(
                ",".join(map(_digits, row)) + "\n"
                for row in zip(*table.columns.values(), strict=True)
            )
        )


def _print_facts(facts: dict[str, str]) -> None:
    """Comment lines, wrapped where a person reads them."""
    for label, text in facts.items():
        line = f"# {label}: {text}"
        if sys.stdout.isatty():
            line = textwrap.fill(
                line, max(40, shutil.get_terminal_size().columns), subsequent_indent="#   "
            )
        _print(line + "\n")


def _digits(value: float) -> str:
    """All digits of a table's number, whole ones without a point."""
    return repr(value).removesuffix(".0")
