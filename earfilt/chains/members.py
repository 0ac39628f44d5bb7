"""A filter resolved: its names looked up and its files read, once.

`resolve` turns a request into an immutable `Filter` that holds all content and its hashes. What was
planned with it is what every worker applies, however late and wherever; nothing below it opens a
file again.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from earfilt.chains.request import FilterOptions, Request
from earfilt.ears import catalogue, kinds
from earfilt.ears.ear import Ear
from earfilt.ears.kinds.equaliser import Equaliser
from earfilt.ears.kinds.own import Own
from earfilt.ears.levels import Values
from earfilt.ears.options import CHAIN as CHAIN_OPTIONS
from earfilt.ears.options import DESIGN as DESIGN_OPTIONS
from earfilt.ears.table import Table
from earfilt.errors import DataError, UnknownNameError, UsageError, printable
from earfilt.storage.reading import SmallFile
from earfilt.version import DESIGN

if TYPE_CHECKING:
    from earfilt.ears.curve import PublishedCurve
    from earfilt.synthesis.fir import Fir

__all__ = ["DEFAULT_TOLERANCE_DB", "Filter", "Member", "resolve"]

DEFAULT_TOLERANCE_DB = 0.1
DEFAULT_MAX_GAIN_DB = 20.0
LARGEST_ORDER = 131_072
LARGEST_TOLERANCE_DB = 20.0
LARGEST_MAX_GAIN_DB = 60.0
CURVE_SUFFIXES = (".frd", ".cal", ".yml", ".yaml", ".tsv")

Options = Mapping[str, Any]
_DESIGN = tuple(option.name for option in DESIGN_OPTIONS)
_FIR: Options = {"latency": None, "resample_fir": None}
_CHAIN = tuple(option.name for option in CHAIN_OPTIONS)


@dataclass(frozen=True, eq=False)
class Member:
    """One filter of a chain: an ear of the catalogue, or a file (a curve or a FIR).

    Parameters
    ----------
    name : str
        ``NAME:VARIANT``, or the path as given.
    kind : str
        Of the ear, or ``fir``.
    ear : Ear, optional
        None of a FIR file.
    file : SmallFile, optional
        The user's file, if it is one.
    options : mapping
        All its options: those given, else the defaults.
    target : SmallFile, optional
        The file of the curve that it is corrected to.
    """

    name: str
    kind: str
    ear: Ear | None
    file: SmallFile | None
    options: Options
    target: SmallFile | None = None

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables it reads."""
        return () if self.ear is None else self.ear.tables

    @cached_property
    def fir(self) -> "Fir | None":
        """What a FIR file holds; None of an ear.

        Raises
        ------
        UsageError
            The file is no FIR, or contradicts ``latency``.
        """
        if self.ear is not None or self.file is None:
            return None
        from earfilt.files.firs import read_fir  # and all that reads files

        return read_fir(self.file, latency=self.options["latency"])

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its taps beside tables and design, JSON-able; a file by its content, since a
        path is a place and no part of what the filter is.
        """
        what: dict[str, Any] = {"sha256": self.file.sha256} if self.file is not None else {}
        if self.ear is not None and self.file is None:
            what = {"ear": self.name, **self.ear.entry.stated}
        settings = {name: value for name, value in self.options.items() if value is not None}
        if self.target is not None:
            settings["target"] = self.target.sha256
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
                member.identity | ({} if member.ear is None else self.design) | self.inverse
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

    @property
    def inverse(self) -> dict[str, Any]:
        """``max_gain`` (dB) where the way back was asked for, else nothing."""
        given = self.request.given()
        if not (given.get("inverse") or "target" in given):
            return {}
        return {"max_gain": given.get("max_gain", DEFAULT_MAX_GAIN_DB)}

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
        every = [file for member in self.members for file in (member.file, member.target)]
        return [file.name for file in every if file is not None]

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
    members = tuple(_member(piece, given) for piece in _pieces(name))
    _check_inverse(members, given)
    for option in given:
        if option not in _CHAIN and not any(option in option_names(m) for m in members):
            raise UsageError(
                f"'{printable(name)}' has no option --{option.replace('_', '-')}{_owners(option)}"
            )
    return Filter(request, members)


def option_names(member: Member) -> tuple[str, ...]:
    """Names of all options that a member takes, those of every design first."""
    return (*(() if member.ear is None else _DESIGN), *member.options)


def _owners(option: str) -> str:
    names = {
        "fir": "FIR files",
        "curve": "a curve",
        "own": "a curve of yours",
        "equaliser": "an equaliser of yours",
    }
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


def _check_inverse(members: Sequence[Member], given: Options) -> None:
    """Refuse a limit without an inverse, an impossible one, and a correction in a chain that does
    not say what becomes of the others.
    """
    inverse = given.get("inverse") or "target" in given
    limit = given.get("max_gain")
    if limit is not None and not inverse:
        raise UsageError("--max-gain limits an inverse; give --inverse or --target too")
    if limit is not None and not 0.0 <= limit <= LARGEST_MAX_GAIN_DB:
        raise UsageError(
            f"--max-gain {limit:g}; it must be 0 to {LARGEST_MAX_GAIN_DB:g} dB"
        )
    if "target" in given and len(members) > 1 and not given.get("inverse"):
        raise UsageError(
            "--target corrects one measurement; in a chain, --inverse says that the rest is "
            "inverted with it"
        )
    if inverse and given.get("phase") == "native":
        raise UsageError("an inverse has no phase of its own; it can have minimum or zero phase")


def _pieces(name: str) -> list[str]:
    """The members' names; a path that is there may hold a ``+``."""
    return [name] if "+" in name and is_path(name) and os.path.exists(name) else name.split("+")


