"""Runs the command line in this process on one hostile file, and judges how it ended."""

import contextlib
import ctypes
import gc
import io
import os
import resource
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

import earfilt.chains.build  # noqa: F401  (loaded before the first file, so that no file pays for it)
from earfilt.audio.containers import mpeg
from earfilt.cli import main
from earfilt.errors import printable
from tests.robustness.table import Outcome

MAX_BYTES = 5 << 28
"""Memory that no file may take the process beyond, in bytes: the largest FIR that is read takes
1 GiB in float64, and a quarter is what the child holds itself.
"""
MAX_SECONDS = 10.0
"""Time that no file may take, of one processor: the machine may have other work."""
MAX_LINE = 2000
_BEYOND = 2 << 30  # address space above what the imports took


@dataclass(frozen=True)
class Ended:
    """How a run of the command line ended: exit code, what it said, what it took (seconds of
    processor time, bytes of memory).
    """

    code: int
    out: str
    err: str
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Verdict:
    """What a run is worth."""

    outcome: Outcome
    detail: str


def limit_memory() -> None:
    """Make requests far beyond what is allowed fail in this process."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _BEYOND, resource.RLIM_INFINITY))


class Console:
    """Files behind descriptors 1 and 2, so that what C libraries print is seen as well."""

    def __init__(self, folder: Path) -> None:
        self._files = [open(folder / name, "w+b", buffering=0) for name in ("stdout", "stderr")]  # noqa: SIM115

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Collect what is printed: the list gets two texts at the end."""
        said: list[str] = []
        kept = [os.dup(1), os.dup(2)]
        for number, file in enumerate(self._files, start=1):
            file.truncate(0)
            file.seek(0)
            os.dup2(file.fileno(), number)
        try:
            yield said
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, old in enumerate(kept, start=1):
                os.dup2(old, number)
                os.close(old)
        for file in self._files:
            file.seek(0)
            said.append(file.read().decode("utf-8", "replace"))


def run(console: Console, arguments: Sequence[str]) -> Ended:
    """``earfilt ARGUMENTS`` in this process."""
    gc.collect()  # what earlier runs have freed is not this one's
    with contextlib.suppress(AttributeError):  # of glibc alone
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    code, started, argv = 0, time.process_time(), sys.argv
    sys.argv = ["earfilt", *arguments]
    with console.watched() as said, warnings.catch_warnings():
        warnings.simplefilter("always")
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            sys.argv = argv
    return Ended(code, said[0], said[1], time.process_time() - started, _peak())


def _peak() -> int:
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) << 10


def fault_of(ended: Ended) -> str | None:
    """What is wrong with a run whatever it made, or None."""
    if ended.seconds > MAX_SECONDS:
        return f"took {ended.seconds:.1f} s"
    if ended.peak_bytes > MAX_BYTES:
        return f"took {ended.peak_bytes >> 20} MiB"
    if ended.code not in (0, 1, 2):
        return f"exit code {ended.code}"
    for said in (ended.out, ended.err):
        if (
            printable(said.replace("\n", "")) != said.replace("\n", "")
            or "Traceback" in said
            or "Warning" in said
        ):
            return f"printed {said[:300]!r}"
    return None if ended.code == 0 else _fault_of_error(ended.err)


def _fault_of_error(said: str) -> str | None:
    """What is wrong with the message of a failure: it is one line that says something."""
    line = said.removesuffix("\n")
    if not line.startswith("earfilt: ") or "\n" in line or len(line) > MAX_LINE:
        return f"the error is no single line: {said[:300]!r}"
    if line.startswith("earfilt: unexpected ") or "out of memory" in line:
        return line[:300]
    return None


@dataclass(frozen=True)
class Wanted:
    """What is known of an output beforehand.

    Parameters
    ----------
    frames : int, optional
    samples : array, optional
        As another reader finds them in the source of a filter that changes nothing.
    all : bool
        Whether that reader finds as many as it should: libsndfile takes what follows the samples of
        a W64, and what fills up the last block of a codec, for more of them, and stops early in
        what is cut short.
    code : float
        Step of an output in integers, where it was asked for; 0 where the output is as fine as the
        source.
    """

    frames: int | None = None
    samples: np.ndarray | None = None
    all: bool = True
    code: float = 0.0


