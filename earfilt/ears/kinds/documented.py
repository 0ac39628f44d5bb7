"""The three published ears: they differ by table, nodes and scale.

Each function checks its arguments and gives a ``Target`` at one sampling rate; the classes say the
same as kinds of the catalogue.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

from earfilt.arrays import Array, Floats, floats, namespace
from earfilt.ears.ear import Ear, Points
from earfilt.ears.ends import with_ends
from earfilt.ears.entry import Entry
from earfilt.ears.interpolation import pchip
from earfilt.ears.options import (
    BEYOND,
    CURVE_PHASE,
    NORMALIZE_GAIN,
    Option,
    checked_fs,
    choice,
    number,
)
from earfilt.ears.table import Table, shipped
from earfilt.ears.target import Target
from earfilt.errors import UsageError

__all__ = ["KINDS", "headphone", "middle_ear", "outer_middle_ear"]

CONVENTIONS = ("amt", "published")
# Smallest linear gain a design sees; the smallest published one (relative to its table's maximum)
# is 0.05, and 2.7e-4 for the extrapolated rows at 192 kHz. Below it logarithms and square roots
# would give gradients without bound.
GAIN_FLOOR = 1e-6
# Below this rate the tables reach beyond fs/2 and are cut there; above it the middle ear's are
# continued to fs/2.
CUT_FS = 20_000.0
REFERENCE_PRESSURE = 20e-6  # Pa, 0 dB SPL
JEPSEN_PEAK = 1e-8 * 10.0 ** (104.0 / 20.0)
_MIDDLE_EAR_COLUMN = {
    "tfOuterMiddle1997": "middle_ear_1997_db",
    "tfOuterMiddle2007": "middle_ear_2007_db",
}
_FIELD_COLUMN = {"free": "free_field_db", "diffuse": "diffuse_field_db"}


# -- headphone -----------------------------------------------------------------------------------


def headphone(fs: float) -> Target:
    """Headphone plus outer ear; the numbers are linear gains (22,).

    Raises
    ------
    UsageError
        fs not positive, or too low to keep two rows.

    References
    ----------
    Pralong & Carlile (1996), J. Acoust. Soc. Am. 100, 3785-3793, Fig. 1(e).
    """
    table = shipped("pralong1996")
    # All rows stay among the numbers; those at or above fs/2 are left out of the design (ruling 2).
    kept = _rows_below_nyquist(table.frequencies, checked_fs(fs))
    return Target(
        fs=fs,
        freqs=floats(table.frequencies),
        numbers=floats(table.columns["gain"]),
        nodes=partial(_headphone_nodes, fs=fs, kept=kept),
        published_hz=table.frequencies[:kept],
        covers_hz=table.frequencies[-1],
        floor=GAIN_FLOOR,
    )


def _headphone_nodes(freqs: Array, gains: Array, /, *, fs: float, kept: int) -> tuple[Array, Array]:
    xp = namespace(gains)
    return _between_ends(
        freqs[:kept],
        xp.clip(gains[:kept], GAIN_FLOOR, None),
        fs,
        at_nyquist=xp.zeros_like(freqs[:1]),
    )


# -- middle ear ----------------------------------------------------------------------------------

_Rows = list[tuple[float, float]]


def middle_ear(fs: float, filter_type: str, *, normalize_gain: bool) -> Target:
    """Middle ear, eardrum pressure to stapes velocity; the numbers are amplitudes (N,) relative to
    the table's maximum.

    Parameters
    ----------
    filter_type : {'lopezpoveda2001', 'jepsen2008', 'goode1994'}
        Stapes peak velocity at 0 dB SPL; inverse stapes impedance; velocity from stapes
        displacement.
    normalize_gain : bool
        The effective response peaks at 0 dB, instead of being in m/s per Pa.

    Raises
    ------
    UsageError
        As for ``headphone``, and for an unknown table.

    References
    ----------
    Lopez-Poveda & Meddis (2001), J. Acoust. Soc. Am. 110, 3107-3118, Fig. 2(b); Jepsen, Ewert & Dau
    (2008), J. Acoust. Soc. Am. 124, 422-438; Goode, Killion, Nakamura & Nishihara (1994), Am. J.
    Otol. 15, 145-154, Fig. 1.
    """
    rows = _STAPES_AMPLITUDES[choice("filter_type", filter_type, tuple(_STAPES_AMPLITUDES))]()
    freqs, amplitude = _continued_to_nyquist(rows, checked_fs(fs))
    reference_gain = max(amplitude for _, amplitude in rows)
    peak = JEPSEN_PEAK if filter_type == "jepsen2008" else None
    return Target(
        fs=fs,
        freqs=floats(freqs),
        numbers=floats(amplitude) / reference_gain,
        # From m/s at 0 dB SPL to m/s per Pa; a table scaled by its peak needs no unit.
        nodes=partial(
            _middle_ear_nodes, unit=reference_gain / REFERENCE_PRESSURE if peak is None else 1.0
        ),
        published_hz=tuple(f for f, _ in rows if f < fs / 2.0),
        covers_hz=rows[-1][0],
        reference_gain=reference_gain,
        peak=peak,
        normalize_gain=normalize_gain,
        floor=GAIN_FLOOR,
    )


def _middle_ear_nodes(freqs: Array, relative: Array, /, *, unit: float) -> tuple[Array, Array]:
    xp = namespace(relative)
    zero = xp.zeros_like(freqs[:1])
    return xp.concat([zero, freqs]), xp.concat([zero, xp.clip(relative, GAIN_FLOOR, None) * unit])


def _lopezpoveda2001() -> _Rows:
    table = shipped("lopezpoveda2001")
    return list(zip(table.frequencies, table.columns["velocity_m_per_s"], strict=True))


def _jepsen2008() -> _Rows:
    table = shipped("jepsen2008")
    return [
        (f, 1.0 / z) for f, z in zip(table.frequencies, table.columns["impedance"], strict=True)
    ]


def _goode1994() -> _Rows:
    """Peak velocity at 0 dB SPL from peak-to-peak displacement at 104 dB SPL, completed by the rows
    extrapolated in 2001.
    """
    table = shipped("goode1994")
    to_velocity = 1e-6 * 2.0 * math.pi * 10.0 ** (-104.0 / 20.0) * math.sqrt(2.0)
    measured = [
        (f, um * f * to_velocity)
        for f, um in zip(table.frequencies, table.columns["displacement_um"], strict=True)
    ]
    low, high = table.frequencies[0], table.frequencies[-1]
    return sorted(measured + [row for row in _lopezpoveda2001() if not low <= row[0] <= high])


_STAPES_AMPLITUDES: dict[str, Callable[[], _Rows]] = {
    "lopezpoveda2001": _lopezpoveda2001,
    "jepsen2008": _jepsen2008,
    "goode1994": _goode1994,
}


def _continued_to_nyquist(rows: _Rows, fs: float) -> tuple[list[float], list[float]]:
    """Rows below fs/2, or continued every 1000 Hz with a gain divided by 1.1 each, and a last one
    at fs/2.
    """
    nyquist = fs / 2.0
    if fs <= CUT_FS:
        rows = rows[: _rows_below_nyquist([f for f, _ in rows], fs)]
    else:
        last_f, last_gain = rows[-1]
        more = range(1, int((nyquist - last_f) // 1000.0) + 1)
        rows = rows + [(last_f + 1000.0 * k, last_gain * 1.1**-k) for k in more]
    last_f, last_gain = rows[-1]
    if last_f < nyquist:
        rows = [*rows, (nyquist, last_gain / (1.0 + (nyquist - last_f) * 0.1 / 1000.0))]
    return [f for f, _ in rows], [gain for _, gain in rows]


# -- outer and middle ear ------------------------------------------------------------------------


def outer_middle_ear(
    fs: float,
    compensation_type: str,
    field_type: str,
    *,
    flow: float,
    fhigh: float,
    convention: str,
) -> Target:
    """Outer ear plus middle ear, as in models of loudness; the numbers are dB on a 1-Hz grid from
    flow to fhigh.

    Parameters
    ----------
    compensation_type : {'tfOuterMiddle1997', 'tfOuterMiddle2007'}
        Middle ear of Moore et al. (1997), data as revised in 2006, or of ANSI S3.4-2007 (ruling
        11).
    field_type : {'free', 'diffuse'}
        Sound field of the outer ear's transfer function.
    flow, fhigh : float
        Hz, 20 ≤ flow < fhigh ≤ 20 000.
    convention : {'amt', 'published'}
        What the audio gets: four times the published dB, or the published dB once (ruling 6).

    Raises
    ------
    UsageError
        As for ``headphone``, and for flow, fhigh out of range or unknown names.

    References
    ----------
    ANSI S3.4-2007; Moore, Glasberg & Baer (1997), J. Audio Eng. Soc. 45, 224-240; Glasberg & Moore
    (2002), J. Audio Eng. Soc. 50, 331-342.
    """
    checked_fs(fs)
    middle = _MIDDLE_EAR_COLUMN[
        choice("compensation_type", compensation_type, tuple(_MIDDLE_EAR_COLUMN))
    ]
    outer = _FIELD_COLUMN[choice("field_type", field_type, tuple(_FIELD_COLUMN))]
    choice("convention", convention, CONVENTIONS)
    flow, fhigh = number("flow", flow), number("fhigh", fhigh)
    if not 20.0 <= flow < fhigh <= 20_000.0:
        raise UsageError(
            f"flow is {flow:.12g} and fhigh is {fhigh:.12g}; the tables allow 20 <= flow < fhigh <= "
            "20000 Hz"
        )
    freqs = flow + floats(range(math.floor(fhigh - flow + 1e-9) + 1))
    kept = int((freqs < fs / 2.0).sum())
    _need_two_rows(kept, fs, flow)
    in_outer = set(shipped("ansi2007_outer_ear").frequencies)
    in_both = (f for f in shipped("moore_middle_ear").frequencies if f in in_outer)
    return Target(
        fs=fs,
        freqs=freqs,
        numbers=_table_pchip(freqs, "ansi2007_outer_ear", outer)
        + _table_pchip(freqs, "moore_middle_ear", middle),
        # dB of the effective response: the two passes of 10^(dB/10) that the 'amt' convention
        # documents are four times the curve.
        nodes=partial(
            _outer_middle_ear_nodes, fs=fs, kept=kept, times=4.0 if convention == "amt" else 1.0
        ),
        published_hz=tuple(f for f in in_both if flow <= f <= fhigh),
    )


def _outer_middle_ear_nodes(
    freqs: Array, decibels: Array, /, *, fs: float, kept: int, times: float
) -> tuple[Array, Array]:
    amplitude = 10.0 ** (decibels[:kept] * (times / 20.0))
    freqs, amplitude = _between_ends(freqs[:kept], amplitude, fs, at_nyquist=amplitude[-1:])
    return freqs, namespace(amplitude).concat([amplitude[1:2], amplitude[1:]])


def _table_pchip(freqs: Floats, table_id: str, column: str) -> Floats:
    table = shipped(table_id)
    return pchip(freqs, floats(table.frequencies), floats(table.columns[column]))


# -- what they share -----------------------------------------------------------------------------


def _rows_below_nyquist(freqs: Sequence[float], fs: float) -> int:
    """How many rows lie below fs/2."""
    kept = sum(f < fs / 2.0 for f in freqs)
    _need_two_rows(kept, fs, freqs[1])
    return kept


def _need_two_rows(kept: int, fs: float, needed: float) -> None:
    if kept < 2:
        raise UsageError(
            f"fs is {fs:g} Hz, which leaves {kept} table rows below fs/2; two are needed, so "
            f"fs must be above {2 * needed:g} Hz"
        )


def _between_ends(
    freqs: Array, gains: Array, fs: float, *, at_nyquist: Array
) -> tuple[Array, Array]:
    """Nodes with one more at 0 Hz, of no gain, and one at fs/2."""
    xp = namespace(freqs)
    zero = xp.zeros_like(freqs[:1])
    return xp.concat([zero, freqs, zero + fs / 2.0]), xp.concat([zero, gains, at_nyquist])


# -- as kinds of the catalogue -------------------------------------------------------------------


class _Documented(Ear):
    """What the three share: their curve is that of their target, linear in amplitude."""

    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        # A rate above all rows; outside them the documented rules depend on the rate, and a source
        # that is asked without one holds its ends.
        xp = namespace(freqs)
        if fs is None:
            fs = 4.0 * self.points.freqs[-1]
            freqs = xp.clip(freqs, *self.range_hz)
        target = self.at(fs, **self.settings({"normalize_gain": False}))
        with xp.errstate(divide="ignore"):
            return 20.0 * xp.log10(target.curve().aim(freqs))

    def at(self, fs: float, **options: Any) -> Target:
        options = self.settings(options)
        return with_ends(self._target(fs, options), self.range_hz, options["beyond"])

    @abstractmethod
    def _target(self, fs: float, options: dict[str, Any]) -> Target:
        """By the documented rules."""


class Headphone(_Documented):
    """Headphone plus outer ear (Pralong & Carlile 1996)."""

    kind = "headphone"
    declared = (CURVE_PHASE, BEYOND)

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        table = entry.table()
        table.require(["frequency_hz", "gain"], [])
        return cls(entry=entry, published=_points(table.frequencies, table.columns["gain"]))

    def _target(self, fs: float, options: dict[str, Any]) -> Target:
        return headphone(fs)


class MiddleEar(_Documented):
    """Middle ear, eardrum pressure to stapes velocity."""

    kind = "middle-ear"
    declared = (CURVE_PHASE, NORMALIZE_GAIN, BEYOND)

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        choice("filter_type", entry.variant, tuple(_STAPES_AMPLITUDES))
        rows = _STAPES_AMPLITUDES[entry.variant]()
        unit = 1.0 / REFERENCE_PRESSURE
        if entry.variant == "jepsen2008":
            unit = JEPSEN_PEAK / max(amplitude for _, amplitude in rows)
        points = _points([f for f, _ in rows], [amplitude * unit for _, amplitude in rows])
        return cls(entry=entry, published=points)

    def _target(self, fs: float, options: dict[str, Any]) -> Target:
        return middle_ear(fs, self.entry.variant, normalize_gain=options["normalize_gain"])


class OuterMiddleEar(_Documented):
    """Outer ear plus middle ear, as in models of loudness."""

    kind = "outer-middle-ear"
    keys = frozenset({"compensation_type", "field_type"})
    declared = (
        CURVE_PHASE.with_default("zero"),
        Option(
            "convention",
            "published",
            "Outer+middle ear: the published dB once (default), or four times, as the AMT does.",
            choices=("published", "amt"),
        ),
        Option("flow", 20.0, "Outer+middle ear: lowest frequency (20).", float, (), "HZ"),
        Option("fhigh", 16_000.0, "Outer+middle ear: highest frequency (16000).", float, (), "HZ"),
        BEYOND,
    )

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        middle, outer = entry.table(0), entry.table(1)
        first = _by_frequency(middle, _MIDDLE_EAR_COLUMN[entry.parameters["compensation_type"]])
        second = _by_frequency(outer, _FIELD_COLUMN[entry.parameters["field_type"]])
        gain_db = {f: db + second[f] for f, db in first.items() if f in second}
        points = Points(freqs=tuple(gain_db), gain_db=tuple(gain_db.values()))
        return cls(entry=entry, published=points)

    def _target(self, fs: float, options: dict[str, Any]) -> Target:
        own = {name: options[name] for name in ("flow", "fhigh", "convention")}
        return outer_middle_ear(fs, **self.entry.parameters, **own)


def _by_frequency(table: Table, column: str) -> dict[float, float]:
    return dict(zip(table.frequencies, table.columns[column], strict=True))


def _points(freqs: Sequence[float], amplitude: Sequence[float]) -> Points:
    return Points(freqs=tuple(freqs), gain_db=tuple(20.0 * math.log10(a) for a in amplitude))


KINDS = (Headphone, MiddleEar, OuterMiddleEar)
