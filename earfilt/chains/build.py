"""From a filter's name to its effective FIR: ``'headphone+middle-ear'`` at 48 kHz -> taps.

Which names and options exist stands in ``filterspec``, which ears in ``ears`` and ``curveear``;
here a name becomes its ear, and everything ends as a ``Fir``. torch has no part in it.
"""

import os
import shlex
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earfilt.arrays import Floats
from earfilt.chains.request import FilterSpec, Member, Settings, check, is_path, settings
from earfilt.ears import catalogue, curve
from earfilt.ears.curve import PublishedCurve
from earfilt.ears.ear import Ear
from earfilt.ears.kinds import documented
from earfilt.ears.kinds.measured import curve_ear
from earfilt.errors import UsageError, printable
from earfilt.synthesis.deviation import deviation
from earfilt.synthesis.fir import Fir

if TYPE_CHECKING:
    from earfilt.synthesis.taps import Design

__all__ = ["FilterSpec", "check", "published", "realise"]


def _headphone(ear: catalogue.Ear | Path, fs: float, options: Settings) -> Ear:
    return documented.headphone(fs, options["order"], options["phase"])


def _middle_ear(ear: catalogue.Ear | Path, fs: float, options: Settings) -> Ear:
    assert isinstance(ear, catalogue.Ear)
    return documented.middle_ear(
        fs,
        ear.variant,
        options["order"],
        options["phase"],
        normalize_gain=options["normalize_gain"],
    )


def _outer_middle_ear(ear: catalogue.Ear | Path, fs: float, options: Settings) -> Ear:
    assert isinstance(ear, catalogue.Ear)
    return documented.outer_middle_ear(
        fs,
        order=options["order"],
        phase_type=options["phase"],
        flow=options["flow"],
        fhigh=options["fhigh"],
        convention=options["convention"],
        **ear.parameters,
    )


def _curve(ear: catalogue.Ear | Path, fs: float, options: Settings) -> Ear:
    if isinstance(ear, catalogue.Ear):
        table = catalogue.table(ear.tables[0])
        freqs, gain_db = table.frequencies, table.columns["gain_db"]
    else:
        from earfilt.files import curves

        freqs, gain_db = (tuple(column.tolist()) for column in curves.read_curve(ear))
    axis, beyond = options["interpolation"], options["beyond"]
    return curve_ear(
        fs, freqs, gain_db, options["order"], options["phase"], interpolation=axis, beyond=beyond
    )


_BUILD: Mapping[str, Callable[[catalogue.Ear | Path, float, Settings], Ear]] = {
    "headphone": _headphone,
    "middle-ear": _middle_ear,
    "outer-middle-ear": _outer_middle_ear,
    "curve": _curve,
}
_Stamps = tuple[tuple[int, int], ...]
_lock = threading.Lock()


def realise(spec: FilterSpec, fs: float) -> Fir:
    """The effective FIR of a filter or chain at one sampling rate, in float64; cached.

    Raises
    ------
    UsageError
        As ``check``, and where the filter cannot be made for this rate.
    """
    with _lock:  # one design for each rate, however many workers ask
        return _realise(spec, fs, _file_stamps(spec))


def published(spec: FilterSpec, fs: float) -> PublishedCurve | None:
    """The published points and aimed curve of a filter or chain; None where a member is a FIR,
    which has none.
    """
    return _published(_ears(spec, fs, _file_stamps(spec)))


def _published(made: tuple[Ear | None, ...]) -> PublishedCurve | None:
    found = [ear.published_curve() for ear in made if ear is not None]
    return curve.product(found) if len(found) == len(made) else None


def _file_stamps(spec: FilterSpec) -> _Stamps:
    """What changes when a curve or FIR file is written anew."""
    pieces = [
        piece
        for piece in (spec.name, *spec.name.split("+"))
        if is_path(piece) and os.path.exists(piece)
    ]
    return tuple((status.st_mtime_ns, status.st_size) for status in map(os.stat, pieces))


@lru_cache(maxsize=64)
def _ears(spec: FilterSpec, fs: float, stamps: _Stamps) -> tuple[Ear | None, ...]:
    """The ear of each member; None for a FIR."""
    return tuple(
        None
        if member.kind == "fir"
        else _BUILD[member.kind](member.source, fs, settings(member, spec))
        for member in check(spec)
    )


@lru_cache(maxsize=64)
def _realise(spec: FilterSpec, fs: float, stamps: _Stamps) -> Fir:
    chain, made = check(spec), _ears(spec, fs, stamps)
    parts, designs = _parts(spec, fs, chain, made)
    taps = parts[0].taps
    for part in parts[1:]:
        taps = _convolved(taps, part.taps)
    lookahead, odd_ends = (
        sum(part.lookahead for part in parts),
        any(part.odd_ends for part in parts),
    )
    meta = _meta(spec, chain, designs)
    if len(chain) == 1 and chain[0].kind == "fir":
        meta |= _told(parts[0])
    meta |= _deviation(taps, _published(made))
    return Fir(taps, float(fs), lookahead, odd_ends, meta)


def _convolved(a: Floats, b: Floats) -> Floats:
    """Taps of two filters in series; by FFT where direct products would be slow."""
    if min(len(a), len(b)) <= 1024:
        return np.convolve(a, b)
    n_fft = 1 << (len(a) + len(b) - 2).bit_length()
    return np.fft.irfft(np.fft.rfft(a, n_fft) * np.fft.rfft(b, n_fft), n_fft)[: len(a) + len(b) - 1]


