"""The three ears: published figures, scipy, and what is promised of a torch module."""

import copy
import io
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch import nn

import earfilt
from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
from earfilt.errors import UsageError
from tests.conftest import reference

F64 = torch.float64
Ear = HeadphoneFilter | MiddleEarFilter | OuterMiddleEarFilter
MakeEar = Callable[..., Ear]


def small_outer_middle(fs: float, **options: Any) -> OuterMiddleEarFilter:
    return OuterMiddleEarFilter(fs, **{"flow": 200.0, "fhigh": 240.0, "order": 64, **options})


EARS: dict[str, MakeEar] = {
    "headphone": HeadphoneFilter,
    "headphone-zero": lambda fs, **o: HeadphoneFilter(fs, phase_type="zero", **o),
    "lopezpoveda2001": MiddleEarFilter,
    "lopezpoveda2001-zero": lambda fs, **o: MiddleEarFilter(fs, phase_type="zero", **o),
    "jepsen2008": lambda fs, **o: MiddleEarFilter(fs, "jepsen2008", **o),
    "jepsen2008-zero": lambda fs, **o: MiddleEarFilter(fs, "jepsen2008", phase_type="zero", **o),
    "goode1994": lambda fs, **o: MiddleEarFilter(fs, "goode1994", **o),
    "outer-middle": OuterMiddleEarFilter,
    "outer-middle-minimum": lambda fs, **o: OuterMiddleEarFilter(
        fs, phase_type="minimum", convention="published", **o
    ),
}
every_ear = pytest.mark.parametrize("make", EARS.values(), ids=EARS.keys())


def decibels(h: Any) -> np.ndarray:
    return 20 * np.log10(np.abs(np.asarray(h)))


def at(taps: torch.Tensor, freqs: np.ndarray, fs: float) -> np.ndarray:
    """Magnitude in dB by scipy."""
    return decibels(scipy.signal.freqz(taps.double().numpy(), worN=freqs, fs=fs)[1])


# -- figures of others ---------------------------------------------------------------------------


def amt(name: str, fs: int) -> np.ndarray:
    rows = reference("amt_fir_magnitude.csv")
    return np.array([(float(r[3]), float(r[4])) for r in rows if r[0] == name and int(r[1]) == fs])


def compared(points: np.ndarray, fs: float) -> np.ndarray:
    f, db = points.T
    return points[(f >= 100) & (f <= min(8000, 0.45 * fs)) & (db > db.max() - 60)]


@pytest.mark.parametrize("fs", [16000, 44100, 48000])
@pytest.mark.parametrize(
    ("name", "make", "tolerance"),
    [
        ("headphone", lambda fs: HeadphoneFilter(fs, dtype=F64), 0.15),
        (
            "middle_ear_jepsen2008_linear",
            lambda fs: MiddleEarFilter(fs, "jepsen2008", normalize_gain=False, dtype=F64),
            0.15,
        ),
        (
            "middle_ear_lopezpoveda2001_goode_linear",
            lambda fs: MiddleEarFilter(fs, "goode1994", normalize_gain=False, dtype=F64),
            0.15,
        ),
        (
            "middle_ear_lopezpoveda2001_goode_minimum",
            lambda fs: MiddleEarFilter(fs, "goode1994", normalize_gain=False, dtype=F64),
            0.35,
        ),
    ],
)
def test_magnitude_of_the_auditory_modeling_toolbox(
    name: str, make: Callable[[float], Ear], tolerance: float, fs: int
) -> None:
    points = compared(amt(name, fs), fs)
    assert len(points) > 20
    # The minimum-phase taps have the linear-phase design's magnitude (tested in test_design), so
    # they stand for both here.
    assert np.abs(at(make(fs).fir_coeffs, points[:, 0], fs) - points[:, 1]).max() < tolerance


