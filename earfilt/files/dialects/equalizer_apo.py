"""Configurations of Equalizer APO, which many programs write: parametric bands (``Filter 1: ON PK
Fc 105 Hz Gain 4.5 dB Q 0.7``) and curves (``GraphicEQ: 20 -3.2; 21 -3.1``), with a preamp. Wavelet
and JamesDSP take the second; REW and AutoEq write both.

References
----------
Equalizer APO, Configuration reference (wiki): commands, kinds of filters and what they take. The
program's own reading decides where that is silent: a shelf without a width has the slope 0.9 and a
notch the quality 30; LS and HS with a width state the frequency where the shelf begins, LSC and HSC
the middle of their slope.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from earfilt.ears.biquads import FLAT_Q, Band, Coefficients
from earfilt.errors import DataError
from earfilt.files.dialects.found import (
    MAX_ROWS,
    OF_BOTH,
    FoundCurve,
    FoundEqualiser,
    Remedies,
    Row,
    excerpt,
    fir_named_in,
)
from earfilt.files.dialects.numbers import Decimal, notation, number

_MARKS = re.compile(
    r"^[ \t]*(?:Filter[ \t]*\d*[ \t]*:[ \t]*(?:ON|OFF|None)\b|"
    r"GraphicEQ[ \t]*:[ \t]*[-+\d]|"
    r"Preamp[ \t]*:[ \t]*[-+.\d])",
    re.IGNORECASE | re.MULTILINE,
)
_COMMAND = re.compile(r"\s*([A-Za-z]+)[ \t]*(\d*)\s*:\s*(.*)", re.DOTALL)
_NUMBER = r"([-+0-9.,eE\u00a0\u202f']+)"
# what is written around coefficients, which hold for one rate
_FOR_A_RATE = re.compile(r"\s*If\s*:\s*sampleRate\s*==\s*(\d{1,7}(?:\.\d{1,6})?)\s*", re.IGNORECASE)
_SECTION = re.compile(r"Order\s+2\s+Coefficients((?:\s+\S+){6})", re.IGNORECASE)
_SILENT = ("device", "stage")  # where and when the program runs, and nothing of the sound
_AUDIBLE = (
    "copy", "delay", "convolution", "include", "if", "elseif", "else", "endif", "eval", "vstplugin",
    "loudnesscorrection", "loudness",
)  # fmt: skip
_KINDS = {
    "PK": "peaking", "PEQ": "peaking", "MODAL": "peaking",
    "LS": "low-shelf", "LSC": "low-shelf", "LSQ": "low-shelf",
    "HS": "high-shelf", "HSC": "high-shelf", "HSQ": "high-shelf",
    "LP": "low-pass", "LPQ": "low-pass", "HP": "high-pass", "HPQ": "high-pass",
    "BP": "band-pass", "NO": "notch", "NOTCH": "notch", "AP": "all-pass",
}  # fmt: skip
_WITH_GAIN = ("peaking", "low-shelf", "high-shelf")
_DEFAULT_WIDTH = {
    "low-shelf": (0.9, "slope"), "high-shelf": (0.9, "slope"), "notch": (30.0, "q"),
    "low-pass": (FLAT_Q, "q"), "high-pass": (FLAT_Q, "q"), "band-pass": (FLAT_Q, "q"),
}  # fmt: skip
_STEEPEST = 12.0  # dB per octave, slope 1
_MOST_BANDS = 1000
_LONGEST_FILTER = 1000
_MOST_WORDS = 1000


class _Command(NamedTuple):
    """A line that makes sound; ``fs`` in Hz, where it holds for one rate alone."""

    line: int
    name: str
    text: str
    channels: str
    fs: float | None = None


def is_config(text: str) -> bool:
    """Whether a text is such a configuration."""
    return _MARKS.search(text) is not None


def read_config(
    text: str, subject: str, *, column: str | None, decimal: Decimal | None, remedies: Remedies
) -> FoundCurve | FoundEqualiser:
    """The points or the bands of a configuration.

    Parameters
    ----------
    text : str
    subject : str
        Name of the file, for messages.
    column : str, optional
        The channel, where the channels differ.
    decimal : {'point', 'comma'}, optional
        Where the numbers leave it open.
    remedies : Remedies
        The flags that settle channel and numbers, for messages.

    Raises
    ------
    DataError
        A line that changes the sound and is not understood, or channels that differ.
    """
    commands = _of_channel(list(_commands(text, subject)), subject, column, remedies.column)
    written = decimal or notation(_numbers(commands), subject, remedies.decimal_option)

    def value(field: str, line: int) -> float:
        found = number(field, written)
        if found is None:
            raise DataError(subject, f"line {line}: '{excerpt(field)}' is not a finite number")
        return found

    gain_db = 0.0
    graphic = [command for command in commands if command.name == "graphiceq"]
    bands: list[Band] = []
    for command in commands:
        if command.name == "preamp":
            found = re.fullmatch(rf"{_NUMBER}\s*dB\s*", command.text, re.IGNORECASE)
            if found is None:
                raise _not_understood(command, subject)
            gain_db += value(found[1], command.line)
        elif command.name == "filter" and (band := _band(command, subject, value)) is not None:
            bands.append(band)
    rates = {command.fs for command in commands if command.fs is not None}
    if len(rates) > 1:
        raise DataError(
            subject, f"holds filters for {len(rates)} sampling rates; keep those of one of them"
        )
    fs = rates.pop() if rates else None
    if not graphic:
        return FoundEqualiser("Equalizer APO filters", tuple(bands), gain_db, fs)
    if fs is not None:
        raise DataError(subject, "has a GraphicEQ for one sampling rate alone; take its 'If:' out")
    if bands or len(graphic) > 1:
        raise DataError(
            subject, "has a GraphicEQ and further filters; keep one, and chain two files by a '+'"
        )
    rows = [row._replace(value=row.value + gain_db) for row in _points(graphic[0], subject, value)]
    return FoundCurve("GraphicEQ", rows, in_db=True)


def _commands(text: str, subject: str) -> Iterator[_Command]:
    """The lines that make sound; words before the first of them are passed over."""
    begun, words, count, channels = False, 0, 0, "all"
    fs: float | None = None
    for n, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _COMMAND.match(line)
        name = found[1].lower() if found else ""
        if found and name in ("filter", "graphiceq", "preamp"):
            if len(line) > _LONGEST_FILTER and name != "graphiceq":
                raise DataError(subject, f"line {n}: longer than {_LONGEST_FILTER} characters")
            begun, count = True, count + 1
            if count > _MOST_BANDS:
                raise DataError(subject, f"has more than {_MOST_BANDS} filters, the most read")
            yield _Command(n, name, found[3].strip(), channels, fs)
        elif fs is None and (rate := _FOR_A_RATE.fullmatch(line)):
            fs = float(rate[1])
        elif fs is not None and found and name == "endif" and not found[3].strip():
            fs = None
        elif found and name == "channel":
            channels = " ".join(found[3].lower().split())
        elif name in _SILENT:
            continue
        elif name == "convolution" and (named := fir_named_in(line)):
            raise DataError(
                subject,
                f"line {n}: {named}; the other filters are read without this line, and chained by "
                "a '+'",
            )
        elif begun or name in _AUDIBLE or re.search(r"\bFc\b", line):
            raise DataError(subject, f"line {n}: '{excerpt(line.strip())}' is not understood")
        else:
            words += 1
            if words > _MOST_WORDS:
                raise DataError(subject, f"has more than {_MOST_WORDS} lines that are not filters")


def _of_channel(
    commands: list[_Command], subject: str, asked: str | None, option: str
) -> list[_Command]:
    """The commands of one channel."""
    several = {command.channels for command in commands} - {"all"}
    if not several:
        return commands
    names = sorted({name for channels in several for name in channels.split()} - {"all"})
    if asked is None:
        shown = [excerpt(name).upper() for name in names]
        if len(names) == 1:
            remedy = (
                f"{option} {shown[0]} takes what is for it"
                if option
                else "keep the lines of one of them"
            )
            raise DataError(
                subject,
                f"filters the channel {shown[0]} in its own way, and the others in another; {remedy}",
            )
        remedy = (
            f"{option} {shown[0]} takes one of them{OF_BOTH}"
            if option
            else "keep the lines of one of them"
        )
        raise DataError(
            subject, f"filters the channels {', '.join(shown)} each differently; {remedy}"
        )
    if asked.lower() not in names:
        raise DataError(subject, f"has no channel '{excerpt(asked)}'")
    return [
        command
        for command in commands
        if {"all", asked.lower()}.intersection(command.channels.split())
    ]


def _numbers(commands: list[_Command]) -> Iterator[str]:
    for command in commands:
        yield from re.findall(r"(?<![A-Za-z0-9])[-+]?[0-9][0-9.,]*", command.text)


def _points(command: _Command, subject: str, value: Callable[[str, int], float]) -> Iterator[Row]:
    pieces = [piece.split() for piece in command.text.split(";", MAX_ROWS + 1) if piece.strip()]
    if len(pieces) > MAX_ROWS:
        raise DataError(subject, f"line {command.line}: more than {MAX_ROWS} points")
    for piece in pieces:
        if len(piece) != 2:
            raise DataError(
                subject,
                f"line {command.line}: '{excerpt(' '.join(piece))}' is not a pair of frequency and "
                "gain",
            )
        yield Row(command.line, value(piece[0], command.line), value(piece[1], command.line))


def _band(command: _Command, subject: str, value: Callable[[str, int], float]) -> Band | None:
    """The band of a line; None of one that is off."""
    state, _, rest = command.text.partition(" ")
    if state.lower() in ("off", "none") or rest.strip().lower() == "none":
        return None
    if state.lower() != "on":
        raise _not_understood(command, subject)
    name, _, rest = rest.strip().partition(" ")
    if name.upper() == "IIR":
        return _section(rest.strip(), command, subject, value)
    kind = _KINDS.get(name.upper())
    if kind is None:
        raise _not_understood(command, subject)
    fields, left = _fields(rest)
    hz, gain, q, octaves, slope = (
        None if fields[key] is None else value(fields[key] or "", command.line)
        for key in ("fc", "gain", "q", "octaves", "slope")
    )
    shelf = kind in ("low-shelf", "high-shelf")
    widths = [(w, by) for w, by in ((q, "q"), (octaves, "octaves")) if w is not None]
    if slope is not None and shelf:
        widths.append((slope / _STEEPEST, "slope"))
    known = left == "" and hz is not None and hz > 0 and len(widths) <= 1
    if not known or (gain is None and kind in _WITH_GAIN) or (octaves is not None and shelf):
        raise _not_understood(command, subject)
    if not widths and kind not in _DEFAULT_WIDTH:
        raise DataError(subject, f"line {command.line}: this kind of filter needs a Q")
    width, by = widths[0] if widths else _DEFAULT_WIDTH[kind]
    if width <= 0.0 or (by == "slope" and width > 1.0):
        raise DataError(
            subject,
            f"line {command.line}: the width must be above 0, and a slope at most {_STEEPEST:g} dB",
        )
    assert hz is not None
    gain = gain if gain is not None and kind in _WITH_GAIN else 0.0
    if shelf and widths and not name.upper().endswith(("C", "Q")):
        hz = _middle(kind, hz, gain, width, by)
    return Band(kind, hz, gain, width, by)


def _section(
    text: str, command: _Command, subject: str, value: Callable[[str, int], float]
) -> Band:
    """The band of ``IIR Order 2 Coefficients b0 b1 b2 a0 a1 a2``."""
    found = _SECTION.fullmatch(text)
    if found is None:
        raise _not_understood(command, subject)
    if command.fs is None:
        raise DataError(
            subject,
            f"line {command.line}: '{excerpt(command.text)}' is not understood without the rate of "
            "its coefficients, which a line 'If: sampleRate == 48000' before it and 'EndIf:' behind "
            "it state",
        )
    b0, b1, b2, a0, a1, a2 = (value(field, command.line) for field in found[1].split())
    if a0 == 0.0 or not abs(a2 / a0) < 1.0 or not abs(a1 / a0) < 1.0 + a2 / a0:
        raise DataError(subject, f"line {command.line}: its coefficients make no stable filter")
    return Band(
        "coefficients",
        coefficients=Coefficients((b0 / a0, b1 / a0, b2 / a0), (1.0, a1 / a0, a2 / a0)),
    )


def _middle(kind: str, hz: float, gain: float, width: float, by: str) -> float:
    """The middle of the slope of a shelf that is known by where it begins."""
    slope = width
    if by == "q":
        g = 10.0 ** (gain / 40.0)
        slope = 1.0 / ((1.0 / width**2 - 2.0) / (g + 1.0 / g) + 1.0)
    ratio = 10.0 ** (abs(gain) / 80.0 / slope)
    return hz * ratio if kind == "low-shelf" else hz / ratio


_FIELDS = {
    "fc": rf"\bFc\s+{_NUMBER}\s*Hz",
    "gain": rf"\bGain\s+{_NUMBER}\s*dB",
    "q": rf"\bQ\s+{_NUMBER}",
    "octaves": rf"\bBW\s+Oct\s+{_NUMBER}",
    "slope": rf"^\s*{_NUMBER}\s*dB",
    "decay": rf"\bT60\s+target\s+{_NUMBER}\s*ms",
}


def _fields(text: str) -> tuple[dict[str, str | None], str]:
    """What a filter's line states, by name, and what is left over."""
    fields: dict[str, str | None] = dict.fromkeys(_FIELDS)
    for name, pattern in _FIELDS.items():
        if found := re.search(pattern, text, re.IGNORECASE):
            fields[name] = found[1]
            text = text[: found.start()] + " " + text[found.end() :]
    return fields, text.strip()


def _not_understood(command: _Command, subject: str) -> DataError:
    return DataError(
        subject,
        f"line {command.line}: '{excerpt(command.text)}' is not understood; filters are PK, LS, "
        "LSC, HS, HSC, LP, LPQ, HP, HPQ, BP, NO and AP with Fc, Gain and Q, and IIR Order 2 Coefficients",
    )
