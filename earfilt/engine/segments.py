"""How a signal is cut into FFT segments for overlap-save, and extended beyond its ends: what numpy
and torch share.

The signal is cut into segments of `n_fft` samples that overlap by the order of the FIR; the
circular convolution of a segment equals the linear one except in its first `order` samples, which
are dropped (Oppenheim & Schafer, Discrete-Time Signal Processing, section 8.7.3).  Zero phase is
the same with a look-ahead: `filtfilt` with the taps h equals one convolution with h * reverse(h),
advanced by the order, over a signal extended oddly at both ends.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from earfilt.arrays import power_of_two
from earfilt.ears.options import number
from earfilt.errors import UsageError

__all__ = [
    "CALL_BYTES",
    "GRAIN",
    "LANES",
    "LONG",
    "as_segments",
    "block_within",
    "check_ears",
    "choose_n_fft",
    "extend_ends",
    "hop_of",
    "is_transposed",
    "keep_memory",
    "latency_frames",
    "order_reached",
    "per_call",
    "usual_hop",
]

# hops are multiples of this: every segment starts on a cache line, as an FFT's last bits may depend
# on alignment
GRAIN = 64
LONG = 1 << 18  # from so many taps on, memory counts more than time
# of spectra in one call: threads wait for Python's lock between calls, which counts more than caches
CALL_BYTES = 1 << 22
# channels of a recording, at most, and samples of one, at least, where one is told from the other
_FEW, _MANY = 32, 1000
LANES = 4  # transforms that an FFT of float32 takes side by side; fewer take twice as long each


def choose_n_fft(numtaps: int) -> int:
    """FFT size for a FIR: the smallest power of two that is at least 4096 and three times the taps
    (beyond 2^18 taps, 1.5 times); a shorter one, of eight times the taps and at least 1024, for a
    short filter.

    Measured with scipy.fft on one Xeon core (Sapphire Rapids), ns per output sample of packed
    stereo, float32 / float64::

        taps     n_fft: 2048       4096        8192       16384       32768      65536       131072
        257       3.3 / 6.0   3.1 /  5.9
        513       3.7 / 7.2   3.3 /  6.1   3.3 / 6.4
        1025      5.6 / 10.4  3.8 /  7.1   3.6 / 6.6   3.6 /  6.8
        4097                               6.3 / 11.4  4.4 /  8.5   4.4 /  8.7   5.3 / 10.9
        8193                                           6.5 / 12.2   4.9 / 10.0   5.6 / 11.6   5.7 / 11.6
        32769                                                                    9.5 / 19.5   6.9 / 14.2

    Sizes of 3 * 2^k are nowhere faster by more than 5 %. Short filters on another core of that
    kind, which was not idle (minima of CPU time), mono files of 20 000 frames, float64, and long
    packed stereo, float32::

        taps     n_fft: 512         1024         2048         4096
        33       9.0 / 11.5   8.7 / 11.9   12.0 / 12.0  11.8 / 12.2
        129     10.3 / 13.5   9.3 / 12.8   12.0 / 12.6  13.7 / 12.4
        257                  10.5 / 15.1   12.3 / 13.8  13.3 / 12.8

    Parameters
    ----------
    numtaps : int >= 1
    """
    least = max(1024, min(4096, power_of_two(8 * numtaps)))
    return max(least, power_of_two(3 * numtaps if numtaps <= LONG else numtaps * 3 // 2))


def hop_of(numtaps: int, n_fft: int) -> int:
    """Output samples of one segment: what is left beside the overlap, in whole grains.

    Raises
    ------
    ValueError
        If `n_fft` leaves less than one grain.
    """
    hop = (n_fft - numtaps + 1) // GRAIN * GRAIN
    if hop <= 0:
        raise ValueError(f"n_fft is {n_fft}; {numtaps} taps need at least {numtaps - 1 + GRAIN}")
    return hop


def usual_hop(numtaps: int) -> int:
    """Output samples of one segment of the size that is filtered fastest."""
    return hop_of(numtaps, choose_n_fft(numtaps))


def latency_frames(latency_ms: float | None, fs: float) -> int | None:
    """Whole frames in so many milliseconds at a rate in Hz; None for None.

    Raises
    ------
    UsageError
        It is not above 0 ms, or not finite.

    >>> latency_frames(20.0, 44100.0)
    882
    """
    if latency_ms is None:
        return None
    latency_ms = number("latency_ms", latency_ms)
    if not 0.0 < latency_ms < math.inf:
        raise UsageError(f"the latency is {latency_ms} ms; it must be above 0 ms and finite")
    return math.floor(latency_ms * fs / 1000.0)


def block_within(latency: int | None, numtaps: int) -> int | None:
    """Frames of a block for output that must come soon.

    Parameters
    ----------
    latency : int or None
        Frames that a block may have at most; None: any number.
    numtaps : int >= 1

    Returns
    -------
    int or None
        A power of two, the largest one within `latency`; None where the usual segments are short
        enough: they are faster.

    Raises
    ------
    UsageError
        `latency` is below the shortest block.
    """
    if latency is None or usual_hop(numtaps) <= latency:
        return None
    if latency < GRAIN:
        raise UsageError(
            f"the latency is {max(0, latency)} frames at this rate; it must be {GRAIN} or more"
        )
    return 1 << (latency.bit_length() - 1)


def check_ears(shape: Sequence[int]) -> None:
    """Refuse the shape of what is no signal for two ears: mono (T,) or (..., 1, T), stereo (..., 2,
    T).

    Raises
    ------
    UsageError
    """
    if len(shape) > 1 and shape[-2] not in (1, 2):
        raise UsageError(
            f"the signal's shape, time last, is {tuple(shape)}; through two ears go (..., 1, T), "
            "mono, and (..., 2, T), stereo: write a batch of mono signals (B, T) as (B, 1, T)"
        )


def is_transposed(shape: Sequence[int]) -> bool:
    """Whether the last dimension, taken for time, can only be that of channels, as files are read
    by most libraries: so few samples beside so many signals are nothing to filter.

    >>> is_transposed((48000, 2)), is_transposed((2, 48000)), is_transposed((500, 20))
    (True, False, False)
    """
    return len(shape) > 1 and 0 < shape[-1] <= _FEW and max(shape[:-1]) > _MANY


def as_segments(x: npt.NDArray[Any], segments: int, n_fft: int, hop: int) -> npt.NDArray[Any]:
    """Overlapping segments of a window (frames, columns), C-contiguous, as a view: (segments, n_fft,
    columns).
    """
    row, column = x.strides
    return np.ndarray((segments, n_fft, x.shape[1]), x.dtype, x.data, 0, (hop * row, row, column))


def per_call(n_fft: int, channels: int, itemsize: int, call_bytes: int = CALL_BYTES) -> int:
    """Segments whose spectra, of real signals of `itemsize` bytes a sample, take `call_bytes`; at
    least 1.
    """
    return max(1, call_bytes // (n_fft * channels * itemsize))


def order_reached(lookahead: int, odd_ends: bool) -> int:
    """The least order that a FIR must be brought to by zeros, so that a window holds all that its
    ends are mirrored from.

    Raises
    ------
    ValueError
        If `lookahead` is negative.
    """
    if lookahead < 0:
        raise ValueError(f"lookahead is {lookahead}; it must be 0 (causal) or more samples")
    return 2 * lookahead if odd_ends else lookahead


def extend_ends(window: Any, at: int, total: int | None, lookahead: int) -> None:
    """Mirror a signal oddly into the part of a window that lies before its start or behind its end,
    in place.

    Parameters
    ----------
    window : array or Tensor (frames, channels)
        Input frames from the absolute frame `at` on; zeros outside the signal.
    at : int
    total : int or None
        Frames of the signal; None while its end lies behind the window.
    lookahead : int >= 0
        Frames to mirror at each end, as far as the signal goes.
    """
    mirrored = lookahead if total is None else min(lookahead, total - 1)
    first = -at
    if mirrored > 0 and first > 0:
        _mirror(window, first, min(mirrored, first), -1)
    if mirrored > 0 and total is not None and total - at < len(window):
        last = total - at - 1
        _mirror(window, last, min(mirrored, len(window) - last - 1), 1)


def _mirror(window: Any, pivot: int, count: int, towards: int) -> None:
    """Point reflection of `count` frames at the frame `pivot`, onto its other side: before (-1) or
    behind it (1).
    """
    beyond = slice(pivot + 1, pivot + 1 + count) if towards > 0 else slice(pivot - count, pivot)
    within = slice(pivot - count, pivot) if towards > 0 else slice(pivot + 1, pivot + 1 + count)
    part = window[within]
    # torch has no negative steps, numpy no method of that name.
    window[beyond] = 2 * window[pivot] - (part.flip(0) if hasattr(part, "flip") else part[::-1])


@cache
def keep_memory() -> None:
    """Let the allocator keep what an FFT gives back.

    glibc hands blocks above a threshold back to the system, and pays for every page of the next
    one.  It raises the threshold to the largest block that was freed, 32 MiB at most: more than an
    FFT needs here.
    """
    np.empty(31 << 20, np.uint8)
