"""Rows come, whatever happens to a file or to a worker."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import earfilt
from earfilt.batch import run as running
from earfilt.batch.executors import Pool, WorkerDied
from earfilt.batch.run import Outcome, Runner, Unit, work
from earfilt.batch.workers import Stopped
from earfilt.chains.members import resolve
from earfilt.cli import run as run_command
from earfilt.render import process
from earfilt.render.process import FileJob, Options
from earfilt.render.recipe import recipe_of
from earfilt.render.record import Row
from tests.batch.conftest import Tree
from tests.batch.trees import hashes

SPEC = resolve("headphone", order=64)


def unit(source: Path, destination: Path, **options: Any) -> Unit:
    status = source.stat() if source.exists() else None
    job = FileJob(str(source), str(destination), source.name, SPEC, Options(**options))
    return Unit(job, (status.st_size, status.st_mtime_ns) if status else (0, 0))


class Fragile(Executor):
    """A thread, except that a task with a file called poison fails as one whose process dies."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(1)

    def submit(self, function: Callable[..., Any], *args: Any, **_: Any) -> "Future[Any]":
        if any("poison" in unit.job.name for unit in args[0]):
            future: Future[Any] = Future()
            future.set_exception(WorkerDied("a process died"))
            return future
        return self.threads.submit(function, *args)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.threads.shutdown(wait, cancel_futures=cancel_futures)


