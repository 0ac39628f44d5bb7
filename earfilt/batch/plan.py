"""What becomes of each file, decided before the first write.

Everything that can be known beforehand is refused here: outputs that collide, an output inside an
input, one that exists, a directory that cannot be written, a disk that is too small by the
estimate.
"""

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from earfilt.audio import formats
from earfilt.batch.search import Bad, Found, Search, Selection
from earfilt.errors import AudioError, UsageError, printable
from earfilt.storage.output import trial_directory
from earfilt.storage.trees import Home, make_directories
from earfilt.wording import existing, option

Exists = Literal["refuse", "force", "skip", "resume"]


@dataclass(frozen=True)
class Rules:
    """How sources become outputs.

    Parameters
    ----------
    selection : Selection
    format : str, optional
        Container of all outputs; changes their extension.
    subtype : str, optional
        Of all outputs, for the estimate of their size.
    exists : 'refuse', 'force', 'skip' or 'resume'
        What to do about an output that is there.
    in_place : bool
        Outputs replace their sources.
    shard : (int, int), optional
        (I, N), 1 <= I <= N: only the I-th of N parts, told by a hash of the name that is the same
        everywhere.
    """

    selection: Selection = field(default_factory=Selection)
    format: str | None = None
    subtype: str | None = None
    exists: Exists = "refuse"
    in_place: bool = False
    shard: tuple[int, int] | None = None


@dataclass
class Plan:
    """What a batch will do.

    Parameters
    ----------
    root : str
        Directory of the outputs and of the manifest.
    files : list of Found
        To filter.
    suffix : str or None
        Extension of all outputs; None: each its source's.
    skipped : list of Found
        Not to filter, since the output is there.
    bad : list of Bad
        Fail before any work.
    passed_over : int
        Files of directories that are not audio.
    own, foreign : set of str
        Names of the files under whose outputs' names something lies, to go on with: what a batch
        made of the same source, which may be replaced; and what no manifest tells of.
    places : set of str
        Directories that were searched.
    others : list of Found or Bad
        What other shards are about: not to filter, and not to write over.
    in_place : bool
        Outputs replace their sources, where links lead; the root is no more than a name.
    home : Home
        Where all these paths begin, for a program may go elsewhere while it takes the rows.
    """

    root: str
    files: list[Found]
    suffix: str | None = None
    skipped: list[Found] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    passed_over: int = 0
    own: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    others: list[Found | Bad] = field(default_factory=list)
    in_place: bool = False
    home: Home = field(default_factory=Home)

    def output_name(self, name: str) -> str:
        """Name of a file's output, relative to the root, by the file's own."""
        return name if self.suffix is None else os.path.splitext(name)[0] + self.suffix

    def destination(self, file: Found | Bad) -> str:
        """Path of a file's output."""
        return os.path.join(self.root, self.output_name(file.name))

    def place(self, file: Found) -> str:
        """Directory in which a file's output appears."""
        path = self.destination(file)
        if self.in_place and os.path.islink(path):
            path = os.path.realpath(path)
        return os.path.dirname(path) or os.curdir

    def directories(self) -> list[str]:
        """Every directory of an output."""
        return sorted({self.place(file) for file in (*self.files, *self.skipped)})


def make_plan(
    inputs: Sequence[str], output: str | None, rules: Rules, *, listed: Iterable[str] = ()
) -> Plan:
    """Find the files and check everything that can be checked without opening them.

    Parameters
    ----------
    inputs : sequence of str
        Files, directories and globs.
    output : str or None
        Directory of the outputs; None if they replace their sources.
    listed : iterable of str
        More files, by ``--files-from``.

    Raises
    ------
    UsageError
        Outputs collide, lie inside an input, are an input, or exist; the output's name is that of a
        file.
    """
    suffix = (
        formats.default_suffix(formats.container_named(rules.format).name) if rules.format else None
    )
    search = Search(rules.selection)
    found = [*search.inputs(inputs), *search.listed(list(listed))]
    if output is None:
        root, found = _at_home(found)
    else:
        root = output
    plan = Plan(
        root,
        found,
        suffix,
        bad=search.bad,
        passed_over=search.passed_over,
        places=search.places,
        in_place=rules.in_place,
    )
    if output is not None:
        _check_apart(inputs, search, plan)
    plan.files = _distinct(plan)
    if rules.shard:
        _take_shard(plan, *rules.shard)
    if not rules.in_place:
        _look_at_outputs(plan, rules.exists)
    return plan


