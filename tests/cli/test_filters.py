"""``earfilt filters``, and that a table becomes a filter by two files."""

import csv
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from earfilt import cli
from earfilt.chains import build as spec
from earfilt.ears import catalogue
from earfilt.ears.table import directory, shipped
from tests.tools import need, single_threaded

NAMES = [ear.full_name for ear in catalogue.entries()]


def run(*arguments):
    return cli.run([str(argument) for argument in arguments])


def test_off_a_terminal_the_table_is_tab_separated_and_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert run("filters") == 0
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out), delimiter="\t")
    assert header == [
        "name",
        "default",
        "what",
        "lowest_hz",
        "highest_hz",
        "source",
        "group",
        "from",
        "to",
    ]
    assert [row[0] for row in rows] == NAMES
    assert all(len(row) == 9 and all(row) for row in rows)
    found = {row[0]: row[1:] for row in rows}
    assert found["headphone"] == [
        "yes",
        "headphone plus outer ear (HD 250 Linear)",
        "125",
        "9008.42",
        "Pralong & Carlile 1996",
        "fields to eardrum",
        "headphone",
        "eardrum",
    ]
    assert found["outer-middle-ear:1997-free"][4] == "Moore et al. 1997; ANSI S3.4-2007"


@pytest.mark.parametrize("name", NAMES)
def test_one_filter_as_text_is_facts_and_points(name, capsys):
    assert run("filters", name) == 0
    out = capsys.readouterr().out
    facts = [line for line in out.splitlines() if line.startswith("#")]
    data = [line for line in out.splitlines() if not line.startswith("#")]
    entry = catalogue.find(name)
    assert f"# name: {name}" in facts
    for part in (
        "# what:",
        "# range:",
        "# variants:",
        "# options: --order",
        "# unit:",
        "# source:",
        "# provenance:",
    ):
        assert any(fact.startswith(part) for fact in facts)
    tables = [entry.table(which) for which in range(len(entry.tables))]
    rows = sum(len(table.frequencies) + 1 for table in tables)
    assert len(data) == (rows or 1 + len(catalogue.of_entry(entry).points.freqs))
    assert data[0].startswith("frequency_hz,")


def test_the_points_keep_every_digit(capsys):
    run("filters", "headphone")
    rows = np.loadtxt(
        io.StringIO(capsys.readouterr().out),
        delimiter=",",
        skiprows=0,
        comments=["#", "frequency_hz"],
    )
    table = shipped("pralong1996")
    assert np.array_equal(rows, np.column_stack([table.frequencies, table.columns["gain"]]))


def test_json_of_one_and_of_all(capsys):
    run("filters", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in found] == NAMES
    run("filters", "middle-ear", "--json")
    one = json.loads(capsys.readouterr().out)
    assert one == next(entry for entry in found if entry["name"] == "middle-ear:lopezpoveda2001")
    assert one["variants"] == ["lopezpoveda2001", "goode1994", "jepsen2008"]
    assert one["unit"] == "m/s at 0 dB SPL"
    assert one["tables"][0]["points"]["frequency_hz"][0] == 100


def test_bibtex(capsys):
    run("filters", "outer-middle-ear", "--bibtex")
    out = capsys.readouterr().out
    assert out.count("@") == 2
    assert out.startswith("@article{moore1997,")
    run("filters", "--bibtex")
    everything = capsys.readouterr().out
    texts = {source.bibtex for entry in catalogue.entries() for source in entry.sources}
    assert everything.count("@") == sum(text.count("@") for text in texts)
    assert everything.count("{") == everything.count("}")


def test_wrong_usage(capsys):
    assert run("filters", "headfone") == 2
    assert "did you mean headphone" in capsys.readouterr().err
    assert run("filters", "--json", "--bibtex") == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [60, 160])
def test_in_a_terminal_no_name_is_cut(columns):
    need("script")
    command = (
        f"stty cols {columns}; {sys.executable} -c 'from earfilt.cli import main; main()' filters"
    )
    terminal = ["script", "-qec", command, "/dev/null"]
    shown = subprocess.run(
        terminal, capture_output=True, text=True, check=True, env=single_threaded()
    ).stdout
    for name in NAMES:
        assert name in shown
    assert "…" not in shown


