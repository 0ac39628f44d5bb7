"""Samples that a header does not state, and recordings that stand one behind the other in a file."""

import io
import os
import re
import struct
import subprocess

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from earfilt.audio.reader import open_reader, probe
from earfilt.audio.recordings import UNKNOWN_LENGTH, find_recordings
from earfilt.audio.source import open_source
from earfilt.errors import AudioError
from tests.audio.foreign import chunk, ffmpeg_samples, run, wav_bytes
from tests.tools import need

RNG = np.random.default_rng(7)
X = RNG.integers(-9000, 9000, 4801).astype(np.int16)
Y = RNG.integers(-9000, 9000, 3001).astype(np.int16)


def read_all(path, **options):
    """Every sample of the first channel, and what is known at the end."""
    with open_reader(str(path), **options) as reader:
        blocks = []
        while len(block := reader.read(1000)):
            blocks.append(block[:, 0].copy())
        return np.concatenate(blocks), reader.info


def coded(samples, container, subtype="PCM_16", fs=48_000):
    file = io.BytesIO()
    sf.write(file, samples, fs, subtype, format=container)
    return bytearray(file.getvalue())


def stale(container):
    """A file that states 1000 of 4801 samples."""
    data = coded(X, container)
    if container == "WAV":
        at = data.index(b"data") + 4
        data[at : at + 4] = struct.pack("<I", 2000)
    elif container == "W64":
        at = data.index(b"data\xf3\xac") + 16
        data[at : at + 8] = struct.pack("<Q", 24 + 2000)
    elif container == "RF64":
        data[28:36] = struct.pack("<Q", 2000)
    elif container == "AIFF":
        at = data.index(b"SSND") + 4
        data[at : at + 4] = struct.pack(">I", 8 + 2000)
        at = data.index(b"COMM") + 10
        data[at : at + 4] = struct.pack(">I", 1000)
    elif container == "CAF":
        at = data.index(b"data") + 4
        data[at : at + 8] = struct.pack(">q", 4 + 2000)
    elif container == "AU":
        data[8:12] = struct.pack(">I", 2000)
    else:
        data[21] &= 0xF0
        data[22:26] = struct.pack(">I", 1000)
    return bytes(data)


@pytest.mark.parametrize("container", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU", "FLAC"])
def test_samples_behind_the_stated_end_are_told_and_taken_if_asked(tmp_path, container):
    path = tmp_path / "a"
    path.write_bytes(stale(container))
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X[:1000])
    assert info.unread > 0
    assert "--ignore-length" in info.warnings[-1]
    heard, info = read_all(path, ignore_length=True)
    np.testing.assert_array_equal(heard, X)
    assert (info.unread, info.warnings) == (0, ())


@pytest.mark.parametrize(
    "container", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU", "FLAC", "OGG", "MP3"]
)
def test_a_whole_file_is_read_the_same_with_ignore_length(tmp_path, container):
    path = tmp_path / "a"
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(container, "PCM_16")
    path.write_bytes(coded(X, container, subtype))
    plain, info = read_all(path)
    asked, again = read_all(path, ignore_length=True)
    np.testing.assert_array_equal(asked, plain)
    assert (info.unread, info.warnings, again.unread, again.warnings) == (0, (), 0, ())


def test_chunks_behind_the_samples_are_not_taken_for_samples(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(X, after=chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x\0"))))
    heard, info = read_all(path, ignore_length=True)
    np.testing.assert_array_equal(heard, X)
    assert info.metadata.tags == (("TITLE", "x"),)


def test_a_size_that_wrapped_at_4_gib_is_told(tmp_path):
    path = tmp_path / "a.wav"
    frames = 2**31 + 500
    path.write_bytes(wav_bytes(X[:500], data_size=1000, size=1036))
    os.truncate(path, 44 + 2 * frames)  # a hole, which takes no room
    assert probe(str(path)).unread == 2 * (frames - 500)
    assert probe(str(path), ignore_length=True).frames == frames


def test_a_pipe_tells_what_followed_its_samples(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, stale("WAV"))
    os.close(writing)
    saved = os.dup(0)
    os.dup2(reading, 0)
    try:
        heard, info = read_all("-")
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reading)
    np.testing.assert_array_equal(heard, X[:1000])
    assert info.unread == 2 * (len(X) - 1000)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_an_aiff_that_sox_wrote_into_a_pipe_is_whole(tmp_path, channels):
    source, path = tmp_path / "a.wav", tmp_path / "a.aiff"
    sf.write(source, np.repeat(X[:999, None], channels, 1), 8000)
    written = subprocess.run(
        [need("sox"), source, "-t", "aiff", "-"], capture_output=True, check=True
    ).stdout
    path.write_bytes(written)
    heard, info = read_all(str(path))
    np.testing.assert_array_equal(heard, X[:999])
    assert (info.missing, info.unread) == (0, 0)
    assert UNKNOWN_LENGTH in info.warnings
    path.write_bytes(written[:-1])
    assert any("no whole frame" in text for text in read_all(str(path))[1].warnings)


@pytest.mark.parametrize(
    "tail", [b"\0" * 512, b"TAG" + bytes(125), b"ID3\4\0\0\0\0\0\x10" + bytes(16)]
)
def test_tags_and_padding_behind_the_chunks_are_no_samples(tmp_path, tail):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(X, after=tail))
    heard, info = read_all(path, ignore_length=True)
    np.testing.assert_array_equal(heard, X)
    assert info.unread == 0
    assert "left behind" in info.warnings[0]


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_joined_recordings_are_told_and_read_as_one_if_asked(tmp_path, container):
    path = tmp_path / "a"
    path.write_bytes(coded(X, container) + coded(Y, container) + coded(X, container))
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert "another recording was joined to the first; --ignore-length takes" in info.warnings[-1]
    heard, info = read_all(path, ignore_length=True)
    np.testing.assert_array_equal(heard, np.concatenate([X, Y, X]))
    assert (info.unread, info.warnings) == (0, ())


