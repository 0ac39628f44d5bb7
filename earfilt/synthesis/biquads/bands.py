"""A curve as peaking and shelving bands, with the numbers that equalisers take.

The bands are those of the Audio EQ Cookbook: with s relative to the band's own frequency they are
quotients of quadratics whose logarithms are linear in the logarithms of frequency, gain and Q, so
that bands are fitted as free sections are, through a matrix.

Equalisers take 1 Hz, 0.1 dB and Q to 0.01. One band after the other is rounded and the rest fitted
anew; then single steps and pairs of steps are tried until none helps.

References
----------
Bristow-Johnson, R. (2005). Cookbook formulae for audio equalizer biquad filter coefficients.
https://www.w3.org/TR/audio-eq-cookbook/
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats
from earfilt.ears.biquads import Band, coefficients
from earfilt.synthesis.biquads import quadratics
from earfilt.synthesis.biquads.minimax import Family, Goal, descend
from earfilt.synthesis.biquads.sections import (
    Aim,
    Lobe,
    Sections,
    Task,
    check_amount,
    check_band,
    default_band,
    fewest,
    lobes,
    selected,
)

__all__ = ["design_bands"]

KINDS = ("peaking", "low-shelf", "high-shelf")
_PEAK, _LOW, _HIGH = range(3)

STEP_HZ, STEP_DB, STEP_Q = 1.0, 0.1, 0.01

_NEPERS = math.log(10.0) / 40.0  # ln A of a gain of 1 dB, where A² is the gain
# ln of zeros' a, b and poles' a, b for each kind, from ln Ω, ln A and ln Q.
_MAPS = np.array(
    [
        [[2.0, 1.0, 2.0, 1.0], [0.0, 1.0, 0.0, -1.0], [0.0, -1.0, 0.0, -1.0]],
        [[2.0, 1.0, 2.0, 1.0], [1.0, 0.5, -1.0, -0.5], [0.0, -1.0, 0.0, -1.0]],
        [[2.0, 1.0, 2.0, 1.0], [-1.0, -0.5, 1.0, 0.5], [0.0, -1.0, 0.0, -1.0]],
    ]
)
_GAIN_DB, _Q, _SHELF_Q = 24.0, (0.1, 10.0), (0.3, 1.5)
_BEAM, _LOBES, _WIDTHS = 4, 5, (1.0, 2.0)
_REFIT, _REFIT_STEPS = (32, 128), 6
_ROUNDS = 30


def design_bands(
    aim: Aim,
    fs: float,
    *,
    sections: int | None = None,
    tolerance_db: float | None = None,
    band: tuple[float, float] | None = None,
    corners_hz: Floats | None = None,
) -> Sections:
    """Fit peaking and shelving bands to a curve: parameters as for `sections.design_sections`.

    Returns
    -------
    Sections
        With ``bands``, of 1 Hz, 0.1 dB and Q 0.01, ascending in frequency, and ``preamp_db``;
        ``sos`` and the deviation are of the rounded ones.

    Raises
    ------
    UsageError
        As there.

    Examples
    --------
    >>> bell = lambda freqs: 6.0 / (1.0 + (2.0 * np.log2(freqs / 1000.0)) ** 2)
    >>> found = design_bands(bell, 48000.0, sections=3)
    >>> len(found.bands), found.deviation_db < 0.5
    (3, True)
    """
    check_amount(sections, tolerance_db)
    band = default_band(fs, None) if band is None else band
    check_band(band, fs)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        task = Task(aim, fs, band, np.zeros(0) if corners_hz is None else corners_hz)
        return fewest(_grown(task), lambda found: _finished(task, *found), sections, tolerance_db)


@dataclass(frozen=True, eq=False)
class _Bands:
    """B candidates of n bands each, as a family that can be fitted.

    Their numbers are ln Ω, ln A and ln Q of each band, and the gain beside them in dB.

    Attributes
    ----------
    kinds : (B, n) int
    ends : (float, float)
        Lowest and highest ln Ω.
    held : (3·n + 1,) bool
        Numbers that stay as they are.
    """

    kinds: NDArray[np.int64]
    ends: tuple[float, float]
    held: NDArray[np.bool_] | None = None

    def spread(self, numbers: Floats) -> Floats:
        """The numbers of the same chains as free sections: (B, 4·n + 1)."""
        count = self.kinds.shape[1]
        each = numbers[:, :-1].reshape(len(numbers), count, 3)
        quads = np.einsum("bnj,bnjk->bnk", each, _MAPS[self.kinds])
        gain = numbers[:, -1] + ((self.kinds == _HIGH) * each[..., 1]).sum(1) / _NEPERS
        zeros, poles = quads[..., :2].reshape(len(numbers), -1), quads[..., 2:]
        return np.concatenate([zeros, poles.reshape(len(numbers), -1), gain[:, None]], axis=1)

    def level_db(self, numbers: Floats, u: Floats) -> Floats:
        return quadratics.level_db(self.spread(numbers), u)

    def slopes(self, numbers: Floats, u: Floats) -> Floats:
        count = self.kinds.shape[1]
        free = quadratics.slopes(self.spread(numbers), u)
        each = free[:, :-1].reshape(len(numbers), 2, count, 2, len(u)).transpose(0, 2, 1, 3, 4)
        each = each.reshape(len(numbers), count, 4, len(u))
        out = np.empty((*numbers.shape, len(u)))
        inner = np.einsum("bnjk,bnku->bnju", _MAPS[self.kinds], each)
        inner[:, :, 1] += (self.kinds == _HIGH)[..., None] / _NEPERS
        out[:, :-1] = inner.reshape(len(numbers), -1, len(u))
        out[:, -1] = 1.0
        if self.held is not None:
            out[:, self.held] = 0.0
        return out

    def allowed(self, numbers: Floats) -> Floats:
        numbers = numbers.copy()
        each = numbers[:, :-1].reshape(*self.kinds.shape, 3)
        each[..., 0] = each[..., 0].clip(*self.ends)
        shelf = self.kinds != _PEAK
        each[..., 1] = each[..., 1].clip(-_GAIN_DB * _NEPERS, _GAIN_DB * _NEPERS)
        least = np.log(np.where(shelf, _SHELF_Q[0], _Q[0]))
        most = np.log(np.where(shelf, _SHELF_Q[1], _Q[1]))
        each[..., 2] = np.minimum(each[..., 2].clip(least, most), self._sharpest(each))
        return numbers

    def _sharpest(self, each: Floats) -> Floats:
        """The ln Q at which a pole or zero of a band reaches the largest radius."""
        flat = each.copy()
        flat[..., 2] = 0.0
        quads = np.einsum("bnj,bnjk->bnk", flat, _MAPS[self.kinds])
        room = quads[..., 1::2] - quadratics.least_damping(quads[..., 0::2])
        return np.asarray(room.min(-1))

    def taking(self, which: NDArray[np.int64] | list[int]) -> _Bands:
        """Some of the candidates."""
        return replace(self, kinds=self.kinds[which])


def _ends(task: Task) -> tuple[float, float]:
    low, high = task.band
    ends = np.array([max(10.0, low / 2.0), min(2.0 * high, 0.48 * task.fs)])
    first, last = np.log(quadratics.warped(ends, task.fs)) / 2.0
    return float(first), float(last)


Candidates = tuple[NDArray[np.int64], Floats]
"""Kinds (B, n) and numbers (B, 3·n + 1)."""


def _grown(task: Task) -> Iterator[Candidates]:
    """Candidates of one band, of two, and so on."""
    inside = task.coarse.above == 1.0
    best = np.zeros((1, 0), np.int64), np.full((1, 1), task.coarse.db[inside].mean())
    while True:
        best = _with_one_more(task, best)
        yield best


def _with_one_more(task: Task, candidates: Candidates) -> Candidates:
    ends = _ends(task)
    return _selected(
        task,
        [
            (np.append(own, kind), np.concatenate([numbers[:-1], start, numbers[-1:]]))
            for own, numbers in zip(*candidates, strict=True)
            for kind, start in _starts(_Bands(own[None], ends), numbers, task.coarse)
        ],
    )


def _selected(task: Task, starts: list[tuple[NDArray[np.int64], Floats]]) -> Candidates:
    family = _Bands(np.array([own for own, _ in starts]), _ends(task))
    numbers = np.array([start for _, start in starts])
    chosen, numbers = selected(family, numbers, task.coarse, _BEAM)
    return family.kinds[chosen], numbers


def _starts(own: _Bands, numbers: Floats, goal: Goal) -> Iterator[tuple[int, Floats]]:
    """A band more: a bell on each of the largest lobes of the deviation, or a shelf where there is
    none of its side.
    """
    off = own.level_db(numbers[None], goal.u)[0] - goal.db
    inside = goal.above == 1.0
    place, off = np.log(goal.u[inside]), off[inside]
    for lobe in lobes(place, off)[:_LOBES]:
        for width in _WIDTHS:
            yield _PEAK, _bell(lobe, width)
    for kind, share in ((_LOW, 4), (_HIGH, 4)):
        if kind not in own.kinds:
            edge = len(off) // share
            side = slice(None, edge) if kind == _LOW else slice(-edge, None)
            middle = place[edge if kind == _LOW else -edge]
            yield kind, np.array([middle / 2.0, -off[side].mean() * _NEPERS, math.log(0.7)])


def _bell(lobe: Lobe, width: float) -> Floats:
    return np.array([lobe.place / 2.0, lobe.gain_db * _NEPERS, -math.log(lobe.width * width)])


# To the numbers that equalisers take


def _finished(task: Task, kinds: NDArray[np.int64], numbers: Floats) -> Sections:
    """The best of some candidates, fitted, rounded, and measured on the rounded bands."""
    family = _Bands(kinds, _ends(task))
    numbers, norms = task.fitted(family, numbers)
    best = int(np.argmin(norms))
    family = family.taking([best])
    steps = _rounded_by_turns(task, family, numbers[best])
    steps = _stepped(task, family, steps)
    return _as_sections(task, family, steps)


def _rounded_by_turns(task: Task, family: _Bands, numbers: Floats) -> NDArray[np.int64]:
    """Whole numbers of steps: one band after the other is rounded, the most delicate first, and the
    others are fitted anew.
    """
    count = family.kinds.shape[1]
    held = np.zeros(3 * count + 1, bool)
    order = np.argsort(numbers[:-1].reshape(-1, 3)[:, 0])  # 1 Hz is most at low frequencies
    for index in (*order, count):
        part = slice(3 * index, 3 * index + 3)
        numbers[part] = _numbers(task, _steps(task, numbers))[part]
        held[part] = True
        if not held.all():
            holding: Family = replace(family, held=held)
            fitted, _ = descend(holding, numbers[None], task.fine, _REFIT, _REFIT_STEPS)
            numbers = np.where(held, numbers, fitted[0])
    return _steps(task, numbers)


def _stepped(task: Task, family: _Bands, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same after all single steps, and pairs of them, that lessen the largest deviation.

    Levels in dB add: what two steps at different bands change together needs no new evaluation.
    """
    goal = task.fine.within()
    moves = _moves(len(steps))
    part = np.abs(moves).argmax(1) // 3
    many = family.taking(np.zeros(len(moves) + 1, np.int64))
    for _ in range(_ROUNDS):
        tried = np.array([_numbers(task, steps), *(_numbers(task, steps + move) for move in moves)])
        off = many.level_db(tried, goal.u) - goal.db
        best, found = np.abs(off[0]).max(), None
        changes = off[1:] - off[0]
        for index, one in enumerate(off[1:]):
            other = np.abs(one + np.where((part == part[index])[:, None], 0.0, changes)).max(1)
            second = int(np.argmin(other))
            if other[second] < best - 1e-9:
                best, found = other[second], (index, second)
        if found is None:
            break
        index, second = found
        steps = steps + moves[index] + (moves[second] if part[second] != part[index] else 0)
    return steps


