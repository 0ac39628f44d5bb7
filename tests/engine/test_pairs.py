"""FIRs of several rows, a pair of ears and a matrix, against scipy.signal, row by row."""

import numpy as np
import pytest
import scipy.signal
import torch

from earfilt.engine.cpu import OverlapSave, PartitionedConvolution
from earfilt.engine.roundoff import largest_errors, levels_of, rms_apart, segment_rms
from earfilt.engine.samples import SampleFormat
from earfilt.engine.segments import usual_hop
from earfilt.engine.stream import Stream
from earfilt.engine.tensors import Stream as TensorStream
from earfilt.engine.tensors import convolve
from earfilt.engine.windows import Settings, WindowFilter
from earfilt.errors import UsageError
from earfilt.synthesis.fir import Fir
from tests.engine.test_pipeline import F32, I16, apply

RNG = np.random.default_rng(16)
F64, I24 = SampleFormat("float64", 0), SampleFormat("int32", 24)


def fir(rows: int, numtaps: int, lookahead: int = 0, *, odd_ends: bool = False) -> Fir:
    """Rows that have nothing to do with each other, one of them 40 dB above the others."""
    taps = RNG.standard_normal((rows, numtaps)) / np.sqrt(numtaps)
    taps[1] *= 0.01
    return Fir(taps, 48000.0, lookahead, odd_ends)


def oracle(x: np.ndarray, fir: Fir) -> np.ndarray:
    """y[n] = Σ_k h[k]·x[n + lookahead − k] of frames (T, channels), by scipy and by hand."""
    ahead = fir.lookahead
    extended = np.pad(x.astype(float), ((ahead, ahead), (0, 0)))
    if fir.odd_ends and ahead:
        extended[:ahead] = 2 * x[0] - x[ahead:0:-1]
        extended[-ahead:] = 2 * x[-1] - x[-2 : -ahead - 2 : -1]

    def through(row: int, channel: int) -> np.ndarray:
        y = scipy.signal.oaconvolve(extended[:, channel], fir.taps[row])
        return y[2 * ahead : 2 * ahead + len(x)]

    last = x.shape[1] - 1
    if fir.rows == 2:
        return np.stack([through(0, 0), through(1, last)], axis=1)
    return np.stack([through(0, 0) + through(2, last), through(1, 0) + through(3, last)], axis=1)


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("numtaps", [1, 300, 1500])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("dtype", "within"), [("float32", 2e-5), ("float64", 1e-12)])
def test_steps_are_oaconvolve_row_by_row(
    rows: int, numtaps: int, channels: int, dtype: str, within: float
) -> None:
    made = fir(rows, numtaps)
    taps = made.routed(channels).taps
    steps = [
        OverlapSave(taps, dtype=dtype),
        OverlapSave(taps, dtype=dtype, packing="halves"),
        PartitionedConvolution(taps, dtype=dtype, block=256),
    ]
    for step in steps:
        window = step.empty(step.overlap + 3 * step.hop, channels)
        window[...] = RNG.standard_normal(window.shape)
        expected = oracle(window, made)[step.overlap :]
        out = step.empty(3 * step.hop, 2)
        step(window, out)
        np.testing.assert_allclose(out, expected, rtol=0, atol=within)


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("lookahead", "odd_ends"), [(0, False), (300, True)])
@pytest.mark.parametrize(("form", "within"), [(F32, 1e-5), (F64, 1e-12), (I16, 0.51), (I24, 0.51)])
@pytest.mark.parametrize("latency", [None, 256])
def test_the_file_engine_is_oaconvolve_row_by_row(
    rows: int, channels: int, lookahead: int, odd_ends: bool, form: SampleFormat,
    within: float, latency: int | None,
) -> None:  # fmt: skip
    made = fir(rows, 601, lookahead, odd_ends=odd_ends)
    x = RNG.uniform(-0.2, 0.2, (9000, channels))
    if form.is_integer:
        x = np.rint(x * form.codes) * (1 << (form.width - form.bits))
    x = x.astype(form.dtype)
    y, levels = apply(x, made, form, form, latency=latency)
    assert y.shape == (9000, 2)
    scale = form.full_scale / form.codes
    exact = oracle(x, made) / scale
    fits = np.abs(exact) < form.codes - 1 if form.is_integer else np.abs(exact) < np.inf
    assert fits.mean() > 0.9
    assert np.abs(y / scale - exact)[fits].max() <= within
    assert len(levels.peak_in) == channels
    np.testing.assert_allclose(levels.peak_out, np.abs(exact).max(0) / form.codes, 1e-3, 3e-5)
    np.testing.assert_allclose(
        levels.rms_out, np.sqrt((exact**2).mean(0)) / form.codes, rtol=1e-2, atol=1e-5
    )


def test_a_pair_of_equal_rows_gives_the_samples_of_one() -> None:
    taps, x = RNG.standard_normal(301), RNG.standard_normal((9000, 2)).astype("float32")
    one, _ = apply(x, Fir(taps, None), F32, F32)
    pair, _ = apply(x, Fir(np.stack([taps, taps]), None), F32, F32)
    np.testing.assert_array_equal(pair, one)