OTHER = {
    "a rate": lambda container: coded(Y, container, fs=44_100),
    "channels": lambda container: coded(Y[:3000].reshape(-1, 2), container),
    "a container": lambda container: coded(Y, {"WAV": "FLAC", "FLAC": "WAV"}[container]),
    "a third": lambda container: coded(Y, container) + coded(X, container, fs=8000),
}


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
@pytest.mark.parametrize("other", OTHER)
def test_only_what_can_be_joined_is_said_to_be(tmp_path, container, other):
    first, further = coded(X, container), OTHER[other](container)
    (tmp_path / "a").write_bytes(first + further)
    info = read_all(tmp_path / "a")[1]
    said = info.warnings[-1]
    assert "another recording was joined to the first" in said
    # The way out gives what follows, byte for byte.
    command = re.search(r"'tail -c (\+\d+) INPUT' gives", said)
    assert "--ignore-length" not in said
    assert run("tail", "-c", command[1], tmp_path / "a") == further


def test_a_recording_behind_another_in_a_pipe_has_a_way_out_that_works(tmp_path, monkeypatch):
    first, further = coded(X[:900], "WAV"), coded(Y[:900], "WAV", fs=8000)
    reading, writing = os.pipe()
    os.write(writing, first + further)
    os.close(writing)
    monkeypatch.setattr(os, "dup", lambda _: reading)
    said = read_all("-")[1].warnings[-1]
    assert f"'tail -c +{len(first) + 1} INPUT' gives" in said


def test_a_joined_recording_of_another_format_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(coded(X, "WAV") + coded(Y, "WAV", fs=44_100))
    with pytest.raises(AudioError, match="another format"):
        probe(str(path), ignore_length=True)


def test_a_further_data_chunk_is_told(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(X, after=chunk(b"data", Y.tobytes())))
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert "a further data chunk" in info.warnings[-1]
    assert info.unread == 8 + Y.nbytes


def without_length(data):
    data = bytearray(data)
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    data[26:42] = bytes(16)
    return bytes(data)


def test_flac_of_unknown_length_is_read_whole(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(without_length(coded(X, "FLAC")))
    with open_reader(str(path)) as reader:
        assert reader.info.frames is None
        for _ in range(2):
            np.testing.assert_array_equal(reader.read(100_000)[:, 0], X)
            reader.rewind()
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert info.frames == len(X)


def test_flac_of_unknown_length_cut_short_is_an_error_and_repair_says_so(tmp_path):
    path = tmp_path / "a.flac"
    data = without_length(coded(X, "FLAC"))
    path.write_bytes(data[: len(data) - 100])
    with pytest.raises(AudioError, match="cut short after frame 4096"):
        read_all(path)
    heard, info = read_all(path, repair=True)
    np.testing.assert_array_equal(heard, X[:4096])
    assert "damaged after frame 4096" in info.warnings[-1]


APE_ITEM = struct.pack("<II", 4, 0) + b"Title\0tape"


def ape(flags):
    words = struct.pack("<IIII", 2000, len(APE_ITEM) + 32, 1, flags)
    return b"APETAGEX" + words + bytes(8)


ID3V1 = b"TAG" + b"tape".ljust(125, b" ")
APE = ape(0xA0000000) + APE_ITEM + ape(0x80000000)
TAGS = {
    "ID3v1": ID3V1,
    "ID3v1, extended": b"TAG+" + b"x" * 223 + ID3V1,
    "ID3v2": b"ID3\4\0\0\0\0\0\x10" + b"y" * 16,
    "APE": APE,
    "APE without a header, ID3v1": APE_ITEM + ape(0) + ID3V1,
    "Lyrics3, ID3v1": b"LYRICSBEGININD00002105000022LYRICS200" + ID3V1,
    "Lyrics3 1.0, ID3v1": b"LYRICSBEGINlaLYRICSEND" + ID3V1,
    "padding": bytes(300_000),
    "padding between tags": APE + bytes(99) + ID3V1 + bytes(3),
}
COMPRESSED = {"FLAC": "PCM_16", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}
STRANGE = {"a byte": b"x", "noise": RNG.bytes(99_999) + b"x", "a recording": wav_bytes(Y)}


@pytest.mark.parametrize("tail", TAGS)
@pytest.mark.parametrize("container", COMPRESSED)
def test_tags_and_padding_behind_compressed_sound_are_no_loss(tmp_path, container, tail):
    path = tmp_path / "a"
    data = coded(X, container, COMPRESSED[container])
    path.write_bytes(data)
    alone = read_all(path)[0]
    path.write_bytes(data + TAGS[tail])
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, alone)
    assert (info.unread, info.warnings) == (0, ())


