"""A curve of the user's own: a measurement, a correction, an equaliser's points."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from earfilt.arrays import Floats, floats, namespace
from earfilt.ears.ear import Points
from earfilt.ears.entry import Entry
from earfilt.ears.kinds.measured import INTERPOLATION, Measured
from earfilt.ears.levels import Values, gains, parse_octaves, smoothed
from earfilt.ears.options import BEYOND, CURVE_PHASE, Option
from earfilt.ears.target import Target
from earfilt.errors import DataError, UsageError

COLUMN = Option(
    "column",
    None,
    "Which column or channel of a curve's file to take, by name or number.",
    metavar="NAME",
)
DECIMAL = Option(
    "decimal",
    None,
    "Decimal sign of a curve's file, where the file leaves it open.",
    choices=("point", "comma"),
)
ALIGN = Option(
    "align",
    None,
    "Which level of a measurement becomes 0 dB: the one at a frequency, the mean from 100 Hz to "
    "10 kHz, or the peak.",
    metavar="HZ|mean|peak",
)
ABSOLUTE = Option("absolute", None, "Take the levels of a curve's file as gains, unchanged.", bool)
SMOOTH = Option(
    "smooth",
    None,
    "Smooth a curve over 1/N octave (mean of the dB, rectangular window on a logarithmic axis).",
    metavar="1/N",
)
TARGET = Option(
    "target",
    None,
    "Correct a measurement to this curve: the target minus the measurement, up to --max-gain.",
    metavar="FILE",
)


@dataclass(frozen=True, kw_only=True)
class Own(Measured):
    """A curve of the user's own.

    Attributes
    ----------
    dialect : str
        What its file was understood as.
    columns : tuple of str
        Names of the columns that were taken.
    notes : tuple of str
        What was done to its values, in words.
    """

    dialect: str = ""
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    kind = "own"
    keys = frozenset()
    declared = (
        CURVE_PHASE,
        INTERPOLATION,
        BEYOND,
        COLUMN,
        DECIMAL,
        ALIGN,
        ABSOLUTE,
        SMOOTH,
        TARGET,
    )

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        raise DataError(entry.full_name, "a table of the catalogue is of kind 'curve'")

    @classmethod
    def understood(
        cls,
        name: str,
        values: Values,
        given: Mapping[str, Any],
        *,
        target: Values | None = None,
        **said: Any,
    ) -> Self:
        """The ear of a file's values.

        Parameters
        ----------
        name : str
            Path of the file.
        values : Values
        given : mapping
            The options ``align``, ``absolute`` and ``smooth``, where they were given.
        target : Values, optional
            What the values are compared with: the ear is how far they lie above it.
        **said
            ``dialect``, ``columns`` and ``notes``.

        Raises
        ------
        DataError, UsageError
            As ``levels.gains``; or the two curves have fewer than two points in common.
        """
        notes = list(said.pop("notes", ()))
        align, absolute = given.get("align"), bool(given.get("absolute"))
        gain_db, done = gains(values, name, align=align, absolute=absolute)
        notes += done
        freqs = values.freqs
        if (smooth := given.get("smooth")) is not None:
            width = parse_octaves(smooth)
            freqs, gain_db = _positive(freqs, gain_db)
            gain_db = smoothed(freqs, gain_db, width)
            notes.append(f"smoothed over {smooth} octave")
        if target is not None:
            wanted, _ = gains(target, given["target"], align=align, absolute=absolute)
            freqs, gain_db = _above(freqs, gain_db, target.freqs, wanted)
            notes.append(f"seen from the target {given['target']}")
        return cls.of(name, Values(freqs, gain_db), notes=tuple(notes), **said)

    @classmethod
    def of(cls, name: str, values: Values, **said: Any) -> Self:
        """The ear of gains as they are; ``said`` as for ``understood``."""
        entry = Entry(name=name, kind=cls.kind, summary="a curve of your own")
        points = Points(freqs=values.freqs, gain_db=values.db)
        return cls(entry=entry, published=points, **said)

    @property
    def options(self) -> tuple[Option, ...]:
        return self.declared

    def at(self, fs: float, **options: Any) -> Target:
        # A point at 0 Hz has no place on a logarithmic axis, and the curve is held below the next.
        if self.points.freqs[0] == 0.0 and options.get("interpolation") != "linear":
            freqs, gain_db = _positive(self.points.freqs, self.points.gain_db)
            without = type(self)(entry=self.entry, published=Points(freqs=freqs, gain_db=gain_db))
            return without.at(fs, **options)
        return super().at(fs, **options)

    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        if self.points.freqs[0] == 0.0:
            kept, gain_db = _positive(self.points.freqs, self.points.gain_db)
            without = type(self)(entry=self.entry, published=Points(freqs=kept, gain_db=gain_db))
            return without.magnitude(freqs, fs)
        return super().magnitude(freqs, fs)


def _positive(
    freqs: tuple[float, ...], gain_db: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The points above 0 Hz."""
    first = 1 if freqs[0] == 0.0 else 0
    return freqs[first:], gain_db[first:]


def _above(
    freqs: tuple[float, ...],
    gain_db: tuple[float, ...],
    target_hz: tuple[float, ...],
    target_db: tuple[float, ...],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """How far a curve lies above a target, at its own points within the range of both; between its
    points the target is linear in dB over log frequency.
    """
    xp = namespace(floats([]))
    target_hz, target_db = _positive(target_hz, target_db)
    kept = [
        (f, g) for f, g in zip(freqs, gain_db, strict=True) if target_hz[0] <= f <= target_hz[-1]
    ]
    if len(kept) < 2:
        raise UsageError(
            f"the measurement goes from {freqs[0]:g} to {freqs[-1]:g} Hz, and the target from "
            f"{target_hz[0]:g} to {target_hz[-1]:g} Hz: their ranges do not overlap"
        )
    at = floats(f for f, _ in kept)
    wanted = xp.interp(xp.log(at), xp.log(floats(target_hz)), floats(target_db))
    off = floats(g for _, g in kept) - wanted
    return tuple(at.tolist()), tuple(off.tolist())


KINDS = (Own,)
