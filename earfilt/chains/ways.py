"""Ways from one reference point to another: ears, chains of them, and their inverses."""

from collections.abc import Iterator
from typing import NamedTuple

from earfilt.chains.describe import short_citation
from earfilt.ears import catalogue
from earfilt.ears.entry import POINTS, Entry
from earfilt.ears.kinds.inverse import INVERSE_PREFIX
from earfilt.ears.options import choice, text
from earfilt.errors import UsageError

_MOST_STEPS = 4


class Step(NamedTuple):
    """One ear of a way, forwards or back."""

    entry: Entry
    back: bool

    @property
    def name(self) -> str:
        """As it is written in a chain."""
        return INVERSE_PREFIX * self.back + self.entry.full_name

    @property
    def start(self) -> str:
        """The point that it leads from."""
        return self.entry.end if self.back else self.entry.start

    @property
    def end(self) -> str:
        """The point that it leads to."""
        return self.entry.start if self.back else self.entry.end


Way = tuple[Step, ...]


def point(words: str) -> str:
    """A reference point as the command line writes it.

    >>> point("free-field")
    'free field'

    Raises
    ------
    UsageError
        There is none of that name.
    """
    names = {name.replace(" ", "-"): name for name in POINTS}
    return names[
        choice(
            "a reference point", text("a reference point", words).replace(" ", "-"), tuple(names)
        )
    ]


def name_of(way: Way) -> str:
    """The chain of a way, as ``-f`` takes it."""
    return "+".join(step.name for step in way)


def sources_of(way: Way) -> str:
    """Author and year of each source, once.

    >>> sources_of(preferred_way("diffuse field", "eardrum"))
    'ISO 532-2:2017'
    """
    sources = (source.citation for step in way for source in step.entry.sources)
    return "; ".join(dict.fromkeys(map(short_citation, sources)))


def preferred_way(start: str, end: str) -> Way:
    """The way between two reference points that is taken where none is named: the shortest one by
    the preferred ears, ISO 532 where it leads.

    Parameters
    ----------
    start, end : str
        Of ``earfilt.ears.entry.POINTS``.

    Raises
    ------
    UsageError
        None leads there.

    Examples
    --------
    >>> name_of(preferred_way("free field", "diffuse field"))
    'iso532-free+inverse:iso532-diffuse'
    """
    steps = [step for step in _steps() if step.entry.preferred]
    ways: list[Way] = [(step,) for step in steps if step.start == start]
    for _ in range(_MOST_STEPS):
        for way in ways:
            if way[-1].end == end:
                return way
        ways = [(*way, step) for way in ways for step in steps if _leads_on(way, step)]
    raise UsageError(f"no way leads from the {start} to the {end}")


def ways(start: str, end: str) -> list[Way]:
    """All ears and chains of two, inverses included, between two reference points; the preferred
    way first, then by length, those of one source before others.
    """
    steps = list(_steps())
    ones: list[Way] = [(step,) for step in steps if (step.start, step.end) == (start, end)]
    twos: list[Way] = [
        (first, second)
        for first in steps
        if first.start == start and first.end != end
        for second in steps
        if second.end == end and _leads_on((first,), second)
    ]
    found = ones + sorted(twos, key=_of_several_sources)
    try:
        best = preferred_way(start, end)
    except UsageError:
        return found
    return [best, *(way for way in found if name_of(way) != name_of(best))]


def _steps() -> Iterator[Step]:
    """Every ear with reference points, forwards and back; people's, and no manikin's or cat's."""
    for entry in catalogue.entries():
        if entry.start and entry.end and (entry.species == "human" or entry.preferred):
            yield Step(entry, back=False)
            yield Step(entry, back=True)


def _leads_on(way: Way, step: Step) -> bool:
    """Whether a step goes on where a way ends, and not back to where it has been."""
    been = {way[0].start, *(one.end for one in way)}
    return step.start == way[-1].end and step.end not in been


def _of_several_sources(way: Way) -> bool:
    return len({step.entry.sources[0].citation for step in way}) > 1
