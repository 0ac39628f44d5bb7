"""The place where an output appears: whole, or not at all.

A file is written under a hidden name beside its destination,
``.NAME.earfilt-HOST-PID-RANDOM.suffix``, and moved into place once it is complete. It is locked
while it is written. A run that is killed leaves such a name behind, and the next run that writes
into the directory removes it: at once if it sees the same processes and that one is dead. In
another container, or after a restart of the machine, the process number says nothing; then an
unlocked file is removed a day after the last write to it.
"""

import errno
import filecmp
import hashlib
import io
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, Literal

from earfilt.errors import AudioError, UsageError, printable
from earfilt.storage.attributes import copy_attributes
from earfilt.storage.streams import (
    WaitingFile,
    fill_closed,
    is_of_the_system,
    is_terminal,
    open_stream,
    status_of,
    stream_number,
    write_all,
)
from earfilt.wording import either, existing

Exists = Literal["refuse", "force", "skip"]

_TEMP = re.compile(
    r"^\..*\.earfilt-(?P<host>[0-9a-f]{6})(?P<space>[0-9a-f]{6})?-(?P<pid>\d+)-[0-9a-f]{8}(\.[^.]*)?$",
    re.DOTALL,
)
_DAY = 86_400.0
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1  # of Linux's renameat2(2)
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
_PIECE = 1 << 20
_LONGEST_NAME = 220  # bytes of a hidden name; usual file systems take 255
_LONGEST_PATH = 4095  # bytes, on Linux
_TERMINAL = (
    "{} is a terminal, which would show audio as gibberish; name a file, or redirect it with | or >"
)
_lock = threading.Lock()
_live: set[str] = set()
_swept: set[str] = set()


@dataclass
class Output:
    """An open output.

    Parameters
    ----------
    file : raw binary file
        For reading and writing if seekable.
    seekable : bool
        False for a pipe or a terminal.
    published : os.stat_result, optional
        Of the file under its name, once that is there; None where another one had it at once.
    """

    file: io.RawIOBase
    seekable: bool
    published: os.stat_result | None = None


def is_stream(path: str) -> bool:
    """Whether a destination is a standard stream under any of its names, a pipe or a device: written
    as it comes, never replaced.
    """
    if stream_number(path) is not None:
        return True
    return (status := _status(path)) is not None and _flows(status)


def check_destination(
    source: str,
    path: str,
    *,
    exists: Exists = "refuse",
    in_place: bool = False,
    regular: bool = False,
) -> bool:
    """Refuse, before any work, what would do harm.

    Parameters
    ----------
    regular : bool
        The output is a file: a pipe or device under its name is refused.

    Returns
    -------
    bool
        Whether the destination is a stream (see `is_stream`).

    Raises
    ------
    UsageError
        The output is the input (under any name), a terminal, or exists and may not be replaced.
    AudioError
        The directory is missing, not writable or the system's own; the destination is a directory;
        it flows and has to be a file, as in place.
    """
    if "\0" in source + path:
        raise AudioError(
            f"{printable(source if chr(0) in source else path)} is not a file name: it holds a "
            "zero byte"
        )
    number = None if regular else stream_number(path)
    named = number is None and os.path.lexists(path)
    there = _status(path) if named or number is not None else None
    if (
        there is not None
        and stat.S_ISREG(there.st_mode)
        and not (in_place and number is None)
        and _is(source, there)
    ):
        if number is not None or source == "-":  # which the shell has opened
            both = "the standard output" if path == "-" else f"output {printable(path)}"
            raise UsageError(f"{both} is the input itself; write to another file")
        raise UsageError(
            f"output {printable(path)} is the input itself; use {_in_place()} to replace it"
        )
    if regular or in_place:
        refuse_flow(path, follow=in_place)
    elif number is not None or (there is not None and _flows(there)):
        _refuse_terminal(path, number)
        return True
    if there is not None and stat.S_ISDIR(there.st_mode):
        raise AudioError.about(printable(path), "output {subject} is a directory")
    if named and not in_place and exists == "refuse":
        raise taken(path)
    _check_directory(path, os.path.realpath(path) if in_place else path)
    return False


