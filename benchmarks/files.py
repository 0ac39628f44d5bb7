"""Whole files: earfilt and the others, by channels, sample format, container, filter and length."""

from pathlib import Path

from benchmarks.harness import Bench, duration, heading, ratio, table, times
from benchmarks.material import FS, HEADPHONE, OUTER_MIDDLE, Filter, Sound, deviation
from benchmarks.programs import Run, all_runs

STEREO = Sound("PCM_16", 2)
OTHERS = (Sound("PCM_24", 2), Sound("FLOAT", 2), Sound("PCM_16", 2, "flac"), Sound("PCM_16", 8))
OTHER_PROGRAMS = ("SoX", "ffmpeg", "scipy", "copy")

# scipy holds a whole file and its spectra in memory: beyond a minute it is measured for the plain
# kind of file alone
LONGEST_FOR_SCIPY = 60


def run(bench: Bench) -> None:
    """Stereo 16 bit at all lengths with both filters, the other kinds of sound with the short one."""
    heading(
        "Whole files",
        f"{FS} Hz, medians of {bench.repeats} turns. Filters, by taps: 513, "
        f"{HEADPHONE.title}; 8193, {OUTER_MIDDLE.title}. "
        "earfilt, SoX (fir, -D) and ffmpeg (afir) are whole processes, start-up included; "
        "scipy (oaconvolve of the whole file) and the "
        "bare copy run within a Python that runs already. Beside the times: multiples of "
        "earfilt's. Deviation: the largest from a "
        "float64 oracle within the first 20 s, earfilt and the others in the order of the columns.",
    )
    rows = [row(bench, *case) for case in plan(bench.quick)]
    table(["sound", "taps", "length", "earfilt", *OTHER_PROGRAMS, "deviation, LSB or dBFS"], rows)


def plan(quick: bool) -> list[tuple[Sound, Filter, int]]:
    """What shows something, in the order of the table."""
    if quick:
        return [(sound, HEADPHONE, 1) for sound in (STEREO, *OTHERS)] + [(STEREO, OUTER_MIDDLE, 1)]
    stereo = [
        (STEREO, ear, seconds) for ear in (HEADPHONE, OUTER_MIDDLE) for seconds in (1, 60, 600)
    ]
    return [
        *stereo,
        (Sound("PCM_16", 1), HEADPHONE, 60),
        *((sound, HEADPHONE, seconds) for sound in OTHERS for seconds in (60, 600)),
    ]


def row(bench: Bench, sound: Sound, ear: Filter, seconds: int) -> list[object]:
    """One file through every program."""
    source = sound.make(bench.scratch, seconds)
    runs = all_runs(sound, source, bench.scratch, ear)
    if seconds > LONGEST_FOR_SCIPY and sound != STEREO:
        del runs["scipy"]
    medians = bench.medians({name: one.case for name, one in runs.items()}, untimed=seconds <= 60)
    exact = exactness(source, runs, ear)
    for path in (source, *(one.result for one in runs.values())):
        path.unlink()
    others = [
        f"{duration(medians.get(name))} {times(ratio(medians, name, 'earfilt'))}"
        for name in OTHER_PROGRAMS
    ]
    length = f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"
    return [
        sound.title,
        len(ear.taps()[0]),
        length,
        duration(medians["earfilt"]),
        *(cell.replace("– –", "–") for cell in others),
        exact,
    ]


def exactness(source: Path, runs: dict[str, Run], ear: Filter) -> str:
    """Deviations of all programs that filter: of integers in codes (LSB), of floats in dB re full
    scale.
    """
    filters = ("earfilt", *OTHER_PROGRAMS[:-1])
    return " ".join(
        deviation(source, runs[name].result, ear, runs[name].advance) if name in runs else "–"
        for name in filters
    )
