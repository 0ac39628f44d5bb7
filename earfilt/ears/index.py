"""The entries that come with the package, already checked, so that listing them is quick.

The index holds the entries of each TOML under a checksum of its text and of its tables. Where the
checksum differs, or there is no index, the files are read: an index that is out of date costs time
and is never believed. (A checksum of 32 bits and the lengths reveal a change; whoever wants to
deceive could change the index as well.)
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from earfilt.ears.entry import Entry, Source

NAME = "index.json"


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a folder; empty where there is none that can be read."""
    try:
        found = json.loads((folder / NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def indexed(index: dict[str, Any], path: Path) -> tuple[Entry, ...] | None:
    """The entries of a TOML, if the index knows it as it is."""
    known = index.get(path.stem)
    if known is None or known["checksum"] != _checksum(path, known["tables"]):
        return None
    return tuple(_entry(path, facts) for facts in known["ears"])


def make_index(found: Iterable[tuple[Path, tuple[Entry, ...]]]) -> str:
    """The text of an index, of each TOML and its entries."""
    index = {}
    for path, entries in found:
        tables = sorted({table for entry in entries for table in entry.tables})
        ears = [_facts(entry) for entry in entries]
        index[path.stem] = {"checksum": _checksum(path, tables), "tables": tables, "ears": ears}
    return json.dumps(index, ensure_ascii=False, indent=1) + "\n"


def _checksum(path: Path, tables: Iterable[str]) -> str | None:
    """Checksum of a TOML, of its tables and of what is known of those; None: it cannot be read."""
    names = {path.name, path.stem + ".csv"}
    for table in tables:
        names |= {f"{table}.csv", f"{table}.toml"}
    checksum, lengths = 0, []
    for name in sorted(names):
        try:
            data = path.with_name(name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError:
            return None
        checksum = zlib.crc32(data, zlib.crc32(name.encode(), checksum))
        lengths.append(len(data))
    return f"{checksum:08x} {' '.join(map(str, lengths))}"


def _facts(entry: Entry) -> dict[str, Any]:
    facts = asdict(entry)
    del facts["folder"]
    return facts


def _entry(path: Path, facts: dict[str, Any]) -> Entry:
    lists = {name: tuple(facts[name]) for name in ("caveats", "tables")}
    range_hz = None if facts["range_hz"] is None else tuple(facts["range_hz"])
    sources = tuple(Source(**source) for source in facts["sources"])
    own = lists | {"range_hz": range_hz, "sources": sources, "folder": path.parent}
    return Entry(**(facts | own))
