"""Directory trees, however deep, whose links may lead in circles.

Python's own walks and `os.makedirs` call themselves for each level, and end at about the thousandth.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

Identity = tuple[int, int]


class Home:
    """The directory in which this process is now, for relative paths that are used later on."""

    def __init__(self) -> None:
        self._path = ""
        self._identity: Identity | None = None
        with suppress(OSError):  # where it has been removed, no path leads to it
            self._path, self._identity = os.getcwd(), identity_of(os.curdir)

    def path(self, path: str) -> str:
        """The same path, as long as the process is still there (whatever the directory is called by
        then); one that leads there from anywhere, once it has gone elsewhere.
        """
        with suppress(OSError):
            if os.path.isabs(path) or identity_of(os.curdir) == self._identity:
                return path
        return os.path.join(self._path, path)


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory of a tree.

    Parameters
    ----------
    path : str
    name : str
        Relative to the tree; empty for the top.
    identity : (int, int)
        What tells it from all others, whatever its path.
    files : list of os.DirEntry
        All that is in it and no directory, by name.
    """

    path: str
    name: str
    identity: Identity
    files: list[os.DirEntry[str]]


def walk(
    top: str,
    *,
    links: bool = True,
    enters: Callable[[str], bool] = lambda name: True,
    failed: Callable[[str, OSError], None] = lambda name, error: None,
) -> Iterator[Folder]:
    """A directory and those below it, each before what it holds, in the order of their names.

    Parameters
    ----------
    top : str
        Empty for the current directory.
    links : bool
        Whether links to directories are followed; never those to one above them.
    enters : callable
        Whether a directory is looked into; gets its name.
    failed : callable
        Gets the name of a directory that cannot be listed, and the reason.
    """
    stack = [("", identities_above(top))]
    while stack:
        name, above = stack.pop()
        path = os.path.join(top, name) if name else top or os.curdir
        try:
            identity = identity_of(path)
            with os.scandir(path) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            failed(name, error)
            continue
        folders = [entry for entry in entries if is_directory(entry, links=links)]
        inner = set(folders)
        yield Folder(path, name, identity, [entry for entry in entries if entry not in inner])
        inside = ((os.path.join(name, folder.name), folder.path) for folder in folders)
        stack += [
            (below, above | {met})
            for below, place in inside
            if (met := identity_or_none(place)) not in above and enters(below)
        ][::-1]


def is_directory(entry: os.DirEntry[str], *, links: bool = True) -> bool:
    """Whether an entry is a directory, or a link to one; False where that cannot be told."""
    try:
        return entry.is_dir(follow_symlinks=links)
    except OSError:
        return False


def identity_of(path: str) -> Identity:
    """What tells a file or directory from all others.

    Raises
    ------
    OSError
        It is not there.
    """
    status = os.stat(path)
    return status.st_dev, status.st_ino


def identity_or_none(path: str) -> Identity | None:
    """The same; None where nothing is there."""
    try:
        return identity_of(path)
    except (OSError, ValueError):
        return None


def places_above(real: str) -> Iterator[str]:
    """A real path and all directories above it."""
    yield real
    while (above := os.path.dirname(real)) != real:
        real = above
        yield real


def identities_above(folder: str) -> frozenset[Identity | None]:
    """A directory and those above it: a link to one of them leads in a circle."""
    return frozenset(map(identity_or_none, places_above(os.path.realpath(folder or os.curdir))))


def make_directories(path: str) -> None:
    """Make a directory, and those above it, where they are missing.

    Raises
    ------
    OSError
        One cannot be made, or is a file.
    """
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for place in reversed(missing):
        try:
            os.mkdir(place)
        except FileExistsError:  # by somebody else, meanwhile
            if not os.path.isdir(place):
                raise
