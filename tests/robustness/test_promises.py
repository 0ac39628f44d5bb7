"""What is promised to whoever runs earfilt over files of strangers: watched from inside, by
Python's audit events.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.robustness.scene import sound

WATCH = """
import json, os, sys
seen = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
def hook(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & WRITING and not isinstance(args[0], int):
        seen.append(["write", os.path.abspath(os.fsdecode(args[0]))])
    elif event in ("os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.truncate", "os.chmod"):
        seen.append(["write", os.path.abspath(os.fsdecode(args[1] if event in ("os.rename", "os.link") else args[0]))])
    elif event.startswith("socket.") and event != "socket.__new__":
        seen.append(["network", event])
    elif event == "pickle.find_class":
        seen.append(["pickle", list(args)])
    elif event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.fork"):
        seen.append(["process", str(args[0])])
    elif event == "exec" and getattr(args[0], "co_filename", "").startswith("<string>"):
        pass
sys.addaudithook(hook)
from earfilt.cli import main
code = 0
try:
    main()
except SystemExit as end:
    code = end.code
json.dump([code, seen], open(os.environ["SEEN"], "w"))
"""


@pytest.fixture
def watched(tmp_path):
    """Runs the command line in an audited process; gives (exit code, events) without the log's own."""

    def run(*words):
        log = tmp_path.parent / f"{tmp_path.name}.json"
        env = {
            **os.environ,
            "SEEN": str(log),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(tmp_path / "home"),
            "XDG_CACHE_HOME": str(tmp_path),
        }
        subprocess.run(
            [sys.executable, "-c", WATCH, *words],
            cwd=tmp_path,
            env=env,
            check=True,
            stderr=subprocess.DEVNULL,
        )
        code, seen = json.loads(log.read_text())
        return code, [event for event in seen if event[1] not in (os.devnull, str(log))]

    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for extension in ("wav", "flac", "aiff"):
        (tmp_path / "in" / f"a.{extension}").write_bytes(sound(extension, seconds=0.2))
    return run


@pytest.mark.parametrize("extension", ["wav", "flac", "aiff"])
def test_nothing_is_written_but_the_output_and_no_network_is_used(tmp_path, watched, extension):
    code, seen = watched(
        "apply", f"in/a.{extension}", f"out/a.{extension}", "-f", "headphone+middle-ear", "-q"
    )
    assert code == 0
    assert {kind for kind, _ in seen} == {"write"}
    assert {str(Path(path).parent) for _, path in seen} == {str(tmp_path / "out")}


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".json", ".csv"])
def test_no_table_makes_anything_be_unpickled_run_or_fetched(tmp_path, watched, suffix):
    path = tmp_path / f"fir{suffix}"
    taps = np.hanning(9)
    if suffix == ".npy":
        np.save(path, taps)
    elif suffix == ".mat":
        scipy.io.savemat(path, {"taps": taps})
    else:
        path.write_text(
            json.dumps({"taps": taps.tolist()})
            if suffix == ".json"
            else "frequency_hz,gain_db\n100,0\n4000,3\n"
        )
    code, seen = watched("apply", "in/a.wav", "out/a.wav", "-f", str(path), "-q")
    assert code == 0
    assert {kind for kind, _ in seen} == {"write"}
    assert {str(Path(path).parent) for _, path in seen} == {str(tmp_path / "out")}


@pytest.mark.parametrize(
    "words",
    [
        ("filters",),
        ("response", "-f", "headphone"),
        ("apply", "in/none.wav", "out/a.wav", "-f", "headphone"),
    ],
)
def test_what_has_no_output_writes_nothing(watched, words):
    assert watched(*words)[1] == []
