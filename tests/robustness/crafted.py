"""Files made to do harm: bombs, pickles, depth, breadth, headers that claim the impossible."""

import contextlib
import io
import json
import os
import pickle
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy.io

from tests.audio.foreign import chunk
from tests.robustness.mutants import Mutant

CANARY = "canary"
"""What a file that gets its code executed creates in the directory of the process."""

MAKERS: dict[str, tuple[str, Callable[[], bytes]]] = {}


def _made(kind: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def register(make: Callable[[], bytes]) -> Callable[[], bytes]:
        MAKERS[make.__name__] = (kind, make)
        return make

    return register


def count() -> int:
    """How many there are."""
    return len(MAKERS)


def mutant(number: int) -> Mutant:
    """The crafted file of that number."""
    name = list(MAKERS)[number]
    kind, make = MAKERS[name]
    suffix = "." + kind.partition(".")[2] if "." in kind else f".{kind.lower()}"
    return Mutant(kind, number, suffix, make())


@contextlib.contextmanager
def in_a_folder(kind: str, data: bytes) -> Iterator[Path]:
    """Lay a file into a directory of its own, and look whether it got its code executed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind.partition('.')[2]}"
        path.write_bytes(data)
        try:
            yield path
        finally:
            check_canary(Path(folder))


def check_canary(folder: Path) -> None:
    """Raise if a file got its code executed."""
    if os.path.exists(CANARY) or (folder / CANARY).exists():
        raise RuntimeError("code from a file was executed")


class _Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return (open, (CANARY, "w"))


def _npy(descr: str, body: bytes, shape: str = "(9,)", version: bytes = b"\1\0") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    return b"\x93NUMPY" + version + length + header + body


@_made("fir.npy")
def pickled_npy() -> bytes:
    return _npy("'|O'", pickle.dumps([_Exploit()] * 9))


@_made("fir.npy")
def bare_pickle_as_npy() -> bytes:
    return pickle.dumps(_Exploit())


@_made("fir.npy")
def code_in_the_npy_header() -> bytes:
    return _npy(f"open({CANARY!r}, 'w')", bytes(72))


@_made("fir.npy")
def npy_of_exabytes() -> bytes:
    return _npy("'<f8'", bytes(72), f"({2**60},)")


@_made("fir.npy")
def npy_whose_size_overflows() -> bytes:
    return _npy("'<f8'", bytes(72), f"({2**32}, {2**32}, 9)")


@_made("fir.npy")
def npy_of_negative_size() -> bytes:
    return _npy("'<f8'", bytes(72), "(-9,)")


@_made("fir.npy")
def npy_of_giant_items() -> bytes:
    return _npy("'|V2147483647'", bytes(72))


@_made("fir.npy")
def npy_of_structures() -> bytes:
    return _npy("[('a', '<f8'), ('b', '|O')]", bytes(144))


@_made("fir.npy")
def npy_of_dates() -> bytes:
    return _npy("'<M8[s]'", bytes(72))


@_made("fir.npy")
def npy_header_of_4_gib() -> bytes:
    return b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b"{'descr': '<f8'"


@_made("fir.npy")
def npy_header_nested_deeply() -> bytes:
    return _npy("(" * 5000 + ")" * 5000, bytes(72))


@_made("fir.npy")
def npz_bomb_as_npy() -> bytes:
    return _zip_bomb()


@_made("fir.mat")
def npz_bomb_as_mat() -> bytes:
    return _zip_bomb()


@_made("fir.json")
def npz_bomb_as_json() -> bytes:
    return _zip_bomb()


@_made("WAV")
def npz_bomb_as_wav() -> bytes:
    return _zip_bomb()


def _zip_bomb() -> bytes:
    """1 GiB of zeros in 1 MB."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("taps.npy", "w") as entry,
    ):
        entry.write(_npy("'<f8'", b"", f"({2**27},)"))
        for _ in range(1024):
            entry.write(bytes(1 << 20))
    return file.getvalue()


@_made("fir.mat")
def mat_bomb() -> bytes:
    packer = zlib.compressobj(9)
    packed = packer.compress(struct.pack("<II", 14, 2**30))
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()
    return _mat(struct.pack("<II", 15, len(packed)) + packed)


@_made("fir.mat")
def mat_of_many_bombs() -> bytes:
    packed = zlib.compress(bytes(60 << 20), 9)
    return _mat((struct.pack("<II", 15, len(packed)) + packed) * 100)


@_made("fir.mat")
def mat_of_objects() -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(
        file,
        {"taps": np.array([1, "a", [2, 3]], dtype=object), "fs": np.array(["x", {}], dtype=object)},
    )
    return file.getvalue()


