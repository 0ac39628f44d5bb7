"""Signals and memory: kills at random moments, interrupted system calls, no memory left."""

import contextlib
import os
import random
import resource
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import psutil

from tests.robustness.cli import BINARY, STOPS, Ended, Warm, is_one_line, real, warm
from tests.robustness.scene import FILTER, Scene, digest, scene, sound
from tests.robustness.storage import record, wait_for_output
from tests.robustness.table import Table


def ring_often() -> None:
    """A signal every half millisecond, so that no system call is left in peace."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)


def interrupted_calls(table: Table, scale: float) -> None:
    """Signals all the time: the bytes are those of an undisturbed run, from files and through
    pipes.
    """
    with scene("wav", "flac", "aiff") as place:
        wanted = place.reference()
        for name in list(wanted) * max(1, round(scale * 5)):
            ended = warm(["apply", f"in/{name}", f"out/{name}", *FILTER], place.folder, ring_often)
            fault = place.fault(wanted) or (
                f"exit code {ended.code}: {ended.err}" if ended.code else None
            )
            record(table, "interrupted system calls", fault, ended, name)
            place.clear()
        _through_a_pipe(table, place, wanted)


def _through_a_pipe(table: Table, place: Scene, wanted: dict[str, str]) -> None:
    pipe, data = place.folder / "pipe", place.files["in/a.wav"]
    os.mkfifo(pipe)
    job = Warm(["apply", "-", "out/a.wav", *FILTER], place.folder, ring_often, stdin=pipe)
    with open(pipe, "wb", buffering=0) as feed:
        for at in range(0, len(data), 9000):
            feed.write(data[at : at + 9000])
            time.sleep(0.001)
    ended = job.wait()
    fault = place.fault(wanted) or (f"exit code {ended.code}: {ended.err}" if ended.code else None)
    record(table, "interrupted system calls", fault, ended, "a pipe")
    place.clear()


def limit_memory(more: int) -> None:
    """Only so many bytes of address space beyond what is taken already."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))


def out_of_memory(table: Table, scale: float) -> None:
    """Memory that ends at any of many places: a whole output, or one line and nothing."""
    with scene("wav", "flac", seconds=20.0) as place:
        wanted = place.reference()
        steps = [0, 1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 160, 200, 300, 500]
        for mib in steps if scale >= 1 else steps[::6]:
            for name in wanted:
                ended = warm(
                    ["apply", f"in/{name}", f"out/{name}", *FILTER],
                    place.folder,
                    partial(limit_memory, mib << 20),
                )
                # OpenMP ends the process where it gets no thread; then as after a kill.
                fault = place.fault(wanted, temporary=not ended.err)
                if (
                    ended.code
                    and not fault
                    and ended.err
                    and (ended.code != 1 or not is_one_line(ended.err))
                ):
                    fault = f"exit code {ended.code}: {ended.err[-300:]!r}"
                fault = fault or _next_run_fault(
                    place, ["apply", f"in/{name}", f"out/{name}", *FILTER, "--force"], wanted
                )
                record(table, "out of memory", fault, ended, f"{name}, {mib} MiB more")
                place.clear()


def killed(table: Table, scale: float) -> None:
    """A run of one file ended at a random moment by SIGKILL or a signal that can be handled; then
    the next run in the same place.
    """
    rng = random.Random(1)
    with scene("wav", "flac", seconds=4.0) as place:
        wanted = place.reference()
        longest = _seconds(place)
        for k in range(max(10, round(scale * 240))):
            number = list(STOPS)[k % len(STOPS)]
            name = "a.wav" if k % 2 else "a.flac"
            words = ["apply", f"in/{name}", f"out/{name}", *FILTER]
            job = Warm(words, place.folder).started()
            time.sleep(rng.uniform(0.0, 1.1 * longest))
            job.kill(number)
            ended = job.wait()
            fault = _stop_fault(ended, number) or place.fault(
                wanted, temporary=number == signal.SIGKILL
            )
            fault = fault or _next_run_fault(place, [*words, "--force"], wanted)
            table.add(
                "killed, one file",
                "violation" if fault else "correct" if ended.code == 0 else "error",
                f"{number!r} {k}: {fault}",
            )
            place.clear()


def killed_waiting(table: Table, scale: float) -> None:
    """A run that is told to end while its source, a pipe, gives nothing: it ends all the same."""
    for number in (signal.SIGTERM, signal.SIGINT) * max(1, round(3 * scale)):
        with scene("wav") as place:
            pipe = place.folder / "pipe"
            os.mkfifo(pipe)
            job = Warm(["apply", "-", "out/a.wav", *FILTER], place.folder, stdin=pipe)
            with open(pipe, "wb", buffering=0) as feed:
                feed.write(place.files["in/a.wav"][:100_000])
                wait_for_output(place)
                time.sleep(0.2)
                job.kill(number)
                ended = job.wait()
            fault = place.fault({}) or (
                None if ended.code == STOPS[number] else f"exit code {ended.code}: {ended.err!r}"
            )
            record(table, "killed, waiting for a pipe", fault, ended, str(number))


