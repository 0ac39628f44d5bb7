"""Which container holds what: one table, from which every choice of an output format follows.

Same in, same out. Where the output's name has another extension, that picks the container and the
narrowest lossless subtype that holds every code of the source; what cannot be held is refused
before any work, with the option that helps.

References
----------
AUDIO_IO facts measured with libsndfile 1.2.2: FLAC holds 8, 16 and 24 bit, 8 channels and 655 350
Hz; sizes are 32-bit words in WAV, AIFF and AU.
"""

from dataclasses import dataclass, replace

from earfilt.errors import UsageError, printable
from earfilt.wording import option

MAX_CHANNELS = 1024
"""libsndfile's own limit; a header that claims more is taken for damaged."""

MAX_FS = 10_000_000
"""Hz; far above what records sound. A header that claims more is taken for damaged."""

SIZE_WORD = 2**32 - 1
"""Largest size, in bytes, that the headers of WAV, AIFF and AU can state."""


@dataclass(frozen=True)
class Subtype:
    """How one sample lies in a file and how it is handed over.

    Parameters
    ----------
    dtype : 'int16', 'int32', 'float32' or 'float64'
        The array type that holds every code exactly; integers are left-justified in it.
    bits : int
        Significant bits; 0 for floating point.
    width : int
        Bytes of a sample in the file; 0 where the subtype is compressed.
    lossless : bool
        False where writing loses more than rounding; such outputs are made on request only.
    """

    name: str
    dtype: str
    bits: int
    width: int
    lossless: bool = True


_SUBTYPES = [
    Subtype("PCM_S8", "int16", 8, 1),
    Subtype("PCM_U8", "int16", 8, 1),
    Subtype("PCM_16", "int16", 16, 2),
    Subtype("PCM_24", "int32", 24, 3),
    Subtype("PCM_32", "int32", 32, 4),
    Subtype("FLOAT", "float32", 0, 4),
    Subtype("DOUBLE", "float64", 0, 8),
    Subtype("ALAC_16", "int16", 16, 0),
    Subtype("ALAC_20", "int32", 24, 0),
    Subtype("ALAC_24", "int32", 24, 0),
    Subtype("ALAC_32", "int32", 32, 0),
    Subtype("ULAW", "int16", 16, 1, lossless=False),
    Subtype("ALAW", "int16", 16, 1, lossless=False),
    Subtype("VORBIS", "float32", 0, 0, lossless=False),
    Subtype("OPUS", "float32", 0, 0, lossless=False),
    Subtype("MPEG_LAYER_I", "float32", 0, 0, lossless=False),
    Subtype("MPEG_LAYER_II", "float32", 0, 0, lossless=False),
    Subtype("MPEG_LAYER_III", "float32", 0, 0, lossless=False),
]
SUBTYPES = {subtype.name: subtype for subtype in _SUBTYPES}


@dataclass(frozen=True)
class Container:
    """A file format: its extensions, what it holds, and its limits (None: none that matters)."""

    name: str
    suffixes: tuple[str, ...]
    subtypes: tuple[str, ...]
    max_channels: int = MAX_CHANNELS
    max_fs: int = MAX_FS
    max_bytes: int | None = None
    rates: tuple[int, ...] = ()


_PCM = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_WAV = ("PCM_U8", *_PCM, "ULAW", "ALAW")
_CONTAINERS = [
    Container("WAV", (".wav", ".wave", ".bwf"), _WAV, max_bytes=SIZE_WORD),
    Container("WAVEX", (".wav", ".wave", ".bwf"), _WAV, max_bytes=SIZE_WORD),
    Container("RF64", (".rf64", ".wav", ".wave", ".bwf", ".bw64"), _WAV),
    Container("W64", (".w64",), _WAV),
    Container("AIFF", (".aiff", ".aif", ".aifc"), ("PCM_S8", "PCM_U8", *_PCM, "ULAW", "ALAW"), max_bytes=SIZE_WORD),
    Container("CAF", (".caf",), ("PCM_S8", *_PCM, "ULAW", "ALAW")),
    Container("AU", (".au", ".snd"), ("PCM_S8", *_PCM, "ULAW", "ALAW"), max_bytes=SIZE_WORD),
    Container("FLAC", (".flac", ".fla"), ("PCM_S8", "PCM_16", "PCM_24"), max_channels=8, max_fs=655_350),
    Container("OGG", (".ogg", ".oga", ".opus"), ("VORBIS", "OPUS"), max_channels=8, max_fs=192_000),
    Container("MP3", (".mp3",), ("MPEG_LAYER_III",), max_channels=2, max_fs=48_000,
              rates=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
]  # fmt: skip
PCM_INSTEAD = {"ALAC_16": "PCM_16", "ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32"}
"""What is written instead of ALAC, which is read only: libsndfile 1.2.2 writes garbage for frames
like noise, and beyond its memory.
"""

CONTAINERS = {container.name: container for container in _CONTAINERS}
READ_ONLY = ("NIST",)
READ = (*CONTAINERS, *READ_ONLY)
"""Containers that are read, as libsndfile calls them: those whose length, channel order and rate are
checked here. What else libsndfile knows is refused (see `earfilt.audio.sniff.BEYOND`).
"""
WAY_OUT = "convert it first, e.g. 'ffmpeg -i INPUT -c:a pcm_f32le OUTPUT.wav'"
"""What to do with a file of any other format."""

RAW = Container("RAW", (".raw", ".pcm"), _PCM)
"""Samples and nothing else: no container by an extension, but on request only."""
ENCODINGS = dict(zip(("s16le", "s24le", "s32le", "f32le", "f64le"), _PCM, strict=True))
"""Subtypes by the names that ffmpeg gives their raw samples, little-endian and interleaved."""
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)