@pytest.mark.parametrize("around", [(b"", b""), (ID3V1, b""), (b"", ID3V1), (bytes(77), APE)])
@pytest.mark.parametrize("tail", STRANGE)
@pytest.mark.parametrize("container", COMPRESSED)
def test_bytes_behind_compressed_sound_are_counted(tmp_path, container, tail, around):
    path = tmp_path / "a"
    data = coded(X, container, COMPRESSED[container])
    path.write_bytes(data)
    alone = read_all(path)[0]
    path.write_bytes(data + around[0] + STRANGE[tail] + around[1])
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, alone)
    begin = len(data) + len(around[0])
    assert info.unread == len(STRANGE[tail])
    assert f"{info.unread} bytes after the samples, from byte {begin} on," in info.warnings[-1]
    assert f"'tail -c +{begin + 1} INPUT' gives them" in info.warnings[-1]


@pytest.mark.parametrize("samples", [1, 4096, 4097, 200_000])
@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("sound", ["noise", "silence"])
def test_the_last_frame_of_a_flac_of_any_kind_is_found(tmp_path, samples, subtype, channels, sound):
    path = tmp_path / "a.flac"
    x = (
        np.zeros((samples, channels))
        if sound == "silence"
        else RNG.normal(0, 0.2, (samples, channels))
    )
    data = coded(x, "FLAC", subtype)
    path.write_bytes(data)
    assert read_all(path)[1].unread == 0
    path.write_bytes(data + b"strange")
    assert read_all(path)[1].unread == 7


@pytest.mark.parametrize(
    "options", [("-0",), ("-8",), ("-b", "16384", "--lax"), ("-b", "65535", "--lax")]
)
def test_the_last_frame_of_another_encoder_is_found(tmp_path, options):
    wav, path = tmp_path / "a.wav", tmp_path / "a.flac"
    sf.write(wav, RNG.normal(0, 0.2, (200_000, 2)), 48_000, "PCM_24")
    run(need("flac"), "-s", *options, wav, "-o", path)
    data = path.read_bytes()
    assert read_all(path)[1].unread == 0
    for tail in (data[:-1], data[-20_000:], RNG.bytes(3_000_000)):
        path.write_bytes(data + tail)
        assert read_all(path)[1].unread == len(tail)


def flac_frames(path):
    """What stands before the frames of a FLAC file, and each frame, by flac's own analysis."""
    run(need("flac"), "-a", "-s", path, "-o", path.with_suffix(".ana"))
    places = [int(at) for at in re.findall(r"offset=(\d+)", path.with_suffix(".ana").read_text())]
    data = path.read_bytes()
    ends = [*places[1:], len(data)]
    return data[: places[0]], [data[at:end] for at, end in zip(places, ends, strict=True)]


DISORDER = {
    "one is lost": lambda frames: frames[:5] + frames[6:],
    "some are lost": lambda frames: frames[:5] + frames[9:],
    "the last but one is lost": lambda frames: frames[:-2] + frames[-1:],
    "one stands twice": lambda frames: frames[:5] + frames[4:],
    "one stands twice for a lost one": lambda frames: frames[:5] + frames[4:7] + frames[8:],
    "two are swapped": lambda frames: [*frames[:4], frames[5], frames[4], *frames[6:]],
}


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("disorder", DISORDER)
def test_flac_frames_that_do_not_follow_one_another_are_an_error(
    tmp_path, disorder, stated, variable
):
    path = tmp_path / "a.flac"
    path.write_bytes(coded(RNG.integers(-9000, 9000, 80_000).astype(np.int16), "FLAC"))
    head, frames = flac_frames(path)
    if variable:  # each states its first sample in place of its number
        frames = [by_samples(frame, 4096 * i) for i, frame in enumerate(frames)]
        path.write_bytes(head + b"".join(frames))
        assert len(read_all(path)[0]) == 80_000
    head = head if stated else without_length(bytearray(head))
    path.write_bytes(head + b"".join(DISORDER[disorder](frames)))
    with pytest.raises(AudioError, match=r"is damaged: its FLAC frames do not follow|cut short"):
        read_all(path)
    assert any("FLAC frames" in text for text in read_all(path, repair=True)[1].warnings) or (
        read_all(path, repair=True)[1].missing
    )


