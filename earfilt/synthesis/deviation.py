"""How far a realised filter is from the curve of its ear: at the published points and between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from earfilt.arrays import Floats
from earfilt.ears.curve import PublishedCurve, to_db
from earfilt.synthesis.fir import dtft

# samples of the response per tap: a ripple's height is then read to 0.1 % of itself
_GRID_PER_TAP = 64
# and at least this many between the two closest points, where the curve itself bends
_GRID_PER_GAP = 16


class Deviation(NamedTuple):
    """Largest deviation from a curve: `db` (absolute value, dB) and `hz`, where it is."""

    db: float
    hz: float


def magnitude_at(taps: Floats, freqs: Floats, fs: float) -> Floats:
    """|H| of `taps` (numtaps,) at `freqs` (K,) in Hz, by the DTFT sum itself: (K,), linear."""
    return np.abs(dtft(taps, np.asarray(freqs) / fs))


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
    """
    dense, magnitude = _dense_response(taps, curve)
    inside = (dense > curve.points_hz[0]) & (dense < curve.points_hz[-1])
    freqs = np.concatenate([curve.points_hz, dense[inside]])
    reached = np.concatenate([magnitude_at(taps, curve.points_hz, curve.fs), magnitude[inside]])
    order = np.argsort(freqs, kind="stable")
    return freqs[order], abs(to_db(reached) - to_db(curve.aim(freqs)))[order]


def missed_points(taps: Floats, curve: PublishedCurve, tolerance_db: float) -> tuple[float, ...]:
    """Frequencies (Hz) of the points that `taps` misses by more than `tolerance_db`."""
    return tuple(float(f) for f in curve.points_hz[_off_points(taps, curve) > tolerance_db])


def _off_points(taps: Floats, curve: PublishedCurve) -> Floats:
    """|dB| by which `taps` miss each point: (N,)."""
    return abs(to_db(magnitude_at(taps, curve.points_hz, curve.fs)) - curve.points_db)


def _dense_response(taps: Floats, curve: PublishedCurve) -> tuple[Floats, Floats]:
    """Response on an FFT grid fine enough for the filter's ripples and for the curve's own bends."""
    gap = float(np.diff(curve.points_hz).min(initial=curve.fs))
    wanted = max(_GRID_PER_TAP * len(taps), _GRID_PER_GAP * curve.fs / gap)
    n_fft = 1 << int(np.ceil(np.log2(wanted)))
    freqs = np.arange(n_fft // 2 + 1, dtype=np.float64) * (curve.fs / n_fft)
    return freqs, np.abs(np.fft.rfft(taps, n_fft))
