"""A FIR made for another rate: the same response below, nothing above, time zero where it was."""

import numpy as np
import pytest
import scipy.signal

from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.resample import ERROR, KEPT, resampled

RATES = [(44100, 48000), (48000, 44100), (48000, 96000), (96000, 16000), (8000, 192000)]


def fir_at(fs: float) -> Fir:
    rng = np.random.default_rng(1)
    return Fir(rng.normal(size=301) * np.hanning(301), fs, 100)


@pytest.mark.parametrize(("before", "after"), RATES)
def test_the_response_is_the_analytic_one(before: float, after: float) -> None:
    fir = fir_at(float(before))
    found = resampled(fir, float(after))
    freqs = np.linspace(0, KEPT * min(before, after), 1500)
    wanted = np.exp(-2j * np.pi * np.outer(freqs / before, np.arange(301) - 100)) @ fir.taps
    largest = np.abs(wanted).max()
    assert np.abs(found.response(freqs) - wanted).max() < ERROR * largest
    above = np.linspace(min(before, after) / 2, after / 2, 500)
    assert np.abs(found.response(above)).max() < ERROR * largest
    assert found.fs == after


def test_it_agrees_with_scipy() -> None:
    """Two taps for one, by a polyphase filter made for the purpose."""
    fir = fir_at(24000.0)
    found = resampled(fir, 48000.0)
    low_pass = scipy.signal.firwin(2 * 206 + 1, 0.48, window=("kaiser", 0.1102 * (126 - 8.7)))
    other = scipy.signal.resample_poly(np.pad(fir.taps, 300), 2, 1, window=low_pass) / 2
    first = 2 * (300 + fir.lookahead) - found.lookahead
    np.testing.assert_allclose(
        found.taps, other[first : first + found.numtaps], rtol=0, atol=2e-6 * np.abs(fir.taps).max()
    )


def test_the_same_rate_changes_nothing() -> None:
    fir = fir_at(48000.0)
    assert resampled(fir, 48000.0) is fir


def test_too_long_a_result_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 4194304 are possible"):
        resampled(Fir(np.ones(1 << 16), 8000.0), 768000.0 * 2)
