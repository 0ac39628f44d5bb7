"""The formats of FIR files, each as a pair: Fir -> bytes, and path -> taps with a header.

What every format carries beside the taps is one *header* (rate, latency, extension rule, what the
filter is), as JSON where the format has room for text. Files come from anyone: every parser checks
sizes before it takes memory, and its result is checked again by
:mod:`earfilt.files.firs`.

References
----------
SoX 14.4.2, ``man sox``, effect ``fir``: white-space separated coefficients with ``#`` comments; the
output is advanced by (taps − 1)/2 samples.
"""

import io
import itertools
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earfilt import wording
from earfilt.arrays import Floats
from earfilt.errors import AudioError, DataError, UsageError, printable
from earfilt.files.csv_table import column_names, csv_table, number
from earfilt.files.curves import is_curve
from earfilt.files.dialects.found import fir_named_in
from earfilt.files.dialects.table import FORMS
from earfilt.files.matlab import Unread, Value, read_mat, write_mat
from earfilt.files.plain_taps import doubts
from earfilt.files.rates import stated_fs
from earfilt.files.symmetry import assumed_lookahead
from earfilt.storage.reading import MAX_BYTES, read_bytes, read_foreign_text, read_text, shown
from earfilt.synthesis.fir import ROW_NAMES, Fir
from earfilt.version import FORMAT

if TYPE_CHECKING:
    from earfilt.audio.formats import Subtype
    from earfilt.audio.info import AudioInfo

MAX_TAPS = 1 << 22
"""Most taps that a file may hold."""

CSV_HEADERS = {
    rows: ["sample", *(name.replace(" ", "_") or "coefficient" for name in names)]
    for rows, names in ROW_NAMES.items()
}
"""Column names that tell a FIR's ``.csv`` from a curve's, by the number of its rows of taps."""

_MARK = "earfilt FIR "  # before the header in comments
_WORD = re.compile(r"\S+")

PathLike = str | os.PathLike[str]


class Content(NamedTuple):
    """What a parser finds: taps, (numtaps,) or (rows, numtaps), and the header, {} where the file
    has none; both unchecked.

    ``step`` is the distance of neighbouring values that the format can hold, at the largest tap:
    what rounding may have done to it. ``cautions`` are what to know of it, and ``unclear`` says why
    nothing tells which tap is time zero; empty where the taps do.
    """

    taps: Floats
    header: dict[str, Any]
    step: float = 0.0
    cautions: tuple[str, ...] = ()
    unclear: str = ""


# The header


def _header(fir: Fir, **more: int) -> dict[str, Any]:
    return {
        **({"rows": fir.rows} if fir.rows > 1 else {}),
        "fs": fir.fs,
        "latency": fir.lookahead,
        "odd_ends": fir.odd_ends,
        **more,
        "meta": fir.provenance.to_json(),
    }


def _header_line(fir: Fir, **more: int) -> str:
    """The header as a comment: one line of ASCII."""
    return _MARK + json.dumps(_header(fir, **more), allow_nan=False)


def _header_of(comments: list[str], path: PathLike) -> dict[str, Any]:
    marked = [comment.removeprefix(_MARK) for comment in comments if comment.startswith(_MARK)]
    return _parse_json(marked[0], path) if marked else {}


def _parse_json(text: str, path: PathLike) -> dict[str, Any]:
    """A JSON object from an untrusted file."""
    # Containers are counted before parsing: nesting exhausts the stack, and empty ones take 50
    # bytes of memory for two of text.
    if text.count("[") + text.count("{") > 10_000 or text.count(",") > MAX_TAPS + 100_000:
        raise DataError.about(shown(path), "{subject} is not a FIR: its JSON holds too many parts")
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DataError.about(
            shown(path), "{subject} is not valid JSON: {error}", error=printable(str(error))
        ) from error
    if _are_curves(found):
        raise DataError.about(
            shown(path),
            "{subject} holds curves, as 'earfilt response' writes them in JSON, and no filter; one "
            "that it writes as .csv is read as a curve",
        )
    if not isinstance(found, dict):
        raise DataError.about(shown(path), "{subject} is not a FIR: its JSON is not an object")
    return found


