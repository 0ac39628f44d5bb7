"""What every filter ends as: the effective FIR, with where its time zero lies and how the signal's
ends are extended.
"""

import hashlib
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from earfilt.arrays import power_of_two
from earfilt.ears.options import samples
from earfilt.errors import UsageError, counted, printable
from earfilt.synthesis.provenance import Provenance
from earfilt.synthesis.spectrum import dtft

ROW_NAMES: dict[int, tuple[str, ...]] = {
    1: ("",),
    2: ("left", "right"),
    4: ("left to left", "left to right", "right to left", "right to right"),
}
"""What the rows of taps are called, by their number: of one ear for all channels, of a pair, of a
matrix.
"""

_DIGITS = 40  # binary digits kept of a designed tap, counted from the largest one,
_RANGE_DB = 100.0  # and one more for each 6 dB that the curve spans beyond this


@dataclass(frozen=True, eq=False)
class Fir:
    """The effective FIR: all passes, scaling and gain normalisation included.

    The audio gets ``y[n] = Σ_k taps[k] · x[n + lookahead − k]``, n = 0…T−1. One row of taps serves
    any number of channels alike. Two are a pair: the left row for the left channel, the right row
    for the right one, or both for a mono signal, which becomes two channels. Four are a matrix: each
    output channel is the sum of what two rows make of the left and of the right channel; a mono
    signal is heard from both sides, as two equal channels.

    Parameters
    ----------
    taps : (numtaps,) or (rows, numtaps) float64
        The coefficients: of one ear; of a pair (left, right); or of a matrix (left to left, left to
        right, right to left, right to right).
    fs : float or None
        Sampling rate in Hz that they were made for; None if a file did not state it.
    lookahead : int
        Samples of the future that an output sample needs, the same for all rows: 0 for causal
        filters; the delay of live output.
    odd_ends : bool
        True: x is extended at both ends by ``lookahead`` samples, oddly (2·x[0] − x[k]), as far as
        it goes and by zeros beyond, as ``scipy.signal.filtfilt`` does. False: by zeros.
    provenance : Provenance
        Where it comes from: filter, order, phase, deviation from the published points, …

    Raises
    ------
    ValueError
        There are no taps, or not 1, 2 or 4 rows.
    """

    taps: npt.NDArray[np.float64]
    fs: float | None
    lookahead: int = 0
    odd_ends: bool = False
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        taps = np.ascontiguousarray(self.taps, dtype=np.float64)
        if taps is self.taps:
            taps = taps.copy()
        if not taps.size or taps.ndim > 2 or (taps.ndim == 2 and len(taps) not in (2, 4)):
            raise ValueError(f"taps of shape {taps.shape}; a FIR has 1, 2 or 4 rows of them")
        taps.flags.writeable = False
        object.__setattr__(self, "taps", taps)

    def __repr__(self) -> str:
        rate = "a rate unknown" if self.fs is None else f"{self.fs:.12g} Hz"
        rows = f"{self.rows} rows of " if self.rows > 1 else ""
        return (
            f"<{type(self).__name__} of {printable(self.provenance.filter or 'taps')}: {rows}"
            f"{counted(self.numtaps, 'tap')} at {rate}, lookahead {self.lookahead}>"
        )

    @property
    def numtaps(self) -> int:
        """Number of taps, of each row."""
        return self.taps.shape[-1]

    @property
    def rows(self) -> int:
        """Rows of taps: 1, 2 of a pair, 4 of a matrix."""
        return 1 if self.taps.ndim == 1 else len(self.taps)

    @property
    def row_names(self) -> tuple[str, ...]:
        """What the rows are called: ``left`` and ``right`` of a pair; of one row the empty word."""
        return ROW_NAMES[self.rows]

    @property
    def moves(self) -> bool:
        """Whether the source moves, so that the taps are those of its first moment alone."""
        return False

    def row(self, index: int) -> Self:
        """One row as a FIR of its own, with the common look-ahead."""
        taps = self.taps.reshape(self.rows, -1)[index]
        return self if self.rows == 1 else replace(self, taps=taps)

    def outputs(self, channels: int) -> int:
        """Channels that so many become: as many, but two of one by a pair or a matrix.

        Raises
        ------
        UsageError
            More than two, by a FIR of several rows.
        """
        return outputs_of(self.rows, channels)

    def routed(self, channels: int) -> Self:
        """The FIR that so many channels go through, row by row: the same, but of a matrix for a
        mono signal, which comes from both sides, the pair of its sums.

        Raises
        ------
        UsageError
            As `outputs`.
        """
        self.outputs(channels)
        if self.rows == 4 and channels == 1:
            return replace(self, taps=self.taps[:2] + self.taps[2:])
        return self

    def swapped(self) -> Self:
        """The FIR for a stereo signal whose right channel comes first."""
        return self if self.rows == 1 else replace(self, taps=self.taps[::-1])

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that decides the audio: taps, rate, look-ahead and the extension rule."""
        digest = hashlib.sha256(self.taps.astype("<f8").tobytes())
        digest.update(f"|{self.fs}|{self.lookahead}|{self.odd_ends}".encode())
        if self.rows > 1:
            digest.update(f"|{self.rows}".encode())
        return digest.hexdigest()

    def response(self, freqs: npt.ArrayLike) -> npt.NDArray[np.complex128]:
        """Response at any frequencies, not at the nearest FFT bin: ``earfilt.synthesis.spectrum.dtft``.

        Parameters
        ----------
        freqs : array of float
            Hz; ``fs`` must be known.

        Returns
        -------
        array of complex128
            H(f) with time zero at tap ``lookahead``; of several rows (rows, …), one for each.
        """
        if self.fs is None:
            raise ValueError("the sampling rate of this FIR is unknown")
        cycles = np.atleast_1d(samples("freqs", freqs)) / self.fs
        rows = [
            dtft(taps, cycles.reshape(-1), -self.lookahead).reshape(cycles.shape)
            for taps in self.taps.reshape(self.rows, -1)
        ]
        found: npt.NDArray[np.complex128] = np.stack(rows)
        return found[0] if self.rows == 1 else found


def largest_gain(fir: Fir) -> tuple[float, float]:
    """Of all rows of a FIR, dB, and where: Hz."""
    fs = fir.fs or 0.0
    n_fft = max(8192, 8 * power_of_two(fir.numtaps))
    gain = np.zeros(n_fft // 2 + 1)
    for row in fir.taps.reshape(fir.rows, -1):
        gain = np.maximum(gain, np.abs(np.fft.rfft(row, n_fft)))
    top = int(gain.argmax())
    return float(20.0 * np.log10(max(gain[top], 1e-300))), top * fs / n_fft


def outputs_of(rows: int, channels: int) -> int:
    """Channels that so many become by a FIR of so many rows.

    Raises
    ------
    UsageError
        As `Fir.outputs`.

    >>> outputs_of(1, 6), outputs_of(2, 1)
    (6, 2)
    """
    if rows == 1:
        return channels
    if channels > 2:
        what = "a pair of ears" if rows == 2 else "a matrix of four rows"
        raise UsageError(
            f"{what} takes a mono or a stereo signal, and this one has {channels} channels: mix "
            "it down to two first, or filter all channels by a filter of one ear"
        )
    return 2


def paired(left: Fir, right: Fir, provenance: Provenance) -> Fir:
    """Two one-eared FIRs as a pair that is aligned: both ears share the longer look-ahead, so that
    neither is late against the other, and where one of them extends the ends oddly, both do.

    Raises
    ------
    ValueError
        The rates differ, or one has several rows.

    Examples
    --------
    >>> centred, causal = Fir(np.array([0.25, 0.5, 0.25]), 48000.0, 1), Fir(np.ones(1), 48000.0)
    >>> pair = paired(centred, causal, Provenance())
    >>> pair.taps.tolist(), pair.lookahead
    ([[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]], 1)
    """
    ears = (left, right)
    if left.fs != right.fs or any(ear.rows > 1 for ear in ears):
        raise ValueError("a pair is made of two FIRs of one row each, for one sampling rate")
    lookahead = max(ear.lookahead for ear in ears)
    numtaps = max(lookahead - ear.lookahead + ear.numtaps for ear in ears)
    taps = np.zeros((2, numtaps))
    for row, ear in zip(taps, ears, strict=True):
        first = lookahead - ear.lookahead
        row[first : first + ear.numtaps] = ear.taps
    return Fir(taps, left.fs, lookahead, any(ear.odd_ends for ear in ears), provenance)


def rounded(taps: npt.NDArray[np.float64], range_db: float = 0.0) -> npt.NDArray[np.float64]:
    """Designed taps, each to the nearest multiple of 2⁻⁴⁰ of the power of two at or below the
    largest.

    The last digits of a design depend on the machine, on its vector units for one. Rounded, equal
    designs have equal taps as a rule, and no published point moves by more than 0.001 dB. Taps that
    were read from a file are never rounded.

    Parameters
    ----------
    taps : (numtaps,) float64
    range_db : float
        From the lowest to the highest point of the curve, dB. Beyond 100 dB the step is finer by as
        much: the lowest points would else drown in the noise of rounding.

    Returns
    -------
    (numtaps,) float64

    Examples
    --------
    >>> bool((rounded(np.array([1.0, 0.1 + 1e-15])) == rounded(np.array([1.0, 0.1]))).all())
    True
    """
    digits = _DIGITS + max(0, math.ceil((min(400.0, range_db) - _RANGE_DB) / 6.0))
    shift = digits + 1 - int(np.frexp(np.abs(taps).max())[1])
    return np.ldexp(np.rint(np.ldexp(taps, shift)), -shift)
