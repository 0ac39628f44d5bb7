"""What a fit found: in words, as JSON, and as a figure of target, start, result, residual and
coherence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import printable
from earfilt.report import style
from earfilt.report.extras import load_extra
from earfilt.report.figures import COLUMN_MM, figure_bytes
from earfilt.report.lines import short_hz, ticks_between
from earfilt.version import __version__

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from earfilt.measure.identification import Identified, Seating

_CLEAR_PHASE = 0.8
"""Of a phase that is explained less well, no polarity is told."""

_MM = 25.4
_HEIGHTS_MM = {"gain": 48.0, "residual": 24.0, "coherence": 20.0}
_MARGINS_MM, _LEGEND_LINE_MM = 12.0, 4.0


def identified_words(found: Identified, *, seconds: float) -> list[str]:
    """What recordings say, a line each.

    Parameters
    ----------
    found : Identified
    seconds : float
        How long they are, all together; of a sweep, how long that is.
    """
    low, high = found.band_hz
    half = float(np.median(found.upper_db - found.lower_db)) / 2.0
    how = f"{found.estimator.upper()} of {seconds:.1f} s"
    if found.estimator == "sweep":
        count = len(found.seatings)
        how = f"a sweep of {seconds:.1f} s" + (f", recorded {count} times," if count > 1 else "")
    lines = [
        f"{len(found.frequency_hz)} points from {low:.4g} to {high:.5g} Hz, by {how} at "
        f"{found.fs:.12g} Hz; gain {found.mean_gain_db:+.2f} dB on average from "
        f"100 Hz to 10 kHz, 95 % confidence ±{half:.2g} dB in the median, coherence "
        f"{float(np.median(found.coherence)):.3g} in the median"
    ]
    several = len(found.seatings) > 1
    for number, seating in enumerate(found.seatings, start=1):
        head = f"seating {number}: " if several else ""
        lines.append(head + "; ".join(_seating_words(seating, found.fs)))
    if found.sd_db is not None:
        lines.append(
            f"{_mean_words(found)}, which differ by {float(np.median(found.sd_db)):.2g} dB "
            "(standard deviation, in the median)"
        )
    lost = _lost_words(found)
    return [*lines, lost] if lost else lines


def _mean_words(found: Identified) -> str:
    of = "dB" if found.mean == "db" else "power"
    return f"mean in {of} of {len(found.seatings)} seatings"


def _seating_words(seating: Seating, fs: float) -> list[str]:
    beside = "minimum phase" if seating.minimum_phase else "zero phase"
    words = [f"delay {seating.delay:.2f} samples ({1e3 * seating.delay / fs:.3f} ms)"]
    if seating.phase_fit >= _CLEAR_PHASE:
        words[0] += f" beside {beside}"
        words.append(f"polarity {'inverted' if seating.inverted else 'kept'}")
    else:
        words.append("polarity unclear: the phase is not that of a delay and minimum phase")
    if seating.drift_ppm is None:
        words.append("clock drift not measured, which one sweep does not show")
    elif seating.drift_ppm == 0.0:
        words.append("no drift between the clocks")
    else:
        words.append(
            f"the recorder's clock runs {abs(seating.drift_ppm):.2f} ppm "
            f"{'faster' if seating.drift_ppm > 0 else 'slower'} than the player's "
            f"(±{1.96 * (seating.drift_sd_ppm or 0.0):.2g}), corrected"
        )
    words += [
        f"harmonic {order} at {level:.1f} dB, kept apart" for order, level in seating.harmonics
    ]
    return words


def _lost_words(found: Identified) -> str:
    asked = found.seatings[0].curve.freqs
    lost = len(asked) - len(found.frequency_hz)
    if not lost:
        return ""
    return (
        f"{lost} points between {found.asked_hz[0]:g} and {found.asked_hz[1]:g} Hz are left out: "
        "their coherence is below 0.5"
    )


def identified_comments(found: Identified, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The comments above a curve: what was measured, and how."""
    lines = [f"earfilt {__version__} fit: the gain from one recording to another"]
    lines += [f"from {a} to {b}" for a, b in pairs]
    lines += [
        f"estimator {found.estimator}, asked from {found.asked_hz[0]:g} to {found.asked_hz[1]:g} "
        "Hz; delay and clock drift are taken out, the gain is not",
        "lower_db and upper_db: 95 % confidence of the gain against noise",
    ]
    if found.sd_db is not None:
        lines.append(f"{_mean_words(found)}; sd_db: the standard deviation between them")
    return [printable(line) for line in lines]


def to_json(settings: Mapping[str, Any], sources: Sequence[Any], **parts: Any) -> bytes:
    """The report of a fit: settings, sources with their hashes, what was found."""
    content = {
        "earfilt": "fit",
        "version": __version__,
        "settings": {name: value for name, value in settings.items() if value is not None},
        "sources": [dict(one) for one in sources],
        **parts,
    }
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode("ascii")


