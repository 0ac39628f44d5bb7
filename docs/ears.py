"""A page for each ear of the catalogue, made from the catalogue: figure, facts, how well its filter
does, sources, downloads. Equal tables make equal bytes.

Run as ``python -m docs.ears FOLDER`` from the top of the project.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import earfilt
from earfilt.chains.members import resolve
from earfilt.ears import catalogue
from earfilt.ears.ear import Ear
from earfilt.ears.entry import GROUPS, Entry, Source
from earfilt.files.sos import to_json as sections_json
from earfilt.report.catalogue import short_sources
from tests.catalogue import RATES, entries, off_points, off_vectors

FS = 48_000
SECTIONS = 8
_PHASES = ("minimum", "zero")


def write(folder: Path) -> None:
    """Write all pages, their figures and files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [entry.full_name for entry in entries()]
    jobs = min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        list(pool.map(write_one, names, [folder] * len(names)))
    (folder / "index.md").write_text(index(), "utf-8")


def slug(name: str) -> str:
    """Name of a file: of an ear's page, figure and downloads.

    >>> slug("middle-ear:goode1994")
    'middle-ear-goode1994'
    """
    return name.replace(":", "-")


def write_one(name: str, folder: Path) -> None:
    """One page with everything that it shows."""
    ear = catalogue.of_entry(catalogue.find(name))
    stem = str(folder / slug(name))
    table = earfilt.response(name, fs=FS)
    table.plot(f"{stem}.svg", labels=["realised at 48 kHz"], width_mm=140.0)
    Path(f"{stem}-curve.csv").write_text(table.to_csv(), "utf-8")
    Path(f"{stem}-points.csv").write_text(_points_csv(ear), "utf-8")
    for suffix in (".wav", ".json"):
        table.fir.save(f"{stem}-fir{suffix}")
    sections = earfilt.design_sections(name, fs=FS, sections=SECTIONS)
    Path(f"{stem}.sos.json").write_text(sections_json(sections), "utf-8")
    Path(f"{stem}.bib").write_text(_bibtex(ear), "utf-8")
    Path(f"{stem}.md").write_text("".join(_page(ear, sections.deviation_db)), "utf-8")


def _page(ear: Ear, sections_db: float) -> Iterator[str]:
    entry, stem = ear.entry, slug(ear.name)
    low, high = ear.range_hz
    yield f"# {ear.name}\n\n{_sentence(entry.title)}\n\n"
    yield f"```{{figure}} {stem}.svg\n:alt: Magnitude of {ear.name} over frequency\n\n"
    yield (
        "The line is what the audio gets at 48 kHz; markers are {'published points' if "
        "ear.published else 'values of the formula or model'}; "
        "beyond the range of the source the line is faint.\n```\n\n"
    )
    facts = {
        "from": entry.start,
        "to": entry.end,
        "quantity": f"{entry.quantity}, in {entry.unit}",
        "0 dB means": {"absolute": "the source's own scale"}.get(entry.scale, entry.scale),
        "range": f"{low:g} to {high:g} Hz",
        "species": "" if entry.species == "human" else entry.species,
        "variants": ", ".join(_siblings(entry)),
    }
    yield f"| filter | `-f {ear.name}` |\n| --- | --- |\n"
    yield "".join(f"| {label} | {_cell(text)} |\n" for label, text in facts.items() if text)
    yield "\n```bash\n"
    yield f"earfilt apply speech.wav heard.wav -f {ear.name}\n```\n\n"
    if entry.caveats:
        yield "## Caveats\n\n" + "".join(f"* {_text(text)}\n" for text in entry.caveats)
    yield "\n## Agreement with the published curve\n\n" + _conformance(ear, sections_db)
    yield "\n## Sources\n\n" + "\n".join(map(_source, ear.sources))
    yield f"\n```bibtex\n{_bibtex(ear)}```\n"
    yield "\n## Downloads\n\n"
    for file, what in {
        f"{stem}-points.csv": "the points, as published",
        f"{stem}-curve.csv": "magnitude, phase and group delay of the filter at 48 kHz",
        f"{stem}-fir.wav": "the FIR for 48 kHz, for convolvers",
        f"{stem}-fir.json": "the same with rate, latency and provenance; `-f` reads it",
        f"{stem}.sos.json": f"{SECTIONS} biquads for 48 kHz; `-f` reads them",
        f"{stem}.bib": "the sources as BibTeX",
    }.items():
        yield f"* {{download}}`{file}`: {what}\n"


