"""The structure: imports point down only, and nothing heavy is loaded before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import earfilt

PACKAGE = Path(earfilt.__file__).parent
# From the bottom up; a module may import from its own group or from lower ones.
LAYERS = [
    ["errors", "units", "fir", "catalogue", "plainfile", "arrays", "curve", "row", "stopsignals", "manifest"],
    ["interp", "design", "cospoly", "equiripple", "degree", "segments", "fftconv", "kernel", "roundoff", "overlapsave", "device", "pcm"],
    ["baretable", "curvefile", "matfile", "firformats"],
    ["ear", "ears", "curveear", "firfile", "tolerance", "filterspec", "audio", "job", "wholefile", "recipe", "inplace"],
    ["earfilter", "filters", "pipeline"],
    ["spec"],
    ["facts"],
    ["response", "process"],
    ["report", "reportfile", "plot", "termplot"],
    ["batch"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports_of(path: Path) -> set[str]:
    """Top-level parts of earfilt that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "earfilt" else [f"earfilt.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("earfilt.")}
    return found


def test_every_module_has_a_layer_and_imports_point_down() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        assert part in LEVEL, f"{path.name} has no place in LAYERS"
        for other in imports_of(path) & LEVEL.keys():
            if LEVEL[other] > LEVEL[part]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert not wrong


def test_no_circles() -> None:
    graph: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        graph.setdefault(part, set()).update(imports_of(path) - {part})
    for part, needs in graph.items():
        graph[part] = needs & graph.keys()
    done: set[str] = set()
    while len(done) < len(graph):
        free = {part for part, needs in graph.items() if part not in done and needs <= done}
        assert free, f"a circle among {sorted(graph.keys() - done)}"
        done |= free


@pytest.mark.parametrize("arguments", [["--help"], ["apply", "--help"], ["response", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['earfilt', *{arguments!r}]\n"
        "from earfilt.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'numpy', 'matplotlib', 'soundfile', 'distributed'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def loaded(code: str) -> set[str]:
    """The top-level modules loaded after `code`, in a process of its own."""
    code += "\nimport sys; print(*sys.modules, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {name.partition(".")[0] for name in run.stderr.splitlines()[-1].split()}


def test_designing_a_filter_loads_numpy_alone() -> None:
    every = "for ear in ears(): realise(FilterSpec(ear.full_name), 48000), published(FilterSpec(ear.full_name), 48000)"
    modules = loaded(f"from earfilt.catalogue import ears; from earfilt.spec import FilterSpec, published, realise\n{every}")
    assert "numpy" in modules
    assert not {"torch", "scipy", "soundfile"} & modules


@pytest.mark.parametrize(
    "arguments",
    [
        ["filters"],
        ["filters", "middle-ear"],
        ["response", "-f", "headphone", "-f", "outer-middle-ear", "--fs", "16000", "--points", "3"],
        ["response", "-f", "middle-ear", "--tolerance", "1", "--fs", "16000", "--points", "3"],
        ["design", "-f", "headphone+middle-ear", "--fs", "48000", "-o", "fir.json"],
    ],
)
def test_commands_without_audio_do_without_torch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        f"import os, sys; os.chdir({str(tmp_path)!r}); sys.argv = ['earfilt', *{arguments!r}]\n"
        "from earfilt.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code"
    )
    assert not {"torch", "scipy"} & loaded(code)


def test_modules_by_attribute_and_by_name() -> None:
    from earfilt import HeadphoneFilter

    assert earfilt.HeadphoneFilter is HeadphoneFilter
    assert "MiddleEarFilter" in dir(earfilt)
    with pytest.raises(AttributeError):
        _ = earfilt.NoSuchFilter  # type: ignore[attr-defined]
