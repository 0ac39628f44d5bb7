"""Any filter as a module: the samples of `apply`, the promises of torch, and numbers that learn."""

import copy
import io
import json
import math
import pickle
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

import earfilt
from earfilt import EarModule
from earfilt.chains.request import Request
from earfilt.cli import run

F64 = torch.float64
FS = 16000
NOISE = torch.empty(3, 3000).uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(7))
CURVE = "frequency_hz,gain_db\n100,-2\n1000,0\n2700,6\n6000,-4\n"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "headphone": ("headphone", {}),
    "order": ("headphone", {"order": 64, "phase": "zero"}),
    "middle-ear": ("middle-ear", {}),
    "unscaled": ("middle-ear:jepsen2008", {"normalize_gain": False}),
    "zero": ("outer-middle-ear", {"tolerance": 1.0, "flow": 100.0}),
    "amt": ("outer-middle-ear:2007-diffuse", {"tolerance": 1.0, "convention": "amt"}),
    "formula": ("terhardt1979", {"tolerance": 1.0}),
    "circuit": ("zilany2014-human-middle", {}),
    "native": ("zilany2014-human-middle", {"phase": "native"}),
    "contour": ("equal-loudness:60", {"phase": "zero"}),
    "curve": ("my.csv", {}),
    "spline": ("my.csv", {"interpolation": "spline", "beyond": "fall"}),
    "inverse": ("inverse:headphone+middle-ear", {"force_chain": True}),
    "way-back": ("headphone+middle-ear", {"inverse": True, "max_gain": 12.0}),
    "fir": ("room.wav", {}),
    "chain": ("headphone+middle-ear", {}),
    "phases": ("my.csv+outer-middle-ear", {"tolerance": 1.0}),
    "with-fir": ("my.csv+room.wav", {"phase": "zero"}),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
