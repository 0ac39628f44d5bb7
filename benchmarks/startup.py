"""Start-up: what a command costs beyond imports that are no fault of its own; and what to do in
place of many short calls.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import earfilt
from benchmarks import programs
from benchmarks.harness import PROGRAM, Bench, duration, execute, heading, ratio, table, times
from benchmarks.material import HEADPHONE, Sound

# what is run, what it is held against, and by how many seconds it may take longer
PAIRS = (
    ("earfilt apply, 1 s of stereo", "import torch", 0.4),
    ("earfilt --help", "import typer, rich", 0.2),
)
CALLS = 30


def run(bench: Bench) -> None:
    """Commands against imports; then many calls against one."""
    commands(bench)
    many_calls(bench)


def commands(bench: Bench) -> None:
    """``apply`` on one second against ``import torch``, ``--help`` against ``import typer, rich``."""
    heading("Start-up", f"Whole processes, medians of {bench.repeats} turns.")
    source, result = Sound("PCM_16", 2).make(bench.scratch, 1), bench.scratch / "result.wav"
    seconds = bench.medians(
        {
            "earfilt apply, 1 s of stereo": lambda: programs.earfilt(source, result, HEADPHONE),
            "import torch": lambda: execute(sys.executable, "-c", "import torch"),
            "earfilt --help": lambda: execute(PROGRAM, "--help"),
            "import typer, rich": lambda: execute(sys.executable, "-c", "import typer, rich"),
            "import numpy": lambda: execute(sys.executable, "-c", "import numpy"),
            "python -c pass": lambda: execute(sys.executable, "-c", "pass"),
        }
    )
    rows = [
        [a, duration(seconds[a]), b, duration(seconds[b]), f"{seconds[a] - seconds[b]:+.2f} s"]
        for a, b, _ in PAIRS
    ]
    table(["command", "time", "against", "time", "difference"], rows)
    print(
        f"For comparison: `import numpy` takes {duration(seconds['import numpy'])}, and Python that "
        f"does nothing {duration(seconds['python -c pass'])}.\n"
    )
    for command, against, allowed in PAIRS:
        bench.goal(
            f"{command}: beyond `{against}`",
            seconds[command] - seconds[against],
            at_most=allowed,
            unit=" s",
        )


def many_calls(bench: Bench) -> None:
    """A call for each of some short files, one call for all of them, and the Python function."""
    source, out = Sound("PCM_16", 2).make(bench.scratch, 1), bench.scratch / "out"
    folder = bench.scratch / "calls"
    folder.mkdir()
    files = [folder / f"{i}.wav" for i in range(CALLS)]
    for path in files:
        shutil.copy(source, path)
    medians = bench.medians(
        {
            "a call for each": partial(one_by_one, files, out),
            "one call, --files-from -": partial(listed, files, out),
            "earfilt.apply_file in one Python": partial(in_python, files, out),
        },
        before=partial(_make_anew, out),
    )
    for place in (folder, out):
        shutil.rmtree(place)
    heading(
        "Many short calls",
        f"{CALLS} files of 1 s of stereo, {HEADPHONE.title}; medians of {bench.repeats} turns, whole "
        "processes. The function's time goes without the start of Python and the imports.",
    )
    rows = [
        [way, duration(took), duration(took / CALLS), times(ratio(medians, "a call for each", way))]
        for way, took in medians.items()
    ]
    table(["way", "time", "a file", "faster by"], rows)


def one_by_one(files: Sequence[Path], out: Path) -> None:
    """A process for each."""
    for path in files:
        programs.earfilt(path, out / path.name, HEADPHONE)


def listed(files: Sequence[Path], out: Path) -> None:
    """One process that reads a list of files."""
    command = [PROGRAM, "apply", "--files-from", "-", "-0", str(out), *HEADPHONE.options, "-q"]
    subprocess.run(command, input="\0".join(map(str, files)), text=True, check=True)


def in_python(files: Sequence[Path], out: Path) -> None:
    """The function behind the command, in this process."""
    for path in files:
        earfilt.apply_file(path, out / path.name, HEADPHONE.name, order=HEADPHONE.order)


def _make_anew(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
