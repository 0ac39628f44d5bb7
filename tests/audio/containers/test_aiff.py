"""Chunks of AIFF files."""

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earfilt.audio.containers import aiff
from earfilt.audio.containers.chunks import Chunk
from earfilt.audio.reader import probe
from earfilt.audio.source import open_source
from earfilt.chains.members import resolve
from earfilt.render.process import FileJob, Options, filter_file
from tests.audio.foreign import run, sox_samples
from tests.tools import need

MARKS = Chunk(b"MARK", struct.pack(">HHIB5s", 1, 1, 100, 5, b"here!"))
CHUNKS = (Chunk(b"NAME", b"odd"), MARKS, Chunk(b"ID3 ", b"ID3\4\0\0\0\0\0\0"))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.aiff"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 1002), 8000, subtype="PCM_24")
    with open(path, "r+b", buffering=0) as file:
        aiff.append_chunks(file, CHUNKS)
    return path


def apply(source, destination, **options):
    fir = source.with_name("one.npy")
    np.save(fir, np.array([1.0]))
    return filter_file(
        FileJob(str(source), str(destination), "a", resolve(str(fir)), Options(**options))
    )


def test_chunks_are_carried_and_others_read_the_file(source, tmp_path):
    out = tmp_path / "b.aif"
    assert apply(source, out).warnings == []
    assert probe(str(out)).metadata.iff == CHUNKS
    assert struct.unpack(">I", out.read_bytes()[4:8])[0] == out.stat().st_size - 8
    np.testing.assert_array_equal(sox_samples(out), sox_samples(source))
    np.testing.assert_array_equal(soundfile.read(out)[0], soundfile.read(source)[0])
    run(need("ffmpeg"), "-v", "error", "-xerror", "-i", out, "-f", "null", "-")


def test_what_has_no_place_elsewhere_is_named_and_texts_cross(source, tmp_path):
    row = apply(source, tmp_path / "b.wav")
    assert row.warnings == ["WAV has no place for MARK, ID3: left behind"]
    assert probe(str(tmp_path / "b.wav")).metadata.tags == (("TITLE", "odd"),)


def test_no_metadata_leaves_them_behind(source, tmp_path):
    apply(source, tmp_path / "b.aiff", metadata=False)
    assert probe(str(tmp_path / "b.aiff")).metadata.iff == ()


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "DOUBLE"])
def test_a_few_frames_stay_as_few(tmp_path, subtype, channels):
    """libsndfile's first header has a chunk more than its last one; what stuck out behind the
    samples was read as samples.
    """
    for frames in (1, 2, 7):
        source, out = tmp_path / f"{frames}.aiff", tmp_path / f"{frames}-out.aiff"
        soundfile.write(
            source,
            np.random.default_rng(0).uniform(-0.5, 0.5, (frames, channels)),
            8000,
            subtype=subtype,
        )
        apply(source, out, precision="float64")
        y, x = soundfile.read(out)[0], soundfile.read(source)[0]
        np.testing.assert_allclose(y, x, rtol=0, atol=1e-15)
        assert struct.unpack(">I", out.read_bytes()[4:8])[0] == out.stat().st_size - 8


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_any_bytes_end(tmp_path_factory, body, size):
    path = tmp_path_factory.getbasetemp() / "chunks.aiff"
    path.write_bytes(b"FORM\0\0\0\0AIFF" + body + b"MARK" + struct.pack(">I", size) + body)
    source = open_source(str(path))
    try:
        assert sum(len(chunk.data) for chunk in aiff.read_chunks(source, [])) <= path.stat().st_size
    finally:
        source.close()
