"""``earfilt design``: FIRs that SoX, ffmpeg and earfilt itself read back to the same audio."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earfilt import cli
from earfilt.chains.members import resolve
from earfilt.files.firs import SUFFIXES, read_fir, write_fir
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.provenance import Provenance
from tests.tools import need

MIXED = "headphone+outer-middle-ear"  # of two phases
FILTERS = [
    "headphone",
    "middle-ear",
    "outer-middle-ear",
    "headphone+middle-ear",
    MIXED,
]


def run(*arguments):
    force = ["--force-chain"] if MIXED in arguments else []
    return cli.run([*map(str, arguments), *force])


@pytest.fixture
def noise(tmp_path, monkeypatch, rng) -> Path:
    """Noise between two silences longer than any look-ahead here, so that every rule for the ends
    means the same.
    """
    monkeypatch.chdir(tmp_path)
    samples = np.zeros(24000)
    samples[6000:-6000] = rng.uniform(-0.3, 0.3, 12000)
    soundfile.write("in.wav", samples, 48000, subtype="DOUBLE")
    return tmp_path / "in.wav"


def samples(path):
    return soundfile.read(path, dtype="float64")[0]


@pytest.mark.parametrize("name", FILTERS)
def test_sox_gives_the_audio_of_apply(noise, name):
    sox = need("sox")
    assert run("design", "-q", "-f", name, "-o", "fir.txt") == 0
    assert run("apply", "-q", "in.wav", "apply.wav", "-f", name) == 0
    subprocess.run(
        [sox, "-V1", "-D", "in.wav", "-e", "float", "-b", "64", "sox.wav", "fir", "fir.txt"],
        check=True,
    )
    assert np.abs(samples("sox.wav") - samples("apply.wav")).max() < 1e-6


@pytest.mark.parametrize("name", FILTERS)
def test_ffmpeg_gives_the_audio_of_apply(noise, name):
    need("ffmpeg")
    run("design", "-q", "-f", name, "-o", "fir.wav")
    run("apply", "-q", "in.wav", "apply.wav", "-f", name)
    latency = read_fir("fir.wav").lookahead
    wanted = samples("apply.wav")
    filtered = afir("in.wav", "fir.wav") / afir_gain()
    assert np.abs(filtered[latency:] - wanted[: len(wanted) - latency]).max() < 1e-6


def afir(source, response):
    """ffmpeg's convolution without any of its normalisations."""
    known = subprocess.run(
        ["ffmpeg", "-v", "error", "-h", "filter=afir"], capture_output=True, text=True, check=True
    ).stdout
    bare = "irnorm=-1" if "irnorm" in known else "gtype=none"
    graph = f"[0][1]afir={bare}:precision=double"
    command = [
        "ffmpeg",
        "-y",
        "-v",
        "error",
        "-i",
        source,
        "-i",
        response,
        "-lavfi",
        graph,
        "-c:a",
        "pcm_f64le",
        "ffmpeg.wav",
    ]
    subprocess.run(command, check=True)
    return samples("ffmpeg.wav")


def afir_gain():
    """What ffmpeg makes of a unit impulse: 2 in version 5.1, 1 elsewhere."""
    soundfile.write("unit.wav", np.eye(512)[0], 48000, subtype="DOUBLE")
    filtered, source = afir("in.wav", "unit.wav"), samples("in.wav")
    gain = filtered @ source / (source @ source)
    assert gain == pytest.approx(2.0, abs=1e-9) or gain == pytest.approx(1.0, abs=1e-9)
    return gain


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["headphone", MIXED])
def test_apply_reads_back_the_same_samples_ends_included(
    recording, tmp_path, monkeypatch, suffix, name
):
    monkeypatch.chdir(tmp_path)
    assert run("design", "-q", "-f", name, "--order", 256, "--fs", 16000, "-o", f"fir{suffix}") == 0
    force = True if name == MIXED else None
    fir, back = resolve(name, order=256, force_chain=force).at(16000), read_fir(f"fir{suffix}")
    assert back.taps.tobytes() == fir.taps.tobytes()
    if suffix == ".npy":
        return
    assert back.sha256 == fir.sha256
    assert run("apply", "-q", recording, "direct.wav", "-f", name, "--order", 256) == 0
    assert run("apply", "-q", recording, "file.wav", "-f", f"fir{suffix}") == 0
    assert Path("file.wav").read_bytes() == Path("direct.wav").read_bytes()


