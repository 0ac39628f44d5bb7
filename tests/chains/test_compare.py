"""How far two filters are apart."""

from pathlib import Path

import numpy as np
import pytest

from earfilt.chains.compare import compare
from earfilt.chains.members import resolve
from earfilt.errors import UsageError


def test_two_free_fields_disagree_as_it_is_known() -> None:
    """ISO 11904-1 less ISO 532-2: -3.2 dB at 8 kHz, -5.0 dB at 12.5 kHz."""
    *_, whole = compare(resolve("iso11904-free"), resolve("iso532-free"))
    assert whole.largest_db < -5.0
    assert (whole.low, whole.high) == pytest.approx((200.0, 12_500.0), rel=1e-6)


def test_a_difference_in_level_is_no_difference_relative_to_1_khz(tmp_path: Path) -> None:
    for name, gain in (("a", 0), ("b", 3)):
        rows = f"frequency_hz,gain_db\n20,{gain - 6}\n1000,{gain}\n16000,{gain + 2}\n"
        (tmp_path / f"{name}.csv").write_text(rows)
    one, two = (resolve(f"{tmp_path}/{name}.csv") for name in "ab")
    bands = compare(one, two)
    np.testing.assert_allclose([band.largest_db for band in bands], -3.0, atol=1e-6)
    np.testing.assert_allclose([band.rms_db for band in bands], 3.0, atol=1e-6)
    bands = compare(one, two, relative_to=1000.0)
    np.testing.assert_allclose([band.rms_db for band in bands], 0.0, atol=1e-6)


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    np.save(tmp_path / "fir.npy", np.ones(3))
    with pytest.raises(UsageError, match="no published curve"):
        compare(resolve("headphone"), resolve(f"{tmp_path}/fir.npy"))
