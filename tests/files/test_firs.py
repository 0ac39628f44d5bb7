"""FIR files: bits that come back, files of other programs, files of no good will."""

import io
import json
import os
import re
import struct
import subprocess
import tracemalloc
import zlib
from functools import partial

import numpy as np
import pytest
import scipy.io
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earfilt.errors import AudioError, DataError, UsageError
from earfilt.files import fir_formats, firs
from earfilt.files.firs import SUFFIXES, holds_fir, read_fir, write_fir
from earfilt.storage import reading
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.provenance import Provenance
from tests.tools import need

CARRY_ALL = [suffix for suffix in SUFFIXES if suffix != ".npy"]
TOLD = Provenance(
    filter="headphone",
    order=[512, 256],
    phase="minimum",
    source=("Pralong & Carlile µ–\u2028\n",),
)


def odd_taps(n=33, seed=0):
    """Taps that show every loss: neighbours of 1, denormals, negative zero, huge and tiny values."""
    taps = np.random.default_rng(seed).standard_normal(n) * 10.0 ** np.arange(-n, 0)
    special = [1 / 3, np.nextafter(1.0, 2.0), 5e-324, -0.0, 1.7976931348623157e308, -1e-17]
    taps[: min(n, 6)] = special[:n]
    return taps


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("lookahead", "odd_ends"), [(0, False), (16, True), (7, False), (32, True)]
)
def test_what_is_written_is_read_back_to_the_same_bits(tmp_path, suffix, lookahead, odd_ends):
    fir = Fir(odd_taps(), 44100.0, lookahead, odd_ends, TOLD)
    path = tmp_path / f"fir{suffix}"
    write_fir(fir, path)
    back = read_fir(path, latency=lookahead if suffix == ".npy" else None)
    assert back.taps.tobytes() == fir.taps.tobytes()
    assert back.lookahead == lookahead
    if suffix != ".npy":
        assert (back.fs, back.odd_ends, back.provenance) == (44100.0, odd_ends, TOLD)
        assert back.sha256 == fir.sha256


SOUND = ["WAV", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC"]
NOISE = np.random.default_rng(5).integers(-(2**22), 2**22, 3001) << 8  # of 24 bits


def sound_file(container: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, NOISE.astype(np.int32), 48_000, "PCM_24", format=container)
    return file.getvalue()


@pytest.mark.parametrize("container", SOUND)
def test_taps_come_from_any_container_of_sound_and_never_from_half_of_one(tmp_path, container):
    path = tmp_path / "a.wav"
    path.write_bytes(sound_file(container))
    np.testing.assert_array_equal(read_fir(path).taps, NOISE / 2.0**31)
    path.write_bytes(sound_file(container)[:5000])
    with pytest.raises(DataError, match="cut short") as refused:
        read_fir(path)
    assert "repair" not in str(refused.value)


def in_words(data: np.ndarray, bits: int, align: int) -> bytes:
    head = struct.pack("<HHIIHH", 1, 1, 48_000, 48_000 * align, align, bits)
    samples = data.astype("<i4").tobytes()
    size = struct.pack("<I", len(samples))
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + size + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("shift", [0, 8])
def test_taps_of_24_bits_in_words_of_four_bytes(tmp_path, shift):
    path = tmp_path / "a.wav"
    path.write_bytes(in_words(NOISE >> shift, 24, 4))
    np.testing.assert_array_equal(read_fir(path).taps, NOISE / 2.0**31)


def test_a_sound_file_that_states_fewer_taps_than_it_holds_is_no_filter(tmp_path):
    path, data = tmp_path / "a.wav", bytearray(sound_file("WAV"))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 3000)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"bytes after the samples.*fewer samples than") as refused:
        read_fir(path)
    assert "ignore" not in str(refused.value)


@given(
    taps=st.lists(
        st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=9
    ),
    share=st.floats(0, 1, exclude_max=True),
    fs=st.sampled_from([8000.0, 22050.0, 192000.0]),
)
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("suffix", CARRY_ALL)
def test_any_taps_and_latency_come_back(tmp_path_factory, suffix, taps, share, fs):
    fir = Fir(np.array(taps), fs, int(share * len(taps)), False)
    path = tmp_path_factory.mktemp("any") / f"fir{suffix}"
    write_fir(fir, path)
    assert read_fir(path).sha256 == fir.sha256


