"""Where the work runs: processes of this machine, or a Dask cluster. Both are
`concurrent.futures.Executor`, behind one small interface.

Short files spend most of their time in Python, so that threads of one process do not scale and
processes do (``workers``). None outlives its batch.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from earfilt.batch import workers as helpers
from earfilt.batch.workers import Worker
from earfilt.errors import UsageError, printable
from earfilt.storage.trees import Home
from earfilt.wording import option

_ADDRESS = re.compile(r"[a-z]+://.*|[^/\\]*:\d+")
_PATIENCE = 10.0  # seconds that a Dask scheduler has to answer


@dataclass(frozen=True, eq=False)
class Pool:
    """An executor, and what a batch needs to know of it.

    Parameters
    ----------
    executor : Executor
    slots : callable
        How many tasks it works on at once, at present.
    shared_disk : bool
        Whether other machines may do the work: paths must then be absolute.
    """

    executor: Executor
    slots: Callable[[], int]
    shared_disk: bool = False

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """As `Executor.submit`."""
        return self.executor.submit(function, *args)

    def close(self) -> None:
        """Cancel what waits, let finish what runs."""
        self.executor.shutdown(wait=True, cancel_futures=True)


class WorkerDied(BrokenExecutor):
    """A worker ended before it had answered; the others work on, and another one takes its place."""


class Processes(Executor):
    """Worker processes, each with a thread here that hands it its calls.

    Parameters
    ----------
    count : int
        How many at most; they start with the first calls.
    home : Home
        The directory that they work in.
    """

    def __init__(self, count: int, home: Home) -> None:
        self._count, self._home = count, home
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._workers: set[Worker] = set()
        self._lock = threading.Lock()
        self._abandoned = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`, without words.

        Raises
        ------
        AudioError
            Not a single worker can be started.
        """
        if len(self._threads) < self._count:
            self._start()
        future: Future[Any] = Future()
        self._calls.put((future, function, args))
        return future

    def _start(self) -> None:
        try:
            self._start_one()
        except (OSError, RuntimeError) as error:
            self._count = len(self._threads)  # the limits of this machine: so many have to do
            if not self._threads:
                raise helpers.refusal(error) from error

    def _start_one(self) -> None:
        """A worker and its thread, or OSError or RuntimeError."""
        worker = self._new_worker()
        thread = threading.Thread(
            target=self._attend, args=(worker,), name="earfilt-worker", daemon=True
        )
        try:
            thread.start()
        except BaseException:
            self._end(worker)
            raise
        self._threads.append(thread)

    def _new_worker(self) -> Worker:
        worker = Worker(self._home.path(os.curdir))
        with self._lock:
            self._workers.add(worker)
            if self._abandoned:
                worker.abandon()
        return worker

    def _attend(self, first: Worker) -> None:
        """Hand calls to a worker, and to another one when it has died."""
        worker: Worker | None = first
        while (call := self._calls.get()) is not None:
            future, function, args = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker = worker or self._new_worker()
            except OSError as error:
                future.set_exception(helpers.refusal(error))
                continue
            try:
                future.set_result(worker.call(function, args))
            except helpers.Ended:
                self._end(worker)
                worker = None
                future.set_exception(WorkerDied("a worker process was terminated abruptly"))
            except helpers.NotStarted as error:
                self._end(worker)
                worker = None
                future.set_exception(helpers.refusal(error))
            except BaseException as error:
                future.set_exception(error)
        if worker is not None:
            self._end(worker)

    def _end(self, worker: Worker) -> None:
        worker.end()
        with self._lock:
            self._workers.discard(worker)

    def abandon(self) -> None:
        """Have all workers end within one block of samples."""
        self._cancel()
        with self._lock:
            self._abandoned = True
            for worker in self._workers:
                worker.abandon()

    def _cancel(self) -> None:
        with suppress(queue.Empty):
            while True:
                call = self._calls.get_nowait()
                if call is not None:
                    call[0].cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As `Executor.shutdown`."""
        if cancel_futures:
            self._cancel()
        for _ in self._threads:
            self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()
        self._threads = []


_Call = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


@contextmanager
def processes(workers: int, home: Home | None = None) -> Iterator[Pool]:
    """Processes of this machine; on any exception they end within one block of samples, their
    temporary files removed.

    Parameters
    ----------
    workers : int
    home : Home, optional
        The directory that they work in; default the current one.
    """
    helpers.warm_up()
    executor = Processes(workers, home or Home())
    pool = Pool(executor, lambda: workers)
    try:
        yield pool
    except BaseException:
        executor.abandon()
        raise
    finally:
        pool.close()


_safe_lock = threading.Lock()
_safe: list[str | None] = []


@contextmanager
def _safe_path() -> Iterator[None]:
    """Helpers that Dask starts as ``python -c``, whose first import path is the current directory
    unless this variable is set: from the first block that begins to the last one that ends.
    """
    with _safe_lock:
        _safe.append(os.environ.get("PYTHONSAFEPATH") if not _safe else _safe[0])
        os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        with _safe_lock:
            before = _safe.pop()
            if not _safe and before is None:
                os.environ.pop("PYTHONSAFEPATH", None)
            elif not _safe and before is not None:
                os.environ["PYTHONSAFEPATH"] = before


def check_dask() -> None:
    """Refuse a Dask cluster with a UsageError where Dask is not installed."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{option('dask')} needs the extra: pip install 'earfilt[dask]'"
        ) from error


@contextmanager
def dask(address: str, workers: int) -> Iterator[Pool]:
    """Workers of a Dask cluster.

    Parameters
    ----------
    address : str
        ``local`` (a cluster on this machine, for as long as the batch), a scheduler's address, or
        the path of its scheduler file.
    workers : int
        Processes of a local cluster.

    Raises
    ------
    UsageError
        Dask is not installed, or no scheduler answers.
    """
    check_dask()
    from distributed import Client

    with contextlib.ExitStack() as stack:
        stack.enter_context(_safe_path())  # a local cluster starts a worker again whenever one died
        try:
            client = stack.enter_context(
                Client(**_connection(address, workers, stack), set_as_default=False)
            )
        except (OSError, ValueError) as error:
            raise UsageError(
                f"no Dask scheduler answers at '{printable(address)}' ({error})"
            ) from error
        executor = client.get_executor(pure=False, retries=3)
        # Workers come and go; where none has come yet, a few tasks wait for them.
        pool = Pool(executor, lambda: max(4, sum(client.nthreads().values())), shared_disk=True)
        try:
            yield pool
        except BaseException:
            executor.shutdown(wait=False)
            raise


def _connection(address: str, workers: int, stack: contextlib.ExitStack) -> dict[str, Any]:
    if address == "local":
        from distributed import LocalCluster

        # Memory limits are off: they kill workers for memory that decoders give back late.
        with helpers.blocked_signals({signal.SIGTERM, signal.SIGINT}):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                # No dashboard; the scheduler's own page takes a port that is free.
                scheduler_kwargs={"dashboard": False},
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs="ERROR",
            )
        return {"address": stack.enter_context(cluster)}
    # What reads as an address is one, whatever lies in the current directory: who names a scheduler
    # has its pickles run.
    if not _ADDRESS.fullmatch(address) and (address.endswith(".json") or os.path.exists(address)):
        _await_file(address)
        return {"scheduler_file": address, "timeout": _PATIENCE}
    return {"address": address, "timeout": _PATIENCE}


def _await_file(path: str) -> None:
    """A scheduler that was started a moment ago writes its file soon."""
    end = time.monotonic() + _PATIENCE
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise FileNotFoundError("no such scheduler file")
        time.sleep(0.05)
