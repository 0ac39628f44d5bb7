"""The command line: ``earfilt apply | verify | response | design | filters``.

The only place that catches: an error becomes one line on stderr and an exit code. 0 all well; 1
some file failed; 2 wrong usage or a refusal before work; 128 + N ended by signal N (130 Ctrl-C, 143
SIGTERM). Nothing heavy is imported before a command runs.
"""

import atexit
import contextlib
import importlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import Annotated, NoReturn

import typer

from earfilt import __version__
from earfilt.cli.streams import open_closed, own_stderr
from earfilt.errors import EarfiltError, UsageError, is_out_of_memory, printable
from earfilt.storage.stop_signals import is_default, name_of, stop_signals

_COMMANDS = {
    "apply": "Recordings through an ear.",
    "response": "The curve, as numbers or figure.",
    "design": "The FIR, for other programs.",
    "verify": "Outputs, sources and filter against the manifest.",
    "filters": "The catalogue of ears.",
}
"""Each in a module of its name."""


def parser(*wanted: str) -> typer.Typer:
    """The parser of the command line.

    Parameters
    ----------
    *wanted : str
        Commands that will run: of the others only the names are known, and nothing is loaded.
    """
    app = typer.Typer(
        name="earfilt",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # whose tables cut the names of options at 80 columns
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        help="Put audio through the human outer and middle ear: published transfer functions, "
        "exact, and time-aligned to the sample.",
        epilog="Exit codes: 0 all well; 1 some file failed; 2 wrong usage or a refusal before "
        "work; 128 + N ended by signal N.",
    )
    app.callback()(_root)
    for name, help in _COMMANDS.items():
        if name not in wanted:
            app.command(name, short_help=help)(_nothing)
            continue
        module = importlib.import_module(f"earfilt.cli.{name}")
        kind = getattr(module, "COMMAND", None)
        asks = name != "filters"  # which alone has something to say without arguments
        app.command(name, cls=kind, no_args_is_help=asks, short_help=help)(getattr(module, name))
    return app


def _nothing() -> None: ...


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"earfilt {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show the traceback of an error (anywhere on the command line)."
        ),
    ] = False,
) -> None:
    _refuse_windows()


def _refuse_windows() -> None:
    if _ON_WINDOWS:
        raise UsageError(
            "Windows itself is not supported, for its locks, signals and renaming of files "
            "keep none of the promises; run it under WSL 2"
        )


_ON_WINDOWS = os.name == "nt"
_SAID: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class _Signalled(BaseException):
    """A signal that ends the program: unwinds through every ``finally``, so that temporary files
    go.
    """

    def __init__(self, number: int) -> None:
        self.number, self.code = number, 128 + number
        self.said = _SAID.get(number) or f"ended by {name_of(number)}"


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    _ignore_signals()  # a second one must not interrupt the cleaning up
    raise _Signalled(number)


def _ignore_signals() -> None:
    for number in stop_signals():
        if signal.getsignal(number) is _unwind:
            signal.signal(number, signal.SIG_IGN)


def _sent_again(dropped: "sys.UnraisableHookArgs") -> None:
    """A signal that came where Python drops exceptions (a finaliser, a callback of its importer)
    must not be lost.
    """
    if not isinstance(dropped.exc_value, _Signalled):
        sys.__unraisablehook__(dropped)
        return
    number = dropped.exc_value.number
    signal.signal(number, _unwind)
    # later: here it would be dropped again
    threading.Timer(0.01, os.kill, (os.getpid(), number)).start()


def main() -> None:
    """Run the command line and raise `SystemExit` with its code."""
    # the engine has threads of its own; torch's would spin beside them
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    for number in stop_signals():
        # background jobs of a script ignore Ctrl-C, nohup ignores the hang-up
        if is_default(number):
            signal.signal(number, _unwind)
    sys.unraisablehook = _sent_again
    open_closed()
    try:
        with contextlib.nullcontext() if debug else own_stderr():
            code = _flushed(run(arguments, debug=debug))
        _ignore_signals()
    except _Signalled as interruption:  # at the last moment
        code = interruption.code
    if any(thread.name == "earfilt" for thread in threading.enumerate()):
        # Interrupted in a long call of the engine: an interpreter that ends under it would abort.
        from earfilt.audio import discard_all

        discard_all()
        os._exit(code)
    sys.exit(code)


def program() -> NoReturn:
    """As `main`, for a process that has nothing else to do: taking the interpreter apart takes as
    long as filtering a short file.
    """
    if sys.flags.ignore_environment and not sys.flags.safe_path:
        # Helper processes are started with this -E as well, which ignores the variable that keeps
        # the current directory out of them.
        os.execv(sys.executable, [sys.executable, "-P", *sys.orig_argv[1:]])
    code = 1
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def run(arguments: list[str], *, debug: bool = False) -> int:
    """Run a command in this process; its exit code. Errors become one line on stderr, or are raised
    for ``debug``.
    """
    try:
        # nothing to parse, and the parser takes longer than the list
        if arguments == ["filters"] and not _ON_WINDOWS:
            return importlib.import_module("earfilt.cli.filters").filters()
        named = (word for word in arguments if not word.startswith("-"))
        app = parser(next(named, ""))
        return int(app(arguments, prog_name="earfilt", standalone_mode=False) or 0)
    except _Signalled as interruption:
        return _said(interruption.said, interruption.code)
    except BrokenPipeError:
        return 0  # the reader of our output has had enough
    except Exception as error:
        if debug:
            raise
        return _explained(error)


def _explained(error: Exception) -> int:
    """One line for an error, and its exit code."""
    if isinstance(error, EarfiltError):
        return _said(str(error), error.exit_code)
    if type(error).__name__ == "NoArgsIsHelpError":  # a bare command: its message is the help
        print(error, file=sys.stderr)
        return 2
    if hasattr(error, "format_message"):  # the parser's own: wrong usage
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "earfilt"
        return _said(
            f"{error.format_message().replace('Value error, ', '')} (see '{command} --help')", 2
        )
    if is_out_of_memory(error):
        return _said("out of memory", 1)
    if isinstance(error, OSError):
        return _said(str(error), 1)
    return _said(f"unexpected {type(error).__name__}: {error} (--debug shows where)", 1)


def _said(message: str, code: int) -> int:
    line = " ".join(printable(part.strip()) for part in message.splitlines())
    with contextlib.suppress(OSError, ValueError):  # stderr is closed: the exit code has to do
        print(f"earfilt: {line}", file=sys.stderr, flush=True)
    return code


def _flushed(code: int) -> int:
    """Flush stdout while a failure can still be told, and keep the interpreter from failing at it
    later.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _to_nowhere()
    except (OSError, ValueError) as error:
        _to_nowhere()
        return code or _said(f"cannot write to stdout: {error}", 1)
    return code


def _to_nowhere() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