@pytest.mark.parametrize("suffix", [".json", ".mat"])
def test_odd_rates_come_back_and_wav_refuses_them(tmp_path, suffix):
    fir = Fir(np.ones(3), 44100.5)
    write_fir(fir, tmp_path / f"a{suffix}")
    assert read_fir(tmp_path / f"a{suffix}").fs == 44100.5
    with pytest.raises(UsageError, match=r"44100\.5 Hz; write \.json"):
        write_fir(fir, tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_fir_makes_the_same_bytes(tmp_path, suffix, monkeypatch):
    fir = Fir(odd_taps(), 48000.0, 3, True, TOLD)
    write_fir(fir, tmp_path / f"a{suffix}")
    monkeypatch.setattr("time.time", lambda: 1e9)
    monkeypatch.setattr("time.asctime", lambda *_: "Sat Jan  1 00:00:00 2000")
    write_fir(fir, tmp_path / f"b{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_other_programs_read_the_numbers(tmp_path):
    fir = Fir(odd_taps(5) * 0 + np.arange(5) / 7, 32000.0, 2, True, TOLD)
    for suffix in SUFFIXES:
        write_fir(fir, tmp_path / f"fir{suffix}")
    assert np.array_equal(np.load(tmp_path / "fir.npy"), fir.taps)
    assert np.array_equal(scipy.io.loadmat(tmp_path / "fir.mat", squeeze_me=True)["taps"], fir.taps)
    samples, fs = soundfile.read(tmp_path / "fir.wav", dtype="float64")
    assert (fs, soundfile.info(tmp_path / "fir.wav").subtype) == (32000, "DOUBLE")
    assert np.array_equal(samples, fir.taps)
    table = np.loadtxt(tmp_path / "fir.csv", delimiter=",", skiprows=2)
    assert np.array_equal(table, np.column_stack([np.arange(-2, 3), fir.taps]))
    found = json.loads((tmp_path / "fir.json").read_text())
    assert (found["taps"], found["fs"], found["latency"], found["odd_ends"]) == (
        fir.taps.tolist(),
        32000.0,
        2,
        True,
    )


def test_sox_text_is_padded_so_that_half_its_taps_are_the_advance(tmp_path):
    for lookahead, total in ((0, 9), (4, 9), (2, 5), (1, 7)):
        fir = Fir(np.arange(1.0, 6.0), 8000.0, lookahead)
        write_fir(fir, tmp_path / "fir.txt", force=True)
        padded = np.loadtxt(tmp_path / "fir.txt")
        first = int(np.flatnonzero(padded)[0])
        assert len(padded) == total
        assert (len(padded) - 1) // 2 == first + lookahead


def test_bare_taps_are_centred_where_symmetric_and_causal_otherwise(tmp_path):
    for taps, lookahead in (
        ([1.0, 2, 1], 1),
        ([1.0, 2, 3], 0),
        ([1.0, 2, 2, 1], 1),
        ([1.0, 0, -1], 1),
        ([1.0, -2, 3], 0),
        ([2.0], 0),
    ):
        np.save(tmp_path / "fir.npy", np.array(taps))
        soundfile.write(tmp_path / "fir.wav", np.array(taps) / 8, 8000, subtype="FLOAT")
        scipy.io.savemat(
            tmp_path / "fir.mat", {"h": np.array([*taps, 0.0, 0.0][: max(2, len(taps))])}
        )
        assert (
            read_fir(tmp_path / "fir.npy").lookahead,
            read_fir(tmp_path / "fir.wav").lookahead,
        ) == (lookahead, lookahead)
        assert read_fir(tmp_path / "fir.npy").fs is None
        assert read_fir(tmp_path / "fir.wav").fs == 8000.0
        assert read_fir(tmp_path / "fir.mat").fs is None
    assert read_fir(tmp_path / "fir.npy", latency=0).lookahead == 0


def linear_phase(numtaps, kind):
    """A symmetric FIR, or an antisymmetric one; scipy designs it, and every tap gets the rounding
    noise of 32-bit arithmetic.
    """
    hilbert = partial(scipy.signal.remez, numtaps, [0.1, 0.4], [1], type="hilbert")
    half = scipy.signal.firwin(numtaps, 0.3) if kind == "even" else hilbert()
    return half * (1 + 1e-7 * np.random.default_rng(numtaps).uniform(-1, 1, numtaps))


@pytest.mark.parametrize("kind", ["even", "odd"])
@pytest.mark.parametrize("numtaps", [63, 64])
@pytest.mark.parametrize(
    "form",
    [
        "f2.npy",
        "f4.npy",
        "f8.npy",
        "i2.npy",
        "PCM_U8.wav",
        "PCM_16.wav",
        "PCM_24.wav",
        "FLOAT.wav",
        "f4.mat",
        "json",
    ],
)
def test_taps_of_linear_phase_are_centred_whatever_holds_them(tmp_path, kind, numtaps, form):
    taps = linear_phase(numtaps, kind)
    how, _, suffix = form.rpartition(".")
    path = tmp_path / f"fir.{suffix}"

    def store(taps):
        if suffix == "wav":
            dithered = taps + np.random.default_rng(0).triangular(-1, 0, 1, numtaps) * 2.0**-15 * (
                how == "PCM_16"
            )
            soundfile.write(path, dithered, 48000, how)
        elif suffix == "json":
            path.write_text(json.dumps({"taps": taps.tolist()}))
        else:
            held = np.rint(taps * 90).astype(how) if how == "i2" else taps.astype(how)
            np.save(path, held) if suffix == "npy" else scipy.io.savemat(path, {"h": held})

    store(taps)
    assert read_fir(path).lookahead == (numtaps - 1) // 2
    causal = scipy.signal.minimum_phase(scipy.signal.firwin(numtaps, 0.3), half=False)
    store(np.pad(causal, (0, numtaps - len(causal))))
    assert read_fir(path).lookahead == 0


def test_padding_and_rotation_keep_taps_centred(tmp_path):
    def lookahead(taps):
        np.save(tmp_path / "fir.npy", taps)
        return read_fir(tmp_path / "fir.npy").lookahead

    taps = scipy.signal.firwin(63, 0.3)
    assert lookahead(np.append(taps, np.zeros(65))) == 31
    assert lookahead(np.roll(np.fft.irfft(np.abs(np.fft.rfft(taps, 128))), 64)) == 64
    # Delays are no padding.
    assert lookahead(np.array([0.0, 0.0, 0.0, 1.0])) == 0
    assert lookahead(np.array([0.0, 1.0])) == 0


@pytest.mark.parametrize("printed", ["%.4f", "%.4g", "%.3e", "%.6g"])
@pytest.mark.parametrize("suffix", [".json", ".npy"])
def test_taps_that_were_printed_with_few_digits_are_centred(tmp_path, printed, suffix):
    """Half of the taps are moved by less than a digit, as rounding does on one side and not on the
    other.
    """
    taps = scipy.signal.firwin(63, 0.3)
    digit = 0.9 * 10.0 ** -(4 if printed != "%.6g" else 6)
    taps[:31] += digit * np.random.default_rng(0).uniform(-0.5, 0.5, 31)
    read = np.array([float(printed % tap) for tap in taps])
    assert np.abs(read - read[::-1]).max() > 0.0
    path = tmp_path / f"fir{suffix}"
    np.save(path, read) if suffix == ".npy" else path.write_text(
        json.dumps({"taps": read.tolist()})
    )
    assert read_fir(path).lookahead == 31


def test_few_whole_numbers_are_judged_exactly(tmp_path):
    np.save(tmp_path / "fir.npy", np.array([1, 2, 3], dtype=np.int16))
    assert read_fir(tmp_path / "fir.npy").lookahead == 0


@pytest.mark.filterwarnings("error")
def test_rows_as_unlike_as_floats_can_be(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1e307, 7e307, 1e307], [1e-154, 6e-154, 1e-154]]))
    assert read_fir(tmp_path / "a.npy").lookahead == 1


