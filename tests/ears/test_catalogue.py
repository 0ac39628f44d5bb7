"""The published tables, as data."""

import math

import pytest

from earfilt.ears import catalogue
from earfilt.ears.catalogue import Entry
from earfilt.ears.table import shipped
from earfilt.errors import DataError, UnknownNameError

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