RIFF_FAMILY = ("WAV", "WAVEX", "RF64")
"""Containers with the chunks of WAV."""

SUFFIXES = frozenset(suffix for container in _CONTAINERS for suffix in container.suffixes)
"""Extensions, lower case, that are taken for audio when a directory is searched."""


GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""End of the codec identifier of plain PCM and floating point (ambisonic ones end otherwise)."""


@dataclass(frozen=True)
class Extensible:
    """What WAVEFORMATEXTENSIBLE says beyond WAVEFORMAT: which loudspeaker each channel is for, and
    the codec's identifier.
    """

    mask: int
    guid: bytes

    @property
    def plain(self) -> bool:
        """Whether the channels are those of loudspeakers, and not ambisonic."""
        return self.guid[2:] in (b"", GUID_TAIL)


@dataclass(frozen=True)
class Target:
    """What an output will be.

    Parameters
    ----------
    extensible : Extensible, optional
        Channel mask of the RIFF family, W64 and FLAC.
    apple : bytes
        Content of the channel layout chunk of CAF and AIFF; empty for none.
    order : tuple of int
        Channel i of the output is channel ``order[i]`` of the source; empty where all stay in
        place.
    form : str
        The first word of an RF64 file where it is another: ``BW64``.
    """

    container: str
    subtype: str
    fs: int
    channels: int
    extensible: Extensible | None = None
    apple: bytes = b""
    order: tuple[int, ...] = ()
    form: str = ""

    @property
    def sample(self) -> Subtype:
        """How its samples are handed over."""
        return SUBTYPES[self.subtype]

    @property
    def native(self) -> bool:
        """Whether earfilt writes it itself, chunks included: the RIFF family, unless the samples
        are compressed, and raw samples.
        """
        return self.container in (*RIFF_FAMILY, RAW.name) and self.sample.lossless

    def estimate_bytes(self, frames: int) -> int:
        """Bytes that ``frames`` frames take at most: exact for PCM, never less than a compressed
        file takes.
        """
        width = self.sample.width or (self.sample.bits + 7) // 8 or 4
        return frames * self.channels * width + 4096


@dataclass(frozen=True)
class RawFormat:
    """What must be known of samples that have no header.

    Parameters
    ----------
    encoding : str
        A key of `ENCODINGS`.
    fs : int
        Hz.
    channels : int

    Raises
    ------
    UsageError
        No such encoding; a rate or a number of channels that no recording has.
    """

    encoding: str
    fs: int
    channels: int

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise UsageError(
                f"unknown encoding '{printable(self.encoding)}' of raw samples; known are "
                f"{', '.join(ENCODINGS)}"
            )
        if not 1 <= self.fs <= MAX_FS:
            raise UsageError(f"the rate is {self.fs} Hz; it must be 1 to {MAX_FS}")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise UsageError(f"channels is {self.channels}; it must be 1 to {MAX_CHANNELS}")

    @property
    def subtype(self) -> Subtype:
        """How its samples are handed over."""
        return SUBTYPES[ENCODINGS[self.encoding]]

    @property
    def align(self) -> int:
        """Bytes of a frame."""
        return self.subtype.width * self.channels


def held_by(container: str) -> Container:
    """The container of a name, raw samples included."""
    return RAW if container == RAW.name else CONTAINERS[container]


def container_named(name: str) -> Container:
    """The container that ``--format`` names: its own name or one of its extensions, with or without
    the dot.

    Raises
    ------
    UsageError
        No such container.

    >>> container_named("aif").name
    'AIFF'
    """
    key = name.strip().lstrip(".")
    if key.upper() in CONTAINERS:
        return CONTAINERS[key.upper()]
    for container in _CONTAINERS:
        if "." + key.lower() in container.suffixes:
            return container
    known = ", ".join(name.lower() for name in CONTAINERS)
    raise UsageError(f"unknown format '{printable(name)}'; known are {known}")


def subtype_named(name: str) -> Subtype:
    """The subtype that ``--subtype`` names, in any case, ``-`` for ``_``.

    Raises
    ------
    UsageError
        No such subtype.
    """
    key = name.strip().upper().replace("-", "_")
    if key not in SUBTYPES:
        raise UsageError(f"unknown subtype '{printable(name)}'; known are {', '.join(SUBTYPES)}")
    return SUBTYPES[key]


def choose_container(source: str, source_suffix: str, suffix: str, fmt: str | None) -> str:
    """Name of the output's container.

    Parameters
    ----------
    source : str
        The source's container, as its content says.
    source_suffix, suffix : str
        Extensions of source and output, with the dot, any case; an empty ``suffix`` stands for a
        stream, which gets WAV.
    fmt : str or None
        What ``--format`` says; it wins.

    Raises
    ------
    UsageError
        An extension that no container has.
    """
    suffix, source_suffix = suffix.lower(), source_suffix.lower()
    if fmt is not None:
        named = container_named(fmt).name
        return source if named == "WAV" and source == "WAVEX" else named
    if not suffix:
        return source if source == "WAVEX" else "WAV"
    known = CONTAINERS.get(source)
    if known is not None and (
        suffix in known.suffixes
        or (suffix == source_suffix and SUBTYPES[known.subtypes[0]].lossless)
    ):
        return source
    # What is read only, or lossy, under a name that asks for another container (NIST SPHERE and MP3
    # called .wav) becomes that.
    for container in _CONTAINERS:
        if suffix in container.suffixes:
            return container.name
    if suffix == source_suffix:
        return source
    raise UsageError(
        f"extension '{printable(suffix)}' names no audio container; add {option('format')}, e.g. "
        f"{option('format', 'wav')}"
    )


def choose_subtype(source: str, container: Container) -> str:
    """The source's own subtype where the container holds it, else the narrowest lossless one that
    holds every code.

    Raises
    ------
    UsageError
        The container holds nothing that wide (floating point or 32 bit into FLAC), or lossy
        subtypes only.
    """
    lossless = [
        SUBTYPES[name]
        for name in container.subtypes
        if SUBTYPES[name].lossless and SUBTYPES[name].width
    ]
    known = SUBTYPES.get(source)
    if not lossless:
        raise UsageError(
            f"{container.name} is lossy, which is written on request only: add "
            f"{option('subtype', ' or '.join(container.subtypes))}, or "
            f"{option('format', 'wav')} or flac"
        )
    if known is not None and known.lossless:
        if source in container.subtypes:
            return source
        wanted = known
    elif known is not None and not known.bits:
        # A lossy decoder's floating point: the widest that the container has loses nothing that was
        # in the file.
        return "FLOAT" if "FLOAT" in container.subtypes else "PCM_24"
    else:
        wanted = SUBTYPES["PCM_16"]
    wide_enough = [s for s in lossless if wanted.bits and s.bits >= wanted.bits]
    if wide_enough:
        return min(wide_enough, key=lambda s: s.bits).name
    held = ", ".join(s.name for s in lossless)
    raise UsageError(
        f"{container.name} cannot hold {source} (it holds {held}): add "
        f"{option('subtype', lossless[-1].name)}, or name the output .wav"
    )


def unclipped(target: Target, source: Subtype) -> Target:
    """The target in floating point, where nothing clips: FLOAT, or DOUBLE when the source has more
    than 24 bits.

    Raises
    ------
    UsageError
        The container holds no floating point.
    """
    if not target.sample.bits:
        return target
    name = "DOUBLE" if source.bits > 24 or source.dtype == "float64" else "FLOAT"
    if name not in held_by(target.container).subtypes:
        raise UsageError(
            f"{target.container} cannot hold floating point, which {option('clip', 'float')} "
            "needs: name the output .wav"
        )
    return replace(target, subtype=name)


def check_limits(target: Target, frames: int | None) -> None:
    """Refuse channels, rates and sizes that the container cannot hold (WAV past 4 GiB is no
    refusal: it becomes RF64).

    Raises
    ------
    UsageError
        Naming the value, the limit and a container that has none.
    """
    container = held_by(target.container)
    rates = _OPUS_RATES if target.subtype == "OPUS" else container.rates
    if target.channels > container.max_channels:
        raise UsageError(f"{container.name} holds at most {container.max_channels} channels, " "the source has "
                         f"{target.channels}: name the output .wav")  # fmt: skip
    if target.fs > container.max_fs:
        raise UsageError(f"{container.name} holds rates up to {container.max_fs} Hz, the " f"source has {target.fs} Hz: "
                         "name the output .wav")  # fmt: skip
    if container.name == "FLAC" and target.fs > 0xFFFF and target.fs % 10:
        raise UsageError("FLAC as libsndfile writes it holds rates above 65535 Hz in steps " f"of 10 Hz, the source has {target.fs} Hz: "
                         "name the output .wav")  # fmt: skip
    if rates and target.fs not in rates:
        allowed = ", ".join(str(rate) for rate in rates)
        raise UsageError(
            f"{target.subtype} holds {allowed} Hz only, the source has {target.fs} Hz: name "
            "the output .wav"
        )
    too_big = (
        container.max_bytes is not None and target.estimate_bytes(frames or 0) > container.max_bytes
    )
    if too_big and container.name not in RIFF_FAMILY:
        raise UsageError(f"the output would pass the 4 GiB that {container.name} can hold: " "name the output .wav (it becomes "
                         "RF64), .w64 or .caf")  # fmt: skip


def default_suffix(container: str) -> str:
    """The extension that a container's files get, with the dot.

    >>> default_suffix("WAVEX")
    '.wav'
    """
    return CONTAINERS[container].suffixes[0]