def _are_curves(found: Any) -> bool:
    first = found[0] if isinstance(found, list) and found else None
    return isinstance(first, dict) and first.get("earfilt") == "curve"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


# .json


def _write_json(fir: Fir) -> bytes:
    return (
        json.dumps(
            {
                "earfilt": "fir",
                "format": FORMAT,
                **_header(fir),
                "numtaps": fir.numtaps,
                "taps": fir.taps.tolist(),
            },
            allow_nan=False,
            indent=1,
        )
        + "\n"
    ).encode()


def _read_json(path: PathLike) -> Content:
    found = _parse_json(read_text(path), path)
    if found.get("earfilt", "fir") != "fir":  # something else that earfilt has written
        return Content(np.zeros(0), found)
    taps = found.get("taps")
    nested = isinstance(taps, list) and bool(taps) and isinstance(taps[0], list)
    rows: list[Any] = found["taps"] if nested else [taps]
    if taps is None:
        _refuse_preset(read_text(path), path)
    if not all(
        isinstance(row, list) and all(type(tap) in (int, float) for tap in row) for row in rows
    ):
        raise DataError.about(
            shown(path),
            "{subject} is not a FIR: it has no list of numbers called 'taps', nor one such list a row",
        )
    if not nested:
        return Content(_as_floats(rows[0], path), found)
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise DataError.about(
            shown(path),
            "{subject}: its rows have {least} to {most} taps; all have as many, zeros included",
            least=min(lengths),
            most=max(lengths),
        )
    return Content(_as_floats(rows, path).reshape(len(rows), -1), found)


def _as_floats(values: list[Any], path: PathLike) -> Floats:
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise DataError(shown(path), "a tap is not a finite number") from error


# .csv


def _write_csv(fir: Fir) -> bytes:
    rows = [
        f"{k - fir.lookahead},{','.join(map(repr, taps))}"
        for k, taps in enumerate(np.atleast_2d(fir.taps).T.tolist())
    ]
    header = ",".join(CSV_HEADERS[fir.rows])
    return "\n".join(["# " + _header_line(fir), header, *rows, ""]).encode()


def _read_csv(path: PathLike) -> Content:
    """The sample column counts from −latency."""
    table = csv_table(read_text(path), path)
    if table.header not in CSV_HEADERS.values():
        raise DataError.about(
            shown(path),
            "{subject} is not a FIR; expected the header line {headers}",
            headers=" or ".join(f"'{','.join(header)}'" for header in CSV_HEADERS.values()),
        )
    names = table.header[1:]
    taps: list[list[float]] = []
    first, name_of_file = 0.0, shown(path)
    for line, fields in table.rows:
        where = f"{name_of_file}, line {line}"
        if len(fields) != 1 + len(names):
            raise DataError(where, f"{len(fields)} fields where the header has {1 + len(names)}")
        sample = number(fields[0], where, "sample")
        first = first if taps else sample
        if sample != first + len(taps) or not sample.is_integer():
            raise DataError(where, f"sample {sample:g}; samples must count up by one")
        taps.append(
            [number(text, where, name) for text, name in zip(fields[1:], names, strict=True)]
        )
    rows = np.array(taps).reshape(-1, len(names)).T
    header = {**_header_of(table.comments, path), "latency": int(-first)}
    return Content(rows[0] if len(rows) == 1 else rows, header)


# .txt, for SoX


def _write_txt(fir: Fir) -> bytes:
    if fir.rows > 1:
        raise UsageError(
            f"a .txt for SoX holds one FIR for all channels, and this one has {fir.rows} rows; write "
            ".wav, .json, .mat, .csv or .npy"
        )
    # SoX advances N taps by (N−1)//2; zeros before (a) and behind (b) make that the look-ahead L
    # plus a: N = 2(L+a)+1.
    before = max(0, fir.numtaps - 1 - 2 * fir.lookahead)
    behind = 2 * (fir.lookahead + before) + 1 - fir.numtaps - before
    total = before + fir.numtaps + behind
    comments = [
        _header_line(fir, first=before, numtaps=fir.numtaps),
        f"{total} coefficients for: sox IN OUT fir FILE",
    ]
    padded = np.pad(fir.taps, (before, behind)).tolist()
    return "\n".join([*(f"# {comment}" for comment in comments), *map(repr, padded), ""]).encode()


