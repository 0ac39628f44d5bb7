"""What a filter makes false is left out and named; everything else stays byte for byte."""

import struct

import numpy as np
import pytest
import soundfile

from earfilt.audio.containers import flac
from earfilt.audio.containers.chunks import Chunk
from earfilt.audio.info import Metadata
from earfilt.audio.metadata import id3, stale
from earfilt.audio.reader import probe
from earfilt.chains.members import resolve
from earfilt.render.process import FileJob, Options, filter_file
from tests.audio.foreign import chunk, run, wav_bytes
from tests.tools import need

SAID = "left out, since it is not true of the filtered sound: "


@pytest.fixture
def apply(tmp_path):
    np.save(tmp_path / "fir.npy", np.array([0.3]))

    def call(source, destination, **options):
        spec = resolve(str(tmp_path / "fir.npy"))
        return filter_file(
            FileJob(str(source), str(destination), "a", spec, Options(exists="force", **options))
        )

    return call


def said(row):
    return [text.removeprefix(SAID) for text in row.warnings if text.startswith(SAID)]


@pytest.mark.parametrize(
    "key",
    ["REPLAYGAIN_TRACK_GAIN", "replaygain_album_peak", "R128_TRACK_GAIN", "iTunNORM", "iTunSMPB", "com.apple.iTunes:iTunNORM",
     "MP3GAIN_MINMAX", "ACOUSTID_FINGERPRINT", "MD5", "Dynamic Range", "AccurateRipResult", "ACCURATERIPCRC", "ACCURATERIPCOUNT",
     "CTDBTRACKCONFIDENCE", "ENCODERCRC", "Encoder CRC", "CRC32", "MD5CHECKSUM", "AUDIO_MD5", "SHA256", "CHECKSUM", "TRUE_PEAK",
     "True Peak Level", "MAX_TRUE_PEAK", "INTEGRATED_LOUDNESS", "LOUDNESS_RANGE", "Momentary-Loudness", "LUFS", "PEAK LEVEL",
     "BWF_MAX_TRUE_PEAK_LEVEL"],
)  # fmt: skip
def test_tags_about_level_and_identity_of_the_samples_are_false(key):
    assert stale.is_false(key)


@pytest.mark.parametrize(
    "key",
    [
        "TITLE",
        "COMMENT",
        "REPLAY",
        "ACOUSTID_ID",
        "MUSICBRAINZ_TRACKID",
        "MEDIUM",
        "ISRC",
        "GAIN",
        "ACCURATERIPDISCID",
        "AccurateRip ID",
        "DISCID",
        "PEAK",
        "ENCODEDBY",
        "TRUE",
        "MD",
    ],
)
def test_other_tags_are_true(key):
    assert not stale.is_false(key, "0000020D is a good number")


def test_a_comment_that_is_sound_check_is_false():
    assert stale.is_false("COMMENT", " 0000020D" * 10)


def test_flac_loses_replay_gain_and_keeps_the_rest(tmp_path, apply):
    soundfile.write(tmp_path / "a.flac", np.zeros(1000), 48_000)
    tags = ("TITLE=Ünï", "REPLAYGAIN_TRACK_GAIN=-7.25 dB", "r128_album_gain=-512", "MOOD=calm")
    run(need("metaflac"), *(f"--set-tag={tag}" for tag in tags), tmp_path / "a.flac")
    row = apply(tmp_path / "a.flac", tmp_path / "b.flac")
    assert said(row) == ["REPLAYGAIN_TRACK_GAIN, R128_ALBUM_GAIN"]
    shown = run(need("metaflac"), "--export-tags-to=-", tmp_path / "b.flac").decode().split("\n")
    assert [line for line in shown if line] == ["TITLE=Ünï", "MOOD=calm"]
    for extension in ("wav", "caf"):
        row = apply(tmp_path / "a.flac", tmp_path / f"b.{extension}")
        assert said(row) == ["REPLAYGAIN_TRACK_GAIN, R128_ALBUM_GAIN"]
        assert b"7.25" not in (tmp_path / f"b.{extension}").read_bytes()
    assert said(apply(tmp_path / "a.flac", tmp_path / "b.flac", metadata=False)) == []


