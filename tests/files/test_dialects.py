"""One curve and one equaliser in the words of many programs: each file gives the same."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal

from earfilt.chains.members import resolve
from earfilt.cli import run
from earfilt.ears.biquads import Band, coefficients
from earfilt.errors import DataError, UsageError
from earfilt.files.curves import CurveFile, understand
from earfilt.files.dialects.found import FoundEqualiser
from earfilt.files.firs import holds_fir
from earfilt.synthesis import native

FOLDER = Path(__file__).parent / "dialects"
# fmt: off
CURVE = (
    (20, -6.25), (31.5, -4.5), (63, -2.75), (125, -1.2), (250, -0.55), (500, -0.1), (1000, 0),
    (2000, 1.85), (4000, 6.4), (8000, -3.15), (12500, -8.05), (16000, -11.6), (20000, -14.95),
)
# fmt: on
DIALECTS = {
    "plain.csv": "table",
    "own.csv": "table",
    "german.csv": "table",
    "french.csv": "table",
    "tabs.tsv": "table",
    "spaces.dat": "table",
    "units.txt": "table",
    "excel.csv": "table",
    "thousands.csv": "table",
    "utf-16.csv": "table",
    "utf-16-bare.csv": "table",
    "typeset.csv": "table",
    "falling.txt": "table",
    "repeated.csv": "table",
    "laboratory.csv": "table",
    "arta.txt": "table",
    "driver.frd": "table",
    "vituix.frd": "table",
    "HD 250 L.txt": "table",
    "HD 250 R.txt": "table",
    "autoeq-raw.csv": "table",
    "autoeq.csv": "AutoEq CSV",
    "rew-4.txt": "REW text",
    "rew-5.txt": "REW text",
    "rew-5-german.txt": "REW text",
    "rew-spl.txt": "REW text",
    "umik.txt": "microphone calibration",
    "umm6.cal": "microphone calibration",
    "microphone.cal": "microphone calibration",
    "graphic.txt": "GraphicEQ",
    "graphic-preamp.txt": "GraphicEQ",
    "wavelet.txt": "GraphicEQ",
    "from-zero.csv": "table",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "autoeq.csv": {"column": "equalization"},
    "rew-spl.txt": {"align": "1000"},
}
EQUALISERS = {
    "parametric.txt": "Equalizer APO filters",
    "rew-filters.txt": "Equalizer APO filters",
    "peace.txt": "Equalizer APO filters",
    "camilla-2.yml": "CamillaDSP",
    "camilla-3.yaml": "CamillaDSP",
}


def test_every_file_is_looked_at() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*DIALECTS, *EQUALISERS}
    assert len(DIALECTS) >= 30


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_the_same_curve(name: str) -> None:
    assert not holds_fir(FOLDER / name)
    ear = resolve(str(FOLDER / name), **OPTIONS.get(name, {})).members[0].ear
    assert ear is not None
    points = [(f, db) for f, db in zip(ear.points.freqs, ear.points.gain_db, strict=True) if f]
    assert [f for f, _ in points] == [f for f, _ in CURVE]
    np.testing.assert_allclose([db for _, db in points], [db for _, db in CURVE], rtol=0, atol=1e-9)
    found = understand(FOLDER / name, column=OPTIONS.get(name, {}).get("column"))
    assert isinstance(found, CurveFile)
    assert found.dialect == DIALECTS[name]


@pytest.mark.parametrize("interpolation", ["log", "linear", "spline"])
def test_a_row_at_0_hz_is_the_value_at_0_hz(interpolation: Any) -> None:
    path = str(FOLDER / "from-zero.csv")
    filter = resolve(path, interpolation=interpolation)
    curve, fir = filter.curve_at(48000), filter.at(48000)
    assert curve is not None
    assert 20 * np.log10(curve.aim(np.zeros(1)))[0] == pytest.approx(-9, abs=1e-9)
    assert 20 * np.log10(abs(fir.taps.sum())) == pytest.approx(-9, abs=0.1)
    assert fir.provenance.range_hz == (0.0, 20000.0)
    without = resolve(str(FOLDER / "plain.csv"), interpolation=interpolation).curve_at(48000)
    assert without is not None
    if interpolation != "linear":
        above = np.geomspace(20, 20000, 99)
        np.testing.assert_allclose(curve.aim(above), without.aim(above), rtol=1e-6, atol=0)


# The analog prototypes of the cookbook, and scipy's bilinear transform: another road to the same.
PROTOTYPES: list[tuple[float, Any]] = [
    (105.0, lambda a, q: ([a, a * math.sqrt(a) / q, a * a], [a, math.sqrt(a) / q, 1.0])),
    (2400.0, lambda a, q: ([1, a / q, 1], [1, 1 / a / q, 1])),
    (6150.0, lambda a, q: ([1, a / q, 1], [1, 1 / a / q, 1])),
    (10000.0, lambda a, q: ([a * a, a * math.sqrt(a) / q, a], [1.0, math.sqrt(a) / q, a])),
    (25.0, lambda a, q: ([1, 0, 0], [1, 1 / q, 1])),
    (18000.0, lambda a, q: ([1], [1, 1 / q, 1])),
    (50.0, lambda a, q: ([1, 0, 1], [1, 1 / q, 1])),
]
GAIN_Q = [
    (4.2, 0.7),
    (-3.6, 1.41),
    (5.0, 4.0),
    (-2.5, 0.7),
    (0.0, math.sqrt(0.5)),
    (0.0, 0.9),
    (0.0, 20.0),
]


def expected_response(freqs: np.ndarray, fs: float) -> np.ndarray:
    """Of the equaliser in all the files: low shelf as (s² + …)/(…) with its gain at 0 Hz."""
    response = np.full(len(freqs), 10 ** (-4.5 / 20), complex)
    for (hz, prototype), (gain_db, q) in zip(PROTOTYPES, GAIN_Q, strict=True):
        numerator, denominator = prototype(10 ** (gain_db / 40), q)
        # s in units of the band's frequency, where the transform is to be exact
        half = 1 / (2 * math.tan(math.pi * hz / fs))
        b, a = scipy.signal.bilinear(numerator, denominator, fs=half)
        response *= scipy.signal.freqz(b, a, freqs, fs=fs)[1]
    return response


@pytest.mark.parametrize("fs", [44100.0, 48000.0, 192000.0])
@pytest.mark.parametrize("name", EQUALISERS)
def test_every_equaliser_has_the_response_of_the_cookbook(name: str, fs: float) -> None:
    found = resolve(str(FOLDER / name))
    ear = found.members[0].ear
    assert ear is not None
    freqs = np.geomspace(10, 20000, 400)
    wanted = 20 * np.log10(np.abs(expected_response(freqs, fs)))
    # near 0 Hz the coefficients of both are rounded differences
    np.testing.assert_allclose(ear.magnitude(freqs, fs), wanted, rtol=0, atol=1e-7)
    first = resolve(str(FOLDER / "parametric.txt")).members[0].ear
    assert first is not None
    same = first.magnitude(freqs, fs)
    np.testing.assert_allclose(ear.magnitude(freqs, fs), same, rtol=0, atol=1e-9)
    assert found.at(fs).provenance.files[0].dialect == EQUALISERS[name]


def test_an_equaliser_keeps_its_own_phase() -> None:
    fir = resolve(str(FOLDER / "parametric.txt"), phase="native").at(48000)
    freqs = np.geomspace(20, 20000, 200)
    off = fir.response(freqs) - expected_response(freqs, 48000)
    assert np.abs(off).max() < 1e-7
    assert fir.lookahead == 0


@pytest.mark.parametrize("hz", [12.0, 19.0, 20.0])
def test_a_narrow_band_at_low_frequencies_keeps_its_depth(tmp_path: Path, hz: float) -> None:
    """Its tail is long and small, and makes all of its depth."""
    fir = resolve(str(write(tmp_path, f"Filter: ON PK Fc {hz} Hz Gain -20 dB Q 30\n"))).at(192000)
    at = np.array([0.9 * hz, hz, 1.01 * hz, 25.0, 1000.0])
    a, alpha, cosine = 0.1**0.5, np.sin(np.pi * hz / 96000) / 60, -2 * np.cos(np.pi * hz / 96000)
    b = [1 + alpha * a, cosine, 1 - alpha * a], [1 + alpha / a, cosine, 1 - alpha / a]
    wanted = 20 * np.log10(np.abs(scipy.signal.freqz(*b, at, fs=192000)[1]))
    found = 20 * np.log10(np.abs(fir.response(at)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    assert (fir.provenance.deviation_db or 0.0) < 1e-4


@pytest.mark.parametrize("fs", [48000, 192000])
def test_a_notch_is_as_deep_at_every_rate(tmp_path: Path, fs: int) -> None:
    fir = resolve(str(write(tmp_path, "Filter: ON NO Fc 50 Hz\n"))).at(fs)
    assert 20 * np.log10(np.abs(fir.response(np.array([50.0]))[0])) < -120


def test_a_band_that_rings_for_too_long_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_LONGEST", 1 << 17)
    path = str(write(tmp_path, "Filter: ON PK Fc 2 Hz Gain -20 dB Q 100\n"))
    with pytest.raises(UsageError, match=r"does not die away .*; --phase minimum designs"):
        resolve(path).at(192000)
    assert resolve(path, phase="minimum").at(192000).numtaps < 1 << 17


def test_minimum_phase_of_an_equaliser_follows_its_magnitude(tmp_path: Path) -> None:
    path = str(write(tmp_path, "Preamp: -3 dB\nFilter 1: ON PK Fc 2000 Hz Gain 5 dB Q 1.41\n"))
    freqs = np.geomspace(20, 20000, 200)
    own, minimum = resolve(path).at(48000), resolve(path, phase="minimum").at(48000)
    off = 20 * np.log10(np.abs(minimum.response(freqs) / own.response(freqs)))
    assert np.abs(off).max() < 0.1
    assert own.provenance.phase == "native"


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        ("peaking", 1000.0),
        ("low-shelf", 0.0),
        ("high-shelf", 24000.0),
        ("first-order low-shelf", 0.0),
        ("first-order high-shelf", 24000.0),
    ],
)
def test_bands_reach_their_gain(kind: str, at: float) -> None:
    b, a = coefficients(Band(kind, 1000.0, -7.5, 0.8), 48000.0)
    turn = np.exp(-2j * np.pi * at / 48000 * np.arange(3))
    assert 20 * np.log10(abs(b @ turn / (a @ turn))) == pytest.approx(-7.5, abs=1e-9)


@pytest.mark.parametrize("kind", ["first-order low-pass", "first-order high-pass"])
def test_first_order_bands_are_butterworth(kind: str) -> None:
    b, a = coefficients(Band(kind, 3000.0), 48000.0)
    wanted = scipy.signal.butter(1, 3000, kind.removeprefix("first-order ").split("-")[0], fs=48000)
    np.testing.assert_allclose(b[:2], wanted[0], atol=1e-12)
    np.testing.assert_allclose(a[:2], wanted[1], atol=1e-12)


@pytest.mark.parametrize("q", [0.5, 1.41, 6.0])
def test_a_bandwidth_in_octaves_lies_between_the_points_of_half_the_gain(q: float) -> None:
    octaves = 2 / math.log(2) * math.asinh(1 / (2 * q))
    by_octaves = coefficients(Band("peaking", 500.0, 6.0, octaves, "octaves"), 1e6)
    by_q = coefficients(Band("peaking", 500.0, 6.0, q), 1e6)
    np.testing.assert_allclose(by_octaves.b, by_q.b, atol=1e-6)


def write(tmp_path: Path, text: str, name: str = "mine.txt") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def shelf(tmp_path: Path, line: str) -> Band:
    found = understand(write(tmp_path, line))
    assert isinstance(found, FoundEqualiser)
    return found.bands[0]


def test_a_shelf_without_a_width_has_the_programs_own_slope(tmp_path: Path) -> None:
    band = shelf(tmp_path, "Filter: ON LS Fc 300 Hz Gain 5 dB")
    assert (band.hz, band.width, band.by) == (300.0, 0.9, "slope")


def test_a_shelf_with_a_width_begins_at_its_frequency(tmp_path: Path) -> None:
    """LS states where the shelf begins, LSC the middle of its slope."""
    begins = shelf(tmp_path, "Filter: ON LS 12 dB Fc 300 Hz Gain 8 dB")
    middle = shelf(tmp_path, "Filter: ON LSC 12 dB Fc 300 Hz Gain 8 dB")
    assert middle.hz == 300.0
    assert begins.hz == pytest.approx(300.0 * 10 ** (8 / 80))
    high = shelf(tmp_path, "Filter: ON HS 6 dB Fc 3000 Hz Gain -8 dB")
    assert high.hz == pytest.approx(3000.0 / 10 ** (8 / 80 / 0.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Filter: ON PK Fc 100 Hz Gain 3 dB", "line 1: .* needs a Q"),
        ("Filter: ON PK Fc 100 Hz Q 3", "line 1: .* is not understood"),
        ("Filter: ON XX Fc 100 Hz Gain 3 dB Q 1", "line 1: .* is not understood"),
        ("Filter: ON PK Fc 100 Hz Gain 3 dB Q 1 BW Oct 2", "line 1: .* is not understood"),
        ("Filter: ON PK Fc 100 Hz Gain 3 dB Q 1 wide", "line 1: .* is not understood"),
        ("Filter: ON PK Fc 100 Hz Gain 3 dB Q 0", "line 1: the width must be above 0"),
        (
            "Filter: ON PK Fc 100 Hz Gain 3 dB Q 1\nCopy: L=R",
            "line 2: 'Copy: L=R' is not understood",
        ),
        ("Filter: ON PK Fc 100 Hz Gain 3 dB Q 1\nFliter: ON PK", "line 2: .* is not understood"),
        (
            "Preamp: -3 dB\nConvolution: C:\\eq\\ear.wav",
            "line 2: it names the FIR 'ear.wav', which -f takes itself",
        ),
        ("Channel: L\nFilter: ON HP Fc 20 Hz", "the channel L in its own way.* column L"),
        ("Include: other.txt\nPreamp: -3 dB", "line 1: 'Include: other.txt' is not understood"),
        ("Filter: ON IIR Order 2 Coefficients 1 2 3 4 5 6", "line 1: .* is not understood"),
        ("Preamp: loud\nFilter: ON PK Fc 100 Hz Gain 3 dB Q 1", "line 1: 'loud' is not understood"),
        ("GraphicEQ: 20 -3; 100", "line 1: '100' is not a pair"),
        ("GraphicEQ: 20 -3; 100 0; 50 1", "50 Hz comes after 100 Hz"),
        ("GraphicEQ: 20 -3; 100 0\nFilter: ON HP Fc 20 Hz", "a GraphicEQ and further filters"),
        (
            "Channel: L\nFilter: ON HP Fc 20 Hz\nChannel: R\nFilter: ON HP Fc 30 Hz",
            "the channels L, R each differently; column L",
        ),
        ("filters:\n  a: {type: Biquad, parameters: {type: Comb, freq: 3}}", "Biquad 'Comb'; read"),
        (
            "filters:\n  a: {type: Biquad, parameters: {type: Peaking, freq: 3, gain: 1}}",
            "needs one",
        ),
        ("filters:\n  a: {type: Conv}\n  b: {type: Biquad}", "not a mapping"),
        ("filters: &x\n  a: {type: Biquad, parameters: *x}", "aliases"),
        (
            "filters:\n  a: {type: Biquad, b: !!python/object/apply:os.system [ls]}",
            "not valid YAML",
        ),
        ("filters:\n  a: {type: Biquad, b: " + "[" * 30 + "]" * 30 + "}", "too large or too deep"),
        ("filters: [\ntype: Biquad", "not valid YAML"),
        (
            "filters:\n  a: {type: Gain, parameters: {gain: 1}}\n"
            "  b: {type: Gain, parameters: {gain: 2}}\npipeline:\n"
            "  - {type: Filter, channel: 0, names: [a]}\n  - {type: Filter, channel: 1, "
            "names: [b]}",
            "the channels 0, 1 each differently; column 0",
        ),
        (  # no step names the other one, which stays as it is
            "filters:\n  a: {type: Gain, parameters: {gain: 1}}\npipeline:\n"
            "  - {type: Filter, channels: [1], names: [a]}",
            "the channels 0, 1 each differently; column 1",
        ),
        (
            "devices:\n  capture: {channels: 12}\nfilters:\n"
            "  a: {type: Gain, parameters: {gain: 1}}\npipeline:\n"
            "  - {type: Filter, channels: [0, 1], names: [a]}",
            "the channels 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 each differently; column 0",
        ),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        understand(write(tmp_path, text))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "pipeline",
    [
        "  - {type: Filter, channels: [0, 1], names: [a]}",
        "  - {type: Filter, channel: 0, names: [a]}\n  - {type: Filter, channel: 1, names: [a]}",
        "  - {type: Filter, names: [a]}",
    ],
)
def test_a_pipeline_that_filters_every_channel_alike_is_one_filter(
    tmp_path: Path, pipeline: str
) -> None:
    text = "filters:\n  a: {type: Biquad, parameters: {type: Highpass, freq: 20, q: 0.7}}\n"
    found = understand(write(tmp_path, f"{text}pipeline:\n{pipeline}"))
    assert isinstance(found, FoundEqualiser)
    assert [band.hz for band in found.bands] == [20.0]


def test_the_only_channel_there_is_may_be_filtered_alone(tmp_path: Path) -> None:
    text = (
        "devices:\n  capture: {channels: 1}\nfilters:\n  a: {type: Gain, parameters: {gain: 1}}\n"
        "pipeline:\n  - {type: Filter, channel: 0, names: [a]}"
    )
    found = understand(write(tmp_path, text))
    assert isinstance(found, FoundEqualiser)
    assert found.gain_db == 1.0


def test_a_channel_is_taken_by_its_name(tmp_path: Path) -> None:
    text = "Preamp: -2 dB\nChannel: L\nFilter: ON HP Fc 20 Hz\nChannel: R\nFilter: ON HP Fc 30 Hz"
    found = understand(write(tmp_path, text), column="r")
    assert isinstance(found, FoundEqualiser)
    assert ([band.hz for band in found.bands], found.gain_db) == ([30.0], -2.0)


def test_coefficients_go_with_their_own_rate(tmp_path: Path) -> None:
    b, a = coefficients(Band("peaking", 1000.0, 6.0, 1.0), 44100.0)
    free = {"b0": b[0], "b1": b[1], "b2": b[2], "a1": a[1], "a2": a[2]}
    words = ", ".join(f"{name}: {value!r}" for name, value in free.items())
    text = (
        "devices: {samplerate: 44100}\nfilters:\n  a: {type: Biquad, parameters: "
        f"{{type: Free, {words}}}}}"
    )
    path = str(write(tmp_path, text, "free.yml"))
    ear = resolve(path).members[0].ear
    assert ear is not None
    assert ear.magnitude(np.array([1000.0]), 44100.0)[0] == pytest.approx(6.0, abs=1e-9)
    with pytest.raises(ValueError, match="holds coefficients for 44100 Hz"):
        resolve(path).at(48000)


@pytest.mark.parametrize(
    ("rows", "decimal", "wanted"),
    [
        ("1,000;-3,000\n9,000;-4,000\n", "point", [1000.0, 9000.0]),
        ("100,000;-3,000\n900,000;-4,000\n", "comma", [100.0, 900.0]),
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_asked_for(
    tmp_path: Path, rows: str, decimal: Any, wanted: list[float]
) -> None:
    path = write(tmp_path, "f;x\n" + rows)
    with pytest.raises(DataError, match='decimal="point" or decimal="comma" says which'):
        understand(path)
    found = understand(path, decimal=decimal) if decimal == "comma" else None
    if found is not None:
        assert isinstance(found, CurveFile)
        assert list(found.values.freqs) == wanted


def test_a_third_column_that_may_be_a_channel_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "20 0 1\n1000 1 2\n20000 -3 -2\n")
    with pytest.raises(DataError, match="column 2 or column 3"):
        understand(path)
    found = understand(path, column="3")
    assert isinstance(found, CurveFile)
    assert found.values.db == (1.0, 2.0, -2.0)


def test_a_notation_is_stated_only_where_numbers_have_several() -> None:
    with pytest.raises(UsageError, match=r"decimal would have no effect: .*camilla-2\.yml is YAML"):
        understand(FOLDER / "camilla-2.yml", decimal="comma")
    for name, decimal in (("german.csv", "comma"), ("plain.csv", "point"), ("peace.txt", "point")):
        understand(FOLDER / name, decimal=decimal)


@pytest.mark.parametrize("phase", ["native", "minimum", "zero"])
def test_a_band_next_to_0_hz_is_flat_above_it_without_a_warning(phase: Any, tmp_path: Path) -> None:
    """Its poles and zeros are rounded onto 0 Hz. That is a warning of numpy, an error in tests."""
    lines = "Fc 1e-9 Hz Gain 6 dB Q 1", "Fc 1e-12 Hz Gain -6 dB", "Fc 1e-9 Hz"
    text = "".join(
        f"Filter: ON {k} {line}\n" for k, line in zip(("PK", "LS", "HP"), lines, strict=True)
    )
    fir = resolve(write(tmp_path, text), phase=phase).at(48000.0)
    freqs = np.array([20.0, 1000.0, 20000.0])
    np.testing.assert_allclose(np.abs(fir.response(freqs)), 1.0, atol=0.012)


@pytest.mark.parametrize("program", ["equalizerapo", "camilladsp", "pipewire", "easyeffects"])
@pytest.mark.parametrize("name", ["preset.txt", "preset.yml"])
def test_a_preset_that_names_a_fir_says_so(
    program: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `design --for` writes them, beside the wave file."""
    monkeypatch.chdir(tmp_path)
    words = ["-f", "headphone", "--order", "64", "--form", "fir", "--for", program]
    own = {"camilladsp": "ear.yml", "pipewire": "ear.conf", "easyeffects": "ear.json"}
    written = own.get(program, "ear.txt")
    assert run(["design", *words, "-o", written, "-q"]) == 0
    wave = "ear.irs" if program == "easyeffects" else "ear.wav"
    Path(written).rename(name)
    with pytest.raises(DataError, match=f"names the FIR '{wave}', which -f takes itself"):
        resolve(name).at(48000)
    assert resolve(wave).at(48000).numtaps >= 65