@_made("fir.mat")
def mat_of_cells_nested_deeply() -> bytes:
    body = b""
    for _ in range(3000):
        body = struct.pack("<II", 14, len(body) + 16) + struct.pack("<IIII", 6, 8, 1, 0) + body
    return _mat(body)


@_made("fir.mat")
def mat_of_impossible_shape() -> bytes:
    flags = struct.pack("<IIII", 6, 8, 6, 0)
    shape = struct.pack("<IIii", 5, 8, 2**31 - 1, 2**31 - 1)
    name = struct.pack("<II", 4 << 16 | 1, int.from_bytes(b"taps", "little"))
    real = struct.pack("<II", 9, 8) + bytes(8)
    matrix = flags + shape + name + real
    return _mat(struct.pack("<II", 14, len(matrix)) + matrix)


@_made("fir.mat")
def mat_of_version_7_3() -> bytes:
    return b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF\r\n\x1a\n" + bytes(1000)


def _mat(body: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + body


@_made("fir.json")
def deep_json() -> bytes:
    return b'{"taps": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"


@_made("fir.json")
def deep_json_in_meta() -> bytes:
    return b'{"taps": [1.0], "meta": ' + b'{"a":' * 9_000 + b"1" + b"}" * 9_000 + b"}"


@_made("fir.json")
def json_of_a_million_digits() -> bytes:
    return b'{"taps": [' + b"9" * 1_000_000 + b"]}"


@_made("fir.json")
def json_of_wide_objects() -> bytes:
    return json.dumps({"taps": [1.0], "meta": {str(k): [] for k in range(9_000)}}).encode()


@_made("fir.json")
def json_of_four_million_taps() -> bytes:
    return b'{"taps": [' + b"1," * (1 << 22) + b"1]}"


@_made("fir.json")
def json_of_30_million_empty_lists() -> bytes:
    return b'{"taps": [' + b"[]," * 20_000_000 + b"1]}"


@_made("fir.json")
def json_with_nan() -> bytes:
    return b'{"taps": [1.0, NaN], "fs": Infinity}'


@_made("fir.json")
def json_says_its_rate_is_huge() -> bytes:
    return b'{"taps": [1.0], "fs": 1e308, "latency": 1e308}'


@_made("fir.json")
def taps_that_overflow() -> bytes:
    return b'{"taps": [1e308, -1e308, 1e308]}'


@_made("fir.npy")
def a_million_taps() -> bytes:
    return _npy("'<f8'", np.random.default_rng(1).normal(size=1 << 20).tobytes(), f"({1 << 20},)")


@_made("fir.npy")
def as_many_taps_as_there_may_be() -> bytes:
    return _npy("'<f8'", np.random.default_rng(1).normal(size=1 << 22).tobytes(), f"({1 << 22},)")


@_made("fir.npy")
def symmetric_taps_by_the_million() -> bytes:
    return _npy("'<f8'", np.ones((1 << 22) - 1).tobytes(), f"({(1 << 22) - 1},)")


@_made("fir.txt")
def txt_of_one_line_of_64_mib() -> bytes:
    return b"1" * (64 << 20)


@_made("fir.txt")
def txt_of_30_million_numbers() -> bytes:
    return b"1 " * (31 << 20)


@_made("fir.txt")
def txt_of_as_many_lines_as_there_may_be() -> bytes:
    return "# 🦻\n".encode() + b"1.25e-3\n" * ((1 << 22) + 1)


@_made("curve.csv")
def csv_of_a_million_columns() -> bytes:
    return b"frequency_hz,gain_db" + b",x" * 1_000_000 + b"\n1,1" + b",1" * 1_000_000 + b"\n"


@_made("curve.csv")
def csv_of_a_million_rows() -> bytes:
    return b"frequency_hz,gain_db\n" + b"".join(b"%d,0\n" % k for k in range(1, 1_000_001))


@_made("curve.csv")
def csv_of_64_mib_of_empty_lines() -> bytes:
    return b"frequency_hz,gain_db\n" + b"\n" * (63 << 20)


@_made("curve.csv")
def csv_of_comments() -> bytes:
    return b"#\n" * (30 << 20)


@_made("curve.csv")
def csv_of_quotes() -> bytes:
    return b'frequency_hz,gain_db\n"' + b'""' * 30_000 + b"\n"


@_made("curve.csv")
def csv_that_speaks_to_the_terminal() -> bytes:
    return b"\x1b]0;owned\x07\x1b[2J,gain_db\n1,\x1b[31m\n"


@_made("curve.csv")
def csv_with_steep_walls() -> bytes:
    return b"frequency_hz,gain_db\n0,-200\n999.9999,-200\n1000,200\n1000.0001,-200\n4000,200\n"


@_made("curve.csv")
def csv_beyond_64_mib() -> bytes:
    return b"x" * (65 << 20)


def _wav(
    fmt: bytes, data: bytes = bytes(64), before: bytes = b"", size: int | None = None
) -> bytes:
    body = (
        b"WAVE"
        + chunk(b"fmt ", fmt)
        + before
        + b"data"
        + struct.pack("<I", len(data) if size is None else size)
        + data
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _fmt(channels: int = 1, fs: int = 8000, bits: int = 16) -> bytes:
    return struct.pack("<HHIIHH", 1, channels, fs, fs & 0xFFFF, channels * bits // 8 & 0xFFFF, bits)


@_made("WAV")
def channels_65535() -> bytes:
    return _wav(_fmt(channels=65_535, bits=8))


@_made("WAV")
def no_channels() -> bytes:
    return _wav(_fmt(channels=0))


@_made("WAV")
def rate_of_0_hz() -> bytes:
    return _wav(_fmt(fs=0))


@_made("WAV")
def rate_of_4294967295_hz() -> bytes:
    return _wav(_fmt(fs=2**32 - 1))


@_made("WAV")
def rate_of_1_hz() -> bytes:
    return _wav(_fmt(fs=1))


@_made("WAV")
def no_frames() -> bytes:
    return _wav(_fmt(), b"")


@_made("WAV")
def bits_of_65535() -> bytes:
    return _wav(struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 65_535))


@_made("WAV")
def chunk_of_4_gib_in_1_kb() -> bytes:
    return _wav(_fmt(), before=b"bext" + struct.pack("<I", 2**32 - 1) + bytes(1000))


@_made("WAV")
def list_nested_in_lists() -> bytes:
    inner = b"INFO"
    for _ in range(20_000):
        inner = b"LIST" + struct.pack("<I", len(inner)) + inner
    return _wav(_fmt(), before=chunk(b"LIST", inner))


@_made("WAV")
def a_million_chunks() -> bytes:
    return _wav(_fmt(), before=chunk(b"abcd", b"") * 1_000_000)


@_made("WAV")
def chunk_of_100_mib() -> bytes:
    return _wav(_fmt(), before=chunk(b"junq", bytes(100 << 20)))


@_made("WAV")
def tags_that_speak_to_the_terminal() -> bytes:
    return _wav(
        _fmt(),
        before=chunk(
            b"LIST",
            b"INFO" + chunk(b"INAM", b"\x1b]0;owned\x07\x1b[2J\0") + chunk(b"\x1b[2J", b"x\0"),
        ),
    )


@_made("WAV")
def all_samples_nan() -> bytes:
    return _wav(
        struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32), np.full(64, np.nan, "<f4").tobytes()
    )


@_made("WAV")
def largest_floats() -> bytes:
    return _wav(
        struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32), np.full(640, 3.4e38, "<f4").tobytes()
    )


