"""What a file holds, told by its first bytes: sound that is read, sound that is not, or none.

Sound that is not read is named, so that it is never passed over for something else.

References
----------
ISO 14496-12 (MP4), RFC 9559 (Matroska), Microsoft's ASF specification; the first bytes of the
others as their own programs write them.
"""

import os
import re
from collections.abc import Iterator

from earfilt.audio import frame_tags
from earfilt.audio.containers import mpeg
from earfilt.audio.formats import WAY_OUT
from earfilt.storage.reading import open_without_waiting

_BY_SOX = "convert it first, e.g. 'sox -t {type} INPUT -e float -b 32 OUTPUT.wav'"
_BY_OCTAVE = (
    "write its samples as WAV where they were made, e.g. in Octave "
    "'load INPUT; audiowrite(\"OUTPUT.wav\", NAME, RATE)'"
)
_BY_SOUNDFILE = (
    'convert it first, e.g. with Python: \'import soundfile; soundfile.write("OUTPUT.wav", '
    '*soundfile.read("INPUT"), "FLOAT")\''
)

HEAD = 64
"""Bytes of a file's beginning that tell what it is."""

BEYOND = {
    "AVR": "Audio Visual Research",
    "HTK": "HTK",
    "IRCAM": "IRCAM",
    "MAT4": "a MAT file",
    "MAT5": "a MAT file",
    "MPC2K": "Akai MPC 2000",
    "PAF": "Ensoniq PARIS",
    "PVF": "Portable Voice Format",
    "SD2": "Sound Designer II",
    "SDS": "MIDI Sample Dump",
    "SVX": "8SVX or 16SV",
    "VOC": "Creative Voice",
    "WVE": "Psion Series 3 sound",
    "XI": "a FastTracker instrument",
}
"""Names of what libsndfile reads, by its own: without a check whether samples, channels and rate are
what the file says. It is refused.
"""

_WAYS_OUT = {
    BEYOND["HTK"]: _BY_SOX.format(type="htk"),
    BEYOND["MAT4"]: _BY_OCTAVE,
    BEYOND["MPC2K"]: _BY_SOX.format(type="sndfile"),
    BEYOND["SD2"]: _BY_SOX.format(type="raw -e signed -b 16 -B -r HZ -c CHANNELS"),
    BEYOND["WVE"]: _BY_SOX.format(type="wve"),
    BEYOND["XI"]: _BY_SOUNDFILE,
}

