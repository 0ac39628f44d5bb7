"""Figures and drawings: what is shown, where, and that it can be printed."""

import os
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest

from earfilt.chains.members import resolve
from earfilt.errors import UsageError
from earfilt.report.figures import PANELS, SUFFIXES, Look, compose, figure
from earfilt.report.lines import (
    Band,
    Line,
    Measurement,
    line_of,
    relative,
    ticks_between,
    with_between,
)
from earfilt.report.terminal import terminal
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.response import Response, frequency_grid, respond
from tests.conftest import ROOT

FREQS = frequency_grid(48000.0, points=64)


def line(level=0.0, label="an ear, order 2, minimum phase\nSomebody 2001", points=True):
    response = respond(Fir(np.array([0.5, 0.3, 0.2]) * 10 ** (level / 20), 48000.0, 1), FREQS)
    return Line(
        label, response, (np.array([20.0, 1000.0, 9000.0]), np.full(3, level)) if points else None
    )


PAIR = Fir(np.eye(12)[[6, 3]] * [[1.0], [0.5]], 48000.0)
"""The left ear 3 samples behind the right one, and 6.02 dB above it."""
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
    assert drawn[3][:, 1].tolist() == [0, 0, 0]
    assert drawn[4][:, 1].tolist() == [-6, -6, -6]
    low, high = ax.get_ylim()
    assert low < -12
    assert high > 9


def test_curves_differ_without_colour():
    lines = compose([line(points=False) for _ in range(5)]).axes[0].get_lines()
    dashes = {str(artist._unscaled_dash_pattern) for artist in lines}
    assert len(dashes) == 5
    markers = compose([line() for _ in range(5)]).axes[0].get_lines()[5:]
    assert len({artist.get_marker() for artist in markers}) == 5