def test_tf_gains_of_the_auditory_modeling_toolbox() -> None:
    ear = OuterMiddleEarFilter(48000)
    freqs, gains = ear.get_transfer_function()
    rows = {round(float(f)): float(g) for f, g in zip(freqs, gains, strict=True)}
    for f, gain in reference("amt_outer_middle_1997_free_db.csv"):
        assert abs(rows[int(f)] - float(gain)) < 1e-4


@pytest.mark.parametrize(
    ("ear", "level_db", "hz"),
    [
        (HeadphoneFilter(16000, dtype=F64), 8.89, 2724.6),
        (MiddleEarFilter(16000, normalize_gain=False, dtype=F64), -66.16, 803),
    ],
)
def test_peaks_of_the_rulings(
    ear: HeadphoneFilter | MiddleEarFilter, level_db: float, hz: float
) -> None:
    freqs, response = ear.get_frequency_response()
    peak = int(response.abs().argmax())
    assert abs(float(decibels(response[peak])) - level_db) < 0.03
    assert abs(float(freqs[peak]) - hz) < 4


def test_outer_middle_ear_rulings() -> None:
    ear = OuterMiddleEarFilter(48000)
    freqs, response_db = ear.get_frequency_response()
    assert abs(float(response_db.max()) - 16.41) < 0.01
    assert abs(float(freqs[response_db.argmax()]) - 3210) < 10
    at_1250 = [
        float(OuterMiddleEarFilter(48000, f"tfOuterMiddle{year}").tf_gains[1230])
        for year in (1997, 2007)
    ]
    np.testing.assert_allclose(at_1250, [0.0, -1.3], atol=1e-6)
    effective = {
        c: OuterMiddleEarFilter(48000, convention=c).get_effective_response()[1].abs()
        for c in ("amt", "published")
    }
    assert abs(20 * math.log10(effective["amt"].max()) - 32.8) < 0.1
    assert abs(20 * math.log10(effective["published"].max()) - 8.2) < 0.05


@pytest.mark.parametrize("table", ["lopezpoveda2001", "jepsen2008", "goode1994"])
@pytest.mark.parametrize("phase", ["minimum", "zero"])
@pytest.mark.parametrize("fs", [8000, 16000, 22050, 48000, 96000])
def test_normalised_middle_ear_peaks_at_0_db(table: str, phase: str, fs: int) -> None:
    _, response = MiddleEarFilter(fs, table, phase_type=phase, dtype=F64).get_frequency_response()
    assert abs(20 * math.log10(response.abs().max())) < 1e-3


def test_unnormalised_scale() -> None:
    for phase in ("minimum", "zero"):
        _, response = MiddleEarFilter(
            16000, "jepsen2008", phase_type=phase, normalize_gain=False, dtype=F64
        ).get_frequency_response()
        assert abs(float(response.abs().max()) / (1e-8 * 10 ** (104 / 20)) - 1) < 1e-4
        zero_or_minimum, _ = (
            MiddleEarFilter(16000, phase_type=p, normalize_gain=False, dtype=F64)
            for p in ("zero", "minimum")
        )
        assert (
            abs(float(decibels(zero_or_minimum.get_frequency_response()[1]).max()) + 66.16) < 0.05
        )


# -- shapes, attributes, reprs -------------------------------------------------------------------


def test_reprs() -> None:
    assert (
        repr(HeadphoneFilter(16000))
        == "HeadphoneFilter(fs=16000, order=512, phase_type=minimum, learnable=False)"
    )
    assert repr(MiddleEarFilter(16000)).startswith(
        "MiddleEarFilter(fs=16000, filter_type=lopezpoveda2001, order=512, "
    )
    assert (
        repr(OuterMiddleEarFilter(32000))
        == "OuterMiddleEarFilter(fs=32000, type='tfOuterMiddle1997', field='free')"
    )


