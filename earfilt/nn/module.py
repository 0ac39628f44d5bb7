"""Any filter as a torch module: what `earfilt.apply` gives, differentiable, with numbers that can
be learnt.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Unpack, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earfilt.arrays import Floats, beside, can_be_looked_at, constant, is_constant
from earfilt.chains.describe import together
from earfilt.chains.members import Filter, resolve
from earfilt.chains.request import FilterOptions
from earfilt.ears import curve
from earfilt.ears.options import checked_fs, frequencies
from earfilt.ears.options import path as path_of
from earfilt.engine.tensors import check_dense
from earfilt.errors import UsageError, printable
from earfilt.files.saved_ears import SavedEar, SavedMember, read_ear, saved_bytes
from earfilt.nn.base import EarFilter, check_dtype, home_of
from earfilt.synthesis.deviation import deviation, deviation_between
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.passes import Passes
from earfilt.synthesis.response import check_freqs
from earfilt.synthesis.within.adapted import Part, adapted, adapted_curve
from earfilt.wording import either

__all__ = ["EarModule"]


@final
class EarModule(EarFilter):
    """Any filter as a module, as `earfilt.ear` returns it, with the samples of `earfilt.apply`.

    Parameters
    ----------
    filter : str or path
        ``NAME[:VARIANT]``, joined by ``+`` into a chain; the path of a curve, a FIR, or a saved
        ear.
    fs : float, optional
        Sampling rate in Hz; by default the one that a file states.
    learnable : bool
        The numbers of each ear become parameters. FIRs stay as they are; a saved ear learns at its
        own rate, and is a FIR in a chain, or where ``resample_fir`` converts it to another rate.
    dtype : torch.dtype
        Dtype of the stored numbers.
    **options
        As in `earfilt.apply`.

    Attributes
    ----------
    numbers_0, numbers_1, … : (N,)
        The numbers of each member that is an ear, in the chain's order: gains (headphone,
        middle-ear) or dB (all others), normalisation included. They are parameters if
        ``learnable``. In ``L=…,R=…`` each ear has its own: ``left_numbers_0``, …,
        ``right_numbers_0``, ….

    Raises
    ------
    UsageError
        As `earfilt.apply`; or no rate is given or stated by a file; or a saved ear of another rate
        is to learn.

    Notes
    -----
    The order is that of the design for the published numbers, which is made at the first use. With
    the published numbers, the taps are those of `earfilt.design`. Other numbers change the
    magnitude by the ratio of their curve to the published one, with minimum phase (zero phase where
    the member has it), cut to the same order; `deviation` says how closely the filter then follows
    its curve. In ``train()`` every call designs the filter anew, and gradients reach the numbers;
    in ``eval()`` the design is kept until a number changes. Normalisation stays as it was for the
    published numbers.

    Examples
    --------
    >>> import torch
    >>> ear = EarModule("middle-ear", 16000, learnable=True)
    >>> ear(torch.zeros(2, 1600)).shape
    torch.Size([2, 1600])
    >>> [name for name, _ in ear.named_parameters()]
    ['numbers_0']
    """

    _stores_frequencies = True

    def __init__(
        self,
        filter: str | os.PathLike[str],
        fs: float | None = None,
        *,
        learnable: bool = False,
        dtype: torch.dtype = torch.float32,
        **options: Unpack[FilterOptions],
    ) -> None:
        check_dtype(dtype)
        found = resolve(filter, **options)
        saved = _saved(found)
        rate = fs if fs is not None else found.stated_fs
        if rate is None:
            raise UsageError(f"'{printable(found.name)}' states no sampling rate; give fs, in Hz")
        super().__init__(checked_fs(rate), learnable=learnable)
        found.check_design()
        if saved is not None and saved.fs != self.fs:
            if self.learnable:
                raise UsageError(_learns_at_its_rate(found, saved, self.fs))
            saved = None  # a FIR, which is converted
        found.check_rates(self.fs)
        self._start: Fir | None = None if saved is None else saved.start
        self._filter = found
        self._members = _members(found, self.fs) if saved is None else saved.members
        self._firs = _firs(found) if saved is None else saved.firs
        self._request = found.request.given() if saved is None else dict(saved.request)
        self.name = found.name if saved is None else saved.name
        with torch.inference_mode(False):
            anchor = torch.empty(0, dtype=dtype)
        self.register_buffer("_anchor", anchor, persistent=False)
        for name, member in zip(_names(self._members), self._members, strict=True):
            self._store(
                name,
                member.numbers,
                dtype,
                learnable=self.learnable,
                grid=member.target.freqs,
            )

    @property
    def _where(self) -> Tensor:
        anchor: Tensor = self._anchor
        return anchor

    # -- the design ------------------------------------------------------------------------------

    @property
    def fir(self) -> Fir:
        """The FIR for the published numbers, as `earfilt.design` makes it; made at the first
        use."""
        if self._start is None:
            self._start = self._filter.still_at(self.fs)
        return self._start

    def _design(self, values: dict[str, Tensor]) -> Passes[Tensor]:
        device = next((value.device for value in values.values()), home_of(self._where.device))
        taps = beside(torch.empty(0, device=device), self.fir.taps)
        if not self._are_published(values):
            parts = [member.part for member in self._members]
            taps = adapted(taps, self.lookahead, parts, list(values.values()), self.fs)
        return Passes(taps, taps)

    def _are_published(self, values: dict[str, Tensor]) -> bool:
        """Whether no number was changed; never where anything is differentiated or mapped, nor on
        a device, which would be waited for.
        """
        published = (torch.from_numpy(member.target.numbers) for member in self._members)
        return all(
            is_constant(value) and can_be_looked_at(value) and torch.equal(value, own)
            for value, own in zip(values.values(), published, strict=True)
        )

    @property
    def lookahead(self) -> int:
        """Index of the tap at time zero in ``taps()``; 0 for a causal filter."""
        return self.fir.lookahead

    @property
    def odd_ends(self) -> bool:
        """Whether the signal is extended oddly at its ends, as zero phase needs, or by zeros."""
        return self.fir.odd_ends

    @property
    def deviation(self) -> float | None:
        """Largest deviation in dB of the applied filter from the curve of the numbers, at its
        points and between them; None if a member is a FIR, which has no curve.
        """
        if self._firs:
            return None
        with torch.no_grad():
            numbers = [self._value(name).cpu().numpy() for name in self._exact]
            taps = np.atleast_2d(self._taps().cpu().numpy())
        members = list(zip((member.part for member in self._members), numbers, strict=True))
        return max(
            _deviation(row, [one for one in members if one[0].row in (None, index)])
            for index, row in enumerate(taps)
        )

    # -- what it is ------------------------------------------------------------------------------

    @property
    def numbers(self) -> list[Tensor]:
        """The numbers of each member that is an ear, (N,) each, as they are stored."""
        return [getattr(self, name) for name in self._exact]

    @property
    def freqs(self) -> list[Tensor]:
        """The frequencies that the numbers belong to, (N,) float64 each, in Hz: copies."""
        return [grid.clone() for grid in self._grids.values()]

    def response(self, freqs: npt.ArrayLike | Tensor) -> Tensor:
        """Response of the applied filter at any frequencies, by the sum over the taps.

        Parameters
        ----------
        freqs : (M,) array or tensor
            Hz, within 0 … fs/2 (looked at on the CPU only: what lies on a device would be waited
            for); or one number.

        Returns
        -------
        (M,) complex128; (2, M) of two ears, (4, M) of a matrix
            Time zero is where output and input are aligned; differentiable with respect to the
            numbers in ``train()``.

        Raises
        ------
        UsageError
            A frequency outside 0 … fs/2, or what is no number.
        """
        asked = self._asked(freqs)
        taps = self._taps()
        cycles = asked.to(taps.device) / self.fs
        # With k = row·width + column the phase is a product of one factor for each.
        numtaps = taps.shape[-1]
        width = math.isqrt(numtaps - 1) + 1
        padded = torch.nn.functional.pad(taps, (0, -numtaps % width))
        table = padded.reshape(*taps.shape[:-1], -1, width)
        turn = -2j * math.pi * cycles.reshape(-1, 1)
        columns = torch.exp(turn * torch.arange(width, device=taps.device))
        first = width * torch.arange(table.shape[-2], device=taps.device) - self.lookahead
        value = ((columns @ table.mT.to(columns.dtype)) * torch.exp(turn * first)).sum(-1)
        return value.reshape(*taps.shape[:-1], *cycles.shape)

    def _asked(self, freqs: npt.ArrayLike | Tensor) -> Tensor:
        """Frequencies (M,) float64, checked where they can be looked at."""
        if isinstance(freqs, Tensor) and not freqs.is_complex():
            check_dense("freqs", freqs)
            asked = freqs.reshape(-1).double() if freqs.ndim < 2 else freqs.double()
        else:
            asked = torch.from_numpy(frequencies("freqs", freqs))
        if asked.ndim > 1:
            raise UsageError(f"freqs has the shape {tuple(asked.shape)}; it must be (M,)")
        if can_be_looked_at(asked):
            check_freqs(constant(asked).numpy(), self.fs)
        return asked

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write name, options, numbers and design as ``.json``, which `earfilt.ear` and every
        ``filter=`` or ``-f`` read back.

        Parameters
        ----------
        path : path
        force : bool
            Replace an existing file.

        Raises
        ------
        UsageError
            Another extension; the file exists; numbers that are not finite; a member that cannot be
            saved (an entry of the user's own that is no curve, the inverse of a curve).
        AudioError
            It cannot be written.
        """
        from earfilt.storage.writing import write_bytes

        path = path_of("path", path)
        if os.path.splitext(path)[1].lower() != ".json":
            raise UsageError(f"an ear is saved as .json, not as {printable(path)}")
        with torch.no_grad():
            numbers = [self._value(name).cpu().numpy() for name in self._exact]
        if not all(np.isfinite(one).all() for one in numbers):
            raise UsageError("the ear has numbers that are not finite, and is not saved")
        members = tuple(
            replace(member, numbers=one) for member, one in zip(self._members, numbers, strict=True)
        )
        start = replace(self.fir, fs=float(self.fs))
        ear = SavedEar(self.name, self._request, start, members, self._firs)
        write_bytes(path, saved_bytes(ear), force=force)

    def extra_repr(self) -> str:
        told = self.fir.provenance
        order = self.fir.numtaps - 1 if told.order is None else told.order
        return (
            f"{printable(self.name)!r}, fs={self.fs:.12g}, order={together(order)}, "
            f"phase={together(told.phase)}, learnable={self.learnable}"
        )


