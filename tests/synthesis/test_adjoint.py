"""The gradient by hand is that of finite differences, and that of torch."""

import numpy as np
import pytest
import torch

from earfilt.ears.kinds import documented
from earfilt.ears.target import Target
from earfilt.synthesis.adjoint import MinimumPhase, amplified
from earfilt.synthesis.proportional import matrix_of


def small(floor: float = 0.0) -> tuple[torch.Tensor, MinimumPhase]:
    """Numbers and their design on 64 points; amplitudes pass through zero."""
    rng = np.random.default_rng(3)
    matrix = torch.from_numpy(rng.standard_normal((33, 4)))
    numbers = torch.from_numpy(rng.uniform(0.5, 2.0, 4)).requires_grad_()
    return numbers, MinimumPhase.of(matrix, floor)


def test_gradients_are_finite_differences() -> None:
    numbers, design = small()
    assert torch.autograd.gradcheck(lambda numbers: design.taps(numbers, 20), (numbers,))
    assert torch.autograd.gradgradcheck(lambda numbers: design.taps(numbers, 20), (numbers,))


def test_gradients_of_a_gain_are_finite_differences() -> None:
    taps = torch.arange(1.0, 5.0, dtype=torch.float64, requires_grad=True)
    gain = torch.tensor(-6.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(amplified, (taps, gain))
    assert torch.autograd.gradgradcheck(amplified, (taps, gain))


def test_numbers_below_the_floor_have_no_gradient_and_those_at_it_do() -> None:
    numbers, design = small(floor=1.0)
    with torch.no_grad():
        numbers[0], numbers[1], numbers[2] = 0.5, 1.0, 1.5
    weights = torch.arange(20.0).double()
    (gradient,) = torch.autograd.grad(design.taps(numbers, 20) @ weights, numbers)
    (followed,) = torch.autograd.grad(design.taps_followed(numbers, 20) @ weights, numbers)
    assert gradient[0] == 0.0
    assert (gradient[1:3] != 0.0).all()
    torch.testing.assert_close(gradient, followed)


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
    assert target.floor is not None
    design = MinimumPhase.of(torch.from_numpy(made), target.floor)
    weights = torch.from_numpy(np.random.default_rng(1).standard_normal(513))
    numbers = torch.tensor(target.numbers, requires_grad=True)
    by_hand, followed = design.taps(numbers, 513), design.taps_followed(numbers, 513)
    (gradient,) = torch.autograd.grad(by_hand @ weights, numbers)
    (wanted,) = torch.autograd.grad(followed @ weights, numbers)
    torch.testing.assert_close(by_hand, followed, rtol=0.0, atol=1e-15)
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-12 * float(wanted.abs().max()))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_transforms_of_functions_and_forward_mode_go_through() -> None:
    numbers, design = small()
    fixed, turn = numbers.detach(), torch.ones(4, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda one: design.taps(one, 20))(fixed)
    (followed,) = torch.autograd.grad(
        design.taps(numbers, 20) @ torch.arange(20.0).double(), numbers
    )
    torch.testing.assert_close(followed, torch.arange(20.0).double() @ jacobian)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(numbers, turn)
        taps = design.taps(dual, 20)
        tangent = torch.autograd.forward_ad.unpack_dual(taps).tangent
    assert tangent is not None
    torch.testing.assert_close(tangent, jacobian @ turn)
