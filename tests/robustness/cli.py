"""The command line in a child of its own: the installed program, or a fork of a process that has
loaded it (as good, and 100 times as quick), with limits, signals and streams as one likes.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.robustness.judge import MAX_LINE

BINARY = Path(sys.executable).with_name("earfilt")
LONGEST = 120.0
"""Seconds after which a child is killed."""

Words = Sequence[str | Path]


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit code (−9: killed), and what it said."""

    code: int
    out: bytes
    err: str


def context() -> "multiprocessing.context.BaseContext":
    """The fork server, with everything loaded."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(
        [
            "tests.robustness.judge",
            "tests.robustness.storage",
            "tests.robustness.signals",
            "tests.robustness.syscalls",
        ]
    )
    return server


def nothing() -> None:
    """What is done in a child before it begins, unless something else is asked for."""


class Warm:
    """``earfilt WORDS`` in a fork.

    Parameters
    ----------
    folder : Path
        Its working directory.
    before : callable
        Called in the child; picklable.
    stdin : Path, optional
        What it reads; default nothing.
    """

    def __init__(
        self,
        words: Words,
        folder: Path,
        before: Callable[[], None] = nothing,
        stdin: Path | None = None,
    ) -> None:
        self._pipes = Path(tempfile.mkdtemp(prefix="earfilt-pipes-"))
        names = [self._pipes / name for name in ("out", "err")]
        for name in names:
            os.mkfifo(name)
        self._readers = [os.open(name, os.O_RDONLY | os.O_NONBLOCK) for name in names]
        streams = [str(stdin or os.devnull), *map(str, names)]
        self._ready, ready = context().Pipe(duplex=False)
        arguments = (list(map(str, words)), str(folder), streams, before, ready)
        self.process = context().Process(target=_child, args=arguments)
        self.process.start()
        ready.close()

    def started(self) -> "Warm":
        """Wait until it is about to begin."""
        with contextlib.suppress(EOFError):
            self._ready.recv()
        return self

    def kill(self, number: int) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, number)

    def wait(self) -> Ended:
        """Until it ends; it must not print more than a pipe holds."""
        self.process.join(LONGEST)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        said = [_drain(reader) for reader in self._readers]
        for name in self._pipes.iterdir():
            name.unlink()
        self._pipes.rmdir()
        return Ended(self.process.exitcode or 0, said[0], said[1].decode("utf-8", "replace"))


def _drain(reader: int) -> bytes:
    out = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reader, 1 << 16):
            out += piece
    os.close(reader)
    return out


def _child(
    words: list[str],
    folder: str,
    streams: list[str],
    before: Callable[[], None],
    ready: "multiprocessing.connection.Connection",
) -> None:
    from earfilt.cli import main

    os.chdir(folder)
    ready.send(None)
    for number, path in enumerate(streams):
        os.dup2(os.open(path, os.O_WRONLY if number else os.O_RDONLY), number)
    sys.argv = ["earfilt", *words]
    before()
    main()


def warm(words: Words, folder: Path, before: Callable[[], None] = nothing) -> Ended:
    """``earfilt WORDS`` in a fork, to its end."""
    return Warm(words, folder, before).wait()


def real(
    words: Words, folder: Path, *, env: Mapping[str, str] | None = None, prefix: Words = ()
) -> Ended:
    """The installed program, to its end; ``prefix`` is a program that starts it."""
    command = [*prefix, BINARY, *words]
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=10 * LONGEST,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def shell(script: str, folder: Path, *, env: Mapping[str, str] | None = None) -> Ended:
    """A line of shell in which ``$EARFILT`` is the installed program."""
    env = {**(os.environ if env is None else env), "EARFILT": str(BINARY)}
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONGEST,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def is_one_line(said: str) -> bool:
    """Whether a failure is told as it should be."""
    line = said.removesuffix("\n")
    return (
        line.startswith("earfilt: ")
        and "\n" not in line
        and "unexpected" not in line
        and len(line) < MAX_LINE
    )


STOPS = {
    signal.SIGKILL: -signal.SIGKILL,
    signal.SIGTERM: 143,
    signal.SIGINT: 130,
    signal.SIGHUP: 129,
    signal.SIGUSR1: 138,
}
"""Exit codes by the signal that ended the program."""
