"""Where the work runs: processes of this machine, or a Dask cluster. Both are
`concurrent.futures.Executor`, behind one small interface.

Short files spend most of their time in Python, so that threads of one process do not scale and
processes do. The engine is imported once for all of them: by a fork server that has it before it
forks (on systems without one, each process imports it).

No worker outlives its batch: workers hold the reading end of a pipe whose other end is open as long
as the batch runs, and end cleanly (temporary files removed) when it closes, for whatever reason.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from earfilt.errors import EarfiltError, UsageError, no_more_open_files, printable
from earfilt.storage.stop_signals import stop_signals
from earfilt.wording import option

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from multiprocessing.connection import Connection

_ADDRESS = re.compile(r"[a-z]+://.*|[^/\\]*:\d+")
_stopping = threading.Event()
_NO_THREAD = "start new thread"
_PATIENCE = 10.0  # seconds that a Dask scheduler has to answer


class Pool:
    """An executor that can be made anew after it broke.

    Parameters
    ----------
    make : callable
        Makes the executor.
    slots : callable
        How many tasks it works on at once, at present.
    shared_disk : bool
        Whether other machines may do the work: paths must then be absolute.
    """

    def __init__(
        self, make: Callable[[], Executor], slots: Callable[[], int], *, shared_disk: bool = False
    ) -> None:
        self._make, self.slots, self.shared_disk = make, slots, shared_disk
        self._executor: Executor | None = None

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """As `Executor.submit`; an executor that broke is replaced."""
        from concurrent.futures import BrokenExecutor

        with _started(), _without_main(), _sheltered():
            if self._executor is not None:
                try:
                    return self._executor.submit(function, *args)
                except BrokenExecutor:
                    self._executor.shutdown(wait=False)
            self._executor = None
            executor = self._make()
            future = executor.submit(function, *args)  # which starts processes
            self._executor = executor
            return future

    def close(self) -> None:
        """Cancel what waits, let finish what runs."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)


def warm_up() -> None:
    """Start importing the engine in the background, for `processes`: planning can go on meanwhile."""
    if _method() == "forkserver":
        from multiprocessing import forkserver

        multiprocessing.set_forkserver_preload(["earfilt.batch.preload"])
        with _started(), _without_main(), _sheltered():
            forkserver.ensure_running()


@contextmanager
def _started() -> Iterator[None]:
    """Say what is short where the system starts no process.

    Raises
    ------
    EarfiltError
    """
    try:
        yield
    except (EOFError, OSError, RuntimeError) as error:
        if isinstance(error, EarfiltError):
            raise
        if why := no_more_open_files(error):
            raise EarfiltError(f"no worker processes can be started: {why}") from error
        # A fork server that may not fork closes its connection.
        if (
            isinstance(error, EOFError)
            or _NO_THREAD in str(error)
            or _is_errno(error, errno.EAGAIN)
        ):
            raise EarfiltError(
                "no worker processes can be started: the system allows no more processes and "
                "threads; raise the limit (ulimit -u, or that of the container), end others, or use "
                "fewer --jobs"
            ) from error
        raise


def _is_errno(error: BaseException, number: int) -> bool:
    return isinstance(error, OSError) and error.errno == number


@contextmanager
def _without_main() -> Iterator[None]:
    """Workers need nothing of the program that starts them; multiprocessing would run its main file
    again in each.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _sheltered() -> Iterator[None]:
    """Helper processes that start meanwhile run no code of the current directory, and leave it to
    their parent to end them.

    A terminal that hangs up and a job scheduler send their signal to every process of a group; a
    signal that is blocked here stays blocked in children.
    """
    with _safe_path():
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        before = signal.pthread_sigmask(
            signal.SIG_BLOCK, set(stop_signals()) - {signal.SIGTERM, signal.SIGINT}
        )
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Helpers are started as ``python -c``, whose first import path is the current directory unless
    this variable is set.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PYTHONSAFEPATH", None)
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _method() -> str:
    # macOS's own libraries do not bear a fork once they are loaded.
    can_fork = "forkserver" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    return "forkserver" if can_fork else "spawn"


@contextmanager
def processes(workers: int) -> Iterator[Pool]:
    """Processes of this machine; on any exception they end within one block of samples, their
    temporary files removed.

    Parameters
    ----------
    workers : int
    """
    warm_up()
    from concurrent.futures import ProcessPoolExecutor  # slow to load: the helpers start before it

    context = multiprocessing.get_context(_method())
    with _started():
        lifeline, held = context.Pipe(duplex=False)
    pool = Pool(
        lambda: ProcessPoolExecutor(workers, context, _start_worker, (lifeline,)), lambda: workers
    )
    try:
        yield pool
    except BaseException:
        held.close()
        raise
    finally:
        pool.close()
        held.close()
        lifeline.close()


class Stopped(SystemExit):
    """A worker was told to end: unwinds whichever file it is working on."""


def _start_worker(lifeline: Connection) -> None:
    # Ctrl-C reaches the whole group; the parent decides, as on all that is blocked
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _stopping.set()
    raise Stopped


def is_stopping() -> bool:
    """Whether this process is a worker that was told to end."""
    return _stopping.is_set()


def _watch(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)
    # Between two tasks, the executor's own loop swallows the exception that the signal raises, and
    # waits for a task that never comes.
    time.sleep(1.0)
    end_worker()


def end_worker() -> None:
    """Leave a worker process at once, without a trace on the disk."""
    from earfilt.storage.output import discard_all

    discard_all()
    os._exit(143)


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
        pool = Pool(
            lambda: executor, lambda: max(4, sum(client.nthreads().values())), shared_disk=True
        )
        try:
            yield pool
        except BaseException:
            executor.shutdown(wait=False)
            raise


def _connection(address: str, workers: int, stack: contextlib.ExitStack) -> dict[str, Any]:
    if address == "local":
        from distributed import LocalCluster

        # Memory limits are off: they kill workers for memory that decoders give back late.
        with _sheltered():
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