def test_the_left_row_is_for_the_left_channel_and_a_matrix_crosses_in_the_stated_order() -> None:
    click = np.zeros((8, 2), "float32")
    click[0] = 1.0, 10.0
    pair, _ = apply(click, Fir(np.array([[1.0], [3.0]]), None), F32, F32)
    np.testing.assert_allclose(pair[0], [1.0, 30.0], rtol=1e-5)
    matrix, _ = apply(click, Fir(np.array([[1.0], [2.0], [3.0], [4.0]]), None), F32, F32)
    np.testing.assert_allclose(matrix[0], [31.0, 42.0], rtol=1e-5)
    mono, _ = apply(click[:, :1], Fir(np.array([[1.0], [2.0], [3.0], [4.0]]), None), F32, F32)
    np.testing.assert_allclose(mono[0], [4.0, 6.0], rtol=1e-5)


@pytest.mark.parametrize(("rows", "words"), [(2, "a pair of ears"), (4, "a matrix of four rows")])
@pytest.mark.parametrize("channels", [3, 4, 6])
def test_more_than_stereo_is_refused(rows: int, channels: int, words: str) -> None:
    made = fir(rows, 5)
    with pytest.raises(UsageError, match=f"{words} takes .* has {channels} channels: mix"):
        WindowFilter(made, F32, F32, channels, Settings())
    with pytest.raises(UsageError, match=words):
        Stream(made, channels=channels)


@pytest.mark.parametrize("seed", [None, 4])
@pytest.mark.parametrize("rows", [2, 4])
def test_silence_is_kept_where_all_that_an_ear_hears_is_silent(rows: int, seed: int | None) -> None:
    x = np.rint(RNG.standard_normal((60_000, 2)) * 3000).astype(np.int16)
    x[10_000:30_000, 1] = 0
    x[40_000:55_000] = 0
    y, _ = apply(x, fir(rows, 513), I16, I16, dither_seed=seed)
    assert not y[46_000:50_000].any()
    one_sided = y[17_000:25_000, 1]
    assert one_sided.any() == (rows == 4)
    assert y[17_000:25_000, 0].any()
    mono, _ = apply(x[:, 1:], fir(rows, 513), I16, I16, dither_seed=seed)
    assert not mono[17_000:25_000].any()
    assert mono[34_000:38_000].any(0).all()


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_bound_on_rounding_holds_for_ears_40_db_apart(rows: int, channels: int) -> None:
    """That of all channels together, and the closer one of each channel."""
    made = fir(rows, 2001)
    rounding = WindowFilter(made, F32, F32, channels, Settings())._rounding
    taps = made.routed(channels).taps
    single, double = (
        OverlapSave(taps, dtype=dtype, packing="halves") for dtype in ("float32", "float64")
    )
    segments = 4
    frames = single.overlap + segments * single.hop
    t = np.arange(frames)
    for left, right in [
        (RNG.standard_normal(frames), 0 * t),
        (RNG.standard_normal(frames) * (t % (2 * single.n_fft) < single.n_fft), 0 * t),
        (1.0 + 0 * t, 1e-4 * RNG.standard_normal(frames)),
        (np.sin(0.3 * t), np.sign(np.sin(0.01 * t))),
        (np.resize(np.sign(made.taps[0, ::-1]), frames), np.resize(np.sign(made.taps[1]), frames)),
    ]:
        x = np.ascontiguousarray(np.rint(np.stack([left, right], 1) * 9000)[:, :channels])
        near, exact = (np.empty((segments * single.hop, 2), dtype) for dtype in ("f4", "f8"))
        signals = single._signals(x.astype(np.float32))
        filtered = single._filter(signals, near, False)
        double(x, exact)
        out = levels_of(filtered, single.overlap)
        errors = np.abs(near - exact).reshape(segments, single.hop, 2).max(axis=1)
        x_rms = segment_rms(x, single.n_fft, single.hop, single.parts)
        size = single.n_fft, single.packed
        largest = np.maximum(out.peak, out.dropped)
        together = largest_errors(rounding.together(x_rms), out.rms, largest, *size)
        apart = [rms_apart(one.view(np.float32), single.packed) for one in (signals, filtered)]
        closer = largest_errors(rounding.apart(apart[0]), apart[1], largest[:, None], *size)
        assert (errors <= closer).all()
        assert (closer <= together[:, None] * 1.0001).all()


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("seed", [None, 3])
def test_a_loud_part_alone_takes_the_slow_road_wherever_reads_and_threads_cut_it(
    rows: int, seed: int | None
) -> None:
    """Segments of two halves are counted from the signal's beginning, too."""
    taps = scipy.signal.firwin(513, 0.05, pass_zero=False)
    made = Fir(np.stack([taps, 0.9 * taps, 0.1 * taps, taps][:rows]), None)
    x = np.rint(RNG.standard_normal((300_000, 2)) * 30).astype(np.int16)
    x[200_000:201_000] += 25_000
    y, levels = apply(x, made, I16, I16, gain=30.0, dither_seed=seed)
    assert levels.precision == "float32+float64"
    for settings in ({"threads": 1}, {"threads": 3, "reads": (777,)}):
        cut = apply(x, made, I16, I16, gain=30.0, dither_seed=seed, **settings)[0]
        np.testing.assert_array_equal(cut, y)


