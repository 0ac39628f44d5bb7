"""The public Python calls: one list, the samples of the command line, refusals that say why."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

import earfilt
from earfilt.cli import run
from tests.conftest import ROOT

SPEECH = ROOT / "data" / "audio" / "arctic_a0007.wav"
NOISE = np.random.default_rng(3).uniform(-0.3, 0.3, (3, 5000)).astype(np.float32)
NAMES = ("headphone", "middle-ear:jepsen2008", "outer-middle-ear", "headphone+middle-ear")

PUBLIC = [
    "AudioError",
    "DataError",
    "DtypeError",
    "EarModule",
    "EarfiltError",
    "Fir",
    "Fitted",
    "Goal",
    "HeadphoneFilter",
    "Identified",
    "MiddleEarFilter",
    "OuterMiddleEarFilter",
    "ResponseTable",
    "Row",
    "Sections",
    "Stream",
    "UnknownNameError",
    "UsageError",
    "__version__",
    "apply",
    "apply_file",
    "apply_files",
    "design",
    "design_sections",
    "ear",
    "filters",
    "fit",
    "identify",
    "response",
    "stream",
    "way",
]


def test_the_public_list() -> None:
    assert sorted(PUBLIC) == earfilt.__all__
    for name in PUBLIC:
        assert getattr(earfilt, name) is not None
        assert getattr(earfilt, name).__doc__ or name == "__version__"


def test_importing_loads_nothing_heavy() -> None:
    code = "import earfilt, sys; print({'numpy', 'scipy', 'torch', 'typer'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_calls_stay_calls_after_submodules_are_loaded() -> None:
    code = (
        "import pkgutil, earfilt, importlib\n"
        "for m in pkgutil.walk_packages(earfilt.__path__, 'earfilt.'):\n"
        "    if m.name.split('.')[-1] not in ('preload', '__main__'):\n"
        "        importlib.import_module(m.name)\n"
        "print([n for n in earfilt.__all__ if type(getattr(earfilt, n)).__name__ == 'module'])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.mark.parametrize("name", NAMES)
def test_apply_gives_the_samples_of_the_command_line(name: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", NOISE.T, 16000, "FLOAT")
    assert run(["apply", f"{tmp_path}/in.wav", f"{tmp_path}/out.wav", "-f", name, "-q"]) == 0
    wanted = soundfile.read(tmp_path / "out.wav", dtype="float32")[0].T
    np.testing.assert_array_equal(earfilt.apply(NOISE, name, fs=16000), wanted)
    tensor = earfilt.apply(torch.tensor(NOISE), name, fs=16000)
    np.testing.assert_allclose(tensor, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_apply_rounds_integers_as_the_command_line_does(dtype: str, tmp_path: Path) -> None:
    full = np.iinfo(dtype).max
    codes = (NOISE * full).astype(dtype)
    soundfile.write(tmp_path / "in.wav", codes.T, 16000, "PCM_16" if dtype == "int16" else "PCM_32")
    assert run(["apply", f"{tmp_path}/in.wav", f"{tmp_path}/out.wav", "-f", "headphone", "-q"]) == 0
    wanted = soundfile.read(tmp_path / "out.wav", dtype=dtype)[0].T
    np.testing.assert_array_equal(earfilt.apply(codes, "headphone", fs=16000), wanted)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "int32"])
def test_shape_and_dtype_are_kept_on_any_axis(dtype: str) -> None:
    x = (NOISE * 1000).astype(dtype).reshape(3, 1, 5000)
    y = earfilt.apply(x, "middle-ear", fs=16000)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    turned = earfilt.apply(np.moveaxis(x, -1, 0), "middle-ear", fs=16000, axis=0)
    np.testing.assert_array_equal(np.moveaxis(turned, 0, -1), y)


def test_the_input_is_left_as_it_was() -> None:
    x = NOISE.copy()
    earfilt.apply(x, "outer-middle-ear", fs=16000)
    np.testing.assert_array_equal(x, NOISE)


def test_precision_is_that_of_the_computation() -> None:
    exact = earfilt.apply(NOISE.astype(float), "headphone", fs=16000)
    for x in (NOISE, torch.tensor(NOISE)):
        near, nearer = (
            np.abs(np.asarray(earfilt.apply(x, "headphone", fs=16000, precision=of)) - exact).max()
            for of in ("float32", "float64")
        )
        assert nearer <= 2.0**-24 < near < 1e-6


def test_tensors_keep_their_gradients() -> None:
    x = torch.tensor(NOISE, dtype=torch.float64, requires_grad=True)
    earfilt.apply(x, "headphone", fs=16000).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((2, 0)), "at least one sample"),
        (np.zeros(()), "at least one sample"),
        (np.zeros(4, dtype=np.uint8), "dtype is uint8"),
        (np.zeros(4, dtype=complex), "dtype is complex128"),
        (np.array([0.0, np.nan, 0.0]), "channel 0, sample 1"),
        ([0.0, 1.0], "the signal is a list"),
        (torch.zeros(4, dtype=torch.int64), "dtype is torch.int64"),
    ],
)
def test_what_cannot_be_filtered_is_refused_in_a_sentence(x: object, says: str) -> None:
    with pytest.raises(earfilt.UsageError, match=says):
        earfilt.apply(x, "middle-ear", fs=16000)  # type: ignore[type-var]


@pytest.mark.parametrize("dtype", ["int16", "int32", "float16"])
def test_integers_of_torch_and_any_order_of_bytes_are_taken(dtype: str) -> None:
    x = (1000 * NOISE).astype(dtype)
    wanted = earfilt.apply(x, "headphone", fs=16000)
    found = earfilt.apply(x.astype(np.dtype(dtype).newbyteorder()), "headphone", fs=16000)
    assert found.dtype.newbyteorder("=") == dtype
    np.testing.assert_array_equal(found, wanted)
    of_torch = earfilt.apply(torch.from_numpy(x), "headphone", fs=16000)
    np.testing.assert_allclose(of_torch.numpy(), wanted, atol=0 if dtype[0] == "i" else 1.0)


def test_clipped_integers_are_warned_of() -> None:
    loud = np.tile(np.array([32767, -32768], np.int16), 4000)
    with pytest.warns(UserWarning, match="samples were clipped"):
        earfilt.apply(loud.repeat(3), "headphone", fs=16000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_bit_equal_to_the_whole(
    name: str, dtype: Literal["float32", "float64"]
) -> None:
    x = NOISE.astype(dtype)
    stream = earfilt.stream(name, fs=16000, channels=3, dtype=dtype)
    parts = [stream.push(block) for block in np.array_split(x.T, 13)]
    whole = earfilt.apply(x, name, fs=16000)
    np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()]).T, whole)


def test_design_gives_the_taps_that_apply_uses(tmp_path: Path) -> None:
    fir = earfilt.design("outer-middle-ear", fs=16000)
    assert fir.lookahead == (fir.numtaps - 1) // 2
    x = np.zeros(9000)
    x[4500] = 1.0
    y = earfilt.apply(x, "outer-middle-ear", fs=16000)
    around = y[4500 - fir.lookahead : 4500 + fir.lookahead + 1]
    np.testing.assert_allclose(around, fir.taps, atol=1e-13)


@pytest.mark.parametrize("suffix", [".json", ".wav", ".mat", ".csv", ".txt"])
def test_a_saved_design_filters_like_its_name(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"ear{suffix}"
    earfilt.design("outer-middle-ear", fs=16000).save(path)
    with pytest.raises(earfilt.UsageError, match="exists"):
        earfilt.design("headphone", fs=16000).save(path)
    wanted = earfilt.apply(NOISE, "outer-middle-ear", fs=16000)
    np.testing.assert_array_equal(earfilt.apply(NOISE, str(path), fs=16000), wanted)


def test_response_is_the_dft_of_an_impulse() -> None:
    x = np.zeros(1 << 15)
    x[0] = 1.0
    y = earfilt.apply(x, "middle-ear", fs=32768)
    table = earfilt.response("middle-ear", fs=32768, freqs=[100, 1000, 8000])
    spectrum = np.fft.rfft(y)[[100, 1000, 8000]]
    np.testing.assert_allclose(table.magnitude_db, 20 * np.log10(abs(spectrum)), atol=1e-9)
    np.testing.assert_allclose(table.phase_rad, np.angle(spectrum), atol=1e-9)
    assert len(table) == 3
    assert table.to_csv().startswith("frequency_hz,magnitude_db,phase_rad,group_delay_s\n100.0,")


def test_a_response_draws_itself(tmp_path: Path) -> None:
    table = earfilt.response("headphone", fs=48000)
    assert table.plot().startswith(b"\x89PNG")
    data = table.plot(f"{tmp_path}/a.svg", panels=["magnitude", "delay"])
    assert (tmp_path / "a.svg").read_bytes() == data


def test_a_figure_is_that_of_the_command_line(tmp_path: Path) -> None:
    tables = [earfilt.response(name, fs=48000) for name in ("p58-hats-free", "iso532-free")]
    made = tables[0].plot(
        beside=tables[1:],
        labels=["manikin", "standard"],
        relative_to=1000.0,
        suffix=".svg",
        panels=["magnitude", "difference", "phase"],
        ymin=-20.0,
        legend="inside",
        degrees=True,
        width_mm=120.0,
    )
    words = "-q -f p58-hats-free -f iso532-free --label manikin --label standard --degrees"
    words += " --relative-to 1000 --panel magnitude --panel difference --panel phase"
    words += f" --ymin -20 --legend inside --width 120 -o {tmp_path}/a.svg"
    assert run(["response", *words.split()]) == 0
    assert made == (tmp_path / "a.svg").read_bytes()
    with pytest.raises(earfilt.UsageError, match="1 labels are given for 2 curves"):
        tables[0].plot(beside=tables[1:], labels=["one"])
    for path in (None, f"{tmp_path}/a.gif"):
        with pytest.raises(earfilt.UsageError, match=r"'.gif' is not a kind of figure"):
            tables[0].plot(path, suffix=".gif")


def test_apply_file_gives_the_row_of_the_report(tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    row = earfilt.apply_file(SPEECH, out, "headphone+middle-ear", clip="error", order=64)
    assert (row.status, row.provenance.order) == ("ok", 64)
    assert soundfile.info(out).frames == soundfile.info(SPEECH).frames == row.frames
    with pytest.raises(earfilt.UsageError, match="exists"):
        earfilt.apply_file(SPEECH, out, "headphone")
    assert earfilt.apply_file(SPEECH, out, "headphone", exists="skip").status == "skipped"


@pytest.mark.parametrize("way", [("elsewhere", "later"), (".", "later")])
def test_a_batch_stays_where_it_began(
    way: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its paths are those of the call, wherever the program goes before and while it takes the rows."""
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "later").mkdir()
    for name in ("a.wav", "b.wav"):
        (tmp_path / "in" / name).write_bytes(SPEECH.read_bytes())
    monkeypatch.chdir(tmp_path)
    rows = earfilt.apply_files("in", "out", "headphone", order=64)
    monkeypatch.chdir(way[0])
    first = next(rows)
    monkeypatch.chdir(tmp_path / way[1])
    assert {(row.source, row.destination, row.status) for row in (first, *rows)} == {
        ("in/a.wav", "out/a.wav", "ok"),
        ("in/b.wav", "out/b.wav", "ok"),
    }
    assert not list(tmp_path.glob("[el]*/*"))
    monkeypatch.chdir(tmp_path)
    again = earfilt.apply_files("in", "out", "headphone", order=64, exists="resume")
    assert [row.status for row in again] == ["skipped", "skipped"]


