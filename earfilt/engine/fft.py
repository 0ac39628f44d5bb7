"""scipy's FFT, without what importing it costs.

`scipy.fft` is a front door to one compiled module.  Through the door come scipy.special,
numpy.testing, numpy.f2py and more: 0.12 s, half of what a call on a short file takes.  So the
compiled module is loaded alone, where scipy has it (1.4 to 1.17); any other scipy is asked through
the door.  Either way it is the same code, and gives the same bits.
"""

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy.typing as npt

__all__ = ["backward", "forward"]

Array = npt.NDArray[Any]


def _compiled() -> Any:
    """The compiled module of an installed scipy; None where it has another one."""
    scipy = importlib.util.find_spec("scipy")
    if scipy is None or scipy.origin is None:
        return None
    name = "scipy.fft._pocketfft.pypocketfft"
    module = sys.modules.get(name)
    if module is None:
        spec = PathFinder.find_spec(name, [str(Path(scipy.origin).parent / "fft" / "_pocketfft")])
        if spec is None or spec.loader is None:
            return None
        # Under its own name, so that scipy.fft takes this one: loaded twice, that of scipy 1.16 or
        # older ends in a crash.
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return module if all(hasattr(module, name) for name in ("c2c", "r2c", "c2r")) else None


def _alone(module: Any) -> tuple[Callable[[Array], Array], Callable[[Array, int], Array]]:
    """The transforms of the compiled module; arguments are array, axes, direction, scaling (none),
    memory and threads.
    """

    def forward(x: Array) -> Array:
        transformed: Array = (
            module.c2c(x, (1,), True, 0, None, 1)
            if x.dtype.kind == "c"
            else module.r2c(x, (1,), True, 0, None, 1)
        )
        return transformed

    def backward(spectra: Array, n_fft: int) -> Array:
        if spectra.shape[1] == n_fft:
            signals: Array = module.c2c(spectra, (1,), False, 0, spectra, 1)
            return signals
        return module.c2r(spectra, (1,), n_fft, False, 0, None, 1)

    return forward, backward


def _through_the_door() -> tuple[Callable[[Array], Array], Callable[[Array, int], Array]]:
    """The same by `scipy.fft`."""
    import scipy.fft

    def forward(x: Array) -> Array:
        transformed: Array = (
            scipy.fft.fft(x, axis=1) if x.dtype.kind == "c" else scipy.fft.rfft(x, axis=1)
        )
        return transformed

    def backward(spectra: Array, n_fft: int) -> Array:
        inverse = scipy.fft.ifft if spectra.shape[1] == n_fft else scipy.fft.irfft
        signals: Array = inverse(spectra, n_fft, axis=1, norm="forward", overwrite_x=True)
        return signals

    return forward, backward


_module = _compiled()
_forward, _backward = _through_the_door() if _module is None else _alone(_module)


def forward(x: Array) -> Array:
    """FFT along the middle axis.

    Parameters
    ----------
    x : (segments, n_fft, columns), float or complex of single or double precision
        May be a view whose rows overlap.

    Returns
    -------
    complex array of that precision
        (segments, n_fft, columns) for complex x; (segments, n_fft // 2 + 1, columns) for real x.
    """
    return _forward(x)


def backward(spectra: Array, n_fft: int) -> Array:
    """Inverse FFT along the middle axis, without the factor 1 / n_fft.

    Parameters
    ----------
    spectra : as `forward` gives them
        May be overwritten.
    n_fft : int
        Even; of complex signals the length of the spectra, of real ones 2 * (length - 1).

    Returns
    -------
    (segments, n_fft, columns) array, real or complex
    """
    return _backward(spectra, n_fft)
