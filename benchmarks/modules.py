"""The library: design of each ear, a long signal through it, training steps, torch.compile."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.signal
import torch

from benchmarks.harness import Bench, Case, duration, heading, ratio, table, times
from benchmarks.material import FS
from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter

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
    heading(
        "Design",
        f"Constructing a module at {FS} Hz, default order; and how far its float32 taps are "
        "from those of a float64 module.",
    )
    seconds = bench.medians({name: partial(ear, FS) for name, ear in EARS.items()})
    rows = []
    for name, ear in EARS.items():
        single, double = (
            ear(FS, dtype=dtype).fir_coeffs.double() for dtype in (torch.float32, torch.float64)
        )
        worst = float((single - double).norm() / double.norm())
        rows.append([name, duration(seconds[name]), f"{20 * np.log10(max(worst, 1e-20)):.0f} dB"])
    table(["class", "time", "taps from float64"], rows)


def ten_seconds(bench: Bench) -> None:
    """A whole signal of ten seconds through each class in eval, and through scipy."""
    threads = torch.get_num_threads()
    heading(
        "Ten seconds of stereo",
        f"(2, {10 * FS}) float32 through a module in eval, {threads} threads; scipy in float64.",
    )
    x = torch.tensor(np.random.default_rng(3).standard_normal((2, 10 * FS)) * 0.1)
    single = x.float()
    ears = {name: make(FS).eval() for name, make in EARS.items()}
    passes = scipy.signal.firwin(4097, 0.5)
    taps = np.convolve(passes, passes)[None]
    cases: dict[str, Case] = {name: partial(ear, single) for name, ear in ears.items()}
    cases["scipy.signal.oaconvolve, 8193 taps"] = lambda: scipy.signal.oaconvolve(
        x.numpy(), taps, axes=1
    )
    with torch.no_grad():
        seconds = bench.medians(cases)
        exact = {
            name: (ears[name](single) - make(FS, dtype=torch.float64).eval()(x)).abs().max().item()
            for name, make in EARS.items()
        }
    rows = [
        [name, duration(took), f"{20 * np.log10(exact[name]):.0f} dBFS" if name in exact else ""]
        for name, took in seconds.items()
    ]
    table(["class", "time", "from float64"], rows)


def training(bench: Bench) -> None:
    """Forward, backward and optimizer step on one second."""
    steps = 2 if bench.quick else 20
    heading(
        "Training step",
        f"(2, {FS}) float32: design, forward, backward and Adam; plain and under "
        f"torch.compile; {bench.repeats} turns of {steps} steps.",
    )
    x, target = torch.randn(2, FS), torch.randn(2, FS)
    cases: dict[tuple[str, str], Case] = {}
    for name, make in EARS.items():
        plain = make(FS, learnable=True).train()
        compiled = torch.compile(make(FS, learnable=True).train())
        cases |= {
            (name, kind): _training(ear, x, target, steps)
            for kind, ear in (("plain", plain), ("compiled", compiled))
        }
    took = bench.medians(cases)
    each = {key: seconds / steps for key, seconds in took.items()}
    rows = [
        [
            name,
            *(duration(each[name, kind]) for kind in ("plain", "compiled")),
            times(ratio(each, (name, "plain"), (name, "compiled"))),
        ]
        for name in EARS
    ]
    table(["class", "plain", "compiled", "compiled is faster by"], rows)


def _training(ear: Any, x: torch.Tensor, target: torch.Tensor, steps: int) -> Case:
    optimizer = torch.optim.Adam(ear.parameters(), lr=1e-4)

    def train() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            y = ear(x)
            (y - target[..., : y.shape[-1]]).square().mean().backward()
            optimizer.step()

    return train
