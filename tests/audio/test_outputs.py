"""Every container and subtype that may be written holds noise at full scale; what does not is
refused.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earfilt.audio import formats, output_format
from earfilt.audio.formats import CONTAINERS, SUBTYPES, Target
from earfilt.audio.info import AudioInfo, Metadata
from earfilt.audio.reader import probe
from earfilt.audio.writer import open_writer
from earfilt.errors import AudioError, UsageError
from tests.audio import outputs
from tests.tools import single_threaded


@pytest.mark.parametrize("name", CONTAINERS)
def test_noise_at_full_scale_comes_back(name):
    run = subprocess.run(
        [sys.executable, "-m", "tests.audio.outputs", name],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=single_threaded(),
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")


def test_the_check_sees_codes_that_differ_and_frames_too_many(tmp_path):
    target = Target("AIFF", "PCM_S8", outputs.FS, 1)
    x = outputs.noise(target.sample, 7, 1)
    outputs.write(tmp_path / "a", target, x)
    assert outputs.faults(tmp_path / "a", target, x) == []
    assert outputs.faults(tmp_path / "a", target, x[:6]) == [
        "(7, 1) at 48000 Hz instead of (6, 1) at 48000 Hz"
    ]
    assert outputs.faults(tmp_path / "a", target, x ^ 256) == ["7 samples differ"]


def source(subtype, container="CAF", **more):
    sample = SUBTYPES[subtype]
    return AudioInfo("a", container, subtype, 48_000, 1, 100, 0, sample.dtype, sample.bits, **more)


@pytest.mark.parametrize(("subtype", "instead"), formats.PCM_INSTEAD.items())
def test_alac_becomes_pcm_with_every_code_and_says_so(subtype, instead):
    for info, asked in ((source(subtype), None), (source("PCM_16"), subtype)):
        target, warnings = output_format.plan_target(info, ".caf", ".caf", subtype=asked)
        assert target.subtype == instead
        assert [subtype in text and ".flac" in text for text in warnings] == [True]
    with pytest.raises(UsageError, match="cannot hold ALAC"):
        output_format.plan_target(source(subtype), ".caf", ".wav", subtype=subtype)


@pytest.mark.parametrize("fs", [65_537, 78_125, 97_656, 195_312])
def test_rates_that_flac_cannot_state_are_refused_before_work(fs):
    with pytest.raises(
        UsageError, match=rf"steps of 10 Hz, the source has {fs} Hz: name the output \.wav"
    ):
        formats.check_limits(Target("FLAC", "PCM_16", fs, 1), 100)


@pytest.mark.parametrize("fs", [1, 7999, 65_535, 65_540, 96_000, 352_800, 655_350])
def test_rates_that_flac_can_state_are_written(tmp_path, fs):
    target = Target("FLAC", "PCM_16", fs, 1)
    formats.check_limits(target, 100)
    outputs.write(tmp_path / "a.flac", target, np.zeros((100, 1), np.int16))
    assert soundfile.info(tmp_path / "a.flac").samplerate == fs


@pytest.mark.parametrize("container", ["AIFF", "AU", "WAV"])
def test_a_pipe_that_passes_4_gib_is_refused_where_nothing_more_can_be_stated(
    tmp_path, monkeypatch, container
):
    monkeypatch.setitem(
        CONTAINERS, container, formats.replace(CONTAINERS[container], max_bytes=5000)
    )
    monkeypatch.setattr("earfilt.audio.containers.wav.SIZE_WORD", 5000)
    target = Target(container, "ULAW", 8000, 1)
    with (
        (tmp_path / "a").open("wb+", buffering=0) as file,
        open_writer(file, target, Metadata(), frames=None, seekable=True) as writer,
    ):
        writer.write(writer.encode(np.zeros((900, 1), np.int16)))
        with pytest.raises(UsageError, match="4 GiB"):
            writer.write(writer.encode(np.zeros((4100, 1), np.int16)))


def test_8_bit_aiff_of_odd_length_has_no_frame_too_many(tmp_path):
    for subtype in ("PCM_S8", "PCM_U8", "ULAW"):
        outputs.write(
            tmp_path / "a.aiff", Target("AIFF", subtype, 8000, 1), np.zeros((101, 1), np.int16)
        )
        assert soundfile.info(tmp_path / "a.aiff").frames == 101
        assert probe(str(tmp_path / "a.aiff")).missing == 0


@pytest.mark.parametrize("beyond", [2.0**17, 1e9, 1e37])
def test_mp3_is_given_no_samples_over_which_its_encoder_ends_the_process(tmp_path, beyond):
    target = Target("MP3", "MPEG_LAYER_III", 48_000, 2)
    x = np.full((5000, 2), beyond, np.float32)
    x[::2] *= -1
    with (
        open(tmp_path / "a.mp3", "w+b", buffering=0) as file,
        pytest.raises(AudioError, match="which MP3 cannot hold"),
        open_writer(file, target, Metadata(), frames=5000, seekable=True) as writer,
    ):
        writer.write(writer.encode(x))
