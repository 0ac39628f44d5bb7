"""Options of ears: each kind of ear declares its own, once, and everything that knows of them reads
the declaration: flags, defaults, checks, provenance and help. And the checks of whatever a caller may
give in place of a number, a word or a path.
"""

import numbers
import os
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from earfilt.errors import UsageError, printable

if TYPE_CHECKING:
    from earfilt.arrays import Floats

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
LARGEST_FS = 1e9
"""Hz: curves are continued to half of it in steps."""

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
    value: Any = plain(fs)
    if not is_number(value) or not 0.0 < float(value) <= LARGEST_FS:
        raise UsageError(
            f"fs is {_said(fs)}; it must be a sampling rate above 0 and at most {LARGEST_FS:g} Hz"
        )
    return value


def plain(value: Any) -> Any:
    """A number of numpy or torch as one of Python, which reports and saved ears can hold."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def is_number(value: Any) -> bool:
    """Whether a plain value is a real number that a float can hold: no truth value.

    >>> is_number(3), is_number("3"), is_number(True), is_number(10**400)
    (True, False, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def number(name: str, value: Any) -> float:
    """A number as a plain float, or UsageError where it is none: 6, 6.0 and a float32 of numpy are
    one setting, and so are 0.0 and -0.0.

    >>> number("gain_db", 6), number("gain_db", -0.0)
    (6.0, 0.0)
    """
    found = plain(value)
    if not is_number(found):
        raise UsageError(f"{name} is {_said(value)}; it must be a number")
    return float(found) + 0.0


def whole(name: str, value: Any, rule: str = "a whole number") -> int:
    """A whole number as one of Python, or UsageError where it is none."""
    found = plain(value)
    if not is_number(found) or not isinstance(found, numbers.Integral):
        raise UsageError(f"{name} is {_said(value)}; it must be {rule}")
    return int(found)


def flag(name: str, value: Any) -> bool:
    """A truth value, or UsageError where it is none: "no" would count as true."""
    found = plain(value)
    if not isinstance(found, bool):
        raise UsageError(f"{name} is {_said(value)}; it must be True or False")
    return found


def text(name: str, value: Any) -> str:
    """A text, or that of a path, as a plain one, or UsageError where it is neither: a worker knows
    no types of the user's program, such as the class of an enumeration.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise UsageError(f"{name} is {_said(value)}; it must be a text or a path")
    return str.__str__(value)


def path(name: str, value: Any) -> str:
    """The text of a path of any type, or UsageError where it is none."""
    return text(name, os.fsdecode(value) if isinstance(value, bytes) else value)


def frequencies(name: str, values: Any) -> "Floats":
    """Frequencies as a new array (M,), of one number or several, or UsageError where they are none."""
    found = samples(name, values)
    if found.ndim > 1:
        raise UsageError(f"{name} has the shape {found.shape}; it must be a list of numbers")
    return found.reshape(-1)


def samples(name: str, values: Any) -> "Floats":
    """Numbers as a new float64 array, or UsageError where they are none, or masked."""
    import numpy as np

    refuse_masked(name, values)
    try:
        found = np.asarray(values)
        if found.dtype.kind in "iuf" or all(is_number(plain(one)) for one in found.flat):
            return found.astype(np.float64)
    except (
        TypeError,
        ValueError,
        OverflowError,
        RuntimeError,
    ):  # ragged, or of torch with gradients
        pass
    raise UsageError(f"{name} is {_said(values)}; it must be numbers")


def refuse_masked(name: str, values: Any) -> None:
    """Refuse a masked array with a UsageError: nothing that is made of it would have its mask."""
    if getattr(values, "mask", None) is not None and hasattr(values, "filled"):
        raise UsageError(
            f"{name} is a masked array, whose mask would be lost; fill it first, with .filled(0.0)"
        )


def _said(value: Any) -> str:
    """A value in few words."""
    try:
        return printable(_SHORT.repr(value))
    except Exception:  # whatever it is, it may fail to say
        return f"of type {type(value).__name__}"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def choice(name: str, value: _Value, allowed: tuple[_Value, ...]) -> _Value:
    """``value``, or UsageError where it is not among ``allowed``."""
    if value not in allowed:
        raise UsageError(
            f"{name} is {printable(repr(value))}; allowed: {', '.join(map(repr, allowed))}"
        )
    return value
