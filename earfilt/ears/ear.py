"""What an ear is: what a source says, before any decision on how it is made into a filter.

An ``Ear`` is a value without order, phase or sampling rate of its own. Kinds of ears
(``earfilt.ears.kinds``) are its subclasses: each says how its numbers become a magnitude, declares
the options that it has, and which columns and keys it understands in the catalogue. Importing one
loads no numpy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from earfilt.ears.options import Option, settings
from earfilt.errors import DataError, UsageError

if TYPE_CHECKING:
    from earfilt.arrays import Complexes, Floats
    from earfilt.ears.entry import Entry, Source
    from earfilt.ears.table import Table
    from earfilt.ears.target import Target


@dataclass(frozen=True, kw_only=True)
class Points:
    """Published points.

    Attributes
    ----------
    freqs : tuple of float
        Hz, ascending.
    gain_db : tuple of float
        dB, in the source's own scale.
    bands : mapping of str to tuple of float
        ``sd_db``, ``tol_lower_db``, ``tol_upper_db``, where the source states them.
    """

    freqs: tuple[float, ...]
    gain_db: tuple[float, ...]
    bands: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ear(ABC):
    """One published ear.

    Attributes
    ----------
    entry : Entry
        Name, source, quantity, unit, scale, reference points, side, species, caveats.
    published : Points, optional
        What was published as numbers; None of a formula or model.
    """

    entry: Entry
    published: Points | None = None

    kind: ClassVar[str]
    """Name of the kind, as the catalogue writes it."""
    declared: ClassVar[tuple[Option, ...]]
    """All options that ears of the kind can have."""
    keys: ClassVar[frozenset[str]] = frozenset()
    """What the catalogue may say in ``parameters`` for this kind."""

    @classmethod
    def read(cls, entry: Entry) -> Self:
        """The ear of an entry of the catalogue.

        Raises
        ------
        DataError
            The entry's table or parameters are not what the kind needs.
        UsageError
            The argument in its name is not valid.
        """
        unknown = [key for key in entry.parameters if key not in cls.keys]
        if unknown:
            raise DataError(
                entry.full_name,
                f"an ear of kind '{cls.kind}' does not understand {', '.join(unknown)}; "
                f"understood are {', '.join(sorted(cls.keys)) or 'none'}",
            )
        return cls._read(entry)

    @classmethod
    @abstractmethod
    def _read(cls, entry: Entry) -> Self:
        """As ``read``, the keys checked."""

    @property
    def name(self) -> str:
        """``NAME[:VARIANT]``."""
        return self.entry.full_name

    @property
    def points(self) -> Points:
        """What was published; of a formula or model, its values at nominal third-octave
        frequencies.
        """
        assert self.published is not None
        return self.published

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the numbers come from, the main source first."""
        return self.entry.sources

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables it reads, the main one first."""
        return tuple(self.entry.table(which) for which in range(len(self.entry.tables)))

    @property
    def start(self) -> str:
        """Reference point that it leads from; empty where it has none."""
        return self.entry.start

    @property
    def end(self) -> str:
        """Reference point that it leads to; empty where it has none."""
        return self.entry.end

    @property
    def range_hz(self) -> tuple[float, float]:
        """What the source covers, Hz; beyond it a rule holds (``--beyond``)."""
        return self.entry.range_hz or (self.points.freqs[0], self.points.freqs[-1])

    @property
    def options(self) -> tuple[Option, ...]:
        """The options of this ear, with its own defaults."""
        return self.declared

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The value of each of its options: the given one, else its default."""
        return settings(self.options, given)

    def revision(self, options: Mapping[str, Any]) -> dict[str, int]:
        """What tells its filter with these settings from the one that an earlier version made of
        the same: by name, the version of a part of it; {} where none changed.
        """
        return {"tail": 2} if options["phase"] == "native" else {}

    @abstractmethod
    def magnitude(self, freqs: Floats, fs: float | None = None) -> Floats:
        """The magnitude in dB that the source states.

        Parameters
        ----------
        freqs : (N,) float64
            Hz, ≥ 0.
        fs : float, optional
            Where the source is a program whose filter depends on the sampling rate: the filter at
            this rate, in Hz. None: the table, formula or prototype.

        Returns
        -------
        (N,) float64
            dB in the source's own scale, −inf where it passes nothing.
        """

    def response(self, freqs: Floats, fs: float | None = None) -> Complexes | None:
        """The complex response where the source states a phase, else None; arguments as for
        ``magnitude``.
        """
        return None

    def native(self, fs: float, **options: Any) -> Callable[[int], Floats]:
        """The impulse response for ``--phase native``, normalisation included: from n to its first
        n samples.

        Raises
        ------
        UsageError
            The source states no phase, or none at this rate.
        """
        raise UsageError(f"{self.name} has no phase of its own; it can have minimum or zero phase")

    @abstractmethod
    def at(self, fs: float, **options: Any) -> Target:
        """What a design aims at.

        Parameters
        ----------
        fs : float
            Sampling rate in Hz.
        **options
            Of ``settings``; ``phase`` belongs to the design and is left alone.

        Raises
        ------
        UsageError
            A rate too low for the ear, or an impossible option.
        """
