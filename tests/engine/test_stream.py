"""A stream gives the samples of the whole, whatever its blocks."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch

import earfilt
from earfilt.engine.pipeline import SampleFormat, Settings, run
from earfilt.engine.stream import Stream
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir

RNG = np.random.default_rng(11)


def whole(fir: Fir, x: np.ndarray, **settings: object) -> np.ndarray:
    """The file engine's output for one signal (frames, channels)."""
    form = SampleFormat.of_arrays(x.dtype)
    at, out = 0, []

    def read(frames: int) -> np.ndarray:
        nonlocal at
        at += frames
        return x[at - frames : at]

    run(
        read,
        out.append,
        fir,
        source=form,
        target=form,
        channels=x.shape[1],
        settings=Settings(threads=1, **settings),
    )
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


HIGHPASS = Fir(scipy.signal.firwin(513, 0.05, pass_zero=False), None)


def needs_both_precisions(dtype: str, channels: int) -> np.ndarray:
    """Single codes beside full scale that the filter takes out, in parts of the signal, and a
    channel that is silent for a while.
    """
    x = RNG.standard_normal((300_000, channels)) * 1e-3
    x[90_000:91_000, 0] += 0.8
    x[200_000:] += 0.7
    x[30_000:60_000, -1] = 0.0
    if np.dtype(dtype).kind == "f":
        return x.astype(dtype)
    return np.rint(x.clip(-1, 1) * (np.iinfo(dtype).max - 1)).astype(dtype)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32"])
@pytest.mark.parametrize("precision", ["auto", "float32", "float64"])
def test_precision_follows_the_segment_and_not_the_block(
    channels: int, dtype: str, precision: str
) -> None:
    x = needs_both_precisions(dtype, channels)
    wanted = whole(HIGHPASS, x, precision=precision)
    if precision == "auto" and dtype == "float32":  # else the test would show nothing
        for other in ("float32", "float64"):
            assert not np.array_equal(wanted, whole(HIGHPASS, x, precision=other))
    stream = Stream(HIGHPASS, channels=channels, dtype=dtype, precision=precision)
    for cuts in ([], list(range(777, len(x), 5000)), [1, 2, 100_000]):
        np.testing.assert_array_equal(streamed(stream, x, cuts), wanted)


def test_integers_are_clipped_with_a_warning() -> None:
    x = np.full((10_000, 1), 30_000, np.int16)
    stream = Stream(Fir(np.array([2.0]), None), channels=1, dtype="int16")
    assert (stream.push(x) == 32_767).all()
    with pytest.warns(UserWarning, match="10000 samples were clipped"):
        stream.flush()
    assert stream.clipped.tolist() == [0]


@pytest.mark.filterwarnings("error:.*were clipped")
def test_after_a_warning_that_is_raised_the_stream_is_as_new() -> None:
    stream = Stream(Fir(np.array([2.0]), None), channels=1, dtype="int16")
    stream.push(np.full((10_000, 1), 30_000, np.int16))
    with pytest.raises(UserWarning, match="10000 samples were clipped"):
        stream.flush()
    quiet = np.full((500, 1), 3, np.int16)
    np.testing.assert_array_equal(streamed(stream, quiet, []), 2 * quiet)


def test_one_sample_was_clipped() -> None:
    stream = Stream(Fir(np.array([2.0]), None), channels=1, dtype="int16")
    stream.push(np.array([[30_000]], np.int16))
    with pytest.warns(UserWarning, match="^1 sample was clipped;"):
        stream.flush()


def test_tensors_in_tensors_out() -> None:
    fir, x = Fir(RNG.standard_normal(65), None), RNG.standard_normal((9000, 2)).astype("float32")
    stream = Stream(fir, channels=2)
    parts = [stream.push(block) for block in torch.from_numpy(x).split(1000)]
    assert all(isinstance(part, torch.Tensor) for part in parts)
    np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()]), whole(fir, x))


def test_the_memory_of_a_block_may_be_used_again() -> None:
    fir, x = Fir(RNG.standard_normal(65), None), RNG.standard_normal((9000, 2)).astype("float32")
    stream, block, parts = Stream(fir, channels=2), np.empty((1000, 2), "float32"), []
    for at in range(0, 9000, 1000):
        block[:] = x[at : at + 1000]
        parts.append(stream.push(block))
    np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()]), whole(fir, x))