def test_apply_files_gives_rows_as_they_come(tmp_path: Path) -> None:
    tree = tmp_path / "in"
    tree.mkdir()
    for name in ("a.wav", "b.wav"):
        (tree / name).write_bytes(SPEECH.read_bytes())
    (tree / "c.wav").write_bytes(b"RIFF no")
    rows = list(earfilt.apply_files(tree, tmp_path / "out", "middle-ear", jobs=1))
    assert sorted((row.name, row.status) for row in rows) == [
        ("a.wav", "ok"),
        ("b.wav", "ok"),
        ("c.wav", "failed"),
    ]
    with pytest.raises(earfilt.UsageError, match="exists already"):
        earfilt.apply_files(tree, tmp_path / "out", "middle-ear")
    with pytest.raises(earfilt.UsageError, match="in_place"):
        earfilt.apply_files(tree, None, "middle-ear")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"order": 1}, "order is 1"),
        ({"order": 64, "tolerance": 1.0}, "exclude each other"),
        ({"flow": 50.0}, "has no option flow"),
        ({"latency": 5}, "has no option latency"),
    ],
)
def test_options_are_checked_as_on_the_command_line(options: dict[str, float], says: str) -> None:
    with pytest.raises(earfilt.UsageError, match=says):
        earfilt.design("headphone", fs=48000, **options)  # type: ignore[arg-type]


