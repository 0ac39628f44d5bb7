"""The benchmark runs, and judges nothing in a quick run."""

import subprocess
import sys
from pathlib import Path


def test_a_quick_run_prints_its_tables() -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--quick",
        "--repeats",
        "1",
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
