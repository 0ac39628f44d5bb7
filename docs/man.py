"""The man pages, from the same text as ``--help`` and ``earfilt help``: ``python -m docs.man``.

They lie in docs/man and are installed by the wheel; a test holds that they are up to date.
"""

from collections.abc import Iterator
from pathlib import Path

from earfilt.cli.pages import COMMANDS, Page, page_of
from earfilt.cli.parser import parser
from earfilt.cli.topics import title, topics
from earfilt.version import __version__

FOLDER = Path(__file__).parent / "man"


def man_pages() -> dict[str, str]:
    """Every man page by its file's name."""
    found = command_pages()
    pages = {"earfilt.1": "".join(_overview(found.pop("")))}
    for name, page in found.items():
        pages[f"earfilt-{name}.1"] = "".join(_page(page, COMMANDS[name]))
    return pages


def command_pages() -> dict[str, Page]:
    """What each command says of itself, by its name; the program itself by none."""
    from typer.main import get_command

    group = get_command(parser(*COMMANDS))
    context = group.make_context("earfilt", [], resilient_parsing=True)
    pages = {"": page_of(group, context)}
    for name in COMMANDS:
        command = group.commands[name]
        inner = command.make_context(name, [], parent=context, resilient_parsing=True)
        pages[name] = page_of(command, inner)
    return pages


def _overview(page: Page) -> Iterator[str]:
    yield from _page(page, "audio through the human outer and middle ear", see=())
    yield _section("Commands")
    for name, text in COMMANDS.items():
        yield f".TP\n.BR earfilt\\-{name} (1)\n{_escaped(text)}\n"
    for name, text in topics().items():
        yield _section(f"{name}: {title(text)}")
        yield f".nf\n{_escaped(text.partition(chr(10))[2].strip())}\n.fi\n"


def _page(page: Page, about: str, see: tuple[str, ...] = ("earfilt",)) -> Iterator[str]:
    name = page.name.replace(" ", "-")
    yield f'.TH {name.upper()} 1 "" "earfilt {__version__}" "earfilt"\n'
    yield _section("Name") + f"{_escaped(name)} \\- {_escaped(about.rstrip('.'))}\n"
    yield _section("Synopsis") + f".B {_escaped(page.name)}\n{_escaped(page.usage)}\n"
    yield _section("Description")
    for paragraph in page.text.split("\n\n"):
        kept = paragraph.startswith("\b")  # as it stands
        body = _escaped(paragraph.removeprefix("\b").strip("\n"))
        yield f".PP\n.nf\n{body}\n.fi\n" if kept else f".PP\n{body}\n"
    if page.examples:
        yield _section("Examples")
        for what, typed in page.examples:
            yield f".PP\n{_escaped(what)}:\n.PP\n.RS\n{_escaped(typed)}\n.RE\n"
    for heading, rows in page.groups:
        yield _section(heading)
        for flags, text in rows:
            yield f".TP\n.B {_escaped(flags)}\n{_escaped(text)}\n"
    if page.epilog:
        yield _section("Notes") + f"{_escaped(page.epilog)}\n"
    if see:
        yield _section("See also") + "".join(f".BR {name} (1)\n" for name in see)


def _section(heading: str) -> str:
    return f".SH {_escaped(heading.upper())}\n"


def _escaped(text: str) -> str:
    """Text of which roff takes nothing for an instruction."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))


def main() -> None:
    """Write the man pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in man_pages().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
