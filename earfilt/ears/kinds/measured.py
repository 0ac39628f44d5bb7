"""An ear from any curve: gains in dB at frequencies, the user's own or a table of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

from earfilt.arrays import Array, Floats, floats, namespace
from earfilt.ears.ear import Ear, Points
from earfilt.ears.ends import dense_grid, fall_db
from earfilt.ears.interpolation import pchip, spline
from earfilt.ears.options import (
    BEYOND,
    CURVE_PHASE,
    NORMALIZE_GAIN,
    Option,
    checked_fs,
    choice,
    with_defaults,
)
from earfilt.ears.table import FREQUENCY, Table
from earfilt.ears.target import Target
from earfilt.errors import DataError, UsageError

if TYPE_CHECKING:
    from earfilt.ears.entry import Entry

INTERPOLATIONS = ("log", "linear", "spline")
INTERPOLATION = Option(
    "interpolation",
    "log",
    "How a curve runs between its points, in dB: PCHIP on a logarithmic frequency axis "
    "(default for your own curves) or on a linear one, or a cubic spline on the "
    "logarithmic one.",
    choices=INTERPOLATIONS,
)
# a millionth of what the longest filter resolves at usual rates: closer points are one, or an error
CLOSEST_HZ = 1e-6
# not-a-knot ends take four points; the equations take memory by the square of their number
SPLINE_POINTS = (4, 4096)
BEYOND_RULES = ("hold", "fall")
NORMALIZED = ("1 kHz", "peak")
BANDS = ("sd_db", "tol_lower_db", "tol_upper_db")
# Columns that a table may have beside frequency and gain: other names of its axis.
AXES = ("bark", "band_index")
_GAIN = {"gain_db": 1.0}


@dataclass(frozen=True, kw_only=True)
class Measured(Ear):
    """A measured curve.

    Attributes
    ----------
    interpolation : {'log', 'linear', 'spline'}
        Between its points: PCHIP over the logarithm of the frequency or over the frequency, or a
        cubic spline over the logarithm.
    beyond : {'hold', 'fall'}
        The documented rule outside its ends.
    """

    interpolation: str = "log"
    beyond: str = "hold"

    kind = "curve"
    keys = frozenset({"gain", "interpolation", "beyond", "normalize"})
    declared: ClassVar[tuple[Option, ...]] = (
        CURVE_PHASE,
        NORMALIZE_GAIN,
        INTERPOLATION,
        BEYOND,
    )

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        if not entry.tables:
            raise DataError(entry.full_name, "has no table: a CSV of the same name beside its TOML")
        table, terms = entry.table(), entry.parameters.get("gain", _GAIN)
        table.require([FREQUENCY, *terms], [*BANDS, *AXES])
        published = _inside(_points(table, terms), entry.range_hz)
        return cls(entry=entry, published=published, **_rules(entry))

    @property
    def options(self) -> tuple[Option, ...]:
        options = with_defaults(self.declared, interpolation=self.interpolation, beyond=self.beyond)
        normalizes = "normalize" in self.entry.parameters
        return tuple(option for option in options if option != NORMALIZE_GAIN or normalizes)

    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        points = floats(self.points.freqs), floats(self.points.gain_db)
        return gain_db(freqs, *points, interpolation=self.interpolation, beyond=self.beyond)

    def at(self, fs: float, **options: Any) -> Target:
        options = self.settings(options)
        beyond = self.beyond if options["beyond"] == "documented" else options["beyond"]
        target = curve_target(
            fs,
            self.points.freqs,
            self.points.gain_db,
            interpolation=options.get("interpolation", self.interpolation),
            beyond=beyond,
        )
        if not options.get("normalize_gain"):
            return target
        return replace(target, numbers=target.numbers - reference_db(self))


def _rules(entry: Entry) -> dict[str, Any]:
    """Interpolation and rule beyond the ends, as far as the entry states them."""
    allowed = {"interpolation": INTERPOLATIONS, "beyond": BEYOND_RULES, "normalize": NORMALIZED}
    stated = {
        name: choice(name, entry.parameters[name], words)
        for name, words in allowed.items()
        if name in entry.parameters
    }
    stated.pop("normalize", None)
    return stated


def reference_db(ear: Ear) -> float:
    """What normalisation takes off: the level at the peak or at 1 kHz, dB."""
    if ear.entry.parameters["normalize"] == "1 kHz":
        return float(ear.magnitude(floats([1000.0]))[0])
    return max(ear.points.gain_db)


def _points(table: Table, terms: Mapping[str, float]) -> Points:
    """The gain as a sum of columns, each times its factor."""
    columns = [table.columns[name] for name in terms]
    gain = tuple(
        sum(factor * value for factor, value in zip(terms.values(), row, strict=True))
        for row in zip(*columns, strict=True)
    )
    bands = {name: table.columns[name] for name in BANDS if name in table.columns}
    return Points(freqs=table.frequencies, gain_db=gain, bands=bands)


def _inside(points: Points, range_hz: tuple[float, float] | None) -> Points:
    """The points within what the source covers; rows outside it stay in the table, unused."""
    if range_hz is None:
        return points
    kept = [i for i, f in enumerate(points.freqs) if range_hz[0] <= f <= range_hz[1]]

    def of(values: Sequence[float]) -> tuple[float, ...]:
        return tuple(values[i] for i in kept)

    bands = {name: of(values) for name, values in points.bands.items()}
    return Points(freqs=of(points.freqs), gain_db=of(points.gain_db), bands=bands)


def curve_target(
    fs: float,
    freqs: Sequence[float],
    gain_db: Sequence[float],
    *,
    interpolation: str,
    beyond: str,
) -> Target:
    """A gain curve through its points, in dB, at one sampling rate; the numbers are its dB (N,).

    Parameters
    ----------
    freqs : (N,) Hz, ascending, N ≥ 2
        At least two below fs/2; positive for the logarithmic axis.
    gain_db : (N,) dB
    interpolation : {'log', 'linear', 'spline'}
        As of ``Measured``.
    beyond : {'hold', 'fall'}
        Outside the first and last point: the gain there, or falling by 12 dB an octave.

    Raises
    ------
    UsageError
        fs not positive; unknown names; fewer than two points below fs/2; a point at 0 Hz on a
        logarithmic axis; points closer than 1e-6 Hz; a spline through fewer than 4
        or more than 4096.
    """
    checked_fs(fs)
    choice("interpolation", interpolation, INTERPOLATIONS)
    choice("beyond", beyond, BEYOND_RULES)
    if sum(f < fs / 2.0 for f in freqs) < 2:
        raise UsageError(f"fs is {fs:g} Hz, but fewer than two points of the curve lie below fs/2")
    if interpolation != "linear" and freqs[0] <= 0.0:
        raise UsageError(
            "the curve has a point at 0 Hz, which has no place on a logarithmic axis; use "
            "linear interpolation"
        )
    if interpolation == "spline" and not SPLINE_POINTS[0] <= len(freqs) <= SPLINE_POINTS[1]:
        raise UsageError(
            f"the curve has {len(freqs)} points, and a spline takes {SPLINE_POINTS[0]} to "
            f"{SPLINE_POINTS[1]}; use another interpolation"
        )
    _check_gaps(freqs)
    return Target(
        ruled=True,
        fs=fs,
        freqs=floats(freqs),
        numbers=floats(gain_db),
        nodes=partial(_nodes, fs=fs, interpolation=interpolation, beyond=beyond),
        published_hz=tuple(map(float, freqs)),
    )


def _check_gaps(freqs: Sequence[float]) -> None:
    close = next(((a, b) for a, b in pairwise(freqs) if b - a < CLOSEST_HZ), None)
    if close is not None:
        raise UsageError(
            f"the curve's points at {close[0]!r} and {close[1]!r} Hz are closer than "
            f"{CLOSEST_HZ:g} Hz; keep one of them"
        )


def _nodes(
    freqs: Array, decibels: Array, /, *, fs: float, interpolation: str, beyond: str
) -> tuple[Array, Array]:
    grid = dense_grid(freqs, fs / 2.0)
    decibels = gain_db(grid, freqs, decibels, interpolation=interpolation, beyond=beyond)
    return grid, 10.0 ** (decibels / 20.0)


def gain_db(at: Array, freqs: Array, decibels: Array, *, interpolation: str, beyond: str) -> Array:
    """A curve through its points, dB: (N,) points, (M,) frequencies in Hz -> (M,)."""
    xp = namespace(freqs)
    inside = xp.clip(at, freqs[0], freqs[-1])
    if interpolation == "linear":
        decibels = pchip(inside, freqs, decibels)
    else:
        through = spline if interpolation == "spline" else pchip
        decibels = through(xp.log(inside), xp.log(freqs), decibels)
    return decibels - fall_db(at, inside) if beyond == "fall" else decibels


KINDS = (Measured,)
