"""Options that several commands share, each stated once.

The options of filters are those that the kinds of ears declare (``earfilt.ears.options``): flags,
choices and help are made from there.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from earfilt.chains.members import FIR_OPTIONS
from earfilt.ears import kinds
from earfilt.ears.options import CHAIN, DESIGN, FEWEST, Option
from earfilt.errors import UsageError

if TYPE_CHECKING:
    from earfilt.chains.members import Filter


class Precision(StrEnum):
    auto = "auto"
    float32 = "float32"
    float64 = "float64"


FILTER_HELP = (
    "NAME[:VARIANT], joined by + into a chain, or the path of a curve, equaliser or FIR, whose "
    "content says what it is. 'earfilt filters' lists the names."
)

FilterName = Annotated[str, typer.Option("-f", "--filter", metavar="FILTER", help=FILTER_HELP)]
FilterNames = Annotated[
    list[str], typer.Option("-f", "--filter", metavar="FILTER", help=FILTER_HELP + " Repeatable.")
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


Resolve = Callable[[str], "Filter"]
"""From a filter's name to the filter, with the options of the command line."""


class FilterCommand(TyperCommand):
    """A command that takes the options of filters beside its own, behind ``--filter``.

    Its function asks `finder` for them.
    """

    def __init__(self, *args: Any, params: list[Any], **more: Any) -> None:
        place = 1 + next(i for i, one in enumerate(params) if "--filter" in one.opts)
        super().__init__(*args, params=[*params[:place], *_parameters(), *params[place:]], **more)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the options of filters wait in the context."""
        ctx.obj = {one.name: ctx.params.pop(one.name) for one in _parameters()}
        return super().invoke(ctx)


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
    parameter.name = option.name
    return parameter
