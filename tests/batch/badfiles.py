"""Ten kinds of files that cannot be filtered, and words of the reason for each."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf


def _samples(seed: int, frames: int = 4000) -> np.ndarray:
    return 0.3 * np.random.default_rng(seed).uniform(-1, 1, frames)


def _wav(path: Path) -> bytes:
    sf.write(path, _samples(1), 8000)
    return path.read_bytes()


def _cut(path: Path) -> None:
    path.write_bytes(_wav(path)[:5000])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("This is a text file called .wav.\n" * 20)


def _directory(path: Path) -> None:
    path.mkdir()


def _vanished(path: Path) -> None:
    os.symlink("was-here-a-moment-ago.wav", path)


def _nan(path: Path) -> None:
    x = _samples(2)
    x[1234] = np.nan
    sf.write(path, x, 8000, subtype="FLOAT")


def _no_samples(path: Path) -> None:
    sf.write(path, np.zeros(0), 8000)


def _no_rate(path: Path) -> None:
    data = bytearray(_wav(path))
    data[24:28] = struct.pack("<I", 0)
    path.write_bytes(data)


def _damaged(path: Path) -> None:
    flac = path.with_suffix(".flac")
    sf.write(flac, _samples(3, 40_000), 8000)
    data = bytearray(flac.read_bytes())
    data[len(data) // 2 :] = b"\0" * (len(data) - len(data) // 2)
    flac.unlink()
    path.write_bytes(data)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (_cut, "cut short"),
    "empty": (_empty, "is empty"),
    "text": (_text, "not audio"),
    "directory": (_directory, "is a directory"),
    "vanished": (_vanished, "No such file"),
    "nan": (_nan, "channel 0, frame 1234"),
    "no-samples": (_no_samples, "no samples"),
    "no-rate": (_no_rate, "0 Hz"),
    "damaged": (_damaged, "damaged"),
    "pipe": (_pipe, "neither a file nor a directory"),
}


def scatter(root: Path, copies: int) -> dict[str, str]:
    """Put some of each kind into a tree; relative name -> words that its reason must have."""
    wanted = {}
    for kind, (make, words) in KINDS.items():
        for i in range(copies):
            path = root / str(i % 3) / f"bad-{kind}-{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path)
            wanted[path.relative_to(root).as_posix()] = words
    return wanted
