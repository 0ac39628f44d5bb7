"""One text of a formula for numpy arrays and torch tensors.

From numpy 2 on, both libraries have the names of the array API standard for all that the designs
need; a formula asks its argument which of them it belongs to. (The package ``array-api-compat``
answers the same, but loads every part of numpy first, tests and f2py included: 0.07 s, the length
of a whole short run.) numpy itself loads with the first array, so that what is known of the ears
can be listed without it.

References
----------
Python array API standard, 2023.12, https://data-apis.org/array-api/2023.12/
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Floats: TypeAlias = "NDArray[np.float64]"
Complexes: TypeAlias = "NDArray[np.complexfloating[Any, Any]]"
Array = TypeVar("Array", "Floats", "Tensor")
"""A float64 array of either library; what comes out is of the kind, and on the device, of what went
in.
"""


def namespace(x: Any) -> Any:
    """The module whose functions take ``x``: numpy, or torch, which is not loaded for arrays.

    >>> import numpy as np
    >>> namespace(np.zeros(3)).__name__
    'numpy'
    """
    import numpy as np

    if isinstance(x, np.ndarray):
        return np
    import torch

    return torch


def floats(values: Iterable[float]) -> Floats:
    """Numbers as a float64 array of numpy."""
    import numpy as np

    return np.array(tuple(values), dtype=np.float64)


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
