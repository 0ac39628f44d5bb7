"""Saved ears: what a file may not say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import earfilt
from earfilt.chains.describe import legend
from earfilt.cli import run
from earfilt.errors import DataError, UsageError
from earfilt.files.firs import read_fir
from earfilt.files.saved_ears import read_ear, read_fir_or_ear

FS = 16000


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    (tmp_path / "my.csv").write_text("frequency_hz,gain_db\n100,-2\n1000,0\n6000,-4\n")
    earfilt.ear(f"headphone+{tmp_path}/my.csv", FS, order=32).save(tmp_path / "mine.json")
    return tmp_path / "mine.json"


def rewrite(path: Path, change: Callable[[Any], object]) -> None:
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def put(*place: str | int, value: object) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        for step in place[:-1]:
            found = found[step]
        found[place[-1]] = value

    return change


def test_it_is_read_back(saved: Path) -> None:
    ear = read_ear(saved)
    assert ear is not None
    fir = read_fir_or_ear(saved)
    np.testing.assert_array_equal(fir.taps, ear.start.taps)
    assert (fir.fs, fir.numtaps, fir.lookahead) == (FS, 65, 0)
    assert [member.ear.kind for member in ear.members] == ["headphone", "own"]


def test_numbers_are_what_counts(saved: Path) -> None:
    """The level of a curve by hand: 6 dB more are twice the taps."""
    before = read_fir_or_ear(saved).taps
    rewrite(saved, put("members", 1, "numbers", value=[4.0206, 6.0206, 2.0206]))
    np.testing.assert_allclose(read_fir_or_ear(saved).taps, 2 * before, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("format", value=2), "another version of earfilt"),
        (put("design", value="adapted-9"), "another version of earfilt"),
        (put("design", value=["a"] * 99), "another version of earfilt"),
        (put("fs", value=-1), "sampling rate"),
        (put("fs", value=None), "has an 'fs'"),
        (put("fs", value=400), "fs is 400"),
        (put("fs", value="16000"), "sampling rate"),
        (put("filter", value=3), "'filter' is a name"),
        (put("options", value=[]), "'options' an object"),
        (put("firs", value="room.wav"), "'firs' is a list"),
        (put("tables", value=[]), "'tables' is an object"),
        (put("tables", value={}), "other numbers of pralong1996"),
        (put("members", value={}), "'members' is a list"),
        (put("members", value=[{}] * 65), "at most 64"),
        (put("members", 0, value=7), "a member is an object"),
        (put("members", 0, "name", value="headfone"), "did you mean headphone"),
        (put("members", 0, "name", value="/etc/passwd"), "no filter is called"),
        (put("members", 0, "name", value="my.toml"), "no filter is called"),
        (put("members", 0, "options", value=None), "'options'"),
        (put("members", 0, "options", "order", value=5), "does not have these options"),
        (put("members", 0, "options", "phase", value="linear"), "phase is 'linear'"),
        (put("members", 0, "options", "phase", value=[]), "does not have these options"),
        (put("members", 0, "numbers", value=[1.0] * 21), "has 22 numbers"),
        (put("members", 0, "numbers", value=[1.0] * 21 + ["x"]), "has 22 numbers"),
        (put("members", 0, "numbers", value=[1.0] * 21 + [True]), "has 22 numbers"),
        (put("members", 0, "numbers", 3, value=10**400), "has 22 numbers"),
        (put("members", 0, "numbers", 3, value=1e9), "beyond ±1000"),
        (put("members", 1, "gain_db", value=[1.0]), "is a curve of"),
        (put("members", 1, "gain_db", value=[0.0, 900.0, 0.0]), "beyond ±200"),
        (put("members", 1, "frequency_hz", value=[100.0, 90.0, 6000.0]), "sort the rows"),
        (put("members", 1, "options", "interpolation", value="cubic"), "interpolation is 'cubic'"),
        (put("start", value=[]), "'start' has 'taps'"),
        (put("start", "taps", value=[]), "'start' has 'taps'"),
        (put("start", "taps", 0, value="1"), "'start' has 'taps'"),
        (put("start", "latency", value=65), "latency 65"),
        (put("start", "odd_ends", value="yes"), "odd_ends must be"),
        (put("start", "meta", value=[]), "meta an object"),
        (lambda found: found["start"].pop("latency"), "a 'latency'"),
        (lambda found: found.pop("members"), "'members' is a list"),
        (put("earfilt", value="curve"), "says of itself that it is 'curve'"),
        (put("earfilt", value="fir"), "no list of numbers called 'taps'"),
    ],
)
def test_what_is_no_saved_ear_is_refused_in_a_sentence(
    saved: Path, change: Callable[[Any], object], says: str
) -> None:
    rewrite(saved, change)
    with pytest.raises(DataError, match=says) as caught:
        read_fir_or_ear(saved)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_it_is_no_fir_and_a_fir_is_no_ear(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="says of itself that it is 'ear'"):
        read_fir(saved)
    earfilt.design("headphone", fs=FS, order=32).save(tmp_path / "fir.json")
    assert read_ear(tmp_path / "fir.json") is None
    with pytest.raises(UsageError, match="says its own latency"):
        read_fir_or_ear(saved, latency=3)


def test_a_curve_of_a_toml_is_saved_with_its_points(tmp_path: Path) -> None:
    (tmp_path / "ear.csv").write_text("frequency_hz,gain_db\n100,-2\n500,0\n1000,3\n6000,-4\n")
    (tmp_path / "ear.toml").write_text(
        'title = "mine"\nquantity = "gain"\nunit = "dB"\n[source]\ncitation = "me"\n'
        '[[ear]]\nname = "mine"\nkind = "curve"\nsummary = "mine"\n'
        'parameters = { interpolation = "spline", normalize = "1 kHz", beyond = "fall" }\n'
    )
    name = f"{tmp_path}/ear.toml"
    earfilt.ear(name, FS).save(tmp_path / "mine.json")
    (tmp_path / "ear.csv").unlink()
    (tmp_path / "ear.toml").unlink()
    ear = read_ear(tmp_path / "mine.json")
    assert ear is not None
    target = ear.members[0].target
    np.testing.assert_allclose(target.numbers, [-5, -3, 0, -7])
    reached = 20 * np.log10(abs(ear.fir.response(target.freqs)))
    np.testing.assert_allclose(reached, [-5, -3, 0, -7], atol=0.1)


# -- whose curve it is ---------------------------------------------------------------------------

PRALONG, LOPEZ = "Pralong, D. & Carlile, S. (1996).", "Lopez-Poveda, E. A. & Meddis, R. (2001)."


@pytest.fixture
def learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A middle ear whose numbers were changed, and a recording."""
    monkeypatch.chdir(tmp_path)
    earfilt.ear("middle-ear", FS).save("learnt.json")
    double(0, "learnt.json")
    soundfile.write("in.wav", np.zeros(800), FS)
    return tmp_path


