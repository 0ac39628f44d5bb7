"""Chains that make sense, and the way back."""

from pathlib import Path

import numpy as np
import pytest

from earfilt.arrays import floats
from earfilt.chains.describe import warnings
from earfilt.chains.members import resolve
from earfilt.ears import catalogue
from earfilt.ears.kinds.inverse import KNEE_DB, limited
from earfilt.errors import UsageError

HZ = np.geomspace(20.0, 16_000.0, 3000)


def gain_db(name: str, hz: np.ndarray = HZ, **options) -> np.ndarray:
    """What the audio gets at 48 kHz."""
    return 20 * np.log10(np.abs(resolve(name, **options).at(48_000).response(hz)))


# -- joins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chain",
    [
        "iso532-free+iso532-middle",
        "headphone+middle-ear",
        "iso532-free+inverse:iso532-diffuse",
        "iso532-free+inverse:iso532-free",
        "a-weighting+outer-middle-ear",
        "iso532-free+equal-loudness:60+iso532-middle",
        "a-weighting+c-weighting",
        "inverse:middle-ear+inverse:headphone",
    ],
)
def test_what_joins(chain: str) -> None:
    assert len(resolve(chain).members) == chain.count("+") + 1


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ("middle-ear+headphone", r"'headphone\+middle-ear:lopezpoveda2001' joins"),
        ("iso532-free+iso532-diffuse", "from the eardrum use"),
        ("iso532-free+a-weighting+iso532-free", "starts at the free field"),
        ("iso532-free+inverse:headphone+iso532-middle", "starts at the eardrum"),
        ("outer-middle-ear+headphone", "nothing starts at the cochlea"),
        ("middle-ear+middle-ear", "ends at the stapes"),
        ("inverse:headphone+iso532-middle", "ends at the headphone"),
    ],
)
def test_what_does_not_join_is_refused_and_can_be_forced(chain: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(chain)
    with pytest.raises(UsageError, match="force_chain=True"):
        resolve(chain)
    assert resolve(chain, force_chain=True).members


def test_a_curve_of_the_users_joins_everything(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("frequency_hz,gain_db\n100,0\n10000,3\n")
    np.save(tmp_path / "fir.npy", np.ones(1))
    assert resolve(f"middle-ear+{path}").members
    assert resolve(f"{path}+{tmp_path}/fir.npy+headphone").members
    with pytest.raises(UsageError, match="joins"):
        resolve(f"middle-ear+{path}+headphone")


def test_a_relative_middle_ear_behind_another_field_warns_with_the_level() -> None:
    assert not warnings(resolve("iso532-free+iso532-middle").at(48_000))
    (text,) = warnings(resolve("iso532-diffuse+iso532-middle").at(48_000))
    assert "+1.2 dB" in text
    assert gain_db("iso532-diffuse+iso532-middle", np.array([1000.0])) == pytest.approx(
        1.2, abs=0.1
    )


def test_a0_before_a_middle_ear_warns_with_levels() -> None:
    (text,) = warnings(resolve("iso532-1-free+iso532-middle").at(48_000))
    assert "+5.6 dB at 4 kHz" in text
    assert "-12.4 dB at 100 Hz" in text


# -- the way back --------------------------------------------------------------------------------


def test_from_the_free_field_to_the_diffuse_field() -> None:
    got = gain_db("iso532-free+inverse:iso532-diffuse", np.array([8000.0]))
    assert got == pytest.approx(1.8 - 8.5, abs=0.1)


@pytest.mark.parametrize("phase", ["minimum", "zero"])
@pytest.mark.parametrize(
    "name",
    ["iso532-free", "headphone", "middle-ear", "iso532-free+iso532-middle", "peaq", "k-weighting"],
)
def test_an_inverse_undoes_what_it_can(name: str, phase: str) -> None:
    """Wherever the gain is at most the limit less 3 dB, the two together are flat; above, the limit
    is never passed.
    """
    forward, back = (
        resolve(name, phase=phase),
        resolve(name, phase=phase, inverse=True, max_gain=20),
    )
    curve = forward.curve_at(48_000)
    assert curve is not None
    hz = np.geomspace(max(curve.points_hz[0], 20.0), curve.points_hz[-1], 2000)
    wanted = -20 * np.log10(curve.aim(hz))
    got = 20 * np.log10(np.abs(back.at(48_000).response(hz)))
    free = wanted <= 20 - KNEE_DB
    assert free.any()
    assert np.abs(got - wanted)[free].max() <= 0.1 + 1e-3
    assert got.max() <= 20 + 0.1
    together = got + 20 * np.log10(np.abs(forward.at(48_000).response(hz)))
    assert np.abs(together[free]).max() <= 0.2


def test_forward_and_inverse_in_a_chain_are_flat() -> None:
    assert np.abs(gain_db("iso532-free+inverse:iso532-free")).max() <= 0.1 + 1e-3


def test_the_limit_bends_smoothly() -> None:
    x = np.linspace(-10.0, 60.0, 70_001)
    y = limited(x, 20.0)
    assert np.array_equal(y[x <= 17.0], x[x <= 17.0])
    assert (np.diff(y) >= 0).all()
    assert y.max() == pytest.approx(20.0)
    slope = np.diff(y) / np.diff(x)
    assert np.abs(np.diff(slope)).max() < 1e-3


def test_where_the_limit_acts_is_told() -> None:
    fir = resolve("iso532-free+iso532-middle", inverse=True, max_gain=20).at(48_000)
    (low, _), (high, last) = fir.provenance.limited_hz
    assert (low, last) == pytest.approx((20.0, 16_000.0))
    assert 14_000 < high < 14_200
    (text,) = warnings(fir)
    assert "limited to 20 dB" in text
    assert fir.provenance.to_json()["limited_hz"]
    assert not resolve("iso532-free", inverse=True).at(48_000).provenance.limited_hz


def test_an_inverse_of_an_inverse_is_the_way_there() -> None:
    hz = floats([100.0, 3000.0])
    back = resolve("inverse:inverse:iso532-free").members[0].ear
    assert back is not None
    np.testing.assert_allclose(back.magnitude(hz), catalogue.ear("iso532-free").magnitude(hz))
    assert (back.start, back.end) == ("free field", "eardrum")


def test_inverses_of_different_content_are_different_filters(tmp_path: Path) -> None:
    for name, gain in (("a", 3), ("b", 6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "my.csv").write_text(f"frequency_hz,gain_db\n100,0\n10000,{gain}\n")
    for way in ({"inverse": True}, {}):
        prefix = "" if way else "inverse:"
        one, two = (resolve(f"{prefix}{tmp_path}/{name}/my.csv", **way) for name in "ab")
        assert one != two
        at_10_khz = np.array([9990.0])
        assert np.abs(one.at(48_000).response(at_10_khz)) > np.abs(
            two.at(48_000).response(at_10_khz)
        )


def test_what_has_no_inverse(tmp_path: Path) -> None:
    np.save(tmp_path / "fir.npy", np.ones(3))
    with pytest.raises(UsageError, match="no published curve to invert"):
        resolve(f"{tmp_path}/fir.npy", inverse=True)
    with pytest.raises(UsageError, match="no published curve to invert"):
        resolve(f"inverse:{tmp_path}/fir.npy")
    with pytest.raises(UsageError, match="max_gain is 1 dB"):
        resolve("headphone", inverse=True, max_gain=1.0).at(48_000)
    with pytest.raises(UsageError, match="has no option max_gain"):
        resolve("headphone", max_gain=10.0)
    with pytest.raises(UsageError, match="phase is 'native'"):
        resolve("breebaart2001", inverse=True, phase="native")


def test_an_inverse_with_an_order_is_the_documented_design() -> None:
    fir = resolve("iso532-free", inverse=True, order=4096).at(48_000)
    assert fir.numtaps == 4097
    assert 20 * np.log10(np.abs(fir.response(np.array([2500.0])))) == pytest.approx(-16.8, abs=0.1)


@pytest.mark.parametrize("rest", ["", "+a-weighting"])
def test_the_way_back_of_a_chain_can_be_named_as_it_is_told(rest: str) -> None:
    """As summaries and reports name what ``--inverse`` makes; it is one design, and one limit."""
    asked = resolve("iso532-free+iso532-middle", inverse=True)
    named = resolve(asked.applied + rest, force_chain=bool(rest) or None)
    assert asked.applied == "inverse:(iso532-free+iso532-middle)"
    assert named.members[0].name == asked.members[0].name
    if not rest:
        assert named.sha256 == asked.sha256
        np.testing.assert_array_equal(named.at(16000).taps, asked.at(16000).taps)
    with pytest.raises(UsageError, match="a name on both sides"):
        resolve("inverse:(iso532-free+)")
