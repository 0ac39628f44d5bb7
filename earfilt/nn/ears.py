"""The three ears as torch modules: which numbers are shown under which name, and can be learnt."""

from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from earfilt.arrays import can_be_looked_at, is_constant
from earfilt.ears.curve import PublishedCurve
from earfilt.ears.kinds import documented
from earfilt.ears.options import flag
from earfilt.ears.target import Target
from earfilt.nn.base import EarFilter, checked_nfft
from earfilt.synthesis.adjoint import amplified
from earfilt.synthesis.passes import Passes, check_design, lookahead, normalization_db, passes
from earfilt.synthesis.proportional import Proportional, proportional
from earfilt.synthesis.spectrum import frequency_response

__all__ = ["HeadphoneFilter", "MiddleEarFilter", "OuterMiddleEarFilter"]


class _Remade(dict[Any, Any]):
    """What is made again where it is needed: copies and files go without it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


class _Documented(EarFilter):
    """What the three share: the documented design, of one target and a given order."""

    _shown: str  # public name of the numbers

    def __init__(self, target: Target, order: int, phase_type: str, learnable: bool) -> None:
        check_design(order, phase_type)
        super().__init__(target.fs, learnable=learnable)
        self.order = int(order)
        self.phase_type = phase_type
        self.group_delay = self.order // 2
        self._target = target
        # of each device, or None where the design has none
        self._short: dict[torch.device, Proportional | None] = _Remade()

    def _store_numbers(self, dtype: torch.dtype, *, table: bool = True) -> None:
        self._store(
            self._shown,
            self._target.numbers,
            dtype,
            learnable=self.learnable,
            grid=self._target.freqs,
            table=table,
        )

    @property
    def _freqs(self) -> Tensor:
        return self._grids[self._shown]

    def _design(self, values: dict[str, Tensor]) -> Passes[Tensor]:
        numbers = values[self._shown]
        # fixed ones as the files have them, to the last bit
        fixed = is_constant(numbers) and can_be_looked_at(numbers)
        found = None if fixed else self._proportional(numbers)
        one_pass, effective = found or passes(
            self._target, self.order, self.phase_type, self._freqs.to(numbers.device), numbers
        )
        if "gain_normalization" in values:
            effective = amplified(effective, values["gain_normalization"])
        return Passes(one_pass, effective)

    def _proportional(self, numbers: Tensor) -> Passes[Tensor] | None:
        """The design of numbers that learn, where it has a short form."""
        device = numbers.device
        if device not in self._short:
            self._short[device] = proportional(
                self._target, self.order, zero_phase=self.phase_type == "zero", like=numbers
            )
        short = self._short[device]
        return None if short is None else short.passes(numbers)

    @property
    def fir_coeffs(self) -> Tensor:
        """(order + 1,) FIR of one pass, scaled, without ``gain_normalization``; the module's dtype
        and device.
        """
        # a copy, also where it is of this dtype
        return self._made().passes.one_pass.to(self._where, copy=True)

    @property
    def lookahead(self) -> int:
        """Index of the tap at time zero in ``taps()``: 0, or order for zero phase."""
        return lookahead(self.order, self.phase_type)

    @property
    def odd_ends(self) -> bool:
        """Whether the signal's ends are extended oddly, as zero phase needs it, or by zeros."""
        return self.phase_type == "zero"

    def published_curve(self) -> PublishedCurve:
        """The points and the curve that the design aims at, for a tolerance or a figure.

        With gain normalisation both are shifted so that the highest point is 0 dB.
        """
        with torch.no_grad():
            numbers = self._value(self._shown)
        curve = self._target.curve(numbers.cpu().numpy().copy())
        # whose arrays may be those of the catalogue
        return replace(
            curve,
            points_hz=curve.points_hz.copy(),
            points_db=curve.points_db.copy(),
            corners_hz=curve.corners_hz.copy(),
        )


