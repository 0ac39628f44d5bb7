"""Which loudspeaker each channel is for, across containers; ffmpeg hears what was written."""

import struct

import numpy as np
import pytest
import soundfile

from earfilt.audio import speakers
from earfilt.audio.reader import probe
from earfilt.chains.members import resolve
from earfilt.render.process import FileJob, Options, filter_file
from tests.audio.foreign import chunk, run
from tests.tools import need

FS, FRAMES = 48_000, 9600
HZ = {
    "FL": 300,
    "FR": 500,
    "FC": 700,
    "LFE": 60,
    "BL": 900,
    "BR": 1100,
    "SL": 1300,
    "SR": 1500,
    "BC": 1700,
}
BITS = {"FL": 0, "FR": 1, "FC": 2, "LFE": 3, "BL": 4, "BR": 5, "BC": 8, "SL": 9, "SR": 10}
# Names as ffmpeg has them; WAV's order is that of the bits, the coded order that of Vorbis I,
# section 4.3.9, and RFC 7845.
LAYOUTS = {
    "3.0": ("FL FR FC", "FL FC FR"),
    "quad": ("FL FR BL BR", "FL FR BL BR"),
    "5.0": ("FL FR FC BL BR", "FL FC FR BL BR"),
    "5.1": ("FL FR FC LFE BL BR", "FL FC FR BL BR LFE"),
    "6.1": ("FL FR FC LFE BC SL SR", "FL FC FR SL SR BC LFE"),
    "7.1": ("FL FR FC LFE BL BR SL SR", "FL FC FR SL SR BL BR LFE"),
}
CODED = {"VORBIS": "ogg", "OPUS": "opus"}


def tones(names):
    t = np.arange(FRAMES) / FS
    return np.stack([0.25 * np.sin(2 * np.pi * HZ[name] * t) for name in names], 1)


