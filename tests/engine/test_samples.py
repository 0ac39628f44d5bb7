"""Exact samples: quantisation, dither, levels."""

import numpy as np
import pytest

from earfilt.engine.samples import SampleFormat, Tally, quantise, tpdf
from earfilt.errors import AudioError

FORMATS = [
    SampleFormat("int16", 8),
    SampleFormat("int16", 16),
    SampleFormat("int32", 24),
    SampleFormat("int32", 32),
]


@pytest.mark.parametrize("target", FORMATS)
def test_codes_are_left_justified_and_clipped(target: SampleFormat) -> None:
    codes = np.array(
        [
            [0.0],
            [1.0],
            [-1.0],
            [target.codes - 1],
            [-target.codes],
            [target.codes],
            [-target.codes - 1],
            [3e10],
        ]
    )
    samples, levels = quantise(codes.copy(), target)
    step = 2 ** (target.width - target.bits)
    top, bottom = int(target.codes) - 1, -int(target.codes)
    assert samples.dtype == target.dtype
    assert [int(s) for s in samples[:, 0]] == [
        c * step for c in (0, 1, -1, top, bottom, top, bottom, top)
    ]
    assert levels.clipped.tolist() == [3]
    assert levels.peak.tolist() == [3e10]


@pytest.mark.parametrize("target", FORMATS)
def test_float32_never_wraps_around(target: SampleFormat) -> None:
    samples, _ = quantise(np.array([[3e10, -3e10]], np.float32), target)
    assert samples[0, 0] > 0.999 * target.full_scale * (1 - 1 / target.codes)
    assert samples[0, 1] == -target.full_scale


def test_floats_pass_unclipped() -> None:
    samples, levels = quantise(np.array([[1.5, -2.5]]), SampleFormat("float32", 0))
    assert samples.dtype == np.float32
    assert samples.tolist() == [[1.5, -2.5]]
    assert levels.clipped.tolist() == [0, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("target", [SampleFormat("int16", 16), SampleFormat("float32", 0)])
def test_what_is_no_number_is_never_written(value: float, target: SampleFormat) -> None:
    with pytest.raises(AudioError, match="beyond what float32 can hold"):
        quantise(np.array([[0.0, value]], np.float32), target)


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 3000])
@pytest.mark.parametrize("frames", [1, 7, 1024, 5001])
def test_tally_agrees_with_numpy(channels: int, frames: int) -> None:
    x = np.random.default_rng(channels).standard_normal((frames, channels))
    tally = Tally(channels)
    tally.see(x)
    tally.weigh(x)
    np.testing.assert_array_equal(tally.peak, np.abs(x).max(axis=0))
    np.testing.assert_allclose(tally.energy, (x**2).sum(axis=0), rtol=1e-12)


def test_tally_sees_nan_and_the_lowest_integer() -> None:
    tally = Tally(2)
    tally.see(np.array([[0.0, np.nan], [1.0, 2.0]]))
    assert np.isnan(tally.peak).tolist() == [False, True]
    tally = Tally(1)
    tally.see(np.array([[-32768]], np.int16))
    assert tally.peak.tolist() == [32768.0]


def test_dither_is_triangular_seeded_and_counted() -> None:
    noise = tpdf(7, 3, (200_000, 1))
    assert np.abs(noise).max() <= 1.0
    assert abs(noise.mean()) < 0.005
    assert noise.var() == pytest.approx(1 / 6, rel=0.01)  # of a triangular density on -1..1
    assert np.array_equal(noise, tpdf(7, 3, (200_000, 1)))
    for seed, index in ((8, 3), (7, 4)):
        other = tpdf(seed, index, (200_000, 1))
        assert abs(np.corrcoef(noise[:, 0], other[:, 0])[0, 1]) < 0.01
