"""Pages that stand by themselves: one file, no network, no markup from anybody's names.

Drawn by a script of their own of some 15 kB. A plotting library would bring megabytes into every
page, and ways for names to become markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from earfilt.report.lines import Line, Measurement
from earfilt.synthesis.response import Response

if TYPE_CHECKING:
    from earfilt.arrays import Floats
    from earfilt.chains.members import Filter
    from earfilt.synthesis.fir import Fir

__all__ = ["PageCurve", "Recording", "compare_page", "fill", "page_curves", "told"]

_DIGITS = 6  # of values in a page: more than anybody reads, and few enough to send


@dataclass(frozen=True, eq=False)
class PageCurve:
    """A curve of a page.

    Parameters
    ----------
    line : Line
    command : str
        What follows ``-f`` on the command line, quoted for a shell; empty for a measurement.
    start, end : str
        Reference points, where an ear has some.
    about : str
        Shown when a pointer rests on the name.
    fir : Fir, optional
        The same filter at the rate of the recording, to be heard.
    """

    line: Line
    command: str = ""
    start: str = ""
    end: str = ""
    about: str = ""
    fir: Fir | None = None


@dataclass(frozen=True, eq=False)
class Recording:
    """What is heard: (T,) 16-bit integers, Hz, and whose it is."""

    samples: Any
    fs: int
    licence: str


def compare_page(
    curves: Sequence[PageCurve],
    *,
    fs: float,
    chosen: Sequence[int] | None = None,
    options: str = "",
    title: str = "Ears compared",
    about: str = "",
    recording: Recording | None = None,
) -> str:
    """The page on which curves are compared by looking, and by listening where there is a recording.

    Parameters
    ----------
    curves : sequence of PageCurve
        All on the same frequencies.
    fs : float
        Sampling rate that they were evaluated for, Hz.
    options : str
        What follows the filters on the command line that makes these curves.
    chosen : sequence of int, optional
        Which are drawn at first; default all.
    title, about : str
    recording : Recording, optional

    Returns
    -------
    str
        HTML.
    """
    data: dict[str, Any] = {
        "title": title,
        "about": about,
        "options": options,
        "fs": int(fs) if float(fs).is_integer() else fs,
        "freqs": [float(freq) for freq in curves[0].line.response.freqs],
        "chosen": [*(range(len(curves)) if chosen is None else chosen)],
        "curves": [told(curve) for curve in curves],
    }
    if recording is not None:
        pcm = np.asarray(recording.samples).astype("<i2").tobytes()
        data["recording"] = {
            "pcm": base64.b64encode(pcm).decode(),
            "fs": recording.fs,
            "licence": recording.licence,
        }
    return fill("compare", title, data)


def page_curves(
    filters: Sequence[Filter], lines: Sequence[Line], measurements: Sequence[Measurement] = ()
) -> list[PageCurve]:
    """Curves of a page, of filters as they are drawn and of what is laid beside them."""
    found = []
    for filter, line in zip(filters, lines, strict=True):
        ears = [member.ear for member in filter.members]
        start = "" if not ears or ears[0] is None else ears[0].start
        end = "" if not ears or ears[-1] is None else ears[-1].end
        name = filter.request.name
        found.append(PageCurve(line, shlex.quote(name), start or "", end or ""))
    return found + [_measured(one, lines[0].response.freqs) for one in measurements]


def _measured(measurement: Measurement, freqs: Floats) -> PageCurve:
    """A measurement between its points; nothing beyond its ends."""
    hz, level = measurement.freqs, measurement.gain_db
    nothing = np.full(len(freqs), np.nan)
    known = (freqs >= hz[0]) & (freqs <= hz[-1])
    response = Response(freqs, np.where(known, measurement.at(freqs), np.nan), nothing, nothing)
    above = hz > 0.0
    points = hz[above], level[above]
    return PageCurve(Line(measurement.label, response, points), about="a measurement")


def fill(name: str, title: str, data: Any) -> str:
    """A template with its data; nothing of these can become markup, nor a script that runs.

    Parameters
    ----------
    name : str
        Of the template and its script, which follows on the one of all pages.
    title : str
    data : JSON-able object
    """
    folder = files("earfilt.report.pages")
    script = "".join((folder / part).read_text("utf-8") for part in ("common.js", f"{name}.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'"
    )
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    parts = {
        "POLICY": policy,
        "TITLE": title.replace("&", "&amp;").replace("<", "&lt;"),
        "COMMON": (folder / "common.css").read_text("utf-8"),
        "SCRIPT": script,
        "DATA": text.replace("<", "\\u003c"),
    }
    pieces = (folder / f"{name}.html").read_text("utf-8").split("@@")
    return "".join(parts[piece] if k % 2 else piece for k, piece in enumerate(pieces))


def told(curve: PageCurve) -> dict[str, Any]:
    """A curve as the scripts of pages draw it."""
    line, response = curve.line, curve.line.response
    points = [] if line.points is None else zip(*line.points, strict=True)
    return {
        "name": line.name or line.label,
        "about": curve.about or line.label,
        "start": curve.start,
        "end": curve.end,
        "command": curve.command,
        "range_hz": None if line.range_hz is None else [*map(float, line.range_hz)],
        "points": [[float(hz), round(float(db), _DIGITS)] for hz, db in points],
        "magnitude_db": _rounded(response.magnitude_db),
        "phase_rad": _rounded(np.unwrap(response.phase_rad)),
        "group_delay_ms": _rounded(1e3 * response.group_delay_s),
        "taps": None
        if curve.fir is None
        else {
            "taps": [float(f"{tap:.7g}") for tap in np.atleast_2d(curve.fir.taps)[0]],
            "lookahead": curve.fir.lookahead,
        },
    }


def _rounded(values: Floats) -> list[float | None]:
    """Numbers for JSON, which knows neither infinity nor NaN."""
    return [round(float(v), _DIGITS) if np.isfinite(v) else None for v in values]
