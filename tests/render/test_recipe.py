"""What names a finished file is what was asked for, in full, and nothing else."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earfilt.chains import chain
from earfilt.chains.members import resolve
from earfilt.ears.table import shipped
from earfilt.render.job import Options
from earfilt.render.recipe import _recipe_of, recipe_of

OF_0_1 = {
    "version": "0.1.0",
    "filter": {
        "name": "headphone", "order": None, "tolerance": None, "phase": None, "normalize_gain": None, "convention": None, "flow": None,
        "fhigh": None, "latency": None, "interpolation": None, "beyond": None,
    },
    "tables": {"pralong1996": shipped("pralong1996").sha256},
    "options": {
        "subtype": None, "format": None, "gain_db": 0.0, "clip": "warn", "dither": False, "precision": "auto", "device": "cpu",
        "metadata": True, "repair": False, "tail": "cut",
    },
}  # fmt: skip
"""As version 0.1.0 wrote it."""


@pytest.fixture(autouse=True)
def _no_recipe_of_another_test() -> Iterator[None]:
    _recipe_of.cache_clear()
    yield
    _recipe_of.cache_clear()


def named(name: str = "headphone", *, options: Options | None = None, **given: Any) -> str:
    return recipe_of(resolve(name, **given), options or Options()).name


def test_a_default_and_the_same_value_given_are_one_recipe() -> None:
    assert named() == named(tolerance=0.1, phase="minimum") != named(tolerance=0.2)
    assert named("middle-ear") == named("middle-ear:lopezpoveda2001", normalize_gain=True)
    assert (
        len(
            {
                named(),
                named("middle-ear"),
                named(phase="zero"),
                named(tolerance=0.5),
                named(tolerance=0.5, phase="zero"),
                named(tolerance=0.5, fewest=True),
                named(order=512),
            }
        )
        == 7
    )


def test_equal_numbers_are_one_recipe() -> None:
    """Also in the words of which the name is made: another program knows no results of this one."""
    recipes = []
    for tolerance, gain in ((1.0, 0.0), (1, 0), (np.float32(1.0), -0.0)):
        _recipe_of.cache_clear()
        options = Options(gain_db=gain)
        recipes.append(recipe_of(resolve("headphone", tolerance=tolerance), options))
    assert len({(recipe.name, json.dumps(recipe.made_by)) for recipe in recipes}) == 1


def test_what_changes_no_byte_is_no_part_of_it() -> None:
    assert named(options=Options(exists="force", in_place=True, full_scale_spl=94.0)) == named()
    assert named(options=Options(gain_db=1.0)) != named() != named(options=Options(subtype="FLOAT"))


def test_a_file_is_told_by_its_content(tmp_path: Path) -> None:
    here, there = tmp_path / "a.csv", tmp_path / "b.csv"
    here.write_text("frequency_hz,gain_db\n100,0\n3000,6\n")
    there.write_text(here.read_text())
    assert named(str(here)) == named(str(there))
    assert [
        list(recipe_of(resolve(str(path)), Options()).made_by["files"]) for path in (here, there)
    ] == [[str(here)], [str(there)]]
    before = named(str(here))
    here.write_text("frequency_hz,gain_db\n100,0\n3000,7\n")
    assert named(str(here)) != before == named(str(there))


def test_the_digits_of_taps_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = named()
    monkeypatch.setattr("earfilt.synthesis.fir.Fir.sha256", "another processor")
    _recipe_of.cache_clear()
    assert named() == before


def of_0_1(name: str = "headphone", **given: Any) -> Mapping[str, Any]:
    """A recipe as version 0.1 wrote it."""
    members = resolve(name, force_chain=True).members
    tables = {table.id: table.sha256 for one in members for table in one.tables}
    return {**OF_0_1, "filter": {**OF_0_1["filter"], "name": name, **given}, "tables": tables}


@pytest.mark.parametrize(
    ("name", "then", "now"),
    [
        ("headphone", {}, {"order": 512}),
        ("headphone", {"phase": "zero"}, {"order": 512, "phase": "zero"}),
        ("outer-middle-ear", {}, {"order": 4096}),
        ("headphone+middle-ear", {}, {"order": 512}),
        ("middle-ear+headphone", {}, {"order": 512, "force_chain": True}),
        ("headphone", {"order": 64}, {"order": 64}),
        ("headphone", {"tolerance": 0.5}, {"tolerance": 0.5, "fewest": True}),
    ],
)
def test_what_version_0_1_noted_is_understood(
    name: str, then: dict[str, Any], now: dict[str, Any]
) -> None:
    """Its defaults were orders, and its tolerances searched for the smallest one."""
    old = of_0_1(name, **then)
    mine = recipe_of(resolve(name, **now), Options())
    assert mine.is_named("old", {"old": old})
    assert mine.other_default(old) is None
    assert not recipe_of(resolve(name, order=66, force_chain=True), Options()).is_named(
        "old", {"old": old}
    )


def test_another_default_is_told_with_the_option_that_goes_on() -> None:
    mine = recipe_of(resolve("headphone"), Options())
    assert not mine.is_named("old", {"old": OF_0_1})
    assert mine.other_default(OF_0_1) == "--order 512"
    # another request
    assert mine.other_default({**OF_0_1, "options": {**OF_0_1["options"], "gain_db": 3.0}}) is None


@pytest.mark.parametrize(
    ("name", "given"),
    [("headphone", {"tolerance": 0.5}), ("headphone+outer-middle-ear", {})],
)
def test_what_no_option_says_is_another_version_of_the_design(
    name: str, given: dict[str, Any]
) -> None:
    """The smallest order for a tolerance; two defaults at once."""
    mine = recipe_of(resolve(name, force_chain=True, **given), Options())
    assert mine.other_default(of_0_1(name, **given)) == "another version of the design"


def test_another_version_of_the_design_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    then = recipe_of(resolve("headphone"), Options()).made_by
    monkeypatch.setattr(chain, "DESIGN", chain.DESIGN + 1)
    _recipe_of.cache_clear()
    now = recipe_of(resolve("headphone"), Options())
    assert now.other_default(then) == "another version of the design"


@pytest.mark.parametrize(
    ("text", "given", "changed"),
    [
        ("20 3\n1000 0\n20000 -3\n", {}, False),
        ("20 3\n1000 0\n20000 -3\n", {"align": "1000"}, True),
        ("20 3\n1000 0\n20000 -3\n", {"target": "t.csv"}, True),
        ("0 5\n20 3\n1000 0\n20000 -3\n", {}, True),
        ("0 5\n20 3\n1000 0\n20000 -3\n", {"interpolation": "linear"}, False),
        ("Filter: ON PK Fc 100 Hz Gain 3 dB Q 1\n", {}, True),
        ("Filter: ON PK Fc 100 Hz Gain 3 dB Q 1\n", {"phase": "minimum"}, False),
    ],
)
def test_a_filter_that_earlier_versions_made_otherwise_is_another(
    text: str, given: Any, changed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.csv").write_text(text)
    Path("t.csv").write_text("20 -1\n1000 0\n20000 0\n")
    now = recipe_of(resolve("m.csv", **given), Options())

    def without(member: dict[str, Any]) -> dict[str, Any]:
        kept = {name: of for name, of in member.items() if name not in ("reading", "tail")}
        if isinstance(member.get("inverse"), list):
            kept["inverse"] = [without(inner) for inner in member["inverse"]]
        return kept

    then = {**now.made_by, "members": [without(one) for one in now.made_by["members"]]}
    assert now.other_default(then) == ("another version of the design" if changed else None)


DEEP: dict[str, Any] = {}
for _ in range(20_000):
    DEEP = {"filter": DEEP}


@pytest.mark.parametrize(
    "made_by",
    [
        {}, DEEP, {"filter": 3, "options": {}}, {"filter": {"name": "nobody"}, "options": {}}, {"members": [], "filter": {}},
        {"members": 5}, {"members": [1], "design": 1, "tables": {}, "options": {}, "filter": {}}, {**OF_0_1, "options": {"clip": "x"}},
        {**OF_0_1, "tables": 3}, {**OF_0_1, "filter": {"name": "a.csv"}}, {**OF_0_1, "filter": {"name": "headphone", "order": 1e400}},
    ],
    ids=lambda made_by: "deep" if made_by is DEEP else str(made_by)[:40],
)  # fmt: skip
def test_anything_may_stand_in_a_manifest(made_by: Mapping[str, Any]) -> None:
    mine = recipe_of(resolve("headphone"), Options())
    assert mine.other_default(made_by) is None
    assert not mine.is_named("x", {"x": made_by})


def test_another_target_is_another_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.csv").write_text("20 3\n1000 0\n20000 -3\n")
    recipes = []
    for level in (-1, -2):
        Path("t.csv").write_text(f"20 {level}\n1000 0\n20000 0\n")
        recipes.append(recipe_of(resolve("m.csv", target="t.csv"), Options()))
    first, second = recipes
    assert {os.path.basename(path) for path in first.made_by["files"]} == {"m.csv", "t.csv"}
    assert not second.is_named(first.name, {first.name: first.made_by})
    assert second.other_default(first.made_by) is None
