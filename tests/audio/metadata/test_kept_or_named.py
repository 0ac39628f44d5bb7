"""What stands beside the samples is carried whole, or a warning names it: nobody overwrites the only
copy of it unknowingly.
"""

import struct
import zlib

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earfilt.audio.containers.chunks import W64, W64_FORM, W64_TAILS
from earfilt.audio.metadata import id3
from earfilt.audio.reader import open_reader, probe
from earfilt.chains.members import resolve
from earfilt.render.process import FileJob, Options, filter_file
from tests.audio.foreign import chunk, ffmpeg_samples, run, sox_samples, wav_bytes
from tests.audio.metadata.test_stale import frame, syncsafe, tag
from tests.tools import need

X = np.random.default_rng(0).integers(-9000, 9000, 4000).astype(np.int16)
NOT_CARRIED = "not carried from the source: "
GAIN = b"\3REPLAYGAIN_TRACK_GAIN\0-3 dB"
INFO = chunk(b"INAM", b"A name\0")
BEXT = b"d" * 346 + bytes(256)


@pytest.fixture
def apply(tmp_path):
    np.save(tmp_path / "fir.npy", np.ones(1))

    def call(source, destination, **options):
        spec = resolve(str(tmp_path / "fir.npy"))
        options.setdefault("exists", "force")
        job = FileJob(str(source), str(destination), "a", spec, Options(**options))
        return filter_file(job)

    return call


def w64_bytes(*before, after=()):
    """A W64 file with chunks (name of 16 bytes, content) on both sides of its samples."""
    tail = W64_TAILS[0]
    fmt = struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16)
    chunks = [(b"fmt " + tail, fmt), *before, (b"data" + tail, X.tobytes()), *after]
    body = b"wave" + tail + b"".join(W64.pack(*each) for each in chunks)
    return W64_FORM + struct.pack("<Q", 24 + len(body)) + body


def w64_chunks(path):
    with path.open("rb") as file:
        data = file.read()
    found, at = [], 40
    while at + 24 <= len(data):
        name, size = struct.unpack_from("<16sQ", data, at)
        found.append((name, data[at + 24 : at + size]))
        at += size + -size % 8
    return found


@pytest.mark.parametrize("where", ["before", "after"])
def test_chunks_of_w64_stay_whole_on_either_side(tmp_path, apply, where):
    bext, listed = BEXT + b"A=PCM\r\n", b"INFO" + INFO
    marker = (b"list" + W64_TAILS[1], b"only W64 knows")
    chunks = [(b"bext" + W64_TAILS[0], bext), (b"LIST" + W64_TAILS[0], listed), marker]
    source, out = tmp_path / "a.w64", tmp_path / "b.w64"
    source.write_bytes(w64_bytes(*chunks) if where == "before" else w64_bytes(after=chunks))
    row = apply(source, out)
    assert row.warnings == []
    kept = dict(w64_chunks(out))
    assert kept[b"bext" + W64_TAILS[0]].startswith(bext)
    assert b"earfilt" in kept[b"bext" + W64_TAILS[0]]
    assert kept[b"LIST" + W64_TAILS[0]] == listed
    assert kept[marker[0]] == marker[1]
    np.testing.assert_array_equal(soundfile.read(out, dtype="int16")[0], X)
    np.testing.assert_array_equal(sox_samples(out)[:, 0], X / 2.0**15)
    np.testing.assert_array_equal(ffmpeg_samples(out)[:, 0], X / 2.0**15)
    row = apply(source, tmp_path / "b.wav")
    assert row.warnings == ["WAV has no place for list: left behind"]
    metadata = probe(str(tmp_path / "b.wav")).metadata
    data = {part.id: part.data for part in (*metadata.before, *metadata.after)}
    assert data[b"LIST"] == listed
    assert data[b"bext"].startswith(bext)
    row = apply(source, tmp_path / "b.flac")
    assert row.warnings == ["FLAC has no place for bext, list: left behind"]
    assert ("TITLE", "A name") in probe(str(tmp_path / "b.flac")).metadata.tags
    row = apply(source, tmp_path / "c.w64", subtype="ULAW")
    assert row.warnings == ["W64 has no place for bext, list, TITLE: left behind"]