def refuse_flow(path: str, *, follow: bool) -> None:
    """Raise AudioError where what has a path, or what a link leads to, is neither a file nor a
    directory.
    """
    try:
        there = os.stat(path) if follow else os.lstat(path)
    except OSError:  # it is not there
        return
    if _flows(there) and not stat.S_ISLNK(there.st_mode):
        raise AudioError.about(
            printable(path),
            "output {subject} is a pipe or a device, not a file, and is not replaced; move it away "
            "or write to another directory",
        )


def _refuse_terminal(path: str, number: int | None) -> None:
    if number is not None and is_terminal(number):  # of others it shows when they are opened
        raise UsageError(_TERMINAL.format(_name_of(path)))


def _refuse_system(path: str, final: str) -> None:
    """Raise AudioError where a file would be made among the system's devices or processes."""
    if is_of_the_system(final):
        raise AudioError.about(
            printable(path),
            "cannot write {subject}: its directory is the system's own; name another one",
        )


def _check_directory(path: str, final: str) -> None:
    """Raise AudioError where a file cannot be made beside what it is to replace."""
    _refuse_system(path, final)
    directory = os.path.dirname(final) or os.curdir
    if not os.access(os.path.join(directory, ""), os.W_OK | os.X_OK):  # an executable file is none
        if not os.path.isdir(directory):
            raise AudioError.about(
                printable(path),
                "cannot write {subject}: its directory does not exist; make it first",
            )
        raise AudioError.about(
            printable(path),
            "cannot write {subject}: no permission to create files in its directory",
        )


def _name_of(stream: str) -> str:
    return "standard output" if stream == "-" else printable(stream)


def _status(path: str) -> os.stat_result | None:
    """What lies behind a path, or a stream; None where nothing does."""
    try:
        number = stream_number(path)
        return os.stat(path) if number is None else status_of(number)
    except (OSError, ValueError):
        return None


def _flows(status: os.stat_result) -> bool:
    """Whether it is a pipe or a device."""
    return not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode)


def _is(source: str, there: os.stat_result) -> bool:
    """Whether a source is the file that is there, under any name, or redirected to the standard
    input.
    """
    status = _status("/dev/stdin" if source == "-" else source)
    return status is not None and os.path.samestat(status, there)


def _in_place() -> str:
    return either("--in-place", "apply_files(…, None, …, in_place=True)")


class Taken(UsageError):
    """A destination that exists and may not be replaced."""


def taken(path: str) -> Taken:
    """What to tell of a destination that exists."""
    return Taken.about(
        printable(path),
        "output {subject} exists already; use "
        f"{existing('force')} to replace it or {existing('skip')} to keep it",
    )


@contextmanager
def open_output(
    path: str,
    *,
    exists: Exists = "refuse",
    in_place: bool = False,
    spool: bool = False,
    may_be_done: bool = False,
    regular: bool = False,
) -> Iterator[Output]:
    """An output that appears when the block ends, and never if it raises.

    Parameters
    ----------
    path : str
        A file, ``-`` or another name of a standard stream, or a pipe or device.
    exists : 'refuse', 'force' or 'skip'
        'force' replaces what is there, a link itself and not what it points to. Otherwise the move
        never replaces anything, not even what another process put there meanwhile.
    in_place : bool
        As 'force', but a link is followed and stays.
    spool : bool
        Make a stream seekable: it is put together on disk and sent at the end.
    may_be_done : bool
        A regular file under the name that holds the same bytes is the output.
    regular : bool
        The output is a file, whatever has its name.

    Raises
    ------
    Taken
        The destination was taken meanwhile.
    UsageError
        It is a terminal.
    AudioError
        What the system says: no space, no permission, a directory that is gone; as
        `check_destination`.
    """
    fill_closed()
    if not regular and not in_place and is_stream(path):
        with _stream(path, spool) as output:
            yield output
        return
    replace = in_place or exists == "force"
    final = os.path.realpath(path) if in_place else path
    _refuse_system(path, final)
    sweep(os.path.dirname(os.path.abspath(final)))
    try:
        with _temporary(final) as (temp, file):
            output = Output(file, seekable=True)
            yield output
            if replace:
                take_after(file, final, in_place=in_place)
            made = os.fstat(file.fileno())
            file.close()
            try:
                publish(temp, final, replace)
            except Taken:
                if not (may_be_done and _holds_the_same(temp, final)):
                    raise
            output.published = _same(made, final)
    except OSError as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError.about(
            printable(path), "cannot write {subject}: {why}", why=_why(error)
        ) from error


