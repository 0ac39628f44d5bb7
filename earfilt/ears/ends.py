"""Outside the range that a source covers: held flat, or falling."""

from dataclasses import replace
from functools import partial

from earfilt.arrays import Array, namespace
from earfilt.ears.interpolation import linear
from earfilt.ears.target import Nodes, Target

FALL_DB_PER_OCTAVE = 12.0
_GRID = 4096
_NO_HZ = 1e-100  # in the place of 0 Hz, which lies no octaves below anything


def dense_grid(freqs: Array, nyquist: float) -> Array:
    """Frequencies from 0 to fs/2, dense on both axes and through every given one: between them
    linear interpolation does.
    """
    xp = namespace(freqs)
    even = xp.linspace(0.0, nyquist, _GRID + 1, dtype=xp.float64, device=freqs.device)
    octaves = 2.0 ** xp.linspace(-16.0, 0.0, _GRID, dtype=xp.float64, device=freqs.device)
    return xp.unique(xp.concat([even, octaves * nyquist, freqs[freqs <= nyquist]]))


def fall_db(grid: Array, inside: Array) -> Array:
    """How far a curve has fallen at ``grid``, where ``inside`` is the same kept within its range:
    12 dB an octave, dB ≥ 0.
    """
    xp = namespace(grid)
    low = xp.clip(grid, _NO_HZ, None)
    ratio = xp.where(grid > inside, grid / inside.clip(_NO_HZ), inside / low)
    return FALL_DB_PER_OCTAVE * xp.log2(xp.where(grid == inside, 1.0, ratio))


def with_ends(target: Target, range_hz: tuple[float, float], beyond: str) -> Target:
    """A target whose curve is held or falls outside its published range.

    Parameters
    ----------
    target : Target
    range_hz : (float, float)
        Hz.
    beyond : {'documented', 'hold', 'fall'}
        The target as it is; the level of the nearest end; falling by 12 dB an octave.
    """
    if beyond == "documented":
        return target
    nodes = partial(
        _nodes, inner=target.nodes, range_hz=range_hz, fs=target.fs, falls=beyond == "fall"
    )
    return replace(target, nodes=nodes, ruled=True, floor=None)


def _nodes(
    freqs: Array,
    numbers: Array,
    /,
    *,
    inner: Nodes,
    range_hz: tuple[float, float],
    fs: float,
    falls: bool,
) -> tuple[Array, Array]:
    nodes, amplitude = inner(freqs, numbers)
    xp = namespace(nodes)
    grid = dense_grid(nodes, fs / 2.0)
    inside = xp.clip(grid, min(range_hz[0], fs / 2.0), min(range_hz[1], fs / 2.0))
    amplitude = linear(inside, nodes, amplitude)
    return grid, amplitude * 10.0 ** (-fall_db(grid, inside) / 20.0) if falls else amplitude
