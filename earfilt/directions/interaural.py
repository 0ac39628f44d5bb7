"""What lies between two ears: differences of time and of level, each left minus right."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from earfilt.arrays import Floats
from earfilt.directions.interpolation import interaural
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.response import respond

__all__ = ["Interaural", "level_between"]


@dataclass(frozen=True, eq=False)
class Interaural:
    """Interaural differences at (M,) frequencies.

    Attributes
    ----------
    freqs : Hz
    time_s : by how much later a sinusoid leaves at the left ear than at the right one, seconds. A
        phase difference leaves open whole periods: it is the delay nearest to that of the whole
        responses, which differs from it by half a period at most. NaN at 0 Hz and where an ear is
        silent.
    level_db : by how much more the left ear gets, dB; NaN where both are silent.
    """

    freqs: Floats
    time_s: Floats
    level_db: Floats

    @classmethod
    def of(cls, fir: Fir, freqs: Floats) -> Self:
        """Those of a FIR of two rows, whose rate is known."""
        found = respond(fir, freqs)
        whole_s = interaural(fir.taps) / (fir.fs or 1.0)
        turn = 2.0 * np.pi * freqs
        phase = found.phase_rad[0] - found.phase_rad[1] + turn * whole_s
        left_over = np.angle(np.exp(1j * phase))
        silent = np.isneginf(found.magnitude_db).any(0) | (freqs == 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            time_s = np.where(silent, np.nan, whole_s - left_over / turn)
            return cls(found.freqs, time_s, found.magnitude_db[0] - found.magnitude_db[1])


def level_between(taps: Floats) -> float:
    """By how many dB the energy of the left row of taps (2, numtaps) exceeds that of the right one;
    infinite where one is silent, NaN where both are.
    """
    left, right = (taps**2).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10.0 * np.log10(np.float64(left) / np.float64(right)))
