"""Differences between two ears, against delays and gains that are known."""

import numpy as np
import pytest

from earfilt.directions.interaural import Interaural, level_between
from earfilt.synthesis.fir import Fir
from tests.sofas import FS, sphere_ears

FREQS = np.array([0.0, 50.0, 700.0, 5000.0, 15000.0])


def test_a_delay_and_a_gain_at_every_frequency() -> None:
    """Also where the delay is many periods long."""
    pair = np.zeros((2, 128))
    pair[0, 60], pair[1, 20] = 1.0, 0.25
    found = Interaural.of(Fir(pair, FS), FREQS)
    np.testing.assert_allclose(found.time_s[1:], 40 / FS, rtol=1e-9)
    assert np.isnan(found.time_s[0])
    np.testing.assert_allclose(found.level_db, 12.0412, atol=1e-4)
    assert level_between(pair) == pytest.approx(12.0412, abs=1e-4)
    swapped = Interaural.of(Fir(pair[::-1], FS), FREQS)
    np.testing.assert_allclose(swapped.time_s, -found.time_s)
    np.testing.assert_allclose(swapped.level_db, -found.level_db)


def test_the_sphere_delays_low_frequencies_more() -> None:
    """3a/c·sin θ at low frequencies, a/c·(θ + sin θ) at high ones.

    Kuhn, G. F. (1977). Model for the interaural time differences in the azimuthal plane. J. Acoust.
    Soc. Am. 62, 157-167.
    """
    azimuth = np.radians(45.0)
    taps = sphere_ears(np.array([[np.cos(azimuth), np.sin(azimuth), 0.0]]))[0]
    found = Interaural.of(Fir(taps, FS), np.array([200.0, 12000.0]))
    across = 0.0875 / 343.0
    low, high = 3 * across * np.sin(azimuth), across * (azimuth + np.sin(azimuth))
    np.testing.assert_allclose(found.time_s, [-low, -high], rtol=0.05)


def test_an_ear_without_sound() -> None:
    pair = np.zeros((2, 16))
    pair[0, 3] = 1.0
    found = Interaural.of(Fir(pair, FS), FREQS)
    assert np.isnan(found.time_s).all()
    assert np.isposinf(found.level_db).all()
    assert level_between(pair) == np.inf
    assert np.isnan(level_between(np.zeros((2, 16))))
