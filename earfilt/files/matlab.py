"""MATLAB files of level 5 (``save -v6``, ``-v7``), as far as a FIR needs them: real arrays, truth
values and text; all others by their names.

Own code instead of scipy's reader, which ends the interpreter (SIGSEGV) on some damaged files; here
every size is held against the bytes that are there.

References
----------
The MathWorks. MAT-File Format, chapter "Level 5 MAT-File Format".
"""

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Unread(NamedTuple):
    """A variable whose values are not read, and what it is, in words."""

    kind: str


Value = NDArray[np.generic] | str | Unread

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_UTF8, _INT8, _INT32, _UINT32, _DOUBLE = 16, 1, 5, 6, 9
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", _UTF8: "utf-8", 17: "utf-16", 18: "utf-32"}
_CHAR_CLASS, _DOUBLE_CLASS, _UINT8_CLASS = 4, 6, 9
_NUMBER_CLASSES = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
_OTHER_CLASSES = {1: "a cell array", 2: "a structure", 3: "an object", 5: "a sparse matrix"}
_COMPLEX, _LOGICAL = 0x0800, 0x0200  # array flags, above the class


class _Element(NamedTuple):
    kind: int
    body: bytes


def read_mat(data: bytes, *, limit: int) -> dict[str, Value]:
    """Variables of a level 5 file: real arrays and text; others (cells, structures, complex or
    sparse ones) as what they are.

    Parameters
    ----------
    data : bytes
        The file.
    limit : int
        Most bytes that compressed variables may unpack to, together.

    Returns
    -------
    dict
        Arrays in their own shape and class, text as str, others as `Unread`.

    Raises
    ------
    ValueError
        Not such a file, damaged, or beyond the limit.
    """
    if (
        len(data) < _HEADER
        or data[126:128] not in (b"IM", b"MI")
        or data[125 if data[126:128] == b"IM" else 124] != 1
    ):
        raise ValueError("it is not a MATLAB file of level 5; save it with -v7")
    order = "<" if data[126:128] == b"IM" else ">"
    found: dict[str, Value] = {}
    for element in _elements(data[_HEADER:], order):
        kind, body = element
        if kind == _COMPRESSED:
            unpacked = _unpack(body, limit)
            limit -= len(unpacked)
            kind, body = next(_elements(unpacked, order), _Element(0, b""))
        if kind == _MATRIX:
            found.update(_variable(body, order))
    return found


def write_mat(values: Mapping[str, NDArray[np.float64] | float | bool | str]) -> bytes:
    """A level 5 file: vectors as columns, matrices, numbers, truth values, and ASCII text. Equal values make
    equal bytes.
    """
    header = b"MATLAB 5.0 MAT-file, written by earfilt".ljust(124) + b"\x00\x01IM"
    return header + b"".join(_matrix(name, value) for name, value in values.items())


def _matrix(name: str, value: NDArray[np.float64] | float | bool | str) -> bytes:
    if isinstance(value, str):
        flags, shape, real = _CHAR_CLASS, (1, len(value)), _element(_UTF8, value.encode("ascii"))
    elif isinstance(value, bool):
        flags, shape, real = _UINT8_CLASS | _LOGICAL, (1, 1), _element(2, bytes([value]))
    else:
        column = np.atleast_1d(np.asarray(value, dtype="<f8"))
        array = column[:, None] if column.ndim == 1 else column
        flags, shape, real = _DOUBLE_CLASS, array.shape, _element(_DOUBLE, array.tobytes("F"))
    parts = [
        _element(_UINT32, struct.pack("<II", flags, 0)),
        _element(_INT32, struct.pack("<ii", *shape)),
        _element(_INT8, name.encode("ascii")),
        real,
    ]
    return _element(_MATRIX, b"".join(parts))


def _element(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    """The elements of a level 5 stream; bodies are padded to 8 bytes, and those of up to 4 bytes
    may stand in the tag.
    """
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind >> 16:
            kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            start = at + 8
            end = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > min(end, len(data)):
            raise ValueError("it is cut short or damaged")
        yield _Element(kind, data[start : start + size])
        at = end


def _unpack(packed: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise ValueError(f"it is damaged ({error})") from error
    if len(data) > limit:
        raise ValueError("it is too large when unpacked")
    return data


def _variable(body: bytes, order: str) -> Iterator[tuple[str, Value]]:
    """Name and value of a matrix element; nothing of one without a name, which is not the user's."""
    elements = _elements(body, order)
    flags, shape, name = (next(elements, _Element(0, b"")) for _ in range(3))
    if len(flags.body) != 8 or flags.kind != _UINT32 or shape.kind != _INT32 or len(shape.body) % 4:
        raise ValueError("it is damaged")
    (bits,) = struct.unpack_from(order + "I", flags.body)
    label, kind = name.body.decode("ascii", "replace"), bits & 0xFF
    if not label:
        return
    if kind not in (_CHAR_CLASS, *_NUMBER_CLASSES):
        yield label, Unread(_OTHER_CLASSES.get(kind, "of another class"))
        return
    if bits & _COMPLEX:
        yield label, Unread("complex numbers")
        return
    real = next(elements, _Element(0, b""))
    if kind == _CHAR_CLASS:
        yield label, _text(real, order)
        return
    sizes = struct.unpack(f"{order}{len(shape.body) // 4}i", shape.body)
    yield label, _array(real, sizes, order).astype(_NUMBER_CLASSES[kind])


def _text(real: _Element, order: str) -> str:
    encoding = _ENCODINGS.get(real.kind, "latin-1")
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le" if order == "<" else "-be"
    return real.body.decode(encoding, "replace")


def _array(real: _Element, shape: tuple[int, ...], order: str) -> NDArray[np.generic]:
    """Numbers are stored in the smallest type that holds them, whatever the variable's class."""
    dtype = np.dtype(order + _TYPES.get(real.kind, "V1"))
    if (
        dtype.kind == "V"
        or min(shape, default=0) < 0
        or math.prod(shape) * dtype.itemsize != len(real.body)
    ):
        raise ValueError("it is damaged")
    return np.frombuffer(real.body, dtype).reshape(shape, order="F")
