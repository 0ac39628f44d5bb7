"""Equal-loudness contours of ISO 226 as filters: a level, or a change of level, in their name."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from earfilt.ears.ear import Points
from earfilt.ears.kinds.measured import Measured
from earfilt.ears.options import BEYOND, CURVE_PHASE
from earfilt.ears.table import FREQUENCY, Table
from earfilt.errors import DataError, UsageError, printable

if TYPE_CHECKING:
    from earfilt.ears.entry import Entry

EDITIONS = ("2023", "2003")
COLUMNS = ("alpha_f", "l_u_db", "t_f_db")
LOWEST, HIGHEST = 10.0, 100.0
_USES = {"weighting": 1, "change": 2}
_VALID = (20.0, 80.0, 90.0)


class Contour(Measured):
    """The weighting of the hearing at a loudness level, or what a change of level needs.

    ``equal-loudness:PHON`` is PHON − L(f, PHON). ``loudness-change:FROM:TO`` is
    [L(f, TO) − TO] − [L(f, FROM) − FROM]: what sound that is balanced at FROM phon needs to be so
    when it plays at TO. ``:2003`` behind them takes the older edition of the standard.

    References
    ----------
    ISO 226:2023 and ISO 226:2003. Acoustics - Normal equal-loudness-level contours.
    """

    kind = "contour"
    keys = frozenset({"use", "interpolation", "beyond"})
    declared = (CURVE_PHASE, BEYOND)

    @classmethod
    def _read(cls, entry: Entry) -> Self:
        use = entry.parameters.get("use")
        if use not in _USES or len(entry.tables) != len(EDITIONS):
            raise DataError(entry.full_name, f"needs a use ({', '.join(_USES)}) and two tables")
        levels, edition = _arguments(entry, _USES[use])
        table = entry.table(EDITIONS.index(edition))
        table.require([FREQUENCY, *COLUMNS], [])
        entry = replace(
            entry,
            tables=(table.id,),
            sources=(entry.sources[EDITIONS.index(edition)],),
            caveats=(*entry.caveats, *_caveats(levels)),
        )
        # The hearing's weighting at a level, and how it changes between two.
        weightings = [
            [phon - level for level in contour_db(table, phon, edition)] for phon in levels
        ]
        gain = (
            weightings[0]
            if use == "weighting"
            else [before - after for before, after in zip(*weightings, strict=True)]
        )
        published = Points(freqs=table.frequencies, gain_db=tuple(gain))
        return cls(entry=entry, published=published, interpolation="linear")


def contour_db(table: Table, phon: float, edition: str) -> tuple[float, ...]:
    """Levels in dB SPL of the contour at a loudness level, at the table's frequencies.

    Parameters
    ----------
    table : Table
        alpha_f, L_U and T_f of the edition.
    phon : float
    edition : {'2023', '2003'}
    """
    level = _level_2023 if edition == "2023" else _level_2003
    rows = zip(*(table.columns[name] for name in COLUMNS), strict=True)
    return tuple(level(phon, *row) for row in rows)


def _level_2023(phon: float, alpha: float, l_u: float, t_f: float) -> float:
    """ISO 226:2023, formula (1)."""
    loudness = 4e-10 ** (0.3 - alpha) * (10.0 ** (0.03 * phon) - 10.0**0.072)
    return 10.0 / alpha * math.log10(loudness + 10.0 ** (alpha * (t_f + l_u) / 10.0)) - l_u


def _level_2003(phon: float, alpha: float, l_u: float, t_f: float) -> float:
    """ISO 226:2003, formula (1)."""
    threshold = (0.4 * 10.0 ** ((t_f + l_u) / 10.0 - 9.0)) ** alpha
    loudness = 4.47e-3 * (10.0 ** (0.025 * phon) - 1.15) + threshold
    return 10.0 / alpha * math.log10(loudness) - l_u + 94.0


def _arguments(entry: Entry, count: int) -> tuple[list[float], str]:
    """Levels in phon, and the edition, of an entry's name."""
    words = entry.variant.split(":") if entry.variant else []
    edition = EDITIONS[0]
    if len(words) == count + 1 and words[-1] in EDITIONS:
        edition = words.pop()
    if len(words) != count or not all(re.fullmatch(r"\d+(\.\d+)?", word) for word in words):
        raise UsageError(
            f"'{printable(entry.full_name)}' is written {entry.name}:{entry.arguments}, with "
            "levels in phon: "
            f"{entry.name}:{':'.join(['60', '80'][:count])}"
        )
    levels = [float(word) for word in words]
    for level in levels:
        if not LOWEST <= level <= HIGHEST:
            raise UsageError(
                f"'{printable(entry.full_name)}': {level:g} phon; contours are given from "
                f"{LOWEST:g} to {HIGHEST:g} phon"
            )
    return levels, edition


def _caveats(levels: Sequence[float]) -> list[str]:
    low, high_above, high = _VALID
    outside = [f"{level:g}" for level in levels if not low <= level <= high]
    above = [f"{level:g}" for level in levels if high_above < level <= high]
    words = []
    if outside:
        words.append(
            f"{' and '.join(outside)} phon: outside {low:g} to {high:g} phon the standard gives "
            "its contours for information only"
        )
    if above:
        words.append(
            f"{' and '.join(above)} phon: above 4 kHz the standard covers levels up to "
            f"{high_above:g} phon"
        )
    return words


KINDS = (Contour,)