def _parts(
    spec: FilterSpec, fs: float, chain: list[Member], made: tuple[Ear | None, ...]
) -> "tuple[list[Fir], list[Design]]":
    """The FIRs to be convolved: each member by its own rules, or designed for the tolerance of the
    whole chain.
    """
    if spec.tolerance is None:
        return [
            _read(member, spec, fs) if ear is None else _alone(ear)
            for member, ear in zip(chain, made, strict=True)
        ], []
    if None in made:
        raise UsageError(
            "a FIR file has no published curve, so --tolerance has no meaning for "
            f"'{printable(spec.name)}'"
        )
    return _by_tolerance(spec.tolerance, [ear for ear in made if ear is not None])


def _alone(ear: Ear) -> Fir:
    return Fir(ear.taps(), float(ear.fs), ear.lookahead, ear.phase_type == "zero")


def _read(member: Member, spec: FilterSpec, fs: float) -> Fir:
    """The FIR of a file, if it was made for this rate."""
    from earfilt.files import firs  # and all that writes files

    fir = firs.read_fir(member.name, latency=spec.latency)
    if fir.fs is not None and fir.fs != fs:
        raise UsageError(_other_rate(member.name, fir, fs))
    return fir


def _other_rate(name: str, fir: Fir, fs: float) -> str:
    """Refusal of a FIR made for another rate, with the command that makes the right one."""
    path = Path(name)
    out = shlex.quote(f"{path.stem}-{fs:.12g}{path.suffix}")
    remedy = f"earfilt design -f {_made_of(fir)} --fs {fs:.12g} -o {out}"
    return (
        f"{printable(name)} was made for {fir.fs:.12g} Hz, the audio has {fs:.12g} Hz; "
        f"'{printable(remedy)}' makes the right one"
    )


def _made_of(fir: Fir) -> str:
    """The filter and options that a FIR file says it was made of, quoted anew since a file may say
    anything.
    """
    said = fir.meta.get("command") or fir.meta.get("filter")
    try:
        return shlex.join(shlex.split(str(said))) if said else "FILTER"
    except ValueError:
        return "FILTER"


def _by_tolerance(tolerance: float, made: list[Ear]) -> "tuple[list[Fir], list[Design]]":
    """Members that share a phase as one design of their common curve; else each with its share of
    the tolerance.
    """
    from earfilt.synthesis.tolerance import order_for

    phases = list(dict.fromkeys(ear.phase_type for ear in made))
    curves = [
        curve.product([ear.published_curve() for ear in made if ear.phase_type == phase])
        for phase in phases
    ]
    designs = [
        order_for(wanted, tolerance / len(phases), phase=phase)
        for wanted, phase in zip(curves, phases, strict=True)
    ]
    firs = [
        Fir(design.taps, float(made[0].fs), design.order if phase == "zero" else 0, phase == "zero")
        for design, phase in zip(designs, phases, strict=True)
    ]
    return firs, designs


def _meta(spec: FilterSpec, chain: list[Member], designs: "list[Design]") -> dict[str, Any]:
    """JSON-able facts about what was made."""
    options = [settings(member, spec) for member in chain]
    tables = [table for member in chain for table in member.tables]
    meta: dict[str, Any] = {
        "filter": "+".join(member.name for member in chain),
        "command": _command(spec),
        "variant": _joined(
            [
                m.source.variant or None if isinstance(m.source, catalogue.Ear) else None
                for m in chain
            ]
        ),
        "source": [table.facts["source"]["citation"] for table in tables],
        "table_sha256": {table.id: table.sha256 for table in tables},
        "order": _joined([o.get("order") for o in options]),
    }
    for name in (
        "phase",
        "convention",
        "normalize_gain",
        "flow",
        "fhigh",
        "interpolation",
        "beyond",
    ):
        meta[name] = _joined([o.get(name) for o in options])
    if designs:
        meta |= {
            "order": _joined([design.order for design in designs]),
            "tolerance_db": spec.tolerance,
            "deviation_between_db": max(design.between.db for design in designs),
            "tolerance_met": all(design.met for design in designs),
            "missed_points_hz": sorted({f for design in designs for f in design.missed_points_hz}),
        }
    return meta


def _told(fir: Fir) -> dict[str, Any]:
    """What a FIR file says of itself, as far as it is plain words and numbers."""
    told = {name: fir.meta.get(name) for name in ("order", "phase", "convention", "source")}
    return {
        name: value
        for name, value in told.items()
        if isinstance(value, str | int)
        or (
            isinstance(value, list) and value and all(isinstance(part, str | int) for part in value)
        )
    }


def _joined(values: list[Any]) -> Any:
    """One value for the chain: the common one of those that have it, else the list."""
    have = [value for value in values if value is not None]
    if not have:
        return None
    return have[0] if all(value == have[0] for value in have) else have


def _command(spec: FilterSpec) -> str:
    """The filter and its options as typed, for messages and files."""
    words = [shlex.quote(spec.name)]
    for name, value in spec.given().items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", f"{value:g}" if isinstance(value, float) else str(value)]
    return " ".join(words)


def _deviation(taps: Floats, wanted: PublishedCurve | None) -> dict[str, Any]:
    """Largest deviation from the published points, and where."""
    if wanted is None:
        return {"deviation_db": None, "deviation_hz": None}
    largest = deviation(taps, wanted)
    return {"deviation_db": largest.db, "deviation_hz": largest.hz}
