"""Audio files: what they are, their samples in and out, and the place where an output appears whole
or not at all.

::

    source        files and pipes as bytes            destination   temporary name -> final name, the standard output
    riff          chunks of WAV, WAVEX, RF64          wav           the same and Wave64, written
    w64           chunks of Wave64
    flacmeta      metadata blocks of FLAC             ogg           serial numbers of Ogg pages
    aiff, caf     chunks of AIFF and CAF              speakers      channel masks, layouts and orders
    promise       frames that a header promises       tags          what crosses containers, coding history
    reader        blocks of samples in                writer        blocks of samples out
    formats       which container holds what          planning      what an output will be
    pcmbytes      samples as bytes                    stale         tags that a filter makes false
    id3           frames of ID3 tags
    sniff         what a file holds, by its first bytes
    decoder       libsndfile, read forwards           recordings    where the recordings of a file lie
    mpeg          frames of MPEG audio                flacframes    frames of FLAC
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
