"""``earfilt filters``: the catalogue."""

from typing import Annotated

import typer

from earfilt.errors import UsageError
from earfilt.report import catalogue as report


def filters(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Describe one filter, with source and points, or a SOFA file; of another word, "
            "list the filters with it in name or source.",
            show_default=False,
        ),
    ] = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print the sources as BibTeX.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="POINT", help="With --to: list the ways from here."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="POINT",
            help="free-field, diffuse-field, headphone, ear-canal-entrance, eardrum, stapes or "
            "cochlea; chains and inverses included.",
        ),
    ] = None,
    versus: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare", metavar="A B", help="Differences between two filters, by octave."
        ),
    ] = None,
    relative_to: Annotated[
        float | None,
        typer.Option(
            "--relative-to", metavar="HZ", help="With --compare: frequency at which both are 0 dB."
        ),
    ] = None,
) -> int:
    """List the catalogue of filters, or describe one: unit, range, variants, source and points.

    Off a terminal: tab-separated columns, and the points as CSV after '#' lines.
    """
    if bibtex and as_json:
        raise UsageError("--bibtex and --json exclude each other")
    form = "bibtex" if bibtex else "json" if as_json else "table"
    if versus:
        if name or bibtex or as_json or start or end:
            raise UsageError("--compare takes --relative-to and no other option")
        report.print_comparison(*versus, relative_to=relative_to)
    elif relative_to is not None:
        raise UsageError("--relative-to needs --compare")
    elif start or end:
        if not (start and end) or name or bibtex or as_json:
            raise UsageError("--from and --to go together, and with nothing else")
        report.print_ways(start, end)
    elif name is not None and name.lower().endswith(".sofa"):
        if bibtex:
            raise UsageError("a SOFA file has no BibTeX")
        from earfilt.report.sofa import print_sofa

        print_sofa(name, as_json=as_json)
    elif name is not None:
        report.print_one(name, form)
    else:
        report.print_all(form)
    return 0