def double(member: int, path: str) -> None:
    def change(found: Any) -> None:
        numbers = found["members"][member]["numbers"]
        found["members"][member]["numbers"] = [2.0 * one for one in numbers]

    rewrite(Path(path), change)


def test_summary_and_report_of_a_learnt_ear_say_so(
    learnt: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["apply", "in.wav", "out.wav", "-f", "learnt.json"]
    assert run([*words, "-v", "--report", "r.jsonl"]) == 0
    said = "".join(capsys.readouterr())
    assert "causal; adapted from middle-ear\n" in said
    assert f"source 1    adapted from {LOPEZ}" in said
    told = json.loads((learnt / "r.jsonl").read_text())["parameters"]
    assert "source" not in told
    assert told["adapted"] == ["middle-ear"]
    assert told["adapted_from"][0].startswith(LOPEZ)


@pytest.mark.parametrize(
    ("out", "more"), [("fir.wav", []), ("fir.json", []), ("few.sos.json", ["--sections", "2"])]
)
def test_what_is_made_of_a_learnt_ear_says_so(learnt: Path, out: str, more: list[str]) -> None:
    assert run(["design", "-f", "learnt.json", "--fs", "16000", "-o", out, "-q", *more]) == 0
    made = earfilt.design(out, fs=FS)
    assert legend(made).endswith("\nadapted from Lopez-Poveda & Meddis 2001")
    assert made.provenance.adapted == ("middle-ear",)


def test_presets_and_figures_of_a_learnt_ear_say_so(learnt: Path) -> None:
    words = ["design", "-f", "learnt.json", "--fs", "16000", "-q", "--sections", "2"]
    assert run([*words, "--for", "equalizerapo", "-o", "a.txt"]) == 0
    assert run([*words, "-o", "a.h"]) == 0
    assert "learnt.json, adapted from middle-ear" in (learnt / "a.txt").read_text()
    assert "learnt.json, adapted from middle-ear" in (learnt / "a.h").read_text()
    assert run(["response", "-f", "learnt.json", "-o", "a.svg", "-q"]) == 0
    assert "adapted from Lopez-Poveda &amp; Meddis 2001" in (learnt / "a.svg").read_text()


def test_only_the_members_that_were_changed_are_adapted(learnt: Path) -> None:
    earfilt.ear("headphone+middle-ear", FS).save("chain.json")
    assert earfilt.design("chain.json", fs=FS).provenance.adapted == ()
    double(0, "chain.json")
    told = earfilt.design("chain.json", fs=FS).provenance
    assert [one.startswith(LOPEZ) for one in told.source] == [True]
    assert [one.startswith(PRALONG) for one in told.adapted_from] == [True]
    for name in ("learnt.json+headphone", "L=learnt.json,R=headphone"):
        told = earfilt.design(name, fs=FS).provenance
        assert [one.startswith(PRALONG) for one in told.source] == [True]
        assert [one.startswith(LOPEZ) for one in told.adapted_from] == [True]
    earfilt.ear("learnt.json", 48000, resample_fir=True).save("converted.json")
    assert earfilt.design("converted.json", fs=48000).provenance.adapted == ("middle-ear",)