@pytest.mark.parametrize("numtaps", [65, 4096, 30_001])
@pytest.mark.parametrize(
    ("latency", "hop", "lookahead"), [(64, 64, 30), (1500, 1024, 0), (5000, 4096, 30)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_a_bound_on_the_latency_keeps_blocks_short_and_the_samples_right(
    numtaps: int, lookahead: int, latency: int, hop: int, dtype: str
) -> None:
    taps = RNG.standard_normal(numtaps) / np.sqrt(numtaps)
    fir = Fir(taps, 48000.0, lookahead)
    x = RNG.standard_normal((20_011, 2)) * 0.1
    x = np.rint(x * 32768).astype(dtype) if dtype == "int16" else x.astype(dtype)
    stream = Stream(fir, channels=2, dtype=dtype, latency=latency)
    usual = Stream(fir, channels=2).hop
    assert stream.hop == (usual if usual <= latency else hop)
    got = streamed(stream, x, list(range(100, len(x), 700)))
    np.testing.assert_array_equal(got, whole(fir, x, latency=latency))
    exact = scipy.signal.oaconvolve(x.astype(float), taps[:, None], axes=0)
    exact = exact[lookahead:][: len(x)]
    error = np.abs(got - exact).max()
    assert error <= {"float64": 1e-13, "float32": 1e-6, "int16": 0.501}[dtype]


def test_a_partitioned_output_comes_with_every_block() -> None:
    stream = Stream(Fir(RNG.standard_normal(30_001), None), channels=1, latency=600)
    block = np.ones((512, 1), np.float32)
    assert [len(stream.push(block)) for _ in range(5)] == [512] * 5


def test_a_latency_below_the_shortest_block_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"the latency is 63 frames at this rate; it must be 64 or more"
    ):
        Stream(Fir(np.ones(3), None), channels=1, latency=63)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float16", "complex64"])
def test_other_samples_are_refused(dtype: str) -> None:
    with pytest.raises(UsageError, match=f"the dtype of samples is {dtype}; it can be int16"):
        Stream(Fir(np.ones(3), None), channels=1, dtype=dtype)
    with pytest.raises(UsageError, match="dtype"):
        Stream(Fir(np.ones(3), None), channels=1, dtype="int16").push(np.ones((4, 1)))


@pytest.mark.parametrize(
    ("dtype", "other"),
    [
        *((kind, "float32") for kind in ("int16", "int32")),
        *(("int16", kind) for kind in ("int8", "uint8", "uint16", "int32", "int64", "bool")),
        *(("int32", kind) for kind in ("int16", "uint32", "int64", "float64")),
        *((kind, "int16") for kind in ("float32", "float64")),
        ("float32", "bool"),
        ("float64", "complex64"),
    ],
)
@pytest.mark.parametrize("as_block", [np.asarray, torch.as_tensor])
def test_samples_of_another_scale_are_refused_and_leave_the_signal_as_it_was(
    dtype: str, other: str, as_block: Callable[[np.ndarray], Any]
) -> None:
    """They would wrap around, or be of another level, without a word."""
    stream = Stream(Fir(np.array([0.5]), 48000.0), channels=1, dtype=dtype)
    x = np.full((5000, 1), 2, dtype)
    parts = [stream.push(x)]
    with pytest.raises(
        UsageError, match=f"the block's dtype is {other}; this stream takes {dtype}"
    ):
        stream.push(as_block(np.ones((9000, 1), other)))
    parts += [stream.push(x), stream.flush()]
    np.testing.assert_allclose(np.concatenate(parts), np.ones((10000, 1), dtype), rtol=1e-6)


@pytest.mark.parametrize("other", ["float16", "float64", ">f4", "longdouble"])
def test_floating_point_blocks_may_be_of_another_precision(other: str) -> None:
    stream = Stream(Fir(np.array([0.5]), 48000.0), channels=1)
    parts = [stream.push(np.full((9000, 1), 0.25, other)), stream.flush()]
    np.testing.assert_array_equal(np.concatenate(parts), np.full((9000, 1), 0.125, np.float32))


def test_integers_may_have_their_bytes_the_other_way_round() -> None:
    stream = Stream(Fir(np.array([0.5]), 48000.0), channels=1, dtype="int16")
    parts = [stream.push(np.full((9000, 1), 1000, ">i2")), stream.flush()]
    np.testing.assert_array_equal(np.concatenate(parts), np.full((9000, 1), 500, np.int16))


def test_a_tensor_that_only_stands_for_its_samples_is_taken_and_a_sparse_one_refused() -> None:
    stream = Stream(Fir(np.array([0.5]), 48000.0), channels=1)
    negative = torch._neg_view(torch.ones(9000, 1))
    parts = [stream.push(negative), stream.flush()]
    np.testing.assert_array_equal(np.concatenate(parts), np.full((9000, 1), -0.5, np.float32))
    with pytest.raises(
        UsageError, match=r"layout of the block is torch\.sparse_coo; only dense tensors are taken"
    ):
        stream.push(torch.ones(5, 1).to_sparse())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "flaot64"}, "precision is 'flaot64'; allowed: 'auto', 'float32', 'float64'"),
        ({"channels": 0}, "channels is 0; it must be"),
        ({"channels": 1.5}, "channels is 1.5; it must be a whole number"),
        ({"channels": "2"}, "channels is '2'; it must be a whole number"),
        ({"dtype": "foo"}, "the dtype of samples is foo; it can be int16"),
        ({"dtype": torch.float32}, r"the dtype of samples is torch.float32; it can be int16"),
        *(
            ({"latency_ms": ms}, f"the latency is {ms} ms; it must be above 0 ms and finite")
            for ms in (np.nan, np.inf, -1.0, 0.0)
        ),
    ],
)
def test_an_impossible_stream_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        earfilt.stream("headphone", fs=48000, order=64, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_is_refused_where_it_is(value: float) -> None:
    stream = Stream(Fir(np.ones(3), None), channels=2)
    stream.push(np.ones((10, 2), np.float32))
    block = np.ones((10, 2), np.float32)
    block[4, 1] = value
    with pytest.raises(UsageError, match=r"not finite: channel 1, sample 14"):
        stream.push(block)


def test_a_causal_stream_is_lfilter() -> None:
    taps, x = RNG.standard_normal(65), RNG.standard_normal((9000, 1))
    stream = Stream(Fir(taps, 48000.0), channels=1, dtype="float64")
    got = streamed(stream, x, list(range(0, 9000, 100)))
    np.testing.assert_allclose(got, scipy.signal.lfilter(taps, 1.0, x, axis=0), atol=1e-11)


def test_output_comes_as_soon_as_a_segment_is_there() -> None:
    stream = Stream(Fir(np.ones(3), 48000.0), channels=1)
    assert len(stream.push(np.ones((stream.hop - 1, 1)))) == 0
    assert len(stream.push(np.ones((1, 1)))) == stream.hop


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
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


def test_what_no_stream_takes() -> None:
    stream = Stream(Fir(np.ones(3), 48000.0), channels=1, dtype="int16")
    with pytest.raises(UsageError, match="the block is a list"):
        stream.push([[1.0]])
    with pytest.raises(UsageError, match=r"dtype is torch.float8_e5m2; this stream takes int16"):
        stream.push(torch.zeros(4, 1, dtype=torch.float8_e5m2))
    with pytest.raises(UsageError, match="samples are floating-point"):
        stream.push(torch.zeros(4, 1, dtype=torch.int16, device="meta"))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_stream_on_cuda() -> None:
    fir, x = Fir(RNG.standard_normal(801), 48000.0, 400, True), RNG.standard_normal((9000, 2))
    stream = Stream(fir, channels=2, dtype="float64")
    parts = [stream.push(block) for block in torch.from_numpy(x).cuda().split(700)]
    found = torch.cat([*parts, stream.flush()])
    assert found.is_cuda
    np.testing.assert_allclose(found.cpu().numpy(), streamed(stream, x, []), atol=1e-9)


@pytest.mark.parametrize("block", [np.ones(4), np.ones((4, 3)), np.ones((2, 4, 2))])
def test_a_block_of_another_shape_is_refused(block: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"must be \(frames, 2\)"):
        Stream(Fir(np.ones(3), 48000.0), channels=2).push(block)


@pytest.mark.parametrize("as_block", [np.asarray, torch.as_tensor])
def test_a_block_that_is_turned_is_told_so(as_block: Callable[[Any], Any]) -> None:
    stream = earfilt.stream("headphone", fs=16000, channels=2)
    with pytest.raises(UsageError, match=r"is \(2, 960\); it must be \(frames, 2\): block.T is"):
        stream.push(as_block(np.zeros((2, 960), np.float32)))
    with pytest.raises(UsageError, match=r"must be \(frames, 2\)$"):
        stream.push(as_block(np.zeros((960, 3), np.float32)))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_stream_is_not_copied(copied: Callable[[Stream], object]) -> None:
    stream = earfilt.stream("middle-ear", fs=16000)
    with pytest.raises(UsageError, match="cannot be copied or stored; make another one"):
        copied(stream)
