"""One file: same in, same out, exact samples, levels, metadata, pipes, size, and never harm."""

import json
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from scipy.signal import lfilter

from earfilt.audio import output_format
from earfilt.audio.containers import wav
from earfilt.audio.formats import Target
from earfilt.audio.reader import NotAudioError, open_reader, probe
from earfilt.chains.members import resolve
from earfilt.engine.pipeline import NonFiniteError
from earfilt.errors import AudioError, EarfiltError, UsageError
from earfilt.render import process
from earfilt.render.process import FileJob, Options, check, filter_file
from tests.audio.foreign import MATRIX, chunk, foreign_file, heard, run, sox_file, wav_bytes
from tests.tools import need

INTEGERS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


@pytest.fixture
def one(tmp_path):
    """The FIR that changes nothing."""
    path = tmp_path / "one.npy"
    np.save(path, np.array([1.0]))
    return str(path)


def apply(source, destination, filter_name="headphone", threads=2, **options):
    job = FileJob(
        str(source),
        str(destination),
        os.path.basename(str(source)),
        resolve(filter_name),
        Options(**options),
    )
    return filter_file(job, threads=threads)


def fir_file(tmp_path, taps) -> str:
    path = tmp_path / f"fir{len(taps)}.npy"
    np.save(path, np.asarray(taps, dtype=np.float64))
    return str(path)


def samples(path, subtype):
    """Samples as the subtype's codes (floats as they are)."""
    if subtype not in INTEGERS:
        return soundfile.read(path, dtype="float64", always_2d=True)[0]
    return (
        soundfile.read(path, dtype="int32", always_2d=True)[0].astype(np.int64)
        >> 32 - INTEGERS[subtype]
    )


# 1. Same in, same out.


@pytest.mark.parametrize(("program", "extension", "container", "subtype"), MATRIX)
def test_same_in_same_out(tmp_path, program, extension, container, subtype):
    source = foreign_file(tmp_path, program, extension, subtype)
    out = tmp_path / f"out.{extension}"
    row = apply(source, out)
    info, there = soundfile.info(out), heard(source, subtype)
    assert (row.source_format, row.source_subtype) == (container, subtype)
    assert (info.format, info.subtype) == (row.format, row.subtype) == (container, subtype)
    assert (info.samplerate, (info.frames, info.channels)) == (16_000, there.shape)
    # Another program reads the samples that were computed, and they are those of the definition.
    expected = lfilter(resolve("headphone").at(16_000).taps, 1.0, there, axis=0)
    step = 2.0 ** (1 - INTEGERS[subtype]) if subtype in INTEGERS else 1e-6
    assert np.abs(heard(out, subtype) - expected).max() <= 0.51 * step + 2e-7


@pytest.mark.parametrize(("program", "extension", "container", "subtype"), MATRIX)
def test_an_identity_changes_no_sample(tmp_path, one, program, extension, container, subtype):
    source = foreign_file(tmp_path, program, extension, subtype)
    apply(source, tmp_path / f"out.{extension}", one)
    np.testing.assert_allclose(
        heard(tmp_path / f"out.{extension}", subtype), heard(source, subtype), rtol=0, atol=5e-7
    )
    if subtype in INTEGERS:
        np.testing.assert_array_equal(
            samples(tmp_path / f"out.{extension}", subtype), samples(source, subtype)
        )


@pytest.mark.parametrize(
    "extension",
    [
        "wave",
        "bwf",
        "aif",
        "aiff",
        "aifc",
        "caf",
        "w64",
        "rf64",
        "au",
        "snd",
        "flac",
        "FLAC",
        "WAV",
    ],
)
def test_another_extension_picks_the_container_and_keeps_every_code(tmp_path, one, extension):
    source = sox_file(tmp_path / "in.wav", "PCM_24")
    out = tmp_path / f"out.{extension}"
    apply(source, out, one)
    assert soundfile.info(out).subtype == "PCM_24"
    np.testing.assert_array_equal(samples(out, "PCM_24"), samples(source, "PCM_24"))


def test_content_decides_what_a_file_is(tmp_path, one):
    source = sox_file(tmp_path / "a.flac").rename(tmp_path / "a.wav")
    row = apply(source, tmp_path / "b.wav", one)
    assert (row.source_format, row.format) == ("FLAC", "FLAC")
    assert apply(source, tmp_path / "c.aiff", one).format == "AIFF"


@pytest.mark.parametrize(
    ("extension", "subtype"), [("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"), ("opus", "OPUS")]
)
def test_lossy_files_are_read_and_written_on_request_only(tmp_path, one, extension, subtype):
    ffmpeg = need("ffmpeg")
    source = tmp_path / f"a.{extension}"
    run(ffmpeg, "-v", "error", "-i", sox_file(tmp_path / "noise.wav"), "-ar", "48000", source)
    frames = soundfile.info(source).frames
    with pytest.raises(UsageError, match="on request only: add subtype="):
        apply(source, tmp_path / f"b.{extension}", one)
    assert apply(source, tmp_path / "b.wav", one).subtype == "FLOAT"
    assert apply(source, tmp_path / "b.flac", one).subtype == "PCM_24"
    np.testing.assert_allclose(
        soundfile.read(tmp_path / "b.wav")[0], soundfile.read(source)[0], atol=1e-6
    )
    row = apply(source, tmp_path / f"b.{extension}", one, subtype=subtype)
    assert (row.subtype, soundfile.info(tmp_path / f"b.{extension}").frames) == (subtype, frames)
    run(ffmpeg, "-v", "error", "-xerror", "-i", tmp_path / f"b.{extension}", "-f", "null", "-")


