"""Which loudspeaker each channel is for: how containers state it, and in which order they store the
channels.

A loudspeaker is the number of its bit in the channel mask of WAVEFORMATEXTENSIBLE. WAV, RF64, W64
and FLAC store the channels in ascending order of these bits; Vorbis and Opus have orders of their
own; CAF and AIFF can state any order.

References
----------
Microsoft, WAVEFORMATEXTENSIBLE (channel mask). RFC 9639 (FLAC), sections 8.6.2 and 9.1.3. Vorbis I,
section 4.3.9; RFC 7845 (Opus), section 5.1.1. Apple Core Audio Format 1.0, "Channel Layout Chunk"
(also the CHAN chunk of AIFF).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from earfilt.audio.containers import aiff, caf
from earfilt.audio.formats import RIFF_FAMILY, SUBTYPES, Extensible

if TYPE_CHECKING:
    from earfilt.audio.info import AudioInfo
    from earfilt.audio.source import Source

MASK_TAG = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
"""Vorbis comment that holds a FLAC file's channel mask, as the program ``flac`` writes it."""

Speakers = tuple[int, ...]
"""A loudspeaker for each channel, in the order of the channels; empty where it is not known."""

_FL, _FR, _FC, _LFE, _BL, _BR, _FLC, _FRC, _BC, _SL, _SR = range(11)

_VORBIS: dict[int, Speakers] = {
    3: (_FL, _FC, _FR),
    4: (_FL, _FR, _BL, _BR),
    5: (_FL, _FC, _FR, _BL, _BR),
    6: (_FL, _FC, _FR, _BL, _BR, _LFE),
    7: (_FL, _FC, _FR, _SL, _SR, _BC, _LFE),
    8: (_FL, _FC, _FR, _SL, _SR, _BL, _BR, _LFE),
}
_FLAC_MASKS = {3: 0x7, 4: 0x33, 5: 0x607, 6: 0x60F, 7: 0x70F, 8: 0x63F}
_PLAIN_MASKS = {1: 0x4, 2: 0x3}
"""Masks that say no more than the number of channels does."""

_BITMAP = 1 << 16
_SURROUND = (_FL, _FR, _FC)
_APPLE: dict[int, Speakers] = {
    100: (_FC,), 101: (_FL, _FR), 108: (_FL, _FR, _BL, _BR), 113: _SURROUND, 114: (_FC, _FL, _FR), 115: (*_SURROUND, _BC),
    116: (_FC, _FL, _FR, _BC), 117: (*_SURROUND, _BL, _BR), 118: (_FL, _FR, _BL, _BR, _FC), 119: (_FL, _FC, _FR, _BL, _BR),
    120: (_FC, _FL, _FR, _BL, _BR), 121: (*_SURROUND, _LFE, _BL, _BR), 122: (_FL, _FR, _BL, _BR, _FC, _LFE),
    123: (_FL, _FC, _FR, _BL, _BR, _LFE), 124: (_FC, _FL, _FR, _BL, _BR, _LFE), 125: (*_SURROUND, _LFE, _BL, _BR, _BC),
    126: (*_SURROUND, _LFE, _BL, _BR, _FLC, _FRC), 127: (_FC, _FLC, _FRC, _FL, _FR, _BL, _BR, _LFE),
    128: (*_SURROUND, _LFE, _SL, _SR, _BL, _BR), 131: (_FL, _FR, _BC), 132: (_FL, _FR, _BL, _BR), 133: (_FL, _FR, _LFE),
    134: (_FL, _FR, _LFE, _BC), 135: (_FL, _FR, _LFE, _BL, _BR), 136: (*_SURROUND, _LFE), 137: (*_SURROUND, _LFE, _BC),
    138: (_FL, _FR, _BL, _BR, _LFE), 141: (_FC, _FL, _FR, _BL, _BR, _BC), 142: (_FC, _FL, _FR, _BL, _BR, _BC, _LFE),
}  # fmt: skip
"""Orders by the upper half of Apple's layout tags (the lower half is the number of channels)."""


def mask_speakers(mask: int, channels: int) -> Speakers:
    """Loudspeakers of a channel mask; bits beyond the channels count for nothing, too few leave all
    unknown.
    """
    bits = tuple(bit for bit in range(32) if mask >> bit & 1)
    return bits[:channels] if len(bits) >= channels else ()


