"""What a manifest remembers, from any writer, however it ended."""

import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from earfilt.errors import AudioError
from earfilt.storage.manifest import (
    Entry,
    Follower,
    Manifest,
    is_manifest,
    manifest_path,
    open_manifest,
    read_ledger,
)

ENTRY = Entry((10, 20), (30, 40), "abc", "a.wav", "../in/a.wav", "5" * 64, "0" * 64)
REPLACED = Entry(
    (10, 20),
    (30, 40),
    "abc",
    source_sha256="5" * 64,
    output_sha256="0" * 64,
    in_place=True,
    run="r",
)


def of(name: str) -> tuple[str, Entry]:
    """A source that became an output of its own name."""
    return name, replace(ENTRY, path=name)


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    awkward = os.fsdecode(b"n\n\xff \xc3\xbc.wav")
    with open_manifest(str(tmp_path / "new")) as manifest:
        manifest.append([("a.wav", ENTRY)], ("abc", {"filter": "headphone"}))
        manifest.append(
            [(awkward, Entry((1, 2), recipe="abc", error="is empty")), ("a.wav", REPLACED)]
        )
    ledger = read_ledger(str(tmp_path / "new"))
    assert ledger.entries == {
        "a.wav": ENTRY,
        awkward: Entry((1, 2), recipe="abc", error="is empty"),
    }
    assert ledger.recipes == {"abc": {"filter": "headphone"}}
    assert ledger.replaced == {"a.wav": [REPLACED]}
    assert ledger.outputs == {"0" * 64: REPLACED}


# NTFS ends in 60056, XFS in 2486, ext4 in 2446; zip archives and broken clocks give years before 1970
@pytest.mark.parametrize("year", [-1, -(1 << 40), 9_223_372_037, (1 << 63) - 1])
def test_whatever_a_disk_can_hold_is_read_back(year: int, tmp_path: Path) -> None:
    stamp = ((1 << 63) - 1, year * 1_000_000_000 + 999_999_999)
    entry = replace(REPLACED, source=stamp, output=stamp)
    Manifest(manifest_path(str(tmp_path))).append([("a.wav", entry), of("b.wav")])
    assert read_ledger(str(tmp_path)).replaced == {"a.wav": [entry]}


REPLACEMENT = b'{"name": "a.wav", "source": [1, 2], "recipe": "r", "output": [3, 4], '
IN_DOUBT = [
    (REPLACEMENT + b'"output_sha256": {"sha3": "0"}, "in_place": true, "run": "r"}', True, False),
    (REPLACEMENT[:9] + b"\xff" + REPLACEMENT[9:] + b'"in_place": true, "run": "r"}', True, True),
    (REPLACEMENT[:-3] + b'"in_place": true, "run": "r"}', True, True),
    (REPLACEMENT + b'"in_place": true, "run": "', False, False),  # killed at it
    (REPLACEMENT + b'"output_sha256": 3}', False, False),  # of a batch, which replaces nothing
]


@pytest.mark.parametrize(("line", "own", "others"), IN_DOUBT)
def test_a_line_about_a_replacement_that_cannot_be_read_leaves_its_file_in_doubt(
    line: bytes, own: bool, others: bool, tmp_path: Path
) -> None:
    Path(manifest_path(str(tmp_path))).write_bytes(line + b"\n")
    for _ in range(2):
        ledger = read_ledger(str(tmp_path))
        assert (ledger.is_unclear("a.wav"), ledger.is_unclear("b.wav")) == (own, others)
        with open_manifest(str(tmp_path)) as manifest:  # which compacts
            manifest.append([of("c.wav"), of("c.wav")])


def test_nothing_is_known_of_a_new_directory(tmp_path: Path) -> None:
    assert not read_ledger(str(tmp_path / "none")).entries


