"""A segment's samples depend on that segment alone: its precision, its dither, its silence."""

import numpy as np
import pytest
import scipy.signal

from earfilt.engine.samples import SampleFormat
from earfilt.engine.windows import Cutting, Settings, WindowFilter
from earfilt.synthesis.fir import Fir

RNG = np.random.default_rng(3)
HIGHPASS = Fir(scipy.signal.firwin(513, 0.05, pass_zero=False), None)
I16, F32 = SampleFormat("int16", 16), SampleFormat("float32", 0)


def filtered(x: np.ndarray, form: SampleFormat, sizes: list[int], **settings: object) -> np.ndarray:
    """All of x (frames, channels), in windows of so many segments in turn."""
    filter = WindowFilter(HIGHPASS, form, form, x.shape[1], Settings(**settings))  # type: ignore[arg-type]
    cutting, parts, turn = Cutting(filter), [], 0
    cutting.put(x)
    while left := cutting.left(len(x)):
        count = min(sizes[turn % len(sizes)], left)
        total = None if count <= cutting.ready else len(x)
        parts.append(filter(cutting.take(count, total)).samples)
        turn += 1
    return np.concatenate(parts)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("form", "settings"),
    [
        (F32, {}),
        (I16, {"gain": 30.0}),
        (I16, {"gain": 30.0, "dither_seed": 9}),
        (I16, {"gain": 300.0}),  # clipped
    ],
)
def test_windows_of_any_size_give_the_same_samples(
    channels: int, form: SampleFormat, settings: dict[str, object]
) -> None:
    x = RNG.standard_normal((60_000, channels)) * 1e-3
    x[20_000:21_000] += 0.7
    x[40_000:50_000, 0] = 0.0
    x = np.rint(x * 32767).astype(np.int16) if form.is_integer else x.astype(np.float32)
    alone = filtered(x, form, [1], **settings)
    for sizes in ([2], [16], [3, 1, 5]):
        np.testing.assert_array_equal(filtered(x, form, sizes, **settings), alone)


@pytest.mark.parametrize("seed", [None, 4])
def test_digital_silence_of_a_segment_is_kept(seed: int | None) -> None:
    x = np.rint(RNG.standard_normal((60_000, 2)) * 3000).astype(np.int16)
    x[10_000:30_000, 1] = 0
    y = filtered(x, I16, [16], dither_seed=seed)
    hop = 3584
    silent = [i for i in range(16) if i * hop - 512 >= 10_000 and (i + 1) * hop <= 30_000]
    assert silent
    for i in silent:
        assert not y[i * hop : (i + 1) * hop, 1].any()
    assert y[40_000:, 1].any()


def test_only_the_segments_that_need_it_take_the_slow_road() -> None:
    filter = WindowFilter(HIGHPASS, I16, I16, 1, Settings(gain=30.0))
    x = np.rint(RNG.standard_normal((filter.hop * 24, 1)) * 30).astype(np.int16)
    x[filter.hop * 20 + 100 : filter.hop * 20 + 900] += 25_000
    cutting, found = Cutting(filter), []
    cutting.put(x)
    for _ in range(24):
        found.append(filter(cutting.take(1, None)).precisions)
    # the first ones take it unasked
    assert [i for i, used in enumerate(found) if used == {"float64"}] == [*range(16), 20]
    assert all(len(used) == 1 for used in found)


def test_no_window_reaches_from_the_first_segments_into_the_others() -> None:
    filter = WindowFilter(HIGHPASS, I16, I16, 1, Settings())
    cutting, found = Cutting(filter), []
    cutting.put(np.zeros((filter.hop * 40, 1), np.int16))
    while cutting.ready:
        window = cutting.take(min(cutting.ready, 12), None)
        found.append((window.segments, filter(window).precisions))
    assert found[:2] == [(12, {"float64"}), (4, {"float64"})]
    assert all(used == {"float32"} for _, used in found[2:])