def test_foreign_text_means_what_sox_takes_it_for(tmp_path):
    (tmp_path / "fir.txt").write_text("# HP filter\n 1 2\t3 # end\n4\n")
    fir = read_fir(tmp_path / "fir.txt")
    assert (fir.taps.tolist(), fir.lookahead, fir.fs, fir.odd_ends) == (
        [1, 2, 3, 4],
        1,
        None,
        False,
    )


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "|u1", "<f2"])
@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1)])
def test_numpy_arrays_of_any_real_dtype(tmp_path, dtype, shape):
    np.save(tmp_path / "fir.npy", np.arange(4).reshape(shape).astype(dtype))
    assert read_fir(tmp_path / "fir.npy").taps.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u1"])
def test_matlab_files_of_another_writer(tmp_path, compressed, dtype):
    values = {
        "taps": (np.arange(300) % 50).astype(dtype),
        "fs": np.int32(22050),
        "note": "x" * 99,
        "other": {"cell": [1]},
        "w": np.eye(3) * 1j,
    }
    scipy.io.savemat(tmp_path / "fir.mat", values, do_compression=compressed)
    fir = read_fir(tmp_path / "fir.mat")
    assert np.array_equal(fir.taps, np.arange(300) % 50)
    assert (fir.fs, fir.lookahead) == (22050.0, 0)


def test_a_latency_that_contradicts_the_file_is_refused(tmp_path):
    write_fir(Fir(np.arange(5.0), 8000.0, 2), tmp_path / "fir.json")
    assert read_fir(tmp_path / "fir.json", latency=2).lookahead == 2
    with pytest.raises(UsageError, match="says its own latency, 2 samples; leave latency=1 out"):
        read_fir(tmp_path / "fir.json", latency=1)
    np.save(tmp_path / "fir.npy", np.arange(5.0))
    for latency in (5, -1):
        with pytest.raises(UsageError, match="0 to 4 samples"):
            read_fir(tmp_path / "fir.npy", latency=latency)