def test_the_last_word_counts_but_a_failure_takes_nothing_back(tmp_path: Path) -> None:
    with open_manifest(str(tmp_path)) as manifest:
        manifest.append([("a.wav", ENTRY), ("a.wav", Entry((11, 21), (31, 41), "def"))])
        manifest.append([("a.wav", Entry((11, 21), recipe="def", error="exists already"))])
    assert read_ledger(str(tmp_path)).entries["a.wav"] == Entry((11, 21), (31, 41), "def")


def test_a_torn_last_line_is_no_line_and_no_end(tmp_path: Path) -> None:
    with open_manifest(str(tmp_path)) as manifest:
        manifest.append([of("a.wav"), of("b.wav")])
    path = Path(manifest_path(str(tmp_path)))
    path.write_bytes(path.read_bytes()[:-17])
    assert list(read_ledger(str(tmp_path)).entries) == ["a.wav"]
    with open_manifest(str(tmp_path)) as manifest:
        manifest.append([of("c.wav")])
    assert list(read_ledger(str(tmp_path)).entries) == ["a.wav", "c.wav"]


FOREIGN = [
    b"[]", b"3", b"null", b"\xff\xfe", b"[" * 90_000, b'{"name":' * 90_000, b'{"name": "x"}',
    b'{"name": "x", "source": 5, "recipe": ""}',
    b'{"name": "x", "source": [1e999, 1], "recipe": "r"}',
    b'{"name": "x", "source": [1, NaN], "recipe": "r"}',
    b'{"name": "x", "source": [1, 1], "output": [-Infinity, 1], "recipe": "r"}',
    b'{"name": "x", "source": [1, ' + b"9" * 400 + b'], "recipe": "r"}',
    b'{"name": "x", "source": [1, ' + b"9" * 9000 + b'], "recipe": "r"}',
    b'{"name": "x", "source": [1, 1], "recipe": "r", "inode": 1e400}',
    b'{"name": "x", "source": [1, 1], "recipe": {"a": []}}',
    b'{"name": "x", "source": [1, 1, 1], "recipe": "r"}',
    b'{"name": "x", "source": "ab", "recipe": "r"}',
    b'{"name": ["x"], "source": [1, 1], "recipe": "r"}',
    b'{"name": 3, "source": [1, 1], "recipe": "r"}',
    b'{"name": "x", "source": [1, 1], "recipe": "r", "output_sha256": ["x"]}',
    b'{"recipe": ["x"], "made_by": {}}',
    b'{"recipe": {}, "made_by": 1}',
    b'{"made_by": {}}',
    b"x" * (3 << 20),
]  # fmt: skip


@pytest.mark.parametrize("line", FOREIGN, ids=lambda line: line[:60].decode("latin-1"))
def test_foreign_lines_say_nothing(line: bytes, tmp_path: Path) -> None:
    path = Path(manifest_path(str(tmp_path)))
    path.write_bytes(line + b"\n")
    follower = Follower(str(path))
    assert not follower.refresh().entries
    with open_manifest(str(tmp_path)) as manifest:
        manifest.append([("a.wav", ENTRY)], ("abc", {}))
    assert read_ledger(str(tmp_path)).entries == {"a.wav": ENTRY} == follower.refresh().entries
    with open_manifest(str(tmp_path)):
        pass  # which compacts
    assert read_ledger(str(tmp_path)).entries == {"a.wav": ENTRY} == follower.refresh().entries


def test_what_stands_for_a_recipe_may_be_anything(tmp_path: Path) -> None:
    lines = [
        b'{"recipe": "a", "made_by": [1]}',
        b'{"recipe": "b", "made_by": {"fs": 1e999}}',
        b'{"recipe": "c", "made_by": null}',
    ]
    Path(manifest_path(str(tmp_path))).write_bytes(b"\n".join(lines))
    with open_manifest(str(tmp_path)) as manifest:
        manifest.append([("a.wav", ENTRY), ("a.wav", ENTRY)])
    assert read_ledger(str(tmp_path)).recipes == {"a": {}, "b": {"fs": float("inf")}, "c": {}}


