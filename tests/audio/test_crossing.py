"""Tags and chunks on their way into another container, as other programs find them there."""

import os
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from earfilt.audio.containers import caf
from earfilt.audio.containers.chunks import Chunk
from earfilt.audio.formats import CONTAINERS, Target
from earfilt.audio.info import Metadata
from earfilt.audio.metadata import tags
from earfilt.audio.reader import probe
from earfilt.chains.members import resolve
from earfilt.render.process import FileJob, Options, filter_file
from tests.audio.foreign import chunk, run, wav_bytes
from tests.tools import need

LOSSY = {"ogg": "VORBIS", "opus": "OPUS", "mp3": "MPEG_LAYER_III"}
OUTPUTS = ["wav", "rf64", "w64", "aiff", "caf", "au", "flac", *LOSSY]


@pytest.fixture
def apply(tmp_path):
    np.save(tmp_path / "fir.npy", np.ones(1))

    def call(source, destination, **options):
        options.setdefault("subtype", LOSSY.get(destination.suffix[1:]))
        spec = resolve(str(tmp_path / "fir.npy"))
        return filter_file(
            FileJob(str(source), str(destination), "a", spec, Options(exists="force", **options))
        )

    return call


def wav_with(path, *, before=b"", after=b"", **texts):
    info = b"INFO" + b"".join(
        chunk(key.encode(), value.encode() + b"\0") for key, value in texts.items()
    )
    x = np.random.default_rng(0).integers(-9000, 9000, 48_000).astype(np.int16)
    path.write_bytes(wav_bytes(x, fs=48_000, before=before + chunk(b"LIST", info), after=after))
    return path


def shown_by_ffmpeg(path):
    show = ("-show_entries", "format_tags:stream_tags", "-of", "default=noprint_wrappers=1")
    lines = run(need("ffprobe"), "-v", "error", *show, path).decode().splitlines()
    return {
        key.removeprefix("TAG:").lower(): value
        for key, _, value in (line.partition("=") for line in lines)
    }


@pytest.mark.parametrize("extension", OUTPUTS)
def test_a_title_comes_out_where_there_is_a_place_and_is_named_elsewhere(
    tmp_path, apply, extension
):
    source = wav_with(tmp_path / "a.wav", INAM="Grüße", ICMT="", IENG="Ann")
    row = apply(source, tmp_path / f"b.{extension}")
    left = [text for text in row.warnings if "left behind" in text]
    if extension in ("w64", "au"):
        assert left == [f"{row.format} has no place for TITLE, ENGINEER: left behind"]
        return
    whole = extension in ("wav", "rf64", "caf", "flac")
    assert left == ([] if whole else [f"{row.format} has no place for ENGINEER: left behind"])
    assert shown_by_ffmpeg(tmp_path / f"b.{extension}")["title"] == "Grüße"
    apply(tmp_path / f"b.{extension}", tmp_path / "c.flac")
    assert ("TITLE", "Grüße") in probe(str(tmp_path / "c.flac")).metadata.tags


@pytest.mark.parametrize("extension", OUTPUTS)
def test_a_text_beyond_all_limits_spoils_no_output(tmp_path, apply, extension):
    source = wav_with(tmp_path / "a.wav", INAM="T", ICMT="x" * (17 << 20))
    row = apply(source, tmp_path / f"b.{extension}")
    assert row.status == "ok"
    said = any("COMMENT" in text and "left behind" in text for text in row.warnings)
    assert said == (extension in ("w64", "au", "flac", "opus", "caf", "aiff"))
    assert soundfile.info(tmp_path / f"b.{extension}").frames == 48_000


