"""The signals by which others end a process that does nothing about them."""

import signal

# What a fault of the process itself raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL) cannot be returned
# from, and is left as it is.
_NAMES = (
    *(
        "SIGTERM",
        "SIGINT",
        "SIGHUP",
        "SIGQUIT",
        "SIGABRT",
        "SIGALRM",
        "SIGVTALRM",
        "SIGPROF",
        "SIGUSR1",
        "SIGUSR2",
    ),
    *("SIGXCPU", "SIGIO", "SIGPWR", "SIGSTKFLT", "SIGBREAK"),
)


def stop_signals() -> list[int]:
    """Numbers of those that this system has: hang-up, quit, alarms, a limit on processor time, a
    scheduler's own, real time.
    """
    named = [int(getattr(signal, name)) for name in _NAMES if hasattr(signal, name)]
    real_time = range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if hasattr(signal, "SIGRTMIN") else ()
    return [*named, *real_time]


def is_default(number: int) -> bool:
    """Whether a signal would end this process: nobody handles or ignores it."""
    return signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def name_of(number: int) -> str:
    """Its name, as in ``SIGHUP``.

    >>> name_of(1)
    'SIGHUP'
    """
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"