@pytest.mark.parametrize("width_mm", [60.0, 85.0, 174.0])
def test_the_legend_names_source_and_order_inside_the_figure(width_mm):
    label = (
        "outer-middle-ear:1997-diffuse, order 4096, zero phase, published "
        "convention\nMoore et al. 1997; ANSI S3.4-2007"
    )
    drawing = compose(
        [*with_between([line(label=label), line()], PAIR), line()],
        Look(panels=PANELS, width_mm=width_mm),
        measurements=[MINE],
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


def panel(name, *lines, **look):
    """The axes of one panel alone."""
    measurements = look.pop("measurements", ())
    (ax,) = compose(lines, Look(panels=[name], **look), measurements=measurements).axes
    return ax


def test_between_two_ears_lie_time_and_level():
    ears = with_between([line(), line(-6.0)], PAIR)
    for name, value, words in (("itd", 62.5, "ITD (µs)"), ("ild", 6.0206, "ILD (dB)")):
        ax = panel(name, line(), *ears)
        _, drawn = ax.get_lines()
        np.testing.assert_allclose(drawn.get_ydata(), value, rtol=1e-5)
        np.testing.assert_array_equal(drawn.get_xdata(), FREQS)
        assert ax.get_ylabel() == words
        with pytest.raises(UsageError, match=f"a panel of {name} .* no filter here is a pair"):
            panel(name, line(), line())
    (legend,) = compose(ears, Look(panels=["ild"])).legends
    assert "left minus right" in legend.get_title().get_text()


def test_differences_are_to_the_first_curve():
    ax = panel("difference", line(), line(-6.0), measurements=[MINE])
    measured, first, second = (np.asarray(artist.get_ydata(), float) for artist in ax.get_lines())
    assert set(first) == {0.0}
    assert second == pytest.approx(np.full(64, -6.0))
    level = np.interp(MINE.freqs, FREQS, line().response.magnitude_db)
    assert measured == pytest.approx(MINE.gain_db - level)
    with pytest.raises(UsageError, match="there is only one"):
        panel("difference", line())


def test_beyond_what_was_published_of_either_curve_a_difference_is_faint():
    first = replace(line(points=False), range_hz=(100.0, 20000.0))
    second = replace(line(-6.0, points=False), range_hz=(20.0, 8000.0))
    _, faint, bold = panel("difference", first, second).get_lines()
    freqs = bold.get_xdata()
    assert 100 <= freqs.min() < 120
    assert 7000 < freqs.max() <= 8000
    drawn = faint.get_xdata()[np.isfinite(faint.get_ydata())]
    assert not ((drawn > 120) & (drawn < 7000)).any()  # nothing shows through the dashes
    assert {20.0, 20000.0} <= set(drawn)


def test_the_phase_in_degrees_wrapped_or_not():
    delayed = Line("late", respond(Fir(np.eye(9)[8], 48000.0), FREQS))
    wanted = -8 * FREQS / 48000.0  # turns
    for degrees, turn in ((False, 2 * np.pi), (True, 360.0)):
        ax = panel("phase", delayed, degrees=degrees)
        assert ax.get_lines()[0].get_ydata() == pytest.approx(turn * wanted, abs=1e-6)
        wrapped = panel("phase", delayed, degrees=degrees, wrapped=True).get_lines()[0].get_ydata()
        assert wrapped == pytest.approx(turn * (wanted - np.round(wanted)), abs=1e-6)
    assert ax.get_ylabel() == "Phase (°)"
    assert {tick % 90 for tick in ax.get_yticks()} == {0.0}


def test_the_range_of_levels_can_be_given_and_holds_what_is_drawn():
    ax = panel("magnitude", line(), ymin=-30.0, ymax=0.5)
    assert ax.get_ylim() == (-30.0, 0.5)
    ax = panel("magnitude", line(), line(-6.0), ymin=-3.0)
    assert ax.get_ylim()[0] == -3.0
    markers = [artist for artist in ax.get_lines() if not artist.get_clip_on()]
    assert [len(artist.get_ydata()) for artist in markers] == [3, 0]
    for wrong in ({"ymin": 3.0, "ymax": 3.0}, {"ymin": 99.0}):
        with pytest.raises(UsageError, match="are not a range"):
            panel("magnitude", line(), **wrong)
    with pytest.raises(UsageError, match="ymax=nan is not a level"):
        panel("magnitude", line(), ymax=float("nan"))


def test_the_legend_says_what_the_marks_are():
    for marks, said in (
        (["published"], "marker: published;"),
        (["the AMT's"], "marker: the AMT's;"),
        (["published", "the AMT's"], "marker: published or the AMT's;"),
    ):
        lines = [replace(line(), marks=one) for one in marks]
        title = compose(lines).legends[0].get_title().get_text()
        assert said in " ".join(title.split())


def test_the_legend_lies_below_on_the_axes_or_nowhere():
    named = replace(line(), name="short")
    drawing = compose([named], Look(legend="inside"))
    assert not drawing.legends
    (text,) = drawing.axes[0].get_legend().get_texts()
    assert text.get_text() == "short"
    without = compose([named], Look(legend="off"))
    assert not without.legends
    assert without.axes[0].get_legend() is None
    assert without.get_figheight() < compose([named]).get_figheight()


def test_a_legend_on_the_axes_hides_no_curve_where_there_is_room():
    freqs = np.geomspace(20.0, 20_000.0, 400)
    for place in (0.15, 0.85):  # of a peak, which the legend would hide above it
        level = 14.0 * np.exp(-((np.linspace(0.0, 1.0, 400) - place) ** 2) / 0.005)
        flat = Response(freqs, level, np.zeros(400), np.zeros(400))
        lines = [Line(name, flat, fs=48000.0) for name in ("a curve", "another curve")]
        drawing = compose(lines, Look(legend="inside", ymin=-1.0, ymax=15.0))
        drawing.draw_without_rendering()
        (ax,) = drawing.axes
        box = ax.get_legend().get_window_extent()
        for drawn in ax.get_lines():
            points = drawn.get_transform().transform(drawn.get_xydata())
            assert not box.count_contains(points)


def test_bands_lie_about_the_published_points_and_within_the_axis():
    points = np.array([20.0, 1000.0, 9000.0])
    wide = Band(points, np.full(3, -30.0), np.full(3, 20.0))
    drawing = compose([replace(line(), bands=(wide,))])
    (ax,) = drawing.axes
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    assert {tuple(corner) for corner in corners} >= {(1000.0, -30.0), (1000.0, 20.0)}
    assert ax.get_ylim()[0] < -30 < 20 < ax.get_ylim()[1]
    assert "band:" in drawing.legends[0].get_title().get_text()


def test_a_source_that_states_tolerances_has_a_band_and_a_chain_has_none():
    table = np.loadtxt(ROOT / "data/tables/p58_hats_free.csv", delimiter=",", skiprows=3)
    for name, shift in (("p58-hats-free", 0.0), ("p58-hats-free", 2.0)):
        filter = resolve(name)
        fir = filter.at(48000.0)
        drawn = line_of(filter, fir, respond(fir, FREQS), below_db=shift)
        (band,) = drawn.bands
        freqs, nominal, lower, upper = table[table[:, 0] <= 24000].T
        assert np.array_equal(band.freqs, freqs)
        assert band.low_db == pytest.approx(nominal + lower - shift)
        assert band.high_db == pytest.approx(nominal + upper - shift)
    for name in ("p58-hats-free+middle-ear", "inverse:p58-hats-free"):
        filter = resolve(name)
        fir = filter.at(48000.0)
        assert line_of(filter, fir, respond(fir, FREQS)).bands == ()


def test_a_measurement_relative_to_a_frequency():
    moved = relative(MINE, 500.0)
    level = np.interp(np.log(500.0), np.log(MINE.freqs), MINE.gain_db)
    assert moved.gain_db == pytest.approx(MINE.gain_db - level)
    with pytest.raises(UsageError, match="relative_to=50 lies outside mine"):
        relative(MINE, 50.0)


def test_low_panels_have_at_least_three_ticks():
    for name in ("phase", "delay"):
        ax = panel(name, line())
        low, high = ax.get_ylim()
        assert len([tick for tick in ax.get_yticks() if low <= tick <= high]) >= 3


def test_an_eps_is_whole_and_says_no_time():
    faint = replace(line(), range_hz=(100.0, 1000.0))
    data = figure([faint], ".eps")  # warnings are errors: nothing in it lets light through
    assert data.startswith(b"%!PS-Adobe-3.0 EPSF-3.0")
    assert b"CreationDate" not in data
    assert data.rstrip().endswith(b"showpage")


@pytest.mark.parametrize("look", [{"panels": ()}, {"panels": ["gain"]}, {"legend": "above"}])
def test_looks_that_there_are_none_of(look):
    with pytest.raises(UsageError, match=r"panels of magnitude|legend is one of outside"):
        compose([line()], Look(**look))


def test_all_panels_share_the_frequency_axis():
    drawing = compose(with_between([line(), line()], PAIR), Look(panels=PANELS))
    assert [ax.get_ylabel() for ax in drawing.axes] == [
        "Magnitude (dB)",
        "Difference (dB)",
        "Phase (rad)",
        "Group delay (ms)",
        "ITD (µs)",
        "ILD (dB)",
    ]
    assert [bool(ax.get_xlabel()) for ax in drawing.axes] == [*[False] * 5, True]


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
    (ax,) = compose([Line("notch", notch)], Look(scale="linear")).axes
    assert ax.get_ylim()[0] > -100
    single = respond(Fir(np.ones(2), 48000.0), np.array([1000.0]))
    assert figure([Line("single", single)], ".svg")
    assert "single" in terminal([Line("single", single)])
    silence = respond(Fir(np.zeros(2), 48000.0), FREQS)
    assert figure([Line("silence", silence)], ".svg", Look(panels=("magnitude", "phase", "delay")))
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
    assert ("o published points" if colour else "o + published points") in legend
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


def test_without_colours_every_curve_and_measurement_has_marks_of_its_own():
    lines = [line(), line(-9.0), line(-15.0)]
    others = [MINE, Measurement("other", np.array([300.0, 3000.0]), np.array([3.0, 5.0]))]
    text = terminal(lines, measurements=others, colour=False, columns=120, rows=40)
    drawing, legend = text.split("dB over Hz\n")
    samples = re.findall(r"^(\S+(?: [+*o])*) ", legend, re.MULTILINE)
    assert samples == ["1o", "2+", "3*", "o + *", "x", "z"]
    assert all(mark in drawing for mark in "1o2+3*xz")


def test_the_levels_of_a_terminal_can_be_chosen():
    """Nothing beyond the ends is drawn, not along them either."""
    ear = line()
    found = ear.response.magnitude_db
    low, high = np.quantile(found, [0.3, 0.7])
    whole = terminal([ear], colour=False, columns=100, rows=40)
    part = terminal([ear], colour=False, columns=100, rows=40, ymin=low, ymax=high)

    def columns_drawn(text):
        rows = [row for row in text.split("dB over Hz")[0].splitlines() if "⠀" not in row]
        width = max(map(len, rows))
        signs = ["".join(row.ljust(width)[k] for row in rows) for k in range(6, width - 1)]
        return sum(bool(re.search("[\u2801-\u28ff]", sign)) for sign in signs)

    assert columns_drawn(part) < 0.6 * columns_drawn(whole)
    labels = [float(word) for word in re.findall(r"^ *(-?\d+(?:\.\d+)?)┤", part, re.MULTILINE)]
    assert labels
    assert low <= min(labels) <= max(labels) <= high
    with pytest.raises(UsageError, match="are not a range"):
        terminal([ear], ymin=500.0)


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


def test_a_wide_legend_has_two_columns_and_wastes_no_paper():
    narrow, wide = (
        compose([line() for _ in range(6)], Look(width_mm=width)).get_size_inches()[1]
        for width in (85.0, 174.0)
    )
    assert wide < narrow - 0.5


def test_delays_beyond_what_was_published_do_not_set_the_axis():
    """A filter with a delay of 100 samples in its stopband alone."""
    shown = replace(line(), range_hz=(100.0, 1000.0))
    delay = shown.response.group_delay_s.copy()
    delay[shown.response.freqs > 2000.0] = 1.0
    wild = replace(shown, response=replace(shown.response, group_delay_s=delay))
    assert panel("delay", wild).get_ylim() == panel("delay", shown).get_ylim()
