"""The reference of the command line, from the text of ``--help`` and ``earfilt help``."""

from collections.abc import Iterator

from docs.man import command_pages
from docs.markdown import block, code, contents, plain, table
from earfilt.cli.pages import COMMANDS, Page
from earfilt.cli.topics import title, topics


def files() -> Iterator[tuple[str, str]]:
    """A page for each command and topic, and one that leads there."""
    pages = command_pages()
    texts = topics()
    yield "index.md", _overview(texts)
    for name in COMMANDS:
        yield f"{name}.md", _page(pages[name])
    for name, text in texts.items():
        yield f"topic-{name}.md", _topic(name, text)


def _overview(texts: dict[str, str]) -> str:
    commands = [(f"[earfilt {name}]({name}.md)", plain(text)) for name, text in COMMANDS.items()]
    subjects = [(f"[{name}](topic-{name}.md)", plain(title(text))) for name, text in texts.items()]
    return "\n".join(
        [
            "# Command line\n",
            "The same text as `earfilt COMMAND --help`, `earfilt help TOPIC` and the man pages.",
            "[Commands](../commands.md) explains them in order, with examples.\n",
            table(("command", "what it does"), commands),
            table(("topic", "what it is about"), subjects),
            contents([*COMMANDS, *(f"topic-{name}" for name in texts)], "hidden"),
        ]
    )


def _page(page: Page) -> str:
    parts = [f"# {page.name}\n", block(f"{page.name} {page.usage}")]
    for paragraph in page.text.split("\n\n"):
        kept = paragraph.startswith("\b")  # as it stands
        text = paragraph.removeprefix("\b").strip("\n")
        parts.append(block(text) if kept else f"{plain(text)}\n")
    if page.examples:
        lines = [f"# {what}\n{typed}" for what, typed in page.examples]
        parts += ["## Examples\n", block("\n\n".join(lines), "bash")]
    for heading, rows in page.groups:
        cells = [(code(flags), plain(text)) for flags, text in rows]
        parts += [f"## {heading}\n", table(("option", "what it does"), cells)]
    parts.append(f"{plain(page.epilog)}\n")
    return "\n".join(parts)


def _topic(name: str, text: str) -> str:
    """Paragraphs, and whatever is indented as it stands."""
    parts = [f"# {plain(title(text))}\n", f"`earfilt help {name}` prints this page.\n"]
    for paragraph in text.partition("\n")[2].strip("\n").split("\n\n"):
        laid_out = any(line.startswith("  ") for line in paragraph.split("\n"))
        parts.append(block(paragraph) if laid_out else f"{plain(paragraph)}\n")
    return "\n".join(parts)
