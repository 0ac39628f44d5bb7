"""``python -m tests.robustness.coverage TARGET``: parsers under atheris, which looks for inputs
that reach new code.

Atheris is no dependency: ``make fuzz-long`` installs it. Whatever is raised beside the errors that
belong to earfilt is a finding, and so is an input that takes more than ten seconds or a gigabyte.
"""

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["earfilt"]):
    from earfilt.audio import reader
    from earfilt.audio.containers import flac, riff
    from earfilt.audio.source import Source
    from earfilt.errors import AudioError, DataError, UsageError
    from earfilt.files import curves, firs

from tests.robustness import seeds

_FILE = Path(tempfile.mkdtemp(prefix="earfilt-atheris-"))


@contextmanager
def _source(data: bytes) -> Iterator[Source]:
    path = _FILE / "a.wav"
    path.write_bytes(data)
    source = Source(io.FileIO(path), "a.wav")
    try:
        yield source
    finally:
        source.close()


def chunks(data: bytes) -> None:
    """The walker over the chunks of a RIFF file, its tags, and its samples."""
    with _source(b"RIFF\0\0\0\0WAVE" + data if data[:4] not in riff.MAGICS else data) as source:
        try:
            head = riff.read_head(source, source.read(12))
            reader.riff_metadata(head, reader.rest_of(source, head))
            if head.fmt.subtype:
                opened = reader.WavReader(source, head, repair=True)
                while len(opened.read(1 << 16)):
                    pass
        except AudioError:
            return


def blocks(data: bytes) -> None:
    """The metadata blocks of a FLAC file."""
    with _source(b"fLaC" + data) as source:
        for kind, content in flac.read_blocks(source):
            if kind == flac.VORBIS_COMMENT:
                flac.parse_comments(content)


def curves(data: bytes) -> None:
    """A user's curve or equaliser."""
    _parsed(data, ".csv", curves.understand)


def firs(data: bytes) -> None:
    """FIR files; the first byte chooses the format."""
    if data:
        _parsed(data[1:], firs.SUFFIXES[data[0] % len(firs.SUFFIXES)], firs.read_fir)


def _parsed(data: bytes, suffix: str, read: Callable[[Path], object]) -> None:
    path = _FILE / f"a{suffix}"
    path.write_bytes(data)
    try:
        read(path)
    except (UsageError, DataError) as error:
        if not str(error).isprintable():
            raise RuntimeError(f"unprintable: {error!r}") from error


TARGETS: dict[str, tuple[Callable[[bytes], None], tuple[str, ...]]] = {
    "chunks": (chunks, ("WAV", "WAVEX", "RF64")),
    "blocks": (blocks, ("FLAC",)),
    "curves": (curves, seeds.CURVES),
    "firs": (firs, seeds.FIRS),
}
"""Function, and the kinds of genuine files to start from."""


def _corpus(name: str) -> Path:
    folder = _FILE / "corpus"
    folder.mkdir()
    for kind in TARGETS[name][1]:
        for k, seed in enumerate(seeds.seeds(kind)):
            lead = bytes([firs.SUFFIXES.index(seed.suffix)]) if name == "firs" else b""
            data = seed.data[4:] if name == "blocks" else seed.data
            (folder / f"{kind}-{k}").write_bytes(lead + data)
    return folder


def main() -> None:
    """Fuzz one target; further arguments are libFuzzer's (``-max_total_time=600``)."""
    name, *options = sys.argv[1:]
    limits = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=20000"]
    atheris.Setup([sys.argv[0], str(_corpus(name)), *limits, *options], TARGETS[name][0])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
