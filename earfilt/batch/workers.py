"""Processes of this machine that work for this one, each at the other end of a socket.

A server that has imported the engine (``preload``) forks them, so that all have it at once; where a
fork is not safe, each imports it. Both have the rights, the umask and the limits that the program
has when a worker starts. They need nothing of the program that starts them and change
nothing of it: its main file is not run again, its environment, modules and temporary directory are
not touched, and any thread, worker or forked child of a program may start its own.

No worker outlives who started it: a socket that closes, for whatever reason, ends its worker, which
removes its temporary files first.
"""

import atexit
import contextlib
import errno
import os
import pickle
import queue
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NoReturn, cast

from earfilt.errors import AudioError, no_more_open_files, printable
from earfilt.storage.stop_signals import stop_signals
from earfilt.storage.streams import fill_closed

# macOS's own libraries do not bear a fork once they are loaded.
_FORKS = hasattr(os, "fork") and sys.platform != "darwin"
_HERE = getattr(os, "O_PATH", os.O_RDONLY)
_LENGTH = struct.Struct("!Q")
_PASSED_ON = (
    b"Umask:",
    b"Uid:",
    b"Gid:",
    b"Groups:",
    b"Cap",
    b"NoNewPrivs:",
    b"Seccomp",
    b"Cpus_allowed:",
)
_stopping = threading.Event()


class Ended(Exception):
    """A worker ended before it had answered."""


class NotStarted(OSError):
    """The system gave a worker no process, or no thread."""


