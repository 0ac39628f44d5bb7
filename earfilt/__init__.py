"""earfilt: audio through the human outer and middle ear.

What is public is listed in ``__all__`` and loads on first use, so that ``import earfilt`` and help
of the command line stay light; everything else is private to the package.
"""

import sys

_COMMAND = " ".join([*sys.orig_argv, ""])
if sys.argv[:1] == ["-m"] and ("-m earfilt " in _COMMAND or "-mearfilt " in _COMMAND):
    # Python has put the current directory in front of its import path, where files of strangers may
    # lie; with -P it has not.
    del sys.path[: not sys.flags.safe_path]

from typing import TYPE_CHECKING, Any

from earfilt.errors import (
    AudioError,
    DataError,
    DtypeError,
    EarfiltError,
    UnknownNameError,
    UsageError,
)
from earfilt.version import __version__

if TYPE_CHECKING:
    from earfilt.api import (
        Fir,
        ResponseTable,
        apply,
        apply_file,
        apply_files,
        design,
        design_sections,
        ear,
        filters,
        response,
        stream,
        way,
    )
    from earfilt.engine.stream import Stream
    from earfilt.nn.ears import HeadphoneFilter, MiddleEarFilter, OuterMiddleEarFilter
    from earfilt.nn.module import EarModule
    from earfilt.render.record import Row
    from earfilt.synthesis.biquads.sections import Sections

__all__ = [
    "AudioError",
    "DataError",
    "DtypeError",
    "EarModule",
    "EarfiltError",
    "Fir",
    "HeadphoneFilter",
    "MiddleEarFilter",
    "OuterMiddleEarFilter",
    "ResponseTable",
    "Row",
    "Sections",
    "Stream",
    "UnknownNameError",
    "UsageError",
    "__version__",
    "apply",
    "apply_file",
    "apply_files",
    "design",
    "design_sections",
    "ear",
    "filters",
    "response",
    "stream",
    "way",
]

# Where each public name that loads on first use comes from.
_PLACES = {
    "Row": "earfilt.render.record",
    "Sections": "earfilt.synthesis.biquads.sections",
    "Stream": "earfilt.engine.stream",
    "EarModule": "earfilt.nn.module",
    "HeadphoneFilter": "earfilt.nn.ears",
    "MiddleEarFilter": "earfilt.nn.ears",
    "OuterMiddleEarFilter": "earfilt.nn.ears",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'earfilt' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_PLACES.get(name, "earfilt.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
