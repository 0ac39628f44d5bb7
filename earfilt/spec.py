"""From a filter's name to its effective FIR: ``'headphone+middle-ear'`` at 48 kHz -> taps.

Which names and options exist stands in ``filterspec``; here each kind of ear becomes its module, and everything ends as a ``Fir``.
"""

import dataclasses
import os
import shlex
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earfilt import catalogue, curve, curvefile, firfile
from earfilt.curve import PublishedCurve
from earfilt.curvefilter import CurveFilter
from earfilt.ear import EarFilter
from earfilt.errors import UsageError, printable
from earfilt.filters import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
from earfilt.filterspec import FilterSpec, Member, Settings, check, is_path, settings
from earfilt.fir import Fir
from earfilt.tolerance import Design, order_for

__all__ = ["FilterSpec", "check", "published", "realise"]


def _headphone(ear: catalogue.Ear | Path, fs: float, options: Settings) -> EarFilter:
    return HeadphoneFilter(fs, options["order"], options["phase"], dtype=torch.float64)


def _middle_ear(ear: catalogue.Ear | Path, fs: float, options: Settings) -> EarFilter:
    assert isinstance(ear, catalogue.Ear)
    return MiddleEarFilter(fs, ear.variant, options["order"], options["phase"], options["normalize_gain"], dtype=torch.float64)


def _outer_middle_ear(ear: catalogue.Ear | Path, fs: float, options: Settings) -> EarFilter:
    assert isinstance(ear, catalogue.Ear)
    return OuterMiddleEarFilter(
        fs,
        flow=options["flow"],
        fhigh=options["fhigh"],
        order=options["order"],
        dtype=torch.float64,
        convention=options["convention"],
        phase_type=options["phase"],
        **ear.parameters,
    )


def _curve(ear: catalogue.Ear | Path, fs: float, options: Settings) -> EarFilter:
    if isinstance(ear, catalogue.Ear):
        table = catalogue.table(ear.tables[0])
        freqs, gain_db = table.frequencies, table.columns["gain_db"]
    else:
        freqs, gain_db = (tuple(column.tolist()) for column in curvefile.read_curve(ear))
    return CurveFilter(
        fs,
        freqs,
        gain_db,
        options["order"],
        options["phase"],
        interpolation=options["interpolation"],
        beyond=options["beyond"],
        dtype=torch.float64,
    )


_BUILD: Mapping[str, Callable[[catalogue.Ear | Path, float, Settings], EarFilter]] = {
    "headphone": _headphone,
    "middle-ear": _middle_ear,
    "outer-middle-ear": _outer_middle_ear,
    "curve": _curve,
}


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


def _file_stamps(spec: FilterSpec) -> tuple[tuple[int, int], ...]:
    """What changes when a curve or FIR file is written anew."""
    pieces = [piece for piece in (spec.name, *spec.name.split("+")) if is_path(piece) and os.path.exists(piece)]
    return tuple((status.st_mtime_ns, status.st_size) for status in map(os.stat, pieces))


@lru_cache(maxsize=64)
def _realise(spec: FilterSpec, fs: float, stamps: tuple[tuple[int, int], ...]) -> Fir:
    chain = check(spec)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # sums then do not depend on the machine's cores, nor the taps' hash
    try:
        return _chain(spec, fs, chain)
    finally:
        torch.set_num_threads(before)


def published(spec: FilterSpec, fs: float) -> PublishedCurve | None:
    """The published points and aimed curve of a filter or chain; None where a member is a FIR, which has none."""
    chain = check(spec)
    if any(member.kind == "fir" for member in chain):
        return None
    return curve.product([_module(member, spec, fs).published_curve() for member in chain])


def _module(member: Member, spec: FilterSpec, fs: float) -> EarFilter:
    return _BUILD[member.kind](member.source, fs, settings(member, spec))


def _chain(spec: FilterSpec, fs: float, chain: list[Member]) -> Fir:
    if spec.tolerance is not None:
        parts, designs = _by_tolerance(spec, fs, chain)
    else:
        parts, designs = [_alone(member, spec, fs) for member in chain], []
    taps = parts[0].taps
    for part in parts[1:]:
        taps = _convolved(taps, part.taps)
    lookahead, odd_ends = sum(part.lookahead for part in parts), any(part.odd_ends for part in parts)
    meta = _meta(spec, fs, chain, designs)
    if len(chain) == 1 and chain[0].kind == "fir":
        meta |= _told(parts[0])
    fir = Fir(taps, float(fs), lookahead, odd_ends, meta)
    return dataclasses.replace(fir, meta={**meta, **_deviation(spec, fir)})


