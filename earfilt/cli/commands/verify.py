"""``earfilt verify``: files against their manifests."""

from typing import Annotated

import typer

from earfilt.cli.options import Quiet
from earfilt.cli.streams import say
from earfilt.errors import UsageError, printable


def verify(
    directory: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR",
            help="Directory of outputs; the manifests in it and below are read.",
            show_default=False,
        ),
    ] = None,
    *,
    manifest: Annotated[
        str | None, typer.Option("--manifest", metavar="FILE", help="Read this manifest instead.")
    ] = None,
    quiet: Quiet = False,
) -> int:
    """Compare outputs, sources and filters with what the manifest says of their content; one line
    for each that differs, and for each directory that cannot be looked into, exit code 1.
    """
    if (directory is None) == (manifest is None):
        raise UsageError("give a DIR, or --manifest FILE")
    from earfilt.batch.verify import read_manifests

    found, count = read_manifests(directory, manifest), 0
    for difference in found.differences():
        count += 1
        print(difference.what, printable(difference.path), printable(difference.reason), sep="\t")
    if not quiet:
        failed = f", {found.failed:,} failed and have no output" if found.failed else ""
        begun = f", {found.begun:,} begun and not recorded as done" if found.begun else ""
        mixed = f", made by {len(found.recipes)} recipes" if len(found.recipes) > 1 else ""
        unknown = f"; sound files in no manifest: {found.unknown:,}" if found.unknown else ""
        say(f"outputs: {len(found.outputs):,}{mixed}{failed}{begun}; different: {count:,}{unknown}")
    return 1 if count else 0
