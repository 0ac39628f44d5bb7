"""Sony Wave64, read by earfilt itself."""

import struct
import subprocess

import numpy as np
import pytest
import soundfile

from earfilt.audio.reader import open_reader, probe
from earfilt.errors import AudioError
from tests.audio.foreign import ffmpeg_file, ffmpeg_samples
from tests.tools import need


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.w64"


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_what_libsndfile_writes(path, subtype):
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (333, 3))
    soundfile.write(path, x, 44_100, subtype=subtype)
    with open_reader(str(path)) as reader:
        info = reader.info
        assert (info.container, info.subtype, info.fs, info.channels, info.frames) == (
            "W64",
            subtype,
            44_100,
            3,
            333,
        )
        np.testing.assert_array_equal(reader.read(1000), soundfile.read(path, dtype=info.dtype)[0])


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floating_point_of_ffmpeg_is_not_taken_for_integers(path, subtype):
    ffmpeg_file(path, subtype)
    with open_reader(str(path)) as reader:
        assert reader.info.subtype == subtype
        np.testing.assert_allclose(reader.read(10_000), ffmpeg_samples(path), atol=1e-7)


def test_sizes_that_lie(path):
    soundfile.write(path, np.zeros(1000), 8000, subtype="PCM_16")
    data = path.read_bytes()
    at = data.index(b"data\xf3\xac") + 16
    for size, frames, missing in (
        (0, 1000, 0),
        (24, 1000, 0),
        (2**64 - 1, 1000, 0),
        (2**40, 1000, (2**40 - 24) // 2 - 1000),
    ):
        path.write_bytes(data[:at] + struct.pack("<Q", size) + data[at + 8 :])
        info = probe(str(path))
        assert (info.frames, info.missing) == (frames, missing)
    for cut in (12, 30, 41, 60, at):
        path.write_bytes(data[:cut])
        with pytest.raises(AudioError):
            probe(str(path))


@pytest.mark.parametrize(("codec", "subtype"), [("pcm_alaw", "ALAW"), ("pcm_mulaw", "ULAW")])
def test_codecs_with_an_extended_format(path, codec, subtype):
    """ffmpeg writes one above 48 kHz, and with more than two channels; libsndfile takes it for
    PCM.
    """
    ffmpeg = need("ffmpeg")
    sine = "sine=440:r=96000:d=0.1,volume=4"
    run = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", sine, "-ac", "3", "-c:a", codec, str(path)]
    subprocess.run(run, check=True)
    with open_reader(str(path)) as reader:
        assert (reader.info.subtype, reader.info.channels) == (subtype, 3)
        found = reader.read(10_000)
        assert (found.shape, found.dtype) == ((9600, 3), np.int16)
        np.testing.assert_array_equal(found, ffmpeg_samples(path)[:9600] * 32768.0)
