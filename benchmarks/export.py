"""Ears as recorded programs: how far their samples are from the module's, and how long they take."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from benchmarks.harness import Bench, duration, heading, table
from benchmarks.material import FS
from earfilt import HeadphoneFilter, OuterMiddleEarFilter

Program = Callable[[torch.Tensor], Any]
EARS = {"HeadphoneFilter": HeadphoneFilter, "OuterMiddleEarFilter": OuterMiddleEarFilter}


def run(bench: Bench) -> None:
    """Each kind of program, on a signal of another length than it was recorded with."""
    seconds = 1 if bench.quick else 10
    heading(
        "Export",
        f"(2, {seconds * FS}) float32 through programs that were recorded with 1.5 seconds; the "
        "largest difference from the module in eval, re its largest sample.",
    )
    x = torch.randn(2, seconds * FS, generator=torch.Generator().manual_seed(1))
    rows = []
    for name, make in EARS.items():
        ear = make(FS).eval()
        wanted = ear(x)
        made = {"module": ear, **programs(ear, bench.scratch)}
        took = bench.medians({kind: partial(program, x) for kind, program in made.items()})
        for kind, program in made.items():
            off = float((torch.as_tensor(program(x)) - wanted).abs().max() / wanted.abs().max())
            rows.append([name, kind, duration(took[kind]), f"{off:.0e}"])
            if kind != "module":
                bench.goal(f"{name}, {kind}: off by, in 1e-6", off * 1e6, at_most=10.0, unit="")
    table(["class", "as", "time", "off by"], rows)


def programs(ear: torch.nn.Module, scratch: Path) -> dict[str, Program]:
    """The ear as a program of each kind that is installed."""
    example = torch.zeros(2, FS * 3 // 2)
    any_length = {0: Dim("rows", max=1024), 1: Dim("frames", min=FS // 4, max=1 << 28)}
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        exported = torch.export.export(ear, (example,), dynamic_shapes=(any_length,))
        made: dict[str, Program] = {
            "torch.export": exported.module(),
            "torch.jit.trace": torch.jit.trace(ear, (example,)),
        }
        with contextlib.suppress(ImportError):
            made["ONNX Runtime"] = _onnx(exported, scratch / "ear.onnx")
    return made


def _onnx(exported: torch.export.ExportedProgram, path: Path) -> Program:
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.export(exported, (), path, input_names=["x"], verbose=False)
    session = onnxruntime.InferenceSession(path)
    return lambda x: session.run(None, {"x": x.numpy()})[0]
