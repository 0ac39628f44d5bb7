"""What all topics share: timing in turns, tables, the scratch directory."""

import contextlib
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("earfilt"))


@dataclass(frozen=True)
class Bench:
    """One run of the benchmarks.

    Parameters
    ----------
    scratch : Path
        An empty directory on a RAM disk where there is one.
    repeats : int
        Turns; medians are printed.
    quick : bool
        Short signals only.
    """

    scratch: Path
    repeats: int
    quick: bool

    def in_turns(self, cases: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
        """Seconds of each case in every turn; the cases run one after the other in each turn, so that load hits all alike."""
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(self.repeats):
            for name, case in cases.items():
                seconds[name].append(timed(case))
        return seconds

    def medians(self, cases: Mapping[str, Callable[[], object]]) -> dict[str, float]:
        """Median seconds of each case."""
        return {name: statistics.median(seconds) for name, seconds in self.in_turns(cases).items()}


def timed(case: Callable[[], object]) -> float:
    """Seconds of wall clock."""
    started = time.perf_counter()
    case()
    return time.perf_counter() - started


def execute(*command: object) -> None:
    """Run a program to its end, quietly.

    Raises
    ------
    RuntimeError
        With what it said, if it failed.
    """
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-500:]}")


def peak_memory(*command: object) -> float:
    """Largest resident memory of a program run to its end, in MB; NaN where there is no /proc.

    The kernel's high-water mark is read while the program runs: the one that `wait4` reports contains this process's own.
    """
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = math.nan
    while child.poll() is None:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            peak = next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), peak)
        time.sleep(0.005)
    if child.returncode:
        raise RuntimeError(f"{command[0]} ended with {child.returncode}")
    return peak


def scratch_directory() -> Path:
    """A new directory on the RAM disk, else among the temporary files."""
    ram = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="earfilt-bench-", dir=ram if ram.is_dir() else None))


def has(program: str) -> bool:
    """Whether a program is installed; what is not is left out of the tables."""
    return shutil.which(program) is not None


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table; numbers are right-aligned."""
    print("| " + " | ".join(heads) + " |")
    print("|" + "|".join(["---"] + ["---:"] * (len(heads) - 1)) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    print(flush=True)


def heading(text: str, note: str = "") -> None:
    """Print a heading, and a line about what the table shows."""
    print(f"\n## {text}\n\n{note}\n" if note else f"\n## {text}\n", flush=True)


def duration(seconds: float) -> str:
    """Seconds with three digits, or milliseconds below 0.1 s.

    >>> duration(0.0123), duration(1.23456)
    ('12.3 ms', '1.23 s')
    """
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.1 else f"{seconds:.3g} s"
