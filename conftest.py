"""What the examples of docstrings find: the package, a recording, an empty current directory."""

from pathlib import Path
from typing import Any

import pytest

RECORDING = Path(__file__).parent / "data" / "audio" / "arctic_a0007.wav"


@pytest.fixture(autouse=True)
def _example(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        import earfilt

        found: dict[str, Any] = request.getfixturevalue("doctest_namespace")
        found |= {"earfilt": earfilt, "recording": str(RECORDING)}
        monkeypatch.chdir(tmp_path)
