"""``earfilt apply`` on more than one file: what is said and shown around a batch."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earfilt.cli.streams import say
from earfilt.errors import AudioError, UsageError, printable
from earfilt.report.rows import Totals, duration, failures, table

if TYPE_CHECKING:
    from earfilt.batch.corpus import Batch
    from earfilt.batch.plan import Plan
    from earfilt.render.process import FileJob
    from earfilt.render.record import Row
    from earfilt.report.file import Exists, JsonLines

_TIME_AND_BAR = 12  # the fewest columns of a terminal that both take


def _many(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar)


FilesFrom = Annotated[
    str | None,
    _many(
        "--files-from",
        metavar="FILE|-",
        help="Also filter the inputs that FILE lists, one per line.",
    ),
]
Nul = Annotated[
    bool,
    _many("-0", "--null", help="The list's entries end with NUL, as find -print0 writes them."),
]
Include = Annotated[
    list[str] | None, _many("--include", metavar="GLOB", help="Only files that match. Repeatable.")
]
Exclude = Annotated[
    list[str] | None,
    _many(
        "--exclude", metavar="GLOB", help="Leave out files and directories that match. Repeatable."
    ),
]
Resume = Annotated[
    bool,
    _many(
        "--resume",
        help="Filter only what is missing, has changed, or was made with another filter.",
    ),
]
Jobs = Annotated[
    int | None,
    _many("-j", "--jobs", metavar="N", help="Files filtered at once (default: one per core)."),
]
DryRun = Annotated[bool, _many("--dry-run", help="Print the plan, with what will fail, and stop.")]
FailFast = Annotated[bool, _many("--fail-fast", help="Stop at the first file that fails.")]
Report = Annotated[
    str | None,
    _many(
        "--report",
        metavar="FILE|-",
        help="Write a row for each file, as JSON lines; for FILE.html or FILE.csv, also a page or "
        "a table.",
    ),
]
Shard = Annotated[
    str | None,
    _many(
        "--shard",
        metavar="I/N",
        help="Only the I-th of N parts of the files, I from 1; for job arrays.",
    ),
]
Dask = Annotated[
    str | None,
    _many(
        "--dask",
        metavar="WHERE",
        help="Run on a Dask cluster: local, a scheduler's address, or its scheduler file.",
    ),
]


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """(I, N) of ``I/N``.

    Raises
    ------
    UsageError
        Not of that form, or I is not 1 to N.

    >>> parse_shard("2/8")
    (2, 8)
    """
    if text is None:
        return None
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise UsageError(
            f"--shard is '{printable(text)}'; it must be I/N with I from 1 to N, e.g. 1/8"
        )
    return int(index), int(count)


def apply_many(
    batch: "Batch",
    inputs: Sequence[str],
    output: str | None,
    *,
    listed: Iterable[str] = (),
    files_from: str | None = None,
    report: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> int:
    """Plan a batch and do it.

    Parameters
    ----------
    output : str or None
        Directory of the outputs; None if they replace their sources.
    files_from : str, optional
        File of the listed inputs.
    report : str, optional
        File of the rows, or ``-``.

    Returns
    -------
    int
        Exit code: 1 if a file failed.
    """
    from earfilt.batch.corpus import prepare, run
    from earfilt.report.file import open_report
    from earfilt.storage.trees import make_directories

    started = time.perf_counter()
    plan = prepare(batch, inputs, output, listed=listed)
    _check_files(batch, plan, files_from=files_from, report=report)
    if dry_run:
        return _print_plan(batch, plan)
    if report is not None and os.path.dirname(os.path.abspath(report)) == os.path.abspath(
        plan.root
    ):
        make_directories(plan.root)  # where the outputs will be, a report may be too
    totals, begun, ended = Totals(passed_over=plan.passed_over), False, False
    late: list[Row] = []
    try:
        with open_report(
            report, exists=report_exists(batch.rules.exists), filter=batch.filter
        ) as rows_out:

            def take(row: "Row") -> None:
                totals.add(row)
                if rows_out is not None:
                    _write_row(rows_out, row)
                if verbose and row.status == "failed":
                    say(f"{printable(row.source)}: {printable(row.error or '')}")

            try:
                with (
                    closing(run(batch, plan, late)) as rows,
                    _progress(plan, totals, quiet=quiet) as show,
                ):
                    begun = True
                    for row, size in rows:
                        take(row)
                        show(size)
            finally:
                for row in late:
                    take(row)
        ended = True
    finally:
        if begun and not quiet:
            _print_totals(totals, plan, time.perf_counter() - started)
        elif begun and totals.failed:
            say(failures(totals))
        if begun and not ended and not quiet:
            _print_how_to_go_on(totals, plan)
    return 1 if totals.failed else 0


def _write_row(rows_out: "JsonLines", row: "Row") -> None:
    """Write a row of the report.

    Raises
    ------
    AudioError
        Its reader went away: unlike a table that is cut short, a batch has more to do.
    """
    try:
        rows_out.write(row)
    except BrokenPipeError as error:
        raise AudioError("the reader of the report went away, which ended the batch") from error


def _check_files(
    batch: "Batch", plan: "Plan", *, files_from: str | None, report: str | None
) -> None:
    """Refuse outputs and a report that would take the place of what this call reads, or of each
    other.
    """
    from earfilt.report.file import check_report
    from earfilt.storage.writing import refuse_inputs

    fixed = [*batch.filter.files, *([files_from] if files_from else [])]
    if not fixed and report is None:
        return  # that no output is an input is part of the plan
    found = [*plan.files, *plan.skipped]
    destinations = [plan.destination(file) for file in found]
    if fixed:
        refuse_inputs(destinations, fixed)
    sources = [file.source for file in (*found, *plan.bad, *plan.others)]
    written = [*destinations, *map(plan.destination, plan.others)]
    check_report(report, read=[*fixed, *sources], written=written)


def report_exists(outputs: str) -> "Exists":
    """What to do about a report that is there, from what is done about outputs: a run that goes on
    adds its rows.
    """
    return (
        "force" if outputs == "force" else "extend" if outputs in ("resume", "skip") else "refuse"
    )


def print_job(job: "FileJob") -> int:
    """The plan of one file to one file, checked."""
    from earfilt.render.process import check

    check(job)
    print("filter", printable(job.source), printable(job.destination), sep="\t")
    return 0


def _print_plan(batch: "Batch", plan: "Plan") -> int:
    from earfilt.batch.corpus import foresee

    failing = [(bad.source, bad.reason) for bad in plan.bad]
    for file, reason in foresee(batch, plan):
        if reason is None:
            print("filter", printable(file.source), printable(plan.destination(file)), sep="\t")
        else:
            failing.append((file.source, reason))
    for file in plan.skipped:
        print("skip", printable(file.source), printable(plan.destination(file)), sep="\t")
    for source, reason in failing:
        print("fail", printable(source), printable(reason), sep="\t")
    to_filter = len(plan.files) + len(plan.bad) - len(failing)
    counts = (
        f"{to_filter:,} to filter, {len(plan.skipped):,} to skip, {len(failing):,} that "
        f"fail, {plan.passed_over:,} not audio"
    )
    say(counts)
    return 1 if failing else 0


def _print_how_to_go_on(totals: Totals, plan: "Plan") -> None:
    """What is left of a batch that was interrupted, and how it is done."""
    from earfilt.batch.corpus import count_done

    done = count_done(plan, totals.done + totals.skipped)
    everything = len(plan.files) + len(plan.skipped) + len(plan.bad)
    say(
        f"{done:,} of {everything:,} files are done and whole; run the "
        "same command with --resume to continue"
    )


def _print_totals(totals: Totals, plan: "Plan", seconds: float) -> None:
    if totals.files:
        say(table(totals, seconds))
    elif not (plan.files or plan.skipped or plan.bad):
        say(f"no audio files found ({totals.passed_over:,} other files ignored)")


@contextmanager
def _progress(plan: "Plan", totals: Totals, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; gives the function that gets the bytes of each source that is done."""
    if quiet or not sys.stderr.isatty():
        yield lambda size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    files = len(plan.files) + len(plan.skipped) + len(plan.bad)
    started = time.perf_counter()
    console = Console(stderr=True)
    said = TextColumn("{task.fields[said]}", table_column=Column(no_wrap=True))
    left = TimeRemainingColumn(table_column=Column(no_wrap=True))
    bar = BarColumn(None, table_column=Column(ratio=1))  # what room there is
    with Progress(bar, said, left, console=console, transient=True, expand=True) as progress:
        task = progress.add_task("", total=sum(file.size for file in plan.files), said="")

        def show(size: int) -> None:
            words = progress_words(
                totals, files, time.perf_counter() - started, columns=console.width
            )
            progress.update(task, advance=size, said=words)

        yield show


def progress_words(totals: Totals, files: int, seconds: float, *, columns: int) -> str:
    """How far a batch is, in words that leave a terminal some room for a bar.

    Parameters
    ----------
    totals : Totals
        So far.
    files : int
        In all.
    seconds : float
        Since the start.
    columns : int
        Of the terminal.
    """
    speed = totals.audio_seconds / seconds if seconds else 0.0
    done, audio = f"{totals.files:,}/{files:,}", duration(totals.audio_seconds)
    forms = (
        f"{done} files, {audio} of audio, {speed:,.0f} × real time, left",
        f"{done} files, {audio}, {speed:,.0f} ×, left",
        f"{done}, {audio}, {speed:,.0f} ×, left",
    )
    return next((form for form in forms if len(form) + _TIME_AND_BAR <= columns), forms[-1])
