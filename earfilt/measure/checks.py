"""What no curve can be made of, said with numbers."""

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import UsageError
from earfilt.measure.local import Transfer, transfer
from earfilt.measure.spectra import Spectra
from earfilt.wording import option

LARGEST_SHARE = 1.0 / 3.0
"""Of the asked band on a logarithmic axis, where the coherence may be low."""

LARGEST_CHANGE_DB = 1.0

_SILENT = 1e-6  # rms: −120 dB re full scale
_CLIPPED = 8  # samples, and times as many as at the next value
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
    """Refuse a recording whose highest or lowest value stands there much too often.

    Of any wave without clipping, however coarse its samples, the value next to the peak is about as
    frequent.

    Raises
    ------
    UsageError
    """
    for peak, at, below in (
        (float(x.max()), x == x.max(), x[x < x.max()].max(initial=-np.inf)),
        (float(x.min()), x == x.min(), x[x > x.min()].min(initial=np.inf)),
    ):
        count = int(at.sum())
        if count >= _CLIPPED and count > _CLIPPED * int((x == below).sum()) and peak:
            raise UsageError(
                f"{name} is clipped: {count} samples stand at its peak of "
                f"{20.0 * np.log10(abs(peak)):.1f} dB re full scale; record it with less gain"
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
            f"these frequencies in the input; {option('band')} narrows it"
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
