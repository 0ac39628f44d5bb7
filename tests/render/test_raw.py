"""Samples without a header, in and out, against what SoX and ffmpeg make of them."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

import earfilt
from earfilt.audio.formats import RawFormat
from earfilt.audio.reader import open_reader
from earfilt.errors import AudioError, UsageError
from earfilt.render.job import Options
from tests.audio.foreign import run, wav_bytes
from tests.tools import need

ENCODINGS = {"s16le": 16, "s24le": 24, "s32le": 32, "f32le": 0, "f64le": 0}  # bits of integers
CODES = np.random.default_rng(7).integers(-9000, 9000, (20_011, 2)).astype("<i2")


def samples_of(wav, encoding: str) -> bytes:
    """By SoX; floating point by ffmpeg, since SoX makes integers of it."""
    if bits := ENCODINGS[encoding]:
        return run(need("sox"), "-D", wav, "-t", "raw", "-es", f"-b{bits}", "-L", "-")
    return run(need("ffmpeg"), "-v", "error", "-i", wav, "-f", encoding, "-")


@pytest.fixture
def recording(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES, fs=48_000))
    return tmp_path / "a.wav"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_raw_samples_are_those_of_the_file_as_other_programs_have_them(
    tmp_path, recording, encoding
):
    """ffmpeg's raw samples, filtered, are the samples that SoX or ffmpeg finds in the filtered WAV."""
    raw, wav = tmp_path / "a.raw", tmp_path / "b.wav"
    run(need("ffmpeg"), "-v", "error", "-i", recording, "-f", encoding, raw)
    known = {"raw": encoding, "rate": 48_000, "channels": 2}
    row = earfilt.apply_file(raw, wav, "headphone", **known)
    assert (row.source_format, row.format, row.frames) == ("RAW", "WAV", len(CODES))
    earfilt.apply_file(raw, tmp_path / "b.raw", "headphone", to_raw=True, **known)
    wanted = samples_of(wav, encoding)
    assert (tmp_path / "b.raw").read_bytes() == wanted
    # and from a header to none, in the encoding of the input
    run(need("ffmpeg"), "-v", "error", "-f", encoding, "-ar", "48000", "-ac", "2", "-i", raw,
        "-c:a", f"pcm_{encoding}", tmp_path / "c.wav")  # fmt: skip
    row = earfilt.apply_file(tmp_path / "c.wav", tmp_path / "c.raw", "headphone", to_raw=True)
    assert (tmp_path / "c.raw").read_bytes() == wanted
    assert row.format == "RAW"


def test_another_encoding_on_request(tmp_path, recording):
    earfilt.apply_file(recording, tmp_path / "b.pcm", "headphone", to_raw=True, subtype="FLOAT")
    earfilt.apply_file(recording, tmp_path / "b.wav", "headphone", subtype="FLOAT")
    assert (tmp_path / "b.pcm").read_bytes() == samples_of(tmp_path / "b.wav", "f32le")


@pytest.mark.parametrize("size", [1, 5, 4001])
def test_a_part_of_a_frame_at_the_end_is_an_error_or_dropped(tmp_path, size):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(8000 + size))
    known = {"raw": "s24le", "rate": 8000, "channels": 2}
    over = (8000 + size) % 6
    with pytest.raises(AudioError, match=f"ends with {over} of the 6 bytes of a frame of s24le"):
        earfilt.apply_file(path, tmp_path / "b.wav", "headphone", **known)
    row = earfilt.apply_file(path, tmp_path / "b.wav", "headphone", repair=True, **known)
    assert row.frames == (8000 + size) // 6
    assert any("dropped" in warning for warning in row.warnings)


@pytest.mark.parametrize("container", ["AIFF", "FLAC", "OGG", "CAF", "AU", "W64", "NIST"])
def test_the_header_of_no_format_is_taken_for_samples(tmp_path, container):
    subtype = "VORBIS" if container == "OGG" else "PCM_16"
    soundfile.write(tmp_path / "a", np.zeros(9000), 48_000, subtype, format=container)
    with pytest.raises(AudioError, match=r"sound or film.*leave raw out"):
        open_reader(str(tmp_path / "a"), raw=RawFormat("s16le", 48_000, 2))


