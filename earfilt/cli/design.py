"""``earfilt design``: the FIR itself, for other programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earfilt.cli.options import FilterCommand, FilterName, Quiet, finder
from earfilt.cli.response import default_fs
from earfilt.errors import UsageError, printable

if TYPE_CHECKING:
    from earfilt.synthesis.fir import Fir

_RATE = "{fs}"


COMMAND = FilterCommand


def design(
    ctx: typer.Context,
    filter_name: FilterName,
    outputs: Annotated[
        list[str],
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to; {fs} stands for the rate. Repeatable.",
            show_default=False,
        ),
    ],
    fs: Annotated[
        list[float] | None,
        typer.Option(
            "--fs",
            metavar="HZ",
            help="Sampling rate (48000; of a FIR file, its own). Repeatable.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    quiet: Quiet = False,
) -> int:
    """The effective FIR of a filter or chain, all passes and gains included, as a file.

    The latency is the index of the tap at time zero: 0 for minimum phase, the order for zero phase.
    Who reads which format, and how the output comes to be aligned with the input:

    \b
    .wav   mono, 64-bit float. Convolvers take the first tap for time zero, so
           the output comes LATENCY samples late: drop them. ffmpeg afir:
           gtype=none, else it scales; 5.1 then doubles (irgain=0.5 undoes it).
    .txt   SoX: sox IN OUT fir FILE. SoX advances by half the taps; the zeros
           added here make that the latency, so the output is aligned.
    .mat   MATLAB, Octave: y = filter(taps, 1, x), then drop LATENCY samples.
    .npy   bare taps: numpy.convolve(x, taps), then drop LATENCY samples.
    .csv   sample,coefficient; sample 0 is time zero.
    .json  everything: fs, taps, latency, rule for the ends, parameters, source.

    earfilt reads all of them back with -f to the same bits. .npy says neither rate nor latency:
    symmetric taps are taken as centred, others as causal (--latency overrides).
    """
    from earfilt.files.firs import fir_bytes
    from earfilt.storage.writing import check_outputs, write_bytes

    # A tolerance that was written asks for the fewest taps; plain design gives those of apply.
    fewest = None if ctx.obj["tolerance"] is None else True
    filter = finder(ctx, fewest=fewest)(filter_name)
    rates = list(dict.fromkeys(fs or [default_fs([filter])]))
    plan = [(rate, output.replace(_RATE, f"{rate:.12g}")) for rate in rates for output in outputs]
    _check_plan(plan)
    check_outputs([path for _, path in plan], filter.files, force=force)
    firs = {rate: filter.at(rate) for rate in rates}
    made = [(path, firs[rate], fir_bytes(firs[rate], path)) for rate, path in plan]
    for path, fir, data in made:
        write_bytes(path, data, force=force)
        if not quiet:
            print(_summary(path, fir), file=sys.stderr)
    return 0


def _check_plan(plan: list[tuple[float, str]]) -> None:
    """Refuse what cannot be written before any design."""
    from earfilt.files.firs import SUFFIXES

    for rate, path in plan:
        if Path(path).suffix.lower() not in SUFFIXES:
            raise UsageError(f"{printable(path)}: a FIR is written as {', '.join(SUFFIXES)}")
        if not 0 < rate < float("inf"):
            raise UsageError(f"--fs {rate:g}; a sampling rate is above 0 Hz")
    if len({Path(path).resolve() for _, path in plan}) < len(plan):
        raise UsageError(
            f"two FIRs would be written to one file; put {_RATE} into its name, as in -o "
            f"name-{_RATE}.wav"
        )


def _summary(path: str, fir: "Fir") -> str:
    """One line on what was written, and one for each warning."""
    from earfilt.chains import describe

    fs = fir.fs or 0.0
    latency = f"latency {fir.lookahead} samples ({1e3 * fir.lookahead / fs:.3g} ms)"
    words = [
        f"{fir.numtaps} taps at {fs:.12g} Hz",
        latency,
        describe.design_words(fir),
        describe.deviation_words(fir.provenance),
        describe.range_words(fir.provenance),
    ]
    lines = [
        f"{printable(path)}: {', '.join(word for word in words if word)}",
        *describe.file_words(fir.provenance),
    ]
    return "\n".join(lines + [f"warning: {text}" for text in describe.warnings(fir)])
