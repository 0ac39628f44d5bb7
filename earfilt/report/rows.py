"""How a row looks: the summary of one file, and the table at the end of a batch.

A row is the record of one file (`earfilt.render.record.Row`); everything here only reads it. Names
come from file systems, so that whatever reaches a terminal goes through `printable`.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from earfilt.chains.describe import (
    deviation_words,
    ears_words,
    file_words,
    gain_words,
    level_words,
    range_words,
    short_citation,
    together,
)
from earfilt.errors import Note, counted, printable

if TYPE_CHECKING:
    from earfilt.render.record import Row


def summary(row: "Row", *, verbose: bool = False) -> str:
    """What a user wants to know of one filtered file: lines of a label and its value, without a
    line's end at the last.

    Parameters
    ----------
    row : Row
        Of any status; of a failed one, the reason.
    verbose : bool
        Everything: sources, coefficients, levels and time as well.
    """
    if row.status != "ok":
        return f"{row.status}: {printable(row.source)}: {printable(row.error or '')}"
    said = {
        "filter": _filter(row),
        **{f"file {i}": text for i, text in enumerate(file_words(row.provenance), 1)},
        "source": "" if verbose else _sources(row),
        "deviation": deviation_words(row.provenance),
        "range": range_words(row.provenance),
        "ears": ears_words(row.provenance, row.latency or 0),
        "audio": f"{row.fs:g} Hz, {_channels(row)}, {counted(row.frames or 0, 'frame')} "
        f"({duration(audio_seconds(row))})",
        "written as": f"{row.format} {row.subtype}, computed in {_precision(row)} on {row.device}",
        "peak": f"in {_levels(row.peak_in_dbfs)}, out {_levels(row.peak_out_dbfs)} dBFS",
        "level": _spl(row),
        "clipped": _clipped(row),
        **(_more(row) if verbose else {}),
        **{f"warning {i}": printable(text) for i, text in enumerate(row.warnings, 1)},
    }
    lines = [f"{printable(row.source)} -> {printable(row.destination)}"]
    return "\n".join(lines + [f"  {label:<11} {text}" for label, text in said.items() if text])


def _more(row: "Row") -> dict[str, str]:
    """What a summary leaves out unless it is asked for everything."""
    told = row.provenance
    sources = {f"source {i}": printable(text) for i, text in enumerate(told.citations(), 1)}
    return {
        "asked for": printable(told.command or ""),
        **sources,
        "look-ahead": f"{_counted(row.latency or 0, 'sample')}{_at_1khz(row)}",
        "hash": f"{row.coefficients_sha256} (SHA-256 of the coefficients)",
        "source was": f"{row.source_format} {row.source_subtype}",
        "rms": f"in {_levels(row.rms_in_dbfs)}, out {_levels(row.rms_out_dbfs)} dBFS",
        "time": f"{row.seconds:.3f} s, {_speed(audio_seconds(row), row.seconds)}",
    }


def _sources(row: "Row") -> str:
    """Author and year of each source."""
    return printable("; ".join(dict.fromkeys(map(short_citation, row.provenance.source))))


def _at_1khz(row: "Row") -> str:
    gains = row.gain_1khz_db
    if gains is None:
        return ""
    rows = gains if isinstance(gains, list) else [gains]
    told = " / ".join("−inf" if gain is None else f"{gain:+.2f}" for gain in rows)
    return f", {told} dB at 1 kHz"


def _speed(audio: float, seconds: float) -> str:
    return f"{audio / seconds if seconds else 0.0:,.0f} × real time"


def _filter(row: "Row") -> str:
    told = row.provenance
    words = [printable(row.filter or "")]
    words += [f"variant {together(told.variant)}"] if told.variant else []
    convention = told.options.get("convention")
    words += [f"{together(convention)} convention"] if convention else []
    words += [f"order {together(told.order)}"] if told.order is not None else []
    words += [f"{together(told.phase)} phase"] if told.phase else []
    words += gain_words(told)
    words += [f"gain {row.gain_db:+.2f} dB"] if row.gain_db else []
    return ", ".join(words)


def _precision(row: "Row") -> str:
    return (row.precision or "").replace("+", " and ")


def _channels(row: "Row") -> str:
    counted = _counted(row.channels or 0, "channel")
    of_mono = row.source_channels == 1 and row.channels == 2
    return f"mono to {counted}" if of_mono else counted


def _spl(row: "Row") -> str:
    """Levels re the sound pressure that full scale stands for."""
    if not row.spl_in_db:
        return ""
    unit, levels = level_words(row.provenance), f"out {_levels(row.spl_out_db)}"
    before = "" if unit == "dB SPL" else " dB SPL"
    return f"in {_levels(row.spl_in_db)}{before}, {levels} {unit}"


def _clipped(row: "Row") -> str:
    if not any(row.clipped):
        return "no samples"
    channels = ", ".join(f"{count} in channel {i}" for i, count in enumerate(row.clipped) if count)
    return (
        f"{_counted(sum(row.clipped), 'sample')} ({channels}); --gain "
        f"{row.fitting_gain_db:.2f} fits"
    )


def _levels(values: Sequence[float | None]) -> str:
    """Levels of the channels; None is digital silence."""
    return " / ".join("−inf" if value is None else f"{value:.2f}" for value in values)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def audio_seconds(row: "Row") -> float:
    """Duration of what was filtered; 0 where it is not known, as in failed rows."""
    return (row.frames or 0) / row.fs if row.fs else 0.0


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(3.25), duration(200), duration(7384)
    ('3.2 s', '3 min 20 s', '2 h 03 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Grouped:
    """Messages of many files, counted by what they have in common."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, tuple[str, str]] = {}

    def add(self, group: str, text: str, row: "Row") -> None:
        """Count one message of a file, and what is common to its like."""
        self._counts[group] += 1
        self._first.setdefault(group, (printable(row.source), printable(text)))

    def most_common(self, count: int) -> Iterator[tuple[int, str]]:
        """How often, and what: of several files the common words with an example, of a single one
        its own message.
        """
        for group, files in self._counts.most_common(count):
            source, text = self._first[group]
            group = printable(group)
            named = text if source in text else f"{source}: {text}"
            yield files, named if files == 1 else f"{group} (e.g. {source})"


