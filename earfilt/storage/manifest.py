"""What was done, kept beside what came of it, so that a later run knows.

JSON lines, one a file, in ``.earfilt-manifest.jsonl``. Two kinds of lines share the file:

* In the output directory of a batch: which source became which output, by which recipe
  (`earfilt.render.recipe`). Before that, which outputs were begun: what is there under such a name
  after a batch was killed is its own, and nobody else's.
* In the directory of each file that was replaced in place: the hash of its content before and
  after. Such a line is on the disk before the replacement is visible (`earfilt.render.in_place`),
  and content alone says later what a file is: names of inodes and times of change do not survive a
  copy, and some file systems have none that last.

Content is compared by SHA-256, which processors compute in hardware, and which users can check with
``sha256sum``.

A line is appended under a lock that is held for that moment alone, so that several runs share a
manifest, and a run that is killed tears at most the last line. A line that is torn or foreign says
nothing, whatever it holds; but one that is whole and about a replacement, and cannot be read
(damaged, or of a later version), leaves its file in doubt. Opening a manifest for a batch first reduces it to the last entry of
each file, and to the lines that cannot be read: what they told is for somebody else to find out.
"""

import errno
import hashlib
import json
import os
import stat as modes
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from earfilt.errors import AudioError, no_more_open_files, printable
from earfilt.storage.output import take_after
from earfilt.storage.streams import fill_closed
from earfilt.storage.trees import Home, make_directories

_STEM, _SUFFIX = ".earfilt-manifest", ".jsonl"
_PIECE = 1 << 16  # stays in the nearest caches, and costs no mapping of memory
_LONGEST_LINE = 1 << 20  # a path takes a few thousand bytes
_LARGEST = 10**9 << 63  # file systems keep seconds, sizes and inodes in up to 64 bits
_TRIES = 200
_REPLACEMENT = b'"in_place": true'

Stamp = tuple[int, int]
"""Bytes, and time of change in ns."""

MALFORMED = (
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    MemoryError,
)
"""What reading JSON of any shape may raise: anybody can write anything into a manifest."""

NO_OUTPUT: Stamp = (-1, -1)

_as_json = json.JSONEncoder(ensure_ascii=True, default=str).encode


def is_manifest(name: str) -> bool:
    """Whether a file name is a manifest's (or one that was being rewritten)."""
    return name.startswith(_STEM)


