"""An ear as a torch module: its numbers kept in float64, redesigned when they change, applied as
one convolution.

``EarFilter`` is the private base of the final classes in ``nn.ears``. What a filter *is* stands in
``ears``, how it is designed in ``synthesis``; how it is applied stands in ``engine``, once.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from earfilt.ears.curve import PublishedCurve
from earfilt.ears.target import Target
from earfilt.engine.tensors import convolve
from earfilt.errors import DtypeError, UsageError
from earfilt.synthesis.passes import Passes, check_design, lookahead, passes
from earfilt.synthesis.spectrum import frequency_response


class EarFilter(nn.Module):
    """Published numbers -> taps -> convolution. Private base of the three ears."""

    _dropped: int = 0  # samples that forward leaves out at the start

    def __init__(self, target: Target, order: int, phase_type: str, learnable: bool) -> None:
        super().__init__()
        check_design(order, phase_type)
        self.fs = target.fs
        self.order = int(order)
        self.phase_type = phase_type
        self.learnable = bool(learnable)
        self.group_delay = self.order // 2
        self._target = target
        self._freqs = torch.tensor(target.freqs)  # float64, wherever the module is
        self._exact: dict[str, Tensor] = {}
        self._cache: tuple[list[Tensor], Passes[Tensor]] | None = None

    # -- the numbers -----------------------------------------------------------------------------

    def _store(self, name: str, values: Tensor, dtype: torch.dtype, *, learnable: bool) -> None:
        """Keep float64 numbers under a public name, as a parameter or a buffer of the module's
        dtype.
        """
        if not dtype.is_floating_point:
            raise DtypeError(f"dtype is {dtype}; allowed: floating-point dtypes")
        shown = values.to(dtype)
        if learnable:
            self.register_parameter(name, nn.Parameter(shown))
        else:
            self.register_buffer(name, shown)
        self._exact[name] = values

    def _value(self, name: str) -> Tensor:
        """The numbers in float64; one that still equals its rounded original stands for that
        original.
        """
        shown: Tensor = getattr(self, name)
        exact = self._exact[name]
        shown = shown.to(exact.device)
        wide = shown.double()
        kept = shown.detach() == exact.to(shown.dtype)
        return wide + torch.where(kept, exact - wide.detach(), 0.0)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Casts and moves change what is shown; grid and numbers stay float64 and follow to the
        # device (MPS has no float64).
        with torch.no_grad():
            exact = {name: self._value(name) for name in self._exact}
        super()._apply(fn, recurse)
        with torch.no_grad():
            for (
                name,
                value,
            ) in (
                exact.items()
            ):  # a wider dtype than before shows the digits that a narrower one had lost
                getattr(self, name).copy_(value)
        device = getattr(self, next(iter(exact))).device
        home = torch.device("cpu") if device.type == "mps" else device
        self._exact = {name: value.to(home) for name, value in exact.items()}
        self._freqs = self._freqs.to(home)
        self._cache = None
        return self

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the stored numbers and of ``fir_coeffs``."""
        shown: Tensor = getattr(self, next(iter(self._exact)))
        return shown.dtype

    # -- the design ------------------------------------------------------------------------------

    @abstractmethod
    def _numbers(self) -> Tensor:
        """(N,) float64: what stands for the ear's numbers now."""

    @abstractmethod
    def _gain(self) -> Tensor | float:
        """Linear gain beside the passes."""

    def _design(self) -> Passes[Tensor]:
        one_pass, effective = passes(
            self._target, self.order, self.phase_type, self._freqs, self._numbers()
        )
        return Passes(one_pass, effective * self._gain())

    def _taps(self) -> Passes[Tensor]:
        """The current design; outside of what torch.compile sees, since a search and a cache have
        nothing to fuse.
        """
        if torch.compiler.is_compiling():
            return torch.compiler.disable(self._current)()
        return self._current()

    def _current(self) -> Passes[Tensor]:
        """The design: made anew where gradients flow, else cached until a number changes."""
        if (
            self.training
            and torch.is_grad_enabled()
            and any(p.requires_grad for p in self.parameters())
        ):
            return self._design()
        with torch.inference_mode(False), torch.no_grad():
            # Compared by value: an edit through `.data` does not raise a tensor's version.
            now = [self._value(name) for name in self._exact]
            if self._cache is None or not all(map(torch.equal, self._cache[0], now)):
                self._cache = (now, self._design())
            return self._cache[1]

    @property
    def fir_coeffs(self) -> Tensor:
        """(order + 1,) FIR of one pass, scaled, without ``gain_normalization``; the module's dtype
        and device.
        """
        shown: Tensor = getattr(self, next(iter(self._exact)))
        return self._taps().one_pass.to(shown)

    def taps(self) -> Tensor:
        """Taps of the one convolution that the audio gets: all passes, scaling and gain.

        Returns
        -------
        (numtaps,) float64
            order + 1 causal taps (minimum phase), or 2·order + 1 taps centred on time zero (zero
            phase).
        """
        return self._taps().effective

    @property
    def lookahead(self) -> int:
        """Index of the tap at time zero in ``taps()``: 0, or order for zero phase."""
        return lookahead(self.order, self.phase_type)

    # -- the application -------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Filter a signal.

        Parameters
        ----------
        x : (..., T) floating-point tensor, T ≥ 1
            Time last: ``(T,)``, ``(B, T)``, ``(B, F, T)`` or any other leading shape.

        Returns
        -------
        (..., T) tensor of x's dtype and device
            MiddleEarFilter with ``compensate_delay`` and minimum phase: (..., T − order//2) when T
            > order//2.

        Raises
        ------
        DtypeError
            Integer or complex input.
        UsageError
            T = 0, or a tensor without dimensions.
        """
        check_signal(x)
        work = x if x.dtype in (torch.float32, torch.float64) else x.float()
        y = convolve(
            work, self.taps().to(work), lookahead=self.lookahead, odd_ends=self.phase_type == "zero"
        ).to(x.dtype)
        return y[..., self._dropped :] if self._dropped < x.shape[-1] else y

    def get_effective_response(self, nfft: int = 8192) -> tuple[Tensor, Tensor]:
        """Response of what the audio gets: all passes and gains; exact for any ``nfft``.

        Parameters
        ----------
        nfft : int
            FFT length, ≥ 1.

        Returns
        -------
        freqs : (nfft//2 + 1,) float64
            Hz.
        H : (nfft//2 + 1,) complex128
            The advance of ``compensate_delay`` is left out.
        """
        response = frequency_response(self.taps(), nfft, lookahead=self.lookahead)
        return self._frequencies(nfft, response), response

    def _frequencies(self, nfft: int, like: Tensor) -> Tensor:
        return torch.arange(nfft // 2 + 1, dtype=torch.float64, device=like.device) * (
            self.fs / nfft
        )

    def published_curve(self) -> PublishedCurve:
        """The points and the curve that the design aims at, for a tolerance or a figure.

        With gain normalisation both are shifted so that the highest point is 0 dB.
        """
        return self._target.curve(self._numbers().detach().cpu().numpy())


def check_signal(x: Tensor) -> None:
    if not x.dtype.is_floating_point:
        raise DtypeError(
            f"the signal's dtype is {x.dtype}; filters take floating-point samples: convert "
            "with x.float() and scale first"
        )
    if x.ndim == 0 or x.shape[-1] == 0:
        raise UsageError(
            f"the signal's shape is {tuple(x.shape)}; the last dimension is time and must "
            "hold at least one sample"
        )
