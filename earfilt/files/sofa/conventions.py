"""What the variables of a SOFA file mean: conventions, coordinates, ears, delays.

References
----------
AES69-2022. AES standard for file exchange - Spatial acoustic data file format.
https://www.sofaconventions.org (SimpleFreeFieldHRIR, SimpleFreeFieldHRTF, SimpleFreeFieldSOS,
GeneralFIR)
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from earfilt.arrays import Complexes, Floats
from earfilt.directions.geometry import norms, seen_by, unit_vectors
from earfilt.directions.hrirs import Hrirs
from earfilt.directions.interpolation import fft_size, taken_apart
from earfilt.errors import DataError, UsageError, counted
from earfilt.files.sofa.variables import Variables
from earfilt.synthesis.biquads.impulse import impulse_response, largest_radius

CONVENTIONS = (
    "SimpleFreeFieldHRIR",
    "SimpleFreeFieldHRTF",
    "SimpleFreeFieldSOS",
    "SimpleFreeFieldHRSOS",
    "GeneralFIR",
)
"""What is read."""

_LARGEST_FS = 1e7
_MOST_TAPS, _MOST_DELAY = 1 << 20, 1 << 20
_MOST_DIRECTIONS = 1 << 17
_MOST_SECTIONS = 1000
_UNEVEN = 1e-3  # of the step of a grid of frequencies
# Of the energy, just before the first sample: what a response that begins there has at most, how much
# less a better place for its beginning has, and from where on it fills its period.
_ENDED, _QUIETER, _FULL = 1e-3, 0.1, 1e-2
_GUARD = 32  # samples that are looked at there
_LED_ON = 4  # steps from which a phase is led on to 0 Hz
_LATERAL, _LOOKED_AT = 0.7, 24  # sine of the angle from the median plane; directions
_KEPT = (
    "Title",
    "Organization",
    "AuthorContact",
    "License",
    "References",
    "DatabaseName",
    "ListenerShortName",
    "Comment",
    "Origin",
)


class Understood(NamedTuple):
    """A set, what the file says of itself, and what to know of it."""

    hrirs: Hrirs
    convention: str
    about: dict[str, str]
    cautions: tuple[str, ...]


class _Responses(NamedTuple):
    taps: Floats  # (M, R, N)
    fs: float
    before: int = 0  # samples of them that come before time zero
    cautions: tuple[str, ...] = ()


def understand(found: Variables, name: str) -> Understood:
    """The set in a SOFA file.

    Raises
    ------
    DataError
        Another convention, shapes that do not belong together, or numbers that make no sense.
    """
    convention = found.text("SOFAConventions")
    if convention not in _READERS:
        what = f"its convention is '{convention}'" if convention else "it names no SOFA convention"
        raise DataError(name, f"{what}; {', '.join(CONVENTIONS)} are read")
    responses = _READERS[convention](found, name)
    count, receivers, _ = responses.taps.shape
    if receivers != 2:
        raise DataError(name, f"holds {receivers} receivers; two ears are read")
    silent = np.any(np.all(responses.taps == 0.0, axis=2), axis=1)
    if silent.any():  # nothing was measured there, and between directions it has no level
        first = int(silent.argmax()) + 1
        raise DataError(
            name, f"{int(silent.sum())} of its {count} directions hold zeros alone, first {first}"
        )
    vectors, distances = _sources(found, name, count)
    ears, cautions = _ears(found, name)
    set_ = Hrirs(
        responses.taps[:, ears],
        responses.fs,
        vectors,
        distances,
        _delays(found, name, count)[:, ears],
        responses.before,
    )
    about = {key: text for key in _KEPT if (text := found.text(key))}
    noted = (*cautions, *responses.cautions, *_suspicions(set_), *_repetitions(set_))
    return Understood(set_, convention, about, noted)


def _impulse_responses(found: Variables, name: str) -> _Responses:
    _check_shape(found, name, "Data.IR", _MOST_TAPS)
    return _Responses(found.numbers("Data.IR"), _fs(found, name))


def _transfer_functions(found: Variables, name: str) -> _Responses:
    """Spectra on an even grid of frequencies from 0 Hz, or its first step, on.

    What comes before time zero, as in responses that are referred to the middle of the head, an
    inverse transform puts behind all others: the period is cut where it is quiet.
    """
    shape = _check_shape(found, name, "Data.Real", _MOST_TAPS // 2)
    if found.shape("Data.Imag") != shape or found.shape("N") != (shape[2],):
        raise DataError(name, "Data.Real, Data.Imag and N do not belong together")
    freqs = found.numbers("N")
    unit = found.text("Units", "N").lower()
    if unit not in ("", "hertz", "hz"):
        raise DataError(name, f"its frequencies are in '{unit}'; hertz is read")
    step = float(freqs[-1] - freqs[0]) / max(1, len(freqs) - 1)
    first = round(float(freqs[0]) / step) if step > 0.0 else -1
    even = (
        first in (0, 1)
        and np.abs(freqs - step * (first + np.arange(len(freqs)))).max() <= _UNEVEN * step
    )
    if not even:
        raise DataError(
            name,
            "its frequencies are not an even grid from 0 Hz, so no impulse response follows from "
            "them",
        )
    spectra = found.numbers("Data.Real") + 1j * found.numbers("Data.Imag")
    if first == 1:  # what was not measured at 0 Hz
        spectra = np.concatenate([_at_zero(spectra), spectra], axis=-1)
    spectra[..., [0, -1]] = spectra[..., [0, -1]].real
    taps = np.fft.irfft(spectra)
    before, cautions = _before_zero(taps)
    return _Responses(
        np.roll(taps, before, axis=-1), 2.0 * step * (spectra.shape[-1] - 1), before, cautions
    )


def _at_zero(spectra: Complexes) -> Complexes:
    """What spectra (…, bins) from the first step of their grid on have at 0 Hz, (…, 1): the first
    magnitude, with the sign to which the phase leads on.
    """
    few = spectra[..., : _LED_ON + 1]
    turn = np.sum(few[..., 1:] * np.conj(few[..., :-1]), axis=-1, keepdims=True)
    led_on = (spectra[..., :1] * np.conj(turn)).real
    return np.where(led_on < 0.0, -1.0, 1.0) * np.abs(spectra[..., :1])


def _before_zero(taps: Floats) -> tuple[int, tuple[str, ...]]:
    """How many samples of periodic responses (M, R, N) come before time zero, at the end of the
    period; and what to know where that cannot be told.
    """
    numtaps = taps.shape[-1]
    energy = np.sum(taps**2, axis=-1, keepdims=True)
    backwards = np.mean(taps**2 / np.where(energy > 0.0, energy, 1.0), axis=(0, 1))[::-1]
    guard = max(1, min(_GUARD, numtaps // 8))
    # energy just before each beginning: at time zero, one sample earlier, …
    ahead = np.convolve(backwards, np.ones(guard), "valid")[: numtaps // 2 + 1]
    if ahead[0] <= _ENDED:
        return 0, ()
    least = float(ahead.min())
    if least <= _QUIETER * ahead[0]:
        return int(np.argmax(ahead <= 2.0 * least)), ()
    if ahead[0] <= _FULL:
        return 0, ()
    return 0, (
        f"its responses fill all of the {numtaps} samples that its grid of frequencies allows: "
        "where they begin cannot be told, and they are taken to begin at time zero",
    )


def _sections(found: Variables, name: str) -> _Responses:
    """Rows of b0 b1 b2 a0 a1 a2, one section after the other."""
    count, ears, numbers = _check_shape(found, name, "Data.SOS", 6 * _MOST_SECTIONS)
    if numbers % 6:
        raise DataError(name, f"Data.SOS has {numbers} numbers for an ear, no multiple of 6")
    rows = found.numbers("Data.SOS").reshape(count * ears, -1, 6)
    with np.errstate(all="ignore"):
        rows = rows / rows[..., 3:4]
    if not np.isfinite(rows).all():
        raise DataError(name, "a section of Data.SOS has no a0")
    if any(largest_radius(sos) >= 1.0 for sos in rows):
        raise DataError(name, "a section of Data.SOS is not stable")
    try:
        made = [impulse_response(sos) for sos in rows]
    except UsageError as error:
        raise DataError(name, f"a section of Data.SOS rings too long: {error}") from error
    longest = max(map(len, made))
    if longest * len(made) > _MOST_TAPS * 64:
        raise DataError(name, "the sections of Data.SOS ring too long")
    taps = np.stack([np.pad(one, (0, longest - len(one))) for one in made])
    return _Responses(taps.reshape(count, ears, longest), _fs(found, name))


_READERS: dict[str, Callable[[Variables, str], _Responses]] = {
    "SimpleFreeFieldHRIR": _impulse_responses,
    "SimpleFreeFieldHRTF": _transfer_functions,
    "SimpleFreeFieldSOS": _sections,
    "SimpleFreeFieldHRSOS": _sections,
    "GeneralFIR": _impulse_responses,
}


def _check_shape(found: Variables, name: str, variable: str, longest: int) -> tuple[int, ...]:
    shape = found.shape(variable)
    if len(shape) != 3 or not all(shape) or shape[2] > longest or shape[0] > _MOST_DIRECTIONS:
        raise DataError(
            name,
            f"{variable} has the shape {shape}; directions, ears and at most {longest} numbers are "
            "read",
        )
    if variable == "Data.Real" and shape[2] < 2:
        raise DataError(name, "a spectrum has two frequencies or more")
    return shape


def _fs(found: Variables, name: str) -> float:
    rates = found.numbers("Data.SamplingRate").reshape(-1)
    if (rates != rates[0]).any():
        raise DataError(
            name,
            "its measurements have different sampling rates: split it into one file for each rate",
        )
    unit = found.text("Units", "Data.SamplingRate").lower()
    if unit not in ("", "hertz", "hz"):
        raise DataError(name, f"its sampling rate is in '{unit}'; hertz is read")
    fs = float(rates[0])
    if not 0.0 < fs <= _LARGEST_FS:
        raise DataError(name, f"its sampling rate is {fs:g} Hz")
    return fs


def _delays(found: Variables, name: str, count: int) -> Floats:
    """Samples before the taps, (M, 2)."""
    if not found.has("Data.Delay"):
        return np.zeros((count, 2))
    delays = found.numbers("Data.Delay")
    if delays.shape not in ((1, 2), (count, 2)):
        raise DataError(
            name,
            f"Data.Delay has the shape {delays.shape}; (1, 2) or ({count}, 2) belong to its "
            f"{count} directions",
        )
    if not (delays >= 0.0).all() or delays.max() > _MOST_DELAY:
        raise DataError(
            name, f"Data.Delay reaches from {delays.min():g} to {delays.max():g} samples"
        )
    return np.broadcast_to(delays, (count, 2))


def _sources(found: Variables, name: str, count: int) -> tuple[Floats, Floats]:
    """Unit vectors (M, 3) from the listener's head, in his axes, and distances (M,) in metres."""
    source = _positions(found, name, "SourcePosition")
    listener = _positions(found, name, "ListenerPosition", np.zeros((1, 3)))
    view = _positions(found, name, "ListenerView", np.array([[1.0, 0.0, 0.0]]))
    up = _positions(found, name, "ListenerUp", np.array([[0.0, 0.0, 1.0]]))
    every = (source, listener, view, up)
    if any(len(one) not in (1, count) for one in every):
        raise DataError(name, f"its positions are not those of {count} directions")
    if count > 1 and all(len(one) == 1 for one in every):
        raise DataError(name, "it says one position for all of its responses, and no directions")
    away = np.broadcast_to(source - listener, (count, 3))
    try:
        away = seen_by(away, view, up)
    except ValueError as error:
        raise DataError(name, f"ListenerView and ListenerUp: {error}") from error
    distances = norms(away)
    if not (distances > 0.0).all():
        raise DataError(name, "a source stands in the middle of the head, in no direction")
    return away / distances[:, None], distances


