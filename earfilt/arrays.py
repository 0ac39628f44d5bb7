"""One text of a formula for numpy arrays and torch tensors.

From numpy 2 on, both libraries have the names of the array API standard for all that the designs
need; a formula asks its argument which of them it belongs to. (The package ``array-api-compat``
answers the same, but loads every part of numpy first, tests and f2py included: 0.07 s, the length
of a whole short run.)

References
----------
Python array API standard, 2023.12, https://data-apis.org/array-api/2023.12/
"""

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats: TypeAlias = NDArray[np.float64]
Array = TypeVar("Array", Floats, "Tensor")
"""A float64 array of either library; what comes out is of the kind, and on the device, of what went
in.
"""


def namespace(x: Any) -> Any:
    """The module whose functions take ``x``: numpy, or torch, which is not loaded for arrays.

    >>> namespace(np.zeros(3)).__name__
    'numpy'
    """
    if isinstance(x, np.ndarray):
        return np
    import torch

    return torch


def constant(x: Array) -> Array:
    """``x`` without the graph of its gradients; ``x`` itself where there is none."""
    return x.detach() if getattr(x, "requires_grad", False) else x  # type: ignore[attr-defined]


def power_of_two(n: int) -> int:
    """The smallest power of two that is ≥ n.

    >>> power_of_two(513)
    1024
    """
    return 1 << max(0, n - 1).bit_length()


def padded(taps: Array, before: int, after: int) -> Array:
    """Taps with zeros added."""
    xp = namespace(taps)
    zeros = xp.zeros(before + after, dtype=xp.float64, device=taps.device)
    return xp.concat([zeros[:before], taps, zeros[before:]])
