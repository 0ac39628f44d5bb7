"""What filter was asked for, as plain data: a name and the options that were given.

Picklable, hashable, independent of the sampling rate; nothing is read and nothing is checked here.
"""

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from earfilt.ears.options import flag, is_number, number, path, plain, text, whole

__all__ = ["FilterOptions", "Request", "checked", "sides_of"]

Phase = Literal["minimum", "zero", "native"]


class FilterOptions(TypedDict, total=False):
    """The options of a filter, by name; what is left out, or None, is the filter's own default.

    Attributes
    ----------
    order : int
        Number of taps − 1 of each member, 2 to 131 072: the documented frequency sampling.
    tolerance : float
        dB: how close the effective response stays to the published curve. Default 0.1.
    fewest : bool
        Search for the smallest order that meets the tolerance, which takes longer.
    phase : {'minimum', 'zero', 'native'}
        The last is the phase of the published model, where it has one.
    normalize_gain : bool
        Middle ear, and others in physical units or levels: 0 dB at the peak or at 1 kHz.
    convention : {'published', 'amt'}
        Outer+middle ear: the published dB once, or four times.
    flow, fhigh : float
        Hz, outer+middle ear.
    interpolation : {'log', 'linear', 'spline'}
        Between the points of a curve.
    beyond : {'documented', 'hold', 'fall'}
        Outside the range that was published.
    prototype : bool
        The analog filter of a model, in place of its program's digital one.
    latency : int
        Samples, for a FIR file that does not say.
    resample_fir : bool
        Convert a FIR file that was made for another rate.
    column : str
        Column with the values, or channel, of a curve's file that has several.
    decimal : {'point', 'comma'}
        How a curve's file writes numbers, where it leaves that open.
    align : str
        What becomes 0 dB of a measured level: a frequency in Hz, ``mean`` or ``peak``.
    absolute : bool
        Take the levels of a curve's file as gains, as they are.
    smooth : str
        Average a curve over a part of an octave: ``1/3``.
    target : str
        File of the curve that a measurement is corrected to.
    inverse : bool
        The way back of the whole filter.
    max_gain : float
        dB: largest gain of an inverse, into which it bends. Default 20.
    force_chain : bool
        Chain filters whose reference points do not meet.
    azimuth, elevation : float
        Degrees, of a SOFA file: counterclockwise from ahead, and up from the horizontal plane (0).
    distance : float
        Metres, of a SOFA file that was measured at several distances.
    nearest : bool
        The nearest measured direction, in place of interpolation.
    interaural_delay : {'keep', 'remove'}
        Of ``phase="minimum"``: whether the ears keep their arrival times.
    diffuse_field : {'keep', 'remove', 'only'}
        What all directions of a SOFA file have in common.
    path : str
        File with the path of a moving source: time, azimuth, elevation.
    """

    order: int | None
    tolerance: float | None
    fewest: bool | None
    phase: Phase | None
    normalize_gain: bool | None
    convention: Literal["published", "amt"] | None
    flow: float | None
    fhigh: float | None
    interpolation: Literal["log", "linear", "spline"] | None
    beyond: Literal["documented", "hold", "fall"] | None
    prototype: bool | None
    latency: int | None
    resample_fir: bool | None
    column: str | None
    decimal: Literal["point", "comma"] | None
    align: str | None
    absolute: bool | None
    smooth: str | None
    target: str | None
    inverse: bool | None
    max_gain: float | None
    force_chain: bool | None
    azimuth: float | None
    elevation: float | None
    distance: float | None
    nearest: bool | None
    interaural_delay: Literal["keep", "remove"] | None
    diffuse_field: Literal["keep", "remove", "only"] | None
    path: str | None


