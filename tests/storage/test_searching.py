"""Looking for bytes in a file: what is found, and how much is read for it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earfilt.storage.searching import find, pieces


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    descriptor = os.open(tmp_path_factory.mktemp("searched") / "a", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def fill(file: int, data: bytes) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, data, 0)


# around the ends of the first pieces, and of the longest ones
PLACES = [*range(500, 520), *range(1520, 1545), *range(3 << 20, (3 << 20) + 2)]


@given(st.sampled_from(PLACES), st.integers(0, 600), st.integers(-5, 5) | st.none())
def test_what_is_found_is_where_it_lies(file, place, start, beyond):
    data = bytes(place) + b"abcde" + bytes(10)
    fill(file, data)
    end = len(data) if beyond is None else place + 5 + beyond
    expected = min(
        (at for word in (b"abcd", b"bcde") if (at := data.find(word, start, end)) >= 0), default=-1
    )
    assert find(file, (b"bcde", b"abcd"), start, None if beyond is None else end) == expected


def test_an_end_behind_that_of_the_file_is_none(file):
    fill(file, b"abc")
    assert find(file, (b"abc",), 0, 100) == 0
    assert find(file, (b"abcd",), 0, 100) == -1


@pytest.mark.parametrize("size", [0, 1, 3, 511, 512, 513, 5000])
def test_pieces_are_all_the_bytes(file, size):
    data = os.urandom(size)
    fill(file, data)
    assert b"".join(piece for _, piece in pieces(file, 0)) == data
    for place, piece in pieces(file, 0, shared=3):
        assert data[place : place + len(piece)] == piece


def test_what_is_near_is_found_with_a_few_bytes(file, monkeypatch):
    read, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda *args: read.append(args[1]) or pread(*args))
    fill(file, b"abc" + bytes(1 << 20))
    assert find(file, (b"abc",), 0) == 0
    assert sum(read) < 1024
