"""A source that moves: the pair of ears for each moment of a path.

Between two points of a path the source moves on the great circle at an even speed; before the first
and behind the last one it rests. The ears are made anew for every 256th frame, at absolute frames of
the signal, and from each to the next the output fades linearly, so that nothing clicks and the size
of blocks has no part in it.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np

from earfilt.arrays import Floats
from earfilt.directions.geometry import angles_between, between
from earfilt.directions.hrirs import Hrirs, Treatment
from earfilt.directions.interpolation import BEFORE, fft_size
from earfilt.synthesis.fir import Fir

HOP = 256
"""Frames from one pair of ears to the next."""

_STEP_DEG = 1.0  # how closely a path is looked at
_KEPT = 4096


@dataclass(frozen=True, eq=False)
class Motion:
    """A path through a set of directions.

    Parameters
    ----------
    hrirs : Hrirs
    how : Treatment
    times : (K,) float64
        Seconds, rising.
    vectors : (K, 3) float64
        Unit vectors.
    """

    hrirs: Hrirs
    how: Treatment
    times: Floats
    vectors: Floats

    def direction(self, seconds: float) -> Floats:
        """Where the source is, a unit vector."""
        after = int(np.searchsorted(self.times, seconds, side="right"))
        if after in (0, len(self.times)):
            return self.vectors[min(after, len(self.times) - 1)]
        start, end = self.times[after - 1 : after + 1]
        part = (seconds - start) / (end - start)
        return between(self.vectors[after - 1], self.vectors[after], float(part))

    def outside(self) -> "Floats | None":
        """A direction of the path around which nothing was measured; None where there is none."""
        for index, vector in enumerate(self.vectors):
            last = self.vectors[max(0, index - 1)]
            steps = max(1, int(np.ceil(float(angles_between(vector, last)) / _STEP_DEG)))
            for step in range(1, steps + 1):
                direction = between(last, vector, step / steps)
                if self.hrirs.place(direction, nearest=self.how.nearest) is None:
                    return direction
        return None

    @property
    def lookahead(self) -> int:
        """Samples, of every pair of ears."""
        return BEFORE + self.hrirs.ahead

    @property
    def numtaps(self) -> int:
        """Of every pair of ears."""
        own = self.hrirs.numtaps
        return BEFORE + (own if self.how.diffuse == "keep" else fft_size(own) // 2)


class Ears:
    """The ears of a motion, kept as far as they are needed again; threads may share it."""

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        self._apart = lru_cache(maxsize=_KEPT)(motion.hrirs.apart)

    def taps(self, seconds: float) -> Floats:
        """Taps (2, numtaps) with the look-ahead of the motion."""
        motion = self._motion
        place = motion.hrirs.place(motion.direction(seconds), nearest=motion.how.nearest)
        assert place is not None  # the path was looked at when it was read
        made = motion.hrirs.pair(place, motion.how, apart=self._apart)
        found = np.zeros((2, motion.numtaps))
        start = motion.lookahead - made.lookahead
        found[:, start : start + made.taps.shape[1]] = made.taps
        return found


@dataclass(frozen=True, eq=False)
class MovingFir(Fir):
    """The FIR of the first moment, and the motion from there on."""

    motion: Motion | None = None
    right_first: bool = False

    def swapped(self) -> Self:
        """As of every FIR: the taps, and the ears of all moments."""
        return replace(super().swapped(), right_first=not self.right_first)

    @property
    def moves(self) -> bool:
        """It does."""
        return True


def moving_fir(motion: Motion) -> MovingFir:
    """The FIR of a motion."""
    return MovingFir(Ears(motion).taps(0.0), motion.hrirs.fs, motion.lookahead, motion=motion)
