"""The file of a report: rows as they come, whole or clearly partial, and nothing lost that was
there.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from earfilt.errors import AudioError, UsageError
from earfilt.render.record import Row
from earfilt.report.file import check_report, open_report


def row(name: str) -> Row:
    return Row(f"in/{name}", f"out/{name}", name, "ok")


def names(path: Path) -> list[str]:
    return [json.loads(line)["name"] for line in path.read_text("ascii").splitlines()]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.jsonl"


@pytest.fixture
def partial(report: Path) -> Path:
    return report.with_name("report.jsonl.partial")


def write(
    report: Path, *rows: str, exists: str = "refuse", ends: BaseException | None = None
) -> None:
    with open_report(str(report), exists=exists) as lines:  # type: ignore[arg-type]
        assert lines is not None
        for name in rows:
            lines.write(row(name))
        if ends is not None:
            raise ends


def test_rows_stream_and_the_whole_gets_the_name(
    report: Path, partial: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    awkward = "\udcff\nü.wav"
    with open_report(str(report)) as lines:
        assert lines is not None
        lines.write(row(awkward))
        assert names(partial) == [awkward]  # there before the next file is done
        assert not report.exists()
    assert names(report) == [awkward]
    assert not partial.exists()
    with open_report("-") as lines:
        assert lines is not None
        lines.write(row("a"))
    with open_report(None) as lines:
        assert lines is None


@pytest.mark.parametrize("target", ["-", "/dev/stdout", "/dev/stderr"])
def test_standard_streams(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    with open_report(target) as lines:
        assert lines is not None
        lines.write(row("a"))
    said = capsys.readouterr()
    assert json.loads(said.err if target == "/dev/stderr" else said.out)["name"] == "a"


def test_a_pipe_gets_rows_as_they_come(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "pipe", "a", "b")
    reader.join()
    assert got[0].count(b"\n") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    with open_report("/dev/null") as lines:
        assert lines is not None
        lines.write(row("a"))
    with pytest.raises(AudioError, match="cannot write the report /dev/full"):
        write(Path("/dev/full"), "a")


def test_what_ends_early_stays_partial_and_nothing_else_changes(
    report: Path, partial: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(report, "a", ends=KeyboardInterrupt())
    assert names(partial) == ["a"]
    assert not report.exists()
    with pytest.raises(UsageError, match="holds the rows of a run that was ended"):
        write(report, "b")
    assert names(partial) == ["a"]
    write(report, "b", exists="extend")
    assert names(report) == ["a", "b"]
    assert not partial.exists()


def test_a_kill_leaves_whole_rows_and_one_torn_at_most(report: Path, partial: Path) -> None:
    code = (
        "import os, sys; from earfilt.report.file import open_report; from "
        "earfilt.render.record import Row\n"
        "with open_report(sys.argv[1]) as lines:\n"
        "    for name in 'abc': lines.write(Row('s', 'd', name, 'ok'))\n"
        "    os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, report]).returncode == -9
    assert names(partial) == ["a", "b", "c"]
    with partial.open("ab") as file:
        file.write(b'{"source": "torn')
    write(report, "d", exists="extend")
    assert names(report) == ["a", "b", "c", "d"]


def test_a_run_without_a_row_leaves_what_was_there(report: Path, partial: Path) -> None:
    for exists in ("refuse", "force", "extend"):
        with pytest.raises(OSError, match="not of the report"):
            write(report, exists=exists, ends=OSError("not of the report"))
        assert not report.exists()
        assert not partial.exists()
    write(report, "a")
    for exists in ("refuse", "force", "extend"):
        with pytest.raises((UsageError, KeyboardInterrupt)):
            write(report, exists=exists, ends=KeyboardInterrupt())
        assert names(report) == ["a"]
        assert not partial.exists()


def test_an_existing_file_is_replaced_by_force_alone(report: Path, partial: Path) -> None:
    write(report, "a")
    report.chmod(0o640)
    with pytest.raises(UsageError, match="exists already"):
        write(report, "b")
    assert names(report) == ["a"]
    with pytest.raises(KeyboardInterrupt):
        write(report, "b", exists="force", ends=KeyboardInterrupt())
    assert names(report) == ["a"]
    assert names(partial) == ["b"]
    os.link(partial, report.with_name("kept"))
    write(report, "c", exists="force")
    assert names(report) == ["c"]
    assert report.stat().st_mode & 0o777 == 0o640
    assert names(report.with_name("kept")) == ["b"]


def test_rows_are_added_to_an_earlier_report(report: Path) -> None:
    write(report, "a")
    report.write_bytes(report.read_bytes().rstrip())  # as some editors do
    write(report, "b", exists="extend")
    assert names(report) == ["a", "b"]
    os.symlink(report.name, report.with_name("link"))
    write(report.with_name("link"), "c", exists="extend")
    assert names(report) == ["a", "b", "c"]
    assert report.with_name("link").is_symlink()


@pytest.mark.parametrize(
    "content",
    [
        b"precious notes",
        b"precious\nnotes\n",
        b"{}\n",
        b"[1]\n",
        b"\0\xff\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_rows_are_added_to_reports_alone(content: bytes, report: Path, partial: Path) -> None:
    for path in (report, partial):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="is not a report of earfilt"):
            write(report, "a", exists="extend")
        assert path.read_bytes() == content
        path.unlink()
    assert list(report.parent.iterdir()) == []


def test_one_report_has_one_writer(report: Path) -> None:
    with open_report(str(report)) as lines:
        assert lines is not None
        for exists in ("refuse", "force", "extend"):
            with pytest.raises(UsageError, match="another run is writing"):
                write(report, "x", exists=exists)
        lines.write(row("a"))
    assert names(report) == ["a"]


def test_a_name_taken_meanwhile_stays_with_its_owner(report: Path, partial: Path) -> None:
    def meddle() -> None:
        with open_report(str(report)) as lines:
            assert lines is not None
            lines.write(row("a"))
            report.write_text("another's")

    with pytest.raises(AudioError, match=r"the rows are in .*report\.jsonl\.partial"):
        meddle()
    assert report.read_text() == "another's"
    assert names(partial) == ["a"]


def test_where_no_report_can_be(tmp_path: Path, report: Path, partial: Path) -> None:
    with pytest.raises(AudioError, match="cannot write the report"):
        write(tmp_path / "no" / "report", "a")
    with pytest.raises(UsageError, match="is a directory"):
        write(tmp_path, "a", exists="force")
    (tmp_path / "precious").write_text("precious")
    os.symlink("precious", partial)
    with pytest.raises(AudioError, match="cannot write the report"):
        write(report, "a", exists="force")
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("in.wav", "sound file"),
        ("new.FLAC", "sound file"),
        ("list.txt", "is read by this call"),
        ("link", "is read by this call"),
        ("out.jsonl", "need two names"),
        ("OUT.jsonl", "need two names"),
        (".earfilt-manifest.jsonl", "keeps for itself"),
        ("-", "need two names"),
        ("/dev/stdout", "need two names"),
        ("kept", r"kept\.partial is read"),
    ],
)
def test_a_report_takes_no_other_files_place(
    target: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.wav", "list.txt", "kept.partial"):
        Path(name).write_text("precious")
    os.symlink("list.txt", "link")
    with pytest.raises(UsageError, match=words):
        check_report(
            target, read=["in.wav", "list.txt", "kept.partial"], written=["out.jsonl", "-"]
        )
    check_report(None, read=[], written=[])
    check_report("rows.jsonl", read=["in.wav", "list.txt"], written=["out.jsonl"])
    assert Path("in.wav").read_text() == "precious"