def manifest_path(root: str, shard: tuple[int, int] | None = None) -> str:
    """Where a batch keeps its manifest: each shard its own, since not every network disk lets
    machines append to one file.
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


def content_hash(descriptor: int) -> str:
    """SHA-256 of an open file, from its first byte to its last; its position stays where it is.

    Raises
    ------
    OSError
        It cannot be read.
    """
    digest, at = hashlib.sha256(), 0
    while piece := os.pread(descriptor, _PIECE, at):
        digest.update(piece)
        at += len(piece)
    return digest.hexdigest()


def content_hash_at(path: str) -> str:
    """SHA-256 of the regular file that has a path.

    Raises
    ------
    OSError
        It cannot be read, or is not a regular file.
    """
    with open(path, "rb", buffering=0, opener=_open_regular) as file:
        return content_hash(file.fileno())


@dataclass(frozen=True, slots=True)
class Entry:
    """The last word on one file.

    Parameters
    ----------
    source, output : Stamp
        As they were; ``output`` is (-1, -1) where nothing came of it.
    recipe : str
        Hash of what made it.
    path : str
        The output, relative to the manifest's directory.
    source_path : str
        The source, likewise.
    source_sha256, output_sha256 : str
        Of their content; empty where it is not known (manifests of version 0.1).
    in_place : bool
        The output has replaced the source, or was about to.
    run : str
        In place: which run, so that a task that is done again knows its own work.
    inode : int
        Version 0.1 only: of a source that was about to be replaced in place; 0 otherwise.
    error : str
        Why it failed; empty otherwise.
    begun : bool
        The output was to be made, and nothing is known of what became of it.
    """

    source: Stamp
    output: Stamp = NO_OUTPUT
    recipe: str = ""
    path: str = ""
    source_path: str = ""
    source_sha256: str = ""
    output_sha256: str = ""
    in_place: bool = False
    run: str = ""
    inode: int = 0
    error: str = ""
    begun: bool = False

    @property
    def is_done(self) -> bool:
        """Whether an output came of it."""
        return not self.error and not self.begun


def _line(name: str, entry: Entry) -> dict[str, Any]:
    line: dict[str, Any] = {"name": name, "source": entry.source, "recipe": entry.recipe}
    if entry.error:
        return {**line, "error": entry.error, "path": entry.path}
    if entry.begun:
        return {**line, "begun": True, "path": entry.path, "source_path": entry.source_path}
    line |= {
        "output": entry.output,
        "source_sha256": entry.source_sha256,
        "output_sha256": entry.output_sha256,
    }
    if entry.in_place:
        return {**line, "in_place": True, "run": entry.run}
    return {**line, "path": entry.path, "source_path": entry.source_path}


def _entry(data: Mapping[str, Any]) -> Entry:
    words = ("recipe", "path", "source_path", "source_sha256", "output_sha256", "run", "error")
    return Entry(
        _stamp(data["source"]),
        _stamp(data.get("output") or NO_OUTPUT),
        inode=_integer(data.get("inode") or 0),
        in_place=data.get("in_place") is True,
        begun=data.get("begun") is True,
        **{name: _text(data.get(name) or "") for name in words},
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or not -_LARGEST <= value < _LARGEST:
        raise ValueError("not an integer that a file can have")
    return value


def _stamp(value: Any) -> Stamp:
    size, mtime_ns = value
    return _integer(size), _integer(mtime_ns)


@dataclass
class Ledger:
    """What manifests say.

    Attributes
    ----------
    entries : dict
        By the path of an output, or the name of a source of which nothing is known to have come: the
        last word of a batch. One source may have several outputs, each in another format.
    replaced : dict
        By name: what was done to a file in place, in order.
    outputs : dict
        Every output by the hash of its content.
    latest : dict
        By the path of an output, relative to the manifest's directory: what was done to it last,
        in place or by a batch.
    recipes : dict
        What the hash of a recipe stands for.
    unclear : set of str
        Names of files about whose replacement a line cannot be read; empty where it does not even
        say which file's.
    damaged : int
        Lines that say nothing, though none was killed at them.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    replaced: dict[str, list[Entry]] = field(default_factory=dict)
    outputs: dict[str, Entry] = field(default_factory=dict)
    latest: dict[str, Entry] = field(default_factory=dict)
    recipes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    unclear: set[str] = field(default_factory=set)
    damaged: int = 0

    @property
    def says_nothing(self) -> bool:
        """Whether no line could be read."""
        return not (self.entries or self.replaced or self.recipes or self.unclear)

    def is_unclear(self, name: str) -> bool:
        """Whether a line that cannot be read may say that a file was replaced."""
        return not self.unclear.isdisjoint((name, ""))

    def take(self, line: bytes) -> Hashable | None:
        """Read one line; returns what it is the last word on, None if it says nothing new."""
        try:
            data = json.loads(line)
            if "name" in data:
                return self._note(_text(data["name"]), _entry(data))
            name, made_by = _text(data["recipe"]), data["made_by"]
        except MALFORMED:
            return self._doubt(line)
        self.recipes[name] = made_by if isinstance(made_by, dict) else {}
        return "recipe", name

    def _doubt(self, line: bytes) -> Hashable | None:
        """Of a line that cannot be read, take down which file's replacement it may tell of. What
        was killed at it left no whole object, and had replaced nothing.
        """
        torn = line.startswith(b"{") and not line.rstrip().endswith(b"}")
        if torn or not line.strip():
            return None
        self.damaged += 1
        if _REPLACEMENT in line and line.rstrip().endswith(b"}"):
            try:
                self.unclear.add(_text(json.loads(line)["name"]))
            except MALFORMED:
                self.unclear.add("")
        return "unclear", line

    def add(self, other: "Ledger", root: str) -> None:
        """Take in what another manifest of the same directory `root` says: of two outputs that were
        made for one name, the one that is there counts or, where that does not tell, the later one.
        """
        for subject, entry in other.entries.items():
            before = self.entries.get(subject)
            if (
                before is None
                or not before.is_done
                or (entry.is_done and _is_true(entry, before, root, entry.path or subject))
            ):
                self.entries[subject] = entry
        for path, entry in other.latest.items():
            if path not in self.latest or _is_true(entry, self.latest[path], root, path):
                self.latest[path] = entry
        for name, history in other.replaced.items():
            self.replaced.setdefault(name, []).extend(history)
        self.outputs |= other.outputs
        self.recipes |= other.recipes
        self.unclear |= other.unclear
        self.damaged += other.damaged

    def _note(self, name: str, entry: Entry) -> Hashable | None:
        if entry.output_sha256 and not entry.error:
            self.outputs[entry.output_sha256] = entry
        if entry.is_done:
            self.latest[name if entry.in_place else os.path.normpath(entry.path)] = entry
        if entry.in_place:
            self.replaced.setdefault(name, []).append(entry)
            return "in place", name, entry.source_sha256, entry.output_sha256
        subject = entry.path or name
        before = self.entries.get(subject)
        if not entry.is_done and before is not None and before.is_done:
            # neither a beginning nor a failure changes anything of what is known: an output that is
            # there still came from the source that its entry names
            return None
        self.entries[subject] = entry
        return "output", subject


