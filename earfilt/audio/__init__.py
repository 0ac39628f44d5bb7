"""Audio files: what they are, their samples in and out, and the place where an output appears whole
or not at all.

::

    sniff, info      what a file holds, by its bytes       formats         which container holds what
    source, reader   blocks of samples in                  output_format   what an output will be
    decoder          libsndfile, read forwards             writer          blocks of samples out
    recordings       where the recordings of a file lie    speakers        masks, layouts, orders
    containers/      chunks, frames and pages of each      metadata/       tags, and the stale ones
"""

from earfilt.audio.containers.pcm import Array
from earfilt.audio.formats import (
    CONTAINERS,
    SUBTYPES,
    SUFFIXES,
    Container,
    RawFormat,
    Subtype,
    Target,
)
from earfilt.audio.info import AudioInfo, Metadata
from earfilt.audio.reader import NotAudioError, Reader, open_reader, probe
from earfilt.audio.writer import Writer, open_writer
from earfilt.storage.output import (
    Exists,
    Output,
    check_destination,
    discard_all,
    is_stream,
    is_temporary,
    open_output,
    sweep,
)

__all__ = [
    "CONTAINERS",
    "SUBTYPES",
    "SUFFIXES",
    "Array",
    "AudioInfo",
    "Container",
    "Exists",
    "Metadata",
    "NotAudioError",
    "Output",
    "RawFormat",
    "Reader",
    "Subtype",
    "Target",
    "Writer",
    "check_destination",
    "discard_all",
    "is_stream",
    "is_temporary",
    "open_output",
    "open_reader",
    "open_writer",
    "probe",
    "sweep",
]
