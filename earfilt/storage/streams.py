"""What flows: the descriptors that a process was given, and the names that lead to them.

A descriptor may have been set not to wait (O_NONBLOCK), by whoever shares it and at any time: the
mode belongs to the pipe or terminal and not to this process. A read that finds nothing is then no
end, nor a write that finds no room an error: both wait here.
"""

import io
import os
import select
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_NAMES = {"stdin": 0, "stdout": 1, "stderr": 2}
_MOST_LINKS = 40  # as many as Linux follows
_PLACES = ("/dev/std", "/dev/fd/", "/proc/")  # where they need not be links
_SYSTEM = ("/dev", "/proc", "/sys")
_DISKS = ("/dev/shm",)


class WaitingFile(io.FileIO):
    """A raw file whose reads and writes wait, whatever its descriptor was set to."""

    def readinto(self, buffer: Any, /) -> int:
        """As of a file that waits: 0 is the end."""
        while (count := super().readinto(buffer)) is None:
            self._wait(select.POLLIN)
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """As of a file that waits: nothing is the end."""
        if size is None or size < 0:
            return self.readall()
        while (data := super().read(size)) is None:
            self._wait(select.POLLIN)
        return data

    def readall(self) -> bytes:
        """All up to the end."""
        pieces = []
        while piece := self.read(1 << 16):
            pieces.append(piece)
        return b"".join(pieces)

    def write(self, data: Any, /) -> int:
        """As of a file that waits: at least one byte is taken."""
        while (count := super().write(data)) is None:
            self._wait(select.POLLOUT)
        return count

    def _wait(self, event: int) -> None:
        waiting = select.poll()
        waiting.register(self.fileno(), event)
        waiting.poll()


def write_all(
    write: Callable[[memoryview], int | None], data: bytes | bytearray | memoryview
) -> None:
    """Write every byte (raw files may take fewer at a time)."""
    view = memoryview(data).cast("B")
    while view:
        view = view[write(view) or 0 :]


def fill_closed(stderr: int = os.O_RDONLY) -> None:
    """Lead descriptors 0, 1 and 2 to nowhere where they are closed, as a daemon may have them: a
    file that is opened later would get their numbers, and with them what libraries print (libmpg123
    of a damaged MP3).

    Reading from what was closed fails, and so does writing to it: neither may be taken for done.

    Parameters
    ----------
    stderr : int
        How descriptor 2 is opened.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, stderr)):
        try:
            os.fstat(number)
        except OSError:
            lowest = os.open(os.devnull, flags)  # of the free numbers
            if lowest == number:
                os.set_inheritable(lowest, True)
            else:  # another thread was faster
                os.close(lowest)


def stream_number(path: str) -> int | None:
    """The descriptor of this process that a path names, which is a stream whatever it leads to:
    ``/dev/stdout``, ``/dev/fd/N``, ``/proc/self/fd/N``, and links to them; of ``-`` the standard
    output. None of any other path.
    """
    if path == "-":
        return 1
    if not (os.path.islink(path) or path.startswith(_PLACES)):
        return None  # as nearly all are, those of a RAM disk below /dev too
    own = f"/proc/{os.getpid()}/fd"
    for _ in range(_MOST_LINKS):
        directory, name = os.path.split(path)
        directory = os.path.realpath(directory or os.curdir)
        if directory == "/dev" and name in _NAMES:
            return _NAMES[name]
        if directory in (own, "/dev/fd") or _is_of_a_thread(directory, own):
            return int(name) if name.isascii() and name.isdecimal() else None
        try:
            path = os.path.join(directory, os.readlink(os.path.join(directory, name)))
        except (OSError, ValueError):
            return None
    return None


def _is_of_a_thread(directory: str, own: str) -> bool:
    """Whether it is ``/proc/thread-self/fd``, or that of another thread."""
    process, task, _, last = (*directory.rsplit("/", 3), "", "", "")[:4]
    return (f"{process}/fd", task, last) == (own, "task", "fd")


def open_stream(number: int, mode: str) -> WaitingFile:
    """A copy of a descriptor of this process, of mode ``rb`` or ``wb``.

    Raises
    ------
    OSError
        There is no such descriptor.
    """
    return WaitingFile(os.dup(_led(number)), mode)


def status_of(number: int) -> os.stat_result:
    """What a descriptor of this process leads to.

    Raises
    ------
    OSError
        There is no such descriptor.
    """
    return os.fstat(_led(number))


def is_terminal(number: int) -> bool:
    """Whether a descriptor of this process leads to a terminal."""
    return os.isatty(_led(number))


def _led(number: int) -> int:
    """The descriptor that leads where this one did when the process began: the command line sends
    what libraries print to descriptor 2 elsewhere.
    """
    if number == 2 and sys.stderr is not None:
        try:
            return sys.stderr.fileno()
        except (OSError, ValueError, AttributeError):  # a program's own
            pass
    return number


def is_of_the_system(path: str) -> bool:
    """Whether a path lies where the system keeps its devices and processes, and no file belongs;
    its last part may be a link to anywhere.
    """
    directory = os.path.dirname(path) or os.curdir
    try:
        there = os.stat(directory)
    except (OSError, ValueError):
        return _leads_to_the_system(directory)
    return _is_the_systems(there.st_dev, there.st_ino, directory)


@lru_cache(64)
def _is_the_systems(device: int, number: int, directory: str) -> bool:
    """The same of a directory, known by more than its name: a corpus asks for each of its files, and
    following all links takes ten times as long as this.
    """
    return _leads_to_the_system(directory)


def _leads_to_the_system(directory: str) -> bool:
    place = os.path.realpath(directory)
    return _lies_in(place, _SYSTEM) and not _lies_in(place, _DISKS)


def _lies_in(place: str, roots: tuple[str, ...]) -> bool:
    return any(place == root or place.startswith(root + "/") for root in roots)
