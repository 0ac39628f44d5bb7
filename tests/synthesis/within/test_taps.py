"""Taps of a polynomial and of its powers, against products of polynomials."""

import numpy as np
import pytest

from earfilt.arrays import Floats
from earfilt.synthesis.within.taps import spectral_factor, symmetric

FACTOR = np.poly(0.97 * np.exp(1j * np.array([0.3, -0.3, 1.0, -1.0, 2.5, -2.5]))).real


def cosines_of(factor: Floats) -> Floats:
    autocorrelation = np.correlate(factor, factor, "full")[len(factor) - 1 :]
    return np.concatenate([autocorrelation[:1], 2 * autocorrelation[1:]])


def product(taps: Floats, times: int) -> Floats:
    """`taps` convolved with themselves."""
    result = np.ones(1)
    for _ in range(times):
        result = np.convolve(result, taps)
    return result


@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_the_factor_of_a_power_is_the_power_of_the_factor(times: int) -> None:
    taps = spectral_factor(cosines_of(FACTOR), times=times)
    expected = product(FACTOR, times)
    assert taps.shape == expected.shape
    np.testing.assert_allclose(taps, expected, atol=1e-8 * np.max(abs(expected)))


@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_symmetric_taps_of_a_power(times: int) -> None:
    once = np.correlate(FACTOR, FACTOR, "full")
    taps = symmetric(cosines_of(FACTOR), times=times)
    expected = product(once, times)
    assert taps.shape == expected.shape
    np.testing.assert_allclose(taps, expected, atol=1e-13 * np.max(abs(expected)))
    np.testing.assert_array_equal(taps, taps[::-1])
