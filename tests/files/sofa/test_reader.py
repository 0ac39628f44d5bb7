"""SOFA files as sofar writes them, and as nobody should."""

import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import sofar

from earfilt.directions.geometry import angles_of
from earfilt.errors import DataError, UsageError
from earfilt.files.sofa.reader import read_sofa
from tests.sofas import FS, write_sofa, write_sphere

POSITIONS = np.array([[0.0, 0.0, 1.4], [90.0, 0.0, 1.4], [180.0, 30.0, 1.4], [270.0, -30.0, 1.4]])


@pytest.fixture(scope="module")
def taps() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((4, 2, 32))


@pytest.fixture
def path(tmp_path: Path, taps: np.ndarray) -> Path:
    return write_sofa(tmp_path / "ears.sofa", taps, POSITIONS)


def changed(path: Path, **variables: Any) -> Path:
    """The same file with other variables."""
    with h5py.File(path, "r+") as file:
        for name, value in variables.items():
            attributes = dict(file[name.replace("_", ".", 1)].attrs) if name in file else {}
            name = name.replace("Data_", "Data.")
            if name in file:
                attributes = {k: v for k, v in file[name].attrs.items() if k in ("Type", "Units")}
                del file[name]
            if value is not None:
                file[name] = value
                file[name].attrs.update(attributes)
    return path


def test_what_sofar_writes(path: Path, taps: np.ndarray) -> None:
    found = read_sofa(path).found
    np.testing.assert_array_equal(found.hrirs.taps, taps)
    assert found.hrirs.fs == FS
    azimuth, elevation = angles_of(found.hrirs.vectors)
    np.testing.assert_allclose(azimuth, POSITIONS[:, 0], atol=1e-6)
    np.testing.assert_allclose(elevation, POSITIONS[:, 1], atol=1e-6)
    assert found.hrirs.shells == pytest.approx((1.4,))


def test_pyfar_reads_the_same(path: Path) -> None:
    import pyfar

    data, places, _ = pyfar.io.read_sofa(str(path))
    found = read_sofa(path).found.hrirs
    np.testing.assert_allclose(found.taps, data.time)
    np.testing.assert_allclose(found.vectors, places.cartesian / places.radius[:, None], atol=1e-9)


def test_ears_are_told_by_where_they_stand(path: Path, taps: np.ndarray) -> None:
    changed(path, ReceiverPosition=np.array([[0, -0.09, 0], [0, 0.09, 0]]))
    np.testing.assert_array_equal(read_sofa(path).found.hrirs.taps, taps[:, ::-1])


def test_swapped_ears_are_suspected(tmp_path: Path) -> None:
    path = write_sphere(tmp_path / "sphere.sofa", 30.0)
    assert not read_sofa(path).found.cautions
    changed(path, ReceiverPosition=np.array([[0, -0.09, 0], [0, 0.09, 0]]))
    assert "swapped" in read_sofa(path).found.cautions[0]


def test_radians_and_cartesian_positions(path: Path) -> None:
    expected = read_sofa(path).found.hrirs.vectors
    radians = np.column_stack([np.radians(POSITIONS[:, :2]), POSITIONS[:, 2]])
    changed(path, SourcePosition=radians)
    with h5py.File(path, "r+") as file:
        file["SourcePosition"].attrs["Units"] = "radian, radian, metre"
    np.testing.assert_allclose(read_sofa(path).found.hrirs.vectors, expected, atol=1e-9)
    changed(path, SourcePosition=1.4 * expected)
    with h5py.File(path, "r+") as file:
        file["SourcePosition"].attrs["Type"] = "cartesian"
        file["SourcePosition"].attrs["Units"] = "metre"
    np.testing.assert_allclose(read_sofa(path).found.hrirs.vectors, expected, atol=1e-9)


def test_a_turned_listener(path: Path) -> None:
    changed(path, ListenerView=np.array([[0.0, 1.0, 0.0]]))
    azimuth, _ = angles_of(read_sofa(path).found.hrirs.vectors)
    np.testing.assert_allclose(azimuth, (POSITIONS[:, 0] - 90.0) % 360.0, atol=1e-6)


@pytest.mark.parametrize("delays", [[[1.0, 2.0]], [[0, 1], [2, 3], [4, 5], [6, 7]]])
def test_delays_of_all_or_of_each(path: Path, taps: np.ndarray, delays: list[list[float]]) -> None:
    changed(path, Data_Delay=np.array(delays, float))
    found = read_sofa(path).found.hrirs
    for index in range(4):
        for ear in range(2):
            late = int(np.broadcast_to(delays, (4, 2))[index, ear])
            row = found.measured(index)[ear]
            np.testing.assert_array_equal(row[late : late + 32], taps[index, ear])
            assert not row[:late].any()


