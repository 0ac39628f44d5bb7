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

import earfilt
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


def test_numbers_that_are_taken_four_times_are_not_called_published(tmp_path, capsys):
    asked = ("-f", "outer-middle-ear", "--order", "64", "--fs", "16000")
    for convention, said in (("amt", "the points as the AMT applies them"), ("published", "")):
        drawing = tmp_path / f"{convention}.svg"
        words = (*asked, "--convention", convention)
        assert run("response", *words, "-o", drawing, "--show") == 0
        out, err = capsys.readouterr()
        ours = convention == "published"
        assert ("the published points" in err) == ours
        assert said in err
        assert ("published points" in out) == ours
        assert ("the AMT's, four times" in out) != ours
        assert drawing.exists()


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
    names = ["a.csv", "a.json", "a.png", "a.svg", "a.pdf", "a.eps"]
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
    assert heads == [b"\x89PNG\r", b"<?xml", b"%PDF-", b"%!PS-"]
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


def test_every_curve_is_0_db_where_it_is_relative_to(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("frequency_hz,gain_db\n100,-6\n1000,3\n10000,9\n")
    asked = ["-q", "-f", "iso532-free", "-f", "peaq", "--compare", "mine.csv"]
    run("response", *asked, "--freqs", "1000,4000")
    absolute = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    asked += ["--freqs", "1000,4000", "--relative-to", 1000]
    assert run("response", *asked, "-o", "-", "-o", "a.json") == 0
    relative = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["magnitude_db"]) for row in relative[::2][:2]] == [0.0, 0.0]
    assert [float(row["magnitude_db"]) for row in relative[4:]] == pytest.approx([-9, 0, 6])
    for before, after in zip(absolute[1:4:2], relative[1:4:2], strict=True):
        level = float(absolute[absolute.index(before) - 1]["magnitude_db"])
        wanted = float(before["magnitude_db"]) - level
        assert float(after["magnitude_db"]) == pytest.approx(wanted, abs=1e-12)
        assert after["phase_rad"] == before["phase_rad"]
    found = json.loads(Path("a.json").read_text())
    assert [entry["relative_to_hz"] for entry in found] == [1000, 1000, 1000]
    assert found[0]["magnitude_db"][0] == 0.0


def test_labels_name_the_curves_of_drawings_and_no_row_of_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("frequency_hz,gain_db\n100,-6\n1000,0\n4000,8\n")
    asked = ["-q", "-f", "headphone", "-f", "peaq", "--compare", "mine.csv", "--points", 9]
    asked += ["--label", "Pralong", "--label", "BS.1387"]
    assert run("response", *asked, "--show", "-o", "a.csv") == 0
    drawn = capsys.readouterr().out
    assert "Pralong" in drawn
    assert "BS.1387" in drawn
    assert "x mine.csv" in drawn
    assert {row.split(",")[0] for row in Path("a.csv").read_text().splitlines()[1:]} == {
        "headphone",
        "peaq",
        "mine.csv",
    }
    assert run("response", *asked, "--label", "my own ear", "--show") == 0
    assert "x my own ear" in capsys.readouterr().out
    assert run("response", *asked, "--label", "c", "--label", "d", "--show") == 2
    assert "--label is given 4 times; it takes 2, one for each filter or 3" in (
        capsys.readouterr().err
    )


def test_how_a_figure_looks_changes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["response", "-q", "-f", "p58-hats-free", "-f", "peaq", "--points", 33, "--force"]
    looks = [
        [],
        ["--relative-to", "1000"],
        ["--ymin", "-9"],
        ["--ymax", "30"],
        ["--legend", "inside"],
        ["--legend", "off"],
        ["--label", "a", "--label", "b"],
        ["--panel", "magnitude", "--panel", "difference"],
        ["--panel", "phase"],
        ["--panel", "phase", "--degrees"],
        ["--panel", "phase", "--wrapped"],
    ]
    made = set()
    for look in looks:
        assert run(*asked, *look, "-o", "a.svg") == 0, look
        made.add(Path("a.svg").read_bytes())
    assert len(made) == len(looks)


