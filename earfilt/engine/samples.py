"""Samples as numbers: integer formats, exact quantisation, dither, levels.

Integers are worked on in units of the target's least significant bit, as floats: a code is a whole
number, so that rounding is one vectorised step and nothing is scaled on the way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from earfilt.errors import AudioError, UsageError, counted, printable

__all__ = [
    "Levels",
    "SampleFormat",
    "Tally",
    "check_range",
    "clip_warning",
    "highest_code",
    "quantise",
    "tpdf",
]

Samples = npt.NDArray[Any]
Dtype = Literal["int16", "int32", "float32", "float64"]
WIDE = 2048  # values reduced side by side: long rows keep the vector units busy


@dataclass(frozen=True)
class SampleFormat:
    """How samples lie in memory.

    Parameters
    ----------
    dtype : 'int16', 'int32', 'float32' or 'float64'
    bits : int
        Significant bits of an integer, left-justified in its dtype as soundfile reads and writes it
        (8 bit in int16, 24 bit in int32); 0 for floats.
    """

    dtype: Dtype
    bits: int

    @classmethod
    def of_arrays(cls, dtype: npt.DTypeLike) -> "SampleFormat":
        """The format of arrays whose integers use all bits.

        Raises
        ------
        UsageError
            Another dtype than the four.
        """
        try:
            found = np.dtype(dtype)
        except TypeError:
            found = None
        if found is None or found.name not in get_args(Dtype):
            raise UsageError(
                f"the dtype of samples is {printable(str(found or dtype))}; it can be "
                f"{', '.join(get_args(Dtype))}"
            )
        name: Any = found.name
        return cls(name, 8 * found.itemsize if found.kind == "i" else 0)

    @property
    def is_integer(self) -> bool:
        """Whether samples are integers, to be rounded and clipped."""
        return self.bits > 0

    @property
    def is_wide(self) -> bool:
        """Whether samples are finer than float32 arithmetic, whatever they hold."""
        return self.bits > 16 or self.dtype == "float64"

    @property
    def width(self) -> int:
        """Bits of the dtype."""
        return 8 * np.dtype(self.dtype).itemsize

    @property
    def codes(self) -> float:
        """Full scale in units of the least significant bit: 2**(bits - 1); 1.0 for floats."""
        return float(1 << (self.bits - 1)) if self.is_integer else 1.0

    @property
    def full_scale(self) -> float:
        """Full scale in units of the dtype: 32768, 2**31 or 1.0."""
        return float(1 << (self.width - 1)) if self.is_integer else 1.0


@dataclass
class Levels:
    """What a file's samples came to, before and after the filter; arrays are (channels,) of the
    input and of the output, full scale is 1.0.

    ``peak_out`` and ``rms_out`` are of the rounded samples before clipping, ``clipped`` counts the
    samples that were, and ``repaired`` the NaN and infinite input samples that were replaced by
    zeros. ``precision`` is float32, float64, or float32+float64 where parts took the second,
    ``block`` the frames of a segment.
    """

    frames_in: int
    frames_out: int
    peak_in: npt.NDArray[np.float64]
    rms_in: npt.NDArray[np.float64]
    peak_out: npt.NDArray[np.float64]
    rms_out: npt.NDArray[np.float64]
    clipped: npt.NDArray[np.int64]
    repaired: int = 0
    precision: str = "float64"
    block: int = 0


@dataclass
class Tally:
    """Running extremes and energy of the channels, in the units of the samples.

    Parameters
    ----------
    channels : int

    Attributes
    ----------
    low, high, energy : array (channels,) of float64
        Smallest and largest sample (at most and at least 0), sum of squares.
    clipped : array (channels,) of int64
        Samples that did not fit.
    """

    channels: int

    def __post_init__(self) -> None:
        self.low = self.high = self.energy = _zeros(self.channels, np.float64)
        self.clipped = _zeros(self.channels, np.int64)

    def add(self, other: "Tally") -> None:
        """Take in the tally of further samples; the order of additions decides the last bit of the
        energy.
        """
        self.low = np.minimum(self.low, other.low)
        self.high = np.maximum(self.high, other.high)
        self.energy = self.energy + other.energy
        self.clipped = self.clipped + other.clipped

    def see(self, x: Samples) -> None:
        """Take in the extremes of samples (frames, channels), C-contiguous; NaN passes through into
        them.
        """
        if x.dtype.kind == "i":
            self._see(x)
        else:
            with np.errstate(invalid="ignore"):  # a signalling NaN would be warned of on stderr
                self._see(x)

    def _see(self, x: Samples) -> None:
        if self.channels == 1 and len(x):  # one long row: as fast, and cheaper for short files
            self.low, self.high = np.minimum(self.low, x.min()), np.maximum(self.high, x.max())
            return
        for rows in _side_by_side(x):
            self.low = np.minimum(self.low, self._planes(rows.min(axis=0)).min(axis=1))
            self.high = np.maximum(self.high, self._planes(rows.max(axis=0)).max(axis=1))

    def weigh(self, x: Samples) -> None:
        """Take in the energy of floating samples (frames, channels), C-contiguous."""
        if self.channels == 1 and x.dtype == np.float64:  # exact enough in one sum, and cheaper
            flat = x.reshape(-1)
            self.energy = self.energy + np.einsum("i,i", flat, flat)
            return
        for rows in _side_by_side(x):
            energy = np.einsum("ij,ij->j", rows, rows)
            if not np.isfinite(energy).all():  # squares beyond float32
                energy = np.einsum("ij,ij->j", rows, rows, dtype=np.float64)
            self.energy = self.energy + self._planes(energy).sum(axis=1, dtype=np.float64)

    def _planes(self, lanes: Samples) -> Any:
        """Interleaved values -> (channels, values), contiguous: numpy reduces short rows slowly."""
        return np.ascontiguousarray(lanes.reshape(-1, self.channels).T)

    @property
    def peak(self) -> npt.NDArray[np.float64]:
        """Largest magnitude of each channel."""
        return np.maximum(-self.low, self.high)


@lru_cache(maxsize=64)
def _zeros(channels: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Zeros for everybody: a short file has half a dozen tallies."""
    zeros = np.zeros(channels, dtype)
    zeros.flags.writeable = False
    return zeros


