"""Samples as numbers: integer formats, exact quantisation, dither, levels.

Integers are worked on in units of the target's least significant bit, as floats: a code is a whole number, so that rounding
is one vectorised step and nothing is scaled on the way.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Levels", "SampleFormat", "Tally", "count_clipped", "measure", "to_samples", "tpdf"]

Samples = npt.NDArray[np.generic]
WIDE = 512  # values reduced side by side: long rows keep the vector units busy


@dataclass(frozen=True)
class SampleFormat:
    """How samples lie in memory.

    Parameters
    ----------
    dtype : 'int16', 'int32', 'float32' or 'float64'
    bits : int
        Significant bits of an integer, left-justified in its dtype as soundfile reads and writes it (8 bit in int16, 24 bit
        in int32); 0 for floats.
    """

    dtype: Literal["int16", "int32", "float32", "float64"]
    bits: int

    @property
    def is_integer(self) -> bool:
        """Whether samples are integers, to be rounded and clipped."""
        return self.bits > 0

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
    """What a file's samples came to, before and after the filter; arrays are (channels,), full scale is 1.0.

    ``peak_out`` and ``rms_out`` are of the rounded samples before clipping, ``clipped`` counts the samples that were, and
    ``repaired`` the NaN and infinite input samples that were replaced by zeros.
    """

    frames_in: int
    frames_out: int
    peak_in: npt.NDArray[np.float64]
    rms_in: npt.NDArray[np.float64]
    peak_out: npt.NDArray[np.float64]
    rms_out: npt.NDArray[np.float64]
    clipped: npt.NDArray[np.int64]
    repaired: int = 0


@dataclass
class Tally:
    """Running extremes and energy of the channels, in the units of the samples.

    Parameters
    ----------
    low, high, energy : array (channels,) of float64
        Smallest and largest sample, sum of squares.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    energy: npt.NDArray[np.float64]

    @classmethod
    def silence(cls, channels: int) -> "Tally":
        """Nothing counted yet."""
        return cls(np.zeros(channels), np.zeros(channels), np.zeros(channels))

    def add(self, other: "Tally") -> None:
        """Take in the tally of further samples; the order of additions decides the last bit of the energy."""
        self.low = np.minimum(self.low, other.low)
        self.high = np.maximum(self.high, other.high)
        self.energy = self.energy + other.energy

    @property
    def peak(self) -> npt.NDArray[np.float64]:
        """Largest magnitude of each channel."""
        return np.maximum(-self.low, self.high)


def measure(x: Samples) -> Tally:
    """Tally of floating samples (frames, channels), C-contiguous; NaN and infinity pass through into it."""
    frames, channels = x.shape
    side = max(1, WIDE // channels)
    whole = frames // side * side
    tally = Tally.silence(channels)
    for rows in (x[:whole].reshape(-1, side * channels), x[whole:]):
        if len(rows):
            with np.errstate(over="ignore", invalid="ignore"):
                energy = np.einsum("ij,ij->j", rows, rows)
            low, high = rows.min(axis=0).reshape(-1, channels), rows.max(axis=0).reshape(-1, channels)
            tally.add(Tally(low.min(axis=0), high.max(axis=0), energy.reshape(-1, channels).sum(axis=0, dtype=np.float64)))
    return tally


def count_clipped(y: Tensor, target: SampleFormat) -> npt.NDArray[np.int64]:
    """Samples of each channel of `y` (frames, channels), in codes, beyond those of `target`."""
    beyond = (y > target.codes - 1) | (y < -target.codes)
    return beyond.sum(dim=0).numpy()


def to_samples(y: Tensor, target: SampleFormat) -> Samples:
    """Rounded codes `y` (frames, channels) -> samples of `target`, clipped; floats are cast.  `y` is overwritten.

    The highest code is lowered to what the dtype of `y` can hold: float32 has 24 bits.
    """
    dtype = getattr(torch, target.dtype)
    if not target.is_integer:
        return y.to(dtype).numpy()
    top = torch.tensor(target.codes - 1, dtype=y.dtype)
    if top.double() > target.codes - 1:
        top = torch.nextafter(top, torch.zeros_like(top))
    samples = y.clamp_(-target.codes, top.item()).to(dtype)
    shift = target.width - target.bits
    return (samples.bitwise_left_shift_(shift) if shift else samples).numpy()


def tpdf(seed: int, index: int, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Triangular dither of +-1 least significant bit for the group of frames `index`: the same wherever it is made.

    References
    ----------
    Lipshitz, Wannamaker & Vanderkooy (1992), Quantization and dither: a theoretical survey, J. Audio Eng. Soc. 40.
    Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3 (the Philox generator).
    """
    random = np.random.Generator(np.random.Philox(key=seed % (1 << 128), counter=[0, 0, 0, index]))
    noise = random.random(shape, dtype=np.float32)
    noise -= random.random(shape, dtype=np.float32)
    return noise
