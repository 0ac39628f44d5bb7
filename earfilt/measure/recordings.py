"""Recordings as signals to measure with: read whole, up to a length that tells all there is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earfilt import wording
from earfilt.arrays import Floats
from earfilt.audio.reader import Reader, open_reader
from earfilt.audio.speakers import is_right_first
from earfilt.engine.samples import SampleFormat
from earfilt.errors import UsageError
from earfilt.storage.manifest import content_hash
from earfilt.storage.reading import shown

LONGEST_S = 600.0
"""Of a recording, as much is read; more would make no curve better."""

MOST_CHANNELS = 2

_BLOCK = 1 << 18
_PIPE = "a recording to measure with is a file, not a pipe"


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording, full scale 1.0.

    Attributes
    ----------
    name : str
        Path, printable.
    sha256 : str
        Of the file.
    fs : int
        Hz.
    samples : (T, channels) float64
        Of two channels the left one comes first, whatever the file's order.
    cut : bool
        Whether the file goes on beyond 10 minutes.
    warnings : tuple of str
        What to know of the file: what was not read of it, or is damaged.
    """

    name: str
    sha256: str
    fs: int
    samples: Floats
    cut: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """1 or 2."""
        return int(self.samples.shape[1])


def read_recording(path: str) -> Recording:
    """Read a sound file.

    Raises
    ------
    AudioError
        It is missing, no audio, damaged.
    UsageError
        It has more than two channels, or comes through a pipe; its samples are not finite.
    """
    if path == "-":
        raise UsageError(_PIPE)
    with wording.without_remedies(), open_reader(path) as reader:
        if not reader.source.seekable:
            raise UsageError(_PIPE)
        if reader.info.channels > MOST_CHANNELS:
            raise UsageError(
                f"{shown(path)} has {reader.info.channels} channels; a measurement has one, or two "
                "for a left and a right ear"
            )
        fs = reader.info.fs
        samples, cut = _samples(reader, int(LONGEST_S * fs))
        info, sha256 = reader.info, content_hash(reader.source.raw.fileno())
    if is_right_first(info):
        samples = samples[:, ::-1]
    wrong = ~np.isfinite(samples)
    if wrong.any():
        frame, channel = (int(one[0]) for one in np.nonzero(wrong))
        raise UsageError(f"{shown(path)} is not finite: channel {channel}, sample {frame} (from 0)")
    return Recording(shown(path), sha256, fs, samples, cut, info.warnings)


def _samples(reader: Reader, most: int) -> tuple[Floats, bool]:
    form = SampleFormat(reader.info.dtype, reader.info.bits)  # type: ignore[arg-type]
    scale = 1.0 / form.full_scale
    blocks: list[npt.NDArray[np.float64]] = []
    left = most
    while left and len(block := reader.read(min(_BLOCK, left))):
        blocks.append(block * scale)
        left -= len(block)
    return np.concatenate(blocks), not left and bool(len(reader.read(1)))


def check_pairs(dry: Sequence[Recording], wet: Sequence[Recording]) -> None:
    """Refuse recordings that cannot be compared.

    Raises
    ------
    UsageError
        Rates that differ; pairs that are none; channels that do not belong together.
    """
    if len(dry) != len(wet):
        raise UsageError(f"{len(dry)} of --input and {len(wet)} of --target; each input needs one")
    rates = {one.fs: one for one in (*dry, *wet)}
    if len(rates) > 1:
        first, second = list(rates.values())[:2]
        raise UsageError(
            f"{first.name} has {first.fs} Hz and {second.name} {second.fs} Hz; convert one to the "
            "rate of the other first"
        )
    ears = {one.channels for one in wet}
    if len(ears) > 1:
        raise UsageError("some targets have one channel and some two; give those of a kind")
    for a, b in zip(dry, wet, strict=True):
        if a.channels > b.channels:
            raise UsageError(
                f"{a.name} has {a.channels} channels and {b.name} {b.channels}: an input of one "
                "channel belongs to each of the target's, one of two channels to a target of two"
            )