@pytest.mark.parametrize(("extension", "most"), [("opus", 50_000), ("caf", 30_000), ("aiff", 8000)])
def test_a_file_with_as_many_tags_as_it_may_have_can_be_opened(tmp_path, apply, extension, most):
    source, out = wav_with(tmp_path / "a.wav", ICMT="x" * (most - 30)), tmp_path / f"b.{extension}"
    assert apply(source, out).warnings == []
    assert dict(probe(str(out)).metadata.tags)["COMMENT"] == "x" * (most - 30)
    assert soundfile.info(out).frames == 48_000
    row = apply(wav_with(tmp_path / "a.wav", ICMT="x" * most), out)
    assert row.warnings == [f"{row.format} has no place for COMMENT: left behind"]


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
@pytest.mark.parametrize("fmt", ["wav", "wavex", "rf64"])
def test_telephone_codecs_keep_their_chunks(tmp_path, apply, fmt, subtype):
    cue = chunk(b"cue ", struct.pack("<I", 0))
    source = wav_with(tmp_path / "a.wav", before=chunk(b"odd1", b"abc"), after=cue, INAM="T")
    row = apply(source, tmp_path / "b.wav", subtype=subtype, format=fmt)
    assert row.warnings == []
    metadata = probe(str(tmp_path / "b.wav")).metadata
    assert {part.id for part in (*metadata.before, *metadata.after)} == {b"odd1", b"LIST", b"cue "}
    sound, fs = soundfile.read(tmp_path / "b.wav")
    assert (len(sound), fs) == (48_000, 48_000)
    assert shown_by_ffmpeg(tmp_path / "b.wav")["title"] == "T"
    data = (tmp_path / "b.wav").read_bytes()
    stated = (
        struct.unpack_from("<Q", data, 20) if fmt == "rf64" else struct.unpack_from("<I", data, 4)
    )
    assert stated[0] == len(data) - 8


def test_chunks_of_caf_are_carried_and_named(tmp_path, apply):
    soundfile.write(tmp_path / "plain.caf", np.zeros(480), 48_000, subtype="PCM_16")
    data = (tmp_path / "plain.caf").read_bytes()
    texts = struct.pack(">I", 3) + b"Track Number\0003\0mood\0calm\0comments\0c\0"
    extra = caf.chunk_bytes([Chunk(b"mark", bytes(8)), Chunk(b"info", texts), Chunk(b"free", b"x")])
    (tmp_path / "a.caf").write_bytes(data[:52] + extra + data[52:])
    assert apply(tmp_path / "a.caf", tmp_path / "b.caf").warnings == []
    assert [part.id for part in probe(str(tmp_path / "b.caf")).metadata.caf] == [b"mark", b"info"]
    assert soundfile.info(tmp_path / "b.caf").frames == 480
    row = apply(tmp_path / "a.caf", tmp_path / "b.flac")
    assert row.warnings == ["FLAC has no place for mark: left behind"]
    assert set(probe(str(tmp_path / "b.flac")).metadata.tags) == {
        ("TRACKNUMBER", "3"),
        ("MOOD", "calm"),
        ("COMMENT", "c"),
    }


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"abc",
        b"mark\xff" + bytes(7),
        b"mark" + struct.pack(">q", 2**62),
        b"\0\1\2\3" + bytes(8),
    ],
)
def test_a_caf_that_ends_early_gives_what_makes_sense(tmp_path, apply, tail):
    soundfile.write(tmp_path / "plain.caf", np.zeros(480), 48_000, subtype="PCM_16")
    (tmp_path / "a.caf").write_bytes((tmp_path / "plain.caf").read_bytes() + tail)
    assert probe(str(tmp_path / "a.caf")).metadata.caf == ()


def test_what_a_pipe_delivers_too_late_is_named(tmp_path, apply, monkeypatch):
    source = wav_with(
        tmp_path / "a.wav", after=chunk(b"cue ", bytes(4)) + chunk(b"cue ", bytes(4)), INAM="T"
    )
    with subprocess.Popen(["cat", source], stdout=subprocess.PIPE) as cat:
        kept = os.dup(0)
        os.dup2(cat.stdout.fileno(), 0)
        try:
            row = apply("-", tmp_path / "b.flac", format="flac")
        finally:
            os.dup2(kept, 0)
            os.close(kept)
    assert row.warnings == ["FLAC got no cue, which came after the samples of a pipe"]


