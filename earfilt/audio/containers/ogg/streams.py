"""The streams that the pages of an Ogg file make: which pages are missing or damaged, what lies
beside the stream that is read, and its comments.

libsndfile drops a page whose checksum is wrong without a word, closes the gap, and takes the first
good page for the beginning.

References
----------
RFC 3533, sections 4 and 6; RFC 7845 (Opus in Ogg), section 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from earfilt.audio.containers.ogg import opus
from earfilt.audio.containers.ogg.pages import Page, next_pages
from earfilt.audio.frame_tags import between_tags

if TYPE_CHECKING:
    from earfilt.audio.source import Source

_NUMBERS = 0xFFFFFFFF  # of pages, which begin at 0 again
_MAX_COMMENTS = 16 << 20
_SOUNDS = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
_COMMENTS = (b"\x03vorbis", b"OpusTags")


@dataclass
class Stream:
    """A recording: one stream, and those that lie beside it.

    Attributes
    ----------
    first : Page
        Its first page.
    end : int
        The byte behind the last whole page of it, or of what lies beside it.
    number : int
        Of its last page so far.
    finished : bool
        Its last page is there.
    lost : int
        Pages before its last whole one that are damaged or missing.
    beside : dict of bytes to int
        Bytes of the pages among its own that belong to other streams, by their serial numbers.
    sounds : int
        Of those streams that are sound.
    band : int
        Sampling rate in Hz that holds all that its Opus packets do; 0 of another codec.
    """

    first: Page
    end: int
    number: int
    finished: bool
    lost: int = 0
    beside: dict[bytes, int] = field(default_factory=dict)
    sounds: int = 0
    band: int = 0

    def carry_on(self, page: Page) -> None:
        """Take a further page of it."""
        between = (page.number - self.number - 1) & _NUMBERS
        self.lost += between if between < 1 << 31 else 1
        self.number, self.finished = page.number, page.ends
        if page.granule > 0 and opus.stated_rate(self.first) is not None:
            self.band = max([self.band, *map(opus.band_of, page.first_bytes())])


def find_streams(file: int) -> tuple[list[Stream], int]:
    """Recordings that follow one another in a file (its descriptor), and the number of bytes
    between their pages that belong to none.

    A recording begins at the first of the pages that begin streams, behind pages that carry one on.
    """
    streams: list[Stream] = []
    end = strange = 0
    beginning = False
    for page in next_pages(file):
        now = streams[-1] if streams else None
        if now is None or (page.begins and not (beginning and page.serial != now.first.serial)):
            remains = now is None or not now.finished
            now = Stream(page, page.end, page.number, page.ends)
            streams.append(now)
            beginning = page.begins
        elif page.serial != now.first.serial:
            remains, beginning = False, beginning and page.begins
            now.sounds += page.begins and page.data[page.body :].startswith(_SOUNDS)
            now.beside[page.serial] = now.beside.get(page.serial, 0) + len(page.data)
        else:
            lost, beginning = now.lost, False
            now.carry_on(page)
            remains = now.lost > lost
        if not remains:  # of a page that is lost
            first, behind = between_tags(file, end, page.at)
            strange += behind - first
        end = now.end = page.end
    return streams, strange


def read_comments(source: Source, beyond: list[str], start: int = 0) -> bytes:
    """The Vorbis comment block of a Vorbis or Opus stream: its second packet without what stands
    before; empty where there is none.

    Parameters
    ----------
    source : Source
        A file; its position is left alone.
    beyond : list of str
        Gets a name where they are too big.
    start : int
        Where the first page begins.
    """
    packet, packets, serial = bytearray(), 0, b""
    for page in next_pages(source.raw.fileno(), start):
        serial = serial or page.serial
        if page.serial != serial:
            continue
        at = page.body
        for length in page.lengths:
            if packets == 1:
                packet += page.data[at : at + length]
            at += length
            packets += length < 255
            if packets == 2:
                mark = next((len(mark) for mark in _COMMENTS if packet.startswith(mark)), 0)
                return bytes(packet[mark:]) if mark else b""
        if len(packet) > _MAX_COMMENTS:
            break
    beyond += ["comments (too big)"] if len(packet) > _MAX_COMMENTS else []
    return b""
