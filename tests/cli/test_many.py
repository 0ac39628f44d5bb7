"""What a terminal is shown while a batch goes on."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earfilt import __version__
from earfilt.cli import run
from earfilt.cli.commands.many import progress_words
from earfilt.report.rows import Totals


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (100, "1,250/98,000 files, 1 h 02 min of audio, 37 × real time, left"),
        (60, "1,250/98,000 files, 1 h 02 min, 37 ×, left"),
        (50, "1,250/98,000, 1 h 02 min, 37 ×, left"),
        (20, "1,250/98,000, 1 h 02 min, 37 ×, left"),
    ],
)
def test_progress_is_told_in_the_room_there_is(columns: int, expected: str) -> None:
    totals = Totals(done=1200, skipped=50, audio_seconds=3720.0)
    assert progress_words(totals, 98_000, 100.0, columns=columns) == expected


def test_nothing_done_yet() -> None:
    assert progress_words(Totals(), 3, 0.0, columns=80).startswith("0/3 files, 0.0 s of audio, 0 ×")


@pytest.mark.parametrize("columns", [60, 80])
def test_a_terminal_shows_files_audio_rate_and_time(columns: int, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(3):
        soundfile.write(tmp_path / f"in/{i}.wav", np.zeros(16000), 16000)
    ours, theirs = pty.openpty()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "earfilt",
            "apply",
            tmp_path / "in",
            tmp_path / "out",
            "-f",
            "headphone",
        ],
        check=True,
        stderr=theirs,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm"},
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # how a pseudo-terminal ends on Linux
            break
        if not part:
            break
        said += part
    os.close(ours)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode()).replace("\r", "\n").split("\n")
    shown = [line for line in lines if line.startswith(("━", "╸", "╺")) and "3/3" in line]
    assert shown
    assert max(map(len, shown)) <= columns
    assert re.search(r"3/3 files, 3\.0 s.*, \d[\d,]* ×.*, left *(\d+:\d\d:\d\d|-:--:--)", shown[-1])


def test_quiet_leaves_the_failures_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/good.wav", np.zeros(1600), 16000)
    (tmp_path / "in/notes.txt").write_text("no audio")
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "-f", "headphone", "-q"]
    assert run(["apply", *words]) == 0
    assert capsys.readouterr().err == ""
    (tmp_path / "in/bad.wav").write_text("no audio either")
    assert run(["apply", *words, "--force"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "1  failed:"
    assert "bad.wav" in second


def test_every_failed_row_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows = tmp_path / "rows.jsonl"
    soundfile.write(tmp_path / "in/a.mp3", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "in/b.ogg", np.zeros(16000), 16000)
    (tmp_path / "in/c.wav").write_text("no audio")
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "-f", "headphone", "-q"]
    assert run(["apply", *words, "--report", str(rows)]) == 1
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    assert len(found) == 3
    for row in found:
        assert row["source"] in row["error"]
        assert row["source"] not in row["reason"]
        assert row["version"] == __version__


def test_without_dask_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16000)
    words = [str(tmp_path), str(tmp_path / "out"), "-f", "headphone", "--dask", "local"]
    for more in ([], ["--dry-run"]):
        assert run(["apply", *words, *more]) == 2
        said = capsys.readouterr()
        assert said.err == "earfilt: --dask needs the extra: pip install 'earfilt[dask]'\n"
        assert not said.out
    assert not (tmp_path / "out").exists()
