"""Sony Wave64: the same chunks as WAV under names of 16 bytes, with sizes of 64 bits.

earfilt reads it itself: libsndfile takes the floating-point files that ffmpeg writes for 32-bit
integers.

Reference: Sonic Foundry / Sony, The Sony Wave64 file format (2006).
"""

import struct

from earfilt.audio.containers.riff import MAX_CHUNKS, Head, parse_format
from earfilt.audio.source import Source
from earfilt.errors import AudioError

MAGIC = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"
"""First 12 bytes of a file."""

_HEADER = 24


def read_head(source: Source) -> Head:
    """Walk to the first sample.

    Parameters
    ----------
    source : Source
        Behind its first 12 bytes.

    Raises
    ------
    AudioError
        No fmt or no data chunk.
    """
    source.skip(4 + 8 + 16)  # rest of the first name, size of the file, name of the form
    fmt = None
    for _ in range(MAX_CHUNKS):
        header = source.read(_HEADER)
        if len(header) < _HEADER:
            break
        size = struct.unpack_from("<Q", header, 16)[0]
        content = max(0, size - _HEADER)
        if header[:4] == b"data":
            if fmt is None:
                raise AudioError(f"{source.name} is damaged: its samples come before its fmt chunk")
            # Streams leave the size at 0, or at the header's own 24.
            promised = content if 0 < content < 2**63 - _HEADER else None
            return Head("W64", fmt, source.position, promised)
        taken = source.read(min(content, 4096)) if header[:4] == b"fmt " else b""
        if header[:4] == b"fmt ":
            fmt = parse_format(taken, source.name)
        source.skip(-(-content // 8) * 8 - len(taken))
    raise AudioError(f"{source.name} is damaged: no {'data' if fmt else 'fmt'} chunk in it")
