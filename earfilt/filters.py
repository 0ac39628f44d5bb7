"""The three ears as torch modules: they differ by table, nodes and defaults.

An ear is published numbers (``catalogue``) that become nodes of an amplitude curve; ``design`` turns nodes into taps.
"""

import math
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from earfilt import catalogue, design
from earfilt.ear import EarFilter, choice
from earfilt.errors import UsageError
from earfilt.interp import pchip

__all__ = ["HeadphoneFilter", "MiddleEarFilter", "OuterMiddleEarFilter"]

CONVENTIONS = ("amt", "published")
# Smallest linear gain a design sees; the smallest published one (relative to its table's maximum) is 0.05, and 2.7e-4 for the
# extrapolated rows at 192 kHz. Below it logarithms and square roots would give gradients without bound.
GAIN_FLOOR = 1e-6
# Below this rate the tables reach beyond fs/2 and are cut there; above it the middle ear's are continued to fs/2.
CUT_FS = 20_000.0
REFERENCE_PRESSURE = 20e-6  # Pa, 0 dB SPL
JEPSEN_PEAK = 1e-8 * 10.0 ** (104.0 / 20.0)


@final
class HeadphoneFilter(EarFilter):
    """Headphone plus outer ear: Sennheiser HD 250 Linear at the eardrum.

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    order : int
        Number of taps − 1 of one pass, ≥ 2.
    phase_type : {'minimum', 'zero'}
        One causal pass of a minimum-phase FIR, or forwards and backwards (as ``scipy.signal.filtfilt``) with the square root of the
        amplitude, so that the audio gets the table's magnitude either way.
    learnable : bool
        ``frequency_data`` becomes a parameter (44 numbers); column 0 is shown and never used.
    compensate_delay : bool
        Accepted and reported; neither phase type has a delay left to remove.
    dtype : torch.dtype
        Of the stored numbers.

    Attributes
    ----------
    fir_coeffs : (order + 1,)
        FIR of one pass.
    frequency_data : (22, 2)
        Hz, linear gain.
    group_delay : int
        order//2.

    Raises
    ------
    UsageError
        A ValueError: fs not positive, or too low to keep two rows; order < 2; an unknown phase type.

    References
    ----------
    Pralong & Carlile (1996), J. Acoust. Soc. Am. 100, 3785-3793, Fig. 1(e).

    Examples
    --------
    >>> import torch
    >>> ear = HeadphoneFilter(16000)
    >>> ear
    HeadphoneFilter(fs=16000, order=512, phase_type=minimum, learnable=False)
    >>> ear(torch.zeros(2, 16000)).shape
    torch.Size([2, 16000])
    """

    frequency_data: Tensor

    def __init__(
        self,
        fs: float,
        order: int = 512,
        phase_type: str = "minimum",
        learnable: bool = False,
        compensate_delay: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(fs, order, phase_type, learnable)
        self.compensate_delay = bool(compensate_delay)
        table = catalogue.table("pralong1996")
        self._freqs = torch.tensor(table.frequencies, dtype=torch.float64)
        # All rows stay in the parameter; those at or above fs/2 are left out of the design (ruling 2).
        self._kept = _rows_below_nyquist(table.frequencies, self.fs)
        gains = torch.tensor(table.columns["gain"], dtype=torch.float64)
        self._store("frequency_data", torch.stack([self._freqs, gains], 1), dtype, learnable=self.learnable)
        _ = self.taps()

    def _nodes(self) -> tuple[Tensor, Tensor]:
        gains = self._value("frequency_data")[: self._kept, 1].clamp(min=GAIN_FLOOR)
        return _between_ends(self._freqs[: self._kept], gains, self.fs, at_nyquist=gains.new_zeros(1))

    def _gain(self) -> float:
        return 1.0

    def _published_frequencies(self) -> tuple[float, ...]:
        return catalogue.table("pralong1996").frequencies[: self._kept]

    def get_frequency_response(self, nfft: int = 8192) -> tuple[Tensor, Tensor]:
        """Frequencies (nfft//2 + 1,) in Hz and complex response of what ``forward`` does; exact for any ``nfft``."""
        return self.get_effective_response(nfft)

    def get_parameters(self) -> dict[str, Any]:
        """The settings, with the number of table rows and their range in Hz."""
        return {
            "fs": self.fs,
            "order": self.order,
            "phase_type": self.phase_type,
            "learnable": self.learnable,
            "num_frequency_points": len(self._freqs),
            "frequency_range": [float(self._freqs[0]), float(self._freqs[-1])],
            "compensate_delay": self.compensate_delay,
        }

    def extra_repr(self) -> str:
        return f"fs={self.fs}, order={self.order}, phase_type={self.phase_type}, learnable={self.learnable}"


@final
class MiddleEarFilter(EarFilter):
    """Middle ear: eardrum pressure to stapes velocity.

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    filter_type : {'lopezpoveda2001', 'jepsen2008', 'goode1994'}
        Stapes peak velocity at 0 dB SPL; inverse stapes impedance; velocity from stapes displacement (the AMT's default points).
    order : int
        Number of taps − 1 of one pass, even, ≥ 2.
    phase_type : {'minimum', 'zero'}
        As for HeadphoneFilter.
    normalize_gain : bool
        The effective response peaks at 0 dB. Without it the response is m/s per Pa (lopezpoveda2001, goode1994; peak −66 dB) or peaks
        at 1e-8·10^(104/20) (jepsen2008).
    learnable : bool
        ``frequency_data``, and ``gain_normalization`` where ``normalize_gain``, become parameters.
    compensate_delay : bool
        With minimum phase the first order//2 output samples are dropped, as documented. A minimum-phase FIR has no such delay, so this
        advances the signal (ruling 7); the command line never does it.
    dtype : torch.dtype
        Of the stored numbers.

    Attributes
    ----------
    fir_coeffs : (order + 1,)
        FIR of one pass, scaled, without ``gain_normalization``.
    frequency_data : (N, 2)
        Hz and amplitude relative to the table's maximum, continued to fs/2.
    reference_gain : float
        The table's maximum.
    gain_normalization : scalar
        dB.
    group_delay : int
        order//2.

    Raises
    ------
    UsageError
        A ValueError: as for HeadphoneFilter, and for an odd order or an unknown table.

    References
    ----------
    Lopez-Poveda & Meddis (2001), J. Acoust. Soc. Am. 110, 3107-3118, Fig. 2(b); Jepsen, Ewert & Dau (2008), J. Acoust. Soc. Am. 124,
    422-438; Goode, Killion, Nakamura & Nishihara (1994), Am. J. Otol. 15, 145-154, Fig. 1.
    """

    frequency_data: Tensor
    gain_normalization: Tensor

    def __init__(
        self,
        fs: float,
        filter_type: str = "lopezpoveda2001",
        order: int = 512,
        phase_type: str = "minimum",
        normalize_gain: bool = True,
        learnable: bool = False,
        compensate_delay: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(fs, order, phase_type, learnable)
        self.filter_type = choice("filter_type", filter_type, tuple(_STAPES_AMPLITUDES))
        self.normalize_gain = bool(normalize_gain)
        self.compensate_delay = bool(compensate_delay)
        self._dropped = self.group_delay if self.compensate_delay and self.phase_type == "minimum" else 0
        self._peak = JEPSEN_PEAK if filter_type == "jepsen2008" else None
        self._rows = _STAPES_AMPLITUDES[filter_type]()
        self.reference_gain = max(amplitude for _, amplitude in self._rows)
        freqs, amplitude = _continued_to_nyquist(self._rows, self.fs)
        self._freqs = torch.tensor(freqs, dtype=torch.float64)
        relative = torch.tensor(amplitude, dtype=torch.float64) / self.reference_gain
        self._store("frequency_data", torch.stack([self._freqs, relative], 1), dtype, learnable=self.learnable)
        zero = torch.zeros((), dtype=torch.float64)
        learn_gain = self.learnable and self.normalize_gain
        self._store("gain_normalization", zero, dtype, learnable=learn_gain)
        if self.normalize_gain:
            with torch.no_grad():
                gain_db = -20.0 * torch.log10(design.peak(self._design().effective))
                self._exact["gain_normalization"] = gain_db
                self.gain_normalization.copy_(gain_db)
        _ = self.taps()

    def _nodes(self) -> tuple[Tensor, Tensor]:
        # From m/s at 0 dB SPL to m/s per Pa; a table scaled by its peak needs no unit.
        unit = 1.0 if self._peak is not None else self.reference_gain / REFERENCE_PRESSURE
        amplitude = self._value("frequency_data")[:, 1].clamp(min=GAIN_FLOOR) * unit
        return torch.cat([self._freqs.new_zeros(1), self._freqs]), torch.cat([amplitude.new_zeros(1), amplitude])

    def _gain(self) -> Tensor:
        return torch.pow(10.0, self._value("gain_normalization") / 20.0)

    def _published_frequencies(self) -> tuple[float, ...]:
        return tuple(f for f, _ in self._rows if f < self.fs / 2.0)

    def get_frequency_response(self, nfft: int = 8192) -> tuple[Tensor, Tensor]:
        """Frequencies (nfft//2 + 1,) in Hz and complex response, normalisation included; exact for any ``nfft``."""
        return self.get_effective_response(nfft)

    def extra_repr(self) -> str:
        return (
            f"fs={self.fs}, filter_type={self.filter_type}, order={self.order}, phase_type={self.phase_type}, "
            f"normalize_gain={self.normalize_gain}, learnable={self.learnable}"
        )


@final
class OuterMiddleEarFilter(EarFilter):
    """Outer ear (free or diffuse field) plus middle ear, as in models of loudness.

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    compensation_type : {'tfOuterMiddle1997', 'tfOuterMiddle2007'}
        Middle ear of Moore et al. (1997), data as revised in 2006, or of ANSI S3.4-2007 (ruling 11: the first is not the table that was
        published in 1997).
    field_type : {'free', 'diffuse'}
        Sound field of the outer ear's transfer function (ANSI S3.4-2007).
    flow, fhigh : float
        Range in Hz of the 1-Hz grid, 20 ≤ flow < fhigh ≤ 20 000.
    order : int
        Number of taps − 1 of one pass, even, ≥ 2.
    learnable : bool
        ``tf_gains`` becomes a parameter.
    dtype : torch.dtype
        Of the stored numbers.
    convention : {'amt', 'published'}
        What the audio gets: four times the published dB, as documented and as the Auditory Modeling Toolbox does (one pass has
        amplitude 10^(dB/10), and there are two), or the published dB once (ruling 6).
    phase_type : {'zero', 'minimum'}
        Forwards and backwards, or one causal pass of the same effective magnitude.

    Attributes
    ----------
    fvec : (N,) float64
        flow … fhigh in Hz, every 1 Hz.
    tf_gains : (N,)
        dB.
    fir_coeffs : (order + 1,)
        FIR of one pass.

    Raises
    ------
    UsageError
        A ValueError: as for HeadphoneFilter, and for flow, fhigh out of range or an odd order.

    References
    ----------
    ANSI S3.4-2007; Moore, Glasberg & Baer (1997), J. Audio Eng. Soc. 45, 224-240; Glasberg & Moore (2002), J. Audio Eng. Soc. 50, 331-342.
    """

    tf_gains: Tensor

    def __init__(
        self,
        fs: float,
        compensation_type: str = "tfOuterMiddle1997",
        field_type: str = "free",
        flow: float = 20.0,
        fhigh: float = 16000.0,
        order: int = 4096,
        learnable: bool = False,
        dtype: torch.dtype = torch.float32,
        *,
        convention: str = "amt",
        phase_type: str = "zero",
    ) -> None:
        super().__init__(fs, order, phase_type, learnable)
        self.compensation_type = choice("compensation_type", compensation_type, tuple(_MIDDLE_EAR_COLUMN))
        self.field_type = choice("field_type", field_type, tuple(_FIELD_COLUMN))
        self.convention = choice("convention", convention, CONVENTIONS)
        self.flow, self.fhigh = _checked_range(flow, fhigh)
        steps = math.floor(self.fhigh - self.flow + 1e-9)
        self._freqs = self.flow + torch.arange(steps + 1, dtype=torch.float64)
        self._kept = int((self._freqs < self.fs / 2.0).sum())
        _need_two_rows(self._kept, self.fs, self.flow)
        gains = _table_pchip(self._freqs, "ansi2007_outer_ear", _FIELD_COLUMN[field_type])
        gains = gains + _table_pchip(self._freqs, "moore_middle_ear", _MIDDLE_EAR_COLUMN[compensation_type])
        self._store("tf_gains", gains, dtype, learnable=self.learnable)
        _ = self.taps()

    @property
    def fvec(self) -> Tensor:
        """(N,) float64: the 1-Hz grid in Hz."""
        return self._freqs

    def _nodes(self) -> tuple[Tensor, Tensor]:
        decibels = self._value("tf_gains")[: self._kept]
        # dB of the effective response: the two passes of 10^(dB/10) that the 'amt' convention documents are four times the curve.
        times = 4.0 if self.convention == "amt" else 1.0
        amplitude = torch.pow(10.0, times * decibels / 20.0)
        freqs, amplitude = _between_ends(self._freqs[: self._kept], amplitude, self.fs, at_nyquist=amplitude[-1:])
        return freqs, torch.cat([amplitude[1:2], amplitude[1:]])

    def _gain(self) -> float:
        return 1.0

    def _published_frequencies(self) -> tuple[float, ...]:
        outer = set(catalogue.table("ansi2007_outer_ear").frequencies)
        both = (f for f in catalogue.table("moore_middle_ear").frequencies if f in outer)
        return tuple(f for f in both if self.flow <= f <= self.fhigh)

    def get_transfer_function(self) -> tuple[Tensor, Tensor]:
        """``fvec`` (N,) in Hz and ``tf_gains`` (N,) in dB."""
        return self.fvec, self.tf_gains

    def get_frequency_response(self, nfft: int = 8192) -> tuple[Tensor, Tensor]:
        """Frequencies (nfft//2 + 1,) in Hz and response in dB of the FIR of one pass; exact for any ``nfft``."""
        response = design.response(self._taps().one_pass, nfft)
        tiny = torch.finfo(torch.float64).tiny
        return self._frequencies(nfft, response), 20.0 * torch.log10(response.abs().clamp(min=tiny))

    def extra_repr(self) -> str:
        return f"fs={self.fs}, type='{self.compensation_type}', field='{self.field_type}'"


# -- nodes ----------------------------------------------------------------------------------------------------------------------

_MIDDLE_EAR_COLUMN = {"tfOuterMiddle1997": "middle_ear_1997_db", "tfOuterMiddle2007": "middle_ear_2007_db"}
_FIELD_COLUMN = {"free": "free_field_db", "diffuse": "diffuse_field_db"}
_Rows = list[tuple[float, float]]


def _lopezpoveda2001() -> _Rows:
    table = catalogue.table("lopezpoveda2001")
    return list(zip(table.frequencies, table.columns["velocity_m_per_s"], strict=True))


def _jepsen2008() -> _Rows:
    table = catalogue.table("jepsen2008")
    return [(f, 1.0 / z) for f, z in zip(table.frequencies, table.columns["impedance"], strict=True)]


def _goode1994() -> _Rows:
    """Peak velocity at 0 dB SPL from peak-to-peak displacement at 104 dB SPL, completed by the rows extrapolated in 2001."""
    table = catalogue.table("goode1994")
    to_velocity = 1e-6 * 2.0 * math.pi * 10.0 ** (-104.0 / 20.0) * math.sqrt(2.0)
    measured = [(f, um * f * to_velocity) for f, um in zip(table.frequencies, table.columns["displacement_um"], strict=True)]
    low, high = table.frequencies[0], table.frequencies[-1]
    return sorted(measured + [row for row in _lopezpoveda2001() if not low <= row[0] <= high])


_STAPES_AMPLITUDES: dict[str, Callable[[], _Rows]] = {
    "lopezpoveda2001": _lopezpoveda2001,
    "jepsen2008": _jepsen2008,
    "goode1994": _goode1994,
}


def _continued_to_nyquist(rows: _Rows, fs: float) -> tuple[list[float], list[float]]:
    """Rows below fs/2, or continued every 1000 Hz with a gain divided by 1.1 each, and a last one at fs/2."""
    nyquist = fs / 2.0
    if fs <= CUT_FS:
        rows = rows[: _rows_below_nyquist([f for f, _ in rows], fs)]
    else:
        last_f, last_gain = rows[-1]
        more = range(1, int((nyquist - last_f) // 1000.0) + 1)
        rows = rows + [(last_f + 1000.0 * k, last_gain * 1.1**-k) for k in more]
    last_f, last_gain = rows[-1]
    if last_f < nyquist:
        rows = [*rows, (nyquist, last_gain / (1.0 + (nyquist - last_f) * 0.1 / 1000.0))]
    return [f for f, _ in rows], [gain for _, gain in rows]


def _rows_below_nyquist(freqs: "list[float] | tuple[float, ...]", fs: float) -> int:
    """How many rows lie below fs/2."""
    kept = sum(f < fs / 2.0 for f in freqs)
    _need_two_rows(kept, fs, freqs[1])
    return kept


def _need_two_rows(kept: int, fs: float, needed: float) -> None:
    if kept < 2:
        raise UsageError(
            f"fs is {fs:g} Hz, which leaves {kept} table rows below fs/2; two are needed, so fs must be above {2 * needed:g} Hz"
        )


def _between_ends(freqs: Tensor, gains: Tensor, fs: float, *, at_nyquist: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes with one more at 0 Hz, of no gain, and one at fs/2."""
    zero = freqs.new_zeros(1)
    return torch.cat([zero, freqs, freqs.new_full((1,), fs / 2.0)]), torch.cat([zero, gains, at_nyquist])


def _table_pchip(freqs: Tensor, table_id: str, column: str) -> Tensor:
    table = catalogue.table(table_id)
    nodes = torch.tensor(table.frequencies, dtype=torch.float64)
    return pchip(freqs, nodes, torch.tensor(table.columns[column], dtype=torch.float64))


def _checked_range(flow: float, fhigh: float) -> tuple[float, float]:
    if not 20.0 <= flow < fhigh <= 20_000.0:
        raise UsageError(f"flow is {flow!r} and fhigh is {fhigh!r}; the tables allow 20 <= flow < fhigh <= 20000 Hz")
    return float(flow), float(fhigh)
