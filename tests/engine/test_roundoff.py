"""roundoff: the bound holds for hostile signals and filters, the engine keeps to it, and ordinary
files stay in float32.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.signal

from earfilt.chains.members import resolve
from earfilt.engine import windows
from earfilt.engine.cpu import OverlapSave, Packing
from earfilt.engine.roundoff import (
    RELATIVE,
    Rounding,
    largest_errors,
    levels_of,
    rms,
    rms_apart,
    segment_rms,
)
from earfilt.engine.samples import SampleFormat
from earfilt.synthesis.fir import Fir
from tests.engine.test_pipeline import F32, I8, I16, apply

RNG = np.random.default_rng(5)
FIRS = {
    "delta": np.array([1.0]),
    "lowpass": scipy.signal.firwin(513, 0.1),
    "band": scipy.signal.firwin(4097, [0.1, 0.12], pass_zero=False),
    "random": RNG.standard_normal(30_001) * np.exp(-np.arange(30_001) / 5000),
    "resonance": scipy.signal.lfilter([1], [1, -1.9, 0.99], np.eye(1, 2001)[0]),
}


def hostile(frames: int, taps: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Signals of peak 1 that make rounding errors alike, or pile up."""
    t = np.arange(frames)
    yield "noise", RNG.standard_normal(frames)
    yield "dc", np.ones(frames)
    yield "dc and a little", 1 + 1e-4 * RNG.standard_normal(frames)
    for f in (0.0001, 0.0123, 0.05, 0.11, 0.45):
        yield f"tone {f}", np.sin(2 * np.pi * f * t)
    yield "square", np.sign(np.sin(2 * np.pi * 0.001 * t))
    yield "ramp", t % 1000 / 1000
    yield "clicks", (t % 2500 == 7) * 1.0
    yield "bursts", np.where(t % 5000 < 50, RNG.standard_normal(frames), 0.0)
    yield "signs of the taps", np.resize(np.sign(taps[::-1]), frames)


