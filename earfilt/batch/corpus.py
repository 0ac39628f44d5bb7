"""A batch from its wishes to its rows: plan, leave what is done, run, keep the manifest."""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

from earfilt import __version__, audio, filterspec, process
from earfilt.audio.destination import sweep
from earfilt.batch import executors
from earfilt.batch import plan as planning
from earfilt.batch.manifest import Entry, Manifest, open_manifest, read_ledger, recipe_id, stamp
from earfilt.batch.plan import Plan, Rules
from earfilt.batch.run import Outcome, Runner, Task, Unit
from earfilt.batch.search import Bad, Found
from earfilt.errors import AudioError, EarfiltError, UsageError, printable
from earfilt.filterspec import FilterSpec
from earfilt.process import FileJob, Options
from earfilt.row import Row

_TASK_SECONDS = 600.0
_CD_BYTES = 176_400.0


@dataclass(frozen=True)
class Batch:
    """What is to be done to the files.

    Parameters
    ----------
    spec : FilterSpec
    options : Options
        Of each file; ``exists`` and ``in_place`` follow from the rules.
    rules : Rules
    jobs : int, optional
        Files in work at once; default the cores.
    fail_fast : bool
        End at the first failure.
    dask : str, optional
        ``local``, a scheduler's address or its file: the work is done there.
    """

    spec: FilterSpec
    options: Options = field(default_factory=Options)
    rules: Rules = field(default_factory=Rules)
    jobs: int | None = None
    fail_fast: bool = False
    dask: str | None = None

    def recipe(self) -> dict[str, Any]:
        """Everything, beside the source and the coefficients, that decides the bytes of an output."""
        settings = asdict(self.options)
        for name in ("exists", "in_place", "full_scale", "full_scale_spl"):
            del settings[name]
        tables = {table.id: table.sha256 for member in filterspec.check(self.spec) for table in member.tables}
        return {"version": __version__, "filter": asdict(self.spec), "tables": tables, "options": settings}


def prepare(batch: Batch, inputs: Sequence[str], output: str | None, *, listed: Iterable[str] = ()) -> Plan:
    """The plan of a batch, with everything checked that can be known before the first write.

    Raises
    ------
    UsageError, AudioError
        As `make_plan` and `check_space`; an option that the filter does not have.
    """
    if batch.jobs is not None and batch.jobs < 1:
        raise UsageError(f"--jobs is {batch.jobs}; it must be at least 1")
    recipe = recipe_id(batch.recipe())
    plan = planning.make_plan(inputs, output, batch.rules, listed=listed)
    if batch.rules.exists == "resume":
        _leave_done(batch, plan, recipe)
    elif batch.rules.in_place and batch.rules.exists != "force":
        _refuse_twice(plan)
    planning.check_space(plan, batch.options.subtype)
    return plan


def _leave_done(batch: Batch, plan: Plan, recipe: str) -> None:
    """Take from the plan what the manifest vouches for."""
    ledger = read_ledger(plan.root)
    files, plan.files = plan.files, []
    hashes = cache(lambda fs: _coefficients(batch.spec, fs))
    for file in files:
        entry = ledger.entries.get(file.name)
        if entry is not None and batch.rules.in_place:
            _sort_in_place(plan, file, entry, recipe)
        elif entry is not None and _vouched(plan, file, entry, recipe) and hashes(entry.fs) == entry.coefficients:
            plan.skipped.append(file)
        else:
            plan.files.append(file)


def _refuse_twice(plan: Plan) -> None:
    """What was filtered in place is not filtered once more unasked."""
    entries = read_ledger(plan.root).entries
    done = [file for file in plan.files if (entry := entries.get(file.name)) and entry.output == (file.size, file.mtime_ns)]
    if done:
        more = f" (and {len(done) - 1:,} more)" if len(done) > 1 else ""
        name = printable(done[0].source)
        raise UsageError(f"{name} was filtered in place before{more}; --resume leaves such files, --force filters them once more")


def _coefficients(spec: FilterSpec, fs: float) -> str:
    from earfilt.spec import realise

    try:
        return realise(spec, fs).sha256
    except UsageError:
        return ""


def _vouched(plan: Plan, file: Found, entry: Entry, recipe: str) -> bool:
    if (file.size, file.mtime_ns) != entry.source or recipe != entry.recipe or plan.output_name(file.name) != entry.path:
        return False
    return _stamped(plan.destination(file)) == entry.output


def _stamped(path: str) -> tuple[int, int] | None:
    try:
        return stamp(path)
    except OSError:
        return None


def _sort_in_place(plan: Plan, file: Found, entry: Entry, recipe: str) -> None:
    """A file that was replaced must not be filtered again; one that was about to be is told by its inode."""
    begun = entry.inode != 0
    if begun and (entry.source, entry.inode) == ((file.size, file.mtime_ns), file.inode):
        plan.files.append(file)
    elif not begun and entry.output != (file.size, file.mtime_ns):
        plan.files.append(file)  # failed before, or changed since
    elif entry.recipe != recipe:
        plan.bad.append(Bad(file.source, file.name, "was filtered in place with other settings; its original is gone"))
    else:
        plan.skipped.append(file)