def test_existing_files_stay_unless_forced(tmp_path):
    path = tmp_path / "fir.json"
    path.write_text("precious")
    fir = Fir(np.ones(3), 8000.0)
    with pytest.raises(UsageError, match="exists; force=True"):
        write_fir(fir, path)
    assert path.read_text() == "precious"
    write_fir(fir, path, force=True)
    assert read_fir(path).numtaps == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["fir.json"]


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    for name in ("replace", "link"):
        monkeypatch.setattr(os, name, full)
    with pytest.raises(AudioError, match=r"cannot write .*fir\.csv: No space left"):
        write_fir(Fir(np.ones(3), 8000.0), tmp_path / "fir.csv")
    assert not list(tmp_path.iterdir())
    with pytest.raises(AudioError, match="No such file"):
        write_fir(Fir(np.ones(3), 8000.0), tmp_path / "none" / "fir.csv")
    with pytest.raises(UsageError, match="is a directory"):
        write_fir(Fir(np.ones(3), 8000.0), _directory(tmp_path / "d.csv"), force=True)


def _directory(path):
    path.mkdir()
    return path


def wav_bytes(*, frames=4, channels=1, comment=b"", stated=None):
    data = np.arange(frames * channels, dtype="<f8").tobytes()
    fmt = struct.pack("<HHIIHH", 3, channels, 8000, 64000, 8 * channels, 64)
    info = b"INFOICMT" + struct.pack("<I", len(comment)) + comment + b"\0" * (len(comment) % 2)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"LIST" + struct.pack("<I", len(info)) + info
    body += b"data" + struct.pack("<I", len(data) if stated is None else stated) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_header(header):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def mat_bytes(**values):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, values)
    return buffer.getvalue()


def mat_bomb():
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(80)) + packer.flush()
    return mat_bytes(a=[1.0])[:128] + struct.pack("<II", 15, len(packed)) + packed


