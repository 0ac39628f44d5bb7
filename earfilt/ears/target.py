"""What a design aims at: an ear at one sampling rate, as numbers that can be learnt and the curve
they stand for.

A ``Target`` is a value and needs numpy alone. Where its functions take arrays, tensors do as well,
and gradients reach the numbers. It has no order and no phase: those belong to a design.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from earfilt.arrays import Array, Floats
from earfilt.errors import UsageError

if TYPE_CHECKING:
    from earfilt.ears.curve import PublishedCurve

# Share of fs up to which a published point can be met.
POINTS_UP_TO = 0.45


class Nodes(Protocol):
    """From the frequencies (Hz) and numbers of a target, (N,) each, to nodes of the effective
    curve: Hz from 0 to fs/2, linear amplitude.
    """

    def __call__(self, freqs: Array, numbers: Array, /) -> tuple[Array, Array]: ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Target:
    """An ear at one sampling rate.

    Attributes
    ----------
    fs : float
        Sampling rate in Hz.
    freqs : (N,) float64
        Hz, the grid of the numbers.
    numbers : (N,) float64
        What was published, and what a module learns: gains or dB.
    nodes : callable
        (freqs, numbers) -> nodes (M,) in Hz, amplitude (M,); of numpy or torch.
    published_hz : tuple of float
        Frequencies in Hz that the source lists.
    covers_hz : float, optional
        Highest frequency that the source covers, where that is not the last of those.
    reference_gain : float
        What the numbers are relative to.
    peak : float, optional
        Peak that the effective response is scaled to, where the source fixes one.
    normalize_gain : bool
        The effective response of the published numbers peaks at 0 dB.
    ruled : bool
        Beyond what was published the curve is held or falls by a rule that a design follows.
    floor : float, optional
        Numbers count as no smaller than this, and each amplitude of the nodes is a constant times
        one of them; None where nodes are made otherwise.
    """

    fs: float
    freqs: Floats
    numbers: Floats
    nodes: Nodes
    published_hz: tuple[float, ...]
    covers_hz: float | None = None
    reference_gain: float = 1.0
    peak: float | None = None
    normalize_gain: bool = False
    ruled: bool = False
    floor: float | None = None

    def curve(self, numbers: Floats | None = None) -> PublishedCurve:
        """The points and the curve that a design aims at, for a tolerance or a figure.

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
        import numpy as np

        # A user's curve may hold numbers whose ratios leave the range of float64; what comes of
        # them is zero or inf, and no warning.
        with np.errstate(all="ignore"):
            return self._curve(self.numbers if numbers is None else numbers)

    def scale(self) -> float:
        """The linear gain that normalisation or a fixed peak brings to the curve of the nodes."""
        curve = self.curve()
        freqs, amplitude = self.nodes(self.freqs, self.numbers)
        top = int(amplitude.argmax())
        return float(curve.aim(freqs[top : top + 1])[0] / amplitude[top])

    def _curve(self, numbers: Floats) -> PublishedCurve:
        import numpy as np

        from earfilt.ears.curve import PublishedCurve

        freqs, amplitude = self.nodes(self.freqs, numbers)
        points = np.array([f for f in self.published_hz if f <= POINTS_UP_TO * self.fs])
        if not len(points):
            raise UsageError(
                f"no published point lies at or below {POINTS_UP_TO} of fs {self.fs:g} Hz"
            )
        shape = np.interp(points, freqs, amplitude)
        scale = self._scale(float(shape.max()), float(amplitude.max()))

        def aim(at: Floats) -> Floats:
            return scale * np.interp(at, freqs, amplitude)

        return PublishedCurve(
            points,
            20.0 * np.log10(scale * shape),
            aim,
            float(self.fs),
            freqs,
            self.ruled,
            self.covers_hz or self.published_hz[-1],
        )

    def _scale(self, highest_point: float, highest_node: float) -> float:
        if self.normalize_gain:
            return 1.0 / highest_point
        return 1.0 if self.peak is None else self.peak / highest_node
