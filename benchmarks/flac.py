"""FLAC to FLAC: the encoder is the limit; filtering against programs that only copy."""

from functools import partial

from benchmarks import programs
from benchmarks.harness import Bench, Case, duration, execute, has, heading, ratio, table, times
from benchmarks.material import HEADPHONE, Sound

LEVEL = 5  # of compression: libsndfile's default and that of flac; SoX's is 8


def run(bench: Bench) -> None:
    """``earfilt apply`` against ``flac`` and SoX decoding and encoding the same file without a
    filter.
    """
    seconds = 60 if bench.quick else 1200
    source = Sound("PCM_16", 2, "flac").make(bench.scratch, seconds)
    results = {name: bench.scratch / f"{name}.flac" for name in ("earfilt", "copy", "sox", "flac")}
    cases: dict[str, Case] = {
        "earfilt": partial(programs.earfilt, source, results["earfilt"], HEADPHONE),
        "copy": partial(programs.copy, source, results["copy"], "int16"),
    }
    if has("sox"):
        cases["sox"] = partial(execute, "sox", "-D", source, "-C", LEVEL, results["sox"])
    if has("flac"):
        cases["flac"] = partial(
            execute,
            "sh",
            "-c",
            f"flac -s -d -c '{source}' | flac -s -f -{LEVEL} -o '{results['flac']}' -",
        )
    medians = bench.medians(cases, untimed=False)
    heading(
        "FLAC to FLAC",
        f"{seconds // 60} min of stereo 16 bit at compression level {LEVEL}, medians of "
        f"{bench.repeats} turns. earfilt filters, in a whole "
        "process, so that its result is another sound of another size; the others only "
        "decode and encode.",
    )
    sox, flac = f"sox in -C {LEVEL} out", f"flac -d in \\| flac -{LEVEL}"
    titles = {
        "earfilt": "earfilt apply",
        "copy": "bare copy (libsndfile)",
        "sox": sox,
        "flac": flac,
    }
    sizes = {name: f"{results[name].stat().st_size / 1e6:.1f} MB" for name in cases}
    table(
        ["program", "time", "earfilt is faster by", "result"],
        [
            [titles[name], duration(t), times(ratio(medians, name, "earfilt")), sizes[name]]
            for name, t in medians.items()
        ],
    )
    for name, title in (("flac", "flac"), ("sox", "SoX")):
        bench.goal(
            f"FLAC to FLAC: faster than {title} copying it by",
            ratio(medians, name, "earfilt"),
            at_least=1.0,
        )
    for path in (source, *(results[name] for name in cases)):
        path.unlink()
