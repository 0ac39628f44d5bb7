"""CamillaDSP's configuration: ``filters`` and a ``pipeline`` step to merge into one's own.

References
----------
CamillaDSP, README, filters: ``Biquad`` (``Free`` with the signs of
y = b0·x + b1·x₁ + b2·x₂ − a1·y₁ − a2·y₂, a0 = 1; ``Peaking``, ``Lowshelf`` and ``Highshelf`` with
q, those of the cookbook), ``BiquadCombo`` (``FivePointPeq``), ``Conv`` (``Wav``), ``Gain`` in dB.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from earfilt.ears.biquads import Band
from earfilt.errors import UsageError
from earfilt.files.presets.preset import Graphic, Impulse, Preset, plain
from earfilt.synthesis.biquads.sections import Sections

_WORDS = {"peaking": "Peaking", "low-shelf": "Lowshelf", "high-shelf": "Highshelf"}
_FIVE = ["low-shelf", "peaking", "peaking", "peaking", "high-shelf"]
_FIVE_NAMES = ("ls", "p1", "p2", "p3", "hs")

Filters = Iterator[tuple[str, str, dict[str, Any]]]
"""Name, type and parameters of each filter."""


def write(preset: Preset) -> str:
    """YAML, for stereo."""
    filters = list(_filters(preset))
    lines = [f"# {preset.comment}", "filters:"]
    for name, kind, parameters in filters:
        lines += [f"  {name}:", f"    type: {kind}", "    parameters:"]
        lines += [f"      {key}: {_value(value)}" for key, value in parameters.items()]
    names = [name for name, _, _ in filters]
    both = isinstance(preset.content, Impulse) and preset.content.ears == 2
    steps = zip(("0", "1"), names, strict=True) if both else [("0, 1", ", ".join(names))]
    lines += ["pipeline:"]
    for channels, listed in steps:
        lines += ["  - type: Filter", f"    channels: [{channels}]", f"    names: [{listed}]"]
    return "\n".join([*lines, ""])


def _filters(preset: Preset) -> Filters:
    name, content = preset.identifier, preset.content
    if isinstance(content, Graphic):
        raise UsageError("CamillaDSP takes sections, peaking bands or a FIR")
    if isinstance(content, Impulse):
        for channel, ear in enumerate(("",) if content.ears == 1 else ("_left", "_right")):
            wave = {"type": "Wav", "filename": content.path, "channel": channel}
            yield f"{name}{ear}", "Conv", wave
    elif content.bands:
        yield f"{name}_gain", "Gain", {"gain": content.preamp_db, "inverted": False}
        yield from _bands(name, content.bands)
    else:
        yield from _sections(name, content)


def _sections(name: str, sections: Sections) -> Filters:
    for n, (b0, b1, b2, _, a1, a2) in enumerate(sections.sos.tolist(), start=1):
        values = {"type": "Free", "b0": b0, "b1": b1, "b2": b2, "a1": a1, "a2": a2}
        yield f"{name}_{n}", "Biquad", values


def _bands(name: str, bands: Sequence[Band]) -> Filters:
    if [band.kind for band in bands] == _FIVE:
        values: dict[str, Any] = {"type": "FivePointPeq"}
        for word, band in zip(_FIVE_NAMES, bands, strict=True):
            values |= {f"f{word}": band.hz, f"g{word}": band.gain_db, f"q{word}": band.q}
        yield f"{name}_bands", "BiquadCombo", values
        return
    for n, band in enumerate(bands, start=1):
        kind = _WORDS[band.kind]
        values = {"type": kind, "freq": band.hz, "gain": band.gain_db, "q": band.q}
        yield f"{name}_{n}", "Biquad", values


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, str) and not value.isalnum():
        return "'" + value.replace("'", "''") + "'"
    return str(value)
