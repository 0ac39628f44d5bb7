"""Impulse responses of sections, held against scipy's recursion."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from earfilt.errors import UsageError
from earfilt.synthesis.biquads.impulse import impulse_response


@pytest.mark.parametrize(
    ("order", "edge"), [(2, 1000.0), (5, 8000.0), (2, 10.0), (8, 200.0)], ids=str
)
def test_as_scipy_has_it(order: int, edge: float) -> None:
    sos = butter(order, edge, fs=48000.0, output="sos")
    taps = impulse_response(sos)
    impulse = np.zeros(2 * len(taps))
    impulse[0] = 1.0
    expected = sosfilt(sos, impulse)
    assert np.abs(taps - expected[: len(taps)]).sum() < 1e-7
    assert np.abs(expected[len(taps) :]).sum() < 2e-8


def test_slow_poles_are_followed_to_the_end() -> None:
    """A pole at 0.9999: what is left at 140 dB below the peak would still add up to 0.001."""
    sos = np.array([[1.0, -1.0, 0.0, 1.0, -1.9998, 0.9998 + 1e-8]])
    taps = impulse_response(sos)
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, 200_000)
    np.testing.assert_allclose(
        np.convolve(noise[:3000], taps)[:3000], sosfilt(sos, noise[:3000]), atol=1e-6
    )
    assert len(taps) > 100_000


def test_finite_ones_stay_short() -> None:
    taps = impulse_response(np.array([[0.5, 0.25, 0.125, 1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(taps, [0.5, 0.25, 0.125], atol=1e-15)


def test_what_is_not_finite_is_refused() -> None:
    loud = np.tile([1e200, 0.0, 0.0, 1.0, 0.0, 0.0], (2, 1))
    with pytest.raises(UsageError, match="range of 64-bit floats"):
        impulse_response(loud)


@pytest.mark.parametrize(
    ("a1", "a2", "message"),
    [(-2.1, 1.2, "not stable"), (-1.0, 0.0, "not stable"), (-1.9999999, 0.9999999, "die away")],
)
def test_what_does_not_die_away_is_refused(a1: float, a2: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        impulse_response(np.array([[1.0, 0.0, 0.0, 1.0, a1, a2]]))
