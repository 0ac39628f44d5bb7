"""Many short real recordings: Debian's spoken prompts for telephone exchanges, installed or
fetched.
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.harness import has

PACKAGE = "asterisk-core-sounds-en-wav"
FS = 8000
COPIES = 4
COUNT = 568


def tree(scratch: Path, quick: bool) -> tuple[Path, str, bool]:
    """A directory with copies of them all (quick: one copy), what they are, and whether they are
    real.
    """
    prompts, real = scratch / "prompts", True
    if not (_installed(prompts) or _fetched(scratch, prompts)):
        _noise(prompts)
        real = False
    root, copies = scratch / "tree", 1 if quick else COPIES
    for i in range(copies):
        shutil.copytree(prompts, root / f"copy{i}")
    shutil.rmtree(prompts)
    kind = (
        f"recordings of Debian's {PACKAGE}"
        if real
        else f"files of NOISE, for want of real ones (apt-get install {PACKAGE})"
    )
    return root, f"{copies} × {len(wavs(root)) // copies} {kind}", real


def wavs(root: Path) -> list[Path]:
    """All WAV files below a directory, in order."""
    return sorted(root.rglob("*.wav"))


def _installed(folder: Path) -> bool:
    listed = (
        subprocess.run(["dpkg", "-L", PACKAGE], capture_output=True, text=True).stdout
        if has("dpkg")
        else ""
    )
    prompts = [Path(line) for line in listed.splitlines() if line.endswith(".wav")]
    return _gather(prompts, folder)


def _fetched(scratch: Path, folder: Path) -> bool:
    """The package unpacked here: that needs no root, and leaves nothing behind on the machine."""
    if not (has("apt-get") and has("dpkg")):
        return False
    unpacked = scratch / "package"
    unpacked.mkdir()
    subprocess.run(
        ["apt-get", "download", "-q", PACKAGE], cwd=unpacked, capture_output=True, timeout=120
    )
    for package in unpacked.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, unpacked], capture_output=True)
    found = _gather(wavs(unpacked), folder)
    shutil.rmtree(unpacked)
    return found


def _gather(paths: list[Path], folder: Path) -> bool:
    """Copy recordings into a folder as they lie below their common one; False where there are none."""
    if not paths:
        return False
    root = os.path.commonpath(paths)
    for path in paths:
        (folder / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.relative_to(root))
    return True


def _noise(folder: Path) -> None:
    """As many files, of like lengths."""
    folder.mkdir()
    random = np.random.default_rng(1)
    for i in range(COUNT):
        x = 0.2 * random.standard_normal(int(FS * random.gamma(1.5, 1.8)) + 800)
        soundfile.write(folder / f"{i:03d}.wav", x.clip(-1, 1), FS)
