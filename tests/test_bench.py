"""The benchmark runs, and judges nothing in a quick run."""

import subprocess
import sys
from pathlib import Path

from benchmarks.gallery import PICTURES, command
from earfilt.chains.members import resolve


def test_a_quick_run_prints_its_tables() -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--quick",
        "--repeats",
        "1",
        "--only",
        "startup",
        "--only",
        "flac",
    ]
    ran = subprocess.run(
        command,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert "## Goals" in ran.stdout
    assert "not judged" in ran.stdout
    assert "| flac" in ran.stdout.lower()


def test_the_gallery_shows_what_there_is() -> None:
    for picture in PICTURES.values():
        words = list(command(picture, Path("out.png")))
        names = [words[i + 1] for i, word in enumerate(words) if word == "-f"]
        assert names == picture.filters.split()
        assert words.count("--label") == len(names)
        assert all(resolve(name).members for name in names)
