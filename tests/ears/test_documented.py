"""The ears as values: the same in numpy and in torch, the same on every call, and what they refuse."""

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
from earfilt.ears.kinds import documented
from earfilt.ears.kinds.measured import curve_target
from earfilt.ears.target import Target
from earfilt.errors import UsageError
from earfilt.nn.base import EarFilter
from earfilt.synthesis.passes import passes, taps
from tests.tools import single_threaded

F64: dict[str, Any] = {"dtype": torch.float64}
CURVE = ([100.0, 1000.0, 3000.0, 9000.0], [-6.0, 0.0, 12.0, -20.0])
MakeTarget = Callable[[float], Target]
MakeModule = Callable[[float, int, str], EarFilter]


def middle(table: str, normalize: bool = True) -> tuple[MakeTarget, MakeModule]:
    return (
        lambda fs: documented.middle_ear(fs, table, normalize_gain=normalize),
        lambda fs, order, phase: MiddleEarFilter(fs, table, order, phase, normalize, **F64),
    )


def outer_middle(
    year: int, field: str, convention: str, flow: float = 20.0, fhigh: float = 16000.0
) -> tuple[MakeTarget, MakeModule]:
    names, options = (
        (f"tfOuterMiddle{year}", field),
        {"flow": flow, "fhigh": fhigh, "convention": convention},
    )
    return (
        lambda fs: documented.outer_middle_ear(fs, *names, **options),
        lambda fs, order, phase: OuterMiddleEarFilter(
            fs, *names, order=order, phase_type=phase, **options, **F64
        ),
    )


def curve(fs: float, interpolation: str = "log", beyond: str = "hold") -> Target:
    return curve_target(fs, *CURVE, interpolation=interpolation, beyond=beyond)


EARS: dict[str, tuple[MakeTarget, MakeModule]] = {
    "headphone": (
        documented.headphone,
        lambda fs, order, phase: HeadphoneFilter(fs, order, phase, **F64),
    ),
    "lopezpoveda2001": middle("lopezpoveda2001"),
    "jepsen2008": middle("jepsen2008"),
    "goode1994": middle("goode1994"),
    "lopezpoveda2001-raw": middle("lopezpoveda2001", normalize=False),
    "jepsen2008-raw": middle("jepsen2008", normalize=False),
    "1997-free": outer_middle(1997, "free", "published"),
    "2007-diffuse": outer_middle(2007, "diffuse", "published"),
    "1997-free-range": outer_middle(1997, "free", "published", flow=100.5, fhigh=3000.0),
}
every_ear = pytest.mark.parametrize(("make", "module"), EARS.values(), ids=EARS.keys())


def assert_same(got: np.ndarray, wanted: np.ndarray, within: float = 1e-12) -> None:
    """Equal within a part of the largest tap."""
    np.testing.assert_allclose(got, wanted, rtol=0, atol=within * np.abs(wanted).max())


@every_ear
@pytest.mark.parametrize("phase", ["minimum", "zero"])
@pytest.mark.parametrize("fs", [8000, 16000, 22050, 44100, 48000, 96000])
def test_numpy_and_torch_give_the_same_taps(
    make: MakeTarget, module: MakeModule, fs: float, phase: str
) -> None:
    for order in (2, 64, 512, 4096):
        target, twin = make(fs), module(fs, order, phase)
        assert_same(taps(target, order, phase), twin.taps().numpy())
        ours = passes(target, order, phase, target.freqs, target.numbers)
        assert_same(ours.one_pass, twin.fir_coeffs.numpy())
        assert len(ours.effective) == len(twin.taps())


@pytest.mark.parametrize("phase", ["minimum", "zero"])
@pytest.mark.parametrize("order", [3, 255])
def test_numpy_and_torch_agree_on_odd_orders(order: int, phase: str) -> None:
    make, module = EARS["headphone"]
    assert_same(taps(make(44100), order, phase), module(44100, order, phase).taps().numpy())


@pytest.mark.parametrize(("phase", "within"), [("zero", 1e-12), ("minimum", 1e-11)])
def test_numpy_and_torch_agree_on_four_times_the_decibels(phase: str, within: float) -> None:
    # This curve spans 190 dB, more than a spectrum holds digits for: the logarithm for minimum
    # phase sees the rounding.
    make, module = outer_middle(2007, "diffuse", "amt")
    assert_same(taps(make(48000), 4096, phase), module(48000, 4096, phase).taps().numpy(), within)


@every_ear
def test_curves_are_those_of_the_modules(make: MakeTarget, module: MakeModule) -> None:
    ours, theirs = (
        make(44100).curve(),
        module(44100, 64, "zero").published_curve(),
    )
    assert ours.points_hz.tolist() == theirs.points_hz.tolist()
    np.testing.assert_allclose(ours.points_db, theirs.points_db, rtol=0, atol=1e-12)
    hz = np.linspace(0.0, 22050.0, 1001)
    np.testing.assert_allclose(ours.aim(hz), theirs.aim(hz), rtol=1e-12)


