"""``make figures``: the pictures of the README, made by the commands that it shows.

Run as ``python -m tests.figures [DIRECTORY]`` from the top of the project.
"""

import sys
from pathlib import Path

from earfilt.cli import run

FIGURES = {
    "ears.png": ["-f", "headphone", "-f", "middle-ear", "-f", "outer-middle-ear"],
    "chain.png": [
        "-f",
        "headphone",
        "-f",
        "middle-ear",
        "-f",
        "headphone+middle-ear",
        "--panel",
        "magnitude",
        "--panel",
        "delay",
    ],
}
"""File name -> what follows ``earfilt response``."""


def main(directory: Path) -> int:
    """Write every figure; the first exit code that is not 0."""
    directory.mkdir(parents=True, exist_ok=True)
    codes = [
        run(["response", *arguments, "-o", str(directory / name), "--force"])
        for name, arguments in FIGURES.items()
    ]
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/figures")))
