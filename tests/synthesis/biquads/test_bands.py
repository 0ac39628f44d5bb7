"""Peaking and shelving bands, held against the cookbook's own formulas."""

import math

import numpy as np
import pytest
from scipy.signal import sosfreqz

from earfilt.arrays import Floats
from earfilt.chains.members import resolve
from earfilt.chains.sections import design
from earfilt.ears.biquads import Band
from earfilt.synthesis.biquads.bands import design_bands, sos_of

FS = 48000.0


def cookbook(band: Band, fs: float) -> list[float]:
    """b0 b1 b2 1 a1 a2 by the Audio EQ Cookbook."""
    A, w = 10 ** (band.gain_db / 40), 2 * math.pi * band.hz / fs
    c, alpha = math.cos(w), math.sin(w) / (2 * band.q)
    if band.kind == "peaking":
        b = [1 + alpha * A, -2 * c, 1 - alpha * A]
        a = [1 + alpha / A, -2 * c, 1 - alpha / A]
    else:
        s = 1 if band.kind == "low-shelf" else -1
        root = 2 * math.sqrt(A) * alpha
        b = [
            A * ((A + 1) - s * (A - 1) * c + root),
            s * 2 * A * ((A - 1) - s * (A + 1) * c),
            A * ((A + 1) - s * (A - 1) * c - root),
        ]
        a = [
            (A + 1) + s * (A - 1) * c + root,
            -s * 2 * ((A - 1) + s * (A + 1) * c),
            (A + 1) + s * (A - 1) * c - root,
        ]
    return [value / a[0] for value in (*b, *a)]


@pytest.mark.parametrize("kind", ["peaking", "low-shelf", "high-shelf"])
@pytest.mark.parametrize(("hz", "gain_db", "q"), [(100.0, 6.0, 0.7), (9000.0, -12.5, 3.0)])
def test_coefficients_are_the_cookbooks(kind: str, hz: float, gain_db: float, q: float) -> None:
    band = Band(kind, hz, gain_db, q)
    np.testing.assert_allclose(sos_of((band,), 0.0, FS)[0], cookbook(band, FS), rtol=1e-9)
    quiet = sos_of((band,), -6.0, FS)[0]
    np.testing.assert_allclose(quiet[:3], 10 ** (-0.3) * np.array(cookbook(band, FS)[:3]))


# The limits of the issue for ten bands, dB.
TEN = {
    "iso532-free": 0.25,
    "iso532-diffuse": 0.16,
    "iso532-free+iso532-middle": 0.34,
    "headphone": 0.28,
}


@pytest.mark.parametrize("name", TEN)
def test_ten_rounded_bands_reach_the_table(name: str) -> None:
    found = design(resolve(name), FS, sections=10, form="peaking")
    curve = resolve(name).curve_at(FS)
    assert curve is not None
    assert found.band_hz is not None
    freqs = np.union1d(np.geomspace(*found.band_hz, 5003), curve.points_hz)
    freqs = freqs[(freqs >= found.band_hz[0]) & (freqs <= found.band_hz[1])]
    sos = np.array([cookbook(band, FS) for band in found.bands])
    level = 20 * np.log10(np.abs(sosfreqz(sos, freqs, fs=FS)[1])) + found.preamp_db
    assert np.abs(level - 20 * np.log10(curve.aim(freqs))).max() <= TEN[name]


def test_numbers_are_those_that_equalisers_take() -> None:
    found = design(resolve("headphone"), 44100.0, sections=4, form="peaking")
    assert len(found.bands) == len(found) == 4
    for band in found.bands:
        assert band.hz == round(band.hz)
        assert band.gain_db == round(band.gain_db, 1)
        assert band.q == round(band.q, 2)
        assert 0.1 <= band.q <= 10.1
        assert abs(band.gain_db) <= 24.5
    assert found.preamp_db == round(found.preamp_db, 1)
    assert list(found.bands) == sorted(found.bands, key=lambda band: band.hz)


def test_bands_are_found_again() -> None:
    bands = (Band("low-shelf", 150.0, 5.0, 0.7), Band("peaking", 3000.0, -6.0, 1.41))

    def aim(freqs: Floats) -> Floats:
        return np.asarray(20 * np.log10(np.abs(sosfreqz(sos_of(bands, -2.0, FS), freqs, fs=FS)[1])))

    found = design_bands(aim, FS, sections=2)
    assert found.deviation_db is not None
    assert found.deviation_db < 0.06


def test_tolerance_takes_few() -> None:
    found = design(resolve("iso532-diffuse", tolerance=1.0), FS, form="peaking")
    assert found.deviation_db is not None
    assert found.deviation_db <= 1.0
    assert len(found) <= 4
