"""When a recording begins and how fast its clock runs, beside what was played.

The clock of a player and that of a recorder differ by tens of millionths. First the delay of a few
thousand samples is followed through the recording by correlation; then, on aligned signals, the
phase of the cross-spectrum of each stretch against all tells what is left, to thousandths of a
sample.

References
----------
Knapp, C. H. & Carter, G. C. (1976). IEEE Trans. Acoust. Speech Signal Process. 24(4), 320-327.
"""

from dataclasses import dataclass

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError
from earfilt.measure.shifting import PASSBAND, moved, resampled
from earfilt.measure.spectra import Spectra, segment_length, spectra

LARGEST_DRIFT_PPM = 500.0
_SEARCHED = 2e-3  # relative drift that is followed, to tell of what is too large
_PIECE = 8192  # samples that are followed
_LONG_PIECE = 1 << 15  # samples that are looked for in all of the recording
_PIECES = 64
_WHITE = 0.7  # share of the whitening: 1 has the sharpest peak, 0 the least noise
_CLEAR = 8.0  # peak of a correlation, re its rms: of noise, 6 in a million
_ROUNDS = 6
_SETTLED = 2e-3  # samples, over the whole recording
_JUMP = 2.0  # samples
_STEP = 5.0  # samples; a large drift smears the delay of a piece by less
_OFF_THE_LINE = 0.2  # share of the pieces
_NO_DRIFT = 0.05  # samples, over the whole recording, which no test tells from none
_FEWEST_STRETCHES = 4


@dataclass(frozen=True)
class Clock:
    """Where the samples of a recording lie in what was played.

    Attributes
    ----------
    delay : float
        Samples by which the recording's first sample is behind, before the filter's own delay.
    drift : float
        By how much the recorder's clock runs faster than the player's: 1e-6 is 1 ppm.
    drift_sd : float
        Standard deviation of ``drift``.
    """

    delay: float
    drift: float = 0.0
    drift_sd: float = 0.0

    def applied(self, x: Floats, frames: int) -> Floats:
        """What was played, by the clock of the recording: its first ``frames`` samples."""
        step = 1.0 / (1.0 + self.drift)
        return resampled(x, frames, step=step, start=-self.delay * step)

    def overlap(self, played: int, recorded: int) -> tuple[int, int]:
        """The samples of the recording during which something was played."""
        step = 1.0 / (1.0 + self.drift)
        low = max(0.0, self.delay)
        high = min(float(recorded), (played - 1) / step + self.delay)
        return int(np.ceil(low)), max(int(np.ceil(low)), int(np.floor(high)))


