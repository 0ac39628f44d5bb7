"""WAV, WAVEX and RF64 as earfilt writes them."""

import io
import re
import shlex
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from earfilt.audio.containers import wav
from earfilt.audio.containers.chunks import Chunk
from earfilt.audio.formats import Extensible, Target
from earfilt.audio.reader import open_reader
from earfilt.errors import AudioError
from tests.audio.foreign import run, sox_samples
from tests.tools import need

SUBTYPES = {
    "PCM_U8": "int16",
    "PCM_16": "int16",
    "PCM_24": "int32",
    "PCM_32": "int32",
    "FLOAT": "float32",
    "DOUBLE": "float64",
}
CHUNKS = (Chunk(b"bext", bytes(602)), Chunk(b"odd ", b"abc"))


def block(subtype: str, frames: int = 333, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(5)
    dtype = SUBTYPES[subtype]
    if dtype.startswith("float"):
        return rng.uniform(-0.9, 0.9, (frames, channels)).astype(dtype)
    mask = {"PCM_U8": ~0xFF, "PCM_24": ~0xFF}.get(subtype, ~0)
    limits = np.iinfo(dtype)
    return (rng.integers(limits.min, limits.max, (frames, channels)) & mask).astype(dtype)


def write(path, target: Target, data: np.ndarray, **options) -> list[str]:
    with open(path, "w+b", buffering=0) as file:
        writer = wav.WavWriter(file, target, seekable=True, **{"frames": len(data), **options})
        for start in range(0, len(data), 100):
            writer.write(writer.encode(data[start : start + 100]))
        return writer.finish()


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("known", [True, False])
def test_others_read_what_was_written(tmp_path, container, subtype, known):
    path, data = tmp_path / "a.wav", block(subtype)
    write(
        path,
        Target(container, subtype, 44_100, 3),
        data,
        frames=len(data) if known else None,
        before=CHUNKS,
        after=CHUNKS,
    )
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.frames, info.samplerate, info.channels) == (
        container,
        subtype,
        333,
        44_100,
        3,
    )
    np.testing.assert_array_equal(soundfile.read(path, dtype=SUBTYPES[subtype])[0], data)
    full_scale = 1.0 if data.dtype.kind == "f" else 2.0 ** (8 * data.dtype.itemsize - 1)
    np.testing.assert_allclose(sox_samples(path), data / full_scale, atol=2**-30)
    run(need("ffmpeg"), "-v", "error", "-xerror", "-i", path, "-f", "null", "-")
    with open_reader(str(path)) as reader:
        np.testing.assert_array_equal(reader.read(1000), data)
        metadata = reader.info.metadata
    # libsndfile finds no samples behind an odd chunk of RF64, so that it goes to the end
    if container == "RF64":
        assert (metadata.before, metadata.after) == (CHUNKS[:1], (CHUNKS[1], *CHUNKS))
    else:
        assert (metadata.before, metadata.after) == (CHUNKS, CHUNKS)


class Writes(io.RawIOBase):
    """A pipe that remembers each write."""

    def __init__(self):
        self.writes = []

    def write(self, data):
        self.writes.append(bytes(data))
        return len(data)


@pytest.mark.parametrize("frames", [0, 1, 300, 40_000])
@pytest.mark.parametrize("known", [True, False])
def test_a_pipe_gets_the_header_with_the_first_samples(frames, known):
    data, pipe = block("PCM_16", frames, 2), Writes()
    target = Target("WAV", "PCM_16", 8000, 2)
    writer = wav.WavWriter(
        pipe, target, frames=frames if known else None, seekable=False, after=CHUNKS[1:]
    )
    for start in range(0, frames, 100):
        writer.write(writer.encode(data[start : start + 100]))
    writer.finish()
    whole = b"".join(pipe.writes)
    assert len(pipe.writes[0]) == (444 if frames >= 100 else len(whole))
    assert whole[44 : 44 + data.nbytes] == data.tobytes()
    if known:
        assert whole[44 + data.nbytes :] == CHUNKS[1].to_bytes()


SLOW = """
import io, sys, time
import numpy as np
from earfilt.audio.containers import wav
from earfilt.audio.formats import Target
writer = wav.WavWriter(io.FileIO(1, "wb"), Target("WAV", "PCM_16", 48000, 1), frames=None, seekable=False)
for _ in range(5):
    writer.write(writer.encode(np.full((64, 1), 7, np.int16)))
    time.sleep(0.05)
writer.finish()
"""


def test_sox_tells_the_format_of_a_pipe_that_is_filled_slowly():
    slow = shlex.join([sys.executable, "-c", SLOW])
    ended = subprocess.run(
        ["sh", "-c", f"{slow} | {need('sox')} -V1 - -t s16 -"], capture_output=True, check=False
    )
    assert ended.stdout == b"\7\0" * 5 * 64, ended.stderr


