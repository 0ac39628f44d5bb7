"""Tags that programs add to the end of a file: ID3v1, APE, Lyrics3, ID3v2 with a footer.

References
----------
ID3v1 and ID3v2.4.0 (id3.org); APEv2 (Hydrogenaudio); Lyrics3 2.00.
"""

from __future__ import annotations

import os
import struct

from earfilt.audio.metadata.id3 import V1_SIZE, syncsafe

_MOST = 16


def find_tags(file: int) -> tuple[bytes, list[str]]:
    """What stands at the end of a file.

    Parameters
    ----------
    file : int
        Descriptor.

    Returns
    -------
    bytes, list of str
        The ID3v1 tag, empty where there is none, and the names of the others.
    """
    end, first, names = os.fstat(file).st_size, b"", []
    if os.pread(file, 8, 0) == b"APETAGEX":
        names.append("APE tag")
    for _ in range(_MOST):
        count = max(0, min(V1_SIZE, end))
        tail = os.pread(file, count, end - count)
        if len(tail) == V1_SIZE and tail[:3] == b"TAG":
            first, size = first or tail, V1_SIZE
        elif tail[-32:-24] == b"APETAGEX":
            _, size, _, flags = struct.unpack_from("<4I", tail[-24:])
            size += 32 if flags >> 31 else 0
            names.append("APE tag")
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            size = int(tail[-15:-9]) + 15
            names.append("Lyrics3 tag")
        elif tail[-10:-7] == b"3DI" and len(tail) > 10:
            size = syncsafe(tail[-4:]) + 20
            names.append("ID3 tag at the end")
        else:
            break
        end -= size
    return first, names