def test_what_fills_or_describes_a_w64_goes_without_a_word(tmp_path, apply):
    silent = [(name + W64_TAILS[0], bytes(16)) for name in (b"fact", b"levl", b"junk")]
    (tmp_path / "a.w64").write_bytes(w64_bytes(*silent))
    assert apply(tmp_path / "a.w64", tmp_path / "b.w64").warnings == []
    assert apply(tmp_path / "a.w64", tmp_path / "b.wav").warnings == []


def au_bytes(annotation):
    return b".snd" + struct.pack(">5I", 24 + len(annotation), 2 * len(X), 3, 8000, 1) + annotation


def test_the_annotation_of_an_au_file_stays(tmp_path, apply):
    source, out = tmp_path / "a.au", tmp_path / "b.au"
    text = "Grüße, take 2\0\0\0".encode()
    source.write_bytes(au_bytes(text) + X.astype(">i2").tobytes())
    assert apply(source, out).warnings == []
    assert out.read_bytes() == source.read_bytes()
    assert apply(source, tmp_path / "b.flac").warnings == []
    assert ("COMMENT", "Grüße, take 2") in probe(str(tmp_path / "b.flac")).metadata.tags
    # Eight zeros are what the standard asks for at least.
    source.write_bytes(au_bytes(bytes(8)) + X.astype(">i2").tobytes())
    assert apply(source, out).warnings == []
    assert len(out.read_bytes()) == 24 + 2 * len(X)


def test_an_annotation_is_found_in_a_file_of_the_other_byte_order(tmp_path, apply):
    text = b"take 3\0\0"
    head = b"dns." + struct.pack("<5I", 24 + len(text), 2 * len(X), 3, 8000, 1)
    (tmp_path / "a.au").write_bytes(head + text + X.astype("<i2").tobytes())
    assert apply(tmp_path / "a.au", tmp_path / "b.au").warnings == []
    assert (tmp_path / "b.au").read_bytes() == au_bytes(text) + X.astype(">i2").tobytes()


def test_an_annotation_that_is_no_text_stays_or_is_named(tmp_path, apply):
    source, out = tmp_path / "a.au", tmp_path / "b.au"
    source.write_bytes(au_bytes(b"\1\2\3\xff") + X.astype(">i2").tobytes())
    assert apply(source, out).warnings == []
    assert out.read_bytes() == source.read_bytes()
    row = apply(source, tmp_path / "b.wav")
    assert row.warnings == ["WAV has no place for annotation: left behind"]


@pytest.mark.parametrize("container", ["wav", "flac"])
def test_an_id3_tag_in_front_of_a_file_is_named(tmp_path, apply, container):
    plain, source = tmp_path / f"plain.{container}", tmp_path / f"a.{container}"
    soundfile.write(plain, X / 2.0**15, 8000)
    if container == "flac":
        run(need("metaflac"), "--set-tag=TITLE=T", plain)
    front = tag(frame(b"TIT2", b"\0in front", 3), 3)
    source.write_bytes(front + plain.read_bytes())
    row = apply(source, tmp_path / "out.wav")
    assert f"{NOT_CARRIED}ID3 tag in front of the file" in row.warnings
    if container != "wav":  # what lies behind it is found all the same
        assert ("TITLE", "T") in probe(str(source)).metadata.tags


SPHERE = (
    b"NIST_1A\n   1024\ndatabase_id -s5 TIMIT\nspeaker_id -s4 a\nb \nage -i 31\n;said aloud\n"
    b"channel_count -i 1\nsample_count -i 4000\nsample_rate -i 16000\nsample_max -i 9000\n"
    b"sample_n_bytes -i 2\nsample_byte_format -s2 01\nsample_sig_bits -i 16\nend_head\n"
).ljust(1024)


def test_the_fields_of_a_sphere_header_cross_or_are_named(tmp_path, apply):
    source = tmp_path / "a.wav"
    source.write_bytes(SPHERE + X.tobytes())
    assert apply(source, tmp_path / "b.flac").warnings == []
    tags = set(probe(str(tmp_path / "b.flac")).metadata.tags)
    fields = {("DATABASE_ID", "TIMIT"), ("SPEAKER_ID", "a\nb"), ("AGE", "31")}
    assert tags == fields | {("COMMENT", "said aloud")}
    row = apply(source, source, in_place=True, exists="refuse")
    assert row.warnings == ["WAV has no place for DATABASE_ID, SPEAKER_ID, AGE: left behind"]