HOSTILE = {
    "empty.json": b"",
    "deep.json": b"[" * 1_000_000,
    "nested.json": b'{"taps":' * 5_000 + b"1" + b"}" * 5_000,
    "list.json": b"[1, 2, 3]",
    "no_taps.json": b'{"fs": 48000}',
    "strings.json": b'{"taps": ["1"]}',
    "bools.json": b'{"taps": [true]}',
    "none.json": b'{"taps": []}',
    "nan.json": b'{"taps": [1.0, NaN]}',
    "inf.json": b'{"taps": [1.0, 1e999]}',
    "huge_int.json": b'{"taps": [' + b"9" * 400 + b"]}",
    "digits.json": b'{"taps": [' + b"9" * 9000 + b"]}",
    "fs.json": b'{"taps": [1.0], "fs": -1}',
    "fs_text.json": b'{"taps": [1.0], "fs": "\\u001b[31m"}',
    "fs_bool.json": b'{"taps": [1.0], "fs": true}',
    "latency.json": b'{"taps": [1.0], "latency": 1}',
    "latency_text.json": b'{"taps": [1.0], "latency": "0"}',
    "latency_huge.json": b'{"taps": [1.0], "latency": ' + b"9" * 4000 + b"}",
    "ends.json": b'{"taps": [1.0], "odd_ends": 3}',
    "meta.json": b'{"taps": [1.0], "meta": 3}',
    "binary.json": bytes(range(256)),
    "zeros.txt": b"1\0 2",
    "utf16.csv": "sample,coefficient\n0,1\n".encode("utf-16"),
    "words.txt": b"one two",
    "only_comments.txt": b"# nothing\n",
    "inf.txt": b"1 2 inf",
    "underscore.txt": b"1_000",
    "comma.txt": b"0,5 0,25",
    "damaged.txt": b'# earfilt FIR {"latency": 0, "first": 1, "numtaps": 2}\n1\n2\n3\n',
    "comment.txt": b"# earfilt FIR {{{{\n1\n",
    "gap.csv": b"sample,coefficient\n0,1\n2,1\n",
    "late.csv": b"sample,coefficient\n3,1\n4,1\n",
    "half.csv": b"sample,coefficient\n0.5,1\n1.5,1\n",
    "fields.csv": b"sample,coefficient\n0,1,2\n",
    "none.csv": b"sample,coefficient\n",
    "nan.csv": b"sample,coefficient\n0,nan\n",
    "object.npy": npy_bytes(np.array([{"a": 1}], dtype=object)),
    "pickle.npy": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "complex.npy": npy_bytes(np.ones(3, dtype=complex)),
    "matrix.npy": npy_bytes(np.ones((3, 3))),
    "scalar.npy": npy_bytes(np.float64(1)),
    "text.npy": npy_bytes(np.array(["a"])),
    "none.npy": npy_bytes(np.zeros(0)),
    "nan.npy": npy_bytes(np.array([1, np.nan])),
    "short.npy": npy_bytes(np.ones(100))[:-8],
    "claims.npy": npy_header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    ),
    "code.npy": npy_header("__import__('os').system('true')"),
    "three.wav": wav_bytes(channels=3),
    "three_rows.json": b'{"taps": [[1.0], [1.0], [1.0]]}',
    "unequal.json": b'{"taps": [[1.0, 2.0], [1.0]]}',
    "one_of_two.json": b'{"taps": [[1.0], 1.0]}',
    "deep_rows.json": b'{"taps": [[[1.0]], [[1.0]]]}',
    "empty_rows.json": b'{"taps": [[], []]}',
    "nan_row.json": b'{"taps": [[1.0, 1.0], [1.0, 1e999]]}',
    "nan_row.npy": npy_bytes(np.array([[1, 1], [1, np.nan]])),
    "columns.npy": npy_bytes(np.ones((9, 2))),
    "cube.npy": npy_bytes(np.ones((2, 2, 2))),
    "columns.mat": mat_bytes(taps=np.ones((9, 4))),
    "one_ear.csv": b"sample,left,right\n0,1\n",
    "no_ear.csv": b"sample,left,middle\n0,1,2\n",
    "nan_ear.csv": b"sample,left,right\n0,1,nan\n",
    "short.wav": wav_bytes()[:60],
    "none.wav": wav_bytes(frames=0),
    "comment.wav": wav_bytes(comment=b"earfilt FIR [1"),
    "noise.wav": os.urandom(999),
    "text.wav": b"hello",
    "cell.mat": mat_bytes(taps=np.array([[1], "a"], dtype=object)),
    "struct.mat": mat_bytes(taps={"a": 1}),
    "matrix.mat": mat_bytes(taps=np.ones((3, 3))),
    "complex.mat": mat_bytes(taps=np.ones(3) * 1j),
    "two.mat": mat_bytes(a=np.ones(3), b=np.ones(3)),
    "text.mat": mat_bytes(taps="hello"),
    "meta.mat": mat_bytes(taps=np.ones(3), meta="{" * 20_000),
    "fs.mat": mat_bytes(taps=np.ones(3), fs="fast"),
    "short.mat": mat_bytes(taps=np.ones(300))[:-800],
    "noise.mat": mat_bytes(taps=np.ones(300))[:128] + os.urandom(500),
    "bomb.mat": mat_bomb(),
    "v73.mat": b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + os.urandom(600),
    "fir.mp3": b"ID3",
    "fir": b"one",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_bad_files_are_refused_in_one_printable_line(tmp_path, name):
    (tmp_path / name).write_bytes(HOSTILE[name])
    with pytest.raises(DataError) as caught:
        read_fir(tmp_path / name)
    message = str(caught.value)
    assert name in message
    assert message.isprintable()
    assert len(message) < 400 + len(str(tmp_path))


def test_what_is_small_as_bytes_and_large_as_objects_is_refused_before_it_takes_memory(
    tmp_path, monkeypatch
):
    for module in (firs, fir_formats):
        monkeypatch.setattr(module, "MAX_TAPS", 1000)
    (tmp_path / "words.txt").write_bytes(b"1 " * (4 << 20))
    (tmp_path / "lines.txt").write_bytes(b"\n" * (reading.MAX_LINES + 1))
    tracemalloc.start()
    for name, match in [("words.txt", "1 to 1000 are possible"), ("lines.txt", "lines, the most")]:
        with pytest.raises(DataError, match=match):
            read_fir(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 128 << 20
    tracemalloc.stop()


def test_files_that_are_no_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*No such file"):
        read_fir(tmp_path / "none.json")
    with pytest.raises(UsageError, match="Is a directory"):
        read_fir(_directory(tmp_path / "d.json"))
    with pytest.raises(UsageError, match="cannot read"):
        read_fir("a\0b.json")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(UsageError, match="not a regular file"):
        read_fir(tmp_path / "pipe.json")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_beyond_the_limit_is_not_read(tmp_path, suffix):
    with open(tmp_path / f"big{suffix}", "wb") as file:
        file.truncate(70 << 20)
    with pytest.raises(DataError, match="larger than 64 MiB"):
        read_fir(tmp_path / f"big{suffix}")


def test_too_many_taps_are_refused(tmp_path):
    np.save(tmp_path / "many.npy", np.zeros((1 << 22) + 1, dtype=np.int8))
    with pytest.raises(DataError, match="4194305 taps; 1 to 4194304"):
        read_fir(tmp_path / "many.npy")


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(
    noise=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 2_000),
)
@settings(max_examples=60, deadline=None)
def test_damaged_files_raise_nothing_else(tmp_path_factory, suffix, noise, cut):
    path = tmp_path_factory.mktemp("noise") / f"fir{suffix}"
    write_fir(Fir(np.arange(1.0, 9.0), 8000.0, 3, True, Provenance(filter="x")), path)
    data = bytearray(path.read_bytes())
    for at, value in noise:
        data[at % len(data)] = value
    path.write_bytes(data[: max(1, len(data) - cut)])
    try:
        fir = read_fir(path)
    except DataError:
        return
    assert np.isfinite(fir.taps).all()
    assert 0 <= fir.lookahead < fir.numtaps


