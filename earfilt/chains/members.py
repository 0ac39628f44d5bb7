"""A filter resolved: its names looked up and its files read, once.

`resolve` turns a request into an immutable `Filter` that holds all content and its hashes. What was
planned with it is what every worker applies, however late and wherever; nothing below it opens a
file again.
"""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from earfilt.chains.chain import Chain, Member, Options
from earfilt.chains.directions import SOFA_OPTIONS, make, refuse_motion
from earfilt.chains.joins import check_joins
from earfilt.chains.request import FilterOptions, Request, checked, parse_command, sides_of
from earfilt.ears import catalogue, kinds
from earfilt.ears.ear import Ear
from earfilt.ears.kinds.equaliser import Equaliser
from earfilt.ears.kinds.inverse import INVERSE_PREFIX, Inverse
from earfilt.ears.kinds.own import TARGET, Own
from earfilt.ears.options import DESIGN as DESIGN_OPTIONS
from earfilt.ears.options import (
    FORCE_CHAIN,
    INVERSE,
    LARGEST_ORDER,
    MAX_GAIN,
    Option,
    checked_fs,
    settings,
    text,
)
from earfilt.errors import (
    DataError,
    EarfiltError,
    UnknownNameError,
    UsageError,
    did_you_mean,
    printable,
)
from earfilt.storage.reading import SmallFile
from earfilt.wording import either, option

if TYPE_CHECKING:
    from earfilt.ears.curve import PublishedCurve
    from earfilt.files.curves import CurveFile
    from earfilt.synthesis.fir import Fir

__all__ = ["Filter", "resolve"]

SMALLEST_TOLERANCE_DB = 1e-8
"""Designs know their aim to a relative 1e-9, and taps are rounded to 2⁻⁴⁰ of the largest."""
LARGEST_TOLERANCE_DB = 20.0
MOST_MEMBERS = 64
CURVE_SUFFIXES = (".frd", ".cal", ".yml", ".yaml", ".tsv")
"""Extensions of curves that are no FIR's; the content of a file decides, and what else there is may
be one as well.
"""

SOFA_SUFFIX = ".sofa"
_EARS = ("left", "right")
_RATES = ("sr", "rate", "samplerate", "samplingrate", "samplefreq", "samplingfrequency", "hz")
_SAME = 1e-6  # taps that differ by less, re the largest, may have been stored in 32-bit float
_OUTSIDE = r"\+(?![^(]*\))"  # of parentheses

_DESIGN = tuple(option.name for option in DESIGN_OPTIONS)
FIR_OPTIONS = (
    Option(
        "latency",
        None,
        "Index of the tap at time zero, for a FIR file that does not state it (.npy, files of "
        "other programs).",
        int,
        (),
        "N",
    ),
    Option("resample_fir", None, "Convert a FIR file that was made for another rate.", bool),
)
"""What FIR files take."""
RESAMPLE = FIR_OPTIONS[1:]
"""What SOFA files take of it."""


class Filter(Chain):
    """A filter by name, resolved: its FIR and its curve at any sampling rate."""

    sides: "tuple[Filter, ...]"

    def at(self, fs: float) -> "Fir":
        """The effective FIR at one sampling rate, in float64; designed once.

        Raises
        ------
        UsageError
            The filter cannot be made for this rate; an order or a tolerance would have no effect.
        """
        from earfilt.chains.build import design  # and numpy, which listing names does without

        fs = float(checked_fs(fs))
        self.check_design()
        self.check_rates(fs)
        return design(self, fs)

    def still_at(self, fs: float) -> "Fir":
        """As `at`, of a filter that stays what it is.

        Raises
        ------
        UsageError
            As `at`; or the source moves, so that one FIR does not say it.
        """
        fir = self.at(fs)
        refuse_motion(fir)
        return fir

    def curve_at(self, fs: float) -> "PublishedCurve | None":
        """The published points and the curve that the design aims at; None where a member is a FIR,
        which has none, or each ear has a curve of its own (those of the ``sides``).
        """
        from earfilt.chains.build import published

        return published(self, float(fs))

    def by_ear(self, fs: float) -> "list[tuple[Filter, Fir]]":
        """What each row of the FIR at one sampling rate is: a filter of one ear, which has the curve
        of its chain, and its FIR, which says which row it is; itself where there is one row.
        """
        fir = self.at(fs)
        if fir.rows == 1:
            return [(self, fir)]
        told = fir.provenance
        found = []
        for index, name in enumerate(fir.row_names):
            side = self.sides[index] if self.sides else self
            own = told.ears[index] if told.ears else told
            row = replace(fir.row(index), provenance=replace(own, filter=f"{side.applied}, {name}"))
            found.append((side, row))
        return found

    def check_design(self) -> None:
        """Refuse an order or a tolerance of the FIR with a UsageError where no member is designed.

        Sections have a tolerance of their own, whatever the phase of the filter.
        """
        given = [name for name in _DESIGN if name in self.request.given()]
        if given and not any(member.is_designed for member in self.members):
            raise UsageError(
                f"{option(given[0])} would have no effect: {printable(self.name)} keeps its own "
                f"phase, so that its taps are its impulse response; {option('phase', 'minimum')} "
                "designs others"
            )

    def check_rates(self, fs: float) -> None:
        """Refuse a rate (Hz) that a FIR file was not made for with a UsageError."""
        for member in self.members:
            fir = member.fir
            if fir is None or fir.fs == fs:
                continue
            if member.options.get("resample_fir"):
                _check_rate_is_known(member.name, fir)
            elif fir.fs is not None:
                raise UsageError(_other_rate(member, fir, fs))


