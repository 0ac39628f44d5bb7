"""Each preset, read back by a reader that is not ours, is the filter that was designed."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from numpy.typing import NDArray
from scipy.signal import sosfilt, sosfreqz

import earfilt
from earfilt.chains.export import Export, export
from earfilt.chains.members import resolve
from earfilt.cli import run as command
from earfilt.ears.biquads import Band
from earfilt.errors import UsageError
from earfilt.files.fir_formats import write_wav
from earfilt.files.presets.preset import Preset
from earfilt.files.presets.programs import PROGRAMS
from earfilt.synthesis.biquads.sections import Sections
from earfilt.synthesis.fir import Fir
from tests.synthesis.biquads.test_bands import cookbook

FS = 48000.0
EAR = resolve("iso532-diffuse")
FREQS = np.geomspace(20.0, 20000.0, 200)
Levels = NDArray[np.float64]


def written(program: str | None, path: str, **how: Any) -> tuple[dict[str, bytes], Any]:
    """The files of an export by name, and what was designed."""
    found = export(EAR, FS, path, Export(program=program, **how))
    return {Path(name).name: data for name, data in found.files}, found.made


def level(sos: Any) -> Levels:
    """dB of rows b0 b1 b2 a0 a1 a2, by scipy."""
    return np.asarray(20 * np.log10(np.abs(sosfreqz(np.array(sos, float), FREQS, fs=FS)[1])))


def wanted(made: Sections) -> Levels:
    return level(made.sos)


def test_equalizerapo_sections() -> None:
    files, made = written("equalizerapo", "ear.txt", sections=3)
    lines = files["ear.txt"].decode().splitlines()
    assert lines[1] == "If: sampleRate == 48000"
    assert lines[-1] == "EndIf:"
    rows = [
        [float(word) for word in line.partition("Coefficients ")[2].split()]
        for line in lines
        if re.match(r"Filter \d+: ON IIR Order 2 Coefficients ", line)
    ]
    np.testing.assert_array_equal(rows, made.sos)


def test_equalizerapo_bands() -> None:
    files, made = written("equalizerapo", "ear.txt", sections=4, form="peaking")
    text = files["ear.txt"].decode()
    kinds = {"PK": "peaking", "LSC": "low-shelf", "HSC": "high-shelf"}
    found = re.findall(
        r"^Filter \d+: ON (\w+) Fc (\S+) Hz Gain (\S+) dB Q (\S+)$", text, re.MULTILINE
    )
    rows = [
        cookbook(Band(kinds[kind], float(hz), float(gain), float(q)), FS)
        for kind, hz, gain, q in found
    ]
    preamp = re.search(r"^Preamp: (\S+) dB$", text, re.MULTILINE)
    assert preamp is not None
    np.testing.assert_allclose(level(rows) + float(preamp[1]), wanted(made), atol=1e-9)


@pytest.mark.parametrize("program", ["equalizerapo", "jamesdsp", "wavelet"])
def test_graphic(program: str) -> None:
    files, _ = written(program, "ear.txt", form="graphic")
    (line,) = [row for row in files["ear.txt"].decode().splitlines() if not row.startswith("#")]
    pairs = [pair.split() for pair in line.removeprefix("GraphicEQ: ").split("; ")]
    freqs, gains = np.array(pairs, float).T
    assert freqs[0] == 20
    assert freqs[-1] == 20000
    assert (np.diff(freqs) > 0).all()
    assert len(freqs) <= 127
    expected = 20 * np.log10(np.abs(EAR.at(FS).response(freqs)))
    np.testing.assert_allclose(gains, expected, atol=0.0051)


def test_camilladsp_sections() -> None:
    files, made = written("camilladsp", "my ear.yml", sections=3)
    found = yaml.safe_load(files["my ear.yml"])
    (step,) = found["pipeline"]
    rows = []
    for name in step["names"]:
        assert found["filters"][name]["type"] == "Biquad"
        values = found["filters"][name]["parameters"]
        assert values.pop("type") == "Free"
        assert all(isinstance(value, float) for value in values.values())
        rows.append([values[key] for key in ("b0", "b1", "b2")] + [1.0, values["a1"], values["a2"]])
    np.testing.assert_array_equal(rows, made.sos)


def test_camilladsp_bands() -> None:
    files, made = written("camilladsp", "ear.yml", sections=3, form="peaking")
    found = yaml.safe_load(files["ear.yml"])
    kinds = {"Peaking": "peaking", "Lowshelf": "low-shelf", "Highshelf": "high-shelf"}
    gain, *names = found["pipeline"][0]["names"]
    rows = []
    for name in names:
        values = found["filters"][name]["parameters"]
        band = Band(kinds[values["type"]], values["freq"], values["gain"], values["q"])
        rows.append(cookbook(band, FS))
    preamp = found["filters"][gain]["parameters"]["gain"]
    np.testing.assert_allclose(level(rows) + preamp, wanted(made), atol=1e-9)


def test_camilladsp_five_bands_in_one() -> None:
    from earfilt.files.presets.camilladsp import write
    from earfilt.files.presets.preset import Preset
    from earfilt.synthesis.biquads.bands import sos_of

    kinds = ("low-shelf", "peaking", "peaking", "peaking", "high-shelf")
    bands = tuple(Band(kind, 100.0 * (n + 1), n - 2.5, 0.7) for n, kind in enumerate(kinds))
    made = Sections(sos_of(bands, -1.0, FS), FS, bands=bands, preamp_db=-1.0)
    found = yaml.safe_load(write(Preset(name="x", about="x", fs=FS, content=made)))
    values = found["filters"]["x_bands"]["parameters"]
    assert values["type"] == "FivePointPeq"
    rows = [
        cookbook(Band(kind, values[f"f{word}"], values[f"g{word}"], values[f"q{word}"]), FS)
        for kind, word in zip(kinds, ("ls", "p1", "p2", "p3", "hs"), strict=True)
    ]
    np.testing.assert_allclose(level(rows) - 1.0, wanted(made), atol=1e-9)


@pytest.mark.parametrize("form", ["sections", "peaking"])
def test_pipewire(form: str) -> None:
    files, made = written("pipewire", "ear.conf", sections=4, form=form)
    text = files["ear.conf"].decode()
    assert text.startswith("# ")
    (module,) = json.loads(text.partition("\n")[2])["context.modules"]
    assert module["name"] == "libpipewire-module-filter-chain"
    graph = module["args"]["filter.graph"]
    rows, gain = [], 1.0
    for node in graph["nodes"]:
        if node["label"] == "bq_raw":
            (values,) = node["config"]["coefficients"]
            assert values["rate"] == 48000
            rows.append([values[key] for key in ("b0", "b1", "b2", "a0", "a1", "a2")])
        elif node["label"] == "linear":
            gain = node["control"]["Mult"]
        else:
            assert node["label"] == "bq_peaking"
            control = node["control"]
            rows.append(
                cookbook(Band("peaking", control["Freq"], control["Gain"], control["Q"]), FS)
            )
    np.testing.assert_allclose(level(rows) + 20 * np.log10(gain), wanted(made), atol=1e-9)
    names = [node["name"] for node in graph["nodes"]]
    assert [link["output"] for link in graph["links"]] == [f"{name}:Out" for name in names[:-1]]
    assert [link["input"] for link in graph["links"]] == [f"{name}:In" for name in names[1:]]


def test_easyeffects_bands() -> None:
    files, made = written("easyeffects", "ear.json", sections=4)
    output = json.loads(files["ear.json"])["output"]
    assert output["plugins_order"] == ["equalizer#0"]
    plugin = output["equalizer#0"]
    assert plugin["left"] == plugin["right"]
    assert plugin["num-bands"] == len(plugin["left"]) == 4
    kinds = {"Bell": "peaking", "Lo-shelf": "low-shelf", "Hi-shelf": "high-shelf"}
    rows = [
        cookbook(Band(kinds[band["type"]], band["frequency"], band["gain"], band["q"]), FS)
        for band in plugin["left"].values()
    ]
    np.testing.assert_allclose(level(rows) + plugin["input-gain"], wanted(made), atol=1e-9)


def test_minidsp_signs() -> None:
    files, made = written("minidsp", "ear.txt", sections=3)
    blocks = re.split(r"biquad\d+,\n", files["ear.txt"].decode())[1:]
    assert not files["ear.txt"].decode().rstrip().endswith(",")
    rows = []
    for block in blocks:
        values = dict(re.findall(r"^(\w\d)=([^,\n]+),?$", block, re.MULTILINE))
        b = [float(values[key]) for key in ("b0", "b1", "b2")]
        # its processor adds a1 and a2
        rows.append([*b, 1.0, -float(values["a1"]), -float(values["a2"])])
    np.testing.assert_array_equal(rows, made.sos)


def test_minidsp_has_ten() -> None:
    with pytest.raises(UsageError, match=r"10 biquads.* 11"):
        written("minidsp", "ear.txt", sections=11)
    with pytest.raises(UsageError, match=r"10 biquads.* 11"):
        PROGRAMS["minidsp"].write(
            Preset(name="a", about="", fs=FS, content=Sections(np.ones((11, 6)), FS))
        )


C_PROGRAM = """\
#include <stdio.h>
#include "ear.h"
int main(void) {
    double w1[EAR_SECTIONS] = {0}, w2[EAR_SECTIONS] = {0};
    double v1[EAR_SECTIONS] = {0}, v2[EAR_SECTIONS] = {0};
    for (int n = 0; n < 4096; n++) {
        double x = n == 0, q = n == 0;
        for (int s = 0; s < EAR_SECTIONS; s++) {
            const float *c = ear_f32 + 5 * s;
            double y = c[0] * x + w1[s];
            w1[s] = c[1] * x + c[3] * y + w2[s];
            w2[s] = c[2] * x + c[4] * y;
            x = y;
            double k[5];
            for (int i = 0; i < 5; i++)
                k[i] = ear_q31[5 * s + i] / 2147483648.0 * (1 << EAR_POST_SHIFT);
            y = k[0] * q + v1[s];
            v1[s] = k[1] * q + k[3] * y + v2[s];
            v2[s] = k[2] * q + k[4] * y;
            q = y;
        }
        printf("%.17g %.17g\\n", x, q);
    }
    printf("%d %d\\n", EAR_SECTIONS, EAR_SAMPLE_RATE);
    return 0;
}
"""


def test_c_header_compiles_and_filters(tmp_path: Path) -> None:
    files, made = written(None, "ear.h", sections=4)
    (tmp_path / "ear.h").write_bytes(files["ear.h"])
    (tmp_path / "main.c").write_text(C_PROGRAM)
    build = ["gcc", "-std=c99", "-Wall", "-Werror", "-o", "main", "main.c"]
    subprocess.run(build, cwd=tmp_path, check=True)
    lines = subprocess.run(
        [tmp_path / "main"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert lines[-1] == "4 48000"
    single, fixed = np.array([line.split() for line in lines[:-1]], float).T
    impulse = np.zeros(4096)
    impulse[0] = 1.0
    expected = sosfilt(made.sos, impulse)
    np.testing.assert_allclose(single, expected, atol=2e-5)
    np.testing.assert_allclose(fixed, expected, atol=2e-6)


@pytest.mark.parametrize("reader", ["sox", "ffmpeg"])
def test_sections_in_audio_programs(reader: str, tmp_path: Path) -> None:
    """SoX and ffmpeg, given the rows of a .sos.json, make the audio that scipy makes."""
    assert shutil.which(reader)
    files, made = written(None, "ear.sos.json", sections=3)
    rows = json.loads(files["ear.sos.json"])["sos"]
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 20_000)
    soundfile.write(tmp_path / "in.wav", noise, 48000, "DOUBLE")
    command = {"sox": _sox(rows), "ffmpeg": _ffmpeg(rows)}[reader]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    heard, _ = soundfile.read(tmp_path / "out.wav")
    np.testing.assert_allclose(heard, sosfilt(made.sos, noise), atol=2e-8)


def _sox(rows: list[list[float]]) -> list[str]:
    words = [word for row in rows for word in ("biquad", *(f"{value:.17g}" for value in row))]
    return ["sox", "-D", "in.wav", "-b", "64", "-e", "floating-point", "out.wav", *words]


def _ffmpeg(rows: list[list[float]]) -> list[str]:
    names = ("b0", "b1", "b2", "a0", "a1", "a2")
    chain = ",".join(
        "biquad=precision=f64:" + ":".join(f"{n}={v:.17g}" for n, v in zip(names, row, strict=True))
        for row in rows
    )
    return ["ffmpeg", "-i", "in.wav", "-af", chain, "-c:a", "pcm_f64le", "out.wav"]


@pytest.mark.parametrize(
    ("program", "preset", "wave"),
    [
        ("equalizerapo", "ear.txt", "ear.wav"),
        ("camilladsp", "ear.yml", "ear.wav"),
        ("pipewire", "ear.conf", "ear.wav"),
        ("easyeffects", "ear.json", "ear.irs"),
    ],
)
def test_firs_in_stereo_beside_a_preset(
    program: str, preset: str, wave: str, tmp_path: Path
) -> None:
    files, made = written(program, str(tmp_path / preset))
    assert isinstance(made, Fir)
    assert set(files) == {preset, wave}
    text = files[preset].decode()
    name = {"easyeffects": '"kernel-name": "ear"', "pipewire": str(tmp_path / wave)}
    assert name.get(program, wave) in text
    (tmp_path / wave).write_bytes(files[wave])
    taps, fs = soundfile.read(tmp_path / wave)
    info = soundfile.info(tmp_path / wave)
    assert (fs, info.channels, info.subtype) == (48000, 2, "FLOAT")
    np.testing.assert_array_equal(taps, np.repeat(made.taps.astype("f4")[:, None], 2, axis=1))


@pytest.mark.parametrize(
    ("subtype", "step"), [("PCM_24", 2.0**-23), ("PCM_16", 2.0**-15), ("PCM_32", 2.0**-31)]
)
def test_subtypes_of_firs(subtype: str, step: float, tmp_path: Path) -> None:
    quiet = resolve("iso532-middle")
    found = export(quiet, FS, "ear.wav", Export(channels=3, subtype=subtype))
    (tmp_path / "ear.wav").write_bytes(found.files[0][1])
    taps, _ = soundfile.read(tmp_path / "ear.wav")
    assert soundfile.info(tmp_path / "ear.wav").subtype == subtype
    assert isinstance(found.made, Fir)
    assert np.abs(taps - found.made.taps[:, None]).max() <= step / 2
    # and it is read back here
    again = resolve(str(tmp_path / "ear.wav")).at(FS)
    np.testing.assert_array_equal(again.taps, taps[:, 0])


def test_ffmpeg_convolves_with_the_stereo_fir(tmp_path: Path) -> None:
    files, made = written("equalizerapo", "ear.txt")
    (tmp_path / "ear.wav").write_bytes(files["ear.wav"])
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (20_000, 2)).astype("f4")
    soundfile.write(tmp_path / "in.wav", noise, 48000, "FLOAT")
    command = "ffmpeg -i in.wav -i ear.wav -lavfi afir=gtype=none -c:a pcm_f32le out.wav"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    heard, _ = soundfile.read(tmp_path / "out.wav")
    expected = np.stack([np.convolve(noise[:, c], made.taps)[:20_000] for c in range(2)], axis=1)
    # ffmpeg 5.1 doubles; the help of `earfilt design` says so
    scale = np.rint(np.vdot(heard[:20_000], expected) / np.vdot(expected, expected))
    assert scale in (1.0, 2.0)
    np.testing.assert_allclose(heard[:20_000] / scale, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("program", "how", "message"),
    [
        ("wavelet", {"form": "peaking"}, "takes graphic"),
        ("easyeffects", {"form": "sections", "sections": 2}, "takes fir or peaking"),
        ("camilladsp", {"form": "graphic"}, "takes fir or sections or peaking"),
        ("minidsp", {"form": "fir"}, "takes sections or peaking"),
        ("wavelet", {"sections": 2}, "--sections has no effect"),
        ("equalizerapo", {"form": "fir", "band": (20.0, 90.0)}, "--band has no effect"),
        ("minidsp", {"sections": 2, "channels": 2}, "--channels"),
        (None, {"sections": 2}, "--sections has no effect on fir"),
        (None, {"subtype": "PCM_8"}, "--subtype PCM_8"),
        (None, {"channels": 0}, "--channels 0"),
    ],
)
def test_what_does_not_fit_is_refused(
    program: str | None, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        written(program, "ear.wav", **how)


@pytest.mark.parametrize("largest", [1.0, -1.5, 1.0 - 2.0**-25])
def test_pcm_that_would_clip_is_refused(largest: float) -> None:
    with pytest.raises(UsageError, match="holds what is below 1"):
        write_wav(Fir(np.array([0.1, largest]), FS), subtype="PCM_24")


def test_every_program_has_a_test() -> None:
    text = Path(__file__).read_text()
    assert all(f'"{name}"' in text or name == "c" for name in PROGRAMS)


def test_sections_for_equalizer_apo_are_read_back(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    line = "design -f headphone --fs 48000 --sections 4 -q"
    assert command(f"{line} --for equalizerapo -o eq.txt".split()) == 0
    assert command(f"{line} -o own.sos.json".split()) == 0
    freqs = np.geomspace(20.0, 20000.0, 200)
    found, own = (
        earfilt.response(name, fs=48000, freqs=freqs).magnitude_db
        for name in ("eq.txt", "own.sos.json")
    )
    np.testing.assert_allclose(found, own, atol=1e-3)
    with pytest.raises(earfilt.UsageError, match="holds coefficients for 48000 Hz"):
        earfilt.design("eq.txt", fs=44100)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Filter: ON IIR Order 2 Coefficients 1 0 0 1 0 0\n", "without the rate"),
        (
            "If: sampleRate == 48000\nFilter: ON IIR Order 2 Coefficients 1 0 0 1 0\nEndIf:\n",
            "not und",
        ),
        (
            "If: sampleRate == 48000\nFilter: ON IIR Order 2 Coefficients 1 0 0 0 0 0\nEndIf:\n",
            "stable",
        ),
        (
            "If: sampleRate == 48000\nFilter: ON IIR Order 2 Coefficients 1 0 0 1 -2 1\nEndIf:\n",
            "stable",
        ),
        (
            "If: sampleRate == 48000\nFilter: ON IIR Order 2 Coefficients 1 0 0 1 0 0\nEndIf:\n"
            "If: sampleRate == 44100\nFilter: ON IIR Order 2 Coefficients 2 0 0 1 0 0\nEndIf:\n",
            "2 sampling rates",
        ),
        ("Filter: ON PK Fc 100 Hz Gain 1 dB Q 1\nIf: inputChannelCount == 2\n", "not understood"),
        (
            "If: sampleRate == 48000\nFilter: ON PK Fc 100 Hz Gain 1 dB Q 1\nElse:\n",
            "not understood",
        ),
    ],
)
def test_coefficients_for_equalizer_apo_that_say_too_little_are_refused(
    tmp_path: Path, monkeypatch: Any, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("eq.txt").write_text(text)
    with pytest.raises(earfilt.DataError, match=says):
        earfilt.design("eq.txt", fs=48000)
