"""What is written for a program: a filter in one of four forms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from earfilt.arrays import Floats
from earfilt.errors import printable
from earfilt.synthesis.biquads.sections import Sections

Form = Literal["sections", "peaking", "graphic", "fir"]
FORMS: tuple[Form, ...] = ("sections", "peaking", "graphic", "fir")


@dataclass(frozen=True, eq=False, kw_only=True)
class Graphic:
    """Gains at frequencies, between which a program interpolates.

    Attributes
    ----------
    freqs, gain_db : (N,) float64
        Hz, ascending, and dB.
    lowered_db : float
        What was taken off, so that no frequency gains.
    """

    freqs: Floats
    gain_db: Floats
    lowered_db: float = 0.0

    @property
    def largest_gain(self) -> tuple[float, float]:
        """dB, and where: Hz."""
        top = int(self.gain_db.argmax())
        return float(self.gain_db[top]), float(self.freqs[top])

    def lowered(self, db: float) -> Graphic:
        """The same at a lower level."""
        return replace(self, gain_db=self.gain_db - db, lowered_db=db)


@dataclass(frozen=True, eq=False, kw_only=True)
class Impulse:
    """A FIR in a file beside the preset.

    Attributes
    ----------
    path : str
        Of the wave file, as the preset names it.
    latency : int
        Samples by which the output comes late.
    ears : 1 or 2
        1: all channels of the file are alike; 2: they are those of the left and the right ear.
    """

    path: str
    latency: int
    ears: int = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Preset:
    """A filter as programs are given it.

    Attributes
    ----------
    name : str
        What the program shows, and what identifiers are made of.
    about : str
        One line: filter, rate, deviation.
    fs : float
        Hz.
    content : Sections, Graphic or Impulse
    """

    name: str
    about: str
    fs: float
    content: Sections | Graphic | Impulse

    @property
    def form(self) -> Form:
        """Which of the forms the content has."""
        if isinstance(self.content, Impulse):
            return "fir"
        if isinstance(self.content, Graphic):
            return "graphic"
        return "peaking" if self.content.bands else "sections"

    @property
    def identifier(self) -> str:
        """The name in letters, digits and underscores of ASCII, not led by a digit.

        >>> impulse = Impulse(path="", latency=0)
        >>> Preset(name="ear-48 k", about="", fs=1.0, content=impulse).identifier
        'ear_48_k'
        """
        plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in self.name)
        return plain if plain and not plain[0].isdigit() else f"ear_{plain}"

    @property
    def comment(self) -> str:
        """What it is, in one printable line."""
        return printable(self.about)


def plain(value: float) -> str:
    """A number with all its digits and a point, as every parser takes it: YAML 1.1 reads 1e-05 as
    text.

    >>> plain(1e-05), plain(0.5), plain(-3.0)
    ('1.0e-05', '0.5', '-3.0')
    """
    text = repr(float(value))
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{mark}{exponent}"
