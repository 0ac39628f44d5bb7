"""Ogg files that are cut short, damaged, mixed, or do not say their rate; where an Opus file ends."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from earfilt.audio.containers.ogg import opus
from earfilt.audio.containers.ogg.pages import checksum as quick_checksum
from earfilt.audio.formats import Target
from earfilt.audio.reader import open_reader, probe
from earfilt.errors import AudioError
from tests.audio.containers.ogg.test_pages import checksum, pages
from tests.audio.foreign import ffmpeg_samples, run
from tests.audio.outputs import write
from tests.tools import need

FS = 48_000
RNG = np.random.default_rng(3)
X = RNG.standard_normal(3 * FS) * 0.1
CODECS = ("VORBIS", "OPUS")
HEADERS = 2  # pages, as libsndfile writes them


def coded(codec: str, samples=X, fs: int = FS) -> list[bytes]:
    file = io.BytesIO()
    sf.write(file, samples, fs, codec, format="OGG")
    return pages(file.getvalue())


def read_all(path: Path, **options):
    with open_reader(str(path), **options) as reader:
        blocks = []
        while len(block := reader.read(10_000)):
            blocks.append(block.copy())
        return np.concatenate(blocks), reader.info


def flipped(page: bytes) -> bytes:
    return page[: len(page) // 2] + bytes([page[len(page) // 2] ^ 1]) + page[len(page) // 2 + 1 :]


def repaged(page: bytes) -> bytes:
    return page[:22] + struct.pack("<I", checksum(page)) + page[26:]


@pytest.mark.parametrize("size", [27, 28, 100, 4000])
def test_a_checksum_is_that_of_its_definition(size):
    page = b"OggS" + RNG.bytes(size - 4)
    assert quick_checksum(page) == checksum(page)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("seconds", [0.3, 3])
@pytest.mark.parametrize("part", [0.02, 0.2, 0.75, 0.999])
def test_a_file_that_is_cut_in_its_last_page_is_cut_short(tmp_path, codec, seconds, part):
    *before, last = coded(codec, X[: int(seconds * FS)])
    path = tmp_path / "a.ogg"
    path.write_bytes(b"".join(before) + last[: int(part * len(last))])
    with pytest.raises(AudioError, match="cut short: pages of it"):
        read_all(path)


DAMAGE = {
    "a bit": flipped,
    "a hole": lambda page: page[: len(page) // 2] + page[len(page) // 2 + 100 :],
    "zeros": lambda page: page[:100] + bytes(len(page) - 100),
    "all of it": lambda page: b"",
    "its beginning": lambda page: page[4:],
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_a_page_that_is_damaged_or_missing_is_an_error(tmp_path, codec, damage, which):
    parts = coded(codec)
    index = {"first": HEADERS, "middle": len(parts) - 2, "last": len(parts) - 1}[which]
    parts[index] = DAMAGE[damage](parts[index])
    path = tmp_path / "a.ogg"
    path.write_bytes(b"".join(parts))
    with pytest.raises(AudioError, match=r"pages of it are missing or damaged.*repair=True"):
        read_all(path)
    heard, info = read_all(path, repair=True)
    assert 0 < len(heard) < len(X)
    assert info.missing


@pytest.mark.parametrize("codec", CODECS)
def test_whole_files_of_any_program_are_whole(tmp_path, codec):
    sf.write(tmp_path / "a.wav", X, FS)
    encoder = {"VORBIS": "libvorbis", "OPUS": "libopus"}[codec]
    for name, options in (("a", ()), ("b", ("-page_duration", "20000"))):
        path = tmp_path / f"{name}.ogg"
        run(
            need("ffmpeg"), "-v", "error", "-i", tmp_path / "a.wav", "-c:a", encoder, *options, path
        )
        heard, info = read_all(path)
        assert (len(heard), info.missing, info.unread, info.warnings) == (len(X), 0, 0, ())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("by", [1, 312, 100_000])
def test_a_recording_of_a_stream_that_began_earlier_is_read_from_its_first_sample(
    tmp_path, codec, by
):
    parts, path = coded(codec), tmp_path / "a.ogg"
    path.write_bytes(b"".join(parts))
    whole = read_all(path)[0]

    def later(page: bytes) -> bytes:
        (granule,) = struct.unpack_from("<q", page, 6)
        return repaged(page[:6] + struct.pack("<q", granule + by) + page[14:])

    path.write_bytes(b"".join(parts[:HEADERS] + [later(page) for page in parts[HEADERS:]]))
    np.testing.assert_array_equal(read_all(path)[0], whole)
    first = path.read_bytes()
    path.write_bytes(first + first)
    np.testing.assert_array_equal(read_all(path)[0], np.concatenate([whole, whole]))


@pytest.mark.parametrize("codec", CODECS)
def test_streams_side_by_side_are_told_and_the_first_is_read(tmp_path, codec):
    encoder = {"VORBIS": "libvorbis", "OPUS": "libopus"}[codec]
    ffmpeg = (need("ffmpeg"), "-v", "error")
    tones = [np.sin(np.arange(FS) * step) / 4 for step in (0.05, 0.2)]
    for name, tone in zip("ab", tones, strict=True):
        sf.write(tmp_path / f"{name}.wav", tone, FS)
    both = ("-i", tmp_path / "a.wav", "-i", tmp_path / "b.wav", "-map", "0", "-map", "1")
    title = ("-metadata:s:a:0", "title=Left of two")
    path = tmp_path / "two.ogg"
    run(*ffmpeg, *both, "-c:a", encoder, *title, path)
    heard, info = read_all(path)
    np.testing.assert_allclose(heard[2000:-2000, 0], tones[0][2000:-2000], atol=0.05)
    serials = {page[14:18] for page in pages(path.read_bytes())}
    second = [page for page in pages(path.read_bytes()) if page[14:18] != path.read_bytes()[14:18]]
    assert len(serials) == 2
    assert info.unread == sum(map(len, second))
    assert info.metadata.tags == (("TITLE", "Left of two"),)
    assert "1 of them" in info.warnings[-1]
    # The way out that it names.
    assert "'ffmpeg -i INPUT -map 0:a:1 OUTPUT.wav'" in info.warnings[-1]
    run(*ffmpeg, "-i", path, "-map", "0:a:1", tmp_path / "second.wav")
    got = sf.read(tmp_path / "second.wav")[0]
    np.testing.assert_allclose(got[2000:40_000], tones[1][2000:40_000], atol=0.05)


@pytest.mark.parametrize("first", ["film", "sound"])
def test_a_film_beside_the_sound_is_not_told_for_sound(tmp_path, first):
    ffmpeg, path = (need("ffmpeg"), "-v", "error"), tmp_path / "a.ogv"
    film = ("-f", "lavfi", "-t", "1", "-i", "testsrc=size=64x64:rate=5")
    sf.write(tmp_path / "a.wav", X[:FS], FS)
    maps = {"film": ("0", "1"), "sound": ("1", "0")}[first]
    which = [word for part in maps for word in ("-map", part)]
    run(
        *ffmpeg,
        *film,
        "-i",
        tmp_path / "a.wav",
        *which,
        "-c:v",
        "libtheora",
        "-c:a",
        "libvorbis",
        path,
    )
    if pages(path.read_bytes())[0][28:35] == b"\x80theora":
        with pytest.raises(
            AudioError, match=r"if it holds sound, convert it first.*ffmpeg"
        ) as refused:
            read_all(path)
        assert "--raw" not in str(refused.value)
        run(*ffmpeg, "-i", path, "-c:a", "pcm_f32le", tmp_path / "b.wav")  # as it says
        path = tmp_path / "b.wav"
        assert read_all(path)[1].warnings == ()
    else:
        assert "-map" not in read_all(path)[1].warnings[-1]
    assert len(read_all(path)[0]) == FS


def opus_stating(rate: int, samples, fs: int = FS) -> bytes:
    first, *others = coded("OPUS", samples, fs)
    at = first.index(b"OpusHead") + 12
    first = repaged(first[:at] + struct.pack("<I", rate) + first[at + 4 :])
    return first + b"".join(others)


@pytest.mark.parametrize("stated", [0, 44_100, 96_000, 2**32 - 1])
def test_opus_is_read_at_a_rate_that_holds_it(tmp_path, stated):
    """10 kHz, which 8 kHz does not hold."""
    tone = 0.2 * np.sin(2 * np.pi * 10_000 / FS * np.arange(FS))
    path = tmp_path / "a.opus"
    path.write_bytes(opus_stating(stated, tone))
    heard, info = read_all(path)
    assert (info.fs, len(heard)) == (FS, FS)
    assert heard.std() == pytest.approx(ffmpeg_samples(path).std(), rel=1e-3)
    assert [str(stated) in words for words in info.warnings] == [True] * bool(stated)


@pytest.mark.parametrize("stated", [8_000, 11_025, 16_000, 24_000])
def test_opus_that_holds_more_than_its_header_says_is_read_whole(tmp_path, stated):
    tone = 0.2 * np.sin(2 * np.pi * 15_000 / FS * np.arange(FS)) + X[:FS]
    path = tmp_path / "a.opus"
    path.write_bytes(opus_stating(stated, tone))
    heard, info = read_all(path)
    assert (info.fs, len(heard)) == (FS, FS)
    np.testing.assert_allclose(heard, ffmpeg_samples(path)[:FS], atol=2e-4)
    assert f"states {stated} Hz" in info.warnings[-1]


@pytest.mark.parametrize("fs", opus.RATES)
@pytest.mark.parametrize("noisy", [False, True])
def test_opus_is_read_at_the_rate_that_it_was_made_from(tmp_path, fs, noisy):
    x = RNG.uniform(-1, 1, fs) if noisy else np.sin(np.arange(fs) * 0.1)
    path = tmp_path / "a.opus"
    path.write_bytes(b"".join(coded("OPUS", x, fs)))
    info = probe(str(path))
    assert (info.fs, info.frames, info.warnings) == (fs, fs, ())


def test_opus_of_both_kinds_of_rates_in_one_chain(tmp_path):
    path = tmp_path / "a.opus"
    path.write_bytes(opus_stating(0, X[:FS]) + opus_stating(48_000, X[:FS]))
    heard, info = read_all(path)
    assert (info.fs, len(heard)) == (FS, 2 * FS)


def opus_errors(path: Path, x: np.ndarray, fs: int) -> tuple[float, float]:
    """Largest errors of the last 10 ms, as libsndfile and as ffmpeg decode them."""
    ours, heard_at = sf.read(path, always_2d=True)
    assert (heard_at, ours.shape) == (fs, x.shape)
    theirs = ffmpeg_samples(path)[:: FS // fs] if fs == FS else ours
    assert len(theirs) == len(x)
    tail = slice(len(x) - min(len(x), fs // 100), None)
    return np.abs(ours - x)[tail].max(), np.abs(theirs - x)[tail].max()


@pytest.mark.parametrize(
    ("fs", "frames"),
    [(48_000, 48_000), (48_000, 95_999), (48_000, 100), (48_000, 47_688), (48_000, 47_689),
     (24_000, 24_000), (16_000, 16_000), (12_000, 12_345), (8_000, 12_345)],
)  # fmt: skip
def test_opus_outputs_end_as_the_recording_does(tmp_path, fs, frames):
    x = 0.5 * np.sin(2 * np.pi * 440 / fs * np.arange(frames))[:, np.newaxis]
    write(tmp_path / "a.opus", Target("OGG", "OPUS", fs, 1), x.astype(np.float32))
    assert max(opus_errors(tmp_path / "a.opus", x, fs)) < 0.12
    data = (tmp_path / "a.opus").read_bytes()
    assert all(int.from_bytes(page[22:26], "little") == checksum(page) for page in pages(data))
    assert [page[5] & 4 for page in pages(data)][-2:] == [0, 4]
    assert probe(str(tmp_path / "a.opus")).missing == 0
    run(need("ffmpeg"), "-v", "error", "-xerror", "-i", tmp_path / "a.opus", "-f", "null", "-")


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_full_scale_noise_in_opus_ends_no_louder_than_it_is(tmp_path, channels):
    frames = 50_000
    x = RNG.uniform(-1, 1, (frames, channels)).astype(np.float32)
    write(tmp_path / "a.opus", Target("OGG", "OPUS", FS, channels), x)
    for heard in (
        sf.read(tmp_path / "a.opus", always_2d=True)[0],
        ffmpeg_samples(tmp_path / "a.opus"),
    ):
        assert heard.shape == x.shape
        body, tail = heard[5000:-1000], heard[-480:]
        assert np.abs(tail).max() < 1.3 * np.abs(body).max()
        assert tail.std() < 1.3 * body.std()