def _convolved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Taps of two filters in series; by FFT where direct products would be slow."""
    if min(len(a), len(b)) <= 1024:
        return np.convolve(a, b)
    n_fft = 1 << (len(a) + len(b) - 2).bit_length()
    return np.fft.irfft(np.fft.rfft(a, n_fft) * np.fft.rfft(b, n_fft), n_fft)[: len(a) + len(b) - 1]


def _alone(member: Member, spec: FilterSpec, fs: float) -> Fir:
    """One member by its own rules."""
    if member.kind == "fir":
        fir = firfile.read_fir(member.source, latency=spec.latency)  # type: ignore[arg-type]
        if fir.fs is not None and fir.fs != fs:
            raise UsageError(_other_rate(member.name, fir, fs))
        return fir
    module = _module(member, spec, fs)
    with torch.no_grad():
        return Fir(module.taps().numpy(), float(fs), module.lookahead, module.phase_type == "zero")


def _other_rate(name: str, fir: Fir, fs: float) -> str:
    """Refusal of a FIR made for another rate, with the command that makes the right one."""
    path = Path(name)
    out = shlex.quote(f"{path.stem}-{fs:.12g}{path.suffix}")
    remedy = f"earfilt design -f {_made_of(fir)} --fs {fs:.12g} -o {out}"
    return f"{printable(name)} was made for {fir.fs:.12g} Hz, the audio has {fs:.12g} Hz; '{printable(remedy)}' makes the right one"


def _made_of(fir: Fir) -> str:
    """The filter and options that a FIR file says it was made of, quoted anew since a file may say anything."""
    said = fir.meta.get("command") or fir.meta.get("filter")
    try:
        return shlex.join(shlex.split(str(said))) if said else "FILTER"
    except ValueError:
        return "FILTER"


def _by_tolerance(spec: FilterSpec, fs: float, chain: list[Member]) -> tuple[list[Fir], list[Design]]:
    """Members that share a phase as one design of their common curve; else each with its share of the tolerance."""
    if any(member.kind == "fir" for member in chain):
        raise UsageError(f"a FIR file has no published curve, so --tolerance has no meaning for '{printable(spec.name)}'")
    modules = [_module(member, spec, fs) for member in chain]
    phases = [module.phase_type for module in modules]
    curves = [module.published_curve() for module in modules]
    groups = [[c for c, p in zip(curves, phases, strict=True) if p == phase] for phase in dict.fromkeys(phases)]
    share = (spec.tolerance or 0.0) / len(groups)
    designs = [order_for(curve.product(group), share, phase=phase) for group, phase in zip(groups, dict.fromkeys(phases), strict=True)]
    firs = [
        Fir(design.taps, float(fs), design.order if phase == "zero" else 0, phase == "zero")
        for design, phase in zip(designs, dict.fromkeys(phases), strict=True)
    ]
    return firs, designs


def _meta(spec: FilterSpec, fs: float, chain: list[Member], designs: list[Design]) -> dict[str, Any]:
    """JSON-able facts about what was made."""
    options = [settings(member, spec) for member in chain]
    tables = [table for member in chain for table in member.tables]
    meta: dict[str, Any] = {
        "filter": "+".join(member.name for member in chain),
        "command": _command(spec),
        "variant": _joined([m.source.variant or None if isinstance(m.source, catalogue.Ear) else None for m in chain]),
        "source": [table.facts["source"]["citation"] for table in tables],
        "table_sha256": {table.id: table.sha256 for table in tables},
        "order": _joined([o.get("order") for o in options]),
    }
    for name in ("phase", "convention", "normalize_gain", "flow", "fhigh", "interpolation", "beyond"):
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
        if isinstance(value, str | int) or (isinstance(value, list) and value and all(isinstance(part, str | int) for part in value))
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


def _deviation(spec: FilterSpec, fir: Fir) -> dict[str, Any]:
    """Largest deviation from the published points, and where."""
    assert fir.fs is not None
    wanted = published(spec, fir.fs)
    if wanted is None:
        return {"deviation_db": None, "deviation_hz": None}
    largest = curve.deviation(fir.taps, wanted)
    return {"deviation_db": largest.db, "deviation_hz": largest.hz}
