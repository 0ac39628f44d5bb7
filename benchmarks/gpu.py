"""What a GPU does, each line beside its bound: ``python -m benchmarks.gpu [--device cpu] [--quick]``.

Within ten minutes of a machine with a GPU. With ``--device cpu`` the same runs on the CPU: it shows
that all works, and how many operations would be launched; its times are not those of a device.
"""

import argparse
import importlib
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import machine, ramdisk
from benchmarks.harness import PROGRAM, Bench, duration, execute, heading, table, timed, times
from benchmarks.material import FS, HEADPHONE, Sound
from earfilt import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter, apply_file

EARS = {"headphone": HeadphoneFilter, "outer+middle ear": OuterMiddleEarFilter}
LARGE, MIDDLE, SMALL = (64, 480_000), (32, 64_000), (2, 48_000)
AT_MOST = 1.15  # times the bound
STEP_MS = 1.5
VIEWS = {
    *("view", "slice", "select", "unsqueeze", "squeeze", "expand", "as_strided", "t", "transpose"),
    *("detach", "alias", "unfold", "view_as_real", "view_as_complex", "_unsafe_view", "permute"),
    *("_record_function_enter_new", "_record_function_exit"),
    *("empty", "empty_like", "lift_fresh", "_reshape_alias", "split", "_conj"),
}
SHORT_FILES, SHORT_FRAMES = 3000, 8000


class Device:
    """Where it runs, and how time is taken there."""

    def __init__(self, name: str, repeats: int) -> None:
        self.name, self.repeats, self.is_cuda = name, repeats, name.startswith("cuda")

    def done(self) -> None:
        """Wait for all that was launched."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def seconds(self, case: Callable[[], Any]) -> float:
        """Median of a call, launched and done, of several in a row: what a loop of them takes."""
        for _ in range(3):
            case()
        self.done()
        took, calls = [], 10 if self.is_cuda else 1
        for _ in range(self.repeats):
            started = time.perf_counter()
            for _ in range(calls):
                case()
            self.done()
            took.append((time.perf_counter() - started) / calls)
        return statistics.median(took)

    def peak(self, case: Callable[[], Any]) -> float | None:
        """Bytes held at most during a call, beside what is there before it."""
        if not self.is_cuda:
            return None
        case()
        self.done()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        case()
        self.done()
        return float(torch.cuda.max_memory_allocated() - before)


class Launches(TorchDispatchMode):
    """Counts operations that launch a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[1]
        self.counts[name] += name not in VIEWS
        return func(*args, **(kwargs or {}))


def single_call(x: torch.Tensor, taps: torch.Tensor, n_fft: int) -> Callable[[], torch.Tensor]:
    """The bound: overlap-save with all segments in one call, by hand and without anything else."""
    hop = n_fft - len(taps) + 1
    response = torch.fft.rfft(taps.to(x), n=n_fft)
    behind = -x.shape[-1] % hop

    def filtered() -> torch.Tensor:
        padded = torch.nn.functional.pad(x, (len(taps) - 1, behind))
        spectra = torch.fft.rfft(padded.unfold(-1, n_fft, hop))
        y = torch.fft.irfft(spectra * response, n=n_fft)
        return y[..., len(taps) - 1 :].flatten(-2)[..., : x.shape[-1]]

    return filtered


def best_bound(device: Device, x: torch.Tensor, taps: torch.Tensor) -> tuple[float, int]:
    """Seconds of the best size of FFT, and that size."""
    first = max(1024, 1 << (2 * len(taps) - 1).bit_length())
    sizes = [first << k for k in range(4)]
    return min((device.seconds(single_call(x, taps, size)), size) for size in sizes)


@torch.no_grad()
def forward(bench: Bench, device: Device) -> None:
    """Forward in `eval`: both kinds of ear, three shapes."""
    heading(
        "Forward in eval",
        "float32. The bound: one overlap-save call of all segments, with the best of four sizes of "
        "FFT; fftconvolve is torchaudio's. Memory: at most held during the call, output included.",
    )
    fftconvolve = _torchaudio()
    rows = []
    shapes = (SMALL,) if bench.quick else (LARGE, MIDDLE, SMALL)
    for name, make in EARS.items():
        ear = make(FS).to(device.name).eval()
        taps = ear.taps().float()
        for shape in shapes:
            x = torch.randn(shape, device=device.name)
            ours, (bound, n_fft) = device.seconds(partial(ear, x)), best_bound(device, x, taps)
            other = None
            if fftconvolve is not None:
                rows_of_taps = taps.expand(shape[0], -1)
                other = device.seconds(partial(fftconvolve, x, rows_of_taps))
            held = device.peak(partial(ear, x))
            share = None if held is None else held / (x.numel() * 4)
            with Launches() as launches:
                ear(x)
            off = _off(ear, x)
            rows.append(
                [
                    *(f"{name} {shape}", duration(ours), duration(bound), n_fft),
                    *(times(ours / bound), duration(other), times(share)),
                    *(launches.counts.total(), f"{off:.0e}"),
                ]
            )
            if shape != SMALL:
                bench.goal(f"{name} {shape}: times the bound", ours / bound, at_most=AT_MOST)
            if shape == LARGE:
                bench.goal(f"{name} {shape}: memory beside the input", share, at_most=2.0)
    heads = ["", "earfilt", "bound", "its FFT", "ratio", "fftconvolve", "memory", "launches", "off"]
    table(heads, rows)