def test_a_pipe_in_a_manifests_place_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(manifest_path(str(tmp_path)))
    with pytest.raises(AudioError, match="not a regular file"):
        read_ledger(str(tmp_path))
    with pytest.raises(AudioError, match="not a regular file"), open_manifest(str(tmp_path)):
        pass


def test_who_follows_a_manifest_sees_what_is_new_also_after_it_was_written_anew(
    tmp_path: Path,
) -> None:
    manifest = Manifest(manifest_path(str(tmp_path)))
    follower = Follower(manifest.path)
    assert not follower.refresh().entries
    for name in ("a", "b", "b"):
        manifest.append([of(name)])
        assert list(follower.refresh().entries) == sorted({"a", name})
    with open(manifest.path, "ab") as file:
        file.write(b'{"name": "c", "source": [1, 1], "rec')  # another run is at it
    assert list(follower.refresh().entries) == ["a", "b"]
    manifest.append([of("d")])
    assert list(follower.refresh().entries) == ["a", "b", "d"]
    manifest.compact()
    manifest.append([of("e")])
    assert list(follower.refresh().entries) == ["a", "b", "d", "e"]
    os.unlink(manifest.path)
    assert not follower.refresh().entries


def test_what_was_replaced_is_kept_when_a_manifest_is_compacted(tmp_path: Path) -> None:
    other = replace(REPLACED, output_sha256="2" * 64)
    manifest = Manifest(manifest_path(str(tmp_path)))
    manifest.append(
        [
            ("a.wav", REPLACED),
            ("a.wav", other),
            ("a.wav", ENTRY),
            ("a.wav", REPLACED),
            ("a.wav", ENTRY),
        ]
    )
    manifest.compact()
    ledger = read_ledger(str(tmp_path))
    assert set(ledger.replaced["a.wav"]) == {REPLACED, other}
    assert ledger.entries == {"a.wav": ENTRY}
    assert len(Path(manifest.path).read_bytes().splitlines()) == 3


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("suffix", ["", ".new"])
def test_nothing_is_written_through_a_link(tmp_path: Path, there: bool, suffix: str) -> None:
    """In a folder of recordings that somebody else has made, one may lead to a file of the user's."""
    (tmp_path / "out").mkdir()
    manifest = Manifest(manifest_path(str(tmp_path / "out")))
    if suffix:  # what compacting writes to
        manifest.append([("a.wav", ENTRY), ("a.wav", ENTRY)])
    mine = tmp_path / "mine"
    if there:
        mine.write_text("mine")
    os.symlink(mine, manifest.path + suffix)
    if suffix:
        manifest.compact()
        assert len(Path(manifest.path).read_bytes().splitlines()) == 1
    else:
        with pytest.raises(AudioError, match="is a link, which is not followed; remove it"):
            manifest.append([("a.wav", ENTRY)])
    assert mine.exists() == there
    assert not there or mine.read_text() == "mine"


def test_opening_compacts_and_a_run_that_has_it_open_goes_on_in_the_new_one(tmp_path: Path) -> None:
    path = Path(manifest_path(str(tmp_path)))
    with open_manifest(str(tmp_path)) as first:
        for i in range(50):
            first.append([("a.wav", Entry((i, i), (i, i)))])
        with open_manifest(str(tmp_path)) as second:
            assert len(path.read_bytes().splitlines()) == 1
            second.append([of("b.wav")])
            first.append([of("c.wav")])
    with open_manifest(str(tmp_path)) as manifest:
        manifest.append([of("d.wav")])
    assert [json.loads(line)["name"] for line in path.read_bytes().splitlines()] == [
        "a.wav",
        "b.wav",
        "c.wav",
        "d.wav",
    ]
    assert read_ledger(str(tmp_path)).entries["a.wav"].source == (49, 49)
    assert os.listdir(tmp_path) == [path.name]


def twice(root: Path) -> Path:
    """A manifest that compacting makes shorter."""
    manifest = Manifest(manifest_path(str(root)))
    manifest.append([of("a.wav"), of("a.wav")])
    return Path(manifest.path)