def by_samples(frame, first):
    """A FLAC frame of fixed size with the number of its first sample, as those of other sizes have."""
    length = 8 - (frame[4] ^ 0xFF).bit_length() or 1
    behind = {6: 1, 7: 2}.get(frame[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(frame[2] & 15, 0)
    number = chr(first).encode("utf-8", "surrogatepass")
    header = b"\xff\xf9" + frame[2:4] + number + frame[4 + length : 4 + length + behind]
    data = header + bytes([crc(header, 8, 0x07)]) + frame[5 + length + behind : -2]
    return data + crc(data, 16, 0x8005).to_bytes(2, "big")


def crc(data, bits, polynomial):
    value, top = 0, 1 << bits
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = value << 1
            value ^= (polynomial | top) if value & top else 0
    return value


@pytest.mark.parametrize("tail", ["ID3v1", "APE", "padding"])
def test_tags_behind_a_flac_of_unknown_length_are_its_end(tmp_path, tail):
    path = tmp_path / "a.flac"
    path.write_bytes(without_length(coded(X, "FLAC")) + TAGS[tail])
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert (info.unread, info.warnings) == (0, ())


def test_what_lies_between_joined_flac_files_is_told_though_both_are_read(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(coded(X, "FLAC") + b"strange" + coded(Y, "FLAC") + ID3V1)
    heard, info = read_all(path, ignore_length=True)
    np.testing.assert_array_equal(heard, np.concatenate([X, Y]))
    assert info.unread == 7


def test_a_recording_behind_the_tag_of_a_wav_is_told(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(X) + ID3V1 + wav_bytes(Y))
    info = read_all(path)[1]
    assert info.unread == len(wav_bytes(Y))
    assert "another recording was joined" in info.warnings[-1]
    np.testing.assert_array_equal(read_all(path, ignore_length=True)[0], np.concatenate([X, Y]))


@pytest.mark.parametrize("inside", ["WAV", "FLAC"])
def test_an_id3_tag_before_a_recording_is_passed_over(tmp_path, inside):
    path = tmp_path / "a"
    path.write_bytes(b"ID3\4\0\0\0\0\0\x10" + bytes(16) + stale(inside))
    assert probe(str(path)).unread > 0
    heard, _ = read_all(path, ignore_length=True)
    np.testing.assert_array_equal(heard, X)


def ogg(tmp_path, program, samples, name, fs=48_000):
    """An Ogg file by the field's own encoder, always of the same serial number."""
    wav = tmp_path / (name + ".wav")
    sf.write(wav, samples, fs)
    out = tmp_path / (name + ".ogg")
    run(need(program), *(("-Q", "-s", 7) if program == "oggenc" else ("--quiet", "--serial", 7)), wav, "-o" if program == "oggenc" else out,
        *((out,) if program == "oggenc" else ()))  # fmt: skip
    return out.read_bytes()


@pytest.mark.parametrize("program", ["oggenc", "opusenc"])
@pytest.mark.parametrize("between", [b"", b"junk" * 50])
def test_every_link_of_a_chain_is_read(tmp_path, program, between):
    long = np.tile(X, 6)
    first, second = ogg(tmp_path, program, long, "x"), ogg(tmp_path, program, Y, "y")
    path = tmp_path / "chain.ogg"
    path.write_bytes(first + between + second)
    heard, info = read_all(path)
    parts = [read_all(tmp_path / name)[0] for name in ("x.ogg", "y.ogg")]
    np.testing.assert_array_equal(heard, np.concatenate(parts))
    assert (len(heard), info.frames) == (len(long) + len(Y), len(long) + len(Y))
    assert info.unread == len(between)
    assert [str(len(between)) in warning for warning in info.warnings] == [True] * bool(between)
    # Another decoder hears the same in the first link.
    np.testing.assert_allclose(
        heard[: len(X)], ffmpeg_samples(tmp_path / "x.ogg")[: len(X), 0], atol=2e-4
    )


def test_links_that_differ_are_refused(tmp_path):
    path = tmp_path / "chain.ogg"
    path.write_bytes(ogg(tmp_path, "oggenc", X, "x") + ogg(tmp_path, "oggenc", Y, "y", fs=44_100))
    with pytest.raises(AudioError, match="48000 Hz, then 1 at 44100 Hz"):
        probe(str(path))


def test_a_link_whose_end_is_missing_is_told(tmp_path):
    first, second = ogg(tmp_path, "oggenc", np.tile(X, 10), "x"), ogg(tmp_path, "oggenc", Y, "y")
    path = tmp_path / "chain.ogg"
    path.write_bytes(first[: len(first) // 2] + second)
    with pytest.raises(AudioError, match="pages of it are missing"):
        read_all(path)
    heard, _ = read_all(path, repair=True)
    assert len(heard) >= len(Y)


@pytest.fixture(scope="module")
def mp3(tmp_path_factory):
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    sf.write(path, np.tile(X, 10), 48_000, "MPEG_LAYER_III")
    return path.read_bytes()


@pytest.mark.parametrize("part", [2 / 3, 0.2])
def test_an_mp3_that_ends_before_its_header_says_so_is_cut_short(tmp_path, mp3, part):
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3[: int(part * len(mp3))])
    with pytest.raises(AudioError, match="cut short"):
        read_all(path)
    heard, info = read_all(path, repair=True)
    assert info.missing > 0
    assert 0 < len(heard) < 48_010


def test_an_mp3_that_lacks_less_than_a_frame_warns(tmp_path, mp3):
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3[:-20])
    assert "20 bytes more than the file holds" in read_all(path)[1].warnings[0]


@pytest.mark.parametrize(
    "before",
    [
        b"\0" * 3000,
        b"junk" * 200,
        b"ID3\4\0\0\0\0\0\x10" + bytes(16 + 500),
        b"APETAGEX" + bytes(24),
        b"\xff\xfb\x90\0" + b"x" * 99,
    ],
)
def test_an_mp3_behind_anything_is_read(tmp_path, mp3, before):
    plain, behind = tmp_path / "plain.mp3", tmp_path / "behind"
    plain.write_bytes(mp3)
    behind.write_bytes(before + mp3 + b"TAG" + bytes(125))
    np.testing.assert_array_equal(read_all(behind)[0], read_all(plain)[0])


def test_joined_mp3_files_are_read_whole(tmp_path, mp3):
    plain, joined = tmp_path / "plain.mp3", tmp_path / "joined.mp3"
    plain.write_bytes(mp3)
    joined.write_bytes(mp3 + b"TAG" + bytes(125) + mp3)
    once = read_all(plain)[0]
    np.testing.assert_array_equal(read_all(joined)[0], np.concatenate([once, once]))


@pytest.mark.parametrize(
    "options",
    [
        ("-V2",),
        ("-b", "320"),
        ("-t",),
        ("-t", "-V2"),
        ("-t", "-V5", "-m", "m"),
        ("-t", "-V9", "--resample", "16"),
        ("--abr", "100"),
        ("--resample", "22.05"),
        ("--freeformat", "-b", "200"),
    ],
)
def test_whole_mp3_files_of_every_kind_are_whole(tmp_path, options):
    wav, path = tmp_path / "a.wav", tmp_path / "a.mp3"
    samples = np.tile(X, 10)
    samples[20_000:] //= 1000  # so that a variable bit rate varies
    sf.write(wav, samples, 48_000)
    run(need("lame"), "--quiet", *options, wav, path)
    heard, info = read_all(path)
    assert info.warnings == ()
    if options[0] != "--freeformat":  # which ffmpeg does not read
        other = ffmpeg_samples(path)[:, 0]
        assert len(heard) == len(other)
        np.testing.assert_allclose(heard, other, atol=2e-5)


def test_an_mp3_whose_header_states_too_little_is_told(tmp_path, mp3):
    path = tmp_path / "a.mp3"
    at = max(mp3.find(b"Xing"), mp3.find(b"Info")) + 8
    stated = struct.unpack_from(">I", mp3, at)[0]
    path.write_bytes(mp3[:at] + struct.pack(">I", stated // 2) + mp3[at + 4 :])
    heard, info = read_all(path)
    assert info.unread > 0
    assert "--ignore-length" in info.warnings[-1]
    longer, info = read_all(path, ignore_length=True)
    assert info.unread == 0
    assert len(longer) >= 48_010 > len(heard)
    assert len(longer) == len(read_all(path, ignore_length=True, repair=True)[0])


def test_an_mp3_without_a_header_that_ends_within_a_frame_warns(tmp_path):
    wav, path = tmp_path / "a.wav", tmp_path / "a.mp3"
    sf.write(wav, X, 48_000)
    run(need("lame"), "--quiet", "-t", wav, path)
    assert read_all(path)[1].warnings == ()
    path.write_bytes(path.read_bytes()[:-50])
    assert "incomplete" in read_all(path)[1].warnings[0]


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("junk", [1, 300, 1000])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.95])
def test_an_mp3_with_junk_in_it_is_read_to_its_end(tmp_path, part, junk, header):
    wav, path, damaged = (tmp_path / name for name in ("a.wav", "a.mp3", "b.mp3"))
    sf.write(wav, np.random.default_rng(0).uniform(-0.5, 0.5, 100_000), 48_000)
    run(need("lame"), "--quiet", *([] if header else ["-t"]), wav, path)
    data = path.read_bytes()
    at = int(part * len(data))
    damaged.write_bytes(data[:at] + b"\x13" * junk + data[at:])
    assert abs(len(read_all(damaged)[0]) - len(read_all(path)[0])) <= 1152
    info = read_all(damaged)[1]
    assert "among its MPEG frames are not frames" in info.warnings[0]
    assert info.unread >= junk


def test_an_mp3_without_a_header_whose_rest_no_decoder_finds_is_damaged(tmp_path):
    wav, path = tmp_path / "a.wav", tmp_path / "a.mp3"
    sf.write(wav, np.random.default_rng(0).uniform(-0.5, 0.5, 100_000), 48_000)
    run(need("lame"), "--quiet", "-t", wav, path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\x13" * 5000 + data[len(data) // 2 :])
    with pytest.raises(AudioError, match="damaged or cut short"):
        read_all(path)


@pytest.mark.parametrize(
    ("size", "place"), [(0, "AU"), (0xFFFFFFFF, "AU"), (0, "CAF"), (4, "CAF"), (-1, "CAF")]
)
def test_sizes_that_were_never_filled_in_go_to_the_end(tmp_path, size, place):
    data = coded(X, place)
    at = 8 if place == "AU" else data.index(b"data") + 4
    data[at : at + (4 if place == "AU" else 8)] = struct.pack(">I" if place == "AU" else ">q", size)
    path = tmp_path / "a"
    path.write_bytes(data)
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert "does not state its length" in info.warnings[0]


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0xFFFFF000, 0xFFFFFFFE])
def test_an_au_of_gigabytes_that_was_cut_short(tmp_path, size):
    data = coded(X, "AU")
    data[8:12] = struct.pack(">I", size)
    (tmp_path / "a.au").write_bytes(data)
    with pytest.raises(AudioError, match="cut short"):
        read_all(tmp_path / "a.au")


@pytest.mark.parametrize("pad", [b"\0", b"\x51", b""])
def test_chunks_behind_samples_of_odd_length_in_aiff(tmp_path, pad):
    data = coded(X[:4800], "AIFF", "PCM_S8")
    at = data.index(b"SSND") + 4
    data[at : at + 4] = struct.pack(">I", 8 + 4799)
    path = tmp_path / "a.aiff"
    path.write_bytes(data[: at + 12 + 4799] + pad + b"NAME" + struct.pack(">I", 4) + b"tape")
    assert (probe(str(path)).unread, probe(str(path)).warnings) == (0, ())


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [
            b"FORM\0\0\0\0AIFF",
            b"caff\0\1\0\0",
            b".snd",
            b"dns.",
            b"OggS",
            b"fLaC\0\0\0\x22",
            b"\xff\xfb\x90\0",
            b"ID3\4",
            b"NIST_1A\n   1024\nsample_count -i 9\nsample_n_bytes -i 2\n",
            b"FORM\0\0\0\0AIFCCOMM\0\0\0\x16\0\0\0\0\0\x09\0\x04" + bytes(10) + b"ima4SSND",
        ]
    ),
    st.binary(max_size=300),
    st.integers(0, 2**64 - 1),
    st.booleans(),
)
def test_any_bytes_end(tmp_path_factory, magic, body, size, ignore_length):
    path = tmp_path_factory.getbasetemp() / "recordings.bin"
    path.write_bytes(magic + body + b"data" + struct.pack(">Q", size) + body + bytes(12))
    source = open_source(str(path))
    try:
        found = find_recordings(source, source.read(12), None, ignore_length=ignore_length)
        assert found.links
    finally:
        source.close()


