"""Curves with weights."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from earfilt.errors import DataError
from earfilt.files.goals import read_weighted_curve


@pytest.mark.parametrize(
    ("head", "asked", "weight", "column"),
    [
        ("frequency_hz,gain_db,sd_db,weight", None, [2.0, 3.0], "weight"),
        ("frequency_hz,gain_db,sd_db,weight", "sd_db", [4.0, 1e4], "sd_db"),
        ("frequency_hz,gain_db,sd_db,other", None, [4.0, 1e4], "sd_db"),
        ("frequency_hz,gain_db,sd_db,weight", "none", [1.0, 1.0], "none"),
        ("frequency_hz,gain_db,a_sd,time", None, [1.0, 1.0], "none"),
    ],
)
def test_the_column_that_weighs(tmp_path, head, asked, weight, column) -> None:
    (tmp_path / "goal.csv").write_text(f"{head}\n100,-1,0.5,2\n1000,-2,0,3\n")
    found = read_weighted_curve(tmp_path / "goal.csv", weights=asked)
    assert found.freqs.tolist() == [100.0, 1000.0]
    assert found.gain_db.tolist() == [-1.0, -2.0]
    assert np.allclose(found.weight, weight)
    assert found.column == column


def test_a_weight_may_be_of_any_size(tmp_path) -> None:
    (tmp_path / "goal.csv").write_text("frequency_hz,gain_db,weight\n100,-1,1\n1000,-2,1e6\n")
    assert read_weighted_curve(tmp_path / "goal.csv").weight.tolist() == [1.0, 1e6]
    (tmp_path / "goal.csv").write_text("frequency_hz,gain_db,weight\n100,-1,1\n1000,-2,x\n")
    with pytest.raises(DataError, match="line 3: weight 'x' is not a finite number"):
        read_weighted_curve(tmp_path / "goal.csv")


def test_a_curve_is_filled_between_its_points_as_a_filter_of_it_runs(tmp_path) -> None:
    (tmp_path / "goal.csv").write_text("frequency_hz,gain_db,weight\n100,-1,2\n400,5,4\n500,0,0\n")
    curve = read_weighted_curve(tmp_path / "goal.csv")
    found = curve.filled()
    assert np.isin(curve.freqs, found.freqs).all()
    assert (np.diff(np.log2(found.freqs)) < 1.001 / 24).all()
    wanted = PchipInterpolator(np.log(curve.freqs), curve.gain_db)(np.log(found.freqs))
    np.testing.assert_allclose(found.gain_db, wanted, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.weight, np.interp(found.freqs, curve.freqs, curve.weight))
    assert found.filled() is found


def test_weights_that_are_none(tmp_path) -> None:
    (tmp_path / "goal.csv").write_text("frequency_hz,gain_db,weight\n100,-1,-0.5\n1000,-2,1\n")
    with pytest.raises(DataError, match="'weight' is negative somewhere"):
        read_weighted_curve(tmp_path / "goal.csv")
    with pytest.raises(DataError, match="sd_db"):
        read_weighted_curve(tmp_path / "goal.csv", weights="sd_db")
