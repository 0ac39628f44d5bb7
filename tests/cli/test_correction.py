"""A headphone listener's way: a measurement, its correction, heard, and compared in a figure."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.interpolate import PchipInterpolator

from earfilt import cli

MEASURED_HZ = np.geomspace(20, 20000, 150)
FS = 48000


def measured_db(hz: np.ndarray) -> np.ndarray:
    return 82 + 7 * np.exp(-(np.log2(hz / 3200) ** 2)) - 4 * np.exp(-(np.log2(hz / 150) ** 2))


def target_db(hz: np.ndarray) -> np.ndarray:
    target = PchipInterpolator(np.log([20, 200, 2000, 20000]), [88, 82, 82, 77])
    found: np.ndarray = target(np.log(hz))
    return found


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = zip(MEASURED_HZ, measured_db(MEASURED_HZ), strict=True)
    table = "".join(f"{hz:.2f},{db:.3f},{db - 82:.3f},{82 - db:.3f},82.0\n" for hz, db in rows)
    Path("HD 250.csv").write_text("frequency,raw,error,equalization,target\n" + table)
    Path("target.txt").write_text("20 88\n200 82\n2000 82\n20000 77\n")
    impulse = np.zeros(1 << 15)
    impulse[1 << 14] = 0.25
    soundfile.write("impulse.wav", impulse, FS, "FLOAT")


CORRECTION = ["--column", "raw", "--align", "1000", "--target", "target.txt", "--smooth", "1/12"]


def test_what_is_heard_is_the_target_minus_the_measurement(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["apply", "impulse.wav", "heard.wav", "-f", "HD 250.csv", *CORRECTION]
    assert cli.run(words) == 0
    said = capsys.readouterr().err
    assert "HD 250.csv is read as a curve of 150 points" in said
    assert "AutoEq CSV, 'frequency' and 'raw'" in said
    assert "smoothed over 1/12 octave" in said
    heard, _ = soundfile.read("heard.wav")
    hz = np.geomspace(40, 18000, 60)
    turn = np.exp(-2j * np.pi * np.outer(hz, np.arange(len(heard))) / FS)
    level = 20 * np.log10(np.abs(turn @ heard) / 0.25)
    one = np.array([1000.0])
    wanted = (target_db(hz) - target_db(one)) - (measured_db(hz) - measured_db(one))
    np.testing.assert_allclose(level, wanted, rtol=0, atol=0.2)


def test_it_is_compared_in_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    compare = ["--compare", "HD 250.csv", "--compare-column", "raw"]
    assert cli.run(["response", "-f", "HD 250.csv", *CORRECTION, *compare, "-o", "both.svg"]) == 0
    assert "HD 250.csv" in Path("both.svg").read_text()
    said = capsys.readouterr().err
    assert "; moved by -" in said
    assert "to the mean of the filter from 100 Hz to 10 kHz" in said


def test_a_column_to_compare_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Path("two.csv").write_text("frequency,left,right\n100,-3,-2\n1000,0,0\n9000,-6,-9\n")
    assert cli.run(["response", "-f", "headphone", "--compare", "two.csv"]) == 2
    assert "--compare-column says which" in capsys.readouterr().err
    assert cli.run(["response", "-f", "headphone", "--compare-column", "raw"]) == 2
    assert "--compare-column would have no effect" in capsys.readouterr().err


def test_the_correction_is_written_for_other_programs() -> None:
    """And read back to the same bits."""
    assert cli.run(["design", "-f", "HD 250.csv", *CORRECTION, "-o", "fir.wav"]) == 0
    assert cli.run(["apply", "impulse.wav", "a.wav", "-f", "HD 250.csv", *CORRECTION]) == 0
    assert cli.run(["apply", "impulse.wav", "b.wav", "-f", "fir.wav"]) == 0
    assert np.array_equal(soundfile.read("a.wav")[0], soundfile.read("b.wav")[0])