# What is not plainly taps


def saved_array(path, array):
    """An array as numpy, MATLAB's format (under a name that says nothing) or text has it."""
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, {"x": array})
    else:
        np.savetxt(path, array)
    return path


BUTTER = scipy.signal.butter(2, 0.1)
LOOKALIKES = {
    "1 section": (scipy.signal.butter(2, 0.1, output="sos"), r"1 section of b0 .* \.sos\.json"),
    "2 sections": (scipy.signal.butter(4, 0.1, output="sos"), r"2 sections of b0"),
    "4 sections": (scipy.signal.butter(8, 0.1, output="sos"), r"4 sections of b0"),
    "b and a": (np.stack(BUTTER), r"coefficients b and a of a recursive filter: .*tf2sos"),
    "a table in rows": (np.array([[100, 1000, 5000.0], [0, 5, -3]]), "table .* 100 to 5000"),
    "an axis": (np.linspace(0, 24000, 513), "runs from 0 to 24000"),
    "times": (np.arange(100) / 48000, "runs from 0 to 0.0020625"),
}


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".txt"])
@pytest.mark.parametrize("kind", LOOKALIKES)
def test_sections_tables_and_axes_are_no_taps(tmp_path, suffix, kind):
    array, words = LOOKALIKES[kind]
    with pytest.raises(DataError, match=words):
        read_fir(saved_array(tmp_path / f"x{suffix}", array))


@pytest.mark.parametrize("suffix", [".npy", ".mat"])
@pytest.mark.parametrize(
    "kind", ["2 sections", "4 sections", "b and a", "a table in rows", "an axis"]
)
def test_zeros_behind_rows_say_that_they_are_taps(tmp_path, suffix, kind):
    array = LOOKALIKES[kind][0]
    padded = np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, 1)])
    path = saved_array(tmp_path / f"x{suffix}", padded)
    assert read_fir(path).taps.tolist() == padded.tolist()


def test_one_coefficient_a_line_says_that_they_are_taps(tmp_path):
    sos = LOOKALIKES["2 sections"][0]
    path = saved_array(tmp_path / "x.txt", sos.reshape(-1))
    assert read_fir(path).taps.tolist() == sos.reshape(-1).tolist()


@pytest.mark.parametrize("suffix", [".txt", ".npy"])
@pytest.mark.parametrize("columns", [(1, 0), (1, 2, 0), (0, 1)])
def test_the_frequencies_of_a_table_need_not_come_first(tmp_path, suffix, columns):
    table = np.array([[20, -3, 1], [1000, 0, 2], [8000, 4, 3], [20_000, -6, 4]], dtype=float)
    path = tmp_path / f"table{suffix}"
    for lying in (table[:, columns], table[:, columns].T):
        (np.savetxt if suffix == ".txt" else np.save)(path, lying)
        with pytest.raises(DataError, match="holds a table that runs from"):
            read_fir(path)


@pytest.mark.parametrize("shape", ["columns", "four rows"])
def test_a_table_is_no_taps_whichever_way_it_lies(tmp_path, shape):
    """Its transpose would be taken for a pair, and four points of it for a matrix."""
    table = np.array([[100, 0.0], [1000, 5], [5000, -3], [9000, 0]])
    table = table[:3] if shape == "columns" else table
    with pytest.raises(DataError, match="holds a table that runs from 100") as caught:
        read_fir(saved_array(tmp_path / "x.npy", table))
    assert "transpose" not in str(caught.value)


@pytest.mark.parametrize("rows", [2, 4])
def test_rows_of_six_taps_are_no_sections(tmp_path, rows):
    """Also with a delay of three samples in each row."""
    array = np.random.default_rng(1).uniform(-0.5, 0.5, (rows, 6))
    for one in (array, np.eye(6)[[3] * rows]):
        assert read_fir(saved_array(tmp_path / "x.npy", one)).taps.tolist() == one.tolist()


