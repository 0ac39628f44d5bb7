"""The published tables, as data."""

import math
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from earfilt.chains.members import resolve
from earfilt.ears import catalogue
from earfilt.ears.catalogue import Entry
from earfilt.ears.table import directory, shipped
from earfilt.errors import DataError, UnknownNameError, UsageError
from tests import catalogue as provenance

WITH_ARGUMENTS = ("equal-loudness:60", "loudness-change:80:60", "loudness-change:80:60:2003")
EVERY = [
    *(entry for entry in catalogue.entries() if not entry.is_pattern),
    *map(catalogue.find, WITH_ARGUMENTS),
]
every_entry = pytest.mark.parametrize("entry", EVERY, ids=lambda entry: entry.full_name)


def test_no_entry_is_bad() -> None:
    assert not catalogue.problems()


@every_entry
def test_every_entry_has_data_and_provenance(entry: Entry) -> None:
    ear = catalogue.of_entry(entry)
    assert ear.points.freqs
    assert all(map(math.isfinite, ear.points.gain_db))
    assert entry.title
    assert entry.unit
    for source in ear.sources:
        assert source.citation
        assert source.where
        assert source.provenance
        assert source.bibtex


@pytest.mark.parametrize(
    ("table_id", "rows"),
    [
        ("pralong1996", 22),
        ("lopezpoveda2001", 30),
        ("jepsen2008", 31),
        ("goode1994", 21),
        ("moore_middle_ear", 40),
        ("ansi2007_outer_ear", 39),
    ],
)
def test_number_of_rows(table_id: str, rows: int) -> None:
    assert len(shipped(table_id).frequencies) == rows


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("headphone", "headphone"),
        ("middle-ear", "middle-ear:lopezpoveda2001"),
        ("middle-ear:goode1994", "middle-ear:goode1994"),
        ("outer-middle-ear", "outer-middle-ear:1997-free"),
        ("outer-middle-ear:2007-diffuse", "outer-middle-ear:2007-diffuse"),
    ],
)
def test_names(name: str, full: str) -> None:
    assert catalogue.find(name).full_name == full


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("midle-ear", "middle-ear"),
        ("headphones", "headphone"),
        ("middle-ear:jepsen", "middle-ear:jepsen2008"),
        ("xyz", "earfilt filters"),
    ],
)
def test_unknown_names_get_suggestions(name: str, suggested: str) -> None:
    with pytest.raises(UnknownNameError, match=suggested):
        catalogue.find(name)


def test_unknown_names_are_printed_safely() -> None:
    with pytest.raises(UnknownNameError) as caught:
        catalogue.find("a\x1b[31m\udc80\n")
    assert str(caught.value).isprintable()


def test_unknown_table() -> None:
    with pytest.raises(DataError, match=r"nothing\.csv: cannot read"):
        shipped("nothing")


# -- bad entries, and the user's own -------------------------------------------------------------

GOOD = """
title = "The ear of a cat"
unit = "dB"
[source]
citation = "Nobody, N. (2026). An ear. J. None 1, 2-3."
[[ear]]
name = "cat-ear"
kind = "curve"
"""
CSV = "frequency_hz,gain_db\n100,-10\n1000,0\n3000,12\n10000,-5\n"
FORMULA = """
title = "A formula"
range_hz = [20, 16000]
[source]
citation = "Nobody, N. (2026)."
[[ear]]
name = "wish"
kind = "formula"
parameters = { shape = "poles", zeros = 1, poles_hz = [100.0], gain_db = 0.0 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's own entries, in place of the real one."""
    own = tmp_path / "ears"
    own.mkdir()
    monkeypatch.setattr(catalogue, "user_directory", lambda: own)
    catalogue._users.cache_clear()
    yield own
    catalogue._users.cache_clear()


def test_the_index_is_up_to_date() -> None:
    """``python -m tests.catalogue --index`` writes it."""
    assert (directory() / "index.json").read_text("utf-8") == catalogue.shipped_index()


def test_the_index_says_what_the_files_say(monkeypatch: pytest.MonkeyPatch) -> None:
    known = catalogue._read_folder(directory())
    monkeypatch.setattr(catalogue, "read_index", lambda folder: {})
    assert catalogue._read_folder(directory()) == known


def test_an_index_is_not_believed_when_a_file_has_changed(tmp_path: Path) -> None:
    own = tmp_path / "tables"
    shutil.copytree(directory(), own)
    toml = own / "peaq.toml"
    toml.write_text(toml.read_text("utf-8").replace('name = "peaq"', 'name = "qeap"'))
    (own / "dlm_a0.csv").unlink()
    found = catalogue._read_folder(own)
    names = {entry.name for entry in found.entries}
    assert "qeap" in names
    assert "peaq" not in names
    assert "dlm-a0" not in names
    assert [problem.subject for problem in found.problems] == ["dlm-a0"]


