"""A batch from its wishes to its rows: plan, leave what is done, run, keep the manifest."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from earfilt.batch import executors
from earfilt.batch import plan as planning
from earfilt.batch.plan import Plan, Rules
from earfilt.batch.run import REPLACED, Outcome, Runner, Task, Unit
from earfilt.batch.search import Bad, Found
from earfilt.chains.members import Filter
from earfilt.cores import cores
from earfilt.errors import AudioError, EarfiltError, UsageError, printable
from earfilt.render import in_place
from earfilt.render.job import FileJob, Options, new_run
from earfilt.render.recipe import Recipe, recipe_of
from earfilt.render.record import Row
from earfilt.storage.manifest import (
    NO_OUTPUT,
    Entry,
    Ledger,
    Manifest,
    Stamp,
    content_hash_at,
    open_manifest,
    read_ledger,
    stamp,
)
from earfilt.storage.output import Exists, sweep
from earfilt.storage.streams import is_of_the_system
from earfilt.storage.trees import Home
from earfilt.wording import existing, option

_TASK_SECONDS = 600.0
_CD_BYTES = 176_400.0


@dataclass(frozen=True)
class Batch:
    """What a batch does to its files.

    Parameters
    ----------
    filter : Filter
        What its files held when it was resolved is what is applied to every recording.
    options : Options
        Of each file; ``exists`` and ``in_place`` follow from the rules, and ``auto`` is the CPU.
    rules : Rules
    jobs : int, optional
        Files in work at once; default the cores.
    fail_fast : bool
        End at the first failure.
    dask : str, optional
        ``local``, a scheduler's address or its file: the work is done there.
    """

    filter: Filter
    options: Options = field(default_factory=Options)
    rules: Rules = field(default_factory=Rules)
    jobs: int | None = None
    fail_fast: bool = False
    dask: str | None = None

    def __post_init__(self) -> None:
        if self.options.device == "auto":
            # Several files at once keep all cores busy, which a device that one process has to
            # feed does not help.
            object.__setattr__(self, "options", replace(self.options, device="cpu"))

    def recipe(self) -> Recipe:
        """Everything beside the source that decides the bytes of an output."""
        return recipe_of(self.filter, self.options)


def prepare(
    batch: Batch, inputs: Sequence[str], output: str | None, *, listed: Iterable[str] = ()
) -> Plan:
    """The plan of a batch, with everything checked that can be known before the first write.

    Raises
    ------
    UsageError, AudioError
        As `make_plan`, `check_permission` and `check_space`; an option that the filter does not
        have; a manifest of another version's defaults; a device that this machine, where it does the
        work, has not.
    """
    if batch.jobs is not None and batch.jobs < 1:
        raise UsageError(f"{option('jobs')} is {batch.jobs}; it must be at least 1")
    if batch.dask is not None:
        executors.check_dask()
    if batch.options.device != "cpu" and batch.dask in (None, "local"):
        from earfilt.render.process import resolve_device  # and torch, which a device needs

        # asked here, since workers leave short files to the CPU, whatever was named
        resolve_device(batch.options.device, lambda: False)
    recipe = batch.recipe()
    if output is not None and is_of_the_system(os.path.join(output, "")):
        raise UsageError(
            f"{printable(output)} is a directory of the system's own, which holds devices and "
            "processes; name another one"
        )
    plan = planning.make_plan(inputs, output, batch.rules, listed=listed)
    if batch.rules.in_place:
        _sort_in_place(batch, plan, recipe, filter(os.path.isdir, inputs))
        for file in {plan.place(file): file for file in plan.files}.values():
            in_place.check_record(file.source)
    elif batch.rules.exists in ("resume", "skip"):
        ledger = read_ledger(plan.root)
        _check_version(
            recipe,
            {entry.recipe for entry in ledger.entries.values() if not entry.error},
            ledger.recipes,
            plan.root,
            in_place=False,
        )
        if batch.rules.exists == "resume":
            _leave_done(plan, recipe, ledger)
    planning.check_permission(plan)
    planning.check_space(plan, batch.options.subtype)
    return plan


def _check_version(
    recipe: Recipe,
    names: Iterable[str],
    recipes: Mapping[str, Mapping[str, Any]],
    root: str,
    *,
    in_place: bool,
) -> None:
    """Refuse to go on where the same request made something else under another version: that would
    be one corpus with two ears.

    Parameters
    ----------
    names : iterable of str
        The recipes of what is there.
    recipes : mapping
        What they stand for.
    in_place : bool
        The originals are gone: --force would filter twice.
    """
    for made_by in (recipes.get(name, {}) for name in sorted(names)):
        if (differs := recipe.other_default(made_by)) is not None:
            version = printable(str(made_by.get("version"))[:40])
            remedy = (
                f"add {differs} to continue it" if differs.startswith("--") else f"it was {differs}"
            )
            raise UsageError(
                f"{printable(root)} was begun with earfilt {version}, where the same request "
                f"meant another filter; {remedy}"
                + (
                    ""
                    if in_place
                    else f", or use {existing('force')} to do all of it with this version"
                )
            )


def _leave_done(plan: Plan, recipe: Recipe, ledger: Ledger) -> None:
    """Take from the plan what the manifest vouches for, and mark what lies where outputs belong and
    is none of a batch.
    """
    same = cache(lambda name: recipe.is_named(name, ledger.recipes))
    lead = cache(lambda directory: _lead(directory, plan))
    files, plan.files = plan.files, []
    for file in files:
        entry = ledger.entries.get(plan.output_name(file.name))
        own = entry is not None and _is_of(plan, file, entry, lead)
        done = own and entry is not None and same(entry.recipe) and _vouched(plan, file, entry)
        (plan.skipped if done else plan.files).append(file)
        path = plan.destination(file)
        if not done and os.path.lexists(path):  # no batch has made a link
            (plan.own if own and not os.path.islink(path) else plan.foreign).add(file.name)


def _is_of(plan: Plan, file: Found, entry: Entry, lead: Callable[[str], str]) -> bool:
    """Whether an output was made of this source, or begun: told by where the source lies or, where it
    was moved, by its content. Recordings of several days may share their names, sizes and times.
    """
    if entry.error:
        return False
    if not entry.source_path:  # of an earlier version, which took no paths down
        return entry.begun or not entry.source_sha256
    place = os.path.join(plan.root, entry.source_path)
    if entry.source_path == _source_path(file.source, lead) or _is_one(place, file.source):
        return True
    if not entry.source_sha256:
        return (file.size, file.mtime_ns) == entry.source
    try:
        return file.size == entry.source[0] and content_hash_at(file.source) == entry.source_sha256
    except OSError:
        return False


def _is_one(path: str, other: str) -> bool:
    with suppress(OSError):
        return os.path.samefile(path, other)
    return False


def _vouched(plan: Plan, file: Found, entry: Entry) -> bool:
    stamps = (file.size, file.mtime_ns), _stamped(plan.destination(file))
    return stamps == (entry.source, entry.output)


def _stamped(path: str) -> Stamp | None:
    try:
        return stamp(path)
    except OSError:
        return None


def _sort_in_place(batch: Batch, plan: Plan, recipe: Recipe, trees: Iterable[str]) -> None:
    """Leave what is filtered already, told by its content, or refuse: nothing is filtered twice
    unasked, nor what was moved within one of the directory trees.

    Raises
    ------
    UsageError
        A file was filtered before, and nothing says what to do about it; or it was with other
        settings, and the rest would not be.
    AudioError
        A manifest cannot be read, or not be written.
    """
    known = in_place.Known()
    for file in plan.files:
        known.read(file.source)
    for tree in trees:
        known.read_below(tree)
    known.read_in(plan.places)
    if batch.rules.exists == "force":
        return
    states = _states(known, plan)
    filtered = [(file, state) for file, state in states if state.kind == "filtered"]
    if batch.rules.exists == "refuse":
        _refuse([(file, state) for file, state in states if state.kind != "new"])
    recipes, found = (
        known.recipes(),
        {state.entry.recipe for _, state in filtered if state.entry is not None},
    )
    _check_version(recipe, found | known.last_recipes(), recipes, plan.root, in_place=True)
    same = cache(lambda name: recipe.is_named(name, recipes))
    others = [
        file for file, state in filtered if state.entry is not None and not same(state.entry.recipe)
    ]
    if others:
        raise UsageError(
            f"{printable(others[0].source)}{_and_more(others)} was filtered in place with "
            "other settings, and its original is gone; continue with the same filter and options, "
            f"or leave it out ({option('exclude')})"
        )
    for file, state in states:
        if state.kind in ("changed", "unclear"):
            plan.bad.append(Bad(file.source, file.name, in_place.message(file.source, state)))
    plan.files = [file for file, state in states if state.kind == "new"]
    plan.skipped += [file for file, _ in filtered]


def _states(known: in_place.Known, plan: Plan) -> list[tuple[Found, in_place.State]]:
    """What each file is; one that cannot be read says so when its turn comes."""

    def state(file: Found) -> in_place.State:
        try:
            return known.state(file.source)
        except OSError:
            return in_place.State("new")

    with ThreadPoolExecutor(cores(), "earfilt-hash") as pool:
        return list(zip(plan.files, pool.map(state, plan.files), strict=True))


def _refuse(old: Sequence[tuple[Found, in_place.State]]) -> None:
    if old:
        file, state = old[0]
        raise UsageError(in_place.message(file.source, state, _and_more(old)))


def _and_more(files: Sequence[object]) -> str:
    return f" (and {len(files) - 1:,} more)" if len(files) > 1 else ""


def run(
    batch: Batch, plan: Plan, late: list[Row] | None = None
) -> Generator[tuple[Row, int], None, None]:
    """Do what was planned: a row for every file, as they are done, with the bytes of its source.

    Rows of what failed before any work come first, then those of what is skipped. Closing the
    iterator ends the work: files that are not finished leave nothing behind.

    Parameters
    ----------
    late : list, optional
        Gets the rows of files that were finished when the work was ended, and had not been told of.

    Raises
    ------
    AudioError
        The manifest cannot be written.
    UsageError
        The Dask cluster cannot be reached.
    """
    for bad in plan.bad:
        yield (
            Row(
                bad.source,
                "",
                bad.name,
                "failed",
                error=bad.reason,
                reason=bad.reason,
                filter=batch.filter.applied,
            ),
            0,
        )
        if batch.fail_fast:
            return
    for file in plan.skipped:
        yield (
            Row(
                file.source,
                plan.destination(file),
                file.name,
                "skipped",
                filter=batch.filter.applied,
            ),
            0,
        )
    try:
        if plan.files:
            yield from _work(batch, plan, [] if late is None else late)
    finally:
        # what killed workers left, of this run or an earlier one
        for directory in plan.directories():
            sweep(plan.home.path(directory))


def count_done(plan: Plan, told: int) -> int:
    """How many files of a batch that was ended are done.

    Parameters
    ----------
    told : int
        By the rows that came. In place the files tell, which may be replaced and not be told of.
    """
    if not plan.in_place:
        return told
    return len(plan.skipped) + sum(_is_replaced(plan, file) for file in plan.files)


def _is_replaced(plan: Plan, file: Found) -> bool:
    """Whether a source is not the file any more that was found."""
    try:
        status = os.stat(plan.home.path(file.source))
    except OSError:
        return False
    now = status.st_size, status.st_mtime_ns, status.st_ino
    return now != (file.size, file.mtime_ns, file.inode)


def foresee(batch: Batch, plan: Plan) -> Iterator[tuple[Found, str | None]]:
    """The files to filter, each with the reason for which it will fail where its header tells one;
    the sources are opened.
    """
    from earfilt.render import process

    make = _Units(batch, plan, absolute=False)
    for file in plan.files:
        try:
            process.foresee(make(file).job)
        except EarfiltError as error:
            yield file, str(error)
        else:
            yield file, None


def _work(batch: Batch, plan: Plan, late: list[Row]) -> Iterator[tuple[Row, int]]:
    jobs = batch.jobs or cores()
    # A GPU is fed by one process: several would share it by turns.
    workers = 1 if _needs_device(batch, plan) else min(jobs, len(plan.files))
    recipe = batch.recipe()
    # In place, workers keep the record, beside each file and before it is replaced.
    root = plan.home.path(plan.root)
    kept = nullcontext() if batch.rules.in_place else open_manifest(root, batch.rules.shard)
    lead = cache(lambda directory: _lead(directory, plan))
    threads = 1 if batch.dask else max(1, jobs // workers)
    told: deque[Outcome] = deque()
    manifest, runner = None, None

    def record(outcomes: Sequence[Outcome]) -> None:
        told.extend(outcomes)
        if manifest is not None:
            # what died stays begun: what lies there may be its work
            made = (one for one in outcomes if one.known and one.row.status != "skipped")
            manifest.append(
                (outcome.unit.job.name, _entry(outcome, plan, recipe.name, lead))
                for outcome in made
            )

    try:
        with kept as manifest, _pool(batch, workers, plan) as pool:
            if manifest is not None:
                manifest.append([], (recipe.name, recipe.made_by))
            runner = Runner(pool, threads=threads, fail_fast=batch.fail_fast)
            for outcomes in runner.outcomes(_tasks(batch, plan, pool, manifest, lead)):
                record(outcomes)
                while told:
                    outcome = told.popleft()
                    yield outcome.row, outcome.unit.source[0]
    except BaseException:
        with suppress(EarfiltError):
            for outcomes in runner.rest() if runner is not None else ():
                record(outcomes)
        late.extend(outcome.row for outcome in told)
        raise


def _needs_device(batch: Batch, plan: Plan) -> bool:
    if batch.options.device == "cpu":
        return False
    from earfilt.engine.devices import is_short

    return not all(is_short(file.size) for file in plan.files)


def _pool(batch: Batch, workers: int, plan: Plan) -> AbstractContextManager[executors.Pool]:
    if batch.dask:
        return executors.dask(batch.dask, workers)
    return executors.processes(workers, plan.home)


def _tasks(
    batch: Batch,
    plan: Plan,
    pool: executors.Pool,
    manifest: Manifest | None,
    lead: Callable[[str], str],
) -> Iterator[Task]:
    """The work in portions; the manifest, if there is one, tells of each before it is begun."""
    files, share = plan.files, max(1, 4 * pool.slots())
    if pool.shared_disk:
        max_bytes = min(
            _TASK_SECONDS * bytes_per_second(files, plan.home),
            sum(file.size for file in files) / share,
        )
        portions = planning.tasks(files, max_bytes=int(max_bytes) + 1, max_files=10_000)
    else:
        portions = planning.tasks(
            files, max_bytes=2 << 20, max_files=min(32, len(files) // share + 1)
        )
    make = _Units(batch, plan, absolute=pool.shared_disk)
    recipe = batch.recipe().name
    for portion in portions:
        if manifest is not None:
            manifest.append(
                (file.name, _begun(file, plan, recipe, lead))
                for file in portion
                if file.name not in plan.foreign
            )
        yield [make(file) for file in portion]


def _begun(file: Found, plan: Plan, recipe: str, lead: Callable[[str], str]) -> Entry:
    return Entry(
        (file.size, file.mtime_ns),
        recipe=recipe,
        path=plan.output_name(file.name),
        source_path=_source_path(file.source, lead),
        begun=True,
    )


def _source_path(source: str, lead: Callable[[str], str]) -> str:
    """Relative to the manifest."""
    directory, name = os.path.split(source)
    return os.path.join(lead(directory), name)


class _Units:
    """Makes the units of a batch."""

    def __init__(self, batch: Batch, plan: Plan, *, absolute: bool) -> None:
        self._plan, self._absolute, self._run = plan, absolute, new_run()
        self._filter = batch.filter
        self._recipe = batch.recipe().name
        exists: Exists = "refuse" if batch.rules.exists == "resume" else batch.rules.exists
        if batch.rules.in_place and exists != "force":
            # What was filtered since it was planned is left, whatever for: another run, or a worker
            # that died before it could tell.
            exists = "skip"
        self._options = replace(batch.options, exists=exists, in_place=batch.rules.in_place)
        # A cluster may repeat a task that had finished, and runs that go on may meet on one tree.
        self._may_be_done = absolute or batch.rules.exists == "resume"

    def __call__(self, file: Found) -> Unit:
        source = file.source
        destination = source if self._options.in_place else self._plan.destination(file)
        if self._absolute:
            home = self._plan.home
            source, destination = (
                os.path.abspath(home.path(path)) for path in (source, destination)
            )
        options = self._options
        if file.name in self._plan.own:
            options = replace(options, exists="force")
        job = FileJob(
            source,
            destination,
            file.name,
            self._filter,
            options,
            self._run,
            hashes=True,
            may_be_done=self._may_be_done and file.name not in self._plan.foreign,
            regular=True,
        )
        return Unit(job, (file.size, file.mtime_ns), self._recipe)


def bytes_per_second(files: Sequence[Found], home: Home, samples: int = 16) -> float:
    """Bytes that a second of audio takes, from a sample of files spread over all; a CD's where none
    can be read.
    """
    from earfilt.audio.reader import probe

    size = seconds = 0.0
    for file in files[:: max(1, len(files) // samples)]:
        try:
            length = probe(home.path(file.source), regular=True).seconds
        except AudioError:
            continue
        if length:
            size, seconds = size + file.size, seconds + length
    return size / seconds if seconds else _CD_BYTES


def _entry(outcome: Outcome, plan: Plan, recipe: str, lead: Callable[[str], str]) -> Entry:
    """The manifest's entry; `lead` gives the way from the manifest to a directory of sources."""
    row, source = outcome.row, outcome.unit.source
    path = plan.output_name(outcome.unit.job.name)
    if row.status == "failed":
        return Entry(source, recipe=recipe, path=path, error=row.error or "failed")
    if outcome.output == NO_OUTPUT:
        return Entry(source, recipe=recipe, path=path, error=REPLACED)
    return Entry(
        source,
        outcome.output,
        recipe,
        path,
        _source_path(outcome.unit.job.source, lead),
        row.source_sha256 or "",
        row.output_sha256 or "",
    )


def _lead(directory: str, plan: Plan) -> str:
    """A path that leads from the outputs to a directory, wherever both are moved to; empty where they
    are the same.
    """
    # what a link in between leads to decides where '..' is
    place, root = (
        os.path.realpath(plan.home.path(path)) for path in (directory or os.curdir, plan.root)
    )
    try:
        way = os.path.relpath(place, root)
    except ValueError:  # on Windows: another drive
        return place
    return "" if way == os.curdir else way
