"""Work through tasks: rows come as files are done, whatever happens to one of them.

One bad file stays one bad file. An exception in a worker makes a failed row; a worker that dies
makes its tasks suspects, which are tried again at the end, one file at a time, so that only the one
that kills is lost.
"""

import itertools
import os
import queue
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from earfilt import wording
from earfilt.batch.executors import Pool
from earfilt.batch.workers import Stopped, is_stopping
from earfilt.errors import AudioError, EarfiltError, is_out_of_memory, no_more_open_files, printable
from earfilt.render.job import FileJob
from earfilt.render.recipe import recipe_of
from earfilt.render.record import Row
from earfilt.storage.manifest import NO_OUTPUT, Stamp, content_hash_at, stamp
from earfilt.storage.trees import make_directories


@dataclass(frozen=True)
class Unit:
    """One file of a batch; picklable.

    Parameters
    ----------
    job : FileJob
    source : Stamp
        Its size and time of change when the batch was planned.
    recipe : str
        Name of the batch's recipe: a worker to which the same request means another one (an
        installation of its own) must not do it.
    """

    job: FileJob
    source: Stamp
    recipe: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a unit; ``output`` is the stamp of its output, (-1, -1) where there is none,
    and ``known`` is False where its worker died, perhaps behind an output that was whole.
    """

    unit: Unit
    row: Row
    output: Stamp = NO_OUTPUT
    known: bool = True


Task = Sequence[Unit]
Done = tuple[Row, Stamp]


REPLACED = "another program replaced the output as soon as it was there"


def work(task: Task, threads: int, fail_fast: bool, typed: bool = False) -> list[Done]:
    """Filter some files, on a worker; never raises.

    Parameters
    ----------
    task : sequence of Unit
    threads : int
        That filter one file or, on a GPU, one file each.
    fail_fast : bool
        Leave the rest undone after a failure.
    typed : bool
        Whether messages are for the command line, and not for Python.

    Returns
    -------
    list of (Row, Stamp)
        In order; shorter than the task after a failure, if so asked, and where the worker was told
        to end.
    """
    done: list[Done] = []
    if is_stopping():
        return done
    try:
        with wording.typed(typed):
            for result in _results(task, threads) if _is_known(task[0]) else map(_refused, task):
                done.append(result)
                if fail_fast and result[0].status == "failed":
                    break
    except Stopped:
        pass  # what was done is told: in place, the originals of that are gone
    return done


def _results(task: Task, threads: int) -> Iterator[Done]:
    """What became of each file, in order.

    A GPU gets several files at once, each from a thread with a stream of its own: while one is read
    or written, another is filtered.
    """
    if len(task) == 1 or threads == 1 or task[0].job.options.device == "cpu":
        yield from (_one(unit, threads) for unit in task)
        return
    pool = ThreadPoolExecutor(threads, "earfilt-file")
    try:
        yield from pool.map(partial(_one, threads=1), task)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _is_known(unit: Unit) -> bool:
    """Whether its request means here what it means in the batch; so do the others of its task,
    which have the same filter and options.
    """
    return not unit.recipe or recipe_of(unit.job.filter, unit.job.options).name == unit.recipe


def _refused(unit: Unit) -> Done:
    return failed(
        unit.job,
        "this worker has another version of earfilt or its tables; install the same one everywhere",
    ), NO_OUTPUT


def _one(unit: Unit, threads: int) -> Done:
    from earfilt.render.process import filter_file  # workers alone need what it loads

    job = unit.job
    try:
        make_directories(os.path.dirname(job.destination))
        row = filter_file(job, threads=threads, device=_device(unit))
        found = _stamp_of(row)
        if found == NO_OUTPUT and row.status == "ok":
            row.warnings.append(REPLACED)
        return row, found
    except EarfiltError as error:
        return failed(job, str(error), error.reason), NO_OUTPUT
    except Exception as error:
        reason = "out of memory" if is_out_of_memory(error) else no_more_open_files(error)
        return failed(job, reason or f"{type(error).__name__}: {error}"), NO_OUTPUT


def _stamp_of(row: Row) -> Stamp:
    """The stamp of an output, if it is still there: another run may have replaced it at once."""
    if row.status == "skipped":
        return stamp(row.destination)
    if row.stamp is not None or row.output_sha256 is None:
        return row.stamp or NO_OUTPUT
    now = stamp(row.destination)
    same = content_hash_at(row.destination) == row.output_sha256
    return now if same and stamp(row.destination) == now else NO_OUTPUT


def _device(unit: Unit) -> str:
    """Where a file is filtered: a short one by the CPU, before a device had begun."""
    asked = unit.job.options.device
    if asked == "cpu":
        return asked
    from earfilt.engine.devices import is_short

    return "cpu" if is_short(unit.source[0]) else asked


def failed(job: FileJob, error: str, reason: str | None = None) -> Row:
    """The row of a file that came to nothing; files of one reason failed alike."""
    return Row(
        job.source,
        job.destination,
        job.name,
        "failed",
        error=printable(error),
        reason=printable(reason or error),
        filter=job.filter.applied,
    )


class Runner:
    """Keeps a pool busy with a bounded number of tasks, and gives what comes of them.

    Parameters
    ----------
    pool : Pool
    threads : int
        That filter one file.
    fail_fast : bool
        Start nothing new after the first failure.
    """

    def __init__(self, pool: Pool, *, threads: int = 1, fail_fast: bool = False) -> None:
        self._pool, self._threads, self._fail_fast = pool, threads, fail_fast
        self._pending: dict[Future[list[Done]], Task] = {}
        self._finished: queue.SimpleQueue[Future[list[Done]]] = queue.SimpleQueue()
        self._suspects: deque[Unit] = deque()
        self._stopped = False

    def outcomes(self, tasks: Iterable[Task]) -> Iterator[list[Outcome]]:
        """Do all tasks, in any order: what came of each, as it ends; memory does not grow with
        their number.
        """
        waiting = iter(tasks)
        while True:
            room = 0 if self._stopped else max(0, 2 * self._pool.slots() + 1 - len(self._pending))
            for task in itertools.islice(waiting, room):
                self._submit(task)
            if not self._pending:
                break
            yield self._next(last_try=False)
        while self._suspects and not self._stopped:
            self._submit([_again(self._suspects.popleft())])
            yield self._next(last_try=True)

    def rest(self) -> Iterator[list[Outcome]]:
        """What came of the tasks under way when the work was ended from outside, and the pool has
        been closed.
        """
        for future, task in self._pending.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                yield _outcomes(task, future.result())
        self._pending.clear()

    def _submit(self, task: Task) -> None:
        words = wording.is_typed()
        future = self._pool.submit(work, task, self._threads, self._fail_fast, words)
        self._pending[future] = task
        future.add_done_callback(self._finished.put)

    def _next(self, *, last_try: bool) -> list[Outcome]:
        """What came of the next task that ends; nothing where it must be tried again."""
        future = self._finished.get()
        task = self._pending.pop(future)
        try:
            done = future.result()
        except CancelledError:
            return []
        except Exception as error:
            if not last_try:
                self._suspects.extend(task)
                return []
            if self._fail_fast:
                self._stop()
            return [Outcome(unit, failed(unit.job, _died(error)), known=False) for unit in task]
        if self._fail_fast and any(row.status == "failed" for row, _ in done):
            self._stop()
        return _outcomes(task, done)

    def _stop(self) -> None:
        self._stopped = True
        for future in list(self._pending):
            future.cancel()


def _outcomes(task: Task, done: Sequence[Done]) -> list[Outcome]:
    """Fewer than files after a failure that ends the batch, or where the worker was told to end."""
    return [Outcome(unit, row, output) for unit, (row, output) in zip(task, done, strict=False)]


def _died(error: BaseException) -> str:
    if isinstance(error, AudioError):  # it was not even started
        return str(error)
    return (
        "the worker process died while working on it, killed from outside (out of memory?) or by a "
        f"fault in a decoder ({type(error).__name__})"
    )


def _again(unit: Unit) -> Unit:
    """The unit for a second try: an output that the first one may have finished is no obstacle (in
    place, its record says so), whatever else lies there is.
    """
    return replace(unit, job=replace(unit.job, may_be_done=True))