@pytest.mark.parametrize(
    ("ear", "count"),
    [
        (HeadphoneFilter(16000, learnable=True), 44),
        (MiddleEarFilter(16000, learnable=True), 53),
        (OuterMiddleEarFilter(32000, learnable=True), 15981),
        (MiddleEarFilter(16000, learnable=True, normalize_gain=False), 52),
        (HeadphoneFilter(16000), 0),
    ],
)
def test_counts_of_learnable_numbers(ear: Ear, count: int) -> None:
    assert sum(p.numel() for p in ear.parameters()) == count


def test_attributes() -> None:
    headphone = HeadphoneFilter(8000, 64, "zero", compensate_delay=False)
    assert headphone.frequency_data.shape == (22, 2)
    assert headphone.fir_coeffs.shape == (65,)
    assert headphone.group_delay == 32
    assert headphone.get_parameters() == {
        "fs": 8000,
        "order": 64,
        "phase_type": "zero",
        "learnable": False,
        "num_frequency_points": 22,
        "frequency_range": [125.0, pytest.approx(9008.42, abs=0.01)],
        "compensate_delay": False,
    }
    middle = MiddleEarFilter(16000)
    assert middle.frequency_data.shape == (26, 2)
    assert float(middle.frequency_data[:, 1].max()) == 1.0
    assert middle.reference_gain == 1e-8
    assert middle.gain_normalization.shape == ()
    outer = OuterMiddleEarFilter(32000, flow=100, fhigh=200.5)
    assert outer.fvec.tolist() == [float(f) for f in range(100, 201)]
    assert outer.tf_gains.shape == (101,)
    assert outer.fir_coeffs.shape == (4097,)


@pytest.mark.parametrize("fs", [24000, 44100, 96000])
def test_middle_ear_rows_are_continued_to_nyquist(fs: int) -> None:
    rows = MiddleEarFilter(fs, dtype=F64).frequency_data.numpy()
    beyond = rows[rows[:, 0] >= 10000]
    assert beyond[-1, 0] == fs / 2
    for (f0, a0), (f1, a1) in itertools.pairwise(beyond):
        assert a0 / a1 == pytest.approx(1.1 if f1 - f0 == 1000 else 1 + (f1 - f0) * 0.1 / 1000)


@pytest.mark.parametrize(
    "shape", [(700,), (3, 700), (2, 5, 700), (2, 1, 3, 700), (0, 700), (1,), (2, 3)]
)
@every_ear
def test_shapes(make: MakeEar, shape: tuple[int, ...]) -> None:
    ear = make(16000, order=128)
    frames = shape[-1]
    dropped = (
        64
        if isinstance(ear, MiddleEarFilter) and ear.phase_type == "minimum" and frames > 64
        else 0
    )
    assert ear(torch.zeros(shape)).shape == (*shape[:-1], frames - dropped)


def test_documented_shapes_of_the_middle_ear() -> None:
    ear = MiddleEarFilter(16000)
    assert ear(torch.zeros(2, 16000)).shape == (2, 15744)
    assert ear(torch.zeros(4, 31, 1600)).shape == (4, 31, 1344)
    assert MiddleEarFilter(16000, compensate_delay=False)(torch.zeros(2, 16000)).shape == (2, 16000)