def write_hrtf(path: Path, spectra: np.ndarray, freqs: np.ndarray, places: np.ndarray) -> Path:
    sofa = sofar.Sofa("SimpleFreeFieldHRTF")
    sofa.Data_Real, sofa.Data_Imag = spectra.real, spectra.imag
    sofa.N, sofa.SourcePosition = freqs, places
    sofa.ReceiverPosition = np.array([[0, 0.09, 0], [0, -0.09, 0]])
    sofar.write_sofa(str(path), sofa)
    return path


def test_transfer_functions(tmp_path: Path, taps: np.ndarray) -> None:
    """Those of noise, which fills its period: nothing tells where it begins."""
    freqs = np.fft.rfftfreq(32, 1 / FS)
    found = read_sofa(write_hrtf(tmp_path / "a.sofa", np.fft.rfft(taps), freqs, POSITIONS)).found
    assert found.hrirs.fs == pytest.approx(FS)
    np.testing.assert_allclose(found.hrirs.taps, taps, atol=1e-12)
    assert found.hrirs.before == 0
    assert "they are taken to begin at time zero" in found.cautions[0]


AROUND = np.column_stack([np.arange(0.0, 360.0, 10.0), np.zeros(36), np.full(36, 1.4)])


def around_the_head(delay_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Spectra (36, 2, 257) at 48 kHz of two ears at ±90° on a sphere that lets sound through, which
    arrives so much later at its middle than at time zero; and their arrival times (36, 2) in s.
    """
    sines = np.sin(np.radians(AROUND[:, 0]))
    arrival = delay_s - 0.0875 / 343.0 * np.stack([sines, -sines], 1)
    freqs = np.fft.rfftfreq(512, 1 / 48000.0)
    low = 1.0 / (1.0 + (freqs / 12000.0) ** 6)
    return low * np.exp(-2j * np.pi * freqs * arrival[..., None]), arrival


@pytest.mark.parametrize("delay_ms", [0.0, 0.1, -0.2, 2.0])
def test_what_comes_before_time_zero_stays_there(tmp_path: Path, delay_ms: float) -> None:
    """Calculated responses are referred to the middle of the head: the near ear is early."""
    spectra, arrival = around_the_head(1e-3 * delay_ms)
    freqs = np.fft.rfftfreq(512, 1 / 48000.0)
    found = read_sofa(write_hrtf(tmp_path / "a.sofa", spectra, freqs, AROUND)).found
    assert not found.cautions
    hrirs = found.hrirs
    assert (hrirs.before > 0) == (delay_ms < 2.0)
    for index in (0, 9, 20, 27):
        taps = hrirs.measured(index)
        # the delay of the spectrum at low frequencies, by the phases of its first steps
        at = np.array([100.0, 200.0]) / 48000.0
        time = np.arange(hrirs.numtaps) - hrirs.ahead
        phase = np.angle(np.exp(-2j * np.pi * np.outer(at, time)) @ taps.T)
        delay_s = -np.diff(phase, axis=0)[0] / (2 * np.pi * 100.0)
        np.testing.assert_allclose(delay_s, arrival[index], atol=1e-7)
        got, expected = np.abs(np.fft.rfft(taps, 512)), np.abs(spectra[index])
        np.testing.assert_allclose(got[:, :-1], expected[:, :-1], atol=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("delay", [0, 20, 200])
def test_what_was_not_measured_at_0_hz_follows_the_phase(
    tmp_path: Path, sign: int, delay: int
) -> None:
    taps = np.zeros((36, 2, 512))
    taps[..., delay] = sign * 0.5
    freqs = np.fft.rfftfreq(512, 1 / FS)[1:]
    spectra = np.fft.rfft(taps)[..., 1:]
    found = read_sofa(write_hrtf(tmp_path / "a.sofa", spectra, freqs, AROUND)).found.hrirs
    np.testing.assert_allclose(found.taps, taps, atol=1e-12)


def test_a_direction_that_was_measured_twice_is_told(tmp_path: Path, taps: np.ndarray) -> None:
    twice = np.concatenate([POSITIONS, POSITIONS[2:], POSITIONS[1:2]])
    again = np.concatenate([taps, 0.9 * taps[2:], taps[1:2]])
    path = write_sofa(tmp_path / "twice.sofa", again, twice)
    (caution,) = [text for text in read_sofa(path).found.cautions if "more than one" in text]
    assert "direction 180/30 has" in caution
    assert "response 5 is not, and 1 response more like it" in caution
    far = twice + np.repeat([[0, 0, 0.0], [0, 0, 1.0]], [4, 3], axis=0)
    path = write_sofa(tmp_path / "distances.sofa", again, far)
    assert not [text for text in read_sofa(path).found.cautions if "more than one" in text]


def test_sections(tmp_path: Path) -> None:
    from scipy.signal import butter, sosfilt, unit_impulse

    sos = butter(4, 0.3, output="sos")
    sofa = sofar.Sofa("SimpleFreeFieldHRSOS")
    sofa.Data_SOS = np.broadcast_to(sos.reshape(-1), (4, 2, sos.size))
    sofa.Data_SamplingRate, sofa.SourcePosition = FS, POSITIONS
    sofa.Data_Delay = np.zeros((1, 2))
    sofar.write_sofa(str(tmp_path / "sos.sofa"), sofa)
    found = read_sofa(tmp_path / "sos.sofa").found.hrirs
    expected = sosfilt(sos, unit_impulse(found.taps.shape[2]))
    np.testing.assert_allclose(found.taps, np.broadcast_to(expected, found.taps.shape), atol=1e-7)


SILENT = np.array([[1, 1], [1, 1], [1, 0], [1, 1]])[..., None]
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no responses": ({"Data_IR": None}, "Data.IR is missing"),
    "a wrong shape": ({"Data_IR": np.zeros((4, 64))}, "the shape"),
    "one ear": ({"Data_IR": np.zeros((4, 1, 8))}, "1 receivers"),
    "no numbers": ({"Data_IR": np.full((4, 2, 8), np.nan)}, "not finite"),
    "a silent ear": ({"Data_IR": np.eye(8).reshape(4, 2, 8) * SILENT}, "1 of its 4 .* first 3"),
    "words": ({"Data_IR": np.full((4, 2, 8), b"word")}, "does not hold numbers"),
    "rates that differ": ({"Data_SamplingRate": np.array([1e4, 2e4, 1e4, 1e4])}, "different"),
    "a rate of 0": ({"Data_SamplingRate": np.array([0.0])}, "0 Hz"),
    "delays of others": ({"Data_Delay": np.zeros((3, 2))}, "Data.Delay has the shape"),
    "negative delays": ({"Data_Delay": np.full((1, 2), -1.0)}, "Data.Delay reaches"),
    "too few positions": ({"SourcePosition": np.ones((3, 3))}, "4 directions"),
    "one position": ({"SourcePosition": np.ones((1, 3))}, "no directions"),
    "a source in the head": ({"SourcePosition": np.zeros((4, 3))}, "middle of the head"),
    "no view": ({"ListenerView": np.zeros((1, 3))}, "no axes"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_makes_no_sense(path: Path, kind: str) -> None:
    variables, words = BAD[kind]
    with pytest.raises(DataError, match=words):
        read_sofa(changed(path, **variables))


def test_links_and_other_files_are_not_followed(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.ones((4, 2, 8)).tobytes())
    other = write_sofa(tmp_path / "other.sofa", np.ones((4, 2, 8)), POSITIONS)
    layout = h5py.VirtualLayout((4, 2, 8), "f8")
    layout[:] = h5py.VirtualSource(str(other), "Data.IR", (4, 2, 8))
    ways = {
        "external link": lambda f: f.__setitem__(
            "Data.IR", h5py.ExternalLink(str(other), "Data.IR")
        ),
        "soft link": lambda f: f.__setitem__("Data.IR", h5py.SoftLink("/Data.IR")),
        "external storage": lambda f: f.create_dataset(
            "Data.IR", (4, 2, 8), "f8", external=[(str(secret), 0, 512)]
        ),
        "virtual": lambda f: f.create_virtual_dataset("Data.IR", layout),
        "group": lambda f: f.create_group("Data.IR"),
    }
    for make in ways.values():
        with h5py.File(path, "r+") as file:
            del file["Data.IR"]
            make(file)
        with pytest.raises(DataError, match=r"not followed|not read|not a variable"):
            read_sofa(path)


def test_huge_claims_take_no_memory(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["Data.IR"]
        file.create_dataset("Data.IR", (4, 2, 1 << 20), "f8", chunks=(1, 1, 64))
    with pytest.raises(DataError, match="more numbers than the file can hold"):
        read_sofa(path)


@pytest.mark.parametrize("length", [0, 7, 8, 100, 2000, -1000])
def test_truncated(path: Path, length: int) -> None:
    data = path.read_bytes()[:length]
    path.write_bytes(data)
    with pytest.raises(DataError):
        read_sofa(path)


def test_netcdf_3_is_told_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "old.sofa"
    path.write_bytes(b"CDF\x01" + bytes(100))
    with pytest.raises(DataError, match="nccopy -k nc4"):
        read_sofa(path)


def test_other_conventions(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["SOFAConventions"] = "SingleRoomDRIR"
    with pytest.raises(DataError, match="SingleRoomDRIR"):
        read_sofa(path)


def test_missing_files_and_pipes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_sofa(tmp_path / "none.sofa")
    subprocess.run(["mkfifo", tmp_path / "pipe.sofa"], check=True)
    with pytest.raises(UsageError, match="regular file"):
        read_sofa(tmp_path / "pipe.sofa")
