"""Workers: what they cost their user, and how they end."""

import contextlib
import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from earfilt.batch.executors import Pool, _connection, dask, processes
from earfilt.chains.members import resolve
from earfilt.errors import EarfiltError, UsageError
from earfilt.render.process import FileJob, filter_file
from tests.batch.trees import FILTER, write_tone
from tests.hostile import lay_names
from tests.tools import single_threaded

UNGUARDED = """
import os, sys
print("main runs", flush=True)
from earfilt.batch.executors import processes
with processes(2) as pool:
    print(len({pool.submit(os.getpid).result() for _ in range(9)} - {os.getpid()}) > 0, "earfilt.engine.pipeline" in sys.modules, flush=True)
"""


def test_the_users_program_is_not_run_again_and_loads_no_engine(tmp_path: Path) -> None:
    """multiprocessing would run a main file without the usual guard once more in every worker."""
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=single_threaded()
    )
    assert ran.stdout.splitlines() == ["main runs", "True False"], ran.stderr
    assert not ran.stderr


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Path]:
    """A current directory full of names that Python and earfilt import."""
    root = tmp_path / "hostile"
    lay_names(root, tmp_path / "RUN")
    write_tone(root / "a.wav")
    write_tone(root / "b.wav", seed=1)
    yield root
    assert not (tmp_path / "RUN").exists()


def run_among(root: Path, *command: str) -> None:
    ended = subprocess.run(command, cwd=root, env=single_threaded(), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


EARFILT = str(Path(sys.executable).with_name("earfilt"))


@pytest.mark.parametrize(
    "start",
    [
        [EARFILT],
        [sys.executable, "-E", EARFILT],
        [sys.executable, "-I", EARFILT],
        [sys.executable, "-P", "-m", "earfilt"],
    ],
)
def test_no_code_of_the_current_directory_is_run(start: list[str], hostile: Path) -> None:
    run_among(hostile, *start, "apply", "*.wav", "../out", *FILTER, "-q")
    assert sorted(path.name for path in (hostile.parent / "out").glob("*.wav")) == [
        "a.wav",
        "b.wav",
    ]


def test_nor_by_dask(hostile: Path) -> None:
    pytest.importorskip("distributed")
    run_among(
        hostile,
        EARFILT,
        "apply",
        "*.wav",
        "../out",
        *FILTER,
        "-q",
        "--dask",
        "local",
        "--jobs",
        "1",
    )


def test_as_a_module_what_python_loads_first_is_all_that_the_current_directory_could_give(
    hostile: Path,
) -> None:
    """``python -m`` looks there before the first line of earfilt runs; from then on nothing does."""
    for name in ("earfilt", *early_modules(hostile.parent)):
        shutil.rmtree(hostile / name, ignore_errors=True)
    run_among(hostile, sys.executable, "-m", "earfilt", "apply", "*.wav", "../out", *FILTER, "-q")


def early_modules(place: Path) -> set[str]:
    """What a Python has imported when a package's ``__main__`` begins."""
    (place / "early").mkdir()
    (place / "early" / "__main__.py").write_text("import sys; print(*sys.modules)")
    (place / "early" / "__init__.py").touch()
    said = subprocess.run(
        [sys.executable, "-m", "early"], cwd=place, capture_output=True, text=True, check=True
    ).stdout
    return {name.partition(".")[0] for name in said.split()}


def test_a_programs_own_environment_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, "", "1"):
        monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
        if value is not None:
            monkeypatch.setenv("PYTHONSAFEPATH", value)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        with processes(1) as pool:
            assert pool.submit(int, "7").result() == 7
            assert os.environ.get("PYTHONSAFEPATH") == value
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM, signal.SIGRTMIN + 3]
)
def test_workers_leave_a_signal_to_the_group_to_their_parent(number: int) -> None:
    with processes(1) as pool:
        worker = pool.submit(os.getpid).result()
        for process in (psutil.Process(worker), psutil.Process(worker).parent()):
            assert process is not None
            process.send_signal(number)
        assert pool.submit(os.getpid).result() == worker


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "localhost:9", "127.0.0.1:9"])
def test_an_address_is_never_a_file_of_the_current_directory(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    Path(address).parent.mkdir(parents=True, exist_ok=True)
    Path(address).write_text('{"address": "tcp://stranger:1"}')
    with contextlib.ExitStack() as stack:
        assert _connection(address, 1, stack)["address"] == address


def modules_loaded_for(source: str, destination: str) -> list[str]:
    """Filters a file, and tells what had to be imported for it."""
    before = set(sys.modules)
    filter_file(FileJob(source, destination, "a", resolve("headphone")))
    heavy = ("earfilt.", "numpy.", "scipy.")
    return sorted(name for name in set(sys.modules) - before if name.startswith(heavy))


def test_workers_have_the_engine_from_the_start_and_never_torch(
    recording: Path, tmp_path: Path
) -> None:
    with processes(1) as pool:
        task = pool.submit(modules_loaded_for, str(recording), str(tmp_path / "a.wav"))
        loaded = task.result()
        there = pool.submit(eval, "'torch' in __import__('sys').modules").result()
    # What only filters by an order, or with a phase of their own, need may come later.
    late = {"data", "data.tables", "synthesis.native", "synthesis.passes", "synthesis.sampling"}
    late |= {"synthesis.phase", "synthesis.spectrum"}
    assert [name for name in loaded if name.removeprefix("earfilt.") not in late] == []
    assert not there


def test_an_exception_ends_workers_at_once() -> None:
    with processes(1) as pool:
        pid = pool.submit(os.getpid).result()
    assert not psutil.pid_exists(pid)
    with pytest.raises(KeyError), processes(1) as pool:  # noqa: PT012
        pid = pool.submit(os.getpid).result()
        pool.submit(time.sleep, 600)
        raise KeyError
    assert not psutil.pid_exists(pid)


def test_a_broken_pool_is_made_anew() -> None:
    with processes(1) as pool:
        first = pool.submit(os.getpid).result()
        psutil.Process(first).kill()
        with pytest.raises(Exception, match="terminated abruptly"):
            pool.submit(time.sleep, 600).result()
        assert pool.submit(os.getpid).result() != first


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
        (EOFError(), "ulimit -u"),  # the fork server could not fork
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
    ],
)
def test_what_is_short_is_named_where_no_worker_starts(error: Exception, words: str) -> None:
    class Refused(ThreadPoolExecutor):
        def submit(self, *_: object, **__: object) -> "Future[object]":  # type: ignore[override]
            raise error

    pool = Pool(lambda: Refused(1), lambda: 1)
    with pytest.raises(EarfiltError, match=f"no worker processes can be started.*{words}"):
        pool.submit(print)
    pool.close()


def test_too_few_open_files_are_named(tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    words = [EARFILT, "apply", str(tmp_path / "in"), str(tmp_path / "out"), *FILTER]
    few = shlex.join(words)
    told = subprocess.run(
        ["sh", "-c", f"ulimit -n 10; exec {few}"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert told.returncode == 1
    assert "ulimit -n 1024" in told.stderr
    assert "Errno" not in told.stderr


def test_no_scheduler_file(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("earfilt.batch.executors._PATIENCE", 0.1)
    with (
        pytest.raises(UsageError, match="no such scheduler file"),
        dask("nowhere/scheduler.json", 1),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'earfilt\[dask\]'"), dask("local", 1):
        pass


def test_a_pool_that_was_never_used_closes() -> None:
    Pool(lambda: pytest.fail("made for nothing"), lambda: 1).close()
