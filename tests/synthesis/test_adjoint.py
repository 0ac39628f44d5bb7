"""The gradient by hand is that of finite differences, and that of torch."""

import numpy as np
import pytest
import torch

from earfilt.ears.kinds import documented
from earfilt.ears.target import Target
from earfilt.synthesis.adjoint import minimum_phase_taps
from earfilt.synthesis.phase import folding, from_power
from earfilt.synthesis.proportional import matrix_of


def plain(numbers: torch.Tensor, matrix: torch.Tensor, fold: torch.Tensor) -> torch.Tensor:
    return from_power((matrix @ numbers).square(), len(fold), fold)


def small() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Numbers, a matrix and a fold, of 64 points; amplitudes pass through zero."""
    rng = np.random.default_rng(3)
    matrix = torch.from_numpy(rng.standard_normal((33, 4)))
    numbers = torch.from_numpy(rng.uniform(0.5, 2.0, 4)).requires_grad_()
    return numbers, matrix, folding(torch.zeros(64, dtype=torch.float64))


def test_gradients_are_finite_differences() -> None:
    numbers, matrix, fold = small()
    assert torch.autograd.gradcheck(
        lambda numbers: minimum_phase_taps(numbers, matrix, fold, 20), (numbers,)
    )
    assert torch.autograd.gradgradcheck(
        lambda numbers: minimum_phase_taps(numbers, matrix, fold, 20), (numbers,)
    )


@pytest.mark.parametrize(
    "target",
    [
        documented.headphone(48000),
        documented.middle_ear(48000, "lopezpoveda2001", normalize_gain=True),
    ],
)
def test_the_published_numbers(target: Target) -> None:
    made = matrix_of(target, 512, zero_phase=False, looks=True)
    assert made is not None
    matrix = torch.from_numpy(made)
    fold = folding(torch.zeros(2 * (len(made) - 1), dtype=torch.float64))
    weights = torch.from_numpy(np.random.default_rng(1).standard_normal(513))
    numbers = torch.tensor(target.numbers, requires_grad=True)
    by_hand = minimum_phase_taps(numbers, matrix, fold, 513)
    (gradient,) = torch.autograd.grad(by_hand @ weights, numbers)
    followed = plain(numbers, matrix, fold)[:513]
    (wanted,) = torch.autograd.grad(followed @ weights, numbers)
    assert torch.equal(by_hand, followed)
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-12 * float(wanted.abs().max()))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_transforms_of_functions_and_forward_mode_go_through() -> None:
    numbers, matrix, fold = small()
    fixed, turn = numbers.detach(), torch.ones(4, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda one: minimum_phase_taps(one, matrix, fold, 20))(fixed)
    (followed,) = torch.autograd.grad(
        minimum_phase_taps(numbers, matrix, fold, 20) @ torch.arange(20.0).double(), numbers
    )
    torch.testing.assert_close(followed, torch.arange(20.0).double() @ jacobian)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(numbers, turn)
        taps = minimum_phase_taps(dual, matrix, fold, 20)
        tangent = torch.autograd.forward_ad.unpack_dual(taps).tangent
    assert tangent is not None
    torch.testing.assert_close(tangent, jacobian @ turn)
