"""The file engine on a device, against the float64 oracle and the CPU. Where there is no CUDA, torch
on the processor stands in for it: all but the copies is the same.
"""

from typing import Any

import numpy as np
import pytest
import torch

from earfilt.engine import gpu, pipeline
from earfilt.engine.gpu import DeviceFilter
from earfilt.engine.pipeline import NonFiniteError, SampleFormat
from earfilt.engine.samples import BeyondRangeError
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir
from tests.engine.test_pipeline import (
    F32,
    F64,
    I8,
    I16,
    I24,
    I32,
    LOWPASS,
    ZERO_PHASE,
    noise,
    oracle,
)
from tests.engine.test_pipeline import apply as run

RNG = np.random.default_rng(5)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ],
    ),
]
pytestmark = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several windows in short signals."""
    monkeypatch.setattr(gpu, "CALL_BYTES", 1 << 17)


def apply(*given: Any, device: str, **settings: Any) -> Any:
    """`tests.engine.test_pipeline.apply` by the engine for devices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_filter_for", lambda device: DeviceFilter)
        return run(*given, device=device, **settings)


@pytest.mark.parametrize("fir", [LOWPASS, ZERO_PHASE])
@pytest.mark.parametrize(
    ("source", "target"),
    [(I8, I8), (I16, I16), (I16, I24), (I24, I24), (I32, I32), (F32, F32), (F64, I16), (F64, F64)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_and_levels(
    fir: Fir, source: SampleFormat, target: SampleFormat, channels: int, device: str
) -> None:
    x = noise(50_000, channels, source)
    y, levels = apply(x, fir, source, target, device=device, reads=(999, 4097), threads=3)
    exact = oracle(x, fir, source) * target.codes
    got = y / target.full_scale * target.codes
    within = 0.5 + 1e-6 if target.is_integer else 1e-12 if target is F64 else 1e-7
    assert np.abs(got - exact).max() <= within
    assert levels.precision == "float64"
    _, same = run(x, fir, source, target, precision="float64")
    for name in ("peak_in", "rms_in", "peak_out", "rms_out"):
        np.testing.assert_allclose(getattr(levels, name), getattr(same, name), rtol=1e-6)
    assert (levels.frames_in, levels.frames_out) == (same.frames_in, same.frames_out)


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_two_ears(rows: int, channels: int, device: str) -> None:
    ears = Fir(RNG.standard_normal((rows, 65)) / 30, None)
    x = noise(20_000, channels, I16)
    y, _ = apply(x, ears, I16, I16, device=device)
    wanted, _ = run(x, ears, I16, I16, precision="float64")
    assert y.shape == wanted.shape == (20_000, 2)
    assert np.count_nonzero(y != wanted) <= 2  # ties


def test_float32_where_it_is_asked_for(device: str) -> None:
    x = noise(30_000, 2, F32)
    y, levels = apply(x, LOWPASS, F32, F32, device=device, precision="float32")
    assert levels.precision == "float32"
    assert 0 < np.abs(y - oracle(x, LOWPASS, F32)).max() < 1e-6


def test_dither_is_that_of_the_cpu(device: str) -> None:
    x = noise(30_000, 2, I16)
    given: dict[str, Any] = {"dither_seed": 7, "threads": 2}
    y, _ = apply(x, LOWPASS, I16, I16, device=device, **given)
    wanted, _ = run(x, LOWPASS, I16, I16, precision="float64", **given)
    assert np.count_nonzero(y != wanted) <= 2
    plain, _ = run(x, LOWPASS, I16, I16, precision="float64")
    assert np.count_nonzero(y != plain) > 10_000


def test_what_is_clipped_is_counted(device: str) -> None:
    for form in (I16, I24):
        x = noise(30_000, 2, form, amplitude=0.9)
        x[:, 1] >>= 4
        y, levels = apply(x, LOWPASS, form, form, device=device, gain=2.5)
        wanted, same = run(x, LOWPASS, form, form, precision="float64", gain=2.5)
        assert (
            np.abs((y >> (form.width - form.bits)) - (wanted >> (form.width - form.bits))).max()
            <= 1
        )
        assert levels.clipped.tolist() == same.clipped.tolist()
        assert levels.clipped[0] > 100
        assert levels.clipped[1] == 0
        np.testing.assert_allclose(levels.peak_out, same.peak_out, atol=2 / form.codes)


def test_digital_silence_stays_silent(device: str) -> None:
    x = noise(60_000, 2, I16)
    x[10_000:50_000, 0] = 0
    y, _ = apply(x, LOWPASS, I16, I16, device=device, dither_seed=1)
    wanted, _ = run(x, LOWPASS, I16, I16, precision="float64", dither_seed=1)
    silent = (wanted == 0).reshape(-1, 2)
    assert silent[20_000:40_000, 0].mean() > 0.5  # whole segments of it
    assert np.count_nonzero(silent != (y == 0)) <= 2


@pytest.mark.parametrize("frames", [1, 2, 63, 4096])
def test_short_signals_and_tails(frames: int, device: str) -> None:
    x = noise(frames, 2, F64)
    for fir in (LOWPASS, ZERO_PHASE):
        y, _ = apply(x, fir, F64, F64, device=device)
        np.testing.assert_allclose(y, oracle(x, fir, F64), rtol=0, atol=1e-12)
    y, levels = apply(x, LOWPASS, F64, F64, device=device, keep_tail=True)
    wanted, _ = run(x, LOWPASS, F64, F64, keep_tail=True)
    assert levels.frames_out == frames + LOWPASS.numtaps - 1
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-12)


def test_what_cannot_be_filtered_is_refused(device: str) -> None:
    x = noise(9000, 1, F32)
    with pytest.raises(BeyondRangeError, match="lower the gain"):
        apply(x, LOWPASS, F32, F32, device=device, gain=1e41)
    with pytest.raises(UsageError, match="latency"):
        apply(x, LOWPASS, F32, F32, device=device, latency=256)
    x[7000] = np.nan
    with pytest.raises(NonFiniteError, match="frame 7000"):
        apply(x, LOWPASS, F32, F32, device=device)
    y, levels = apply(x, LOWPASS, F32, F32, device=device, repair=True)
    assert levels.repaired == 1
    assert np.isfinite(y).all()
