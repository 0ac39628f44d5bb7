"""Faults of disks and files: full, read-only, vanishing; a source that changes while it is read."""

import contextlib
import os
import resource
import shutil
import time
from functools import partial

from tests.robustness.cli import Ended, Warm, real, shell, warm
from tests.robustness.scene import (
    CONTAINERS,
    FILTER,
    Scene,
    digest,
    mounted,
    refusal_fault,
    scene,
    sound,
)
from tests.robustness.table import Table

LIMITS = (0, 1, 12, 43, 44, 45, 100, 4095, 65_536)


def record(table: Table, kind: str, fault: str | None, ended: Ended, what: str) -> None:
    """Count a try by what is wrong with it, if anything."""
    table.add(
        kind,
        "violation" if fault else "correct" if ended.code == 0 else "error",
        f"{what}: {fault}",
    )


def limit_file_size(most: int) -> None:
    """No file may grow beyond that many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def full_by_limit(table: Table, scale: float) -> None:
    """A limit on the size of files, at the head, in the middle and at the last byte of every
    container.
    """
    extensions = list(CONTAINERS) if scale >= 1 else ["wav", "flac", "aiff"]
    with scene(*extensions, seconds=0.5) as place:
        wanted = place.reference()
        for extension in extensions:
            size = len(place.files[f"in/a.{extension}"])
            output = f"a.{extension}"
            for limit in [*LIMITS, size // 3, size // 2] if scale >= 1 else [0, 45, size // 2]:
                ended = warm(
                    ["apply", f"in/{output}", f"out/{output}", *FILTER],
                    place.folder,
                    partial(limit_file_size, limit),
                )
                fault = place.fault(wanted) or (
                    refusal_fault(ended, "File too large") if ended.code else None
                )
                if not (place.out / output).exists() and not ended.code:
                    fault = "exit code 0 and no output"
                record(
                    table,
                    "disk full, by a limit on files",
                    fault,
                    ended,
                    f"{extension} at {limit} bytes",
                )
                place.clear()


def full_file_system(table: Table, scale: float) -> None:
    """A file system that is too small, has no room for a file's name, or is filled by others."""
    extensions = list(CONTAINERS) if scale >= 1 else ["wav"]
    with scene(*extensions, seconds=0.5) as place:
        wanted = place.reference()
        for options in ("size=16k", "size=64k", "size=1m,nr_inodes=1", "size=1m,nr_inodes=2"):
            for extension in extensions:
                with mounted(place.out, options):
                    ended = warm(
                        ["apply", f"in/a.{extension}", f"out/a.{extension}", *FILTER], place.folder
                    )
                    fault = place.fault(wanted) or (
                        refusal_fault(ended, "No space left") if ended.code else None
                    )
                    record(
                        table,
                        "disk full, a small file system",
                        fault,
                        ended,
                        f"{extension}, {options}",
                    )


def full_in_a_batch(table: Table, scale: float) -> None:
    """The disk is full after some files of a batch: those are whole, the others are told, and the
    batch ends when there is room.
    """
    with scene() as place:
        for k in range(6):  # constant, so that FLAC makes them far smaller than is usual
            place.files[f"in/{k}.flac"] = sound("flac", seconds=0.7, level=0.0, offset=0.1)
            (place.folder / "in").mkdir(exist_ok=True)
            (place.folder / f"in/{k}.flac").write_bytes(place.files[f"in/{k}.flac"])
        words = [
            "apply",
            "in",
            "out",
            *FILTER,
            "--format",
            "wav",
            "--subtype",
            "DOUBLE",
            "--jobs",
            "2",
        ]
        real([*words[:2], "whole", *words[3:]], place.folder)
        wanted = {path.name: digest(path) for path in (place.folder / "whole").glob("*.wav")}
        for size in ("2500k", "1300k", "600k", "20k") if scale >= 1 else ("1300k",):
            with mounted(place.out, f"size={size}"):
                ended = real(words, place.folder)
                fault = place.fault(wanted) or (
                    _batch_fault(ended) if ended.code != 0 else "exit code 0"
                )
                record(table, "disk full, in a batch", fault, ended, size)


def _batch_fault(ended: Ended) -> str | None:
    if ended.code not in (1, 2) or "Traceback" in ended.err or "unexpected" in ended.err:
        return f"exit code {ended.code}: {ended.err[-300:]}"
    return None if "space" in ended.err or " free" in ended.err else f"said {ended.err[-300:]!r}"


def full_elsewhere(table: Table, scale: float) -> None:
    """No room for curves, figures, designs, reports, the standard output and what is spooled."""
    with scene("wav", "flac") as place:
        small = place.folder / "small"
        small.mkdir()
        full = {
            "response": "$EARFILT response -f headphone -o small/a.csv --points 4000",
            "figure": "$EARFILT response -f headphone -o small/a.svg",
            "design": "$EARFILT design -f headphone -o small/a.json",
            "report": "$EARFILT apply in/a.wav out/a.wav -f headphone -q --report /dev/full",
            "table on stdout": "$EARFILT response -f headphone > /dev/full",
            "list on stdout": "$EARFILT filters > /dev/full",
            "audio on stdout": "$EARFILT apply in/a.wav - -f headphone -q > /dev/full",
            "FLAC on stdout": "$EARFILT apply in/a.flac - --format flac -f headphone -q > "
            "/dev/full",
            "device": "$EARFILT apply in/a.wav /dev/full -f headphone -q",
            "spool": "cat in/a.flac | TMPDIR=$PWD/small $EARFILT apply - - -f headphone -q",
        }
        with mounted(small, "size=8k"):
            for what, script in list(full.items())[:: 1 if scale >= 1 else 4]:
                ended = shell(script, place.folder)
                left = [path.name for path in small.iterdir()]
                fault = refusal_fault(ended, "space", "spool") or (f"{left} left" if left else None)
                record(table, "disk full, other outputs", fault, ended, what)
                for name in left:
                    (small / name).unlink()
                place.clear()


