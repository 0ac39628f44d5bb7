"""Start-up: what a command costs beyond the imports that it cannot do without."""

import sys

from tests.bench.harness import PROGRAM, Bench, duration, execute, heading, table
from tests.bench.material import HEADPHONE, Sound


def run(bench: Bench) -> None:
    """``apply`` on one second against ``import torch``, ``--help`` against ``import typer, rich``."""
    heading("Start-up", f"Whole processes, medians of {bench.repeats} turns.")
    source, result = Sound("PCM_16", 2).make(bench.scratch, 1), bench.scratch / "result.wav"
    seconds = bench.medians(
        {
            "torch": lambda: execute(sys.executable, "-c", "import torch"),
            "apply": lambda: execute(PROGRAM, "apply", source, result, *HEADPHONE.options, "--force", "-q"),
            "typer": lambda: execute(sys.executable, "-c", "import typer, rich"),
            "help": lambda: execute(PROGRAM, "--help"),
        }
    )
    pairs = [("earfilt apply, 1 s of stereo", "apply", "import torch", "torch"), ("earfilt --help", "help", "import typer, rich", "typer")]
    rows = [[a, duration(seconds[x]), b, duration(seconds[y]), f"{seconds[x] - seconds[y]:+.2f} s"] for a, x, b, y in pairs]
    table(["command", "time", "against", "time", "difference"], rows)