def _why(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return (
            "its name or path, or that of the hidden file beside it which is written first, is "
            "longer than the system takes; use shorter names, or go to a nearer directory (cd) and "
            "name it from there"
        )
    return error.strerror or str(error)


def _holds_the_same(temp: str, final: str) -> bool:
    """Whether a name is that of a regular file, and no link, with the bytes of another."""
    return not os.path.islink(final) and filecmp.cmp(temp, final, shallow=False)


def _same(made: os.stat_result, path: str) -> os.stat_result | None:
    """The status of what has a path, where that is the file that was made: not every disk has inodes
    that stay.
    """
    now = _status(path)
    if now is None or os.path.samestat(now, made):
        return now
    alike = (now.st_size, now.st_mtime_ns) == (made.st_size, made.st_mtime_ns)
    return now if alike else None


@contextmanager
def _temporary(final: str) -> Iterator[tuple[str, io.FileIO]]:
    temp = _temp_name(final)
    with _lock:
        _live.add(temp)
    try:
        with io.FileIO(temp, "x+") as file:
            _lock_file(file.fileno())
            yield temp, file
    finally:
        with suppress(OSError):
            os.unlink(temp)
        with _lock:
            _live.discard(temp)


def _temp_name(final: str) -> str:
    directory, name = os.path.split(final)
    suffix = os.path.splitext(name)[1][:16]
    end = f".earfilt-{_host()}{_process_space()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"
    # some file systems take whole characters only
    room = min(_LONGEST_NAME, _LONGEST_PATH - len(os.fsencode(os.path.join(directory, "."))))
    kept = os.fsencode(name)[: max(0, room - len(os.fsencode(end)))].decode("utf-8", "ignore")
    stem = os.fsdecode(kept.encode("utf-8"))
    return os.path.join(directory, f".{stem}{end}")


@cache
def _host() -> str:
    return _short_hash(platform.node())


@cache
def _process_space() -> str:
    """What tells apart where process numbers mean the same: this start of this machine, and the
    container on it.
    """
    if not sys.platform.startswith("linux"):
        return _short_hash("")
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
            return _short_hash(f"{boot.read()} {os.stat('/proc/self/ns/pid').st_ino}")
    except OSError:
        return secrets.token_hex(3)  # cannot be told: like no other


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:6]


def _lock_file(descriptor: int) -> bool:
    """Lock an open file as long as it stays open; whether that could be done. Not every system and
    disk has locks.
    """
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


@contextmanager
def trial_directory(place: str) -> Iterator[str]:
    """A directory for files that show what a disk does; it goes when the block ends, or with the
    next run that writes there or tries something.

    Raises
    ------
    OSError
        It cannot be made.
    """
    sweep(place)
    path = _temp_name(os.path.join(place, "trial"))
    with _lock:
        _live.add(path)
    try:
        os.mkdir(path, 0o700)
        yield path
    finally:
        _remove(path)
        with _lock:
            _live.discard(path)


def _remove(path: str) -> None:
    """Remove an unfinished output or a trial, as far as that can be done."""
    if os.path.isdir(path) and not os.path.islink(path):
        with suppress(RecursionError):  # deeper than any trial: not ours
            shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        os.unlink(path)


def take_after(file: io.FileIO | BinaryIO, final: str, *, in_place: bool = False) -> None:
    """Give the new file the mode, the access control list and, where allowed, the owner of the one it
    replaces, in place all its other attributes too; and make sure of its bytes before that goes.
    """
    with suppress(FileNotFoundError):
        old = os.lstat(final)
        if stat.S_ISLNK(old.st_mode):  # it goes, and what it points to stays as it is
            return
        if hasattr(os, "fchown"):
            with suppress(OSError):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
        copy_attributes(final, file.fileno(), access_only=not in_place)
        os.fsync(file.fileno())


