"""A child process that tries mutants one after the other and may die at any of them."""

import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import soundfile

from earfilt.audio.formats import CONTAINERS, SUBTYPES, default_suffix
from tests.robustness import crafted
from tests.robustness.judge import (
    Console,
    Verdict,
    Wanted,
    as_libsndfile_reads,
    lies_in_blocks,
    limit_memory,
    run,
    verdict,
)
from tests.robustness.mutants import Mutant, mutant
from tests.robustness.seeds import AUDIO, FRAMES, FS, SOFA, noise

IDENTITY = b'{"taps": [1.0]}'
LOSSY = ("OGG", "MP3")
OUTPUTS = [
    (container.name, subtype) for container in CONTAINERS.values() for subtype in container.subtypes
]
"""Containers and subtypes that can be written."""


def work(pipe: Connection, kind: str, numbers: Sequence[int]) -> None:
    """Try mutants; sends each number before it is tried, and its verdict after."""
    limit_memory()
    with tempfile.TemporaryDirectory(prefix="earfilt-fuzz-") as top:
        console, folder = Console(Path(top)), Path(top) / "files"
        folder.mkdir()
        for number in numbers:
            pipe.send((number, None))
            pipe.send((number, judged(console, folder, made(kind, number))))
    pipe.close()


def made(kind: str, number: int) -> Mutant:
    """A mutant, or a crafted file."""
    return crafted.mutant(number) if kind == "crafted" else mutant(kind, number)


def judged(console: Console, folder: Path, hostile: Mutant) -> Verdict:
    """Lay a mutant into the folder, filter, and judge."""
    arguments, output = lay(folder, hostile)
    before = {entry.name: entry.read_bytes() for entry in folder.iterdir()}
    ended = run(console, arguments)
    found = verdict(
        ended, folder, before, output, _wanted(hostile, arguments) if ended.code == 0 else Wanted()
    )
    crafted.check_canary(folder)
    for name in before:
        (folder / name).unlink()
    return found


def _wanted(hostile: Mutant, arguments: Sequence[str]) -> Wanted:
    if hostile.kind not in AUDIO:
        return Wanted(frames=FRAMES)
    identity = any(argument.endswith("identity.json") for argument in arguments)
    target = target_of(hostile)
    exact = target is None or SUBTYPES[target[1]].lossless
    samples = as_libsndfile_reads(hostile.data) if identity and exact else None
    bits = SUBTYPES[target[1]].bits if target else 0
    whole = (
        hostile.kind != "W64" and "--repair" not in arguments and not lies_in_blocks(hostile.data)
    )
    return Wanted(samples=samples, all=whole, code=2.0 ** (1 - bits) if bits else 0.0)


def target_of(hostile: Mutant) -> tuple[str, str] | None:
    """Container and subtype that are asked for, in turn all that can be written; None for every
    second mutant, which names none.
    """
    return (
        OUTPUTS[hostile.number // 2 % len(OUTPUTS)]
        if hostile.number % 2 and hostile.kind in AUDIO
        else None
    )


def lay(folder: Path, hostile: Mutant) -> tuple[list[str], Path]:
    """Write what a mutant needs; the command line and its output."""
    quiet = ["-q"] if hostile.number % 2 else []
    if hostile.kind in AUDIO:
        source = folder / f"in{hostile.suffix}"
        source.write_bytes(hostile.data)
        chosen = _identity(folder) if hostile.number % 4 else ["-f", "headphone", "--order", "16"]
        repair = ["--repair"] if hostile.number % 5 == 0 else []
        output = folder / f"out{'.wav' if hostile.kind in LOSSY else hostile.suffix}"
        target = target_of(hostile)
        written = []
        if target is not None:
            output = folder / f"out{default_suffix(target[0])}"
            written = ["--format", target[0], "--subtype", target[1]]
        return ["apply", str(source), str(output), *chosen, *quiet, *repair, *written], output
    source, table = folder / "in.wav", folder / f"table{hostile.number}{hostile.suffix}"
    fs = 48_000 if hostile.kind.startswith("equaliser") else FS  # whose bands go up to 6150 Hz
    soundfile.write(source, noise(), fs, "PCM_16" if hostile.number % 3 else "FLOAT")
    table.write_bytes(hostile.data)
    return [
        "apply",
        str(source),
        str(folder / "out.wav"),
        "-f",
        str(table),
        *(["--azimuth", "0"] if hostile.kind in SOFA else []),
        *quiet,
    ], folder / "out.wav"


def _identity(folder: Path) -> list[str]:
    path = folder / "identity.json"
    path.write_bytes(IDENTITY)
    return ["-f", str(path)]
