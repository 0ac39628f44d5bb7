"""Delay and polarity of a transfer function: what its phase has beside the minimum phase of its
magnitude, or beside no phase at all.
"""

from dataclasses import dataclass

import numpy as np

from earfilt.arrays import Complexes, Floats
from earfilt.measure.local import Transfer
from earfilt.measure.spectra import Spectra
from earfilt.synthesis.phase import minimum_phase_spectrum

_FINER = 8  # lags a sample, in the search
_NEWTON = 12
_HIGHEST = 0.45  # of fs, up to where phase is looked at
_WHOLE_WEIGHT = 1e4  # of a bin: more coherent ones do not count for more


@dataclass(frozen=True)
class Excess:
    """What a transfer function has beside its magnitude.

    Attributes
    ----------
    delay : float
        Samples.
    inverted : bool
    minimum_phase : bool
        Beside the minimum phase of its magnitude; False: beside no phase.
    fit : float
        1 where delay and polarity explain all of the phase, 0 where nothing.
    """

    delay: float
    inverted: bool
    minimum_phase: bool
    fit: float


def excess(found: Spectra, curve: Transfer, fs: float) -> Excess:
    """Delay and polarity of aligned recordings.

    Parameters
    ----------
    found : Spectra
    curve : Transfer
        The magnitude, from as low to as high as it is known.
    fs : float
        Hz.
    """
    xy = found.xy.sum(0)
    power = found.xx.sum(0) * found.yy.sum(0)
    same = np.clip(np.abs(xy) ** 2 / np.maximum(power, 1e-300), 0.0, 1.0)
    within = (found.freqs >= curve.freqs[0]) & (found.freqs <= _HIGHEST * fs)
    weights = np.where(within, np.minimum(same / (1.0 - same + 1e-12), _WHOLE_WEIGHT), 0.0)
    n_fft = 2 * (len(found.freqs) - 1)
    log_hz = np.log(np.maximum(found.freqs, found.freqs[1] / 2.0))
    gain = np.interp(log_hz, np.log(curve.freqs), np.log(np.maximum(np.abs(curve.value), 1e-15)))
    turned = np.exp(1j * np.angle(xy))
    beside = minimum_phase_spectrum(gain, n_fft)
    candidates = [
        _linear(weights, turned * np.exp(-1j * np.angle(beside)), minimum_phase=True),
        _linear(weights, turned, minimum_phase=False),
    ]
    return max(candidates, key=lambda one: one.fit)


def _linear(weights: Floats, phase: Complexes, *, minimum_phase: bool) -> Excess:
    """The delay and the sign that explain a phase best, by weighted least squares."""
    n_fft = 2 * (len(phase) - 1)
    weighted = weights * phase
    lags = np.fft.irfft(weighted, _FINER * n_fft)
    top = int(np.argmax(np.abs(lags)))
    delay = (top if top < len(lags) // 2 else top - len(lags)) / _FINER
    turn = 2.0 * np.pi * np.arange(len(phase)) / n_fft
    sign = np.sign(lags[top])
    for _ in range(_NEWTON):
        now = weighted * np.exp(1j * turn * delay)
        slope, bend = (turn * now.imag).sum(), (turn**2 * now.real).sum()
        if bend * sign <= 0.0:
            break
        # the derivative of Σ Re is −Σ ω·Im, its second −Σ ω²·Re
        delay -= float(slope / bend)
    reached = float((weighted * np.exp(1j * turn * delay)).real.sum())
    total = float(weights.sum()) or 1.0
    return Excess(delay, reached < 0.0, minimum_phase, min(1.0, abs(reached) / total))
