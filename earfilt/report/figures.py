"""How curves look in print: figures by matplotlib, which loads on first use (the extra ``plot``).

A figure has the width of a column and type of 7 to 8 points at that width. Equal curves make equal
bytes.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError, printable
from earfilt.report import style
from earfilt.report.extras import load_extra
from earfilt.report.lines import (
    Line,
    Measurement,
    frequency_range,
    level_range,
    marks_of,
    short_hz,
    ticks_between,
)
from earfilt.synthesis.response import Response

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

SUFFIXES = (".png", ".svg", ".pdf", ".eps")
PANELS = ("magnitude", "difference", "phase", "delay", "itd", "ild")
_BETWEEN = ("itd", "ild")  # two ears
LEGENDS = ("outside", "inside", "off")
COLUMN_MM = 85.0
_HEIGHTS_MM = {
    "magnitude": 48.0,
    "difference": 26.0,
    "phase": 26.0,
    "delay": 26.0,
    "itd": 26.0,
    "ild": 26.0,
}
_LEGEND_LINE_MM, _MARGINS_MM = 3.3, 12.0
_LEGEND_SAMPLE_MM, _LEGEND_EDGES_MM = 13.0, 3.0
_MORE_COLUMNS = 8  # than lines of average letters have, where a line is broken
_INSIDE = 0.55  # of the width, for a legend that lies on the axes
_MM, _POINTS, _DPI = 25.4, 72.0, 300  # an inch
_MOST_TICKS = 5  # of a low panel
_DEGREES = (1, 2, 5, 10, 15, 30, 45, *(90 * 2**n for n in range(24)))

_Style = Callable[[int], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a figure looks.

    Attributes
    ----------
    panels : of 'magnitude', 'difference', 'phase', 'delay', 'itd', 'ild'
        From top to bottom; differences are to the first curve, and those of time and level are
        between the ears of each pair, left minus right.
    scale : 'log' or 'linear'
        Frequency axis.
    width_mm : float
        85 is a column, 174 a page; type keeps its size.
    ymin, ymax : float, optional
        Ends of the magnitudes, dB; by default all that was published or measured.
    legend : 'outside', 'inside' or 'off'
        Below the axes, on them where there is room, or none.
    degrees : bool
        The phase in degrees, not radians.
    wrapped : bool
        The principal value of the phase, not the continuous one.
    relative_to : float, optional
        Hz, at which the curves are 0 dB: for the words at the axis.
    """

    panels: Sequence[str] = ("magnitude",)
    scale: str = "log"
    width_mm: float = COLUMN_MM
    ymin: float | None = None
    ymax: float | None = None
    legend: str = "outside"
    degrees: bool = False
    wrapped: bool = False
    relative_to: float | None = None

    def check(self, curves: int, pairs: int) -> None:
        """Refuse a look that a figure of this many curves, and pairs of ears, cannot have.

        Raises
        ------
        UsageError
            An unknown panel or legend; differences of a single curve, or between the ears of none.
        """
        unknown = [panel for panel in self.panels if panel not in PANELS]
        if unknown or not self.panels:
            raise UsageError(f"a figure has panels of {', '.join(PANELS)}")
        if self.legend not in LEGENDS:
            raise UsageError(f"a legend is one of {', '.join(LEGENDS)}")
        if "difference" in self.panels and curves < 2:
            raise UsageError("a panel of differences is to the first curve, and there is only one")
        between = next((panel for panel in self.panels if panel in _BETWEEN), None)
        if between is not None and not pairs:
            raise UsageError(
                f"a panel of {between} shows what lies between two ears, and no filter here is a pair"
            )

    def label(self, panel: str) -> str:
        """The words at the vertical axis of a panel."""
        if panel == "phase":
            return "Phase (°)" if self.degrees else "Phase (rad)"
        if panel == "magnitude" and self.relative_to is not None:
            return f"Magnitude (dB re {_spoken_hz(self.relative_to)})"
        return {
            "magnitude": "Magnitude (dB)",
            "difference": "Difference (dB)",
            "delay": "Group delay (ms)",
            "itd": "ITD (µs)",
            "ild": "ILD (dB)",
        }[panel]


def check_suffix(suffix: str) -> None:
    """Raise UsageError where no figure is written by an extension."""
    if suffix not in SUFFIXES:
        raise UsageError(
            f"'{printable(suffix)}' is not a kind of figure; {', '.join(SUFFIXES)} are"
        )


def figure(
    lines: Sequence[Line],
    suffix: str,
    look: Look | None = None,
    *,
    measurements: Sequence[Measurement] = (),
) -> bytes:
    """A figure as the bytes of a file, which does not say when it was made.

    Parameters
    ----------
    lines, look, measurements
        As for :func:`compose`.
    suffix : '.png', '.svg', '.pdf' or '.eps'

    Raises
    ------
    UsageError
        matplotlib is not installed; or as `Look.check`.
    """
    return figure_bytes(compose(lines, look, measurements=measurements), suffix)


