"""From a resolved filter to its effective FIR at one sampling rate.

Everything becomes taps by one road: the curves of the members are multiplied and designed as one
within a tolerance; or, where an order was asked for, each member by the documented frequency
sampling, and their taps are convolved. torch has no part in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from earfilt.arrays import Floats, power_of_two
from earfilt.caches import kept_light
from earfilt.chains import joins
from earfilt.ears import curve
from earfilt.ears.kinds.equaliser import Equaliser
from earfilt.ears.kinds.inverse import Inverse
from earfilt.ears.kinds.own import Own
from earfilt.errors import UsageError, printable
from earfilt.synthesis import passes
from earfilt.synthesis.deviation import deviation, deviation_between
from earfilt.synthesis.fir import Fir, paired, rounded
from earfilt.synthesis.native import native_taps
from earfilt.synthesis.provenance import FileUse, Provenance, joined, of_pair, sources_of
from earfilt.synthesis.resample import KEPT, resampled
from earfilt.wording import option

if TYPE_CHECKING:
    from earfilt.chains.chain import Chain, Member
    from earfilt.ears.curve import PublishedCurve
    from earfilt.ears.target import Target
    from earfilt.synthesis.within.taps import Design

__all__ = ["design", "published"]

_MOST_MISSED = 1000  # points that records name: every row of a report does
_lock = threading.Lock()


class Part(NamedTuple):
    """One of the FIRs that are convolved, and the design that found it by a tolerance, if any."""

    fir: Fir
    design: Design | None = None


def design(chain: Chain, fs: float) -> Fir:
    """The effective FIR of a filter at one sampling rate; kept, by what was asked for.

    Raises
    ------
    UsageError
        The filter cannot be made for this rate.
    """
    with _lock:  # one design for each rate, however many workers ask
        return _design(chain, fs)


def published(chain: Chain, fs: float) -> PublishedCurve | None:
    """The published points and aimed curve of a filter; None where a member is a FIR, or each ear
    has its own.
    """
    return None if chain.sides else _published(_targets(chain, fs))


# What a source says may leave the range of float64 on the way; no warning of that helps anybody.
@kept_light(64)
@np.errstate(all="ignore")
def _targets(chain: Chain, fs: float) -> tuple[Target | None, ...]:
    """The target of each member; None for a FIR."""
    return tuple(
        None if member.ear is None else member.ear.at(fs, **member.options)
        for member in chain.members
    )


def _published(targets: Sequence[Target | None]) -> PublishedCurve | None:
    found = [target.curve() for target in targets if target is not None]
    return curve.product(found) if len(found) == len(targets) else None


@kept_light(64)
def _design(chain: Chain, fs: float) -> Fir:
    if chain.sides:
        left, right = (_design(side, fs) for side in chain.sides)
        told = of_pair(left.provenance, right.provenance)
        told = replace(told, filter=chain.applied, command=chain.request.command())
        return paired(left, right, told)
    targets = _targets(chain, fs)
    parts = _parts(chain, fs, targets)
    taps = parts[0].fir.taps
    for part in parts[1:]:
        taps = _in_series(taps, part.fir.taps)
    lookahead = sum(part.fir.lookahead for part in parts)
    odd_ends = any(part.fir.odd_ends for part in parts)
    wanted = _published(targets)
    if wanted is not None:  # no member was read from a file of taps
        taps = rounded(taps, float(np.ptp(wanted.points_db)))
    told = _provenance(chain, parts, taps, wanted, fs)
    if (moving := _moving(parts)) is not None:
        return replace(moving, provenance=told)
    return Fir(taps, fs, lookahead, odd_ends, told)


def _moving(parts: Sequence[Part]) -> Fir | None:
    """The FIR of a source that moves, if that is one.

    Raises
    ------
    UsageError
        It is chained.
    """
    moving = [part.fir for part in parts if part.fir.moves]
    if moving and len(parts) > 1:
        raise UsageError(
            f"a source that moves ({option('path')}) cannot be part of a chain: apply the other "
            "filters before or after it"
        )
    return moving[0] if moving else None


def _in_series(first: Floats, second: Floats) -> Floats:
    """Taps of two FIRs of any rows, one after the other: ears with their own side, and a matrix with
    what comes before or behind it.
    """
    if first.ndim == second.ndim == 1:
        return _convolved(first, second)
    if 4 not in (len(_rows(first)), len(_rows(second))):
        a, b = (np.broadcast_to(_rows(one), (2, one.shape[-1])) for one in (first, second))
        return np.stack([_convolved(*pair) for pair in zip(a, b, strict=True)])
    a, b = _as_matrix(first), _as_matrix(second)
    return np.stack(
        [
            _convolved(a[source, 0], b[0, ear]) + _convolved(a[source, 1], b[1, ear])
            for source in range(2)
            for ear in range(2)
        ]
    )


def _rows(taps: Floats) -> Floats:
    return np.atleast_2d(taps)


def _as_matrix(taps: Floats) -> Floats:
    """Taps of any rows as (2, 2, numtaps): from a channel to an ear."""
    rows = _rows(taps)
    if len(rows) == 4:
        return rows.reshape(2, 2, -1)
    matrix = np.zeros((2, 2, rows.shape[1]))
    matrix[0, 0], matrix[1, 1] = rows[0], rows[-1]
    return matrix


def _convolved(a: Floats, b: Floats) -> Floats:
    """Taps of two filters in series; by FFT where direct products would be slow."""
    if min(len(a), len(b)) <= 1024:
        return np.convolve(a, b)
    numtaps = len(a) + len(b) - 1
    n_fft = power_of_two(numtaps)
    return np.fft.irfft(np.fft.rfft(a, n_fft) * np.fft.rfft(b, n_fft), n_fft)[:numtaps]


def _parts(chain: Chain, fs: float, targets: Sequence[Target | None]) -> list[Part]:
    """The FIRs to be convolved: each member by the documented design, or all ears together for a
    tolerance.
    """
    asked = chain.design
    pairs = list(zip(chain.members, targets, strict=True))
    given = [_as_given(member, fs) for member in chain.members]
    if (order := asked.get("order")) is not None:
        return [
            Part(_sampled(member, target, order) if fir is None else fir)
            for (member, target), fir in zip(pairs, given, strict=True)
        ]
    ears = [
        (member.options["phase"], target)
        for (member, target), fir in zip(pairs, given, strict=True)
        if target is not None and fir is None
    ]
    firs = [Part(fir) for fir in given if fir is not None]
    return firs + _within(ears, asked["tolerance"], fewest=asked.get("fewest", False))


@np.errstate(all="ignore")
def _as_given(member: Member, fs: float) -> Fir | None:
    """The FIR of a member that needs no design: of a file, or of a model with its own phase."""
    if member.ear is None:
        return _of_side(_read(member, fs), member)
    if member.is_designed:
        return None
    return Fir(native_taps(member.ear.native(fs, **member.options)), fs)


def _sampled(member: Member, target: Target | None, order: int) -> Fir:
    """The documented frequency sampling."""
    assert target is not None
    phase = member.options["phase"]
    taps, lookahead = passes.taps(target, order, phase), passes.lookahead(order, phase)
    return Fir(taps, float(target.fs), lookahead, phase == "zero")


def _within(ears: list[tuple[str, Target]], tolerance: float, *, fewest: bool) -> list[Part]:
    """Ears that share a phase as one design of their common curve; else each with its share of the
    tolerance.
    """
    if fewest:
        from earfilt.synthesis.within.tolerance import order_for as search
    else:
        from earfilt.synthesis.within.exact import design_within as search
    parts = []
    phases = list(dict.fromkeys(phase for phase, _ in ears))
    for phase in phases:
        targets = [target for own, target in ears if own == phase]
        wanted = curve.product([target.curve() for target in targets])
        found = search(wanted, tolerance / len(phases), phase=phase)
        lookahead = found.order if phase == "zero" else 0
        fir = Fir(found.taps, float(targets[0].fs), lookahead, phase == "zero")
        parts.append(Part(fir, found))
    return parts


def _of_side(fir: Fir, member: Member) -> Fir:
    """The FIR of a file as the chain of one ear has it: of a pair the row of that ear.

    Raises
    ------
    UsageError
        A matrix, which is for both ears.
    """
    if not member.ear_side or fir.rows == 1:
        return fir
    if fir.rows == 4:
        raise UsageError(
            f"{printable(member.name)} is a matrix of four rows, for both ears; it cannot stand "
            f"for the {member.ear_side} one alone"
        )
    return fir.row(fir.row_names.index(member.ear_side))


def _read(member: Member, fs: float) -> Fir:
    """The FIR of a file, which was made for this rate or is converted to it."""
    assert member.fir is not None
    return resampled(member.fir, fs) if member.options.get("resample_fir") else member.fir


def _provenance(
    chain: Chain, parts: list[Part], taps: Floats, wanted: PublishedCurve | None, fs: float
) -> Provenance:
    """What is known of the FIR of a chain."""
    members, designs = chain.members, [part.design for part in parts if part.design is not None]
    ears = [member.ear for member in members if member.ear is not None]
    tables = [table for ear in ears for table in ear.tables]
    if len(members) == 1 and members[0].ear is None:
        told = parts[0].fir.provenance
        order, phase, options = told.order, told.phase, told.options
    else:
        sampled = chain.design.get("order") if any(one.is_designed for one in members) else None
        order = joined([found.order for found in designs] or sampled)
        phase = joined([member.options.get("phase") for member in members])
        names = dict.fromkeys(
            name for member in members for name in member.options if name != "phase"
        )
        options = {name: joined([m.options.get(name) for m in members]) for name in names}
    largest = None if wanted is None else deviation(taps, wanted)
    return Provenance(
        filter="+".join(member.name for member in members),
        quantity=joins.quantity(members),
        command=chain.request.command(),
        variant=joined([ear.entry.variant or None for ear in ears]),
        **sources_of(member.told for member in members),
        table_sha256={table.id: table.sha256 for table in tables},
        files=tuple(use for member in members for use in _uses(member, fs)),
        order=order,
        phase=phase,
        options=options,
        **_range(wanted),
        led=bool(designs) and wanted is not None and not wanted.ruled,
        tolerance_db=chain.design["tolerance"] if designs else None,
        tolerance_met=all(found.met for found in designs),
        missed_points_hz=tuple(
            sorted({f for found in designs for f in found.missed_points_hz})[:_MOST_MISSED]
        ),
        deviation_db=None if largest is None else largest.db,
        deviation_hz=None if largest is None else largest.hz,
        deviation_between_db=_between_db(designs, taps, wanted),
        limited_hz=tuple(band for member in members for band in _limited_hz(member, parts[0].fir)),
        cautions=(*_cautions(chain), *_unproved(chain, designs)),
    )


def _range(wanted: PublishedCurve | None) -> dict[str, Any]:
    """What was published, and up to where it is met."""
    if wanted is None:
        return {}
    low, high = float(wanted.points_hz[0]), float(wanted.points_hz[-1])
    if wanted.covers_hz <= high:
        return {"range_hz": (low, high)}
    return {"range_hz": (low, float(wanted.covers_hz)), "held_to_hz": high}


def _between_db(designs: list[Design], taps: Floats, wanted: PublishedCurve | None) -> float | None:
    """Largest deviation from the curve of what was designed for it."""
    if wanted is not None and not all(found.met for found in designs):  # where there is a floor
        return deviation_between(taps, wanted, floored=True).db
    return max((found.between.db for found in designs), default=None)


def _cautions(chain: Chain) -> tuple[str, ...]:
    """What to know of the members, and of how they join."""
    firs = [member.fir for member in chain.members]
    own = [c for fir in firs if fir is not None for c in fir.provenance.cautions]
    met = [] if "inverse" in chain.request.given() else joins.warnings(chain.members)
    return (*own, *met)


def _unproved(chain: Chain, designs: Sequence[Design]) -> Iterator[str]:
    """That fewer taps may do, where the fewest were asked for."""
    for found in designs if chain.design.get("fewest") else ():
        if found.met and found.order > 2 and found.order_below != found.order - 2:
            yield (
                f"order {found.order} meets the tolerance, but that no smaller one does is not "
                "sure: the search ended early, at the limit of its work or of rounding"
            )


def _uses(member: Member, fs: float) -> Iterator[FileUse]:
    """What the files of a member were understood as."""
    if member.file is not None:
        yield _use(member, fs)
    if member.track is not None:
        yield FileUse(name=member.track.name, sha256=member.track.sha256, kind="path")
    if member.target is not None:
        yield FileUse(name=member.target.name, sha256=member.target.sha256, kind="curve")
    for inner in member.inner:
        yield from _uses(inner, fs)


def _limited_hz(member: Member, fir: Fir) -> tuple[tuple[float, float], ...]:
    """Where the limit of an inverse acts."""
    if not isinstance(member.ear, Inverse) or fir.fs is None:
        return ()
    return member.ear.limited_hz(fir.fs, **member.options)


def _conversion(fir: Fir, fs: float) -> tuple[str, ...]:
    """What became of a FIR that was made for another rate, or states none."""
    if fir.fs is None:
        return (f"it states no rate, and is taken as made for {fs:.12g} Hz",)
    if fir.fs == fs:
        return ()
    kept = KEPT * min(fir.fs, fs)
    return (f"converted from {fir.fs:g} Hz: unchanged up to {kept:.0f} Hz, and band-limited above",)


def _use(member: Member, fs: float) -> FileUse:
    """What a curve or FIR file was understood as."""
    assert member.file is not None
    name, sha256 = member.file.name, member.file.sha256
    if member.ear is None:
        fir, sections = member.fir, member.sections
        assert fir is not None
        if member.made is not None:
            (use,) = fir.provenance.files
            return replace(use, notes=(*use.notes, *_conversion(fir, fs)))
        if sections is not None:
            return FileUse(
                name=name,
                sha256=sha256,
                kind="sections",
                adapted=fir.provenance.adapted,
                notes=_conversion(fir, fs),
                numtaps=fir.numtaps,
                sections=len(sections),
            )
        return FileUse(
            name=name,
            sha256=sha256,
            kind="fir",
            notes=_conversion(fir, fs),
            adapted=fir.provenance.adapted,
            rows=fir.rows if fir.rows > 1 else None,
            numtaps=fir.numtaps,
            latency=fir.lookahead,
        )
    if isinstance(member.ear, Equaliser):
        return FileUse(
            name=name,
            sha256=sha256,
            kind="equaliser",
            dialect=member.ear.dialect,
            notes=member.ear.notes,
            bands=len(member.ear.bands),
        )
    assert isinstance(member.ear, Own)
    points = member.ear.measured or member.ear.points
    return FileUse(
        name=name,
        sha256=sha256,
        kind="curve",
        dialect=member.ear.dialect,
        columns=member.ear.columns,
        notes=member.ear.notes,
        points=len(points.freqs),
        hz=(points.freqs[0], points.freqs[-1]),
        gain_db=(min(points.gain_db), max(points.gain_db)),
    )