def test_dropping_samples_is_all_that_compensate_delay_does(rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(2, 2000)))
    whole = MiddleEarFilter(16000, compensate_delay=False)(x)
    assert torch.equal(MiddleEarFilter(16000)(x), whole[:, 256:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HeadphoneFilter(0), "fs is 0"),
        (lambda: HeadphoneFilter(-1), "fs is -1"),
        (lambda: HeadphoneFilter(math.nan), "fs is nan"),
        (lambda: HeadphoneFilter(math.inf), "fs is inf"),
        (lambda: HeadphoneFilter(400), "fs is 400 Hz, which leaves 1 table rows.*above 500 Hz"),
        (lambda: MiddleEarFilter(300), "fs is 300 Hz"),
        (lambda: OuterMiddleEarFilter(41), "fs is 41 Hz"),
        (lambda: HeadphoneFilter(16000, 1), "order is 1"),
        (lambda: HeadphoneFilter(16000, 2.5), "order is 2.5"),
        (lambda: MiddleEarFilter(16000, order=511), "order 511 is odd"),
        (
            lambda: HeadphoneFilter(16000, phase_type="linear"),
            "phase_type is 'linear'; allowed: 'minimum', 'zero'",
        ),
        (
            lambda: MiddleEarFilter(16000, "goode"),
            "filter_type is 'goode'; allowed: 'lopezpoveda2001'",
        ),
        (
            lambda: OuterMiddleEarFilter(16000, "x"),
            "compensation_type is 'x'; allowed: 'tfOuterMiddle1997'",
        ),
        (lambda: OuterMiddleEarFilter(16000, field_type="x"), "field_type is 'x'"),
        (lambda: OuterMiddleEarFilter(16000, convention="x"), "convention is 'x'"),
        (lambda: OuterMiddleEarFilter(16000, flow=10), "flow is 10 .*20 <= flow < fhigh <= 20000"),
        (lambda: OuterMiddleEarFilter(48000, fhigh=20001), "fhigh is 20001"),
        (lambda: OuterMiddleEarFilter(48000, flow=500, fhigh=500), "flow is 500"),
        (lambda: HeadphoneFilter(16000).get_effective_response(0), "nfft is 0; .* 1 to 2147483648"),
        (lambda: HeadphoneFilter(16000).get_frequency_response(10**30), "nfft is 10{30}; "),
    ],
)
def test_bad_arguments_say_value_and_rule(make: Callable[[], Ear], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    "signal",
    [
        torch.zeros(2, 100, dtype=torch.int16),
        torch.zeros(5, dtype=torch.complex64),
        torch.zeros(5).to(torch.float8_e5m2),
    ],
)
def test_dtypes_no_filter_can_take(signal: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="dtype"):
        HeadphoneFilter(16000)(signal)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, that complex modules are new
@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e5m2])
def test_a_cast_to_what_no_numbers_are_kept_in_changes_nothing(dtype: torch.dtype) -> None:
    ear, x = HeadphoneFilter(16000), torch.ones(100)
    before = ear(x)
    with pytest.raises(TypeError, match=f"dtype is {dtype}; allowed: torch.float16"):
        ear.to(dtype)
    assert torch.equal(ear(x), before)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, that such tensors are new