def test_what_it_writes_is_read_as_a_curve_or_said_to_be_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    linear = ("--scale", "linear", "--points", "2001")
    assert run("response", "-f", "headphone", *linear, "-o", "one.csv", "-o", "one.json") == 0
    assert run("response", "-f", "headphone", "-f", "middle-ear", "-o", "both.csv") == 0
    freqs = np.linspace(0, 20000, 2001)
    levels = [earfilt.response(name, freqs=freqs).magnitude_db for name in ("headphone", "one.csv")]
    assert np.abs(levels[0] - levels[1]).max() < 0.11
    capsys.readouterr()
    assert run("response", "-f", "one.json") == 2
    assert "one.json holds curves, as 'earfilt response' writes them" in capsys.readouterr().err
    assert run("response", "-f", "both.csv") == 2
    said = capsys.readouterr().err
    assert "column 'filter' tells apart (headphone, middle-ear); keep the rows of one" in said


def test_what_is_said_of_a_target_or_a_measurement_can_be_done(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("m.csv").write_text("frequency_hz,gain_db\n100,-1\n1000,0\n10000,3\n")
    Path("german.csv").write_text("frequency;gain\n100;1,125\n1.000;2,250\n10.000;-3,125\n")
    Path("two.csv").write_text("frequency,left,right\n100,1,2\n1000,2,3\n10000,-3,-1\n")
    for name, flags in (("german.csv", ()), ("two.csv", ("--compare-column",))):
        assert run("response", "-f", "m.csv", "--target", name) == 2
        assert "--" not in capsys.readouterr().err
        assert run("response", "-f", "m.csv", "--compare", name) == 2
        said = capsys.readouterr().err
        assert {word for word in said.split() if word.startswith("--")} == {*flags}


def test_refusals(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("there.png").write_bytes(b"precious")
    refused = [
        (("-o", "there.png"), "there.png exists; --force"),
        (("-o", "a.bmp"), "a.bmp: a response is written as .csv, .json, .png, .svg, .pdf, .eps"),
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
        (("-o", "a.png", "--panel", "difference"), "there is only one"),
        (("-o", "a.png", "--ymin", "5", "--ymax", "5"), "are not a range"),
        (("-o", "a.png", "--ymin", "inf"), "--ymin inf is not a level"),
        (("-o", "a.png", "--degrees"), "--degrees would have no effect"),
        (("-o", "a.png", "--panel", "delay", "--wrapped"), "--wrapped would have no effect"),
        (("-o", "a.png", "--label", "a", "--label", "b"), "--label is given 2 times"),
        (("--legend", "off"), "--legend would have no effect"),
        (("--ymax", "3"), "--ymax would have no effect"),
        (("-o", "a.html", "--ymax", "3"), "--ymax would have no effect"),
        (("-o", "a.html", "--legend", "off"), "--legend would have no effect"),
        (("-o", "a.png", "--panel", "delay", "--ymin", "3"), "--ymin would have no effect"),
        (("--show", "--ymin", "5", "--ymax", "5"), "are not a range"),
        (("--label", "a"), "--label would have no effect"),
        (("--relative-to", "30000"), "30000 Hz is asked for"),
        (("--relative-to", "nan"), "nan Hz"),
        *(
            (("--fs", fs, *more), "it must be a sampling rate")
            for fs in ("-1", "nan", "0")
            for more in ((), ("--freqs", "100"))
        ),
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
    monkeypatch.setattr("earfilt.chains.build.design", None)  # the refusal comes before all work
    assert run("response", "-f", "headphone", "-o", tmp_path / "a.png") == 2


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


def test_a_standard_output_without_its_characters_is_told(tmp_path, monkeypatch, capsys):
    """As of a terminal in Latin-1; nothing is written then."""
    with (tmp_path / "said").open("w", encoding="latin-1") as narrow:
        monkeypatch.setattr("sys.stdout", narrow)
        words = ("-f", "headphone", "--show", "-o", str(tmp_path / "a.csv"))
        assert run("response", *words) == 2
    said = capsys.readouterr().err
    assert "--show draws with characters that latin-1, the encoding of the standard output" in said
    assert (tmp_path / "said").read_text() == ""
    assert not (tmp_path / "a.csv").exists()
