"""Run the benchmarks: ``python -m tests.bench [--quick] [--only TOPIC]… [--repeats N]``."""

import argparse
import importlib
import os
import platform
import shutil
import subprocess
from importlib.metadata import version

from tests.bench.harness import Bench, has, scratch_directory, table

TOPICS = ("engine", "files", "flac", "corpus", "modules", "tolerance", "startup")


def machine() -> list[list[object]]:
    """What it ran on, and which versions."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    rows: list[list[object]] = [["processor", f"{os.cpu_count()} × {name}"], ["Python", platform.python_version()]]
    rows += [[package, version(package)] for package in ("torch", "numpy", "scipy", "soundfile")]
    for program, flag in (("sox", "--version"), ("ffmpeg", "-version"), ("flac", "--version")):
        if has(program):
            rows.append([program, subprocess.run([program, flag], capture_output=True, text=True).stdout.splitlines()[0][:60].strip()])
    return [*rows, ["load at the start", f"{os.getloadavg()[0]:.2f}"]]


def main() -> None:
    """Parse the options, run the topics, leave nothing behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short files only")
    parser.add_argument("--only", action="append", choices=TOPICS, help="run this topic (repeatable)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of which the median is printed (default 5)")
    options = parser.parse_args()
    bench = Bench(scratch_directory(), options.repeats, options.quick)
    print("# earfilt benchmarks\n")
    table(["machine", ""], machine())
    try:
        for topic in options.only or TOPICS:
            importlib.import_module(f"tests.bench.{topic}").run(bench)
    finally:
        shutil.rmtree(bench.scratch)


if __name__ == "__main__":
    main()