def _read_txt(path: PathLike) -> Content:
    text = read_text(path)
    lines = text.splitlines()
    header = _header_of(_comments(lines), path)
    # One word after the other, since the words of 64 MiB would take gigabytes; one beyond the limit
    # is read, and refused.
    try:
        taps = np.fromiter(itertools.islice(_coefficients(lines, path), MAX_TAPS + 1), np.float64)
    except DataError as error:
        _refuse_preset(text, path, error)
        raise
    if not header or len(taps) > MAX_TAPS:
        if doubt := doubts(_as_table(taps, lines), lines=True):
            raise DataError(shown(path), doubt)
        return Content(taps, {"latency": (len(taps) - 1) // 2} if len(taps) else {})
    return Content(_without_padding(taps, header, path), header)


def _refuse_preset(text: str, path: PathLike, cause: Exception | None = None) -> None:
    """Refuse a program's preset with what it names, where it names a FIR."""
    if named := fir_named_in(text):
        words = "{subject} is a preset and no FIR: {named}"
        raise DataError.about(shown(path), words, named=named) from cause


def _as_table(taps: Floats, lines: list[str]) -> Floats:
    """Coefficients as the rows of a table, (lines, N), where all of a few lines hold as many."""
    if not len(taps) or len(lines) > _MOST_LINES or sum(map(len, lines)) > _SHORT:
        return taps
    words = [line.partition("#")[0].split() for line in lines]
    counts = {len(row) for row in words if row}
    return taps if counts == {1} or len(counts) > 1 else taps.reshape(-1, counts.pop())


_MOST_LINES = 2000  # of a table of sections, or of a few rows


def _comments(lines: list[str]) -> list[str]:
    return [
        line.strip()[1:].strip()
        for line in lines
        if "#" in line and line.lstrip().startswith("#")  # most lines of numbers end here
    ]


def _coefficients(lines: list[str], path: PathLike) -> Iterator[float]:
    name = shown(path)
    for start in range(0, len(lines), _AT_ONCE):
        some = lines[start : start + _AT_ONCE]
        if sum(map(len, some)) < _SHORT and (plain := _plain_numbers(" ".join(some))) is not None:
            yield from plain
            continue
        for n, line in enumerate(some, start=start + 1):
            for word in _WORD.finditer(line.partition("#")[0]):
                yield _coefficient(word[0], f"{name}, line {n}")


_AT_ONCE, _SHORT = 4096, 1 << 20  # lines, and characters of all, whose words fit into memory
_PLAIN = re.compile(r"[0-9eE+\-. \t]*")


def _plain_numbers(text: str) -> list[float] | None:
    """The numbers of a text that holds nothing else; None of any other, which is read word by word."""
    if not _PLAIN.fullmatch(text):
        return None
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _coefficient(word: str, where: str) -> float:
    try:
        return number(word, where, "coefficient")
    except DataError as error:
        raise DataError(where, f"{error.reason}; {FORMS}") from error


def _without_padding(padded: Floats, header: Mapping[str, Any], path: PathLike) -> Floats:
    first, numtaps, latency = (header.get(name) for name in ("first", "numtaps", "latency"))
    if (
        isinstance(first, int)
        and isinstance(numtaps, int)
        and isinstance(latency, int)
        and first >= 0
        and numtaps > 0
    ):
        taps = padded[first : first + numtaps]
        aligned = (len(padded) - 1) // 2 == first + latency
        if aligned and len(taps) == numtaps and np.count_nonzero(taps) == np.count_nonzero(padded):
            return taps
    raise DataError.about(
        shown(path),
        "{subject} is damaged: its comment '{mark}…' does not fit its {count} "
        "coefficients; take the comment out to have it read the way SoX reads it",
        mark=_MARK,
        count=len(padded),
    )


# .npy


def _write_npy(fir: Fir) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, _array(fir).astype("<f8"), allow_pickle=False)
    return buffer.getvalue()


def _read_npy(path: PathLike) -> Content:
    data = read_bytes(path)
    try:
        # frombuffer holds the stated shape against the bytes that are there, and takes neither
        # memory nor objects.
        version = np.lib.format.read_magic(stream := io.BytesIO(data))
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, by_columns, dtype = read(stream)
        array = np.frombuffer(data, dtype, count=math.prod(shape), offset=stream.tell())
        array = array.reshape(shape, order="F" if by_columns else "C")
    except Exception as error:
        raise DataError.about(
            shown(path),
            "{subject} is not a NumPy array file of numbers: {error}",
            error=printable(str(error)),
        ) from error
    return Content(_taps(array, path, "the array"), {}, _array_step(array))


def _array(fir: Fir) -> Floats:
    """Its taps; those of rows of one tap with a zero behind, or they would pass for one column."""
    return np.pad(fir.taps, ((0, 0), (0, 1))) if fir.rows > 1 and fir.numtaps == 1 else fir.taps


def _array_step(array: NDArray[Any]) -> float:
    """The step of an array's dtype at its largest value: 1 for integers."""
    if array.dtype.kind != "f" or not array.size:
        return 1.0
    return float(np.abs(array).max()) * float(np.finfo(array.dtype).eps)


def _taps(array: NDArray[Any], path: PathLike, what: str, *, named: bool = False) -> Floats:
    """Real numbers in one row or column, or in several rows, as float64."""
    one = array.size == max(array.shape, default=0)
    real = array.dtype.kind in "fiu"
    flat = array.reshape(-1) if one and array.ndim != 2 else array
    if real and (doubt := doubts(flat, named=named)):
        raise DataError(shown(path), f"{what} {doubt}")
    if not real or not (one or (array.ndim == 2 and len(array) in ROW_NAMES)):
        turned = real and array.ndim == 2 and array.shape[1] in ROW_NAMES
        raise DataError(
            shown(path),
            f"{what} is {array.dtype} of shape {array.shape}; a FIR is real numbers: one row or "
            "column, or 2 or 4 rows (channels, taps)"
            + ("; its transpose is such a one" if turned else ""),
        )
    return (array.reshape(-1) if one else array).astype(np.float64)


# .wav


WAV_SUBTYPES = ("DOUBLE", "FLOAT", "PCM_32", "PCM_24", "PCM_16")
"""Sample formats of a FIR's ``.wav``."""

_MOST_CHANNELS = 64


def write_wav(fir: Fir, *, channels: int | None = None, subtype: str = "DOUBLE") -> bytes:
    """RIFF with the one row of taps in every channel, or a row in each; the header is the INFO
    comment.

    Parameters
    ----------
    fir : Fir
    channels : int, optional
        1 to 64 of one row of taps, default 1; of several as many as there are.
    subtype : str
        One of `WAV_SUBTYPES`; of PCM, full scale is 1.

    Raises
    ------
    UsageError
        A rate that the format cannot state, another subtype or number of channels, or taps that
        PCM cannot hold.
    """
    fs = round(fir.fs or 0)
    if fs != fir.fs or fs >= 1 << 31:
        raise UsageError(
            f"a .wav cannot state a sampling rate of {fir.fs} Hz; write .json, .mat or .csv"
        )
    sample = _sample_format(subtype)
    channels = fir.rows if channels is None else channels
    if fir.rows > 1 and channels != fir.rows:
        raise UsageError(
            f"--channels {channels}; this FIR has {fir.rows} rows of taps, one for each channel"
        )
    if not 1 <= channels <= _MOST_CHANNELS:
        raise UsageError(f"--channels {channels}; 1 to {_MOST_CHANNELS} are possible")
    from earfilt.audio.containers import pcm, wav
    from earfilt.audio.containers.chunks import RIFF, Chunk
    from earfilt.audio.formats import Target

    samples = _samples(fir.taps, channels, sample)
    peak = _peak(samples.T[: fir.rows].astype(np.float64))
    comment = RIFF.pack(b"ICMT", _header_line(fir, peak=peak).encode() + b"\0")
    target = Target("WAV", subtype, fs, channels)
    data = pcm.encode(samples, subtype).tobytes()
    head = wav.header(target, len(data), [Chunk(b"LIST", b"INFO" + comment)], 0, room=False)
    return head + data


def as_stored(taps: Floats, subtype: str) -> Floats:
    """Taps as a ``.wav`` of a sample format holds them.

    Raises
    ------
    UsageError
        As `write_wav`.
    """
    sample = _sample_format(subtype)
    frames = _samples(taps, len(np.atleast_2d(taps)), sample)
    if not sample.bits:
        return frames.T.reshape(taps.shape).astype(np.float64)
    return np.ldexp(frames.T.reshape(taps.shape).astype(np.float64), 1 - 8 * frames.itemsize)


def _sample_format(subtype: str) -> "Subtype":
    from earfilt.audio.formats import subtype_named

    if subtype not in WAV_SUBTYPES:
        raise UsageError(f"--subtype {printable(subtype)}; a FIR is {', '.join(WAV_SUBTYPES)}")
    return subtype_named(subtype)


def _samples(taps: Floats, channels: int, sample: "Subtype") -> NDArray[Any]:
    """Taps as frames of a sample format; integers use its upper bits."""
    rows = np.broadcast_to(np.atleast_2d(taps), (channels, taps.shape[-1]))
    frames = np.ascontiguousarray(rows.T)
    if not sample.bits:
        return frames.astype(sample.dtype)
    codes = np.rint(np.ldexp(frames, sample.bits - 1))
    if np.abs(frames).max() >= 1.0 or codes.max() >= 2 ** (sample.bits - 1):
        raise UsageError(
            f"the taps reach {np.abs(taps).max():.4g}, and {sample.name} holds what is below 1; "
            "write --subtype FLOAT"
        )
    dtype = np.dtype(sample.dtype)
    return codes.astype(dtype) << (8 * dtype.itemsize - sample.bits)


# Steps of integer samples and of the companded ones, whose largest are coarse; full scale is 1.
_PCM_STEPS = {
    **{
        "PCM_S8": 2.0**-7,
        "PCM_U8": 2.0**-7,
        "PCM_16": 2.0**-15,
        "PCM_24": 2.0**-23,
        "PCM_32": 2.0**-31,
    },
    **{"FLOAT": 2.0**-24, "ULAW": 2.0**-6, "ALAW": 2.0**-6},
}


def _read_wav(path: PathLike) -> Content:
    """Any WAV of one channel, or of equal ones, which are one row; of two or four that differ, a row
    each. Integers become fractions of full scale.
    """
    data = read_bytes(path)
    taps, info = _sound(data, path)
    fs, channels = info.fs, info.channels
    told = _header_of(_info_comments(data), path)
    equal = not (taps != taps[:, :1]).any()
    alike = equal and not 1 < channels == told.get("rows", 1)
    if not alike and channels not in (2, 4):
        raise DataError.about(
            shown(path),
            "{subject} has {channels} channels that differ; a FIR has one, two (left, right) or four "
            "(left to left, left to right, right to left, right to right)",
            channels=channels,
        )
    rows, step = taps[:, 0] if alike else taps.T, _PCM_STEPS.get(info.subtype, 0.0)
    cautions = tuple(f"{shown(path)}: {words}" for words in info.warnings)
    if not told or not (why := _misfit(told, rows, step, fs)):
        return Content(rows, {**told, "fs": fs}, step, cautions)
    changed = f"{why}: another program has changed the taps since it was written"
    if told.get("latency") != 0 and not assumed_lookahead(rows, step):
        return Content(rows, {"fs": fs}, step, cautions, changed)
    caution = (
        f"{shown(path)}: {changed}. It is left aside; --latency N says which tap is time zero, if it "
        "is another"
    )
    return Content(rows, {"fs": fs}, step, (*cautions, caution))


def _sound(data: bytes, path: PathLike) -> "tuple[Floats, AudioInfo]":
    """Samples (frames, channels) of the content of a file, in fractions of full scale, with all that
    a recording is checked for, and what is known of it.

    Raises
    ------
    DataError
        It is no sound, damaged, cut short, or holds more than its header states.
    """
    from earfilt.audio.reader import open_content
    from earfilt.engine.samples import SampleFormat

    try:
        with wording.without_remedies(), open_content(data, shown(path)) as reader:
            form = SampleFormat(reader.info.dtype, reader.info.bits)  # type: ignore[arg-type]
            blocks, left = [], MAX_TAPS + 1
            while left and len(block := reader.read(left)):
                blocks.append(block / np.float64(form.full_scale))
                left -= len(block)
            info = reader.info
    except AudioError as error:
        raise DataError(shown(path), str(error).removeprefix(f"{shown(path)} ")) from error
    if info.unread:
        raise DataError(shown(path), f"is not read as a filter: {info.warnings[-1]}")
    return np.concatenate(blocks), info


def _misfit(told: Mapping[str, Any], taps: Floats, step: float, fs: int) -> str:
    """In what the comment of a file, which other programs carry along, contradicts its samples; the
    empty word where it is true of them. What was cut off or added behind the taps, and their gain,
    have no part in it.
    """
    rows, latency = np.atleast_2d(taps), told.get("latency")
    if told.get("fs", fs) != fs:
        return f"the comment is of a rate of {_excerpt(told['fs'])} Hz, and the file of {fs} Hz"
    if told.get("rows", 1) != len(rows):
        return f"the comment is of {_excerpt(told.get('rows', 1))} rows of taps, not {len(rows)}"
    if "peak" in told:
        peak = _peak(rows)
        moved = told["peak"] != peak
        return f"by the comment the largest tap is {_excerpt(told['peak'])}, not {peak}" * moved
    if type(latency) is int and latency >= rows.shape[1]:
        return f"the comment centres {rows.shape[1]} taps on {latency}"
    # of earlier versions, which did not say it
    centre = assumed_lookahead(taps, step) if type(latency) is int and latency > 0 else 0
    if centre not in (0, latency):
        return f"the comment centres the taps on {latency}, and they are symmetric about {centre}"
    return ""


def _peak(rows: Floats) -> int:
    """Index of the largest tap of rows (R, numtaps), in whichever row it is; the first of equals."""
    return int(np.abs(rows).max(axis=0).argmax()) if rows.size else 0


def _excerpt(value: object) -> str:
    return printable(repr(value)[:40])


def _info_comments(data: bytes) -> list[str]:
    """INFO comments (ICMT) of a RIFF file's bytes."""
    from earfilt.audio.containers.chunks import pieces

    lists = [part.data for part in pieces(data[12:]) if part.id == b"LIST"]
    infos = [data[4:] for data in lists if data[:4] == b"INFO"]
    texts = [part.data for info in infos for part in pieces(info) if part.id == b"ICMT"]
    return [text.rstrip(b"\0").decode("utf-8", "replace") for text in texts]


# .mat


def _write_mat(fir: Fir) -> bytes:
    rate = {} if fir.fs is None else {"fs": fir.fs}
    meta = json.dumps(fir.provenance.to_json())
    return write_mat(
        {
            "taps": _array(fir),
            **rate,
            "latency": float(fir.lookahead),
            "odd_ends": fir.odd_ends,
            "numtaps": float(_array(fir).shape[-1]),
            "meta": meta,
        }
    )


def _read_mat(path: PathLike) -> Content:
    """Variables ``taps`` (or the only one that is no number and no text), ``latency``, ``odd_ends``,
    ``meta`` (JSON), and a rate.
    """
    data = read_bytes(path)
    try:
        found = read_mat(data, limit=MAX_BYTES)
    except ValueError as error:
        raise DataError.about(shown(path), "cannot read {subject}: {error}", error=error) from error
    large = [name for name, value in found.items() if _may_be_taps(value)]
    chosen = large[0] if len(large) == 1 and "taps" not in found else "taps"
    array = found.get(chosen)
    if not isinstance(array, np.ndarray):
        raise DataError.about(
            shown(path),
            "{subject} is not plainly a FIR: it holds {variables}; save real numbers as 'taps', and the "
            "rate in Hz as 'fs'",
            variables=_listed(found),
        )
    what = f"'{printable(chosen)}'"
    return Content(
        _taps(array, path, what, named=chosen == "taps"),
        _mat_header(found, path),
        _array_step(array),
    )


def _may_be_taps(value: Value) -> bool:
    return isinstance(value, Unread) or (isinstance(value, np.ndarray) and value.size > 1)


def _listed(found: Mapping[str, Value]) -> str:
    """The first variables of a file, and what they are."""
    said = [f"'{printable(name[:_LONGEST_NAME])}' ({_kind(found[name])})" for name in found]
    more = f" and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
    return (", ".join(said[:_MOST_NAMED]) or "nothing") + more


_MOST_NAMED, _LONGEST_NAME = 4, 32


def _kind(value: Value) -> str:
    if isinstance(value, Unread):
        return value.kind
    return "text" if isinstance(value, str) else "×".join(map(str, value.shape))


def _mat_header(found: Mapping[str, Value], path: PathLike) -> dict[str, Any]:
    rate = stated_fs({name: _plain(value) for name, value in found.items()}, shown(path))
    header: dict[str, Any] = {} if rate is None else {"fs": rate}
    for name in ("latency", "numtaps", "odd_ends"):
        if name in found:
            header[name] = _plain(found[name])
    # MATLAB's whole numbers are doubles, and its truth values small integers.
    for name in ("latency", "numtaps"):
        if isinstance(header.get(name), float) and header[name].is_integer():
            header[name] = int(header[name])
    if type(header.get("odd_ends")) is int:
        header["odd_ends"] = bool(header["odd_ends"])
    if isinstance(meta := found.get("meta"), str):
        header["meta"] = _parse_json(meta, path)
    return header


def _plain(value: Value) -> Any:
    """A single number as Python's own; of all else what it is, in words."""
    if isinstance(value, np.ndarray) and value.size == 1:
        return value.item()
    return value if isinstance(value, str) else _kind(value)


READERS: dict[str, Callable[[PathLike], Content]] = {
    ".json": _read_json, ".mat": _read_mat, ".wav": _read_wav, ".csv": _read_csv, ".txt": _read_txt, ".npy": _read_npy,
}  # fmt: skip
WRITERS: dict[str, Callable[[Fir], bytes]] = {
    ".json": _write_json, ".mat": _write_mat, ".wav": write_wav, ".csv": _write_csv, ".txt": _write_txt, ".npy": _write_npy,
}  # fmt: skip

_MAGIC = {b"\x93NUMPY": ".npy", b"{": ".json"} | dict.fromkeys(
    (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd", b"dns."),
    ".wav",
)
_FIRST_NUMBER = re.compile(r"(?:\s*#[^\n]*\n)*\s*[-+.0-9]")
KNOWN = "FIR files end in " + ", ".join(READERS)
"""Said of a file that is not one."""


def form_of(path: PathLike) -> str:
    """The extension whose reader the content of a file calls for: ``.txt`` for any text that is
    nothing else; the file's own where its content does not say.

    Raises
    ------
    UsageError
        It cannot be read.
    DataError
        Neither content nor extension say anything.
    """
    suffix = Path(path).suffix.lower()
    data = read_bytes(path)
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    found = [form for magic, form in _MAGIC.items() if start.startswith(magic)]
    if found or data[124:128] in (b"\0\1IM", b"\1\0MI"):
        return found[0] if found else ".mat"
    text = _text(path)
    if text is not None and column_names(text) in CSV_HEADERS.values():
        return ".csv"
    if suffix in READERS:
        return suffix
    if text is None:
        raise DataError(shown(path), f"holds nothing that a filter can be read from; {KNOWN}")
    return ".txt"


def holds_curve(path: PathLike) -> bool:
    """Whether a file holds a curve or an equaliser, and no FIR; a ``.csv`` that has the columns of
    neither passes for a curve.

    Raises
    ------
    UsageError
        It cannot be read.
    DataError
        It may be either, or is neither.
    """
    form, text = form_of(path), _text(path)
    if text is None or form == ".json" or column_names(text) in CSV_HEADERS.values():
        return False
    if _header_of(_comments(text.splitlines()), path):
        return False
    suffix = Path(path).suffix.lower()
    if is_curve(text, shown(path)) or suffix == ".csv":
        return True
    if form == suffix or _FIRST_NUMBER.match(text):
        return False
    _refuse_preset(text, path)
    raise DataError(
        shown(path), f"is neither a curve nor a FIR: {FORMS}; an impulse response is a .wav"
    )


def _text(path: PathLike) -> str | None:
    """The text of a file; None where it is not text."""
    try:
        return read_foreign_text(path)
    except DataError:
        return None
