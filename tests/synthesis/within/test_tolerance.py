"""The order a tolerance needs: held at the points and between them by scipy's evaluation, minimal
by linear programming.
"""

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import signal
from scipy.optimize import linprog

from earfilt.chains.members import resolve
from earfilt.ears.curve import PublishedCurve, product
from earfilt.errors import UsageError
from earfilt.synthesis.within import exact, tolerance
from earfilt.synthesis.within.exact import design_within
from earfilt.synthesis.within.taps import Design, spectral_factor
from earfilt.synthesis.within.tolerance import order_for

EARS = [
    "headphone",
    "middle-ear",
    "middle-ear:jepsen2008",
    "middle-ear:goode1994",
    "outer-middle-ear:1997-free",
    "outer-middle-ear:2007-diffuse",
]
PHASES = ["minimum", "zero"]


def curve_of(name: str, fs: float) -> PublishedCurve:
    curve = resolve(name).curve_at(fs)
    assert curve is not None
    return curve


def largest_deviation(design: Design, curve: PublishedCurve) -> float:
    """dB over the points and a grid that is logarithmically and linearly much finer than any the
    search used.
    """
    low, high = curve.points_hz[[0, -1]]
    freqs = np.unique(
        np.concatenate(
            [curve.points_hz, np.geomspace(low, high, 3001), np.linspace(low, high, 9001)]
        )
    ).clip(low, high)
    _, response = signal.freqz(design.taps, worN=freqs, fs=curve.fs)
    return float(np.max(abs(20 * np.log10(abs(response) / curve.aim(freqs)))))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fs", [16000.0, 48000.0])
@pytest.mark.parametrize("name", EARS)
def test_a_tenth_of_a_decibel_at_the_points_and_between(name: str, fs: float, phase: str) -> None:
    curve = curve_of(name, fs)
    design = order_for(curve, 0.1, phase=phase)
    assert design.met
    assert design.missed_points_hz == ()
    assert largest_deviation(design, curve) <= 0.1 * (1 + 2e-3)
    assert design.order_below == design.order - 2
    _, response = signal.freqz(design.taps, worN=curve.points_hz, fs=fs)
    off = abs(20 * np.log10(abs(response)) - curve.points_db)
    assert design.deviation.db == pytest.approx(off.max(), abs=1e-9)
    assert design.deviation.db <= design.between.db + 1e-9


@pytest.mark.parametrize("phase", PHASES)
def test_the_highest_rate_needs_the_same_taps_per_second(phase: str) -> None:
    low, high = (
        order_for(curve_of("headphone", fs), 0.1, phase=phase) for fs in (48000.0, 192000.0)
    )
    assert high.met
    assert high.order == pytest.approx(4 * low.order, rel=0.02)


def test_taps_of_the_phases() -> None:
    curve = curve_of("middle-ear", 16000.0)
    minimum, zero = order_for(curve, 0.1, phase="minimum"), order_for(curve, 0.1, phase="zero")
    assert len(minimum.taps) == minimum.order + 1
    np.testing.assert_array_equal(minimum.taps, minimum.pass_taps)
    assert len(zero.taps) == 2 * zero.order + 1
    np.testing.assert_array_equal(zero.taps, zero.taps[::-1])
    np.testing.assert_allclose(
        np.convolve(zero.pass_taps, zero.pass_taps[::-1]), zero.taps, atol=1e-9
    )


@pytest.mark.parametrize("phase", PHASES)
def test_one_pass_is_minimum_phase(phase: str) -> None:
    taps = order_for(curve_of("middle-ear", 16000.0), 0.1, phase=phase).pass_taps
    assert np.max(abs(np.roots(taps))) < 1.0


