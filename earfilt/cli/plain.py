"""Commands whose values are converted only where they need it.

Where typer converts values by pydantic, loading that takes longer than filtering a short file; and
it asks it about every text, and about every option that was not given.
"""

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


class PlainCommand(TyperCommand):
    """A command of a typer application."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters."""
        return _plain(super().get_params(ctx))

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
    return parameters


def _process(parameter: Any, convert: Any, context: Any, value: Any) -> Any:
    several = parameter.multiple or parameter.nargs == -1
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
