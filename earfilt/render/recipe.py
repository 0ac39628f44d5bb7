"""What was asked for, as one value: it names what a finished file was made with.

Everything beside the source that decides the bytes of an output: the members of the filter with
their settings in full, the hashes of tables and of the user's files, the options of writing, and
the version of the design. The digits of the taps are no part of it: they may differ in the last
place from one kind of processor to the next.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from earfilt.caches import kept_light
from earfilt.chains.request import FilterOptions, Request, option_words
from earfilt.errors import EarfiltError, printable
from earfilt.render.job import Options
from earfilt.storage.manifest import MALFORMED
from earfilt.version import __version__

if TYPE_CHECKING:
    from earfilt.chains.members import Filter

# These change the report, or which files are done, not their bytes.
_NO_BYTES = ("exists", "in_place", "full_scale", "full_scale_spl")
# Recipes of versions that did not have these are the same.
_WHERE_GIVEN = ("latency_ms", "raw", "rate", "channels", "to_raw")
# The defaults of version 0.1, whose manifests hold the options that were given and no others.
_ORDER_OF_0_1 = {"headphone": 512, "middle-ear": 512, "outer-middle-ear": 4096, "curve": 512}


@dataclass(frozen=True)
class Recipe:
    """A filter and the options of writing, resolved.

    Attributes
    ----------
    name : str
        Short hash of all that decides bytes.
    made_by : mapping
        JSON-able, in words: what the hash was made of, and beside it what was typed.
    """

    name: str
    made_by: Mapping[str, Any]

    def other_default(self, made_by: Mapping[str, Any]) -> str | None:
        """What differs in a recipe that came of the same request under another version: an option
        to go on with it, or words.

        Parameters
        ----------
        made_by : mapping
            Of a manifest: it may contain anything.

        Returns
        -------
        str or None
            None where the request was another, or nothing differs.
        """
        other = _resolved(made_by)
        if other is None or _name(other) == self.name or _request(other) != _request(self.made_by):
            return None
        return _remedy(other, self.made_by) or "another version of the design"

    def is_named(self, name: str, recipes: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether a name in a manifest stands for this recipe, also by the way in which version 0.1
        named it.
        """
        if name == self.name:
            return True
        other = _resolved(recipes.get(name, {}))
        return other is not None and _name(other) == self.name


def recipe_of(filter: Filter, options: Options) -> Recipe:
    """The recipe of a filter and the options of writing."""
    # Filters of equal content are equal, whatever they were called and wherever their files lie.
    return _recipe_of(filter, filter.request, tuple(map(os.path.abspath, filter.files)), options)


@kept_light(256)
def _recipe_of(
    filter: Filter, _request: Request, _paths: tuple[str, ...], options: Options
) -> Recipe:
    made_by = _made_by(filter, options)
    return Recipe(_name(made_by), made_by)


def _made_by(filter: Filter, options: Options) -> dict[str, Any]:
    writing = {
        name: value
        for name, value in asdict(options).items()
        if name not in _NO_BYTES and (value or name not in _WHERE_GIVEN)
    }
    files = [file for member in filter.members for file in member.files]
    return {
        "version": __version__,
        "filter": {"name": filter.name, **filter.request.given()},
        "files": {os.path.abspath(file.name): file.sha256 for file in files},
        **filter.identity,
        "options": writing,
    }


def _name(made_by: Mapping[str, Any]) -> str:
    decisive = {key: made_by[key] for key in ("design", "members", "tables", "options")}
    text = json.dumps(decisive, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _request(made_by: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the user gave: names, options, contents of files."""
    files = [member.get("sha256") for member in made_by["members"]]
    # those of a target and of what an inverse undoes do not belong to one member
    every = sorted(made_by.get("files", {}).values())
    filter = {key: value for key, value in made_by["filter"].items() if key != "force_chain"}
    return filter, made_by["options"], files, every


def _resolved(made_by: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A recipe of a manifest in today's form; None where it is not one, or cannot be known."""
    try:
        if "members" in made_by:
            _name(made_by), _request(made_by)
            return {**made_by, "members": [dict(member) for member in made_by["members"]]}
        return _resolved_0_1(made_by)
    except (EarfiltError, *MALFORMED):
        return None


def _resolved_0_1(made_by: Mapping[str, Any]) -> Mapping[str, Any] | None:
    from earfilt.chains.members import resolve  # for manifests of version 0.1 alone

    given = {name: made_by["filter"].get(name) for name in FilterOptions.__annotations__}
    # Its tolerances found the smallest order, and any filters made a chain.
    given["fewest"] = True if given["tolerance"] is not None else None
    given["force_chain"] = True
    filter = resolve(made_by["filter"]["name"], **given)
    if filter.files:
        return None  # the content of its files was not noted
    resolved = _made_by(filter, Options(**made_by["options"]))
    if given["order"] is None and given["tolerance"] is None:
        for member in resolved["members"]:
            del member["tolerance"]
            member["order"] = _ORDER_OF_0_1[member["kind"]]
    request = {
        key: value for key, value in made_by["filter"].items() if value is not None or key == "name"
    }
    tables, version = dict(made_by["tables"]), str(made_by["version"])
    return {**resolved, "filter": request, "tables": tables, "version": version}


def _remedy(other: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    """The options that say what was a default then, if one set of options says it for all members.

    The search for the fewest taps, of which version 0.1 made every tolerance, is none of them.
    """
    if (other["design"], other["tables"]) != (mine["design"], mine["tables"]):
        return ""
    added: dict[str, Any] = {}
    for then, now in zip(other["members"], mine["members"], strict=True):
        for name, value in then.items():
            if now.get(name) == value:
                continue
            if isinstance(value, list | dict) or added.setdefault(name, value) != value:
                return ""
    if not added.keys() <= FilterOptions.__annotations__.keys() - {"fewest"}:
        return ""
    return printable(" ".join(option_words(added)))