def test_a_name_that_does_not_exist_suggests_the_nearest() -> None:
    with pytest.raises(earfilt.UnknownNameError, match="did you mean headphone"):
        earfilt.design("headfone", fs=48000)


def test_every_public_name_has_an_example() -> None:
    """Which runs with the doctests."""
    described = [name for name in earfilt.__all__ if name != "__version__"]
    assert [name for name in described if ">>>" not in (getattr(earfilt, name).__doc__ or "")] == []


SIGNALS = pytest.mark.parametrize("as_signal", [np.asarray, torch.as_tensor])


@SIGNALS
@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 5), (0, 0, 4)])
def test_no_signals_give_none(as_signal: Any, shape: tuple[int, ...]) -> None:
    found = earfilt.apply(as_signal(np.zeros(shape)), "middle-ear", fs=16000, order=64)
    assert tuple(found.shape) == shape
    turned = as_signal(np.zeros(shape[::-1]))
    found = earfilt.apply(turned, "middle-ear", fs=16000, order=64, axis=0)
    assert tuple(found.shape) == shape[::-1]


@SIGNALS
def test_no_signals_through_two_ears_give_pairs_of_none(as_signal: Any) -> None:
    ears = "L=headphone,R=middle-ear"
    found = earfilt.apply(as_signal(np.zeros((0, 1, 6))), ears, fs=16000, order=64)
    assert tuple(found.shape) == (0, 2, 6)


