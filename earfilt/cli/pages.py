"""What a command says of itself: examples first, then its options by what they are for.

``--help``, the man pages and the site's reference are all made from the `Page` of a command.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["COMMANDS", "EXAMPLES", "GROUPS", "Page", "page_of", "write"]

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "apply": "Filter recordings through an ear.",
        "response": "Show what a filter does, as numbers or a figure.",
        "design": "Write a filter for other programs.",
        "fit": "Measure a curve from recordings, or adapt an ear to one.",
        "verify": "Check outputs, sources and filters against the manifest.",
        "filters": "List the filters, or describe one.",
        "help": "Explain a command or a topic.",
    }
)
"""Each in a module of its name."""

OWN, FILTER, CURVE, BATCH = "Options", "Filter", "A curve or FIR of your own", "Batch"

GROUPS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Input and output": frozenset(
            (
                "--output", "--fs", "--format", "--subtype", "--force", "--skip-existing",
                "--in-place", "--no-metadata", "--tail", "--repair", "--ignore-length", "--raw",
                "--rate", "--channels", "--to-raw", "--latency-ms", "--manifest",
            )
        ),
        OWN: frozenset(),
        FILTER: frozenset(("--filter", "--from", "--to")),
        CURVE: frozenset(
            (
                "--interpolation", "--column", "--decimal", "--align", "--absolute", "--smooth",
                "--target", "--latency", "--resample-fir",
            )
        ),
        "SOFA files": frozenset(
            (
                "--azimuth", "--elevation", "--distance", "--nearest", "--interaural-delay",
                "--diffuse-field", "--path", "--directions",
            )
        ),
        "Figures": frozenset(
            (
                "--show", "--label", "--panel", "--width", "--ymin", "--ymax", "--legend",
                "--degrees", "--wrapped",
            )
        ),
        "Level": frozenset(("--gain", "--clip", "--dither", "--full-scale-spl", "--full-scale")),
        BATCH: frozenset(
            (
                "--files-from", "--null", "--include", "--exclude", "--resume", "--dry-run",
                "--fail-fast", "--report", "--jobs",
            )
        ),
        "Cluster": frozenset(("--shard", "--dask")),
        "Computing": frozenset(("--device", "--precision")),
        "Messages": frozenset(("--quiet", "--verbose", "--debug", "--version", "--help")),
    }
)  # fmt: skip
"""Options by what they are for, in the order of a page. Of those that stand nowhere here, those of
filters go to them, and the rest are what this command is about.
"""

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "apply": (
            ("one recording", "earfilt apply in.wav out.wav -f middle-ear"),
            ("a chain, 6 dB softer", "earfilt apply in.wav out.flac -f headphone+middle-ear "
            "--gain -6"),
            ("a directory, only what is missing", "earfilt apply corpus filtered -f headphone "
            "--resume"),
            ("the inverse of your own curve", "earfilt apply in.wav undone.wav -f mine.csv "
            "--inverse"),
            ("in a pipe", "sox in.wav -t wav - | earfilt apply - - -f headphone | aplay"),
        ),
        "response": (
            ("a drawing in the terminal", "earfilt response -f middle-ear --show"),
            ("numbers and a figure", "earfilt response -f headphone -f middle-ear -o c.csv -o "
            "c.png"),
            ("numbers at some frequencies", "earfilt response -f iso532-free --freqs "
            "125,1000,8000"),
        ),
        "design": (
            ("a FIR for a convolver", "earfilt design -f middle-ear --fs 48000 -o middle-ear.wav"),
            ("the fewest taps within 0.5 dB", "earfilt design -f headphone --fs 48000 --tolerance "
            "0.5 -o h.json"),
            ("eight biquads", "earfilt design -f iso532-free --fs 48000 --sections 8 -o "
            "eq.sos.json"),
        ),
        "fit": (
            ("a sweep to play", "earfilt fit --make-sweep -o sweep.wav"),
            ("the curve, from a recording of the sweep", "earfilt fit --sweep sweep.wav "
            "--recorded rec.wav -o "
            "mine.csv"),
            ("the curve, from any sound before and after", "earfilt fit --input dry.wav --target "
            "wet.wav -o "
            "rig.csv"),
            ("an ear adapted to a curve", "earfilt fit --curve mine.csv --start middle-ear -o "
            "mine.json"),
        ),
        "verify": (
            ("are the outputs as they were written?", "earfilt verify filtered"),
        ),
        "filters": (
            ("all of them", "earfilt filters"),
            ("one, with its source", "earfilt filters middle-ear"),
            ("the ways from one point to another", "earfilt filters --from free-field --to "
            "eardrum"),
        ),
        "help": (
            ("a topic", "earfilt help levels"),
            ("a command", "earfilt help apply"),
        ),
    }
)  # fmt: skip
"""What is typed most, with the words above it. Each runs in a test."""

_MARKS = {BATCH: "--files-from", CURVE: "--filter"}
"""Groups of commands with such an option; elsewhere the same flags mean something else."""

_FLAG_WIDTH = 24  # of options; longer ones stand on a line of their own
_TURNED_OFF = frozenset(("--no-normalize-gain",))  # on by default in the filters that have it


@dataclass(frozen=True)
class Page:
    """A command's help.

    Parameters
    ----------
    name : str
        As it is typed.
    usage : str
        What follows the name.
    text : str
        What it does; paragraphs apart by an empty line.
    examples : sequence of (str, str)
        What for, and the command.
    groups : sequence of (str, sequence of (str, str))
        A title, and flags with what they do.
    epilog : str
    """

    name: str
    usage: str
    text: str
    examples: Sequence[tuple[str, str]]
    groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    epilog: str


def page_of(command: Any, ctx: Any) -> Page:
    """The help of a command of the parser."""
    return Page(
        ctx.command_path,
        " ".join(command.collect_usage_pieces(ctx)),
        (command.help or "").strip(),
        EXAMPLES.get(command.name or "", ()),
        tuple(_groups(command, ctx)),
        (command.epilog or "").strip(),
    )


def write(page: Page, formatter: Any) -> None:
    """Write a page for a terminal into the parser's formatter."""
    formatter.write_usage(page.name, page.usage)
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(page.text)
    if page.examples:
        with formatter.section("Examples"):
            for what, typed in page.examples:
                formatter.write(f"{'':{formatter.current_indent}}# {what}\n")
                formatter.write(f"{'':{formatter.current_indent}}{typed}\n")
    for title, rows in page.groups:
        with formatter.section(title):
            formatter.write_dl([(f"{flags:<{_FLAG_WIDTH}}", text) for flags, text in rows])
    if page.epilog:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(page.epilog)


