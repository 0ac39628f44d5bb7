"""The README is true: every command and every line of Python in it runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tools import single_threaded

README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Where a reader of the README stands: a recording, and a corpus of three."""
    folder = tmp_path_factory.mktemp("readme")
    speech = ROOT / "data" / "audio" / "arctic_a0007.wav"
    for name in ("speech.wav", "corpus/a.wav", "corpus/deep/b.wav", "corpus/deep/c.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(speech, folder / name)
    return folder


def test_every_command_runs(folder: Path) -> None:
    """In order, in one directory: later commands use what earlier ones made."""
    environment = single_threaded() | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    shell = shutil.which("bash")
    assert shell is not None
    for block in blocks("bash"):
        command = [shell, "-euo", "pipefail", "-c", block]
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, f"{block}\n{run.stderr}"


@pytest.mark.parametrize("block", blocks("python"))
def test_every_line_of_python_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {})


def test_figures_and_files_it_points_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_every_ruling_is_there() -> None:
    rows = re.findall(r"^\| (\d+) \|", README, re.MULTILINE)
    assert [int(row) for row in rows[:14]] == list(range(1, 15))
