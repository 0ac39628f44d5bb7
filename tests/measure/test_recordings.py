"""Recordings to measure with: their hash is that of what was read, and pipes are refused."""

import contextlib
import hashlib
import os
import threading
from pathlib import Path

import pytest

from earfilt.errors import UsageError
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
