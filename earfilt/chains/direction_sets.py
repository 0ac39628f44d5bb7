"""Sets of directions for other programs: one wave file with two channels, left and right, for each.

HeSuVi (and PipeWire's virtual surround, which reads its files) wants 14 channels for seven speakers
in an order of its own; those stand where ITU-R BS.2051 (system I) has them.

References
----------
HeSuVi, https://sourceforge.net/projects/hesuvi (channel order of its impulse responses).
ITU-R BS.2051-3 (2022). Advanced sound system for programme production.
"""

import io
from typing import NamedTuple, Unpack

import numpy as np

from earfilt.arrays import Floats
from earfilt.chains import directions
from earfilt.chains.request import FilterOptions
from earfilt.ears.options import settings
from earfilt.errors import UsageError, printable
from earfilt.files.sofa.reader import holds_sofa, read_sofa
from earfilt.synthesis.fir import Fir

__all__ = ["HESUVI", "DirectionSet", "direction_set"]

_SPEAKERS = {"FL": 30.0, "FR": -30.0, "FC": 0.0, "SL": 90.0, "SR": -90.0, "RL": 135.0, "RR": -135.0}
HESUVI = ("FL-L", "FL-R", "SL-L", "SL-R", "RL-L", "RL-R", "FC-L", "FR-R", "FR-L", "SR-R", "SR-L", "RR-R", "RR-L", "FC-R")  # fmt: skip
"""HeSuVi's channels: a speaker, and the ear."""

_WITHOUT_EFFECT = ("azimuth", "elevation", "path")


class DirectionSet(NamedTuple):
    """The bytes of a wave file, what to say of it, what to know of the SOFA file, and the files that
    were read.
    """

    data: bytes
    words: list[str]
    cautions: tuple[str, ...]
    files: list[str]


def direction_set(name: str, which: str, **options: Unpack[FilterOptions]) -> DirectionSet:
    """A wave file (32-bit float, at the rate of the set) of several directions.

    Parameters
    ----------
    name : str
        Path of a SOFA file.
    which : str
        ``hesuvi``, or the path of a CSV with the columns azimuth and elevation, in degrees.
    **options
        As in `FilterOptions`, those of SOFA files.

    Raises
    ------
    UsageError
        No SOFA file; a direction outside of what was measured; options that say a direction.
    """
    if not holds_sofa(name):
        raise UsageError(f"--directions needs a SOFA file, and {printable(name)} is not one")
    given = {key: value for key, value in options.items() if value is not None}
    allowed = {option.name for option in directions.SOFA_OPTIONS}
    for key in given:
        if key in _WITHOUT_EFFECT or key not in allowed or given[key] == "only":
            raise UsageError(f"--{key.replace('_', '-')} has no effect on a set of --directions")
    kept = settings(directions.SOFA_OPTIONS, given)
    read = read_sofa(name)
    hrirs, how = directions.set_at(read, kept["distance"]), directions.treatment(kept)
    angles, files = _angles(which)
    firs = []
    for azimuth, elevation in angles:
        from earfilt.directions.geometry import unit_vectors

        direction = unit_vectors(float(azimuth), float(elevation))
        place = hrirs.place(direction, nearest=how.nearest)
        if place is None:
            raise UsageError(directions.outside(read, hrirs, direction))
        made = hrirs.pair(place, how)
        firs.append(Fir(made.taps, hrirs.fs, made.lookahead))
    channels, latency = _aligned(firs)
    if which == "hesuvi":
        channels = channels[_hesuvi_order()]
    words = [
        f"{len(firs)} directions, {len(channels)} channels of {channels.shape[1]} taps at "
        f"{hrirs.fs:.12g} Hz",
        f"latency {latency} samples, the same for all",
    ]
    return DirectionSet(_wave(channels, hrirs.fs), words, read.found.cautions, [name, *files])


def _angles(which: str) -> tuple[Floats, list[str]]:
    if which == "hesuvi":
        return np.array([(azimuth, 0.0) for azimuth in _SPEAKERS.values()]), []
    from earfilt.files.tracks import read_directions
    from earfilt.storage.reading import SmallFile

    return read_directions(SmallFile(which)), [which]


def _hesuvi_order() -> list[int]:
    """Rows of the set, speaker by speaker and left before right, in HeSuVi's order."""
    rows = [f"{speaker}-{ear}" for speaker in _SPEAKERS for ear in "LR"]
    return [rows.index(channel) for channel in HESUVI]


def _aligned(firs: list[Fir]) -> tuple[Floats, int]:
    """Taps (2·directions, numtaps) with one look-ahead."""
    latency = max(fir.lookahead for fir in firs)
    longest = max(fir.numtaps - fir.lookahead for fir in firs)
    rows = [
        np.pad(
            fir.taps,
            ((0, 0), (latency - fir.lookahead, longest - fir.numtaps + fir.lookahead)),
        )
        for fir in firs
    ]
    return np.concatenate(rows), latency


def _wave(channels: Floats, fs: float) -> bytes:
    import soundfile

    if fs != int(fs):
        raise UsageError(f"a wave file cannot state a rate of {fs:.12g} Hz")
    buffer = io.BytesIO()
    soundfile.write(buffer, channels.T, int(fs), format="WAV", subtype="FLOAT")
    return buffer.getvalue()
