"""Responses against sums in extended precision, and the files they are written to."""

import csv
import io
import json
import math

import numpy as np
import pytest

from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.response import COLUMNS, frequency_grid, respond, to_csv, to_json

PI = np.longdouble("3.14159265358979323846264338327950288")


def decaying(numtaps, lookahead=0, seed=0):
    distance = abs(np.arange(numtaps) - lookahead)
    return np.random.default_rng(seed).standard_normal(numtaps) * np.exp(-distance / 30)


def direct(fir, freqs, power=0):
    """Σ n^power·h[n]·e^{−jωn} in extended precision, n from −lookahead."""
    n = np.arange(fir.numtaps).astype(np.longdouble) - fir.lookahead
    weighted = fir.taps * n**power
    angles = [2 * PI * n * np.longdouble(f) / np.longdouble(fir.fs) for f in freqs]
    return np.array(
        [(weighted * np.cos(a)).sum() - 1j * (weighted * np.sin(a)).sum() for a in angles]
    )


@pytest.mark.parametrize(
    ("numtaps", "lookahead"), [(1, 0), (2, 1), (3, 0), (513, 0), (8193, 4096), (131073, 65536)]
)
@pytest.mark.parametrize("fs", [16000.0, 44100.0, 192000.0])
def test_response_is_the_direct_sum(numtaps, lookahead, fs):
    fir = Fir(decaying(numtaps, lookahead), fs, lookahead)
    freqs = np.array([0.0, 20.0, 997.3, fs / 4, fs / 2 - 1e-3, fs / 2])
    curve, wanted = respond(fir, freqs), direct(fir, freqs)
    assert np.abs(curve.magnitude_db - 20 * np.log10(np.abs(wanted))).max() < 1e-9
    assert np.abs(np.angle(np.exp(1j * curve.phase_rad) / wanted)).max() < 1e-10
    delay = (direct(fir, freqs, 1) / wanted).real / fs
    assert np.abs(curve.group_delay_s - delay).max() < 1e-9 * max(1.0, np.abs(delay).max())


def test_group_delay_is_the_slope_of_the_phase():
    fir = Fir(decaying(65, seed=3), 48000.0)
    freqs = frequency_grid(48000.0, points=40)
    step = 1e-3
    ahead, behind = respond(fir, freqs + step), respond(fir, freqs - step)
    slope = -np.angle(np.exp(1j * (ahead.phase_rad - behind.phase_rad))) / (2 * step) / (2 * np.pi)
    assert respond(fir, freqs).group_delay_s == pytest.approx(slope, abs=1e-9)


def test_a_pure_delay_and_a_centred_filter():
    freqs = frequency_grid(8000.0, points=9, scale="linear", fmax=3999.0)
    delayed = respond(Fir(np.eye(8)[5], 8000.0), freqs)
    assert delayed.group_delay_s == pytest.approx(5 / 8000, rel=1e-12)
    assert delayed.magnitude_db == pytest.approx(0, abs=1e-12)
    centred = respond(Fir(np.array([0.25, 1.0, 0.25]), 8000.0, 1), freqs)
    assert centred.phase_rad == pytest.approx(0, abs=1e-15)
    assert centred.group_delay_s == pytest.approx(0, abs=1e-18)
    assert centred.magnitude_db == pytest.approx(
        20 * np.log10(1 + 0.5 * np.cos(2 * np.pi * freqs / 8000)), abs=1e-12
    )


def test_a_zero_of_the_response_has_no_group_delay():
    curve = respond(Fir(np.array([1.0, -1.0]), 8000.0), np.array([0.0, 100.0]))
    assert curve.magnitude_db[0] == -math.inf
    assert math.isnan(curve.group_delay_s[0])
    assert curve.group_delay_s[1] == pytest.approx(0.5 / 8000)
    found = json.loads(to_json([({"filter": "x"}, curve)]))
    assert (found[0]["filter"], found[0]["magnitude_db"][0], found[0]["group_delay_s"][0]) == (
        "x",
        None,
        None,
    )


