"""From a filter's name to its FIR."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch

import earfilt
from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
from earfilt.chains import build
from earfilt.chains.members import resolve
from earfilt.ears.kinds import documented
from earfilt.errors import UsageError

CURVE = "frequency_hz,gain_db\n100,-6\n1000,0\n4000,10\n"


def assert_same(taps: np.ndarray, ear: Any) -> None:
    """The taps of a module, within 1e-12 of the largest."""
    wanted = ear.taps().numpy()
    np.testing.assert_allclose(taps, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_names_stand_for_the_classes() -> None:
    f64 = {"dtype": torch.float64}
    wanted = {
        "headphone": HeadphoneFilter(16000, **f64),
        "middle-ear": MiddleEarFilter(16000, **f64),
        "middle-ear:goode1994": MiddleEarFilter(16000, "goode1994", **f64),
        "outer-middle-ear": OuterMiddleEarFilter(16000, convention="published", **f64),
        "outer-middle-ear:2007-diffuse": OuterMiddleEarFilter(
            16000, "tfOuterMiddle2007", "diffuse", convention="published", **f64
        ),
    }
    for name, ear in wanted.items():
        order = 4096 if "outer" in name else 512
        fir = resolve(name, order=order).at(16000)
        assert_same(fir.taps, ear)
        assert fir.lookahead == (order if "outer" in name else 0)
        assert fir.odd_ends == ("outer" in name)


@pytest.mark.parametrize(
    ("options", "make"),
    [
        (
            {"name": "headphone", "order": 64, "phase": "zero"},
            lambda: HeadphoneFilter(8000, 64, "zero", dtype=torch.float64),
        ),
        (
            {"name": "middle-ear", "order": 512, "normalize_gain": False},
            lambda: MiddleEarFilter(8000, normalize_gain=False, dtype=torch.float64),
        ),
        (
            {
                "name": "outer-middle-ear",
                "order": 4096,
                "convention": "amt",
                "flow": 100.0,
                "fhigh": 3000.0,
                "phase": "minimum",
            },
            lambda: OuterMiddleEarFilter(
                8000, flow=100, fhigh=3000, phase_type="minimum", dtype=torch.float64
            ),
        ),
    ],
)
def test_options_reach_the_class(options: dict[str, Any], make: Any) -> None:
    assert_same(resolve(**options).at(8000).taps, make())


def test_a_chain_is_the_convolution_of_its_members() -> None:
    chain = resolve("outer-middle-ear+headphone", force_chain=True, order=4096).at(16000)
    members = [resolve(name, order=4096).at(16000) for name in ("outer-middle-ear", "headphone")]
    np.testing.assert_allclose(
        chain.taps, scipy.signal.fftconvolve(members[0].taps, members[1].taps), atol=2e-12
    )
    assert (chain.lookahead, chain.odd_ends) == (4096, True)
    assert chain.provenance.filter == "outer-middle-ear:1997-free+headphone"


def test_options_go_to_the_members_that_have_them() -> None:
    chain = resolve("headphone+outer-middle-ear", force_chain=True, order=128, convention="amt").at(
        16000
    )
    members = [
        resolve("headphone", order=128).at(16000),
        resolve("outer-middle-ear", order=128, convention="amt").at(16000),
    ]
    # Each is rounded to 2^-40 of its largest tap, and those of the convention reach 44.
    np.testing.assert_allclose(
        chain.taps,
        np.convolve(members[0].taps, members[1].taps),
        atol=1e-12 * np.abs(chain.taps).max(),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "midle-ear"}, "did you mean middle-ear"),
        ({"name": "headphone+"}, "NAME\\+NAME"),
        (
            {"name": "headphone", "convention": "amt"},
            "'headphone' has no option convention; it belongs to outer-middle-ear",
        ),
        ({"name": "headphone", "latency": 3}, "latency; it belongs to FIR files"),
        (
            {"name": "outer-middle-ear", "normalize_gain": True},
            "normalize_gain; it belongs to middle-ear",
        ),
        ({"name": "headphone", "order": 8, "tolerance": 1.0}, "exclude each other"),
        ({"name": "headphone", "order": 8, "fewest": True}, "fewest has no effect beside order"),
        ({"name": "headphone", "order": 1}, "order is 1; it must be 2 to 131072"),
        ({"name": "headphone", "order": 200000}, "order is 200000"),
        ({"name": "headphone", "tolerance": 0.0}, "tolerance is 0 dB; it must be 1e-08 to 20 dB"),
        (
            {"name": "headphone", "tolerance": 1e-12},
            "must be 1e-08, which rounding leaves room for",
        ),
        ({"name": "+".join(["middle-ear"] * 65)}, "a chain of 65 filters; 64 are possible"),
        ({"name": "middle-ear", "order": 33}, "order 33 is odd"),
        ({"name": "missing.csv"}, "cannot read missing.csv"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(**options).at(48000)


def test_rate_too_low_for_the_table() -> None:
    with pytest.raises(UsageError, match="fs is 300 Hz, which leaves 1 table rows below fs/2"):
        resolve("headphone").at(300)


def test_users_curve(tmp_path: Path) -> None:
    path = tmp_path / "a+b my ear.csv"
    path.write_text(CURVE)
    fir = resolve(str(path), order=2048).at(16000)
    for f, gain_db in ((100, -6), (1000, 0), (4000, 10), (50, -6), (7000, 10)):
        assert 20 * np.log10(abs(fir.response([f])[0])) == pytest.approx(gain_db, abs=0.1)
    falling = resolve(str(path), order=2048, beyond="fall").at(16000)
    assert 20 * np.log10(abs(falling.response([50])[0])) == pytest.approx(-18, abs=0.3)
    assert fir.provenance.deviation_db < 0.2


def test_curves_interpolate_on_either_axis(tmp_path: Path) -> None:
    path = tmp_path / "line.csv"
    path.write_text("frequency_hz,gain_db\n1000,0\n4000,12\n")
    middle = {
        axis: resolve(str(path), order=1024, interpolation=axis).at(16000).response([2000, 2500])
        for axis in ("log", "linear")
    }
    assert 20 * np.log10(abs(middle["log"][0])) == pytest.approx(6, abs=0.05)
    assert 20 * np.log10(abs(middle["linear"][1])) == pytest.approx(6, abs=0.05)


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(CURVE)
    before = resolve(str(path)).at(16000)
    path.write_text(CURVE.replace("10\n", "-10\n"))
    assert resolve(str(path)).at(16000).sha256 != before.sha256


def test_same_request_gives_the_same_object_and_hash() -> None:
    one = resolve("middle-ear").at(44100)
    assert resolve("middle-ear").at(44100) is one
    assert resolve("middle-ear:lopezpoveda2001").at(44100).sha256 == one.sha256
    build._design.cache_clear()
    build._targets.cache_clear()
    assert resolve("middle-ear").at(44100).sha256 == one.sha256


def test_an_ear_is_made_once_for_its_taps_its_curve_and_its_deviation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []
    headphone = documented.headphone
    monkeypatch.setattr(
        documented, "headphone", lambda *arguments: made.append(arguments) or headphone(*arguments)
    )
    assert resolve("headphone").at(31000).provenance.deviation_db is not None
    assert resolve("headphone").curve_at(31000) is not None
    assert made == [(31000,)]


def test_filters_travel_to_workers() -> None:
    wanted = resolve("headphone", order=64, phase="zero")
    assert pickle.loads(pickle.dumps(wanted)) == wanted
    assert wanted.request.given() == {"order": 64, "phase": "zero"}


def test_deviation_from_the_published_points() -> None:
    """The issue's measurements: 2.1 dB at 48 kHz and 3.8 dB at 192 kHz for the default order."""
    sampled = resolve("headphone", order=512)
    at_48, at_192 = (sampled.at(fs).provenance for fs in (48000, 192000))
    assert at_48.deviation_db == pytest.approx(2.1, abs=0.1)
    assert at_48.deviation_hz == 125.0
    assert at_192.deviation_db == pytest.approx(3.8, abs=0.15)


