"""``earfilt fit``: a curve from recordings, or an ear adapted to a curve."""

from enum import StrEnum
from typing import Annotated

import typer

from earfilt.cli.commands.adapting import Adaptation
from earfilt.cli.commands.identifying import Identification, write_sweep
from earfilt.cli.options import DEFAULT_FS, Force, Quiet, band_of, refuse_without_effect
from earfilt.errors import UsageError

_SWEEP_S = 20.0


class Estimator(StrEnum):
    h1 = "h1"
    h2 = "h2"


class Mean(StrEnum):
    db = "db"
    power = "power"


class DecimalSign(StrEnum):
    point = "point"
    comma = "comma"


class Weights(StrEnum):
    weight = "weight"
    sd_db = "sd_db"
    none = "none"


def fit(
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Recording or signal that was played. Repeatable, each with a --target.",
        ),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="FILE",
            help="What was recorded of the --input; two channels are left and right.",
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option("--sweep", metavar="FILE", help="Exponential sweep that was played."),
    ] = None,
    recorded: Annotated[
        list[str] | None,
        typer.Option("--recorded", metavar="FILE", help="Recording of the sweep. Repeatable."),
    ] = None,
    make_sweep: Annotated[
        bool, typer.Option("--make-sweep", help="Write a sweep to play: -o sweep.wav.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", metavar="S", help=f"Length of that sweep ({_SWEEP_S:g})."),
    ] = None,
    curve: Annotated[
        str | None,
        typer.Option("--curve", metavar="FILE", help="Curve to which an ear is adapted."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start", metavar="FILTER", help="Ear to start from: a name, chain or saved ear."
        ),
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(
            "--order",
            metavar="N",
            help="Order (taps - 1) of that ear; a higher one follows finer curves (default: that "
            "of its design).",
        ),
    ] = None,
    fs: Annotated[
        float | None,
        typer.Option(
            "--fs",
            metavar="HZ",
            help="Sampling rate of the ear or the sweep (48000; of a saved ear, its own).",
        ),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help=".csv, the curve; .json, the adapted ear; .wav, the sweep; .png, .svg, .pdf or "
            ".eps, a figure. Repeatable.",
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            "--report", metavar="FILE", help="Write curve, sources, settings and findings as JSON."
        ),
    ] = None,
    estimator: Annotated[
        Estimator | None,
        typer.Option("--estimator", help="The noise is in the target (h1) or in the input (h2)."),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            "--band",
            metavar="LO:HI",
            help="Range of the curve, Hz (20 to the lower of 20000 and 0.45 of the rate).",
        ),
    ] = None,
    mean: Annotated[
        Mean | None, typer.Option("--mean", help="How several seatings are averaged (db).")
    ] = None,
    weights: Annotated[
        Weights | None,
        typer.Option(
            "--weights",
            help="Column of the curve that weights its points: weight, or sd_db as 1/sd_db² "
            "(default: the first that it has), or none.",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column", metavar="NAME", help="Column of the curve to take, by name or number."
        ),
    ] = None,
    decimal: Annotated[
        DecimalSign | None,
        typer.Option("--decimal", help="Decimal sign of the curve, where its file leaves it open."),
    ] = None,
    align: Annotated[
        str | None,
        typer.Option(
            "--align",
            metavar="HZ|mean|peak",
            help="Which level of the curve becomes 0 dB, where it holds levels.",
        ),
    ] = None,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Take the levels of the curve as gains, unchanged.")
    ] = False,
    smoothness: Annotated[
        float | None,
        typer.Option(
            "--smoothness",
            metavar="X",
            help="Weight of the squared curvature of the change, (dB per octave²)², relative to "
            "the mean squared deviation (0).",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", help="Largest number of steps of the descent (100)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Seed of the random numbers (0).")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda or cuda:N (cpu).")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="File that keeps the state of the descent, to resume it.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint, if there is one.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Measure an ear, a headphone or a rig, or adapt an ear to a curve.

    A curve is measured from recordings, in closed form. An ear is adapted to a curve by gradient
    descent. -f reads either.

    Delay, polarity and the drift between the clocks of player and recorder are found first and
    reported on standard error. The curve holds the gain, not the delay. Several pairs are several
    seatings, whose mean is taken. A target with two channels gives two curves, FILE-L.csv and
    FILE-R.csv.
    """
    ways = {
        "--make-sweep": make_sweep,
        "--curve and --start": bool(curve or start),
        "--sweep and --recorded": bool(sweep or recorded),
        "--input and --target": bool(inputs or targets),
    }
    chosen = [name for name, given in ways.items() if given]
    if len(chosen) != 1:
        raise UsageError(
            "give one of --input and --target, --sweep and --recorded, --curve and --start, or "
            "--make-sweep" + (f"; not {' with '.join(chosen)}" if chosen else "")
        )
    of_descent = {
        "--order": order,
        "--weights": weights,
        "--column": column,
        "--decimal": decimal,
        "--align": align,
        "--absolute": absolute,
        "--smoothness": smoothness,
        "--steps": steps,
        "--seed": seed,
        "--device": device,
        "--checkpoint": checkpoint,
        "--resume": resume,
    }
    of_recordings = {"--band": band, "--mean": mean}
    if not make_sweep:
        refuse_without_effect({"--seconds": seconds}, "it belongs to --make-sweep")
    if not (inputs or targets):
        refuse_without_effect({"--estimator": estimator}, "it belongs to --input and --target")
    if not outputs:
        raise UsageError("give -o FILE")
    if curve or start:
        refuse_without_effect(of_recordings, "they belong to recordings")
        return Adaptation(
            curve=curve,
            start=start,
            order=order,
            fs=fs,
            weights=weights,
            column=column,
            decimal=decimal,
            align=align,
            absolute=absolute,
            smoothness=0.0 if smoothness is None else smoothness,
            steps=steps,
            seed=0 if seed is None else seed,
            device="cpu" if device is None else device,
            checkpoint=checkpoint,
            resume=resume,
        ).run(outputs, report, force=force, quiet=quiet)
    refuse_without_effect(of_descent, "they belong to --curve and --start")
    if make_sweep:
        refuse_without_effect({**of_recordings, "--report": report}, "a sweep is only written")
        rate = DEFAULT_FS if fs is None else fs
        return write_sweep(outputs, rate, seconds, force=force, quiet=quiet)
    refuse_without_effect({"--fs": fs}, "recordings say their own")
    if sweep is None and recorded:
        raise UsageError("--recorded needs --sweep")
    dry = [sweep] * len(recorded or ()) if sweep is not None else inputs or []
    wet = recorded if sweep is not None else targets
    if not dry or not wet:
        raise UsageError(
            "--sweep needs --recorded" if sweep else "--input and --target go together"
        )
    return Identification(
        dry,
        wet,
        estimator="sweep" if sweep is not None else (estimator or Estimator.h1).value,
        band=None if band is None else band_of(band),
        mean=(mean or Mean.db).value,
    ).run(outputs, report, force=force, quiet=quiet)
