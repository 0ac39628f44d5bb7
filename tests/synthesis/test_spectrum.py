"""spectrum: the response at any frequencies, of taps of any number."""

import numpy as np
import pytest

from earfilt.synthesis import spectrum
from earfilt.synthesis.spectrum import dtft


@pytest.mark.parametrize("numtaps", [1, 2, 1000, 16384, 32768, 32769, 80_000])
@pytest.mark.parametrize("first", [0, -77])
def test_long_taps_have_the_response_of_the_sum(
    numtaps: int, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(numtaps)
    taps = rng.standard_normal(numtaps)
    cycles = np.r_[0.0, 0.5, rng.uniform(-0.7, 0.7, 30)]
    times = first + np.arange(numtaps)
    expected = np.exp(-2j * np.pi * np.outer(cycles, times)) @ taps
    for longest in (1 << 31, 0):
        monkeypatch.setattr(spectrum, "_LONGEST_SUM", longest)
        assert np.abs(dtft(taps, cycles, first) - expected).max() <= 1e-9 * np.abs(taps).sum()
