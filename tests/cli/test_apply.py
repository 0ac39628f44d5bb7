"""``earfilt apply`` for one file: what the issue of the main job promises."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile as sf

from earfilt.chains.members import resolve
from earfilt.cli import run

FILTERS = [
    "headphone",
    "middle-ear",
    "middle-ear:jepsen2008",
    "middle-ear:goode1994",
    "outer-middle-ear",
    "headphone+middle-ear",
]


def oracle(x: np.ndarray, name: str, fs: int) -> np.ndarray:
    """float64 by scipy, aligned: the effective taps over the oddly extended signal (frames,
    channels).
    """
    fir = resolve(name).at(fs)
    ends = fir.lookahead if fir.odd_ends else 0
    if ends:
        x = np.concatenate([2 * x[:1] - x[ends:0:-1], x, 2 * x[-1:] - x[-2 : -ends - 2 : -1]])
    y = scipy.signal.oaconvolve(x, fir.taps[:, None], axes=0)
    return (
        y[ends + fir.lookahead : len(y) - (fir.numtaps - 1) + fir.lookahead - ends]
        if ends
        else y[: len(x)]
    )


@pytest.mark.parametrize("name", FILTERS)
def test_the_recording_through_every_ear(
    name: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.wav"
    assert run(["apply", str(recording), str(out), "-f", name]) == 0
    before, after = sf.info(recording), sf.info(out)
    assert (after.format, after.subtype, after.samplerate, after.channels, after.frames) == (
        "WAV",
        "PCM_16",
        16000,
        1,
        before.frames,
    )
    x, fs = sf.read(recording, always_2d=True)
    got = sf.read(out, dtype="int16", always_2d=True)[0]
    wanted = np.clip(np.round(oracle(x, name, fs) * 32768), -32768, 32767)
    assert np.abs(got - wanted).max() <= 1
    assert np.count_nonzero(got != wanted) < 0.01 * len(got)  # only ties of the rounding
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_an_impulse_answers_at_its_own_sample(suffix: str, tmp_path: Path) -> None:
    x = np.zeros((30000, 2), np.float64)
    x[12345] = 0.25, -0.125
    source, out = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    sf.write(source, x, 48000, subtype="PCM_24")
    for name, width in (("headphone", 4), ("middle-ear", 8), ("outer-middle-ear", 1)):
        assert run(["apply", str(source), str(out), "-f", name, "--force"]) == 0
        y, _ = sf.read(out)
        assert y.shape == x.shape
        assert 0 <= int(np.abs(y[:, 0]).argmax()) - 12345 < width
        np.testing.assert_allclose(y[:, 1], -y[:, 0] / 2, atol=2**-22)


def test_summary_names_what_was_done(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(
            [
                "apply",
                str(recording),
                str(tmp_path / "out.wav"),
                "-f",
                "outer-middle-ear",
                "--gain",
                "6",
            ]
        )
        == 0
    )
    said = capsys.readouterr().err
    x, y = (np.abs(sf.read(path)[0]).max() for path in (recording, tmp_path / "out.wav"))
    for words in (
        "outer-middle-ear",
        "1997-free",
        "published",
        "order",
        "zero",
        "dB at most from the published points",
        "16000 Hz",
        "computed in float",
        "clipped",
        f"{20 * np.log10(x):.2f}",
    ):
        assert words in said
    assert y > 0.99
    assert run(["apply", str(recording), str(tmp_path / "quiet.wav"), "-f", "headphone", "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "words", "filter"),
    [
        ("headphone", [], "headphone"),
        ("headphone", ["--inverse"], "inverse:headphone"),
        ("inverse:headphone", [], "inverse:headphone"),
        ("iso532-free+iso532-middle", ["--inverse"], "inverse:(iso532-free+iso532-middle)"),
        (
            "L=headphone,R=iso532-free+iso532-middle",
            ["--inverse"],
            "L=inverse:headphone,R=inverse:(iso532-free+iso532-middle)",
        ),
        ("middle-ear", ["--no-normalize-gain"], "middle-ear"),
    ],
)
def test_a_filter_is_called_what_was_applied(
    name: str,
    words: list[str],
    filter: str,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, rows = tmp_path / "out.wav", tmp_path / "rows.jsonl"
    asked = ["-f", name, *words, "--subtype", "FLOAT", "--report", str(rows)]
    assert run(["apply", str(recording), str(out), *asked, "-v"]) == 0
    said = capsys.readouterr().err
    assert f"  filter      {filter}, " in said
    assert " ".join([name, *words]) in said
    assert ("absolute gain" in said) == ("--no-normalize-gain" in words)
    assert json.loads(rows.read_text())["filter"] == filter
    if len(words) == 1:
        assert run(["response", "-f", name, *words, "--freqs", "1000"]) == 0
        assert ("inverse:" in capsys.readouterr().err) == ("inverse:" in filter)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("headphone", "dB SPL"),
        ("inverse:headphone", "dB SPL"),
        ("a-weighting", "dB(A)"),
        ("middle-ear", "dB (stapes velocity"),
        ("headphone+iso532-middle", "dB (transmission"),
        ("inverse:middle-ear", "dB (the inverse of stapes velocity"),
        ("equal-loudness:60", "dB (level"),
    ],
)
def test_a_level_is_dB_SPL_only_of_sound_pressure(
    name: str, unit: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fir, out = tmp_path / "fir.json", tmp_path / "out.wav"
    assert run(["design", "-f", name, "--fs", "16000", "-o", str(fir), "-q"]) == 0
    for one in (name, str(fir)):
        words = ["-f", one, "--subtype", "FLOAT", "--full-scale-spl", "94", "--force"]
        assert run(["apply", str(recording), str(out), *words]) == 0
        said = capsys.readouterr().err
        before = "" if unit == "dB SPL" else " dB SPL"
        x, y = (20 * np.log10(np.std(sf.read(path)[0])) + 94 for path in (recording, out))
        assert f"level       in {x:.1f}"[:-1] in said
        assert f"{before}, out {y:.1f}"[:-1] in said
        assert f" {unit}" in said


def test_each_rescaled_file_says_that_it_has_a_gain_of_its_own(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, fs = sf.read(recording)
    (tmp_path / "in").mkdir()
    for name, gain in (("a", 1.2), ("b", 1.5), ("quiet", 0.1)):
        sf.write(tmp_path / "in" / f"{name}.wav", gain * x, fs)
    rows = tmp_path / "rows.jsonl"
    asked = ["-f", "iso532-free", "--report", str(rows)]
    assert (
        run(["apply", str(tmp_path / "in"), str(tmp_path / "out"), *asked, "--clip", "rescale"])
        == 0
    )
    said = capsys.readouterr().err
    found = {row["name"]: row for row in map(json.loads, rows.read_text().splitlines())}
    for name in ("a.wav", "b.wav"):
        (warning,) = found[name]["warnings"]
        assert f"scaled by {found[name]['rescaled_db']:.2f} dB" in warning
    assert found["quiet.wav"]["warnings"] == []
    gain = float(re.findall(r"--gain (\S+) without --clip rescale", said)[0])
    words = ["-f", "iso532-free", "--gain", str(gain), "--clip", "error", "-q"]
    assert run(["apply", str(tmp_path / "in"), str(tmp_path / "all"), *words]) == 0
    loudest = max(np.abs(sf.read(path)[0]).max() for path in (tmp_path / "all").glob("*.wav"))
    assert loudest > 10 ** (-0.02 / 20)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{missing}", "{out}", "-f", "headphone"], 1, ["missing.wav", "No such file"]),
        (["{text}", "{out}", "-f", "headphone"], 1, ["text.wav", "not audio"]),
        (["{empty}", "{out}", "-f", "headphone"], 1, ["empty.wav", "empty"]),
        (["{folder}/none/in.wav", "{out}", "-f", "headphone"], 1, ["No such file"]),
        (["{good}", "{out}", "-f", "headfone"], 2, ["headfone", "did you mean headphone"]),
        (["{good}", "{out}", "-f", "middle-ear:jepsen"], 2, ["middle-ear:jepsen2008"]),
        (
            ["{good}", "{out}", "-f", "headphone", "--flow", "30"],
            2,
            ["headphone", "--flow", "outer-middle-ear"],
        ),
        (
            ["{good}", "{out}", "-f", "headphone", "--order", "64", "--tolerance", "1"],
            2,
            ["--order", "--tolerance"],
        ),
        (["{slow}", "{out}", "-f", "headphone"], 2, ["400 Hz", "above 500 Hz"]),
        (["{good}", "{out}", "-f", "headphone", "--device", "tpu"], 2, ["tpu", "cpu, cuda"]),
        (
            ["{good}", "{out}", "-f", "headphone", "--device", "cuda:99"],
            2,
            ["cuda:99", "--device cpu"],
        ),
        (["{good}", "{folder}/none/out.wav", "-f", "headphone"], 1, ["none", "directory"]),
        (["{good}", "{good}", "-f", "headphone"], 2, ["--in-place"]),
        (["{good}", "{taken}", "-f", "headphone"], 2, ["taken.wav", "--force"]),
        (["{good}", "{taken}", "-f", "headphone", "--force", "--skip-existing"], 2, ["exclude"]),
        (["{good}", "{out}", "-f", "headphone", "--subtype", "PCM_99"], 2, ["PCM_99"]),
        (["{good}"], 2, ["--filter"]),
    ],
)
def test_errors_a_user_can_act_on(
    arguments: list[str],
    code: int,
    words: list[str],
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {
        name: tmp_path / f"{name}.wav"
        for name in ("missing", "text", "empty", "good", "slow", "taken", "out")
    }
    files["text"].write_text("This is a letter, not audio.\n" * 20)
    files["empty"].write_bytes(b"")
    files["good"].write_bytes(recording.read_bytes())
    sf.write(files["slow"], np.zeros(100), 400)
    files["taken"].write_bytes(b"keep me")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    values = {"folder": str(tmp_path), **{name: str(path) for name, path in files.items()}}
    assert run(["apply", *(argument.format(**values) for argument in arguments)]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("earfilt: ")
    assert said.err.count("\n") == 1
    assert all(word in said.err for word in words), said.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_force_replaces_and_skip_existing_keeps(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    out.write_bytes(b"old")
    assert run(["apply", str(recording), str(out), "-f", "headphone", "--skip-existing"]) == 0
    assert out.read_bytes() == b"old"
    assert run(["apply", str(recording), str(out), "-f", "headphone", "--force"]) == 0
    assert sf.info(out).frames == 64000


def test_two_runs_write_the_same_bytes(recording: Path, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        assert (
            run(
                [
                    "apply",
                    str(recording),
                    str(tmp_path / name),
                    "-f",
                    "middle-ear",
                    "--subtype",
                    "FLOAT",
                ]
            )
            == 0
        )
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_quiet_is_silent_of_all_but_failures(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(recording, tmp_path / "in" / "a.wav")
    assert run(["apply", str(tmp_path / "in"), str(tmp_path / "out"), "-f", "headphone", "-q"]) == 0
    assert capsys.readouterr().err == ""
    (tmp_path / "in" / "b.wav").write_bytes(b"RIFF")
    assert (
        run(
            [
                "apply",
                str(tmp_path / "in"),
                str(tmp_path / "out"),
                "-f",
                "headphone",
                "-q",
                "--resume",
            ]
        )
        == 1
    )
    assert "b.wav" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["headphone", "L=headphone,R=iso532-free", "L=headphone+middle-ear,R=headphone"]
)
@pytest.mark.parametrize("suffix", ["html", "csv", "jsonl"])
def test_everything_is_told_of_one_ear_and_of_two(
    name: str,
    suffix: str,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, report = tmp_path / "out.wav", tmp_path / f"report.{suffix}"
    words = ["apply", str(recording), str(out), "-f", name, "-v"]
    words += ["--force-chain"] if "+" in name else []
    assert run([*words, "--report", str(report)]) == 0
    said = capsys.readouterr().err
    assert "dB at 1 kHz" in said
    assert "SHA-256 of the coefficients" in said
    assert recording.name in report.read_text()
