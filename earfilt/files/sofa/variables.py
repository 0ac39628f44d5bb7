"""Variables and attributes of a SOFA file that anyone may have written.

SOFA is netCDF-4, and that is HDF5, a format that may point to other files: by external and soft
links, by data sets whose samples lie elsewhere, and by virtual ones. None of them is followed. Only
numbers under their own names in the file itself are read, through the compressions that HDF5 brings
along, and no more of them than the file can hold.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from earfilt.arrays import Floats
from earfilt.errors import DataError, UsageError

MOST_NUMBERS = 1 << 27
"""Most numbers of one variable that are read: 1 GiB."""

_MOST_TEXT = 1 << 16  # bytes of an attribute
# deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf: others would load a plug-in
_FILTERS = (1, 2, 3, 4, 5, 6, 32000)
_MOST_DENSE = 1100  # numbers of one byte that deflate makes of one, rounded up
_DAMAGED = (OSError, KeyError, ValueError, TypeError, RuntimeError, LookupError, OverflowError)


class Variables:
    """The root of an open file.

    Parameters
    ----------
    root : h5py.File
    name : str
        Of the file, printable.
    size : int
        Bytes of the file.
    """

    def __init__(self, root: Any, name: str, size: int) -> None:
        self._root, self._name, self._size = root, name, size

    def text(self, name: str, of: str | None = None) -> str:
        """A global attribute, or one of a variable, as a text; empty where there is none."""
        with self._refusing_damage(name):
            holder = self._root if of is None else self._held(of)
            if holder is None or name not in holder.attrs:
                return ""
            stored = holder.attrs.get_id(name)
            if stored.shape is None:  # the way of netCDF to write an empty text
                return ""
            if stored.dtype.itemsize > _MOST_TEXT or stored.shape not in ((), (1,)):
                raise DataError(self._name, f"its attribute {name} is not a short text")
            value = holder.attrs[name]
            value = value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value
            if isinstance(value, bytes):
                return value.decode("utf-8", "replace")[:_MOST_TEXT]
            return value[:_MOST_TEXT] if isinstance(value, str) else ""
        raise AssertionError

    def has(self, name: str) -> bool:
        """Whether there is such a variable."""
        with self._refusing_damage(name):
            return self._held(name) is not None
        raise AssertionError

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a variable, whose numbers are not read.

        Raises
        ------
        DataError
            There is none.
        """
        with self._refusing_damage(name):
            return tuple(self._wanted(name).shape)
        raise AssertionError

    def numbers(self, name: str) -> Floats:
        """A variable as float64; all of its numbers are finite.

        Raises
        ------
        DataError
            There is none; it is damaged, too large, lies in another file, or is not finite.
        """
        with self._refusing_damage(name):
            held = self._wanted(name)
            self._check(held, name)
            found = np.asarray(held[()], dtype=np.float64)
        if not np.isfinite(found).all():
            raise DataError(self._name, f"{name} holds numbers that are not finite")
        return found

    def _wanted(self, name: str) -> Any:
        held = self._held(name)
        if held is None:
            raise DataError(self._name, f"the variable {name} is missing")
        return held

    def _held(self, name: str) -> Any:
        """A variable that is in this file under its own name; None where there is none."""
        import h5py

        link = self._root.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise DataError(
                self._name, f"{name} is a link to elsewhere, which is not followed: copy it in"
            )
        held = self._root[name]
        if not isinstance(held, h5py.Dataset):
            raise DataError(self._name, f"{name} is not a variable")
        return held

    def _check(self, held: Any, name: str) -> None:
        """Refuse what would read other files, run foreign code, or take memory that it does not
        fill.
        """
        if held.external or held.is_virtual:
            raise DataError(
                self._name, f"{name} lies in another file, which is not read: copy it in"
            )
        if held.dtype.kind not in "fiu" or held.dtype.itemsize > 16:
            raise DataError(self._name, f"{name} does not hold numbers")
        if held.shape is None or not 0 < held.size <= MOST_NUMBERS:
            raise DataError(
                self._name, f"{name} claims {held.size or 0} numbers; 1 to {MOST_NUMBERS} are read"
            )
        chunk = int(np.prod(held.chunks, dtype=object)) if held.chunks else 0
        if max(held.size, chunk) * held.dtype.itemsize > _MOST_DENSE * self._size + _MOST_TEXT:
            raise DataError(self._name, f"{name} claims more numbers than the file can hold")
        made = held.id.get_create_plist()
        if any(made.get_filter(i)[0] not in _FILTERS for i in range(made.get_nfilters())):
            raise DataError(self._name, f"{name} is compressed in a way that is not read")

    @contextmanager
    def _refusing_damage(self, name: str) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except _DAMAGED as error:
            raise DataError(self._name, f"{name} cannot be read, the file is damaged") from error


@contextmanager
def opened(file: BinaryIO, name: str) -> Iterator[Variables]:
    """The variables of an open HDF5 file.

    Raises
    ------
    UsageError
        h5py is not installed.
    DataError
        It is no HDF5, or damaged.
    """
    size = os.fstat(file.fileno()).st_size
    try:
        root = _h5py().File(file, "r")
    except _DAMAGED as error:
        raise DataError(name, "is cut short or damaged: HDF5 cannot open it") from error
    with root:
        yield Variables(root, name, size)


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise UsageError(
            "SOFA files are read with h5py, which is not installed: pip install 'earfilt[sofa]'"
        ) from error
    return h5py
