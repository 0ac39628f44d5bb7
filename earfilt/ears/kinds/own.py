"""A curve of the user's own: a measurement, a correction, an equaliser's points."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from earfilt.arrays import floats
from earfilt.ears.ear import Points
from earfilt.ears.entry import Entry
from earfilt.ears.kinds.measured import CLOSEST_HZ, INTERPOLATION, Measured
from earfilt.ears.levels import Values, db_at, gains, parse_octaves, smoothed, with_between
from earfilt.ears.options import BEYOND, CURVE_PHASE, Option
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
    measured : Points, optional
        What its file holds, as gains, where it is compared with a target: the ear is then how far
        these lie above the target, at the points of both.
    between : Points, optional
        The same difference, more densely: what the curve runs through.
    """

    dialect: str = ""
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    measured: Points | None = None
    between: Points | None = None

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
            The options ``align``, ``absolute``, ``smooth`` and ``interpolation``, where they were
            given.
        target : Values, optional
            What the values are compared with: the ear is how far they lie above it.
        **said
            ``dialect``, ``columns`` and ``notes``.

        Raises
        ------
        DataError, UsageError
            As ``levels.gains``; or the ranges of the two curves do not overlap.
        """
        notes = list(said.pop("notes", ()))
        interpolation = given.get("interpolation") or INTERPOLATION.default
        levels: dict[str, Any] = {
            "align": given.get("align"),
            "absolute": bool(given.get("absolute")),
            "interpolation": interpolation,
        }
        gain_db, done = gains(values, name, **levels)
        notes += done
        if (smooth := given.get("smooth")) is not None:
            gain_db = smoothed(values.freqs, gain_db, parse_octaves(smooth))
            notes.append(f"smoothed over {smooth} octave")
        own = Values(values.freqs, gain_db)
        if target is None:
            return cls.of(name, own, notes=tuple(notes), **said)
        wanted, _ = gains(target, given["target"], **levels)
        notes.append(f"seen from the target {given['target']}")
        above, between = _above(own, Values(target.freqs, wanted), interpolation)
        return cls.of(
            name,
            Values(above.freqs, above.gain_db),
            notes=tuple(notes),
            measured=Points(freqs=own.freqs, gain_db=own.db),
            between=between,
            **said,
        )

    @classmethod
    def of(cls, name: str, values: Values, **said: Any) -> Self:
        """The ear of gains as they are; ``said`` as for ``understood``."""
        entry = Entry(name=name, kind=cls.kind, summary="a curve of your own")
        points = Points(freqs=values.freqs, gain_db=values.db)
        return cls(entry=entry, published=points, **said)

    @property
    def options(self) -> tuple[Option, ...]:
        return self.declared

    @property
    def through(self) -> Points:
        return self.between or self.points

    def revision(self, options: Mapping[str, Any]) -> dict[str, int]:
        read = options["align"] is not None or self.measured is not None
        to_zero = self.points.freqs[0] == 0.0 and options["interpolation"] != "linear"
        return {"reading": 2} if read or to_zero else {}


def _above(measured: Values, wanted: Values, interpolation: str) -> tuple[Points, Points]:
    """How far a curve lies above another, within the range of both: at the points of both; and with
    so many between them that a curve through these is the difference of the two curves.
    """
    low = max(measured.freqs[0], wanted.freqs[0])
    high = min(measured.freqs[-1], wanted.freqs[-1])
    if low >= high:
        raise UsageError(
            f"the measurement goes from {measured.freqs[0]:.12g} to {measured.freqs[-1]:.12g} Hz, "
            f"and the target from {wanted.freqs[0]:.12g} to {wanted.freqs[-1]:.12g} Hz: their "
            "ranges do not overlap"
        )
    inside = sorted({f for f in (*measured.freqs, *wanted.freqs) if low <= f <= high})
    # the ends stay; of points that a curve would have as one, the first does
    freqs = [low, *(b for a, b in pairwise(inside) if b - a >= CLOSEST_HZ)]

    def difference(at: list[float]) -> Points:
        hz = floats(at)
        above = db_at(measured, hz, interpolation) - db_at(wanted, hz, interpolation)
        return Points(freqs=tuple(at), gain_db=tuple(above.tolist()))

    return difference(freqs), difference([*with_between(freqs), high])


KINDS = (Own,)
