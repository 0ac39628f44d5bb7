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