def test_opus_loses_r128_gain(tmp_path, apply):
    soundfile.write(tmp_path / "a.wav", np.zeros(48_000), 48_000)
    ffmpeg = (need("ffmpeg"), "-v", "error", "-y", "-i", tmp_path / "a.wav", "-c:a", "libopus")
    run(
        *ffmpeg,
        "-metadata",
        "R128_TRACK_GAIN=-512",
        "-metadata",
        "mood=calm",
        "-metadata",
        "title=T",
        tmp_path / "a.opus",
    )
    row = apply(tmp_path / "a.opus", tmp_path / "b.flac")
    assert said(row) == ["R128_TRACK_GAIN"]
    assert {("TITLE", "T"), ("MOOD", "calm")} <= set(probe(str(tmp_path / "b.flac")).metadata.tags)


def bext(version, loudness=(-2300, 900, -100, -1800, -2000)):
    content = bytearray(b"D" * 602)
    struct.pack_into("<H", content, 346, version)
    struct.pack_into("<5h", content, 412, *loudness)
    return bytes(content)


def test_bext_of_version_2_says_that_its_loudness_is_not_used(tmp_path, apply):
    (tmp_path / "a.wav").write_bytes(
        wav_bytes(np.zeros(10, np.int16), before=chunk(b"bext", bext(2)))
    )
    assert said(apply(tmp_path / "a.wav", tmp_path / "b.wav")) == ["loudness in bext"]
    written = (tmp_path / "b.wav").read_bytes()
    at = written.index(b"bext") + 8
    assert written[at : at + 602] == bext(2, [0x7FFF] * 5)
    (tmp_path / "a.wav").write_bytes(
        wav_bytes(np.zeros(10, np.int16), before=chunk(b"bext", bext(1)))
    )
    assert said(apply(tmp_path / "a.wav", tmp_path / "c.wav")) == []
    assert bext(1) in (tmp_path / "c.wav").read_bytes()


def test_checksums_and_loudness_in_xml_go(tmp_path, apply):
    ixml = b"<BWFXML><NOTE>n</NOTE><BEXT><BWF_LOUDNESS_VALUE>-23</BWF_LOUDNESS_VALUE><BWF_UMID>1</BWF_UMID></BEXT></BWFXML>"
    adm = (
        b"<a><loudnessMetadata "
        b'loudnessMethod="x">\n<integratedLoudness>-23</integratedLoudness></loudnessMetadata><b/></a>'
    )
    chunks = chunk(b"MD5 ", bytes(16)) + chunk(b"iXML", ixml) + chunk(b"axml", adm)
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.zeros(10, np.int16), after=chunks))
    assert said(apply(tmp_path / "a.wav", tmp_path / "b.wav")) == [
        "MD5, loudness in iXML, loudness in axml"
    ]
    kept = {part.id: part.data for part in probe(str(tmp_path / "b.wav")).metadata.after}
    assert kept == {
        b"iXML": b"<BWFXML><NOTE>n</NOTE><BEXT><BWF_UMID>1</BWF_UMID></BEXT></BWFXML>",
        b"axml": b"<a><b/></a>",
    }


