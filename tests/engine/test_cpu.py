"""Overlap-save against scipy.signal."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal

from earfilt.engine import cpu
from earfilt.engine.cpu import OverlapSave, Packing
from earfilt.engine.samples import SampleFormat
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir
from tests.engine.test_pipeline import F32, I16, I24, apply


@pytest.mark.parametrize("numtaps", [1, 100, 1500])
@pytest.mark.parametrize(
    ("channels", "packing"),
    [
        (1, None),
        (2, None),
        (3, None),
        (2, "channels"),
        (8, "channels"),
        (1, "halves"),
        (2, "halves"),
    ],
)
@pytest.mark.parametrize(("dtype", "within"), [("float32", 2e-5), ("float64", 1e-12)])
def test_segments_are_lfilter(
    numtaps: int, channels: int, packing: Packing | None, dtype: str, within: float
) -> None:
    rng = np.random.default_rng(numtaps)
    taps = rng.standard_normal(numtaps) / np.sqrt(numtaps)
    step = OverlapSave(taps, dtype=dtype, packing=packing)
    assert step.overlap >= numtaps - 1
    window = step.empty(step.overlap + 3 * step.hop, channels)
    window[...] = rng.standard_normal(window.shape)
    expected = scipy.signal.lfilter(taps, 1.0, window.astype(float), axis=0)[step.overlap :]
    step(window, window[: 3 * step.hop])  # onto its own input, as the engine does
    np.testing.assert_allclose(window[: 3 * step.hop], expected, rtol=0, atol=within)


@pytest.mark.parametrize("packing", [None, "channels", "halves"])
def test_whole_numbers_are_the_nearest_ones(packing: Packing | None) -> None:
    step = OverlapSave(np.array([1 / np.pi]), dtype="float64", packing=packing)
    window = step.empty(step.overlap + step.hop, 2)
    window[...] = np.arange(window.size).reshape(window.shape)
    expected = np.rint(window[step.overlap :] / np.pi)
    out = step.empty(step.hop, 2)
    step(window, out, whole=True)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(("channels", "target"), [(6, I16), (5, I16), (3, F32), (6, I24)])
def test_channels_by_turns_are_what_they_are_at_once(
    channels: int, target: SampleFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As very many of them are filtered, where memory counts."""
    rng = np.random.default_rng(channels)
    fir = Fir(scipy.signal.firwin(513, 0.3), 48_000.0)
    x = np.rint(0.6 * target.full_scale * rng.uniform(-1, 1, (150_000, channels)))
    x = x.astype(target.dtype) if target.is_integer else x.astype("f4") / 3
    if target.bits == 24:
        x &= ~0xFF
    once, levels = apply(x, fir, target, target, gain=1.9)
    monkeypatch.setattr(cpu, "_SEGMENT_BYTES", 1)
    turns, same = apply(x, fir, target, target, gain=1.9)
    np.testing.assert_array_equal(turns, once)
    for name in ("peak_out", "rms_out", "clipped", "precision"):
        np.testing.assert_array_equal(getattr(same, name), getattr(levels, name))
    assert (levels.clipped > 0).all() or not target.is_integer


def test_what_takes_memory_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 512 channels"):
        apply(np.zeros((1, 513), "i2"), Fir(np.ones(40_000), None), I16, I16)


FILTERED = """
import hashlib
import numpy as np
from earfilt.engine.cpu import OverlapSave, PartitionedConvolution

rng = np.random.default_rng(1)
taps = rng.normal(size=33)
for dtype in ("float32", "float64"):
    for step in [
        OverlapSave(taps, dtype=dtype),
        OverlapSave(taps, dtype=dtype, packing="channels"),
        OverlapSave(np.stack([taps, 2 * taps]), dtype=dtype, packing="halves"),
        PartitionedConvolution(taps, dtype=dtype, block=16),
    ]:
        window = rng.normal(size=(step.overlap + 3 * step.hop, 2)).astype(dtype)
        out = np.empty((3 * step.hop, 2), dtype)
        step(window, out)
        print(hashlib.sha256(out.tobytes()).hexdigest())
"""


def test_filtered_samples_have_the_same_bits_on_older_processors(tmp_path):
    from numpy._core._multiarray_umath import __cpu_dispatch__

    def filtered(disabled):
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(disabled)}
        command = [sys.executable, "-P", "-c", FILTERED]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    assert filtered(__cpu_dispatch__) == filtered([])
    assert len(set(filtered([]))) == 8
