"""How many processors there are for this process."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cores"]

_GROUPS, _ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def cores() -> int:
    """Processors that this process may use, at least 1.

    ``taskset`` and the CPU sets and quotas of containers are honoured (those of Linux's control
    groups, both versions; a part of a processor counts as one).
    """
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([own, *map(math.ceil, _quotas())]))


def _quotas() -> Iterator[float]:
    """Processors that the groups of this process, and those above them, may use."""
    with suppress(OSError, ValueError):
        for line in _GROUPS.read_text("utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds and "cpu" not in kinds.split(","):
                continue
            root = _ROOT / "cpu" if kinds else _ROOT
            place = Path(path.lstrip("/"))
            # in a container, the own group is often the root of what can be seen
            for group in dict.fromkeys((place, *place.parents, Path())):
                with suppress(OSError, ValueError, ZeroDivisionError):
                    yield _quota(root / group, split=bool(kinds))


def _quota(group: Path, *, split: bool) -> float:
    """Processors by the files of one group; `split`: as version 1 has them.

    Raises
    ------
    OSError, ValueError
        There is no quota.
    """
    if split:
        words = [(group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")]
    else:
        words = (group / "cpu.max").read_text().split()
    quota, period = map(int, words)  # "max" and -1: none
    if quota <= 0:
        raise ValueError("no quota")
    return quota / period
