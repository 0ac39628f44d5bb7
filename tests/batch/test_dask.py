"""The same batch on a real Dask scheduler with two worker processes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.batch.test_corpus import LONG_FILTER, apply, command, finish, has_output, wait_for
from tests.batch.trees import hashes, leftovers, rows, write_tone
from tests.tools import single_threaded

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough work that workers can be killed at it."""
    root = tmp_path_factory.mktemp("dask") / "in"
    for i in range(240):
        write_tone(root / f"speaker{i % 5}" / f"{i:03d}.wav", frames=8000, seed=i)
    for i in range(4):
        write_tone(root / f"long{i}.wav", frames=1_500_000, seed=i)
    return root


@pytest.fixture(scope="module")
def undisturbed(corpus: Path) -> dict[str, str]:
    assert apply(corpus, corpus.parent / "undisturbed", "-q", ear=LONG_FILTER) == 0
    return hashes(corpus.parent / "undisturbed")


class Cluster:
    """A scheduler and two workers as a user starts them, each worker under a nanny that starts it
    again when it dies.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.processes = [
            self._start(folder, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        ]
        wait_for(self.file.exists)
        self.processes += [
            self._start(
                folder, "worker", "--nthreads", "1", "--no-dashboard", "--death-timeout", "30"
            )
            for _ in range(2)
        ]

    def _start(self, folder: Path, what: str, *options: str) -> "subprocess.Popen[bytes]":
        words = [
            sys.executable,
            "-m",
            "distributed.cli.dask_" + what,
            "--scheduler-file",
            str(self.file),
            *options,
        ]
        if what == "worker":
            words += ["--local-directory", str(folder)]
        return subprocess.Popen(
            words,
            env=single_threaded(),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )

    def stop(self) -> None:
        """End the scheduler; its workers leave with it. One that is told to end while it starts
        anew may not.
        """
        self.processes[0].send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(120)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    yield running
    running.stop()


def worker_pids(cluster: Cluster) -> list[int]:
    with distributed.Client(scheduler_file=str(cluster.file), set_as_default=False) as client:
        return [int(pid) for pid in client.run(lambda: __import__("os").getpid()).values()]


def test_a_local_cluster(corpus: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    code, err = finish(
        command(corpus, tmp_path / "out", "--dask", "local", "--report", tmp_path / "report")
    )
    assert code == 0, err
    assert hashes(tmp_path / "out") == undisturbed
    assert {row["status"] for row in rows(tmp_path / "report")} == {"ok"}
    assert (
        apply(
            corpus,
            tmp_path / "out",
            "--resume",
            "-q",
            "--report",
            tmp_path / "report",
            ear=LONG_FILTER,
        )
        == 0
    )
    # one manifest, whatever did the work
    assert {row["status"] for row in rows(tmp_path / "report")} == {"skipped"}


def test_in_place_once(tmp_path: Path) -> None:
    for i in range(12):
        write_tone(tmp_path / "in" / f"x{i % 2}" / f"{i}.wav", seed=i)
    assert apply(tmp_path / "in", tmp_path / "wanted", "-q") == 0
    for options in ((), ("--resume",)):
        assert (
            apply(tmp_path / "in", "--in-place", "--dask", "local", "-q", "--jobs", "2", *options)
            == 0
        )
        assert hashes(tmp_path / "in") == hashes(tmp_path / "wanted")
    assert apply(tmp_path / "in", "--in-place", "--dask", "local", "-q") == 2


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_worker_loses_nothing(
    kills: int, cluster: Cluster, corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    for i in range(kills):
        out, report = tmp_path / f"out{i}", tmp_path / f"report{i}"
        wait_for(lambda: len(worker_pids(cluster)) == 2)
        victim = worker_pids(cluster)[i % 2]
        process = command(corpus, out, "--dask", cluster.file, "--report", report)
        wait_for(partial(has_output, out), process)
        time.sleep(0.1 * (i % 4))
        subprocess.run(["kill", "-9", str(victim)], check=True)
        code, err = finish(process)
        assert code == 0, err
        assert hashes(out) == undisturbed
        assert sorted(row["status"] for row in rows(report)) == ["ok"] * len(undisturbed)
        assert not leftovers(out)


def test_bad_files_are_rows_there_too(cluster: Cluster, tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_tone(root / "good.wav")
    (root / "bad.wav").write_text("no audio")
    assert (
        finish(
            command(root, tmp_path / "out", "--dask", cluster.file, "--report", tmp_path / "report")
        )[0]
        == 1
    )
    assert [(row["name"], row["status"]) for row in rows(tmp_path / "report")] == [
        ("bad.wav", "failed"),
        ("good.wav", "ok"),
    ]


def test_an_address_and_relative_paths(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers have another current directory."""
    write_tone(tmp_path / "in" / "a.wav")
    monkeypatch.chdir(tmp_path)
    address = __import__("json").loads(cluster.file.read_text())["address"]
    assert finish(command("in", "out", "--dask", address))[0] == 0
    assert list(hashes(tmp_path / "out")) == ["a.wav"]


def test_interrupted(
    cluster: Cluster, corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    process = command(corpus, tmp_path / "out", "--dask", cluster.file)
    wait_for(lambda: has_output(tmp_path / "out"), process)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    assert finish(command(corpus, tmp_path / "out", "--dask", cluster.file, "--resume"))[0] == 0
    assert hashes(tmp_path / "out") == undisturbed


def test_nobody_answers(tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav")
    code, err = finish(command(tmp_path / "in", tmp_path / "out", "--dask", "tcp://127.0.0.1:9"))
    assert code == 2
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:9'" in err
    assert "Traceback" not in err
