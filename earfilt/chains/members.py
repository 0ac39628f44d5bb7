"""A filter resolved: its names looked up and its files read, once.

`resolve` turns a request into an immutable `Filter` that holds all content and its hashes. What was
planned with it is what every worker applies, however late and wherever; nothing below it opens a
file again.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from earfilt.chains.request import FilterOptions, Request
from earfilt.ears import catalogue, kinds
from earfilt.ears.ear import Ear
from earfilt.ears.kinds.measured import Measured
from earfilt.ears.options import DESIGN as DESIGN_OPTIONS
from earfilt.ears.table import Table
from earfilt.errors import UnknownNameError, UsageError, printable
from earfilt.storage.reading import SmallFile
from earfilt.version import DESIGN

if TYPE_CHECKING:
    from earfilt.ears.curve import PublishedCurve
    from earfilt.synthesis.fir import Fir
    from earfilt.synthesis.sections import Sections

__all__ = ["DEFAULT_TOLERANCE_DB", "Filter", "Member", "resolve"]

DEFAULT_TOLERANCE_DB = 0.1
LARGEST_ORDER = 131_072
LARGEST_TOLERANCE_DB = 20.0

Options = Mapping[str, Any]
_DESIGN = tuple(option.name for option in DESIGN_OPTIONS)
_FIR: Options = {"latency": None}


@dataclass(frozen=True, eq=False)
class Member:
    """One filter of a chain: an ear of the catalogue, or a file (a curve or a FIR).

    Parameters
    ----------
    name : str
        ``NAME:VARIANT``, or the path as given.
    kind : str
        Of the ear, ``fir``, or ``sos``, a file of sections.
    ear : Ear, optional
        None of a file of a FIR or sections.
    file : SmallFile, optional
        The user's file, if it is one.
    options : mapping
        All its options: those given, else the defaults.
    """

    name: str
    kind: str
    ear: Ear | None
    file: SmallFile | None
    options: Options

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables it reads."""
        return () if self.ear is None else self.ear.tables

    @cached_property
    def fir(self) -> "Fir | None":
        """What a FIR file holds, or the impulse response of sections; None of an ear.

        Raises
        ------
        UsageError
            The file is no FIR, or contradicts ``latency``.
        """
        if self.ear is not None or self.file is None:
            return None
        if self.sections is not None:
            from earfilt.files.sos import fir_of

            return fir_of(self.sections, self.file)
        from earfilt.files.firs import read_fir  # and all that reads files

        return read_fir(self.file, latency=self.options["latency"])

    @cached_property
    def sections(self) -> "Sections | None":
        """What a file of sections holds; None of all others.

        Raises
        ------
        DataError
            It is damaged, or not stable.
        """
        if self.kind != "sos" or self.file is None:
            return None
        from earfilt.files.sos import read_sections

        return read_sections(self.file)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its taps beside tables and design, JSON-able; a file by its content, since a
        path is a place and no part of what the filter is.
        """
        what: dict[str, Any] = {"sha256": self.file.sha256} if self.file is not None else {}
        if self.ear is not None and self.file is None:
            what = {"ear": self.name, **self.ear.entry.stated}
        settings = {name: value for name, value in self.options.items() if value is not None}
        return {**what, "kind": self.kind, **settings}


@dataclass(frozen=True, eq=False)
class Filter:
    """A chain of one or more filters, resolved; picklable, and independent of the sampling rate.

    Parameters
    ----------
    request : Request
        What was asked for.
    members : tuple of Member
    """

    request: Request
    members: tuple[Member, ...]

    @property
    def name(self) -> str:
        """As it was asked for."""
        return self.request.name

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What was asked for, JSON-able: names, options in full, hashes of tables and files, version
        of the design. Never digits of taps, which may differ between machines.
        """
        return {
            "design": DESIGN,
            "members": [
                member.identity | ({} if member.ear is None else self.design)
                for member in self.members
            ],
            "tables": {table.id: table.sha256 for one in self.members for table in one.tables},
        }

    @property
    def design(self) -> dict[str, Any]:
        """How its ears are designed: ``order``, or ``tolerance`` and perhaps ``fewest``."""
        given = self.request.given()
        if "order" in given:
            return {"order": given["order"]}
        tolerance = given.get("tolerance", DEFAULT_TOLERANCE_DB)
        return {"tolerance": tolerance} | ({"fewest": True} if given.get("fewest") else {})

    @cached_property
    def sha256(self) -> str:
        """Hash of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def files(self) -> list[str]:
        """Paths of the user's files, as given."""
        return [member.file.name for member in self.members if member.file is not None]

    @property
    def stated_fs(self) -> float | None:
        """The rate (Hz) of the first FIR file that states one."""
        firs = (member.fir for member in self.members)
        return next((fir.fs for fir in firs if fir is not None and fir.fs is not None), None)

    def at(self, fs: float) -> "Fir":
        """The effective FIR at one sampling rate, in float64; designed once.

        Raises
        ------
        UsageError
            The filter cannot be made for this rate.
        """
        from earfilt.chains.build import design

        return design(self, float(fs))

    def curve_at(self, fs: float) -> "PublishedCurve | None":
        """The published points and the curve that the design aims at; None where a member is a FIR,
        which has none.
        """
        from earfilt.chains.build import published

        return published(self, float(fs))


