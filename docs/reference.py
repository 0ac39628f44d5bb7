"""The reference, made from the program: its commands from the parser, its calls from docstrings,
the fields of the report from the row that it prints.
"""

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from numpydoc.docscrape import NumpyDocString
from typer.main import get_command

import earfilt
from earfilt.cli.parser import _COMMANDS, parser

CALLS = (
    ("Signals and files", ("apply", "apply_file", "apply_files", "stream")),
    ("Filters", ("design", "design_sections", "response", "filters", "way")),
    ("Modules", ("ear", "EarModule", "HeadphoneFilter", "MiddleEarFilter", "OuterMiddleEarFilter")),
    ("What comes back", ("Fir", "ResponseTable", "Row", "Sections", "Stream")),
    ("Errors", ("EarfiltError", "UsageError", "UnknownNameError", "AudioError", "DtypeError")),
)
_MORE = "Further names"


def write(source: Path) -> None:
    """Write the pages of the reference beside the others."""
    (source / "api").mkdir(parents=True)
    for name in public():
        (source / "api" / f"{name}.rst").write_text(page_of(name), "utf-8")
    (source / "api" / "index.md").write_text(calls(), "utf-8")
    (source / "options.md").write_text("".join(options()), "utf-8")


def public() -> list[str]:
    """Every public name but the version."""
    return [name for name in earfilt.__all__ if not name.startswith("_")]


def groups() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every public name in a group; the last one holds what has no place yet."""
    known = {name for _, names in CALLS for name in names}
    for title, names in CALLS:
        yield title, tuple(name for name in names if name in public())
    if rest := tuple(name for name in public() if name not in known):
        yield _MORE, rest


def page_of(name: str) -> str:
    """The page of one public name, as Sphinx's autodoc fills it."""
    title = f"{name}\n{'=' * len(name)}\n\n.. currentmodule:: earfilt\n\n"
    if inspect.isclass(getattr(earfilt, name)):
        members = ", ".join(own_members(name))
        listed = f"   :members: {members}\n" if members else ""
        return f"{title}.. autoclass:: {name}\n{listed}"
    return f"{title}.. autofunction:: {name}\n"


def own_members(name: str) -> list[str]:
    """Methods and properties that this package gives a public class and describes."""
    found = []
    for base in getattr(earfilt, name).__mro__:
        if not base.__module__.startswith("earfilt"):
            continue
        for member, value in vars(base).items():
            code = value.fget if isinstance(value, property) else value
            is_own = inspect.isfunction(code) and not member.startswith("_")
            if is_own and code.__doc__ and member not in found:
                found.append(member)
    return found


def summary(thing: Any) -> str:
    """First sentence of a docstring."""
    return " ".join(NumpyDocString(inspect.getdoc(thing) or "")["Summary"])


def calls() -> str:
    """The list of all public names."""
    text = [
        "# Python calls\n\nEverything that is public, as `earfilt.NAME`. "
        "[Python and torch](../python.md) shows how they go together.\n"
    ]
    for title, names in groups():
        text.append(f"\n## {title}\n\n| name | what it is |\n| --- | --- |\n")
        text += [
            f"| [{name}]({name}.rst) | {summary(getattr(earfilt, name)).replace('|', chr(92) + '|')} |\n"
            for name in names
        ]
    listed = "\n".join(name for _, names in groups() for name in names)
    text.append(f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n")
    return "".join(text)


def commands() -> dict[str, click.Command]:
    """The commands of the program by name."""
    names = list(_COMMANDS)
    return dict(get_command(parser(*names)).commands)  # type: ignore[attr-defined]


def options() -> Iterator[str]:
    """The page of all commands and their options."""
    yield (
        "# All options\n\nWhat `earfilt COMMAND --help` says, from the program itself. "
        "[Commands](commands.md) explains how they are used.\n"
    )
    for name, command in commands().items():
        context = click.Context(command, info_name=f"earfilt {name}")
        usage = " ".join([f"earfilt {name}", *command.collect_usage_pieces(context)])
        yield f"\n## earfilt {name}\n\n```text\n{usage}\n```\n\n"
        yield f"{_escaped(textwrap.dedent(inspect.cleandoc(command.help or '')))}\n"
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is None:
                continue
            flags, text = record
            yield f"\n`{flags}`\n: {_escaped(' '.join(text.split())) or '(no text)'}\n"


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "*_<>[]`$" else sign for sign in text)
