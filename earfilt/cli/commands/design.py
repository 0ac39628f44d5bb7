"""``earfilt design``: the FIR itself, for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earfilt.cli.options import (
    FilterCommand,
    FilterName,
    Force,
    Quiet,
    band_of,
    default_fs,
    finder,
    refuse_without_effect,
)
from earfilt.cli.streams import say
from earfilt.errors import UsageError, counted, printable

if TYPE_CHECKING:
    from earfilt.chains.export import Export, Written
    from earfilt.chains.members import Filter
    from earfilt.synthesis.biquads.sections import Sections
    from earfilt.synthesis.fir import Fir

_RATE = "{fs}"


class Form(StrEnum):
    sections = "sections"
    peaking = "peaking"
    graphic = "graphic"
    fir = "fir"


class Program(StrEnum):
    equalizerapo = "equalizerapo"
    camilladsp = "camilladsp"
    pipewire = "pipewire"
    easyeffects = "easyeffects"
    jamesdsp = "jamesdsp"
    wavelet = "wavelet"
    minidsp = "minidsp"
    c = "c"


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
            help="File to write; {fs} stands for the rate. Repeatable.",
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
    sections: Annotated[
        int | None,
        typer.Option(
            "--sections",
            metavar="N",
            help="Design N biquads instead of a FIR, minimum phase (--tolerance: the fewest).",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--form",
            help="Free biquads, peaking and shelving bands, a graphic equaliser, or a FIR.",
            show_default=False,
        ),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            "--band",
            metavar="LO:HI",
            help="Range in which sections are fitted, Hz (20 to 16000, within the source's range).",
            show_default=False,
        ),
    ] = None,
    program: Annotated[
        Program | None,
        typer.Option(
            "--for",
            metavar="PROGRAM",
            help="Write a preset for a program; the programs are named above.",
            case_sensitive=False,
            show_default=False,
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            "--channels",
            metavar="N",
            help="Channels of a FIR's .wav, all alike (1; for two ears 2).",
            show_default=False,
        ),
    ] = None,
    subtype: Annotated[
        str | None,
        typer.Option(
            "--subtype",
            metavar="TYPE",
            help="Sample format of a FIR's .wav: DOUBLE, FLOAT, PCM_32, PCM_24, PCM_16 (DOUBLE).",
            show_default=False,
        ),
    ] = None,
    headroom: Annotated[
        bool,
        typer.Option(
            "--headroom",
            help="Lower a preset by its largest gain, so that loud music does not clip.",
        ),
    ] = False,
    directions: Annotated[
        str | None,
        typer.Option(
            "--directions",
            metavar="FILE|hesuvi",
            help="Of a SOFA file: a .wav with two channels for each direction of a CSV (azimuth,"
            "elevation), or the 14 channels of HeSuVi.",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """The effective FIR of a filter or chain, all passes and gains included, as a file.

    The latency is the index of the tap at time zero: 0 for minimum phase, the order for zero phase.
    Which programs read which format, and how its output is aligned with the input:

    \b
    .wav   64-bit float, mono, or left and right of two ears. Convolvers take
           the first tap for time zero, so the output comes LATENCY samples
           late: drop them. ffmpeg afir: gtype=none, else it scales; 5.1
           then doubles (irgain=0.5 undoes it).
    .txt   SoX: sox IN OUT fir FILE. SoX advances by half the taps; the zeros
           added here make that the latency, so the output is aligned.
    .mat   MATLAB, Octave: y = filter(taps, 1, x), then drop LATENCY samples.
    .npy   bare taps: numpy.convolve(x, taps), then drop LATENCY samples;
           of two ears (2, taps), left first.
    .csv   sample,coefficient; sample 0 is time zero.
    .json  everything: fs, taps, latency, rule for the ends, parameters, source.

    earfilt reads all of them back with -f to the same bits. .npy states neither rate nor latency:
    symmetric taps are taken as centred, others as causal (--latency overrides). A .wav whose
    comment another program carried along with other taps is read like one, which a warning says.

    \b
    --sections N or --form: a few biquads in place of the FIR.
    .sos.json  rows b0 b1 b2 a0 a1 a2: y = scipy.signal.sosfilt(sos, x)
    .sos.csv   the same rows as a table. earfilt reads both back with -f.
    .h         C: float and Q31, with the signs of CMSIS-DSP

    \b
    --for PROGRAM:
    equalizerapo, camilladsp, pipewire, easyeffects
           sections, peaking bands or a FIR, whose .wav is written beside it
    minidsp, c
           sections
    wavelet, jamesdsp
           a graphic equaliser
    """
    from earfilt.chains.export import Export, export
    from earfilt.storage.writing import check_outputs, write_bytes

    if directions is not None:
        refuse_without_effect(
            {
                "--fs": fs,
                "--sections": sections,
                "--form": form,
                "--band": band,
                "--for": program,
                "--channels": channels,
                "--subtype": subtype,
                "--headroom": headroom or None,
            },
            "--directions writes one .wav at the rate of the SOFA file",
        )
        return _write_directions(ctx, filter_name, directions, outputs, force=force, quiet=quiet)
    # A tolerance that was written asks for the fewest taps; plain design gives those of apply.
    a_fir = sections is None and program is None and form in (None, Form.fir)
    fewest = True if a_fir and ctx.obj["tolerance"] is not None else None
    filter = finder(ctx, fewest=fewest)(filter_name)
    rates = list(dict.fromkeys(fs or [default_fs([filter])]))
    plan = [(rate, output.replace(_RATE, f"{rate:.12g}")) for rate in rates for output in outputs]
    how = Export(
        program=None if program is None else program.value,
        form=None if form is None else form.value,
        sections=sections,
        band=None if band is None else band_of(band),
        channels=channels,
        subtype=subtype,
        headroom=headroom,
    )
    _check_plan(plan, how)
    paths = [path for _, output in plan for path in how.paths(output)]
    check_outputs(paths, filter.files, force=force)
    made = [export(filter, rate, path, how) for rate, path in plan]
    for written in made:
        for path, data in written.files:
            write_bytes(path, data, force=force)
        if not quiet:
            say(_summary(written, filter))
            if program is not None:
                _advise(written, headroom=headroom)
    return 0


def _write_directions(
    ctx: typer.Context, name: str, which: str, outputs: list[str], *, force: bool, quiet: bool
) -> int:
    """A set of directions as one wave file."""
    from earfilt.chains.direction_sets import direction_set
    from earfilt.storage.writing import check_outputs, write_bytes

    for path in outputs:
        if Path(path).suffix.lower() != ".wav":
            raise UsageError(f"{printable(path)}: a set of directions is written as .wav")
    made = direction_set(name, which, **ctx.obj)
    check_outputs(outputs, made.files, force=force)
    for path in outputs:
        write_bytes(path, made.data, force=force)
        if not quiet:
            say(f"{printable(path)}: {', '.join(made.words)}")
    for text in () if quiet else made.cautions:
        say(f"warning: {text}")
    return 0


def _check_plan(plan: list[tuple[float, str]], how: "Export") -> None:
    """Refuse what cannot be written before any design."""
    for rate, path in plan:
        how.form_for(path)
        if not 0 < rate < float("inf"):
            raise UsageError(f"--fs {rate:g}; a sampling rate is above 0 Hz")
    if len({Path(path).resolve() for _, path in plan}) < len(plan):
        raise UsageError(
            f"two FIRs would be written to one file; put {_RATE} into its name, as in -o "
            f"name-{_RATE}.wav"
        )


def _advise(written: "Written", *, headroom: bool) -> None:
    """What a listener needs to know of a preset that makes something louder."""
    gain_db = round(written.largest_gain[0], 1)
    if gain_db > 0.0 and not headroom:
        say(f"music near full scale clips by up to {gain_db:g} dB: --headroom lowers the preset")


def _summary(written: "Written", filter: "Filter") -> str:
    """What was written, and one line for each warning."""
    from earfilt.files.presets.preset import Graphic
    from earfilt.synthesis.biquads.sections import Sections

    paths = " and ".join(printable(path) for path, _ in written.files)
    if isinstance(written.made, Sections):
        return _sections_summary(paths, written.made, _gain_words(written))
    if isinstance(written.made, Graphic):
        words = [f"{len(written.made.freqs)} points", _gain_words(written)]
        return f"{paths}: {', '.join(words)}"
    return _fir_summary(paths, written.made, _gain_words(written))


def _gain_words(written: "Written") -> str:
    """The largest gain, where it is, and whether all was lowered for it."""
    (gain_db, hz), lowered_db = written.largest_gain, written.lowered_db
    words = f"largest gain {gain_db:+.2f} dB at {hz:.5g} Hz"
    return f"{words}, lowered by {lowered_db:g} dB" if lowered_db else words


def _sections_summary(paths: str, made: "Sections", gain: str) -> str:
    low, high = made.band_hz or (0.0, 0.0)
    what = counted(len(made), "band" if made.bands else "section")
    words = [
        f"{what} at {made.fs:.12g} Hz",
        made.provenance.filter or "",
        made.provenance.adaptation,
        f"{made.deviation_db:.3g} dB at most from the curve between {low:g} and {high:g} Hz, "
        f"at {made.deviation_hz:.5g} Hz",
        gain,
        f"rounding to float32 changes {made.float32_db:.2g} dB, to 32-bit integers with "
        f"{31 - made.post_shift} fractional bits {made.q30_db:.2g} dB",
    ]
    lines = [f"{paths}: {', '.join(printable(word) for word in words if word)}"]
    wanted = made.provenance.tolerance_db
    if wanted is not None and not made.provenance.tolerance_met:
        lines.append(f"warning: the tolerance of {wanted:g} dB is missed; these are the best found")
    return "\n".join(lines)


def _fir_summary(paths: str, fir: "Fir", gain: str) -> str:
    from earfilt.chains import describe

    fs = fir.fs or 0.0
    rows = f"{fir.rows} rows of " if fir.rows > 1 else ""
    latency = f"latency {counted(fir.lookahead, 'sample')} ({1e3 * fir.lookahead / fs:.3g} ms)"
    words = [
        f"{rows}{counted(fir.numtaps, 'tap')} at {fs:.12g} Hz",
        latency,
        describe.design_words(fir),
        describe.deviation_words(fir.provenance),
        f"rounded to {fir.provenance.rounded_to}" if fir.provenance.rounded_to else "",
        describe.range_words(fir.provenance),
        describe.ears_words(fir.provenance, fir.lookahead),
        gain,
    ]
    lines = [
        f"{paths}: {', '.join(word for word in words if word)}",
        *describe.file_words(fir.provenance),
    ]
    return "\n".join(lines + [f"warning: {text}" for text in describe.warnings(fir)])
