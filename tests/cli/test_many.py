"""What a terminal is shown while a batch goes on."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

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
