"""What ``earfilt fit`` reaches: ``python -m benchmarks.identify``.

Recordings are made of filters of the catalogue, with noise, drift, delay and distortion of known
size; the curve that comes back is compared with the filter's response, from 150 Hz to 0.4·fs at
points a 48th of an octave apart. Drift is made by the FFT of the whole signal at the other clock's
times, which shares no code with what takes it out. Times are of the processor.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

import earfilt
from benchmarks.harness import table
from earfilt.measure.recordings import read_recording
from earfilt.measure.sweep import make_sweep

Array = npt.NDArray[np.float64]

FS = 16_000
BAND = (150.0, 0.4 * FS)
FILTERS = (
    "middle-ear",
    "headphone",
    "iso532-middle",
    "iso11904-free",
    "outer-middle-ear",
    "retspl-hda200",
    "p58-hats-free",
)
COLUMNS = ["input", "noise", "drift", "limit", "error", "worst", "delay", "drift off", "in 95 %"]
SPEECH = "data/audio/arctic_a0007.wav"


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    kind: str
    snr_db: float | None
    ppm: float
    limit_db: float
    delay: float = 0.0
    least_coherence: float = 0.5


CASES = (
    Case("noise", None, 0, 0.01, 137),
    Case("noise", 30, 0, 0.03, 137.37),
    Case("noise", 10, 0, 0.15),
    Case("speech", None, 0, 0.02, 137, 0.9),
    Case("speech", 30, 0, 0.1, 137.37, 0.9),
    *(Case("noise", None, ppm, 0.05, 50) for ppm in (1, -5, 20, 100)),
    Case("sweep", 40, 0, 0.02, 137.37),
)


def speech(seconds: float, rng: np.random.Generator) -> Array:
    """A sentence again and again, each time at another speed."""
    said = read_recording(SPEECH).samples[:, 0]
    parts: list[Array] = []
    while sum(map(len, parts)) < seconds * FS:
        at = np.arange(0.0, len(said) - 1.0, rng.uniform(0.8, 1.25))
        parts.append(np.interp(at, np.arange(len(said)), said))
    return np.concatenate(parts)[: int(seconds * FS)]


def played(kind: str, seconds: float, rng: np.random.Generator) -> Array:
    """What goes into the filter, before distortion."""
    if kind == "sweep":
        return make_sweep(FS, seconds - 2.0)
    return 0.1 * rng.standard_normal(int(seconds * FS)) if kind == "noise" else speech(seconds, rng)


def recorded(dry: Array, name: str, case: Case, rng: np.random.Generator) -> Array:
    """What a recorder makes of it, with polarity inverted and a gain of 1/2."""
    fir = earfilt.design(name, fs=FS)
    sent = dry
    if case.kind == "sweep":  # a third harmonic of 1 %: 4u³ − 3u of a sine is its triple
        u = dry / np.abs(dry).max()
        sent = dry + 0.01 * np.abs(dry).max() * (4.0 * u**3 - 3.0 * u)
    wet = -0.5 * fftconvolve(sent, fir.taps)[fir.lookahead :]
    wet = at_other_clock(wet, case.ppm, case.delay)
    if case.snr_db is not None:
        wet += wet.std() * 10.0 ** (-case.snr_db / 20.0) * rng.standard_normal(len(wet))
    return wet


def at_other_clock(x: Array, ppm: float, delay: float) -> Array:
    """A signal at the times (n − delay)/(1 + ppm) by its Fourier series, a chirp z-transform."""
    from scipy.signal import czt

    pad = 4096
    total = 1 << (len(x) + pad - 1).bit_length()
    step = 1.0 / (1.0 + ppm * 1e-6)
    spectrum = np.fft.rfft(x, total)
    spectrum *= np.exp(-2j * np.pi * np.arange(len(spectrum)) / total * delay * step)
    frames = len(x) + 2048
    if not ppm:
        return np.fft.irfft(spectrum, total)[:frames]
    spectrum[1:-1] *= 2.0
    # Σ X[k]·exp(2πi·k·n·step/total) for n = 0, 1, …
    return czt(spectrum, frames, w=np.exp(2j * np.pi * step / total)).real / total


def errors(case: Case, name: str, seconds: float, seed: int) -> dict[str, Any]:
    """One cell: how far off a curve is, and how far the clock."""
    rng = np.random.default_rng(seed)
    dry = played(case.kind, seconds, rng)
    wet = recorded(dry, name, case, rng)
    begun = time.process_time()
    estimator = "sweep" if case.kind == "sweep" else "h1"
    found = earfilt.identify(dry, wet, FS, estimator=estimator, band=BAND)  # type: ignore[arg-type]
    took = time.process_time() - begun
    fir = earfilt.design(name, fs=FS)
    kept = found.coherence >= case.least_coherence
    wanted = 20.0 * np.log10(0.5 * np.abs(fir.response(found.frequency_hz)))
    off = (found.gain_db - wanted)[kept]
    seating = found.seatings[0]
    inside = (found.lower_db <= wanted) & (wanted <= found.upper_db)
    return {
        "rms": float(np.sqrt(np.mean(off**2))),
        "worst": float(np.abs(off).max()),
        "mean": float(off.mean()),
        "delay": seating.delay - case.delay,
        "inverted": seating.inverted,
        "drift": None if seating.drift_ppm is None else seating.drift_ppm - case.ppm,
        "inside": float(inside[kept].mean()),
        "took": took,
    }


def rows(seconds: float, seeds: int) -> Iterator[tuple[list[str], bool, float]]:
    """Rows of the table: the worst of all filters and seeds; whether it holds; the longest time."""
    for case in CASES:
        cells = [errors(case, name, seconds, seed) for name in FILTERS for seed in range(seeds)]
        rms = max(cell["rms"] for cell in cells)
        drifts = [abs(cell["drift"]) for cell in cells if cell["drift"] is not None]
        held = (
            rms <= case.limit_db
            and all(cell["inverted"] for cell in cells)
            and max(drifts, default=0.0) <= 0.05
        )
        yield (
            [
                case.kind,
                "none" if case.snr_db is None else f"{case.snr_db:g} dB SNR",
                f"{case.ppm:g} ppm",
                f"{case.limit_db:g} dB",
                f"{rms:.4f} dB",
                f"{max(cell['worst'] for cell in cells):.3f} dB",
                f"{max(abs(cell['delay']) for cell in cells):.4f}",
                f"{max(drifts):.4f} ppm" if drifts else "–",
                f"{100 * np.mean([cell['inside'] for cell in cells]):.0f} %",
            ],
            held,
            max(cell["took"] for cell in cells),
        )


def main() -> None:
    """Print the table, and which limits were missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identify", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    printed, missed, longest = [], [], 0.0
    for row, held, took in rows(asked.seconds, asked.seeds):
        printed.append(row)
        longest = max(longest, took)
        missed += [] if held else [" ".join(row)]
    table(COLUMNS, printed)
    print(f"\nlargest rms of {len(FILTERS)} filters, {asked.seeds} seeds each; delay in samples")
    print(f"{asked.seconds:g} s are identified in {longest:.2f} s of processor time at most")
    print(descent())
    for line in missed:
        print(f"MISSED: {line}")


def descent() -> str:
    """The time of a descent's step on each device."""
    import torch

    words = []
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        ear = earfilt.ear("middle-ear", 48000, learnable=True)
        goal = earfilt.Goal(ear.freqs[0], ear.freqs[0] * 0.0)
        earfilt.fit(ear, goal, steps=1, device=device)
        done = earfilt.fit(ear, goal, steps=10)
        words.append(f"{1e3 * done.step_s:.1f} ms on {device}")
    return f"a step of the descent (6 evaluations, 44 numbers, 321 taps): {', '.join(words)}"


if __name__ == "__main__":
    main()
