"""``earfilt response``: what a filter does at each frequency, as numbers and figures."""

import os
import shutil
import sys
from dataclasses import replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earfilt.cli.options import (
    FilterCommand,
    FilterNames,
    Force,
    Quiet,
    default_fs,
    finder,
    refuse_without_effect,
)
from earfilt.cli.streams import say
from earfilt.errors import UsageError, printable
from earfilt.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from earfilt.chains.members import Filter
    from earfilt.report.lines import Line, Measurement
    from earfilt.synthesis.fir import Fir
    from earfilt.synthesis.response import Response

_POINTS = 512
_WIDTH_MM = 85.0
_TABLES = (".csv", ".json")
_PAGE = ".html"
_STDOUT = "-"
_MIN_WIDTH_MM, _MAX_WIDTH_MM = 50, 1000


class Scale(StrEnum):
    log = "log"
    linear = "linear"


class Panel(StrEnum):
    magnitude = "magnitude"
    difference = "difference"
    phase = "phase"
    delay = "delay"
    itd = "itd"
    ild = "ild"


class Legend(StrEnum):
    outside = "outside"
    inside = "inside"
    off = "off"


COMMAND = FilterCommand


def response(
    filter_names: FilterNames,
    ctx: typer.Context,
    fs: Annotated[
        float | None,
        typer.Option(
            "--fs",
            metavar="HZ",
            help="Sampling rate (48000; of a FIR file, its own).",
            show_default=False,
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option("--points", metavar="N", help=f"Number of frequencies ({_POINTS})."),
    ] = None,
    scale: Annotated[
        Scale | None, typer.Option("--scale", help="Their spacing, and the axis of figures (log).")
    ] = None,
    fmin: Annotated[
        float | None,
        typer.Option("--fmin", metavar="HZ", help="Lowest frequency (20; 0 on a linear scale)."),
    ] = None,
    fmax: Annotated[
        float | None,
        typer.Option("--fmax", metavar="HZ", help="Highest frequency (20000, at most fs/2)."),
    ] = None,
    freqs: Annotated[
        str | None,
        typer.Option(
            "--freqs",
            metavar="HZ,HZ,...",
            help="Exactly these frequencies instead.",
            show_default=False,
        ),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write .csv, .json, .png, .svg, .pdf, .eps or .html instead of CSV to stdout (-). "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Draw the magnitude in the terminal.")
    ] = False,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare",
            metavar="FILE",
            help="Show a measurement too, moved to the level of the first filter. Repeatable.",
            show_default=False,
        ),
    ] = None,
    compare_column: Annotated[
        str | None,
        typer.Option(
            "--compare-column",
            metavar="NAME",
            help="Column to compare, of a file with several.",
            show_default=False,
        ),
    ] = None,
    relative_to: Annotated[
        float | None,
        typer.Option("--relative-to", metavar="HZ", help="Frequency at which every curve is 0 dB."),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="TEXT",
            help="Name of a curve in figures: one for each filter, then one for each measurement. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    panels: Annotated[
        list[Panel] | None,
        typer.Option(
            "--panel",
            metavar="PANEL",
            help="Panel of a figure: magnitude (default), difference (from the first filter), "
            "phase, delay, itd or ild (interaural differences). Repeatable.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[
        float | None,
        typer.Option("--width", metavar="MM", help=f"Width of figures ({_WIDTH_MM:g})."),
    ] = None,
    ymin: Annotated[
        float | None, typer.Option("--ymin", metavar="DB", help="Lowest magnitude shown.")
    ] = None,
    ymax: Annotated[
        float | None, typer.Option("--ymax", metavar="DB", help="Highest magnitude shown.")
    ] = None,
    legend: Annotated[
        Legend | None,
        typer.Option(
            "--legend", help="Legend of a figure: below the axes (outside), within them, or none."
        ),
    ] = None,
    degrees: Annotated[
        bool, typer.Option("--degrees", help="Show the phase in degrees, not in radians.")
    ] = False,
    wrapped: Annotated[
        bool,
        typer.Option("--wrapped", help="Show the principal value of the phase, not unwrapped."),
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Effective response of filters: magnitude, phase and group delay, evaluated exactly at each
    frequency.

    Columns: frequency_hz, magnitude_db, phase_rad (principal value; time zero where the output is
    aligned with the input), group_delay_s (from the coefficients). With several filters or a
    measurement a first column names each; a filter of two ears has the columns of both.
    """
    from earfilt.storage.writing import check_outputs, put, write_bytes
    from earfilt.synthesis.response import to_csv

    files = [path for path in outputs or () if path != _STDOUT]
    figures = [path for path in files if _suffix(path) not in (*_TABLES, _PAGE)]
    named = show or len(figures) < len([path for path in files if _suffix(path) not in _TABLES])
    if not figures:
        reason = "only a figure has them, and none is written (-o FILE.png, .svg, .pdf or .eps)"
        looks: dict[str, object] = {
            "--panel": panels,
            "--width": width,
            "--legend": legend,
            **({} if named else {"--label": labels}),
        }
        refuse_without_effect(looks, reason)
    if not (show or (figures and Panel.magnitude in (panels or [Panel.magnitude]))):
        reason = "they are the ends of the magnitudes in a figure (-o FILE.png) or with --show"
        refuse_without_effect({"--ymin": ymin, "--ymax": ymax}, reason)
    if Panel.phase not in (panels or ()):
        reason = "they say how --panel phase is drawn"
        refuse_without_effect({"--degrees": degrees, "--wrapped": wrapped}, reason)
    if freqs is not None:
        away = {
            "--points": points,
            "--fmin": fmin,
            "--fmax": fmax,
            **({} if figures or show else {"--scale": scale}),
        }
        refuse_without_effect(away, "--freqs names each frequency")
    if not compare:
        refuse_without_effect({"--compare-column": compare_column}, "give --compare FILE")
    axis, width_mm = scale or Scale.log, _WIDTH_MM if width is None else width
    _check_figures(files, width_mm)
    _check_extras(figures, show=show)
    _check_labels(labels or [], len(filter_names), len(compare or []))
    filters = list(map(finder(ctx), filter_names))
    check_outputs(
        files,
        [*(path for filter in filters for path in filter.files), *map(str, compare or ())],
        force=force,
    )
    rate = fs if fs is not None else default_fs(filters)
    curves = _Curves(
        filters,
        rate,
        _asked(rate, freqs, _POINTS if points is None else points, axis.value, fmin, fmax),
        compare or [],
        compare_column,
        labels=labels or [],
        relative_to=relative_to,
    )
    look: dict[str, Any] = {
        "scale": axis.value,
        "panels": [panel.value for panel in panels or curves.panels],
        "width_mm": width_mm,
        "ymin": ymin,
        "ymax": ymax,
        "legend": (legend or Legend.outside).value,
        "degrees": degrees,
        "wrapped": wrapped,
        "relative_to": relative_to,
    }
    made = [(path, curves.file(path, look)) for path in files]
    drawing = _shown(curves.terminal(axis.value, ymin, ymax, quiet=quiet)) if show else ""
    for path, data in made:
        write_bytes(path, data, force=force)
    sys.stdout.write(drawing)
    if _STDOUT in (outputs or ()) or not (files or show):
        put(to_csv(curves.rows(), curves.ears))
    if not quiet:
        sys.stdout.flush()
        for line in curves.remarks():
            say(line)
    return 0


class _Curves:
    """The realised filters and measurements of one call, in every form that was asked for."""

    def __init__(
        self,
        filters: "list[Filter]",
        fs: float,
        freqs: "NDArray[np.float64]",
        compared: list[Path],
        column: str | None,
        *,
        labels: list[str],
        relative_to: float | None,
    ) -> None:
        from earfilt.synthesis.response import level_at, respond

        ears = [filter.by_ear(fs) for filter in filters]
        self._wholes = [filter.still_at(fs) for filter in filters]
        self._filters = [filter for rows in ears for filter, _ in rows]
        self._firs: list[Fir] = [fir for rows in ears for _, fir in rows]
        self._names = [
            filter.applied if len(rows) == 1 else fir.provenance.filter or ""
            for filter, rows in zip(filters, ears, strict=True)
            for _, fir in rows
        ]
        self._relative_to, self._fs = relative_to, fs
        self._levels = [
            0.0 if relative_to is None else level_at(fir, relative_to) for fir in self._firs
        ]
        self._responses: list[Response] = [
            respond(fir, freqs).lowered(level)
            for fir, level in zip(self._firs, self._levels, strict=True)
        ]
        found = [_measurement(path, column, self._firs[0]) for path in compared]
        self._measurements = [measurement for measurement, _ in found]
        self._understood = [words for _, words in found]
        rows = [len(one) for one in ears] + [1] * len(self._measurements)
        names = [fir.row_names for fir in self._wholes] + [("",)] * len(self._measurements)
        self._labels = [
            f"{label}, {name}" if count > 1 else label
            for label, count, row_names in zip(labels, rows, names, strict=False)
            for name in row_names
        ]

    @property
    def ears(self) -> tuple[str, ...]:
        """Names of the rows, where one filter of several is all that there is."""
        alone = len(self._wholes) == 1 and not self._measurements
        return self._wholes[0].row_names if alone and self._wholes[0].rows > 1 else ()

    @property
    def panels(self) -> list[Panel]:
        """What a figure shows by default: of a direction also what lies between the ears."""
        directed = any("azimuth" in fir.provenance.options for fir in self._wholes)
        return [Panel.magnitude, Panel.itd, Panel.ild] if directed else [Panel.magnitude]

    def rows(self) -> "list[tuple[str, Response]]":
        """Name and values of each curve, measurements last."""
        from earfilt.synthesis.response import measured

        realised = list(zip(self._names, self._responses, strict=True))
        return realised + [(m.label, measured(m.freqs, m.gain_db)) for m in self._shown()]

    def file(self, path: str, look: dict[str, Any]) -> bytes:
        """The bytes of an output file by its extension."""
        from earfilt.report.figures import Look, figure
        from earfilt.synthesis.response import to_csv, to_json

        suffix = _suffix(path)
        if suffix == ".csv":
            return to_csv(self.rows(), self.ears).encode()
        if suffix == ".json":
            facts = [self._facts(fir) for fir in self._firs] + [
                {"measurement": True} for _ in self._measurements
            ]
            if self._relative_to is not None:
                facts = [{"relative_to_hz": self._relative_to, **fact} for fact in facts]
            named = zip(facts, self.rows(), strict=True)
            return to_json(
                ({"filter": name, **fact}, values) for fact, (name, values) in named
            ).encode()
        if suffix == _PAGE:
            from earfilt.report.page import compare_page, page_curves

            curves = page_curves(self._filters, self._lines(), self._labelled())
            page: str = compare_page(
                curves, fs=self._fs, options=self._filters[0].request.typed_options
            )
            return page.encode()
        return figure(self._lines(), suffix, Look(**look), measurements=self._labelled())

    def terminal(self, scale: str, ymin: float | None, ymax: float | None, *, quiet: bool) -> str:
        """The drawing for this terminal."""
        from earfilt.report.terminal import terminal

        size, attended = shutil.get_terminal_size(), sys.stdout.isatty()
        plain = not attended or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        # The remarks and the next prompt follow on the same screen.
        taken = 2 + (
            0 if quiet else sum(1 + len(remark) // size.columns for remark in self.remarks())
        )
        room = {"columns": size.columns, "rows": size.lines - taken}
        return terminal(
            self._lines(),
            measurements=self._labelled(),
            scale=scale,
            ymin=ymin,
            ymax=ymax,
            **room,
            colour=not plain,
            wrap=attended,
        )

    def remarks(self) -> list[str]:
        """What was realised and how far it is from what was published or measured."""
        from earfilt.chains import describe

        lines = [
            ", ".join(
                filter(
                    None,
                    (
                        f"{describe.design_words(fir)} at {self._fs:.12g} Hz",
                        describe.deviation_words(fir.provenance),
                        describe.range_words(fir.provenance),
                    ),
                )
            )
            for fir in self._firs
        ]
        lines += [text for fir in self._wholes for text in describe.file_words(fir.provenance)]
        lines += [f"warning: {text}" for fir in self._wholes for text in describe.warnings(fir)]
        lines += self._understood
        pairs = list(zip(self._names, self._firs, strict=True))
        return lines + [
            _difference(measurement, name, fir)
            for measurement in self._measurements
            for name, fir in pairs
        ]

    @staticmethod
    def _facts(fir: "Fir") -> dict[str, Any]:
        shown = fir.provenance.to_json()
        shown.pop("filter", None)
        return {
            "version": __version__,
            "fs": fir.fs,
            "numtaps": fir.numtaps,
            "latency": fir.lookahead,
            **shown,
        }

    def _lines(self) -> "list[Line]":
        from earfilt.report.lines import line_of, with_between

        labels = self._labels[: len(self._filters)] or [""] * len(self._filters)
        each = zip(self._filters, self._firs, self._responses, self._levels, labels, strict=True)
        lines = [
            line_of(filter, fir, response, below_db=level, label=label)
            for filter, fir, response, level, label in each
        ]
        # a line on the axes has the name of its ear
        named = iter(
            line if label else replace(line, name=name)
            for line, label, name in zip(lines, labels, self._names, strict=True)
        )
        each_filter = [list(islice(named, whole.rows)) for whole in self._wholes]
        return [
            line
            for rows, whole in zip(each_filter, self._wholes, strict=True)
            for line in with_between(rows, whole)
        ]

    def _shown(self) -> "list[Measurement]":
        """The measurements, 0 dB where that was asked for."""
        from earfilt.report.lines import relative

        if self._relative_to is None:
            return self._measurements
        return [relative(measurement, self._relative_to) for measurement in self._measurements]

    def _labelled(self) -> "list[Measurement]":
        """As they are drawn."""
        shown = self._shown()
        labels = self._labels[len(self._filters) :] or [one.label for one in shown]
        return [replace(one, label=label) for one, label in zip(shown, labels, strict=True)]


def _shown(drawing: str) -> str:
    """A drawing that the standard output can show, or UsageError."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        drawing.encode(encoding, sys.stdout.errors or "strict")
    except UnicodeEncodeError:
        raise UsageError(
            f"--show draws with characters that {encoding}, the encoding of the standard output, does "
            "not have; set PYTHONIOENCODING=utf-8 where the terminal shows UTF-8, or draw into a "
            "file with -o curve.png"
        ) from None
    return drawing


def _suffix(path: str) -> str:
    return Path(path).suffix.lower()


def _measurement(path: Path, column: str | None, fir: "Fir") -> "tuple[Measurement, str]":
    """A measurement, and what its file was understood as; levels are moved to lie on a FIR."""
    import numpy as np

    from earfilt.chains.describe import use_words
    from earfilt.ears.levels import holds_levels
    from earfilt.files.curves import Remedies, read_points
    from earfilt.report.lines import Measurement
    from earfilt.synthesis.response import level_above

    found = read_points(path, column=column, remedies=Remedies("compare_column", ""))
    shift = -level_above(fir, found.values) if holds_levels(found.values) else 0.0
    gain_db = np.array(found.values.db) + shift
    words = f"{printable(str(path))} is read as {use_words(found.use(str(path)))}"
    if shift:
        words += f"; moved by {shift:+.2f} dB to the mean of the filter from 100 Hz to 10 kHz"
    return Measurement(str(path), np.array(found.values.freqs), gain_db), words


def _difference(measurement: "Measurement", name: str, fir: "Fir") -> str:
    """How a measurement and a realised filter differ."""
    from earfilt.synthesis.response import compare

    off = compare(fir, measurement.freqs, measurement.gain_db)
    return (
        f"{printable(measurement.label)} minus {printable(name)} at {off.points} frequencies: "
        f"{off.mean_db:+.2f} dB on average, "
        f"{off.rms_db:.2f} dB rms around that, {off.largest_db:+.2f} dB at most, at "
        f"{off.largest_hz:g} Hz"
    )


def _check_figures(files: list[str], width: float) -> None:
    """Refuse an extension that is not known and a figure of no use."""
    from earfilt.report.figures import SUFFIXES

    if not _MIN_WIDTH_MM <= width <= _MAX_WIDTH_MM:
        raise UsageError(
            f"--width {width:g}; figures are {_MIN_WIDTH_MM} to {_MAX_WIDTH_MM} mm wide"
        )

    for path in files:
        known = (*_TABLES, *SUFFIXES, _PAGE)
        if _suffix(path) not in known:
            raise UsageError(f"{printable(path)}: a response is written as {', '.join(known)}")


def _check_extras(figures: list[str], *, show: bool) -> None:
    """Refuse drawings that nothing here can draw, before anything is designed."""
    from earfilt.report.extras import check_extra

    if figures:
        check_extra("matplotlib", "figures")
    if show:
        check_extra("plotext", "drawings in the terminal")


def _check_labels(labels: list[str], filters: int, measurements: int) -> None:
    """Refuse labels that leave open whose they are."""
    if labels and len(labels) not in (filters, filters + measurements):
        more = f" or {filters + measurements}, one for each curve" if measurements else ""
        raise UsageError(
            f"--label is given {len(labels)} times; it takes {filters}, one for each filter{more}"
        )


def _asked(
    fs: float, freqs: str | None, points: int, scale: str, fmin: float | None, fmax: float | None
) -> "NDArray[np.float64]":
    import numpy as np

    from earfilt.ears.options import checked_fs
    from earfilt.synthesis.response import check_freqs, frequency_grid

    checked_fs(fs)
    if freqs is None:
        return frequency_grid(fs, points=points, scale=scale, fmin=fmin, fmax=fmax)
    try:
        asked = np.array([float(word) for word in freqs.split(",")])
    except ValueError as error:
        raise UsageError(
            f"--freqs {printable(freqs)}: frequencies in Hz are written 125,250,1000"
        ) from error
    check_freqs(asked, fs)
    return asked
