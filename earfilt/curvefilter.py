"""An ear from any curve: gains in dB at frequencies, the user's own or a table of the catalogue."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from earfilt.curveear import curve_ear
from earfilt.earfilter import EarFilter


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
        ear = curve_ear(fs, freqs, gain_db, order, phase_type, interpolation=interpolation, beyond=beyond)
        super().__init__(ear, learnable=False)
        self.interpolation = interpolation
        self.beyond = beyond
        self._store("gains_db", torch.tensor(ear.numbers), dtype, learnable=False)
        _ = self.taps()

    def _numbers(self) -> Tensor:
        return self._value("gains_db")

    def _gain(self) -> float:
        return 1.0

    def extra_repr(self) -> str:
        return f"fs={self.fs}, points={len(self._freqs)}, order={self.order}, phase_type={self.phase_type}"
