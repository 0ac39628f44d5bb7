"""Which files a batch is about: files, directories, globs and lists, as sources with the relative names that outputs will have."""

import fnmatch
import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from earfilt.audio.destination import is_temporary
from earfilt.audio.formats import SUFFIXES
from earfilt.audio.sniff import is_sound
from earfilt.batch.manifest import is_manifest
from earfilt.errors import UsageError, printable


@dataclass(frozen=True, slots=True)
class Found:
    """A file to filter.

    Parameters
    ----------
    base : str
        Directory that `name` is relative to; empty for the current one.
    name : str
        Relative path with ``/`` between its parts: the name in report and manifest, and of the output below its root.
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change.
    inode : int
    """

    base: str
    name: str
    size: int
    mtime_ns: int
    inode: int

    @property
    def source(self) -> str:
        """The path to open."""
        return os.path.join(self.base, self.name)


@dataclass(frozen=True, slots=True)
class Bad:
    """An input that fails before any work, with the reason."""

    source: str
    name: str
    reason: str


@dataclass(frozen=True)
class Selection:
    """Glob patterns over relative names; one without ``/`` is held against the last part alone.

    Parameters
    ----------
    include : tuple of str
        Only files that match one of these; empty: all.
    exclude : tuple of str
        None that match one of these; a directory that matches is not entered.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        """Whether a file is wanted."""
        return (not self.include or _matches(name, self.include)) and not self.leaves_out(name)

    def leaves_out(self, name: str) -> bool:
        """Whether a file or directory is excluded."""
        return _matches(name, self.exclude)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name if "/" in p else name.rpartition("/")[2], p) for p in patterns)


class Search:
    """Finds sound files, in the order of their names; counts what it passes over.

    Directories are searched for names with an audio extension and for files whose first bytes are those of sound. Sound that cannot be
    decoded is found, too, so that it fails and is not passed over. Files that are named one by one are taken
    as they are. Links are followed, circles are not.

    Attributes
    ----------
    bad : list of Bad
        Inputs that are missing, unreadable directories, directories and devices called like a sound file.
    passed_over : int
        Files of directories that are no audio.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.bad: list[Bad] = []
        self.passed_over = 0

    def inputs(self, paths: Iterable[str]) -> Iterator[Found]:
        """What the command line names: files (by their last part), directories (mirrored) and globs (from their first wildcard on)."""
        for path in paths:
            if os.path.isdir(path):
                yield from self._tree(path)
            elif glob.has_magic(path) and not os.path.lexists(path):
                yield from self._glob(path)
            else:
                base, name = os.path.split(path)
                yield from self._named(base, name)

    def listed(self, paths: Iterable[str]) -> Iterator[Found]:
        """What a list names: relative paths keep their directories, all others those below their common one."""
        paths = [os.path.normpath(path) for path in paths]
        outside = [path for path in paths if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir]
        common = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in outside]) if outside else ""
        far = set(outside)
        for path in paths:
            base, name = (common, os.path.relpath(path, common)) if path in far else ("", path)
            yield from self._tree(base, name) if os.path.isdir(path) else self._named(base, name)

    def _named(self, base: str, name: str) -> Iterator[Found]:
        path = os.path.join(base, name)
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            self._refuse(path, name, f"cannot read {printable(path)}: {getattr(error, 'strerror', None) or error}")
            return
        if self._selection.takes(_posix(name)):
            yield from self._regular(base, name, status)

    def _regular(self, base: str, name: str, status: os.stat_result) -> Iterator[Found]:
        path = os.path.join(base, name)
        if stat.S_ISREG(status.st_mode):
            yield Found(base, _posix(name), status.st_size, status.st_mtime_ns, status.st_ino)
        else:
            self._refuse(path, name, f"{printable(path)} is neither a file nor a directory")

    def _glob(self, pattern: str) -> Iterator[Found]:
        parts = pattern.split(os.sep)
        fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        base = os.sep.join(parts[:fixed]) or (os.sep if pattern.startswith(os.sep) else "")
        names = sorted(glob.glob(os.sep.join(parts[fixed:]), root_dir=base or None, recursive=True))
        if not names:
            self._refuse(pattern, pattern, f"no file matches {printable(pattern)}")
        for name in names:
            path = os.path.join(base, name)
            if not os.path.isdir(path):
                yield from self._in_tree(base, name, path)
            elif "**" not in parts:
                yield from self._tree(base, name)

    def _tree(self, base: str, start: str = "") -> Iterator[Found]:
        stack: list[tuple[str, tuple[tuple[int, int], ...]]] = [(start, ())]
        while stack:
            folder, above = stack.pop()
            try:
                here = _identity(os.path.join(base, folder) or ".")
                with os.scandir(os.path.join(base, folder) or ".") as entries:
                    ordered = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                path = os.path.join(base, folder)
                self._refuse(path, folder or path, f"cannot list {printable(path)}: {error.strerror or error}")
                continue
            if here in above:
                continue
            folders = []
            for entry in ordered:
                name = os.path.join(folder, entry.name)
                if _is_dir(entry):
                    folders.append((name, (*above, here)))
                else:
                    yield from self._in_tree(base, name, entry.path, entry)
            stack += [item for item in reversed(folders) if self._enters(base, item[0])]

    def _enters(self, base: str, name: str) -> bool:
        if self._selection.leaves_out(_posix(name)):
            return False
        if _suffix(name) in SUFFIXES and self._selection.takes(_posix(name)):
            path = os.path.join(base, name)
            self._refuse(path, name, f"{printable(path)} is a directory, not an audio file")
        return True

    def _in_tree(self, base: str, name: str, path: str, entry: os.DirEntry[str] | None = None) -> Iterator[Found]:
        last = os.path.basename(name)
        if is_temporary(last) or is_manifest(last) or not self._selection.takes(_posix(name)):
            return
        try:
            status = entry.stat() if entry else os.stat(path)
        except OSError as error:
            if _suffix(name) in SUFFIXES:
                self._refuse(path, name, f"cannot read {printable(path)}: {error.strerror or error}")
            return
        # macOS leaves the companions of files on foreign disks as ._NAME, extension included.
        if not last.startswith("._") and (_suffix(name) in SUFFIXES or (stat.S_ISREG(status.st_mode) and is_sound(path))):
            yield from self._regular(base, name, status)
        else:
            self.passed_over += 1

    def _refuse(self, path: str, name: str, reason: str) -> None:
        self.bad.append(Bad(path, _posix(name), reason))


def _posix(name: str) -> str:
    return name if os.sep == "/" else name.replace(os.sep, "/")


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def read_list(target: str, *, nul: bool = False) -> list[str]:
    """The paths that ``--files-from`` lists, one a line, or ended by NUL as ``find -print0`` does.

    Parameters
    ----------
    target : str
        A file, or ``-`` for the standard input.

    Raises
    ------
    UsageError
        The list cannot be read.
    """
    try:
        if target == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(target, "rb") as file:
                data = file.read()
    except OSError as error:
        raise UsageError(f"cannot read the list {printable(target)}: {error.strerror or error}") from error
    pieces = data.split(b"\0") if nul else [line.rstrip(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(piece) for piece in pieces if piece]
