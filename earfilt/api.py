"""The public Python calls: what the command line does, for programs.

Each call takes the same text as ``--filter`` (a name, a chain ``NAME+NAME``, a path) and the same
options (``order=``, ``tolerance=``, ``phase=``, …). numpy loads with the first call, torch only for
`ear`, for tensors, and for devices other than the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack, get_args

import numpy as np
import numpy.typing as npt

from earfilt.chains import ways
from earfilt.chains.directions import refuse_motion
from earfilt.chains.members import Filter, resolve
from earfilt.chains.request import FilterOptions
from earfilt.ears import catalogue
from earfilt.ears.options import (
    checked_fs,
    choice,
    flag,
    frequencies,
    is_number,
    plain,
    refuse_masked,
    samples,
    text,
    whole,
)
from earfilt.ears.options import path as path_of
from earfilt.engine import pipeline
from earfilt.engine.samples import SampleFormat, clip_warning
from earfilt.engine.segments import check_ears, is_transposed, latency_frames
from earfilt.engine.stream import Stream
from earfilt.engine.windows import Precision
from earfilt.errors import UsageError, counted, printable
from earfilt.render.job import FileJob, Options
from earfilt.render.record import Row
from earfilt.synthesis import fir as firs
from earfilt.synthesis.response import frequency_grid, level_at, respond, to_csv

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from earfilt.measure.identification import Identified
    from earfilt.nn.module import EarModule
    from earfilt.report.lines import Line
    from earfilt.synthesis.biquads.sections import Sections

Signal = TypeVar("Signal", npt.NDArray[Any], "Tensor")
"""A numpy array or a torch tensor; the output is of the same kind as the input."""


class Fir(firs.Fir):
    """A FIR that can be saved, as `design` returns it.

    Examples
    --------
    >>> import earfilt
    >>> fir = earfilt.design("middle-ear", fs=48000, order=512)
    >>> fir.numtaps, fir.lookahead, fir.rows
    (513, 0, 1)
    >>> gain = abs(fir.response([100.0, 800.0]))
    >>> bool(gain[0] < gain[1])
    True
    """

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the FIR for other programs; ``filter=path`` reads it back to the same bits.

        Parameters
        ----------
        path : path
            ``.json``, ``.mat``, ``.wav``, ``.csv``, ``.txt`` (for SoX) or ``.npy`` (bare taps).
        force : bool
            Replace an existing file.

        Raises
        ------
        UsageError
            The extension is not one of these; the file exists; the format cannot state the rate.
        AudioError
            The file cannot be written.
        """
        from earfilt.files.firs import write_fir

        write_fir(self, path_of("path", path), force=force)


Name: TypeAlias = str | os.PathLike[str]
"""A filter: ``NAME[:VARIANT]``, joined by ``+`` into a chain, or the path of a file."""

DEFAULT_FS = 48_000.0
_FLOATS = ("float16", "float32", "float64")
_INTEGERS = ("int16", "int32")


