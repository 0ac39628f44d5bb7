"""Long files: whole processes on 10 minutes and on an hour; the time from one to the other leaves
start-up out.
"""

import statistics
from functools import partial
from pathlib import Path

from benchmarks import programs
from benchmarks.harness import Bench, Case, duration, has, heading, ratio, table, times
from benchmarks.material import FS, HEADPHONE, Sound

SOUNDS = (Sound("PCM_16", 2), Sound("PCM_24", 2), Sound("FLOAT", 2))
FASTER = {"PCM_16": 3.0, "PCM_24": 1.0, "FLOAT": 1.5}  # than SoX, from 10 to 60 minutes
FASTER_WHOLE = {"PCM_16": 1.5, "PCM_24": 1.0, "FLOAT": 1.5}  # than SoX, whole process on 60 minutes
COPIES = 3.5  # times the bare copy, 16 bit
PAIR = 1.0  # times one FIR

Seconds = dict[str, float]


def run(bench: Bench) -> None:
    """Both tables, from the same runs."""
    minutes = (1, 2) if bench.quick else (10, 60)
    measured = {sound: measure(bench, sound, minutes) for sound in SOUNDS}
    heading(
        f"Long files: from {minutes[0]} to {minutes[1]} minutes",
        f"{FS} Hz, {HEADPHONE.title}. The time of {minutes[1]} minutes less that of "
        f"{minutes[0]} in the same turn, median of "
        f"{bench.repeats} turns: what a length takes beyond start-up. SoX with -D; the copy "
        "reads and writes through soundfile.",
    )
    slopes = {sound: slope for sound, (slope, _) in measured.items()}
    heads = ["sound", "earfilt apply", "SoX fir", "bare copy", "SoX / earfilt", "earfilt / copy"]
    table(heads, [_row(*pair, with_copy=True) for pair in slopes.items()])
    heading("Two ears", "The same through a pair of FIRs that differ.")
    table(
        ["sound", "one FIR", "a pair", "pair / one"],
        [
            [
                sound.title,
                duration(slope["earfilt"]),
                duration(slope["pair"]),
                times(ratio(slope, "pair", "earfilt")),
            ]
            for sound, slope in slopes.items()
        ],
    )
    heading(
        f"Long files: {minutes[1]} minutes",
        "The longer files of the same turns: whole processes, start-up included.",
    )
    wholes = {sound: whole for sound, (_, whole) in measured.items()}
    table(
        ["sound", "earfilt apply", "SoX fir", "SoX / earfilt"],
        [_row(*pair, with_copy=False) for pair in wholes.items()],
    )
    judge(bench, slopes, wholes, minutes)


def judge(
    bench: Bench,
    slopes: dict[Sound, Seconds],
    wholes: dict[Sound, Seconds],
    minutes: tuple[int, int],
) -> None:
    """The goals of long files."""
    for sound, slope in slopes.items():
        what = f"{minutes[0]} → {minutes[1]} min, {sound.title}"
        bench.goal(
            f"{what}: faster than SoX by",
            ratio(slope, "sox", "earfilt"),
            at_least=FASTER[sound.subtype],
        )
        bench.goal(f"{what}: a pair, times one FIR", ratio(slope, "pair", "earfilt"), at_most=PAIR)
        if sound.subtype == "PCM_16":
            bench.goal(
                f"{what}: times the bare copy", ratio(slope, "earfilt", "copy"), at_most=COPIES
            )
    for sound, whole in wholes.items():
        what = f"{minutes[1]} min, {sound.title}, whole process: faster than SoX by"
        bench.goal(what, ratio(whole, "sox", "earfilt"), at_least=FASTER_WHOLE[sound.subtype])


def measure(bench: Bench, sound: Sound, minutes: tuple[int, int]) -> tuple[Seconds, Seconds]:
    """Median seconds from the shorter to the longer file, and of the longer one, by program."""
    short, long = (sound.make(bench.scratch, 60 * m) for m in minutes)
    result = bench.scratch / "result.wav"
    kinds = ["earfilt", "pair", *(["sox"] if has("sox") else []), "copy"]
    cases = {
        (kind, source): _case(bench, kind, sound, source, result)
        for kind in kinds
        for source in (short, long)
    }
    took = bench.in_turns(cases, before=partial(result.unlink, missing_ok=True), untimed=False)
    for path in (short, long, result):
        path.unlink()
    slope = {
        kind: statistics.median(
            b - a for a, b in zip(took[kind, short], took[kind, long], strict=True)
        )
        for kind in kinds
    }
    return slope, {kind: statistics.median(took[kind, long]) for kind in kinds}


def _case(bench: Bench, kind: str, sound: Sound, source: Path, result: Path) -> Case:
    if kind == "earfilt":
        return partial(programs.earfilt, source, result, HEADPHONE)
    if kind == "pair":
        pair = HEADPHONE.for_two_ears(bench.scratch)
        return partial(programs.earfilt_pair, source, result, pair)
    if kind == "sox":
        return partial(programs.sox, source, result, HEADPHONE.for_sox(bench.scratch))
    return partial(programs.copy, source, result, sound.dtype)


def _row(sound: Sound, seconds: Seconds, *, with_copy: bool) -> list[object]:
    row: list[object] = [sound.title, duration(seconds["earfilt"]), duration(seconds.get("sox"))]
    row += [duration(seconds["copy"])] if with_copy else []
    row += [times(ratio(seconds, "sox", "earfilt"))]
    return row + ([times(ratio(seconds, "earfilt", "copy"))] if with_copy else [])
