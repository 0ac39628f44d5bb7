"""Levels and gains: a measurement in dB SPL is not a gain until something says what 0 dB is."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from earfilt.arrays import Floats, floats, namespace
from earfilt.ears.interpolation import check_spline, curve_db
from earfilt.errors import DataError, UsageError, printable
from earfilt.wording import option

FAR_DB = 20.0
"""A curve whose median between 100 Hz and 10 kHz is farther from 0 dB than this holds levels."""

_BAND_HZ = (100.0, 10_000.0)
_PER_OCTAVE = 24
_HIGHEST_FACTOR = 2.0  # what lies between 0 and this may be factors instead of dB
_ROUNDING = 0.01  # of frequencies that are written in few digits, re 1/24 octave
_FINEST = 96


class Values(NamedTuple):
    """Values of a curve: (N,) Hz, ascending; (N,) dB; whether its file says that they are dB,
    whether it says that they are gains, wherever they sit, and whether their name is as often that
    of factors.
    """

    freqs: tuple[float, ...]
    db: tuple[float, ...]
    in_db: bool = True
    are_gains: bool = False
    may_be_linear: bool = False


def gains(
    values: Values,
    subject: str,
    *,
    align: str | None = None,
    absolute: bool = False,
    interpolation: str = "log",
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Gains from what a file holds, and what was done to them, in words.

    Parameters
    ----------
    values : Values
    subject : str
        Name of the file, for messages.
    align : str, optional
        What becomes 0 dB: a frequency in Hz, the ``mean`` over the logarithm of the frequency
        between 100 Hz and 10 kHz, or the ``peak``.
    absolute : bool
        Take the values as gains, wherever they sit.
    interpolation : {'log', 'linear', 'spline'}
        How the curve runs between its points.

    Returns
    -------
    gain_db : (N,) tuple of float
    notes : tuple of str

    Raises
    ------
    DataError
        They are levels, or may be factors, and neither option says how to take them.
    UsageError
        ``align`` is not valid, lies outside the curve, or contradicts ``absolute``; a spline
        through too few or too many points.
    """
    if align is not None and absolute:
        raise UsageError(f"{option('align')} and {option('absolute')} exclude each other")
    if align is not None:
        shift = -_reference(values, align, subject, interpolation)
        label = f"{float(align):g} Hz" if align not in ("mean", "peak") else f"the {align}"
        note = f"{shift:+.2f} dB, which puts {label} at 0 dB"
        return tuple(db + shift for db in values.db), (note,)
    if absolute:
        return values.db, ("taken as gains as they stand",)
    if values.are_gains:
        return values.db, ()
    lowest, highest = min(values.db), max(values.db)
    if holds_levels(values):
        raise DataError(
            subject,
            f"holds levels ({lowest:g} to {highest:g} dB), not gains: {option('align', 1000)} puts "
            f"0 dB at 1 kHz (or {option('align', 'mean')}, {option('align', 'peak')}), "
            f"{option('absolute', True)} takes them as they are; or write a .csv of gains",
        )
    open_unit = not values.in_db and (values.may_be_linear or highest <= _HIGHEST_FACTOR)
    if open_unit and lowest >= 0.0 and any(values.db):
        raise DataError(
            subject,
            f"may hold factors or dB ({lowest:g} to {highest:g}); {option('absolute', True)} takes "
            "them as dB, or write a .csv with the header line 'frequency_hz,gain_db'",
        )
    return values.db, ()


