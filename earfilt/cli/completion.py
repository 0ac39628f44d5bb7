"""What a shell completes: commands, options, their choices, and the names of filters.

The scripts are typer's; here is what they are asked for, whatever shell runs.
"""

from enum import StrEnum

import typer

__all__ = ["ASKED", "Shell", "complete_filter", "complete_topic", "install", "prepare", "show"]

ASKED = "_EARFILT_COMPLETE"
"""Set in the environment by a shell that asks what may be typed next."""


class Shell(StrEnum):
    """Shells that complete."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def prepare() -> None:
    """Make the parser answer a shell."""
    from typer._completion_classes import completion_init

    completion_init()


def show(shell: Shell | None) -> None:
    """Print the script for a shell."""
    if shell is None:
        return
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="earfilt", complete_var=ASKED, shell=shell.value))
    raise typer.Exit


def install(shell: Shell | None) -> None:
    """Put the script where the shell reads it at its start, and say where."""
    if shell is None:
        return
    from typer import _completion_shared

    _, path = _completion_shared.install(shell.value, "earfilt", ASKED)
    print(f"completion for {shell.value} is in {path}; it works in a new terminal")
    raise typer.Exit


def complete_filter(incomplete: str) -> list[str]:
    """Names of the catalogue that begin so, of a chain those of its last member; none for a path,
    which the shell completes itself.

    >>> complete_filter("headphone+middle-ear:j")
    ['headphone+middle-ear:jepsen2008']
    """
    from earfilt.ears import catalogue

    before, plus, last = incomplete.rpartition("+")
    names = {entry.name: None for entry in catalogue.entries()}
    if ":" in last:
        names = {f"{entry.name}:{entry.variant}": None for entry in catalogue.entries()}
    return [f"{before}{plus}{name}" for name in names if name.startswith(last)]


def complete_topic(incomplete: str) -> list[str]:
    """Topics and commands that begin so."""
    from earfilt.cli.pages import COMMANDS
    from earfilt.cli.topics import topics

    return [name for name in [*topics(), *COMMANDS] if name.startswith(incomplete)]
