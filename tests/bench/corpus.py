"""Whole corpora: many short recordings in one call against a process for each, two cores against one, threads against processes."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from earfilt.batch.corpus import Batch, prepare
from earfilt.batch.executors import Pool, processes
from earfilt.batch.plan import tasks
from earfilt.batch.run import Runner, Unit
from earfilt.filterspec import FilterSpec
from earfilt.process import FileJob, filter_file
from earfilt.spec import realise
from tests.bench.harness import PROGRAM, Bench, duration, execute, has, heading, peak_memory, table, timed

PACKAGE = "asterisk-core-sounds-en-wav"
SPEC = FilterSpec("headphone")
COPIES = 4


def run(bench: Bench) -> None:
    """All four comparisons."""
    copies = 1 if bench.quick else COPIES
    prompts, what = recordings(bench.scratch)
    tree = bench.scratch / "tree"
    for i in range(copies):
        shutil.copytree(prompts, tree / f"copy{i}")
    files = sorted(path for path in tree.rglob("*.wav"))
    one_call(bench, tree, files, f"{copies} × {what}")
    cores(bench, tree)
    executors(bench, tree)
    planning(bench, files[0])
    shutil.rmtree(tree)


def recordings(scratch: Path) -> tuple[Path, str]:
    """A directory of short recordings, and what they are: Debian's spoken prompts, or noise of like lengths where they are missing."""
    listed = subprocess.run(["dpkg", "-L", PACKAGE], capture_output=True, text=True).stdout if has("dpkg") else ""
    prompts = [Path(line) for line in listed.splitlines() if line.endswith(".wav")]
    folder = scratch / "prompts"
    if prompts:
        root = os.path.commonpath(prompts)
        for path in prompts:
            (folder / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path.relative_to(root))
        return folder, f"{len(prompts)} recordings of {PACKAGE}"
    folder.mkdir()
    random = np.random.default_rng(1)
    for i in range(568):
        x = 0.2 * random.standard_normal(int(8000 * random.gamma(1.5, 1.8)) + 800)
        soundfile.write(folder / f"{i:03d}.wav", x.clip(-1, 1), 8000)
    return folder, f"568 files of noise (install {PACKAGE} for real ones)"


def apply(tree: Path, out: Path, *prefix: str) -> None:
    """The command line on a directory that is not there yet."""
    shutil.rmtree(out, ignore_errors=True)
    execute(*prefix, PROGRAM, "apply", tree, out, "-f", SPEC.name, "-q")


def one_call(bench: Bench, tree: Path, files: list[Path], what: str) -> None:
    """One call for all, torch's import included, against a SoX for each."""
    heading("A corpus of short recordings", f"{what}; medians of {bench.repeats} turns, whole processes.")
    out, sox_out = bench.scratch / "out", bench.scratch / "sox-out"
    cases: dict[str, Callable[[], object]] = {"earfilt apply, one call": lambda: apply(tree, out)}
    if has("sox"):
        cases["find … \\| xargs -P2 sox -D … fir"] = lambda: sox(tree, sox_out, bench.scratch / "taps.txt")
    medians = bench.medians(cases)
    ours = medians["earfilt apply, one call"]
    table(
        ["program", "time", "a file", "earfilt is faster by"],
        [[name, duration(time), duration(time / len(files)), f"{time / ours:.2f}×"] for name, time in medians.items()],
    )
    print(f"Outputs that differ from those of single runs: {different(files, tree, out, bench.scratch)} of {len(files)}.\n")


def sox(tree: Path, out: Path, taps: Path) -> None:
    """The usual way: find, and as many SoX at once as there are cores here."""
    np.savetxt(taps, realise(SPEC, 8000).taps, fmt="%.17g")
    for folder in [tree, *(path for path in tree.rglob("*") if path.is_dir())]:
        (out / folder.relative_to(tree)).mkdir(parents=True, exist_ok=True)
    line = f"cd {tree} && find . -name '*.wav' -print0 | xargs -0 -P2 -I{{}} sox -D {{}} {out}/{{}} fir {taps}"
    subprocess.run(["sh", "-c", line], check=True, stderr=subprocess.DEVNULL)  # it warns of what it clips


def different(files: list[Path], tree: Path, out: Path, scratch: Path) -> int:
    """Outputs of the batch that are not those of `filter_file` and, for a few, of the command line, byte for byte."""
    single = scratch / "single.wav"
    count = 0
    for i, path in enumerate(files):
        if i % 200 == 0:
            execute(PROGRAM, "apply", path, single, "-f", SPEC.name, "-q")
        else:
            filter_file(FileJob(str(path), str(single), path.name, SPEC))
        count += single.read_bytes() != (out / path.relative_to(tree)).read_bytes()
        single.unlink()
    return count


