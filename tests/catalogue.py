"""``make catalogue``: the whole table of provenance, checked.

Every entry is printed with its source, where each of its numbers was read, and the hash of its
files; its test vectors are computed again, and the filters that `apply` would use are held against
the published points at four rates. Whatever is missing or off is named, and the exit code is 1.

``python -m tests.catalogue --index`` writes what is made from the data: ``index.json``, which makes
the list of filters quick, and ``SHA256SUMS``.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earfilt.chains.describe import short_citation
from earfilt.chains.members import resolve
from earfilt.ears import catalogue
from earfilt.ears.ear import Ear
from earfilt.ears.entry import Entry
from earfilt.ears.table import directory
from earfilt.errors import EarfiltError

REFERENCE = Path(__file__).parent / "reference"
VECTORS = json.loads((REFERENCE / "ear_models.json").read_text("utf-8"))["vectors"]
RATES = (16_000, 44_100, 48_000, 96_000)
EXAMPLES = ("equal-loudness:60", "equal-loudness:60:2003", "loudness-change:80:60")
ABSENT = {("meddis-hewitt1991-middle", 16_000)}
"""Where a program itself has no filter: its corner of 8.5 kHz lies above fs/2. ``none`` in the
table, and a fault where it appears after all, or anywhere else.
"""
SUMS = "SHA256SUMS"
LARGEST_DEVIATION_DB = 0.1
LARGEST_OF_VECTORS_DB = 0.01


class Mistake(NamedTuple):
    """A known mistake of other programs that touches an entry: a caveat that names it, or a test
    that it would fail.
    """

    what: str
    entry: str
    words: str = ""
    test: str = ""


MISTAKES = (
    Mistake("the AMT's 1997 is not the table of 1997", "amt-1997-middle", "Not the table of 1997"),
    Mistake("the same, seen from the other side", "moore1997-middle", "another one"),
    Mistake("four times the dB", "glasberg2002-middle", "four times its dB"),
    Mistake("linear interpolation", "iso532-free", test="test_the_fir_of_iso_532_3_is_a_spline"),
    Mistake("a second set of FIRs", "iso532-free", "4097 taps"),
    Mistake("rows at 18 and 20 kHz", "iso532-middle", "programs disagree"),
    Mistake("the sign of a0", "iso532-1-free", "attenuation", "test_signs"),
    Mistake("the other sign of a0", "fastl2007-a0", "opposite", "test_signs"),
    Mistake("the sign of P.58", "p58-erp-to-drp", "sign is inverted", "test_signs"),
    Mistake("two normalisations of the cat", "zilany2006-cat-middle", "1/43"),
    Mistake("zeros in rad/s", "tan-carney2003-middle", "multiplies the poles by 2 pi"),
    Mistake("first or second order", "dietz2011-middle", "first order"),
    Mistake("one or two resonances", "map1-14-ome", "16 dB apart"),
    Mistake("linear extrapolation of the earphone", "pdr10", "extrapolates it linearly"),
    Mistake("the wrong journal", "chen2011-middle", "another journal"),
    Mistake("9.9 for 19.9 dB", "glasberg1990-map", "misprint"),
    Mistake("two free fields", "iso11904-free", "disagrees with the free field of ISO 532-2"),
    Mistake("two editions of ISO 389-5", "retspl-hda200", "edition of 1998"),
    Mistake("a coarse contour called ISO 226", "equal-loudness:60", test="test_a_contour"),
    Mistake("2.000 for 1.9997 dB", "a-weighting", test="test_weightings_as_printed"),
    Mistake("PEAQ's exponent in Terhardt's formula", "terhardt1979", "15.5 dB apart"),
    Mistake("a low end that two sources give", "glasberg2002-middle", "-39.4 dB"),
    Mistake("a FIR that is no copy", "moore1997-middle", "DSAM"),
)


def entries() -> list[Entry]:
    """Every entry; of those with an argument, examples."""
    whole = [entry for entry in catalogue.entries() if not entry.is_pattern]
    return [*whole, *map(catalogue.find, EXAMPLES)]


def sums() -> str:
    """Hashes of the files of the catalogue, as ``sha256sum`` writes them."""
    files = sorted(path for path in directory().iterdir() if path.suffix in (".csv", ".toml"))
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files
    )


def unsourced(entry: Entry) -> list[str]:
    """What is missing for each number to have a source."""
    missing = [name for name in ("title", "unit", "quantity") if not getattr(entry, name)]
    for source in entry.sources:
        missing += [
            f"source.{name}"
            for name in ("citation", "bibtex", "where", "checked", "provenance", "licence")
            if not getattr(source, name)
        ]
    return missing if entry.sources else [*missing, "source"]


def off_vectors(ear: Ear) -> float | None:
    """Largest deviation from the test vectors, dB; None where there are none."""
    off = [
        float(np.abs(ear.magnitude(*_asked(case)) - _levels(case)).max())
        for case in VECTORS.values()
        if case["ear"] == ear.name
    ]
    return max(off, default=None)


def _asked(case: dict) -> tuple[np.ndarray, float | None]:
    return np.array([float(f) for f in case["response_db"]]), case["fs"]


def _levels(case: dict) -> np.ndarray:
    return np.array(list(case["response_db"].values())) + 20 * np.log10(case.get("re", 1.0))


def off_points(name: str, fs: int) -> tuple[str, bool]:
    """Largest deviation of the default filter from the published points, dB; and whether it is
    small enough, or absent where it has to be.
    """
    try:
        told = resolve(name).at(fs).provenance
    except EarfiltError:
        return "none", (name, fs) in ABSENT
    off = told.deviation_db
    assert off is not None
    return f"{off:.3f}", off <= LARGEST_DEVIATION_DB and (name, fs) not in ABSENT


def unnamed(mistake: Mistake) -> bool:
    """Whether nothing here names a known mistake."""
    caveats = " ".join(catalogue.find(mistake.entry).caveats)
    tests = (Path(__file__).parent / "ears" / "test_models.py").read_text("utf-8")
    has_test = bool(mistake.test) and f"def {mistake.test}" in tests
    has_words = bool(mistake.words) and mistake.words in caveats
    return not (has_test or has_words)


def faults() -> Iterator[str]:
    """Print the table; yield what is wrong."""
    yield from map(str, catalogue.problems())
    if (directory() / SUMS).read_text("utf-8") != sums():
        yield f"{SUMS}: a file has changed since it was written; look at it, then write it anew"
    print(
        "name", "from", "to", "source", "where", "checked", "tables", "vectors_db", *RATES, sep="\t"
    )
    for entry in entries():
        ear = catalogue.of_entry(entry)
        if missing := unsourced(ear.entry):
            yield f"{ear.name}: no {', '.join(missing)}"
        vectors = off_vectors(ear)
        if vectors is not None and vectors > LARGEST_OF_VECTORS_DB:
            yield f"{ear.name}: {vectors:.4f} dB from its test vectors"
        points = {fs: off_points(ear.name, fs) for fs in RATES}
        yield from (
            f"{ear.name}: {db} dB at {fs} Hz" for fs, (db, good) in points.items() if not good
        )
        source = ear.sources[0]
        print(
            ear.name,
            ear.start or "-",
            ear.end or "-",
            "; ".join(short_citation(one.citation) for one in ear.sources),
            source.where,
            source.checked or "-",
            ", ".join(f"{table.id} {table.sha256[:12]}" for table in ear.tables) or "-",
            "-" if vectors is None else f"{vectors:.5f}",
            *(db for db, _ in points.values()),
            sep="\t",
        )
    yield from (f"{one.entry}: nothing says: {one.what}" for one in MISTAKES if unnamed(one))


def main(arguments: list[str]) -> int:
    if arguments == ["--index"]:
        (directory() / "index.json").write_text(catalogue.shipped_index(), "utf-8")
        (directory() / SUMS).write_text(sums(), "utf-8")
        return 0
    found = list(faults())
    for fault in found:
        print(f"catalogue: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