def publish(temp: str, final: str, replace: bool) -> None:
    """Give a whole file its name; without ``replace``, `Taken` where the name is taken
    (``temp`` may then keep its own).
    """
    if replace:
        os.replace(temp, final)
        return
    try:
        # A link fails where the name is taken; a rename would replace what another process has just
        # put there.
        os.link(temp, final)
    except FileExistsError:
        raise taken(final) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(final) or not _rename_to_free(temp, final):
            raise taken(final) from None


def _rename_to_free(temp: str, final: str) -> bool:
    """Rename unless the name is taken: in one step where the system and the disk can, as FAT and
    exFAT do on Linux.

    Raises
    ------
    OSError
        What the system says.
    """
    import ctypes

    names = os.fsencode(temp), os.fsencode(final)
    rename = (
        getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if sys.platform == "linux"
        else None
    )
    if rename is not None:
        if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) == 0:
            return True
        code = ctypes.get_errno()
        if code == errno.EEXIST:
            return False
        if code not in (errno.EINVAL, errno.ENOSYS):  # else the disk or the system cannot do that
            raise OSError(code, os.strerror(code))
    os.rename(temp, final)
    return True


@contextmanager
def _stream(path: str, spool: bool) -> Iterator[Output]:
    """A standard stream or a device; a reader that went away raises `BrokenPipeError`, which is no
    fault.
    """
    name, number = _name_of(path), stream_number(path)
    try:
        with WaitingFile(path, "wb") if number is None else open_stream(number, "wb") as file:
            if file.isatty():
                raise UsageError(_TERMINAL.format(name))
            if not spool:
                yield Output(file, seekable=_can_seek(file))
                return
            with tempfile.TemporaryFile(buffering=0) as whole:
                yield Output(whole, seekable=True)
                whole.seek(0)
                while piece := whole.read(_PIECE):
                    write_all(file.write, piece)
    except OSError as error:
        if isinstance(error, (AudioError, BrokenPipeError)):
            raise
        raise AudioError.about(
            name, "cannot write {subject}: {why}", why=error.strerror or error
        ) from error


def _can_seek(file: io.FileIO) -> bool:
    """A regular file at its beginning that is not appended to, so that its header can be corrected."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        return False
    return file.tell() == 0 and not _appends(file)


def _appends(file: io.FileIO) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    return bool(fcntl.fcntl(file.fileno(), fcntl.F_GETFL) & os.O_APPEND)


def sweep(directory: str) -> int:
    """Remove what killed processes of this machine left in a directory; returns how many files.

    A directory is looked through once in the life of a process.
    """
    with _lock:
        if directory in _swept:
            return 0
        _swept.add(directory)
    removed = 0
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            named = _TEMP.match(entry.name)
            if (
                named
                and named["host"] == _host()
                and _is_abandoned(entry, named["space"], int(named["pid"]))
            ):
                _remove(entry.path)
                removed += not os.path.lexists(entry.path)
    return removed


def _is_abandoned(entry: os.DirEntry[str], space: str | None, pid: int) -> bool:
    """Whether no process works on an unfinished output any more; the process `pid` of the process space
    `space` made it.
    """
    if space == _process_space():
        return not _alive(pid)
    try:
        if time.time() - entry.stat(follow_symlinks=False).st_mtime < _DAY:
            return False
        if entry.is_dir(follow_symlinks=False):
            return True
        if not entry.is_file(follow_symlinks=False):
            return False
        with open(entry.path, "r+b", buffering=0) as file:
            return _lock_file(file.fileno())
    except OSError:
        return False


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # there, signal 0 would end the process
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def is_temporary(name: str) -> bool:
    """Whether a name is one of earfilt's unfinished outputs or trials, to be passed over when a
    directory is searched.
    """
    return _TEMP.match(name) is not None


def discard_all() -> None:
    """Remove every unfinished output of this process: for a way out that runs no ``finally``
    (`os._exit`).
    """
    with _lock:
        names = list(_live)
    for name in names:
        _remove(name)
