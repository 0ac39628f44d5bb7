"""The public Python calls: what the command line does, for programs.

Each call takes a filter by the same text as ``--filter`` (a name, a chain ``NAME+NAME``, a path)
and the same options (``order=``, `tolerance=``, ``phase=``, …). numpy loads with the first call,
torch only for `ear`, for tensors, and for devices other than the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast

import numpy as np
import numpy.typing as npt

from earfilt.chains.members import resolve
from earfilt.chains.request import FilterOptions
from earfilt.engine import pipeline
from earfilt.engine.stream import Stream
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir

if TYPE_CHECKING:
    from torch import Tensor

Signal = TypeVar("Signal", npt.NDArray[Any], "Tensor")
"""A numpy array or a torch tensor; what comes out is of the kind of what went in."""

_FLOATS = ("float16", "float32", "float64")
_INTEGERS = ("int16", "int32")


def apply(
    x: Signal,
    filter: str,
    *,
    fs: float,
    axis: int = -1,
    **options: Unpack[FilterOptions],
) -> Signal:
    """Put a signal through a filter: what ``earfilt apply`` does to the samples of a file.

    Parameters
    ----------
    x : (…, T) array or tensor
        Floating-point samples, or int16 or int32 with full scale at 2¹⁵ or 2³¹. Time lies on
        ``axis``, T ≥ 1; all other dimensions are filtered alike.
    filter : str
        ``NAME[:VARIANT]``, joined by ``+`` into a chain; or the path of a curve or FIR.
    fs : float
        Sampling rate in Hz.
    axis : int
        The dimension of time.
    **options
        As on the command line: ``order``, ``tolerance`` (dB), ``phase`` and those of the filter.

    Returns
    -------
    array or tensor
        Shape, dtype and device of ``x``; aligned with it to the sample. float16 is computed in
        float32. Integers are rounded to nearest, and clipped with a warning.

    Raises
    ------
    UnknownNameError
        No such filter; the message suggests the nearest names.
    UsageError
        An option that the filter does not have, T = 0, another dtype, NaN in an array.

    Warns
    -----
    UserWarning
        Integer samples were clipped.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).standard_normal((2, 4800)).astype("float32")
    >>> heard = earfilt.apply(noise, "middle-ear", fs=48000)
    >>> heard.shape, heard.dtype
    ((2, 4800), dtype('float32'))
    """
    fir = resolve(filter, **options).at(fs)
    if isinstance(x, np.ndarray):
        return _apply_array(x, fir, axis)
    return _apply_tensor(x, fir, axis)


def _apply_array(x: npt.NDArray[Any], fir: Fir, axis: int) -> npt.NDArray[Any]:
    if x.dtype.name not in (*_FLOATS, *_INTEGERS):
        raise UsageError(
            f"the signal's dtype is {x.dtype}; filters take {', '.join((*_FLOATS, *_INTEGERS))}"
        )
    if x.ndim == 0 or x.shape[axis] == 0:
        raise UsageError(
            f"the signal's shape is {x.shape}; the dimension of time must hold at least one sample"
        )
    frames = np.moveaxis(x, axis, 0)
    flat = frames.reshape(len(frames), -1)
    if x.dtype == np.float16:
        flat = flat.astype(np.float32)
    filtered = _filtered(np.ascontiguousarray(flat), fir) if flat.size else flat
    return np.moveaxis(filtered.reshape(frames.shape), 0, axis).astype(x.dtype)


def _filtered(x: npt.NDArray[Any], fir: Fir) -> npt.NDArray[Any]:
    """Samples (frames, channels) through the file engine: (frames, channels) of the same dtype."""
    out = np.empty_like(x)
    read = write = 0

    def take(frames: int) -> npt.NDArray[Any]:
        nonlocal read
        read += frames
        return x[read - frames : read]

    def put(block: npt.NDArray[Any]) -> None:
        nonlocal write
        out[write : write + len(block)] = block
        write += len(block)

    bits = 8 * x.dtype.itemsize if x.dtype.kind == "i" else 0
    form = pipeline.SampleFormat(cast("Any", x.dtype.name), bits)
    wide = x.dtype.name in ("float64", "int32")
    settings = pipeline.Settings(precision="float64" if wide else "float32")
    try:
        levels = pipeline.run(
            take, put, fir, source=form, target=form, channels=x.shape[1], settings=settings
        )
    except pipeline.NonFiniteError as error:
        raise UsageError(
            f"the signal is not finite: channel {error.channel}, sample {error.frame} (from 0)"
        ) from None
    if levels.clipped.any():
        import warnings

        warnings.warn(
            f"{int(levels.clipped.sum())} samples were clipped; convert to floating point before "
            "filtering, or lower the level",
            stacklevel=4,
        )
    return out


def _apply_tensor(x: Tensor, fir: Fir, axis: int) -> Tensor:
    import torch

    from earfilt.engine.tensors import convolve
    from earfilt.nn.module import check_signal

    if not isinstance(x, torch.Tensor):
        raise UsageError(
            f"the signal is a {type(x).__name__}; filters take numpy arrays and torch tensors"
        )
    check_signal(x)
    dtype = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
    taps = torch.from_numpy(fir.taps.copy()).to(x.device, dtype)
    moved = x.movedim(axis, -1).to(dtype)
    y = convolve(moved, taps, lookahead=fir.lookahead, odd_ends=fir.odd_ends)
    return y.to(x.dtype).movedim(-1, axis)


def stream(
    filter: str,
    *,
    fs: float,
    channels: int = 1,
    dtype: Literal["float32", "float64"] = "float32",
    **options: Unpack[FilterOptions],
) -> Stream:
    """A filter for a signal that comes in blocks; bit-equal to the whole, whatever the blocks.

    Parameters
    ----------
    filter, fs, **options
        As in `apply`.
    channels : int
    dtype : 'float32' or 'float64'
        Of the arithmetic and the output.

    Returns
    -------
    Stream
        ``push(block)`` takes (frames, channels) and gives what is ready, ``flush()`` the rest;
        arrays or tensors.

    Examples
    --------
    >>> import numpy as np
    >>> stream = earfilt.stream("middle-ear", fs=48000, channels=2)
    >>> blocks = np.split(np.ones((9600, 2), "float32"), 10)
    >>> sum(len(stream.push(block)) for block in blocks) + len(stream.flush())
    9600
    """
    return Stream(resolve(filter, **options).at(fs), channels=channels, dtype=dtype)


def design(filter: str, *, fs: float, **options: Unpack[FilterOptions]) -> Fir:
    """The FIR of a filter: all passes and gains in one convolution.

    Parameters
    ----------
    filter, fs, **options
        As in `apply`. ``fewest=True`` beside ``tolerance`` searches for the smallest order, as
        ``earfilt design --tolerance`` does.

    Returns
    -------
    Fir
        ``taps``, ``fs``, ``lookahead``, ``response(freqs)``, ``provenance``; ``save(path)`` writes
        ``.wav .json .mat .csv .txt .npy``.

    Examples
    --------
    >>> fir = earfilt.design("middle-ear", fs=48000, order=512)
    >>> fir.numtaps, fir.lookahead, fir.provenance.phase
    (513, 0, 'minimum')
    """
    return resolve(filter, **options).at(fs)
