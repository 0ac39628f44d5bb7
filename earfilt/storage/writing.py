"""Small data files, written so that no half-written one is ever seen."""

import os
from pathlib import Path

from earfilt.errors import UsageError
from earfilt.storage.output import open_output, write_all
from earfilt.storage.reading import shown


def refuse_existing(path: str | os.PathLike[str], *, force: bool) -> None:
    """Raise UsageError where ``path`` exists and may not be replaced."""
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{shown(path)} is a directory; name a file")
    if target.exists() and not target.is_file():
        raise UsageError(f"{shown(path)} is not a regular file and is not replaced")
    if not force and os.path.lexists(target):
        raise UsageError(f"{shown(path)} exists; --force replaces it")


def write_bytes(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> None:
    """Write a whole file: it appears complete or not at all, and the next run removes what a killed
    one left.

    Raises
    ------
    UsageError
        The destination exists and ``force`` is False, or is no regular file.
    AudioError
        It cannot be written.
    """
    refuse_existing(path, force=force)
    with open_output(os.fspath(path), exists="force" if force else "refuse") as output:
        write_all(output.file.write, data)
