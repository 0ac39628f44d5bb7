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
from earfilt.ears.interpolation import check_spline, curve_db
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

    @property
    def through(self) -> Points:
        """The points that its curve runs through: those that were published."""
        return self.points

    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        return gain_db(
            freqs,
            floats(self.through.freqs),
            floats(self.through.gain_db),
            interpolation=self.interpolation,
            beyond=self.beyond,
            from_zero=self.through.freqs[0] == 0.0,
        )

    def at(self, fs: float, **options: Any) -> Target:
        options = self.settings(options)
        beyond = self.beyond if options["beyond"] == "documented" else options["beyond"]
        target = curve_target(
            fs,
            self.through.freqs,
            self.through.gain_db,
            interpolation=options.get("interpolation", self.interpolation),
            beyond=beyond,
            published_hz=self.points.freqs,
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
    published_hz: Sequence[float] | None = None,
) -> Target:
    """A gain curve through its points, in dB, at one sampling rate; the numbers are its dB (N,).

    Parameters
    ----------
    freqs : (N,) Hz, ascending, N ≥ 2
        At least two below fs/2.
    gain_db : (N,) dB
    interpolation : {'log', 'linear', 'spline'}
        As of ``Measured``.
    beyond : {'hold', 'fall'}
        Outside the first and last point: the gain there, or falling by 12 dB an octave.
    published_hz : sequence of float, optional
        Those of the points that a design is held to; default all.

    Raises
    ------
    UsageError
        fs not positive; unknown names; fewer than two points below fs/2; points closer than
        1e-6 Hz; a spline through fewer than 4 or more than 4096.
    """
    checked_fs(fs)
    choice("interpolation", interpolation, INTERPOLATIONS)
    choice("beyond", beyond, BEYOND_RULES)
    published_hz = freqs if published_hz is None else published_hz
    if sum(f < fs / 2.0 for f in published_hz) < 2:
        raise UsageError(f"fs is {fs:g} Hz, but fewer than two points of the curve lie below fs/2")
    from_zero = freqs[0] == 0.0
    if interpolation == "spline":
        check_spline(len(freqs) - from_zero)
    _check_gaps(freqs)
    return Target(
        ruled=True,
        fs=fs,
        freqs=floats(freqs),
        numbers=floats(gain_db),
        nodes=partial(
            _nodes, fs=fs, interpolation=interpolation, beyond=beyond, from_zero=from_zero
        ),
        published_hz=tuple(map(float, published_hz)),
    )


def _check_gaps(freqs: Sequence[float]) -> None:
    close = next(((a, b) for a, b in pairwise(freqs) if b - a < CLOSEST_HZ), None)
    if close is not None:
        raise UsageError(
            f"the curve's points at {close[0]!r} and {close[1]!r} Hz are closer than "
            f"{CLOSEST_HZ:g} Hz; keep one of them"
        )


def _nodes(
    freqs: Array,
    decibels: Array,
    /,
    *,
    fs: float,
    interpolation: str,
    beyond: str,
    from_zero: bool,
) -> tuple[Array, Array]:
    grid = dense_grid(freqs, fs / 2.0)
    decibels = gain_db(
        grid, freqs, decibels, interpolation=interpolation, beyond=beyond, from_zero=from_zero
    )
    return grid, 10.0 ** (decibels / 20.0)


def gain_db(
    at: Array,
    freqs: Array,
    decibels: Array,
    *,
    interpolation: str,
    beyond: str,
    from_zero: bool = False,
) -> Array:
    """A curve through its points, dB: (N,) points, (M,) frequencies in Hz -> (M,)."""
    inside = namespace(freqs).clip(at, freqs[0], freqs[-1])
    decibels = curve_db(inside, freqs, decibels, interpolation=interpolation, from_zero=from_zero)
    return decibels - fall_db(at, inside) if beyond == "fall" else decibels


KINDS = (Measured,)
