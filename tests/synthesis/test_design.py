"""FIR design, of arrays and of tensors, against scipy and by properties."""

from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch

from earfilt.ears.table import shipped
from earfilt.errors import UsageError
from earfilt.synthesis import phase
from earfilt.synthesis.phase import forward_backward, minimum_phase
from earfilt.synthesis.sampling import firwin2
from earfilt.synthesis.spectrum import frequency_response

TABLE = shipped("pralong1996")
every_library = pytest.mark.parametrize("array", [np.asarray, torch.tensor], ids=["numpy", "torch"])


def nodes(fs: float, last: float = 0.0) -> tuple[list[float], list[float]]:
    rows = [
        (f, g) for f, g in zip(TABLE.frequencies, TABLE.columns["gain"], strict=True) if f < fs / 2
    ]
    return [0.0, *(f for f, _ in rows), fs / 2], [0.0, *(g for _, g in rows), last]


def linear_phase(order: int, fs: float, last: float = 0.0, array: Any = torch.tensor) -> Any:
    freqs, gains = map(np.array, nodes(fs, last))
    return firwin2(order, array(freqs), array(gains), fs)


@every_library
@pytest.mark.parametrize("fs", [8000, 16000, 22050.5, 44100, 48000, 192000])
@pytest.mark.parametrize("order", [2, 3, 64, 511, 512, 1023, 4096])
def test_firwin2_equals_scipy(fs: float, order: int, array: Any) -> None:
    theirs = scipy.signal.firwin2(order + 1, *nodes(fs), fs=fs)
    np.testing.assert_allclose(linear_phase(order, fs, array=array), theirs, atol=1e-12, rtol=0)


@every_library
def test_odd_order_with_a_gain_at_nyquist_is_refused(array: Any) -> None:
    with pytest.raises(UsageError, match=r"order 511 is odd.*even order"):
        linear_phase(511, 16000, last=0.5, array=array)


@every_library
@pytest.mark.parametrize("fs", [8000, 16000, 48000, 192000])
@pytest.mark.parametrize("order", [64, 257, 512])
def test_minimum_phase(fs: float, order: int, array: Any) -> None:
    linear = linear_phase(order, fs, array=array)
    taps = np.asarray(minimum_phase(linear))
    # a zero outside of the unit circle turns the phase by 180 degrees up to fs/2, one on it by 90
    phase = np.unwrap(np.angle(np.fft.rfft(taps, 1 << 18)))
    assert abs(phase[-2] - phase[0]) < 2.0
    if order < 100:
        assert np.abs(np.roots(taps)).max() < 1 + 1e-7
    _, wanted = scipy.signal.freqz(np.asarray(linear), worN=1 << 15)
    _, got = scipy.signal.freqz(taps, worN=1 << 15)
    counts = np.abs(wanted) > np.abs(wanted).max() * 1e-3
    assert np.abs(20 * np.log10(np.abs(got[counts] / wanted[counts]))).max() < 1e-6


def test_minimum_phase_has_its_energy_at_the_start() -> None:
    linear = linear_phase(512, 48000)
    taps = minimum_phase(linear).numpy()
    gathered = np.cumsum(taps**2)
    # Of all filters with this magnitude, none has gathered more energy after any number of samples.
    assert (gathered >= np.cumsum(linear.numpy() ** 2) - 1e-12).all()
    assert gathered[24] > 0.9 * gathered[-1]


@every_library
def test_forward_backward_is_the_autocorrelation(rng: np.random.Generator, array: Any) -> None:
    taps = rng.normal(size=37)
    ours = np.asarray(forward_backward(array(taps)))
    assert ours.tobytes() == ours[::-1].tobytes()
    np.testing.assert_allclose(ours, np.correlate(taps, taps, "full"), atol=1e-12)


@every_library
@pytest.mark.parametrize("n_fft", [1, 2, 7, 16, 36, 37, 38, 101, 8192])
@pytest.mark.parametrize("lookahead", [0, 5, 36])
def test_response_is_exact_for_any_length(
    rng: np.random.Generator, n_fft: int, lookahead: int, array: Any
) -> None:
    taps = rng.normal(size=37)
    k = np.arange(n_fft // 2 + 1)[:, None]
    wanted = np.exp(-2j * np.pi * k * (np.arange(37) - lookahead) / n_fft) @ taps
    got = frequency_response(array(taps), n_fft, lookahead=lookahead)
    np.testing.assert_allclose(np.asarray(got), wanted, atol=1e-10)


@pytest.mark.parametrize("order", [10, 11])
def test_gradients_reach_the_gains(order: int) -> None:
    freqs = torch.tensor([0.0, 1000.0, 2500.0, 4000.0], dtype=torch.float64)
    gains = torch.tensor([0.3, 1.0, 0.4], dtype=torch.float64, requires_grad=True)

    def taps(g: torch.Tensor) -> torch.Tensor:
        return minimum_phase(firwin2(order, freqs, torch.cat([g, g.new_zeros(1)]), 8000.0))

    assert torch.autograd.gradcheck(taps, gains)


def test_the_search_of_minimum_phase_records_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = []
    fold = phase._fold_cepstrum
    monkeypatch.setattr(
        phase,
        "_fold_cepstrum",
        lambda taps, n_fft: recorded.append(taps.requires_grad) or fold(taps, n_fft),
    )
    assert minimum_phase(linear_phase(64, 16000).requires_grad_()).requires_grad
    assert recorded[-1]
    assert not any(recorded[:-1])
    assert len(recorded) > 1
