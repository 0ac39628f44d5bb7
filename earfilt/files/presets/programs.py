"""The programs that presets are written for, and what each takes."""

from collections.abc import Callable
from dataclasses import dataclass

from earfilt.errors import UsageError
from earfilt.files.presets import (
    c_header,
    camilladsp,
    easyeffects,
    equalizerapo,
    graphic,
    minidsp,
    pipewire,
)
from earfilt.files.presets.preset import Form, Preset


@dataclass(frozen=True)
class Program:
    """A program.

    Attributes
    ----------
    suffix : str
        Extension of its files.
    forms : tuple of str
        What it takes; the first one where nothing was asked for.
    write : callable
        From a preset to the text of its file.
    impulse_suffix : str
        Extension of the wave file of a FIR beside it.
    most : int, optional
        Sections that it has.
    """

    suffix: str
    forms: tuple[Form, ...]
    write: Callable[[Preset], str]
    impulse_suffix: str = ".wav"
    most: int | None = None


PROGRAMS = {
    "equalizerapo": Program(".txt", ("fir", "sections", "peaking", "graphic"), equalizerapo.write),
    "camilladsp": Program(".yml", ("fir", "sections", "peaking"), camilladsp.write),
    "pipewire": Program(".conf", ("fir", "sections", "peaking"), pipewire.write),
    "easyeffects": Program(".json", ("fir", "peaking"), easyeffects.write, ".irs"),
    "jamesdsp": Program(".txt", ("graphic",), graphic.write),
    "wavelet": Program(".txt", ("graphic",), graphic.write),
    "minidsp": Program(".txt", ("sections", "peaking"), minidsp.write, most=minidsp.MOST),
    "c": Program(".h", ("sections", "peaking"), c_header.write),
}


def program(name: str) -> Program:
    """A program by its name.

    Raises
    ------
    UsageError
        There is none of this name.
    """
    if name not in PROGRAMS:
        raise UsageError(f"--for {name}; it is one of {', '.join(PROGRAMS)}")
    return PROGRAMS[name]
