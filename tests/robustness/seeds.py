"""Genuine files to damage: every container that is read, curves, every format of a FIR, saved ears.
All small, all the same at every run.
"""

import io
import struct
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import soundfile

from earfilt.ears import catalogue
from earfilt.ears.kinds.own import Own
from earfilt.ears.levels import Values
from earfilt.files import sos
from earfilt.files.firs import fir_bytes
from earfilt.files.saved_ears import SavedEar, SavedMember, saved_bytes
from earfilt.synthesis.biquads.sections import Sections
from earfilt.synthesis.fir import Fir
from earfilt.synthesis.provenance import Provenance
from tests.audio.foreign import chunk

FS = 8000
FRAMES = 700
SOUNDFILE = {
    "WAVEX": [("WAVEX", "PCM_24"), ("WAVEX", "FLOAT")],
    "RF64": [("RF64", "PCM_16"), ("RF64", "DOUBLE")],
    "AIFF": [("AIFF", "PCM_16"), ("AIFF", "PCM_24"), ("AIFF", "FLOAT")],
    "FLAC": [("FLAC", "PCM_16"), ("FLAC", "PCM_24")],
    "W64": [("W64", "PCM_16")],
    "CAF": [("CAF", "PCM_16"), ("CAF", "ALAC_16")],
    "AU": [("AU", "PCM_16"), ("AU", "FLOAT")],
    "OGG": [("OGG", "VORBIS"), ("OGG", "OPUS")],
    "MP3": [("MP3", "MPEG_LAYER_III")],
    "WAV": [("WAV", "PCM_U8"), ("WAV", "PCM_32"), ("WAV", "ULAW"), ("WAV", "MS_ADPCM")],
}
AUDIO = ("WAV", "WAVEX", "RF64", "AIFF", "FLAC", "W64", "CAF", "AU", "OGG", "MP3")
CURVES = ("curve.csv", "curve.txt", "equaliser.txt", "equaliser.yml")
DIALECTS = Path(__file__).parents[1] / "files" / "dialects"
FIRS = ("fir.json", "fir.mat", "fir.wav", "fir.csv", "fir.txt", "fir.npy")
EARS = ("ear.json",)
SECTIONS = ("sos.json", "sos.csv")
SOFA = ("ears.sofa",)
KINDS = (*AUDIO, *CURVES, *FIRS, *EARS, *SECTIONS, *SOFA)


@dataclass(frozen=True)
class Seed:
    """A genuine file: its kind, its extension, its bytes."""

    kind: str
    suffix: str
    data: bytes

    @property
    def is_text(self) -> bool:
        """Whether damage may know words and lines."""
        return self.suffix in (".csv", ".json", ".txt", ".yml")


