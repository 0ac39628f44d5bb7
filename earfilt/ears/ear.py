"""What an ear is: published numbers, the amplitude curve they stand for, and the FIR made of it.

An ``Ear`` is a value, and needs numpy alone; ``ears`` makes those there are. Where its functions
take arrays, tensors do as well, and gradients reach the numbers: ``earfilter`` makes torch modules
of it.
"""

import math
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol

import numpy as np

from earfilt.arrays import Array, Floats, square_root
from earfilt.ears.curve import PublishedCurve
from earfilt.errors import UsageError
from earfilt.synthesis.phase import forward_backward, minimum_phase
from earfilt.synthesis.sampling import firwin2
from earfilt.synthesis.spectrum import peak

PHASE_TYPES = ("minimum", "zero")
# Share of fs up to which a published point can be met.
POINTS_UP_TO = 0.45
# A curve of the user may hold numbers whose ratios leave the range of float64; what comes of them
# is zero or inf, and no warning.
_silent = np.errstate(all="ignore")


class Passes(NamedTuple, Generic[Array]):
    """One design, without gain normalisation: float64 taps of one pass, and of all passes in one
    convolution.
    """

    one_pass: Array
    effective: Array


class Nodes(Protocol):
    """From the frequencies (Hz) and numbers of an ear, (N,) each, to nodes of the effective curve:
    Hz from 0 to fs/2, linear amplitude.
    """

    def __call__(self, freqs: Array, numbers: Array, /) -> tuple[Array, Array]: ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Ear:
    """One ear at one sampling rate, order and phase.

    Attributes
    ----------
    fs : float
        Sampling rate in Hz.
    order : int
        Number of taps − 1 of one pass, ≥ 2.
    phase_type : {'minimum', 'zero'}
        One causal pass of a minimum-phase FIR, or forwards and backwards with the square root of
        the amplitude.
    freqs : (N,) float64
        Hz, the grid of the numbers.
    numbers : (N,) float64
        What was published, and what a module learns: gains or dB.
    nodes : callable
        (freqs, numbers) -> nodes (M,) in Hz, amplitude (M,); of numpy or torch.
    published_hz : tuple of float
        Frequencies in Hz that the source lists.
    reference_gain : float
        What the numbers are relative to.
    peak : float, optional
        Peak that the effective response is scaled to, where the formula fixes one.
    normalize_gain : bool
        The effective response of the published numbers peaks at 0 dB.

    Raises
    ------
    UsageError
        An order below 2, or an unknown phase.
    """

    fs: float
    order: int
    phase_type: str
    freqs: Floats
    numbers: Floats
    nodes: Nodes
    published_hz: tuple[float, ...]
    reference_gain: float = 1.0
    peak: float | None = None
    normalize_gain: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", _checked_order(self.order))
        choice("phase_type", self.phase_type, PHASE_TYPES)

    @property
    def lookahead(self) -> int:
        """Index of the tap at time zero among the effective ones: 0, or order for zero phase."""
        return self.order if self.phase_type == "zero" else 0

    @_silent
    def passes(self, freqs: Array, numbers: Array) -> Passes[Array]:
        """Design the FIR from numbers (N,) on the grid ``freqs`` (N,): order + 1 taps of one pass,
        and the effective ones.

        Effective are order + 1 causal taps (minimum phase), or 2·order + 1 taps centred on time
        zero (zero phase).
        """
        nodes, amplitude = self.nodes(freqs, numbers)
        if self.phase_type == "zero":
            one_pass = self._scaled(
                firwin2(self.order, nodes, square_root(amplitude), self.fs), 0.5
            )
            return Passes(one_pass, forward_backward(one_pass))
        one_pass = self._scaled(minimum_phase(firwin2(self.order, nodes, amplitude, self.fs)), 1.0)
        return Passes(one_pass, one_pass)

    def _scaled(self, one_pass: Array, share: float) -> Array:
        """A pass that brings its share of the fixed peak."""
        return one_pass if self.peak is None else one_pass * (self.peak**share / peak(one_pass))

    def taps(self) -> Floats:
        """Taps of all that the audio gets in one convolution, gain normalisation included: those of
        the published numbers.
        """
        effective = self.passes(self.freqs, self.numbers).effective
        return effective * 10.0 ** (self._gain_db(effective) / 20.0)

    def gain_db(self) -> float:
        """Gain normalisation of the published numbers in dB; 0 without."""
        return self._gain_db(self.passes(self.freqs, self.numbers).effective)

    def _gain_db(self, effective: Floats) -> float:
        return -20.0 * math.log10(peak(effective)) if self.normalize_gain else 0.0

    @_silent
    def published_curve(self, numbers: Floats | None = None) -> PublishedCurve:
        """The points and the curve that the design aims at, for a tolerance or a figure.

        With gain normalisation both are shifted so that the highest point is 0 dB.

        Parameters
        ----------
        numbers : (N,) float64
            Default: the published ones.

        Raises
        ------
        UsageError
            No point lies at or below 0.45·fs.
        """
        freqs, amplitude = self.nodes(self.freqs, self.numbers if numbers is None else numbers)
        points = np.array([f for f in self.published_hz if f <= POINTS_UP_TO * self.fs])
        if not len(points):
            raise UsageError(
                f"no published point lies at or below {POINTS_UP_TO} of fs {self.fs:g} Hz"
            )
        shape = np.interp(points, freqs, amplitude)
        scale = self._curve_scale(float(shape.max()), float(amplitude.max()))

        def aim(at: Floats) -> Floats:
            return scale * np.interp(at, freqs, amplitude)

        return PublishedCurve(points, 20.0 * np.log10(scale * shape), aim, float(self.fs), freqs)

    def _curve_scale(self, highest_point: float, highest_node: float) -> float:
        if self.normalize_gain:
            return 1.0 / highest_point
        return 1.0 if self.peak is None else self.peak / highest_node


def checked_fs(fs: float) -> float:
    """A sampling rate in Hz, or UsageError where it is none."""
    if (
        isinstance(fs, bool)
        or not isinstance(fs, (int, float, np.integer, np.floating))
        or not math.isfinite(fs)
        or fs <= 0
    ):
        raise UsageError(f"fs is {fs!r}; it must be a positive, finite sampling rate in Hz")
    return fs


def _checked_order(order: int) -> int:
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 2:
        raise UsageError(f"order is {order!r}; it must be an integer of 2 or more")
    return int(order)


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """``value``, or UsageError where it is not among ``allowed``."""
    if value not in allowed:
        raise UsageError(f"{name} is {value!r}; allowed: {', '.join(map(repr, allowed))}")
    return value