def names_in(x):
    """Which tone each channel holds."""
    spectra = abs(np.fft.rfft(x[2400 : 2400 + FS // 10], axis=0))
    heard = spectra.argmax(0) * 10
    return [min(HZ, key=lambda name: abs(HZ[name] - hz)) for hz in heard]


def mask_of(names):
    return sum(1 << BITS[name] for name in names)


def write_wav(path, names, *, mask=None, guid_tail="000000001000800000aa00389b71", samples=None):
    """16-bit WAV with the loudspeakers' mask; plain if the mask is None."""
    x = np.rint(32_767 * (tones(names) if samples is None else samples)).astype("<i2")
    n = x.shape[1]
    fmt = struct.pack("<HHIIHH", 1 if mask is None else 0xFFFE, n, FS, FS * 2 * n, 2 * n, 16)
    if mask is not None:
        fmt += struct.pack("<HHIH14s", 22, 16, mask, 1, bytes.fromhex(guid_tail))
    body = b"WAVE" + chunk(b"fmt ", fmt) + chunk(b"data", x.tobytes())
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def ffmpeg_layout(path):
    show = ("-show_entries", "stream=channel_layout", "-of", "csv=p=0")
    return run(need("ffprobe"), "-v", "error", *show, path).decode().split()[0]


def ffmpeg_channels(path, count):
    """Samples in WAV's order, as ffmpeg decodes them."""
    raw = run(need("ffmpeg"), "-v", "error", "-i", path, "-f", "f64le", "-")
    return np.frombuffer(raw, "<f8").reshape(-1, count)


@pytest.fixture
def apply(tmp_path):
    np.save(tmp_path / "fir.npy", np.ones(1))

    def call(source, destination, **options):
        spec = resolve(str(tmp_path / "fir.npy"))
        return filter_file(
            FileJob(str(source), str(destination), "a", spec, Options(exists="force", **options))
        )

    return call


def lost(row):
    return [text for text in row.warnings if "channel layout" in text or "ambisonic" in text]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("subtype", CODED)
def test_what_ffmpeg_codes_comes_out_in_the_order_of_wav(tmp_path, apply, name, subtype):
    names = LAYOUTS[name][0].split()
    write_wav(tmp_path / "a.wav", names, mask=mask_of(names))
    coded = tmp_path / f"a.{CODED[subtype]}"
    encoder = {"VORBIS": "libvorbis", "OPUS": "libopus"}[subtype]
    family = ("-mapping_family", "1") if subtype == "OPUS" else ()
    run(
        need("ffmpeg"),
        "-v",
        "error",
        "-i",
        tmp_path / "a.wav",
        "-c:a",
        encoder,
        *family,
        "-b:a",
        "512k",
        coded,
    )
    for extension in ("wav", "flac", "caf", "aiff", "w64"):
        out = tmp_path / f"b.{extension}"
        row = apply(coded, out, subtype="PCM_16")
        assert names_in(soundfile.read(out)[0]) == names
        assert lost(row) == []
    apply(coded, tmp_path / "b.au")
    assert names_in(soundfile.read(tmp_path / "b.au")[0]) == names


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("subtype", CODED)
def test_what_is_coded_plays_on_the_right_loudspeakers_in_ffmpeg(tmp_path, apply, name, subtype):
    names, coded = (text.split() for text in LAYOUTS[name])
    out, again = tmp_path / f"b.{CODED[subtype]}", tmp_path / f"c.{CODED[subtype]}"
    for mask in (mask_of(names), None):
        apply(write_wav(tmp_path / "a.wav", names, mask=mask), out, subtype=subtype)
        assert names_in(ffmpeg_channels(out, len(names))) == names
        assert names_in(soundfile.read(out)[0]) == coded
    apply(out, again, subtype=subtype)
    assert names_in(soundfile.read(again)[0]) == coded


@pytest.mark.parametrize("name", ["7.1", "5.1(side)", "4.0", "hexagonal"])
def test_the_layout_crosses_to_every_container_that_has_a_place(tmp_path, apply, name):
    names = {
        "5.1(side)": "FL FR FC LFE SL SR",
        "4.0": "FL FR FC BC",
        "hexagonal": "FL FR FC BL BR BC",
    }.get(name)
    names = (names or LAYOUTS[name][0]).split()
    first = write_wav(tmp_path / "a.wav", names, mask=mask_of(names))
    stated = ffmpeg_layout(first)
    for extension in ("flac", "w64", "rf64", "caf", "aiff"):
        out, back, same = (
            tmp_path / f"{stem}.{end}"
            for stem, end in (("b", extension), ("c", "wav"), ("d", extension))
        )
        assert lost(apply(first, out)) == []
        assert lost(apply(out, back)) == []
        assert lost(apply(out, same, metadata=False)) == []
        assert probe(str(back)).extensible.mask == mask_of(names)
        assert ffmpeg_layout(out) == ffmpeg_layout(same) == stated
        np.testing.assert_array_equal(soundfile.read(back)[0], soundfile.read(first)[0])


def test_the_mask_stands_in_flac_as_the_program_flac_writes_it(tmp_path, apply):
    names = ["FL", "FR", "FC", "LFE", "SL", "SR"]
    source = write_wav(tmp_path / "a.wav", names, mask=0x60F)
    run(need("flac"), "-s", "-f", source, "-o", tmp_path / "theirs.flac")
    apply(source, tmp_path / "ours.flac")
    show = ("--list", "--block-type=VORBIS_COMMENT")
    for path in ("theirs", "ours"):
        assert b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x060F" in run(
            need("metaflac"), *show, tmp_path / f"{path}.flac"
        )
    row = apply(tmp_path / "theirs.flac", tmp_path / "b.wav")
    assert probe(str(tmp_path / "b.wav")).extensible.mask == 0x60F
    assert not [text for text in row.warnings if "WAVEFORMATEXTENSIBLE" in text]
    run(need("flac"), "-s", "-t", tmp_path / "ours.flac")


def test_a_flac_without_a_mask_has_the_loudspeakers_of_the_standard(tmp_path, apply):
    soundfile.write(tmp_path / "a.flac", tones(["FL", "FR", "BL", "BR"]), FS)
    apply(tmp_path / "a.flac", tmp_path / "b.wav")
    assert probe(str(tmp_path / "b.wav")).extensible.mask == 0x33
    apply(tmp_path / "a.flac", tmp_path / "b.flac")
    assert b"MASK" not in (tmp_path / "b.flac").read_bytes()


def test_channels_without_loudspeakers_get_none(tmp_path, apply):
    source = write_wav(tmp_path / "a.wav", ["FL", "FR", "FC", "BC"])
    for extension in ("wav", "w64", "rf64", "caf", "aiff", "flac", "au"):
        assert lost(apply(source, tmp_path / f"b.{extension}")) == []
        info = probe(str(tmp_path / f"b.{extension}"))
        assert info.extensible is None
        assert not info.apple


@pytest.mark.parametrize(("channels", "mask"), [(1, 0x4), (2, 0x3)])
def test_plain_mono_and_stereo_leave_no_trace(tmp_path, apply, channels, mask):
    source = write_wav(tmp_path / "a.wav", ["FL", "FR"][:channels], mask=mask)
    for extension in ("flac", "caf", "aiff", "au"):
        assert lost(apply(source, tmp_path / f"b.{extension}")) == []
        assert probe(str(tmp_path / f"b.{extension}")).extensible is None


def test_what_has_no_place_is_said(tmp_path, apply):
    names = ["FL", "FR", "FC", "BC"]
    source = write_wav(tmp_path / "a.wav", names, mask=mask_of(names))
    for extension, options in (
        ("au", {}),
        ("ogg", {"subtype": "VORBIS"}),
        ("w64", {"subtype": "FLOAT"}),
    ):
        row = apply(source, tmp_path / f"b.{extension}", **options)
        assert lost(row) == [
            f"{row.format} has no place for the channel layout (mask 0x0107): left behind"
        ]
        assert names_in(soundfile.read(tmp_path / f"b.{extension}")[0]) == names
    ambisonic = write_wav(
        tmp_path / "c.wav", names, mask=0, guid_tail="00002107d3118644c8c1ca000000"
    )
    assert lost(apply(ambisonic, tmp_path / "b.flac")) == [
        "FLAC cannot say that the channels are ambisonic: left behind"
    ]
    assert lost(apply(ambisonic, tmp_path / "b.wav")) == []


def test_floating_point_in_w64_is_read_as_such_by_libsndfile(tmp_path, apply):
    names = ["FL", "FR", "FC", "LFE", "BL", "BR"]
    source = write_wav(tmp_path / "a.wav", names, mask=mask_of(names))
    for subtype in ("FLOAT", "DOUBLE"):
        apply(source, tmp_path / "b.w64", subtype=subtype)
        np.testing.assert_allclose(
            soundfile.read(tmp_path / "b.w64")[0], soundfile.read(source)[0], atol=1e-6
        )


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
@pytest.mark.parametrize("fmt", ["wav", "rf64"])
def test_telephone_codecs_keep_the_mask(tmp_path, apply, subtype, fmt):
    names = ["FL", "FR", "FC", "LFE", "SL", "SR"]
    apply(
        write_wav(tmp_path / "a.wav", names, mask=0x60F),
        tmp_path / "b.wav",
        subtype=subtype,
        format=fmt,
    )
    assert probe(str(tmp_path / "b.wav")).extensible.mask == 0x60F
    assert ffmpeg_layout(tmp_path / "b.wav") == "5.1(side)"


@pytest.mark.parametrize(
    ("tag", "order"),
    [(116, "FC FL FR BC"), (120, "FC FL FR BL BR"), (124, "FC FL FR BL " "BR LFE"), (121, "FL FR FC LFE BL BR"),
     (127, None), (142, "FC FL FR BL BR BC LFE")],
)  # fmt: skip
def test_layout_tags_of_caf_set_the_order(tmp_path, apply, tag, order):
    names = order.split() if order else ["FL"] * 8
    soundfile.write(tmp_path / "plain.caf", tones(names), FS, subtype="PCM_16")
    data = (tmp_path / "plain.caf").read_bytes()
    stated = struct.pack(">III", tag << 16 | len(names), 0, 0)
    (tmp_path / "a.caf").write_bytes(
        data[:52] + b"chan" + struct.pack(">q", 12) + stated + data[52:]
    )
    apply(tmp_path / "a.caf", tmp_path / "b.caf")
    assert stated in (tmp_path / "b.caf").read_bytes()[:200]
    if order:
        assert names_in(soundfile.read(tmp_path / "b.caf")[0]) == names
        apply(tmp_path / "a.caf", tmp_path / "b.wav")
        ascending = sorted(names, key=BITS.__getitem__)
        assert probe(str(tmp_path / "b.wav")).extensible.mask == mask_of(names)
        assert names_in(soundfile.read(tmp_path / "b.wav")[0]) == ascending


def test_layout_descriptions_are_read_and_a_strange_layout_is_said(tmp_path, apply):
    described = struct.pack(">III", 0, 0, 4) + b"".join(
        struct.pack(">II12x", label, 0) for label in (3, 1, 2, 9)
    )
    assert speakers.apple_speakers(described, 4) == (2, 0, 1, 8)
    behind = struct.pack(">III", 0, 0, 4) + b"".join(
        struct.pack(">II12x", label, 0) for label in (5, 6, 33, 34)
    )
    assert speakers.apple_speakers(behind, 4) == (9, 10, 4, 5)
    for broken in (
        b"",
        described[:40],
        struct.pack(">III", 0, 0, 2**32 - 1),
        struct.pack(">III", 121 << 16 | 6, 0, 0),
    ):
        assert speakers.apple_speakers(broken, 4) == ()
    soundfile.write(tmp_path / "plain.caf", np.zeros((10, 4)), FS, subtype="PCM_16")
    data = (tmp_path / "plain.caf").read_bytes()
    odd = struct.pack(">III", 190 << 16 | 4, 0, 0)
    (tmp_path / "a.caf").write_bytes(data[:52] + b"chan" + struct.pack(">q", 12) + odd + data[52:])
    assert lost(apply(tmp_path / "a.caf", tmp_path / "b.wav")) == [
        "WAV has no place for the channel layout (layout tag 0x00be0004): left behind"
    ]


def test_opus_without_loudspeakers_stays_as_it_is():
    head = b"OggS".ljust(28, b"\0") + b"OpusHead\x01\x06" + bytes(8)
    assert speakers.ogg_speakers(6, head + b"\x01") == (0, 2, 1, 4, 5, 3)
    assert speakers.ogg_speakers(6, head + b"\xff") == ()
    assert speakers.ogg_speakers(6, b"OggS".ljust(64, b"\0")) == (0, 2, 1, 4, 5, 3)
