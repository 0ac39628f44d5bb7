"""An ear from any curve: gains in dB at frequencies, the user's own or a table of the catalogue."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from earfilt.ear import EarFilter, choice
from earfilt.errors import UsageError
from earfilt.interp import pchip

INTERPOLATIONS = ("log", "linear")
BEYOND = ("hold", "fall")
FALL_DB_PER_OCTAVE = 12.0
_GRID = 4096


@final
class CurveFilter(EarFilter):
    """A gain curve through PCHIP, in dB, on a logarithmic or linear frequency axis.

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    freqs : (N,) Hz, ascending, N ≥ 2
        At least two below fs/2; positive for the logarithmic axis.
    gain_db : (N,) dB
    order : int
        Number of taps − 1, even, ≥ 2.
    phase_type : {'minimum', 'zero'}
        As for the published ears.
    interpolation : {'log', 'linear'}
        Frequency axis of the interpolation.
    beyond : {'hold', 'fall'}
        Outside the first and last point: the gain there, or falling by 12 dB an octave.
    dtype : torch.dtype
        Of the stored numbers.

    Attributes
    ----------
    gains_db : (N,)
        dB; may be edited in place.

    Raises
    ------
    UsageError
        A ValueError that states the value and the rule.
    """

    gains_db: Tensor

    def __init__(
        self,
        fs: float,
        freqs: Sequence[float],
        gain_db: Sequence[float],
        order: int = 512,
        phase_type: str = "minimum",
        *,
        interpolation: str = "log",
        beyond: str = "hold",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(fs, order, phase_type, learnable=False)
        self.interpolation = choice("interpolation", interpolation, INTERPOLATIONS)
        self.beyond = choice("beyond", beyond, BEYOND)
        self._freqs = torch.tensor(freqs, dtype=torch.float64)
        if int((self._freqs < self.fs / 2.0).sum()) < 2:
            raise UsageError(f"fs is {self.fs:g} Hz, but fewer than two points of the curve lie below fs/2")
        if interpolation == "log" and float(self._freqs[0]) <= 0.0:
            raise UsageError("the curve has a point at 0 Hz, which has no place on a logarithmic axis; use linear interpolation")
        self._store("gains_db", torch.tensor(gain_db, dtype=torch.float64), dtype, learnable=False)
        _ = self.taps()

    def _nodes(self) -> tuple[Tensor, Tensor]:
        nyquist = self.fs / 2.0
        first, last = float(self._freqs[0]), float(self._freqs[-1])
        # Dense on both axes, and through every point: the rest is linear interpolation.
        even = torch.linspace(0.0, nyquist, _GRID + 1, dtype=torch.float64)
        octaves = torch.logspace(-16.0, 0.0, _GRID, base=2.0, dtype=torch.float64) * nyquist
        grid = torch.cat([even, octaves, self._freqs.cpu()]).unique().to(self._freqs.device)
        grid = grid[grid <= nyquist]
        x, xp = (grid.clamp(first, last), self._freqs)
        if self.interpolation == "log":
            x, xp = x.log(), xp.log()
        decibels = pchip(x, xp, self._value("gains_db"))
        if self.beyond == "fall":
            octaves_out = torch.log2(grid / grid.clamp(first, last)).abs().nan_to_num(0.0)
            decibels = decibels - FALL_DB_PER_OCTAVE * octaves_out
        return grid, torch.pow(10.0, decibels / 20.0)

    def _gain(self) -> float:
        return 1.0

    def _published_frequencies(self) -> tuple[float, ...]:
        return tuple(self._freqs.tolist())

    def extra_repr(self) -> str:
        return f"fs={self.fs}, points={len(self._freqs)}, order={self.order}, phase_type={self.phase_type}"