@pytest.mark.parametrize("suffix", [".npy", ".mat"])
@pytest.mark.parametrize("dtype", ["i2", "i4", "u1", "i8"])
def test_codes_of_a_fixed_point_format_are_asked_for(tmp_path, suffix, dtype):
    """A WAV of the same integers is at full scale 1, and as numbers they are 88 dB louder."""
    path = saved_array(tmp_path / f"x{suffix}", np.array([64, 32, 7]).astype(dtype))
    with pytest.raises(DataError, match=r"up to 64, which may be codes .* divided by"):
        read_fir(path)
    saved_array(path, np.array([64, 32, 7]) / 128.0)
    assert read_fir(path).taps.tolist() == [0.5, 0.25, 7 / 128]


def test_numbers_that_may_be_codes_are_told(tmp_path):
    (tmp_path / "q15.txt").write_text("16384\n8192\n4096\n")
    (tmp_path / "q15.json").write_text('{"taps": [16384, 8192, 4096]}')
    np.save(tmp_path / "q15.npy", np.array([16384.0, 8192.0, 4096.0]))
    for suffix in (".txt", ".json", ".npy"):
        (caution,) = read_fir(tmp_path / f"q15{suffix}").provenance.cautions
        assert "whole numbers up to 16384" in caution
    np.save(tmp_path / "taps.npy", np.array([1.0, 4.0, 6.0, 4.0, 1.0]))
    assert not read_fir(tmp_path / "taps.npy").provenance.cautions