def test_bare_taps_read_as_documented(noise):
    run("design", "-q", "-f", "outer-middle-ear", "-o", "fir.npy")
    run("apply", "-q", "in.wav", "apply.wav", "-f", "outer-middle-ear")
    run("apply", "-q", "in.wav", "bare.wav", "-f", "fir.npy")
    assert np.abs(samples("bare.wav") - samples("apply.wav")).max() < 1e-12
    run("apply", "-q", "in.wav", "late.wav", "-f", "fir.npy", "--latency", 0)
    late = (len(np.load("fir.npy")) - 1) // 2
    assert np.abs(samples("late.wav")[late:] - samples("apply.wav")[:-late]).max() < 1e-12


def test_several_rates_and_formats(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    outputs = ["-o", "hp-{fs}.wav", "-o", "hp-{fs}.json"]
    rates = ["--fs", 44100, "--fs", 48000]
    assert run("design", "-f", "headphone", "--order", 512, *rates, *outputs) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "hp-44100.json",
        "hp-44100.wav",
        "hp-48000.json",
        "hp-48000.wav",
    ]
    assert read_fir("hp-44100.wav").fs == 44100
    out, err = capsys.readouterr()
    assert out == ""
    assert (
        "hp-48000.json: 513 taps at 48000 Hz, latency 0 samples (0 ms), headphone, order "
        "512, minimum phase, 2.02 dB at most" in err
    )
    assert "from the published points, at 125 Hz" in err


@pytest.mark.parametrize("name", FILTERS)
def test_without_options_it_is_what_apply_uses_and_within_a_tenth_of_a_decibel(
    tmp_path, monkeypatch, capsys, name
):
    monkeypatch.chdir(tmp_path)
    assert run("design", "-f", name, "-o", "fir.json") == 0
    force = True if name == MIXED else None
    assert read_fir("fir.json").sha256 == resolve(name, force_chain=force).at(48000).sha256
    said = re.search(r"([\d.]+) dB at most from the published points", capsys.readouterr().err)
    assert float(said[1]) <= 0.1


def test_one_format_becomes_another_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(
        "design",
        "-q",
        "-f",
        MIXED,
        "--order",
        128,
        "--fs",
        22050,
        "-o",
        "a.wav",
    )
    assert run("design", "-q", "-f", "a.wav", "-o", "b.txt") == 0
    assert read_fir("b.txt").sha256 == read_fir("a.wav").sha256


def test_the_summary_says_what_a_tolerance_found(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert (
        run("design", "-f", "headphone", "--tolerance", 0.5, "--fs", 16000, "-o", "fir.json") == 0
    )
    said = capsys.readouterr().err
    fir = read_fir("fir.json")
    assert f"order {fir.numtaps - 1}, minimum phase" in said
    reached = re.search(r"([\d.]+) dB at most from the published points", said)
    assert 0.1 < float(reached[1]) <= 0.5
    shorter = resolve("headphone", order=fir.numtaps - 3).at(16000).provenance
    assert shorter.deviation_db > 0.5


def test_a_file_of_another_rate_is_refused_with_the_command_that_helps(
    tmp_path, monkeypatch, recording, capsys
):
    monkeypatch.chdir(tmp_path)
    run(
        "design",
        "-q",
        "-f",
        "headphone",
        "--order",
        64,
        "--phase",
        "zero",
        "--fs",
        48000,
        "-o",
        "fir.wav",
        "-o",
        "f ir.json",
    )
    for file in ("fir.wav", "f ir.json"):
        assert run("apply", recording, "out.wav", "-f", file, "--force") == 2
        command = shlex.split(capsys.readouterr().err.split(": earfilt ")[1])
        assert command[:6] == ["design", "-f", "headphone", "--order", "64", "--phase"]
        assert run(*command) == 0
        assert run("apply", "-q", recording, "out.wav", "-f", command[-1], "--force") == 0
        # what it would write is there now
        assert run("apply", recording, "out.wav", "-f", file, "--force") == 2
        assert "earfilt design" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "said",
    [
        "headphone",  # whose taps are others
        "headphone --order 2",
        "headphone; rm -rf ~",
        "$(touch x)\x1b[31m",
        "my ear.csv --order 64",
        "headphone --tolerance 0.001",
        "headphone --order many",
        "headphone --order",
        "headphone --filter",
        "'",
        "",
        None,
        ["headphone"],
    ],
)
def test_no_word_of_a_file_comes_into_that_advice(tmp_path, monkeypatch, capsys, said):
    monkeypatch.chdir(tmp_path)
    Path("my ear.csv").write_text("frequency_hz,gain_db\n100,0\n1000,0\n")
    write_fir(Fir(np.ones(3), 8000.0, provenance=Provenance(command=said, filter=said)), "fir.json")
    assert run("response", "-f", "fir.json", "--fs", 16000) == 2
    err = capsys.readouterr().err
    advice = (
        "a FIR belongs to one rate: use one that was made for 16000 Hz, or --resample-fir, which "
        "converts it"
    )
    assert err == f"earfilt: fir.json was made for 8000 Hz, and 16000 Hz is asked for; {advice}\n"


