"""Workers: what they cost their user, and how they end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from earfilt.batch.executors import Pool, cores, dask, processes
from earfilt.errors import UsageError
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


def test_workers_have_the_engine_from_the_start_and_never_torch() -> None:
    with processes(1) as pool:
        loaded = pool.submit(
            eval,
            "[name in __import__('sys').modules for name in ('earfilt.engine.pipeline', 'torch')]",
        ).result()
    assert loaded == [True, False]


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


def test_cores_are_those_this_process_may_use() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no CPU sets on this system")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)


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
