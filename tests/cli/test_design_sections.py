"""``earfilt design --sections``, ``--form`` and ``--for``: what is written, said and refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import sosfilt, sosfreqz

import earfilt
from earfilt import cli
from earfilt.ears.biquads import Band
from tests.synthesis.biquads.test_bands import cookbook


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return cli.run(["design", "-f", "headphone", *arguments])


def test_the_command_and_the_call_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--sections", "3", "-o", "ear.sos.json") == 0
    found = earfilt.design_sections("headphone", fs=48000, sections=3)
    told = json.loads(Path("ear.sos.json").read_text())
    np.testing.assert_array_equal(told["sos"], found.sos)
    assert told["fs"] == 48000
    assert told["deviation_db"] == found.deviation_db
    said = capsys.readouterr().err
    assert "3 sections at 48000 Hz, headphone" in said
    assert f"{found.deviation_db:.3g} dB at most" in said
    assert "float32" in said


def test_what_was_designed_is_heard() -> None:
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, 30_000)
    soundfile.write("in.wav", noise, 48000, "DOUBLE")
    run("--sections", "4", "-q", "-o", "ear.sos.csv", "-o", "ear.sos.json")
    sos = np.array(json.loads(Path("ear.sos.json").read_text())["sos"])
    for name in ("ear.sos.csv", "ear.sos.json"):
        command = ["apply", "in.wav", "out.wav", "-f", name, "-q", "--force"]
        assert cli.run(command) == 0
        heard, _ = soundfile.read("out.wav")
        assert np.abs(heard - sosfilt(sos, noise)).max() <= 1e-6


def test_several_rates_and_a_tolerance() -> None:
    options = ("--tolerance", "1", "--form", "sections", "--fs", "16000", "--fs", "44100")
    assert run(*options, "-o", "ear-{fs}.sos.json") == 0
    for fs in (16000, 44100):
        told = json.loads(Path(f"ear-{fs}.sos.json").read_text())
        assert told["fs"] == fs
        assert told["deviation_db"] <= 1.0


def test_bands_are_read_back_as_an_equaliser() -> None:
    run("--for", "equalizerapo", "--form", "peaking", "--sections", "5", "-q", "-o", "ear.txt")
    made = earfilt.design_sections("headphone", fs=48000, sections=5, form="peaking")
    freqs = np.geomspace(125.0, 9000.0, 50)
    heard = earfilt.response("./ear.txt", fs=48000, freqs=freqs).magnitude_db
    expected = 20 * np.log10(np.abs(made.response(freqs)))
    np.testing.assert_allclose(heard, expected, atol=0.001)


@pytest.mark.parametrize("name", ["ear.sos.json", "ear.sos.csv"])
def test_bands_are_written_as_sections_too(name: str) -> None:
    assert run("--form", "peaking", "--sections", "5", "-q", "-o", name) == 0
    text = Path(name).read_text()
    told = json.loads(text[text.index("{") :].splitlines()[0] if name.endswith("csv") else text)
    bands = [Band(one["kind"], one["hz"], one["gain_db"], one["q"]) for one in told["bands"]]
    freqs = np.geomspace(125.0, 9000.0, 50)
    _, response = sosfreqz([cookbook(band, 48000.0) for band in bands], freqs, fs=48000.0)
    heard = earfilt.response(f"./{name}", fs=48000, freqs=freqs).magnitude_db
    expected = told["preamp_db"] + 20.0 * np.log10(np.abs(response))
    np.testing.assert_allclose(heard, expected, atol=0.001)


def test_a_fir_is_written_beside_its_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--for", "camilladsp", "-o", "ear.yml") == 0
    assert soundfile.info("ear.wav").channels == 2
    assert "ear.yml and ear.wav: 513 taps" in capsys.readouterr().err


def test_neither_file_replaces_one() -> None:
    Path("ear.wav").write_text("mine")
    assert run("--for", "camilladsp", "-o", "ear.yml") == 2
    assert not Path("ear.yml").exists()
    assert Path("ear.wav").read_text() == "mine"


LOUD = "Filter: ON PK Fc 1000 Hz Gain 7.25 dB Q 1\nFilter: ON LSC Fc 100 Hz Gain -12 dB Q 0.7\n"


@pytest.mark.parametrize(
    ("options", "name", "read"),
    [
        (("--for", "equalizerapo", "--form", "peaking", "--sections", "4"), "p.txt", "p.txt"),
        (("--for", "equalizerapo", "--form", "sections", "--sections", "4"), "p.txt", "p.txt"),
        (("--for", "camilladsp", "--form", "peaking", "--sections", "4"), "p.yml", "p.yml"),
        (("--for", "wavelet"), "p.txt", "p.txt"),
        (("--for", "easyeffects"), "p.json", "p.irs"),
        (("--for", "camilladsp", "--subtype", "DOUBLE"), "p.yml", "p.wav"),
    ],
)
def test_headroom_takes_the_largest_gain_off_and_leaves_the_shape(
    options: tuple[str, ...], name: str, read: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("loud.txt").write_text(LOUD)
    freqs = np.geomspace(20.0, 18_000.0, 2000)

    def made(*more: str) -> np.ndarray:
        assert cli.run(["design", "-f", "loud.txt", *options, "-o", name, "--force", *more]) == 0
        return earfilt.response(f"./{read}", fs=48000, freqs=freqs).magnitude_db

    louder = made()
    said = capsys.readouterr().err
    assert re.search(r"full scale clips by up to 7\.[23] dB: --headroom lowers the preset", said)
    lower = made("--headroom")
    said = capsys.readouterr().err
    assert "music near full scale" not in said
    off = float(re.search(r"lowered by ([0-9.]+) dB", said)[1])  # type: ignore[index]
    assert off == pytest.approx(louder.max(), abs=0.11)
    assert lower.max() <= 0.01
    np.testing.assert_allclose(lower + off, louder, atol=0.02)


def test_headroom_of_what_gains_nothing_changes_nothing() -> None:
    Path("quiet.txt").write_text("Preamp: -9 dB\n" + LOUD)
    for more in ((), ("--headroom",)):
        options = ("--for", "wavelet", "-o", f"p{len(more)}.txt", "-q", *more)
        assert cli.run(["design", "-f", "quiet.txt", *options]) == 0
    assert Path("p0.txt").read_text() == Path("p1.txt").read_text()


def test_what_is_said_of_a_rounded_fir_does_not_depend_on_its_suffix(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """EasyEffects calls its wave files .irs; taps of 16 bits are as far off there."""
    told = []
    for options in (("-o", "ear.wav"), ("--for", "easyeffects", "-o", "ear.json")):
        assert cli.run(["design", "-f", "a-weighting", "--subtype", "PCM_16", *options]) == 0
        said = capsys.readouterr().err
        told += re.findall(r"(\S+) dB at most from the published points", said)
        assert "rounded to PCM_16" in said
    taps = [soundfile.read(name, always_2d=True)[0][:, 0] for name in ("ear.wav", "ear.irs")]
    np.testing.assert_array_equal(*taps)
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "ear.sos.json"), "--sections (how many)"),
        (("--sections", "2", "--tolerance", "1", "-o", "ear.h"), "--sections (how many)"),
        (("--sections", "2", "-o", "ear.wav"), "--sections has no effect on fir"),
        (("--sections", "2", "--order", "64", "-o", "ear.h"), "--order has no effect"),
        (("--sections", "2", "--phase", "zero", "-o", "ear.h"), "minimum phase"),
        (("--sections", "2", "--band", "9", "-o", "ear.h"), "100:10000"),
        (("--sections", "2", "--band", "nan:9", "-o", "ear.h"), "--band nan:9"),
        (("--sections", "2", "-o", "ear.xyz"), "--for writes for a program"),
        (("--for", "camilladsp", "-o", "a.wav"), "are the same file"),
        (("--headroom", "-o", "a.wav"), "--headroom is of a preset: --for says"),
    ],
)
def test_refusals(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(folder.iterdir())


def test_programs_are_called_as_they_are_written() -> None:
    for name in ("EqualizerAPO", "equalizerapo"):
        assert run("--for", name, "--form", "peaking", "--sections", "3", "-o", f"{name}.txt") == 0
    first, second = (Path(f"{name}.txt").read_text() for name in ("EqualizerAPO", "equalizerapo"))
    assert first == second
