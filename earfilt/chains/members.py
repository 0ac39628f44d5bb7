"""A filter resolved: its names looked up and its files read, once.

`resolve` turns a request into an immutable `Filter` that holds all content and its hashes. What was
planned with it is what every worker applies, however late and wherever; nothing below it opens a
file again.
"""

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from earfilt.chains.chain import Chain, Member, Options
from earfilt.chains.joins import check_joins
from earfilt.chains.request import FilterOptions, Request, parse_command
from earfilt.chains.ways import INVERSE_PREFIX
from earfilt.ears import catalogue, kinds
from earfilt.ears.ear import Ear
from earfilt.ears.kinds.inverse import Inverse
from earfilt.ears.kinds.measured import Measured
from earfilt.ears.options import DESIGN as DESIGN_OPTIONS
from earfilt.ears.options import FORCE_CHAIN, INVERSE, LARGEST_ORDER, MAX_GAIN, Option, settings
from earfilt.errors import UnknownNameError, UsageError, printable
from earfilt.storage.reading import SmallFile

if TYPE_CHECKING:
    from earfilt.ears.curve import PublishedCurve
    from earfilt.synthesis.fir import Fir

__all__ = ["Filter", "resolve"]

LARGEST_TOLERANCE_DB = 20.0

_SAME = 1e-6  # taps that differ by less, re the largest, may have been stored in 32-bit float

_DESIGN = tuple(option.name for option in DESIGN_OPTIONS)
FIR_OPTIONS = (
    Option(
        "latency",
        None,
        "Tap at time zero of a FIR file that does not say (.npy, foreign files).",
        int,
        (),
        "N",
    ),
)
"""What FIR files take."""


class Filter(Chain):
    """A filter by name, resolved: its FIR and its curve at any sampling rate."""

    def at(self, fs: float) -> "Fir":
        """The effective FIR at one sampling rate, in float64; designed once.

        Raises
        ------
        UsageError
            The filter cannot be made for this rate.
        """
        from earfilt.chains.build import design  # and numpy, which listing names does without

        self.check_rates(fs)
        return design(self, float(fs))

    def curve_at(self, fs: float) -> "PublishedCurve | None":
        """The published points and the curve that the design aims at; None where a member is a FIR,
        which has none.
        """
        from earfilt.chains.build import published

        return published(self, float(fs))

    def check_rates(self, fs: float) -> None:
        """Refuse a rate (Hz) that a FIR file was not made for with a UsageError."""
        for member in self.members:
            fir = member.fir
            if fir is None or fir.fs is None or fir.fs == fs:
                continue
            if member.sections is not None:
                raise UsageError(
                    f"{printable(member.name)} was made for {fir.fs:.12g} Hz, and {fs:.12g} Hz is "
                    "asked for; sections go with one rate: design them for this one"
                )
            raise UsageError(_other_rate(member.name, fir, fs))


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
        if option == MAX_GAIN.name and given.get(INVERSE.name):
            continue
        if not any(option in option_names(member) for member in members):
            raise UsageError(
                f"'{printable(name)}' has no option --{option.replace('_', '-')}{_owners(option)}"
            )
    if not given.get("force_chain"):
        check_joins(members)
    if given.get("inverse"):
        members = (_inverse(name, members, given),)
    return Filter(request, members)


def _inverse(name: str, members: tuple[Member, ...], given: Options) -> Member:
    """The way back of a whole chain."""
    ears = [member.ear for member in members if member.ear is not None]
    if len(ears) < len(members):
        raise UsageError(
            f"'{printable(name)}' holds a FIR file, which has no published curve to invert"
        )
    ear = Inverse.of(ears, [member.identity for member in members])
    return Member(ear.name, ear.kind, ear, None, ear.settings(given))


Found = tuple[str, str, Ear | None, SmallFile | None]
"""Name, kind, ear and file of a member."""


def option_names(member: Member) -> tuple[str, ...]:
    """Names of all options that a member takes, those of every design first."""
    design = () if member.ear is None else _DESIGN
    return (*design, FORCE_CHAIN.name, INVERSE.name, *member.options)


def _settings(found: Found, given: Options) -> Options:
    """The options of a member: those given, else the defaults."""
    ear = found[2]
    if ear is not None:
        return ear.settings(given)
    return settings(FIR_OPTIONS, given)


def _owners(option: str) -> str:
    names = {"fir": "FIR files", "curve": "a curve"}
    owners = [
        *(kind for kind in kinds.NAMES if option in _declared_by(kind)),
        *(["fir"] if any(option == one.name for one in FIR_OPTIONS) else []),
        *(["--inverse and inverse:NAME"] if option == MAX_GAIN.name else []),
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
    if piece.startswith(INVERSE_PREFIX):
        name, _, ear, _ = _find(piece.removeprefix(INVERSE_PREFIX))
        if ear is None:
            raise UsageError(f"{printable(name)} is a FIR, which has no published curve to invert")
        inverse = Inverse.of([ear], [{"ear": ear.name, **ear.entry.stated}])
        return inverse.name, inverse.kind, inverse, None
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


def _other_rate(name: str, fir: "Fir", fs: float) -> str:
    """Refusal of a FIR made for another rate, with the command that makes the right one, where that
    is known for sure.
    """
    refusal = f"{printable(name)} was made for {fir.fs:.12g} Hz, and {fs:.12g} Hz is asked for"
    path = Path(name)
    out = f"{path.stem}-{fs:.12g}{path.suffix}"
    made_of = _made_of(fir)
    if made_of is None or os.path.lexists(out) or not out.isprintable():
        return (
            f"{refusal}; a FIR goes with one rate: use one that was made, or resampled, "
            f"for {fs:.12g} Hz"
        )
    return (
        f"{refusal}; this makes the right one: earfilt design -f {made_of.request.command()} --fs "
        f"{fs:.12g} -o {shlex.quote(out)}"
    )


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
    except UsageError:
        return None
    same = made.numtaps == fir.numtaps and bool(
        np.allclose(made.taps, fir.taps, rtol=0.0, atol=_SAME * np.abs(made.taps).max())
    )
    return filter if same else None
