"""Files to filter in bulk, and what came of them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

FILTER = ("-f", "headphone", "--order", "64")
"""A filter that is designed at once."""


def write_tone(path: Path, *, frames: int = 800, seed: int = 0, fs: int = 8000) -> None:
    """A short recording, different for each seed; WAV where the name says nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x = 0.3 * np.random.default_rng(seed).uniform(-1, 1, frames)
    sf.write(path, x, fs, format="FLAC" if path.suffix == ".flac" else "WAV")


def hashes(root: Path, pattern: str = "*.wav") -> dict[str, str]:
    """Content of every file of a tree, by relative name; unfinished outputs are none."""
    files = (
        path
        for path in sorted(root.rglob(pattern))
        if path.is_file() and not path.name.startswith(".")
    )
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def rows(report: Path) -> list[dict[str, Any]]:
    """The last row of each name in a report, in the order of the names."""
    found = [json.loads(line) for line in report.read_text("ascii").splitlines()]
    last = {row["name"]: row for row in found}
    return sorted(last.values(), key=lambda row: str(row["name"]))


def leftovers(root: Path) -> list[Path]:
    """Unfinished outputs."""
    return [
        path
        for path in root.rglob(".*")
        if ".earfilt-" in path.name and not path.name.startswith(".earfilt-manifest")
    ]