class Worker:
    """A worker, as who started it sees it.

    Parameters
    ----------
    home : str
        The directory that it works in.

    Raises
    ------
    OSError
        It cannot be started.
    """

    def __init__(self, home: str = os.curdir) -> None:
        self._channel, theirs = _channel()
        try:
            with theirs:
                self._process = None if _FORKS else _start("serve_caller", theirs, home=home)
                if _FORKS:
                    _fork(theirs, home)
        except BaseException:
            self._channel.close()
            raise
        self._stream = cast(BinaryIO, self._channel.makefile("rwb"))

    def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """What a function returns there; what it raises is raised here.

        Raises
        ------
        Ended
            The worker ended before it had answered.
        NotStarted
            It never was.
        """
        call = pickle.dumps((function, args))
        try:
            with suppress(BrokenPipeError):  # why may have been told before
                _put(self._stream, call)
            answer = _take(self._stream)
        except (OSError, EOFError) as error:
            raise Ended from error
        returned, value = pickle.loads(answer)
        if returned:
            return value
        raise value

    def abandon(self) -> None:
        """Have it end within one block of samples; whoever waits for its answer sees it end."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        """Have it end, unless it has, and wait for that."""
        with suppress(OSError, ValueError):
            _put(self._stream, b"")
        with suppress(OSError, ValueError):
            while self._stream.read(1):
                pass
        with suppress(OSError, ValueError):
            self._stream.close()
        self._channel.close()
        if self._process is not None:
            self._process.wait()


def refusal(error: OSError | RuntimeError) -> AudioError:
    """What to say where no worker can be started."""
    reason = getattr(error, "strerror", None) or error
    if isinstance(error, PermissionError | FileNotFoundError) and error.filename is not None:
        return AudioError(
            f"cannot start a process to work in: {printable(error.filename)}: {reason}"
        )
    why = no_more_open_files(error) or (
        f"{reason}; raise the limit on processes (ulimit -u, or "
        "that of the container), end other programs, or filter the files one at a time"
    )
    return AudioError(f"cannot start a process to work in: {why}")


def warm_up() -> None:
    """Start importing the engine in the background, where a server does it for all workers."""
    if _FORKS:
        with suppress(OSError), _lock:  # the first worker says why
            _running_server()


class _Server:
    """The process that forks workers.

    Attributes
    ----------
    standing : object
        What it has from the program, as that was.
    """

    def __init__(self) -> None:
        self.standing = _standing()
        self._control, theirs = _channel()
        try:
            with theirs:
                self.process = _start("serve_control", theirs, preload="earfilt.batch.preload")
        except BaseException:
            self._control.close()
            raise

    def fork(self, channel: socket.socket, home: str) -> None:
        """Have it fork a worker, in a directory."""
        try:
            here = os.open(home, _HERE)
        except PermissionError:
            here = _nowhere()
        try:
            socket.send_fds(self._control, [b"\0"], [channel.fileno(), here])
        finally:
            os.close(here)

    def stop(self) -> None:
        with suppress(PermissionError):  # by a program that has given up its rights since
            self.process.kill()
        self.retire()

    def retire(self) -> None:
        """Have it end once it has forked what it was asked to, and wait for that."""
        with suppress(OSError):
            # says so even where a child that C code has forked holds the socket, too
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        self.process.wait()

    def leave(self) -> None:
        """Leave it to the process that started it."""
        self.process.returncode = 0  # nothing to wait for here
        self._control.close()


def _nowhere() -> int:
    """A directory where no path leads to anything, for workers of a program whose own one may not be
    searched, as after `su` from a home: its paths are absolute.
    """
    gone = tempfile.mkdtemp(prefix="earfilt-")
    try:
        return os.open(gone, _HERE)
    finally:
        os.rmdir(gone)


_lock = threading.Lock()
_server: _Server | None = None
_making = threading.RLock()  # a signal's handler may fork in the midst of it
_channels: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _standing() -> object:
    """What a process has from the one that starts it, and that one may change later: rights, umask,
    processors, limits and the root directory, as far as the system tells.
    """
    root = os.stat(os.sep)
    told: list[object] = [os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()]
    with suppress(OSError), open("/proc/thread-self/status", "rb") as status:
        told += [line for line in status if line.startswith(_PASSED_ON)]
    with suppress(OSError), open("/proc/thread-self/limits", "rb") as limits:
        told.append(limits.read())
    return root.st_dev, root.st_ino, told


def _running_server() -> _Server:
    """The server; another one where the program is not any more what it was when it started this."""
    global _server
    old = _server
    if old is not None and old.standing != _standing():
        _server = None
        old.retire()
    if _server is None:
        _server = _Server()
    return _server


def stop_server() -> None:
    """End the server; the next worker starts another one."""
    global _server
    with _lock:
        if _server is not None:
            _server.stop()
            _server = None


def _fork(channel: socket.socket, home: str) -> None:
    with _lock, suppress(ConnectionError):
        _running_server().fork(channel, home)
        return
    stop_server()  # it was killed
    with _lock:
        _running_server().fork(channel, home)


def _be_a_child() -> None:
    """In a forked child: what was started belongs to the parent, and ends with it alone."""
    global _lock, _making, _server
    _lock, _making = threading.Lock(), threading.RLock()  # other threads may have held them
    if _server is not None:
        _server.leave()
        _server = None
    for channel in list(_channels):
        with suppress(OSError):  # it is closed
            os.close(channel.detach())
    _channels.clear()


atexit.register(stop_server)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _making.acquire(),
        after_in_parent=lambda: _making.release(),
        after_in_child=_be_a_child,
    )


def _channel() -> tuple[socket.socket, socket.socket]:
    """Two ends that wait, whatever a program has set for its own sockets.

    Children that other threads fork close both: one that kept a worker's end would hide that the
    worker has ended.
    """
    fill_closed()  # also for those who inherit its streams
    with _making:
        ends = socket.socketpair()
        _channels.update(ends)
    for end in ends:
        end.settimeout(None)
    return ends


def _start(
    task: str, channel: socket.socket, *, preload: str = "sys", home: str | None = None
) -> subprocess.Popen[bytes]:
    """A new Python that does a task of this module with a socket as its standard input.

    It imports from where this one does, but for the current directory, and a module before all else;
    it works in a directory, or beside the package.
    """
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    places = [place for place in sys.path if isinstance(place, str) and place]
    if own not in places:
        places.append(own)
    code = (
        f"import sys; sys.path[:] = {places!a}; import {preload}; "
        f"from earfilt.batch.workers import {task}; {task}()"
    )
    flags = cast(Any, subprocess)._args_from_interpreter_flags()  # as multiprocessing does
    safe = [] if "-P" in flags or "-I" in flags else ["-P"]
    # A child that another thread forks would keep the pipe on which subprocess waits for the start.
    with _making, blocked_signals({signal.SIGTERM}):
        return subprocess.Popen(
            [sys.executable, *flags, *safe, "-c", code], stdin=channel.fileno(), cwd=home or own
        )


@contextmanager
def blocked_signals(but: set[int]) -> Iterator[None]:
    """Processes that start meanwhile leave it to their parent to end them.

    A terminal that hangs up and a job scheduler send their signal to every process of a group; a
    signal that is blocked here stays blocked in children.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set(stop_signals()) - but)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _message(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _put(stream: BinaryIO, content: bytes) -> None:
    stream.write(_message(content))
    stream.flush()


def _take(stream: BinaryIO) -> bytes:
    """The next message, or EOFError."""
    head = stream.read(_LENGTH.size)
    if len(head) == _LENGTH.size:
        message = stream.read(size := _LENGTH.unpack(head)[0])
        if len(message) == size:
            return message
    raise EOFError


# From here on, what runs in the processes that are started.


def serve_control() -> None:
    """Fork a worker for each socket that comes, until none can come any more."""
    control = _standard_socket()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # their sockets tell when workers end
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, 1, 2)
        if not said:
            os._exit(0)
        try:
            if len(descriptors) == 2 and os.fork() == 0:
                _begin(control, *descriptors)
        except OSError as error:  # no memory, or no number, for a process
            with suppress(OSError):
                os.write(descriptors[0], _message(_not_started(*error.args)))
        for descriptor in descriptors:
            os.close(descriptor)


