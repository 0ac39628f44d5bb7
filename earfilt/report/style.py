"""How figures look: type of 7 to 8 points, and colours that every kind of colour vision tells apart
(Okabe & Ito), backed up by line styles and markers for greyscale.

References
----------
Okabe, M. & Ito, K. (2008). Color universal design. https://jfly.uni-koeln.de/color/
"""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

LEGEND_PT = 7.0
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_STYLES = ("-", (0, (5, 1.5)), (0, (5, 1.2, 1, 1.2)), (0, (1.2, 1)), (0, (8, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MEASURED = "#777777"
_TYPE: Any = {
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": LEGEND_PT,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.1,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "font.family": "DejaVu Sans",
}
# type that stays text; names inside that are the same each time
FILES: Any = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "earfilt"}
# of matplotlib's settings: which window, not how it looks
_NO_LOOK = ("backend", "backend_fallback")

_BEYOND, _BAND = 0.35, 0.18  # share of the colour on white paper


@contextmanager
def own_style(matplotlib: ModuleType) -> Iterator[None]:
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


def line_style(index: int) -> dict[str, Any]:
    """A curve within the range that was published."""
    return {"color": _colour(index), "zorder": 3} | dashes(index)


def faint_style(index: int) -> dict[str, Any]:
    """A curve beyond the range that was published."""
    return {"color": _on_white(index, _BEYOND), "linewidth": 0.6, "zorder": 2} | dashes(index)


def between_style(index: int, *, faint: bool = False) -> dict[str, Any]:
    """What lies between the ears of a pair, in the dashes of its left one."""
    return (faint_style if faint else line_style)(index) | {
        "color": "#aaaaaa" if faint else "black"
    }


def zero_style() -> dict[str, Any]:
    """The line of no difference."""
    return {"color": "#888888", "linewidth": 0.5, "zorder": 1}


def band_style(index: int) -> dict[str, Any]:
    """The range of a standard deviation or a tolerance."""
    return {"color": _on_white(index, _BAND), "linewidth": 0.0, "zorder": 0.6}


def dashes(index: int) -> dict[str, Any]:
    """The dashes of a curve."""
    return {"linestyle": _STYLES[index % len(_STYLES)]}


def point_style(index: int) -> dict[str, Any]:
    """Published points."""
    return {
        "color": _colour(index),
        "marker": _MARKERS[index % len(_MARKERS)],
        "markerfacecolor": "white",
        "linestyle": "",
        "zorder": 4,
        "markersize": 3.4,
        "markeredgewidth": 0.8,
    }


def measured_style() -> dict[str, Any]:
    """A measurement of the user's own."""
    return {"color": _MEASURED, "marker": "x", "markersize": 3.4, "linewidth": 0.7, "zorder": 5}


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _on_white(index: int, share: float) -> str:
    """A colour as it looks on white where it lets light through, which EPS cannot say."""
    parts = bytes.fromhex(_colour(index)[1:])
    return "#" + bytes(round(255 + share * (part - 255)) for part in parts).hex()
