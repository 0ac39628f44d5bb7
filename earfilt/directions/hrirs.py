"""A set of measured head-related impulse responses, and the pair of ears for any direction."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Complexes, Floats
from earfilt.directions import interpolation
from earfilt.directions.diffuse import diffuse_magnitude
from earfilt.directions.geometry import angles_of
from earfilt.directions.interpolation import BEFORE, Spectra
from earfilt.directions.sphere import Net, Place
from earfilt.synthesis.fir import rounded
from earfilt.synthesis.phase import minimum_phase_spectrum

_SAME_DISTANCE = 0.02  # measured distances scatter by this much around what was meant
_SHARE = 0.005  # weights below this are not named
_KEPT = 0.45  # of the rate: up to there a delay between samples changes no magnitude
# Kaiser's formulas: what BEFORE samples on both sides of a sinc leave beside it, whose transition is
# centred on half the rate.
_STOP_DB = 7.95 + 14.36 * 2 * BEFORE * 2 * (0.5 - _KEPT)
_BETA = 0.1102 * (_STOP_DB - 8.7)


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What is made of measured responses.

    Parameters
    ----------
    nearest : bool
        Take the nearest measured direction, whatever lies between.
    minimum : bool
        Minimum phase in place of the measured one.
    delayed : bool
        Of minimum phase: with the arrival times of both ears; else both start at once.
    diffuse : 'keep', 'remove' or 'only'
        What all directions have in common: it stays; the response is divided by it; nothing else
        is given.
    """

    nearest: bool = False
    minimum: bool = False
    delayed: bool = True
    diffuse: Literal["keep", "remove", "only"] = "keep"


