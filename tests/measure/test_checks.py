"""Refusals: each with its numbers, and what looks alike and is fine."""

import numpy as np
import pytest

from earfilt.errors import UsageError
from earfilt.measure.checks import check_clipping, check_signal


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros(0), "holds no samples"),
        (np.zeros(100), "silent: all samples are zero"),
        (np.full(100, 1e-7), "silent: -140 dB"),
        (np.array([0.0, np.nan]), r"not finite: sample 1 \(from 0\)"),
    ],
)
def test_what_is_no_signal(x, words) -> None:
    with pytest.raises(UsageError, match=words):
        check_signal(x, "the target")


def test_clipping_is_seen_at_any_level_and_on_either_side(rng) -> None:
    x = 0.2 * rng.standard_normal(20_000)
    with pytest.raises(UsageError, match=r"clipped: \d+ samples stand at its peak of -6.0 dB"):
        check_clipping(np.minimum(x, 0.5), "it")
    with pytest.raises(UsageError, match=r"peak of 0\.0 dB"):
        check_clipping(np.maximum(5.0 * x, -1.0), "it")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("wave", ["sine", "noise", "two values"])
def test_coarse_samples_are_not_clipped(bits, wave, rng) -> None:
    n = np.arange(20_000)
    x = {
        "sine": 0.5 * np.sin(2 * np.pi * n / 321.7),
        "noise": 0.2 * rng.standard_normal(20_000).clip(-4.9, 4.9),
        "two values": np.sign(rng.standard_normal(20_000)),
    }[wave]
    check_clipping(np.round(x * 2 ** (bits - 1)) / 2 ** (bits - 1), "it")
