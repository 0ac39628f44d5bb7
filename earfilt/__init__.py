"""earfilt: audio through the human outer and middle ear.

The three torch modules load on first use, so that ``import earfilt`` (and ``earfilt --help``) stays
light.
"""

from typing import TYPE_CHECKING, Any

from earfilt.errors import AudioError, EarfiltError, UsageError
from earfilt.version import __version__

if TYPE_CHECKING:
    from earfilt.nn.ears import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter

__all__ = [
    "AudioError",
    "EarfiltError",
    "HeadphoneFilter",
    "MiddleEarFilter",
    "OuterMiddleEarFilter",
    "UsageError",
    "__version__",
]

_FILTERS = ("HeadphoneFilter", "MiddleEarFilter", "OuterMiddleEarFilter")


def __getattr__(name: str) -> Any:
    if name in _FILTERS:
        from earfilt.nn import ears

        return getattr(ears, name)
    raise AttributeError(f"module 'earfilt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_FILTERS})
