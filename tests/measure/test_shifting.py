"""Samples at another clock's times: against sines whose values are known anywhere."""

import numpy as np
import pytest

from earfilt.measure.shifting import moved, resampled


@pytest.mark.parametrize("ppm", [0, 0.3, 20, -100, 500, 900])
@pytest.mark.parametrize("start", [0.0, 137.0, -20.37])
def test_a_sine_has_its_value_at_every_time(ppm: float, start: float) -> None:
    cycles, step = 0.4137, 1.0 + ppm * 1e-6
    n = np.arange(20000)
    at = start + step * np.arange(15000)
    found = resampled(np.sin(2 * np.pi * cycles * n), 15000, step=step, start=start)
    wanted = np.sin(2 * np.pi * cycles * at)
    away = (at > 600) & (at < 19000)  # from the ends, where a sine begins
    assert np.abs(found - wanted)[away].max() < 3e-6


def test_outside_there_are_zeros() -> None:
    assert moved(np.ones(4), -2, 8).tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert moved(np.ones(4), 9, 3).tolist() == [0, 0, 0]
    assert resampled(np.ones(4), 6, start=1.0).tolist() == [1, 1, 1, 0, 0, 0]
