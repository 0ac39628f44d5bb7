"""Directions: exact where they were measured, interpolated between, refused where nothing was."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earfilt.directions.geometry import angles_of, between, unit_vectors
from earfilt.directions.hrirs import Hrirs, Treatment, delayed
from earfilt.directions.interpolation import interaural
from earfilt.directions.sphere import Net
from earfilt.files.sofa.reader import read_sofa
from tests.sofas import FS, grid, kemar, sphere_ears, write_sphere


def sphere(step: float, lowest: float = -45.0) -> Hrirs:
    angles = grid(step, lowest)
    vectors = unit_vectors(angles[:, 0], angles[:, 1])
    count = len(vectors)
    return Hrirs(sphere_ears(vectors), FS, vectors, np.full(count, 1.5), np.zeros((count, 2)))


def test_angles_and_back() -> None:
    rng = np.random.default_rng(1)
    azimuth, elevation = rng.uniform(0, 360, 50), rng.uniform(-90, 90, 50)
    found = angles_of(3.0 * unit_vectors(azimuth, elevation))
    np.testing.assert_allclose(found, (azimuth, elevation), atol=1e-9)


def test_great_circles_also_to_the_opposite() -> None:
    ahead = unit_vectors(0.0, 0.0)
    over = between(ahead, unit_vectors(180.0, 0.0), 0.5)
    np.testing.assert_allclose(over, [0.0, 0.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(between(ahead, ahead, 0.3), ahead)


def test_weights_give_the_direction_back() -> None:
    found = sphere(15.0)
    rng = np.random.default_rng(2)
    for azimuth, elevation in zip(rng.uniform(0, 360, 40), rng.uniform(-40, 89, 40), strict=True):
        direction = unit_vectors(azimuth, elevation)
        place = found.place(direction)
        assert place is not None
        assert sum(place.weights) == pytest.approx(1.0)
        summed = np.array(place.weights) @ found.vectors[list(place.indices)]
        np.testing.assert_allclose(summed / np.linalg.norm(summed), direction, atol=1e-9)


def test_outside_of_the_cap_is_told() -> None:
    found = sphere(15.0, lowest=-45.0)
    assert found.place(unit_vectors(10.0, -60.0)) is None
    assert found.place(unit_vectors(10.0, -60.0), nearest=True) is not None
    assert found.place(unit_vectors(10.0, -40.0)) is not None


def test_directions_in_one_plane() -> None:
    net = Net(unit_vectors(np.arange(0.0, 360.0, 10.0), 0.0))
    place = net.place(unit_vectors(357.5, 0.0))
    assert place is not None
    assert dict(zip(place.indices, place.weights, strict=True)) == pytest.approx(
        {35: 0.25, 0: 0.75}
    )
    assert net.place(unit_vectors(0.0, 20.0)) is None
    np.testing.assert_allclose(net.solid_angles, 1 / 36)


def test_solid_angles_of_a_whole_sphere() -> None:
    angles = grid(10.0)
    found = Net(unit_vectors(angles[:, 0], angles[:, 1])).solid_angles
    assert found.sum() == pytest.approx(1.0)
    equator = found[np.abs(angles[:, 1]) < 1e-9]
    expected = np.sin(np.radians(5.0)) / len(equator)  # of a band of ±5°
    np.testing.assert_allclose(equator, expected, rtol=0.01)


def test_slopes_make_up_for_curvature() -> None:
    """Harmonics of degree 2 and 3 on a grid of 10°: a small part of what linear weights miss."""
    found = sphere(10.0)
    rng = np.random.default_rng(5)

    def values(at: np.ndarray) -> np.ndarray:
        x, y, z = at.T
        return np.stack([x * y, y**2 - z**2, x * y * z, x**3 - 3 * x * y**2])

    known, off, straight = values(found.vectors), [], []
    for azimuth, elevation in zip(rng.uniform(0, 360, 60), rng.uniform(-30, 80, 60), strict=True):
        direction = unit_vectors(azimuth, elevation)
        place = found.place(direction)
        assert place is not None
        assert sum(place.slopes.values()) == pytest.approx(0.0, abs=1e-9)
        exact = values(direction[None])[:, 0]
        off.append(known[:, list(place.summed)] @ list(place.summed.values()) - exact)
        straight.append(known[:, list(place.indices)] @ place.weights - exact)
    assert np.sqrt(np.mean(np.square(off))) < 0.2 * np.sqrt(np.mean(np.square(straight)))


def test_few_directions_or_two_rings_have_no_slopes() -> None:
    rings = unit_vectors(np.tile(np.arange(0.0, 360.0, 5.0), 2), np.repeat([0.0, 10.0], 72))
    place = Net(rings).place(unit_vectors(42.0, 4.0))
    assert place is not None
    assert not any(place.slopes.values())
    axes = Net(np.concatenate([np.eye(3), -np.eye(3)]))
    place = axes.place(unit_vectors(30.0, 30.0))
    assert place is not None
    assert not any(place.slopes.values())


def test_the_rigid_sphere_between_its_directions(tmp_path: Path) -> None:
    """Written by sofar and read again."""
    found = read_sofa(write_sphere(tmp_path / "sphere.sofa", 2.5)).found.hrirs
    rng = np.random.default_rng(3)
    freqs = np.fft.rfftfreq(1024, 1 / FS)
    heard = (freqs >= 200.0) & (freqs <= 16000.0)
    azimuths = [
        *rng.uniform(0, 360, 20),
        *(90 + rng.choice([0, 180], 20) + rng.uniform(-40, 40, 20)),
    ]
    elevations = [*rng.uniform(-40, 90, 20), *rng.uniform(-40, 40, 20)]
    off_us, off_db, opposite_db = [], [], []
    directions = unit_vectors(np.array(azimuths), np.array(elevations))
    for direction, exact in zip(directions, sphere_ears(directions), strict=True):
        place = found.place(direction)
        assert place is not None
        made = found.pair(place, Treatment()).taps
        off_us.append(abs(interaural(made) - interaural(exact)) / FS * 1e6)
        levels = [20 * np.log10(np.abs(np.fft.rfft(one, 1024))[:, heard]) for one in (made, exact)]
        for ear, towards in enumerate((direction[1], -direction[1])):
            lit = levels[1][ear] > -6.0  # of the free field: not in deep interference
            opposite = towards < -np.cos(np.radians(20.0))
            (opposite_db if opposite else off_db).extend(np.abs(np.subtract(*levels)[ear])[lit])
    assert max(off_us) < 2.0
    assert max(off_db) < 0.05
    # The bright spot and its rings are narrower than the grid at high frequencies.
    assert np.percentile(opposite_db, 95) < 0.2


def test_delays_before_the_taps() -> None:
    """A whole number of samples keeps the bits; between them phase and magnitude are those of the
    delay up to 0.45 of the rate.
    """
    taps = np.random.default_rng(0).standard_normal((2, 64))
    found = delayed(taps, np.array([35.0, 34.3]), 135)
    np.testing.assert_array_equal(found[0, 35:99], taps[0])
    freqs = np.linspace(0.0, 0.45, 91)
    spectra = [
        np.exp(-2j * np.pi * np.outer(freqs, np.arange(len(h)))) @ h for h in (found[1], taps[1])
    ]
    expected = spectra[1] * np.exp(-2j * np.pi * freqs * 34.3)
    np.testing.assert_allclose(spectra[0], expected, atol=1e-4 * np.abs(expected).max())


TREATMENTS = {
    "as measured": (Treatment(), 0.0),
    "between": (Treatment(), 7.0),
    "minimum": (Treatment(minimum=True), 0.0),
    "minimum between": (Treatment(minimum=True), 7.0),
    "at once": (Treatment(minimum=True, delayed=False), 7.0),
}


@pytest.mark.parametrize("kind", TREATMENTS)
@pytest.mark.parametrize("delays", [(0.5, 3.4), (4.5, 10.3), (40.25, 60.75)])
def test_delays_between_samples_change_no_magnitude(kind: str, delays: tuple[float, float]) -> None:
    """Taps of minimum phase, which start at once, up to 0.45 of the rate."""
    how, azimuth = TREATMENTS[kind]
    taps = np.zeros((36, 2, 96))
    taps[..., :6] = [1, 0.5, -0.2, 0.1, 0.05, 0.02]
    vectors = unit_vectors(np.arange(0.0, 360.0, 10.0), 0.0)
    found = Hrirs(taps, FS, vectors, np.ones(36), np.tile(delays, (36, 1)))
    place = found.place(unit_vectors(azimuth, 0.0))
    assert place is not None
    made = found.pair(place, how)
    freqs = np.linspace(0.005, 0.45, 90)
    time = np.arange(made.taps.shape[1]) - made.lookahead
    got = np.exp(-2j * np.pi * np.outer(freqs, time)) @ made.taps.T
    own = np.exp(-2j * np.pi * np.outer(freqs, np.arange(6))) @ taps[0, 0, :6]
    late = np.array(delays) if how.delayed else np.zeros(2)
    expected = own[:, None] * np.exp(-2j * np.pi * np.outer(freqs, late))
    assert np.abs(20 * np.log10(np.abs(got / expected))).max() < 0.01
    assert np.abs(np.angle(got / expected)).max() < 2e-3


@pytest.mark.parametrize("delayed_", [True, False])
def test_minimum_phase_keeps_or_drops_the_interaural_delay(delayed_: bool) -> None:
    found = sphere(15.0)
    place = found.place(unit_vectors(75.0, 0.0))
    assert place is not None
    measured = found.pair(place, Treatment()).taps
    made = found.pair(place, Treatment(minimum=True, delayed=delayed_)).taps
    expected = interaural(measured) if delayed_ else 0.0
    assert interaural(measured) < -20
    assert interaural(made) == pytest.approx(expected, abs=0.05)


def test_nothing_jumps_at_a_measured_direction() -> None:
    found = sphere(15.0)
    at, near = (found.place(unit_vectors(azimuth, 15.0)) for azimuth in (0.0, 0.02))
    assert at is not None
    assert near is not None
    assert len(near.indices) > 1
    exact, beside = (found.pair(place, Treatment()) for place in (at, near))
    whole = beside.taps[:, beside.lookahead :][:, : exact.taps.shape[1]]
    assert np.abs(whole - exact.taps).max() < 1e-2 * np.abs(exact.taps).max()


def test_without_its_diffuse_field_the_mean_is_flat() -> None:
    found = sphere(15.0, lowest=-90.0)
    weights = found.net.solid_angles
    power = np.zeros((2, 2049))
    for index, weight in enumerate(weights):
        place = found.place(found.vectors[index])
        assert place is not None
        taps = found.pair(place, Treatment(diffuse="remove")).taps
        power += weight * np.abs(np.fft.rfft(taps, 4096)) ** 2
    freqs = np.fft.rfftfreq(4096, 1 / FS)
    heard = (freqs >= 50.0) & (freqs <= 16000.0)
    assert np.abs(10 * np.log10(power[:, heard])).max() < 0.1


def leave_one_out(count: int) -> tuple[float, float, float, float]:
    """Median log-spectral distortion of an ear (dB) and error of the interaural delay (µs) at
    directions of KEMAR that were taken out; and the same of the nearest direction.
    """
    whole = read_sofa(kemar()).found.hrirs
    freqs = np.fft.rfftfreq(2048, 1 / whole.fs)
    heard = (freqs >= 200.0) & (freqs <= 16000.0)
    found = []
    for index in np.random.default_rng(0).choice(len(whole.vectors), count, replace=False):
        kept = np.arange(len(whole.vectors)) != index
        rest = Hrirs(
            whole.taps[kept],
            whole.fs,
            whole.vectors[kept],
            whole.distances[kept],
            whole.delays[kept],
        )
        taken, row = whole.taps[index], []
        for nearest in (False, True):
            place = rest.place(whole.vectors[index], nearest=nearest)
            if place is None:
                place = rest.place(whole.vectors[index], nearest=True)
            assert place is not None
            made = rest.pair(place, Treatment()).taps
            ratio = np.fft.rfft(made, 2048)[:, heard] / np.fft.rfft(taken, 2048)[:, heard]
            db = 20 * np.log10(np.abs(ratio))
            row += [*np.sqrt((db**2).mean(1)), abs(interaural(made) - interaural(taken))]
        found.append(row)
    each = np.array(found)
    delay, near_delay = np.median(each[:, [2, 5]], axis=0) / whole.fs * 1e6
    return np.median(each[:, :2]), delay, np.median(each[:, 3:5]), near_delay


def test_kemar_leaving_directions_out() -> None:
    lsd, delay, near_lsd, near_delay = leave_one_out(40)
    assert lsd <= 1.0
    assert delay <= 3.0
    assert near_lsd > 1.4
    assert near_delay > 25.0


@pytest.mark.slow
def test_kemar_leaving_150_directions_out() -> None:
    lsd, delay, near_lsd, near_delay = leave_one_out(150)
    print(f"{lsd:.3f} dB, {delay:.2f} µs; nearest {near_lsd:.3f} dB, {near_delay:.2f} µs")
    assert lsd <= 0.9
    assert delay <= 1.2


def test_kemar_at_a_measured_direction_bit_for_bit() -> None:
    import h5py

    path: Path = kemar()
    with h5py.File(path, "r") as file:
        taps, positions = file["Data.IR"][()], file["SourcePosition"][()]
    found = read_sofa(path).found.hrirs
    for index in (0, 100, 400, 709):
        place = found.place(unit_vectors(positions[index, 0], positions[index, 1]))
        assert place is not None
        np.testing.assert_array_equal(found.pair(place, Treatment()).taps, taps[index])


BETWEEN = """
import hashlib
from earfilt.chains.members import resolve

for more in ({}, {"phase": "minimum"}, {"diffuse_field": "remove"}):
    taps = resolve("sphere.sofa", azimuth=33.3, elevation=4.4, **more).at(FS).taps
    print(hashlib.sha256(taps.tobytes()).hexdigest())
"""


def test_taps_between_directions_have_the_same_bits_on_older_processors(tmp_path: Path) -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__

    write_sphere(tmp_path / "sphere.sofa")
    code = BETWEEN.replace("FS", str(FS))

    def made(disabled: list[str]) -> list[str]:
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(disabled)}
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert made(__cpu_dispatch__) == made([])
    assert len(set(made([]))) == 3
