"""Faults of the machine, the short form of ``make faults``, one test for each; and small loads."""

import pytest

from tests.robustness.load import LOADS
from tests.robustness.machine import FAULTS, campaign


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_leaves_sources_and_whole_outputs_only(kind):
    table = campaign(0.05, kind)
    assert table.violations == []
    if table.skipped:
        pytest.skip("; ".join(table.skipped.values()))
    assert table.tries


@pytest.mark.parametrize("name", LOADS)
def test_load(name):
    load, _, small = LOADS[name]
    assert load(small).fault == ""
