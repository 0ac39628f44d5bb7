"""``earfilt apply``: recordings through an ear."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from earfilt.cli.options import FilterName, Precision, Quiet, SpecMaker, Verbose, takes_filter_options
from earfilt.errors import UsageError

_OUTPUT, _LEVEL, _MANY, _RUN = "Output", "Level", "Many files", "Computation"


class Clip(StrEnum):
    warn = "warn"
    error = "error"
    rescale = "rescale"
    float = "float"


class Tail(StrEnum):
    cut = "cut"
    keep = "keep"


class FullScale(StrEnum):
    peak = "peak"
    rms = "rms"


@takes_filter_options
def apply(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT... OUTPUT",
            help="One file to one file; several files, directories or globs to a directory (mirrored); - is stdin or stdout.",
            show_default=False,
        ),
    ] = None,
    *,
    filter_name: FilterName,
    make_spec: SpecMaker,
    subtype: Annotated[
        str | None, typer.Option(metavar="NAME", help="Sample format, e.g. PCM_24 or FLOAT (default: the input's).", rich_help_panel=_OUTPUT)
    ] = None,
    fmt: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="Container, e.g. wav or flac (default: by extension).", rich_help_panel=_OUTPUT),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.", rich_help_panel=_OUTPUT)] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave an existing output.", rich_help_panel=_OUTPUT)] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace the inputs themselves, atomically; give no OUTPUT.", rich_help_panel=_OUTPUT)
    ] = False,
    metadata: Annotated[
        bool, typer.Option("--metadata/--no-metadata", help="Carry chunks, tags and pictures over.", rich_help_panel=_OUTPUT)
    ] = True,
    tail: Annotated[
        Tail, typer.Option(help="keep: the output is longer by the order of a causal filter.", rich_help_panel=_OUTPUT)
    ] = Tail.cut,
    repair: Annotated[
        bool, typer.Option("--repair", help="Go on with NaN and Inf (as 0) and with a source cut short.", rich_help_panel=_OUTPUT)
    ] = False,
    gain: Annotated[float, typer.Option(metavar="DB", help="Gain beside the filter.", rich_help_panel=_LEVEL)] = 0.0,
    clip: Annotated[
        Clip,
        typer.Option(
            help="Samples beyond full scale: count them; fail; scale the file to fit; write a float format.", rich_help_panel=_LEVEL
        ),
    ] = Clip.warn,
    dither: Annotated[
        bool, typer.Option("--dither", help="Triangular dither, seeded from the file's relative path.", rich_help_panel=_LEVEL)
    ] = False,
    full_scale_spl: Annotated[
        float | None,
        typer.Option(
            metavar="DB",
            help="Level of digital full scale in dB SPL, to report levels in dB SPL (AMT: 93.98, or 100 in older models, with rms).",
            rich_help_panel=_LEVEL,
        ),
    ] = None,
    full_scale: Annotated[
        FullScale,
        typer.Option(
            help="What that level belongs to: peak, a sine that reaches full scale; rms, a signal whose RMS is 1.0.",
            rich_help_panel=_LEVEL,
        ),
    ] = FullScale.rms,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu, cuda, cuda:N, mps or auto.", rich_help_panel=_RUN)] = "cpu",
    precision: Annotated[
        Precision,
        typer.Option(help="auto: float64 for 24- and 32-bit integers and DOUBLE, else float32.", rich_help_panel=_RUN),
    ] = Precision.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Put recordings through an ear; the output keeps container, sample format, rate, channels and number of frames."""
    from earfilt.filterspec import check as check_spec
    from earfilt.process import FileJob, Options

    if force and skip_existing:
        raise UsageError("--force and --skip-existing exclude each other")
    spec = make_spec(filter_name)
    check_spec(spec)
    options = Options(
        subtype=subtype,
        format=fmt,
        gain_db=gain,
        clip=clip.value,
        dither=dither,
        precision=precision.value,
        device=device,
        metadata=metadata,
        repair=repair,
        tail=tail.value,
        full_scale_spl=full_scale_spl,
        full_scale=full_scale.value,
        exists="force" if force else "skip" if skip_existing else "refuse",
        in_place=in_place,
    )
    source, destination = _one_to_one(paths or [], in_place)
    return _one_file(FileJob(source, destination, Path(source).name, spec, options), quiet=quiet)


def _one_to_one(paths: list[str], in_place: bool) -> tuple[str, str]:
    """Input and output of a single file."""
    if in_place and len(paths) == 1:
        return paths[0], paths[0]
    if in_place:
        raise UsageError("--in-place takes inputs only, no OUTPUT")
    if len(paths) != 2:
        raise UsageError("give an INPUT and an OUTPUT")
    return paths[0], paths[1]


def _one_file(job: "FileJob", *, quiet: bool) -> int:  # noqa: F821
    from earfilt.process import check, filter_file
    from earfilt.report import summary

    info = check(job)
    with _progress(info.frames if info else None, quiet=quiet) as advance:
        row = filter_file(job, progress=advance)
    if not quiet:
        print(summary(row), file=sys.stderr)
    return 0


# Shorter files are done before a bar could be read.
_FRAMES_WORTH_A_BAR = 1 << 25


@contextmanager
def _progress(frames: int | None, *, quiet: bool) -> "Iterator[object]":
    """A bar on a terminal for a long file; gives the function that gets the frames done so far, or None."""
    if quiet or not sys.stderr.isatty() or (frames or 0) < _FRAMES_WORTH_A_BAR:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    with Progress(BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=frames)
        yield lambda done: bar.update(task, completed=done)
