"""The gallery of ears: ``python -m benchmarks.gallery [DIRECTORY]``, part of ``make figures``.

Each picture is made by ``earfilt response`` alone, and the command is printed, so that a reader can
make it, too.
"""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from earfilt.chains.ways import INVERSE_PREFIX
from earfilt.cli import run
from earfilt.ears import catalogue
from earfilt.report.catalogue import short_sources


class Picture(NamedTuple):
    """Filters side by side, and how they are drawn."""

    filters: str
    options: str


PICTURES = {
    "fields": Picture(
        "iso532-free iso532-diffuse iso11904-free iso11904-diffuse p58-hats-free headphone",
        "--panel magnitude --panel difference",
    ),
    "middle-ears": Picture(
        "iso532-middle moore1997-middle glasberg2002-middle middle-ear dietz2011-middle "
        "verhulst2018-middle zilany2014-human-middle",
        "--relative-to 1000 --panel magnitude --panel difference --ymin -50",
    ),
    "whole-ears": Picture(
        "iso532-free+iso532-middle ecma418-free peaq breebaart2001 map1-14-ome dlm-a0",
        "--relative-to 1000 --panel magnitude --panel difference --ymin -50",
    ),
    "levels": Picture(
        "a-weighting c-weighting k-weighting equal-loudness:60 loudness-change:83:65 terhardt1979",
        "--relative-to 1000 --ymin -60 --ymax 20",
    ),
    "inverses": Picture(
        "inverse:iso532-free inverse:iso532-diffuse iso532-free+inverse:iso532-diffuse "
        "inverse:iso532-middle inverse:middle-ear",
        "--max-gain 20 --panel magnitude --panel phase --degrees",
    ),
}
"""Names of pictures, and what ``earfilt response`` is given."""


def main(directory: Path) -> int:
    """Draw every picture; the first exit code that is not 0."""
    directory.mkdir(parents=True, exist_ok=True)
    codes = []
    for name, picture in PICTURES.items():
        words = list(command(picture, directory / f"{name}.png"))
        print("earfilt", shlex.join(words))
        codes.append(run([*words, "--quiet", "--force"]))
    return next(filter(None, codes), 0)


def command(picture: Picture, path: Path) -> Iterator[str]:
    """What makes a picture, after ``earfilt``; its curves are labelled with their sources."""
    yield "response"
    for name in picture.filters.split():
        yield from ("-f", name, "--label", f"{name} ({_sources(name)})")
    yield from picture.options.split()
    yield from ("--width", "120", "-o", str(path))


def _sources(name: str) -> str:
    """Author and year of what a chain is made of."""
    members = (piece.removeprefix(INVERSE_PREFIX) for piece in name.split("+"))
    return "; ".join(dict.fromkeys(short_sources(catalogue.find(one)) for one in members))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/figures/gallery")))