def _is_true(entry: Entry, before: Entry, root: str, name: str) -> bool:
    """Whether of two entries about one output, by two manifests of one directory, the first holds.

    Clocks go wrong, so what is on the disk decides: by its stamp, which costs least; by its content,
    where both stamps fit, or none does, as in a copy. Where neither entry is about that, the later
    one holds: by the time at which the outputs were written, which the disk tells for all machines.
    """
    path = os.path.join(root, name)
    try:
        now = stamp(path)
        fits = [one for one in (entry, before) if one.output == now]
        if len(fits) != 1 and entry.output_sha256 != before.output_sha256:
            content = content_hash_at(path)
            fits = [one for one in (entry, before) if one.output_sha256 == content]
    except (OSError, ValueError):
        fits = []
    return fits == [entry] if len(fits) == 1 else entry.output[1] >= before.output[1]


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
    except (FileNotFoundError, NotADirectoryError):
        return ledger
    except OSError as error:
        raise AudioError(
            f"cannot read the manifest in {printable(root)}: {error.strerror or error}"
        ) from error
    for name in names:
        one = Ledger()
        read_manifest(os.path.join(root, name), one)
        ledger.add(one, root)
    return ledger


def read_manifest(path: str, ledger: Ledger) -> None:
    """Add what one manifest says.

    Raises
    ------
    AudioError
        It cannot be read, or is not a regular file.
    """
    try:
        with suppress(FileNotFoundError), open(path, "rb", opener=_open_regular) as file:
            for line in lines_of(file):
                ledger.take(line)
    except OSError as error:
        raise AudioError.about(
            printable(path),
            "cannot read the manifest {subject}: {why}",
            why=error.strerror or error,
        ) from error


def _open_regular(path: str, flags: int) -> int:
    """Open a file, and nothing else: a named pipe would wait for ever. It is not written through a
    link: in an archive of somebody else's, that could lead to any file of the user's.
    """
    fill_closed()
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    if writes and os.path.islink(path):
        raise OSError(
            errno.ELOOP, "the manifest in its directory is a link, which is not followed; remove it"
        )
    kept = getattr(os, "O_NOFOLLOW", 0) if writes else 0
    descriptor = os.open(path, flags | kept | getattr(os, "O_NONBLOCK", 0), 0o666)
    if not modes.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


