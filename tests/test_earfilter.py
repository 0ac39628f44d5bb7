"""earfilter: the modules under every way that torch differentiates, copies, moves and maps a
module.
"""

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, stack_module_state, vmap

from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
from earfilt.errors import DtypeError

# torch's own forward mode compiles its rules so.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)

Ear = HeadphoneFilter | MiddleEarFilter | OuterMiddleEarFilter
MakeEar = Callable[..., Ear]
EARS: dict[str, MakeEar] = {
    "headphone": lambda **kw: HeadphoneFilter(16000, order=16, **kw),
    "headphone-zero": lambda **kw: HeadphoneFilter(16000, order=16, phase_type="zero", **kw),
    "middle": lambda **kw: MiddleEarFilter(16000, order=16, **kw),
    "middle-zero": lambda **kw: MiddleEarFilter(
        16000, "jepsen2008", order=16, phase_type="zero", **kw
    ),
    "outer": lambda **kw: OuterMiddleEarFilter(16000, order=16, fhigh=60, **kw),
    "outer-minimum": lambda **kw: OuterMiddleEarFilter(
        16000, order=16, fhigh=60, phase_type="minimum", **kw
    ),
}
every_ear = pytest.mark.parametrize("make", EARS.values(), ids=EARS)
X = torch.randn(2, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def learnable(make: MakeEar) -> Ear:
    return make(learnable=True, dtype=torch.float64).train()


def name_of(ear: Ear) -> str:
    return next(iter(dict(ear.named_parameters())))


def function_of(ear: Ear) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor]:
    """The output as a function of the numbers, the numbers, and a direction to differentiate in."""
    name = name_of(ear)
    at = getattr(ear, name).detach().clone()
    direction = (
        0.01
        * at.abs()
        * torch.randn(at.shape, dtype=at.dtype, generator=torch.Generator().manual_seed(2))
    )
    return lambda numbers: functional_call(ear, {name: numbers}, (X,)), at, direction


def difference(
    function: Callable[[Tensor], Tensor], at: Tensor, direction: Tensor, step: float = 1e-5
) -> Tensor:
    return (function(at + step * direction) - function(at - step * direction)) / (2 * step)