FOREIGN = {
    "complex": ({"H": np.exp(-1j * np.arange(9)), "f": np.arange(9.0)}, r"'H' \(complex numbers\)"),
    "a structure": ({"ir": {"h": np.ones(3)}, "t": np.ones(9)}, r"'ir' \(a structure\), 't' \(1×9"),
    "a cell array": ({"h": np.array([[1], "a"], object)}, r"'h' \(a cell array\)"),
    "two vectors": ({"h": np.ones(3), "g": np.ones(3)}, r"'h' \(1×3\), 'g' \(1×3\)"),
    "sparse": ({"h": scipy.sparse.eye_array(3).tocsc()}, r"'h' \(a sparse matrix\)"),
    "nothing": ({"note": "text"}, r"'note' \(text\)"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_matlab_variables_that_are_not_plainly_taps_are_named(tmp_path, kind):
    values, words = FOREIGN[kind]
    scipy.io.savemat(tmp_path / "x.mat", values | {"fs": 48000.0})
    with pytest.raises(DataError, match=words + ".*save real numbers as 'taps'"):
        read_fir(tmp_path / "x.mat")


RATES = [
    "fs",
    "Fs",
    "FS",
    "sr",
    "samplerate",
    "sample_rate",
    "SampleRate",
    "sampling_rate",
    "Fs_Hz",
]


@pytest.mark.parametrize("name", RATES)
def test_a_rate_is_read_under_its_usual_names(tmp_path, name):
    scipy.io.savemat(tmp_path / "x.mat", {"h": np.array([1, 0.5, 0.2]), name: 44100.0})
    (tmp_path / "x.json").write_text(json.dumps({"taps": [1.0, 0.5], name: 44100}))
    for suffix in (".mat", ".json"):
        assert read_fir(tmp_path / f"x{suffix}").fs == 44100.0


def test_two_rates_that_contradict_are_refused(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"h": np.ones(3) / 3, "Fs": 44100.0, "fs": 48000.0})
    (tmp_path / "x.json").write_text('{"taps": [1.0], "fs": 44100, "samplerate": 48000}')
    for suffix in (".mat", ".json"):
        with pytest.raises(DataError, match=r"two sampling rates, .* and .*48000.*; leave one"):
            read_fir(tmp_path / f"x{suffix}")
    (tmp_path / "x.json").write_text('{"taps": [1.0], "fs": 44100.0, "samplerate": 44100}')
    assert read_fir(tmp_path / "x.json").fs == 44100.0


# What other programs carry along


def ffmpeg_made(path, chain):
    """A copy of a WAV, which has its comment."""
    out = path.with_name("made.wav")
    words = [need("ffmpeg"), "-v", "error", "-y", "-i", path, *chain, "-c:a", "pcm_f64le", out]
    subprocess.run(words, check=True)
    assert b"earfilt FIR" in out.read_bytes()
    return out


CENTRED = np.hanning(129)
MIXED = np.convolve(np.hanning(33), 0.9 ** np.arange(60))  # time zero 16, which no tap shows


@pytest.mark.parametrize("version", ["this", "earlier"])
def test_a_comment_that_is_not_of_the_taps_is_left_aside(tmp_path, version):
    """ffmpeg trims and resamples the taps, and copies the comment."""
    path = tmp_path / "fir.wav"
    write_fir(Fir(CENTRED, 48000.0, 64, True, TOLD), path)
    if version == "earlier":
        path.write_bytes(without_peak(path.read_bytes()))
    trim = "atrim=start_sample=32:end_sample=97,asetpts=PTS-STARTPTS"
    fir = read_fir(ffmpeg_made(path, ["-af", trim]))
    assert (fir.numtaps, fir.lookahead, fir.provenance.filter) == (65, 32, None)
    assert "another program has changed the taps" in fir.provenance.cautions[0]
    assert read_fir(tmp_path / "made.wav", latency=7).lookahead == 7
    fir = read_fir(path)
    assert (fir.lookahead, fir.odd_ends, fir.provenance) == (64, True, TOLD)


def without_peak(data):
    """The comment as earlier versions wrote it, of the same length."""
    return re.sub(rb'"peak": \d+, ', lambda found: b" " * len(found[0]), data)


def test_a_latency_that_no_tap_tells_any_more_is_asked_for(tmp_path):
    write_fir(Fir(MIXED, 48000.0, 16), tmp_path / "fir.wav")
    trim = "atrim=start_sample=8,asetpts=PTS-STARTPTS"
    for chain, words in (
        (["-af", trim], r"the largest tap is .*, not .*; --latency N says"),
        (["-ar", "96000"], r"a rate of 48000\.0 Hz, and the file of 96000 Hz: .*; --latency N"),
    ):
        made = ffmpeg_made(tmp_path / "fir.wav", chain)
        with pytest.raises(DataError, match=words):
            read_fir(made)
        assert read_fir(made, latency=8).lookahead == 8
        assert read_fir(made, latency=8).fs == (96000.0 if "-ar" in chain else 48000.0)


def test_what_moves_no_tap_leaves_the_comment_true(tmp_path):
    """A gain, rounding, another number format, and what is cut off behind."""
    path = tmp_path / "fir.wav"
    write_fir(Fir(MIXED / 30, 48000.0, 16), path)
    for chain in (["-af", "volume=-6dB"], ["-af", "atrim=end_sample=80"]):
        assert read_fir(ffmpeg_made(path, chain)).lookahead == 16
    data, fs = soundfile.read(path)
    comment = re.search(rb"LIST.*?\}\x00", path.read_bytes(), re.DOTALL)
    soundfile.write(path, data, fs, "PCM_16")
    with open(path, "ab") as file:
        file.write(comment[0] + b"\0" * (len(comment[0]) % 2))
    fir = read_fir(path)
    assert (fir.lookahead, fir.provenance.cautions) == (16, ())


@pytest.mark.parametrize("suffix", [".json", ".mat"])
def test_taps_that_are_not_as_many_as_stated_are_refused(tmp_path, suffix):
    """A script replaces the taps, and leaves their latency."""
    path = tmp_path / f"fir{suffix}"
    write_fir(Fir(CENTRED, 48000.0, 64), path)
    if suffix == ".json":
        found = json.loads(path.read_text())
        path.write_text(json.dumps(found | {"taps": found["taps"][:65]}))
    else:
        found = scipy.io.loadmat(path)
        scipy.io.savemat(
            path, {n: v for n, v in found.items() if n[0] != "_"} | {"taps": CENTRED[:65]}
        )
    with pytest.raises(DataError, match="says that it has 129 taps, and has 65"):
        read_fir(path)


# A FIR or a curve


@pytest.mark.parametrize(
    "text",
    [
        "1\n2\n1\n",
        "0.1 0.5\n0.5 0.1\n",
        "0.1 0.2 0.3\n0.4 0.3 0.2\n0.1 0 0\n",
        "1 2 3 4 5 6\n7 8 9 1 2 3\n8 1 1 1 1 1\n",
    ],
)
def test_coefficients_stay_a_fir(tmp_path, text):
    (tmp_path / "fir.txt").write_text(text)
    assert holds_fir(tmp_path / "fir.txt")
    assert read_fir(tmp_path / "fir.txt").taps.tolist() == [float(word) for word in text.split()]


def test_content_decides_and_not_the_name(tmp_path):
    fir = Fir(np.arange(1.0, 6.0), 8000.0, 2)
    for suffix in (".json", ".mat", ".wav", ".csv", ".npy"):
        write_fir(fir, tmp_path / f"fir{suffix}")
        for other in (".txt", ".csv", ".wav"):
            (tmp_path / f"other{other}").write_bytes((tmp_path / f"fir{suffix}").read_bytes())
            if (suffix, other) != (".csv", ".wav"):
                assert holds_fir(tmp_path / f"other{other}")
                assert (
                    read_fir(
                        tmp_path / f"other{other}", latency=2 if suffix == ".npy" else None
                    ).taps.tolist()
                    == fir.taps.tolist()
                )
