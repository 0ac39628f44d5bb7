"""The engine against a float64 oracle, over formats, channels, lengths, block sizes and threads."""

import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest
import scipy.signal

from earfilt.engine import pipeline, windows
from earfilt.engine.pipeline import Levels, NonFiniteError, SampleFormat, Settings
from earfilt.errors import AudioError, UsageError
from earfilt.synthesis.fir import Fir

I8, I16, I24, I32 = (
    SampleFormat(d, b) for d, b in (("int16", 8), ("int16", 16), ("int32", 24), ("int32", 32))
)  # type: ignore[arg-type]
F32, F64 = SampleFormat("float32", 0), SampleFormat("float64", 0)
RNG = np.random.default_rng(11)
LOWPASS = Fir(scipy.signal.firwin(129, 0.3), None)
ZERO_PHASE = Fir(scipy.signal.firwin(129, 0.3), None, lookahead=64, odd_ends=True)


def apply(
    x: np.ndarray,
    fir: Fir,
    source: SampleFormat,
    target: SampleFormat,
    *,
    reads: tuple[int, ...] = (1 << 30,),
    **settings: object,
) -> tuple[np.ndarray, Levels]:
    """Run the engine over x (frames, channels), reading blocks of at most the given sizes in turn."""
    at, sizes = 0, itertools.cycle(reads)
    written = [np.empty((0, fir.outputs(x.shape[1])), target.dtype)]

    def read(frames: int) -> np.ndarray:
        nonlocal at
        block = x[at : at + min(frames, next(sizes))]
        at += len(block)
        return block

    levels = pipeline.run(
        read,
        lambda block: written.append(block.copy()),
        fir,
        source=source,
        target=target,
        channels=x.shape[1],
        settings=Settings(**settings),  # type: ignore[arg-type]
    )
    return np.concatenate(written), levels


def noise(frames: int, channels: int, source: SampleFormat, amplitude: float = 0.1) -> np.ndarray:
    x = RNG.standard_normal((frames, channels)).clip(-4, 4) * amplitude
    if not source.is_integer:
        return x.astype(source.dtype)
    return np.rint(x * source.codes).astype(source.dtype) << (source.width - source.bits)


def oracle(x: np.ndarray, fir: Fir, source: SampleFormat) -> np.ndarray:
    """What the FIR makes of x, full scale 1.0, in float64."""
    x = x / source.full_scale
    reach = min(fir.lookahead, len(x) - 1) if fir.odd_ends else 0
    longer = np.concatenate(
        [
            2 * x[0] - x[reach:0:-1],
            x,
            2 * x[-1] - x[-2 : -reach - 2 : -1],
            np.zeros((fir.numtaps, x.shape[1])),
        ]
    )
    y = scipy.signal.oaconvolve(longer, fir.taps[:, None], axes=0)
    return y[reach + fir.lookahead :][: len(x)]


