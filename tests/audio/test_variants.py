"""What a container says beyond its name stays, or a warning says what it became."""

import struct

import numpy as np
import pytest
import soundfile

from earfilt.chains.members import resolve
from earfilt.render.process import FileJob, Options, filter_file
from tests.audio.foreign import chunk, ffmpeg_samples, run, wav_bytes
from tests.tools import need

X = np.random.default_rng(0).integers(-9000, 9000, 4000).astype(np.int16)


@pytest.fixture
def apply(tmp_path):
    np.save(tmp_path / "fir.npy", np.ones(1))

    def call(source, destination, **options):
        spec = resolve(str(tmp_path / "fir.npy"))
        options.setdefault("exists", "force")
        job = FileJob(str(source), str(destination), "a", spec, Options(**options))
        return filter_file(job)

    return call


def test_a_bw64_stays_one(tmp_path, apply):
    body = wav_bytes(X)[12 : -len(X) * 2 - 8]
    sizes = struct.pack("<QQQI", 0, 2 * len(X), len(X), 0)
    head = b"BW64\xff\xff\xff\xffWAVE" + chunk(b"ds64", sizes) + body
    source = head + chunk(b"axml", b"<adm/>") + b"data\xff\xff\xff\xff" + X.tobytes()
    (tmp_path / "a.wav").write_bytes(source)
    assert apply(tmp_path / "a.wav", tmp_path / "b.wav").warnings == []
    made = (tmp_path / "b.wav").read_bytes()
    assert made[:4] == b"BW64"
    assert chunk(b"axml", b"<adm/>") in made
    np.testing.assert_array_equal(ffmpeg_samples(tmp_path / "b.wav")[:, 0], X / 2.0**15)
    apply(tmp_path / "a.wav", tmp_path / "c.wav", format="rf64")
    assert (tmp_path / "c.wav").read_bytes()[:4] == b"RF64"
    row = apply(tmp_path / "a.wav", tmp_path / "d.wav", subtype="ULAW")
    assert row.warnings == ["BW64 is written as RF64"]


def test_a_rifx_is_said_to_become_riff(tmp_path, apply):
    run(
        need("sox"),
        "-n",
        "-r",
        "8000",
        "-b",
        "16",
        "-B",
        tmp_path / "a.wav",
        "synth",
        "0.1",
        "sine",
        "440",
    )
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFX"
    said = ["RIFX is written as RIFF: the low byte of a word comes first"]
    assert said == [
        text
        for text in apply(tmp_path / "a.wav", tmp_path / "b.wav").warnings
        if "RIFX is written" in text
    ]
    row = apply(tmp_path / "a.wav", tmp_path / "b.flac")
    assert not any("written as" in text for text in row.warnings)


def twenty_bits(container):
    """A file of 20 bits a sample, as its header says, in 24."""
    codes = np.arange(-500, 500, dtype=np.int32) << 12
    if container == "wav":
        raw = codes.astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
        guid = b"\1\0" + bytes.fromhex("000000001000800000aa00389b71")
        fmt = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8000, 24_000, 3, 24, 22, 20, 4) + guid
        body = b"WAVE" + chunk(b"fmt ", fmt) + chunk(b"data", raw)
        return b"RIFF" + struct.pack("<I", len(body)) + body
    raw = codes.astype(">i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    rate = b"\x40\x0b\xfa" + bytes(7)  # 8000 as an extended float
    common = struct.pack(">hIh", 1, len(codes), 20) + rate
    parts = [(b"COMM", common), (b"SSND", bytes(8) + raw)]
    body = b"AIFF" + b"".join(name + struct.pack(">I", len(c)) + c for name, c in parts)
    return b"FORM" + struct.pack(">I", len(body)) + body


@pytest.mark.parametrize("container", ["wav", "aiff"])
def test_bits_that_were_not_used_are_said_to_be_now(tmp_path, apply, container):
    source = tmp_path / f"a.{container}"
    source.write_bytes(twenty_bits(container))
    row = apply(source, tmp_path / f"b.{container}")
    assert row.warnings == ["its header states 20 bits a sample: written with 24"]
    asked = apply(source, tmp_path / f"b.{container}", subtype="PCM_24")
    assert asked.warnings == []


PLAIN = [
    (container, subtype)
    for container in ("wav", "wavex", "rf64", "w64", "aiff", "caf", "au", "flac")
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")
    if soundfile.check_format(container.upper(), subtype)
]


@pytest.mark.parametrize(("container", "subtype"), PLAIN)
def test_nothing_is_said_of_a_plain_file(tmp_path, apply, container, subtype):
    source = tmp_path / f"a.{'wav' if container == 'wavex' else container}"
    soundfile.write(source, X / 2.0**15, 8000, format=container.upper(), subtype=subtype)
    assert apply(source, tmp_path / f"b{source.suffix}").warnings == []