def mask_of(speakers: Iterable[int]) -> int:
    """Channel mask with the bits of these loudspeakers."""
    return sum(1 << bit for bit in set(speakers))


def with_speakers(info: AudioInfo, source: Source) -> AudioInfo:
    """What is known of a source, and for which loudspeakers its channels are, as its container
    says.
    """
    if info.container == "OGG":
        return replace(
            info, speakers=ogg_speakers(info.channels, os.pread(source.raw.fileno(), 64, 0))
        )
    if info.container == "FLAC":
        extensible, speakers = flac_layout(info.channels, info.metadata.tags)
        return replace(info, extensible=extensible, speakers=speakers)
    chunks = {"AIFF": info.metadata.iff, "CAF": info.metadata.caf}.get(info.container, ())
    stated = next((chunk.data for chunk in chunks if chunk.id in (aiff.LAYOUT, caf.LAYOUT)), b"")
    return (
        replace(info, apple=stated, speakers=apple_speakers(stated, info.channels))
        if stated
        else info
    )


def speakers_of(info: AudioInfo) -> Speakers:
    """Loudspeakers of a source."""
    return (
        mask_speakers(info.extensible.mask, info.channels)
        if info.extensible is not None
        else info.speakers
    )


def two_eared(info: AudioInfo) -> AudioInfo:
    """What is known of a mono source as it leaves a pair of ears: two channels, which no statement
    about one channel describes any more.
    """
    stereo = None if info.extensible is None else replace(info.extensible, mask=_PLAIN_MASKS[2])
    tags = tuple((key, value) for key, value in info.metadata.tags if key != MASK_TAG)
    return replace(
        info,
        channels=2,
        extensible=stereo,
        speakers=(),
        apple=b"",
        metadata=replace(info.metadata, tags=tags),
    )


def is_right_first(info: AudioInfo) -> bool:
    """Whether a stereo source says that its first channel is the right one."""
    return speakers_of(info) == (_FR, _FL)


def flac_layout(
    channels: int, tags: Iterable[tuple[str, str]]
) -> tuple[Extensible | None, Speakers]:
    """What a FLAC file states in its comments, and its loudspeakers, which follow from the format
    where it states nothing.
    """
    for key, value in tags:
        if key == MASK_TAG:
            try:
                mask = int(value, 16) & 0xFFFFFFFF
            except ValueError:
                break
            return Extensible(mask, b""), mask_speakers(mask, channels)
    return None, mask_speakers(
        _FLAC_MASKS.get(channels, 0), channels
    ) if channels in _FLAC_MASKS else ()


def ogg_speakers(channels: int, first_page: bytes) -> Speakers:
    """Loudspeakers of an Ogg stream.

    Parameters
    ----------
    first_page : bytes
        Beginning of the file. Opus with a mapping family other than 1 has channels without
        loudspeakers.
    """
    at = first_page.find(b"OpusHead")
    family = first_page[at + 18] if 0 <= at < len(first_page) - 18 else 1
    return _VORBIS.get(channels, ()) if family == 1 else ()


def apple_speakers(content: bytes, channels: int) -> Speakers:
    """Loudspeakers of a channel layout chunk of CAF or AIFF."""
    if len(content) < 12:
        return ()
    tag, bitmap, count = struct.unpack_from(">III", content)
    if tag == _BITMAP:
        return mask_speakers(bitmap, channels)
    if tag:
        known = _APPLE.get(tag >> 16, ())
        return known if len(known) == channels else ()
    if count != channels or len(content) < 12 + 20 * count:
        return ()
    return _labelled([struct.unpack_from(">I", content, 12 + 20 * i)[0] for i in range(count)])


def _labelled(labels: list[int]) -> Speakers:
    """Loudspeakers of Apple's channel labels: 1 to 18 are the bits of the mask, 33 and 34 the back
    behind surrounds at the side.
    """
    behind = {5: _SL, 6: _SR, 33: _BL, 34: _BR} if 33 in labels else {}
    speakers = tuple(behind.get(label, label - 1) for label in labels)
    return (
        speakers
        if len(set(speakers)) == len(labels) and all(0 <= bit < 18 for bit in speakers)
        else ()
    )


