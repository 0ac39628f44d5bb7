"""Files and pipes as bytes."""

import io
import os

import pytest

from earfilt.audio import source as source_module
from earfilt.audio.source import Source, open_source
from earfilt.errors import AudioError
from earfilt.storage.streams import write_all


def pipe(data: bytes) -> Source:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return Source(io.FileIO(reading, "rb"), "pipe")


def test_no_seek_goes_beyond_the_end(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    source = open_source(str(path))
    source.seek(2**70)
    assert (source.position, source.read(3)) == (5, b"")
    source.close()


def test_a_pipe_that_was_begun_is_spooled_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "_PIECE", 7)
    data = bytes(range(100))
    source = pipe(data)
    assert source.read(10) == data[:10]
    assert source.skip(5) == 5
    assert not source.seekable
    source.spool(str(tmp_path))
    assert (source.seekable, source.size, source.position) == (True, 100, 0)
    assert os.listdir(tmp_path) == []
    assert source.read(1000) == data
    source.close()


def test_spooling_where_there_is_no_room_is_an_audio_error(tmp_path):
    source = pipe(b"abc")
    with pytest.raises(AudioError, match="cannot spool pipe to disk"):
        source.spool(str(tmp_path / "none"))
    source.close()


class Trickle(io.RawIOBase):
    """A pipe that gives so many bytes at a read."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.end, other = os.pipe()
        os.close(other)

    def fileno(self) -> int:
        return self.end

    def readinto(self, view) -> int:
        size = self.sizes.pop(0) if self.sizes else 0
        view[:size] = bytes(size)
        return size


def test_a_pipe_gives_what_is_there_in_whole_units(monkeypatch):
    source = Source(Trickle([5, 2, 1, 8, 3]), "pipe")
    more = iter([True, False, True])
    monkeypatch.setattr(source, "_arrives", lambda seconds: next(more))
    room = memoryview(bytearray(100))
    # 5, 2 and 1 make two units; more comes (8); nothing for now: 16. Then 3, which end the pipe.
    assert source.readinto_there(room, 4) == 16
    assert source.readinto_there(room, 4) == 3
    assert source.readinto_there(room, 4) == 0
    assert source.position == 19


def test_a_pipe_is_not_waited_for_when_it_has_given_something():
    reading, writing = os.pipe()
    source, room = Source(io.FileIO(reading, "rb"), "pipe"), memoryview(bytearray(100))
    os.write(writing, b"1234")
    assert source.readinto_there(room, 2) == 4  # and no more comes: this would wait for ever
    os.write(writing, b"567")
    os.close(writing)
    assert source.readinto_there(room, 2) == 3
    source.close()


def test_skipping_ends_at_the_end(tmp_path):
    (tmp_path / "a").write_bytes(bytes(50))
    for source in (open_source(str(tmp_path / "a")), pipe(bytes(50))):
        assert source.skip(2**40) == 50
        assert source.read(1) == b""
        source.close()


@pytest.mark.parametrize(
    ("name", "match"),
    [("none.wav", "No such file"), (".", "is a directory"), ("empty", r"is empty \(0 bytes\)")],
)
def test_what_cannot_be_opened_is_named(tmp_path, name, match):
    (tmp_path / "empty").touch()
    with pytest.raises(AudioError, match=match):
        open_source(str(tmp_path / name))


def test_names_are_printable_in_messages(tmp_path):
    with pytest.raises(AudioError) as caught:
        open_source(str(tmp_path / "a\x1b[31m\n\udcff.wav"))
    assert str(caught.value).isprintable()


def test_writes_go_on_until_all_is_written():
    out = bytearray()

    def slow(view: memoryview) -> int:
        out.extend(view[:3])
        return len(view[:3])

    write_all(slow, b"0123456789")
    assert out == b"0123456789"
