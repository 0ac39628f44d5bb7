"""The site's pages are made from the program and the catalogue, whole and the same every time."""

import doctest
import re
from pathlib import Path

import docs.markdown
from docs import ears, options, reference, site
from earfilt.cli.pages import COMMANDS
from earfilt.cli.topics import topics
from earfilt.ears import catalogue
from earfilt.render.record import Row

ROOT = Path(__file__).parents[1]


def test_the_page_of_an_ear(tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        ears.write_one("headphone", folder)
    made = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    page = made["headphone.md"].decode()
    (source,) = catalogue.find("headphone").sources
    assert "Pralong" in source.citation
    assert "Pralong" in page
    assert "125 to 9008.42 Hz" in page
    for name in made:
        assert name == "headphone.md" or name in page


def test_a_page_for_each_command_and_topic_with_all_of_its_options() -> None:
    pages = dict(options.files())
    assert set(pages) == {"index.md"} | {f"{name}.md" for name in COMMANDS} | {
        f"topic-{name}.md" for name in topics()
    }
    for flag in ("--clip", "--azimuth", "--report", "--phase"):
        assert flag in pages["apply.md"]


def test_every_public_name_has_a_page_and_a_place() -> None:
    titles = [title for title, _ in reference.groups()]
    assert reference._MORE not in titles
    assert {f"{name}.rst" for name in reference.public()} < dict(reference.files()).keys()


def test_links_of_the_repository_lead_to_pages_of_the_site() -> None:
    text = "[a](docs/speed.md) [b](../CHANGELOG.md#x) [d](https://example.org/x)"
    assert site.on_site(text) == ("[a](speed.md) [b](CHANGELOG.md#x) [d](https://example.org/x)")


def test_what_only_the_site_understands_is_a_comment_in_the_repository() -> None:
    text = "a\n<!-- site\n:::{note}\n-->\nb\n<!-- site\n:::\n[c](../SECURITY.md)\n-->\n"
    assert site.on_site(text) == "a\n:::{note}\nb\n:::\n[c](SECURITY.md)\n"
    for path in (ROOT / "docs").glob("*.md"):
        seen = site.in_repository(path.read_text("utf-8"))
        assert not re.search(r"\{\w[\w-]*\}`|^(```|:::)\S*\{", seen, re.MULTILINE), path.name


def test_the_fields_of_the_report_are_those_of_a_row() -> None:
    text = (ROOT / "docs" / "corpus.md").read_text("utf-8")
    table = text[text.index("| field |") :].partition("\n\n")[0]
    told = [
        name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert sorted(told) == sorted(Row("a.wav", "b.wav", "a.wav", "ok").to_dict())


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="x"><a href="b.html#y">1</a><a href="#x">2</a>')
    (tmp_path / "b.html").write_text('<a href="c.html">3</a><a href="a.html#x">4</a>')
    assert list(site.broken_links(tmp_path)) == ["a.html: b.html#y", "b.html: c.html"]


def test_examples_of_the_generators() -> None:
    for module in (docs.markdown, ears, reference):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed
