"""``python -m tests.robustness.fuzz``: mutants by the thousand, in child processes that may die;
prints what became of them.

Every mutant is decided by its kind and number, so that a violation can be looked at again:
``--only KIND:NUMBER``.
"""

import argparse
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.robustness import crafted, seeds, worker
from tests.robustness.table import Table

HANGS = 120.0
"""Seconds without a word after which a child is killed, on a machine that may have other work; the
judge counts those of the processor.
"""

PER_CHILD = 200
EVERY_WITH_THE_BINARY = 400
BINARY = Path(sys.executable).with_name("earfilt")
WEIGHTS = {"WAV": 4, "RF64": 2, "FLAC": 2, "AIFF": 2}

_lock = threading.Lock()


def _context() -> "multiprocessing.context.BaseContext":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.robustness.worker"])
    return context


def portions(total: int, kinds: Iterable[str] = seeds.KINDS) -> list[tuple[str, range]]:
    """Numbers to try of each kind, a child's worth at a time."""
    kinds = list(kinds)
    parts = sum(WEIGHTS.get(kind, 1) for kind in kinds)
    shares = [(kind, -(-total * WEIGHTS.get(kind, 1) // parts)) for kind in kinds]
    return [
        (kind, range(at, min(at + PER_CHILD, share)))
        for kind, share in shares
        for at in range(0, share, PER_CHILD)
    ]


def try_in_child(kind: str, numbers: Sequence[int], table: Table) -> None:
    """Try mutants in children; one that dies or hangs is charged to the mutant it was at."""
    context = _context()
    while numbers:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=worker.work, args=(sender, kind, numbers))
        child.start()
        sender.close()
        done, at = 0, numbers[0]
        try:
            while receiver.poll(HANGS):
                at, verdict = receiver.recv()
                if verdict is not None:
                    done += 1
                    with _lock:
                        table.add(kind, verdict.outcome, f"{at}: {verdict.detail}")
            child.kill()
            fault = f"said nothing for {HANGS:g} s"
        except EOFError:
            child.join()
            fault = f"the process died with exit code {child.exitcode}"
        child.join()
        if done == len(numbers):
            return
        with _lock:
            table.add(kind, "violation", f"{at}: {fault}")
        numbers = numbers[done + 1 :]


def try_with_binary(kind: str, number: int, table: Table) -> None:
    """One mutant through the installed program, to see that it ends there as it does in a child."""
    with tempfile.TemporaryDirectory(prefix="earfilt-fuzz-") as top:
        folder = Path(top)
        arguments, output = worker.lay(folder, worker.made(kind, number))
        before = {entry.name for entry in folder.iterdir()}
        ended = subprocess.run(
            [BINARY, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        made = {entry.name for entry in folder.iterdir()} - before
    lines = ended.stderr.splitlines()
    good = ended.returncode == 0 and made == {output.name} and "Traceback" not in ended.stderr
    refused = (
        ended.returncode in (1, 2)
        and not made
        and len(lines) == 1
        and lines[0].startswith("earfilt: ")
    )
    outcome = "correct" if good else "error" if refused else "violation"
    with _lock:
        table.add(
            "through the binary",
            outcome,
            f"{kind}:{number} exit code {ended.returncode}, {ended.stderr[-300:]!r}",
        )


def campaign(
    total: int,
    *,
    jobs: int,
    first: int = 0,
    binary_every: int = EVERY_WITH_THE_BINARY,
    crafted_files: Sequence[int] | None = None,
) -> Table:
    """Try that many mutants (numbered from ``first``), and crafted files (all, if not named)."""
    bad = range(crafted.count()) if crafted_files is None else crafted_files
    table = Table(kinds=[*seeds.KINDS, "crafted"])
    work: list[tuple[str, Sequence[int]]] = [
        (kind, range(first + numbers.start, first + numbers.stop))
        for kind, numbers in portions(total)
    ]
    work += [("crafted", bad[at : at + 8]) for at in range(0, len(bad), 8)]
    random.Random(0).shuffle(work)
    sampled = [
        (kind, number) for kind, numbers in work for number in numbers if number % binary_every == 7
    ]
    _context().Process(target=int).start()  # the fork server starts before any thread does
    with ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(try_in_child, kind, numbers, table) for kind, numbers in work]:
            future.result()
        for future in [
            pool.submit(try_with_binary, kind, number, table) for kind, number in sampled
        ]:
            future.result()
    return table


def main() -> int:
    """Print the table; 1 if anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        help="number of the first mutant: other numbers, other mutants",
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", help="KIND:NUMBER, one mutant alone")
    given = parser.parse_args()
    started = time.perf_counter()
    if given.only:
        kind, _, number = given.only.rpartition(":")
        table = Table()
        try_in_child(kind, range(int(number), int(number) + 1), table)
    else:
        table = campaign(given.mutants, jobs=given.jobs, first=given.first)
    print(table)
    print(f"{table.tries} tries in {time.perf_counter() - started:.0f} s")
    return 1 if table.violations else 0


if __name__ == "__main__":
    sys.exit(main())
