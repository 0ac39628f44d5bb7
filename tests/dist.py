"""A release, made twice and tried: ``make dist`` writes wheel and sdist of the last commit to dist/.

Both are the same bytes wherever and whenever they are built. They are checked by twine, each is
installed in an environment of its own, and the tests of the sdist run from where it was unpacked.
"""

import argparse
import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.conftest import ROOT

OUT = ROOT / "dist"
USED = """set -e
earfilt --version
earfilt apply speech.wav heard.wav -f headphone+middle-ear
earfilt response -f middle-ear --points 3
python -c "import earfilt; print(earfilt.design('middle-ear', fs=16000).numtaps)"
"""


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Run a command, or stop with what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist of the last commit, built in a new folder."""
    epoch = run("git", "log", "-1", "--format=%ct").strip()
    source = folder / "source"
    source.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(source, filter="data")
    for path in source.rglob("*"):  # whatever the umask
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    # the wheel is built of the sdist, so that nothing that an sdist lacks is in it
    words = ("-m", "build", "--no-isolation", "--outdir", folder / "out", source)
    run(sys.executable, *words, SOURCE_DATE_EPOCH=epoch)
    (wheel,), (sdist,) = (folder / "out").glob("*.whl"), (folder / "out").glob("*.tar.gz")
    repack(sdist, int(epoch))
    return wheel, sdist


def repack(sdist: Path, epoch: int) -> None:
    """Write an sdist anew with nothing in it of who built it, or when."""
    packed = io.BytesIO()
    with tarfile.open(sdist) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    sdist.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))


def install(what: Path, folder: Path, extra: str = "") -> Path:
    """The programs of a new environment in which an archive is installed."""
    run(sys.executable, "-m", "venv", folder)
    pip = (folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "-c", ROOT / "constraints.txt", f"earfilt{extra} @ {what.as_uri()}")
    return folder / "bin"


def use(programs: Path, folder: Path) -> None:
    """Filter a recording, far from any source tree."""
    folder.mkdir()
    speech = (ROOT / "data" / "audio" / "arctic_a0007.wav").read_bytes()
    (folder / "speech.wav").write_bytes(speech)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    run("bash", "-c", USED, cwd=folder, PATH=path)
    assert (programs.parent / "share" / "man" / "man1" / "earfilt-apply.1").is_file()


def main() -> None:
    """Make a release, and try it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="build and check; install nothing")
    quick = parser.parse_args().quick
    if run("git", "status", "--porcelain", "--untracked-files=no"):
        print("warning: what is not committed is not in the release", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made, again = build(folder / "a"), build(folder / "b")
        for one, other in zip(made, again, strict=True):
            if one.read_bytes() != other.read_bytes():
                sys.exit(f"{one.name} differs when it is built again")
        run(sys.executable, "-m", "twine", "check", "--strict", *made)
        if not quick:
            wheel, sdist = made
            use(install(wheel, folder / "of-wheel"), folder / "far")
            programs = install(sdist, folder / "of-sdist", "[dev]")
            use(programs, folder / "farther")
            with tarfile.open(sdist) as archive:
                archive.extractall(folder / "unpacked", filter="data")
            (tree,) = (folder / "unpacked").iterdir()
            # The tests import the package beside them, which finds its tables once it is installed.
            run(programs / "pip", "install", "-q", "--no-deps", "-e", tree)
            run(programs / "pytest", "-q", "-n", "auto", cwd=tree)
        OUT.mkdir(exist_ok=True)
        for file in made:
            (OUT / file.name).write_bytes(file.read_bytes())
            print(f"dist/{file.name}")


if __name__ == "__main__":
    main()