def _groups(command: Any, ctx: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    arguments: list[tuple[str, str]] = []
    options: dict[str, list[tuple[str, str]]] = {title: [] for title in GROUPS}
    flags = {flag for one in command.get_params(ctx) for flag in one.opts}
    foreign = {title for title, flag in _MARKS.items() if flag not in flags}
    for parameter in command.get_params(ctx):
        if parameter.param_type_name == "argument":
            arguments.append((parameter.metavar, parameter.help or ""))
        elif row := _row(parameter, ctx):
            title = _title(parameter)
            options[OWN if title in foreign else title].append(row)
    if arguments:
        yield "Arguments", arguments
    yield from ((title, rows) for title, rows in options.items() if rows)


def _title(parameter: Any) -> str:
    """The group of an option."""
    flags = {*parameter.opts, *parameter.secondary_opts}
    found = (title for title, members in GROUPS.items() if flags & members)
    return next(found, FILTER if getattr(parameter, "of_filters", False) else OWN)


def _row(parameter: Any, ctx: Any) -> tuple[str, str] | None:
    """Flags of an option and what it does; of two opposite flags the one that changes something."""
    record = parameter.get_help_record(ctx)
    if record is None or not parameter.secondary_opts:
        return record
    off = parameter.default or parameter.secondary_opts[0] in _TURNED_OFF
    shown = parameter.secondary_opts if off else parameter.opts
    return ", ".join(shown), parameter.help