def test_a_module_designs_from_what_it_has_learnt() -> None:
    twin = HeadphoneFilter(16000, 64, learnable=True, **F64)
    with torch.no_grad():
        twin.frequency_data[:, 1] *= 2.0
    assert_same(
        twin.taps().detach().numpy(), 2.0 * taps(documented.headphone(16000), 64, "minimum")
    )
    points_db = twin.published_curve().points_db - documented.headphone(16000).curve().points_db
    np.testing.assert_allclose(points_db, 20.0 * np.log10(2.0), rtol=1e-12)


@every_ear
def test_targets_are_values(make: MakeTarget, module: MakeModule) -> None:
    target = make(16000)
    wanted = taps(target, 64, "minimum")
    for twin in (pickle.loads(pickle.dumps(target)), copy.deepcopy(target), target):
        assert taps(twin, 64, "minimum").tobytes() == wanted.tobytes()
    with pytest.raises(dataclasses.FrozenInstanceError):
        target.fs = 3  # type: ignore[misc]


def test_taps_have_the_same_bits_in_every_process() -> None:
    code = (
        "import hashlib; from earfilt.chains.members import resolve\n"
        "for name in ('headphone', 'middle-ear:jepsen2008', 'outer-middle-ear', "
        "'headphone+middle-ear'):\n"
        "    for fs in (16000, 44100, 48000): fir = resolve(name).at(fs); "
        "print(fir.sha256, fir.provenance.deviation_db)"
    )
    hashes = set()
    for threads in ("1", "2", "5"):
        environment = single_threaded() | dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads
        )
        hashes.add(
            subprocess.run(
                [sys.executable, "-c", code],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: documented.headphone(0.0), "fs is 0.0"),
        (lambda: taps(documented.headphone(16000), 1, "minimum"), "order is 1"),
        (
            lambda: taps(documented.headphone(16000), 64, "linear"),
            "phase_type is 'linear'; allowed: 'minimum', 'zero'",
        ),
        (
            lambda: documented.middle_ear(16000, "goode", normalize_gain=True),
            "filter_type is 'goode'",
        ),
        (
            lambda: outer_middle(1998, "free", "amt")[0](16000),
            "compensation_type is 'tfOuterMiddle1998'",
        ),
        (
            lambda: outer_middle(1997, "free", "once")[0](16000),
            "convention is 'once'; allowed: 'amt', 'published'",
        ),
        (lambda: outer_middle(1997, "free", "amt", flow=5.0)[0](16000), "flow is 5 and"),
        (
            lambda: curve(16000, "cubic", "hold"),
            "interpolation is 'cubic'; allowed: 'log', 'linear'",
        ),
        (lambda: curve(16000, "log", "rise"), "beyond is 'rise'"),
        (lambda: curve(150, "log", "hold"), "fewer than two points of the curve lie below fs/2"),
        (lambda: curve(-1, "log", "hold"), "fs is -1"),
        (
            lambda: curve_target(
                16000, [9.0, 9.0 + 1e-9], [0.0, 1.0], interpolation="log", beyond="hold"
            ),
            "closer than 1e-06 Hz",
        ),
        (
            lambda: curve_target(
                16000, [0.0, 5e-324], [0.0, 1.0], interpolation="linear", beyond="hold"
            ),
            "closer than 1e-06 Hz",
        ),
        (
            lambda: taps(
                documented.middle_ear(16000, "goode1994", normalize_gain=True), 33, "zero"
            ),
            "order 33 is odd",
        ),
        (
            lambda: outer_middle(1997, "free", "amt", flow=20.5, fhigh=24.5)[0](16000).curve(),
            "no published point",
        ),
    ],
)
def test_bad_arguments_say_value_and_rule(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("beyond", ["hold", "fall"])
@pytest.mark.parametrize("lowest", [0.0, 20.0])
def test_a_curve_outside_its_ends(lowest: float, beyond: str) -> None:
    aim = (
        curve_target(48000, [lowest, 4000.0], [6.0, 6.0], interpolation="linear", beyond=beyond)
        .curve()
        .aim
    )
    gain = 10 ** (6 / 20)
    np.testing.assert_allclose(aim(np.array([lowest, 100.0, 4000.0])), gain)
    octave_up, octave_down = aim(np.array([8000.0, lowest / 2])) / gain
    falls = 10 ** (-12 / 20)
    assert octave_up == pytest.approx(falls if beyond == "fall" else 1.0, rel=1e-5)
    assert octave_down == pytest.approx(falls if beyond == "fall" and lowest else 1.0, rel=1e-5)
