"""``make docs``: the site, from the pages of this folder and from what the program says of itself.

The pages lie here as readers of the repository find them. They are laid out in a folder of their
own, beside those that are generated: one for each ear (``docs.ears``), and the reference of the
commands and of the calls (``docs.reference``). Sphinx makes HTML of it, offline, every warning an
error; then every link within the site is followed.

Run as ``python -m docs.site [FOLDER]`` from the top of the project.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docs import compare, ears, options, reference

HERE = Path(__file__).parent
ROOT = HERE.parent
TOPICS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_SITE = re.compile(r"^<!-- site\n(.*?)^-->\n", re.DOTALL | re.MULTILINE)


def lay_out(source: Path) -> None:
    """Write what Sphinx reads into an empty folder."""
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.md"))
    for page in (*HERE.glob("*.md"), *(ROOT / name for name in TOPICS)):
        (source / page.name).write_text(on_site(page.read_text("utf-8")), "utf-8")
    for folder, files in {"commands": options.files(), "api": reference.files()}.items():
        (source / folder).mkdir()
        for name, text in files:
            (source / folder / name).write_text(text, "utf-8")
    ears.write(source / "ears")


def on_site(text: str) -> str:
    """A page as the site has it: links lead from its root, and what ``<!-- site`` comments hold, of
    which readers of the repository see nothing, is part of the page.
    """

    def moved(link: re.Match[str]) -> str:
        return link[1] + link[2].removeprefix("../").removeprefix("docs/") + link[3]

    return _LINK.sub(moved, _SITE.sub(r"\1", text))


class _Page(HTMLParser):
    """What a page points to, and where it can be pointed at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.append(value)
            elif value and name == "id":
                self.anchors.add(value)


def broken_links(site: Path) -> Iterator[str]:
    """Links within a built site that lead nowhere: page, target."""
    found = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: _Page(path.read_text("utf-8")) for path in found}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            lost = known is not None and parts.fragment and parts.fragment not in known.anchors
            if not target.exists() or lost:
                yield f"{path.relative_to(site)}: {link}"


def build(folder: Path) -> int:
    """Lay out and build; the exit code."""
    from sphinx.cmd.build import build_main

    source, site = folder / "source", folder / "html"
    shutil.rmtree(folder, ignore_errors=True)
    lay_out(source)
    options = ["-W", "--keep-going", "-n", "-q", "-c", str(HERE), "-b", "html"]
    code = int(build_main([*options, str(source), str(site)]))
    (site / "compare.html").write_text(compare.page(), "utf-8")
    broken = list(broken_links(site))
    for link in broken:
        print(f"docs: leads nowhere: {link}", file=sys.stderr)
    return code or int(bool(broken))


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"))