@pytest.mark.parametrize(
    ("layout", "make"),
    [
        ("torch.sparse_coo", torch.Tensor.to_sparse),
        ("torch.sparse_csr", torch.Tensor.to_sparse_csr),
        ("torch._mkldnn", torch.Tensor.to_mkldnn),
        ("nested", lambda x: torch.nested.nested_tensor([x[0], x[1, :9]])),
    ],
)
def test_tensors_that_are_not_dense_are_refused(
    layout: str, make: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    ear, x = earfilt.ear("headphone", 16000), make(torch.ones(2, 100))
    signal = f"layout of the signal is {layout}; only dense"
    with pytest.raises(UsageError, match=signal):
        ear(x)
    with pytest.raises(UsageError, match=signal):
        earfilt.apply(x, "headphone", fs=16000)
    with pytest.raises(UsageError, match=f"layout of the block is {layout}"):
        earfilt.stream("headphone", fs=16000).push(x)
    with pytest.raises(UsageError, match=f"layout of freqs is {layout}"):
        ear.response(x)
    with pytest.raises(UsageError, match="layout of lengths is"):
        ear(torch.ones(2, 100), lengths=torch.tensor([9, 100]).to_sparse())


@pytest.mark.parametrize("signal", [torch.zeros(2, 0), torch.zeros(0), torch.tensor(1.0)])
def test_no_time(signal: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        HeadphoneFilter(16000)(signal)


def test_odd_orders_where_the_gain_at_nyquist_is_zero() -> None:
    assert HeadphoneFilter(16000, 511).fir_coeffs.shape == (512,)


# -- what the audio gets -------------------------------------------------------------------------


@every_ear
def test_forward_equals_scipy(make: MakeEar, rng: np.random.Generator) -> None:
    ear = make(16000, dtype=F64, order=256)
    x = rng.normal(size=(2, 3000))
    gain = 10 ** (float(ear.gain_normalization) / 20) if isinstance(ear, MiddleEarFilter) else 1.0
    taps = ear.fir_coeffs.numpy()
    if ear.phase_type == "zero":
        wanted = gain * scipy.signal.filtfilt(taps, [1.0], x, padlen=256)
    else:
        wanted = gain * scipy.signal.lfilter(taps, [1.0], x)
    if isinstance(ear, MiddleEarFilter):
        ear._dropped = 0
    np.testing.assert_allclose(
        ear(torch.from_numpy(x)).numpy(), wanted, atol=1e-10 * np.abs(wanted).max()
    )


@every_ear
def test_an_impulse_answers_at_its_own_sample(make: MakeEar) -> None:
    ear = make(16000)
    x = torch.zeros(6000, dtype=F64)
    x[2000] = 1.0
    if isinstance(ear, MiddleEarFilter):
        ear._dropped = 0
    y = ear(x)
    if ear.phase_type == "zero":
        assert int(y.abs().argmax()) == 2000
        assert torch.allclose(y[2001:3000], y[1001:2000].flip(0), atol=1e-12)
    else:
        assert float(y[:2000].abs().max()) < 1e-12
        assert int(y.abs().argmax()) - 2000 < 12


@every_ear
def test_effective_response_is_what_the_audio_gets(make: MakeEar, rng: np.random.Generator) -> None:
    ear = make(16000, dtype=F64, order=256)
    if isinstance(ear, MiddleEarFilter):
        ear._dropped = 0
    x = np.zeros(8192)
    x[3000:4000] = rng.normal(size=1000)
    freqs, response = ear.get_effective_response(8192)
    wanted = np.fft.irfft(np.fft.rfft(x) * response.numpy())
    np.testing.assert_allclose(ear(torch.from_numpy(x)).numpy(), wanted, atol=1e-10)
    np.testing.assert_allclose(freqs.numpy(), np.fft.rfftfreq(8192, 1 / 16000), rtol=1e-15)


@every_ear
@pytest.mark.parametrize("nfft", [1, 5, 64, 100])
def test_responses_of_few_points_are_exact(make: MakeEar, nfft: int) -> None:
    ear = make(16000, order=128)
    few_freqs, few = ear.get_frequency_response(nfft)
    freqs, many = ear.get_frequency_response(nfft * 64)
    np.testing.assert_allclose(few_freqs, freqs[::64][: len(few)], rtol=1e-12)
    np.testing.assert_allclose(few, many[::64][: len(few)], atol=1e-9)


@pytest.mark.parametrize("fs", [11025, 16000, 48000])
def test_both_phases_give_the_published_magnitude(fs: int) -> None:
    minimum, zero = (
        OuterMiddleEarFilter(fs, convention="published", phase_type=p, dtype=F64)
        for p in ("minimum", "zero")
    )
    points = zero.published_curve()
    wanted = points.points_db[points.points_hz >= 125]
    hz = points.points_hz[points.points_hz >= 125]
    for ear in (minimum, zero):
        np.testing.assert_allclose(at(ear.taps(), hz, fs), wanted, atol=0.3)


# -- as torch modules ----------------------------------------------------------------------------


@every_ear
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_casting_rounds_the_float64_design(make: MakeEar, dtype: torch.dtype) -> None:
    exact = make(16000, dtype=F64).fir_coeffs
    assert torch.equal(make(16000).to(dtype).fir_coeffs, exact.to(dtype))
    assert torch.equal(make(16000).half().to(dtype).fir_coeffs, exact.to(dtype))
    assert torch.equal(make(16000, dtype=dtype).fir_coeffs, exact.to(dtype))


def test_grid_stays_float64() -> None:
    ear = OuterMiddleEarFilter(32000).half()
    assert ear.fvec.dtype == F64
    assert ear.tf_gains.dtype == torch.float16


@every_ear
def test_output_follows_the_input(make: MakeEar, rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(2, 2000)))
    ear = make(16000)
    wanted = ear(x)
    for dtype, error in ((torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 1e-1)):
        y = ear(x.to(dtype))
        assert y.dtype == dtype
        assert float((y.double() - wanted).abs().max() / wanted.abs().max()) < error


@every_ear
@pytest.mark.parametrize("learnable", [False, True])
def test_state_dict_round_trip(make: MakeEar, learnable: bool) -> None:
    ear, other = (
        make(16000, learnable=learnable, order=64),
        make(16000, learnable=learnable, order=64),
    )
    state = ear.state_dict()
    assert {name.split(".")[-1] for name in state} <= {
        "frequency_data",
        "gain_normalization",
        "tf_gains",
    }
    with torch.no_grad():
        for value in state.values():
            value += 0.25
    assert not torch.equal(ear.fir_coeffs, other.fir_coeffs)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    x = torch.randn(500, generator=torch.Generator().manual_seed(1))
    assert torch.equal(ear(x), other(x))


@every_ear
def test_copies_give_the_same_audio(make: MakeEar) -> None:
    ear = make(16000, learnable=True, order=64).eval()
    x = torch.randn(300, generator=torch.Generator().manual_seed(2))
    wanted = ear(x)
    for twin in (copy.deepcopy(ear), pickle.loads(pickle.dumps(ear)), ear.share_memory()):
        assert torch.equal(twin(x), wanted)


def test_hooks_and_containers() -> None:
    seen = []
    model = nn.Sequential(HeadphoneFilter(16000, order=64, learnable=True), nn.Tanh())
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    model(torch.randn(2, 200)).sum().backward()
    assert seen == [(2, 200)]
    model.requires_grad_(False)
    assert not model(torch.randn(2, 200)).requires_grad
    model.zero_grad()


def test_eval_cache_is_refreshed_whenever_the_numbers_change() -> None:
    ear = HeadphoneFilter(16000, learnable=True, order=64).eval()
    x = torch.randn(300, generator=torch.Generator().manual_seed(3))
    fresh = copy.deepcopy(ear)
    outputs = [ear(x)]

    def changed() -> None:
        y = ear(x)
        assert not torch.equal(y, outputs[-1])
        fresh.load_state_dict(ear.state_dict())
        assert torch.allclose(y, fresh(x), atol=1e-6)
        assert not y.requires_grad
        outputs.append(y)

    ear.frequency_data.data[3, 1] *= 2.0  # does not raise the tensor's version
    changed()
    with torch.no_grad():
        ear.frequency_data[4, 1] += 0.5
    changed()
    optimizer = torch.optim.SGD(ear.parameters(), lr=0.1)
    ear.train()(x).square().sum().backward()
    optimizer.step()
    ear.eval()
    changed()
    with torch.inference_mode():
        ear(x)
    ear(x.requires_grad_()).sum().backward()


@pytest.mark.parametrize(
    "ear",
    [
        HeadphoneFilter(16000, learnable=True, order=64),
        MiddleEarFilter(16000, learnable=True, order=64),
    ],
)
def test_the_frequency_column_is_never_used(ear: HeadphoneFilter | MiddleEarFilter) -> None:
    before = ear.fir_coeffs.detach().clone()
    ear(torch.randn(2, 300)).square().sum().backward()
    assert ear.frequency_data.grad is not None
    assert float(ear.frequency_data.grad[:, 0].abs().max()) == 0.0
    assert float(ear.frequency_data.grad[:, 1].abs().max()) > 0.0
    with torch.no_grad():
        ear.frequency_data[:, 0] = 7.0
    assert torch.equal(ear.fir_coeffs, before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: HeadphoneFilter(8000, 32, learnable=True, dtype=F64),
        lambda: HeadphoneFilter(8000, 32, "zero", learnable=True, dtype=F64),
        lambda: MiddleEarFilter(8000, order=32, learnable=True, dtype=F64),
        lambda: MiddleEarFilter(8000, "jepsen2008", 32, "zero", learnable=True, dtype=F64),
        lambda: small_outer_middle(8000, learnable=True, dtype=F64),
        lambda: small_outer_middle(
            8000, learnable=True, dtype=F64, convention="published", phase_type="minimum"
        ),
    ],
)
def test_gradcheck(make: Callable[[], Ear]) -> None:
    ear = make().train()
    names, parameters = zip(*ear.named_parameters(), strict=True)
    x = torch.randn(90, dtype=F64, generator=torch.Generator().manual_seed(4))

    def output(*values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(ear, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(
        output, tuple(p.detach().clone().requires_grad_() for p in parameters), fast_mode=True
    )


@pytest.mark.parametrize("value", [0.0, -0.5])
@pytest.mark.parametrize("phase", ["minimum", "zero"])
@pytest.mark.parametrize("make", [HeadphoneFilter, MiddleEarFilter])
def test_zero_and_negative_gains_have_finite_gradients(
    make: MakeEar, phase: str, value: float
) -> None:
    ear = make(16000, order=64, phase_type=phase, learnable=True)
    with torch.no_grad():
        ear.frequency_data[5, 1] = value
        ear.frequency_data[9:12, 1] = value
    ear(torch.randn(500)).square().sum().backward()
    for parameter in ear.parameters():
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("lr", [1e-4, 1e-3])
@pytest.mark.parametrize(
    "make",
    [
        lambda: HeadphoneFilter(16000, order=128, learnable=True),
        lambda: MiddleEarFilter(16000, order=128, learnable=True),
        lambda: OuterMiddleEarFilter(16000, order=256, learnable=True, convention="published"),
    ],
)
def test_adam_trains(make: Callable[[], Ear], lr: float) -> None:
    ear = make()
    x = torch.randn(4, 4000, generator=torch.Generator().manual_seed(5))
    target = ear(x).detach() * 1.02
    optimizer = torch.optim.Adam(ear.parameters(), lr=lr)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = (ear(x) - target).square().mean() / target.square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert max(losses) < 2 * losses[0]


# torch's own, at any graph break
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiled_training_step_gives_the_same_gradients() -> None:
    torch._dynamo.reset()
    plain, compiled = (HeadphoneFilter(16000, order=64, learnable=True) for _ in range(2))
    x = torch.randn(2, 400)
    plain(x).square().sum().backward()
    torch.compile(compiled, backend="aot_eager")(x).square().sum().backward()
    torch.testing.assert_close(
        compiled.frequency_data.grad, plain.frequency_data.grad, rtol=1e-4, atol=1e-4
    )


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_ear
def test_cuda_gives_the_same_samples(make: MakeEar) -> None:
    x = torch.rand(2, 48000) * 2 - 1
    ear = make(48000)
    wanted = ear(x)
    on_device = ear.cuda()
    assert on_device.fir_coeffs.is_cuda
    assert float((on_device(x.cuda()).cpu() - wanted).abs().max()) < 1e-5 * max(
        1.0, float(wanted.abs().max())
    )


def test_published_curve_passes_through_the_points() -> None:
    curve = MiddleEarFilter(16000).published_curve()
    assert curve.points_hz[-1] <= 0.45 * 16000
    assert float(curve.points_db.max()) == 0.0
    np.testing.assert_allclose(
        20 * np.log10(curve.aim(curve.points_hz)), curve.points_db, atol=1e-9
    )
    raw = MiddleEarFilter(48000, normalize_gain=False).published_curve()
    assert raw.points_hz[-1] == 10000
    assert abs(float(raw.points_db.max()) - 20 * math.log10(1e-8 / 20e-6)) < 1e-9
