"""``earfilt fit`` of an ear to a curve."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earfilt.cli.commands.identifying import check_files
from earfilt.cli.streams import say
from earfilt.errors import UsageError, counted, printable

if TYPE_CHECKING:
    from earfilt.arrays import Floats
    from earfilt.chains.members import Filter
    from earfilt.files.goals import WeightedCurve
    from earfilt.nn.descent import Fitted
    from earfilt.nn.module import EarModule


class Adaptation:
    """From a curve to an ear that meets it."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        if not options["curve"] or not options["start"]:
            raise UsageError("--curve and --start go together")
        if options["resume"] or options["checkpoint"] is not None:
            from earfilt.nn.descent import check_checkpoint

            check_checkpoint(options["checkpoint"], resume=options["resume"])

    def run(self, outputs: list[str], report: str | None, *, force: bool, quiet: bool) -> int:
        from earfilt.chains.members import resolve
        from earfilt.files.goals import read_weighted_curve
        from earfilt.storage.reading import SmallFile
        from earfilt.storage.writing import refuse_inputs, write_bytes

        asked = self.options
        start = resolve(asked["start"])
        read = [asked["curve"], *start.files]
        check_files(outputs, report, read, ".json", "an ear", force=force)
        if asked["checkpoint"] is not None:
            others = [*read, *outputs, *([report] if report else [])]
            refuse_inputs([asked["checkpoint"]], others)
        file = SmallFile(asked["curve"])
        read_as = {
            name: getattr(asked[name], "value", asked[name])  # words of a list of words
            for name in ("weights", "column", "decimal", "align", "absolute")
        }
        wanted = read_weighted_curve(file, **read_as)
        with _progress(quiet=quiet) as progress:
            done = self._adapted(start, wanted, progress)
        for path in outputs:
            suffix = Path(path).suffix.lower()
            if suffix == ".json":
                done.ear.save(path, force=force)
            else:
                write_bytes(path, done.figure(suffix), force=force)
        if report is not None:
            source = {"file": printable(file.name), "sha256": file.sha256}
            write_bytes(report, done.report(asked, source), force=force)
        if not quiet:
            for line in done.words():
                say(f"{printable(outputs[0])}: {line}")
        return 0

    def _adapted(
        self,
        start: "Filter",
        wanted: "WeightedCurve",
        progress: Callable[[int, float], None] | None,
    ) -> "_Adapted":
        import numpy as np
        import torch

        from earfilt.cli.options import default_fs
        from earfilt.nn.descent import STEPS, Goal, fit
        from earfilt.nn.module import EarModule
        from earfilt.render.process import resolve_device

        asked = self.options
        fs = asked["fs"]
        rate = fs if fs is not None else default_fs([start])
        wanted = wanted.filled().up_to(rate / 2.0)  # beyond, there is no response
        more = {} if asked["order"] is None else {"order": asked["order"]}
        ear = EarModule(asked["start"], rate, learnable=True, dtype=torch.float64, **more)
        goal = Goal(wanted.freqs, wanted.gain_db, wanted.weight, asked["smoothness"])
        device = resolve_device(asked["device"], lambda: True)
        before = ear.response(wanted.freqs).abs().detach().numpy()
        fitted = fit(
            ear,
            goal,
            steps=STEPS if asked["steps"] is None else asked["steps"],
            seed=asked["seed"],
            device=device,
            checkpoint=asked["checkpoint"],
            resume=asked["resume"],
            progress=progress,
        )
        return _Adapted(ear.cpu().eval(), fitted, wanted, 20.0 * np.log10(before + 1e-15))


@dataclass(frozen=True, eq=False)
class _Adapted:
    """An adapted ear, and what it was and is beside its target."""

    ear: "EarModule"
    fitted: "Fitted"
    wanted: "WeightedCurve"
    start_db: "Floats"

    @property
    def result_db(self) -> "Floats":
        import numpy as np

        response = self.ear.response(self.wanted.freqs).abs().detach().numpy()
        return 20.0 * np.log10(response + 1e-15)

    def words(self) -> list[str]:
        """What came of it, a line each."""
        import numpy as np

        from earfilt.nn.descent import range_of

        low, high = range_of(self.ear)
        inside = (self.wanted.freqs >= low) & (self.wanted.freqs <= high)
        at = self.wanted.freqs[inside]
        off = (self.result_db - self.wanted.gain_db)[inside]
        before = (self.start_db - self.wanted.gain_db)[inside]
        worst = int(np.argmax(np.abs(off)))
        ended = "nothing changed any more" if self.fitted.converged else "all that were asked for"
        by = "" if self.wanted.column == "none" else f", weighted by {self.wanted.column}"
        return [
            f"{printable(self.ear.name)} at {self.ear.fs:.12g} Hz, {_rms(off):.3g} dB (rms) from "
            f"the target at {len(off)} points from {at[0]:.4g} to {at[-1]:.5g} Hz{by}, "
            f"{off[worst]:+.3g} dB at most, at "
            f"{at[worst]:.5g} Hz; {_rms(before):.3g} dB before",
            f"{counted(len(self.fitted.losses), 'step')} ({ended}), {1e3 * self.fitted.step_s:.3g} ms each",
        ]

    def figure(self, suffix: str) -> bytes:
        """Target, start and result; residual; coherence where the target has it."""
        from earfilt.report.fitting import Picture, Trace, figure

        freqs, result = self.wanted.freqs, self.result_db
        traces = [
            Trace("target", freqs, self.wanted.gain_db),
            Trace(f"start: {self.ear.name}", freqs, self.start_db),
            Trace("result", freqs, result),
        ]
        residual = [Trace("residual", freqs, result - self.wanted.gain_db)]
        same = self.wanted.coherence
        coherence = [] if same is None else [Trace("coherence", freqs, same)]
        return figure(Picture(traces, residual, coherence), suffix)

    def report(self, asked: dict[str, Any], source: dict[str, Any]) -> bytes:
        """Curve, source, settings and findings as JSON."""
        from earfilt.report.fitting import to_json

        settings = {name: getattr(value, "value", value) for name, value in asked.items()}
        return to_json(
            settings,
            [source],
            fs=self.ear.fs,
            curve={
                "frequency_hz": self.wanted.freqs.tolist(),
                "target_db": self.wanted.gain_db.tolist(),
                "weight": self.wanted.weight.tolist(),
                "start_db": self.start_db.tolist(),
                "result_db": self.result_db.tolist(),
            },
            losses=self.fitted.losses,
            loss=self.fitted.loss,
            converged=self.fitted.converged,
            step_s=self.fitted.step_s,
        )


def _rms(values: "Floats") -> float:
    return float((values**2).mean() ** 0.5)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, float], None] | None]:
    """A line on the terminal that counts steps; nothing where stderr is none."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("designing the first filter")
        yield lambda step, loss: bar.update(
            task, description=f"step {step}, {loss**0.5:.4g} dB (rms)"
        )