def test_sox_tells_the_format_of_a_pipe(tmp_path, recording):
    earfilt = (
        f"{sys.executable} -c 'from earfilt.cli import main; main()' apply "
        f"{shlex.quote(str(recording))} - -f headphone -q"
    )
    ended = subprocess.run(
        ["sh", "-c", f"{earfilt} | {need('sox')} - -n stat"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"Samples read: +64000\n", ended.stderr), ended.stderr


def test_every_size_is_even_and_true(tmp_path):
    path, data = tmp_path / "a.wav", block("PCM_24", 1, 1)
    write(path, Target("WAV", "PCM_24", 8000, 1), data, after=CHUNKS)
    raw = path.read_bytes()
    assert struct.unpack_from("<I", raw, 4)[0] == len(raw) - 8
    at, names = 12, []
    while at < len(raw):
        name, size = struct.unpack_from("<4sI", raw, at)
        names.append(name)
        at += 8 + size + size % 2
    assert at == len(raw)
    assert names == [b"fmt ", b"data", b"bext", b"odd "]


def test_the_channel_mask_is_kept_and_none_is_invented(tmp_path):
    path, data = tmp_path / "a.wav", block("FLOAT")
    guid = bytes.fromhex("0300000000001000800000aa00389b71")
    write(path, Target("WAVEX", "FLOAT", 8000, 3, Extensible(0x0B, guid)), data)
    assert path.read_bytes()[40:60] == struct.pack("<I", 0x0B) + guid
    write(path, Target("WAVEX", "PCM_24", 8000, 3), block("PCM_24"))
    assert path.read_bytes()[40:44] == b"\0\0\0\0"


def test_the_ambisonic_identifier_follows_the_subtype(tmp_path):
    path = tmp_path / "a.wav"
    guid = bytes.fromhex("010000002107d3118644c8c1ca000000")
    write(path, Target("WAVEX", "FLOAT", 8000, 3, Extensible(0, guid)), block("FLOAT"))
    assert path.read_bytes()[44:60] == b"\3" + guid[1:]
    assert soundfile.info(path).subtype == "FLOAT"


def test_a_wav_of_unknown_length_becomes_rf64_in_place(tmp_path, monkeypatch):
    path, data = tmp_path / "a.wav", block("PCM_16", 1000)
    monkeypatch.setattr(wav, "SIZE_WORD", 4000)
    notes = write(
        path, Target("WAV", "PCM_16", 8000, 3), data, frames=None, before=CHUNKS[:1], after=CHUNKS
    )
    assert "RF64" in notes[0]
    info = soundfile.info(path)
    assert (info.format, info.frames) == ("RF64", 1000)
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], data)
    with open_reader(str(path)) as reader:
        assert (reader.info.metadata.before, reader.info.metadata.after) == (CHUNKS[:1], CHUNKS)


def test_sizes_beyond_four_gigabytes_are_stated_in_ds64():
    target = Target("RF64", "PCM_24", 96_000, 2)
    data_bytes = 3 * 2**32
    head = wav.header(target, data_bytes, (), 10, room=False)
    assert struct.unpack_from("<4sI4s4sIQQQI", head) == (
        b"RF64", 0xFFFFFFFF, b"WAVE", b"ds64", 28, len(head) - 8 + data_bytes + 10, data_bytes, 2**31, 0,
    )  # fmt: skip
    assert head[-8:] == b"data\xff\xff\xff\xff"


@pytest.mark.parametrize("frames", [2**30 - 100, 2**30])
def test_the_border_of_wav(frames):
    assert wav.fits(Target("WAV", "PCM_16", 8000, 2), frames, (), ()) == (frames < 2**30)
    assert not wav.fits(
        Target("WAV", "PCM_16", 8000, 2), frames, (Chunk(b"id3 ", bytes(1000)),), ()
    )


class Pipe(io.RawIOBase):
    def __init__(self):
        self.data = b""

    def write(self, data):
        taken = bytes(data)[:77]  # a pipe may take less than it is given
        self.data += taken
        return len(taken)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_a_pipe_gets_its_final_header_first(container):
    pipe, data = Pipe(), block("PCM_16")
    writer = wav.WavWriter(
        pipe, Target(container, "PCM_16", 8000, 3), frames=333, seekable=False, after=CHUNKS
    )
    writer.write(writer.encode(data))
    writer.finish()
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(pipe.data), dtype="int16")[0], data)
    assert pipe.data.endswith(CHUNKS[-1].to_bytes())


@pytest.mark.parametrize("container", ["WAV", "RF64"])
def test_a_pipe_of_unknown_length_is_marked_as_a_stream(tmp_path, container):
    pipe, data = Pipe(), block("PCM_16")
    writer = wav.WavWriter(
        pipe, Target(container, "PCM_16", 8000, 3), frames=None, seekable=False, after=CHUNKS
    )
    writer.write(writer.encode(data))
    writer.finish()
    assert pipe.data.endswith(data.tobytes())
    path = tmp_path / "a.wav"
    path.write_bytes(pipe.data)
    with open_reader(str(path)) as reader:
        np.testing.assert_array_equal(reader.read(1000), data)
    if container == "WAV":
        np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], data)


def test_a_pipe_that_gets_other_than_was_promised_is_an_error():
    writer = wav.WavWriter(Pipe(), Target("WAV", "PCM_16", 8000, 3), frames=300, seekable=False)
    writer.write(writer.encode(block("PCM_16")))
    with pytest.raises(AudioError, match="333 frames came instead of the 300"):
        writer.finish()
