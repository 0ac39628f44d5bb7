"""Formats whose samples, channels and rate earfilt cannot check: refused, with a way out that works."""

import os
import re
import shlex
import subprocess

import numpy as np
import pytest
import soundfile as sf

from earfilt import cli
from earfilt.audio.reader import probe
from earfilt.audio.sniff import BEYOND
from earfilt.errors import AudioError
from tests.tools import need

TONE = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16_000)) / 2.0**15
WRITTEN = {name: "DOUBLE" if name.startswith("MAT") else sf.default_subtype(name) for name in BEYOND if name not in ("XI", "SD2")}  # fmt: skip


def in_format(path, name):
    sf.write(path, TONE, 8000 if name == "WVE" else 16_000, WRITTEN[name], format=name)


def refusal(path):
    with pytest.raises(AudioError, match="is not read; ") as caught:
        probe(str(path))
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(set(WRITTEN)))
def test_a_format_that_cannot_be_checked_is_refused_by_its_name(tmp_path, name):
    path = tmp_path / "a"
    in_format(path, name)
    assert f"is {BEYOND[name]}, which" in refusal(path)


@pytest.mark.parametrize("name", ["AVR", "HTK", "IRCAM", "MPC2K", "PAF", "PVF", "SDS", "SVX", "VOC", "WVE"])  # fmt: skip
def test_the_way_out_works(tmp_path, name):
    path = tmp_path / "a"
    in_format(path, name)
    command = re.search(r"'(.*)'", refusal(path))
    assert command is not None
    words = shlex.split(
        command[1].replace("INPUT", str(path)).replace("OUTPUT", str(tmp_path / "b"))
    )
    need(words[0])
    subprocess.run(words, check=True, capture_output=True)
    samples, rate = sf.read(tmp_path / "b.wav")
    assert rate == (8000 if name == "WVE" else 16_000)
    np.testing.assert_allclose(
        samples, TONE, atol=0.03 if WRITTEN[name] in ("ALAW", "PCM_S8") else 1e-4
    )


def test_a_refused_file_fails_alone_and_a_matrix_is_no_sound(tmp_path, capfd):
    root, out = tmp_path / "in", str(tmp_path / "out")
    root.mkdir()
    in_format(root / "a.mat", "MAT5")
    in_format(root / "b", "VOC")
    in_format(root / "c.snd", "MPC2K")
    sf.write(root / "d.wav", TONE, 16_000)
    line = ["apply", str(root), out, "-f", "headphone"]
    assert cli.run([*line, "--dry-run"]) == 1
    foreseen = sorted(capfd.readouterr().out.splitlines())
    assert [row.split("\t")[0] for row in foreseen] == ["fail", "fail", "filter"]
    assert "is Creative Voice, which is not read; convert it first" in foreseen[0]
    assert "is Akai MPC 2000, which is not read; convert it first" in foreseen[1]
    assert cli.run(line) == 1
    assert "which is not read; convert it first" in capfd.readouterr().err
    assert os.path.exists(tmp_path / "out" / "d.wav")
