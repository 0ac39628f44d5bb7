"""Options: each has the name that its code states, and none is taken without having an effect."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from earfilt.cli import run
from earfilt.cli.options import filter_options
from earfilt.cli.pages import COMMANDS
from earfilt.cli.parser import parser
from tests.batch.trees import FILTER, write_tone

PARSER = parser(*COMMANDS)


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
    shared = filters | {("--from",), ("--to",)}
    takes_filters = ("-f", "--filter") in found
    assert found == set(declared(command)) | (shared if takes_filters else set())
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
        (["apply", "in.wav", "-", *FILTER, "--skip-existing"], "--skip-existing"),
        (["apply", "in.wav", "out.wav", *FILTER, "--dry-run", "--report", "rows"], "--report"),
        (["apply", "in.wav", "out/", *FILTER, "--dry-run", "--report", "-"], "--report"),
        (["apply", "in.wav", "out.wav", *FILTER, "-j", "0"], "--jobs is 0; it must be at least 1"),
        (["apply", "in.wav", "-", *FILTER, "-j", "-1"], "--jobs is -1; it must be at least 1"),
        (["apply", "in.wav", "--in-place", *FILTER, "--jobs", "0"], "must be at least 1"),
        (["apply", "in.wav", "out.wav", *FILTER, "--force-chain"], "--force-chain"),
        (["response", *FILTER, "-f", "middle-ear", "--force-chain"], "--force-chain"),
        (["design", *FILTER, "-o", "a.json", "--force-chain"], "--force-chain"),
        (
            ["design", "--from", "free-field", "--to", "eardrum", "-o", "a.json", "--force-chain"],
            "--force-chain",
        ),
        *(
            (["apply", *files, *FILTER, *option], option[0])
            for files in (["in.wav", "-"], ["-", "-"], ["-", "out"], ["in.wav", "out.FLAC"])
            for option in (["--resume"], ["--shard", "1/1"], ["--dask", "local"])
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
    ("arguments", "words"),
    [
        (["apply", "in.wav", "out.wav", *FILTER, "-f", "middle-ear"], "-f headphone+middle-ear"),
        (
            ["apply", "in.wav", "out.wav", "-f", "L=headphone", "-f", "R=middle-ear"],
            "-f L=headphone,R=middle-ear",
        ),
        (["apply", "in.wav", "out.wav", "-f", "a b.csv", "-f", "$c.csv"], "-f 'a b.csv+$c.csv'"),
        (["apply", "in.wav", "out.wav", *FILTER, "--gain", "3", "--gain", "-3"], "--gain"),
        (["apply", "in.wav", "out.wav", *FILTER, "--order", "32"], "64, 32"),
        (["apply", "in.wav", "out.wav", *FILTER, "--phase", "zero", "--phase", "minimum"], "zero"),
        (
            ["apply", "in.wav", "out.wav", *FILTER, "--normalize-gain", "--no-normalize-gain"],
            "--normalize-gain and --no-normalize-gain exclude each other",
        ),
        (["design", "-o", "a.json", *FILTER, "--filter", "middle-ear"], "headphone+middle-ear"),
        (["design", "-o", "a.json", *FILTER, "--sections", "4", "--sections", "5"], "--sections"),
        (["response", *FILTER, "--fs", "16000", "--fs", "48000"], "--fs"),
    ],
)
def test_two_values_where_one_is_taken_are_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["in.wav"]


def test_a_value_may_be_said_again() -> None:
    words = ["--gain", "-6", "--gain", "-6", "-q", "-q", "--no-metadata", "--no-metadata"]
    assert run(["apply", "in.wav", "out.wav", *FILTER, *FILTER, *words]) == 0


def test_a_second_filter_is_not_taken_for_a_directory(capsys: pytest.CaptureFixture[str]) -> None:
    write_tone(Path("more.wav"))
    for inputs in (["in.wav", "out.wav"], ["in.wav", "more.wav"]):
        assert run(["apply", *inputs, *FILTER, "iso532-middle"]) == 2
        said = capsys.readouterr().err
        assert "-f headphone+iso532-middle" in said
        assert "iso532-middle/" in said
    assert not Path("iso532-middle").exists()
    assert run(["apply", "in.wav", "more.wav", "iso532-middle/", *FILTER, "-q"]) == 0
    assert run(["apply", "in.wav", "more.wav", "headphone", *FILTER, "-q"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in.wav", "more.wav", "-"], "- (standard output) takes one file"),
        (["tree", "-"], "- (standard output) takes one file"),
        (["tree", "-", "--resume"], "- (standard output) takes one file"),
        (["*.wav", "-", "--force"], "- (standard output) takes one file"),
        (["--files-from", "list", "-"], "- (standard output) takes one file"),
        (["in.wav", "more.wav", "out.wav"], "out.wav has the name of a sound file"),
        (["tree", "new/out.FLAC", "--resume"], "out.FLAC has the name of a sound file"),
        (["--files-from", "list", "out.ogg"], "out.ogg has the name of a sound file"),
        (["-", "tree"], "- (standard input) goes to one OUTPUT"),
        (["-", "new/"], "- (standard input) goes to one OUTPUT"),
        (["-", "tree", "--resume"], "- (standard input) goes to one OUTPUT"),
        (["-", "--in-place"], "- is standard input"),
    ],
)
def test_a_stream_and_the_name_of_a_recording_are_never_a_directory(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tone(Path("more.wav"))
    write_tone(Path("tree/a.wav"))
    Path("list").write_text("in.wav\n")
    before = sorted(Path().rglob("*"))
    assert run(["apply", *arguments, *FILTER]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert sorted(Path().rglob("*")) == before


def test_a_directory_may_be_called_like_a_recording_if_that_is_said() -> None:
    write_tone(Path("more.wav"))
    Path("there.wav").mkdir()
    for output in ("new.wav/", "there.wav"):
        assert run(["apply", "in.wav", "more.wav", output, *FILTER, "-q"]) == 0
        assert len(list(Path(output).glob("*.wav"))) == 2
        assert run(["apply", "in.wav", output, *FILTER, "-q", "--resume"]) == 0


def test_a_stream_is_one_where_a_directory_has_its_name(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    Path("-").mkdir()
    assert run(["apply", "in.wav", "-", *FILTER, "-q"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"RIFF")
    assert not list(Path("-").iterdir())


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
        ["response", *FILTER, "-f", "middle-ear+headphone", "--force-chain", "--freqs", "500"],
        ["design", "-f", "L=middle-ear+headphone,R=headphone", "-o", "a.json", "--force-chain"],
        ["apply", "in.wav", "out.wav", *FILTER, "--dry-run", "-j", "4", "--fail-fast"],
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


# From one reference point to another


def test_from_and_to_take_the_place_of_a_filter(capsys: pytest.CaptureFixture[str]) -> None:
    way = ["--from", "diffuse-field", "--to", "eardrum"]
    named = ["-f", "iso532-diffuse"]
    assert run(["apply", "in.wav", "way.wav", *way]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        "diffuse field to eardrum: iso532-diffuse (ISO 532-2:2017)"
    )
    assert run(["apply", "in.wav", "named.wav", *named, "-q"]) == 0
    assert Path("way.wav").read_bytes() == Path("named.wav").read_bytes()
    assert run(["design", "-o", "way.json", *way]) == 0
    assert "iso532-diffuse (ISO 532-2:2017)" in capsys.readouterr().err
    assert run(["design", "-o", "named.json", *named, "-q"]) == 0
    assert Path("way.json").read_bytes() == Path("named.json").read_bytes()
    assert run(["response", "--points", "9", *way, "-q"]) == 0
    wanted = capsys.readouterr()
    assert wanted.err == ""
    assert run(["response", "--points", "9", *named, "-q"]) == 0
    assert capsys.readouterr().out == wanted.out


def test_from_field_to_field_is_the_difference_of_the_published_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--from", "free-field", "--to", "diffuse-field", "--freqs", "1000,8000"]
    assert run(["response", *words]) == 0
    out, err = capsys.readouterr()
    levels = [float(row.split(",")[1]) for row in out.splitlines()[1:]]
    # ISO 532-2:2017, table 1: 2.6 and 3.8 dB at 1 kHz, 1.8 and 8.5 dB at 8 kHz
    assert levels == pytest.approx([2.6 - 3.8, 1.8 - 8.5], abs=0.1)
    assert "iso532-free+inverse:iso532-diffuse" in err.splitlines()[-1]


@pytest.mark.parametrize("command", ["apply in.wav out.wav", "response", "design -o fir.json"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "give a filter (-f, --filter), or --from and --to"),
        ("--from eardrum", "--from and --to go together"),
        ("--to eardrum", "--from and --to go together"),
        ("--from free-field --to eardrum -f headphone", "give either"),
        ("--to eardrum -f headphone", "give either"),
        ("--from brain --to eardrum", "a reference point is 'brain'"),
        ("--from eardrum --to eardrum", "no way leads from the eardrum to the eardrum"),
    ],
)
def test_neither_both_or_half_of_a_way_is_refused(
    command: str, arguments: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--quiet"] if command == "response" else []  # bare, it would show its help
    assert run([*command.split(), *more, *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert (out, err.count("\n")) == ("", 1)
    assert [path.name for path in Path().iterdir()] == ["in.wav"]
