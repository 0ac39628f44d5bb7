"""Start-up: what a command costs beyond imports that are no fault of its own."""

import sys

from benchmarks import programs
from benchmarks.harness import PROGRAM, Bench, duration, execute, heading, table
from benchmarks.material import HEADPHONE, Sound

# what is run, what it is held against, and by how many seconds it may take longer
PAIRS = (
    ("earfilt apply, 1 s of stereo", "import torch", 0.4),
    ("earfilt --help", "import typer, rich", 0.2),
)


def run(bench: Bench) -> None:
    """``apply`` on one second against ``import torch``, ``--help`` against ``import typer, rich``."""
    heading("Start-up", f"Whole processes, medians of {bench.repeats} turns.")
    source, result = Sound("PCM_16", 2).make(bench.scratch, 1), bench.scratch / "result.wav"
    seconds = bench.medians(
        {
            "earfilt apply, 1 s of stereo": lambda: programs.earfilt(source, result, HEADPHONE),
            "import torch": lambda: execute(sys.executable, "-c", "import torch"),
            "earfilt --help": lambda: execute(PROGRAM, "--help"),
            "import typer, rich": lambda: execute(sys.executable, "-c", "import typer, rich"),
        }
    )
    rows = [
        [a, duration(seconds[a]), b, duration(seconds[b]), f"{seconds[a] - seconds[b]:+.2f} s"]
        for a, b, _ in PAIRS
    ]
    table(["command", "time", "against", "time", "difference"], rows)
    for command, against, allowed in PAIRS:
        bench.goal(
            f"{command}: beyond `{against}`",
            seconds[command] - seconds[against],
            at_most=allowed,
            unit=" s",
        )
