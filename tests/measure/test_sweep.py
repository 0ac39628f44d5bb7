"""Sweeps: their rate, their harmonics, and what is no sweep."""

import io

import numpy as np
import pytest
import soundfile

import earfilt
from earfilt.errors import UsageError
from earfilt.measure.sweep import make_sweep, sweep_file, sweep_rate

FS = 16000


def test_the_rate_is_read_off_the_sweep_of_any_program() -> None:
    octaves = np.log(7680.0 / 10.0)
    rate = round(10.0 * 8.0 / octaves) / 10.0
    assert sweep_rate(make_sweep(FS, 8.0), FS) == pytest.approx(rate, rel=1e-3)
    t = np.arange(5 * FS) / FS
    other = np.sin(2 * np.pi * 50.0 * 1.7 * np.expm1(t / 1.7))
    assert sweep_rate(0.1 * np.concatenate([np.zeros(999), other]), FS) == pytest.approx(
        1.7, rel=1e-3
    )


def test_what_is_no_exponential_sweep_is_refused(rng) -> None:
    t = np.arange(5 * FS) / FS
    for x in (rng.standard_normal(5 * FS), np.sin(2e3 * t), np.sin(4000.0 * t**2), np.ones(9)):
        with pytest.raises(UsageError, match="not an exponential sweep"):
            sweep_rate(x, FS)


@pytest.mark.parametrize("order", [2, 3])
def test_harmonics_are_told_and_kept_apart(order) -> None:
    dry = make_sweep(FS, 8.0)
    rate = sweep_rate(dry, FS)
    t = np.arange(len(dry)) / FS
    turns = 10.0 * rate * np.expm1(t / rate)
    # up to fs/2: what folds back at it is no harmonic
    below = order * 10.0 * np.exp(t / rate) < 0.47 * FS
    wet = dry + 0.02 * 0.5 * np.where(below, np.sin(2.0 * np.pi * order * turns), 0.0)
    found = earfilt.identify(dry, wet, FS, estimator="sweep", band=(60.0, 7000.0))
    assert np.abs(found.gain_db).max() < 0.02
    levels = dict(found.seatings[0].harmonics)
    assert set(levels) == {order}
    # the band that an order reaches is narrower by that factor
    assert levels[order] == pytest.approx(20.0 * np.log10(0.02), abs=1.5)


def test_a_recording_of_something_else_is_refused(rng) -> None:
    with pytest.raises(UsageError, match="does not hold the sweep"):
        earfilt.identify(
            make_sweep(FS, 3.0), 0.1 * rng.standard_normal(4 * FS), FS, estimator="sweep"
        )


def test_the_file_is_the_same_each_time_and_ends_in_silence() -> None:
    data, words = sweep_file(44100.0, 5.0)
    assert data == sweep_file(44100.0, 5.0)[0]
    x, fs = soundfile.read(io.BytesIO(data))
    assert fs == 44100
    assert np.abs(x).max() == pytest.approx(0.5, abs=1e-3)
    assert not x[-fs:].any()
    assert "10 to 21168 Hz" in words
    for fs, seconds in ((1000.0, 5.0), (44100.5, 5.0), (44100.0, 0.1), (44100.0, 1e9)):
        with pytest.raises(UsageError, match="a sweep has"):
            sweep_file(fs, seconds)
