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


SLOWLY = """
import os, subprocess, sys, time
ours, theirs = os.pipe()
os.set_blocking(theirs, False)
process = subprocess.Popen(sys.argv[1:], stdout=theirs)
os.close(theirs)
while not process.poll() and (piece := os.read(ours, 4096)):
    sys.stdout.buffer.write(piece)
    time.sleep(0.0005)
sys.exit(process.wait())
"""


def test_a_table_for_a_pipe_that_does_not_wait_is_whole(tmp_path):
    """Whoever shares a pipe may set it so; more is said than it holds."""
    (tmp_path / "slowly.py").write_text(SLOWLY)
    command = f"{EARFILT} response -f headphone --points 3000 -q"
    said = shell(f"{sys.executable} slowly.py {command}", tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == shell(command, tmp_path).stdout
    assert len(said.stdout) > 1 << 17


LISTED = """
import os, subprocess, sys, time
ours, theirs = os.pipe()
os.set_blocking(ours, False)
process = subprocess.Popen(sys.argv[1:], stdin=ours)
for name in ("a.wav", "b.wav"):
    time.sleep(0.5)
    os.write(theirs, name.encode() + bytes([10]))
os.close(theirs)
os.close(ours)
sys.exit(process.wait())
"""


def test_a_pause_does_not_end_a_list(tmp_path, recording):
    (tmp_path / "listed.py").write_text(LISTED)
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(recording.read_bytes())
    command = f"{EARFILT} apply --files-from - out -f headphone --order 16 --dry-run"
    said = shell(f"{sys.executable} listed.py {command}", tmp_path)
    assert said.stdout.count("filter\t") == 2, said.stderr


@pytest.mark.parametrize("log", ["2>/dev/full", "2> >(true)"])
def test_a_batch_goes_on_without_its_log(tmp_path, recording, log):
    (tmp_path / "in").mkdir()
    for number in range(40):
        (tmp_path / f"in/{number:02d}.wav").write_bytes(
            b"no audio" if number % 2 else recording.read_bytes()
        )
    command = f"{EARFILT} apply in out -f headphone --order 16 -v {log}"
    ended = subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False)
    assert ended.returncode == 1  # of the files that are no audio
    assert len(list((tmp_path / "out").glob("*.wav"))) == 20


def test_a_batch_whose_report_nobody_reads_says_why_it_ends(tmp_path, recording):
    (tmp_path / "in").mkdir()
    for number in range(40):
        (tmp_path / f"in/{number:02d}.wav").write_bytes(recording.read_bytes())
    command = f"{EARFILT} apply in out -f headphone --order 16 --report - -q | true"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr == "earfilt: the reader of the report went away, which ended the batch\n"


def test_only_a_search_that_found_nothing_says_so(tmp_path, recording):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.wav").write_bytes(recording.read_bytes())
    (tmp_path / "r.jsonl").touch()
    ended = shell(f"{EARFILT} apply in out -f headphone --order 16 --report r.jsonl", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "earfilt: the report r.jsonl exists already: move it away or name another one"
    ]
    (tmp_path / "in/a.wav").unlink()
    ended = shell(f"{EARFILT} apply in out -f headphone --order 16", tmp_path)
    assert "no audio files found (0 other files ignored)" in ended.stderr


@pytest.mark.parametrize("name", ["/dev/fd/1", "/proc/self/fd/1", "link.csv"])
def test_tables_and_reports_go_to_the_standard_output_under_every_name(tmp_path, recording, name):
    (tmp_path / "link.csv").symlink_to("/dev/stdout")
    ended = shell(
        f"{EARFILT} apply {recording} a.wav -q -f headphone --order 16 --report {name} > r.jsonl",
        tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "r.jsonl").read_text().startswith('{"source":')
    if name == "link.csv":
        ended = shell(f"{EARFILT} response -q -f headphone -o {name} > b.csv", tmp_path)
        assert (ended.returncode, ended.stderr) == (0, "")
        plain = shell(f"{EARFILT} response -q -f headphone", tmp_path).stdout
        assert (tmp_path / "b.csv").read_text() == plain
        assert (tmp_path / name).is_symlink()


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
