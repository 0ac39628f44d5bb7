"""An ear whose numbers were changed or learnt, as a file: ``"earfilt": "ear"`` in JSON.

It holds the taps that it began with and the numbers of its members, and says which design leads
from these to the filter (``earfilt.synthesis.within.adapted``); so that it gives the same filter wherever
the tables are the same, and can be trained on. Ears of the catalogue stand in it by name; curves
of the user with their points. The file is untrusted: it names nothing that is opened.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np

from earfilt.arrays import Floats, floats
from earfilt.ears import catalogue
from earfilt.ears.ear import Ear
from earfilt.ears.kinds.inverse import Inverse
from earfilt.ears.kinds.measured import Measured
from earfilt.ears.kinds.own import Own
from earfilt.ears.target import Target
from earfilt.errors import DataError, EarfiltError, UsageError, printable
from earfilt.files.curves import checked_curve
from earfilt.files.dialects.found import FoundCurve, Row
from earfilt.files.fir_formats import Content, PathLike
from earfilt.files.firs import build_fir, read_content
from earfilt.storage.reading import shown
from earfilt.synthesis.fir import ROW_NAMES, Fir
from earfilt.synthesis.provenance import Provenance
from earfilt.synthesis.within.adapted import DESIGN, Part, adapted
from earfilt.version import FORMAT
from earfilt.wording import option

__all__ = ["SavedEar", "SavedMember", "read_ear", "read_fir_or_ear", "saved_bytes"]

_MAX_TAPS = 1 << 20
_MAX_MEMBERS = 64
_LARGEST_NUMBER = 1000.0  # gains and dB
_HUGE = 1e300
_INVERSE = "inverse:"
_SIDES = ROW_NAMES[2]


@dataclass(frozen=True, eq=False)
class SavedMember:
    """A member of a filter with the numbers that it has now.

    Parameters
    ----------
    ear : Ear
    options : mapping
        All of its options, ``phase`` among them.
    target : Target
        The ear at the rate of the filter.
    numbers : (N,) float64
        In place of ``target.numbers``.
    side : '', 'left' or 'right'
        The ear that it is for, of a pair; empty: for all channels.
    """

    ear: Ear
    options: Mapping[str, Any]
    target: Target
    numbers: Floats
    side: str = ""

    @classmethod
    def of(cls, ear: Ear, options: Mapping[str, Any], fs: float, side: str = "") -> "SavedMember":
        """With the published numbers."""
        target = ear.at(fs, **options)
        return cls(ear, options, target, target.numbers, side)

    @property
    def is_changed(self) -> bool:
        """Whether its numbers are others than the published ones."""
        return not np.array_equal(self.numbers, self.target.numbers)

    @property
    def citations(self) -> tuple[str, ...]:
        """Full citations of what was published."""
        return tuple(source.citation for source in self.ear.sources)

    @property
    def part(self) -> Part:
        """What the design knows of it."""
        row = _SIDES.index(self.side) if self.side else None
        return Part(self.target, self.options["phase"], row)


@dataclass(frozen=True, eq=False)
class SavedEar:
    """A filter with numbers of its own, at one sampling rate.

    Parameters
    ----------
    name : str
        Of the filter that it began as.
    request : mapping
        The options that were given for it.
    start : Fir
        The filter of the published numbers; its order and rate are those of every other.
    members : tuple of SavedMember
        Those that are ears.
    firs : tuple of str
        Names of those that are FIRs, which are in ``start``.
    """

    name: str
    request: Mapping[str, Any]
    start: Fir
    members: tuple[SavedMember, ...]
    firs: tuple[str, ...]

    @property
    def fs(self) -> float:
        """Sampling rate in Hz."""
        assert self.start.fs is not None
        return self.start.fs

    @cached_property
    def fir(self) -> Fir:
        """The FIR of its numbers."""
        changed = [one for one in self.members if one.is_changed]
        if not changed:
            return self.start
        parts = [one.part for one in self.members]
        numbers = [one.numbers for one in self.members]
        taps = adapted(self.start.taps, self.start.lookahead, parts, numbers, self.fs)
        return replace(self.start, taps=taps, provenance=self._adapted(changed))

    def _adapted(self, changed: "list[SavedMember]") -> Provenance:
        """What is known of the FIR, whose curve is no more that of what it began as; a source that
        members share which have changed and which have not is of both.
        """
        told = self.start.provenance
        as_published = {c for one in self.members if not one.is_changed for c in one.citations}
        others = [c for c in told.source if c not in as_published]
        moved = [c for one in changed for c in one.citations]
        return replace(
            told,
            source=tuple(c for c in told.source if c in as_published),
            adapted=tuple(dict.fromkeys([*told.adapted, self.name])),
            adapted_from=tuple(dict.fromkeys([*told.adapted_from, *others, *moved])),
        )


def saved_bytes(ear: SavedEar) -> bytes:
    """The file of an ear.

    Raises
    ------
    UsageError
        A member is an entry of the user's own that is not a curve, or the inverse of a curve.
    """
    start = ear.start
    content = {
        "earfilt": "ear",
        "format": FORMAT,
        "filter": ear.name,
        "options": dict(ear.request),
        "fs": ear.fs,
        "order": start.provenance.order,
        "design": DESIGN,
        "members": [_member_json(member) for member in ear.members],
        "firs": list(ear.firs),
        "tables": {
            table.id: table.sha256
            for member in ear.members
            if _is_in_catalogue(member.ear)
            for table in member.ear.tables
        },
        "start": {
            "latency": start.lookahead,
            "odd_ends": start.odd_ends,
            "meta": start.provenance.to_json(),
            "taps": start.taps.tolist(),
        },
    }
    return (json.dumps(content, allow_nan=False, indent=1) + "\n").encode()


def _member_json(member: SavedMember) -> dict[str, Any]:
    ear = member.ear
    options = {name: value for name, value in member.options.items() if value is not None}
    what: dict[str, Any] = {"name": ear.name}
    if not _is_in_catalogue(ear):
        if not isinstance(ear, Measured):
            raise UsageError(
                f"{printable(ear.name)} is neither an ear of the catalogue nor a curve, and cannot be "
                "saved in a file of its own"
            )
        beyond = options.get("beyond", "documented")
        options = {
            "phase": options["phase"],
            "interpolation": options.get("interpolation", ear.interpolation),
            "beyond": ear.beyond if beyond == "documented" else beyond,
        }
        what["gain_db"] = member.target.numbers.tolist()
    return {
        **what,
        **({"side": member.side} if member.side else {}),
        "options": options,
        "frequency_hz": member.target.freqs.tolist(),
        "numbers": member.numbers.tolist(),
    }


def _is_in_catalogue(ear: Ear) -> bool:
    if isinstance(ear, Inverse):
        return all(map(_is_in_catalogue, ear.ears))
    try:
        return catalogue.ear(ear.name).entry == ear.entry
    except EarfiltError:
        return False


# Reading


def read_fir_or_ear(path: PathLike, *, latency: int | None = None) -> Fir:
    """The FIR of a FIR file or of a saved ear.

    Raises
    ------
    UsageError, DataError
        As `earfilt.files.firs.read_fir`; or a saved ear that is damaged.
    """
    content = read_content(path)
    if not _is_ear(content):
        return build_fir(content, path, latency=latency)
    if latency is not None:
        raise UsageError(
            f"{shown(path)} says its own latency; leave {option('latency', latency)} out"
        )
    return _parse(content.header, path).fir


def read_ear(path: PathLike) -> SavedEar | None:
    """A saved ear; None of a FIR file.

    Raises
    ------
    UsageError, DataError
        As `read_fir_or_ear`.
    """
    content = read_content(path)
    return _parse(content.header, path) if _is_ear(content) else None


def _is_ear(content: Content) -> bool:
    return content.header.get("earfilt") == "ear"


def _parse(found: Mapping[str, Any], path: PathLike) -> SavedEar:
    if found.get("format") != FORMAT or found.get("design") != DESIGN:
        raise DataError.about(
            shown(path),
            "{subject} is an ear of another version of earfilt (format {stated}, "
            "design {its_design}); this one reads format {format}, design '{design}'",
            stated=_excerpt(found.get("format")),
            its_design=_excerpt(found.get("design")),
            format=FORMAT,
            design=DESIGN,
        )
    start = _start(found, path)
    listed = found.get("members")
    if not isinstance(listed, list) or len(listed) > _MAX_MEMBERS:
        raise _damaged(path, "'members' is a list of at most 64")
    name, request = found.get("filter"), found.get("options")
    if not isinstance(name, str) or not isinstance(request, dict):
        raise _damaged(path, "'filter' is a name, and 'options' an object")
    firs, tables = found.get("firs"), found.get("tables")
    if not isinstance(firs, list) or not all(isinstance(one, str) for one in firs):
        raise _damaged(path, "'firs' is a list of names")
    if not isinstance(tables, dict):
        raise _damaged(path, "'tables' is an object")
    assert start.fs is not None
    members = tuple(_member(one, start.fs, tables, path) for one in listed)
    ear = SavedEar(name, request, start, members, tuple(firs))
    if start.rows != len(_SIDES) and any(member.side for member in members):
        raise _damaged(path, "members of one side are of a pair")
    if not np.isfinite(ear.fir.taps).all():
        raise _damaged(path, "its numbers make no filter")
    return ear


def _start(found: Mapping[str, Any], path: PathLike) -> Fir:
    header = found.get("start")
    if not isinstance(header, dict) or not _are_taps(header.get("taps")):
        raise _damaged(path, f"'start' has 'taps', at most {_MAX_TAPS} numbers, or rows of such")
    header = {**header, "fs": found.get("fs"), "earfilt": "fir"}
    fir = build_fir(Content(floats(header["taps"]), header), path)
    if fir.fs is None or "latency" not in header:
        raise _damaged(path, "it has an 'fs', and its 'start' a 'latency'")
    # What it says of itself is no command that would make it.
    return replace(fir, provenance=replace(fir.provenance, command=None))


def _member(found: object, fs: float, tables: Mapping[str, Any], path: PathLike) -> SavedMember:
    if not isinstance(found, dict):
        raise _damaged(path, "a member is an object")
    name, options, numbers = (found.get(key) for key in ("name", "options", "numbers"))
    if not isinstance(name, str) or not isinstance(options, dict):
        raise _damaged(path, "a member has a 'name' and 'options'")
    ear = _ear(name, found, tables, path)
    unknown = set(options) - {option.name for option in ear.options}
    if unknown or not isinstance(options.get("phase"), str):
        raise _damaged(path, f"{printable(name)} does not have these options")
    side = found.get("side", "")
    if side not in ("", *_SIDES):
        raise _damaged(path, "the 'side' of a member is left or right")
    try:
        member = SavedMember.of(ear, ear.settings(options), fs, side)
    except (EarfiltError, TypeError, ValueError) as error:
        raise _damaged(path, printable(str(error))) from error
    if not _are_numbers(numbers, len(member.numbers)) or len(numbers) != len(member.numbers):
        raise _damaged(path, f"{printable(name)} has {len(member.numbers)} numbers at {fs:g} Hz")
    values = floats(numbers)
    if not (np.abs(values) <= _LARGEST_NUMBER).all():
        raise _damaged(path, f"a number of {printable(name)} is beyond ±{_LARGEST_NUMBER:g}")
    return replace(member, numbers=values)


def _ear(name: str, found: Mapping[str, Any], tables: Mapping[str, Any], path: PathLike) -> Ear:
    if "gain_db" in found:
        freqs, gain_db = found.get("frequency_hz"), found["gain_db"]
        if not _are_numbers(freqs) or not _are_numbers(gain_db) or len(freqs) != len(gain_db):
            raise _damaged(path, f"{printable(name)} is a curve of 'frequency_hz' and 'gain_db'")
        rows = [Row(0, float(f), float(g)) for f, g in zip(freqs, gain_db, strict=True)]
        try:
            curve = checked_curve(FoundCurve("saved ear", rows), shown(path))
        except DataError as error:
            raise _damaged(path, error.reason) from error
        if curve.notes:
            raise _damaged(path, "the frequencies of a curve must ascend")
        return Own.of(name, curve.values)
    try:
        ear = _of_catalogue(name)
    except EarfiltError as error:
        raise DataError(shown(path), f"{error}") from error
    changed = [table.id for table in ear.tables if tables.get(table.id) != table.sha256]
    if changed:
        raise DataError.about(
            shown(path),
            "{subject} was made with other numbers of {tables} than this version of "
            "earfilt has; design a FIR with the version that made it",
            tables=", ".join(changed),
        )
    return ear


def _of_catalogue(name: str) -> Ear:
    """An ear of the catalogue, or the inverse of some in series."""
    if not name.startswith(_INVERSE):
        return catalogue.ear(name)
    names = name.removeprefix(_INVERSE).removeprefix("(").removesuffix(")")
    ears = [catalogue.ear(piece) for piece in names.split("+")]
    return Inverse.of(ears, [{"ear": ear.name} for ear in ears])


def _are_taps(values: object) -> bool:
    """Whether they are those of one row, or of two or four of one length."""
    if not isinstance(values, list) or not values or not isinstance(values[0], list):
        return _are_numbers(values)
    alike = all(_are_numbers(row) and len(row) == len(values[0]) for row in values)
    return alike and len(values) in (2, 4)


def _are_numbers(values: object, most: int = _MAX_TAPS) -> TypeGuard[list[float]]:
    return (
        isinstance(values, list)
        and 0 < len(values) <= most
        and all(type(value) in (int, float) and abs(value) < _HUGE for value in values)
    )


def _damaged(path: PathLike, why: str) -> DataError:
    return DataError.about(
        shown(path), "{subject} is damaged, or not an ear that earfilt saved: {why}", why=why
    )


def _excerpt(value: object) -> str:
    return printable(repr(value)[:40])