def test_the_channel_mask_is_kept(tmp_path, one):
    ffmpeg = need("ffmpeg")
    source = tmp_path / "a.wav"
    run(
        ffmpeg,
        "-v",
        "error",
        "-i",
        sox_file(tmp_path / "n.wav", channels=6),
        "-c:a",
        "pcm_s24le",
        "-channel_layout",
        "5.1",
        source,
    )
    mask = source.read_bytes()[40:44]
    assert mask not in (b"\0\0\0\0", b"")
    apply(source, tmp_path / "b.wav", one)
    assert (tmp_path / "b.wav").read_bytes()[40:44] == mask
    apply(source, tmp_path / "c.wav", one, subtype="FLOAT")
    assert (tmp_path / "c.wav").read_bytes()[40:44] == mask


@pytest.mark.parametrize(
    ("subtype", "channels", "out", "options", "match"),
    [
        (
            "FLOAT",
            2,
            "b.flac",
            {},
            r"FLAC cannot hold FLOAT .* add subtype=.PCM_24., or name the output \.wav",
        ),
        ("PCM_32", 2, "b.flac", {}, 'add subtype="PCM_24"'),
        ("PCM_16", 9, "b.flac", {}, r"at most 8 channels, the source has 9: name the output \.wav"),
        (
            "PCM_16",
            1,
            "b.flac",
            {"subtype": "FLOAT"},
            "FLAC cannot hold FLOAT; it holds PCM_S8, PCM_16, PCM_24",
        ),
        ("PCM_16", 1, "b.flac", {"clip": "float"}, r"name the output \.wav"),
        ("PCM_16", 1, "b.xyz", {}, 'format="wav"'),
        ("PCM_16", 1, "b.mp3", {}, 'subtype="MPEG_LAYER_III"'),
        ("PCM_16", 1, "b.wav", {"subtype": "PCM_17"}, "unknown subtype 'PCM_17'"),
        ("PCM_16", 1, "b.wav", {"format": "wma"}, "unknown format 'wma'"),
    ],
)
def test_what_cannot_be_held_is_refused_before_any_work(
    tmp_path, subtype, channels, out, options, match
):
    source = tmp_path / "a.wav"
    soundfile.write(source, np.zeros((50, channels)), 48_000, subtype=subtype)
    before = sorted(os.listdir(tmp_path))
    for step in (check, filter_file):
        with pytest.raises(UsageError, match=match):
            step(
                FileJob(
                    str(source),
                    str(tmp_path / out),
                    "a",
                    resolve("headphone"),
                    Options(**options),
                )
            )
    assert sorted(os.listdir(tmp_path)) == before


# 2. Exact samples.


@pytest.mark.parametrize(
    ("extension", "subtype"),
    [("wav", "PCM_U8"), ("aiff", "PCM_S8"), ("wav", "PCM_16"), ("flac", "PCM_16")],
)
def test_every_code_survives(tmp_path, one, extension, subtype):
    bits = INTEGERS[subtype]
    codes = np.arange(-(1 << bits - 1), 1 << bits - 1, dtype=np.int64)
    source, out = tmp_path / f"a.{extension}", tmp_path / f"b.{extension}"
    soundfile.write(
        source, (codes << 32 - bits).astype(np.int32).reshape(-1, 2), 48_000, subtype=subtype
    )
    apply(source, out, one)
    np.testing.assert_array_equal(samples(out, subtype).reshape(-1), codes)


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_every_24_bit_code_survives(tmp_path, one, extension):
    codes = np.arange(-(1 << 23), 1 << 23, dtype=np.int32) << 8
    source, out = tmp_path / f"a.{extension}", tmp_path / f"b.{extension}"
    soundfile.write(source, codes, 48_000, subtype="PCM_24")
    row = apply(source, out, one)
    assert row.precision == "float64"
    np.testing.assert_array_equal(soundfile.read(out, dtype="int32")[0], codes)


def test_wav_and_flac_of_one_signal_hold_the_same_codes(tmp_path):
    source = sox_file(tmp_path / "a.wav", "PCM_24", seconds=0.7)
    for extension in ("flac", "aiff", "caf", "w64"):
        apply(source, tmp_path / f"b.{extension}", subtype="PCM_16")
    apply(source, tmp_path / "b.wav", subtype="PCM_16")
    for extension in ("flac", "aiff", "caf", "w64"):
        np.testing.assert_array_equal(
            samples(tmp_path / f"b.{extension}", "PCM_16"), samples(tmp_path / "b.wav", "PCM_16")
        )


@pytest.mark.parametrize(
    ("subtype", "frames", "spec"),
    [
        ("PCM_16", 20_000, "float64"),
        ("PCM_16", 100_000, "float32+float64"),  # float32 behind the first segments
        ("PCM_24", 20_000, "float64"),
        ("PCM_32", 20_000, "float64"),
        ("DOUBLE", 20_000, "float64"),
    ],
)
def test_auto_precision_is_within_one_code_of_the_rounded_oracle(tmp_path, subtype, frames, spec):
    source = tmp_path / "a.wav"
    rng = np.random.default_rng(3)
    soundfile.write(source, rng.uniform(-0.3, 0.3, (frames, 2)), 48_000, subtype=subtype)
    row = apply(source, tmp_path / "b.wav")
    assert row.precision == spec
    exact = lfilter(
        resolve("headphone").at(48_000).taps,
        1.0,
        soundfile.read(source, always_2d=True)[0],
        axis=0,
    )
    if subtype == "DOUBLE":
        np.testing.assert_allclose(samples(tmp_path / "b.wav", subtype), exact, atol=1e-13)
    else:
        oracle = np.rint(exact * 2.0 ** (INTEGERS[subtype] - 1)).astype(np.int64)
        assert np.abs(samples(tmp_path / "b.wav", subtype) - oracle).max() <= 1


