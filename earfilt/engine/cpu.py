"""Overlap-save of interleaved frames in numpy: the step of the file engine on the CPU.

scipy's FFT takes all segments of a window in one call, straight from the interleaved frames: a
segment is a view, and the transform runs along the middle axis, so that nothing is transposed.
"""

from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from earfilt.engine import fft
from earfilt.engine.roundoff import (
    Judged,
    Levels,
    Rounding,
    dropped_peaks,
    first_peaks,
    largest_rms,
    levels_of,
    rms_apart,
    segment_rms,
    together_rms,
)
from earfilt.engine.samples import Samples, Tally, beside
from earfilt.engine.segments import LANES, as_segments, choose_n_fft, hop_of, per_call

__all__ = [
    "Factors",
    "OverlapSave",
    "Packing",
    "PartitionedConvolution",
    "factors",
    "multiply",
]

Spectra = npt.NDArray[Any]
Packing = Literal["channels", "halves"]

_BINS_REPEATED = 1 << 17  # at most, of a response that columns share: more take much memory
_PRODUCTS_AT_ONCE = 1 << 16  # what a core's cache holds beside as much again: 0.97 of the time
_SEGMENT_BYTES = 1 << 26  # of spectra of one segment: more channels are filtered by turns
_GROUP_BYTES = 1 << 20  # of spectra of halves at once: measured with 2^19, 2^20, 2^21 and all


class Factors(NamedTuple):
    """A response in the two parts that `multiply` takes: the real numbers twice, as the real and as
    the imaginary part of complex ones, and numbers that are imaginary alone.
    """

    real_twice: Spectra
    imaginary: Spectra


def factors(response: Spectra, dtype: npt.DTypeLike) -> Factors:
    """A complex response as `multiply` takes it, rounded to a complex dtype."""
    real_twice, imaginary = np.zeros((2, *response.shape), dtype)
    real_twice.real = real_twice.imag = response.real
    imaginary.imag = response.imag
    return Factors(real_twice, imaginary)


