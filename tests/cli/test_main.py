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
from tests.batch.trees import leftovers, write_tone
from tests.tools import single_threaded

EARFILT = [sys.executable, "-c", "from earfilt.cli import main; main()"]


HEADER = (
    b"RIFF\xff\xff\xff\xffWAVEfmt "
    b"\x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\x00\x77\x01\0\x02\0\x10\0data\xff\xff\xff\xff"
)


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


def test_windows_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("earfilt.cli._ON_WINDOWS", True)
    assert run(["filters"]) == 2
    assert "run it under WSL" in capsys.readouterr().err
    assert run(["--version"]) == 0


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


SAID = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}
OTHERS = (
    "HUP",
    "QUIT",
    "ABRT",
    "ALRM",
    "VTALRM",
    "PROF",
    "USR1",
    "USR2",
    "XCPU",
    "IO",
    "PWR",
    "STKFLT",
    "RTMIN",
)


@pytest.mark.parametrize(
    "number",
    [*SAID, *(getattr(signal, f"SIG{name}") for name in OTHERS if hasattr(signal, f"SIG{name}"))],
)
def test_signals_leave_no_file(number: signal.Signals, tmp_path: Path) -> None:
    """The source is a pipe that is never finished, so that the signal meets a file half written."""
    with started(
        ["apply", "-", str(tmp_path / "out.wav"), "-f", "headphone"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdin is not None
        command.stdin.write(HEADER + bytes(1 << 20))
        command.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(tmp_path.iterdir()), "no temporary file appeared"
        command.send_signal(number)
        _, err = command.communicate()
    assert command.returncode == 128 + number
    assert (
        err.decode().splitlines()[-1] == f"earfilt: {SAID.get(number) or f'ended by {number.name}'}"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGQUIT]
)
def test_signals_to_the_group_leave_no_file(number: signal.Signals, tmp_path: Path) -> None:
    """As a terminal that hangs up or a job scheduler sends them, to the helpers as well."""
    for k in range(4):
        write_tone(tmp_path / "in" / f"{k}.wav", frames=3_000_000, seed=k)
    words = [
        "apply",
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        "-f",
        "outer-middle-ear",
        "-q",
        "--jobs",
        "2",
    ]
    with started(words, stderr=subprocess.PIPE, start_new_session=True) as command:
        deadline = time.monotonic() + 60
        while not leftovers(tmp_path) and command.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert leftovers(tmp_path)
        os.killpg(command.pid, number)
        _, err = command.communicate()
    assert command.returncode == 128 + number
    assert err.decode().splitlines() == [
        f"earfilt: {SAID.get(number) or f'ended by {number.name}'}"
    ]
    assert not leftovers(tmp_path)


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As under nohup."""
    script = (
        f"trap '' HUP; exec {sys.executable} -c 'from earfilt.cli import main; main()' "
        f"apply - {tmp_path}/a.wav -f headphone -q"
    )
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, env=single_threaded()
    ) as command:
        assert command.stdin is not None
        command.stdin.write(HEADER + bytes(1 << 20))
        command.stdin.flush()
        while not list(tmp_path.iterdir()) and command.poll() is None:
            time.sleep(0.02)
        command.send_signal(signal.SIGHUP)
        command.stdin.close()
        assert command.wait(60) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_signal_that_becomes_another_error_is_told_as_a_signal() -> None:
    """As one that comes while a class is made."""
    code = """
import os, signal, sys, time
from earfilt import cli

class Named:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(5)

def app(*_, **__):
    type("Made", (), {"named": Named()})

cli._run, sys.argv = app, ["earfilt"]
cli.main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (128 + signal.SIGHUP, "earfilt: ended by SIGHUP\n")


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

cli._run, sys.argv = app, ["earfilt"]
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


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (["apply", "{folder}", "out", "-f", "headphone"], True),
        (["apply", "--files-from", "-", "out", "-f", "headphone"], True),
        (["apply", "a.wav", "{folder}", "-f", "headphone"], False),
        (["apply", "{folder}", "out", "-f", "headphone", "--dry-run"], False),
        (["apply", "{folder}", "out", "-f", "headphone", "--dask", "local"], False),
        (["apply", "{folder}", "--help"], False),
        (["apply", "nul\0", "out"], False),
        (["apply"], False),
        (["verify", "{folder}"], False),
    ],
)
def test_workers_of_a_batch_start_before_the_command_line_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], begins: bool
) -> None:
    class Parsing(Exception):
        pass

    def parse(*_: str) -> None:
        raise Parsing

    started: list[bool] = []
    monkeypatch.setattr("earfilt.batch.workers.warm_up", lambda: started.append(True))
    monkeypatch.setattr("earfilt.cli.parser.parser", parse)
    with pytest.raises(Parsing):
        run([word.format(folder=tmp_path) for word in words], debug=True)
    assert started == [True] * begins


def test_memory_that_runs_out_at_the_very_end_is_one_line() -> None:
    """Where not even an error could be made of it, the interpreter has words of its own."""
    code = (
        "import earfilt.cli as cli\n"
        "def run(*arguments, **options): raise SystemError('error return without exception set')\n"
        "cli.run = run\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=single_threaded(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "earfilt: out of memory\n")


RUNS_OUT = """
import sys
from earfilt import cli

class Held:
    def __del__(self):
        raise {error}

def run(arguments, *, debug):
    held = Held()
    del held
    raise MemoryError

cli.run = run
cli.main()
"""


@pytest.mark.parametrize("error", ["MemoryError", "ValueError('a fault')"])
def test_memory_that_runs_out_in_a_finaliser_too_is_told_of_in_one_line(error: str) -> None:
    """Another fault there is not kept back."""
    ended = subprocess.run(
        [sys.executable, "-c", RUNS_OUT.replace("{error}", error), "--version"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith("earfilt: out of memory\n")
    alone = ended.stderr == "earfilt: out of memory\n"
    assert alone == (error == "MemoryError"), ended.stderr
    assert alone or "a fault" in ended.stderr