def feasible(curve: PublishedCurve, tolerance_db: float, power: int, order: int) -> bool:
    """Whether any cosine polynomial of this degree lies in the band between the first point and the
    last: linear programming.
    """
    held = (curve.points_hz[0], curve.points_hz[-1])
    freqs = np.unique(
        np.concatenate(
            [
                np.linspace(*held, 30 * order),
                curve.points_hz,
                np.linspace(0.0, curve.fs / 2, 8 * order),
            ]
        )
    )
    centre, width = tolerance._problem(curve, tolerance_db, power).bounds(
        freqs * (2 * np.pi / curve.fs)
    )
    basis = np.cos(np.outer(freqs * (2 * np.pi / curve.fs), np.arange(order + 1))) / width[:, None]
    rows, limits = (
        np.vstack([basis, -basis]),
        np.r_[(centre + width) / width, (width - centre) / width],
    )
    return (
        linprog(np.zeros(order + 1), rows, limits, bounds=(None, None), method="highs").status == 0
    )


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", ["headphone", "middle-ear"])
def test_no_smaller_even_order_would_do(name: str, phase: str) -> None:
    curve = curve_of(name, 16000.0)
    order, power = order_for(curve, 0.3, phase=phase).order, 2 if phase == "minimum" else 1
    assert not feasible(curve, 0.3 * (1 - 1e-4), power, order - 2)
    assert feasible(curve, 0.3 * (1 + 1e-3), power, order)


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_rises_or_falls_out_of_hand_outside_the_points(phase: str) -> None:
    curve = curve_of("headphone", 48000.0)
    design = order_for(curve, 0.1, phase=phase)
    freqs = np.linspace(0.0, 24000.0, 20001)
    _, response = signal.freqz(design.taps, worN=freqs, fs=48000.0)
    gain_db = 20 * np.log10(abs(response))
    below, above = gain_db[freqs < curve.points_hz[0]], gain_db[freqs > curve.points_hz[-1]]
    assert below.max() < 6.1
    assert above.max() < curve.points_db[-1] + 1.2
    assert above.min() > curve.points_db[-1] - 21.5


def test_a_tolerance_out_of_reach_gives_the_best_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tolerance, "LARGEST_ORDER", 128)
    monkeypatch.setattr(exact, "LARGEST_ORDER", 128)
    curve = curve_of("headphone", 48000.0)
    design = order_for(curve, 0.1, phase="minimum")
    assert not design.met
    assert design.order == 128
    assert 8414.866811 in design.missed_points_hz
    assert 0.1 < design.deviation.db < 0.6


def test_a_search_that_would_take_long_ends_with_what_the_plain_one_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    curve = curve_of("headphone", 48000.0)
    fewest, plain = (
        order_for(curve, 0.1, phase="minimum"),
        design_within(curve, 0.1, phase="minimum"),
    )
    monkeypatch.setattr(tolerance, "_MOST_WORK", 1e6)
    design = order_for(curve, 0.1, phase="minimum")
    assert design.met
    assert design.taps.tobytes() == plain.taps.tobytes()
    assert design.order_below is None or design.order_below < fewest.order


@pytest.mark.parametrize("phase", PHASES)
def test_a_chain_is_one_design(phase: str) -> None:
    members = [curve_of(name, 48000.0) for name in ("headphone", "middle-ear")]
    chain = product(members)
    design = order_for(chain, 0.1, phase=phase)
    assert design.met
    assert largest_deviation(design, chain) <= 0.1 * (1 + 2e-3)
    assert design.order < sum(order_for(member, 0.05, phase=phase).order for member in members) / 2


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("tolerance_db", [0.03, 1.0, 6.0])
def test_other_tolerances(tolerance_db: float, phase: str) -> None:
    curve = curve_of("middle-ear", 44100.0)
    design = order_for(curve, tolerance_db, phase=phase)
    assert design.met
    assert largest_deviation(design, curve) <= tolerance_db * (1 + 2e-3)


def test_a_wide_tolerance_on_a_deep_curve() -> None:
    """Zeros come close to the unit circle here, and the factor needs many points per tap."""
    curve = curve_of("outer-middle-ear", 48000.0)
    design = order_for(curve, 6.0, phase="minimum")
    assert design.met
    assert largest_deviation(design, curve) <= 6.0 * (1 + 2e-3)


