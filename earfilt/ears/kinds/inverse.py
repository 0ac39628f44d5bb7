"""The way back: the inverse of one or more ears in series, up to a largest gain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from earfilt.arrays import Array, Floats, floats, namespace
from earfilt.ears.ear import Ear, Points
from earfilt.ears.ends import dense_grid
from earfilt.ears.entry import Entry, Source
from earfilt.ears.interpolation import linear
from earfilt.ears.options import CURVE_PHASE, MAX_GAIN, Option
from earfilt.ears.table import Table
from earfilt.ears.target import Nodes, Target
from earfilt.errors import UsageError

KNEE_DB = 3.0
# The cubic t − t³/(3·w²) leaves the line smoothly, and is level after w, where it is 2·w/3.
_KNEE_WIDTH_DB = 1.5 * KNEE_DB
_SMALLEST = 1e-15  # amplitude whose inverse is far beyond every limit
LARGEST_GAIN_DB = 60.0
INVERSE_PREFIX = "inverse:"


def inverse_of(name: str) -> str:
    """What the way back of a filter or a whole chain is called.

    >>> inverse_of("iso532-free"), inverse_of("iso532-free+iso532-middle")
    ('inverse:iso532-free', 'inverse:(iso532-free+iso532-middle)')
    """
    return f"{INVERSE_PREFIX}({name})" if "+" in name else INVERSE_PREFIX + name


@dataclass(frozen=True, kw_only=True)
class Inverse(Ear):
    """The inverse of ears in series.

    Its gain is the negative gain of them together where that is at most the limit less 3 dB; above,
    it bends into the limit.

    Attributes
    ----------
    ears : tuple of Ear
    """

    ears: tuple[Ear, ...]

    kind = "inverse"
    declared = (CURVE_PHASE, MAX_GAIN)

    @classmethod
    def of(cls, ears: Sequence[Ear], identity: Sequence[Mapping[str, Any]]) -> Self:
        """The inverse of ears, the first one undone last.

        Parameters
        ----------
        ears : sequence of Ear
        identity : sequence of mapping
            What decides each of them, JSON-able.
        """
        names = "+".join(ear.name for ear in ears)
        low = max(ear.range_hz[0] for ear in ears)
        high = min(ear.range_hz[1] for ear in ears)
        if low >= high:
            raise UsageError(f"the published ranges of {names} do not overlap")
        first, last = ears[0].entry, ears[-1].entry
        entry = Entry(
            name=inverse_of(names),
            kind=cls.kind,
            summary=f"the way back of {names}",
            quantity=last.quantity,
            scale=first.scale,
            start=last.end,
            end=first.start,
            range_hz=(low, high),
            caveats=tuple(dict.fromkeys(text for ear in ears for text in ear.entry.caveats)),
            parameters={"inverse": list(identity)},
        )
        return cls(entry=entry, ears=tuple(ears))

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        raise NotImplementedError("an inverse is made of ears, not of an entry")

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(source for ear in self.ears for source in ear.sources)

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(table for ear in self.ears for table in ear.tables)

    @property
    def points(self) -> Points:
        low, high = self.range_hz
        freqs = sorted({f for ear in self.ears for f in ear.points.freqs if low <= f <= high})
        return Points(freqs=tuple(freqs), gain_db=tuple(self.magnitude(floats(freqs)).tolist()))

    @property
    def options(self) -> tuple[Option, ...]:
        """Phase and limit, and those of the ears, whose defaults remain their own."""
        phases = {ear.settings({})["phase"] for ear in self.ears}
        own = CURVE_PHASE.with_default("zero" if phases == {"zero"} else "minimum"), MAX_GAIN
        taken = {option.name for option in own}
        inner = {
            option.name: option.with_default(None)
            for ear in self.ears
            for option in ear.options
            if option.name not in taken
        }
        return (*own, *inner.values())

    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        """The negative gain, without a limit."""
        return -sum(ear.magnitude(freqs, fs) for ear in self.ears)  # type: ignore[return-value]

    def at(self, fs: float, **options: Any) -> Target:
        given = {name: value for name, value in options.items() if value is not None}
        limit = given.get("max_gain", MAX_GAIN.default)
        if not KNEE_DB <= limit <= LARGEST_GAIN_DB:
            raise UsageError(
                f"max_gain is {limit:g} dB; it must be {KNEE_DB:g} to {LARGEST_GAIN_DB:g} dB"
            )
        targets = [ear.at(fs, **ear.settings(_known(ear, given))) for ear in self.ears]
        return _inverse(targets, float(limit))

    def limited_hz(self, fs: float, **options: Any) -> tuple[tuple[float, float], ...]:
        """Where the limit acts, within the published range: lowest and highest frequency of each
        band, Hz.
        """
        curve = self.at(fs, **options).curve()
        limit = options.get("max_gain") or MAX_GAIN.default
        xp = namespace(curve.points_hz)
        low, high = curve.points_hz[0], curve.points_hz[-1]
        low = max(low, 1.0)
        grid = low * (high / low) ** xp.linspace(0.0, 1.0, 4001)
        acts = 20.0 * xp.log10(curve.aim(grid)) > limit - KNEE_DB + 1e-6
        edges = xp.flatnonzero(xp.diff(xp.concatenate([[False], acts, [False]]).astype(int)))
        return tuple(
            (float(grid[first]), float(grid[last - 1]))
            for first, last in zip(edges[::2], edges[1::2], strict=True)
        )


def _known(ear: Ear, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of an ear's own options."""
    names = {option.name for option in ear.options} - {"phase"}
    return {name: value for name, value in given.items() if name in names}