def _begin(control: socket.socket, channel: int, here: int) -> NoReturn:
    """Be a worker, just forked."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        os.fchdir(here)
        os.close(here)
        _serve(socket.socket(fileno=channel))
    finally:
        os._exit(1)


def serve_caller() -> NoReturn:
    """Be a worker that was started by itself."""
    _serve(_standard_socket())


def _standard_socket() -> socket.socket:
    """The socket that is the standard input, which is nothing from here on."""
    ours = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return ours


class Stopped(SystemExit):
    """A worker was told to end: unwinds whichever file it is working on."""


def _serve(channel: socket.socket) -> NoReturn:
    """Answer the calls that come, one by one."""
    signal.signal(signal.SIGTERM, _stop)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    stream = cast(BinaryIO, channel.makefile("rwb"))
    try:
        threading.Thread(target=_listen, args=(stream, calls), daemon=True).start()
    except RuntimeError as error:  # no number for a thread
        with suppress(OSError):
            _put(stream, _not_started(errno.EAGAIN, str(error)))
        end_worker()
    with suppress(Stopped, OSError):
        while not is_stopping() and (call := calls.get()):
            _put(stream, _answer(call))  # also of a call that was ended: what it did is told
    end_worker()


def _not_started(*reason: Any) -> bytes:
    return pickle.dumps((False, NotStarted(*reason)))


def _answer(call: bytes) -> bytes:
    try:
        function, args = pickle.loads(call)
        return pickle.dumps((True, function(*args)))
    except Exception as error:
        with contextlib.suppress(Exception):
            return pickle.dumps((False, error))
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _stopping.set()
    raise Stopped


def is_stopping() -> bool:
    """Whether this process is a worker that was told to end."""
    return _stopping.is_set()


def _listen(stream: BinaryIO, calls: "queue.SimpleQueue[bytes]") -> None:
    """Take calls in while others are worked on, so that the end is seen at once."""
    with suppress(EOFError, OSError):
        while True:
            call = _take(stream)
            calls.put(call)
            if not call:  # there will be no other
                return
    os.kill(os.getpid(), signal.SIGTERM)
    # Where Python drops exceptions (a finaliser), what the signal raises does not end the work.
    time.sleep(1.0)
    end_worker()


def end_worker() -> NoReturn:
    """Leave a worker process at once, without a trace on the disk."""
    from earfilt.storage.output import discard_all

    discard_all()
    os._exit(143)
