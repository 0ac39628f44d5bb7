"""A file in place is filtered once: by any run, whenever one ended, and wherever the file has
gone since.
"""

import hashlib
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from earfilt.chains.members import resolve
from earfilt.errors import AudioError, UsageError
from earfilt.render import in_place
from earfilt.render.job import FileJob, Options
from earfilt.render.process import check, filter_file
from earfilt.render.recipe import recipe_of
from earfilt.storage import manifest
from earfilt.storage.manifest import Manifest, manifest_path
from tests.batch.trees import write_tone

SPEC = resolve("headphone", order=64)


def job(path: Path, **options: object) -> FileJob:
    return FileJob(str(path), str(path), path.name, SPEC, Options(in_place=True, **options))  # type: ignore[arg-type]


def content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "d" / "a.wav"
    write_tone(path)
    return path


@pytest.fixture
def once(recording: Path, tmp_path: Path) -> str:
    """What the recording has to become, made by a run that is not in place."""
    filter_file(FileJob(str(recording), str(tmp_path / "once.wav"), "a.wav", SPEC))
    return content(tmp_path / "once.wav")


def test_a_second_time_is_refused_left_or_forced(recording: Path, once: str) -> None:
    row = filter_file(job(recording))
    assert (content(recording), row.output_sha256) == (once, once)
    with pytest.raises(UsageError, match="was filtered before"):
        check(job(recording))
    with pytest.raises(UsageError, match="was filtered before"):
        filter_file(job(recording))
    assert filter_file(job(recording, exists="skip")).status == "skipped"
    assert content(recording) == once
    check(job(recording, exists="force"))
    assert filter_file(job(recording, exists="force")).status == "ok"
    assert content(recording) != once


def test_a_task_that_is_done_again_knows_its_own_work_also_when_forced(
    recording: Path, once: str
) -> None:
    filter_file(job(recording))
    forced = job(recording, exists="force")
    assert filter_file(forced).status == "ok"
    twice = content(recording)
    assert filter_file(forced).status == "skipped"  # the worker died before it could tell
    assert content(recording) == twice


class Killed(BaseException):
    """The process ends here."""


def dies(*_: object, **__: object) -> None:
    raise Killed


MOMENTS: list[tuple[str, str, bool]] = [
    ("earfilt.storage.manifest.Manifest.locked", "before the lock", False),
    ("earfilt.storage.manifest._end_line", "before the line", False),
    ("earfilt.render.in_place.make_durable", "behind the line", False),
    ("earfilt.storage.output.publish", "before the name is taken", False),
    ("earfilt.render.process._describe", "behind it", True),
]


