"""What is to be done with one file, as plain values that any process can be handed."""

from __future__ import annotations

import math
import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from earfilt.audio.formats import RawFormat
from earfilt.ears.options import flag, number, text, whole
from earfilt.errors import UsageError, printable
from earfilt.wording import option

if TYPE_CHECKING:
    from earfilt.chains.members import Filter
    from earfilt.storage.output import Exists


@dataclass(frozen=True)
class Options:
    """How one file is filtered and written; each field is an option of ``earfilt apply``.

    Parameters
    ----------
    subtype : str, optional
        Sample format of the output, e.g. PCM_24 or FLOAT; default the source's, or the nearest
        lossless one.
    format : str, optional
        Container of the output, e.g. wav or flac; default by the output's extension.
    gain_db : float
        Gain in dB beside the filter; levels are never normalised unasked.
    clip : 'warn', 'error', 'rescale' or 'float'
        What happens to samples beyond full scale: clipped and counted; an error that leaves no
        file; a second pass with the gain that fits; or a floating-point output, where nothing
        clips.
    dither : bool
        Triangular dither before rounding to integers, seeded from the file's relative path.
    precision : 'auto', 'float32' or 'float64'
        Of the computation; auto is float64 where source or output has more than 16 bits (24- and
        32-bit integers, DOUBLE), and of other files at their beginning (about a second) and where
        a part of them could be off by more than 0.01 code, or 2⁻²⁰ of the peak of a FLOAT output.
    device : str
        cpu, cuda, cuda:N, mps, or auto.
    latency_ms : float, optional
        Milliseconds that a block of output may last at most, beside the filter's look-ahead; longer
        filters are then convolved in parts, in float64 unless the precision is given. The samples
        differ in their last bits from those without it.
    metadata : bool
        Carry chunks, tags and pictures over.
    repair : bool
        Read NaN and infinity as 0, and take of a source cut short what is there; both are counted.
    ignore_length : bool
        Read the samples that lie beyond the stated end of a file, too.
    raw : str, optional
        The source has no header: the encoding of its samples, s16le, s24le, s32le, f32le or f64le.
    rate, channels : int, optional
        Sampling rate in Hz and number of channels of a raw source, which needs both.
    to_raw : bool
        Write samples alone, in the source's encoding unless ``subtype`` says otherwise.
    tail : 'cut' or 'keep'
        keep: the output is longer by the order of a causal filter.
    full_scale_spl : float, optional
        Level of digital full scale in dB SPL, for the levels in the report.
    full_scale : 'peak' or 'rms'
        What that level belongs to: rms: a signal whose RMS is 1.0 (AMT: 93.98 or 100 dB); peak: a
        full-scale sine, peak 1.0.
    exists : 'refuse', 'force' or 'skip'
        What to do where the output exists; in place: where the file was filtered before.
    in_place : bool
        The output may be the input, which is replaced at the end.
    """

    subtype: str | None = None
    format: str | None = None
    gain_db: float = 0.0
    clip: Literal["warn", "error", "rescale", "float"] = "warn"
    dither: bool = False
    precision: Literal["auto", "float32", "float64"] = "auto"
    device: str = "cpu"
    latency_ms: float | None = None
    metadata: bool = True
    repair: bool = False
    ignore_length: bool = False
    raw: str | None = None
    rate: int | None = None
    channels: int | None = None
    to_raw: bool = False
    tail: Literal["cut", "keep"] = "cut"
    full_scale_spl: float | None = None
    full_scale: Literal["peak", "rms"] = "rms"
    exists: Exists = "refuse"
    in_place: bool = False

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(
                    f"{name} is '{getattr(self, name)}'; it can be {', '.join(allowed)}"
                )
        _settle_types(self)
        _check_device(self.device)
        if not abs(self.gain_db) <= 400.0:
            raise UsageError(f"gain is {self.gain_db} dB; it must be −400 to 400 dB")
        if self.full_scale_spl is not None and not abs(self.full_scale_spl) <= 400.0:
            raise UsageError(
                f"full scale is {self.full_scale_spl} dB SPL; it must be −400 to 400 dB SPL"
            )
        if self.latency_ms is not None:
            _check_latency(self.latency_ms, self.device)
        _check_raw(self)

    @property
    def raw_format(self) -> RawFormat | None:
        """What is known of a source without a header."""
        if self.raw is None or self.rate is None or self.channels is None:
            return None
        return RawFormat(self.raw, self.rate, self.channels)


