"""``python -m tests.robustness.machine``: faults of disk, memory, files, signals, streams and
environment; prints what became of each.

After every one: sources untouched, outputs whole or absent, temporary files gone or cleaned by the
next run, exit code and message right.
"""

import argparse
import sys
import time
from collections.abc import Callable

from tests.robustness import environment, signals, storage, syscalls
from tests.robustness.scene import NoMount
from tests.robustness.table import Table

Fault = Callable[[Table, float], None]

FAULTS: dict[str, Fault] = {
    "disk full, by a limit on files": storage.full_by_limit,
    "disk full, a small file system": storage.full_file_system,
    "disk full, in a batch": storage.full_in_a_batch,
    "disk full, other outputs": storage.full_elsewhere,
    "read-only directory": storage.read_only,
    "vanishing directory": storage.vanishing_directory,
    "source that changes": storage.changing_source,
    "interrupted system calls": signals.interrupted_calls,
    syscalls.KIND: syscalls.failing_calls,
    "out of memory": signals.out_of_memory,
    "killed, one file": signals.killed,
    "killed, waiting for a pipe": signals.killed_waiting,
    "killed, a batch": signals.killed_batch,
    "worker killed": signals.killed_worker,
    "streams closed": environment.closed_streams,
    "environment": environment.bare,
    "hostile names": environment.names,
    "names in the current directory": environment.names_in_current_directory,
    "256 open files": environment.few_descriptors,
}


def campaign(scale: float, only: str = "") -> Table:
    """Try every fault, the repeated ones ``scale`` times as often as usual."""
    table = Table(kinds=list(FAULTS))
    for kind, fault in FAULTS.items():
        if only in kind:
            try:
                fault(table, scale)
            except NoMount as error:
                table.skip(kind, str(error))
    return table


def main() -> int:
    """Print the table; 1 if anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="how often, as a multiple")
    parser.add_argument("--only", default="", help="faults with this in their names")
    given = parser.parse_args()
    started = time.perf_counter()
    table = campaign(given.scale, given.only)
    print(table)
    print(f"{table.tries} tries in {time.perf_counter() - started:.0f} s")
    return 1 if table.violations else 0


if __name__ == "__main__":
    sys.exit(main())