def cores(bench: Bench, tree: Path) -> None:
    """The same calls on all cores and on one."""
    heading("Two cores against one", "The same call, and under taskset -c 0. Work: what a call takes beyond one for a single file.")
    if not has("taskset"):
        print("NOT MEASURED: taskset is missing.\n")
        return
    many, few, lone = (bench.scratch / name for name in ("many", "few", "lone"))
    for i in range(1 if bench.quick else COPIES):
        shutil.copytree(tree, many / f"{i}", copy_function=os.link)
    seconds = 20 if bench.quick else 300
    few.mkdir()
    x = (0.1 * np.random.default_rng(1).standard_normal((seconds * 48_000, 2))).clip(-1, 1)
    for i in range(4):
        soundfile.write(few / f"{i}.wav", x, 48_000)
    lone.mkdir()
    shutil.copy(next(tree.rglob("*.wav")), lone)
    count = sum(1 for _ in many.rglob("*.wav"))
    rows = [*on_cores(bench, f"{count} short files", many, lone), *on_cores(bench, f"4 stereo files of {seconds} s", few, lone)]
    table(["files", "", "one core", "two cores", "throughput"], rows)
    for folder in (many, few, lone):
        shutil.rmtree(folder)


def on_cores(bench: Bench, title: str, where: Path, lone: Path) -> list[list[object]]:
    """Whole calls, and the work in them."""
    out, one = bench.scratch / "out", ("taskset", "-c", "0")
    medians = bench.medians(
        {
            "all one": lambda: apply(where, out, *one),
            "all two": lambda: apply(where, out),
            "start one": lambda: apply(lone, out, *one),
            "start two": lambda: apply(lone, out),
        }
    )
    whole = (medians["all one"], medians["all two"])
    work = (whole[0] - medians["start one"], whole[1] - medians["start two"])
    return [[title, part, duration(a), duration(b), f"{a / b:.2f}×"] for part, (a, b) in (("whole call", whole), ("work", work))]


@contextmanager
def threads(workers: int) -> Iterator[Pool]:
    """A pool of threads of this process."""
    pool = Pool(lambda: ThreadPoolExecutor(workers), lambda: workers)
    yield pool
    pool.close()


def executors(bench: Bench, tree: Path) -> None:
    """Threads of one process against processes."""
    heading("Threads against processes", "The same tasks of short files on two workers, torch loaded; this decides what --jobs uses.")
    kinds = {"threads": threads, "processes": processes}
    medians = bench.medians({name: partial(work_through, bench, tree, pool_of) for name, pool_of in kinds.items()})
    rows = [[name, duration(time), f"{time / medians['processes']:.2f}×"] for name, time in medians.items()]
    table(["two workers", "time", "relative"], rows)


def work_through(bench: Bench, tree: Path, pool_of: Callable[[int], AbstractContextManager[Pool]]) -> None:
    """All files of a tree, on two workers of some kind."""
    out = bench.scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    plan = prepare(Batch(SPEC), [str(tree)], str(out))
    portions = [
        [Unit(FileJob(file.source, plan.destination(file), file.name, SPEC), (file.size, file.mtime_ns), file.inode) for file in portion]
        for portion in tasks(plan.files, max_bytes=2 << 20)
    ]
    with pool_of(2) as pool:
        assert all(outcome.row.status == "ok" for outcome in Runner(pool).outcomes(portions))


def planning(bench: Bench, model: Path) -> None:
    """Trees of tiny files, planned and printed."""
    heading("Planning", "earfilt apply --dry-run on trees of tiny files, 1000 in a directory.")
    rows: list[list[object]] = []
    for count in (1000, 10_000) if bench.quick else (1000, 10_000, 100_000):
        tree = bench.scratch / "tiny"
        for i in range(0, count, 1000):
            (tree / f"{i // 1000:03d}").mkdir(parents=True)
            for k in range(1000):
                os.link(model, tree / f"{i // 1000:03d}" / f"recording-{k:03d}.wav")
        command = (PROGRAM, "apply", tree, bench.scratch / "out-tiny", "-f", SPEC.name, "--dry-run")
        seconds = timed(lambda command=command: execute(*command))  # type: ignore[misc]
        rows.append([f"{count:,}", duration(seconds), f"{peak_memory(*command):.0f} MB"])
        shutil.rmtree(tree)
    table(["files", "time", "peak memory"], rows)
