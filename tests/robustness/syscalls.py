"""Every system call of a short run fails once, by ``strace -e inject``: each kind of call at each
of its places, with each error it has.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.robustness.cli import Ended, Warm
from tests.robustness.scene import FILTER, Scene, scene
from tests.robustness.scene import refusal_fault as refused
from tests.robustness.storage import record
from tests.robustness.table import Table

KIND = "a system call that fails"

ERRORS = {
    "openat": ("EACCES", "EMFILE"), "read": ("EIO", "EINTR"), "pread64": ("EIO",), "write": ("ENOSPC", "EIO", "EINTR"),
    "lseek": ("EIO",), "fstat": ("EIO",), "newfstatat": ("EACCES",), "ftruncate": ("EIO",), "fsync": ("EIO",), "link": ("EPERM", "EIO"),
    "rename": ("EIO", "EXDEV"), "unlink": ("EBUSY",), "fchmod": ("EPERM",), "fchown": ("EPERM",), "close": ("EIO",), "dup": ("EMFILE",),
    "fcntl": ("EINVAL",), "flock": ("ENOLCK", "EINTR"), "faccessat2": ("EACCES",), "access": ("EACCES",), "readlink": ("EIO",),
    "getdents64": ("EIO",), "mkdir": ("EACCES",), "clone3": ("EAGAIN",), "clone": ("EAGAIN",),
}  # fmt: skip
"""What each call is made to say. Memory has a fault of its own: a Python thread that gets none
while it starts is waited for for ever.
"""

_WRITING = (
    "openat",
    "write",
    "ftruncate",
    "fsync",
    "fchmod",
    "fchown",
    "rename",
    "unlink",
    "close",
    "flock",
)
"""What is done to an output."""

_LEFT = {"unlink"}
"""Calls without which nothing can be removed: then an unfinished output may lie about."""


class NoTracer(Exception):
    """Not installed, or not allowed here."""


def failing_calls(table: Table, scale: float) -> None:
    """One file to one, replaced and in place: whole or not at all, with one line, whichever call
    fails.
    """
    if shutil.which("strace") is None:
        table.skip(KIND, "needs program: strace")
        return
    commands = {
        "wav": (["apply", "in/a.wav", "out/a.wav"], tuple(ERRORS)),
        "flac": (["apply", "in/a.flac", "out/a.flac"], tuple(ERRORS)),
        "replaced": (["apply", "in/a.wav", "out/a.wav", "--force"], _WRITING),
    }
    try:
        with scene("wav", "flac", seconds=0.2) as place:
            wanted = place.reference()
            for what, (words, calls) in commands.items():
                _fail_each(table, place, wanted, what, [*words, *FILTER], calls, scale)
    except NoTracer as error:
        table.skip(KIND, str(error))


def _fail_each(
    table: Table,
    place: Scene,
    wanted: dict[str, str],
    what: str,
    words: list[str],
    calls: tuple[str, ...],
    scale: float,
) -> None:
    log = place.folder / "calls"
    _lay(place, words)
    if _traced(
        place, words, "-e", f"trace={','.join('?' + call for call in calls)}", "-o", str(log)
    ).code:
        raise RuntimeError(log.read_text())
    counts = Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", log.read_text(), re.MULTILINE))
    tries = [
        (call, n, error)
        for call in calls
        for n in range(1, counts[call] + 1)
        for error in ERRORS[call]
    ]
    for call, n, error in tries[:: round(1 / scale) if scale < 1 else 1]:
        place.clear()
        _lay(place, words)
        ended = _traced(
            place,
            words,
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:error={error}:when={n}",
            "-o",
            "/dev/null",
        )
        _forget_old(place, words)
        fault = place.fault(wanted, temporary=call in _LEFT) or (
            refused(ended, codes=(1, 2)) if ended.code else None
        )
        if not ended.code and not any(place.out.iterdir()):
            fault = "exit code 0 and no output"
        record(table, KIND, fault, ended, f"{what}: {call} number {n} says {error}")
    place.clear()


_OLD = b"what was there"


def _lay(place: Scene, words: list[str]) -> None:
    if "--force" in words:
        (place.folder / words[2]).write_bytes(_OLD)


def _forget_old(place: Scene, words: list[str]) -> None:
    """What was to be replaced may have stayed."""
    output = place.folder / words[2]
    if output.exists() and output.read_bytes() == _OLD:
        output.unlink()


def rehearse(words: list[str]) -> None:
    """Do the same once, so that everything is loaded, and wait for the tracer."""
    from earfilt.cli import run

    output = f"rehearsal{Path(words[2]).suffix}"
    if run([*words[:2], output, *words[3:]]):
        raise RuntimeError("not even undisturbed")
    os.unlink(output)
    os.kill(os.getpid(), signal.SIGSTOP)


def _traced(place: Scene, words: list[str], *options: str) -> Ended:
    """``earfilt WORDS`` in a fork, traced from its first line on."""
    job = Warm(words, place.folder, partial(rehearse, words)).started()
    pid = job.process.pid or 0
    _await_state(pid, "T")
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-p", str(pid), *options], stderr=subprocess.PIPE
    )
    try:
        while "TracerPid:\t0" in _status(pid):
            if tracer.poll() is not None:
                assert tracer.stderr is not None
                raise NoTracer(tracer.stderr.read().decode().strip())
            time.sleep(0.001)
        job.kill(signal.SIGCONT)
        return job.wait()
    finally:
        job.kill(signal.SIGKILL)
        tracer.communicate()


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def _await_state(pid: int, state: str) -> None:
    while f"State:\t{state}" not in _status(pid):
        time.sleep(0.001)
