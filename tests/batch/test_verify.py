"""Files against their manifests: what differs is told, and nothing else."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from earfilt.batch.verify import Difference, read_manifests
from earfilt.cli import run
from earfilt.errors import UsageError
from earfilt.version import DESIGN
from tests.batch.conftest import Tree
from tests.batch.test_corpus import CURVES, apply
from tests.batch.trees import rows, write_tone


@pytest.fixture
def corpus(tree: Tree, tmp_path: Path) -> Path:
    """Sources in ``in``, outputs in ``out``, by a curve."""
    root, out, curve = (
        tree("a.wav", "x/b.flac", "x/c.wav"),
        tmp_path / "out",
        tmp_path / "curve.csv",
    )
    curve.write_text(CURVES[0])
    assert apply(root, out, "-q", ear=("-f", f"headphone+{curve}")) == 0
    return tmp_path


def differences(root: Path) -> list[tuple[str, str, str]]:
    found = read_manifests(str(root)).differences()
    return [(d.what, os.path.relpath(d.path, root), d.reason) for d in found]


def test_all_is_as_the_manifest_says(corpus: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(corpus / "out")]) == 0
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "outputs: 3; different: 0\n")
    lines = (corpus / "out" / ".earfilt-manifest.jsonl").read_text().splitlines()
    entries = {entry["path"]: entry for entry in map(json.loads, lines) if "path" in entry}
    for name, entry in entries.items():
        for where, key in (("in", "source_sha256"), ("out", "output_sha256")):
            assert entry[key] == hashlib.sha256((corpus / where / name).read_bytes()).hexdigest()


def test_each_difference_is_a_line(corpus: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, status = corpus / "out", (corpus / "out" / "a.wav").stat()
    data = bytearray((out / "a.wav").read_bytes())
    data[-1] ^= 1  # size and time as before
    (out / "a.wav").write_bytes(data)
    os.utime(out / "a.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    (out / "x" / "b.flac").unlink()
    (corpus / "in" / "x" / "c.wav").unlink()
    os.mkfifo(corpus / "in" / "x" / "c.wav")  # which would be waited for
    (corpus / "curve.csv").write_text(CURVES[1])
    write_tone(out / "new.wav")
    assert run(["verify", "--manifest", str(out / ".earfilt-manifest.jsonl")]) == 1
    assert [line.split("\t") for line in capfd.readouterr().out.splitlines()] == [
        ["filter", str(corpus / "curve.csv"), "has another content"],
        ["output", str(out / "a.wav"), "has another content"],
        ["output", str(out / "x" / "b.flac"), "is missing"],
        ["source", str(corpus / "in" / "x" / "c.wav"), "cannot be read: it is not a regular file"],
    ]
    assert run(["verify", str(out)]) == 1
    assert "outputs: 3; different: 4; sound files in no manifest: 1" in capfd.readouterr().err


def test_a_corpus_that_moved_as_a_whole_is_verified_where_it_is(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "elsewhere"
    new.mkdir()
    for name in ("in", "out"):
        shutil.copytree(corpus / name, new / name, copy_function=shutil.copyfile)
        shutil.rmtree(corpus / name)
    assert not differences(new / "out")
    monkeypatch.chdir(new / "out")
    assert run(["verify", "."]) == run(["verify", "--manifest", ".earfilt-manifest.jsonl"]) == 0


def test_in_place(tree: Tree) -> None:
    root = tree("a.wav", "x/b.wav")
    originals = (root / "a.wav").read_bytes()
    assert apply(root, "--in-place", "-q") == 0
    assert apply(root / "x", "--in-place", "--force", "-q") == 0
    assert not differences(root)
    (root / "a.wav").write_bytes(originals)
    (root / "x" / "b.wav").unlink()
    assert differences(root) == [
        ("output", "a.wav", "is not filtered: it is as it was before"),
        ("output", "x/b.wav", "is missing"),
    ]
    (root / "a.wav").write_text("other")
    assert ("output", "a.wav", "has another content") in differences(root)


def test_outputs_that_were_filtered_once_more_in_place_are_what_that_made_them(
    corpus: Path,
) -> None:
    assert apply(corpus / "out", "--in-place", "--force", "-q") == 0
    assert not differences(corpus / "out")
    write_tone(corpus / "out" / "a.wav")
    assert differences(corpus / "out") == [("output", "a.wav", "has another content")]


def test_shards_and_failed_files(
    tree: Tree, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, out = tree(*(f"{i}.wav" for i in range(5))), tmp_path / "out"
    (root / "5.wav").write_text("no audio")
    for i in (1, 2):
        apply(root, out, "--shard", f"{i}/2", "-q")
    capfd.readouterr()
    assert run(["verify", str(out)]) == 0
    assert capfd.readouterr().err == "outputs: 5, 1 failed and have no output; different: 0\n"


def test_another_version_of_tables_or_design_is_told(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earfilt.batch.verify.DESIGN", DESIGN + 1)
    monkeypatch.setattr("earfilt.batch.verify._table_hash", lambda table: "0")
    found = list(read_manifests(str(corpus / "out")).differences())
    assert Difference("filter", "pralong1996", "is another table in this version") in found
    assert (
        Difference(
            "filter",
            f"headphone+{corpus / 'curve.csv'}",
            "was designed by another version of earfilt",
        )
        in found
    )
    assert len(found) == 2


def test_manifests_of_0_1_say_size_and_time(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    status = (tmp_path / "a.wav").stat()
    line = {
        "name": "a.wav",
        "source": [1, 1],
        "recipe": "x",
        "path": "a.wav",
        "output": [status.st_size, status.st_mtime_ns],
    }
    lines = [
        {"recipe": "x", "made_by": {"version": "0.1.0"}},
        line,
        {**line, "name": "b.wav", "path": "b.wav"},
    ]
    (tmp_path / ".earfilt-manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert differences(tmp_path) == [("output", "b.wav", "is missing")]


@pytest.mark.parametrize(
    "made_by",
    [
        {"members": [], "design": [[]], "filter": 3, "tables": [1], "files": {"x": 3}},
        {"tables": {"../x": "0"}},
    ],
)
def test_anything_may_stand_in_a_manifest(made_by: object, tmp_path: Path) -> None:
    entry = {
        "name": "a",
        "source": [1, 1],
        "recipe": "x",
        "path": "\0",
        "output": [1, 1],
        "source_sha256": "0",
        "output_sha256": "0",
    }
    lines = [
        {"recipe": "x", "made_by": made_by},
        entry,
        {**entry, "name": "b", "path": "../../../../../../dev/zero"},
    ]
    (tmp_path / ".earfilt-manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert len(differences(tmp_path)) == 3


@pytest.mark.parametrize(
    "arguments", [[], ["x", "--manifest", "y"], ["none"], ["--manifest", "none"], ["."]]
)
def test_refusals(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments != []:
        assert run(["verify", *arguments]) == 2
    with pytest.raises(UsageError):
        read_manifests(".")


def test_a_batch_over_files_that_were_filtered_in_place_counts(tree: Tree, tmp_path: Path) -> None:
    root, out = tree("a.wav"), tmp_path / "out"
    write_tone(out / "a.wav", seed=4)
    assert run(["apply", str(out), "--in-place", "-f", "headphone", "-q"]) == 0
    for ear in ("middle-ear", "headphone"):
        assert apply(root, out, "--force", "-q", ear=("-f", ear)) == 0
        assert not differences(out)
    # and in place once more, which is the last word, through a compacted manifest too
    for _ in range(2):
        assert run(["apply", str(out), "--in-place", "-f", "headphone", "--force", "-q"]) == 0
        assert not differences(out)
    write_tone(out / "a.wav", seed=5)
    assert differences(out) == [("output", "a.wav", "has another content")]


def test_in_place_the_last_filtering_counts(tree: Tree) -> None:
    root = tree("a.wav")
    assert run(["apply", str(root), "--in-place", "-f", "headphone", "-q"]) == 0
    once = (root / "a.wav").read_bytes()
    assert run(["apply", str(root), "--in-place", "-f", "middle-ear", "--force", "-q"]) == 0
    assert not differences(root)
    (root / "a.wav").write_bytes(once)
    ((what, name, why),) = differences(root)
    assert (what, name) == ("output", "a.wav")
    assert "earlier filtering" in why


def test_of_manifests_of_shards_and_of_the_whole_the_later_word_counts(
    tree: Tree, tmp_path: Path
) -> None:
    root, out = tree(*(f"{i}.wav" for i in range(4))), tmp_path / "out"
    apply(root, out, "-q")
    for i in (1, 2):
        assert (
            run(
                [
                    "apply",
                    str(root),
                    str(out),
                    "-f",
                    "middle-ear",
                    "--force",
                    "--shard",
                    f"{i}/2",
                    "-q",
                ]
            )
            == 0
        )
    assert differences(out) == []
    report = tmp_path / "report.jsonl"
    for i in (1, 2):
        words = ["-f", "middle-ear", "--resume", "--shard", f"{i}/2", "-q", "--report", str(report)]
        assert run(["apply", str(root), str(out), *words]) == 0
    assert {row["status"] for row in rows(report)} == {"skipped"}
    apply(root, out, "--force", "-q")
    assert differences(out) == []


def test_an_output_directory_that_is_named_through_a_link(tree: Tree, tmp_path: Path) -> None:
    root, real = tree("a.wav"), tmp_path / "deep" / "er" / "real"
    real.mkdir(parents=True)
    os.symlink(real, tmp_path / "link")
    assert apply(root, tmp_path / "link", "-q") == 0
    assert differences(tmp_path / "link") == []
    assert differences(real) == []


def test_in_place_what_links_lead_to_is_verified(tree: Tree, tmp_path: Path) -> None:
    root, away = tree("a.wav", "x/b.wav"), tree("c.wav", under="away")
    write_tone(tmp_path / "single" / "d.wav", seed=9)
    (root / "x" / "more").symlink_to(away)
    (root / "x" / "d.wav").symlink_to(tmp_path / "single" / "d.wav")
    (root / "x" / "again.wav").symlink_to("b.wav")
    (away / "circle").symlink_to(root)
    assert apply(root, "--in-place", "-q") == 0
    found = read_manifests(str(root))
    assert (len(found.outputs), found.unknown, list(found.differences())) == (4, 0, [])
    for path in (away / "c.wav", tmp_path / "single" / "d.wav"):
        with path.open("ab") as file:
            file.write(b"damage")
    assert sorted(differences(root)) == [
        ("output", "../single/d.wav", "has another content"),
        ("output", "x/more/c.wav", "has another content"),
    ]


def test_directories_that_cannot_be_listed_are_told(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tree("a.wav", "x/b.wav", "x/y/c.wav")
    assert apply(root, "--in-place", "-q") == 0
    scandir = os.scandir

    def closed(path: str) -> object:
        if path.endswith("/x"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    capfd.readouterr()
    assert run(["verify", str(root)]) == 1
    assert capfd.readouterr().out == f"directory\t{root}/x\tcannot be listed: Permission denied\n"


def test_a_batch_that_was_killed_at_once_has_a_manifest(
    corpus: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = corpus / "out" / ".earfilt-manifest.jsonl"
    begun = [line for line in manifest.read_text().splitlines() if "output_sha256" not in line]
    manifest.write_text("".join(f"{line}\n" for line in begun))
    capfd.readouterr()
    assert run(["verify", str(corpus / "out")]) == 0
    said = capfd.readouterr().err
    assert "outputs: 0, 3 begun and not recorded as done; different: 0" in said
    assert "sound files in no manifest: 3" in said


def test_lines_in_place_that_cannot_be_read_are_told(tree: Tree) -> None:
    root = tree("a.wav", "b.wav")
    assert apply(root, "--in-place", "-q") == 0
    manifest = root / ".earfilt-manifest.jsonl"
    lines = manifest.read_text().splitlines()
    damaged = [line.replace('"output": [', '"output": [[') for line in lines if "b.wav" in line]
    kept = [line for line in lines if "b.wav" not in line]
    manifest.write_text("".join(f"{line}\n" for line in [*kept, *damaged]))
    ((what, name, why),) = differences(root)
    assert (what, name) == ("directory", ".")
    assert "cannot be read" in why


def test_whatever_the_clock_was_the_entry_that_fits_the_file_counts(
    tree: Tree, tmp_path: Path
) -> None:
    root, out, report = tree("a.wav", "b.wav"), tmp_path / "out", tmp_path / "report"
    assert apply(root, out, "-q") == 0
    manifest, ahead = out / ".earfilt-manifest.jsonl", 2_051_222_400_000_000_000  # 2035
    for path in out.glob("*.wav"):
        then, _ = path.stat().st_mtime_ns, os.utime(path, ns=(ahead, ahead))
        manifest.write_text(manifest.read_text().replace(str(then), str(ahead)))
    assert not differences(out)
    for seed, path in enumerate(root.iterdir(), 7):
        write_tone(path, seed=seed)
    for part in ("1/2", "2/2"):
        assert apply(root, out, "--resume", "--shard", part, "-q") == 0
    assert not differences(out)
    assert apply(root, out, "--resume", "-q", "--report", report) == 0
    assert {row["status"] for row in rows(report)} == {"skipped"}


def test_a_batch_over_a_part_of_a_tree_counts_for_the_whole(tree: Tree, tmp_path: Path) -> None:
    root, out = tree("a.wav", "x/b.wav"), tmp_path / "out"
    assert apply(root, out, "-q") == 0
    assert apply(root / "x", out / "x", "--force", "-q", ear=("-f", "middle-ear")) == 0
    assert not differences(out)
    write_tone(out / "x" / "b.wav", seed=5)
    assert set(differences(out)) == {("output", "x/b.wav", "has another content")}


@pytest.mark.parametrize("data", [b"", b"hello\n", b"RIFF\x00\x01\n", b'("name": "a"}\n' * 3])
def test_what_is_no_manifest_vouches_for_nothing(
    corpus: Path, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """A check that runs each night must not pass since it was given another file."""
    path = corpus / "out" / "m.jsonl"
    path.write_bytes(data)
    assert run(["verify", "--manifest", str(path)]) == 2
    assert "holds no entry: it is no manifest, or is damaged" in capfd.readouterr().err


def test_damaged_lines_are_told_and_one_that_was_torn_by_a_kill_is_not(corpus: Path) -> None:
    path = corpus / "out" / ".earfilt-manifest.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"name": "c.wav", "source": [1, 1], "rec\n' + b'{"name": "d')
    assert differences(corpus / "out") == []
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-2], lines[-2].replace(b'"', b"'"), lines[-1]]))
    found = differences(corpus / "out")
    assert ("directory", ".", MANIFEST_DAMAGED) in found


def test_damaged_lines_are_told_after_other_batches_too(corpus: Path, tree: Tree) -> None:
    out, more = corpus / "out", tree("new.wav", under="more")
    path = out / ".earfilt-manifest.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'"source_sha256": "', b'"source_sha256": 7"')
    path.write_bytes(b"".join(lines))
    for _ in range(2):
        assert apply(more, out, "-q", "--force") == 0
        assert ("directory", ".", MANIFEST_DAMAGED) in differences(out)


MANIFEST_DAMAGED = "1 line of its manifest cannot be read: damaged, or of a later version"
