"""How curves look in print: figures by matplotlib, which loads on first use (the extra ``plot``).

A figure has the width of a column, type of 7 to 8 points at that width, and colours that every kind
of colour vision tells apart (Okabe & Ito), backed up by line styles and markers for greyscale.
Equal curves make equal bytes.

References
----------
Okabe, M. & Ito, K. (2008). Color universal design. https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

import io
import math
import os
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError, printable
from earfilt.synthesis.response import Response

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

SUFFIXES = (".png", ".svg", ".pdf")
PANELS = ("magnitude", "phase", "delay")
COLUMN_MM = 85.0
_LABELS = {"magnitude": "Magnitude (dB)", "phase": "Phase (rad)", "delay": "Group delay (ms)"}
_HEIGHTS_MM = {"magnitude": 48.0, "phase": 26.0, "delay": 26.0}
_LEGEND_LINE_MM, _MARGINS_MM = 3.3, 12.0
_LEGEND_PT, _LEGEND_SAMPLE_MM, _CHARACTER_MM = 7.0, 14.0, 1.3
_MM, _DPI = 25.4, 300  # an inch

_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_STYLES = ("-", (0, (5, 1.5)), (0, (5, 1.2, 1, 1.2)), (0, (1.2, 1)), (0, (8, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MEASURED = "#777777"
_TYPE: Any = {
    "font.size": 8.0, "axes.labelsize": 8.0, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "legend.fontsize": _LEGEND_PT,
    "axes.linewidth": 0.6, "lines.linewidth": 1.1, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4,
    "font.family": "DejaVu Sans",
}  # fmt: skip
# type that stays text; names inside that are the same each time
_FILES: Any = {"pdf.fonttype": 42, "svg.hashsalt": "earfilt"}
# of matplotlib's settings: which window, not how it looks
_NO_LOOK = ("backend", "backend_fallback")

_BEYOND_STYLE: dict[str, Any] = {"alpha": 0.35, "linewidth": 0.6}
_RANGE_DB = 80.0  # below its peak a curve without published points is not drawn
_TICKS = [float(digit * 10**power) for power in range(7) for digit in (1, 2, 5)]


@dataclass(frozen=True, eq=False)
class Line:
    """One curve to draw.

    Attributes
    ----------
    label : str
        For the legend.
    response : Response
    points : (freqs, gain_db), optional
        The published points, Hz and dB.
    range_hz : (float, float), optional
        What was published; beyond it a rule of interpolation holds, and the line is faint.
    """

    label: str
    response: Response
    points: tuple[Floats, Floats] | None = None
    range_hz: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Measurement:
    """A curve of the user's own, drawn as it is: Hz, dB."""

    label: str
    freqs: Floats
    gain_db: Floats