@dataclass(frozen=True, init=False)
class Request:
    """A filter or chain by name, with the options that were given.

    Parameters
    ----------
    name : str
        ``NAME[:VARIANT]``, joined by ``+`` into a chain; a path stands for a curve or a FIR.
    **options
        As in `FilterOptions`.

    Examples
    --------
    >>> Request("headphone", order=512, phase=None).given()
    {'order': 512}
    """

    name: str
    options: tuple[tuple[str, Any], ...]

    def __init__(self, name: str, **options: Unpack[FilterOptions]) -> None:
        given = ((key, plain(value)) for key, value in options.items() if value is not None)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", tuple(sorted(given)))

    def given(self) -> dict[str, Any]:
        """The options that were given, by name."""
        return dict(self.options)

    def command(self) -> str:
        """Filter and options as typed on the command line, quoted for a shell.

        >>> Request("my ear.csv", order=64, normalize_gain=False).command()
        "'my ear.csv' --no-normalize-gain --order 64"
        """
        return " ".join([shlex.quote(self.name), *option_words(self.given())])

    def arguments(self) -> str:
        """Filter and options as the arguments of a Python call.

        >>> Request("middle-ear", order=64, normalize_gain=False).arguments()
        "'middle-ear', normalize_gain=False, order=64"
        """
        return ", ".join([repr(self.name), *(f"{key}={one!r}" for key, one in self.options)])

    @property
    def typed_options(self) -> str:
        """The options alone, as typed on the command line."""
        return " ".join(option_words(self.given()))


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the types that they are said to have; what is None is left out.

    >>> import numpy as np
    >>> checked({"order": np.int64(512), "phase": None})
    {'order': 512}

    Raises
    ------
    UsageError
        One is of another type.
    """
    found = {name: value for name, value in options.items() if value is not None}
    known = FilterOptions.__annotations__  # what else there is will be refused by its name
    return {n: _typed(n)(n, v) if n in known else v for n, v in found.items()}


def _typed(name: str) -> Callable[[str, Any], Any]:
    if name in _PATHS:
        return path
    if name in _FLAGS:
        return flag
    if name in _WHOLE:
        return whole
    return number if name in _REAL else _align if name == "align" else text


def _align(name: str, value: Any) -> str:
    """A frequency may be a number."""
    return f"{plain(value):.12g}" if is_number(plain(value)) else text(name, value)


def sides_of(name: str) -> list[tuple[str, str]]:
    """The ways to read a name as ``L=…,R=…``, in either order: what the left ear gets, and the right
    one. There are several where a path holds a ``,R=``, and none where it is no such name.

    >>> sides_of("L=iso532-free,R=iso532-diffuse")
    [('iso532-free', 'iso532-diffuse')]
    >>> sides_of("R=b.csv+middle-ear,L=a,1.csv")
    [('a,1.csv', 'b.csv+middle-ear')]
    """
    first, rest = name[:2], name[2:]
    if first not in ("L=", "R="):
        return []
    mark = ",R=" if first == "L=" else ",L="
    found = [(rest[: at.start()], rest[at.end() :]) for at in re.finditer(mark, rest)]
    return found if first == "L=" else [(left, right) for right, left in found]


def option_words(options: Mapping[str, Any]) -> list[str]:
    """Options by name as the words that are typed on the command line.

    >>> option_words({"order": 512, "fhigh": 8000.0, "prototype": True})
    ['--order', '512', '--fhigh', '8000', '--prototype']
    """
    words = []
    for name, value in options.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", str(value).removesuffix(".0")]
    return words


def parse_command(text: str) -> Request | None:
    """The request of ``NAME --option value …`` as a FIR file states it; None where it is not one.

    Such a text is not trusted: it may name no files, and nothing that takes long to design.
    """
    try:
        name, *words = shlex.split(text)
        request = Request(name, **_parse_options(words))
    except (ValueError, TypeError):
        return None
    files = any(
        set("./\\").intersection(piece) or os.path.lexists(piece)
        for piece in re.split(r"\+|,?[LR]=", name)
    )
    return None if files or {"fewest", "target", "path"}.intersection(request.given()) else request


def _parse_options(words: list[str]) -> Any:
    """Options of a request by name; ValueError where one is unknown."""
    values: dict[str, Any] = {}
    while words:
        option = words.pop(0).removeprefix("--").replace("-", "_")
        if option.removeprefix("no_") in _FLAGS:
            values[option.removeprefix("no_")] = not option.startswith("no_")
        elif option in FilterOptions.__annotations__ and words:
            values[option] = _parse_value(option, words.pop(0))
        else:
            raise ValueError(f"no option of a filter: {option}")
    return values


def _parse_value(option: str, text: str) -> int | float | str:
    if option in _WHOLE:
        return int(text)
    return float(text) if option in _REAL else text


_FLAGS = (
    "normalize_gain",
    "fewest",
    "prototype",
    "inverse",
    "force_chain",
    "absolute",
    "resample_fir",
    "nearest",
)
_PATHS = ("target", "path")
_WHOLE = ("order", "latency")
_REAL = ("tolerance", "flow", "fhigh", "max_gain", "azimuth", "elevation", "distance")
