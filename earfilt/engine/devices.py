"""Whether a device is worth its start-up for a recording: what the CPU would take, by a model.

Only the filtering is quicker there: reading and writing are the same, and at ordinary lengths of
filters they are most of it.
"""

import math

from earfilt.engine.segments import choose_n_fft, hop_of

__all__ = ["DEVICE_START", "filtering_seconds", "is_short", "pays"]

DEVICE_START = 3.0
"""Seconds until a device filters its first sample: loading torch, and the device's own start."""

_SHORT = 1 << 20  # bytes: what the CPU filters in some milliseconds, which is what a device needs

# From the table of `choose_n_fft`: 3.1 ns a sample at 257 taps to 6.9 ns at 32 769 are 0.24 to
# 0.30 ns for each of the n_fft · log2(n_fft) steps of a segment, in float32; twice that in float64.
_STEP = 0.3e-9
# There and back over a bus of 25 GB/s, and through the device's own memory some ten times.
_THERE = 0.5e-9


def filtering_seconds(samples: int, numtaps: int, *, itemsize: int, threads: int) -> float:
    """What the CPU takes to filter so many samples of all channels together.

    >>> round(filtering_seconds(2 * 3600 * 48000, 513, itemsize=4, threads=2), 2)
    0.71
    """
    n_fft = choose_n_fft(numtaps)
    each = _STEP * (itemsize / 4) * n_fft * math.log2(n_fft) / hop_of(numtaps, n_fft)
    return samples * each / threads


def is_short(size: int) -> bool:
    """Whether a file of a batch, of so many bytes, is left to the CPU, which filters it while a
    device is being told what to do.
    """
    return size <= _SHORT


def pays(samples: int, numtaps: int, *, itemsize: int, threads: int) -> bool:
    """Whether a device, its start included, is quicker than the CPU.

    >>> pays(2 * 3600 * 48000, 513, itemsize=4, threads=2)  # an hour of stereo
    False
    >>> pays(2 * 24 * 3600 * 48000, 131073, itemsize=8, threads=2)  # a day, through a long filter
    True
    """
    there = DEVICE_START + samples * _THERE * (itemsize / 4)
    return filtering_seconds(samples, numtaps, itemsize=itemsize, threads=threads) > there