@pytest.mark.parametrize("tolerance", [None, 0.3])
@pytest.mark.parametrize(
    "name",
    [
        "headphone",
        "outer-middle-ear:2007-diffuse",
        "headphone+middle-ear",
        "outer-middle-ear+headphone",
    ],
)
def test_tolerance_is_the_whole_chains(name: str, tolerance: float | None) -> None:
    fir = resolve(name, force_chain=True, tolerance=tolerance).at(44100)
    asked = 0.1 if tolerance is None else tolerance
    wanted = resolve(name, force_chain=True).curve_at(44100)
    assert wanted is not None
    hz = np.geomspace(wanted.points_hz[0], wanted.points_hz[-1], 20000)
    off = 20 * np.log10(np.abs(fir.response(hz)) / wanted.aim(hz))
    assert np.abs(off).max() < asked + 1e-3
    assert fir.provenance.tolerance_met
    assert fir.provenance.tolerance_db == asked
    assert fir.provenance.deviation_db <= asked


def test_a_tolerance_is_of_the_ears_in_a_chain_with_a_fir(tmp_path: Path) -> None:
    np.save(tmp_path / "fir.npy", np.array([1.0, 0.5]))
    fir = resolve(f"{tmp_path}/fir.npy+headphone", tolerance=0.5).at(16000)
    ear = resolve("headphone", tolerance=0.5).at(16000)
    np.testing.assert_allclose(fir.taps, np.convolve([1.0, 0.5], ear.taps), atol=1e-12)
    with pytest.raises(UsageError, match="has no option tolerance"):
        resolve(f"{tmp_path}/fir.npy", tolerance=0.5)