def _at_home(found: list[Found]) -> tuple[str, list[Found]]:
    """The common directory of files to be replaced, and the files named relative to it."""
    bases = {os.path.abspath(file.base or os.curdir) for file in found}
    if not bases:
        return os.curdir, found
    root = os.path.commonpath(bases)
    # Links and the file that they point to are one file, to be filtered once.
    found = list({os.path.realpath(file.source): file for file in reversed(found)}.values())[::-1]
    lead = {
        base: os.path.relpath(os.path.abspath(base or os.curdir), root)
        for base in {file.base for file in found}
    }
    return root, [
        Found(
            root,
            os.path.normpath(os.path.join(lead[file.base], file.name)),
            file.size,
            file.mtime_ns,
            file.inode,
        )
        for file in found
    ]


def _check_apart(inputs: Sequence[str], search: Search, plan: Plan) -> None:
    root = plan.root
    if os.path.exists(root) and not os.path.isdir(root):
        raise UsageError(
            f"{printable(root)} is a file; the output of several files or of a directory must "
            "be a directory"
        )
    if root == "-":
        raise UsageError("- (standard output) takes one file; several files go to a directory")
    if _is_named_like_sound(root):
        raise UsageError(
            f"{printable(root)} has the name of a sound file; several files or a directory go to a "
            "directory, which may be called so if it is there or its name ends with a slash"
        )
    if any(
        os.path.isdir(path) and os.path.realpath(path) == os.path.realpath(root) for path in inputs
    ):
        raise UsageError(
            f"input and output are the same directory, {printable(root)}; use "
            f"{option('in_place', True)} to replace the files"
        )
    names = [plan.output_name(file.name) for file in plan.files]
    _check_not_searched(search, root, root, names)
    inside: dict[str, list[str]] = {}
    for name in names:
        folder, last = os.path.split(name)
        inside.setdefault(folder, []).append(last)
    real = os.path.realpath(root)
    for folder, last_parts in inside.items():
        place = os.path.realpath(os.path.join(root, folder))
        if place != os.path.normpath(os.path.join(real, folder)):  # a link leads elsewhere
            _check_not_searched(search, os.path.join(root, folder), place, last_parts)


def _check_not_searched(search: Search, said: str, place: str, names: Sequence[str]) -> None:
    path = search.input_that_takes(place, names)
    if path is not None:
        raise UsageError(
            f"output {printable(said)} lies inside the input {printable(path)}, where it "
            "would be taken for input"
        )


def _is_named_like_sound(root: str) -> bool:
    """Whether a directory that would be made has the name of a sound file."""
    return os.path.splitext(root)[1].lower() in formats.SUFFIXES and not os.path.isdir(root)


def _distinct(plan: Plan) -> list[Found]:
    """The files without repetitions.

    Raises
    ------
    UsageError
        Two sources have one output.
    """
    owners: dict[str, Found] = {}
    for file in plan.files:
        owner = owners.setdefault(plan.output_name(file.name), file)
        if owner is not file and not _is_same_source(owner, file):
            raise _collision(plan, owner, file)
    for names in _alike(owners):
        for one, other in _one_on_disk(plan.root, names):
            if not _is_same_source(owners[one], owners[other]):
                raise _collision(plan, owners[one], owners[other])
    return list(owners.values())


def _alike(names: Iterable[str]) -> Iterator[list[str]]:
    """Names that some disk may take for one; those of one directory also by themselves, for each
    may have a rule of its own.
    """
    first: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for name in names:
        key = _widest_spelling(name)
        if (other := first.setdefault(key, name)) is not name:
            groups.setdefault(key, [other]).append(name)
    for group in groups.values():
        yield group
        by_directory: dict[str, list[str]] = {}
        for name in group:
            by_directory.setdefault(os.path.dirname(name), []).append(name)
        yield from (part for part in by_directory.values() if 1 < len(part) < len(group))


def _is_same_source(one: Found, other: Found) -> bool:
    return os.path.realpath(one.source) == os.path.realpath(other.source)


def _collision(plan: Plan, one: Found, other: Found) -> UsageError:
    return UsageError(
        f"{printable(one.source)} and {printable(other.source)} would both become "
        f"{printable(plan.destination(other))}; "
        f"use {option('exclude')}, or one output directory for each"
    )


_DEEPEST_TRIAL = 200
_LOOSE_END = re.compile(r"[. ](/|$)")


