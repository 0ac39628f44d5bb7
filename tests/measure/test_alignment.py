"""Clocks: delay and drift of recordings that were made by the Fourier series, not by our shifts."""

import numpy as np
import pytest
from scipy.signal import lfilter

from benchmarks.identify import at_other_clock
from earfilt.errors import UsageError
from earfilt.measure.alignment import Clock, follow, settled

FS = 16000.0


@pytest.mark.parametrize(
    ("ppm", "delay"), [(0, 0), (0, 2000), (0, -300), (1, 137.37), (-20, 5), (100, -40), (480, 900)]
)
def test_delay_and_drift_are_found(ppm: float, delay: float, rng) -> None:
    x = rng.standard_normal(160_000)
    y = at_other_clock(lfilter([1.0, 0.3], [1.0, -0.5], x), ppm, delay)
    clock, _ = settled(x, y, FS, follow(x, y))
    assert abs(clock.drift * 1e6 - ppm) < 0.02
    # the filter's own delay is below 2 samples
    assert abs(clock.delay - delay) < 2.0


def test_what_is_played_is_put_on_the_recorders_clock(rng) -> None:
    x = np.convolve(rng.standard_normal(30_000), np.hanning(9), "same")
    y = at_other_clock(x, 100, 12.3)
    found = Clock(12.3, 1e-4).applied(x, len(y))
    assert np.abs(found - y)[1000:-3000].max() < 1e-3 * np.abs(y).max()


def test_a_drift_beyond_crystals_is_refused(rng) -> None:
    x = rng.standard_normal(160_000)
    y = at_other_clock(x, 850, 0)
    clock = follow(x, y)
    with pytest.raises(UsageError, match=r"differ by \+8\d\d ppm, more than the 500"):
        settled(x, y, FS, clock)


def test_unrelated_recordings_are_refused(rng) -> None:
    x, y = rng.standard_normal((2, 160_000))
    with pytest.raises(UsageError, match=r"no content in common: .* 5\.\d times its rms"):
        follow(x, y)


def test_lost_samples_are_refused(rng) -> None:
    x = rng.standard_normal(240_000)
    y = np.concatenate([x[:120_000], x[120_060:]])
    with pytest.raises(UsageError, match=r"delay jumps by 60 samples between 11\d+ and 12\d+"):
        follow(x, y)


def test_recordings_that_hardly_overlap_are_refused(rng) -> None:
    x = rng.standard_normal(1000)
    with pytest.raises(UsageError, match=r"have 0\.0\d s in common"):
        settled(x, x, FS, Clock(200.0))
