"""Whether files are still what their manifests say: outputs, sources and filters, by content."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from earfilt.audio.formats import SUFFIXES
from earfilt.cores import cores
from earfilt.ears.table import shipped
from earfilt.errors import EarfiltError, UsageError, counted, printable
from earfilt.storage.manifest import (
    Entry,
    Ledger,
    content_hash_at,
    is_manifest,
    read_ledger,
    read_manifest,
    stamp,
)
from earfilt.storage.output import is_temporary
from earfilt.storage.trees import Folder, walk
from earfilt.version import DESIGN

_AT_ONCE = 1024  # files handed to the threads


@dataclass(frozen=True)
class Difference:
    """One thing that is not what a manifest says.

    Parameters
    ----------
    what : 'output', 'source', 'filter' or 'directory'
    path : str
        The file, the table of a filter, or a directory of which not all can be told.
    reason : str
    """

    what: Literal["output", "source", "filter", "directory"]
    path: str
    reason: str


@dataclass
class Verification:
    """What manifests vouch for, read; `differences` looks at the files.

    Attributes
    ----------
    outputs : set of str
        Paths of the outputs that the manifests tell of.
    failed : int
        Files that failed when they were filtered, and have no output.
    begun : int
        Files of which nothing is known but that they were to be filtered.
    unknown : int
        Sound files of the directory that are in no manifest.
    recipes : set of str
        What the outputs were made with, by name.
    """

    outputs: set[str] = field(default_factory=set)
    failed: int = 0
    begun: int = 0
    unknown: int = 0
    recipes: set[str] = field(default_factory=set)
    _ledgers: dict[str, Ledger] = field(default_factory=dict)
    _made: dict[str, set[str]] = field(default_factory=dict)  # hashes of the outputs of batches
    _unlisted: list[Difference] = field(default_factory=list)

    def add(self, directory: str, ledger: Ledger) -> None:
        """Take in what the manifests of a directory say."""
        self._ledgers[directory] = ledger
        done = [entry for entry in ledger.entries.values() if entry.is_done]
        last = [history[-1] for history in ledger.replaced.values()]
        for entry in done:
            output = os.path.normpath(os.path.join(directory, entry.path))
            self._made.setdefault(output, set()).add(entry.output_sha256)
        self.outputs |= self._made.keys()
        self.outputs |= {
            os.path.normpath(os.path.join(directory, name)) for name in ledger.replaced
        }
        self.failed += sum(bool(entry.error) for entry in ledger.entries.values())
        self.begun += sum(entry.begun for entry in ledger.entries.values())
        self.recipes |= {entry.recipe for entry in (*done, *last)}

    def add_unlisted(self, directory: str, why: object) -> None:
        """Take down that a directory cannot be looked into."""
        self._unlisted.append(Difference("directory", directory, f"cannot be listed: {why}"))

    def differences(self) -> Iterator[Difference]:
        """Everything that differs or cannot be told, as it is found: directories and filters first,
        then files by directory and name.
        """
        yield from self._unlisted
        for directory, ledger in self._ledgers.items():
            for name in sorted(ledger.unclear - ledger.replaced.keys()):
                about = f"about {printable(name)} " if name else ""
                yield Difference(
                    "directory",
                    directory,
                    f"a line of its manifest {about}cannot be read: damaged, or of a later version",
                )
            if lines := ledger.damaged - len(ledger.unclear):
                what = counted(lines, "line of its manifest", "lines of its manifest")
                yield Difference(
                    "directory", directory, f"{what} cannot be read: damaged, or of a later version"
                )
        for directory, ledger in self._ledgers.items():
            for name in sorted(self.recipes & ledger.recipes.keys()):
                yield from _of_recipe(ledger.recipes[name])
            for name in sorted(self.recipes_in(ledger) - ledger.recipes.keys()):
                yield Difference(
                    "filter", directory, f"no manifest says what the recipe {printable(name)} was"
                )
        with ThreadPoolExecutor(cores(), "earfilt-hash") as pool:
            checks = [
                check
                for directory, ledger in self._ledgers.items()
                for check in self._checks(directory, ledger)
            ]
            for start in range(0, len(checks), _AT_ONCE):
                for found in pool.map(lambda check: check(), checks[start : start + _AT_ONCE]):
                    yield from found

    @staticmethod
    def recipes_in(ledger: Ledger) -> set[str]:
        """The recipes by which the outputs of a ledger were made."""
        return {entry.recipe for entry in ledger.entries.values() if entry.is_done} | {
            entry.recipe for history in ledger.replaced.values() for entry in history
        }

    @property
    def is_empty(self) -> bool:
        """Whether no manifest was found where everything could be looked into."""
        return not self._ledgers and not self._unlisted

    def _checks(self, directory: str, ledger: Ledger) -> Iterator[Callable[[], list[Difference]]]:
        for _, entry in sorted(ledger.entries.items()):
            if entry.is_done:
                yield lambda entry=entry: self._of_batch(directory, entry)  # type: ignore[misc]
        for name, history in sorted(ledger.replaced.items()):
            if ledger.latest.get(name) in (None, history[-1]):
                yield lambda name=name, history=history: self._in_place(  # type: ignore[misc]
                    os.path.join(directory, name), history
                )

    def _of_batch(self, directory: str, entry: Entry) -> list[Difference]:
        output = os.path.normpath(os.path.join(directory, entry.path))
        source = os.path.normpath(os.path.join(os.path.realpath(directory), entry.source_path))
        if not entry.output_sha256:
            return _of_0_1(output, entry)
        told = self._replaced(directory, output, entry)
        found = [] if told else _compared("output", output, entry.output_sha256)
        if found and len(self._made[output]) > 1 and _content(output) in self._made[output]:
            found = []  # made by a batch over a part of the tree, which another manifest tells
        return found + (
            _compared("source", source, entry.source_sha256) if entry.source_path else []
        )

    def _replaced(self, directory: str, output: str, entry: Entry) -> bool:
        """Whether an output was filtered in place, and what is told of that decides: since that
        came later or, in a manifest of another directory, may have come later.
        """
        place, name = os.path.split(output)
        own = self._ledgers.get(place or os.curdir, Ledger())
        if name not in own.replaced:
            return False
        return (place or os.curdir) != directory or own.latest.get(name) is not entry

    def _in_place(self, path: str, history: list[Entry]) -> list[Difference]:
        """A file in place is what its last filtering made, which may have been announced and never
        have come.
        """
        last = history[-1]
        found = _compared("output", path, last.output_sha256)
        if not found or found[0].reason != "has another content":
            return found
        content = content_hash_at(path)
        if content in self._made.get(os.path.normpath(path), ()) and not self._is_older(
            path, content
        ):
            return []
        earlier = [entry for entry in history[:-1] if entry.output_sha256 == content]
        if earlier:
            why = "is as an earlier filtering left it: the last one was undone, or never came"
        elif any(entry.source_sha256 == content for entry in history):
            why = "is not filtered: it is as it was before"
        else:
            return found
        return [Difference("output", path, why)]

    def _is_older(self, path: str, content: str) -> bool:
        """Whether it is known that the output of a batch was filtered in place after that."""
        directory, name = os.path.split(path)
        ledger = self._ledgers.get(directory or os.curdir, Ledger())
        return any(
            entry.output_sha256 == content and os.path.normpath(entry.path) == name
            for entry in ledger.entries.values()
        )


def read_manifests(root: str | None, manifest: str | None = None) -> Verification:
    """What the manifests of a directory and of those below vouch for, or one manifest alone; links are
    followed, as they are when files are filtered.

    Parameters
    ----------
    root : str or None
        Directory.
    manifest : str, optional
        File, instead of a directory.

    Raises
    ------
    UsageError
        There is none.
    AudioError
        One cannot be read.
    """
    found = Verification()
    if manifest is not None:
        if not os.path.exists(manifest):
            raise UsageError(f"there is no manifest {printable(manifest)}")
        ledger = Ledger()
        read_manifest(manifest, ledger)
        if ledger.says_nothing:
            raise UsageError(
                f"{printable(manifest)} holds no entry: it is no manifest, or is damaged"
            )
        found.add(os.path.dirname(manifest) or os.curdir, ledger)
        return found
    root = root if root is not None else os.curdir
    if not os.path.isdir(root):
        raise UsageError(f"{printable(root)} is not a directory; --manifest FILE names a manifest")
    sounds, linked = set[str](), set[str]()
    for folder in _folders(root, found):
        for entry in filter(_is_sound, folder.files):
            path = os.path.normpath(os.path.join(folder.path, entry.name))
            (linked if entry.is_symlink() else sounds).add(path)
        if any(is_manifest(entry.name) for entry in folder.files):
            found.add(os.path.normpath(folder.path), read_ledger(folder.path))
    found.unknown = len(sounds - found.outputs) + _add_linked(linked - found.outputs, found)
    if found.is_empty:
        raise UsageError(
            f"there is no manifest in {printable(root)} or below; 'apply' on more than one "
            "file, or --in-place, keeps one"
        )
    return found


def _folders(root: str, found: Verification) -> Iterator[Folder]:
    """The directories of a tree that can be listed."""

    def unlisted(name: str, error: OSError) -> None:
        found.add_unlisted(os.path.normpath(os.path.join(root, name)), error.strerror or error)

    return walk(root, enters=lambda name: not is_temporary(name), failed=unlisted)


def _add_linked(links: set[str], found: Verification) -> int:
    """Take in what is told of the files that links lead to, which may lie in other trees; how many
    nothing is told of.
    """
    known = {os.path.realpath(path) for path in found.outputs} if links else set()
    targets = {os.path.realpath(path) for path in links}
    away: dict[str, set[str]] = {}
    for path in targets - known:
        directory, name = os.path.split(path)
        away.setdefault(directory, set()).add(name)
    unknown = 0
    for directory, names in sorted(away.items()):
        ledger = read_ledger(directory)
        told = {name: ledger.replaced[name] for name in names & ledger.replaced.keys()}
        unknown += len(names) - len(told)
        if told:
            found.add(directory, replace(ledger, entries={}, replaced=told, unclear=set()))
    return unknown


def _is_sound(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")


def _content(path: str) -> str | None:
    try:
        return content_hash_at(path)
    except (OSError, ValueError):
        return None


def _compared(
    what: Literal["output", "source", "filter"], path: str, sha256: str
) -> list[Difference]:
    try:
        same = content_hash_at(path) == sha256
    except FileNotFoundError:
        return [Difference(what, path, "is missing")]
    except (OSError, ValueError) as error:
        return [
            Difference(what, path, f"cannot be read: {getattr(error, 'strerror', None) or error}")
        ]
    return [] if same else [Difference(what, path, "has another content")]


def _of_0_1(output: str, entry: Entry) -> list[Difference]:
    try:
        same = stamp(output) == entry.output
    except (OSError, ValueError):
        return [Difference("output", output, "is missing")]
    return (
        []
        if same
        else [Difference("output", output, "has another size or time (version 0.1 kept no hash)")]
    )


def _of_recipe(made_by: Mapping[str, Any]) -> Iterator[Difference]:
    """Tables and files of a filter; a manifest may contain anything."""
    if "members" in made_by and made_by.get("design") != DESIGN:
        request = made_by.get("filter")
        name = request.get("name") if isinstance(request, dict) else None
        yield Difference(
            "filter",
            name if isinstance(name, str) and name else "a filter without a name",
            "was designed by another version of earfilt",
        )
    for table, sha256 in _texts(made_by.get("tables")):
        if _table_hash(table) != sha256:
            yield Difference("filter", table, "is another table in this version")
    for path, sha256 in _texts(made_by.get("files")):
        yield from _compared("filter", path, sha256)


def _texts(value: object) -> list[tuple[str, str]]:
    pairs = value.items() if isinstance(value, dict) else ()
    return [(name, text) for name, text in pairs if isinstance(name, str) and isinstance(text, str)]


def _table_hash(table: str) -> str:
    try:
        return shipped(table).sha256 if table == os.path.basename(table) else ""
    except EarfiltError:
        return ""
