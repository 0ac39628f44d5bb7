"""The machine and the versions that the figures belong to."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import soundfile

from benchmarks.harness import has

PROGRAMS = {"sox": "--version", "ffmpeg": "-version", "flac": "--version", "taskset": "--version"}


def describe(scratch: Path) -> list[list[object]]:
    """Rows of name and value."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(
        f"{package} {version(package)}" for package in ("numpy", "scipy", "torch", "soundfile")
    )
    return [
        ["processor", processor()],
        ["memory", f"{memory:.0f} GiB"],
        ["files on", file_system(scratch)],
        ["system", f"{platform.system()} {platform.release()}"],
        ["Python", platform.python_version()],
        ["packages", f"{packages} (libsndfile {soundfile.__libsndfile_version__})"],
        [
            "programs",
            ", ".join(
                f"{program} {program_version(program)}" for program in PROGRAMS if has(program)
            ),
        ],
        ["MISSING, and left out", ", ".join(missing()) or "nothing"],
        ["load at the start", f"{os.getloadavg()[0]:.2f}"],
    ]


def missing() -> list[str]:
    """Programs that are compared or used here and are not installed; their goals are not measured."""
    return [program for program in PROGRAMS if not has(program)]


def processor() -> str:
    """Cores that this process may use, and of what; virtual machines hide the name and leave the
    number of the model.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    known = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", known, re.MULTILINE))
    if "model name" not in facts:
        return f"{cores} × {platform.processor() or platform.machine()}"
    return (
        f"{cores} × {facts['model name']} (family {facts.get('cpu family', '?')}, model "
        f"{facts.get('model', '?')})"
    )


def file_system(folder: Path) -> str:
    """The kind of disk."""
    kind = (
        subprocess.run(
            ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True
        ).stdout.strip()
        if has("stat")
        else ""
    )
    return (
        "a RAM disk (tmpfs)"
        if kind == "tmpfs"
        else f"a disk, which the figures of long files suffer from ({kind or 'unknown'})"
    )


def program_version(program: str) -> str:
    """The first number in what it says of itself."""
    said = subprocess.run([program, PROGRAMS[program]], capture_output=True, text=True).stdout
    found = re.search(r"\d+\.[\w.+~-]+", said)
    return found.group() if found else "?"
