"""A filter for other programs: which files are written, and what is in them."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earfilt.arrays import Floats
from earfilt.chains import sections as chain_sections
from earfilt.chains.members import Filter
from earfilt.ears.curve import PublishedCurve
from earfilt.errors import UsageError, printable
from earfilt.files import sos
from earfilt.files.fir_formats import as_stored, write_wav
from earfilt.files.firs import SUFFIXES, fir_bytes
from earfilt.files.presets import c_header, graphic
from earfilt.files.presets.preset import Form, Graphic, Impulse, Preset
from earfilt.files.presets.programs import Program, program
from earfilt.synthesis.biquads.sections import Sections
from earfilt.synthesis.deviation import deviation, deviation_between, off_points
from earfilt.synthesis.fir import Fir, largest_gain
from earfilt.synthesis.provenance import Provenance, of_pair

__all__ = ["Export", "Written", "export"]

_NOTABLE_DB = 0.1
_SECTIONS = (".sos.json", ".sos.csv", ".h")


@dataclass(frozen=True, kw_only=True)
class Export:
    """How a filter is written.

    Attributes
    ----------
    program : str, optional
        Whose words; by the extension of the file where None.
    form : str, optional
        ``sections``, ``peaking``, ``graphic`` or ``fir``; what fits the file and the other options
        where None.
    sections : int, optional
        Number of sections or bands.
    band : (float, float), optional
        Hz, where those are fitted.
    channels, subtype : int and str, optional
        Of a FIR's ``.wav``.
    headroom : bool
        A preset is lowered by its largest gain, so that what it is fed cannot gain.
    """

    program: str | None = None
    form: Form | None = None
    sections: int | None = None
    band: tuple[float, float] | None = None
    channels: int | None = None
    subtype: str | None = None
    headroom: bool = False

    def form_for(self, path: str) -> Form:
        """The form of what is written to a path.

        Raises
        ------
        UsageError
            The file or the program does not take it, or options contradict it.
        """
        form = self._form(path)
        taken = self._taken(path)
        if form not in taken:
            what = f"--for {self.program}" if self.program else printable(path)
            raise UsageError(f"{what} takes {' or '.join(taken)}, and {form} is asked for")
        if form in ("graphic", "fir") and (self.sections is not None or self.band is not None):
            name = "--band" if self.sections is None else "--sections"
            raise UsageError(f"{name} has no effect on {form}; --form sections or peaking has them")
        if self.headroom and self.program is None:
            raise UsageError("--headroom is of a preset: --for says for which program")
        if form != "fir" and (self.channels is not None or self.subtype is not None):
            raise UsageError("--channels and --subtype are of a FIR's .wav")
        most = program(self.program).most if self.program else None
        if most is not None and (self.sections or 0) > most:
            raise UsageError(
                f"--for {self.program} has {most} biquads, and --sections is {self.sections}"
            )
        return form

    def paths(self, path: str) -> list[str]:
        """All files that are written for one."""
        if self.program is None or self.form_for(path) != "fir":
            return [path]
        return [path, self.impulse_path(path)]

    def impulse_path(self, path: str) -> str:
        """The wave file beside a preset."""
        return str(Path(path).with_suffix(program(self.program or "").impulse_suffix))

    def _form(self, path: str) -> Form:
        if self.form is not None:
            return self.form
        taken = self._taken(path)
        fitted = [form for form in taken if form in ("sections", "peaking")]
        wants_sections = self.sections is not None or self.band is not None
        return fitted[0] if wants_sections and fitted else taken[0]

    def _taken(self, path: str) -> tuple[Form, ...]:
        if self.program is not None:
            return program(self.program).forms
        if path.lower().endswith(_SECTIONS):
            return "sections", "peaking"
        if Path(path).suffix.lower() in SUFFIXES:
            return ("fir",)
        raise UsageError(
            f"{printable(path)}: a FIR is written as {', '.join(SUFFIXES)}, sections as "
            f"{', '.join(_SECTIONS)}; --for writes for a program"
        )


@dataclass(frozen=True, eq=False)
class Written:
    """What one export makes.

    Attributes
    ----------
    files : list of (str, bytes)
    made : Sections, Graphic or Fir
    """

    files: list[tuple[str, bytes]]
    made: Sections | Graphic | Fir

    @property
    def largest_gain(self) -> tuple[float, float]:
        """dB, and where: Hz."""
        return largest_gain(self.made) if isinstance(self.made, Fir) else self.made.largest_gain

    @property
    def lowered_db(self) -> float:
        """What was taken off all levels, dB."""
        if isinstance(self.made, Graphic):
            return self.made.lowered_db
        return self.made.provenance.lowered_db or 0.0


def export(filter: Filter, fs: float, path: str, how: Export) -> Written:
    """The files of a filter at one sampling rate; nothing is written yet.

    Raises
    ------
    UsageError
        As `Export.form_for`, and what the designs refuse.
    """
    form = how.form_for(path)
    if how.program is None and form == "fir":
        is_wave = Path(path).suffix.lower() == ".wav"
        fir = _as_written(filter.still_at(fs), filter, how.subtype if is_wave else None)
        data = fir_bytes(fir, path, channels=how.channels, subtype=how.subtype)
        return Written([(path, data)], fir)
    if form == "fir":
        return _with_impulse(filter, fs, path, how)
    if form == "graphic":
        made: Sections | Graphic = _graphic(filter, fs)
    else:
        made = chain_sections.design(filter, fs, sections=how.sections, form=form, band=how.band)
    lowered_db = _boost(made.largest_gain[0]) if how.headroom else 0.0
    if lowered_db:
        made = made.lowered(lowered_db)
    preset = _preset(filter, fs, path, made, lowered_db)
    return Written([(path, _text(preset, path, how).encode())], made)


def _text(preset: Preset, path: str, how: Export) -> str:
    if how.program is not None:
        return program(how.program).write(preset)
    assert isinstance(preset.content, Sections)
    if path.lower().endswith(".h"):
        return c_header.write(preset)
    to_text = sos.to_json if path.lower().endswith(".json") else sos.to_csv
    return to_text(preset.content)


def _with_impulse(filter: Filter, fs: float, path: str, how: Export) -> Written:
    """A preset and the wave file that it names, stereo in 32-bit float where nothing else is asked
    for: what every convolver reads.
    """
    beside = how.impulse_path(path)
    subtype = "FLOAT" if how.subtype is None else how.subtype
    fir = filter.still_at(fs)
    lowered_db = _boost(largest_gain(fir)[0]) if how.headroom else 0.0
    fir = _as_written(fir, filter, subtype, lowered_db)
    if fir.rows == 4:
        raise UsageError(
            f"a preset names a FIR for each of two channels, and {printable(filter.name)} is a matrix "
            "of four rows: write its .wav alone, for a convolver that takes true stereo"
        )
    wave = write_wav(
        fir,
        channels=2 if how.channels is None else how.channels,
        subtype=subtype,
    )
    named = Impulse(path=os.path.basename(beside), latency=fir.lookahead, ears=fir.rows)
    words: Program = program(how.program or "")
    if how.program == "pipewire":  # which has no folder of its own to look into
        named = replace(named, path=os.path.abspath(beside))
    text = words.write(_preset(filter, fs, path, named, lowered_db))
    return Written([(path, text.encode()), (beside, wave)], fir)


def _boost(largest_db: float) -> float:
    """What is taken off a filter of a largest gain, dB: a tenth is as fine as equalisers go."""
    return max(0.0, math.ceil(10.0 * largest_db - 1e-6) / 10.0)


def _as_written(fir: Fir, filter: Filter, subtype: str | None, lowered_db: float = 0.0) -> Fir:
    """The FIR of a filter with the taps that a wave file of a sample format holds, lowered, and what
    is true of these; as it is without a format.
    """
    if subtype is None:
        return fir
    gain, fs = 10.0 ** (-lowered_db / 20.0), fir.fs or 0.0
    stored = as_stored(gain * fir.taps, subtype)
    fir = replace(fir, provenance=replace(fir.provenance, lowered_db=lowered_db or None))
    taps = stored / gain
    if np.array_equal(taps, fir.taps):
        return replace(fir, taps=stored)
    told = fir.provenance
    if filter.sides:
        each = zip(told.ears, taps, filter.sides, strict=True)
        ears = [_rounded(one, row, side.curve_at(fs), subtype) for one, row, side in each]
        own = of_pair(*ears)
        told = replace(
            own,
            filter=told.filter,
            command=told.command,
            rounded_to=subtype,
            lowered_db=lowered_db or None,
        )
    else:
        told = _rounded(told, taps, filter.curve_at(fs), subtype)
    return replace(fir, taps=stored, provenance=told)


def _rounded(
    told: Provenance, taps: Floats, curve: PublishedCurve | None, subtype: str
) -> Provenance:
    """What is known of a FIR, after its taps were rounded."""
    told = replace(told, rounded_to=subtype)
    if curve is None:
        return told
    at_points, off = deviation(taps, curve), off_points(taps, curve)
    if (tolerance_db := told.tolerance_db) is not None:
        met = max(float(off.max()), deviation_between(taps, curve).db) <= tolerance_db
        return replace(
            told,
            deviation_db=at_points.db,
            deviation_hz=at_points.hz,
            deviation_between_db=deviation_between(taps, curve, floored=True).db,
            tolerance_met=told.tolerance_met and met,
            missed_points_hz=tuple(curve.points_hz[off > tolerance_db].tolist()),
        )
    designed_db = told.deviation_db or 0.0
    told = replace(told, deviation_db=at_points.db, deviation_hz=at_points.hz)
    if at_points.db <= designed_db + _NOTABLE_DB:
        return told
    caution = (
        f"rounded to {subtype}, it is {at_points.db:.3g} dB at most from the published points, and "
        f"{designed_db:.3g} dB without; FLOAT and DOUBLE keep what is small"
    )
    return replace(told, cautions=(*told.cautions, caution))


def _graphic(filter: Filter, fs: float) -> Graphic:
    """The response of the effective FIR."""
    chain_sections.check_one_ear(filter, "graphic equalisers")
    freqs = graphic.frequencies(fs)
    magnitude = np.maximum(np.abs(filter.still_at(fs).response(freqs)), 1e-10)
    return Graphic(freqs=freqs, gain_db=20.0 * np.log10(magnitude))


def _preset(
    filter: Filter,
    fs: float,
    path: str,
    content: Sections | Graphic | Impulse,
    lowered_db: float = 0.0,
) -> Preset:
    adapted = filter.told.adaptation
    words = [filter.applied, *([adapted] if adapted else []), f"at {fs:.12g} Hz"]
    if isinstance(content, Sections) and content.deviation_db is not None and content.band_hz:
        low, high = content.band_hz
        words.append(f"within {content.deviation_db:.3g} dB from {low:g} to {high:g} Hz")
    if isinstance(content, Impulse) and content.latency:
        words.append(f"{content.latency} samples late")
    if lowered_db:
        words.append(f"lowered by {lowered_db:g} dB")
    name = Path(path).name.split(".")[0] or "ear"
    return Preset(name=name, about=f"earfilt: {', '.join(words)}", fs=fs, content=content)
