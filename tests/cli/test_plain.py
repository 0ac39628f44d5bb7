"""What needs no conversion loads nothing for it, and comes out as it would have."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import soundfile
import typer
from typer.core import TyperCommand

from earfilt.cli import run
from earfilt.cli.parser import parser
from earfilt.cli.plain import PlainCommand


def test_apply_on_a_file_loads_no_pydantic(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 48_000)
    words = ["apply", str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "-f", "headphone", "-q"]
    code = (
        f"import sys; from earfilt.cli import run; assert run({words!r}) == 0\n"
        "assert 'typer' in sys.modules\nsys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def parsed(kind: type[TyperCommand], *words: str) -> dict[str, Any]:
    """The values of one command's parameters."""
    found: dict[str, Any] = {}

    def command(
        names: Annotated[list[str] | None, typer.Argument()] = None,
        more: Annotated[list[str] | None, typer.Option("--more")] = None,
        text: Annotated[str | None, typer.Option("--text")] = None,
        shade: Annotated[str, typer.Option("--shade")] = "grey",
        level: Annotated[float, typer.Option("--level")] = 1.5,
        count: Annotated[int | None, typer.Option("--count")] = None,
        plain: Annotated[bool, typer.Option("--plain/--no-plain")] = True,
    ) -> None:
        found.update(locals())

    app = typer.Typer(add_completion=False)
    app.command(cls=kind)(command)
    app(list(words), standalone_mode=False)
    found.pop("found", None)
    return found


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a", "b"],
        ["--more", "x", "--more", "y", "--no-plain"],
        ["--text", "1", "--shade", "", "--level", "2", "--count", "3"],
        ["a", "--level", "1.5", "--shade", "grey"],
    ],
)
def test_values_are_those_of_typer(words: list[str]) -> None:
    assert parsed(PlainCommand, *words) == parsed(TyperCommand, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["apply", "a", "b", "-f", "headphone", "--tail", "x"], "'--tail'"),
        (["apply", "a", "b", "-f", "headphone", "--gain", "loud"], "'--gain'"),
        (["verify"], "usage: earfilt verify"),
        (["response", "-f"], "requires an argument"),
    ],
)
def test_what_is_wrong_is_still_told(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert said.lower() in capsys.readouterr().err.lower()


def test_every_command_passes_plain_values() -> None:
    names = ("apply", "response", "design", "verify", "filters")
    group = typer.main.get_command(parser(*names))
    for name in names:
        assert isinstance(group.commands[name], PlainCommand)  # type: ignore[attr-defined]
