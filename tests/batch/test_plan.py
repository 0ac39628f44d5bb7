"""Everything that is refused before the first write."""

import itertools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from earfilt.batch import plan as planning
from earfilt.batch.plan import Plan, Rules, check_space, estimate_bytes, make_plan, shard_of, tasks
from earfilt.batch.search import Found
from earfilt.errors import AudioError, UsageError
from tests.batch.conftest import Tree


def plan_of(root: Path | Sequence[Path], out: Path | None, **rules: object) -> Plan:
    inputs = [root] if isinstance(root, Path) else root
    return make_plan(
        [str(path) for path in inputs], None if out is None else str(out), Rules(**rules)
    )  # type: ignore[arg-type]


def test_outputs_mirror_the_tree_and_nothing_is_written(tree: Tree, tmp_path: Path) -> None:
    plan = plan_of(tree("a.wav", "x/b.wav"), tmp_path / "out")
    assert [plan.destination(file) for file in plan.files] == [
        str(tmp_path / "out/a.wav"),
        str(tmp_path / "out/x/b.wav"),
    ]
    assert not (tmp_path / "out").exists()


def test_a_format_gives_its_extension(tree: Tree, tmp_path: Path) -> None:
    plan = plan_of(tree("a.wav", "x/b.flac"), tmp_path / "out", format="flac")
    assert [plan.output_name(file.name) for file in plan.files] == ["a.flac", "x/b.flac"]


def test_colliding_outputs(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav", "a.flac")
    with pytest.raises(
        UsageError, match=r"a\.(wav|flac) and .*a\.(wav|flac) would both become .*a\.wav"
    ):
        plan_of(root, tmp_path / "out", format="wav")
    two = [tree("n/a.wav", under="one"), tree("n/a.wav", under="two")]
    with pytest.raises(UsageError, match="would both become"):
        plan_of(two, tmp_path / "out")
    # the same file twice is one
    assert len(plan_of([root, root / "a.wav"], tmp_path / "out").files) == 2


def test_collisions_where_case_makes_no_difference(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("a.wav", "A.wav")
    if len(os.listdir(root)) == 1:
        pytest.skip("this file system has no two such files")
    assert len(plan_of(root, tmp_path / "out").files) == 2
    monkeypatch.setattr(planning.os.path, "samefile", lambda a, b: a.lower() == b.lower())
    with pytest.raises(UsageError, match="would both become"):
        plan_of(root, tmp_path / "out")


def test_output_and_input_apart(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav", "x/b.wav")
    with pytest.raises(UsageError, match=r"same directory.*--in-place"):
        plan_of(root, root)
    with pytest.raises(UsageError, match="lies inside the input"):
        plan_of(root, root / "out")
    os.symlink(root, tmp_path / "link")
    with pytest.raises(UsageError, match="lies inside the input"):
        plan_of(root, tmp_path / "link" / "out")
    with pytest.raises(UsageError, match="must be a directory"):
        plan_of(root, tmp_path / "in" / "a.wav")
    with pytest.raises(UsageError, match=r"is the input .*b\.wav itself"):
        plan_of(root / "x" / "b.wav", root / "x", exists="force")


def test_existing_outputs(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav", "b.wav", "c.wav")
    (tmp_path / "out").mkdir()
    for name in ("a.wav", "b.wav"):
        shutil.copy(root / name, tmp_path / "out")
    with pytest.raises(UsageError, match=r"a\.wav exists already \(and 1 more\); --resume"):
        plan_of(root, tmp_path / "out")
    skipping = plan_of(root, tmp_path / "out", exists="skip")
    assert [file.name for file in skipping.files] == ["c.wav"]
    assert [file.name for file in skipping.skipped] == ["a.wav", "b.wav"]
    assert len(plan_of(root, tmp_path / "out", exists="force").files) == 3
    (tmp_path / "out" / "c.wav").mkdir()
    with pytest.raises(UsageError, match=r"c\.wav is a directory"):
        plan_of(root, tmp_path / "out", exists="force")


def test_permission(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.wav", "x/b.wav")
    (tmp_path / "out" / "x").mkdir(parents=True)
    # tests may run as root
    monkeypatch.setattr(planning.os, "access", lambda path, mode: not str(path).endswith("x"))
    with pytest.raises(AudioError, match=r"no permission to write in .*out/x"):
        plan_of(root, tmp_path / "out")
    assert AudioError.exit_code == 1


def test_a_file_where_a_directory_is_needed(tree: Tree, tmp_path: Path) -> None:
    root = tree("x/b.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("")
    with pytest.raises(AudioError, match="is a file where a directory is needed"):
        plan_of(root, tmp_path / "out")


def test_space(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.wav", "b.wav", frames=10_000)
    plan = plan_of(root, tmp_path / "out")
    assert estimate_bytes(plan) == sum(path.stat().st_size for path in root.iterdir())
    assert estimate_bytes(plan, "pcm-24") == pytest.approx(1.5 * estimate_bytes(plan))
    usage = type("Usage", (), {"free": 30_000})
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(AudioError, match="outputs need about"):
        check_space(plan)
    (tmp_path / "out").mkdir()
    for path in root.iterdir():
        shutil.copy(path, tmp_path / "out")
    # they take the room of those they replace
    check_space(plan_of(root, tmp_path / "out", exists="force"))


def test_in_place_names_are_relative_to_the_common_directory(tree: Tree, tmp_path: Path) -> None:
    two = [tree("a.wav", under="one"), tree("n/a.wav", under="two")]
    plan = plan_of(two, None, in_place=True)
    assert plan.root == str(tmp_path)
    assert [file.name for file in plan.files] == ["one/a.wav", "two/n/a.wav"]
    assert all(os.path.exists(file.source) for file in plan.files)


def test_shards_are_a_partition_that_never_changes(tree: Tree, tmp_path: Path) -> None:
    names = [f"{i:02d}.wav" for i in range(40)]
    root = tree(*names)
    parts = [
        [file.name for file in plan_of(root, tmp_path / "out", shard=(i, 3)).files]
        for i in (1, 2, 3)
    ]
    assert sorted(itertools.chain(*parts)) == names
    assert all(len(part) > 5 for part in parts)
    # SHA-256 of the name, first 8 bytes, modulo N, from 1: jobs on other machines and in other
    # years rely on it.
    assert [shard_of(name, 8) for name in ("a.wav", "x/b.wav", "ü.wav")] == [5, 4, 7]


def test_tasks_put_long_files_first_and_short_ones_together() -> None:
    files = [Found("", str(i), size, 0, 0) for i, size in enumerate([5, 900, 10, 2000, 20, 90])]
    portions = [
        [file.size for file in portion] for portion in tasks(files, max_bytes=100, max_files=3)
    ]
    assert portions == [[2000], [900], [5, 10, 20], [90]]
    assert [
        [file.size for file in portion]
        for portion in tasks(files[:1] * 5, max_bytes=100, max_files=2)
    ] == [[5, 5], [5, 5], [5]]


def test_in_place_of_nothing_is_nothing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, None, in_place=True)
    assert not plan.files
