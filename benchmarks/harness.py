"""What all topics share: timing in turns, goals, programs run and measured, tables."""

import contextlib
import math
import re
import shutil
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

PROGRAM = str(Path(sys.executable).with_name("earfilt"))
WIDTH = 140

Case = Callable[[], object]
Key = TypeVar("Key")


def nothing() -> None:
    """What is done before a case that needs no preparation."""


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
        Short signals only: shows that all works, and nothing else.
    verdicts : list of rows
        Of the goals, as they are measured.
    """

    scratch: Path
    repeats: int
    quick: bool
    verdicts: list[list[object]] = field(default_factory=list)

    def in_turns(
        self,
        cases: Mapping[Key, Case],
        *,
        before: Case = nothing,
        untimed: bool = True,
        turns: int | None = None,
    ) -> dict[Key, list[float]]:
        """Seconds of each case in every turn; the cases run one after the other in each turn, so
        that load hits all alike.

        Parameters
        ----------
        cases : mapping
        before : callable
            Done before each case, untimed: removes what the last one wrote.
        untimed : bool
            A turn more comes first and is not counted, so that no case pays for being the first
            (caches, libraries on disk, compilers).
        turns : int, optional
            Default: `repeats`.
        """
        seconds: dict[Key, list[float]] = {name: [] for name in cases}
        for turn in range(-1 if untimed else 0, self.repeats if turns is None else turns):
            for name, case in cases.items():
                before()
                took = timed(case)
                if turn >= 0:
                    seconds[name].append(took)
        return seconds

    def medians(
        self, cases: Mapping[Key, Case], *, before: Case = nothing, untimed: bool = True
    ) -> dict[Key, float]:
        """Median seconds of each case."""
        return {
            name: statistics.median(took)
            for name, took in self.in_turns(cases, before=before, untimed=untimed).items()
        }

    def goal(
        self,
        what: str,
        measured: float | None,
        *,
        at_least: float = -math.inf,
        at_most: float = math.inf,
        unit: str = "×",
    ) -> None:
        """Hold a number against what it should be, as it is printed: to two decimals; None is not
        measured.
        """
        limits = [
            f"{sign} {limit:g}{unit}"
            for sign, limit in (("≥", at_least), ("≤", at_most))
            if math.isfinite(limit)
        ]
        shown, verdict = "–", "not measured"
        if measured is not None:
            shown = f"{measured:.2f}" if isinstance(measured, float) else f"{measured}"
            verdict = (
                "not judged"
                if self.quick
                else "met"
                if at_least <= float(shown) <= at_most
                else "MISSED"
            )
            shown += unit
        self.verdicts.append([what, shown, ", ".join(limits), verdict])


def timed(case: Case) -> float:
    """Seconds of wall clock."""
    started = time.perf_counter()
    case()
    return time.perf_counter() - started


def ratio(seconds: Mapping[Key, float], above: Key, below: Key) -> float | None:
    """Quotient of two times; None where one was not measured."""
    return seconds[above] / seconds[below] if above in seconds and below in seconds else None


def execute(*command: object) -> None:
    """Run a program to its end, quietly.

    Raises
    ------
    RuntimeError
        With what it said, if it failed.
    """
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-500:]}")


def peak_memory(*command: object) -> float:
    """Largest resident memory of a program run to its end, in MB; NaN where there is no /proc.

    The kernel's high-water mark is read while the program runs: the one that `wait4` reports
    contains this process's own.
    """
    child = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = math.nan
    while child.poll() is None:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            peak = next(
                (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), peak
            )
        time.sleep(0.005)
    if child.returncode:
        raise RuntimeError(f"{command[0]} ended with {child.returncode}")
    return peak


def has(program: str) -> bool:
    """Whether a program is installed; what is not is left out of the tables."""
    return shutil.which(program) is not None


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table, padded to be read as it is; columns of numbers are right-aligned."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = [
        all(re.match(r"[\d+–-]|$", cell) for cell in column[1:])
        for column in zip(*cells, strict=True)
    ]
    lines = [
        [
            f"{cell:{'>' if right else '<'}{width}}"
            for cell, width, right in zip(row, widths, numbers, strict=True)
        ]
        for row in cells
    ]
    lines.insert(
        1,
        [
            "-" * (width - 1) + (":" if right else "-")
            for width, right in zip(widths, numbers, strict=True)
        ],
    )
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), end="\n\n", flush=True)


def heading(text: str, note: str = "") -> None:
    """Print a heading, and what the table shows."""
    print(f"## {text}\n", flush=True)
    if note:
        print(textwrap.fill(note, WIDTH, break_on_hyphens=False), end="\n\n", flush=True)


def duration(seconds: float | None) -> str:
    """Seconds with three digits, or milliseconds below 1 s; a dash for what was not measured.

    >>> duration(0.01234), duration(1.23456), duration(75.06), duration(None)
    ('12.3 ms', '1.23 s', '75.1 s', '–')
    """
    if seconds is None:
        return "–"
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e3:.2f} ms"


def times(factor: float | None) -> str:
    """A ratio, or a dash.

    >>> times(12.345), times(0.00456), times(None)
    ('12.35×', '<0.01×', '–')
    """
    if factor is None:
        return "–"
    return f"{factor:.2f}×" if not 0.0 <= factor < 0.01 else "<0.01×"
