"""How far the arithmetic of a filtered segment may be off, from what the segment holds: the bound
that decides on its precision. It depends on that segment alone: not on its neighbours, nor on how
many are filtered in one call.

An FFT rounds in every one of its log2(n) stages. Errors of one stage are as good as independent of
each other, so that their sum grows with the root of their number, and is spread over the whole
segment like noise: forward in proportion to the RMS of the input, which the filter then colours
(√Σh², since the noise is white), and backward in proportion to the RMS of the output. Beside it
stands what the last stages leave near a peak, or a fraction of the segment away from it: some units
of the peak itself. Rounding the response is one more stage.

The factors are measured: they hold, with the margin given beside them, for steps, ramps, tones in
and between bins, clicks, bursts, signs of the reversed filter, DC and noise, through deltas, ears,
band-passes, resonators and random filters of 1 to 131 073 taps (``tests/test_roundoff.py``). A
bound that held for any rounding, however unlucky, would be some hundred times as large.

References
----------
Higham, N. J. & Mary, T. (2019). A new approach to probabilistic rounding error analysis. SIAM J.
Sci. Comput. 41, A2815-A2835. Oppenheim, A. V. & Weinstein, C. J. (1972). Effects of finite register
length in digital filtering and the fast Fourier transform. Proc. IEEE 60, 957-976.
"""

import math

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from earfilt.engine.samples import Samples

__all__ = ["CODE", "RELATIVE", "largest_errors", "peaks", "rms", "segment_rms"]

CODE = 0.01
"""Largest error of an integer sample beside its rounding, in codes."""
RELATIVE = 2.0**-20
"""Largest error of a floating-point sample, re the peak of its segment's output: −120 dB."""

_DEVIATIONS = 6.5  # standard deviations: of 10¹⁰ samples one is beyond
# Noise of one direction at n_fft 4096, in units of 2⁻²⁴ RMS, of a complex and of a real transform;
# largest met: 1.43 and 2.66.
_NOISE_PACKED, _NOISE_REAL = 1.7, 3.0
_NEAR_PEAKS = 4.0  # largest met: 3.9
_STAGES = 12  # of the transform that was measured
_SIDE = 64  # frames added up side by side: short rows are slow


def segment_rms(x: Samples, n_fft: int, hop: int) -> npt.NDArray[np.float64]:
    """RMS of the segments of a window (frames, channels), C-contiguous: (segments, channels)."""
    frames, channels = x.shape
    row, item = x.strides
    count = (frames - n_fft) // hop + 1
    segments = as_strided(x, (count, n_fft, channels), (hop * row, row, item), writeable=False)
    return rms(segments)


def rms(segments: Samples) -> npt.NDArray[np.float64]:
    """Of segments (segments, frames, channels), each C-contiguous: (segments, channels).

    A segment's result does not depend on the segments beside it.
    """
    count, frames, channels = segments.shape
    side = math.gcd(frames, _SIDE)
    item = segments.itemsize
    lanes = as_strided(
        segments,
        (count, frames // side, side * channels),
        (segments.strides[0], side * channels * item, item),
        writeable=False,
    )

    def energies(lanes: Samples) -> npt.NDArray[np.float64]:
        # frame by frame, whatever the number of segments
        each = np.einsum("spl,spl->sl", lanes, lanes).reshape(-1, side, channels)
        energy: npt.NDArray[np.float64] = each.sum(axis=1, dtype=np.float64)
        return energy

    energy = energies(lanes)
    for beyond in np.flatnonzero(~np.isfinite(energy).all(axis=1)):  # squares beyond float32
        energy[beyond] = energies(lanes[beyond : beyond + 1].astype(np.float64))[0]
    return np.sqrt(energy / frames)


def peaks(rows: Samples) -> npt.NDArray[np.float64]:
    """Largest magnitude in each row (rows, values): (rows,)."""
    highest, lowest = rows.max(axis=1, initial=0.0), rows.min(axis=1, initial=0.0)
    return np.maximum(highest, -lowest).astype(np.float64)


def largest_errors(
    noise: npt.NDArray[np.float64],
    y_rms: npt.NDArray[np.float64] | float,
    y_peak: npt.NDArray[np.float64] | float,
    *,
    n_fft: int,
    packed: bool,
) -> npt.NDArray[np.float64]:
    """Bounds on the errors of the output samples of segments that are filtered in float32, in
    units of the output: (segments, outputs).

    Parameters
    ----------
    noise : (segments, outputs)
        RMS of what the filter makes of white noise at the level of the input.
    y_rms : (segments, outputs)
        Of the circular output. Two channels that are packed have one noise: of both, this and
        `noise` are taken together.
    y_peak : (segments, 1)
        Largest output sample, those included that wrap around and are dropped.
    packed : bool
        Two channels as one complex signal.
    """
    unit = float(np.finfo(np.float32).eps) / 2.0
    each = _NOISE_PACKED if packed else _NOISE_REAL
    together = np.hypot(noise, y_rms)
    if packed:
        pairs = np.linalg.norm(together.reshape(len(together), -1, 2), axis=2)
        together = np.repeat(pairs, 2, axis=1)
    spread = _DEVIATIONS * each * math.sqrt(math.log2(n_fft) / _STAGES) * together
    bounds: npt.NDArray[np.float64] = unit * np.hypot(spread, _NEAR_PEAKS * np.asarray(y_peak))
    return bounds
