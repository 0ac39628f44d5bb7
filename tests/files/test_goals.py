"""Curves with weights."""

import numpy as np
import pytest

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


def test_weights_that_are_none(tmp_path) -> None:
    (tmp_path / "goal.csv").write_text("frequency_hz,gain_db,weight\n100,-1,-0.5\n1000,-2,1\n")
    with pytest.raises(DataError, match="'weight' is negative somewhere"):
        read_weighted_curve(tmp_path / "goal.csv")
    with pytest.raises(DataError, match="sd_db"):
        read_weighted_curve(tmp_path / "goal.csv", weights="sd_db")
