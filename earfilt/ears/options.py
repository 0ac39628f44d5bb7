"""Options of ears: each kind of ear declares its own, once, and everything that knows of them reads
the declaration: flags, defaults, checks, provenance and help.
"""

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from earfilt.errors import UsageError, printable

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Option:
    """One option, as a kind of ear declares it.

    Attributes
    ----------
    name : str
        As in Python: ``normalize_gain``.
    default : object
        What holds where nothing was given; None where the option is simply absent.
    help : str
        One line.
    type : type
        bool (a pair of flags), int, float or str.
    choices : tuple of str
        The words that are allowed.
    metavar : str
        Placeholder of the value in the help: ``HZ``.
    """

    name: str
    default: Any
    help: str
    type: type = str
    choices: tuple[str, ...] = ()
    metavar: str = ""

    @property
    def flag(self) -> str:
        """The flag of the command line.

        >>> NORMALIZE_GAIN.flag
        '--normalize-gain'
        """
        return "--" + self.name.replace("_", "-")

    def with_default(self, default: Any) -> "Option":
        """The same option with another default."""
        return replace(self, default=default)

    def with_choices(self, *choices: str) -> "Option":
        """The same option with fewer choices."""
        return replace(self, choices=choices)

    def checked(self, value: Any) -> Any:
        """A value, or UsageError where it is not among the choices."""
        if not self.choices or value == self.default:
            return value
        return choice(self.name, value, self.choices)


LARGEST_ORDER = 131_072

ORDER = Option(
    "order",
    None,
    "Design each member by the documented frequency sampling, with N + 1 taps.",
    int,
    (),
    "N",
)
TOLERANCE = Option(
    "tolerance", None, "Largest deviation from the published curve (0.1).", float, (), "DB"
)
FEWEST = Option(
    "fewest", None, "Search for the fewest taps that meet the tolerance, which takes longer.", bool
)
DESIGN = (ORDER, TOLERANCE, FEWEST)
"""What every design of ears takes, beside the options of the ears."""

INVERSE = Option(
    "inverse",
    None,
    "Invert the whole filter, up to --max-gain.",
    bool,
)
MAX_GAIN = Option(
    "max_gain", 20.0, "Largest gain of an inverse, approached smoothly (20).", float, (), "DB"
)
FORCE_CHAIN = Option("force_chain", None, "Chain filters whose reference points do not meet.", bool)
CHAIN = (INVERSE, MAX_GAIN, FORCE_CHAIN)
"""What is asked of a filter as a whole."""

PHASE = Option(
    "phase",
    "minimum",
    "Causal minimum phase, zero phase, or the phase of the published model where it has one "
    "(default: minimum; zero for outer-middle-ear; its own for an equaliser).",
    choices=("minimum", "zero", "native"),
)
CURVE_PHASE = PHASE.with_choices("minimum", "zero")
"""Of an ear that is known by its magnitude alone."""

BEYOND = Option(
    "beyond",
    "documented",
    "Outside the published range: the documented rule (default), held flat, or falling by 12 dB "
    "per octave.",
    choices=("documented", "hold", "fall"),
)
NORMALIZE_GAIN = Option(
    "normalize_gain",
    True,
    "Middle ears and levels: 0 dB at the peak or at 1 kHz (default), or the absolute values (m/s "
    "per Pa, dB SPL).",
    bool,
)


def with_defaults(options: Iterable[Option], **defaults: Any) -> tuple[Option, ...]:
    """Options of which some get another default.

    >>> [option.default for option in with_defaults((BEYOND, PHASE), phase="zero")]
    ['documented', 'zero']
    """
    return tuple(
        option.with_default(defaults[option.name]) if option.name in defaults else option
        for option in options
    )


def settings(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each option: the given one where there is one, else the default.

    Raises
    ------
    UsageError
        A given one that is not among the choices.
    """
    return {
        option.name: option.checked(given[option.name]) if option.name in given else option.default
        for option in options
    }


def checked_fs(fs: float) -> float:
    """A sampling rate in Hz, or UsageError where it is not one."""
    if isinstance(fs, bool) or not isinstance(fs, numbers.Real) or not math.isfinite(fs) or fs <= 0:
        raise UsageError(f"fs is {fs!r}; it must be a positive, finite sampling rate in Hz")
    return fs


def choice(name: str, value: _Value, allowed: tuple[_Value, ...]) -> _Value:
    """``value``, or UsageError where it is not among ``allowed``."""
    if value not in allowed:
        raise UsageError(
            f"{name} is {printable(repr(value))}; allowed: {', '.join(map(repr, allowed))}"
        )
    return value