def test_an_entry_of_the_users_own(folder: Path) -> None:
    (folder / "cat.toml").write_text(GOOD)
    (folder / "cat.csv").write_text(CSV)
    (folder / "wish.toml").write_text(FORMULA)
    assert catalogue.ear("cat-ear").points.gain_db == (-10, 0, 12, -5)
    assert catalogue.ear("wish").magnitude(np.array([100.0])) == pytest.approx(36.9897, abs=1e-3)
    assert resolve("cat-ear+middle-ear").at(48_000).provenance.tolerance_met
    assert not catalogue.problems()


@pytest.mark.parametrize(
    ("toml", "csv", "reason"),
    [
        (GOOD, None, "has no table"),
        ("title = ", CSV, "is not valid TOML"),
        (GOOD.replace("citation", "cite"), CSV, "a number needs a source"),
        (GOOD.replace("[source]", "[sauce]"), CSV, "'sauce' is not understood"),
        (GOOD.replace('title = "', 'titel = "'), CSV, "'titel' is not understood"),
        (GOOD.replace('title = "The ear of a cat"', "title = 3"), CSV, "must be of type str"),
        (GOOD.replace('kind = "curve"', 'kind = "cruve"'), CSV, "kind is 'cruve'; there are"),
        (GOOD.replace('kind = "curve"\n', ""), CSV, "needs a name and a kind"),
        (GOOD + 'parameters = { interpolation = "cubic" }\n', CSV, "interpolation is 'cubic'"),
        (GOOD + "parameters = { smooth = 3 }\n", CSV, "does not understand smooth"),
        (GOOD + "parameters = { gain = { level_db = -1 } }\n", CSV, "has no column level_db"),
        (GOOD + 'start = "nowhere"\n', CSV, "start is 'nowhere'; allowed"),
        (GOOD + "range_hz = [5, 2]\n", CSV, "range_hz is"),
        (GOOD + 'tables = ["../../secret"]\n', CSV, "names of CSV files beside it"),
        (GOOD + 'tables = ["nothing"]\n', CSV, "nothing.toml"),
        (GOOD, CSV.replace("gain_db", "gain_dB"), "has no column gain_db"),
        (
            GOOD,
            CSV.replace("gain_db", "gain_db,q").replace("0\n", "0,1\n"),
            "fields where the header has 3",
        ),
        (GOOD, "frequency_hz,gain_db,note\n100,0,1\n200,0,1\n", "which is not understood"),
        (GOOD, CSV.replace("12", "nan"), "line 4 has a number that is not finite"),
        (GOOD, CSV.replace("12", "twelve"), "line 4: could not convert"),
        (GOOD, CSV.replace("3000", "300"), "does not ascend"),
        (GOOD, "frequency_hz,gain_db\n", "no header line and rows"),
        (GOOD, "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "no header line"),
        (FORMULA.replace("poles_hz", "pole_hz"), None, "does not understand pole_hz"),
        (FORMULA.replace("zeros = 1, ", ""), None, "needs zeros"),
        (FORMULA.replace('"poles"', '"bowls"'), None, "shape is 'bowls'"),
        (FORMULA.replace("range_hz = [20, 16000]\n", ""), None, "needs range_hz"),
    ],
)
def test_a_bad_entry_is_an_error_of_its_own(
    toml: str, csv: str | None, reason: str, folder: Path
) -> None:
    (folder / "bad.toml").write_text(toml)
    if csv is not None:
        (folder / "bad.csv").write_text(csv)
    (folder / "wish2.toml").write_text(FORMULA.replace('"wish"', '"wish2"'))
    (problem,) = catalogue.problems()
    assert reason in problem.reason or reason in str(problem)
    assert problem.subject.split(":")[0].split(",")[0] in str(problem)
    assert catalogue.find("wish2")
    assert catalogue.find("headphone")
    assert resolve("middle-ear").name == "middle-ear"


def test_a_broken_entry_that_is_asked_for_says_what_is_wrong(folder: Path) -> None:
    (folder / "cat-ear.toml").write_text(GOOD)
    with pytest.raises(DataError, match="has no table"):
        catalogue.find("cat-ear")
    assert "cat-ear" not in {entry.name for entry in catalogue.entries()}


def test_a_name_that_is_taken_is_refused(folder: Path) -> None:
    (folder / "mine.toml").write_text(FORMULA.replace('"wish"', '"headphone"'))
    (problem,) = catalogue.problems()
    assert "the name is taken" in problem.reason
    assert catalogue.find("headphone").kind == "headphone"


def test_a_folder_that_cannot_be_listed_takes_nothing_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(catalogue, "user_directory", lambda: tmp_path / "file")
    catalogue._users.cache_clear()
    assert catalogue.find("headphone")
    assert catalogue.entries()
    catalogue._users.cache_clear()


def test_an_entry_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "a+b.toml").write_text(GOOD + GOOD[GOOD.index("[[ear]]") :].replace("cat", "dog"))
    (tmp_path / "a+b.csv").write_text(CSV)
    (tmp_path / "wish.toml").write_text(FORMULA)
    assert resolve(f"{tmp_path}/wish.toml").members[0].name == "wish"
    with pytest.raises(UsageError, match="cat-ear, dog-ear; name one of them"):
        catalogue.read_path(tmp_path / "a+b.toml")
    assert catalogue.read_path(tmp_path / "a+b.toml", "dog-ear").name == "dog-ear"
    chain = resolve(f"{tmp_path}/wish.toml:wish+middle-ear")
    assert [member.name for member in chain.members] == ["wish", "middle-ear:lopezpoveda2001"]
    with pytest.raises(DataError, match=r"none\.toml: cannot read"):
        resolve(f"{tmp_path}/none.toml")