def test_a_curve_of_a_single_point_needs_hardly_any_taps() -> None:
    flat = PublishedCurve(
        np.array([1000.0]),
        np.array([-3.0]),
        lambda at: np.full(np.shape(at), 10 ** (-3 / 20)),
        48000.0,
    )
    assert order_for(flat, 0.1, phase="minimum").order == 2


def test_corners_between_the_points_are_held_without_being_announced() -> None:
    curve = curve_of("headphone", 48000.0)
    silent = replace(curve, corners_hz=np.zeros(0))
    freqs = np.array([0.0, 900.0, 1100.0, 1105.0, 1110.0, 24000.0])
    kinked = replace(
        silent, aim=lambda at: curve.aim(at) * np.interp(at, freqs, [1.0, 1.0, 1.0, 1.03, 1.0, 1.0])
    )
    design = order_for(kinked, 0.2, phase="minimum")
    assert design.met
    assert largest_deviation(design, kinked) <= 0.2 * (1 + 5e-3)


def test_spectral_factor_has_the_magnitude_and_the_order() -> None:
    factor = np.poly(0.97 * np.exp(1j * np.array([0.3, -0.3, 1.0, -1.0, 2.5, -2.5]))).real
    auto = np.correlate(factor, factor, "full")[len(factor) - 1 :]
    found = spectral_factor(np.r_[auto[0], 2 * auto[1:]])
    np.testing.assert_allclose(found, factor, atol=1e-9)


@pytest.mark.parametrize(
    ("tolerance_db", "phase"),
    [(0.0, "zero"), (-1.0, "zero"), (float("nan"), "zero"), (0.1, "linear")],
)
def test_refusals(tolerance_db: float, phase: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        order_for(curve_of("middle-ear", 16000.0), tolerance_db, phase=phase)


def test_taps_do_not_depend_on_the_number_of_threads() -> None:
    code = (
        "import hashlib, sys; from earfilt.chains.members import resolve;"
        "print(resolve('headphone', tolerance=0.1).at(48000.0).sha256)"
    )
    threads = [
        dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count) for count in ("1", "2")
    ]
    command = [sys.executable, "-c", code]
    digests = [
        subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=True).stdout
        for env in threads
    ]
    assert digests[0] == digests[1] != b""


@pytest.mark.parametrize("phase", PHASES)
def test_a_step_that_no_order_follows_is_refused_before_the_search(
    phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.array([100.0, 1000.0, 1000.001, 8000.0])
    levels = np.array([0.0, 0.0, -20.0, -20.0])
    curve = PublishedCurve(
        points, levels, lambda f: 10 ** (np.interp(f, points, levels) / 20), 48000.0
    )
    monkeypatch.setattr(tolerance, "smallest_even_degree", None)
    with pytest.raises(UsageError, match=r"step of 20 dB between 1000 and 1000\.001 Hz"):
        order_for(curve, 0.5, phase=phase)


def test_the_search_looks_at_a_bounded_number_of_points(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.linspace(20.0, 20_000.0, 131_072)
    curve = PublishedCurve(
        points,
        20 * np.log10(1.5 + np.sin(points / 3000)),
        lambda f: 1.5 + np.sin(f / 3000),
        48000.0,
    )
    seen: list[int] = []
    real = tolerance.smallest_even_degree

    def watched(problem: Any, **options: Any) -> Any:
        seen.append(len(problem.marks))
        return real(problem, **options)

    monkeypatch.setattr(tolerance, "smallest_even_degree", watched)
    design = order_for(curve, 1.0, phase="minimum")
    assert design.met
    assert max(seen) <= 16_384


def test_a_steep_curve_far_below_the_rate_overflows_nothing() -> None:
    points, levels = np.array([0.001, 0.0011, 8000.0]), np.array([-200.0, 200.0, 200.0])
    curve = PublishedCurve(
        points, levels, lambda f: 10 ** (np.interp(f, points, levels) / 20), 48000.0
    )
    with pytest.raises(UsageError, match="step of 400 dB"):
        order_for(curve, 3.0, phase="zero")