@pytest.mark.parametrize("header", [b"NIST_1A\n   1024\n", b"NIST_1A\n   9x\nname -s99999 x\n"])
def test_a_sphere_header_that_is_cut_short_ends(tmp_path, header):
    from earfilt.audio.metadata import sphere
    from earfilt.audio.source import open_source

    (tmp_path / "a").write_bytes(header + b"name -s99999 x")
    source = open_source(str(tmp_path / "a"))
    assert all(key == "NAME" for key, _ in sphere.read_fields(source))
    source.close()


def with_blocks(path, *blocks):
    """A FLAC file with further metadata blocks behind its first one."""
    soundfile.write(path, X / 2.0**15, 8000)
    data = path.read_bytes()
    extra = b"".join(bytes([kind]) + len(c).to_bytes(3, "big") + c for kind, c in blocks)
    path.write_bytes(data[:42] + extra + data[42:])


def test_blocks_of_flac_that_are_not_carried_are_named(tmp_path, apply):
    source, out = tmp_path / "a.flac", tmp_path / "b.flac"
    with_blocks(
        source, (2, b"riff" + bytes(40)), (2, b"riff" + bytes(9)), (2, b"\x1bTXT"), (9, b"")
    )
    row = apply(source, out)
    assert row.warnings == [
        f"{NOT_CARRIED}application block 'riff' (foreign metadata), "
        "application block '\\x1bTXT', metadata block of type 9"
    ]
    with_blocks(source, (1, bytes(100)), (3, bytes(18)))
    assert apply(source, out).warnings == []


def test_a_cue_sheet_of_flac_stays(tmp_path, apply):
    with_blocks(tmp_path / "a.flac", (5, cue := bytes(395) + b"\1" + bytes(36)))
    assert apply(tmp_path / "a.flac", tmp_path / "b.flac").warnings == []
    assert (5, cue) in probe(str(tmp_path / "b.flac")).metadata.blocks


def ape(*, header=True, text=b"Title\0T"):
    item = struct.pack("<II", 1, 0) + text
    words = (2000, len(item) + 32, 1)
    end = b"APETAGEX" + struct.pack("<4I", *words, (1 << 31) * header) + bytes(8)
    begin = b"APETAGEX" + struct.pack("<4I", *words, 0xA0000000) + bytes(8)
    return begin * header + item + end


LYRICS = b"LYRICSBEGININD00002LA" + b"000021LYRICS200"
FOOTED = tag(frame(b"TIT2", b"\0t", 4), 4, 0x10) + b"3DI\4\0\x10" + syncsafe(12)
FIRST = (b"TAG" + b"One".ljust(30, b"\0") + b"Two".ljust(30, b"\0")).ljust(125, b"\0") + b"\0\5\x11"


@pytest.fixture
def mp3(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.tile(X, 4) / 2.0**15, 16_000, format="MP3")
    data = path.read_bytes()
    data = data[id3_end(data) :]

    def make(*, front=b"", behind=b""):
        path.write_bytes(front + data + behind)
        return path

    return make


