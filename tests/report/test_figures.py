"""Figures and drawings: what is shown, where, and that it can be printed."""

import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from earfilt.report.figures import (
    PANELS,
    SUFFIXES,
    Line,
    Measurement,
    compose,
    figure,
    ticks_between,
)
from earfilt.report.terminal import terminal
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.response import frequency_grid, respond
from tests.conftest import ROOT

FREQS = frequency_grid(48000.0, points=64)


def line(level=0.0, label="an ear, order 2, minimum phase\nSomebody 2001", points=True):
    response = respond(Fir(np.array([0.5, 0.3, 0.2]) * 10 ** (level / 20), 48000.0, 1), FREQS)
    return Line(
        label, response, (np.array([20.0, 1000.0, 9000.0]), np.full(3, level)) if points else None
    )


MINE = Measurement("mine $1.csv", np.array([100.0, 5000.0]), np.array([-12.0, 9.0]))


def test_the_curve_its_points_and_the_measurement_lie_on_one_log_axis():
    (ax,) = compose([line(), line(-6.0)], measurements=[MINE]).axes
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == (
        "log",
        "Frequency (Hz)",
        "Magnitude (dB)",
    )
    assert ax.get_xlim() == (20.0, 20000.0)
    drawn = [np.column_stack(artist.get_data()) for artist in ax.get_lines()]
    assert np.array_equal(drawn[0], np.column_stack([MINE.freqs, MINE.gain_db]))
    assert np.array_equal(drawn[1], np.column_stack([FREQS, line().response.magnitude_db]))
    assert drawn[2][:, 1].tolist() == [0, 0, 0]
    assert drawn[4][:, 1].tolist() == [-6, -6, -6]
    low, high = ax.get_ylim()
    assert low < -12
    assert high > 9


def test_curves_differ_without_colour():
    lines = compose([line(points=False) for _ in range(5)]).axes[0].get_lines()
    dashes = {str(artist._unscaled_dash_pattern) for artist in lines}
    assert len(dashes) == 5
    markers = compose([line() for _ in range(5)]).axes[0].get_lines()[1::2]
    assert len({artist.get_marker() for artist in markers}) == 5


@pytest.mark.parametrize("width_mm", [60.0, 85.0, 174.0])
def test_the_legend_names_source_and_order_inside_the_figure(width_mm):
    label = (
        "outer-middle-ear:1997-diffuse, order 4096, zero phase, published "
        "convention\nMoore et al. 1997; ANSI S3.4-2007"
    )
    drawing = compose(
        [line(label=label), line(), line()], measurements=[MINE], panels=PANELS, width_mm=width_mm
    )
    drawing.draw_without_rendering()
    (legend,) = drawing.legends
    texts = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    assert texts[0] == label.replace("\n", " ")
    assert texts[3] == r"mine \$1.csv"
    page, box = drawing.bbox, legend.get_window_extent()
    assert page.x0 <= box.x0
    assert box.x1 <= page.x1
    assert page.y0 <= box.y0
    for ax in drawing.axes:
        inner = ax.get_tightbbox()
        assert page.x0 <= inner.x0
        assert inner.x1 <= page.x1
        assert inner.y0 >= box.y1 - 1
        assert ax.get_window_extent().height > 60 * drawing.dpi / 300


def test_all_panels_share_the_frequency_axis():
    drawing = compose([line()], panels=PANELS)
    assert [ax.get_ylabel() for ax in drawing.axes] == [
        "Magnitude (dB)",
        "Phase (rad)",
        "Group delay (ms)",
    ]
    assert [bool(ax.get_xlabel()) for ax in drawing.axes] == [False, False, True]


def test_a_column_is_85_mm_at_300_dpi_in_type_of_7_points():
    data = figure([line()], ".png")
    assert struct.unpack(">I", data[16:20])[0] == int(85 / 25.4 * 300)
    sizes = {float(size) for size in re.findall(rb"/F\d+ ([\d.]+) Tf", _uncompressed_pdf())}
    assert sizes
    assert min(sizes) >= 7.0


def _uncompressed_pdf():
    streams = re.findall(
        rb"FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", figure([line()], ".pdf"), re.DOTALL
    )
    return b"\n".join(zlib.decompressobj().decompress(stream) for stream in streams)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_curves_make_equal_bytes(suffix, monkeypatch):
    first = figure([line()], suffix, measurements=[MINE])
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert figure([line()], suffix, measurements=[MINE]) == first


