"""Curves from recordings, against the responses of the filters that made them."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

import earfilt
from benchmarks.identify import CASES, FS, errors
from earfilt.errors import UsageError
from earfilt.files.curves import read_curve


@pytest.fixture
def pair(rng):
    """15 s of noise, and through a headphone, 6 dB lower, inverted, 137 samples later."""
    dry = 0.1 * rng.standard_normal(15 * FS)
    wet = fftconvolve(dry, earfilt.design("headphone", fs=FS).taps)
    return dry, np.concatenate([np.zeros(137), -0.5 * wet])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.snr_db}-{case.ppm}")
def test_the_limits_hold_in_a_third_of_the_time(case) -> None:
    """The benchmark's table has 60 s; noise averages out over the square root of the time."""
    found = errors(case, "iso532-middle", 20.0, seed=5)
    assert found["rms"] < case.limit_db * (1.0 if case.snr_db is None else 3**0.5)
    assert found["inverted"]
    assert abs(found["delay"]) < 0.01
    assert abs(found["mean"]) < (0.01 if case.snr_db is None else 0.03)  # the gain
    assert found["drift"] is None or abs(found["drift"]) < 0.05
    assert found["inside"] > 0.7


def test_what_is_found_is_a_curve_that_every_filter_reads(pair, tmp_path) -> None:
    found = earfilt.identify(*pair, FS)
    found.save(tmp_path / "mine.csv")
    freqs, gain_db = read_curve(tmp_path / "mine.csv")
    assert np.allclose(freqs, found.frequency_hz, rtol=1e-6)
    assert np.allclose(gain_db, found.gain_db, atol=1e-4)
    with pytest.raises(UsageError, match=r"saved as \.csv"):
        found.save(tmp_path / "mine.txt")
    with pytest.raises(UsageError, match="exists"):
        found.save(tmp_path / "mine.csv")


def test_a_gain_far_from_0_db_is_a_gain(pair, tmp_path) -> None:
    dry, wet = pair
    earfilt.identify(dry, 1e-3 * wet, FS).save(tmp_path / "far.csv")
    response = earfilt.response(str(tmp_path / "far.csv"), fs=FS, freqs=[1000.0])
    wanted = earfilt.response("headphone", fs=FS, freqs=[1000.0]).magnitude_db[0] - 66.02
    assert response.magnitude_db[0] == pytest.approx(wanted, abs=0.1)


def test_h2_is_for_noise_in_the_input_and_h1_for_noise_in_the_target(pair, rng) -> None:
    dry, wet = pair
    wanted = earfilt.design("headphone", fs=FS)
    noisy_dry = dry + 0.05 * rng.standard_normal(len(dry))
    noisy_wet = wet + 0.05 * rng.standard_normal(len(wet))
    band = (200.0, 6000.0)

    def bias(a, b, estimator):
        found = earfilt.identify(a, b, FS, estimator=estimator, band=band)
        level = 20.0 * np.log10(0.5 * np.abs(wanted.response(found.frequency_hz)))
        return abs(float(np.mean(found.gain_db - level)))

    assert bias(noisy_dry, wet, "h2") < 0.1 < 0.5 < bias(noisy_dry, wet, "h1")
    assert bias(dry, noisy_wet, "h1") < 0.1 < 0.3 < bias(dry, noisy_wet, "h2")


def test_seatings_have_a_mean_and_a_standard_deviation(pair) -> None:
    dry, wet = pair
    found = earfilt.identify([dry, dry, dry], [wet, 2.0 * wet, 4.0 * wet], FS)
    once = earfilt.identify(dry, wet, FS)
    step = 20.0 * np.log10(2.0)
    assert np.allclose(found.gain_db, once.gain_db + step, atol=1e-6)
    assert np.allclose(found.sd_db, step, atol=1e-6)
    power = earfilt.identify([dry, dry], [wet, 2.0 * wet], FS, mean="power")
    assert np.allclose(power.gain_db, once.gain_db + 10.0 * np.log10(2.5), atol=1e-6)
    assert once.sd_db is None


def test_changes_during_a_recording_are_refused(pair) -> None:
    dry, wet = pair
    turned = wet.copy()
    turned[len(wet) // 2 :] *= 1.3
    with pytest.raises(UsageError, match=r"halves of the recording differ by 2\.\d dB"):
        earfilt.identify(dry, turned, FS)


def test_noise_over_more_than_a_third_of_the_band_is_refused(pair, rng) -> None:
    dry, wet = pair
    lost = wet + 20.0 * wet.std() * rng.standard_normal(len(wet))
    with pytest.raises(UsageError, match=r"coherence is below 0.5 in \d+ % of the band"):
        earfilt.identify(dry, lost, FS)


@pytest.mark.parametrize(
    ("wet", "more", "words"),
    [
        (np.zeros(1000), {}, "the target is silent"),
        (np.zeros((2, 1000)), {}, r"wet has the shape \(2, 1000\)"),
        (np.ones(1000), {"band": (100.0, 9000.0)}, "between 1 and 7200 Hz"),
        ([np.ones(9), np.ones(9)], {}, "1 dry and 2 wet signals"),
    ],
)
def test_what_is_no_pair_is_refused(pair, wet, more, words) -> None:
    with pytest.raises(UsageError, match=words):
        earfilt.identify(pair[0], wet, FS, **more)


def test_a_refusal_says_which_seating(pair) -> None:
    dry, wet = pair
    with pytest.raises(UsageError, match=r"seating 2: the target is silent"):
        earfilt.identify([dry, dry], [wet, 0.0 * wet], FS)
