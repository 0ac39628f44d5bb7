"""Workers: what they cost their user, and how they end."""

import contextlib
import errno
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import earfilt
from earfilt.batch import workers
from earfilt.batch.executors import _connection, _safe_path, dask, processes
from earfilt.batch.workers import stop_server
from earfilt.chains.members import resolve
from earfilt.errors import AudioError, UsageError
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


def ends(pid: int) -> bool:
    """Whether a process is gone, or is being cleared away by the system."""
    deadline = time.monotonic() + 5.0
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.001)
    return not psutil.pid_exists(pid)


def test_an_exception_ends_workers_at_once() -> None:
    with processes(1) as pool:
        pid = pool.submit(os.getpid).result()
    assert ends(pid)
    with pytest.raises(KeyError), processes(1) as pool:  # noqa: PT012
        pid = pool.submit(os.getpid).result()
        pool.submit(time.sleep, 600)
        raise KeyError
    assert ends(pid)


def test_another_worker_takes_the_place_of_one_that_died() -> None:
    with processes(1) as pool:
        first = pool.submit(os.getpid).result()
        psutil.Process(first).kill()
        with pytest.raises(Exception, match="terminated abruptly"):
            pool.submit(time.sleep, 600).result()
        assert pool.submit(os.getpid).result() != first


@pytest.mark.parametrize("forks", [True, False])
def test_it_works_where_the_first_one_did(
    forks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the program has gone meanwhile."""
    monkeypatch.setattr(workers, "_FORKS", forks and workers._FORKS)
    here = os.getcwd()
    with processes(1) as pool:
        psutil.Process(pool.submit(os.getpid).result()).kill()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(Exception, match="terminated abruptly"):
            pool.submit(time.sleep, 600).result()
        assert pool.submit(os.getcwd).result() == here


def test_too_few_open_files_are_named(tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    words = [EARFILT, "apply", str(tmp_path / "in"), str(tmp_path / "out"), *FILTER]
    few = shlex.join(words)
    told = subprocess.run(
        ["sh", "-c", f"ulimit -n 8; exec {few}"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert told.returncode == 1
    assert "ulimit -n 1024" in told.stderr
    assert "Errno" not in told.stderr


def test_the_server_is_made_anew() -> None:
    """As after a system that was out of memory has killed it."""
    with processes(1) as pool:
        server = psutil.Process(pool.submit(os.getppid).result())
    server.kill()
    server.wait(5)
    with processes(1) as pool:
        assert pool.submit(os.getppid).result() != server.pid


def test_workers_start_where_their_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is somewhere else by then, and the program may have changed how its sockets wait."""
    with processes(1) as pool:
        assert pool.submit(os.getcwd).result() == os.getcwd()
    monkeypatch.chdir(tmp_path)
    socket.setdefaulttimeout(0.01)
    try:
        with processes(1) as pool:
            assert pool.submit(os.getcwd).result() == str(tmp_path)
            pool.submit(time.sleep, 0.05).result()
    finally:
        socket.setdefaulttimeout(None)


def test_workers_have_the_umask_and_the_limits_that_their_user_has_by_then() -> None:
    with processes(1) as pool:
        pool.submit(int, "7").result()
    umask, limits = os.umask(0o027), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, limits[1]))
    try:
        with processes(1) as pool:
            assert pool.submit(os.umask, 0).result() == 0o027
            found = pool.submit(resource.getrlimit, resource.RLIMIT_FSIZE).result()
            assert found == (1 << 40, limits[1])
    finally:
        os.umask(umask)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


FEWER_RIGHTS = """
import os
from earfilt.batch.executors import processes
for group in (os.getgid(), 65534):
    os.setgid(group)
    with processes(1) as pool:
        print(pool.submit(os.getgid).result() == group)
os.setuid(65534)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_workers_of_a_program_that_gave_up_its_rights_have_them_no_more() -> None:
    """And it ends without a word, though it may not kill what it started."""
    ran = subprocess.run(
        [sys.executable, "-c", FEWER_RIGHTS],
        env=single_threaded(),
        capture_output=True,
        text=True,
    )
    assert (ran.stdout, ran.stderr) == ("True\nTrue\n", "")


def test_who_may_not_run_python_any_more_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_server()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with (
        pytest.raises(AudioError, match=r"to work in: /nowhere/python: No such file or directory$"),
        processes(1) as pool,
    ):
        pool.submit(int, "7")


def test_the_end_of_a_worker_is_seen_beside_children_that_other_threads_fork(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forked in the midst of its start, such a child has the worker's end of the socket too."""
    children, start = [], workers._fork

    def fork_meanwhile(channel: socket.socket, home: str) -> None:
        child = os.fork()
        if not child:
            signal.pause()
        children.append(child)
        start(channel, home)

    def work() -> None:
        with processes(1) as pool:
            pool.submit(int, "7").result()

    monkeypatch.setattr(workers, "_fork", fork_meanwhile)
    batch = threading.Thread(target=work)
    batch.start()
    batch.join(30)
    hangs = batch.is_alive()
    os.kill(children[0], signal.SIGKILL)
    os.waitpid(children[0], 0)
    batch.join()
    assert not hangs


