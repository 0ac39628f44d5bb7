"""The order that 0.1 dB needs: every ear at two rates, both phases, beside the plain design of the
same tolerance.
"""

import time

import numpy as np

from benchmarks.harness import Bench, heading, table
from earfilt.chains.members import resolve
from earfilt.ears.curve import PublishedCurve
from earfilt.synthesis.deviation import Deviation, deviation
from earfilt.synthesis.within.taps import Design
from earfilt.synthesis.within.tolerance import order_for

EARS = (
    "headphone",
    "middle-ear",
    "middle-ear:jepsen2008",
    "middle-ear:goode1994",
    "outer-middle-ear:1997-free",
    "outer-middle-ear:1997-diffuse",
    "outer-middle-ear:2007-free",
    "outer-middle-ear:2007-diffuse",
)
RATES = (16000, 48000)
PHASES = ("minimum", "zero")
TOLERANCE_DB = 0.1
# the target is for the points from here up; what the ones below reach is printed too
LOWEST_HZ = 50.0
PLAIN_ORDERS = (512, 1024, 2048, 4096, 8192, 16384, 32768)
COLUMNS = [
    "filter",
    "fs",
    "phase",
    "order",
    "smallest",
    "points ≥ 50 Hz",
    "points < 50 Hz",
    "between",
    "design",
    "plain order",
]


def run(bench: Bench) -> None:
    """One table."""
    heading(
        "Order for 0.1 dB",
        "Largest deviations in dB. The plain order keeps the points from 50 Hz up alone; "
        "powers of two were tried.",
    )
    table(COLUMNS, rows(EARS[:1] if bench.quick else EARS))


def rows(ears: tuple[str, ...]) -> list[list[object]]:
    """One row for each ear, rate and phase."""
    return [row(name, fs, phase) for name in ears for fs in RATES for phase in PHASES]


def row(name: str, fs: int, phase: str) -> list[object]:
    """What one design reached, and in what processor time."""
    curve = resolve(name).curve_at(fs)
    assert curve is not None
    start = time.process_time()
    design = order_for(curve, TOLERANCE_DB, phase=phase)
    seconds = time.process_time() - start
    high, low = (part(design, curve, above) for above in (True, False))
    smallest = "yes" if design.order_below == design.order - 2 else "?"
    return [
        name,
        fs,
        phase,
        design.order,
        smallest,
        high,
        low,
        f"{design.between.db:.4f}",
        f"{seconds:.2f} s",
        plain(name, fs, phase),
    ]


def part(design: Design, curve: PublishedCurve, above: bool) -> str:
    """Largest deviation at the points from 50 Hz up, or at those below."""
    some = points(curve, above)
    return f"{deviation(design.taps, some).db:.4f}" if some.points_hz.size else "none"


def points(curve: PublishedCurve, above: bool) -> PublishedCurve:
    """The curve with the points from 50 Hz up alone, or those below."""
    chosen = (curve.points_hz >= LOWEST_HZ) == above
    return PublishedCurve(curve.points_hz[chosen], curve.points_db[chosen], curve.aim, curve.fs)


def plain(name: str, fs: int, phase: str) -> str:
    """The first plain design (frequency sampling) that keeps the points from 50 Hz up."""
    for order in PLAIN_ORDERS:
        reached = plain_deviation(name, fs, phase, order)
        if reached.db <= TOLERANCE_DB:
            return str(order)
    return f"> {PLAIN_ORDERS[-1]}"


def plain_deviation(name: str, fs: int, phase: str, order: int) -> Deviation:
    """Deviation of the plain design at the points from 50 Hz up, by an FFT finer than any of them
    (the direct sum takes longer).
    """
    spec = resolve(name, order=order, phase=phase)
    curve = spec.curve_at(fs)
    assert curve is not None
    some = points(curve, True)
    fir = spec.at(fs)
    off = np.abs(20 * np.log10(np.abs(fir.response(some.points_hz))) - some.points_db)
    return Deviation(float(off.max()), float(some.points_hz[off.argmax()]))