def test_the_room_for_tags_is_shared():
    many = Metadata(tags=(("TITLE", "t"), ("COMMENT", "x" * 30_000), ("GENRE", "y" * 30_000)))
    kept, left = tags.crossing(many, Target("OGG", "OPUS", 48_000, 1))
    assert ([key for key, _ in kept], left) == (["TITLE", "COMMENT"], ("GENRE",))


def test_every_container_has_a_place_or_a_word_for_every_tag():
    for container in CONTAINERS.values():
        for key in ("TITLE", "MOOD", "ENGINEER", "LICENSE"):
            kept, left = tags.crossing(
                Metadata(tags=((key, "v"),)), Target(container.name, container.subtypes[0], 8000, 1)
            )
            assert bool(kept) != bool(left)


def test_what_is_too_big_to_carry_is_named(tmp_path, apply, monkeypatch):
    soundfile.write(tmp_path / "a.flac", np.zeros(480), 48_000)
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))
    run(
        need("metaflac"),
        f"--import-picture-from=3|image/png||1x1x24|{tmp_path}/p.png",
        tmp_path / "a.flac",
    )
    assert apply(tmp_path / "a.flac", tmp_path / "b.flac").warnings == []
    monkeypatch.setattr("earfilt.audio.containers.flac._MAX_BYTES", 4096)
    assert apply(tmp_path / "a.flac", tmp_path / "b.flac").warnings == [
        "not carried from the source: picture (too big)"
    ]
    chunks = caf.chunk_bytes([Chunk(b"mark", bytes(5000)), Chunk(b"strg", bytes(8))])
    soundfile.write(tmp_path / "plain.caf", np.zeros(480), 48_000, subtype="PCM_16")
    data = (tmp_path / "plain.caf").read_bytes()
    (tmp_path / "a.caf").write_bytes(data[:52] + chunks + data[52:])
    monkeypatch.setattr("earfilt.audio.containers.chunks.MAX_METADATA", 4096)
    assert apply(tmp_path / "a.caf", tmp_path / "b.caf").warnings == [
        "not carried from the source: mark (too big)"
    ]
    assert [part.id for part in probe(str(tmp_path / "b.caf")).metadata.caf] == [b"strg"]


def test_what_an_mp3_holds_reaches_flac_or_is_named(tmp_path, apply):
    wav_with(tmp_path / "a.wav", INAM="no")
    (tmp_path / "p.png").write_bytes(bytes.fromhex(PNG))
    inputs = (
        "-i",
        tmp_path / "a.wav",
        "-i",
        tmp_path / "p.png",
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c:v",
        "copy",
    )
    texts = (
        "title=Grüße",
        "composer=Ann",
        "mood=calm",
        "track=3",
        "REPLAYGAIN_TRACK_GAIN=-7 dB",
        "comment=c",
    )
    said = [word for text in texts for word in ("-metadata", text)]
    for version in ("3", "4"):
        run(
            need("ffmpeg"),
            "-v",
            "error",
            "-y",
            *inputs,
            *said,
            "-id3v2_version",
            version,
            "-b:a",
            "128k",
            tmp_path / "a.mp3",
        )
        row = apply(tmp_path / "a.mp3", tmp_path / "b.flac")
        assert [text for text in row.warnings if "carried" in text or "left" in text] == [
            "left out, since it is not true of the filtered sound: REPLAYGAIN_TRACK_GAIN",
            "not carried from the source: picture",
        ]
        assert set(probe(str(tmp_path / "b.flac")).metadata.tags) == {
            ("TITLE", "Grüße"), ("COMPOSER", "Ann"), ("MOOD", "calm"), ("TRACKNUMBER", "3"), ("COMMENT", "c"),
        }  # fmt: skip


PNG = "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