@pytest.mark.parametrize(
    ("place", "when", "replaced"), MOMENTS, ids=[moment[1] for moment in MOMENTS]
)
def test_killed_at_any_moment(
    place: str,
    when: str,
    replaced: bool,
    recording: Path,
    once: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = content(recording)
    with monkeypatch.context() as patched:
        patched.setattr(place, dies)
        with pytest.raises(Killed):
            filter_file(job(recording))
    assert content(recording) == (once if replaced else original)
    # The tree moves to another disk: other inodes, other times.
    copy = recording.parent.parent / "copy"
    shutil.copytree(recording.parent, copy, copy_function=shutil.copyfile)
    for path in (recording, copy / "a.wav"):
        assert filter_file(job(path, exists="skip")).status == ("skipped" if replaced else "ok")
        assert content(path) == once


def test_a_torn_record_says_nothing_and_stops_nothing(
    recording: Path, once: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    original = content(recording)
    with monkeypatch.context() as patched:
        patched.setattr(manifest.os, "write", half)
        with pytest.raises(AudioError, match=r"cannot write .*manifest.*no space"):
            filter_file(job(recording))
    assert content(recording) == original
    filter_file(job(recording))
    assert content(recording) == once
    with pytest.raises(UsageError, match="filtered before"):
        check(job(recording))


@pytest.mark.parametrize("year", [1950, 2300])
def test_a_file_of_another_century_is_filtered_once(
    year: int, recording: Path, once: str, tmp_path: Path
) -> None:
    seconds = (year - 1970) * 31_557_600
    os.utime(recording, (seconds, seconds))
    if recording.stat().st_mtime_ns != seconds * 10**9:
        pytest.skip("this disk holds no such time")
    filter_file(job(recording))
    shutil.copytree(recording.parent, tmp_path / "copy", copy_function=shutil.copyfile)
    with pytest.raises(UsageError, match="was filtered before"):
        check(job(tmp_path / "copy" / "a.wav"))
    assert filter_file(job(tmp_path / "copy" / "a.wav", exists="skip")).status == "skipped"


def test_a_record_that_cannot_be_read_is_no_leave_to_filter(
    recording: Path, once: str, tmp_path: Path
) -> None:
    filter_file(job(recording))
    copy = tmp_path / "copy" / "a.wav"  # whose mark is gone
    shutil.copytree(recording.parent, copy.parent, copy_function=shutil.copyfile)
    record = Path(manifest_path(str(copy.parent)))
    record.write_text(record.read_text().replace(f'"{once}"', f'{{"sha3": "{once}"}}'))
    for act in (check, filter_file):
        with pytest.raises(
            UsageError, match=r'may have been filtered .* exists="force" filters it'
        ):
            act(job(copy))
    with pytest.raises(UsageError, match="may have been filtered"):
        filter_file(job(copy, exists="skip"))
    assert content(copy) == once
    assert filter_file(job(copy, exists="force")).status == "ok"
    assert filter_file(job(copy, exists="skip")).status == "skipped"


def no_locks(descriptor: int) -> None:
    raise OSError(38, "Function not implemented")


def test_what_cannot_be_recorded_is_not_replaced(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = content(recording)
    with monkeypatch.context() as patched:
        patched.setattr(manifest, "_flock", no_locks)
        with pytest.raises(AudioError, match="its file system has no locks"):
            filter_file(job(recording))
    os.unlink(manifest_path(str(recording.parent)))
    os.mkdir(manifest_path(str(recording.parent)))
    for act in (check, filter_file):
        with pytest.raises(AudioError, match=r"manifest.*(not a regular file|directory)"):
            act(job(recording))
    assert content(recording) == original
    assert sorted(os.listdir(recording.parent)) == [".earfilt-manifest.jsonl", "a.wav"]


def test_the_line_is_on_the_disk_before_the_name_is_taken(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power may fail: the order of the system calls is what counts."""
    order: list[str] = []
    fsync, move = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def moved(source: str, target: str) -> None:
        order.append("replaced")
        move(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", moved)
    filter_file(job(recording))
    before = order[: order.index("replaced")]
    # the manifest is new: its name too
    assert before.index(".earfilt-manifest.jsonl") < before.index("d")
    assert any(name.startswith(".a.wav.earfilt-") for name in before)


def during_the_filtering(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something once, when the successor is whole and has not been announced."""
    announce = manifest.Manifest.locked
    done = []

    def interrupted(self: Manifest, *, must: bool) -> object:
        if not done:
            done.append(True)
            act()
        return announce(self, must=must)

    monkeypatch.setattr(Manifest, "locked", interrupted)


@pytest.mark.parametrize("same_stamp", [False, True])
def test_another_run_that_was_faster_is_seen(
    same_stamp: bool, recording: Path, once: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = recording.stat()

    def other_run() -> None:
        filter_file(job(recording, exists="skip"))
        if same_stamp:  # a file system with coarse times and without inodes
            os.utime(recording, ns=(status.st_atime_ns, status.st_mtime_ns))
            monkeypatch.setattr(os.path, "samestat", lambda a, b: True)

    during_the_filtering(monkeypatch, other_run)
    row = filter_file(job(recording, exists="skip"))
    assert row.status == "skipped"
    assert content(recording) == once


def test_what_somebody_else_put_there_meanwhile_is_left(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = recording.parent.parent / "other.wav"
    write_tone(other, seed=7)
    theirs = content(other)
    during_the_filtering(monkeypatch, lambda: os.replace(other, recording))
    with pytest.raises(AudioError, match="was replaced while it was filtered"):
        filter_file(job(recording))
    assert content(recording) == theirs


def test_a_file_is_known_by_its_content_under_another_name_and_in_a_copy(
    recording: Path, once: str
) -> None:
    filter_file(job(recording))
    renamed = recording.rename(recording.with_name("b.wav"))
    with pytest.raises(UsageError, match="filtered before"):
        check(job(renamed))
    (deeper := recording.parent / "x").mkdir()
    moved = renamed.rename(deeper / "c.wav")
    with pytest.raises(UsageError, match="filtered before"):
        check(job(moved))


def test_a_link_and_its_file_are_one(recording: Path, once: str) -> None:
    link = recording.parent.parent / "link.wav"
    link.symlink_to(recording)
    filter_file(job(link))
    assert link.is_symlink()
    assert content(recording) == once
    for path in (recording, link):
        with pytest.raises(UsageError, match="filtered before"):
            check(job(path))


def test_an_original_from_a_backup_is_filtered_and_an_edited_file_refused(
    recording: Path, once: str
) -> None:
    backup = recording.read_bytes()
    filter_file(job(recording))
    recording.write_bytes(backup)
    check(job(recording))
    filter_file(job(recording))
    assert content(recording) == once
    # another program added a tag
    recording.write_bytes(recording.read_bytes() + b"LIST\x04\0\0\0INFO")
    for act in (check, filter_file):
        with pytest.raises(UsageError, match="has changed since"):
            act(job(recording))
    with pytest.raises(UsageError, match="has changed since"):
        filter_file(job(recording, exists="skip"))


def test_other_settings_are_refused_since_the_original_is_gone(recording: Path, once: str) -> None:
    filter_file(job(recording))
    with pytest.raises(UsageError, match="other settings"):
        filter_file(job(recording, exists="skip", gain_db=-6.0))
    assert content(recording) == once


def test_a_file_that_fails_is_not_recorded(recording: Path) -> None:
    original = content(recording)
    with pytest.raises(AudioError, match="clipped"):
        filter_file(job(recording, gain_db=60.0, clip="error"))
    assert content(recording) == original
    check(job(recording))
    assert filter_file(job(recording)).status == "ok"


def test_silence_comes_out_as_it_went_in(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    sf.write(path, np.zeros(500), 8000)
    assert filter_file(job(path)).status == "ok"
    assert filter_file(job(path, exists="skip")).status == "skipped"
    assert filter_file(job(path, exists="force")).status == "ok"
    assert not sf.read(path)[0].any()


def test_what_was_forced_counts_by_its_last_recipe(recording: Path) -> None:
    filter_file(job(recording))
    filter_file(job(recording, exists="force", gain_db=-6.0))
    known = in_place.Known()
    known.read(str(recording))
    assert (
        known.last_recipes()
        == {recipe_of(SPEC, Options(gain_db=-6.0)).name}
        < known.recipes().keys()
    )


@pytest.mark.parametrize("suffix", ["wav", "aiff", "caf", "au", "w64", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("behind", ["noise", "a recording"])
def test_a_file_that_holds_more_than_its_samples_is_not_replaced(
    tmp_path: Path, suffix: str, behind: str
) -> None:
    path, other = tmp_path / f"a.{suffix}", tmp_path / "b.wav"
    for file in (path, other):
        sf.write(file, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    tail = other.read_bytes() if behind == "a recording" else b"\x81\x92\x0a" * 700
    with open(path, "ab") as file:
        file.write(tail)
    before = content(path)
    with pytest.raises(AudioError, match=rf"is not replaced.*: {len(tail)} bytes after"):
        filter_file(job(path))
    assert content(path) == before
    assert sorted(os.listdir(tmp_path)) == [path.name, other.name]


@pytest.mark.parametrize("suffix", ["wav", "aiff", "caf", "au", "w64"])
def test_a_file_that_ends_within_a_frame_is_not_replaced(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    sf.write(path, np.random.default_rng(0).normal(0, 0.1, (1000, 2)), 16_000, "PCM_16")
    data = path.read_bytes()
    # A byte more, which the header counts.
    word, head = {"wav": ("<I", 0), "w64": ("<Q", 24), "caf": (">q", 4), "aiff": (">I", 8)}.get(
        suffix, (">I", 0)
    )
    data = data.replace(struct.pack(word, head + 4000), struct.pack(word, head + 4001), 1)
    path.write_bytes(data + b"x")
    with pytest.raises(AudioError, match=r"is not replaced.*: the last byte of its samples"):
        filter_file(job(path))
    assert path.read_bytes() == data + b"x"


def test_a_sphere_file_is_not_replaced_by_its_first_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000, format="NIST")
    whole = path.read_bytes()
    path.write_bytes(whole + b"text of a tool, no sound" * 30)
    before = content(path)
    with pytest.raises(AudioError, match=r"is not replaced.*: 720 bytes after"):
        filter_file(job(path))
    path.write_bytes(whole[:-2000])
    with pytest.raises(AudioError, match="is cut short: its header promises 16000 frames, 15000"):
        filter_file(job(path))
    path.write_bytes(whole + b"text of a tool, no sound" * 30)
    assert content(path) == before


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "GSM610"])
def test_a_file_of_blocks_keeps_its_number_of_frames(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    with sf.SoundFile(path, "w", 8000, 1, subtype) as file:
        file.write(np.random.default_rng(0).normal(0, 0.1, 4081))
    data = bytearray(path.read_bytes())
    at = data.index(b"fact") + 8
    data[at : at + 4] = struct.pack("<I", 4081)
    path.write_bytes(data)
    planned = check(job(path))
    assert planned is not None
    assert planned.frames == filter_file(job(path)).frames == sf.info(path).frames == 4081


@pytest.mark.parametrize(
    ("name", "asked"),
    [("a.flac", "wav"), ("a.wav", "flac"), ("a.wav", "aiff"), ("a.aiff", "caf"), ("a.wav", "w64")],
)
def test_no_container_is_put_under_the_name_of_another(
    tmp_path: Path, name: str, asked: str
) -> None:
    path = tmp_path / name
    sf.write(path, np.random.default_rng(0).normal(0, 0.1, 1000), 16_000, "PCM_16")
    before = content(path)
    for call in (check, filter_file):
        with pytest.raises(UsageError, match="under the name of another format: leave format"):
            call(job(path, format=asked))
    assert content(path) == before


@pytest.mark.parametrize(
    ("name", "asked", "read"),
    [
        ("a.flac", "flac", "FLAC"),
        ("a.wav", "wav", "WAV"),
        ("a.wav", "rf64", "RF64"),
        ("a.aiff", "aif", "AIFF"),
    ],
)
def test_the_container_of_its_name_is_kept_in_place(
    tmp_path: Path, name: str, asked: str, read: str
) -> None:
    path = tmp_path / name
    sf.write(path, np.random.default_rng(0).normal(0, 0.1, 1000), 16_000, "PCM_16")
    filter_file(job(path, format=asked))
    assert sf.info(path).format == read


def test_what_is_read_only_cannot_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sph"
    sf.write(path, np.random.default_rng(0).normal(0, 0.1, 1000), 16_000, format="NIST")
    before = content(path)
    for asked in (None, "wav"):
        with pytest.raises(UsageError, match="give an output"):
            filter_file(job(path, format=asked))
    assert content(path) == before


needs_attributes = pytest.mark.skipif(
    not hasattr(os, "setxattr"), reason="files have no extended attributes on this system"
)


def marked_as(path: Path, **attributes: bytes) -> None:
    try:
        for name, value in attributes.items():
            os.setxattr(path, f"user.{name}", value)
    except OSError:
        pytest.skip("this disk has no extended attributes")


@needs_attributes
def test_a_file_that_left_its_manifest_is_known_by_its_mark(recording: Path, once: str) -> None:
    filter_file(job(recording))
    far = recording.parent.parent / "far" / "b.wav"
    far.parent.mkdir()
    os.rename(recording, far)
    with pytest.raises(UsageError, match="was filtered before"):
        check(job(far))
    with pytest.raises(UsageError, match="was filtered before"):
        filter_file(job(far))
    assert filter_file(job(far, exists="skip")).status == "skipped"
    assert content(far) == once
    new = recording.with_name("new.wav")  # with the attributes of the old one
    write_tone(new, seed=5)
    marked_as(new, earfilt=os.getxattr(far, "user.earfilt"))
    assert filter_file(job(new)).status == "ok"


@needs_attributes
def test_attributes_stay_with_the_file(recording: Path) -> None:
    marked_as(recording, comment=b"only copy", earfilt=b"anything")
    filter_file(job(recording))
    assert os.getxattr(recording, "user.comment") == b"only copy"
    assert os.getxattr(recording, "user.earfilt").decode().startswith(content(recording))
