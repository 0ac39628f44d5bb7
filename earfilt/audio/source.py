"""Where bytes come from: a file, or a pipe that can be read forwards only.

Nothing here allocates from a number that a file states: reads grow with the bytes that are there.
"""

import math
import os
import select
import stat
import tempfile
import time

from earfilt.errors import AudioError, printable
from earfilt.storage.reading import open_without_waiting
from earfilt.storage.streams import (
    WaitingFile,
    fill_closed,
    open_stream,
    stream_number,
    write_all,
)

PATIENCE = 0.002
"""Seconds for more to follow what a pipe gave: a program that sends as fast as it can is read in
large pieces, one that plays is not held up.
"""
_PIECE = 1 << 20


class Source:
    """Bytes of a file or a pipe, read forwards.

    Attributes
    ----------
    name : str
        For messages.
    size : int or None
        Bytes of a file; None for a pipe.
    position : int
        Bytes read or skipped so far.
    flowed : bool
        Whether it came through a pipe, also where it was stored since.
    """

    def __init__(self, raw: WaitingFile, name: str) -> None:
        self.raw, self.name, self.position = raw, name, 0
        status = os.fstat(raw.fileno())
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else None
        self._stamp = status.st_size, status.st_mtime_ns
        self.flowed = self.size is None
        self._tape = bytearray() if self.flowed else None
        self._poll: select.poll | None = None

    @property
    def seekable(self) -> bool:
        """True for a file."""
        return self.size is not None

    def changed(self) -> bool:
        """Whether somebody has written to the file since it was opened (who replaces it leaves the
        open one as it is).
        """
        status = os.fstat(self.raw.fileno())
        return self.size is not None and (status.st_size, status.st_mtime_ns) != self._stamp

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as there are bytes; returns how many."""
        done = 0
        while done < len(view):
            count = self.raw.readinto(view[done:])
            if not count:
                break
            done += count
        self._took(view[:done])
        return done

    def _took(self, data: bytes | memoryview) -> None:
        if self._tape is not None:
            self._tape += data
        self.position += len(data)

    def readinto_there(self, view: memoryview, unit: int) -> int:
        """Fill ``view`` with what a pipe gives now: from the first byte on, for as long as more
        follows within 2 ms, in whole units of so many bytes (unless the pipe ends).

        Returns
        -------
        int
            Bytes; 0 at the end.
        """
        done, until = 0, math.inf
        while done < len(view):
            if done and not done % unit and not self._arrives(until - time.monotonic()):
                break
            count = self.raw.readinto(view[done:])
            if not count:
                break
            done, until = done + count, min(until, time.monotonic() + PATIENCE)
        self._took(view[:done])
        return done

    def _arrives(self, seconds: float) -> bool:
        """Whether a read would not have to wait, now or within this many seconds."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.raw.fileno(), select.POLLIN)
        return bool(self._poll.poll(max(0.0, 1000.0 * seconds)))

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes, in pieces, so that a lying count costs nothing."""
        data = b""
        while len(data) < count and (piece := self.raw.read(min(_PIECE, count - len(data)))):
            data = data + piece if data else piece
        self._took(data)
        return data

    def skip(self, count: int) -> int:
        """Go forwards by ``count`` bytes, or to the end; returns by how many."""
        if self.size is None:
            done = 0
            while done < count and (piece := self.read(min(_PIECE, count - done))):
                done += len(piece)
            return done
        done = max(0, min(count, self.size - self.position))
        self.position = self.raw.seek(self.position + done)
        return done

    def seek(self, position: int) -> None:
        """Go to a byte of a file, or to its end: no further, whatever its header says."""
        self.position = self.raw.seek(position if self.size is None else min(position, self.size))

    def forget(self) -> None:
        """Stop remembering what a pipe delivered: from here on it cannot be spooled any more."""
        self._tape = None

    def spool(self, directory: str | None = None) -> None:
        """Turn a pipe into a file without a name in ``directory`` (the destination's), so that
        nothing of it can be left behind.

        Raises
        ------
        AudioError
            No room or no permission.
        """
        try:
            with tempfile.TemporaryFile(dir=directory, buffering=0) as spool:
                rest: bytes | bytearray = self._tape or b""
                while rest:
                    write_all(spool.write, rest)
                    rest = self.raw.read(_PIECE)
                stored = WaitingFile(os.dup(spool.fileno()), "rb")
        except OSError as error:
            raise AudioError.about(
                self.name, "cannot spool {subject} to disk: {why}", why=error.strerror or error
            ) from error
        self.raw.close()
        self.raw, self._tape, self.position = stored, None, stored.seek(0)
        status = os.fstat(stored.fileno())
        self.size, self._stamp = status.st_size, (status.st_size, status.st_mtime_ns)

    def close(self) -> None:
        """Give the descriptor back."""
        self.raw.close()


def open_source(path: str, *, regular: bool = False) -> Source:
    """Open a path, or the standard input for ``-``.

    Parameters
    ----------
    regular : bool
        Only a file will do: a pipe that has its name meanwhile is not waited for.

    Raises
    ------
    AudioError
        Missing, a directory, not permitted, empty, or no file where it has to be one.
    """
    name = "standard input" if path == "-" else printable(path)
    fill_closed()
    try:
        raw = _open_file(path) if regular else _open(path)
    except IsADirectoryError as error:
        raise AudioError.about(name, "{subject} is a directory, not an audio file") from error
    except OSError as error:
        raise AudioError.about(
            name, "cannot read {subject}: {why}", why=error.strerror or error
        ) from error
    except ValueError as error:
        raise AudioError.about(name, "cannot read {subject}: {error}", error=error) from error
    source = Source(raw, name)
    if regular and not source.seekable:
        source.close()
        raise AudioError.about(name, "{subject} is a pipe or a device, not a file any more")
    if source.size == 0:
        source.close()
        raise AudioError.about(name, "{subject} is empty (0 bytes)")
    return source


def _open(path: str) -> WaitingFile:
    number = 0 if path == "-" else stream_number(path)
    if number is None:
        return WaitingFile(path, "rb")
    raw = open_stream(number, "rb")
    if raw.seekable():
        raw.seek(0)
    return raw


def _open_file(path: str) -> WaitingFile:
    return WaitingFile(path, "rb", opener=open_without_waiting)