def _deviation(taps: Floats, members: list[tuple[Part, Floats]]) -> float:
    """Largest deviation in dB of one row of taps from the curve of the numbers of its members."""
    parts, numbers = [part for part, _ in members], [one for _, one in members]
    published = curve.product([part.target.curve() for part in parts])
    wanted = adapted_curve(published, parts, numbers)
    return max(deviation(taps, wanted).db, deviation_between(taps, wanted, floored=True).db)


def _names(members: tuple[SavedMember, ...]) -> list[str]:
    """What the numbers of each member are called: counted for each ear."""
    names: list[str] = []
    for member in members:
        name = f"{member.side}_numbers" if member.side else "numbers"
        names.append(f"{name}_{sum(one.rpartition('_')[0] == name for one in names)}")
    return names


def _saved(found: Filter) -> SavedEar | None:
    """The saved ear that a filter consists of; None in a chain, where it is a FIR."""
    first = found.members[0]
    if len(found.members) > 1 or first.kind != "fir" or first.file is None:
        return None
    return read_ear(first.file)


def _learns_at_its_rate(found: Filter, saved: SavedEar, fs: float) -> str:
    without = either("", " without learnable, resample_fir=True converts it as a FIR;")
    return (
        f"{printable(found.name)} is an ear for {saved.fs:.12g} Hz, whose numbers belong to that "
        f"rate, and {fs:.12g} Hz is asked for: let it learn at its own rate;{without} or let "
        f"'{printable(saved.name)}' learn anew at {fs:.12g} Hz"
    )


def _members(found: Filter, fs: float) -> tuple[SavedMember, ...]:
    return tuple(
        SavedMember.of(member.ear, member.options, fs, member.ear_side)
        for member in found.members
        if member.ear is not None
    )


def _firs(found: Filter) -> tuple[str, ...]:
    return tuple(member.name for member in found.members if member.ear is None)