def test_a_fir_file_keeps_what_it_says_of_itself(tmp_path: Path) -> None:
    from earfilt.files.firs import write_fir

    path = tmp_path / "ear.json"
    write_fir(resolve("middle-ear", order=128).at(16000), path)
    told = resolve(str(path)).at(16000).provenance
    assert (told.filter, told.order, told.phase) == (str(path), 128, "minimum")
    assert "Lopez-Poveda" in told.source[0]


def equaliser(tmp_path: Path) -> str:
    path = tmp_path / "peq.txt"
    path.write_text("Preamp: -3 dB\nFilter 1: ON PK Fc 1000 Hz Gain 6 dB Q 1\n")
    return str(path)


@pytest.mark.parametrize("options", [{"order": 16}, {"tolerance": 3.0}])
def test_what_keeps_its_own_phase_takes_no_design(tmp_path: Path, options: dict[str, Any]) -> None:
    np.save(tmp_path / "fir.npy", np.array([1.0, 0.5]))
    peq = equaliser(tmp_path)
    for name, more in (
        (peq, {}),
        (f"{tmp_path}/fir.npy+{peq}", {}),
        (f"L={peq},R={peq}", {}),
        ("map1-14-ome", {"phase": "native"}),
    ):
        message = rf'{next(iter(options))} would have no effect: .*; phase="minimum" designs'
        with pytest.raises(UsageError, match=message):
            resolve(name, **options, **more).at(48000)
        assert resolve(name, **more).at(48000).provenance.order is None
    for call in (
        lambda: earfilt.design(peq, fs=48000, **options),
        lambda: earfilt.ear(peq, 48000, **options),
        lambda: earfilt.apply_files("none", str(tmp_path / "out"), peq, **options),
    ):
        with pytest.raises(UsageError, match="would have no effect"):
            call()
    # as the message says
    made = resolve(peq, phase="minimum", **options).at(48000)
    assert made.provenance.phase == "minimum"
    assert made.numtaps - 1 == made.provenance.order


def test_a_design_beside_an_equaliser_is_of_the_other_member_alone(tmp_path: Path) -> None:
    peq = equaliser(tmp_path)
    alone, own = resolve("headphone", order=16).at(48000), resolve(peq).at(48000)
    chain = resolve(f"headphone+{peq}", order=16).at(48000)
    np.testing.assert_allclose(chain.taps, np.convolve(alone.taps, own.taps), atol=1e-9)
    left, right = resolve(f"L=headphone,R={peq}", order=16).at(48000).provenance.ears
    assert (left.order, right.order) == (16, None)


def test_sections_of_an_equaliser_have_a_tolerance(tmp_path: Path) -> None:
    found = earfilt.design_sections(equaliser(tmp_path), fs=48000, tolerance=0.1)
    assert len(found.sos) == 1
