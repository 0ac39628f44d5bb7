"""Tags that cross containers, and the coding history."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from earfilt.audio.containers.chunks import Chunk
from earfilt.audio.formats import Target
from earfilt.audio.info import Metadata
from earfilt.audio.metadata import tags
from tests.audio.foreign import chunk

TARGET = Target("WAV", "PCM_24", 48_000, 2)


def test_info_keys_get_the_names_of_vorbis_comments_and_back():
    info = Chunk(
        b"LIST",
        b"INFO" + chunk(b"INAM", b"t\0") + chunk(b"IENG", "ü\0".encode()) + chunk(b"IXYZ", b"q\0"),
    )
    pairs = tags.riff_tags([info, Chunk(b"LIST", b"adtl" + chunk(b"INAM", b"no"))])
    assert pairs == (("TITLE", "t"), ("ENGINEER", "ü"), ("IXYZ", "q"))
    assert tags.info_chunk(pairs) == info


def test_old_programs_wrote_latin_letters():
    assert tags.riff_tags([Chunk(b"LIST", b"INFO" + chunk(b"IART", b"Gr\xfc\xdfe\0"))]) == (
        ("ARTIST", "Grüße"),
    )


def test_what_has_no_name_there_makes_no_chunk():
    assert tags.info_chunk((("MUSICBRAINZ", "x"),)) is None


def test_the_name_of_the_program_that_wrote_a_source_is_no_loss():
    kept = Metadata(tags=(("ENCODER", "Lavf59"), ("MUSICBRAINZ", "x")))
    (said,) = tags.left_behind(kept, TARGET)
    assert said == "WAV has no place for MUSICBRAINZ: left behind"
    assert tags.left_behind(Metadata(tags=kept.tags[:1]), TARGET) == []


@given(st.binary(max_size=100), st.integers(0, 2**32 - 1))
def test_any_list_ends(data, size):
    tags.riff_tags([Chunk(b"LIST", b"INFO" + data + b"INAM" + struct.pack("<I", size) + data)])


def history(content: bytes, target: Target = TARGET) -> bytes:
    (out,) = tags.with_history([Chunk(b"bext", content)], target, "earfilt")
    assert out.data[:602] == content[:602]
    assert len(out.data) % 2 == 0
    return out.data[602:].rstrip(b"\0")


def test_the_history_gets_one_line_in_the_words_of_r98():
    assert history(bytes(602)) == b"A=PCM,F=48000,W=24,M=stereo,T=earfilt\r\n"
    assert (
        history(bytes(602) + b"A=ANALOGUE\r\n\0\0\0")
        == b"A=ANALOGUE\r\nA=PCM,F=48000,W=24,M=stereo,T=earfilt\r\n"
    )
    assert history(bytes(602) + b"no end") == b"no end\r\nA=PCM,F=48000,W=24,M=stereo,T=earfilt\r\n"
    assert (
        history(bytes(602), Target("WAV", "FLOAT", 8000, 6))
        == b"A=PCM,F=8000,M=multitrack,T=earfilt\r\n"
    )


def test_a_bext_that_is_too_short_is_left_alone():
    assert tags.with_history([Chunk(b"bext", b"abc")], TARGET, "x") == (Chunk(b"bext", b"abc"),)


def test_what_is_left_behind_is_named_once():
    metadata = Metadata(
        before=(Chunk(b"bext", b""), Chunk(b"LIST", b"INFO")),
        after=(Chunk(b"cue ", b""), Chunk(b"cue ", b"")),
    )
    assert tags.left_behind(metadata, TARGET) == []
    assert tags.left_behind(metadata, Target("FLAC", "PCM_16", 8000, 1)) == [
        "FLAC has no place for bext, cue: left behind"
    ]
    assert tags.left_behind(Metadata(blocks=((4, b""), (6, b""))), TARGET) == [
        "WAV has no place for picture: left behind"
    ]
    tagged = Metadata(tags=(("TITLE", "a"), ("ISRC", "b"), ("MOOD", "c")))
    assert tags.left_behind(tagged, Target("FLAC", "PCM_16", 8000, 1)) == []
    assert tags.left_behind(tagged, TARGET) == ["WAV has no place for MOOD: left behind"]
    assert tags.left_behind(tagged, Target("OGG", "VORBIS", 8000, 1)) == [
        "OGG has no place for ISRC, MOOD: left behind"
    ]
    assert tags.left_behind(tagged, Target("CAF", "PCM_16", 8000, 1)) == []
