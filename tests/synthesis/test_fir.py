"""fir: designed taps are rounded, on a grid that follows from the largest; those of files are not."""

import numpy as np
import pytest

from earfilt.chains.members import resolve
from earfilt.synthesis.fir import rounded


@pytest.mark.parametrize("scale", [1.0, 0.7, 3e-200, 1e-310, 2e200])
def test_rounded_taps_are_whole_multiples_and_close(scale: float) -> None:
    taps = scale * np.random.default_rng(0).uniform(-1, 1, 100)
    largest = np.abs(taps).max()
    step = 2.0 ** (np.floor(np.log2(largest)) - 40)
    near = rounded(taps)
    assert np.abs(near - taps).max() <= step / 2
    if step > 0.0:
        assert (near / step == np.rint(near / step)).all()


def test_rounding_hides_the_last_digits_of_a_machine() -> None:
    """Differences of a few ulps of the largest tap: all but some that lie on the edge of a step
    come out equal.
    """
    rng = np.random.default_rng(1)
    taps = rng.uniform(-1, 1, 10_000)
    other = taps * (1 + 2e-16 * rng.uniform(-1, 1, len(taps)))
    assert np.count_nonzero(rounded(taps) != rounded(other)) <= 10


def test_rounding_leaves_symmetry_zeros_and_what_is_not_finite() -> None:
    half = np.random.default_rng(2).normal(size=7)
    taps = rounded(np.concatenate([half, half[::-1]]))
    assert (taps == taps[::-1]).all()
    assert (rounded(np.zeros(3)) == 0).all()
    assert np.isnan(rounded(np.array([np.nan, 1.0]))).any()


@pytest.mark.parametrize("name", ["headphone", "outer-middle-ear", "headphone+middle-ear"])
@pytest.mark.parametrize("options", [{"order": 512}, {"tolerance": 0.5}])
def test_designed_taps_are_rounded(name: str, options: dict[str, float]) -> None:
    taps = resolve(name, **options).at(16000).taps
    step = 2.0 ** (np.floor(np.log2(np.abs(taps).max())) - 40)
    assert (taps / step == np.rint(taps / step)).all()


def test_a_curve_of_many_decades_keeps_its_lowest_points() -> None:
    """A step of 2^-40 of the largest tap would be louder than −190 dB."""
    taps = np.append(np.full(1000, 3.0**-40), [1.0, -1.0])
    assert rounded(taps)[0] == 0.0
    assert rounded(taps, 190.0)[0] == pytest.approx(taps[0], rel=2e-3)


def test_taps_of_a_file_are_not(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    taps = np.random.default_rng(3).normal(size=100)
    np.save("fir.npy", taps)
    assert (resolve("fir.npy").at(16000).taps == taps).all()
