"""``earfilt apply`` on a tree: the same bytes as file by file, resumable, and not one bad file
spoiling the rest.
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile as sf

from earfilt import __version__
from earfilt.batch.corpus import Batch, prepare
from earfilt.batch.corpus import run as run_batch
from earfilt.batch.executors import Pool, WorkerDied
from earfilt.batch.plan import Rules
from earfilt.chains.members import resolve
from earfilt.cli import run
from earfilt.errors import AudioError
from earfilt.render.job import FileJob
from earfilt.render.process import filter_file
from earfilt.render.record import Row
from tests.batch import badfiles
from tests.batch.conftest import Tree
from tests.batch.trees import FILTER, hashes, leftovers, rows, write_tone
from tests.tools import single_threaded

LONG_FILTER = ("-f", "headphone", "--order", "8192")
EARFILT = [sys.executable, "-c", "from earfilt.cli import main; main()"]


def command(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    """``earfilt apply`` in a process of its own, with a filter that leaves time to disturb it."""
    words = [*EARFILT, "apply", *map(str, arguments), *LONG_FILTER]
    return subprocess.Popen(
        words, env=single_threaded(), stderr=subprocess.PIPE, text=True, **options
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, err = process.communicate(timeout=300)
    return process.returncode, err


def apply(*arguments: object, ear: Sequence[str] = FILTER) -> int:
    """``earfilt apply`` in this process; the fork server stays from test to test."""
    return run(["apply", *map(str, arguments), *ear])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many short files and a few long ones."""
    root = tmp_path_factory.mktemp("corpus") / "in"
    for i in range(200):
        write_tone(root / f"speaker{i % 7}" / f"{i:03d}.wav", frames=4000 + 37 * i, seed=i)
    for i in range(3):
        write_tone(root / f"long{i}.wav", frames=2_000_000, seed=i)
    return root


@pytest.fixture(scope="module")
def undisturbed(corpus: Path) -> dict[str, str]:
    """Hashes of the outputs of a run that nothing happened to."""
    out = corpus.parent / "undisturbed"
    assert apply(corpus, out, "-q", ear=LONG_FILTER) == 0
    return hashes(out)


