"""Samples as bytes and back."""

import numpy as np
import pytest

from earfilt.audio.containers import pcm
from earfilt.audio.formats import SUBTYPES

CODES = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24}


def read_back(data: bytes, subtype: str, channels: int) -> np.ndarray:
    width = SUBTYPES[subtype].width
    frames = len(data) // (width * channels)
    room, view = pcm.empty(subtype, frames, channels)
    view[:] = data
    return pcm.decode(room, subtype, frames, channels)


@pytest.mark.parametrize("subtype", CODES)
def test_every_code_survives(subtype):
    bits = CODES[subtype]
    dtype = np.dtype(SUBTYPES[subtype].dtype)
    codes = np.arange(-(1 << bits - 1), 1 << bits - 1, dtype=np.int64) << (
        8 * dtype.itemsize - bits
    )
    block = codes.astype(dtype).reshape(-1, 2)
    data = pcm.encode(block, subtype).tobytes()
    assert len(data) == len(codes) * SUBTYPES[subtype].width
    np.testing.assert_array_equal(read_back(data, subtype, 2), block)


def test_bytes_are_those_of_the_standard():
    block = np.array([[0x01020300, -0x100]], np.int32)
    assert pcm.encode(block, "PCM_24").tobytes() == b"\x03\x02\x01\xff\xff\xff"
    assert (
        pcm.encode(np.array([[-32768, 0, 32512]], np.int16), "PCM_U8").tobytes() == b"\x00\x80\xff"
    )


@pytest.mark.parametrize("subtype", ["PCM_32", "FLOAT", "DOUBLE"])
def test_wide_samples_survive(subtype, rng):
    dtype = SUBTYPES[subtype].dtype
    block = (
        rng.standard_normal((100, 3)).astype(dtype)
        if "float" in dtype
        else rng.integers(-(2**31), 2**31, (100, 3)).astype(dtype)
    )
    np.testing.assert_array_equal(
        read_back(pcm.encode(block, subtype).tobytes(), subtype, 3), block
    )


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_no_frames_are_no_bytes(subtype):
    block = np.empty((0, 2), SUBTYPES[subtype].dtype)
    assert len(pcm.encode(block, subtype)) == 0
    assert read_back(b"", subtype, 2).shape == (0, 2)
