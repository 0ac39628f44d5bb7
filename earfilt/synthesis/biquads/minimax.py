"""Curves fitted for their largest deviation, many candidates at once.

The largest deviation is the limit of p-norms: each is minimised by Newton's method with the damping
of Levenberg and Marquardt, p doubling from 2 on, and every one starts where the last one ended.
At p = 256 and a few hundred frequencies what is left to gain is below two per cent.

References
----------
Nocedal, J. & Wright, S. J. (2006). Numerical optimization, 2nd ed., section 10.3. Springer.
Bandler, J. W. & Charalambous, C. (1972). Practical least pth optimization of networks. IEEE Trans.
Microwave Theory Tech. 20, 834-840.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats

_LONGEST = 0.7  # step of a number, each a natural logarithm
_EASIER, _HARDER = 0.2, 5.0  # factors of the damping
_LEAST, _MOST = 1e-9, 1e9
_FLOOR = 1e-9  # weight of frequencies that are met exactly, re the worst one


class Family(Protocol):
    """What is fitted: the magnitudes of B candidates, each of P numbers, at K frequencies."""

    def level_db(self, numbers: Floats, u: Floats) -> Floats:
        """(B, P) numbers and (K,) squared warped frequencies to (B, K) dB."""

    def slopes(self, numbers: Floats, u: Floats) -> Floats:
        """Its derivatives: (B, P, K)."""

    def allowed(self, numbers: Floats) -> Floats:
        """The nearest numbers that are allowed: (B, P)."""

    def taking(self, which: NDArray[np.int64]) -> "Family":
        """The family of some of its candidates."""


@dataclass(frozen=True, eq=False)
class Goal:
    """A curve to fit.

    Attributes
    ----------
    u : (K,) float64
        Squared warped frequencies.
    db : (K,) float64
        What to reach.
    above, below : (K,) float64
        Weights of deviations upwards and downwards.
    """

    u: Floats
    db: Floats
    above: Floats
    below: Floats

    def weights(self, off: Floats) -> Floats:
        """The weight of each deviation."""
        return np.where(off > 0.0, self.above, self.below)

    def within(self) -> "Goal":
        """The frequencies that have the full weight."""
        return self._some(self.above == 1.0)

    def _some(self, which: NDArray[np.bool_]) -> "Goal":
        return Goal(self.u[which], self.db[which], self.above[which], self.below[which])

    def joined(self, other: "Goal", which: NDArray[np.bool_]) -> "Goal":
        """With some frequencies of another goal."""
        more = other._some(which)
        return Goal(
            np.concatenate([self.u, more.u]),
            np.concatenate([self.db, more.db]),
            np.concatenate([self.above, more.above]),
            np.concatenate([self.below, more.below]),
        )


def descend(
    family: Family, numbers: Floats, goal: Goal, powers: Iterable[int], steps: int
) -> tuple[Floats, Floats]:
    """Minimise p-norms of the weighted deviation, one after the other.

    Parameters
    ----------
    family : Family
    numbers : (B, P) float64
        Starts.
    goal : Goal
    powers : iterable of int
        Each p ≥ 2, ascending.
    steps : int
        Newton steps for each.

    Returns
    -------
    numbers : (B, P) float64
    norms : (B,) float64
        The last p-norm, dB: the mean's root, so that it does not grow with K.
    """
    numbers = family.allowed(numbers)
    norms = np.zeros(len(numbers))
    for p in powers:
        numbers, norms = _minimise(family, numbers, goal, p, steps)
    return numbers, norms


def _minimise(
    family: Family, numbers: Floats, goal: Goal, p: int, steps: int
) -> tuple[Floats, Floats]:
    damping = np.full(len(numbers), 1e-3)
    off = family.level_db(numbers, goal.u) - goal.db
    slopes = family.slopes(numbers, goal.u)
    norms = _norms(goal, off, p)
    for _ in range(steps):
        tried = family.allowed(numbers + _step(goal, off, slopes, p, damping))
        tried_off = family.level_db(tried, goal.u) - goal.db
        tried_norms = _norms(goal, tried_off, p)
        better = tried_norms < norms
        damping = np.clip(damping * np.where(better, _EASIER, _HARDER), _LEAST, _MOST)
        if better.any():
            numbers = np.where(better[:, None], tried, numbers)
            off = np.where(better[:, None], tried_off, off)
            norms = np.where(better, tried_norms, norms)
            slopes = family.slopes(numbers, goal.u)
    return numbers, norms


def _norms(goal: Goal, off: Floats, p: int) -> Floats:
    weighted = np.abs(goal.weights(off) * off)
    largest = np.maximum(weighted.max(1, keepdims=True), 1e-300)
    return np.asarray(largest[:, 0] * ((weighted / largest) ** p).mean(1) ** (1.0 / p))


def _step(goal: Goal, off: Floats, slopes: Floats, p: int, damping: Floats) -> Floats:
    """Newton's step for Σ|w·off|^p, second derivatives of the curve left out."""
    weights = goal.weights(off)
    weighted = np.abs(weights * off)
    largest = np.maximum(weighted.max(1, keepdims=True), 1e-300)
    weights = weights**2 * ((weighted / largest) ** (p - 2) + _FLOOR)
    scaled = slopes * weights[:, None, :]
    hessian = scaled @ slopes.transpose(0, 2, 1)
    gradient = scaled @ off[:, :, None]
    index = np.arange(hessian.shape[1])
    own = hessian[:, index, index]
    own = own + damping[:, None] * (own + 1e-3 * own.mean(1, keepdims=True)) + 1e-12
    hessian[:, index, index] = own
    step = -np.linalg.solve(hessian, gradient)[..., 0] / (p - 1)
    step[:, :-1] = step[:, :-1].clip(-_LONGEST, _LONGEST)
    return np.asarray(step)
