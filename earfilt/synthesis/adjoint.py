"""Taps of numbers that learn, with gradients worked out by hand: what a device is told of them is a
third less than of gradients that follow the operations backwards.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from earfilt.arrays import learns
from earfilt.synthesis.phase import POWER_FLOOR, folding, from_power

__all__ = ["MinimumPhase", "amplified"]


_NEPER = math.log(10.0) / 20.0  # a dB as a natural logarithm


@dataclass(frozen=True, eq=False)
class MinimumPhase:
    """Minimum-phase taps of numbers, from amplitudes ``matrix @ numbers`` on half a grid.

    Parameters
    ----------
    matrix : (n_fft // 2 + 1, N) float64
    fold : (n_fft,) float64
        As `earfilt.synthesis.phase.folding` gives it.
    floor : float
        Numbers below it count as it.
    """

    matrix: Tensor
    fold: Tensor
    floor: float

    @classmethod
    def of(cls, matrix: Tensor, floor: float) -> Self:
        """For a matrix on its device."""
        return cls(matrix, folding(matrix.new_zeros(2 * (len(matrix) - 1))), floor)

    # made once, for calls of any mode

    @cached_property
    def weighed(self) -> Tensor:
        """The matrix, for a gradient: of half a spectrum, each bin but the outer two stands for
        two, which is what `fold` begins with; and the scale of two transforms.
        """
        with torch.inference_mode(False), torch.no_grad():
            return self.matrix * (self.fold[: len(self.matrix), None] / len(self.fold) ** 2)

    @cached_property
    def half_fold(self) -> Tensor:
        """From the unscaled cepstrum of |H|², not of |H|."""
        with torch.inference_mode(False), torch.no_grad():
            return self.fold * (0.5 / len(self.fold))

    def taps(self, numbers: Tensor, numtaps: int) -> Tensor:
        """Taps (numtaps,) of numbers (N,) float64; differentiable, any number of times."""
        if learns(numbers):
            taps: Tensor = _OfMinimumPhase.apply(numbers, self, numtaps)
            return taps
        return self.taps_followed(numbers, numtaps)

    def power(self, numbers: Tensor) -> Tensor:
        """|H|² on half the grid."""
        return (self.matrix @ numbers.clip(self.floor)).square()

    def taps_followed(self, numbers: Tensor, numtaps: int) -> Tensor:
        """The same by operations that torch follows backwards."""
        return from_power(self.power(numbers), len(self.fold), self.fold)[:numtaps]


class _OfMinimumPhase(torch.autograd.Function):
    """A change of the log magnitude L is a change of the cepstrum C = irfft(L); with the part
    before time zero folded onto the other, it is a filter that the impulse response h goes through:
    dh = h * (fold · dC). The gradient takes the same steps back, by correlation.
    """

    @staticmethod
    def forward(ctx: Any, numbers: Tensor, design: MinimumPhase, numtaps: int) -> Tensor:
        n_fft = len(design.fold)
        amplitude = design.matrix @ numbers.clip(design.floor)
        power = amplitude.square()
        floored = torch.add(power, power.max(), alpha=POWER_FLOOR)
        cepstrum = torch.fft.irfft(floored.log(), n_fft, norm="forward")  # which scales nothing
        spectrum = torch.fft.rfft(cepstrum * design.half_fold).exp()
        ctx.save_for_backward(numbers, spectrum, amplitude / floored)
        ctx.design = design
        return torch.fft.irfft(spectrum, n_fft)[:numtaps]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        numbers, spectrum, slope = ctx.saved_tensors
        design: MinimumPhase = ctx.design
        if torch.is_grad_enabled():  # it is to be differentiated once more
            taps = design.taps_followed(numbers, len(gradient))
            (plain,) = torch.autograd.grad(taps, numbers, gradient, create_graph=True)
            return plain, None, None
        n_fft = len(design.fold)
        spectrum = torch.fft.rfft(gradient, n_fft) * spectrum.conj()
        correlation = torch.fft.irfft(spectrum, n_fft, norm="forward")
        bins = torch.fft.rfft(correlation * design.fold).real
        unclipped = (bins * slope) @ design.weighed
        # passes where numbers are above the threshold: the floor and more
        below = math.nextafter(design.floor, -math.inf)
        return torch.ops.aten.threshold_backward(unclipped, numbers, below), None, None


def amplified(taps: Tensor, gain_db: Tensor) -> Tensor:
    """Taps times a gain in dB; differentiable in both, any number of times."""
    if learns(gain_db):
        louder: Tensor = _Amplified.apply(taps, gain_db)
        return louder
    return taps * _factor(gain_db)


def _factor(gain_db: Tensor) -> Tensor:
    return torch.pow(10.0, gain_db / 20.0)


class _Amplified(torch.autograd.Function):
    """d(g h) = g dh + g h ln(10)/20 dG, of a gain G in dB."""

    @staticmethod
    def forward(ctx: Any, taps: Tensor, gain_db: Tensor) -> Tensor:
        factor = _factor(gain_db)
        louder = taps * factor
        ctx.save_for_backward(taps, gain_db, factor, louder)
        return louder

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        taps, gain_db, factor, louder = ctx.saved_tensors
        if torch.is_grad_enabled():  # it is to be differentiated once more
            change = gradient * _factor(gain_db)
            return change, (change * taps).sum() * _NEPER
        return gradient * factor, torch.dot(gradient, louder) * _NEPER
