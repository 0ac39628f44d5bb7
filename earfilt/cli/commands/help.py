"""``earfilt help``: commands and topics explained."""

from collections.abc import Mapping
from typing import Annotated

import typer

from earfilt.cli.completion import complete_topic
from earfilt.cli.pages import COMMANDS
from earfilt.cli.topics import title, topics
from earfilt.errors import UsageError, did_you_mean, printable


def help(
    ctx: typer.Context,
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="[TOPIC]",
            help="A topic or a command.",
            show_default=False,
            autocompletion=complete_topic,
        ),
    ] = None,
) -> int:
    """Explain a topic or a command; without either, list them."""
    texts = topics()
    if topic is None:
        print("Commands ('earfilt help COMMAND'):")
        _print_list(COMMANDS)
        print("\nTopics ('earfilt help TOPIC'):")
        _print_list({name: title(text) for name, text in texts.items()})
    elif topic in texts:
        print(texts[topic], end="")
    else:
        near = did_you_mean(topic, [*texts, *COMMANDS]) or "'earfilt help' lists them"
        raise UsageError(f"there is no topic '{printable(topic)}'; {near}")
    return 0


def _print_list(said: Mapping[str, str]) -> None:
    for name, text in said.items():
        print(f"  {name:<12}{text}")