def identified_json(found: Identified) -> dict[str, Any]:
    """Curve and findings as plain values."""
    return {
        "fs": found.fs,
        "band_hz": list(found.band_hz),
        "mean_gain_db": found.mean_gain_db,
        "curve": {name: values.tolist() for name, values in found.columns().items()},
        "seatings": [
            {
                "delay_samples": seating.delay,
                "inverted": seating.inverted,
                "phase": "minimum" if seating.minimum_phase else "zero",
                "phase_fit": seating.phase_fit,
                "drift_ppm": seating.drift_ppm,
                "drift_sd_ppm": seating.drift_sd_ppm,
                "harmonics_db": {str(order): level for order, level in seating.harmonics},
            }
            for seating in found.seatings
        ],
    }


# Figures


@dataclass(frozen=True, eq=False)
class Trace:
    """A curve to draw: Hz, dB, and what lies around it."""

    label: str
    freqs: Floats
    gain_db: Floats
    lower_db: Floats | None = None
    upper_db: Floats | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """What a figure of a fit shows.

    Attributes
    ----------
    traces : of Trace
        Target, start, result; or the measured curves.
    residual : of Trace
        What the result is above its target.
    coherence : of Trace
        With values from 0 to 1.
    """

    traces: Sequence[Trace]
    residual: Sequence[Trace] = ()
    coherence: Sequence[Trace] = ()


def identified_picture(found: Identified) -> Picture:
    """Gain with its interval, and coherence; of several seatings each beside the mean."""
    freqs = found.frequency_hz
    gain = Trace("gain, 95 % confidence", freqs, found.gain_db, found.lower_db, found.upper_db)
    residual: list[Trace] = []
    if found.sd_db is not None:
        gain = Trace(
            f"{_mean_words(found)} ± standard deviation",
            freqs,
            found.gain_db,
            found.gain_db - found.sd_db,
            found.gain_db + found.sd_db,
        )
        for number, seating in enumerate(found.seatings, start=1):
            own = np.interp(np.log(freqs), np.log(seating.curve.freqs), seating.curve.gain_db)
            residual.append(Trace(f"seating {number}", freqs, own - found.gain_db))
    return Picture([gain], residual, [Trace("coherence", freqs, found.coherence)])


def figure(picture: Picture, suffix: str) -> bytes:
    """A figure as the bytes of a file.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    return figure_bytes(compose(picture), suffix)


def compose(picture: Picture) -> Figure:
    """The figure as matplotlib's object."""
    matplotlib = load_extra("matplotlib", "figures")
    from matplotlib.figure import Figure

    panels = {
        "gain": ("Gain (dB)", picture.traces),
        "residual": ("Residual (dB)", picture.residual),
        "coherence": ("Coherence", picture.coherence),
    }
    shown = {name: panel for name, panel in panels.items() if panel[1]}
    heights = [_HEIGHTS_MM[name] for name in shown]
    legend_mm = _LEGEND_LINE_MM * len(picture.traces)
    size = COLUMN_MM / _MM, (sum(heights) + _MARGINS_MM + legend_mm) / _MM
    with style.own_style(matplotlib):
        drawing = Figure(figsize=size, layout="constrained")
        axes = drawing.subplots(len(shown), 1, sharex=True, squeeze=False, height_ratios=heights)
        for ax, (name, (label, traces)) in zip(axes[:, 0], shown.items(), strict=True):
            _draw(ax, traces, label)
            if name == "coherence":
                ax.set_ylim(0.0, 1.05)
            elif name == "residual":
                ax.axhline(0.0, color="#777777", linewidth=0.6, zorder=1)
        _set_axis(axes[-1, 0], picture)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside lower left", frameon=False, borderaxespad=0.0)
    return drawing


def _draw(ax: Axes, traces: Sequence[Trace], label: str) -> None:
    for index, trace in enumerate(traces):
        if trace.lower_db is not None and trace.upper_db is not None:
            band = trace.freqs, trace.lower_db, trace.upper_db
            ax.fill_between(*band, **style.band_style(index))
        text = printable(trace.label).replace("$", r"\$")
        ax.plot(trace.freqs, trace.gain_db, label=text, **style.line_style(index))
    ax.set_ylabel(label)
    ax.grid(True, which="major", color="#dddddd", linewidth=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(direction="in", which="both", top=True, right=True)


def _set_axis(ax: Axes, picture: Picture) -> None:
    from matplotlib.ticker import NullFormatter

    low = min(float(trace.freqs[0]) for trace in picture.traces)
    high = max(float(trace.freqs[-1]) for trace in picture.traces)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.set_xlabel("Frequency (Hz)")
    ticks = ticks_between(low, high, most=10)
    ax.set_xticks(ticks, [short_hz(tick) for tick in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())
