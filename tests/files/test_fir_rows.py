"""Files of FIRs with several rows: pairs of ears and matrices."""

import io
import json

import numpy as np
import pytest
import scipy.io
import soundfile

from earfilt.errors import DataError, UsageError
from earfilt.files.firs import SUFFIXES, fir_bytes, holds_fir, read_fir, write_fir
from earfilt.synthesis.fir import Fir
from tests.files.test_firs import TOLD, odd_taps

ROWED = [suffix for suffix in SUFFIXES if suffix != ".txt"]


def fir_of(rows: int, lookahead: int = 0, *, odd_ends: bool = False) -> Fir:
    taps = np.stack([odd_taps(seed=seed) for seed in range(rows)])
    return Fir(taps, 44100.0, lookahead, odd_ends, TOLD)


@pytest.mark.parametrize("suffix", ROWED)
@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize(("lookahead", "odd_ends"), [(0, False), (16, True)])
def test_rows_come_back_to_the_same_bits(tmp_path, suffix, rows, lookahead, odd_ends):
    fir, path = fir_of(rows, lookahead, odd_ends=odd_ends), tmp_path / f"fir{suffix}"
    write_fir(fir, path)
    assert holds_fir(path)
    back = read_fir(path, latency=lookahead if suffix == ".npy" else None)
    assert back.taps.tobytes() == fir.taps.tobytes()
    assert (back.rows, back.lookahead) == (rows, lookahead)
    if suffix != ".npy":
        assert back.sha256 == fir.sha256
        assert back.provenance == TOLD


@pytest.mark.parametrize("suffix", ROWED)
def test_two_equal_rows_stay_a_pair(tmp_path, suffix):
    write_fir(Fir(np.ones((2, 5)), 8000.0), tmp_path / f"fir{suffix}")
    assert read_fir(tmp_path / f"fir{suffix}").rows == 2


@pytest.mark.parametrize("shape", [(2, 3), (4, 3), (2, 4), (4, 4), (1, 5), (5, 1), (1, 1, 5)])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2"])
def test_an_array_stored_by_columns_holds_the_same_rows(tmp_path, shape, dtype):
    """As numpy stores a transpose, which is what a refused array is told to become."""
    array = np.arange(1, 1 + np.prod(shape), dtype=dtype).reshape(shape)
    np.save(tmp_path / "rows.npy", np.ascontiguousarray(array))
    np.save(tmp_path / "columns.npy", np.asfortranarray(array))
    back = read_fir(tmp_path / "columns.npy").taps
    np.testing.assert_array_equal(back, array if min(shape) > 1 else array.reshape(-1))
    np.testing.assert_array_equal(back, read_fir(tmp_path / "rows.npy").taps)


def test_sox_takes_no_pair():
    with pytest.raises(UsageError, match=r"holds one FIR for all channels, .* 2 rows; write \.wav"):
        fir_bytes(fir_of(2), "fir.txt")


@pytest.mark.parametrize("rows", [2, 4])
def test_other_programs_read_the_rows(tmp_path, rows):
    taps = np.arange(5 * rows, dtype=float).reshape(rows, 5) / 7
    for suffix in ROWED:
        write_fir(Fir(taps, 32000.0, 2), tmp_path / f"fir{suffix}")
    np.testing.assert_array_equal(np.load(tmp_path / "fir.npy"), taps)
    np.testing.assert_array_equal(scipy.io.loadmat(tmp_path / "fir.mat")["taps"], taps)
    samples, fs = soundfile.read(tmp_path / "fir.wav")
    np.testing.assert_array_equal(samples, taps.T)
    assert fs == 32000
    table = np.loadtxt(tmp_path / "fir.csv", delimiter=",", skiprows=2)
    np.testing.assert_array_equal(table, np.column_stack([np.arange(-2, 3), taps.T]))
    found = json.loads((tmp_path / "fir.json").read_text())
    assert (found["taps"], found["rows"]) == (taps.tolist(), rows)


def wav(tmp_path, taps: np.ndarray, subtype: str = "DOUBLE"):
    path = tmp_path / "made.wav"
    soundfile.write(path, taps.T, 48000, subtype)
    return read_fir(path)


def test_a_foreign_wav_of_two_or_four_channels_is_a_pair_or_a_matrix(tmp_path):
    for rows in (2, 4):
        taps = np.random.default_rng(1).uniform(-0.5, 0.5, (rows, 50))
        fir = wav(tmp_path, taps)
        np.testing.assert_array_equal(fir.taps, taps)
        assert (fir.fs, fir.lookahead) == (48000.0, 0)
    assert wav(tmp_path, np.ones((2, 50)) / 2).rows == 1  # equal channels, as they always were
    assert wav(tmp_path, np.ones((6, 50)) / 2).rows == 1


def test_a_pair_that_says_nothing_is_centred_only_where_both_rows_are(tmp_path):
    both = np.stack([np.hanning(65), -0.5 * np.hamming(65)])
    assert wav(tmp_path, both).lookahead == 32
    assert wav(tmp_path, both, "PCM_16").lookahead == 32
    decaying = np.exp(-np.arange(65) / 9)
    assert wav(tmp_path, np.stack([both[0], decaying])).lookahead == 0
    shorter = np.append(np.hanning(33), np.zeros(32))
    assert wav(tmp_path, np.stack([both[0], shorter])).lookahead == 0
    silent = np.zeros(65)
    assert wav(tmp_path, np.stack([both[0], silent])).lookahead == 32
    assert wav(tmp_path, np.stack([silent, decaying])).lookahead == 0


def test_a_wav_has_a_channel_for_each_row():
    fir = fir_of(2)
    with pytest.raises(UsageError, match="--channels 3; this FIR has 2 rows of taps, one for each"):
        fir_bytes(fir, "fir.wav", channels=3)
    data = fir_bytes(
        Fir(np.array([[0.25, -0.5], [0.125, 0.75]]), 48000.0), "a.wav", subtype="PCM_24"
    )
    samples, _ = soundfile.read(io.BytesIO(data))
    np.testing.assert_array_equal(samples, [[0.25, 0.125], [-0.5, 0.75]])


def test_what_is_wrong_with_a_row_is_said(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((9, 2)))
    with pytest.raises(DataError, match=r"shape \(9, 2\); .* 2 or 4 rows .* its transpose is"):
        read_fir(tmp_path / "a.npy")
    (tmp_path / "a.json").write_text('{"taps": [[1.0, 2.0], [1.0]]}')
    with pytest.raises(DataError, match="its rows have 1 to 2 taps; all have as many"):
        read_fir(tmp_path / "a.json")
    np.save(tmp_path / "b.npy", np.array([[1, 1, 1], [1, np.nan, 1]]))
    with pytest.raises(DataError, match="tap 1 of row 1 is not a finite number"):
        read_fir(tmp_path / "b.npy")


@pytest.mark.parametrize("suffix", ROWED)
def test_a_pair_of_two_gains_stays_one(tmp_path, suffix):
    write_fir(Fir(np.array([[0.5], [0.25]]), 48000.0), tmp_path / f"a{suffix}")
    back = read_fir(tmp_path / f"a{suffix}")
    assert back.rows == 2
    np.testing.assert_array_equal(back.taps[:, 0], [0.5, 0.25])
    assert not back.taps[:, 1:].any()