@pytest.mark.parametrize("extension", ["wav", "flac", "aiff", "caf", "rf64"])
def test_rounding_is_to_nearest_and_without_bias(tmp_path, extension):
    codes = np.arange(-500, 500, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", codes, 48_000)
    row = apply(tmp_path / "a.wav", tmp_path / f"b.{extension}", fir_file(tmp_path, [0.3701]))
    np.testing.assert_array_equal(
        samples(tmp_path / f"b.{extension}", "PCM_16")[:, 0], np.rint(codes * 0.3701)
    )
    assert row.clipped == [0]


CONTAINERS_AND_SUBTYPES = [
    ("wav", "PCM_16"), ("wav", "FLOAT"), ("rf64", "DOUBLE"), ("aiff", "FLOAT"), ("caf", "DOUBLE"), ("w64", "FLOAT"), ("au", "FLOAT"),
    ("flac", "PCM_24"), ("ogg", "VORBIS"), ("opus", "OPUS"), ("mp3", "MPEG_LAYER_III"),
]  # fmt: skip


@pytest.mark.parametrize(("extension", "subtype"), CONTAINERS_AND_SUBTYPES)
def test_two_runs_give_the_same_bytes_at_any_time_and_with_any_number_of_threads(
    tmp_path, monkeypatch, extension, subtype
):
    source = tmp_path / "a.wav"
    soundfile.write(
        source, np.random.default_rng(1).uniform(-0.4, 0.4, (150_000, 2)), 48_000, subtype="FLOAT"
    )
    apply(source, tmp_path / f"b.{extension}", subtype=subtype, threads=1)
    monkeypatch.setattr("earfilt.audio.reader._BLOCK_BYTES", 40_000)
    apply(source, tmp_path / f"c.{extension}", subtype=subtype, threads=3)
    first, second = (tmp_path / f"{name}.{extension}" for name in "bc")
    assert first.read_bytes() == second.read_bytes()
    assert b"PEAK" not in first.read_bytes()[:4096]


def test_dither_is_seeded_by_the_name(tmp_path):
    source = sox_file(tmp_path / "a.wav", "PCM_24")
    outs = {}
    for key, name in (("b", "x/a.wav"), ("c", "x/a.wav"), ("d", "y/a.wav")):
        job = FileJob(
            str(source),
            str(tmp_path / f"{key}.wav"),
            name,
            resolve("headphone"),
            Options(subtype="PCM_16", dither=True),
        )
        assert filter_file(job).dithered
        outs[key] = (tmp_path / f"{key}.wav").read_bytes()
    assert outs["b"] == outs["c"] != outs["d"]


# 3. Level.


def sine(tmp_path, peak, subtype="PCM_16", channels=1):
    x = peak * np.sin(2 * np.pi * 1000 * np.arange(4800) / 48_000)
    soundfile.write(tmp_path / "a.wav", np.tile(x[:, None], (1, channels)), 48_000, subtype=subtype)
    return tmp_path / "a.wav"


def test_gain_is_exact(tmp_path, one):
    source = sine(tmp_path, 0.1, "DOUBLE")
    row = apply(source, tmp_path / "b.wav", one, gain_db=-6.5)
    np.testing.assert_allclose(
        samples(tmp_path / "b.wav", "DOUBLE"),
        samples(source, "DOUBLE") * 10 ** (-6.5 / 20),
        atol=1e-15,
    )
    assert row.peak_out_dbfs[0] == pytest.approx(row.peak_in_dbfs[0] - 6.5, abs=1e-3)
    assert row.rms_in_dbfs[0] == pytest.approx(-20 - 3.0103, abs=1e-3)


def test_floating_point_that_overflows_is_an_error(tmp_path, one):
    source = sine(tmp_path, 0.9, "DOUBLE")
    with pytest.raises(AudioError, match="beyond what FLOAT can hold; use a lower gain_db"):
        apply(
            source,
            tmp_path / "b.wav",
            fir_file(tmp_path, [1e38, 0.0]),
            subtype="FLOAT",
            gain_db=100.0,
        )
    assert not (tmp_path / "b.wav").exists()


def test_clip_warn_counts_by_channel_and_names_the_gain_that_fits(tmp_path, one):
    x = np.zeros((1000, 2), np.int16)
    x[:7, 1] = 30_000
    soundfile.write(tmp_path / "a.wav", x, 48_000)
    row = apply(tmp_path / "a.wav", tmp_path / "b.wav", one, gain_db=6.0)
    assert row.clipped == [0, 7]
    assert samples(tmp_path / "b.wav", "PCM_16").max() == 32_767
    assert row.fitting_gain_db == pytest.approx(0.76, abs=0.011)
    again = apply(tmp_path / "a.wav", tmp_path / "c.wav", one, gain_db=row.fitting_gain_db)
    assert again.clipped == [0, 0]
    assert samples(tmp_path / "c.wav", "PCM_16").max() >= 32_720


def test_clip_error_leaves_no_file(tmp_path, one):
    source = sine(tmp_path, 0.9, channels=2)
    with pytest.raises(
        AudioError,
        match=r"would be clipped \(\d+ in channel 0, \d+ in channel 1\), the peak is \+\d.\d\d dBFS; gain_db=",
    ):
        apply(source, tmp_path / "b.wav", one, gain_db=6.0, clip="error")
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "one.npy"]
    apply(source, tmp_path / "b.wav", one, clip="error")


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
@pytest.mark.parametrize("dither", [False, True])
def test_clip_rescale_brings_the_peak_to_full_scale(tmp_path, one, subtype, dither):
    source = sine(tmp_path, 0.9, subtype)
    row = apply(source, tmp_path / "b.wav", one, gain_db=9.0, clip="rescale", dither=dither)
    top = 2 ** (INTEGERS[subtype] - 1) - 1
    peak = np.abs(samples(tmp_path / "b.wav", subtype)).max()
    assert top - 2 <= peak <= top
    assert row.clipped == [0]
    assert row.gain_db == pytest.approx(9.0 + row.rescaled_db)
    assert row.rescaled_db < -8


