"""Which container holds what."""

import itertools
import re
from pathlib import Path

import pytest
import soundfile

from earfilt.audio import formats
from earfilt.audio.formats import CONTAINERS, SUBTYPES, Target
from earfilt.audio.sniff import BEYOND
from earfilt.errors import UsageError


def test_every_format_of_libsndfile_is_read_or_refused_by_name():
    known = set(soundfile.available_formats()) - {"RAW"}
    assert set(formats.READ) | set(BEYOND) == known
    assert not set(formats.READ) & set(BEYOND)


@pytest.mark.parametrize("name", formats.READ)
def test_the_documentation_lists_what_is_read(name):
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    begin = page.index("### What is read, what is written")
    rows = re.findall(r"^\| .*$", page[begin : page.index("\n### ", begin + 1)], re.MULTILINE)
    listed = {word.upper() for row in rows for word in re.findall(r"\w+", row.split("|")[1])}
    assert name in listed


def test_the_table_holds_only_what_libsndfile_writes():
    for container in CONTAINERS.values():
        for subtype in container.subtypes:
            assert soundfile.check_format(container.name, subtype), (container.name, subtype)


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        (".wav", "WAV"), (".wave", "WAV"), (".bwf", "WAV"), (".rf64", "RF64"), (".w64", "W64"), (".aif", "AIFF"), (".aiff", "AIFF"),
        (".aifc", "AIFF"), (".caf", "CAF"), (".au", "AU"), (".snd", "AU"), (".flac", "FLAC"), (".FLAC", "FLAC"), (".ogg", "OGG"),
        (".oga", "OGG"), (".opus", "OGG"), (".mp3", "MP3"),
    ],
)  # fmt: skip
def test_an_extension_picks_the_container(suffix, expected):
    assert (
        formats.choose_container("CAF" if expected != "CAF" else "WAV", ".x", suffix, None)
        == expected
    )


def test_the_same_extension_keeps_what_the_content_is():
    assert formats.choose_container("FLAC", ".wav", ".WAV", None) == "FLAC"
    assert formats.choose_container("RF64", ".wav", ".wave", None) == "RF64"
    assert formats.choose_container("WAVEX", ".wav", "", None) == "WAVEX"
    assert formats.choose_container("FLAC", ".flac", "", None) == "WAV"


@pytest.mark.parametrize("source", ["NIST", "MP3", "OGG"])
def test_what_cannot_be_kept_becomes_what_its_name_says(source):
    assert formats.choose_container(source, ".WAV", ".wav", None) == "WAV"
    assert formats.choose_container(source, ".flac", ".flac", None) == "FLAC"


def test_format_wins_over_the_extension():
    assert formats.choose_container("WAV", ".wav", ".wav", "flac") == "FLAC"
    assert formats.choose_container("WAVEX", ".wav", ".flac", "wav") == "WAVEX"


@pytest.mark.parametrize(
    "source", ["PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]
)
@pytest.mark.parametrize("name", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU", "FLAC"])
def test_the_nearest_lossless_subtype_holds_every_code(source, name):
    container = CONTAINERS[name]
    if name == "FLAC" and source in ("PCM_32", "FLOAT", "DOUBLE"):
        with pytest.raises(UsageError, match=r'subtype="PCM_24", or name the output [.]wav'):
            formats.choose_subtype(source, container)
        return
    chosen = SUBTYPES[formats.choose_subtype(source, container)]
    assert chosen.name in container.subtypes
    assert chosen.bits >= SUBTYPES[source].bits
    assert chosen.bits == SUBTYPES[source].bits or SUBTYPES[source].bits == 8
    assert (chosen.name == source) == (source in container.subtypes)


@pytest.mark.parametrize("source", ["VORBIS", "OPUS", "MPEG_LAYER_III", "ULAW", "GSM610", "PCM_16"])
def test_a_lossy_container_is_never_chosen_unasked(source):
    for name in ("OGG", "MP3"):
        with pytest.raises(UsageError, match="on request only: add subtype="):
            formats.choose_subtype(source, CONTAINERS[name])


@pytest.mark.parametrize(
    ("source", "container", "expected"),
    [("VORBIS", "WAV", "FLOAT"), ("OPUS", "FLAC", "PCM_24"), ("ULAW", "FLAC", "PCM_16"), ("ALAC_20", "FLAC", "PCM_24"),
     ("ALAC_16", "CAF", "PCM_16"), ("ALAC_20", "CAF", "PCM_24"), ("IMA_ADPCM", "WAV", "PCM_16"), ("ALAC_32", "WAV", "PCM_32")],
)  # fmt: skip
def test_what_other_codecs_become(source, container, expected):
    assert formats.choose_subtype(source, CONTAINERS[container]) == expected


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (
            Target("FLAC", "PCM_16", 48_000, 9),
            "at most 8 channels, the source has 9: name the output .wav",
        ),
        (Target("FLAC", "PCM_16", 768_000, 1), "655350 Hz"),
        (Target("OGG", "OPUS", 44_100, 2), "8000, 12000, 16000, 24000, 48000 Hz only"),
        (Target("MP3", "MPEG_LAYER_III", 96_000, 2), "48000 Hz"),
    ],
)
def test_limits_name_the_value_and_the_way_out(target, match):
    with pytest.raises(UsageError, match=match):
        formats.check_limits(target, 100)


@pytest.mark.parametrize("container", ["AIFF", "AU"])
def test_four_gigabytes_are_refused_where_nothing_bigger_can_be_stated(container):
    frames = 2**30
    formats.check_limits(Target(container, "PCM_16", 48_000, 1), frames)
    with pytest.raises(UsageError, match=r"4 GiB .* RF64"):
        formats.check_limits(Target(container, "PCM_16", 48_000, 2), frames)


@pytest.mark.parametrize("name", ["mp5", "", "wav wav", "\x1b[31m"])
def test_unknown_names_are_refused_printably(name):
    for lookup in (formats.container_named, formats.subtype_named):
        with pytest.raises(UsageError, match="unknown") as caught:
            lookup(name)
        assert str(caught.value).isprintable()


def test_names_are_found_in_any_case():
    for name, spelling in itertools.product(CONTAINERS, (str.lower, str.upper)):
        assert formats.container_named(spelling(name)).name == name
    assert formats.subtype_named("pcm-24").name == "PCM_24"


def test_clip_float_takes_the_width_that_holds_the_source():
    target = Target("WAV", "PCM_16", 8000, 1)
    assert formats.unclipped(target, SUBTYPES["PCM_24"]).subtype == "FLOAT"
    assert formats.unclipped(target, SUBTYPES["PCM_32"]).subtype == "DOUBLE"
    with pytest.raises(UsageError, match=r"name the output \.wav"):
        formats.unclipped(Target("FLAC", "PCM_16", 8000, 1), SUBTYPES["PCM_16"])