class Pair(NamedTuple):
    """Taps (2, numtaps) of the left and the right ear, their common look-ahead in samples, and what
    they were made of, in words.
    """

    taps: Floats
    lookahead: int
    made_of: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Hrirs:
    """Responses of both ears to sound from measured directions.

    Parameters
    ----------
    taps : (M, 2, N) float64
        Left and right.
    fs : float
        Hz.
    vectors : (M, 3) float64
        Unit vectors: x ahead, y to the left, z up.
    distances : (M,) float64
        Metres; NaN where the set does not say.
    delays : (M, 2) float64
        Samples, also parts of them, that belong before the taps.
    before : int
        Samples of all taps that come before time zero.
    """

    taps: Floats
    fs: float
    vectors: Floats
    distances: Floats
    delays: Floats
    before: int = 0

    @property
    def numtaps(self) -> int:
        """Taps of each ear from the look-ahead on, with the largest delay before them; all directions
        have as many.
        """
        return self.ahead + self._span[1]

    @property
    def ahead(self) -> int:
        """Samples that the taps of all directions begin before time zero: what the set has there,
        and what a delay between samples needs.
        """
        return max(0, -self._span[0])

    @cached_property
    def _span(self) -> tuple[int, int]:
        """Where taps begin and end at most, in samples from time zero."""
        whole = np.floor(self.delays)
        reach = np.where(self.delays == whole, 0, BEFORE)
        first, end = whole - self.before - reach, whole - self.before + self.taps.shape[2] + reach
        return int(first.min()), int(end.max())

    @cached_property
    def _tapered(self) -> bool:
        """Whether any direction has a delay between samples: half the rate, where no such delay
        exists, is then left out between directions too.
        """
        return bool((self.delays != np.floor(self.delays)).any())

    @cached_property
    def net(self) -> Net:
        """The measured directions on the sphere."""
        return Net(self.vectors)

    @cached_property
    def shells(self) -> tuple[float, ...]:
        """The distances that were measured at, metres: the mean of those that are nearly equal."""
        return tuple(float(self.distances[shell].mean()) for shell in self._shells)

    @cached_property
    def _shells(self) -> list[NDArray[np.intp]]:
        order = np.argsort(self.distances, kind="stable")
        found = self.distances[order]
        with np.errstate(invalid="ignore"):
            steps = np.flatnonzero(np.diff(found) > _SAME_DISTANCE * found[:-1])
        return [np.sort(part) for part in np.split(order, steps + 1)]

    @property
    def repeated(self) -> list[int]:
        """Directions that were measured before at their distance, with another response; these are
        not used.
        """
        found = []
        for shell in self._shells:
            for index, first in zip(shell, shell[Net(self.vectors[shell]).firsts], strict=True):
                alike = (self.taps[index] == self.taps[first]).all()
                if not (alike and (self.delays[index] == self.delays[first]).all()):
                    found.append(int(index))
        return sorted(found)

    def at_distance(self, index: int) -> "Hrirs":
        """The directions of one of the ``shells``."""
        shell = self._shells[index]
        return replace(
            self,
            taps=self.taps[shell],
            vectors=self.vectors[shell],
            distances=self.distances[shell],
            delays=self.delays[shell],
        )

    def measured(self, index: int) -> Floats:
        """Taps (2, numtaps) of one measured direction: those of the file, behind its delays; time
        zero is tap `ahead`.
        """
        return delayed(self.taps[index], self.delays[index] + self._late, self.numtaps)

    @property
    def _late(self) -> int:
        """Where taps without a delay stand."""
        return self.ahead - self.before

    def place(self, direction: Floats, *, nearest: bool = False) -> Place | None:
        """Where a unit vector (3,) lies; None outside of what was measured."""
        if nearest:
            return Place((self.net.nearest(direction)[0],), (1.0,))
        return self.net.place(direction)

    def pair(
        self, place: Place, how: Treatment, *, apart: Callable[[int], Spectra] | None = None
    ) -> Pair:
        """The ears for a direction; ``apart`` gives the spectra of a measured one, if they are kept.

        A measured direction whose response is not changed has its taps bit for bit.
        """
        plain = not how.minimum and how.diffuse == "keep"
        if plain and len(place.indices) == 1:
            (index,) = place.indices
            return Pair(self.measured(index), self.ahead, (self._as_measured(index),))
        n_fft = self._n_fft
        weights = place.summed
        each = [(apart or self.apart)(index) for index in weights]
        spectra = interpolation.averaged(Spectra.stacked(each), np.array([*weights.values()]))
        if how.minimum:
            whole = interpolation.minimum_phase(spectra, delayed=how.delayed)
        elif len(place.indices) == 1:
            whole = np.fft.rfft(self.measured(place.indices[0]), n_fft)
        else:
            whole = interpolation.measured_phase(spectra)
        if how.diffuse == "remove":
            whole = whole / self.diffuse_spectrum
        timed = how.delayed or not how.minimum
        if timed and self._tapered:
            whole = whole * _taper(whole.shape[-1])
        ahead = self.ahead if timed else 0  # without arrival times both ears start at time zero
        numtaps = self.numtaps if how.diffuse == "keep" else n_fft // 2
        made, lookahead = interpolation.taps_of(whole, numtaps - self.ahead + ahead)
        return Pair(made, ahead + lookahead, self._words(place, how))

    def apart(self, index: int) -> Spectra:
        """The spectra of one measured direction, taken apart."""
        delays, n_fft = self.delays[index], self._n_fft
        if (delays == np.floor(delays)).all():
            return interpolation.taken_apart(self.measured(index), n_fft)
        # what was measured, up to half the rate; its delay is known
        spectra = interpolation.taken_apart(self.taps[index], n_fft)
        return spectra._replace(delay=spectra.delay + delays + self._late)

    def diffuse_field(self) -> Pair:
        """What all directions have in common, as minimum phase."""
        taps, lookahead = interpolation.taps_of(self.diffuse_spectrum, self._n_fft // 2)
        return Pair(taps, lookahead, (self._mean_words(),))

    @cached_property
    def diffuse_spectrum(self) -> Complexes:
        """The diffuse field of both ears as spectra (2, bins) of minimum phase."""
        n_fft = self._n_fft
        magnitude = diffuse_magnitude(self.taps, self.net.solid_angles, n_fft)
        return np.stack([minimum_phase_spectrum(np.log(ear), n_fft) for ear in magnitude])

    @property
    def _n_fft(self) -> int:
        return interpolation.fft_size(self.numtaps)

    def _as_measured(self, index: int) -> str:
        delays = self.delays[index]
        if (delays == np.floor(delays)).all():
            return "taps as measured there"
        behind = " and ".join(f"{delay:.6g}" for delay in delays)
        return (
            f"taps as measured there behind {behind} samples, exact up to {_KEPT * self.fs:.6g} Hz"
        )

    def _words(self, place: Place, how: Treatment) -> tuple[str, ...]:
        said = []
        if len(place.indices) > 1:
            parts = [
                f"{self.words_for(index)} ({100.0 * weight:.0f} %)"
                for index, weight in zip(place.indices, place.weights, strict=True)
                if weight >= _SHARE
            ]
            said.append(f"log magnitude and arrival time between {', '.join(parts)}")
        if how.minimum:
            kept = "arrival times kept" if how.delayed else "interaural delay removed"
            said.append(f"minimum phase, {kept}")
        if how.diffuse == "remove":
            said.append(f"divided by {self._mean_words()}")
        return tuple(said)

    def _mean_words(self) -> str:
        return f"the energy mean over {len(self.vectors)} directions"

    def words_for(self, index: int) -> str:
        """A measured direction as azimuth/elevation in degrees."""
        azimuth, elevation = angles_of(self.vectors[index])
        return f"{float(azimuth):.5g}/{float(elevation):.5g}"


def delayed(taps: Floats, delays: Floats, numtaps: int) -> Floats:
    """Rows of taps (R, N) behind their delays (R,) in samples, (R, numtaps); where a delay is a
    whole number they stay bit for bit what they were. One between samples needs BEFORE taps of room
    on both sides, and is that delay up to 0.45 of the rate.
    """
    found = np.zeros((len(taps), numtaps))
    for row, one, delay in zip(found, taps, delays, strict=True):
        whole = int(np.floor(delay))
        if delay == whole:
            row[whole : whole + len(one)] = one
        else:
            moved = rounded(np.convolve(one, _between_samples(float(delay) - whole)))
            first = whole - BEFORE + 1
            row[first : first + len(moved)] = moved
    return found


def _between_samples(part: float) -> Floats:
    """A delay by part of a sample (0 … 1) behind tap BEFORE − 1, (2·BEFORE,): a sinc under Kaiser's
    window.
    """
    distance = np.arange(1 - BEFORE, BEFORE + 1) - part
    window = np.i0(_BETA * np.sqrt(np.clip(1.0 - (distance / BEFORE) ** 2, 0.0, None)))
    return np.sinc(distance) * window / np.i0(_BETA)


def _taper(bins: int) -> Floats:
    """1 up to what a delay between samples keeps, and down to nothing at half the rate, (bins,)."""
    down = np.clip((np.linspace(0.0, 0.5, bins) - _KEPT) / (0.5 - _KEPT), 0.0, 1.0)
    return np.cos(0.5 * np.pi * down) ** 2
