"""``python -m tests.robustness.load``: very many files, a very long one, very many channels, very
many processes; prints what it took.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import soundfile

from earfilt.storage.output import is_temporary
from tests.audio.foreign import wav_bytes
from tests.robustness.cli import BINARY
from tests.robustness.scene import digest

_FILTER = ("-f", "headphone", "--order", "64", "-q")


@dataclass(frozen=True)
class Took:
    """What a load came to: a line for people, and what was wrong."""

    said: str
    fault: str = ""


def _watched(command: list[str | Path], folder: Path) -> tuple[float, float, int, int, list[float]]:
    """Run; seconds, seconds until the first line on stdout, lines, exit code, and the memory (MiB)
    of the parent as it went on.
    """
    begun, first, lines, memory = time.perf_counter(), 0.0, 0, [0.0]
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process = psutil.Process(running.pid)
    assert running.stdout
    for _ in running.stdout:
        first = first or time.perf_counter() - begun
        lines += 1
        if lines % 500 == 1:
            memory.append(process.memory_info().rss / 2**20)
    running.communicate()
    return time.perf_counter() - begun, first, lines, running.returncode, memory


def tree(count: int) -> Took:
    """So many tiny files in one tree: planned quickly, reported as they are done, memory flat."""
    from earfilt.batch.corpus import Batch, prepare
    from earfilt.chains.members import resolve

    with tempfile.TemporaryDirectory(prefix="earfilt-load-") as top:
        root = Path(top)
        for k in range(count):
            if k % 500 == 0:
                folder = root / "in" / f"{k // 10_000}" / f"{k // 500}"
                folder.mkdir(parents=True)
            (folder / f"{k}.wav").write_bytes(wav_bytes(np.full(32, k % 1000), fs=16_000))
        begun = time.perf_counter()
        planned = len(
            prepare(
                Batch(resolve("headphone", order=64)), [str(root / "in")], str(root / "out")
            ).files
        )
        planning = time.perf_counter() - begun
        command = [BINARY, "apply", "in", "out", *_FILTER, "--report", "-"]
        seconds, first, rows, code, memory = _watched(command, root)
        done = sum(len(names) for _, _, names in os.walk(root / "out")) - 1  # the manifest
    middle, end = memory[len(memory) // 2], memory[-1]
    said = (
        f"{count} files: planned in {planning:.2f} s; first row after {first:.1f} s of "
        f"{seconds:.0f} s ({count / seconds:.0f} files/s); "
        f"memory of the parent {middle:.0f} MiB half-way, {end:.0f} MiB at the end"
    )
    fault = (
        f"exit code {code}, {planned} planned, {rows} rows, {done} outputs"
        if (code, planned, rows, done) != (0, count, count, count)
        else ""
    )
    fault = fault or ("planning took long" if planning > 10.0 else "")
    return Took(said, fault or ("memory grew" if end > 1.2 * middle + 20 else ""))


def long_file(hours: float) -> Took:
    """One file of so many hours (16 kHz, mono, 16 bit)."""
    with tempfile.TemporaryDirectory(prefix="earfilt-load-") as top:
        root, frames = Path(top), round(hours * 3600 * 16_000)
        head = wav_bytes(np.zeros(0), fs=16_000, data_size=2 * frames, size=2 * frames + 36)
        with open(root / "in.wav", "wb") as file:
            file.write(head)
            file.write(np.random.default_rng(0).integers(-9000, 9000, 16_000, "<i2").tobytes())
            file.truncate(len(head) + 2 * frames)
        begun = time.perf_counter()
        running = subprocess.Popen([BINARY, "apply", "in.wav", "out.wav", *_FILTER], cwd=root)
        peak = _peak(running)
        seconds = time.perf_counter() - begun
        there = soundfile.info(root / "out.wav").frames if running.returncode == 0 else 0
    said = (
        f"{hours:g} hours, {frames} frames: {seconds:.1f} s, {hours * 3600 / seconds:.0f} "
        f"times as fast as it plays, peak {peak:.0f} MiB"
    )
    return Took(
        said,
        ""
        if there == frames and peak < 1024
        else f"exit code {running.returncode}, {there} frames, {peak:.0f} MiB",
    )


def _peak(running: "subprocess.Popen[bytes]") -> float:
    """Largest memory of a process in MiB, until it ends."""
    peak = 0.0
    while running.poll() is None:
        try:
            peak = max(peak, psutil.Process(running.pid).memory_info().rss / 2**20)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    running.wait()
    return peak


def channels(count: int) -> Took:
    """One file of so many channels: each equals what a mono file of it becomes."""
    with tempfile.TemporaryDirectory(prefix="earfilt-load-") as top:
        root = Path(top)
        samples = np.random.default_rng(0).integers(-9000, 9000, (160_000, count), np.int16)
        soundfile.write(root / "in.wav", samples, 16_000, "PCM_16")
        begun = time.perf_counter()
        running = subprocess.Popen([BINARY, "apply", "in.wav", "out.wav", *_FILTER], cwd=root)
        peak, seconds = _peak(running), time.perf_counter() - begun
        out, _ = soundfile.read(root / "out.wav", dtype="int16")
        worst = 0
        for k in {0, count // 2, count - 1}:
            soundfile.write(root / "mono.wav", samples[:, k], 16_000, "PCM_16")
            subprocess.run(
                [BINARY, "apply", "mono.wav", "mono-out.wav", *_FILTER, "--force"],
                cwd=root,
                check=True,
            )
            worst = max(
                worst,
                int(
                    np.abs(
                        out[:, k].astype(int)
                        - soundfile.read(root / "mono-out.wav", dtype="int16")[0]
                    ).max()
                ),
            )
    said = (
        f"{count} channels of 10 s: {seconds:.1f} s, peak {peak:.0f} MiB, at most {worst} "
        "codes from the same channel alone"
    )
    return Took(
        said, "" if worst <= 1 and running.returncode == 0 else f"exit code {running.returncode}"
    )


def crowd(processes: int) -> Took:
    """So many batches on one output tree at once: every output whole, and a run that comes second to a
    name says so.
    """
    with tempfile.TemporaryDirectory(prefix="earfilt-load-") as top:
        root = Path(top)
        (root / "in").mkdir()
        for k in range(30):
            noise = np.random.default_rng(k).integers(-9000, 9000, 16_000, np.int16)
            (root / "in" / f"{k}.wav").write_bytes(wav_bytes(noise, fs=16_000))
        subprocess.run([BINARY, "apply", "in", "whole", *_FILTER], cwd=root, check=True)
        wanted = {path.name: digest(path) for path in (root / "whole").glob("*.wav")}
        command = [BINARY, "apply", "in", "out", *_FILTER, "--jobs", "1", "--report"]
        crew = [
            subprocess.Popen([*command, f"{k}.jsonl"], cwd=root, stderr=subprocess.PIPE)
            for k in range(processes)
        ]
        said = [process.communicate()[1].decode() for process in crew]
        codes = [process.returncode for process in crew]
        rows = [
            json.loads(line)
            for path in root.glob("*.jsonl")
            for line in path.read_text().splitlines()
        ]
        there = {path.name: digest(path) for path in (root / "out").glob("*.wav")}
        left = [path.name for path in (root / "out").iterdir() if is_temporary(path.name)]
    won = sum(row["status"] == "ok" for row in rows)
    lost = [row["error"] for row in rows if row["status"] == "failed"] + [
        line for line, code in zip(said, codes, strict=True) if code == 2
    ]
    silent = [message for message in lost if "exists already" not in message]
    fault = (
        ""
        if there == wanted and won == len(wanted) and not left and not silent
        else f"{won} won, {left} left, {silent[:2]}, {codes}"
    )
    return Took(
        f"{processes} processes on one tree of {len(wanted)} outputs: {won} written, all "
        f"whole; {len(lost)} refusals that say so",
        fault,
    )


LOADS: dict[str, tuple[Callable[..., Took], float, float]] = {
    "tree": (tree, 100_000, 300),
    "long": (long_file, 10.0, 0.02),
    "channels": (channels, 64, 64),
    "crowd": (crowd, 20, 3),
}
"""Function, its argument for ``make load`` and for ``make test``."""


def main() -> int:
    """Print a line for each load; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help=", ".join(LOADS))
    given = parser.parse_args()
    bad = 0
    for name, (load, size, _) in LOADS.items():
        if given.only in name:
            took = load(int(size) if name != "long" else size)
            print(
                f"{name}: {took.said}"
                + (f"\nVIOLATION {name}: {took.fault}" if took.fault else ""),
                flush=True,
            )
            bad += bool(took.fault)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
