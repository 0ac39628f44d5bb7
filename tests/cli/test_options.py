"""Options: each has the name that its code states, and none is taken without having an effect."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from earfilt.cli import run
from earfilt.cli.options import filter_options
from earfilt.cli.parser import parser
from tests.batch.trees import FILTER, write_tone

PARSER = parser("apply", "response", "design", "verify", "filters")


def declared(command: Callable[..., Any]) -> Iterator[tuple[str, ...]]:
    """The names in the source, of each option; none may be left to the parser's habits."""
    for parameter in inspect.signature(command).parameters.values():
        for info in getattr(parameter.annotation, "__metadata__", ()):
            if type(info).__name__ == "OptionInfo":
                names = [
                    part
                    for part in (info.default, *(info.param_decls or ()))
                    if isinstance(part, str)
                ]
                assert names, f"{parameter.name} has no explicit name"
                yield tuple(name for part in names for name in part.split("/"))


@pytest.mark.parametrize("command", [group.callback for group in PARSER.registered_commands])
def test_the_parser_knows_every_option_by_its_stated_name(command: Callable[..., Any]) -> None:
    known = typer.main.get_command(PARSER).commands[command.__name__]
    found = {(*p.opts, *p.secondary_opts) for p in known.params if p.param_type_name == "option"}
    filters = {
        (option.flag, f"--no-{option.flag[2:]}") if option.type is bool else (option.flag,)
        for option in filter_options()
    }
    takes_filters = ("-f", "--filter") in found
    assert found == set(declared(command)) | (filters if takes_filters else set())
    assert all(name == name.lower() for names in found for name in names)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tone(Path("in.wav"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["apply", "in.wav", "out.wav", *FILTER, "--full-scale", "rms"], "--full-scale"),
        (["apply", "in.wav", "out.wav", *FILTER, "-0"], "-0"),
        (["apply", "in.wav", "out.wav", *FILTER, "--include", "*.flac"], "--include"),
        (["apply", "in.wav", "--in-place", *FILTER, "--exclude", "in*"], "--exclude"),
        (["apply", "in.wav", "--in-place", *FILTER, "--skip-existing"], "exclude each other"),
        (["apply", "in.wav", "out.wav", *FILTER, "--subtype", "float", "--dither"], "--dither"),
        (
            ["apply", "in.wav", "out.wav", *FILTER, "--subtype", "DOUBLE", "--clip", "rescale"],
            "--clip",
        ),
        (["apply", "in.wav", "out.wav", *FILTER, "--clip", "float", "--dither"], "--dither"),
        (
            ["apply", "in.wav", "out.wav", *FILTER, "--clip", "float", "--subtype", "PCM_24"],
            "--subtype",
        ),
        (["response", *FILTER, "--panel", "phase"], "--panel"),
        (["response", *FILTER, "--show", "--panel", "phase"], "--panel"),
        (["response", *FILTER, "-o", "a.csv", "--width", "85"], "--width"),
        (["response", *FILTER, "--freqs", "100", "--points", "512"], "--points"),
        (
            ["response", *FILTER, "--freqs", "100", "--fmin", "20", "--fmax", "200"],
            "--fmin and --fmax",
        ),
        (["response", *FILTER, "--freqs", "100", "--scale", "log"], "--scale"),
    ],
)
def test_an_option_without_effect_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["in.wav"]


@pytest.mark.parametrize(
    "arguments",
    [
        [
            "apply",
            "in.wav",
            "out.wav",
            *FILTER,
            "--full-scale",
            "rms",
            "--full-scale-spl",
            "100",
            "-j",
            "2",
            "--fail-fast",
            "-v",
        ],
        ["apply", "in.wav", "out.wav", *FILTER, "--clip", "float", "--subtype", "DOUBLE"],
        ["apply", "in.wav", ".", "--in-place", *FILTER, "--exclude", "in*"],
        [
            "response",
            *FILTER,
            "-o",
            "a.svg",
            "--panel",
            "phase",
            "--width",
            "90",
            "--scale",
            "linear",
            "--freqs",
            "100,200",
        ],
        ["response", *FILTER, "--show", "--scale", "linear", "--freqs", "100,200"],
    ],
)
def test_what_has_an_effect_is_taken(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 0


def test_patterns_choose_among_one_file_too_where_the_output_is_a_directory() -> None:
    Path("out").mkdir()
    assert run(["apply", "in.wav", "out", *FILTER, "--exclude", "in*", "-q"]) == 0
    assert not list(Path("out").glob("*.wav"))