@pytest.fixture
def with_one_table_more(tmp_path, monkeypatch) -> None:
    """A copy of the tables with two files more; and no line of code."""
    tables = tmp_path / "tables"
    shutil.copytree(str(directory()), tables)
    (tables / "nobody2026.csv").write_text(
        "# Nobody (2026)\nfrequency_hz,gain_db\n100,-10\n1000,0\n3000,12\n10000,-5\n"
    )
    (tables / "nobody2026.toml").write_text(
        'title = "An ear"\nquantity = "gain_db"\nunit = "dB"\n'
        '[source]\ncitation = "Nobody, N. (2026). An ear. J. None 1, 2-3."\nbibtex = '
        '"@misc{nobody2026}"\n'
        '[[ear]]\nname = "cat-ear"\nkind = "curve"\nsummary = "the ear of a cat"\n'
    )
    monkeypatch.setattr(catalogue, "directory", lambda: tables)
    caches = (catalogue._shipped, spec._design)
    for cached in caches:
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in caches:
        cached.cache_clear()


@pytest.mark.usefixtures("with_one_table_more")
def test_a_new_table_is_two_files_and_no_line_of_code(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("filters") == 0
    assert (
        "cat-ear\tyes\tthe ear of a cat\t100\t10000\tNobody 2026\tyour own\t-\t-\n"
        in capsys.readouterr().out
    )
    assert run("filters", "cat-ear", "--bibtex") == 0
    assert capsys.readouterr().out == "@misc{nobody2026}\n"
    assert (
        run("response", "-f", "cat-ear", "--tolerance", 0.1, "--freqs", "100,1000,3000,10000") == 0
    )
    levels = [
        float(row["magnitude_db"]) for row in csv.DictReader(io.StringIO(capsys.readouterr().out))
    ]
    assert levels == pytest.approx([-10, 0, 12, -5], abs=0.1)
    assert run("design", "-q", "-f", "cat-ear+middle-ear", "-o", "cat.wav") == 0

    t = np.arange(48000) / 48000
    soundfile.write("in.wav", 0.1 * np.sin(2 * np.pi * 3000 * t), 48000, subtype="DOUBLE")
    assert run("apply", "-q", "in.wav", "out.wav", "-f", "cat-ear", "--order", 4096) == 0
    middle = slice(8000, 40000)
    gain = soundfile.read("out.wav")[0][middle].std() / soundfile.read("in.wav")[0][middle].std()
    assert 20 * np.log10(gain) == pytest.approx(12, abs=0.1)


def test_a_terminal_shows_the_shortest_ways(capsys, monkeypatch):
    words = ("filters", "--from", "free-field", "--to", "eardrum")
    assert run(*words) == 0
    every = capsys.readouterr().out.splitlines()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(*words) == 0
    *shown, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == [
        line.split()[0] for line in every if "+" not in line
    ]
    assert last.startswith(f"{len(every) - len(shown)} longer ways")


def test_what_leads_from_one_point_to_another(capsys):
    assert run("filters", "--from", "free-field", "--to", "diffuse-field") == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("iso532-free+inverse:iso532-diffuse\tISO 532-2:2017")
    assert any(line.startswith("iso11904-free+inverse:iso11904-diffuse\t") for line in rest)
    assert run("filters", "--from", "free-field") == 2
    assert "go together" in capsys.readouterr().err
    assert run("filters", "--from", "free-field", "--to", "brain") == 2
    assert "allowed: 'free-field'" in capsys.readouterr().err


def test_two_filters_compared(capsys):
    assert run("filters", "--compare", "iso11904-free", "iso532-free") == 0
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out), delimiter="\t")
    assert header == ["low_hz", "high_hz", "largest_db", "at_hz", "rms_db"]
    assert rows[-1][:2] == ["200", "12500"]
    assert run("filters", "--relative-to", "1000") == 2
    assert run("filters", "peaq", "--compare", "peaq", "headphone") == 2


def test_a_word_lists_the_filters_of_an_author_or_a_standard(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for word, within, without in (
        ("moore", "moore1997-middle", "headphone"),
        ("Pralong", "headphone", "iso532-free"),
        ("iso532", "iso532-free", "headphone"),
        ("11904", "iso11904-free", "iso532-free"),
    ):
        assert cli.run(["filters", word]) == 0
        names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
        assert within in names
        assert without not in names
    for words in (["xyzzy"], ["moore", "--json"], ["moore", "--bibtex"]):
        assert cli.run(["filters", *words]) == 2
        assert not capsys.readouterr().out
