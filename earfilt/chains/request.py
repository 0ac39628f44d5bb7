"""What filter the user asked for, as plain data: picklable, independent of the sampling rate, and
without torch.

The only place that knows which kinds of ears exist and which options each has; nothing above it
knows a filter by name.
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from earfilt.ears import catalogue, kinds
from earfilt.ears.ear import Ear
from earfilt.errors import UsageError, printable

Settings = dict[str, Any]

MAX_ORDER = 131_072
_FIR_OPTIONS = {"latency": None}


def options_of(kind: str) -> Settings:
    """The options of a kind of filter beside its name, with their defaults."""
    if kind == "fir":
        return dict(_FIR_OPTIONS)
    return {option.name: option.default for option in kinds.kind(kind).declared}


@dataclass(frozen=True)
class FilterSpec:
    """A filter or chain by name, with the options that were given (None: the filter's own default).

    Attributes
    ----------
    name : str
        ``NAME[:VARIANT]``, joined by ``+`` into a chain; a path stands for a curve (``.csv``) or a
        FIR.
    order : int
        Of each member, 2 to 131 072.
    tolerance : float
        dB, of the whole chain: the smallest even order that keeps the effective response that close
        to the published curve.
    phase : {'minimum', 'zero'}
    normalize_gain : bool
        Middle ear: the effective response peaks at 0 dB.
    convention : {'published', 'amt'}
        Outer+middle ear: the published dB once, or four times.
    flow, fhigh : float
        Hz, outer+middle ear.
    latency : int
        Samples, for a FIR file that does not say.
    interpolation : {'log', 'linear'}
        Frequency axis of a curve.
    beyond : {'hold', 'fall'}
        A curve outside its ends.
    """

    name: str
    order: int | None = None
    tolerance: float | None = None
    phase: str | None = None
    normalize_gain: bool | None = None
    convention: str | None = None
    flow: float | None = None
    fhigh: float | None = None
    latency: int | None = None
    interpolation: str | None = None
    beyond: str | None = None

    def given(self) -> dict[str, Any]:
        """The options that were given, by field name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Member:
    """One filter of a chain: an ear of the catalogue, or a path (a curve or a FIR)."""

    name: str
    kind: str
    ear: Ear | None


def members(name: str) -> list[Member]:
    """The members of a chain ``NAME[:VARIANT]+…``; a piece that is a path with the extension of a
    curve or FIR stands for that file.

    Raises
    ------
    UnknownNameError
        A name that does not exist.
    UsageError
        A file that cannot be read, or an empty piece.
    """
    if is_path(name) and os.path.exists(name):  # a path may contain a '+'
        return [_from_path(name)]
    return [_member(piece) for piece in name.split("+")]


def is_path(piece: str) -> bool:
    """Whether a piece of a name is the path of a curve or FIR: its extension says so."""
    suffix = Path(piece).suffix.lower()
    if not suffix:  # a name of the catalogue has no need of file formats, nor --help of numpy
        return False
    from earfilt.files.fir_formats import READERS

    return suffix in READERS


def _member(piece: str) -> Member:
    if not piece:
        raise UsageError(
            "a chain of filters is written NAME+NAME, with a name on both sides of each '+'"
        )
    if is_path(piece):
        return _from_path(piece)
    ear = catalogue.ear(piece)
    return Member(ear.name, ear.kind, ear)


def _from_path(name: str) -> Member:
    from earfilt.ears.kinds.measured import Measured
    from earfilt.files import curves, firs

    if firs.holds_fir(name):
        return Member(name, "fir", None)
    freqs, gain_db = curves.read_curve(name)
    return Member(name, "curve", Measured.of(Path(name), freqs.tolist(), gain_db.tolist()))


def check(spec: FilterSpec) -> list[Member]:
    """Everything that can be refused without a sampling rate; returns the members.

    Raises
    ------
    UsageError
        An unknown name, an option that no member has, contradictory or impossible values.
    """
    if spec.order is not None and spec.tolerance is not None:
        raise UsageError("--order and --tolerance exclude each other: a tolerance finds the order")
    if spec.order is not None and not 2 <= spec.order <= MAX_ORDER:
        raise UsageError(f"order is {spec.order}; it must be 2 to {MAX_ORDER}")
    if spec.tolerance is not None and not 0.0 < spec.tolerance <= 20.0:
        raise UsageError(
            f"tolerance is {spec.tolerance:g} dB; it must be above 0 and at most 20 dB"
        )
    found = members(spec.name)
    for option in spec.given():
        if not any(option in options_of(member.kind) for member in found):
            raise UsageError(
                f"'{printable(spec.name)}' has no option "
                f"--{option.replace('_', '-')}{_owners(option)}"
            )
    return found


def _owners(option: str) -> str:
    names = {"fir": "FIR files", "curve": "a curve"}
    owners = [names.get(kind, kind) for kind in (*kinds.NAMES, "fir") if option in options_of(kind)]
    return f"; it belongs to {', '.join(owners)}"


def settings(member: Member, spec: FilterSpec) -> Settings:
    """The member's options: those given where it has them, else its defaults."""
    if member.ear is not None:
        return member.ear.settings(spec.given())
    return {name: spec.given().get(name, default) for name, default in _FIR_OPTIONS.items()}
