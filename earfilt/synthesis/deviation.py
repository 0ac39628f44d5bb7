"""How far a realised filter is from the curve of its ear: at the points and between them.

A design is held to the curve as it is, however deep. What is *said* of a filter has a floor: what lies
more than `FLOOR_DB` below the highest point counts as lying there, in the curve and in the filter,
since a ratio to what is zero, as in a notch, says nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from earfilt.arrays import Floats, power_of_two
from earfilt.ears.curve import PublishedCurve, to_db
from earfilt.synthesis.remez.polynomials import at
from earfilt.synthesis.spectrum import dtft

FLOOR_DB = 100.0
SAMPLES_PER_TAP = 64  # of the response: a ripple's height is then read to 0.1 % of itself
_PER_GAP = 4  # and at least this many between the two closest points, where the curve itself bends
_FELT_DB = 0.0005  # a corner of the curve this high is looked at exactly
_LARGEST_FFT = 1 << 22
_LARGEST_SAMPLING = 1 << 23  # points of an FFT whose samples are interpolated between
_LONGEST_SUM = 1 << 24  # products
_ON_A_SIDE = (0.25, 0.5, 0.75)  # places between two corners


class Deviation(NamedTuple):
    """Largest deviation from a curve: `db` (absolute value, dB) and `hz`, where it is."""

    db: float
    hz: float


def magnitude_at(taps: Floats, freqs: Floats, fs: float) -> Floats:
    """|H| of `taps` (numtaps,) at `freqs` (K,) in Hz, linear: (K,).

    By the DTFT sum itself or, where that would take seconds, interpolated from samples so dense
    that the error is below 1e-8 of the peak; of very many taps piece by piece, in bounded memory.
    """
    freqs = np.asarray(freqs, dtype=np.float64)
    if len(freqs) * len(taps) <= _LONGEST_SUM:
        return np.abs(dtft(taps, freqs / fs))
    n_fft = power_of_two(2 * SAMPLES_PER_TAP * len(taps))
    if n_fft > _LARGEST_SAMPLING:
        return np.abs(dtft(taps, freqs / fs, longest_sum=_LONGEST_SUM))
    power = np.abs(np.fft.rfft(taps, n_fft)) ** 2
    return np.sqrt(np.maximum(at(power, freqs * (2 * np.pi / fs)), 0.0))


def deviation(taps: Floats, curve: PublishedCurve) -> Deviation:
    """Largest deviation of the response of `taps` (numtaps,) from the published points, above the
    floor.
    """
    return largest(curve.points_hz, off_points(taps, curve, floored=True))


def largest(freqs: Floats, off: Floats) -> Deviation:
    """The largest of deviations `off` (K,) at `freqs` (K,)."""
    worst = int(np.argmax(off))
    return Deviation(float(off[worst]), float(freqs[worst]))


def deviation_between(
    taps: Floats, curve: PublishedCurve, per_tap: int = SAMPLES_PER_TAP, *, floored: bool = False
) -> Deviation:
    """Largest deviation of `taps` (numtaps,) from the aimed curve, first to last point, ends
    included.
    """
    return largest(*deviations(taps, curve, per_tap, floored=floored))


def deviations(
    taps: Floats, curve: PublishedCurve, per_tap: int = SAMPLES_PER_TAP, *, floored: bool = False
) -> tuple[Floats, Floats]:
    """Deviation of `taps` (numtaps,) from the aimed curve at the points, at its corners and densely
    between them: (freqs in Hz, |dB|).
    """
    dense, magnitude = _dense_response(taps, curve, per_tap)
    exact = np.concatenate([curve.points_hz, felt_corners(curve, _FELT_DB)])
    freqs = np.concatenate([exact, dense])
    reached = np.concatenate([magnitude_at(taps, exact, curve.fs), magnitude])
    order = np.argsort(freqs, kind="stable")
    return freqs[order], _off(reached, to_db(curve.aim(freqs)), curve, floored=floored)[order]


def felt_corners(curve: PublishedCurve, height_db: float) -> Floats:
    """Frequencies (Hz) between the outermost points where the aim has a corner that stands out by
    more than `height_db` from the chord between the middles of its neighbouring sides; and, on
    these sides, where the aim may be farthest from a curve through the corners.
    """
    corners = curve.corners_hz
    if len(corners) < 3:
        return np.zeros(0)
    lengths = np.diff(corners)
    sides = corners[:-1] + lengths / 2
    ends, values = curve.aim(sides), curve.aim(corners[1:-1])
    chord = ends[:-1] + np.diff(ends) * (corners[1:-1] - sides[:-1]) / np.diff(sides)
    felt = np.flatnonzero(abs(chord - values) > (10 ** (height_db / 20) - 1) * values) + 1
    before, after = lengths[felt - 1], lengths[felt]
    every = np.concatenate(
        [corners[felt] + part * after for part in (0, *_ON_A_SIDE)]
        + [corners[felt] - part * before for part in _ON_A_SIDE]
    )
    every = np.sort(every[(every > curve.points_hz[0]) & (every < curve.points_hz[-1])])
    return every[np.diff(every, prepend=-np.inf) > 0]


def off_points(taps: Floats, curve: PublishedCurve, *, floored: bool = False) -> Floats:
    """|dB| by which `taps` miss each point: (N,)."""
    reached = magnitude_at(taps, curve.points_hz, curve.fs)
    return _off(reached, curve.points_db, curve, floored=floored)


def _off(reached: Floats, wanted_db: Floats, curve: PublishedCurve, *, floored: bool) -> Floats:
    """|dB| between magnitudes and what is wanted; of what lies above the floor, if there is one."""
    if not floored:
        return abs(to_db(reached) - wanted_db)
    floor_db = curve.points_db.max() - FLOOR_DB
    return abs(np.maximum(to_db(reached), floor_db) - np.maximum(wanted_db, floor_db))


def _dense_response(taps: Floats, curve: PublishedCurve, per_tap: int) -> tuple[Floats, Floats]:
    """|H| between the outermost points on an FFT grid fine enough for the filter's ripples and for
    the curve's own bends, as far as memory allows: between points that are closer together than
    that, the response cannot bend, and the points themselves are known.
    """
    gap = float(np.diff(curve.points_hz).min(initial=curve.fs))
    wanted = max(per_tap * len(taps), min(_PER_GAP * curve.fs / gap, _LARGEST_FFT))
    n_fft = power_of_two(int(np.ceil(min(wanted, max(_LARGEST_FFT, 2 * len(taps))))))
    step = curve.fs / n_fft
    low, high = curve.points_hz[0] / step, curve.points_hz[-1] / step
    inside = slice(int(np.floor(low)) + 1, int(np.ceil(high)))
    index = np.arange(inside.start, inside.stop, dtype=np.float64)
    return index * step, np.abs(np.fft.rfft(taps, n_fft)[inside])