def verdict(
    ended: Ended, folder: Path, before: dict[str, bytes], output: Path, wanted: Wanted
) -> Verdict:
    """Judge a run that filters one file.

    Parameters
    ----------
    folder : Path
        Where everything lay and lies.
    before : dict
        Names and bytes of what lay there before.
    output : Path
        The file that may appear there.
    wanted : Wanted
    """
    after = {entry.name for entry in folder.iterdir()}
    fault = fault_of(ended)
    if (
        fault is None
        and {name: (folder / name).read_bytes() for name in before if name in after} != before
    ):
        fault = "a source was changed"
    made = after - before.keys()
    if fault is None and made != ({output.name} if ended.code == 0 else set()):
        fault = f"exit code {ended.code} and new files {sorted(made)}"
    if fault is None and ended.code == 0:
        fault = _fault_of_output(output, wanted)
    for name in made:
        (folder / name).unlink()
    if fault:
        return Verdict("violation", fault)
    return Verdict("correct" if ended.code == 0 else "error", ended.err.strip())


def _fault_of_output(output: Path, wanted: Wanted) -> str | None:
    try:
        samples = soundfile.read(output, always_2d=True)[0]
    except (soundfile.SoundFileError, RuntimeError) as error:
        return f"the output cannot be read: {error}"
    if not np.isfinite(samples).all():
        return "the output holds NaN or infinity"
    if wanted.frames is not None and len(samples) != wanted.frames:
        return f"the output has {len(samples)} frames, not {wanted.frames}"
    return None if wanted.samples is None else _difference(samples, wanted)


def _difference(samples: np.ndarray, wanted: Wanted) -> str | None:
    expected = np.zeros(0) if wanted.samples is None else wanted.samples
    allowed = 1e-6 * max(1.0, np.abs(expected).max(initial=0.0)) + wanted.code
    if wanted.code:
        expected = np.clip(expected, -1.0, 1.0 - wanted.code)
    if samples.shape[1] != expected.shape[1] or (wanted.all and len(samples) != len(expected)):
        return f"the output is {samples.shape}, libsndfile reads {expected.shape}"
    common = min(len(samples), len(expected))
    distance = np.abs(samples[:common] - expected[:common]).max(initial=0.0)
    return None if distance <= allowed else f"samples differ by {distance:g}"


def _is_ambiguous(log: str) -> bool:
    """Whether readers may differ.

    Of two chunks of samples libsndfile takes the last, SoX and ffmpeg the first; of the two sizes
    that an RF64 states, libsndfile takes the one of ds64 even where the chunk has a size of its
    own.
    """
    chunks = [line.strip() for line in log.splitlines() if line.strip().startswith("data : ")]
    return len(chunks) > 1 or any("should be 0xffffffff" in line for line in chunks)


def _is_guessed(mp3: bytes) -> bool:
    """Whether libsndfile has to guess where an MP3 begins and ends: its first frame holds no Xing
    header with a number of frames, or is not followed by another.
    """
    length = mpeg.frame_length(mp3[:4])
    follows = mpeg.frame_length(mp3[length : length + 4])
    flags = mp3[:length].partition(b"Xing")[2][3:4]
    return not (length and follows and flags and flags[0] & 1)


def lies_in_blocks(data: bytes) -> bool:
    """Whether the codec of a file fills up its last block."""
    try:
        return soundfile.info(io.BytesIO(data)).subtype in ("MS_ADPCM", "IMA_ADPCM", "GSM610")
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        return False


def as_libsndfile_reads(data: bytes) -> np.ndarray | None:
    """Samples of a file by another reader, what is not finite as 0 (as with --repair); None where
    it cannot be told.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if _is_ambiguous(file.extra_info) or (file.format == "MP3" and _is_guessed(data)):
                return None
            blocks = []
            while len(block := file.read(4096, always_2d=True)):
                blocks.append(block)
        return np.nan_to_num(np.concatenate(blocks), nan=0.0, posinf=0.0, neginf=0.0)
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, AssertionError):
        return None
