"""``make figures``: the pictures of gallery.md, made by the commands that stand in it.

Run as ``python -m docs.gallery [DIRECTORY]`` from the top of the project.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a page, in one language, from top to bottom."""
    text = page.read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def draw(directory: Path) -> None:
    """Run the page's commands and keep its pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with tempfile.TemporaryDirectory() as folder:
        for block in blocks(HERE / "gallery.md", "bash"):
            command = ["bash", "-euo", "pipefail", "-c", block]
            subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, check=True)
        for picture in sorted(Path(folder).glob("*.png")):
            shutil.copy(picture, directory / picture.name)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "figures")