def assert_derivative(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@every_ear
def test_forward_mode_at_one_point_in_several_directions(make: MakeEar) -> None:
    ear = learnable(make)
    function, at, direction = function_of(ear)
    for towards in (direction, -2 * direction.roll(1, 0)):
        assert_derivative(jvp(function, (at,), (towards,))[1], difference(function, at, towards))
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(function(forward_ad.make_dual(at, direction)))
        assert_derivative(dual.tangent, difference(function, at, direction))
    ear.eval()
    assert not ear(X).requires_grad


@every_ear
def test_derivatives_of_second_order(make: MakeEar) -> None:
    function, at, direction = function_of(learnable(make))
    slope = grad(lambda numbers: function(numbers).square().mean())
    expected = difference(slope, at, direction)
    assert_derivative(jvp(slope, (at,), (direction,))[1], expected)
    at.requires_grad_()
    (first,) = torch.autograd.grad(function(at).square().mean(), at, create_graph=True)
    (second,) = torch.autograd.grad((first * direction).sum(), at)
    assert_derivative(second, expected)


@pytest.mark.parametrize("make", [EARS["outer"], EARS["outer-minimum"]], ids=["zero", "minimum"])
def test_jacobians_of_both_modes_agree(make: MakeEar) -> None:
    function, at, _ = function_of(learnable(make))
    torch.testing.assert_close(jacfwd(function)(at), jacrev(function)(at), rtol=1e-9, atol=1e-12)


@every_ear
def test_in_eval_the_filter_is_a_constant_for_every_transform(make: MakeEar) -> None:
    ear = learnable(make)
    ear.eval()
    function, at, direction = function_of(ear)
    assert (grad(lambda numbers: function(numbers).sum())(at) == 0).all()
    assert (jvp(function, (at,), (direction,))[1] == 0).all()
    grad(lambda x: ear(x).sum())(X)
    torch.testing.assert_close(vmap(ear)(X), ear(X))


@every_ear
@pytest.mark.parametrize("training", [True, False])
def test_an_ensemble_is_its_members(make: MakeEar, training: bool) -> None:
    ears = [learnable(make).train(training) for _ in range(3)]
    with torch.no_grad():
        for scale, ear in enumerate(ears, start=1):
            ear._numbers_shown(name_of(ear)).mul_(scale)
    base = copy.deepcopy(ears[0]).to("meta")
    together = vmap(lambda parameters, buffers: functional_call(base, (parameters, buffers), (X,)))(
        *stack_module_state(ears)
    )
    for k, ear in enumerate(ears):
        torch.testing.assert_close(together[k], ear(X), rtol=1e-8, atol=1e-10)
    assert together.requires_grad is training


def replica_of(ear: Ear) -> Ear:
    """What `nn.DataParallel` runs: parameters are plain attributes, copies that hand gradients
    back.
    """
    replica = ear._replicate_for_data_parallel()
    for name, parameter in ear._parameters.items():
        if parameter is not None:
            setattr(replica, name, parameter * 1.0)
    return replica


@every_ear
def test_replicas_hand_gradients_back(make: MakeEar) -> None:
    ear = learnable(make)
    alone = torch.autograd.grad(ear(X).square().sum(), list(ear.parameters()))
    replicated = torch.autograd.grad(replica_of(ear)(X).square().sum(), list(ear.parameters()))
    for a, b in zip(alone, replicated, strict=True):
        torch.testing.assert_close(a, b)


def test_flattened_and_parametrized_numbers_learn() -> None:
    ear = learnable(EARS["headphone"])
    flat = nn.Parameter(ear.frequency_data.detach().reshape(-1))
    del ear._parameters["frequency_data"]
    ear.frequency_data = flat.view(22, 2)
    ear(X).sum().backward()
    assert flat.grad is not None
    ear = learnable(EARS["headphone"])
    expected = ear(X)
    nn.utils.parametrize.register_parametrization(ear, "frequency_data", nn.Identity())
    torch.testing.assert_close(ear(X), expected)
    ear(X).sum().backward()
    assert ear.parametrizations.frequency_data.original.grad is not None


@every_ear
def test_meta_devices_hold_no_values_and_lose_none(make: MakeEar) -> None:
    expected = learnable(make)
    state = expected.state_dict()

    def on_meta() -> Ear:
        with torch.device("meta"):
            return make(learnable=True, dtype=torch.float64)

    ear = on_meta()
    assert all(part.is_meta for part in (*ear.parameters(), *ear.buffers()))
    assert ear(torch.empty(2, 60, device="meta")).is_meta
    filled, assigned, moved = (
        on_meta().to_empty(device="cpu"),
        on_meta(),
        copy.deepcopy(expected).to("meta").to_empty(device="cpu"),
    )
    filled.load_state_dict(state)
    assigned.load_state_dict(state, assign=True)
    for ear in (filled, assigned, moved):
        assert torch.equal(ear(X), expected(X))
        ear(X).sum().backward()


@pytest.mark.parametrize("make", [EARS["headphone"], EARS["middle-zero"]])
def test_weight_decay_leaves_the_frequencies(make: MakeEar) -> None:
    ear = make(learnable=True)
    frequencies = ear.frequency_data[:, 0].detach().clone()
    optimizer = torch.optim.AdamW(ear.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(3):
        ear(X.float()).square().sum().backward()
        optimizer.step()
    averaged = torch.optim.swa_utils.AveragedModel(ear).module
    shown = (
        next(ear.parameters()),
        ear.frequency_data,
        nn.Sequential(ear).state_dict()["0.frequency_data"],
        averaged.frequency_data,
    )
    for table in shown:
        assert torch.equal(table[:, 0], frequencies)


@pytest.mark.parametrize("make", [HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter])
def test_half_precision_at_high_rates(make: MakeEar) -> None:
    """Half precision ends at 65 504."""
    ear = make(192_000, order=64)
    before = ear(X)
    ear.half()
    assert not any(part.isnan().any() for part in ear.state_dict().values())
    ear(X)
    cached = ear._cache
    ear(X)
    assert ear._cache is cached
    assert torch.equal(ear.double()(X), before)


def test_not_a_number_does_not_end_the_cache() -> None:
    ear = HeadphoneFilter(16000, order=16).eval()
    ear.frequency_data[3, 1] = torch.nan
    ear(X)
    cached = ear._cache
    ear(X)
    assert ear._cache is cached


def test_switches_between_constant_and_learnt() -> None:
    ear = learnable(EARS["middle"])
    assert not ear.requires_grad_(False)(X).requires_grad
    assert ear.requires_grad_(True)(X).requires_grad
    with torch.inference_mode():
        ear(X)
        ear.eval()(X)
    signal = X.clone().requires_grad_()
    ear(signal).sum().backward()
    assert signal.grad is not None
    ear.train()(X).sum().backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ear(X).dtype == torch.float64


@every_ear
def test_trained_modules_are_copied(make: MakeEar) -> None:
    ear = learnable(make)
    ear(X).sum().backward()
    for other in (copy.deepcopy(ear), pickle.loads(pickle.dumps(ear))):
        assert torch.equal(other(X), ear(X))


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(4),
        [0.0],
        None,
        torch.zeros(4, dtype=torch.bool),
        torch.zeros(4, dtype=torch.complex64),
    ],
)
def test_what_is_no_signal_is_refused_in_a_sentence(signal: object) -> None:
    with pytest.raises(DtypeError, match="filters take"):
        HeadphoneFilter(16000, order=16)(signal)


def test_views_are_filtered_as_their_copies() -> None:
    ear = HeadphoneFilter(16000, order=16)
    assert torch.equal(ear(X[:, ::2]), ear(X[:, ::2].clone()))
    torch.testing.assert_close(ear(X[:1].expand(3, 60)), ear(X[:1]).expand(3, 60))
