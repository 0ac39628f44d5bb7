"""What libsndfile and its rivals get wrong, one test for each fact: the fault is shown, and earfilt
does not share it.

Numbers are those of the list of facts that the project started from. Where the fault needs another
program or a closer look, the test stands elsewhere: 10 (pipes) in test_process_streams, 16
(temporary names) in test_destination.
"""

import hashlib
import os

import numpy as np
import pytest
import soundfile

from earfilt.audio import formats
from earfilt.audio.reader import probe
from earfilt.chains.members import resolve
from earfilt.errors import AudioError, UsageError
from earfilt.render.process import FileJob, Options, filter_file
from earfilt.storage.output import is_temporary
from tests.audio.foreign import chunk, ffmpeg_samples, run, sox_file, wav_bytes
from tests.tools import need


@pytest.fixture
def apply(tmp_path):
    def call(source, destination, taps=(1.0,), **options):
        fir = tmp_path / "fir.npy"
        np.save(fir, np.asarray(taps, dtype=np.float64))
        return filter_file(
            FileJob(
                str(source),
                str(destination),
                "a",
                resolve(str(fir)),
                Options(exists="force", **options),
            )
        )

    return call


def test_01_rounds_to_nearest_where_libsndfile_floors(tmp_path, apply):
    x = np.array([0.9, -0.1, 0.1, -0.9, 1.4, -1.4]) / 32_768
    soundfile.write(tmp_path / "theirs.wav", x, 8000, subtype="PCM_16")
    assert soundfile.read(tmp_path / "theirs.wav", dtype="int16")[0].tolist() != [
        1,
        0,
        0,
        -1,
        1,
        -1,
    ]
    soundfile.write(tmp_path / "a.wav", x, 8000, subtype="DOUBLE")
    for extension in ("wav", "rf64", "w64", "aiff", "caf", "flac"):
        apply(tmp_path / "a.wav", tmp_path / f"b.{extension}", subtype="PCM_16")
        assert soundfile.read(tmp_path / f"b.{extension}", dtype="int16")[0].tolist() == [
            1,
            0,
            0,
            -1,
            1,
            -1,
        ]


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_02_nan_never_becomes_full_scale_nor_a_stump(tmp_path, apply, extension):
    soundfile.write(tmp_path / "a.wav", np.array([0.1, np.nan, 0.1]), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match="channel 0, frame 1 is nan"):
        apply(tmp_path / "a.wav", tmp_path / f"b.{extension}", subtype="PCM_16")
    assert not (tmp_path / f"b.{extension}").exists()


def test_03_clipping_is_counted_and_mu_law_does_not_wrap(tmp_path, apply):
    soundfile.write(tmp_path / "a.wav", np.array([0.4, 0.75, -0.75]), 8000, subtype="FLOAT")
    for options in ({"subtype": "PCM_16"}, {"subtype": "ULAW"}):
        row = apply(tmp_path / "a.wav", tmp_path / "b.wav", (2.0,), **options)
        assert row.clipped == [2]
        assert soundfile.info(tmp_path / "b.wav").subtype == options["subtype"]
        np.testing.assert_allclose(soundfile.read(tmp_path / "b.wav")[0], [0.8, 1, -1], atol=0.03)
    assert apply(tmp_path / "a.wav", tmp_path / "b.wav", (2.0,)).clipped == [0]
    np.testing.assert_allclose(soundfile.read(tmp_path / "b.wav")[0], [0.8, 1.5, -1.5], atol=1e-6)


