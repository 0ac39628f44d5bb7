"""What a filter is made of: its members with their content, as one immutable value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from earfilt.ears.kinds.inverse import INVERSE_PREFIX, inverse_of
from earfilt.storage.reading import SmallFile
from earfilt.version import DESIGN, READING

if TYPE_CHECKING:
    from earfilt.chains.request import Request
    from earfilt.ears.ear import Ear
    from earfilt.ears.table import Table
    from earfilt.storage.reading import LargeFile
    from earfilt.synthesis.biquads.sections import Sections
    from earfilt.synthesis.fir import Fir
    from earfilt.synthesis.provenance import Provenance

__all__ = ["DEFAULT_TOLERANCE_DB", "Chain", "Member", "Options"]

DEFAULT_TOLERANCE_DB = 0.1

Options = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Member:
    """One filter of a chain: an ear of the catalogue, or a file (a curve or a FIR).

    Parameters
    ----------
    name : str
        ``NAME:VARIANT``, or the path as given.
    kind : str
        Of the ear; ``fir``, or ``sos``, a file of sections.
    ear : Ear, optional
        None of a file of a FIR or sections.
    file : SmallFile, optional
        The user's file, if it is one.
    options : mapping
        All its options: those given, else the defaults.
    target : SmallFile, optional
        The file of the curve that it is corrected to.
    inner : tuple of Member
        Of an inverse: what it undoes.
    made : Fir, optional
        What was made of a SOFA file for a direction.
    track : SmallFile, optional
        The file of the path of a moving source.
    ear_side : '', 'left' or 'right'
        The ear that it is for, of a filter with a chain for each; empty: for all channels.
    """

    name: str
    kind: str
    ear: Ear | None
    file: SmallFile | LargeFile | None
    options: Options
    target: SmallFile | None = None
    inner: tuple[Member, ...] = ()
    made: Fir | None = None
    track: SmallFile | None = None
    ear_side: str = ""

    @property
    def files(self) -> tuple[SmallFile | LargeFile, ...]:
        """The user's files that it was read from."""
        own = tuple(file for file in (self.file, self.target, self.track) if file is not None)
        return own + tuple(file for member in self.inner for file in member.files)

    @property
    def is_designed(self) -> bool:
        """Whether its taps are designed; those of a file, and of a model with its own phase, are
        what they are.
        """
        return self.ear is not None and self.options["phase"] != "native"

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables it reads."""
        return () if self.ear is None else self.ear.tables

    @cached_property
    def fir(self) -> Fir | None:
        """What a FIR file or a saved ear holds, or the impulse response of a file of sections; None
        of an ear.

        Raises
        ------
        UsageError
            The file is not a FIR, or contradicts ``latency``.
        """
        if self.made is not None:
            return self.made
        if self.ear is not None or not isinstance(self.file, SmallFile):
            return None
        if self.sections is not None:
            from earfilt.files.sos import fir_of

            return fir_of(self.sections, self.file)
        from earfilt.files.saved_ears import read_fir_or_ear  # and all that reads files

        return read_fir_or_ear(self.file, latency=self.options["latency"])

    @cached_property
    def sections(self) -> Sections | None:
        """What a file of sections holds; None of all others.

        Raises
        ------
        DataError
            It is damaged, or not stable.
        """
        if self.kind != "sos" or not isinstance(self.file, SmallFile):
            return None
        from earfilt.files.sos import read_sections

        return read_sections(self.file)

    @property
    def told(self) -> Provenance:
        """What is known of it that was published: of an ear its sources, of a file what it says."""
        from earfilt.synthesis.provenance import Provenance

        if self.ear is not None:
            return Provenance(source=tuple(source.citation for source in self.ear.sources))
        return Provenance() if self.fir is None else self.fir.provenance

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its taps beside tables and design, JSON-able; a file by its content, since a
        path is a place and no part of what the filter is.
        """
        what: dict[str, Any] = {"sha256": self.file.sha256} if self.file is not None else {}
        if self.inner:
            what = {"inverse": [member.identity for member in self.inner]}
        elif self.ear is not None and self.file is None:
            what = {"ear": self.name, **self.ear.entry.stated}
        settings = {name: value for name, value in self.options.items() if value is not None}
        if self.target is not None:
            settings["target"] = self.target.sha256
        if self.track is not None:
            settings["path"] = self.track.sha256
        side = {"side": self.ear_side} if self.ear_side else {}
        reading = {"reading": READING} if self._is_read_anew else {}
        revision = {} if self.ear is None else self.ear.revision(self.options)
        return {**what, "kind": self.kind, **settings, **side, **reading, **revision}

    @property
    def _is_read_anew(self) -> bool:
        """Whether its file may have meant another filter to earlier versions."""
        fir = self.fir
        return fir is not None and (self.made is not None or bool(fir.provenance.cautions))


