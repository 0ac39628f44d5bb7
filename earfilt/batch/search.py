"""Which files a batch is about: files, directories, globs and lists, as sources with the relative
names that outputs will have.
"""

import codecs
import fnmatch
import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from earfilt.audio.formats import SUFFIXES
from earfilt.audio.sniff import is_sound
from earfilt.errors import UsageError, printable
from earfilt.storage import trees
from earfilt.storage.manifest import is_manifest
from earfilt.storage.output import is_temporary

_ANY_DEPTH = "**"


@dataclass(frozen=True, slots=True)
class Found:
    """A file to filter.

    Parameters
    ----------
    base : str
        Directory that `name` is relative to; empty for the current one.
    name : str
        Relative path with ``/`` between its parts: the name in report and manifest, and of the
        output below its root.
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
        """The path to open; a file called ``-`` is not the standard input."""
        path = os.path.join(self.base, self.name)
        return os.path.join(os.curdir, path) if path == "-" else path


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


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is taken from a directory: all below (`pattern` None) or what the rest of a pattern
    takes; its name below the base.
    """

    input: str
    pattern: tuple[str, ...] | None
    lead: str


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        fnmatch.fnmatchcase(name if "/" in p else name.rpartition("/")[2], p) for p in patterns
    )


class Search:
    """Finds sound files, in the order of their names; counts what it passes over.

    Directories are searched for names with an audio extension and for files whose first bytes are
    those of sound. Sound that is not read is found, too, so that it fails and is not passed
    over. Files that are named one by one are taken as they are. Links are followed, but not those
    to a directory above them.

    Attributes
    ----------
    bad : list of Bad
        Inputs that are missing, unreadable directories, directories and devices called like a sound
        file.
    passed_over : int
        Files of directories that are not audio.
    places : set of str
        Directories that were searched.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.bad: list[Bad] = []
        self.passed_over = 0
        self.places: set[str] = set()
        self._searched: dict[trees.Identity | None, set[_Rule]] = {}

    def input_that_takes(self, root: str, names: Iterable[str]) -> str | None:
        """The input by which the next search would find outputs: one that lies in a searched
        directory, or matches a searched pattern.

        Parameters
        ----------
        root : str
            Directory of the outputs; need not exist yet.
        names : iterable of str
            Relative names of the outputs.
        """
        real = os.path.realpath(root)
        for place in trees.places_above(real):
            rules = self._searched.get(trees.identity_or_none(place), set())
            below = [] if place == real else os.path.relpath(real, place).split(os.sep)
            for rule in rules:
                if rule.pattern is None or any(
                    self._would_take(rule, [*below, *name.split("/")]) for name in names
                ):
                    return rule.input
        return None

    def _would_take(self, rule: "_Rule", parts: list[str]) -> bool:
        pattern = rule.pattern or ()
        name = "/".join((rule.lead, *parts) if rule.lead else parts)
        if _fits(pattern, parts):
            return self._selection.takes(name)
        return _ANY_DEPTH not in pattern and any(
            _fits(pattern, parts[:depth]) for depth in range(1, len(parts))
        )

    def inputs(self, paths: Iterable[str]) -> Iterator[Found]:
        """What the command line names: files (by their last part), directories (mirrored) and globs
        (from their first wildcard on).
        """
        for path in paths:
            if os.path.isdir(path):
                yield from self._tree(path, said=path)
            elif glob.has_magic(path) and not os.path.lexists(path):
                yield from self._glob(path)
            else:
                base, name = os.path.split(path)
                yield from self._named(base, name)

    def listed(self, paths: Iterable[str]) -> Iterator[Found]:
        """What a list names: relative paths keep their directories, all others those below their
        common one.
        """
        paths = [_without_detours(path) for path in paths]
        outside = [
            path for path in paths if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir
        ]
        common = (
            os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in outside])
            if outside
            else ""
        )
        far = set(outside)
        for path in paths:
            base, name = (common, os.path.relpath(path, common)) if path in far else ("", path)
            if os.path.isdir(path):
                # the current directory, or the common one itself: names begin below it
                yield from self._tree(base, "" if name == os.curdir else name, said=path)
            else:
                yield from self._named(base, name)

    def _named(self, base: str, name: str) -> Iterator[Found]:
        path = os.path.join(base, name)
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            self._refuse(
                path,
                name,
                f"cannot read {printable(path)}: {getattr(error, 'strerror', None) or error}",
            )
            return
        if self._selection.takes(_posix(name)):
            yield from self._regular(base, name, status)

    def _regular(self, base: str, name: str, status: os.stat_result) -> Iterator[Found]:
        if stat.S_ISREG(status.st_mode):
            yield Found(base, _posix(name), status.st_size, status.st_mtime_ns, status.st_ino)
        else:
            path = os.path.join(base, name)
            self._refuse(path, name, f"{printable(path)} is neither a file nor a directory")

    def _glob(self, pattern: str) -> Iterator[Found]:
        parts = pattern.split(os.sep)
        fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        base = os.sep.join(parts[:fixed]) or (os.sep if pattern.startswith(os.sep) else "")
        wild = [part for part in parts[fixed:] if part not in ("", os.curdir)]
        if os.pardir in wild:
            raise UsageError(
                f"{printable(pattern)} has '..' after a wildcard, where outputs would have "
                "no place; name the directories"
            )
        names = sorted(set(self._matches(pattern, wild, base)))
        if not names:
            self._refuse(pattern, pattern, f"no file matches {printable(pattern)}")
        for name in names:
            path = os.path.join(base, name)
            if not os.path.isdir(path):
                if not pattern.endswith(os.sep):
                    yield from self._in_tree(base, name, path)
            elif _ANY_DEPTH not in wild:
                yield from self._tree(base, name, said=pattern)

    def _matches(self, said: str, wild: Sequence[str], base: str) -> Iterator[str]:
        """The names below `base` that a pattern takes, as `glob.glob` finds them, but never in
        circles.
        """
        stack = [(_Rule(said, tuple(wild), ""), trees.identities_above(base))]
        while stack:
            rule, above = stack.pop()
            place = os.path.join(base, rule.lead) or os.curdir
            first, *rest = rule.pattern or ()
            try:
                here = trees.identity_of(place)
                with os.scandir(place) as listed:
                    entries = [entry for entry in listed if _fits_part(first, entry.name)]
            except OSError:
                continue
            self._searched.setdefault(here, set()).add(rule)
            self.places.add(place)
            if first == _ANY_DEPTH and rest:
                stack.append((_Rule(said, tuple(rest), rule.lead), above))
            deeper = rule.pattern if first == _ANY_DEPTH else tuple(rest)
            for entry in entries:
                name = os.path.join(rule.lead, entry.name)
                if not rest:
                    yield name
                if (
                    deeper
                    and trees.is_directory(entry)
                    and (inside := trees.identity_or_none(entry.path)) not in above
                ):
                    stack.append((_Rule(said, deeper, name), above | {inside}))

    def _tree(self, base: str, start: str = "", *, said: str) -> Iterator[Found]:
        rule = _Rule(said, None, "")

        def unlisted(name: str, error: OSError) -> None:
            folder = os.path.join(start, name) if name else start
            path = os.path.join(base, folder)
            why = error.strerror or error
            self._refuse(path, folder or path, f"cannot list {printable(path)}: {why}")

        for folder in trees.walk(
            os.path.join(base, start),
            enters=lambda name: self._enters(base, os.path.join(start, name)),
            failed=unlisted,
        ):
            self._searched.setdefault(folder.identity, set()).add(rule)
            self.places.add(folder.path)
            for entry in folder.files:
                name = os.path.join(start, folder.name, entry.name)
                yield from self._in_tree(base, name, entry.path, entry)

    def _enters(self, base: str, name: str) -> bool:
        if is_temporary(os.path.basename(name)) or self._selection.leaves_out(_posix(name)):
            return False
        if _suffix(name) in SUFFIXES and self._selection.takes(_posix(name)):
            path = os.path.join(base, name)
            self._refuse(path, name, f"{printable(path)} is a directory, not an audio file")
        return True

    def _in_tree(
        self, base: str, name: str, path: str, entry: os.DirEntry[str] | None = None
    ) -> Iterator[Found]:
        last = os.path.basename(name)
        if is_temporary(last) or is_manifest(last) or not self._selection.takes(_posix(name)):
            return
        try:
            status = entry.stat() if entry else os.stat(path)
        except OSError as error:
            if _suffix(name) in SUFFIXES:
                self._refuse(
                    path, name, f"cannot read {printable(path)}: {error.strerror or error}"
                )
            return
        # macOS leaves the companions of files on foreign disks as ._NAME, extension included.
        if not last.startswith("._") and (
            _suffix(name) in SUFFIXES or (stat.S_ISREG(status.st_mode) and is_sound(path))
        ):
            yield from self._regular(base, name, status)
        else:
            self.passed_over += 1

    def _refuse(self, path: str, name: str, reason: str) -> None:
        self.bad.append(Bad(path, _posix(name), reason))


def _posix(name: str) -> str:
    return name if os.sep == "/" else name.replace(os.sep, "/")


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _fits_part(pattern: str, name: str) -> bool:
    """Whether one part of a path fits one of a pattern, as in a shell: hidden names only where the
    pattern says so.
    """
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return fnmatch.fnmatch(name, pattern)


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a pattern, in which ``**`` stands for any number of
    directories.
    """
    ahead = _past_any_depth(pattern, {0})
    for part in parts:
        fitting = {i for i in ahead if i < len(pattern) and _fits_part(pattern[i], part)}
        ahead = _past_any_depth(pattern, {i + (pattern[i] != _ANY_DEPTH) for i in fitting})
    return len(pattern) in ahead


