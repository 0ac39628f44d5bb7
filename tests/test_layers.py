"""The structure: imports point down only, and nothing heavy is loaded before it is needed."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import earfilt

PACKAGE = Path(earfilt.__file__).parent
# From the bottom up; a module may import from its own group or from lower ones. The longest name
# that fits counts.
LAYERS = [
    ["cores", "errors", "wording", "arrays", "caches", "units", "version"],
    ["ears", "storage"],
    ["audio", "directions", "synthesis"],
    ["files", "engine", "measure"],
    ["chains", "nn"],
    ["render"],
    ["batch", "report"],
    ["api"],
    ["cli", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
PATHS = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def name_of(path: Path) -> str:
    """Dotted name of a module below earfilt."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def level_of(name: str) -> int:
    """The level of the longest name in LAYERS that a module lies in."""
    while name not in LEVEL:
        name = name.rpartition(".")[0]
        assert name, "it has no place in LAYERS"
    return LEVEL[name]


# Files in the longest chain of imports: those that load one another as they are imported, and all,
# with imports inside functions. What only annotations name loads nothing.
LONGEST_LOADED, LONGEST = 10, 17


def imports_of(path: Path, *without: type[ast.stmt]) -> set[str]:
    """Modules of earfilt that a file imports, dotted, below earfilt; without those that such
    statements hold.
    """
    found = set()
    for node in nodes(ast.parse(path.read_text("utf-8")), without):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] == "earfilt"
        ):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if is_module(name) else node.module for name in inside}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "earfilt"}
    return {name.removeprefix("earfilt.") for name in found} - {"earfilt"}


def nodes(tree: ast.AST, without: tuple[type[ast.stmt], ...]) -> Iterator[ast.AST]:
    """A syntax tree, branch by branch. An `ast.If` that is left out is one of TYPE_CHECKING."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not isinstance(node, without) or (isinstance(node, ast.If) and not checked):
            yield from nodes(node, without)


def is_module(name: str) -> bool:
    """Whether a dotted name is a file or folder of the package."""
    place = PACKAGE.joinpath(*name.split(".")[1:])
    return place.is_dir() or place.with_suffix(".py").is_file()


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    own = level_of(name_of(path))
    assert not [other for other in imports_of(path) if level_of(other) > own]


@pytest.mark.parametrize(
    ("without", "most"),
    [((ast.If, ast.FunctionDef), LONGEST_LOADED), ((ast.If,), LONGEST)],
    ids=["loaded", "all"],
)
def test_no_chain_of_imports_is_long(without: tuple[type[ast.stmt], ...], most: int) -> None:
    needs = {name_of(path): imports_of(path, *without) - {name_of(path)} for path in PATHS}

    @cache
    def longest(name: str) -> list[str]:
        return [name, *max(map(longest, needs[name] & needs.keys()), key=len, default=[])]

    chain = max(map(longest, needs), key=len)
    assert len(chain) == most, " > ".join(chain)


def test_no_folder_is_full() -> None:
    held = Counter(path.parent for path in PATHS if path.name != "__init__.py")
    assert max(held.values()) == 12, held.most_common(3)


def test_no_circles() -> None:
    names = {name_of(path) for path in PATHS}
    graph = {
        name_of(path): {other for other in imports_of(path) if other in names} - {name_of(path)}
        for path in PATHS
    }
    done: set[str] = set()
    while len(done) < len(graph):
        free = {part for part, needs in graph.items() if part not in done and needs <= done}
        assert free, f"a circle among {sorted(graph.keys() - done)}"
        done |= free


@pytest.mark.parametrize(
    "arguments", [["--help"], ["apply", "--help"], ["response", "--help"], ["--version"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['earfilt', *{arguments!r}]\n"
        "from earfilt.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'numpy', 'matplotlib', 'soundfile', 'distributed', 'pydantic'} & "
        "set(sys.modules)\n"
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


@pytest.mark.parametrize("argument", ["filters", "--version"])
def test_what_needs_no_parser_loads_none(argument: str) -> None:
    modules = loaded(f"from earfilt.cli import run; assert run([{argument!r}]) == 0")
    assert "earfilt" in modules
    assert not {"typer", "rich", "numpy"} & modules


def test_designing_a_filter_loads_numpy_alone() -> None:
    every = (
        "for ear in entries():\n"
        "    if not ear.is_pattern:\n"
        "        chosen = resolve(ear.full_name)\n"
        "        chosen.at(48000), chosen.curve_at(48000)"
    )
    modules = loaded(
        "from earfilt.ears.catalogue import entries; from earfilt.chains.members import "
        f"resolve\n{every}"
    )
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


def test_who_runs_a_batch_leaves_numpy_to_its_workers(tmp_path: Path) -> None:
    """Rows that come back hold numbers of Python, too: unpickling any other would load numpy."""
    speech = PACKAGE.parent / "data" / "audio" / "arctic_a0007.wav"
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).symlink_to(speech)
    words = ["apply", str(tmp_path), str(tmp_path.parent / "out"), "-f", "headphone", "-q"]
    code = f"from earfilt.cli import run; assert run({words!r}) == 0"
    assert not {"numpy", "soundfile"} & loaded(code)


def test_what_knows_of_directions_loads_for_sofa_files_alone(tmp_path: Path) -> None:
    speech = PACKAGE.parent / "data" / "audio" / "arctic_a0007.wav"
    words = ["apply", str(speech), str(tmp_path / "out.wav"), "-f", "headphone", "-q"]
    code = (
        f"from earfilt.cli import run; assert run({words!r}) == 0\n"
        "import sys; sys.exit(str([m for m in sys.modules if 'earfilt.directions' in m] or ''))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr.strip() == ""


def test_modules_by_attribute_and_by_name() -> None:
    from earfilt import HeadphoneFilter

    assert earfilt.HeadphoneFilter is HeadphoneFilter
    assert "MiddleEarFilter" in dir(earfilt)
    with pytest.raises(AttributeError):
        _ = earfilt.NoSuchFilter  # type: ignore[attr-defined]