@pytest.fixture(params=[1 << 14, 1 << 22], ids=["small groups", "large groups"])
def groups(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Groups of one segment, so that short signals have many; and the engine's own."""
    monkeypatch.setattr(windows, "CALL_BYTES", request.param)
    return int(request.param)


@pytest.mark.parametrize("source", [I8, I16, I24, F32])
def test_identity_keeps_every_code(source: SampleFormat) -> None:
    if source is F32:
        x = RNG.standard_normal((50_000, 2)).astype(np.float32)
    else:
        codes = np.arange(-int(source.codes), int(source.codes), dtype=source.dtype) << (
            source.width - source.bits
        )
        x = np.stack([codes, codes[::-1]], axis=1)
    y, levels = apply(
        x,
        Fir(np.ones(1), None),
        source,
        source,
        precision="float32" if source in (I8, I16) else "float64",
    )
    np.testing.assert_array_equal(y, x)
    assert levels.clipped.tolist() == [0, 0]


@pytest.mark.parametrize("fir", [LOWPASS, ZERO_PHASE])
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(
    ("source", "target", "precision"),
    [
        (I16, I16, "float32"),
        (I8, I8, "float32"),
        (I16, I24, "float64"),
        (I24, I24, "float64"),
        (I32, I32, "float64"),
        (F64, I16, "float64"),
        (I24, I16, "float32"),
    ],
)
def test_integers_are_the_oracle_rounded(
    fir: Fir, channels: int, source: SampleFormat, target: SampleFormat, precision: str, groups: int
) -> None:
    x = noise(9000, channels, source)
    y, _ = apply(x, fir, source, target, precision=precision)
    exact = oracle(x, fir, source) * target.codes
    codes = y >> (target.width - target.bits)
    assert np.abs(codes - exact).max() <= 0.51
    assert np.mean(codes == np.rint(exact)) > 0.99


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(
    ("sample", "precision", "within"), [(F32, "float32", 1e-6), (F64, "float64", 1e-14)]
)
def test_floats_are_the_oracle(
    channels: int, sample: SampleFormat, precision: str, within: float, groups: int
) -> None:
    x = noise(9000, channels, sample)
    y, _ = apply(x, ZERO_PHASE, sample, sample, precision=precision)
    assert y.dtype == sample.dtype
    assert np.abs(y - oracle(x, ZERO_PHASE, sample)).max() <= within


@pytest.mark.parametrize("fir", [LOWPASS, ZERO_PHASE])
@pytest.mark.parametrize("frames", [1, 2, 40, 64, 65, 129, 3967, 3968, 3969, 4032, 7936, 12345])
def test_any_length(fir: Fir, frames: int, groups: int) -> None:
    x = noise(frames, 2, F64)
    y, levels = apply(x, fir, F64, F64, precision="float64")
    np.testing.assert_allclose(y, oracle(x, fir, F64), rtol=0, atol=1e-14)
    assert (levels.frames_in, levels.frames_out) == (frames, frames)


def test_no_frames() -> None:
    y, levels = apply(np.empty((0, 2), np.int16), LOWPASS, I16, I16)
    assert y.shape == (0, 2)
    assert levels.rms_in.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("target", [I16, F32])
def test_bytes_do_not_depend_on_reads_or_threads(target: SampleFormat, groups: int) -> None:
    x = noise(60_000, 2, I16)
    whole, expected = apply(x, ZERO_PHASE, I16, target, threads=1)
    for threads, reads in ((2, (1, 5000)), (5, (700,)), (3, (4096, 1, 17))):
        y, levels = apply(x, ZERO_PHASE, I16, target, threads=threads, reads=reads)
        assert y.tobytes() == whole.tobytes()
        assert repr(levels) == repr(expected)


@pytest.mark.parametrize("channels", [2, 8])
@pytest.mark.parametrize(
    ("sample", "precision"),
    [(I16, "float32"), (I24, "float64"), (I24, "float32"), (F32, "float32")],
)
@pytest.mark.parametrize("seed", [None, 4])
def test_a_silent_channel_stays_silent(
    channels: int, sample: SampleFormat, precision: str, seed: int | None
) -> None:
    x = noise(30_000, channels, sample, 0.25)
    x[:, 1] = 0
    y, levels = apply(x, LOWPASS, sample, sample, precision=precision, gain=100.0, dither_seed=seed)
    assert not y[:, 1].any()
    assert y[:, 0].any()
    assert levels.peak_out[1] == 0.0


def test_levels_are_those_of_the_samples() -> None:
    x = noise(50_000, 3, I16)
    y, levels = apply(x, LOWPASS, I16, I16)
    for samples, peak, rms in (
        (x, levels.peak_in, levels.rms_in),
        (y, levels.peak_out, levels.rms_out),
    ):
        full = samples / 32768.0
        np.testing.assert_array_equal(peak, np.abs(full).max(axis=0))
        np.testing.assert_allclose(rms, np.sqrt((full**2).mean(axis=0)), rtol=1e-5)


@pytest.mark.parametrize("target", [I16, I24])
def test_clipping_is_counted_and_its_peak_told(target: SampleFormat) -> None:
    x = noise(20_000, 2, I16)
    y, levels = apply(x, LOWPASS, I16, target, gain=8.0)
    exact = np.rint(oracle(x, LOWPASS, I16) * 8 * target.codes)
    beyond = (exact > target.codes - 1) | (exact < -target.codes)
    assert beyond.any()
    assert np.abs(levels.clipped - beyond.sum(axis=0)).max() <= 1
    np.testing.assert_allclose(levels.peak_out, np.abs(exact).max(axis=0) / target.codes, rtol=1e-6)
    assert y.max() == (int(target.codes) - 1) << (target.width - target.bits)


def test_float_targets_keep_what_is_beyond_full_scale() -> None:
    x = noise(5000, 2, I16)
    y, levels = apply(x, LOWPASS, I16, F32, gain=30.0)
    assert np.abs(y).max() > 2.0
    np.testing.assert_allclose(levels.peak_out, np.abs(y).max(axis=0))
    assert levels.clipped.tolist() == [0, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("frame", [0, 4000, 69_999])
def test_not_a_number_is_found_where_it_is(value: float, frame: int) -> None:
    x = noise(70_000, 3, F32)
    x[frame, 2] = value
    with pytest.raises(NonFiniteError, match=f"channel 2, frame {frame} is {value}") as caught:
        apply(x, LOWPASS, F32, I16, reads=(1000,))
    assert (caught.value.channel, caught.value.frame) == (2, frame)
    repaired = x.copy()
    repaired[frame, 2] = 0.0
    y, levels = apply(x, LOWPASS, F32, F32, repair=True)
    assert levels.repaired == 1
    np.testing.assert_array_equal(y, apply(repaired, LOWPASS, F32, F32)[0])


@pytest.mark.parametrize(("sample", "value"), [(F32, 1e30), (F64, 1e300)])
def test_levels_are_finite_where_squares_are_not(sample: SampleFormat, value: float) -> None:
    x = np.full((5000, 2), value, sample.dtype)
    _, levels = apply(x, LOWPASS, sample, sample, precision=sample.dtype)
    np.testing.assert_allclose(levels.rms_in, value, rtol=1e-6)
    np.testing.assert_allclose(levels.rms_out, value, rtol=0.2)


def test_overflow_is_an_error() -> None:
    with pytest.raises(AudioError, match="beyond what float32 can hold"):
        apply(np.full((100, 1), 3e38, np.float32), LOWPASS, F32, F32, gain=1e6)


def test_dither_is_reproducible_and_takes_the_correlation_away(groups: int) -> None:
    x = noise(50_000, 2, I16, 0.0001)
    y, _ = apply(x, LOWPASS, I16, I16, dither_seed=1)
    assert np.array_equal(y, apply(x, LOWPASS, I16, I16, dither_seed=1, threads=3, reads=(999,))[0])
    assert not np.array_equal(y, apply(x, LOWPASS, I16, I16, dither_seed=2)[0])
    error = y - oracle(x, LOWPASS, I16) * 32768
    assert error.var() == pytest.approx(1 / 6 + 1 / 12, rel=0.03)  # triangular dither and rounding
    assert abs(error.mean()) < 0.02


@pytest.mark.parametrize("frames", [1, 100, 3968, 9000])
def test_tail_is_the_full_convolution(frames: int, groups: int) -> None:
    x = noise(frames, 2, F64)
    y, levels = apply(x, LOWPASS, F64, F64, precision="float64", keep_tail=True)
    np.testing.assert_allclose(
        y, scipy.signal.oaconvolve(x, LOWPASS.taps[:, None], axes=0), rtol=0, atol=1e-14
    )
    assert (levels.frames_in, levels.frames_out) == (frames, frames + 128)


def test_a_filter_that_looks_ahead_has_no_tail() -> None:
    with pytest.raises(UsageError, match="looks ahead by 64 samples"):
        apply(noise(10, 1, F32), ZERO_PHASE, F32, F32, keep_tail=True)


class DiskFullError(Exception):
    pass


@pytest.mark.parametrize("where", ["read", "write"])
@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_failure_ends_all_threads_and_is_told_once(
    where: str, after: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "CALL_BYTES", 1 << 14)
    calls = {"read": 0, "write": 0}
    before = threading.active_count()

    def call(name: str) -> None:
        if name == where and calls[name] >= after:
            raise DiskFullError
        calls[name] += 1

    def read(frames: int) -> np.ndarray:
        call("read")
        return np.ones((frames, 1), np.int16)

    with pytest.raises(DiskFullError):
        pipeline.run(
            read,
            lambda block: call("write"),
            LOWPASS,
            source=I16,
            target=I16,
            channels=1,
            settings=Settings(threads=threads),
        )
    assert threading.active_count() == before
    assert calls["write"] <= after + threads


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_what_is_written_is_what_was_encoded_in_order(threads: int) -> None:
    """Encoding takes unequal time, and runs on any thread."""
    x, at, written = noise(1_500_000, 2, I16), 0, []
    pause = itertools.cycle((0.01, 0.0, 0.003))

    def read(frames: int) -> np.ndarray:
        nonlocal at
        block = x[at : at + frames]
        at += len(block)
        return block

    def encode(samples: np.ndarray) -> bytes:
        time.sleep(next(pause))
        return samples.tobytes()

    settings, form = Settings(threads=threads), {"source": I16, "target": I16, "channels": 2}
    pipeline.run(read, written.append, LOWPASS, **form, settings=settings, encode=encode)  # type: ignore[arg-type]
    assert b"".join(written) == apply(x, LOWPASS, I16, I16, threads=1)[0].tobytes()


def test_a_failure_wakes_every_thread_that_waits_for_its_turn() -> None:
    encoded: list[np.ndarray] = []

    def write(samples: np.ndarray) -> None:
        end = time.monotonic() + 30
        while len(encoded) < 4 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)  # now all others wait
        raise OSError("full")

    def encode(samples: np.ndarray) -> np.ndarray:
        encoded.append(samples)
        return samples

    x = noise(4_000_000, 2, I16)
    read = iter([*np.array_split(x, 100), x[:0]])
    form = {"source": I16, "target": I16, "channels": 2, "settings": Settings(threads=4)}
    with pytest.raises(OSError, match="full"):
        pipeline.run(lambda frames: next(read), write, LOWPASS, encode=encode, **form)  # type: ignore[arg-type]
    assert len(encoded) == 4
    assert not [thread for thread in threading.enumerate() if thread.name == "earfilt"]


def test_an_interruption_does_not_wait_for_a_pipe_that_gives_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One thread is in front of the pipe, and the others behind it."""
    monkeypatch.setattr(pipeline, "PATIENCE", 30.0)
    idle, ended = threading.Event(), threading.Event()

    def read(frames: int) -> np.ndarray:
        if not idle.is_set():
            idle.set()
            return np.zeros((20_000, 1), np.int16)
        ended.wait()
        return np.zeros((0, 1), np.int16)

    def interrupt() -> None:
        idle.wait()
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    settings = Settings(threads=4, live=True)
    begun = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(read, len, LOWPASS, source=I16, target=I16, channels=1, settings=settings)
        assert time.monotonic() - begun < 15.0  # half of what it would wait for one thread
    finally:
        ended.set()