def _off(ear: Any, x: torch.Tensor) -> float:
    """Largest difference from the same ear on the CPU, of two rows."""
    there = ear(x[:2]).cpu()
    wanted = type(ear)(FS).eval()(x[:2].cpu())
    return float((there - wanted).abs().max() / wanted.abs().max())


def _torchaudio() -> Any:
    try:
        return importlib.import_module("torchaudio.functional").fftconvolve
    except ImportError:
        return None


class Taps(torch.nn.Module):
    """The bound of a step: taps that learn by themselves, and one FFT of torch."""

    def __init__(self, numtaps: int) -> None:
        super().__init__()
        self.taps = torch.nn.Parameter(torch.randn(numtaps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n_fft = 1 << (x.shape[-1] + len(self.taps) - 2).bit_length()
        spectrum = torch.fft.rfft(x, n_fft) * torch.fft.rfft(self.taps, n_fft)
        return torch.fft.irfft(spectrum, n_fft)[..., : x.shape[-1]]


class Gain(torch.nn.Module):
    """The least of a step: one product."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gain


def training(bench: Bench, device: Device) -> None:
    """A training step of numbers that learn."""
    heading(
        "Training step",
        f"{SMALL} float32, mse_loss, Adam (fused), eager. The bounds, on the processor of the hour: "
        "what learns are 513 taps by themselves, through one FFT of torch; or one gain. Launches: "
        "calls that start work on the device, of a graph one; kernels: what the device then did.",
    )
    rows = []
    ears = {**EARS, "middle ear": MiddleEarFilter}
    learners = {name: make(FS, learnable=True) for name, make in ears.items()}
    for name, learner in {**learners, "513 taps": Taps(513), "a gain": Gain()}.items():
        step = _step(learner.to(device.name).train(), device)
        seconds = device.seconds(step)
        rows.append([name, duration(seconds), *_launched(device, step)])
        if name in ("headphone", "middle ear"):
            measured = seconds * 1e3 if device.is_cuda else None
            bench.goal(f"training step, {name}", measured, at_most=STEP_MS, unit=" ms")
    table(["what learns", "time", "launches", "kernels"], rows)


def _step(ear: Any, device: Device) -> Callable[[], None]:
    optimizer = torch.optim.Adam(ear.parameters(), lr=1e-4, fused=True)
    x, target = (torch.randn(SMALL, device=device.name) for _ in range(2))

    def step() -> None:
        optimizer.zero_grad()
        y = ear(x)
        torch.nn.functional.mse_loss(y, target[..., : y.shape[-1]]).backward()
        optimizer.step()

    return step


def _launched(device: Device, step: Callable[[], None]) -> tuple[object, object]:
    if not device.is_cuda:
        with Launches() as launches:
            step()
        return launches.counts.total(), "–"
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU], acc_events=True) as seen:
        step()
        device.done()
    events = seen.events()
    calls = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMem")
    return (
        sum(event.name.startswith(calls) for event in events),
        sum(event.device_type == DeviceType.CUDA for event in events),
    )


def graphs(bench: Bench, device: Device) -> None:
    """`forward`, and a step that trains a gain before an ear of fixed numbers, in CUDA graphs."""
    heading("CUDA graphs", f"{SMALL} float32, captured after warming up, and replayed.")
    if not device.is_cuda:
        print("Not on the CPU.\n")
        return
    rows = []
    for name, make in EARS.items():
        ear = make(FS).cuda().eval()
        x, gain = torch.randn(SMALL, device="cuda"), torch.ones((), device="cuda").requires_grad_()
        optimizer = torch.optim.Adam([gain], capturable=True)

        def step(ear: Any = ear, x: Any = x, gain: Any = gain, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad(set_to_none=False)
            ear(x * gain).square().mean().backward()
            optimizer.step()

        cases: dict[str, Callable[[], Any]] = {"forward": partial(ear, x), "step": step}
        for kind, case in cases.items():
            rows.append([name, kind, *_captured(device, case)])
            bench.goal(
                f"graph of {kind}, {name}: captured", float(rows[-1][-1] == "yes"), at_least=1
            )
    table(["", "what", "eager", "replayed", "captured"], rows)


def _captured(device: Device, case: Callable[[], Any]) -> list[object]:
    eager = device.seconds(case)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            case()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            case()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return [duration(eager), "–", "no"]
    return [duration(eager), duration(device.seconds(graph.replay)), "yes"]


def copies(device: Device, minutes: int) -> float | None:
    """Seconds that the bus needs for the samples of stereo as float32, there and back, pinned."""
    if not device.is_cuda:
        return None
    here = torch.empty(minutes * 60 * FS, 2, pin_memory=True)
    there = torch.empty_like(here, device=device.name)
    return device.seconds(
        lambda: here.copy_(there.copy_(here, non_blocking=True), non_blocking=True)
    )


def files(bench: Bench, device: Device) -> None:
    """A long file, beyond start-up, and many short ones."""
    shorter, longer = (1, 2) if bench.quick else (5, 60)
    sound, out = Sound("PCM_16", 2), bench.scratch / "out.wav"
    inputs = {m: sound.make(bench.scratch, m * 60) for m in (shorter, longer)}

    def apply(*names: object, device: str) -> float:
        run = ("apply", *names, "-f", HEADPHONE.name, "--force", "-q", "--device", device)
        return timed(lambda: execute(PROGRAM, *run))

    def apply_here(path: Path, out: Path, device: str) -> float:
        settings: Any = {"exists": "force", "device": device}
        return timed(lambda: apply_file(path, out, HEADPHONE.name, **settings))

    def copied(path: Path, out: Path, device: str) -> float:
        out.unlink(missing_ok=True)
        return timed(lambda: shutil.copyfile(path, out))

    rows = []
    ways: dict[str, Callable[..., float]] = {
        "whole process": apply,
        "within one Python": apply_here,
        "bare copy": copied,
    }
    for way, case in ways.items():
        names = ("",) if case is copied else dict.fromkeys(("cpu", device.name, "auto"))
        for name in names:
            case(inputs[shorter], out, device=name)  # what starts once has started
            whole = {
                m: statistics.median(case(path, out, device=name) for _ in range(3))
                for m, path in inputs.items()
            }
            slope = whole[longer] - whole[shorter]
            rows.append([way, name, *map(duration, (whole[shorter], whole[longer], slope))])
            if case is apply_here and name == device.name and device.is_cuda:
                told = f"{longer - shorter} min beyond start-up"
                bench.goal(told, slope, at_most=0.25, unit=" s")
    heading(
        "The file engine",
        f"Stereo of 16 bit, {shorter} and {longer} minutes, {HEADPHONE.title}. Copies of "
        f"{longer - shorter} minutes as float32 there and back over the bus: "
        f"{duration(copies(device, longer - shorter))}; a copy of the file is one thread's.",
    )
    table(["", "--device", f"{shorter} min", f"{longer} min", "beyond start-up"], rows)
    short(bench, device, apply)


def short(bench: Bench, device: Device, apply: Callable[..., float]) -> None:
    """Many short files."""
    count = 100 if bench.quick else SHORT_FILES
    folder, out = bench.scratch / "short", bench.scratch / "short-out"
    folder.mkdir()
    block = Sound("PCM_16", 1)._noise(1)[:SHORT_FRAMES]
    for number in range(count):
        soundfile.write(folder / f"{number}.wav", block, FS, "PCM_16")
    took = {}
    for name in dict.fromkeys(("cpu", "auto", device.name)):
        shutil.rmtree(out, ignore_errors=True)
        took[name] = apply(folder, out, device=name)
    heading("Many short files", f"{count} files of {SHORT_FRAMES} frames, whole call.")
    table(
        ["--device", "time", "times the CPU"],
        [[name, duration(s), times(s / took["cpu"])] for name, s in took.items()],
    )
    bench.goal("short files, auto: times the CPU", took["auto"] / took["cpu"], at_most=1.25)


def main() -> None:
    """Parse the options, run all, leave nothing behind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=there, help=f"cuda, cuda:N or cpu (here {there})")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that all works")
    options = parser.parse_args()
    device = Device(options.device, 3 if options.quick else 7)
    bench = Bench(ramdisk.directory(ramdisk.LARGEST), 3, options.quick or not device.is_cuda)
    try:
        print("# earfilt on a GPU\n")
        name = torch.cuda.get_device_name(device.name) if device.is_cuda else "none: the CPU"
        table(["machine", ""], [["device", name], *machine.describe(Path(bench.scratch))])
        for topic in (forward, training, graphs, files):
            started = time.perf_counter()
            topic(bench, device)
            print(f"*{topic.__name__}: {time.perf_counter() - started:.0f} s*\n", flush=True)
        heading("Goals", "Not judged on the CPU or in a quick run." if bench.quick else "")
        table(["goal", "measured", "asked for", "verdict"], bench.verdicts)
    finally:
        shutil.rmtree(bench.scratch)


if __name__ == "__main__":
    main()
