"""Exit codes, messages, signals and pipes of the command line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from earfilt import __version__
from earfilt.cli import run
from tests.tools import single_threaded

EARFILT = [sys.executable, "-c", "from earfilt.cli import main; main()"]


def started(arguments: list[str], **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*EARFILT, *arguments], env=single_threaded(), **options)  # type: ignore[call-overload, no-any-return]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"earfilt {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["aply"], "aply"),
        (["apply", "--nonsense"], "--nonsense"),
        (["apply", "a.wav", "b.wav"], "--filter"),
        (["apply", "a.wav", "b.wav", "-f", "headphone", "--order", "many"], "--order"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("earfilt: ")
    assert said.err.count("\n") == 1
    assert words in said.err


@pytest.mark.parametrize("arguments", [[], ["apply"], ["response"], ["design"]])
def test_a_bare_command_shows_its_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    bare = capsys.readouterr().err
    assert run([*arguments, "--help"]) == 0
    assert bare.split() == capsys.readouterr().out.split()
    assert bare.count("\n") > 10


def test_wrong_usage_points_to_the_help_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "a.wav", "b.wav", "-f", "headphone", "--fs", "16000"]) == 2
    assert "see 'earfilt apply --help'" in capsys.readouterr().err


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    command = started(
        ["apply", str(tmp_path / "a.wav"), "b.wav", "-f", "headphone", "--debug"],
        stderr=subprocess.PIPE,
    )
    _, err = command.communicate()
    assert command.returncode == 1
    assert b"Traceback" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_leave_no_file(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """The source is a pipe that is never finished, so that the signal meets a file half written."""
    with started(
        ["apply", "-", str(tmp_path / "out.wav"), "-f", "headphone"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdin is not None
        header = (
            b"RIFF\xff\xff\xff\xffWAVEfmt "
            b"\x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\x00\x77\x01\0\x02\0\x10\0data\xff\xff\xff\xff"
        )
        command.stdin.write(header + bytes(1 << 20))
        command.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(tmp_path.iterdir()), "no temporary file appeared"
        command.send_signal(number)
        _, err = command.communicate()
    assert command.returncode == code
    assert (
        err.decode().splitlines()[-1]
        == f"earfilt: {'terminated' if number == signal.SIGTERM else 'interrupted'}"
    )
    assert not list(tmp_path.iterdir())


def test_a_signal_is_not_lost_where_exceptions_are() -> None:
    code = """
import os, signal, sys, time
from earfilt import cli

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)

def app(*_, **__):
    Dropped()
    time.sleep(30)

cli.app, sys.argv = app, ["earfilt"]
cli.main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=single_threaded(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == 143
    assert ended.stderr == b"earfilt: terminated\n"


def test_closed_stdout_of_a_reader_that_left(recording: Path) -> None:
    with started(
        ["response", "-f", "headphone", "--points", "200000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        command.stdout.readline()
        command.stdout.close()
        _, err = command.communicate()
    assert b"Traceback" not in err
    assert b"pipe" not in err.lower()
    assert command.returncode == 0


def test_stderr_closed(recording: Path, tmp_path: Path) -> None:
    script = (
        f'exec {sys.executable} -c "from earfilt.cli import main; main()" apply '
        f"nothing.wav {tmp_path}/out.wav -f headphone 2>&-"
    )
    assert subprocess.run(["sh", "-c", script], env=single_threaded()).returncode == 1


@pytest.mark.parametrize("columns", [80, 200])
def test_help_fits_the_terminal(columns: int) -> None:
    environment = {**single_threaded(), "COLUMNS": str(columns), "TERM": "dumb"}
    for command in ([], ["apply"], ["response"], ["design"], ["filters"]):
        out = subprocess.run(
            [*EARFILT, *command, "--help"], env=environment, capture_output=True, text=True
        )
        assert out.returncode == 0
        assert max(len(line.rstrip()) for line in out.stdout.splitlines()) <= columns
        assert "\x1b" not in out.stdout


def test_not_even_a_home(recording: Path, tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name in ("PATH", "OMP_NUM_THREADS")
    }
    out = tmp_path / "out.wav"
    code = subprocess.run(
        [*EARFILT, "apply", str(recording), str(out), "-f", "headphone"],
        env={**environment, "LANG": "C"},
    ).returncode
    assert code == 0
    assert out.exists()