@pytest.mark.parametrize("packing", [None, "channels", "halves"])
@pytest.mark.parametrize("name", FIRS)
def test_the_bound_holds(name: str, packing: Packing | None) -> None:
    taps = FIRS[name]
    single, double = (
        OverlapSave(taps, dtype=dtype, packing=packing) for dtype in ("float32", "float64")
    )
    segments, gain = 8, float(np.linalg.norm(taps))
    frames = single.overlap + segments * single.hop
    for what, signal in hostile(frames, taps):
        whole = np.rint(signal / np.abs(signal).max() * 32767)
        x = np.stack([whole, 0 * whole], 1) if packing == "channels" else whole[:, None]
        near, exact = (
            np.empty((segments * single.hop, x.shape[1]), dtype) for dtype in ("f4", "f8")
        )
        signals = single._signals(np.ascontiguousarray(x, np.float32))
        filtered = single._filter(signals, near, False)
        out = levels_of(filtered, single.overlap)
        double(np.ascontiguousarray(x), exact)
        np.testing.assert_array_equal(out.peak, np.abs(near).reshape(segments, -1).max(axis=1))
        x_rms = segment_rms(np.ascontiguousarray(x), single.n_fft, single.hop, single.parts)
        largest = np.maximum(out.peak, out.dropped)
        bounds = largest_errors(gain * x_rms, out.rms, largest, single.n_fft, single.packed)
        errors = np.abs(near - exact).reshape(segments, -1).max(axis=1)
        assert (errors <= bounds).all(), (what, (errors / bounds).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n_fft", "channels"), [(4096, 1), (4096, 3), (32_768, 2)])
def test_the_level_of_a_segment_does_not_depend_on_its_neighbours(
    dtype: str, n_fft: int, channels: int
) -> None:
    hop = n_fft // 8 * 7
    x = RNG.standard_normal((n_fft - hop + 9 * hop, channels)).astype(dtype)
    together = segment_rms(x, n_fft, hop)
    alone = [segment_rms(x[i * hop : i * hop + n_fft], n_fft, hop)[0] for i in range(9)]
    np.testing.assert_array_equal(together, alone)
    wanted = [np.sqrt((x[i * hop :][:n_fft].astype(float) ** 2).sum() / n_fft) for i in range(9)]
    np.testing.assert_allclose(together, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("packing", "rows", "channels"),
    [("channels", 1, 2)]
    + [(p, *s) for p in (None, "halves") for s in [(1, 1), (1, 2), (2, 1), (2, 2), (4, 2)]],
)
@pytest.mark.parametrize("clicks", [False, True])
@pytest.mark.parametrize("codes", [True, False])
def test_a_segment_is_judged_alike_alone_and_among_others(
    packing: Packing | None, rows: int, channels: int, clicks: bool, codes: bool
) -> None:
    """What is decided by less than all levels, where that is enough, is what these decide."""
    taps = RNG.standard_normal((rows, 513)) * np.exp(-np.arange(513) / 40)
    if not codes:  # nothing of a constant, and its noise
        taps -= taps.mean(axis=1, keepdims=True)
    step = OverlapSave(taps, dtype="float32", packing=packing)
    rounding = Rounding(np.linalg.norm(taps, axis=1), codes=codes)
    segments, outputs = 60, max(channels, 1 if rows == 1 else 2)
    frames = step.overlap + segments * step.hop
    level = np.geomspace(30.0, 300_000.0, frames)[:, None]
    sound = np.clip(RNG.standard_normal((frames, channels)), -1.0, 1.0)
    if clicks:  # whose peak says more than their level, behind what is looked at first
        sound[np.arange(frames) % step.hop != (step.overlap if codes else step.overlap - 9)] = 0
    x = np.rint(sound * level) if codes else sound * level + 20_000.0
    x = x.astype(np.float32)

    def judged(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        out = np.empty(((last - first) * step.hop, outputs), np.float32)
        part = x[first * step.hop : last * step.hop + step.overlap].copy()
        found = step(part, out, segment=first, whole=codes, rounding=rounding)
        assert found is not None
        if found.seen is not None:
            np.testing.assert_array_equal(found.seen.peak, np.abs(out).max(axis=0))
        return found.fine, out

    together, out = judged(0, segments)
    alone = [judged(i, i + 1) for i in range(segments)]
    assert 0 < together.sum() < segments
    np.testing.assert_array_equal(together, np.concatenate([fine for fine, _ in alone]))
    for i in np.flatnonzero(together):
        np.testing.assert_array_equal(out[i * step.hop : (i + 1) * step.hop], alone[i][1])
    many = [judged(i, i + 5)[0] for i in range(0, segments, 5)]
    np.testing.assert_array_equal(together, np.concatenate(many))
    # all levels decide as the few do
    window = x[: frames // step.hop * step.hop + step.overlap]
    assert_decided_by_all_levels(step, rounding, window, outputs, together)


def assert_decided_by_all_levels(
    step: OverlapSave, rounding: Rounding, x: np.ndarray, outputs: int, fine: np.ndarray
) -> None:
    size = step.n_fft, step.packed
    x_rms = step._rms_apart(step._signals(x))
    if x_rms.shape[1] == 1:
        x_rms = segment_rms(x, step.n_fft, step.hop, step.parts)[:, None]
    filtered = step._filter(
        step._signals(x), np.empty((len(fine) * step.hop, outputs), "f4"), False
    )
    wanted = rounding.fine(
        x_rms, levels_of(filtered, step.overlap), lambda: step._rms_apart(filtered), *size
    )
    np.testing.assert_array_equal(fine, wanted & rounding.possible(x_rms, *size))


def test_what_the_halves_of_a_segment_share_counts_in_both() -> None:
    x = RNG.standard_normal((1000 + 4 * 3000, 2))
    found = segment_rms(x, 2500, 3000, parts=2)
    both = [np.concatenate([x[i * 3000 :][:2500], x[i * 3000 + 1500 :][:2500]]) for i in range(4)]
    np.testing.assert_allclose(found, [np.sqrt((one**2).sum() / 2500) for one in both])


@pytest.mark.parametrize("packed", [False, True])
def test_levels_of_columns_apart(packed: bool) -> None:
    x = RNG.standard_normal((3, 704, 4)).astype("float32")
    x[1, 5, 2] = 1e30  # its square is beyond float32
    found = rms_apart(x, packed)
    energy = (x.astype(float) ** 2).mean(axis=1)
    np.testing.assert_allclose(
        found, np.sqrt(energy[:, ::2] + energy[:, 1::2] if packed else energy), rtol=1e-5
    )
    np.testing.assert_array_equal(found[2:], rms_apart(x[2:], packed))


def test_levels_of_rows_of_any_length() -> None:
    x = RNG.standard_normal((3, 700))
    np.testing.assert_allclose(rms(x, 700), np.sqrt((x**2).mean(axis=1)), rtol=1e-12)


def convolved(x: np.ndarray, fir: Fir) -> np.ndarray:
    """float64, causal."""
    return np.stack(
        [scipy.signal.oaconvolve(channel, fir.taps)[: len(x)] for channel in x.T.astype(float)], 1
    )


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("source", [I8, I16])
@pytest.mark.parametrize("target", [I8, I16, SampleFormat("float32", 0)])
@pytest.mark.parametrize("gain", [1.0, 30.0, 1000.0])
def test_loud_and_quiet_together_are_the_oracle(
    channels: int, source: SampleFormat, target: SampleFormat, gain: float
) -> None:
    """DC and rumble at full scale where the filter takes them out, beside a channel of single
    codes, under gain.
    """
    highpass = Fir(scipy.signal.firwin(513, 0.05, pass_zero=False), None)
    frames, step = 60_000, 1 << (16 - source.bits)
    loud = 0.6 + 0.35 * np.sin(2 * np.pi * 1e-4 * np.arange(frames))
    x = np.rint(np.stack([loud, *[np.zeros(frames)] * (channels - 1)], 1) * (source.codes - 1))
    x += RNG.integers(-1, 2, x.shape)
    y, levels = apply(x.astype(np.int16) * step, highpass, source, target, gain=gain)
    exact = convolved(x / source.codes, highpass) * gain * target.codes
    fits = np.abs(exact) < target.codes - 1 if target.is_integer else exact < np.inf
    codes = (
        y.astype(float) / (1 << (target.width - target.bits))
        if target.is_integer
        else y.astype(float)
    )
    allowed = 0.51 if target.is_integer else (RELATIVE + 2.0**-24) * np.abs(exact).max()
    assert np.abs(codes - exact)[fits].max() <= allowed
    assert levels.precision in ("float32", "float64", "float32+float64")


def test_a_loud_part_alone_takes_the_slow_road_wherever_reads_and_threads_cut_it() -> None:
    fir = Fir(scipy.signal.firwin(513, 0.05, pass_zero=False), None)
    x = np.rint(RNG.standard_normal((700_000, 2)) * 30).astype(np.int16)
    x[400_000:401_000] += 25_000
    y, levels = apply(x, fir, I16, I16, gain=30.0)
    assert levels.precision == "float32+float64"
    for settings in ({"threads": 1}, {"threads": 3, "reads": (777,)}):
        assert np.array_equal(y, apply(x, fir, I16, I16, gain=30.0, **settings)[0])


@pytest.mark.parametrize("target", [I16, F32])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_pair_stays_in_float32_at_any_level_at_which_one_does(
    monkeypatch: pytest.MonkeyPatch, channels: int, target: SampleFormat
) -> None:
    """Of stereo as loud in both channels; by all channels together a pair would leave 3 dB sooner."""
    monkeypatch.setattr(windows, "_SHORT", 0)
    ear = resolve("headphone").at(48000)
    pair = Fir(np.stack([ear.taps, ear.taps]), None)
    white = RNG.standard_normal((100_000, 2)) * 0.25  # where one FIR of a packed pair just stays
    loud = np.rint(white[:, :channels].clip(-1, 1) * 32767).astype(np.int16)
    stereo = np.repeat(loud, 2, axis=1) if channels == 1 else loud
    assert apply(stereo, ear, I16, target, gain=0.8)[1].precision == "float32"
    y, levels = apply(loud, pair, I16, target, gain=0.8)
    assert levels.precision == "float32"
    exact = convolved(stereo / 32768, ear) * 0.8 * target.codes
    fits = np.abs(exact) < target.codes - 1 if target.is_integer else exact < np.inf
    assert np.abs(y - exact)[fits].max() <= (0.51 if target.is_integer else 1e-5)


@pytest.mark.parametrize("name", ["headphone", "middle-ear", "outer-middle-ear"])
@pytest.mark.parametrize(("sample", "channels"), [(I16, 1), (I16, 2), (I16, 8), (F32, 2)])
def test_ears_at_the_level_of_speech_and_music_stay_in_float32(
    monkeypatch: pytest.MonkeyPatch, name: str, sample: SampleFormat, channels: int
) -> None:
    """−20 dBFS RMS, pink-like."""
    monkeypatch.setattr(windows, "_SHORT", 0)  # the question is asked from the first segment on
    white = RNG.standard_normal((100_000, channels))
    pink = scipy.signal.lfilter([0.03], [1.0, -0.95], white, axis=0)
    x = (
        np.rint(pink * sample.codes).astype(np.int16)
        if sample.is_integer
        else pink.astype(np.float32)
    )
    assert apply(x, resolve(name).at(48000), sample, sample)[1].precision == "float32"


def test_numbers_beyond_float32_on_the_way_are_no_error() -> None:
    """The sum of squares, and the products, leave float32; the result does not."""
    x = np.full((5000, 1), 3e38, np.float32)
    y, levels = apply(x, Fir(np.array([1.0, -1.0]), None), F32, F32)
    assert levels.precision == "float64"
    assert y[1:].max() == 0.0 or np.abs(y[1:]).max() < 3e38 * RELATIVE


def test_taps_whose_squares_are_beyond_float64_are_filtered_in_float64() -> None:
    x = np.full((5000, 1), 1e-250)
    y, levels = apply(x.astype(np.float32), Fir(np.array([1e200]), None), F32, F32)
    assert levels.precision == "float64"
    assert (y == 0.0).all()
