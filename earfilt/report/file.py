"""The file that ``--report`` names: rows as they come, and never a part of them that passes for the
whole.

A report that is called .html or .csv is made at the end, from rows that stay beside it as JSON
lines: those of ``report.html`` are ``report.jsonl``, a report as if that had been named.

Rows go to ``FILE.partial``, each handed on at once; the file gets its name when the last row is in
it. What ends early (a kill, a full disk) leaves ``FILE.partial`` behind, with every row that was
written. A run that goes on with an earlier one (``--resume``, ``--skip-existing``) adds its rows to
those of ``FILE.partial`` or, where there is none, of ``FILE``: the last row of a name counts.
"""

import io
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from earfilt.audio.formats import SUFFIXES
from earfilt.errors import AudioError, UsageError, printable
from earfilt.storage import writing
from earfilt.storage.output import Exists as OutputExists
from earfilt.storage.output import (
    is_stream,
    is_temporary,
    open_output,
    publish,
    take_after,
    write_all,
)
from earfilt.storage.streams import WaitingFile, is_of_the_system, open_stream, stream_number

if TYPE_CHECKING:
    from earfilt.chains.members import Filter
    from earfilt.render.record import Row

Exists = Literal["refuse", "force", "extend"]

PARTIAL = ".partial"
_STANDARD = {1: "stdout", 2: "stderr"}
_ROW = b'{"source":'
_LONGEST_ROW = 1 << 20
_HEAD = 1 << 12
_MARKS = {
    ".html": b'<meta name="generator" content="earfilt report">',
    ".csv": b"source,destination,name,status,",
}


class JsonLines:
    """A stream of rows as JSON lines, one a file, in ASCII; each line is handed on at once."""

    def __init__(self, stream: BinaryIO | io.FileIO, name: str) -> None:
        self._stream, self._name = stream, name

    def write(self, row: "Row") -> None:
        """Append one row.

        Raises
        ------
        AudioError
            It cannot be written.
        """
        with _explained(self._name):
            write_all(self._stream.write, f"{row.to_json()}\n".encode("ascii"))
            self._stream.flush()


def check_report(target: str | None, *, read: Iterable[str], written: Iterable[str]) -> None:
    """Refuse, before any work, a report that would do harm.

    Parameters
    ----------
    target : str or None
        What ``--report`` names.
    read, written : iterable of str
        Every file that the same call reads, and every other that it writes; ``-`` stands for the
        standard streams.

    Raises
    ------
    UsageError
        It is one of those, under whatever name, or has the name of a sound file or of a file that
        earfilt keeps for itself.
    """
    if target is None:
        return
    name = os.path.basename(target)
    if os.path.splitext(name)[1].lower() in SUFFIXES:
        raise UsageError(
            f"the report {printable(target)} has the name of a sound file; call it .jsonl"
        )
    if name.startswith(".earfilt-") or is_temporary(name):
        raise UsageError(
            f"the report {printable(target)} has a name that earfilt keeps for itself; name "
            "another one"
        )
    own = [target]
    if stream_number(target) is None:
        lines = _lines_of(target)
        own = list(dict.fromkeys([target, lines, os.path.realpath(lines) + PARTIAL]))
    writing.refuse_inputs(own, read)
    writing.refuse_repetition(own, written)


def _is_view(target: str) -> bool:
    """Whether a report is made from its rows at the end."""
    return _suffix(target) in _MARKS and not is_stream(target)


def _suffix(target: str) -> str:
    return os.path.splitext(target)[1].lower()


def _lines_of(target: str) -> str:
    """Where the rows of a report are."""
    return os.path.splitext(target)[0] + ".jsonl" if _is_view(target) else target


@contextmanager
def open_report(
    target: str | None, *, exists: Exists = "refuse", filter: "Filter | None" = None
) -> Iterator[JsonLines | None]:
    """The report that ``--report`` names, which gets its name when the block ends without an
    exception.

    Parameters
    ----------
    target : str or None
        A file, ``-`` for the standard output, a pipe or device, or None for no report.
    exists : 'refuse', 'force' or 'extend'
        What to do about a report that is there: refuse, replace it, or add to its rows.
    filter : Filter, optional
        What a page draws.

    Raises
    ------
    UsageError
        The file is there and may not be replaced, is not a report that rows can be added to, or
        another run is writing it.
    AudioError
        The file cannot be written.
    """
    if target is None:
        yield None
    elif (number := stream_number(target)) in _STANDARD:
        yield JsonLines(getattr(sys, _STANDARD[number]).buffer, _STANDARD[number])
    elif is_stream(target):
        with _explained(target):
            stream = WaitingFile(target, "wb") if number is None else open_stream(number, "wb")
        with stream:
            yield JsonLines(stream, target)
    else:
        lines = _lines_of(target)
        if lines != target:
            _refuse_target(target, os.path.realpath(target), exists)
            _refuse_foreign_view(target, exists)
        with _growing(lines, exists) as file:
            yield JsonLines(file, lines)
        if lines != target:
            _write_view(target, lines, exists, filter)


def _refuse_foreign_view(target: str, exists: Exists) -> None:
    """Raise UsageError where a run that goes on would replace what no report is."""
    if exists != "extend" or not os.path.lexists(target):
        return
    with _explained(target), io.FileIO(target) as file:
        head = file.read(_HEAD) or b""
    if _MARKS[_suffix(target)] not in head:
        raise UsageError(
            f"{printable(target)} exists and is not a report of earfilt, which could be made "
            "anew: name another report"
        )