def test_outputs_are_those_of_single_runs(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav", "x/b.flac", "x/y/c.wav", frames=3000)
    assert apply(root, tmp_path / "out", "--jobs", 2) == 0
    for path in (path for path in root.rglob("*.*") if path.is_file()):
        single = tmp_path / f"single{path.suffix}"
        assert apply(path, single, "--force") == 0
        assert (tmp_path / "out" / path.relative_to(root)).read_bytes() == single.read_bytes()
    assert not leftovers(tmp_path)


def test_the_report_is_a_row_a_file_and_nothing_else(
    tree: Tree, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tree("a.wav", "b.wav")
    (root / "b.wav").write_text("no audio")
    (root / "notes.txt").write_text("neither")
    assert apply(root, tmp_path / "out", "--report", "-") == 1
    said = capfd.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert {row["name"]: row["status"] for row in found} == {"a.wav": "ok", "b.wav": "failed"}
    assert all(set(row) == Row("", "", "", "ok").to_dict().keys() for row in found)
    assert "ignored: not audio" in said.err
    [done] = [row for row in found if row["status"] == "ok"]
    x, y = sf.read(root / "a.wav")[0], sf.read(tmp_path / "out" / "a.wav")[0]
    assert done["frames"] == len(x) == len(y)
    assert done["peak_in_dbfs"] == [pytest.approx(20 * np.log10(np.abs(x).max()), abs=1e-3)]
    assert done["rms_out_dbfs"] == [pytest.approx(20 * np.log10(np.sqrt(np.mean(y**2))), abs=1e-2)]


def test_fifty_bad_files_among_five_hundred(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for i in range(500):
        write_tone(root / f"{i % 9}" / f"{i:03d}.wav", frames=200, seed=i)
    wanted = badfiles.scatter(root, copies=5)
    assert len(wanted) == 50
    assert apply(root, tmp_path / "out", "--report", tmp_path / "report", "-q") == 1
    found = rows(tmp_path / "report")
    failed = {row["name"]: row["error"] for row in found if row["status"] == "failed"}
    assert set(failed) == set(wanted)
    for name, words in wanted.items():
        assert words in failed[name], f"{name}: {failed[name]}"
        assert "\n" not in failed[name]
        assert not (tmp_path / "out" / name).exists()
    assert sum(row["status"] == "ok" for row in found) == 500 == len(hashes(tmp_path / "out"))
    assert not leftovers(tmp_path)


def test_resume_does_what_is_missing_changed_or_made_otherwise(tree: Tree, tmp_path: Path) -> None:
    root, out, report = tree(*(f"{i}.wav" for i in range(6))), tmp_path / "out", tmp_path / "report"
    (root / "5.wav").write_text("not yet audio")

    def resumed(*more: object) -> set[str]:
        code = apply(root, out, "--resume", "--report", report, "-q", *more)
        found = rows(report)
        assert len(found) == 6
        assert code == int(any(row["status"] == "failed" for row in found))
        return {row["name"] for row in found if row["status"] == "ok"}

    assert resumed() == {f"{i}.wav" for i in range(5)}
    before = hashes(out)
    write_tone(root / "5.wav", seed=5)  # what failed is tried again
    (out / "0.wav").unlink()
    shutil.copy(out / "2.wav", out / "1.wav")  # somebody else's
    write_tone(root / "3.wav", seed=99)
    assert resumed() == {"0.wav", "1.wav", "3.wav", "5.wav"}
    after = hashes(out)
    assert {name for name in before if before[name] != after[name]} == {"3.wav"}
    assert resumed() == set()
    assert resumed("--gain", "-3") == {f"{i}.wav" for i in range(6)}
    assert resumed("--gain", "-3", "--full-scale-spl", "94") == set()  # changes the report alone
    (out / ".earfilt-manifest.jsonl").unlink()
    made = hashes(out)
    assert resumed("--gain", "-3") == set()  # no manifest says whose they are
    assert hashes(out) == made


def test_resume_replaces_nothing_that_no_batch_has_made(tree: Tree, tmp_path: Path) -> None:
    root, out, report = tree("a.wav", "b.wav", "c.wav"), tmp_path / "out", tmp_path / "report"
    elsewhere = tmp_path / "masters" / "b.wav"
    write_tone(elsewhere, seed=7)
    write_tone(out / "a.wav", seed=8)
    (out / "b.wav").symlink_to(elsewhere)
    before = hashes(out) | hashes(elsewhere.parent)
    for _ in range(2):  # nor does a second try take them for its own
        assert apply(root, out, "--resume", "--report", report, "-q") == 1
        told = {row["name"]: row for row in rows(report)}
        assert {name for name, row in told.items() if row["status"] == "failed"} == {
            "a.wav",
            "b.wav",
        }
        assert "exists already" in told["a.wav"]["error"]
        assert (out / "c.wav").exists()
        now = hashes(out) | hashes(elsewhere.parent)
        assert {name: now[name] for name in before} == before
    (out / "c.wav").unlink()  # a link in place of an output of its own is not followed either
    (out / "c.wav").symlink_to(elsewhere)
    assert apply(root, out, "--resume", "-q") == 1
    assert hashes(elsewhere.parent) == {"b.wav": before["b.wav"]}


@pytest.mark.parametrize("how", ["--resume", "--force"])
def test_no_pipe_or_device_under_an_outputs_name_is_written_to(
    how: str, tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe would be waited for; what a link leads to would be overwritten, and the row be "ok"."""
    root, out, report = tree("a.wav", "b.wav", "c.wav"), tmp_path / "out", tmp_path / "report"
    out.mkdir()
    os.mkfifo(out / "a.wav")
    (out / "b.wav").symlink_to("/dev/null")
    if how == "--force":
        capsys.readouterr()
        assert apply(root, out, how, "--dry-run") == 1
        assert capsys.readouterr().out.splitlines()[-1].startswith(f"fail\t{root}/a.wav\t")
    assert apply(root, out, how, "--report", report, "-q") == 1
    status = {row["name"]: row["status"] for row in rows(report)}
    replaced = how == "--force"  # the link, by a file
    assert status == {"a.wav": "failed", "b.wav": "ok" if replaced else "failed", "c.wav": "ok"}
    assert (out / "a.wav").is_fifo()
    assert (out / "b.wav").is_symlink() != replaced


def test_what_a_killed_batch_had_begun_is_its_own(tree: Tree, tmp_path: Path) -> None:
    """Its outputs are there, and its manifest tells of the beginning alone."""
    root, out = tree("a.wav", "b.wav"), tmp_path / "out"
    assert apply(root, out, "-q") == 0
    made = hashes(out)
    manifest = out / ".earfilt-manifest.jsonl"
    lines = [line for line in manifest.read_text().splitlines() if "output_sha256" not in line]
    assert sum('"begun"' in line for line in lines) == 2
    manifest.write_text("".join(f"{line}\n" for line in lines))
    assert apply(root, out, "--resume", "-q") == 0
    assert hashes(out) == made


def test_what_workers_had_made_that_died_twice_is_the_batchs_own(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = tree("a.wav"), tmp_path / "out"

    class Deadly(ThreadPoolExecutor):
        def submit(self, function: Any, *args: Any, **_: Any) -> "Future[Any]":
            function(*args)
            future: Future[Any] = Future()
            future.set_exception(WorkerDied("behind its output"))
            return future

    @contextlib.contextmanager
    def dying(*_: object) -> Iterator[Pool]:
        yield Pool(Deadly(1), lambda: 1)

    with monkeypatch.context() as patch:
        patch.setattr("earfilt.batch.executors.processes", dying)
        assert apply(root, out, "-q") == 1
    made = hashes(out)
    assert list(made) == ["a.wav"]
    assert apply(root, out, "--resume", "-q") == 0
    assert hashes(out) == made
    assert run(["verify", str(out)]) == 0


@pytest.mark.parametrize("shared", [False, True], ids=["processes", "cluster"])
@pytest.mark.parametrize(
    ("exists", "status"), [("refuse", "failed"), ("resume", "failed"), ("skip", "skipped")]
)
def test_what_comes_under_an_outputs_name_during_a_run_is_not_replaced(
    exists: Any,
    status: str,
    shared: bool,
    tree: Tree,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, out = tree("a.wav", "b.wav"), tmp_path / "out"

    @contextlib.contextmanager
    def threads(*_: object) -> Iterator[Pool]:
        pool = Pool(ThreadPoolExecutor(1), lambda: 1, shared_disk=shared)
        yield pool
        pool.close()

    monkeypatch.setattr("earfilt.batch.corpus._pool", threads)
    batch = Batch(resolve("headphone", order=64), rules=Rules(exists=exists))
    plan = prepare(batch, [str(root)], str(out))
    out.mkdir()
    (out / "a.wav").write_bytes(b"the only copy")
    found = {row.name: row.status for row, _ in run_batch(batch, plan)}
    assert found == {"a.wav": status, "b.wav": "ok"}
    assert (out / "a.wav").read_bytes() == b"the only copy"


def test_resume_sees_that_a_users_curve_was_edited(tree: Tree, tmp_path: Path) -> None:
    root, out, curve = tree("a.wav"), tmp_path / "out", tmp_path / "curve.csv"

    def status() -> str:
        assert (
            run(
                [
                    "apply",
                    str(root),
                    str(out),
                    "-f",
                    str(curve),
                    "--resume",
                    "-q",
                    "--report",
                    str(tmp_path / "report"),
                ]
            )
            == 0
        )
        return str(rows(tmp_path / "report")[0]["status"])

    curve.write_text("frequency_hz,gain_db\n100,0\n1000,6\n3000,0\n")
    assert [status(), status()] == ["ok", "skipped"]
    curve.write_text("frequency_hz,gain_db\n100,0\n1000,3\n3000,0\n")
    assert [status(), status()] == ["ok", "skipped"]


def test_a_run_says_what_was_there_already(
    tree: Tree, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, out = tree("a.wav", "b.wav"), tmp_path / "out"
    assert apply(root, out) == 0
    before = hashes(out)
    assert apply(root, out, "--gain", "-6") == 2
    assert "a.wav exists already (and 1 more); --resume continues" in capfd.readouterr().err
    assert apply(root, out, "--gain", "-6", "--skip-existing") == 0
    assert hashes(out) == before
    assert apply(root, out, "--gain", "-6", "--force") == 0
    assert set(hashes(out).values()).isdisjoint(before.values())


def kill_at_random(corpus: Path, out: Path, rounds: int) -> list[int]:
    """Kill runs at random moments, the first of them while nothing is there; how many outputs each
    left.
    """
    moments = random.Random(rounds)
    counts = []
    for _ in range(rounds):
        process = command(corpus, out, "--resume", "-q")
        # Part of a short run goes by while modules load: most of the moments are counted from the
        # first output on.
        before = len(hashes(out)) if out.exists() else 0
        if moments.random() < 0.75:
            while process.poll() is None and len(hashes(out)) <= before:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.3))
        else:
            time.sleep(moments.uniform(0, 2))
        process.kill()
        process.communicate()
        counts.append(len(hashes(out)))
    return counts


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_again_and_again_and_resumed(
    rounds: int, corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    counts = kill_at_random(corpus, out, rounds)
    whole = hashes(out)
    # no partial file at a final name
    assert all(undisturbed[name] == content for name, content in whole.items())
    code, err = finish(command(corpus, out, "--resume", "--report", tmp_path / "report"))
    assert code == 0, err
    assert hashes(out) == undisturbed, counts
    status = [row["status"] for row in rows(tmp_path / "report")]
    assert len(status) == len(undisturbed)
    # what was told before the kill is not done again
    assert counts[-1] < 100 or "skipped" in status
    assert not leftovers(out)


def descendants(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(psutil.Process(process.pid).children(recursive=True))
    return []


def workers(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Worker processes: the children of the fork server."""
    return [child for server in descendants(process) for child in server.children()]


def wait_for(condition: Callable[[], Any], process: "subprocess.Popen[str] | None" = None) -> Any:
    """What the condition gives, once it gives something; a run that ends before that cannot be
    disturbed any more.
    """
    while not (value := condition()):
        assert process is None or process.poll() is None, (
            f"the run ended before it could be disturbed: {finish(process)}"
        )
        time.sleep(0.01)
    return value


def has_output(out: Path) -> bool:
    return out.exists() and any(not path.name.startswith(".") for path in out.rglob("*.wav"))


def test_a_killed_worker_loses_nothing(
    corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = command(corpus, out, "--report", tmp_path / "report")
    wait_for(lambda: has_output(out), process)
    wait_for(lambda: workers(process), process)[0].kill()
    code, err = finish(process)
    assert code == 0, err
    assert hashes(out) == undisturbed
    assert [row["status"] for row in rows(tmp_path / "report")] == ["ok"] * len(undisturbed)
    assert not leftovers(out)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_cleanly(
    number: signal.Signals, code: int, corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = command(corpus, out, start_new_session=True)
    manifest = out / ".earfilt-manifest.jsonl"
    wait_for(lambda: manifest.exists() and '"output"' in manifest.read_text(), process)
    family = descendants(process)
    # Ctrl-C reaches every process of the terminal; a service manager ends the first one only.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    returned, err = finish(process)
    assert returned == code, err
    assert "the same command with --resume to continue" in err
    assert "Traceback" not in err
    assert not psutil.wait_procs(family, timeout=20)[1]
    assert not leftovers(out)
    part = hashes(out)
    assert 0 < len(part) < len(undisturbed)
    assert all(undisturbed[name] == content for name, content in part.items())
    assert (
        apply(corpus, out, "--resume", "--report", tmp_path / "report", "-q", ear=LONG_FILTER) == 0
    )
    assert hashes(out) == undisturbed
    assert any(row["status"] == "skipped" for row in rows(tmp_path / "report"))


def test_workers_end_with_a_killed_parent(corpus: Path, tmp_path: Path) -> None:
    process = command(corpus, tmp_path / "out")
    wait_for(lambda: has_output(tmp_path / "out"), process)
    family = descendants(process)
    process.kill()
    process.communicate()
    assert not psutil.wait_procs(family, timeout=20)[1]


def test_runs_at_once_on_one_tree(
    corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    processes = [
        command(corpus, out, "--jobs", 1, "--report", tmp_path / f"report{i}") for i in range(3)
    ]
    ended = [finish(process) for process in processes]
    assert hashes(out) == undisturbed
    assert not leftovers(out)
    reports = [
        rows(tmp_path / f"report{i}") if (tmp_path / f"report{i}").exists() else []
        for i in range(3)
    ]
    done = [row["name"] for report in reports for row in report if row["status"] == "ok"]
    assert sorted(done) == sorted(undisturbed)  # each name has one winner
    for (code, err), report in zip(ended, reports, strict=True):
        lost = [row for row in report if row["status"] == "failed"]
        assert all("exists already" in row["error"] for row in lost)
        assert code == (1 if lost else 0 if report else 2), err
    assert (
        apply(corpus, out, "--resume", "--report", tmp_path / "report", "-q", ear=LONG_FILTER) == 0
    )
    assert {row["status"] for row in rows(tmp_path / "report")} == {"skipped"}


def test_shards_do_the_whole(corpus: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    for i in (1, 2, 3):
        assert apply(corpus, tmp_path / "out", "--shard", f"{i}/3", "-q", ear=LONG_FILTER) == 0
    assert hashes(tmp_path / "out") == undisturbed
    assert (
        apply(
            corpus,
            tmp_path / "out",
            "--resume",
            "--report",
            tmp_path / "report",
            "-q",
            ear=LONG_FILTER,
        )
        == 0
    )
    assert {row["status"] for row in rows(tmp_path / "report")} == {"skipped"}


def test_in_place_is_done_once_however_often_it_is_killed(
    corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "in"
    shutil.copytree(corpus, root)
    originals = hashes(corpus)
    for moment in (0.0, 0.1, 0.25):
        process = command(root, "--in-place", "--resume", "-q")
        wait_for(
            lambda process=process: (
                process.poll() is not None
                or any(hashes(root)[name] != content for name, content in originals.items())
            )
        )
        time.sleep(moment)
        process.kill()
        process.communicate()
    code, err = finish(command(root, "--in-place", "--resume", "-v"))
    assert code == 0, err
    assert hashes(root) == undisturbed
    # it cannot be had otherwise any more
    assert apply(root, "--in-place", "--resume", "--gain", "-6", "-q", ear=LONG_FILTER) == 2
    assert hashes(root) == undisturbed


def test_in_place_an_ended_run_says_how_many_originals_are_gone(tmp_path: Path) -> None:
    root, report = tmp_path / "in", tmp_path / "report"
    for i in range(80):
        write_tone(root / f"{i:02d}.wav", frames=100_000, seed=i)
    originals = hashes(root)

    def replaced() -> set[str]:
        now = hashes(root)
        return {name for name, content in originals.items() if now[name] != content}

    process = command(root, "--in-place", "--jobs", 2, "--report", report)
    wait_for(lambda: len(replaced()) > 5, process)
    process.terminate()
    code, err = finish(process)
    assert code == 143
    assert f"{len(replaced())} of 80 files are done and whole" in err
    told = [json.loads(line) for line in Path(f"{report}.partial").read_text().splitlines()]
    levels = {row["name"] for row in told if row["status"] == "ok" and row["peak_out_dbfs"]}
    # a worker that is told to end between a file and its row tells no more of that one
    assert levels <= replaced()
    assert len(levels) >= len(replaced()) - 2


def test_in_place_again_is_refused_unless_forced(
    tree: Tree, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tree("a.wav", "b.wav")
    assert apply(root, "--in-place", "-q") == 0
    once = hashes(root)
    assert apply(root, "--in-place", "-q") == 2
    assert "(and 1 more) was filtered before; --resume leaves such files" in capfd.readouterr().err
    assert hashes(root) == once
    write_tone(root / "c.wav", seed=9)
    assert apply(root, "--in-place", "--resume", "-q") == 0
    now = hashes(root)
    assert (now["a.wav"], now["b.wav"]) == (once["a.wav"], once["b.wav"])
    assert apply(root, "--in-place", "--force", "-q") == 0
    assert set(hashes(root).values()).isdisjoint(now.values())


def test_a_plan_is_printed_and_nothing_written(
    tree: Tree, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tree("a.wav", "x/b.wav")
    (root / "c.wav").mkdir()
    assert apply(root, tmp_path / "out", "--dry-run", "--format", "flac") == 1
    lines = [line.split("\t") for line in capfd.readouterr().out.splitlines()]
    assert lines[0] == ["filter", str(root / "a.wav"), str(tmp_path / "out" / "a.flac")]
    assert [line[0] for line in lines] == ["filter", "filter", "fail"]
    assert not (tmp_path / "out").exists()


def test_fail_fast(tree: Tree, tmp_path: Path) -> None:
    root = tree(*(f"{i:03d}.wav" for i in range(300)))
    (root / "000.wav").write_text("no audio")
    assert apply(root, tmp_path / "out", "--fail-fast", "--report", tmp_path / "report", "-q") == 1
    assert len(rows(tmp_path / "report")) < 200


def test_lists_of_files(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.wav", "x/b c.wav", "x/d.wav")
    monkeypatch.chdir(root)
    (tmp_path / "list").write_bytes(b"a.wav\0x/b c.wav\0gone.wav\0")
    assert (
        apply(
            "--files-from",
            tmp_path / "list",
            "-0",
            tmp_path / "out",
            "--report",
            tmp_path / "report",
            "-q",
        )
        == 1
    )
    assert sorted(hashes(tmp_path / "out")) == ["a.wav", "x/b c.wav"]
    assert [(row["name"], row["status"]) for row in rows(tmp_path / "report")][1] == (
        "gone.wav",
        "failed",
    )


def test_several_files_go_into_a_directory(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav", "x/b.wav")
    assert apply(root / "a.wav", root / "x" / "b.wav", tmp_path / "out", "-q") == 0
    assert sorted(hashes(tmp_path / "out")) == ["a.wav", "b.wav"]
    # one file into a directory that is there
    assert apply(root / "a.wav", tmp_path / "out", "--force", "-q") == 0
    assert apply(root / "a.wav", f"{tmp_path}/new/", "-q") == 0  # or that the slash says to make
    assert sorted(hashes(tmp_path / "new")) == ["a.wav"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in", "out", "--resume", "--force"], "exclude each other"),
        (["in", "out", "--jobs", "0"], "at least 1"),
        (["in", "out", "--shard", "0/4"], "--shard is '0/4'"),
        (["in", "in"], "same directory"),
        (["in"], "OUTPUT"),
        (["-", "in", "out"], "must be the only INPUT"),
    ],
)
def test_refusals_write_nothing(
    arguments: list[str],
    words: str,
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    root = tree("a.wav")
    monkeypatch.chdir(root.parent)
    before = hashes(root.parent)
    assert apply(*arguments) == 2
    assert words in capfd.readouterr().err
    assert hashes(root.parent) == before
    assert not (root.parent / "out").exists()


def test_nothing_to_do_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no audio")
    assert apply(tmp_path / "in", tmp_path / "out") == 0
    assert "no audio files found (1 other files ignored)" in capfd.readouterr().err


CURVES = [
    "frequency_hz,gain_db\n100,0\n1000,6\n3000,0\n",
    "frequency_hz,gain_db\n100,0\n1000,-6\n3000,0\n",
]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", ["{}", "headphone+{}"])
def test_what_was_planned_is_applied_though_the_curve_is_rewritten_meanwhile(
    name: str, jobs: int, tree: Tree, tmp_path: Path
) -> None:
    root, curve = tree(*(f"{i}.wav" for i in range(40))), tmp_path / "curve.csv"
    curve.write_text(CURVES[0])
    ear = ("-f", name.format(curve))
    assert apply(root, tmp_path / "wanted", "-q", ear=ear) == 0
    batch = Batch(resolve(name.format(curve)), jobs=jobs)
    plan = prepare(batch, [str(root)], str(tmp_path / "out"))
    curve.write_text(CURVES[1])
    rows_of = []
    for row, _ in run_batch(batch, plan):
        rows_of.append(row)
        curve.unlink(missing_ok=True)
    assert {row.status for row in rows_of} == {"ok"}
    assert hashes(tmp_path / "out") == hashes(tmp_path / "wanted")
    told = hashlib.sha256(CURVES[0].encode()).hexdigest()
    assert {row.provenance.to_json()["file_sha256"][str(curve)] for row in rows_of} == {told}
    assert told in (tmp_path / "out" / ".earfilt-manifest.jsonl").read_text()


def test_a_fir_file_likewise(tree: Tree, tmp_path: Path) -> None:
    root, fir = tree(*(f"{i}.wav" for i in range(5))), tmp_path / "fir.npy"
    np.save(fir, np.array([0.5, 0.25]))
    batch = Batch(resolve(str(fir)))
    plan = prepare(batch, [str(root)], str(tmp_path / "out"))
    np.save(fir, np.array([0.1]))
    assert {row.status for row, _ in run_batch(batch, plan)} == {"ok"}
    x, y = (sf.read(folder / "0.wav")[0] for folder in (root, tmp_path / "out"))
    assert np.allclose(y, np.convolve(x, [0.5, 0.25])[: len(x)], atol=1 / 32768)


def test_in_place_with_a_curve_that_was_edited_since_is_refused(
    tree: Tree, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, curve = tree("a.wav", "x/b.wav"), tmp_path / "curve.csv"
    curve.write_text(CURVES[0])
    ear = ("-f", str(curve))
    assert apply(root, "--in-place", "--include", "a.wav", "-q", ear=ear) == 0
    before = hashes(root)
    curve.write_text(CURVES[1])
    assert apply(root, "--in-place", "--resume", "-q", ear=ear) == 2
    assert "a.wav was filtered in place with other settings" in capfd.readouterr().err
    assert hashes(root) == before
    curve.write_text(CURVES[0])
    assert apply(root, "--in-place", "--resume", "-q", ear=ear) == 0
    assert hashes(root)["a.wav"] == before["a.wav"]
    assert hashes(root)["x/b.wav"] != before["x/b.wav"]


def test_in_place_is_known_from_every_side(tree: Tree, tmp_path: Path) -> None:
    """The tree, a directory of it, a file of it, links to them; a shard; Dask is another executor
    of the same work.
    """
    root = tree("a.wav", "x/b.wav", "x/c.wav")
    (root / "link.wav").symlink_to(root / "x" / "b.wav")
    (tmp_path / "other").symlink_to(root / "x")
    assert apply(root, tmp_path / "wanted", "-q") == 0
    wanted = hashes(tmp_path / "wanted")
    assert apply(root, "--in-place", "-q", "--report", tmp_path / "report") == 0
    assert [row["status"] for row in rows(tmp_path / "report")] == ["ok"] * 3
    assert hashes(root) == wanted
    for again in (
        [root],
        [root / "x"],
        [root / "x" / "b.wav"],
        [tmp_path / "other"],
        [root / "x" / "c.wav", root / "a.wav"],
        [root / "link.wav"],
    ):
        assert apply(*again, "--in-place", "-q") == 2
        assert apply(*again, "--in-place", "--resume", "-q", "--report", tmp_path / "report") == 0
        assert {row["status"] for row in rows(tmp_path / "report")} == {"skipped"}
    for i in (1, 2):
        assert apply(root, "--in-place", "--resume", "--shard", f"{i}/2", "-q") == 0
    assert hashes(root) == wanted


@pytest.mark.parametrize("options", [(), ("--resume",)])
def test_runs_at_once_in_place_filter_once(
    options: tuple[str, ...], corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "in"
    shutil.copytree(corpus, root)
    processes = [command(root, "--in-place", "--jobs", 1, *options) for _ in range(3)]
    ended = [finish(process) for process in processes]
    assert hashes(root) == undisturbed
    for code, err in ended:
        assert code == 0 or (not options and code == 2 and "filtered before" in err), err


def test_a_worker_killed_in_place_loses_and_repeats_nothing(
    corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "in"
    shutil.copytree(corpus, root)
    process = command(root, "--in-place", "--report", tmp_path / "report")
    wait_for(lambda: any(root.rglob(".earfilt-manifest.jsonl")), process)
    wait_for(lambda: workers(process), process)[0].kill()
    code, err = finish(process)
    assert code == 0, err
    assert hashes(root) == undisturbed
    assert {row["status"] for row in rows(tmp_path / "report")} <= {"ok", "skipped"}


def test_killed_in_place_and_run_again_without_resume_is_refused(
    corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "in"
    shutil.copytree(corpus, root)
    originals = hashes(corpus)
    process = command(root, "--in-place", "--jobs", 1, "-q")
    wait_for(lambda: hashes(root) != originals, process)
    family = descendants(process)
    process.kill()
    process.communicate()
    assert not psutil.wait_procs(family, timeout=20)[1]
    for_a_copy = tmp_path / "copy"
    # to another disk, and without its times
    shutil.copytree(root, for_a_copy, copy_function=shutil.copyfile)
    before = hashes(for_a_copy)
    code, err = finish(command(for_a_copy, "--in-place"))
    assert (code, hashes(for_a_copy)) == (2, before)
    assert "was filtered before" in err
    assert finish(command(for_a_copy, "--in-place", "--resume", "-q"))[0] == 0
    assert hashes(for_a_copy) == undisturbed


def test_what_version_0_1_filtered_in_place_is_known_by_size_and_time(tree: Tree) -> None:
    root = tree("a.wav", "b.wav", "c.wav")
    status = {name: (root / name).stat() for name in ("a.wav", "b.wav", "c.wav")}
    a, c = ([status[name].st_size, status[name].st_mtime_ns] for name in ("a.wav", "c.wav"))
    lines = [
        {
            "name": "a.wav",
            "source": [1, 1],
            "recipe": "x",
            "fs": 8000.0,
            "coefficients": "0",
            "path": "a.wav",
            "output": a,
        },
        # was being replaced, and was
        {"name": "b.wav", "source": [1, 1], "recipe": "x", "inode": 5},
        # not yet; the inode is another on this disk
        {"name": "c.wav", "source": c, "recipe": "x", "inode": 5},
    ]
    (root / ".earfilt-manifest.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    before = hashes(root)
    assert apply(root, "--in-place", "-q") == 2
    assert apply(root, "--in-place", "--include", "c.wav", "-q") == 0
    assert {name for name, content in hashes(root).items() if content != before[name]} == {"c.wav"}


@pytest.mark.parametrize("way", ["--resume", "--skip-existing", "--in-place"])
def test_a_corpus_of_another_default_is_not_gone_on_with(
    way: str,
    tree: Tree,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    root, out = tree("a.wav", "b.wav"), tmp_path / "out"
    where = [root, "--in-place"] if way == "--in-place" else [root, out]
    again = [*where, "--resume"] if way == "--in-place" else [*where, way]
    assert apply(*where, "--include", "a.wav", "-q", ear=("-f", "headphone")) == 0
    before = hashes(root), hashes(out)
    monkeypatch.setattr("earfilt.chains.chain.DEFAULT_TOLERANCE_DB", 0.2)
    assert apply(*again, "-q", ear=("-f", "headphone")) == 2
    said = capfd.readouterr().err
    assert f"was begun with earfilt {__version__}" in said
    assert "add --tolerance 0.1 to continue it" in said
    assert ("--force" in said) == (way != "--in-place")  # which would filter twice
    assert (hashes(root), hashes(out)) == before
    report = ["-q", "--report", tmp_path / "report"]
    assert apply(*again, *report, ear=("-f", "headphone", "--tolerance", "0.1")) == 0
    assert [row["status"] for row in rows(tmp_path / "report")] == ["skipped", "ok"]


def test_a_dry_run_foretells_what_headers_tell(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree("a.wav", "cut.wav")
    (root / "cut.wav").write_bytes((root / "cut.wav").read_bytes()[:500])
    sf.write(root / "b.mp3", np.full(9000, 0.1), 48_000, "MPEG_LAYER_III", format="MP3")
    (root / "memo.m4a").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0")
    assert apply(root, tmp_path / "out", "--dry-run") == 1
    told = capsys.readouterr()
    lines = {
        line.split("\t")[1].rpartition("/")[2]: line.split("\t") for line in told.out.splitlines()
    }
    assert {name: line[0] for name, line in lines.items()} == {
        "a.wav": "filter",
        "b.mp3": "fail",
        "cut.wav": "fail",
        "memo.m4a": "fail",
    }
    assert "lossy" in lines["b.mp3"][2]
    assert "--format wav" in lines["b.mp3"][2]
    assert "cut short" in lines["cut.wav"][2]
    assert "ffmpeg" in lines["memo.m4a"][2]
    assert "1 to filter, 0 to skip, 3 that fail" in told.err
    assert not (tmp_path / "out").exists()


def test_recordings_called_like_another_format_come_through(tmp_path: Path) -> None:
    root = tmp_path / "timit" / "DR1"
    root.mkdir(parents=True)
    samples = np.random.default_rng(0).integers(-9000, 9000, 4800).astype(np.int16)
    sf.write(root / "SA1.WAV", samples, 16_000, "PCM_16", format="NIST")
    sf.write(root / "m.wav", samples, 16_000, "MPEG_LAYER_III", format="MP3")
    np.save(tmp_path / "one.npy", np.ones(1))
    assert apply(tmp_path / "timit", tmp_path / "out", ear=("-f", str(tmp_path / "one.npy"))) == 0
    assert sf.info(tmp_path / "out" / "DR1" / "m.wav").format == "WAV"
    np.testing.assert_array_equal(
        sf.read(tmp_path / "out" / "DR1" / "SA1.WAV", dtype="int16")[0], samples
    )


@pytest.mark.parametrize("way", ["b/x.wav", "x.wav", "c/deep/x.wav"])
def test_in_place_what_moved_within_its_tree_is_known(tree: Tree, way: str) -> None:
    root = tree("a/x.wav", "b/y.wav", "c/z.wav")
    words = ("apply", str(root), "-f", "middle-ear", "--in-place", "-q")
    assert run([*words]) == 0
    (root / way).parent.mkdir(exist_ok=True)
    (root / "a" / "x.wav").rename(root / way)  # nothing but its manifest stays there
    before = hashes(root)
    assert run([*words]) == 2
    assert run([*words, "--resume"]) == 0
    assert hashes(root) == before


def test_a_source_that_changes_behind_its_last_sample_fails(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the manifest would vouch for a source that never gave the output."""
    from earfilt.render import process

    root, out = tree("a.wav"), tmp_path / "out"
    real = process.content_hash

    def late(descriptor: int) -> str:
        write_tone(root / "a.wav", seed=3)
        return real(descriptor)

    monkeypatch.setattr(process, "content_hash", late)
    job = FileJob(
        str(root / "a.wav"), str(out / "a.wav"), "a.wav", resolve("headphone"), hashes=True
    )
    out.mkdir()
    with pytest.raises(AudioError, match="changed while it was read"):
        filter_file(job)
    assert not os.listdir(out)


@pytest.mark.parametrize("how", ["a list of directories", "a list of files", "a glob", "a link"])
def test_in_place_what_moved_is_known_however_it_was_named(
    how: str, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, attributes = tree("a/x.wav", "b/y.wav"), hasattr(os, "setxattr")
    monkeypatch.chdir(tmp_path)
    os.symlink("in", "link")

    def go(*more: str) -> int:
        listed = ["in"] if "directories" in how else sorted(map(str, Path("in").rglob("*.wav")))
        (tmp_path / "list").write_text("\n".join(listed) + "\n")
        named = (
            ["--files-from", "list"]
            if "list" in how
            else ["link" if "link" in how else "in/**/*.wav"]
        )
        return run(["apply", *named, *FILTER, "--in-place", "-q", *more])

    if how == "a list of files" and not attributes:
        pytest.skip("where files have no attributes, their directories tell, and one is not named")
    assert go() == 0
    os.rename(root / "a" / "x.wav", root / "b" / "x.wav")
    before = hashes(root)
    assert go() == 2
    assert go("--resume") == 0
    assert hashes(root) == before


def test_outputs_through_a_link_that_leads_into_the_input_are_refused(
    tree: Tree, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, out = tree("sub/x.wav", "y.wav"), tmp_path / "out"
    out.mkdir()
    os.symlink(root / "sub", out / "sub")
    assert apply(root, out, "--format", "flac", "-q") == 2
    assert "lies inside the input" in capfd.readouterr().err
    assert sorted(path.name for path in root.rglob("*")) == ["sub", "x.wav", "y.wav"]


@pytest.mark.parametrize("way", [("--exclude", "keep.wav"), ("--include", "1.wav")])
def test_force_never_writes_through_a_link(way: Sequence[str], tree: Tree, tmp_path: Path) -> None:
    root, out = tree("1.wav", "keep.wav"), tmp_path / "out"
    before = hashes(root)
    out.mkdir()
    os.symlink(root / "keep.wav", out / "1.wav")
    assert apply(root, out, "--force", "-q", *way) == 0
    assert hashes(root) == before
    assert not (out / "1.wav").is_symlink()


def test_a_listed_file_called_like_the_standard_input_is_a_file(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("-", "b.wav")
    monkeypatch.chdir(root)
    (tmp_path / "list").write_text("./-\nb.wav\n")
    assert apply("--files-from", tmp_path / "list", tmp_path / "out", "-q") == 0
    filter_file(
        FileJob(str(root / "-"), str(tmp_path / "one.wav"), "-", resolve("headphone", order=64))
    )
    assert (tmp_path / "out" / "-").read_bytes() == (tmp_path / "one.wav").read_bytes()


def days(tree: Tree, *, alike: bool) -> tuple[Path, Path]:
    """Recordings of two days that share their names and sizes and, where they are alike, times."""
    roots = tree("1.wav", "2.wav", under="monday"), tree("3.wav", "4.wav", under="tuesday")
    for number, root in enumerate(roots):
        for name, path in zip(("1.wav", "2.wav"), sorted(root.iterdir()), strict=True):
            path.rename(root / name)
            os.utime(root / name, (0, 1_500_000_000 if alike else 1_500_000_000 + number))
    write_tone(roots[1] / "1.wav", seed=11)
    write_tone(roots[1] / "2.wav", seed=12)
    for path in roots[1].iterdir():
        os.utime(path, (0, 1_500_000_000 if alike else 1_500_000_001))
    return roots


@pytest.mark.parametrize("alike", [True, False])
def test_resume_takes_no_recording_for_another_of_its_name(
    alike: bool, tree: Tree, tmp_path: Path
) -> None:
    monday, tuesday = days(tree, alike=alike)
    out = tmp_path / "out"
    assert apply(monday, out, "-q") == 0
    before = hashes(out)
    assert apply(tuesday, out, "--resume", "-q") == 1
    assert hashes(out) == before
    assert apply(tuesday, out, "--force", "-q") == 0
    assert not before.items() & hashes(out).items()
    assert apply(tuesday, out, "--resume", "-q") == 0


def test_resume_knows_sources_that_were_moved(tree: Tree, tmp_path: Path) -> None:
    root, out, report = tree("a.wav", "x/b.wav"), tmp_path / "out", tmp_path / "report.jsonl"
    assert apply(root, out, "-q") == 0
    root.rename(tmp_path / "far")
    assert apply(tmp_path / "far", out, "--resume", "-q", "--report", report) == 0
    assert [row["status"] for row in rows(report)] == ["skipped", "skipped"]


def test_one_source_may_have_outputs_of_several_formats(tree: Tree, tmp_path: Path) -> None:
    root, out, report = tree("a.wav"), tmp_path / "out", tmp_path / "report.jsonl"
    assert apply(root, out, "-q") == 0
    assert apply(root, out, "--format", "flac", "-q") == 0
    assert run(["verify", str(out)]) == 0
    for more in ((), ("--format", "flac")):
        assert apply(root, out, "--resume", "-q", "--report", report, *more) == 0
        assert [row["status"] for row in rows(report)] == ["skipped"]
        report.unlink()
    (out / "a.wav").write_bytes(b"damaged")
    assert run(["verify", str(out)]) == 1
