"""Whether the members of a chain join: each leads from one reference point to another.

What has no points (a user's curve, a FIR, a weighting) joins everything, and what stands on both
sides of it is looked at as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from earfilt.arrays import floats
from earfilt.ears import catalogue
from earfilt.errors import UsageError, printable
from earfilt.synthesis.provenance import PRESSURE
from earfilt.wording import option

if TYPE_CHECKING:
    from earfilt.chains.chain import Member
    from earfilt.ears.ear import Ear

FIELDS = ("free field", "diffuse field")
A0 = "transmission a0"
_SHOWN = 4
_NO_PRESSURE = ("stapes", "transmission", "weighting", "level")
_INSIDE = ("stapes", "cochlea")


def check_joins(members: Sequence[Member]) -> None:
    """Refuse a chain whose reference points do not meet.

    Raises
    ------
    UsageError
        It says what would join.
    """
    for first, second in _neighbours(members):
        if first.end != second.start and not _is_a0_before_a_middle_ear(first, second):
            raise UsageError(_refusal(first, second))


def warnings(members: Sequence[Member]) -> list[str]:
    """What to know of a chain that joins, with its numbers."""
    found = []
    for first, second in _neighbours(members):
        if _is_a0_before_a_middle_ear(first, second):
            found.append(_a0(first, second))
        relative = second.entry.relative_to
        if relative and first.start in FIELDS and first.start != relative:
            found.append(_other_field(first, second))
    return found


def quantity(members: Sequence[Member]) -> str:
    """What comes out of a chain: ``sound pressure``, or what the last member makes of it that
    gives something else. Levels of a recording are dB SPL of the first alone.
    """
    for member in reversed(members):
        if (found := _given_by(member)) != PRESSURE:
            return found
    return PRESSURE


def _given_by(member: Member) -> str:
    if member.ear is None:  # a FIR that earfilt designed says so; of others it is not known
        fir = member.fir
        return (None if fir is None else fir.provenance.quantity) or PRESSURE
    inner = quantity(member.inner) if member.inner else PRESSURE
    if member.inner:
        return PRESSURE if inner == PRESSURE else f"the inverse of {inner}"
    entry = member.ear.entry
    if found := re.fullmatch(r"([ac])-weighting", entry.name):
        return f"{found[1].upper()}-weighted sound pressure"
    if entry.quantity.startswith(_NO_PRESSURE):
        return entry.quantity
    return f"at the {entry.end}" if entry.end in _INSIDE else PRESSURE


def _neighbours(members: Sequence[Member]) -> Iterator[tuple[Ear, Ear]]:
    """Ears with reference points, each with the next one."""
    yield from pairwise(
        member.ear for member in members if member.ear is not None and member.ear.start
    )


def _is_a0_before_a_middle_ear(first: Ear, second: Ear) -> bool:
    return first.entry.quantity == A0 and second.start == "eardrum"


def _refusal(first: Ear, second: Ear) -> str:
    return (
        f"{printable(first.name)} ends at the {first.end}, and {printable(second.name)} starts at "
        f"the {second.start}: {_remedy(first, second)}; "
        f"{option('force_chain', True)} chains them as they are"
    )


def _remedy(first: Ear, second: Ear) -> str:
    """What joins."""
    if second.end == first.start:
        return f"'{printable(second.name)}+{printable(first.name)}' joins"
    every = catalogue.entries()
    after = [entry.full_name for entry in every if entry.start == first.end]
    before = [entry.full_name for entry in every if entry.end == second.start]
    from_there = f"from the {first.end} use {_some(after)}" if after else ""
    to_there = f"to the {second.start} use {_some(before)}" if before else ""
    return "; ".join(filter(None, (from_there, to_there))) or (
        f"nothing starts at the {first.end} or ends at the {second.start}"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


def _level(ear: Ear, hz: float) -> float:
    return float(ear.magnitude(floats([hz]))[0])


def _a0(first: Ear, second: Ear) -> str:
    return (
        f"{printable(first.name)} already includes the middle ear above 1 kHz "
        f"({_level(first, 4000.0):+.1f} dB at 4 kHz) but not its loss below "
        f"({_level(first, 100.0):+.1f} dB at 100 Hz): {printable(second.name)} after it adds "
        f"{_level(second, 4000.0):+.1f} dB at 4 kHz and {_level(second, 100.0):+.1f} dB at 100 Hz"
    )


def _other_field(first: Ear, second: Ear) -> str:
    total = _level(first, 1000.0) + _level(second, 1000.0)
    return (
        f"{printable(second.name)} is relative: with the {second.entry.relative_to} it is 0 dB at "
        f"1 kHz; after {printable(first.name)} the chain is {total:+.1f} dB there"
    )
