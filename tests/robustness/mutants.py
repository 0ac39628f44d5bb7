"""Damage to genuine files, decided by a seed: the same mutant at every run and on every machine."""

import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.audio.foreign import chunk
from tests.robustness.seeds import Seed, seeds

NUMBERS = (
    0,
    1,
    2,
    3,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    2**31 - 1,
    2**31,
    2**32 - 2,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
WORDS = (
    "nan", "inf", "-inf", "1e999", "-1e308", "1e-320", "-0", "", "0x10", "1_000", "١٢٥", "9" * 5000, "1e", "--1", "null", "true", "{}",
    "[]", "\"", "\x1b]0;a\x07", "\x1b[2J", "\u202e", "\0", "\r", "\ufeff", "=1+1", "🦻", "\\ud800", "1" + "0" * 400, ",", ";", "\t", "#",
)  # fmt: skip
MARKS = re.compile(
    rb"RIFF|RF64|WAVE|fmt |data|ds64|LIST|INFO|bext|cue |smpl|fact|PEAK|FORM|AIF[FC]|COMM|SSND|FVER|fLaC|OggS|caff|desc|chan|kuki|pakt|"
    rb"\.snd|vorbis|OpusHead|\xff\xf8|\xff\xfb|NUMPY|MATLAB|taps|fs|latency|descr|shape|riff|wave"
)
HEAD = 96
FLOATS = (
    b"\0\0\xc0\x7f",
    b"\0\0\x80\x7f",
    b"\0\0\x80\xff",
    b"\xff\xff\x7f\x7f",
    b"\1\0\0\0",
    b"\1\0\xa0\x7f",
)


@dataclass(frozen=True)
class Mutant:
    """A damaged file."""

    kind: str
    number: int
    suffix: str
    data: bytes


def mutant(kind: str, number: int) -> Mutant:
    """The mutant of that number."""
    rng = random.Random(f"{kind} {number}")
    seed = rng.choice(seeds(kind))
    return Mutant(kind, number, seed.suffix, damaged(seed, rng))


def mutants(kind: str) -> st.SearchStrategy[Mutant]:
    """Hypothesis strategy: mutants of a kind; small numbers first."""
    return st.integers(0, 2**40).map(lambda number: mutant(kind, number))


def damaged(seed: Seed, rng: random.Random) -> bytes:
    """A seed with one to four kinds of damage."""
    ways: Sequence[Callable[[bytes, random.Random], bytes]] = (
        _TEXT if seed.is_text and rng.random() < 0.7 else _BINARY
    )
    data = seed.data
    if seed.suffix == ".mat" and rng.random() < 0.5:
        return _repacked(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        data = rng.choice(ways)(data, rng)
    return data


def boundaries(data: bytes) -> list[int]:
    """Where something begins or ends: names of chunks, and the fields behind them."""
    return [
        at for found in MARKS.finditer(data) for at in (found.start(), found.end(), found.end() + 4)
    ] or [0]


def _place(data: bytes, rng: random.Random) -> int:
    """Somewhere: in the head, at a boundary, or anywhere."""
    way = rng.random()
    if way < 0.4:
        return rng.randrange(min(HEAD, len(data) + 1))
    if way < 0.8:
        return min(len(data), rng.choice(boundaries(data)) + rng.randrange(24))
    return rng.randrange(len(data) + 1)


def flip(data: bytes, rng: random.Random) -> bytes:
    """Bits turned over."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at = _place(data, rng)
        if at < len(out):
            out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def lie(data: bytes, rng: random.Random) -> bytes:
    """A number overwritten by a treacherous one."""
    code = rng.choice(("<H", "<I", "<Q", ">H", ">I", ">Q", "<B"))
    size = struct.calcsize(code)
    at = _place(data, rng)
    number = rng.choice((*NUMBERS, len(data), len(data) - at, rng.getrandbits(64)))
    return data[:at] + struct.pack(code, number % 256**size) + data[at + size :]


def cut(data: bytes, rng: random.Random) -> bytes:
    """Ends early."""
    return data[: _place(data, rng)]


def cut_near_the_end(data: bytes, rng: random.Random) -> bytes:
    """Lacks a few bytes."""
    return data[: max(0, len(data) - rng.randrange(1, 40))]


def drop(data: bytes, rng: random.Random) -> bytes:
    """Lacks a piece."""
    at = _place(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 4, 8, 100)) :]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """Says something twice, or a hundred times."""
    at = _place(data, rng)
    piece = data[at : at + rng.choice((1, 4, 8, 24, 500))]
    return data[:at] + piece * rng.choice((2, 2, 3, 100)) + data[at + len(piece) :]


def grow(data: bytes, rng: random.Random) -> bytes:
    """Has garbage inside or behind."""
    at = rng.choice((len(data), _place(data, rng)))
    return data[:at] + rng.randbytes(rng.choice((1, 3, 64, 5000))) + data[at:]


def splice(data: bytes, rng: random.Random) -> bytes:
    """The head of one container and the rest of another."""
    other = rng.choice(seeds(rng.choice(("WAV", "RF64", "AIFF", "FLAC", "CAF", "OGG", "MP3")))).data
    return data[: _place(data, rng)] + other[_place(other, rng) :]


def nest(data: bytes, rng: random.Random) -> bytes:
    """A chunk too many: nested lists, 4 GiB in nothing, control characters as its name."""
    inner = b"INFO"
    for _ in range(rng.choice((1, 50, 2000))):
        inner = b"LIST" + struct.pack("<I", len(inner) + 4) + b"INFO" + inner
    name = rng.choice(
        (b"LIST", b"bext", b"\x1b[2J", b"\0\0\0\0", b"fmt ", b"data", b"ds64", b"id3 ", b"iXML")
    )
    new = rng.choice(
        (
            inner,
            chunk(name, rng.randbytes(33)),
            name + struct.pack("<I", rng.choice(NUMBERS) & 0xFFFFFFFF),
        )
    )
    at = rng.choice(boundaries(data))
    return data[:at] + new + data[at:]


def poison(data: bytes, rng: random.Random) -> bytes:
    """NaN, infinity, denormals and huge values where samples may be."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 20))):
        at = rng.randrange(max(1, len(out) - 4))
        at -= at % 4
        out[at : at + 4] = rng.choice(FLOATS)
    return bytes(out)


def _repacked(data: bytes, rng: random.Random) -> bytes:
    """Damage inside a compressed variable of a MATLAB file (or plain damage where none is)."""
    packer = zlib.decompressobj()
    try:
        inner = packer.decompress(data[136:])
    except zlib.error:
        return rng.choice(_BINARY)(data, rng)
    body = zlib.compress(rng.choice(_BINARY)(inner, rng))
    return data[:128] + struct.pack("<II", 15, len(body)) + body + packer.unused_data


def word(data: bytes, rng: random.Random) -> bytes:
    """A number or name replaced by something else."""
    found = list(re.finditer(rb"[-+.\w]+", data))
    if not found:
        return data
    spot = rng.choice(found)
    return data[: spot.start()] + rng.choice(WORDS).encode() + data[spot.end() :]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Text too much."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(WORDS).encode() * rng.choice((1, 1, 3, 1000)) + data[at:]


def shuffle(data: bytes, rng: random.Random) -> bytes:
    """Lines moved, doubled, lost."""
    lines = data.splitlines(keepends=True)
    spot = rng.randrange(max(1, len(lines)))
    lines[spot : spot + 1] = rng.choice(
        ([], lines[spot : spot + 1] * 2, lines[spot : spot + 1] * 2000)
    )
    if rng.random() < 0.3:
        rng.shuffle(lines)
    return b"".join(lines)


def deepen(data: bytes, rng: random.Random) -> bytes:
    """Brackets in brackets."""
    depth = rng.choice((10, 900, 9000, 200_000))
    left, right = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    at = rng.choice((0, rng.randrange(len(data) + 1)))
    return data[:at] + left * depth + b"1" + right * rng.choice((0, depth)) + data[at:]


_BINARY = (
    flip,
    flip,
    lie,
    lie,
    lie,
    cut,
    cut_near_the_end,
    drop,
    repeat,
    grow,
    splice,
    nest,
    poison,
)
_TEXT = (word, word, word, insert, shuffle, deepen, flip, cut, drop)
