"""Overlap-save against scipy.signal."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal

from earfilt.engine.cpu import OverlapSave, Packing


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