def test_a_w64_from_a_pipe_is_read_whole(tmp_path):
    sf.write(tmp_path / "a.wav", X, 48_000)
    path = tmp_path / "a.w64"
    path.write_bytes(run(need("ffmpeg"), "-v", "error", "-i", tmp_path / "a.wav", "-f", "w64", "-"))
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert info.missing == 0
    assert "does not state its length" in info.warnings[0]


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_samples_behind_the_end_of_a_companded_wav(tmp_path, subtype):
    data = coded(X[:4800], "WAV", subtype)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    whole = read_all(path)[0]
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 1000)
    path.write_bytes(data)
    assert probe(str(path)).unread == 3800
    np.testing.assert_array_equal(read_all(path, ignore_length=True)[0], whole)
    path.write_bytes(coded(X, "WAV", subtype)[:-2000])
    assert probe(str(path)).missing > 0


def wav_of(*chunks):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 48_000, 96_000, 2, 16))


def test_every_data_chunk_is_read_if_asked(tmp_path):
    path = tmp_path / "a.wav"
    info = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x\0"))
    path.write_bytes(wav_of(FMT, chunk(b"data", X.tobytes()), info, chunk(b"data", Y.tobytes())))
    assert probe(str(path)).unread == 8 + Y.nbytes
    heard, known = read_all(path, ignore_length=True)
    np.testing.assert_array_equal(heard, np.concatenate([X, Y]))
    assert known.metadata.tags == (("TITLE", "x"),)


