"""What is to be done with one file, as plain values that any process can be handed."""

import secrets
from dataclasses import dataclass, field
from typing import Literal

from earfilt.audio import Exists
from earfilt.chains.members import Filter
from earfilt.errors import UsageError


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
        32-bit integers, DOUBLE), and of other files where a part of them could be off by more than
        0.01 code, or 2⁻²⁰ of the peak of a FLOAT output.
    device : str
        cpu, cuda, cuda:N, mps, or auto.
    metadata : bool
        Carry chunks, tags and pictures over.
    repair : bool
        Read NaN and infinity as 0, and take of a source cut short what is there; both are counted.
    ignore_length : bool
        Read the samples that lie behind the stated end of a file, too.
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
    metadata: bool = True
    repair: bool = False
    ignore_length: bool = False
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
        if not abs(self.gain_db) <= 400.0:
            raise UsageError(f"gain is {self.gain_db} dB; it must be −400 to 400 dB")
        if self.full_scale_spl is not None and not abs(self.full_scale_spl) <= 400.0:
            raise UsageError(
                f"full scale is {self.full_scale_spl} dB SPL; it must be −400 to 400 dB SPL"
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
        Path relative to the tree: seeds the dither and stands in the report.
    filter : Filter
    options : Options
    run : str
        Names the run that the job belongs to: when a task in place is done again, it knows its own
        work by it.
    hashes : bool
        Tell the hashes of source and output, as a manifest needs them. They cost another reading of
        both.
    """

    source: str
    destination: str
    name: str
    filter: Filter
    options: Options = field(default_factory=Options)
    run: str = field(default_factory=new_run)
    hashes: bool = False
