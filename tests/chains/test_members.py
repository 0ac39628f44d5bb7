"""What a piece of a filter's name stands for: names go first, and a file is what it contains."""

from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from earfilt.chains.describe import file_words, warnings
from earfilt.chains.members import resolve
from earfilt.errors import DataError, UnknownNameError, UsageError
from earfilt.files.firs import write_fir
from earfilt.synthesis.fir import Fir

CURVE = "20 -3\n1000 0\n20000 -6\n"
FREQS = np.geomspace(30, 15000, 100)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def level(fir: Fir) -> np.ndarray:
    return 20 * np.log10(np.abs(fir.response(FREQS)))


def test_a_file_in_the_current_directory_takes_no_name_of_the_catalogue() -> None:
    Path("headphone").write_text(CURVE)
    Path("headphone+my").write_text(CURVE)
    Path("my").write_text(CURVE)
    assert resolve("headphone").files == []
    assert resolve("headphone+my").files == ["my"]
    assert resolve("./headphone").files == ["./headphone"]
    assert resolve("./headphone").members[0].kind == "own"


@pytest.mark.parametrize("name", ["mine", "mine.frd", "mine.cal", "mine.measurement", "mine.wav"])
def test_a_curve_may_have_any_name(name: str) -> None:
    Path(name).write_text(CURVE)
    assert resolve(name).members[0].kind == "own"


@pytest.mark.parametrize("name", ["taps", "taps.irs", "taps.frd"])
def test_a_fir_may_have_any_name(name: str) -> None:
    fir = Fir(np.arange(1.0, 6.0), 48000.0, 2)
    write_fir(fir, "a.wav")
    Path("a.wav").rename(name)
    assert np.array_equal(resolve(name).at(48000).taps, fir.taps)


def test_unknown_content_is_an_error_of_the_file() -> None:
    Path("notes").write_text("dear diary\n")
    with pytest.raises(DataError, match="notes: is neither a curve nor a FIR"):
        resolve("notes")
    Path("picture").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    with pytest.raises(DataError, match="picture: holds nothing that a filter can be read from"):
        resolve("picture")
    with pytest.raises(UnknownNameError):
        resolve("nowhere")
    for missing in ("nowhere.frd", "no/where"):
        with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
            resolve(missing)


def test_the_name_of_a_file_is_no_part_of_what_the_filter_is() -> None:
    for name in ("a.csv", "b.txt"):
        Path(name).write_text(CURVE)
    assert resolve("a.csv") == resolve("b.txt")
    assert resolve("a.csv", inverse=True) == resolve("b.txt", inverse=True)
    assert resolve("a.csv") != resolve("a.csv", smooth="1/3")


def test_an_inverse_knows_its_files() -> None:
    Path("a.csv").write_text(CURVE)
    found = resolve("a.csv", inverse=True)
    assert found.files == ["a.csv"]
    fir = found.at(48000)
    assert [use.name for use in fir.provenance.files] == ["a.csv"]
    np.testing.assert_allclose(level(fir), -level(resolve("a.csv").at(48000)), atol=0.2)


MEASURED = "* REW V5.31\n" + "".join(
    f"{hz:.2f} {80 + 6 * np.exp(-((np.log2(hz / 3000)) ** 2)):.4f}\n"
    for hz in np.geomspace(20, 20000, 120)
)
WANTED = "frequency,raw\n20,86\n200,80\n20000,76\n"


def wanted_correction() -> np.ndarray:
    curve = PchipInterpolator(np.log([20, 200, 20000]), [86, 80, 76])
    target, at_1k = curve(np.log(FREQS)), float(curve(np.log(1000)))
    measured = 6 * np.exp(-(np.log2(FREQS / 3000) ** 2))
    measured_1k = 6 * np.exp(-(np.log2(1000 / 3000) ** 2))
    correction: np.ndarray = (target - at_1k) - (measured - measured_1k)
    return correction


