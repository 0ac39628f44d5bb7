"""``earfilt apply``: recordings through an ear."""

import glob
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earfilt.cli.commands import many
from earfilt.cli.options import (
    FilterCommand,
    FilterName,
    Precision,
    Quiet,
    Verbose,
    finder,
    refuse_without_effect,
)
from earfilt.cli.streams import say
from earfilt.errors import EarfiltError, UsageError

if TYPE_CHECKING:
    from earfilt.render.process import FileJob
    from earfilt.render.record import Row


class Clip(StrEnum):
    warn = "warn"
    error = "error"
    rescale = "rescale"
    float = "float"


class Encoding(StrEnum):
    s16le = "s16le"
    s24le = "s24le"
    s32le = "s32le"
    f32le = "f32le"
    f64le = "f64le"


class Tail(StrEnum):
    cut = "cut"
    keep = "keep"


class FullScale(StrEnum):
    peak = "peak"
    rms = "rms"


COMMAND = FilterCommand


def apply(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT... OUTPUT",
            help="One file to one file; several files, directories or globs to a directory "
            "(mirrored); - is stdin or stdout.",
            show_default=False,
        ),
    ] = None,
    *,
    filter_name: FilterName,
    ctx: typer.Context,
    subtype: Annotated[
        str | None,
        typer.Option(
            "--subtype",
            metavar="NAME",
            help="Sample format, e.g. PCM_24 or FLOAT (default: the input's).",
        ),
    ] = None,
    fmt: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="Container, e.g. wav or flac (default: by extension)."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Keep an existing output.")
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place", help="Replace the inputs themselves, atomically; give no OUTPUT."
        ),
    ] = False,
    metadata: Annotated[
        bool,
        typer.Option(
            "--metadata/--no-metadata", help="Do not carry over tags, pictures and chunks."
        ),
    ] = True,
    tail: Annotated[
        Tail,
        typer.Option("--tail", help="keep: lengthen the output by the order of a causal filter."),
    ] = Tail.cut,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Accept NaN and Inf (read as 0) and a source that is cut short."
        ),
    ] = False,
    ignore_length: Annotated[
        bool,
        typer.Option(
            "--ignore-length",
            help="Also read samples after the stated end of a file, and recordings joined to it.",
        ),
    ] = False,
    gain: Annotated[
        float, typer.Option("--gain", metavar="DB", help="Gain on top of the filter.")
    ] = 0.0,
    clip: Annotated[
        Clip | None,
        typer.Option(
            "--clip",
            help="What to do with samples beyond full scale: warn (clip and count them, the "
            "default), fail, scale the whole file to fit, or write floating point.",
        ),
    ] = None,
    dither: Annotated[
        bool,
        typer.Option(
            "--dither", help="Add triangular dither, seeded from the file's relative path."
        ),
    ] = False,
    full_scale_spl: Annotated[
        float | None,
        typer.Option(
            "--full-scale-spl",
            metavar="DB",
            help="Level of digital full scale in dB SPL, to report levels in dB SPL (AMT: "
            "93.98, or 100 in older models, with rms); of the output where the filter gives sound "
            "pressure.",
        ),
    ] = None,
    full_scale: Annotated[
        FullScale | None,
        typer.Option(
            "--full-scale",
            help="What has that level: peak, a sine that reaches full scale; rms "
            "(default), a signal whose RMS is 1.0.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:N, mps or auto.")
    ] = "cpu",
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="auto: float64 for 24- and 32-bit integers and DOUBLE, and wherever float32 "
            "would change the output.",
        ),
    ] = Precision.auto,
    raw: Annotated[
        Encoding | None,
        typer.Option(
            "--raw",
            help="INPUT has no header and holds such samples, little-endian and interleaved; "
            "needs --rate and --channels.",
        ),
    ] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", metavar="HZ", help="Sampling rate of a raw INPUT.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", metavar="N", help="Channels of a raw INPUT.")
    ] = None,
    to_raw: Annotated[
        bool,
        typer.Option(
            "--to-raw", help="Write samples without a header, in the encoding of the INPUT."
        ),
    ] = False,
    latency_ms: Annotated[
        float | None,
        typer.Option(
            "--latency-ms",
            metavar="MS",
            help="Longest block of output; the filter's look-ahead comes on top (default: the "
            "length that is filtered fastest, about 80 ms for short filters).",
        ),
    ] = None,
    files_from: many.FilesFrom = None,
    nul: many.Nul = False,
    include: many.Include = None,
    exclude: many.Exclude = None,
    resume: many.Resume = False,
    jobs: many.Jobs = None,
    report: many.Report = None,
    dry_run: many.DryRun = False,
    fail_fast: many.FailFast = False,
    shard: many.Shard = None,
    dask: many.Dask = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Filter recordings through an ear; the output keeps container, sample format, rate, channels and
    number of frames.
    """
    if force + skip_existing + resume > 1:
        raise UsageError("--force, --skip-existing and --resume exclude each other")
    if in_place and skip_existing:
        raise UsageError(
            "--in-place and --skip-existing exclude each other: what is replaced exists"
        )
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is {jobs}; it must be at least 1")
    if dry_run:
        refuse_without_effect({"--report": report}, "a dry run filters nothing that it could tell")
    if files_from is None:
        refuse_without_effect(
            {"-0": nul}, "it says how the entries of --files-from end; give --files-from"
        )
    if full_scale_spl is None:
        refuse_without_effect(
            {"--full-scale": full_scale},
            "it says what the level of --full-scale-spl belongs to; give --full-scale-spl",
        )
    _check_format(subtype, clip, dither=dither)
    inputs, output = _inputs_and_output(paths or [], in_place, files_from)
    if output is not None:
        _refuse_second_filter(output, inputs, filter_name)
    destination = None if files_from is not None else _one_to_one(inputs, output)
    of_batches = {"--resume": resume, "--shard": shard, "--dask": dask}
    if destination is not None and any(of_batches.values()):
        if output is not None and _is_one_file(inputs[0], output):
            instead = "" if output == "-" else "; --skip-existing leaves an output that is there"
            refuse_without_effect(
                of_batches, f"the output is one file and no directory with a manifest{instead}"
            )
        destination = None
    if destination is not None and (include or exclude):
        if output is None or not os.path.isdir(output):
            refuse_without_effect(
                {"--include": include, "--exclude": exclude},
                "they choose among several files, and this is one",
            )
        destination = None
    if destination is None and "-" in inputs:
        raise UsageError("- (standard input) goes to one OUTPUT, a file or -, and to no directory")
    if destination == "-":
        refuse_without_effect(
            {"--skip-existing": skip_existing},
            "- is standard output, which holds nothing beforehand",
        )
    if destination is None and dask is None and not dry_run:
        from earfilt.batch.workers import warm_up

        warm_up()  # the engine loads beside all that follows
    from earfilt.render.job import FileJob, Options

    filter = finder(ctx)(filter_name)
    filter.check_design()
    options = Options(
        subtype=subtype,
        format=fmt,
        gain_db=gain,
        clip=(clip or Clip.warn).value,
        dither=dither,
        precision=precision.value,
        device=device,
        latency_ms=latency_ms,
        raw=None if raw is None else raw.value,
        rate=rate,
        channels=channels,
        to_raw=to_raw,
        metadata=metadata,
        repair=repair,
        ignore_length=ignore_length,
        tail=tail.value,
        full_scale_spl=full_scale_spl,
        full_scale=(full_scale or FullScale.rms).value,
        exists="force" if force else "skip" if skip_existing else "refuse",
        in_place=in_place,
    )
    say: dict[str, bool] = {"quiet": quiet, "verbose": verbose}
    if destination is not None:
        job = FileJob(inputs[0], destination, Path(inputs[0]).name, filter, options)
        _check_one(job, report)
        return many.print_job(job) if dry_run else _one_file(job, report=report, **say)

    refuse_without_effect(
        {"--raw": raw, "--to-raw": to_raw},
        "files without a header are filtered one at a time: one INPUT to one OUTPUT",
    )
    from earfilt.batch.corpus import Batch
    from earfilt.batch.plan import Rules
    from earfilt.batch.search import Selection, read_list

    rules = Rules(
        Selection(tuple(include or ()), tuple(exclude or ())),
        format=fmt,
        subtype=subtype,
        exists="resume" if resume else options.exists,
        in_place=in_place,
        shard=many.parse_shard(shard),
    )
    batch = Batch(filter, options, rules, jobs=jobs, fail_fast=fail_fast, dask=dask)
    listed = read_list(files_from, nul=nul) if files_from is not None else []
    return many.apply_many(
        batch,
        inputs,
        output,
        listed=listed,
        files_from=files_from,
        report=report,
        dry_run=dry_run,
        **say,
    )


def _check_format(subtype: str | None, clip: Clip | None, *, dither: bool) -> None:
    """Refuse what a sample format that was asked for makes pointless."""
    from earfilt.audio.formats import subtype_named

    if clip is Clip.float:
        integers = subtype if subtype is not None and subtype_named(subtype).bits else None
        reason = "--clip float writes floating point, which neither clips nor rounds"
        refuse_without_effect({"--dither": dither, "--subtype": integers}, reason)
    elif subtype is not None and not subtype_named(subtype).bits:
        refuse_without_effect(
            {"--dither": dither, "--clip": clip},
            f"{subtype} holds no integers, which clip and round",
        )


def _inputs_and_output(
    paths: list[str], in_place: bool, files_from: str | None
) -> tuple[list[str], str | None]:
    """Inputs, and the output unless the inputs are replaced."""
    if files_from is None and len(paths) < (1 if in_place else 2):
        raise UsageError("--in-place needs an INPUT" if in_place else "give an INPUT and an OUTPUT")
    if in_place:
        if "-" in paths:
            raise UsageError("--in-place replaces files, and - is standard input")
        return paths, None
    if not paths:
        raise UsageError("give an OUTPUT, the directory for the listed files")
    if "-" in paths[:-1] and (len(paths) > 2 or files_from is not None):
        raise UsageError("- (standard input) must be the only INPUT, with one OUTPUT")
    return paths[:-1], paths[-1]


def _refuse_second_filter(output: str, inputs: list[str], filter_name: str) -> None:
    """Refuse the name of another filter where a directory would be made of it: it was meant to
    follow ``-f``, and what stands before it, to be the output.
    """
    from earfilt.chains.members import is_chain_of_names

    if (
        len(inputs) < 2
        or os.path.lexists(output)
        or output in (filter_name, *filter_name.split("+"))
        or not is_chain_of_names(output)
    ):
        return
    raise UsageError(
        f"{output} is the name of a filter, and would become a directory; filters one after the "
        f"other are -f {shlex.quote(f'{filter_name}+{output}')}, and a directory of that name is "
        f"given as {output}/"
    )


def _one_to_one(inputs: list[str], output: str | None) -> str | None:
    """The output file where one file goes to one file (or into a directory that is there); None for
    a batch.
    """
    if len(inputs) != 1:
        return None
    source = inputs[0]
    if source != "-" and (
        os.path.isdir(source) or (glob.has_magic(source) and not os.path.lexists(source))
    ):
        return None
    if output is None:
        return source
    if output == "-":
        return output
    if os.path.isdir(output):
        return None if source == "-" else os.path.join(output, os.path.basename(source))
    return None if output.endswith((os.sep, "/")) else output


def _is_one_file(source: str, output: str) -> bool:
    """Whether the output of one source can only be a file: a name without an extension may be that
    of a directory to be made.
    """
    from earfilt.audio.formats import SUFFIXES

    sound = os.path.splitext(output)[1].lower() in SUFFIXES
    return "-" in (source, output) or (sound and not os.path.isdir(output))


def _one_file(job: "FileJob", *, report: str | None, quiet: bool, verbose: bool) -> int:
    from earfilt.report.file import open_report
    from earfilt.report.rows import summary

    with open_report(
        report, exists=many.report_exists(job.options.exists), filter=job.filter
    ) as rows:
        row, failure = _filter_one(job, quiet=quiet)
        if rows is not None:
            rows.write(row)
    if failure is not None:
        raise failure
    if not quiet:
        say(summary(row, verbose=verbose))
    return 0


def _check_one(job: "FileJob", report: str | None) -> None:
    """Refuse an output and a report that would take the place of what this call reads, or of each
    other.
    """
    from earfilt.report.file import check_report
    from earfilt.storage.writing import refuse_inputs

    filter_files = job.filter.files
    refuse_inputs([job.destination], filter_files)
    outputs = [] if job.options.in_place else [job.destination]
    check_report(report, read=[job.source, *filter_files], written=outputs)


def _filter_one(job: "FileJob", *, quiet: bool) -> "tuple[Row, EarfiltError | None]":
    """The row of one file, and what made it fail; a refusal is raised: it leaves no row."""
    from earfilt.render.process import check, filter_file
    from earfilt.render.record import Row

    try:
        info = check(job)
        with _progress(info.frames if info else None, quiet=quiet) as advance:
            return filter_file(job, progress=advance), None
    except UsageError:
        raise
    except EarfiltError as error:
        return Row(
            job.source,
            job.destination,
            job.name,
            "failed",
            error=str(error),
            reason=error.reason,
            filter=job.filter.applied,
        ), error


# Shorter files are done before a bar could be read.
_FRAMES_WORTH_A_BAR = 1 << 25


@contextmanager
def _progress(frames: int | None, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal for a long file; gives the function that gets the frames done so far, or
    None.
    """
    if quiet or not sys.stderr.isatty() or (frames or 0) < _FRAMES_WORTH_A_BAR:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    with Progress(
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=frames)
        yield lambda done: bar.update(task, completed=done)
