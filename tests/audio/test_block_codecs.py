"""Codecs whose blocks hold several frames: as many are read as are of the recording, however the
last block was filled up, and whatever a program wrote about their number.
"""

import struct

import numpy as np
import pytest
import soundfile as sf

from earfilt.audio.reader import probe
from earfilt.errors import AudioError
from tests.audio.foreign import ffmpeg_samples, run, sox_samples
from tests.audio.test_recordings import coded, read_all
from tests.tools import need

TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4081) / 8000)
CODECS = {"IMA_ADPCM": 505, "MS_ADPCM": 500, "GSM610": 320, "G721_32": 120, "NMS_ADPCM_16": 160, "NMS_ADPCM_24": 160,
          "NMS_ADPCM_32": 160}  # fmt: skip
"""Frames of a block, in WAV of 8 kHz by libsndfile."""

SILENT_FACTS = [0, 0xFFFFFFFF]
FALSE_FACTS = [3, 2040, 8162, 32_648, 10**9]


def in_wav(path, subtype, frames=4081, fact=None):
    """A WAV file of so many frames, whose fact chunk says so, or anything else."""
    with sf.SoundFile(path, "w", 8000, 1, subtype, format="WAV") as file:
        file.write(TONE[:frames])
    data = bytearray(path.read_bytes())
    at = data.index(b"fact") + 8
    data[at : at + 4] = struct.pack("<I", frames if fact is None else fact)
    path.write_bytes(data)
    return data


def is_the_tone(samples):
    """Whether samples are the tone's, behind the first ones, which these codecs spoil."""
    return np.all(np.abs(samples / 2**15 - TONE[: len(samples)])[200:] < 0.1)


def whole_blocks(frames, block):
    return -(-frames // block) * block


@pytest.mark.parametrize("frames", [100, 3000, 4081])
@pytest.mark.parametrize("subtype", CODECS)
def test_what_fills_the_last_block_is_no_sound(tmp_path, subtype, frames):
    path = tmp_path / "a.wav"
    in_wav(path, subtype, frames)
    samples, info = read_all(path)
    assert (len(samples), info.frames, probe(str(path)).frames) == (frames, frames, frames)
    assert (info.warnings, info.missing, info.unread) == ((), 0, 0)
    assert is_the_tone(samples)


@pytest.mark.parametrize("fact", [*SILENT_FACTS, *FALSE_FACTS])
@pytest.mark.parametrize("subtype", CODECS)
def test_a_false_number_of_frames_cuts_nothing(tmp_path, subtype, fact):
    path = tmp_path / "a.wav"
    in_wav(path, subtype, fact=fact)
    samples, info = read_all(path)
    assert len(samples) == whole_blocks(len(TONE), CODECS[subtype])
    told = (
        f"its header states {fact} frames, its blocks hold {len(samples)}: what they hold is read"
    )
    assert info.warnings == (() if fact in SILENT_FACTS else (told,))


@pytest.mark.parametrize("codec", ["gsm-full-rate", "ima-adpcm", "ms-adpcm"])
@pytest.mark.parametrize("frames", [100, 4081])
def test_what_sox_writes_is_read_as_long_as_it_was(tmp_path, codec, frames):
    """SoX counts the byte of padding behind an odd number of GSM blocks among the samples."""
    plain, path = tmp_path / "plain.wav", tmp_path / "a.wav"
    sf.write(plain, TONE[:frames], 8000)
    run(need("sox"), plain, "-e", codec, path)
    samples, info = read_all(path)
    assert (len(samples), info.warnings, info.unread) == (frames, (), 0)
    np.testing.assert_allclose(samples / 2.0**15, sox_samples(path)[:frames, 0], atol=0)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("subtype", CODECS)
def test_blocks_go_to_the_end_where_no_size_is_stated(tmp_path, subtype, size):
    path = tmp_path / "a.wav"
    data = in_wav(path, subtype)
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    samples, info = read_all(path)
    assert len(samples) == len(TONE)
    assert "does not state its length" in info.warnings[0]


@pytest.mark.parametrize("subtype", CODECS)
def test_blocks_that_are_cut_off_are_missing(tmp_path, subtype):
    path, block = tmp_path / "a.wav", CODECS[subtype]
    data = in_wav(path, subtype)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(AudioError, match="promises 4081 frames"):
        read_all(path)
    samples, info = read_all(path, repair=True)
    assert info.frames == len(samples) == 4081 - info.missing
    assert len(samples) % (block if subtype != "G721_32" else 2) == 0
    assert is_the_tone(samples)


def test_a_part_of_a_block_is_told_and_not_decoded(tmp_path):
    path = tmp_path / "a.wav"
    data = in_wav(path, "IMA_ADPCM", 505, fact=0)
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 256 + 30)
    path.write_bytes(data[: at + 4 + 256] + b"\x55" * 30)
    samples, info = read_all(path)
    assert (len(samples), info.unread) == (505, 30)
    assert "the last 30 bytes of its samples make no whole block of 256" in info.warnings[0]


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "GSM610", "ALAW"])
@pytest.mark.parametrize("padded", [False, True])
def test_padding_that_w64_counts_as_samples_is_no_sound(tmp_path, subtype, padded):
    """As ffmpeg counts it, which states the number of frames beside."""
    path = tmp_path / "a.w64"
    with sf.SoundFile(path, "w", 8000, 1, subtype, format="W64") as file:
        file.write(TONE)
    data = bytearray(path.read_bytes())
    at = data.index(b"fact") + 24
    data[at : at + 8] = struct.pack("<Q", len(TONE))
    at = data.index(b"data\xf3\xac") + 16
    size = struct.unpack_from("<Q", data, at)[0]
    if padded:
        data[at : at + 8] = struct.pack("<Q", size + -size % 8)
    path.write_bytes(data[: at + size - 16] + bytes(-size % 8))
    samples, info = read_all(path)
    assert (len(samples), info.warnings, info.unread) == (len(TONE), (), 0)


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_alaw"])
def test_what_ffmpeg_writes_as_w64_has_the_frames_it_states(tmp_path, codec):
    plain, path = tmp_path / "plain.wav", tmp_path / "a.w64"
    sf.write(plain, TONE, 8000)
    run(need("ffmpeg"), "-v", "error", "-i", plain, "-c:a", codec, path)
    samples, info = read_all(path)
    assert (len(samples), info.warnings, info.unread) == (len(TONE), (), 0)


