"""The three standard streams: there even where the caller closed them, and stderr for earfilt's own
words alone.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

# Reading from what was closed has to fail, and so has writing to it: neither may be taken for done.
_FLAGS = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}


def open_closed() -> None:
    """Give descriptors 0, 1 and 2 something where they are closed, so that no file that is opened
    later gets their numbers.
    """
    for number, flags in _FLAGS.items():
        try:
            os.fstat(number)
        except OSError:
            # the lowest free number, which is this one
            os.set_inheritable(os.open(os.devnull, flags), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


@contextlib.contextmanager
def own_stderr() -> Iterator[None]:
    """Send to nowhere what C libraries print (libmpg123 of a damaged MP3 and the like);
    `sys.stderr` writes on.

    Where `sys.stderr` is not the one of the process, all stays as it is.
    """
    if sys.stderr is not sys.__stderr__ or sys.stderr is None:
        yield
        return
    shared = sys.stderr
    shared.flush()
    copy, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    sys.stderr = open(copy, "w", buffering=1, encoding=shared.encoding, errors=shared.errors)  # noqa: SIM115
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(copy, 2)
        sys.stderr.close()
        sys.stderr = shared
