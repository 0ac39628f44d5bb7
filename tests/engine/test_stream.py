"""A stream gives the samples of the whole, whatever its blocks."""

import numpy as np
import pytest
import scipy.signal

from earfilt.engine.pipeline import SampleFormat, Settings, run
from earfilt.engine.stream import Stream
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir

RNG = np.random.default_rng(11)


def whole(fir: Fir, x: np.ndarray) -> np.ndarray:
    """The file engine's output for one signal (frames, channels)."""
    name = str(x.dtype)
    form = SampleFormat(name, 0)
    at, out = 0, []

    def read(frames: int) -> np.ndarray:
        nonlocal at
        at += frames
        return x[at - frames : at]

    settings = Settings(precision=name, threads=1)
    run(read, out.append, fir, source=form, target=form, channels=x.shape[1], settings=settings)
    return np.concatenate(out) if out else np.empty((0, x.shape[1]), x.dtype)


def streamed(stream: Stream, x: np.ndarray, cuts: list[int]) -> np.ndarray:
    parts = [stream.push(block) for block in np.split(x, cuts)]
    return np.concatenate([*parts, stream.flush()])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("frames", [1, 2, 500, 4096, 9000, 60001])
@pytest.mark.parametrize(
    ("order", "lookahead", "odd_ends"),
    [(512, 0, False), (1024, 512, True), (400, 200, False), (8192, 4096, True)],
)
def test_blocks_of_any_sizes_give_the_bytes_of_the_file_engine(
    dtype: str, frames: int, order: int, lookahead: int, odd_ends: bool
) -> None:
    taps = RNG.standard_normal(order + 1)
    fir = Fir(taps, 48000.0, lookahead, odd_ends)
    x = RNG.standard_normal((frames, 2)).astype(dtype)
    wanted = whole(fir, x)
    stream = Stream(fir, channels=2, dtype=dtype)
    for count in (0, 1, 7):
        cuts = sorted(RNG.integers(0, frames + 1, count).tolist())
        np.testing.assert_array_equal(streamed(stream, x, cuts), wanted)


def test_a_causal_stream_is_lfilter() -> None:
    taps, x = RNG.standard_normal(65), RNG.standard_normal((9000, 1))
    stream = Stream(Fir(taps, 48000.0), channels=1, dtype="float64")
    got = streamed(stream, x, list(range(0, 9000, 100)))
    np.testing.assert_allclose(got, scipy.signal.lfilter(taps, 1.0, x, axis=0), atol=1e-11)


def test_output_comes_as_soon_as_a_segment_is_there() -> None:
    stream = Stream(Fir(np.ones(3), 48000.0), channels=1)
    assert len(stream.push(np.ones((stream.hop - 1, 1)))) == 0
    assert len(stream.push(np.ones((1, 1)))) == stream.hop


@pytest.mark.parametrize("block", [np.ones(4), np.ones((4, 3)), np.ones((2, 4, 2))])
def test_a_block_of_another_shape_is_refused(block: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"must be \(frames, 2\)"):
        Stream(Fir(np.ones(3), 48000.0), channels=2).push(block)
