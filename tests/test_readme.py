"""README and docs are true: every command and every line of Python in them runs, what they point to
is there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.gallery import blocks
from docs.site import in_repository
from tests.conftest import ROOT
from tests.sofas import write_sphere
from tests.tools import single_threaded

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
TOPICS = [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
LONG = ("gallery.md", "fitting.md")
RUNNING = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader stands: a recording, a corpus of three, a SOFA file."""
    speech = ROOT / "data" / "audio" / "arctic_a0007.wav"
    for name in ("speech.wav", "corpus/a.wav", "corpus/deep/b.wav", "corpus/deep/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(speech, tmp_path / name)
    write_sphere(tmp_path / "ears.sofa", 30.0)
    return tmp_path


def shell(command: list[str], folder: Path, **variables: str) -> str:
    """Run a command where a reader stands; what it said on standard error."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        command,
        cwd=folder,
        env=single_threaded() | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, f"{command[-1]}\n{run.stderr}"
    return run.stderr


# torch's own, where it exports
@pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")
@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.name in LONG else [])
        for page in PAGES
    ],
)
def test_all_of_a_page_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one directory: what comes later uses what earlier lines made."""
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for language, block in RUNNING.findall(page.read_text("utf-8")):
        if language == "bash":
            shell(["bash", "-euo", "pipefail", "-c", block], folder)
        else:
            exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("page", [*PAGES, *TOPICS], ids=lambda page: page.name)
def test_what_it_points_to_exists(page: Path) -> None:
    text = in_repository(page.read_text("utf-8"))
    for target, _, anchor in re.findall(r"\]\(([^)#]*)(#([^)]+))?\)", text):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), (target, anchor)


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_every_page_and_every_picture_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        targets = re.findall(r"\]\(([^)#]+)", in_repository(page.read_text("utf-8")))
        found = {(page.parent / target).resolve() for target in targets if "://" not in target}
        ahead += [file for file in found - reached if file.suffix == ".md"]
        reached |= found
    assert {*DOCS.glob("*.md"), *(DOCS / "figures").iterdir()} <= reached


def test_the_tests_that_hold_the_promises_exist() -> None:
    text = (DOCS / "robustness.md").read_text("utf-8")
    table = text.partition("| Promise | Test |")[2]
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?(?:\[\w+\])?`", table)
    assert len(named) > 15
    assert table.count("`tests/") == len(named)
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text("utf-8"), f"{file}::{test}"


def test_every_ruling_is_there() -> None:
    text = (DOCS / "rulings.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert [int(row) for row in rows] == list(range(1, 17))


def test_the_readme_lists_every_filter_of_the_catalogue() -> None:
    from earfilt.ears import catalogue

    text = (ROOT / "README.md").read_text("utf-8").partition("## Filters")[2].partition("\n## ")[0]
    listed = {name.partition(":")[0] for name in re.findall(r"`([\w:-]+)`", text)}
    assert {entry.name for entry in catalogue.entries()} <= listed


SRUN = """#!/bin/bash
for i in 1 2; do "$@" & done
wait
"""


@pytest.mark.slow
def test_slurm_scripts_do_the_corpus_and_end(folder: Path, tmp_path: Path) -> None:
    """As jobs whose `srun` starts two tasks on this machine; what is submitted again finds nothing
    left to do.
    """
    array, dask = (
        text
        for block in blocks(DOCS / "clusters.md", "text")
        for text in block.split("#!/bin/bash\n")
        if "#SBATCH" in text
    )
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])

    def submit(script: str, task: int = 1) -> str:
        array = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2"}
        return shell(["bash", "-c", script], folder, PATH=path, **array)

    def counted(word: str, said: str) -> int:
        return sum(int(count) for count in re.findall(rf"^ *(\d+)  {word}", said, re.MULTILINE))

    first, second = submit(array, 1), submit(array, 2)
    assert counted("done", first + second) == 3
    assert counted("skipped", submit(dask)) == 3
    shutil.rmtree(folder / "out")
    assert counted("done", submit(dask)) == 3