def resolve(name: str | os.PathLike[str], **options: Unpack[FilterOptions]) -> Filter:
    """Look up names, read files, and check everything that needs no sampling rate.

    Parameters
    ----------
    name : str or path
        ``NAME[:VARIANT]``, joined by ``+`` into a chain; a path stands for a curve or a FIR.
        ``L=CHAIN,R=CHAIN``: one for each ear.
    **options
        As in `FilterOptions`.

    Raises
    ------
    UnknownNameError
        A name that does not exist.
    UsageError
        A name or option of another type, an empty piece, a file that cannot be read or is neither a curve nor a FIR, an option that
        no member has, contradictory or impossible values.
    """
    name = text("filter", name)
    wanted: Any = checked(options)
    request = Request(name, **wanted)
    given = request.given()
    _check_design(given)
    names = _sides(name) or (name,)
    parts = [tuple(_member(piece, given) for piece in _pieces(part)) for part in names]
    _check_options(name, given, parts)
    made = [_chained(*one, given) for one in zip(names, parts, strict=True)]
    if len(made) == 1:
        return Filter(request, made[0])
    left, right = (
        Filter(Request(part, **wanted), tuple(replace(one, ear_side=ear) for one in members))
        for part, members, ear in zip(names, made, _EARS, strict=True)
    )
    return Filter(request, (*left.members, *right.members), (left, right))


def _sides(name: str) -> tuple[str, ...]:
    """The chains of the left and the right ear; empty where one chain serves all channels.

    Raises
    ------
    UsageError
        Only one ear is named.
    """
    ways = sides_of(name)
    there = [way for way in ways if all(_is_there(one) for part in way for one in _pieces(part))]
    if (not there and os.path.exists(name)) or not name.startswith(("L=", "R=")):
        return ()
    if not ways:
        ear, other = ("left", "right") if name.startswith("L=") else ("right", "left")
        raise UsageError(
            f"'{printable(name)}' says what the {ear} ear gets, and not what the {other} one does: "
            "a filter for each ear is written L=FILTER,R=FILTER"
        )
    return (there or ways)[0]


def _check_options(name: str, given: Options, parts: Sequence[tuple[Member, ...]]) -> None:
    """Refuse an option that no member has."""
    members = [member for part in parts for member in part]
    inverse = any(_is_undone(part, given) for part in parts)
    for one in given:
        if one == MAX_GAIN.name and inverse:
            continue
        if not any(one in option_names(member) for member in members):
            raise UsageError(f"'{printable(name)}' has no option {option(one)}{_owners(one)}")


def _chained(name: str, members: tuple[Member, ...], given: Options) -> tuple[Member, ...]:
    """The members of one chain, which join; or the way back of all."""
    if not given.get("force_chain"):
        check_joins(members)
    return (_inverse(name, members, given),) if _is_undone(members, given) else members


def _is_undone(members: Sequence[Member], given: Options) -> bool:
    """Whether the way back of a chain is asked for."""
    return bool(given.get(INVERSE.name)) or _is_correction(members, given)


def _inverse(name: str, members: tuple[Member, ...], given: Options) -> Member:
    """The way back of a whole chain."""
    ears = [member.ear for member in members if member.ear is not None]
    if len(ears) < len(members):
        raise UsageError(
            f"'{printable(name)}' holds a FIR file, which has no published curve to invert"
        )
    ear = Inverse.of(ears, [member.identity for member in members])
    return Member(ear.name, ear.kind, ear, None, ear.settings(given), inner=members)


def _is_correction(members: Sequence[Member], given: Options) -> bool:
    """Whether a target was given: a measurement is corrected by the way back of what it has above
    it.

    Raises
    ------
    UsageError
        In a chain, whose other members would have to be inverted with it.
    """
    if TARGET.name not in given:
        return False
    if len(members) > 1 and not given.get(INVERSE.name):
        raise UsageError(
            f"{option('target')} corrects one measurement; in a chain, add "
            f"{option('inverse', True)}, which inverts the other members too"
        )
    return any(member.target is not None for member in members)


