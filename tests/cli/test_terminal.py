"""What is printed on a terminal: names and words of a stranger's files move no cursor."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earfilt import cli

EARFILT = [sys.executable, "-c", "from earfilt.cli import main; main()"]
CURVE = "frequency_hz,gain_db\n100,-2\n1000,0\n8000,-4\n"
NAME = "a\x1b]0;owned\x07\x1b[31m"


def on_a_terminal(line: list[str], folder: Path) -> bytes:
    """What a command sends to the terminal that is its output."""
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "TERM": "dumb",
        "NO_COLOR": "1",
        "XDG_DATA_HOME": str(folder / "data"),
    }
    with subprocess.Popen(
        [*EARFILT, *line],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    ):
        os.close(theirs)
        sent = b""
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the last writer has gone
                break
            if not piece:
                break
            sent += piece
    os.close(ours)
    return sent


LINES = {
    "response": ["response", "-f", f"{NAME}.csv", "-f", "headphone", "--freqs", "1000"],
    "compare": ["response", "-f", "headphone", "--compare", f"{NAME}.csv", "--freqs", "1000"],
    "show": ["response", "-f", f"{NAME}.csv", "--show"],
    "to-stdout": ["response", "-f", f"{NAME}.csv", "-f", "headphone", "-o", "-"],
    "design": ["design", "-f", f"{NAME}.csv", "-o", f"{NAME}.wav"],
    "dry-run": ["apply", "in", "out", "-f", "headphone", "--dry-run"],
    "batch": ["apply", "in", "out", "-f", f"{NAME}.csv", "--report", "-"],
    "one": ["apply", f"in/{NAME}.wav", "one.wav", "-f", f"{NAME}.csv", "--report", "-"],
    "no-curve": ["design", "-f", f"{NAME}.none.csv", "-o", "x.wav"],
    "no-filter": ["filters", NAME],
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_file_of_any_name_sends_no_escape_sequence(tmp_path: Path, line: list[str]) -> None:
    (tmp_path / f"{NAME}.csv").write_text(CURVE)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / f"{NAME}.wav", np.zeros(800), 16000)
    sent = on_a_terminal(line, tmp_path)
    assert b"owned" in sent
    assert b"\x1b" not in sent
    assert b"\x07" not in sent


def test_files_keep_the_bytes_of_a_name_and_no_spreadsheet_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("=1+1.csv", "@x.csv", f"{NAME}.csv"):
        Path(name).write_text(CURVE)
    filters = [word for name in ("=1+1.csv", "@x.csv", f"{NAME}.csv") for word in ("-f", name)]
    assert cli.run(["response", *filters, "--freqs", "1000", "-q"]) == 0
    names = [row.split(",")[0] for row in capfd.readouterr().out.split("\n")[1:4]]
    assert names == ["./=1+1.csv", "./@x.csv", f"{NAME}.csv"]
    for name in names:  # still names of the filters
        assert cli.run(["response", "-f", name, "--freqs", "1000", "-q"]) == 0


def test_words_of_an_entry_send_no_escape_sequence(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "earfilt" / "ears"
    folder.mkdir(parents=True)
    (folder / "mine.csv").write_text(CURVE)
    (folder / "mine.toml").write_text(
        'title = "owned \\u001b]0;x\\u0007"\nquantity = "gain_db"\nunit = "dB"\n'
        '[source]\ncitation = "A. (2026). owned \\u001b[31m"\n'
        '[[ear]]\nname = "cat-ear"\nkind = "curve"\nsummary = "owned \\u001b[31m"\n'
    )
    for more in ([], ["cat-ear"], ["--json"], ["cat-ear", "--json"]):
        sent = on_a_terminal(["filters", *more], tmp_path)
        assert b"owned" in sent, more
        assert b"\x1b" not in sent
        assert b"\x07" not in sent