def id3_end(data):
    if data[:3] != b"ID3":
        return 0
    return 10 + sum(
        (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
    )


@pytest.mark.parametrize(
    ("behind", "name"),
    [
        (ape(), "APE tag"),
        (ape(header=False) + FIRST, "APE tag"),
        (LYRICS + FIRST, "Lyrics3 tag"),
        (LYRICS + ape(), "APE tag, Lyrics3 tag"),
        (FOOTED, "ID3 tag at the end"),
    ],
)
@pytest.mark.parametrize("container", ["mp3", "flac"])
def test_tags_at_the_end_of_a_file_are_named(tmp_path, apply, mp3, behind, name, container):
    if container == "mp3":
        source = mp3(behind=behind)
    else:
        soundfile.write(source := tmp_path / "a.flac", X / 2.0**15, 8000)
        source.write_bytes(source.read_bytes() + behind)
        name += ", ID3v1 tag" * (FIRST in behind)
    row = apply(source, tmp_path / "b.wav")
    assert f"{NOT_CARRIED}{name}" in row.warnings
    bare = source.read_bytes().removesuffix(behind)
    source.write_bytes(bare)
    assert not any("carried" in text for text in apply(source, tmp_path / "b.wav").warnings)


def test_an_old_tag_adds_what_the_new_one_lacks(tmp_path, apply, mp3):
    front = tag(frame(b"TIT2", b"\3A longer title", 4), 4)
    row = apply(mp3(front=front, behind=FIRST), tmp_path / "b.flac")
    assert set(probe(str(tmp_path / "b.flac")).metadata.tags) == {
        ("TITLE", "A longer title"), ("ARTIST", "Two"), ("TRACKNUMBER", "5"),
    }  # fmt: skip
    assert [text for text in row.warnings if "carried" in text] == [
        f"{NOT_CARRIED}GENRE of the ID3v1 tag"
    ]


def flagged(name, content, flags, version=4):
    plain = frame(name, content, version)
    return plain[:9] + bytes([flags]) + plain[10:]


def tags_of(path):
    return set(probe(str(path)).metadata.tags)


def test_every_value_of_an_id3_text_is_carried(tmp_path, apply, mp3):
    texts = (
        frame(b"TPE1", b"\3Anna\0Bert\0", 4)
        + frame(b"TXXX", b"\3mood\0calm\0dark", 4)
        + frame(b"TCOM", b"\1" + "\ufeffÄ\0\ufeffB\0".encode("utf-16-le"), 4)
    )
    row = apply(mp3(front=tag(texts, 4)), tmp_path / "b.flac")
    assert not any("carried" in text for text in row.warnings)
    assert tags_of(tmp_path / "b.flac") == {
        ("ARTIST", "Anna"), ("ARTIST", "Bert"), ("MOOD", "calm"), ("MOOD", "dark"), ("COMPOSER", "Ä"), ("COMPOSER", "B"),
    }  # fmt: skip


def test_what_the_flags_of_a_frame_add_is_no_text(tmp_path, apply, mp3):
    packed = zlib.compress(b"\3Packed")
    texts = (
        flagged(b"TIT2", syncsafe(6) + b"\3Title", 1)
        + flagged(b"TALB", b"g\3Album", 0x40)
        + flagged(b"TCOM", b"\0\xff\0\xe9", 2)
        + flagged(b"TPE2", syncsafe(7) + packed, 9)
        + flagged(b"TSRC", b"k\3secret", 4)
        + flagged(b"TCOP", syncsafe(7) + b"no zlib", 9)
    )
    row = apply(mp3(front=tag(texts, 4)), tmp_path / "b.flac")
    assert tags_of(tmp_path / "b.flac") == {
        ("TITLE", "Title"), ("ALBUM", "Album"), ("COMPOSER", "ÿé"), ("ALBUMARTIST", "Packed"),
    }  # fmt: skip
    said = [text for text in row.warnings if "carried" in text]
    assert said == [f"{NOT_CARRIED}TSRC (encrypted or damaged), TCOP (encrypted or damaged)"]
    old = flagged(b"TIT2", struct.pack(">I", 7) + packed, 0x80, 3)
    apply(mp3(front=tag(old + flagged(b"TALB", b"g\0Album", 0x20, 3), 3)), tmp_path / "b.flac")
    assert tags_of(tmp_path / "b.flac") == {("TITLE", "Packed"), ("ALBUM", "Album")}


def test_what_of_an_id3_tag_cannot_be_read_is_named(tmp_path, apply, mp3, monkeypatch):
    broken = frame(b"TIT2", b"\0Title", 3) + b"????" + bytes(3) + b"\4" + b"\0\0rest"
    row = apply(mp3(front=tag(broken, 3)), tmp_path / "b.flac")
    assert f"{NOT_CARRIED}part of the ID3 tag (unreadable)" in row.warnings
    assert tags_of(tmp_path / "b.flac") == {("TITLE", "Title")}
    row = apply(mp3(front=tag(b"\1" * 40, 2, 0x40)), tmp_path / "b.flac")
    assert f"{NOT_CARRIED}ID3 tag (unreadable)" in row.warnings
    front = tag(frame(b"TIT2", b"\0One", 3), 3) + tag(frame(b"TIT2", b"\0Two", 3), 3)
    row = apply(mp3(front=front), tmp_path / "b.flac")
    assert f"{NOT_CARRIED}second ID3 tag" in row.warnings
    monkeypatch.setattr("earfilt.audio.metadata.id3.MAX_METADATA", 20)
    row = apply(mp3(front=tag(frame(b"TIT2", b"\0One", 3), 3)), tmp_path / "b.flac")
    assert f"{NOT_CARRIED}ID3 tag (too big)" in row.warnings


@given(st.sampled_from([2, 3, 4]), st.integers(0, 255), st.binary(max_size=200))
def test_any_id3_tag_ends(version, flags, frames):
    head = frame(b"TXXX", GAIN, version)
    data = tag(head + frames, version, flags)
    id3.read_tags(data)
    kept, left = id3.without(data, is_gain)
    assert left or kept == data


def is_gain(name, description):
    return description == "REPLAYGAIN_TRACK_GAIN"


def test_a_frame_is_left_out_of_a_tag_that_itunes_wrote():
    picture = b"\0image/png\0\3\0" + np.random.default_rng(1).bytes(20_000)
    plain = b"APIC" + struct.pack(">I", len(picture)) + b"\0\0" + picture
    rest = plain + frame(b"TPE1", b"\3Anna", 4)
    data, left = id3.without(tag(frame(b"TXXX", GAIN, 4) + rest, 4), is_gain)
    assert (data, left) == (tag(rest, 4), ["REPLAYGAIN_TRACK_GAIN"])
    padded = b"TP1 " + frame(b"TPE1", b"\0Anna", 3)[4:] + frame(b"TIT2", b"\0t", 3)
    data, left = id3.without(tag(frame(b"TXXX", GAIN, 3) + padded, 3), is_gain)
    assert (data, left) == (tag(padded, 3), ["REPLAYGAIN_TRACK_GAIN"])
    assert id3.read_tags(data) == ((("ARTIST", "Anna"), ("TITLE", "t")), ())


def test_what_follows_an_unreadable_frame_stays_in_the_tag():
    rest = frame(b"TIT2", b"\0t", 3) + b"????" + b"anything" * 20
    data, left = id3.without(tag(frame(b"TXXX", GAIN, 3) + rest, 3) + b"behind", is_gain)
    assert (data, left) == (tag(rest, 3) + b"behind", ["REPLAYGAIN_TRACK_GAIN"])


def test_no_empty_tag_is_left(tmp_path, apply):
    for rest in (b"", bytes(20)):
        chunks = chunk(b"id3 ", tag(frame(b"TXXX", GAIN, 3) + rest, 3)) + chunk(b"cue ", b"abcd")
        (tmp_path / "a.wav").write_bytes(wav_bytes(X, after=chunks))
        row = apply(tmp_path / "a.wav", tmp_path / "b.wav")
        assert [part.id for part in probe(str(tmp_path / "b.wav")).metadata.after] == [b"cue "]
        assert any("REPLAYGAIN_TRACK_GAIN" in text for text in row.warnings)


@pytest.mark.parametrize(
    ("extension", "subtype"), [("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"), ("aiff", None)]
)
def test_the_first_of_two_equal_tags_is_carried_and_the_further_ones_named(
    tmp_path, apply, extension, subtype
):
    soundfile.write(tmp_path / "a.flac", np.tile(X, 4) / 2.0**15, 16_000)
    texts = ("ARTIST=Anna", "ARTIST=Bert", "ARTIST=Carl", "TITLE=T")
    run(need("metaflac"), *(f"--set-tag={text}" for text in texts), tmp_path / "a.flac")
    out = tmp_path / f"b.{extension}"
    row = apply(tmp_path / "a.flac", out, subtype=subtype)
    said = [text for text in row.warnings if "left behind" in text]
    assert said == [f"{row.format} has no place for a further ARTIST: left behind"]
    assert [value for key, value in probe(str(out)).metadata.tags if key == "ARTIST"] == ["Anna"]


@pytest.mark.parametrize("container", ["ogg", "flac", "mp3"])
def test_tags_of_joined_recordings_are_named(tmp_path, apply, container):
    plain = tmp_path / "plain.wav"
    soundfile.write(plain, np.tile(X, 4) / 2.0**15, 16_000)
    data = b""
    for title in ("one", "two"):
        out = tmp_path / f"{title}.{container}"
        said = ("-metadata", f"title={title}", "-write_id3v1", "1") if container == "mp3" else (
            "-metadata", f"title={title}"
        )  # fmt: skip
        run(need("ffmpeg"), "-v", "error", "-y", "-i", plain, *said, out)
        data += out.read_bytes()
    (tmp_path / f"a.{container}").write_bytes(data)
    row = apply(tmp_path / f"a.{container}", tmp_path / "b.wav", ignore_length=True)
    assert any("tags of the recordings that were joined" in text for text in row.warnings)
    assert dict(probe(str(tmp_path / "b.wav")).metadata.tags)["TITLE"] == "one"
    with open_reader(str(tmp_path / "b.wav")) as reader:
        assert (reader.info.frames or 0) > 31_000


def test_chunks_of_a_joined_wav_are_named(tmp_path, apply):
    one, two = wav_bytes(X), wav_bytes(X, before=chunk(b"bext", bytes(602)))
    (tmp_path / "a.wav").write_bytes(one + two)
    row = apply(tmp_path / "a.wav", tmp_path / "b.wav", ignore_length=True)
    assert row.warnings == [f"{NOT_CARRIED}tags of the recordings that were joined to the first"]
    (tmp_path / "a.wav").write_bytes(one + one)
    assert apply(tmp_path / "a.wav", tmp_path / "b.wav", ignore_length=True).warnings == []


def test_a_chunk_without_a_legible_name_is_named(tmp_path, apply):
    soundfile.write(tmp_path / "plain.caf", X / 2.0**15, 8000, subtype="PCM_16")
    data = (tmp_path / "plain.caf").read_bytes()
    extra = b"\1\2\3\4" + struct.pack(">q", 4) + b"abcd"
    (tmp_path / "a.caf").write_bytes(data[:52] + extra + data[52:])
    row = apply(tmp_path / "a.caf", tmp_path / "b.caf")
    assert row.warnings == [f"{NOT_CARRIED}\\x01\\x02\\x03\\x04 (no legible name)"]
    np.testing.assert_array_equal(soundfile.read(tmp_path / "b.caf", dtype="int16")[0], X)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("Café".encode(), "Café"),
        (b"Caf\xe9", "Café"),  # as programs of Windows write it
        (b"\x93Caf\xe9\x94", "“Café”"),
        (b"\x81Caf\xe9", "Café"),  # no letter of Windows: Latin-1
    ],
)
@pytest.mark.parametrize("kind", ["aiff", "flac", "au", "wav", "sphere"])
def test_texts_of_any_encoding_are_legible_elsewhere(apply, tmp_path, kind, stored, text):
    source = tmp_path / "a"
    soundfile.write(tmp_path / "plain.aiff", X, 8000)
    soundfile.write(tmp_path / "plain.flac", X, 8000)
    if kind == "aiff":
        form = (tmp_path / "plain.aiff").read_bytes()
        form += struct.pack(">4sI", b"NAME", len(stored)) + stored + b"\0" * (len(stored) % 2)
        source.write_bytes(form[:4] + struct.pack(">I", len(form) - 8) + form[8:])
    elif kind == "flac":
        comment = b"TITLE=" + stored
        block = struct.pack("<III", 0, 1, len(comment)) + comment
        flac = (tmp_path / "plain.flac").read_bytes()
        blocks = struct.pack(">I", 4 << 24 | len(block)) + block + flac[42:]
        source.write_bytes(flac[:4] + b"\0" + flac[5:42] + blocks)
    elif kind == "wav":
        name = chunk(b"INAM", stored + b"\0")
        source.write_bytes(wav_bytes(X, after=chunk(b"LIST", b"INFO" + name)))
    elif kind == "au":
        note = stored.replace(b"\x81", b"").ljust(16, b"\0")  # in a text is nothing of the kind
        head = struct.pack(">4s5I", b".snd", 24 + len(note), 2 * len(X), 3, 8000, 1)
        source.write_bytes(head + note + X.astype(">i2").tobytes())
    else:
        field = b"-s%d %s\n" % (len(stored), stored)
        header = SPHERE.replace(b"-s5 TIMIT\n", field).rstrip().ljust(1024)
        source.write_bytes(header + X.tobytes())
    apply(source, tmp_path / "b.flac")
    assert any(text in value for _, value in probe(str(tmp_path / "b.flac")).metadata.tags)
