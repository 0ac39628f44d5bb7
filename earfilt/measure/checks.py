"""What no curve can be made of, said with numbers."""

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError
from earfilt.measure.local import Transfer, transfer
from earfilt.measure.spectra import Spectra

LARGEST_SHARE = 1.0 / 3.0
"""Of the asked band on a logarithmic axis, where the coherence may be low."""

LARGEST_CHANGE_DB = 1.0

_SILENT = 1e-6  # rms: −120 dB re full scale
_RUN = 3  # equal samples at the peak
_RUNS = 3
_TWO_VALUED = 0.5  # share of samples at the peak of a sequence that has two values
_HALVES = 12  # points: every quarter of an octave of a curve


def check_signal(x: Floats, name: str) -> None:
    """Refuse a signal that is empty, silent or not finite.

    Raises
    ------
    UsageError
    """
    if len(x) == 0:
        raise UsageError(f"{name} holds no samples")
    wrong = ~np.isfinite(x)
    if wrong.any():
        raise UsageError(f"{name} is not finite: sample {int(np.argmax(wrong))} (from 0)")
    rms = float(np.sqrt(np.mean(np.square(x))))
    if rms < _SILENT:
        level = f"{20.0 * np.log10(rms):.0f} dB re full scale" if rms else "all samples are zero"
        raise UsageError(f"{name} is silent: {level}")


def check_clipping(x: Floats, name: str) -> None:
    """Refuse a recording whose highest value stands in runs.

    Raises
    ------
    UsageError
    """
    for peak in (float(x.max()), float(x.min())):
        at = x == peak
        if peak == 0.0 or at.mean() > _TWO_VALUED:
            continue
        runs = at.copy()
        for shift in range(1, _RUN):
            runs[:-shift] &= at[shift:]
            runs[-shift:] = False
        starts = int((runs[1:] & ~runs[:-1]).sum()) + int(runs[0])
        if starts >= _RUNS:
            level = 20.0 * np.log10(abs(peak))
            raise UsageError(
                f"{name} is clipped: {int(at.sum())} samples stand at its peak of {level:.1f} dB "
                f"re full scale, {starts} times {_RUN} or more in a row; record it with less gain"
            )


def check_coherence(curve: Transfer, band: tuple[float, float], least: float) -> None:
    """Refuse a curve that is lost in noise over more than a third of the band.

    Raises
    ------
    UsageError
    """
    octaves = np.log2(band[1] / band[0])
    below = np.log2(curve.freqs[0] / band[0]) / octaves  # what is not resolved
    lost = below + (1.0 - below) * float((curve.coherence < least).mean())
    if lost > LARGEST_SHARE:
        raise UsageError(
            f"the coherence is below {least:g} in {100 * lost:.0f} % of the band from {band[0]:g} "
            f"to {band[1]:g} Hz: too much noise, reverberation or distortion, or too little of "
            "these frequencies in the input; --band asks for less"
        )


def check_halves(found: Spectra, curve: Transfer) -> None:
    """Refuse recordings during which something changed.

    Raises
    ------
    UsageError
    """
    middle = len(found.times) // 2
    if not middle:
        return
    freqs = curve.freqs[:: max(1, _HALVES)]
    halves = [transfer(found.part(part), freqs) for part in (slice(middle), slice(middle, None))]
    first, second = halves
    both = (first.coherence > 0.5) & (second.coherence > 0.5)
    if not both.any():
        return
    off = (first.gain_db - second.gain_db)[both]
    noise = (first.sd_db**2 + second.sd_db**2)[both]
    change = float(np.sqrt(max(0.0, float(np.mean(off**2 - noise)))))
    if change > LARGEST_CHANGE_DB:
        worst = int(np.argmax(np.abs(off)))
        raise UsageError(
            f"the two halves of the recording differ by {change:.1f} dB (rms), most at "
            f"{freqs[both][worst]:.0f} Hz, by {off[worst]:+.1f} dB: something moved or was turned "
            "meanwhile"
        )
