"""Audio files made by other programs, and files read by them: the tests' second opinion."""

import struct
import subprocess
from pathlib import Path

import numpy as np

from tests.tools import need

SOX_ENCODINGS = {
    "PCM_U8": ("-e", "unsigned-integer", "-b", "8"),
    "PCM_S8": ("-e", "signed-integer", "-b", "8"),
    "PCM_16": ("-e", "signed-integer", "-b", "16"),
    "PCM_24": ("-e", "signed-integer", "-b", "24"),
    "PCM_32": ("-e", "signed-integer", "-b", "32"),
    "FLOAT": ("-e", "floating-point", "-b", "32"),
    "DOUBLE": ("-e", "floating-point", "-b", "64"),
}
FFMPEG_CODECS = {
    "PCM_U8": "pcm_u8", "PCM_S8": "pcm_s8", "PCM_16": "pcm_s16", "PCM_24": "pcm_s24", "PCM_32": "pcm_s32", "FLOAT": "pcm_f32",
    "DOUBLE": "pcm_f64",
}  # fmt: skip

MATRIX = [
    *(("sox", "wav", "WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "FLOAT", "DOUBLE")),
    *(("sox", "wav", "WAVEX", subtype) for subtype in ("PCM_24", "PCM_32")),
    *(("ffmpeg", "wav", "WAV", subtype) for subtype in ("PCM_U8", "PCM_16")),
    *(("ffmpeg", "wav", "WAVEX", subtype) for subtype in ("PCM_24", "PCM_32")),
    *(
        ("ffmpeg", "rf64", "RF64", subtype)
        for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
    ),
    *(("sox", "w64", "W64", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32")),
    *(("ffmpeg", "w64", "W64", subtype) for subtype in ("FLOAT", "DOUBLE")),
    *(("sox", "aiff", "AIFF", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32")),
    *(("ffmpeg", "aiff", "AIFF", subtype) for subtype in ("FLOAT", "DOUBLE")),
    *(("sox", "caf", "CAF", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32")),
    *(("ffmpeg", "caf", "CAF", subtype) for subtype in ("PCM_16", "FLOAT", "DOUBLE")),
    *(
        ("sox", "au", "AU", subtype)
        for subtype in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
    ),
    *(("sox", "flac", "FLAC", subtype) for subtype in ("PCM_16", "PCM_24")),
]
"""Program, extension, container and subtype of the files that earfilt must give back as it got
them.

SoX scales the floating-point samples of CAF and W64 by 2**31, so that ffmpeg makes those.
"""


def run(*command: object) -> bytes:
    """Run a program that may not fail; what it wrote to its standard output."""
    return subprocess.run([str(word) for word in command], check=True, capture_output=True).stdout


def sox_file(
    path: Path,
    subtype: str = "PCM_16",
    *,
    fs: int = 16_000,
    channels: int = 2,
    seconds: float = 0.2,
) -> Path:
    """Noise at half of full scale, channels differing, written by SoX in the container of the
    extension.
    """
    sox = need("sox")
    kind = () if path.suffix == ".flac" and subtype == "PCM_16" else SOX_ENCODINGS[subtype]
    if path.suffix == ".flac":
        kind = ("-b", subtype[-2:])
    tones = [word for _ in range(channels) for word in ("synth", str(seconds), "pinknoise")][:3]
    run(sox, "-R", "-n", "-r", fs, "-c", channels, *kind, path, *tones, "gain", "-n", "-6")
    return path


def ffmpeg_file(
    path: Path, subtype: str = "PCM_16", *, extra: tuple[str, ...] = (), channels: int = 2
) -> Path:
    """The same made by ffmpeg; ``.rf64`` is its WAV muxer told to write RF64."""
    ffmpeg, sox = need("ffmpeg"), need("sox")
    noise = sox_file(path.with_name(path.name + ".noise.wav"), "PCM_32", channels=channels)
    assert sox
    codec = FFMPEG_CODECS[subtype]
    order = "" if subtype in ("PCM_U8", "PCM_S8") else "be" if path.suffix == ".aiff" else "le"
    rf64 = ("-rf64", "always") if path.suffix == ".rf64" else ()
    muxer = ("-f", "wav") if path.suffix in (".wav", ".rf64") else ()
    run(
        ffmpeg, "-v", "error", "-y", "-i", noise, "-c:a", codec + order, *rf64, *extra, *muxer, path
    )
    noise.unlink()
    return path


def foreign_file(directory: Path, program: str, extension: str, subtype: str) -> Path:
    """One file of the matrix."""
    path = directory / f"{program}-{subtype}.{extension}"
    return sox_file(path, subtype) if program == "sox" else ffmpeg_file(path, subtype)


def sox_samples(path: Path) -> np.ndarray:
    """Every sample as SoX reads it: (frames, channels) float64, full scale 1.0."""
    sox = need("sox")
    channels = int(run(sox, "--i", "-c", path))
    raw = run(sox, path, "-t", "raw", "-e", "signed-integer", "-b", "32", "-")
    return np.frombuffer(raw, "<i4").reshape(-1, channels) / 2.0**31


def ffmpeg_samples(path: Path) -> np.ndarray:
    """Every sample as ffmpeg reads it: (frames, channels) float64, full scale 1.0."""
    ffmpeg, ffprobe = need("ffmpeg"), need("ffprobe")
    channels = int(
        run(
            ffprobe, "-v", "error", "-show_entries", "stream=channels", "-of", "csv=p=0", path
        ).split(b",")[0]
    )
    raw = run(ffmpeg, "-v", "error", "-i", path, "-f", "f64le", "-")
    return np.frombuffer(raw, "<f8").reshape(-1, channels)


def heard(path: Path, subtype: str) -> np.ndarray:
    """Every sample as another program reads it: floating point by ffmpeg, integers by SoX."""
    return ffmpeg_samples(path) if subtype in ("FLOAT", "DOUBLE") else sox_samples(path)


def chunk(name: bytes, data: bytes) -> bytes:
    """A RIFF chunk."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def wav_bytes(
    samples: np.ndarray,
    *,
    fs: int = 8000,
    before: bytes = b"",
    after: bytes = b"",
    data_size: int | None = None,
    size: int | None = None,
) -> bytes:
    """A 16-bit WAV put together by hand, its size words as one likes."""
    block = np.ascontiguousarray(samples if samples.ndim == 2 else samples[:, None], "<i2")
    channels = block.shape[1]
    fmt = struct.pack("<HHIIHH", 1, channels, fs, fs * 2 * channels, 2 * channels, 16)
    data = block.tobytes()
    head = (
        b"WAVE"
        + chunk(b"fmt ", fmt)
        + before
        + b"data"
        + struct.pack("<I", len(data) if data_size is None else data_size)
    )
    body = head + data + after
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body
