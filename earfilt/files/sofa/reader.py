"""A SOFA file, read once: its hash is that of the bytes that were understood."""

import os
import stat
from typing import BinaryIO, NamedTuple

from earfilt.errors import DataError, UsageError
from earfilt.files.sofa.conventions import Understood, understand
from earfilt.files.sofa.variables import opened
from earfilt.storage.manifest import content_hash
from earfilt.storage.reading import LargeFile, open_regular, shown

__all__ = ["SofaFile", "holds_sofa", "read_sofa"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_NETCDF_3 = (b"CDF\x01", b"CDF\x02", b"CDF\x05")


class SofaFile(NamedTuple):
    """A file by its name and hash, and what it holds."""

    file: LargeFile
    found: Understood


def holds_sofa(path: str | os.PathLike[str]) -> bool:
    """Whether a file is SOFA, by its content or, where that says nothing, by its name."""
    if os.fspath(path).lower().endswith(".sofa"):
        return True
    try:
        with open_regular(path) as file:
            return file.read(8) == _HDF5
    except UsageError:
        return False


def read_sofa(path: str | os.PathLike[str]) -> SofaFile:
    """Read a SOFA file.

    Raises
    ------
    UsageError
        It cannot be opened, or h5py is not installed.
    DataError
        It is no SOFA, netCDF-3, damaged, holds a convention that is not read, or was changed while
        it was read.
    """
    name = shown(path)
    with open_regular(path) as file:
        before = _state(file)
        _check_form(file.read(8), name)
        sha256 = content_hash(file.fileno())
        file.seek(0)
        with opened(file, name) as variables:
            found = understand(variables, name)
        if _state(file) != before:
            raise DataError(name, "was changed while it was read; run it again")
    return SofaFile(LargeFile(os.fspath(path), sha256), found)


def _check_form(start: bytes, name: str) -> None:
    if start.startswith(_NETCDF_3):
        raise DataError(
            name,
            "is netCDF-3, and SOFA is netCDF-4 (HDF5): 'nccopy -k nc4 IN OUT' converts it",
        )
    if start != _HDF5:
        raise DataError(
            name, "is not a SOFA file: those are netCDF-4 (HDF5), and begin with \\x89HDF"
        )


def _state(file: BinaryIO) -> tuple[int, int]:
    known = os.fstat(file.fileno())
    assert stat.S_ISREG(known.st_mode)
    return known.st_size, known.st_mtime_ns
