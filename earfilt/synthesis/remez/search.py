"""The smallest even degree at which a cosine polynomial stays inside a tolerance band.

One exchange step often proves a degree too small, and the first polynomial found inside the band
proves it large enough; only the two degrees on either side of the smallest one are carried to
convergence.
"""

from __future__ import annotations

import numpy as np

from earfilt.synthesis.remez.exchange import (
    Levelled,
    Problem,
    chebyshev_points,
    exchange,
    scaled_reference,
    search_intervals,
)
from earfilt.synthesis.remez.polynomials import sample
from earfilt.synthesis.remez.work import Work

__all__ = ["smallest_even_degree"]

_FIRST = 32  # degree of the first attempt
_NEAR = 0.05  # an error this near to 1 is close
_NEAR_LEVEL = 0.9  # a feasible degree whose level is higher is near the smallest one
_UNPROVED = 0.05  # how exactly the degree is sought where no smaller one can be shown to fail
_LARGEST_EXCHANGE = 16_384  # its cost grows with the square of the degree, to some 10 s here
_CHEAP = 8192  # up to this degree a second attempt costs some seconds at most
_COSTLY = 1024  # from this degree on the search takes smaller steps


def smallest_even_degree(
    problem: Problem,
    *,
    start: Levelled | None = None,
    below: Levelled | None = None,
    largest: int,
    resolution: float = 0.0,
    work: Work | None = None,
) -> tuple[Levelled, Levelled | None]:
    """The smallest even degree that stays within the band.

    Parameters
    ----------
    problem
        The band.
    start
        A solution of a similar problem, of a degree that is thought to be near; None: nothing is
        known.
    below
        What is known of a degree that is too small.
    largest
        No degree beyond this is tried.
    resolution
        The search ends when the smallest degree is known to this share of itself; 0: exactly.
    work
        What the search may cost; by default anything. Once it is spent, the search ends.

    Returns
    -------
    best
        Feasible; or, where no degree tried was, the one nearest to it.
    below
        The largest degree that was found not feasible, two below `best` if resolution is 0 and the
        work was not spent; None if none was tried.
    """
    work = Work() if work is None else work
    above: Levelled | None = None
    nearest: Levelled | None = None
    degree = start.degree if start else _FIRST
    while True:
        found = _solve(problem, degree, start, work)
        below, above = (below, found) if found.feasible else (found, above)
        nearest = found if nearest is None or found.upper < nearest.upper else nearest
        if above is None and degree >= largest:
            return nearest, below
        if above is not None:
            proved = below is None or below.lower > 1.0 or above.lower > _NEAR_LEVEL
            share = resolution if proved else max(resolution, _UNPROVED)
            if above.degree - (below.degree if below else 0) <= max(2, share * above.degree):
                return above, below
        if work.spent:
            return (nearest if above is None else above), below
        degree = _next_degree(below, above, largest)
        known = [level for level in (below, above) if level is not None and not level.lost]
        start = min(known, key=lambda level: abs(level.degree - degree), default=None)


def _next_degree(below: Levelled | None, above: Levelled | None, largest: int) -> int:
    """The even degree at which the error should be 1, were it a power of the degree."""
    if above is None:
        assert below is not None
        return min(largest, _step(below))
    if below is None:
        return _step(above)
    low, high = np.log(below.error), np.log(above.error)
    share = min(max(low / (low - high), 0.1), 0.9) if high < 0 < low and below.lower > 1.0 else 0.5
    guess = below.degree * (above.degree / below.degree) ** share
    return int(min(max(2 * round(guess / 2), below.degree + 2), above.degree - 2))


def _step(level: Levelled) -> int:
    """The next degree to try when only one side of the bracket is known.

    At corners the error falls as 1/degree, elsewhere faster; close to the end a short step is the
    cheaper one.
    """
    if not level.feasible and level.lower <= 1.0:  # rounding decided, not the degree
        return 2 * (level.degree * 3 // 4)
    change = level.error - 1
    if abs(change) < _NEAR:
        change /= 5
    factor = min(max(1 + change, 0.75), 2.0 if level.degree < _COSTLY else 1.25)
    guess = 2 * round(level.degree * factor / 2)
    return max(2, min(guess, level.degree - 2) if level.feasible else max(guess, level.degree + 2))


def _solve(problem: Problem, degree: int, start: Levelled | None, work: Work) -> Levelled:
    """`exchange` from what is known of another degree or, where that is cheap, from scratch; what
    sampling gives if they fail.
    """
    lower = 0.0
    if degree <= _LARGEST_EXCHANGE:
        starts = [] if start is None else [scaled_reference(start.reference, degree)]
        scratch = [chebyshev_points(degree)] if degree <= _CHEAP or not starts else []
        for reference in [*starts, *scratch]:
            found = exchange(problem, degree, reference, work=work)
            if not found.lost:
                return found
            lower = max(lower, found.lower)
    return _sampled(problem, degree, lower)


def _sampled(problem: Problem, degree: int, lower: float) -> Levelled:
    """The cosine series of the band's centre, kept up to half the degree and then faded out.

    Far from the best at corners, but polynomials of half the degree come out as they are, so the
    error is at most a few times the smallest one of half the degree (de la Vallée Poussin), and no
    rounding builds up.
    """
    intervals = search_intervals(degree)
    centre, width = problem.grid(intervals)
    series = np.fft.irfft(centre)[: degree + 1]
    series[1:] *= 2
    faded = np.clip(2 * np.arange(degree + 1) / (degree + 1) - 1, 0.0, 1.0)
    cosines = series * np.cos(faded * (np.pi / 2)) ** 2
    upper = float(np.max(abs(sample(cosines, intervals) - centre) / width))
    return Levelled(degree, min(lower, upper), upper, chebyshev_points(degree), cosines)