_MOST = 4096  # parts of a file that are looked at
_MAGICS: list[tuple[bytes, str]] = [
    (rb"MAC ", "Monkey's Audio"),
    (rb"wvpk", "WavPack"),
    (rb"TTA[12]", "True Audio"),
    (rb"DSD ", "DSD (DSF)"),
    (rb"FRM8.{8}DSD ", "DSD (DSDIFF)"),
    (rb"#!AMR", "AMR"),
    (rb"MPCK|MP\+", "Musepack"),
    (rb"tBaK", "TAK"),
    (rb"OFR ", "OptimFROG"),
    (rb"ajkg", "Shorten"),
    (rb"\.ra\xfd|\.RMF", "RealAudio"),
    (rb"RIFF....QLCM", "QCELP"),
    (rb"#!SILK", "SILK"),
    (rb"\x7f\xfe\x80\x01", "DTS"),
    (rb"OggS.{24}.{0,2}\x7fFLAC", "FLAC in Ogg"),
    (rb"OggS.{24}.{0,2}Speex", "Speex"),
    (rb"ADIF", "AAC"),
    (rb"FORM....(8SVX|16SV)", BEYOND["SVX"]),
    (rb"Creative Voice File", BEYOND["VOC"]),
    (rb"2BIT", BEYOND["AVR"]),
    (rb"PVF1", BEYOND["PVF"]),
    (rb"ALawSoundFile", BEYOND["WVE"]),
    (rb" paf|fap ", BEYOND["PAF"]),
    (rb"\x64\xa3[\1-\4]\0|\0[\1-\4]\xa3\x64", BEYOND["IRCAM"]),
]
_READ = re.compile(
    rb"(RIFF|RIFX|RF64|BW64)....WAVE|FORM....AIF[FC]|fLaC|caff|riff\x2e\x91\xcf\x11|\.snd|NIST_1A"
    rb"|OggS.{24}.{0,2}(\x01vorbis|OpusHead)",
    re.DOTALL,
)
_CONTENT = [(re.compile(pattern, re.DOTALL), name) for pattern, name in _MAGICS]
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_ASF_FILM = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_ASF_SOUND = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_HEADERS = (b"OggS", b"\x1aE\xdf\xa3", b"dns.", b"ID3\2", b"ID3\3", b"ID3\4")
_EBML = b"\x1aE\xdf\xa3"
_SEGMENT, _TRACKS = 0x18538067, 0x1654AE6B
_TRACK, _TRACK_TYPE = 0xAE, 0x83
_NAMES = {
    ".m4a": "MP4 audio", ".m4b": "MP4 audio", ".m4p": "MP4 " "audio", ".m4r": "MP4 audio", ".aac": "AAC", ".adts": "AAC",
    ".wma": "Windows Media Audio", ".ape": "Monkey's Audio", ".wv": "WavPack", ".tta": "True " "Audio", ".dsf": "DSD (DSF)",
    ".dff": "DSD (DSDIFF)", ".amr": "AMR", ".awb": "AMR", ".mka": "Matroska " "audio", ".weba": "WebM audio", ".mpc": "Musepack",
    ".tak": "TAK", ".ofr": "OptimFROG", ".shn": "Shorten", ".spx": "Speex", ".ac3": "AC-3", ".eac3": "AC-3", ".dts": "DTS",
    ".3ga": "MP4 audio", ".alac": "MP4 audio", ".qcp": "QCELP", ".oma": "ATRAC", ".aa3": "ATRAC", ".sd2": BEYOND["SD2"],
}  # fmt: skip


def way_out(name: str) -> str:
    """How to make something that is read of what is called so."""
    return _WAYS_OUT.get(name, WAY_OUT)


def begins_as_read(head: bytes) -> bool:
    """Whether a file that begins so is of a format that is read."""
    return _READ.match(head) is not None


def begins_with_header(head: bytes) -> bool:
    """Whether a file that begins so has the header of a format of sound or film, read or not."""
    known = begins_as_read(head) or head[4:8] == b"ftyp" or head[:16] == _ASF
    return known or head.startswith(_HEADERS) or any(pattern.match(head) for pattern, _ in _CONTENT)


def is_sound(path: str) -> bool:
    """Whether a file is sound by its content, or is not read and is sound by its name.

    Parameters
    ----------
    path : str
        A file; one that cannot be read counts as unknown.
    """
    try:
        with open(path, "rb", buffering=0, opener=open_without_waiting) as file:
            head = os.pread(file.fileno(), HEAD, 0)
            if len(head) < 16:
                return False
            if begins_as_read(head) or mpeg.begins_with_frames(file.fileno()):
                return True
            return foreign_format(file.fileno(), os.path.splitext(path)[1]) is not None
    except (OSError, ValueError):
        return False


def foreign_format(file: int, suffix: str) -> str | None:
    """What the sound in a file is called that is not read; None where it is not such a sound.

    Content decides; a name alone does where the content is neither known nor a text.

    Parameters
    ----------
    file : int
        Descriptor.
    suffix : str
        Extension of its name, with the dot.
    """
    suffix = suffix.lower()
    start = frame_tags.id3_end(file, 0)
    head = os.pread(file, HEAD, start)
    for pattern, name in _CONTENT:
        if pattern.match(head):
            return name
    if head[4:8] == b"ftyp":
        return (
            "MP4 audio"
            if suffix in _NAMES
            or head[8:11] in (b"M4A", b"M4B", b"M4P")
            or _is_sound(_mp4_kinds(file))
            else None
        )
    if head[:4] == _EBML:
        sound = suffix in _NAMES or _is_sound(_matroska_kinds(file))
        return _NAMES.get(suffix, "Matroska or WebM audio") if sound else None
    if head[:16] == _ASF:
        sound = suffix in _NAMES or _is_sound(_asf_kinds(file))
        return "Windows Media Audio" if sound else None
    if _adts_frames(file, start) or (suffix in (".ac3", ".eac3") and head[:2] == b"\x0bw"):
        return _NAMES.get(suffix, "AAC")
    return _NAMES.get(suffix) if head and not _is_text(head) else None


