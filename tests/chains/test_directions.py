"""SOFA files as filters: one direction, a path, a set, and what is refused."""

import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import fftconvolve

import earfilt
from earfilt.chains.direction_sets import HESUVI, direction_set
from earfilt.chains.members import resolve
from earfilt.cli import run
from earfilt.engine.stream import Stream
from earfilt.errors import DataError, UsageError
from earfilt.synthesis.fir import Fir
from tests.sofas import FS, grid, kemar, write_sofa, write_sphere
from tests.tools import need


@pytest.fixture(scope="module")
def sofa(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_sphere(tmp_path_factory.mktemp("sofa") / "sphere.sofa"))


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return 0.1 * np.random.default_rng(4).standard_normal(20000)


def track(path: Path, text: str) -> str:
    path.write_text("time,azimuth,elevation\n" + text)
    return str(path)


def wave(path: Path, x: np.ndarray) -> Path:
    soundfile.write(path, x, int(FS), subtype="DOUBLE")
    return path


def test_apply_is_the_convolution_with_the_taps_of_the_file(
    sofa: str, noise: np.ndarray, tmp_path: Path
) -> None:
    import h5py

    with h5py.File(sofa) as file:
        at = np.abs(file["SourcePosition"][:, :2] - [90.0, 0.0]).sum(1).argmin()
        taps = file["Data.IR"][at]
    source, made = wave(tmp_path / "in.wav", noise), tmp_path / "out.wav"
    assert run(["apply", str(source), str(made), "-f", sofa, "--azimuth", "90", "-q"]) == 0
    out, _ = soundfile.read(made)
    expected = np.stack([fftconvolve(noise, row)[: len(noise)] for row in taps], 1)
    np.testing.assert_allclose(out, expected, atol=1e-6)
    assert np.abs(out[:, 0]).max() > 2 * np.abs(out[:, 1]).max()


def test_the_same_in_python(sofa: str, noise: np.ndarray) -> None:
    fir = earfilt.design(sofa, fs=FS, azimuth=30.0, elevation=10.0)
    assert fir.taps.shape[0] == 2
    out = earfilt.apply(noise[None], sofa, fs=FS, azimuth=30.0, elevation=10.0)
    expected = [fftconvolve(noise, row)[fir.lookahead :][: len(noise)] for row in fir.taps]
    np.testing.assert_allclose(out, expected, atol=1e-9)
    assert fir.provenance.files[0].kind == "sofa"
    assert "between" in fir.provenance.files[0].notes[0]


def test_a_filter_is_picklable_and_hashed_by_content(sofa: str) -> None:
    import pickle

    one = resolve(sofa, azimuth=10.0)
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    np.testing.assert_array_equal(again.at(FS).taps, one.at(FS).taps)
    assert resolve(sofa, azimuth=11.0) != one


def test_in_a_chain_with_one_ear(sofa: str) -> None:
    pair = earfilt.design(sofa, fs=FS, azimuth=30.0)
    both = earfilt.design(f"{sofa}+middle-ear", fs=FS, azimuth=30.0)
    ear = earfilt.design("middle-ear", fs=FS)
    expected = [np.convolve(row, ear.taps) for row in pair.taps]
    np.testing.assert_allclose(both.taps, expected, atol=1e-9)


def test_another_rate_is_refused_or_converted(sofa: str) -> None:
    with pytest.raises(UsageError, match="resample_fir"):
        earfilt.design(sofa, fs=48000.0, azimuth=30.0)
    made = earfilt.design(sofa, fs=48000.0, azimuth=30.0, resample_fir=True)
    plain = earfilt.design(sofa, fs=FS, azimuth=30.0)
    freqs = np.array([500.0, 4000.0, 12000.0])
    np.testing.assert_allclose(made.response(freqs), plain.response(freqs), atol=1e-4)


