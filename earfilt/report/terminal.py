"""How curves look in a terminal: drawings in characters by plotext, which loads on first use (the
extra ``plot``).
"""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import printable
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

MIN_COLUMNS, MIN_ROWS = 40, 12
# of the terminal's own palette, so that they suit its background
_COLOURS = (12, 9, 10, 13, 14, 11)
_CURVE = "braille"
# without colours each curve has a sign of its own, and so have its published points
_SIGNS, _POINTS = "123456789ABCDEFGHIJKLMNOPQRSTUVW", "o+*#@%&$"
_MEASURED = "xzyvw~"
_CURVE_SAMPLE = "⠒⠒"
_INDENT = 4


class _Trace(NamedTuple):
    """Points on their way to the canvas: Hz, dB, the symbol, its colour (None: the terminal's),
    joined or not.
    """

    freqs: Floats
    levels: Floats
    symbol: str
    colour: int | None
    joined: bool


def terminal(
    lines: Sequence[Line],
    *,
    measurements: Sequence[Measurement] = (),
    scale: str = "log",
    columns: int = 80,
    rows: int = 24,
    ymin: float | None = None,
    ymax: float | None = None,
    colour: bool = True,
    wrap: bool = True,
) -> str:
    """A drawing of the magnitudes.

    Parameters
    ----------
    lines, measurements, scale
        As for :func:`earfilt.report.figures.figure`.
    columns, rows : int
        Room for drawing and legend, used where it is at least 40 by 12.
    ymin, ymax : float, optional
        Ends of the levels, dB.
    colour : bool
        False: plain text, and several curves and their points are drawn with the signs that the
        legend gives them.
    wrap : bool
        Whether the legend is wrapped to the columns.

    Returns
    -------
    str
        Lines of text, the legend below the axes.

    Raises
    ------
    UsageError
        plotext is not installed; or as `level_range`.
    """
    plotext = load_extra("plotext", "drawings in the terminal")
    traces = [
        trace
        for index, line in enumerate(lines)
        for trace in _traces(line, _looks(index, len(lines), colour))
    ]
    traces += [
        _Trace(m.freqs, m.gain_db, _measured(index), None, False)
        for index, m in enumerate(measurements)
    ]
    window = (
        *frequency_range(lines),
        *level_range(lines, measurements, ymin=ymin, ymax=ymax),
    )
    width = max(MIN_COLUMNS, columns - 1)
    legend = [
        row
        for entry in _legend(lines, measurements, colour)
        for row in (_wrapped(entry, width) if wrap else ["".join(entry)])
    ]
    canvas = plotext.figure
    plotext.terminal.limit(False, False)
    canvas.clear()
    canvas.theme("colorless")
    canvas.plot_size(width, max(MIN_ROWS, min(rows - len(legend), width // 3)))
    _set_rulers(canvas, window, scale, width)
    for trace in traces:
        _draw(plotext, trace, window, scale)
    drawn = canvas.build().string(colorless=not colour).rstrip("\n").split("\n")
    return "\n".join([*(line.rstrip() for line in drawn), *legend]) + "\n"


class _Looks(NamedTuple):
    """What a curve and its points are drawn with, and their colour (None: the terminal's)."""

    curve: str
    point: str
    colour: int | None


def _looks(index: int, count: int, colour: bool) -> _Looks:
    """Dots and circles in a colour, or without colours signs of their own where there are several
    curves.
    """
    if colour:
        return _Looks(_CURVE, _POINTS[0], _COLOURS[index % len(_COLOURS)])
    curve = _CURVE if count == 1 else _SIGNS[index % len(_SIGNS)]
    return _Looks(curve, _POINTS[index % len(_POINTS)], None)


def _measured(index: int) -> str:
    return _MEASURED[index % len(_MEASURED)]


def _traces(line: Line, looks: _Looks) -> list[_Trace]:
    response = line.response
    curve = _Trace(response.freqs, response.magnitude_db, looks.curve, looks.colour, True)
    if line.points is None:
        return [curve]
    return [curve, _Trace(*line.points, looks.point, looks.colour, False)]


def _draw(
    plotext: Any, trace: _Trace, window: tuple[float, float, float, float], scale: str
) -> None:
    """What lies within the axes; a line is cut where it leaves them."""
    left, right, low, high = window
    with np.errstate(invalid="ignore"):
        kept = (trace.freqs >= left) & (trace.freqs <= right)
        kept &= (trace.levels >= low) & (trace.levels <= high)
    inside = np.flatnonzero(kept)
    cuts = np.flatnonzero(np.diff(inside) > 1) + 1
    marker = trace.symbol if trace.colour is None else plotext.marker(trace.symbol, trace.colour)
    for part in np.split(inside, cuts) if trace.joined else [inside]:
        if not part.size:
            continue
        x, y = _place(trace.freqs[part], scale), trace.levels[part]
        signal = plotext.figure.signal(x.tolist(), y.tolist(), marker=marker)
        plotext.figure.draw(signal.lines() if trace.joined else signal)


def _place(freqs: Floats, scale: str) -> Floats:
    """Where frequencies lie on the axis, which is linear for plotext."""
    return np.log10(freqs) if scale == "log" else freqs


def _set_rulers(
    canvas: Any, window: tuple[float, float, float, float], scale: str, width: int
) -> None:
    left, right, low, high = window
    ticks = (
        ticks_between(left, right, most=width // 5)
        if scale == "log"
        else np.linspace(left, right, 5).tolist()
    )
    ruler = canvas.ruler("x")
    ruler.ticks(_place(np.array(ticks), scale).tolist(), [short_hz(tick) for tick in ticks])
    if left < right:
        ruler.lim(*_place(np.array([left, right]), scale).tolist())
    levels = _level_ticks(low, high)
    canvas.ruler("y").ticks(levels, [f"{level:g}" for level in levels])
    canvas.ruler("y").lim(low, high)
    canvas.label("dB over Hz")


def _level_ticks(low: float, high: float) -> list[float]:
    """Round levels, four to ten of them."""
    steps = (digit * 10.0**power for power in range(-3, 9) for digit in (1, 2, 5))
    step = next((step for step in steps if (high - low) / step <= 9), high - low)
    return [float(level) for level in np.arange(np.ceil(low / step) * step, high + 1e-9, step)]


def _legend(
    lines: Sequence[Line], measurements: Sequence[Measurement], colour: bool
) -> list[tuple[str, str]]:
    """A sample and a name for each curve, below the axes, where no name is cut."""
    entries, marks = [], ""
    for index, line in enumerate(lines):
        looks = _looks(index, len(lines), colour)
        point = "" if line.points is None else looks.point
        marks += point
        sample = (_CURVE_SAMPLE if looks.curve == _CURVE else looks.curve) + point
        if looks.colour is not None:
            sample = f"\x1b[38;5;{looks.colour}m{sample}\x1b[0m"
        entries.append((f"{sample} ", ", ".join(map(printable, line.label.splitlines()))))
    if marks:
        said = marks_of(lines)
        words = "published points" if said == "published" else f"points: {said}"
        entries.append((f"{' '.join(dict.fromkeys(marks))} ", words))
    return entries + [
        (f"{_measured(index)} ", printable(measurement.label))
        for index, measurement in enumerate(measurements)
    ]


def _wrapped(entry: tuple[str, str], width: int) -> list[str]:
    """A legend's entry in lines of at most ``width`` characters."""
    sample, name = entry
    first, *others = textwrap.wrap(name, width - _INDENT) or [""]
    return [sample + first, *(" " * _INDENT + other for other in others)]