def test_a_target_makes_the_correction_of_a_measurement() -> None:
    Path("m.txt").write_text(MEASURED)
    Path("t.csv").write_text(WANTED)
    found = resolve("m.txt", target="t.csv", align="1000")
    assert found.files == ["m.txt", "t.csv"]
    np.testing.assert_allclose(level(found.at(48000)), wanted_correction(), atol=0.12)
    same = resolve("m.txt", target="t.csv", align="1000", inverse=True)
    assert np.array_equal(same.at(48000).taps, found.at(48000).taps)
    words = "\n".join(file_words(found.at(48000).provenance))
    assert "REW text" in words
    assert "which puts 1000 Hz at 0 dB; seen from the target t.csv" in words
    Path("t.csv").write_text(WANTED.replace("76", "75"))
    assert resolve("m.txt", target="t.csv", align="1000") != found


def test_the_limit_of_a_correction_is_told() -> None:
    Path("m.txt").write_text("20 0\n1000 0\n8000 -40\n20000 -40\n")
    fir = resolve("m.txt", inverse=True, max_gain=12.0).at(48000)
    assert level(fir).max() == pytest.approx(12.0, abs=0.1)
    assert "limited to 12 dB" in "\n".join(warnings(fir))


def test_levels_need_a_word() -> None:
    Path("m.txt").write_text(MEASURED)
    with pytest.raises(DataError, match=r"holds levels .*align=1000"):
        resolve("m.txt")
    with pytest.raises(DataError, match="holds levels"):
        resolve("m.txt", target="m.txt")
    absolute = resolve("m.txt", absolute=True).at(48000)
    assert level(absolute)[0] == pytest.approx(80, abs=0.2)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("headphone", {"align": "1000"}, "no option align; it belongs to your own curve"),
        (
            "headphone",
            {"resample_fir": True},
            "no option resample_fir; it belongs to FIR files",
        ),
        ("a.csv", {"max_gain": 6.0}, "no option max_gain"),
        ("a.csv", {"target": "none.csv"}, "cannot read none.csv"),
        ("a.csv+headphone", {"target": "a.csv"}, "corrects one measurement"),
        ("a.csv", {"smooth": "wide"}, "smooth="),
        ("a.csv", {"decimal": "dot"}, "decimal is 'dot'"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: str, options: dict, message: str) -> None:
    Path("a.csv").write_text(CURVE)
    with pytest.raises(UsageError, match=message):
        resolve(name, **options)


def test_a_fir_for_another_rate_is_converted_where_asked_for() -> None:
    write_fir(Fir(np.hanning(31) / 16, 44100.0, 15), "fir.wav")
    with pytest.raises(UsageError, match=r"made for 44100 Hz, and 48000 Hz .*resample_fir=True"):
        resolve("fir.wav").at(48000)
    fir = resolve("fir.wav", resample_fir=True).at(48000)
    given = resolve("fir.wav").at(44100)
    np.testing.assert_allclose(fir.response(FREQS), given.response(FREQS), atol=1e-6)
    assert "converted from 44100 Hz" in file_words(fir.provenance)[0]
    write_fir(Fir(np.ones(3), 44100.0), "fir.npy")
    with pytest.raises(UsageError, match="does not say which rate"):
        resolve("fir.npy", resample_fir=True).at(48000)


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("name", ["fir.json", "sections.sos.json"])
def test_a_rate_that_no_one_states_is_told(name: str, stated: bool) -> None:
    held = '"taps": [1.0, 0.5]' if name == "fir.json" else '"sos": [[1, 0.5, 0, 1, 0, 0]]'
    Path(name).write_text(f"{{{held}}}" if not stated else f'{{{held}, "SampleRate": 48000}}')
    (words,) = file_words(resolve(name).at(48000).provenance)
    assert words.endswith("; it states no rate, and is taken as made for 48000 Hz") != stated
    if stated:
        with pytest.raises(UsageError, match="was made for 48000 Hz, and 44100 Hz is asked for"):
            resolve(name).at(44100)


def test_a_file_that_earlier_versions_read_otherwise_is_another_filter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that no corpus is resumed with it; one that meant the same is."""
    write_fir(Fir(np.hanning(9), 48000.0, 4), "whole.wav")
    data = Path("whole.wav").read_bytes()
    Path("cut.wav").write_bytes(data.replace(b'"peak": 4', b'"peak": 3'))
    before = [resolve(name).sha256 for name in ("whole.wav", "cut.wav")]
    assert "left aside" in warnings(resolve("cut.wav").at(48000))[0]
    monkeypatch.setattr("earfilt.chains.chain.READING", 1)
    after = [resolve(name).sha256 for name in ("whole.wav", "cut.wav")]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)