def _is_text(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head)


def _is_sound(kinds: set[str]) -> bool:
    """Whether tracks of such kinds are sound and no film."""
    return "sound" in kinds and "film" not in kinds


def _mp4_kinds(file: int) -> set[str]:
    """Kinds of the tracks of an MP4 file."""
    kinds = {b"soun": "sound", b"vide": "film"}
    return {
        kinds.get(os.pread(file, 4, at + 8), "")
        for moov in _boxes(file, 0, os.fstat(file).st_size, b"moov")
        for track in _boxes(file, *moov, b"trak")
        for media in _boxes(file, *track, b"mdia")
        for at, _ in _boxes(file, *media, b"hdlr")
    }


def _boxes(file: int, at: int, end: int, name: bytes) -> Iterator[tuple[int, int]]:
    """First byte of the content, and the one behind it, of boxes of MP4 with a name."""
    for _ in range(_MOST):
        head = os.pread(file, 16, at)
        if at + 8 > end or len(head) < 8:
            return
        size, width = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, width = int.from_bytes(head[8:], "big"), 16
        size = size or end - at  # up to the end
        if size < width:
            return
        if head[4:8] == name:
            yield at + width, min(end, at + size)
        at += size


def _matroska_kinds(file: int) -> set[str]:
    """Kinds of the tracks of a Matroska or WebM file."""
    end = os.fstat(file).st_size
    kinds = {1: "film", 2: "sound"}
    return {
        kinds.get(int.from_bytes(os.pread(file, min(8, last - at), at), "big"), "")
        for segment in _elements(file, 0, end, _SEGMENT)
        for tracks in _elements(file, *segment, _TRACKS)
        for track in _elements(file, *tracks, _TRACK)
        for at, last in _elements(file, *track, _TRACK_TYPE)
    }


def _elements(file: int, at: int, end: int, name: int) -> Iterator[tuple[int, int]]:
    """The same of elements of Matroska with an identifier."""
    for _ in range(_MOST):
        head = os.pread(file, 12, at)
        if at >= end or len(head) < 2 or not head[0]:
            return
        width = 9 - head[0].bit_length()
        found = int.from_bytes(head[:width], "big")
        if width > 4 or len(head) <= width or not head[width]:
            return
        more = 9 - head[width].bit_length()
        size = int.from_bytes(head[width : width + more], "big") & ~(-1 << 7 * more)
        at += width + more
        # All ones stand for a length that was not known when it was written.
        last = end if size == (1 << 7 * more) - 1 else min(end, at + size)
        if found == name:
            yield at, last
        at = last


def _asf_kinds(file: int) -> set[str]:
    """Kinds of the streams of an ASF file."""
    kinds, at = set(), 30
    end = int.from_bytes(os.pread(file, 8, 16), "little")
    for _ in range(_MOST):
        head = os.pread(file, 40, at)
        size = int.from_bytes(head[16:24], "little")
        if at >= end or len(head) < 40 or size < 24:
            break
        if head[:16] == _ASF_STREAM:
            kinds.add({_ASF_FILM: "film", _ASF_SOUND: "sound"}.get(head[24:], ""))
        at += size
    return kinds


def _adts_frames(file: int, at: int) -> bool:
    """Whether frames of AAC (ISO 13818-7, ADTS) follow each other."""
    for _ in range(4):
        head = os.pread(file, 7, at)
        if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return False
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if length < 7:
            return False
        at += length
    return True