def test_where_a_fork_is_not_safe_workers_are_started_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_FORKS", False)
    monkeypatch.chdir(tmp_path)
    with processes(1) as pool:
        assert pool.submit(os.getcwd).result() == str(tmp_path)
        assert pool.submit(os.getppid).result() == os.getpid()
        worker = pool.submit(os.getpid).result()
    assert not psutil.pid_exists(worker)


def test_what_a_call_raises_is_raised_here() -> None:
    with processes(1) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        with pytest.raises(Exception, match="cannot pickle"):
            pool.submit(id, threading.Lock()).result()
        with pytest.raises(Exception, match="cannot pickle"):
            pool.submit(threading.Lock).result()
        assert pool.submit(int, "7").result() == 7


def test_no_more_is_needed_of_the_system_than_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temporary directory with a long name, as clusters have, or none; no shared memory."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setenv("TMPDIR", str(tmp_path / ("x" * 120)))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refuse)
    stop_server()
    with processes(2) as pool:
        assert pool.submit(int, "7").result() == 7


def test_where_no_process_can_be_started_the_limits_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    stop_server()
    monkeypatch.setattr("earfilt.batch.workers._start", refuse)
    with (
        pytest.raises(AudioError, match="cannot start a process to work in: Resource temporarily"),
        processes(2) as pool,
    ):
        pool.submit(int, "7")


def test_where_few_processes_can_be_started_these_do_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, start = [], workers._fork

    def few(channel: socket.socket, home: str) -> None:
        if len(started) == 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        started.append(channel)
        start(channel, home)

    monkeypatch.setattr(workers, "_fork", few)
    with processes(5) as pool:
        calls = [pool.submit(abs, -number) for number in range(20)]
        assert [call.result() for call in calls] == list(range(20))


REFUSALS = {
    "process": "def fork():\n    raise OSError(11, os.strerror(11))\nos.fork = fork\n",
    "thread": "def start(self):\n    raise RuntimeError(os.strerror(11))\nthreading.Thread.start = start\n",
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_workers_that_the_server_cannot_start_say_why(
    refusal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on processes that leaves room for the server and for nothing else."""
    (tmp_path / "refusing.py").write_text(f"import os, threading\n{refusal}")
    monkeypatch.syspath_prepend(str(tmp_path))
    start = workers._start

    def start_refusing(task: str, channel: socket.socket, **_: str) -> Any:
        return start(task, channel, preload="refusing")

    stop_server()
    monkeypatch.setattr(workers, "_start", start_refusing)
    sources = []
    for name in "ab":
        sources.append(tmp_path / f"{name}.wav")
        write_tone(sources[-1])
    try:
        rows = list(earfilt.apply_files(sources, tmp_path / "out", "headphone", jobs=2))
    finally:
        stop_server()
    assert [row.status for row in rows] == ["failed", "failed"]
    for row in rows:
        assert str(row.error).startswith(
            "cannot start a process to work in: Resource temporarily unavailable; raise the limit"
        )


def test_where_a_program_may_not_look_around_its_workers_are_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After `su` from a home, the current directory may not be searched; paths are absolute then."""
    real = os.open

    def refuse(path: Any, *rest: Any, **named: Any) -> int:
        if path == os.curdir:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, *rest, **named)

    monkeypatch.setattr("earfilt.batch.workers.os.open", refuse)
    with processes(1) as pool:
        assert pool.submit(os.path.exists, os.path.abspath(__file__)).result()
        with pytest.raises(FileNotFoundError):
            pool.submit(os.mkdir, "out").result()


PROGRAM = """
import multiprocessing, os, pickle, sys, threading, earfilt

class Own: pass

def filter_all(place):
    return sorted(row.status for row in earfilt.apply_files("in", place, "headphone", order=64, jobs=2))

if __name__ == "__main__":
    failed, ended = [], threading.Event()

    def pickle_own():
        while not ended.is_set():
            try:
                pickle.dumps(Own())
            except Exception as error:
                failed.append(error)

    threading.Thread(target=pickle_own).start()
    main, environment, done = sys.modules["__main__"], dict(os.environ), []
    threads = [
        threading.Thread(target=lambda n=n: done.append(filter_all(f"thread{n}"))) for n in range(4)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    ended.set()
    print("threads", done == [["ok"] * 3] * 4, failed[:1], sys.modules["__main__"] is main, dict(os.environ) == environment)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print("worker", pool.apply(filter_all, ("worker",)))
    print("forked", flush=True)
    child = os.fork()
    if not child:
        print("child", filter_all("child"), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("parent", filter_all("parent"))
"""


def test_threads_workers_and_forked_children_of_a_program_filter_alike(tmp_path: Path) -> None:
    """Whatever they do meanwhile goes on: nothing of the program is changed for it."""
    for seed in range(3):
        write_tone(tmp_path / f"in/{seed}.wav", seed=seed)
    (tmp_path / "program.py").write_text(PROGRAM)
    ran = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=single_threaded(),
        capture_output=True,
        text=True,
    )
    done = "['ok', 'ok', 'ok']"
    assert ran.stdout.splitlines() == [
        "threads True [] True True",
        f"worker {done}",
        "forked",
        f"child {done}",
        f"parent {done}",
    ], ran.stderr
    assert not ran.stderr


def test_a_programs_environment_comes_back_when_the_last_cluster_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    first, second = _safe_path(), _safe_path()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert os.environ["PYTHONSAFEPATH"] == "1"
    second.__exit__(None, None, None)
    assert "PYTHONSAFEPATH" not in os.environ


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
