"""What the header of a column says of its numbers: whether frequencies are in Hz, values gains in dB.

Most headers state no unit, or the right one; a curve takes no others, since a number in other
units would be a wrong filter without a word.
"""

import re

_HZ = re.compile(r"(?<![^\W_])hz(?![^\W_])", re.IGNORECASE)
_DB = re.compile(r"(?<![^\W_])db", re.IGNORECASE)
_PART_OF_DB = re.compile(r"[0-9]\s*/\s*[0-9]+\s*db|(?<![^\W_])[mcd]db", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"[(\[]\s*([^)\]]*?)\s*[)\]]")
_LETTERS = re.compile(r"[^\W\d_]+")

_NO_FREQUENCY = re.compile(
    "rads?|krad|[kmgt]hz|mels?|barks?|erbs?|cams?|cents?|semitones?|octaves?|log|ln|lg|omega|ω|"
    "wavelengths?|wellenlänge|lambda|λ|wavenumber|periode?|times?|zeit|temps|tiempo|tempo|время|"
    "t|secs?|seconds?|[mn\u00b5\u03bcu]s|pos|positions?|dist|distances?|depth|"
    "samples?|taps?|frames?|bins?|index|line|n|nr|no|midi|rpm|bpm|normali[sz]ed|nyquist|π|pi|angle|azimuth|"
    "elevation|degrees?|deg|db|dbspl"
)
_RATE = re.compile("rate|fs|samplerate|abtastrate")
_NO_DB = re.compile(
    "linear|lin|abs|ratio|factor|percent|np|nepers?|ohms?|ω|z|impedance|impedanz|power|energy|"
    "intensity|m?v|volts?|[mu\u00b5\u03bc]?pa|pascal|m?w|watts?|phons?|sones?|ms|µs|s|sec|deg|degrees?|"
    "rad|k?hz"
)
_LOSS = re.compile(
    "loss(es)?|attenuations?|atténuation|affaiblissement|dämpfung|dämmung|verlust|atenuación|"
    "attenuazione"
)
_LEVEL = re.compile(
    "gains?|levels?|spl|magnitudes?|mag|amplitudes?|responses?|transmission|attenuation|l|lp|raw|"
    "pegel|betrag|niveaux?|nivel|livello|poziom|уровень|レベル|电平"
)
_PERHAPS_LINEAR = re.compile(
    "gains?|amplitudes?|amp|magnitudes?|mag|transmission|transmittance|transfer|responses?|h|betrag"
)
_SILENT = re.compile("[a-su-z]|col|column|spalte|field|feld|unnamed|value|wert")
_DOUBTFUL = re.compile("errors?|residual|thresholds?|hl|isolation|rejection|absorption")


def _words(name: str) -> set[str]:
    """Its words in lower case; of camel case the parts, too."""
    spaced = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z][a-zà-ÿ])", " ", name)
    return {word.lower() for word in _LETTERS.findall(f"{name} {spaced}")}


def _says(name: str, what: re.Pattern[str]) -> bool:
    return any(map(what.fullmatch, _words(name)))


def is_other_frequency(name: str) -> bool:
    """Whether what stands for the frequency is not one in Hz by its name.

    >>> is_other_frequency("frequency (rad/s)"), is_other_frequency("f / Hz")
    (True, False)
    """
    if _says(name, _RATE):
        return True
    return _HZ.search(name) is None and (
        _says(name, _NO_FREQUENCY) or _unit(name) in ("s", "m", "mm", "cm")
    )


def is_gain(name: str) -> bool:
    """Whether a name cannot be but that of gains or levels.

    >>> is_gain("gain_db"), is_gain("SPL (dB)"), is_gain("averaged")
    (True, True, False)
    """
    return _DB.search(name) is not None or "gain" in _words(name)


def is_level(name: str) -> bool:
    """Whether a name is that of gains or levels, in many words.

    >>> is_level("Level"), is_level("value")
    (True, False)
    """
    return is_gain(name) or _says(name, _LEVEL)


def is_silent(name: str) -> bool:
    """Whether a name says nothing of what stands below it.

    >>> is_silent("x"), is_silent("Column 1"), is_silent("pos")
    (True, True, False)
    """
    return all(map(_SILENT.fullmatch, _words(name)))


def may_be_linear(name: str) -> bool:
    """Whether values below a name are factors as often as dB.

    >>> may_be_linear("Amplitude"), may_be_linear("Amplitude (dB)"), may_be_linear("SPL")
    (True, False, False)
    """
    return _DB.search(name) is None and _says(name, _PERHAPS_LINEAR)


def is_other_unit(name: str) -> bool:
    """Whether values are in something else than dB by their name.

    >>> is_other_unit("Gain (linear)"), is_other_unit("Gain"), is_other_unit("SPL (dB re 20 µPa)")
    (True, False, False)
    """
    if _PART_OF_DB.search(name) or _DB.search(name):
        return _PART_OF_DB.search(name) is not None
    return _says(name, _NO_DB) or "%" in name or re.search(r"\|.+\|", name) is not None


def is_loss(name: str) -> bool:
    """Whether values are losses by their name, which are the negative of gains.

    >>> is_loss("Insertion loss (dB)"), is_loss("gloss_db")
    (True, False)
    """
    return _says(name, _LOSS)


def is_doubtful(name: str) -> bool:
    """Whether values may be dB and still no gains, by their name.

    >>> is_doubtful("Error (dB)")
    True
    """
    return _says(name, _DOUBTFUL)


def _unit(name: str) -> str:
    found = _IN_BRACKETS.search(name)
    return found[1].lower() if found else ""
