"""An ear from any curve: gains in dB at frequencies, the user's own or a table of the catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Self

from earfilt.arrays import Array, Floats, floats, namespace
from earfilt.ears.ear import Ear, Points
from earfilt.ears.ends import dense_grid, fall_db
from earfilt.ears.entry import Entry
from earfilt.ears.interpolation import pchip
from earfilt.ears.options import BEYOND, PHASE, Option, checked_fs, choice, with_defaults
from earfilt.ears.table import FREQUENCY, Table
from earfilt.ears.target import Target
from earfilt.errors import DataError, UsageError

INTERPOLATIONS = ("log", "linear")
# a millionth of what the longest filter resolves at usual rates: closer points are one, or an error
CLOSEST_HZ = 1e-6
BEYOND_RULES = ("hold", "fall")
BANDS = ("sd_db", "tol_lower_db", "tol_upper_db")
_GAIN = {"gain_db": 1.0}


@dataclass(frozen=True, kw_only=True)
class Measured(Ear):
    """A measured curve.

    Attributes
    ----------
    interpolation : {'log', 'linear'}
        Axis of the interpolation between its points.
    beyond : {'hold', 'fall'}
        The documented rule outside its ends.
    """

    interpolation: str = "log"
    beyond: str = "hold"

    kind = "curve"
    keys = frozenset({"gain", "interpolation", "beyond"})
    declared = (
        PHASE,
        Option(
            "interpolation",
            "log",
            "Frequency axis on which a curve is interpolated (log).",
            choices=INTERPOLATIONS,
        ),
        BEYOND,
    )

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        if not entry.tables:
            raise DataError(entry.full_name, "has no table: a CSV of the same name beside its TOML")
        table, terms = entry.table(), entry.parameters.get("gain", _GAIN)
        table.require([FREQUENCY, *terms], BANDS)
        rules = {
            name: choice(name, entry.parameters[name], allowed)
            for name, allowed in (("interpolation", INTERPOLATIONS), ("beyond", BEYOND_RULES))
            if name in entry.parameters
        }
        return cls(entry=entry, points=_points(table, terms), **rules)

    @classmethod
    def of(cls, name: str, freqs: Sequence[float], gain_db: Sequence[float]) -> Self:
        """The ear of a user's own curve: (N,) Hz and dB."""
        entry = Entry(name=name, summary="a curve of your own")
        return cls(entry=entry, points=Points(freqs=tuple(freqs), gain_db=tuple(gain_db)))

    @property
    def options(self) -> tuple[Option, ...]:
        return with_defaults(self.declared, interpolation=self.interpolation, beyond=self.beyond)

    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        return gain_db(
            freqs,
            floats(self.points.freqs),
            floats(self.points.gain_db),
            interpolation=self.interpolation,
            beyond=self.beyond,
        )

    def at(self, fs: float, **options: Any) -> Target:
        options = self.settings(options)
        beyond = self.beyond if options["beyond"] == "documented" else options["beyond"]
        return curve_target(
            fs,
            self.points.freqs,
            self.points.gain_db,
            interpolation=options["interpolation"],
            beyond=beyond,
        )


def _points(table: Table, terms: Mapping[str, float]) -> Points:
    """The gain as a sum of columns, each times its factor."""
    columns = [table.columns[name] for name in terms]
    gain = tuple(
        sum(factor * value for factor, value in zip(terms.values(), row, strict=True))
        for row in zip(*columns, strict=True)
    )
    bands = {name: table.columns[name] for name in BANDS if name in table.columns}
    return Points(freqs=table.frequencies, gain_db=gain, bands=bands)


def curve_target(
    fs: float,
    freqs: Sequence[float],
    gain_db: Sequence[float],
    *,
    interpolation: str,
    beyond: str,
) -> Target:
    """A gain curve through PCHIP, in dB, at one sampling rate; the numbers are its dB (N,).

    Parameters
    ----------
    freqs : (N,) Hz, ascending, N ≥ 2
        At least two below fs/2; positive for the logarithmic axis.
    gain_db : (N,) dB
    interpolation : {'log', 'linear'}
        Frequency axis of the interpolation.
    beyond : {'hold', 'fall'}
        Outside the first and last point: the gain there, or falling by 12 dB an octave.

    Raises
    ------
    UsageError
        fs not positive; unknown names; fewer than two points below fs/2; a point at 0 Hz on a
        logarithmic axis; points closer than 1e-6 Hz.
    """
    checked_fs(fs)
    choice("interpolation", interpolation, INTERPOLATIONS)
    choice("beyond", beyond, BEYOND_RULES)
    if sum(f < fs / 2.0 for f in freqs) < 2:
        raise UsageError(f"fs is {fs:g} Hz, but fewer than two points of the curve lie below fs/2")
    if interpolation == "log" and freqs[0] <= 0.0:
        raise UsageError(
            "the curve has a point at 0 Hz, which has no place on a logarithmic axis; use "
            "linear interpolation"
        )
    _check_gaps(freqs)
    return Target(
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
    x, nodes = (xp.log(inside), xp.log(freqs)) if interpolation == "log" else (inside, freqs)
    decibels = pchip(x, nodes, decibels)
    return decibels - fall_db(at, inside) if beyond == "fall" else decibels


KINDS = (Measured,)