@pytest.mark.parametrize("coding", ["utf-8", "utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize(
    ("element", "others"),
    [
        (
            "<{p}loudnessMetadata><{p}integratedLoudness>-23</{p}integratedLoudness></{p}loudnessMetadata>",
            1,
        ),
        ('<{p}loudnessMetadata loudnessMethod="x" />', 1),
        ('<{p}loudnessMetadata a="b"/><{p}c/><{p}loudnessMetadata>-2</{p}loudnessMetadata >', 2),
        ('<{p}BWF_MAX_TRUE_PEAK_LEVEL unit="dB">-1</{p}BWF_MAX_TRUE_PEAK_LEVEL>', 1),
    ],
)
@pytest.mark.parametrize("prefix", ["", "adm:", "ebu-core.1:"])
def test_loudness_in_xml_goes_under_any_prefix_and_coding(
    tmp_path, apply, prefix, element, others, coding
):
    start, end = f"<{prefix}a>\N{EURO SIGN}", f"<{prefix}b/></{prefix}a>"
    text = element.format(p=prefix)
    adm = (start + text + end).encode(coding)
    (tmp_path / "a.wav").write_bytes(
        wav_bytes(np.zeros(10, np.int16), before=chunk(b"axml", adm + b"x" * (len(adm) % 2)))
    )
    assert said(apply(tmp_path / "a.wav", tmp_path / "b.wav")) == ["loudness in axml"]
    left = f"<{prefix}c/>" * (others - 1)
    wanted = (start + left + end).encode(coding) + b"x" * (len(adm) % 2)
    assert [part.data for part in probe(str(tmp_path / "b.wav")).metadata.before] == [wanted]


def syncsafe(size):
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def frame(name, content, version):
    if version == 2:
        return name[:3] + len(content).to_bytes(3, "big") + content
    return (
        name
        + (syncsafe(len(content)) if version == 4 else len(content).to_bytes(4, "big"))
        + b"\0\0"
        + content
    )


def tag(frames, version, flags=0):
    return b"ID3" + bytes([version, 0, flags]) + syncsafe(len(frames)) + frames


@pytest.mark.parametrize("version", [2, 3, 4])
def test_id3_frames_go_one_by_one(version):
    user, comment = (b"TXX", b"COM") if version == 2 else (b"TXXX", b"COMM")
    volume = {2: b"RVA", 3: b"RVAD", 4: b"RVA2"}[version]
    long = b"\0" + b"t" * 300
    kept = frame(b"TT2" if version == 2 else b"TIT2", long, version) + frame(
        user, b"\x03mood\0calm", version
    )
    false = (
        frame(user, b"\x03replaygain_track_gain\0-7 dB", version)
        + frame(
            user, b"\x01" + "\ufeffREPLAYGAIN_ALBUM_PEAK\0".encode("utf-16-le") + b"1\0", version
        )
        + frame(comment, b"\0engiTunNORM\0 0000020D", version)
        + frame(volume, b"abc", version)
    )
    chunks = (Chunk(b"id3 ", tag(false + kept + bytes(50), version)), Chunk(b"junk", b""))
    metadata, warnings = stale.without_false(Metadata(after=chunks))
    assert metadata.after[0].data == tag(kept, version)
    assert warnings == [
        f"{SAID}replaygain_track_gain, REPLAYGAIN_ALBUM_PEAK, iTunNORM, {volume.decode()}"
    ]
    untouched = tag(kept + bytes(50), version)
    assert stale.without_false(Metadata(iff=(Chunk(b"ID3 ", untouched),))) == (
        Metadata(iff=(Chunk(b"ID3 ", untouched),)),
        [],
    )


def test_an_id3_tag_made_safe_for_old_decoders_is_read():
    body = frame(b"RVAD", b"\xff\x00\x00", 3).replace(b"\xff", b"\xff\x00") + frame(
        b"TIT2", b"\0t", 3
    )
    data, left = id3.without(tag(body, 3, 0x80), lambda name, text: name == "RVAD")
    assert left == ["RVAD"]
    assert data == tag(frame(b"TIT2", b"\0t", 3), 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3",
        b"ID3\x04\0\0\0\0\0\x7f",
        b"ID3\x07" + bytes(90),
        b"ID3\x03\0\0\0\0\0\x7fTIT2\xff\xff",
    ],
)
def test_a_broken_id3_tag_is_left_alone(data):
    assert id3.without(data, lambda name, text: True) == (data, [])


def test_a_damaged_comment_block_is_cut_no_further_than_its_lengths_allow():
    entry = struct.pack("<I", 4) + b"R128"
    block = struct.pack("<I", 0) + struct.pack("<I", 2**32 - 1) + entry
    assert flac.without_comments(block, stale.is_false) == (block, [])
    false = struct.pack("<I", 9) + b"R128_X=-5"
    assert flac.without_comments(block + false, stale.is_false) == (
        bytes(4) + struct.pack("<I", 1) + entry,
        ["R128_X"],
    )