@_made("WAV")
def largest_doubles() -> bytes:
    return _wav(
        struct.pack("<HHIIHH", 3, 1, 8000, 64000, 8, 64), np.full(640, 1.7e308, "<f8").tobytes()
    )


@_made("WAV")
def denormals() -> bytes:
    return _wav(
        struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32), np.full(64, 1e-45, "<f4").tobytes()
    )


@_made("RF64")
def rf64_of_exabytes() -> bytes:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 2**63, 2**62, 2**61, 2**32 - 1))
    return (
        b"RF64\xff\xff\xff\xffWAVE"
        + ds64
        + chunk(b"fmt ", _fmt())
        + b"data\xff\xff\xff\xff"
        + bytes(64)
    )


@_made("AIFF")
def aiff_of_impossible_rate() -> bytes:
    common = struct.pack(">hIh", 1, 32, 16) + b"\x7f\xff" + b"\xff" * 8
    sound = struct.pack(">II", 0, 0) + bytes(64)
    body = (
        b"AIFF"
        + b"COMM"
        + struct.pack(">I", len(common))
        + common
        + b"SSND"
        + struct.pack(">I", len(sound))
        + sound
    )
    return b"FORM" + struct.pack(">I", len(body)) + body


@_made("FLAC")
def flac_of_giant_blocks() -> bytes:
    info = struct.pack(">HH", 65_535, 65_535) + bytes(6) + bytes.fromhex("0bb803f0") + bytes(20)
    return (
        b"fLaC\0\0\0\x22"
        + info[:34]
        + (b"\4\xff\xff\xff" + bytes(1000)) * 3
        + b"\xff\xf8"
        + bytes(500)
    )
