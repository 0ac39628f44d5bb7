"""Ears as programs for others: `torch.export`, ONNX in its runtime, `torch.jit.trace`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.export import Dim
from torch.nn.utils import parametrize

import earfilt
from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
from earfilt.engine.tensors import Spectra, convolve

FS = 16000
EARS: dict[str, Callable[[], nn.Module]] = {
    "minimum": lambda: HeadphoneFilter(FS),
    "zero": lambda: HeadphoneFilter(FS, phase_type="zero"),
    "dropped": lambda: MiddleEarFilter(FS),
    "long": lambda: OuterMiddleEarFilter(FS, convention="published"),
    "learnt": lambda: HeadphoneFilter(FS, learnable=True),
    "chain": lambda: earfilt.ear("headphone+middle-ear", FS),
    "within": lambda: nn.Sequential(nn.Identity(), HeadphoneFilter(FS)),
}
every_ear = pytest.mark.parametrize("make", EARS.values(), ids=EARS.keys())
# the runtime takes a second for each program
some_ears = pytest.mark.parametrize("make", [EARS[n] for n in ("zero", "long")])
ANY: dict[str, Any] = {
    "dynamic_shapes": ({0: Dim("rows", max=64), 1: Dim("frames", min=8200, max=1 << 24)},)
}
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def signal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


EXAMPLE, OTHER = signal(2, 9001), signal(3, 20017, seed=2)


def called_once(make: Callable[[], nn.Module]) -> nn.Module:
    ear = make().eval()
    ear(EXAMPLE)
    return ear


def agree(found: Any, wanted: torch.Tensor) -> None:
    found = torch.as_tensor(found)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    assert float((found - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())


@every_ear
def test_exported_programs_take_any_length(make: Callable[[], nn.Module]) -> None:
    ear = called_once(make)
    fixed = torch.export.export(ear, (EXAMPLE,)).module()
    agree(fixed(EXAMPLE), ear(EXAMPLE))
    dynamic = torch.export.export(ear, (EXAMPLE,), **ANY).module()
    for x in (EXAMPLE, OTHER):
        agree(dynamic(x), ear(x))


@every_ear
def test_exported_programs_can_be_saved(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    ear, path = called_once(make), tmp_path / "ear.pt2"
    torch.export.save(torch.export.export(ear, (EXAMPLE,), **ANY), path)
    loaded = torch.export.load(path).module()
    agree(loaded(OTHER), ear(OTHER))


@every_ear
def test_traced_programs_take_any_length(make: Callable[[], nn.Module]) -> None:
    ear = called_once(make)
    traced = torch.jit.trace(ear, (EXAMPLE,))
    for x in (EXAMPLE, OTHER):
        agree(traced(x), ear(x))


@some_ears
@pytest.mark.parametrize("shapes", [{}, ANY], ids=["fixed", "any"])
def test_onnx_in_its_runtime(
    make: Callable[[], nn.Module], shapes: dict[str, Any], tmp_path: Path
) -> None:
    ear, path = called_once(make), tmp_path / "ear.onnx"
    torch.onnx.export(ear, (EXAMPLE,), path, input_names=["x"], verbose=False, **shapes)
    session = onnxruntime.InferenceSession(path)
    for x in (EXAMPLE, OTHER) if shapes else (EXAMPLE,):
        agree(session.run(None, {"x": x.numpy()})[0], ear(x))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:Constant folding")
@pytest.mark.parametrize("name", ["middle-ear", "L=headphone,R=iso532-free"])
def test_the_older_exporter_of_onnx(name: str, tmp_path: Path) -> None:
    ear = earfilt.ear(name, FS, order=64).eval()
    ear(EXAMPLE)
    path = str(tmp_path / "ear.onnx")
    axes = {"x": {1: "frames"}}
    torch.onnx.export(ear, (EXAMPLE,), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    other = OTHER[:2]
    (found,) = onnxruntime.InferenceSession(path).run(None, {"x": other.numpy()})
    agree(found, ear(other))


def test_half_precision_stays_what_it_is() -> None:
    ear = called_once(EARS["minimum"])
    x = EXAMPLE.half()
    program = torch.export.export(ear, (x,)).module()
    assert program(x).dtype == torch.float16
    assert float((program(x) - ear(x)).abs().max()) < 2e-2


def test_what_was_learnt_is_exported() -> None:
    ear = HeadphoneFilter(FS, learnable=True).eval()
    published = ear(EXAMPLE)
    with torch.no_grad():
        ear.frequency_data[5, 1] *= 3.0
    wanted = ear(EXAMPLE)
    assert not torch.allclose(wanted, published)
    agree(torch.export.export(ear, (EXAMPLE,)).module()(EXAMPLE), wanted)


def test_an_edit_after_the_last_call_is_refused() -> None:
    ear = called_once(EARS["learnt"])
    with torch.no_grad():
        ear.frequency_data[5, 1] *= 3.0
    with pytest.raises(Exception, match="call it once"):
        torch.export.export(ear, (EXAMPLE,))
    wanted = ear(EXAMPLE)
    agree(torch.export.export(ear, (EXAMPLE,)).module()(EXAMPLE), wanted)


def edits() -> dict[str, Callable[[nn.Module, torch.Tensor], Any]]:
    def by_attribute(ear: Any, other: torch.Tensor) -> None:
        ear.numbers_0 = nn.Parameter(other)

    def by_state(ear: Any, other: torch.Tensor) -> None:
        ear.load_state_dict({"numbers_0": other}, assign=True)

    def through_data(ear: Any, other: torch.Tensor) -> None:
        ear.numbers_0.data.copy_(other)

    def in_another_call(ear: Any, other: torch.Tensor) -> None:
        torch.func.functional_call(ear, {"numbers_0": other}, (EXAMPLE,))

    def parametrized(ear: Any, other: torch.Tensor) -> None:
        class Louder(nn.Module):
            def forward(self, numbers: torch.Tensor) -> torch.Tensor:
                return 2.0 * numbers

        parametrize.register_parametrization(ear, "numbers_0", Louder())
        ear(EXAMPLE)
        with torch.no_grad():
            ear.parametrizations.numbers_0.original.copy_(other)

    return {one.__name__: one for one in locals().values() if callable(one)}


@pytest.mark.parametrize("edit", edits().values(), ids=edits().keys())
@pytest.mark.parametrize("within", [False, True], ids=["alone", "within"])
def test_no_program_is_made_of_numbers_before_an_edit(
    edit: Callable[[nn.Module, torch.Tensor], Any], within: bool
) -> None:
    ear: Any = earfilt.ear("middle-ear", FS, learnable=True).eval()
    ear(EXAMPLE)
    other = ear.numbers_0.detach() * torch.linspace(0.5, 2.0, len(ear.numbers_0))
    edit(ear, other)
    with pytest.raises(earfilt.UsageError, match="call it once"):
        torch.export.export(nn.Sequential(ear) if within else ear, (EXAMPLE,))
    if hasattr(ear, "parametrizations"):
        parametrize.remove_parametrizations(ear, "numbers_0")
    wanted = ear(EXAMPLE)
    agree(torch.export.export(ear, (EXAMPLE,)).module()(EXAMPLE), wanted)


def test_numbers_that_a_network_puts_in_are_not_those_of_the_ear() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ear = called_once(lambda: earfilt.ear("middle-ear", FS, learnable=True))
            self.other = nn.Parameter(2.0 * self.ear.numbers_0.detach())  # type: ignore[operator]

        def forward(self, x: torch.Tensor) -> Any:
            return torch.func.functional_call(self.ear, {"numbers_0": self.other}, (x,))

    with pytest.raises(earfilt.UsageError, match="call it once"):
        torch.export.export(Network().eval(), (EXAMPLE,))


def test_numbers_that_learn_are_refused() -> None:
    ear = HeadphoneFilter(FS, learnable=True).train()
    with pytest.raises(Exception, match="exported in eval"):
        torch.export.export(ear, (EXAMPLE,))


def test_an_ear_that_was_never_called_is_refused() -> None:
    with pytest.raises(Exception, match="call it once"):
        torch.export.export(earfilt.ear("headphone", FS).eval(), (EXAMPLE,))


def test_lengths_are_refused() -> None:
    ear = called_once(EARS["minimum"])
    lengths = torch.tensor([9001, 400])
    with pytest.raises(Exception, match="lengths cannot be exported"):
        torch.export.export(ear, (EXAMPLE,), {"lengths": lengths})


def test_exporting_changes_nothing_for_later_calls() -> None:
    ear = called_once(EARS["long"])
    before = ear(OTHER)
    torch.export.export(ear, (EXAMPLE,))
    assert torch.equal(ear(OTHER), before)
    np.testing.assert_array_equal(ear.taps().numpy(), EARS["long"]().taps().numpy())


@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex")
@pytest.mark.slow
@some_ears
def test_compiled_ahead_of_time(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    """By a C++ compiler, which takes a minute."""
    ear = called_once(make)
    program = torch.export.export(ear, (EXAMPLE,), **ANY)
    path = torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "e.pt2"))
    compiled = torch._inductor.aoti_load_package(path)
    for x in (EXAMPLE, OTHER):
        agree(compiled(x), ear(x))


@pytest.mark.parametrize("channels", [1, 2])
def test_two_ears_are_exported(channels: int) -> None:
    ear = earfilt.ear("L=headphone,R=middle-ear", FS).eval()
    x, other = signal(2, channels, 9001), signal(3, channels, 20017)
    wanted = ear(x)
    assert wanted.shape == (2, 2, 9001)
    sizes = {0: Dim("rows", max=64), 2: Dim("frames", min=8200, max=1 << 24)}
    program = torch.export.export(ear, (x,), dynamic_shapes=(sizes,)).module()
    agree(program(x), wanted)
    agree(program(other), ear(other))


def test_a_matrix_is_recorded_as_it_filters() -> None:
    class Matrix(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.spectra = Spectra(signal(4, 33).double())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return convolve(x, self.spectra, lookahead=3)

    matrix, x = Matrix(), signal(2, 2, 900)
    wanted = matrix(x)
    agree(torch.export.export(matrix, (x,)).module()(x), wanted)
