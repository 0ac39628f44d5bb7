"""Codecs whose samples lie in blocks of several frames, and how many of these are of the recording.

Encoders fill up their last block, and state beside the samples how many frames there were: in a
fact chunk (RIFF family, W64), in COMM (AIFF-C), in the packet table (CAF). That number counts where
it lies within the last block. Programs that write another one are many, and no recording is cut
for theirs.

References
----------
Microsoft, Multimedia Data Standards Update (1994), for the fact chunk and the layout of blocks; the
blocks of G.721, G.723 and NMS as libsndfile 1.2.2 has them; Apple, AIFF-C (1991) and technical note
1081 for ima4.
"""

from __future__ import annotations

from dataclasses import dataclass

from earfilt.errors import Note


@dataclass(frozen=True)
class Blocks:
    """How a codec groups its samples.

    Parameters
    ----------
    size : int
        Bytes of a block of all channels.
    frames : int
        That it holds.
    fill : int
        Frames by which an encoder may have filled up the last block, and one more.
    """

    size: int
    frames: int
    fill: int


@dataclass(frozen=True)
class Count:
    """Frames of a recording.

    Parameters
    ----------
    frames : int
        That are there.
    missing : int
        That are promised beyond those.
    priming : int
        Of those that a decoder gives, so many come before the first.
    """

    frames: int
    missing: int = 0
    priming: int = 0


def of_wave(tag: int, channels: int, align: int) -> Blocks | None:
    """Blocks by the codec of a fmt chunk and the bytes that it states for one; None of a codec that
    has none, or is not known.
    """
    fixed = {
        0x06: Blocks(channels, 1, 1),  # A-law
        0x07: Blocks(channels, 1, 1),  # µ-law
        0x31: Blocks(65, 320, 320),  # GSM 6.10
        0x40: Blocks(1, 2, 120),  # G.721, a stream of codes: libsndfile writes 60 bytes at once
    }
    if tag in fixed:
        return fixed[tag]
    frames = {
        0x02: 2 + (align - 7 * channels) * 2 // channels,  # Microsoft's ADPCM
        0x11: 1 + (align - 4 * channels) * 2 // channels,  # IMA ADPCM
        0x38: 160,  # NMS ADPCM
    }.get(tag, 0)
    return Blocks(align, frames, frames) if align > 0 and frames > 0 else None


def of_aiff(codec: bytes, channels: int) -> Blocks | None:
    """Blocks by the codec of AIFF-C."""
    if codec == b"ima4" and channels > 0:
        return Blocks(34 * channels, 64, 64)
    return Blocks(33, 160, 160) if codec in (b"GSM ", b"agsm") else None


def of_au(encoding: int) -> Blocks | None:
    """Blocks by the encoding of an AU file: the fewest bytes that hold whole codes of 4, 3 or 5
    bits.
    """
    return {23: Blocks(1, 2, 120), 25: Blocks(3, 8, 120), 26: Blocks(5, 8, 120)}.get(encoding)


def count_frames(
    blocks: Blocks,
    promised: int,
    there: int,
    stated: int | None,
    warnings: list[str],
    *,
    aligned: int = 1,
) -> Count:
    """Frames of the whole blocks.

    Parameters
    ----------
    promised, there : int
        Bytes of samples, by the header and in the file.
    aligned : int
        Bytes of padding, which some programs count as samples, are fewer than so many.
    stated : int or None
        Frames by the header; None where it does not say.
    warnings : list of str
        Gets a line where blocks and header contradict each other.
    """
    held = promised // blocks.size * blocks.frames
    fill = max(blocks.fill, 1 + (aligned - 1) // blocks.size * blocks.frames)
    total = agreed(held, stated, fill, warnings if blocks.frames > 1 else [])
    frames = min(total, there // blocks.size * blocks.frames)
    return Count(frames, total - frames)


def agreed(held: int, stated: int | None, fill: int, warnings: list[str]) -> int:
    """Frames that count, of those that blocks hold: as stated, if within the last block."""
    if not stated or stated == held:  # 0: never filled in
        return held
    if 0 < held - stated < fill:
        return stated
    words = "its header states {stated} frames, its blocks hold {held}: what they hold is read"
    warnings.append(Note.of(words, stated=stated, held=held))
    return held


def without_padding(left: bytes, end: int, aligned: int) -> bytes:
    """Bytes behind the last whole block, unless they are zeros that fill the chunk up to a multiple
    of ``aligned`` bytes, which some programs count as samples.

    Parameters
    ----------
    end : int
        Bytes of samples, those included.
    """
    padding = len(left) < aligned and not end % aligned and not any(left)
    return b"" if padding else left
