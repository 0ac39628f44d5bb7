"""Files through two ears: two channels of mono, masks, containers, streams, refusals, records."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import earfilt
from earfilt import cli
from earfilt.audio.reader import probe
from earfilt.chains.members import resolve
from earfilt.files.firs import write_fir
from earfilt.synthesis.fir import Fir
from tests.tools import need

RNG = np.random.default_rng(8)
TAPS = RNG.standard_normal((4, 200)) * np.exp(-np.arange(200) / 30) / 8


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_fir(Fir(TAPS[:2], 48000.0), "pair.wav")
    write_fir(Fir(TAPS, 48000.0), "matrix.wav")
    return tmp_path


def recording(name: str, channels: int, subtype: str = "PCM_16") -> np.ndarray:
    x = RNG.uniform(-0.3, 0.3, (9600, channels))
    soundfile.write(name, x, 48000, subtype)
    return soundfile.read(name, always_2d=True)[0]


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


def through(x: np.ndarray, row: int) -> np.ndarray:
    return np.convolve(x, TAPS[row])[: len(x)]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".caf", ".ogg"])
def test_mono_becomes_left_and_right(suffix):
    x = recording("in.wav", 1)[:, 0]
    coded = {"subtype": "VORBIS"} if suffix == ".ogg" else {}
    row = earfilt.apply_file("in.wav", f"out{suffix}", "pair.wav", **coded)
    y, _ = soundfile.read(f"out{suffix}")
    expected = np.stack([through(x, 0), through(x, 1)], 1)
    assert np.abs(y - expected).max() < (0.4 if suffix == ".ogg" else 2e-5)
    assert (row.source_channels, row.channels, row.frames) == (1, 2, 9600)
    assert (len(row.peak_in_dbfs), len(row.peak_out_dbfs)) == (1, 2)
    np.testing.assert_allclose(
        row.gain_1khz_db, 20 * np.log10(abs(Fir(TAPS[:2], 48e3).response([1e3]).ravel())), atol=1e-4
    )


def test_ffmpeg_convolves_the_same_pair():
    ffmpeg = need("ffmpeg")
    recording("in.wav", 2, "FLOAT")
    graph = "[0][1]afir=gtype=none:irgain=1"
    command = [ffmpeg, "-v", "error", "-i", "in.wav", "-i", "pair.wav", "-filter_complex", graph]
    subprocess.run([*command, "-c:a", "pcm_f32le", "theirs.wav"], check=True)
    assert run("apply", "-q", "in.wav", "ours.wav", "-f", "pair.wav") == 0
    ours, theirs = soundfile.read("ours.wav")[0], soundfile.read("theirs.wav")[0]
    frames = min(len(ours), len(theirs))
    ours, theirs = ours[:frames], theirs[:frames]
    scale = round(float(np.vdot(ours, theirs) / np.vdot(ours, ours)))
    assert scale in (1, 2)  # ffmpeg 5.1 doubles
    np.testing.assert_allclose(ours * scale, theirs, rtol=0, atol=1e-5)


def test_a_matrix_crosses_and_hears_mono_from_both_sides():
    x = recording("st.wav", 2, "FLOAT")
    earfilt.apply_file("st.wav", "out.wav", "matrix.wav")
    expected = [through(x[:, 0], i) + through(x[:, 1], 2 + i) for i in range(2)]
    np.testing.assert_allclose(soundfile.read("out.wav")[0].T, expected, atol=1e-6)
    m = recording("m.wav", 1, "FLOAT")[:, 0]
    earfilt.apply_file("m.wav", "out2.wav", "matrix.wav")
    expected = [through(m, i) + through(m, 2 + i) for i in range(2)]
    np.testing.assert_allclose(soundfile.read("out2.wav")[0].T, expected, atol=1e-6)


def test_a_channel_mask_of_mono_becomes_that_of_stereo(folder):
    soundfile.write("in.wav", RNG.uniform(-0.3, 0.3, 100), 48000, "PCM_16", format="WAVEX")
    data = bytearray((folder / "in.wav").read_bytes())
    data[40:44] = (4).to_bytes(4, "little")  # the front centre
    (folder / "in.wav").write_bytes(data)
    assert probe("in.wav").extensible.mask == 0x4
    earfilt.apply_file("in.wav", "out.wav", "pair.wav")
    info = probe("out.wav")
    assert info.channels == 2
    assert info.extensible is not None
    assert info.extensible.mask == 0x3


def test_more_than_stereo_is_refused_before_any_work(capsys):
    recording("six.wav", 6)
    assert run("apply", "six.wav", "out.wav", "-f", "pair.wav") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "six.wav: a pair of ears takes a mono or a stereo signal, and this one has 6" in said
    recording("mono.wav", 1)
    assert run("apply", "--dry-run", "six.wav", "mono.wav", "out", "-f", "pair.wav") == 1
    assert "fail\tsix.wav" in capsys.readouterr().out


def test_in_place_mono_is_refused_and_stereo_is_not(folder, capsys):
    recording("mono.wav", 1)
    before = (folder / "mono.wav").read_bytes()
    assert run("apply", "--in-place", "mono.wav", "-f", "pair.wav") == 2
    assert "in place a recording keeps its channels, so give an output" in capsys.readouterr().err
    assert (folder / "mono.wav").read_bytes() == before
    x = recording("st.wav", 2)
    assert run("apply", "-q", "--in-place", "st.wav", "-f", "pair.wav") == 0
    y = soundfile.read("st.wav")[0]
    np.testing.assert_allclose(y[:, 1], through(x[:, 1], 1), atol=2e-5)


def test_a_batch_is_verified_and_resumed():
    for name in ("a.wav", "b.wav"):
        recording(name, 1)
    call = ("apply", "-q", "a.wav", "b.wav", "out", "-f", "pair.wav", "--report", "rows.jsonl")
    assert run(*call) == 0
    assert run("verify", "out") == 0
    assert run(*call, "--resume") == 0
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text("utf-8").splitlines()]
    assert [row["status"] for row in rows] == ["ok", "ok", "skipped", "skipped"]
    assert {row["channels"] for row in rows[:2]} == {2}
    other = [word if word != "pair.wav" else "L=headphone,R=middle-ear" for word in call]
    assert run(*other[:-2], "--resume") == 0
    assert soundfile.info("out/a.wav").channels == 2


@pytest.mark.parametrize("extra", [(), ("--dither",), ("--latency-ms", "5"), ("--tail", "keep")])
def test_raw_samples_in_and_out(folder, extra):
    x = recording("in.wav", 1)
    (folder / "in.raw").write_bytes(np.rint(x * 32768).astype("<i2").tobytes())
    raw = ("--raw", "s16le", "--rate", 48000, "--channels", 1, "--to-raw")
    assert run("apply", "-q", "in.raw", "out.raw", "-f", "pair.wav", *raw, *extra) == 0
    assert run("apply", "-q", "in.wav", "out.wav", "-f", "pair.wav", *extra) == 0
    y = np.frombuffer((folder / "out.raw").read_bytes(), "<i2").reshape(-1, 2)
    assert len(y) == 9600 + (199 if "keep" in extra else 0)
    wave = soundfile.read("out.wav", dtype="int16")[0]
    assert np.abs(y.astype(int) - wave).max() <= (3 if extra == ("--dither",) else 0)


def test_the_summary_names_both_ears(capsys):
    recording("in.wav", 1)
    assert (
        run("apply", "in.wav", "out.wav", "-f", "L=headphone,R=middle-ear", "--phase", "zero") == 0
    )
    said = capsys.readouterr().err
    assert "which adds an interaural delay of 0 samples" in said
    assert "mono to 2 channels" in said


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int16"])
def test_arrays_of_two_ears_have_their_channels_before_time(dtype):
    x = RNG.uniform(-0.3, 0.3, (3, 2, 4000))
    x = (x * 32767 if dtype == "int16" else x).astype(dtype)
    name = "L=headphone,R=middle-ear"
    y = earfilt.apply(x, name, fs=48000)
    assert (y.shape, y.dtype) == ((3, 2, 4000), x.dtype)
    one = [earfilt.apply(x[:, i], f, fs=48000) for i, f in enumerate(("headphone", "middle-ear"))]
    within = {"float16": 1e-3, "int16": 1.0}.get(dtype, 1e-6)
    np.testing.assert_allclose(y, np.stack(one, axis=1), rtol=0, atol=within)
    mono = earfilt.apply(x[0, 0], name, fs=48000)
    assert mono.shape == (2, 4000)
    np.testing.assert_array_equal(earfilt.apply(x[0, 0], name, fs=48000, axis=0), mono.T)
    assert earfilt.apply(x[0].T, name, fs=48000, axis=0).shape == (4000, 2)
    with pytest.raises(earfilt.UsageError, match=r"write a batch of mono signals"):
        earfilt.apply(np.zeros((5, 100), dtype), name, fs=48000)


def test_a_stereo_file_whose_right_channel_comes_first_is_heard_the_right_way():
    from dataclasses import replace

    from earfilt.audio.speakers import is_right_first

    recording("st.wav", 2)
    info = probe("st.wav")
    assert not is_right_first(info)
    assert is_right_first(replace(info, speakers=(1, 0)))
    swapped = Fir(TAPS, 48000.0).swapped().taps
    np.testing.assert_array_equal(swapped, TAPS[[3, 2, 1, 0]])


def test_responses_have_the_columns_of_both_ears(capsys, folder):
    name = "L=headphone,R=middle-ear"
    assert run("response", "-q", "-f", name, "--freqs", "1000,4000") == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split(",")[:5] == [
        "frequency_hz", "left_magnitude_db", "left_phase_rad", "left_group_delay_s",
        "right_magnitude_db",
    ]  # fmt: skip
    table = earfilt.response(name, fs=48000, freqs=[1000.0, 4000.0])
    assert table.magnitude_db.shape == (2, 2)
    assert table.to_csv().splitlines() == [header, *rows]
    for row, one in enumerate(("headphone", "middle-ear")):
        alone = earfilt.response(one, fs=48000, freqs=[1000.0, 4000.0])
        np.testing.assert_allclose(table.magnitude_db[row], alone.magnitude_db, atol=1e-9)
    assert run("response", "-q", "-f", name, "-f", "pair.wav", "-o", "a.json") == 0
    found = json.loads((folder / "a.json").read_text())
    assert [one["filter"] for one in found] == [
        "headphone, left", "middle-ear, right", "pair.wav, left", "pair.wav, right",
    ]  # fmt: skip
    assert run("response", "-q", "-f", name, "-o", "a.png", "--label", "mine") == 0
    assert table.plot().startswith(b"\x89PNG")


def test_design_of_a_pair_writes_rows(folder):
    name = "L=headphone,R=middle-ear"
    for suffix in (".npy", ".wav", ".json", ".mat", ".csv"):
        assert run("design", "-q", "-f", name, "--fs", 44100, "-o", f"p{suffix}") == 0
        np.testing.assert_array_equal(
            resolve(f"p{suffix}", latency=0 if suffix == ".npy" else None).at(44100).taps,
            resolve(name).at(44100).taps,
        )
    assert np.load("p.npy").shape[0] == 2
    assert run("design", "-q", "-f", name, "-o", "p.txt") == 2
