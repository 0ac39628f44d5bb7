"""The regression: polynomials come back, noise is as wide as the interval says, peaks stay."""

import numpy as np

from earfilt.measure.local import log_grid, regress

BINS = np.arange(8193) * 1.0
FREQS = log_grid(100.0, 7000.0)


def smoothed(wanted, noise, rng):
    """A ratio with complex noise of an sd, independent in each bin, and its regression."""
    disturbed = wanted + noise * (rng.standard_normal((2, len(BINS))).T @ [1, 1j]) / np.sqrt(2)
    variance = np.full(len(BINS), noise**2 + 1e-20)
    return regress(BINS, disturbed, variance, np.ones(len(BINS)), FREQS)


def test_a_parabola_comes_back(rng) -> None:
    wanted = 1.0 + 2e-4 * BINS - 1e-8j * BINS**2
    found = smoothed(wanted, 0.0, rng)
    assert np.abs(found.value / (1.0 + 2e-4 * FREQS - 1e-8j * FREQS**2) - 1.0).max() < 1e-9


def test_noise_is_as_wide_as_its_interval_says(rng) -> None:
    found = [smoothed(np.ones(len(BINS)), 0.1, rng) for _ in range(8)]
    inside = np.mean([np.abs(one.gain_db) < 1.96 * one.sd_db for one in found])
    assert 0.9 < inside <= 1.0
    # it averages: a single bin is off by 0.6 dB
    assert np.sqrt(np.mean([one.gain_db**2 for one in found])) < 0.1


def test_a_narrow_peak_is_not_smeared_where_nothing_disturbs(rng) -> None:
    def peak(freqs):
        return 1.0 + 3.0 / (1.0 + 30j * (freqs / 1000.0 - 1000.0 / np.maximum(freqs, 1.0)))

    found = smoothed(peak(BINS), 1e-4, rng)
    off = found.gain_db - 20.0 * np.log10(np.abs(peak(FREQS)))
    # a third of an octave would make 1 dB of it
    assert np.abs(off).max() < 0.05
