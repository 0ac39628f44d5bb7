"""The published curve of an ear, and how far a realised filter is from it.

A curve is two things: the *points* that were published (table rows), and the *aim*, the interpolated
curve through them that a design tries to meet on the whole axis from 0 Hz to fs/2. A filter is as good as
its largest deviation at the points and between neighbouring points; what it does outside them is nobody's
measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats
from earfilt.fir import dtft

_GRID_PER_TAP = 64  # samples of the response per tap: a ripple's height is then read to 0.1 % of itself
_GRID_PER_GAP = 16  # and at least this many between neighbouring points, where the curve itself bends
_LARGEST_GRID = 1 << 22  # of an FFT for the sake of close points: gaps that are narrower on it get frequencies of their own
_DIRECT = 1 << 29  # frequencies × taps up to which the DTFT is summed: a second or two
_NEIGHBOURS = range(-4, 5)  # for interpolation on a grid of 64 per tap: exact to 1e-11 of the peak


class Deviation(NamedTuple):
    """Largest deviation from a curve: `db` (absolute value, dB) and `hz`, where it is."""

    db: float
    hz: float


@dataclass(frozen=True, eq=False)
class PublishedCurve:
    """What was published, at one sampling rate.

    Parameters
    ----------
    points_hz, points_db
        (N,) float64, N >= 1, frequencies ascending within 0 .. fs/2: the points a tolerance is held to,
        offset by gain normalisation included.
    aim
        Function of frequencies in Hz (any shape, within 0 .. fs/2) that returns the linear magnitude
        the design aims at; it passes through the points.
    fs
        Sampling rate in Hz.
    corners_hz
        Further frequencies, ascending, where the slope of the aim jumps; a design looks at them exactly.
    """

    points_hz: Floats
    points_db: Floats
    aim: Callable[[Floats], Floats]
    fs: float
    corners_hz: Floats = field(default_factory=lambda: np.zeros(0))


def product(curves: Sequence[PublishedCurve]) -> PublishedCurve:
    """The curve of a chain: magnitudes multiplied.

    Its points are the points of all members, within the range where every member has been published.

    Parameters
    ----------
    curves
        One or more curves of the same fs.

    Raises
    ------
    ValueError
        If the rates differ, or no frequency lies within the ranges of all members.
    """
    rates = {curve.fs for curve in curves}
    if len(rates) != 1:
        raise ValueError(f"curves of one chain must share one sampling rate, got {sorted(rates)}")
    low = max(curve.points_hz[0] for curve in curves)
    high = min(curve.points_hz[-1] for curve in curves)
    every = _merged([curve.points_hz for curve in curves])
    points_hz = every[(every >= low) & (every <= high)]
    if not points_hz.size:
        raise ValueError(f"the published ranges of the chain's members do not overlap ({low:g} Hz > {high:g} Hz)")

    def aim(freqs: Floats) -> Floats:
        return np.prod([curve.aim(freqs) for curve in curves], axis=0)

    corners_hz = _merged([curve.corners_hz for curve in curves])
    return PublishedCurve(points_hz, _to_db(aim(points_hz)), aim, curves[0].fs, corners_hz)


def _merged(values: list[Floats]) -> Floats:
    """All that occurs, once, ascending; as ``np.unique``, which would load ``numpy.ma``."""
    every = np.sort(np.concatenate(values))
    return every[np.diff(every, prepend=-np.inf) > 0]


def magnitude_at(taps: Floats, freqs: Floats, fs: float) -> Floats:
    """|H| of `taps` (numtaps,) at `freqs` (K,) in Hz: (K,), linear.

    By the DTFT sum itself or, where that would take minutes (K·numtaps beyond 2^29), from an FFT, to 1e-11 of the largest |H|.
    """
    freqs = np.asarray(freqs, dtype=np.float64)
    if len(freqs) * len(taps) <= _DIRECT:
        return np.abs(dtft(taps, freqs / fs))
    return np.abs(_between_bins(taps, freqs / fs))


def _between_bins(taps: Floats, cycles: Floats) -> NDArray[np.complex128]:
    """Response but for its phase at (K,) frequencies of 0 to 1/2 cycles a sample, by Lagrange interpolation of an FFT."""
    n_fft = _fft_length(_GRID_PER_TAP * len(taps))
    # With the middle tap at time zero neighbouring bins hardly differ in phase; beyond 0 and 1/2 they repeat as conjugates.
    bins = np.fft.rfft(np.roll(np.pad(taps, (0, n_fft - len(taps))), -(len(taps) // 2)))
    bins = np.concatenate([bins[4:0:-1].conj(), bins, bins[-2:-6:-1].conj()])
    nearest = np.rint(cycles * n_fft).astype(np.int64)
    offset = cycles * n_fft - nearest
    total = np.zeros(len(cycles), np.complex128)
    for k in _NEIGHBOURS:
        weight = np.prod([(offset - j) / (k - j) for j in _NEIGHBOURS if j != k], axis=0)
        total += weight * bins[nearest + 4 + k]
    return total


def _fft_length(wanted: float) -> int:
    return 1 << int(np.ceil(np.log2(wanted)))


def deviation(taps: Floats, curve: PublishedCurve) -> Deviation:
    """Largest deviation of the effective response of `taps` (numtaps,) from the published points."""
    off = _off_points(taps, curve)
    worst = int(np.argmax(off))
    return Deviation(float(off[worst]), float(curve.points_hz[worst]))


def deviation_between(taps: Floats, curve: PublishedCurve) -> Deviation:
    """Largest deviation of `taps` (numtaps,) from the aimed curve, first to last point, ends included."""
    freqs, off = deviations(taps, curve)
    worst = int(np.argmax(off))
    return Deviation(float(off[worst]), float(freqs[worst]))


def deviations(taps: Floats, curve: PublishedCurve) -> tuple[Floats, Floats]:
    """Deviation of `taps` (numtaps,) from the aimed curve at the points and densely between them: (freqs in Hz, |dB|).

    Memory is bounded, however close points lie: by 64 frequencies a tap, or 2^22, and 16 a point.
    """
    dense, magnitude = _dense_response(taps, curve)
    inside = (dense > curve.points_hz[0]) & (dense < curve.points_hz[-1])
    exact = np.concatenate([curve.points_hz, _in_narrow_gaps(curve.points_hz, float(dense[1]))])
    freqs = np.concatenate([exact, dense[inside]])
    reached = np.concatenate([magnitude_at(taps, exact, curve.fs), magnitude[inside]])
    order = np.argsort(freqs, kind="stable")
    return freqs[order], abs(_to_db(reached) - _to_db(curve.aim(freqs)))[order]


def _in_narrow_gaps(points: Floats, step: float) -> Floats:
    """Frequencies within the gaps that are narrower than 16 steps of a grid."""
    gaps = np.diff(points)
    narrow = np.nonzero(gaps < _GRID_PER_GAP * step)[0]
    shares = np.arange(1, _GRID_PER_GAP) / _GRID_PER_GAP
    return (points[narrow, None] + gaps[narrow, None] * shares).reshape(-1)


def missed_points(taps: Floats, curve: PublishedCurve, tolerance_db: float) -> tuple[float, ...]:
    """Frequencies (Hz) of the points that `taps` misses by more than `tolerance_db`."""
    return tuple(float(f) for f in curve.points_hz[_off_points(taps, curve) > tolerance_db])


def _off_points(taps: Floats, curve: PublishedCurve) -> Floats:
    """|dB| by which `taps` miss each point: (N,)."""
    return abs(_to_db(magnitude_at(taps, curve.points_hz, curve.fs)) - curve.points_db)


def _dense_response(taps: Floats, curve: PublishedCurve) -> tuple[Floats, Floats]:
    """Response on an FFT grid fine enough for the filter's ripples and, within bounds, for the curve's own bends."""
    gap = float(np.diff(curve.points_hz).min(initial=curve.fs))
    wanted = min(_GRID_PER_GAP * curve.fs / gap, _LARGEST_GRID)
    n_fft = _fft_length(max(_GRID_PER_TAP * len(taps), wanted))
    freqs = np.arange(n_fft // 2 + 1, dtype=np.float64) * (curve.fs / n_fft)
    return freqs, np.abs(np.fft.rfft(taps, n_fft))


def _to_db(magnitude: Floats) -> Floats:
    """20*log10, with -inf for zero."""
    with np.errstate(divide="ignore"):
        return 20 * np.log10(magnitude)
