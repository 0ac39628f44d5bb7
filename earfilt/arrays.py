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

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
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


def is_array(x: Any) -> bool:
    """Whether ``x`` is numpy's; torch is not loaded to know it."""
    import numpy as np

    return isinstance(x, np.ndarray)


def namespace(x: Any) -> Any:
    """The module whose functions take ``x``: numpy, or torch, which is not loaded for arrays.

    >>> import numpy as np
    >>> namespace(np.zeros(3)).__name__
    'numpy'
    """
    if is_array(x):
        import numpy as np

        return np
    import torch

    return torch


def floats(values: Iterable[float]) -> Floats:
    """Numbers as a float64 array of numpy."""
    import numpy as np

    return np.array(tuple(values), dtype=np.float64)


def is_constant(x: Any) -> bool:
    """Whether nothing is differentiated through ``x``, in either mode, and no ``torch.vmap`` maps
    over it.

    >>> import numpy as np
    >>> is_constant(np.zeros(3))
    True
    """
    if is_array(x):
        return True
    is_wrapped, forward_ad = _modes()
    return not (
        x.requires_grad
        or is_wrapped(x)
        # torch looks for a tangent in vain, and slowly, outside of any level
        or (forward_ad._current_level >= 0 and forward_ad.unpack_dual(x).tangent is not None)
    )


def is_plain() -> bool:
    """Whether torch neither transforms functions (`torch.func`) nor differentiates forwards."""
    from torch._C._functorch import maybe_current_level

    return maybe_current_level() is None and _modes()[1]._current_level < 0


def learns(x: Any) -> bool:
    """Whether a tensor is differentiated, by nothing but a backward pass."""
    import torch

    return x.requires_grad and torch.is_grad_enabled() and is_plain()


@cache
def _modes() -> tuple[Any, Any]:
    """What knows of transforms by torch.func, and of forward mode."""
    from torch._C._functorch import is_functorch_wrapped_tensor
    from torch.autograd import forward_ad

    return is_functorch_wrapped_tensor, forward_ad


def is_mapped(x: Any) -> bool:
    """Whether ``torch.vmap`` maps over ``x``, so that its values cannot be looked at.

    >>> import numpy as np
    >>> is_mapped(np.zeros(3))
    False
    """
    if is_array(x):
        return False
    from torch._C import _functorch

    while _functorch.is_functorch_wrapped_tensor(x):
        if _functorch.is_batchedtensor(x):
            return True
        x = _functorch.get_unwrapped(x)
    return False


def can_be_looked_at(x: Any) -> bool:
    """Whether values of ``x`` are at hand: not where ``torch.vmap`` maps over them, nor on a
    device, which would first have to do all that it was given.

    >>> import numpy as np
    >>> can_be_looked_at(np.zeros(3))
    True
    """
    return is_array(x) or (x.device.type == "cpu" and not is_mapped(x))


_copies: dict[tuple[int, Any], Any] = {}


def beside(x: Any, values: Floats) -> Any:
    """Fixed numbers of numpy as an array of the library and on the device of ``x``, not to be
    written to. On a device they are kept while their original is: to copy them waits.

    >>> import numpy as np
    >>> beside(np.zeros(3), np.ones(2))
    array([1., 1.])
    """
    if is_array(x):
        return values
    import torch
    from torch._C._functorch import maybe_current_level

    if x.device.type == "cpu":
        return torch.tensor(values, device=x.device)
    key = (id(values), x.device)
    found = _copies.get(key)
    if found is None:
        # for calls of any mode
        with torch.inference_mode(False):
            found = torch.tensor(values, device=x.device)
        if maybe_current_level() is None:  # torch.func wraps what is made within it
            _copies[key] = found
            weakref.finalize(values, _copies.pop, key, None)
    return found


def solved(matrix: Array, right: Array) -> Array:
    """Solution of linear equations that have one; not asked for it, which waits for a device."""
    xp = namespace(matrix)
    if is_array(matrix):
        return xp.linalg.solve(matrix, right)
    return xp.linalg.solve_ex(matrix, right).result


def is_watched() -> bool:
    """Whether a mode of torch sees each operation, and may answer with other tensors: fake ones, or
    such as stand for a program that is recorded.
    """
    import torch

    return torch._C._len_torch_dispatch_stack() > 0


@contextmanager
def unwatched() -> Iterator[None]:
    """Beside all modes of torch: for what is kept, and for values that are looked at."""
    if not is_watched():
        yield
        return
    # torch's own affairs, which may move: asked for where there is a mode, and nowhere else
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes():
        yield


def constant(x: Array) -> Array:
    """``x`` without what differentiates through it; ``x`` itself where there is nothing."""
    return x if is_constant(x) else x.detach()  # type: ignore[attr-defined, unused-ignore]


def square_root(x: Array) -> Array:
    """√x of numbers ≥ 0, whose derivatives at 0 are 0: there a curve has no gain by definition, and
    the slope is infinite.
    """
    xp = namespace(x)
    positive = x > 0.0
    return xp.where(positive, xp.sqrt(xp.where(positive, x, 1.0)), 0.0 * x)


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