def run(batch: Batch, plan: Plan) -> Generator[tuple[Row, int], None, None]:
    """Do what was planned: a row for every file, as they are done, with the bytes of its source.

    Rows of what failed before any work come first, then those of what is skipped. Closing the iterator ends the work: files that are
    not finished leave nothing behind.

    Raises
    ------
    AudioError
        The manifest cannot be written.
    UsageError
        The Dask cluster cannot be reached.
    """
    for bad in plan.bad:
        yield Row(bad.source, "", bad.name, "failed", error=bad.reason, filter=batch.spec.name), 0
        if batch.fail_fast:
            return
    for file in plan.skipped:
        yield Row(file.source, plan.destination(file), file.name, "skipped", filter=batch.spec.name), 0
    try:
        if plan.files:
            yield from _work(batch, plan)
    finally:
        for directory in plan.directories():
            sweep(directory)  # what killed workers left, of this run or an earlier one


def foresee(batch: Batch, plan: Plan) -> Iterator[tuple[Found, str | None]]:
    """The files to filter, each with the reason for which it will fail where its header tells one; the sources are opened."""
    make = _Units(batch, plan, absolute=False)
    for file in plan.files:
        try:
            process.foresee(make(file).job)
        except EarfiltError as error:
            yield file, str(error)
        else:
            yield file, None


def _work(batch: Batch, plan: Plan) -> Iterator[tuple[Row, int]]:
    jobs = batch.jobs or executors.cores()
    # A GPU is fed by one process: several would share it by turns.
    workers = min(jobs, len(plan.files)) if batch.options.device == "cpu" else 1
    recipe = batch.recipe()
    name = recipe_id(recipe)
    with open_manifest(plan.root, batch.rules.shard) as manifest, _pool(batch, workers) as pool:
        manifest.recipe(name, recipe)
        threads = 1 if batch.dask else max(1, jobs // workers)
        tasks: Iterable[Task] = _tasks(batch, plan, pool)
        if batch.rules.in_place:
            tasks = _announced(tasks, manifest, name)
        for outcomes in Runner(pool, threads=threads, fail_fast=batch.fail_fast).outcomes(tasks):
            told = (outcome for outcome in outcomes if outcome.row.status != "skipped" or batch.rules.in_place)
            manifest.record((outcome.unit.job.name, _entry(outcome, plan, name)) for outcome in told)
            for outcome in outcomes:
                yield outcome.row, outcome.unit.source[0]


def _pool(batch: Batch, workers: int) -> AbstractContextManager[executors.Pool]:
    return executors.dask(batch.dask, workers) if batch.dask else executors.processes(workers)


def _tasks(batch: Batch, plan: Plan, pool: executors.Pool) -> Iterator[Task]:
    files, share = plan.files, max(1, 4 * pool.slots())
    if pool.shared_disk:
        max_bytes = min(_TASK_SECONDS * bytes_per_second(files), sum(file.size for file in files) / share)
        portions = planning.tasks(files, max_bytes=int(max_bytes) + 1, max_files=10_000)
    else:
        portions = planning.tasks(files, max_bytes=2 << 20, max_files=min(32, len(files) // share + 1))
    make = _Units(batch, plan, absolute=pool.shared_disk)
    return ([make(file) for file in portion] for portion in portions)


class _Units:
    """Makes the units of a batch."""

    def __init__(self, batch: Batch, plan: Plan, *, absolute: bool) -> None:
        self._plan, self._absolute = plan, absolute
        self._spec = _with_absolute_paths(batch.spec) if absolute else batch.spec
        # What was there when the batch was planned may be replaced; else whoever comes second to a name is to know.
        # A cluster may run a task again that had finished, so that there, an output of this batch's own is no obstacle.
        exists: audio.Exists = "skip" if batch.rules.exists == "skip" else "refuse"
        if absolute or batch.rules.exists in ("force", "resume"):
            exists = "force"
        self._options = replace(batch.options, exists=exists, in_place=batch.rules.in_place)

    def __call__(self, file: Found) -> Unit:
        source = file.source
        destination = source if self._options.in_place else self._plan.destination(file)
        if self._absolute:
            source, destination = os.path.abspath(source), os.path.abspath(destination)
        job = FileJob(source, destination, file.name, self._spec, self._options)
        return Unit(job, (file.size, file.mtime_ns), file.inode)


def _with_absolute_paths(spec: FilterSpec) -> FilterSpec:
    """The filter for workers whose current directory is another."""
    if filterspec.is_path(spec.name) and os.path.exists(spec.name):
        return replace(spec, name=os.path.abspath(spec.name))
    pieces = spec.name.split("+")
    return replace(spec, name="+".join(os.path.abspath(piece) if filterspec.is_path(piece) else piece for piece in pieces))


def bytes_per_second(files: Sequence[Found], samples: int = 16) -> float:
    """Bytes that a second of audio takes, from a sample of files spread over all; a CD's where none can be read."""
    size = seconds = 0.0
    for file in files[:: max(1, len(files) // samples)]:
        try:
            length = audio.probe(file.source).seconds
        except AudioError:
            continue
        if length:
            size, seconds = size + file.size, seconds + length
    return size / seconds if seconds else _CD_BYTES


def _announced(tasks: Iterable[Task], manifest: Manifest, recipe: str) -> Iterator[Task]:
    """State before a file is replaced that it will be."""
    for task in tasks:
        manifest.record((unit.job.name, Entry(unit.source, recipe=recipe, inode=unit.inode)) for unit in task)
        yield task


def _entry(outcome: Outcome, plan: Plan, recipe: str) -> Entry:
    row = outcome.row
    if row.status == "failed":
        return Entry(outcome.unit.source, recipe=recipe, error=row.error or "failed")
    path = plan.output_name(outcome.unit.job.name)
    return Entry(outcome.unit.source, outcome.output, recipe, float(row.fs or 0), row.coefficients_sha256 or "", path)