def beside(tallies: Sequence[Tally | None]) -> Tally | None:
    """The extremes of channels that were seen apart; None where any were not."""
    known = [one for one in tallies if one is not None]
    if len(known) < len(tallies):
        return None
    whole = Tally(sum(one.channels for one in known))
    whole.low = np.concatenate([one.low for one in known])
    whole.high = np.concatenate([one.high for one in known])
    return whole


def _side_by_side(x: Samples) -> Iterator[Any]:
    """The same samples as rows of several frames, and what is left over, if any."""
    frames, channels = x.shape
    side = max(1, WIDE // channels)
    whole = frames // side * side
    for rows in (x[:whole].reshape(-1, side * channels), x[whole:]):
        if len(rows):
            yield rows


class BeyondRangeError(AudioError):
    """Filtered samples are infinite or NaN, or beyond what the target can hold."""


def quantise(y: Samples, target: SampleFormat, seen: Tally | None = None) -> tuple[Samples, Tally]:
    """Samples of `target`, clipped, and their levels before clipping, in codes.

    Parameters
    ----------
    y : array (frames, channels) of float32 or float64, C-contiguous
        Codes of the target, already rounded, if that is an integer.
    target : SampleFormat
    seen : Tally, optional
        Their extremes, where they were taken before.

    Returns
    -------
    samples : array (frames, channels) of `target.dtype`, C-contiguous
    levels : Tally

    Raises
    ------
    BeyondRangeError
        If a value is infinite or NaN, or beyond what the target can hold.
    """
    levels = Tally(y.shape[1])
    levels.weigh(y)
    if seen is None:
        levels.see(y)
    else:
        levels.low, levels.high = seen.low, seen.high
    check_range(levels, target, y.dtype)
    if target.is_integer:
        lowest, highest = -target.codes, highest_code(target, y.dtype)
        if levels.low.min() < lowest or levels.high.max() > highest:
            levels.clipped = np.count_nonzero((y < lowest) | (y > highest), axis=0)
            y = np.clip(y, lowest, highest)
    samples = y.astype(target.dtype)
    if target.width > target.bits > 0:
        np.left_shift(samples, target.width - target.bits, out=samples)
    return samples, levels


def check_range(levels: Tally, target: SampleFormat, dtype: np.dtype[Any]) -> None:
    """Refuse samples that were computed in a dtype and have such levels, in codes.

    Raises
    ------
    BeyondRangeError
        A value is infinite or NaN, or beyond what the target can hold.
    """
    holder = dtype if target.is_integer else np.dtype(target.dtype)
    if not (levels.peak <= _largest(holder)).all():
        raise BeyondRangeError(
            f"the filtered samples are beyond what {holder} can hold; lower the gain, or "
            "compute in float64"
        )


@lru_cache(maxsize=8)
def _largest(dtype: np.dtype[Any]) -> float:
    """Finite number of a floating dtype."""
    return float(np.finfo(dtype).max)


@lru_cache(maxsize=64)
def highest_code(target: SampleFormat, dtype: np.dtype[Any]) -> float:
    """The highest code, or the next lower value that `dtype` can hold: float32 has 24 bits."""
    top = dtype.type(target.codes - 1)
    return float(top if top < target.codes else np.nextafter(top, dtype.type(0)))


def clip_warning(clipped: npt.NDArray[np.int64]) -> str:
    """What the caller who filters integers is told of samples that were clipped."""
    samples = counted(int(clipped.sum()), "sample was", "samples were")
    return f"{samples} clipped; convert to floating point before filtering, or lower the level"


def tpdf(seed: int, index: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Triangular dither of +-1 least significant bit for the segment of frames `index`: the same
    wherever it is made.

    References
    ----------
    Lipshitz, Wannamaker & Vanderkooy (1992), Quantization and dither: a theoretical survey, J.
    Audio Eng. Soc. 40. Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3 (the
    Philox generator).
    """
    random = np.random.Generator(np.random.Philox(key=seed % (1 << 128), counter=[0, 0, 0, index]))
    noise = random.random(shape, dtype=np.float32)
    noise -= random.random(shape, dtype=np.float32)
    return noise