@dataclass(frozen=True, eq=False)
class Chain:
    """One or more filters, resolved; picklable, and independent of the sampling rate.

    Parameters
    ----------
    request : Request
        What was asked for.
    members : tuple of Member
        Of both ears, those of the left one first, where each has its own chain.
    sides : tuple of Chain
        The chain of the left ear and that of the right one; empty where one chain serves all
        channels.
    """

    request: Request
    members: tuple[Member, ...]
    sides: tuple[Chain, ...] = ()

    @property
    def name(self) -> str:
        """As it was asked for."""
        return self.request.name

    @property
    def applied(self) -> str:
        """The name of what is applied: as it was asked for, and of an inverse that an option made
        (``--inverse``, or the correction of a measurement), that.
        """
        if self.sides:
            left, right = (side.applied for side in self.sides)
            same = [side.name for side in self.sides] == [left, right]
            return self.name if same else f"L={left},R={right}"
        asked = bool(self.request.given().get("inverse"))
        by_name = self.name.startswith(INVERSE_PREFIX)  # the members of a chain bring their own
        made = asked or (len(self.members) == 1 and self.members[0].inner and not by_name)
        return inverse_of(self.name) if made else self.name

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What was asked for, JSON-able: names, options in full, hashes of tables and files,
        version of the design. Never digits of taps, which may differ between machines.
        """
        return {
            "design": DESIGN,
            "members": [
                member.identity | ({} if member.ear is None else self.design)
                for member in self.members
            ],
            "tables": {table.id: table.sha256 for one in self.members for table in one.tables},
        }

    @property
    def told(self) -> Provenance:
        """What its members have of what was published."""
        from earfilt.synthesis.provenance import Provenance, sources_of

        return Provenance(**sources_of(member.told for member in self.members))

    @property
    def design(self) -> dict[str, Any]:
        """How its ears are designed: ``order``, or ``tolerance`` and perhaps ``fewest``."""
        given = self.request.given()
        if "order" in given:
            return {"order": given["order"]}
        tolerance = given.get("tolerance", DEFAULT_TOLERANCE_DB)
        return {"tolerance": tolerance} | ({"fewest": True} if given.get("fewest") else {})

    @cached_property
    def sha256(self) -> str:
        """Hash of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chain) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def files(self) -> list[str]:
        """Paths of the user's files, as given."""
        return [file.name for member in self.members for file in member.files]

    @cached_property
    def rows(self) -> int:
        """Rows of taps that its FIR has: 1, 2 of a pair, 4 of a matrix."""
        if self.sides:
            return 2
        firs = (member.fir for member in self.members)
        return max((fir.rows for fir in firs if fir is not None), default=1)

    @property
    def stated_fs(self) -> float | None:
        """The rate (Hz) of the first FIR file that states one."""
        firs = (member.fir for member in self.members)
        return next((fir.fs for fir in firs if fir is not None and fir.fs is not None), None)
