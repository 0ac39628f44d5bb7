"""What a device would be asked to do, counted on the CPU: how often something is launched, and that
nothing waits for an answer. A module is told that its numbers lie on a device; tensors without
memory (meta) show that all is made where they are.
"""

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import earfilt
from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
from earfilt.engine import tensors
from earfilt.engine.tensors import convolve

FS = 16000
NO_WORK = {
    *("view", "slice", "select", "unsqueeze", "squeeze", "expand", "as_strided", "t", "transpose"),
    *("detach", "alias", "unfold", "view_as_real", "view_as_complex", "_unsafe_view", "permute"),
    *("empty", "empty_like", "lift_fresh", "_reshape_alias", "split", "_conj"),
}
WAITS = {
    "_linalg_check_errors",
    "_local_scalar_dense",
    "nonzero",
    "is_nonzero",
    "equal",
    "item",
    "masked_select",
    "unique",
}


class Launches(TorchDispatchMode):
    """Counts what launches a kernel, and refuses what would wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    @property
    def all(self) -> int:
        return sum(self.counts.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[1]
        assert name not in WAITS, f"{name} waits for the device"
        if name == "index":
            indices = [one for one in args[1] if one is not None]
            assert not any(one.dtype == torch.bool for one in indices), "a mask waits"
        if name not in NO_WORK:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules take the CPU for a device."""
    monkeypatch.setattr("earfilt.nn.base.waits_for", lambda device: True)
    for module in (
        "nn.ears",
        "nn.module",
        "synthesis.proportional",
        "synthesis.phase",
        "synthesis.sampling",
    ):
        monkeypatch.setattr(f"earfilt.{module}.can_be_looked_at", lambda x: False)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


MAKES: dict[str, Callable[..., nn.Module]] = {
    "headphone": HeadphoneFilter,
    "headphone-zero": lambda fs, **o: HeadphoneFilter(fs, phase_type="zero", **o),
    "middle-ear": MiddleEarFilter,
    "jepsen2008": lambda fs, **o: MiddleEarFilter(fs, "jepsen2008", **o),
    "outer-middle": lambda fs, **o: OuterMiddleEarFilter(fs, order=512, **o),
    "outer-middle-minimum": lambda fs, **o: OuterMiddleEarFilter(
        fs, order=512, phase_type="minimum", **o
    ),
}
every_ear = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES.keys())


@pytest.fixture
def ears_of_files() -> list[nn.Module]:
    return [earfilt.ear("headphone", FS), earfilt.ear("outer-middle-ear", FS, tolerance=1.0)]


# -- forward -------------------------------------------------------------------------------------


@every_ear
@pytest.mark.usefixtures("on_a_device")
def test_fixed_numbers_are_filtered_by_one_fft_without_waiting(
    make: Callable[..., nn.Module],
) -> None:
    ear, x = make(FS).eval(), noise(2, 20000)
    wanted = ear(x)
    with Launches() as launches:
        y = ear(x)
    assert torch.equal(y, wanted)
    assert (launches.counts["_fft_r2c"], launches.counts["_fft_c2r"]) == (1, 1)
    assert launches.all <= (8 if ear.odd_ends else 5)


@pytest.mark.usefixtures("on_a_device")
def test_filters_by_name_neither_wait(ears_of_files: list[nn.Module]) -> None:
    for ear in ears_of_files:
        x = noise(2, 9000)
        wanted = ear(x)
        with Launches() as launches:
            y = ear(x)
        assert torch.equal(y, wanted)
        assert launches.all <= 13


