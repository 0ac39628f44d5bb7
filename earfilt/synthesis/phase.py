"""The phase of a FIR: minimum phase, and forwards and backwards.

Everything here is float64, of numpy or of torch, and then differentiable in the amplitudes.
"""

from earfilt.arrays import Array, can_be_looked_at, constant, namespace, padded, power_of_two
from earfilt.synthesis.spectrum import power_spectrum

# Power below which the logarithm of a spectrum is cut off, re its peak: −140 dB keeps gradients
# finite at spectral zeros, and moves a magnitude at −60 dB by 4e-8 dB.
POWER_FLOOR = 1e-14
# Largest error of a minimum-phase magnitude, in dB, and where it counts (re the peak).
_MINIMUM_PHASE_ERROR_DB = 2e-7
_MINIMUM_PHASE_RANGE_DB = 60.0
_LARGEST_CEPSTRUM = 1 << 22


def minimum_phase(taps: Array) -> Array:
    """Minimum-phase FIR of the same length and magnitude, by the Hilbert transform of the log
    magnitude.

    The transform is folding of the real cepstrum, on a grid of at least 8·numtaps points that
    doubles until time aliasing has moved no magnitude within 60 dB of the peak by more than 2e-7
    dB.

    Parameters
    ----------
    taps : (numtaps,) float64
        A FIR of linear phase.

    Returns
    -------
    (numtaps,) float64
        All zeros inside or on the unit circle.

    References
    ----------
    Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd ed., section
    13.5.
    """
    if len(taps) % 2 == 0:
        # A symmetric FIR of odd order is zero at fs/2. A zero on the unit circle spoils the
        # cepstrum, and stays where it is in the minimum-phase FIR: divide 1 + 1/z out (an
        # alternating running sum), and put it back.
        xp = namespace(taps)
        sign = 1.0 - 2.0 * (xp.arange(len(taps), device=taps.device) % 2)
        quotient = minimum_phase((sign * xp.cumsum(sign * taps, 0))[:-1])
        return padded(quotient, 0, 1) + padded(quotient, 1, 0)
    wanted = constant(taps)
    looks = can_be_looked_at(wanted)
    n_fft = grid_of(len(taps), looks=looks)
    if not looks:
        return _fold_cepstrum(taps, n_fft)
    while not is_fine(
        candidate := _fold_cepstrum(wanted, n_fft), power_spectrum(wanted, n_fft), n_fft
    ):
        n_fft *= 2
    return candidate if wanted is taps else _fold_cepstrum(taps, n_fft)


def grid_of(numtaps: int, *, looks: bool) -> int:
    """Points of the grid that a minimum phase is first made on; where no value can be looked at, so
    many that no table needs more.
    """
    n_fft = power_of_two(8 * numtaps)
    return n_fft if looks else 8 * n_fft


def is_fine(taps: Array, power: Array, n_fft: int) -> bool:
    """Whether time aliasing on a grid has left the magnitude of minimum-phase taps what it was to
    be: |H|² on n_fft//2 + 1 points.
    """
    return (
        n_fft >= _LARGEST_CEPSTRUM
        or _magnitude_error_db(taps, power, n_fft) < _MINIMUM_PHASE_ERROR_DB
    )


def _fold_cepstrum(taps: Array, n_fft: int) -> Array:
    """Minimum-phase taps from the real cepstrum on n_fft points."""
    return from_power(power_spectrum(taps, n_fft), n_fft)[: len(taps)]


def from_power(power: Array, n_fft: int, fold: Array | None = None) -> Array:
    """Impulse response of minimum phase, (n_fft,), from |H|² on n_fft//2 + 1 points; `fold` as
    `folding` gives it.
    """
    xp = namespace(power)
    floored = power + POWER_FLOOR * constant(power).max()
    spectrum = minimum_phase_spectrum(0.5 * xp.log(floored), n_fft, fold)
    return xp.fft.irfft(spectrum, n_fft)


def minimum_phase_spectrum(log_magnitude: Array, n_fft: int, fold: Array | None = None) -> Array:
    """Spectrum of a minimum-phase filter from the logarithm of its magnitude, by folding the real
    cepstrum: (n_fft//2 + 1,) float64 -> complex128; `fold` as `folding` gives it.
    """
    xp = namespace(log_magnitude)
    cepstrum = xp.fft.irfft(log_magnitude, n_fft)
    return xp.exp(xp.fft.rfft(cepstrum * (folding(cepstrum) if fold is None else fold)))


def folding(cepstrum: Array) -> Array:
    """What a cepstrum (n_fft,) is multiplied by: what comes before time zero is laid upon what
    comes behind it.
    """
    n_fft, xp = len(cepstrum), namespace(cepstrum)
    # 1, 2 up to the middle, 1, 0 beyond; not set by index, which on a device waits for it
    at = xp.arange(n_fft, dtype=xp.float64, device=cepstrum.device)
    return xp.minimum(at + 1.0, xp.clip(n_fft // 2 + 1.0 - at, 0.0, 2.0))


def _magnitude_error_db(candidate: Array, reference: Array, n_fft: int) -> float:
    """Largest difference in dB from |H|² where that is within 60 dB of its peak."""
    xp = namespace(reference)
    power = power_spectrum(candidate, n_fft)
    counts = reference > reference.max() * 10.0 ** (-_MINIMUM_PHASE_RANGE_DB / 10.0)
    if not bool(counts.any()):  # NaN, which no grid mends
        return 0.0
    return float(xp.abs(10.0 * xp.log10(power[counts] / reference[counts])).max())


def forward_backward(taps: Array) -> Array:
    """Taps of one convolution that equals applying ``taps`` forwards and backwards: their
    autocorrelation.

    Parameters
    ----------
    taps : (order + 1,) float64

    Returns
    -------
    (2·order + 1,) float64
        Symmetric about tap ``order``, which is time zero; its response is |H|².
    """
    xp = namespace(taps)
    numtaps = len(taps)
    n_fft = power_of_two(2 * numtaps - 1)
    correlation = xp.fft.irfft(power_spectrum(taps, n_fft), n_fft)
    return xp.concat([xp.flip(correlation[1:numtaps], (0,)), correlation[:numtaps]])