def _settle_types(options: Options) -> None:
    """Make values plain, of the types that they are said to have, or refuse what is no number, no
    truth value, or no word, in place of one.
    """
    for item in fields(options):
        value = getattr(options, item.name)
        if value is not None or item.default is not None:
            plain = _CHECKS[str(item.type).removesuffix(" | None")](item.name, value)
            object.__setattr__(options, item.name, plain)


_CHECKS: dict[str, Callable[[str, Any], Any]] = defaultdict(
    lambda: text, {"float": number, "int": whole, "bool": flag}
)


def _check_device(name: str) -> None:
    """Refuse a name that means nothing; whether it exists shows where it is needed."""
    kind, colon, index = name.partition(":")
    if name not in ("cpu", "auto", "cuda", "mps") and not (
        kind == "cuda" and colon and index.isdecimal()
    ):
        raise UsageError(
            f"unknown device '{printable(name)}'; it can be cpu, cuda, cuda:N, mps or auto"
        )


def _check_latency(latency_ms: float, device: str) -> None:
    if not 0.0 < latency_ms < math.inf:
        raise UsageError(f"the latency is {latency_ms} ms; it must be above 0 ms")
    if device != "cpu":
        raise UsageError(
            f"{option('latency_ms')} bounds the blocks of the CPU, and the device is "
            f"{printable(device)}: use {option('device', 'cpu')}"
        )


def _check_raw(options: Options) -> None:
    """Refuse what contradicts itself about samples without a header."""
    known = {option("rate"): options.rate, option("channels"): options.channels}
    given = [name for name, value in known.items() if value is not None]
    if options.raw is None and given:
        raise UsageError(
            f"{' and '.join(given)} would have no effect: the input's header says it; one without "
            f"a header needs {option('raw')}"
        )
    if options.raw is not None and len(given) < len(known):
        raise UsageError(f"{option('raw')} needs {' and '.join(known)}, which no header states")
    if options.raw_format is not None and options.ignore_length:
        raise UsageError("--ignore-length would have no effect: raw samples state no length")
    if options.to_raw and options.format is not None:
        raise UsageError(
            f"{option('format')} and {option('to_raw')} exclude each other: raw samples have no "
            "container"
        )
    if options.in_place and (options.raw is not None or options.to_raw):
        raise UsageError(
            "raw samples are not replaced in place, as nothing in them says what was done: give an "
            "output"
        )


_CHOICES = {
    "clip": ("warn", "error", "rescale", "float"),
    "precision": ("auto", "float32", "float64"),
    "tail": ("cut", "keep"),
    "full_scale": ("peak", "rms"),
    "exists": ("refuse", "force", "skip"),
}


def new_run() -> str:
    """A name for a run that no other has."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class FileJob:
    """One file to filter; picklable.

    Parameters
    ----------
    source, destination : str
        Paths; ``-`` for the standard input and output.
    name : str
        Path relative to the tree: seeds the dither and appears in the report.
    filter : Filter
    options : Options
    run : str
        Names the run that the job belongs to: when a task in place is done again, it knows its own
        work by it.
    hashes : bool
        Tell the hashes of source and output, as a manifest needs them. They cost another reading of
        both.
    may_be_done : bool
        An earlier try may have made the output and not have told: a file that is there and holds
        what this one makes is the output, any other stays and counts by ``exists``.
    regular : bool
        Source and destination are files: a pipe or device under one of their names fails.
    """

    source: str
    destination: str
    name: str
    filter: Filter
    options: Options = field(default_factory=Options)
    run: str = field(default_factory=new_run)
    hashes: bool = False
    may_be_done: bool = False
    regular: bool = False
