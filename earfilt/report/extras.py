"""The libraries of the extra ``plot``, which load on first use and with their shipped settings alone."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from earfilt.errors import UsageError


@contextmanager
def _without_settings(name: str) -> Iterator[None]:
    """While matplotlib loads, show it its shipped settings alone.

    It would read a ``matplotlibrc`` of the current directory, which may be a stranger's (and wait
    for a named pipe of that name).
    """
    found = find_spec(name)
    if name != "matplotlib" or name in sys.modules or found is None or found.origin is None:
        yield
        return
    users, exists = os.environ.get("MATPLOTLIBRC"), os.path.exists
    os.environ["MATPLOTLIBRC"] = os.path.join(
        os.path.dirname(found.origin), "mpl-data", "matplotlibrc"
    )
    os.path.exists = lambda path: path != "matplotlibrc" and exists(path)
    try:
        yield
    finally:
        os.path.exists = exists
        del os.environ["MATPLOTLIBRC"]
        if users is not None:
            os.environ["MATPLOTLIBRC"] = users


def load_extra(name: str, purpose: str) -> ModuleType:
    """A module of the extra ``plot``.

    Raises
    ------
    UsageError
        It is not installed; says how to get it.
    """
    try:
        with _without_settings(name):
            return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise _missing(name, purpose) from error


def check_extra(name: str, purpose: str) -> None:
    """Refuse work whose result could not be shown, without loading anything.

    Raises
    ------
    UsageError
        As `load_extra`.
    """
    try:
        there = find_spec(name) is not None
    except ValueError:  # what was kept from being imported
        there = sys.modules.get(name) is not None
    if not there:
        raise _missing(name, purpose)


def _missing(name: str, purpose: str) -> UsageError:
    return UsageError(
        f"{purpose} need {name}, which is not installed; get it with: pip install 'earfilt[plot]'"
    )
