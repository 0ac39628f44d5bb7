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
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from earfilt.engine.samples import Samples, Tally

__all__ = [
    "CODE",
    "RELATIVE",
    "Judged",
    "Levels",
    "Marks",
    "Output",
    "Rounding",
    "dropped_peaks",
    "first_peaks",
    "largest_errors",
    "largest_rms",
    "levels_of",
    "peaks",
    "rms",
    "rms_apart",
    "segment_rms",
    "together_rms",
]

Levels = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

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
_SIDE = 32  # frames added up side by side: short rows are slow, and so is to add up what they give
_SHORT = 1024  # values that einsum adds up in one go


@dataclass(frozen=True)
class Rounding:
    """What float32 arithmetic may do to the segments of a filter, and what is allowed.

    Parameters
    ----------
    gains : (rows,) float64
        √Σh² of each row of taps: what it makes of white noise, in units of the output.
    codes : bool
        The output is whole numbers, not floating point.
    """

    gains: Levels
    codes: bool

    def possible(self, x_rms: Levels, n_fft: int, packed: bool) -> Marks:
        """Segments that float32 may be enough for, by the levels (segments, columns) of what is
        transformed apart.
        """
        # the root mean square of the columns, through the taps that make the least of it
        least = np.sqrt(np.square(x_rms).mean(axis=1)) * self.gains.min()
        return self._allowed(largest_errors(least, 0.0, 0.0, n_fft, packed), math.inf)

    def surely_fine(
        self, x_rms: Levels, y_rms: Levels, peak: tuple[Levels, Levels], n_fft: int, packed: bool
    ) -> Marks:
        """Segments that `fine` would find, by bounds on their levels that are known sooner: of
        columns that are transformed apart (segments, columns), which are not below theirs, and of
        the peak (segments,) one that is not above it, and one that is not below it.
        """
        least, most = peak
        errors = largest_errors(self.apart(x_rms), y_rms, most[:, None], n_fft, packed)
        return self._allowed(errors.max(axis=1), least) & np.isfinite(most)

    def fine(
        self,
        x_rms: Levels,
        out: "Output",
        y_rms: Callable[[], Levels] | None,
        n_fft: int,
        packed: bool,
    ) -> Marks:
        """Segments that float32 was enough for.

        Parameters
        ----------
        x_rms : (segments, columns)
            Of columns that are transformed apart, and so have no noise of one another.
        out : Output
        y_rms : callable, optional
            The same of the output: asked for where it is not enough to know all together.
        n_fft, packed
            As `largest_errors` takes them.
        """
        largest = np.maximum(out.peak, out.dropped)
        noise = self.together(np.sqrt(np.square(x_rms).sum(axis=1)))
        fine = self._allowed(largest_errors(noise, out.rms, largest, n_fft, packed), out.peak)
        if y_rms is not None and not fine.all():
            noise, y = self.apart(x_rms), y_rms()
            closer = largest_errors(noise, y, largest[:, None], n_fft, packed)
            fine |= self._allowed(closer.max(axis=1), out.peak)
        fine &= np.isfinite(out.rms)
        return fine

    def together(self, x_rms: Levels) -> Levels:
        """RMS of the filtered noise at most, in any output, by levels of all channels together."""
        energy = np.square(self.gains)
        most = energy.max() if len(energy) < 4 else (energy[:2] + energy[2:]).max()
        return x_rms * math.sqrt(most)

    def apart(self, x_rms: Levels) -> Levels:
        """RMS of the filtered noise in each output, by levels (segments, columns)."""
        if len(self.gains) < 4:
            return x_rms * self.gains
        own, across = self.gains[[0, 3]], self.gains[[2, 1]]
        noise: Levels = np.hypot(x_rms * own, x_rms[:, ::-1] * across)
        return noise

    def _allowed(self, errors: Levels, peak: Levels | float) -> Marks:
        within: Marks = errors <= (CODE if self.codes else RELATIVE * peak)
        return within


class Output(NamedTuple):
    """Levels of what the inverse transforms gave, segment by segment, in units of the output, before
    rounding: (segments,).

    ``rms`` is of all channels together, the wrapped part included that is dropped; ``peak`` and
    ``dropped`` are of what is kept and of what is dropped.
    """

    rms: Levels
    peak: Levels
    dropped: Levels


class Judged(NamedTuple):
    """What became of segments in an arithmetic.

    Parameters
    ----------
    fine : (segments,) bool
        Which ones it was enough for.
    seen : Tally, optional
        Extremes of all that came out, where they were taken.
    """

    fine: Marks
    seen: Tally | None = None


def largest_rms(x_rms: Levels, largest_gains: Levels) -> Levels:
    """RMS of each output at most, by levels (segments, columns) and the largest gain of each row."""
    if len(largest_gains) < 4:
        return x_rms * largest_gains
    own, across = largest_gains[[0, 3]], largest_gains[[2, 1]]
    most: Levels = x_rms * own + x_rms[:, ::-1] * across
    return most


def levels_of(filtered: Samples, overlap: int) -> Output:
    """The levels of segments (segments, n_fft, channels), real and C-contiguous, of which the first
    `overlap` frames are dropped.
    """
    kept = filtered.reshape(len(filtered), -1)[:, overlap * filtered.shape[2] :]
    return Output(together_rms(filtered), peaks(kept), dropped_peaks(filtered, overlap))