def test_deep_notches_and_single_points_can_be_drawn():
    notch = respond(Fir(np.array([1.0, 0.0, 1.0]), 48000.0), np.array([0.0, 12000.0, 24000.0]))
    (ax,) = compose([Line("notch", notch)], scale="linear").axes
    assert ax.get_ylim()[0] > -100
    single = respond(Fir(np.ones(2), 48000.0), np.array([1000.0]))
    assert figure([Line("single", single)], ".svg")
    assert "single" in terminal([Line("single", single)])
    silence = respond(Fir(np.zeros(2), 48000.0), FREQS)
    assert figure([Line("silence", silence)], ".svg", panels=PANELS)
    assert "silence" in terminal([Line("silence", silence)])


def test_a_name_that_the_font_lacks_is_no_reason_to_fail():
    assert figure([line(label="耳 \x1b[31m $x$.csv")], ".png")


def test_ticks_thin_out_to_decades():
    assert ticks_between(20.0, 20000.0, most=10) == [
        20,
        50,
        100,
        200,
        500,
        1000,
        2000,
        5000,
        10000,
        20000,
    ]
    assert ticks_between(20.0, 20000.0, most=9) == [100, 1000, 10000]


# The terminal


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
@pytest.mark.parametrize("colour", [True, False])
def test_the_drawing_fits_and_the_legend_is_whole(columns, colour):
    text = terminal(
        [line(), line(-9.0)], measurements=[MINE], columns=columns, rows=30, colour=colour
    )
    assert ("\x1b[" in text) == colour
    plain = re.sub(r" *\x1b\[[\d;]*m *\n", "\n", text)
    plain = re.sub(r"\x1b\[[\d;]*m", "", plain)
    drawing, legend = plain.split("dB over Hz\n")
    assert max(map(len, drawing.splitlines())) <= max(40, columns - 1)
    assert len(plain.splitlines()) <= 30
    assert max(map(len, legend.splitlines())) <= max(40, columns - 1)
    assert "an ear, order 2, minimum phase, Somebody 2001" in " ".join(legend.split())
    assert "o published points" in legend
    assert "x mine $1.csv" in legend


def test_levels_stand_where_the_axis_says():
    flat = Line("flat", respond(Fir(np.array([1.0]), 48000.0), FREQS))
    tilted = Measurement("m", np.array([20.0, 20000.0]), np.array([-20.0, 20.0]))
    rows = terminal([flat], measurements=[tilted], columns=100, rows=40, colour=False).splitlines()
    assert re.match(r" *0┤[⠀-⣿]{60,}", rows[next(i for i, row in enumerate(rows) if " 0┤" in row)])
    below, above = (
        next(i for i, row in enumerate(rows) if re.search(pattern, row))
        for pattern in (r"┤?[│┤]x", r"x│")
    )
    assert below > above
    assert "-20┤x" in rows[below]


def test_without_colours_several_curves_are_digits():
    text = terminal([line(points=False), line(-9.0, points=False)], colour=False)
    assert text.count("1") > 20
    assert text.count("2") > 20
    assert "1 an ear" in text
    assert "2 an ear" in text


def test_plotting_libraries_load_on_use_only():
    code = (
        "import sys, earfilt.report.figures, earfilt.report.terminal; "
        "sys.exit(bool({'matplotlib', 'plotext'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Nobody's settings


def hostile_settings(folder):
    """Files that matplotlib would read in a folder; the first would make it wait for ever."""
    os.mkfifo(folder / "matplotlibrc")
    (folder / "users").mkdir()
    (folder / "users" / "matplotlibrc").write_text(
        "axes.facecolor: red\nfont.size: 30\nlines.linewidth: 9\nsavefig.bbox: tight\n"
    )
    (folder / "users" / "stylelib").mkdir()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_curves_make_equal_bytes_whatever_the_user_has_set(suffix, tmp_path):
    hostile_settings(tmp_path)
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n"
        "from tests.report.test_figures import MINE, figure, line\n"
        f"sys.stdout.buffer.write(figure([line()], {suffix!r}, measurements=[MINE]))"
    )
    users = {
        "MATPLOTLIBRC": str(tmp_path / "users"),
        "MPLCONFIGDIR": str(tmp_path / "users"),
        "MPLBACKEND": "svg",
    }
    environment = {
        **os.environ,
        **users,
        "SOURCE_DATE_EPOCH": "1",
        "TZ": "Asia/Tokyo",
        "PYTHONHASHSEED": "7",
    }
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == figure([line()], suffix, measurements=[MINE])


def test_the_programs_own_style_stays_and_does_not_show():
    import matplotlib

    first = figure([line()], ".svg")
    with matplotlib.rc_context(
        {"axes.facecolor": "red", "font.size": 30.0, "savefig.dpi": 10.0, "svg.fonttype": "none"}
    ):
        assert figure([line()], ".svg") == first
        assert matplotlib.rcParams["font.size"] == 30.0
