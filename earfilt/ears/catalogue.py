"""The ears by name: those that come with the package, and the user's own.

Adding one takes no line of code: a TOML, and a CSV where there is a table
(``earfilt.ears.entry``). A bad entry is an error of that entry: it is among ``problems()``, and
every other ear is found as before.
"""

import os
import shlex
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from earfilt.ears import kinds
from earfilt.ears.ear import Ear
from earfilt.ears.entry import Entry, read_entries
from earfilt.ears.index import indexed, make_index, read_index
from earfilt.ears.table import directory
from earfilt.errors import (
    DataError,
    EarfiltError,
    UnknownNameError,
    UsageError,
    did_you_mean,
    printable,
)

__all__ = ["Entry", "ear", "entries", "find", "problems", "read_path", "user_directory"]


@dataclass(frozen=True)
class _Found:
    entries: tuple[Entry, ...] = ()
    problems: tuple[DataError, ...] = ()


def entries() -> tuple[Entry, ...]:
    """All ears that can be used, the user's own included: by name, the default variant first."""
    found = (*_shipped().entries, *_users().entries)
    return tuple(sorted(found, key=lambda ear: (ear.name, not ear.default, ear.variant)))


def problems() -> tuple[DataError, ...]:
    """What is wrong with the entries that cannot be used."""
    return (*_shipped().problems, *_users().problems)


def user_directory() -> Path:
    """The folder of the user's own entries, which need not exist."""
    import platformdirs

    return Path(platformdirs.user_data_path("earfilt", appauthor=False), "ears")


def find(name: str) -> Entry:
    """The entry of a name ``NAME[:VARIANT]``.

    Raises
    ------
    UnknownNameError
        No such ear; the message suggests the nearest names.
    DataError
        There is one, but its files are damaged.

    Examples
    --------
    >>> find("middle-ear").full_name
    'middle-ear:lopezpoveda2001'
    """
    for folder in (_shipped, _users):
        for entry in folder().entries:
            if found := _named(entry, name):
                return found
    stem = name.partition(":")[0]
    for problem in problems():
        if stem in (Path(problem.subject).stem, problem.subject.partition(":")[0]):
            raise problem
    raise UnknownNameError(f"no filter is called '{printable(name)}'; {_suggestion(name)}")


def _named(entry: Entry, name: str) -> Entry | None:
    """The entry, if it goes by this name; with the argument that the name brings."""
    if name == entry.full_name or (entry.default and name == entry.name):
        return entry
    stem, _, argument = name.partition(":")
    if entry.arguments and argument and stem == entry.name:
        return replace(entry, variant=argument)
    return None


def ear(name: str) -> Ear:
    """The ear of a name.

    Raises
    ------
    UnknownNameError, DataError
        As ``find``.
    UsageError
        The argument in the name is not valid.
    """
    return of_entry(find(name))


def of_entry(entry: Entry) -> Ear:
    """The ear of an entry.

    Raises
    ------
    DataError, UsageError
    """
    return kinds.kind(entry.kind).read(entry)


def read_path(path: str | os.PathLike[str], name: str = "") -> Entry:
    """The entry of a TOML of the user's, with its CSV beside it.

    Parameters
    ----------
    path : path
    name : str
        Which of its ears, where it holds several.

    Raises
    ------
    DataError
        The file is not such an entry.
    UsageError
        It holds several ears, and the name is none of them.
    """
    path = Path(path)
    found = _checked(path)
    chosen = [entry for entry in found if not name or _named(entry, name)]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(entry.full_name for entry in found)
    if not found:
        raise DataError(path.name, "holds no [[ear]]")
    raise UsageError(f"{printable(os.fspath(path))} holds {names}; name one of them after a ':'")


def _check(entry: Entry) -> None:
    """Refuse an entry that cannot be used, as an error of this entry."""
    if entry.kind not in kinds.NAMES:
        raise DataError(
            entry.full_name, f"kind is '{entry.kind}'; there are {', '.join(kinds.NAMES)}"
        )
    if entry.arguments:
        return
    try:
        of_entry(entry)
    except DataError:
        raise
    except (EarfiltError, KeyError, TypeError, ValueError) as error:
        raise DataError(entry.full_name, str(error)) from error


@cache
def _shipped() -> _Found:
    return _read_folder(directory())


@cache
def _users() -> _Found:
    """The user's own, whose names may not be those of the package."""
    found = _read_folder(user_directory())
    taken = {entry.name for entry in _shipped().entries}
    clashes = tuple(
        DataError(entry.full_name, "the name is taken by an ear of the package; choose another")
        for entry in found.entries
        if entry.name in taken
    )
    kept = tuple(entry for entry in found.entries if entry.name not in taken)
    return _Found(kept, (*found.problems, *clashes))


def _read_folder(folder: Path) -> _Found:
    """All entries of a folder, and what is wrong with the rest."""
    good: list[Entry] = []
    bad: list[DataError] = []
    index = read_index(folder)
    for path in sorted(folder.glob("*.toml")):
        try:
            known = indexed(index, path)
            good += _checked(path) if known is None else known
        except DataError as error:
            bad.append(error)
    return _Found(tuple(good), tuple(bad))


def _checked(path: Path) -> tuple[Entry, ...]:
    """The entries of a TOML, each of which can be used.

    Raises
    ------
    DataError
    """
    found = read_entries(path)
    for entry in found:
        _check(entry)
    return found


def shipped_index() -> str:
    """The index of the entries that come with the package, as it should be beside them."""
    return make_index((path, _checked(path)) for path in sorted(directory().glob("*.toml")))


def _suggestion(name: str) -> str:
    """What to say after an unknown name: the nearest names, or where the list is."""
    if (plain := "".join(name.split()).lower()) != name:
        there = any(plain in (entry.name, entry.full_name) for entry in entries())
        return f"did you mean {plain}?" if there else _suggestion(plain)
    stem = name.partition(":")[0]
    every = entries()
    siblings = [entry.full_name for entry in every if entry.variant and entry.name == stem]
    if siblings:
        return did_you_mean(name, siblings, alike=0.0, most=len(siblings))
    known = sorted({name for entry in every for name in (entry.name, entry.full_name)})
    if near := did_you_mean(name, known):
        return near
    # every entry contains an empty word, and a command takes one with a dash for an option
    if name and name[0] != "-" and matching(name):
        word = printable(shlex.quote(name))
        return f"'earfilt filters {word}' lists those that are called or sourced so"
    return did_you_mean(name, known, alike=0.4) or "'earfilt filters' lists them"


def matching(word: str) -> tuple[Entry, ...]:
    """The entries with a word in their name, title or sources, whatever its case."""
    wanted = word.lower()
    return tuple(
        entry
        for entry in entries()
        if any(
            wanted in text.lower()
            for text in (
                entry.full_name,
                entry.summary,
                entry.title,
                *(source.citation for source in entry.sources),
            )
        )
    )
