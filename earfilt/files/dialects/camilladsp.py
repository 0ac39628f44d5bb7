"""Configurations of CamillaDSP: YAML with named filters, of which a pipeline uses some.

The YAML is read by the safe loader, after its events were counted: no aliases, no depth, no
megabytes.

References
----------
CamillaDSP, README, sections "Biquad", "Gain" and "Pipeline" (versions 1 to 3). Its formulas are
those of the RBJ cookbook; a shelf's ``slope`` is in dB per octave, 12 at most.
"""

import re
from collections.abc import Mapping
from typing import Any

from earfilt.ears.biquads import Band, Coefficients
from earfilt.errors import DataError, printable
from earfilt.files.dialects.found import (
    OF_BOTH,
    FoundEqualiser,
    Remedies,
    excerpt,
    fir_named_in,
)

_MARK = re.compile(r"^[\"']?filters[\"']?[ \t]*:", re.MULTILINE)
_MOST_BYTES = 1 << 18
_MOST_EVENTS = 50_000
_DEEPEST = 24
_MOST_CHANNELS = 256
_SECOND_ORDER = {
    "Peaking": "peaking", "Lowshelf": "low-shelf", "Highshelf": "high-shelf",
    "Lowpass": "low-pass", "Highpass": "high-pass", "Bandpass": "band-pass", "Notch": "notch",
    "Allpass": "all-pass",
}  # fmt: skip
_FIRST_ORDER = {
    "LowshelfFO": "first-order low-shelf", "HighshelfFO": "first-order high-shelf",
    "LowpassFO": "first-order low-pass", "HighpassFO": "first-order high-pass",
    "AllpassFO": "first-order all-pass",
}  # fmt: skip
_SHELVES = ("Lowshelf", "Highshelf", "LowshelfFO", "HighshelfFO")
_WITH_GAIN = (*_SHELVES, "Peaking")
_WIDTHS = {"q": "q", "bandwidth": "octaves", "slope": "slope"}
_STEEPEST = 12.0


def is_config(text: str) -> bool:
    """Whether a text is such a configuration."""
    return (
        _MARK.search(text) is not None
        and re.search(r"\btype\b.*\b(Biquad|Gain)\b", text) is not None
    )


def read_config(
    text: str, subject: str, *, column: str | None, remedies: Remedies
) -> FoundEqualiser:
    """The bands that a configuration puts a channel through.

    Parameters
    ----------
    text : str
    subject : str
        Name of the file, for messages.
    column : str, optional
        The channel, from 0, where the channels differ.
    remedies : Remedies
        The flags that settle the channel, for messages.

    Raises
    ------
    DataError
        Not such a configuration, a filter that is not understood, or channels that differ.
    """
    config = _load(text, subject)
    filters = _mapping(config.get("filters"), "filters", subject)
    names = _names(config, filters, subject, column, remedies.column)
    bands: list[Band] = []
    gain_db, fs = 0.0, None
    for name in names:
        if name not in filters:
            raise DataError(
                subject, f"its pipeline names a filter '{excerpt(name)}', which does not exist"
            )
        where = f"filter '{excerpt(name)}'"
        found = _mapping(filters[name], where, subject)
        parameters = _mapping(found.get("parameters"), where, subject)
        if found.get("type") == "Gain":
            gain_db += _gain(parameters, where, subject)
        elif found.get("type") == "Biquad":
            bands.append(_band(parameters, where, subject))
        else:
            named = fir_named_in(text) if found.get("type") == "Conv" else ""
            raise DataError(
                subject,
                f"{where} is of type {_shown(found.get('type'))}; read are Biquad and Gain{'; ' if named else ''}{named}",
            )
    if any(band.coefficients for band in bands):
        devices = _mapping(config.get("devices"), "devices", subject)
        fs = _number(devices, "samplerate", "devices", subject)
    return FoundEqualiser("CamillaDSP", tuple(bands), gain_db, fs)


def _load(text: str, subject: str) -> Mapping[str, Any]:
    import yaml

    if len(text) > _MOST_BYTES:
        raise DataError(subject, f"is a YAML of more than {_MOST_BYTES >> 10} KiB")
    depth = count = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            count += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise DataError(
                    subject, "is a YAML with aliases, which are not read; write them out"
                )
            if count > _MOST_EVENTS or depth > _DEEPEST:
                raise DataError(subject, "is a YAML too large or too deep for a configuration")
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        reason = " ".join(str(error).split())
        raise DataError(subject, f"is not valid YAML: {printable(reason[:200])}") from error
    return _mapping(found, "the file", subject)


def _mapping(found: Any, what: str, subject: str) -> Mapping[Any, Any]:
    if not isinstance(found, dict):
        raise DataError(subject, f"{what} is not a mapping of names to values")
    return found


def _shown(value: object) -> str:
    return excerpt(repr(value)[:60])


