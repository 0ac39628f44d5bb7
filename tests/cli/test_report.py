"""``--report`` and the outputs beside it: nothing that a call reads, and nothing that was there, is
written over.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from earfilt.cli import run
from tests.batch.trees import FILTER, hashes, rows, write_tone

Content = dict[str, bytes]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.wav", "corpus/a.wav", "corpus/b.wav"):
        write_tone(Path(name))
    run(["design", "-q", *FILTER, "--fs", "8000", "-o", "fir.npy"])
    Path("list.txt").write_text("corpus/a.wav\n")
    Path("notes.txt").write_text("precious")
    os.link("in.wav", "hard")
    os.symlink("corpus/a.wav", "soft")


@pytest.fixture
def content() -> Callable[[], Content]:
    return lambda: {
        str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("force", [(), ("--force",), ("--skip-existing",)])
@pytest.mark.parametrize(
    "arguments",
    [
        ("in.wav", "out.wav", "--report", "in.wav"),
        ("in.wav", "out.wav", "--report", "./corpus/../in.wav"),
        ("in.wav", "out.wav", "--report", "hard"),
        ("in.wav", "out.jsonl", "--format", "wav", "--report", "out.jsonl"),
        ("in.wav", "out.jsonl", "--format", "wav", "--report", "OUT.jsonl"),
        ("in.wav", "-", "--report", "-"),
        ("in.wav", "out.wav", "-f", "fir.npy", "--report", "fir.npy"),
        ("gone", "out.wav", "--report", "gone"),
        ("corpus", "out", "--report", "corpus/b.wav"),
        ("corpus", "out", "--report", "soft"),
        ("corpus", "out", "--shard", "2/2", "--report", "soft"),
        ("corpus", "out", "--report", "out/a.wav"),
        ("corpus", "out", "--report", "out/.earfilt-manifest.jsonl"),
        ("corpus", "out", "-f", "fir.npy", "--report", "fir.npy"),
        ("--files-from", "list.txt", "out", "--report", "list.txt"),
        ("--files-from", "list.txt", "in.wav", "out", "--report", "hard"),
    ],
)
def test_a_report_takes_no_other_files_place(
    arguments: tuple[str, ...],
    force: tuple[str, ...],
    content: Callable[[], Content],
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = content()
    ear = () if "-f" in arguments else FILTER
    assert run(["apply", *arguments, *ear, *force]) == 2
    assert content() == before
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("in.wav", "out.wav", "--report", "notes.txt"),
        ("in.wav", "out.wav", "--skip-existing", "--report", "notes.txt"),
        ("in.wav", "--in-place", "--report", "notes.txt"),
        ("corpus", "out", "--report", "notes.txt"),
        ("corpus", "out", "--resume", "--report", "notes.txt"),
        ("in.wav", "in.wav", "--force", "--report", "notes.txt"),
        ("in.wav", "hard", "--force", "--report", "notes.txt"),
        ("in.wav", "notes.txt", "--format", "wav", "--report", "rows"),
        ("in.wav", "fir.npy", "--format", "wav", "-f", "fir.npy", "--force", "--report", "rows"),
    ],
)
def test_a_refused_call_leaves_all_as_it_was(
    arguments: tuple[str, ...], content: Callable[[], Content]
) -> None:
    before = content()
    assert run(["apply", *arguments, *(() if "-f" in arguments else FILTER), "-q"]) == 2
    assert content() == before


def test_outputs_are_never_the_filters_own_files(content: Callable[[], Content]) -> None:
    Path("curve.csv").write_text("frequency_hz,gain_db\n100,0\n1000,-6\n")
    Path("corpus/fir.wav").write_bytes(b"")
    run(["design", "-q", *FILTER, "--fs", "8000", "-o", "corpus/fir.wav", "--force"])
    Path("out").mkdir()
    os.symlink("../corpus/fir.wav", "out/a.wav")
    before = content()
    for arguments in (
        ["apply", "corpus", "--in-place", "-f", "corpus/fir.wav"],
        ["apply", "corpus/a.wav", "corpus/b.wav", "out", "-f", "corpus/fir.wav", "--force"],
        ["apply", "in.wav", "corpus/fir.wav", "-f", "corpus/fir.wav", "--force"],
        ["design", "-f", "curve.csv", "--fs", "8000", "-o", "curve.csv", "--force"],
        ["design", "-f", "headphone+curve.csv", "--fs", "8000", "-o", "curve.csv", "--force"],
        ["design", "-f", "fir.npy", "--fs", "8000", "-o", "fir.npy", "--force"],
        ["response", "-f", "curve.csv", "-o", "curve.csv", "--force"],
        ["response", "-f", "headphone", "--compare", "curve.csv", "-o", "curve.csv", "--force"],
    ):
        assert run(arguments) == 2, arguments
        assert content() == before


def test_a_failure_is_a_row_and_a_refusal_none() -> None:
    Path("text.wav").write_text("This is a letter, not audio.\n" * 20)
    assert run(["apply", "text.wav", "out.wav", *FILTER, "--report", "rows"]) == 1
    assert [row["status"] for row in rows(Path("rows"))] == ["failed"]
    assert (
        run(["apply", "in.wav", "notes.txt", *FILTER, "--format", "wav", "--report", "other"]) == 2
    )
    assert not Path("other").exists()


@pytest.mark.parametrize("report", ["corpus/rec", "out/rec"])
@pytest.mark.parametrize("shard", ["1/2", "2/2"])
def test_a_report_takes_no_place_of_what_another_shard_reads_or_writes(
    report: str, shard: str, content: Callable[[], Content]
) -> None:
    os.rename("corpus/b.wav", "corpus/rec")  # sound by its content
    assert run(["apply", "corpus", "out", *FILTER, "-q"]) == 0
    before = content()
    assert (
        run(["apply", "corpus", "out", *FILTER, "--force", "--shard", shard, "--report", report])
        == 2
    )
    assert content() == before


def test_a_report_may_stand_beside_the_outputs_or_the_inputs() -> None:
    for i, name in enumerate(("out0/rows.jsonl", "corpus/rows.jsonl", "rows")):
        assert run(["apply", "corpus", f"out{i}", *FILTER, "-q", "--report", name]) == 0
        assert [row["status"] for row in rows(Path(name))] == ["ok", "ok"]
        assert len(hashes(Path(f"out{i}"))) == 2


def test_a_run_that_goes_on_adds_its_rows_and_force_replaces_them() -> None:
    def written(*options: str) -> list[str]:
        assert run(["apply", "corpus", "out", *FILTER, "-q", "--report", "rows", *options]) == 0
        return [
            line.split('"status": "')[1].split('"')[0]
            for line in Path("rows").read_text().splitlines()
        ]

    assert written() == ["ok", "ok"]
    assert written("--resume") == ["ok", "ok", "skipped", "skipped"]
    assert written("--skip-existing") == ["ok", "ok", "skipped", "skipped", "skipped", "skipped"]
    assert written("--force") == ["ok", "ok"]