def _seconds(place: Scene) -> float:
    job = Warm(["apply", "in/a.wav", "out/a.wav", *FILTER], place.folder).started()
    begun = time.perf_counter()
    job.wait()
    place.clear()
    return time.perf_counter() - begun


def _stop_fault(ended: Ended, number: int) -> str | None:
    # Before its first line of Python runs, and after its last, a program ends as the system has it.
    if ended.code not in (0, STOPS[signal.Signals(number)], -number):
        return f"exit code {ended.code}: {ended.err[-300:]!r}"
    if "Traceback" in ended.err or len(ended.err.splitlines()) > 1:
        return f"said {ended.err[-300:]!r}"
    return None


def _next_run_fault(place: Scene, words: list[str], wanted: dict[str, str]) -> str | None:
    again = warm(words, place.folder)
    if again.code:
        return f"the next run: {again.err}"
    return place.fault(wanted)


def _batch_scene(place: Scene, files: int) -> dict[str, str]:
    """Fill the sources; what the outputs have to be."""
    for k in range(files):
        extension = ("wav", "flac", "aiff")[k % 3]
        name = f"in/{'deep/' * (k % 2)}{k}.{extension}"
        place.files[name] = sound(extension, seconds=2.0, seed=k)
        path = place.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(place.files[name])
    ended = real(["apply", "in", "reference", *FILTER, "--jobs", "2"], place.folder)
    if ended.code:
        raise RuntimeError(ended.err)
    root = place.folder / "reference"
    return {str(path.relative_to(root)): digest(path) for path in root.rglob("[0-9]*.*")}


def killed_batch(table: Table, scale: float) -> None:
    """A batch ended at a random moment; then ``--resume``, which leaves the same tree as a batch
    that nothing happened to.
    """
    rng = random.Random(2)
    with scene() as place:
        begun = time.perf_counter()
        wanted = _batch_scene(place, 24)
        longest = time.perf_counter() - begun
        for k in range(max(2, round(scale * 15))):
            number = list(STOPS)[k % len(STOPS)]
            ended = _killed_batch(place, number, rng.uniform(0.2, longest))
            fault = _stop_fault(ended, number) if ended.code else None
            fault = fault or place.fault(wanted, temporary=number == signal.SIGKILL)
            again = real(["apply", "in", "out", *FILTER, "--jobs", "2", "--resume"], place.folder)
            fault = fault or (
                f"resumed: exit code {again.code} {again.err[-300:]}"
                if again.code
                else place.fault(wanted)
            )
            missing = [name for name in wanted if not (place.out / name).exists()]
            fault = fault or (f"after --resume {missing} are missing" if missing else None)
            table.add(
                "killed, a batch",
                "violation" if fault else "correct" if ended.code == 0 else "error",
                f"{number!r} {k}: {fault}",
            )
            place.clear()


def _killed_batch(place: Scene, number: int, after: float) -> Ended:
    """Run a batch and end it, then wait for its workers, which must not outlive it."""
    words = [BINARY, "apply", "in", "out", *FILTER, "--jobs", "2"]
    batch = subprocess.Popen(
        words, cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(after)
    family = _children(batch.pid)
    batch.send_signal(number)
    batch.wait(120)
    _, alive = psutil.wait_procs(family, timeout=30)
    for process in alive:
        process.kill()
    out, err = batch.communicate()
    if alive:
        err += f"Traceback: {len(alive)} workers outlived the batch".encode()
    return Ended(batch.returncode, out, err.decode("utf-8", "replace"))


def _children(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def killed_worker(table: Table, scale: float) -> None:
    """A worker of a batch is killed, as by a system without memory: no file is lost."""
    with scene() as place:
        wanted = _batch_scene(place, 24)
        for k in range(max(1, round(scale * 6))):
            batch = subprocess.Popen(
                [BINARY, "apply", "in", "out", *FILTER, "--jobs", "2"],
                cwd=place.folder,
                stderr=subprocess.PIPE,
            )
            victim = _worker(batch.pid, place)
            if victim is not None:
                victim.kill()
            _, said = batch.communicate(timeout=240)
            ended = Ended(batch.returncode, b"", said.decode("utf-8", "replace"))
            missing = [name for name in wanted if not (place.out / name).exists()]
            fault = place.fault(wanted) or (
                f"exit code {ended.code}, {missing} missing: {ended.err[-200:]}"
                if ended.code or missing
                else None
            )
            record(table, "worker killed", fault, ended, f"{k}, {victim}")
            place.clear()


def _worker(pid: int, place: Scene) -> psutil.Process | None:
    """One of the processes of a batch that is at a file."""
    for _ in range(6000):
        for name in place.temporary():
            with contextlib.suppress(psutil.NoSuchProcess, ValueError):
                worker = int(name.split(".earfilt-")[1].split("-")[1])
                if worker in [child.pid for child in _children(pid)]:
                    return psutil.Process(worker)
        time.sleep(0.002)
    return None
