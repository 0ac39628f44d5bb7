"""A design that follows the numbers of its ears: from the taps of a start to those of other
numbers, of the same order, differentiable.

What the numbers change is a magnitude: the ratio of the curve at the new numbers to the curve at
the old ones. It is multiplied onto the spectrum of the start, with minimum phase for members that
have it (or a phase of their own), with zero phase for the others, and the result is cut to where
the start has taps. Where the numbers are those of the start, the taps are too; a search by a
tolerance, which no gradient passes, is made for the start alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from earfilt.arrays import Array, Floats, beside, namespace, padded, power_of_two
from earfilt.ears.curve import PublishedCurve, to_db
from earfilt.ears.interpolation import linear
from earfilt.ears.target import Target
from earfilt.synthesis.phase import minimum_phase_spectrum

DESIGN = "adapted-1"
"""Name and version of this design, as saved ears state it."""

_SHORTEST_FFT = 1 << 14  # a grid of 3 Hz at 48 kHz: no curve of the catalogue bends faster
_POINTS_PER_TAP = 4
# Amplitude below which a ratio is cut off, re the floor of the tables' own gains (1e-6): it keeps
# logarithms and gradients finite.
_FLOOR = 1e-20


class Part(NamedTuple):
    """A member of a filter whose numbers may change; `row`: of the FIR that it is in, None for all
    rows.
    """

    target: Target
    phase: str
    row: int | None = None


def adapted(
    start: Array, lookahead: int, parts: Sequence[Part], numbers: Sequence[Array], fs: float
) -> Array:
    """Taps of other numbers than those of the start.

    Parameters
    ----------
    start : (numtaps,) or (rows, numtaps) float64
        Effective taps for the published numbers of all parts.
    lookahead : int
        Index of the tap at time zero.
    parts : sequence of Part
    numbers : sequence of (N,) float64
        What stands for ``target.numbers``, part by part; of the library of ``start``.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    array of the shape of ``start``
        Gradients reach the numbers.
    """
    xp = namespace(start)
    if start.ndim > 1:
        rows = [
            _adapted_row(index, row, lookahead, parts, numbers, fs)
            for index, row in enumerate(start)
        ]
        return xp.stack(rows)
    n_fft = max(_SHORTEST_FFT, power_of_two(_POINTS_PER_TAP * len(start)))
    grid = xp.arange(n_fft // 2 + 1, dtype=xp.float64, device=start.device) * (fs / n_fft)
    # At 0 Hz and fs/2 a curve may be zero; the ratio there is its limit.
    grid = xp.clip(grid, 0.5 * fs / n_fft, 0.5 * fs - 0.5 * fs / n_fft)
    ratios = [
        (part.phase, log_ratio(grid, part.target, one))
        for part, one in zip(parts, numbers, strict=True)
    ]
    spectrum = xp.fft.rfft(xp.roll(padded(start, 0, n_fft - len(start)), -lookahead))
    if both_ways := [ratio for phase, ratio in ratios if phase == "zero"]:
        spectrum = spectrum * xp.exp(sum(both_ways))
    if causal := [ratio for phase, ratio in ratios if phase != "zero"]:
        spectrum = spectrum * minimum_phase_spectrum(sum(causal), n_fft)
    return xp.roll(xp.fft.irfft(spectrum, n_fft), lookahead)[: len(start)]


def _adapted_row(
    index: int,
    start: Array,
    lookahead: int,
    parts: Sequence[Part],
    numbers: Sequence[Array],
    fs: float,
) -> Array:
    """One row, by the parts that are in it."""
    own = [pair for pair in zip(parts, numbers, strict=True) if pair[0].row in (None, index)]
    if not own:
        return start
    return adapted(start, lookahead, [part for part, _ in own], [one for _, one in own], fs)


def adapted_curve(
    published: PublishedCurve, parts: Sequence[Part], numbers: Sequence[Floats]
) -> PublishedCurve:
    """The curve that other numbers than the published ones aim at, on the same scale.

    Parameters
    ----------
    published : PublishedCurve
        Of the published numbers of all parts.
    parts, numbers
        As of `adapted`.
    """

    def aim(at: Floats) -> Floats:
        ratios = [log_ratio(at, part.target, one) for part, one in zip(parts, numbers, strict=True)]
        return published.aim(at) * np.exp(sum(ratios))

    return replace(published, points_db=to_db(aim(published.points_hz)), aim=aim)


# Numbers whose ratios leave the range of float64 become zero or inf, and no warning.
@np.errstate(all="ignore")
def log_ratio(at: Array, target: Target, numbers: Array) -> Array:
    """Natural logarithm of the magnitude at ``numbers`` re the one at the published numbers, at
    (M,) frequencies in Hz: (M,).
    """
    xp = namespace(at)
    freqs, published = (beside(at, values) for values in (target.freqs, target.numbers))
    was, now = (linear(at, *target.nodes(freqs, values)) for values in (published, numbers))
    return xp.log(xp.clip(now, _FLOOR, None)) - xp.log(xp.clip(was, _FLOOR, None))
