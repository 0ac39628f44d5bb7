"""Adaptation: against least squares by scipy, resumed runs, and networks around an ear."""

import math
import os

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

import earfilt
from earfilt.errors import UsageError


def level_db(ear, freqs):
    with torch.no_grad():
        return 20.0 * np.log10(np.abs(ear.response(freqs).numpy()))


@pytest.fixture
def ear():
    return earfilt.ear("headphone", 16000, learnable=True, order=256)


@pytest.fixture
def goal(ear):
    """A tilt, at points that are not those of the ear."""
    freqs = np.geomspace(150.0, 6500.0, 60)
    return freqs, 3.0 * np.log2(freqs / 1000.0)


def test_it_ends_at_the_least_squares_solution(goal) -> None:
    # scipy's differences are smaller than float32 tells apart
    ear = earfilt.ear("headphone", 16000, learnable=True, order=256, dtype=torch.float64)
    freqs, wanted = goal
    weight = np.where(freqs < 1000.0, 4.0, 1.0)
    done = earfilt.fit(ear, earfilt.Goal(freqs, wanted, weight), steps=60)
    found = level_db(ear, freqs)

    def residuals(logs):
        with torch.no_grad():
            ear.numbers_0.copy_(torch.from_numpy(np.exp(logs)))
        return np.sqrt(weight) * (level_db(ear, freqs) - wanted)

    # what Gauss and Newton still change there
    solution = least_squares(residuals, np.log(ear.numbers_0.detach().numpy()), max_nfev=4)
    residuals(solution.x)
    assert np.abs(found - level_db(ear, freqs)).max() < 0.02
    assert done.loss == pytest.approx(2.0 * solution.cost / weight.sum(), rel=0.03)
    assert len(done.losses) <= 60


def test_a_curve_of_the_ear_itself_comes_back(ear) -> None:
    other = earfilt.ear("headphone", 16000, learnable=True, order=256)
    with torch.no_grad():
        other.numbers_0 *= torch.linspace(0.5, 2.0, len(other.numbers_0))
    freqs = np.geomspace(130.0, 6800.0, 80)
    earfilt.fit(ear, earfilt.Goal(freqs, level_db(other, freqs)))
    assert np.abs(level_db(ear, freqs) - level_db(other, freqs)).max() < 0.02


def test_smoothness_bends_less(ear) -> None:
    freqs = ear.freqs[0].numpy()[:-3]
    start = level_db(ear, freqs)
    rough = start + 3.0 * (-1.0) ** np.arange(len(freqs))

    def bends(smoothness):
        own = earfilt.ear("headphone", 16000, learnable=True, order=256)
        earfilt.fit(own, earfilt.Goal(freqs, rough, smoothness=smoothness), steps=15)
        return np.abs(np.diff(level_db(own, freqs) - start, 2)).mean()

    assert bends(1.0) < 0.2 * bends(0.0)


def test_a_resumed_descent_goes_on_as_if_it_had_not_ended(ear, goal, tmp_path) -> None:
    whole = earfilt.ear("headphone", 16000, learnable=True, order=256)
    earfilt.fit(whole, earfilt.Goal(*goal), steps=6)
    file = tmp_path / "run.pt"
    first = earfilt.fit(ear, earfilt.Goal(*goal), steps=3, checkpoint=file)
    again = earfilt.ear("headphone", 16000, learnable=True, order=256)
    second = earfilt.fit(again, earfilt.Goal(*goal), steps=6, checkpoint=file, resume=True)
    assert second.losses[:3] == first.losses
    assert len(second.losses) == 6
    assert torch.allclose(again.numbers_0, whole.numbers_0, rtol=1e-6)


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_checkpoint_is_refused(ear, goal, tmp_path, content) -> None:
    (tmp_path / "run.pt").write_bytes(content)
    with pytest.raises(UsageError, match=r"run\.pt is"):
        earfilt.fit(ear, earfilt.Goal(*goal), checkpoint=tmp_path / "run.pt", resume=True)


class Stranger:
    """What runs code where a file of it is believed."""

    def __reduce__(self):
        return os.system, ("touch was-run",)


