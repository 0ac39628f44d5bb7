"""The documented design for numbers that learn: few operations, and on a device none that waits.

Frequency sampling is linear in the amplitudes at its nodes. Where each of these is a constant times
a number of the target, the taps of a pass are one product of a fixed matrix and the numbers, and so
is the amplitude on the grid that a minimum phase is made on. The matrices are made column by column,
by the functions that they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from earfilt.arrays import Floats, can_be_looked_at, constant
from earfilt.ears.target import Target
from earfilt.synthesis.passes import Passes, scaled
from earfilt.synthesis.phase import forward_backward, grid_of, is_fine
from earfilt.synthesis.sampling import firwin2

if TYPE_CHECKING:
    from torch import Tensor

    from earfilt.synthesis.adjoint import MinimumPhase

_LARGEST = 1 << 23  # numbers in a matrix


@dataclass(frozen=True, eq=False)
class Proportional:
    """The design of a target whose amplitudes are proportional to its numbers.

    Parameters
    ----------
    target : Target
    order : int
    design : (order + 1, N) float64, or MinimumPhase
        Zero phase: the matrix from the roots of the numbers to the taps of one pass. Minimum phase:
        what makes those of the numbers.
    """

    target: Target
    order: int
    design: Tensor | MinimumPhase

    def passes(self, numbers: Tensor) -> Passes[Tensor] | None:
        """As `earfilt.synthesis.passes.passes`, differentiable; None where the grid is too coarse,
        which is looked for on the CPU only.
        """
        from earfilt.synthesis.adjoint import MinimumPhase

        design = self.design
        if not isinstance(design, MinimumPhase):
            roots = numbers.clip(self.target.floor).sqrt()
            one_pass = scaled(self.target, design @ roots, 0.5)
            return Passes(one_pass, forward_backward(one_pass))
        one_pass = design.taps(numbers, self.order + 1)
        if can_be_looked_at(seen := constant(one_pass)):
            power = design.power(constant(numbers))
            if not is_fine(seen, power, len(design.fold)):
                return None
        one_pass = scaled(self.target, one_pass, 1.0)
        return Passes(one_pass, one_pass)


def proportional(
    target: Target, order: int, *, zero_phase: bool, like: Tensor
) -> Proportional | None:
    """The short form of a design, for numbers on the device of `like`; None where there is none."""
    import torch

    from earfilt.synthesis.adjoint import MinimumPhase

    made = matrix_of(target, order, zero_phase=zero_phase, looks=can_be_looked_at(like))
    if made is None or target.floor is None:
        return None
    # for calls of any mode
    with torch.inference_mode(False), torch.no_grad():
        matrix = torch.tensor(made, device=like.device)
        design = matrix if zero_phase else MinimumPhase.of(matrix, target.floor)
    return Proportional(target, order, design)


def matrix_of(target: Target, order: int, *, zero_phase: bool, looks: bool) -> Floats | None:
    """The matrix of a design.

    Parameters
    ----------
    target : Target
    order : int
    zero_phase : bool
    looks : bool
        Whether a grid is compared with what it has to give; else it is as fine as any table needs.

    Returns
    -------
    (M, N) float64, or None
        None where amplitudes are not proportional to the numbers, or the matrix too large.
    """
    n_fft = grid_of(order + 1, looks=looks)
    rows = order + 1 if zero_phase else n_fft // 2 + 1
    if target.floor is None or order % 2 or rows * len(target.numbers) > _LARGEST:
        return None
    nodes, amplitude = target.nodes(target.freqs, target.numbers)
    columns = []
    for k, number in enumerate(target.numbers):
        twice = target.numbers.copy()
        twice[k] *= 2.0
        share = (target.nodes(target.freqs, twice)[1] - amplitude) / number
        columns.append(firwin2(order, nodes, np.sqrt(share) if zero_phase else share, target.fs))
    taps = np.stack(columns, axis=1)
    if zero_phase:
        return taps
    # time zero comes first, so that the spectrum is real
    turned = np.zeros((n_fft, len(columns)))
    turned[: order // 2 + 1], turned[-(order // 2) :] = taps[order // 2 :], taps[: order // 2]
    return np.ascontiguousarray(np.fft.rfft(turned, axis=0).real)
