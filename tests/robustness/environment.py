"""Faults of what surrounds a program: streams that are closed, no home, no terminal, odd locales,
hostile names, few descriptors.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from earfilt.errors import printable
from tests.hostile import lay_names
from tests.robustness.cli import BINARY, Ended, is_one_line, real, shell
from tests.robustness.scene import FILTER, Scene, digest, refusal_fault, scene, sound
from tests.robustness.storage import record
from tests.robustness.table import Table

CLOSED = {
    "$EARFILT apply in/a.wav out/a.wav -f headphone -q >&-": 0,
    "$EARFILT apply in/a.wav out/a.wav -f headphone 2>&-": 0,
    "$EARFILT apply in/a.wav out/a.wav -f headphone -q <&- >&- 2>&-": 0,
    "$EARFILT apply in/a.wav - -f headphone -q >&-": 1,
    "$EARFILT apply - out/a.wav -f headphone -q <&-": 1,
    "$EARFILT apply - out/a.wav -f headphone -q </dev/null": 1,
    "$EARFILT apply in out -f headphone -q >&- 2>&-": 0,
    "$EARFILT apply in out -f headphone -q --report - >&-": 1,
    "$EARFILT response -f headphone >&-": 1,
    "$EARFILT filters >&-": 1,
    "$EARFILT --version >&-": 1,
    "$EARFILT --nonsense >&- 2>&-": 2,
    "$EARFILT apply in/a.wav - -f headphone -q | head -c 100 >/dev/null": 0,
    "$EARFILT apply in out -f headphone -q --report - | head -c 1 >/dev/null": 0,
    "$EARFILT response -f headphone -q | head -n 1 >/dev/null": 0,
    "$EARFILT filters | true": 0,
}

ENVIRONMENTS: dict[str, tuple[tuple[str, ...], dict[str, str | None]]] = {
    "no variables at all": (("env", "-i"), {}),
    "no HOME": ((), {"HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None}),
    "HOME that is not there": ((), {"HOME": "/nonexistent/home"}),
    "TMPDIR that is not there": ((), {"TMPDIR": "/nonexistent/tmp"}),
    "no terminal": (("setsid", "-w"), {"TERM": None}),
    "TERM=dumb": ((), {"TERM": "dumb"}),
    "LC_ALL=C": ((), {"LC_ALL": "C", "LANG": "C"}),
    "LC_ALL=C, no UTF-8": ((), {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "an encoding of its own": ((), {"PYTHONIOENCODING": "ascii"}),
    "a locale that is not there": ((), {"LC_ALL": "xx_XX.UTF-8"}),
    "no network": (("unshare", "-n"), {}),
    "nice 19": (("nice", "-n", "19"), {}),
}

NAMES = (
    "a\nb.wav", "\n.wav", "a\rb.wav", "\t.wav", "a\x07b.wav", "\x1b]0;owned\x07.wav", "\x1b[2J\x1b[31mred.wav", "\x7f.wav", "a " "b.wav",
    "-f.wav", "--force.wav", "-", "~.wav", "$HOME.wav", "`id`.wav", "a;b.wav", "*.wav", "[a].wav", "?.wav", "a,b.wav", "a+b.wav",
    "\udcff\udcfe.wav", "a\udc80.wav", "\u202egnp.wav", "\u200b.wav", "é.wav", "e\u0301.wav", "🦻.wav", "中.wav", "CON.wav", "a.wav.",
    "x" * 251 + ".wav", "é" * 125 + ".wav", ".wav", "..wav", "a.WAV", "a..wav", "'.wav", '".wav', "\\.wav", "%s.wav", "{0}.wav", "{a}.wav",
    "[red]a[bold].wav", "a\u2028b.wav", "nan",
)  # fmt: skip


def closed_streams(table: Table, scale: float) -> None:
    """Standard streams that are closed, or whose reader goes away."""
    for script, code in list(CLOSED.items())[:: 1 if scale >= 1 else 4]:
        with scene("wav") as place:
            wanted = place.reference()
            piped = "|" in script
            ended = shell(
                script if not piped else f"{script.split('|')[0]} | {script.split('|')[1]}",
                place.folder,
            )
            fault = place.fault(wanted) or (
                refusal_fault(ended) if code == 1 and "2>&-" not in script else None
            )
            if ended.code != code or "Traceback" in ended.err or (code == 0 and ended.err):
                fault = f"exit code {ended.code}, said {ended.err[-300:]!r}"
            record(table, "streams closed", fault, ended, script)


def bare(table: Table, scale: float) -> None:
    """One file, a batch and a figure, in environments that lack something."""
    commands = {
        "one file": ["apply", "in/é.wav", "out/é.wav", *FILTER],
        "batch": ["apply", "in", "out", *FILTER, "--jobs", "2"],
        "figure": ["response", "-f", "headphone", "-o", "out.svg", "-q"],
    }
    with scene() as place:
        _put(place, "é.wav")
        place.reference()
        wanted = {"é.wav": place.reference()["é.wav"]}
        for what, (prefix, changes) in list(ENVIRONMENTS.items())[:: 1 if scale >= 1 else 7]:
            env = {
                name: value
                for name, value in {**os.environ, **changes}.items()
                if value is not None
            }
            for name, words in commands.items():
                ended = real(words, place.folder, env=env, prefix=prefix)
                fault = (
                    place.fault(wanted)
                    or (f"exit code {ended.code}" if ended.code else None)
                    or (f"said {ended.err!r}" if ended.err else None)
                )
                record(table, "environment", fault, ended, f"{what}, {name}: {ended.err[-300:]}")
                (place.folder / "out.svg").unlink(missing_ok=True)
                place.clear()
        _read_only_package(table, place, wanted)


def _put(place: Scene, name: str, seed: int = 0) -> None:
    place.files[f"in/{name}"] = sound("wav", seconds=0.3, seed=seed)
    (place.folder / "in").mkdir(exist_ok=True)
    (place.folder / "in" / name).write_bytes(place.files[f"in/{name}"])


def _read_only_package(table: Table, place: Scene, wanted: dict[str, str]) -> None:
    """The program's own directory cannot be written (a mount that only this process sees)."""
    import earfilt

    package = Path(earfilt.__file__).parent
    script = (
        f"mount --bind {package} {package} && mount -o remount,ro,bind {package} && ! "
        f"touch {package}/x 2>/dev/null && "
    )
    allowed = (
        subprocess.run(
            ["unshare", "-m", "sh", "-c", script + "true"], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not allowed:
        table.skip("read-only package directory", "mounting needs root")
        return
    ended = real(
        ["apply", "in", "out", *FILTER],
        place.folder,
        prefix=["unshare", "-m", "sh", "-c", script + 'exec "$@"', "sh"],
    )
    record(
        table, "environment", place.fault(wanted) or (ended.err or None), ended, "read-only package"
    )
    place.clear()


def names_in_current_directory(table: Table, scale: float) -> None:
    """Among modules, settings and styles of strangers: none is imported or read, and the results
    are those of any other place.
    """
    outputs = {
        "one file": ("out/a.wav", ["apply", "in/a.wav", "out/a.wav", *FILTER]),
        "batch": ("out/a.wav", ["apply", "in", "out", *FILTER, "--jobs", "2"]),
        "listed": ("out/a.wav", ["apply", "in/*.wav", "out", *FILTER, "--jobs", "2"]),
        "figure": ("out/a.svg", ["response", "-f", "headphone", "-o", "out/a.svg", "-q"]),
        "design": ("out/a.json", ["design", "-f", "headphone", "-o", "out/a.json", "-q"]),
        "Dask": ("out/a.wav", ["apply", "in", "out", *FILTER, "--jobs", "1", "--dask", "local"]),
    }
    with scene() as place, tempfile.TemporaryDirectory() as top:
        _put(place, "a.wav")
        mark, among = place.folder / "RUN", Path(top)
        lay_names(among, mark)
        for name in ("in", "out"):
            (among / name).symlink_to(place.folder / name)
        for what, (output, words) in list(outputs.items())[:: 1 if scale >= 1 else 3]:
            plain = real(words, place.folder)
            wanted = {Path(output).name: digest(place.folder / output)}
            place.clear()
            ended = real(words, among)
            fault = place.fault(wanted) or ("code was run" if mark.exists() else None)
            fault = fault or (
                f"said {ended.err!r}"
                if (ended.code, ended.err) != (plain.code, plain.err)
                else None
            )
            record(table, "names in the current directory", fault, ended, what)
            place.clear()


def names(table: Table, scale: float) -> None:
    """Files whose names speak to terminals, shells and parsers: alone, in a batch with a report,
    and in the messages of failures.
    """
    chosen = NAMES if scale >= 1 else NAMES[::12]
    for name in chosen:
        with scene() as place:
            _put(place, name)
            ended = real(
                ["apply", f"./in/{name}", f"./out/{name}", "-f", "headphone"], place.folder
            )
            fault = _printed_fault(ended) or (f"exit code {ended.code}" if ended.code else None)
            if not (place.out / name).exists():
                fault = fault or "no output of that name"
            record(table, "hostile names", fault, ended, f"{name!r}: {ended.err[-200:]!r}")
            ended = real(
                ["apply", f"./in/{name}", f"./out/{name}", "-f", f"./{name}.csv"], place.folder
            )
            fault = _printed_fault(ended) or (
                None if ended.code and is_one_line(ended.err) else ended.err
            )
            record(table, "hostile names", fault, ended, f"{name!r} refused")
    _names_in_a_batch(table, chosen)


def _names_in_a_batch(table: Table, chosen: tuple[str, ...]) -> None:
    with scene() as place:
        for k, name in enumerate(chosen):
            _put(place, name, seed=k)
        (place.folder / "in" / "\x1b[2Jbroken.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
        ended = real(
            ["apply", "in", "out", *FILTER, "--report", "report.jsonl", "-v"], place.folder
        )
        rows = [
            json.loads(line) for line in (place.folder / "report.jsonl").read_bytes().splitlines()
        ]
        fault = _printed_fault(ended) or (
            None if ended.code == 1 else f"exit code {ended.code}: {ended.err[-300:]}"
        )
        absent = [name for name in chosen if not (place.out / name).exists()]
        fault = fault or (f"no output for {absent}" if absent else None)
        fault = fault or (
            None
            if len(rows) == len(chosen) + 1
            else f"{len(rows)} rows for {len(chosen) + 1} files"
        )
        record(table, "hostile names", fault, ended, "a batch")


def _printed_fault(ended: Ended) -> str | None:
    for said in (ended.err, ended.out.decode("utf-8", "replace")):
        if any(printable(line) != line for line in said.split("\n")):
            return f"printed {said[-300:]!r}"
    return None


def few_descriptors(table: Table, scale: float) -> None:
    """300 files, 8 at a time, where a process may have 256 files open."""
    with scene() as place:
        count = 300 if scale >= 1 else 40
        for k in range(count):
            _put(place, f"{k}.wav", seed=k)
        script = f"ulimit -n 256; exec {BINARY} apply in out -f headphone -q --jobs 8"
        ended = shell(script, place.folder)
        done = [path for path in place.out.glob("*.wav") if digest(path)]
        fault = (f"exit code {ended.code}: {ended.err[-300:]}" if ended.code else None) or (
            f"{len(done)} outputs" if len(done) != count else None
        )
        record(table, "256 open files", fault, ended, f"{count} files")
