"""The page on which all ears of the catalogue are compared: ``python -m docs.compare OUT.html``.

It holds each ear and its inverse, by where they begin and end, and the licensed recording, which
is heard through the very taps that earfilt applies.
"""

import sys
from pathlib import Path

import soundfile

from earfilt.chains.members import resolve
from earfilt.ears import catalogue
from earfilt.errors import EarfiltError
from earfilt.report.lines import line_of
from earfilt.report.page import PageCurve, Recording, compare_page, page_curves
from earfilt.synthesis.response import frequency_grid, respond

ROOT = Path(__file__).parent.parent
SPEECH = ROOT / "data" / "audio" / "arctic_a0007.wav"
FS = 48000.0
POINTS = 240
SHOWN = ("iso532-free", "headphone", "iso532-middle")
LICENCE = (
    "CMU ARCTIC a0007, copyright Carnegie Mellon University 2003, used with permission; what is "
    "heard after the filter is a modification."
)
ABOUT = (
    "Lines are what the audio gets, markers the published numbers; beyond the published range "
    "lines are faint. A chain is the sum of its members."
)


def page() -> str:
    """The page as HTML."""
    samples, rate = soundfile.read(SPEECH, dtype="int16")
    freqs = frequency_grid(FS, points=POINTS, scale="log", fmin=None, fmax=None)
    names = [entry.full_name for entry in catalogue.entries() if not entry.is_pattern]
    names += [f"inverse:{name}" for name in names]
    curves = [curve for name in names if (curve := _curve(name, freqs, rate)) is not None]
    chosen = [k for k, curve in enumerate(curves) if curve.command in SHOWN]
    return compare_page(
        curves,
        fs=FS,
        chosen=chosen,
        title="Ears of the catalogue",
        about=ABOUT,
        recording=Recording(samples, rate, LICENCE),
    )


def _curve(name: str, freqs: "object", rate: int) -> PageCurve | None:
    """A curve with its taps at the recording's rate; None where a source has no such filter."""
    try:
        filter = resolve(name)
        fir = filter.at(FS)
    except EarfiltError:
        return None
    (curve,) = page_curves([filter], [line_of(filter, fir, respond(fir, freqs), label=name)])
    try:
        heard = filter.at(rate)
    except EarfiltError:
        heard = None
    return PageCurve(
        curve.line, curve.command, curve.start, curve.end, fir.provenance.source[0], heard
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
