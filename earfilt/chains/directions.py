"""From a SOFA file and a direction to the FIR of both ears.

The file is read once, when the filter is resolved; what is kept is the pair of taps, or for a moving
source the set of all directions.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from earfilt.ears.options import PHASE, Option, settings
from earfilt.errors import UsageError, counted, printable
from earfilt.wording import either, option

if TYPE_CHECKING:
    from earfilt.arrays import Floats
    from earfilt.directions.hrirs import Hrirs, Pair, Treatment
    from earfilt.files.sofa.reader import SofaFile
    from earfilt.storage.reading import LargeFile, SmallFile
    from earfilt.synthesis.fir import Fir

__all__ = ["SOFA_OPTIONS", "Made", "make", "refuse_motion", "set_at"]

_PHASE = PHASE.with_choices("native", "minimum").with_default("native")
_DIRECTION = (
    Option(
        "azimuth",
        None,
        "Where the sound comes from, counterclockwise from straight ahead (90: left).",
        float,
        (),
        "DEG",
    ),
    Option(
        "elevation",
        None,
        "How far above the horizontal plane the sound comes from (0).",
        float,
        (),
        "DEG",
    ),
    Option("distance", None, "Which distance, of a file with several.", float, (), "M"),
    Option(
        "nearest",
        None,
        "Take the nearest measured direction instead of interpolating.",
        bool,
    ),
    Option(
        "interaural_delay",
        None,
        "With --phase minimum: keep the arrival times of both ears, to a fraction of a sample "
        "(default), or let both start at once.",
        choices=("keep", "remove"),
    ),
    Option(
        "diffuse_field",
        None,
        "What all directions of the file have in common: keep it (default), divide it out, or "
        "take it alone.",
        choices=("keep", "remove", "only"),
    ),
    Option(
        "path",
        None,
        "Move the source: a CSV of time (s), azimuth and elevation (degrees).",
        str,
        (),
        "FILE",
    ),
)
SOFA_OPTIONS = (*_DIRECTION, _PHASE)
"""What SOFA files take, beside the conversion of a rate."""

_NEAR_DISTANCE = 0.02


Options = Mapping[str, Any]


class Made(NamedTuple):
    """What was made of a SOFA file: its name and hash, the options in full, the FIR, and the file of
    a path.
    """

    file: "LargeFile"
    options: Options
    fir: "Fir"
    track: "SmallFile | None" = None


def make(path: str, given: Options, more: tuple[Option, ...]) -> Made:
    """The FIR of a SOFA file.

    Parameters
    ----------
    more : tuple of Option
        What it takes beside its own.

    Raises
    ------
    UsageError
        It cannot be read; the direction is missing, or outside of what was measured; options that
        contradict each other.
    DataError
        What the file holds cannot be used.
    """
    from earfilt.files.sofa.reader import read_sofa

    options = settings((*SOFA_OPTIONS, *more), given)
    _check(path, options)
    read = read_sofa(path)
    hrirs = set_at(read, options["distance"])
    if options["path"] is not None:
        return _moving(read, hrirs, options)
    how = treatment(options)
    where: dict[str, float] = {}
    if how.diffuse == "only":
        pair = hrirs.diffuse_field()
    else:
        pair, where = _pair(read, hrirs, options, how)
    fir = _fir(read, hrirs, pair, options, where)
    return Made(read.file, options, fir)


def treatment(options: Options) -> "Treatment":
    """What is made of the measured responses."""
    from earfilt.directions.hrirs import Treatment

    return Treatment(
        nearest=bool(options["nearest"]),
        minimum=options["phase"] == "minimum",
        delayed=options["interaural_delay"] != "remove",
        diffuse=options["diffuse_field"] or "keep",
    )


def _check(path: str, options: Options) -> None:
    """Refuse options that contradict each other, or would have no effect."""
    name = printable(path)
    if options["interaural_delay"] and options["phase"] != "minimum":
        raise UsageError(
            f"{option('interaural_delay')} has no effect on the measured phase, which includes it; "
            f"it needs {option('phase', 'minimum')}"
        )
    directed = [key for key in ("azimuth", "elevation", "nearest") if options[key] is not None]
    if options["diffuse_field"] == "only":
        useless = [*directed, *(key for key in ("path", "interaural_delay") if options[key])]
        if useless:
            raise UsageError(
                f"{option(useless[0])} has no effect on {option('diffuse_field', 'only')}, which "
                f"is the mean over all directions of {name}"
            )
    if options["path"] is not None:
        if directed and directed != ["nearest"]:
            raise UsageError(
                f"{option('path')} says where the source is; leave {option(directed[0])} out"
            )
        if options.get("resample_fir"):
            raise UsageError(
                f"{option('path')} moves a source at the rate of {name}; convert the recording to "
                "it first"
            )
    for key, limit in (("azimuth", math.inf), ("elevation", 90.0)):
        value = options[key]
        if value is not None and not (math.isfinite(value) and abs(value) <= limit):
            raise UsageError(
                f"{option(key, float(value))}; it must be a finite angle{_within(limit)}"
            )
    if options["distance"] is not None and not 0.0 < options["distance"] < math.inf:
        raise UsageError(f"{option('distance', float(options['distance']))}; it must be above 0 m")


def _within(limit: float) -> str:
    return "" if math.isinf(limit) else f" from -{limit:g} to {limit:g} degrees"


def set_at(read: "SofaFile", distance: float | None) -> "Hrirs":
    """The directions of one distance.

    Raises
    ------
    UsageError
        There are several and none was chosen, or none is near the one that was.
    """
    hrirs, name = read.found.hrirs, printable(read.file.name)
    shells = hrirs.shells
    measured = f"{name} was measured at {', '.join(f'{one:.4g}' for one in shells)} m"
    if distance is None:
        if len(shells) > 1:
            raise UsageError(f"{measured}: {option('distance')} says which")
        return hrirs
    index = min(range(len(shells)), key=lambda i: abs(shells[i] - distance))
    if abs(shells[index] - distance) > _NEAR_DISTANCE * shells[index]:
        raise UsageError(f"{measured}, and not at {distance:g} m")
    return hrirs.at_distance(index)


def _pair(
    read: "SofaFile", hrirs: "Hrirs", options: Options, how: "Treatment"
) -> "tuple[Pair, dict[str, float]]":
    from earfilt.directions.geometry import unit_vectors

    azimuth, elevation = options["azimuth"], options["elevation"]
    if azimuth is None:
        raise UsageError(_ask(read, hrirs))
    elevation = 0.0 if elevation is None else elevation
    direction = unit_vectors(azimuth, elevation)
    place = hrirs.place(direction, nearest=how.nearest)
    if place is None:
        raise UsageError(outside(read, hrirs, direction))
    said = {"azimuth": azimuth, "elevation": elevation}
    pair = hrirs.pair(place, how)
    if how.nearest:
        index, angle = hrirs.net.nearest(direction)
        words = f"nearest measured direction {hrirs.words_for(index)}, {angle:.3g}° away"
        pair = pair._replace(made_of=(words, *pair.made_of))
    return pair, said


def _ask(read: "SofaFile", hrirs: "Hrirs") -> str:
    count = len(hrirs.vectors)
    where = either("--azimuth DEG --elevation DEG says", "azimuth and elevation say")
    return (
        f"{printable(read.file.name)} holds {count} direction{'s' * (count > 1)}: {where} where "
        f"the sound comes from (azimuth 90 is the left), {either('--path FILE', 'path')} moves it, "
        f"and {option('diffuse_field', 'only')} is the mean of all"
    )


def outside(read: "SofaFile", hrirs: "Hrirs", direction: "Floats") -> str:
    """Refusal of a direction around which nothing was measured."""
    from earfilt.directions.geometry import angles_of

    azimuth, elevation = (float(angle) for angle in angles_of(direction))
    index, angle = hrirs.net.nearest(direction)
    return (
        f"azimuth {azimuth:.5g}, elevation {elevation:.5g} lies outside of what "
        f"{printable(read.file.name)} measured; {option('nearest', True)} takes "
        f"{hrirs.words_for(index)}, "
        f"{angle:.3g}° away"
    )


def _fir(
    read: "SofaFile", hrirs: "Hrirs", pair: "Pair", options: Options, where: dict[str, float]
) -> "Fir":
    """The pair with what is known of it."""
    from earfilt.synthesis.fir import Fir

    between, words = _between(pair, hrirs.fs) if where else ({}, ())
    told = told_of(
        read, options, (*pair.made_of, *words, *ahead_words(hrirs)), {**where, **between}
    )
    return Fir(pair.taps, hrirs.fs, pair.lookahead, provenance=told)


def _between(pair: "Pair", fs: float) -> tuple[dict[str, float], tuple[str, ...]]:
    """The broad-band interaural differences, left minus right, as facts and in words."""
    from earfilt.directions.interaural import level_between
    from earfilt.directions.interpolation import interaural

    later, louder = interaural(pair.taps) / fs, level_between(pair.taps)
    if not math.isfinite(louder):  # an ear is silent
        return {}, ()
    facts = {"interaural_delay_s": round(later, 9), "interaural_level_db": round(louder, 6)}
    return facts, (f"ITD {1e6 * later:+.0f} µs, ILD {louder:+.1f} dB (left minus right)",)


def ahead_words(hrirs: "Hrirs") -> tuple[str, ...]:
    """What comes before time zero in a set of directions, if anything does."""
    if not hrirs.ahead:
        return ()
    ahead = counted(hrirs.ahead, "sample")
    return (f"the responses of all directions begin {ahead} before time zero",)


def told_of(
    read: "SofaFile", options: Options, made_of: tuple[str, ...], more: dict[str, Any]
) -> Any:
    """What is known of a FIR that was made from a SOFA file."""
    from earfilt.synthesis.provenance import FileUse, Provenance

    about = read.found.about
    use = FileUse(
        name=read.file.name,
        sha256=read.file.sha256,
        kind="sofa",
        dialect=read.found.convention,
        notes=made_of,
        directions=len(read.found.hrirs.vectors),
    )
    kept = {key: options[key] for key in ("distance", "nearest", "diffuse_field", "path")}
    return Provenance(
        filter=read.file.name,
        source=(about["References"],) if about.get("References") else (),
        files=(use,),
        phase="minimum"
        if options["phase"] == "minimum" or kept["diffuse_field"] == "only"
        else "measured",
        options={**kept, **more},
        cautions=read.found.cautions,
    )


def _moving(read: "SofaFile", hrirs: "Hrirs", options: Options) -> Made:
    """A source that moves along the path of a file."""
    from dataclasses import replace

    from earfilt.directions.geometry import unit_vectors
    from earfilt.directions.moving import HOP, Motion, moving_fir
    from earfilt.files.tracks import read_track
    from earfilt.storage.reading import SmallFile

    track = SmallFile(options["path"])
    times, angles = read_track(track)
    motion = Motion(hrirs, treatment(options), times, unit_vectors(angles[:, 0], angles[:, 1]))
    missed = motion.outside()
    if missed is not None:
        raise UsageError(f"{printable(track.name)}: {outside(read, hrirs, missed)}")
    words = (
        f"a source that moves through {len(times)} points from {times[0]:g} to {times[-1]:g} s, "
        f"faded linearly from one pair of ears to the next every {HOP} frames"
    )
    told = told_of(read, options, (words, *ahead_words(hrirs)), {})
    return Made(read.file, options, replace(moving_fir(motion), provenance=told), track)


def refuse_motion(fir: "Fir") -> None:
    """Raise UsageError where a source moves: what is asked for holds one moment alone."""
    if fir.moves:
        raise UsageError(
            f"{option('path')} moves the source, so there is no one response: use it with apply "
            f"(on the CPU), or give one direction with {option('azimuth')} and {option('elevation')}"
        )