def figure_bytes(drawing: Figure, suffix: str) -> bytes:
    """The bytes of a figure's file, which does not say when it was made."""
    matplotlib = load_extra("matplotlib", "figures")
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix, {})
    buffer = io.BytesIO()
    with (
        style.own_style(matplotlib),
        matplotlib.rc_context(style.FILES),
        warnings.catch_warnings(),
    ):
        # a file's name in a script that the font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing")
        drawing.savefig(buffer, format=suffix[1:], dpi=_DPI, metadata=metadata)
    data = buffer.getvalue()
    # which an EPS need not have, and matplotlib cannot leave out
    return re.sub(rb"(?m)^%%CreationDate: .*\n", b"", data) if suffix == ".eps" else data


def compose(
    lines: Sequence[Line],
    look: Look | None = None,
    *,
    measurements: Sequence[Measurement] = (),
) -> Figure:
    """The figure as matplotlib's object.

    Parameters
    ----------
    lines, measurements
        What to draw; at least one line.
    look : Look, optional
    """
    look = look or Look()
    look.check(len(lines) + len(measurements), sum(line.between is not None for line in lines))
    matplotlib = load_extra("matplotlib", "figures")
    from matplotlib.figure import Figure

    with style.own_style(matplotlib):
        outside = look.legend == "outside"
        columns = max(1, int(look.width_mm // COLUMN_MM)) if outside else 1
        room_mm = look.width_mm / columns if outside else _INSIDE * look.width_mm
        legend = _legend_entries(lines, measurements, room_mm, short=not outside)
        title = _legend_title(look, lines)
        legend_mm = _LEGEND_LINE_MM * (title.count("\n") + 1 + _most_rows(legend, columns))
        heights = [_HEIGHTS_MM[panel] for panel in look.panels]
        size_mm = look.width_mm, sum(heights) + _MARGINS_MM + (legend_mm if outside else 0.0)
        drawing = Figure(figsize=(size_mm[0] / _MM, size_mm[1] / _MM), layout="constrained")
        axes = drawing.subplots(
            len(look.panels), 1, sharex=True, squeeze=False, height_ratios=heights
        )[:, 0].tolist()
        for panel, ax in zip(look.panels, axes, strict=True):
            _draw_panel(ax, panel, look, lines, measurements)
        _set_frequency_axis(axes, lines, look.scale)
        if outside:
            _add_legend(drawing, legend, title, columns)
        elif look.legend == "inside":
            _add_legend_inside(drawing, axes[0], legend)
    return drawing


def _draw_panel(
    ax: Axes, panel: str, look: Look, lines: Sequence[Line], measurements: Sequence[Measurement]
) -> None:
    if panel in _BETWEEN:
        _draw_between(ax, panel, lines)
        _set_level_axis(ax, panel, look)
        return
    for measurement in measurements if panel in ("magnitude", "difference") else ():
        ax.plot(*_measured(measurement, panel, lines), **style.measured_style())
    for index, line in enumerate(lines):
        if panel == "difference" and index == 0:
            ax.axhline(0.0, **style.line_style(index))
            continue
        values = _values(line.response, panel, look, lines)
        published = [lines[0], line] if panel == "difference" else [line]
        for freqs, part, look_of in _parts(line, values, published):
            ax.plot(freqs, part, **look_of(index))
    if panel == "delay":
        ax.set_ylim(*_delays(look, lines))
    if panel == "magnitude":
        ax.set_ylim(*level_range(lines, measurements, ymin=look.ymin, ymax=look.ymax))
        _draw_published(ax, lines)
    _set_level_axis(ax, panel, look)


def _draw_between(ax: Axes, panel: str, lines: Sequence[Line]) -> None:
    """What lies between the ears of each pair, whose right one follows its left one."""
    ax.axhline(0.0, **style.zero_style())
    for index, line in enumerate(lines):
        if line.between is None:
            continue
        values = line.between.time_s * 1e6 if panel == "itd" else line.between.level_db
        for freqs, part, look_of in _parts(line, values, lines[index : index + 2]):
            faint = look_of is style.faint_style
            ax.plot(freqs, part, **style.between_style(index, faint=faint))


def _draw_published(ax: Axes, lines: Sequence[Line]) -> None:
    ends = frequency_range(lines), ax.get_ylim()
    for index, line in enumerate(lines):
        for band in line.bands:
            ax.fill_between(*band, **style.band_style(index))
        if line.points is not None:
            ax.plot(*_inside(line.points, *ends), **style.point_style(index), clip_on=False)


def _delays(look: Look, lines: Sequence[Line]) -> tuple[float, float]:
    """Ends of the axis: the delays where something was published, of lines that have any."""
    published = [line for line in lines if line.range_hz is not None] or lines
    drawn = [
        part
        for line in published
        for _, part, look_of in _parts(line, _values(line.response, "delay", look, lines), [line])
        if look_of is style.line_style
    ]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    margin = max(0.1, 0.08 * (high - low))
    return low - margin, high + margin


def _set_level_axis(ax: Axes, panel: str, look: Look) -> None:
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    ax.set_ylabel(look.label(panel))
    ax.grid(True, which="major", color="#dddddd", linewidth=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(direction="in", which="both", top=True, right=True)
    if panel == "phase" and look.degrees:
        low, high = ax.get_ylim()
        step = next(step for step in _DEGREES if high - low <= _MOST_TICKS * step)
        ax.yaxis.set_major_locator(MultipleLocator(step))
    elif panel != "magnitude":  # a low panel, which would get two ticks
        ax.yaxis.set_major_locator(
            MaxNLocator(_MOST_TICKS, min_n_ticks=3, steps=[1, 2, 2.5, 5, 10])
        )


def _parts(
    line: Line, values: Floats, published: Sequence[Line]
) -> Iterator[tuple[Floats, Floats, _Style]]:
    """A curve within the range that was published of all lines it tells of, and faintly beyond."""
    freqs = line.response.freqs
    ranges = [one.range_hz for one in published if one.range_hz is not None]
    if not ranges:
        yield freqs, values, style.line_style
        return
    low, high = max(low for low, _ in ranges), min(high for _, high in ranges)
    inside = (freqs >= low) & (freqs <= high)
    beyond = ~inside  # and what joins it, but not under the dashes of the rest
    beyond[1:] |= ~inside[:-1]
    beyond[:-1] |= ~inside[1:]
    yield freqs, np.where(beyond, values, np.nan), style.faint_style
    yield freqs[inside], values[inside], style.line_style


def _inside(
    points: tuple[Floats, Floats], hz: tuple[float, float], db: tuple[float, float]
) -> tuple[Floats, Floats]:
    """The points within the axes, so that those at their ends can be drawn whole."""
    freqs, levels = points
    kept = (freqs >= hz[0]) & (freqs <= hz[1]) & (levels >= db[0]) & (levels <= db[1])
    return freqs[kept], levels[kept]


def _values(response: Response, panel: str, look: Look, lines: Sequence[Line]) -> Floats:
    if panel == "magnitude":
        return response.magnitude_db
    if panel == "difference":
        with np.errstate(invalid="ignore"):  # both may be silent
            return response.magnitude_db - lines[0].response.magnitude_db
    if panel == "delay":
        return response.group_delay_s * 1e3
    phase = response.phase_rad if look.wrapped else np.unwrap(response.phase_rad)
    return np.degrees(phase) if look.degrees else phase


def _measured(measurement: Measurement, panel: str, lines: Sequence[Line]) -> tuple[Floats, Floats]:
    """A measurement, or how far it is above the first curve."""
    freqs, gain_db = measurement.freqs, measurement.gain_db
    if panel == "magnitude":
        return freqs, gain_db
    first = lines[0].response
    order = np.argsort(first.freqs)
    grid, level = first.freqs[order], first.magnitude_db[order]
    return freqs, gain_db - np.interp(freqs, grid, level, left=np.nan, right=np.nan)


def _set_frequency_axis(axes: Sequence[Axes], lines: Sequence[Line], scale: str) -> None:
    from matplotlib.ticker import NullFormatter

    low, high = frequency_range(lines)
    for ax in axes:
        ax.set_xscale(scale)
        if low < high:
            ax.set_xlim(low, high)
    axes[-1].set_xlabel("Frequency (Hz)")
    if scale == "log":
        ticks = ticks_between(low, high, most=10)
        axes[-1].set_xticks(ticks, [short_hz(tick) for tick in ticks])
        axes[-1].xaxis.set_minor_formatter(NullFormatter())


def _legend_entries(
    lines: Sequence[Line], measurements: Sequence[Measurement], width_mm: float, *, short: bool
) -> list[Line2D]:
    """One entry a curve, wrapped to the width of the figure; a name where it lies on the axes."""
    from matplotlib.lines import Line2D

    styles = [
        style.line_style(i)
        | ({} if line.points is None else style.point_style(i) | style.dashes(i))
        for i, line in enumerate(lines)
    ]
    styles += [style.measured_style() for _ in measurements]
    labels = [line.name if short and line.name else line.label for line in lines]
    labels += [measurement.label for measurement in measurements]
    return [
        Line2D([], [], label=_wrapped(label, width_mm - _LEGEND_SAMPLE_MM), **style)
        for label, style in zip(labels, styles, strict=True)
    ]


def _wrapped(text: str, width_mm: float) -> str:
    """Text of a legend in lines of a width, without formulas."""
    rows = [printable(row) for row in text.splitlines()]
    lines = [line for row in rows for line in _lines_within(row, width_mm)]
    return "\n".join(lines).replace("$", r"\$")


def _lines_within(row: str, width_mm: float) -> list[str]:
    """The row broken between words, as printed no wider than asked."""
    columns = int(len(row) * width_mm / max(_printed_mm(row), width_mm)) + _MORE_COLUMNS
    lines = textwrap.wrap(row, columns, break_on_hyphens=False)
    while columns > 1 and max(map(_printed_mm, lines), default=0.0) > width_mm:
        columns -= 1
        lines = textwrap.wrap(row, columns, break_on_hyphens=False)
    return lines


def _printed_mm(text: str) -> float:
    """Width of a line of the legend."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with warnings.catch_warnings():
        # a file's name in a script that the font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing")
        points, _, _ = text_to_path.get_text_width_height_descent(
            text, FontProperties(size=style.LEGEND_PT), False
        )
    return float(points) * _MM / _POINTS


def _legend_title(look: Look, lines: Sequence[Line]) -> str:
    """What the signs mean, of those that are there."""
    said = {
        f"marker: {marks_of(lines)}; line: realised{_at_rate(lines)}; faint: not published": any(
            line.points for line in lines
        ),
        "band: standard deviation or tolerance of the source": any(line.bands for line in lines),
        "difference: minus the first": "difference" in look.panels,
        "ITD, ILD: left minus right": any(panel in _BETWEEN for panel in look.panels),
    }
    words = "; ".join(words for words, shown in said.items() if shown)
    return _wrapped(words, look.width_mm - _LEGEND_EDGES_MM)


def _at_rate(lines: Sequence[Line]) -> str:
    """The sampling rate of all lines, where they have one."""
    rates = {line.fs for line in lines}
    (fs,) = rates if len(rates) == 1 else (None,)
    return "" if fs is None else f" at {fs / 1000:.7g} kHz"


def _most_rows(entries: Sequence[Line2D], columns: int) -> int:
    """Rows of text in the longest column."""
    rows = np.array([str(entry.get_label()).count("\n") + 1 for entry in entries])
    return max(int(part.sum()) for part in np.array_split(rows, columns))


def _add_legend(drawing: Figure, entries: list[Line2D], title: str, columns: int) -> None:
    """Below the axes, where it hides nothing."""
    drawing.legend(
        handles=entries, loc="outside lower left", title=title or None, ncols=columns,
        title_fontsize=style.LEGEND_PT, alignment="left", frameon=False, **_LEGEND_LOOK,
    )  # fmt: skip


def _add_legend_inside(drawing: Figure, ax: Axes, entries: list[Line2D]) -> None:
    """Where it hides nothing of the curves, or the least. (matplotlib's own "best" looks before the
    axes have their place.)
    """
    hidden: dict[str, int] = {}
    for place in _PLACES:
        hidden[place] = _hidden(drawing, ax, _legend_at(ax, entries, place))
        if not hidden[place]:
            return
    _legend_at(ax, entries, min(hidden, key=hidden.__getitem__))


_PLACES = ("upper left", "upper right", "lower left", "lower right", "upper center", "lower center")


def _legend_at(ax: Axes, entries: list[Line2D], place: Any) -> Legend:
    return ax.legend(handles=entries, loc=place, **_LEGEND_LOOK, framealpha=1.0)


def _hidden(drawing: Figure, ax: Axes, legend: Legend) -> int:
    """Points of the curves and of their bands that lie behind a legend."""
    with warnings.catch_warnings():
        # a file's name in a script that the font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing")
        drawing.draw_without_rendering()
    box = legend.get_window_extent()
    drawn: list[tuple[Any, Any]] = [
        (line.get_xydata(), line.get_transform()) for line in ax.get_lines()
    ]
    drawn += [
        (path.vertices, band.get_transform())
        for band in ax.collections
        for path in band.get_paths()
    ]
    points = [where.transform(xy) for xy, where in drawn if len(xy)]
    return sum(int(box.count_contains(of_one)) for of_one in points)


_LEGEND_LOOK: Any = {"handlelength": 3.2, "labelspacing": 0.4}


def _spoken_hz(freq: float) -> str:
    """A frequency with its unit.

    >>> _spoken_hz(1000.0), _spoken_hz(500.0)
    ('1 kHz', '500 Hz')
    """
    return f"{freq / 1000:g} kHz" if freq >= 1000 else f"{freq:g} Hz"
