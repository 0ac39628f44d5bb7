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
    short_hz,
    ticks_between,
)

MIN_COLUMNS, MIN_ROWS = 40, 12
# of the terminal's own palette, so that they suit its background
_COLOURS = (12, 9, 10, 13, 14, 11)
_CURVE, _POINT, _MEASURED = "braille", "o", "x"
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
    colour : bool
        False: plain text, and several curves are drawn with the digits that the legend gives them.
    wrap : bool
        Whether the legend is wrapped to the columns.

    Returns
    -------
    str
        Lines of text, the legend below the axes.

    Raises
    ------
    UsageError
        plotext is not installed.
    """
    plotext = load_extra("plotext", "drawings in the terminal")
    traces = [
        trace
        for index, line in enumerate(lines)
        for trace in _traces(line, _symbol(index, len(lines), colour), colour)
    ]
    traces += [_Trace(m.freqs, m.gain_db, _MEASURED, None, False) for m in measurements]
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
    _set_rulers(canvas, lines, measurements, scale, width)
    for trace in traces:
        _draw(plotext, trace, _window(lines, measurements), scale)
    drawn = canvas.build().string(colorless=not colour).rstrip("\n").split("\n")
    return "\n".join([*(line.rstrip() for line in drawn), *legend]) + "\n"


def _symbol(index: int, count: int, colour: bool) -> tuple[str, int | None]:
    """What a curve is drawn with: dots in its colour, or without colours its digit where there are
    several.
    """
    if colour:
        return _CURVE, _COLOURS[index % len(_COLOURS)]
    return (_CURVE if count == 1 else str((index + 1) % 10)), None


def _traces(line: Line, symbol: tuple[str, int | None], colour: bool) -> list[_Trace]:
    curve = _Trace(line.response.freqs, line.response.magnitude_db, *symbol, True)
    return (
        [curve] if line.points is None else [curve, _Trace(*line.points, _POINT, symbol[1], False)]
    )


def _window(
    lines: Sequence[Line], measurements: Sequence[Measurement]
) -> tuple[float, float, float, float]:
    return *frequency_range(lines), *level_range(lines, measurements)


def _draw(
    plotext: Any, trace: _Trace, window: tuple[float, float, float, float], scale: str
) -> None:
    left, right, low, high = window
    kept = (trace.freqs >= left) & (trace.freqs <= right) & ~np.isnan(trace.levels)
    if not kept.any():
        return
    x, y = _place(trace.freqs[kept], scale), trace.levels[kept].clip(low, high)
    marker = trace.symbol if trace.colour is None else plotext.marker(trace.symbol, trace.colour)
    signal = plotext.figure.signal(x.tolist(), y.tolist(), marker=marker)
    plotext.figure.draw(signal.lines() if trace.joined else signal)


def _place(freqs: Floats, scale: str) -> Floats:
    """Where frequencies lie on the axis, which is linear for plotext."""
    return np.log10(freqs) if scale == "log" else freqs


def _set_rulers(
    canvas: Any, lines: Sequence[Line], measurements: Sequence[Measurement], scale: str, width: int
) -> None:
    left, right, low, high = _window(lines, measurements)
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
    step = next(
        step for step in (1, 2, 5, 10, 20, 50, 100) if (high - low) / step <= 9 or step == 100
    )
    return [float(level) for level in np.arange(np.ceil(low / step) * step, high + 1e-9, step)]


def _legend(
    lines: Sequence[Line], measurements: Sequence[Measurement], colour: bool
) -> list[tuple[str, str]]:
    """A sample and a name for each curve, below the axes, where no name is cut."""
    entries = []
    for index, line in enumerate(lines):
        symbol, code = _symbol(index, len(lines), colour)
        sample = (_CURVE_SAMPLE if symbol == _CURVE else symbol) + (
            _POINT if line.points is not None else ""
        )
        sample = sample if code is None else f"\x1b[38;5;{code}m{sample}\x1b[0m"
        entries.append((f"{sample} ", ", ".join(map(printable, line.label.splitlines()))))
    if any(line.points is not None for line in lines):
        entries.append((f"{_POINT} ", "published points"))
    return entries + [
        (f"{_MEASURED} ", printable(measurement.label)) for measurement in measurements
    ]


def _wrapped(entry: tuple[str, str], width: int) -> list[str]:
    """A legend's entry in lines of at most ``width`` characters."""
    sample, name = entry
    first, *others = textwrap.wrap(name, width - _INDENT) or [""]
    return [sample + first, *(" " * _INDENT + other for other in others)]
