"""What a manifest remembers, whoever writes it and however the writer ends."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from earfilt.batch.manifest import (
    Entry,
    is_manifest,
    manifest_path,
    open_manifest,
    read_ledger,
    recipe_id,
)
from earfilt.errors import AudioError

ENTRY = Entry((10, 20), (30, 40), "abc", 8000.0, "f00", "a.wav")


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    awkward = os.fsdecode(b"n\n\xff \xc3\xbc.wav")
    with open_manifest(str(tmp_path / "new")) as manifest:
        manifest.recipe("abc", {"filter": "headphone"})
        manifest.record(
            [("a.wav", ENTRY), (awkward, Entry((1, 2), recipe="abc", error="is empty"))]
        )
    ledger = read_ledger(str(tmp_path / "new"))
    assert ledger.entries == {
        "a.wav": ENTRY,
        awkward: Entry((1, 2), recipe="abc", error="is empty"),
    }
    assert ledger.recipes == {"abc": {"filter": "headphone"}}


def test_nothing_is_known_of_a_new_directory(tmp_path: Path) -> None:
    assert not read_ledger(str(tmp_path / "none")).entries


def test_the_last_word_counts_but_a_failure_takes_nothing_back(tmp_path: Path) -> None:
    with open_manifest(str(tmp_path)) as manifest:
        manifest.record([("a.wav", ENTRY), ("a.wav", Entry((11, 21), (31, 41), "def"))])
        manifest.record([("a.wav", Entry((11, 21), recipe="def", error="exists already"))])
    assert read_ledger(str(tmp_path)).entries["a.wav"] == Entry((11, 21), (31, 41), "def")


def test_a_torn_last_line_is_no_line_and_no_end(tmp_path: Path) -> None:
    with open_manifest(str(tmp_path)) as manifest:
        manifest.record([("a.wav", ENTRY), ("b.wav", ENTRY)])
    path = Path(manifest_path(str(tmp_path)))
    path.write_bytes(path.read_bytes()[:-17])
    assert list(read_ledger(str(tmp_path)).entries) == ["a.wav"]
    with open_manifest(str(tmp_path)) as manifest:
        manifest.record([("c.wav", ENTRY)])
    assert list(read_ledger(str(tmp_path)).entries) == ["a.wav", "c.wav"]


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"3",
        b'{"name": "x"}',
        b'{"name": "x", "source": 5, "recipe": ""}',
        b"\xff\xfe",
        b"[" * 9000,
        b"null",
    ],
)
def test_foreign_lines_say_nothing(line: bytes, tmp_path: Path) -> None:
    Path(manifest_path(str(tmp_path))).write_bytes(line + b"\n")
    with open_manifest(str(tmp_path)) as manifest:
        manifest.record([("a.wav", ENTRY)])
    assert read_ledger(str(tmp_path)).entries == {"a.wav": ENTRY}


def test_reopening_compacts_unless_another_run_has_it_open(tmp_path: Path) -> None:
    path = Path(manifest_path(str(tmp_path)))
    with open_manifest(str(tmp_path)) as first:
        for i in range(50):
            first.record([("a.wav", Entry((i, i), (i, i)))])
        with open_manifest(str(tmp_path)) as second:
            assert len(path.read_bytes().splitlines()) == 50
            second.record([("b.wav", ENTRY)])
            first.record([("c.wav", ENTRY)])
    with open_manifest(str(tmp_path)) as manifest:
        manifest.record([("d.wav", ENTRY)])
    assert [json.loads(line)["name"] for line in path.read_bytes().splitlines()] == [
        "a.wav",
        "b.wav",
        "c.wav",
        "d.wav",
    ]
    assert read_ledger(str(tmp_path)).entries["a.wav"].source == (49, 49)
    assert os.listdir(tmp_path) == [path.name]


def append(root: str, who: int) -> None:
    """One of several runs on one tree; each opens the manifest again and again."""
    for i in range(20):
        with open_manifest(root) as manifest:
            manifest.record([(f"{who}-{i}-{k}", ENTRY) for k in range(5)])


def test_runs_share_a_manifest(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    runs = [context.Process(target=append, args=(str(tmp_path), who)) for who in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0] * 4
    assert len(read_ledger(str(tmp_path)).entries) == 4 * 20 * 5


def test_shards_keep_their_own_and_are_read_together(tmp_path: Path) -> None:
    for i in (1, 2):
        with open_manifest(str(tmp_path), (i, 2)) as manifest:
            manifest.record([(f"{i}.wav", ENTRY)])
    assert sorted(read_ledger(str(tmp_path)).entries) == ["1.wav", "2.wav"]
    assert all(map(is_manifest, os.listdir(tmp_path)))


def test_a_recipe_has_one_name() -> None:
    assert (
        recipe_id({"a": 1, "b": [2]})
        == recipe_id({"b": [2], "a": 1})
        != recipe_id({"a": 1, "b": [3]})
    )


def test_a_manifest_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(AudioError, match="cannot write"),
        open_manifest(str(tmp_path / "file" / "out")),
    ):
        pass