@pytest.mark.parametrize("most", [0, 100])
def test_a_bound_on_the_latency_holds_for_ears_that_differ(most: int) -> None:
    made = fir(2, 513)
    usual = WindowFilter(made, F32, F32, 2, Settings())
    assert usual.hop == 2 * usual_hop(513)
    half = WindowFilter(made, F32, F32, 2, Settings(latency=usual.hop // 2 + most))
    assert half.hop == usual.hop // 2
    assert WindowFilter(made, F32, F32, 2, Settings(latency=usual.hop)).hop == usual.hop


def test_the_same_seed_gives_ears_the_dither_that_one_gets() -> None:
    x = np.full((100_000, 2), 1000, np.int16)  # several windows
    taps = np.array([1.0])
    one, _ = apply(x, Fir(taps, None), I16, I16, dither_seed=5)
    pair, _ = apply(x, Fir(np.stack([taps, taps]), None), I16, I16, dither_seed=5)
    assert (pair != one).mean() < 1e-4  # but for ties
    assert len(np.unique(one)) > 2


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("latency", [None, 128])
def test_blocks_of_any_sizes_give_the_samples_of_the_whole(
    rows: int, channels: int, latency: int | None
) -> None:
    made = fir(rows, 601, 300, odd_ends=True)
    x = RNG.standard_normal((30_000, channels)).astype("float32")
    whole, _ = apply(x, made, F32, F32, latency=latency)
    stream = Stream(made, channels=channels, latency=latency)
    assert (stream.channels, stream.outputs) == (channels, 2)
    cuts = np.split(x, [1, 5000, 5001, 20_000])
    parts = [stream.push(block) for block in cuts]
    np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()]), whole)


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("shape", [(4000,), (1, 4000), (2, 4000), (3, 1, 4000), (3, 5, 2, 4000)])
@pytest.mark.parametrize(("lookahead", "odd_ends"), [(0, False), (40, True)])
def test_tensors_are_the_oracle(
    rows: int, shape: tuple[int, ...], lookahead: int, odd_ends: bool
) -> None:
    made, x = fir(rows, 101, lookahead, odd_ends=odd_ends), RNG.standard_normal(shape)
    y = convolve(
        torch.from_numpy(x), torch.from_numpy(made.taps.copy()), lookahead=lookahead,
        odd_ends=odd_ends,
    )  # fmt: skip
    assert y.shape == (*shape[:-2], 2, 4000)
    items = x.reshape(-1, shape[-2] if len(shape) > 1 else 1, 4000)
    for item, found in zip(items, y.reshape(-1, 2, 4000), strict=True):
        np.testing.assert_allclose(found.T, oracle(item.T, made), rtol=0, atol=1e-12)


def test_tensors_of_own_lengths_give_what_each_gives_alone() -> None:
    made = fir(2, 101, 40, odd_ends=True)
    taps, x = torch.from_numpy(made.taps.copy()), torch.from_numpy(RNG.standard_normal((2, 1, 900)))
    both = convolve(x, taps, lookahead=40, odd_ends=True, lengths=torch.tensor([900, 500]))
    alone = convolve(x[1, :, :500], taps, lookahead=40, odd_ends=True)
    np.testing.assert_allclose(both[1, :, :500], alone, atol=1e-12)
    assert not both[1, :, 500:].any()


def test_a_batch_of_mono_tensors_is_told_how_to_be_written() -> None:
    taps = torch.ones(2, 3)
    with pytest.raises(UsageError, match=r"write a batch of mono signals \(B, T\) as \(B, 1, T\)"):
        convolve(torch.zeros(5, 100), taps)
    assert convolve(torch.zeros(0, 2, 100), taps).shape == (0, 2, 100)


def test_gradients_reach_the_taps_of_both_ears() -> None:
    x = torch.from_numpy(RNG.standard_normal((2, 50)))
    taps = torch.from_numpy(RNG.standard_normal((2, 4))).requires_grad_()
    assert torch.autograd.gradcheck(lambda taps: convolve(x, taps), (taps,))


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_stream_of_another_device_is_the_oracle(rows: int, channels: int) -> None:
    made, x = fir(rows, 301, 150, odd_ends=True), RNG.standard_normal((9000, channels))
    stream = TensorStream(
        torch.from_numpy(made.routed(channels).taps.copy()), channels=channels, lookahead=150,
        odd_ends=True, dtype=torch.float64,
    )  # fmt: skip
    parts = [stream.push(torch.from_numpy(block)) for block in np.split(x, [10, 7000])]
    y = torch.cat([*parts, stream.flush()])
    np.testing.assert_allclose(y, oracle(x, made), rtol=0, atol=1e-11)
