"""Serial numbers of Ogg pages, and which are found in a file."""

import io

import numpy as np
import pytest
import soundfile

from earfilt.audio.containers.ogg import pages as ogg


def checksum(page: bytes) -> int:
    """By the definition of RFC 3533, bit by bit, with the field itself zero."""
    value = 0
    for byte in page[:22] + b"\0\0\0\0" + page[26:]:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
            value &= 0xFFFFFFFF
    return value


def pages(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        segments = data[at + 26]
        length = 27 + segments + sum(data[at + 27 : at + 27 + segments])
        found.append(data[at : at + length])
        at += length
    return found


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_every_page_gets_the_serial_and_its_checksum(subtype):
    file = io.BytesIO()
    soundfile.write(
        file,
        np.random.default_rng(0).uniform(-0.1, 0.1, 30_000),
        48_000,
        format="OGG",
        subtype=subtype,
    )
    before = pages(file.getvalue())
    ogg.set_serials(file, 0x12345678)
    after = pages(file.getvalue())
    assert len(after) == len(before) > 2
    for old, new in zip(before, after, strict=True):
        assert new[14:18] == b"\x78\x56\x34\x12"
        assert int.from_bytes(new[22:26], "little") == checksum(new)
        assert old[:14] + old[18:22] + old[26:] == new[:14] + new[18:22] + new[26:]


def test_what_is_no_ogg_is_left_alone():
    for data in (b"", b"OggS", b"RIFF" + bytes(400), b"OggS" + bytes(10)):
        file = io.BytesIO(data)
        ogg.set_serials(file)
        assert file.getvalue() == data


@pytest.mark.parametrize("damaged", [1, 300])
def test_a_page_behind_damaged_ones_is_found(tmp_path, damaged):
    page = b"OggS" + bytes(22) + b"\xff" * 256 + bytes(255 * 255)
    path = tmp_path / "a.ogg"
    path.write_bytes(page * damaged + ogg.with_checksum(page))
    with path.open("rb") as file:
        assert [found.at for found in ogg.next_pages(file.fileno())] == [damaged * len(page)]
