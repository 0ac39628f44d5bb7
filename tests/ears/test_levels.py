"""Levels become gains when something says what 0 dB is; smoothing; corrections to a target."""

import numpy as np
import pytest
from scipy.integrate import quad

from earfilt.ears.kinds.own import Own
from earfilt.ears.levels import Values, gains, holds_levels, parse_octaves, smoothed
from earfilt.errors import DataError, UsageError

HZ = (20.0, 100.0, 1000.0, 4000.0, 20000.0)
GAINS = Values(HZ, (-3.0, -1.0, 0.0, 9.0, -20.0))
LEVELS = Values(HZ, (71.0, 73.0, 74.0, 83.0, 54.0))


@pytest.mark.parametrize(
    ("db", "levels"),
    [
        ((70, 75, 74, 80, 60), True),
        ((-45, -40, -41, -30, -60), True),  # dB re full scale
        ((25, 25, 25, 25, 25), True),
        ((-3, 0, 0, 9, -20), False),
        ((-150, -2, 0, 0, -90), False),  # a band-pass
        ((12, 12, 12, 12, 12), False),
        ((0, 0, 0, 0, 0), False),
    ],
)
def test_values_decide_what_holds_levels(db, levels):
    assert holds_levels(Values(HZ, tuple(map(float, db)))) == levels


def test_gains_stand_as_they_are():
    assert gains(GAINS, "a.csv") == (GAINS.db, ())


def test_levels_are_refused_with_the_options_that_settle_it():
    with pytest.raises(DataError, match=r"levels \(54 to 83 dB\).*align=1000.*absolute=True"):
        gains(LEVELS, "a.csv")


@pytest.mark.parametrize(
    ("align", "shift"),
    [("1000", -74.0), ("100", -73.0), ("2000", -78.5), ("peak", -83.0)],
)
def test_align_puts_a_level_at_0_db(align, shift):
    gain_db, notes = gains(LEVELS, "a.csv", align=align)
    np.testing.assert_allclose(gain_db, np.array(LEVELS.db) + shift, atol=1e-12)
    assert f"{shift:+.2f} dB" in notes[0]


def test_the_mean_is_taken_over_log_frequency_from_100_hz_to_10_khz():
    def level(x):
        return np.interp(x, np.log(HZ), LEVELS.db)

    ends = np.log(100), np.log(10_000)
    wanted = quad(level, *ends, points=np.log((1000, 4000)))[0] / (ends[1] - ends[0])
    gain_db, _ = gains(LEVELS, "a.csv", align="mean")
    assert LEVELS.db[0] - gain_db[0] == pytest.approx(wanted, abs=0.1)


def test_absolute_takes_levels_as_they_stand():
    assert gains(LEVELS, "a.csv", absolute=True)[0] == LEVELS.db


@pytest.mark.parametrize("align", ["loud", "0", "-5", "nan", "30000", "10"])
def test_an_impossible_align_is_refused(align):
    with pytest.raises(UsageError, match="align"):
        gains(LEVELS, "a.csv", align=align)


def test_align_and_absolute_exclude_each_other():
    with pytest.raises(UsageError, match="exclude each other"):
        gains(LEVELS, "a.csv", align="peak", absolute=True)


def test_factors_are_asked_for_where_no_word_says_db():
    factors = Values(HZ, (0.5, 0.9, 1.0, 1.9, 0.1), in_db=False)
    with pytest.raises(DataError, match=r"may hold factors or dB .*absolute=True"):
        gains(factors, "a.csv")
    assert gains(factors._replace(in_db=True), "a.csv")[0] == factors.db
    assert gains(factors, "a.csv", absolute=True)[0] == factors.db


def test_smoothing_is_the_mean_over_a_part_of_an_octave():
    rng = np.random.default_rng(4)
    freqs = np.sort(20 * 1000 ** rng.random(60))
    gain_db = rng.normal(size=60)
    x = np.log2(freqs)
    found = smoothed(freqs, gain_db, 1 / 3)
    for k in (0, 1, 17, 30, 59):
        low, high = max(x[0], x[k] - 1 / 6), min(x[-1], x[k] + 1 / 6)
        inside = x[(x > low) & (x < high)]
        area = quad(lambda at: np.interp(at, x, gain_db), low, high, points=inside)[0]
        assert found[k] == pytest.approx(area / (high - low), abs=1e-7)


def test_smoothing_leaves_a_level_alone():
    assert smoothed(HZ, (3.0,) * 5, 1.0) == pytest.approx((3.0,) * 5)


@pytest.mark.parametrize(("text", "width"), [("1/3", 1 / 3), ("1/48", 1 / 48), ("0.5", 0.5)])
def test_a_part_of_an_octave_is_written_as_a_fraction(text, width):
    assert parse_octaves(text) == pytest.approx(width)


@pytest.mark.parametrize("text", ["", "third", "1/0", "1/1000", "3", "-1/3", "nan"])
def test_no_part_of_an_octave(text):
    with pytest.raises(UsageError, match="smooth"):
        parse_octaves(text)


def test_a_target_is_taken_off_where_both_are_known():
    target = Values((50.0, 500.0, 8000.0), (80.0, 70.0, 70.0))
    ear = Own.understood("m.csv", LEVELS, {"align": "1000", "target": "t.csv"}, target=target)
    assert ear.points.freqs == (100.0, 1000.0, 4000.0)
    at_100 = 80.0 - 10.0 * np.log(2) / np.log(10)
    wanted = [73.0 - 74.0 - (at_100 - 70.0), 0.0, 9.0]
    np.testing.assert_allclose(ear.points.gain_db, wanted, atol=1e-12)


def test_a_target_elsewhere_is_refused():
    target = Values((30.0, 90.0), (0.0, 0.0))
    with pytest.raises(UsageError, match="do not overlap"):
        Own.understood("m.csv", GAINS, {"target": "t.csv"}, target=target)
