"""The command line: ``earfilt apply | response | design | fit | verify | filters | help``.

The only place that catches: an error becomes one line on stderr and an exit code. 0 success; 1
some file failed; 2 wrong usage or a refusal before work; 128 + N ended by signal N (130 Ctrl-C, 143
SIGTERM). Nothing heavy is imported before a command runs.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

from earfilt.cli.streams import open_closed, own_stderr, wait_for_streams
from earfilt.errors import (
    EarfiltError,
    UsageError,
    did_you_mean,
    is_out_of_memory,
    no_more_open_files,
    printable,
)
from earfilt.storage.stop_signals import is_default, name_of, stop_signals
from earfilt.version import __version__
from earfilt.wording import typed

_ON_WINDOWS = os.name == "nt"
_SAID: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class _Signalled(BaseException):
    """A signal that ends the program: unwinds through every ``finally``, so that temporary files
    go.
    """

    def __init__(self, number: int) -> None:
        self.number, self.code = number, 128 + number
        self.said = _SAID.get(number) or f"ended by {name_of(number)}"


_signalled: _Signalled | None = None


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    global _signalled
    _ignore_signals()  # a second one must not interrupt the cleaning up
    _signalled = _Signalled(number)
    raise _signalled


def _ignore_signals() -> None:
    for number in stop_signals():
        if signal.getsignal(number) is _unwind:
            signal.signal(number, signal.SIG_IGN)


def _sent_again(dropped: "sys.UnraisableHookArgs") -> None:
    """A signal that came where Python drops exceptions (a finaliser, a callback of its importer)
    must not be lost.
    """
    if isinstance(dropped.exc_value, _Signalled):
        number = dropped.exc_value.number
        signal.signal(number, _unwind)
        # later: here it would be dropped again
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
    elif not issubclass(dropped.exc_type, MemoryError):  # which is told of in one line
        sys.__unraisablehook__(dropped)


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
    wait_for_streams()
    try:
        with contextlib.nullcontext() if debug else own_stderr():
            code = _flushed(run(arguments, debug=debug))
        _ignore_signals()
    except _Signalled as interruption:  # at the last moment
        code = interruption.code
    except (MemoryError, SystemError) as error:  # there was no memory even to say so
        if debug or not is_out_of_memory(error):
            raise
        code = _said("out of memory", 1)
    if any(thread.name == "earfilt" for thread in threading.enumerate()):
        # Interrupted in a long call of the engine: an interpreter that ends under it would abort.
        from earfilt.storage.output import discard_all

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
        with typed():
            return _run(arguments)
    except _Signalled as interruption:
        return _said(interruption.said, interruption.code)
    except BrokenPipeError:
        return 0  # whoever read our output has closed the pipe
    except Exception as error:
        if debug:
            raise
        # While a module loads or a class is made, Python makes errors of its own of what is raised.
        if _signalled is not None and not isinstance(error, EarfiltError):
            return _said(_signalled.said, _signalled.code)
        return _explained(error)


def _run(arguments: list[str]) -> int:
    """The exit code of a command; what needs no parser does without, for it loads slowly."""
    if arguments == ["--version"]:
        print(f"earfilt {__version__}")
        return 0
    if _ON_WINDOWS:
        raise UsageError(
            "Windows itself is not supported: its file locks, signals and renames differ from "
            "those that earfilt needs; run it under WSL 2"
        )
    if arguments == ["filters"]:
        from earfilt.report.catalogue import print_all

        print_all()
        return 0
    if _begins_a_batch(arguments):
        from earfilt.batch.workers import warm_up

        warm_up()  # its workers load the engine beside the parser and all that follows
    from earfilt.cli import completion
    from earfilt.cli.pages import COMMANDS
    from earfilt.cli.parser import parser

    if arguments[:1] == ["help"] and arguments[1:2] and arguments[1] in COMMANDS:
        arguments = [arguments[1], "--help"]

    if completion.ASKED in os.environ:
        completion.prepare()
        app = parser(*COMMANDS)
    else:
        app = parser(next((word for word in arguments if not word.startswith("-")), ""))
    return int(app(arguments, prog_name="earfilt", standalone_mode=False) or 0)


def _begins_a_batch(arguments: list[str]) -> bool:
    """Whether the command line looks like many recordings, before it is parsed: nothing but time
    depends on it.
    """
    if arguments[:1] != ["apply"] or {"--dry-run", "--dask", "--help", "-h"} & set(arguments):
        return False
    return "--files-from" in arguments or os.path.isdir(arguments[1] if arguments[1:] else "")


def _explained(error: Exception) -> int:
    """One line for an error, and its exit code."""
    if isinstance(error, EarfiltError):
        return _said(str(error), error.exit_code)
    if type(error).__name__ == "NoArgsIsHelpError":  # a bare command: its message is the help
        print(error, file=sys.stderr)
        return 2
    if hasattr(error, "format_message"):  # the parser's own: wrong usage
        return _said(_of_parser(error), 2)
    if is_out_of_memory(error):
        return _said("out of memory", 1)
    if isinstance(error, OSError):
        return _said(no_more_open_files(error) or str(error), 1)
    return _said(f"unexpected {type(error).__name__}: {error} (--debug shows where)", 1)


_BESIDE = {"--full-scale": "the level of full scale is given by --full-scale-spl"}
"""What is meant by values that belong to another option."""


def _of_parser(error: Any) -> str:
    """An error of the parser, with options that are near."""
    text = error.format_message().replace("Value error, ", "")
    if hasattr(error, "possibilities"):
        known = [
            flag
            for one in error.ctx.command.get_params(error.ctx)
            for flag in (*one.opts, *one.secondary_opts)
        ]
        near = did_you_mean(error.option_name, known)
        text = f"there is no option {error.option_name}{'; ' if near else ''}{near}"
    flags = getattr(getattr(error, "param", None), "opts", ())
    text = "; ".join([text.rstrip("."), *(_BESIDE[flag] for flag in flags if flag in _BESIDE)])
    context = getattr(error, "ctx", None)
    return f"{text} (see '{context.command_path if context else 'earfilt'} --help')"


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
