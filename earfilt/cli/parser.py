"""The parser of the command line: its commands, and what stands above them.

It takes longer to load than a list takes to print, so that `earfilt.cli.run` loads it on use.
"""

import importlib
from typing import Annotated

import typer

from earfilt.cli import completion
from earfilt.cli.pages import COMMANDS
from earfilt.cli.plain import PlainCommand, PlainGroup
from earfilt.version import __version__


def parser(*wanted: str) -> typer.Typer:
    """The parser of the command line.

    Parameters
    ----------
    *wanted : str
        Commands that will run: of the others only the names are known, and nothing is loaded.
    """
    app = typer.Typer(
        name="earfilt",
        cls=PlainGroup,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # whose tables cut the names of options at 80 columns
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        help="Put audio through the human outer and middle ear: published transfer functions, "
        "exact, and time-aligned to the sample.",
        epilog="'earfilt help' lists topics. Exit codes: 0 success; 1 some file failed; 2 wrong "
        "usage or a refusal before "
        "work; 128 + N ended by signal N.",
    )
    app.callback()(_root)
    for name, help in COMMANDS.items():
        if name not in wanted:
            app.command(name, short_help=help)(_nothing)
            continue
        module = importlib.import_module(f"earfilt.cli.commands.{name}")
        kind = getattr(module, "COMMAND", PlainCommand)
        asks = name not in ("filters", "help")  # which have something to say without arguments
        app.command(name, cls=kind, no_args_is_help=asks, short_help=help)(getattr(module, name))
    return app


def _nothing() -> None: ...


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"earfilt {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show the traceback of an error (anywhere on the command line)."
        ),
    ] = False,
    install_completion: Annotated[
        completion.Shell | None,
        typer.Option(
            "--install-completion",
            callback=completion.install,
            is_eager=True,
            help="Install completion of commands, options and names for this shell, and stop.",
        ),
    ] = None,
    show_completion: Annotated[
        completion.Shell | None,
        typer.Option(
            "--show-completion",
            callback=completion.show,
            is_eager=True,
            help="Print what that would install, and stop.",
        ),
    ] = None,
) -> None: ...
