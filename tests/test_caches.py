"""What functions keep, and what they let go."""

import gc
import weakref
from pathlib import Path

import numpy as np

from earfilt.caches import kept, kept_light
from earfilt.synthesis.fir import Fir


def test_what_is_made_of_firs_is_kept_but_for_very_long_ones() -> None:
    """A program that filters through many of them must not gather their memory."""
    made = []

    @kept(4)
    def length(fir: Fir, *, more: int = 0) -> int:
        made.append(fir)
        return fir.numtaps + more

    short, long = (Fir(np.ones(count), 8000.0, 0, False) for count in (3, 1 << 19))
    assert [length(short), length(short), length(short, more=1)] == [3, 3, 4]
    assert [length(long), length(long)] == [1 << 19] * 2
    assert made == [short, short, long, long]


def test_heavy_arguments_go_but_for_the_newest() -> None:
    """A server that is given one large file after another holds one of them; a corpus, which asks
    for the same with each recording, still has its design made once.
    """
    made = []

    @kept_light(64, at_most=10_000)
    def length(data: bytes) -> int:
        made.append(len(data))
        return len(data)

    for size in (100, 100, 200, 8000, 9000, 9000, 50_000, 50_000):
        assert length(bytes(size)) == size
    assert made == [100, 200, 8000, 9000, 50_000]
    length(bytes(100))  # was let go for the heavy ones
    assert made[5:] == [100]


def test_chains_of_many_large_files_are_not_gathered(tmp_path: Path) -> None:
    """Their designs keep them only up to 128 MiB."""
    from earfilt.chains.build import design
    from earfilt.chains.members import resolve

    rng = np.random.default_rng(3)
    seen = []
    for i in range(20):
        path = tmp_path / f"{i}.npy"
        np.save(path, rng.standard_normal(1_000_000))
        chain = resolve(str(path))
        design(chain, 48000.0)
        seen.append(weakref.ref(chain))
        del chain
    gc.collect()
    assert sum(ref() is not None for ref in seen) <= 16