@pytest.mark.parametrize("name", ["ir.irs", "ir.flac", "dir", "a+b.irs"])
def test_a_file_that_is_there_is_no_unknown_filter(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir() if name == "dir" else Path(name).write_bytes(b"x")
    assert run("response", "-f", name) == 2
    err = capsys.readouterr().err
    assert name in err
    assert "Is a directory" in err if name == "dir" else ".wav" in err
    assert "no filter is called" not in err


def test_nothing_is_written_where_anything_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("there.wav").write_bytes(b"precious")
    refused = [
        (("-f", "headphone", "-o", "a.wav", "-o", "there.wav"), "there.wav exists; --force"),
        (("-f", "headphone", "-o", "a.wav", "-o", "a.flac"), "a.flac: a FIR is written as .json"),
        (
            ("-f", "headphone", "-o", "a.wav", "--fs", 44100, "--fs", 48000),
            "put {fs} into its name",
        ),
        (("-f", "headfone", "-o", "a.wav"), "did you mean headphone"),
        (
            ("-f", "headphone", "-o", "a.wav", "--fs", 44100.5),
            "a .wav cannot state a sampling rate of 44100.5 Hz",
        ),
        (("-f", "headphone", "-o", "a.wav", "--fs", 0), "--fs 0"),
        (("-f", "headphone", "-o", "a.wav", "--convention", "amt"), "no option --convention"),
        (("-f", "headphone", "-o", "a.wav", "--order", 64, "--tolerance", 1), "exclude each other"),
        (("-f", "headphone"), "Missing option"),
    ]
    for arguments, message in refused:
        assert run("design", *arguments) == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there.wav"]
    assert Path("there.wav").read_bytes() == b"precious"
    assert run("design", "-q", "-f", "headphone", "-o", "there.wav", "--force") == 0
    assert read_fir("there.wav").numtaps == 513


def test_a_directory_that_is_not_there_fails(tmp_path, capsys):
    assert run("design", "-f", "headphone", "-o", tmp_path / "none" / "a.wav") == 1
    assert "cannot write" in capsys.readouterr().err


def test_help_says_how_each_reader_aligns(capsys):
    run("design", "--help")
    text = capsys.readouterr().out
    for suffix in SUFFIXES:
        assert suffix in text
    assert "SoX advances by half the taps" in text


def level_db(path: str, hz: float) -> float:
    """Of the taps in a .wav, by another program's reading."""
    taps, fs = soundfile.read(path, dtype="float64")
    return float(20 * np.log10(abs(taps @ np.exp(-2j * np.pi * hz / fs * np.arange(len(taps))))))


@pytest.mark.parametrize(
    ("line", "hz"),
    [("a-weighting", 10.0), ("iso532-middle", 20.0), ("a-weighting --order 16384", 10.0)],
)
def test_the_deviation_is_that_of_the_taps_that_were_written(
    tmp_path, monkeypatch, capfd, line, hz
):
    """PCM_16 has no small numbers: lows that are 50 dB down are lost."""
    monkeypatch.chdir(tmp_path)
    assert run("design", "-f", *line.split(), "-o", "whole.wav") == 0
    assert "rounded" not in capfd.readouterr().err
    assert run("design", "-f", *line.split(), "--subtype", "PCM_16", "-o", "16.wav") == 0
    said = capfd.readouterr().err
    [own] = re.findall(rf"([0-9.]+) dB at most from the published points, at {hz:g} Hz", said)
    moved = abs(level_db("16.wav", hz) - level_db("whole.wav", hz))
    assert moved > 0.5
    whole = 0.1 if "--order" not in line else 4.0
    assert moved - whole <= float(own) <= moved + whole
    assert ", rounded to PCM_16," in said
    assert said.count("warning: ") == 1
    assert "FLOAT and DOUBLE keep what is small" in said
    comment = Path("16.wav").read_bytes()[:6000].decode("latin-1")
    assert '"rounded_to": "PCM_16"' in comment
    assert f'"deviation_db": {own[:3]}' in comment


def test_rounding_that_changes_nothing_is_no_warning(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run("design", "-f", "headphone", "--subtype", "FLOAT", "-o", "float.wav") == 0
    assert "warning" not in capfd.readouterr().err


def test_each_ear_says_what_became_of_its_own_taps(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert (
        run("design", "-f", "L=headphone,R=a-weighting", "--subtype", "PCM_16", "-o", "2.wav") == 0
    )
    said = capfd.readouterr().err
    left, right = map(
        float, re.findall(r"deviation left ([0-9.]+) dB, right ([0-9.]+) dB", said)[0]
    )
    assert left < 0.2 < 2.0 < right


NOTCH = "Filter 1: ON NO Fc 1000 Hz Q 5\n"


@pytest.mark.parametrize(
    ("name", "covers", "last"),
    [
        ("iso532-free", 16000.0, 6300.0),
        ("headphone", 9008.42, 6946.93),
        ("middle-ear", 10_000.0, 7000.0),
        ("own.csv", 9000.0, 3000.0),
    ],
)
def test_it_says_up_to_where_published_points_are_met_at_a_low_rate(
    tmp_path, monkeypatch, capfd, name, covers, last
):
    """What lies between 0.45 of the rate and its half is published and not met."""
    monkeypatch.chdir(tmp_path)
    Path("own.csv").write_text("hz,db\n100,0\n1000,0\n3000,0\n9000,20\n")
    assert run("design", "-f", name, "--fs", "16000", "-o", "low.wav") == 0
    said = capfd.readouterr().err
    assert f" to {covers:g} Hz, met up to {last:g} Hz (none above 0.45 of the rate can be)" in said
    assert run("design", "-f", name, "--fs", "48000", "-o", "high.wav") == 0
    assert "met up to" not in capfd.readouterr().err


def test_a_notch_is_not_said_to_be_off_where_it_passes_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("n.txt").write_text(NOTCH)
    assert run("design", "-f", "n.txt", "--fs", 16000, "-o", "own.wav") == 0
    said = capfd.readouterr().err
    assert float(re.findall(r"([0-9.e-]+) dB at most", said)[0]) < 0.01
    assert "warning" not in said
    assert "an equaliser of 1 band (" in said
    # one of minimum phase is not as deep as can be told from nothing, and says so
    assert run("design", "-f", "n.txt", "--fs", 16000, "--phase", "minimum", "-o", "m.wav") == 0
    said = capfd.readouterr().err
    off = float(re.findall(r"([0-9.]+) dB at most", said)[0])
    assert off == pytest.approx(100.0 + level_db("m.wav", 1000.0), abs=0.1)
    assert "the tolerance of 0.1 dB is missed at 1000 Hz" in said


def test_one_tap_is_one_tap(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    np.save("one.npy", np.array([1.0]))
    assert run("design", "-f", "one.npy", "--fs", 16000, "-o", "one.wav") == 0
    said = capfd.readouterr().err
    assert "1 tap at 16000 Hz" in said
    assert "1 taps" not in said
