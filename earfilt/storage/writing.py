"""Small data files, written so that no half-written one is ever seen, and never over a file that
the same call reads; and text for the standard output.
"""

import os
import stat
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from earfilt.errors import UsageError, printable
from earfilt.storage.output import open_output
from earfilt.storage.reading import shown
from earfilt.storage.streams import stream_number, write_all
from earfilt.wording import option


def refuse_existing(path: str | os.PathLike[str], *, force: bool) -> None:
    """Raise UsageError where ``path`` exists and may not be replaced; a standard stream under any of
    its names is written to, and replaced never.
    """
    if stream_number(os.fspath(path)) is not None:
        return
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{shown(path)} is a directory; name a file")
    if target.exists() and not target.is_file():
        raise UsageError(f"{shown(path)} is not a regular file and is not replaced")
    if not force and os.path.lexists(target):
        raise UsageError(f"{shown(path)} exists; {option('force', True)} replaces it")


def check_outputs(written: Sequence[str], read: Iterable[str], *, force: bool) -> None:
    """Refuse, before any work, files that may not be written: see `refuse_existing`,
    `refuse_inputs` and `refuse_repetition`.
    """
    for path in written:
        refuse_existing(path, force=force)
    refuse_inputs(written, read)
    refuse_repetition(written)


def refuse_inputs(written: Iterable[str], read: Iterable[str]) -> None:
    """Raise UsageError where a file to write is one that the same call reads, under
    whatever name.

    Parameters
    ----------
    written, read : iterable of str
        Paths; either may be long. ``-`` stands for the standard output or input.
    """
    pair = shared_file(_named(written, "/dev/stdout"), _named(read, "/dev/stdin"))
    if pair is not None:
        raise UsageError(
            f"{shown(pair[0])} is read by this call ({shown(pair[1])}) and is not written "
            "over; name another file"
        )


def refuse_repetition(written: Iterable[str], others: Iterable[str] = ()) -> None:
    """Raise UsageError where two files to write, of one list or of two, have one
    name, upper and lower case aside.
    """
    paths = _named(written, "/dev/stdout")
    pairs = [shared_file([path], paths[index + 1 :]) for index, path in enumerate(paths)]
    pairs.append(shared_file(paths, _named(others, "/dev/stdout")))
    if (pair := next(filter(None, pairs), None)) is not None:
        raise UsageError(
            f"{shown(pair[0])} and {shown(pair[1])} are the same file; two outputs need two names"
        )


def shared_file(few: Iterable[str], many: Iterable[str]) -> tuple[str, str] | None:
    """The first two paths that mean one file, of two lists; None where there are none.

    What exists is told by the file system (links, hard links, other spellings); what does not exist
    yet, by its name in the directory that holds it, upper and lower case aside, since the disk may
    not tell them apart. Devices are not files.
    """
    by_name: dict[str, list[str]] = {}
    by_identity: dict[tuple[int, int], str] = {}
    for path in few:
        by_name.setdefault(_folded(path), []).append(path)
        if (found := _identity(path)) is not None:
            by_identity.setdefault(found, path)
    for path in many:
        if by_identity and (here := by_identity.get(_identity(path) or (0, 0))) is not None:
            return here, path
        for other in by_name.get(_folded(path), ()):
            if _is_same_name(path, other):
                return other, path
    return None


def _named(paths: Iterable[str], stream: str) -> list[str]:
    return [stream if path == "-" else path for path in paths]


def _folded(path: str) -> str:
    """The last part of a path as a disk sees it that tells neither case nor Unicode's spellings
    apart.
    """
    return unicodedata.normalize("NFC", os.path.basename(path)).casefold()


def _identity(path: str) -> tuple[int, int] | None:
    """What tells a file or pipe from all others; None for devices and where there is nothing."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (
        (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)
        else None
    )


def _is_same_name(a: str, b: str) -> bool:
    """Whether two paths with like last parts lie in one directory, and neither is another file than
    the other already.
    """
    if os.path.realpath(os.path.dirname(a)) != os.path.realpath(os.path.dirname(b)):
        return False
    return not (os.path.exists(a) or os.path.exists(b))


def write_bytes(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> None:
    """Write a whole file: it appears complete or not at all, and the next run removes what a killed
    one left. A standard stream under any of its names gets it as it is.

    Raises
    ------
    UsageError
        The destination exists and ``force`` is False, or is not a regular file.
    AudioError
        It cannot be written.
    """
    refuse_existing(path, force=force)
    with open_output(os.fspath(path), exists="force" if force else "refuse") as output:
        write_all(output.file.write, data)


def put(text: str) -> None:
    """Write text to the standard output: its bytes to files and pipes; on a terminal, names of files
    and words of tables that came from anyone move no cursor, since control characters are escaped.
    """
    if sys.stdout.isatty():
        text = "\n".join(map(_line, text.split("\n")))
    sys.stdout.write(text)


def _line(line: str) -> str:
    return "\t".join(map(printable, line.split("\t")))
