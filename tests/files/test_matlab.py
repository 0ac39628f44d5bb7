"""MATLAB files against scipy's reader and writer."""

import io
import struct

import numpy as np
import pytest
import scipy.io

from earfilt.files.matlab import Unread, read_mat, write_mat

VALUES = {
    "matrix": np.arange(6, dtype="f8").reshape(2, 3) / 7,
    "cube": np.arange(24, dtype="i2").reshape(2, 3, 4),
    "byte": np.uint8(7),
    "long": np.array([[-(1 << 60)]]),
    "single": np.float32([[1.5, -2.5]]),
    "truth": np.array([[True, False]]),
    "text": "µ–耳 and more than four bytes",
    "empty": np.zeros((0, 0)),
}


def saved(values, **options) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, values, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_keep_shape_and_bits(compressed):
    data = saved(VALUES, do_compression=compressed)
    found, wanted = read_mat(data, limit=1 << 20), scipy.io.loadmat(io.BytesIO(data))
    assert found.keys() == VALUES.keys()
    assert found.pop("text") == VALUES["text"]
    for name, value in found.items():
        assert value.shape == wanted[name].shape
        assert np.array_equal(value, wanted[name])


def test_cells_structures_complex_and_sparse_variables_are_named():
    odd = {
        "cell": np.array([[1, "a"]], dtype=object),
        "struct": {"a": 1},
        "z": np.array([1j]),
        "s": scipy.sparse.eye_array(3).tocsc(),
    }
    found = read_mat(saved(odd | {"taps": [1.0, 2.0]}), limit=1 << 20)
    assert found.pop("taps").tolist() == [[1.0, 2.0]]
    kinds = ("a cell array", "a structure", "complex numbers", "a sparse matrix")
    assert found == dict(zip(odd, map(Unread, kinds), strict=True))


def test_numbers_have_the_class_of_their_variable_however_they_are_stored():
    """MATLAB stores whole numbers of class double in one byte each, as this file does."""
    data = write_mat({"taps": np.array([1.0, 2.0, 1.0])})
    double = np.array([1.0, 2.0, 1.0]).tobytes()
    stored = struct.pack("<II", 9, 24) + double
    small = data.replace(stored, struct.pack("<HH", 2, 3) + bytes([1, 2, 1, 0]))
    size = struct.unpack_from("<I", data, 132)[0]
    small = small[:132] + struct.pack("<I", size - 24) + small[136:]
    assert scipy.io.loadmat(io.BytesIO(small))["taps"].tolist() == [[1], [2], [1]]
    assert read_mat(small, limit=1 << 20)["taps"].dtype == np.float64
    assert read_mat(saved({"taps": np.int16([1, 2])}), limit=1 << 20)["taps"].dtype == np.int16


def test_scipy_reads_what_is_written():
    values = {
        "taps": np.arange(5) / 3,
        "fs": 44100.5,
        "odd_ends": True,
        "off": False,
        "meta": '{"a": "b c"}',
        "none": "",
    }
    found = scipy.io.loadmat(io.BytesIO(write_mat(values)), squeeze_me=True)
    assert np.array_equal(found["taps"], values["taps"])
    assert (found["fs"], found["odd_ends"], found["off"], found["meta"]) == (
        44100.5,
        1,
        0,
        '{"a": "b c"}',
    )


def test_unpacking_stops_at_the_limit():
    data = saved({"taps": np.zeros(100_000)}, do_compression=True)
    assert len(data) < 2000
    with pytest.raises(ValueError, match="too large when unpacked"):
        read_mat(data, limit=100_000)
