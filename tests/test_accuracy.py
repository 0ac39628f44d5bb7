"""The table of what the default reaches measures for itself: its sums against scipy's."""

import numpy as np
from scipy import signal

from benchmarks.accuracy import gain_db, measure


def test_the_direct_sum_is_the_response() -> None:
    taps = np.random.default_rng(0).standard_normal(300)
    freqs = np.linspace(0.0, 24000.0, 77)
    _, expected = signal.freqz(taps, worN=freqs, fs=48000)
    np.testing.assert_allclose(gain_db(taps, freqs, 48000), 20 * np.log10(abs(expected)), atol=1e-9)


def test_a_row_of_the_table() -> None:
    taps, at_points, between, hz, seconds = measure("headphone", 16000, "minimum", 0.1)
    assert taps == 81
    assert 0.0 < at_points <= 0.1
    assert 0.0 < between <= 0.1
    assert 125.0 <= hz <= 8000.0
    assert seconds >= 0.0
