"""Levels become gains when something says what 0 dB is; smoothing; corrections to a target."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import CubicSpline, PchipInterpolator

from earfilt.ears.kinds.own import Own
from earfilt.ears.levels import Values, db_at, gains, holds_levels, parse_octaves, smoothed
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
    [("1000", -74.0), ("100", -73.0), ("peak", -83.0)],
)
def test_align_puts_a_level_at_0_db(align, shift):
    gain_db, notes = gains(LEVELS, "a.csv", align=align)
    np.testing.assert_allclose(gain_db, np.array(LEVELS.db) + shift, atol=1e-12)
    assert f"{shift:+.2f} dB" in notes[0]


@pytest.mark.parametrize(
    ("interpolation", "wanted"),
    [
        ("log", PchipInterpolator(np.log(HZ), LEVELS.db)(np.log(2000))),
        ("linear", PchipInterpolator(HZ, LEVELS.db)(2000)),
        ("spline", CubicSpline(np.log(HZ), LEVELS.db)(np.log(2000))),
    ],
)
def test_align_reads_the_curve_as_its_filter_runs(interpolation, wanted):
    gain_db, _ = gains(LEVELS, "a.csv", align="2000", interpolation=interpolation)
    assert LEVELS.db[0] - gain_db[0] == pytest.approx(wanted, abs=1e-9)


def test_the_mean_is_taken_over_log_frequency_from_100_hz_to_10_khz():
    level = PchipInterpolator(np.log(HZ), LEVELS.db)
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


def test_smoothing_leaves_the_value_at_0_hz_alone():
    assert smoothed((0.0, *HZ), (-7.0, *GAINS.db), 1.0) == (-7.0, *smoothed(HZ, GAINS.db, 1.0))
    assert smoothed((0.0, 100.0), (-3.0, 1.0), 1.0) == (-3.0, 1.0)


def test_a_value_at_0_hz_is_where_the_curve_goes_below_the_next_point():
    """A cubic in the frequency, level at 0 Hz, that leaves the next point as the curve goes on."""
    values = Values((0.0, *HZ), (-9.0, *GAINS.db))
    above = PchipInterpolator(np.log(HZ), GAINS.db)
    hz = np.geomspace(20, 20000, 50)
    np.testing.assert_allclose(db_at(values, hz), above(np.log(hz)), rtol=0, atol=1e-9)
    slope = above.derivative()(np.log(20.0)) / 20.0  # dB/Hz
    rows = [[1, 0, 0, 0], [0, 1, 0, 0], [1, 20, 400, 8000], [0, 1, 40, 1200]]
    cubic = np.polynomial.Polynomial(np.linalg.solve(rows, [-9.0, 0.0, -3.0, slope]))
    hz = np.linspace(0, 20, 9)
    np.testing.assert_allclose(db_at(values, hz), cubic(hz), rtol=0, atol=1e-9)


@pytest.mark.parametrize("at_zero", [-90.0, -3.0, 0.0, 40.0])
def test_a_curve_has_no_extremum_between_0_hz_and_its_next_point(at_zero):
    steps = np.diff(db_at(Values((0.0, *HZ), (at_zero, *GAINS.db)), np.linspace(0, 20, 500)))
    assert (steps * (GAINS.db[0] - at_zero) >= 0.0).all()


def test_smoothing_leaves_a_level_alone():
    assert smoothed(HZ, (3.0,) * 5, 1.0) == pytest.approx((3.0,) * 5)


@pytest.mark.parametrize(("text", "width"), [("1/3", 1 / 3), ("1/48", 1 / 48), ("0.5", 0.5)])
def test_a_part_of_an_octave_is_written_as_a_fraction(text, width):
    assert parse_octaves(text) == pytest.approx(width)


@pytest.mark.parametrize("text", ["", "third", "1/0", "1/1000", "3", "-1/3", "nan"])
def test_no_part_of_an_octave(text):
    with pytest.raises(UsageError, match="smooth"):
        parse_octaves(text)


def pchip(values, hz):
    return PchipInterpolator(np.log(values.freqs), values.db)(np.log(hz))


def test_a_target_is_taken_off_at_the_points_of_both():
    target = Values((50.0, 500.0, 8000.0), (80.0, 70.0, 76.0))
    ear = Own.understood("m.csv", LEVELS, {"align": "1000", "target": "t.csv"}, target=target)
    assert ear.points.freqs == (50.0, 100.0, 500.0, 1000.0, 4000.0, 8000.0)

    def wanted(hz):
        both = pchip(LEVELS, hz) - pchip(target, hz)
        return both - (74.0 - pchip(target, 1000.0))

    np.testing.assert_allclose(ear.points.gain_db, wanted(ear.points.freqs), rtol=0, atol=1e-9)
    between = np.geomspace(50, 8000, 777)
    np.testing.assert_allclose(ear.magnitude(between), wanted(between), rtol=0, atol=0.01)


def test_a_flat_measurement_is_corrected_to_all_of_its_target():
    flat = Values((20.0, 20000.0), (0.0, 0.0))
    target = Values((20.0, 1000.0, 3000.0, 8000.0, 20000.0), (0.0, 6.0, -9.0, 5.0, 0.0))
    ear = Own.understood("m.csv", flat, {"target": "t.csv"}, target=target)
    assert ear.points.freqs == target.freqs
    hz = np.geomspace(20, 20000, 777)
    np.testing.assert_allclose(ear.magnitude(hz), -pchip(target, hz), rtol=0, atol=0.01)


def test_points_of_two_curves_that_are_one_are_taken_as_one():
    target = Values((20.0, 1000.0 + 1e-9, 20000.0), (0.0, 1.0, 0.0))
    ear = Own.understood("m.csv", GAINS, {"target": "t.csv"}, target=target)
    assert ear.points.freqs == HZ
    assert ear.at(48000.0).curve().points_db[2] == pytest.approx(-1.0, abs=1e-3)


def test_a_value_at_0_hz_is_taken_off_where_both_have_one():
    target = Values((0.0, 300.0, 20000.0), (1.0, 4.0, 4.0))
    with_zero = Values((0.0, *HZ), (-9.0, *GAINS.db))
    both = Own.understood("m.csv", with_zero, {"target": "t.csv"}, target=target)
    assert (both.points.freqs[0], both.points.gain_db[0]) == (0.0, -10.0)
    one = Own.understood("m.csv", GAINS, {"target": "t.csv"}, target=target)
    assert one.points.freqs[0] == 20.0


def test_a_target_elsewhere_is_refused():
    target = Values((30.0, 90.0), (0.0, 0.0))
    high = Values((100.0, 1000.0), (0.0, 0.0))
    with pytest.raises(UsageError, match=r"from 100 to 1000 Hz, .* from 30 to 90 Hz: their ranges"):
        Own.understood("m.csv", high, {"target": "t.csv"}, target=target)
