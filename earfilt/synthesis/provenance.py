"""What is known of a FIR beside its taps: one typed value, from which files, reports and summaries
are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, TypeVar

Joined: TypeAlias = Any
"""One value that all members of a chain share, or a list with one for each that has any."""

PRESSURE = "sound pressure"
"""What most filters give; levels of it are dB SPL."""

T = TypeVar("T")

_OF_AN_EAR = (
    "filter",
    "order",
    "phase",
    "range_hz",
    "deviation_db",
    "deviation_hz",
    "deviation_between_db",
)


@dataclass(frozen=True, kw_only=True)
class FileUse:
    """What a curve or FIR file was understood as.

    Parameters
    ----------
    name : str
        Its path as given.
    sha256 : str
        Of its content.
    kind : 'curve', 'equaliser', 'fir', 'sections', 'sofa' or 'path'
    dialect, columns, notes : str, tuple of str, tuple of str
        In whose words a curve is written, the names of the columns that were taken, and what was
        done to its values.
    bands : int, optional
        Of an equaliser: how many.
    points, hz, gain_db : int, (float, float), (float, float), optional
        Of a curve: number of points, lowest and highest frequency, lowest and highest gain.
    rows : int, optional
        Of a FIR with several rows of taps: how many.
    adapted : tuple of str
        Of a saved ear whose numbers were changed, or a FIR that was made of one: what it was.
    numtaps, latency : int, optional
        Of a FIR; the number of taps of sections too.
    sections : int, optional
        Number of biquads.
    directions : int, optional
        Of a SOFA file: how many it holds.
    """

    name: str
    sha256: str
    kind: Literal["curve", "equaliser", "fir", "sections", "sofa", "path"]
    dialect: str = ""
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bands: int | None = None
    points: int | None = None
    hz: tuple[float, float] | None = None
    gain_db: tuple[float, float] | None = None
    rows: int | None = None
    adapted: tuple[str, ...] = ()
    numtaps: int | None = None
    latency: int | None = None
    sections: int | None = None
    directions: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON-able object; what does not apply is left out."""
        known = {name: value for name, value in vars(self).items() if value not in (None, "", ())}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in known.items()}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a FIR comes from and how it was made; everything is JSON-able.

    Parameters
    ----------
    filter : str, optional
        The name as resolved: ``NAME[:VARIANT]`` or a path, joined by ``+``.
    command : str, optional
        The same with its options as typed on the command line, quoted for a shell.
    quantity : str, optional
        What comes out where sound pressure goes in: ``sound pressure``, ``stapes velocity``, …; of
        two ears that differ both, with a slash. Only levels of the first are dB SPL.
    variant : str or list of str, optional
    source : list of str
        Full citations of the tables, whose curves it has.
    adapted : tuple of str
        Names of filters whose numbers were changed or learnt, so that their curves are no more
        those of their sources.
    adapted_from : tuple of str
        Full citations of the sources of those.
    table_sha256 : mapping of str to str
        Hash of the bytes of each table, by its id.
    files : tuple of FileUse
        The user's files, and what each was understood as.
    order : int or list of int, optional
        Number of taps − 1 of one pass.
    phase : str or list of str, optional
        ``minimum``, ``zero``, ``native``; of a file that does not say, ``causal`` or ``centred``.
    options : mapping
        The other options of the members, each by its name.
    range_hz : (float, float), optional
        Lowest and highest published frequency, of all members alike.
    held_to_hz : float, optional
        The highest published frequency that the response is held to, where that is not the end of
        the range: what lies above 0.45·fs cannot be met at this rate.
    led : bool
        Beyond that range no rule was followed: the response was led on smoothly.
    tolerance_db : float, optional
        What the design was made for; None where an order was given, or nothing was designed.
    tolerance_met : bool
    missed_points_hz : list of float
        Published points that a tolerance was not met at.
    rounded_to : str, optional
        Sample format that the taps were rounded to, as they were written; what is said of the
        tolerance and of deviations is of the rounded ones.
    lowered_db : float, optional
        What was taken off all levels of a preset, dB, so that no frequency gains; deviations are
        those of the shape.
    deviation_db, deviation_hz : float, optional
        Largest deviation from the published points, and where (`earfilt.synthesis.deviation`).
    deviation_between_db : float, optional
        Largest deviation from the curve between the points.
    limited_hz : tuple of (float, float)
        Bands in which the limit of an inverse acts, lowest and highest frequency.
    cautions : tuple of str
        What to know of a chain whose members join with a reservation.
    ears : (Provenance, Provenance) or ()
        Of a pair that was made of a chain for each ear: the left one and the right one. The others
        hold the larger deviation and the range that both cover.
    """

    filter: str | None = None
    command: str | None = None
    quantity: str | None = None
    variant: Joined = None
    source: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    adapted_from: tuple[str, ...] = ()
    table_sha256: Mapping[str, str] = field(default_factory=dict)
    files: tuple[FileUse, ...] = ()
    order: Joined = None
    phase: Joined = None
    options: Mapping[str, Joined] = field(default_factory=dict)
    range_hz: tuple[float, float] | None = None
    held_to_hz: float | None = None
    led: bool = False
    tolerance_db: float | None = None
    tolerance_met: bool = True
    missed_points_hz: tuple[float, ...] = ()
    rounded_to: str | None = None
    lowered_db: float | None = None
    deviation_db: float | None = None
    deviation_hz: float | None = None
    deviation_between_db: float | None = None
    limited_hz: tuple[tuple[float, float], ...] = ()
    cautions: tuple[str, ...] = ()
    ears: tuple[Provenance, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A flat JSON-able object; what is not known is left out.

        >>> Provenance(filter="headphone", order=512, options={"beyond": "hold"}).to_json()
        {'filter': 'headphone', 'order': 512, 'beyond': 'hold'}
        """
        found: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "options":
                found |= {name: one for name, one in value.items() if one is not None}
            elif item.name == "ears":
                found |= self._ears_json()
            elif item.name == "files":
                found |= self._files_json()
            elif item.name == "led":
                found |= {"led": True} if value else {}
            elif item.name == "tolerance_met":
                found |= {} if self.tolerance_db is None else {item.name: value}
            elif value is not None and value != () and value != {}:
                found[item.name] = list(value) if isinstance(value, tuple) else value
        return found

    def citations(self, cite: Callable[[str], str] = str) -> tuple[str, ...]:
        """Every source in words, each once; where its numbers were changed, that they were.

        >>> Provenance(source=("Own 2001.",), adapted_from=("Else 1994.",)).citations()
        ('Own 2001.', 'adapted from Else 1994.')
        """
        said = [*map(cite, self.source), *map(_adapted, map(cite, self.adapted_from))]
        return tuple(dict.fromkeys(said))

    @property
    def adaptation(self) -> str:
        """That numbers were changed, and of what; empty where none were.

        >>> Provenance(adapted=("middle-ear",)).adaptation
        'adapted from middle-ear'
        """
        return _adapted(" and ".join(self.adapted)) if self.adapted else ""

    def _ears_json(self) -> dict[str, Any]:
        """What differs from ear to ear; a shared look-ahead keeps them aligned."""
        if not self.ears:
            return {}
        told = [{key: ear.to_json().get(key) for key in _OF_AN_EAR} for ear in self.ears]
        return {
            "ears": dict(zip(("left", "right"), told, strict=True)),
            "added_interaural_delay": 0,
        }

    def _files_json(self) -> dict[str, Any]:
        if not self.files:
            return {}
        return {
            "file_sha256": {file.name: file.sha256 for file in self.files},
            "files": [file.to_json() for file in self.files],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Provenance:
        """What a file says of itself, as far as it is plain words and numbers of the right kind.

        Files may say anything: nothing else is kept, and nothing of it is used as an instruction.
        """
        plain = {
            name: told[name]
            for name in ("order", "phase", "variant")
            if _is_plain(told.get(name), str | int)
        }
        words = {
            name: told[name]
            for name in ("filter", "command", "quantity")
            if isinstance(told.get(name), str)
        }
        lists: dict[str, Any] = {
            name: tuple(told[name])
            for name in ("source", "adapted", "adapted_from")
            if isinstance(told.get(name), list) and _is_plain(told[name], str)
        }
        options = {
            name: told[name]
            for name in ("convention", "normalize_gain", "beyond")
            if _is_plain(told.get(name), str | bool)
        }
        return cls(**words, **plain, **lists, options=options)


def _adapted(what: str) -> str:
    return f"adapted from {what}"


def _is_plain(value: object, kinds: Any) -> bool:
    """Whether a value is of some kinds, or a list of them."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(part, kinds) for part in value)
    return isinstance(value, kinds)


def of_pair(left: Provenance, right: Provenance) -> Provenance:
    """What is known of two FIRs that became a pair: what they share once, what differs as a list,
    the larger deviation; and each for itself.
    """
    ears = (left, right)
    names = dict.fromkeys(name for ear in ears for name in ear.options)
    worst = max(ears, key=lambda ear: -1.0 if ear.deviation_db is None else ear.deviation_db)
    between = [ear.deviation_between_db for ear in ears if ear.deviation_between_db is not None]
    ranges = [ear.range_hz for ear in ears if ear.range_hz is not None]
    return Provenance(
        quantity=" / ".join(dict.fromkeys(ear.quantity or PRESSURE for ear in ears)),
        variant=joined(_flat(ear.variant for ear in ears)),
        **sources_of(ears),
        table_sha256={**left.table_sha256, **right.table_sha256},
        files=_every(ear.files for ear in ears),
        order=joined(_flat(ear.order for ear in ears)),
        phase=joined(_flat(ear.phase for ear in ears)),
        options={name: joined(_flat(ear.options.get(name) for ear in ears)) for name in names},
        range_hz=(max(low for low, _ in ranges), min(high for _, high in ranges))
        if len(ranges) == len(ears)
        else None,
        held_to_hz=min((ear.held_to_hz for ear in ears if ear.held_to_hz), default=None),
        led=any(ear.led for ear in ears),
        tolerance_db=left.tolerance_db if right.tolerance_db is None else right.tolerance_db,
        tolerance_met=all(ear.tolerance_met for ear in ears),
        missed_points_hz=tuple(sorted({hz for ear in ears for hz in ear.missed_points_hz})),
        deviation_db=worst.deviation_db,
        deviation_hz=worst.deviation_hz,
        deviation_between_db=max(between, default=None),
        limited_hz=_every(ear.limited_hz for ear in ears),
        cautions=_every(ear.cautions for ear in ears),
        ears=ears,
    )


def sources_of(each: Iterable[Provenance]) -> dict[str, Any]:
    """What several name as their sources, once: as it was published, and adapted."""
    each = list(each)
    names = ("source", "adapted", "adapted_from")
    return {name: _every(getattr(one, name) for one in each) for name in names}


def _flat(values: Iterable[Joined]) -> list[Any]:
    """The values of all members of both ears."""
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _every(of_ears: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    """What both ears have, once."""
    return tuple(dict.fromkeys(one for ear in of_ears for one in ear))


def joined(values: Any) -> Any:
    """One value for the chain: the common one of those that have it, else the list.

    >>> joined([512, None, 512]), joined([512, 4096]), joined([None])
    (512, [512, 4096], None)
    """
    if not isinstance(values, list):
        return values
    have = [value for value in values if value is not None]
    if not have:
        return None
    return have[0] if all(value == have[0] for value in have) else have