def changed(name, value):
    def change(content):
        return {**content, name: value}

    return change


BAD = {
    "code": lambda _: Stranger(),
    "a list": lambda _: [1],
    "of another": changed("earfilt", torch.zeros(2)),
    "without losses": lambda good: {name: good[name] for name in good if name != "losses"},
    "losses in words": changed("losses", "x"),
    "losses by name": changed("losses", {}),
    "no module": changed("module", None),
    "numbers of another": changed("module", {"numbers_0": torch.zeros(3)}),
    "one number for all": lambda good: {
        **good,
        "optimizer": {**good["optimizer"], "numbers": [torch.zeros(1)]},
    },
    "a history in words": lambda good: {
        **good,
        "optimizer": {
            **good["optimizer"],
            "lbfgs": {**good["optimizer"]["lbfgs"], "state": {0: {"d": "x", "n_iter": 3}}},
        },
    },
    "a scheduler": changed("scheduler", {"last_epoch": 3}),
    "no random state": changed("random", "x"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_checkpoint_of_any_content_is_refused_in_a_sentence_of_ours(
    ear, goal, tmp_path, monkeypatch, what
) -> None:
    monkeypatch.chdir(tmp_path)
    other = earfilt.ear("headphone", 16000, learnable=True, order=256)
    earfilt.fit(other, earfilt.Goal(*goal), steps=2, checkpoint="run.pt")
    torch.save(BAD[what](torch.load("run.pt", weights_only=True)), "run.pt")
    before = ear.numbers_0.detach().clone()
    with pytest.raises(
        UsageError, match=r"^run\.pt is not a checkpoint of this descent: [ -~]+$"
    ) as e:
        earfilt.fit(ear, earfilt.Goal(*goal), steps=4, checkpoint="run.pt", resume=True)
    assert not any(word in str(e.value) for word in ("weights_only", "torch", "attribute", "'"))
    assert not (tmp_path / "was-run").exists()
    if what != "a history in words":  # which the first step shows
        assert torch.equal(ear.numbers_0, before)


def test_no_file_is_replaced_by_a_checkpoint_but_what_it_resumes(ear, goal, tmp_path) -> None:
    file = tmp_path / "only-copy.wav"
    file.write_bytes(b"RIFF")
    for resume in (False, True):
        with pytest.raises(UsageError, match=r"only-copy\.wav (exists|is not a checkpoint)"):
            earfilt.fit(ear, earfilt.Goal(*goal), steps=1, checkpoint=file, resume=resume)
        assert file.read_bytes() == b"RIFF"
    with pytest.raises(UsageError, match="is a directory"):
        earfilt.fit(ear, earfilt.Goal(*goal), steps=1, checkpoint=tmp_path)
    with pytest.raises(UsageError, match="resume=True needs the checkpoint"):
        earfilt.fit(ear, earfilt.Goal(*goal), steps=1, resume=True)

    def appears(step: int, loss: float) -> None:
        (tmp_path / "new.pt").write_bytes(b"of another")

    with pytest.raises(UsageError, match="exists"):
        earfilt.fit(
            ear, earfilt.Goal(*goal), steps=1, checkpoint=tmp_path / "new.pt", progress=appears
        )
    assert (tmp_path / "new.pt").read_bytes() == b"of another"


def test_a_checkpoint_larger_than_any_curve_is_resumed(tmp_path) -> None:
    def network():
        torch.manual_seed(0)
        return torch.nn.Linear(4100, 4100)  # 67 MB

    def loss(one):
        return one.weight[0].square().sum()

    for steps in (1, 2):
        own = network()
        optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
        done = earfilt.fit(
            own,
            loss=loss,
            steps=steps,
            optimizer=optimizer,
            checkpoint=tmp_path / "run.pt",
            resume=True,
        )
    assert done.losses[1] < done.losses[0]
    adam = torch.optim.Adam(own.parameters())
    with pytest.raises(UsageError, match="made of another module, optimizer"):
        earfilt.fit(own, loss=loss, optimizer=adam, checkpoint=tmp_path / "run.pt", resume=True)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_descent_in_a_mode_without_gradients_is_one_all_the_same(goal, mode) -> None:
    wanted = earfilt.ear("headphone", 16000, learnable=True, order=256)
    earfilt.fit(wanted, earfilt.Goal(*goal), steps=3)
    with mode():
        own = earfilt.ear("headphone", 16000, learnable=True, order=256)
        earfilt.fit(own, earfilt.Goal(*goal), steps=3)
    assert torch.equal(own.numbers_0, wanted.numbers_0)


def test_any_loss_optimizer_and_scheduler_of_a_network_around_an_ear() -> None:
    network = torch.nn.Sequential(
        earfilt.ear("middle-ear", 16000, learnable=True), torch.nn.Linear(256, 1)
    )
    x = torch.randn(4, 256, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    seen = []
    before = network[0].numbers_0.detach().clone()
    network.eval()
    done = earfilt.fit(
        network,
        loss=lambda net: (net(x) - 1.0).square().mean(),
        steps=10,
        optimizer=optimizer,
        scheduler=scheduler,
        seed=3,
        progress=lambda step, loss: seen.append((step, loss)),
    )
    assert done.loss < 0.5 * done.losses[0]
    assert [step for step, _ in seen] == list(range(1, 11))
    assert [loss for _, loss in seen] == done.losses
    assert scheduler.get_last_lr() == pytest.approx([1e-4])
    assert not torch.equal(before, network[0].numbers_0)
    assert not network.training


def test_the_same_seed_gives_the_same_numbers(goal) -> None:
    def numbers(seed):
        own = earfilt.ear("headphone", 16000, learnable=True, order=64)

        def loss(ear):
            return (ear(torch.randn(1, 256)) ** 2).mean()

        optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
        earfilt.fit(own, loss=loss, steps=3, optimizer=optimizer, seed=seed)
        return own.numbers_0.detach()

    assert torch.equal(numbers(1), numbers(1))
    assert not torch.equal(numbers(1), numbers(2))


def test_what_cannot_be_fitted_is_refused(ear, goal) -> None:
    fixed = earfilt.ear("headphone", 16000)
    linear = torch.nn.Linear(2, 1)
    wanted = earfilt.Goal(*goal)
    for module, more, words in (
        (fixed, {"goal": wanted}, "the module has nothing to learn"),
        (linear, {"goal": wanted}, "not for Linear"),
        (ear, {}, "a goal or a loss"),
        (ear, {"goal": wanted, "loss": lambda _: None}, "a goal or a loss"),
        (ear, {"goal": wanted, "steps": 0}, "at least 1"),
        (ear, {"goal": earfilt.Goal([1.0, 2.0], [0.0, 0.0])}, "fewer than 2 points"),
        (ear, {"goal": earfilt.Goal([200.0, 100.0], [0.0, 0.0])}, "ascend"),
        (ear, {"goal": earfilt.Goal([200.0, 300.0], [0.0])}, "equally many"),
        (ear, {"goal": earfilt.Goal([200.0, 300.0], [0.0, math.nan])}, "finite"),
        (ear, {"goal": earfilt.Goal([200.0, 300.0], [0.0, 0.0], [1.0, -1.0])}, "not be negative"),
        (ear, {"goal": earfilt.Goal(*goal, smoothness=-1.0)}, "smoothness"),
        (ear, {"loss": lambda one: one.numbers_0.sum() * math.inf}, "the loss is"),
        (ear, {"loss": lambda _: 1.0}, "the loss is of type float; it must be a scalar"),
        (ear, {"loss": lambda _: None}, "the loss is of type NoneType"),
        (ear, {"loss": lambda one: one.numbers_0}, r"float32, \(\d+,\); it must be a scalar"),
        (ear, {"loss": lambda _: torch.tensor(1)}, "int64"),
        (ear, {"loss": lambda _: torch.tensor(1.0)}, "does not depend on anything"),
        (ear, {"loss": lambda one: one.numbers_0.detach().sum()}, "does not depend on anything"),
        (ear, {"loss": lambda _: torch.ones((), requires_grad=True)}, "does not depend on any"),
    ):
        with pytest.raises(UsageError, match=words):
            earfilt.fit(module, **more)
