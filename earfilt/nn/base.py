"""An ear as a torch module: its numbers kept in float64, redesigned when they change, applied as
one convolution.

``EarFilter`` is the private base of the classes in ``nn.ears`` and ``nn.module``: it stores
numbers, knows when they have changed, and filters. What a filter *is* stands in ``ears``, how it is
designed in ``synthesis``; how it is applied stands in ``engine``, once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch._C._functorch import maybe_current_level

from earfilt.arrays import Floats, constant, is_constant, is_mapped, unwatched
from earfilt.ears.options import flag, whole
from earfilt.engine.segments import check_ears, is_transposed
from earfilt.engine.tensors import FLOATS, Spectra, check_dense, convolve, is_traced
from earfilt.errors import DtypeError, UsageError
from earfilt.synthesis.passes import Passes
from earfilt.synthesis.spectrum import frequency_response

_INTEGERS = (
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
)
_HZ = "_hz"  # of frequencies, behind the name of their numbers in a state
_LARGEST_NFFT = 1 << 31  # the response takes 16 GiB


class EarFilter(nn.Module):
    """Numbers -> taps -> convolution. Private base of all ears."""

    _stores_frequencies = False  # in its state, where the numbers do not show them
    _dropped: int = 0  # samples that forward leaves out at the start

    def __init__(self, fs: float, *, learnable: bool) -> None:
        super().__init__()
        self.fs = fs
        self.learnable = flag("learnable", learnable)
        # float64, wherever the module is; on the CPU where a module has no values (meta), or its
        # device no float64 (MPS).
        self._exact: dict[str, Tensor] = {}
        # what rounding to the module's dtype took away: the rounded numbers, and what they lack
        self._lacking: dict[str, tuple[Tensor, Tensor]] = {}
        self._grids: dict[str, Tensor] = {}
        self._tables: set[str] = set()
        self._cache: _Cached | None = None

    # -- the numbers -----------------------------------------------------------------------------

    # Tensors of inference mode could not be written outside of it, as casts and optimizers do.
    @torch.inference_mode(False)
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
        check_dtype(dtype)
        home = home_of(torch.empty(0).device)
        exact = torch.tensor(values, dtype=torch.float64, device=home)
        self._exact[name] = exact
        self._lacking[name] = _lacking(exact, dtype)
        if grid is not None:
            self._grids[name] = torch.tensor(grid, dtype=torch.float64, device=home)
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
        return self._restored(name, self._numbers_shown(name))

    def _restored(self, name: str, shown: Tensor) -> Tensor:
        """The same of what is shown of them."""
        exact = self._exact[name]
        if shown.is_meta:
            return exact
        shown = shown.to(home_of(shown.device))
        rounded, lacking = self._lacking[name]
        if (rounded.dtype, rounded.device) != (shown.dtype, shown.device):  # of another's call
            rounded, lacking = _lacking(exact.to(shown.device), shown.dtype)
        # float64, as what is lacking is
        return torch.addcmul(shown, constant(shown) == rounded, lacking)

    def _numbers_shown(self, name: str) -> Tensor:
        """What is shown of the numbers, in the module's dtype: a table without its frequencies."""
        return self._without_grid(name, self._stored(name))

    def _without_grid(self, name: str, stored: Tensor) -> Tensor:
        return stored[:, 1] if name in self._tables else stored

    def _stored(self, name: str) -> Tensor:
        """A parameter or buffer as it is, which `getattr` brings into order first."""
        for kept in (self._parameters, self._buffers):
            if (own := kept.get(name)) is not None:
                return own
        # an attribute in replicas of `torch.nn.DataParallel`, a property where it is parametrized
        found: Tensor = getattr(self, name)
        return found

    def __getattr__(self, name: str) -> Any:
        shown = super().__getattr__(name)
        if name in self.__dict__.get("_tables", ()) and isinstance(shown, Tensor):
            self._restore_grid(name, shown)
        return shown

    def _restore_grid(self, name: str, shown: Tensor) -> None:
        """Bring back the frequencies of a parameter, which an optimizer with weight decay has moved
        along with the gains.
        """
        # a transform of torch.func forbids to write
        free = _is_writable(shown) and maybe_current_level() is None
        if type(shown) is nn.Parameter and not shown.is_meta and free:
            # Not compared first, which would wait for a device; through `.data`, since a new
            # version of the parameter would end a backward pass.
            shown.data[:, 0].copy_(self._grids[name])

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """As `torch.nn.Module.named_parameters`."""
        self._restore_grids()
        return super().named_parameters(*args, **kwargs)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        self._restore_grids()
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._stores_frequencies:
            for name, grid in self._grids.items():
                destination[f"{prefix}{name}{_HZ}"] = grid.clone()

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Numbers of other frequencies, as those of another rate may be, are not taken."""
        foreign = [name for name in self._grids if not self._has_its_grid(name, prefix, state_dict)]
        error_msgs += [
            f"{prefix}{name} belongs to other frequencies than this ear's at {self.fs} Hz: it is of "
            "another ear, or of another sampling rate"
            for name in foreign
        ]
        taken = {key: x for key, x in state_dict.items() if key.removeprefix(prefix) not in foreign}
        missing: list[str] = []
        super()._load_from_state_dict(
            taken, prefix, local_metadata, strict, missing, unexpected_keys, error_msgs
        )
        missing_keys += [key for key in missing if key.removeprefix(prefix) not in foreign]
        known = {f"{prefix}{name}{_HZ}" for name in self._grids}
        unexpected_keys[:] = [key for key in unexpected_keys if key not in known]

    def _has_its_grid(self, name: str, prefix: str, state: Any) -> bool:
        """Whether numbers of a state belong to this module's frequencies, as far as it tells."""
        stored = state.get(f"{prefix}{name}" if name in self._tables else f"{prefix}{name}{_HZ}")
        if not isinstance(stored, Tensor) or stored.is_meta:
            return True
        if name in self._tables:
            if stored.shape != self._stored(name).shape:
                return True  # torch says so
            stored = stored[:, 0]
        grid, found = self._grids[name].cpu(), stored.detach().cpu().double()
        if found.shape != grid.shape:
            return False
        if name in self._tables:  # a factor of a whole table is its gains' alone
            share = (found / grid)[grid > 0].median()
            found = found / share
        # the dtype may be a narrow one, and an average of states may have been taken
        return torch.allclose(found, grid, rtol=0.01, atol=1e-3)

    def _restore_grids(self) -> None:
        for name in self._tables:
            getattr(self, name)

    @torch.inference_mode(False)
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Casts and moves change what is shown; grid and numbers stay float64 and follow to the
        # device.
        with torch.no_grad():
            check_dtype(fn(self._where.new_empty(0)).dtype)  # before anything is cast
        cached = self._still_cached()
        with torch.no_grad():
            exact = {name: self._value(name) for name in self._exact}
        super()._apply(fn, recurse)
        home = home_of(self._where.device)
        self._exact = {name: value.to(home) for name, value in exact.items()}
        self._lacking = {name: _lacking(value, self.dtype) for name, value in self._exact.items()}
        self._grids = {name: grid.to(home) for name, grid in self._grids.items()}
        with torch.no_grad():
            # a wider dtype than before shows the digits that a narrower one had lost
            for name, value in self._exact.items():
                if _is_writable(shown := self._numbers_shown(name)):
                    shown.copy_(value)
        self._cache = None if cached is None else cached.of(self._all_stored(), home)
        return self

    def _all_stored(self) -> list[Tensor]:
        return [self._stored(name) for name in self._exact]

    def _still_cached(self) -> _Cached | None:
        """What is cached, where it is sure to be of today's numbers."""
        shown = self._all_stored()
        if self._cache is None or any(one.is_meta for one in shown):
            return None
        if waits_for(home_of(self._where.device)):
            return self._cache if self._cache.is_of(shown) else None
        with torch.no_grad():
            values = [self._value(name) for name in self._exact]
        return self._cache if self._cache.holds(values) else None

    @property
    def _where(self) -> Tensor:
        """Of the module's device and dtype."""
        return self._stored(next(iter(self._exact)))

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

    def _made(self) -> _Made:
        """The current design; outside of what torch.compile sees, since a search and a cache have
        nothing to fuse.
        """
        if torch.compiler.is_compiling() or is_traced():
            if is_traced():
                return self._for_another_program()
            return torch.compiler.disable(self._current)()
        return self._current()

    def _current(self) -> _Made:
        """The design: made anew where anything is differentiated through it or maps over it, else
        kept until a number changes.
        """
        shown = self._all_stored()
        waits = waits_for(home_of(self._where.device))
        if waits and self._cache is not None and self._cache.is_of(shown):
            return self._cache.made
        values = {name: self._value(name) for name in self._exact}
        # Numbers that learn are not looked at on a device, which would wait for it.
        looked_at = not (waits and self.learnable)
        if (self.training or not looked_at) and not all(map(is_constant, values.values())):
            return _Made(self._design(values))
        with torch.inference_mode(False), torch.no_grad(), unwatched():
            values = {name: constant(self._value(name)) for name in self._exact}
            if not looked_at or not all(map(is_constant, values.values())):  # or torch.vmap
                return _Made(self._design(values))
            # Designed on the CPU, as the files are, to the same bits.
            values = {name: value.cpu() for name, value in values.items()}
            cached = self._cache
            if cached is None or not cached.holds(list(values.values())):
                passes = self._design(values)
                if not is_constant(passes.effective):  # torch.func wraps what is made within it
                    return _Made(passes)
                bits = [_bits(one).clone() for one in values.values()]
                # in memory of their own, with which a recorded program is saved
                own = Passes(*(taps.clone() for taps in passes))
                cached = _Cached(bits, _Made(own), [])
            self._cache = cached.of(shown, home_of(self._where.device))
            return self._cache.made

    def _for_another_program(self) -> _Made:
        """The design as a constant, where a program is recorded."""
        if self.learnable and self.training:
            raise UsageError("an ear is exported in eval() only; in train() its numbers may change")
        if not self._is_as_last_called():
            raise UsageError(
                "an ear is exported as of its last call, and it has not been called since its "
                "numbers were set; call it once, in eval() and on the CPU, with parameters of its "
                "own (parametrizations removed)"
            )
        assert self._cache is not None
        return self._cache.made

    def _is_as_last_called(self) -> bool:
        """Whether the numbers, for which others may stand in a recording, are those of the last
        call: the same tensors, with the same values.
        """
        cached = self._cache
        if cached is None:
            return False
        with _unrecorded():
            values = []
            for name, mark in zip(self._exact, cached.marks, strict=True):
                # none of its own where it is parametrized
                own: Tensor | None = {**self._parameters, **self._buffers}.get(name)
                if own is None or not _stands_for(own, mark.tensor):
                    return False
                shown = self._without_grid(name, mark.tensor.detach())
                values.append(self._restored(name, shown).cpu())
            return cached.holds(values)

    def taps(self) -> Tensor:
        """Taps of the one convolution that the audio gets: all passes, scaling and gain.

        Returns
        -------
        (numtaps,) float64
            With minimum phase order + 1 causal taps; with zero phase 2·order + 1 taps, centred on
            time zero. (2, numtaps) for two ears, left first; (4, numtaps) for a matrix. A copy:
            to write to it changes no filter.
        """
        return self._taps().clone()

    def _taps(self) -> Tensor:
        """The taps that are kept, which nobody else is handed."""
        return self._made().passes.effective

    # -- the application -------------------------------------------------------------------------

    # lengths may be positional: the tracing exporter of ONNX passes its default so
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Filter a signal.

        Parameters
        ----------
        x : (..., T) floating-point tensor, T ≥ 1
            Time last: ``(T,)``, ``(B, T)``, ``(B, F, T)`` or any other leading shape. Through two
            ears ``(T,)`` and ``(..., 1, T)``, mono, or ``(..., 2, T)``, stereo.
        lengths : (B,) integer tensor, optional
            For a batch ``(B, ..., T)`` of signals that were padded at their ends: the length of
            each in samples, 1 to T. Each then gives the same output as alone, followed by zeros.

        Returns
        -------
        (..., T) tensor of x's dtype and device; through two ears (..., 2, T)
            MiddleEarFilter with ``compensate_delay`` and minimum phase: (..., T − order//2) when T
            > order//2.

        Raises
        ------
        DtypeError
            Integer or complex input, or anything that is not a tensor; lengths that are not
            integers.
        UsageError
            T = 0, a tensor without dimensions, one whose last dimension cannot be time (at most 32
            beside more than 1000), or lengths that do not fit it.
        """
        check_signal(x)
        if not is_traced() and is_transposed(x.shape):
            raise UsageError(
                f"the signal's shape is {tuple(x.shape)}; the last dimension is time, (..., T), and "
                f"{x.shape[-1]} samples beside {max(x.shape[:-1])} signals are none: turn it with "
                "x.mT, or x.movedim(0, -1)"
            )
        spectra = self._made().spectra
        ears = spectra.taps.ndim > 1
        if ears:
            check_ears(x.shape)
        if lengths is not None:
            lengths = self._checked_lengths(lengths, x)
            if ears and x.ndim < 3:
                raise UsageError(
                    f"the signal's shape is {tuple(x.shape)}; a batch through two ears is (B, 1, T) "
                    "or (B, 2, T)"
                )
        work = x if x.dtype in (torch.float32, torch.float64) else x.float()
        y = convolve(
            work,
            spectra,
            lookahead=self.lookahead,
            odd_ends=self.odd_ends,
            lengths=lengths,
        )
        y = y if work is x else y.to(x.dtype)
        drops = self._dropped > 0 and (is_traced() or self._dropped < x.shape[-1])
        return y[..., self._dropped :] if drops else y

    def _checked_lengths(self, lengths: Tensor, x: Tensor) -> Tensor:
        lengths = checked_lengths(lengths, x)
        if not 0 < self._dropped < x.shape[-1] or is_traced():
            return lengths
        if lengths.device.type == "cuda":
            torch._assert_async((lengths > self._dropped).all(), "a signal is dropped whole")
        elif bool((lengths <= self._dropped).any()):
            raise UsageError(
                f"a signal of the batch has {int(lengths.min())} samples, but the first "
                f"{self._dropped} are dropped of those that have more; with "
                "compensate_delay=False none are"
            )
        return lengths

    def get_effective_response(self, nfft: int = 8192) -> tuple[Tensor, Tensor]:
        """Response of the applied filter, all passes and gains included; exact for any ``nfft``.

        Parameters
        ----------
        nfft : int
            FFT length, 1 to 2³¹.

        Returns
        -------
        freqs : (nfft//2 + 1,) float64
            Hz.
        H : (nfft//2 + 1,) complex128; (2, nfft//2 + 1) of two ears
            Without the advance of ``compensate_delay``.
        """
        nfft = checked_nfft(nfft)
        taps = self._taps()
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


def checked_nfft(nfft: int) -> int:
    """An FFT length, or UsageError where it is none."""
    rule = f"a whole number, 1 to {_LARGEST_NFFT}"
    nfft = whole("nfft", nfft, rule)
    if not 1 <= nfft <= _LARGEST_NFFT:
        raise UsageError(f"nfft is {nfft}; it must be {rule}")
    return nfft


def check_dtype(dtype: torch.dtype) -> None:
    """Refuse a dtype that numbers cannot be kept in with a UsageError."""
    if dtype not in FLOATS:
        raise DtypeError(f"dtype is {dtype!r}; allowed: {', '.join(map(str, FLOATS))}")


def home_of(device: torch.device) -> torch.device:
    """Where float64 numbers of a module on this device are kept."""
    return torch.device("cpu") if device.type in ("mps", "meta") else device


def waits_for(device: torch.device) -> bool:
    """Whether who reads a value there waits until the device has done all that it was given."""
    return device.type != "cpu"


def _lacking(exact: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Numbers rounded to a dtype, and what has to be added to them again."""
    with torch.no_grad():
        rounded = exact.to(dtype)
        return rounded, exact - rounded.double()


def _bits(value: Tensor) -> Tensor:
    """Of float64 numbers, to be compared: NaN equals nothing."""
    return value.contiguous().view(torch.int64)


def _is_writable(tensor: Tensor) -> bool:
    """Whether it can be written here: what was made in inference mode only there."""
    return torch.is_inference_mode_enabled() or not tensor.is_inference()


@contextmanager
def _unrecorded() -> Iterator[None]:
    """Values are looked at in the midst of a recording, which goes on without it.

    Not in `torch.no_grad`, which `torch.export` would record, as an operation that cannot be saved.
    """
    native: Any = torch._C
    state = native._get_tracing_state()
    native._set_tracing_state(None)
    try:
        with unwatched():
            yield
    finally:
        native._set_tracing_state(state)


def _stands_for(shown: Tensor, real: Tensor) -> bool:
    """Whether a module's tensor, in a recording, is a real one or stands for it: `torch.export`
    makes one fake of each real tensor, and knows it again.
    """
    from torch._subclasses.fake_tensor import FakeTensor

    if not isinstance(shown, FakeTensor):
        return shown is real
    return shown.fake_mode.from_tensor(real, static_shapes=True) is shown


class _Made:
    """A design, and the spectra of its taps as far as they were needed."""

    def __init__(self, passes: Passes[Tensor]) -> None:
        self.passes, self.spectra = passes, Spectra(passes.effective)

    def to(self, device: torch.device) -> _Made:
        """The same on a device."""
        if self.passes.effective.device == device:
            return self
        return _Made(Passes(*(taps.to(device) for taps in self.passes)))


class _Mark(NamedTuple):
    """What tells that a tensor is the same one, and was not written to since: its version counts
    all that writes to it, but for an edit through `.data`.
    """

    tensor: Tensor
    version: int
    storage: Any  # kept, so that no other comes to lie in its place
    offset: Any  # an int, or one that is traced

    @classmethod
    def of(cls, tensor: Tensor) -> Self:
        version = -1 if tensor.is_inference() else tensor._version
        # `tensor.data = other` puts other memory below the same tensor
        return cls(tensor, version, tensor.untyped_storage(), tensor.storage_offset())

    def is_of(self, tensor: Tensor) -> bool:
        """Whether it is that tensor; never of one that was made in inference mode, which counts
        nothing.
        """
        return (
            tensor is self.tensor
            and not tensor.is_inference()
            and tensor._version == self.version
            and tensor.untyped_storage()._cdata == self.storage._cdata
            and tensor.storage_offset() == self.offset
        )


@dataclass(frozen=True)
class _Cached:
    """A design of fixed numbers: their bits, on the CPU, and marks of the tensors that held them."""

    bits: list[Tensor]
    made: _Made
    marks: list[_Mark]

    def holds(self, values: list[Tensor]) -> bool:
        """Whether it is of these values. An edit through `.data` shows in them alone."""
        return len(self.bits) == len(values) and all(
            map(torch.equal, self.bits, map(_bits, values))
        )

    def is_of(self, shown: list[Tensor]) -> bool:
        """Whether those tensors still hold the numbers, without looking at them."""
        # a map is quicker than a generator; this is asked for at each call
        return len(self.marks) == len(shown) and all(map(_Mark.is_of, self.marks, shown))

    def of(self, shown: list[Tensor], home: torch.device) -> Self:
        """The same for tensors that hold the same numbers, and a design on a device."""
        made = self.made.to(home)
        if made is self.made and self.is_of(shown):
            return self
        return replace(self, made=made, marks=[_Mark.of(one) for one in shown])

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        """A copy designs for itself: its tensors are others."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


def check_signal(x: Tensor) -> None:
    """Refuse what is no signal with a UsageError."""
    if not isinstance(x, Tensor):
        raise DtypeError(
            f"the signal is of type {type(x).__name__}; filters take torch tensors: "
            "torch.as_tensor makes one of an array"
        )
    check_dense("the signal", x)
    if x.dtype not in FLOATS:
        raise DtypeError(
            f"the signal's dtype is {x.dtype}; filters take floating-point samples of 16 bits or "
            "more: convert with x.float() and scale first"
        )
    if x.ndim == 0 or (not is_traced() and x.shape[-1] == 0):
        raise UsageError(
            f"the signal's shape is {tuple(x.shape)}; the last dimension is time and must "
            "hold at least one sample"
        )


def checked_lengths(lengths: Tensor, x: Tensor) -> Tensor:
    """Lengths of a batch (B, ..., T) as int64, which all operations take; UsageError where they are
    none.
    """
    if not isinstance(lengths, Tensor) or lengths.dtype not in _INTEGERS:
        what = lengths.dtype if isinstance(lengths, Tensor) else type(lengths).__name__
        raise DtypeError(f"lengths are of {what}; they must be an integer tensor, in samples")
    check_dense("lengths", lengths)
    lengths = lengths.long()
    if x.ndim < 2 or lengths.shape != x.shape[:1]:
        raise UsageError(
            f"the shape of lengths is {tuple(lengths.shape)} and that of the signal "
            f"{tuple(x.shape)}; a batch (B, ..., T) needs lengths of shape (B,)"
        )
    if is_mapped(lengths) or lengths.is_meta or not len(lengths) or is_traced():
        return lengths
    if lengths.device.type == "cuda":  # not waited for
        inside = ((lengths >= 1) & (lengths <= x.shape[-1])).all()
        torch._assert_async(
            inside, "each length must be from 1 to the number of samples of the batch"
        )
        return lengths
    least, most = (int(end) for end in torch.aminmax(lengths.detach()))
    if least < 1 or most > x.shape[-1]:
        raise UsageError(
            f"lengths are {least} to {most}; each must be from 1 to the {x.shape[-1]} samples of "
            "the batch"
        )
    return lengths
