"""Exponential sweeps: made, and deconvolved with harmonic distortion kept apart.

A sweep divides time between harmonics: the response to the k-th lies a fixed time before the
linear one, L·ln k with the sweep's rate L, whatever the frequency. A window around the linear
response leaves the distortion out.

References
----------
Farina, A. (2000). Simultaneous measurement of impulse response and distortion with a swept-sine
technique. 108th AES Convention, 5093.
Novak, A., Lotton, P. & Simon, L. (2015). Synchronized swept-sine. J. Audio Eng. Soc. 63(10),
786-798 (eq. 24: the rate that puts all harmonics in phase).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earfilt.arrays import Complexes, Floats
from earfilt.errors import UsageError
from earfilt.measure import checks
from earfilt.measure.excess import excess
from earfilt.measure.identification import (
    LEAST_COHERENCE,
    Identified,
    Mean,
    Seating,
    checked_band,
    combined,
    seatings_of,
)
from earfilt.measure.local import Transfer, log_grid, regress
from earfilt.measure.spectra import Spectra

SECONDS = 20.0
LONGEST_SWEEP_S = 300.0
LOWEST_HZ, HIGHEST_HZ, HIGHEST_SHARE = 10.0, 22_000.0, 0.48
_LEVEL = 0.5
_SILENCE_S = 1.0
_FADE_S = 0.01

BEFORE_S, AFTER_S = 0.1, 0.5
"""The window around the linear response: never farther before it than half the way to the second
harmonic.
"""
_EDGE = 0.1  # share of the window that fades in, and out
_REGULAR = 1e-4  # of the largest power of the sweep: where it has none, nothing is divided by it
_CLEAR_DB = 20.0  # peak of the response above the rms of all of it
_HARMONICS = (2, 3, 4, 5)
_HARMONIC_S = 0.02  # half of a harmonic's window
_LEAST_GROWTH = np.log(4.0)  # two octaves
_FRAMES = 64  # where the frequency of a sweep is looked at


def make_sweep(fs: float, seconds: float = SECONDS) -> Floats:
    """A synchronised exponential sweep with a second of silence behind it.

    Parameters
    ----------
    fs : float
        Hz.
    seconds : float
        Of the sweep, about: harmonics are in phase at certain lengths only.

    Returns
    -------
    (T,) float64
        Peak 0.5, from 10 Hz to the lower of 0.48·fs and 22 kHz.
    """
    low, high = LOWEST_HZ, min(HIGHEST_HZ, HIGHEST_SHARE * fs)
    octaves = np.log(high / low)
    rate = max(1.0, round(low * seconds / octaves)) / low
    t = np.arange(int(rate * octaves * fs)) / fs
    x = _LEVEL * np.sin(2.0 * np.pi * low * rate * np.expm1(t / rate))
    fade = int(_FADE_S * fs)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    x[-fade:] *= ramp[::-1]
    return np.concatenate([x, np.zeros(int(_SILENCE_S * fs))])


@dataclass(frozen=True, eq=False)
class _Response:
    """A deconvolved response: linear at index 0 of a circle, harmonics before it."""

    taps: Floats
    delay: int
    before: int
    after: int


def sweep_file(fs: float, seconds: float = SECONDS) -> tuple[bytes, str]:
    """A sweep as the bytes of a ``.wav`` of 24 bits, and what it is in words.

    Raises
    ------
    UsageError
        A rate or length that no measurement has.
    """
    if not 8000.0 <= fs <= 768_000.0 or fs != round(fs):
        raise UsageError(f"--fs {fs:g}; a sweep has 8000 to 768000 Hz, a whole number")
    if not 1.0 <= seconds <= LONGEST_SWEEP_S:
        raise UsageError(f"--seconds {seconds:g}; a sweep has 1 to {LONGEST_SWEEP_S:g}")
    import soundfile

    x = make_sweep(fs, seconds)
    buffer = io.BytesIO()
    soundfile.write(buffer, x, int(fs), format="WAV", subtype="PCM_24")
    words = (
        f"exponential sweep from {LOWEST_HZ:g} to {min(HIGHEST_HZ, HIGHEST_SHARE * fs):g} Hz, "
        f"{len(x) / fs - _SILENCE_S:.2f} s and {_SILENCE_S:g} s of silence at {fs:g} Hz, peak "
        f"{20.0 * np.log10(_LEVEL):.0f} dB re full scale"
    )
    return buffer.getvalue(), words


def identify_sweeps(
    sweep: Sequence[Floats],
    recorded: Sequence[Floats],
    fs: float,
    *,
    band: tuple[float, float] | None = None,
    mean: Mean = "db",
) -> Identified:
    """As `identify`, from recordings of exponential sweeps."""
    asked = checked_band(band, fs)

    def one(a: Floats, b: Floats) -> Seating:
        return identify_sweep(a, b, fs, band=asked)

    found = seatings_of(one, sweep, recorded)
    return combined(found, fs, band=asked, estimator="sweep", mean=mean)


def identify_sweep(
    sweep: Floats, recorded: Floats, fs: float, *, band: tuple[float, float]
) -> Seating:
    """The linear transfer function from a sweep to its recording.

    Raises
    ------
    UsageError
        No exponential sweep, silence, clipping, nothing in common, a coherence below 0.5 in more
        than a third of the band.
    """
    checks.check_signal(sweep, "the sweep")
    checks.check_signal(recorded, "the recording")
    checks.check_clipping(recorded, "the recording")
    rate = sweep_rate(sweep, fs)
    response = _deconvolved(sweep, recorded, fs, rate)
    value, variance = _linear(response)
    bins = fs / (2 * (len(value) - 1)) * np.arange(len(value), dtype=np.float64)
    coherence = _coherence(value, variance)
    low = max(band[0], 4.0 * float(bins[1]))
    curve = regress(bins, value, variance, coherence, log_grid(low, band[1]))
    checks.check_coherence(curve, band, LEAST_COHERENCE)
    beside = excess(_as_spectra(bins, value, variance), _full(bins, value, variance, fs), fs)
    return Seating(
        curve,
        response.delay + beside.delay,
        beside.inverted,
        beside.minimum_phase,
        beside.fit,
        harmonics=_harmonics(response, rate, fs),
    )


def sweep_rate(sweep: Floats, fs: float) -> float:
    """The rate L of an exponential sweep in seconds: its frequency grows by e in that time.

    Raises
    ------
    UsageError
        It is no exponential sweep.
    """
    loud = np.flatnonzero(np.abs(sweep) > 0.05 * np.abs(sweep).max())
    first, last = int(loud[0]), int(loud[-1])
    # where zeros are crossed upwards, each a period apart
    x = sweep[first : last + 1]
    ups = np.flatnonzero((x[:-1] < 0.0) & (x[1:] >= 0.0))
    if len(ups) > _FRAMES:
        at = ups + x[ups] / (x[ups] - x[ups + 1])
        counts = np.arange(len(at))
        # log of the frequency between crossings that many periods apart
        chosen = np.unique(np.geomspace(1, len(at) - 1, _FRAMES).astype(int))
        begin, end = chosen[:-1], chosen[1:]
        hz = (counts[end] - counts[begin]) * fs / (at[end] - at[begin])
        times = (at[end] + at[begin]) / 2.0 / fs
        slope, level = np.polyfit(times, np.log(hz), 1)
        off = np.log(hz) - level - slope * times
        grown = slope * (times[-1] - times[0])
        if grown > _LEAST_GROWTH and float(np.sqrt(np.mean(off**2))) < 0.1:
            return float(1.0 / slope)
    raise UsageError(
        "the sweep is not an exponential sweep from low to high frequencies; --make-sweep writes "
        "one, and --input and --target take any other signal"
    )


def _deconvolved(sweep: Floats, recorded: Floats, fs: float, rate: float) -> _Response:
    total = 1 << (len(sweep) + len(recorded) - 1).bit_length()
    x, y = np.fft.rfft(sweep, total), np.fft.rfft(recorded, total)
    power = x.real**2 + x.imag**2
    # an exponential sweep falls by 3 dB an octave: what is far below that line has no sweep
    line = power[1:] * np.arange(1, len(power))
    floor = _REGULAR * float(np.median(line[line > 0.01 * line.max()]))
    floors = floor / np.maximum(np.arange(len(power)), 1.0)
    taps = np.fft.irfft(x.conj() * y / (power + floors), total)
    peak = int(np.argmax(np.abs(taps)))
    clear = 20.0 * np.log10(abs(taps[peak]) / np.sqrt(np.mean(np.square(taps))))
    if clear < _CLEAR_DB:
        raise UsageError(
            "the recording does not hold the sweep: the highest peak of their deconvolution is "
            f"{clear:.0f} dB above the rest, {_CLEAR_DB:g} dB are needed"
        )
    before = int(min(BEFORE_S, 0.5 * rate * np.log(2.0)) * fs)
    delay = peak if peak < len(recorded) else peak - total
    return _Response(np.roll(taps, -peak), delay, before, int(AFTER_S * fs))


def _linear(response: _Response) -> tuple[Complexes, Floats]:
    """The linear transfer function at the bins of a transform, and the variance of each."""
    length = response.before + response.after
    length += length % 2
    window = _window(length)
    part = np.roll(response.taps, response.before)[:length] * window
    value = np.fft.rfft(np.roll(part, -response.before))
    # noise alone: behind the response, before the harmonics that lie at the circle's end
    pieces = [response.taps[begin : begin + length] for begin in _quiet(response, length)]
    noise = np.mean([np.abs(np.fft.rfft(piece * window)) ** 2 for piece in pieces], axis=0)
    return value, noise + 1e-14 * np.abs(value) ** 2


def _quiet(response: _Response, length: int) -> list[int]:
    """Where stretches begin that hold noise alone."""
    begin = response.after
    stop = len(response.taps) // 2 - length
    count = min(8, max(1, (stop - begin) // length))
    return [begin + n * length for n in range(count)]


def _window(length: int) -> Floats:
    """1, with raised cosines at both ends."""
    edge = max(1, int(_EDGE * length))
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    window = np.ones(length)
    window[:edge] *= ramp
    window[-edge:] *= ramp[::-1]
    return window


def _coherence(value: Complexes, variance: Floats) -> Floats:
    """The share of the power that the linear response explains."""
    power = np.abs(value) ** 2
    return power / np.maximum(power + variance, 1e-300)


def _as_spectra(bins: Floats, value: Complexes, variance: Floats) -> Spectra:
    one = np.ones((1, len(bins)))
    return Spectra(
        bins, np.zeros(1), np.ones(1), one, (np.abs(value) ** 2 + variance)[None], value[None]
    )


def _full(bins: Floats, value: Complexes, variance: Floats, fs: float) -> Transfer:
    """The magnitude over all of the sweep, which the minimum phase asks for."""
    low, high = max(2.0 * LOWEST_HZ, 4.0 * float(bins[1])), min(HIGHEST_HZ, HIGHEST_SHARE * fs)
    freqs = log_grid(low, high)
    return regress(bins, value, variance, _coherence(value, variance), freqs)


def _harmonics(response: _Response, rate: float, fs: float) -> tuple[tuple[int, float], ...]:
    """Levels in dB re the linear response of the harmonics that rise above the noise."""
    linear = _energy(response.taps, 0, response.before, response.after)
    # half the way between the linear response and the second harmonic there is noise alone
    quiet = max(1, int(0.2 * rate * np.log(2.0) * fs))
    noise = _energy(response.taps, -int(0.5 * rate * np.log(2.0) * fs), quiet, quiet) / quiet
    found = []
    for order in _HARMONICS:
        half = int(min(0.4 * rate * np.log((order + 1) / order), _HARMONIC_S) * fs)
        at = -round(rate * np.log(order) * fs)
        energy = _energy(response.taps, at, half, half) - noise * half
        if energy > noise * half:
            found.append((order, float(10.0 * np.log10(energy / linear))))
    return tuple(found)


def _energy(taps: Floats, at: int, before: int, after: int) -> float:
    return float(np.square(np.take(taps, np.arange(at - before, at + after), mode="wrap")).sum())