def _sofa() -> bytes:
    """Both ears from six directions, compressed, as small as HDF5 is."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=False) as file:
        file.attrs["Conventions"], file.attrs["SOFAConventions"] = "SOFA", "SimpleFreeFieldHRIR"
        taps = np.random.default_rng(7).standard_normal((6, 2, 16))
        file.create_dataset("Data.IR", data=taps, compression="gzip")
        file["Data.SamplingRate"], file["Data.Delay"] = [float(FS)], np.ones((1, 2))
        for name, places in (
            ("SourcePosition", np.vstack([np.eye(3), -np.eye(3)])),
            ("ReceiverPosition", np.array([[0, 0.09, 0], [0, -0.09, 0]])),
            ("ListenerView", np.array([[1.0, 0, 0]])),
        ):
            file[name] = places
            file[name].attrs["Type"], file[name].attrs["Units"] = "cartesian", "metre"
    return buffer.getvalue()


@cache
def seeds(kind: str) -> tuple[Seed, ...]:
    """The genuine files of a kind."""
    if kind in CURVES:
        suffix = f".{kind.partition('.')[2]}"
        own = [text.encode() for text in _curves()] if kind == "curve.csv" else []
        return tuple(Seed(kind, suffix, data) for data in [*own, *_dialects(kind)])
    if kind in EARS:
        return (Seed(kind, ".json", _saved_ear()),)
    if kind in SOFA:
        return (Seed(kind, ".sofa", _sofa()),)
    if kind in SECTIONS:
        return (Seed(kind, f".{kind.partition('.')[2]}", _sections(kind)),)
    if kind in FIRS:
        suffix = kind.removeprefix("fir")
        return tuple(
            Seed(kind, suffix, data) for data in [*_own_firs(suffix), *_foreign_firs(suffix)]
        )
    suffix = f".{kind.lower()}" if kind not in ("WAVEX", "RF64") else ".wav"
    made = [_encoded(*which) for which in SOUNDFILE[kind]]
    if kind == "WAV":
        made += [_chunky("<i2"), _chunky("<f4")]
    return tuple(Seed(kind, suffix, data) for data in made)


def noise(channels: int = 2) -> np.ndarray:
    """Noise of −20 dBFS, (FRAMES, channels)."""
    return np.random.default_rng(7).normal(0.0, 0.1, (FRAMES, channels))


def _encoded(container: str, subtype: str) -> bytes:
    file = io.BytesIO()
    fs = 48_000 if subtype == "OPUS" else FS
    soundfile.write(file, noise(), fs, subtype, format=container)
    return file.getvalue()


def _chunky(dtype: str) -> bytes:
    """A WAV with chunks before and behind its samples, one of odd length, one nested."""
    integer = dtype == "<i2"
    samples = noise()
    body = (samples * 32768).astype(dtype).tobytes() if integer else samples.astype(dtype).tobytes()
    width = np.dtype(dtype).itemsize
    fmt = struct.pack("<HHIIHH", 1 if integer else 3, 2, FS, FS * 2 * width, 2 * width, 8 * width)
    info = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"A title\0") + chunk(b"IART", b"Somebody\0"))
    cue = chunk(b"cue ", struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 100, b"data", 0, 0, 100))
    labels = chunk(b"LIST", b"adtl" + chunk(b"labl", struct.pack("<I", 1) + b"mark\0"))
    parts = (
        chunk(b"fmt ", fmt)
        + chunk(b"bext", bytes(602) + b"A=PCM,F=8000\r\n")
        + info
        + chunk(b"data", body)
        + cue
        + labels
    )
    return chunk(b"RIFF", b"WAVE" + parts + chunk(b"smpl", bytes(37)))


def _curves() -> list[str]:
    rows = [(125 * 2**k, (-1) ** k * 3.5 * k) for k in range(6)]
    plain = "frequency_hz,gain_db\n" + "".join(f"{f},{g}\n" for f, g in rows)
    sheet = '\ufeff# a comment\r\nFrequency_Hz;note;"gain_dB"\r\n' + "".join(
        f'{f};"a;b";{g}\r\n' for f, g in rows
    )
    return [plain, sheet]


def _dialects(kind: str) -> list[bytes]:
    """The files of other programs, each under the extension of its kind."""
    found: list[bytes] = []
    for path in sorted(DIALECTS.iterdir()):
        data = path.read_bytes()
        if b"filters:" in data:
            own = "equaliser.yml"
        elif b"Filter" in data or b"GraphicEQ" in data:
            own = "equaliser.txt"
        else:
            own = "curve.csv" if path.suffix == ".csv" else "curve.txt"
        found += [data] if own == kind else []
    return found


def _saved_ear() -> bytes:
    """A curve whose points were moved, with an ear of the catalogue behind it."""
    headphone = SavedMember.of(catalogue.ear("headphone"), {"phase": "minimum"}, float(FS))
    mine = Own.of("a.csv", Values((125.0, 500.0, 2000.0), (0.0, 3.0, -2.0)))
    options = {"phase": "zero", "interpolation": "log", "beyond": "hold"}
    curve = SavedMember.of(mine, options, float(FS))
    moved = replace(curve, numbers=curve.numbers + 1.0)
    start = Fir(np.hanning(9), float(FS), 4, True)
    return saved_bytes(SavedEar("headphone+a.csv", {"order": 8}, start, (headphone, moved), ()))


def _sections(kind: str) -> bytes:
    """Two stable biquads."""
    rows = np.array([[1.0, -0.5, 0.25, 1.0, -0.9, 0.5], [0.5, 0.0, 0.1, 1.0, 0.3, -0.2]])
    write = sos.to_json if kind == "sos.json" else sos.to_csv
    return write(Sections(rows, float(FS))).encode()


def _own_firs(suffix: str) -> list[bytes]:
    """Of one row, of a pair and of a matrix."""
    found = []
    for rows in (1,) if suffix == ".txt" else (1, 2, 4):
        taps = np.random.default_rng(3).normal(size=(rows, 9))
        told = Provenance(filter="x", order=8)
        fir = Fir(taps[0] if rows == 1 else taps, float(FS), 4, suffix not in (".npy",), told)
        found.append(fir_bytes(fir, f"a{suffix}"))
    return found


def _foreign_firs(suffix: str) -> list[bytes]:
    taps = np.hanning(9)
    file = io.BytesIO()
    if suffix == ".mat":
        scipy.io.savemat(
            file,
            {"h": taps, "fs": 8000.0, "cell": np.array([1, "a"], object), "s": {"a": 1}},
            do_compression=True,
        )
    elif suffix == ".npy":
        np.save(file, taps.astype(np.float32))
    elif suffix == ".wav":
        soundfile.write(file, taps / 2, FS, "PCM_24", format="WAV")
    elif suffix == ".txt":
        file.write(("# taps\n" + "\n".join(map(str, taps))).encode())
    elif suffix == ".csv":
        file.write(
            (
                "sample,coefficient\n" + "".join(f"{k},{tap}\n" for k, tap in enumerate(taps))
            ).encode()
        )
    else:
        file.write(str({"taps": taps.tolist()}).replace("'", '"').encode())
    return [file.getvalue()]
