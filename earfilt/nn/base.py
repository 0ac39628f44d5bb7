"""An ear as a torch module: its numbers kept in float64, redesigned when they change, applied as
one convolution.

``EarFilter`` is the private base of the classes in ``nn.ears`` and ``nn.module``: it stores
numbers, knows when they have changed, and filters. What a filter *is* stands in ``ears``, how it is
designed in ``synthesis``; how it is applied stands in ``engine``, once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from earfilt.arrays import Floats, constant, is_constant, is_mapped
from earfilt.engine.segments import check_ears
from earfilt.engine.tensors import convolve
from earfilt.errors import DtypeError, UsageError
from earfilt.synthesis.passes import Passes
from earfilt.synthesis.spectrum import frequency_response


class EarFilter(nn.Module):
    """Numbers -> taps -> convolution. Private base of all ears."""

    _dropped: int = 0  # samples that forward leaves out at the start

    def __init__(self, fs: float, *, learnable: bool) -> None:
        super().__init__()
        self.fs = fs
        self.learnable = bool(learnable)
        # float64, wherever the module is; on the CPU where a module has no values (meta), or its
        # device no float64 (MPS).
        self._exact: dict[str, Tensor] = {}
        self._grids: dict[str, Tensor] = {}
        self._tables: set[str] = set()
        self._cache: tuple[list[Tensor], Passes[Tensor]] | None = None

    # -- the numbers -----------------------------------------------------------------------------

    def _store(
        self,
        name: str,
        values: Floats | float,
        dtype: torch.dtype,
        *,
        learnable: bool,
        grid: Floats | None = None,
        table: bool = False,
    ) -> None:
        """Keep float64 numbers under a public name, as a parameter or a buffer of the module's
        dtype; and the frequencies (Hz) that they belong to.

        What is shown of a table has the frequencies as its first column, which are fixed.
        """
        if not dtype.is_floating_point:
            raise DtypeError(f"dtype is {dtype}; allowed: floating-point dtypes")
        exact = torch.tensor(values, dtype=torch.float64, device="cpu")
        self._exact[name] = exact
        if grid is not None:
            self._grids[name] = torch.tensor(grid, dtype=torch.float64, device="cpu")
        self._tables |= {name} if table else set()
        shown = (
            (torch.stack([self._grids[name], exact], 1) if table else exact)
            .to(dtype)
            .to(torch.empty(0).device)
        )
        if learnable:
            self.register_parameter(name, nn.Parameter(shown))
        else:
            self.register_buffer(name, shown)

    def _value(self, name: str) -> Tensor:
        """The numbers in float64; one that still equals its rounded original stands for that
        original.
        """
        shown, exact = self._numbers_shown(name), self._exact[name]
        if shown.is_meta:
            return exact
        home = home_of(shown.device)
        shown, exact = shown.to(home), exact.to(home)
        wide = shown.double()
        kept = constant(shown) == exact.to(shown.dtype)
        return wide + torch.where(kept, exact - constant(wide), 0.0)

    def _numbers_shown(self, name: str) -> Tensor:
        """What is shown of the numbers, in the module's dtype: a table without its frequencies."""
        shown: Tensor = getattr(self, name)
        return shown[:, 1] if name in self._tables else shown

    def __getattr__(self, name: str) -> Any:
        shown = super().__getattr__(name)
        if name in self.__dict__.get("_tables", ()) and isinstance(shown, Tensor):
            self._restore_grid(name, shown)
        return shown

    @torch.no_grad()
    def _restore_grid(self, name: str, shown: Tensor) -> None:
        """Bring back the frequencies of a parameter, which an optimizer with weight decay has moved
        along with the gains.
        """
        if type(shown) is nn.Parameter and not shown.is_meta:
            grid = self._grids[name].to(shown.dtype).to(shown.device)
            # else it is left alone: a new version of it would end a backward pass
            if not torch.equal(shown[:, 0], grid):
                shown[:, 0] = grid

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """As `torch.nn.Module.named_parameters`."""
        self._restore_grids()
        return super().named_parameters(*args, **kwargs)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        self._restore_grids()
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _restore_grids(self) -> None:
        for name in self._tables:
            getattr(self, name)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Casts and moves change what is shown; grid and numbers stay float64 and follow to the
        # device.
        with torch.no_grad():
            exact = {name: self._value(name) for name in self._exact}
        super()._apply(fn, recurse)
        home = home_of(self._where.device)
        self._exact = {name: value.to(home) for name, value in exact.items()}
        self._grids = {name: grid.to(home) for name, grid in self._grids.items()}
        self._cache = None
        with torch.no_grad():
            # a wider dtype than before shows the digits that a narrower one had lost
            for name, value in self._exact.items():
                self._numbers_shown(name).copy_(value)
        return self

    @property
    def _where(self) -> Tensor:
        """Of the module's device and dtype."""
        shown: Tensor = getattr(self, next(iter(self._exact)))
        return shown

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the stored numbers."""
        return self._where.dtype

    # -- the design ------------------------------------------------------------------------------

    @abstractmethod
    def _design(self, values: dict[str, Tensor]) -> Passes[Tensor]:
        """The taps of all numbers (float64) that the module stores, gains included; differentiable
        in them.
        """

    @property
    @abstractmethod
    def lookahead(self) -> int:
        """Index of the tap at time zero in ``taps()``: 0 of a causal filter."""

    @property
    @abstractmethod
    def odd_ends(self) -> bool:
        """Whether the signal's ends are extended oddly, as zero phase needs it, or by zeros."""

    def _taps(self) -> Passes[Tensor]:
        """The current design; outside of what torch.compile sees, since a search and a cache have
        nothing to fuse.
        """
        if torch.compiler.is_compiling():
            return torch.compiler.disable(self._current)()
        return self._current()

    def _current(self) -> Passes[Tensor]:
        """The design: made anew where anything is differentiated through it or maps over it, else
        cached until a number changes.
        """
        if self.training:
            values = {name: self._value(name) for name in self._exact}
            if not all(map(is_constant, values.values())):
                return self._design(values)
        with torch.inference_mode(False), torch.no_grad():
            values = {name: constant(self._value(name)) for name in self._exact}
            if not all(map(is_constant, values.values())):  # torch.vmap
                return self._design(values)
            # Compared by value, and bit by bit as NaN equals nothing: an edit through `.data` does
            # not raise a tensor's version.
            bits = [value.contiguous().view(torch.int64) for value in values.values()]
            if self._cache is None or not all(map(_equal, self._cache[0], bits)):
                made = self._design(values)
                if not is_constant(made.effective):  # torch.func wraps what is made within it
                    return made
                self._cache = ([part.clone() for part in bits], made)
            return self._cache[1]

    def taps(self) -> Tensor:
        """Taps of the one convolution that the audio gets: all passes, scaling and gain.

        Returns
        -------
        (numtaps,) float64
            Of one minimum-phase filter order + 1 causal taps; of zero phase 2·order + 1 taps,
            centred on time zero. (2, numtaps) of two ears, left first; (4, numtaps) of a matrix.
        """
        return self._taps().effective

    # -- the application -------------------------------------------------------------------------

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Filter a signal.

        Parameters
        ----------
        x : (..., T) floating-point tensor, T ≥ 1
            Time last: ``(T,)``, ``(B, T)``, ``(B, F, T)`` or any other leading shape. Through two
            ears ``(T,)`` and ``(..., 1, T)``, mono, or ``(..., 2, T)``, stereo.
        lengths : (B,) integer tensor, optional
            Of a batch ``(B, ..., T)`` of signals that were padded at their ends: how many samples
            of each are its own, 1 to T. Each then gives what it gives alone, with zeros behind it.

        Returns
        -------
        (..., T) tensor of x's dtype and device; through two ears (..., 2, T)
            MiddleEarFilter with ``compensate_delay`` and minimum phase: (..., T − order//2) when T
            > order//2.

        Raises
        ------
        DtypeError
            Integer or complex input, or anything that is no tensor; lengths that are no integers.
        UsageError
            T = 0, a tensor without dimensions, or lengths that do not fit it.
        """
        check_signal(x)
        taps = self.taps()
        if taps.ndim > 1:
            check_ears(x.shape)
        if lengths is not None:
            self._check_lengths(lengths, x)
            if taps.ndim > 1 and x.ndim < 3:
                raise UsageError(
                    f"the signal's shape is {tuple(x.shape)}; a batch through two ears is (B, 1, T) "
                    "or (B, 2, T)"
                )
        work = x if x.dtype in (torch.float32, torch.float64) else x.float()
        y = convolve(
            work,
            taps.to(work),
            lookahead=self.lookahead,
            odd_ends=self.odd_ends,
            lengths=lengths,
        ).to(x.dtype)
        return y[..., self._dropped :] if self._dropped < x.shape[-1] else y

    def _check_lengths(self, lengths: Tensor, x: Tensor) -> None:
        check_lengths(lengths, x)
        if 0 < self._dropped < x.shape[-1] and bool((lengths <= self._dropped).any()):
            raise UsageError(
                f"a signal of the batch has {int(lengths.min())} samples, and the first "
                f"{self._dropped} are dropped of those that have more; with "
                "compensate_delay=False none are"
            )

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
        H : (nfft//2 + 1,) complex128; (2, nfft//2 + 1) of two ears
            The advance of ``compensate_delay`` is left out.
        """
        taps = self.taps()
        rows = [
            frequency_response(row, nfft, lookahead=self.lookahead)
            for row in taps.reshape(-1, taps.shape[-1])
        ]
        response = rows[0] if taps.ndim == 1 else torch.stack(rows)
        return self._frequencies(nfft, response), response

    def _frequencies(self, nfft: int, like: Tensor) -> Tensor:
        return torch.arange(nfft // 2 + 1, dtype=torch.float64, device=like.device) * (
            self.fs / nfft
        )


def home_of(device: torch.device) -> torch.device:
    """Where float64 numbers of a module on this device are kept."""
    return torch.device("cpu") if device.type in ("mps", "meta") else device


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal; of two devices (replicas of `torch.nn.DataParallel`), no."""
    return a.device == b.device and torch.equal(a, b)


def check_signal(x: Tensor) -> None:
    """Refuse what is no signal with a UsageError."""
    if not isinstance(x, Tensor):
        raise DtypeError(
            f"the signal is of type {type(x).__name__}; filters take torch tensors: "
            "torch.as_tensor makes one of an array"
        )
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


def check_lengths(lengths: Tensor, x: Tensor) -> None:
    """Refuse lengths that are no lengths of a batch (B, ..., T) with a UsageError."""
    if not isinstance(lengths, Tensor) or lengths.is_floating_point() or lengths.is_complex():
        what = lengths.dtype if isinstance(lengths, Tensor) else type(lengths).__name__
        raise DtypeError(f"lengths are of {what}; they are an integer tensor, in samples")
    if x.ndim < 2 or lengths.shape != x.shape[:1]:
        raise UsageError(
            f"the shape of lengths is {tuple(lengths.shape)} and that of the signal "
            f"{tuple(x.shape)}; a batch of (B, ..., T) has lengths of (B,)"
        )
    if is_mapped(lengths) or lengths.is_meta or not len(lengths):
        return
    least, most = (int(end) for end in torch.aminmax(lengths.detach()))
    if least < 1 or most > x.shape[-1]:
        raise UsageError(
            f"lengths are {least} to {most}; each is 1 to the {x.shape[-1]} samples of the batch"
        )