@every_ear
@pytest.mark.usefixtures("on_a_device")
def test_numbers_that_learn_are_designed_at_every_call_without_waiting(
    make: Callable[..., nn.Module],
) -> None:
    ear, x = make(FS, learnable=True).eval(), noise(2, 3000)
    wanted = make(FS)(x)
    ear(x)
    with torch.no_grad(), Launches():
        y = ear(x)
    assert float((y - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
    for parameter in ear.parameters():  # which no version counts
        parameter.data.mul_(1.5)
    with torch.no_grad(), Launches():
        edited = ear(x)
    plain = make(FS, learnable=True)
    plain.load_state_dict(ear.state_dict())
    with torch.no_grad():
        assert float((edited - plain(x)).abs().max()) <= 1e-5 * float(edited.abs().max())
    assert not torch.allclose(edited, y)


def edits() -> dict[str, Callable[[HeadphoneFilter], None]]:
    def in_place(ear: HeadphoneFilter) -> None:
        ear.frequency_data[5, 1] *= 2.0

    def by_state(ear: HeadphoneFilter) -> None:
        ear.load_state_dict({"frequency_data": ear.frequency_data * 1.5})

    def assigned(ear: HeadphoneFilter) -> None:
        ear.load_state_dict({"frequency_data": ear.frequency_data * 1.5}, assign=True)

    def by_attribute(ear: HeadphoneFilter) -> None:
        ear.frequency_data = ear.frequency_data * 1.5

    def other_memory(ear: HeadphoneFilter) -> None:
        ear.frequency_data.data = ear.frequency_data * 1.5

    def through_the_state(ear: HeadphoneFilter) -> None:
        ear.state_dict()["frequency_data"].mul_(1.5)

    def in_inference(ear: HeadphoneFilter) -> None:
        with torch.inference_mode():
            ear.frequency_data.mul_(1.5)

    def cast(ear: HeadphoneFilter) -> None:
        ear.double()
        ear.frequency_data[5, 1] *= 2.0

    return {one.__name__: one for one in locals().values() if callable(one)}


@pytest.mark.parametrize("edit", edits().values(), ids=edits().keys())
@pytest.mark.usefixtures("on_a_device")
def test_fixed_numbers_that_were_edited_are_noticed(
    edit: Callable[[HeadphoneFilter], None],
) -> None:
    ear, x = HeadphoneFilter(FS).eval(), noise(2, 3000)
    before = ear(x)
    edit(ear)
    after = ear(x)
    assert not torch.allclose(after, before)
    fresh = HeadphoneFilter(FS)
    fresh.frequency_data.copy_(ear.frequency_data)
    assert torch.allclose(after, fresh(x), atol=1e-5)
    with Launches():
        again = ear(x)
    assert torch.equal(again, after)


@pytest.mark.usefixtures("on_a_device")
def test_copies_and_casts_are_known_again() -> None:
    ear, x = HeadphoneFilter(FS).eval(), noise(2, 3000)
    wanted = ear(x)
    assert torch.equal(copy.deepcopy(ear)(x), wanted)
    ear.half().float()
    with Launches():
        y = ear(x)
    assert torch.equal(y, wanted)


@pytest.mark.usefixtures("on_a_device")
def test_numbers_made_in_inference_mode_are_looked_at() -> None:
    with torch.inference_mode():
        ear = HeadphoneFilter(FS)
        before = ear(noise(2, 300))
        ear.frequency_data.mul_(1.5)
        assert not torch.allclose(ear(noise(2, 300)), before)


@pytest.mark.usefixtures("on_a_device")
def test_other_numbers_of_functional_call() -> None:
    ear, x = HeadphoneFilter(FS).eval(), noise(2, 300)
    before = ear(x)
    other = {"frequency_data": ear.frequency_data * 1.5}
    assert not torch.allclose(torch.func.functional_call(ear, other, (x,)), before)
    assert torch.equal(ear(x), before)


# -- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "launches"),
    [(HeadphoneFilter, 58), (MiddleEarFilter, 69), (MAKES["headphone-zero"], 75)],
    ids=["headphone", "middle-ear", "headphone-zero"],
)
@pytest.mark.usefixtures("on_a_device")
def test_launches_of_a_training_step(make: Callable[..., nn.Module], launches: int) -> None:
    ear, x, target = make(48000, learnable=True), noise(2, 48000), noise(2, 48000)
    optimizer = torch.optim.Adam(ear.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        y = ear(x)
        (y - target[..., : y.shape[-1]]).square().mean().backward()
        optimizer.step()

    step()
    with Launches() as counted:
        step()
    assert counted.all <= launches, counted.counts


@every_ear
def test_the_gradient_on_a_device_is_that_of_the_cpu(
    make: Callable[..., nn.Module], request: pytest.FixtureRequest
) -> None:
    def gradients() -> list[torch.Tensor]:
        ear = make(FS, learnable=True).train()
        ear(noise(2, 3000)).square().sum().backward()
        return [one.grad for one in ear.parameters() if one.grad is not None]

    wanted = gradients()
    request.getfixturevalue("on_a_device")
    for found, own in zip(gradients(), wanted, strict=True):
        torch.testing.assert_close(found, own, rtol=2e-4, atol=2e-4 * float(own.abs().max()))


@pytest.mark.parametrize("name", ["headphone+middle-ear", "outer-middle-ear", "terhardt1979"])
@pytest.mark.usefixtures("on_a_device")
def test_a_filter_by_name_learns_without_waiting(name: str) -> None:
    ear, x = earfilt.ear(name, FS, learnable=True, tolerance=1.0).train(), noise(2, 3000)
    ear(x)
    with Launches():
        y = ear(x)
        y.square().sum().backward()
    assert all(float(one.grad.abs().sum()) > 0 for one in ear.parameters())
    torch.testing.assert_close(y, earfilt.ear(name, FS, tolerance=1.0)(x), rtol=1e-5, atol=1e-5)


# -- where things are made -----------------------------------------------------------------------


class Places(Launches):
    """The devices of all that is made, but for scalars."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = super().__torch_dispatch__(func, types, args, kwargs)
        if isinstance(out, torch.Tensor) and out.dim():
            self.devices.add(out.device.type)
        return out


@pytest.mark.parametrize("odd_ends", [False, True])
def test_convolution_stays_on_its_device(odd_ends: bool) -> None:
    with Places() as places:
        x = torch.empty(2, 20000, device="meta", requires_grad=True)
        taps = torch.empty(513, device="meta", dtype=torch.float64, requires_grad=True)
        convolve(x, taps, lookahead=256, odd_ends=odd_ends).sum().backward()
    assert places.devices == {"meta"}


@every_ear
def test_a_design_stays_on_its_device(make: Callable[..., nn.Module]) -> None:
    ear = make(FS, learnable=True)
    numbers = {
        name: torch.empty_like(value, device="meta", requires_grad=True)
        for name, value in ear._exact.items()
    }
    ear._design(numbers)  # makes what is made once
    with Places() as places:
        ear._design(numbers).effective.sum().backward()
    assert places.devices == {"meta"}


# -- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("numtaps", "lookahead"), [(513, 0), (8193, 4096)])
def test_memory_of_a_large_batch(
    numtaps: int, lookahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a batch of 123 MB: beside input and output no more than a third of it at a time."""
    held: list[int] = []
    whole = tensors.filter_segments

    def filtered(cut: torch.Tensor, response: torch.Tensor, n_fft: int, hop: int) -> torch.Tensor:
        segments = cut[..., 0].numel() * n_fft * cut.itemsize
        # the extended part, its segments and their spectra; then these, which the library copies,
        # and the result
        held.append(max(cut.untyped_storage().nbytes() + 2 * segments, 3 * segments))
        return whole(cut, response, n_fft, hop)

    monkeypatch.setattr(tensors, "filter_segments", filtered)
    x, taps = (torch.empty(size, device="meta") for size in ((64, 480_000), numtaps))
    y = convolve(x, taps, lookahead=lookahead, odd_ends=True)
    assert y.shape == x.shape
    assert max(held) <= 64 * 480_000 * 4
    assert len(held) <= 16
