"""The chunk walker believes no size."""

import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earfilt.audio.containers import chunks, riff
from earfilt.audio.reader import open_reader, probe
from earfilt.audio.source import Source, open_source
from earfilt.errors import AudioError
from tests.audio.foreign import chunk, run, wav_bytes
from tests.tools import need

SAMPLES = np.arange(-500, 500, dtype=np.int16).reshape(-1, 2)


@pytest.fixture
def wav(tmp_path):
    def make(data: bytes):
        path = tmp_path / "a.wav"
        path.write_bytes(data)
        return str(path)

    return make


def test_chunks_on_both_sides_are_kept_in_order(wav):
    before = chunk(b"bext", bytes(602)) + chunk(b"iXML", b"<x/>") + chunk(b"JUNK", b"1234")
    after = (
        chunk(b"LIST", b"INFO" + chunk(b"IENG", b"me\0"))
        + chunk(b"id3 ", b"ID3")
        + chunk(b"cue ", b"\1\0\0\0")
    )
    metadata = probe(wav(wav_bytes(SAMPLES, before=before, after=after))).metadata
    assert [c.id for c in metadata.before] == [b"bext", b"iXML"]
    assert [c.id for c in metadata.after] == [b"LIST", b"id3 ", b"cue "]
    assert metadata.after[1].data == b"ID3"
    assert ("ENGINEER", "me") in metadata.tags


def test_padding_that_was_left_out_is_noticed(wav):
    odd = b"odd " + struct.pack("<I", 3) + b"abc"  # no padding byte
    info = probe(wav(wav_bytes(SAMPLES, before=odd, after=odd + chunk(b"id3 ", b"x"))))
    assert info.frames == 500
    assert [(c.id, c.data) for c in info.metadata.after] == [(b"odd ", b"abc"), (b"id3 ", b"x")]


def test_chunks_between_samples_and_their_description_are_found_once(wav):
    fmt = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16))
    between = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"t\0")) + chunk(b"bext", bytes(602))
    body = b"WAVE" + chunk(b"data", SAMPLES.tobytes()) + between + fmt + chunk(b"cue ", b"abcd")
    info = probe(wav(b"RIFF" + struct.pack("<I", len(body)) + body))
    kept = [part.id for part in (*info.metadata.before, *info.metadata.after)]
    assert kept == [b"LIST", b"bext", b"cue "]
    assert (info.frames, info.metadata.tags, info.warnings) == (1000, (("TITLE", "t"),), ())


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_chunk_of_four_gigabytes_costs_what_is_there(wav, where):
    lie = b"iXML" + struct.pack("<I", 0xFFFFFFF0) + b"x" * 1000
    path = wav(wav_bytes(SAMPLES, **{where: lie}))
    tracemalloc.start()
    if where == "before":
        with pytest.raises(AudioError, match="no data chunk"):
            probe(path)
    else:
        info = probe(path)
        assert info.metadata.after[0].data == b"x" * 1000
        assert any("promises 4294967280 bytes" in line for line in info.warnings)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_metadata_beyond_the_limit_are_left_behind_and_named(wav, monkeypatch):
    monkeypatch.setattr(riff, "MAX_METADATA", 1000)
    info = probe(wav(wav_bytes(SAMPLES, before=chunk(b"iXML", b"x" * 2000) + chunk(b"cart", b"y"))))
    assert [c.id for c in info.metadata.before] == [b"cart"]
    assert "'iXML' of 2000 bytes is too big" in info.warnings[0]


def test_a_chunk_whose_name_would_hide_the_samples_from_other_readers_is_left_behind(wav):
    info = probe(
        wav(wav_bytes(SAMPLES, before=chunk(b"\x01\x00\xa0\x7f", b"x") + chunk(b"cart", b"y")))
    )
    assert [c.id for c in info.metadata.before] == [b"cart"]
    assert "has no legible name" in info.warnings[0]


def test_countless_chunks_end(wav):
    path = wav(wav_bytes(SAMPLES, after=chunk(b"abcd", b"") * 100_000))
    assert len(probe(path).metadata.after) == chunks.MAX_CHUNKS


STREAMED = {
    "never filled in": 0,
    "SoX": 0x7FFFF000,
    "arecord": 0x80000000,
    "older arecord": 0x7FFFFF00,
    "opusdec": 0x7FFFFFFF,
    "oggdec": 0x7FFFFFFF - 44,
    "ffmpeg": 0xFFFFFFFF,
    "the largest RIFF": 0xFFFFFFFF - 36,
    "the largest of whole frames": 0xFFFFFFFC,
}


