"""Writes noise at full scale in every subtype of a container, in a process that may die:
``python -m tests.audio.outputs WAV``.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from earfilt.audio.formats import CONTAINERS, SUBTYPES, Subtype, Target
from earfilt.audio.info import Metadata
from earfilt.audio.writer import open_writer

FS = 48_000
SHAPES = [(1, 1), (1, 3), (7, 1), (999, 5), (4097, 8), (65_537, 2), (480_001, 2), (33, 1024)]
"""Frames and channels: single, odd, many, and enough for a thousand packets of a codec."""

LEAST_CORRELATION = {
    "ULAW": 0.999,
    "ALAW": 0.999,
    "VORBIS": 0.5,
    "OPUS": 0.6,
    "MPEG_LAYER_III": 0.6,
}
"""Measured for white noise: Vorbis 0.64, Opus and MP3 0.73; garbage has 0."""
FEW = 48_000
"""Frames below which a codec of frequencies is not asked for likeness, only for length."""


def noise(sample: Subtype, frames: int, channels: int) -> np.ndarray:
    """White noise that takes every code of the subtype; of lossy ones, and floating point, up to
    half of full scale and to 1.
    """
    rng = np.random.default_rng(frames * 2048 + channels)
    if not sample.lossless and not sample.bits:
        return rng.uniform(-0.5, 0.5, (frames, channels)).astype(sample.dtype)
    if not sample.bits:
        return rng.uniform(-1, 1, (frames, channels)).astype(sample.dtype)
    word = np.iinfo(sample.dtype)
    unused = word.bits - sample.bits
    codes = rng.integers(word.min, word.max, (frames, channels), dtype=sample.dtype, endpoint=True)
    return codes >> unused << unused


def write(path: Path, target: Target, x: np.ndarray) -> None:
    """Through earfilt's own writer, of a length that is not known beforehand, in blocks of odd
    size.
    """
    with (
        path.open("wb+", buffering=0) as file,
        open_writer(file, target, Metadata(), frames=None, seekable=True) as writer,
    ):
        for at in range(0, len(x), 65_531):
            writer.write(writer.encode(np.ascontiguousarray(x[at : at + 65_531])))
        writer.finish()


def faults(path: Path, target: Target, x: np.ndarray) -> list[str]:
    """What is wrong with the file that was written, as libsndfile reads it."""
    y, fs = soundfile.read(path, dtype=target.sample.dtype, always_2d=True)
    if fs != target.fs or y.shape != x.shape:
        return [f"{y.shape} at {fs} Hz instead of {x.shape} at {target.fs} Hz"]
    if target.sample.lossless:
        return [] if np.array_equal(x, y) else [f"{np.count_nonzero(x != y)} samples differ"]
    if len(x) < FEW and not target.sample.bits:
        return []
    likeness = min(
        np.corrcoef(a, b)[0, 1] if len(a) > 9 else 1.0 for a, b in zip(x.T, y.T, strict=True)
    )
    least = LEAST_CORRELATION[target.subtype]
    return (
        []
        if likeness > least
        else [f"the correlation with what was written is {likeness:.3f}, {least} is the least"]
    )


def main(name: str) -> int:
    """Print what is wrong with a container; 1 if anything is."""
    container = CONTAINERS[name]
    found = []
    with tempfile.TemporaryDirectory() as top:
        path = Path(top) / "a"
        for subtype in container.subtypes:
            for frames, channels in SHAPES:
                if channels <= container.max_channels:
                    target = Target(name, subtype, FS, channels)
                    x = noise(SUBTYPES[subtype], frames, channels)
                    write(path, target, x)
                    found += [
                        f"{name} {subtype} {x.shape}: {fault}" for fault in faults(path, target, x)
                    ]
    print(*found, sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
