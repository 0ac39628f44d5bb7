"""Whole files: earfilt and the others, by channels, sample format, container, filter and length."""

from tests.bench.harness import Bench, duration, heading, table
from tests.bench.material import FS, HEADPHONE, OUTER_MIDDLE, Filter, Sound, deviation
from tests.bench.programs import cases

STEREO = Sound("PCM_16", 2)
SOUNDS = [
    STEREO,
    Sound("PCM_16", 1),
    Sound("PCM_16", 8),
    Sound("PCM_24", 2),
    Sound("FLOAT", 2),
    Sound("PCM_16", 2, "flac"),
]


def run(bench: Bench) -> None:
    """All kinds of sound at one minute with the short filter, stereo at all lengths with both."""
    heading(
        "Whole files",
        f"Medians of {bench.repeats} turns at {FS} Hz, files in {bench.scratch.parent}; earfilt, SoX and ffmpeg as whole processes, "
        "scipy and the bare copy within a running Python. Times relative to earfilt's; largest deviation from float64 beside them.",
    )
    seconds = [1] if bench.quick else [1, 60, 600]
    plan = [(STEREO, ear, length) for ear in (HEADPHONE, OUTER_MIDDLE) for length in seconds]
    plan += [(sound, HEADPHONE, seconds[-1]) for sound in SOUNDS[1:]]
    rows = [row for sound, ear, length in plan for row in compare(bench, sound, ear, length)]
    table(["sound", "filter", "length", "program", "time", "earfilt is faster by", "deviation"], rows)


def compare(bench: Bench, sound: Sound, ear: Filter, seconds: int) -> list[list[object]]:
    """One kind of file through every program."""
    source = sound.make(bench.scratch, seconds)
    runs = cases(sound, source, bench.scratch, ear)
    medians = bench.medians({name: case for name, (case, _, _) in runs.items()})
    rows: list[list[object]] = []
    for name, (_, result, advance) in runs.items():
        exact = "" if name == "copy" else deviation(source, result, ear, advance)
        factor = f"{medians[name] / medians['earfilt']:.2f}×"
        rows.append([sound.title, ear.title, f"{seconds} s", name, duration(medians[name]), factor, exact])
        result.unlink()
    source.unlink()
    return rows
