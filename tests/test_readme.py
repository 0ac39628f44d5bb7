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
    environment = single_threaded() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    shell = shutil.which("bash")
    assert shell is not None
    for block in blocks("bash"):
        command = [shell, "-euo", "pipefail", "-c", block]
        run = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == 0, f"{block}\n{run.stderr}"


def test_every_line_of_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order: later blocks use what earlier ones imported."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)


def test_figures_and_files_it_points_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_every_ruling_is_there() -> None:
    rows = re.findall(r"^\| (\d+) \|", README, re.MULTILINE)
    assert [int(row) for row in rows[:16]] == list(range(1, 17))


SRUN = """#!/bin/bash
for i in 1 2; do "$@" & done
wait
"""


def test_slurm_scripts_do_the_corpus_and_end(folder: Path, tmp_path: Path) -> None:
    """As jobs whose `srun` starts two tasks on this machine; what is submitted again finds nothing
    left to do.
    """
    array, dask = (
        text
        for block in blocks("text")
        for text in block.split("#!/bin/bash\n")
        if "#SBATCH" in text
    )
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    shutil.copytree(folder / "corpus", tmp_path / "corpus")
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])

    def submit(script: str, task: int = 1) -> str:
        variables = {"PATH": path, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2"}
        command, environment = ["bash", "-c", script], single_threaded() | variables
        job = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert job.returncode == 0, job.stderr
        return job.stderr

    def counted(word: str, said: str) -> int:
        return sum(int(count) for count in re.findall(rf"^ *(\d+)  {word}", said, re.MULTILINE))

    first, second = submit(array, 1), submit(array, 2)
    assert counted("done", first + second) == 3
    assert counted("skipped", submit(dask)) == 3
    shutil.rmtree(tmp_path / "out")
    assert counted("done", submit(dask)) == 3
