"""Convolution against scipy, streams against the whole, gradients against finite differences."""

import numpy as np
import pytest
import scipy.signal
import torch

from earfilt.engine.tensors import PLANS, Spectra, Stream, convolve

RNG = np.random.default_rng(5)


def signal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def filtered(x: np.ndarray, taps: np.ndarray, lookahead: int, odd_ends: bool) -> np.ndarray:
    """Oracle: x (T,) extended by hand, then a direct convolution."""
    reach = min(lookahead, len(x) - 1) if odd_ends else 0
    head, tail = 2 * x[0] - x[reach:0:-1], 2 * x[-1] - x[-2 : -reach - 2 : -1]
    y = np.convolve(np.concatenate([head, x, tail]), taps)
    y = np.pad(y, (0, lookahead))
    return y[reach + lookahead :][: len(x)]


@pytest.mark.parametrize("shape", [(1,), (2,), (700,), (3, 5000), (2, 3, 40000)])
@pytest.mark.parametrize("order", [0, 1, 32, 512])
def test_causal_filtering_is_lfilter(shape: tuple[int, ...], order: int) -> None:
    x, taps = signal(*shape), signal(order + 1)
    y = convolve(torch.tensor(x), torch.tensor(taps))
    np.testing.assert_allclose(y, scipy.signal.lfilter(taps, 1.0, x), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("frames", "order"), [(34, 2), (34, 32), (513, 512), (1500, 512), (30000, 32), (30000, 512)]
)
def test_one_convolution_with_odd_ends_is_filtfilt(frames: int, order: int) -> None:
    x, h = signal(2, frames), signal(order + 1) / np.sqrt(order)
    both_ways = torch.tensor(np.convolve(h, h[::-1]))
    y = convolve(torch.tensor(x), both_ways, lookahead=order, odd_ends=True)
    np.testing.assert_allclose(
        y, scipy.signal.filtfilt(h, 1.0, x, padlen=order), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("frames", [1, 2, 30, 64, 65, 3000])
@pytest.mark.parametrize(("order", "lookahead"), [(64, 0), (64, 32), (64, 64), (64, 10), (16, 40)])
@pytest.mark.parametrize("odd_ends", [False, True])
def test_any_look_ahead_and_any_length(
    frames: int, order: int, lookahead: int, odd_ends: bool
) -> None:
    x, taps = signal(frames), signal(order + 1)
    y = convolve(torch.tensor(x), torch.tensor(taps), lookahead=lookahead, odd_ends=odd_ends)
    np.testing.assert_allclose(y, filtered(x, taps, lookahead, odd_ends), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 1e-1)]
)
def test_dtype_of_the_signal_is_kept(dtype: torch.dtype, within: float) -> None:
    x, taps = torch.tensor(signal(2, 900)).to(dtype), torch.tensor(signal(33) / 10).to(dtype)
    y = convolve(x, taps)
    assert y.dtype == dtype
    assert y.shape == x.shape
    np.testing.assert_allclose(
        y.double(), scipy.signal.lfilter(taps.double(), 1.0, x.double()), rtol=0, atol=within
    )


@pytest.mark.parametrize("odd_ends", [False, True])
def test_gradients(odd_ends: bool) -> None:
    x = torch.tensor(signal(2, 70), requires_grad=True)
    taps = torch.tensor(signal(9), requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, taps: convolve(x, taps, lookahead=4, odd_ends=odd_ends), (x, taps)
    )


@pytest.mark.parametrize(("lookahead", "odd_ends"), [(0, False), (3, False), (4, True)])
def test_gradients_of_taps_alone_are_worked_out_by_hand(lookahead: int, odd_ends: bool) -> None:
    x = torch.tensor(signal(2, 2, 70))
    taps = torch.tensor(signal(9), requires_grad=True)

    def filtered(taps: torch.Tensor) -> torch.Tensor:
        return convolve(x, taps, lookahead=lookahead, odd_ends=odd_ends)

    assert torch.autograd.gradcheck(filtered, (taps,))
    assert torch.autograd.gradgradcheck(filtered, (taps,))
    # the signal is not held for the gradient, and may be written to
    y = filtered(taps)
    x.zero_()
    y.sum().backward()
    assert taps.grad is not None
    assert (taps.grad != 0).all()


def test_gradients_across_segments() -> None:
    x, taps = torch.tensor(signal(9000)), torch.tensor(signal(3), requires_grad=True)
    weights = torch.tensor(signal(9000))
    (convolve(x, taps) * weights).sum().backward()
    by_hand = [float(x[: 9000 - k] @ weights[k:]) for k in range(3)]
    np.testing.assert_allclose(taps.grad, by_hand, rtol=1e-9)


