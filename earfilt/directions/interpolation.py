"""One pair of ears of several measured ones: log magnitudes and arrival times apart.

Raw responses must not be added: the same peak arrives at different times, and their sum is a comb
filter. Each response is advanced by its own arrival time first. Of what is left the logarithms of
the magnitudes are averaged; the phases are those of the average of the advanced spectra, each with
magnitude 1; and the average of the arrival times delays the result. At a measured direction that is
the measured response, and near it little else: nothing jumps.

The arrival time is where the response correlates most with its own minimum-phase version, read
between the samples.

References
----------
Nam, J., Kolar, M. A. & Abel, J. S. (2008). On the minimum-phase nature of head-related transfer
functions. 125th AES Convention, paper 7546.
Hartung, K., Braasch, J. & Sterbing, S. J. (1999). Comparison of different methods for the
interpolation of head-related transfer functions. 16th AES Conference, 319-329.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from earfilt.arrays import Complexes, Floats, power_of_two
from earfilt.synthesis.fir import rounded
from earfilt.synthesis.phase import minimum_phase_spectrum

_FLOOR = 1e-4  # of magnitudes, re the largest: −80 dB
_FINER = 8  # points of the correlation per sample, before its peak is read between them
BEFORE = 32
"""Samples ahead of time zero that a response between samples may need."""

_NOTHING = 1e-8  # of the energy, which may be cut off there


class Spectra(NamedTuple):
    """Responses (…, bins), taken apart: natural logarithms of the magnitudes, the spectra without
    their arrival times and with magnitude 1, and the arrival times (…,) in samples.
    """

    log_magnitude: Floats
    aligned: Complexes
    delay: Floats

    @classmethod
    def stacked(cls, several: "Sequence[Spectra]") -> "Spectra":
        """Several with a new first axis."""
        return cls(*(np.stack(parts) for parts in zip(*several, strict=True)))

    @property
    def n_fft(self) -> int:
        """Points of the transform."""
        return 2 * (self.log_magnitude.shape[-1] - 1)


def fft_size(numtaps: int) -> int:
    """Points of the transforms for responses of so many taps: room for what time-aliasing and
    delays need.
    """
    return max(1024, power_of_two(4 * numtaps))


def taken_apart(taps: Floats, n_fft: int) -> Spectra:
    """Responses (…, numtaps) as what can be averaged."""
    spectra = np.fft.rfft(taps, n_fft)
    magnitude = np.abs(spectra)
    largest = magnitude.max(axis=-1, keepdims=True)
    floored = np.log(np.maximum(magnitude, np.where(largest > 0.0, _FLOOR * largest, 1.0)))
    unit = np.where(magnitude > 0.0, spectra / np.where(magnitude > 0.0, magnitude, 1.0), 1.0)
    delay = _delays(spectra, floored)
    return Spectra(floored, _late(unit, -delay), delay)


def averaged(spectra: Spectra, weights: Floats) -> Spectra:
    """The average over the first axis, with weights (K,) that add up to 1."""
    log_magnitude, delay = (
        np.tensordot(weights, part, 1) for part in (spectra.log_magnitude, spectra.delay)
    )
    summed = np.tensordot(weights, spectra.aligned, 1)
    size = np.abs(summed)
    aligned = np.where(size > 0.0, summed / np.where(size > 0.0, size, 1.0), 1.0)
    return Spectra(log_magnitude, aligned, delay)


def measured_phase(spectra: Spectra) -> Complexes:
    """The spectra (…, bins), put together again."""
    return _late(np.exp(spectra.log_magnitude) * spectra.aligned, spectra.delay)


def minimum_phase(spectra: Spectra, *, delayed: bool) -> Complexes:
    """Spectra (2, bins) of minimum phase; delayed by the arrival times, to a fraction of a sample,
    or without any.
    """
    found = np.stack([minimum_phase_spectrum(one, spectra.n_fft) for one in spectra.log_magnitude])
    return _late(found, spectra.delay) if delayed else found


def taps_of(spectra: Complexes, numtaps: int) -> tuple[Floats, int]:
    """Taps (…, numtaps + lookahead) of spectra (…, bins), and the look-ahead: 0, or some samples
    where a response that starts at once has something before its start. As designed taps they are
    rounded, so that they are the same on every processor.
    """
    samples = rounded(np.fft.irfft(spectra))
    ahead = samples[..., -BEFORE:]
    if (ahead**2).sum() <= _NOTHING * (samples**2).sum():
        return samples[..., :numtaps], 0
    return np.concatenate([ahead, samples[..., :numtaps]], axis=-1), BEFORE


def interaural(taps: Floats) -> float:
    """How much later a pair (2, numtaps) arrives at the left ear than at the right one, in samples."""
    delay = taken_apart(taps, fft_size(taps.shape[-1])).delay
    return float(delay[0] - delay[1])


def _late(spectra: Complexes, delay: Floats) -> Complexes:
    """Spectra (…, bins) delayed by samples (…,), also by parts of them; fs/2 keeps its magnitude."""
    bins = spectra.shape[-1]
    turned = spectra * np.exp(-1j * np.pi * np.arange(bins) / (bins - 1) * delay[..., None])
    real = turned[..., -1].real
    turned[..., -1] = np.where(real < 0.0, -1.0, 1.0) * np.abs(turned[..., -1])
    return turned


def _delays(spectra: Complexes, log_magnitude: Floats) -> Floats:
    """Arrival times (…,) of spectra (…, bins), samples."""
    n_fft = 2 * (spectra.shape[-1] - 1)
    flat, logs = (
        spectra.reshape(-1, spectra.shape[-1]),
        log_magnitude.reshape(-1, spectra.shape[-1]),
    )
    found = [
        _peak(np.fft.irfft(one * np.conj(minimum_phase_spectrum(log, n_fft)), _FINER * n_fft))
        for one, log in zip(flat, logs, strict=True)
    ]
    return np.array(found).reshape(spectra.shape[:-1]) / _FINER


def _peak(correlation: Floats) -> float:
    """Where a circular correlation is largest, by a parabola through three points."""
    at = int(np.argmax(correlation))
    before, here, after = (correlation[(at + k) % len(correlation)] for k in (-1, 0, 1))
    bend = before - 2.0 * here + after
    signed = at - len(correlation) if at > len(correlation) // 2 else at
    return signed + (0.5 * float((before - after) / bend) if bend < 0.0 else 0.0)
