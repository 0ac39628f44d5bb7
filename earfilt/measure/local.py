"""A transfer function from spectra, smoothed no further than its noise asks for.

Around each frequency the ratio of cross-spectrum and input is taken as a polynomial of degree two,
weighted by how well each bin is known, over a share of an octave. The widest share is taken that
agrees with all narrower ones within what their noise explains: where nothing disturbs, resonances
keep their shape; where much does, the mean is long.

References
----------
Pintelon, R. & Schoukens, J. (2012). System identification: a frequency domain approach, 2nd ed.,
chapter 7 (the local polynomial method).
Goldenshluger, A. & Nemirovski, A. (1997). Math. Methods Statist. 6(2), 135-170 (the intersection of
confidence intervals).
"""

from dataclasses import dataclass

import numpy as np

from earfilt.arrays import Complexes, Floats
from earfilt.measure.spectra import Spectra

HALF_WIDTHS = (1 / 48, 1 / 24, 1 / 12, 1 / 6, 1 / 3)
"""Of the regression, in octaves."""

POINTS_PER_OCTAVE = 48
_FEWEST_BINS = 6
_AGREES = 1.5  # standard deviations between a width and the narrower ones
# Neighbouring bins of Hann windows: the covariances of a product of two independent spectra.
_SHARED = (4.0 / 9.0, 1.0 / 36.0)
_DB = 20.0 / np.log(10.0)
_SYSTEMATIC_DB = 1e-3  # of segments and windows, where nothing else disturbs


@dataclass(frozen=True, eq=False)
class Transfer:
    """A transfer function at some frequencies.

    Attributes
    ----------
    freqs : (N,) Hz
    value : (N,) complex128
        Between aligned signals.
    sd_db : (N,) float64
        Standard deviation of its magnitude.
    coherence : (N,) float64
        0 to 1.
    """

    freqs: Floats
    value: Complexes
    sd_db: Floats
    coherence: Floats

    @property
    def gain_db(self) -> Floats:
        """(N,) dB."""
        return 20.0 * np.log10(np.maximum(np.abs(self.value), 1e-15))

    def up_to(self, highest: float) -> "Transfer":
        """Its points up to a frequency in Hz."""
        kept = self.freqs <= highest
        return Transfer(self.freqs[kept], self.value[kept], self.sd_db[kept], self.coherence[kept])


def log_grid(low: float, high: float) -> Floats:
    """Frequencies on a logarithmic axis, both ends among them."""
    count = max(2, round(np.log2(high / low) * POINTS_PER_OCTAVE) + 1)
    return np.geomspace(low, high, count)


def transfer(found: Spectra, freqs: Floats, *, h2: bool = False) -> Transfer:
    """The transfer function from averaged spectra.

    Parameters
    ----------
    found : Spectra
    freqs : (N,) Hz
        Within what the spectra cover.
    h2 : bool
        The noise is in the input, not in the output: H2 in place of H1.
    """
    xx, yy, xy = (part.sum(0) for part in (found.xx, found.yy, found.xy))
    if h2:
        xx, yy, xy = yy, xx, xy.conj()
    tiny = 1e-30 * max(float(xx.max()), 1e-300)
    ratio = xy / np.maximum(xx, tiny)
    together = np.abs(xy) ** 2 / np.maximum(xx * yy, tiny * 1e-30)
    coherence = np.clip(together, 0.0, 1.0)
    # the variance of a complex ratio, re its noise
    noise = np.maximum(yy * (1.0 - coherence), 1e-14 * yy)
    variance = noise / np.maximum(xx, tiny) / found.averages
    result = regress(found.freqs, ratio, variance, coherence, freqs)
    return _inverted(result) if h2 else result


def _inverted(of: Transfer) -> Transfer:
    return Transfer(of.freqs, 1.0 / of.value, of.sd_db, of.coherence)