def follow(x: Floats, y: Floats) -> Clock:
    """The clock of a recording ``y`` of ``x``, to about a sample.

    Raises
    ------
    UsageError
        They have nothing in common; the recording jumps.
    """
    at, delay = _found(x, y)
    piece = min(_PIECE, len(x) // 2)
    begins = np.linspace(0, len(x) - piece, _PIECES).astype(int)
    order = begins[np.argsort(np.abs(begins - at))]
    found: list[tuple[float, float, float]] = []
    for begin in order:
        expected, reach = _expected(found, begin, at, delay)
        where = round(begin + expected)
        if where < 0 or where + piece > len(y):
            continue
        peak, offset = _correlate(
            x[begin : begin + piece], moved(y, where - reach, piece + 2 * reach)
        )
        if peak > _CLEAR:
            found.append((begin + piece / 2.0, where - reach + offset - begin, peak))
    return _line(found, delay)


def _found(x: Floats, y: Floats) -> tuple[int, float]:
    """Where in ``x`` a piece begins that is found in ``y``, and its delay."""
    piece = min(_LONG_PIECE, len(x))
    begins = np.unique(np.linspace(0, len(x) - piece, 2 * _PIECES).astype(int))
    power = [float(np.square(x[begin : begin + piece]).sum()) for begin in begins]
    best = (0.0, 0, 0.0)
    for begin in begins[np.argsort(power)[::-1]][:1].tolist() + _thirds(begins, power):
        peak, offset = _correlate(x[begin : begin + piece], y)
        best = max(best, (peak, begin, offset - begin))
        if best[0] > 4.0 * _CLEAR:
            break
    if best[0] < _CLEAR:
        raise UsageError(
            "the two recordings have no content in common: the highest peak of their correlation "
            f"is {best[0]:.1f} times its rms, of unrelated noise it is 6; is it the right pair?"
        )
    return best[1], best[2]


def _thirds(begins: Floats, power: list[float]) -> list[int]:
    """The loudest piece of each third."""
    parts = np.array_split(np.arange(len(begins)), min(3, len(begins)))
    return [int(begins[max(part, key=lambda i: power[i])]) for part in parts]


def _expected(
    found: list[tuple[float, float, float]], begin: int, at: int, delay: float
) -> tuple[float, int]:
    """The delay that a piece should have, and how far around it to look."""
    if not found:
        return delay, 64 + int(_SEARCHED * abs(begin - at))
    times = np.array([time for time, *_ in found])
    nearest = int(np.argmin(np.abs(times - begin)))
    expected = found[nearest][1]
    if len(found) > 3:
        slope = np.polyfit(times, [d for _, d, _ in found], 1)[0]
        expected += float(np.clip(slope, -_SEARCHED, _SEARCHED)) * (begin - times[nearest])
    return expected, 64 + int(_SEARCHED * abs(begin - times[nearest]))


def _correlate(x: Floats, y: Floats) -> tuple[float, float]:
    """The highest peak of a whitened correlation re its rms, and where ``x`` begins in ``y``."""
    total = _fast_length(len(x) + len(y))
    a, b = np.fft.rfft(x, total), np.fft.rfft(y, total)
    cross = a.conj() * b
    size = np.abs(cross)
    floor = 1e-6 * float(size.max(initial=0.0))
    if floor == 0.0:
        return 0.0, 0.0
    # frequencies beyond what a resampler keeps say nothing
    cross[int(PASSBAND * total) :] = 0.0
    lags = np.fft.irfft(cross / np.maximum(size, floor) ** _WHITE, total)
    strength = np.abs(lags)
    top = int(np.argmax(strength))
    peak = float(strength[top] / np.sqrt(np.mean(np.square(lags))))
    left, mid, right = (float(strength[(top + i) % total]) for i in (-1, 0, 1))
    bend = left - 2.0 * mid + right
    offset = top + (0.5 * (left - right) / bend if bend else 0.0)
    return peak, offset - total if offset > len(y) else offset


def _fast_length(least: int) -> int:
    """A length without large factors."""
    power = 1 << (least - 1).bit_length()
    return min(n for n in (power, power // 4 * 3, power // 8 * 5, power // 8 * 7) if n >= least)


def _line(found: list[tuple[float, float, float]], delay: float) -> Clock:
    """The straight line through delays, without those that lie off."""
    if len(found) < 4:
        return Clock(found[0][1] if found else delay)
    times, delays, weights = np.array(found).T
    kept = np.ones(len(times), bool)
    for _ in range(4):
        slope, first = np.polyfit(times[kept], delays[kept], 1, w=np.sqrt(weights[kept]))
        off = np.abs(delays - (first + slope * times))
        kept = off <= max(3.0 * float(np.median(off)), 0.5)
    _refuse_steps(times, delays, off)
    # in samples of the recording: t_y = t_x + delay + drift·t_x
    return Clock(float(first), float(slope))


def _refuse_steps(times: Floats, delays: Floats, off: Floats) -> None:
    """Refuse delays that no straight line goes through: pieces of the recording are missing."""
    if float((off > _STEP).mean()) < _OFF_THE_LINE:
        return
    order = np.argsort(times)
    steps = np.diff(delays[order])
    worst = int(np.argmax(np.abs(steps)))
    raise UsageError(
        f"the delay jumps by {abs(steps[worst]):.0f} samples between {times[order][worst]:.0f} and "
        f"{times[order][worst + 1]:.0f}: the recorder or the player has lost samples there"
    )


def settled(x: Floats, y: Floats, fs: float, clock: Clock) -> tuple[Clock, Spectra]:
    """A clock to thousandths of a sample, and the spectra of the signals that it aligns.

    Raises
    ------
    UsageError
        Hardly anything overlaps; the drift is beyond 500 ppm; samples were lost.
    """
    for round in range(_ROUNDS):
        if abs(clock.drift) > LARGEST_DRIFT_PPM * 1e-6:
            raise UsageError(
                f"the clocks of the two recordings differ by {clock.drift * 1e6:+.0f} ppm, more "
                f"than the {LARGEST_DRIFT_PPM:g} ppm of two crystals: one was made for another "
                "rate, or stretched"
            )
        low, high = clock.overlap(len(x), len(y))
        length = segment_length(high - low, fs)
        if high - low < 4 * length:
            raise UsageError(
                f"the two recordings have {max(0, high - low) / fs:.2f} s in common, too little "
                "for a curve"
            )
        found = spectra(clock.applied(x, high)[low:], y[low:high], fs, length)
        slope, spread, off = _remaining(found, fs)
        total = high - low
        if len(found.times) < _FEWEST_STRETCHES:
            break
        if round and abs(slope) * total < _SETTLED:
            _refuse_jumps(off, (found.times + low) / fs)
            break
        drift = (1.0 + clock.drift) * (1.0 + slope) - 1.0
        middle = low + total / 2.0 - clock.delay
        delay = clock.delay - (drift - clock.drift) / (1.0 + clock.drift) * middle
        clock = Clock(delay, drift, spread)
        if abs(drift) < 3.0 * spread and abs(drift) * total < _NO_DRIFT:
            clock = Clock(float(np.floor(delay + 0.5)), 0.0, spread)
            low, high = clock.overlap(len(x), len(y))
            found = spectra(clock.applied(x, high)[low:], y[low:high], fs, length)
            break
    return clock, found


def _remaining(found: Spectra, fs: float) -> tuple[float, float, Floats]:
    """How fast the delay still grows, its standard deviation, and what each stretch is off."""
    if len(found.times) < _FEWEST_STRETCHES:
        return 0.0, 0.0, np.zeros(len(found.times))
    turn = 2.0 * np.pi * found.freqs / fs
    total = found.xy.sum(0)
    power = found.xx.sum(0) * found.yy.sum(0)
    usable = (found.freqs > 0) & (found.freqs < PASSBAND * fs) & (power > 0)
    same = np.abs(total) ** 2 / np.where(power > 0, power, 1.0)
    same = np.where(usable, np.clip(same, 0.0, 0.9999), 0.0)
    weights = same / (1.0 - same) * turn**2
    # of groups against all, whose own share in it changes nothing to first order
    angles = np.angle(found.xy * total.conj())
    safe = np.where(usable, turn, 1.0)
    scale = float(weights.sum()) or 1.0
    delays = -(weights * angles / safe).sum(1) / scale
    times = found.times - found.times.mean()
    slope = float((times * delays).sum() / (times**2).sum())
    off = delays - delays.mean() - slope * times
    spread = float(np.sqrt((off**2).sum() / (len(off) - 2) / (times**2).sum()))
    return slope, spread, off


def _refuse_jumps(off: Floats, seconds: Floats) -> None:
    worst = int(np.argmax(np.abs(off)))
    if abs(off[worst]) > _JUMP:
        raise UsageError(
            f"the delay jumps by {abs(off[worst]):.1f} samples near {seconds[worst]:.1f} s: "
            "the recorder or the player has lost samples there"
        )