def test_rescale_leaves_alone_what_fits(tmp_path, one):
    source = sine(tmp_path, 0.5)
    row = apply(source, tmp_path / "b.wav", one, clip="rescale")
    assert (row.rescaled_db, row.gain_db) == (0.0, 0.0)
    np.testing.assert_array_equal(samples(tmp_path / "b.wav", "PCM_16"), samples(source, "PCM_16"))


@pytest.mark.parametrize(
    ("subtype", "expected"),
    [("PCM_16", "FLOAT"), ("PCM_24", "FLOAT"), ("PCM_32", "DOUBLE"), ("DOUBLE", "DOUBLE")],
)
def test_clip_float_writes_what_goes_beyond(tmp_path, one, subtype, expected):
    source = sine(tmp_path, 0.9, subtype)
    row = apply(source, tmp_path / "b.wav", one, gain_db=12.0, clip="float")
    assert row.subtype == soundfile.info(tmp_path / "b.wav").subtype == expected
    assert samples(tmp_path / "b.wav", "FLOAT").max() == pytest.approx(
        0.9 * 10 ** (12 / 20), rel=1e-3
    )
    assert row.clipped == [0]


def test_losing_the_signal_in_the_noise_floor_is_said(tmp_path, one, recording):
    raw = resolve("middle-ear", normalize_gain=False)
    job = FileJob(str(recording), str(tmp_path / "b.wav"), "a", raw)
    (advice,) = filter_file(job).warnings
    assert 'rounding noise of PCM_16: add subtype="FLOAT"' in advice
    for spec, options in (
        (raw, Options(subtype="FLOAT", exists="force")),
        (resolve("middle-ear"), Options(exists="force")),
    ):
        assert filter_file(FileJob(job.source, job.destination, "a", spec, options)).warnings == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_nan_is_an_error_that_says_where(tmp_path, one, value, subtype):
    x = np.full((70_000, 3), 0.25)
    x[65_001:65_003, 2] = value
    soundfile.write(tmp_path / "a.wav", x, 48_000, subtype=subtype)
    with pytest.raises(
        NonFiniteError, match=r"a\.wav: sample of channel 2, frame 65001 is .*repair=True"
    ):
        apply(tmp_path / "a.wav", tmp_path / "b.wav", one, subtype="PCM_16")
    assert not (tmp_path / "b.wav").exists()
    row = apply(tmp_path / "a.wav", tmp_path / "b.wav", one, repair=True)
    assert row.repaired == 2
    assert "2 NaN or infinite samples read as 0" in row.warnings
    x[65_001:65_003, 2] = 0.0
    np.testing.assert_allclose(samples(tmp_path / "b.wav", subtype), x, atol=1e-7)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("silent", [0, 1])
def test_a_silent_channel_stays_exactly_silent(tmp_path, subtype, silent):
    x = np.random.default_rng(0).uniform(-0.9, 0.9, (50_000, 2))
    x[:, silent] = 0.0
    soundfile.write(tmp_path / "a.wav", x, 48_000, subtype=subtype)
    row = apply(tmp_path / "a.wav", tmp_path / "b.wav", "outer-middle-ear")
    assert not samples(tmp_path / "b.wav", subtype)[:, silent].any()
    assert row.peak_out_dbfs[silent] is None
    assert row.peak_out_dbfs[1 - silent] is not None


@pytest.mark.parametrize(
    ("full_scale", "expected"), [("rms", 100.0 - 20 - 3.0103), ("peak", 100.0 - 20)]
)
def test_levels_in_spl(tmp_path, one, full_scale, expected):
    row = apply(
        sine(tmp_path, 0.1, "FLOAT"),
        tmp_path / "b.wav",
        one,
        full_scale_spl=100.0,
        full_scale=full_scale,
        gain_db=-10.0,
    )
    assert row.spl_in_db == [pytest.approx(expected, abs=1e-3)]
    assert row.spl_out_db == [pytest.approx(expected - 10.0, abs=1e-3)]


# 4. Metadata.

BEXT = chunk(
    b"bext", b"A description".ljust(602, b"\0") + b"A=PCM,F=44100,W=16,M=stereo,T=original\r\n\0\0"
)
BEFORE = (
    BEXT
    + chunk(b"iXML", b"<BWFXML/>")
    + chunk(b"LIST", b"INFO" + chunk(b"IENG", b"An engineer\0") + chunk(b"INAM", b"A name"))
)
AFTER = (
    chunk(b"cue ", b"\1\0\0\0" + bytes(24))
    + chunk(b"LIST", b"adtl" + chunk(b"labl", b"\1\0\0\0here\0"))
    + chunk(b"smpl", bytes(36))
    + chunk(b"id3 ", b"ID3\4\0\0\0\0\0\0\0")
    + chunk(b"odd!", b"abc")
)


def riff_chunks(data: bytes) -> list[bytes]:
    """The chunks that stand one behind the other, header and padding included."""
    pieces = []
    while data:
        size = 8 + int.from_bytes(data[4:8], "little")
        pieces.append(data[: size + size % 2])
        data = data[size + size % 2 :]
    return pieces


CODES = np.random.default_rng(2).integers(-3000, 3000, (700, 2)).astype(np.int16)


