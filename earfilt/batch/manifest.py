"""What a batch did, kept in its output directory, so that a later run goes on where this one
stopped.

JSON lines, one a file, appended as rows come; each append is one write to a file opened for
appending, so that several runs on one tree may share it and whoever is killed tears at most the
last line. A line says which source (size, time of change) became which output (likewise), and by
which recipe: the filter with its options, the tables' hashes, the version and what else changes
bytes. The coefficients' hash is kept for each file, since it belongs to a sampling rate. An output
is vouched for only while all of it holds.

Runs hold a shared lock; who alone holds the manifest replaces it by its last word on each file.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from earfilt.errors import AudioError, printable

_STEM, _SUFFIX = ".earfilt-manifest", ".jsonl"

Stamp = tuple[int, int]
"""Bytes, and time of change in ns."""


def is_manifest(name: str) -> bool:
    """Whether a file name is a manifest's (or one that was being rewritten)."""
    return name.startswith(_STEM)


def manifest_path(root: str, shard: tuple[int, int] | None = None) -> str:
    """Where a batch keeps its manifest: each shard its own, since machines that share a network
    disk cannot append to one file.
    """
    part = f".{shard[0]}-of-{shard[1]}" if shard else ""
    return os.path.join(root, _STEM + part + _SUFFIX)


def stamp(path: str) -> Stamp:
    """Size and time of change of a file.

    Raises
    ------
    OSError
        It is not there.
    """
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Entry:
    """The last word on one file.

    Parameters
    ----------
    source, output : Stamp
        As they were; ``output`` is (-1, -1) where nothing came of it.
    recipe : str
        Hash of what made it.
    fs : float
        Hz.
    coefficients : str
        Hash of the coefficients at that rate.
    path : str
        The output, relative to the root.
    inode : int
        Of a source that was about to be replaced in place; 0 otherwise.
    error : str
        Why it failed; empty otherwise.
    """

    source: Stamp
    output: Stamp = (-1, -1)
    recipe: str = ""
    fs: float = 0.0
    coefficients: str = ""
    path: str = ""
    inode: int = 0
    error: str = ""


def recipe_id(recipe: Mapping[str, Any]) -> str:
    """A short name for everything, beside the source, that decides the bytes of an output."""
    text = json.dumps(recipe, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class Ledger:
    """All manifests of a directory, read: what they say of each file, by name."""

    entries: dict[str, Entry] = field(default_factory=dict)
    recipes: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def take(self, line: bytes) -> None:
        """Read one line; one that is torn or foreign says nothing."""
        try:
            data = json.loads(line)
            if "name" in data:
                self._note(data["name"], _entry(data))
            else:
                self.recipes[data["recipe"]] = data["made_by"]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            return

    def _note(self, name: str, entry: Entry) -> None:
        """A failure takes nothing back: an output that is there still came from the source that its
        entry names.
        """
        before = self.entries.get(name)
        if before is None or not entry.error or before.output[0] < 0:
            self.entries[name] = entry


def _entry(data: Mapping[str, Any]) -> Entry:
    made = data.get("output") or [-1, -1]
    return Entry(
        (int(data["source"][0]), int(data["source"][1])),
        (int(made[0]), int(made[1])),
        str(data["recipe"]),
        float(data.get("fs") or 0.0),
        str(data.get("coefficients") or ""),
        str(data.get("path") or ""),
        int(data.get("inode") or 0),
        str(data.get("error") or ""),
    )


def read_ledger(root: str) -> Ledger:
    """Everything that the manifests of a directory say; nothing where there is none.

    Raises
    ------
    AudioError
        A manifest that is there cannot be read.
    """
    ledger = Ledger()
    try:
        names = sorted(
            name for name in os.listdir(root) if is_manifest(name) and name.endswith(_SUFFIX)
        )
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                for line in file:
                    ledger.take(line)
    except (FileNotFoundError, NotADirectoryError):
        return ledger
    except OSError as error:
        raise AudioError(
            f"cannot read the manifest in {printable(root)}: {error.strerror or error}"
        ) from error
    return ledger


class Manifest:
    """The manifest of a running batch, to append to."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor, self._path = descriptor, path

    def recipe(self, name: str, made_by: Mapping[str, Any]) -> None:
        """State what a recipe's hash stands for."""
        self._append([{"recipe": name, "made_by": made_by}])

    def record(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Append what became of some files, by name."""
        self._append([_line(name, entry) for name, entry in entries])

    def _append(self, lines: list[dict[str, Any]]) -> None:
        data = "".join(
            json.dumps(line, ensure_ascii=True, default=str) + "\n" for line in lines
        ).encode()
        try:
            if data and os.write(self._descriptor, data) < len(data):
                raise OSError("no space")
        except OSError as error:
            raise AudioError(
                f"cannot write {printable(self._path)}: {error.strerror or error}"
            ) from error


def _line(name: str, entry: Entry) -> dict[str, Any]:
    line: dict[str, Any] = {"name": name, "source": entry.source, "recipe": entry.recipe}
    if entry.inode:
        return {**line, "inode": entry.inode}
    if entry.error:
        return {**line, "error": entry.error}
    return {
        **line,
        "fs": entry.fs,
        "coefficients": entry.coefficients,
        "path": entry.path,
        "output": entry.output,
    }


@contextmanager
def open_manifest(root: str, shard: tuple[int, int] | None = None) -> Iterator[Manifest]:
    """The manifest of an output directory, both made where they are missing; compacted when no
    other run has it open.

    Raises
    ------
    AudioError
        It cannot be written.
    """
    path = manifest_path(root, shard)
    try:
        os.makedirs(root, exist_ok=True)
        descriptor = _open_locked(path)
    except OSError as error:
        raise AudioError(f"cannot write {printable(path)}: {error.strerror or error}") from error
    try:
        yield Manifest(descriptor, path)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_locked(path: str) -> int:
    """A descriptor for appending, under a shared lock, of the file that has the name now."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            if _lock(descriptor, exclusive=True):
                _compact(path, descriptor)
            _lock(descriptor, exclusive=False)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                _end_line(descriptor)
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # another run has replaced the file since it was opened


def _lock(descriptor: int, *, exclusive: bool) -> bool:
    """Lock the file: exclusively if nobody has it, else shared, as soon as may be."""
    try:
        import fcntl
    except ImportError:
        return False  # without locks, manifests are never rewritten
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError:
        return False
    return True


def _compact(path: str, descriptor: int) -> None:
    """Replace the file by its last word on each name, if that makes it shorter. Whoever opened it
    before sees so by its inode.
    """
    ledger, lines = Ledger(), 0
    with open(os.dup(descriptor), "rb") as file:
        for line in file:
            ledger.take(line)
            lines += 1
    if lines == len(ledger.entries) + len(ledger.recipes):
        return
    # the lock is held by one process alone; who was killed at it leaves what the next one writes
    # over
    temp = path + ".new"
    try:
        with open(temp, "w", encoding="ascii") as out:
            for recipe, made_by in ledger.recipes.items():
                out.write(json.dumps({"recipe": recipe, "made_by": made_by}) + "\n")
            for name, entry in ledger.entries.items():
                out.write(json.dumps(_line(name, entry)) + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(temp, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temp)


def _end_line(descriptor: int) -> None:
    """Close the line that a killed run has torn."""
    size = os.fstat(descriptor).st_size
    if size:
        os.lseek(descriptor, size - 1, os.SEEK_SET)
        if os.read(descriptor, 1) != b"\n":
            os.write(descriptor, b"\n")
