"""Files that are replaced by their filtered selves, each of them once.

Beside such a file, in the manifest of its own directory, stands the hash of its content before and
after. The order makes it safe to be killed at any moment: the successor is whole and on the disk;
then the line is; then, still under the manifest's lock, the successor takes the name. Later the
content shows any run which of the two a file is, whatever its name, time of change and disk. Where
the line cannot be written, or the manifest cannot be locked, the file stays as it is. A mark of the
file itself (`earfilt.storage.attributes`) tells the same where it was moved away from its manifest.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from earfilt.errors import AudioError, UsageError, printable
from earfilt.storage import trees
from earfilt.storage.attributes import Mark, mark_of, set_mark
from earfilt.storage.manifest import (
    Entry,
    Follower,
    Ledger,
    Manifest,
    content_hash,
    content_hash_at,
    is_manifest,
    make_durable,
    manifest_path,
    read_ledger,
)
from earfilt.wording import existing

if TYPE_CHECKING:
    from earfilt.render.recipe import Recipe

_FOLLOWED = 64  # manifests that a process keeps in mind
_followers: OrderedDict[str, Follower] = OrderedDict()
_following = threading.Lock()


@dataclass(frozen=True)
class State:
    """What a file is: ``new`` (not filtered, as far as anything is known), ``filtered``, or
    ``changed``: neither what it was before it was filtered in place nor what it was made to be; or
    ``unclear``: a line that cannot be read may say that it was filtered.
    """

    kind: Literal["new", "filtered", "changed", "unclear"]
    entry: Entry | None = None


class AlreadyFiltered(UsageError):
    """A file is not what the caller took it for: it was filtered already, or has changed since;
    ``state`` says which.
    """

    def __init__(self, path: str, state: State) -> None:
        super().__init__(message(path, state))
        self.state = state


def message(path: str, state: State, more: str = "") -> str:
    """What to tell of a file that is not new."""
    name = printable(path) + more
    if state.kind == "changed":
        return (
            f"{name} was filtered in place before and has changed since; if it is a new "
            f"recording, {existing('force')} filters it (name it alone)"
        )
    if state.kind == "unclear":
        manifest = printable(manifest_path(os.path.dirname(os.path.realpath(path))))
        return (
            f"{name} may have been filtered in place before: a line of {manifest} cannot be read "
            "(it is damaged, or of a later version of earfilt); if it was not, "
            f"{existing('force')} filters it (name it alone)"
        )
    return (
        f"{name} was filtered before; {existing('resume')} leaves such files, {existing('force')} "
        "filters them once more"
    )


def _judged(history: Sequence[Entry], content: str, *, unclear: bool) -> State:
    """What a file with this content is, by what was done to its name; `unclear`: as far as that can
    be read.
    """
    for entry in reversed(history):
        if entry.output_sha256 == content:
            return State("filtered", entry)
    # An announced replacement that never came, or the original from a backup.
    if any(entry.source_sha256 == content for entry in history):
        return State("new")
    if unclear:
        return State("unclear")
    return State("changed", history[-1]) if history else State("new")


def _of_mark(mark: Mark | None, content: str) -> list[Entry]:
    """What a mark says of a file with this content."""
    if mark is None or mark.sha256 != content:
        return []
    return [Entry((0, 0), recipe=mark.recipe, output_sha256=content, in_place=True, run=mark.run)]


class Known:
    """What all manifests say of files that are to be replaced, before any work; each is read once."""

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}
        self._outputs: dict[str, Entry] = {}
        self._sizes: set[int] = set()
        self._own: set[str] = set()
        self._walked: set[trees.Identity] = set()

    def recipes(self) -> dict[str, Mapping[str, Any]]:
        """What the names of recipes stand for, by all that was read."""
        return {
            name: made_by
            for ledger in self._ledgers.values()
            for name, made_by in ledger.recipes.items()
        }

    def last_recipes(self) -> set[str]:
        """By which the files beside those asked for were filtered in place, at last."""
        return {
            history[-1].recipe
            for directory in self._own
            for history in self._ledgers[directory].replaced.values()
        }

    def read(self, path: str) -> None:
        """Read the manifests that may say something of a file: those of its directory and of the
        directories above.

        Raises
        ------
        AudioError
            That of its own directory cannot be read.
        """
        directory = os.path.dirname(os.path.realpath(path))
        self._read(directory, must=True)
        self._own.add(directory)
        for above in _above(directory):
            self._read(above, must=False)

    def read_below(self, directory: str) -> None:
        """Read all manifests of a directory tree: a file may have been moved within it."""
        for folder in trees.walk(os.path.realpath(directory), links=False):
            self._walked.add(folder.identity)
            if any(is_manifest(entry.name) for entry in folder.files):
                self._read(folder.path, must=False)

    def read_in(self, directories: Iterable[str]) -> None:
        """Read the manifests of directories that were searched, by whatever way."""
        for directory in directories:
            # a real path takes a look at each directory above
            if trees.identity_or_none(directory) not in self._walked:
                self._read(os.path.realpath(directory), must=False)

    def _read(self, directory: str, *, must: bool) -> None:
        if directory in self._ledgers:
            return
        try:
            ledger = read_ledger(directory)
        except AudioError:
            if must:
                raise
            ledger = Ledger()  # somebody else's
        self._ledgers[directory] = ledger
        self._outputs |= ledger.outputs
        self._sizes |= {entry.output[0] for entry in ledger.outputs.values()}

    def state(self, path: str) -> State:
        """What a file is. May be called from several threads, after `read`.

        Raises
        ------
        OSError
            The file cannot be read.
        """
        real = os.path.realpath(path)
        directory, name = os.path.split(real)
        history = self._ledgers[directory].replaced.get(name, [])
        unclear = self._ledgers[directory].is_unclear(name)
        status, mark = os.stat(real), mark_of(real)
        if history or mark or status.st_size in self._sizes:
            content = content_hash_at(real)
            if marked := _of_mark(mark, content):
                return State("filtered", marked[0])
            if history and (state := _judged(history, content, unclear=False)).kind != "changed":
                return state
            # it was moved or copied, or is the output of a batch
            if (entry := self._outputs.get(content)) is not None:
                return State("filtered", entry)
            if history and not unclear:
                return State("changed", history[-1])
        if unclear:
            return State("unclear")
        places = [directory, *_above(directory)]
        return self._as_of_0_1(real, (status.st_size, status.st_mtime_ns), places)

    def _as_of_0_1(self, real: str, now: tuple[int, int], places: Sequence[str]) -> State:
        """By manifests of version 0.1, which knew sizes and times of change; what they announced
        was done unless the file is as before.
        """
        for place in places:
            entry = self._ledgers[place].entries.get(
                os.path.relpath(real, place).replace(os.sep, "/")
            )
            if entry is None or entry.output_sha256 or entry.error:
                continue
            if entry.source != now if entry.inode else entry.output == now:
                return State("filtered", entry)
        return State("new")


def _above(directory: str) -> Iterator[str]:
    while (parent := os.path.dirname(directory)) != directory:
        directory = parent
        yield directory


def check_record(path: str) -> None:
    """Refuse a file beside which no record can be kept.

    Raises
    ------
    AudioError
        Its manifest is not a regular file, or must not be written to.
    """
    manifest = manifest_path(os.path.dirname(os.path.realpath(path)))
    try:
        status = os.stat(manifest)
    except FileNotFoundError:
        return
    except OSError as error:
        raise AudioError(
            f"cannot write {printable(manifest)}: {error.strerror or error}"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(
            f"cannot write {printable(manifest)}: it is not a regular file; it records what was "
            "filtered in place"
        )
    if not os.access(manifest, os.R_OK | os.W_OK):
        raise AudioError(
            f"cannot write {printable(manifest)}: no permission; it records what was filtered in "
            "place"
        )


class Record:
    """The record of one file that is being replaced.

    Parameters
    ----------
    path : str
        The file; a link stands for what it points to.
    recipe : Recipe
    run : str
        Names the run; a task that is done again knows its own work by it.
    again : bool
        Filter it though it was filtered before this run.
    """

    def __init__(self, path: str, recipe: Recipe, run: str, *, again: bool) -> None:
        self._path, self._recipe, self._run, self._again = path, recipe, run, again
        directory, self._name = os.path.split(os.path.realpath(path))
        self._manifest = Manifest(manifest_path(directory))
        self._held = ExitStack()
        self.content = ""

    def look(self, source: int) -> None:
        """Take down what the open file holds.

        Raises
        ------
        AlreadyFiltered
            By another run, or by a worker of this one that could not tell any more.
        AudioError
            The manifest cannot be read.
        OSError
            The file cannot be read.
        """
        self._status, self.content = os.fstat(source), content_hash(source)
        ledger = _refreshed(self._manifest.path)
        history = self._history(ledger)
        self._lines = len(history)
        mark = mark_of(source)
        if mark and (mark.run == self._run or not self._again):
            history += _of_mark(mark, self.content)
        unclear = ledger.is_unclear(self._name) and not self._again
        self._demand_new(history, self.content, unclear=unclear)

    def _history(self, ledger: Ledger) -> list[Entry]:
        history = ledger.replaced.get(self._name, [])
        return (
            [entry for entry in history if entry.run == self._run] if self._again else list(history)
        )

    def _demand_new(self, history: Sequence[Entry], content: str, *, unclear: bool = False) -> None:
        if (state := _judged(history, content, unclear=unclear)).kind != "new":
            raise AlreadyFiltered(self._path, state)

    @contextmanager
    def held(self) -> Iterator[Record]:
        """For the block in which the successor is made and takes the name: what `announce` locks is
        let go behind it.
        """
        with self._held:
            yield self

    def announce(self, successor: int, sha256: str) -> None:
        """State that the successor, which is whole, will take the name; nobody else replaces the
        file until `held` ends.

        Parameters
        ----------
        successor : int
            Descriptor of the file that will have the name.
        sha256 : str
            Of its content.

        Raises
        ------
        AlreadyFiltered
            Another run was faster.
        AudioError
            The file was replaced by somebody else, or the record cannot be kept.
        """
        try:
            set_mark(successor, Mark(sha256, self._recipe.name, self._run))
            os.fsync(successor)  # outside the lock, which others wait for
            descriptor = self._held.enter_context(self._manifest.locked(must=True))
            ledger = _refreshed(self._manifest.path, descriptor)
            self._demand_same(self._history(ledger))
            status = os.fstat(successor)
            entry = Entry(
                (self._status.st_size, self._status.st_mtime_ns),
                (status.st_size, status.st_mtime_ns),
                self._recipe.name,
                source_sha256=self.content,
                output_sha256=sha256,
                in_place=True,
                run=self._run,
            )
            told = self._recipe.name in ledger.recipes
            self._manifest.append_to(
                descriptor,
                [(self._name, entry)],
                None if told else (self._recipe.name, self._recipe.made_by),
            )
            make_durable(descriptor, self._manifest.path)
        except OSError as error:
            if isinstance(error, AudioError):
                raise
            raise AudioError(
                f"cannot write {printable(self._manifest.path)}: {error.strerror or error}"
            ) from error

    def _demand_same(self, history: Sequence[Entry]) -> None:
        """The file is still the one that was filtered. Where nobody announced anything, its status
        says so.
        """
        now, was = os.stat(self._path), self._status
        same = os.path.samestat(now, was) and (now.st_size, now.st_mtime_ns) == (
            was.st_size,
            was.st_mtime_ns,
        )
        if same and len(history) == self._lines:
            return
        content = content_hash_at(self._path)
        if content != self.content:
            self._demand_new(history, content)
            raise AudioError(
                f"{printable(self._path)} was replaced while it was filtered; what is there "
                "now was left as it is"
            )


def _refreshed(path: str, descriptor: int | None = None) -> Ledger:
    with _following:
        follower = _followers.pop(path, None) or Follower(path)
        _followers[path] = follower
        if len(_followers) > _FOLLOWED:
            _followers.popitem(last=False)
        return follower.refresh(descriptor)