class OverlapSave:
    """Filter windows of interleaved frames; holds no state, so that threads may share it.

    Parameters
    ----------
    taps : (numtaps,) or (rows, numtaps) float64
        One row for any number of channels; two for a pair, of one channel or two; four for a
        matrix, of two channels (`earfilt.synthesis.fir.Fir`).
    dtype : float32 or float64
        Of the frames and of the arithmetic.
    packing : 'channels', 'halves' or None
        Two real signals are filtered as one complex one, without being separated, which takes a
        quarter less time.  channels (one row of taps, even channel counts): two channels; each then
        carries rounding noise of its neighbour, about -140 dB of its level in float32.  halves: a
        segment has twice as many frames, and each channel's first half of them, with what overlaps,
        and its second; channels stay apart, but the halves are gathered and laid out again, which
        takes a tenth of what is saved back.  None: real transforms.

    Attributes
    ----------
    n_fft : int
    hop, overlap : int
        Output frames of a segment; further input frames that a window needs.
    parts : int
        Transforms' worth of frames in a segment: 2 of halves, else 1.
    packed : bool
        Whether two real signals are one complex one.
    """

    def __init__(
        self,
        taps: npt.NDArray[np.float64],
        *,
        dtype: npt.DTypeLike,
        packing: Packing | None = None,
    ) -> None:
        self.n_fft = choose_n_fft(taps.shape[-1])
        self.parts, self.packed = 2 if packing == "halves" else 1, packing is not None
        self._hop = hop_of(taps.shape[-1], self.n_fft)  # of one transform
        self.hop, self.overlap = self.parts * self._hop, self.n_fft - self._hop
        self._repeated: dict[int, Factors] = {}
        self._real = np.dtype(dtype)
        self._complex = np.result_type(self._real, np.complex64)
        self._seen = self._complex if packing == "channels" else self._real
        rows = np.atleast_2d(taps)
        # Divided by n_fft here, since the inverse transform is without a scale.
        padded = np.zeros((1, self.n_fft, len(rows)))
        np.divide(rows.T, self.n_fft, out=padded[0, : taps.shape[-1]])
        # a gain beyond the dtype shows in the samples, and is told of there
        with np.errstate(over="ignore", invalid="ignore"):
            half = fft.forward(padded)
            self._largest_gains = np.abs(half[0]).max(axis=0) * self.n_fft  # (rows,)
            if self.packed:
                half = np.concatenate([half, half[:, -2:0:-1].conj()], axis=1)
            self._responses = [factors(one, self._complex) for one in _by_channel(half)]

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window."""
        return np.empty((frames, channels), self._real)

    def __call__(
        self,
        window: Samples,
        out: Samples,
        *,
        segment: int = 0,
        whole: bool = False,
        rounding: Rounding | None = None,
    ) -> Judged | None:
        """Filter frames.

        Parameters
        ----------
        window : (overlap + segments * hop, channels), C-contiguous
        out : (segments * hop, outputs), C-contiguous
            The result; may be the beginning of `window` where it has as many channels.
        segment : int
            Number of the first one in the signal; these taps are the same in all.
        whole : bool
            Rounded to whole numbers, half to even.
        rounding : Rounding, optional
            What decides whether this arithmetic is enough; where it cannot be, nothing is filtered.

        Returns
        -------
        Judged, or None
            Whether it was enough, if that was asked; segments for which it was not hold anything.
        """
        columns = self._columns_at_once(window.shape[1])
        if columns < window.shape[1]:
            return self._by_columns(columns, window, out, whole, rounding)
        judged = []
        frames = self._at_once(window.shape[1], out) * self.hop
        for first in range(0, len(out), frames):
            into = out[first : first + frames]
            x = window[first : first + len(into) + self.overlap]
            if rounding is None:
                self._filter(self._signals(x), into, whole)
            else:
                judged.append(self._judged(x, into, whole, rounding))
        return _together(judged) if judged else None

    def _columns_at_once(self, channels: int) -> int:
        """Channels of which a segment is filtered at once: all, but for very many through very long
        filters.
        """
        if self._responses[0].imaginary.shape[2] > 1:
            return channels
        least = 2 if self.packed else 1
        return max(least, _SEGMENT_BYTES // (self.n_fft * self._complex.itemsize) // least * least)

    def _by_columns(
        self, columns: int, window: Samples, out: Samples, whole: bool, rounding: Rounding | None
    ) -> Judged | None:
        """As `__call__`, some channels after the others."""
        fine, tallies = [], []
        for first in range(0, window.shape[1], columns):
            some = slice(first, first + columns)
            x = np.ascontiguousarray(window[:, some])
            y = x[: len(out)]
            judged = self(x, y, whole=whole, rounding=rounding)
            out[:, some] = y
            if judged is not None:
                fine.append(judged.fine)
                tallies.append(judged.seen)
        if not fine:
            return None
        return Judged(np.logical_and.reduce(fine), beside(tallies))

    def _at_once(self, channels: int, out: Samples) -> int:
        """Segments that are filtered at once: all, but of halves, which are gathered and laid out
        again, what a core's cache holds.
        """
        if self.parts == 1:
            return max(1, len(out) // self.hop)
        size = self.parts * self.n_fft
        most = per_call(size, max(channels, out.shape[1]), self._real.itemsize, _GROUP_BYTES)
        return max(LANES // self.parts, most)

    def _filter(self, signals: npt.NDArray[Any], out: Samples, whole: bool) -> Samples:
        """As `__call__`, of what is transformed; gives what came back, (segments, n_fft, columns),
        real.
        """
        products = self._products(fft.forward(signals))
        filtered = fft.backward(products, self.n_fft).view(self._real)
        self._lay_out(filtered[:, self.overlap :], out, whole)
        return filtered

    def _judged(self, x: Samples, out: Samples, whole: bool, rounding: Rounding) -> Judged:
        """As `__call__`: whether this arithmetic was enough."""
        size = self.n_fft, self.packed
        heard, made = (one.shape[1] * self.parts // (1 + self.packed) for one in (x, out))
        signals = self._signals(x)
        # the output may be written over these, where they are a view
        if heard > 1:
            x_rms = self._rms_apart(signals)
        else:
            x_rms = segment_rms(x, self.n_fft, self.hop, self.parts)[:, None]
        possible = rounding.possible(x_rms, *size)
        if not possible.any():
            return Judged(possible)
        filtered = self._filter(signals, out, whole)
        # most are decided by less than all of their levels
        seen = Tally(out.shape[1])
        seen.see(out)
        most = np.maximum(seen.peak.max() + 0.5 * whole, dropped_peaks(filtered, self.overlap))
        if rounding.codes:
            least, y_rms = most, largest_rms(x_rms, self._largest_gains)
        else:  # the limit goes by the peak: closer levels are needed
            least, y_rms = first_peaks(filtered, self.overlap), together_rms(filtered)[:, None]
        # sums of float32 are not exact
        fine = rounding.surely_fine(x_rms, 1.001 * y_rms, (least, most), *size)
        if fine.all():
            return Judged(fine, seen)

        apart = partial(self._rms_apart, filtered) if max(heard, made) > 1 else None
        fine = rounding.fine(x_rms, levels_of(filtered, self.overlap), apart, *size)
        return Judged(fine, seen)

    def _rms_apart(self, signals: npt.NDArray[Any]) -> Levels:
        """RMS (segments, columns) of what is transformed apart."""
        return rms_apart(signals.view(self._real), self.packed)

    def _signals(self, window: Samples) -> npt.NDArray[Any]:
        """What is transformed of a window: (segments, n_fft, columns), real or complex."""
        seen = window.view(self._seen)
        cut = as_segments(seen, (len(window) - self.overlap) // self._hop, self.n_fft, self._hop)
        if self.parts == 1:
            return cut
        both = np.empty((len(cut) // 2, *cut.shape[1:]), self._complex)
        both.real, both.imag = cut[::2], cut[1::2]
        return both

    def _lay_out(self, frames: Samples, out: Samples, whole: bool) -> None:
        """Copy the frames of segments (segments, hop of a transform, channels * parts)."""
        halves = out.reshape(len(frames), self.parts, self._hop, -1)
        for part in range(self.parts):
            _copy(frames[..., part :: self.parts], halves[:, part], whole)

    def _responses_for(self, columns: int) -> list[Factors]:
        """The responses; one that all columns share stands beside itself, as often as there are
        columns, so that `multiply` need not do that anew.
        """
        one_row = self._responses[0].imaginary.shape[2] == 1
        if not one_row or columns == 1 or self.n_fft > _BINS_REPEATED:
            return self._responses
        if columns not in self._repeated:
            (shared,) = self._responses
            self._repeated[columns] = Factors(*(np.repeat(one, columns, axis=2) for one in shared))
        return [self._repeated[columns]]

    def _products(self, spectra: Spectra) -> Spectra:
        """Spectra of the output; those of the input are overwritten."""
        own, *across = self._responses_for(spectra.shape[2])
        shape = (*spectra.shape[:2], max(own.imaginary.shape[2], spectra.shape[2]))
        crossed = [
            multiply(spectra[..., ::-1], response, out=np.empty(shape, spectra.dtype))
            for response in across
        ]
        into = spectra if spectra.shape == shape else np.empty(shape, spectra.dtype)
        multiply(spectra, own, out=into)
        for part in crossed:
            into += part
        return into


def _by_channel(rows: Spectra) -> list[Spectra]:
    """Responses (1, bins, rows) as what each channel gets of itself and, in a matrix, of the other
    one.
    """
    return [rows] if rows.shape[2] < 4 else [rows[..., [0, 3]], rows[..., [2, 1]]]


def multiply(spectra: Spectra, response: Factors, out: Spectra) -> Spectra:
    """Products of spectra (segments, bins, channels) and a response, one of which may have a size of
    1 where `out` has more, with the same bits on every processor; gives `out`, which may be
    `spectra`.

    Numpy's product of complex numbers rounds once or twice, as the processor has fused operations
    or not. Of two products that it adds, one is exactly 0 here, so that both ways are the same.
    """
    columns, real = out.shape[2], out.real.dtype
    bins = max(1, _PRODUCTS_AT_ONCE // columns)
    segments = max(1, bins // out.shape[1])
    for first in range(0, len(out), segments):
        some = slice(first, first + segments)
        own = [one if len(one) == 1 else one[some] for one in (spectra, *response)]
        for start in range(0, out.shape[1], bins):
            part = slice(start, start + bins)
            x, real_twice, imaginary = (_beside_itself(one[:, part], columns) for one in own)
            turned = x * imaginary
            into = out[some, part].view(real)
            np.multiply(x.view(real), real_twice.view(real), out=into)
            into += turned.view(real)
    return out


def _beside_itself(x: Spectra, columns: int) -> Spectra:
    """One column as often as there are `columns`: numpy is slow where it repeats single numbers.
    Each row of columns is contiguous, so that it can be seen as real numbers.
    """
    if x.shape[2] != columns:
        return np.repeat(x, columns, axis=2)
    return x if x.strides[2] == x.itemsize else x.copy()


def _together(parts: list[Judged]) -> Judged:
    """Of consecutive segments."""
    if len(parts) == 1:
        return parts[0]
    each = [one.seen for one in parts if one.seen is not None]
    seen = None
    if len(each) == len(parts):
        seen = Tally(each[0].channels)
        for one in each:
            seen.add(one)
    return Judged(np.concatenate([one.fine for one in parts]), seen)


def _copy(frames: Samples, out: Samples, whole: bool) -> None:
    if whole:
        np.rint(frames, out=out)
    else:
        np.copyto(out, frames)


class PartitionedConvolution:
    """Filter windows in blocks that are shorter than the filter: what `OverlapSave` is, for output
    that must come soon.

    The taps are cut into parts of one block. A part filters the spectrum of the two blocks that
    ended so many blocks ago as it stands behind the first part; the products are added up before
    one inverse transform. The spectra of a window are made anew in every call, so that nothing is
    held between calls.

    Parameters
    ----------
    taps : (numtaps,) or (rows, numtaps) float64
        As in `OverlapSave`.
    dtype : float32 or float64
    block : int
        Frames; a power of two.

    Attributes
    ----------
    n_fft, hop, overlap, parts
        As in `OverlapSave`.

    References
    ----------
    Stockham, T. G. (1966). High-speed convolution and correlation. AFIPS 28, 229-233. Wefers, F.
    (2015). Partitioned convolution algorithms for real-time auralization. Logos, section 5.2
    (uniformly partitioned overlap-save).
    """

    parts = 1

    def __init__(self, taps: npt.NDArray[np.float64], *, dtype: npt.DTypeLike, block: int) -> None:
        self.hop, self.n_fft = block, 2 * block
        rows = np.atleast_2d(taps)
        self._parts = -(-rows.shape[1] // block)
        self.overlap = self._parts * block
        self._real = np.dtype(dtype)
        filled = np.pad(rows / self.n_fft, ((0, 0), (0, self._parts * block - rows.shape[1])))
        padded = np.zeros((self._parts, self.n_fft, len(rows)))
        padded[:, :block] = filled.reshape(len(rows), self._parts, block).transpose(1, 2, 0)
        with np.errstate(over="ignore"):
            responses = fft.forward(padded)[::-1]  # the oldest spectrum comes first
            complex_dtype = np.result_type(self._real, np.complex64)
            self._responses = [factors(one, complex_dtype) for one in _by_channel(responses)]

    def empty(self, frames: int, channels: int) -> Samples:
        """Memory for a window."""
        return np.empty((frames, channels), self._real)

    def __call__(
        self,
        window: Samples,
        out: Samples,
        *,
        segment: int = 0,
        whole: bool = False,
        rounding: Rounding | None = None,
    ) -> Judged | None:
        """As `OverlapSave.__call__`."""
        blocks = len(window) // self.hop - 1
        spectra = fft.forward(as_segments(window, blocks, self.n_fft, self.hop))
        shape = spectra.shape[1], out.shape[1]
        sums = np.zeros((blocks + 1 - self._parts, *shape), spectra.dtype)
        products = np.empty((self._parts, *shape), spectra.dtype)
        for turned, response in zip((spectra, spectra[..., ::-1]), self._responses, strict=False):
            # each block alone: the order of additions must not depend on others
            for i, total in enumerate(sums):
                multiply(turned[i : i + self._parts], response, out=products)
                total += np.add.reduce(products, axis=0)
        filtered = fft.backward(sums, self.n_fft)
        kept = filtered[:, self.hop :]
        _copy(kept, out.reshape(kept.shape), whole)
        return None
