"""Many short recordings in one call, against a process for each; the planning of large trees."""

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import recordings
from benchmarks.harness import (
    PROGRAM,
    Bench,
    Case,
    duration,
    execute,
    has,
    heading,
    peak_memory,
    ratio,
    table,
    timed,
    times,
)
from earfilt.chains.members import resolve
from earfilt.render.process import FileJob, filter_file

SPEC = resolve("headphone")
# of so many outputs one is compared with the command line, the others with the function behind it
EVERY = 200


def run(bench: Bench) -> None:
    """The same tree by both, and trees of tiny files."""
    tree, what, real = recordings.tree(bench.scratch, bench.quick)
    one_call(bench, tree, what, real)
    planning(bench, recordings.wavs(tree)[0])
    shutil.rmtree(tree)


def apply(tree: Path, out: Path, *prefix: str) -> None:
    """The command line on a directory."""
    execute(*prefix, PROGRAM, "apply", tree, out, "-f", SPEC.name, "-q")


def one_call(bench: Bench, tree: Path, what: str, real: bool) -> None:
    """One call for all against a SoX for each; and each output against that of a single run."""
    out, sox_out, taps = (bench.scratch / name for name in ("out", "sox-out", "taps.txt"))
    np.savetxt(taps, SPEC.at(recordings.FS).taps, fmt="%.17g")
    cases: dict[str, Case] = {"earfilt apply, one call": partial(apply, tree, out)}
    if has("sox"):
        cases["find … \\| xargs -P2 sox -D … fir"] = partial(sox, tree, sox_out, taps)
    names = list(cases)
    medians = bench.medians(cases, before=partial(make_room, tree, out, sox_out))
    files = recordings.wavs(tree)
    make_room(tree, out, sox_out)
    apply(tree, out)
    unequal = different(files, tree, out, bench.scratch / "single.wav")
    heading(
        "A corpus of short recordings",
        f"{what}; medians of {bench.repeats} turns, whole processes, start-up included.",
    )
    table(
        ["program", "time", "a file", "earfilt is faster by"],
        [
            [name, duration(t), duration(t / len(files)), times(ratio(medians, name, names[0]))]
            for name, t in medians.items()
        ],
    )
    print(f"Outputs that differ from those of single runs: {unequal} of {len(files)}.\n")
    faster = ratio(medians, names[1], names[0]) if real and len(names) == 2 else None
    bench.goal(
        f"{len(files)} short recordings in one call: faster than `xargs -P2 sox` by",
        faster,
        at_least=2.0,
    )
    bench.goal(
        "Outputs of that call that differ from those of single runs", unequal, at_most=0, unit=""
    )
    for folder in (out, sox_out):
        shutil.rmtree(folder, ignore_errors=True)


def make_room(tree: Path, out: Path, sox_out: Path) -> None:
    """Remove the outputs; SoX needs the directories to be there, and gets them for nothing."""
    for folder in (out, sox_out):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (tree, *(path for path in tree.rglob("*") if path.is_dir())):
        (sox_out / folder.relative_to(tree)).mkdir(parents=True)


def sox(tree: Path, out: Path, taps: Path) -> None:
    """The usual way: find, and two SoX at a time."""
    line = (
        f"cd {tree} && find . -name '*.wav' -print0 | xargs -0 -P2 -I{{}} sox -D {{}} "
        f"{out}/{{}} fir {taps}"
    )
    # it warns of what it clips
    subprocess.run(["sh", "-c", line], check=True, stderr=subprocess.DEVNULL)


def different(files: list[Path], tree: Path, out: Path, single: Path) -> int:
    """Outputs of the batch that are not those of `filter_file` and, for a few, of the command line,
    byte for byte.
    """
    count = 0
    for i, path in enumerate(files):
        if i % EVERY == 0:
            execute(PROGRAM, "apply", path, single, "-f", SPEC.name, "-q")
        else:
            filter_file(FileJob(str(path), str(single), path.name, SPEC))
        count += single.read_bytes() != (out / path.relative_to(tree)).read_bytes()
        single.unlink()
    return count


def planning(bench: Bench, model: Path) -> None:
    """Trees of tiny files, planned and printed."""
    rows: list[list[object]] = []
    for count in (1000,) if bench.quick else (1000, 10_000, 100_000):
        tree = bench.scratch / "tiny"
        for i in range(0, count, 1000):
            (tree / f"{i // 1000:03d}").mkdir(parents=True)
            for k in range(1000):
                os.link(model, tree / f"{i // 1000:03d}" / f"recording-{k:03d}.wav")
        command = (PROGRAM, "apply", tree, bench.scratch / "out-tiny", "-f", SPEC.name, "--dry-run")
        rows.append(
            [
                f"{count:,}",
                duration(timed(partial(execute, *command))),
                f"{peak_memory(*command):.0f} MB",
            ]
        )
        shutil.rmtree(tree)
    heading(
        "Planning",
        "earfilt apply --dry-run on trees of tiny files, 1000 in a directory; one run each.",
    )
    table(["files", "time", "peak memory"], rows)
