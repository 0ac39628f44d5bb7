"""A directory in which everything lies that Python, earfilt and what they use could mistake for
their own: none of it may be taken up.
"""

import sys
from pathlib import Path

IMPORTED = (
    "numpy",
    "scipy",
    "soundfile",
    "typer",
    "rich",
    "torch",
    "matplotlib",
    "plotext",
    "distributed",
    "dask",
    "tornado",
    "earfilt",
)
HIDDEN = (
    "sitecustomize",
    "usercustomize",
    "_distutils_hack",
    "_soundfile",
    "_cffi_backend",
    "_virtualenv",
)
STYLE = (
    "lines.linewidth: 9\nfont.size: 30\nsvg.fonttype: none\nsavefig.facecolor: "
    "red\npdf.compression: 0\ntext.usetex: True\n"
)
SETTINGS = {
    "matplotlibrc": STYLE, "pyvenv.cfg": "home = " "/nonexistent\n", "dask.yaml": "[", "distributed.yaml": "[", ".netrc": "machine",
    "setup.cfg": "[", "pyproject.toml": "[", ".env": "PYTHONPATH=.", "local": '{"address": ' '"tcp://stranger:1"}', "headphone": "1,2\n",
}  # fmt: skip


def lay_names(folder: Path, mark: Path) -> None:
    """Lay modules into a folder that leave a mark and end the program when they are imported, and
    settings that would spoil a result.
    """
    code = f"open({str(mark)!r}, 'w').close(); raise SystemExit(3)"
    for name in {*sys.stdlib_module_names, *IMPORTED}:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").write_text(code)
    for name in HIDDEN:
        (folder / f"{name}.py").write_text(code)
    for name, text in SETTINGS.items():
        (folder / name).write_text(text)