def _past_any_depth(pattern: Sequence[str], ahead: set[int]) -> set[int]:
    """Places in a pattern, and those behind each ``**`` there, which may stand for nothing."""
    found = set(ahead)
    for i in ahead:
        while i < len(pattern) and pattern[i] == _ANY_DEPTH:
            i += 1
            found.add(i)
    return found


def _without_detours(path: str) -> str:
    """A path without ``..`` behind a name, which may be a link: it leads where the system would go."""
    names = os.path.normpath(path).split(os.sep)
    inner = [part for part in path.split(os.sep) if part not in ("", os.curdir)]
    if (
        os.pardir
        in inner[next((i for i, part in enumerate(inner) if part != os.pardir), len(inner)) :]
    ):
        head, tail = os.path.split(path.rstrip(os.sep))
        return (
            os.path.join(os.path.realpath(head), tail)
            if tail != os.pardir
            else os.path.realpath(path)
        )
    return os.sep.join(names)


def read_list(target: str, *, nul: bool = False) -> list[str]:
    """The paths that ``--files-from`` lists, one a line, or ended by NUL as ``find -print0`` does.

    Parameters
    ----------
    target : str
        A file, or ``-`` for the standard input.

    Raises
    ------
    UsageError
        The list cannot be read, or its encoding is unknown.
    """
    try:
        if target == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(target, "rb") as file:
                data = file.read()
    except OSError as error:
        raise UsageError(
            f"cannot read the list {printable(target)}: {error.strerror or error}"
        ) from error
    if nul:
        return _without_mark([os.fsdecode(piece) for piece in data.split(b"\0") if piece])
    return _lines(data, printable(target))