def _write_view(target: str, lines: str, exists: Exists, filter: "Filter | None") -> None:
    """Make a page or a table from whole rows."""
    from earfilt.report import views

    how: OutputExists = "refuse" if exists == "refuse" else "force"
    with _explained(target), io.FileIO(lines) as raw, io.BufferedReader(raw) as file:
        rows = views.rows_that_count(cast(BinaryIO, file))
        with open_output(target, exists=how) as output:
            if _suffix(target) == ".csv":
                parts: Iterable[bytes] = views.csv_lines(rows)
            else:
                parts = [views.report_page(rows, filter).encode()]
            for part in parts:
                write_all(output.file.write, part)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What the system says of a report as an error of earfilt's own; a reader that went away is
    none.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError.about(
            printable(name), "cannot write the report {subject}: {why}", why=error.strerror or error
        ) from error


@contextmanager
def _growing(target: str, exists: Exists) -> Iterator[io.FileIO]:
    """The partial file, at the place for the next row."""
    final = os.path.realpath(target)
    part = final + PARTIAL
    _refuse_target(target, final, exists)
    with ExitStack() as stack:
        with _explained(target):
            moved = exists == "extend" and _reopen(final, part, target)
            file = stack.enter_context(_partial(part, exists))
            _end_last_row(file)
        begun = file.tell()
        try:
            yield file
        except BaseException:
            if moved and file.tell() == begun:
                os.rename(part, final)  # as if nothing had been
            raise
        with _explained(target):
            _finish(file, final, target, exists)


def _refuse_target(target: str, final: str, exists: Exists) -> None:
    if os.path.isdir(final):
        raise UsageError(f"the report {printable(target)} is a directory; name a file")
    if is_of_the_system(final):
        raise UsageError(
            f"the report {printable(target)} would lie in a directory of the system's own; name "
            "another one"
        )
    if exists == "refuse" and os.path.lexists(target):
        raise UsageError(
            f"the report {printable(target)} exists already: move it away or name another one"
        )


@contextmanager
def _partial(path: str, exists: Exists) -> Iterator[io.FileIO]:
    """An open and locked partial file: empty, or to be extended."""
    with _locked(path) as file:
        if not _length(file) or exists == "extend":
            yield file
            return
        if exists == "refuse":
            raise UsageError(
                f"{printable(path)} holds the rows of a run that was ended: move it away or "
                "name another report"
            )
        os.unlink(path)  # it may have other names
    with _locked(path) as file:
        yield file


@contextmanager
def _locked(path: str) -> Iterator[io.FileIO]:
    """A file for this process alone; one that stays empty goes where the block raises."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with io.FileIO(path, "r+", opener=lambda name, _: os.open(name, flags, 0o666)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError(f"{printable(path)} is not a regular file; name another report")
        if not _lock(file) or not _is_there(path, file):
            raise UsageError(
                f"another run is writing the report {printable(path)}; name another one"
            )
        try:
            yield file
        except BaseException:
            if not _length(file) and _is_there(path, file):
                os.unlink(path)
            raise


def _lock(file: io.FileIO) -> bool:
    """Whether no other process writes this file; true where the system has no locks."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


def _is_there(path: str, file: io.FileIO) -> bool:
    """Whether a file still has its name: another run may have finished between the opening and the
    lock.
    """
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _length(file: io.FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _reopen(final: str, part: str, target: str) -> bool:
    """Let an earlier report become the partial file again, where no run has left one; whether it
    did.
    """
    if os.path.lexists(part):
        with _locked(part) as left:
            if _length(left):
                _refuse_foreign(left, part)
                return False
            os.unlink(part)
    if not os.path.lexists(final):
        return False
    with io.FileIO(final) as earlier:
        _refuse_foreign(earlier, target)
    os.rename(final, part)
    return True


def _refuse_foreign(file: io.FileIO, name: str) -> None:
    """Raise UsageError unless a file is empty or begins with a row, whole or torn by a kill."""
    head = file.read(_LONGEST_ROW) or b""
    file.seek(0)
    first, newline, _ = head.partition(b"\n")
    if not (_is_row(first) or (not newline and _ROW.startswith(first[: len(_ROW)]))):
        raise UsageError(
            f"{printable(name)} exists and is not a report of earfilt, which rows could be added "
            "to: name another report"
        )


def _is_row(line: bytes) -> bool:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and {"source", "status"} <= row.keys()


def _end_last_row(file: io.FileIO) -> None:
    """Go to the end of the last whole row; a line that a kill has torn goes."""
    end = _length(file)
    start = max(0, end - _LONGEST_ROW)
    file.seek(start)
    whole, newline, last = (file.read(end - start) or b"").rpartition(b"\n")
    if _is_row(last):
        write_all(file.write, b"\n")
        return
    file.truncate(start + len(whole) + len(newline))
    file.seek(0, os.SEEK_END)


def _finish(file: io.FileIO, final: str, target: str, exists: Exists) -> None:
    """Give the whole report its name."""
    if exists == "force":
        take_after(file, final)
    try:
        publish(file.name, final, exists != "refuse")
    except UsageError:
        message = (
            f"the report {printable(target)} was made by another program meanwhile; the "
            f"rows are in {printable(file.name)}"
        )
        raise AudioError(message) from None
    with suppress(FileNotFoundError):
        os.unlink(file.name)