def test_results_of_autoeq_are_a_measurement_and_a_target(tmp_path: Path) -> None:
    """The columns that AutoEq's program writes beside a headphone's measurement."""
    names = (
        "frequency,raw,error,smoothed,error_smoothed,equalization,parametric_eq,fixed_band_eq,"
        "equalized_raw,equalized_smoothed,target"
    )
    hz = np.geomspace(20, 20_000, 60)
    raw, target = 3 * np.sin(np.log(hz)), 5 * np.cos(np.log(hz))
    zeros = ",0.00" * 8
    rows = [f"{f:.2f},{a:.4f}{zeros},{b:.4f}" for f, a, b in zip(hz, raw, target, strict=True)]
    path = tmp_path / "HD 250.csv"
    path.write_text("\n".join([names, *rows]))
    found = understand(path)
    assert isinstance(found, CurveFile)
    assert found.columns == ("frequency", "raw")
    np.testing.assert_allclose(found.values.db, raw, atol=1e-4)
    correction = resolve(str(path), target=str(path), align="1000").at(48000)
    at = np.array([100.0, 1000.0, 5000.0])
    wanted = np.interp(np.log(at), np.log(hz), target - raw)
    wanted -= wanted[1]
    got = 20 * np.log10(np.abs(correction.response(at)).ravel())
    np.testing.assert_allclose(got, wanted, atol=0.25)
    assert any(
        "column 'target'" in note for use in correction.provenance.files for note in use.notes
    )