def plan_layout(
    info: AudioInfo, container: str, subtype: str
) -> tuple[Extensible | None, bytes, tuple[int, ...], list[str]]:
    """How an output states the loudspeakers of its channels, and which channel of the source stands
    where.

    Parameters
    ----------
    info : AudioInfo
        The source.
    container, subtype : str
        The output's.

    Returns
    -------
    extensible : Extensible or None
        Channel mask for the RIFF family, W64 and FLAC.
    apple : bytes
        Content of a channel layout chunk for CAF and AIFF; empty for none.
    order : tuple of int
        Channel i of the output is channel ``order[i]`` of the source; empty where all stay in
        place.
    warnings : list of str
        What is lost.
    """
    # libsndfile takes floating point behind a mask in W64 for integers, and writes no mask there
    # itself.
    integer = SUBTYPES[subtype].lossless and SUBTYPES[subtype].bits
    masked = (*RIFF_FAMILY, "FLAC", *(("W64",) if integer else ()))
    waves = (*RIFF_FAMILY, "W64")
    same = container == info.container or (container in waves and info.container in waves)
    if (same and container in (*masked, "OGG", "CAF", "AIFF")) or (
        info.apple and container in ("CAF", "AIFF")
    ):
        return info.extensible, info.apple, (), []
    if container == "OGG":
        order, represented = _coded_order(info)
        return None, b"", order, [] if represented else [_lost(info, container)]
    speakers = speakers_of(info)
    order, mask = _order(speakers, sorted(speakers)), _mask(info)
    if mask is None:
        return None, b"", order, [_lost(info, container)] if _unread(info) else []
    if container in masked:
        return (
            Extensible(mask, b""),
            b"",
            order,
            [_lost(info, container)] if _ambisonic(info) else [],
        )
    if container in ("CAF", "AIFF") and speakers:
        return None, struct.pack(">III", _BITMAP, mask_of(speakers), 0), order, []
    return None, b"", order, [_lost(info, container)] if mask or _ambisonic(info) else []


def _mask(info: AudioInfo) -> int | None:
    """Mask to state elsewhere; None where it says no more than the number of channels."""
    if info.extensible is not None:
        mask = info.extensible.mask
    elif info.speakers:
        mask = mask_of(info.speakers)
    else:
        return None
    said = mask not in (0, _PLAIN_MASKS.get(info.channels)) or info.channels > 2
    return mask if said else None


def _ambisonic(info: AudioInfo) -> bool:
    return info.extensible is not None and not info.extensible.plain


def _unread(info: AudioInfo) -> bool:
    """Whether a layout chunk says something that has no mask (all bits of a tag set: that it is
    unknown; 147: no loudspeakers).
    """
    return bool(info.apple) and not info.speakers and info.apple[:2] not in (b"\xff\xff", b"\0\x93")


def _coded_order(info: AudioInfo) -> tuple[tuple[int, ...], bool]:
    """Order of the channels in Vorbis and Opus, and whether these have the source's loudspeakers."""
    coded = _VORBIS.get(info.channels)
    if coded is None:
        return (), _mask(info) in (None, 0) and not _unread(info)
    speakers = speakers_of(info)
    if not speakers:
        stated = _unread(info) or _ambisonic(info) or _mask(info)
        return _order(sorted(coded), coded), not stated
    # Five and six channels have one pair of surrounds, which are called back here; seven have a
    # pair called side.
    one_pair = (_BL, _BR) if info.channels < 7 else (_SL, _SR)
    if info.channels < 8:
        pair = {_SL: one_pair[0], _SR: one_pair[1], _BL: one_pair[0], _BR: one_pair[1]}
        speakers = tuple(pair.get(bit, bit) for bit in speakers)
    if set(speakers) == set(coded):
        return _order(speakers, coded), True
    return _order(sorted(coded), coded), False


def _order(source: Sequence[int], target: Sequence[int]) -> tuple[int, ...]:
    """Where the target's loudspeakers are found in the source; empty where all stay in place."""
    order = tuple(source.index(bit) for bit in target)
    return () if order == tuple(range(len(order))) else order


def _lost(info: AudioInfo, container: str) -> str:
    if _ambisonic(info):
        return f"{container} cannot say that the channels are ambisonic: left behind"
    mask = info.extensible.mask if info.extensible is not None else mask_of(info.speakers)
    said = f"layout tag 0x{info.apple[:4].hex()}" if _unread(info) else f"mask 0x{mask:04X}"
    return f"{container} has no place for the channel layout ({said}): left behind"
