"""What every filter ends as: the effective FIR, with where its time zero lies and how the signal's
ends are extended.
"""

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from earfilt.synthesis.provenance import Provenance

_BLOCK = 1 << 18  # complex numbers worked on at once: a few megabytes
_DIGITS = 40  # binary digits kept of a designed tap, counted from the largest one,
_RANGE_DB = 100.0  # and one more for each 6 dB that the curve spans beyond this


@dataclass(frozen=True, eq=False)
class Fir:
    """The effective FIR: all passes, scaling and gain normalisation included.

    The audio gets ``y[n] = Σ_k taps[k] · x[n + lookahead − k]``, n = 0…T−1.

    Parameters
    ----------
    taps : (numtaps,) float64
        The coefficients.
    fs : float or None
        Sampling rate in Hz that they were made for; None where a file did not say.
    lookahead : int
        Samples of the future that an output sample needs: 0 for causal filters, the latency of a
        real-time reader.
    odd_ends : bool
        True: x is extended at both ends by ``lookahead`` samples, oddly (2·x[0] − x[k]), as far as
        it goes and by zeros beyond, as ``scipy.signal.filtfilt`` does. False: by zeros.
    provenance : Provenance
        Where it comes from: filter, order, phase, deviation from the published points, …
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
        taps.flags.writeable = False
        object.__setattr__(self, "taps", taps)

    @property
    def numtaps(self) -> int:
        """Number of taps."""
        return len(self.taps)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that decides the audio: taps, rate, look-ahead and the extension rule."""
        digest = hashlib.sha256(self.taps.astype("<f8").tobytes())
        digest.update(f"|{self.fs}|{self.lookahead}|{self.odd_ends}".encode())
        return digest.hexdigest()

    def response(self, freqs: npt.ArrayLike) -> npt.NDArray[np.complex128]:
        """Exact response at any frequencies (a direct DTFT, not the nearest FFT bin).

        Parameters
        ----------
        freqs : array of float
            Hz; ``fs`` must be known.

        Returns
        -------
        array of complex128
            H(f) with time zero at tap ``lookahead``.
        """
        if self.fs is None:
            raise ValueError("the sampling rate of this FIR is unknown")
        cycles = np.atleast_1d(np.asarray(freqs, dtype=np.float64)) / self.fs
        return dtft(self.taps, cycles.reshape(-1), -self.lookahead).reshape(cycles.shape)


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


def dtft(
    taps: npt.NDArray[np.float64], cycles: npt.NDArray[np.float64], first: int = 0
) -> npt.NDArray[np.complex128]:
    """Σ_k taps[k]·exp(−2πj·cycles·(first + k)) for (M,) frequencies in cycles per sample: (M,)."""
    # With k = row·width + column the phase is a product of one factor for each: 2·√numtaps
    # exponentials a frequency, not numtaps.
    width = math.isqrt(len(taps) - 1) + 1
    table = np.pad(taps, (0, -len(taps) % width)).reshape(-1, width)
    at_rows = -2j * np.pi * (first + width * np.arange(len(table)))
    at_columns = -2j * np.pi * np.arange(width)
    out = np.empty(len(cycles), dtype=np.complex128)
    step = max(1, _BLOCK // width)
    for start in range(0, len(cycles), step):
        part = cycles[start : start + step, None]
        # einsum and not a BLAS product: the last digits must not depend on the number of threads.
        along = np.einsum("kw,rw->kr", np.exp(part * at_columns), table)
        out[start : start + step] = (along * np.exp(part * at_rows)).sum(1)
    return out
