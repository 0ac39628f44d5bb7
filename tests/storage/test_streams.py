"""Descriptors that wait whatever they were set to, and the names that lead to them."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from earfilt.errors import AudioError, UsageError
from earfilt.storage.output import check_destination, is_stream, open_output
from earfilt.storage.streams import WaitingFile, is_of_the_system, stream_number

DATA = os.urandom(300_000)  # more than a pipe holds


@pytest.fixture
def ends() -> tuple[int, int]:
    """A pipe whose ends do not wait."""
    both = os.pipe()
    for end in both:
        os.set_blocking(end, False)
    return both


@pytest.mark.parametrize("way", ["read", "readinto", "readall"])
def test_a_pause_is_no_end_and_no_room_is_no_error(ends: tuple[int, int], way: str) -> None:
    def send() -> None:
        with WaitingFile(ends[1], "wb") as file:
            for piece in (DATA[:7], DATA[7:]):
                time.sleep(0.02)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]

    sender = threading.Thread(target=send)
    sender.start()
    got, room = bytearray(), bytearray(50_000)
    with WaitingFile(ends[0], "rb") as file:
        if way == "readall":
            got += file.read()
        elif way == "read":
            while piece := file.read(50_000):
                got += piece
        else:
            while count := file.readinto(room):
                got += room[:count]
    sender.join()
    assert got == DATA


def test_streams_have_many_names(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "further").symlink_to("link")
    (tmp_path / "fd").symlink_to("/proc/self/fd")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "away").symlink_to("nowhere")
    (tmp_path / "1").touch()
    names = {
        "-": 1, "/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2, "/dev/fd/7": 7, "/dev/../dev/fd/1": 1,
        "/proc/self/fd/12": 12, f"/proc/{os.getpid()}/fd/2": 2, "/proc/thread-self/fd/1": 1,
    }  # fmt: skip
    own = {"link": 1, "further": 1, "fd/3": 3, "round": None, "away": None, "1": None, "new": None}
    names |= {str(tmp_path / name): number for name, number in own.items()}
    others = ["/dev/null", "/dev/fd", "/dev/fd/x", "/proc/1/fd/1", "stdout", "a.wav", "", "a/\0"]
    assert {name: stream_number(name) for name in [*names, *others]} == names | dict.fromkeys(
        others
    )


@pytest.mark.parametrize("form", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_a_stream_is_written_to_and_never_replaced(tmp_path: Path, form: str) -> None:
    """Also where a shell has redirected it to a file, and with --force."""
    made = tmp_path / "made.wav"
    with made.open("wb") as file:
        path = form.format(file.fileno())
        if form == "link":
            path = str(tmp_path / "link")
            os.symlink(f"/proc/self/fd/{file.fileno()}", path)
        assert is_stream(path)
        assert check_destination("in.wav", path, exists="refuse")
        for data in (b"one", b"two"):
            with open_output(path, exists="force") as output:
                output.file.write(data)
        assert os.path.islink(path)
    assert made.read_bytes() == b"onetwo"
    assert {entry.name for entry in tmp_path.iterdir()} <= {"made.wav", "link"}


def test_a_descriptor_that_is_not_open_is_named() -> None:
    with (
        pytest.raises(AudioError, match="cannot write /dev/fd/999: Bad file descriptor"),
        open_output("/dev/fd/999"),
    ):
        pass


DAEMON = """
import os, earfilt
options = dict(repair=True, format="wav", order=64)
earfilt.apply_file("in/a.mp3", "right.wav", "headphone", **options)
kept = os.dup(1)
os.closerange(0, 3)
earfilt.apply_file("in/a.mp3", "one.wav", "headphone", **options)
os.closerange(0, 3)
rows = list(earfilt.apply_files("in", "out", "headphone", jobs=1, **options))
said = [row.status for row in rows]
for destination in ("/dev/stdout", "/dev/stderr"):
    try:
        earfilt.apply_file("in/b.wav", destination, "headphone")
    except earfilt.AudioError as error:
        said.append(str(error))
os.write(kept, "\\n".join(said).encode())
"""


def test_what_libraries_print_lands_in_no_file_where_streams_are_closed(tmp_path: Path) -> None:
    """As in a daemon. libmpg123 tells on descriptor 2 of each frame that it does not understand."""
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 96_000)
    sf.write(tmp_path / "in/b.wav", noise, 48_000)
    sf.write(tmp_path / "in/a.mp3", noise, 48_000)
    damaged = bytearray((tmp_path / "in/a.mp3").read_bytes())
    damaged[3000:9000:1000] = bytes(6)
    damaged[5000:6000] = bytes(range(250)) * 4
    (tmp_path / "in/a.mp3").write_bytes(damaged)
    ran = subprocess.run(
        [sys.executable, "-c", DAEMON], cwd=tmp_path, capture_output=True, text=True
    )
    assert "Note: " in ran.stderr, "libmpg123 has nothing to say of this file"
    assert ran.stdout.splitlines() == [
        "ok",
        "ok",
        "cannot write /dev/stdout: Bad file descriptor",
        "cannot write /dev/stderr: Bad file descriptor",
    ]
    right = (tmp_path / "right.wav").read_bytes()
    assert (tmp_path / "one.wav").read_bytes() == right
    assert (tmp_path / "out/a.wav").read_bytes() == right


def test_no_file_is_made_among_devices_and_processes() -> None:
    assert is_of_the_system("/dev/new.wav")
    assert is_of_the_system("/proc/self/new.wav")
    assert not is_of_the_system("/dev/shm/new.wav")
    assert not is_of_the_system(f"/proc/{os.getpid()}/cwd/new.wav")
    for name in ("/proc/new.wav", "/sys/new.wav"):
        with pytest.raises(AudioError, match="the system's own"):
            check_destination("in.wav", name, exists="force")
        with pytest.raises(AudioError, match="the system's own"), open_output(name):
            pass


def test_a_directory_that_became_a_link_among_devices_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert not is_of_the_system(str(folder / "new.wav"))
    folder.rmdir()
    folder.symlink_to("/dev")
    assert is_of_the_system(str(folder / "new.wav"))


def test_in_place_no_stream_is_meant(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.wav")
    with pytest.raises(AudioError, match="a pipe or a device, not a file"):
        check_destination(str(tmp_path / "fifo.wav"), str(tmp_path / "fifo.wav"), in_place=True)
    with (tmp_path / "a.wav").open("wb") as file:
        name = f"/dev/fd/{file.fileno()}"
        with pytest.raises(UsageError, match="input itself"):
            check_destination(name, name, in_place=True)