def resolve(name: str, **options: Unpack[FilterOptions]) -> Filter:
    """Look up names, read files, and check everything that needs no sampling rate.

    Parameters
    ----------
    name : str
        ``NAME[:VARIANT]``, joined by ``+`` into a chain; a path stands for a curve or a FIR.
    **options
        As in `FilterOptions`.

    Raises
    ------
    UnknownNameError
        A name that does not exist.
    UsageError
        An empty piece, a file that cannot be read or is neither a curve nor a FIR, an option that
        no member has, contradictory or impossible values.
    """
    request = Request(name, **options)
    given = request.given()
    _check_design(given)
    found = [_find(piece) for piece in _pieces(name)]
    members = tuple(Member(*one, _settings(one, given)) for one in found)
    for option in given:
        if not any(option in option_names(member) for member in members):
            raise UsageError(
                f"'{printable(name)}' has no option --{option.replace('_', '-')}{_owners(option)}"
            )
    return Filter(request, members)


Found = tuple[str, str, Ear | None, SmallFile | None]
"""Name, kind, ear and file of a member."""


def option_names(member: Member) -> tuple[str, ...]:
    """Names of all options that a member takes, those of every design first."""
    return (*(() if member.ear is None else _DESIGN), *member.options)


def _settings(found: Found, given: Options) -> Options:
    """The options of a member: those given, else the defaults."""
    ear = found[2]
    if ear is not None:
        return ear.settings(given)
    own = _FIR if found[1] == "fir" else {}
    return {name: given.get(name, default) for name, default in own.items()}


def _owners(option: str) -> str:
    names = {"fir": "FIR files", "curve": "a curve"}
    owners = [
        *(kind for kind in kinds.NAMES if option in _declared_by(kind)),
        *(["fir"] if option in _FIR else []),
    ]
    return f"; it belongs to {', '.join(names.get(kind, kind) for kind in owners)}"


def _declared_by(kind: str) -> set[str]:
    return {*_DESIGN, *(option.name for option in kinds.kind(kind).declared)}


def _check_design(given: Options) -> None:
    """Refuse an order or tolerance that contradict each other or no design can have."""
    order, tolerance = given.get("order"), given.get("tolerance")
    if order is not None and tolerance is not None:
        raise UsageError("--order and --tolerance exclude each other: a tolerance finds the order")
    if order is not None and not 2 <= order <= LARGEST_ORDER:
        raise UsageError(f"order is {order}; it must be 2 to {LARGEST_ORDER}")
    if tolerance is not None and not 0.0 < tolerance <= LARGEST_TOLERANCE_DB:
        raise UsageError(
            f"tolerance is {tolerance:g} dB; it must be above 0 and at most "
            f"{LARGEST_TOLERANCE_DB:g} dB"
        )


def _pieces(name: str) -> list[str]:
    """The members' names; a path that is there may hold a ``+``."""
    return [name] if "+" in name and os.path.exists(name) else name.split("+")


def is_path(piece: str) -> bool:
    """Whether a piece of a name is the path of a curve or FIR: its extension says so."""
    suffix = Path(piece).suffix.lower()
    if not suffix:  # a name of the catalogue has no need of file formats, nor --help of numpy
        return False
    from earfilt.files.fir_formats import READERS

    return suffix in READERS


def _find(piece: str) -> Found:
    if not piece:
        raise UsageError(
            "a chain of filters is written NAME+NAME, with a name on both sides of each '+'"
        )
    if entry := re.fullmatch(r"(.+\.toml)(?::(.*))?", piece, re.DOTALL | re.IGNORECASE):
        ear = catalogue.of_entry(catalogue.read_path(entry[1], entry[2] or ""))
        return ear.name, ear.kind, ear, None
    if is_path(piece):
        return _find_file(SmallFile(piece))
    try:
        ear = catalogue.ear(piece)
    except UnknownNameError:
        if os.path.exists(piece):
            raise UsageError(_unreadable(piece)) from None
        raise
    return ear.name, ear.kind, ear, None


def _unreadable(path: str) -> str:
    from earfilt.files.fir_formats import READERS

    what = (
        "a directory"
        if os.path.isdir(path)
        else "there, but is none of the files that filters are read from"
    )
    kinds = f"a curve is a .csv, a FIR ends in {', '.join(READERS)}"
    return (
        f"{printable(path)} is {what}: {kinds}; save an impulse response of another format as .wav"
    )


def _find_file(file: SmallFile) -> Found:
    """A curve, a FIR or sections; its ending says that it is one of them, its content which."""
    from earfilt.files import curves, firs, sos

    if sos.holds_sections(file):
        return file.name, "sos", None, file
    if firs.holds_fir(file):
        return file.name, "fir", None, file
    freqs, gain_db = curves.read_curve(file)
    ear = Measured.of(file.name, freqs.tolist(), gain_db.tolist())
    return file.name, ear.kind, ear, file
