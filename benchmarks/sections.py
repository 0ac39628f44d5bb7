"""What a few biquads reach: ``python -m benchmarks.sections``.

For the curves of the table in README.md: the largest deviation of 4, 6 and 8 sections and of ten
rounded bands, each measured on the coefficients by scipy on a grid of its own, the processor time
of the design, and what rounding the coefficients changes.
"""

import argparse
import time
from typing import Literal

import numpy as np
from scipy.signal import sosfreqz

from benchmarks.harness import table
from earfilt.chains.members import resolve
from earfilt.chains.sections import design
from earfilt.synthesis.biquads.sections import Sections

NAMES = (
    "iso532-free",
    "iso532-diffuse",
    "iso532-free+iso532-middle",
    "headphone",
    "iso532-middle",
)
RATES = (16000, 44100, 48000, 96000, 192000)
CASES: tuple[tuple[Literal["sections", "peaking"], int], ...] = (
    ("sections", 4),
    ("sections", 6),
    ("sections", 8),
    ("peaking", 10),
)
COLUMNS = ["filter", "fs", "form", "number", "deviation", "float32", "32 bits", "design"]
LONGEST_S = 2.0
# Largest deviations at 48 kHz that are to be reached, dB; the last one of ten bands.
GOALS_DB = {
    "iso532-free": (0.79, 0.28, 0.10, 0.25),
    "iso532-diffuse": (0.30, 0.11, 0.05, 0.16),
    "iso532-free+iso532-middle": (1.09, 0.23, 0.12, 0.34),
    "headphone": (0.81, 0.33, 0.19, 0.28),
    "iso532-middle": (1.24, 0.93, 0.31, np.inf),
}


def main() -> None:
    """Print the table, and which goals were missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sections", description=__doc__)
    parser.add_argument("--rate", type=int, action="append", help="only this rate (repeatable)")
    rates = parser.parse_args().rate or RATES
    design(resolve(NAMES[0]), 48000.0, sections=1)  # loads what the first design would
    rows, missed = [], []
    for fs in rates:
        for name in NAMES:
            for index, (form, count) in enumerate(CASES):
                start = time.process_time()
                found = design(resolve(name), float(fs), sections=count, form=form)
                took = time.process_time() - start
                reached = measured(found, name, float(fs))
                rows.append(
                    [
                        name,
                        fs,
                        form,
                        count,
                        f"{reached:.3f} dB",
                        f"{found.float32_db:.2g} dB",
                        f"{found.q30_db:.2g} dB",
                        f"{took:.2f} s",
                    ]
                )
                goal = GOALS_DB[name][index] if fs == 48000 else np.inf
                if reached > goal or took > LONGEST_S:
                    missed.append(
                        f"{name} at {fs} Hz, {count} {form}: {reached:.3f} dB (goal {goal:g}), "
                        f"{took:.2f} s (goal {LONGEST_S:g})"
                    )
    table(COLUMNS, rows)
    print("\n".join(["Missed:", *missed]) if missed else "All goals are met.")


def measured(found: Sections, name: str, fs: float) -> float:
    """Largest deviation from the curve within the band, dB."""
    curve = resolve(name).curve_at(fs)
    assert curve is not None
    assert found.band_hz is not None
    low, high = found.band_hz
    freqs = np.union1d(np.geomspace(low, high, 20_011), curve.points_hz)
    freqs = freqs[(freqs >= low) & (freqs <= high)]
    reached = np.abs(sosfreqz(found.sos, freqs, fs=fs)[1])
    return float(np.abs(20.0 * np.log10(reached / curve.aim(freqs))).max())


if __name__ == "__main__":
    main()