@SIGNALS
@pytest.mark.parametrize("axis", [2, -3, 5, 0.5, "a"])
def test_an_axis_that_is_not_there_is_refused(as_signal: Any, axis: Any) -> None:
    x = as_signal(np.zeros((10, 3)))
    with pytest.raises(earfilt.UsageError, match=r"axis is .* shape is .10, 3., .* -2 to 1"):
        earfilt.apply(x, "headphone", fs=16000, axis=axis, order=64)


@SIGNALS
@pytest.mark.parametrize(("shape", "time"), [((2001, 2), 0), ((2001, 1), 0), ((3, 2001, 32), 1)])
@pytest.mark.parametrize("name", ["headphone", "L=headphone,R=iso532-free"])
def test_channels_are_not_taken_for_time(
    as_signal: Any, shape: tuple[int, ...], time: int, name: str
) -> None:
    """As soundfile gives them: frames first. What is asked for is taken at its word."""
    x = as_signal(np.resize(NOISE, shape))
    with pytest.raises(earfilt.UsageError, match=f"axis={time} filters signals of 2001 samples"):
        earfilt.apply(x, name, fs=16000, order=64)
    taps = earfilt.design("headphone", fs=16000, order=64).taps
    for axis in (time, -1):
        found = earfilt.apply(x, "headphone", fs=16000, order=64, axis=axis)
        wanted = scipy.signal.lfilter(taps, [1.0], np.asarray(x), axis=axis)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@SIGNALS
@pytest.mark.parametrize("shape", [(1000, 2), (2001, 33), (2, 2001), (5,), (64, 1)])
def test_what_may_be_time_is_time(as_signal: Any, shape: tuple[int, ...]) -> None:
    x = as_signal(np.resize(NOISE, shape))
    taps = earfilt.design("headphone", fs=16000, order=64).taps
    found = earfilt.apply(x, "headphone", fs=16000, order=64)
    wanted = scipy.signal.lfilter(taps, [1.0], np.asarray(x))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@SIGNALS
def test_time_without_samples_is_refused_wherever_it_is(as_signal: Any) -> None:
    for shape, axis in (((0, 3), 0), ((3, 0), 1), ((2, 0, 3), -2)):
        with pytest.raises(earfilt.UsageError, match="at least one sample"):
            earfilt.apply(as_signal(np.zeros(shape)), "headphone", fs=16000, axis=axis, order=64)


@pytest.mark.parametrize("as_signal", [np.asarray, torch.as_tensor])
def test_a_precision_that_does_not_exist_is_refused(as_signal: Any) -> None:
    wrong: Any = "flaot64"
    with pytest.raises(earfilt.UsageError, match="precision is 'flaot64'; allowed: 'auto'"):
        earfilt.apply(as_signal(np.zeros(9)), "headphone", fs=16000, order=64, precision=wrong)


def test_an_option_of_no_filter_is_said_to_be_of_none() -> None:
    more: Any = {"foo": 3}
    with pytest.raises(earfilt.UsageError, match=r"has no option foo, nor has any other filter$"):
        earfilt.design("headphone", fs=16000, **more)