def test_05_flac_limits_are_refusals_and_no_empty_flac_is_left(tmp_path, apply):
    soundfile.write(tmp_path / "a.wav", np.zeros((10, 9)), 8000)
    with pytest.raises(UsageError, match="at most 8 channels"):
        apply(tmp_path / "a.wav", tmp_path / "b.flac")
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 700_000)
    with pytest.raises(UsageError, match="655350 Hz"):
        apply(tmp_path / "a.wav", tmp_path / "b.flac")
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 8000)
    with pytest.raises(AudioError, match="holds no samples"):
        apply(tmp_path / "a.wav", tmp_path / "b.flac")
    assert not (tmp_path / "b.flac").exists()


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("extension", ["wav", "aiff", "caf", "w64", "au"])
def test_07_no_clock_is_written(tmp_path, apply, extension, subtype):
    soundfile.write(tmp_path / "a.wav", np.array([0.1, 0.2]), 8000, subtype=subtype)
    apply(tmp_path / "a.wav", tmp_path / f"b.{extension}")
    data = (tmp_path / f"b.{extension}").read_bytes()
    assert b"PEAK" not in data
    assert b"peak" not in data


def test_07_ogg_serials_are_fixed_and_checksums_hold(tmp_path, apply):
    source = sox_file(tmp_path / "a.wav", fs=48_000, seconds=2.0)
    for subtype, extension in (("VORBIS", "ogg"), ("OPUS", "opus")):
        digests = set()
        for _ in range(3):
            apply(source, tmp_path / f"b.{extension}", subtype=subtype)
            digests.add(hashlib.sha256((tmp_path / f"b.{extension}").read_bytes()).digest())
        assert len(digests) == 1
        # ffmpeg drops pages whose checksum is wrong; every frame comes out.
        ours = soundfile.read(tmp_path / f"b.{extension}")[0]
        assert (
            np.corrcoef(ffmpeg_samples(tmp_path / f"b.{extension}")[:90_000, 0], ours[:90_000, 0])[
                0, 1
            ]
            > 0.999
        )


def test_08_every_info_key_survives_where_libsndfile_keeps_ten(tmp_path, apply):
    keys = ["IARL", "IART", "ICMS", "ICMT", "ICOP", "ICRD", "ICRP", "IDIM", "IDPI", "IENG", "IGNR", "IKEY", "ILGT", "IMED", "INAM", "IPLT",
            "IPRD", "ISBJ", "ISFT", "ISRC", "ISRF", "ITCH", "ITRK", "IXYZ"]  # fmt: skip
    info = chunk(
        b"LIST",
        b"INFO"
        + b"".join(chunk(key.encode(), b"value of " + key.encode() + b"\0") for key in keys),
    )
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.arange(100, dtype=np.int16), before=info))
    for fmt in ("wav", "wavex", "rf64"):
        apply(tmp_path / "a.wav", tmp_path / "b.wav", format=fmt)
        assert info in (tmp_path / "b.wav").read_bytes()


def test_09_plain_24_bit_stays_plain_and_extensible_stays_extensible(tmp_path, apply):
    for container in ("WAV", "WAVEX"):
        soundfile.write(
            tmp_path / "a.wav", np.zeros((9, 4)), 8000, subtype="PCM_24", format=container
        )
        assert apply(tmp_path / "a.wav", tmp_path / "b.wav").format == container
        assert soundfile.info(tmp_path / "b.wav").format == container


def test_11_a_wav_cut_short_is_not_taken_for_whole(tmp_path, apply):
    soundfile.write(tmp_path / "a.wav", np.zeros(48_000), 8000)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[: len(data) // 2])
    assert len(soundfile.read(tmp_path / "a.wav")[0]) == 23_989
    with pytest.raises(AudioError, match="promises 48000 frames, 23989 are there"):
        apply(tmp_path / "a.wav", tmp_path / "b.wav")


def test_12_long_vorbis_is_written_in_pieces_and_many_channels_are_refused(tmp_path, apply):
    soundfile.write(
        tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 3_000_000), 48_000
    )
    assert apply(tmp_path / "a.wav", tmp_path / "b.ogg", subtype="VORBIS").frames == 3_000_000
    assert soundfile.info(tmp_path / "b.ogg").frames == 3_000_000
    soundfile.write(tmp_path / "a.wav", np.zeros((10, 256)), 48_000)
    with pytest.raises(UsageError, match="at most 8 channels"):
        apply(tmp_path / "a.wav", tmp_path / "b.ogg", subtype="VORBIS")


