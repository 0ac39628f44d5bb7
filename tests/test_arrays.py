"""Which library an array belongs to."""

import numpy as np
import torch

from earfilt.arrays import constant, namespace


def test_each_array_has_its_library() -> None:
    assert namespace(np.zeros(2)) is np
    assert namespace(torch.zeros(2)) is torch
    assert namespace(torch.nn.Parameter(torch.zeros(2))) is torch


def test_a_constant_has_no_graph() -> None:
    learnt = torch.ones(2, requires_grad=True) * 2.0
    assert not constant(learnt).requires_grad
    assert constant(learnt).tolist() == learnt.tolist()
    for plain in (np.ones(2), torch.ones(2)):
        assert constant(plain) is plain


def test_what_is_made_of_firs_is_kept_but_for_very_long_ones() -> None:
    """A program that filters through many of them must not gather their memory."""
    from earfilt.arrays import kept
    from earfilt.synthesis.fir import Fir

    made = []

    @kept(4)
    def length(fir: Fir, *, more: int = 0) -> int:
        made.append(fir)
        return fir.numtaps + more

    short, long = (Fir(np.ones(count), 8000.0, 0, False) for count in (3, 1 << 19))
    assert [length(short), length(short), length(short, more=1)] == [3, 3, 4]
    assert [length(long), length(long)] == [1 << 19] * 2
    assert made == [short, short, long, long]