def lines_of(file: Any) -> Iterator[bytes]:
    """The lines of a binary file; one that is too long to be a manifest's comes in pieces, which
    say nothing.
    """
    return iter(lambda: file.readline(_LONGEST_LINE), b"")


class Manifest:
    """A manifest to append to.

    Parameters
    ----------
    path : str
        Made where it is missing; its directory too.
    """

    def __init__(self, path: str) -> None:
        self._path, self._home = path, Home()

    @property
    def path(self) -> str:
        """Its path, from where this process is now."""
        return self._home.path(self._path)

    def append(
        self,
        entries: Iterable[tuple[str, Entry]],
        recipe: tuple[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Append what a recipe's hash stands for, and what became of some files, by name.

        Raises
        ------
        AudioError
            It cannot be written.
        """
        told = list(entries)
        if told or recipe:
            with self.locked(must=False) as descriptor:
                self.append_to(descriptor, told, recipe)

    def append_to(
        self,
        descriptor: int,
        entries: Iterable[tuple[str, Entry]],
        recipe: tuple[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """As `append`, to the manifest that is open (`locked`); in one piece.

        Raises
        ------
        AudioError
            It cannot be written.
        """
        lines = [{"recipe": recipe[0], "made_by": recipe[1]}] if recipe else []
        lines += [_line(name, entry) for name, entry in entries]
        data = "".join(_as_json(line) + "\n" for line in lines).encode()
        try:
            _end_line(descriptor)
            if os.write(descriptor, data) < len(data):
                raise OSError("no space")
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    @contextmanager
    def locked(self, *, must: bool) -> Iterator[int]:
        """A descriptor of the file that has the name now, open for appending, under a lock against
        all others.

        Parameters
        ----------
        must : bool
            Where the file system has no locks, refuse; otherwise go on without one (an append is
            one write).

        Raises
        ------
        AudioError
            It cannot be made, opened or locked.
        """
        try:
            descriptor = self._open_locked(must)
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        try:
            yield descriptor
        finally:
            _release(descriptor)

    def _open_locked(self, must: bool) -> int:
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):  # its directory is made at the first of them
                descriptor = _open_regular(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
                try:
                    _lock(descriptor, must)
                    if os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                        return descriptor
                except FileNotFoundError:
                    pass
                except BaseException:
                    _release(descriptor)
                    raise
                _release(descriptor)  # another run has replaced the file since it was opened
                time.sleep(0.001)
                continue
            make_directories(os.path.dirname(self.path))
        raise OSError(
            errno.EAGAIN,
            "it is replaced again and again, or its file system cannot tell files apart",
        )

    def compact(self) -> None:
        """Replace the file by its last word on each name, if that makes it shorter; one that somebody
        else would then not be able to use as before stays as it is.

        Raises
        ------
        AudioError
            It cannot be written.
        """
        with self.locked(must=False) as descriptor:
            try:
                self._compact(descriptor)
            except OSError as error:
                raise _cannot_write(self.path, error) from error

    def _compact(self, descriptor: int) -> None:
        ledger, kept, lines = Ledger(), dict[Hashable, bytes](), 0
        with open(os.dup(descriptor), "rb") as file:
            for line in lines_of(file):
                lines += 1
                if (subject := ledger.take(line)) is not None:
                    kept.pop(subject, None)  # the order tells what was last
                    kept[subject] = line if line.endswith(b"\n") else line + b"\n"
        # without locks, another run may be writing
        if lines == len(kept) or not _lockable(descriptor):
            return
        # the lock is held by one process alone; who was killed at it leaves what the next one
        # writes over
        temp = self.path + ".new"
        try:
            with suppress(FileNotFoundError):
                os.unlink(temp)
            # never through a link, and for nobody else's eyes before it is as the old one
            with open(temp, "xb", opener=_open_own) as out:
                out.writelines(kept.values())
                out.flush()
                os.fsync(out.fileno())
                if not self._takes_after(out, descriptor):
                    return
            os.replace(temp, self.path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temp)

    def _takes_after(self, file: BinaryIO, descriptor: int) -> bool:
        """Give what is to replace the manifest its mode, owner and access control list; whether it
        has them: others of a group may not be able to give their files away.
        """
        with suppress(PermissionError):
            take_after(file, self.path)
        new, old = os.fstat(file.fileno()), os.fstat(descriptor)
        return (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)


def _open_own(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _cannot_write(path: str, error: OSError) -> AudioError:
    if isinstance(error, AudioError):
        return error
    return AudioError.about(
        printable(path),
        "cannot write {subject}: {why}",
        why=no_more_open_files(error) or error.strerror or error,
    )


def _lock(descriptor: int, must: bool) -> None:
    try:
        _flock(descriptor)
    except OSError as error:
        if must:
            raise OSError(
                error.errno, f"its file system has no locks ({error.strerror or error})"
            ) from error


def _lockable(descriptor: int) -> bool:
    try:
        _flock(descriptor)
    except OSError:
        return False
    return True


def _flock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:
        raise OSError(errno.ENOTSUP, "none on this system") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _release(descriptor: int) -> None:
    """Close a file, and give its lock back first: where a child that was forked meanwhile has the
    file open, too, everybody would wait for the child to end.
    """
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _end_line(descriptor: int) -> None:
    """Close the line that a killed run has torn."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")


def make_durable(descriptor: int, path: str) -> None:
    """Wait until a file, and its name in its directory, would survive a loss of power.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    os.fsync(descriptor)
    with suppress(OSError):  # some systems cannot open or sync a directory
        directory = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextmanager
def open_manifest(root: str, shard: tuple[int, int] | None = None) -> Iterator[Manifest]:
    """The manifest of an output directory, both made where they are missing; compacted first, and
    on the disk at the end.

    Raises
    ------
    AudioError
        It cannot be written.
    """
    manifest = Manifest(manifest_path(root, shard))
    manifest.compact()
    yield manifest
    with manifest.locked(must=False) as descriptor:
        os.fsync(descriptor)


class Follower:
    """The ledger of one manifest that others append to: each `refresh` reads what is new only."""

    def __init__(self, path: str) -> None:
        self.path, self.ledger = path, Ledger()
        self._at, self._tail = 0, b""

    def refresh(self, descriptor: int | None = None) -> Ledger:
        """The ledger as the manifest is now.

        Parameters
        ----------
        descriptor : int, optional
            Of the manifest, where it is open already.

        Raises
        ------
        AudioError
            It cannot be read.
        """
        try:
            with (
                open(os.dup(descriptor), "rb")
                if descriptor is not None
                else open(self.path, "rb", opener=_open_regular) as file
            ):
                self._read(file)
        except FileNotFoundError:
            self._forget()
        except OSError as error:
            raise AudioError(
                f"cannot read the manifest {printable(self.path)}: {error.strerror or error}"
            ) from error
        return self.ledger

    def _forget(self) -> None:
        self.ledger, self._at, self._tail = Ledger(), 0, b""

    def _read(self, file: Any) -> None:
        file.seek(self._at - len(self._tail))
        # another file than before: it was compacted, or written anew
        if file.read(len(self._tail)) != self._tail:
            self._forget()
            file.seek(0)
        for line in lines_of(file):
            if line.endswith(b"\n") or len(line) == _LONGEST_LINE:  # else it is being written
                self.ledger.take(line)
                self._at += len(line)
                self._tail = line[-256:]
