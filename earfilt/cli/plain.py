"""Commands whose values are converted only where they need it.

Where typer converts values by pydantic, loading that takes longer than filtering a short file; and
it asks it about every text, and about every option that was not given.
"""

import os
from functools import partial
from typing import Any

from typer.core import TyperCommand, TyperGroup

from earfilt.cli import pages
from earfilt.errors import UsageError, did_you_mean, printable

_MEANT = {
    "version": "--version",
    "list": "filters",
    "catalogue": "filters",
    "plot": "response",
    "show": "response",
    "curve": "response",
    "filter": "apply",
    "check": "verify",
}
"""What people type in place of a command."""


_LISTED = {"store": "append", "store_const": "append_const"}
"""How the parser keeps every value of an option, in place of the last."""


class _Keeping:
    """A parser, to whom options are added so that it keeps all their values: where one takes a
    single value, the last would be taken in silence.
    """

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def add_option(self, *args: Any, action: str = "store", **more: Any) -> None:
        """As the parser does."""
        self._parser.add_option(*args, action=_LISTED.get(action, action), **more)


class PlainCommand(TyperCommand):
    """A command of a typer application."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters."""
        return _plain(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Its values; an error knows whose they are."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write its help."""
        pages.write(pages.page_of(self, ctx), formatter)


class PlainGroup(TyperGroup):
    """A typer application."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed; 0 where the reader of its output went away, for which the
        parser would end the program with 1.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return 0

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was typed.

        Raises
        ------
        UsageError
            There is none of this name; with what is near.
        """
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            meant = _MEANT.get(name)
            hint = f"'earfilt {meant}' does that" if meant else did_you_mean(name, self.commands)
            if not meant and (os.path.exists(name) or os.path.splitext(name)[1] or "-f" in args):
                hint = "recordings are filtered by 'earfilt apply INPUT OUTPUT -f FILTER'"
            raise UsageError(
                f"there is no command '{printable(name)}'{'; ' if hint else ''}{hint} "
                "(see 'earfilt --help')"
            )
        return super().resolve_command(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters."""
        return _plain(super().get_params(ctx))


def _plain(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if "process_value" not in vars(parameter):
            parameter.process_value = partial(_process, parameter, parameter.process_value)
            if parameter.param_type_name == "option":
                parameter.add_to_parser = partial(_add, parameter.add_to_parser)
    return parameters


def _add(add: Any, parser: Any, context: Any) -> None:
    add(_Keeping(parser), context)


def _the_one(parameter: Any, values: list[Any]) -> Any:
    """The value of an option that takes one.

    Raises
    ------
    UsageError
        It was given again with another value: which one is meant, nobody can say.
    """
    if all(value == values[0] for value in values):
        return values[0]
    if parameter.is_flag:
        both = f"{parameter.opts[-1]} and {parameter.secondary_opts[-1]}"
        raise UsageError(f"{both} exclude each other")
    said = [" ".join(one) if isinstance(one, tuple) else one for one in dict.fromkeys(values)]
    instead = getattr(parameter, "instead_of_several", lambda _: "give the one that is meant")
    raise UsageError(
        f"{'/'.join(parameter.opts)} takes one value, and is given several: "
        f"{printable(', '.join(said))}; {printable(instead(said))}"
    )


def _process(parameter: Any, convert: Any, context: Any, value: Any) -> Any:
    several = parameter.multiple or parameter.nargs == -1
    if not several and isinstance(value, list):
        value = _the_one(parameter, value)
    # what typer knows of a parameter's type, where it asks pydantic
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if parameter.required and not value:
        return convert(context, value)
    if value is None:
        value = () if several else None
    elif kind == list[str] and several:
        value = list(value)
    elif value is not parameter.default and not (kind is str and isinstance(value, str)):
        return convert(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)
