"""Small files: never over what the same call reads, and no two under one name."""

import os
from pathlib import Path

import pytest

from earfilt.errors import UsageError
from earfilt.storage.writing import check_outputs, refuse_inputs, refuse_repetition, shared_file


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("precious.csv").write_text("precious")
    os.symlink("precious.csv", "link.csv")
    os.link("precious.csv", "hard.csv")
    os.symlink("folder", "way")
    Path("folder/other.csv").write_text("other")


@pytest.mark.parametrize(
    "name", ["precious.csv", "./folder/../precious.csv", "link.csv", "hard.csv"]
)
def test_an_input_is_recognised_under_every_name(name: str) -> None:
    with pytest.raises(UsageError, match=r"is read by this call \(precious\.csv\)"):
        refuse_inputs(["new.csv", name], ["folder/other.csv", "precious.csv"])
    with pytest.raises(UsageError, match="is read by this call"):
        check_outputs([name], ["precious.csv"], force=True)
    assert Path("precious.csv").read_text() == "precious"


def test_other_files_are_no_input() -> None:
    check_outputs(["new.csv", "folder/other.csv"], ["precious.csv", "missing.csv"], force=True)
    with pytest.raises(UsageError, match=r"other\.csv exists; force=True replaces it"):
        check_outputs(["folder/other.csv"], [], force=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.csv", "./a.csv"),
        ("a.csv", "A.CSV"),
        ("folder/a.csv", "way/a.csv"),
        ("\u00e9.csv", "e\u0301.csv"),
        ("link.csv", "precious.csv"),
        ("-", "-"),
    ],
)
def test_two_outputs_of_one_name(one: str, other: str) -> None:
    for written, others in (([one, "b.csv", other], []), ([one], ["b.csv", other])):
        with pytest.raises(UsageError, match="two outputs need two names"):
            refuse_repetition(written, others)


def test_names_that_differ_are_two_files() -> None:
    refuse_repetition(["a.csv", "folder/a.csv", "b.csv"], ["c.csv"])
    assert shared_file(["/dev/null"], ["/dev/null"]) is None  # nothing to lose there
