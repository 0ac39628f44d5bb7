"""From a resolved filter to a few biquads at one sampling rate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from earfilt.ears.curve import to_db
from earfilt.ears.options import choice
from earfilt.errors import UsageError, printable
from earfilt.synthesis.biquads.bands import design_bands
from earfilt.synthesis.biquads.sections import Aim, Sections, default_band, design_sections
from earfilt.synthesis.provenance import Provenance, sources_of
from earfilt.wording import option

if TYPE_CHECKING:
    from earfilt.arrays import Floats
    from earfilt.chains.members import Filter

__all__ = ["FORMS", "Form", "check_one_ear", "design"]

Form = Literal["sections", "peaking"]
FORMS: tuple[Form, ...] = ("sections", "peaking")

_WITHOUT_EFFECT = ("order", "fewest", "latency")
_DEEPEST_DB = -200.0  # a curve that passes nothing somewhere


def design(
    filter: Filter,
    fs: float,
    *,
    sections: int | None = None,
    form: Form = "sections",
    band: tuple[float, float] | None = None,
) -> Sections:
    """Fit biquads to the curve of a filter, or to the response of a FIR.

    Parameters
    ----------
    filter : Filter
        Its ``tolerance``, if one was given, asks for the fewest sections that stay within it.
    fs : float
        Sampling rate in Hz.
    sections : int, optional
        How many.
    form : 'sections' or 'peaking'
        Free biquads, or peaking and shelving bands with rounded numbers.
    band : (float, float), optional
        Hz; default 20 Hz to the lowest of 16 kHz, 0.45·fs and the end of the source's range.

    Raises
    ------
    UsageError
        Options that contradict each other, a phase other than minimum, or an impossible rate.
    """
    check_one_ear(filter, "sections")
    choice("form", form, FORMS)
    given = filter.request.given()
    useless = [name for name in _WITHOUT_EFFECT if name in given]
    if useless:
        raise UsageError(
            f"{option(useless[0])} has no effect on sections: {option('sections')} or "
            f"{option('tolerance')} says how many"
        )
    if given.get("phase", "minimum") != "minimum":
        raise UsageError(
            f"sections have minimum phase; {option('phase', given['phase'])} needs a FIR"
        )
    aim, corners_hz = _aim(filter, fs)
    make = design_bands if form == "peaking" else design_sections
    found = make(
        aim,
        fs,
        sections=sections,
        tolerance_db=given.get("tolerance"),
        band=default_band(fs, _range(filter)) if band is None else band,
        corners_hz=corners_hz,
    )
    return replace(found, provenance=_provenance(filter, found))


def check_one_ear(filter: Filter, what: str) -> None:
    """Refuse a filter of two ears where one is written.

    Raises
    ------
    UsageError
    """
    if filter.rows == 1:
        return
    each = " and ".join(f"-f {printable(side.name)}" for side in filter.sides)
    raise UsageError(
        f"{printable(filter.name)} is for two ears, and {what} are written for one: "
        + (f"write those of each ear, {each}" if each else "a FIR holds both")
    )


def _aim(filter: Filter, fs: float) -> tuple[Aim, Floats]:
    """The curve in dB, and where it has corners."""
    curve = filter.curve_at(fs)
    if curve is None:
        fir = filter.still_at(fs)
        return lambda freqs: _db(np.abs(fir.response(freqs))), np.zeros(0)
    return lambda freqs: _db(curve.aim(freqs)), np.asarray(curve.points_hz)


def _db(magnitude: Floats) -> Floats:
    return np.maximum(to_db(magnitude), _DEEPEST_DB)


def _range(filter: Filter) -> tuple[float, float] | None:
    """What all sources of a chain cover, Hz."""
    ranges = [member.ear.range_hz for member in filter.members if member.ear is not None]
    if not ranges:
        return None
    return max(low for low, _ in ranges), min(high for _, high in ranges)


def _provenance(filter: Filter, found: Sections) -> Provenance:
    ears = [member.ear for member in filter.members if member.ear is not None]
    tables = [table for ear in ears for table in ear.tables]
    options = dict(filter.request.given())
    return Provenance(
        filter="+".join(member.name for member in filter.members),
        **sources_of(member.told for member in filter.members),
        table_sha256={table.id: table.sha256 for table in tables},
        phase="minimum",
        options={name: value for name, value in options.items() if name != "tolerance"},
        range_hz=_range(filter),
        tolerance_db=options.get("tolerance"),
        tolerance_met=found.deviation_db is not None
        and found.deviation_db <= options.get("tolerance", np.inf),
        deviation_db=found.deviation_db,
        deviation_hz=found.deviation_hz,
    )
