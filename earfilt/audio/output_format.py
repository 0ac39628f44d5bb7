"""What an output will be, decided from what the source is and what the user asked, before any work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from earfilt.audio import formats
from earfilt.audio.containers import wav
from earfilt.audio.formats import CONTAINERS, PCM_INSTEAD, RIFF_FAMILY, Subtype, Target
from earfilt.audio.speakers import plan_layout
from earfilt.errors import Note, UsageError, printable
from earfilt.wording import option

if TYPE_CHECKING:
    from earfilt.audio.info import AudioInfo


def plan_target(
    info: AudioInfo,
    source_suffix: str,
    suffix: str,
    *,
    fmt: str | None = None,
    subtype: str | None = None,
    to_raw: bool = False,
    unclipped: bool = False,
    tail: int = 0,
) -> tuple[Target, list[str]]:
    """Container, subtype and channel mask of an output.

    Parameters
    ----------
    info : AudioInfo
        The source.
    source_suffix, suffix : str
        Extensions with the dot, as they are; empty for streams.
    fmt, subtype : str or None
        What ``--format`` and ``--subtype`` say.
    to_raw : bool
        Samples without a header.
    unclipped : bool
        Floating point, whatever the source is.
    tail : int
        Frames that the output has beyond the source's.

    Returns
    -------
    Target, list of str
        And what the user should know.

    Raises
    ------
    UsageError
        The container cannot hold it; the message names what helps.
    """
    warnings: list[str] = []
    if to_raw:
        name = _raw(info, suffix, subtype, unclipped)
    else:
        name = formats.choose_container(info.container, source_suffix, suffix, fmt)
    if name == formats.RAW.name and not to_raw:
        raise UsageError.about(
            info.name,
            "{subject} has no header, and neither has what is called {suffix}: add {to_raw} to "
            "write samples alone, or name the output .wav",
            suffix=printable(suffix),
            to_raw=option("to_raw", True),
        )
    if name not in CONTAINERS and not to_raw:
        raise UsageError.about(
            info.name,
            "{subject}: {container} is read only; add {option}, e.g. {example}, or name the output "
            ".wav",
            container=name,
            option=option("format"),
            example=option("format", "wav"),
        )
    container = formats.held_by(name)
    chosen = _asked(subtype, name, fmt, suffix, warnings) or _own(info, container, warnings)
    target = Target(name, chosen, info.fs, info.channels)
    if unclipped:
        source = formats.SUBTYPES.get(info.subtype) or Subtype(
            info.subtype, info.dtype, info.bits, 0
        )
        target = formats.unclipped(target, source)
    target, altered = _as_it_was(info, target, fmt, subtype)
    warnings += altered
    extensible, apple, order, lost = plan_layout(info, name, target.subtype)
    warnings += lost
    if extensible is not None and name == "WAV" and not target.sample.lossless:
        target = replace(target, container="WAVEX")
    if extensible is not None or apple or order:
        target = replace(target, extensible=extensible, apple=apple, order=order)
    frames = None if info.frames is None else info.frames + tail
    formats.check_limits(target, frames)
    metadata = info.metadata
    plain = name in RIFF_FAMILY and name != "RF64"
    if (
        plain
        and frames is not None
        and not wav.fits(target, frames, metadata.before, metadata.after)
    ):
        target = wav.as_rf64(target)
        warnings.append(wav.RF64_NOTE)
    return target, warnings


def check_kept(info: AudioInfo, suffix: str, fmt: str | None) -> None:
    """Refuse for a file that is replaced a container which its name does not stand for.

    Parameters
    ----------
    info : AudioInfo
        The source.
    suffix : str
        Extension of its name, with the dot.
    fmt : str or None
        What ``--format`` says.

    Raises
    ------
    UsageError
        Another container than the file's own, of another extension; or the file's is read only.
    """
    if fmt is None:
        if info.container in formats.READ_ONLY and suffix.lower() not in formats.SUFFIXES:
            raise UsageError(
                f"{info.name}: {info.container} is read only, so that it cannot be replaced: give an "
                "output"
            )
        return
    name = formats.choose_container(info.container, suffix, suffix, fmt)
    if name != info.container and suffix.lower() not in CONTAINERS[name].suffixes:
        raise UsageError(
            f"{info.name} would hold {name} under the name of another format: leave "
            f"{option('format')} out, or give an output"
        )


def _as_it_was(
    info: AudioInfo, target: Target, fmt: str | None, subtype: str | None
) -> tuple[Target, list[str]]:
    """The target with what its container says beyond the table of formats, and what the user
    should know that did not ask for a change.
    """
    said: list[str] = []
    if fmt is None and info.form == "BW64" and target.container == "RF64":
        if target.native:
            target = replace(target, form=info.form)
        else:
            said.append("BW64 is written as RF64")
    if fmt is None and info.form == "RIFX" and target.container in RIFF_FAMILY:
        said.append("RIFX is written as RIFF: the low byte of a word comes first")
    bits, stated = target.sample.bits, info.stated_bits
    if subtype is None and target.sample.lossless and 0 < stated < bits and stated < info.bits:
        unit = "bit" if stated == 1 else "bits"
        words = "its header states {stated} {unit} a sample: written with {bits}"
        said.append(Note.of(words, stated=stated, unit=unit, bits=bits))
    return target, said


def _raw(info: AudioInfo, suffix: str, subtype: str | None, unclipped: bool) -> str:
    """The name of a file without a header, refused where it would be taken for something else."""
    if suffix.lower() in formats.SUFFIXES:
        raise UsageError(
            f"{option('to_raw')} writes no header, which readers of {printable(suffix)} look for: "
            f"name the output .raw, or leave {option('to_raw')} out"
        )
    if subtype is None and not unclipped and info.subtype not in formats.RAW.subtypes:
        raise UsageError.about(
            info.name,
            "{subject} holds {subtype}, for which {to_raw} has no encoding: add {known}",
            subtype=printable(info.subtype),
            to_raw=option("to_raw"),
            known=option("subtype", " or ".join(formats.RAW.subtypes)),
        )
    return formats.RAW.name


def _asked(
    subtype: str | None, container: str, fmt: str | None, suffix: str, warnings: list[str]
) -> str | None:
    """The subtype that was asked for by ``--subtype``, or, of a lossy container, by ``--format``."""
    held = formats.held_by(container).subtypes
    if subtype is not None:
        named = formats.subtype_named(subtype).name
        if container == "CAF" and named in PCM_INSTEAD:
            warnings.append(_no_alac(named))
            return PCM_INSTEAD[named]
        swapped = {"PCM_U8": "PCM_S8", "PCM_S8": "PCM_U8"}.get(named, named)
        if named not in held and swapped not in held:
            raise UsageError(f"{container} cannot hold {named}; it holds {', '.join(held)}")
        return named if named in held else swapped
    if fmt is not None and not formats.SUBTYPES[held[0]].lossless:
        return (
            "OPUS"
            if "opus" in (fmt.strip().lower().lstrip("."), suffix.lower().lstrip("."))
            else held[0]
        )
    return None


def _no_alac(subtype: str) -> str:
    return (
        f"{subtype} is not written, since libsndfile's encoder damages noise: "
        f"written as {PCM_INSTEAD[subtype]}, every code the same; name the output .flac for a "
        "smaller file"
    )


def _own(info: AudioInfo, container: formats.Container, warnings: list[str]) -> str:
    chosen = formats.choose_subtype(info.subtype, container)
    if container.name == "CAF" and info.subtype in PCM_INSTEAD:
        warnings.append(_no_alac(info.subtype))
    known = formats.SUBTYPES.get(info.subtype)
    if (known is None or not known.lossless) and container.name == info.container:
        kept = f"; {option('subtype', info.subtype)} keeps it"
        hint = kept if info.subtype in container.subtypes else ""
        warnings.append(f"{printable(info.subtype)} is lossy: written as {chosen}{hint}")
    return chosen
