"""The programs that are compared, each as a function of source, result and filter."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.signal
import soundfile

from benchmarks.harness import PROGRAM, Case, execute, has
from benchmarks.material import Filter, Sound

BLOCK = 1 << 16
# of ffmpeg, by sample format and container
ENCODERS = {
    ("PCM_16", "wav"): "pcm_s16le",
    ("PCM_24", "wav"): "pcm_s24le",
    ("FLOAT", "wav"): "pcm_f32le",
    ("PCM_16", "flac"): "flac",
}


def earfilt(source: Path, result: Path, ear: Filter, *prefix: str) -> None:
    """The command line, as a whole process, behind what is put before it."""
    execute(*prefix, PROGRAM, "apply", source, result, *ear.options, "--force", "-q")


def earfilt_pair(source: Path, result: Path, pair: Path) -> None:
    """The command line through a pair of FIRs."""
    execute(PROGRAM, "apply", source, result, "-f", pair, "--force", "-q")


def sox(source: Path, result: Path, taps: Path) -> None:
    """SoX without dither, as a whole process."""
    execute("sox", "-D", source, result, "fir", taps)


def ffmpeg(source: Path, result: Path, response: Path, encoder: str) -> None:
    """ffmpeg's afir as a whole process; its gain normalisation is off, the factor of 2 that remains
    is taken back.
    """
    graph = "[0:a][1:a]afir=gtype=none:irgain=0.5"
    execute(
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-i",
        source,
        "-i",
        response,
        "-lavfi",
        graph,
        "-c:a",
        encoder,
        result,
    )


def scipy_in_memory(source: Path, result: Path, ear: Filter, dtype: str) -> None:
    """scipy.signal.oaconvolve on the whole file at once, within this process; float64, for 16 bit
    and FLOAT float32.
    """
    kind = "float64" if dtype == "int32" else "float32"
    with soundfile.SoundFile(source) as file:
        fs, subtype, container = file.samplerate, file.subtype, file.format
        x = file.read(dtype=dtype, always_2d=True).astype(kind)
    taps, lookahead, _ = ear.taps()
    y = scipy.signal.oaconvolve(x, taps[:, None].astype(kind), axes=0)[lookahead:][: len(x)]
    if dtype != "float32":
        bits = np.iinfo(dtype)
        unit = 256.0 if dtype == "int32" else 1.0
        y = (np.rint(y / unit) * unit).clip(bits.min, bits.max).astype(dtype)
    soundfile.write(result, y, fs, subtype=subtype, format=container)


def copy(source: Path, result: Path, dtype: str) -> None:
    """Read and write through soundfile without converting, within this process: what no filter can
    beat by much.
    """
    with soundfile.SoundFile(source) as reader:
        kind = {"subtype": reader.subtype, "format": reader.format}
        with soundfile.SoundFile(result, "w", reader.samplerate, reader.channels, **kind) as writer:
            while len(block := reader.read(BLOCK, dtype=dtype)):
                writer.write(block)


class Run(NamedTuple):
    """One program on one file: what to run, its result, and by how many frames that is advanced
    against a causal convolution.
    """

    case: Case
    result: Path
    advance: int


def all_runs(sound: Sound, source: Path, directory: Path, ear: Filter) -> dict[str, Run]:
    """Each program that is installed."""
    result = {
        name: directory / f"{name}.{sound.container}"
        for name in ("earfilt", "SoX", "ffmpeg", "scipy", "copy")
    }
    taps, lookahead, _ = ear.taps()
    runs = {
        "earfilt": Run(
            partial(earfilt, source, result["earfilt"], ear), result["earfilt"], lookahead
        )
    }
    if has("sox"):
        runs["SoX"] = Run(
            partial(sox, source, result["SoX"], ear.for_sox(directory)),
            result["SoX"],
            (len(taps) - 1) // 2,
        )
    if has("ffmpeg"):
        more = ear.for_ffmpeg(directory, sound.channels), ENCODERS[sound.subtype, sound.container]
        runs["ffmpeg"] = Run(partial(ffmpeg, source, result["ffmpeg"], *more), result["ffmpeg"], 0)
    runs["scipy"] = Run(
        partial(scipy_in_memory, source, result["scipy"], ear, sound.dtype),
        result["scipy"],
        lookahead,
    )
    runs["copy"] = Run(partial(copy, source, result["copy"], sound.dtype), result["copy"], 0)
    return runs