with_numbers = pytest.mark.parametrize(
    "case", [CASES[name] for name in CASES if name != "fir"], ids=[n for n in CASES if n != "fir"]
)
Case = tuple[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").write_text(CURVE)
    taps = np.array([0.5, 0.3, -0.2, 0.1])
    soundfile.write(tmp_path / "room.wav", taps, FS, "DOUBLE")
    return tmp_path


def make(case: Case, **more: Any) -> EarModule:
    name, options = case
    return earfilt.ear(name, FS, **{**options, **more})


def changed(ear: EarModule, seed: int = 3, by: float = 0.05) -> EarModule:
    """The ear with other numbers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for numbers in ear.numbers:
            numbers += by * torch.rand(numbers.shape, generator=generator)
    return ear


def decibels(h: Any) -> np.ndarray:
    return 20 * np.log10(np.abs(np.asarray(h)))


# -- the samples of `apply` ----------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("learnable", [False, True])
def test_samples_of_apply_and_of_the_command(case: Case, learnable: bool, folder: Path) -> None:
    name, options = case
    y = make(case, learnable=learnable)(NOISE).detach().numpy()
    wanted = earfilt.apply(NOISE.numpy(), name, fs=FS, **options)
    full = max(1.0, float(np.abs(wanted).max()))
    assert np.abs(y - wanted).max() <= 1e-6 * full
    soundfile.write(folder / "in.wav", NOISE.numpy().T, FS, "FLOAT")
    flags = shlex.split(Request(name, **options).command())[1:]
    assert run(["apply", "in.wav", "out.wav", "-f", name, "-q", *flags]) == 0
    written = soundfile.read(folder / "out.wav", dtype="float32")[0].T
    assert np.abs(y - written).max() <= 1e-6 * full


@every_case
def test_taps_are_those_of_design(case: Case) -> None:
    name, options = case
    fir = earfilt.design(name, fs=FS, **options)
    ear = make(case)
    np.testing.assert_array_equal(ear.taps().numpy(), fir.taps)
    assert (ear.lookahead, ear.odd_ends) == (fir.lookahead, fir.odd_ends)
    learnt = make(case, learnable=True).train().taps().detach().numpy()
    np.testing.assert_allclose(learnt, fir.taps, rtol=0, atol=1e-14 * np.abs(fir.taps).max())


@every_case
def test_response_is_that_of_the_api(case: Case) -> None:
    name, options = case
    freqs = [0.0, 20.0, 997.3, 7999.0, 8000.0]
    fir = earfilt.design(name, fs=FS, **options)
    value = make(case).response(freqs)
    np.testing.assert_allclose(value.numpy(), fir.response(freqs), rtol=0, atol=4e-10)
    grid, response = make(case).get_effective_response(64)
    np.testing.assert_allclose(make(case).response(grid).numpy(), response.numpy(), atol=4e-10)


@pytest.mark.parametrize("shape", [(700,), (3, 700), (2, 5, 700), (0, 700), (1,), (2, 3)])
def test_shapes(shape: tuple[int, ...]) -> None:
    assert earfilt.ear("middle-ear", FS)(torch.zeros(shape)).shape == shape


def test_repr_says_what_it_is() -> None:
    assert (
        repr(earfilt.ear("headphone", 48000, order=512))
        == "EarModule('headphone', fs=48000, order=512, phase=minimum, learnable=False)"
    )
    mixed = repr(make(CASES["phases"], learnable=True))
    assert "phase=minimum+zero, learnable=True" in mixed


def test_making_one_designs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("designed")

    monkeypatch.setattr("earfilt.chains.build.design", refuse)
    ear = earfilt.ear("outer-middle-ear", 192000, learnable=True)
    with pytest.raises(AssertionError, match="designed"):
        ear(NOISE)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("headphone",), "states no sampling rate"),
        (("headphone", 0), "fs is 0"),
        (("headphone", 400), "fs is 400"),
        (("room.wav", 44100), "was made for 16000 Hz"),
        (("headfone", 48000), "did you mean headphone"),
    ],
)
def test_refusals(arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(earfilt.UsageError, match=says):
        earfilt.ear(*arguments)


def test_the_rate_of_a_fir_file_is_taken() -> None:
    assert earfilt.ear("room.wav").fs == FS


@pytest.mark.parametrize(
    ("documented", "case"),
    [
        (earfilt.HeadphoneFilter(FS), ("headphone", {"order": 512})),
        (
            earfilt.HeadphoneFilter(FS, phase_type="zero"),
            ("headphone", {"order": 512, "phase": "zero"}),
        ),
        (
            earfilt.MiddleEarFilter(FS, compensate_delay=False),
            ("middle-ear", {"order": 512}),
        ),
        (
            earfilt.MiddleEarFilter(FS, "jepsen2008", normalize_gain=False, compensate_delay=False),
            ("middle-ear:jepsen2008", {"order": 512, "normalize_gain": False}),
        ),
        (
            earfilt.OuterMiddleEarFilter(FS, convention="published"),
            ("outer-middle-ear", {"order": 4096}),
        ),
        (
            earfilt.OuterMiddleEarFilter(FS, "tfOuterMiddle2007", "diffuse"),
            ("outer-middle-ear:2007-diffuse", {"order": 4096, "convention": "amt"}),
        ),
    ],
    ids=repr,
)
def test_the_arguments_that_make_documented_classes_equal(
    documented: nn.Module, case: Case
) -> None:
    wanted = make(case)(NOISE)
    torch.testing.assert_close(documented(NOISE), wanted, rtol=0, atol=1e-6)


def test_reprs_of_the_documented_classes_show_what_is_not_the_default() -> None:
    outer = earfilt.OuterMiddleEarFilter(FS, order=64, convention="published", phase_type="minimum")
    assert repr(outer) == (
        "OuterMiddleEarFilter(fs=16000, type='tfOuterMiddle1997', field='free', "
        "convention='published', phase_type='minimum')"
    )
    assert repr(earfilt.MiddleEarFilter(FS, compensate_delay=False, normalize_gain=False)).endswith(
        "normalize_gain=False, learnable=False, compensate_delay=False)"
    )


# -- the promises of torch -----------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_casting_changes_nothing_of_the_design(case: Case, dtype: torch.dtype) -> None:
    exact = make(case).taps()
    for ear in (make(case).to(dtype), make(case).half().to(dtype), make(case, dtype=dtype)):
        assert torch.equal(ear.taps(), exact)
        assert ear.dtype == dtype
        assert all(numbers.dtype == dtype for numbers in ear.numbers)


@every_case
def test_output_follows_the_input(case: Case) -> None:
    ear = make(case)
    wanted = ear(NOISE.double())
    for dtype, error in ((torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 1e-1)):
        y = ear(NOISE.to(dtype))
        assert y.dtype == dtype
        assert float((y.double() - wanted).abs().max() / wanted.abs().max()) < error


@every_case
def test_copies_give_the_same_audio(case: Case) -> None:
    ear = changed(make(case, learnable=True)).eval()
    wanted = ear(NOISE)
    state = io.BytesIO()
    torch.save(ear.state_dict(), state)
    state.seek(0)
    loaded = make(case, learnable=True).eval()
    loaded.load_state_dict(torch.load(state, weights_only=True))
    for twin in (copy.deepcopy(ear), pickle.loads(pickle.dumps(ear)), loaded, ear.share_memory()):
        assert torch.equal(twin(NOISE), wanted)


def test_state_holds_numbers_and_no_taps() -> None:
    ear = earfilt.ear("headphone+middle-ear+room.wav", FS, learnable=True)
    names = ["numbers_0", "numbers_1"]
    assert sorted(ear.state_dict()) == sorted([*names, *(f"{name}_hz" for name in names)])
    assert [len(numbers) for numbers in ear.numbers] == [22, 26]
    assert [len(freqs) for freqs in ear.freqs] == [22, 26]
    assert sum(p.numel() for p in ear.parameters()) == 48
    assert not list(earfilt.ear("room.wav", FS, learnable=True).parameters())


def test_meta_modules_and_signals() -> None:
    with torch.device("meta"):
        ear = earfilt.ear("headphone", FS, learnable=True)
        assert ear(torch.zeros(2, 500)).shape == (2, 500)
    assert ear.numbers[0].is_meta
    assert make(CASES["fir"]).to("meta")(torch.zeros(4, device="meta")).is_meta


@with_numbers
def test_replicas_of_data_parallel_keep_the_gradient(case: Case) -> None:
    ear = make(case, learnable=True).train()
    replica = ear._replicate_for_data_parallel()
    for name, parameter in ear._parameters.items():
        assert parameter is not None
        setattr(replica, name, parameter * 1.0)
    replica(NOISE).square().sum().backward()
    for parameter in ear.parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.abs().sum()) > 0


def test_the_cache_of_eval_follows_the_numbers() -> None:
    ear = earfilt.ear("headphone", FS, learnable=True).eval()
    before = ear(NOISE)
    assert torch.equal(ear(NOISE), before)
    ear.numbers_0.data[5] *= 2.0
    after = ear(NOISE)
    assert not torch.equal(after, before)
    assert not after.requires_grad
    with torch.inference_mode():
        ear(NOISE)
    ear(NOISE.clone().requires_grad_()).sum().backward()


# torch's own, at the first forward-mode derivative
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["headphone", "phases", "spline", "native", "formula"])
def test_forward_mode_and_vmap_are_those_of_reverse_mode(name: str) -> None:
    ear = make(CASES[name], learnable=True, dtype=F64).train()
    x = NOISE[0, :300].double()
    # Away from the start, where the correction of a model is zero and PCHIP has a kink.
    start = {key: value.detach().clone() for key, value in changed(ear).named_parameters()}
    key = next(iter(start))

    def output(numbers: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = functional_call(ear, {**start, key: numbers}, (x,))
        return y

    tangent = torch.randn(start[key].shape, dtype=F64, generator=torch.Generator().manual_seed(1))
    for _ in range(2):
        _, found = jvp(output, (start[key],), (tangent,))
        step = 1e-6 * tangent
        wanted = (output(start[key] + step) - output(start[key] - step)) / 2e-6
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    several = torch.stack([start[key], start[key] + 0.1 * tangent.abs()])
    mapped = vmap(output)(several)
    one_by_one = torch.stack([output(numbers) for numbers in several])
    torch.testing.assert_close(mapped, one_by_one, rtol=1e-9, atol=1e-11)


def test_hooks_containers_and_compiling() -> None:
    model = nn.Sequential(earfilt.ear("middle-ear", FS, learnable=True), nn.Tanh())
    seen: list[torch.Size] = []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    model(NOISE).sum().backward()
    assert seen == [NOISE.shape]
    model.requires_grad_(False)
    assert not model(NOISE).requires_grad
    torch._dynamo.reset()
    ear = earfilt.ear("middle-ear", FS)
    compiled = torch.compile(ear, backend="aot_eager")
    assert torch.equal(compiled(NOISE), ear(NOISE))


# -- numbers that learn --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        ("headphone", {"order": 32}),
        ("middle-ear", {"order": 32, "phase": "zero"}),
        ("outer-middle-ear", {"order": 32, "flow": 200.0, "fhigh": 230.0, "phase": "minimum"}),
        ("terhardt1979", {"order": 32}),
        ("my.csv", {"order": 32, "interpolation": "spline"}),
        ("my.csv+headphone+room.wav", {"order": 32, "phase": "zero"}),
    ],
    ids=lambda case: case[0],
)
def test_gradcheck(case: Case) -> None:
    ear = make(case, learnable=True, dtype=F64).train()
    names, parameters = zip(*ear.named_parameters(), strict=True)
    x = NOISE[0, :90].double()

    def output(*values: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = functional_call(ear, dict(zip(names, values, strict=True)), (x,))
        return y

    # Away from the start, where the correction of a model is zero and PCHIP has a kink.
    generator = torch.Generator().manual_seed(6)
    values = [
        (p.detach() + 0.1 * torch.rand(p.shape, dtype=F64, generator=generator)).requires_grad_()
        for p in parameters
    ]
    assert torch.autograd.gradcheck(output, values, fast_mode=True)


@pytest.mark.parametrize("phase", ["minimum", "zero"])
def test_other_numbers_give_their_curve(phase: str) -> None:
    """The curve of other gains, straight lines between them, evaluated by scipy."""
    ear = earfilt.ear("headphone", 48000, learnable=True, tolerance=0.01, phase=phase)
    freqs = ear.freqs[0].numpy()
    wanted = ear.numbers[0].detach().numpy() * 10 ** (np.sin(np.log2(freqs)) * 3 / 20)
    with torch.no_grad():
        ear.numbers_0.copy_(torch.as_tensor(wanted))
    hz = np.linspace(freqs[0], freqs[-1], 4000)
    reached = scipy.signal.freqz(ear.taps().detach().numpy(), worN=hz, fs=48000)[1]
    off = np.abs(decibels(reached) - decibels(np.interp(hz, freqs, wanted))).max()
    assert off < 0.1
    assert ear.deviation == pytest.approx(off, abs=0.005)


@pytest.mark.parametrize("name", ["zilany2014-human-middle", "terhardt1979", "my.csv"])
def test_a_constant_in_decibels_is_a_constant(name: str) -> None:
    ear = earfilt.ear(name, FS, learnable=True, dtype=F64)
    with torch.no_grad():
        ear.numbers_0 += 6.0
    wanted = earfilt.design(name, fs=FS).taps * 10 ** (6 / 20)
    np.testing.assert_allclose(
        ear.taps().detach().numpy(), wanted, rtol=0, atol=1e-8 * np.abs(wanted).max()
    )


@pytest.mark.parametrize("value", [0.0, -0.5])
def test_gains_of_zero_and_below_have_finite_gradients(value: float) -> None:
    ear = earfilt.ear("middle-ear", FS, learnable=True)
    with torch.no_grad():
        ear.numbers_0[4:7] = value
    ear(NOISE).square().sum().backward()
    assert torch.isfinite(ear.numbers_0.grad).all()
    assert torch.isfinite(ear.taps()).all()


def test_training_follows_another_curve() -> None:
    """Adam on the numbers brings the response of the audio to another curve."""
    ear = earfilt.ear("my.csv", FS, learnable=True, order=512).train()
    other = np.array([1.0, -3.0, 4.0, -8.0])
    hz = np.geomspace(100, 6000, 60)
    # PCHIP over log frequency of the numbers to be learnt, by scipy.
    wanted = scipy.interpolate.PchipInterpolator(np.log([100, 1000, 2700, 6000]), other)(np.log(hz))
    optimizer = torch.optim.Adam(ear.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.93)
    for _ in range(70):
        optimizer.zero_grad()
        level = 20 * torch.log10(ear.response(hz).abs())
        loss = (level - torch.as_tensor(wanted)).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    assert float(loss.detach()) ** 0.5 < 0.05
    np.testing.assert_allclose(ear.numbers[0].detach().numpy(), other, atol=0.1)
    assert ear.deviation is not None
    assert ear.deviation < 0.15


def test_deviation_is_that_of_the_design_at_the_start() -> None:
    fir = earfilt.design("outer-middle-ear", fs=48000)
    told = fir.provenance
    wanted = max(told.deviation_db or 0.0, told.deviation_between_db or 0.0)
    assert earfilt.ear("outer-middle-ear", 48000).deviation == pytest.approx(wanted, abs=1e-6)
    assert make(CASES["with-fir"]).deviation is None


# -- batches of different lengths ----------------------------------------------------------------


@pytest.mark.parametrize(
    "ear",
    [
        earfilt.HeadphoneFilter(FS, order=64),
        earfilt.HeadphoneFilter(FS, order=64, phase_type="zero"),
        earfilt.MiddleEarFilter(FS, order=64),
        earfilt.OuterMiddleEarFilter(FS, order=256),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shape", [(4, 700), (4, 3, 700), (4, 2, 3, 700)])
def test_items_of_the_documented_classes(ear: nn.Module, shape: tuple[int, ...]) -> None:
    lengths = torch.tensor([700, 33, 40, 300], dtype=torch.int32)
    x = torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(8))
    y = ear(x, lengths=lengths)
    for found, item, length in zip(y, x, lengths, strict=True):
        alone = ear(item[..., :length])
        torch.testing.assert_close(found[..., : alone.shape[-1]], alone, rtol=0, atol=1e-10)
        assert not found[..., alone.shape[-1] :].any()


@pytest.mark.parametrize("name", ["headphone", "zero"])
def test_gradients_of_a_padded_batch_are_those_of_its_items(name: str) -> None:
    ear = make(CASES[name], learnable=True, dtype=F64).train()
    lengths = torch.tensor([500, 60])
    x = torch.randn(2, 500, dtype=F64, generator=torch.Generator().manual_seed(9))
    x.requires_grad_()
    ear(x, lengths=lengths).pow(3).sum().backward()
    batch = [x.grad, *(p.grad for p in ear.parameters())]
    x.grad = None
    ear.zero_grad()
    sum(ear(item[:n]).pow(3).sum() for item, n in zip(x, lengths, strict=True)).backward()
    for found, wanted in zip(batch, [x.grad, *(p.grad for p in ear.parameters())], strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("lengths", "x", "says"),
    [
        (torch.tensor([3.0, 4.0]), torch.zeros(2, 9), "lengths are of torch.float32"),
        (torch.tensor([True, True]), torch.zeros(2, 9), "lengths are of torch.bool"),
        (torch.tensor([3, 10], dtype=torch.uint8), torch.zeros(2, 9), "lengths are 3 to 10"),
        ([3, 4], torch.zeros(2, 9), "lengths are of list"),
        (torch.tensor([3, 4, 5]), torch.zeros(2, 9), r"lengths of shape \(B,\)"),
        (torch.tensor([9]), torch.zeros(9), r"lengths of shape \(B,\)"),
        (torch.tensor([0, 4]), torch.zeros(2, 9), "each must be from 1 to the 9 samples"),
        (torch.tensor([3, 10]), torch.zeros(2, 9), "each must be from 1 to the 9 samples"),
    ],
)
def test_lengths_that_are_none(lengths: Any, x: torch.Tensor, says: str) -> None:
    with pytest.raises(earfilt.UsageError, match=says):
        earfilt.ear("headphone", FS)(x, lengths=lengths)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("kind", ["int", "uint"])
def test_lengths_are_of_any_integers(kind: str, bits: int) -> None:
    ear, x = earfilt.MiddleEarFilter(FS, order=64), torch.ones(2, 100)
    lengths = torch.tensor([90, 100])
    found = ear(x, lengths=lengths.to(getattr(torch, f"{kind}{bits}")))
    assert torch.equal(found, ear(x, lengths=lengths))


def test_an_item_that_is_shorter_than_what_is_dropped_is_refused() -> None:
    ear = earfilt.MiddleEarFilter(FS, order=64)
    with pytest.raises(earfilt.UsageError, match="compensate_delay=False"):
        ear(torch.zeros(2, 100), lengths=torch.tensor([100, 32]))
    assert ear(torch.zeros(2, 32), lengths=torch.tensor([32, 5])).shape == (2, 32)


@every_case
@pytest.mark.parametrize("shape", [(4, 900), (4, 2, 900)])
def test_an_item_of_a_padded_batch_is_the_item_alone(case: Case, shape: tuple[int, ...]) -> None:
    ear = make(case)
    lengths = torch.tensor([900, 1, 37, 500])
    x = torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(8))
    for item, length in zip(x, lengths, strict=True):
        item[..., length:] = math.nan
    y = ear(x, lengths=lengths)
    for found, item, length in zip(y, x, lengths, strict=True):
        alone = ear(item[..., :length])
        scale = max(1.0, float(alone.abs().max()))
        torch.testing.assert_close(found[..., :length], alone, rtol=0, atol=1e-11 * scale)
        assert not found[..., length:].any()


# -- saving --------------------------------------------------------------------------------------


@every_case
def test_a_saved_ear_is_the_ear(case: Case, folder: Path) -> None:
    ear = changed(make(case, learnable=True))
    ear.save("mine.json")
    (folder / "my.csv").unlink()
    (folder / "room.wav").unlink()
    wanted = ear(NOISE).detach().numpy()
    full = max(1.0, float(np.abs(wanted).max()))
    for learnable in (False, True):
        read = earfilt.ear("mine.json", learnable=learnable)
        assert (read.fs, read.name, repr(read.fir.provenance.order)) == (
            FS,
            ear.name,
            repr(ear.fir.provenance.order),
        )
        assert np.abs(read(NOISE).detach().numpy() - wanted).max() <= 1e-6 * full
        assert read.deviation == pytest.approx(ear.deviation, abs=1e-9)
        for a, b in zip(read.numbers, ear.numbers, strict=True):
            assert torch.equal(a, b)
    read.save("again.json")
    first, again = (json.loads(Path(name).read_text()) for name in ("mine.json", "again.json"))
    for found in (first, again):
        del found["start"]["meta"]  # of which only what a file may say of itself is kept
    assert again == first
    soundfile.write(folder / "in.wav", NOISE.numpy().T, FS, "FLOAT")
    assert run(["apply", "in.wav", "out.wav", "-f", "mine.json", "-q"]) == 0
    written = soundfile.read(folder / "out.wav", dtype="float32")[0].T
    assert np.abs(written - wanted).max() <= 1e-6 * full


def test_commands_read_a_saved_ear(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ear = changed(earfilt.ear("headphone", FS, learnable=True))
    ear.save("mine.json")
    assert run(["response", "-f", "mine.json", "--freqs", "1000", "-q"]) == 0
    level = float(capsys.readouterr().out.splitlines()[1].split(",")[1])
    assert level == pytest.approx(float(decibels(ear.response([1000.0]).detach())[0]), abs=1e-9)
    assert run(["design", "-f", "mine.json", "--fs", "16000", "-o", "fir.wav", "-q"]) == 0
    taps = soundfile.read(folder / "fir.wav")[0]
    np.testing.assert_allclose(taps, ear.taps().detach().numpy(), rtol=0, atol=1e-13)
    chain = earfilt.design("mine.json+middle-ear", fs=FS)
    assert chain.numtaps > len(taps)
    assert run(["apply", "x.wav", "y.wav", "-f", "mine.json", "--order", "64"]) == 2
    assert "no option --order" in capsys.readouterr().err


def test_a_saved_ear_goes_with_its_rate() -> None:
    earfilt.ear("headphone", FS).save("mine.json")
    for call in (earfilt.ear, lambda name, fs: earfilt.design(name, fs=fs)):
        with pytest.raises(earfilt.UsageError, match="was made for 16000 Hz"):
            call("mine.json", 48000)


OTHER_RATES = {
    "saved": "mine.json",
    "saved-in-a-chain": "mine.json+headphone",
    "saved-for-each-ear": "L=mine.json,R=mine.json",
    "saved-pair": "pair.json",
    "fir": "room.wav",
    "fir-in-a-chain": "headphone+room.wav",
}


@pytest.mark.parametrize("name", OTHER_RATES.values(), ids=OTHER_RATES.keys())
def test_at_another_rate_a_module_converts_as_apply_does(name: str, folder: Path) -> None:
    changed(earfilt.ear("headphone", FS, learnable=True), by=3.0).save("mine.json")
    changed(earfilt.ear("L=headphone,R=iso532-free", FS, learnable=True), by=3.0).save("pair.json")
    ear = earfilt.ear(name, 48000, resample_fir=True).eval()
    x = torch.zeros(9000, dtype=F64)
    x[4000] = 1.0
    wanted = earfilt.apply(x.numpy(), name, fs=48000, resample_fir=True)
    np.testing.assert_allclose(ear(x), wanted, rtol=0, atol=1e-12)
    if "headphone" not in name:  # nothing is designed: the response is that of the file's taps
        taps, hz = earfilt.design(name, fs=FS).taps, [250.0, 1000.0, 4000.0]
        for row, found in zip(np.atleast_2d(taps), np.atleast_2d(ear.response(hz)), strict=True):
            _, own = scipy.signal.freqz(row, worN=hz, fs=FS)
            np.testing.assert_allclose(np.abs(found), np.abs(own), rtol=1e-5)
    ear.save("again.json")
    again = earfilt.ear("again.json").eval()
    assert again.fs == 48000
    assert torch.equal(again(x), ear(x))


@pytest.mark.parametrize("name", ["headphone", "L=headphone,R=iso532-free"])
def test_a_saved_ear_learns_at_its_own_rate(name: str) -> None:
    earfilt.ear(name, FS).save("mine.json")
    for more in ({}, {"resample_fir": True}):
        with pytest.raises(
            earfilt.UsageError, match=r"mine\.json is an ear for 16000 Hz.*'[LR=]*h"
        ):
            earfilt.ear("mine.json", 48000, learnable=True, **more)
    assert earfilt.ear("mine.json", FS, learnable=True, resample_fir=True).numbers[0].requires_grad


def test_saving_refuses() -> None:
    ear = earfilt.ear("headphone", FS, learnable=True)
    ear.save("mine.json")
    with pytest.raises(earfilt.UsageError, match="exists"):
        ear.save("mine.json")
    ear.save("mine.json", force=True)
    with pytest.raises(earfilt.UsageError, match=r"saved as \.json"):
        ear.save("mine.pt")
    with torch.no_grad():
        ear.numbers_0[0] = math.nan
    with pytest.raises(earfilt.UsageError, match="not finite"):
        ear.save("other.json")


def test_a_file_says_what_it_is() -> None:
    earfilt.ear("headphone", FS, order=64).save("mine.json")
    found = json.loads(Path("mine.json").read_text())
    assert (found["earfilt"], found["format"], found["design"]) == ("ear", 1, "adapted-1")
    assert (found["filter"], found["fs"], found["order"]) == ("headphone", FS, 64)
    assert found["options"] == {"order": 64}


@pytest.mark.parametrize("name", ["documented", "table", "chain"])
@pytest.mark.parametrize("learnable", [True, False])
def test_a_module_made_or_cast_in_inference_mode_is_a_module(name: str, learnable: bool) -> None:
    def made() -> torch.nn.Module:
        if name == "documented":
            return earfilt.MiddleEarFilter(16000, learnable=learnable)
        if name == "table":
            return earfilt.HeadphoneFilter(16000, learnable=learnable)
        return earfilt.ear("headphone+middle-ear", 16000, learnable=learnable)

    x = torch.randn(2, 2000)
    wanted, cast, outside = made(), made(), made().half().float()
    with torch.inference_mode():
        here = made()
        here(x)
        cast.half().float()
    for module in (here, cast):
        for use in ("float", "double", "half", "float", "eval"):
            found = getattr(module, use)().state_dict()
            assert len(list(module.parameters())) == len(list(wanted.parameters()))
        for key, value in found.items():
            torch.testing.assert_close(value, outside.state_dict()[key])
    with torch.no_grad():
        torch.testing.assert_close(here(x), wanted(x))
    if learnable:
        for module in (here, wanted):
            module.train()(x).square().sum().backward()
            torch.optim.AdamW(module.parameters(), weight_decay=0.5).step()
        for key, value in here.state_dict().items():
            torch.testing.assert_close(value, wanted.state_dict()[key])


EVERY_EAR = {
    "fixed": lambda: earfilt.ear("headphone", FS),
    "learnt": lambda: earfilt.ear("headphone", FS, learnable=True).eval(),
    "learning": lambda: earfilt.ear("headphone", FS, learnable=True).train(),
    "two-ears": lambda: earfilt.ear("L=headphone,R=iso532-free", FS),
    "headphone": lambda: earfilt.HeadphoneFilter(FS, dtype=torch.float64),
    "middle-ear": lambda: earfilt.MiddleEarFilter(FS, "jepsen2008", compensate_delay=False),
    "outer-middle": lambda: earfilt.OuterMiddleEarFilter(32000, order=512),
    "outer-middle-learning": lambda: earfilt.OuterMiddleEarFilter(32000, order=512, learnable=True),
}


def handed_out(ear: Any) -> list[Any]:
    """Every array that a module hands out, but for the parameters and buffers themselves."""
    found = [ear.taps(), *ear.get_effective_response(1024)]
    if isinstance(ear, EarModule):
        return [*found, *ear.freqs, ear.response([100.0, 1000.0])]
    curve = ear.published_curve()
    found += [ear.fir_coeffs, curve.points_hz, curve.points_db, curve.corners_hz]
    if isinstance(ear, earfilt.OuterMiddleEarFilter):
        found += [ear.fvec, *ear.get_transfer_function()]
    return found


@pytest.mark.parametrize("name", EVERY_EAR)
def test_who_writes_to_what_an_ear_hands_out_changes_no_filter(name: str) -> None:
    """For an axis in kHz, or a peak of 1."""
    x, short = NOISE[:2], NOISE[:2, :700].double()  # the second makes spectra of its own
    used, fresh = EVERY_EAR[name](), EVERY_EAR[name]()
    used(x)
    with torch.no_grad():
        for one in handed_out(used):
            one *= 0.001
        for signal in (x, short):
            assert torch.equal(used(signal), fresh(signal))
            assert torch.equal(EVERY_EAR[name]()(signal), fresh(signal))
        for one, own in zip(handed_out(used), handed_out(fresh), strict=True):
            np.testing.assert_array_equal(one, own)


@pytest.mark.parametrize("name", EVERY_EAR)
@pytest.mark.parametrize("shape", [(2001, 2), (3, 2001, 1)])
def test_channels_are_not_taken_for_time(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(earfilt.UsageError, match=r"last dimension is time.*x\.mT"):
        EVERY_EAR[name]()(torch.zeros(shape))


def test_what_learns_hands_out_what_gradients_flow_through() -> None:
    ear = earfilt.OuterMiddleEarFilter(32000, order=512, learnable=True)
    for handed in (ear.taps(), ear.fir_coeffs, ear.get_transfer_function()[1]):
        (gradient,) = torch.autograd.grad(handed.square().sum(), ear.tf_gains)
        assert float(gradient.abs().sum()) > 0.0


@pytest.mark.parametrize(
    "name", ["headphone+middle-ear", "outer-middle-ear", "L=headphone,R=iso532-free"]
)
def test_gradients_in_a_batch_are_those_one_by_one(name: str) -> None:
    ear = earfilt.ear(name, FS, learnable=True, tolerance=1.0, dtype=F64)
    y, weights = ear(NOISE[:2].double()), torch.randn(3, 2, NOISE.shape[-1], dtype=F64)
    numbers = list(ear.parameters())
    found = torch.autograd.grad(y, numbers, weights, is_grads_batched=True, retain_graph=True)
    for index, one in enumerate(weights):
        wanted = torch.autograd.grad(y, numbers, one, retain_graph=True)
        for batched, own in zip(found, wanted, strict=True):
            torch.testing.assert_close(batched[index], own)


@pytest.mark.parametrize("phase", ["minimum", "zero"])
def test_curvature_in_one_call(phase: str) -> None:
    ear = earfilt.MiddleEarFilter(FS, order=64, phase_type=phase, learnable=True, dtype=F64)

    def energy(numbers: torch.Tensor) -> Any:
        named = {"frequency_data": numbers}
        return functional_call(ear, named, (NOISE[:1, :300].double(),)).square().sum()

    start = ear.frequency_data.detach()
    one_by_one, at_once = (
        torch.autograd.functional.hessian(energy, start, vectorize=way) for way in (False, True)
    )
    torch.testing.assert_close(at_once, one_by_one)


@pytest.mark.parametrize("learnable", [False, True])
@pytest.mark.parametrize("name", ["middle-ear", "L=headphone,R=middle-ear"])
def test_no_signals_are_differentiated_as_some_are(name: str, learnable: bool) -> None:
    """As by torch's own layers: what comes before is told a gradient of zero."""
    ear = earfilt.ear(name, FS, learnable=learnable)
    before = nn.Linear(300, 300)
    before(torch.zeros(0, 1, 300)).sum().backward()
    wanted = before.weight.grad
    before.zero_grad()
    y = ear(before(torch.zeros(0, 1, 300)))
    assert y.shape == (0, 2 if "=" in name else 1, 300)
    y.sum().backward()
    assert before.weight.grad is not None
    torch.testing.assert_close(before.weight.grad, wanted)
    for own in ear.parameters():
        assert own.grad is not None
        assert not own.grad.any()


class Marked(torch.Tensor):
    """Another kind of tensor."""


@pytest.mark.parametrize("phase", ["minimum", "zero"])
def test_kinds_of_tensors_are_not_mixed_up(phase: str) -> None:
    ear = earfilt.ear("middle-ear", FS, phase=phase).eval()
    x = NOISE.clone()
    for _ in range(2):
        assert type(ear(x.as_subclass(Marked))) is Marked
        assert type(ear(x)) is torch.Tensor


def test_a_mode_that_stands_in_for_tensors_leaves_nothing_behind() -> None:
    """Fake tensors have shapes and no values; `make_fx` records a program."""
    wanted = earfilt.ear("middle-ear", FS).eval()(NOISE)
    for call_first in (False, True):
        ear = earfilt.ear("middle-ear", FS).eval()
        if call_first:
            ear(NOISE)
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            assert ear(mode.from_tensor(NOISE)).shape == NOISE.shape
        assert torch.equal(ear(NOISE), wanted)
        other = earfilt.ear("middle-ear", FS).eval()
        recorded = make_fx(other)(NOISE)
        assert torch.equal(other(NOISE), wanted)
        torch.testing.assert_close(recorded(2.0 * NOISE), 2.0 * wanted)


def test_a_state_of_another_rate_is_refused() -> None:
    """Where the numbers are as many, but belong to other frequencies."""
    given, ear = (earfilt.ear("my.csv", fs, learnable=True) for fs in (22050, 24000))
    state = given.state_dict()
    assert ear.load_state_dict(ear.state_dict()).unexpected_keys == []
    state["numbers_0_hz"] = 1.1 * state["numbers_0_hz"]
    before = ear.numbers_0.detach().clone()
    with pytest.raises(RuntimeError, match="numbers_0 belongs to other frequencies than this ear"):
        nn.Sequential(ear).load_state_dict({f"0.{key}": one for key, one in state.items()})
    assert torch.equal(ear.numbers_0, before)
    del state["numbers_0_hz"]  # of a program that keeps parameters alone
    assert ear.load_state_dict(state).missing_keys == []
    shown = earfilt.HeadphoneFilter(FS)
    state = shown.state_dict()
    state["frequency_data"][-1, 0] *= 1.1
    with pytest.raises(RuntimeError, match="frequency_data belongs to other frequencies"):
        shown.load_state_dict(state)


@pytest.mark.parametrize("interpolation", ["spline", "log"])
def test_a_design_is_made_where_its_numbers_are(interpolation: str) -> None:
    """Whatever torch's default device is."""
    ear = earfilt.ear("my.csv", FS, learnable=True, interpolation=interpolation)
    wanted = ear(NOISE)
    torch.set_default_device("meta")
    try:
        found = ear(NOISE)
    finally:
        torch.set_default_device(None)
    assert torch.equal(found, wanted)