def figure(
    lines: Sequence[Line],
    suffix: str,
    *,
    measurements: Sequence[Measurement] = (),
    panels: Sequence[str] = ("magnitude",),
    scale: str = "log",
    width_mm: float = COLUMN_MM,
) -> bytes:
    """A figure as the bytes of a file, which does not say when it was made.

    Parameters
    ----------
    lines, measurements, panels, scale, width_mm
        As for :func:`compose`.
    suffix : '.png', '.svg' or '.pdf'

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    matplotlib = load_extra("matplotlib", "figures")
    metadata = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[suffix]
    buffer = io.BytesIO()
    drawing = compose(
        lines, measurements=measurements, panels=panels, scale=scale, width_mm=width_mm
    )
    with _own_style(matplotlib), matplotlib.rc_context(_FILES), warnings.catch_warnings():
        # a file's name in a script that the font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing")
        drawing.savefig(buffer, format=suffix[1:], dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def compose(
    lines: Sequence[Line],
    *,
    measurements: Sequence[Measurement] = (),
    panels: Sequence[str] = ("magnitude",),
    scale: str = "log",
    width_mm: float = COLUMN_MM,
) -> Figure:
    """The figure as matplotlib's object.

    Parameters
    ----------
    lines, measurements
        What to draw; at least one line.
    panels : of 'magnitude', 'phase', 'delay'
        From top to bottom.
    scale : 'log' or 'linear'
        Frequency axis.
    width_mm : float
        85 is a column, 174 a page; type keeps its size.
    """
    matplotlib = load_extra("matplotlib", "figures")
    from matplotlib.figure import Figure

    with _own_style(matplotlib):
        legend = _legend_entries(lines, measurements, width_mm)
        legend_mm = _LEGEND_LINE_MM * (
            1 + sum(str(entry.get_label()).count("\n") + 1 for entry in legend)
        )
        heights = [_HEIGHTS_MM[panel] for panel in panels]
        size = width_mm / _MM, (sum(heights) + _MARGINS_MM + legend_mm) / _MM
        drawing = Figure(figsize=size, layout="constrained")
        axes = drawing.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[
            :, 0
        ].tolist()
        for panel, ax in zip(panels, axes, strict=True):
            _draw_panel(ax, panel, lines, measurements)
        _set_frequency_axis(axes, lines, scale)
        _add_legend(drawing, legend, width_mm, points=any(line.points for line in lines))
    return drawing


@contextmanager
def _own_style(matplotlib: ModuleType) -> Iterator[None]:
    """Matplotlib's shipped settings and the type of these figures, whatever the program or its user
    has set.
    """
    shipped = {
        name: value
        for name, value in dict.items(matplotlib.rcParamsDefault)
        if name not in _NO_LOOK
    }
    with ExitStack() as stack:
        with warnings.catch_warnings():
            # settings that matplotlib is about to drop are set as well
            warnings.simplefilter("ignore")
            stack.enter_context(matplotlib.rc_context(shipped | _TYPE))
        yield


def _draw_panel(
    ax: Axes, panel: str, lines: Sequence[Line], measurements: Sequence[Measurement]
) -> None:
    for measurement in measurements if panel == "magnitude" else ():
        ax.plot(measurement.freqs, measurement.gain_db, **_measured_style())
    for index, line in enumerate(lines):
        for freqs, values, style in _parts(line, panel):
            ax.plot(freqs, values, **_line_style(index) | style)
        if panel == "magnitude" and line.points is not None:
            ax.plot(
                *_inside(line.points, frequency_range(lines)), **_point_style(index), clip_on=False
            )
    ax.set_ylabel(_LABELS[panel])
    ax.grid(True, which="major", color="#dddddd", linewidth=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(direction="in", which="both", top=True, right=True)
    if panel == "magnitude":
        ax.set_ylim(*level_range(lines, measurements))


def _parts(line: Line, panel: str) -> Iterator[tuple[Floats, Floats, dict[str, Any]]]:
    """A curve within the range that was published, and faintly beyond it."""
    freqs, values = line.response.freqs, _values(line.response, panel)
    if line.range_hz is None:
        yield freqs, values, {}
        return
    inside = (freqs >= line.range_hz[0]) & (freqs <= line.range_hz[1])
    yield freqs, values, _BEYOND_STYLE
    yield freqs[inside], values[inside], {}


def _inside(points: tuple[Floats, Floats], ends: tuple[float, float]) -> tuple[Floats, Floats]:
    """The points within the frequency axis, so that those at its ends can be drawn whole."""
    kept = (points[0] >= ends[0]) & (points[0] <= ends[1])
    return points[0][kept], points[1][kept]


def _values(response: Response, panel: str) -> Floats:
    if panel == "magnitude":
        return response.magnitude_db
    return np.unwrap(response.phase_rad) if panel == "phase" else response.group_delay_s * 1e3


def _line_style(index: int) -> dict[str, Any]:
    return {"color": _COLOURS[index % len(_COLOURS)], "zorder": 3} | _dashes(index)


def _dashes(index: int) -> dict[str, Any]:
    return {"linestyle": _STYLES[index % len(_STYLES)]}


def _point_style(index: int) -> dict[str, Any]:
    colour, marker = _COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)]
    style = {
        "color": colour,
        "marker": marker,
        "markerfacecolor": "white",
        "linestyle": "",
        "zorder": 4,
    }
    return style | {"markersize": 3.4, "markeredgewidth": 0.8}


def _measured_style() -> dict[str, Any]:
    return {"color": _MEASURED, "marker": "x", "markersize": 3.4, "linewidth": 0.7, "zorder": 5}


def level_range(lines: Sequence[Line], measurements: Sequence[Measurement]) -> tuple[float, float]:
    """Ends of the level axis in dB: all that was published or measured, and curves down to 80 dB
    below their peak.
    """
    sure = [line.points[1] for line in lines if line.points is not None] + [
        m.gain_db for m in measurements
    ]
    levels = np.concatenate([line.response.magnitude_db for line in lines])
    levels = levels[np.isfinite(levels)]
    peak = max([float(part.max()) for part in (levels, *sure) if part.size], default=0.0)
    low = min(
        [float(part.min()) for part in sure]
        + [float(levels[levels >= peak - _RANGE_DB].min(initial=peak))]
    )
    margin = max(1.0, 0.05 * (peak - low))
    return low - margin, peak + margin


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


def frequency_range(lines: Sequence[Line]) -> tuple[float, float]:
    freqs = np.concatenate([line.response.freqs for line in lines])
    return float(freqs.min()), float(freqs.max())


def ticks_between(low: float, high: float, *, most: int) -> list[float]:
    """Frequencies of the series 1, 2, 5 within a range, thinned to decades where there are more
    than ``most``.
    """
    inside = [tick for tick in _TICKS if low <= tick <= high]
    return (
        inside
        if len(inside) <= most
        else [tick for tick in inside if math.log10(tick).is_integer()]
    )


def short_hz(freq: float) -> str:
    """Short frequency label.

    >>> short_hz(500.0), short_hz(20000.0)
    ('500', '20k')
    """
    return f"{freq / 1000:g}k" if freq >= 1000 else f"{freq:g}"


def _legend_entries(
    lines: Sequence[Line], measurements: Sequence[Measurement], width_mm: float
) -> list[Line2D]:
    """One entry a curve, its label wrapped to the width of the figure."""
    from matplotlib.lines import Line2D

    styles = [
        _line_style(i) | ({} if line.points is None else _point_style(i) | _dashes(i))
        for i, line in enumerate(lines)
    ]
    styles += [_measured_style() for _ in measurements]
    labels = [line.label for line in lines] + [measurement.label for measurement in measurements]
    return [
        Line2D([], [], label=_wrapped(label, width_mm - _LEGEND_SAMPLE_MM), **style)
        for label, style in zip(labels, styles, strict=True)
    ]


def _wrapped(text: str, width_mm: float) -> str:
    """Text of a legend in lines of a width, without formulas."""
    columns = round(width_mm / _CHARACTER_MM)
    rows = [printable(row) for row in text.splitlines()]
    lines = [line for row in rows for line in textwrap.wrap(row, columns)]
    return "\n".join(lines).replace("$", r"\$")


def _add_legend(drawing: Figure, entries: list[Line2D], width_mm: float, *, points: bool) -> None:
    """Below the axes, where it hides nothing."""
    said = "line: realised; faint: beyond the published range; marker: published"
    title = _wrapped(said, width_mm) if points else None
    drawing.legend(
        handles=entries, loc="outside lower left", frameon=False, title=title, title_fontsize=_LEGEND_PT,
        alignment="left", handlelength=3.2, labelspacing=0.4,
    )  # fmt: skip


@contextmanager
def _without_settings(name: str) -> Iterator[None]:
    """While matplotlib loads, show it its shipped settings alone.

    It would read a ``matplotlibrc`` of the current directory, which may be a stranger's (and wait
    for a named pipe of that name).
    """
    found = find_spec(name)
    if name != "matplotlib" or name in sys.modules or found is None or found.origin is None:
        yield
        return
    users, exists = os.environ.get("MATPLOTLIBRC"), os.path.exists
    os.environ["MATPLOTLIBRC"] = os.path.join(
        os.path.dirname(found.origin), "mpl-data", "matplotlibrc"
    )
    os.path.exists = lambda path: path != "matplotlibrc" and exists(path)
    try:
        yield
    finally:
        os.path.exists = exists
        del os.environ["MATPLOTLIBRC"]
        if users is not None:
            os.environ["MATPLOTLIBRC"] = users


def load_extra(name: str, purpose: str) -> ModuleType:
    """A module of the extra ``plot``.

    Raises
    ------
    UsageError
        It is not installed; says how to get it.
    """
    try:
        with _without_settings(name):
            return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise UsageError(
            f"{purpose} need {name}, which is not installed; get it with: pip install "
            "'earfilt[plot]'"
        ) from error
