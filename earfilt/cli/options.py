"""Options that several commands share, each stated once."""

import functools
import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earfilt.errors import UsageError

if TYPE_CHECKING:
    from earfilt.chains.members import Filter


class Phase(StrEnum):
    minimum = "minimum"
    zero = "zero"


class Convention(StrEnum):
    published = "published"
    amt = "amt"


class Interpolation(StrEnum):
    log = "log"
    linear = "linear"


class Beyond(StrEnum):
    hold = "hold"
    fall = "fall"


class Precision(StrEnum):
    auto = "auto"
    float32 = "float32"
    float64 = "float64"


FILTER_HELP = (
    "NAME[:VARIANT], joined by + into a chain, or the path of a curve (.csv: "
    "frequency_hz,gain_db) or FIR "
    "(.wav .json .mat .csv .txt .npy). 'earfilt filters' lists the names."
)

FilterName = Annotated[str, typer.Option("-f", "--filter", metavar="FILTER", help=FILTER_HELP)]
FilterNames = Annotated[
    list[str], typer.Option("-f", "--filter", metavar="FILTER", help=FILTER_HELP + " Repeatable.")
]
Order = Annotated[
    int | None,
    typer.Option(
        "--order",
        metavar="N",
        help="Number of taps - 1 of each member (default: the filter's own).",
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        metavar="DB",
        help="Instead of --order: the fewest taps that stay within DB of the published curve.",
    ),
]
PhaseOption = Annotated[
    Phase | None,
    typer.Option(
        "--phase",
        help="Causal minimum phase, or zero phase (default: minimum; zero for outer-middle-ear).",
    ),
]
NormalizeGain = Annotated[
    bool | None,
    typer.Option(
        "--normalize-gain/--no-normalize-gain",
        help="Middle ear: peak at 0 dB (default), or m/s per Pa.",
    ),
]
ConventionOption = Annotated[
    Convention | None,
    typer.Option(
        "--convention",
        help="Outer+middle ear: the published dB once (default), or four times, as the AMT does.",
    ),
]
Flow = Annotated[
    float | None,
    typer.Option("--flow", metavar="HZ", help="Outer+middle ear: lowest frequency (20)."),
]
Fhigh = Annotated[
    float | None,
    typer.Option("--fhigh", metavar="HZ", help="Outer+middle ear: highest frequency (16000)."),
]
Latency = Annotated[
    int | None,
    typer.Option(
        "--latency",
        metavar="N",
        help="Tap at time zero of a FIR file that does not say (.npy, foreign files).",
    ),
]
InterpolationOption = Annotated[
    Interpolation | None,
    typer.Option("--interpolation", help="Frequency axis on which a curve is interpolated (log)."),
]
BeyondOption = Annotated[
    Beyond | None,
    typer.Option(
        "--beyond",
        help="A curve outside its ends: held flat (default), or falling 12 dB an octave.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="No summary and no progress; errors only.")
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]


def refuse_without_effect(options: Mapping[str, object], reason: str) -> None:
    """Raise UsageError where an option was given that changes nothing in this call.

    Options that permit (``--force``), that say how fast or how loud (``--jobs``, ``--quiet``), and
    all that a ``--dry-run`` foretells are never without effect.

    Parameters
    ----------
    options : mapping of str to object
        Values by option; None, False and empty lists were not given.
    reason : str
        Why, and what to do.
    """
    given = [
        name
        for name, value in options.items()
        if value is not None and value is not False and value != []
    ]
    if given:
        raise UsageError(f"{' and '.join(given)} would have no effect: {reason}")


_SPEC_OPTIONS: dict[str, Any] = {
    "order": Order,
    "tolerance": Tolerance,
    "phase": PhaseOption,
    "normalize_gain": NormalizeGain,
    "convention": ConventionOption,
    "flow": Flow,
    "fhigh": Fhigh,
    "latency": Latency,
    "interpolation": InterpolationOption,
    "beyond": BeyondOption,
}

Resolve = Callable[[str], "Filter"]
"""From a filter's name to the filter, with the options of the command line."""


def takes_filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a filter in place of its parameter ``find``.

    The command declares ``find: Resolve`` and calls it with each name.
    """
    own = [
        p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "find"
    ]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in _SPEC_OPTIONS.items()
    ]

    @functools.wraps(command)
    def wrapper(**values: Any) -> Any:
        options = {name: values.pop(name) for name in _SPEC_OPTIONS}
        plain: dict[str, Any] = {
            name: value.value if isinstance(value, StrEnum) else value
            for name, value in options.items()
        }
        return command(find=partial(_resolve, plain), **values)

    del wrapper.__wrapped__
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    place = 1 + next(i for i, p in enumerate(keyword) if p.name in ("filter_name", "filter_names"))
    parameters = keyword[:place] + added + keyword[place:]  # in the help they stand behind --filter
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def _resolve(options: dict[str, Any], name: str) -> "Filter":
    from earfilt.chains.members import resolve  # and numpy, which --help does without

    return resolve(name, **options)
