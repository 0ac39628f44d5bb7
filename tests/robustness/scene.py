"""Sources, an output directory, and the look at both after something went wrong."""

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from earfilt.storage.manifest import is_manifest
from earfilt.storage.output import is_temporary
from tests.robustness.cli import Ended, is_one_line, warm

FS = 48_000
FILTER = ("-f", "headphone", "-q")
CONTAINERS = {
    "wav": ("WAV", "PCM_16"), "w64": ("W64", "PCM_24"), "flac": ("FLAC", "PCM_16"), "aiff": ("AIFF", "FLOAT"), "caf": ("CAF", "PCM_16"),
    "au": ("AU", "DOUBLE"), "rf64": ("RF64", "PCM_16"),
}  # fmt: skip


class Scene:
    """A folder with ``in/`` and ``out/``.

    Parameters
    ----------
    folder : Path
    files : dict
        Bytes of the sources by name.
    """

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        self.folder, self.out = folder, folder / "out"
        self.files = {f"in/{name}": data for name, data in files.items()}
        self.out.mkdir()
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

    def reference(self) -> dict[str, str]:
        """Hashes of the outputs of an undisturbed run, by their names; the output directory is
        empty again.
        """
        wanted = {}
        for name in self.files:
            ended = warm(["apply", name, "out/reference" + Path(name).suffix, *FILTER], self.folder)
            if ended.code:
                raise RuntimeError(ended.err)
            output = self.out / f"reference{Path(name).suffix}"
            wanted[name.removeprefix("in/")] = digest(output)
            output.unlink()
        return wanted

    def temporary(self) -> list[str]:
        """Unfinished outputs that lie about."""
        return [path.name for path in self.out.rglob("*") if is_temporary(path.name)]

    def fault(
        self, wanted: dict[str, str], *, changed: bool = False, temporary: bool = False
    ) -> str | None:
        """What is wrong: a source touched, an output that is not whole, something left behind.

        Parameters
        ----------
        changed : bool
            Whether the fault was that the sources changed.
        temporary : bool
            Whether unfinished outputs may lie about.
        """
        touched = [
            name
            for name, data in self.files.items()
            if not changed and (self.folder / name).read_bytes() != data
        ]
        if touched:
            return f"sources changed: {touched}"
        for path in (path for path in self.out.rglob("*") if not path.is_dir()):
            name = str(path.relative_to(self.out))
            if (is_temporary(path.name) and temporary) or is_manifest(path.name):
                continue
            if name not in wanted or digest(path) != wanted[name]:
                return f"'{name}' of {path.stat().st_size} bytes was left"
        return None

    def clear(self) -> None:
        """Empty the output directory."""
        for path in self.out.rglob("*"):
            if not path.is_dir():
                path.unlink()


def refusal_fault(ended: Ended, *words: str, codes: tuple[int, ...] = (1,)) -> str | None:
    """What is wrong with a failure: another exit code, no single line, none of the words in it."""
    if ended.code not in codes:
        return f"exit code {ended.code}: {ended.err[-300:]}"
    if not is_one_line(ended.err) or (words and not any(word in ended.err for word in words)):
        return f"said {ended.err[-400:]!r}"
    return None


def digest(path: Path) -> str:
    """A file's hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sound(
    extension: str = "wav",
    *,
    seconds: float = 1.0,
    seed: int = 0,
    level: float = 0.1,
    offset: float = 0.0,
) -> bytes:
    """A file of noise at 48 kHz in the container of the extension."""
    container, subtype = CONTAINERS[extension]
    samples = np.random.default_rng(seed).normal(offset, level, (round(seconds * FS), 2))
    with tempfile.NamedTemporaryFile(suffix=f".{extension}") as file:
        soundfile.write(file.name, samples, FS, subtype, format=container)
        return Path(file.name).read_bytes()


@contextmanager
def scene(*extensions: str, seconds: float = 1.0) -> Iterator[Scene]:
    """A scene with one source of each container."""
    with tempfile.TemporaryDirectory(prefix="earfilt-faults-") as top:
        yield Scene(
            Path(top),
            {f"a.{extension}": sound(extension, seconds=seconds) for extension in extensions},
        )


class NoMount(Exception):
    """Only root can mount."""


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """A small file system of its own.

    Raises
    ------
    NoMount
        Not allowed here.
    """
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoMount(f"mounting needs root ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)
