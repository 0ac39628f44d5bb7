"""``GraphicEQ:`` lines, for JamesDSP, Wavelet and EqualizerAPO."""

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError
from earfilt.files.presets.preset import Graphic, Preset

_FIRST_HZ, _LAST_HZ, _POINTS = 20.0, 20_000.0, 127


def frequencies(fs: float) -> Floats:
    """Whole Hz from 20 Hz to 20 kHz or just below fs/2, in about equal ratios: 127 of them, as
    Wavelet has, those that fall together once.
    """
    last = min(_LAST_HZ, np.floor(0.49 * fs))
    every = np.rint(np.geomspace(_FIRST_HZ, last, _POINTS))
    return every[np.diff(every, prepend=0.0) > 0]


def points(graphic: Graphic) -> str:
    """``HZ DB; HZ DB; …``"""
    pairs = zip(graphic.freqs.tolist(), graphic.gain_db.tolist(), strict=True)
    return "; ".join(f"{freq:g} {gain:.2f}" for freq, gain in pairs)


def write(preset: Preset) -> str:
    """One line; these programs read no comments."""
    if not isinstance(preset.content, Graphic):
        raise UsageError("a graphic equaliser takes --form graphic")
    return f"GraphicEQ: {points(preset.content)}\n"
