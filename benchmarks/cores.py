"""What the second core gains: the same calls under ``taskset -c 0``; threads of one process against
processes.
"""

import multiprocessing
import shutil
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks import recordings
from benchmarks.corpus import SPEC, apply
from benchmarks.harness import Bench, Case, duration, has, heading, ratio, table, times
from benchmarks.material import Sound
from earfilt.render.process import FileJob, filter_file

GOAL = 1.7
LONG_FILES = 8
PORTION = 16  # files that a worker gets at once


def run(bench: Bench) -> None:
    """Short files and long ones; then kinds of workers on the short ones."""
    tree, what, _ = recordings.tree(bench.scratch, bench.quick)
    one_and_two(bench, tree, what)
    workers(bench, recordings.wavs(tree), what)
    shutil.rmtree(tree)


def one_and_two(bench: Bench, tree: Path, what: str) -> None:
    """Whole calls on one core and on two, and what they take beyond a call for one short file."""
    minutes = 1 if bench.quick else 10
    short, long = (
        f"{len(recordings.wavs(tree))} short files",
        f"{LONG_FILES} stereo files of {minutes} min",
    )
    parts = ("whole call", "beyond start-up")
    gains: dict[tuple[str, str], float | None] = {}
    heading(
        "Two cores against one",
        f"Short files: {what}. One core: taskset -c 0. Start-up: the same call for one short file.",
    )
    if has("taskset"):
        few, lone = _long(bench.scratch, minutes), _lone(tree, bench.scratch)
        rows = []
        for title, (one, two) in measure(bench, {short: tree, long: few}, lone).items():
            rows.append([*title, duration(one), duration(two), f"{one / two:.2f}×"])
            gains[title] = one / two
        table(["files", "", "one core", "two cores", "throughput"], rows)
        for folder in (few, lone):
            shutil.rmtree(folder)
    else:
        print("Not measured: taskset is missing.\n")
    for title in ((files, part) for files in (short, long) for part in parts):
        bench.goal(f"Two cores against one, {', '.join(title)}", gains.get(title), at_least=GOAL)


def measure(
    bench: Bench, folders: dict[str, Path], lone: Path
) -> dict[tuple[str, str], tuple[float, float]]:
    """Seconds on one core and on two, by files and part."""
    out = bench.scratch / "out"
    prefixes: dict[str, tuple[str, ...]] = {"one": ("taskset", "-c", "0"), "two": ()}
    cases: dict[tuple[str, str], Case] = {
        (title, cores): partial(apply, folder, out, *prefix)
        for title, folder in {**folders, "start": lone}.items()
        for cores, prefix in prefixes.items()
    }
    took = bench.medians(cases, before=partial(shutil.rmtree, out, ignore_errors=True))
    shutil.rmtree(out)
    one, two = ({title: took[title, cores] for title in (*folders, "start")} for cores in prefixes)
    found = {}
    for title in folders:
        found[title, "whole call"] = (one[title], two[title])
        found[title, "beyond start-up"] = (one[title] - one["start"], two[title] - two["start"])
    return found


def _long(scratch: Path, minutes: int) -> Path:
    """A few long files."""
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