def option_names(member: Member) -> tuple[str, ...]:
    """Names of all options that a member takes, those of every design first."""
    design = () if member.ear is None else _DESIGN
    return (*design, FORCE_CHAIN.name, INVERSE.name, *member.options)


def _owners(name: str) -> str:
    names = {
        "fir": "FIR files",
        "sofa": "SOFA files",
        "curve": "a curve",
        "own": "your own curve",
        "equaliser": "your own equaliser",
    }
    owners = [
        *(kind for kind in kinds.NAMES if name in _declared_by(kind)),
        *(["fir"] if any(name == one.name for one in FIR_OPTIONS) else []),
        *(["sofa"] if any(name == one.name for one in (*SOFA_OPTIONS, *RESAMPLE)) else []),
        *([f"{option('inverse')} and inverse:NAME"] if name == MAX_GAIN.name else []),
    ]
    if not owners:
        return ", nor has any other filter" + _meant(name)
    return f"; it belongs to {', '.join(names.get(kind, kind) for kind in owners)}"


def _meant(name: str) -> str:
    """What an option that no filter has may stand for."""
    if name.replace("_", "") in _RATES:
        return ": the sampling rate is fs"
    near = did_you_mean(name, FilterOptions.__annotations__)
    return f"; {near}" if near else ""


def _declared_by(kind: str) -> set[str]:
    return {*_DESIGN, *(option.name for option in kinds.kind(kind).declared)}


def _check_design(given: Options) -> None:
    """Refuse an order or tolerance that contradict each other or no design can have."""
    order, tolerance = given.get("order"), given.get("tolerance")
    if order is not None and tolerance is not None:
        raise UsageError(
            f"{option('order')} and {option('tolerance')} exclude each other: a tolerance finds "
            "the order"
        )
    if order is not None and given.get("fewest"):
        raise UsageError(
            f"fewest has no effect beside {option('order')}: it searches for the order that meets "
            f"{option('tolerance')}"
        )
    if order is not None and not 2 <= order <= LARGEST_ORDER:
        raise UsageError(f"order is {order}; it must be 2 to {LARGEST_ORDER}")
    if tolerance is None or SMALLEST_TOLERANCE_DB <= tolerance <= LARGEST_TOLERANCE_DB:
        return
    why = ", which rounding leaves room for," if 0.0 < tolerance < SMALLEST_TOLERANCE_DB else ""
    raise UsageError(
        f"tolerance is {tolerance:g} dB; it must be {SMALLEST_TOLERANCE_DB:g}{why} to "
        f"{LARGEST_TOLERANCE_DB:g} dB"
    )


def _pieces(name: str) -> list[str]:
    """The members' names; the path of a file that is there may hold a ``+``, and the way back of a
    chain, ``inverse:(NAME+NAME)``, is one member.
    """
    apart = _OUTSIDE if INVERSE_PREFIX + "(" in name else r"\+"
    pieces = re.split(apart, name)
    whole = len(pieces) > 1 and os.path.exists(name)
    if whole and (is_path(name) or not all(map(_is_there, pieces))):
        return [name]
    if len(pieces) > MOST_MEMBERS:
        raise UsageError(
            f"a chain of {len(pieces)} filters; {MOST_MEMBERS} are possible: design a part of them "
            "first, and chain its FIR"
        )
    return pieces


def _is_there(piece: str) -> bool:
    """Whether a piece is a name of the catalogue, or a file."""
    try:
        catalogue.find(piece)
    except UnknownNameError:
        return os.path.exists(piece)
    except DataError:  # a damaged entry is one all the same
        return True
    return True


def is_chain_of_names(name: str) -> bool:
    """Whether a text is a name of the catalogue, or several joined by ``+``."""
    try:
        for piece in name.split("+"):
            catalogue.find(piece)
    except EarfiltError:
        return False
    return True


def is_path(piece: str) -> bool:
    """Whether a piece of a name can only be a path: it has a separator, or the extension of a file
    that filters are read from.

    What else is not a name of the catalogue may still be a file; names go first, so that a file
    in the current directory takes none of them.
    """
    if os.sep in piece or "/" in piece:
        return True
    suffix = Path(piece).suffix.lower()
    if not suffix:  # a name of the catalogue has no need of file formats, nor --help of numpy
        return False
    from earfilt.files.fir_formats import READERS

    return suffix in READERS or suffix in CURVE_SUFFIXES or suffix == SOFA_SUFFIX


