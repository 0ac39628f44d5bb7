"""Everything that is refused before the first write."""

import builtins
import itertools
import os
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from earfilt.batch import plan as planning
from earfilt.batch.plan import (
    Plan,
    Rules,
    check_permission,
    check_space,
    estimate_bytes,
    make_plan,
    shard_of,
    tasks,
)
from earfilt.batch.search import Found, Selection
from earfilt.errors import AudioError, UsageError
from tests.batch.conftest import Tree
from tests.batch.trees import hashes


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


def on_a_disk_that_forgets(
    monkeypatch: pytest.MonkeyPatch, spell: Callable[[str], str], below: Path
) -> None:
    """As if a disk with its own rule for names were mounted there: files made below it get the
    names that the rule gives them.
    """
    plain = builtins.open

    def as_the_disk_has_it(path: Any, *options: Any, **more: Any) -> Any:
        inside = str(path).startswith(f"{below}{os.sep}")
        return plain(
            f"{below}{os.sep}{spell(str(path)[len(str(below)) + 1 :])}" if inside else path,
            *options,
            **more,
        )

    monkeypatch.setattr(planning, "open", as_the_disk_has_it, raising=False)


def of_last(rule: Callable[[str], str]) -> Callable[[str], str]:
    """A rule for the last part of a path alone."""
    return lambda path: os.path.join(os.path.dirname(path), rule(os.path.basename(path)))


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (("a.wav", "A.wav"), str.lower),
        (("x/sub.wav", "x/SUB.wav"), str.lower),
        (("\u00e9.wav", "e\u0301.wav"), partial(unicodedata.normalize, "NFC")),
        (("a.wav", "a.wav. "), lambda name: name.rstrip(". ")),
        (("stra\u00dfe.wav", "STRASSE.wav"), str.casefold),
    ],
)
@pytest.mark.parametrize("exists", ["refuse", "force", "skip", "resume"])
def test_names_that_the_disk_takes_for_one(
    names: tuple[str, str],
    rule: Callable[[str], str],
    exists: str,
    tree: Tree,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tree(*names)
    if len(hashes(root, "*")) == 1:
        pytest.skip("this file system has no two such files")
    disk = tmp_path / "Mounted"
    disk.mkdir()
    assert len(plan_of(root, disk / "out").files) == 2
    on_a_disk_that_forgets(monkeypatch, of_last(rule), disk)
    with pytest.raises(UsageError, match="would both become"):
        plan_of(root, disk / "out", exists=exists)
    assert not list(disk.iterdir())
    assert len(plan_of(root, tmp_path / "elsewhere").files) == 2


def test_many_names_alike_are_told_apart_at_once(tree: Tree, tmp_path: Path) -> None:
    names = [
        "".join(letters) + ".wav"
        for letters in itertools.product(*zip("abcdef", "ABCDEF", strict=True))
    ]
    root = tree(*names, frames=8)
    if len(os.listdir(root)) < len(names):
        pytest.skip("this file system has no two such files")
    assert len(plan_of(root, tmp_path / "out").files) == 64
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_output_and_input_apart(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav", "x/b.wav")
    with pytest.raises(UsageError, match=r"same directory.*in_place=True"):
        plan_of(root, root)
    with pytest.raises(UsageError, match="lies inside the input"):
        plan_of(root, root / "out")
    os.symlink(root, tmp_path / "link")
    with pytest.raises(UsageError, match="lies inside the input"):
        plan_of(root, tmp_path / "link" / "out")
    os.symlink(tmp_path / "elsewhere", root / "x" / "away")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UsageError, match="lies inside the input"):
        plan_of(root, tmp_path / "elsewhere" / "deep")
    with pytest.raises(UsageError, match="must be a directory"):
        plan_of(root, tmp_path / "in" / "a.wav")
    with pytest.raises(UsageError, match=r"is the input .*b\.wav itself"):
        plan_of(root / "x" / "b.wav", root / "x", exists="force")


@pytest.mark.parametrize(
    ("pattern", "output"),
    [
        ("**/*.wav", "out"),
        ("**/*.wav", "x/y/out"),
        ("*/*", "x/out"),
        ("*", "out"),
        ("*/*.wav", "."),
        ("x*/**/b.wav", "x/out"),
        ("x/**", "x/out"),
    ],
)
def test_outputs_that_a_pattern_would_find_again(
    pattern: str, output: str, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("a.wav", "x/b.wav")
    monkeypatch.chdir(root)
    for form in (pattern, str(root / pattern)):
        with pytest.raises(
            UsageError,
            match=r"lies inside the input .* where it would be taken for input|is the input",
        ):
            make_plan([form], output, Rules())
    assert sorted(path.name for path in root.iterdir()) == ["a.wav", "x"]


@pytest.mark.parametrize(
    ("pattern", "output", "rules"),
    [
        ("*.wav", "out", {}),
        ("*/*.wav", "out", {}),
        ("**/*.wav", "out", {"format": "flac"}),
        ("**/*.wav", ".out", {}),
        ("**/*.wav", "out", {"selection": Selection(exclude=("out/*",))}),
        ("x/*.wav", "out", {}),
    ],
)
def test_outputs_beside_what_a_pattern_finds(
    pattern: str, output: str, rules: dict[str, Any], tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree("a.wav", "x/b.wav"))
    plan = make_plan([pattern], output, Rules(**rules))
    assert plan.files
    for file in plan.files:  # the next search finds the same
        os.makedirs(os.path.dirname(plan.destination(file)), exist_ok=True)
        shutil.copy(file.source, plan.destination(file))
    assert make_plan([pattern], output, Rules(**{**rules, "exists": "force"})).files == plan.files


def test_outputs_inside_what_a_list_names(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.wav", "x/b.wav")
    monkeypatch.chdir(root)
    for listed in (".", str(root), "x/..", "../in"):
        with pytest.raises(UsageError, match="lies inside the input"):
            make_plan([], "out", Rules(), listed=[listed])
    assert len(make_plan([], "out", Rules(), listed=["a.wav", "x"]).files) == 2


def test_existing_outputs(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.wav", "b.wav", "c.wav")
    (tmp_path / "out").mkdir()
    for name in ("a.wav", "b.wav"):
        shutil.copy(root / name, tmp_path / "out")
    with pytest.raises(UsageError, match=r"a\.wav exists already \(and 1 more\); exists=.resume."):
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
    plan = plan_of(root, tmp_path / "out")
    with pytest.raises(AudioError, match=r"no permission to write in .*out/x"):
        check_permission(plan)
    assert AudioError.exit_code == 1
    plan.skipped, plan.files = plan.files, plan.files[:1]  # nothing is written there
    check_permission(plan)


def test_permission_in_place_is_that_of_the_files_own_directories(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [tree("a.wav", under="own/a"), tree("b.wav", under="own/b")]
    (own[1] / "linked.wav").symlink_to(tree("c.wav", under="away") / "c.wav")
    writable = {str(path) for path in own}

    def access(path: Any, mode: int) -> bool:
        return str(path) in writable

    monkeypatch.setattr(planning.os, "access", access)
    with pytest.raises(AudioError, match=r"no permission to write in .*/away$"):
        check_permission(plan_of(own, None, in_place=True))
    writable.add(str(tmp_path / "away"))
    check_permission(plan_of(own, None, in_place=True))


def test_a_file_where_a_directory_is_needed(tree: Tree, tmp_path: Path) -> None:
    root = tree("x/b.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("")
    with pytest.raises(AudioError, match="is a file where a directory is needed"):
        check_permission(plan_of(root, tmp_path / "out"))


def test_space(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.wav", "b.wav", frames=10_000)
    plan = plan_of(root, tmp_path / "out")
    assert estimate_bytes(plan) == sum(path.stat().st_size for path in root.iterdir())
    assert estimate_bytes(plan, "pcm-24") == pytest.approx(1.5 * estimate_bytes(plan))
    usage = type("Usage", (), {"total": 40_000, "free": 30_000})
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(AudioError, match=r"outputs need about .*--shard 1/2"):
        check_space(plan)
    check_space(plan_of(root, tmp_path / "out", shard=(1, 2)))  # the way out
    usage.total = usage.free = 0  # as ramfs and some network disks have it
    check_space(plan)
    usage.total, usage.free = 40_000, 30_000
    (tmp_path / "out").mkdir()
    for path in root.iterdir():
        shutil.copy(path, tmp_path / "out")
    # they take the room of those they replace
    check_space(plan_of(root, tmp_path / "out", exists="force"))


@pytest.mark.parametrize("in_place", [False, True])
def test_space_is_asked_for_on_the_disk_of_each_output(
    in_place: bool, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if x lay on a disk of its own."""
    root, out = tree("a.wav", "x/y/b.wav", "x/c.wav", frames=10_000), tmp_path / "out"
    (out / "x").mkdir(parents=True)
    free, stat = {"": 30_000, "x": 50_000}, os.stat

    def disk(path: Any) -> str:
        return "x" if "x" in Path(path).relative_to(tmp_path).parts else ""

    def mounted(path: Any, **how: Any) -> os.stat_result:
        status = list(stat(path, **how))
        status[2] = ["", "x"].index(disk(path))
        return os.stat_result(status)

    def usage(path: Any) -> Any:
        return type("Usage", (), {"total": 60_000, "free": free[disk(path)]})

    plan = plan_of(root, None if in_place else out, in_place=in_place)
    monkeypatch.setattr(planning.shutil, "disk_usage", usage)
    monkeypatch.setattr(planning.os, "stat", mounted)
    check_space(plan)  # 20 044 bytes a file
    free["x"] = 15_000
    with pytest.raises(AudioError, match=r"disk of .*/x(/y)?, which has"):
        check_space(plan)
    free |= {"": 15_000, "x": 50_000}
    with pytest.raises(AudioError, match=r"disk of .*/(in|out), which has"):
        check_space(plan)


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


@pytest.mark.parametrize("exists", ["force", "skip", "resume"])
def test_no_output_of_a_shard_is_a_source_of_another(
    exists: str, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree("a.wav", "out/a.wav"))
    assert [shard_of(name, 2) for name in ("a.wav", "out/a.wav")] == [1, 2]
    for shard in (None, (1, 2)):
        rules = Rules(exists=exists, shard=shard)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"output out/a\.wav is the input out/a\.wav itself"):
            make_plan([], "out", rules, listed=["a.wav", "out/a.wav"])


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
