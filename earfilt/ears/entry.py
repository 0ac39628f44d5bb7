"""An entry of the catalogue: what a TOML says of one ear, checked, with its source.

A TOML holds what its ears have in common (title, unit, source, …) and an ``[[ear]]`` for each of
them. A table is the CSV of the same name beside it. An ear names its kind; the kind says which
further keys it understands. What is unknown or missing makes this entry an error, and no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earfilt.ears.table import Table, read_table
from earfilt.errors import DataError, EarfiltError
from earfilt.storage.reading import read_text

GROUPS = (
    "fields to eardrum",
    "eardrum to cochlea or stapes",
    "whole ears and weightings",
    "levels as filters",
    "your own",
)
POINTS = (
    "free field",
    "diffuse field",
    "headphone",
    "ear-canal entrance",
    "eardrum",
    "stapes",
    "cochlea",
)
SCALES = ("absolute", "re 1 kHz", "re peak")
SIDES = ("both", "left", "right")


@dataclass(frozen=True)
class Source:
    """Where the numbers come from.

    Attributes
    ----------
    citation : str
        The full reference.
    bibtex : str
        The same as BibTeX; empty where a user's entry has none.
    where : str
        Table, figure or page that each number was read from, and the edition.
    checked : str
        Independent transcriptions and their largest disagreement.
    provenance, licence, doi : str
        How the numbers came here; what may be done with them; identifier.
    """

    citation: str
    bibtex: str = ""
    where: str = ""
    checked: str = ""
    provenance: str = ""
    licence: str = ""
    doi: str = ""


@dataclass(frozen=True)
class Entry:
    """One ear as the catalogue states it.

    Attributes
    ----------
    name, variant : str
        ``NAME[:VARIANT]``; an ear without variants has an empty one.
    kind : str
        How its numbers become a curve (``earfilt.ears.kinds``).
    default : bool
        The variant meant by the bare name.
    preferred : bool
        The one that is taken where only its reference points are asked for.
    arguments : str
        Where the variant is an argument, its pattern: ``PHON``.
    group : str
        One of GROUPS.
    summary, title : str
        In a list, and in full.
    quantity, unit : str
        What the numbers are.
    scale : {'absolute', 're 1 kHz', 're peak'}
        What 0 dB means.
    relative_to : str
        Where 0 dB means that this field and the ear together have 0 dB at 1 kHz: the field.
    start, end : str
        Reference points between which it leads, of POINTS; empty for one that has none.
    side : {'both', 'left', 'right'}
    species : str
    range_hz : (float, float), optional
        What the source covers; None: what its tables cover.
    caveats : tuple of str
        What a user must know.
    sources : tuple of Source
        Where the numbers come from, the main one first.
    tables : tuple of str
        Ids of the tables it reads, the main one first.
    parameters : mapping
        What the kind alone understands.
    folder : Path
        Where its files are.
    """

    name: str
    variant: str = ""
    kind: str = "curve"
    default: bool = True
    preferred: bool = False
    arguments: str = ""
    group: str = GROUPS[-1]
    summary: str = ""
    title: str = ""
    quantity: str = ""
    unit: str = "dB"
    scale: str = "absolute"
    relative_to: str = ""
    start: str = ""
    end: str = ""
    side: str = "both"
    species: str = "human"
    range_hz: tuple[float, float] | None = None
    caveats: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    tables: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()

    @property
    def full_name(self) -> str:
        """``NAME:VARIANT``, or ``NAME`` where there are no variants; ``NAME:PATTERN`` of one whose
        argument has still to be given.
        """
        variant = self.variant or self.arguments
        return f"{self.name}:{variant}" if variant else self.name

    @property
    def is_pattern(self) -> bool:
        """Whether its name needs an argument, which it has not got yet."""
        return bool(self.arguments) and not self.variant

    @property
    def stated(self) -> dict[str, Any]:
        """What decides its curve beside its tables, JSON-able."""
        found = {"parameters": dict(self.parameters), "range_hz": self.range_hz}
        return {name: value for name, value in found.items() if value}

    def table(self, which: int = 0) -> Table:
        """One of its tables.

        Raises
        ------
        DataError
        """
        return read_table(self.folder / f"{self.tables[which]}.csv")


# What a TOML may say for all its ears, and again in an [[ear]] for one of them.
_COMMON = {
    "title": str,
    "group": str,
    "quantity": str,
    "unit": str,
    "scale": str,
    "relative_to": str,
    "start": str,
    "end": str,
    "side": str,
    "species": str,
    "range_hz": list,
    "caveats": list,
    "tables": list,
}
_OWN = {
    "name": str,
    "variant": str,
    "kind": str,
    "default": bool,
    "preferred": bool,
    "arguments": str,
    "summary": str,
    "parameters": dict,
}
_CHOICES = {
    "group": GROUPS,
    "scale": SCALES,
    "relative_to": POINTS,
    "start": POINTS,
    "end": POINTS,
    "side": SIDES,
}


def read_entries(path: Path) -> tuple[Entry, ...]:
    """The ears of one TOML; none where it describes a table that others use.

    Raises
    ------
    DataError
        Not such a TOML; the reason names the key.
    """
    facts = _read(path)
    common = {key: value for key, value in facts.items() if key not in ("source", "ear")}
    _check(path.name, common, _COMMON)
    source = _source(path.name, facts.get("source"))
    ears = facts.get("ear", [])
    if not isinstance(ears, list) or not all(isinstance(ear, dict) for ear in ears):
        raise DataError(path.name, "'ear' must be a list of tables, [[ear]]")
    return tuple(_entry(path, source, {**common, **ear}) for ear in ears)


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise DataError(path.name, f"is not valid TOML: {error}") from error
    except EarfiltError as error:
        raise DataError(path.name, str(error)) from error


def _entry(path: Path, source: Source, facts: dict[str, Any]) -> Entry:
    _check(path.name, facts, _COMMON | _OWN)
    if "name" not in facts or "kind" not in facts:
        raise DataError(path.name, "an [[ear]] needs a name and a kind")
    own = path.with_suffix(".csv")
    tables = facts.pop("tables", [path.stem] if own.is_file() else [])
    if not all(isinstance(name, str) and name == Path(name).name for name in tables):
        raise DataError(path.name, "'tables' must be names of CSV files beside it, without .csv")
    others = [path.with_name(f"{table}.toml") for table in tables if table != path.stem]
    sources = [_source(other.name, _read(other).get("source")) for other in others]
    ends = facts.pop("range_hz", None)
    facts["default"] = facts.get("default", "variant" not in facts)
    facts["summary"] = facts.get("summary", facts.get("title", facts["name"]))
    facts["caveats"] = tuple(facts.get("caveats", ()))
    return Entry(
        **facts,
        sources=(source, *sources),
        tables=tuple(tables),
        range_hz=None if ends is None else _range(path.name, ends),
        folder=path.parent,
    )


def _check(name: str, facts: Mapping[str, Any], known: Mapping[str, type]) -> None:
    """Refuse unknown keys and values of another type."""
    for key, value in facts.items():
        if key not in known:
            raise DataError(name, f"'{key}' is not understood; understood are {', '.join(known)}")
        if not isinstance(value, known[key]):
            raise DataError(name, f"'{key}' must be of type {known[key].__name__}")
        if key in _CHOICES and value not in _CHOICES[key]:
            raise DataError(name, f"{key} is '{value}'; allowed: {', '.join(_CHOICES[key])}")
    if not all(isinstance(text, str) for text in facts.get("caveats", ())):
        raise DataError(name, "'caveats' must be a list of texts")


def _source(name: str, facts: Any) -> Source:
    if not isinstance(facts, dict) or not facts.get("citation"):
        raise DataError(name, "has no [source] with a citation; a number needs a source")
    known = dict.fromkeys(Source.__dataclass_fields__, str)
    _check(f"{name}, [source]", facts, known)
    return Source(**facts)


def _range(name: str, ends: list[Any]) -> tuple[float, float]:
    if (
        len(ends) != 2
        or not all(isinstance(end, int | float) for end in ends)
        or not 0 <= ends[0] < ends[1]
    ):
        raise DataError(name, f"range_hz is {ends}; it must be [lowest, highest] in Hz")
    return float(ends[0]), float(ends[1])