def test_compacting_keeps_who_may_read_and_write(tmp_path: Path) -> None:
    path = twice(tmp_path)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    before = path.stat()
    Manifest(str(path)).compact()
    after = path.stat()
    assert after.st_size < before.st_size
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_a_manifest_that_cannot_be_given_to_its_owner_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only gets longer; but its owner could not go on with one of somebody else's."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "not yours")

    path = twice(tmp_path)
    path.chmod(0o640)
    before = path.read_bytes()
    for call in ("fchown", "fchmod"):
        monkeypatch.setattr(os, call, refuse)
    with open_manifest(str(tmp_path)) as manifest:
        manifest.append([of("b.wav")])
    assert path.read_bytes().startswith(before)
    assert list(read_ledger(str(tmp_path)).entries) == ["a.wav", "b.wav"]
    assert os.listdir(tmp_path) == [path.name]


def append(root: str, who: int) -> None:
    """One of several runs on one tree; each opens the manifest again and again."""
    for i in range(20):
        with open_manifest(root) as manifest:
            manifest.append([of(f"{who}-{i}-{k}") for k in range(5)])


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
            manifest.append([of(f"{i}.wav")])
    assert sorted(read_ledger(str(tmp_path)).entries) == ["1.wav", "2.wav"]
    assert all(map(is_manifest, os.listdir(tmp_path)))


def test_a_manifest_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(AudioError, match="cannot write"),
        open_manifest(str(tmp_path / "file" / "out")),
    ):
        pass


def test_each_output_of_a_source_has_its_own_last_word(tmp_path: Path) -> None:
    flac = replace(ENTRY, path="a.flac", output_sha256="1" * 64)
    with open_manifest(str(tmp_path)) as manifest:
        manifest.append([("a.wav", ENTRY), ("a.wav", flac)])
    with open_manifest(str(tmp_path)):
        pass  # which compacts
    assert read_ledger(str(tmp_path)).entries == {"a.wav": ENTRY, "a.flac": flac}


@pytest.mark.parametrize("later", ["whole", "shard"])
def test_of_several_manifests_the_later_output_counts(later: str, tmp_path: Path) -> None:
    old, new = ENTRY, replace(ENTRY, output=(30, 50), recipe="new")
    for shard, kind in (((1, 2), "shard"), (None, "whole")):
        with open_manifest(str(tmp_path), shard) as manifest:
            manifest.append([("a.wav", new if kind == later else old)])
    ledger = read_ledger(str(tmp_path))
    assert (ledger.entries["a.wav"], ledger.latest["a.wav"]) == (new, new)


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("there", ["whole", "shard"])
def test_of_several_manifests_the_output_that_is_there_counts(
    there: str, copied: bool, tmp_path: Path
) -> None:
    """Whatever the clock of the machine that made the other one."""
    path, entries = tmp_path / "a.wav", {}
    for kind, year in (("whole", 2035), ("shard", 2026)):
        path.write_text(kind)
        stamp = (len(kind), (year - 1970) * 31_557_600 * 10**9)
        content = hashlib.sha256(kind.encode()).hexdigest()
        entries[kind] = replace(ENTRY, output=stamp, output_sha256=content)
    path.write_text(there)
    if not copied:
        os.utime(path, ns=(0, entries[there].output[1]))
    for shard, kind in (((1, 2), "shard"), (None, "whole")):
        with open_manifest(str(tmp_path), shard) as manifest:
            manifest.append([("a.wav", entries[kind])])
    ledger = read_ledger(str(tmp_path))
    assert ledger.entries["a.wav"] is ledger.latest["a.wav"]
    assert ledger.entries["a.wav"] == entries[there]


def test_a_child_that_is_forked_under_the_lock_does_not_keep_it(tmp_path: Path) -> None:
    manifest = Manifest(manifest_path(str(tmp_path)))
    with manifest.locked(must=True):
        child = os.fork()
        if not child:
            signal.pause()
    try:
        with open(manifest.path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
