"""Frames that a header promises, in formats that libsndfile reads."""

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earfilt.audio.containers import truncation
from earfilt.audio.source import open_source

FORMATS = {"AIFF": "aiff", "CAF": "caf", "AU": "au"}


def promised(path, frames):
    source = open_source(str(path))
    try:
        return truncation.promised_frames(source, source.read(12), None, frames)
    finally:
        source.close()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
def test_whole_files_promise_what_they_hold(tmp_path, name, subtype):
    path = tmp_path / f"a.{FORMATS[name]}"
    soundfile.write(path, np.zeros((1001, 3)), 8000, subtype=subtype, format=name)
    assert promised(path, 1001) in (None, 1001)


@pytest.mark.parametrize("name", FORMATS)
def test_cut_files_promise_more_than_they_hold(tmp_path, name):
    path = tmp_path / f"a.{FORMATS[name]}"
    soundfile.write(path, np.zeros((10_000, 2)), 8000, subtype="PCM_16", format=name)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 4 * 4000])
    assert abs(promised(path, 6000) - 10_000) <= 12


def test_an_au_stream_promises_nothing(tmp_path):
    path = tmp_path / "a.au"
    soundfile.write(path, np.zeros(1000), 8000, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[8:12] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert promised(path, 1000) is None


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"FORM\0\0\0\0AIFF", b"caff\0\1\0\0", b".snd", b"OggS"]),
    st.binary(max_size=300),
    st.integers(0, 2**63),
)
def test_any_bytes_end(tmp_path_factory, magic, body, size):
    path = tmp_path_factory.getbasetemp() / "promise.bin"
    path.write_bytes(magic + body + b"data" + struct.pack(">Q", size) + body + bytes(12))
    result = promised(path, 5)
    assert result is None or result >= 0
