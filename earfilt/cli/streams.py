"""The three standard streams: there even where the caller closed them, and stderr for earfilt's own
words alone.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import TextIO

from earfilt.storage.streams import WaitingFile, fill_closed

_COLUMNS = 80  # of a terminal that does not say


def say(text: str) -> None:
    """Print words to stderr; on a terminal, lines break between words.

    Where its reader or its disk is gone, they are dropped: the work goes on, and the exit code tells
    what came of it.
    """
    if sys.stderr.isatty():
        columns = 0
        with contextlib.suppress(OSError):
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
        text = fitted(text, columns or _COLUMNS)
    try:
        print(text, file=sys.stderr)
    except (OSError, ValueError):
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 — as long as the process


def fitted(text: str, columns: int) -> str:
    """Lines that are too long for a terminal broken between words, the rest under their text.

    >>> print(fitted("  filter      headphone, order 80, minimum phase", 38))
      filter      headphone, order 80,
                  minimum phase
    """
    return "\n".join(
        line if len(line) <= columns else _broken(line, columns) for line in text.split("\n")
    )


def _broken(line: str, columns: int) -> str:
    from textwrap import fill

    label = re.match(r" *(?:\S+(?: \S+)* {2,})?", line)  # what stands before two blanks
    indent = len(label[0]) if label and label[0] else 2
    return fill(
        line,
        columns,
        subsequent_indent=" " * min(indent, columns // 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def open_closed() -> None:
    """Have all three standard streams, also where they are closed; what is printed to stderr is then
    dropped.
    """
    fill_closed(stderr=os.O_WRONLY)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def wait_for_streams() -> None:
    """Let standard input and output wait for what comes and for room, though somebody who shares
    them sets them not to: a pause would end a list, or cut a table.
    """
    if (given := sys.__stdin__) is not None and sys.stdin is given:
        raw = WaitingFile(0, "r", closefd=False)
        sys.stdin = io.TextIOWrapper(
            io.BufferedReader(raw), encoding=given.encoding, errors=given.errors
        )
    if (given := sys.__stdout__) is not None and sys.stdout is given:
        sys.stdout = _waiting_text(1, given)


def _waiting_text(descriptor: int, like: TextIO) -> io.TextIOWrapper:
    """A text stream to a descriptor, in the manner of another one.

    It has a buffer under ``python -u`` too, where text that is written in part would be lost: lines
    are handed on at once instead.
    """
    by_line = getattr(like, "line_buffering", False) or getattr(like, "write_through", False)
    return io.TextIOWrapper(
        io.BufferedWriter(WaitingFile(descriptor, "w", closefd=False)),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=bool(by_line),
    )


@contextlib.contextmanager
def own_stderr() -> Iterator[None]:
    """Send to nowhere what C libraries print (libmpg123 of a damaged MP3 and the like);
    `sys.stderr` writes on.

    Where `sys.stderr` is not the one of the process, or there is nothing to send them to, all stays
    as it is.
    """
    shared = sys.stderr
    with contextlib.ExitStack() as stack:
        if shared is sys.__stderr__ and shared is not None:
            with contextlib.suppress(OSError):
                sys.stderr = _set_apart(stack)
        try:
            yield
        finally:
            sys.stderr = shared


def _set_apart(stack: contextlib.ExitStack) -> TextIO:
    """A text stream to where descriptor 2 leads, which leads to nowhere from here on, until the
    stack unwinds.
    """
    shared = sys.stderr
    shared.flush()
    copy = os.dup(2)
    stack.callback(_close, copy)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    stack.callback(_close, nowhere)
    apart = _waiting_text(copy, shared)
    os.dup2(nowhere, 2)
    stack.callback(os.dup2, copy, 2)
    stack.callback(_flush, apart)
    return apart


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _flush(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
