"""``earfilt response``: numbers on stdout, files by extension, drawings in the terminal."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from earfilt import cli
from earfilt.chains.members import resolve
from earfilt.synthesis.response import COLUMNS
from tests.tools import need, single_threaded

EARS = [
    "headphone",
    "middle-ear",
    "middle-ear:jepsen2008",
    "outer-middle-ear",
    "headphone+middle-ear",
]


def run(*arguments):
    return cli.run([str(argument) for argument in arguments])


def table(text):
    header, *rows = csv.reader(io.StringIO(text))
    return header, np.array(rows, dtype=float)


@pytest.mark.parametrize("fs", [16000, 48000])
@pytest.mark.parametrize("name", EARS)
def test_stdout_is_the_response_of_what_apply_applies(name, fs, capsys):
    assert run("response", "-f", name, "--fs", fs, "--freqs", "20,125,997.7,4000,7999") == 0
    out, err = capsys.readouterr()
    header, rows = table(out)
    fir = resolve(name).at(fs)
    _, wanted = scipy.signal.freqz(fir.taps, worN=rows[:, 0], fs=fs)
    assert tuple(header) == COLUMNS
    assert rows[:, 0].tolist() == [20, 125, 997.7, 4000, 7999]
    assert rows[:, 1] == pytest.approx(20 * np.log10(np.abs(wanted)), abs=1e-8)
    aligned = wanted * np.exp(2j * np.pi * rows[:, 0] / fs * fir.lookahead)
    assert np.abs(np.angle(np.exp(1j * rows[:, 2]) / aligned)).max() < 1e-7
    assert "from the published points" in err


def test_the_default_grid_and_a_linear_one(capsys):
    run("response", "-q", "-f", "headphone")
    _, rows = table(capsys.readouterr().out)
    assert (len(rows), rows[0, 0], rows[-1, 0]) == (512, 20.0, 20000.0)
    run(
        "response",
        "-q",
        "-f",
        "headphone",
        "--fs",
        16000,
        "--points",
        5,
        "--scale",
        "linear",
        "--fmin",
        1000,
    )
    out, err = capsys.readouterr()
    assert table(out)[1][:, 0].tolist() == [1000, 2750, 4500, 6250, 8000]
    assert err == ""


def test_several_filters_are_told_apart_by_a_first_column(capsys):
    run("response", "-q", "-f", "headphone", "-f", "middle-ear:jepsen2008", "--freqs", "1000")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [row[0] for row in rows] == ["filter", "headphone", "middle-ear:jepsen2008"]


def test_the_convention_is_said(capsys):
    run("response", "-f", "outer-middle-ear", "--convention", "amt", "--freqs", "3200")
    out, err = capsys.readouterr()
    assert table(out)[1][0, 1] == pytest.approx(32.8, abs=0.1)
    assert "amt convention" in err
    run("response", "-f", "outer-middle-ear", "--freqs", "3200")
    out, err = capsys.readouterr()
    assert table(out)[1][0, 1] == pytest.approx(8.2, abs=0.05)
    assert "published convention" in err


def test_a_fir_file_is_shown_at_its_own_rate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("design", "-q", "-f", "headphone", "--fs", 22050, "-o", "fir.mat")
    run("response", "-q", "-f", "headphone", "--fs", 22050, "--points", 9)
    wanted = capsys.readouterr().out
    assert run("response", "-q", "-f", "fir.mat", "--points", 9) == 0
    assert capsys.readouterr().out == wanted
    assert run("response", "-f", "fir.mat", "--fs", 48000) == 2
    assert "earfilt design -f headphone --fs 48000 -o fir-48000.mat" in capsys.readouterr().err


@pytest.mark.parametrize("phase", ["minimum", "zero"])
def test_a_curve_of_ones_own(tmp_path, monkeypatch, capsys, phase):
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("frequency_hz,gain_db\n100,-6\n1000,0\n4000,8\n12000,-10\n")
    assert (
        run(
            "response",
            "-f",
            "mine.csv",
            "--phase",
            phase,
            "--order",
            4096,
            "--freqs",
            "100,1000,4000,12000",
        )
        == 0
    )
    assert table(capsys.readouterr().out)[1][:, 1] == pytest.approx([-6, 0, 8, -10], abs=0.05)
    assert run("response", "-q", "-f", "mine.csv+headphone", "--points", 3) == 0
    assert run("response", "-q", "-f", "mine.csv", "--tolerance", 0.2, "--points", 3) == 0


def test_files_by_extension(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = ["a.csv", "a.json", "a.png", "a.svg", "a.pdf"]
    outputs = [word for name in names for word in ("-o", name)]
    asked = ["-q", "-f", "headphone", "-f", "middle-ear", "--order", 512, "--points", 33]
    assert run("response", *asked, *outputs) == 0
    assert capsys.readouterr().out == ""
    run("response", *asked)
    assert Path("a.csv").read_text() == capsys.readouterr().out
    found = json.loads(Path("a.json").read_text())
    assert [entry["filter"] for entry in found] == ["headphone", "middle-ear"]
    assert found[0]["order"] == 512
    assert found[0]["deviation_hz"] == 125.0
    assert len(found[1]["group_delay_s"]) == 33
    heads = [Path(name).read_bytes()[:5] for name in names[2:]]
    assert heads == [b"\x89PNG\r", b"<?xml", b"%PDF-"]
    first = {name: Path(name).read_bytes() for name in names}
    assert run("response", *asked, *outputs, "--force") == 0
    assert {name: Path(name).read_bytes() for name in names} == first


def test_stdout_beside_a_file(tmp_path, capsys):
    assert (
        run(
            "response",
            "-q",
            "-f",
            "headphone",
            "--freqs",
            "1000",
            "-o",
            tmp_path / "a.json",
            "-o",
            "-",
        )
        == 0
    )
    assert table(capsys.readouterr().out)[1][0, 0] == 1000


def test_a_measurement_is_laid_beside(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    freqs = [250, 1000, 4000, 30000]
    run("response", "-q", "-f", "headphone", "--freqs", "250,1000,4000")
    levels = [*(table(capsys.readouterr().out)[1][:, 1] + [1.0, 1.0, 4.0]), 0.0]
    Path("mine.csv").write_text(
        "frequency_hz,gain_db\n"
        + "".join(f"{f},{g!r}\n" for f, g in zip(freqs, map(float, levels), strict=True))
    )
    assert (
        run(
            "response",
            "-f",
            "headphone",
            "--compare",
            "mine.csv",
            "--freqs",
            "1000",
            "-o",
            "-",
            "-o",
            "a.json",
            "-o",
            "a.pdf",
        )
        == 0
    )
    out, err = capsys.readouterr()
    assert (
        "mine.csv minus headphone at 3 frequencies: +2.00 dB on average, 1.41 dB rms around "
        "that, +4.00 dB at most, at 4000 Hz" in err
    )
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["filter"], float(row["frequency_hz"])) for row in rows] == [
        ("headphone", 1000),
        *(("mine.csv", f) for f in freqs),
    ]
    assert rows[1]["magnitude_db"] == repr(float(levels[0]))
    assert json.loads(Path("a.json").read_text())[1]["phase_rad"] == [None] * 4


def test_refusals(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("there.png").write_bytes(b"precious")
    refused = [
        (("-o", "there.png"), "there.png exists; --force"),
        (("-o", "a.bmp"), "a.bmp: a response is written as .csv, .json, .png, .svg, .pdf"),
        (("-o", "a.csv", "-o", "./a.csv"), "need two names"),
        (("-o", "a.csv", "-o", "A.csv"), "need two names"),
        (("--freqs", "1k"), "--freqs 1k: frequencies in Hz are written"),
        (("--freqs", "30000"), "30000 Hz is asked for; at 48000 Hz"),
        (("--freqs", "nan"), "nan Hz"),
        (("--fmin", "0"), "log scale"),
        (("--scale", "mel"), "--scale"),
        (("--compare", "none.csv"), "cannot read none.csv"),
        (("--flow", "30"), "no option --flow"),
        (("-o", "a.png", "--width", "5"), "--width 5"),
    ]
    for arguments, message in refused:
        assert run("response", "-f", "headphone", *arguments) == 2
        out, err = capsys.readouterr()
        assert message in err
        assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]


def test_without_the_extra_the_message_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "plotext", None)
    for arguments, name in ((("-o", tmp_path / "a.png"), "matplotlib"), (("--show",), "plotext")):
        assert run("response", "-f", "headphone", *arguments) == 2
        out, err = capsys.readouterr()
        assert (
            f"need {name}, which is not installed; get it with: pip install 'earfilt[plot]'" in err
        )
        assert out == ""
    assert run("response", "-f", "headphone", "-o", tmp_path / "a.csv") == 0


@pytest.mark.parametrize("columns", [60, 200])
def test_show_off_a_terminal_is_plain_and_fits(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "40")
    assert run("response", "-q", "-f", "headphone", "--show") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    drawing, legend = out.split("dB over Hz\n")
    assert max(map(len, drawing.splitlines())) <= columns
    for tick in ("20", "100", "1k", "10k"):
        assert tick in drawing.split()[-20:] or f" {tick} " in drawing
    assert "headphone, order 512, minimum phase, Pralong & Carlile 1996" in legend


@pytest.mark.parametrize(("columns", "no_color"), [(60, ""), (200, ""), (80, "1")])
def test_show_in_a_real_terminal(tmp_path, columns, no_color):
    tmux = need("tmux")
    server = ["tmux", "-L", f"earfilt-{os.getpid()}-{columns}"]
    earfilt = f"{sys.executable} -c 'from earfilt.cli import main; main()'"
    command = f"{earfilt} response -q -f headphone -f middle-ear --show; touch {tmp_path}/done; cat"
    environment = single_threaded() | {"NO_COLOR": no_color}
    try:
        subprocess.run(
            [tmux, *server[1:], "new-session", "-d", "-x", str(columns), "-y", "40", command],
            check=True,
            env=environment,
        )
        deadline = time.monotonic() + 120
        while not (tmp_path / "done").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.3)
        screen = subprocess.run(
            [*server, "capture-pane", "-p", "-e"], capture_output=True, text=True, check=True
        ).stdout
    finally:
        subprocess.run([*server, "kill-server"], check=False, capture_output=True)
    assert "dB over Hz" in screen
    assert "published points" in screen
    assert ("\x1b[" in screen) == (not no_color)