@pytest.mark.parametrize("container", ["wav", "wavex", "rf64"])
def test_riff_chunks_are_carried_byte_for_byte(tmp_path, one, container):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES, before=BEFORE, after=AFTER))
    apply(tmp_path / "a.wav", tmp_path / "b.wav", one, format=container)
    data = (tmp_path / "b.wav").read_bytes()
    for piece in (*riff_chunks(BEFORE)[1:], *riff_chunks(AFTER)):
        assert piece in data
    np.testing.assert_array_equal(samples(tmp_path / "b.wav", "PCM_16"), CODES)
    again = {c.id: c.data for c in probe(str(tmp_path / "b.wav")).metadata.before}
    fixed, history = again[b"bext"][:602], again[b"bext"][602:]
    assert fixed == BEXT[8:610]
    lines = history.rstrip(b"\0").split(b"\r\n")
    assert lines[0] == b"A=PCM,F=44100,W=16,M=stereo,T=original"
    assert lines[1].startswith(b"A=PCM,F=8000,W=16,M=stereo,T=earfilt")
    assert lines[2:] == [b""]


def test_ffmpeg_reads_the_tags_that_it_wrote(tmp_path, one):
    ffmpeg = need("ffmpeg", "ffprobe")
    wanted = {"title": "Grüße", "artist": "x", "comment": "c", "IENG": "An engineer"}
    tags = [word for pair in wanted.items() for word in ("-metadata", "=".join(pair))]
    for extension in ("wav", "flac"):
        source, out = tmp_path / f"a.{extension}", tmp_path / f"b.{extension}"
        run(ffmpeg, "-v", "error", "-i", sox_file(tmp_path / "n.wav"), *tags, source)
        apply(source, out, one)
        shown = json.loads(run(need("ffprobe"), "-v", "error", "-show_format", "-of", "json", out))[
            "format"
        ]["tags"]
        assert {k: shown.get(k) for k in ("title", "artist", "comment")} == {
            k: wanted[k] for k in ("title", "artist", "comment")
        }


def test_flac_comments_and_pictures_are_carried(tmp_path, one):
    metaflac = need("metaflac", "flac")
    source, out = sox_file(tmp_path / "a.flac", "PCM_24"), tmp_path / "b.flac"
    (tmp_path / "p.png").write_bytes(
        bytes.fromhex(
            "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe"
        )
        + bytes.fromhex("0def46b80000000049454e44ae426082")
    )
    run(
        metaflac,
        "--remove-all-tags",
        "--set-tag=TITLE=a=b",
        "--set-tag=ARTIST=one",
        "--set-tag=ARTIST=two",
        "--set-tag=x=ü",
        source,
    )
    run(metaflac, f"--import-picture-from={tmp_path / 'p.png'}", source)
    apply(source, out, one)
    run(need("flac"), "-t", "-s", out)
    for what in (["--export-tags-to=-"], ["--export-picture-to=-"]):
        assert run(metaflac, *what, out) == run(metaflac, *what, source)
    np.testing.assert_array_equal(samples(out, "PCM_24"), samples(source, "PCM_24"))
    bare = tmp_path / "c.flac"
    apply(source, bare, one, metadata=False)
    assert run(metaflac, "--export-tags-to=-", bare) == b""
    run(need("flac"), "-t", "-s", bare)


def test_tags_cross_between_wav_and_flac_and_what_cannot_is_named(tmp_path, one):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES, before=BEFORE, after=AFTER))
    row = apply(tmp_path / "a.wav", tmp_path / "b.flac", one)
    assert row.warnings == [
        "FLAC has no place for bext, iXML, cue, LIST, smpl, id3, odd!: left behind"
    ]
    assert run(need("metaflac"), "--export-tags-to=-", tmp_path / "b.flac").split(b"\n")[:2] == [
        b"ENGINEER=An engineer",
        b"TITLE=A name",
    ]
    apply(tmp_path / "b.flac", tmp_path / "c.wav", one)
    assert chunk(b"IENG", b"An engineer\0") in (tmp_path / "c.wav").read_bytes()
    apply(tmp_path / "b.flac", tmp_path / "d.aiff", one)
    assert b"A name" in (tmp_path / "d.aiff").read_bytes()


def test_no_metadata_leaves_all_behind(tmp_path, one):
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES, before=BEFORE, after=AFTER))
    apply(tmp_path / "a.wav", tmp_path / "b.wav", one, metadata=False)
    assert (tmp_path / "b.wav").read_bytes() == wav_bytes(CODES)


# 5. Size.


def test_a_wav_that_would_pass_four_gigabytes_becomes_rf64_announced(tmp_path, one, monkeypatch):
    monkeypatch.setattr(wav, "SIZE_WORD", 2000)
    (tmp_path / "a.wav").write_bytes(wav_bytes(CODES, before=BEFORE))
    row = apply(tmp_path / "a.wav", tmp_path / "b.wav", one)
    assert "written as RF64" in row.warnings[0]
    assert soundfile.info(tmp_path / "b.wav").format == row.format == "RF64"
    np.testing.assert_array_equal(samples(tmp_path / "b.wav", "PCM_16"), CODES)


def sparse_wav(path, frames: int, channels: int = 8) -> None:
    """A silent RF64 that takes no room on the disk, with a click in its last frame."""
    target = Target("RF64", "PCM_16", 48_000, channels)
    head = wav.header(target, frames * 2 * channels, (), 0, room=False)
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(len(head) + frames * 2 * channels)
        file.seek(-2, os.SEEK_END)
        file.write(b"\0\x40")


