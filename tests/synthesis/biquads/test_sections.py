"""Curves as a few biquads: what they reach, measured by scipy; stability; rounding."""

import numpy as np
import pytest
from scipy.signal import iirpeak, sosfilt, sosfreqz, tf2sos

from earfilt.arrays import Floats
from earfilt.chains.members import resolve
from earfilt.chains.sections import design
from earfilt.errors import UsageError
from earfilt.synthesis.biquads.sections import Sections, check_band, default_band, design_sections


def measured(found: Sections, name: str, fs: float) -> float:
    """Largest deviation from an ear's curve, on a grid of the test's own."""
    curve = resolve(name).curve_at(fs)
    assert curve is not None
    assert found.band_hz is not None
    freqs = np.union1d(np.geomspace(*found.band_hz, 5003), curve.points_hz)
    freqs = freqs[(freqs >= found.band_hz[0]) & (freqs <= found.band_hz[1])]
    _, response = sosfreqz(found.sos, freqs, fs=fs)
    return float(np.abs(20 * np.log10(np.abs(response) / curve.aim(freqs))).max())


# What the issue asks of the prototype, dB.
REACHED = {
    ("iso532-free", 4): 0.79,
    ("iso532-free", 6): 0.28,
    ("iso532-diffuse", 4): 0.30,
    ("iso532-diffuse", 8): 0.05,
    ("iso532-free+iso532-middle", 6): 0.23,
    ("headphone", 6): 0.33,
    ("iso532-middle", 4): 1.24,
    ("iso532-middle", 6): 0.93,
}


@pytest.mark.parametrize(("name", "count"), REACHED)
def test_reaches_the_table(name: str, count: int) -> None:
    found = design(resolve(name), 48000.0, sections=count)
    assert len(found) == count
    reached = measured(found, name, 48000.0)
    assert reached <= REACHED[name, count]
    assert found.deviation_db == pytest.approx(reached, abs=0.01)


@pytest.mark.parametrize("fs", [16000.0, 44100.0, 96000.0, 192000.0])
def test_other_rates(fs: float) -> None:
    found = design(resolve("iso532-free+iso532-middle"), fs, sections=6)
    assert measured(found, "iso532-free+iso532-middle", fs) < 0.4


@pytest.mark.parametrize("name", ["iso532-middle", "k-weighting", "headphone", "a-weighting"])
def test_stable_and_minimum_phase(name: str) -> None:
    found = design(resolve(name), 192000.0, sections=5)
    for row in found.sos:
        assert np.abs(np.roots(row[:3])).max() <= 0.9999 + 1e-6
        assert np.abs(np.roots(row[3:])).max() <= 0.9999 + 1e-6


def test_sections_are_found_again() -> None:
    """A curve that two biquads make is met by two biquads, nearly exactly."""
    first, second = (tf2sos(*iirpeak(f, q, fs=48000.0)) for f, q in ((900.0, 1.0), (5000.0, 3.0)))
    sos = np.concatenate([first, second])
    sos[:, :3] = sos[:, :3] * 0.9 + [[0.3, -0.1, 0.02]]

    def aim(freqs: Floats) -> Floats:
        _, response = sosfreqz(sos, freqs, fs=48000.0)
        return np.asarray(20 * np.log10(np.abs(response)))

    found = design_sections(aim, 48000.0, sections=2)
    assert found.deviation_db is not None
    assert found.deviation_db < 0.1


def test_tolerance_takes_the_fewest() -> None:
    found = design(resolve("iso532-diffuse", tolerance=0.35), 48000.0)
    assert found.deviation_db is not None
    assert found.deviation_db <= 0.35
    fewer = design(resolve("iso532-diffuse"), 48000.0, sections=len(found) - 1)
    assert fewer.deviation_db is not None
    assert fewer.deviation_db > 0.35
    assert found.provenance.tolerance_met


def test_beyond_the_band_nothing_towers() -> None:
    found = design(resolve("headphone"), 48000.0, sections=6)
    freqs = np.concatenate([np.linspace(0.0, 125.0, 100), np.linspace(9008.0, 24000.0, 500)])
    level = 20 * np.log10(np.abs(found.response(freqs)))
    assert level.max() < 20.0
    assert level.min() > -60.0


def test_designs_repeat() -> None:
    one, other = (design(resolve("headphone"), 44100.0, sections=4) for _ in range(2))
    np.testing.assert_array_equal(one.sos, other.sos)


def test_band_is_held() -> None:
    found = design(resolve("iso532-free"), 48000.0, sections=3, band=(500.0, 4000.0))
    assert found.band_hz == (500.0, 4000.0)
    assert measured(found, "iso532-free", 48000.0) < 0.15


def test_default_band() -> None:
    assert default_band(48000.0, None) == (20.0, 16000.0)
    assert default_band(16000.0, (50.0, 9000.0)) == (50.0, 7200.0)
    assert default_band(96000.0, (125.0, 9000.0)) == (125.0, 9000.0)


@pytest.mark.parametrize("band", [(0.0, 100.0), (200.0, 100.0), (100.0, 24000.0), (100.0, 150.0)])
def test_impossible_bands(band: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="band="):
        check_band(band, 48000.0)


@pytest.mark.parametrize(
    "options", [{}, {"sections": 2, "tolerance": 1.0}, {"sections": 0}, {"sections": 33}]
)
def test_impossible_amounts(options: dict[str, float]) -> None:
    tolerance = options.pop("tolerance", None)
    filter = resolve("headphone") if tolerance is None else resolve("headphone", tolerance=1.0)
    with pytest.raises(UsageError, match="sections"):
        design(filter, 48000.0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"order": 64}, {"phase": "zero"}])
def test_options_of_firs_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        design(resolve("headphone", **options), 48000.0, sections=2)  # type: ignore[arg-type]


def test_effect_of_rounding() -> None:
    """The stated effect is what a filter with rounded coefficients does."""
    found = design(resolve("iso532-middle"), 96000.0, sections=6)
    assert found.band_hz is not None
    freqs = np.geomspace(*found.band_hz, 4001)
    exact = np.abs(sosfreqz(found.sos, freqs, fs=96000.0)[1])
    single = np.abs(sosfreqz(found.sos.astype(np.float32).astype(float), freqs, fs=96000.0)[1])
    effect = np.abs(20 * np.log10(single / exact)).max()
    assert found.float32_db == pytest.approx(effect, rel=0.05)
    assert found.q30_db < found.float32_db


def test_rounding_that_is_not_stable_is_infinite() -> None:
    found = Sections(np.array([[1.0, 0.0, 0.0, 1.0, -0.5, 0.0]]), 48000.0)
    assert found.rounding_db(np.array([[1.0, 0.0, 0.0, 1.0, -1.5, 0.0]])) == np.inf


@pytest.mark.parametrize(("largest", "shift"), [(0.5, 1), (1.99, 1), (2.0, 2), (3.99, 2), (4.0, 3)])
def test_bits_before_the_point(largest: float, shift: int) -> None:
    found = Sections(np.array([[largest, 0.0, 0.0, 1.0, 0.0, 0.0]]), 48000.0)
    assert found.post_shift == shift


def test_scipy_takes_the_rows() -> None:
    found = design(resolve("headphone"), 48000.0, sections=2)
    impulse = np.zeros(4096)
    impulse[0] = 1.0
    spectrum = np.fft.rfft(sosfilt(found.sos, impulse))
    np.testing.assert_allclose(
        spectrum, found.response(np.fft.rfftfreq(4096, 1 / 48000.0)), atol=1e-9
    )
