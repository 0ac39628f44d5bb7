"""What is promised of a CUDA device alone: nothing waits for it, and steps go into CUDA graphs."""

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import earfilt
from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
EARS: dict[str, Callable[[bool], Any]] = {
    "headphone": lambda learnable: HeadphoneFilter(48000, learnable=learnable),
    "headphone, zero": lambda learnable: HeadphoneFilter(
        48000, phase_type="zero", learnable=learnable
    ),
    "middle": lambda learnable: MiddleEarFilter(48000, learnable=learnable),
    "outer and middle": lambda learnable: OuterMiddleEarFilter(48000, learnable=learnable),
    "module": lambda learnable: earfilt.ear("middle-ear", 48000, learnable=learnable),
    "chain": lambda learnable: earfilt.ear("headphone+middle-ear", 48000, learnable=learnable),
    "two ears": lambda learnable: earfilt.ear(
        "L=headphone,R=middle-ear", 48000, learnable=learnable
    ),
}
of_each_ear = pytest.mark.parametrize("make", EARS.values(), ids=EARS)


@pytest.fixture
def watched() -> Iterator[Callable[[], None]]:
    """Lets whatever waits for the device raise, from the call on."""

    def watch() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is a prototype
            torch.cuda.set_sync_debug_mode("error")

    yield watch
    torch.cuda.set_sync_debug_mode("default")


def signals() -> tuple[Tensor, Tensor]:
    noise = torch.Generator().manual_seed(1)
    return tuple(torch.randn(3, 2, 9000, generator=noise).cuda() for _ in range(2))


def step(ear: Any, optimizer: Any, x: Tensor, target: Tensor) -> None:
    optimizer.zero_grad(set_to_none=False)
    y = ear(x)
    torch.nn.functional.mse_loss(y, target[..., : y.shape[-1]]).backward()
    optimizer.step()


@of_each_ear
@pytest.mark.parametrize("learnable", [False, True])
def test_forward_never_waits(
    make: Callable[[bool], Any], learnable: bool, watched: Callable[[], None]
) -> None:
    ear, (x, _) = make(learnable).cuda().eval(), signals()
    ear(x)
    watched()
    ear(x)


@of_each_ear
def test_a_training_step_never_waits(
    make: Callable[[bool], Any], watched: Callable[[], None]
) -> None:
    ear, (x, target) = make(True).cuda().train(), signals()
    optimizer = torch.optim.Adam(ear.parameters(), lr=1e-3, capturable=True)
    step(ear, optimizer, x, target)
    watched()
    step(ear, optimizer, x, target)


@of_each_ear
def test_a_training_step_is_captured(make: Callable[[bool], Any]) -> None:
    """Replays learn what eager steps do."""
    ear, (x, target) = make(True).cuda().train(), signals()
    optimizer = torch.optim.Adam(ear.parameters(), lr=1e-3, capturable=True)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(ear, optimizer, x, target)
    torch.cuda.current_stream().wait_stream(stream)
    eager = copy.deepcopy(ear)
    follower = torch.optim.Adam(eager.parameters(), lr=1e-3, capturable=True)
    follower.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(ear, optimizer, x, target)
    before = [one.detach().clone() for one in ear.parameters()]
    for _ in range(5):
        graph.replay()
        step(eager, follower, x, target)
    for one, own, was in zip(ear.parameters(), eager.parameters(), before, strict=True):
        torch.testing.assert_close(one, own, rtol=1e-4, atol=1e-5)
        assert not torch.equal(one, was)