REFUSED = {
    "no direction": ({}, "azimuth and elevation say"),
    "below the cap": ({"azimuth": 0.0, "elevation": -80.0}, "nearest=True takes"),
    "elevation": ({"azimuth": 0.0, "elevation": 100.0}, "finite angle from -90 to 90"),
    "distance": ({"azimuth": 0.0, "distance": 3.0}, "measured at 1.5 m"),
    "delay of measured phase": ({"azimuth": 0.0, "interaural_delay": "remove"}, "phase="),
    "mean of a direction": ({"azimuth": 0.0, "diffuse_field": "only"}, "azimuth has no effect"),
    "order": ({"azimuth": 0.0, "order": 64}, "no option order"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refusals(sofa: str, kind: str) -> None:
    options, words = REFUSED[kind]
    with pytest.raises(UsageError, match=words):
        resolve(sofa, **options)


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_numbers_of_numpy_are_saved(sofa: str, tmp_path: Path, kind: type) -> None:
    ear = earfilt.ear(sofa, FS, azimuth=kind(30))
    assert "learnable=False" in str(ear)
    ear.save(tmp_path / "ear.json")
    assert resolve(sofa, azimuth=kind(30)).request == resolve(sofa, azimuth=30).request
    assert repr(earfilt.ear("headphone", 16000, order=np.int64(64)))


def test_directions_belong_to_sofa_files() -> None:
    with pytest.raises(UsageError, match="belongs to SOFA files"):
        resolve("middle-ear", azimuth=30.0)


def test_several_distances(tmp_path: Path) -> None:
    angles = np.tile(grid(45.0), (2, 1))
    metres = np.repeat([0.5, 1.0], len(angles) // 2)
    taps = np.random.default_rng(0).standard_normal((len(angles), 2, 16))
    path = write_sofa(tmp_path / "two.sofa", taps, np.column_stack([angles, metres]))
    with pytest.raises(UsageError, match=r"0\.5, 1 m: distance"):
        resolve(str(path), azimuth=0.0)
    at = int(np.flatnonzero((angles == 0.0).all(1) & (metres == 1.0))[0])
    found = resolve(str(path), azimuth=0.0, distance=1.0).at(FS)
    np.testing.assert_array_equal(found.taps, taps[at])


def test_a_path_that_rests_is_a_direction(sofa: str, noise: np.ndarray, tmp_path: Path) -> None:
    path = track(tmp_path / "rest.csv", "0,30,0\n")
    moved = earfilt.apply(noise[None], sofa, fs=FS, path=path)
    still = earfilt.apply(noise[None], sofa, fs=FS, azimuth=30.0, elevation=0.0)
    np.testing.assert_allclose(moved, still, atol=1e-9)


def test_a_path_ends_as_its_last_direction_without_clicks(sofa: str, tmp_path: Path) -> None:
    path = track(tmp_path / "path.csv", "0,-60,0\n0.2,60,15\n")
    tone = np.sin(2 * np.pi * 500 * np.arange(20000) / FS)
    moved = earfilt.apply(tone[None], sofa, fs=FS, path=path)
    last = earfilt.apply(tone[None], sofa, fs=FS, azimuth=60.0, elevation=15.0)
    np.testing.assert_allclose(moved[:, 10000:], last[:, 10000:], atol=1e-6)
    # What a click adds to a tone shows in its fourth differences.
    bend = np.abs(np.diff(moved[:, 1000:-200], 4, axis=1)).max()
    assert bend < 1e-3 * np.abs(moved).max()


def test_blocks_have_no_part_in_a_path(sofa: str, noise: np.ndarray, tmp_path: Path) -> None:
    path = track(tmp_path / "path.csv", "0,-60,0\n0.2,60,15\n")
    whole = earfilt.apply(noise[None], sofa, fs=FS, path=path, precision="float64").T
    stream = earfilt.stream(sofa, fs=FS, dtype="float64", precision="float64", path=path)
    blocks = [stream.push(block[:, None]) for block in np.split(noise, [17, 1000, 1001, 9000])]
    np.testing.assert_array_equal(np.concatenate([*blocks, stream.flush()]), whole)


def test_a_path_of_stereo_whose_right_channel_comes_first(
    sofa: str, noise: np.ndarray, tmp_path: Path
) -> None:
    path = track(tmp_path / "path.csv", "0,-60,0\n0.2,60,15\n")
    fir = resolve(sofa, path=path).at(FS)
    stereo = np.stack([noise, noise[::-1]], 1)

    def through(ears: Fir, x: np.ndarray) -> np.ndarray:
        stream = Stream(ears, channels=2, dtype=np.float64)
        return np.concatenate([stream.push(x), stream.flush()])

    swapped = through(fir.swapped(), np.ascontiguousarray(stereo[:, ::-1]))
    np.testing.assert_array_equal(swapped[:, ::-1], through(fir, stereo))


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ears with delays between samples, of which some taps come before time zero."""
    import h5py

    path = write_sphere(tmp_path_factory.mktemp("sofa") / "early.sofa")
    with h5py.File(path, "r+") as file:
        del file["Data.Delay"]
        file["Data.Delay"] = np.array([[0.5, 0.75]])
    return str(path)


def test_what_lies_before_time_zero_is_a_look_ahead(
    early: str, sofa: str, noise: np.ndarray, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing is late but by the delays, whatever is made of the directions."""
    freqs = np.linspace(100.0, 0.45 * FS, 50)
    turn = np.exp(-2j * np.pi * freqs / FS * np.array([[0.5], [0.75]]))
    for options in ({"azimuth": 90.0}, {"azimuth": 93.0, "elevation": 4.0}):
        made, plain = (earfilt.design(name, fs=FS, **options) for name in (early, sofa))
        assert made.lookahead >= 32
        level = np.abs(plain.response(freqs)).max()
        expected = plain.response(freqs) * turn
        np.testing.assert_allclose(made.response(freqs), expected, atol=1e-3 * level)
    rest = track(tmp_path / "rest.csv", "0,30,0\n")
    at_once = {"phase": "minimum", "interaural_delay": "remove", "diffuse_field": "remove"}
    for options in ({}, at_once):
        still = earfilt.apply(noise[None], early, fs=FS, azimuth=30.0, **options)
        moved = earfilt.apply(noise[None], early, fs=FS, path=rest, **options)
        np.testing.assert_allclose(moved, still, atol=1e-9)
    words = ["design", "-f", early, "--azimuth", "90", "-o", str(tmp_path / "a.wav")]
    assert run(words) == run(["filters", early]) == 0
    said = capsys.readouterr()
    assert "latency 32 samples" in said.err
    assert "the responses of all directions begin 32 samples before time zero" in said.err
    assert "behind 0.5 and 0.75 samples, exact up to 19845 Hz" in said.err
    assert "lookahead_samples\t32" in said.out


def test_what_is_known_of_a_file_is_said_of_a_set_of_its_directions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import h5py

    path = write_sphere(tmp_path / "swapped.sofa", 30.0)
    with h5py.File(path, "r+") as file:
        file["ReceiverPosition"][...] *= -1.0
    asked = ["design", "-f", str(path), "-o", str(tmp_path / "a.wav"), "--force"]
    for more in (["--azimuth", "90"], ["--directions", "hesuvi"]):
        assert run([*asked, *more]) == 0
        warning = "warning: sound from the left reaches the right ear first"
        assert capsys.readouterr().err.count(warning) == 1
    assert run([*asked, "--directions", "hesuvi", "-q"]) == 0
    assert not capsys.readouterr().err


BAD_PATHS = {
    "0,0,0\n0,10,0\n": (DataError, "does not rise"),
    "-1e308,0,0\n1e308,10,0\n": (DataError, r"beyond 1e\+09 s"),
    "0,0\n": (DataError, "2 fields"),
    "0,0,95\n": (DataError, "elevation"),
    "": (DataError, "holds 0 rows"),
    "0,0,-80\n": (UsageError, "outside of what"),
}


@pytest.mark.parametrize("text", BAD_PATHS)
def test_paths_that_make_no_sense(sofa: str, tmp_path: Path, text: str) -> None:
    error, words = BAD_PATHS[text]
    with pytest.raises(error, match=words):
        resolve(sofa, path=track(tmp_path / "bad.csv", text))


def test_a_path_is_for_sound_alone(sofa: str, tmp_path: Path) -> None:
    path = track(tmp_path / "path.csv", "0,0,0\n1,30,0\n")
    with pytest.raises(UsageError, match="moves the source"):
        earfilt.design(sofa, fs=FS, path=path)
    with pytest.raises(UsageError, match="cannot be part of a chain"):
        earfilt.apply(np.zeros((1, 10)), f"{sofa}+middle-ear", fs=FS, path=path)


def test_hesuvi(sofa: str) -> None:
    channels, fs = soundfile.read(io.BytesIO(direction_set(sofa, "hesuvi").data))
    assert fs == FS
    assert channels.shape[1] == len(HESUVI) == 14
    front = earfilt.design(sofa, fs=FS, azimuth=-30.0)
    late = len(channels) - front.numtaps
    for name, row in (("FR-R", 1), ("FR-L", 0)):
        np.testing.assert_allclose(channels[late:, HESUVI.index(name)], front.taps[row], atol=1e-7)


def test_a_set_of_directions(sofa: str, tmp_path: Path) -> None:
    listed, out = tmp_path / "list.csv", tmp_path / "set.wav"
    listed.write_text("azimuth_deg,elevation_deg\n90,0\n0,15\n")
    assert run(["design", "-f", sofa, "--directions", str(listed), "-o", str(out), "-q"]) == 0
    channels, _ = soundfile.read(out)
    taps = earfilt.design(sofa, fs=FS, azimuth=90.0).taps
    np.testing.assert_allclose(channels[:, :2], taps.T, atol=1e-7)


def test_what_a_file_holds(sofa: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["filters", sofa]) == 0
    out = capsys.readouterr().out
    assert "convention\tSimpleFreeFieldHRIR" in out
    assert "distances_m\t1.5" in out


def test_the_diffuse_field_as_a_curve(sofa: str, tmp_path: Path) -> None:
    out = tmp_path / "df.csv"
    words = ["response", "-f", sofa, "--diffuse-field", "only", "--points", "8", "-o", str(out)]
    assert run([*words, "-q"]) == 0
    assert out.read_text().startswith("frequency_hz,left_magnitude_db")


def test_sofalizer_of_ffmpeg_hears_the_same(noise: np.ndarray, tmp_path: Path) -> None:
    ffmpeg, path = need("ffmpeg"), str(kemar())
    source, other = wave(tmp_path / "in.wav", noise), tmp_path / "other.wav"
    chain = f"aformat=channel_layouts=mono,sofalizer=sofa={path}:type=time:rotation=30"
    words = [ffmpeg, "-loglevel", "error", "-i", source, "-af", chain, "-c:a", "pcm_f32le", other]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("needs program: ffmpeg with sofalizer")
    theirs, _ = soundfile.read(other)
    ours = earfilt.apply(noise[None], path, fs=44100.0, azimuth=30.0).T
    theirs = theirs[: len(ours)]
    gain = float((theirs * ours).sum() / (ours * ours).sum())
    np.testing.assert_allclose(theirs / gain, ours[: len(theirs)], atol=1e-5)


def test_a_figure_of_a_direction_shows_what_lies_between_the_ears(
    sofa: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {}
    for name, panels in {"default": (), "three": ("magnitude", "itd", "ild")}.items():
        path = tmp_path / f"{name}.svg"
        more = [word for panel in panels for word in ("--panel", panel)]
        assert run(["response", "-f", sofa, "--azimuth", "90", "-o", str(path), *more]) == 0
        made[name] = path.read_bytes()
    assert made["default"] == made["three"]
    said = capsys.readouterr().err
    (delay, level), *_ = re.findall(r"ITD (-\d+) µs, ILD (\+[\d.]+) dB \(left minus right\)", said)
    options = earfilt.design(sofa, fs=FS, azimuth=90.0).provenance.options
    assert options["interaural_delay_s"] * 1e6 == pytest.approx(float(delay), abs=0.51)
    assert options["interaural_level_db"] == pytest.approx(float(level), abs=0.051)
    mean = ["response", "-f", sofa, "--diffuse-field", "only", "-o"]
    one, two = tmp_path / "a.svg", tmp_path / "b.svg"
    assert run([*mean, str(one)]) == run([*mean, str(two), "--panel", "magnitude"]) == 0
    assert one.read_bytes() == two.read_bytes()
    assert "ITD" not in capsys.readouterr().err


def test_panels_between_the_ears_of_any_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--panel", "itd", "--panel", "ild", "-o", str(tmp_path / "a.png")]
    assert run(["response", "-f", "middle-ear", *asked]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["response", "-f", "L=middle-ear,R=headphone", *asked]) == 0
