"""How close the default comes to the published curves: ``python -m benchmarks.accuracy``.

For every ear, at ten rates and in both phases: the taps, the largest deviation at the points and
between them, and the processor time of the design (median of three). The deviations are taken from
the taps alone, by the sum that defines the response, on a grid of their own.
"""

import argparse
import time
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import table
from earfilt.chains.members import resolve
from earfilt.ears import catalogue
from earfilt.ears.curve import PublishedCurve
from earfilt.errors import UsageError
from earfilt.synthesis.within.exact import design_within

RATES = (8000, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
PHASES = ("minimum", "zero")
WITH_LEVELS = ("equal-loudness:60", "loudness-change:80:60")
TOLERANCE_DB = 0.1
COLUMNS = ["filter", "fs", "phase", "taps", "at the points", "between", "at", "design"]
_REPEATS = 3
_PER_POINT = 64  # frequencies between two neighbouring points
_WIDTH = 1 << 20  # products worked on at once


def main() -> None:
    """Print the table; the exit status says whether all of it is within the tolerance."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE_DB, help="dB (default 0.1)")
    parser.add_argument("--rate", type=int, action="append", help="only this rate (repeatable)")
    options = parser.parse_args()
    rates = options.rate or RATES
    found = []
    refused: dict[str, list[int]] = {}
    for name, fs in product(names(), rates):
        try:
            found += [
                (name, fs, phase, *measure(name, fs, phase, options.tolerance)) for phase in PHASES
            ]
        except UsageError:  # the program of this model has no filter at so low a rate
            refused.setdefault(name, []).append(fs)
    rows = [
        [
            *case,
            taps,
            f"{points:.4f} dB",
            f"{between:.4f} dB",
            f"{hz:.1f} Hz",
            f"{1e3 * took:.0f} ms",
        ]
        for *case, taps, points, between, hz, took in found
    ]
    table(COLUMNS, rows)
    largest = max(max(points, between) for *_, points, between, _, _ in found)
    longest = {fs: max(row[-1] for row in found if row[1] == fs) for fs in rates}
    print(f"Largest deviation of {len(rows)} filters: {largest:.4f} dB.")
    for name, where in refused.items():
        print(f"{name} has no filter at {', '.join(map(str, where))} Hz.")
    print("Longest design:", ", ".join(f"{fs} Hz {1e3 * s:.0f} ms" for fs, s in longest.items()))
    raise SystemExit(largest > options.tolerance)


def names() -> list[str]:
    """Every ear of the catalogue; of those with a level in their name, an example."""
    return [
        *(entry.full_name for entry in catalogue.entries() if not entry.is_pattern),
        *WITH_LEVELS,
    ]


def measure(
    name: str, fs: int, phase: str, tolerance_db: float
) -> tuple[int, float, float, float, float]:
    """Taps, largest deviation (dB) at the points, between them and where (Hz), seconds it took."""
    curve = resolve(name).curve_at(fs)
    assert curve is not None
    times = []
    for _ in range(_REPEATS):
        started = time.thread_time()  # of this thread: the threads of the sums below wait busily
        taps = design_within(curve, tolerance_db, phase=phase).taps
        times.append(time.thread_time() - started)
    took = float(np.median(times))
    freqs = between(curve)
    at_points = abs(gain_db(taps, curve.points_hz, fs) - curve.points_db)
    off = abs(gain_db(taps, freqs, fs) - 20 * np.log10(curve.aim(freqs)))
    worst = int(off.argmax())
    return len(taps), float(at_points.max()), float(off[worst]), float(freqs[worst]), took


def between(curve: PublishedCurve) -> NDArray[np.float64]:
    """Frequencies from the first point to the last, as many between any two neighbours."""
    count = len(curve.points_hz)
    steps = np.arange(_PER_POINT * (count - 1) + 1) / _PER_POINT
    return np.interp(steps, np.arange(count), curve.points_hz)


def gain_db(
    taps: NDArray[np.float64], freqs: NDArray[np.float64], fs: float
) -> NDArray[np.float64]:
    """20·log10 |Σ taps[k]·exp(−2πj·f·k/fs)|, term by term."""
    k = np.arange(len(taps))
    step = max(1, _WIDTH // len(taps))
    sums = [
        np.exp(-2j * np.pi * np.outer(freqs[at : at + step] / fs, k)) @ taps
        for at in range(0, len(freqs), step)
    ]
    return 20 * np.log10(np.abs(np.concatenate(sums)))


if __name__ == "__main__":
    main()