def holds_levels(values: Values) -> bool:
    """Whether a curve sits so far from 0 dB that it must be levels."""
    _, between = evenly(values)
    return abs(sorted(between)[len(between) // 2]) > FAR_DB


def smoothed(freqs: Sequence[float], gain_db: Sequence[float], octaves: float) -> tuple[float, ...]:
    """A curve whose values are averaged: each is the mean of the dB over the given part of an
    octave around it.

    The kernel is rectangular on the logarithm of the frequency, between f·2^(−octaves/2) and
    f·2^(octaves/2); near the ends it covers what lies within the curve. Between its points the
    curve is taken as linear in dB over log frequency, and the mean is exact.

    Parameters
    ----------
    freqs : (N,) Hz, ≥ 0, ascending; the value at 0 Hz stays
    gain_db : (N,) dB
    octaves : float
        Width, > 0.
    """
    if freqs[0] == 0.0:  # no part of an octave lies around it
        return tuple(gain_db[:1]) + smoothed(freqs[1:], gain_db[1:], octaves)
    if len(freqs) == 1:
        return tuple(gain_db)
    xp = namespace(floats([]))
    x, y = xp.log2(floats(freqs)), floats(gain_db)
    areas = xp.concat([floats([0.0]), xp.cumsum(xp.diff(x) * (y[1:] + y[:-1]) / 2.0)])

    def area(at: Floats) -> Floats:
        i = xp.clip(xp.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
        step = at - x[i]
        slope = (y[i + 1] - y[i]) / (x[i + 1] - x[i])
        return areas[i] + step * (y[i] + slope * step / 2.0)

    low = xp.clip(x - octaves / 2.0, x[0], x[-1])
    high = xp.clip(x + octaves / 2.0, x[0], x[-1])
    return tuple(((area(high) - area(low)) / (high - low)).tolist())


def parse_octaves(text: str) -> float:
    """The width of ``--smooth 1/N``, in octaves.

    Raises
    ------
    UsageError
        It is none.

    Examples
    --------
    >>> parse_octaves("1/3")
    0.3333333333333333
    """
    one, stroke, rest = text.strip().partition("/")
    try:
        width = float(one) / (float(rest) if stroke else 1.0)
    except (ValueError, ZeroDivisionError):
        width = math.nan
    if not 1.0 / _FINEST <= width <= 2.0:
        raise UsageError(
            f"{option('smooth', printable(text))}; a part of an octave is written 1/3, from "
            f"1/{_FINEST} to 2"
        )
    return width


def _reference(values: Values, align: str, subject: str, interpolation: str) -> float:
    """The level that becomes 0 dB."""
    if align == "peak":
        return max(values.db)
    if align == "mean":
        _, between = evenly(values, interpolation)
        return math.fsum(between) / len(between)
    try:
        hz = float(align)
    except ValueError:
        hz = math.nan
    if not hz > 0.0:
        raise UsageError(
            f"{option('align', printable(align))}; it is a frequency in Hz, or one of mean and peak"
        )
    if not values.freqs[0] <= hz <= values.freqs[-1]:
        raise UsageError(
            f"{option('align', hz)} lies outside of {subject}, which goes from "
            f"{values.freqs[0]:.12g} to {values.freqs[-1]:.12g} Hz"
        )
    return float(db_at(values, floats([hz]), interpolation)[0])


def evenly(values: Values, interpolation: str = "log") -> tuple[list[float], list[float]]:
    """A curve at equal ratios of frequency between 100 Hz and 10 kHz, as far as it goes; of one
    beyond that, over all of it: Hz and dB.
    """
    first = values.freqs[0] or values.freqs[1]
    low, high = max(first, _BAND_HZ[0]), min(values.freqs[-1], _BAND_HZ[1])
    if low >= high:
        low, high = first, values.freqs[-1]
    count = max(2, round(_PER_OCTAVE * math.log2(high / low)) + 1)
    hz = [low * (high / low) ** (k / (count - 1)) for k in range(count)]
    return hz, db_at(values, floats(hz), interpolation).tolist()


def with_between(freqs: Sequence[float]) -> Iterator[float]:
    """Frequencies (N,) but the last, and those between neighbours that lie farther apart than 1/24
    octave; Hz.
    """
    for low, high in pairwise(freqs):
        ratio = high / low if low else 1.0
        count = max(1, math.ceil(_PER_OCTAVE * math.log2(ratio) - _ROUNDING))
        yield low
        yield from (low * ratio ** (k / count) for k in range(1, count))


def db_at(values: Values, hz: Floats, interpolation: str = "log") -> Floats:
    """dB of a curve at (M,) frequencies in Hz, as its filter has them: (M,).

    Raises
    ------
    UsageError
        A spline through too few or too many points.
    """
    from_zero = values.freqs[0] == 0.0
    if interpolation == "spline":
        check_spline(len(values.freqs) - from_zero)
    known = floats(values.freqs), floats(values.db)
    return curve_db(hz, *known, interpolation=interpolation, from_zero=from_zero)
