"""What further cores gain: the same calls pinned to 1, 2, 4, 8 and 16 of them with ``taskset``, as
many as there are; threads of one process against processes.
"""

import multiprocessing
import os
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks import programs, recordings
from benchmarks.corpus import SPEC, apply
from benchmarks.harness import Bench, Case, duration, has, heading, ratio, table, times
from benchmarks.material import HEADPHONE, OUTER_MIDDLE, Filter, Sound
from earfilt.cores import cores
from earfilt.render.process import FileJob, filter_file

TWO, EIGHT = 1.7, 2.0  # two cores against one, for a corpus; eight against two, for one file
LONG_FILES, LONG_MINUTES = 16, 5
PORTION = 16  # files that a worker gets at once
COUNTS = [count for count in (1, 2, 4, 8, 16) if count <= cores()]


def run(bench: Bench) -> None:
    """One file; many short ones and some long ones; then kinds of workers on the short ones."""
    if has("taskset"):
        one_file(bench)
    tree, what, _ = recordings.tree(bench.scratch, bench.quick)
    corpora(bench, tree, what)
    workers(bench, recordings.wavs(tree), what)
    shutil.rmtree(tree)


def pinned(count: int) -> tuple[str, ...]:
    """What to put before a command, so that it has so many cores."""
    there = sorted(os.sched_getaffinity(0))[:count]
    return "taskset", "-c", ",".join(map(str, there))


def one_file(bench: Bench) -> None:
    """What a length takes beyond start-up, by sound, filter and cores."""
    minutes = (1, 2) if bench.quick else (2, 22)
    heading(
        "One file on more cores",
        f"From {minutes[0]} to {minutes[1]} minutes of stereo at 48 kHz, the difference of the two "
        f"in one turn, medians of {bench.repeats} turns. What bounds many cores is what one thread "
        "does at a time: to read, and to write.",
    )
    rows: list[list[object]] = []
    for sound, ear in ((s, e) for s in (Sound("PCM_16", 2), Sound("PCM_24", 2)) for e in EARS):
        took = slopes(bench, sound, ear, minutes)
        what = f"{sound.title}, {len(ear.taps()[0])} taps"
        rows.append([what, *map(duration, took.values()), times(ratio(took, 1, COUNTS[-1]))])
        bench.goal(f"One file, {what}: eight cores against two", ratio(took, 2, 8), at_least=EIGHT)
    table(["sound and filter", *map(_title, COUNTS), "all against one"], rows)


EARS = (HEADPHONE, OUTER_MIDDLE)


def slopes(bench: Bench, sound: Sound, ear: Filter, minutes: tuple[int, int]) -> dict[int, float]:
    """Median seconds from the shorter to the longer file, by cores."""
    short, long = (sound.make(bench.scratch, 60 * m) for m in minutes)
    result = bench.scratch / "result.wav"
    cases = {
        (count, source): partial(programs.earfilt, source, result, ear, *pinned(count))
        for count in COUNTS
        for source in (short, long)
    }
    took = bench.in_turns(cases, before=partial(result.unlink, missing_ok=True), untimed=False)
    for path in (short, long, result):
        path.unlink()
    pairs = {count: zip(took[count, short], took[count, long], strict=True) for count in COUNTS}
    return {count: statistics.median(b - a for a, b in pair) for count, pair in pairs.items()}


def corpora(bench: Bench, tree: Path, what: str) -> None:
    """Whole calls by cores, and what they take beyond a call for one short file."""
    minutes = 1 if bench.quick else LONG_MINUTES
    short, long = (
        f"{len(recordings.wavs(tree))} short files",
        f"{LONG_FILES} stereo files of {minutes} min",
    )
    gains: dict[tuple[str, str], float | None] = {}
    heading(
        "A corpus on more cores",
        f"Short files: {what}. Pinned with taskset. Start-up: the same call for one short file.",
    )
    if has("taskset"):
        few, lone = _long(bench.scratch, minutes), _lone(tree, bench.scratch)
        rows = []
        for title, took in measure(bench, {short: tree, long: few}, lone):
            gains[title] = ratio(took, 1, 2)
            every = [times(ratio(took, 1, count)) for count in COUNTS[1:]]
            rows.append([*title, *map(duration, took.values()), ", ".join(every)])
        table(["files", "", *map(_title, COUNTS), "throughput"], rows)
        for folder in (few, lone):
            shutil.rmtree(folder)
    else:
        print("Not measured: taskset is missing.\n")
    for title in ((files, part) for files in (short, long) for part in PARTS):
        bench.goal(f"Two cores against one, {', '.join(title)}", gains.get(title), at_least=TWO)


PARTS = ("whole call", "beyond start-up")


def _title(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"


def measure(
    bench: Bench, folders: Mapping[str, Path], lone: Path
) -> Iterator[tuple[tuple[str, str], dict[int, float]]]:
    """Seconds by cores, for each of the folders and parts."""
    out = bench.scratch / "out"
    cases: dict[tuple[str, int], Case] = {
        (title, count): partial(apply, folder, out, *pinned(count))
        for title, folder in {**folders, "start": lone}.items()
        for count in COUNTS
    }
    took = bench.medians(cases, before=partial(shutil.rmtree, out, ignore_errors=True))
    shutil.rmtree(out)
    for title in folders:
        yield (title, PARTS[0]), {count: took[title, count] for count in COUNTS}
        yield (
            (title, PARTS[1]),
            {count: took[title, count] - took["start", count] for count in COUNTS},
        )


def _long(scratch: Path, minutes: int) -> Path:
    """Some long files."""
    folder = scratch / "few"
    folder.mkdir()
    source = Sound("PCM_16", 2).make(scratch, 60 * minutes)
    for i in range(LONG_FILES):
        shutil.copy(source, folder / f"{i}.wav")
    source.unlink()
    return folder


def _lone(tree: Path, scratch: Path) -> Path:
    """One short file."""
    folder = scratch / "lone"
    folder.mkdir()
    shutil.copy(recordings.wavs(tree)[0], folder)
    return folder


def workers(bench: Bench, files: Sequence[Path], what: str) -> None:
    """Two threads against two processes, either kept from turn to turn."""
    out = bench.scratch / "out"
    portions = [files[i : i + PORTION] for i in range(0, len(files), PORTION)]
    # a fork server: this process has threads by now, and must not be forked itself
    context = multiprocessing.get_context("forkserver")
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2, mp_context=context) as processes:
        cases: dict[str, Case] = {
            name: partial(work_through, pool, portions, out)
            for name, pool in (("threads", threads), ("processes", processes))
        }
        medians = bench.medians(cases, before=partial(make_anew, out))
    shutil.rmtree(out)
    heading(
        "Threads against processes",
        f"{what}, on two workers that are there already, {PORTION} files at a time. This "
        "decides what --jobs uses.",
    )
    rows = [
        [name, duration(t), times(ratio(medians, name, "processes"))] for name, t in medians.items()
    ]
    table(["two workers", "time", "relative"], rows)


def make_anew(out: Path) -> None:
    """An empty directory."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()


def work_through(pool: Executor, portions: Sequence[Sequence[Path]], out: Path) -> None:
    """All files, on the workers of a pool."""
    list(pool.map(work, portions, [out] * len(portions)))


def work(portion: Sequence[Path], out: Path) -> None:
    """Some files, each on one thread, as in a batch; named by their directories too, since copies
    share their names.
    """
    for path in portion:
        name = "-".join(path.parts[-3:])
        filter_file(FileJob(str(path), str(out / name), name, SPEC), threads=1)
