"""The command explains itself: pages that fit a terminal, examples and topics that run,
suggestions that are near.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from earfilt.cli.pages import COMMANDS, EXAMPLES, GROUPS
from earfilt.cli.parser import parser
from earfilt.cli.topics import title, topics
from tests.conftest import ROOT
from tests.tools import single_threaded

PROGRAM = Path(sys.executable).parent / "earfilt"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """What the examples are about: a recording, a corpus, a curve, a measurement and a target."""
    speech = ROOT / "data" / "audio" / "arctic_a0007.wav"
    (tmp_path / "corpus").mkdir()
    for name in ("in.wav", "corpus/a.wav", "corpus/b.wav"):
        shutil.copy(speech, tmp_path / name)
    (tmp_path / "mine.csv").write_text("frequency_hz,gain_db\n100,-2\n1000,0\n8000,-4\n")
    (tmp_path / "measured.csv").write_text("frequency,raw\n20,78\n1000,80\n20000,66\n")
    (tmp_path / "target.csv").write_text("frequency,raw\n20,86\n1000,80\n20000,72\n")
    return tmp_path


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=single_threaded() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def run_cli(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), *arguments],
        env=single_threaded() | (env or {}),
        capture_output=True,
        text=True,
        timeout=60,
    )


def runs(line: str, folder: Path) -> None:
    done = shell(line, folder)
    assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_fits_80_columns_and_begins_with_examples(command: str) -> None:
    done = run_cli(command, "--help", env={"COLUMNS": "80"})
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "Examples:" in lines
    options = next(i for i, line in enumerate(lines) if line.startswith("Messages"))
    assert lines.index("Examples:") < options


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_run(command: str, desk: Path) -> None:
    """In order, but for the player at the end of a pipe."""
    if command == "verify":
        runs("earfilt apply corpus filtered -f headphone", desk)
    for _, line in EXAMPLES[command]:
        if "--recorded" in line:
            runs("rm mine.csv; earfilt apply sweep.wav rec.wav -f headphone --gain -12", desk)
        if "--input" in line:
            runs("cp in.wav dry.wav; earfilt apply dry.wav wet.wav -f headphone", desk)
        runs(line.replace("sox in.wav -t wav -", "cat in.wav").replace("aplay", "cat > o"), desk)


def test_every_option_is_shown_in_the_one_group_that_it_belongs_to() -> None:
    from typer.main import get_command

    every = {flag for group in GROUPS.values() for flag in group}
    assert sum(map(len, GROUPS.values())) == len(every)
    known = set()
    group = get_command(parser(*COMMANDS))
    for command in [group, *group.commands.values()]:
        context = command.make_context("x", [], resilient_parsing=True)
        for one in command.get_params(context):
            known |= {*one.opts, *one.secondary_opts}
    assert every <= known  # none that is gone


@pytest.mark.parametrize("name", topics())
def test_a_topic_fits_80_columns_and_its_commands_run(name: str, desk: Path) -> None:
    text = topics()[name]
    assert max(map(len, text.splitlines())) <= 80
    for line in re.findall(r"^    ((?:cat in.wav \| )?earfilt (?:.*\\\n)*.*)$", text, re.MULTILINE):
        if "out.wav" in line:
            (desk / "out.wav").unlink(missing_ok=True)
        runs(line, desk)


def test_help_lists_all_and_shows_one() -> None:
    listed = run_cli("help").stdout
    for name, text in topics().items():
        assert re.search(rf"^  {name} +{re.escape(title(text))}$", listed, re.MULTILINE)
    assert run_cli("help", "levels").stdout == topics()["levels"]
    assert run_cli("help", "apply").stdout == run_cli("apply", "--help").stdout


@pytest.mark.parametrize(
    ("typed", "said", "unsaid"),
    [
        (["version"], "--version", "design"),
        (["aply"], "did you mean apply?", "design"),
        (["help", "level"], "did you mean levels?", "apply"),
        (["apply", "--in-plase"], "did you mean --in-place?", "--inverse"),
        (["xyzzy"], "there is no command 'xyzzy'", "did you mean"),
        (["in.wav", "out.wav", "-f", "headphone"], "earfilt apply INPUT OUTPUT -f", "did you"),
        (["response", "headphone"], "-f headphone", "unexpected"),
        (["design", "-f", "headphone", "middle-ear", "-o", "a"], "-f headphone+middle-ear", "?"),
        (["apply", "--no-normalise-gain"], "did you mean --no-normalize-gain", "--nul"),
        (["apply", "a", "b", "-f", "headphone", "--full-scale", "94"], "--full-scale-spl", "did"),
        (["response", "-f"], "see 'earfilt response --help'", "did you"),
        (["filters", "--compare", "headphone"], "see 'earfilt filters --help'", "did you"),
        (["response", "-f", "ISO532-Free"], "did you mean iso532-free?", "iso389"),
        (["response", "-f", "iso532-free + iso532-middle"], "did you mean iso532-free?", "iso389"),
        (["response", "-f", "amt"], "'earfilt filters amt' lists", "did you"),
        (["response", "-f", " "], "'earfilt filters' lists", "did you"),
        (["response", "--filter=-free"], "did you mean iso532-free", "earfilt filters"),
        (["response", "-f", "ISO532"], "'earfilt filters iso532' lists", "did you"),
    ],
)
def test_suggestions_are_near(typed: list[str], said: str, unsaid: str) -> None:
    done = run_cli(*typed)
    assert done.returncode == 2
    assert said in done.stderr
    assert unsaid not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_one_file_is_told_of_at_length(desk: Path) -> None:
    short = shell("earfilt apply in.wav a.wav -f headphone", desk).stderr
    long = shell("earfilt apply in.wav b.wav -f headphone -v", desk).stderr
    assert re.search(r"source +Pralong & Carlile 1996$", short, re.MULTILINE)
    assert "J. Acoust. Soc. Am." not in short
    assert "J. Acoust. Soc. Am." in long
    assert re.search(r"hash +[0-9a-f]{64}", long)
    assert "look-ahead  0 samples" in long


def completed(words: list[str], folder: Path) -> list[str]:
    """What bash offers for the last word, by the script that earfilt prints."""
    script = run_cli("--show-completion", "bash").stdout
    typed = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _earfilt_completion earfilt"
    done = shell(f"{script}\n{ask}\nprintf '%s\\n' \"${{COMPREPLY[@]:-}}\"", folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["earfilt", "ap"], ["apply"]),
        (["earfilt", "apply", "--fail"], ["--fail-fast"]),
        (["earfilt", "apply", "--clip", "re"], ["rescale"]),
        (["earfilt", "apply", "-f", "headphone+middle"], ["headphone+middle-ear"]),
        (["earfilt", "help", "cl"], ["clusters"]),
    ],
)
def test_bash_completes(words: list[str], offered: list[str], tmp_path: Path) -> None:
    assert completed(words, tmp_path) == offered


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_scripts_for_any_shell_whatever_shell_asks(shell_name: str) -> None:
    done = run_cli("--show-completion", shell_name, env={"SHELL": "/bin/false"})
    assert done.returncode == 0
    assert "_EARFILT_COMPLETE=complete_" + shell_name in done.stdout


def test_installed_completion_lies_where_the_shell_reads_it(tmp_path: Path) -> None:
    done = run_cli("--install-completion", "bash", env={"HOME": str(tmp_path)})
    assert done.returncode == 0
    script = tmp_path / ".bash_completions" / "earfilt.sh"
    assert str(script) in done.stdout
    assert str(script) in (tmp_path / ".bashrc").read_text()
    assert "complete -o default -F" in script.read_text()


def test_man_pages_are_up_to_date_and_valid() -> None:
    """The texts are those of --help."""
    from docs.man import FOLDER, man_pages

    made = man_pages()
    assert {file.name for file in FOLDER.iterdir()} == {*made}
    # older versions of the parser write choices in another way
    pinned = f"typer=={version('typer')}\n" in (ROOT / "constraints.txt").read_text()
    for name, text in made.items():
        assert not pinned or (FOLDER / name).read_text("utf-8") == text, "run 'make man'"
        assert text.startswith(".TH EARFILT")
    assert "\\-\\-clip" in made["earfilt-apply.1"]
    for name, text in topics().items():
        assert f"{name}: {title(text)}".upper() in made["earfilt.1"].replace("\\-", "-")
