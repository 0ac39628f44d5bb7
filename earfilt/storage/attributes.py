"""Extended attributes of files: those that a replacement takes over, and the mark that a file which
was filtered in place carries wherever it is moved.

Not every system and disk has them, and most copies go without; so a mark says something where there
is one, and nothing where there is none.
"""

import os
from contextlib import suppress
from typing import NamedTuple

__all__ = ["Mark", "copy_attributes", "mark_of", "set_mark"]

_MARK = "user.earfilt"
_ACCESS = "system.posix_acl_access"


class Mark(NamedTuple):
    """That a file was filtered in place.

    Parameters
    ----------
    sha256 : str
        Of its content then; of a file that has changed since, a mark says nothing.
    recipe, run : str
        As in a manifest's entry.
    """

    sha256: str
    recipe: str
    run: str


def set_mark(descriptor: int, mark: Mark) -> None:
    """Mark an open file, where that can be done."""
    if hasattr(os, "setxattr"):
        with suppress(OSError):
            os.setxattr(descriptor, _MARK, " ".join(mark).encode())


def mark_of(file: str | int) -> Mark | None:
    """The mark of a file, by its path or descriptor, whatever has become of its content."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        words = os.getxattr(file, _MARK).decode().split(" ")
    except (OSError, ValueError):
        return None
    return Mark(*words) if len(words) == len(Mark._fields) else None


def copy_attributes(path: str, descriptor: int, *, access_only: bool) -> None:
    """Give an open file the attributes of another but for the mark, as far as that is allowed.

    Parameters
    ----------
    access_only : bool
        Only who may read and write it (the access control list).
    """
    if not hasattr(os, "listxattr"):
        return
    with suppress(OSError):
        names = os.listxattr(path)
        if _ACCESS not in names:  # its directory may have given it to the new file
            with suppress(OSError):
                os.removexattr(descriptor, _ACCESS)
        for name in names:
            if name == _ACCESS or not (access_only or name == _MARK):
                with suppress(OSError):
                    os.setxattr(descriptor, name, os.getxattr(path, name))