def test_13_all_32_bits_survive(tmp_path, apply):
    codes = np.random.default_rng(0).integers(-(2**31), 2**31, (5000, 2)).astype(np.int32)
    for extension in ("wav", "aiff", "caf", "w64"):
        soundfile.write(tmp_path / f"a.{extension}", codes, 48_000, subtype="PCM_32")
        assert (
            apply(tmp_path / f"a.{extension}", tmp_path / f"b.{extension}").precision == "float64"
        )
        np.testing.assert_array_equal(
            soundfile.read(tmp_path / f"b.{extension}", dtype="int32")[0], codes
        )


def test_13_every_extension_that_soundfile_does_not_know_is_written(tmp_path, apply):
    source = sox_file(tmp_path / "a.wav", fs=48_000)
    for suffix in formats.SUFFIXES:
        options = {".ogg": "VORBIS", ".oga": "VORBIS", ".opus": "OPUS", ".mp3": "MPEG_LAYER_III"}
        apply(source, tmp_path / f"b{suffix}", subtype=options.get(suffix))
        assert probe(str(tmp_path / f"b{suffix}")).channels == 2


def test_other_tools_sox_destroys_its_input_and_earfilt_refuses(tmp_path, apply):
    source = sox_file(tmp_path / "a.wav")
    before = source.read_bytes()
    run(need("sox"), source, tmp_path / "copy.wav")
    with pytest.raises(UsageError, match="in_place=True"):
        apply(source, source)
    assert source.read_bytes() == before


def test_other_tools_24_bit_and_float_do_not_become_16_bit(tmp_path, apply):
    for subtype in ("PCM_24", "FLOAT"):
        source = sox_file(tmp_path / f"{subtype}.wav", subtype)
        assert (
            apply(source, tmp_path / "b.wav").subtype
            == soundfile.info(tmp_path / "b.wav").subtype
            == subtype
        )


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
@pytest.mark.parametrize("extension", ["wav", "w64", "aiff", "caf", "au"])
def test_telephone_codecs_are_written_on_request_only(tmp_path, apply, extension, subtype):
    x = np.sin(np.arange(1000) / 10) / 2
    soundfile.write(tmp_path / f"a.{extension}", x, 8000, subtype=subtype)
    row = apply(tmp_path / f"a.{extension}", tmp_path / f"b.{extension}")
    assert (row.source_subtype, row.subtype) == (subtype, "PCM_16")
    assert f'subtype="{subtype}" keeps it' in row.warnings[0]
    row = apply(tmp_path / f"a.{extension}", tmp_path / f"b.{extension}", subtype=subtype.lower())
    assert row.subtype == soundfile.info(tmp_path / f"b.{extension}").subtype == subtype
    np.testing.assert_array_equal(
        soundfile.read(tmp_path / f"b.{extension}")[0],
        soundfile.read(tmp_path / f"a.{extension}")[0],
    )


def test_other_tools_no_gain_delay_or_frames_are_added(tmp_path, apply):
    x = np.zeros(1000)
    x[100] = 0.5
    soundfile.write(tmp_path / "a.wav", x, 8000, subtype="DOUBLE")
    row = apply(tmp_path / "a.wav", tmp_path / "b.wav", (0.25, 0.125, 0.5))
    y = soundfile.read(tmp_path / "b.wav")[0]
    assert row.frames == len(y) == 1000
    np.testing.assert_allclose(y[99:104], [0, 0.125, 0.0625, 0.25, 0], atol=1e-15)


def test_other_tools_a_full_temporary_directory_does_not_matter(tmp_path, apply, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    source = sox_file(tmp_path / "a.wav")
    for extension in ("wav", "flac"):
        assert apply(source, tmp_path / f"b.{extension}").status == "ok"
    assert not [name for name in os.listdir(tmp_path) if is_temporary(name)]
