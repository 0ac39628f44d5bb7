"""What came of many tries: kind, tries, correct outputs, clean errors, violations."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["correct", "error", "violation"]


@dataclass
class Table:
    """Counts by kind, and what went wrong.

    Attributes
    ----------
    kinds : list of str
        Kinds in the order in which they are shown; others follow.
    counts : dict of Counter
        Outcomes by kind.
    violations : list of str
        One line each.
    skipped : dict
        Kinds that this machine could not try, with the reason.
    """

    kinds: list[str] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    violations: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, outcome: Outcome, detail: str = "") -> None:
        """Count one try."""
        self.counts[kind][outcome] += 1
        if outcome == "violation":
            self.violations.append(f"{kind}: {detail}")

    def skip(self, kind: str, reason: str) -> None:
        """Say that a kind could not be tried."""
        self.skipped[kind] = reason

    @property
    def tries(self) -> int:
        """All of them."""
        return sum(sum(counter.values()) for counter in self.counts.values())

    def _ordered(self) -> list[tuple[str, Counter[str]]]:
        others = [kind for kind in self.counts if kind not in self.kinds]
        return [(kind, self.counts[kind]) for kind in (*self.kinds, *others) if kind in self.counts]

    def __str__(self) -> str:
        rows = [
            (kind, sum(c.values()), c["correct"], c["error"], c["violation"])
            for kind, c in self._ordered()
        ]
        rows.append(("all", *(sum(row[i] for row in rows) for i in range(1, 5))))
        width = max(len(row[0]) for row in rows)
        lines = [f"{'kind':{width}}  {'tries':>7} {'correct':>8} {'errors':>7} {'violations':>10}"]
        lines += [
            f"{kind:{width}}  {tries:7} {correct:8} {error:7} {bad:10}"
            for kind, tries, correct, error, bad in rows
        ]
        lines += [f"NOT TRIED {kind}: {reason}" for kind, reason in self.skipped.items()]
        return "\n".join(lines + [f"VIOLATION {line}" for line in self.violations])
