"""What all tests share."""

import signal
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.tools import PACKAGES, missing_from

ROOT = Path(__file__).parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Workers share the cores: one torch thread each. A shell that runs the tests in the background
    has its children ignore signals, which those would pass on to the programs that tests interrupt.
    """
    import torch

    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            interrupts = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if interrupts else signal.SIG_DFL)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tested for want of a program, and how to get it."""
    reasons = [
        missing_from(str(report.longrepr)) for report in terminalreporter.stats.get("skipped", [])
    ]
    missing = Counter(program for program in reasons if program)
    for program, count in sorted(missing.items()):
        package = PACKAGES.get(program, program)
        terminalreporter.write_line(
            f"NOT TESTED: {count} tests need {program}; install it with 'apt-get install "
            f"{package}'",
            yellow=True,
        )


@pytest.fixture(autouse=True, scope="module")
def _own_fork_server() -> None:
    """Helper processes of one module are no copies of those of another: these have other things
    loaded, and other signals blocked.
    """
    workers = sys.modules.get("earfilt.batch.workers")
    if workers is not None:
        workers.stop_server()


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(20260101)


@pytest.fixture
def recording() -> Path:
    """The real recording: 16 kHz, mono, 16 bit."""
    return ROOT / "data" / "audio" / "arctic_a0007.wav"


def reference(name: str) -> list[list[str]]:
    """Rows of a table in tests/reference, without comments and header."""
    lines = (Path(__file__).parent / "reference" / name).read_text().splitlines()
    return [line.split(",") for line in lines if line and not line.startswith("#")][1:]
