"""Text of the program as MyST Markdown."""

import re
from collections.abc import Sequence


def plain(text: str) -> str:
    """Text of which Markdown takes nothing for an instruction.

    >>> plain("mean [dB], a < b, x_y|z")
    'mean \\\\[dB\\\\], a &lt; b, x\\\\_y\\\\|z'
    """
    return re.sub(r"([\\`*_{}\[\]()#+!|$~^])", r"\\\1", text).replace("<", "&lt;")


def code(text: str) -> str:
    """Text as it is typed, also within a table.

    >>> code("--form fir|sections")
    '`--form fir\\\\|sections`'
    """
    return f"`{text.replace('|', chr(92) + '|')}`"


def block(text: str, language: str = "text") -> str:
    """Lines as they stand."""
    return f"```{language}\n{text.strip(chr(10))}\n```\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def contents(pages: Sequence[str], *options: str) -> str:
    """The pages below this one."""
    return block("\n".join([*(f":{option}:" for option in options), "", *pages]), "{toctree}")
