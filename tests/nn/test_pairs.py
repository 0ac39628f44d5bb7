"""Pairs of ears as modules: the samples of `apply`, numbers of each ear, files."""

import json

import numpy as np
import pytest
import torch

import earfilt
from earfilt.files.firs import write_fir
from earfilt.files.saved_ears import read_ear
from earfilt.synthesis.fir import Fir

NAME, FS = "L=headphone,R=iso532-free+middle-ear", 16000
NOISE = torch.empty(3, 2, 3000).uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("shape", [(3000,), (1, 3000), (2, 3000), (3, 1, 3000), (3, 2, 3000)])
def test_the_samples_of_apply(shape):
    x = NOISE.reshape(-1)[: int(np.prod(shape))].reshape(shape)
    ear = earfilt.ear(NAME, FS).eval()
    found, expected = ear(x), earfilt.apply(x.numpy(), NAME, fs=FS)
    assert tuple(found.shape) == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(ear.taps(), earfilt.design(NAME, fs=FS).taps)


def test_each_ear_has_numbers_that_move_it_alone():
    ear = earfilt.ear(NAME, FS, learnable=True, dtype=torch.float64)
    names = [name for name, _ in ear.named_parameters()]
    assert names == ["left_numbers_0", "right_numbers_0", "right_numbers_1"]
    start = ear.taps().detach().clone()
    ear.taps()[0].square().sum().backward()
    assert ear.left_numbers_0.grad.abs().sum() > 0
    assert not ear.right_numbers_0.grad.any()
    with torch.no_grad():
        ear.right_numbers_0.add_(3.0)
    moved = ear.taps().detach()
    assert torch.equal(moved[0], start[0])
    gain = ear.response([500.0, 1000.0]).detach().abs().numpy()
    published = earfilt.response(NAME, fs=FS, freqs=[500.0, 1000.0]).magnitude_db
    np.testing.assert_allclose(20 * np.log10(gain) - published, [[0, 0], [3, 3]], atol=0.05)
    assert ear.deviation is not None
    assert ear.deviation < 0.2
    freqs, response = ear.get_effective_response(64)
    assert response.shape == (2, 33)
    assert freqs.shape == (33,)


def test_an_ear_for_all_channels_moves_both_rows_of_a_pair_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_fir(Fir(np.array([[1.0, 0.5], [0.25, -0.5]]), FS), "pair.json")
    ear = earfilt.ear("pair.json+iso532-free", FS, learnable=True, dtype=torch.float64)
    start = ear.response([1000.0]).detach().abs().numpy()
    with torch.no_grad():
        ear.numbers_0.add_(6.0)
    moved = ear.response([1000.0]).detach().abs().numpy()
    np.testing.assert_allclose(20 * np.log10(moved / start), 6.0, atol=0.05)
    assert ear.deviation is None


def test_a_saved_pair_is_the_same_filter_and_goes_on_learning(tmp_path):
    path = tmp_path / "mine.json"
    ear = earfilt.ear(NAME, FS, learnable=True, dtype=torch.float64)
    with torch.no_grad():
        ear.left_numbers_0.mul_(1.3)
    ear.save(path)
    again = earfilt.ear(str(path), learnable=True, dtype=torch.float64)
    np.testing.assert_array_equal(again.taps().detach(), ear.taps().detach())
    assert [n for n, _ in again.named_parameters()] == [n for n, _ in ear.named_parameters()]
    fir = earfilt.design(str(path), fs=FS)
    np.testing.assert_allclose(fir.taps, ear.taps().detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ear: ear["members"][0].update(side="middle"), "left or right"),
        (lambda ear: ear["start"].update(taps=ear["start"]["taps"][0]), "are of a pair"),
        (lambda ear: ear["start"]["taps"][0].pop(), "or rows of such"),
        (lambda ear: ear["start"]["taps"].append([0.0]), "or rows of such"),
    ],
)
def test_a_damaged_pair_is_refused(tmp_path, change, words):
    path = tmp_path / "mine.json"
    earfilt.ear(NAME, FS).save(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(earfilt.EarfiltError, match=words):
        read_ear(path)


def test_lengths_of_a_batch():
    ear = earfilt.ear(NAME, FS).eval()
    y = ear(NOISE, lengths=torch.tensor([3000, 1000, 2000]))
    np.testing.assert_allclose(y[1, :, :1000], ear(NOISE[1, :, :1000]), atol=1e-6)
    assert not y[1, :, 1000:].any()
    with pytest.raises(earfilt.UsageError, match=r"\(B, 1, T\) or \(B, 2, T\)"):
        ear(NOISE[0], lengths=torch.tensor([10, 20]))