def _member(piece: str, given: Options) -> Member:
    if not piece:
        raise UsageError(
            "a chain of filters is written NAME+NAME, with a name on both sides of each '+'"
        )
    if piece.startswith(INVERSE_PREFIX):
        undone = piece.removeprefix(INVERSE_PREFIX)
        names = _pieces(undone[1:-1]) if re.fullmatch(r"\(.*\)", undone) else [undone]
        return _inverse(piece, tuple(_member(name, given) for name in names), given)
    if entry := re.fullmatch(r"(.+\.toml)(?::(.*))?", piece, re.DOTALL | re.IGNORECASE):
        return _of_ear(catalogue.of_entry(catalogue.read_path(entry[1], entry[2] or "")), given)
    if is_path(piece):
        return _of_path(piece, given)
    try:
        return _of_ear(catalogue.ear(piece), given)
    except UnknownNameError:
        if not os.path.exists(piece):
            raise
    return _of_path(piece, given)


def _of_ear(ear: Ear, given: Options) -> Member:
    return Member(ear.name, ear.kind, ear, None, ear.settings(given))


def _of_path(path: str, given: Options) -> Member:
    """A set of directions, or a smaller file."""
    from earfilt.files.sofa.reader import holds_sofa

    if holds_sofa(path):
        made = make(path, given, RESAMPLE)
        return Member(path, "sofa", None, made.file, made.options, made=made.fir, track=made.track)
    return _of_file(SmallFile(path), given)


def _of_file(file: SmallFile, given: Options) -> Member:
    """A curve, an equaliser, a FIR or sections; the content says which."""
    from earfilt.files import curves, firs, sos

    if sos.holds_sections(file):
        return Member(file.name, "sos", None, file, settings(FIR_OPTIONS, given))
    if firs.holds_fir(file):
        return Member(file.name, "fir", None, file, settings(FIR_OPTIONS, given))
    found = curves.understand(file, column=given.get("column"), decimal=given.get("decimal"))
    if isinstance(found, curves.FoundEqualiser):
        equaliser = Equaliser.of(file.name, **found._asdict())
        return Member(file.name, equaliser.kind, equaliser, file, equaliser.settings(given))
    path = given.get("target")
    target = None if path is None else SmallFile(path)
    wanted = None if target is None else _read_target(target)
    ear = Own.understood(
        file.name,
        found.values,
        given,
        target=None if wanted is None else wanted.values,
        dialect=found.dialect,
        columns=found.columns,
        notes=(*found.notes, *_of_results(wanted)),
    )
    return Member(file.name, ear.kind, ear, file, ear.settings(given), target)


def _read_target(file: SmallFile) -> "CurveFile":
    """The curve in the file of a target. --column and --decimal are for the measurement."""
    from earfilt.files import curves

    return curves.read_points(file, remedies=curves.NO_REMEDIES, result="target")


def _of_results(target: "CurveFile | None") -> tuple[str, ...]:
    """Which column of AutoEq's results a target was taken from."""
    from earfilt.files.dialects.table import AUTOEQ

    if target is None or target.dialect != AUTOEQ:
        return ()
    return (f"the target is the column '{printable(target.columns[-1])}'",)


def _check_rate_is_known(name: str, fir: "Fir") -> None:
    if fir.fs is None:
        raise UsageError(
            f"{printable(name)} does not say which rate it was made for, and cannot be converted"
        )


def _other_rate(member: Member, fir: "Fir", fs: float) -> str:
    """Refusal of a FIR or of sections made for another rate, with the command that makes the right
    one, where that is known for sure.
    """
    name = member.name
    refusal = f"{printable(name)} was made for {fir.fs:.12g} Hz, and {fs:.12g} Hz is asked for"
    if member.sections is not None:
        return f"{refusal}; sections belong to one rate: design them for this one"
    path = Path(name)
    out = f"{path.stem}-{fs:.12g}{path.suffix}"
    made_of = _made_of(fir)
    if made_of is None or os.path.lexists(out) or not out.isprintable():
        return (
            f"{refusal}; a FIR belongs to one rate: use one that was made for {fs:.12g} Hz, or "
            f"{option('resample_fir', True)}, which converts it"
        )
    request, rate = made_of.request, f"{fs:.12g}"
    remedy = either(
        f"earfilt design -f {request.command()} --fs {rate} -o {shlex.quote(out)}",
        f"earfilt.design({request.arguments()}, fs={rate}).save({out!r})",
    )
    return f"{refusal}; this makes the right one: {remedy}"


def _made_of(fir: "Fir") -> Filter | None:
    """The filter that a FIR file says it was made of, if that filter has these very taps: a file
    may say anything.
    """
    import numpy as np

    from earfilt.chains.build import design

    said = parse_command(fir.provenance.command or "")
    if said is None or fir.fs is None:
        return None
    try:
        filter = resolve(said.name, **said.given())
        made = design(filter, fir.fs)
    except EarfiltError:
        return None
    same = made.taps.shape == fir.taps.shape and bool(
        np.allclose(made.taps, fir.taps, rtol=0.0, atol=_SAME * np.abs(made.taps).max())
    )
    return filter if same else None
