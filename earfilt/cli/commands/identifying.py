"""``earfilt fit`` of recordings: curves, and the sweep that is played for one."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earfilt.cli.streams import say
from earfilt.errors import UsageError, printable

if TYPE_CHECKING:
    from earfilt.measure.identification import Identified
    from earfilt.measure.recordings import Recording

_EARS = ("L", "R")


def check_files(
    outputs: Sequence[str],
    report: str | None,
    read: Sequence[str],
    suffix: str,
    what: str,
    *,
    force: bool,
) -> None:
    """Refuse outputs of other kinds than a result and figures, and what would do harm."""
    from earfilt.report.extras import check_extra
    from earfilt.report.figures import SUFFIXES
    from earfilt.report.file import check_report
    from earfilt.storage.writing import check_outputs

    wrong = [one for one in outputs if Path(one).suffix.lower() not in (suffix, *SUFFIXES)]
    if wrong:
        raise UsageError(
            f"-o {printable(wrong[0])}: {what} is written as {suffix}, a figure as "
            f"{', '.join(SUFFIXES)}"
        )
    if any(Path(one).suffix.lower() in SUFFIXES for one in outputs):
        check_extra("matplotlib", "figures")
    written = [*outputs, *([] if report is None else [report])]
    check_outputs(written, read, force=force)
    check_report(report, read=read, written=outputs)


class Identification:
    """From recordings to curves, one for each channel of the targets."""

    def __init__(
        self,
        dry: list[str],
        wet: list[str],
        *,
        estimator: Any,
        band: tuple[float, float] | None,
        mean: Any,
    ) -> None:
        self.dry, self.wet = dry, wet
        self.estimator, self.band, self.mean = estimator, band, mean

    def run(self, outputs: list[str], report: str | None, *, force: bool, quiet: bool) -> int:
        from earfilt.audio.reader import probe
        from earfilt.measure.recordings import check_pairs, read_recording
        from earfilt.storage.writing import write_bytes

        read = [*self.dry, *self.wet]
        ears = _EARS if probe(self.wet[0]).channels > 1 else ("",)
        written = [_of_ear(output, ear) for output in outputs for ear in ears]
        check_files(written, report, read, ".csv", "a curve", force=force)
        known = {path: read_recording(path) for path in dict.fromkeys(read)}
        dry, wet = ([known[path] for path in some] for some in (self.dry, self.wet))
        check_pairs(dry, wet)
        curves = {ear: self._curve(dry, wet, n) for n, ear in enumerate(ears)}
        heard = [_sounding(dry[0])] if self.estimator == "sweep" else [len(w.samples) for w in wet]
        seconds = sum(heard) / wet[0].fs
        files = [file for ear, found in curves.items() for file in self._files(found, ear, outputs)]
        if report is not None:
            files.append((report, self._report(list(known.values()), curves)))
        for path, data in files:
            write_bytes(path, data, force=force)
        if not quiet:
            self._say(curves, outputs, seconds, list(known.values()))
        return 0

    def _curve(self, dry: "list[Recording]", wet: "list[Recording]", channel: int) -> "Identified":
        from earfilt.measure.identification import identify
        from earfilt.measure.sweep import identify_sweeps

        played = [one.samples[:, min(channel, one.channels - 1)] for one in dry]
        heard = [one.samples[:, channel] for one in wet]
        fs, band, mean = float(wet[0].fs), self.band, self.mean
        if self.estimator == "sweep":
            return identify_sweeps(played, heard, fs, band=band, mean=mean)
        return identify(played, heard, fs, estimator=self.estimator, band=band, mean=mean)

    def _files(
        self, found: "Identified", ear: str, outputs: list[str]
    ) -> Iterator[tuple[str, bytes]]:
        from earfilt.report import fitting

        pairs = list(zip(self.dry, self.wet, strict=True))
        for output in outputs:
            path, suffix = _of_ear(output, ear), Path(output).suffix.lower()
            if suffix == ".csv":
                yield path, found.to_csv(fitting.identified_comments(found, pairs)).encode()
            else:
                yield path, fitting.figure(fitting.identified_picture(found), suffix)

    def _report(self, sources: "list[Recording]", curves: "dict[str, Identified]") -> bytes:
        from earfilt.report import fitting

        settings = {"estimator": self.estimator, "band_hz": self.band, "mean": self.mean}
        pairs = [{"dry": a, "wet": b} for a, b in zip(self.dry, self.wet, strict=True)]
        return fitting.to_json(
            {**settings, "pairs": pairs},
            [_source(one) for one in sources],
            ears={ear or "mono": fitting.identified_json(found) for ear, found in curves.items()},
        )

    def _say(
        self,
        curves: "dict[str, Identified]",
        outputs: list[str],
        seconds: float,
        sources: "list[Recording]",
    ) -> None:
        from earfilt.report import fitting

        tables = [one for one in outputs if one.lower().endswith(".csv")] or outputs
        for ear, found in curves.items():
            first, *rest = fitting.identified_words(found, seconds=seconds)
            say(f"{printable(_of_ear(tables[0], ear))}: {first}")
            for line in rest:
                say(line)
        for one in sources:
            if one.cut:
                say(f"warning: of {one.name} the first 10 minutes were used")
            for words in one.warnings:
                say(f"warning: {one.name}: {words}")


def _sounding(recording: "Recording") -> int:
    """Frames from the first that is not silent to the last."""
    import numpy as np

    (loud,) = np.nonzero(recording.samples.any(axis=1))
    return int(loud[-1] - loud[0]) + 1


def _of_ear(path: str, ear: str) -> str:
    """The output of one ear: ``mine-L.csv``."""
    stem, suffix = os.path.splitext(path)
    return f"{stem}-{ear}{suffix}" if ear else path


def _source(recording: "Recording") -> dict[str, Any]:
    return {
        "file": recording.name,
        "sha256": recording.sha256,
        "fs": recording.fs,
        "channels": recording.channels,
        "frames": len(recording.samples),
        "cut": recording.cut,
        "warnings": [str(words) for words in recording.warnings],
    }


def write_sweep(
    outputs: list[str], fs: float, seconds: float | None, *, force: bool, quiet: bool
) -> int:
    from earfilt.measure.sweep import SECONDS, sweep_file
    from earfilt.storage.writing import check_outputs, write_bytes

    if any(Path(one).suffix.lower() != ".wav" for one in outputs):
        raise UsageError(f"-o {printable(outputs[0])}: a sweep is written as .wav")
    check_outputs(outputs, [], force=force)
    data, words = sweep_file(fs, SECONDS if seconds is None else seconds)
    for path in outputs:
        write_bytes(path, data, force=force)
        if not quiet:
            say(f"{printable(path)}: {words}")
    return 0
