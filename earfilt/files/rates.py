"""The sampling rate of a file, under the names that programs give it."""

import re
from collections.abc import Mapping
from typing import Any

from earfilt.errors import DataError, printable

__all__ = ["stated_fs"]

_NAMES = ("fs", "fsample", "sr", "srate", "samplerate", "samplingrate", "samplefrequency", "samplingfrequency")  # fmt: skip


def stated_fs(found: Mapping[str, Any], subject: str) -> Any:
    """The rate (Hz) that named values state, unchecked; None where they state none.

    Parameters
    ----------
    found : mapping
        All named values of a file.
    subject : str
        The file, printable.

    Raises
    ------
    DataError
        Two names contradict each other.

    Examples
    --------
    >>> stated_fs({"taps": [1.0], "Sample_Rate": 44100}, "a.json"), stated_fs({}, "a.json")
    (44100, None)
    """
    given = [(name, value) for name, value in found.items() if _is_rate(name) and value is not None]
    for name, value in given[1:]:
        if value != given[0][1]:
            raise DataError(
                subject,
                f"states two sampling rates, {given[0][0]} {_excerpt(given[0][1])} and "
                f"{printable(name)} {_excerpt(value)}; leave one",
            )
    return given[0][1] if given else None


def _is_rate(name: str) -> bool:
    return re.sub("[^a-z]", "", name.lower()).removesuffix("hz") in _NAMES


def _excerpt(value: object) -> str:
    return printable(repr(value)[:40])
