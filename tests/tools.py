"""Other programs that some tests need: ``need("sox")`` gives the path, or skips the test and
remembers what was missing.
"""

import os
import shutil

import pytest

PACKAGES = {
    "sox": "sox",
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "flac": "flac",
    "metaflac": "flac",
    "octave": "octave",
    "libmysofa": "libmysofa1",
    "tmux": "tmux",
    "strace": "strace",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
}


def need(*programs: str) -> str:
    """Path of the first program; skips the test where one is missing.

    The end of the test run says what was not tested and how to get it (``tests/conftest.py``).
    """
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs program: {program}")
    return str(shutil.which(programs[0]))


def missing_from(reason: str) -> str | None:
    """The program named by a skip reason of ``need``."""
    _, found, program = reason.partition("needs program: ")
    return program.split()[0].strip("'\")") if found else None


def single_threaded() -> dict[str, str]:
    """Environment for child processes of tests that run in parallel themselves."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}