def _positions(
    found: Variables, name: str, variable: str, default: "Floats | None" = None
) -> Floats:
    """Positions (M or 1, 3) in metres, cartesian."""
    if default is not None and not found.has(variable):
        return default
    return _cartesian(found, name, variable, found.numbers(variable))


def _cartesian(found: Variables, name: str, variable: str, values: Floats) -> Floats:
    if values.ndim != 2 or values.shape[1] != 3:
        raise DataError(name, f"{variable} has the shape {values.shape}; positions are rows of 3")
    kind = found.text("Type", variable).lower()
    units = found.text("Units", variable)
    if variable == "ListenerUp" and not kind:  # it has the type of the view
        kind, units = (
            found.text("Type", "ListenerView").lower(),
            found.text("Units", "ListenerView"),
        )
    if kind not in ("cartesian", "spherical"):
        raise DataError(name, f"{variable} is '{kind}'; cartesian and spherical ones are read")
    # 'degree, degree, metre', or one word for all
    words = [word.strip().lower() for word in units.split(",")] if units else []
    if kind == "cartesian":
        if not all(word in _METRES for word in words):
            raise DataError(name, f"{variable} is in '{units}'; metres are read")
        return values
    if not words or (len(words) != 3 and len(set(words)) > 1):
        raise DataError(name, f"{variable} does not say whether it is in degrees or radians")
    azimuth, elevation = (
        _degrees(values[:, axis], word, name, variable)
        for axis, word in ((0, words[0]), (1, words[min(1, len(words) - 1)]))
    )
    if len(words) == 3 and words[2] not in _METRES:
        raise DataError(name, f"{variable} has distances in '{words[2]}'; metres are read")
    return unit_vectors(azimuth, elevation) * values[:, 2:]


