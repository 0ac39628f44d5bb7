"""The engine without its start-up: the time from a shorter to a longer file; growth of time and memory with length."""

import statistics
from collections.abc import Callable
from pathlib import Path

import soundfile

from earfilt import pipeline
from earfilt.filterspec import FilterSpec
from earfilt.spec import realise
from tests.bench import programs
from tests.bench.harness import PROGRAM, Bench, duration, has, heading, peak_memory, table, timed
from tests.bench.material import FS, HEADPHONE, Sound

SOUNDS = [Sound("PCM_16", 2), Sound("PCM_24", 2), Sound("FLOAT", 2), Sound("PCM_16", 1), Sound("PCM_16", 8)]
FORMATS = {"PCM_16": ("int16", 16), "PCM_24": ("int32", 24), "FLOAT": ("float32", 0)}


def run(bench: Bench) -> None:
    """Slopes of all kinds of sound, growth of one."""
    minutes = (1, 2) if bench.quick else (10, 60)
    heading(
        "Engine",
        f"Time from {minutes[0]} to {minutes[1]} minutes at {FS} Hz, 513 taps, two threads; median of {bench.repeats} turns. "
        "The differences leave start-up out: SoX and `earfilt apply` are whole processes.",
    )
    rows = [slope(bench, sound, minutes) for sound in SOUNDS]
    table(["sound", "engine", "earfilt apply", "SoX", "copy", "SoX / engine", "SoX / apply", "engine / copy", "apply / copy"], rows)
    growth(bench, (1, 5) if bench.quick else (1, 10, 60))


def filter_file(source: Path, result: Path, sound: Sound) -> None:
    """The engine between soundfile's reader and writer, within this process."""
    fir = realise(FilterSpec(HEADPHONE.name, order=HEADPHONE.order), FS)
    dtype, bits = FORMATS[sound.subtype]
    sample = pipeline.SampleFormat(dtype, bits)  # type: ignore[arg-type]
    settings = pipeline.Settings(precision="float64" if sound.subtype == "PCM_24" else "float32")
    with (
        soundfile.SoundFile(source) as reader,
        soundfile.SoundFile(result, "w", FS, sound.channels, subtype=sound.subtype) as writer,
    ):
        pipeline.run(
            lambda frames: reader.read(frames, dtype=dtype, always_2d=True),
            writer.write,
            fir,
            source=sample,
            target=sample,
            channels=sound.channels,
            settings=settings,
        )


def slope(bench: Bench, sound: Sound, minutes: tuple[int, int]) -> list[object]:
    """One kind of sound: seconds from the shorter to the longer file, and the ratios."""
    sources = [sound.make(bench.scratch, 60 * m) for m in minutes]
    result = bench.scratch / "result.wav"
    cases: dict[str, Callable[[Path], object]] = {
        "engine": lambda source: filter_file(source, result, sound),
        "apply": lambda source: programs.earfilt(source, result, HEADPHONE),
        "copy": lambda source: programs.copy(source, result, sound.dtype),
    }
    if has("sox"):
        taps = HEADPHONE.for_sox(bench.scratch)
        cases["sox"] = lambda source: programs.sox(source, result, taps)
    took: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(bench.repeats):
        for name, case in cases.items():
            short, long = (_fresh(case, source, result) for source in sources)
            took[name].append(long - short)
    for source in sources:
        source.unlink()
    seconds = {name: statistics.median(values) for name, values in took.items()}
    times = [duration(seconds[name]) if name in seconds else "" for name in ("engine", "apply", "sox", "copy")]
    pairs = [("sox", "engine"), ("sox", "apply"), ("engine", "copy"), ("apply", "copy")]
    return [sound.title, *times, *(f"{seconds[a] / seconds[b]:.2f}" if a in seconds else "" for a, b in pairs)]


def _fresh(case: Callable[[Path], object], source: Path, result: Path) -> float:
    """Seconds of a case that writes a file that was not there."""
    result.unlink(missing_ok=True)
    return timed(lambda: case(source))


def growth(bench: Bench, minutes: tuple[int, ...]) -> None:
    """Ever longer files: time of the engine, and peak memory of whole processes."""
    heading("Growth with length", "Stereo 16 bit, 513 taps: time of the engine, peak memory of `earfilt apply`; ratio to linear, to flat.")
    sound, result = SOUNDS[0], bench.scratch / "result.wav"
    rows: list[list[object]] = []
    first = (0.0, 0.0)
    for m in minutes:
        source = sound.make(bench.scratch, 60 * m)
        seconds = statistics.median(_fresh(lambda s: filter_file(s, result, sound), source, result) for _ in range(bench.repeats))
        memory = peak_memory(PROGRAM, "apply", source, result, *HEADPHONE.options, "--force", "-q")
        first = first if rows else (seconds / m, memory)
        linear, flat = seconds / m / first[0], memory / first[1]
        rows.append([f"{m} min", duration(seconds), f"{linear:.2f}", f"{memory:.0f} MB", f"{flat:.2f}"])
        source.unlink()
    table(["length", "time", "time per minute, relative", "peak memory", "memory, relative"], rows)
