"""An ear from any curve: gains in dB at frequencies, the user's own or a table of the catalogue."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from earfilt.arrays import Array, namespace
from earfilt.ears.ear import Ear, checked_fs, choice
from earfilt.ears.interpolation import pchip
from earfilt.errors import UsageError

INTERPOLATIONS = ("log", "linear")
BEYOND = ("hold", "fall")
FALL_DB_PER_OCTAVE = 12.0
# a millionth of what the longest filter resolves at usual rates: closer points are one, or an error
CLOSEST_HZ = 1e-6
_GRID = 4096


def curve_ear(
    fs: float,
    freqs: Sequence[float],
    gain_db: Sequence[float],
    order: int,
    phase_type: str,
    *,
    interpolation: str,
    beyond: str,
) -> Ear:
    """A gain curve through PCHIP, in dB, at one sampling rate, order and phase; the numbers are its
    dB (N,).

    Parameters
    ----------
    freqs : (N,) Hz, ascending, N ≥ 2
        At least two below fs/2; positive for the logarithmic axis.
    gain_db : (N,) dB
    interpolation : {'log', 'linear'}
        Frequency axis of the interpolation.
    beyond : {'hold', 'fall'}
        Outside the first and last point: the gain there, or falling by 12 dB an octave.

    Raises
    ------
    UsageError
        fs not positive; order < 2; unknown names; fewer than two points below fs/2; a point at 0 Hz
        on a logarithmic axis; points closer than 1e-6 Hz.
    """
    checked_fs(fs)
    choice("interpolation", interpolation, INTERPOLATIONS)
    choice("beyond", beyond, BEYOND)
    if sum(f < fs / 2.0 for f in freqs) < 2:
        raise UsageError(f"fs is {fs:g} Hz, but fewer than two points of the curve lie below fs/2")
    if interpolation == "log" and freqs[0] <= 0.0:
        raise UsageError(
            "the curve has a point at 0 Hz, which has no place on a logarithmic axis; use "
            "linear interpolation"
        )
    _check_gaps(freqs)
    return Ear(
        fs=fs,
        order=order,
        phase_type=phase_type,
        freqs=np.array(freqs, dtype=np.float64),
        numbers=np.array(gain_db, dtype=np.float64),
        nodes=partial(_nodes, fs=fs, logarithmic=interpolation == "log", falls=beyond == "fall"),
        published_hz=tuple(map(float, freqs)),
    )


def _check_gaps(freqs: Sequence[float]) -> None:
    close = next(((a, b) for a, b in pairwise(freqs) if b - a < CLOSEST_HZ), None)
    if close is not None:
        raise UsageError(
            f"the curve's points at {close[0]!r} and {close[1]!r} Hz are closer than "
            f"{CLOSEST_HZ:g} Hz; keep one of them"
        )


def _nodes(
    freqs: Array, decibels: Array, /, *, fs: float, logarithmic: bool, falls: bool
) -> tuple[Array, Array]:
    xp = namespace(freqs)
    grid = _dense_grid(freqs, fs / 2.0)
    inside = xp.clip(grid, freqs[0], freqs[-1])
    x, nodes = (xp.log(inside), xp.log(freqs)) if logarithmic else (inside, freqs)
    decibels = pchip(x, nodes, decibels)
    if falls:
        ratio = xp.where(
            grid > freqs[-1], grid / inside, xp.where(grid < freqs[0], inside / grid, 1.0)
        )
        decibels = decibels - FALL_DB_PER_OCTAVE * xp.log2(ratio)
    return grid, 10.0 ** (decibels / 20.0)


def _dense_grid(freqs: Array, nyquist: float) -> Array:
    """Frequencies from 0 to fs/2, dense on both axes and through every point: between them linear
    interpolation does.
    """
    xp = namespace(freqs)
    even = xp.linspace(0.0, nyquist, _GRID + 1, dtype=xp.float64, device=freqs.device)
    octaves = 2.0 ** xp.linspace(-16.0, 0.0, _GRID, dtype=xp.float64, device=freqs.device)
    return xp.unique(xp.concat([even, octaves * nyquist, freqs[freqs <= nyquist]]))
