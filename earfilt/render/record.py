"""The record of one file: everything that a report, a manifest or a summary says of it."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from earfilt.errors import Note
from earfilt.synthesis.provenance import Provenance
from earfilt.version import __version__

Status = Literal["ok", "skipped", "failed"]


@dataclass
class Row:
    """One file, JSON-able. Levels are lists by channel; None stands for digital silence (−inf dB).

    Attributes
    ----------
    source, destination, name : str
        Paths as given, and the path relative to the tree.
    status : 'ok', 'skipped' or 'failed'
    error, reason : str or None
        Why a file failed, in one line; and the same without what differs from file to file.
    format, subtype : str
        Of the output.
    source_format, source_subtype : str
        Of the input, as its content says.
    fs, channels, frames : int
        Hz; channels and frames of the output.
    source_channels : int
        Of the input: two ears make two channels of mono.
    filter : str
        As it was asked for; of an inverse, ``inverse:`` before it.
    provenance : Provenance
        Everything that is known about the filter; ``parameters`` in the report, where
        ``convention``, ``order`` and ``phase`` stand beside it as well.
    source_sha256, output_sha256 : str or None
        Hashes of the files, in a batch and in place.
    coefficients_sha256 : str
        Hash of taps, rate, look-ahead and extension rule.
    latency : int
        Samples of look-ahead: the delay of live output.
    gain_1khz_db : float or list of float or None
        Of the filter, at 1000 Hz, of each row of several; None where fs/2 lies below.
    peak_in_dbfs, rms_in_dbfs, peak_out_dbfs, rms_out_dbfs : list of float or None
        dB re full scale 1.0; the peak out is that before clipping.
    spl_in_db, spl_out_db : list of float or None
        RMS levels, where the level of full scale was given: dB SPL of the input; of the output too
        where the filter gives sound pressure (``quantity`` of the provenance), else that plus the
        gain of the filter.
    clipped : list of int
        Samples by channel.
    fitting_gain_db : float or None
        Where samples were clipped: the ``--gain`` at which none would be.
    gain_db : float
        Gain on top of the filter, that of rescaling included.
    rescaled_db : float
        The part of it that rescaling took.
    dithered : bool
    repaired : int
        NaN and infinite samples that became 0.
    missing_frames : int
        Frames that the source's header promised and the file did not have.
    device, precision : str
    block : int
        Frames that were filtered together: a pipe gets its output in multiples of them.
    seconds : float
        Wall-clock time.
    version : str
        Of earfilt.
    stamp : (int, int), optional
        Bytes and time of change (ns) of the output as it appeared; not in reports. None where it is
        not known whether what is there now is this output.
    warnings : list of str
        The report has ``warning_kinds`` beside them: the same without what differs from file to
        file.

    Examples
    --------
    >>> row = Row("in.wav", "out.wav", "in.wav", "ok", fs=48000, frames=96000)
    >>> row.to_dict()["fs"], row.clipped
    (48000, [])
    """

    source: str
    destination: str
    name: str
    status: Status
    error: str | None = None
    reason: str | None = None
    format: str | None = None
    subtype: str | None = None
    source_format: str | None = None
    source_subtype: str | None = None
    fs: int | None = None
    channels: int | None = None
    source_channels: int | None = None
    frames: int | None = None
    filter: str | None = None
    provenance: Provenance = field(default_factory=Provenance)
    source_sha256: str | None = None
    output_sha256: str | None = None
    coefficients_sha256: str | None = None
    latency: int | None = None
    gain_1khz_db: float | list[float | None] | None = None
    peak_in_dbfs: list[float | None] = field(default_factory=list)
    rms_in_dbfs: list[float | None] = field(default_factory=list)
    peak_out_dbfs: list[float | None] = field(default_factory=list)
    rms_out_dbfs: list[float | None] = field(default_factory=list)
    spl_in_db: list[float | None] = field(default_factory=list)
    spl_out_db: list[float | None] = field(default_factory=list)
    clipped: list[int] = field(default_factory=list)
    fitting_gain_db: float | None = None
    gain_db: float = 0.0
    rescaled_db: float = 0.0
    dithered: bool = False
    repaired: int = 0
    missing_frames: int = 0
    device: str | None = None
    precision: str | None = None
    block: int | None = None
    seconds: float = 0.0
    version: str = __version__
    warnings: list[str] = field(default_factory=list)
    stamp: tuple[int, int] | None = None

    def to_json(self) -> str:
        """The row as one line of ASCII (lone surrogates of file names survive as escapes)."""
        return json.dumps(self.to_dict(), ensure_ascii=True, allow_nan=False, default=str)

    def to_dict(self) -> dict[str, Any]:
        """The row as a report has it: JSON-able values by field."""
        told: dict[str, Any] = {}
        for name, value in vars(self).items():
            if name == "stamp":
                continue
            if name == "provenance":
                told["parameters"] = self.provenance.to_json()
            else:
                told[name] = value
            if name == "coefficients_sha256":
                told["convention"] = self.provenance.options.get("convention")
                told |= {"order": self.provenance.order, "phase": self.provenance.phase}
        told["warning_kinds"] = [Note.kind_of(text) for text in self.warnings]
        return told


def decibels(values: Iterable[float], offset: float = 0.0) -> list[float | None]:
    """Levels of linear amplitudes, rounded to 0.0001 dB.

    >>> decibels([1.0, 0.0])
    [0.0, None]
    """
    return [
        round(20.0 * math.log10(value) + offset, 4) if value > 0 else None
        for value in map(float, values)
    ]
