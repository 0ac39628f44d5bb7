"""What ears have in common that are not tables: a formula or model gives their magnitude at any
frequency, and what can be learnt is a correction of it, in dB at nominal third-octave frequencies.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property, partial
from typing import Any

from earfilt.arrays import Array, Complexes, Floats, beside, floats, namespace
from earfilt.ears.ear import Ear, Points
from earfilt.ears.ends import dense_grid, fall_db
from earfilt.ears.interpolation import pchip
from earfilt.ears.options import NORMALIZE_GAIN, Option, checked_fs
from earfilt.ears.target import POINTS_UP_TO, Target
from earfilt.errors import UsageError

# fmt: off
THIRD_OCTAVES = (
    10, 12.5, 16, 20, 25, 31.5, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800,
    1000, 1250, 1600, 2000, 2500, 3150, 4000, 5000, 6300, 8000, 10000, 12500, 16000, 20000, 25000,
    31500, 40000, 50000, 63000, 80000,
)
# fmt: on
# Lowest level that takes part in a correction, dB: a magnitude of zero has no logarithm.
_FLOOR_DB = -400.0


class Modelled(Ear):
    """A formula or a model."""

    def _level(self, freqs: Floats, fs: float | None, options: dict[str, Any]) -> Floats:
        """Magnitude in dB in the source's own scale, with the ear's options."""
        return self.magnitude(freqs, fs)

    @property
    def normalizes(self) -> bool:
        """Whether it is in physical units, or a level, and has a normalised form."""
        return "normalize" in self.entry.parameters

    @property
    def options(self) -> tuple[Option, ...]:
        return tuple(
            option for option in self.declared if option != NORMALIZE_GAIN or self.normalizes
        )

    @cached_property
    def points(self) -> Points:
        freqs = self._nominal()
        return Points(freqs=freqs, gain_db=tuple(self.magnitude(floats(freqs)).tolist()))

    def _nominal(self) -> tuple[float, ...]:
        low, high = self.range_hz
        return tuple(float(f) for f in THIRD_OCTAVES if low <= f <= high)

    def reference_db(self, fs: float | None, options: dict[str, Any]) -> float:
        """What normalisation takes off, dB: the level at the peak or at 1 kHz."""
        if self.entry.parameters["normalize"] == "1 kHz":
            return float(self._level(floats([1000.0]), fs, options)[0])
        low, high = self.range_hz
        grid = low * (high / low) ** floats(k / 4000.0 for k in range(4001))
        if fs is not None:
            grid = grid[grid < fs / 2.0]
        return float(self._level(grid, fs, options).max())

    def at(self, fs: float, **options: Any) -> Target:
        checked_fs(fs)
        options = self.settings(options)
        # A model is known between its nominal frequencies as well, and up to the end of the band.
        top = min(self.range_hz[1], POINTS_UP_TO * fs)
        freqs = floats([*(f for f in self._nominal() if f < top), top])
        if len(freqs) < 2:
            raise UsageError(f"fs is {fs:g} Hz, too low for {self.name}")
        offset = self.reference_db(fs, options) if options.get("normalize_gain") else 0.0
        grid = dense_grid(freqs, fs / 2.0)
        level = (self._beyond(grid, fs, options) - offset).clip(min=_FLOOR_DB)
        numbers = (self._level(freqs, fs, options) - offset).clip(min=_FLOOR_DB)
        return Target(
            ruled=True,
            fs=fs,
            freqs=freqs,
            numbers=numbers,
            nodes=partial(_nodes, grid=grid, level=level, published=numbers),
            published_hz=tuple(freqs.tolist()),
            covers_hz=self.range_hz[1],
        )

    def _beyond(self, grid: Floats, fs: float, options: dict[str, Any]) -> Floats:
        """The level on a grid by the rule for what lies outside the published range."""
        if options["beyond"] == "documented":
            return self._level(grid, fs, options)
        xp = namespace(grid)
        low, high = self.range_hz
        inside = xp.clip(grid, min(low, fs / 2.0), min(high, fs / 2.0))
        level = self._level(inside, fs, options)
        return level - fall_db(grid, inside) if options["beyond"] == "fall" else level


def _nodes(
    freqs: Array, numbers: Array, /, *, grid: Floats, level: Floats, published: Floats
) -> tuple[Array, Array]:
    """The model, and what the numbers differ by from its own, interpolated over log frequency."""
    xp = namespace(numbers)
    at, known, own = (beside(numbers, values) for values in (grid, level, published))
    inside = xp.clip(at, freqs[0], freqs[-1])
    correction = pchip(xp.log(inside), xp.log(freqs), numbers - own)
    return at, 10.0 ** ((known + correction) / 20.0)


class Phased(Modelled):
    """A model that says the phase as well."""

    @abstractmethod
    def response(self, freqs: Floats, fs: float | None = None) -> Complexes: ...

    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        xp = namespace(freqs)
        with xp.errstate(divide="ignore"):
            return 20.0 * xp.log10(abs(self.response(freqs, fs)))
