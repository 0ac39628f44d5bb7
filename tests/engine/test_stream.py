"""A stream gives the samples of the whole, whatever its blocks."""

import numpy as np
import pytest
import scipy.signal
import torch

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int16])
def test_tensors_give_the_samples_of_arrays(dtype: torch.dtype) -> None:
    fir = Fir(RNG.standard_normal(801), 48000.0, 400, True)
    x = torch.from_numpy(100 * RNG.standard_normal((9000, 2))).to(dtype)
    stream = Stream(fir, channels=2, dtype="float64")
    parts = [stream.push(block) for block in x.split(700)]
    parts.append(stream.flush())
    assert all(isinstance(part, torch.Tensor) for part in parts)
    wanted = streamed(stream, x.double().numpy(), [500, 4000])
    np.testing.assert_array_equal(torch.cat(parts).numpy(), wanted)
    assert isinstance(stream.flush(), np.ndarray)


def test_a_signal_may_come_as_arrays_and_tensors() -> None:
    fir, x = Fir(RNG.standard_normal(65), 48000.0), RNG.standard_normal((9000, 1))
    stream = Stream(fir, channels=1, dtype="float64")
    first, second = stream.push(x[:5000]), stream.push(torch.from_numpy(x[5000:]).requires_grad_())
    assert isinstance(first, np.ndarray)
    assert not second.requires_grad
    wanted = streamed(stream_like(fir), x, [])
    np.testing.assert_array_equal(np.concatenate([first, second, stream.flush()]), wanted)


def stream_like(fir: Fir) -> Stream:
    return Stream(fir, channels=1, dtype="float64")


def test_a_signal_of_a_device_stays_there() -> None:
    """The meta device has shapes and no values: enough to see where the work goes."""
    stream = Stream(Fir(np.ones(3), 48000.0), channels=1)
    stream.push(np.ones((10, 1)))
    with pytest.raises(UsageError, match="signal so far is on the CPU"):
        stream.push(torch.ones(10, 1, device="meta"))
    stream.flush()
    ready = stream.push(torch.ones(9000, 1, device="meta"))
    assert ready.is_meta
    assert len(ready) == 9000 // stream.hop * stream.hop
    with pytest.raises(UsageError, match="on another device"):
        stream.push(np.ones((10, 1)))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_stream_on_cuda() -> None:
    fir, x = Fir(RNG.standard_normal(801), 48000.0, 400, True), RNG.standard_normal((9000, 2))
    stream = Stream(fir, channels=2, dtype="float64")
    parts = [stream.push(block) for block in torch.from_numpy(x).cuda().split(700)]
    found = torch.cat([*parts, stream.flush()])
    assert found.is_cuda
    np.testing.assert_allclose(found.cpu().numpy(), streamed(stream, x, []), atol=1e-9)


@pytest.mark.parametrize("block", [np.ones(4), np.ones((4, 3)), np.ones((2, 4, 2)), [[1.0, 2.0]]])
def test_a_block_of_another_shape_is_refused(block: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"must be \(frames, 2\)"):
        Stream(Fir(np.ones(3), 48000.0), channels=2).push(block)