@dataclass
class Totals:
    """What became of the files so far; memory does not grow with their number."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    passed_over: int = 0
    audio_seconds: float = 0.0
    reasons: Grouped = field(default_factory=Grouped)
    clipped_files: int = 0
    clipped_samples: int = 0
    fitting_gain: tuple[float, str] = (float("inf"), "")
    rescaled_files: int = 0
    rescaled_db: tuple[float, float] = (float("inf"), float("-inf"))
    gain_for_all: float = float("inf")
    warnings: Grouped = field(default_factory=Grouped)
    largest_deviation: tuple[float, str] = (-1.0, "")

    def add(self, row: "Row") -> None:
        """Count one row."""
        if row.status == "ok":
            self._add_done(row)
        elif row.status == "skipped":
            self.skipped += 1
        else:
            self.failed += 1
            error = row.error or "unknown"
            self.reasons.add(row.reason or error, error, row)

    def _add_done(self, row: "Row") -> None:
        self.done += 1
        self.audio_seconds += audio_seconds(row)
        for text in dict.fromkeys(row.warnings):
            self.warnings.add(Note.kind_of(text), text, row)
        if row.rescaled_db:
            self.rescaled_files += 1
            self.rescaled_db = (
                min(self.rescaled_db[0], row.rescaled_db),
                max(self.rescaled_db[1], row.rescaled_db),
            )
            self.gain_for_all = min(self.gain_for_all, row.gain_db)
        deviation = row.provenance.deviation_db
        if deviation is not None:
            said = f"{deviation_words(row.provenance)} (sampling rate {row.fs:g} Hz)"
            self.largest_deviation = max(self.largest_deviation, (deviation, said))
        if any(row.clipped):
            self.clipped_files += 1
            self.clipped_samples += sum(row.clipped)
            self.fitting_gain = min(
                self.fitting_gain, (row.fitting_gain_db or 0.0, row.destination)
            )

    @property
    def files(self) -> int:
        """Rows counted."""
        return self.done + self.skipped + self.failed


def table(totals: Totals, seconds: float) -> str:
    """The end of a batch: done, skipped, failed with reasons grouped, clipping in one line, audio
    and speed.

    Parameters
    ----------
    seconds : float
        Wall-clock time of the whole batch.
    """
    return _in_columns(_lines(totals, seconds))


def failures(totals: Totals) -> str:
    """What failed of a batch, with reasons grouped, and nothing else."""
    return _in_columns(_failed(totals))


def _in_columns(counted: Iterator[tuple[str, str]]) -> str:
    lines = list(counted)
    width = max(len(count) for count, _ in lines)
    return "\n".join(f"{count:>{width}}  {text}" for count, text in lines)


def _lines(totals: Totals, seconds: float) -> Iterator[tuple[str, str]]:
    yield (
        f"{totals.done:,}",
        f"done: {duration(totals.audio_seconds)} of audio in {duration(seconds)}, "
        f"{_speed(totals.audio_seconds, seconds)}",
    )
    if totals.skipped:
        yield f"{totals.skipped:,}", "skipped: already there"
    if totals.passed_over:
        yield f"{totals.passed_over:,}", "ignored: not audio"
    yield from _failed(totals)
    for count, text in totals.warnings.most_common(5):
        yield f"{count:,}", f"warned: {text}"
    if totals.clipped_files:
        yield f"{totals.clipped_files:,}", clipping(totals)
    if totals.rescaled_files:
        yield f"{totals.rescaled_files:,}", rescaling(totals)
    if totals.largest_deviation[1]:
        yield "", f"deviation: {totals.largest_deviation[1]}"


def _failed(totals: Totals) -> Iterator[tuple[str, str]]:
    if totals.failed:
        yield f"{totals.failed:,}", "failed:"
    for count, reason in totals.reasons.most_common(20):
        yield f"{count:,}", f"  {reason}"


def clipping(totals: Totals) -> str:
    """One line on all clipping, with the gain that would have avoided it."""
    gain, name = totals.fitting_gain
    samples = _counted(totals.clipped_samples, "sample")
    return (
        f"clipped: {samples}; --gain {gain:.2f} fits all of them (the loudest is {printable(name)})"
    )


def rescaling(totals: Totals) -> str:
    """One line on the gains of rescaled files, with the one that fits all."""
    low, high = totals.rescaled_db
    gain = math.floor(100.0 * totals.gain_for_all) / 100.0
    return (
        f"rescaled by {low:.2f} to {high:.2f} dB, each by a gain of its own; --gain {gain:.2f} "
        "without --clip rescale fits them, and keeps their levels beside each other"
    )