def test_a_sparse_file_beyond_four_gigabytes_is_planned_and_read_to_its_end(tmp_path):
    frames = 2**32 // 16 + 1000
    sparse_wav(tmp_path / "a.rf64", frames)
    info = probe(str(tmp_path / "a.rf64"))
    assert (info.frames, info.missing) == (frames, 0)
    target, notes = output_format.plan_target(info, ".rf64", ".wav", fmt="wav")
    assert target.container == "RF64"
    assert "4 GiB" in notes[0]
    with open_reader(str(tmp_path / "a.rf64")) as reader:
        reader.source.seek(reader.source.size - 160)
        reader._left = 160
        assert reader.read(100)[-1].tolist() == [0] * 7 + [0x4000]
    with pytest.raises(UsageError, match="4 GiB that AIFF"):
        output_format.plan_target(info, ".rf64", ".aiff")


class Sparse(wav.WavWriter):
    """Skips what is silent, so that gigabytes take no room and no time."""

    def write(self, block):
        data = memoryview(block).cast("B")
        if block.any():
            super().write(block)
        else:
            self._file.seek(len(data), os.SEEK_CUR)
            self._written += len(data)


@pytest.mark.parametrize("known", [True, False])
def test_the_writer_passes_four_gigabytes(tmp_path, known):
    """A sparse file of more than 4 GiB through the writer itself; libsndfile finds every frame."""
    frames, path = 2**32 // 16 + 1000, tmp_path / "big.wav"
    target = Target("RF64" if known else "WAV", "PCM_16", 48_000, 8)
    silence, click = np.zeros((1 << 16, 8), np.int16), np.full((1000, 8), 77, np.int16)
    with open(path, "w+b", buffering=0) as file:
        writer = Sparse(file, target, frames=frames if known else None, seekable=True)
        for _ in range(2**32 // 16 >> 16):
            writer.write(writer.encode(silence))
        writer.write(writer.encode(click))
        notes = writer.finish()
    assert bool(notes) is not known
    assert (soundfile.info(path).format, soundfile.info(path).frames) == ("RF64", frames)
    with soundfile.SoundFile(path) as sound:
        sound.seek(frames - 1001)
        np.testing.assert_array_equal(
            sound.read(dtype="int16"), np.concatenate([silence[:1], click])
        )
    assert probe(str(path)).frames == frames


@pytest.mark.slow
def test_four_gigabytes_really_written(tmp_path):
    frames = 2**32 // 16 + 1000
    sparse_wav(tmp_path / "a.rf64", frames)
    row = apply(tmp_path / "a.rf64", tmp_path / "b.wav", "headphone", format="wav")
    assert row.format == "RF64"
    assert "RF64" in row.warnings[0]
    info = soundfile.info(tmp_path / "b.wav")
    assert (info.format, info.frames) == ("RF64", frames)
    with soundfile.SoundFile(tmp_path / "b.wav") as sound:
        sound.seek(frames - 3)
        last = sound.read(dtype="int16")
    assert not last[:2].any()
    assert last[2, 7] != 0


# 7. Never harm.


def test_the_input_is_replaced_in_place_only_and_keeps_mode_and_links(tmp_path, one):
    source = sox_file(tmp_path / "a.wav")
    original = samples(source, "PCM_16")
    source.chmod(0o640)
    link = tmp_path / "link.wav"
    link.symlink_to("a.wav")
    for exists in ("refuse", "force", "skip"):
        for a, b in ((source, link), (link, source), (source, source)):
            if exists == "skip":
                assert apply(a, b, one, exists=exists).status == "skipped"
                continue
            with pytest.raises(UsageError, match=r"is the input itself; use .*in_place=True"):
                apply(a, b, one, exists=exists)
    apply(link, link, fir_file(tmp_path, [-1.0]), in_place=True)
    assert link.is_symlink()
    assert source.stat().st_mode & 0o777 == 0o640
    np.testing.assert_array_equal(samples(source, "PCM_16"), -original)


@pytest.mark.parametrize("exists", ["refuse", "force", "skip"])
def test_an_output_that_exists(tmp_path, one, exists):
    source, out = sox_file(tmp_path / "a.wav"), tmp_path / "b.wav"
    out.write_bytes(b"old")
    if exists == "refuse":
        with pytest.raises(
            UsageError, match=r"exists already; use exists=.force. to replace it or exists=.skip."
        ):
            apply(source, out, one)
    else:
        assert (
            apply(source, out, one, exists=exists).status
            == {"force": "ok", "skip": "skipped"}[exists]
        )
    assert (out.read_bytes() == b"old") == (exists != "force")


CUTS = [("wav", "PCM_16"), ("wav", "PCM_24"), ("rf64", "FLOAT"), ("aiff", "PCM_16"), ("caf", "PCM_16"), ("w64", "PCM_24"), ("au", "PCM_16"),
        ("flac", "PCM_16")]  # fmt: skip


@pytest.mark.parametrize(("extension", "subtype"), CUTS)
def test_a_source_cut_short_is_an_error_that_says_so(tmp_path, one, extension, subtype):
    rng = np.random.default_rng(0)
    whole, cut, out = (tmp_path / f"{name}.{extension}" for name in ("whole", "cut", "out"))
    kind = {"rf64": "RF64", "au": "AU"}.get(extension, extension.upper())
    soundfile.write(
        whole, rng.uniform(-0.5, 0.5, (48_000, 2)), 48_000, subtype=subtype, format=kind
    )
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut short.*use repair=True"):
        apply(cut, out, one)
    assert not out.exists()
    row = apply(cut, out, one, repair=True)
    assert 18_000 < row.frames < 24_000
    assert row.missing_frames == 48_000 - row.frames
    assert any("cut short" in text for text in row.warnings)
    expected = samples(whole, subtype)[: row.frames]
    np.testing.assert_allclose(samples(out, subtype), expected, atol=5e-7)


def test_an_ogg_without_its_last_page_is_cut_short(tmp_path, one):
    run(
        need("ffmpeg"),
        "-v",
        "error",
        "-i",
        sox_file(tmp_path / "n.wav", seconds=3.0),
        "-c:a",
        "libvorbis",
        tmp_path / "a.ogg",
    )
    data = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(data[: data.rfind(b"OggS")])
    with pytest.raises(AudioError, match="cut short"):
        check(FileJob(str(tmp_path / "a.ogg"), str(tmp_path / "b.wav"), "a", resolve("headphone")))
    assert apply(tmp_path / "a.ogg", tmp_path / "b.wav", one, repair=True).frames > 0


@pytest.mark.parametrize(
    ("data", "match"),
    [(b"", "is empty"), (b"Hello, I am no audio file.\n" * 20, "is not " "audio"), (b"RIFF\0\0\0\0WAVE", "no fmt chunk"),
     (wav_bytes(CODES[:0]), "holds no samples"), (b"fLaC" + bytes(100), "not audio")],
)  # fmt: skip
def test_what_is_no_audio_is_said(tmp_path, data, match):
    (tmp_path / "a.wav").write_bytes(data)
    for step in (check, filter_file):
        with pytest.raises(AudioError, match=match) as caught:
            step(
                FileJob(str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "a", resolve("headphone"))
            )
        assert str(tmp_path / "a.wav") in str(caught.value)
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["a.wav"]


def test_missing_files_and_directories_are_audio_errors(tmp_path):
    for name in ("none.wav", ".", "nul\0.wav"):
        with pytest.raises(AudioError):
            apply(tmp_path / name, tmp_path / "b.wav")


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, one, monkeypatch):
    resource = pytest.importorskip("resource")
    source = sox_file(tmp_path / "a.wav", seconds=1.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for extension in ("wav", "flac", "aiff", "caf", "ogg"):
        options = {"subtype": "VORBIS"} if extension == "ogg" else {}
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
        try:
            with pytest.raises(AudioError, match=rf"cannot write .*b\.{extension}: File too large"):
                apply(source, tmp_path / f"b.{extension}", one, **options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "one.npy"]


# What else callers rely on.


def test_jobs_are_picklable_and_rows_are_json(tmp_path, one):
    source = sox_file(tmp_path / "a.wav")
    job = FileJob(
        str(source), str(tmp_path / "b.wav"), "a.wav", resolve(one), Options(gain_db=-1.0)
    )
    assert pickle.loads(pickle.dumps(job)) == job
    row = filter_file(pickle.loads(pickle.dumps(job)))
    fields = json.loads(row.to_json())
    assert fields["status"] == "ok"
    assert fields["frames"] == 3200
    assert fields["seconds"] > 0
    assert "\n" not in row.to_json()


def test_the_row_says_what_the_filter_was(tmp_path, recording):
    row = apply(recording, tmp_path / "b.wav", "outer-middle-ear")
    assert (row.filter, row.fs, row.channels) == ("outer-middle-ear", 16_000, 1)
    told = row.to_dict()
    assert (told["phase"], told["convention"]) == ("zero", "published")
    assert row.latency == told["order"] > 0
    assert told["parameters"]["tolerance_db"] == 0.1
    assert row.gain_1khz_db == pytest.approx(0.0, abs=3.0)
    assert row.coefficients_sha256 == resolve("outer-middle-ear").at(16_000).sha256


def test_tail_keep_lengthens_by_the_order_and_needs_a_causal_filter(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.r_[np.zeros(99), 0.5], 48_000, subtype="DOUBLE")
    row = apply(
        tmp_path / "a.wav", tmp_path / "b.wav", fir_file(tmp_path, [0.5, 0.25, 0.125]), tail="keep"
    )
    assert row.frames == 102
    np.testing.assert_allclose(
        samples(tmp_path / "b.wav", "DOUBLE")[99:, 0], [0.25, 0.125, 0.0625], atol=1e-12
    )
    with pytest.raises(UsageError, match='phase="minimum"'):
        apply(tmp_path / "a.wav", tmp_path / "c.wav", "outer-middle-ear", tail="keep")


@pytest.mark.parametrize(
    "options",
    [
        {"clip": "soft"},
        {"precision": "float16"},
        {"tail": "x"},
        {"full_scale": "x"},
        {"exists": "x"},
        {"gain_db": float("nan")},
        {"full_scale_spl": float("inf")},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(UsageError):
        Options(**options)


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:", "cuda:-1", "mps:1", "cpu0", ""])
def test_devices_that_mean_nothing_are_refused(device):
    with pytest.raises(UsageError, match="unknown device"):
        Options(device=device)


def test_devices_that_do_not_exist_are_refused():
    with pytest.raises(UsageError, match="device"):
        process.resolve_device("cuda:99", lambda: True)
    assert process.resolve_device("cpu", lambda: True) == "cpu"


def test_auto_takes_the_cpu_where_a_device_does_not_pay(monkeypatch):
    assert process.resolve_device("auto", lambda: False) == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert process.resolve_device("auto", lambda: True) == "cuda"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert process.resolve_device("auto", lambda: True) == "cpu"


@pytest.mark.parametrize("pays", [False, True])
def test_auto_asks_how_long_the_cpu_would_take(pays, tmp_path, monkeypatch):
    asked = []

    def answer(samples, numtaps, *, itemsize, threads):
        asked.append((samples, numtaps, itemsize, threads))
        return pays

    monkeypatch.setattr("earfilt.engine.devices.pays", answer)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    soundfile.write(tmp_path / "a.wav", np.zeros((5000, 2), np.int16), 48000, "PCM_16")
    options = Options(device="auto")
    job = FileJob(
        str(tmp_path / "a.wav"),
        str(tmp_path / "b.wav"),
        "a",
        resolve("headphone", order=512),
        options,
    )
    row = filter_file(job)
    assert row.device == "cpu"
    assert asked[0][:3] == (10000, 513, 4)


def test_many_files_at_once_in_one_process_equal_those_done_one_by_one(tmp_path):
    sources = [
        tmp_path / f"a{i}.{extension}"
        for i, extension in enumerate(["wav", "flac", "aiff", "wav", "flac", "caf"] * 4)
    ]
    for i, path in enumerate(sources):
        soundfile.write(
            path,
            np.random.default_rng(i).uniform(-0.4, 0.4, (5000 + i, 1 + i % 3)),
            48_000,
            subtype="PCM_16",
        )
    with ThreadPoolExecutor(6) as pool:
        rows = list(
            pool.map(
                lambda path: apply(path, path.with_stem(path.stem + "-together"), threads=1),
                sources,
            )
        )
    assert {row.status for row in rows} == {"ok"}
    for path in sources:
        apply(path, path.with_stem(path.stem + "-alone"))
        assert (
            path.with_stem(path.stem + "-alone").read_bytes()
            == path.with_stem(path.stem + "-together").read_bytes()
        )


def test_progress_counts_the_frames_read(tmp_path, one):
    seen: list[int] = []
    job = FileJob(str(sox_file(tmp_path / "a.wav")), str(tmp_path / "b.wav"), "a", resolve(one))
    filter_file(job, progress=seen.append)
    assert seen[-1] == 3200
    assert seen == sorted(seen)


def test_planning_loads_no_torch(tmp_path, recording):
    code = (
        "import sys\n"
        "from earfilt.render.process import FileJob, check\n"
        "from earfilt.chains.members import resolve\n"
        f"info = check(FileJob({str(recording)!r}, {str(tmp_path / 'b.wav')!r}, 'a', "
        "resolve('headphone')))\n"
        "assert info.frames > 0\nassert 'torch' not in sys.modules and 'scipy' not in sys.modules\n"
    )
    run(sys.executable, "-c", code)


def test_every_refusal_is_one_of_ours(tmp_path):
    assert issubclass(AudioError, EarfiltError)
    assert issubclass(NotAudioError, AudioError)
    assert issubclass(NonFiniteError, AudioError)


def stale_wav(path):
    """A WAV that states 100 of its 400 samples."""
    path.write_bytes(wav_bytes(np.arange(1, 401, dtype=np.int16) * 64, data_size=200, size=236))
    return path


def test_samples_behind_the_stated_end_are_a_warning_of_the_row(tmp_path, one):
    row = apply(stale_wav(tmp_path / "a.wav"), tmp_path / "b.wav", one)
    assert row.frames == 100
    assert any("--ignore-length takes them" in line for line in row.warnings)
    row = apply(tmp_path / "a.wav", tmp_path / "c.wav", one, ignore_length=True)
    assert (row.frames, row.warnings) == (400, [])
    np.testing.assert_array_equal(
        soundfile.read(tmp_path / "c.wav", dtype="int16")[0], np.arange(1, 401) * 64
    )


def test_a_file_is_not_replaced_by_less_than_it_held(tmp_path, one):
    path = stale_wav(tmp_path / "a.wav")
    before = path.read_bytes()
    with pytest.raises(AudioError, match="is not replaced"):
        apply(path, path, one, in_place=True)
    assert path.read_bytes() == before
    assert apply(path, path, one, in_place=True, ignore_length=True).frames == 400


def test_a_joined_flac_is_not_replaced_by_its_first_part(tmp_path, one):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.arange(5000, dtype=np.int16), 48_000)
    path.write_bytes(path.read_bytes() * 2)
    before = path.read_bytes()
    with pytest.raises(AudioError, match="is not replaced"):
        apply(path, path, one, in_place=True)
    assert path.read_bytes() == before
    assert apply(path, path, one, in_place=True, ignore_length=True).frames == 10_000


def test_a_flac_of_unknown_length_becomes_every_container(tmp_path, one):
    x = np.random.default_rng(3).integers(-9000, 9000, 200_001).astype(np.int16)
    path = tmp_path / "a.flac"
    soundfile.write(path, x, 48_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    for name in ("b.flac", "b.wav", "b.w64", "b.aiff", "b.caf", "b.au"):
        for options in ({}, {"clip": "rescale"}):
            apply(path, tmp_path / name, one, exists="force", **options)
            np.testing.assert_array_equal(soundfile.read(tmp_path / name, dtype="int16")[0], x)


@pytest.mark.parametrize(
    ("there", "seconds", "threads"),
    [(1, 60, 2), (2, 60, 2), (8, 60, 8), (64, 600, 16), (64, 3, 3), (64, 1, 1)],
)
def test_as_many_threads_as_cores_where_the_file_is_long_enough(
    tmp_path, monkeypatch, there, seconds, threads
):
    from earfilt.engine import pipeline

    seen = []

    def run(*_, settings, **__):
        seen.append(settings.threads)
        raise AudioError("enough")

    with soundfile.SoundFile(tmp_path / "a.wav", "w", 48_000, 1, "PCM_16") as file:
        file.write(np.zeros(48_000 * seconds, np.int16))
    monkeypatch.setattr("earfilt.render.process.cores", lambda: there)
    monkeypatch.setattr(pipeline, "run", run)
    with pytest.raises(AudioError, match="enough"):
        apply(tmp_path / "a.wav", tmp_path / "b.wav", threads=None)
    assert seen == [threads]
