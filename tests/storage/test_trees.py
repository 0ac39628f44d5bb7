"""Trees of any depth, with links."""

import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from earfilt.batch.corpus import Batch, prepare
from earfilt.batch.corpus import run as run_batch
from earfilt.batch.plan import Rules
from earfilt.batch.search import Search, Selection
from earfilt.batch.verify import read_manifests
from earfilt.chains.members import resolve
from earfilt.storage.trees import make_directories, walk
from tests.batch.trees import write_tone

DEPTH = 400


@pytest.fixture
def shallow() -> Iterator[None]:
    """What calls itself for each level would need more calls than there may be."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + DEPTH // 2)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("shallow")
def test_a_deep_tree_is_filtered_verified_and_filtered_in_place(tmp_path: Path) -> None:
    root, out, below = tmp_path / "in", str(tmp_path / "out"), "d/" * DEPTH
    root.mkdir()
    make_directories(f"{root}/{below}")
    write_tone(root / "a.wav")
    os.link(root / "a.wav", f"{root}/{below}a.wav")
    ear = resolve("headphone", order=64)
    for batch, output in (
        (Batch(ear, jobs=1), out),
        (Batch(ear, jobs=1, rules=Rules(in_place=True)), None),
    ):
        plan = prepare(batch, [str(root)], output)
        assert [row.status for row, _ in run_batch(batch, plan)] == ["ok", "ok"]
        found = read_manifests(output or str(root))
        assert (len(found.outputs), list(found.differences())) == (2, [])
    search = Search(Selection())
    assert len(list(search.inputs([f"{root}/**/*.wav"]))) == 2
    assert search.input_that_takes(f"{root}/{below}", ["b.wav"]) is not None


def test_directories_that_links_lead_to_are_walked_but_not_in_circles(tmp_path: Path) -> None:
    for name in ("away/b", "top/a"):
        make_directories(str(tmp_path / name))
    make_directories(f"{tmp_path}/away/b/")  # there already
    (tmp_path / "top" / "away").symlink_to("../away")
    (tmp_path / "away" / "b" / "back").symlink_to("../../top")
    (tmp_path / "top" / "nowhere").symlink_to("gone")
    (tmp_path / "away" / "file").write_text("")
    found = {
        folder.name: [file.name for file in folder.files] for folder in walk(f"{tmp_path}/top")
    }
    assert found == {"": ["nowhere"], "a": [], "away": ["file"], "away/b": []}
    plain = [folder.name for folder in walk(f"{tmp_path}/top", links=False)]
    assert plain == ["", "a"]
    with pytest.raises(FileExistsError):
        make_directories(f"{tmp_path}/away/file")


def test_a_directory_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    failed: list[tuple[str, str]] = []
    found = walk(
        f"{tmp_path}/none", failed=lambda name, error: failed.append((name, str(error.strerror)))
    )
    assert not list(found)
    assert failed == [("", "No such file or directory")]
