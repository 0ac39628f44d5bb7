"""Small data files, read whole and within bounds."""

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import BinaryIO

from earfilt.errors import DataError, UsageError, printable

MAX_BYTES = 64 << 20
"""Largest file of coefficients or of a curve that is read, in bytes."""

MAX_LINES = (1 << 22) + 1000
"""Most lines of a text that is read; an empty one takes eight bytes of memory for one of text."""

_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_CONTROLS = frozenset(map(chr, range(32))) - frozenset("\t\n\r\v\f\x1a")


class SmallFile(os.PathLike[str]):
    """A small file, read once: whatever takes its path gets this content, also after the file was
    changed or on another machine.

    Attributes
    ----------
    name : str
        Path as it was given.
    data : bytes
    sha256 : str
        Of the content.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name, self.data = os.fspath(path), read_bytes(path)
        self.sha256 = hashlib.sha256(self.data).hexdigest()

    def __fspath__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SmallFile) and (self.name, self.sha256) == (
            other.name,
            other.sha256,
        )

    def __hash__(self) -> int:
        return hash((self.name, self.sha256))

    def __repr__(self) -> str:
        return f"SmallFile({self.name!r}, sha256 {self.sha256[:16]})"


@dataclass(frozen=True)
class LargeFile(os.PathLike[str]):
    """A file by its name and the hash of its content, of which only a part was kept.

    Attributes
    ----------
    name : str
        Path as it was given.
    sha256 : str
        Of the content.
    """

    name: str
    sha256: str

    def __fspath__(self) -> str:
        return self.name


def shown(path: str | os.PathLike[str]) -> str:
    """A path as messages show it: control characters escaped."""
    return printable(os.fsdecode(path))


def read_bytes(path: str | os.PathLike[str], *, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file, or of one that was read before (`SmallFile`).

    Raises
    ------
    UsageError
        It is missing, unreadable, or not a regular file.
    DataError
        It is empty, or larger than ``limit`` bytes.
    """
    if isinstance(path, SmallFile):
        return path.data
    with open_regular(path) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise UsageError(f"cannot read {shown(path)}: {error.strerror or error}") from error
    if len(data) > limit:
        raise DataError.about(
            shown(path),
            "{subject} is larger than {largest} MiB, the largest file of coefficients "
            "or of a curve that is read",
            largest=limit >> 20,
        )
    if not data:
        raise DataError.about(shown(path), "{subject} is empty")
    return data


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, open for reading; the caller closes it.

    Raises
    ------
    UsageError
        It is missing, unreadable, or no regular file.
    """
    try:
        file = open(path, "rb", opener=open_without_waiting)  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot read {shown(path)}: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise UsageError(f"cannot read {shown(path)}: {error}") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UsageError(f"{shown(path)} is not a regular file; save it as one first")
    return file


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a regular UTF-8 file, without a byte-order mark.

    Raises
    ------
    UsageError, DataError
        As :func:`read_bytes`; or it is not UTF-8 text, or has too many lines.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError.about(
            shown(path),
            "{subject} is not a text file in UTF-8 (byte {start}); save it as plain CSV or text",
            start=error.start,
        ) from error
    return _checked(text, path)


def read_foreign_text(path: str | os.PathLike[str]) -> str:
    """The text of a file of any program: UTF-8, UTF-16 with or without a byte-order mark, or the
    Windows code page 1252.

    Raises
    ------
    UsageError, DataError
        As :func:`read_bytes`; or it is not text, or has too many lines.
    """
    data = read_bytes(path)
    if (wide := _utf_16(data)) is not None:
        return _checked(wide, path)
    try:
        return _checked(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = "\0"
    return _checked("\0" if _CONTROLS.intersection(text) else text, path)


def _utf_16(data: bytes) -> str | None:
    """The text of UTF-16; None where it is something else."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        code = "utf-16"
    elif len(data) % 2 == 0 and 0 not in data[::2] and 2 * data[1::2].count(0) > len(data[1::2]):
        code = "utf-16-le"
    elif len(data) % 2 == 0 and 0 not in data[1::2] and 2 * data[::2].count(0) > len(data[::2]):
        code = "utf-16-be"
    else:
        return None
    try:
        return data.decode(code)
    except UnicodeDecodeError:
        return None


def _checked(text: str, path: str | os.PathLike[str]) -> str:
    if "\0" in text:
        raise DataError.about(
            shown(path),
            "{subject} is not a text file (it holds zero bytes); save it as plain CSV or text",
        )
    if sum(map(text.count, _LINE_ENDS)) > MAX_LINES:
        raise DataError.about(
            shown(path),
            "{subject} has more than {max_lines} lines, the most that are read",
            max_lines=MAX_LINES,
        )
    return text


def open_without_waiting(path: str, flags: int) -> int:
    """An opener of `open` by which a named pipe without a writer is seen instead of waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
