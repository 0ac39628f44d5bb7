"""Whether an array without a name is plainly taps, or sections, a table, an axis or codes.

Nothing in an array says what it is, and as taps any of these makes a sound, a loud one mostly. What
looks like one of them is refused with the way to say it.
"""

import numpy as np
from numpy.typing import NDArray

from earfilt.arrays import Floats

__all__ = ["LARGEST_WHOLE", "doubts"]

LARGEST_WHOLE = 64
"""Whole numbers that reach this are rather codes of a fixed-point format."""

_SECTION = 6  # b0 b1 b2 a0 a1 a2
_MOST_COEFFICIENTS = 64
_MOST_COLUMNS = 16  # of a table; its frequencies need not come first
_INSIDE = 1.0 - 1e-9  # poles of a stable filter
_AUDIBLE = 20.0  # Hz: a rising row that reaches this runs through frequencies
_AXIS = 8  # values that run evenly from 0
_EVEN = 1e-6  # of a step


def doubts(array: NDArray[np.generic], *, named: bool = False, lines: bool = False) -> str:
    """What an array of real numbers seems to be instead of taps, and what to do; empty where nothing
    speaks against taps.

    Parameters
    ----------
    array : (N,) or (M, N) array
        A last column of zeros says that its rows are taps.
    named : bool
        It is called taps: all that is asked is whether it is codes.
    lines : bool
        It was read from lines of text.

    Examples
    --------
    >>> doubts(np.array([[0.2, 0.4, 0.2, 1.0, -0.4, 0.2]])).partition(":")[0]
    'holds 1 section of b0 b1 b2 a0 a1 a2, as scipy has them'
    >>> doubts(np.array([1.0, 2.0, 1.0]))
    ''
    """
    if array.ndim > 2 or not array.size:
        return ""
    if not named and (found := _seen_in(array.astype(np.float64))):
        by_line = lines and array.ndim == 2
        remedy = "stand one a line" if by_line else "need a zero behind each row"
        return f"{found}; taps that only look like this {remedy}"
    largest = float(np.abs(array.astype(np.float64)).max())
    if array.dtype.kind in "iu" and largest >= LARGEST_WHOLE:
        return (
            f"holds {array.dtype.name} up to {largest:.9g}, which may be codes of a fixed-point "
            "format: save floating-point numbers, codes divided by their full scale"
        )
    return ""


def _seen_in(array: Floats) -> str:
    rows = np.atleast_2d(array)
    if not np.isfinite(rows).all() or not rows[:, -1].any():
        return ""
    if array.ndim == 2 and _are_sections(rows):
        count = f"{len(rows)} section{'s' * (len(rows) > 1)}"
        return (
            f"holds {count} of b0 b1 b2 a0 a1 a2, as scipy has them: save them as "
            '{"fs": RATE, "sos": [...]} in a .sos.json'
        )
    if _are_coefficients(rows):
        return (
            "holds the coefficients b and a of a recursive filter: save scipy.signal.tf2sos(b, a) as "
            '{"fs": RATE, "sos": [...]} in a .sos.json'
        )
    count, width = rows.shape
    any_row = rows if count <= _MOST_COLUMNS and width > 2 else ()
    any_column = rows.T if width <= _MOST_COLUMNS and count > 2 else ()
    for axis in (rows[0], rows[:, 0], *any_row, *any_column):
        if _is_axis(axis):
            ends = f"from {axis[0]:.6g} to {axis[-1]:.6g}"
            if min(rows.shape) == 1:
                return f"runs {ends}, as frequencies or times do: save the taps alone"
            return (
                f"holds a table that runs {ends}: save a curve as lines of frequency_hz,gain_db in a "
                ".csv, and taps alone"
            )
    return ""


def _are_sections(rows: Floats) -> bool:
    return (
        rows.shape[1] == _SECTION
        and bool((rows[:, 3] == 1.0).all())
        and bool(rows[:, :3].any(axis=1).all())
    )


def _are_coefficients(rows: Floats) -> bool:
    if len(rows) != 2 or rows.shape[1] > _MOST_COEFFICIENTS:
        return False
    a = rows[1]
    if a[0] != 1.0 or not a[1:].any():
        return False
    return float(np.abs(np.roots(a)).max(initial=0.0)) < _INSIDE


def _is_axis(values: Floats) -> bool:
    """Whether values rise from 0 or above, to frequencies or in even steps."""
    steps = np.diff(values)
    if not len(steps) or values[0] < 0.0 or not (steps > 0.0).all():
        return False
    even = np.abs(steps - steps.mean()).max() <= _EVEN * steps.mean()
    return bool(values[-1] >= _AUDIBLE or (len(values) >= _AXIS and values[0] == 0.0 and even))
