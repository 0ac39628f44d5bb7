"""What filter the user asked for, as plain data: picklable, independent of the sampling rate, and
without torch.

The only place that knows which kinds of ears exist and which options each has; nothing above it
knows a filter by name.
"""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from earfilt.ears import catalogue
from earfilt.errors import UnknownNameError, UsageError, printable
from earfilt.storage.reading import SmallFile

Settings = dict[str, Any]
_READERS: Mapping[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
}

MAX_ORDER = 131_072
_DESIGN = {"order": 512, "tolerance": None, "phase": "minimum"}
# The options of each kind of ear beside its name, with their defaults.
OPTIONS: Mapping[str, Settings] = {
    "headphone": _DESIGN,
    "middle-ear": {**_DESIGN, "normalize_gain": True},
    "outer-middle-ear": {
        **_DESIGN,
        "order": 4096,
        "phase": "zero",
        "convention": "published",
        "flow": 20.0,
        "fhigh": 16_000.0,
    },
    "curve": {**_DESIGN, "interpolation": "log", "beyond": "hold"},
    "fir": {"latency": None},
}


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
    contents : tuple of SmallFile
        The curve and FIR files that the name stands for, once they were read (`with_contents`):
        they are not opened again.
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
    contents: tuple[SmallFile, ...] = field(default=(), repr=False)

    def given(self) -> dict[str, Any]:
        """The options that were given, by field name."""
        values = {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if option.name not in ("name", "contents")
        }
        return {name: value for name, value in values.items() if value is not None}

    def with_contents(self) -> "FilterSpec":
        """The filter with the content of its files: what is read here is what is applied, wherever
        and however late.

        Raises
        ------
        UsageError
            As `members`.
        """
        if self.contents or not any(map(is_path, (self.name, *self.name.split("+")))):
            return self
        return replace(
            self,
            contents=tuple(m.source for m in members(self.name) if isinstance(m.source, SmallFile)),
        )


@dataclass(frozen=True)
class Member:
    """One filter of a chain: an ear of the catalogue, or a file (a curve or a FIR)."""

    name: str
    kind: str
    source: catalogue.Ear | SmallFile

    @property
    def tables(self) -> list[catalogue.Table]:
        """The tables it reads."""
        return (
            [catalogue.table(t) for t in self.source.tables]
            if isinstance(self.source, catalogue.Ear)
            else []
        )


def members(name: str, contents: Sequence[SmallFile] = ()) -> list[Member]:
    """The members of a chain ``NAME[:VARIANT]+…``; a piece that is a path with the extension of a
    curve or FIR stands for that file.

    Parameters
    ----------
    contents : sequence of SmallFile
        Its files, where they were read before.

    Raises
    ------
    UnknownNameError
        A name that does not exist.
    UsageError
        A file that cannot be read, or an empty piece.
    """
    read = {file.name: file for file in contents}
    if "+" in name and (name in read if read else os.path.exists(name)):  # a path may contain a '+'
        return [_member(name, read)]
    return [_member(piece, read) for piece in name.split("+")]


def is_path(piece: str) -> bool:
    """Whether a piece of a name is the path of a curve or FIR: its extension says so."""
    suffix = Path(piece).suffix.lower()
    if not suffix:  # a name of the catalogue has no need of file formats, nor --help of numpy
        return False
    from earfilt.files.fir_formats import READERS

    return suffix in READERS


def _member(piece: str, read: Mapping[str, SmallFile]) -> Member:
    if not piece:
        raise UsageError(
            "a chain of filters is written NAME+NAME, with a name on both sides of each '+'"
        )
    if is_path(piece):
        return _from_path(piece, read)
    try:
        ear = catalogue.find(piece)
    except UnknownNameError:
        if os.path.exists(piece):
            raise UsageError(_unreadable(piece)) from None
        raise
    return Member(ear.full_name, ear.kind, ear)


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


def _from_path(name: str, read: Mapping[str, SmallFile]) -> Member:
    from earfilt.files import firs

    file = read.get(name) or SmallFile(name)
    return Member(name, "fir" if firs.holds_fir(file) else "curve", file)


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
    found = members(spec.name, spec.contents)
    for option in spec.given():
        if not any(option in OPTIONS[member.kind] for member in found):
            raise UsageError(
                f"'{printable(spec.name)}' has no option "
                f"--{option.replace('_', '-')}{_owners(option)}"
            )
    return found


def _owners(option: str) -> str:
    names = {"fir": "FIR files", "curve": "a curve"}
    owners = [names.get(kind, kind) for kind, options in OPTIONS.items() if option in options]
    return f"; it belongs to {', '.join(owners)}"


def parse_command(text: str) -> FilterSpec | None:
    """The spec of ``NAME --option value …`` as a FIR file states it; None where it is not one of
    catalogue names at a given order.

    Such a text is not trusted: it may name no files, and nothing that takes long to design.
    """
    try:
        name, *words = shlex.split(text)
        values = _parse_options(words)
        spec = FilterSpec(name, **values)
        chain = check(spec) if not any(map(is_path, name.split("+"))) else []
    except (ValueError, TypeError):
        return None
    return spec if chain and spec.tolerance is None else None


def _parse_options(words: list[str]) -> Settings:
    """Options of a spec by field name; ValueError where one is none."""
    readers = {
        field.name: _READERS[str(field.type).partition(" ")[0]]
        for field in fields(FilterSpec)
        if field.name not in ("name", "contents")
    }
    values: Settings = {}
    while words:
        option = words.pop(0).removeprefix("--").replace("-", "_")
        if option.removeprefix("no_") in readers and readers[option.removeprefix("no_")] is bool:
            values[option.removeprefix("no_")] = not option.startswith("no_")
        elif option in readers and words:
            values[option] = readers[option](words.pop(0))
        else:
            raise ValueError(f"no option of a filter: {option}")
    return values


def settings(member: Member, spec: FilterSpec) -> Settings:
    """The member's options: those given where it has them, else its defaults."""
    own = OPTIONS[member.kind]
    return {**own, **{name: value for name, value in spec.given().items() if name in own}}


def files(name: str) -> list[str]:
    """Paths of the curves and FIRs that a chain names, those that are there."""
    return [
        piece
        for piece in dict.fromkeys((name, *name.split("+")))
        if is_path(piece) and os.path.exists(piece)
    ]
