"""FLAC to FLAC: the encoder is the limit; filtering against programs that only copy."""

from tests.bench import programs
from tests.bench.harness import Bench, duration, execute, has, heading, table
from tests.bench.material import HEADPHONE, Sound


def run(bench: Bench) -> None:
    """``earfilt apply`` against ``flac`` and SoX decoding and encoding the same file without a filter."""
    seconds = 60 if bench.quick else 1800
    heading("FLAC to FLAC", f"{seconds // 60} min of stereo 16 bit. earfilt filters; the others only decode and encode, by default levels.")
    source, result = Sound("PCM_16", 2, "flac").make(bench.scratch, seconds), bench.scratch / "result.flac"
    cases = {
        "earfilt apply": lambda: programs.earfilt(source, result, HEADPHONE),
        "bare copy": lambda: programs.copy(source, result, "int16"),
    }
    if has("sox"):
        cases["sox in.flac out.flac"] = lambda: execute("sox", "-D", source, result)
    if has("flac"):
        cases["flac -d in.flac | flac -"] = lambda: execute("sh", "-c", f"flac -s -d -c '{source}' | flac -s -f -o '{result}' -")
    medians = bench.medians(cases)
    source.unlink()
    ours = medians["earfilt apply"]
    table(["program", "time", "earfilt is faster by"], [[name, duration(t), f"{t / ours:.2f}×"] for name, t in medians.items()])