def test_a_gpu_gets_several_files_at_once(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows in order and the same bytes as one by one; the processor stands in for the GPU."""
    root = tree(*(f"{i:02d}.wav" for i in range(12)))
    (root / "05.wav").write_text("no audio")
    monkeypatch.setattr("earfilt.render.process.resolve_device", lambda name, pays: "cpu")
    working: set[int] = set()
    convolve = process.filter_file

    def watched(job: FileJob, **how: Any) -> Row:
        working.add(threading.get_ident())
        time.sleep(0.01)
        return convolve(job, **how)

    monkeypatch.setattr(process, "filter_file", watched)
    names = sorted(path.name for path in root.iterdir())
    done = {}
    for device in ("cpu", "cuda"):
        working.clear()
        found = work(
            [unit(root / name, tmp_path / device / name, device=device) for name in names], 4, False
        )
        assert [row.name for row, _ in found] == names
        assert [row.name for row, _ in found if row.status == "failed"] == ["05.wav"]
        assert len(working) == (4 if device == "cuda" else 1)
        done[device] = hashes(tmp_path / device)
    assert done["cuda"] == done["cpu"]
    assert len(done["cpu"]) == 11
    stopped = work(
        [unit(root / name, tmp_path / "fast" / name, device="cuda") for name in names], 4, True
    )
    assert [row.status for row, _ in stopped] == ["ok"] * 5 + ["failed"]


def outcomes(
    tasks: Sequence[Sequence[Unit]], executor: type[Executor] = Fragile, **settings: Any
) -> list[Outcome]:
    pool = Pool(executor(), lambda: 1)
    try:
        return list(chain.from_iterable(Runner(pool, **settings).outcomes(tasks)))
    finally:
        pool.close()


def test_a_worker_that_dies_costs_its_own_file_only(tree: Tree, tmp_path: Path) -> None:
    root = tree(*(f"{i}.wav" for i in range(6)), "poison.wav")
    units = [unit(path, tmp_path / "out" / path.name) for path in sorted(root.iterdir())]
    # poison comes with two others
    found = outcomes([units[0:1], units[1:3], units[4:7], units[3:4]])
    status = {outcome.row.name: outcome.row.status for outcome in found}
    assert status == {**{f"{i}.wav": "ok" for i in range(6)}, "poison.wav": "failed"}
    assert "worker process died" in next(
        o.row.error or "" for o in found if o.row.status == "failed"
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{i}.wav" for i in range(6)
    ]


def test_a_second_try_is_not_stopped_by_the_output_of_the_first(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav")
    job = unit(root / "a.wav", tmp_path / "out.wav")
    assert [row.status for row, _ in work([job], 1, False)] == ["ok"]
    assert [row.status for row, _ in work([job], 1, False)] == ["failed"]
    assert [row.status for row, _ in work([running._again(job)], 1, False)] == ["ok"]


def test_a_second_try_replaces_nothing_that_is_not_its_own(tree: Tree, tmp_path: Path) -> None:
    root, out = tree("a.wav", "b.wav", "poison.wav"), tmp_path / "out"
    master = tmp_path / "master.wav"
    for path in (out / "a.wav", master):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"the only copy")
    (out / "b.wav").symlink_to(master)
    units = [unit(root / name, out / name) for name in ("a.wav", "b.wav", "poison.wav")]
    found = outcomes([units])
    assert [outcome.row.status for outcome in found] == ["failed"] * 3
    assert all("exists already" in (outcome.row.error or "") for outcome in found[:2])
    assert (out / "a.wav").read_bytes() == master.read_bytes() == b"the only copy"
    assert (out / "b.wav").is_symlink()
    # what was to be kept is left, and no failure
    kept = running._again(unit(root / "a.wav", out / "a.wav", exists="skip"))
    assert [row.status for row, _ in work([kept], 1, False)] == ["skipped"]
    assert (out / "a.wav").read_bytes() == b"the only copy"


def regular(job: Unit) -> Unit:
    """As a batch has it: source and destination are files."""
    return replace(job, job=replace(job.job, regular=True))


def test_a_source_that_is_a_pipe_when_its_turn_comes_fails(tree: Tree, tmp_path: Path) -> None:
    """Nobody would ever write into it."""
    path = tree("a.wav") / "a.wav"
    job = regular(unit(path, tmp_path / "out.wav"))
    path.unlink()
    os.mkfifo(path)
    [(row, _)] = work([job], 1, False)
    assert row.status == "failed"
    assert "a.wav is a pipe or a device, not a file any more" in (row.error or "")


@pytest.mark.parametrize("exists", ["refuse", "force"])
def test_no_output_of_a_batch_is_a_stream(tree: Tree, tmp_path: Path, exists: str) -> None:
    """A pipe would be waited for, a device overwritten."""
    path = tree("a.wav") / "a.wav"
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "null.wav").symlink_to("/dev/null")
    (tmp_path / "stdout.wav").symlink_to("/dev/stdout")
    status = {}
    for name in ("fifo", "null", "stdout"):
        job = regular(unit(path, tmp_path / f"{name}.wav", exists=exists))
        [(row, _)] = work([job], 1, False)
        status[name] = row.status
    assert status == {
        "fifo": "failed",
        "null": "ok" if exists == "force" else "failed",
        "stdout": "ok" if exists == "force" else "failed",
    }
    for name in ("null", "stdout"):  # --force replaces a link, and nothing it leads to
        assert (tmp_path / f"{name}.wav").is_symlink() == (exists == "refuse")
    assert (tmp_path / "fifo.wav").is_fifo()


def test_a_file_in_place_is_never_filtered_twice(tree: Tree) -> None:
    path = tree("a.wav") / "a.wav"
    job = unit(path, path, in_place=True)
    [(first, stamp)] = work([job], 1, False)
    once = path.read_bytes()
    [(second, again)] = work([job], 1, False)  # as after a worker that died before it could tell
    assert (first.status, second.status) == ("ok", "skipped")
    assert path.read_bytes() == once
    assert stamp == again


def test_a_worker_to_which_the_request_means_another_filter_leaves_it(
    tree: Tree, tmp_path: Path
) -> None:
    root = tree("a.wav")
    job, out = unit(root / "a.wav", tmp_path / "out.wav"), tmp_path / "out.wav"
    [(row, output)] = work([replace(job, recipe="that of another version")], 1, False)
    assert (row.status, output, out.exists()) == ("failed", (-1, -1), False)
    assert "another version of earfilt" in (row.error or "")
    assert [
        row.status
        for row, _ in work([replace(job, recipe=recipe_of(SPEC, Options()).name)], 1, False)
    ] == ["ok"]


ERRORS = [
    (MemoryError(), "out of memory"),
    (RuntimeError("\x1b[31mred"), r"RuntimeError: \x1b[31mred"),
    (OSError(5, "I/O"), "I/O"),
]


@pytest.mark.parametrize(("error", "said"), ERRORS)
def test_any_exception_is_a_row(
    error: Exception, said: str, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(job: FileJob, **how: Any) -> Row:
        raise error

    monkeypatch.setattr(process, "filter_file", fails)
    [(row, output)] = work([unit(tree("a.wav") / "a.wav", tmp_path / "out.wav")], 1, False)
    assert row.status == "failed"
    assert said in (row.error or "")
    assert output == (-1, -1)


def test_fail_fast_starts_nothing_more(tree: Tree, tmp_path: Path) -> None:
    root = tree(*(f"{i}.wav" for i in range(9)))
    (root / "0.wav").write_text("no audio")
    units = [unit(path, tmp_path / "out" / path.name) for path in sorted(root.iterdir())]
    assert [row.status for row, _ in work(units, 1, True)] == ["failed"]
    found = outcomes([[one] for one in units], fail_fast=True)
    assert len(found) <= 4  # the failed one and those that were already handed over
    assert found[0].row.status == "failed"


def test_a_worker_that_is_told_to_end_tells_what_it_has_done(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, convolve = tree("a.wav", "b.wav", "c.wav"), process.filter_file

    def ended(job: FileJob, **how: Any) -> Row:
        if job.name == "b.wav":
            raise Stopped
        return convolve(job, **how)

    monkeypatch.setattr(process, "filter_file", ended)
    units = [unit(path, tmp_path / path.name) for path in sorted(root.iterdir())]
    assert [row.name for row, _ in work(units, 1, False)] == ["a.wav"]
    monkeypatch.setattr("earfilt.batch.run.is_stopping", lambda: True)
    assert work(units[:1], 1, False) == []  # what waits is not begun


def test_what_was_done_when_the_work_was_ended_is_told(tree: Tree, tmp_path: Path) -> None:
    root, out = tree("a.wav", "b.wav"), tmp_path / "out"
    pool = Pool(ThreadPoolExecutor(2), lambda: 2)
    runner = Runner(pool)
    rows = runner.outcomes([[unit(path, out / path.name)] for path in sorted(root.iterdir())])
    first = next(rows)
    while not all(future.running() or future.done() for future in runner._pending):
        time.sleep(0.01)
    rows.close()
    pool.close()
    last = list(runner.rest())
    assert sorted(one.row.name for task in (first, *last) for one in task) == ["a.wav", "b.wav"]
    assert hashes(out).keys() == {"a.wav", "b.wav"}


def test_memory_does_not_grow_with_the_number_of_tasks(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav")
    taken = given = most = 0

    def tasks() -> Any:
        nonlocal taken, most
        for i in range(40):
            taken += 1
            most = max(most, taken - given)
            yield [unit(root / "a.wav", tmp_path / f"{i}.wav")]

    pool = Pool(ThreadPoolExecutor(2), lambda: 2)
    for _ in Runner(pool).outcomes(tasks()):
        given += 1
    pool.close()
    assert given == 40
    assert most <= 6


def test_auto_leaves_several_files_to_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise AssertionError("asked")

    monkeypatch.setattr("earfilt.engine.devices.pays", refuse)
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        soundfile.write(tmp_path / "in" / f"{name}.wav", np.zeros((500, 1)), 16000)
    rows = list(
        earfilt.apply_files(tmp_path / "in", tmp_path / "out", "headphone", jobs=1, device="auto")
    )
    assert [(row.status, row.device) for row in rows] == [("ok", "cpu")] * 2


def test_a_device_that_is_not_there_is_refused_before_anything_is_done(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where all files are short, which the CPU would filter."""
    root = tree("a.wav", "b.wav")
    out, one = tmp_path / "out", str(tmp_path / "one.wav")
    for arguments in ([str(root), str(out)], [str(root / "a.wav"), one]):
        for more in ([], ["--dry-run"], ["--report", str(tmp_path / "rows.jsonl")]):
            words = ["apply", *arguments, "-f", "headphone", "--device", "cuda:99", *more]
            assert run_command(words) == 2
            assert "'cuda:99' does not exist on this machine" in capsys.readouterr().err
    with pytest.raises(earfilt.UsageError, match="cuda:99"):
        earfilt.apply_files(root, out, "headphone", device="cuda:99")
    with pytest.raises(earfilt.UsageError, match="cuda:99"):
        earfilt.apply_file(root / "a.wav", one, "headphone", device="cuda:99")
    assert [path.name for path in tmp_path.iterdir()] == [root.name]


def test_short_files_are_left_to_the_cpu(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav", "b.wav")
    jobs = [
        unit(root / name, tmp_path / "out" / name, device="cuda:7") for name in ("a.wav", "b.wav")
    ]
    assert [(row.status, row.device) for row, _ in work(jobs, 2, False)] == [("ok", "cpu")] * 2
    soundfile.write(root / "long.wav", np.zeros((600_000, 1)), 16000)
    ((row, _),) = work(
        [unit(root / "long.wav", tmp_path / "out" / "long.wav", device="cuda:7")], 1, False
    )
    assert row.status == "failed"
    assert "cuda:7" in row.error
