"""A filter resolved: its names looked up and its files read, once.

`resolve` turns a request into an immutable `Filter` that holds all content and its hashes. What was
planned with it is what every worker applies, however late and wherever; nothing below it opens a
file again.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from earfilt.chains.request import FilterOptions, Request
from earfilt.ears import catalogue
from earfilt.errors import UsageError, printable
from earfilt.storage.reading import SmallFile
from earfilt.version import DESIGN

if TYPE_CHECKING:
    from earfilt.ears.curve import PublishedCurve
    from earfilt.synthesis.fir import Fir

__all__ = ["DEFAULT_TOLERANCE_DB", "Filter", "Member", "resolve"]

DEFAULT_TOLERANCE_DB = 0.1
LARGEST_ORDER = 131_072
LARGEST_TOLERANCE_DB = 20.0

Options = Mapping[str, Any]
_EAR: Options = {"phase": "minimum"}
# The options of each kind of ear, with their defaults, beside those of every design (`_DESIGN`).
KINDS: Mapping[str, Options] = {
    "headphone": _EAR,
    "middle-ear": {**_EAR, "normalize_gain": True},
    "outer-middle-ear": {
        "phase": "zero",
        "convention": "published",
        "flow": 20.0,
        "fhigh": 16_000.0,
    },
    "curve": {**_EAR, "interpolation": "log", "beyond": "hold"},
    "fir": {"latency": None},
}
_DESIGN = ("order", "tolerance", "fewest")


@dataclass(frozen=True, eq=False)
class Member:
    """One filter of a chain: an ear of the catalogue, or a file (a curve or a FIR).

    Parameters
    ----------
    name : str
        ``NAME:VARIANT``, or the path as given.
    kind : str
    source : catalogue.Ear or SmallFile
    options : mapping
        All options of its kind: those given, else the defaults.
    """

    name: str
    kind: str
    source: "catalogue.Ear | SmallFile"
    options: Options

    @property
    def tables(self) -> list[catalogue.Table]:
        """The tables it reads."""
        if isinstance(self.source, SmallFile):
            return []
        return [catalogue.table(name) for name in self.source.tables]

    @cached_property
    def fir(self) -> "Fir | None":
        """What a FIR file holds; None of an ear.

        Raises
        ------
        UsageError
            The file is no FIR, or contradicts ``latency``.
        """
        if self.kind != "fir" or not isinstance(self.source, SmallFile):
            return None
        from earfilt.files.firs import read_fir  # and all that reads files

        return read_fir(self.source, latency=self.options["latency"])

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its taps, JSON-able: hashes of content in place of content."""
        if isinstance(self.source, SmallFile):
            # A path is a place, and no part of what the filter is.
            return {"kind": self.kind, "sha256": self.source.sha256, **self.options}
        tables = {table.id: table.sha256 for table in self.tables}
        return {"kind": self.kind, "name": self.name, "tables": tables, **self.options}


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
        """What was asked for, JSON-able: names, options, hashes of tables and files, version of the
        design. Never digits of taps, which may differ between machines.
        """
        return {"design": DESIGN, "members": [member.identity for member in self.members]} | {
            name: self.request.given().get(name) for name in ("order", "tolerance", "fewest")
        }

    @cached_property
    def sha256(self) -> str:
        """Hash of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

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
    for option in given:
        if not any(option in option_names(kind) for _, kind, _ in found):
            raise UsageError(
                f"'{printable(name)}' has no option --{option.replace('_', '-')}{_owners(option)}"
            )
    return Filter(request, tuple(_member(*one, given) for one in found))


Found = tuple[str, str, catalogue.Ear | SmallFile]
"""Name, kind and source of a member."""


def option_names(kind: str) -> tuple[str, ...]:
    """Names of all options that a kind takes, those of every design first."""
    return (*(() if kind == "fir" else _DESIGN), *KINDS[kind])


def _owners(option: str) -> str:
    names = {"fir": "FIR files", "curve": "a curve"}
    owners = [names.get(kind, kind) for kind in KINDS if option in option_names(kind)]
    return f"; it belongs to {', '.join(owners)}"


def _member(name: str, kind: str, source: catalogue.Ear | SmallFile, given: Options) -> Member:
    own = KINDS[kind]
    return Member(name, kind, source, {**own, **{k: v for k, v in given.items() if k in own}})


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
    return [name] if is_path(name) and os.path.exists(name) else name.split("+")


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
    if is_path(piece):
        from earfilt.files.firs import holds_fir

        file = SmallFile(piece)
        return piece, "fir" if holds_fir(file) else "curve", file
    ear = catalogue.find(piece)
    return ear.full_name, ear.kind, ear