@pytest.mark.parametrize("options", [{}, {"ignore_length": True}])
def test_samples_behind_the_end_of_a_companded_w64(tmp_path, options):
    path = tmp_path / "a.w64"
    sf.write(path, TONE[:4080], 8000, "ALAW")
    path.write_bytes(path.read_bytes() + b"\x81\x92" * 400)
    samples, info = read_all(path, **options)
    assert (len(samples), info.unread) == ((4880, 0) if options else (4080, 800))


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "GSM610", "ULAW"])
def test_blocks_behind_the_stated_end_are_taken_if_asked(tmp_path, subtype):
    path = tmp_path / "a.wav"
    data = in_wav(path, subtype, 3200)
    first = read_all(path)[0]
    more = data[data.index(b"data") + 8 :]
    path.write_bytes(data + bytes(range(1, 250)) + more)
    assert read_all(path)[1].unread == 249 + len(more)
    samples = read_all(path, ignore_length=True)[0]
    there = len(data) + 249 + len(more) - data.index(b"data") - 8
    size, frames = {"IMA_ADPCM": (256, 505), "GSM610": (65, 320), "ULAW": (1, 1)}[subtype]
    assert len(samples) == there // size * frames
    np.testing.assert_array_equal(samples[: len(first)], first)


@pytest.mark.parametrize(
    ("subtype", "frames", "stated", "read", "told"),
    [
        ("IMA_ADPCM", 4096, 64, 4096, False),  # counted in packets
        ("IMA_ADPCM", 4096, 4081, 4081, False),
        ("IMA_ADPCM", 4096, 30, 4096, True),
        ("GSM610", 4160, 4081, 4081, False),
        ("GSM610", 4160, 100, 4160, True),
        ("GSM610", 4160, 9999, 4160, True),
    ],
)
def test_frames_that_an_aiff_c_states(tmp_path, subtype, frames, stated, read, told):
    path = tmp_path / "a.aifc"
    data = coded(np.resize(TONE, frames), "AIFF", subtype, 8000)
    at = data.index(b"COMM") + 10
    data[at : at + 4] = struct.pack(">I", stated)
    path.write_bytes(data)
    samples, info = read_all(path)
    assert (len(samples), info.frames) == (read, read)
    assert bool(info.warnings) == told


