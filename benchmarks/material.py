"""Sound files to filter, the same filter for every program, and the float64 oracle."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

from earfilt.chains.members import resolve

FS = 48000
ORACLE = 20 * FS  # frames compared with the oracle


@dataclass(frozen=True)
class Sound:
    """A kind of sound file: pink-like noise, RMS about -20 dBFS."""

    subtype: str
    channels: int
    container: str = "wav"

    @property
    def dtype(self) -> str:
        """How soundfile reads it without converting."""
        return {"PCM_16": "int16", "PCM_24": "int32", "FLOAT": "float32"}[self.subtype]

    @property
    def title(self) -> str:
        """As in the tables."""
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        kind = {"PCM_16": "16 bit", "PCM_24": "24 bit"}.get(self.subtype, self.subtype)
        return f"{channels} {kind}" + (" FLAC" if self.container == "flac" else "")

    def make(self, directory: Path, seconds: int) -> Path:
        """The file of that length; made once."""
        path = directory / f"{self.subtype}-{self.channels}-{seconds}.{self.container}"
        if not path.exists():
            block = self._noise(min(seconds, 60))
            with soundfile.SoundFile(path, "w", FS, self.channels, subtype=self.subtype) as file:
                for at in range(0, seconds, 60):
                    file.write(block[: min(60, seconds - at) * FS])
        return path

    def _noise(self, seconds: int) -> np.ndarray:
        white = np.random.default_rng(self.channels).standard_normal((seconds * FS, self.channels))
        pink = 0.1 * scipy.signal.lfilter([0.3], [1.0, -0.95], white, axis=0)
        if self.dtype == "float32":
            return pink.astype(np.float32)
        whole: np.ndarray = np.rint(
            pink.clip(-1, 1) * (2**15 - 1 if self.dtype == "int16" else 2**23 - 1)
        )
        return whole.astype(self.dtype) << (0 if self.dtype == "int16" else 8)


@dataclass(frozen=True)
class Filter:
    """A filter, by the names that the command line and the other programs know."""

    title: str
    name: str
    order: int

    @property
    def options(self) -> tuple[str, ...]:
        """For ``earfilt apply``."""
        return ("-f", self.name, "--order", str(self.order))

    @cache  # noqa: B019  two instances, alive to the end
    def taps(self) -> tuple[np.ndarray, int, bool]:
        """Effective taps at 48 kHz, look-ahead, odd ends."""
        fir = resolve(self.name, order=self.order).at(FS)
        return fir.taps, fir.lookahead, fir.odd_ends

    def for_sox(self, directory: Path) -> Path:
        """Bare taps; SoX advances the output by half of them, which the comparison undoes."""
        path = directory / f"{self.name}.txt"
        np.savetxt(path, self.taps()[0], fmt="%.17g")
        return path

    def for_two_ears(self, directory: Path) -> Path:
        """A pair of FIRs as long as this one, which differ."""
        path = directory / f"{self.name}-pair.npy"
        np.save(path, np.stack([self.taps()[0], 0.9 * self.taps()[0]]))
        return path

    def for_ffmpeg(self, directory: Path, channels: int) -> Path:
        """An impulse response of as many channels as the sound."""
        path = directory / f"{self.name}-{channels}.wav"
        soundfile.write(
            path, np.repeat(self.taps()[0][:, None], channels, axis=1), FS, subtype="DOUBLE"
        )
        return path

    def expected(self, x: np.ndarray, advance: int) -> np.ndarray:
        """x (frames, channels) convolved in float64 and advanced; exact where no end is near."""
        return scipy.signal.oaconvolve(x, self.taps()[0][:, None], axes=0)[advance:][: len(x)]


HEADPHONE = Filter("headphone, order 512, minimum phase", "headphone", 512)
OUTER_MIDDLE = Filter("outer-middle-ear, order 4096, zero phase", "outer-middle-ear", 4096)


def deviation(source: Path, result: Path, ear: Filter, advance: int) -> str:
    """Largest deviation of a result from the oracle, away from the ends: in codes, or dB re full
    scale for floats.
    """
    subtype = soundfile.info(result).subtype
    margin = ear.order * 2
    x, y = (
        soundfile.read(path, ORACLE, dtype="float64", always_2d=True)[0]
        for path in (source, result)
    )
    inner = slice(margin, min(len(x), len(y)) - margin - advance)
    worst = float(np.abs(y - ear.expected(x, advance)[: len(y)])[inner].max())
    if subtype == "FLOAT":
        return f"{20 * np.log10(max(worst, 1e-20)):.0f}"
    return f"{worst * (2**15 if subtype == 'PCM_16' else 2**23):.2f}"
