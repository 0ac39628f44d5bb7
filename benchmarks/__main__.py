"""Run the benchmarks: ``python -m benchmarks [--quick] [--only TOPIC]… [--repeats N]``."""

import argparse
import importlib
import os
import shutil
import signal
import sys
import time

from benchmarks import machine, ramdisk
from benchmarks.harness import Bench, heading, table

TOPICS = (
    *("startup", "engine", "growth", "files", "flac", "corpus", "cores"),
    *("modules", "export", "tolerance"),
)


def main() -> None:
    """Parse the options, run the topics, leave nothing behind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="short files only: shows that all works, and nothing else",
    )
    parser.add_argument(
        "--only", action="append", choices=TOPICS, help="run this topic (repeatable)"
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="turns of which the median is printed (default 5)"
    )
    options = parser.parse_args()
    # what is measured starts as it does where it is installed: with the bytecode of its modules
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # a run that is ended leaves no gigabytes in memory
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    size = ramdisk.LARGEST_QUICK if options.quick else ramdisk.LARGEST
    bench = Bench(ramdisk.directory(size), options.repeats, options.quick)
    try:
        print("# earfilt benchmarks\n")
        table(["machine", ""], machine.describe(bench.scratch))
        warmed = ramdisk.warm(bench.scratch, size) >> 20
        print(
            f"{warmed} MiB were written there and removed, so that no case is the first to "
            "touch that memory.\n"
        )
        run(bench, options.only or TOPICS)
    finally:
        shutil.rmtree(bench.scratch)


def run(bench: Bench, topics: tuple[str, ...] | list[str]) -> None:
    """The topics, how long each took, and the goals."""
    started = time.perf_counter()
    for topic in topics:
        before = time.perf_counter()
        importlib.import_module(f"benchmarks.{topic}").run(bench)
        print(f"*{topic}: {time.perf_counter() - before:.0f} s*\n", flush=True)
    if bench.verdicts:
        heading(
            "Goals",
            "A quick run, on files too short to mean anything."
            if bench.quick
            else "All of this run.",
        )
        table(["goal", "measured", "asked for", "verdict"], bench.verdicts)
    print(f"*All: {time.perf_counter() - started:.0f} s*")


if __name__ == "__main__":
    main()