def apply(
    x: Signal,
    filter: Name,
    *,
    fs: float,
    axis: int | None = None,
    precision: Precision = "auto",
    **options: Unpack[FilterOptions],
) -> Signal:
    """Filter a signal, as ``earfilt apply`` filters the samples of a file.

    Parameters
    ----------
    x : (…, T) array or tensor
        Floating-point samples, or int16 or int32 with full scale at 2¹⁵ or 2³¹. ``axis`` is time, T
        ≥ 1; all other dimensions are filtered alike. With two ears, the last of the others is that
        of the channels: (T,) and (…, 1, T) are mono, (…, 2, T) is stereo. What soundfile reads,
        (T, channels), goes with ``axis=0``.
    filter : str or path
        ``NAME[:VARIANT]``, joined by ``+`` into a chain; or the path of a curve or FIR.
        ``L=CHAIN,R=CHAIN`` is a pair of ears.
    fs : float
        Sampling rate in Hz.
    axis : int, optional
        The dimension of time; default the last one, unless that is plainly one of channels (at most
        32 beside more than 1000).
    precision : 'auto', 'float32' or 'float64'
        Precision of the computation. auto: float64 for float64 and int32, otherwise float32; for
        arrays only where its error is negligible, as in ``earfilt apply``.
    **options
        Options of the command line: ``order``, ``tolerance`` (dB), ``phase`` and those of the
        filter.

    Returns
    -------
    array or tensor
        With the shape, dtype and device of ``x``, aligned with it to the sample. Two ears turn mono
        and stereo into (2, T) or (…, 2, T): left, right. float16 is computed in float32. Integers
        are rounded to nearest, and clipped with a warning.

    Raises
    ------
    UnknownNameError
        No such filter; the message suggests the nearest names.
    UsageError
        The filter does not have an option; T = 0; no such axis, or none is given and the last one
        cannot be time; unsupported dtype or precision; NaN in an array; more than two channels for
        two ears.

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
    refuse_masked("the signal", x)
    fir = resolve(filter, **options).at(fs)
    if isinstance(x, np.ndarray):
        return _apply_array(x, fir, axis, precision)
    return _apply_tensor(x, fir, axis, precision)


def _apply_array(
    x: npt.NDArray[Any], fir: firs.Fir, axis: int | None, precision: Precision
) -> npt.NDArray[Any]:
    if x.dtype.name not in (*_FLOATS, *_INTEGERS):
        raise UsageError(
            f"the signal's dtype is {x.dtype}; filters take {', '.join((*_FLOATS, *_INTEGERS))}"
        )
    axis = _axis_of(x, axis) if x.ndim else -1
    if x.ndim == 0 or x.shape[axis] == 0:
        raise UsageError(
            f"the signal's shape is {x.shape}; the dimension of time must hold at least one sample"
        )
    frames = np.moveaxis(x, axis, 0)
    shape, work = frames.shape, np.float32 if x.dtype.name == "float16" else x.dtype
    if fir.rows > 1:
        check_ears((*shape[1:], shape[0]))
        shape = (*shape[:-1], 2) if x.ndim > 1 else (*shape, 2)
    if not x.size:  # no signals
        return np.moveaxis(np.empty(shape, x.dtype), 0, axis)
    # signals of two ears are filtered one by one, all others together
    channels = frames[0].size if fir.rows == 1 else frames.shape[-1] if x.ndim > 1 else 1
    items = frames.reshape(len(frames), -1, channels)
    filtered = [
        _filtered(np.ascontiguousarray(items[:, i], work), fir, precision)
        for i in range(items.shape[1])
    ]
    together = filtered[0] if len(filtered) == 1 else np.array(filtered).swapaxes(0, 1)
    return np.moveaxis(together.reshape(shape).astype(x.dtype, copy=False), 0, axis)


def _axis_of(x: Any, axis: int | None) -> int:
    """The dimension of time of an array or tensor, which has some: the last where none is given.

    Raises
    ------
    UsageError
        It has no such one, or the last cannot be meant.
    """
    if axis is None:
        if is_transposed(x.shape):
            time = max(range(x.ndim), key=lambda i: x.shape[i])
            raise UsageError(
                f"the signal's shape is {tuple(x.shape)}, whose last dimension would be time: "
                f"axis={time} filters signals of {x.shape[time]} samples, axis=-1 those of "
                f"{x.shape[-1]}"
            )
        return -1
    if not isinstance(axis, int | np.integer) or not -x.ndim <= axis < x.ndim:
        raise UsageError(
            f"axis is {axis!r}; the signal's shape is {tuple(x.shape)}, whose dimensions are "
            f"{-x.ndim} to {x.ndim - 1}"
        )
    return int(axis)


def _filtered(x: npt.NDArray[Any], fir: firs.Fir, precision: Precision) -> npt.NDArray[Any]:
    """Samples (frames, channels) through the file engine: (frames, outputs) of the same dtype."""
    out = np.empty((len(x), fir.outputs(x.shape[1])), x.dtype)
    read = write = 0

    def take(frames: int) -> npt.NDArray[Any]:
        nonlocal read
        read += frames
        return x[read - frames : read]

    def put(block: npt.NDArray[Any]) -> None:
        nonlocal write
        out[write : write + len(block)] = block
        write += len(block)

    form = SampleFormat.of_arrays(x.dtype)
    settings = pipeline.Settings(precision=precision)
    try:
        levels = pipeline.run(
            take,
            put,
            fir,
            source=form,
            target=form,
            channels=x.shape[1],
            settings=settings,
        )
    except pipeline.NonFiniteError as error:
        raise UsageError(
            f"the signal is not finite: channel {error.channel}, sample {error.frame} (from 0)"
        ) from None
    if levels.clipped.any():
        import warnings

        warnings.warn(clip_warning(levels.clipped), stacklevel=4)
    return out


def _apply_tensor(x: Tensor, fir: firs.Fir, axis: int | None, precision: Precision) -> Tensor:
    import torch

    from earfilt.engine.tensors import check_dense, convolve
    from earfilt.nn.base import check_signal

    if not isinstance(x, torch.Tensor):
        raise UsageError(
            f"the signal is a {type(x).__name__}; filters take numpy arrays and torch tensors"
        )
    refuse_motion(fir)
    check_dense("the signal", x)
    if str(x.dtype).removeprefix("torch.") in _INTEGERS and x.device.type == "cpu":
        return torch.from_numpy(_apply_array(x.numpy(), fir, axis, precision))
    axis = _axis_of(x, axis) if x.ndim else -1
    if x.ndim:
        x = x.movedim(axis, -1)
    check_signal(x)
    choice("precision", precision, get_args(Precision))
    wide = precision == "float64" or (precision == "auto" and x.dtype == torch.float64)
    dtype = torch.float64 if wide else torch.float32
    taps = torch.from_numpy(fir.taps.copy()).to(x.device, dtype)
    y = convolve(x.to(dtype), taps, lookahead=fir.lookahead, odd_ends=fir.odd_ends)
    return y.to(x.dtype).movedim(-1, axis)


def stream(
    filter: Name,
    *,
    fs: float,
    channels: int = 1,
    dtype: Literal["float32", "float64", "int16", "int32"] = "float32",
    precision: Precision = "auto",
    latency_ms: float | None = None,
    **options: Unpack[FilterOptions],
) -> Stream:
    """A filter for a signal in blocks, bit-equal to filtering the whole, whatever the blocks.

    The whole means the output of `apply` with ``precision=dtype``.

    Parameters
    ----------
    filter, fs, **options
        As in `apply`.
    channels : int
        Number of channels of a block; with two ears 1 or 2, and the output has 2.
    dtype : 'float32', 'float64', 'int16' or 'int32'
        Dtype of the blocks and of the output; integers as in `apply`.
    precision : 'auto', 'float32' or 'float64'
        Precision of the computation, as ``--precision``; auto as in `apply`.
    latency_ms : float, optional
        Longest block of output in ms; the filter's look-ahead comes on top. Without it the samples
        are those of `apply`, with it those of ``earfilt apply --latency-ms``.

    Returns
    -------
    Stream
        ``push(block)`` takes (frames, channels) and returns what is ready, as an array or tensor
        like the block; ``flush()`` returns the rest, as an array.

    Raises
    ------
    UsageError
        As `apply`; ``channels`` is below 1; ``latency_ms`` is below 64 frames or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> stream = earfilt.stream("middle-ear", fs=48000, channels=2)
    >>> blocks = np.split(np.ones((9600, 2), "float32"), 10)
    >>> sum(len(stream.push(block)) for block in blocks) + len(stream.flush())
    9600
    """
    latency = latency_frames(latency_ms, checked_fs(fs))
    fir = resolve(filter, **options).at(fs)
    return Stream(
        fir,
        channels=channels,
        dtype=dtype,
        precision=precision,
        latency=latency,
    )


def design(filter: Name, *, fs: float, **options: Unpack[FilterOptions]) -> Fir:
    """Design the FIR of a filter, with all passes and gains in one convolution.

    Parameters
    ----------
    filter, fs, **options
        As in `apply`. ``fewest=True`` beside ``tolerance`` searches for the smallest order, as
        ``earfilt design --tolerance`` does.

    Returns
    -------
    Fir
        ``taps``, (2, numtaps) of a pair of ears, ``fs``, ``lookahead``, ``response(freqs)``,
        ``provenance``; ``save(path)`` writes ``.wav .json .mat .csv .txt .npy``.

    Examples
    --------
    >>> fir = earfilt.design("middle-ear", fs=48000, order=512)
    >>> fir.numtaps, fir.lookahead, fir.provenance.phase
    (513, 0, 'minimum')
    """
    return _savable(resolve(filter, **options).still_at(fs))


def ear(
    filter: Name,
    fs: float | None = None,
    *,
    learnable: bool = False,
    dtype: torch.dtype | None = None,
    **options: Unpack[FilterOptions],
) -> EarModule:
    """A filter as a differentiable torch module with the samples of `apply`; loads torch.

    Parameters
    ----------
    filter : str or path
        As in `apply`; or the path of a saved ear (``.json``), to continue with it.
    fs : float, optional
        Sampling rate in Hz; by default the one that a FIR file or a saved ear states.
    learnable : bool
        The numbers of each ear (``numbers_0``, …) become parameters; FIRs stay as they are. A saved
        ear learns at its own rate; with ``resample_fir`` it becomes a FIR of another one.
    dtype : torch.dtype, optional
        Dtype of the stored numbers; default float32.
    **options
        As in `apply`.

    Returns
    -------
    EarModule
        A `torch.nn.Module` that takes ``(..., T)`` tensors and returns the same shape;
        ``response(freqs)``, ``taps()``, ``lookahead``, ``deviation``, ``save(path)``.

    Raises
    ------
    UsageError
        As `apply`; or no rate is given or stated by a file; or a saved ear of another rate is to
        learn.

    Examples
    --------
    >>> import torch
    >>> ear = earfilt.ear("middle-ear", fs=16000, learnable=True)
    >>> ear(torch.zeros(2, 16000)).shape
    torch.Size([2, 16000])
    >>> ear.save("mine.json")
    >>> earfilt.ear("mine.json").fs
    16000.0
    """
    import torch

    from earfilt.nn.module import EarModule

    return EarModule(filter, fs, learnable=learnable, dtype=dtype or torch.float32, **options)


def _savable(fir: firs.Fir) -> Fir:
    return Fir(fir.taps, fir.fs, fir.lookahead, fir.odd_ends, fir.provenance)


def design_sections(
    filter: Name,
    *,
    fs: float,
    sections: int | None = None,
    form: Literal["sections", "peaking"] = "sections",
    band: tuple[float, float] | None = None,
    **options: Unpack[FilterOptions],
) -> Sections:
    """A filter as a few minimum-phase biquads, as ``earfilt design --sections`` makes them.

    Parameters
    ----------
    filter, fs, **options
        As in `apply`; ``tolerance`` (dB) asks for the fewest sections that stay within it.
    sections : int, optional
        Number of sections, 1 to 32, instead of a tolerance.
    form : 'sections' or 'peaking'
        Free biquads, or the peaking and shelving bands of an equaliser, to 1 Hz, 0.1 dB and Q 0.01.
    band : (float, float), optional
        Range in Hz in which they are fitted; default 20 Hz to the lowest of 16 kHz, 0.45·fs and the
        end of the source's range.

    Returns
    -------
    Sections
        ``sos`` for ``scipy.signal.sosfilt``, ``fs``, ``deviation_db``, ``deviation_hz``, ``bands``,
        ``preamp_db``, ``float32_db``, ``q30_db``.

    Raises
    ------
    UsageError
        Both or neither of ``sections`` and ``tolerance`` are given, or an option that sections do
        not have.

    Examples
    --------
    >>> found = earfilt.design_sections("iso532-diffuse", fs=48000, sections=4)
    >>> found.sos.shape, found.deviation_db < 0.3
    ((4, 6), True)
    """
    from earfilt.chains.sections import design as fit

    return fit(
        resolve(filter, **options),
        float(checked_fs(fs)),
        sections=None if sections is None else whole("sections", sections),
        form=form,
        band=_band(band),
    )


def identify(
    dry: npt.ArrayLike | Sequence[npt.ArrayLike],
    wet: npt.ArrayLike | Sequence[npt.ArrayLike],
    fs: float,
    *,
    estimator: Literal["h1", "h2", "sweep"] = "h1",
    band: tuple[float, float] | None = None,
    mean: Literal["db", "power"] = "db",
) -> Identified:
    """Measure the gain from one recording to another, as ``earfilt fit --input --target`` does.

    Delay, polarity and the drift between the clocks of player and recorder are found first. Then
    averaged cross-spectra are smoothed by local polynomials, no wider than their noise requires.

    Parameters
    ----------
    dry, wet : (T,) arrays, or lists of them
        What was played and what was recorded, full scale 1, of any lengths; lists hold several
        seatings.
    fs : float
        Hz, of both.
    estimator : 'h1', 'h2' or 'sweep'
        Noise in ``wet`` (H1) or in ``dry`` (H2), or ``dry`` is an exponential sweep.
    band : (float, float), optional
        Range of the curve in Hz; default 20 Hz to the lower of 20 kHz and 0.45·fs.
    mean : 'db' or 'power'
        How several seatings are averaged.

    Returns
    -------
    Identified
        ``frequency_hz``, ``gain_db``, ``coherence``, ``lower_db``, ``upper_db``, ``sd_db``;
        ``seatings`` with ``delay``, ``inverted``, ``drift_ppm``; ``save(path)``.

    Raises
    ------
    UsageError
        Nothing in common, silence, clipping, a drift above 500 ppm, lost samples, halves that
        differ by more than 1 dB (rms), a coherence below 0.5 in more than a third of the band.

    References
    ----------
    Bendat, J. S. & Piersol, A. G. (2010). Random data, 4th ed., chapter 6.

    Examples
    --------
    >>> import numpy as np
    >>> dry = np.random.default_rng(0).standard_normal(160000)
    >>> wet = np.roll(-0.5 * earfilt.apply(dry, "middle-ear", fs=16000), 137)
    >>> found = earfilt.identify(dry, wet, 16000)
    >>> round(found.seatings[0].delay, 1), found.seatings[0].inverted
    (137.0, True)
    """
    from earfilt.measure import identification, sweep

    played, heard = _signals(dry, "dry"), _signals(wet, "wet")
    if len(played) != len(heard):
        raise UsageError(
            f"{len(played)} dry and {len(heard)} wet signals; each dry signal needs a wet one"
        )
    fs, band = float(checked_fs(fs)), _band(band)
    choice("mean", mean, get_args(identification.Mean))
    choice("estimator", estimator, (*get_args(identification.Estimator), "sweep"))
    if estimator == "sweep":
        return sweep.identify_sweeps(played, heard, fs, band=band, mean=mean)
    return identification.identify(played, heard, fs, estimator=estimator, band=band, mean=mean)


def _signals(given: Any, name: str) -> list[npt.NDArray[np.float64]]:
    """Signals of (T,) float64, one or a list of them."""
    several = isinstance(given, (list, tuple)) and given and not is_number(plain(given[0]))
    signals = [samples(name, one) for one in (given if several else [given])]
    if not all(one.size for one in signals):
        raise UsageError(f"{name} holds no samples")
    wrong = [one.shape for one in signals if one.ndim != 1]
    if wrong:
        raise UsageError(
            f"{name} has the shape {wrong[0]}; a signal to measure with has the shape (T,)"
        )
    return signals


def _band(band: Any) -> tuple[float, float] | None:
    """A range in Hz, or UsageError where it is none."""
    if band is None:
        return None
    ends = frequencies("band", band)
    if len(ends) != 2:
        raise UsageError(
            f"band has {counted(len(ends), 'number')}; it is a lowest and a highest Hz"
        )
    return float(ends[0]), float(ends[1])


class PlotOptions(TypedDict, total=False):
    """How a figure looks, as `report.figures.Look` has it."""

    panels: Sequence[str]
    scale: Literal["log", "linear"]
    width_mm: float
    ymin: float | None
    ymax: float | None
    legend: Literal["outside", "inside", "off"]
    degrees: bool
    wrapped: bool


@dataclass(frozen=True, eq=False)
class ResponseTable:
    """A response at given frequencies, as columns of equal length.

    Attributes
    ----------
    frequency_hz : (M,) float64
    magnitude_db, phase_rad, group_delay_s : (M,) float64; (2, M) for two ears, (4, M) for a matrix
        As ``earfilt response`` prints them: −inf dB where the response is zero, the phase's
        principal value with time zero where the output is aligned with the input, and the delay
        from the coefficients (NaN where the response is zero).
    fir : Fir
        What was evaluated.
    filter : Filter

    Examples
    --------
    >>> import earfilt
    >>> table = earfilt.response("headphone", freqs=[125, 1000, 2700])
    >>> len(table), table.frequency_hz.tolist()
    (3, [125.0, 1000.0, 2700.0])
    >>> print(table.to_csv().splitlines()[0])
    frequency_hz,magnitude_db,phase_rad,group_delay_s
    """

    frequency_hz: npt.NDArray[np.float64]
    magnitude_db: npt.NDArray[np.float64]
    phase_rad: npt.NDArray[np.float64]
    group_delay_s: npt.NDArray[np.float64]
    fir: Fir
    filter: Filter

    def __len__(self) -> int:
        return len(self.frequency_hz)

    def __repr__(self) -> str:
        hz = self.frequency_hz
        span = f", {hz[0]:g} to {hz[-1]:g} Hz" if len(hz) else ""
        return (
            f"<{type(self).__name__} of {printable(self.filter.name)}: "
            f"{counted(len(hz), 'frequency', 'frequencies')}{span}; {self.fir!r}>"
        )

    def to_csv(self) -> str:
        """The CSV that ``earfilt response`` prints, at full precision."""
        curves = [(filter.applied, respond(fir, self.frequency_hz)) for filter, fir in self._ears()]
        return to_csv(curves, self.fir.row_names if self.fir.rows > 1 else ())

    def _ears(self) -> list[tuple[Filter, firs.Fir]]:
        """A filter and its FIR for each row."""
        return self.filter.by_ear(self.fir.fs or DEFAULT_FS)

    def plot(
        self,
        path: str | None = None,
        *,
        beside: Sequence[ResponseTable] = (),
        labels: Sequence[str] = (),
        relative_to: float | None = None,
        suffix: str = ".png",
        force: bool = False,
        **look: Unpack[PlotOptions],
    ) -> bytes:
        """Draw the response with the published points (needs the extra ``plot``).

        Parameters
        ----------
        path : str, optional
            File to write, by its extension ``.png``, ``.svg``, ``.pdf`` or ``.eps``.
        beside : sequence of ResponseTable
            Further curves.
        labels : sequence of str
            Names of all curves; default their designs and sources.
        relative_to : float, optional
            Frequency in Hz at which every curve is 0 dB.
        suffix : str
            Kind of figure if no path is given.
        force : bool
            Replace an existing file.
        **look
            ``panels`` (of ``magnitude``, ``difference``, ``phase``, ``delay``, and for two ears
            ``itd``, ``ild``), ``scale`` (``log`` or ``linear``), ``width_mm``, ``ymin`` and
            ``ymax`` (dB), ``legend`` (``outside``, ``inside`` or ``off``), ``degrees``,
            ``wrapped``.

        Returns
        -------
        bytes
            Of the figure's file; notebooks show them with ``IPython.display.Image``.

        Raises
        ------
        UsageError
            matplotlib is not installed, the file exists, or the options do not fit together.
        """
        from earfilt.report.figures import Look, check_suffix, figure
        from earfilt.storage.writing import write_bytes

        path = None if path is None else path_of("path", path)
        labels = _words("labels", labels)
        tables = [self, *beside]
        if labels and len(labels) != len(tables):
            raise UsageError(f"{len(labels)} labels are given for {len(tables)} curves")
        each = zip(tables, labels or [""] * len(tables), strict=True)
        lines = [line for table, label in each for line in table._lines(label, relative_to)]
        suffix = suffix if path is None else os.path.splitext(path)[1].lower()
        check_suffix(suffix)
        data = figure(lines, suffix, Look(relative_to=relative_to, **look))
        if path is not None:
            write_bytes(path, data, force=flag("force", force))
        return data

    def _lines(self, label: str, relative_to: float | None) -> list[Line]:
        """A line for each row."""
        from earfilt.report.lines import line_of, with_between

        lines = []
        for (filter, fir), row in zip(self._ears(), self.fir.row_names, strict=True):
            level = 0.0 if relative_to is None else level_at(fir, relative_to)
            values = respond(fir, self.frequency_hz).lowered(level)
            said = ", ".join(part for part in (label, row) if part) if label else ""
            lines.append(line_of(filter, fir, values, label=said, below_db=level))
        return with_between(lines, self.fir)


def response(
    filter: Name,
    *,
    fs: float | None = None,
    freqs: npt.ArrayLike | None = None,
    **options: Unpack[FilterOptions],
) -> ResponseTable:
    """The response of a filter, all passes and gains included, as `apply` applies them.

    Parameters
    ----------
    filter, **options
        As in `apply`.
    fs : float, optional
        Sampling rate in Hz; by default the one that a FIR file states, otherwise 48 000.
    freqs : (M,) array of float, optional
        Hz, within 0 … fs/2; default 512 from 20 Hz to 20 kHz in equal ratios.

    Returns
    -------
    ResponseTable

    Raises
    ------
    UsageError
        As `apply`, or a frequency outside 0 … fs/2.

    Examples
    --------
    >>> table = earfilt.response("headphone", fs=48000, freqs=[2721.27])  # published: 9.013 dB
    >>> bool(abs(table.magnitude_db[0] - 9.013) < 0.1)
    True
    """
    found = resolve(filter, **options)
    rate = float(checked_fs(fs)) if fs is not None else found.stated_fs or DEFAULT_FS
    asked = frequency_grid(rate) if freqs is None else frequencies("freqs", freqs)
    fir = found.still_at(rate)
    return ResponseTable(*respond(fir, asked).columns(), _savable(fir), found)


class _FileOptions(TypedDict, total=False):
    """Options of files, beside those of the filter, as `render.job.Options` has them."""

    subtype: str | None
    format: str | None
    gain_db: float
    clip: Literal["warn", "error", "rescale", "float"]
    dither: bool
    precision: Literal["auto", "float32", "float64"]
    device: str
    latency_ms: float | None
    metadata: bool
    repair: bool
    raw: Literal["s16le", "s24le", "s32le", "f32le", "f64le"] | None
    rate: int | None
    channels: int | None
    to_raw: bool
    tail: Literal["cut", "keep"]
    full_scale_spl: float | None
    full_scale: Literal["peak", "rms"]


class FileOptions(FilterOptions, _FileOptions, total=False):
    """All options of one file."""


def apply_file(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    filter: Name,
    *,
    exists: Literal["refuse", "force", "skip"] = "refuse",
    **options: Unpack[FileOptions],
) -> Row:
    """Filter one recording, as ``earfilt apply SOURCE DESTINATION``.

    Parameters
    ----------
    source, destination : path
        The output appears whole or not at all; its extension chooses the container.
    filter : str or path
        As in `apply`.
    exists : 'refuse', 'force' or 'skip'
        What to do if the output exists.
    **options
        Those of the filter, and ``clip``, ``gain_db``, ``subtype``, ``format``, ``dither``,
        ``precision``, ``device``, ``latency_ms``, ``raw``, ``rate``, ``channels``, ``to_raw``,
        ``metadata``, ``repair``, ``tail``, ``full_scale_spl``, ``full_scale`` as on the command
        line.

    Returns
    -------
    Row
        The row of the report.

    Raises
    ------
    UsageError
        The call is refused before any work.
    AudioError
        The file could not be read or written; no output is left.

    Examples
    --------
    >>> row = earfilt.apply_file(recording, "out.wav", "headphone+middle-ear", clip="error")
    >>> row.status, row.frames
    ('ok', 64000)
    """
    from earfilt.render.process import filter_file

    found, chosen = _split(filter, options)
    source, destination = path_of("source", source), path_of("destination", destination)
    name = os.path.basename(source)
    job = FileJob(source, destination, name, found, Options(exists=exists, **chosen))
    return filter_file(job)


def apply_files(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None,
    filter: Name,
    *,
    exists: Literal["refuse", "force", "skip", "resume"] = "refuse",
    in_place: bool = False,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    shard: tuple[int, int] | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    fail_fast: bool = False,
    **options: Unpack[FileOptions],
) -> Iterator[Row]:
    """Filter many recordings, as ``earfilt apply INPUT… OUTPUT``.

    Whatever can be known to fail is refused by the call itself, before the first row.

    Parameters
    ----------
    inputs : path or paths
        Files, directories (mirrored) and globs.
    output : path or None
        Directory of the outputs; None with ``in_place``.
    filter, **options
        As in `apply_file`.
    exists : 'refuse', 'force', 'skip' or 'resume'
    in_place : bool
        Replace the inputs themselves, atomically.
    include, exclude : globs
    shard : (I, N), optional
        Only the I-th of N parts.
    jobs : int, optional
        Files filtered at once; default one per core.
    dask : str, optional
        ``local``, a scheduler's address or its file.
    fail_fast : bool
        Stop at the first file that fails.

    Yields
    ------
    Row
        One for each file, in the order in which they are done; a bad file gives a row with status
        ``failed``.

    Raises
    ------
    UsageError, AudioError
        As the command refuses a call.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np, soundfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "in").mkdir()
    >>> for name in ("a.wav", "b.wav"):
    ...     soundfile.write(folder / "in" / name, np.zeros(800), 16000)
    >>> rows = apply_files(folder / "in", folder / "out", "headphone", jobs=1)
    >>> sorted((row.name, row.status) for row in rows)
    [('a.wav', 'ok'), ('b.wav', 'ok')]
    """
    from earfilt.batch.corpus import Batch, prepare, run
    from earfilt.batch.plan import Rules
    from earfilt.batch.search import Selection

    if in_place == (output is not None):
        raise UsageError("give an output directory, or None with in_place=True")
    found, chosen = _split(filter, options)
    kept = "refuse" if exists == "resume" else exists
    rules = Rules(
        Selection(_words("include", include), _words("exclude", exclude)),
        format=chosen.get("format"),
        subtype=chosen.get("subtype"),
        exists=exists,
        in_place=in_place,
        shard=_shard(shard),
    )
    batch = Batch(
        found,
        Options(exists=kept, in_place=in_place, **chosen),
        rules,
        jobs=None if jobs is None else whole("jobs", jobs),
        fail_fast=flag("fail_fast", fail_fast),
        dask=None if dask is None else text("dask", dask),
    )
    paths = list(_words("inputs", inputs))
    plan = prepare(batch, paths, None if output is None else path_of("output", output))
    return (row for row, _ in run(batch, plan))


def _shard(given: Any) -> tuple[int, int] | None:
    """A part of so many, or UsageError where it is none."""
    if given is None:
        return None
    if not isinstance(given, Iterable) or len(pair := list(given)) != 2:
        raise UsageError(f"shard is {given!r}; it is (I, N), the I-th of N parts")
    part, parts = whole("shard", pair[0]), whole("shard", pair[1])
    if not 1 <= part <= parts:
        raise UsageError(f"shard is ({part}, {parts}); it is (I, N) with I from 1 to N")
    return part, parts


def _words(name: str, given: Any) -> tuple[str, ...]:
    """Paths or patterns, of one or of several."""
    if isinstance(given, str | bytes | os.PathLike):
        given = [given]
    if not isinstance(given, Iterable):
        given = [path_of(name, given)]
    return tuple(path_of(name, one) for one in given)


def _split(name: Name, options: FileOptions) -> tuple[Filter, dict[str, Any]]:
    """The filter, and the options that are of files."""
    given: dict[str, Any] = dict(options)
    own = {key: given.pop(key) for key in list(given) if key in _FileOptions.__annotations__}
    found = resolve(name, **given)
    found.check_design()
    return found, own


def way(start: str, end: str) -> str:
    """The preferred way from one reference point to another, as ``--from`` and ``--to`` choose it:
    the shortest, by ISO 532 where possible.

    Parameters
    ----------
    start, end : str
        ``free field``, ``diffuse field``, ``headphone``, ``ear-canal entrance``, ``eardrum``,
        ``stapes`` or ``cochlea``; hyphens may replace the spaces.

    Returns
    -------
    str
        A filter or a chain, for every call that takes one.

    Raises
    ------
    UsageError
        There is no such point, or no way between the two.

    Examples
    --------
    >>> earfilt.way("diffuse field", "eardrum")
    'iso532-diffuse'
    >>> there = earfilt.way("free field", "diffuse field")  # to the eardrum, and back
    >>> there
    'iso532-free+inverse:iso532-diffuse'
    >>> earfilt.response(there, freqs=[8000.0]).magnitude_db.round(1).tolist()
    [-6.7]
    """
    return ways.name_of(ways.preferred_way(ways.point(start), ways.point(end)))


def filters(name: str | None = None) -> tuple[catalogue.Entry, ...]:
    """The catalogue of published ears, or the entry of one name.

    Examples
    --------
    >>> [ear.full_name for ear in earfilt.filters("headphone")]
    ['headphone']
    """
    return catalogue.entries() if name is None else (catalogue.find(text("name", name)),)
