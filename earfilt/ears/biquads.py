"""Second-order sections as equalisers state them: a kind, a frequency, a gain and a width become
coefficients at a sampling rate.

References
----------
Bristow-Johnson, R. Cookbook formulae for audio equalizer biquad filter coefficients (W3C note of
2021). First-order sections: bilinear transform, exact at the stated frequency.
"""

import math
from typing import NamedTuple

from earfilt.errors import UsageError

FLAT_Q = math.sqrt(0.5)
"""Of a second-order low- or high-pass without overshoot."""


class Coefficients(NamedTuple):
    """Numerator and denominator in powers of 1/z; the first of the denominator is 1."""

    b: tuple[float, float, float]
    a: tuple[float, float, float]


class Band(NamedTuple):
    """One section.

    Attributes
    ----------
    kind : str
        One of KINDS.
    hz : float
        Centre, corner or middle of the slope; Hz.
    gain_db : float
        Of peaks and shelves.
    width : float
        By ``by``: quality; bandwidth in octaves; slope of a shelf, 1 at most.
    by : {'q', 'octaves', 'slope'}
    coefficients : Coefficients, optional
        In place of all that, for the one rate that the file states.
    """

    kind: str
    hz: float = 0.0
    gain_db: float = 0.0
    width: float = FLAT_Q
    by: str = "q"
    coefficients: Coefficients | None = None

    @property
    def q(self) -> float:
        """Its quality; only of a band whose width is given by it."""
        assert self.by == "q"
        return self.width


def coefficients(band: Band, fs: float) -> Coefficients:
    """The section at a sampling rate.

    Parameters
    ----------
    band : Band
    fs : float
        Hz, above twice the band's frequency.

    Raises
    ------
    UsageError
        The band's frequency lies at or above fs/2.

    Examples
    --------
    >>> b, a = coefficients(Band("peaking", 1000.0, 6.0, 1.0), 48000.0)
    >>> round(sum(b) / sum(a), 12)
    1.0
    """
    if band.coefficients is not None:
        return band.coefficients
    if not 0.0 < band.hz < fs / 2.0:
        raise UsageError(
            f"a band at {band.hz:g} Hz does not exist at a sampling rate of {fs:g} Hz: it must "
            "lie below half of it"
        )
    turn = 2.0 * math.pi * band.hz / fs
    amplitude = 10.0 ** (band.gain_db / 40.0)
    if band.kind in _FIRST_ORDER:
        b, a = _FIRST_ORDER[band.kind](math.tan(turn / 2.0), amplitude)
    else:
        b, a = _SECOND_ORDER[band.kind](math.cos(turn), _alpha(band, turn, amplitude), amplitude)
    return Coefficients(_over(b, a[0]), _over(a, a[0]))


_Three = tuple[float, float, float]
_Pair = tuple[_Three, _Three]


def _over(values: _Three, first: float) -> _Three:
    return values[0] / first, values[1] / first, values[2] / first


def _alpha(band: Band, turn: float, amplitude: float) -> float:
    """What the width is in the formulas."""
    sine = math.sin(turn)
    if band.by == "octaves":
        return sine * math.sinh(math.log(2.0) / 2.0 * band.width * turn / sine)
    if band.by == "slope":
        both = amplitude + 1.0 / amplitude
        return sine / 2.0 * math.sqrt(both * (1.0 / band.width - 1.0) + 2.0)
    return sine / (2.0 * band.width)


def _peaking(c: float, alpha: float, g: float) -> _Pair:
    return (1 + alpha * g, -2 * c, 1 - alpha * g), (1 + alpha / g, -2 * c, 1 - alpha / g)


def _low_shelf(c: float, alpha: float, g: float) -> _Pair:
    root = 2 * math.sqrt(g) * alpha
    return (
        g * ((g + 1) - (g - 1) * c + root),
        2 * g * ((g - 1) - (g + 1) * c),
        g * ((g + 1) - (g - 1) * c - root),
    ), ((g + 1) + (g - 1) * c + root, -2 * ((g - 1) + (g + 1) * c), (g + 1) + (g - 1) * c - root)


def _high_shelf(c: float, alpha: float, g: float) -> _Pair:
    root = 2 * math.sqrt(g) * alpha
    return (
        g * ((g + 1) + (g - 1) * c + root),
        -2 * g * ((g - 1) + (g + 1) * c),
        g * ((g + 1) + (g - 1) * c - root),
    ), ((g + 1) - (g - 1) * c + root, 2 * ((g - 1) - (g + 1) * c), (g + 1) - (g - 1) * c - root)


def _low_pass(c: float, alpha: float, g: float) -> _Pair:
    return ((1 - c) / 2, 1 - c, (1 - c) / 2), _resonance(c, alpha)


def _high_pass(c: float, alpha: float, g: float) -> _Pair:
    return ((1 + c) / 2, -(1 + c), (1 + c) / 2), _resonance(c, alpha)


def _band_pass(c: float, alpha: float, g: float) -> _Pair:
    return (alpha, 0.0, -alpha), _resonance(c, alpha)


def _notch(c: float, alpha: float, g: float) -> _Pair:
    return (1.0, -2 * c, 1.0), _resonance(c, alpha)


def _all_pass(c: float, alpha: float, g: float) -> _Pair:
    return (1 - alpha, -2 * c, 1 + alpha), _resonance(c, alpha)


def _resonance(c: float, alpha: float) -> _Three:
    return 1 + alpha, -2 * c, 1 - alpha


def _low_pass_1(t: float, g: float) -> _Pair:
    return (t, t, 0.0), (1 + t, t - 1, 0.0)


def _high_pass_1(t: float, g: float) -> _Pair:
    return (1.0, -1.0, 0.0), (1 + t, t - 1, 0.0)


def _low_shelf_1(t: float, g: float) -> _Pair:
    return (g * g * t + g, g * g * t - g, 0.0), (t + g, t - g, 0.0)


def _high_shelf_1(t: float, g: float) -> _Pair:
    return (g * t + g * g, g * t - g * g, 0.0), (g * t + 1, g * t - 1, 0.0)


def _all_pass_1(t: float, g: float) -> _Pair:
    return (t - 1, t + 1, 0.0), (1 + t, t - 1, 0.0)


_SECOND_ORDER = {
    "peaking": _peaking,
    "low-shelf": _low_shelf,
    "high-shelf": _high_shelf,
    "low-pass": _low_pass,
    "high-pass": _high_pass,
    "band-pass": _band_pass,
    "notch": _notch,
    "all-pass": _all_pass,
}
_FIRST_ORDER = {
    "first-order low-pass": _low_pass_1,
    "first-order high-pass": _high_pass_1,
    "first-order low-shelf": _low_shelf_1,
    "first-order high-shelf": _high_shelf_1,
    "first-order all-pass": _all_pass_1,
}
KINDS = (*_SECOND_ORDER, *_FIRST_ORDER, "coefficients")
