"""Points, aims and deviations, against scipy's direct evaluation of the transfer function."""

import tracemalloc

import numpy as np
import pytest
from scipy import signal

from earfilt.ears.curve import PublishedCurve, product
from earfilt.synthesis.deviation import (
    deviation,
    deviation_between,
    deviations,
    magnitude_at,
    off_points,
)

FS = 8000.0


def straight(points_hz: list[float], gains: list[float], fs: float = FS) -> PublishedCurve:
    """A curve that is linear in amplitude between its points."""
    freqs, values = np.array(points_hz), np.array(gains)
    return PublishedCurve(freqs, 20 * np.log10(values), lambda at: np.interp(at, freqs, values), fs)


def test_magnitude_is_that_of_freqz() -> None:
    taps = np.random.default_rng(1).standard_normal(77)
    freqs = np.array([0.0, 31.5, 1234.5, 4000.0])
    _, response = signal.freqz(taps, worN=freqs, fs=FS)
    np.testing.assert_allclose(magnitude_at(taps, freqs, FS), abs(response), rtol=1e-12)


@pytest.mark.parametrize("block", [1, 100, 1 << 18])
@pytest.mark.parametrize("numtaps", [1, 2, 9, 10, 1000])
def test_magnitude_does_not_depend_on_how_the_sum_is_laid_out(
    numtaps: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earfilt.synthesis.spectrum._BLOCK", block)
    taps = np.random.default_rng(2).standard_normal(numtaps)
    freqs = np.linspace(0.0, 4000.0, 23)
    wanted = abs(np.exp(-2j * np.pi * np.outer(freqs / FS, np.arange(numtaps))) @ taps)
    np.testing.assert_allclose(magnitude_at(taps, freqs, FS), wanted, rtol=1e-11)


def test_deviation_at_the_points_names_the_worst() -> None:
    curve = straight([100.0, 1000.0, 2000.0], [1.0, 2.0, 0.5])
    found = deviation(np.array([1.0]), curve)  # flat 0 dB: off by 0, 6.02 and 6.02 dB
    assert found.db == pytest.approx(20 * np.log10(2))
    assert found.hz in (1000.0, 2000.0)
    assert (off_points(np.array([1.0]), curve) > 1.0).tolist() == [False, True, True]


def test_deviation_between_sees_a_ripple_that_passes_through_every_point() -> None:
    # An echo of 0.1 after 80 samples: its ripple repeats every 100 Hz, so that the response is 1.1
    # at each multiple of 100 Hz.
    taps = np.zeros(81)
    taps[0], taps[80] = 1.0, 0.1
    curve = straight([100.0, 200.0, 400.0, 1000.0], [1.1] * 4)
    assert deviation(taps, curve).db < 1e-9
    worst = deviation_between(taps, curve)
    assert worst.db == pytest.approx(20 * np.log10(1.1 / 0.9), rel=1e-4)
    assert worst.hz % 100 == pytest.approx(50.0, abs=2.0)


def test_what_lies_outside_the_points_does_not_count() -> None:
    lowpass = signal.firwin(401, 1500.0, fs=FS)
    assert deviation_between(lowpass, straight([100.0, 500.0], [1.0, 1.0])).db < 0.1
    assert deviation_between(lowpass, straight([100.0, 2500.0], [1.0, 1.0])).db > 30.0


def test_what_is_100_db_down_counts_as_that_in_curve_and_filter() -> None:
    taps = np.array([1.0, 0.0, 1.0])  # zero at FS/4
    at, deep, shallow = FS / 4, 1e-9, 1e-3
    assert deviation(taps, straight([100.0, at], [2.0, deep])).db < 0.03
    assert deviation_between(taps, straight([100.0, at], [2.0, 2.0]), floored=True).db > 99.0
    # but a design is held to all of it
    assert off_points(np.array([1.0]), straight([100.0, at], [1.0, deep])).max() > 179.0
    # a filter that is deeper than the curve is off as far as can be told from nothing
    off = deviation(taps, straight([100.0, at], [2.0, shallow]))
    assert off.db == pytest.approx(20 * np.log10(shallow / 2.0) + 100.0)
    # and so is a curve that is deeper than the filter
    off = deviation(np.array([1.0]), straight([100.0, at], [1.0, deep]))
    assert off.db == pytest.approx(100.0)


def test_product_of_curves() -> None:
    a, b = (
        straight([100.0, 1000.0, 3000.0], [1.0, 2.0, 1.0]),
        straight([50.0, 500.0, 2000.0], [0.5, 0.5, 1.0]),
    )
    both = product([a, b])
    assert both.points_hz.tolist() == [100.0, 500.0, 1000.0, 2000.0]
    np.testing.assert_allclose(
        10 ** (both.points_db / 20), a.aim(both.points_hz) * b.aim(both.points_hz)
    )
    for same in (product([a]), product([a, a])):
        assert same.points_hz.tolist() == a.points_hz.tolist()


def test_product_refuses_what_cannot_be_one_curve() -> None:
    with pytest.raises(ValueError, match="sampling rate"):
        product([straight([100.0], [1.0]), straight([100.0], [1.0], fs=16000.0)])
    with pytest.raises(ValueError, match="do not overlap"):
        product([straight([100.0, 200.0], [1.0, 1.0]), straight([300.0, 400.0], [1.0, 1.0])])


def test_memory_does_not_grow_with_the_closeness_of_points() -> None:
    fs, taps = 48000.0, np.array([0.5, 0.3, 0.2])
    points = np.sort(
        np.concatenate([1000.0 + 1e-9 * np.arange(1000), np.linspace(20.0, 20000.0, 50)])
    )
    curve = PublishedCurve(
        points, np.zeros(len(points)), lambda freqs: np.where(freqs < 1000.0000005, 1.0, 2.0), fs
    )
    tracemalloc.start()
    freqs, off = deviations(taps, curve)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 29
    assert np.all(np.diff(freqs) >= 0)
    exact = 20 * np.log10(np.abs(signal.freqz(taps, worN=freqs, fs=fs)[1])) - 20 * np.log10(
        curve.aim(freqs)
    )
    np.testing.assert_allclose(off, abs(exact), atol=1e-9)
    inside = np.count_nonzero((freqs > 1000.0) & (freqs < 1000.000001))
    assert inside >= 999  # the points themselves; between them no response can bend


@pytest.mark.parametrize("numtaps", [1000, 1001])
def test_many_frequencies_of_a_long_filter_are_read_from_an_fft(
    numtaps: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    taps, freqs = (
        rng.standard_normal(numtaps),
        np.concatenate([[0.0, 4000.0], rng.uniform(0, 4000, 500)]),
    )
    exact = np.abs(signal.freqz(taps, worN=freqs, fs=8000)[1])
    monkeypatch.setattr("earfilt.synthesis.deviation._LONGEST_SUM", 1000)
    np.testing.assert_allclose(magnitude_at(taps, freqs, 8000.0), exact, atol=1e-9 * exact.max())


def test_a_long_chain_takes_no_memory_for_each_member() -> None:
    freqs = np.linspace(0.0, 4000.0, 1 << 17)
    curves = [straight([10.0, 4000.0], [1.0, 1.0 + k / 100]) for k in range(64)]
    chain = product(curves)
    tracemalloc.start()
    aim = chain.aim(freqs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_allclose(aim, np.prod([curve.aim(freqs) for curve in curves], axis=0))
    assert peak < 6 * freqs.nbytes


def test_many_points_of_very_many_taps_take_bounded_memory() -> None:
    random = np.random.default_rng(3)
    taps = random.standard_normal(100_000) / 300
    freqs = np.linspace(0.0, FS / 2, 1000)
    tracemalloc.start()
    found = magnitude_at(taps, freqs, FS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6
    _, response = signal.freqz(taps, worN=freqs[::50], fs=FS)
    np.testing.assert_allclose(found[::50], abs(response), atol=1e-7)
