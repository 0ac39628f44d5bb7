"""Digital filters given as coefficients for one sampling rate: their response at that rate is the
ear, and stays the same at every other one.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

from earfilt.arrays import Complexes, Floats, floats, namespace
from earfilt.ears.entry import Entry
from earfilt.ears.kinds.modelled import Phased
from earfilt.ears.options import BEYOND, PHASE
from earfilt.errors import DataError, UsageError

_KEYS = frozenset({"fs", "from_fs", "sections"})
# Part of its own rate up to which a response is followed at other rates; held beyond.
_FOLLOWED = 0.49


class Sections(Phased):
    """Sections in series, each a numerator and a denominator in powers of 1/z."""

    kind = "sections"
    keys = frozenset({"designs"})
    declared = (PHASE, BEYOND)

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        designs = entry.parameters.get("designs")
        if not isinstance(designs, list) or not designs or entry.range_hz is None:
            raise DataError(entry.full_name, "needs designs, and range_hz, what the source covers")
        for design in designs:
            if not _KEYS - {"from_fs"} <= set(design) <= _KEYS:
                raise DataError(entry.full_name, "a design has fs and sections, or from_fs as well")
            if any(len(section) != 2 for section in design["sections"]):
                raise DataError(entry.full_name, "a section is [numerator, denominator]")
        return cls(entry=entry)

    def _design(self, fs: float | None) -> Mapping[str, Any]:
        """The design for a rate: the last one that starts at or below it."""
        designs = self.entry.parameters["designs"]
        if fs is None:
            return designs[0]
        return [design for design in designs if design.get("from_fs", 0.0) <= fs][-1]

    def response(self, freqs: Floats, fs: float | None = None) -> Complexes:
        design = self._design(fs)
        xp = namespace(freqs)
        if fs != design["fs"]:
            freqs = xp.clip(freqs, 0.0, _FOLLOWED * design["fs"])
        delay = xp.exp(-2j * math.pi * freqs / design["fs"])
        response = 1.0 + 0.0 * delay
        for numerator, denominator in design["sections"]:
            response = response * _powers(numerator, delay) / _powers(denominator, delay)
        return response

    def native(self, fs: float, **options: Any) -> Callable[[int], Floats]:
        design = self._design(fs)
        own = design["fs"]
        if fs != own:
            raise UsageError(
                f"{self.name} is published as a filter at {own:g} Hz, and has its own phase there "
                f"alone; at {fs:g} Hz it can have minimum or zero phase"
            )

        def impulse(n: int) -> Floats:
            # By recursion, as a program runs it: near fs/2 a response of order 10 is a quotient of
            # differences that cancel.
            from scipy.signal import lfilter

            samples = floats([1.0] + [0.0] * (n - 1))
            for numerator, denominator in design["sections"]:
                samples = lfilter(numerator, denominator, samples)
            return samples

        return impulse


def _powers(coefficients: list[float], delay: Complexes) -> Complexes:
    value = 0.0 * delay
    for coefficient in reversed(coefficients):
        value = value * delay + coefficient
    return value


KINDS = (Sections,)
