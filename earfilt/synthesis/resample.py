"""A FIR made for one sampling rate, converted to another.

Its impulse response is taken as band-limited and sampled anew: the taps are impulses in continuous
time, a windowed sinc stands in for the ideal low-pass. The response is that of the given FIR up to
0.46 of the lower of the two rates, within ERROR of its largest value, and falls to nothing at half
of it; time zero stays time zero.

References
----------
Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd ed., sections 4.6 and
7.5 (Kaiser window).
"""

import math
from dataclasses import replace

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir

KEPT = 0.46
"""Part of the lower rate up to which the response is kept."""
ERROR = 1e-6
"""Largest error of the response there, re its largest value."""

_STOP = 0.5
_STOP_DB = 126.0
_BETA = 0.1102 * (_STOP_DB - 8.7)
# Half the kernel's length in periods of the lower rate (Kaiser's formula).
_HALF = math.ceil((_STOP_DB - 7.95) / (14.36 * (_STOP - KEPT)) / 2.0)
_BLOCK = 1 << 22
_MOST_TAPS = 1 << 22


def resampled(fir: Fir, fs: float) -> Fir:
    """A FIR at another sampling rate.

    Parameters
    ----------
    fir : Fir
        With a known rate.
    fs : float
        Hz, > 0.

    Returns
    -------
    Fir
        As long as the given one in time, and at both ends by the reach of the low-pass more: 103
        periods of the lower rate.

    Raises
    ------
    UsageError
        It would have more than 2^22 taps.

    Examples
    --------
    >>> from earfilt.synthesis.fir import Fir
    >>> fir = resampled(Fir(np.array([0.5]), 44100.0), 48000.0)
    >>> round(abs(float(fir.taps.sum())), 6)
    0.5
    """
    if fir.fs is None or fir.fs == fs:
        return fir
    low = min(fir.fs, fs)
    reach = _HALF / low  # seconds
    before = math.ceil((fir.lookahead / fir.fs + reach) * fs)
    behind = math.ceil(((fir.numtaps - 1 - fir.lookahead) / fir.fs + reach) * fs)
    count = before + behind + 1
    if count > _MOST_TAPS:
        raise UsageError(
            f"at {fs:g} Hz the FIR would have {count} taps; at most {_MOST_TAPS} are possible"
        )
    times = (np.arange(count) - before) / fs
    rows = [_sampled(fir.row(index), times, low) / fs for index in range(fir.rows)]
    taps = rows[0] if fir.rows == 1 else np.stack(rows)
    return replace(fir, taps=taps, fs=float(fs), lookahead=before)


def _sampled(fir: Fir, times: Floats, low: float) -> Floats:
    """The band-limited impulse response of one row at times (M,) in seconds; time zero is the
    look-ahead.
    """
    assert fir.fs is not None
    reach = _HALF / low
    width = math.ceil(2.0 * reach * fir.fs) + 2
    taps = np.pad(fir.taps, width)
    found = np.empty(len(times))
    step = max(1, _BLOCK // width)
    for start in range(0, len(times), step):
        at = times[start : start + step]
        # the first tap within reach of each time, and those behind it
        first = np.ceil((at - reach) * fir.fs).astype(np.int64)
        index = first[:, None] + np.arange(width)
        distance = at[:, None] - index / fir.fs
        place = np.clip(index + fir.lookahead + width, 0, len(taps) - 1)
        found[start : start + step] = np.sum(taps[place] * _kernel(distance, low), axis=1)
    return found


def _kernel(seconds: Floats, low: float) -> Floats:
    """The low-pass at a distance from its middle."""
    inside = np.clip(1.0 - (seconds * (low / _HALF)) ** 2, 0.0, None)
    window = np.where(inside > 0.0, np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA), 0.0)
    cutoff = (KEPT + _STOP) * low  # twice the middle of the transition
    return cutoff * np.sinc(cutoff * seconds) * window