@pytest.mark.parametrize("program", STREAMED)
@pytest.mark.parametrize("total", [0, 36, 0xFFFFFFFF, None])
def test_sizes_of_streams_are_accepted_in_files_and_told(wav, program, total):
    size = STREAMED[program]
    total = min(size + 36, 0xFFFFFFFF) if total is None else total
    with open_reader(wav(wav_bytes(SAMPLES, data_size=size, size=total))) as reader:
        assert (reader.info.frames, reader.info.missing) == (500, 0)
        assert "does not state its length" in reader.info.warnings[0]
        np.testing.assert_array_equal(reader.read(1000), SAMPLES)
        assert len(reader.read(1000)) == 0


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_what_sox_writes_into_a_pipe_is_a_stream(tmp_path, channels, bits):
    path = tmp_path / "a.wav"
    words = ("-n", "-r", 8000, "-c", channels, "-b", bits, "-t", "wav", "-", "synth", 0.1)
    path.write_bytes(run("sh", "-c", '"$@" | cat', "sh", need("sox"), *words))
    info = probe(str(path))
    assert (info.frames, info.missing, len(info.warnings)) == (800, 0, 1)


@pytest.mark.parametrize("total", [0, 36, 0xFFFFFFFF, None])
@pytest.mark.parametrize(
    "size",
    [
        0x7FFFF004,
        0x7FFFF800,
        0x7FFFFFD0,
        0x80000004,
        0x80000F00,
        0x90000000,
        0xFFFFF000,
        0xFFFFFF00,
    ],
)
def test_a_big_file_cut_short_is_not_taken_for_a_stream(wav, size, total):
    total = min(size + 36, 0xFFFFFFFF) if total is None else total
    info = probe(wav(wav_bytes(SAMPLES, data_size=size, size=total)))
    assert (info.frames, info.missing) == (500, size // 4 - 500)


def test_a_data_chunk_of_no_bytes_before_other_chunks_holds_no_samples(wav):
    data = wav_bytes(SAMPLES[:0], after=chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x\0")))
    with pytest.raises(AudioError, match="no samples"):
        probe(wav(data))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({22: struct.pack("<H", 65_535)}, "65535 channels"),
        ({22: struct.pack("<H", 0)}, "0 channels"),
        ({24: struct.pack("<I", 0)}, "0 Hz"),
        ({24: struct.pack("<I", 0xFFFFFFFF)}, "4294967295 Hz"),
        ({12: b"fmx "}, "no fmt chunk"),
        ({36: b"datx"}, "no data chunk"),
    ],
)
def test_damaged_headers_are_named(wav, change, match):
    data = bytearray(wav_bytes(SAMPLES))
    for at, new in change.items():
        data[at : at + len(new)] = new
    with pytest.raises(AudioError, match=match):
        probe(wav(bytes(data)))


@pytest.mark.parametrize("pad", [b"\x51", b"\x01", b" ", b"\x80", b"\0", b""])
@pytest.mark.parametrize("name", [b"bext", b"abcd"])
def test_padding_may_be_anything_or_missing(wav, pad, name):
    odd = name + struct.pack("<I", 603) + b"x" * 603 + pad
    info = probe(
        wav(
            wav_bytes(
                SAMPLES, before=odd, after=odd + chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x\0"))
            )
        )
    )
    assert [c.id for c in info.metadata.before] == [name]
    assert [c.id for c in info.metadata.after] == [name, b"LIST"]
    assert (info.frames, info.metadata.tags, info.warnings) == (500, (("TITLE", "x"),), ())


def test_padding_behind_samples_of_odd_length(wav):
    data = wav_bytes(SAMPLES)
    fmt = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    body = (
        b"WAVE"
        + chunk(b"fmt ", fmt)
        + b"data"
        + struct.pack("<I", 101)
        + b"\x80" * 101
        + b"\x51"
        + chunk(b"LIST", b"INFO")
    )
    assert [
        c.id for c in probe(wav(data[:4] + struct.pack("<I", len(body)) + body)).metadata.after
    ] == [b"LIST"]


def with_format(samples, tag, channels, bits, align):
    """A WAV whose fmt chunk says what it likes."""
    fmt = struct.pack("<HHIIHH", tag, channels, 48_000, 48_000 * align & 0xFFFFFFFF, align, bits)
    body = b"WAVE" + chunk(b"fmt ", fmt) + chunk(b"data", samples.tobytes())
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("dtype", "tag", "bits"), [("<i2", 1, 16), ("<i4", 1, 32), ("<f4", 3, 32), ("<f8", 3, 64)]
)
@pytest.mark.parametrize("align", [0, 1, 99])
def test_bytes_a_frame_follow_from_channels_and_bits(wav, dtype, tag, bits, align):
    samples = np.arange(-500, 500).astype(dtype).reshape(-1, 2)
    align = {1: samples.itemsize}.get(align, align)  # that of one channel
    with open_reader(wav(with_format(samples, tag, 2, bits, align))) as reader:
        np.testing.assert_array_equal(reader.read(1000), samples)
        assert len(reader.info.warnings) == (align == 99)


