"""The kinds of ears: how numbers, formulas and circuits become a curve.

A kind is a subclass of ``earfilt.ears.ear.Ear`` in a file of its own here; its name is in the
list below. Each kind declares its options once, and nothing else knows a kind by name.
"""

import importlib
from collections.abc import Iterator
from functools import cache

from earfilt.ears.ear import Ear
from earfilt.ears.options import Option

_MODULES = {
    "headphone": "documented",
    "middle-ear": "documented",
    "outer-middle-ear": "documented",
    "curve": "measured",
    "contour": "contour",
    "formula": "formula",
    "circuit": "circuit",
    "sections": "sections",
    "own": "own",
    "equaliser": "equaliser",
}
NAMES = tuple(_MODULES)


@cache
def kind(name: str) -> type[Ear]:
    """The class of a kind.

    Raises
    ------
    KeyError
        No such kind.

    Examples
    --------
    >>> kind("curve").__name__
    'Measured'
    """
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return next(found for found in module.KINDS if found.kind == name)


def every_option() -> dict[str, tuple[Option, ...]]:
    """All options of all kinds: by name, as each kind that has it declares it.

    >>> [option.default for option in every_option()["phase"]][:3]
    ['minimum', 'minimum', 'zero']
    """
    found: dict[str, list[Option]] = {}
    for option in _declared():
        found.setdefault(option.name, []).append(option)
    return {name: tuple(options) for name, options in found.items()}


def _declared() -> Iterator[Option]:
    for name in NAMES:
        yield from kind(name).declared