def _moves(size: int) -> NDArray[np.int64]:
    """A few steps up or down of each number."""
    found = []
    for index in range(size):
        is_frequency = index % 3 == 0 and index < size - 1
        for step in (1, 3, 10, 30) if is_frequency else (1, 3):
            for sign in (1, -1):
                move = np.zeros(size, np.int64)
                move[index] = sign * step
                found.append(move)
    return np.array(found)


def _steps(task: Task, numbers: Floats) -> NDArray[np.int64]:
    """Numbers as whole steps of Hz, dB and Q."""
    each = numbers[:-1].reshape(-1, 3)
    hz = np.arctan(np.exp(each[:, 0])) * task.fs / np.pi
    values = np.stack(
        [hz / STEP_HZ, each[:, 1] / (_NEPERS * STEP_DB), np.exp(each[:, 2]) / STEP_Q], axis=1
    )
    return np.rint(np.append(values.ravel(), numbers[-1] / STEP_DB)).astype(np.int64)


def _numbers(task: Task, steps: NDArray[np.int64]) -> Floats:
    """And back."""
    each = steps[:-1].reshape(-1, 3).astype(np.float64)
    hz = np.maximum(each[:, 0], 1.0) * STEP_HZ
    values = np.stack(
        [
            np.log(quadratics.warped(hz, task.fs)) / 2.0,
            each[:, 1] * (_NEPERS * STEP_DB),
            np.log(np.maximum(each[:, 2], 1.0) * STEP_Q),
        ],
        axis=1,
    )
    return np.append(values.ravel(), steps[-1] * STEP_DB)


def _as_sections(task: Task, family: _Bands, steps: NDArray[np.int64]) -> Sections:
    """Bands ascending in frequency, their coefficients, and what they reach."""
    each = steps[:-1].reshape(-1, 3)
    order = np.argsort(each[:, 0], kind="stable")
    bands = tuple(
        Band(
            KINDS[family.kinds[0, index]],
            float(each[index, 0] * STEP_HZ),
            round(float(each[index, 1] * STEP_DB), 6),
            round(float(each[index, 2] * STEP_Q), 6),
        )
        for index in order
    )
    preamp_db = round(float(steps[-1] * STEP_DB), 6)
    sos = sos_of(bands, preamp_db, task.fs)
    return task.measured(Sections(sos, task.fs, bands=bands, preamp_db=preamp_db))


def sos_of(bands: tuple[Band, ...], preamp_db: float, fs: float) -> Floats:
    """The biquads of bands, one a row, with the preamp inside the first row's b: (N, 6)."""
    found = np.array([sum(coefficients(band, fs), ()) for band in bands])
    found[0, :3] *= 10.0 ** (preamp_db / 20.0)
    return found