def together_rms(filtered: Samples) -> Levels:
    """RMS of such segments, all channels together: (segments,)."""
    segments, n_fft, _ = filtered.shape
    return rms(filtered.reshape(segments, -1), n_fft)


def dropped_peaks(filtered: Samples, overlap: int) -> Levels:
    """Largest magnitude in what is dropped of such segments: (segments,)."""
    return peaks(filtered.reshape(len(filtered), -1)[:, : overlap * filtered.shape[2]])


def first_peaks(filtered: Samples, overlap: int) -> Levels:
    """Largest magnitude in the first part of what is kept of such segments, as long as what is
    dropped, or shorter: not above that of all, and soon found.
    """
    values = overlap * filtered.shape[2]
    return peaks(filtered.reshape(len(filtered), -1)[:, values : 2 * values])


def segment_rms(x: Samples, n_fft: int, hop: int, parts: int = 1) -> Levels:
    """RMS of the segments of a window (frames, channels), all channels together, over n_fft frames:
    (segments,).

    Parameters
    ----------
    x : (frames, channels)
        C-contiguous, or one column of what is.
    n_fft, hop : int
        Of a transform; frames of a segment's output.
    parts : int
        Transforms that a segment is cut into; what overlaps counts in each.
    """
    frames, channels = x.shape
    row, column = x.strides
    step, inner = hop // parts, column if channels > 1 else row
    count = (frames - n_fft) // step + 1
    cut = as_strided(x, (count, n_fft * channels), (step * row, inner), writeable=False)
    levels = rms(cut, n_fft)
    return levels if parts == 1 else np.sqrt(np.square(levels).reshape(-1, parts).sum(axis=1))


def rms(rows: Samples, frames: int) -> Levels:
    """Root of the energy of each row (rows, values) over a number of frames: (rows,).

    A row's result does not depend on the rows beside it.
    """
    # einsum adds up long rows in parts that its buffer cuts, which depend on the number of rows;
    # it takes short ones whole.
    parts = rows.reshape(len(rows), -1, math.gcd(rows.shape[1], _SHORT))  # a view
    energy = np.einsum("ijk,ijk->ij", parts, parts).sum(axis=1, dtype=np.float64)
    for beyond in np.flatnonzero(~np.isfinite(energy)):  # squares beyond float32
        wide = parts[beyond].astype(np.float64)
        energy[beyond] = np.einsum("jk,jk->j", wide, wide).sum()
    return np.sqrt(energy / frames)


def rms_apart(segments: Samples, packed: bool) -> Levels:
    """RMS of each column of segments (segments, frames, columns), each C-contiguous, or, packed, of
    each two neighbours together: (segments, columns).

    A segment's result does not depend on the segments beside it.
    """
    count, frames, columns = segments.shape
    side = math.gcd(frames, _SIDE)
    step = side * columns * segments.itemsize
    lanes = as_strided(
        segments,
        (count, frames // side, side * columns),
        (segments.strides[0], step, segments.itemsize),
        writeable=False,
    )

    def energies(lanes: Samples) -> Levels:
        each = np.einsum("spl,spl->sl", lanes, lanes).reshape(len(lanes), side, columns)
        energy: Levels = each.sum(axis=1, dtype=np.float64)
        return energy[:, ::2] + energy[:, 1::2] if packed else energy

    energy = energies(lanes)
    for beyond in np.flatnonzero(~np.isfinite(energy).all(axis=1)):  # squares beyond float32
        energy[beyond] = energies(lanes[beyond : beyond + 1].astype(np.float64))[0]
    return np.sqrt(energy / frames)


def peaks(rows: Samples) -> Levels:
    """Largest magnitude in each row (rows, values): (rows,)."""
    highest, lowest = rows.max(axis=1, initial=0.0), rows.min(axis=1, initial=0.0)
    return np.maximum(highest, -lowest).astype(np.float64)


def largest_errors(
    noise: Levels, y_rms: Levels | float, y_peak: Levels | float, n_fft: int, packed: bool
) -> Levels:
    """Bounds on the errors of the output samples of segments that are filtered in float32, in
    units of the output: (segments,), or (segments, columns) where that is given.

    Parameters
    ----------
    noise : (segments,) or (segments, columns)
        RMS of what the filter makes of white noise at the level of the input.
    y_rms : (segments,) or (segments, columns)
        Of the circular output. What is transformed as one complex signal shares its noise: of that
        this and `noise` are taken together, or of more.
    y_peak : (segments,) or (segments, 1)
        Largest output sample, those included that wrap around and are dropped.
    packed : bool
        Two real signals, channels or halves, as one complex signal.
    """
    unit = float(np.finfo(np.float32).eps) / 2.0
    each = (_NOISE_PACKED if packed else _NOISE_REAL) * math.sqrt(math.log2(n_fft) / _STAGES)
    spread = _DEVIATIONS * each * np.hypot(noise, y_rms)
    bounds: Levels = unit * np.hypot(spread, _NEAR_PEAKS * np.asarray(y_peak))
    return bounds
