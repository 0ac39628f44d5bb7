"""Sizes of segments, and what lies beyond a signal's ends."""

import numpy as np
import pytest
import torch

from earfilt.engine.segments import choose_n_fft, extend_ends, hop_of, order_reached


def test_n_fft_follows_from_the_taps_alone() -> None:
    sizes = {1: 1024, 128: 1024, 129: 2048, 256: 2048, 257: 4096, 513: 4096, 1365: 4096}
    sizes |= {1366: 8192, 8193: 32_768, 1 << 18: 1 << 20, (1 << 18) + 1: 1 << 19}
    assert {numtaps: choose_n_fft(numtaps) for numtaps in sizes} == sizes


def test_a_segment_must_hold_a_hop() -> None:
    assert hop_of(513, 4096) % 64 == 0
    with pytest.raises(ValueError, match="n_fft is 512; 513 taps need at least 576"):
        hop_of(513, 512)


def test_look_ahead_is_not_negative() -> None:
    with pytest.raises(ValueError, match="lookahead is -1"):
        order_reached(-1, odd_ends=False)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
@pytest.mark.parametrize(("frames", "reflected"), [(6, 3), (3, 2), (1, 0)])
def test_ends_are_point_reflections_as_far_as_the_signal_goes(
    kind: type, frames: int, reflected: int
) -> None:
    x = np.random.default_rng(1).standard_normal((frames, 2))
    window = kind(np.pad(x, ((4, 5), (0, 0))))
    extend_ends(window, -4, frames, 3)
    expected = (
        np.pad(x, ((reflected, reflected), (0, 0)), mode="reflect", reflect_type="odd")
        if reflected
        else x
    )
    np.testing.assert_allclose(
        np.asarray(window), np.pad(expected, ((4 - reflected, 5 - reflected), (0, 0)))
    )
