"""The standard streams, where the caller closed them."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from earfilt.cli.streams import fitted

EARFILT = f"{sys.executable} -c 'from earfilt.cli import main; main()'"


def shell(command, cwd):
    return subprocess.run(
        ["sh", "-c", command], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_what_needs_no_stream_works_without(tmp_path, recording, closed):
    ended = shell(
        f"{EARFILT} apply {recording} out.wav -f headphone --order 16 -q {closed}", tmp_path
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


@pytest.mark.parametrize(
    "command", ["filters >&-", "filters >/dev/full", "response -f headphone >&-", "--version >&-"]
)
def test_data_that_cannot_be_written_is_a_failure(tmp_path, command):
    ended = shell(f"{EARFILT} {command}", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("earfilt: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_closed_input_and_output_are_named(tmp_path, recording):
    assert (
        "cannot read standard input: Bad file descriptor"
        in shell(f"{EARFILT} apply - a.wav -f headphone <&-", tmp_path).stderr
    )
    assert (
        "cannot write standard output: Bad file"
        in shell(f"{EARFILT} apply {recording} - -f headphone >&-", tmp_path).stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_what_libraries_print_is_not_shown(tmp_path):
    code = "with own_stderr(): os.write(2, b'noise'); print('ours', file=sys.stderr)"
    code = f"import os, sys; from earfilt.cli.streams import own_stderr\n{code}"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stderr
        == "ours\n"
    )


def test_words_on_a_terminal_break_between_words(tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    arguments = [sys.executable, "-m", "earfilt", "response", "-f", "middle-ear", "-o", "a.csv"]
    subprocess.run(arguments, cwd=tmp_path, stderr=theirs, check=True)
    os.close(theirs)
    said = os.read(ours, 4096).decode().splitlines()
    os.close(ours)
    again = subprocess.run([*arguments, "--force"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert len(again.stderr.splitlines()) == 1
    assert len(said) > 1
    assert max(map(len, said)) <= 60
    assert " ".join(line.strip() for line in said) == again.stderr.strip()


def test_a_broken_line_goes_on_under_its_text():
    said = fitted("a -> b\n  filter      headphone, order 80, minimum phase", 38)
    assert said.splitlines() == [
        "a -> b",
        "  filter      headphone, order 80,",
        "              minimum phase",
    ]
    assert fitted("/a/name/that-is-longer-than/any-line.wav", 12).count("\n") == 0
