"""The library: design of each ear, a long signal through it, training steps, torch.compile."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.signal
import torch

from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
from tests.bench.harness import Bench, duration, heading, table
from tests.bench.material import FS

EARS: dict[str, Callable[..., Any]] = {
    "HeadphoneFilter": HeadphoneFilter,
    "MiddleEarFilter": MiddleEarFilter,
    "OuterMiddleEarFilter": OuterMiddleEarFilter,
}


def run(bench: Bench) -> None:
    """Design, ten seconds, training."""
    design(bench)
    ten_seconds(bench)
    training(bench)


def design(bench: Bench) -> None:
    """Constructing each class at its default order."""
    heading("Design", f"Constructing a module at {FS} Hz, default order; and how far its float32 taps are from those of a float64 module.")
    seconds = bench.medians({name: partial(ear, FS) for name, ear in EARS.items()})
    rows = []
    for name, ear in EARS.items():
        single, double = (ear(FS, dtype=dtype).fir_coeffs.double() for dtype in (torch.float32, torch.float64))
        worst = float((single - double).norm() / double.norm())
        rows.append([name, duration(seconds[name]), f"{20 * np.log10(max(worst, 1e-20)):.0f} dB"])
    table(["class", "time", "taps from float64"], rows)


def ten_seconds(bench: Bench) -> None:
    """A whole signal of ten seconds through each class in eval."""
    heading("Ten seconds of stereo", f"(2, {10 * FS}) float32 through a module in eval, {torch.get_num_threads()} threads.")
    x = torch.tensor(np.random.default_rng(3).standard_normal((2, 10 * FS)) * 0.1)
    rows = []
    with torch.no_grad():
        for name, make in EARS.items():
            ear, exact = make(FS).eval(), make(FS, dtype=torch.float64).eval()
            single = x.float()
            ear(single)
            seconds = bench.medians({"ear": partial(ear, single)})["ear"]
            worst = float((ear(single).double() - exact(x)).abs().max())
            rows.append([name, duration(seconds), f"{20 * np.log10(worst):.0f} dBFS"])
    passes = scipy.signal.firwin(4097, 0.5)
    by_scipy = bench.medians({"filtfilt": lambda: scipy.signal.oaconvolve(x.numpy(), np.convolve(passes, passes)[None], axes=1)})
    rows.append(["scipy.signal.oaconvolve, 8193 taps, float64", duration(by_scipy["filtfilt"]), ""])
    table(["class", "time", "from float64"], rows)


def training(bench: Bench) -> None:
    """Forward, backward and optimizer step on one second."""
    heading("Training step", f"(2, {FS}) float32: design, forward, backward and Adam; plain and under torch.compile.")
    x, target = torch.randn(2, FS), torch.randn(2, FS)
    rows = []
    for name, make in EARS.items():
        steps: dict[str, Any] = {"plain": make(FS, learnable=True).train()}
        steps["compiled"] = torch.compile(make(FS, learnable=True).train())
        cases = {kind: _step(ear, x, target) for kind, ear in steps.items()}
        for case in cases.values():
            case()
        seconds = bench.medians(cases)
        rows.append([name, duration(seconds["plain"]), duration(seconds["compiled"]), f"{seconds['plain'] / seconds['compiled']:.2f}×"])
    table(["class", "plain", "compiled", "compiled is faster by"], rows)


def _step(ear: Any, x: torch.Tensor, target: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(ear.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        y = ear(x)
        (y - target[..., : y.shape[-1]]).square().mean().backward()
        optimizer.step()

    return step