def test_samples_before_the_fmt_chunk(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_of(chunk(b"data", X.tobytes()), FMT))
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert info.warnings == ()


def test_a_joined_recording_that_is_cut_short(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(coded(X, "WAV") + coded(Y, "WAV")[:2000])
    with pytest.raises(AudioError, match="cut short"):
        read_all(path, ignore_length=True)
    heard, _ = read_all(path, ignore_length=True, repair=True)
    np.testing.assert_array_equal(heard, np.concatenate([X, Y[: (2000 - 44) // 2]]))


def test_samples_that_look_like_a_chunk_are_samples(tmp_path):
    data = bytearray(stale("WAV"))
    data[2044:2052] = b"abcd\x10\0\0\0"
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    assert probe(str(path)).unread == 2 * (len(X) - 1000)
    heard, _ = read_all(path, ignore_length=True)
    assert heard.tobytes() == bytes(data[44:])


@pytest.mark.parametrize("container", ["CAF", "AU", "AIFF", "W64", "RF64", "WAV"])
@pytest.mark.parametrize("cut", [1, 3, 4, 1001])
def test_a_file_that_is_cut_short_says_how_much_it_promised(tmp_path, container, cut):
    path = tmp_path / "a"
    path.write_bytes(coded(X[:4800].reshape(-1, 2), container)[:-cut])
    with pytest.raises(AudioError, match=f"promises 2400 frames, {2400 - -(-cut // 4)} are there"):
        read_all(path)


def test_a_size_of_0_that_was_never_filled_in_is_read_from_a_pipe_too(tmp_path, monkeypatch):
    data = wav_bytes(X[:3000], data_size=0, size=6036)
    (tmp_path / "a.wav").write_bytes(data)
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    dup = os.dup
    monkeypatch.setattr(os, "dup", lambda file: dup(file) if file else reading)
    for name in (str(tmp_path / "a.wav"), "-"):
        np.testing.assert_array_equal(read_all(name)[0], X[:3000])


def test_a_size_of_0_before_silence_names_the_way_out(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(np.concatenate([np.zeros(50, np.int16), X]), data_size=0, size=9000))
    with pytest.raises(AudioError, match=r"holds no samples: .* --ignore-length takes them"):
        probe(str(path))
    assert len(read_all(path, ignore_length=True)[0]) == 50 + len(X)


def test_what_follows_chunks_is_told(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(X, after=chunk(b"LIST", b"INFO") + b"\x81\x92" * 300))
    for options in ({}, {"ignore_length": True}):
        heard, info = read_all(path, **options)
        np.testing.assert_array_equal(heard, X)
        assert info.unread == 600
        assert "not chunks" in info.warnings[-1]


def test_rifx(tmp_path):
    file = io.BytesIO()
    sf.write(file, X, 48_000, "PCM_16", format="WAV", endian="BIG")
    data = bytearray(file.getvalue())
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert info.warnings == ()
    path.write_bytes(data[:-1000])
    with pytest.raises(AudioError, match="promises 4801 frames, 4301"):
        read_all(path)
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack(">I", 2000)
    path.write_bytes(data)
    assert probe(str(path)).unread == 2 * (len(X) - 1000)
    np.testing.assert_array_equal(read_all(path, ignore_length=True)[0], X)


@pytest.fixture(params=["BIG", "LITTLE"])
def au(request):
    """An AU file of either order of bytes, and how its words are packed."""
    file = io.BytesIO()
    sf.write(file, X, 48_000, "PCM_16", request.param, "AU")
    return bytearray(file.getvalue()), {"BIG": ">I", "LITTLE": "<I"}[request.param]


def test_an_au_of_either_order_of_bytes_that_is_cut_short_is_an_error(tmp_path, au):
    path = tmp_path / "a.au"
    path.write_bytes(au[0][:8000])
    with pytest.raises(AudioError, match="promises 4801 frames, 3988 are there"):
        read_all(path)


@pytest.mark.parametrize("size", [2000, 0, 0xFFFFFFFF])
def test_an_au_of_either_order_of_bytes_that_states_less_than_it_holds(tmp_path, au, size):
    path, (data, word) = tmp_path / "a.au", au
    data[8:12] = struct.pack(word, size)
    path.write_bytes(data)
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X[:1000] if size == 2000 else X)
    assert info.warnings
    np.testing.assert_array_equal(read_all(path, ignore_length=True)[0], X)


@pytest.mark.parametrize("length", range(4, 12))
def test_an_au_cut_off_in_its_header_is_no_audio(tmp_path, length):
    (tmp_path / "a.au").write_bytes(b".snd\0\0\0\x18\0\0\0\x10"[:length])
    with pytest.raises(AudioError):
        probe(str(tmp_path / "a.au"))


def with_more_bytes(container, more):
    """A stereo file of 1200 frames, and then so many bytes that its header counts as samples."""
    data = coded(X[:2400].reshape(-1, 2), container)
    frame = {"AIFF": (b"SSND", 4, ">I"), "CAF": (b"data", 4, ">q"), "AU": (b".snd", 8, ">I"),
             "RF64": (b"ds64", 16, "<Q"), "W64": (b"data\xf3\xac", 16, "<Q")}  # fmt: skip
    name, behind, word = frame.get(container, (b"data", 4, "<I"))
    at = data.index(name) + behind
    stated = struct.unpack_from(word, data, at)[0] + len(more)
    data[at : at + struct.calcsize(word)] = struct.pack(word, stated)
    return bytes(data) + more + bytes(-len(more) % 8)


@pytest.mark.parametrize("options", [{}, {"ignore_length": True}])
@pytest.mark.parametrize("more", [b"\1", b"\1\2", b"\0\0\3"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU"])
def test_bytes_of_no_whole_frame_are_told(tmp_path, container, more, options):
    path = tmp_path / "a"
    path.write_bytes(with_more_bytes(container, more))
    heard, info = read_all(path, **options)
    np.testing.assert_array_equal(heard, X[:2400:2])
    assert info.unread == len(more)
    last = (
        "byte of its samples makes" if len(more) == 1 else f"{len(more)} bytes of its samples make"
    )
    assert f"the last {last} no whole frame of 4" in info.warnings[0]


@pytest.mark.parametrize("container", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU"])
def test_padding_that_was_counted_as_samples_is_no_loss(tmp_path, container):
    path = tmp_path / "a"
    path.write_bytes(with_more_bytes(container, b"\0"))
    info = read_all(path)[1]
    assert info.unread == 0
    assert "makes no whole frame" in info.warnings[0]


@pytest.mark.parametrize("size", [None, 0xFFFFFFFF])
def test_bytes_of_no_whole_frame_at_the_end_of_a_stream(tmp_path, monkeypatch, size):
    data = bytearray(with_more_bytes("WAV", b"\1\2\3")[: 44 + 4803])
    if size:
        data[40:44] = struct.pack("<I", size)
    (tmp_path / "a.wav").write_bytes(data)
    assert read_all(tmp_path / "a.wav")[1].unread == 3
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    monkeypatch.setattr(os, "dup", lambda _: reading)
    heard, info = read_all("-")
    np.testing.assert_array_equal(heard, X[:2400:2])
    assert info.unread == 3
    assert "last 3 bytes" in info.warnings[-1]


MAC = bytes.fromhex("400daddd174600000000")  # 22 254.5454… Hz, the rate of the first Macintoshes


@pytest.mark.parametrize(("container", "shown"), [("AIFF", "22254.54546"), ("CAF", "22050.5")])
def test_a_rate_of_no_whole_hertz_is_told(tmp_path, container, shown):
    data = coded(X, container, fs=22_050)
    at, rate = (
        (data.index(b"COMM") + 16, MAC)
        if container == "AIFF"
        else (20, struct.pack(">d", 22_050.5))
    )
    data[at : at + len(rate)] = rate
    path = tmp_path / "a"
    path.write_bytes(data)
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X)
    assert f"rate of {shown} Hz is read, and written, as {info.fs} Hz" in info.warnings[0]


@pytest.mark.parametrize("fs", [1, 8000, 11_025, 44_100, 97_656, 384_000])
@pytest.mark.parametrize("container", ["AIFF", "CAF"])
def test_a_rate_of_whole_hertz_needs_no_words(tmp_path, container, fs):
    path = tmp_path / "a"
    path.write_bytes(coded(X, container, fs=fs))
    assert (read_all(path)[1].fs, read_all(path)[1].warnings) == (fs, ())


@pytest.mark.parametrize("container", ["AIFF", "AU", "CAF", "OGG", "NIST"])
def test_a_tag_before_a_container_that_has_no_place_for_one_is_refused(tmp_path, container):
    path = tmp_path / "a"
    data = coded(X, container, COMPRESSED.get(container, "PCM_16"))
    path.write_bytes(TAGS["ID3v2"] + data)
    with pytest.raises(AudioError, match=r"'tail -c \+27 INPUT' gives it alone"):
        probe(str(path))


def in_sphere(count=1000, channels=2, more="", samples=X):
    """A SPHERE file that states so many frames of 16 bits."""
    fields = (
        f"NIST_1A\n   1024\nsample_count -i {count}\nsample_rate -i 16000\n"
        f"channel_count -i {channels}\nsample_n_bytes -i 2\nsample_byte_format -s2 01\n"
        f"sample_sig_bits -i 16\nsample_coding -s3 pcm\n{more}end_head\n"
    )
    return fields.encode().ljust(1024) + samples[: 1000 * channels].astype("<i2").tobytes()


@pytest.mark.parametrize("behind", [b"a text of a tool\n" * 30, b"\x81\x92\x0a" * 67])
def test_bytes_behind_the_samples_of_sphere_are_no_sound(tmp_path, behind):
    path = tmp_path / "a.sph"
    path.write_bytes(in_sphere() + behind)
    heard, info = read_all(path)
    np.testing.assert_array_equal(heard, X[:2000:2])
    assert (probe(str(path)).frames, info.unread) == (1000, len(behind))
    assert "header states fewer samples than the file holds; --ignore-length" in info.warnings[0]
    heard, info = read_all(path, ignore_length=True)
    assert len(heard) == 1000 + len(behind) // 4
    assert info.unread == len(behind) % 4
    assert bool(info.warnings) == bool(len(behind) % 4)


def test_zeros_behind_sphere_are_padding(tmp_path):
    path = tmp_path / "a.sph"
    path.write_bytes(in_sphere() + bytes(512))
    heard, info = read_all(path)
    assert (len(heard), info.unread) == (1000, 0)
    assert "512 zero bytes beyond the stated end" in info.warnings[0]


def test_a_sphere_file_that_is_cut_short(tmp_path):
    path = tmp_path / "a.sph"
    path.write_bytes(in_sphere()[:-400])
    with pytest.raises(AudioError, match="promises 1000 frames, 900 are there"):
        read_all(path)
    assert len(read_all(path, repair=True)[0]) == 900


def test_a_whole_sphere_file_needs_no_words(tmp_path):
    path = tmp_path / "a.sph"
    path.write_bytes(in_sphere(more="channels_interleaved -s4 TRUE\nspeaker -s2 ab\n"))
    assert (read_all(path)[1].warnings, read_all(path)[1].unread) == ((), 0)


def test_channels_of_sphere_one_behind_the_other_are_refused(tmp_path):
    path = tmp_path / "a.sph"
    path.write_bytes(in_sphere(more="channels_interleaved -s5 FALSE\n"))
    with pytest.raises(AudioError, match="one behind the other"):
        probe(str(path))


def mpeg(tmp_path, *options, sound=None, suffix=".mp3"):
    """Ten seconds as another encoder writes them."""
    wav, path = tmp_path / "sound.wav", tmp_path / f"coded{suffix}"
    sf.write(wav, RNG.normal(0, 0.1, 480_000) if sound is None else sound, 48_000)
    run(need("ffmpeg"), "-y", "-v", "error", "-i", wav, *options, path)
    return path.read_bytes()


@pytest.mark.parametrize("kbps", [("192k", "64k"), ("64k", "192k"), ("64k", "384k")])
def test_layer_ii_of_changing_bit_rates_is_read_whole(tmp_path, kbps):
    path = tmp_path / "a.mp2"
    path.write_bytes(b"".join(mpeg(tmp_path, "-b:a", rate, suffix=".mp2") for rate in kbps))
    heard, info = read_all(path)
    assert len(heard) == len(ffmpeg_samples(path))
    assert info.warnings == ()


@pytest.mark.parametrize("quality", [("-q:a", "0"), ("-b:a", "128k")])
def test_layer_iii_in_wav_is_read_as_far_as_it_says(tmp_path, quality):
    sound = RNG.normal(0, 0.3, 480_000)
    sound[100_000:] *= 1e-4  # takes fewer bits than the beginning
    path = tmp_path / "a.wav"
    path.write_bytes(mpeg(tmp_path, "-c:a", "libmp3lame", *quality, sound=sound, suffix=".wav"))
    stated = struct.unpack_from("<I", path.read_bytes(), path.read_bytes().index(b"fact") + 8)[0]
    assert abs(len(read_all(path)[0]) - stated) < 1152 <= stated - 480_000 + 1152


@pytest.mark.parametrize("stated", ["all", "fewer", "none"])
def test_an_mp3_begins_with_the_same_sample_whatever_its_header_counts(tmp_path, stated):
    path, data = tmp_path / "a.mp3", bytearray(mpeg(tmp_path, "-b:a", "128k"))
    path.write_bytes(data)
    whole = read_all(path)[0]
    at = max(data.find(b"Info"), data.find(b"Xing"))
    if stated == "fewer":
        (count,) = struct.unpack_from(">I", data, at + 8)
        struct.pack_into(">I", data, at + 8, count - 40)
    elif stated == "none":  # and what follows moves up
        data[at + 7] &= ~1
        data[at + 8 : at + 180] = data[at + 12 : at + 180] + bytes(4)
    path.write_bytes(data)
    np.testing.assert_allclose(read_all(path, ignore_length=True)[0], whole, atol=1e-6)
