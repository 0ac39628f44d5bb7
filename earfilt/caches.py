"""What functions keep of their last results, within bounds: a program that runs for long, a server
say, must not gather all the files that it ever read.
"""

import pickle
from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from earfilt.arrays import Floats


class _Taps(Hashable, Protocol):
    """A FIR."""

    @property
    def taps(self) -> "Floats":
        """Its taps, in one row or several."""


_P = ParamSpec("_P")
_T = TypeVar("_T")
_Fir = TypeVar("_Fir", bound=_Taps)
_TAPS = 1 << 18
_BYTES = 1 << 27


def kept(
    most: int,
) -> Callable[[Callable[Concatenate[_Fir, _P], _T]], Callable[Concatenate[_Fir, _P], _T]]:
    """Keep what a function makes of the last FIRs, but for those of very many taps: some hundred
    bytes a tap are kept of each.
    """

    def decorate(
        function: Callable[Concatenate[_Fir, _P], _T],
    ) -> Callable[Concatenate[_Fir, _P], _T]:
        keeping: Any = lru_cache(most)(function)

        @wraps(function)
        def call(fir: _Fir, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
            made: _T = (keeping if fir.taps.size <= _TAPS else function)(fir, *args, **kwargs)
            return made

        return call

    return decorate


def kept_light(most: int, at_most: int = _BYTES) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Keep the last results of a function, with what they were made of. Once that takes more than so
    many bytes, pickled, all but the newest go; this one stays however heavy it is, since a corpus
    asks for it with each recording.
    """

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        held = 0

        def make(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            nonlocal held
            weight = len(pickle.dumps((args, kwargs), pickle.HIGHEST_PROTOCOL))
            held += weight
            if held > at_most:
                keeping.cache_clear()
                held = weight
            return function(*args, **kwargs)

        keeping: Any = lru_cache(most)(make)
        return wraps(function)(keeping)

    return decorate
