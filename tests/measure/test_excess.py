"""Delay and polarity beside minimum phase and beside zero phase."""

import numpy as np
import pytest
from scipy.signal import firwin2, minimum_phase

from earfilt.measure.excess import excess
from earfilt.measure.local import log_grid, transfer
from earfilt.measure.spectra import spectra

FS = 16000.0


@pytest.mark.parametrize("kind", ["minimum", "zero"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_delay_and_sign_come_back(kind, sign, rng) -> None:
    linear = firwin2(201, [0, 0.1, 0.3, 1], [0.5, 1.0, 0.7, 0.4])
    taps, before = (minimum_phase(linear), 0) if kind == "minimum" else (linear, 100)
    x = rng.standard_normal(200_000)
    y = sign * np.convolve(x, taps)[before : before + len(x)]
    found = spectra(x[3:], y[:-3], FS, 8192)  # three samples early
    curve = transfer(found, log_grid(8.0, 0.499 * FS))
    said = excess(found, curve, FS)
    assert said.delay == pytest.approx(3.0 * -1.0, abs=0.01) or said.delay == pytest.approx(
        3.0, abs=0.01
    )
    assert said.inverted == (sign < 0)
    assert said.minimum_phase == (kind == "minimum")
    assert said.fit > 0.99
