"""What messages name as a remedy: what whoever called would write."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import earfilt
from earfilt.cli import run

FS = 16000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", np.zeros(300), FS)
    soundfile.write("nan.wav", np.array([0.0, np.nan]), FS, "FLOAT")
    earfilt.design("middle-ear", fs=FS, order=64).save("made.json")
    earfilt.ear("middle-ear", FS, order=64).save("ear.json")
    return tmp_path


CALLS: dict[str, tuple[Any, str, str, str]] = {
    "what is there": (
        lambda: earfilt.ear("middle-ear", FS, order=64).save("ear.json"),
        "force=True",
        "design -f middle-ear --fs 16000 -o ear.json",
        "--force",
    ),
    "an output": (
        lambda: earfilt.apply_file("nan.wav", "in.wav", "middle-ear", order=64),
        'exists="force" to replace it or exists="skip"',
        "apply nan.wav in.wav -f middle-ear --order 64",
        "--force to replace it or --skip-existing",
    ),
    "another rate": (
        lambda: earfilt.design("ear.json", fs=48000),
        "resample_fir=True, which converts",
        "design -f ear.json --fs 48000 -o b.json",
        "--resample-fir, which converts",
    ),
    "another rate of what can be made": (
        lambda: earfilt.design("made.json", fs=48000),
        "earfilt.design('middle-ear', order=64, fs=48000).save('made-48000.json')",
        "design -f made.json --fs 48000 -o b.json",
        "earfilt design -f middle-ear --order 64 --fs 48000 -o made-48000.json",
    ),
    "options that exclude each other": (
        lambda: earfilt.apply(np.zeros(9), "headphone", fs=FS, order=64, tolerance=1.0),
        "order and tolerance exclude",
        "apply in.wav b.wav -f headphone --order 64 --tolerance 1",
        "--order and --tolerance exclude",
    ),
    "samples that are none": (
        lambda: earfilt.apply_file("nan.wav", "b.wav", "middle-ear", order=64),
        "use repair=True",
        "apply nan.wav b.wav -f middle-ear --order 64",
        "use --repair",
    ),
}


@pytest.mark.parametrize(("call", "argument", "command", "flag"), CALLS.values(), ids=CALLS.keys())
def test_a_remedy_is_an_argument_in_python_and_a_flag_on_the_command_line(
    call: Any, argument: str, command: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # what is kept of the one says nothing to the other
        with pytest.raises(earfilt.EarfiltError) as refused:
            call()
        assert argument in str(refused.value)
        assert "--" not in str(refused.value)
        assert run(shlex.split(command)) in (1, 2)
        assert flag in capsys.readouterr().err


def test_so_it_is_where_other_processes_do_the_work(capfd: pytest.CaptureFixture[str]) -> None:
    rows = list(earfilt.apply_files(["in.wav", "nan.wav"], "out", "middle-ear", order=64, jobs=2))
    assert [row.error.partition("use ")[2][:11] for row in rows if row.error] == ["repair=True"]
    assert run(shlex.split("apply in.wav nan.wav other -f middle-ear --order 64 -j 2")) == 1
    assert "use --repair" in "".join(capfd.readouterr())


def test_what_an_unknown_option_may_mean_is_suggested() -> None:
    for name in ("sr", "sample_rate", "samplerate"):
        wrong: Any = {name: FS}
        with pytest.raises(
            earfilt.UsageError, match=f"no option {name}, .*: the sampling rate is fs"
        ):
            earfilt.ear("middle-ear", **wrong)
    wrong = {"normalise_gain": False}
    with pytest.raises(earfilt.UsageError, match=r"did you mean normalize_gain\?"):
        earfilt.ear("middle-ear", FS, **wrong)


def test_what_calls_return_is_short_in_print() -> None:
    """They hold arrays of any length, and citations."""
    shown = repr(earfilt.design("middle-ear", fs=FS, order=64))
    assert shown == "<Fir of middle-ear:lopezpoveda2001: 65 taps at 16000 Hz, lookahead 0>"
    pair = repr(earfilt.design("L=headphone,R=middle-ear", fs=FS, order=64))
    assert pair == "<Fir of L=headphone,R=middle-ear: 2 rows of 65 taps at 16000 Hz, lookahead 0>"
    table = earfilt.response("middle-ear", fs=FS, freqs=[125.0, 1000.0], order=64)
    assert repr(table) == f"<ResponseTable of middle-ear: 2 frequencies, 125 to 1000 Hz; {shown}>"
    few = repr(earfilt.design_sections("headphone", fs=FS, sections=2))
    assert few.startswith("<Sections of headphone: 2 sections at 16000 Hz, deviation_db ")
    noise = np.random.default_rng(0).standard_normal(80_000)
    measured = repr(earfilt.identify(noise, 0.5 * noise, FS))
    assert measured.startswith("<Identified: ")
    assert measured.endswith(" frequencies at 16000 Hz, h1, 1 seating>")


def test_a_figure_replaces_another_where_it_is_asked_to() -> None:
    table = earfilt.response("middle-ear", fs=FS, order=64)
    table.plot("a.svg")
    with pytest.raises(earfilt.UsageError, match="exists; force=True replaces it"):
        table.plot("a.svg")
    Path("a.svg").write_text("another")
    table.plot("a.svg", force=True)
    assert Path("a.svg").read_text() != "another"
