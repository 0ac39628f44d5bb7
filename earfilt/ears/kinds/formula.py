"""Ears that are a closed formula: its shape is here, its constants in the catalogue."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

from earfilt.arrays import Floats, namespace
from earfilt.ears.entry import Entry
from earfilt.ears.kinds.modelled import Modelled
from earfilt.ears.options import BEYOND, CURVE_PHASE, NORMALIZE_GAIN
from earfilt.errors import DataError

Constants = Mapping[str, Any]


def _threshold(freqs: Floats, k: Constants) -> Floats:
    """Terhardt's threshold in quiet and what derives from it, dB.

    low·f^low_power + peak·exp(−width·(f − centre)²) + high·f^high_power, f in kHz.

    References
    ----------
    Terhardt, E. (1979). Calculating virtual pitch. Hear. Res. 1, 155-182.
    """
    xp = namespace(freqs)
    f = freqs / 1000.0
    with xp.errstate(divide="ignore"):
        low = k["low"] * f ** k["low_power"]
    peak = k["peak"] * xp.exp(-k["width"] * (f - k["centre_khz"]) ** 2)
    return low + peak + k["high"] * f ** k["high_power"]


def _poles(freqs: Floats, k: Constants) -> Floats:
    """Zeros at 0 Hz and real poles, dB, as IEC 61672-1 writes its weightings.

    f^zeros · p_n^m / Π sqrt(f² + p_k²), where p_n is the highest pole, which stands there m times,
    plus a gain.
    """
    xp = namespace(freqs)
    with xp.errstate(divide="ignore"):
        level = 20.0 * k["zeros"] * xp.log10(freqs)
    for pole in k["poles_hz"]:
        level = level - 10.0 * xp.log10(freqs**2 + pole**2)
    top = [pole for pole in k["poles_hz"] if pole == max(k["poles_hz"])]
    return level + 20.0 * len(top) * math.log10(top[0]) + k["gain_db"]


_SHAPES: Mapping[str, tuple[Callable[[Floats, Constants], Floats], frozenset[str]]] = {
    "threshold": (
        _threshold,
        frozenset({"low", "low_power", "peak", "width", "centre_khz", "high", "high_power"}),
    ),
    "poles": (_poles, frozenset({"zeros", "poles_hz", "gain_db"})),
}


class Formula(Modelled):
    """A closed formula, at any rate."""

    kind = "formula"
    keys = frozenset({"shape", "normalize"}.union(*(names for _, names in _SHAPES.values())))
    declared = (CURVE_PHASE, NORMALIZE_GAIN, BEYOND)

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        shape = entry.parameters.get("shape")
        if not isinstance(shape, str) or shape not in _SHAPES:
            raise DataError(entry.full_name, f"shape is {shape!r}; there are {', '.join(_SHAPES)}")
        missing = _SHAPES[shape][1] - set(entry.parameters)
        if missing:
            raise DataError(entry.full_name, f"a formula '{shape}' needs {', '.join(missing)}")
        if entry.range_hz is None:
            raise DataError(entry.full_name, "needs range_hz, what the source covers")
        return cls(entry=entry)

    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        return _SHAPES[self.entry.parameters["shape"]][0](freqs, self.entry.parameters)


KINDS = (Formula,)
