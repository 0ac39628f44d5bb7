"""The reference of Python: a page for each public name, from its docstring."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import earfilt
from docs.markdown import contents, plain, table

CALLS = (
    ("Signals and files", ("apply", "apply_file", "apply_files", "stream")),
    ("Filters", ("design", "design_sections", "response", "filters", "way")),
    ("Modules", ("ear", "EarModule", "HeadphoneFilter", "MiddleEarFilter", "OuterMiddleEarFilter")),
    ("Return values", ("Fir", "ResponseTable", "Row", "Sections", "Stream")),
    ("Measuring and adapting", ("identify", "Identified", "fit", "Goal", "Fitted")),
    (
        "Errors",
        (
            "EarfiltError",
            "UsageError",
            "UnknownNameError",
            "DtypeError",
            "DataError",
            "AudioError",
        ),
    ),
)
_MORE = "Further names"


def files() -> Iterator[tuple[str, str]]:
    """The pages by their files' names."""
    yield "index.md", calls()
    for name in public():
        yield f"{name}.rst", page_of(name)


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
            code = getattr(value, "fget", getattr(value, "__func__", value))
            is_own = inspect.isfunction(code) and not member.startswith("_")
            if is_own and code.__doc__ and member not in found:
                found.append(member)
    return found


def summary(thing: Any) -> str:
    """First sentence of a docstring, in Markdown.

    >>> summary(earfilt.apply)
    'Filter a signal, as `earfilt apply` filters the samples of a file.'
    """
    whole = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    sentence = re.split(r"(?<=\.)\s+(?=[A-Z])", whole)[0]
    words = re.split(r"``(.+?)``|`(.+?)`", sentence)
    parts = zip(words[0::3], [*words[1::3], None], [*words[2::3], None], strict=True)
    return "".join(
        plain(text) + (f"`{one or two}`" if one or two else "") for text, one, two in parts
    )


def calls() -> str:
    """The list of all public names."""
    text = [
        "# Python calls\n\nEverything that is public, as `earfilt.NAME`. "
        "[Python and torch](../python.md) shows how they work together.\n"
    ]
    for title, names in groups():
        rows = [(f"[{name}]({name}.rst)", summary(getattr(earfilt, name))) for name in names]
        text += [f"\n## {title}\n", table(("name", "what it is"), rows)]
    return "\n".join([*text, contents(public(), "hidden")])
