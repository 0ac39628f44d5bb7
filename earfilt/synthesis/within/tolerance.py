"""The smallest order that a filter needs to stay within a tolerance of its published curve.

P, the squared aim or the aim (``earfilt.synthesis.within.band``), is fitted as the smallest degree that
stays within the tolerance allows (``earfilt.synthesis.remez.exchange``,
``earfilt.synthesis.remez.search``), and then split into taps (``earfilt.synthesis.within.taps``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.curve import PublishedCurve
from earfilt.ears.options import LARGEST_ORDER
from earfilt.ears.target import POINTS_UP_TO
from earfilt.errors import UsageError
from earfilt.synthesis.deviation import deviations, felt_corners
from earfilt.synthesis.remez.exchange import Levelled, Problem
from earfilt.synthesis.remez.search import smallest_even_degree
from earfilt.synthesis.remez.work import Work
from earfilt.synthesis.within.band import band_around
from earfilt.synthesis.within.exact import design_within
from earfilt.synthesis.within.taps import (
    Design,
    check_wanted,
    closest,
    measured,
    spectral_factor,
    symmetric,
)
from earfilt.wording import option

__all__ = ["order_for"]

# part of the tolerance kept back for extrema that fall between the samples of the search
_MARGIN = 1e-4
_FELT = 0.005  # a corner of the aim this high, re the tolerance, can be felt
# angles between neighbouring points that are tried as extrema besides the grid of the search
_MARKS_PER_GAP = 4
_MOST_MARKS = 8192  # that the search looks at beside its own grid
_REPAIRS = 8
_PEAK_SAMPLES = 4096
_MOST_WORK = 3e9  # entries of the matrices of all exchanges; orders around 8000 still end before
_ROUGH = 0.01  # how exactly the order at half the rate is wanted


def order_for(
    curve: PublishedCurve, tolerance_db: float, *, phase: Literal["minimum", "zero"] | str
) -> Design:
    """The filter of the smallest even order that stays within `tolerance_db` of a curve, at its
    points and between them.

    Parameters
    ----------
    curve
        What to follow; for a chain of one phase type, the product of its members' curves
        (``earfilt.ears.curve.product``).
    tolerance_db
        Largest deviation of the effective response in dB, > 0.
    phase
        'minimum' (one causal pass) or 'zero' (forwards and backwards).

    Returns
    -------
    Design
        With `met` false where none was found that does: of all that was tried, the one that
        deviates least. Where `order_below` is order - 2, no smaller even order exists. Time grows
        with the square of the order: about 1.5 s at 5600. Beyond 16 384, and where rounding ends
        the search earlier (tolerances below some 0.03 dB on curves that span 100 dB in power), a
        simpler design is used that needs more taps; and once the search has cost as much as it may
        (orders around 8000), what `design_within` finds.

    Raises
    ------
    ValueError
        For a tolerance that is not positive or another phase.
    UsageError
        The curve is steeper between two points than any order up to 131 072 can be.
    """
    check_wanted(tolerance_db, phase)
    power = 2 if phase == "minimum" else 1
    held = tolerance_db * (1 - _MARGIN)
    work = Work(_MOST_WORK)
    problem = _problem(curve, held, power)
    _refuse_cliffs(problem, curve, tolerance_db)
    best, below = smallest_even_degree(
        problem, start=_at_half_rate(curve, held, power, work), largest=LARGEST_ORDER, work=work
    )
    designs = [_design(best, below, curve, tolerance_db, phase)]
    for _ in range(_REPAIRS):
        if designs[-1].met or not best.feasible or work.spent:
            break
        # A curve may have corners between the points that no sample of the search met. The taps
        # show where: try those too.
        problem = Problem(
            problem.bounds,
            np.union1d(problem.marks, _missed_angles(designs[-1].taps, curve, tolerance_db)),
        )
        best, below = smallest_even_degree(
            problem, start=best, below=below, largest=LARGEST_ORDER, work=work
        )
        designs.append(_design(best, below, curve, tolerance_db, phase))
    if designs[-1].met:
        return designs[-1]
    plain = design_within(curve, tolerance_db, phase=phase)
    return closest([*designs, replace(plain, order_below=designs[-1].order_below)])


def _refuse_cliffs(problem: Problem, curve: PublishedCurve, tolerance_db: float) -> None:
    """Refuse what no order can do, before it is searched for: |P'(w)| ≤ degree · max |P|
    (Bernstein).
    """
    centre, width = problem.bounds(curve.points_hz * (2 * np.pi / curve.fs))
    highest = max(np.max(centre + width), np.max(np.add(*problem.grid(_PEAK_SAMPLES))))
    apart = np.maximum(
        (centre - width)[1:] - (centre + width)[:-1], (centre - width)[:-1] - (centre + width)[1:]
    )
    needed = apart / (np.diff(curve.points_hz) * (2 * np.pi / curve.fs) * highest)
    if (needed > LARGEST_ORDER).any():
        at = int(np.argmax(needed))
        low, high = (float(f) for f in curve.points_hz[at : at + 2])
        db = abs(float(np.diff(curve.points_db)[at]))
        raise UsageError(
            f"no order up to {LARGEST_ORDER} stays within {tolerance_db:g} dB: the curve has "
            f"a step of {db:.3g} dB between {low:.12g} and "
            f"{high:.12g} Hz; leave one of them out, or use {option('order')}"
        )


def _at_half_rate(
    curve: PublishedCurve, tolerance_db: float, power: int, work: Work
) -> Levelled | None:
    """About the order needed, from the same curve at half the rate, where all costs are a quarter;
    None if that cannot hold it.
    """
    half = replace(curve, fs=curve.fs / 2)
    if curve.points_hz[-1] > POINTS_UP_TO * half.fs:
        return None
    start = _at_half_rate(half, tolerance_db, power, work)
    best, _ = smallest_even_degree(
        _problem(half, tolerance_db, power),
        start=start,
        largest=LARGEST_ORDER // 2,
        resolution=_ROUGH,
        work=work,
    )
    return best.stretched() if best.feasible else None


def _missed_angles(taps: Floats, curve: PublishedCurve, tolerance_db: float) -> Floats:
    """Angles of the peaks of the deviation that exceed the tolerance."""
    freqs, off = deviations(taps, curve)
    around = np.pad(off, 1, constant_values=0.0)
    peaks = (off > tolerance_db) & (off >= around[:-2]) & (off >= around[2:])
    worst = np.sort(np.argsort(-off[peaks], kind="stable")[:_MOST_MARKS])
    return freqs[peaks][worst] * (2 * np.pi / curve.fs)


def _design(
    best: Levelled, below: Levelled | None, curve: PublishedCurve, tolerance_db: float, phase: str
) -> Design:
    """Taps of a polynomial, and what they achieve."""
    cosines = best.cosines
    return measured(
        spectral_factor(cosines) if phase == "minimum" else symmetric(cosines),
        curve,
        tolerance_db,
        order=best.degree,
        phase=phase,
        order_below=below.degree if below is not None and below.lower > 1 else None,
    )


def _problem(curve: PublishedCurve, tolerance_db: float, power: int) -> Problem:
    """The band around aim^power as an approximation problem in w = 2·pi·f/fs."""
    bounds = band_around(curve, tolerance_db, power)
    return Problem(bounds, _marks(curve, tolerance_db) * (2 * np.pi / curve.fs))


def _marks(curve: PublishedCurve, tolerance_db: float) -> Floats:
    """Frequencies that the search must look at: the points, some between them, and corners of the
    aim that can be felt.
    """
    count = len(curve.points_hz)
    between = np.interp(
        np.arange(_MARKS_PER_GAP * (count - 1)) / _MARKS_PER_GAP, np.arange(count), curve.points_hz
    )
    corners = felt_corners(curve, _FELT * tolerance_db)
    marks = np.unique(np.concatenate([curve.points_hz, between, corners]))
    if len(marks) <= _MOST_MARKS:
        return marks
    # A curve of more points is looked at on the search's own grid, and where taps turn out to miss.
    return marks[np.linspace(0, len(marks) - 1, _MOST_MARKS).round().astype(np.int64)]
