"""Files of sections: written, read back to the bit, applied as scipy applies them, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

import earfilt
from earfilt.errors import DataError, EarfiltError
from earfilt.files.sos import holds_sections, read_sections, to_csv, to_json
from earfilt.synthesis.biquads.sections import Sections

SOS = butter(4, [300.0, 5000.0], "bandpass", fs=48000.0, output="sos")
ROW = "1.0,0.0,0.0,1.0,-0.5,0.25"


@pytest.fixture(params=[".sos.json", ".sos.csv"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Sections in a file."""
    found = tmp_path / f"ear{request.param}"
    text = (to_json if request.param.endswith("json") else to_csv)(Sections(SOS, 48000.0))
    found.write_text(text)
    return found


def test_read_back_to_the_bit(path: Path) -> None:
    assert holds_sections(path)
    found = read_sections(path)
    np.testing.assert_array_equal(found.sos, SOS)
    assert found.fs == 48000.0


def test_json_is_what_scipy_takes(tmp_path: Path) -> None:
    text = json.loads(to_json(Sections(SOS, 48000.0)))
    np.testing.assert_array_equal(np.array(text["sos"]), SOS)
    assert text["fs"] == 48000.0


@pytest.mark.parametrize(("dtype", "within"), [("float64", 1e-8), ("float32", 1e-6)])
def test_audio_is_that_of_scipy(path: Path, dtype: str, within: float) -> None:
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 50_000)).astype(dtype)
    heard = earfilt.apply(noise, str(path), fs=48000)
    expected = sosfilt(SOS, noise.astype(np.float64))
    assert np.abs(heard - expected).max() <= within


def test_blocks_make_no_difference(path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, (30_000, 1))
    stream = earfilt.stream(str(path), fs=48000, dtype="float64")
    parts = [stream.push(block) for block in np.array_split(noise, 7)]
    heard = np.concatenate([*parts, stream.flush()])
    np.testing.assert_allclose(heard, sosfilt(SOS, noise, axis=0), atol=1e-8)


def test_other_rate_is_refused(path: Path) -> None:
    with pytest.raises(EarfiltError, match="48000 Hz, and 44100 Hz"):
        earfilt.design(str(path), fs=44100)


def test_rows_are_divided_by_a0(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"sos": [[2, 1, 0, 2, -1, 0.5]]}')
    np.testing.assert_array_equal(read_sections(path).sos, [[1, 0.5, 0, 1, -0.5, 0.25]])
    assert earfilt.design(str(path), fs=8000).fs == 8000


def test_a_foreign_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'"b0", "b1", "b2", "a0", "a1", "a2"\r\n{ROW}\r\n')
    assert len(read_sections(path)) == 1
    assert earfilt.response(str(path), fs=8000, freqs=[100]).magnitude_db[0] < 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"sos": []}', "0 sections"),
        ('{"sos": 3}', "rows b0 b1 b2"),
        ('{"sos": [[1, 2, 3]]}', "rows b0 b1 b2"),
        ('{"sos": [[1, 0, 0, 1, true, 0]]}', "rows b0 b1 b2"),
        ('{"sos": [[1, 0, 0, 0, 0, 0]]}', "a0 is 0"),
        ('{"sos": [[1, 0, 0, 1, NaN, 0]]}', "finite"),
        ('{"sos": [[1e999, 0, 0, 1, 0, 0]]}', "finite"),
        ('{"sos": [[1, 0, 0, 1e-320, 0.5, 0]]}', "too large"),
        ('{"sos": [[1, 0, 0, 1, -2.5, 1.2]]}', "not stable"),
        ('{"sos": [[1, 0, 0, 1, 1.8, -0.9]]}', "not stable"),
        ('{"fs": -1, "sos": [[1, 0, 0, 1, 0, 0]]}', "sampling rate"),
        ('{"fs": "48k", "sos": [[1, 0, 0, 1, 0, 0]]}', "sampling rate"),
        (f"b0,b1,b2,a0,a1,a2\n{ROW}\n1,2,3\n", "line 3"),
        ("b0,b1,b2,a0,a1,a2\n1,0,0,1,nan,0\n", "line 2"),
        ("b0,b1,b2,a0,a1,a2\n1_0,0,0,1,0,0\n", "line 2"),
        ("b0,b1,b2,a0,a1,a2\n", "0 sections"),
    ],
)
def test_what_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.json" if text.startswith("{") else "a.csv")
    path.write_text(text)
    assert holds_sections(path)
    with pytest.raises(DataError, match=message):
        read_sections(path)
    with pytest.raises(EarfiltError):
        earfilt.design(str(path), fs=48000)


def test_what_never_dies_away_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"fs": 48000, "sos": [[1, 0, 0, 1, -0.99999999, 0]]}')
    with pytest.raises(DataError, match="does not die away"):
        earfilt.design(str(path), fs=48000)
