"""Growth with length: seconds for each further minute, and peak memory, from 1 to 60 minutes."""

import statistics
from functools import partial
from itertools import pairwise

from benchmarks import programs
from benchmarks.harness import PROGRAM, Bench, duration, heading, peak_memory, table
from benchmarks.material import HEADPHONE, Sound

# times the usual turns for all but the longest: what lies between them is little more than the
# scatter of start-up
SHORT_TURNS = 5


def run(bench: Bench) -> None:
    """Each length against the one before."""
    minutes = (1, 3, 5) if bench.quick else (1, 10, 60)
    seconds, memory = measure(bench, minutes)
    slopes = [(seconds[b] - seconds[a]) / (b - a) for a, b in pairwise(minutes)]
    heading(
        "Growth with length",
        "`earfilt apply` on stereo 16 bit, whole processes. A further minute: the time "
        "beyond the length above, by minute. Relative: "
        f"time, a further minute's against the first one; memory, against {minutes[0]} min.",
    )
    further = ["", *(duration(slope) for slope in slopes)]
    linear = ["", *(f"{slope / slopes[0]:.2f}" for slope in slopes)]
    rows = [
        [
            f"{m} min",
            duration(seconds[m]),
            further[i],
            linear[i],
            f"{memory[m]:.0f} MB",
            f"{memory[m] / memory[minutes[0]]:.2f}",
        ]
        for i, m in enumerate(minutes)
    ]
    table(["length", "time", "a further minute", "relative", "peak memory", "relative"], rows)
    a, b, c = minutes
    bench.goal(
        f"A minute of {b} → {c} min against one of {a} → {b}: linear",
        slopes[1] / slopes[0],
        at_least=0.9,
        at_most=1.1,
    )
    bench.goal(f"Peak memory at {c} min against {a} min: flat", memory[c] / memory[a], at_most=1.1)


def measure(
    bench: Bench, minutes: tuple[int, int, int]
) -> tuple[dict[int, float], dict[int, float]]:
    """Median seconds and peak memory in MB by length."""
    sound, result = Sound("PCM_16", 2), bench.scratch / "result.wav"
    sources = {m: sound.make(bench.scratch, 60 * m) for m in minutes}
    cases = {
        m: partial(programs.earfilt, source, result, HEADPHONE) for m, source in sources.items()
    }
    before = partial(result.unlink, missing_ok=True)
    took = bench.in_turns(cases, before=before)
    few = {m: cases[m] for m in minutes[:-1]}
    more = bench.in_turns(
        few,
        before=before,
        untimed=False,
        turns=0 if bench.quick else (SHORT_TURNS - 1) * bench.repeats,
    )
    memory = {}
    for m, source in sources.items():
        memory[m] = peak_memory(
            PROGRAM, "apply", source, result, *HEADPHONE.options, "--force", "-q"
        )
        source.unlink()
    result.unlink()
    return {m: statistics.median(took[m] + more.get(m, [])) for m in minutes}, memory
