"""An output appears whole, or not at all."""

import errno
import os
import shutil
import stat
import struct
import subprocess
import sys
import textwrap
import time

import pytest

from earfilt.errors import AudioError, UsageError
from earfilt.storage import output
from earfilt.storage.output import (
    check_destination,
    discard_all,
    is_stream,
    is_temporary,
    open_output,
    sweep,
)

DATA = b"0123456789"


def write(
    path,
    failure: type[BaseException] | BaseException | None = None,
    meanwhile: bytes | None = None,
    **options,
):
    """Write a file; fail or let another process come first, while it is half done."""
    with open_output(str(path), **options) as output:
        output.file.write(DATA)
        if meanwhile is not None:
            path.write_bytes(meanwhile)
        if failure is not None:
            raise failure


@pytest.fixture(autouse=True)
def forget_sweeps(monkeypatch):
    monkeypatch.setattr(output, "_swept", set())


def test_it_appears_at_the_end_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.wav"
    with open_output(str(path)) as output:
        output.file.write(DATA)
        (temp,) = os.listdir(tmp_path)
        assert is_temporary(temp)
        assert temp.startswith(".a.wav.earfilt-")
        assert temp.endswith(".wav")
        assert not path.exists()
    assert os.listdir(tmp_path) == ["a.wav"]
    assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    "failure",
    [RuntimeError, KeyboardInterrupt, SystemExit, OSError(errno.ENOSPC, "No space left on device")],
)
def test_whatever_is_raised_leaves_nothing(tmp_path, failure):
    path = tmp_path / "a.wav"
    expected = AudioError if isinstance(failure, OSError) else failure
    with pytest.raises(expected):
        write(path, failure)
    assert os.listdir(tmp_path) == []


