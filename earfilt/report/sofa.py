"""A SOFA file in words: what it holds."""

import json
from typing import Any

from earfilt.errors import printable
from earfilt.storage.writing import put


def print_sofa(path: str, *, as_json: bool = False) -> None:
    """What a SOFA file holds: convention, directions, distances, taps, delays; off a terminal and on
    it ``name<tab>value`` lines, or JSON.

    Raises
    ------
    UsageError, DataError
        As `earfilt.files.sofa.reader.read_sofa`.
    """
    facts = facts_of(path)
    if as_json:
        put(json.dumps(facts, indent=1) + "\n")
        return
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        put(f"{name}\t{printable(text)}\n")


def facts_of(path: str) -> dict[str, Any]:
    """The facts, JSON-able."""
    from earfilt.directions.geometry import angles_of
    from earfilt.files.sofa.reader import read_sofa

    read = read_sofa(path)
    found, hrirs = read.found, read.found.hrirs
    azimuth, elevation = angles_of(hrirs.vectors)
    return {
        "file": path,
        "sha256": read.file.sha256,
        "convention": found.convention,
        "directions": len(hrirs.vectors),
        "azimuth_deg": [round(float(azimuth.min()), 4), round(float(azimuth.max()), 4)],
        "elevation_deg": [round(float(elevation.min()), 4), round(float(elevation.max()), 4)],
        "distances_m": [round(shell, 4) for shell in hrirs.shells],
        "fs": hrirs.fs,
        "taps": hrirs.taps.shape[2],
        "delays_samples": [float(hrirs.delays.min()), float(hrirs.delays.max())],
        **({"lookahead_samples": hrirs.ahead} if hrirs.ahead else {}),
        **{name.lower(): text for name, text in found.about.items()},
        **({"warnings": list(found.cautions)} if found.cautions else {}),
    }