def test_floating_point_whose_bits_are_wrong(wav):
    samples = np.linspace(-1, 1, 100, dtype="<f4").reshape(-1, 1)
    with open_reader(wav(with_format(samples, 3, 1, 16, 4))) as reader:
        np.testing.assert_array_equal(reader.read(1000), samples)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("shift", [0, 8])
def test_24_bits_in_four_bytes_lie_at_either_end(wav, channels, shift):
    codes = np.random.default_rng(0).integers(-(2**22), 2**22, (600, channels)).astype("<i4")
    with open_reader(wav(with_format(codes << shift, 1, channels, 24, 4 * channels))) as reader:
        np.testing.assert_array_equal(reader.read(1000), codes << 8)


def test_24_bits_in_three_bytes_that_say_four_are_read_as_three(wav):
    codes = np.random.default_rng(0).integers(-(2**22), 2**22, 600).astype("<i4")
    packed = codes.view(np.uint8).reshape(-1, 4)[:, :3]
    with open_reader(wav(with_format(packed, 1, 1, 24, 4))) as reader:
        np.testing.assert_array_equal(reader.read(1000)[:, 0], codes << 8)


def test_the_floating_point_of_cool_edit_is_refused_with_the_way_out(wav):
    samples = np.random.default_rng(0).normal(0, 3000, 600).astype("<f4")
    with pytest.raises(AudioError, match=r"Cool Edit.*ffmpeg"):
        probe(wav(with_format(samples, 1, 1, 24, 4)))


def test_rf64_takes_its_size_from_ds64(wav):
    plain = wav_bytes(SAMPLES, data_size=0xFFFFFFFF)
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, SAMPLES.nbytes, len(SAMPLES), 0))
    data = (
        b"RF64"
        + struct.pack("<I", 0xFFFFFFFF)
        + b"WAVE"
        + ds64
        + plain[12:]
        + chunk(b"iXML", b"<y/>")
    )
    info = probe(wav(data))
    assert (info.container, info.frames, info.missing) == ("RF64", 500, 0)
    assert info.metadata.after[0].data == b"<y/>"
    lying = data.replace(struct.pack("<Q", SAMPLES.nbytes), struct.pack("<Q", 2**61))
    assert probe(wav(lying)).missing > 2**58
    stream = data.replace(struct.pack("<Q", SAMPLES.nbytes), struct.pack("<Q", 0))[:-12]
    assert (probe(wav(stream)).frames, probe(wav(stream)).missing) == (500, 0)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_end_in_chunks_or_in_an_audio_error(tmp_path_factory, data):
    whole = bytearray(
        wav_bytes(
            SAMPLES,
            before=chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x\0")),
            after=chunk(b"id3 ", b"abc"),
        )
    )
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, 120))
        whole[at : at + 4] = data.draw(
            st.sampled_from(
                [b"\0\0\0\0", b"\xff\xff\xff\xff", b"data", b"fmt ", b"LIST", b"\x01\x02\x03\x04"]
            )
        )
    del whole[data.draw(st.integers(12, len(whole))) :]
    path = tmp_path_factory.getbasetemp() / "fuzzed.wav"
    path.write_bytes(whole)
    source = open_source(str(path))
    try:
        head = riff.read_head(source, source.read(12))
        assert head.data_offset <= len(whole)
        assert sum(len(c.data) for c in head.before) <= len(whole)
    except AudioError:
        pass
    finally:
        source.close()


def test_reading_needs_no_seeking():
    data = wav_bytes(SAMPLES, before=chunk(b"abcd", b"123"), after=chunk(b"id3 ", b"tag"))
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    source = Source(io.FileIO(reading, "rb"), "pipe")
    head = riff.read_head(source, source.read(12))
    assert (head.data_size, head.before) == (SAMPLES.nbytes, [chunks.Chunk(b"abcd", b"123")])
    assert source.read(SAMPLES.nbytes) == SAMPLES.tobytes()
    assert riff.read_rest(source, SAMPLES.nbytes, []).chunks == [chunks.Chunk(b"id3 ", b"tag")]
    source.close()
