"""Options that several commands share, each stated once.

The options of filters are those that the kinds of ears declare (``earfilt.ears.options``): flags,
choices and help are made from there.
"""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earfilt.chains.directions import SOFA_OPTIONS
from earfilt.chains.members import FIR_OPTIONS
from earfilt.cli.completion import complete_filter
from earfilt.cli.plain import PlainCommand
from earfilt.cli.streams import say
from earfilt.ears import kinds
from earfilt.ears.options import CHAIN, DESIGN, FEWEST, FORCE_CHAIN, Option
from earfilt.errors import UsageError, printable

if TYPE_CHECKING:
    from earfilt.chains.members import Filter

DEFAULT_FS = 48000.0
"""Sampling rate in Hz where neither the user nor a file says one."""


class Precision(StrEnum):
    auto = "auto"
    float32 = "float32"
    float64 = "float64"


FILTER_HELP = (
    "NAME[:VARIANT], joined by + into a chain, or the path of a curve, equaliser or FIR, whose "
    "content says what it is; L=CHAIN,R=CHAIN for two ears. 'earfilt filters' lists the names."
)

FilterName = Annotated[
    str,
    typer.Option(
        "-f", "--filter", metavar="FILTER", help=FILTER_HELP, autocompletion=complete_filter
    ),
]
FilterNames = Annotated[
    list[str],
    typer.Option(
        "-f",
        "--filter",
        metavar="FILTER",
        help=FILTER_HELP + " Repeatable.",
        autocompletion=complete_filter,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="No summary and no progress; errors only.")
]
Verbose = Annotated[
    bool,
    typer.Option(
        "-v", "--verbose", help="Say more: everything about one file, or each failure of a batch."
    ),
]


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


def band_of(text: str) -> tuple[float, float]:
    """Two frequencies in Hz, as ``--band`` has them.

    Raises
    ------
    UsageError
        They are none.
    """
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError as error:
        raise UsageError(
            f"--band {printable(text)}: two frequencies in Hz are written 100:10000"
        ) from error


Resolve = Callable[[str], "Filter"]
"""From a filter's name to the filter, with the options of the command line."""


_WAY = (
    Option(
        "from",
        None,
        "Instead of --filter, with --to: take the preferred way from this reference point, by ISO "
        "532 where possible ('earfilt filters --from POINT --to POINT' lists all ways).",
        metavar="POINT",
    ),
    Option(
        "to",
        None,
        "free-field, diffuse-field, headphone, ear-canal-entrance, eardrum, stapes or cochlea.",
        metavar="POINT",
    ),
)


class FilterCommand(PlainCommand):
    """A command that takes the options of filters beside its own, behind ``--filter``, and
    ``--from`` with ``--to`` in its place.

    Its function gets a filter's name in either case, and asks `finder` for the options.
    """

    def __init__(self, *args: Any, params: list[Any], **more: Any) -> None:
        place = next(i for i, one in enumerate(params) if "--filter" in one.opts)
        self._named = params[place]
        self._named.required = False
        self._named.instead_of_several = _as_one_filter
        added = [*_way_parameters(), *_parameters()]
        place += 1
        super().__init__(*args, params=[*params[:place], *added, *params[place:]], **more)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Its values; where it takes no arguments, one is a filter that lacks its option."""
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest:
            given = ctx.params.get(self._named.name)
            filter = f"{given}+{rest[0]}" if isinstance(given, str) else rest[0]
            raise UsageError(
                f"'{printable(rest[0])}' belongs to no option; a filter is given as -f "
                f"{printable(shlex.quote(filter))} (see '{ctx.command_path} --help')"
            )
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the options of filters wait in the context."""
        ctx.obj = {one.name: ctx.params.pop(one.name) for one in _parameters()}
        said = self._choose(ctx.params, *(ctx.params.pop(one.name) for one in _way_parameters()))
        names = ctx.params[self._named.name]
        if not any("+" in name for name in ([names] if isinstance(names, str) else names)):
            refuse_without_effect(
                {FORCE_CHAIN.flag: ctx.obj[FORCE_CHAIN.name]},
                "it chains filters that do not meet, and none is a chain",
            )
        result = super().invoke(ctx)
        if said and not ctx.params["quiet"]:
            sys.stdout.flush()
            say(said)
        return result

    def _choose(self, params: dict[str, Any], start: str | None, end: str | None) -> str:
        """Put the preferred way in the place of a filter's name; what to say of it."""
        name = self._named.name
        if start is None and end is None:
            if not params[name]:
                raise UsageError("give a filter (-f, --filter), or --from and --to")
            return ""
        if params[name]:
            raise UsageError("--from and --to choose a filter, and --filter names one; give either")
        if start is None or end is None:
            raise UsageError("--from and --to go together")
        from earfilt.chains import ways

        way = ways.preferred_way(ways.point(start), ways.point(end))
        params[name] = [ways.name_of(way)] if self._named.multiple else ways.name_of(way)
        return f"{way[0].start} to {way[-1].end}: {ways.name_of(way)} ({ways.sources_of(way)})"


def _as_one_filter(names: list[str]) -> str:
    """What to type for several filters where one is applied."""
    sides = sorted(names)
    if [name[:2] for name in sides] == ["L=", "R="]:
        return f"a filter for each ear is -f {shlex.quote(','.join(sides))}"
    if any(name.startswith(("L=", "R=")) for name in names):
        return "a filter for each ear is written L=FILTER,R=FILTER"
    return f"one after the other they are -f {shlex.quote('+'.join(names))}"


def finder(ctx: typer.Context, **more: Any) -> Resolve:
    """What finds a filter by its name, with the options that were given, and those of ``more``."""
    given = {
        name: value.value if isinstance(value, StrEnum) else value
        for name, value in ctx.obj.items()
    }
    return partial(_resolve, given | more)


def _resolve(options: dict[str, Any], name: str) -> "Filter":
    from earfilt.chains.members import resolve  # and numpy, which --help does without

    return resolve(name, **options)


@cache
def _parameters() -> tuple[Any, ...]:
    return tuple(map(_parameter, filter_options()))


@cache
def _way_parameters() -> tuple[Any, ...]:
    return tuple(map(_parameter, _WAY))


def filter_options() -> Iterator[Option]:
    """All options of filters; where kinds differ, as the first of them declares it, with the
    choices of all.
    """
    yield from (option for option in DESIGN if option is not FEWEST)
    yield from CHAIN
    for declared in kinds.every_option().values():
        choices = dict.fromkeys(choice for option in declared for choice in option.choices)
        yield declared[0].with_choices(*choices)
    yield from FIR_OPTIONS
    yield from (option for option in SOFA_OPTIONS if option.name != "phase")


def _parameter(option: Option) -> Any:
    """The parser's parameter for one option."""
    flags = (option.flag, f"--no-{option.flag[2:]}") if option.type is bool else (option.flag,)
    words = {choice: choice for choice in option.choices}
    value: Any = StrEnum(option.name, words) if words else option.type
    declared = typer.Option(
        "/".join(flags), metavar=option.metavar or None, help=option.help, show_default=False
    )

    def command(value: Annotated[value | None, declared] = None) -> None: ...

    app = typer.Typer(add_completion=False)
    app.command()(command)
    parameter: Any = typer.main.get_command(app).params[0]
    parameter.name, parameter.of_filters = option.name, True
    return parameter


def default_fs(filters: "list[Filter]") -> float:
    """The rate of the first FIR file that says one, else 48 kHz."""
    rates = (filter.stated_fs for filter in filters)
    return next((rate for rate in rates if rate is not None), DEFAULT_FS)