def _names(
    config: Mapping[str, Any],
    filters: Mapping[Any, Any],
    subject: str,
    asked: str | None,
    option: str,
) -> list[str]:
    """Names of the filters of one channel, in the order of the pipeline; without one, all."""
    pipeline = config.get("pipeline")
    if pipeline is None:
        return list(filters)
    steps = pipeline if isinstance(pipeline, list) else [pipeline]
    of_channel: dict[str, list[str]] = {}
    every: list[tuple[list[str], list[str]]] = []
    for step in steps:
        step = _mapping(step, "a step of the pipeline", subject)
        if step.get("bypassed") is True:
            continue
        if step.get("type") != "Filter":
            raise DataError(
                subject,
                f"its pipeline has a step of type {_shown(step.get('type'))}; only Filter is read",
            )
        channels = step.get("channels", step.get("channel"))
        channels = (
            channels if isinstance(channels, list) else [] if channels is None else [channels]
        )
        names = step.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(subject, "a step of its pipeline has no list of names")
        every.append(([str(channel) for channel in channels], names))
    named = {channel for channels, _ in every for channel in channels}
    numbers = sorted(named | _channels(config), key=_in_order) if named else []
    for channel in numbers or [""]:
        of_channel[channel] = [
            name
            for channels, names in every
            if not channels or channel in channels
            for name in names
        ]
    if asked is not None:
        if asked not in of_channel:
            raise DataError(subject, f"has no channel '{excerpt(asked)}'")
        return of_channel[asked]
    first = of_channel[numbers[0] if numbers else ""]
    if any(names != first for names in of_channel.values()):
        filtered = excerpt(next(channel for channel in numbers if of_channel[channel]))
        remedy = (
            f"{option} {filtered} takes one of them{OF_BOTH}"
            if option
            else "keep those of one of them"
        )
        raise DataError(
            subject,
            f"filters the channels {', '.join(map(excerpt, numbers))} each differently; {remedy}",
        )
    return first


def _channels(config: Mapping[str, Any]) -> set[str]:
    """The channels that there are, from 0: as many as the devices have, or two where nothing says
    so, since one that no step names stays as it is.
    """
    devices = config.get("devices")
    counts = [
        device.get("channels")
        for device in (devices.values() if isinstance(devices, dict) else ())
        if isinstance(device, dict)
    ]
    most = max((count for count in counts if isinstance(count, int)), default=2)
    return {str(channel) for channel in range(min(most, _MOST_CHANNELS))}


def _in_order(channel: str) -> tuple[int, str]:
    """Numbers as numbers."""
    return (int(channel) if channel.isascii() and channel.isdecimal() else _MOST_CHANNELS, channel)


def _number(found: Mapping[Any, Any], key: str, where: str, subject: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise DataError(subject, f"{where}: {key} is {_shown(value)}; it must be a number")
    return float(value)


def _gain(parameters: Mapping[Any, Any], where: str, subject: str) -> float:
    _check_keys(parameters, {"gain", "inverted", "mute", "scale"}, where, subject)
    if (
        parameters.get("mute")
        or parameters.get("inverted")
        or parameters.get("scale") not in (None, "dB")
    ):
        raise DataError(subject, f"{where} mutes, inverts or has no dB, which is not read")
    return _number(parameters, "gain", where, subject)


def _band(parameters: Mapping[Any, Any], where: str, subject: str) -> Band:
    kind = parameters.get("type")
    if not isinstance(kind, str):
        raise DataError(subject, f"{where} is a Biquad {_shown(kind)}; its type must be a word")
    if kind == "Free":
        return _free(parameters, where, subject)
    if kind in _FIRST_ORDER:
        known = {"type", "freq"} | ({"gain"} if kind in _WITH_GAIN else set())
        _check_keys(parameters, known, where, subject)
        width, by, name = 1.0, "q", _FIRST_ORDER[kind]
    elif kind in _SECOND_ORDER:
        width, by = _width(parameters, where, subject, shelf=kind in _SHELVES)
        name = _SECOND_ORDER[kind]
    else:
        known_kinds = ", ".join((*_SECOND_ORDER, *_FIRST_ORDER, "Free"))
        raise DataError(subject, f"{where} is a Biquad {_shown(kind)}; read are {known_kinds}")
    hz = _number(parameters, "freq", where, subject)
    if hz <= 0.0:
        raise DataError(subject, f"{where}: freq is {hz:g}; it must be above 0 Hz")
    gain = _number(parameters, "gain", where, subject) if kind in _WITH_GAIN else 0.0
    return Band(name, hz, gain, width, by)


def _width(
    parameters: Mapping[Any, Any], where: str, subject: str, *, shelf: bool
) -> tuple[float, str]:
    allowed = ("q", "slope") if shelf else ("q", "bandwidth")
    _check_keys(parameters, {"type", "freq", "gain", *allowed}, where, subject)
    given = [key for key in allowed if parameters.get(key) is not None]
    if len(given) != 1:
        raise DataError(subject, f"{where} needs one of {' or '.join(allowed)}")
    value = _number(parameters, given[0], where, subject)
    if given[0] == "slope":
        value /= _STEEPEST
    if value <= 0.0 or (given[0] == "slope" and value > 1.0):
        raise DataError(subject, f"{where}: {given[0]} is out of range")
    return value, _WIDTHS[given[0]]


def _free(parameters: Mapping[Any, Any], where: str, subject: str) -> Band:
    """Coefficients as given, the first of the denominator 1."""
    _check_keys(parameters, {"type", "a1", "a2", "b0", "b1", "b2"}, where, subject)
    b0, b1, b2, a1, a2 = (
        _number(parameters, key, where, subject) for key in ("b0", "b1", "b2", "a1", "a2")
    )
    if not abs(a2) < 1.0 or not abs(a1) < 1.0 + a2:
        raise DataError(subject, f"{where} is not stable")
    return Band("coefficients", coefficients=Coefficients((b0, b1, b2), (1.0, a1, a2)))


def _check_keys(parameters: Mapping[Any, Any], known: set[str], where: str, subject: str) -> None:
    unknown = [str(key) for key in parameters if key not in known]
    if unknown:
        raise DataError(
            subject, f"{where} has {excerpt(', '.join(unknown))}, which is not understood"
        )