_METRES = ("metre", "metres", "meter", "meters", "m")


def _degrees(values: Floats, unit: str, name: str, variable: str) -> Floats:
    if unit.startswith("deg"):
        return values
    if unit.startswith("rad"):
        return np.degrees(values)
    raise DataError(name, f"{variable} has angles in '{unit}'; degrees and radians are read")


def _ears(found: Variables, name: str) -> tuple[list[int], tuple[str, ...]]:
    """The receivers that are the left and the right ear, by where they stand: the left one has the
    larger y.
    """
    unknown = (
        "the file does not say which receiver is which ear; the first one is taken as the left",
    )
    if not found.has("ReceiverPosition"):
        return [0, 1], unknown
    places = found.numbers("ReceiverPosition")
    if places.ndim == 3:  # one a measurement; ears do not change their sides
        places = places[:, :, 0]
    if places.shape == (1, 3):
        return [0, 1], unknown
    if places.shape != (2, 3):
        raise DataError(name, f"ReceiverPosition has the shape {places.shape}; two ears are read")
    first, second = (float(y) for y in _cartesian(found, name, "ReceiverPosition", places)[:, 1])
    if math.isclose(first, second, abs_tol=1e-9):
        return [0, 1], unknown
    return ([0, 1] if first > second else [1, 0]), ()


def _suspicions(found: Hrirs) -> tuple[str, ...]:
    """Whether sound from one side reaches the other ear first, as in a file with swapped ears."""
    lateral = np.flatnonzero(np.abs(found.vectors[:, 1]) >= _LATERAL)
    lateral = lateral[:: max(1, len(lateral) // _LOOKED_AT)]
    if not len(lateral):
        return ()
    taps = found.taps[lateral]
    delay = taken_apart(taps, fft_size(taps.shape[-1])).delay + found.delays[lateral]
    late_left = (delay[:, 0] - delay[:, 1]) * np.sign(found.vectors[lateral, 1])
    if np.mean(late_left > 0.0) <= 0.5:
        return ()
    return (
        "sound from the left reaches the right ear first in this file: its ears, or its azimuths, "
        "seem to be swapped",
    )


def _repetitions(found: Hrirs) -> tuple[str, ...]:
    """Whether a direction has a second response, which is not used."""
    if not (again := found.repeated):
        return ()
    others = len(again) - 1
    more = f", and {counted(others, 'response')} more like it" if others else ""
    return (
        f"direction {found.words_for(again[0])} has more than one response in this file: the first "
        f"is taken, and response {again[0] + 1} is not{more}",
    )