def _conformance(ear: Ear, sections_db: float) -> str:
    """Deviations of the default at each rate, and of the sections."""
    rows = [
        f"| {fs / 1000:g} kHz | {_deviation(ear, fs, 'minimum')} | {_deviation(ear, fs, 'zero')} |"
        for fs in RATES
    ]
    vectors = off_vectors(ear)
    lines = [
        "Largest deviation from the published curve, at its points and between them, measured on "
        "the taps:\n",
        "| rate | minimum phase | zero phase |",
        "| --- | ---: | ---: |",
        *rows,
        "",
        f"{SECTIONS} biquads at 48 kHz stay within {sections_db:.2f} dB.",
    ]
    if vectors is not None:
        lines.append(
            "Against test vectors of the source or of an independent program: "
            f"{max(vectors, 0.0001):.4f} dB at most."
        )
    return "\n".join(lines) + "\n"


def _deviation(ear: Ear, fs: int, phase: str) -> str:
    if off_points(ear.name, fs)[0] == "none":
        return "no filter"
    fir = resolve(ear.name, phase=phase).at(fs)
    found = (fir.provenance.deviation_db, fir.provenance.deviation_between_db)
    return f"{max(db for db in found if db is not None):.3f} dB, {len(fir.taps)} taps"


def _source(source: Source) -> str:
    said = [f"**{_text(source.citation)}**"]
    for label in ("where", "checked", "provenance", "licence"):
        if text := getattr(source, label):
            said.append(f"{_LABELS[label]}: {_text(text)}")
    if source.doi:
        said.append(f"DOI: [{source.doi}](https://doi.org/{source.doi})")
    return "\n\n".join(said) + "\n"


_LABELS = {
    "where": "Location in the source",
    "checked": "Agreement of transcriptions",
    "provenance": "Origin of these numbers",
    "licence": "Licence",
}


def index() -> str:
    """The list of all pages, by group."""
    text = [
        "# The ears\n\nEvery published ear, weighting and level of the catalogue, each with its "
        "figure, its sources, how closely its filter follows them, and files to take away. "
        "`earfilt filters` prints the same list.\n"
    ]
    every = [catalogue.of_entry(entry).entry for entry in entries()]
    for group in GROUPS:
        members = [entry for entry in every if entry.group == group]
        if not members:
            continue
        text.append(
            f"\n## {group.capitalize()}\n\n| name | what it is | source |\n| --- | --- | --- |\n"
        )
        text += [
            f"| [{one.full_name}]({slug(one.full_name)}.md) | {_cell(one.summary)} | "
            f"{_cell(short_sources(one))} |\n"
            for one in members
        ]
    pages = "\n".join(slug(entry.full_name) for entry in every)
    text.append(f"\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n")
    return "".join(text)


def _points_csv(ear: Ear) -> str:
    """The table as the source states it; of a formula or model, its values."""
    if ear.tables:
        columns = dict(ear.tables[0].columns)
    else:
        columns = {"frequency_hz": ear.points.freqs, "gain_db": ear.points.gain_db}
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(f"{value:.10g}" for value in row) for row in rows)]
    return "\n".join(lines) + "\n"


def _bibtex(ear: Ear) -> str:
    texts = [source.bibtex.strip() for source in ear.sources]
    return "\n\n".join(dict.fromkeys(filter(None, texts))) + "\n"


def _siblings(entry: Entry) -> list[str]:
    """Links to the other variants of a name."""
    return [
        f"[{other.full_name}]({slug(other.full_name)}.md)"
        for other in entries()
        if other.name == entry.name and other.full_name != entry.full_name
    ]


def _sentence(text: str) -> str:
    return _text(text).rstrip(".") + "."


def _text(text: str) -> str:
    """Text of the catalogue, without the signs of Markdown."""
    return "".join(f"\\{sign}" if sign in r"\`*_[]<>$" else sign for sign in text)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
