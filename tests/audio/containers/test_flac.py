"""Metadata blocks of FLAC files."""

import struct

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earfilt.audio.containers import flac
from earfilt.audio.source import open_source


def blocks_of(path) -> list[flac.Block]:
    source = open_source(str(path))
    try:
        return flac.read_blocks(source)
    finally:
        source.close()


def with_blocks(path, blocks, prefix=b"") -> None:
    soundfile.write(path, np.zeros(1000), 8000, format="FLAC")
    data = path.read_bytes()
    size = flac.head_size(data)
    path.write_bytes(prefix + flac.splice(data[:size], blocks) + data[size:])


def test_blocks_survive_a_splice_and_the_file_stays_readable(tmp_path):
    picture = (
        struct.pack(">II", 3, 9)
        + b"image/png"
        + struct.pack(">IIIIII", 0, 1, 1, 24, 0, 4)
        + b"data"
    )
    blocks = [(6, picture), flac.comment_block([("TITLE", "x")], "me"), (6, picture)]
    with_blocks(tmp_path / "a.flac", blocks)
    assert blocks_of(tmp_path / "a.flac") == blocks
    assert soundfile.read(tmp_path / "a.flac")[0].shape == (1000,)


def test_a_splice_is_longer_by_the_size_of_the_blocks(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(1000), 8000)
    data = (tmp_path / "a.flac").read_bytes()
    head = data[: flac.head_size(data)]
    for blocks in ([(6, b"xyz")], [flac.comment_block([("A", "b")], "me"), (6, b"")]):
        assert len(flac.splice(head, blocks)) == len(head) + flac.size_of(blocks)


def test_an_id3_tag_before_it_is_passed_over(tmp_path):
    with_blocks(
        tmp_path / "a.flac", [(6, b"p")], prefix=b"ID3\4\0\0" + bytes([0, 0, 1, 2]) + bytes(130)
    )
    assert (6, b"p") in blocks_of(tmp_path / "a.flac")


def test_lying_lengths_end_quietly(tmp_path):
    path = tmp_path / "a.flac"
    for body in (
        b"",
        b"\x04\xff\xff\xff",
        b"\x04\xff\xff\xffabc",
        b"\x06\0\0\1" * 10_000,
        b"\x00\0\0\x22" + bytes(34) + b"\x84\xff\xff\xff\0",
    ):
        path.write_bytes(b"fLaC" + body)
        assert sum(len(content) for _, content in blocks_of(path)) <= len(body)


def test_comments_are_read_as_the_standard_says():
    _, content = flac.comment_block([("TITLE", "a=b"), ("x", "ü")], "vendor")
    assert flac.parse_comments(content) == [("TITLE", "a=b"), ("X", "ü")]


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_any_comment_block_ends(content, size):
    for data in (content, struct.pack("<I", size) + content):
        assert sum(len(key) + len(value) for key, value in flac.parse_comments(data)) <= 4 * len(
            data
        )