def test_two_entries_of_one_name_are_two_filters(tmp_path: Path) -> None:
    """What a design is kept under holds the content of an entry, not its name."""
    paths = [tmp_path / name / "wish.toml" for name in ("one", "two")]
    for path, corner in zip(paths, ("100.0", "400.0"), strict=True):
        path.parent.mkdir()
        path.write_text(FORMULA.replace("100.0", corner))
    one, two = (resolve(str(path)) for path in paths)
    assert one != two
    assert one.at(16_000).sha256 != two.at(16_000).sha256


# -- every entry as a target ---------------------------------------------------------------------


@every_entry
def test_every_ear_is_a_picklable_value(entry: Entry) -> None:
    ear = catalogue.of_entry(entry)
    twin = pickle.loads(pickle.dumps(ear))
    assert twin == ear
    target = pickle.loads(pickle.dumps(twin.at(48_000)))
    hz = np.geomspace(30, 15_000, 50)
    assert np.array_equal(target.curve().aim(hz), ear.at(48_000).curve().aim(hz))


@every_entry
def test_every_ear_can_be_learnt(entry: Entry) -> None:
    """Tensors give what arrays give, and gradients reach every number that lies in the band."""
    target = catalogue.of_entry(entry).at(44_100)
    numbers = torch.tensor(target.numbers, requires_grad=True)
    freqs, amplitude = target.nodes(torch.tensor(target.freqs), numbers)
    wanted = target.nodes(target.freqs, target.numbers)
    np.testing.assert_allclose(freqs.numpy(), wanted[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(amplitude.detach().numpy(), wanted[1], rtol=1e-9, atol=1e-15)
    amplitude.log().clamp(min=-200).sum().backward()
    gradient = numbers.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert (gradient[torch.tensor(target.freqs) < 20_000] != 0).all()


@every_entry
@pytest.mark.parametrize("rule", ["hold", "fall"])
def test_beyond_the_published_range_a_rule_can_be_chosen(entry: Entry, rule: str) -> None:
    ear, fs = catalogue.of_entry(entry), 192_000
    low, high = ear.range_hz[0], min(ear.range_hz[1], fs / 2)
    aim = ear.at(fs, beyond=rule).curve().aim
    top, octave_up = aim(np.array([high, min(2 * high, fs / 2)]))
    octaves = np.log2(min(2 * high, fs / 2) / high)
    falls = 12.0 * octaves if rule == "fall" else 0.0
    assert 20 * np.log10(octave_up / top) == pytest.approx(-falls, abs=0.02)
    bottom, octave_down = aim(np.array([low, low / 2]))
    falls = 12.0 if rule == "fall" and low else 0.0
    assert 20 * np.log10(octave_down / bottom) == pytest.approx(-falls, abs=0.02)


# -- provenance ----------------------------------------------------------------------------------


@every_entry
def test_every_number_has_a_source(entry: Entry) -> None:
    assert not provenance.unsourced(catalogue.of_entry(entry).entry)


def test_the_hashes_are_up_to_date() -> None:
    assert (directory() / provenance.SUMS).read_text("utf-8") == provenance.sums()


@pytest.mark.parametrize("mistake", provenance.MISTAKES, ids=lambda one: one.what)
def test_known_mistakes_are_named_or_tested(mistake: provenance.Mistake) -> None:
    assert not provenance.unnamed(mistake)