def _widest_spelling(name: str) -> str:
    """What is the same of two names that any disk takes for one: whatever their case, Unicode's
    forms, dots and spaces at their ends.
    """
    folded = (
        name.lower()
        if name.isascii()
        else unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    )
    if not _LOOSE_END.search(folded):
        return folded
    return "/".join(part.rstrip(". ") for part in folded.split("/"))


def _one_on_disk(root: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of relative names that the disk of the outputs takes for one.

    Only files tell: what is one differs by disk, by directory, and by how it is mounted. They are
    made, and removed again, in a directory beside the outputs' place. Each holds the number of its
    name, for not every disk has inodes that stay.
    """
    place = _existing(
        os.path.join(root, os.path.commonpath([os.path.dirname(name) for name in names]))
    )
    pairs = []
    with suppress(OSError), trial_directory(place) as trial:
        for number, name in enumerate(names):
            if name.count(os.sep) > _DEEPEST_TRIAL:  # one that cannot be removed again
                continue
            path = os.path.join(trial, name)
            with suppress(OSError):  # a name that the disk does not take fails later, by itself
                make_directories(os.path.dirname(path))
                try:
                    with open(path, "x", encoding="ascii") as file:
                        file.write(str(number))
                except FileExistsError:
                    with open(path, encoding="ascii") as file:
                        pairs.append((names[int(file.read())], name))
    return pairs


def _existing(path: str, known: dict[str, str] | None = None) -> str:
    """The nearest directory above (or at) a path that exists; `known` keeps what was found."""
    known = {} if known is None else known
    place, missing = os.path.abspath(path), []
    while place not in known and not os.path.exists(place):
        missing.append(place)
        place = os.path.dirname(place)
    found = known.setdefault(place, place)
    known.update(dict.fromkeys(missing, found))
    return found


def _take_shard(plan: Plan, index: int, count: int) -> None:
    """Keep one of ``count`` parts; what fails before any work is told by the same rule, once."""
    every: list[Found | Bad] = [*plan.files, *plan.bad]
    plan.others = [one for one in every if shard_of(one.name, count) != index]
    plan.files = [file for file in plan.files if shard_of(file.name, count) == index]
    plan.bad = [bad for bad in plan.bad if shard_of(bad.name, count) == index]


def shard_of(name: str, count: int) -> int:
    """Which of ``count`` parts (from 1) a relative name belongs to; the same on every machine and
    in every run.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % count + 1


def _look_at_outputs(plan: Plan, exists: Exists) -> None:
    """Deal with outputs that are there already.

    Raises
    ------
    UsageError
        One is an input, a directory, or exists and may not be replaced.
    """
    if not os.path.isdir(plan.root):
        return
    there = [file for file in plan.files if os.path.lexists(plan.destination(file))]
    if there:
        _check_no_source(plan, there)
    if there and exists == "refuse":
        more = f" (and {len(there) - 1:,} more)" if len(there) > 1 else ""
        raise UsageError(
            f"output {printable(plan.destination(there[0]))} exists already{more}; "
            f"{existing('resume')} continues a batch, {existing('skip')} keeps what is there, "
            f"{existing('force')} replaces it"
        )
    if exists == "skip":
        taken = set(there)
        plan.skipped, plan.files = there, [file for file in plan.files if file not in taken]


def _check_no_source(plan: Plan, there: list[Found]) -> None:
    sources = {_identity(file.source): file.source for file in (*plan.files, *plan.others)}
    for file in there:
        destination = plan.destination(file)
        if os.path.isdir(destination):
            raise UsageError(f"output {printable(destination)} is a directory")
        if (source := sources.get(_identity(destination))) is not None:
            raise UsageError(
                f"output {printable(destination)} is the input {printable(source)} itself; "
                f"use {option('in_place', True)} to replace it"
            )


def _identity(path: str) -> tuple[int, int] | str:
    try:
        status = os.stat(path)
    except OSError:
        return path
    return status.st_dev, status.st_ino


def check_permission(plan: Plan) -> None:
    """Refuse where a directory of an output, or of the manifest, cannot be made or written to.

    Raises
    ------
    AudioError
        Naming the directory.
    """
    if not plan.files:
        return
    known: dict[str, str] = {}
    places = {plan.place(file) for file in plan.files}
    if not plan.in_place:
        places.add(plan.root)
    for directory in sorted({_existing(place, known) for place in places}):
        if not os.path.isdir(directory):
            raise AudioError.about(
                printable(directory), "{subject} is a file where a directory is needed"
            )
        if not os.access(directory, os.W_OK | os.X_OK):
            raise AudioError.about(printable(directory), "no permission to write in {subject}")


_COMPRESSION = {".flac": 0.5, ".mp3": 0.1, ".ogg": 0.1, ".oga": 0.1, ".opus": 0.06}
_WIDTH = {
    "FLOAT": 2.0,
    "DOUBLE": 4.0,
    "PCM_32": 2.0,
    "PCM_24": 1.5,
    "ALAW": 0.5,
    "ULAW": 0.5,
    "PCM_U8": 0.5,
    "PCM_S8": 0.5,
}


def estimate_bytes(plan: Plan, subtype: str | None = None) -> int:
    """Disk space that the outputs will take, from the sizes of the sources: usual compression, 16
    bit where a subtype is asked for.
    """
    return round(sum(_estimated(plan, file, subtype) for file in plan.files))


def _estimated(plan: Plan, file: Found, subtype: str | None) -> float:
    wider = _WIDTH.get((subtype or "").upper().replace("-", "_"), 1.0)
    source = os.path.splitext(file.name)[1].lower()
    target = plan.suffix or source
    return file.size * wider * _COMPRESSION.get(target, 1.0) / _COMPRESSION.get(source, 1.0)


@dataclass
class _Share:
    """What a disk has to hold of a batch: bytes of its outputs, of what they replace, and of the
    largest source.
    """

    place: str
    outputs: float = 0.0
    replaced: int = 0
    largest: int = 0


def check_space(plan: Plan, subtype: str | None = None) -> None:
    """Refuse a batch for which a disk has no room; one that does not tell is not asked.

    Files that are replaced give their room back only after their successors are whole, one after
    the other: the largest counts.

    Raises
    ------
    AudioError
        Naming what is needed and what is free.
    """
    for share in _shares(plan, subtype):
        needed = share.outputs
        if share.replaced:
            needed = max(needed - share.replaced, share.largest)
        try:
            usage = shutil.disk_usage(share.place)
        except OSError:
            continue
        if usage.total > 0 and needed > usage.free:
            raise AudioError(
                f"the outputs need about {_told(needed)} on the disk of "
                f"{printable(share.place)}, which has {_told(usage.free)} free; make room, or "
                "filter a part at a time (--include, --shard 1/2)"
            )


def _told(count: float) -> str:
    """Bytes in the unit in which they are some.

    >>> _told(500_000), _told(3_456_000_000)
    ('500 kB', '3.46 GB')
    """
    factor, unit = next(
        (pair for pair in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if count >= pair[0]), (1, "bytes")
    )
    return f"{count / factor:.3g} {unit}"


def _shares(plan: Plan, subtype: str | None) -> Iterable[_Share]:
    """The outputs by disk: each counts where its directory lies or will be made."""
    by_disk: dict[int, _Share] = {}
    disks: dict[str, tuple[int, str]] = {}
    known: dict[str, str] = {}
    there = plan.in_place or os.path.isdir(plan.root)
    for file in plan.files:
        place = plan.place(file)
        if place not in disks:
            existing = _existing(place, known)
            disks[place] = os.stat(existing).st_dev, existing
        disk, existing = disks[place]
        share = by_disk.setdefault(disk, _Share(existing))
        share.outputs += _estimated(plan, file, subtype)
        share.replaced += _size(plan.destination(file)) if there else 0
        share.largest = max(share.largest, file.size)
    return by_disk.values()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def tasks(files: Iterable[Found], *, max_bytes: int, max_files: int = 16) -> Iterator[list[Found]]:
    """The files in portions for one worker each: large ones alone and first, the largest of all at
    the head, then the small in order.

    Parameters
    ----------
    max_bytes : int
        Of the sources of a portion (a larger file is a portion of its own).
    max_files : int
    """
    small: list[Found] = []
    large: list[Found] = []
    for file in files:
        (large if file.size >= max_bytes else small).append(file)
    for file in sorted(large, key=lambda file: -file.size):
        yield [file]
    portion: list[Found] = []
    size = 0
    for file in small:
        if portion and (size + file.size > max_bytes or len(portion) >= max_files):
            yield portion
            portion, size = [], 0
        portion.append(file)
        size += file.size
    if portion:
        yield portion