def is_path(piece: str) -> bool:
    """Whether a piece of a name can only be a path: it has a separator, or the extension of a file
    that filters are read from.

    What else is no name of the catalogue may be a file all the same; names go first, so that a file
    in the current directory takes none of them.
    """
    if os.sep in piece or "/" in piece:
        return True
    suffix = Path(piece).suffix.lower()
    if not suffix:  # a name of the catalogue has no need of file formats, nor --help of numpy
        return False
    from earfilt.files.fir_formats import READERS

    return suffix in READERS or suffix in CURVE_SUFFIXES


def _member(piece: str, given: Options) -> Member:
    if not piece:
        raise UsageError(
            "a chain of filters is written NAME+NAME, with a name on both sides of each '+'"
        )
    if entry := re.fullmatch(r"(.+\.toml)(?::(.*))?", piece, re.DOTALL | re.IGNORECASE):
        return _of_ear(catalogue.of_entry(catalogue.read_path(entry[1], entry[2] or "")), given)
    if is_path(piece):
        return _of_file(SmallFile(piece), given)
    try:
        return _of_ear(catalogue.ear(piece), given)
    except UnknownNameError:
        if not os.path.exists(piece):
            raise
    return _of_file(SmallFile(piece), given)


def _of_ear(ear: Ear, given: Options) -> Member:
    return Member(ear.name, ear.kind, ear, None, ear.settings(given))


def _of_file(file: SmallFile, given: Options) -> Member:
    """A curve, an equaliser or a FIR; the content says which."""
    from earfilt.files import curves, firs

    if firs.holds_fir(file):
        options = {name: given.get(name, default) for name, default in _FIR.items()}
        return Member(file.name, "fir", None, file, options)
    found = curves.understand(file, column=given.get("column"), decimal=given.get("decimal"))
    if isinstance(found, curves.FoundEqualiser):
        equaliser = Equaliser.of(file.name, **found._asdict())
        return Member(file.name, equaliser.kind, equaliser, file, equaliser.settings(given))
    path = given.get("target")
    target = None if path is None else SmallFile(path)
    ear = Own.understood(
        file.name,
        found.values,
        given,
        target=None if target is None else _curve(target),
        dialect=found.dialect,
        columns=found.columns,
        notes=found.notes,
    )
    return Member(file.name, ear.kind, ear, file, ear.settings(given), target)


def _curve(file: SmallFile) -> Values:
    """The values of a target."""
    from earfilt.files import curves

    found = curves.understand(file)
    if isinstance(found, curves.FoundEqualiser):
        raise DataError(file.name, "holds bands of an equaliser; a target is a curve")
    return found.values
