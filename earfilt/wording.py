"""How messages name what helps: as whoever called would write it.

The same refusal reaches people who type commands and programs that call functions. On the command
line an option is a flag, in Python an argument; a worker words as the process that gave it its task
(`earfilt.batch.run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["either", "existing", "is_typed", "option", "remedy", "typed", "without_remedies"]

_FLAGS = {"gain_db": "gain"}  # that are called otherwise on the command line
_EXISTING = {"force": "--force", "skip": "--skip-existing", "resume": "--resume"}
_is_typed = False
_has_remedies = True


@contextmanager
def typed(on: bool = True) -> Iterator[None]:
    """Messages are for someone who types commands, or who writes Python, in the block."""
    global _is_typed
    before, _is_typed = _is_typed, on
    try:
        yield
    finally:
        _is_typed = before


def is_typed() -> bool:
    """Whether messages are for someone who types commands."""
    return _is_typed


@contextmanager
def without_remedies() -> Iterator[None]:
    """Messages name no option that makes do with what is wrong with a file: whoever reads it in the
    block has none.
    """
    global _has_remedies
    before, _has_remedies = _has_remedies, False
    try:
        yield
    finally:
        _has_remedies = before


def remedy(words: str) -> str:
    """Words that end a message with such an option.

    >>> remedy("; use " + option("repair", True))
    '; use repair=True'
    >>> with without_remedies():
    ...     remedy("; use " + option("repair", True))
    ''
    """
    return words if _has_remedies else ""


def either(command: str, python: str) -> str:
    """What is written on the command line, or in Python."""
    return command if _is_typed else python


def option(name: str, value: str | float | bool | None = None) -> str:
    """An option by its name in Python, with a value or without.

    >>> option("order"), option("resample_fir", True), option("phase", "minimum")
    ('order', 'resample_fir=True', 'phase="minimum"')
    >>> with typed():
    ...     option("order"), option("resample_fir", True), option("phase", "minimum")
    ('--order', '--resample-fir', '--phase minimum')
    """
    said = f"{value:g}" if type(value) is float else value
    if not _is_typed:
        shown = f'"{said}"' if isinstance(value, str) else said
        return name if value is None else f"{name}={shown}"
    flag = _FLAGS.get(name, name).replace("_", "-")
    if value is None or isinstance(value, bool):
        return f"--no-{flag}" if value is False else f"--{flag}"
    return f"--{flag} {said}"


def existing(rule: str) -> str:
    """What is to be done about outputs that exist: ``force``, ``skip`` or ``resume``.

    >>> existing("skip")
    'exists="skip"'
    """
    return either(_EXISTING[rule], f'exists="{rule}"')
