"""Minimum-phase taps of numbers that learn, with a gradient worked out by hand: what a device is
told of it is a third less than of the gradient that follows the operations backwards.
"""

from typing import Any

import torch
from torch import Tensor

from earfilt.arrays import is_plain
from earfilt.synthesis.phase import from_power, log_magnitude, minimum_phase_spectrum

__all__ = ["minimum_phase_taps"]


def minimum_phase_taps(numbers: Tensor, matrix: Tensor, fold: Tensor, numtaps: int) -> Tensor:
    """Taps (numtaps,) of minimum phase from amplitudes ``matrix @ numbers`` on half a grid.

    Parameters
    ----------
    numbers : (N,) float64
        Differentiable, any number of times.
    matrix : (n_fft // 2 + 1, N) float64
    fold : (n_fft,) float64
        As `earfilt.synthesis.phase.folding` gives it.
    numtaps : int
    """
    if numbers.requires_grad and torch.is_grad_enabled() and is_plain():
        taps: Tensor = _MinimumPhase.apply(numbers, matrix, fold, numtaps)
        return taps
    return _taps(numbers, matrix, fold, numtaps)


def _taps(numbers: Tensor, matrix: Tensor, fold: Tensor, numtaps: int) -> Tensor:
    return from_power((matrix @ numbers).square(), len(fold), fold)[:numtaps]


class _MinimumPhase(torch.autograd.Function):
    """A change of the log magnitude L is a change of the cepstrum C = irfft(L); with the part
    before time zero folded onto the other, it is a filter that the impulse response h goes through:
    dh = h * (fold · dC). The gradient takes the same steps back, by correlation.
    """

    @staticmethod
    def forward(ctx: Any, numbers: Tensor, matrix: Tensor, fold: Tensor, numtaps: int) -> Tensor:
        n_fft = len(fold)
        amplitude = matrix @ numbers
        logarithm, floored = log_magnitude(amplitude.square())
        spectrum = minimum_phase_spectrum(logarithm, n_fft, fold)
        # Of half a spectrum, each bin but the outer two stands for two: what `fold` begins with.
        slope = amplitude / floored * fold[: len(amplitude)]
        ctx.save_for_backward(numbers, matrix, fold, spectrum, slope)
        return torch.fft.irfft(spectrum, n_fft)[:numtaps]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        numbers, matrix, fold, spectrum, slope = ctx.saved_tensors
        if torch.is_grad_enabled():  # it is to be differentiated once more
            with torch.enable_grad():
                taps = _taps(numbers, matrix, fold, len(gradient))
                (plain,) = torch.autograd.grad(taps, numbers, gradient, create_graph=True)
            return plain, None, None, None
        n_fft = len(fold)
        correlation = torch.fft.irfft(torch.fft.rfft(gradient, n_fft) * spectrum.conj(), n_fft)
        bins = torch.fft.rfft(correlation * fold, norm="forward").real
        return (bins * slope) @ matrix, None, None, None