def test_a_header_is_not_taken_for_samples(tmp_path, recording):
    with pytest.raises(
        AudioError, match=r"begins with the header of a file of sound or film.*leave raw out"
    ):
        open_reader(str(recording), raw=RawFormat("s16le", 48_000, 2))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rate": 8000}, "rate would have no effect"),
        ({"rate": 8000, "channels": 1}, "rate and channels would have no effect"),
        ({"raw": "s16le"}, "raw needs rate and channels"),
        ({"raw": "s16le", "rate": 8000}, "raw needs rate and channels"),
        ({"raw": "s16be", "rate": 8000, "channels": 1}, "unknown encoding 's16be'"),
        ({"raw": "s16le", "rate": 0, "channels": 1}, "the rate is 0 Hz"),
        ({"raw": "s16le", "rate": 8000, "channels": 0}, "channels is 0"),
        ({"raw": "s16le", "rate": 8000, "channels": 1, "ignore_length": True}, "--ignore-length"),
        ({"raw": "s16le", "rate": 8000, "channels": 1, "in_place": True}, "in place"),
        ({"to_raw": True, "in_place": True}, "in place"),
        ({"to_raw": True, "format": "wav"}, "format and to_raw exclude each other"),
        ({"latency_ms": 0.0}, "the latency is 0.0 ms"),
        ({"latency_ms": float("nan")}, "the latency is nan ms"),
        ({"latency_ms": 20.0, "device": "cuda"}, 'use device="cpu"'),
    ],
)
def test_what_contradicts_itself_is_refused(options, match):
    with pytest.raises(UsageError, match=match):
        Options(**options)


@pytest.mark.parametrize(
    ("output", "options", "match"),
    [
        ("b.wav", {"to_raw": True}, "writes no header, which readers of .wav look for"),
        ("b.raw", {}, "names no audio container"),
    ],
)
def test_names_and_headers_agree(tmp_path, recording, output, options, match):
    with pytest.raises(UsageError, match=match):
        earfilt.apply_file(recording, tmp_path / output, "headphone", **options)
    assert not (tmp_path / output).exists()


def test_raw_into_a_raw_name_needs_the_flag(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(8000))
    known = {"raw": "s16le", "rate": 8000, "channels": 1}
    with pytest.raises(UsageError, match="add to_raw=True to write samples alone"):
        earfilt.apply_file(tmp_path / "a.raw", tmp_path / "b.raw", "headphone", **known)


def test_an_encoding_that_raw_samples_do_not_have_is_asked_for(tmp_path, recording):
    run(need("sox"), recording, "-e", "mu-law", tmp_path / "u.wav")
    with pytest.raises(UsageError, match="holds ULAW, for which to_raw has no encoding"):
        earfilt.apply_file(tmp_path / "u.wav", tmp_path / "u.raw", "headphone", to_raw=True)


def test_a_latency_too_short_for_the_rate_leaves_no_output(tmp_path, recording):
    with pytest.raises(UsageError, match="is 48 frames at this rate"):
        earfilt.apply_file(recording, tmp_path / "b.wav", "headphone", latency_ms=1.0)
    assert not (tmp_path / "b.wav").exists()


def test_a_stream_has_the_samples_of_the_array_and_of_the_file(tmp_path, recording):
    known = {"raw": "s16le", "rate": 48_000, "channels": 2, "to_raw": True}
    (tmp_path / "a.raw").write_bytes(CODES.tobytes())
    for latency_ms in (None, 5.0):
        earfilt.apply_file(
            tmp_path / "a.raw", tmp_path / "b.raw", "headphone", exists="force",
            latency_ms=latency_ms, **known,
        )  # fmt: skip
        stream = earfilt.stream(
            "headphone", fs=48_000, channels=2, dtype="int16", latency_ms=latency_ms
        )
        parts = [stream.push(block) for block in np.array_split(CODES, 37)]
        streamed = np.concatenate([*parts, stream.flush()])
        assert streamed.tobytes() == (tmp_path / "b.raw").read_bytes()
        if latency_ms is None:
            whole = earfilt.apply(CODES, "headphone", fs=48_000, axis=0)
            np.testing.assert_array_equal(streamed, whole)


@pytest.mark.parametrize("size", [5, 4001, 400_003])
def test_a_pipe_that_ends_within_a_frame_is_refused_or_repaired(tmp_path, size):
    command = f"head -c {size} /dev/zero | {sys.executable} -m earfilt apply - {tmp_path}/b.wav"
    command += " --raw s16le --rate 8000 --channels 2 -f headphone --force"
    broken = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert broken.returncode == 1
    assert f"ends with {size % 4} of the 4 bytes of a frame" in broken.stderr
    assert not (tmp_path / "b.wav").exists()
    mended = subprocess.run(["sh", "-c", f"{command} --repair"], capture_output=True, text=True)
    assert mended.returncode == 0
    assert "dropped" in mended.stderr
    assert soundfile.info(tmp_path / "b.wav").frames == size // 4


def test_samples_without_a_header_lead_to_raw(tmp_path, recording) -> None:
    bare = samples_of(recording, "s16le")
    out = tmp_path / "out.wav"
    named = {"a.raw": bare, "a.wav": bare, "silence": bytes(3000), "a.txt": b"no samples\n" * 99}
    for name, data in named.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AudioError) as caught:
            earfilt.apply_file(tmp_path / name, out, "headphone")
        hint = "need --raw s16le --rate HZ --channels N"
        assert (hint in str(caught.value)) == (name != "a.txt")
    words = [sys.executable, "-m", "earfilt", "apply", "-", str(out), "-f", "headphone"]
    done = subprocess.run(words, input=bare, capture_output=True)
    assert done.returncode == 1
    assert b"need --raw s16le --rate HZ --channels N" in done.stderr
