"""Blocks of samples, from a source that does not hold still."""

import os

import numpy as np
import pytest
import soundfile

from earfilt.audio.reader import open_reader
from earfilt.errors import AudioError


def frames_of(reader):
    total = 0
    while len(block := reader.read(1000)):
        total += len(block)
    return total


@pytest.fixture(params=["wav", "flac", "aiff"])
def source(request, tmp_path):
    path = tmp_path / f"a.{request.param}"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 5000), 8000)
    return path


def write_into(path):
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    os.utime(path, ns=(0, 0))


def append(path):
    with open(path, "ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("change", [write_into, append])
def test_a_source_that_is_written_to_while_it_is_read_is_an_error_that_says_so(source, change):
    with open_reader(str(source)) as reader:
        reader.read(10)
        change(source)
        with pytest.raises(AudioError, match=r"changed while it was read|damaged or cut short"):
            frames_of(reader)


def test_repair_takes_what_was_read(source):
    with open_reader(str(source), repair=True) as reader:
        reader.read(10)
        append(source)
        assert frames_of(reader) == 4990


@pytest.mark.parametrize("change", [os.unlink, lambda path: os.replace(_other(path), path)])
def test_a_source_that_is_removed_or_replaced_is_read_as_it_was(source, change):
    with open_reader(str(source)) as reader:
        change(source)
        assert frames_of(reader) == 5000


def _other(path):
    other = path.with_name("other")
    other.write_bytes(b"x")
    return other