def as_mere_owner() -> list[str]:
    """How a program is started for which permissions hold, root's too."""
    return ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if os.geteuid() == 0 else []


def read_only(table: Table, scale: float) -> None:
    """Directories that cannot be written: by permission, by the file system; for one file, a batch,
    a report.
    """
    kind = "read-only directory"
    with scene("wav") as place:
        for path in (place.folder / "in", place.out):
            path.chmod(0o555)
        words = ["apply", "in/a.wav", "out/a.wav", *FILTER]
        for what, command in {"one file": words, "forced": [*words, "--force"], "in " "place": ["apply", "in/a.wav", "--in-place", *FILTER],
                              "batch": ["apply", "in", "out/deeper", *FILTER]}.items():  # fmt: skip
            ended = real(command, place.folder, prefix=as_mere_owner())
            record(table, kind, refusal_fault(ended, "permission") or place.fault({}), ended, what)
        for path in (place.folder / "in", place.out):
            path.chmod(0o755)
        with mounted(place.out, "size=1m,ro"):
            for what, command in {
                "one file": words,
                "batch": ["apply", "in", "out", *FILTER],
            }.items():
                ended = warm(command, place.folder)
                record(
                    table,
                    kind,
                    refusal_fault(ended, "ead-only", "permission") or place.fault({}),
                    ended,
                    f"{what}, mounted so",
                )


def vanishing_directory(table: Table, scale: float) -> None:
    """The output's directory is removed, or moved away, while the source is still coming in."""
    for way in ("removed", "moved", "replaced") * max(1, round(scale * 3)):
        with scene("wav") as place:
            wanted = place.reference()
            data = place.files["in/a.wav"]
            pipe = place.folder / "pipe"
            os.mkfifo(pipe)
            job = Warm(["apply", "-", "out/a.wav", *FILTER], place.folder, stdin=pipe)
            with open(pipe, "wb", buffering=0) as feed, contextlib.suppress(BrokenPipeError):
                feed.write(data[: len(data) // 2])
                wait_for_output(place)
                _lose(place, way)
                feed.write(data[len(data) // 2 :])
            ended = job.wait()
            fault = place.fault(wanted) if place.out.is_dir() else None
            fault = fault or (
                refusal_fault(ended, "No such file")
                if way != "moved"
                else refusal_fault(ended, "No such file", codes=(0, 1))
            )
            record(table, "vanishing directory", fault, ended, way)


def wait_for_output(place: Scene) -> None:
    """Until an output was begun."""
    for _ in range(1000):
        if place.temporary():
            return
        time.sleep(0.01)


def _lose(place: Scene, way: str) -> None:
    if way == "moved":
        place.out.rename(place.folder / "elsewhere")
        return
    shutil.rmtree(place.out)
    if way == "replaced":
        place.out.mkdir()


CHANGES = {
    "cut in half": "cut short",
    "emptied": "cut short",
    "removed": None,
    "replaced": None,
    "written over": "changed while it was read",
    "grown": "changed while it was read",
}
"""What happens to a source while it is read, and what is said of it; None: the open file is still
the old one.
"""


def change_source_while_reading(path: str, way: str) -> None:
    """Let the third read of the source find it changed."""
    from earfilt.audio.source import Source

    genuine, calls = Source.readinto, [0]

    def readinto(self: Source, view: memoryview) -> int:
        calls[0] += len(view) > 4096  # samples, no header
        if calls[0] == 3:
            calls[0] += 1
            _change(path, way)
        return genuine(self, view)

    Source.readinto = readinto  # type: ignore[method-assign]


def _change(path: str, way: str) -> None:
    size = os.path.getsize(path)
    if way in ("cut in half", "emptied"):
        os.truncate(path, size // 2 if way == "cut in half" else 0)
    elif way == "removed":
        os.unlink(path)
    elif way == "replaced":
        with open(path + ".new", "wb") as file:
            file.write(bytes(size))
        os.replace(path + ".new", path)
    else:
        with open(path, "r+b") as file:
            file.seek(0, os.SEEK_END if way == "grown" else os.SEEK_SET)
            file.write(bytes(size // 2))


def changing_source(table: Table, scale: float) -> None:
    """A source that is cut, emptied, removed, replaced, written over or added to while it is read."""
    for extension in ("wav", "rf64") * round(3 * scale) or ("wav",):
        for way, said in CHANGES.items():
            with scene(extension, seconds=8.0) as place:
                wanted = place.reference()
                name = f"in/a.{extension}"
                before = partial(change_source_while_reading, str(place.folder / name), way)
                ended = warm(["apply", name, f"out/a.{extension}", *FILTER], place.folder, before)
                fault = place.fault(wanted, changed=True) or (
                    refusal_fault(ended, said) if said else None
                )
                if said is None and ended.code:
                    fault = f"exit code {ended.code}: {ended.err}"
                record(table, "source that changes", fault, ended, f"{extension} {way}")