def _inverse(targets: Sequence[Target], limit_db: float) -> Target:
    """One target that undoes several; what can be learnt are the numbers of all of them."""
    xp = namespace(targets[0].freqs)
    low = max(target.published_hz[0] for target in targets)
    high = min(target.published_hz[-1] for target in targets)
    points = sorted({f for target in targets for f in target.published_hz if low <= f <= high})
    parts = tuple((target.nodes, target.scale(), len(target.freqs)) for target in targets)
    return replace(
        targets[0],
        freqs=xp.concatenate([target.freqs for target in targets]),
        numbers=xp.concatenate([target.numbers for target in targets]),
        nodes=partial(_nodes, parts=parts, fs=targets[0].fs, limit_db=limit_db),
        published_hz=tuple(points),
        covers_hz=min(target.covers_hz or target.published_hz[-1] for target in targets),
        reference_gain=1.0,
        peak=None,
        normalize_gain=False,
    )


def _nodes(
    freqs: Array,
    numbers: Array,
    /,
    *,
    parts: Sequence[tuple[Nodes, float, int]],
    fs: float,
    limit_db: float,
) -> tuple[Array, Array]:
    xp = namespace(numbers)
    found, begin = [], 0
    for nodes, scale, count in parts:
        hz, amplitude = nodes(freqs[begin : begin + count], numbers[begin : begin + count])
        found.append((hz, amplitude * scale))
        begin += count
    # A line between two amplitudes has no straight inverse: between the nodes as well.
    grid = dense_grid(xp.concat([hz for hz, _ in found]), fs / 2.0)
    amplitude = xp.ones_like(grid)
    for hz, of_one in found:
        amplitude = amplitude * linear(grid, hz, of_one)
    wanted = -20.0 * xp.log10(xp.clip(amplitude, _SMALLEST, None))
    return grid, 10.0 ** (limited(wanted, limit_db) / 20.0)


def limited(gain_db: Array, limit_db: float) -> Array:
    """Gains up to a limit: as they are up to 3 dB below it, and then a cubic that ends level.

    >>> limited(floats([-5.0, 17.0, 18.0, 40.0]), 20.0).round(3).tolist()
    [-5.0, 17.0, 17.984, 20.0]
    """
    xp = namespace(gain_db)
    over = xp.clip(gain_db - (limit_db - KNEE_DB), 0.0, _KNEE_WIDTH_DB)
    bent = over - over**3 / (3.0 * _KNEE_WIDTH_DB**2)
    return xp.clip(gain_db, None, limit_db - KNEE_DB) + bent