@pytest.mark.parametrize(("lookahead", "odd_ends"), [(0, False), (20, False), (32, True)])
@pytest.mark.parametrize("shape", [(1,), (30,), (700,), (2, 9000), (2, 3, 500), (5, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_calls_that_follow_give_what_the_first_one_gave(
    shape: tuple[int, ...], lookahead: int, odd_ends: bool, dtype: torch.dtype
) -> None:
    how = {"lookahead": lookahead, "odd_ends": odd_ends}
    spectra = Spectra(torch.tensor(signal(65)))
    for number in range(3):
        x = torch.tensor(signal(*shape)).to(dtype)
        x = x.repeat_interleave(2, -1)[..., ::2] if number == 2 else x  # of other strides
        y = convolve(x, spectra, **how)
        assert torch.equal(y, convolve(x, Spectra(spectra.taps), **how))
        assert y.shape == x.shape
        assert y.dtype == dtype


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_a_call_that_follows_is_differentiated_and_mapped() -> None:
    taps = torch.tensor(signal(9))
    spectra, x = Spectra(taps), torch.tensor(signal(2, 70))
    with torch.inference_mode():
        convolve(x.clone(), spectra)
    y = convolve(x, spectra)
    assert torch.autograd.gradcheck(lambda x: convolve(x, spectra), (x.clone().requires_grad_(),))
    _, tangent = torch.func.jvp(lambda x: convolve(x, spectra), (x,), (2 * x,))
    torch.testing.assert_close(tangent, 2 * y, rtol=0, atol=1e-12)
    learning = x.clone().requires_grad_()
    with torch.no_grad():
        assert torch.equal(convolve(learning, spectra), y)
    batch = torch.stack([x, 2 * x])
    mapped = torch.vmap(lambda one: convolve(one, spectra))(batch)
    torch.testing.assert_close(mapped, torch.stack([y, 2 * y]), rtol=0, atol=1e-12)


def test_however_many_shapes_are_met() -> None:
    spectra = Spectra(torch.tensor(signal(9)))
    for frames in [*range(1, 2 * PLANS), *range(1, 2 * PLANS)]:
        x = torch.tensor(signal(frames))
        assert torch.equal(convolve(x, spectra), convolve(x, Spectra(spectra.taps)))


def test_no_signal_no_output() -> None:
    assert convolve(torch.empty(3, 0), torch.ones(5)).shape == (3, 0)


def test_a_delay_is_no_lookahead() -> None:
    with pytest.raises(ValueError, match="lookahead is -1"):
        convolve(torch.ones(5), torch.ones(3), lookahead=-1)
    with pytest.raises(ValueError, match="lookahead is -1"):
        Stream(torch.ones(3), channels=1, lookahead=-1)


def test_n_fft_too_small() -> None:
    with pytest.raises(ValueError, match="n_fft is 512; 513 taps need at least 576"):
        Stream(torch.ones(513), channels=1, n_fft=512)


def streamed(x: np.ndarray, sizes: list[int], taps: np.ndarray, **how: object) -> torch.Tensor:
    """x (T, channels) in blocks of the given sizes, over and over."""
    stream = Stream(torch.tensor(taps), channels=x.shape[1], dtype=torch.float64, **how)  # type: ignore[arg-type]
    parts, at, turn = [], 0, 0
    while at < len(x):
        size = sizes[turn % len(sizes)]
        parts.append(stream.push(torch.tensor(x[at : at + size])))
        at, turn = at + size, turn + 1
    return torch.cat([*parts, stream.flush()])


@pytest.mark.parametrize("n_fft", [None, 160, 1024])
@pytest.mark.parametrize("frames", [1, 20, 64, 5000])
@pytest.mark.parametrize(
    ("lookahead", "odd_ends"), [(0, False), (32, True), (64, False), (20, True)]
)
def test_blocks_of_any_sizes_give_the_whole(
    n_fft: int | None, frames: int, lookahead: int, odd_ends: bool
) -> None:
    x, taps = signal(frames, 3), signal(65)
    how = {"lookahead": lookahead, "odd_ends": odd_ends}
    whole = streamed(x, [frames], taps, n_fft=n_fft, **how)
    for sizes in ([1, 0, 7], [97], [1000, 3]):
        assert torch.equal(streamed(x, sizes, taps, n_fft=n_fft, **how), whole)
    expected = convolve(
        torch.tensor(x.T.copy()), torch.tensor(taps), lookahead=lookahead, odd_ends=odd_ends
    ).T
    np.testing.assert_allclose(whole, expected, rtol=0, atol=1e-12)


def test_small_n_fft_answers_sooner() -> None:
    taps = torch.ones(33)
    first = {
        n_fft: len(Stream(taps, channels=1, n_fft=n_fft).push(torch.ones(3000, 1)))
        for n_fft in (128, 4096)
    }
    assert first == {128: 2944, 4096: 0}


def test_a_flushed_stream_starts_anew() -> None:
    x, stream = (
        torch.tensor(signal(300, 1)),
        Stream(torch.tensor(signal(9)), channels=1, dtype=torch.float64),
    )
    first = torch.cat([stream.push(x), stream.flush()])
    assert torch.equal(torch.cat([stream.push(x), stream.flush()]), first)
    assert stream.flush().shape == (0, 1)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    x, taps = torch.tensor(signal(2, 20000)).float(), torch.tensor(signal(513) / 30).float()
    there = convolve(x.cuda(), taps.cuda(), lookahead=256, odd_ends=True).cpu()
    np.testing.assert_allclose(
        there, convolve(x, taps, lookahead=256, odd_ends=True), rtol=0, atol=1e-5
    )