def test_a_failure_keeps_what_was_there(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write(path, RuntimeError, exists="force")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("exists", ["refuse", "skip"])
def test_a_file_that_another_process_put_there_meanwhile_is_not_replaced(tmp_path, exists):
    path = tmp_path / "a.wav"
    with pytest.raises(UsageError, match='exists already; use exists="force"'):
        write(path, meanwhile=b"theirs", exists=exists)
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("there", [True, False])
def test_file_systems_without_links_do_as_well(tmp_path, monkeypatch, there):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.wav"
    if there:
        with pytest.raises(UsageError, match="exists already"):
            write(path, meanwhile=b"theirs")
        assert path.read_bytes() == b"theirs"
    else:
        write(path)
        assert path.read_bytes() == DATA
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has the call")
def test_without_links_nothing_is_replaced_that_comes_at_the_last_moment(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(output.os.path, "lexists", lambda path: False)
    with pytest.raises(UsageError, match="exists already"):
        write(tmp_path / "a.wav", meanwhile=b"theirs")
    assert (tmp_path / "a.wav").read_bytes() == b"theirs"


def test_force_keeps_the_mode_and_a_new_file_gets_that_of_the_umask(tmp_path):
    path = tmp_path / "a.wav"
    old = os.umask(0o027)
    try:
        write(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    write(path, exists="force")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def access_list(user: int) -> bytes:
    """That its owner and one user may write, and nobody else may read."""
    nobody = 0xFFFFFFFF
    entries = [(1, 6, nobody), (2, 6, user), (4, 0, nobody), (16, 6, nobody), (32, 0, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_replacement_has_the_access_list_of_the_old_file_or_none(tmp_path, in_place):
    private, shared = tmp_path / "a.wav", tmp_path / "b.wav"
    for path in (private, shared):
        write(path)
        path.chmod(0o660)
    try:
        os.setxattr(shared, "system.posix_acl_access", access_list(65533))
        os.setxattr(tmp_path, "system.posix_acl_default", access_list(65534))  # of new files
    except (AttributeError, OSError):
        pytest.skip("no access control lists here")
    for path in (private, shared):
        write(path, **({"in_place": True} if in_place else {"exists": "force"}))
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert "system.posix_acl_access" not in os.listxattr(private)
    assert os.getxattr(shared, "system.posix_acl_access") == access_list(65533)


def test_in_place_follows_a_link_and_keeps_it(tmp_path):
    real, link = tmp_path / "real.wav", tmp_path / "link.wav"
    real.write_bytes(b"old")
    link.symlink_to("real.wav")
    write(link, in_place=True)
    assert link.is_symlink()
    assert real.read_bytes() == DATA


def spellings(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "soft.wav").symlink_to("a.wav")
    os.link(tmp_path / "a.wav", tmp_path / "hard.wav")
    return [
        tmp_path / "a.wav",
        tmp_path / "soft.wav",
        tmp_path / "hard.wav",
        f"{tmp_path}/sub/../a.wav",
        f"{tmp_path}//./a.wav",
    ]


def test_the_input_is_recognised_under_any_name(tmp_path):
    source = tmp_path / "a.wav"
    source.write_bytes(b"x")
    for path in spellings(tmp_path):
        for exists in ("refuse", "force", "skip"):
            with pytest.raises(UsageError, match=r"is the input itself; use .*in_place=True"):
                check_destination(str(source), str(path), exists=exists)
        check_destination(str(source), str(path), in_place=True)


def test_refusals_before_any_work(tmp_path):
    source, path = str(tmp_path / "a.wav"), str(tmp_path / "b.wav")
    for name in (source, path):
        with open(name, "wb"):
            pass
    with pytest.raises(UsageError, match='"force" to replace it or exists="skip"'):
        check_destination(source, path)
    check_destination(source, path, exists="force")
    check_destination(source, path, exists="skip")
    with pytest.raises(AudioError, match="directory does not exist"):
        check_destination(source, str(tmp_path / "none" / "b.wav"))
    os.chmod(path, 0o700)
    with pytest.raises(AudioError, match="directory does not exist"):
        check_destination(source, os.path.join(path, "b.wav"))
    with pytest.raises(AudioError, match="is a directory"):
        check_destination(source, str(tmp_path), exists="force")
    (tmp_path / "dangling.wav").symlink_to("nothing.wav")
    with pytest.raises(UsageError, match="exists already"):
        check_destination(source, str(tmp_path / "dangling.wav"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(AudioError, match="no permission"):
        check_destination("-", str(tmp_path / "b.wav"))


def test_a_directory_that_goes_away_is_an_audio_error(tmp_path):
    sub = tmp_path / "sub"
    sub.mkdir()
    with pytest.raises(AudioError, match="cannot write"), open_output(str(sub / "a.wav")):
        shutil.rmtree(sub)


def test_long_and_odd_names(tmp_path):
    for name in (
        "x" * 251 + ".wav",
        "é" * 125 + ".flac",
        "a\nb.wav",
        "\udcff.wav",
        ".wav",
        "noextension",
    ):
        path = tmp_path / name
        with open_output(str(path)) as output:
            output.file.write(DATA)
            assert any(is_temporary(entry) for entry in os.listdir(tmp_path))
        assert path.read_bytes() == DATA


@pytest.mark.skipif(sys.platform != "linux", reason="paths of other lengths")
def test_a_path_as_long_as_the_system_takes(tmp_path):
    room, folder = 4095 - 60, str(tmp_path)
    while len(folder) < room - 1:
        folder += "/" + "d" * min(200, room - len(folder) - 2)
        os.mkdir(folder)
    longest = f"{folder}/{'x' * (4095 - len(folder) - 5)}.wav"
    with open_output(longest) as output:
        output.file.write(DATA)
    with open(longest, "rb") as file:
        assert file.read() == DATA
    assert os.listdir(folder) == [os.path.basename(longest)]


def test_a_path_that_leaves_no_room_names_the_way_out(tmp_path, monkeypatch):
    folder = str(tmp_path) + 22 * ("/" + "d" * 200)[: (4080 - len(str(tmp_path))) // 22]
    os.makedirs(folder)
    with (
        pytest.raises(AudioError, match=r"hidden file .* nearer directory"),
        open_output(f"{folder}/a.wav"),
    ):
        pass
    monkeypatch.chdir(folder)
    with open_output("a.wav") as output:
        output.file.write(DATA)
    assert os.listdir() == ["a.wav"]


KILLED = """
import os, signal, sys
from earfilt.storage.output import open_output
with open_output(sys.argv[1]) as output:
    output.file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_run_cleans_up_after_a_killed_one(tmp_path):
    path = tmp_path / "a.wav"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    (left,) = os.listdir(tmp_path)
    assert is_temporary(left)
    ours = os.path.basename(output._temp_name("b.wav"))
    elsewhere = f".b.wav.earfilt-{'0' * 6}-999999999-00000000.wav"
    for name in (ours, elsewhere, ".hidden.wav"):
        (tmp_path / name).touch()
    assert sweep(str(tmp_path)) == 1
    assert sorted(os.listdir(tmp_path)) == sorted([ours, elsewhere, ".hidden.wav"])


def test_a_trial_that_was_killed_goes_with_the_next_run(tmp_path):
    program = """
import os, sys
from earfilt.storage.output import trial_directory
with trial_directory(sys.argv[1]) as trial:
    os.makedirs(os.path.join(trial, "deeper"))
    open(os.path.join(trial, "deeper", "a.wav"), "w").close()
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    (left,) = os.listdir(tmp_path)
    assert is_temporary(left)
    with output.trial_directory(str(tmp_path)) as trial:
        assert os.listdir(tmp_path) == [os.path.basename(trial)] != [left]
    assert os.listdir(tmp_path) == []


def test_a_trial_in_another_container_goes_after_a_day(tmp_path, monkeypatch):
    (tmp_path / f".trial.earfilt-{output._host()}-999999999-00000000").mkdir()
    for days, left in ((0.9, 1), (1.1, 0)):
        with monkeypatch.context() as patch:
            of_another_space(patch, days)
            output._swept.clear()
            sweep(str(tmp_path))
        assert len(os.listdir(tmp_path)) == left


def test_hidden_names_hold_whole_characters():
    """Some disks take nothing else."""
    for length in range(150, 200):
        name = output._temp_name("a" * (length % 7) + "é" * length + ".wav")
        assert os.fsencode(name).decode()
        assert len(os.fsencode(name)) < 256


def test_what_another_run_replaces_at_once_is_not_taken_for_ones_own(tmp_path, monkeypatch):
    path, real = tmp_path / "a.wav", output.publish

    def overtaken(temp, final, replace):
        real(temp, final, replace)
        path.unlink()
        path.write_bytes(b"another")

    monkeypatch.setattr(output, "publish", overtaken)
    with open_output(str(path)) as mine_open:
        mine_open.file.write(b"mine")
    assert mine_open.published is None
    monkeypatch.setattr(output, "publish", real)
    with open_output(str(path), exists="force") as mine_open:
        mine_open.file.write(b"mine")
    assert mine_open.published.st_mtime_ns == path.stat().st_mtime_ns


HELD = """
import sys, time
from earfilt.storage.output import open_output
with open_output(sys.argv[1]) as output:
    output.file.write(b"half")
    print(output.file.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """An output that another process works at."""
    with subprocess.Popen(
        [sys.executable, "-c", HELD, str(tmp_path / "a.wav")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        yield child.stdout.readline().decode().strip()


def of_another_space(monkeypatch, days):
    """As in another container, or after a new start of the machine: process numbers are others',
    and `days` have passed.
    """
    monkeypatch.setattr(output, "_process_space", lambda: "0" * 6)
    monkeypatch.setattr(output, "_alive", lambda pid: False)
    monkeypatch.setattr(output.time, "time", lambda now=time.time: now() + 86_400 * days)


@pytest.mark.parametrize("days", [0, 0.9, 1.1, 400])
def test_what_another_container_writes_is_left(tmp_path, held, days, monkeypatch):
    of_another_space(monkeypatch, days)
    assert sweep(str(tmp_path)) == 0
    assert os.path.exists(held)


@pytest.mark.parametrize(("days", "left"), [(0, 1), (0.9, 1), (1.1, 0)])
def test_what_was_left_in_another_container_goes_after_a_day(tmp_path, days, left, monkeypatch):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.wav")], check=False)
    of_another_space(monkeypatch, days)
    sweep(str(tmp_path))
    assert len(os.listdir(tmp_path)) == left


def test_without_locks_what_another_container_left_stays(tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.wav")], check=False)
    of_another_space(monkeypatch, 400)
    monkeypatch.setattr(output, "_lock_file", lambda descriptor: False)
    assert sweep(str(tmp_path)) == 0
    write(tmp_path / "b.wav")


def test_a_sweep_opens_no_pipe_and_follows_no_link(tmp_path, monkeypatch):
    temporary = [f".{name}.wav.earfilt-{output._host()}-999999999-00000000.wav" for name in "ab"]
    os.mkfifo(tmp_path / temporary[0])
    (tmp_path / "mine").touch()
    (tmp_path / temporary[1]).symlink_to("mine")
    of_another_space(monkeypatch, 400)
    assert sweep(str(tmp_path)) == 0


def test_process_spaces_differ(monkeypatch):
    one = output._process_space()
    assert one == output._process_space()
    output._process_space.cache_clear()
    monkeypatch.setattr(output.os, "stat", lambda path: os.stat_result(range(10)))
    another = output._process_space()
    output._process_space.cache_clear()
    assert is_temporary(f".a.wav.earfilt-{output._host()}{another}-1-00000000.wav")
    assert another != one


def test_a_terminal_gets_no_audio(recording, tmp_path):
    parent, terminal = os.openpty()
    try:
        for destination_name in ("-", os.ttyname(terminal)):
            code = (
                "from earfilt.cli import main; import sys; sys.argv = ['earfilt', "
                f"'apply', {str(recording)!r}, {destination_name!r}, "
            )
            code += "'-f', 'headphone', '--order', '16']; main()"
            ended = subprocess.run(
                [sys.executable, "-c", code],
                stdout=terminal,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert ended.returncode == 2
            assert "is a terminal" in ended.stderr
        os.set_blocking(parent, False)
        with pytest.raises(BlockingIOError):
            os.read(parent, 1)
    finally:
        os.close(parent)
        os.close(terminal)


def test_a_directory_is_swept_when_it_is_written_into(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.wav")], check=False)
    write(tmp_path / "b.wav")
    assert os.listdir(tmp_path) == ["b.wav"]


def test_discarding_removes_every_unfinished_output(tmp_path):
    with pytest.raises(AudioError, match="No such file"), open_output(str(tmp_path / "a.wav")):
        discard_all()
    assert os.listdir(tmp_path) == []


def test_devices_are_written_to_and_never_replaced(tmp_path):
    assert is_stream("-")
    assert is_stream("/dev/null")
    assert not is_stream(str(tmp_path / "a.wav"))
    check_destination("-", "/dev/null")
    write("/dev/null", exists="force")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE)
    with open_output(str(fifo), spool=True) as output:
        assert output.seekable
        output.file.write(DATA)
    assert reader.communicate()[0] == DATA


STDOUT = """
from earfilt.storage.output import open_output
with open_output("-") as output:
    print(output.seekable, file=__import__("sys").stderr)
"""


def test_the_standard_output_can_seek_only_where_it_is_a_fresh_file(tmp_path):
    def seekable(redirection: str) -> str:
        command = f"{sys.executable} -c '{textwrap.dedent(STDOUT)}' {redirection}"
        return subprocess.run(
            command, shell=True, check=True, cwd=tmp_path, capture_output=True, text=True
        ).stderr.strip()

    assert seekable("> a.wav") == "True"
    assert seekable("| cat") == "False"
    assert seekable(">> b.wav") == "False"