def test_an_aiff_c_that_ends_within_its_packets_is_cut_short(tmp_path):
    path = tmp_path / "a.aifc"
    data = coded(TONE, "AIFF", "IMA_ADPCM", 8000)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match="promises 4096 frames"):
        read_all(path)


@pytest.mark.parametrize(
    ("valid", "priming", "begin", "end", "told"),
    [
        (5000, 0, 0, 5000, False),
        (4700, 0, 0, 4700, False),
        (4500, 300, 300, 4800, False),
        (100, 0, 0, 5000, True),
        (9000, 0, 0, 5000, True),
    ],
)
def test_frames_by_the_packet_table_of_a_caf(tmp_path, valid, priming, begin, end, told):
    path, samples = tmp_path / "a.caf", np.resize(TONE, 5000)
    data = coded(samples, "CAF", "ALAC_16", 8000)
    at = data.index(b"pakt") + 20
    data[at : at + 12] = struct.pack(">qi", valid, priming)
    path.write_bytes(data)
    heard, info = read_all(path)
    np.testing.assert_allclose(heard / 2**15, samples[begin:end], atol=1 / 2**15)
    assert (info.frames, bool(info.warnings)) == (end - begin, told)


@pytest.mark.parametrize("options", [{}, {"ignore_length": True}])
def test_bytes_behind_the_packets_of_a_caf_are_not_samples(tmp_path, options):
    path = tmp_path / "a.caf"
    path.write_bytes(coded(TONE, "CAF", "ALAC_16", 8000) + b"\x81\x92\3\4" * 9)
    samples, info = read_all(path, **options)
    assert (len(samples), info.unread) == (len(TONE), 36)
    assert "they are no part of the recording" in info.warnings[0]


@pytest.mark.parametrize(("subtype", "bits"), [("G721_32", 4), ("G723_24", 3), ("G723_40", 5)])
@pytest.mark.parametrize("more", [0, 15, 16])
def test_an_au_of_g72x_has_a_frame_for_each_code(tmp_path, subtype, bits, more):
    path = tmp_path / "a.au"
    data = coded(TONE, "AU", subtype, 8000)
    size = 1000 + more
    data[8:12] = struct.pack(">I", size)
    start = struct.unpack_from(">I", data, 4)[0]
    path.write_bytes(data[: start + size])
    samples = read_all(path)[0]
    unit = {4: 1, 3: 3, 5: 5}[bits]
    assert len(samples) == size // unit * unit * 8 // bits
    assert is_the_tone(samples)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [100, 4081])
def test_mp3_inside_wav_has_the_frames_that_are_stated(tmp_path, frames, channels):
    """As ffmpeg writes it, which counts the encoder's delay as well."""
    plain, path = tmp_path / "plain.wav", tmp_path / "a.wav"
    sf.write(plain, np.stack([TONE[:frames]] * channels, 1), 8000)
    run(need("ffmpeg"), "-v", "error", "-i", plain, "-c:a", "libmp3lame", path)
    stated = struct.unpack_from("<I", path.read_bytes(), path.read_bytes().index(b"fact") + 8)[0]
    samples, info = read_all(path)
    assert (len(samples), info.frames, info.warnings) == (stated, stated, ())
    np.testing.assert_allclose(samples, ffmpeg_samples(path)[:stated, 0], atol=1e-4)


@pytest.mark.parametrize("fact", [0, 10, 999_999])
def test_a_false_number_of_frames_cuts_no_mp3_inside_wav(tmp_path, fact):
    plain, path = tmp_path / "plain.wav", tmp_path / "a.wav"
    sf.write(plain, TONE, 8000)
    run(need("ffmpeg"), "-v", "error", "-i", plain, "-c:a", "libmp3lame", path)
    data = bytearray(path.read_bytes())
    at = data.index(b"fact") + 8
    data[at : at + 4] = struct.pack("<I", fact)
    path.write_bytes(data)
    samples, info = read_all(path)
    assert len(samples) == len(ffmpeg_samples(path))
    assert bool(info.warnings) == bool(fact)