@final
class HeadphoneFilter(_Documented):
    """Headphone plus outer ear: Sennheiser HD 250 Linear at the eardrum.

    This is the documented design of a fixed order: what the command gives with ``-f headphone
    --order 512``. Without ``--order`` the command, the functions and `earfilt.ear` stay within 0.1
    dB of the published curve, which this order misses by 2.0 dB at 48 kHz (ruling 15).

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    order : int
        Number of taps − 1 of one pass, ≥ 2.
    phase_type : {'minimum', 'zero'}
        One causal pass of a minimum-phase FIR, or forwards and backwards (as
        ``scipy.signal.filtfilt``) with the square root of the amplitude, so that the audio gets the
        table's magnitude either way.
    learnable : bool
        ``frequency_data`` becomes a parameter (44 numbers); its column 0, the frequencies, is
        shown, and never changes.
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
        A ValueError: fs not positive, or too low to keep two rows; order < 2; an unknown phase
        type.

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
    _shown = "frequency_data"

    def __init__(
        self,
        fs: float,
        order: int = 512,
        phase_type: str = "minimum",
        learnable: bool = False,
        compensate_delay: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        target = documented.headphone(fs)
        super().__init__(target, order, phase_type, learnable)
        self.compensate_delay = flag("compensate_delay", compensate_delay)
        self._store_numbers(dtype)
        _ = self._made()

    def get_frequency_response(self, nfft: int = 8192) -> tuple[Tensor, Tensor]:
        """Frequencies (nfft//2 + 1,) in Hz and complex response of what ``forward`` does; exact for
        any ``nfft``.
        """
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
        return (
            f"fs={self.fs}, order={self.order}, phase_type={self.phase_type}, "
            f"learnable={self.learnable}"
        )


@final
class MiddleEarFilter(_Documented):
    """Middle ear: eardrum pressure to stapes velocity.

    This is the documented design of a fixed order, and by default it advances the signal by
    order//2 samples; with ``compensate_delay=False`` it is what the command gives with ``-f
    middle-ear --order 512``. Without ``--order`` the command, the functions and `earfilt.ear` stay
    within 0.1 dB of the published curve (ruling 15).

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    filter_type : {'lopezpoveda2001', 'jepsen2008', 'goode1994'}
        Stapes peak velocity at 0 dB SPL; inverse stapes impedance; velocity from stapes
        displacement (the AMT's default points).
    order : int
        Number of taps − 1 of one pass, even, ≥ 2.
    phase_type : {'minimum', 'zero'}
        As for HeadphoneFilter.
    normalize_gain : bool
        The effective response peaks at 0 dB. Without it the response is m/s per Pa
        (lopezpoveda2001, goode1994; peak −66 dB) or peaks at 1e-8·10^(104/20) (jepsen2008).
    learnable : bool
        ``frequency_data``, and ``gain_normalization`` where ``normalize_gain``, become parameters.
    compensate_delay : bool
        With minimum phase the first order//2 output samples are dropped, as documented. A
        minimum-phase FIR has no such delay, so this advances the signal (ruling 7); the command
        line never does it.
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
    Lopez-Poveda & Meddis (2001), J. Acoust. Soc. Am. 110, 3107-3118, Fig. 2(b); Jepsen, Ewert & Dau
    (2008), J. Acoust. Soc. Am. 124, 422-438; Goode, Killion, Nakamura & Nishihara (1994), Am. J.
    Otol. 15, 145-154, Fig. 1.

    Examples
    --------
    >>> import torch
    >>> ear = MiddleEarFilter(48000, "jepsen2008", phase_type="zero")
    >>> ear(torch.zeros(1, 4800)).shape
    torch.Size([1, 4800])
    >>> ear.group_delay, ear.fir_coeffs.shape
    (256, torch.Size([513]))
    """

    frequency_data: Tensor
    gain_normalization: Tensor
    _shown = "frequency_data"

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
        target = documented.middle_ear(
            fs, filter_type, normalize_gain=flag("normalize_gain", normalize_gain)
        )
        super().__init__(target, order, phase_type, learnable)
        self.filter_type = filter_type
        self.normalize_gain = flag("normalize_gain", normalize_gain)
        self.compensate_delay = flag("compensate_delay", compensate_delay)
        self._dropped = (
            self.group_delay if self.compensate_delay and self.phase_type == "minimum" else 0
        )
        self.reference_gain = target.reference_gain
        self._store_numbers(dtype)
        effective = passes(target, order, phase_type, target.freqs, target.numbers).effective
        self._store(
            "gain_normalization",
            normalization_db(target, effective),
            dtype,
            learnable=self.learnable and self.normalize_gain,
        )
        _ = self._made()

    def get_frequency_response(self, nfft: int = 8192) -> tuple[Tensor, Tensor]:
        """Frequencies (nfft//2 + 1,) in Hz and complex response, normalisation included; exact for
        any ``nfft``.
        """
        return self.get_effective_response(nfft)

    def extra_repr(self) -> str:
        told = (
            f"fs={self.fs}, filter_type={self.filter_type}, order={self.order}, "
            f"phase_type={self.phase_type}, "
            f"normalize_gain={self.normalize_gain}, learnable={self.learnable}"
        )
        return told if self.compensate_delay else f"{told}, compensate_delay=False"


@final
class OuterMiddleEarFilter(_Documented):
    """Outer ear (free or diffuse field) plus middle ear, as in models of loudness.

    This is the documented design of a fixed order, and by default the audio gets four times the
    published dB; with ``convention='published'`` it is what the command gives with ``-f
    outer-middle-ear --order 4096``. Without ``--order`` the command, the functions and
    `earfilt.ear` stay within 0.1 dB of the published curve (ruling 15).

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    compensation_type : {'tfOuterMiddle1997', 'tfOuterMiddle2007'}
        Middle ear of Moore et al. (1997), data as revised in 2006, or of ANSI S3.4-2007 (ruling 11:
        the first is not the table that was published in 1997).
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
        What the audio gets: four times the published dB, as documented and as the Auditory Modeling
        Toolbox does (one pass has amplitude 10^(dB/10), and there are two), or the published dB
        once (ruling 6).
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
    ANSI S3.4-2007; Moore, Glasberg & Baer (1997), J. Audio Eng. Soc. 45, 224-240; Glasberg & Moore
    (2002), J. Audio Eng. Soc. 50, 331-342.

    Examples
    --------
    >>> import torch
    >>> ear = OuterMiddleEarFilter(32000, field_type="diffuse", convention="published")
    >>> ear(torch.zeros(3200)).shape
    torch.Size([3200])
    >>> ear.tf_gains.shape == ear.fvec.shape
    True
    """

    tf_gains: Tensor
    _shown = "tf_gains"

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
        target = documented.outer_middle_ear(
            fs,
            compensation_type,
            field_type,
            flow=flow,
            fhigh=fhigh,
            convention=convention,
        )
        super().__init__(target, order, phase_type, learnable)
        self.compensation_type = compensation_type
        self.field_type = field_type
        self.convention = convention
        self.flow, self.fhigh = float(flow), float(fhigh)
        self._store_numbers(dtype, table=False)
        _ = self._made()

    @property
    def fvec(self) -> Tensor:
        """(N,) float64: the 1-Hz grid in Hz, a copy."""
        return self._freqs.clone()

    def get_transfer_function(self) -> tuple[Tensor, Tensor]:
        """``fvec`` (N,) in Hz and ``tf_gains`` (N,) in dB, copies; differentiable."""
        return self.fvec, self.tf_gains.clone()

    def get_frequency_response(self, nfft: int = 8192) -> tuple[Tensor, Tensor]:
        """Frequencies (nfft//2 + 1,) in Hz and response in dB of the FIR of one pass; exact for any
        ``nfft``.
        """
        nfft = checked_nfft(nfft)
        response = frequency_response(self._made().passes.one_pass, nfft)
        tiny = torch.finfo(torch.float64).tiny
        return self._frequencies(nfft, response), 20.0 * torch.log10(response.abs().clamp(min=tiny))

    def extra_repr(self) -> str:
        told = f"fs={self.fs}, type='{self.compensation_type}', field='{self.field_type}'"
        # The documented text is short; what differs from the documented design stands behind it.
        if self.convention != "amt":
            told += f", convention='{self.convention}'"
        return told if self.phase_type == "zero" else f"{told}, phase_type='{self.phase_type}'"
