"""Trees of short recordings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.batch.trees import write_tone

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes a directory of short WAV files with the given relative names."""

    def make(*names: str, under: str = "in", frames: int = 800) -> Path:
        root = tmp_path / under
        for seed, name in enumerate(names):
            write_tone(root / name, frames=frames, seed=seed)
        return root

    return make


@pytest.fixture
def noise(rng: np.random.Generator) -> np.ndarray:
    """A second of noise at 8 kHz."""
    return rng.uniform(-0.5, 0.5, 8000)