def regress(
    bins: Floats, ratio: Complexes, variance: Floats, coherence: Floats, freqs: Floats
) -> Transfer:
    """Ratios of spectra at the bins of a transform, smoothed as far as their noise asks for.

    Parameters
    ----------
    bins : (F,) Hz
        Evenly spaced from 0 on.
    ratio : (F,) complex128
    variance : (F,) float64
        Of each ratio.
    coherence : (F,) float64
    freqs : (N,) Hz
    """
    smooth = _running_mean(variance)
    values = np.empty((len(HALF_WIDTHS), len(freqs)), complex)
    sd, same = np.empty((2, len(HALF_WIDTHS), len(freqs)))
    for row, width in enumerate(HALF_WIDTHS):
        for column, freq in enumerate(freqs):
            values[row, column], sd[row, column], same[row, column] = _at(
                bins, ratio, smooth, coherence, float(freq), width
            )
    gain_db = _DB * np.log(np.maximum(np.abs(values), 1e-15))
    chosen = _widest_that_agrees(gain_db, sd)
    columns = np.arange(len(freqs))
    # what a wider regression changes may be noise of the narrower or its own bias
    bias = gain_db[chosen, columns] - gain_db[np.maximum(chosen - 1, 0), columns]
    return Transfer(
        freqs,
        values[chosen, columns],
        np.sqrt(sd[chosen, columns] ** 2 + bias**2 + _SYSTEMATIC_DB**2),
        same[chosen, columns],
    )


def _running_mean(values: Floats) -> Floats:
    """Variances of single bins vary by themselves; weights must not follow that."""
    padded = np.pad(values, 2, mode="edge")
    return np.convolve(padded, np.ones(5) / 5.0, mode="valid")


def _at(
    bins: Floats,
    ratio: Complexes,
    variance: Floats,
    coherence: Floats,
    freq: float,
    width: float,
) -> tuple[complex, float, float]:
    """Value, standard deviation in dB and coherence at one frequency."""
    step = bins[1]
    reach = max(freq * (2.0**width - 1.0), step * _FEWEST_BINS / 2.0)
    low = max(1, int(np.ceil((freq - reach) / step)))
    high = min(len(bins), int(np.floor((freq + reach) / step)) + 1)
    u = (bins[low:high] - freq) / reach
    kernel = np.clip(1.0 - np.abs(u) ** 3, 0.0, None) ** 3 + 1e-6
    part = variance[low:high]
    weights = kernel / np.maximum(part, 1e-12 * part.max())
    # of the value at u = 0, as a weighted sum of the ratios
    basis = np.stack([np.ones_like(u), u, u * u])
    moments = (basis * weights) @ basis.T
    scale = np.trace(moments)
    solved = np.linalg.solve(moments / scale + 1e-12 * np.eye(3), [1.0, 0.0, 0.0]) / scale
    shares = (solved @ basis) * weights
    value = complex(shares @ ratio[low:high])
    spread = shares * np.sqrt(part)
    total = float(spread @ spread)
    for apart, shared in enumerate(_SHARED, start=1):
        total += 2.0 * shared * float(spread[apart:] @ spread[:-apart])
    size = max(abs(value), 1e-15)
    together = float(weights @ coherence[low:high] / weights.sum())
    return value, float(_DB * np.sqrt(max(total, 0.0) / 2.0) / size), together


def _widest_that_agrees(gain_db: Floats, sd: Floats) -> np.ndarray:
    """For each frequency the row of the widest regression that agrees with all narrower ones."""
    low = np.maximum.accumulate(gain_db - _AGREES * sd)
    high = np.minimum.accumulate(gain_db + _AGREES * sd)
    agrees = np.logical_and.accumulate(low <= high)
    rows = agrees.sum(0) - 1
    # one width for a neighbourhood, for a curve without steps
    near = np.lib.stride_tricks.sliding_window_view(np.pad(rows, 4, mode="edge"), 9)
    return np.minimum(rows, np.median(near, axis=1).astype(int))
