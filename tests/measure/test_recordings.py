"""Recordings to measure with: their hash is that of what was read, and pipes are refused."""

import contextlib
import hashlib
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earfilt.errors import AudioError, UsageError
from earfilt.measure.recordings import read_recording


def test_the_hash_is_that_of_the_file(recording: Path) -> None:
    assert (
        read_recording(str(recording)).sha256 == hashlib.sha256(recording.read_bytes()).hexdigest()
    )


def test_a_named_pipe_is_refused(recording: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "in.wav"
    os.mkfifo(pipe)

    def play() -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads it to its end
            pipe.write_bytes(recording.read_bytes())

    writer = threading.Thread(target=play)
    writer.start()
    with pytest.raises(UsageError, match="not a pipe"):
        read_recording(str(pipe))
    writer.join()


def test_the_left_ear_comes_first_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    both = np.stack([np.full(100, 0.25), np.full(100, 0.5)], axis=1)  # right, left
    soundfile.write(tmp_path / "a.caf", both, 16_000, "FLOAT")
    data = (tmp_path / "a.caf").read_bytes()
    labels = b"".join(struct.pack(">I16x", label) for label in (2, 1))
    layout = struct.pack(">III", 0, 0, 2) + labels
    chunk = b"chan" + struct.pack(">q", len(layout)) + layout
    at = data.index(b"data")
    (tmp_path / "a.caf").write_bytes(data[:at] + chunk + data[at:])
    samples = read_recording(str(tmp_path / "a.caf")).samples
    assert samples[:, 0].tolist() == [0.5] * 100
    assert samples[:, 1].tolist() == [0.25] * 100


def test_what_is_not_read_of_a_file_is_told_without_options_of_other_commands(
    recording: Path, tmp_path: Path
) -> None:
    data = bytearray(recording.read_bytes())
    at = data.index(b"data") + 4
    (size,) = struct.unpack_from("<I", data, at)
    data[at : at + 4] = struct.pack("<I", size // 2 & ~7)
    (tmp_path / "half.wav").write_bytes(data)
    (told,) = read_recording(str(tmp_path / "half.wav")).warnings
    assert "are not read: the header states fewer samples than the file holds" in told
    assert "--" not in told
    (tmp_path / "cut.wav").write_bytes(recording.read_bytes()[:-2000])
    with pytest.raises(AudioError, match="is cut short") as refused:
        read_recording(str(tmp_path / "cut.wav"))
    assert "repair" not in str(refused.value)