def test_grids():
    log = frequency_grid(48000.0)
    assert (len(log), log[0], log[-1]) == (512, 20.0, 20000.0)
    assert np.diff(np.log(log)) == pytest.approx(np.log(1000) / 511, rel=1e-9)
    linear = frequency_grid(16000.0, points=5, scale="linear")
    assert linear.tolist() == [0, 2000, 4000, 6000, 8000]
    assert frequency_grid(8000.0, fmin=44.1, fmax=3999.9)[[0, -1]].tolist() == [44.1, 3999.9]
    assert frequency_grid(8000.0, points=1).tolist() == [20.0]


@pytest.mark.parametrize(
    ("fs", "options", "ends"),
    [
        (30.0, {}, [0.015, 15.0]),
        (48000.0, {"fmax": 10.0}, [0.01, 10.0]),
        (96000.0, {"fmin": 30000.0}, [30000.0, 48000.0]),
        (96000.0, {"fmin": 30000.0, "scale": "linear"}, [30000.0, 48000.0]),
    ],
)
def test_ends_that_were_not_asked_for_fit_those_that_were(fs, options, ends):
    assert frequency_grid(fs, points=2, **options).tolist() == pytest.approx(ends)


@pytest.mark.parametrize("fs", [-1.0, 0.0, math.nan, math.inf, 1e12])
def test_a_rate_that_is_none_is_called_that(fs):
    with pytest.raises(UsageError, match="it must be a sampling rate"):
        frequency_grid(fs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 0}, "--points 0; 1 to"),
        ({"points": 1 << 21}, "--points 2097152"),
        ({"scale": "mel"}, "--scale mel; it is one of log, linear"),
        ({"fmin": 0.0}, "--fmin 0 has no place on a log scale"),
        ({"fmax": 4000.00001}, r"4000\.00001 Hz is asked for; .* from 0 to 4000 Hz"),
        ({"fmin": -1.0}, "-1 Hz is asked for"),
        (
            {"fmax": 5000.0},
            "5000 Hz is asked for; at 8000 Hz sampling rate a response is defined from 0 to "
            "4000 Hz",
        ),
        ({"fmin": 300.0, "fmax": 200.0}, "--fmin 300 is above --fmax 200"),
        ({"fmax": math.nan}, "nan Hz"),
    ],
)
def test_grids_that_make_no_sense(options, message):
    with pytest.raises(UsageError, match=message):
        frequency_grid(8000.0, **options)


def test_frequencies_and_rates_that_make_no_sense():
    fir = Fir(np.ones(3), 8000.0)
    for freqs, message in (
        ([4000.1], r"4000\.1 Hz"),
        ([-1.0], "-1 Hz"),
        ([], "no frequency"),
        ([math.inf], "inf Hz"),
    ):
        with pytest.raises(UsageError, match=message):
            respond(fir, np.array(freqs))
    with pytest.raises(UsageError, match="fs states it"):
        respond(Fir(np.ones(3), None), np.array([1.0]))


def test_csv_holds_every_bit():
    freqs = np.array([1 / 3, 1000.0])
    one, two = (
        respond(Fir(decaying(9), 8000.0), freqs),
        respond(Fir(decaying(9, seed=1), 8000.0), freqs),
    )
    rows = list(csv.reader(io.StringIO(to_csv([("a", one)]))))
    assert tuple(rows[0]) == COLUMNS
    assert np.array_equal(np.array(rows[1:], dtype=float).T, np.array(one.columns()))
    rows = list(csv.reader(io.StringIO(to_csv([("a", one), ("b,c", two)]))))
    assert rows[0] == ["filter", *COLUMNS]
    assert [row[0] for row in rows[1:]] == ["a", "a", "b,c", "b,c"]
