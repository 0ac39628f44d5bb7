"""The published tables, as data."""

import math

import pytest

from earfilt.ears import catalogue
from earfilt.errors import UnknownNameError


@pytest.mark.parametrize("table_id", catalogue.table_ids())
def test_every_table_has_data_and_provenance(table_id: str) -> None:
    table = catalogue.table(table_id)
    assert list(table.frequencies) == sorted(set(table.frequencies))
    assert all(math.isfinite(value) for column in table.columns.values() for value in column)
    assert table.facts["quantity"] in table.columns
    assert {"title", "unit", "source"} <= table.facts.keys()
    assert {"citation", "where", "provenance", "bibtex"} <= table.facts["source"].keys()


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
    assert len(catalogue.table(table_id).frequencies) == rows


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
    with pytest.raises(KeyError):
        catalogue.table("nothing")