# The longer marks first: that of UTF-16 is the beginning of that of UTF-32.
_MARK = "\ufeff"
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip


def _without_mark(entries: list[str]) -> list[str]:
    """Entries without the byte-order mark before the first, unless that begins a name that is there."""
    if entries and entries[0].startswith(_MARK) and not os.path.lexists(entries[0]):
        entries[0] = entries[0].removeprefix(_MARK)
    return entries


def _lines(data: bytes, name: str) -> list[str]:
    """The lines of a list, as Linux or Windows write them: with a byte-order mark, in UTF-16, their
    ends CR LF.

    All else is taken as it is: quotes and backslashes are parts of names. A name may even begin
    with the mark or end with CR: where that can be, the file that is there decides.

    Raises
    ------
    UsageError
        Another encoding.
    """
    encoding = next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)
    try:
        text = data.decode(encoding) if encoding else os.fsdecode(data)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the list {name} begins as {encoding.upper() if encoding else 'text'}, but is not: "
            f"{error.reason}"
        ) from error
    if "\0" in text:
        raise UsageError(
            f"the list {name} holds zero bytes: give -0 if they end its entries, or save it "
            "as UTF-8"
        )
    lines = _without_mark([line for line in text.split("\n") if line])
    windows = all(line.endswith("\r") for line in lines)
    cut = (
        line[:-1] if line.endswith("\r") and (windows or not os.path.lexists(line)) else line
        for line in lines
    )
    return [line for line in cut if line]
