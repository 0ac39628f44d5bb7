"""What is installed: a wheel and an sdist hold the tables, and run from anywhere."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.conftest import ROOT
from tests.tools import single_threaded

CODE = (
    "import earfilt, earfilt.ears.catalogue as c, sys; print(earfilt.__file__); "
    "print(len(c.entries()), c.find('middle-ear:goode1994').table().sha256)"
)


def tracked() -> list[str]:
    """What git tracks; in an sdist all that is there."""
    if not (ROOT / ".git").exists():
        return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built from what git tracks."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    for name in tracked():
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(folder / "dist"),
        str(source),
    ]
    run = subprocess.run(build, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_wheel_runs_from_another_directory(built: Path, tmp_path: Path) -> None:
    (wheel,) = (built / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(built / "unpacked")
    assert "earfilt/data/tables/pralong1996.csv" in names
    assert any(name.endswith("data/share/man/man1/earfilt-apply.1") for name in names)
    assert "earfilt/cli/topics/levels.txt" in names
    assert not [name for name in names if name.endswith(".wav")]
    environment = {**single_threaded(), "PYTHONPATH": str(built / "unpacked")}
    run = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    where, facts = run.stdout.splitlines()
    assert where.startswith(str(built))
    from earfilt.ears import catalogue
    from earfilt.ears.table import shipped

    assert facts == f"{len(catalogue.entries())} {shipped('goode1994').sha256}"


def test_sdist_holds_the_tables(built: Path) -> None:
    (sdist,) = (built / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tables = {
        f"data/tables/{path.name}"
        for path in (ROOT / "data" / "tables").iterdir()
        if path.suffix in (".csv", ".toml")
    }
    assert tables <= names
    assert {"Makefile", "constraints.txt", "data/audio/arctic_a0007.wav"} <= names
    assert {"LICENSE", "README.md", "pyproject.toml", "earfilt/py.typed"} <= names


def test_the_oldest_versions_allowed_are_those_that_are_tested() -> None:
    """Each lower bound is one line of constraints-minima.txt, and what is tested by default lies in
    the range.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ranges = [
        Requirement(text)
        for text in (*project["dependencies"], *extras["plot"], *extras["dask"], *extras["sofa"])
    ]
    bounds = {
        r.name: Version(next(s.version for s in r.specifier if s.operator == ">=")) for r in ranges
    }
    assert pins("constraints-minima.txt") == bounds
    current = pins("constraints.txt")
    assert all(r.specifier.contains(current[r.name]) for r in ranges)


def pins(name: str) -> dict[str, Version]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    return {package: Version(version) for package, version in (line.split("==") for line in lines)}
