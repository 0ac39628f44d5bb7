"""How far a realised filter is from the curve of its ear: at the published points and between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats
from earfilt.ears.curve import PublishedCurve, to_db
from earfilt.synthesis.fir import dtft

# samples of the response per tap: a ripple's height is then read to 0.1 % of itself
_GRID_PER_TAP = 64
# and at least this many between neighbouring points, where the curve itself bends
_GRID_PER_GAP = 16
_DIRECT = 1 << 29  # frequencies × taps up to which the DTFT is summed: a second or two
# of an FFT for the sake of close points: gaps that are narrower on it get frequencies of their own
_LARGEST_GRID = 1 << 22
_NEIGHBOURS = range(-4, 5)  # for interpolation on a grid of 64 per tap: exact to 1e-11 of the peak


class Deviation(NamedTuple):
    """Largest deviation from a curve: `db` (absolute value, dB) and `hz`, where it is."""

    db: float
    hz: float


def magnitude_at(taps: Floats, freqs: Floats, fs: float) -> Floats:
    """|H| of `taps` (numtaps,) at `freqs` (K,) in Hz: (K,), linear.

    By the DTFT sum itself or, where that would take minutes (K·numtaps beyond 2^29), from an FFT,
    to 1e-11 of the largest |H|.
    """
    freqs = np.asarray(freqs, dtype=np.float64)
    if len(freqs) * len(taps) <= _DIRECT:
        return np.abs(dtft(taps, freqs / fs))
    return np.abs(_between_bins(taps, freqs / fs))


def _between_bins(taps: Floats, cycles: Floats) -> NDArray[np.complex128]:
    """Response but for its phase at (K,) frequencies of 0 to 1/2 cycles a sample, by Lagrange
    interpolation of an FFT.
    """
    n_fft = _fft_length(_GRID_PER_TAP * len(taps))
    # With the middle tap at time zero neighbouring bins hardly differ in phase; beyond 0 and 1/2
    # they repeat as conjugates.
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
    """Largest deviation of `taps` (numtaps,) from the aimed curve, first to last point, ends
    included.
    """
    freqs, off = deviations(taps, curve)
    worst = int(np.argmax(off))
    return Deviation(float(off[worst]), float(freqs[worst]))


def deviations(taps: Floats, curve: PublishedCurve) -> tuple[Floats, Floats]:
    """Deviation of `taps` (numtaps,) from the aimed curve at the points and densely between them:
    (freqs in Hz, |dB|).

    Memory is bounded, however close points lie: by 64 frequencies a tap, or 2^22, and 16 a point.
    """
    dense, magnitude = _dense_response(taps, curve)
    inside = (dense > curve.points_hz[0]) & (dense < curve.points_hz[-1])
    exact = np.concatenate([curve.points_hz, _in_narrow_gaps(curve.points_hz, float(dense[1]))])
    freqs = np.concatenate([exact, dense[inside]])
    reached = np.concatenate([magnitude_at(taps, exact, curve.fs), magnitude[inside]])
    order = np.argsort(freqs, kind="stable")
    return freqs[order], abs(to_db(reached) - to_db(curve.aim(freqs)))[order]


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
    return abs(to_db(magnitude_at(taps, curve.points_hz, curve.fs)) - curve.points_db)


def _dense_response(taps: Floats, curve: PublishedCurve) -> tuple[Floats, Floats]:
    """Response on an FFT grid fine enough for the filter's ripples and, within bounds, for the
    curve's own bends.
    """
    gap = float(np.diff(curve.points_hz).min(initial=curve.fs))
    wanted = min(_GRID_PER_GAP * curve.fs / gap, _LARGEST_GRID)
    n_fft = _fft_length(max(_GRID_PER_TAP * len(taps), wanted))
    freqs = np.arange(n_fft // 2 + 1, dtype=np.float64) * (curve.fs / n_fft)
    return freqs, np.abs(np.fft.rfft(taps, n_fft))
