"""An ear is adapted by descent: to a curve, or to any loss that the user has."""

from __future__ import annotations

import copy
import io
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from earfilt.ears.options import number, samples, whole
from earfilt.ears.options import path as path_of
from earfilt.errors import UsageError, is_out_of_memory
from earfilt.nn.module import EarModule
from earfilt.storage.reading import open_regular, shown
from earfilt.storage.writing import refuse_existing, write_bytes
from earfilt.wording import either, option

__all__ = ["Fitted", "Goal", "check_checkpoint", "fit"]

STEPS = 100
"""Of a descent at most; it ends earlier where nothing changes any more."""

_EVALUATIONS = 5  # within a step of the default optimizer
_HISTORY = 30
_STILL = 1e-7  # relative change of the loss
_STILL_STEPS = 5
_SAVE_S = 10.0  # between two checkpoints
_CHECKPOINT = "earfilt descent 1"

Progress = Callable[[int, float], None]
Loss = Callable[[nn.Module], Tensor]


@dataclass(frozen=True, eq=False)
class Goal:
    """A curve that the effective response is to meet, in dB.

    Parameters
    ----------
    freqs : (N,) Hz
        Ascending. Points where the ear has no numbers are left out.
    gain_db : (N,) dB
    weight : (N,), optional
        Weight of each squared deviation; default all equal.
    smoothness : float
        Weight of the squared curvature of the change, (dB per octave²)², relative to the mean
        squared deviation.

    Examples
    --------
    >>> import earfilt
    >>> ear = earfilt.ear("middle-ear", fs=16000, learnable=True)
    >>> loss = Goal([200.0, 1000.0, 4000.0], [-6.0, 0.0, -6.0], weight=[1.0, 4.0, 1.0]).loss(ear)
    >>> bool(loss(ear) > 0.0)
    True
    """

    freqs: npt.ArrayLike
    gain_db: npt.ArrayLike
    weight: npt.ArrayLike | None = None
    smoothness: float = 0.0

    def loss(self, module: EarModule) -> Loss:
        """The loss of a module that starts where it is now.

        Raises
        ------
        UsageError
            The module has two ears, or the curve nothing that it could be adapted to.
        """
        taps = module.taps()
        if taps.ndim > 1:
            raise UsageError("a curve belongs to one ear: adapt left and right separately")
        device = taps.device
        freqs, wanted, weight = self._checked(module, device)
        with torch.no_grad():
            start = _level_db(module.response(freqs))
        octaves = torch.log2(freqs)

        def loss(_: nn.Module) -> Tensor:
            level = _level_db(module.response(freqs))
            value = (weight * (level - wanted) ** 2).sum()
            if self.smoothness:
                value = value + self.smoothness * _bends(level - start, octaves)
            return value

        return loss

    def _checked(self, module: EarModule, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        freqs, wanted = samples("freqs", self.freqs), samples("gain_db", self.gain_db)
        given = np.ones(freqs.shape) if self.weight is None else samples("weight", self.weight)
        if freqs.ndim != 1 or not freqs.shape == wanted.shape == given.shape or len(freqs) < 2:
            raise UsageError(
                f"a curve of {freqs.shape} frequencies, {wanted.shape} gains and {given.shape} "
                "weights; it needs equally many, at least 2"
            )
        if not all(map(_is_finite, (freqs, wanted, given))) or (np.diff(freqs) <= 0.0).any():
            raise UsageError(
                "the frequencies of a curve must ascend, and all of its numbers must be finite"
            )
        low, high = range_of(module)
        kept = (freqs >= low) & (freqs <= high)
        if kept.sum() < 2:
            raise UsageError(
                f"a curve from {freqs[0]:g} to {freqs[-1]:g} Hz has fewer than 2 points where the "
                f"ear has numbers, from {low:g} to {high:g} Hz"
            )
        if (given < 0.0).any() or not given[kept].any():
            raise UsageError("weights must not be negative, and not all of them zero")
        if not 0.0 <= number("smoothness", self.smoothness) < math.inf:
            raise UsageError(f"a smoothness of {self.smoothness:g}; it must be 0 or more")
        freqs, wanted, given = freqs[kept], wanted[kept], given[kept] / given[kept].sum()
        a, b, c = (torch.from_numpy(one).to(device) for one in (freqs, wanted, given))
        return a, b, c


def range_of(module: EarModule) -> tuple[float, float]:
    """Hz, between the lowest and the highest number of an ear."""
    grids = [grid[grid > 0.0] for grid in module.freqs if len(grid)]
    if not grids:
        raise UsageError("the ear has no numbers to adapt: a FIR stays as it is")
    low, high = min(float(grid.min()) for grid in grids), max(float(grid.max()) for grid in grids)
    return low, min(high, 0.4999 * module.fs)


def _is_finite(values: npt.NDArray[np.float64]) -> bool:
    return bool(np.isfinite(values).all())


def _level_db(response: Tensor) -> Tensor:
    power = response.real**2 + response.imag**2
    return 10.0 * torch.log10(power + 1e-30)


def _bends(change: Tensor, octaves: Tensor) -> Tensor:
    """Mean square of the second derivative over the logarithm of the frequency."""
    if len(change) < 3:
        return change.sum() * 0.0
    slope = torch.diff(change) / torch.diff(octaves)
    between = (octaves[2:] - octaves[:-2]) / 2.0
    return ((torch.diff(slope) / between) ** 2).mean()


@dataclass(frozen=True, eq=False)
class Fitted:
    """The result of a descent.

    Attributes
    ----------
    module : torch.nn.Module
        The module that was given, adapted.
    losses : list of float
        Before each step.
    loss : float
        After the last step.
    step_s : float
        Mean time of a step in seconds.
    converged : bool
        Whether it ended before the last step because nothing changed any more.

    Examples
    --------
    >>> import earfilt
    >>> ear = earfilt.ear("middle-ear", fs=16000, learnable=True)
    >>> found = earfilt.fit(ear, earfilt.Goal([200, 1000, 4000], [-6, 0, -6]), steps=3)
    >>> found.module is ear, found.loss <= found.losses[0]
    (True, True)
    """

    module: nn.Module
    losses: list[float] = field(repr=False)
    loss: float
    step_s: float
    converged: bool


class _Relative:
    """L-BFGS in float64, over the logarithms of numbers that are all positive.

    Gains of an ear differ by a factor of 100, and the loss is of their logarithms: in these all are
    alike, and the descent takes a tenth of the steps.
    """

    def __init__(self, learnt: list[nn.Parameter]) -> None:
        self._learnt = learnt
        self._positive = [bool((one > 0.0).all()) for one in learnt]
        self._own = [
            nn.Parameter(one.detach().double().log() if positive else one.detach().double().clone())
            for one, positive in zip(learnt, self._positive, strict=True)
        ]
        self._lbfgs = _lbfgs(self._own)

    def zero_grad(self) -> None:
        """As torch's optimizers."""
        for one in self._learnt:
            one.grad = None

    def step(self, closure: Callable[[], Tensor]) -> Any:
        """As torch's optimizers."""

        def inner() -> Tensor:
            self._put()
            value = closure()
            for own, one, positive in zip(self._own, self._learnt, self._positive, strict=True):
                slope = torch.zeros_like(own) if one.grad is None else one.grad.double()
                own.grad = slope * own.detach().exp() if positive else slope
            return value

        take: Any = self._lbfgs.step
        loss = take(inner)
        self._put()
        return loss

    @torch.no_grad()
    def _put(self) -> None:
        for own, one, positive in zip(self._own, self._learnt, self._positive, strict=True):
            one.copy_(own.exp() if positive else own)

    def state_dict(self) -> dict[str, Any]:
        """As torch's optimizers."""
        return {"numbers": [one.detach() for one in self._own], "lbfgs": self._lbfgs.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As torch's optimizers."""
        with torch.no_grad():
            for own, number in zip(self._own, state["numbers"], strict=True):
                if own.shape != number.shape:  # which would be repeated
                    raise ValueError(f"{number.shape} for {own.shape}")
                own.copy_(number)
        self._lbfgs.load_state_dict(state["lbfgs"])


def _lbfgs(learnt: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.LBFGS(
        learnt,
        max_iter=_EVALUATIONS,
        history_size=_HISTORY,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )


@dataclass(eq=False)
class _State:
    """Of a descent, between two steps."""

    module: nn.Module
    optimizer: torch.optim.Optimizer | _Relative
    scheduler: Any
    losses: list[float] = field(default_factory=list)
    own_file: bool = False  # whether a checkpoint is of this descent, and may be replaced
    resumed: str = ""  # the checkpoint that the next step is the first to use

    def step(self, wanted: Loss) -> float:
        """One step; the loss before it."""
        of_loss = False

        def closure() -> Tensor:
            nonlocal of_loss
            of_loss = True
            self.optimizer.zero_grad()
            value = wanted(self.module)
            _check_loss(value, len(self.losses) + 1)
            value.backward()
            if all(one.grad is None for one in self.module.parameters()):
                raise UsageError(_CONSTANT)
            of_loss = False
            return value

        take: Any = self.optimizer.step  # whose closures are said to give plain numbers
        try:
            loss = float(torch.as_tensor(take(closure)).detach())
        except Exception as error:
            if of_loss or not self.resumed or is_out_of_memory(error):
                raise
            raise _no_checkpoint(self.resumed, _OF_OTHERS) from error
        self.resumed = ""
        if self.scheduler is not None:
            self.scheduler.step()
        self.losses.append(loss)
        return loss

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that the descent goes on with."""
        buffer = io.BytesIO()
        content = {
            "earfilt": _CHECKPOINT,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "losses": self.losses,
            "random": torch.get_rng_state(),
        }
        torch.save(content, buffer)
        write_bytes(path, buffer.getvalue(), force=self.own_file)
        self.own_file = True

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on where a checkpoint was written; the module stays as it is where that is none of this
        descent.
        """
        content = _checkpoint(path)
        before = copy.deepcopy(self.module.state_dict())
        try:
            self.module.load_state_dict(content["module"])
            _check_like(content["optimizer"], self.optimizer.state_dict())
            self.optimizer.load_state_dict(content["optimizer"])
            if (self.scheduler is None) != (content["scheduler"] is None):
                raise ValueError("one of them has a scheduler")
            if self.scheduler is not None:
                self.scheduler.load_state_dict(content["scheduler"])
            torch.set_rng_state(content["random"])
        except Exception as error:  # torch has many words for what does not fit
            if is_out_of_memory(error):
                raise
            self.module.load_state_dict(before)
            raise _no_checkpoint(path, _OF_OTHERS) from error
        self.losses = list(content["losses"])
        self.own_file, self.resumed = True, os.fspath(path)


_OF_OTHERS = "it was made of another module, optimizer or scheduler"
_CONSTANT = "the loss does not depend on anything that the module learns"


def _check_loss(value: Any, step: int) -> None:
    """Refuse what cannot be minimised with a UsageError."""
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        what = (
            f"a tensor of {value.dtype}, {tuple(value.shape)}" if isinstance(value, Tensor) else ""
        )
        raise UsageError(
            f"the loss is {what or f'of type {type(value).__name__}'}; it must be a scalar tensor "
            "of floating point"
        )
    if not value.requires_grad:
        raise UsageError(_CONSTANT)
    if not math.isfinite(number := float(value.detach())):
        raise UsageError(f"the loss is {number} at step {step}; a lower learning rate may help")


def check_checkpoint(path: str | os.PathLike[str] | None, *, resume: bool) -> None:
    """Refuse, before any work, a file that is not to be written over, or none to continue from."""
    if path is None:
        if resume:
            file = either("the --checkpoint FILE", "the checkpoint")
            raise UsageError(f"{option('resume', True)} needs {file} from which it continues")
        return
    refuse_existing(path, force=True)  # a directory
    if os.path.lexists(path) and not resume:
        raise UsageError(
            f"{shown(path)} exists; add {option('resume', True)} to continue from it, or name "
            "another file"
        )


def _no_checkpoint(path: str | os.PathLike[str], why: str) -> UsageError:
    return UsageError(f"{shown(path)} is not a checkpoint of this descent: {why}")


def _checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a checkpoint holds; the content of its parts is looked at by those that they are of.

    Raises
    ------
    UsageError
        It cannot be read, or is no checkpoint of this version.
    """
    with open_regular(path) as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # of any kind, and with advice that would run code of the file
            if is_out_of_memory(error):
                raise
            raise _no_checkpoint(path, "it holds something else, or is damaged") from error
    what = content.get("earfilt") if isinstance(content, dict) else None
    if not isinstance(what, str) or what != _CHECKPOINT:
        raise _no_checkpoint(path, "it is of another program or version")
    if missing := [name for name in _PARTS if name not in content]:
        raise _no_checkpoint(path, f"it lacks {', '.join(missing)}")
    losses = content["losses"]
    if not isinstance(losses, list) or not all(
        isinstance(one, float) and math.isfinite(one) for one in losses
    ):
        raise _no_checkpoint(path, "its losses are no numbers")
    return content


_PARTS = ("module", "optimizer", "scheduler", "losses", "random")


def _check_like(state: Any, own: Any) -> None:
    """Raise ValueError where an optimizer's state is that of another kind."""
    pairs = [(state, own)]
    if "lbfgs" in own:
        state, own = state["lbfgs"], own["lbfgs"]
        pairs.append((state, own))
    pairs += zip(state["param_groups"], own["param_groups"], strict=True)
    if any(set(one) != set(other) for one, other in pairs):
        raise ValueError("of another kind")


def fit(
    module: nn.Module,
    goal: Goal | None = None,
    *,
    loss: Loss | None = None,
    steps: int = STEPS,
    optimizer: torch.optim.Optimizer | None = None,
    scheduler: Any = None,
    seed: int | None = None,
    device: str | torch.device | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Adapt a module's numbers by descent.

    Parameters
    ----------
    module : torch.nn.Module
        With parameters: ``earfilt.ear(…, learnable=True)``, or any network around one.
    goal : Goal, optional
        A curve that the effective response of the module, which must be an ear, should meet.
    loss : callable, optional
        Instead of a goal: takes the module and returns a scalar, which is minimised.
    steps : int
        Largest number of steps.
    optimizer : torch.optim.Optimizer, optional
        Default L-BFGS over all parameters that learn.
    scheduler : optional
        One of `torch.optim.lr_scheduler`; it is advanced once per step.
    seed : int, optional
        Seed of torch's random numbers: the same seed gives the same descent on the same machine.
    device : optional
        Device to compute on; default that of the module.
    checkpoint : path, optional
        A file that is written from time to time, and at the end; it must not exist, unless to
        resume from it.
    resume : bool
        Continue from the checkpoint, if there is one.
    progress : callable, optional
        Called with the number of each step and its loss.

    Returns
    -------
    Fitted

    Raises
    ------
    UsageError
        Neither or both of goal and loss are given; nothing can learn; a goal for a module that is
        not an ear; a loss that is not finite, no scalar, or constant; a checkpoint that exists, or
        to resume from one of another descent.

    References
    ----------
    Nocedal, J. & Wright, S. (2006). Numerical optimization, 2nd ed., algorithm 7.4 (L-BFGS).

    Examples
    --------
    >>> ear = earfilt.ear("headphone", fs=48000, learnable=True)
    >>> flat = earfilt.Goal(ear.freqs[0], ear.freqs[0] * 0.0)
    >>> earfilt.fit(ear, flat, steps=40).loss < 0.01
    True
    """
    checkpoint = None if checkpoint is None else path_of("checkpoint", checkpoint)
    check_checkpoint(checkpoint, resume=resume)
    if not isinstance(module, nn.Module):
        raise UsageError(f"the module is of type {type(module).__name__}, and no torch.nn.Module")
    steps = whole("steps", steps)
    # for calls of any mode: a descent is made of gradients
    with torch.inference_mode(False), torch.enable_grad():
        if device is not None:
            if optimizer is not None:
                raise UsageError("move a module to its device before you make its optimizer")
            _move(module, device)
        if seed is not None:
            torch.manual_seed(whole("seed", seed))
        learnt = [one for one in module.parameters() if one.requires_grad]
        if not learnt:
            raise UsageError("the module has nothing to learn; earfilt.ear(…, learnable=True) has")
        if steps < 1:
            raise UsageError(f"{steps} steps; give at least 1")
        was_training = module.training
        module.train()
        try:
            wanted = _loss(module, goal, loss)
            chosen = optimizer or (_lbfgs(learnt) if goal is None else _Relative(learnt))
            state = _State(module, chosen, scheduler)
            if resume and checkpoint is not None and os.path.lexists(checkpoint):
                state.load(checkpoint)
            return _descend(state, wanted, steps, checkpoint, progress)
        finally:
            module.train(was_training)


def _move(module: nn.Module, device: str | torch.device) -> None:
    try:
        module.to(device)
    except (RuntimeError, AssertionError, TypeError) as error:  # no such kind, or none of it here
        if is_out_of_memory(error):
            raise
        raise UsageError(f"device {device!s} does not exist on this machine") from error


def _loss(module: nn.Module, goal: Goal | None, loss: Loss | None) -> Loss:
    if (goal is None) == (loss is None):
        raise UsageError("give either a goal or a loss")
    if loss is not None:
        if not callable(loss):
            raise UsageError(f"the loss is of type {type(loss).__name__}; it is a function")
        return loss
    if not isinstance(goal, Goal):
        raise UsageError(f"the goal is of type {type(goal).__name__}; earfilt.Goal makes one")
    if not isinstance(module, EarModule):
        raise UsageError(
            f"a goal is for an ear of earfilt.ear, not for {type(module).__name__}; give a loss"
        )
    return goal.loss(module)


def _descend(
    state: _State,
    wanted: Loss,
    steps: int,
    checkpoint: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> Fitted:
    begun = saved = time.monotonic()
    before = len(state.losses)
    while len(state.losses) < steps and not _is_still(state.losses):
        loss = state.step(wanted)
        if progress is not None:
            progress(len(state.losses), loss)
        if checkpoint is not None and time.monotonic() - saved > _SAVE_S:
            state.save(checkpoint)
            saved = time.monotonic()
    took = (time.monotonic() - begun) / max(1, len(state.losses) - before)
    if checkpoint is not None:
        state.save(checkpoint)
    with torch.no_grad():
        reached = float(wanted(state.module))
    return Fitted(state.module, state.losses, reached, took, _is_still(state.losses))


def _is_still(losses: list[float]) -> bool:
    """Whether the last steps have changed nothing."""
    if len(losses) <= _STILL_STEPS:
        return False
    last, before = losses[-1], losses[-1 - _STILL_STEPS]
    return before - last <= _STILL * max(abs(before), 1e-12) and before >= last
